//! The sentences under a table: totals, what is missing, where places are from.
//!
//! From a snapshot's summaries to plain, unwrapped lines; the formats for people share them.

use super::capture;
use super::number::{grouped, in_binary_units};
use super::resolving;
use crate::{
    model::MacAddress,
    store::{
        AttachedInterface, DatabaseMeta, DeviceSummary, Difference, DirectionSummary, Meta,
        Snapshot, Warning,
    },
    text::printable,
};

/// Returns who counted when: `flowwatch 0.1.0 · 2026-01-02 03:04:05 to … UTC`; or from what.
pub(super) fn title(meta: &Meta) -> String {
    let version = printable(&meta.version);
    match &meta.capture {
        Some(it) => format!("flowwatch {version} · {}", capture::origin(it, &span(meta))),
        None => format!("flowwatch {version} · {}", span(meta)),
    }
}

/// Returns when it was counted: `2026-01-02 03:04:05 to 2026-01-02 03:09:05 UTC (5 min 0 s)`.
pub(crate) fn span(meta: &Meta) -> String {
    let time = |at: jiff::Timestamp| at.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let seconds = meta
        .ended_at
        .duration_since(meta.started_at)
        .as_secs()
        .max(0);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let length = match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min {seconds} s"),
        _ => format!("{hours} h {minutes} min {seconds} s"),
    };
    let (start, end) = (time(meta.started_at), time(meta.ended_at));
    format!("{start} to {end} UTC ({length})")
}

/// Returns how an interface is watched: `eth0: xdp sees what devices send, tc what they receive`.
pub(crate) fn interface(interface: &AttachedInterface) -> String {
    let AttachedInterface {
        interface,
        ingress,
        egress,
        reason,
        gone_at,
        ..
    } = interface;
    let name = printable(interface);
    let mut line = if ingress == egress {
        format!("{name}: {ingress} sees what devices send and receive")
    } else {
        format!("{name}: {ingress} sees what devices send, {egress} what they receive")
    };
    if !reason.is_empty() {
        line = format!("{line} ({})", printable(reason));
    }
    if let Some(gone_at) = gone_at {
        let gone_at = gone_at.strftime("%Y-%m-%d %H:%M:%S");
        line = format!("{line}, until {gone_at} UTC");
    }
    line
}

/// Returns what is said of a clock that was set while flowwatch counted.
pub(super) fn clock_step(meta: &Meta) -> Option<String> {
    let seconds = meta.clock_step_seconds?;
    Some(format!(
        "The clock was set by {seconds:+} s meanwhile; all times are by the clock as it is now."
    ))
}

/// What a remote on the internet is called that goes by no name: a finding, as nobody asked for it
/// by name.
pub(crate) const NO_NAME: &str = "(no name seen)";

/// Returns what is said of a device that sent and received nothing, in place of sums.
pub(crate) const fn nothing_seen(meta: &Meta) -> &'static str {
    if meta.capture.is_some() {
        "No frame of this device is in the capture: check its address, and that the capture was taken where the device's frames pass."
    } else {
        "No frame of this device was seen: check its MAC address, and that it is behind this interface."
    }
}

/// Returns whether nothing at all was seen of a device.
pub(crate) const fn is_unseen(device: &DeviceSummary) -> bool {
    device.up.frames_seen == 0 && device.down.frames_seen == 0 && device.flows == 0
}

/// Returns a device's name with its MAC address, put together by `joined` where there are two of
/// them: a device that nobody tagged goes by its address.
pub(crate) fn heading(
    device: &DeviceSummary,
    joined: impl FnOnce(&str, MacAddress) -> String,
) -> String {
    let name = printable(&device.device);
    match device.device_mac {
        Some(mac) if mac.to_string() != name => joined(&name, mac),
        _ => name.into_owned(),
    }
}

/// Returns a device's sums, with overflows where there are any.
pub(crate) fn totals(device: &DeviceSummary) -> Vec<String> {
    let mut lines = vec![format!(
        "Up {}; down {}.",
        traffic(device.up.octets, device.up.packets),
        traffic(device.down.octets, device.down.packets)
    )];
    let DeviceSummary { up, down, .. } = device;
    if has_overflow(device) {
        lines.push(format!(
            "Of these, up {} and down {} are in no flow, as a table of flows was full.",
            traffic(up.overflow_octets, up.overflow_packets),
            traffic(down.overflow_octets, down.overflow_packets)
        ));
    }
    lines
}

const fn has_overflow(device: &DeviceSummary) -> bool {
    device.up.overflow_packets > 0 || device.down.overflow_packets > 0
}

/// Returns octets and packets: `1,048,576 octets (1.00 MiB) in 900 packets`.
pub(crate) fn traffic(octets: u64, packets: u64) -> String {
    let rounded = in_binary_units(octets)
        .map(|text| format!(" ({text})"))
        .unwrap_or_default();
    format!(
        "{}{rounded} in {}",
        count(octets, "octet"),
        count(packets, "packet")
    )
}

/// Returns whether every frame of a device is accounted for, with the sums that show it.
pub(crate) fn conservation(snapshot: &Snapshot, device: &DeviceSummary) -> String {
    let up = frames(snapshot, device, ("up", &device.up));
    let down = frames(snapshot, device, ("down", &device.down));
    if device.conserved {
        return format!("Every frame seen is accounted for: {up}; {down}.");
    }
    let missing: Vec<_> = [
        ("up", device.up.difference),
        ("down", device.down.difference),
    ]
    .into_iter()
    .filter(|(_, difference)| !difference.is_zero())
    .map(|(direction, difference)| format!("{direction} {}", deviation(difference)))
    .collect();
    format!(
        "NOT everything seen is accounted for: {}. Seen: {up}; {down}.",
        missing.join("; ")
    )
}

fn frames(
    snapshot: &Snapshot,
    device: &DeviceSummary,
    (direction, sums): (&str, &DirectionSummary),
) -> String {
    let seen = count(sums.frames_seen, "frame");
    let mut text = format!(
        "{direction} {seen} = {} in flows",
        grouped(sums.frames_in_flows)
    );
    let rows = snapshot
        .unaccounted
        .iter()
        .filter(|row| row.device == device.device && row.direction == direction);
    for row in rows {
        text = format!("{text} + {} {}", grouped(row.frames), row.reason);
    }
    if sums.difference.frames != 0 {
        text = text.replacen(" = ", " ≠ ", 1);
    }
    text
}

fn deviation(difference: Difference) -> String {
    let parts = [
        (difference.frames, "frame"),
        (difference.packets, "packet"),
        (difference.octets, "octet"),
    ];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|&(amount, _)| amount != 0)
        .map(|(amount, unit)| {
            let which = if amount > 0 { "missing" } else { "too many" };
            format!("{} {which}", count(amount.unsigned_abs(), unit))
        })
        .collect();
    parts.join(", ")
}

/// Returns one line for each kind of loss that occurred.
pub(crate) fn losses(meta: &Meta) -> Vec<String> {
    let losses = &meta.losses;
    let lines = [
        (
            losses.samples_dropped,
            "payload sample",
            "did not arrive: names may be missing",
        ),
        (
            losses.flow_table_packets,
            "packet",
            "counted without destination, as the kernel's flow table was full: see \
             --flow-table-size",
        ),
        (
            losses.window_packets,
            "packet",
            "counted without destination, as the window of flows was full",
        ),
        (
            losses.prefix_frames,
            "frame",
            "not counted, of devices that a prefix tags: too many appeared",
        ),
        (
            losses.names_turned_away,
            "name",
            "gave way to newer ones for want of room",
        ),
        (
            losses.places_unreadable,
            "place",
            "could not be read from a damaged database",
        ),
    ];
    lines
        .into_iter()
        .filter(|&(amount, ..)| amount > 0)
        .map(|(amount, unit, what)| format!("{} {what}.", count(amount, unit)))
        .collect()
}

/// Returns one line for each thing that may have kept traffic from being seen.
pub(crate) fn warnings(meta: &Meta) -> Vec<String> {
    let line = |warning: &Warning| format!("Warned of at the start: {}.", printable(&warning.text));
    meta.warnings.iter().map(line).collect()
}

/// Returns what a reader must know who gets the flows alone: devices that were not seen, counts
/// that don't add up, resolvers that the network did not give, losses.
#[must_use]
pub fn findings(snapshot: &Snapshot) -> Vec<String> {
    let mut lines = Vec::new();
    for device in &snapshot.devices {
        let name = printable(&device.device);
        if is_unseen(device) {
            lines.push(format!("{name}: {}", nothing_seen(&snapshot.meta)));
        } else if !device.conserved {
            lines.push(format!("{name}: {}", conservation(snapshot, device)));
        }
        if has_overflow(device) {
            lines.push(format!("{name}: {}", totals(device).join(" ")));
        }
        if let Some(round) = resolving::goes_round(snapshot, device) {
            lines.push(format!("{name}: {round}"));
        }
    }
    lines.extend(losses(&snapshot.meta));
    lines.extend(warnings(&snapshot.meta));
    lines.extend(capture::gaps(snapshot));
    lines
}

/// Returns which database places are from: its name, type and date.
pub(super) fn database(database: &DatabaseMeta) -> String {
    let built = database
        .built
        .map_or("of no known date".to_owned(), |built| {
            format!("of {}", built.strftime("%Y-%m-%d"))
        });
    let (name, kind) = (
        printable(&database.name),
        printable(&database.database_type),
    );
    format!("Places: {name} ({kind}, {built})")
}

/// The one address that views make a link of: DB-IP's licence (CC BY 4.0) asks for it.
pub(crate) const DB_IP: &str = "https://db-ip.com";

/// Returns the same with what the database's licence wants to be shown.
pub(crate) fn database_with_attribution(database: &DatabaseMeta) -> String {
    let line = self::database(database);
    match &database.attribution {
        Some(attribution) => format!("{line}. {}", printable(attribution)),
        None => line,
    }
}

/// Returns the amount with its unit in the singular or the plural.
pub(crate) fn count(amount: u64, unit: &str) -> String {
    let ending = if amount == 1 { "" } else { "s" };
    format!("{} {unit}{ending}", grouped(amount))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::sample;

    #[test]
    fn frames_that_add_up_are_stated_with_their_sums() {
        let snapshot = sample::snapshot();
        assert_eq!(
            conservation(&snapshot, &snapshot.devices[0]),
            "Every frame seen is accounted for: up 1,244 frames = 1,240 in flows + 3 not_ip + 1 \
             truncated; down 912 frames = 912 in flows."
        );
    }

    #[test]
    fn what_does_not_add_up_is_named_in_full() {
        let mut snapshot = sample::snapshot();
        let device = &mut snapshot.devices[0];
        device.conserved = false;
        device.up.difference = Difference {
            frames: 1,
            packets: 0,
            octets: -1_500,
        };
        let device = &snapshot.devices[0];
        let text = conservation(&snapshot, device);
        assert!(
            text.starts_with(
                "NOT everything seen is accounted for: up 1 frame missing, 1,500 octets too many. \
                 Seen: up 1,244 frames ≠ 1,240 in flows"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_clock_that_was_set_and_an_interface_that_went_are_told() {
        let mut meta = sample::snapshot().meta;
        assert_eq!(clock_step(&meta), None);
        meta.clock_step_seconds = Some(-3_600);
        let told = clock_step(&meta).unwrap();
        assert!(told.starts_with("The clock was set by -3600 s"), "{told}");
        meta.interfaces[0].gone_at = "2026-03-02T12:00:10Z".parse().ok();
        let told = interface(&meta.interfaces[0]);
        assert!(told.ends_with(", until 2026-03-02 12:00:10 UTC"), "{told}");
    }

    #[test]
    fn findings_are_what_flows_alone_do_not_tell() {
        let mut snapshot = sample::snapshot();
        let round = "camera: DoH to dns.google at 8.8.8.8 (the network gave 192.168.1.1).";
        assert_eq!(findings(&snapshot), [round]);
        snapshot.resolving.clear();
        assert_eq!(findings(&snapshot), Vec::<String>::new());
        snapshot.meta.losses.samples_dropped = 2;
        snapshot.devices[0].up.overflow_packets = 1;
        snapshot.devices[0].up.overflow_octets = 60;
        let unseen = DeviceSummary {
            device: "plug".to_owned(),
            up: DirectionSummary::default(),
            down: DirectionSummary::default(),
            flows: 0,
            ..snapshot.devices[0].clone()
        };
        snapshot.devices.push(unseen);
        let expected = [
            "camera: Up 1,239,407 octets (1.18 MiB) in 1,240 packets; down 46,196 octets (45.11 \
             KiB) in 912 packets. Of these, up 60 octets in 1 packet and down 0 octets in 0 \
             packets are in no flow, as a table of flows was full.",
            "plug: No frame of this device was seen: check its MAC address, and that it is behind \
             this interface.",
            "2 payload samples did not arrive: names may be missing.",
        ];
        assert_eq!(findings(&snapshot), expected);
    }

    #[test]
    fn what_was_warned_of_is_told_with_its_text_made_printable() {
        let mut meta = sample::snapshot().meta;
        assert_eq!(warnings(&meta), Vec::<String>::new());
        meta.warnings.push(Warning {
            check: "interface.lro".to_owned(),
            subject: Some("lan0".to_owned()),
            text: "interface `lan0`: LRO\u{7} is on".to_owned(),
        });
        assert_eq!(
            warnings(&meta),
            ["Warned of at the start: interface `lan0`: LRO\\x07 is on."]
        );
    }

    #[test]
    fn losses_are_silent_when_there_are_none() {
        let mut meta = sample::snapshot().meta;
        assert_eq!(losses(&meta), Vec::<String>::new());
        meta.losses.samples_dropped = 1;
        assert_eq!(
            losses(&meta),
            ["1 payload sample did not arrive: names may be missing."]
        );
    }
}
