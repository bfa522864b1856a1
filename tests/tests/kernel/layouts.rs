//! Maps of another version: keys and values lie otherwise, and whoever comes later reads them by what
//! their descriptor says.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aya::maps::{
    Array, ArrayOfMaps, HashMap, IterableMap as _, Map, MapData, PerCpuArray, PerCpuHashMap,
    PerCpuValues,
};
use flowwatch::history::History;
use flowwatch::kernel::clock::{Moment, TickClock};
use flowwatch::kernel::descriptor::{Descriptor, Tags};
use flowwatch::kernel::layout::{
    Field, FlowLayout, FoundLayout, FrameFields, Layout, TotalsLayout, TrafficFields,
};
use flowwatch::kernel::pins::Pins;
use flowwatch::kernel::retired::Retired;
use flowwatch::observation::Traffic;
use flowwatch::retirement;
use flowwatch_common::abi::Reason;
use flowwatch_tests::pin_folder::PinFolder;
use flowwatch_tests::privilege::{Need, granted};
use jiff::Timestamp;

use crate::restart::{HISTORY, finish, recorder};

/// Keys and values of that version's maps, longer than this one's.
type Key = [u8; 40];
type FlowValue = [u8; 80];
type TotalsValue = [u8; 512];
type FlowTable = PerCpuHashMap<MapData, Key, FlowValue>;

/// `BPF_MAP_CREATE` and `BPF_MAP_TYPE_ARRAY_OF_MAPS` (include/uapi/linux/bpf.h).
const MAP_CREATE: libc::c_long = 0;
const ARRAY_OF_MAPS: u32 = 12;

const CAMERA: [u8; 6] = [0x2c, 0xaa, 0x8e, 0, 0, 1];
const PLUG: [u8; 6] = [0x50, 0xc7, 0xbf, 0, 0, 9];

const fn traffic_at(packets: usize) -> TrafficFields {
    TrafficFields {
        packets: Field::word(packets, 4),
        octets: Field::word(packets + 4, 8),
    }
}

const fn frames_at(frames: usize) -> FrameFields {
    FrameFields {
        frames: Field::word(frames, 8),
        l2_octets: Field::word(frames + 8, 8),
    }
}

fn layout() -> Layout {
    Layout {
        flows: FlowLayout {
            key_octets: 40,
            value_octets: 80,
            remote_at: 12,
            device: Field::word(0, 8),
            remote_port: Field::word(30, 2),
            protocol: Field::word(28, 1),
            ip_version: Field::part(29, 1, 4, 4),
            up: traffic_at(44),
            down: traffic_at(20),
            first_tick: Field::word(0, 8),
            last_tick: Field::word(8, 8),
        },
        totals: TotalsLayout {
            value_octets: 512,
            entries: 3,
            up: 2,
            down: 0,
            seen: frames_at(400),
            in_flows: frames_at(300),
            flow_traffic: traffic_at(200),
            overflow: traffic_at(100),
            unaccounted: vec![(Reason::ALL[1].name().to_owned(), frames_at(40))],
        },
        found: FoundLayout {
            key_octets: 8,
            value_octets: 8,
            address: Field::part(0, 8, 16, 48),
            number: Field::word(4, 4),
        },
    }
}

/// Writes numbers into octets, each at its place.
fn octets<const N: usize>(parts: &[(usize, &[u8])]) -> [u8; N] {
    let mut octets = [0; N];
    for (at, part) in parts {
        octets[*at..*at + part.len()].copy_from_slice(part);
    }
    octets
}

fn key(device: u64, remote: Ipv6Addr, version: u8, protocol: u8, port: u16) -> Key {
    octets(&[
        (0, &device.to_ne_bytes()),
        (12, &remote.octets()),
        (28, &[protocol, version << 4]),
        (30, &port.to_ne_bytes()),
    ])
}

fn flow_value(up: (u32, u64), down: (u32, u64)) -> FlowValue {
    octets(&[
        (0, &1_u64.to_ne_bytes()),
        (8, &2_u64.to_ne_bytes()),
        (20, &down.0.to_ne_bytes()),
        (24, &down.1.to_ne_bytes()),
        (44, &up.0.to_ne_bytes()),
        (48, &up.1.to_ne_bytes()),
    ])
}

/// Frames of a direction, all of which are in flows, but for so many.
fn totals_value((packets, octets_in_all): (u32, u64), unaccounted: u64) -> TotalsValue {
    let frames = u64::from(packets);
    octets(&[
        (40, &unaccounted.to_ne_bytes()),
        (200, &packets.to_ne_bytes()),
        (204, &octets_in_all.to_ne_bytes()),
        (300, &frames.to_ne_bytes()),
        (400, &(frames + unaccounted).to_ne_bytes()),
    ])
}

/// The same on the first CPU, and nothing on the others; or the same on the last one, too.
fn on_cpus<const N: usize>(first: [u8; N], last: [u8; N]) -> Result<PerCpuValues<[u8; N]>> {
    let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)?;
    ensure!(cpus > 1, "one CPU can't show that they are summed");
    let mut values = vec![[0; N]; cpus];
    values[0] = first;
    values[cpus - 1] = last;
    Ok(PerCpuValues::try_from(values)?)
}

/// Makes the slot of the active table.
#[expect(unsafe_code, reason = "aya makes no array of maps")]
fn slot(active: &MapData) -> Result<ArrayOfMaps<MapData, MapData>> {
    /// `union bpf_attr`, the part of `BPF_MAP_CREATE`.
    #[repr(C)]
    struct Attributes {
        map_type: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        map_flags: u32,
        inner_map_fd: i32,
    }
    let attributes = Attributes {
        map_type: ARRAY_OF_MAPS,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        map_flags: 0,
        inner_map_fd: active.fd().as_fd().as_raw_fd(),
    };
    let (address, length) = (&raw const attributes, size_of::<Attributes>());
    // SAFETY: the attributes are the command's, and outlive the call.
    let made = unsafe { libc::syscall(libc::SYS_bpf, MAP_CREATE, address, length) };
    if made < 0 {
        return Err(io::Error::last_os_error()).context("make the slot");
    }
    // SAFETY: the kernel has just made it, for nobody else.
    let descriptor = unsafe { OwnedFd::from_raw_fd(made as libc::c_int) };
    let map = Map::from_map_data(MapData::from_fd(descriptor)?)?;
    let mut slot: ArrayOfMaps<_, MapData> = map.try_into()?;
    slot.set(0, active, 0)?;
    Ok(slot)
}

/// Pins that version's maps: an epoch of the camera's that ended and was not taken, one of the plug's
/// that goes on, and what both have in all.
fn pin_maps(folder: &Path) -> Result<()> {
    let mut tables = [FlowTable::create(8, 0)?, FlowTable::create(8, 0)?];
    let here = Ipv6Addr::from(0xffff_c000_0207_u128);
    let there = Ipv6Addr::from(0x2001_0db8_u128 << 96 | 1);
    let ended = on_cpus(flow_value((1, 100), (3, 300)), flow_value((2, 200), (0, 0)))?;
    tables[1].insert(key(0, here, 4, 17, 443), ended, 0)?;
    let active = on_cpus(flow_value((5, 500), (0, 0)), flow_value((0, 0), (7, 700)))?;
    tables[0].insert(key(1, there, 6, 6, 8883), active, 0)?;
    slot(tables[0].map())?.pin(folder.join("EPOCH"))?;
    for (name, table) in ["TABLE_0", "TABLE_1"].iter().zip(tables) {
        table.pin(folder.join(name))?;
    }
    let mut serials = Array::<MapData, u64>::create(2, 0)?;
    serials.set(0, 4, 0)?;
    serials.set(1, 3, 0)?;
    serials.pin(folder.join("SERIALS"))?;
    let mut totals = PerCpuArray::<MapData, TotalsValue>::create(6, 0)?;
    for (index, traffic, unaccounted) in [
        (2, (3, 300), 0),
        (0, (3, 300), 0),
        (5, (5, 500), 1),
        (3, (7, 700), 0),
    ] {
        let values = on_cpus(totals_value(traffic, unaccounted), [0; 512])?;
        totals.set(index, values, 0)?;
    }
    totals.pin(folder.join("DEVICE_COUNTERS"))?;
    let mut found = HashMap::<MapData, [u8; 8], [u8; 8]>::create(8, 0)?;
    let address = PLUG
        .iter()
        .rev()
        .fold(0, |word, octet| word << 8 | u64::from(*octet));
    let address = (address << 16).to_ne_bytes();
    found.insert(address, octets::<8>(&[(4, &1_u32.to_ne_bytes())]), 0)?;
    Ok(found.pin(folder.join("FOUND_DEVICES"))?)
}

#[test]
fn counts_that_lie_otherwise_are_drained_by_what_their_descriptor_says() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let (folder, held) = (tempfile::tempdir()?, PinFolder::new()?);
    let pins = Pins::open(Path::new(&held.path()))?;
    let mut recorder = recorder(folder.path())?;
    let tags = Tags {
        devices: vec![("camera".to_owned(), CAMERA)],
        prefixes: vec![("lab".to_owned(), [0x50, 0xc7, 0xbf, 0, 0, 0], 24)],
        flow_table_size: 8,
    };
    let mut descriptor = Descriptor::new(9, recorder.number(), tags.clone());
    descriptor.layout = layout();
    assert!(!descriptor.fits(recorder.number(), &tags));
    let begun = pins.begin(descriptor)?;
    pin_maps(&begun.folder)?;
    pins.complete(begun)?;
    let pinned = pins.generations()?.pop().context("nothing is pinned")?;
    let at = Timestamp::now();
    let clock = TickClock::new(
        2,
        Moment::new(at, Duration::from_secs(9)),
        Duration::from_secs(1),
    );
    let drained = retirement::drain(&mut Retired::open(&pinned)?, Some(&mut recorder), &clock)?;
    let traffic = |packets, octets| Traffic { packets, octets };
    assert_eq!((drained.flows, drained.traffic), (2, traffic(18, 1800)));
    finish(recorder)?;
    let history = History::open(&folder.path().join(HISTORY))?;
    let snapshot = history.snapshot(history.span()?.context("nothing was recorded")?)?;
    let flows = snapshot.flows.iter().map(|flow| {
        let to = (flow.remote_address, flow.protocol, flow.remote_port);
        (flow.device.name.to_string(), (to, flow.up, flow.down))
    });
    let remote = |text: &str| text.parse::<IpAddr>().unwrap();
    let camera = (
        (remote("192.0.2.7"), 17, 443),
        traffic(3, 300),
        traffic(3, 300),
    );
    let plug = (
        (remote("2001:db8::1"), 6, 8883),
        traffic(5, 500),
        traffic(7, 700),
    );
    let expected = [
        ("camera".to_owned(), camera),
        ("lab-00:00:09".to_owned(), plug),
    ];
    assert_eq!(flows.collect::<BTreeMap<_, _>>(), BTreeMap::from(expected));
    for device in &snapshot.devices {
        assert!(device.conserved, "{device:?}");
    }
    let seen = snapshot
        .devices
        .iter()
        .map(|it| (it.up.frames_seen, it.down.frames_seen));
    assert_eq!(seen.collect::<Vec<_>>(), [(3, 3), (6, 7)]);
    Ok(())
}
