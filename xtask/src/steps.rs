//! The steps of `cargo xtask test`, in order, as data: what each is called, which part of the
//! project it tests, and what it does.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::cargo_tools::CARGO_FUZZ;
use crate::process::{cargo, run};
use crate::toolchain::Choice;
use crate::workspace::{files, root, target_folder};
use crate::{build_ebpf, layers, package, setup, sizes, skips};

/// A part of the tests, which `--only` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Installation of what the others need.
    Setup,
    /// What is read off the sources: format, lints, layers, sizes, the BPF objects' manifest.
    Checks,
    /// Unit and documentation tests; they need no privilege.
    Unit,
    /// The BPF programs in the kernel, run on frames made by hand.
    Kernel,
    /// The program in the lab's network namespaces.
    Live,
    /// A short run of every fuzz target.
    Fuzz,
}

/// One step.
pub(crate) struct Step {
    /// What it is called in headings and in the table at the end.
    pub(crate) name: &'static str,
    /// The part it belongs to.
    pub(crate) part: Part,
    /// Does it.
    pub(crate) run: fn() -> Result<()>,
}

/// Every step, quick ones first; a new one is one line here.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "setup",
        part: Part::Setup,
        run: || setup::setup(Choice::Auto),
    },
    Step {
        name: "format",
        part: Part::Checks,
        run: format,
    },
    Step {
        name: "layers",
        part: Part::Checks,
        run: layers::check,
    },
    Step {
        name: "sizes",
        part: Part::Checks,
        run: sizes::check,
    },
    Step {
        name: "clippy",
        part: Part::Checks,
        run: clippy,
    },
    Step {
        name: "documentation",
        part: Part::Checks,
        run: documentation,
    },
    Step {
        name: "build-ebpf --check",
        part: Part::Checks,
        run: build_ebpf::check,
    },
    Step {
        name: "unit tests",
        part: Part::Unit,
        run: unit_tests,
    },
    Step {
        name: "without the database",
        part: Part::Unit,
        run: tests_without_database,
    },
    Step {
        name: "the lab's unit tests",
        part: Part::Unit,
        run: lab_unit_tests,
    },
    Step {
        name: "kernel tests",
        part: Part::Kernel,
        run: || privileged_tests(Part::Kernel),
    },
    Step {
        name: "live tests",
        part: Part::Live,
        run: || privileged_tests(Part::Live),
    },
    Step {
        name: "fuzz targets",
        part: Part::Fuzz,
        run: fuzz,
    },
];

/// The crate with the lab and the tests that run in it.
const LAB: &str = "flowwatch-tests";

/// The variable that tells tests where the program is.
pub(crate) const PROGRAM: &str = "FLOWWATCH_BIN";

/// The variable that tells tests where the Debian package is.
const PACKAGE: &str = "FLOWWATCH_DEB";

/// rustfmt's opinion.
fn format() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))
}

/// clippy's, without the BPF crate, which only its own target compiles.
fn clippy() -> Result<()> {
    run(cargo()
        .args([
            "clippy",
            "--quiet",
            "--workspace",
            "--exclude",
            "flowwatch-ebpf",
        ])
        .args([
            "--features",
            "xtask/geo,xtask/pages",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
}

/// rustdoc's, on every public item.
fn documentation() -> Result<()> {
    run(cargo()
        .args(["doc", "--quiet", "--no-deps", "--workspace"])
        .args(["--exclude", "flowwatch-ebpf"])
        .env("RUSTDOCFLAGS", "-D warnings"))
}

/// Unit and documentation tests of every crate but the lab.
fn unit_tests() -> Result<()> {
    let excluded = ["--exclude", "flowwatch-ebpf", "--exclude", LAB];
    run(cargo()
        .args([
            "test",
            "--quiet",
            "--workspace",
            "--features",
            "xtask/pages",
        ])
        .args(excluded))
}

/// flowwatch's own, built without the database of places that it otherwise holds.
fn tests_without_database() -> Result<()> {
    let options = ["--package", "flowwatch", "--no-default-features", "--lib"];
    run(cargo().args(["test", "--quiet"]).args(options))
}

/// The lab's own unit tests; its integration tests are the kernel and live ones.
fn lab_unit_tests() -> Result<()> {
    run(skips::noted(
        cargo().args(["test", "--quiet", "-p", LAB, "--lib", "--bins"]),
    ))
}

/// The lab's integration tests of one part, optimised: they race against a kernel at full speed.
fn privileged_tests(part: Part) -> Result<()> {
    let program = release_program()?;
    let mut command = cargo();
    command
        .args(["test", "--release", "-p", LAB])
        .env(PROGRAM, program);
    if part == Part::Live {
        command.env(PACKAGE, package::debian()?);
    }
    let targets = test_targets()?;
    let targets: Vec<&str> = targets
        .iter()
        .filter(|target| part_of(target) == part)
        .map(String::as_str)
        .collect();
    if targets.is_empty() {
        println!("  there are none yet");
        return Ok(());
    }
    command.args(targets.iter().flat_map(|target| ["--test", target]));
    // Tests of one target may change the same kernel's state; their own threads are their matter.
    run(skips::noted(&mut command))
}

/// Seconds that each fuzz target runs: long enough to try every seed and some hundred thousand changes. The
/// whole run is to stay under half an hour; `cargo fuzz run` goes on for as long as one likes.
const FUZZ_SECONDS: u32 = 12;

/// A short run of every fuzz target, from its seeds.
fn fuzz() -> Result<()> {
    let folder = root().join("fuzz");
    for path in files(&folder.join("fuzz_targets"), "rs")? {
        let target = path
            .file_stem()
            .context("name the fuzz target")?
            .to_string_lossy();
        let corpus = folder.join("corpus").join(&*target);
        fs::create_dir_all(&corpus).with_context(|| format!("make {}", corpus.display()))?;
        // cargo hands its subcommands their own name; so does this, as it isn't on `PATH`.
        let mut command = Command::new(CARGO_FUZZ.program()?);
        command.args(["fuzz", "run", &target]).arg(&corpus);
        command.arg(folder.join("seeds").join(&*target));
        command.args(["--", "-verbosity=0", "-print_final_stats=1"]);
        // A stable compiler takes the sanitizers' options with this alone.
        command
            .arg(format!("-max_total_time={FUZZ_SECONDS}"))
            .env("RUSTC_BOOTSTRAP", "1");
        println!("  fuzzing {target} for {FUZZ_SECONDS} s");
        run(command.current_dir(root()))?;
    }
    Ok(())
}

/// Builds the program optimised, as users have it, and returns where it is.
pub(crate) fn release_program() -> Result<std::path::PathBuf> {
    run(cargo().args(["build", "--quiet", "--release", "-p", "flowwatch"]))?;
    Ok(target_folder().join("release/flowwatch"))
}

/// The names of the lab's integration tests: the files and folders of `tests/tests`.
fn test_targets() -> Result<Vec<String>> {
    let folder = root().join("tests/tests");
    let mut targets = Vec::new();
    for path in if folder.is_dir() {
        files(&folder, "rs")?
    } else {
        Vec::new()
    } {
        let inside = path
            .strip_prefix(&folder)
            .unwrap_or(&path)
            .display()
            .to_string();
        let name = inside
            .strip_suffix("/main.rs")
            .or_else(|| inside.strip_suffix(".rs"));
        targets.extend(name.filter(|name| !name.contains('/')).map(str::to_owned));
    }
    Ok(targets)
}

/// The part that an integration test belongs to: every one that isn't the kernel's is live, so that
/// none is left out.
fn part_of(target: &str) -> Part {
    if target.starts_with("kernel") {
        Part::Kernel
    } else {
        Part::Live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_a_step() {
        for part in Part::value_variants() {
            assert!(STEPS.iter().any(|step| step.part == *part), "{part:?}");
        }
    }

    #[test]
    fn a_test_that_is_not_the_kernels_is_live() {
        assert_eq!(part_of("kernel_golden"), Part::Kernel);
        assert_eq!(part_of("exactness"), Part::Live);
    }
}
