//! What a test needs of the machine, and the typed reason why it is skipped without it.
//!
//! A skip is printed, and noted in the file that `FLOWWATCH_SKIPS` names, which `cargo xtask test`
//! reads at its end. `FLOWWATCH_NO_SKIP=1` (set in CI) turns every skip into a failure, but for the link types in
//! `FLOWWATCH_LACKS` (such as `vlan,bond`), and for `flowtable`: what a machine's kernel is known to lack is said there,
//! once, in its CI's own configuration.

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result, bail};

use crate::flowwatch::PROGRAM;

/// The variable that tells where the Debian package is.
pub const PACKAGE: &str = "FLOWWATCH_DEB";

/// The service manager.
const SYSTEMD: &str = "/lib/systemd/systemd";

/// Something that a test can't do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The superuser: namespaces, packet sockets and BPF programs ask for it.
    Root,
    /// A program on the search path.
    Program(&'static str),
    /// A kind of link that the kernel can make, as `ip link add type` names it (`vlan`, `bond`).
    LinkType(&'static str),
    /// A file, such as a device's.
    File(&'static str),
    /// nftables' flowtables.
    Flowtables,
    /// flowwatch itself, where `FLOWWATCH_BIN` says that it is.
    Flowwatch,
    /// Its Debian package, where `FLOWWATCH_DEB` says that it is.
    Package,
    /// systemd, to be started as the first process of a namespace.
    Systemd,
}

/// Why a test was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSupported {
    /// What is missing.
    pub need: Need,
}

impl fmt::Display for NotSupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.need {
            Need::Root => write!(f, "this is not root"),
            Need::Program(name) => write!(f, "there is no program `{name}`"),
            Need::LinkType(name) => write!(f, "the kernel has no links of type `{name}`"),
            Need::File(path) => write!(f, "there is no `{path}`"),
            Need::Flowtables => write!(f, "the kernel has no flowtables"),
            Need::Package => write!(
                f,
                "{PACKAGE} names no package; run `cargo xtask test --only live`"
            ),
            Need::Systemd => write!(
                f,
                "there is no {SYSTEMD}, or no cgroup hierarchy of version 2"
            ),
            Need::Flowwatch => write!(
                f,
                "{PROGRAM} names no program; run `cargo xtask test --only live`"
            ),
        }
    }
}

impl std::error::Error for NotSupported {}

/// Returns the first of `needs` that the machine lacks.
#[must_use]
pub fn lacking(needs: &[Need]) -> Option<NotSupported> {
    let need = *needs.iter().find(|need| !is_met(**need))?;
    Some(NotSupported { need })
}

/// Whether a test may run. When it may not, the reason is printed, or, where skips are not allowed,
/// returned as an error: `if !granted(&[Need::Root])? { return Ok(()) }`.
pub fn granted(needs: &[Need]) -> Result<bool> {
    let Some(missing) = lacking(needs) else {
        return Ok(true);
    };
    let is_strict = std::env::var_os("FLOWWATCH_NO_SKIP").is_some_and(|value| value == "1");
    if is_strict && !is_known(missing) {
        bail!("FLOWWATCH_NO_SKIP=1, but {missing}");
    }
    note(missing)?;
    Ok(false)
}

/// Tells of a skip. The test's name is its thread's.
fn note(missing: NotSupported) -> Result<()> {
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    // Not by `eprintln`, which the test runner keeps to itself when a test passes.
    writeln!(io::stderr(), "skipped: {test}: {missing}").ok();
    let Some(path) = std::env::var_os("FLOWWATCH_SKIPS") else {
        return Ok(());
    };
    let what = || format!("note a skip in {}", Path::new(&path).display());
    let mut notes = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(what)?;
    // In one piece: several tests may be writing.
    let line = format!("{missing}\t{test}\n");
    notes.write_all(line.as_bytes()).with_context(what)
}

fn is_known(missing: NotSupported) -> bool {
    let known = std::env::var("FLOWWATCH_LACKS").unwrap_or_default();
    let lack = match missing.need {
        Need::LinkType(kind) => kind,
        Need::Flowtables => "flowtable",
        _ => return false,
    };
    known.split(',').any(|known| known == lack)
}

fn names_a_file(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|path| Path::new(&path).is_file())
}

fn has_cgroups() -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts
        .lines()
        .any(|line| line.split(' ').nth(2) == Some("cgroup2"))
}

fn is_met(need: Need) -> bool {
    match need {
        Need::Root => nix::unistd::geteuid().is_root(),
        Need::Program(name) => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
        }
        Need::LinkType(kind) => crate::link::can_make(kind),
        Need::File(path) => Path::new(path).exists(),
        Need::Flowtables => crate::link::can_make_flowtables(),
        Need::Flowwatch => names_a_file(PROGRAM),
        Need::Package => names_a_file(PACKAGE),
        Need::Systemd => Path::new(SYSTEMD).is_file() && has_cgroups(),
    }
}
