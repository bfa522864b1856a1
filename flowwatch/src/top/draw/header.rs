//! The header: what counts, how much, and whether anything was missed.

use ratatui::layout::Rect;

use super::super::look::Role;
use super::super::quantity::{clock, octets, rate};
use super::super::screen::Screen;
use super::super::world::World;
use super::canvas::Canvas;
use crate::format::grouped;
use crate::store::{AttachedInterface, DeviceSummary, Losses, Meta};
use crate::text::printable;

/// Rows of the header.
const HEIGHT: u16 = 3;

/// Draws the header; returns the row below it.
pub(super) fn draw(screen: &Screen, canvas: &mut Canvas<'_>, area: Rect) -> u16 {
    let world = screen.shown();
    let lines = [circumstances(screen), sums(world), missed(world)];
    for (y, parts) in (area.y..).zip(lines) {
        canvas.parts((area.x, y), area.width, &parts);
    }
    HEIGHT
}

fn plain(text: impl Into<String>) -> (String, Role) {
    (text.into(), Role::Plain)
}

fn circumstances(screen: &Screen) -> Vec<(String, Role)> {
    let mut parts = vec![("flowwatch top".to_owned(), Role::Title)];
    if screen.frozen.is_some() {
        parts.push(("PAUSED".to_owned(), Role::Bad));
    }
    if let Some(ended) = screen.ended.as_ref().or(screen.waiting.as_ref()) {
        parts.push((printable(ended).into_owned(), Role::Bad));
    }
    parts.push(plain(printable(&screen.source)));
    let Some(meta) = &screen.shown().meta else {
        return parts;
    };
    if let Some(speed) = &screen.speed {
        parts.push(plain(speed.clone()));
    }
    parts.push(plain(clock(meta.started_at, meta.ended_at)));
    parts.extend(meta.interfaces.iter().map(|it| plain(attached(it))));
    let time = meta.ended_at.strftime("%Y-%m-%d %H:%M:%S UTC");
    parts.push((time.to_string(), Role::Quiet));
    parts
}

fn attached(interface: &AttachedInterface) -> String {
    let name = printable(&interface.interface);
    let AttachedInterface {
        ingress, egress, ..
    } = interface;
    if ingress == egress {
        format!("{name}: {ingress}")
    } else {
        format!("{name}: {ingress} up, {egress} down")
    }
}

fn sums(world: &World) -> Vec<(String, Role)> {
    if world.meta.is_none() {
        return vec![("no data yet".to_owned(), Role::Quiet)];
    }
    let now = world.total.last();
    let (up, down) = world.octets();
    let flows: u64 = world.summaries().map(|device| device.flows).sum();
    vec![
        (format!("Up {}/s", rate(now.up)), Role::Up),
        (format!("Down {}/s", rate(now.down)), Role::Down),
        plain(format!("total up {}, down {}", octets(up), octets(down))),
        plain(count(world.listed.len() as u64, "device")),
        plain(count(flows, "destination")),
    ]
}

fn count(number: u64, word: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {word}{plural}", grouped(number))
}

fn missed(world: &World) -> Vec<(String, Role)> {
    let Some(meta) = &world.meta else {
        return Vec::new();
    };
    let mut parts = conservation(world);
    let warned = match meta.warnings.len() as u64 {
        0 => None,
        number => Some((format!("{} (w)", count(number, "warning")), Role::Bad)),
    };
    let losses = losses(&meta.losses, meta);
    if losses.is_empty() {
        parts.push(("no losses".to_owned(), Role::Good));
    }
    // What is wrong comes first: the rest may find no room.
    let lost = losses.into_iter().enumerate().map(|(at, text)| {
        let before = if at == 0 { "LOST: " } else { "" };
        (format!("{before}{text}"), Role::Bad)
    });
    let place = usize::from(parts.iter().any(|(_, role)| *role == Role::Bad));
    parts.splice(place..place, lost.chain(warned));
    parts
}

/// Returns whether every frame is accounted for, with the sums that show it.
fn conservation(world: &World) -> Vec<(String, Role)> {
    let devices: Vec<&DeviceSummary> = world.summaries().collect();
    let broken: Vec<_> = devices.iter().filter(|it| !it.conserved).collect();
    if !broken.is_empty() {
        let names: Vec<_> = broken.iter().map(|it| printable(&it.device)).collect();
        let text = format!("NOT all frames are accounted for: {}", names.join(", "));
        return vec![(text, Role::Bad)];
    }
    let both = devices.iter().flat_map(|it| [&it.up, &it.down]);
    let (mut seen, mut in_flows, mut unaccounted) = (0, 0, 0);
    for direction in both {
        seen += direction.frames_seen;
        in_flows += direction.frames_in_flows;
        unaccounted += direction.frames_unaccounted;
    }
    let sum = format!("{} = {} in flows", grouped(seen), grouped(in_flows));
    let rest = match unaccounted {
        0 => String::new(),
        rest => format!(" + {} unaccounted", grouped(rest)),
    };
    vec![(
        format!("every frame is accounted for: {sum}{rest}"),
        Role::Good,
    )]
}

/// Returns what found no room, in a few words each.
fn losses(losses: &Losses, meta: &Meta) -> Vec<String> {
    let capture = meta.capture.as_ref();
    let cut = capture.map_or(0, |capture| capture.packets_cut);
    let all = [
        (losses.prefix_frames, "frames not counted"),
        (losses.flow_table_packets, "packets without flow (kernel)"),
        (losses.window_packets, "packets without flow (window)"),
        (losses.samples_dropped, "samples"),
        (losses.names_turned_away, "names"),
        (losses.places_unreadable, "places"),
        (cut, "packets cut by the capture"),
    ];
    let some = all.into_iter().filter(|(number, _)| *number > 0);
    some.map(|(number, what)| format!("{} {what}", grouped(number)))
        .collect()
}
