//! A table whose entries crowd into one bucket, which a batch takes whole or not at all.
//!
//! The kernel spreads keys by Jenkins' hash (include/linux/jhash.h, `jhash2`) with a seed, which is
//! zero on request: with that, keys can be chosen that fall in one bucket.

use std::collections::BTreeSet;

use anyhow::Result;
use aya::maps::{IterableMap as _, PerCpuValues};
use flowwatch::kernel::batch::{Access, TableReader};
use flowwatch::kernel::drain::FlowTable;
use flowwatch_common::abi::{FlowCounters, FlowKey};
use flowwatch_tests::privilege::{Need, granted};

/// `BPF_F_ZERO_SEED` (include/uapi/linux/bpf.h).
const ZERO_SEED: u32 = 1 << 6;
/// The table's entries, and so its buckets.
const BUCKETS: u32 = 8192;
/// The bucket where most keys are: behind others, so that the batch before it is whole.
const CROWDED: u32 = 5000;
/// More keys than a batch of 4,096 has room for.
const CROWD: usize = 4500;
/// Keys elsewhere.
const OTHERS: usize = 300;

fn key(number: u32) -> FlowKey {
    FlowKey {
        remote: [0, 0, number, 1],
        device: 0,
        transport: 4,
    }
}

/// `jhash2` of a key's six words with seed 0.
fn bucket_of(key: &FlowKey) -> u32 {
    let [k0, k1, k2, k3] = key.remote;
    let start = 0xdead_beef_u32.wrapping_add(6 << 2);
    let (mut a, mut b, mut c) = (start, start, start);
    (a, b, c) = (a.wrapping_add(k0), b.wrapping_add(k1), c.wrapping_add(k2));
    for (turn, by) in [4, 6, 8, 16, 19, 4].into_iter().enumerate() {
        // Three registers take turns as the one that is mixed, the one that it is mixed with, and
        // the one that is added to.
        let (x, y, z) = match turn % 3 {
            0 => (&mut a, &mut c, &mut b),
            1 => (&mut b, &mut a, &mut c),
            _ => (&mut c, &mut b, &mut a),
        };
        *x = x.wrapping_sub(*y) ^ y.rotate_left(by);
        *y = y.wrapping_add(*z);
    }
    a = a.wrapping_add(k3);
    b = b.wrapping_add(key.device);
    c = c.wrapping_add(key.transport);
    for (turn, by) in [14, 11, 25, 16, 4, 14, 24].into_iter().enumerate() {
        let (x, y) = match turn % 3 {
            0 => (&mut c, &b),
            1 => (&mut a, &c),
            _ => (&mut b, &a),
        };
        *x = (*x ^ y).wrapping_sub(y.rotate_left(by));
    }
    c & (BUCKETS - 1)
}

/// Keys of which [`CROWD`] fall in one bucket.
fn crowd() -> BTreeSet<FlowKey> {
    let crowded = (0..).map(key).filter(|key| bucket_of(key) == CROWDED);
    let mut keys: BTreeSet<FlowKey> = crowded.take(CROWD).collect();
    keys.extend((0..OTHERS as u32).map(key));
    keys
}

fn check(access: Access, keys: &BTreeSet<FlowKey>) -> Result<()> {
    let mut table = FlowTable::create(BUCKETS, ZERO_SEED)?;
    let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)?;
    for key in keys {
        let counters = FlowCounters::default();
        let values = PerCpuValues::try_from(vec![counters; cpus])?;
        table.insert(key, values, 0)?;
    }
    let mut reader = TableReader::new(access)?;
    let mut read = Vec::new();
    let count = reader.read(table.map(), &mut |octets, _| read.push(octets.to_vec()))?;
    assert_eq!((reader.access(), count), (access, keys.len() as u64));
    let mut taken = Vec::new();
    let count = reader.empty(table.map(), &mut |octets, _| taken.push(octets.to_vec()))?;
    assert_eq!(taken, read, "what is read stays");
    assert_eq!((reader.access(), count), (access, keys.len() as u64));
    let as_octets = |key: &FlowKey| {
        let words = key.remote.into_iter().chain([key.device, key.transport]);
        words.flat_map(u32::to_ne_bytes).collect::<Vec<u8>>()
    };
    let taken: BTreeSet<Vec<u8>> = taken.into_iter().collect();
    assert_eq!(taken, keys.iter().map(as_octets).collect());
    assert_eq!(
        reader.empty(table.map(), &mut |_, _| ())?,
        0,
        "the table is empty"
    );
    Ok(())
}

#[test]
fn a_bucket_that_no_batch_has_room_for_is_taken_whole() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let keys = crowd();
    assert!(keys.len() >= CROWD);
    check(Access::Batch, &keys)?;
    check(Access::KeyByKey, &keys)
}
