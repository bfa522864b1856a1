//! `cargo xtask pages`: manual pages and shell completions, made of the command line's definition.
//!
//! A program of its own, since it needs flowwatch's library. They are made for each package and
//! committed nowhere, so that they can't be out of step.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Command, CommandFactory as _, Parser};
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use flowwatch::cli::Cli;

/// The program's name, as its pages and completions have it.
const NAME: &str = "flowwatch";

/// The shells that completions are made for.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Makes manual pages and shell completions.
#[derive(Parser)]
#[command(bin_name = "cargo xtask pages")]
struct Options {
    /// The folder to write to: `man` and `completions` are made in it.
    folder: PathBuf,
}

fn main() -> Result<()> {
    let Options { folder } = Options::parse();
    for (name, page) in pages()? {
        write(&folder.join("man").join(name), &page)?;
    }
    let completions = folder.join("completions");
    fs::create_dir_all(&completions).with_context(|| format!("make {}", completions.display()))?;
    for shell in SHELLS {
        generate_to(shell, &mut Cli::command(), NAME, &completions)
            .with_context(|| format!("write completions for {shell}"))?;
    }
    Ok(())
}

/// Every page: its file's name, and its text.
fn pages() -> Result<Vec<(String, Vec<u8>)>> {
    let mut command = Cli::command();
    command.build();
    let subcommands = command.get_subcommands();
    let subcommands: Vec<_> = subcommands
        .filter(|it| it.get_name() != "help" && !it.is_hide_set())
        .cloned()
        .collect();
    std::iter::once(command.clone())
        .chain(subcommands)
        .map(page)
        .collect()
}

/// One page: its file's name, and its text.
fn page(command: Command) -> Result<(String, Vec<u8>)> {
    let mut text = Vec::new();
    let manual = Man::new(command).manual("flowwatch's manual");
    manual.render(&mut text).context("render a manual page")?;
    Ok((manual.get_filename(), text))
}

/// Writes a file and makes its folder.
fn write(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    }
    fs::write(path, content).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page as a reader sees it, near enough: without roff's escapes.
    fn shown(page: &[u8]) -> String {
        let text = String::from_utf8(page.to_vec()).unwrap();
        text.replace("\\fB", "")
            .replace("\\fI", "")
            .replace("\\fR", "")
            .replace("\\-", "-")
    }

    #[test]
    fn every_command_has_a_page_with_every_option_of_its() {
        let pages = pages().unwrap();
        let mut command = Cli::command();
        command.build();
        for subcommand in command
            .get_subcommands()
            .filter(|it| it.get_name() != "help")
        {
            let name = format!("flowwatch-{}.1", subcommand.get_name());
            let (_, page) = pages.iter().find(|(page, _)| *page == name).unwrap();
            let page = shown(page);
            for option in subcommand.get_arguments().filter(|it| !it.is_hide_set()) {
                let Some(long) = option.get_long() else {
                    continue;
                };
                assert!(
                    page.contains(&format!("--{long}")),
                    "{name}: --{long}\n{page}"
                );
            }
        }
    }
}
