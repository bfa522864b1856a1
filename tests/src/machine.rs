//! A machine with a service manager of its own: systemd as the first process of its own process
//! namespace, on an overlay of this machine's files, in the network namespace of a lab's gateway.
//!
//! What is installed, written and started there is gone with it, and none of it is to be seen on this
//! machine, but for a cgroup that is removed in the end.

use std::fs;
use std::io::{ErrorKind, Read as _, Seek as _};
use std::os::fd::AsFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tempfile::TempDir;

use crate::namespace::Namespace;
use crate::process::{Process, Stream, output_of};

/// What makes the machine's files and starts its service manager.
const BOOT: &str = include_str!("machine/boot.sh");

/// How long the service manager may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// Enters a cgroup, whose name is the last but one word, and then the namespaces. A cgroup namespace
/// begins at the cgroup in which it is made.
const ENTER: &str = r#"
set -eu
mount --make-rprivate /
mount -t cgroup2 cgroup2 "$3"
echo $$ > "$3/$2/cgroup.procs"
umount "$3"
exec unshare --mount --pid --uts --ipc --cgroup --fork --kill-child sh "$1" "$3"
"#;

/// A running machine; ended when dropped.
#[derive(Debug)]
pub struct Machine {
    /// `unshare`, with which everything ends; none once it has.
    process: Option<Process>,
    /// The service manager, as this machine numbers it.
    first: String,
    cgroup: Cgroup,
    /// Held, not used: where its files were laid out.
    _folder: TempDir,
}

impl Machine {
    /// Starts a machine in a network namespace; its service manager is done with starting.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        let folder = tempfile::tempdir().context("make a folder for the machine")?;
        let script = folder.path().join("boot.sh");
        let root = folder.path().join("machine");
        fs::write(&script, BOOT).and_then(|()| fs::create_dir(&root))?;
        let cgroup = Cgroup::make()?;
        let socket = format!("{}-ready", cgroup.name);
        let address = SocketAddr::from_abstract_name(&socket)?;
        let ready = namespace.enter(|| UnixDatagram::bind_addr(&address))??;
        let mut command = namespace.command("sh");
        command
            .args(["-c", ENTER, "sh"])
            .args([&script, Path::new(&cgroup.name), &root])
            .env("NOTIFY_SOCKET", format!("@{socket}"));
        let process = Process::spawn(command)?;
        await_ready(&ready).with_context(|| {
            let said = process.output(Stream::Stderr);
            format!("wait for the service manager; it said:\n{said}")
        })?;
        let pid = process.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let first = children.split_whitespace().next();
        Ok(Self {
            first: first.context("find the service manager")?.to_owned(),
            process: Some(process),
            cgroup,
            _folder: folder,
        })
    }

    /// A command that will run on the machine.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.first]).args([
            "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--", program,
        ]);
        command.env("LC_ALL", "C.UTF-8");
        command
    }

    /// Runs a program there to its end; returns what it printed, and fails when it fails.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(program);
        command.args(arguments);
        output_of(command, "").with_context(|| format!("run `{program} {}`", arguments.join(" ")))
    }

    /// Writes a file there.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let mut command = self.command("tee");
        command.arg(path);
        output_of(command, text).with_context(|| format!("write {path}"))?;
        Ok(())
    }

    /// Copies a file of this machine's there.
    pub fn copy(&self, from: &str, to: &str) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("read {from}"))?;
        let mut command = self.command("dd");
        command.args(["status=none", &format!("of={to}")]);
        let process = Process::spawn_with_input(command, content)?;
        let (status, _, said) = process.finish(PATIENCE)?;
        ensure!(status.success(), "write {to}: {said}");
        Ok(())
    }

    /// Whether there is such a file there.
    pub fn has(&self, path: &str) -> Result<bool> {
        let printed = self.run(
            "sh",
            &["-c", "test -e \"$1\" && echo there || true", "sh", path],
        )?;
        Ok(!printed.is_empty())
    }

    /// What systemd says of a unit's property.
    pub fn property(&self, unit: &str, name: &str) -> Result<String> {
        let value = self.run("systemctl", &["show", "--value", "--property", name, unit])?;
        Ok(value.trim().to_owned())
    }

    /// Follows a unit's log from its beginning.
    pub fn log_of(&self, unit: &str) -> Result<Process> {
        let mut command = self.command("journalctl");
        command.args(["--unit", unit, "--follow", "--lines=all", "--output=cat"]);
        Process::spawn(command)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With the first process of a process namespace, the kernel ends all others.
        drop(self.process.take());
        self.cgroup.remove().ok();
    }
}

/// Waits until the service manager tells that it is done with starting.
fn await_ready(socket: &UnixDatagram) -> Result<()> {
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = [0; 4096];
    loop {
        let length = socket.recv(&mut buffer).context("listen to it")?;
        let told = String::from_utf8_lossy(&buffer[..length]);
        if told.lines().any(|line| line == "READY=1") {
            return Ok(());
        }
    }
}

/// A cgroup at the top of the hierarchy.
#[derive(Debug)]
struct Cgroup {
    name: String,
    path: PathBuf,
}

impl Cgroup {
    fn make() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("flowwatch-lab-{}-{number}", std::process::id());
        let mounts = fs::read_to_string("/proc/self/mounts").context("list the mounts")?;
        let mut mounts = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>());
        let mounted = mounts.find(|words| words.get(2) == Some(&"cgroup2"));
        let mounted = mounted.context("find the cgroup hierarchy: it is not mounted")?;
        let path = Path::new(mounted[1]).join(&name);
        fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(Self { name, path })
    }

    /// Removes it with those in it, once nothing runs in them any more.
    fn remove(&self) -> Result<()> {
        let mut events = fs::File::open(self.path.join("cgroup.events"))?;
        loop {
            let mut text = String::new();
            events.rewind()?;
            events.read_to_string(&mut text)?;
            if text.contains("populated 0") {
                break;
            }
            let mut changed = [PollFd::new(events.as_fd(), PollFlags::POLLPRI)];
            let limit = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
            ensure!(poll(&mut changed, limit)? > 0, "something runs on");
        }
        remove_tree(&self.path)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        match remove_tree(&self.path) {
            Ok(()) => {}
            Err(error) => eprintln!("remove {}: {error:#}", self.path.display()),
        }
    }
}

/// Removes a cgroup's folder and those in it: their files are the kernel's, and go with them.
fn remove_tree(path: &Path) -> Result<()> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    Ok(fs::remove_dir(path)?)
}
