//! The program's own counting, where there is no daemon's: a thread counts as `run` does, another one
//! shows.

use std::thread::JoinHandle;

use anyhow::{Context as _, anyhow};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

use super::{Beginning, event_loop, show_told};
use crate::exit::{ExitStatus, Failure, sentence_of};
use crate::kernel::support::may_count;
use crate::live::{Told, View};
use crate::plan::{RunPlan, WatchPlan};
use crate::run::{Watcher, run};

/// Shows what is counted here; nothing of it is left when it ends.
pub(super) fn show(runtime: &Runtime, plan: &WatchPlan) -> anyhow::Result<()> {
    let socket = plan.socket.display();
    if !may_count() {
        let what = anyhow!(
            "show what is counted: no flowwatch runs (none at `{socket}`), and to count by itself it \
             takes root; start one with `sudo flowwatch run`, or use `sudo flowwatch top`"
        );
        return Err(Failure::new(ExitStatus::NotPermitted, what).into());
    }
    let own = plan.own.clone();
    let own =
        own.with_context(|| format!("count by itself, as no flowwatch runs (none at `{socket}`)"))?;
    let (tell, told) = mpsc::channel(1);
    let (counting, began) = Counting::start(own, tell);
    // Counting that can't begin, or was interrupted, says why when it is waited for.
    if runtime.block_on(began).is_err() {
        return counting.end();
    }
    let beginning = Beginning {
        source: "counting here".to_owned(),
        pace: None,
        message: None,
    };
    let shown = show_told(runtime, told, beginning);
    // Detached in any case, also where the terminal is gone.
    let counted = counting.end();
    shown.and(counted)
}

/// A counting on a thread of its own.
struct Counting {
    thread: JoinHandle<anyhow::Result<()>>,
    /// Dropped, it ends.
    watching: mpsc::Sender<std::convert::Infallible>,
}

impl Counting {
    /// Starts to count; returns what tells that it has begun.
    fn start(plan: RunPlan, tell: mpsc::Sender<Told>) -> (Self, oneshot::Receiver<()>) {
        let (tell_begun, began) = oneshot::channel();
        let (watching, left) = mpsc::channel(1);
        let (view, mut updates) = View::within(plan.interval);
        let watcher = Watcher::new(view, tell_begun, left);
        let thread = std::thread::spawn(move || {
            let runtime = event_loop()?;
            let passed = tell.clone();
            runtime.spawn(async move {
                while let Some(update) = updates.recv().await {
                    let told = Told::Update(Box::new(update));
                    if passed.send(told).await.is_err() {
                        return;
                    }
                }
            });
            let counted = runtime.block_on(run(&plan, None, Some(watcher)));
            let outcome = counted.and_then(|(_, outcome)| outcome);
            if let Err(error) = &outcome {
                // Whoever watched may have left.
                let _ = runtime.block_on(tell.send(Told::Ended(sentence_of(error))));
            }
            outcome
        });
        (Self { thread, watching }, began)
    }

    /// Ends it, and returns how it went.
    fn end(self) -> anyhow::Result<()> {
        drop(self.watching);
        let ended = self.thread.join();
        ended.unwrap_or_else(|_| Err(anyhow!("count: the counting broke off")))
    }
}
