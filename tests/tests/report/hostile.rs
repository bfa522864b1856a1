//! Names of strangers, and a device's that looks like markup: in no form of the report do they become
//! anything but what they are.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::privilege::{Need, granted};

use crate::reading::parsed;
use crate::recorded::{Counted, Recorded};
use crate::{forms, reading, tables, told};

/// What the device is called: a formula, markup and a separator at once.
const DEVICE: &str = "=HYPERLINK(\"x\")|<b>`[x](y)\u{202e}=2c:aa:8e:00:00:01";

/// Labels, and what is to be read of them. Of RFC 1035's octets, those that don't print are `\DDD`, as
/// its section 5.1 has it.
const LABELS: [(&[u8], &str); 7] = [
    (
        b"<script>alert(1)</script>",
        "<script>alert(1)</script>.test",
    ),
    (b"\"><img/src=x>'&amp;", "\"><img/src=x>'&amp;.test"),
    (b"a\r\nb,\"c\"", "a\\013\\010b,\"c\".test"),
    (b"`*_[x](y)~~\\", "`*_[x](y)~~"),
    (b"a|b", "a"),
    (b"\xe2\x80\xaegnp", "\\226\\128\\174gnp.test"),
    (b"\x1b[2J=cmd", "\\027[2j=cmd.test"),
];

fn history() -> Result<Recorded> {
    let counted = LABELS.iter().zip(1..).map(|((label, _), number)| Counted {
        at: "2026-03-02T10:00:30Z",
        remote: Ipv4Addr::new(50, 7, 98, number).into(),
        label: Some(label),
        octets: (1_000 * u64::from(number), u64::from(number)),
    });
    Recorded::of(DEVICE, &counted.collect::<Vec<_>>())
}

#[test]
fn every_form_shows_strangers_names_as_what_they_are() -> Result<()> {
    if !granted(&[Need::Flowwatch])? {
        return Ok(());
    }
    let history = history()?;
    for form in forms() {
        for by in [&[][..], &["--by", "name"], &["--by", "device"]] {
            let options = [&["--format", form, "--since", "2026-03-02"], by].concat();
            let text = told(&history.path(), &options)?;
            let is_bad = |c: &char| {
                let is_end = *c == '\n' || *c == '\r' && form == "csv";
                c.is_control() && !is_end || ('\u{202a}'..='\u{202e}').contains(c)
            };
            ensure!(text.chars().find(is_bad).is_none(), "{form}: {text:?}");
            let tables = reading::tables(form, &text)?;
            let (up, down) = (28_000, 28);
            let sums = tables.iter().map(reading::Table::sum);
            ensure!(
                sums.into_iter().any(|it| it == (up, down)),
                "{form} {by:?}: {text}"
            );
        }
    }
    Ok(())
}

#[test]
fn names_are_in_the_cells_that_are_theirs() -> Result<()> {
    if !granted(&[Need::Flowwatch])? {
        return Ok(());
    }
    let history = history()?;
    for form in ["json", "jsonl", "csv", "markdown", "html"] {
        let tables = tables(&history.path(), form, &["--since", "2026-03-02"])?;
        let names: Vec<_> = tables.iter().flat_map(|it| it.column("name")).collect();
        ensure!(names.len() == LABELS.len(), "{form}: {names:?}");
        for (_, name) in LABELS {
            let is_it = |cell: &&str| cell.trim_start_matches('\'').starts_with(name);
            ensure!(
                names.iter().any(is_it),
                "{form}: {name} is not in {names:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn no_name_is_an_element_of_the_page_or_a_formula_of_a_spreadsheet() -> Result<()> {
    if !granted(&[Need::Flowwatch])? {
        return Ok(());
    }
    let history = history()?;
    let page = told(
        &history.path(),
        &["--format", "html", "--since", "2026-03-02"],
    )?;
    let document = parsed(&page)?;
    let elements = document.descendants().filter(roxmltree::Node::is_element);
    let names: Vec<_> = elements.map(|it| it.tag_name().name()).collect();
    ensure!(names.iter().filter(|name| **name == "script").count() == 1);
    ensure!(
        !names.contains(&"img") && !names.contains(&"b"),
        "{names:?}"
    );
    let title = document.descendants().find(|it| it.has_tag_name("title"));
    title.context("find the title")?;

    let csv = tables(&history.path(), "csv", &["--since", "2026-03-02"])?;
    let mut cells = csv.iter().flat_map(|table| &table.rows).flatten();
    let formula = cells.find(|cell| cell.starts_with(['=', '+', '-', '@']));
    ensure!(formula.is_none(), "{formula:?}");
    Ok(())
}
