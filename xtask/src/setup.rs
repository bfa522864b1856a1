//! `cargo xtask setup`: installs what the tests need and the toolchain for the BPF programs.
//!
//! Checks before it acts and says each step, so that it is quick when all is there and can be run
//! at any time.

use std::process::Command;

use anyhow::{Result, bail};

use crate::cargo_tools::{BPF_LINKER, CARGO_TOOLS};
use crate::packages::{apt_install, install_missing};
use crate::process::run;
use crate::toolchain::{Choice, DEBIAN_PACKAGES, Toolchain, Way};

/// Installs everything.
///
/// # Errors
/// When a part can't be installed; the message says which, and what to do.
pub(crate) fn setup(choice: Choice) -> Result<()> {
    println!("setup: Debian's packages for tests, lab and demo");
    install_missing()?;
    println!("setup: compiler for BPF");
    let toolchain = compiler(choice)?;
    println!(
        "  {} by {}, LLVM {}",
        toolchain.version.rustc,
        toolchain.way.name(),
        toolchain.version.llvm
    );
    println!("setup: programs from crates.io");
    for tool in CARGO_TOOLS {
        // With Debian's packages alone there may be no other compiler on `PATH`.
        let own = (toolchain.way == Way::Debian && tool.name == BPF_LINKER.name)
            .then_some((toolchain.cargo.as_path(), toolchain.rustc.as_path()));
        tool.install(own)?;
    }
    println!("setup: done");
    Ok(())
}

/// Finds a compiler for BPF, or installs one: the first of `choice`'s ways that works.
fn compiler(choice: Choice) -> Result<Toolchain> {
    if let Ok(found) = Toolchain::first(choice) {
        return Ok(found);
    }
    let mut reasons = Vec::new();
    for &way in choice.ways() {
        match install(way) {
            Ok(found) => return Ok(found),
            Err(error) => {
                println!("  not by {}: {error:#}", way.name());
                reasons.push(format!("{}: {error:#}", way.name()));
            }
        }
    }
    bail!(
        "install a compiler for BPF: {}; the committed object needs none, only a change to \
         flowwatch-ebpf does",
        reasons.join("; ")
    )
}

/// Installs what `way` still lacks.
fn install(way: Way) -> Result<Toolchain> {
    let before = match Toolchain::find(way) {
        Ok(found) => return Ok(found),
        Err(error) => error,
    };
    println!("  {}: {before:#}", way.name());
    match way {
        Way::Rustup => run(Command::new("rustup").args(["component", "add", "rust-src"]))?,
        Way::Debian => apt_install(&DEBIAN_PACKAGES)?,
    }
    Toolchain::find(way)
}
