//! The compilers that can build the BPF programs: rustup's with its rust-src, or Debian's packages
//! that match one another.
//!
//! The BPF target has no ready-made `core`: a compiler serves when the sources of its own `core`
//! are beside it and its LLVM is one that the linker reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use crate::cargo_tools::BPF_LINKER_LLVM;
use crate::process::{find, output_of};

/// Debian's compiler, cargo and sources of `core`, of one version.
pub(crate) const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// Where `core`'s sources are, below a compiler's own folder.
const CORE_SOURCE: &str = "lib/rustlib/src/rust";

/// The two ways to a compiler for BPF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// rustup's active toolchain with its component rust-src.
    Rustup,
    /// Debian's packages.
    Debian,
}

impl Way {
    /// Every way, the preferred one first.
    pub(crate) const ALL: [Self; 2] = [Self::Rustup, Self::Debian];

    /// The way's name in options and in the manifest.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rustup => "rustup",
            Self::Debian => "debian",
        }
    }
}

/// Which way to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    /// rustup's toolchain where that works, else Debian's packages.
    #[default]
    Auto,
    /// rustup's active toolchain with its component rust-src.
    Rustup,
    /// Debian's packages.
    Debian,
}

impl Choice {
    /// The ways to try, in order.
    pub(crate) fn ways(self) -> &'static [Way] {
        match self {
            Self::Auto => &Way::ALL,
            Self::Rustup => &[Way::Rustup],
            Self::Debian => &[Way::Debian],
        }
    }
}

/// A compiler that can build the BPF programs.
#[derive(Debug)]
pub(crate) struct Toolchain {
    /// How it came here.
    pub(crate) way: Way,
    /// Its cargo.
    pub(crate) cargo: PathBuf,
    /// Its compiler.
    pub(crate) rustc: PathBuf,
    /// Its `core`'s sources: under the compiler's own folder, and where a link there leads.
    pub(crate) core_source: [PathBuf; 2],
    /// The shared library that holds its LLVM.
    pub(crate) llvm: PathBuf,
    /// What it says of itself.
    pub(crate) version: RustcVersion,
}

/// What `rustc -vV` says of a compiler, as far as it decides which code it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RustcVersion {
    /// The first line: `rustc 1.95.0 (59807616e 2026-04-14)`.
    pub(crate) rustc: String,
    /// The full commit.
    pub(crate) commit: String,
    /// LLVM's version.
    pub(crate) llvm: String,
}

impl RustcVersion {
    /// Reads the output of `rustc -vV`.
    ///
    /// # Errors
    /// When a line is missing.
    fn parse(text: &str) -> Result<Self> {
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map(|value| value.trim().to_owned())
                .with_context(|| format!("rustc's version has no `{name}`"))
        };
        Ok(Self {
            rustc: text.lines().next().unwrap_or_default().trim().to_owned(),
            commit: field("commit-hash:")?,
            llvm: field("LLVM version:")?,
        })
    }

    /// LLVM's major version, by which bitcode is compatible.
    fn llvm_major(&self) -> Option<u32> {
        self.llvm.split('.').next()?.parse().ok()
    }
}

impl Toolchain {
    /// Finds the toolchain of `way`, complete and fit to build the BPF programs.
    ///
    /// # Errors
    /// When a part is missing or doesn't fit; the message says which.
    pub(crate) fn find(way: Way) -> Result<Self> {
        let folder = folder(way)?;
        let (cargo, rustc) = (folder.join("bin/cargo"), folder.join("bin/rustc"));
        for program in [&cargo, &rustc] {
            if !program.is_file() {
                bail!("there is no {}", program.display());
            }
        }
        let version = RustcVersion::parse(&output_of(Command::new(&rustc).arg("-vV"))?)?;
        if !version
            .llvm_major()
            .is_some_and(|major| BPF_LINKER_LLVM.contains(&major))
        {
            bail!(
                "{} has LLVM {}, and the linker reads that of {BPF_LINKER_LLVM:?}",
                version.rustc,
                version.llvm
            );
        }
        let source = folder.join(CORE_SOURCE);
        let real_source = fs::canonicalize(&source).unwrap_or_else(|_| source.clone());
        if !real_source.join("library/core/src/lib.rs").is_file() {
            bail!("the sources of core are not in {}", source.display());
        }
        let llvm = llvm_of(&rustc)?;
        Ok(Self {
            way,
            cargo,
            rustc,
            core_source: [source, real_source],
            llvm,
            version,
        })
    }

    /// The first of `choice`'s ways that is complete here.
    ///
    /// # Errors
    /// When none is; the message says for each what is missing.
    pub(crate) fn first(choice: Choice) -> Result<Self> {
        let mut reasons = Vec::new();
        for &way in choice.ways() {
            match Self::find(way) {
                Ok(found) => return Ok(found),
                Err(error) => reasons.push(format!("{}: {error:#}", way.name())),
            }
        }
        bail!(
            "find a compiler for BPF: {}; try `cargo xtask setup`",
            reasons.join("; ")
        )
    }
}

/// The folder whose `bin` and `lib` hold the compiler of `way`.
fn folder(way: Way) -> Result<PathBuf> {
    match way {
        Way::Debian => Ok(PathBuf::from("/usr")),
        Way::Rustup if find("rustup").is_none() => bail!("there is no rustup"),
        Way::Rustup => {
            let text = output_of(Command::new("rustc").args(["--print", "sysroot"]))?;
            Ok(PathBuf::from(text.trim()))
        }
    }
}

/// The LLVM that `rustc` itself runs with.
///
/// The linker takes the first libLLVM that it finds, and a system may have several: the loader is
/// asked instead of a folder searched.
fn llvm_of(rustc: &Path) -> Result<PathBuf> {
    let text = output_of(Command::new("ldd").arg(rustc).env_remove("LD_LIBRARY_PATH"))?;
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with("libLLVM"));
    let path = line.and_then(|line| line.split_whitespace().nth(2));
    path.map(PathBuf::from).with_context(|| {
        format!(
            "{} doesn't load LLVM as a shared library, which the linker needs",
            rustc.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: &str = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\n\
        commit-hash: 59807616e1fa\nhost: x86_64-unknown-linux-gnu\nLLVM version: 22.1.2\n";

    #[test]
    fn a_compiler_is_known_by_its_commit_and_its_llvm() {
        let version = RustcVersion::parse(VERSION).unwrap();
        assert_eq!(version.commit, "59807616e1fa");
        assert_eq!(version.llvm_major(), Some(22));
    }

    #[test]
    fn a_version_without_llvm_is_refused() {
        assert!(RustcVersion::parse("rustc 1.95.0\ncommit-hash: 1\n").is_err());
    }

    #[test]
    fn auto_tries_every_way() {
        assert_eq!(Choice::Auto.ways().len(), Way::ALL.len());
        assert_eq!(Choice::Debian.ways(), [Way::Debian]);
    }
}
