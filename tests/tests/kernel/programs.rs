//! The loaded programs, and what they count of a frame.

use std::collections::BTreeMap;
use std::num::NonZero;

use aya::programs::{Program, TestRun as _, TestRunOptions};
use flowwatch::kernel::attach::{self, AttachMode, AttachOptions, Attached, TcHook};
use flowwatch::kernel::batch::Access;
use flowwatch::kernel::clock::TickClock;
use flowwatch::kernel::drain::Drain;
use flowwatch::kernel::interface::Interface;
use flowwatch::kernel::load::{self, LoadOptions, Loaded};
use flowwatch::kernel::{samples, totals};
use flowwatch::observation::{DeviceTotals, EpochFlow, PayloadSample};
use flowwatch_common::abi::{SampleCounters, mac_word};
use flowwatch_common::prefix::PrefixRule;
use nix::net::if_::if_nametoindex;

use crate::golden::Extra;
use crate::hook::{HOOKS, Hook};

/// The product's programs with devices of a test's choice.
pub(crate) struct Programs {
    loaded: Loaded,
}

/// What a test chooses.
#[derive(Clone, Copy)]
pub(crate) struct Choice<'a> {
    /// How many devices there are, with the addresses of [`device_mac`].
    pub(crate) devices: u16,
    /// How addresses begin that are tagged as they appear.
    pub(crate) prefixes: &'a [PrefixRule],
    /// Flows that an epoch's table holds.
    pub(crate) flow_table_size: u32,
    /// How tables are read.
    pub(crate) access: Access,
    /// Where programs will run: the verifier takes a good part of a second for each.
    pub(crate) hooks: &'a [&'static Hook],
}

impl Choice<'_> {
    /// `devices` devices, tables with room for all that a test sends, read as the product does.
    pub(crate) fn of_devices(devices: u16) -> Self {
        Self {
            devices,
            prefixes: &[],
            flow_table_size: 1 << 16,
            access: Access::Batch,
            hooks: &HOOKS,
        }
    }
}

/// Returns the address of the device with this number: locally administered, of one "vendor".
pub(crate) fn device_mac(number: u16) -> [u8; 6] {
    let [high, low] = number.to_be_bytes();
    [0x02, 0xf1, 0x0f, 0, high, low]
}

impl Programs {
    /// Loads the chosen programs.
    pub(crate) fn load(choice: Choice<'_>) -> Self {
        let devices: Vec<u64> = (0..choice.devices)
            .map(|number| mac_word(device_mac(number)))
            .collect();
        let options = LoadOptions {
            devices: &devices,
            prefixes: choice.prefixes,
            flow_table_size: choice.flow_table_size,
            log_level: 0,
            access: choice.access,
            pins: None,
        };
        let mut loaded = load::load(&options).unwrap();
        for hook in choice.hooks {
            if let Err(error) = load::load_program(&mut loaded.programs.ebpf, hook.program) {
                panic!("{}: {error:?}", hook.program);
            }
        }
        Self { loaded }
    }

    /// Runs a hook's program once on a frame, and checks that it leaves the verdict to others.
    pub(crate) fn run(&self, hook: &Hook, frame: &[u8], extra: Extra) {
        Runner(&self.loaded.programs).run(hook, frame, extra, 1);
    }

    /// Returns what runs programs and what drains, for one thread each.
    pub(crate) fn split(&mut self) -> (Runner<'_>, Drainer<'_>) {
        let Loaded {
            programs, drain, ..
        } = &mut self.loaded;
        (Runner(programs), Drainer { programs, drain })
    }

    /// Reads the clock.
    pub(crate) fn clock(&self) -> TickClock {
        self.loaded.programs.clock().unwrap()
    }

    /// Attaches both tc programs to an interface of the namespace that this thread is in.
    pub(crate) fn attach_tc(&mut self, name: &str) -> Attached {
        self.attach(name, AttachMode::Tc, TcHook::Auto)
    }

    /// Attaches to an interface of the namespace that this thread is in.
    pub(crate) fn attach(&mut self, name: &str, mode: AttachMode, tc_hook: TcHook) -> Attached {
        let interface = Interface {
            index: if_nametoindex(name).unwrap(),
            name: name.to_owned(),
            is_ethernet: true,
            ..Interface::default()
        };
        let options = AttachOptions { mode, tc_hook };
        attach::attach(&mut self.loaded.programs.ebpf, &[interface], options).unwrap()
    }

    /// Puts these programs in the places of the attached ones; returns when no other runs there.
    pub(crate) fn take_over(&mut self, attached: &mut Attached, from: &mut Self) {
        let refused = attached.replace(&mut self.loaded.programs.ebpf).unwrap();
        assert!(refused.is_empty(), "{refused:?}");
        from.loaded.drain.swap().unwrap();
    }

    /// Ends the epoch and returns its flows.
    pub(crate) fn drain(&mut self) -> Vec<EpochFlow> {
        self.split().1.drain()
    }

    /// Returns how the tables were read last.
    pub(crate) fn access(&self) -> Access {
        self.loaded.drain.access()
    }

    /// Returns a device's totals so far.
    pub(crate) fn totals(&self, device: u16) -> DeviceTotals {
        totals::read(&self.loaded.device_counters, device).unwrap()
    }

    /// Returns the devices that appeared, and the frames of those that found no room.
    pub(crate) fn found(&self) -> (BTreeMap<u16, [u8; 6]>, u64) {
        let found = &self.loaded.found;
        (found.read().unwrap(), found.frames_without_room())
    }

    /// Takes the samples that wait in the ring.
    pub(crate) fn samples(&mut self) -> Vec<PayloadSample> {
        let clock = self.clock();
        let mut taken = Vec::new();
        samples::take(
            &mut self.loaded.samples,
            &clock,
            usize::MAX,
            &mut |sample| {
                taken.push(sample);
            },
        );
        taken
    }

    /// Returns what became of the samples so far.
    pub(crate) fn sample_counters(&self) -> SampleCounters {
        totals::read_samples(&self.loaded.sample_counters).unwrap()
    }
}

/// Runs the programs on frames.
#[derive(Clone, Copy)]
pub(crate) struct Runner<'a>(&'a load::Programs);

impl<'a> Runner<'a> {
    /// Runs programs that a test loaded itself.
    pub(crate) fn of(programs: &'a load::Programs) -> Self {
        Self(programs)
    }
}

impl Runner<'_> {
    /// Runs a hook's program so many times on a frame, and checks the last verdict. More than once
    /// at tc alone: the kernel rebuilds a jump table before and after a series of XDP's.
    pub(crate) fn run(self, hook: &Hook, frame: &[u8], extra: Extra, times: u32) {
        let context = (extra.segment_size != 0).then(|| socket_buffer(extra));
        let options = TestRunOptions {
            data_in: Some(frame),
            ctx_in: context.as_ref().map(<[u8; _]>::as_slice),
            repeat: times,
            ..TestRunOptions::default()
        };
        let outcome = match self.0.ebpf.program(hook.program) {
            Some(Program::Xdp(xdp)) => xdp.test_run(options),
            Some(Program::SchedClassifier(tc)) => tc.test_run(options),
            _ => panic!("{}: no such program", hook.program),
        };
        let length = frame.len();
        let result = outcome
            .unwrap_or_else(|error| panic!("{} on {length} octets: {error:?}", hook.program));
        let verdict = result.return_value.cast_signed();
        assert_eq!(verdict, hook.verdict, "{}: {frame:02x?}", hook.program);
    }
}

/// Ends epochs.
pub(crate) struct Drainer<'a> {
    programs: &'a load::Programs,
    drain: &'a mut Drain,
}

impl Drainer<'_> {
    /// Ends the epoch and returns its flows.
    pub(crate) fn drain(&mut self) -> Vec<EpochFlow> {
        let clock = self.programs.clock().unwrap();
        let mut flows = Vec::new();
        let count = self
            .drain
            .end_epoch(&clock, &mut |flow| flows.push(*flow))
            .unwrap();
        assert_eq!(count, flows.len() as u64);
        flows
    }
}

/// Octets of `struct __sk_buff` (include/uapi/linux/bpf.h) up to and with `gso_size`.
const CONTEXT_LENGTH: usize = 180;
/// Offset of `gso_segs` in it.
const SEGMENTS: usize = 164;
/// Offset of `gso_size` in it.
const SEGMENT_SIZE: usize = 176;

/// A tc program's context: an aggregate's segments and their size.
fn socket_buffer(extra: Extra) -> [u8; CONTEXT_LENGTH] {
    let mut context = [0; CONTEXT_LENGTH];
    let segments = NonZero::new(extra.segments).map_or(1, NonZero::get);
    context[SEGMENTS..SEGMENTS + 4].copy_from_slice(&segments.to_ne_bytes());
    context[SEGMENT_SIZE..].copy_from_slice(&extra.segment_size.to_ne_bytes());
    context
}
