//! Every point of a drain at which a process can end, one after the other: the kernel counts on, and
//! the process that comes then finds what is left. The history has each packet once.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use aya::maps::{Map, MapData, PerCpuHashMap};
use flowwatch::geo::Databases;
use flowwatch::history::{
    Epoch, GenerationId, History, HistoryError, Known, Recorder, RecorderOptions, Retention,
};
use flowwatch::kernel::batch::Access;
use flowwatch::kernel::clock::TickClock;
use flowwatch::kernel::descriptor::{Descriptor, Tags};
use flowwatch::kernel::drain::Drain;
use flowwatch::kernel::load::{self, LoadOptions, MapPins};
use flowwatch::kernel::pins::{PinnedGeneration, Pins};
use flowwatch::kernel::retired::Retired;
use flowwatch::model::{Device, MacAddress};
use flowwatch::names::{NameLimits, NameTable};
use flowwatch::observation::{DeviceTotals, Traffic};
use flowwatch::retirement;
use flowwatch::store::Losses;
use flowwatch_common::abi::{FlowCounters, FlowKey, mac_word};
use flowwatch_tests::pin_folder::PinFolder;
use flowwatch_tests::privilege::{Need, granted};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::golden::Extra;
use crate::hook::INGRESS;
use crate::programs::{Runner, device_mac};
use crate::traffic::{Frame, OCTETS, remote};

/// Remotes that are sent to.
const REMOTES: u32 = 8;
/// How long another program may take to start.
const PATIENCE: Duration = Duration::from_secs(10);
/// The history's file in its folder.
pub(crate) const HISTORY: &str = "history.db";

/// The last thing that a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Point {
    /// Nothing.
    Idle,
    /// It numbered the next epoch.
    Numbered,
    /// It had the programs count into the other table.
    Swapped,
    /// It read what the quiet one has.
    Read,
    /// The journal has it.
    Taken,
    /// It is at emptying the table.
    HalfEmptied,
    /// The table is empty.
    Emptied,
    /// Likewise, and what was pending went to the file.
    Recorded,
}

impl Point {
    const ALL: [Self; 8] = [
        Self::Idle,
        Self::Numbered,
        Self::Swapped,
        Self::Read,
        Self::Taken,
        Self::HalfEmptied,
        Self::Emptied,
        Self::Recorded,
    ];
}

/// What outlives processes: the kernel with what is pinned, and the folders.
struct World {
    folder: TempDir,
    _pins_held: PinFolder,
    pins: Pins,
    generation: PinnedGeneration,
    programs: load::Programs,
    sent: BTreeMap<IpAddr, Traffic>,
}

/// Opens the history in a folder. A test beside this one may be starting a program, which has every lock
/// of this process until it is another program.
pub(crate) fn recorder(folder: &Path) -> Result<Recorder> {
    let options = RecorderOptions {
        history: folder.join(HISTORY),
        journal: folder.join("journal"),
        interval: Duration::from_hours(1),
        retention: Retention::default(),
    };
    let end = Instant::now() + PATIENCE;
    loop {
        match Recorder::open(&options) {
            Err(HistoryError::Taken(_)) if Instant::now() < end => thread::yield_now(),
            opened => return Ok(opened?),
        }
    }
}

fn tags() -> Tags {
    Tags {
        devices: vec![("camera".to_owned(), device_mac(0))],
        prefixes: Vec::new(),
        flow_table_size: 1024,
    }
}

impl World {
    fn new() -> Result<Self> {
        let pin_folder = PinFolder::new()?;
        let pins = Pins::open(Path::new(&pin_folder.path()))?;
        let folder = tempfile::tempdir()?;
        let history = recorder(folder.path())?.number();
        let begun = pins.begin(Descriptor::new(7, history, tags()))?;
        let options = LoadOptions {
            devices: &[mac_word(device_mac(0))],
            prefixes: &[],
            flow_table_size: 1024,
            log_level: 0,
            access: Access::Batch,
            pins: Some(MapPins {
                folder: &begun.folder,
                is_taken_over: false,
            }),
        };
        let mut loaded = load::load(&options)?;
        load::load_program(&mut loaded.programs.ebpf, INGRESS.program)?;
        let generation = pins.complete(begun)?;
        Ok(Self {
            folder,
            _pins_held: pin_folder,
            pins,
            generation,
            programs: loaded.programs,
            sent: BTreeMap::new(),
        })
    }

    /// A few packets to each remote.
    fn send(&mut self, packets: u32) {
        let mut frame = Frame::up(0);
        for number in 0..REMOTES {
            let octets = frame.to(remote(number));
            Runner::of(&self.programs).run(&INGRESS, octets, Extra::default(), packets);
            *self.sent.entry(remote(number).into()).or_default() += Traffic {
                packets: packets.into(),
                octets: u64::from(packets) * OCTETS,
            };
        }
    }

    fn clock(&self) -> TickClock {
        self.programs.clock().unwrap()
    }

    fn history(&self) -> Result<History> {
        Ok(History::open(&self.folder.path().join(HISTORY))?)
    }

    fn recorder(&self) -> Result<Recorder> {
        recorder(self.folder.path())
    }

    /// What the history says of each remote.
    fn recorded(&self) -> Result<BTreeMap<IpAddr, Traffic>> {
        let history = self.history()?;
        let span = history.span()?.context("the history is empty")?;
        let mut sums = BTreeMap::<_, Traffic>::new();
        for flow in history.snapshot(span)?.flows {
            *sums.entry(flow.remote_address).or_default() += flow.up;
        }
        Ok(sums)
    }
}

/// A flowwatch, as far as drains go.
struct Process {
    drain: Drain,
    recorder: Recorder,
    clock: TickClock,
}

impl Process {
    /// Takes over what is there, as `run --persist` does.
    fn start(world: &World) -> Result<Self> {
        let folder = &world.generation.folder;
        let mut process = Self {
            drain: Drain::resume(folder, Access::Batch, None)?,
            recorder: world.recorder()?,
            clock: world.clock(),
        };
        let taken = process.recorder.last_taken(GenerationId(7));
        if let Some(serial) = process.drain.left(taken)? {
            process.take(serial, world)?;
            process.drain.finish()?;
        }
        Ok(process)
    }

    /// Ends an epoch, up to a point, and then itself.
    fn end_at(mut self, point: Point, world: &mut World) -> Result<()> {
        if point >= Point::Numbered {
            self.drain.number_next()?;
        }
        world.send(1);
        if point >= Point::Swapped {
            let serial = self.drain.begin()?;
            world.send(1);
            if point == Point::Read {
                self.drain.read(&self.clock, &mut |_| ())?;
            }
            if point >= Point::Taken {
                self.take(serial, world)?;
            }
        }
        if point == Point::HalfEmptied {
            empty_half(&world.generation.folder)?;
        }
        if point >= Point::Emptied {
            self.drain.finish()?;
        }
        if point == Point::Recorded {
            self.record()?;
        }
        world.send(1);
        Ok(())
    }

    fn take(&mut self, serial: u64, world: &World) -> Result<()> {
        let mut flows = Vec::new();
        self.drain
            .read(&self.clock, &mut |flow| flows.push(*flow))?;
        let retired = Retired::open(&world.generation)?;
        let epoch = Epoch {
            generation: GenerationId(7),
            serial,
            ended_at: Timestamp::now(),
            is_last: false,
            flows,
            totals: vec![(0, camera(), retired.totals(0)?)],
        };
        Ok(self.recorder.take(&epoch)?)
    }

    fn record(self) -> Result<()> {
        finish(self.recorder)
    }
}

fn camera() -> Device {
    Device::new("camera", MacAddress::new(device_mac(0)).unwrap()).unwrap()
}

pub(crate) fn finish(recorder: Recorder) -> Result<()> {
    let known = Known {
        devices: &[],
        names: &NameTable::new(NameLimits::default()),
        databases: &Databases::open(&[], false)?,
        interfaces: &[],
        losses: Losses::default(),
    };
    Ok(recorder.finish(&known)?)
}

/// Takes half of the entries out of the table that is not active: the one with the lower serial.
fn empty_half(folder: &Path) -> Result<()> {
    let open = |name: &str| anyhow::Ok(Map::from_map_data(MapData::from_pin(folder.join(name))?)?);
    let serials: aya::maps::Array<_, u64> = open("SERIALS")?.try_into()?;
    let is_second = serials.get(&1, 0)? < serials.get(&0, 0)?;
    let table = open(["TABLE_0", "TABLE_1"][usize::from(is_second)])?;
    let mut table: PerCpuHashMap<_, FlowKey, FlowCounters> = table.try_into()?;
    let keys: Vec<FlowKey> = table.keys().collect::<Result<_, _>>()?;
    assert_eq!(keys.len(), REMOTES as usize);
    for key in &keys[..keys.len() / 2] {
        table.remove(key)?;
    }
    Ok(())
}

#[test]
fn wherever_a_process_ends_the_next_one_counts_each_packet_once() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let mut world = World::new()?;
    world.send(1);
    for first in Point::ALL {
        for second in Point::ALL {
            for point in [first, second] {
                Process::start(&world)?.end_at(point, &mut world)?;
            }
        }
    }
    // Nothing counts any more: the rest is drained as that of a generation that was replaced.
    let mut recorder = world.recorder()?;
    let mut retired = Retired::open(&world.generation)?;
    let totals: DeviceTotals = retired.totals(0)?;
    retirement::drain(&mut retired, Some(&mut recorder), &world.clock())?;
    // Again, as after an end before its pins were removed: nothing is left.
    let again = retirement::drain(&mut retired, Some(&mut recorder), &world.clock())?;
    assert_eq!(again, retirement::Drained::default());
    finish(recorder)?;
    world.pins.remove(&world.generation)?;
    assert!(world.pins.generations()?.is_empty());
    assert_eq!(world.recorded()?, world.sent);
    let sent: u64 = world.sent.values().map(|traffic| traffic.packets).sum();
    assert_eq!(totals.up.seen.frames, sent);
    let history = world.history()?;
    let span = history.span()?.context("the history is empty")?;
    let devices = history.snapshot(span)?.devices;
    assert_eq!(devices[0].up.frames_seen, sent);
    assert!(devices[0].conserved, "{:?}", devices[0]);
    println!("{sent} packets, {} ends", 2 * Point::ALL.len().pow(2));
    Ok(())
}
