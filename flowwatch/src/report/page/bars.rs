//! Bars over time, stacked by device, with the same in a table.

use super::super::course::{Bar, Course};
use super::key;
use super::markup::Markup;
use super::tables;
use crate::format::{count, grouped, in_binary_units};

/// Units of a bar's width and of the gap behind it.
const BAR: u64 = 8;
const GAP: u64 = 2;
/// Units of the highest bar.
const HEIGHT: u64 = 1_000;
/// Colours, in the order of the devices; the last is the others'.
const COLOURS: [&str; 8] = ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"];

/// Writes them.
pub(super) fn write(course: &Course, page: &mut Markup) {
    let most = course
        .bars
        .iter()
        .map(Bar::octets)
        .max()
        .unwrap_or_default();
    page.element("figure", &[("class", "bars")], |page| {
        let height = in_binary_units(most).unwrap_or_else(|| count(most, "octet"));
        let length = length(course);
        let text = format!("Octets up and down. A bar is {length}; the highest is {height}.");
        page.leaf("p", &[("class", "note")], &text);
        let width = course.bars.len() as u64 * (BAR + GAP);
        let view = format!("0 0 {width} {HEIGHT}");
        let label = format!("Bars over time. {text} The table below has the numbers.");
        let frame = [
            ("viewBox", &*view),
            ("preserveAspectRatio", "none"),
            ("role", "img"),
            ("aria-label", &label),
        ];
        page.element("svg", &frame, |page| {
            for (number, bar) in course.bars.iter().enumerate() {
                write_bar(course, number as u64, bar, most, page);
            }
        });
        write_axis(course, page);
        page.element("figcaption", &[], |page| write_key(course, page));
    });
    page.element("details", &[], |page| {
        page.leaf("summary", &[], "The numbers");
        write_table(course, page);
    });
}

fn write_bar(course: &Course, number: u64, bar: &Bar, most: u64, page: &mut Markup) {
    if bar.octets() == 0 {
        return;
    }
    page.element("g", &[], |page| {
        page.leaf("title", &[], &told(course, bar));
        let x = (number * (BAR + GAP)).to_string();
        let mut below = 0;
        let colours = colours(course);
        for (part, colour) in bar.parts.iter().zip(colours).filter(|(part, _)| **part > 0) {
            // From sums, so that rounding doesn't add up.
            let from = scaled(below, most);
            below += part;
            let to = scaled(below, most).max(from + 1);
            let rect = [
                ("class", colour),
                ("x", &*x),
                ("y", &(HEIGHT.saturating_sub(to)).to_string()),
                ("width", &BAR.to_string()),
                ("height", &(to - from).to_string()),
            ];
            page.void("rect", &rect);
        }
    });
}

fn scaled(octets: u64, most: u64) -> u64 {
    (u128::from(octets) * u128::from(HEIGHT) / u128::from(most.max(1))) as u64
}

/// The colours of a bar's parts: the devices', then the others'.
fn colours(course: &Course) -> Vec<&'static str> {
    let own = COLOURS.iter().take(course.devices.len());
    own.chain(COLOURS.last()).copied().collect()
}

fn told(course: &Course, bar: &Bar) -> String {
    let names = course.devices.iter().map(String::as_str).chain(["others"]);
    let parts = names.zip(&bar.parts).filter(|(_, part)| **part > 0);
    let parts: Vec<_> = parts
        .map(|(name, part)| format!("{name} {}", grouped(*part)))
        .collect();
    format!("{} UTC: {} octets", moment(course, bar), parts.join(", "))
}

fn moment(course: &Course, bar: &Bar) -> String {
    let is_of_days = course.length.as_secs() >= 86_400;
    let form = if is_of_days {
        "%Y-%m-%d"
    } else {
        "%Y-%m-%d %H:%M"
    };
    bar.starts_at.strftime(form).to_string()
}

fn length(course: &Course) -> String {
    let seconds = course.length.as_secs().unsigned_abs();
    match seconds {
        86_400.. => count(seconds / 86_400, "day"),
        3_600.. => count(seconds / 3_600, "hour"),
        _ => count(seconds / 60, "minute"),
    }
}

/// The first moment, one in the middle, and the last bar's.
fn write_axis(course: &Course, page: &mut Markup) {
    page.element("div", &[("class", "axis")], |page| {
        let last = course.bars.len().saturating_sub(1);
        for number in [0, last / 2, last] {
            let bar = course.bars.get(number);
            let text = bar.map(|bar| moment(course, bar)).unwrap_or_default();
            page.leaf("span", &[], &text);
        }
    });
}

fn write_key(course: &Course, page: &mut Markup) {
    let others = course.has_others.then_some("others");
    let names = course.devices.iter().map(String::as_str);
    let mut colours = colours(course);
    let last = colours.pop();
    for (name, colour) in names.zip(colours).chain(others.zip(last)) {
        key::write_colour(colour, name, page);
    }
}

fn write_table(course: &Course, page: &mut Markup) {
    let columns = [
        ("From (UTC)", false),
        ("Up octets", true),
        ("Down octets", true),
    ];
    let body = |page: &mut Markup| {
        for bar in &course.bars {
            page.element("tr", &[], |page| {
                page.leaf("th", &[("scope", "row")], &moment(course, bar));
                tables::number(page, bar.up);
                tables::number(page, bar.down);
            });
        }
    };
    tables::table(page, "Octets over time", &columns, body, None);
}
