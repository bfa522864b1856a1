//! What a test needs of the machine, and the typed reason why it is skipped without it.
//!
//! `FLOWWATCH_NO_SKIP=1` (set in CI) turns every skip into a failure, but for the link types in
//! `FLOWWATCH_LACKS` (such as `vlan,bond`): what a machine's kernel is known to lack is said there,
//! once, in its CI's own configuration.

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

use crate::flowwatch::PROGRAM;

/// Something that a test can't do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The superuser: namespaces, packet sockets and BPF programs ask for it.
    Root,
    /// A program on the search path.
    Program(&'static str),
    /// A kind of link that the kernel can make, as `ip link add type` names it (`vlan`, `bond`).
    LinkType(&'static str),
    /// flowwatch itself, where `FLOWWATCH_BIN` says that it is.
    Flowwatch,
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
            Need::Root => write!(f, "not root"),
            Need::Program(name) => write!(f, "no program `{name}`"),
            Need::LinkType(name) => write!(f, "the kernel has no links of type `{name}`"),
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
    eprintln!("skipped: {missing}");
    Ok(false)
}

fn is_known(missing: NotSupported) -> bool {
    let known = std::env::var("FLOWWATCH_LACKS").unwrap_or_default();
    matches!(missing.need, Need::LinkType(kind) if known.split(',').any(|lack| lack == kind))
}

fn is_met(need: Need) -> bool {
    match need {
        Need::Root => nix::unistd::geteuid().is_root(),
        Need::Program(name) => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
        }
        Need::LinkType(kind) => crate::link::can_make(kind),
        Need::Flowwatch => std::env::var_os(PROGRAM).is_some_and(|path| Path::new(&path).is_file()),
    }
}
