//! The comparison as Markdown: per device and kind a table of what is gone, new and kept.

use std::io::{self, Write};

use super::super::{Surface, markdown::escaped};
use super::words;
use crate::diff::{Comparison, Difference, Octets};

/// Writes the sides, then each device; several devices are also summed.
pub(in crate::format) fn markdown(
    comparison: &Comparison,
    _: Surface,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "# Before and after\n")?;
    for (word, side) in [
        ("before:", &comparison.before),
        ("after:", &comparison.after),
    ] {
        writeln!(out, "- {}", escaped(&words::side(word, side)))?;
    }
    writeln!(out, "- {}", words::remotes(comparison))?;
    let devices = || {
        comparison
            .devices
            .iter()
            .filter(|device| !device.is_empty())
    };
    for device in devices() {
        writeln!(out, "\n## {}", escaped(&words::heading(device)))?;
        if device.differs() {
            differences(&device.differences, out)?;
        } else {
            writeln!(out, "\n{}", words::unchanged(device))?;
        }
    }
    if devices().count() > 1 {
        writeln!(out, "\n## All devices together")?;
        differences(&comparison.together, out)?;
    }
    Ok(())
}

fn differences(differences: &[Difference], out: &mut dyn Write) -> io::Result<()> {
    for difference in differences {
        let kind = difference.kind;
        writeln!(out, "\n### {}: {}\n", kind.name, words::counts(difference))?;
        writeln!(
            out,
            "| change | {} | up octets | down octets |",
            kind.singular
        )?;
        writeln!(out, "| --- | --- | ---: | ---: |")?;
        for entry in &difference.entries {
            let value = words::value(difference, entry);
            let octets = words::octets(entry.before, entry.after);
            row(entry.change().name(), &value, &octets, out)?;
        }
        let sums = |[before, after]: [Octets; 2]| words::octets(Some(before), Some(after));
        if difference.without != [Octets::default(); 2] {
            row("", kind.without, &sums(difference.without), out)?;
        }
        row("", "total", &sums(difference.totals()), out)?;
    }
    Ok(())
}

fn row(change: &str, value: &str, [up, down]: &[String; 2], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "| {change} | {} | {up} | {down} |", escaped(value))
}
