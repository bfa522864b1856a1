//! `cargo xtask demo` and `cargo xtask bench`: programs of the lab, with what they need set up.
//!
//! Both make network namespaces and load BPF programs, which only root may.

use std::env;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::packages::install_missing;
use crate::process::{cargo, find, is_root, run};
use crate::steps::{PROGRAM, release_program};

/// The lab's demo: builds the program and shows it at work on a simulated camera's traffic.
///
/// # Errors
/// When something can't be installed or built, or the demo finds a difference.
pub(crate) fn demo() -> Result<()> {
    if !is_root() {
        return as_root(&["demo"]);
    }
    println!("demo: Debian's packages");
    install_missing()?;
    println!("demo: building flowwatch");
    let program = release_program()?;
    run(lab_program("demo").arg("--").arg(program))
}

/// The lab's benches: what a packet and a drain cost in the kernel; or, where the first of
/// `arguments` is `replay`, how fast captures are read, `history`, what a year of it takes, or
/// `live`, what a view takes. The rest are the bench's own.
///
/// # Errors
/// When it can't be built or fails.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    if let Some((first, rest)) = arguments.split_first()
        && first == "replay"
    {
        let program = release_program()?;
        return run(bench_named("replay").args(rest).env(PROGRAM, program));
    }
    if let Some((first, rest)) = arguments.split_first()
        && first == "history"
    {
        return run(bench_named("history").args(rest));
    }
    if !is_root() {
        let words = ["bench"]
            .into_iter()
            .chain(arguments.iter().map(String::as_str));
        return as_root(&words.collect::<Vec<_>>());
    }
    if let Some((first, rest)) = arguments.split_first()
        && first == "live"
    {
        let program = release_program()?;
        return run(bench_named("live").args(rest).env(PROGRAM, program));
    }
    run(bench_named("cost").args(arguments))
}

/// cargo, told to build and run the lab's bench `name` with the arguments that follow.
fn bench_named(name: &str) -> Command {
    let mut command = cargo();
    command
        .args(["bench", "--quiet", "-p", "flowwatch-tests"])
        .args(["--bench", name, "--"]);
    command
}

/// cargo, told to build and run the lab's program `name`.
fn lab_program(name: &str) -> Command {
    let mut command = cargo();
    command.args([
        "run",
        "--quiet",
        "--release",
        "-p",
        "flowwatch-tests",
        "--bin",
        name,
    ]);
    command
}

/// Starts this program again as root, with the same `arguments` and the same toolchain.
fn as_root(arguments: &[&str]) -> Result<()> {
    let Some(sudo) = find("sudo") else {
        let command = arguments.join(" ");
        bail!(
            "only root may make network namespaces and load BPF programs; run `cargo xtask {command}` as root"
        );
    };
    println!("{}: needs root, asking sudo", arguments.join(" "));
    let own = env::current_exe().context("find this program")?;
    let kept = [
        "PATH",
        "HOME",
        "CARGO",
        "CARGO_HOME",
        "CARGO_MANIFEST_DIR",
        "CARGO_TARGET_DIR",
    ];
    let kept = kept
        .into_iter()
        .chain(["RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "XDG_CACHE_HOME"]);
    // sudo clears the environment; these say where the compiler and its crates are.
    let kept = kept.filter_map(|name| Some(format!("{name}={}", env::var(name).ok()?)));
    run(Command::new(sudo)
        .arg("env")
        .args(kept)
        .arg(own)
        .args(arguments))
}
