//! flowwatch on a terminal of its own, which is read as a person would.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use flowwatch_tests::flowwatch::Run;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::process::die_with_parent;
use flowwatch_tests::pseudo_terminal::open;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::Pid;

/// How long anything may take to be shown, and to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Rows and columns at first: the least that there may be.
const SIZE: (u16, u16) = (24, 80);

pub(crate) fn is_granted() -> Result<bool> {
    granted(&[Need::Flowwatch, Need::Program("setsid")])
}

/// The same where the lab's namespaces are needed.
pub(crate) fn is_granted_live() -> Result<bool> {
    granted(&[
        Need::Root,
        Need::Flowwatch,
        Need::Program("setsid"),
        Need::Program("setpriv"),
    ])
}

/// Has flowwatch find a terminal as its own, and an environment that is the same everywhere; `starter`
/// starts it there.
pub(crate) fn on_terminal(run: Run, starter: &[&str]) -> Run {
    let words: Vec<&str> = ["setsid", "--ctty", "env", "-u", "NO_COLOR", "-u", "LC_ALL"]
        .into_iter()
        .chain(starter.iter().copied())
        .collect();
    let run = run.through(&words);
    run.variable("TERM", "xterm-256color")
        .variable("LANG", "C.UTF-8")
}

/// flowwatch on a terminal, killed when dropped.
pub(crate) struct Shown {
    child: Child,
    told: Receiver<Vec<u8>>,
    /// What the terminal shows.
    pub(crate) screen: vt100::Parser,
    keys: Option<File>,
    /// The end that the program has.
    pub(crate) terminal: File,
    before: Termios,
    errors: Option<thread::JoinHandle<String>>,
}

impl Shown {
    /// Starts what [`on_terminal`] made of it. Errors go elsewhere, as those of a program that has the
    /// screen are to do.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let (master, terminal) = open(SIZE.0, SIZE.1)?;
        let before = tcgetattr(&terminal)?;
        command.stdin(terminal.try_clone()?);
        command.stdout(terminal.try_clone()?).stderr(Stdio::piped());
        die_with_parent(&mut command);
        let mut child = command.spawn().context("start flowwatch on a terminal")?;
        let errors = child.stderr.take().map(|mut errors| {
            thread::spawn(move || {
                let mut text = String::new();
                errors.read_to_string(&mut text).ok();
                text
            })
        });
        let mut reader = master.try_clone()?;
        let (tell, told) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if tell.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            told,
            screen: vt100::Parser::new(SIZE.0, SIZE.1, 0),
            keys: Some(master),
            terminal,
            before,
            errors,
        })
    }

    pub(crate) fn press(&mut self, keys: &str) -> Result<()> {
        let terminal = self.keys.as_mut().context("the terminal is gone")?;
        Ok(terminal.write_all(keys.as_bytes())?)
    }

    pub(crate) fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Reads until the terminal shows what is wanted.
    pub(crate) fn wait_for(
        &mut self,
        what: &str,
        holds: impl Fn(&vt100::Screen) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self.screen.screen()) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.told.recv_timeout(left) {
                Ok(octets) => self.screen.process(&octets),
                Err(RecvTimeoutError::Timeout) => bail!("{what} is missing:\n{}", self.text()),
                Err(RecvTimeoutError::Disconnected) => bail!("the terminal is gone: {what}"),
            }
        }
        Ok(())
    }

    pub(crate) fn wait_for_text(&mut self, part: &str) -> Result<()> {
        self.wait_for(part, |screen| screen.contents().contains(part))
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let id = Pid::from_raw(self.child.id().cast_signed());
        Ok(kill(id, signal)?)
    }

    /// Waits until the terminal is what it was before.
    pub(crate) fn ensure_restored(&mut self) -> Result<()> {
        self.wait_for("the terminal's own screen", |screen| {
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && !screen.bracketed_paste()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
        })?;
        let deadline = Instant::now() + PATIENCE;
        while tcgetattr(&self.terminal)? != self.before {
            ensure!(Instant::now() < deadline, "the terminal is still raw");
            thread::yield_now();
        }
        Ok(())
    }

    /// Waits for the end; returns the exit status.
    pub(crate) fn end(&mut self) -> Result<Option<i32>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            ensure!(Instant::now() < deadline, "flowwatch still runs");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the end; returns the exit status and what was said beside the screen.
    pub(crate) fn end_with_errors(&mut self) -> Result<(Option<i32>, String)> {
        let status = self.end()?;
        let errors = self.errors.take().map(thread::JoinHandle::join);
        let errors = errors.context("the errors were read before")?;
        Ok((status, errors.unwrap_or_default()))
    }

    /// Takes the terminal away, as a window that is closed does; returns the exit status.
    pub(crate) fn take_terminal(mut self) -> Result<Option<i32>> {
        self.keys = None;
        self.told = channel().1;
        // The reader lets go when it has nobody to tell. Then the program's end is the last one, and
        // the kernel hangs up.
        self.end()
    }

    /// Waits until the process is in a state, as `/proc` names it.
    pub(crate) fn wait_for_state(&self, state: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
            let (_, rest) = stat.rsplit_once(") ").context("read the process's state")?;
            if rest.starts_with(state) {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "the state is not {state}: {stat}"
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
