//! Running other programs: one way to say what failed, and where a program is.

use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Folders that hold administrators' programs and that an ordinary user's `PATH` may lack.
const ADMINISTRATION_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The cargo that runs this program, so that every step uses one toolchain.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs `command` with this program's own input and output.
///
/// # Errors
/// When it can't be started or doesn't end with status 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("start {}", line_of(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", line_of(command));
    }
    Ok(())
}

/// Runs `command` and returns what it wrote on its standard output.
///
/// # Errors
/// When it can't be started, doesn't end with status 0 or writes something other than text; its
/// standard error is then part of the message.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("start {}", line_of(command)))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{}` ended with {}: {}",
            line_of(command),
            output.status,
            error.trim()
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("read from {}", line_of(command)))
}

/// The command as a person would type it: the program's name and its arguments.
fn line_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Where `program` is: the first executable file of that name on `PATH` or in an administrators'
/// folder.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(ADMINISTRATION_FOLDERS.map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| {
            fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        })
}

/// Whether this process may do what only root may.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_named_with_its_arguments_and_its_error() {
        let error = output_of(Command::new("sh").args(["-c", "echo broken >&2; exit 3"]));
        let text = error.unwrap_err().to_string();
        assert!(text.starts_with("`sh -c") && text.contains('3') && text.ends_with("broken"));
    }

    #[test]
    fn programs_are_found_by_name_alone() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-as-this").is_none());
    }
}
