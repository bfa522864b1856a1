//! The page: one HTML document with a map, bars and tables, which loads nothing.
//!
//! It is XML as well as HTML, so that any parser can check it. Its style and its script are in it,
//! and its policy allows these two and nothing else. Everything can be read without the script,
//! which only sorts tables.

mod bars;
mod circumstances;
mod device;
mod groups;
mod key;
mod map;
mod markup;
mod policy;
mod tables;

use self::markup::Markup;
#[cfg(test)]
pub(super) use self::policy::base64;
use super::{MAX_DEVICES_TOLD, Report, course::Course};
use crate::{
    format::{count, grouped, in_binary_units, percent, span},
    grouping::{Grouping, Groups, grouping_of},
};

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/sort.js");
/// The grouping that the map shows.
const COUNTRY: &str = "country";
const TITLE: &str = "Where the devices send their data";

/// Returns the page.
pub(super) fn text(report: &Report<'_>) -> String {
    let mut page = Markup::document();
    page.element("html", &[("lang", "en")], |page| {
        page.element("head", &[], |page| head(report, page));
        page.element("body", &[], |page| {
            page.element("header", &[], |page| introduction(report, page));
            page.element("main", &[], |page| body(report, page));
            page.element("footer", &[], |page| {
                circumstances::write(report.snapshot, page);
            });
            page.element("script", &[], |page| page.verbatim(SCRIPT));
        });
    });
    page.into_text()
}

fn head(report: &Report<'_>, page: &mut Markup) {
    page.void("meta", &[("charset", "utf-8")]);
    let policy = policy::of(STYLE, SCRIPT);
    let header = ("http-equiv", "Content-Security-Policy");
    page.void("meta", &[header, ("content", &policy)]);
    let viewport = "width=device-width, initial-scale=1";
    page.void("meta", &[("name", "viewport"), ("content", viewport)]);
    page.void(
        "meta",
        &[("name", "color-scheme"), ("content", "light dark")],
    );
    page.void("meta", &[("name", "referrer"), ("content", "no-referrer")]);
    let meta = &report.snapshot.meta;
    let title = match &meta.capture {
        Some(capture) => format!("{TITLE}: {}", capture.file),
        None => format!("{TITLE}: {}", span(meta)),
    };
    page.leaf("title", &[], &title);
    page.element("style", &[], |page| page.verbatim(STYLE));
}

fn introduction(report: &Report<'_>, page: &mut Markup) {
    let meta = &report.snapshot.meta;
    page.leaf("h1", &[], TITLE);
    let counted = match &meta.capture {
        Some(capture) => format!("Counted in the capture {}, {}", capture.file, span(meta)),
        None => span(meta),
    };
    page.leaf("p", &[("class", "lead")], &counted);
    page.element("dl", &[("class", "figures")], |page| {
        for (name, figure, note) in figures(report) {
            page.element("div", &[], |page| {
                page.leaf("dt", &[], name);
                page.leaf("dd", &[], &figure);
                page.leaf("dd", &[("class", "note")], &note);
            });
        }
    });
}

/// Returns what a reader wants to know first: a name, the figure, and a note.
fn figures(report: &Report<'_>) -> Vec<(&'static str, String, String)> {
    let snapshot = report.snapshot;
    let sum = |octets: fn(&crate::store::DeviceSummary) -> u64| -> u64 {
        snapshot.devices.iter().map(octets).sum()
    };
    let octets = |octets: u64| {
        let exact = count(octets, "octet");
        (in_binary_units(octets).unwrap_or(exact.clone()), exact)
    };
    let (up, exact_up) = octets(sum(|device| device.up.octets));
    let (down, exact_down) = octets(sum(|device| device.down.octets));
    let nameless = snapshot.flows.iter().filter(|flow| flow.is_nameless());
    let nameless: u64 = nameless.map(crate::model::FlowRecord::octets).sum();
    let countries = snapshot.flows.iter();
    let countries = countries.filter_map(|flow| flow.place.country.as_deref());
    let countries: std::collections::HashSet<_> = countries.collect();
    let devices = snapshot.devices.len() as u64;
    vec![
        ("Sent", up, exact_up),
        ("Received", down, exact_down),
        (
            "Devices",
            grouped(devices),
            count(snapshot.flows.len() as u64, "flow"),
        ),
        (
            "Countries",
            grouped(countries.len() as u64),
            "by the address".to_owned(),
        ),
        (
            "Without a name",
            percent(nameless, report.octets()),
            "of all octets".to_owned(),
        ),
    ]
}

fn body(report: &Report<'_>, page: &mut Markup) {
    let groups = |by: &'static Grouping| Groups::of(report.snapshot, by).groups;
    let by_country = grouping_of(COUNTRY).map(groups).unwrap_or_default();
    section(page, "Countries", |page| map::write(&by_country, page));
    let devices = report.devices();
    let names: Vec<_> = devices.iter().map(|device| &*device.device).collect();
    if let Some(course) = Course::of(report.series, report.span, &names) {
        section(page, "Over time", |page| bars::write(&course, page));
    }
    if devices.len() > 1 {
        section(page, "Devices", |page| tables::devices(report, page));
    }
    for by in groupings(report) {
        let title = format!("By {}", by.name.replace('_', " "));
        section(page, &title, |page| match by.name {
            COUNTRY => groups::write(&by_country, by, page),
            _ => groups::write(&groups(by), by, page),
        });
    }
    let flows = report.snapshot.flows_by_device();
    let (told, untold) = devices.split_at(devices.len().min(MAX_DEVICES_TOLD));
    for (number, device) in told.iter().enumerate() {
        let flows = flows.get(&*device.device).map_or(&[][..], Vec::as_slice);
        device::write(report, (number, device), flows, page);
    }
    if !untold.is_empty() {
        let others = count(untold.len() as u64, "other device");
        let text = format!("Of {others}, the table of devices has the sums.");
        page.leaf("p", &[], &text);
    }
}

/// The groupings that are shown: the wished one first.
fn groupings(report: &Report<'_>) -> Vec<&'static Grouping> {
    let usual = [COUNTRY, "organization"].into_iter();
    let usual = usual.filter_map(grouping_of);
    let usual = usual.filter(|it| report.by.is_none_or(|by| by.name != it.name));
    report.by.into_iter().chain(usual).collect()
}

fn section(page: &mut Markup, title: &str, inside: impl FnOnce(&mut Markup)) {
    page.element("section", &[], |page| {
        page.leaf("h2", &[], title);
        inside(page);
    });
}
