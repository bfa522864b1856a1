//! A view on a terminal of its own, whose pictures nobody looks at.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::flowwatch::Run;
use flowwatch_tests::namespace::Namespace;
use flowwatch_tests::process::die_with_parent;
use flowwatch_tests::pseudo_terminal::open;
use nix::unistd::Pid;

const SIZE: (u16, u16) = (50, 200);

/// A view that runs; killed when dropped.
pub(crate) struct Watcher {
    child: Child,
    keys: File,
    reader: JoinHandle<usize>,
}

impl Watcher {
    pub(crate) fn start(namespace: &Namespace, socket: &Path) -> Result<Self> {
        let (master, terminal) = open(SIZE.0, SIZE.1)?;
        let run = Run::new()?
            .command_word("top")
            .through(&["setsid", "--ctty"]);
        let run = run.options(&["--socket", &socket.to_string_lossy()]);
        let run = run
            .variable("TERM", "xterm-256color")
            .variable("LANG", "C.UTF-8");
        let mut command = run.command(namespace);
        command.stdin(terminal.try_clone()?);
        command.stdout(terminal.try_clone()?).stderr(Stdio::null());
        die_with_parent(&mut command);
        let child = command.spawn().context("start the view")?;
        let mut pictures = master.try_clone()?;
        let reader = thread::spawn(move || {
            let mut buffer = [0; 1 << 12];
            let mut octets = 0;
            while let Ok(length @ 1..) = pictures.read(&mut buffer) {
                octets += length;
            }
            octets
        });
        Ok(Self {
            child,
            keys: master,
            reader,
        })
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Has it end, and fails where it showed nothing.
    pub(crate) fn end(mut self) -> Result<()> {
        self.keys.write_all(b"q")?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the view: {status}");
        let drawn = self.reader.join().unwrap_or_default();
        ensure!(drawn > 1_000, "the view drew {drawn} octets");
        Ok(())
    }
}
