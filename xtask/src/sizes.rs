//! `cargo xtask sizes`: no function and no file longer than the project's limits.

use anyhow::{Result, bail};

use crate::source::Code;
use crate::workspace::sources;

/// Lines that a function may have; 30 is the habit.
const FUNCTION_LINES: usize = 60;

/// Lines outside tests that a file may have; 200 is the habit.
const FILE_LINES: usize = 400;

/// A file that is mostly one table of data, and may be longer.
struct Exception {
    /// The file's path in the checkout.
    path: &'static str,
    /// Why it is no shorter.
    reason: &'static str,
}

/// The exceptions.
const EXCEPTIONS: &[Exception] = &[];

/// Measures every file and function.
///
/// # Errors
/// When one is too long, or a file can't be read; all that are too long are printed.
pub(crate) fn check() -> Result<()> {
    let mut findings = Vec::new();
    let sources = sources()?;
    for (name, text) in &sources {
        match EXCEPTIONS.iter().find(|exception| exception.path == name) {
            Some(exception) => println!("  {name}: not measured: {}", exception.reason),
            None => findings.extend(too_long(name, text)),
        }
    }
    for finding in &findings {
        println!("  {finding}");
    }
    if !findings.is_empty() {
        bail!("{} of the sizes are over their limits", findings.len());
    }
    println!(
        "sizes: {} files within {FILE_LINES} lines, functions within {FUNCTION_LINES}",
        sources.len()
    );
    Ok(())
}

/// What is too long in the file `name` with this text.
fn too_long(name: &str, text: &str) -> Vec<String> {
    let code = Code::of(text);
    let mut findings = Vec::new();
    if code.lines > FILE_LINES {
        let lines = code.lines;
        findings.push(format!(
            "{name}: {lines} lines outside tests; the limit is {FILE_LINES}"
        ));
    }
    for function in code.functions() {
        if function.lines > FUNCTION_LINES {
            findings.push(format!(
                "{name}:{}: function {} has {} lines; the limit is {FUNCTION_LINES}",
                function.line, function.name, function.lines
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_may_reach_the_limit_and_not_pass_it() {
        assert!(too_long("a.rs", &function(FUNCTION_LINES)).is_empty());
        let findings = too_long("a.rs", &function(FUNCTION_LINES + 1));
        assert_eq!(
            findings,
            ["a.rs:1: function long has 61 lines; the limit is 60"]
        );
    }

    #[test]
    fn lines_of_tests_do_not_count() {
        let code = "const A: u8 = 1;\n".repeat(FILE_LINES);
        let tests = format!(
            "#[cfg(test)]\nmod tests {{\n{}}}\n",
            "const B: u8 = 1;\n".repeat(9)
        );
        assert!(too_long("a.rs", &format!("{code}{tests}")).is_empty());
        assert_eq!(
            too_long("a.rs", &format!("{code}const C: u8 = 1;\n")).len(),
            1
        );
    }
}
