//! `cargo xtask test`: runs every step of the project's tests, all of them even when one fails, and
//! says at the end what each took and came to, and which tests were skipped.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::skips;
use crate::steps::{Part, STEPS, Step};

/// What a step came to.
struct Outcome {
    /// The step's name.
    name: &'static str,
    /// How long it took.
    duration: Duration,
    /// Why it failed, if it did.
    failure: Option<String>,
}

/// Runs the steps of the parts `only`, or all when that is empty, but not those of `without`.
///
/// # Errors
/// When a step failed.
pub(crate) fn test(only: &[Part], without: Option<Part>) -> Result<()> {
    skips::forget()?;
    let chosen = STEPS
        .iter()
        .filter(|step| is_chosen(step.part, only, without));
    let outcomes: Vec<Outcome> = chosen.map(outcome_of).collect();
    println!("{}", table(&outcomes));
    print!("{}", skips::list()?);
    // Alone on its line: CI reads it.
    println!("{}", closing_line(&outcomes));
    let failed = outcomes.iter().filter(|outcome| outcome.failure.is_some());
    let failed: Vec<&str> = failed.map(|outcome| outcome.name).collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

/// Whether a step of `part` is to run.
fn is_chosen(part: Part, only: &[Part], without: Option<Part>) -> bool {
    Some(part) != without && (only.is_empty() || only.contains(&part))
}

/// Runs one step under its heading.
fn outcome_of(step: &Step) -> Outcome {
    println!("\n=== {} ===", step.name);
    let start = Instant::now();
    let failure = (step.run)().err().map(|error| format!("{error:#}"));
    let duration = start.elapsed();
    if let Some(failure) = &failure {
        println!("{}: {failure}", step.name);
    }
    println!("=== {}: {:.1} s", step.name, duration.as_secs_f64());
    Outcome {
        name: step.name,
        duration,
        failure,
    }
}

/// The table of steps: name, duration, result.
fn table(outcomes: &[Outcome]) -> String {
    let lines = outcomes.iter().map(
        |Outcome {
             name,
             duration,
             failure,
         }| {
            let result = failure
                .as_ref()
                .map_or_else(|| "passed".into(), |f| format!("FAILED: {f}"));
            format!("{name:<24}{:>8.1} s  {result}\n", duration.as_secs_f64())
        },
    );
    let total: Duration = outcomes.iter().map(|outcome| outcome.duration).sum();
    let total = format!("{:<24}{:>8.1} s", "all steps", total.as_secs_f64());
    std::iter::once("\n".to_owned())
        .chain(lines)
        .chain([total])
        .collect()
}

/// The line that says how many steps passed and failed.
fn closing_line(outcomes: &[Outcome]) -> String {
    let failed = outcomes
        .iter()
        .filter(|outcome| outcome.failure.is_some())
        .count();
    format!("{} passed, {failed} failed", outcomes.len() - failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(failure: Option<&str>) -> Outcome {
        let duration = Duration::from_millis(1500);
        Outcome {
            name: "step",
            duration,
            failure: failure.map(str::to_owned),
        }
    }

    #[test]
    fn the_closing_line_counts_steps() {
        let outcomes = [outcome(None), outcome(Some("broken")), outcome(None)];
        assert_eq!(closing_line(&outcomes), "2 passed, 1 failed");
        assert!(table(&outcomes).contains("1.5 s  FAILED: broken"));
    }

    #[test]
    fn parts_are_chosen_and_left_out() {
        assert!(is_chosen(Part::Unit, &[], None));
        assert!(!is_chosen(Part::Setup, &[], Some(Part::Setup)));
        assert!(!is_chosen(Part::Unit, &[Part::Live], None));
    }

    #[test]
    fn a_failing_step_says_why() {
        let step = Step {
            name: "s",
            part: Part::Unit,
            run: || bail!("reason"),
        };
        assert_eq!(outcome_of(&step).failure.as_deref(), Some("reason"));
    }
}
