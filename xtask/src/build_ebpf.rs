//! `cargo xtask build-ebpf`: makes the committed BPF objects and their manifest, or checks that
//! they are what the sources give.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::bpf_compile::compile;
use crate::bpf_sources;
use crate::cargo_tools::BPF_LINKER;
use crate::manifest::{Fingerprint, Manifest};
use crate::toolchain::{Choice, Toolchain, Way};
use crate::workspace::{read, root, target_folder};

/// The manifest's place in the checkout.
const MANIFEST: &str = "flowwatch/bpf/manifest.toml";

/// What is run when the committed objects and the sources differ.
const REMEDY: &str = "run `cargo xtask build-ebpf` and commit what it writes";

/// One committed object.
struct Object {
    /// The binary of `flowwatch-ebpf`.
    binary: &'static str,
    /// Its place in the checkout.
    path: &'static str,
}

/// The committed objects: the product's, and the minimal programs that the bench compares with.
const OBJECTS: [Object; 2] = [
    Object {
        binary: "flowwatch-ebpf",
        path: "flowwatch/bpf/flowwatch.bpf.o",
    },
    Object {
        binary: "yardstick",
        path: "tests/bpf/yardstick.bpf.o",
    },
];

/// Compiles the BPF programs with the first of `choice`'s compilers and writes objects and manifest.
///
/// # Errors
/// When there is no compiler, it fails, or a file can't be written.
pub(crate) fn build(choice: Choice) -> Result<()> {
    let toolchain = Toolchain::first(choice)?;
    println!(
        "build-ebpf: {} by {}",
        toolchain.version.rustc,
        toolchain.way.name()
    );
    let built = compile_all(&toolchain, "bpf")?;
    for (object, octets) in OBJECTS.iter().zip(&built) {
        write(object.path, octets)?;
        println!("  {}: {} octets", object.path, octets.len());
    }
    write(
        MANIFEST,
        manifest_of(&toolchain, &built)?.to_text().as_bytes(),
    )
}

/// Compares the committed objects with the manifest, the manifest with the sources, and, when the
/// compiler that it names is here, the objects with newly compiled ones.
///
/// # Errors
/// When something differs; the message says what, and what to do.
pub(crate) fn check() -> Result<()> {
    let manifest = Manifest::parse(&read(&root().join(MANIFEST)).context(REMEDY)?)?;
    check_sources(&manifest.sources, &bpf_sources::hash()?)?;
    for object in &OBJECTS {
        let octets = fs::read(root().join(object.path))
            .with_context(|| format!("read {}; {REMEDY}", object.path))?;
        check_object(object.path, &manifest, &octets)?;
    }
    println!("build-ebpf: sources and objects are those of the manifest");
    let Some(toolchain) = recorded_toolchain(&manifest) else {
        println!(
            "  not compiled again: {} is not set up here",
            manifest.rustc.rustc
        );
        return Ok(());
    };
    let built = compile_all(&toolchain, "bpf-check")?;
    for (object, octets) in OBJECTS.iter().zip(&built) {
        check_object(object.path, &manifest, octets)
            .with_context(|| format!("compile again with {}", manifest.rustc.rustc))?;
    }
    println!(
        "  compiled again with {}: the same octets",
        manifest.rustc.rustc
    );
    Ok(())
}

/// Compiles every object below the build folder's `folder`.
fn compile_all(toolchain: &Toolchain, folder: &str) -> Result<Vec<Vec<u8>>> {
    // Two compilers would throw each other's work away in one folder.
    let folder = target_folder().join(format!("{folder}-{}", toolchain.way.name()));
    compile(toolchain, &folder, &OBJECTS.map(|object| object.binary))
}

/// The manifest of objects just built.
fn manifest_of(toolchain: &Toolchain, built: &[Vec<u8>]) -> Result<Manifest> {
    let objects = OBJECTS.iter().zip(built);
    Ok(Manifest {
        way: toolchain.way.name().to_owned(),
        rustc: toolchain.version.clone(),
        linker: BPF_LINKER.version.to_owned(),
        sources: bpf_sources::hash()?,
        objects: objects
            .map(|(o, octets)| (o.path.to_owned(), Fingerprint::of(octets)))
            .collect(),
    })
}

/// The compiler that the manifest names, when it and the linker are here.
fn recorded_toolchain(manifest: &Manifest) -> Option<Toolchain> {
    let linker = BPF_LINKER.program().is_ok_and(|program| program.is_file());
    let found = Way::ALL
        .into_iter()
        .filter_map(|way| Toolchain::find(way).ok());
    let mut same = found.filter(|toolchain| toolchain.version == manifest.rustc);
    if linker && BPF_LINKER.version == manifest.linker {
        same.next()
    } else {
        None
    }
}

/// Refuses sources other than those that the objects were made from.
fn check_sources(recorded: &str, present: &str) -> Result<()> {
    if recorded != present {
        bail!(
            "the BPF programs' sources changed since {MANIFEST} was written (flowwatch-ebpf, \
             flowwatch-common, their crates' versions or the compiler's options); {REMEDY}"
        );
    }
    Ok(())
}

/// Refuses an object other than the one that the manifest records under `path`.
fn check_object(path: &str, manifest: &Manifest, octets: &[u8]) -> Result<()> {
    let recorded = manifest.objects.get(path);
    let recorded = recorded.with_context(|| format!("{MANIFEST} has no {path}; {REMEDY}"))?;
    let present = Fingerprint::of(octets);
    if *recorded != present {
        bail!(
            "{path} is not the recorded one: {} octets with SHA-256 {}, recorded are {} with {}; \
             {REMEDY}",
            present.octets,
            present.sha256,
            recorded.octets,
            recorded.sha256
        );
    }
    Ok(())
}

/// Writes `octets` to the checkout's `path`, whose folder may be new.
fn write(path: &str, octets: &[u8]) -> Result<()> {
    let path = root().join(path);
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    fs::write(&path, octets).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toolchain::RustcVersion;

    fn manifest(object: &[u8]) -> Manifest {
        let text = || "x".to_owned();
        Manifest {
            way: text(),
            rustc: RustcVersion {
                rustc: text(),
                commit: text(),
                llvm: text(),
            },
            linker: text(),
            sources: text(),
            objects: [("a.o".to_owned(), Fingerprint::of(object))].into(),
        }
    }

    #[test]
    fn changed_sources_are_refused_with_the_remedy() {
        assert!(check_sources("1", "1").is_ok());
        assert!(
            check_sources("1", "2")
                .unwrap_err()
                .to_string()
                .contains(REMEDY)
        );
    }

    #[test]
    fn another_object_than_the_recorded_one_is_refused() {
        assert!(check_object("a.o", &manifest(b"one"), b"one").is_ok());
        assert!(check_object("a.o", &manifest(b"one"), b"two").is_err());
        assert!(check_object("b.o", &manifest(b"one"), b"one").is_err());
    }
}
