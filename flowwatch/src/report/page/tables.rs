//! What the page's tables have in common, and the table of devices.

use jiff::Timestamp;

use super::super::{MAX_DEVICES_TOLD, Report};
use super::device;
use super::markup::Markup;
use crate::{
    format::{grouped, percent},
    observation::Traffic,
};

/// A column: its title, and whether it is of numbers.
pub(super) type Column<'a> = (&'a str, bool);

/// Writes a table that the script can sort; what is in `foot` stays at its end.
pub(super) fn table(
    page: &mut Markup,
    caption: &str,
    columns: &[Column<'_>],
    body: impl FnOnce(&mut Markup),
    foot: Option<&dyn Fn(&mut Markup)>,
) {
    let region = [("class", "scroll"), ("role", "region"), ("tabindex", "0")];
    let label = [region[0], region[1], region[2], ("aria-label", caption)];
    page.element("div", &label, |page| {
        page.element("table", &[("class", "sorts")], |page| {
            page.leaf("caption", &[], caption);
            page.element("thead", &[], |page| {
                page.element("tr", &[], |page| {
                    for (title, is_number) in columns {
                        let class = if *is_number { "n" } else { "" };
                        page.leaf("th", &[("scope", "col"), ("class", class)], title);
                    }
                });
            });
            page.element("tbody", &[], body);
            if let Some(foot) = foot {
                page.element("tfoot", &[], foot);
            }
        });
    });
}

/// Writes a cell of a number, by which the column is sorted.
pub(super) fn number(page: &mut Markup, number: u64) {
    let exact = number.to_string();
    page.leaf(
        "td",
        &[("class", "n"), ("data-v", &exact)],
        &grouped(number),
    );
}

/// Writes a cell of a share, with a bar that shows it.
pub(super) fn share(page: &mut Markup, part: u64, whole: u64) {
    let exact = part.to_string();
    page.element("td", &[("class", "n"), ("data-v", &exact)], |page| {
        page.text(&percent(part, whole));
        let permille = (u128::from(part) * 1_000 / u128::from(whole.max(1))).min(1_000);
        let width = format!("{}.{}%", permille / 10, permille % 10);
        let frame = [("class", "share"), ("aria-hidden", "true")];
        page.element("svg", &frame, |page| {
            page.void("rect", &[("width", &width), ("height", "100%")]);
        });
    });
}

/// Writes a cell of a time; sorted as a text, times are in their order.
pub(super) fn time(page: &mut Markup, at: Option<Timestamp>) {
    let Some(at) = at else {
        page.leaf("td", &[], "");
        return;
    };
    let exact = at.to_string();
    page.element("td", &[("class", "t")], |page| {
        let shown = at.strftime("%Y-%m-%d %H:%M").to_string();
        page.leaf("time", &[("datetime", &exact)], &shown);
    });
}

/// Writes the cells of when something was first and last seen.
pub(super) fn times(page: &mut Markup, seen: Option<(Timestamp, Timestamp)>) {
    time(page, seen.map(|(first, _)| first));
    time(page, seen.map(|(_, last)| last));
}

/// Writes the cells of octets up and down and of their share of a whole.
pub(super) fn octets(page: &mut Markup, up: Traffic, down: Traffic, whole: u64) {
    number(page, up.octets);
    number(page, down.octets);
    share(page, up.octets.saturating_add(down.octets), whole);
}

/// Writes the table of devices.
pub(super) fn devices(report: &Report<'_>, page: &mut Markup) {
    let columns = [
        ("Device", false),
        ("Up octets", true),
        ("Down octets", true),
        ("Share", true),
        ("Flows", true),
        ("MAC address", false),
    ];
    let whole = report.octets();
    let body = |page: &mut Markup| {
        for (position, device) in report.devices().into_iter().enumerate() {
            page.element("tr", &[], |page| {
                page.element("th", &[("scope", "row")], |page| {
                    name(page, position, &device.device);
                });
                let traffic = |packets, octets| Traffic { packets, octets };
                let up = traffic(device.up.packets, device.up.octets);
                let down = traffic(device.down.packets, device.down.octets);
                octets(page, up, down, whole);
                number(page, device.flows);
                let mac = device.device_mac.map(|mac| mac.to_string());
                page.leaf("td", &[("class", "a")], &mac.unwrap_or_default());
            });
        }
    };
    table(
        page,
        "What each device sent and received",
        &columns,
        body,
        None,
    );
}

/// Writes a device's name, which leads to its section where it has one.
fn name(page: &mut Markup, position: usize, name: &str) {
    if position < MAX_DEVICES_TOLD {
        let section = format!("#{}", device::anchor(position));
        page.leaf("a", &[("href", &section)], name);
    } else {
        page.text(name);
    }
}
