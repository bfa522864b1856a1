//! A capture that is played: a thread counts, another one shows.

use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::{Beginning, show_told};
use crate::exit::sentence_of;
use crate::live::{Pace, Told};
use crate::plan::PlayPlan;
use crate::replay;

/// Plays a capture on the screen.
pub(super) fn show(runtime: &Runtime, plan: &PlayPlan) -> anyhow::Result<()> {
    let capture = replay::Playing::open(&plan.replay)?;
    let pace = Arc::new(Pace::new(plan.speed));
    let (sender, told) = mpsc::channel(1);
    let (shared, interval) = (Arc::clone(&pace), plan.interval);
    let thread = std::thread::spawn(move || {
        let tell = &mut |update| {
            let told = Told::Update(Box::new(update));
            sender.blocking_send(told).is_ok()
        };
        let played = capture.play(&shared, interval, tell);
        let ended = match &played {
            Ok(()) => "END OF CAPTURE".to_owned(),
            Err(error) => sentence_of(error),
        };
        // Whoever watched may have left.
        let _ = sender.blocking_send(Told::Ended(ended));
        played
    });
    let beginning = Beginning {
        source: plan.replay.source(),
        pace: Some(Arc::clone(&pace)),
        message: None,
    };
    show_told(runtime, told, beginning)?;
    pace.stop();
    // One that waits for a pipe has nothing to say.
    match thread.is_finished().then(|| thread.join()) {
        Some(Ok(played)) => played,
        _ => Ok(()),
    }
}
