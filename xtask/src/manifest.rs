//! The manifest beside the committed BPF object: which compiler made it, from which sources, and
//! what came out.
//!
//! Written and read here alone, so that it needs no TOML library: tables of strings and numbers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::toolchain::RustcVersion;

/// What the manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// How the compiler came to its machine: `rustup` or `debian`.
    pub(crate) way: String,
    /// The compiler.
    pub(crate) rustc: RustcVersion,
    /// The linker's version.
    pub(crate) linker: String,
    /// SHA-256 of everything that the object is made from.
    pub(crate) sources: String,
    /// Each object's path in the checkout, and what it is.
    pub(crate) objects: BTreeMap<String, Fingerprint>,
}

/// How an object is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// SHA-256, in hexadecimal digits.
    pub(crate) sha256: String,
    /// Length in octets.
    pub(crate) octets: usize,
}

impl Fingerprint {
    /// The fingerprint of `octets`.
    pub(crate) fn of(octets: &[u8]) -> Self {
        Self {
            sha256: sha256_of(octets),
            octets: octets.len(),
        }
    }
}

/// SHA-256 of `octets` in hexadecimal digits.
pub(crate) fn sha256_of(octets: &[u8]) -> String {
    Sha256::digest(octets)
        .iter()
        .fold(String::new(), |mut text, octet| {
            let _ = write!(text, "{octet:02x}");
            text
        })
}

impl Manifest {
    /// The manifest as the text of its file.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!(
            "# Written by `cargo xtask build-ebpf`; `cargo xtask build-ebpf --check` compares.\n\
             [toolchain]\nway = \"{}\"\nrustc = \"{}\"\ncommit = \"{}\"\nllvm = \"{}\"\n\
             bpf_linker = \"{}\"\n\n[sources]\nsha256 = \"{}\"\n",
            self.way,
            self.rustc.rustc,
            self.rustc.commit,
            self.rustc.llvm,
            self.linker,
            self.sources,
        );
        for (path, object) in &self.objects {
            let Fingerprint { sha256, octets } = object;
            let _ = write!(
                text,
                "\n[objects.\"{path}\"]\nsha256 = \"{sha256}\"\noctets = {octets}\n"
            );
        }
        text
    }

    /// Reads what `to_text` wrote.
    ///
    /// # Errors
    /// When a value is missing or isn't of its kind.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let values = values_of(text);
        let value = |key: &str| {
            values
                .get(key)
                .cloned()
                .with_context(|| format!("the manifest has no {key}"))
        };
        let mut objects = BTreeMap::new();
        for key in values.keys() {
            let path = key
                .strip_prefix("objects.\"")
                .and_then(|key| key.strip_suffix("\".sha256"));
            let Some(path) = path else { continue };
            let octets = value(&format!("objects.\"{path}\".octets"))?;
            let octets = octets
                .parse()
                .with_context(|| format!("read the size of {path}"))?;
            objects.insert(
                path.to_owned(),
                Fingerprint {
                    sha256: value(key)?,
                    octets,
                },
            );
        }
        let rustc = RustcVersion {
            rustc: value("toolchain.rustc")?,
            commit: value("toolchain.commit")?,
            llvm: value("toolchain.llvm")?,
        };
        let linker = value("toolchain.bpf_linker")?;
        let sources = value("sources.sha256")?;
        Ok(Self {
            way: value("toolchain.way")?,
            rustc,
            linker,
            sources,
            objects,
        })
    }
}

/// Every value of the text by its table and key, `table.key`, without quotation marks.
fn values_of(text: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let mut table = "";
    for line in text.lines() {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            table = name;
        } else if let Some((key, value)) = line.split_once(" = ") {
            values.insert(format!("{table}.{key}"), value.trim_matches('"').to_owned());
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Manifest {
        Manifest {
            way: "rustup".into(),
            rustc: RustcVersion {
                rustc: "rustc 1.95.0 (59807616e 2026-04-14)".into(),
                commit: "59807616e1fa".into(),
                llvm: "22.1.2".into(),
            },
            linker: "0.10.3".into(),
            sources: sha256_of(b"sources"),
            objects: [(
                "flowwatch/bpf/a.bpf.o".to_owned(),
                Fingerprint::of(b"object"),
            )]
            .into(),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(Manifest::parse(&example().to_text()).unwrap(), example());
    }

    #[test]
    fn a_missing_value_is_named() {
        let text = example().to_text().replace("bpf_linker", "linker");
        let error = Manifest::parse(&text).unwrap_err().to_string();
        assert_eq!(error, "the manifest has no toolchain.bpf_linker");
    }

    #[test]
    fn sha256_is_the_standard_one() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_of(b"abc"), abc);
    }
}
