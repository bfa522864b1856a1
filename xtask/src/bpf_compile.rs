//! Compiling the BPF programs so that the same sources and the same compiler give the same octets,
//! wherever the checkout, the registry and the compiler are.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::cargo_tools::BPF_LINKER;
use crate::object_file::strip_dwarf;
use crate::process::run;
use crate::toolchain::Toolchain;
use crate::workspace::root;

/// The compiler's target.
const TARGET: &str = "bpfel-unknown-none";

/// The compiler's options that don't depend on where anything is.
pub(crate) const FLAGS: [&str; 4] = [
    // aya-ebpf chooses the layout of registers by it; only probes of functions, which flowwatch
    // has none of, read them, so that one object serves every machine.
    "--cfg=bpf_target_arch=\"x86_64\"",
    // BTF is made from DWARF.
    "-Cdebuginfo=2",
    "-Clink-arg=--btf",
    // Instructions for halves of registers, which kernels know since 5.1.
    "-Ctarget-cpu=v3",
];

/// Separates options in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\x1f";

/// Compiles every binary of `flowwatch-ebpf` in `target_folder` and returns, in `binaries`' order,
/// the objects' octets without DWARF.
///
/// # Errors
/// When the compiler, the linker or a file fails.
pub(crate) fn compile(
    toolchain: &Toolchain,
    target_folder: &Path,
    binaries: &[&str],
) -> Result<Vec<Vec<u8>>> {
    let llvm_folder = isolate_llvm(toolchain, target_folder)?;
    let mut command = Command::new(&toolchain.cargo);
    command.args([
        "build",
        "--quiet",
        "--locked",
        "--release",
        "--package",
        "flowwatch-ebpf",
        "--bins",
    ]);
    command
        .args(["-Z", "build-std=core", "--target", TARGET, "--target-dir"])
        .arg(target_folder);
    command
        .current_dir(root())
        .env("RUSTC", &toolchain.rustc)
        .env("LD_LIBRARY_PATH", &llvm_folder);
    command.env("CARGO_ENCODED_RUSTFLAGS", flags(toolchain)?.join(SEPARATOR));
    // A stable compiler takes -Z with this alone; the target has no ready-made core.
    command.env("RUSTC_BOOTSTRAP", "1");
    // Several units are compiled in parallel, and incremental ones reused, in an order that varies.
    command
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .env("CARGO_INCREMENTAL", "0");
    for inherited in [
        "RUSTUP_TOOLCHAIN",
        "RUSTFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
    ] {
        command.env_remove(inherited);
    }
    run(&mut command).context("compile the BPF programs")?;
    let built = target_folder.join(TARGET).join("release");
    binaries
        .iter()
        .map(|name| stripped(&built.join(name)))
        .collect()
}

/// Reads the object that the linker wrote to `path` and takes the DWARF out.
fn stripped(path: &Path) -> Result<Vec<u8>> {
    let octets = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    strip_dwarf(&octets).with_context(|| format!("strip {}", path.display()))
}

/// Makes a folder that holds nothing but the compiler's own LLVM, for the linker to find.
///
/// It takes the first libLLVM in its search path, and a system's library folder may hold several.
fn isolate_llvm(toolchain: &Toolchain, target_folder: &Path) -> Result<PathBuf> {
    let folder = target_folder.join(format!("llvm-{}", toolchain.way.name()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let name = toolchain
        .llvm
        .file_name()
        .context("name the compiler's LLVM")?;
    symlink(&toolchain.llvm, folder.join(name))
        .with_context(|| format!("link LLVM into {}", folder.display()))?;
    Ok(folder)
}

/// The compiler's options: `FLAGS`, the linker, and every path of this machine under a name that
/// is the same on all.
fn flags(toolchain: &Toolchain) -> Result<Vec<String>> {
    let mut flags: Vec<String> = FLAGS.map(str::to_owned).into();
    flags.push(format!("-Clinker={}", BPF_LINKER.program()?.display()));
    let mut remap = |from: &Path, to: &str| {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    };
    remap(&root(), "/flowwatch");
    for source in &toolchain.core_source {
        remap(source, "/rust");
    }
    for registry in registries() {
        remap(&registry, "/cargo");
    }
    Ok(flags)
}

/// The folder with unpacked crates, and then, as the compiler lets the last fitting option decide,
/// each registry's own folder in it, which is named by a hash of the registry's address.
fn registries() -> Vec<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let source = home.unwrap_or_default().join("registry/src");
    let folders = fs::read_dir(&source).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = folders.map(|entry| entry.path()).collect();
    folders.sort();
    folders.insert(0, source);
    folders
}
