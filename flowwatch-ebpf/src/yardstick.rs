//! The yardsticks that `cargo xtask bench` measures flowwatch's programs against: the least that a
//! counter by device and destination can do with hash tables, written with the same care.
//!
//! Not part of flowwatch: nothing of it is loaded by the `flowwatch` command.
#![no_std]
#![no_main]
#![expect(
    unsafe_code,
    reason = "packet memory and map values are reached by address"
)]
#![expect(
    missing_docs,
    unreachable_pub,
    reason = "aya's macros wrap the entries in items of their own"
)]

use aya_ebpf::bindings::{BPF_ANY, TC_ACT_UNSPEC, xdp_action::XDP_PASS};
use aya_ebpf::btf_maps::{HashMap, PerCpuHashMap};
use aya_ebpf::macros::{btf_map, classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use flowwatch_common::abi::{FlowKey, TrafficCounter};

/// MAC address, as `abi::mac_word`, to device number.
#[btf_map]
static YARDSTICK_DEVICES: HashMap<u64, u32, 1024> = HashMap::new();

/// One direction's counts by flow.
#[btf_map]
static YARDSTICK_FLOWS: PerCpuHashMap<FlowKey, TrafficCounter, 65536> = PerCpuHashMap::new();

/// Passes every frame: what the measuring loop itself costs.
#[xdp]
pub fn xdp_pass(_: XdpContext) -> u32 {
    XDP_PASS
}

/// Passes every packet: what the measuring loop itself costs.
#[classifier]
pub fn tc_pass(_: TcContext) -> i32 {
    TC_ACT_UNSPEC
}

/// Looks up the device in a hash and adds to one entry of a per-CPU hash, IPv4 only.
#[xdp]
pub fn xdp_minimal(ctx: XdpContext) -> u32 {
    let _ = count(ctx.data(), ctx.data_end());
    XDP_PASS
}

/// The same at tc.
#[classifier]
pub fn tc_minimal(ctx: TcContext) -> i32 {
    let _ = count(ctx.data(), ctx.data_end());
    TC_ACT_UNSPEC
}

#[inline(always)]
fn load<T>(data: usize, data_end: usize, offset: usize) -> Option<T> {
    if data + offset + size_of::<T>() > data_end {
        return None;
    }
    // SAFETY: the octets lie between data and data_end.
    Some(unsafe { core::ptr::read_unaligned((data + offset) as *const T) })
}

#[inline(always)]
fn count(data: usize, data_end: usize) -> Option<()> {
    let ethernet: [u8; 14] = load(data, data_end, 0)?;
    let [_, _, _, _, _, _, s0, s1, s2, s3, s4, s5, t0, t1] = ethernet;
    let mac = u64::from(u32::from_le_bytes([s0, s1, s2, s3]))
        | u64::from(u16::from_le_bytes([s4, s5])) << 32;
    // SAFETY: device numbers are only written by the loader, before the programs run.
    let device = *unsafe { YARDSTICK_DEVICES.get(mac) }?;
    if [t0, t1] != [8, 0] {
        return None;
    }
    let ip: [u8; 20] = load(data, data_end, 14)?;
    let [
        first,
        _,
        l0,
        l1,
        _,
        _,
        _,
        _,
        _,
        protocol,
        _,
        _,
        _,
        _,
        _,
        _,
        d0,
        d1,
        d2,
        d3,
    ] = ip;
    let ports: [u8; 4] = load(data, data_end, 14 + usize::from(first & 15) * 4)?;
    let key = FlowKey {
        remote: [0, 0, 0, u32::from_ne_bytes([d0, d1, d2, d3])],
        device,
        transport: FlowKey::transport(4, protocol, u16::from_be_bytes([ports[2], ports[3]])),
    };
    add(&key, u64::from(u16::from_be_bytes([l0, l1])));
    Some(())
}

#[inline(always)]
fn add(key: &FlowKey, octets: u64) {
    if let Some(counter) = YARDSTICK_FLOWS.get_ptr_mut(key) {
        // SAFETY: the kernel returned this CPU's own value.
        let counter = unsafe { &mut *counter };
        counter.packets += 1;
        counter.octets += octets;
    } else {
        let first = TrafficCounter { packets: 1, octets };
        let _ = YARDSTICK_FLOWS.insert(key, first, u64::from(BPF_ANY));
    }
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// The kernel lets only GPL-compatible programs call some helpers.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
