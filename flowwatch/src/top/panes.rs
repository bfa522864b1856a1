//! The panes of the screen: what each shows, and what is selected there.

use ratatui::layout::Rect;

use super::columns::{Shown, Sorting};
use super::filter::Filter;
use super::listing::{Grouping, Label, Line};
use super::world::Slot;
use crate::geo::Scope;
use crate::live::FlowNumber;

/// The pane that takes the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    Devices,
    #[default]
    Destinations,
}

/// What lies over the panes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Overlay {
    #[default]
    Nothing,
    Details(FlowNumber),
    Help,
    /// What may keep traffic from being seen.
    Warnings,
}

/// The devices' pane.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DevicesPane {
    /// The device whose destinations are shown; none for all.
    pub(super) selected: Option<Slot>,
    /// The first line in sight.
    pub(super) first: usize,
}

/// The destinations' pane.
#[derive(Clone, Debug)]
pub(super) struct ListPane {
    pub(super) cursor: Cursor,
    pub(super) sorting: Sorting,
    pub(super) grouping: Grouping,
    pub(super) filter: Filter,
    /// The filter as it was typed.
    pub(super) typed: String,
}

/// The selected line.
#[derive(Clone, Debug, Default)]
pub(super) struct Cursor {
    /// Its place in the list, as drawn last or as wanted.
    pub(super) position: usize,
    /// What was drawn there; none where the user went on since.
    pub(super) chosen: Option<Chosen>,
    /// The first line in sight.
    pub(super) first: usize,
}

/// What a line is known by while it moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    Flow(FlowNumber),
    Group {
        text: Option<Box<str>>,
        scope: Scope,
        /// The filter that finds its flows.
        filter: String,
    },
}

impl Chosen {
    /// Returns whether it is this line.
    pub(super) fn is(&self, line: &Line<'_>, grouping: Grouping) -> bool {
        match self {
            Self::Flow(number) => grouping == Grouping::Flows && line.number == *number,
            Self::Group { text, scope, .. } => {
                let label = text.as_deref().map_or(Label::Of(*scope), Label::Text);
                grouping != Grouping::Flows && grouping.label(line.flow) == label
            }
        }
    }
}

/// Where things were drawn, for the mouse and for keys that go by pages.
#[derive(Clone, Debug, Default)]
pub(super) struct Drawn {
    /// The rows of devices.
    pub(super) devices: Rect,
    /// The rows of destinations.
    pub(super) lines: Rect,
    /// How many destinations there are.
    pub(super) count: usize,
    /// The columns, from the left of `lines`.
    pub(super) columns: Vec<Shown>,
}
