//! flowwatch's development commands: `cargo xtask <command>`.
//!
//! Every check that CI makes is one of these, so that a developer can make it too.

#![allow(
    clippy::print_stdout,
    reason = "what these commands do, they say on standard output"
)]

mod process;
mod workspace;

mod cargo_tools;
mod packages;
mod setup;
mod toolchain;

mod bpf_compile;
mod bpf_sources;
mod build_ebpf;
mod manifest;
mod object_file;

mod layer_rules;
mod layers;
mod sizes;
mod source;

mod lab;
mod package;
mod skips;
mod steps;
mod test;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use steps::Part;
use toolchain::Choice;

/// flowwatch's development commands.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Command {
    /// Installs what the tests need and the toolchain for the BPF programs; says each step.
    Setup {
        /// Where the compiler for BPF comes from.
        #[arg(long, value_enum, default_value_t)]
        toolchain: Choice,
    },
    /// Runs every test of the project.
    Test {
        /// Run these parts alone.
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<Part>,
        /// Leave the set-up out.
        #[arg(long)]
        no_setup: bool,
    },
    /// Shows flowwatch at work on a simulated camera's traffic, in network namespaces.
    Demo,
    /// Measures what a packet and a drain cost; `bench replay`: how fast captures are read;
    /// `bench history`: what a year of it takes; `bench live`: what a view of 50,000 flows takes.
    Bench {
        /// The bench's own arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Compiles the BPF programs and writes the committed objects and their manifest.
    BuildEbpf {
        /// Change nothing: fail when sources, objects and manifest disagree.
        #[arg(long)]
        check: bool,
        /// Which compiler to build with.
        #[arg(long, value_enum, default_value_t, conflicts_with = "check")]
        toolchain: Choice,
    },
    /// Checks that modules import only what the architecture lets them.
    Layers,
    /// Checks that no function and no file is over its limit.
    Sizes,
    /// Makes the Debian package, or the statically linked program with what belongs to it.
    Package {
        /// A target of musl's, such as `x86_64-unknown-linux-musl`; without it, the Debian package is made.
        #[arg(long)]
        target: Option<String>,
    },
    /// Makes manual pages and shell completions.
    Pages {
        /// The folder to write to.
        folder: String,
    },
    /// Makes the built-in database of countries and organisations.
    Geo {
        /// The generator's own arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Makes the built-in registry of vendors.
    Oui {
        /// The generator's own arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Makes the report's map of the world.
    Map {
        /// The generator's own arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what `command` says.
fn run(command: Command) -> Result<()> {
    match command {
        Command::Setup { toolchain } => setup::setup(toolchain),
        Command::Test { only, no_setup } => test::test(&only, no_setup.then_some(Part::Setup)),
        Command::Demo => lab::demo(),
        Command::Bench { arguments } => lab::bench(&arguments),
        Command::BuildEbpf { check: true, .. } => build_ebpf::check(),
        Command::BuildEbpf { toolchain, .. } => build_ebpf::build(toolchain),
        Command::Layers => layers::check(),
        Command::Sizes => sizes::check(),
        Command::Package { target: None } => package::debian().map(drop),
        Command::Package {
            target: Some(target),
        } => package::for_target(&target),
        Command::Pages { folder } => package::make_pages(Path::new(&folder)),
        Command::Geo { arguments } => generate("xtask-geo", &arguments),
        Command::Oui { arguments } => generate("xtask-oui", &arguments),
        Command::Map { arguments } => generate("xtask-map", &arguments),
    }
}

/// Runs a generator of built-in data, a program of its own, as its crates would slow all else down.
fn generate(generator: &str, arguments: &[String]) -> Result<()> {
    let options = [
        "run",
        "--quiet",
        "--release",
        "-p",
        "xtask",
        "--features",
        "geo",
    ];
    process::run(
        process::cargo()
            .args(options)
            .args(["--bin", generator, "--"])
            .args(arguments),
    )
}
