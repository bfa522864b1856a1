//! Each format's form, and what strangers' names may not do in any.

use super::super::{FORMATS, Styling, Surface, format_of, sample, table::lines};
use crate::{
    diff::{
        COMPARISON_FIELDS, Comparison, KINDS, Remotes, Side, compare,
        samples::{destination, fixed, old, side},
    },
    text,
};

fn compared(before: &Side, after: &Side) -> Comparison {
    let kinds: Vec<_> = KINDS.iter().collect();
    compare(before, after, (&kinds, Remotes::Internet))
}

fn written(comparison: &Comparison, format: &str, columns: Option<usize>) -> String {
    let surface = Surface {
        columns,
        styling: Styling::Plain,
    };
    let mut out = Vec::new();
    let format = format_of(format).unwrap();
    (format.write_comparison)(comparison, surface, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// A side whose device, name and organization are malice.
fn adversarial() -> Side {
    let mut side = side("\u{1b}[2Jx|y\n.pcap");
    let device = side.device("=cmd|'/C calc'!A0", None);
    device.destinations.push(destination((
        sample::EVIL_NAME,
        "50.7.98.242",
        "US",
        sample::EVIL_ORGANIZATION,
        1,
        2,
    )));
    side
}

#[test]
fn each_format_has_the_form_that_was_looked_at() {
    let comparison = compared(&old(), &fixed());
    let check = |format: &str, columns, expected: &str| {
        let text = written(&comparison, format, columns).replace("\r\n", "\n");
        assert_eq!(text, expected, "{format}:\n{text}");
    };
    check("table", None, include_str!("golden/wide.txt"));
    check("table", Some(80), include_str!("golden/80.txt"));
    check("json", None, include_str!("golden/comparison.json"));
    check("jsonl", None, include_str!("golden/comparison.jsonl"));
    check("csv", None, include_str!("golden/comparison.csv"));
    check("markdown", None, include_str!("golden/comparison.md"));
}

#[test]
fn the_document_has_the_three_lists_of_each_kind_with_octets_on_each_entry() {
    let text = written(&compared(&old(), &fixed()), "json", None);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let four = [
        ("names", "name"),
        ("addresses", "address"),
        ("organizations", "organization"),
        ("countries", "country"),
    ];
    let device = &document["devices"][0];
    for (kind, singular) in four {
        for lists in [&document[kind], &device[kind]] {
            let lists = lists.as_object().unwrap();
            assert!(lists.keys().eq(["gone", "kept", "new"]), "{lists:?}");
            for entry in lists.values().flat_map(|list| list.as_array().unwrap()) {
                assert!(entry[singular].is_string(), "{entry}");
                assert!(entry["up_octets"].is_u64() && entry["down_octets"].is_u64());
            }
        }
        assert_eq!(document[kind], device[kind], "one device is all of them");
    }
    let kept = &document["addresses"]["kept"][0];
    assert_eq!(kept["address"], "50.7.98.242");
    assert_eq!(
        (&kept["up_octets"], &kept["up_octets_before"]),
        (&400.into(), &500.into())
    );
    assert_eq!(
        kept["names_before"],
        serde_json::json!(["gm.iotcplatform.com"])
    );
    assert_eq!(
        kept["names_after"],
        serde_json::json!(["us-master.iotcplatform.com"])
    );
}

#[test]
fn no_format_lets_a_strangers_control_characters_through() {
    let comparison = compared(&adversarial(), &old());
    for format in FORMATS {
        for columns in [None, Some(40)] {
            let text = written(&comparison, format.name, columns);
            let bad = text.chars().find(|&c| {
                let is_line_end = c == '\n' || format.name == "csv" && c == '\r';
                !text::is_printable(c) && !is_line_end
            });
            assert_eq!(bad, None, "{}:\n{text}", format.name);
            assert!(text.contains("[2J"), "{}: the rest is shown", format.name);
        }
    }
    let text = written(&comparison, "json", None);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["names"]["gone"][0]["name"], sample::EVIL_NAME);
    let text = written(&comparison, "csv", None);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let record = reader.records().next().unwrap().unwrap();
    assert_eq!(record.len(), COMPARISON_FIELDS.len());
    assert_eq!(&record[0], "'=cmd|'/C calc'!A0");
    let text = written(&comparison, "markdown", None);
    let header = |line: &&str| line.starts_with("| ");
    let cells = text.lines().filter(header).map(|line| {
        line.replace("\\\\", "")
            .replace("\\|", "")
            .matches('|')
            .count()
    });
    assert!(cells.into_iter().all(|count| count == 5), "{text}");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let comparison = compared(&old(), &fixed());
    for columns in 66..200 {
        let text = written(&comparison, "table", Some(columns));
        let widest = text.lines().map(lines::width).max().unwrap();
        assert!(widest <= columns, "{widest} > {columns}:\n{text}");
    }
}

#[test]
fn marks_are_coloured_where_there_may_be_colours() {
    let surface = Surface {
        columns: Some(120),
        styling: Styling::Coloured,
    };
    let comparison = compared(&old(), &fixed());
    let mut out = Vec::new();
    super::table(&comparison, surface, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("\u{1b}[31m- cm.iotcplatform.com"), "{text}");
    assert!(text.contains("\u{1b}[32m+ api.wyzecam.com"), "{text}");
    assert!(text.contains("  = 50.7.98.242"), "{text}");
}

#[test]
fn several_devices_are_also_summed_and_an_unchanged_one_is_a_line() {
    let (mut before, mut after) = (old(), fixed());
    for side in [&mut before, &mut after] {
        let plug = side.device("plug", None);
        let row = ("api.test", "203.0.114.1", "US", "Test", 1, 1);
        plug.destinations.push(destination(row));
        side.device("lamp", None);
    }
    let text = written(&compared(&before, &after), "table", None);
    let line = "plug\n  Nothing is gone or new. Kept: 1 names";
    assert!(text.contains("\nAll devices together\n"), "{text}");
    assert!(text.contains(&line.replace("1 names", "names 1")), "{text}");
    assert!(text.contains("\nNothing to compare of: lamp.\n"), "{text}");
}

#[test]
fn values_beyond_the_limit_are_summed() {
    let mut before = side("many");
    let device = before.device("camera", None);
    for number in 0..1_003_u32 {
        let [_, a, b, c] = number.to_be_bytes();
        let row = ("a.test", &*format!("51.{a}.{b}.{c}"), "US", "Test", 2, 1);
        device.destinations.push(destination(row));
    }
    let text = written(&compared(&before, &side("none")), "table", None);
    let line = text
        .lines()
        .find(|line| line.contains("… and 3 more"))
        .unwrap();
    assert!(
        line.contains("  6 → 0") && line.contains("  3 → 0"),
        "{line}"
    );
}
