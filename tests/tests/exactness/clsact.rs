//! The way that kernels before tcx attach tc programs: filters of a clsact queueing discipline.

use anyhow::{Result, ensure};
use flowwatch_tests::flowwatch::Attach;
use flowwatch_tests::lab::Lab;
use flowwatch_tests::volley;

use crate::{HOOKS, Maker, run, silent_lab, specimens, streams, turn};

const PACKETS: u64 = 20_000;
const DEVICES: [&str; 2] = ["speaker", "meter"];
const MAKERS: [Maker; 2] = [specimens::dual_stack, specimens::tagged];

/// The filters of every port, in both directions.
fn filters(lab: &Lab) -> Result<Vec<String>> {
    let mut filters = Vec::new();
    for device in &lab.devices {
        for side in ["ingress", "egress"] {
            filters.push(
                lab.gateway
                    .run("tc", &["filter", "show", "dev", &device.port, side])?,
            );
        }
    }
    Ok(filters)
}

/// Adds a filter of somebody else's, which classifies everything and decides nothing.
fn add_foreign_filter(lab: &Lab) -> Result<()> {
    let port = &lab.camera().port;
    let words = |text: &str| -> Result<()> {
        let words: Vec<&str> = text.split_whitespace().collect();
        lab.gateway.run("tc", &words).map(drop)
    };
    words(&format!("qdisc add dev {port} clsact"))?;
    words(&format!(
        "filter add dev {port} egress prio 7 protocol all u32 match u32 0 0 classid 1:1"
    ))
}

fn check(attach: Attach) -> Result<()> {
    let lab = silent_lab(&DEVICES)?;
    add_foreign_filter(&lab)?;
    let before = filters(&lab)?;
    let flowwatch = run(&lab, attach)?
        .options(&["--format", "json", "--tc-hook", "clsact"])
        .options(&["--interval", "10ms"])
        .start(&lab.gateway)?;
    let during = filters(&lab)?;
    let has_own = |side: &str| side.contains("flowwatch_");
    let expected = [attach == Attach::Tc, true].repeat(lab.devices.len());
    let found: Vec<bool> = during.iter().map(|side| has_own(side)).collect();
    ensure!(found == expected, "the filters are {during:?}");
    let fired = volley::fire(&lab, &streams(&lab, &MAKERS, PACKETS))?;
    let document = flowwatch.document()?;
    let after = filters(&lab)?;
    ensure!(before == after, "left behind: {before:?} became {after:?}");
    fired.check(&lab, &document)?;
    fired.check_octets(&lab, &document)
}

#[test]
fn clsact_counts_the_same_and_leaves_no_filter() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    HOOKS.into_iter().try_for_each(check)
}
