//! The loaded programs: flowwatch's, and the yardsticks that they are measured against.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::maps::HashMap;
use aya::programs::{Program, TestRun as _, TestRunOptions};
use flowwatch::kernel::batch::Access;
use flowwatch::kernel::load::{self, LoadOptions, Loaded, MapPins, program};
use flowwatch_common::abi::mac_word;
use nix::time::{ClockId, clock_gettime};

use crate::frames::DEVICE;

/// The minimal programs, committed beside flowwatch's own.
static YARDSTICK: &[u8] = aya::include_bytes_aligned!("../../bpf/yardstick.bpf.o");

/// Loads flowwatch's programs, with the one device.
pub(crate) fn flowwatch(flow_table_size: u32) -> Result<Loaded> {
    load_with(flow_table_size, None)
}

/// Likewise, with maps that are pinned in a folder.
pub(crate) fn pinned(flow_table_size: u32, folder: &Path) -> Result<Loaded> {
    let pins = MapPins {
        folder,
        is_taken_over: false,
    };
    load_with(flow_table_size, Some(pins))
}

fn load_with(flow_table_size: u32, pins: Option<MapPins<'_>>) -> Result<Loaded> {
    let options = LoadOptions {
        devices: &[mac_word(DEVICE.0)],
        prefixes: &[],
        flow_table_size,
        log_level: 0,
        access: Access::Batch,
        pins,
    };
    let mut loaded = load::load(&options)?;
    for name in [program::XDP_FRAGMENTS, program::INGRESS, program::EGRESS] {
        load::load_program(&mut loaded.programs.ebpf, name)?;
    }
    Ok(loaded)
}

/// Loads the yardsticks, with the same device.
pub(crate) fn yardsticks() -> Result<Ebpf> {
    let mut ebpf = Ebpf::load(YARDSTICK).context("load the yardsticks")?;
    let map = ebpf.map_mut("YARDSTICK_DEVICES").context("find the map")?;
    let mut devices: HashMap<_, u64, u32> = map.try_into()?;
    devices.insert(mac_word(DEVICE.0), 0, 0)?;
    for (name, program) in ebpf.programs_mut() {
        match program {
            Program::Xdp(xdp) => xdp.load(),
            Program::SchedClassifier(tc) => tc.load(),
            _ => continue,
        }
        .with_context(|| format!("load {name}"))?;
    }
    Ok(ebpf)
}

/// Runs a program on a frame `repeat` times; returns nanoseconds a run.
///
/// By this thread's CPU time: the kernel's own answer is in whole nanoseconds, and between a series
/// of XDP runs and the next it waits, which costs time and no work.
pub(crate) fn cost(ebpf: &Ebpf, name: &str, frame: &[u8], repeat: u32) -> Result<f64> {
    let options = TestRunOptions {
        data_in: Some(frame),
        repeat,
        ..TestRunOptions::default()
    };
    let found = ebpf.program(name).with_context(|| format!("find {name}"))?;
    let start = cpu_time()?;
    match found {
        Program::Xdp(xdp) => xdp.test_run(options),
        Program::SchedClassifier(tc) => tc.test_run(options),
        _ => anyhow::bail!("{name} is neither XDP nor tc"),
    }
    .with_context(|| format!("run {name}"))?;
    let taken = cpu_time()?.saturating_sub(start);
    Ok(taken.as_secs_f64() * 1e9 / f64::from(repeat))
}

/// Returns how long this thread has run.
fn cpu_time() -> Result<Duration> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("read the CPU time")?;
    Ok(time.into())
}
