//! The loaded programs, and what they count of a frame.

use aya::programs::{Program, TestRun as _, TestRunOptions, TestRunResult};
use flowwatch::kernel::batch::Access;
use flowwatch::kernel::load::{self, LoadOptions, Loaded, program};
use flowwatch::kernel::totals;
use flowwatch::observation::{DeviceTotals, EpochFlow};
use flowwatch_common::abi::mac_word;

/// The product's programs with devices of a test's choice.
pub struct Programs {
    loaded: Loaded,
}

impl Programs {
    /// Loads all programs for these devices.
    pub fn load(macs: &[[u8; 6]]) -> Self {
        let devices: Vec<u64> = macs.iter().map(|mac| mac_word(*mac)).collect();
        let options = LoadOptions {
            devices: &devices,
            flow_table_size: 1 << 16,
            log_level: 0,
            access: Access::Batch,
        };
        let mut loaded = load::load(&options).unwrap();
        for name in [
            program::XDP_FRAGMENTS,
            program::XDP,
            program::INGRESS,
            program::EGRESS,
        ] {
            if let Err(error) = load::load_program(&mut loaded.programs.ebpf, name) {
                panic!("{name}: {error:?}");
            }
        }
        Self { loaded }
    }

    /// Runs a program on a frame and returns its verdict.
    pub fn run(&self, name: &str, frame: &[u8], context: Option<&[u8]>) -> TestRunResult {
        let options = TestRunOptions {
            data_in: Some(frame),
            ctx_in: context,
            ..TestRunOptions::default()
        };
        match self.loaded.programs.ebpf.program(name).unwrap() {
            Program::Xdp(xdp) => xdp.test_run(options).unwrap(),
            Program::SchedClassifier(tc) => tc.test_run(options).unwrap(),
            _ => unreachable!(),
        }
    }

    /// Ends the epoch and returns its flows.
    pub fn drain(&mut self) -> Vec<EpochFlow> {
        let clock = self.loaded.programs.clock().unwrap();
        let mut flows = Vec::new();
        self.loaded
            .drain
            .end_epoch(&clock, &mut |flow| flows.push(*flow))
            .unwrap();
        flows
    }

    /// Returns a device's totals so far.
    pub fn totals(&self, device: u16) -> DeviceTotals {
        totals::read(&self.loaded.device_counters, device).unwrap()
    }
}
