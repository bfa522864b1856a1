//! The screen on a terminal: updates, keys and signals come in, pictures go out.

use std::io::{self, IsTerminal as _, stdout};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{Receiver, channel};

use super::look::Look;
use super::screen::{Effect, Screen};
use super::terminal::Taken;
use crate::exit::{ExitStatus, Failure};
use crate::live::{Pace, Told};
use crate::stop::Stop;

/// Events of the terminal that wait to be taken in.
const EVENTS: usize = 64;

/// What a screen is to be.
#[derive(Debug)]
pub struct Options {
    /// Where the counts are from, in a few words: `daemon`, `counting here`, `capture camera.pcap`.
    pub source: String,
    /// The pace at which a capture is played; none where nothing is played.
    pub pace: Option<Arc<Pace>>,
    /// What there is to say at first.
    pub message: Option<String>,
    /// What there is to say later: the newest stays until a key is pressed.
    pub lines: Receiver<String>,
}

/// Refuses what is no terminal to draw on.
///
/// # Errors
/// One of wrong usage.
pub fn ensure_terminal() -> Result<(), Failure> {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    if stdout().is_terminal() && !is_dumb {
        return Ok(());
    }
    let what = "show the live view: standard output is not a terminal that can be drawn on; for a \
                document, use `flowwatch run` or `flowwatch replay`";
    Err(Failure::new(ExitStatus::Usage, anyhow::Error::msg(what)))
}

/// Shows what is told until the user quits, a signal comes, or the one who tells leaves without saying
/// why: then it was told to end, too.
///
/// # Errors
/// Those of the terminal, which is given back in any case.
pub async fn show(mut updates: Receiver<Told>, mut options: Options) -> anyhow::Result<()> {
    ensure_terminal()?;
    let mut stop = Stop::listen()?;
    let mut suspend = signal(SignalKind::from_raw(libc::SIGTSTP)).context("listen for SIGTSTP")?;
    let mut resume = signal(SignalKind::from_raw(libc::SIGCONT)).context("listen for SIGCONT")?;
    let pace = options.pace;
    let speed = pace.as_ref().map(ToString::to_string);
    let mut screen = Screen::new(
        options.source,
        speed,
        Look::of(|name| std::env::var_os(name)),
    );
    screen.message = options.message;
    let mut taken = Taken::new().context("take the terminal over")?;
    let mut events = events();
    loop {
        let drawn = taken.terminal.draw(|frame| screen.draw(frame));
        drawn.context("draw on the terminal")?;
        let effect = tokio::select! {
            // A key is answered at once, however many updates there are.
            biased;
            () = stop.requested() => return Ok(()),
            event = events.recv() => {
                // The terminal is gone.
                let Some(event) = event else { return Ok(()) };
                take_event(&mut screen, event)
            }
            _ = suspend.recv() => Effect::Suspend,
            _ = resume.recv() => Effect::Redraw,
            Some(line) = options.lines.recv() => {
                screen.message = Some(line);
                Effect::Nothing
            }
            told = updates.recv(), if screen.ended.is_none() => match told {
                Some(told) => {
                    take_told(&mut screen, told);
                    Effect::Nothing
                }
                None => Effect::Quit,
            },
        };
        match effect {
            Effect::Quit => return Ok(()),
            Effect::Nothing => {}
            Effect::Suspend => taken.suspend().context("come back to the terminal")?,
            Effect::Redraw => taken.take_again().context("draw on the terminal")?,
            Effect::Export(format) => screen.message = export(&screen, format),
            Effect::Hold(is_held) => change(&mut screen, pace.as_deref(), |it| it.hold(is_held)),
            Effect::Faster => change(&mut screen, pace.as_deref(), Pace::faster),
            Effect::Slower => change(&mut screen, pace.as_deref(), Pace::slower),
        }
    }
}

/// Returns what the terminal tells, from a thread of its own: reading it waits.
fn events() -> Receiver<Event> {
    let (sender, events) = channel(EVENTS);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    });
    events
}

fn take_event(screen: &mut Screen, event: Event) -> Effect {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => return screen.press(key),
        Event::Mouse(mouse) => screen.point(mouse),
        Event::Paste(text) => screen.paste(&text),
        // The next picture has the new size.
        _ => {}
    }
    Effect::Nothing
}

fn take_told(screen: &mut Screen, told: Told) {
    match told {
        Told::Update(update) => screen.take_in(*update),
        Told::Anew => screen.begin_anew(),
        Told::Waiting(what) => screen.waiting = Some(what),
        Told::Ended(why) => screen.end(why),
    }
}

fn change(screen: &mut Screen, pace: Option<&Pace>, change: impl Fn(&Pace)) {
    if let Some(pace) = pace {
        change(pace);
        screen.speed = Some(pace.to_string());
    }
}

/// Writes what is shown; returns what is to be said of it.
fn export(screen: &Screen, format: &str) -> Option<String> {
    let (at, snapshot) = screen.at().zip(screen.snapshot())?;
    let written = super::export::write(Path::new("."), at, format, &snapshot);
    let count = snapshot.flows.len();
    Some(match written {
        Ok(path) => {
            let name = path.strip_prefix(".").unwrap_or(&path);
            format!("Written to {}: {count} of what is shown.", name.display())
        }
        Err(error) => failed(&error),
    })
}

fn failed(error: &io::Error) -> String {
    format!(
        "Write to the folder that flowwatch was started in: {error}; start it where you may write."
    )
}
