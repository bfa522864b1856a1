//! The columns of the human table.
//!
//! One list; the wide layout takes as many as fit, the stacked one takes cells from it. Each cell
//! is made from the record, escaped.

use super::lines::Align;
use crate::{
    format::number::grouped,
    format::statement::NO_NAME,
    geo::Scope,
    model::{FlowRecord, TIME_DECIMALS, service_name},
    store::DeviceSummary,
    text::printable,
};

/// What stands in a name's place where nobody would ask for one, as in the local network.
pub(super) const NO_NAME_EXPECTED: &str = "-";

/// What stands behind the source of a name that the device was not seen to ask DNS for.
const NOT_ASKED: &str = ", not asked";

/// Names of one flow that are shown; the other formats have them all.
const MAX_NAMES_SHOWN: usize = 3;

/// When a column gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Always there, and never broken.
    Whole,
    /// Always there; broken at spaces, down to this width.
    Wraps(usize),
    /// There when it fits, together with the others of its number.
    Extra(u8),
}

/// A column of the wide layout.
pub(super) struct Column {
    /// The heading.
    pub(super) title: &'static str,
    /// Texts left, numbers right.
    pub(super) align: Align,
    /// When it gives way.
    pub(super) need: Need,
    /// Returns a flow's cell; lines are separated by LF.
    pub(super) cell: fn(&FlowRecord) -> String,
    /// Returns the cell of the totals line.
    pub(super) total: fn(&DeviceSummary) -> String,
}

/// The columns, in their order.
pub(super) const COLUMNS: &[Column] = &[
    column("NAME", (Align::Left, Need::Whole), names, |_| {
        "total".to_owned()
    }),
    column("VIA", (Align::Left, Need::Wraps(5)), via, blank),
    column("ADDRESS", (Align::Left, Need::Whole), address, blank),
    column("WHERE", (Align::Left, Need::Wraps(14)), place, blank),
    column(
        "ORGANIZATION",
        (Align::Left, Need::Wraps(16)),
        organization,
        blank,
    ),
    column("PORT", (Align::Left, Need::Whole), port, blank),
    column("UP OCTETS", (Align::Right, Need::Whole), up, |device| {
        grouped(device.up.octets)
    }),
    column("DOWN OCTETS", (Align::Right, Need::Whole), down, |device| {
        grouped(device.down.octets)
    }),
    column(
        "UP PACKETS",
        (Align::Right, Need::Extra(0)),
        |record| grouped(record.up.packets),
        |device| grouped(device.up.packets),
    ),
    column(
        "DOWN PACKETS",
        (Align::Right, Need::Extra(0)),
        |record| grouped(record.down.packets),
        |device| grouped(device.down.packets),
    ),
    column("SINCE", (Align::Left, Need::Extra(1)), since, blank),
];

const fn column(
    title: &'static str,
    (align, need): (Align, Need),
    cell: fn(&FlowRecord) -> String,
    total: fn(&DeviceSummary) -> String,
) -> Column {
    Column {
        title,
        align,
        need,
        cell,
        total,
    }
}

/// Returns the names, the best first, one a line.
pub(super) fn names(record: &FlowRecord) -> String {
    let names = record.names();
    if names.is_empty() {
        return if record.is_nameless() {
            NO_NAME
        } else {
            NO_NAME_EXPECTED
        }
        .to_owned();
    }
    let mut lines: Vec<_> = names
        .iter()
        .take(MAX_NAMES_SHOWN)
        .map(|name| printable(name).into_owned())
        .collect();
    if names.len() > MAX_NAMES_SHOWN {
        lines.push(format!("and {} more", names.len() - MAX_NAMES_SHOWN));
    }
    lines.join("\n")
}

/// Returns the remote address.
pub(super) fn address(record: &FlowRecord) -> String {
    record.remote_address.to_string()
}

/// Returns city and country, or the kind of an address that is in no place.
pub(super) fn place(record: &FlowRecord) -> String {
    if record.scope != Scope::Internet {
        return record.scope.name().to_owned();
    }
    let place = &record.place;
    let country = match (place.country_name.as_deref(), place.country.as_deref()) {
        (Some(name), Some(code)) => Some(format!("{name} ({code})")),
        (name, code) => name.or(code).map(str::to_owned),
    };
    let city = place.city.as_deref().map(str::to_owned);
    let parts: Vec<_> = city.into_iter().chain(country).collect();
    if parts.is_empty() {
        "unknown".to_owned()
    } else {
        printable(&parts.join(", ")).into_owned()
    }
}

/// Returns the organization, or the autonomous system's number.
pub(super) fn organization(record: &FlowRecord) -> String {
    match (record.place.organization.as_deref(), record.place.asn) {
        (Some(organization), _) if !organization.is_empty() => printable(organization).into_owned(),
        (_, Some(asn)) => format!("AS{asn}"),
        _ => String::new(),
    }
}

/// Returns protocol and port, such as `tcp/443`, or the protocol alone.
pub(super) fn port(record: &FlowRecord) -> String {
    service_name(record.protocol, record.remote_port).into_owned()
}

/// Returns the octets from the device.
pub(super) fn up(record: &FlowRecord) -> String {
    grouped(record.up.octets)
}

/// Returns the octets to the device.
pub(super) fn down(record: &FlowRecord) -> String {
    grouped(record.down.octets)
}

/// Returns where the first name is from, and whether the device was not seen to ask for it.
pub(super) fn via(record: &FlowRecord) -> String {
    let Some(source) = record.naming.source() else {
        return String::new();
    };
    let is_from_nowhere = source.is_own() && record.naming.is_asked() == Some(false);
    let mark = if is_from_nowhere { NOT_ASKED } else { "" };
    format!("{}{mark}", source.name())
}

fn since(record: &FlowRecord) -> String {
    format!("{:.TIME_DECIMALS$}", record.first_seen)
}

fn blank(_: &DeviceSummary) -> String {
    String::new()
}
