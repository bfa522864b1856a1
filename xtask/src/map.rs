//! The generator of the report's map of the world: outlines and middles of countries, projected.
//!
//! From a pinned npm package that carries Natural Earth's data to `flowwatch/data/world.tsv` and its
//! NOTICE, which `flowwatch::report` takes in at build time. The same files give the same octets.

#![expect(
    clippy::print_stdout,
    reason = "a command: its figures are for who runs it"
)]

#[path = "map/cut.rs"]
mod cut;
mod generated;
#[path = "map/outline.rs"]
mod outline;
#[path = "map/projection.rs"]
mod projection;
#[path = "map/topology.rs"]
mod topology;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use isocountry::CountryCode;

use outline::Outline;
use topology::{Country, Topology};

/// The package, which is only unpacked.
const PACKAGE: &str = "world-atlas";
/// Its version.
const VERSION: &str = "2.0.2";
/// The file whose outlines are drawn: at a scale of 1:110 million.
const DRAWN: &str = "countries-110m.json";
/// Finer ones, for the middles of countries that are too small to be drawn.
const FINER: [&str; 2] = ["countries-50m.json", "countries-10m.json"];
/// The fewest countries that must come of it: fewer, and the files were cut off.
const FEWEST: usize = 230;
/// The largest file that may be committed: it is in the program and in every page.
const MAX_OCTETS: usize = 80_000;
/// Not drawn: nobody's, and the bottom quarter of the map.
const LEFT_OUT: &str = "AQ";
/// A country that ISO 3166-1 has no number for, by Natural Earth's name, and the code that
/// databases of places give it (user-assigned).
const WITHOUT_NUMBER: (&str, &str) = ("Kosovo", "XK");

/// Makes the report's map of the world from a pinned npm package.
#[derive(Parser)]
#[command(
    name = "cargo xtask map",
    after_help = "Example: cargo xtask map --inputs world-atlas-2.0.2/package"
)]
struct Arguments {
    /// Folder that has the package's files; otherwise npm fetches it
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
    let world = world(&inputs)?;
    let notice = format!(
        include_str!("map/NOTICE.txt"),
        package = PACKAGE,
        version = VERSION
    );
    let files = [
        ("world.tsv", world.as_bytes()),
        ("NOTICE-world", notice.as_bytes()),
    ];
    generated::deliver(&files, arguments.check, "cargo xtask map")
}

/// Has npm unpack the package into `folder`, and returns where its files are.
fn fetch(folder: &Path) -> Result<PathBuf> {
    let status = Command::new("npm")
        .args(["install", "--silent", "--no-save", "--ignore-scripts"])
        .arg(format!("{PACKAGE}@{VERSION}"))
        .current_dir(folder)
        .status()
        .context("run npm")?;
    ensure!(status.success(), "run npm install: it ended with {status}");
    Ok(folder.join("node_modules").join(PACKAGE))
}

/// Returns the file's text: a line a country of its code, where its middle is, and its outline.
fn world(inputs: &Path) -> Result<String> {
    let read = |name: &str| {
        let path = inputs.join(name);
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("read `{}`", path.display()))?;
        Topology::parse(&text).with_context(|| format!("understand `{}`", path.display()))
    };
    let mut outlines: BTreeMap<String, Outline> = BTreeMap::new();
    let mut unclaimed = Vec::new();
    for country in read(DRAWN)?.countries()? {
        let outline = Outline::of(&country.rings);
        match code_of(&country) {
            Some(code) if code == LEFT_OUT => {}
            Some(code) => {
                outlines.insert(code, outline);
            }
            None => unclaimed.push(outline),
        }
    }
    let drawn = outlines.len();
    for name in FINER {
        for country in read(name)?.countries()? {
            let Some(code) = code_of(&country).filter(|code| code != LEFT_OUT) else {
                continue;
            };
            let middle = || Outline::of(&country.rings).without_path();
            outlines.entry(code).or_insert_with(middle);
        }
    }
    let mut text = format!("{}\t{}\n", projection::WIDTH, projection::height());
    for (code, outline) in outlines.iter().map(|(code, it)| (code.as_str(), it)) {
        let (x, y) = outline.middle;
        writeln!(text, "{code}\t{x}\t{y}\t{}", outline.path)?;
    }
    for outline in &unclaimed {
        writeln!(text, "\t\t\t{}", outline.path)?;
    }
    println!(
        "{drawn} countries drawn, {} by their middles; {} octets",
        outlines.len() - drawn,
        text.len()
    );
    ensure!(outlines.len() >= FEWEST, "fewer countries than {FEWEST}");
    ensure!(text.len() <= MAX_OCTETS, "more than {MAX_OCTETS} octets");
    Ok(text)
}

/// Returns a country's code of two letters (ISO 3166-1), by its number.
fn code_of(country: &Country) -> Option<String> {
    let (name, code) = WITHOUT_NUMBER;
    if country.name == name {
        return Some(code.to_owned());
    }
    let number = country.number?;
    let known = CountryCode::for_id(number).ok()?;
    Some(known.alpha2().to_owned())
}
