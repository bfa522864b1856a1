//! Child processes whose output is kept, whose end can be awaited, and which never outlive the lab.
//!
//! Every child is started by one thread that lives as long as the process: the kernel ties a
//! child's death signal to the *thread* that made it, and a test's threads come and go.

#![expect(
    unsafe_code,
    reason = "`pre_exec` is unsafe: its closures run between fork and exec"
)]

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getppid};

/// How long `output_of` lets a set-up program run.
const SET_UP_TIMEOUT: Duration = Duration::from_mins(1);

/// One of a child's output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A running child; killed and reaped when dropped.
#[derive(Debug)]
pub struct Process {
    program: String,
    pid: Pid,
    stdout: Arc<Captured>,
    stderr: Arc<Captured>,
    status: Arc<Awaited<ExitStatus>>,
}

impl Process {
    /// Starts `command` with both output streams captured and no input.
    pub fn spawn(command: Command) -> Result<Self> {
        Self::spawn_with_input(command, Vec::new())
    }

    /// Starts `command` with both output streams captured; its input is `input`, then its end.
    pub fn spawn_with_input(mut command: Command, input: Vec<u8>) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = start(command).with_context(|| format!("start `{program}`"))?;
        let pid = Pid::from_raw(child.id().try_into().context("a process id beyond i32")?);
        if let Some(mut stdin) = child.stdin.take() {
            // A child that ends without reading its input is no error of the lab's.
            thread::spawn(move || stdin.write_all(&input).ok());
        }
        let stdout = Captured::reading(child.stdout.take());
        let stderr = Captured::reading(child.stderr.take());
        let status = reap(child);
        Ok(Self {
            program,
            pid,
            stdout,
            stderr,
            status,
        })
    }

    /// The child's process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal to the child; no error when it has ended already.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        // The lock keeps the reaper from freeing the process id meanwhile.
        let ended = self.status.lock();
        if ended.is_some() {
            return Ok(());
        }
        match kill(self.pid, signal) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
            Err(errno) => {
                Err(errno).with_context(|| format!("send {signal} to `{}`", self.program))
            }
        }
    }

    /// Waits until the child has ended.
    pub fn wait(&self, timeout: Duration) -> Result<ExitStatus> {
        let ended = self.status.wait(timeout, |status| *status);
        ended.with_context(|| {
            format!(
                "`{}` still runs after {timeout:?}; it said:\n{}",
                self.program,
                self.said()
            )
        })
    }

    /// Waits for the first line of `stream`, from the child's start on, for which `wanted` holds.
    pub fn wait_for_line(
        &self,
        stream: Stream,
        timeout: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String> {
        self.wait_for_nth_line(stream, timeout, 1, wanted)
    }

    /// Waits for the line of `stream`, counted from 1 and from the child's start on, for which
    /// `wanted` holds for the `nth` time.
    pub fn wait_for_nth_line(
        &self,
        stream: Stream,
        timeout: Duration,
        nth: usize,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let what = || {
            format!(
                "`{}` printed no such line; it said:\n{}",
                self.program,
                self.said()
            )
        };
        self.captured(stream)
            .wait_for_line(timeout, nth, wanted)
            .with_context(what)
    }

    /// What the child has printed to `stream` so far (all of it, once its end was awaited with
    /// [`Process::finish`]).
    #[must_use]
    pub fn output(&self, stream: Stream) -> String {
        self.captured(stream).text()
    }

    /// Waits until the child has ended and both streams are at their end; returns its status,
    /// standard output and standard error.
    pub fn finish(&self, timeout: Duration) -> Result<(ExitStatus, String, String)> {
        let status = self.wait(timeout)?;
        self.stdout.wait_for_end(timeout)?;
        self.stderr.wait_for_end(timeout)?;
        Ok((status, self.stdout.text(), self.stderr.text()))
    }

    fn captured(&self, stream: Stream) -> &Captured {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
    }

    fn said(&self) -> String {
        format!("{}{}", self.stdout.text(), self.stderr.text())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.signal(Signal::SIGKILL).is_ok() {
            self.wait(Duration::from_secs(10)).ok();
        }
    }
}

/// Has the kernel kill the command's process when this process ends, in whatever way.
pub fn die_with_parent(command: &mut Command) {
    let parent = nix::unistd::getpid();
    let tie = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have ended between the fork and the call above.
        if getppid() == parent {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::ESRCH))
        }
    };
    // SAFETY: the closure makes three system calls and neither allocates nor takes a lock.
    unsafe { command.pre_exec(tie) };
}

/// Runs `command` to its end with `input`; returns its standard output, or fails with its errors.
pub fn output_of(command: Command, input: &str) -> Result<String> {
    let process = Process::spawn_with_input(command, input.as_bytes().to_vec())?;
    let (status, stdout, stderr) = process.finish(SET_UP_TIMEOUT)?;
    if !status.success() {
        bail!("{status}: {}{}", stdout.trim(), stderr.trim());
    }
    Ok(stdout)
}

type Started = io::Result<Child>;

fn start(command: Command) -> Result<Child> {
    static NURSERY: OnceLock<Sender<(Command, Sender<Started>)>> = OnceLock::new();
    let nursery = NURSERY.get_or_init(|| {
        let (commands, orders) = channel::<(Command, Sender<Started>)>();
        thread::spawn(move || {
            for (mut command, answer) in orders {
                answer.send(command.spawn()).ok();
            }
        });
        commands
    });
    let (answer, started) = channel();
    nursery
        .send((command, answer))
        .map_err(|_| anyhow!("the nursery thread died"))?;
    Ok(started.recv().context("the nursery thread died")??)
}

fn reap(mut child: Child) -> Arc<Awaited<ExitStatus>> {
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    let status = Arc::new(Awaited::default());
    let shared = Arc::clone(&status);
    thread::spawn(move || {
        let pid = Pid::from_raw(child.id().cast_signed());
        // Waits without reaping, so that the id is freed only under the lock that `signal` takes.
        while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
            == Err(nix::errno::Errno::EINTR)
        {}
        let mut ended = shared.lock();
        *ended = child.wait().ok();
        shared.changed.notify_all();
    });
    status
}

/// A value that one thread sets and others wait for.
#[derive(Debug)]
struct Awaited<T> {
    value: Mutex<Option<T>>,
    changed: Condvar,
}

impl<T> Default for Awaited<T> {
    fn default() -> Self {
        Self {
            value: Mutex::new(None),
            changed: Condvar::new(),
        }
    }
}

impl<T> Awaited<T> {
    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `ready` gives something.
    fn wait<U>(&self, timeout: Duration, ready: impl Fn(&Option<T>) -> Option<U>) -> Result<U> {
        let deadline = Instant::now() + timeout;
        let mut value = self.lock();
        loop {
            if let Some(found) = ready(&value) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("timed out after {timeout:?}");
            }
            let waited = self.changed.wait_timeout(value, left);
            value = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Output {
    octets: Vec<u8>,
    is_at_end: bool,
}

/// A stream's octets so far.
#[derive(Debug, Default)]
struct Captured(Awaited<Output>);

impl Captured {
    fn reading<R: Read + Send + 'static>(source: Option<R>) -> Arc<Self> {
        let captured = Arc::new(Self::default());
        let shared = Arc::clone(&captured);
        thread::spawn(move || {
            if let Some(mut source) = source {
                let mut buffer = [0; 8192];
                while let Ok(length @ 1..) = source.read(&mut buffer) {
                    shared.append(&buffer[..length], false);
                }
            }
            shared.append(&[], true);
        });
        captured
    }

    fn append(&self, octets: &[u8], is_at_end: bool) {
        let mut value = self.0.lock();
        let output = value.get_or_insert_default();
        output.octets.extend_from_slice(octets);
        output.is_at_end = is_at_end;
        self.0.changed.notify_all();
    }

    fn text(&self) -> String {
        let value = self.0.lock();
        value
            .as_ref()
            .map(|output| text_of(&output.octets))
            .unwrap_or_default()
    }

    fn wait_for_end(&self, timeout: Duration) -> Result<()> {
        self.0
            .wait(timeout, |output| output.as_ref()?.is_at_end.then_some(()))
    }

    fn wait_for_line(
        &self,
        timeout: Duration,
        nth: usize,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let line_or_end = self.0.wait(timeout, |output| {
            let output = output.as_ref()?;
            let text = text_of(&output.octets);
            // A last line without its end may still grow.
            let whole = if output.is_at_end {
                text.len()
            } else {
                text.rfind('\n')?
            };
            let found = text[..whole]
                .lines()
                .filter(|line| wanted(line))
                .nth(nth.saturating_sub(1))
                .map(ToOwned::to_owned);
            if found.is_some() || output.is_at_end {
                Some(found)
            } else {
                None
            }
        })?;
        line_or_end.context("the stream ended")
    }
}

fn text_of(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}
