//! The journal's record of one epoch: octets that say when they are torn.
//!
//! `magic, length, checksum, body`, each number with its least octet first; the checksum is the
//! body's CRC-32 (IEEE 802.3).

use std::net::IpAddr;

use bytes::{Buf, BufMut, TryGetError};
use jiff::Timestamp;

use super::{
    Epoch, GenerationId,
    totals::{WORDS, totals_of, words_of},
};
use crate::{
    model::{Device, MacAddress},
    observation::{DeviceId, DeviceTotals, EpochFlow, Traffic},
};

/// What a record begins with; its last octet is the form's version.
const MAGIC: [u8; 4] = *b"FWJ\x01";

/// Octets before the body.
const HEADER: usize = 12;

/// Appends an epoch's record.
pub(super) fn encode(epoch: &Epoch, out: &mut Vec<u8>) {
    let mut body = Vec::with_capacity(64 + 600 * epoch.totals.len() + 72 * epoch.flows.len());
    body.put_u64_le(epoch.generation.0);
    body.put_u64_le(epoch.serial);
    body.put_i64_le(epoch.ended_at.as_microsecond());
    body.put_u8(epoch.is_last.into());
    body.put_u32_le(epoch.totals.len() as u32);
    for (id, device, totals) in &epoch.totals {
        encode_device(*id, device, totals, &mut body);
    }
    body.put_u32_le(epoch.flows.len() as u32);
    for flow in &epoch.flows {
        encode_flow(flow, &mut body);
    }
    out.put_slice(&MAGIC);
    out.put_u32_le(body.len() as u32);
    out.put_u32_le(crc32fast::hash(&body));
    out.put_slice(&body);
}

fn encode_device(id: DeviceId, device: &Device, totals: &DeviceTotals, out: &mut Vec<u8>) {
    out.put_u16_le(id);
    out.put_u32_le(device.name.len() as u32);
    out.put_slice(device.name.as_bytes());
    // No device has the address of zeros.
    out.put_slice(&device.mac.map_or([0; 6], MacAddress::octets));
    out.put_u16_le(WORDS as u16);
    for word in words_of(totals) {
        out.put_u64_le(word);
    }
}

fn encode_flow(flow: &EpochFlow, out: &mut Vec<u8>) {
    out.put_u16_le(flow.device);
    match flow.remote {
        IpAddr::V4(address) => {
            out.put_u8(4);
            out.put_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            out.put_u8(6);
            out.put_slice(&address.octets());
        }
    }
    out.put_u8(flow.protocol);
    out.put_u16_le(flow.remote_port);
    for traffic in [flow.up, flow.down] {
        out.put_u64_le(traffic.packets);
        out.put_u64_le(traffic.octets);
    }
    for time in [flow.first_seen, flow.last_seen] {
        out.put_i64_le(time.as_microsecond());
    }
}

/// Returns the epochs of a journal's octets, and how many stretches of it are no records: torn, or
/// changed since. What comes behind such a stretch is found again by its magic.
pub(super) fn decode_all(octets: &[u8]) -> (Vec<Epoch>, usize) {
    let (mut epochs, mut dropped) = (Vec::new(), 0);
    let mut at = 0;
    while at < octets.len() {
        if let Some((epoch, length)) = decode(&octets[at..]) {
            epochs.push(epoch);
            at += length;
        } else {
            dropped += 1;
            at += next_record(&octets[at..]);
        }
    }
    (epochs, dropped)
}

/// Returns how far it is to the next whole record, or to the end.
fn next_record(octets: &[u8]) -> usize {
    let candidates = 1..octets.len();
    candidates
        .filter(|&at| octets[at..].starts_with(&MAGIC))
        .find(|&at| body_of(&octets[at..]).is_some())
        .unwrap_or(octets.len())
}

/// Returns the body of the record that begins here, if it is whole.
fn body_of(octets: &[u8]) -> Option<&[u8]> {
    let mut header = octets.strip_prefix(&MAGIC)?;
    let length = header.try_get_u32_le().ok()? as usize;
    let checksum = header.try_get_u32_le().ok()?;
    let body = header.get(..length)?;
    (crc32fast::hash(body) == checksum).then_some(body)
}

fn decode(octets: &[u8]) -> Option<(Epoch, usize)> {
    let body = body_of(octets)?;
    let epoch = decode_body(body).ok()??;
    Some((epoch, HEADER + body.len()))
}

fn decode_body(mut body: &[u8]) -> Result<Option<Epoch>, TryGetError> {
    let body = &mut body;
    let generation = GenerationId(body.try_get_u64_le()?);
    let serial = body.try_get_u64_le()?;
    let ended_at = time(body)?;
    let is_last = body.try_get_u8()? == 1;
    let mut totals = Vec::new();
    for _ in 0..body.try_get_u32_le()? {
        let Some(device) = decode_device(body)? else {
            return Ok(None);
        };
        totals.push(device);
    }
    let mut flows = Vec::new();
    for _ in 0..body.try_get_u32_le()? {
        flows.push(decode_flow(body)?);
    }
    Ok(Some(Epoch {
        generation,
        serial,
        ended_at,
        is_last,
        flows,
        totals,
    }))
}

fn decode_device(
    body: &mut &[u8],
) -> Result<Option<(DeviceId, Device, DeviceTotals)>, TryGetError> {
    let id = body.try_get_u16_le()?;
    let length = body.try_get_u32_le()? as usize;
    let Some(name) = body.get(..length) else {
        return Ok(None);
    };
    let name = String::from_utf8_lossy(name).into_owned();
    body.advance(length);
    let mut mac = [0; 6];
    body.try_copy_to_slice(&mut mac)?;
    let mut words = Vec::new();
    for _ in 0..body.try_get_u16_le()? {
        words.push(body.try_get_u64_le()?);
    }
    let device = Device {
        name: name.into(),
        mac: MacAddress::new(mac).ok(),
    };
    Ok(Some((id, device, totals_of(&words))))
}

fn decode_flow(body: &mut &[u8]) -> Result<EpochFlow, TryGetError> {
    let device = body.try_get_u16_le()?;
    let remote = if body.try_get_u8()? == 4 {
        let mut address = [0; 4];
        body.try_copy_to_slice(&mut address)?;
        IpAddr::from(address)
    } else {
        let mut address = [0; 16];
        body.try_copy_to_slice(&mut address)?;
        IpAddr::from(address)
    };
    let (protocol, remote_port) = (body.try_get_u8()?, body.try_get_u16_le()?);
    let mut traffic = || -> Result<Traffic, TryGetError> {
        Ok(Traffic {
            packets: body.try_get_u64_le()?,
            octets: body.try_get_u64_le()?,
        })
    };
    let (up, down) = (traffic()?, traffic()?);
    Ok(EpochFlow {
        device,
        remote,
        protocol,
        remote_port,
        up,
        down,
        first_seen: time(body)?,
        last_seen: time(body)?,
    })
}

fn time(body: &mut &[u8]) -> Result<Timestamp, TryGetError> {
    let at = body.try_get_i64_le()?;
    Ok(Timestamp::from_microsecond(at).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::samples::epoch;
    use super::*;

    fn encoded(epochs: &[Epoch]) -> Vec<u8> {
        let mut octets = Vec::new();
        for epoch in epochs {
            encode(epoch, &mut octets);
        }
        octets
    }

    #[test]
    fn an_epoch_comes_back_as_it_was() {
        let epochs = [epoch(7, 1, 100), epoch(7, 2, 5), epoch(8, 1, 1)];
        assert_eq!(decode_all(&encoded(&epochs)), (epochs.to_vec(), 0));
    }

    #[test]
    fn a_record_that_is_torn_at_any_octet_is_dropped_and_those_before_it_kept() {
        let first = epoch(7, 1, 100);
        let whole = encoded(std::slice::from_ref(&first));
        let both = encoded(&[first.clone(), epoch(7, 2, 5)]);
        for length in whole.len() + 1..both.len() {
            let (epochs, dropped) = decode_all(&both[..length]);
            assert_eq!(epochs.len(), 1, "torn at {length}");
            assert_eq!(epochs[0], first);
            assert_eq!(dropped, 1, "torn at {length}");
        }
    }

    #[test]
    fn a_record_with_any_octet_changed_is_dropped_and_the_one_behind_it_kept() {
        let epochs = [epoch(7, 1, 100), epoch(7, 2, 5)];
        let first = encoded(&epochs[..1]).len();
        let octets = encoded(&epochs);
        for at in 0..first {
            let mut changed = octets.clone();
            changed[at] ^= 0x40;
            assert_eq!(
                decode_all(&changed),
                (vec![epochs[1].clone()], 1),
                "octet {at}"
            );
        }
    }

    #[test]
    fn noise_is_no_epoch_and_no_crash() {
        let mut state = 1_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(9_999)
        .collect();
        assert_eq!(decode_all(&noise), (Vec::new(), 1));
    }
}
