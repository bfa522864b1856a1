//! The columns of the destinations: how each sorts, and which of them a width has room for. What they
//! show is `cells`'.

use std::cmp::Ordering;

use super::cell::Cut;
use super::listing::{Grouping, Line};
use super::quantity::{AGE_WIDTH, OCTETS_WIDTH};
use crate::names::NameSource;

/// Columns from which on octets are shown to the last one.
pub(super) const EXACT_WIDTH: u16 = 14;
/// Columns between two columns.
const GAP: u16 = 1;
/// From so many columns on, a name has more of them before another column comes.
const ROOMY: u16 = 100;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    Via,
    Device,
    Address,
    Country,
    Organization,
    Port,
    Flows,
    UpRate,
    DownRate,
    Up,
    Down,
    First,
    Last,
}

/// How a column looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    column: Column,
    pub(super) title: &'static str,
    /// What it shows, for help.
    pub(super) description: &'static str,
    least: u16,
    pub(super) is_right: bool,
    pub(super) cut: Cut,
}

const fn left(column: Column, title: &'static str, least: u16, cut: Cut) -> Layout {
    Layout {
        column,
        title,
        description: "",
        least,
        is_right: false,
        cut,
    }
}

const fn right(column: Column, title: &'static str, least: u16) -> Layout {
    Layout {
        is_right: true,
        ..left(column, title, least, Cut::End)
    }
}

const fn told(description: &'static str, layout: Layout) -> Layout {
    Layout {
        description,
        ..layout
    }
}

/// The columns, from left to right.
pub(super) const COLUMNS: &[Layout] = &[
    told(
        "the best name that the device reached it under",
        left(Column::Name, "Name", 18, Cut::Middle),
    ),
    told(
        "where the name is from; with `!`, the device was not seen to ask DNS for it",
        left(Column::Via, "Via", 5, Cut::End),
    ),
    told("the device", left(Column::Device, "Device", 8, Cut::Middle)),
    told(
        "the IP address",
        left(Column::Address, "Address", 15, Cut::Middle),
    ),
    told(
        "the country, or its code (CC)",
        left(Column::Country, "CC", 2, Cut::End),
    ),
    told(
        "who announces or holds the address",
        left(Column::Organization, "Organization", 14, Cut::End),
    ),
    told("protocol and port", left(Column::Port, "Port", 9, Cut::End)),
    told(
        "the destinations that a group has",
        right(Column::Flows, "Dest.", 5),
    ),
    told(
        "octets a second from the device, over some seconds",
        right(Column::UpRate, "Up/s", OCTETS_WIDTH),
    ),
    told(
        "octets a second to the device, likewise",
        right(Column::DownRate, "Down/s", OCTETS_WIDTH),
    ),
    told(
        "octets from the device since counting began",
        right(Column::Up, "Up", OCTETS_WIDTH),
    ),
    told(
        "octets to the device, likewise",
        right(Column::Down, "Down", OCTETS_WIDTH),
    ),
    told(
        "how long ago the first packet was",
        right(Column::First, "First", AGE_WIDTH + 1),
    ),
    told(
        "how long ago the last packet was",
        right(Column::Last, "Last", AGE_WIDTH),
    ),
];

/// The columns of flows, the ones that come first where there is little room.
const OF_FLOWS: &[Column] = &[
    Column::Name,
    Column::UpRate,
    Column::DownRate,
    Column::Country,
    Column::Port,
    Column::Organization,
    Column::Device,
    Column::Up,
    Column::Address,
    Column::Last,
    Column::Down,
    Column::Via,
    Column::First,
];

/// The columns of groups, likewise.
const OF_GROUPS: &[Column] = &[
    Column::Name,
    Column::UpRate,
    Column::DownRate,
    Column::Up,
    Column::Down,
    Column::Flows,
    Column::Last,
    Column::First,
];

/// What becomes of columns that are left: which column grows to how many, one after the other.
const GROWTH: &[(Column, u16)] = &[
    (Column::Name, 30),
    (Column::Organization, 26),
    (Column::Up, EXACT_WIDTH + 1),
    (Column::Down, EXACT_WIDTH + 1),
    (Column::Device, 14),
    (Column::Country, 20),
    (Column::Name, 44),
    (Column::Address, 39),
    (Column::Organization, 40),
    (Column::Name, 80),
];

/// A column that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) column: Column,
    /// Its distance from the left.
    pub(super) x: u16,
    pub(super) width: u16,
}

/// Returns the columns that a width has room for, from left to right.
pub(super) fn shown(width: u16, grouping: Grouping, has_devices: bool) -> Vec<Shown> {
    let wanted = match grouping {
        Grouping::Flows => OF_FLOWS,
        _ => OF_GROUPS,
    };
    let mut widths = vec![0; COLUMNS.len()];
    let mut rest = width + GAP;
    for column in wanted {
        let least = match column {
            Column::Device if !has_devices => continue,
            Column::Name if width >= ROOMY => 28,
            _ => column.layout().least,
        };
        // The next might be narrow enough, but columns must not come and go as a window grows.
        let Some(left) = rest.checked_sub(least + GAP) else {
            break;
        };
        rest = left;
        widths[column.place()] = least;
    }
    for (column, most) in GROWTH {
        let own = &mut widths[column.place()];
        if *own > 0 {
            let grown = rest.min(most.saturating_sub(*own));
            *own += grown;
            rest -= grown;
        }
    }
    let mut x = 0;
    let mut shown = Vec::with_capacity(wanted.len());
    for (layout, width) in COLUMNS.iter().zip(widths).filter(|(_, width)| *width > 0) {
        let column = layout.column;
        shown.push(Shown { column, x, width });
        x += width + GAP;
    }
    shown
}

impl Column {
    fn place(self) -> usize {
        let mut layouts = COLUMNS.iter();
        layouts
            .position(|layout| layout.column == self)
            .unwrap_or_default()
    }

    pub(super) fn layout(self) -> &'static Layout {
        &COLUMNS[self.place()]
    }

    /// Returns whether the largest or latest comes first where the user did not turn it round.
    pub(super) const fn descends(self) -> bool {
        matches!(
            self,
            Self::Flows
                | Self::UpRate
                | Self::DownRate
                | Self::Up
                | Self::Down
                | Self::First
                | Self::Last
        )
    }

    /// Returns which of two lines comes first, ascending.
    pub(super) fn compare(self, grouping: Grouping, a: &Line<'_>, b: &Line<'_>) -> Ordering {
        let (first, second) = (&a.flow.record, &b.flow.record);
        match self {
            Self::Name => grouping.label(a.flow).cmp(&grouping.label(b.flow)),
            Self::Via => source(a).cmp(&source(b)),
            Self::Device => first.device.name.cmp(&second.device.name),
            Self::Address => first.remote_address.cmp(&second.remote_address),
            Self::Country => {
                let code = |record: &crate::model::FlowRecord| record.place.country.clone();
                known(code(first)).cmp(&known(code(second)))
            }
            Self::Organization => {
                let (one, other) = (&first.place.organization, &second.place.organization);
                known(one.as_deref()).cmp(&known(other.as_deref()))
            }
            Self::Port => {
                let port =
                    |record: &crate::model::FlowRecord| (record.protocol, record.remote_port);
                port(first).cmp(&port(second))
            }
            Self::Flows => a.flows.cmp(&b.flows),
            Self::UpRate => a.rate.up.total_cmp(&b.rate.up),
            Self::DownRate => a.rate.down.total_cmp(&b.rate.down),
            Self::Up => a.up.cmp(&b.up),
            Self::Down => a.down.cmp(&b.down),
            Self::First => a.first_seen.cmp(&b.first_seen),
            Self::Last => a.last_seen.cmp(&b.last_seen),
        }
    }
}

/// Puts what is not known behind all that is.
fn known<T>(value: Option<T>) -> (bool, Option<T>) {
    (value.is_none(), value)
}

fn source(line: &Line<'_>) -> (bool, Option<&'static str>) {
    known(line.flow.record.naming.source().map(NameSource::name))
}

/// How the lines are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sorting {
    pub(super) column: Column,
    pub(super) descends: bool,
}

impl Sorting {
    /// Sorts by a column in its own direction.
    pub(super) const fn by(column: Column) -> Self {
        Self {
            column,
            descends: column.descends(),
        }
    }

    /// Returns how lines are sorted that are grouped so: by a column that groups have none of, not.
    pub(super) fn of(self, grouping: Grouping) -> Self {
        if grouping == Grouping::Flows || OF_GROUPS.contains(&self.column) {
            self
        } else {
            Self::by(Column::UpRate)
        }
    }

    /// Returns which of two lines comes first. Lines that are equal in the column go by their octets,
    /// then by their number, so that nothing jumps.
    pub(super) fn order(self, grouping: Grouping, a: &Line<'_>, b: &Line<'_>) -> Ordering {
        let order = self.column.compare(grouping, a, b);
        let order = if self.descends {
            order.reverse()
        } else {
            order
        };
        order
            .then_with(|| b.octets().cmp(&a.octets()))
            .then_with(|| a.number.cmp(&b.number))
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell;
    use super::super::cells::CellContext;
    use super::super::fixtures::{after, camera_flows, flow_of};
    use super::*;

    const WIDTHS: std::ops::RangeInclusive<u16> = 78..=300;

    #[test]
    fn columns_never_overlap_and_never_pass_the_width() {
        for grouping in [Grouping::Flows, Grouping::Names] {
            for width in WIDTHS {
                let shown = shown(width, grouping, true);
                for pair in shown.windows(2) {
                    assert_eq!(pair[0].x + pair[0].width + GAP, pair[1].x, "{width}");
                }
                let last = shown.last().unwrap();
                assert!(last.x + last.width <= width, "{width}");
            }
        }
    }

    #[test]
    fn a_wider_window_shows_no_fewer_columns() {
        let mut before = 0;
        for width in WIDTHS.filter(|width| *width != ROOMY) {
            let count = shown(width, Grouping::Flows, true).len();
            assert!(count >= before || width == ROOMY + 1, "{width}");
            before = count;
        }
        assert_eq!(shown(200, Grouping::Flows, true).len(), OF_FLOWS.len());
    }

    #[test]
    fn the_narrowest_window_tells_who_where_and_how_fast() {
        let shown = shown(78, Grouping::Flows, false);
        let titles: Vec<_> = shown.iter().map(|it| it.column.layout().title).collect();
        assert_eq!(
            titles,
            ["Name", "CC", "Organization", "Port", "Up/s", "Down/s", "Up"]
        );
    }

    #[test]
    fn every_cell_of_numbers_fits_the_least_width() {
        let mut record = camera_flows().remove(0);
        record.remote_port = u16::MAX;
        record.up.octets = u64::MAX;
        let flow = flow_of(&record);
        let mut line = Line::of_test(&flow);
        line.up = u64::MAX;
        line.rate.up = 1e30;
        let ctx = CellContext {
            at: after(99_999_999),
            grouping: Grouping::Flows,
            has_addresses: true,
        };
        for layout in COLUMNS
            .iter()
            .filter(|layout| layout.is_right || layout.title == "Port")
        {
            let text = layout.column.cell(&line, layout.least, ctx);
            assert!(cell::width(&text) <= usize::from(layout.least), "{text}");
        }
    }

    #[test]
    fn each_column_sorts_by_what_it_shows_and_the_unknown_comes_last() {
        let flows = camera_flows();
        let flows: Vec<_> = flows.iter().map(flow_of).collect();
        let sorted = |column: Column| {
            let mut lines: Vec<_> = flows.iter().map(Line::of_test).collect();
            lines.sort_by(|a, b| column.compare(Grouping::Flows, a, b));
            let last = |line: &Line<'_>| line.flow.record.remote_address.to_string();
            lines.iter().map(last).collect::<Vec<_>>().join(" ")
        };
        let (cn, us, time, gateway) =
            ("120.24.59.150", "50.7.98.242", "129.6.15.28", "192.168.8.1");
        let check = |column, expected: [&str; 4]| assert_eq!(sorted(column), expected.join(" "));
        check(Column::Name, [cn, us, time, gateway]);
        check(Column::Address, [us, cn, time, gateway]);
        check(Column::Country, [cn, us, time, gateway]);
        check(Column::Organization, [us, cn, time, gateway]);
        check(Column::Port, [cn, gateway, time, us]);
        check(Column::Via, [us, cn, time, gateway]);
    }
}
