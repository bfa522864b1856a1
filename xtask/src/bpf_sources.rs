//! What the BPF objects are made from, as one hash: the two crates' files, the versions of the
//! crates that they use, and how they are compiled.
//!
//! `flowwatch-common`'s own dependencies are left out: the BPF programs use it without features,
//! and so it has none there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context as _, Result};

use crate::bpf_compile::FLAGS;
use crate::manifest::sha256_of;
use crate::workspace::{files, name_of, read, root};

/// The crates whose files count.
const CRATES: [&str; 2] = ["flowwatch-ebpf", "flowwatch-common"];

/// SHA-256 of the sources as they are in the checkout.
///
/// # Errors
/// When a file can't be read, or `Cargo.lock` lacks a crate.
pub(crate) fn hash() -> Result<String> {
    let mut list = format!("flags {FLAGS:?}\n");
    for crate_name in CRATES {
        let folder = root().join(crate_name);
        for path in files(&folder.join("src"), "rs")?
            .into_iter()
            .chain([folder.join("Cargo.toml")])
        {
            let _ = writeln!(
                list,
                "{} {}",
                name_of(&path),
                sha256_of(read(&path)?.as_bytes())
            );
        }
    }
    list += &closure(&read(&root().join("Cargo.lock"))?)?;
    Ok(sha256_of(list.as_bytes()))
}

/// One `[[package]]` of a lock file.
#[derive(Default)]
struct Locked {
    /// Its version.
    version: String,
    /// Its archive's hash; empty for a crate of the workspace.
    checksum: String,
    /// The names of the packages it depends on.
    dependencies: Vec<String>,
}

/// The packages that `flowwatch-ebpf` is compiled with, one a line, from a lock file's text.
fn closure(lock: &str) -> Result<String> {
    let packages = packages_of(lock);
    let mut reached = BTreeSet::new();
    let mut waiting = vec![CRATES[0]];
    while let Some(name) = waiting.pop() {
        if name == CRATES[1] || !reached.insert(name) {
            continue;
        }
        let package = packages
            .get(name)
            .with_context(|| format!("find {name} in Cargo.lock"))?;
        waiting.extend(
            package
                .iter()
                .flat_map(|p| &p.dependencies)
                .map(String::as_str),
        );
    }
    let mut list = String::new();
    for (name, package) in reached
        .iter()
        .filter_map(|&name| Some((name, packages.get(name)?)))
    {
        for Locked {
            version, checksum, ..
        } in package
        {
            let _ = writeln!(list, "{name} {version} {checksum}");
        }
    }
    Ok(list)
}

/// The lock file's packages by name; a name may stand for several versions.
fn packages_of(lock: &str) -> BTreeMap<&str, Vec<Locked>> {
    let mut packages: BTreeMap<&str, Vec<Locked>> = BTreeMap::new();
    for block in lock.split("[[package]]").skip(1) {
        let mut name = "";
        let mut package = Locked::default();
        for line in block.lines() {
            match line.split_once(" = ") {
                Some(("name", value)) => name = value.trim_matches('"'),
                Some(("version", value)) => {
                    value.trim_matches('"').clone_into(&mut package.version);
                }
                Some(("checksum", value)) => {
                    value.trim_matches('"').clone_into(&mut package.checksum);
                }
                _ => package.dependencies.extend(dependency_of(line)),
            }
        }
        packages.entry(name).or_default().push(package);
    }
    packages
}

/// The name in a line of a dependency list: ` "syn 2.0.1",` names syn.
fn dependency_of(line: &str) -> Option<String> {
    let text = line.strip_prefix(" \"")?.trim_end_matches(['"', ',']);
    text.split(' ').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"aya-ebpf\"\nversion = \"0.2.1\"\n\
        checksum = \"c0ffee\"\ndependencies = [\n \"syn 2.0.1\",\n]\n\n[[package]]\n\
        name = \"flowwatch-common\"\nversion = \"0.1.0\"\ndependencies = [\n \"aya\",\n]\n\n\
        [[package]]\nname = \"flowwatch-ebpf\"\nversion = \"0.1.0\"\ndependencies = [\n \
        \"aya-ebpf\",\n \"flowwatch-common\",\n]\n\n[[package]]\nname = \"syn\"\n\
        version = \"2.0.1\"\nchecksum = \"beef\"\n\n[[package]]\nname = \"tokio\"\n\
        version = \"1.0.0\"\n";

    #[test]
    fn only_what_the_programs_use_counts() {
        let expected = "aya-ebpf 0.2.1 c0ffee\nflowwatch-ebpf 0.1.0 \nsyn 2.0.1 beef\n";
        assert_eq!(closure(LOCK).unwrap(), expected);
    }

    #[test]
    fn a_lock_file_without_a_used_crate_is_refused() {
        let lock = LOCK.replace("name = \"syn\"", "name = \"other\"");
        assert!(closure(&lock).is_err());
    }
}
