//! What an interface carries, as a capture file, and what tshark reads in it: a foreign witness of
//! what was said.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::listener::{Listen, Listener, VIRTIO_LENGTH};
use crate::namespace::Namespace;
use crate::process;

/// An aggregate's longest frame: an IPv6 packet of 64 KiB behind its headers.
const FRAME_LENGTH: usize = (64 << 10) + 128;
/// A file's header (pcap, draft-ietf-opsawg-pcap): microseconds, version 2.4, whole frames, Ethernet.
const FILE_HEADER: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 0x0004_0000, 1];

/// A capture that goes on.
#[derive(Debug)]
pub struct Capture(Listener<Records>);

/// A capture that has ended; its file vanishes with it.
#[derive(Debug)]
pub struct Captured {
    folder: TempDir,
}

/// The file's octets so far.
#[derive(Debug)]
struct Records(Vec<u8>);

impl Listen for Records {
    fn take(&mut self, octets: &[u8]) {
        let frame = octets.get(VIRTIO_LENGTH..).unwrap_or_default();
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let since = since.unwrap_or_default();
        let length = frame.len() as u32;
        let header = [
            since.as_secs() as u32,
            since.subsec_micros(),
            length,
            length,
        ];
        self.0.extend(header.map(u32::to_ne_bytes).as_flattened());
        self.0.extend(frame);
    }
}

impl Capture {
    /// Begins to capture at `interface`; has everything from its return on.
    pub fn start(namespace: &Namespace, interface: &str) -> Result<Self> {
        let records = Records(FILE_HEADER.map(u32::to_ne_bytes).concat());
        Listener::start(namespace, interface, FRAME_LENGTH, records).map(Self)
    }

    /// Ends it; all that had passed the interface before the call is in the file.
    pub fn finish(self) -> Result<Captured> {
        let (records, drops) = self.0.finish()?;
        ensure!(drops == 0, "the capture missed {drops} frames");
        let folder = tempfile::tempdir().context("make a folder for the capture")?;
        let captured = Captured { folder };
        fs::write(captured.path(), records.0).context("write the capture")?;
        Ok(captured)
    }
}

impl Captured {
    /// The file, of the format pcap.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("capture.pcap")
    }

    /// Has tshark read it: the values of a field, one line for each packet that `filter` lets
    /// through. `options` come before the rest, such as `-d tcp.port==4433,tls`.
    pub fn field(&self, options: &[&str], filter: &str, field: &str) -> Result<Vec<String>> {
        let mut command = Command::new("tshark");
        command.args(["-n", "-r"]).arg(self.path()).args(options);
        command.args(["-Y", filter, "-T", "fields", "-e", field]);
        process::die_with_parent(&mut command);
        let printed = process::output_of(command, "");
        let printed = printed.with_context(|| format!("have tshark read {filter}"))?;
        Ok(printed.lines().map(str::to_owned).collect())
    }
}
