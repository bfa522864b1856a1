//! A device's section: its sums, where it sends, and whether all is accounted for.

use super::super::{
    MAX_DESTINATIONS, Report,
    destinations::{Destination, Destinations, Kind, MAX_TOLD, Remote, few},
    octets_of,
};
use super::markup::Markup;
use super::tables;
use crate::{
    format::{
        NO_NAME, conservation, count, heading, is_unseen, nothing_seen, percent, resolving_of,
        totals,
    },
    store::DeviceSummary,
};

const COLUMNS: [tables::Column<'static>; 10] = [
    ("Name", false),
    ("Up octets", true),
    ("Down octets", true),
    ("Share", true),
    ("Addresses", false),
    ("Place", false),
    ("Organization", false),
    ("Ports", false),
    ("Known by", false),
    ("Last seen", false),
];

/// Writes the section.
pub(super) fn write(report: &Report<'_>, device: &DeviceSummary, page: &mut Markup) {
    page.element("section", &[], |page| {
        page.element("h2", &[], |page| {
            let mut mac = None;
            let name = heading(device, |name, address| {
                mac = Some(address.to_string());
                name.to_owned()
            });
            page.text(&name);
            if let Some(mac) = mac {
                page.text(" ");
                page.leaf("span", &[("class", "mac")], &mac);
            }
        });
        if is_unseen(device) {
            page.leaf("p", &[], nothing_seen(&report.snapshot.meta));
            return;
        }
        let destinations = Destinations::of(report.snapshot, device, MAX_DESTINATIONS);
        let lines = totals(device).into_iter();
        for line in lines.chain(nameless(device, &destinations)) {
            page.leaf("p", &[], &line);
        }
        write_destinations(device, &destinations, page);
        let resolving = resolving_of(report.snapshot, device);
        let class = if device.conserved { "note" } else { "warning" };
        let conservation = conservation(report.snapshot, device);
        page.leaf("p", &[("class", class)], &conservation);
        if let Some(resolving) = resolving {
            page.leaf("p", &[("class", "note")], &resolving);
        }
    });
}

/// Returns how much went to who has no name.
fn nameless(device: &DeviceSummary, destinations: &Destinations<'_>) -> Option<String> {
    let octets = destinations.nameless.octets();
    let share = percent(octets, octets_of(device));
    (octets > 0).then(|| format!("{share} of the octets are of destinations without a name."))
}

fn write_destinations(device: &DeviceSummary, destinations: &Destinations<'_>, page: &mut Markup) {
    let whole = octets_of(device);
    let caption = format!(
        "Where {} sends to and receives from: {}",
        device.device,
        count(destinations.count as u64, "destination")
    );
    let body = |page: &mut Markup| {
        for destination in &destinations.told {
            write_destination(destination, whole, page);
        }
    };
    let foot = |page: &mut Markup| {
        let Some((rest, sums)) = &destinations.rest else {
            return;
        };
        page.element("tr", &[], |page| {
            let title = format!("{} together", count(*rest as u64, "smaller one"));
            page.leaf("th", &[("scope", "row")], &title);
            tables::octets(page, sums.up, sums.down, whole);
            for _ in 0..5 {
                page.leaf("td", &[], "");
            }
            tables::time(page, sums.last_seen());
        });
    };
    tables::table(page, &caption, &COLUMNS, body, foot);
}

fn write_destination(destination: &Destination<'_>, whole: u64, page: &mut Markup) {
    page.element("tr", &[], |page| {
        match destination.kind {
            Kind::Named => page.element("th", &[("scope", "row")], |page| {
                page.text(&destination.name);
                for other in destination.other_names.iter().take(MAX_TOLD) {
                    page.void("br", &[]);
                    page.leaf("span", &[("class", "other")], &format!("or {other}"));
                }
            }),
            Kind::Nameless => page.leaf("th", &[("scope", "row"), ("class", "none")], NO_NAME),
            Kind::Local => page.leaf("th", &[("scope", "row"), ("class", "none")], "-"),
        }
        let (remotes, sums) = (&destination.remotes, &destination.sums);
        tables::octets(page, sums.up, sums.down, whole);
        lines(page, "a", remotes.iter().map(|it| it.address.to_string()));
        lines(page, "w", remotes.iter().map(Remote::location));
        lines(
            page,
            "w",
            remotes.iter().map(|it| it.organization().to_owned()),
        );
        lines(page, "", destination.services.iter().cloned());
        page.leaf("td", &[], destination.source.unwrap_or_default());
        tables::time(page, sums.last_seen());
    });
}

/// Writes a cell of the first few of some texts, each once and on its own line.
fn lines(page: &mut Markup, class: &str, texts: impl Iterator<Item = String>) {
    let told = few(texts);
    page.element("td", &[("class", class)], |page| {
        for (number, text) in told.iter().enumerate() {
            if number > 0 {
                page.void("br", &[]);
            }
            page.text(text);
        }
    });
}
