//! Where things are: the checkout, its source files, its build folder and the cache that every
//! checkout shares.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The crates whose `src` is checked.
const CRATES: [&str; 5] = [
    "flowwatch",
    "flowwatch-common",
    "flowwatch-ebpf",
    "tests",
    "xtask",
];

/// The checkout's top folder.
pub(crate) fn root() -> PathBuf {
    // Cargo gives the checkout at hand; the compiled-in one serves a program started without it.
    let xtask = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.parent().map(Path::to_path_buf).unwrap_or(xtask)
}

/// Cargo's build folder: `CARGO_TARGET_DIR`, or `target` in the checkout.
pub(crate) fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// Where tools that this project builds for itself are kept, outside any checkout, so that clones
/// share them and nothing of the user's is replaced.
///
/// # Errors
/// When neither `XDG_CACHE_HOME` nor `HOME` is set.
pub(crate) fn tools_folder() -> Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty());
    let cache = match cache {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env::var_os("HOME").context("find the cache: HOME is not set")?)
            .join(".cache"),
    };
    Ok(cache.join("flowwatch-build"))
}

/// Every file below `folder` with extension `extension`, sorted, without build folders.
///
/// # Errors
/// When a folder can't be read.
pub(crate) fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
        for entry in entries {
            let path = entry
                .with_context(|| format!("read {}", folder.display()))?
                .path();
            if path.is_dir() && !path.ends_with("target") {
                waiting.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Every source file of every crate, without those that only tests use: its name and its text.
///
/// # Errors
/// When a file can't be read.
pub(crate) fn sources() -> Result<Vec<(String, String)>> {
    let mut sources = Vec::new();
    for crate_name in CRATES {
        for path in files(&root().join(crate_name).join("src"), "rs")? {
            if !is_for_tests(&path) {
                sources.push((name_of(&path), read(&path)?));
            }
        }
    }
    Ok(sources)
}

/// Whether the file above `path` declares it for tests alone.
fn is_for_tests(path: &Path) -> bool {
    let (Some(folder), Some(name)) = (path.parent(), path.file_stem()) else {
        return false;
    };
    let declaration = format!("mod {};", name.to_string_lossy());
    let above = ["mod.rs", "lib.rs", "main.rs"].map(|file| folder.join(file));
    let texts = above
        .into_iter()
        .chain([folder.with_extension("rs")])
        .map(fs::read_to_string);
    texts
        .flatten()
        .any(|text| declares_for_tests(&text, &declaration))
}

/// Whether `declaration` stands in `text` right after `#[cfg(test)]`.
fn declares_for_tests(text: &str, declaration: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.windows(2).any(|pair| match pair {
        ["#[cfg(test)]", line] => line.ends_with(declaration),
        _ => false,
    })
}

/// `path` as it is called in messages and manifests: relative to the checkout's top.
pub(crate) fn name_of(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Reads a text file of the checkout.
///
/// # Errors
/// When it can't be read or isn't text.
pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", name_of(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_module_declared_for_tests_is_one() {
        let text = "#[cfg(test)]\npub(crate) mod sample;\nmod table;\n";
        assert!(declares_for_tests(text, "mod sample;"));
        assert!(!declares_for_tests(text, "mod table;"));
    }
}
