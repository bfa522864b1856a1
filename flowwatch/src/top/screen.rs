//! The state of the screen, and what updates, keys and the mouse make of it.
//!
//! Pure: it knows no terminal and no clock but the updates'. What is to be done outside of it, it
//! returns as an [`Effect`]; `draw` makes a picture of it.

use jiff::Timestamp;
use ratatui::crossterm::event::KeyEvent;

use super::columns::{Column, Sorting};
use super::filter::Filter;
use super::input::{Input, Typed};
use super::keys::{Action, action_of};
use super::listing::{Grouping, Query, lines};
use super::look::Look;
use super::panes::{Chosen, Cursor, DevicesPane, Drawn, ListPane, Overlay, Pane};
use super::world::World;
use crate::live::Update;
use crate::store::Snapshot;

/// What is to be done outside of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Nothing,
    /// The program is to end.
    Quit,
    /// The program is to be stopped until the shell has it go on.
    Suspend,
    /// Everything is to be drawn anew.
    Redraw,
    /// What is shown is to be written in the format of this name.
    Export(&'static str),
    /// A capture is to be played on, or not.
    Hold(bool),
    /// A capture is to be played at twice the speed.
    Faster,
    /// A capture is to be played at half the speed.
    Slower,
}

/// The screen.
#[derive(Debug)]
pub struct Screen {
    pub(super) world: World,
    /// What is shown while paused.
    pub(super) frozen: Option<Box<World>>,
    /// Where the counts are from.
    pub(super) source: String,
    /// How fast a capture is played; none where nothing is.
    pub(super) speed: Option<String>,
    pub(super) look: Look,
    pub(super) focus: Pane,
    pub(super) devices: DevicesPane,
    pub(super) list: ListPane,
    pub(super) input: Option<Input>,
    pub(super) overlay: Overlay,
    /// Lines of the overlay above those in sight.
    pub(super) scroll: usize,
    /// What is to be said until the next key.
    pub(super) message: Option<String>,
    /// What is waited for, where updates should come.
    pub(super) waiting: Option<String>,
    /// Why no more updates come.
    pub(super) ended: Option<String>,
    /// Whether the next update is another counting's first.
    is_next_anew: bool,
    pub(super) drawn: Drawn,
}

impl Screen {
    /// Returns a screen that was told nothing yet, for a terminal without colours and Unicode.
    #[must_use]
    pub fn plain(source: &str) -> Self {
        Self::new(source.to_owned(), None, Look::of(|_| None))
    }

    /// Returns a screen that was told nothing yet.
    pub(super) fn new(source: String, speed: Option<String>, look: Look) -> Self {
        Self {
            world: World::default(),
            frozen: None,
            source,
            speed,
            look,
            focus: Pane::default(),
            devices: DevicesPane::default(),
            list: ListPane {
                cursor: Cursor::default(),
                sorting: Sorting::by(Column::UpRate),
                grouping: Grouping::default(),
                filter: Filter::default(),
                typed: String::new(),
            },
            input: None,
            overlay: Overlay::default(),
            scroll: 0,
            message: None,
            waiting: None,
            ended: None,
            is_next_anew: false,
            drawn: Drawn::default(),
        }
    }

    /// Takes in an update; while paused, without showing it.
    pub fn take_in(&mut self, update: Update) {
        self.waiting = None;
        if std::mem::take(&mut self.is_next_anew) {
            self.world.forget();
            if self.frozen.is_none() {
                self.let_go();
            }
        }
        self.world.take_in(update);
        let selected = self.devices.selected;
        if selected.is_some_and(|slot| !self.shown().listed.contains(&slot)) {
            self.devices.selected = None;
        }
    }

    /// Has the next update taken in as the first of another counting; until it comes, what was told
    /// last is shown.
    pub fn begin_anew(&mut self) {
        self.is_next_anew = true;
    }

    /// Takes in why no more updates come.
    pub(super) fn end(&mut self, why: String) {
        self.waiting = None;
        self.ended = Some(why);
    }

    /// Lets go of the flows that are known by their numbers, which are others' now.
    fn let_go(&mut self) {
        if matches!(self.overlay, Overlay::Details(_)) {
            self.overlay = Overlay::Nothing;
        }
        self.list.cursor = Cursor::default();
    }

    /// Returns what is shown: what was there as it was paused, or what is there now.
    pub(super) fn shown(&self) -> &World {
        self.frozen.as_deref().unwrap_or(&self.world)
    }

    /// Takes a key.
    pub fn press(&mut self, key: KeyEvent) -> Effect {
        self.message = None;
        if let Some(input) = &mut self.input {
            let typed = input.press(key);
            self.take_typed(typed);
            return Effect::Nothing;
        }
        action_of(key).map_or(Effect::Nothing, |action| self.act(action))
    }

    /// Takes pasted text, where there is a line for it.
    pub(super) fn paste(&mut self, text: &str) {
        if let Some(input) = &mut self.input {
            let typed = input.insert(text);
            self.take_typed(typed);
        }
    }

    fn take_typed(&mut self, typed: Typed) {
        let Some(input) = &self.input else { return };
        match typed {
            Typed::Nothing => {}
            Typed::Changed(filter) => {
                self.list.typed = input.text().to_owned();
                self.list.filter = filter;
                self.list.cursor = Cursor::default();
            }
            Typed::Kept => self.input = None,
            Typed::Dropped => {
                (self.list.typed, self.list.filter) = input.before.clone();
                self.input = None;
            }
        }
    }

    /// Does what a key stands for.
    pub(super) fn act(&mut self, action: Action) -> Effect {
        let page = usize::from(self.drawn.lines.height).max(1);
        match action {
            Action::Previous => self.step(|at| at.saturating_sub(1)),
            Action::Next => self.step(|at| at.saturating_add(1)),
            Action::PageUp => self.step(|at| at.saturating_sub(page)),
            Action::PageDown => self.step(|at| at.saturating_add(page)),
            Action::First => self.step(|_| 0),
            Action::Last => self.step(|_| usize::MAX),
            Action::OtherPane => self.change_pane(),
            Action::Open => self.open(),
            Action::Back => self.go_back(),
            Action::Filter => self.begin_filter(),
            Action::NextColumn => self.sort_beside(1),
            Action::PreviousColumn => self.sort_beside(-1),
            Action::Reverse => self.list.sorting.descends ^= true,
            Action::Group => self.group(self.list.grouping.next()),
            Action::Help => self.show(Overlay::Help),
            Action::Warnings => self.show(Overlay::Warnings),
            Action::Pause => return self.pause(),
            Action::Faster => return Effect::Faster,
            Action::Slower => return Effect::Slower,
            Action::ExportCsv => return Effect::Export("csv"),
            Action::ExportJson => return Effect::Export("json"),
            Action::Redraw => return Effect::Redraw,
            Action::Suspend => return Effect::Suspend,
            Action::Quit => return Effect::Quit,
        }
        Effect::Nothing
    }

    /// Moves what the keys move: the overlay's text, the device or the destination.
    pub(super) fn step(&mut self, to: impl Fn(usize) -> usize) {
        if self.overlay != Overlay::Nothing {
            self.scroll = to(self.scroll);
        } else if self.focus == Pane::Devices {
            let devices = &self.shown().listed;
            let last = devices.len();
            let place = |slot| devices.iter().position(|it| *it == slot);
            let at = self.devices.selected.and_then(place).map_or(0, |at| at + 1);
            self.select_device(to(at).min(last));
        } else {
            let last = self.drawn.count.saturating_sub(1);
            self.list.cursor.position = to(self.list.cursor.position).min(last);
            self.list.cursor.chosen = None;
        }
    }

    /// Shows the destinations of the device on a line of its pane, the first of which is all devices.
    pub(super) fn select_device(&mut self, line: usize) {
        let slot = line.checked_sub(1);
        let slot = slot.and_then(|line| self.shown().listed.get(line).copied());
        if slot != self.devices.selected {
            self.devices.selected = slot;
            self.list.cursor = Cursor::default();
        }
    }

    fn change_pane(&mut self) {
        self.focus = match self.focus {
            Pane::Devices => Pane::Destinations,
            Pane::Destinations => Pane::Devices,
        };
    }

    fn show(&mut self, overlay: Overlay) {
        self.overlay = if self.overlay == overlay {
            Overlay::Nothing
        } else {
            overlay
        };
        self.scroll = 0;
    }

    /// Opens what is selected.
    pub(super) fn open(&mut self) {
        if self.overlay != Overlay::Nothing {
            return;
        }
        match (self.focus, self.list.cursor.chosen.clone()) {
            (Pane::Devices, _) => self.focus = Pane::Destinations,
            (Pane::Destinations, Some(Chosen::Flow(number))) => self.show(Overlay::Details(number)),
            (Pane::Destinations, Some(Chosen::Group { filter, .. })) => self.narrow(&filter),
            (Pane::Destinations, None) => {}
        }
    }

    /// Shows the flows of a group.
    fn narrow(&mut self, term: &str) {
        let typed = format!("{} {term}", self.list.typed);
        if let Ok(filter) = Filter::parse(&typed) {
            typed.trim().clone_into(&mut self.list.typed);
            self.list.filter = filter;
            self.group(Grouping::Flows);
        }
    }

    pub(super) fn go_back(&mut self) {
        if self.overlay != Overlay::Nothing {
            self.overlay = Overlay::Nothing;
        } else if !self.list.typed.is_empty() {
            self.list.typed.clear();
            self.list.filter = Filter::default();
        }
    }

    fn begin_filter(&mut self) {
        self.overlay = Overlay::Nothing;
        self.focus = Pane::Destinations;
        let (typed, filter) = (self.list.typed.clone(), self.list.filter.clone());
        self.input = Some(Input::new(typed, filter));
    }

    fn sort_beside(&mut self, step: isize) {
        let columns = &self.drawn.columns;
        let mut places = columns.iter();
        let at = places.position(|shown| shown.column == self.list.sorting.column);
        let next = match at {
            Some(at) => at.cast_signed() + step,
            None => 0,
        };
        let next = next.rem_euclid(columns.len().max(1).cast_signed());
        if let Some(shown) = columns.get(next.cast_unsigned()) {
            self.list.sorting = Sorting::by(shown.column);
        }
    }

    /// Sorts by a column, or the other way round where it is sorted by it.
    pub(super) fn sort_by(&mut self, column: Column) {
        if self.list.sorting.column == column {
            self.list.sorting.descends ^= true;
        } else {
            self.list.sorting = Sorting::by(column);
        }
    }

    fn group(&mut self, grouping: Grouping) {
        self.list.grouping = grouping;
        self.list.cursor = Cursor::default();
    }

    fn pause(&mut self) -> Effect {
        self.frozen = match self.frozen.take() {
            Some(frozen) => {
                if frozen.counting != self.world.counting {
                    self.let_go();
                }
                None
            }
            None => Some(Box::new(self.world.clone())),
        };
        Effect::Hold(self.frozen.is_some())
    }

    /// Returns the time of what is shown.
    pub(super) fn at(&self) -> Option<Timestamp> {
        self.shown().at()
    }

    /// Returns what the lines are to be.
    pub(super) fn query(&self) -> Query<'_> {
        Query {
            device: self.devices.selected,
            filter: &self.list.filter,
            grouping: self.list.grouping,
        }
    }

    /// Returns what is shown as a snapshot of its own: the flows, also those that are out of sight, in
    /// their order; none before the first update.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        let world = self.shown();
        let query = Query {
            grouping: Grouping::Flows,
            ..self.query()
        };
        let mut lines = lines(world, query);
        lines.sort_unstable_by(|a, b| self.list.sorting.order(Grouping::Flows, a, b));
        Some(Snapshot {
            meta: world.meta.clone()?,
            devices: world.summaries().cloned().collect(),
            flows: lines.iter().map(|line| line.flow.record.clone()).collect(),
            unaccounted: world.unaccounted.clone(),
            resolving: world.resolving.clone(),
        })
    }
}
