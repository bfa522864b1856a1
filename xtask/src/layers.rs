//! `cargo xtask layers`: the architecture's rules, as far as text shows them.
//!
//! The rules are data, in `layer_rules`; here they are applied to one file at a time.

use anyhow::{Result, bail};

use crate::layer_rules::{BANS, LAYERS, TOP_FILES};
use crate::source::{Code, Named};
use crate::workspace::sources;

/// The crate whose modules are layers.
const LAYERED: &str = "flowwatch/src/";

/// The file that must declare its crate free of the standard library.
const NO_STD: &str = "flowwatch-common/src/lib.rs";

/// Checks every file of every crate.
///
/// # Errors
/// When a rule is broken, or a file can't be read; all breaches are printed.
pub(crate) fn check() -> Result<()> {
    let mut findings = Vec::new();
    let sources = sources()?;
    for (name, text) in &sources {
        findings.extend(breaches(name, text));
    }
    let names: Vec<&str> = sources.iter().map(|(name, _)| name.as_str()).collect();
    findings.extend(layers_without_module(&names));
    for finding in &findings {
        println!("  {finding}");
    }
    if !findings.is_empty() {
        bail!("{} breaches of the architecture's rules", findings.len());
    }
    println!("layers: {} files keep the rules", sources.len());
    Ok(())
}

/// What breaks a rule in the file `name` with this text.
fn breaches(name: &str, text: &str) -> Vec<String> {
    let names = Code::of(text).names();
    let mut findings = banned(name, &names);
    if let Some(inside) = name.strip_prefix(LAYERED)
        && !TOP_FILES.contains(&name)
    {
        findings.extend(wrong_imports(name, &modules_of(inside), &names));
    }
    if name == NO_STD && !text.contains("#![no_std]") {
        findings.push(format!("{name}: lacks #![no_std]"));
    }
    findings
}

/// The layers whose module is in none of `files`: a rule that has outlived what it was for.
fn layers_without_module(files: &[&str]) -> Vec<String> {
    let inside = |file: &&str| file.strip_prefix(LAYERED).map(modules_of);
    let modules: Vec<Vec<String>> = files.iter().filter_map(inside).collect();
    LAYERS
        .iter()
        .filter(|layer| {
            !modules
                .iter()
                .any(|path| path.first().is_some_and(|first| first == layer.module))
        })
        .map(|layer| {
            let module = layer.module;
            format!("{LAYERED}{module}.rs: no such module; take it out of layer_rules.rs")
        })
        .collect()
}

/// The banned names among `names`.
fn banned(file: &str, names: &[Named]) -> Vec<String> {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| file.starts_with(prefix));
    let mut findings = Vec::new();
    for ban in BANS
        .iter()
        .filter(|ban| begins(ban.within) && !begins(ban.except))
    {
        for name in names {
            let found = ban
                .names
                .iter()
                .find(|banned| contains(&name.segments, banned));
            findings
                .extend(found.map(|found| format!("{file}:{}: {found}: {}", name.line, ban.why)));
        }
    }
    findings
}

/// Whether `banned`'s segments follow one another in `segments`; a crate's name only as the first.
fn contains(segments: &[String], banned: &str) -> bool {
    let banned: Vec<&str> = banned.split("::").collect();
    let is_crate = matches!(
        banned[..],
        ["std" | "alloc" | "flowwatch" | "tokio" | "aya"]
    );
    let mut places = segments
        .windows(banned.len())
        .take(if is_crate { 1 } else { usize::MAX });
    // A crate named alone is a word like any other: a variable may be called so.
    (!is_crate || segments.len() > 1) && places.any(|place| place == banned)
}

/// The modules that a file of the layered crate stands for: `names/dns.rs` is `names`, `dns`.
fn modules_of(inside: &str) -> Vec<String> {
    let path = inside.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').map(str::to_owned).collect()
}

/// The imports among `names` that the layer of `modules` may not have.
fn wrong_imports(file: &str, modules: &[String], names: &[Named]) -> Vec<String> {
    let own = modules.first().map(String::as_str).unwrap_or_default();
    let Some(layer) = LAYERS.iter().find(|layer| layer.module == own) else {
        return vec![format!(
            "{file}: module {own} is in no layer; add it to layer_rules.rs"
        )];
    };
    let mut findings = Vec::new();
    for name in names {
        let Some((target, item)) = module_named(modules, &name.segments) else {
            continue;
        };
        let is_layer = LAYERS.iter().any(|layer| layer.module == target);
        let item = format!("{target}::{}", item.unwrap_or_default());
        let may = layer
            .may_import
            .iter()
            .any(|allowed| *allowed == target || *allowed == item);
        if is_layer && target != own && !may {
            let line = name.line;
            findings.push(format!(
                "{file}:{line}: {own} may not import {item}: see layer_rules.rs"
            ));
        }
    }
    findings
}

/// The top-level module that a path names, seen from the module `modules`, and the item in it; none
/// for other crates.
fn module_named(modules: &[String], segments: &[String]) -> Option<(String, Option<String>)> {
    let (first, rest) = segments.split_first()?;
    match first.as_str() {
        "crate" | "flowwatch" => Some((rest.first()?.clone(), rest.get(1).cloned())),
        "super" => {
            let ups = segments
                .iter()
                .take_while(|segment| *segment == "super")
                .count();
            let above = modules.get(..modules.len().checked_sub(ups)?)?;
            let mut absolute = above.iter().chain(segments.get(ups..)?);
            Some((absolute.next()?.clone(), absolute.next().cloned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, text: &str, expected: &[&str]) {
        let found = breaches(file, text);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found} lacks {expected}");
        }
    }

    #[test]
    fn a_view_may_not_know_the_kernel() {
        let text = "use crate::{\n    model::FIELDS,\n    kernel::Drain,\n};\n";
        check(
            "flowwatch/src/format/csv.rs",
            text,
            &["format may not import kernel"],
        );
    }

    #[test]
    fn nothing_but_main_imports_run() {
        let text = "fn f() {\n    crate::run::run();\n}\n";
        check(
            "flowwatch/src/store/table.rs",
            text,
            &[":2: store may not import run"],
        );
        check("flowwatch/src/main.rs", "use flowwatch::run;\n", &[]);
    }

    #[test]
    fn super_reaches_other_modules_as_well() {
        let text = "use super::super::kernel;\nuse super::bindings;\n";
        check(
            "flowwatch/src/names/dns.rs",
            text,
            &["names may not import kernel"],
        );
        check(
            "flowwatch/src/names/mod.rs",
            "use super::store::Table;\n",
            &["import store"],
        );
    }

    #[test]
    fn a_module_without_a_layer_is_found() {
        check("flowwatch/src/novelty.rs", "", &["in no layer"]);
    }

    #[test]
    fn pure_modules_take_time_as_an_argument() {
        let text = "fn f() -> Timestamp {\n    jiff::Timestamp::now()\n}\n";
        check("flowwatch/src/model/record.rs", text, &["Timestamp::now"]);
        check(
            "flowwatch/src/geo/place.rs",
            "use std::{fs, net::IpAddr};\n",
            &["std::fs"],
        );
        check("flowwatch/src/geo/file.rs", "use std::fs;\n", &[]);
    }

    #[test]
    fn the_kernel_side_neither_parses_nor_reaches_for_packets() {
        let text = "use flowwatch_common::wire::ipv4;\nlet x = u16::from_be_bytes(y);\n";
        check(
            "flowwatch-ebpf/src/tc.rs",
            text,
            &["wire::ipv4", "from_be_bytes"],
        );
        check(
            "flowwatch-ebpf/src/tc.rs",
            "ctx.data_end()",
            &["frame.rs alone"],
        );
        check("flowwatch-ebpf/src/frame.rs", "ctx.data_end()", &[]);
    }

    #[test]
    fn the_common_crate_is_free_of_std_and_of_unsafe() {
        let text = "use std::vec::Vec;\nunsafe { a() }\n";
        check(
            "flowwatch-common/src/parse.rs",
            text,
            &["no_std", "plain data"],
        );
        check(
            "flowwatch-common/src/abi.rs",
            "unsafe impl Pod for A {}\n",
            &[],
        );
        check(
            "flowwatch-common/src/lib.rs",
            "pub mod abi;\n",
            &["lacks #![no_std]"],
        );
    }

    #[test]
    fn tests_may_import_what_they_like() {
        let text = "#[cfg(test)]\nmod tests {\n    use crate::kernel::Drain;\n}\n";
        check("flowwatch/src/format/csv.rs", text, &[]);
    }

    #[test]
    fn a_layer_without_a_module_is_found() {
        let files: Vec<String> = LAYERS
            .iter()
            .map(|layer| format!("flowwatch/src/{}/mod.rs", layer.module))
            .collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        assert!(layers_without_module(&files).is_empty());
        let found = layers_without_module(&files[1..]);
        assert!(
            found.len() == 1 && found[0].contains("observation"),
            "{found:?}"
        );
    }

    #[test]
    fn every_layer_is_listed_once_and_imports_earlier_ones_alone() {
        for (position, layer) in LAYERS.iter().enumerate() {
            let is_earlier = |path: &&str| {
                let module = path.split("::").next().unwrap_or_default();
                LAYERS[..position]
                    .iter()
                    .any(|earlier| earlier.module == module)
            };
            assert!(!is_earlier(&layer.module), "{} twice", layer.module);
            assert!(layer.may_import.iter().all(is_earlier), "{}", layer.module);
        }
    }
}
