//! The map of the world: countries shaded by the octets that went there and came from there.
//!
//! Outlines are `data/world.tsv`, which `cargo xtask map` makes: its first line is the map's width
//! and height, each other a country's code, its middle, and its outline as an SVG path.

use std::collections::HashMap;

use super::groups;
use super::key;
use super::markup::Markup;
use crate::{
    format::{count, grouped, percent},
    grouping::Group,
    model::Value,
};

const WORLD: &str = include_str!("../../../data/world.tsv");

/// Shades of countries with octets, the lightest first; each is for ten times as many as the one
/// before.
const SHADES: [&str; 5] = ["s1", "s2", "s3", "s4", "s5"];
/// The radius of a circle that stands for all octets, in the map's units.
const LARGEST: f64 = 40.0;
/// The radius of the least one that is seen to be one.
const SMALLEST: f64 = 5.0;
/// The radius of a dot, which marks a country that is too small for its shade to be seen.
const DOT: &str = "4";
/// Characters of the outline of a country that is so small, at most.
const SMALL: usize = 60;

/// A country of the file.
struct Country<'a> {
    code: &'a str,
    x: &'a str,
    y: &'a str,
    outline: &'a str,
}

fn countries() -> impl Iterator<Item = Country<'static>> {
    WORLD.lines().skip(1).map(|line| {
        let mut parts = line.split('\t');
        let mut next = || parts.next().unwrap_or_default();
        Country {
            code: next(),
            x: next(),
            y: next(),
            outline: next(),
        }
    })
}

/// Writes the map and its scale; nothing where no country is known.
pub(super) fn write(groups: &[Group], page: &mut Markup) {
    let by_code: HashMap<_, _> = groups
        .iter()
        .filter_map(|group| match &group.value {
            Value::Text(code) => Some((&**code, group)),
            _ => None,
        })
        .collect();
    let Some(most) = by_code.values().map(|group| group.octets()).max() else {
        page.leaf("p", &[], "No country is known of any address.");
        return;
    };
    let top = most.max(1).ilog10();
    page.element("figure", &[("class", "map")], |page| {
        let size = WORLD.lines().next().unwrap_or_default();
        let view = format!("0 0 {}", size.replace('\t', " "));
        let label = label(&by_code);
        let frame = [
            ("viewBox", &*view),
            ("role", "img"),
            ("aria-label", &*label),
        ];
        page.element("svg", &frame, |page| {
            write_countries(&by_code, top, page);
            write_circles(&by_code, top, page);
        });
        page.element("figcaption", &[], |page| write_scale(top, page));
    });
    let unplaced = groups.iter().filter(|group| group.value == Value::Null);
    let unplaced: u64 = unplaced.map(Group::octets).sum();
    let off_map = by_code
        .iter()
        .filter(|(code, _)| !countries().any(|it| it.code == **code));
    let off_map = off_map.map(|(_, group)| groups::called(group));
    write_remainder(unplaced, off_map.collect(), page);
}

fn write_countries(by_code: &HashMap<&str, &Group>, top: u32, page: &mut Markup) {
    for country in countries().filter(|country| !country.outline.is_empty()) {
        let group = by_code.get(country.code);
        let class = group.map_or("land", |group| shade(group.octets(), top));
        let attributes = [("class", class), ("d", country.outline)];
        match group {
            None => page.void("path", &attributes),
            Some(group) => page.element("path", &attributes, |page| {
                page.leaf("title", &[], &told(country.code, group));
            }),
        }
    }
}

/// A circle in the middle of each country with much of the whole, a dot in that of small ones; the
/// largest first, so that none hides another.
fn write_circles(by_code: &HashMap<&str, &Group>, top: u32, page: &mut Markup) {
    let mut marked: Vec<_> = countries()
        .filter_map(|country| by_code.get(country.code).map(|group| (country, *group)))
        .collect();
    marked.sort_by_key(|(country, group)| (std::cmp::Reverse(group.octets()), country.code));
    for (country, group) in marked {
        let radius = radius(group.octets(), group.whole).map(|radius| radius.to_string());
        let (class, radius) = match &radius {
            Some(radius) => ("place", &**radius),
            None if country.outline.len() <= SMALL => (shade(group.octets(), top), DOT),
            None => continue,
        };
        let circle = [
            ("class", class),
            ("cx", country.x),
            ("cy", country.y),
            ("r", radius),
        ];
        page.element("circle", &circle, |page| {
            page.leaf("title", &[], &told(country.code, group));
        });
    }
}

/// Returns the radius of a circle whose area is as a part is of a whole; nothing where it would be
/// too small.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a circle is drawn to the unit, and is no smaller than nothing"
)]
fn radius(part: u64, whole: u64) -> Option<u32> {
    let share = part as f64 / whole.max(1) as f64;
    let radius = LARGEST * share.sqrt();
    (radius >= SMALLEST).then_some(radius.round() as u32)
}

/// Returns the shade of so many octets, where the most have `top` zeros.
fn shade(octets: u64, top: u32) -> &'static str {
    let below = top.saturating_sub(octets.max(1).ilog10()) as usize;
    SHADES[(SHADES.len() - 1).saturating_sub(below)]
}

fn told(code: &str, group: &Group) -> String {
    format!(
        "{} ({code}): up {}, down {} octets; {}",
        group.label.clone().into_text(),
        grouped(group.up.octets),
        grouped(group.down.octets),
        percent(group.octets(), group.whole)
    )
}

/// Returns what the map shows, for those who can't see it: the table of countries has the rest.
fn label(by_code: &HashMap<&str, &Group>) -> String {
    let most = by_code
        .iter()
        .max_by_key(|(code, group)| (group.octets(), **code));
    let most = most.map(|(code, group)| told(code, group));
    format!(
        "A map of the world, on which {} of remote addresses. Most: {}.",
        match by_code.len() {
            1 => "is 1 country".to_owned(),
            several => format!("are {several} countries"),
        },
        most.unwrap_or_default()
    )
}

fn write_scale(top: u32, page: &mut Markup) {
    page.leaf("span", &[("class", "key")], "Octets to and from:");
    let lowest = top.saturating_sub(SHADES.len() as u32 - 1);
    let decades: Vec<_> = (lowest..=top).collect();
    let unused = SHADES.len() - decades.len();
    for (shade, decade) in SHADES[unused..].iter().zip(decades) {
        let bound = grouped(10_u64.saturating_pow(decade));
        let next = grouped(10_u64.saturating_pow(decade + 1));
        let text = if decade == lowest {
            format!("under {next}")
        } else {
            format!("from {bound}")
        };
        key::write_colour(shade, &text, page);
    }
    let circle = [("class", "place"), ("cx", "5"), ("cy", "5"), ("r", "4")];
    let text = "area: share of all octets; a dot marks a small country";
    key::write(|page| page.void("circle", &circle), text, page);
}

fn write_remainder(unplaced: u64, mut off_map: Vec<String>, page: &mut Markup) {
    if unplaced > 0 {
        let text = format!(
            "{} are of no known country: on the local network, or not in the databases.",
            count(unplaced, "octet")
        );
        page.leaf("p", &[("class", "note")], &text);
    }
    if !off_map.is_empty() {
        off_map.sort_unstable();
        let text = format!("Not on the map: {}.", off_map.join(", "));
        page.leaf("p", &[("class", "note")], &text);
    }
}
