//! Programs from crates.io that the project's commands use, at fixed versions.
//!
//! Each has a folder of its own in the cache, named by its version, so that neither the user's own
//! programs nor another version of the project are touched.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::{cargo, run};
use crate::workspace::tools_folder;

/// One program from crates.io.
pub(crate) struct CargoTool {
    /// The crate, and the program that it installs.
    pub(crate) name: &'static str,
    /// The exact version.
    pub(crate) version: &'static str,
    /// What needs it.
    why: &'static str,
}

/// Links the BPF programs. It loads the compiler's own LLVM when it runs, so that one build serves
/// every compiler with the same major version of LLVM.
pub(crate) const BPF_LINKER: CargoTool = CargoTool {
    name: "bpf-linker",
    version: "0.10.3",
    why: "links the BPF programs",
};

/// The major versions of LLVM whose bitcode `BPF_LINKER`, as it is installed here, reads.
pub(crate) const BPF_LINKER_LLVM: &[u32] = &[22];

/// Builds and runs the fuzz targets.
pub(crate) const CARGO_FUZZ: CargoTool = CargoTool {
    name: "cargo-fuzz",
    version: "0.13.2",
    why: "runs the fuzz targets",
};

/// Makes the Debian package.
pub(crate) const CARGO_DEB: CargoTool = CargoTool {
    name: "cargo-deb",
    version: "3.8.0",
    why: "makes the Debian package",
};

/// Every such program; a new one is one line here.
pub(crate) const CARGO_TOOLS: &[CargoTool] = &[BPF_LINKER, CARGO_DEB, CARGO_FUZZ];

impl CargoTool {
    /// Where the program is, or will be.
    ///
    /// # Errors
    /// When the cache's place isn't known.
    pub(crate) fn program(&self) -> Result<PathBuf> {
        Ok(self.folder()?.join("bin").join(self.name))
    }

    /// The folder that holds this version alone.
    fn folder(&self) -> Result<PathBuf> {
        Ok(tools_folder()?.join(format!("{}-{}", self.name, self.version)))
    }

    /// Installs the program when it isn't there; says which.
    ///
    /// `compiler`: the cargo and rustc to build it with, where not this program's own.
    ///
    /// # Errors
    /// When cargo can't install it.
    pub(crate) fn install(&self, compiler: Option<(&Path, &Path)>) -> Result<()> {
        let program = self.program()?;
        if program.is_file() {
            println!(
                "  {} {} there: {}",
                self.name,
                self.version,
                program.display()
            );
            return Ok(());
        }
        println!(
            "  {} {} missing, building it: {}",
            self.name, self.version, self.why
        );
        let mut command = compiler.map_or_else(cargo, |(cargo, rustc)| {
            let mut command = Command::new(cargo);
            command
                .env("RUSTC", rustc)
                .env_remove("RUSTUP_TOOLCHAIN")
                .env_remove("LD_LIBRARY_PATH");
            command
        });
        command.args([
            "install",
            "--quiet",
            "--locked",
            "--version",
            self.version,
            "--root",
        ]);
        run(command.arg(self.folder()?).arg(self.name))
            .with_context(|| format!("install {} {}", self.name, self.version))
    }
}
