//! The generator of the built-in registry of vendors: the IEEE's files, packed and compressed.
//!
//! From a pinned crate that carries them to `flowwatch/data/oui.zst` and its NOTICE, which
//! `flowwatch::oui` takes in at build time. The same files give the same octets.

#![expect(
    clippy::print_stdout,
    reason = "a command: its figures are for who runs it"
)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Parser;

mod generated;
#[path = "../../flowwatch/src/oui/pack.rs"]
mod pack;
#[path = "../../flowwatch/src/oui/rows.rs"]
mod rows;

/// The crate, which is only unpacked: it carries the files as the IEEE publishes them.
const PACKAGE: &str = "oui-data";
/// Its version.
const VERSION: &str = "0.2.4";
/// When that was published: its data are of shortly before.
const DATE: &str = "2026-10-17T00:00:00Z";
/// The files in it, and the fewest rows that each must have: a short one was cut off.
const FILES: [(&str, usize); 5] = [
    ("oui.csv", 40_000),
    ("oui28.csv", 6_000),
    ("oui36.csv", 7_000),
    ("iab.csv", 4_500),
    ("cid.csv", 200),
];
/// The largest file that may be committed.
const MAX_COMPRESSED_OCTETS: usize = 1_000_000;
/// zstd's level: slow to make, and as fast as any to read.
const COMPRESSION_LEVEL: i32 = 19;

/// Makes the built-in registry of vendors from a pinned crate.
#[derive(Parser)]
#[command(
    name = "cargo xtask oui",
    after_help = "Example: cargo xtask oui --inputs /tmp/oui-data-0.2.4/data"
)]
struct Arguments {
    /// Folder that has the IEEE's files; otherwise cargo fetches the crate that carries them
    #[arg(long)]
    inputs: Option<PathBuf>,
    /// Compare with the committed files instead of writing them
    #[arg(long)]
    check: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let temporary = tempfile::tempdir().context("create a temporary folder")?;
    let inputs = match arguments.inputs {
        Some(inputs) => inputs,
        None => fetch(temporary.path())?,
    };
    let compressed = compress(&inputs)?;
    let notice = notice()?;
    let files = [
        ("oui.zst", &compressed[..]),
        ("NOTICE-oui", notice.as_bytes()),
    ];
    generated::deliver(&files, arguments.check, "cargo xtask oui")
}

/// Has cargo fetch the crate into `folder`, and returns where its files are.
fn fetch(folder: &Path) -> Result<PathBuf> {
    let manifest = format!(
        "[package]\nname = \"inputs\"\nedition = \"2021\"\n[lib]\npath = \"lib.rs\"\n\
         [dependencies]\n{PACKAGE} = \"={VERSION}\"\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest)
        .and_then(|()| fs::write(folder.join("lib.rs"), ""))
        .with_context(|| format!("write to `{}`", folder.display()))?;
    let status = Command::new(env!("CARGO"))
        .args(["vendor", "--quiet"])
        .current_dir(folder)
        .stdout(std::process::Stdio::null())
        .status()
        .context("run cargo vendor")?;
    ensure!(status.success(), "run cargo vendor: it ended with {status}");
    Ok(folder.join("vendor").join(PACKAGE).join("data"))
}

fn compress(inputs: &Path) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for (name, fewest) in FILES {
        let path = inputs.join(name);
        let file = File::open(&path).with_context(|| format!("open `{}`", path.display()))?;
        let read = rows::read(file).with_context(|| format!("read `{}`", path.display()))?;
        println!("{name}: {} assignments", read.len());
        ensure!(
            read.len() >= fewest,
            "`{}` has fewer assignments than {fewest}",
            path.display()
        );
        all.extend(read);
    }
    let date: jiff::Timestamp = DATE.parse()?;
    let packed = pack::pack(&all, date.as_second());
    let packed =
        packed.map_err(|names| anyhow::anyhow!("{names} names are more than can be numbered"))?;
    let compressed = zstd::bulk::Compressor::new(COMPRESSION_LEVEL)?.compress(&packed)?;
    println!(
        "registry: {} octets, compressed: {}",
        packed.len(),
        compressed.len()
    );
    ensure!(
        compressed.len() <= MAX_COMPRESSED_OCTETS,
        "more than {MAX_COMPRESSED_OCTETS} octets, compressed"
    );
    Ok(compressed)
}

/// Returns the notice that goes wherever the registry goes.
fn notice() -> Result<String> {
    let date: jiff::Timestamp = DATE.parse()?;
    Ok(format!(
        include_str!("oui/NOTICE.txt"),
        package = PACKAGE,
        version = VERSION,
        date = date.strftime("%Y-%m-%d")
    ))
}
