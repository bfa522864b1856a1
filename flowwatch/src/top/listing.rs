//! Which lines are shown, and in what order: the device's flows that the filter lets through, each a
//! line, or as many as go together under one.
//!
//! Made anew for every picture. Only the lines that are in sight are put in order: of 50,000 flows,
//! that costs a tenth of sorting them all.

use std::cmp::Ordering;
use std::collections::HashMap;

use foldhash::fast::RandomState;
use jiff::Timestamp;

use super::filter::{self, Filter};
use super::flow::Flow;
use super::rate::Rate;
use super::world::{Slot, World};
use crate::geo::Scope;
use crate::live::FlowNumber;

/// What goes together in one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Grouping {
    /// Nothing: a line a flow.
    #[default]
    Flows,
    Names,
    Organizations,
    Countries,
}

impl Grouping {
    /// Returns the one after this, the first again after the last.
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Flows => Self::Names,
            Self::Names => Self::Organizations,
            Self::Organizations => Self::Countries,
            Self::Countries => Self::Flows,
        }
    }

    /// Returns what the lines are, and what one of them is called by.
    pub(super) const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Flows => ("Destinations", "Name"),
            Self::Names => ("Names", "Name"),
            Self::Organizations => ("Organizations", "Organization"),
            Self::Countries => ("Countries", "Country"),
        }
    }

    /// Returns the key of filters that finds what is in one line.
    const fn key(self) -> &'static str {
        match self {
            Self::Flows | Self::Names => "name",
            Self::Organizations => "org",
            Self::Countries => "country",
        }
    }

    /// Returns what a flow goes under.
    pub(super) fn label(self, flow: &Flow) -> Label<'_> {
        let place = &flow.record.place;
        let text = match self {
            Self::Flows | Self::Names => flow.name.as_deref(),
            Self::Organizations => place.organization.as_deref(),
            Self::Countries => place.country.as_deref(),
        };
        match text {
            Some(text) if !text.is_empty() => Label::Text(text),
            _ => Label::Of(flow.record.scope),
        }
    }
}

/// What several flows have in common: a text, or the kind of address of those without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Label<'world> {
    Text(&'world str),
    Of(Scope),
}

/// One line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'world> {
    /// The flow; of several, the one with the most octets.
    pub(super) number: FlowNumber,
    pub(super) flow: &'world Flow,
    /// How many flows it stands for.
    pub(super) flows: u32,
    /// Of these, those that are new.
    pub(super) new: u32,
    pub(super) rate: Rate,
    pub(super) up: u64,
    pub(super) down: u64,
    pub(super) first_seen: Timestamp,
    pub(super) last_seen: Timestamp,
}

impl<'world> Line<'world> {
    fn of(number: FlowNumber, flow: &'world Flow, is_new: bool) -> Self {
        let record = &flow.record;
        Self {
            number,
            flow,
            flows: 1,
            new: u32::from(is_new),
            rate: flow.smoothed,
            up: record.up.octets,
            down: record.down.octets,
            first_seen: record.first_seen,
            last_seen: record.last_seen,
        }
    }

    fn join(&mut self, other: &Self) {
        if other.flow.record.octets() > self.flow.record.octets() {
            self.number = other.number;
            self.flow = other.flow;
        }
        self.flows += other.flows;
        self.new += other.new;
        self.rate = self.rate.plus(other.rate);
        self.up += other.up;
        self.down += other.down;
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
    }

    pub(super) fn octets(&self) -> u64 {
        self.up.saturating_add(self.down)
    }
}

/// What the lines are to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a> {
    /// The device; none for all.
    pub(super) device: Option<Slot>,
    pub(super) filter: &'a Filter,
    pub(super) grouping: Grouping,
}

/// Returns the lines, in no order.
pub(super) fn lines<'world>(world: &'world World, query: Query<'_>) -> Vec<Line<'world>> {
    let listed = world.listed_slots();
    let shows = |flow: &Flow| {
        let is_devices = query.device.is_none_or(|device| device == flow.device);
        is_devices && listed[flow.device as usize] && query.filter.shows(flow)
    };
    let flows = world.flows.iter().filter(|(_, flow)| shows(flow));
    let flows = flows.map(|(number, flow)| Line::of(*number, flow, world.is_new(flow)));
    if query.grouping == Grouping::Flows {
        return flows.collect();
    }
    let mut groups: HashMap<Label<'_>, Line<'_>, RandomState> = HashMap::default();
    for line in flows {
        let label = query.grouping.label(line.flow);
        let known = groups.entry(label);
        known.and_modify(|known| known.join(&line)).or_insert(line);
    }
    groups.into_values().collect()
}

/// Returns what finds, as the user would type it, the flows of one line.
pub(super) fn filter_of(line: &Line<'_>, grouping: Grouping) -> String {
    let key = grouping.key();
    match grouping.label(line.flow) {
        Label::Text(text) => filter::term(key, Some(text)),
        Label::Of(scope) => format!("{} scope:{scope}", filter::term(key, None)),
    }
}

/// Which line comes first.
pub(super) type Order<'a> = &'a dyn Fn(&Line<'_>, &Line<'_>) -> Ordering;

/// Returns the position that a line has in an order.
pub(super) fn position_of(lines: &[Line<'_>], line: &Line<'_>, order: Order<'_>) -> usize {
    let before = lines.iter().filter(|other| order(other, line).is_lt());
    before.count()
}

/// Puts as many lines from a position on as are in sight where they belong; the others stay in no
/// order. Returns those in sight.
pub(super) fn in_sight<'lines, 'world>(
    lines: &'lines mut [Line<'world>],
    from: usize,
    height: usize,
    order: Order<'_>,
) -> &'lines [Line<'world>] {
    let end = lines.len().min(from.saturating_add(height));
    let from = from.min(end);
    if from > 0 && from < lines.len() {
        lines.select_nth_unstable_by(from, |a, b| order(a, b));
    }
    let rest = &mut lines[from..];
    let height = end - from;
    if height > 0 && height < rest.len() {
        rest.select_nth_unstable_by(height - 1, |a, b| order(a, b));
    }
    let seen = &mut rest[..height];
    seen.sort_unstable_by(|a, b| order(a, b));
    seen
}

#[cfg(test)]
impl<'world> Line<'world> {
    /// Returns the line of a flow by itself.
    pub(super) fn of_test(flow: &'world Flow) -> Self {
        Self::of(0, flow, false)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{camera_flows, octets, update};
    use super::*;

    fn world() -> World {
        let mut world = World::default();
        let flows = camera_flows();
        world.take_in(update(0, (0..).zip(flows).collect()));
        world
    }

    fn query(filter: &Filter, grouping: Grouping) -> Query<'_> {
        Query {
            device: None,
            filter,
            grouping,
        }
    }

    #[test]
    fn flows_of_one_organization_are_one_line_with_their_sums() {
        let mut flows = camera_flows();
        flows[0].place = flows[1].place.clone();
        flows[0].up = octets(50);
        flows[1].up = octets(7_000);
        let mut world = World::default();
        world.take_in(update(0, (0..).zip(flows).collect()));
        let filter = Filter::default();
        let lines = lines(&world, query(&filter, Grouping::Organizations));
        let found = lines.iter().find(|line| line.flows == 2).unwrap();
        assert_eq!((found.up, found.down, found.number), (7_050, 6_000, 1));
        assert_eq!(lines.len(), 3);
        let by_country = super::lines(&world, query(&filter, Grouping::Countries));
        let mut flows: Vec<_> = by_country.iter().map(|line| line.flows).collect();
        flows.sort_unstable();
        assert_eq!(flows, [1, 3]);
    }

    #[test]
    fn a_line_is_found_again_by_what_it_makes_a_filter_of() {
        let world = world();
        let all = Filter::default();
        for grouping in [
            Grouping::Names,
            Grouping::Organizations,
            Grouping::Countries,
        ] {
            for line in lines(&world, query(&all, grouping)) {
                let text = filter_of(&line, grouping);
                let filter = Filter::parse(&text).unwrap();
                let found = lines(&world, query(&filter, Grouping::Flows));
                assert_eq!(found.len(), line.flows as usize, "{text}");
            }
        }
    }

    #[test]
    fn what_is_in_sight_is_as_if_all_were_sorted() {
        let mut world = World::default();
        let template = camera_flows().remove(0);
        let told = (0..500_u32).map(|number| {
            let mut flow = template.clone();
            flow.up = octets(u64::from(number * 7_919 % 211));
            (number, flow)
        });
        world.take_in(update(0, told.collect()));
        let filter = Filter::default();
        let order =
            |a: &Line<'_>, b: &Line<'_>| b.up.cmp(&a.up).then_with(|| a.number.cmp(&b.number));
        let mut lines = lines(&world, query(&filter, Grouping::Flows));
        let mut sorted = lines.clone();
        sorted.sort_by(order);
        let numbers = |lines: &[Line<'_>]| lines.iter().map(|it| it.number).collect::<Vec<_>>();
        for (from, height) in [
            (0, 20),
            (1, 1),
            (250, 30),
            (490, 20),
            (500, 5),
            (600, 5),
            (0, 999),
        ] {
            let expected = numbers(&sorted[from.min(500)..(from + height).min(500)]);
            let seen = in_sight(&mut lines, from, height, &order);
            assert_eq!(numbers(seen), expected, "{from} {height}");
        }
        for (position, line) in sorted.iter().enumerate().step_by(37) {
            assert_eq!(position_of(&lines, line, &order), position);
        }
    }
}
