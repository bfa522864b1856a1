//! What ends the counting: SIGINT, SIGTERM, SIGHUP, the end of the planned duration, or one who
//! watched and has left.

use std::convert::Infallible;
use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The end of the counting, to be awaited.
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    /// A terminal that went away; none where this process was told to outlive it (nohup).
    hangup: Option<Signal>,
    /// Whether a hang-up is somebody else's, as long as the terminal is there, or where there never
    /// was one.
    had_terminal: Option<bool>,
    deadline: Option<Instant>,
    /// Closed when the one whom it is done for has left.
    watcher: Option<mpsc::Receiver<Infallible>>,
}

impl Stop {
    /// Takes the signals from now on: what is attached after this is detached in order.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let hangup = SignalKind::hangup();
        let hangup = (!is_ignored(hangup, &status)).then(|| signal(hangup));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("listen for SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("listen for SIGTERM")?,
            hangup: hangup.transpose().context("listen for SIGHUP")?,
            had_terminal: None,
            deadline: None,
            watcher: None,
        })
    }

    /// Leaves hang-ups to somebody else, but for that of the terminal, where there is one now.
    pub(crate) fn leave_hangup(&mut self, had_terminal: bool) {
        self.had_terminal = Some(had_terminal);
    }

    /// Sets the end: so long from now. One beyond all clocks never comes.
    pub(crate) fn after(&mut self, duration: Option<Duration>) {
        self.deadline = duration.and_then(|duration| Instant::now().checked_add(duration));
    }

    /// Sets another end: that the other side of this is dropped.
    pub(crate) fn with(&mut self, watcher: mpsc::Receiver<Infallible>) {
        self.watcher = Some(watcher);
    }

    /// Waits for the end. May be dropped and called again.
    pub(crate) async fn requested(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => loop {
                    hangup.recv().await;
                    if self
                        .had_terminal
                        .is_none_or(|had| had && !stderr().is_terminal())
                    {
                        break;
                    }
                },
                None => std::future::pending().await,
            }
        };
        let deadline = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let left = async {
            match &mut self.watcher {
                Some(watcher) => drop(watcher.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = left => {}
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = hangup => {}
            () = deadline => {}
        }
    }
}

/// Returns whether a process of this `/proc/PID/status` ignores the signal.
fn is_ignored(signal: SignalKind, status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal.as_raw_value() - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_processs_status() {
        // `nohup sleep 9`, and a plain one, as Linux shows them.
        let of_nohup = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000001\nSigCgt:\t0\n";
        assert!(is_ignored(SignalKind::hangup(), of_nohup));
        assert!(!is_ignored(SignalKind::interrupt(), of_nohup));
        assert!(!is_ignored(
            SignalKind::hangup(),
            "SigIgn:\t0000000000001000\n"
        ));
        assert!(!is_ignored(SignalKind::hangup(), ""));
    }
}
