//! The two captures that are read, made in the folder for temporary files and removed at the end.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use flowwatch_tests::capture_file::{ETHERNET, FileFormat, Recorded};
use flowwatch_tests::link::Mac;
use flowwatch_tests::packet::Packet;
use tempfile::TempDir;

use crate::Options;

/// The device that sends and receives all of it.
pub(crate) const CAMERA: Mac = Mac([0x2c, 0xaa, 0x8e, 0, 0, 1]);
const GATEWAY: Mac = Mac([2, 0, 0, 0, 1, 0]);
/// Octets of each frame.
const LENGTH: usize = 64;
/// Packets that are written at a time.
const PIECE: u64 = 10_000;
/// 2019-06-01 00:00:00 UTC, in microseconds.
const START: u64 = 1_559_347_200_000_000;

/// A capture and the packets in it.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    pub(crate) path: PathBuf,
    pub(crate) packets: u64,
}

/// Both; gone when this is dropped.
pub(crate) struct Captures {
    pub(crate) small: Capture,
    pub(crate) large: Capture,
    _folder: TempDir,
}

impl Captures {
    /// Writes both.
    pub(crate) fn make(options: &Options) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let frames: Vec<Vec<u8>> = (0..options.flows).map(frame).collect();
        let make = |name: &str, packets| -> Result<Capture> {
            let path = folder.path().join(name);
            write(&path, &frames, packets).with_context(|| format!("write {}", path.display()))?;
            Ok(Capture { path, packets })
        };
        Ok(Self {
            small: make("small.pcap", options.packets / 10)?,
            large: make("large.pcap", options.packets)?,
            _folder: folder,
        })
    }
}

/// A flow's frame: TCP and UDP in turn, up and down, each to a remote of its own.
fn frame(flow: u64) -> Vec<u8> {
    let remote = Ipv4Addr::from(0x2d07_0000 + flow as u32);
    let camera = Ipv4Addr::new(192, 168, 8, 214);
    let (link, ports) = if flow.is_multiple_of(2) {
        let link = Packet::ethernet(CAMERA, GATEWAY).ipv4(camera, remote);
        (link, (40_000, 443))
    } else {
        let link = Packet::ethernet(GATEWAY, CAMERA).ipv4(remote, camera);
        (link, (443, 40_000))
    };
    let packet = if flow % 4 < 2 {
        link.tcp(ports.0, ports.1).payload(10)
    } else {
        link.udp(ports.0, ports.1).payload(22)
    };
    packet.pad_to(LENGTH).build()
}

fn write(path: &Path, frames: &[Vec<u8>], packets: u64) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let header = FileFormat::Pcap.write(ETHERNET, &[]);
    file.write_all(&header)?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut any = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as usize % frames.len()
    };
    for first in (0..packets).step_by(PIECE as usize) {
        let piece: Vec<_> = (first..packets.min(first + PIECE))
            .map(|number| Recorded::whole(START + number, frames[any()].clone()))
            .collect();
        let piece = FileFormat::Pcap.write(ETHERNET, &piece);
        file.write_all(&piece[header.len()..])?;
    }
    file.flush()?;
    Ok(())
}
