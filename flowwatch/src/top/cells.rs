//! What a line has in each column, safe to show.

use std::borrow::Cow;

use jiff::Timestamp;

use super::columns::{Column, EXACT_WIDTH};
use super::listing::{Grouping, Label, Line};
use super::quantity::{age, octets, rate};
use crate::format::grouped;
use crate::geo::Scope;
use crate::model::protocol_name;
use crate::text::printable;

/// What a remote on the internet is called that goes by no name.
const NO_NAME: &str = "(no name seen)";
/// What follows the source of a name that the device was not seen to ask DNS for.
const NOT_ASKED: &str = "!";
/// Columns from which on a country has its name beside its code.
const COUNTRY_WIDTH: u16 = 12;

/// What cells are made for.
#[derive(Clone, Copy, Debug)]
pub(super) struct CellContext {
    /// The last update's time.
    pub(super) at: Timestamp,
    pub(super) grouping: Grouping,
    /// Whether the address has a column of its own.
    pub(super) has_addresses: bool,
}

impl Column {
    /// Returns what a line has in the column, safe to show.
    pub(super) fn cell<'line>(
        self,
        line: &Line<'line>,
        width: u16,
        ctx: CellContext,
    ) -> Cow<'line, str> {
        let record = &line.flow.record;
        match self {
            Self::Name => label(line, ctx),
            Self::Via => via(line),
            Self::Device => printable(&record.device.name),
            Self::Address => record.remote_address.to_string().into(),
            Self::Country => country(line, width),
            Self::Organization => organization(line),
            Self::Port => port(line).into(),
            Self::Flows => line.flows.to_string().into(),
            Self::UpRate => rate(line.rate.up).into(),
            Self::DownRate => rate(line.rate.down).into(),
            Self::Up => exact_or_short(line.up, width).into(),
            Self::Down => exact_or_short(line.down, width).into(),
            Self::First => age(line.first_seen, ctx.at).into(),
            Self::Last => age(line.last_seen, ctx.at).into(),
        }
    }
}

fn exact_or_short(number: u64, width: u16) -> String {
    if width >= EXACT_WIDTH {
        grouped(number)
    } else {
        octets(number)
    }
}

/// Returns what a line goes by.
fn label<'line>(line: &Line<'line>, ctx: CellContext) -> Cow<'line, str> {
    let is_group = ctx.grouping != Grouping::Flows;
    match ctx.grouping.label(line.flow) {
        Label::Text(_) if ctx.grouping == Grouping::Countries => country(line, u16::MAX),
        Label::Text(text) => printable(text),
        Label::Of(Scope::Internet)
            if !matches!(ctx.grouping, Grouping::Flows | Grouping::Names) =>
        {
            "(unknown)".into()
        }
        Label::Of(Scope::Internet) if is_group || ctx.has_addresses => NO_NAME.into(),
        Label::Of(Scope::Internet) => {
            format!("(no name) {}", line.flow.record.remote_address).into()
        }
        Label::Of(scope) if is_group || ctx.has_addresses => format!("({scope})").into(),
        Label::Of(_) => line.flow.record.remote_address.to_string().into(),
    }
}

/// Returns where a name is from, and whether nobody was asked for it although it has addresses.
fn via(line: &Line<'_>) -> Cow<'static, str> {
    let naming = &line.flow.record.naming;
    match naming.source() {
        None => "".into(),
        Some(source) if source.is_own() && naming.is_asked() == Some(false) => {
            format!("{}{NOT_ASKED}", source.name()).into()
        }
        Some(source) => source.name().into(),
    }
}

fn country<'line>(line: &Line<'line>, width: u16) -> Cow<'line, str> {
    let record = &line.flow.record;
    let place = &record.place;
    match (place.country_name.as_deref(), place.country.as_deref()) {
        (Some(name), Some(code)) if width >= COUNTRY_WIDTH => {
            printable(&format!("{name} ({code})")).into_owned().into()
        }
        (_, Some(code)) => printable(code),
        _ if record.scope != Scope::Internet && width >= COUNTRY_WIDTH => {
            record.scope.name().into()
        }
        _ => "-".into(),
    }
}

/// Returns the organization, or the autonomous system's number.
fn organization<'line>(line: &Line<'line>) -> Cow<'line, str> {
    let record = &line.flow.record;
    match (record.place.organization.as_deref(), record.place.asn) {
        (Some(organization), _) if !organization.is_empty() => printable(organization),
        (_, Some(asn)) => format!("AS{asn}").into(),
        _ if record.scope != Scope::Internet => record.scope.name().into(),
        _ => "-".into(),
    }
}

/// Returns protocol and port, such as `tcp/443`, or the protocol alone.
pub(super) fn port(line: &Line<'_>) -> String {
    let record = &line.flow.record;
    let protocol = protocol_name(record.protocol);
    match record.remote_port {
        0 => protocol.into_owned(),
        port => format!("{protocol}/{port}"),
    }
}
