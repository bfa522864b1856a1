//! The page, read by an independent parser, and the write-up, against one written by hand.

use std::collections::{BTreeMap, BTreeSet};

use roxmltree::{Document, Node, ParsingOptions};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::{
    format::sample,
    geo::Place,
    observation::Traffic,
    store::{DeviceSummary, DirectionSummary},
};

fn span_of(snapshot: &Snapshot) -> Span {
    Span {
        since: snapshot.meta.started_at,
        until: snapshot.meta.ended_at,
    }
}

fn report(snapshot: &Snapshot) -> Report<'_> {
    Report {
        snapshot,
        span: span_of(snapshot),
        series: &[],
        by: None,
    }
}

fn page_of(report: &Report<'_>) -> String {
    let mut out = Vec::new();
    report.write_page(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(page, options).unwrap()
}

fn write_up_of(snapshot: &Snapshot) -> String {
    let mut out = Vec::new();
    report(snapshot).write_up(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn text_of(node: Node<'_, '_>) -> String {
    let texts = node.descendants().filter(Node::is_text);
    texts.filter_map(|node| node.text()).collect()
}

/// Many destinations of two devices, and octets in no flow.
fn crowd() -> Snapshot {
    let mut snapshot = sample::snapshot();
    let countries = [("DE", "Germany"), ("JP", "Japan"), ("XX", "Nowhere")];
    for number in 0..700_u32 {
        let mut record = sample::record();
        record.device = sample::devices().remove(usize::from(number.is_multiple_of(3)));
        let name = format!("host{}.example", number % 400);
        record.naming = sample::naming(&[&name]);
        record.remote_address = std::net::Ipv4Addr::from(0x3300_0000 + number).into();
        let (code, country) = countries[number as usize % 3];
        record.place = Place {
            country: Some(code.into()),
            country_name: Some(country.into()),
            organization: Some(format!("Organization {}", number % 90).into()),
            ..Place::default()
        };
        record.up = traffic(1 + u64::from(number % 7), 100 + u64::from(number));
        record.down = traffic(2, 90_000 - u64::from(number));
        snapshot.flows.push(record);
    }
    snapshot
        .flows
        .sort_by_key(|record| std::cmp::Reverse(record.octets()));
    let overflow = DirectionSummary {
        overflow_packets: 4,
        overflow_octets: 4_000,
        ..DirectionSummary::default()
    };
    snapshot.devices = sample::devices()
        .into_iter()
        .map(|device| {
            let flows: Vec<_> = snapshot
                .flows
                .iter()
                .filter(|it| it.device == device)
                .collect();
            let sum = |octets: &dyn Fn(usize) -> u64| (0..flows.len()).map(octets).sum::<u64>();
            let direction = |octets: u64| DirectionSummary {
                frames_seen: 1,
                octets: octets + overflow.overflow_octets,
                ..overflow
            };
            DeviceSummary {
                device: device.name.to_string(),
                device_mac: device.mac,
                flows: flows.len() as u64,
                conserved: true,
                up: direction(sum(&|at| flows[at].up.octets)),
                down: direction(sum(&|at| flows[at].down.octets)),
            }
        })
        .collect();
    snapshot
}

fn traffic(packets: u64, octets: u64) -> Traffic {
    Traffic { packets, octets }
}

/// Sums of the columns of octets, up and down, by a table's caption.
fn sums_in(page: &str) -> BTreeMap<String, (u64, u64)> {
    let document = parsed(page);
    let tables = document.descendants().filter(|it| it.has_tag_name("table"));
    let sums = tables.map(|table| {
        let find = |name: &str| {
            table
                .descendants()
                .find(|it| it.has_tag_name(name))
                .unwrap()
        };
        let heads = find("thead")
            .descendants()
            .filter(|it| it.has_tag_name("th"));
        let heads: Vec<_> = heads.map(text_of).collect();
        let column = |title: &str| heads.iter().position(|head| head == title).unwrap();
        let rows = table
            .descendants()
            .filter(|it| it.has_tag_name("tr") && !it.parent().unwrap().has_tag_name("thead"));
        let rows: Vec<_> = rows.collect();
        let sum = |title: &str| {
            let cells = rows.iter().map(|row| {
                let cell = row
                    .children()
                    .filter(Node::is_element)
                    .nth(column(title))
                    .unwrap();
                let exact: u64 = cell.attribute("data-v").unwrap().parse().unwrap();
                assert!(
                    text_of(cell)
                        .replace(',', "")
                        .starts_with(&exact.to_string())
                );
                exact
            });
            cells.sum::<u64>()
        };
        (
            text_of(find("caption")),
            (sum("Up octets"), sum("Down octets")),
        )
    });
    sums.collect()
}

#[test]
fn every_table_of_the_page_adds_up_to_what_was_counted() {
    let snapshot = crowd();
    let sums = sums_in(&page_of(&report(&snapshot)));
    let of_flows = |device: Option<&str>| {
        let flows = snapshot.flows.iter();
        let flows = flows.filter(|it| device.is_none_or(|device| *it.device.name == *device));
        flows.fold((0, 0), |(up, down), it| {
            (up + it.up.octets, down + it.down.octets)
        })
    };
    // In no flow are four thousand octets of each device and direction.
    let (up, down) = of_flows(None);
    let all = (up + 8_000, down + 8_000);
    assert_eq!(sums["What each device sent and received"], all);
    assert_eq!(sums["What was sent and received, by country"], all);
    assert_eq!(sums["What was sent and received, by organization"], all);
    for device in ["camera", "plug"] {
        let found = sums
            .iter()
            .find(|(caption, _)| caption.contains(&format!("Where {device}")));
        let (caption, sums) = found.unwrap();
        assert_eq!(*sums, of_flows(Some(device)), "{caption}");
    }
}

#[test]
fn the_page_is_bounded_and_says_what_the_rest_is() {
    let snapshot = crowd();
    let page = page_of(&report(&snapshot));
    let document = parsed(&page);
    let bodies = document.descendants().filter(|it| it.has_tag_name("tbody"));
    let most = bodies
        .map(|it| it.children().filter(|it| it.has_tag_name("tr")).count())
        .max();
    assert_eq!(most, Some(MAX_DESTINATIONS));
    assert!(page.contains("smaller ones together"), "no row of the rest");
    assert!(
        page.contains("others together"),
        "no row of the other organizations"
    );
}

/// The elements that the page may have; none of them loads anything.
const ELEMENTS: &str = "html head meta title style body header h1 p dl div dt dd main section h2 \
                        span table caption thead tr th tbody td tfoot svg rect path circle g figure \
                        figcaption time br wbr details summary footer ul li a script";

fn check_loads_nothing(page: &str) {
    let document = parsed(page);
    let all = document.descendants();
    let ids: BTreeSet<_> = all.filter_map(|it| it.attribute("id")).collect();
    for element in document.descendants().filter(Node::is_element) {
        let name = element.tag_name().name();
        assert!(ELEMENTS.split(' ').any(|known| known == name), "<{name}>");
        for attribute in element.attributes() {
            let (key, value) = (attribute.name(), attribute.value());
            let loads = [
                "src",
                "srcset",
                "data",
                "poster",
                "action",
                "style",
                "background",
            ];
            assert!(
                !loads.contains(&key) && !key.starts_with("on"),
                "<{name} {key}>"
            );
            let is_within = value.strip_prefix('#').is_some_and(|id| ids.contains(id));
            let is_link =
                name == "a" && key == "href" && (is_within || value == "https://db-ip.com");
            assert!(is_link || !key.contains("href"), "<{name} {key}={value}>");
        }
        let text = element.text().unwrap_or_default();
        match name {
            "style" => assert!(!text.contains("url(") && !text.contains("@import")),
            "script" => {
                let words = [
                    "fetch",
                    "XMLHttpRequest",
                    "import",
                    "http",
                    "WebSocket",
                    "innerHTML",
                ];
                assert!(words.iter().all(|word| !text.contains(word)));
            }
            _ => {}
        }
    }
}

#[test]
fn the_page_loads_nothing_whatever_the_names() {
    check_loads_nothing(&page_of(&report(&sample::snapshot())));
    check_loads_nothing(&page_of(&report(&sample::adversarial())));
    check_loads_nothing(&page_of(&report(&crowd())));
}

#[test]
fn the_policy_allows_the_pages_own_style_and_script_and_nothing_else() {
    let page = page_of(&report(&sample::snapshot()));
    let document = parsed(&page);
    let find = |name: &str| {
        document
            .descendants()
            .find(|it| it.has_tag_name(name))
            .unwrap()
    };
    let metas = document.descendants().filter(|it| it.has_tag_name("meta"));
    let policies = metas.filter(|it| it.attribute("http-equiv") == Some("Content-Security-Policy"));
    let policies: Vec<_> = policies.filter_map(|it| it.attribute("content")).collect();
    let hash = |name: &str| {
        let digest = Sha256::digest(find(name).text().unwrap());
        format!("'sha256-{}'", page::base64(&digest))
    };
    let expected = format!(
        "default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
        hash("style"),
        hash("script")
    );
    assert_eq!(policies, [expected]);
}

#[test]
fn a_strangers_name_is_shown_and_is_no_markup() {
    let page = page_of(&report(&sample::adversarial()));
    let document = parsed(&page);
    let text = text_of(document.root());
    let name = crate::text::printable(sample::EVIL_NAME).into_owned();
    let organization = crate::text::printable(sample::EVIL_ORGANIZATION).into_owned();
    assert!(text.contains(&name), "{name}");
    assert!(text.contains(&organization), "{organization}");
    let bad = page
        .chars()
        .find(|&it| it != '\n' && !crate::text::is_printable(it));
    assert_eq!(bad, None);
}

#[test]
fn tables_and_pictures_tell_what_they_are_to_those_who_cannot_see_them() {
    let snapshot = crowd();
    let series = [Bucket {
        starts_at: snapshot.meta.started_at,
        device: "camera".to_owned(),
        up: traffic(1, 100),
        down: traffic(1, 50),
    }];
    let report = Report {
        series: &series,
        ..report(&snapshot)
    };
    let page = page_of(&report);
    for node in parsed(&page).descendants() {
        match node.tag_name().name() {
            "th" => assert!(node.has_attribute("scope")),
            "table" => assert!(node.children().any(|it| it.has_tag_name("caption"))),
            "svg" => {
                let is_named = node.attribute("role") == Some("img")
                    && node
                        .attribute("aria-label")
                        .is_some_and(|label| label.len() > 20);
                assert!(is_named || node.attribute("aria-hidden") == Some("true"));
            }
            _ => {}
        }
    }
    assert!(page.contains("Over time") && page.contains("camera 150 octets"));
}

#[test]
fn the_map_shades_countries_by_their_octets() {
    let page = page_of(&report(&sample::snapshot()));
    let document = parsed(&page);
    let paths = document.descendants().filter(|it| it.has_tag_name("path"));
    let shaded = paths.filter(|it| it.attribute("class") != Some("land"));
    let told: BTreeMap<_, _> = shaded
        .map(|path| (text_of(path), path.attribute("class").unwrap()))
        .collect();
    // 1,280,167 octets of 1,285,603 and 4,512 of them: three powers of ten apart.
    let expected = [
        (
            "China (CN): up 4,000, down 512 octets; 0.4 %".to_owned(),
            "s2",
        ),
        (
            "United States (US): up 1,234,567, down 45,600 octets; 99.6 %".to_owned(),
            "s5",
        ),
    ];
    assert_eq!(told, expected.into());
    let circles = document
        .descendants()
        .filter(|it| it.has_tag_name("circle"));
    let radii: Vec<_> = circles.filter_map(|it| it.attribute("r")).collect();
    // The legend's own is 4.
    assert_eq!(radii, ["40", "4"]);
    let text = text_of(document.root());
    assert!(
        text.contains("924 octets are of no known country"),
        "{text}"
    );
}

#[test]
fn a_country_that_the_map_lacks_is_told() {
    let page = page_of(&report(&crowd()));
    assert!(page.contains("Not on the map: Nowhere (XX)."));
}

#[test]
fn the_write_up_is_as_written_by_hand() {
    let expected = include_str!("golden/writeup.md");
    assert_eq!(write_up_of(&sample::snapshot()), expected);
}

#[test]
fn names_of_strangers_stay_in_their_cells_of_the_write_up() {
    let text = write_up_of(&sample::adversarial());
    let bars = |line: &str| line.replace("\\|", "").matches('|').count();
    let rows: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(bars)
        .collect();
    assert_eq!(rows, [7, 7, 7, 11, 11, 11], "{text}");
    assert!(!text.contains("](https:"), "{text}");
    let bad = text
        .chars()
        .find(|&it| it != '\n' && !crate::text::is_printable(it));
    assert_eq!(bad, None);
}

#[test]
fn an_empty_snapshot_makes_a_report_all_the_same() {
    let mut snapshot = sample::snapshot();
    snapshot.flows.clear();
    snapshot.devices.clear();
    snapshot.unaccounted.clear();
    check_loads_nothing(&page_of(&report(&snapshot)));
    assert!(write_up_of(&snapshot).starts_with("# Where"));
}
