//! A device's section: its sums, where it sends, and whether all is accounted for.

use super::super::{
    MAX_DESTINATIONS, Report,
    destinations::{Destination, Destinations, Kind, MAX_SERVICES, MAX_TOLD, Remote, few},
    octets_of,
};
use super::markup::Markup;
use super::tables;
use crate::{
    format::{
        NO_NAME, conservation, count, heading, is_unseen, nothing_seen, percent, resolving_of,
        totals,
    },
    model::FlowRecord,
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
    ("First seen", false),
    ("Last seen", false),
];

/// Returns what the section of a device is called within the page: its position among the devices.
pub(super) fn anchor(position: usize) -> String {
    format!("device-{}", position + 1)
}

/// Writes the section of a device, at this position and with these flows.
pub(super) fn write(
    report: &Report<'_>,
    (position, device): (usize, &DeviceSummary),
    flows: &[&FlowRecord],
    page: &mut Markup,
) {
    page.element("section", &[("id", &anchor(position))], |page| {
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
        let destinations = Destinations::of(flows, MAX_DESTINATIONS);
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
    let foot = |page: &mut Markup| write_rest(destinations, whole, page);
    let foot: Option<&dyn Fn(&mut Markup)> = destinations.rest.is_some().then_some(&foot);
    tables::table(page, &caption, &COLUMNS, body, foot);
}

fn write_rest(destinations: &Destinations<'_>, whole: u64, page: &mut Markup) {
    let Some((rest, sums)) = &destinations.rest else {
        return;
    };
    page.element("tr", &[], |page| {
        let title = format!("{} together", count(*rest as u64, "smaller one"));
        page.leaf("th", &[("scope", "row")], &title);
        tables::octets(page, sums.up, sums.down, whole);
        page.leaf("td", &[("colspan", "4")], "");
        tables::times(page, sums.seen);
    });
}

fn write_destination(destination: &Destination<'_>, whole: u64, page: &mut Markup) {
    page.element("tr", &[], |page| {
        match destination.kind {
            Kind::Named => page.element("th", &[("scope", "row")], |page| {
                write_names(destination, page);
            }),
            Kind::Nameless => page.leaf("th", &[("scope", "row"), ("class", "none")], NO_NAME),
            Kind::Local => page.leaf("th", &[("scope", "row"), ("class", "none")], "-"),
        }
        let (remotes, sums) = (&destination.remotes, &destination.sums);
        tables::octets(page, sums.up, sums.down, whole);
        let addresses = remotes.iter().map(|it| it.address.to_string());
        lines(page, &few(addresses, MAX_TOLD));
        lines(page, &destination.of_each(Remote::location));
        let organization = |it: &Remote<'_>| it.organization().to_owned();
        lines(page, &destination.of_each(organization));
        let services = destination.services.iter().cloned();
        lines(page, &few(services, MAX_SERVICES));
        tables::times(page, sums.seen);
    });
}

/// Writes a name with what it is known by, and the others that its addresses may go by.
fn write_names(destination: &Destination<'_>, page: &mut Markup) {
    page.breakable(&destination.name);
    if let Some(source) = destination.source {
        page.text(" ");
        page.leaf("span", &[("class", "source")], source);
    }
    let others = destination.other_names.iter().map(ToString::to_string);
    for (number, other) in few(others, MAX_TOLD).iter().enumerate() {
        page.void("br", &[]);
        page.element("span", &[("class", "other")], |page| {
            if number < MAX_TOLD {
                page.text("or ");
            }
            page.breakable(other);
        });
    }
}

/// Writes a cell of some texts, each on its own line. Where there are several, none is broken: those
/// of cells side by side belong together.
fn lines(page: &mut Markup, texts: &[String]) {
    let class = if texts.len() > 1 { "lines" } else { "" };
    page.element("td", &[("class", class)], |page| {
        for (number, text) in texts.iter().enumerate() {
            if number > 0 {
                page.void("br", &[]);
            }
            page.text(text);
        }
    });
}
