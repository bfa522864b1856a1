//! The details of one destination: every name and who says it, every address of these names, exact
//! counts, and its rates.

use ratatui::layout::Rect;

use super::super::look::{Glyphs, Role};
use super::super::quantity::{age, octets, rate};
use super::super::rate::{History, Rate};
use super::super::screen::Screen;
use super::super::world::World;
use super::canvas::Canvas;
use super::paragraph::{self, Line};
use crate::format::{grouped, in_binary_units};
use crate::geo::Scope;
use crate::live::FlowNumber;
use crate::model::{FlowRecord, protocol_name};
use crate::names::Candidate;
use crate::observation::Traffic;
use crate::text::printable;

/// Addresses of the same name that are listed.
const MOST_ADDRESSES: usize = 200;
/// Columns before a history: its word, its rate and its highest.
const BEFORE_HISTORY: u16 = 34;

/// Draws the details of a flow.
pub(super) fn draw(screen: &mut Screen, canvas: &mut Canvas<'_>, area: Rect, number: FlowNumber) {
    let glyphs = canvas.glyphs();
    let shown = screen.frozen.as_deref_mut().unwrap_or(&mut screen.world);
    shown.track(number);
    let world: &World = shown;
    let Some(flow) = world.flows.get(&number) else {
        canvas.title(area, &[("Details".to_owned(), Role::Focused)]);
        let text = "This destination was forgotten for want of room.";
        canvas.text((area.x + 1, area.y + 1), area.width - 2, text, Role::Plain);
        return;
    };
    let record = &flow.record;
    let name = flow
        .name
        .as_deref()
        .map_or_else(|| record.remote_address.to_string(), str::to_owned);
    canvas.title(area, &[(format!("Details of {name}"), Role::Focused)]);
    let tracked = world.tracked.as_ref().filter(|it| it.number == number);
    let empty = History::default();
    let history = tracked.map_or(&empty, |it| &it.history);
    let top = area.y + 1;
    histories(canvas, Rect { y: top, ..area }, (history, flow.smoothed));
    let rest = Rect {
        y: top + 2,
        height: area.height - 3,
        ..area
    };
    let lines = lines(world, record, glyphs);
    let most = paragraph::draw(canvas, rest, &lines, screen.scroll);
    screen.scroll = screen.scroll.min(most);
}

/// Draws both directions' rates: now, the highest in sight, and how they were.
fn histories(canvas: &mut Canvas<'_>, area: Rect, (history, smoothed): (&History, Rate)) {
    let up: fn(Rate) -> f64 = |rate| rate.up;
    let down: fn(Rate) -> f64 = |rate| rate.down;
    let room = area.width - BEFORE_HISTORY - 2;
    for (y, (word, of, role)) in
        (area.y..).zip([("Up/s", up, Role::Up), ("Down/s", down, Role::Down)])
    {
        // Of a smoothed rate, what it comes from may be out of sight.
        let highest = history.newest(room.into()).map(of);
        let highest = highest.fold(of(smoothed), f64::max);
        let text = format!(
            "{word:<7}{:>8}, highest {:>8}",
            rate(of(smoothed)),
            rate(highest)
        );
        canvas.text((area.x + 1, y), BEFORE_HISTORY - 1, &text, role);
        canvas.sparkline((area.x + BEFORE_HISTORY, y), room, (history, of), role);
    }
}

fn lines(world: &World, record: &FlowRecord, glyphs: Glyphs) -> Vec<Line> {
    let mut lines = vec![Line::Heading("Destination".to_owned())];
    lines.extend(destination(world, record));
    lines.push(Line::Heading("Names".to_owned()));
    if record.naming.candidates.is_empty() {
        let text = match record.scope {
            Scope::Internet => "no name seen: the device was told none for this address",
            _ => "none",
        };
        lines.push(Line::Text(String::new(), text.to_owned(), Role::Nameless));
    }
    for candidate in &record.naming.candidates {
        lines.extend(name(candidate, glyphs));
    }
    if !record.naming.candidates.is_empty() {
        lines.push(Line::Heading("Addresses of these names".to_owned()));
        lines.extend(addresses(world, record));
    }
    lines
}

fn destination(world: &World, record: &FlowRecord) -> Vec<Line> {
    let device = &record.device;
    let name = printable(&device.name);
    let device = match device.mac {
        Some(mac) if mac.to_string() != *name => format!("{name} ({mac})"),
        _ => name.into_owned(),
    };
    let at = world.at().unwrap_or(record.last_seen);
    let seen = |time| format!("{time:.3} ({})", ago(&age(time, at)));
    vec![
        Line::text("Device", device),
        Line::text(
            "Address",
            format!("{} ({})", record.remote_address, record.scope),
        ),
        Line::text("Port", service(record)),
        Line::text("Place", place(record)),
        Line::text("Organization", organization(record)),
        Line::Text("Up".to_owned(), traffic(record.up), Role::Up),
        Line::Text("Down".to_owned(), traffic(record.down), Role::Down),
        Line::text("First seen", seen(record.first_seen)),
        Line::text("Last seen", seen(record.last_seen)),
    ]
}

fn ago(age: &str) -> String {
    match age {
        "now" => age.to_owned(),
        _ => format!("{age} ago"),
    }
}

fn service(record: &FlowRecord) -> String {
    let protocol = protocol_name(record.protocol);
    match record.remote_port {
        0 => protocol.into_owned(),
        port => format!("{protocol}/{port}"),
    }
}

fn place(record: &FlowRecord) -> String {
    let place = &record.place;
    let country = match (place.country_name.as_deref(), place.country.as_deref()) {
        (Some(name), Some(code)) => Some(format!("{name} ({code})")),
        (name, code) => name.or(code).map(str::to_owned),
    };
    let city = place.city.as_deref().map(str::to_owned);
    let parts: Vec<_> = city.into_iter().chain(country).collect();
    match record.scope {
        Scope::Internet if parts.is_empty() => "unknown".to_owned(),
        Scope::Internet => printable(&parts.join(", ")).into_owned(),
        scope => scope.name().to_owned(),
    }
}

fn organization(record: &FlowRecord) -> String {
    let place = &record.place;
    let number = place.asn.map(|asn| format!("AS{asn}"));
    let name = place
        .organization
        .as_deref()
        .map(|it| printable(it).into_owned());
    match (name, number) {
        (Some(name), Some(number)) => format!("{name} ({number})"),
        (None, None) if record.scope != Scope::Internet => record.scope.name().to_owned(),
        (name, number) => name.or(number).unwrap_or_else(|| "unknown".to_owned()),
    }
}

fn traffic(traffic: Traffic) -> String {
    let rounded = in_binary_units(traffic.octets);
    let rounded = rounded.map(|text| format!(" ({text})")).unwrap_or_default();
    let (octets, packets) = (grouped(traffic.octets), grouped(traffic.packets));
    format!("{octets} octets{rounded} in {packets} packets")
}

/// Returns what is known of a name.
fn name(candidate: &Candidate, glyphs: Glyphs) -> Vec<Line> {
    let binding = &candidate.binding;
    let source = binding.source.name();
    let mut lines = vec![Line::text(source, printable(&binding.name))];
    let asked = match candidate.asked {
        Some(true) => "the device asked DNS for it",
        Some(false) => "the device was NOT seen to ask DNS for it",
        None => "whether the device asked for it is not known any more",
    };
    let mut known = vec![asked.to_owned()];
    if binding.service.is_none() {
        known.push(format!("ttl {} s", binding.ttl));
    }
    if let Some(offer) = &candidate.offer {
        if !offer.alpn.is_empty() {
            known.push(format!("alpn {}", printable(&offer.alpn.join(", "))));
        }
        if offer.has_ech {
            known.push("ech".to_owned());
        }
    }
    lines.push(Line::text("", known.join(glyphs.separator)));
    let told = format!("told {:.3} to {:.3}", binding.first_told, binding.last_told);
    lines.push(Line::Text(String::new(), told, Role::Quiet));
    if !binding.chain.is_empty() {
        let chain: Vec<_> = binding.chain.iter().map(|it| printable(it)).collect();
        let chain = chain.join(glyphs.arrow);
        lines.push(Line::text("", format!("alias of {chain}")));
    }
    lines
}

/// Returns the flows of the same device that go by one of the same names, those with most octets
/// first.
fn addresses(world: &World, record: &FlowRecord) -> Vec<Line> {
    let names = record.names();
    let is_one = |other: &&FlowRecord| {
        other.device.name == record.device.name
            && other.names().iter().any(|name| names.contains(name))
    };
    let flows = world.flows.values().map(|flow| &flow.record);
    let mut flows: Vec<&FlowRecord> = flows.filter(is_one).collect();
    flows.sort_unstable_by_key(|flow| (std::cmp::Reverse(flow.octets()), flow.remote_address));
    let left_out = flows.len().saturating_sub(MOST_ADDRESSES);
    flows.truncate(MOST_ADDRESSES);
    let line = |flow: &&FlowRecord| {
        let text = format!(
            "{}  {}, {}, up {}, down {}",
            flow.remote_address,
            place(flow),
            organization(flow),
            octets(flow.up.octets),
            octets(flow.down.octets)
        );
        Line::text(&service(flow), text)
    };
    let mut lines: Vec<_> = flows.iter().map(line).collect();
    if left_out > 0 {
        lines.push(Line::text("", format!("and {left_out} more")));
    }
    lines
}
