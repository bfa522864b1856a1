//! `flowwatch top`: where the counts that it shows are from, and the way from there to the screen.
//!
//! A capture where the user names one; else a daemon's, where one runs; else its own. Who counts tells
//! through a channel, and `top` shows what comes out of it.

mod capture;
mod daemon;
mod own;

use std::sync::Arc;

use anyhow::Context as _;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::console;
use crate::live::{Client, ClientError, Pace, Told};
use crate::plan::{TopPlan, WatchPlan};
use crate::top;

/// Lines that wait to be shown.
const LINES: usize = 64;

/// Shows what is planned until the user leaves or a signal comes.
///
/// # Errors
/// What keeps it from starting, or broke it off; those of the terminal, which is given back in any case.
pub fn show(plan: &TopPlan) -> anyhow::Result<()> {
    let runtime = event_loop()?;
    match plan {
        TopPlan::Capture(plan) => capture::show(&runtime, plan),
        TopPlan::Counting(plan) => show_counting(&runtime, plan),
    }
}

/// Shows what a daemon counts, or what is counted here where there is none.
fn show_counting(runtime: &Runtime, plan: &WatchPlan) -> anyhow::Result<()> {
    match runtime.block_on(Client::connect(&plan.socket, plan.interval)) {
        Ok(client) => daemon::show(runtime, plan, client),
        Err(ClientError::NobodyThere(_)) => own::show(runtime, plan),
        Err(error) => Err(error.into()),
    }
}

/// Returns an event loop of one thread.
fn event_loop() -> anyhow::Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.context("start the event loop")
}

/// What a screen begins with.
struct Beginning {
    /// Where the counts are from, in a few words.
    source: String,
    /// The pace at which a capture is played.
    pace: Option<Arc<Pace>>,
    /// What there is to say at first.
    message: Option<String>,
}

/// Shows what is told; lines of the log are shown there, too, and left on the terminal at the end.
fn show_told(
    runtime: &Runtime,
    told: mpsc::Receiver<Told>,
    beginning: Beginning,
) -> anyhow::Result<()> {
    let (show, lines) = mpsc::channel(LINES);
    let _diversion = console::divert(move |line| {
        // What finds no room on the screen is on the terminal at the end.
        let _ = show.try_send(line);
    });
    let options = top::Options {
        source: beginning.source,
        pace: beginning.pace,
        message: beginning.message,
        lines,
    };
    runtime.block_on(top::show(told, options))
}
