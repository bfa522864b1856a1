//! The sentences about a capture: what was counted, and what of it was not.

use super::statement::count;
use crate::{
    store::{CaptureMeta, Snapshot},
    text::printable,
};

/// What is said when every sender's address is zero, as on loopback interfaces, or a group's.
const NO_DEVICE: &str = "No packet has the MAC address of a device that sends; name a device by its IP address: --device camera=192.168.8.214";

/// Returns what was counted: `from the capture cam.pcap: 12,345 packets, …`.
pub(crate) fn origin(capture: &CaptureMeta, span: &str) -> String {
    let file = printable(&capture.file);
    let packets = count(capture.packets, "packet");
    match capture.first_packet {
        Some(_) => format!("from the capture {file}: {packets}, {span}"),
        None => format!("from the capture {file}: {packets}"),
    }
}

/// Returns one sentence for each thing that a reader of the counts must know of their capture.
pub(super) fn gaps(snapshot: &Snapshot) -> Vec<String> {
    let Some(capture) = &snapshot.meta.capture else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    if snapshot.devices.is_empty() && capture.packets_of_no_device > 0 {
        lines.push(NO_DEVICE.to_owned());
    }
    for unsupported in &capture.unsupported {
        lines.push(format!(
            "{} of {} not looked into: {}.",
            count(unsupported.packets, "packet"),
            printable(&unsupported.link_type),
            printable(&unsupported.advice)
        ));
    }
    let others = [
        (
            capture.packets_cut,
            "packet",
            "shorter in the capture than on the wire (snap length): names may be missing",
        ),
        (
            capture.packets_without_time,
            "packet",
            "without a time of their own: counted at that of the packet before",
        ),
        (
            capture.packets_of_devices_turned_away,
            "packet",
            "of devices beyond the most that can be told apart: not counted for them; name the \
             ones to count with --device",
        ),
        (
            capture.addresses_turned_away,
            "packet",
            "from addresses beyond the most that are remembered: what devices receive there may \
             be missing",
        ),
    ];
    let others = others.into_iter().filter(|(amount, ..)| *amount > 0);
    lines.extend(others.map(|(amount, unit, what)| format!("{} {what}.", count(amount, unit))));
    lines
}

/// Returns all that a reader must know of the capture.
pub(crate) fn told(snapshot: &Snapshot) -> Vec<String> {
    let capture = snapshot.meta.capture.as_ref();
    let ended = capture.and_then(ended);
    ended.into_iter().chain(gaps(snapshot)).collect()
}

/// Returns where reading ended, if before the capture's end. It is told as the program's error, too.
fn ended(capture: &CaptureMeta) -> Option<String> {
    let why = capture.ended_early.as_ref()?;
    Some(format!("Counted up to where {}.", printable(why)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{FORMATS, Surface, findings, sample};
    use crate::store::Unsupported;

    fn snapshot() -> Snapshot {
        let mut snapshot = sample::snapshot();
        snapshot.meta.interfaces.clear();
        let at = snapshot.meta.started_at;
        snapshot.meta.capture = Some(CaptureMeta {
            file: "cam\u{1b}[2J.pcap".to_owned(),
            format: "pcap",
            packets: 12_345,
            first_packet: Some(at),
            last_packet: Some(at),
            packets_cut: 1,
            unsupported: vec![Unsupported {
                link_type: "USB".to_owned(),
                packets: 7,
                advice: "it carries no IP".to_owned(),
            }],
            ended_early: Some("the capture is cut off".to_owned()),
            ..CaptureMeta::default()
        });
        snapshot.resolving.clear();
        snapshot
    }

    const ENDED: &str = "Counted up to where the capture is cut off.";
    const GAPS: [&str; 2] = [
        "7 packets of USB not looked into: it carries no IP.",
        "1 packet shorter in the capture than on the wire (snap length): names may be missing.",
    ];

    #[test]
    fn what_was_not_counted_of_a_capture_is_told() {
        let snapshot = snapshot();
        assert_eq!(gaps(&snapshot), GAPS);
        assert_eq!(findings(&snapshot), GAPS);
    }

    #[test]
    fn formats_for_people_say_from_which_capture_and_what_is_missing() {
        let snapshot = snapshot();
        for name in ["table", "markdown"] {
            let format = FORMATS.iter().find(|format| format.name == name).unwrap();
            let mut out = Vec::new();
            let document = (format.open)(Surface::PLAIN);
            document.write(&snapshot, &mut out).unwrap();
            let text = String::from_utf8(out).unwrap().replace('\\', "");
            let title = "flowwatch 0.1.0 · from the capture camx1b[2J.pcap: 12,345 packets, \
                         2026-01-02 03:04:05 to 2026-01-02 03:09:05 UTC (5 min 0 s)";
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.contains(title) && text.contains(ENDED), "{text}");
            assert!(GAPS.iter().all(|gap| text.contains(gap)), "{text}");
        }
    }

    #[test]
    fn a_capture_without_a_device_says_how_one_can_be_named() {
        let mut snapshot = snapshot();
        snapshot.devices.clear();
        let capture = snapshot.meta.capture.as_mut().unwrap();
        capture.packets_of_no_device = 1;
        assert!(gaps(&snapshot)[0].contains("--device camera=192.168.8.214"));
    }

    #[test]
    fn a_capture_without_packets_has_no_times() {
        let empty = CaptureMeta {
            file: "x.pcap".to_owned(),
            ..CaptureMeta::default()
        };
        assert_eq!(origin(&empty, "1970"), "from the capture x.pcap: 0 packets");
    }
}
