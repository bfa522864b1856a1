//! The maps: what the programs write and the loader reads, and the other way round.
//!
//! Sizes that depend on the configuration are placeholders here; the loader sets them.
#![expect(unsafe_code, reason = "the loader finds the constants by their names")]

use aya_ebpf::Global;
use aya_ebpf::btf_maps::{
    Array, ArrayOfMaps, HashMap, LruHashMap, PerCpuArray, PerCpuHashMap, RingBuf, Stack,
};
use aya_ebpf::macros::btf_map;
use flowwatch_common::abi::{DeviceCounters, FlowCounters, FlowKey, Sample, SampleCounters};
use flowwatch_common::census::{CensusCounters, CensusFrame, SightingCounter, SightingKey};
use flowwatch_common::parse::Packet;
use flowwatch_common::prefix::PrefixRules;
use flowwatch_common::sampling::stream::{STREAMS_MAX, StreamKey, StreamState};

/// A `FlowCounters` as words, which is no structure in BTF. Linux 5.15 to 6.1 look in structures for a
/// timer, and take a table whose BTF has one without timer for another kind than one without BTF
/// (kernel/bpf/map_in_map.c, `bpf_map_meta_equal`): the loader's tables would be refused.
pub(crate) type FlowWords = [u64; size_of::<FlowCounters>() / size_of::<u64>()];

/// One epoch's flows. Preallocated: an insertion costs 0.4 µs, without preallocation 14 µs.
pub(crate) type FlowTable = PerCpuHashMap<FlowKey, FlowWords, 1>;

/// Written by the loader, which puts the table of the next epoch in the only slot; read on every
/// packet of a device. The tables behind it are written here and drained there.
#[btf_map]
pub(crate) static EPOCH: ArrayOfMaps<FlowTable, 1> = ArrayOfMaps::new();

/// The devices, as `abi::device_slot`s at `abi::device_slot_index`. Written by the loader.
#[btf_map]
pub(crate) static DEVICES: Array<u64, 1> = Array::new();

/// Chosen by the loader so that no two devices share a slot.
#[unsafe(no_mangle)]
pub(crate) static DEVICE_MULTIPLIER: Global<u64> = Global::new(0);

/// 64 minus the binary logarithm of the number of slots.
#[unsafe(no_mangle)]
pub(crate) static DEVICE_SHIFT: Global<u32> = Global::new(0);

/// How many of [`PREFIXES`] are in use. Set by the loader.
#[unsafe(no_mangle)]
pub(crate) static PREFIX_COUNT: Global<u32> = Global::new(0);

/// How the addresses of devices begin that are tagged as they appear. Written by the loader.
#[btf_map]
pub(crate) static PREFIXES: Array<PrefixRules, 1> = Array::new();

/// The numbers of the devices that were found, by address. Written here, read at each drain.
#[btf_map]
pub(crate) static FOUND_DEVICES: HashMap<u64, u32, 1> = HashMap::new();

/// The numbers for devices yet to be found, the next one on top. Filled by the loader.
#[btf_map]
pub(crate) static FREE_NUMBERS: Stack<u32, 1> = Stack::new();

/// Frames of devices that a prefix matches and for which no number was left. Written here.
#[btf_map]
pub(crate) static FOUND_NO_ROOM: PerCpuArray<u64, 1> = PerCpuArray::new();

/// Totals by device and direction, at `abi::device_counters_index`. Written here.
#[btf_map]
pub(crate) static DEVICE_COUNTERS: PerCpuArray<DeviceCounters, 2> = PerCpuArray::new();

/// Payloads that may carry names. Written here.
#[btf_map]
pub(crate) static SAMPLES: RingBuf<Sample, { 1 << 20 }> = RingBuf::new();

/// What became of the payloads that matched a rule. Written here.
#[btf_map]
pub(crate) static SAMPLE_COUNTERS: PerCpuArray<SampleCounters, 1> = PerCpuArray::new();

/// The packet that is looked at again. On the stack it would be a packet of its own for each way
/// through the parser, with which the verifier goes through all that follows.
#[btf_map]
pub(crate) static FOUND: PerCpuArray<Packet, 1> = PerCpuArray::new();

/// The TCP streams whose beginnings may be sampled, the least recently used forgotten first. Written
/// and read here.
#[btf_map]
pub(crate) static STREAMS: LruHashMap<StreamKey, StreamState, STREAMS_MAX> = LruHashMap::new();

/// Who was seen on the LAN. Written here, when there is a census.
#[btf_map]
pub(crate) static SIGHTINGS: PerCpuHashMap<SightingKey, SightingCounter, 1> = PerCpuHashMap::new();

/// Frames that carry names, when there is a census. Written here.
#[btf_map]
pub(crate) static CENSUS_FRAMES: RingBuf<CensusFrame, 4096> = RingBuf::new();

/// What the census turned away. Written here.
#[btf_map]
pub(crate) static CENSUS_COUNTERS: PerCpuArray<CensusCounters, 1> = PerCpuArray::new();

/// The kernel's tick counter, as `flowwatch_clock` last read it.
#[btf_map]
pub(crate) static CLOCK: Array<u64, 1> = Array::new();

/// The hooks that ran during a self-test, by `abi::hook_key`. Written here while
/// [`SELF_TEST`] is set.
#[btf_map]
pub(crate) static HOOKS_SEEN: HashMap<u64, u32, 1024> = HashMap::new();

/// 1 while the loader waits for each hook to run for the first time, then 0: a load and a branch
/// on every packet. In a section of its own, since the other constants become read-only.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data.self_test")]
pub(crate) static SELF_TEST: Global<u32> = Global::new(0);
