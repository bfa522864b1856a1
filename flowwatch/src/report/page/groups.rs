//! A table of groups: countries, organizations, or whatever flows are put together by.

use super::markup::Markup;
use super::tables;
use crate::{
    format::count,
    grouping::{Group, Grouping},
    model::Value,
    observation::Traffic,
};

/// What the group is called whose value is unknown.
const NONE: &str = "(none)";
/// Groups that are told one by one; the rest is one row.
const MAX_GROUPS: usize = 50;

/// Writes the table.
pub(super) fn write(groups: &[Group], by: &'static Grouping, page: &mut Markup) {
    let (told, rest) = groups.split_at(groups.len().min(MAX_GROUPS));
    let title = title_of(by);
    let columns = [
        (&*title, false),
        ("Up octets", true),
        ("Down octets", true),
        ("Share", true),
        ("Devices", true),
        ("Names", true),
        ("Addresses", true),
        ("Flows", true),
        ("First seen", false),
        ("Last seen", false),
    ];
    let caption = format!(
        "What was sent and received, by {}",
        by.name.replace('_', " ")
    );
    let body = |page: &mut Markup| {
        for group in told {
            write_group(group, page);
        }
    };
    let foot = |page: &mut Markup| write_rest(rest, page);
    let foot: Option<&dyn Fn(&mut Markup)> = (!rest.is_empty()).then_some(&foot);
    tables::table(page, &caption, &columns, body, foot);
}

/// Returns what a grouping's column is called, as `Name source`.
pub(super) fn title_of(by: &Grouping) -> String {
    let words = by.name.replace('_', " ");
    let first = words.chars().take(1).flat_map(char::to_uppercase);
    first.chain(words.chars().skip(1)).collect()
}

fn write_group(group: &Group, page: &mut Markup) {
    page.element("tr", &[], |page| {
        page.leaf("th", &[("scope", "row")], &called(group));
        tables::octets(page, group.up, group.down, group.whole);
        for number in [group.devices, group.names, group.addresses, group.flows] {
            tables::number(page, number);
        }
        tables::times(page, group.first_seen.zip(group.last_seen));
    });
}

/// Returns what a group is called: its value, with the label where it has one.
pub(super) fn called(group: &Group) -> String {
    let (value, label) = (group.value.clone(), group.label.clone().into_text());
    match (value, label.is_empty()) {
        (Value::Null, true) => NONE.to_owned(),
        (Value::Null, false) => label.into_owned(),
        (value, true) => value.into_text().into_owned(),
        (value, false) => format!("{label} ({})", value.into_text()),
    }
}

fn write_rest(rest: &[Group], page: &mut Markup) {
    let Some(first) = rest.first() else { return };
    let sum = |traffic: fn(&Group) -> Traffic| {
        rest.iter().fold(Traffic::default(), |mut sum, group| {
            sum += traffic(group);
            sum
        })
    };
    page.element("tr", &[], |page| {
        let others = count(rest.len() as u64, "other");
        page.leaf("th", &[("scope", "row")], &format!("{others} together"));
        tables::octets(page, sum(|it| it.up), sum(|it| it.down), first.whole);
        // Devices, names and addresses of several groups may be the same ones.
        for _ in 0..3 {
            page.leaf("td", &[("class", "n")], "");
        }
        tables::number(page, rest.iter().map(|group| group.flows).sum());
        let first = rest.iter().filter_map(|it| it.first_seen).min();
        let last = rest.iter().filter_map(|it| it.last_seen).max();
        tables::times(page, first.zip(last));
    });
}
