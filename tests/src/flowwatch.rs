//! flowwatch as a user runs it: its command line, its start in a namespace, its end by Ctrl-C, and
//! the document that it leaves.
//!
//! It knows the program by its command line and its output alone, as everything in the lab does.

mod compared;
mod document;

use std::fmt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;

pub use self::compared::{Compared, DeviceLists, Entry, Lists};
pub use self::document::{
    Attached, Capture, Device, Difference, Direction, Document, Flow, FlowKey, Losses, Meta,
    NameDetail, Names, ResolverSeen, Resolving, Unaccounted, UnaccountedKey,
};
use crate::link::Mac;
use crate::namespace::Namespace;
use crate::process::{Process, Stream};

/// How long the program may take to start, and to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// The variable that tells where the program is.
pub const PROGRAM: &str = "FLOWWATCH_BIN";

/// The hook for what devices send, as `--attach` names it. Every live test runs with both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// Native XDP.
    Xdp,
    /// tc ingress.
    Tc,
}

impl fmt::Display for Attach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Xdp => "xdp",
            Self::Tc => "tc",
        })
    }
}

/// A command line of `flowwatch run` under construction.
#[derive(Clone, Debug)]
pub struct Run {
    starter: Vec<String>,
    program: String,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Run {
    /// Begins a command line for the program that [`PROGRAM`] names (`Need::Flowwatch`).
    pub fn new() -> Result<Self> {
        let program = std::env::var(PROGRAM).with_context(|| format!("read {PROGRAM}"))?;
        Ok(Self::of(&program))
    }

    /// Begins a command line of `flowwatch replay` with the program that [`PROGRAM`] names.
    pub fn replay(capture: &str) -> Result<Self> {
        let mut run = Self::new()?;
        run.arguments = vec!["replay".to_owned(), capture.to_owned()];
        Ok(run)
    }

    /// Begins a command line of `flowwatch diff` with the program that [`PROGRAM`] names.
    pub fn diff(before: &str, after: &str) -> Result<Self> {
        Ok(Self::new()?.comparing(before, after))
    }

    /// Has the program compare two sides instead.
    #[must_use]
    pub fn comparing(mut self, before: &str, after: &str) -> Self {
        self.arguments = ["diff", before, after].map(str::to_owned).into();
        self
    }

    /// Begins a command line of `flowwatch report` on a history with the program that [`PROGRAM`]
    /// names.
    pub fn report(history: &str) -> Result<Self> {
        let run = Self::new()?.command_word("report");
        Ok(run.options(&["--history", history]))
    }

    /// Begins a command line for `program`.
    #[must_use]
    pub fn of(program: &str) -> Self {
        Self {
            starter: Vec::new(),
            program: program.to_owned(),
            arguments: vec!["run".to_owned()],
            variables: Vec::new(),
        }
    }

    /// Has the program do something else than `run`.
    #[must_use]
    pub fn command_word(mut self, word: &str) -> Self {
        self.arguments.splice(..1, [word.to_owned()]);
        self
    }

    /// Adds `--interface`.
    #[must_use]
    pub fn interface(self, name: &str) -> Self {
        self.options(&["--interface", name])
    }

    /// Adds `--device`.
    #[must_use]
    pub fn device(self, name: &str, mac: Mac) -> Self {
        self.options(&["--device", &format!("{name}={mac}")])
    }

    /// Adds `--attach`.
    #[must_use]
    pub fn attach(self, hook: Attach) -> Self {
        self.options(&["--attach", &hook.to_string()])
    }

    /// Adds words as they are.
    #[must_use]
    pub fn options(mut self, words: &[&str]) -> Self {
        self.arguments
            .extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// Has another program start it, which gets its words and then flowwatch's: `setpriv …`,
    /// `sh -c 'exec "$@"' sh`.
    #[must_use]
    pub fn through(mut self, words: &[&str]) -> Self {
        self.starter = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Sets a variable of the program's environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the program inside `namespace` and waits for nothing.
    pub fn spawn(&self, namespace: &Namespace) -> Result<Process> {
        Process::spawn(self.command(namespace))
    }

    /// Starts the program inside `namespace`; it counts when this returns.
    pub fn start(&self, namespace: &Namespace) -> Result<Flowwatch> {
        let process = self.spawn(namespace)?;
        // The first such line is printed once every program is attached.
        process.wait_for_line(Stream::Stderr, PATIENCE, |line| {
            line.contains("counting on `")
        })?;
        Ok(Flowwatch { process })
    }

    /// Runs the program inside `namespace` to its own end.
    pub fn to_end(&self, namespace: &Namespace) -> Result<Ended> {
        Ended::of(&self.spawn(namespace)?)
    }

    /// Starts the program in no namespace of its own, with this input: for what needs no network.
    pub fn spawn_with(&self, input: Vec<u8>) -> Result<Process> {
        Process::spawn_with_input(self.unplaced(), input)
    }

    /// Runs the program in no namespace of its own, with this input, to its own end.
    pub fn end_with(&self, input: Vec<u8>) -> Result<Ended> {
        Ended::of(&self.spawn_with(input)?)
    }

    /// Returns the command that starts the program inside `namespace`.
    #[must_use]
    pub fn command(&self, namespace: &Namespace) -> Command {
        self.words_of(|program| namespace.command(program))
    }

    /// Returns the command that starts the program in no namespace of its own.
    #[must_use]
    pub fn unplaced(&self) -> Command {
        self.words_of(|program| Command::new(program))
    }

    fn words_of(&self, start: impl FnOnce(&str) -> Command) -> Command {
        let mut words = self.starter.iter().chain([&self.program]);
        let mut command = start(words.next().unwrap_or(&self.program));
        command.args(words).args(&self.arguments);
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        command
    }
}

/// How a flowwatch ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit status; none when a signal killed it.
    pub status: Option<i32>,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

impl Ended {
    /// Waits for the end of a flowwatch.
    pub fn of(process: &Process) -> Result<Self> {
        let (status, output, errors) = process.finish(PATIENCE)?;
        Ok(Self {
            status: status.code(),
            output,
            errors,
        })
    }
}

/// A flowwatch that counts; killed when dropped.
#[derive(Debug)]
pub struct Flowwatch {
    process: Process,
}

impl Flowwatch {
    /// The process, for signals and for what it says while it runs.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Waits for its end.
    pub fn wait(&self) -> Result<Ended> {
        Ended::of(&self.process)
    }

    /// Ends it as Ctrl-C does and waits for its end.
    pub fn interrupt(self) -> Result<Ended> {
        self.process.signal(Signal::SIGINT)?;
        Ended::of(&self.process)
    }

    /// Ends it as Ctrl-C does; returns what it printed, and fails when it failed.
    pub fn stop(self) -> Result<String> {
        let ended = self.interrupt()?;
        ensure!(
            ended.status == Some(0),
            "flowwatch ended with {:?}: {}",
            ended.status,
            ended.errors
        );
        Ok(ended.output)
    }

    /// Ends it as Ctrl-C does; returns the document that it printed (`--format json`).
    pub fn document(self) -> Result<Document> {
        Document::parse(&self.stop()?)
    }
}
