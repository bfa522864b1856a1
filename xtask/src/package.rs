//! `cargo xtask package`: the Debian package and, for a target of musl's, the statically linked program.
//!
//! Both hold the same: the program, its manual pages, completions, unit, example configuration. They go
//! to `target/package`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use object::read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _};

use crate::cargo_tools::CARGO_DEB;
use crate::process::{cargo, run};
use crate::steps::release_program;
use crate::workspace::{name_of, root, target_folder};

/// What a statically linked package holds beside program and pages: files of `flowwatch/packaging`.
const FILES: [&str; 3] = ["flowwatch.service", "flowwatch.sysusers", "flowwatch.toml"];

/// Where packages go. Not `CARGO_TARGET_DIR`: the package's description names pages in it by a path
/// relative to its own.
fn folder() -> PathBuf {
    root().join("target/package")
}

/// Makes the Debian package; returns where it is.
///
/// # Errors
/// When something can't be built, or cargo-deb is missing: `cargo xtask setup` installs it.
pub(crate) fn debian() -> Result<PathBuf> {
    release_program()?;
    make_pages(&folder().join("pages"))?;
    let made = folder().join("flowwatch.deb");
    let mut command = Command::new(CARGO_DEB.program()?);
    command.args([
        "--no-build",
        "--strip",
        "--quiet",
        "--package",
        "flowwatch",
        "--output",
    ]);
    run(command.arg(&made).current_dir(root()))?;
    println!("package: {}", name_of(&made));
    Ok(made)
}

/// Makes the statically linked program for `target`, in a folder and as an archive of it.
///
/// # Errors
/// When it can't be built, or is not statically linked.
pub(crate) fn for_target(target: &str) -> Result<()> {
    let mut build = cargo();
    build.args([
        "build",
        "--quiet",
        "--release",
        "-p",
        "flowwatch",
        "--target",
        target,
    ]);
    // By the linker, as this system's strip may not know the target.
    build.args(["--config", "profile.release.strip='symbols'"]);
    // Debian's compiler for musl; any other is named by the same variable.
    let compiler = format!("CC_{}", target.replace('-', "_"));
    if std::env::var_os(&compiler).is_none() && target == "x86_64-unknown-linux-musl" {
        build.env(&compiler, "musl-gcc");
    }
    run(&mut build)?;
    let name = format!("flowwatch-{}-{target}", env!("CARGO_PKG_VERSION"));
    let packed = folder().join(&name);
    fs::create_dir_all(&packed).with_context(|| format!("make {}", packed.display()))?;
    let program = target_folder().join(target).join("release/flowwatch");
    ensure_static(&program)?;
    fs::copy(&program, packed.join("flowwatch"))
        .with_context(|| format!("copy {}", program.display()))?;
    for file in FILES {
        let from = root().join("flowwatch/packaging").join(file);
        fs::copy(&from, packed.join(file)).with_context(|| format!("copy {}", from.display()))?;
    }
    make_pages(&packed)?;
    let archive = folder().join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args(["--owner=0", "--group=0", "-C"])
        .arg(folder())
        .arg("-czf");
    run(tar.arg(&archive).arg(&name))?;
    println!("package: {}", name_of(&archive));
    Ok(())
}

/// Makes manual pages and completions.
///
/// # Errors
/// When a file can't be written.
pub(crate) fn make_pages(folder: &Path) -> Result<()> {
    let options = ["run", "--quiet", "-p", "xtask", "--features", "pages"];
    let program = ["--bin", "xtask-pages", "--"];
    run(cargo().args(options).args(program).arg(folder))
}

/// Fails when a program asks for an interpreter, as one does that is linked dynamically.
fn ensure_static(program: &Path) -> Result<()> {
    let octets = fs::read(program).with_context(|| format!("read {}", program.display()))?;
    let what = || format!("read {} as ELF", program.display());
    let file = ElfFile64::<object::Endianness>::parse(&*octets).with_context(what)?;
    let endian = file.endian();
    let header = file.elf_header();
    let segments = header
        .program_headers(endian, &*octets)
        .with_context(what)?;
    let is_dynamic = segments
        .iter()
        .any(|it| it.p_type(endian) == object::elf::PT_INTERP);
    ensure!(!is_dynamic, "{} is linked dynamically", program.display());
    Ok(())
}
