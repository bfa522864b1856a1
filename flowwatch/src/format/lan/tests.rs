//! Tests of the list of devices in every format.

use std::net::IpAddr;

use super::*;
use crate::census::{CensusMeta, Hostname, HostnameSource};
use crate::format::{FORMATS, Styling};

fn camera() -> LanDevice {
    LanDevice {
        mac: "2c:aa:8e:01:02:03".parse().unwrap(),
        vendor: Some("Wyze Labs Inc".into()),
        is_randomized: false,
        hostname: Some(Hostname {
            text: "WyzeCam".into(),
            source: HostnameSource::Dhcp,
        }),
        ipv4_addresses: vec![IpAddr::from([192, 168, 8, 214])],
        ipv6_addresses: vec!["fd00::1".parse().unwrap(), "fe80::1".parse().unwrap()],
        first_seen: Some("2026-01-02T03:04:05Z".parse().unwrap()),
        last_seen: Some("2026-01-02T03:04:15.250Z".parse().unwrap()),
        frames: 1234,
        tag: Some("camera".into()),
        is_probable_router: false,
        option: None,
    }
}

fn phone() -> LanDevice {
    LanDevice {
        mac: "da:a1:19:01:02:03".parse().unwrap(),
        vendor: None,
        is_randomized: true,
        hostname: None,
        ipv4_addresses: Vec::new(),
        ipv6_addresses: Vec::new(),
        first_seen: None,
        last_seen: None,
        frames: 0,
        tag: None,
        is_probable_router: true,
        option: Some("--device device=da:a1:19:01:02:03".into()),
    }
}

fn list(devices: Vec<LanDevice>) -> LanDevices {
    LanDevices {
        meta: CensusMeta {
            sources: vec!["br-lan".into()],
            vendors: "built-in, of 2026-10-17".into(),
            ..CensusMeta::default()
        },
        devices,
    }
}

fn written(format: &str, list: &LanDevices, surface: Surface) -> String {
    let entry = FORMATS.iter().find(|entry| entry.name == format).unwrap();
    let mut out = Vec::new();
    (entry.write_devices)(list, surface, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_table_shows_who_is_there_and_what_tags_them() {
    let shown = written("table", &list(vec![camera(), phone()]), Surface::PLAIN);
    let expected = "\
TAG     NAME     VIA   MAC                VENDOR         ADDRESS        LAST SEEN (UTC)      FRAMES  NOTE
camera  WyzeCam  dhcp  2c:aa:8e:01:02:03  Wyze Labs Inc  192.168.8.214  2026-01-02 03:04:15  1,234
                                                         fd00::1
                                                         +1 more
                       da:a1:19:01:02:03  (randomized)                  (silent)             0       probable second router
2 devices, 1 tagged; from br-lan; vendors: built-in, of 2026-10-17

To count a device, give `flowwatch run` its option:
  --device device=da:a1:19:01:02:03
";
    assert_eq!(shown, expected);
}

#[test]
fn names_and_vendors_give_way_on_a_narrow_terminal() {
    let mut camera = camera();
    camera.hostname.as_mut().unwrap().text = "a-very-long-name-of-a-camera".into();
    camera.vendor = Some("Hangzhou Hikvision Digital Technology Co.,Ltd.".into());
    let narrow = Surface {
        columns: Some(110),
        styling: Styling::Plain,
    };
    let shown = written("table", &list(vec![camera]), narrow);
    assert!(shown.lines().all(|line| line.width() <= 110), "{shown}");
    assert!(
        shown.contains("2c:aa:8e:01:02:03") && shown.contains('…'),
        "{shown}"
    );
}

#[test]
fn every_format_has_every_field() {
    let list = list(vec![camera()]);
    for format in FORMATS.iter().filter(|format| format.name != "table") {
        let shown = written(format.name, &list, Surface::PLAIN).replace('\\', "");
        for field in DEVICE_FIELDS {
            assert!(
                shown.contains(field.name),
                "{}: {}",
                format.name,
                field.name
            );
        }
    }
}

#[test]
fn values_are_typed_in_json_and_joined_in_csv() {
    let list = list(vec![camera(), phone()]);
    let json = written("json", &list, Surface::PLAIN);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let camera = &value["devices"][0];
    assert_eq!(camera["randomized"], false);
    assert_eq!(
        camera["ipv6_addresses"],
        serde_json::json!(["fd00::1", "fe80::1"])
    );
    assert_eq!(camera["first_seen"], "2026-01-02T03:04:05.000Z");
    assert_eq!(camera["frames"], 1234);
    assert_eq!(value["devices"][1]["hostname"], serde_json::Value::Null);
    assert_eq!(value["meta"]["sources"][0], "br-lan");
    let lines = written("jsonl", &list, Surface::PLAIN);
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(&first, camera);
    let csv = written("csv", &list, Surface::PLAIN);
    assert!(csv.contains(",fd00::1|fe80::1,"), "{csv}");
}

#[test]
fn hostile_names_do_no_harm_in_any_format() {
    for text in [
        "\u{1b}[2Jevil\r\nx",
        "=cmd|' /C calc'!A0",
        "<script>|x|</script>",
        "a,b\"c",
        "\u{202e}evil",
    ] {
        let mut camera = camera();
        camera.hostname.as_mut().unwrap().text = text.into();
        let list = list(vec![camera]);
        for format in FORMATS {
            let shown = written(format.name, &list, Surface::PLAIN);
            let harmless = |c: char| c == '\n' || c == '\r' || crate::text::is_printable(c);
            assert!(shown.chars().all(harmless), "{}: {shown}", format.name);
            assert!(!shown.contains(",=cmd"), "{shown}");
        }
        let json = written("json", &list, Surface::PLAIN);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["devices"][0]["hostname"], text, "exact in JSON");
        let rows = written("markdown", &list, Surface::PLAIN);
        let row = rows.lines().last().unwrap().replace("\\|", "");
        assert_eq!(row.matches('|').count(), DEVICE_FIELDS.len() + 1, "{row}");
    }
}

#[test]
fn what_found_no_room_is_told() {
    let mut list = list(Vec::new());
    list.meta.frames_without_room = 3;
    for format in ["table", "markdown"] {
        let shown = written(format, &list, Surface::PLAIN);
        assert!(
            shown.contains("3 frames that carry names did not arrive"),
            "{shown}"
        );
    }
    assert!(written("json", &list, Surface::PLAIN).contains("\"frames_without_room\":3"));
}
