//! Nanoseconds a packet, by `BPF_PROG_TEST_RUN`.

use anyhow::Result;
use aya::Ebpf;
use flowwatch::kernel::load::program;

use crate::frames::{Kind, Way};
use crate::programs;
use crate::statistics::Spread;

/// One program on one frame.
struct Case<'a> {
    label: String,
    ebpf: &'a Ebpf,
    program: &'a str,
    frame: Vec<u8>,
    /// The case that this one's ratio is to: an index.
    yardstick: usize,
}

/// Measures every case and prints the table.
pub(crate) fn bench(rounds: usize, repeat: u32) -> Result<()> {
    let flowwatch = programs::flowwatch(1 << 16)?;
    let yardsticks = programs::yardsticks()?;
    let cases = cases(&flowwatch.programs.ebpf, &yardsticks);
    let mut costs: Vec<Vec<f64>> = vec![Vec::new(); cases.len()];
    // The first round warms up caches and is thrown away.
    for round in 0..=rounds {
        for (case, measured) in cases.iter().zip(&mut costs) {
            let nanoseconds = programs::cost(case.ebpf, case.program, &case.frame, repeat)?;
            if round > 0 {
                measured.push(nanoseconds);
            }
        }
    }
    println!(
        "nanoseconds a packet, {rounds} rounds of {repeat} runs; ratio to the minimal counter"
    );
    println!(
        "{:<38} {:>7} {:>7} {:>7} {:>8}",
        "program", "minimum", "median", "maximum", "ratio"
    );
    for (case, measured) in cases.iter().zip(&costs) {
        let ratios = measured.iter().zip(&costs[case.yardstick]);
        let ratio = Spread::of(ratios.map(|(own, minimal)| own / minimal).collect());
        println!(
            "{:<38} {:.1} {:>8.2}",
            case.label,
            Spread::of(measured.clone()),
            ratio.median
        );
    }
    Ok(())
}

/// The cases: for each hook what the loop costs, the minimal counter, and flowwatch.
fn cases<'a>(flowwatch: &'a Ebpf, yardsticks: &'a Ebpf) -> Vec<Case<'a>> {
    let hooks = [
        (
            "xdp",
            "xdp_pass",
            "xdp_minimal",
            program::XDP_FRAGMENTS,
            Way::Up,
        ),
        (
            "tc ingress",
            "tc_pass",
            "tc_minimal",
            program::INGRESS,
            Way::Up,
        ),
        (
            "tc egress",
            "tc_pass",
            "tc_minimal",
            program::EGRESS,
            Way::Down,
        ),
    ];
    let mut cases = Vec::new();
    for (hook, pass, minimal, counter, way) in hooks {
        let yardstick = cases.len() + 1;
        let mut add = |label: &str, ebpf, program, frame| {
            cases.push(Case {
                label: format!("{hook}: {label}"),
                ebpf,
                program,
                frame,
                yardstick,
            });
        };
        // The minimal counter looks at the source address, whatever the way.
        let frame = Kind::Ipv4Udp.frame(Way::Up);
        add("nothing but the verdict", yardsticks, pass, frame.clone());
        add("minimal counter", yardsticks, minimal, frame);
        for (kind, name) in Kind::ALL {
            add(
                &format!("flowwatch, {name}"),
                flowwatch,
                counter,
                kind.frame(way),
            );
        }
    }
    cases
}
