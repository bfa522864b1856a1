//! `flowwatch top`: devices and destinations as they are now, in a terminal.
//!
//! Takes `live::Update`s, from wherever the counting is, keys and the mouse; [`Screen`] is the state
//! that these make, a pure one, and draws itself. [`show`] brings it to a terminal.

mod cell;
mod cells;
mod columns;
mod draw;
mod export;
mod filter;
mod flow;
mod input;
mod keys;
mod listing;
mod look;
mod mouse;
mod panes;
mod quantity;
mod rate;
mod screen;
mod show;
mod terminal;
mod world;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

pub use self::screen::{Effect, Screen};
pub use self::show::{Options, ensure_terminal, show};
