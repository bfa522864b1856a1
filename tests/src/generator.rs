//! The generator: sends frames as fast as the machine can, and knows exactly how many of each the
//! kernel accepted.
//!
//! Frames from `packet`; sent through a packet socket in batches. Two generators on two interfaces
//! may run at once, each on a thread of its own.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;

use crate::namespace::Namespace;
use crate::packet_socket::{Hearing, PacketSocket, SendBatch};

/// Frames that one system call sends at most.
const BATCH: usize = 128;
/// Octets of an Ethernet header.
const ETHERNET_HEADER: u16 = 14;
/// How long the kernel may refuse every frame before the generator gives up.
const REFUSED_TIMEOUT: Duration = Duration::from_secs(10);

/// A sender on one interface.
#[derive(Debug)]
pub struct Generator {
    socket: PacketSocket,
    packets_per_second: Option<u64>,
    /// What the kernel wants to be told before each frame: a virtio-net header, or nothing.
    preface: Vec<u8>,
}

/// What was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// How often the kernel accepted each frame, in the order of the frames given.
    pub per_frame: Vec<u64>,
    /// How often the interface refused each frame, which was then sent again: its peer had no room.
    /// Such a frame has passed the interface's own egress hooks, and nothing beyond.
    pub refused: Vec<u64>,
    /// From the first to the last.
    pub elapsed: Duration,
}

impl Sent {
    /// All frames.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.per_frame.iter().sum()
    }

    /// The rate that was reached.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn packets_per_second(&self) -> f64 {
        self.total() as f64 / self.elapsed.as_secs_f64()
    }
}

impl Generator {
    /// Opens a generator that sends out of `interface`.
    pub fn new(namespace: &Namespace, interface: &str) -> Result<Self> {
        let socket = PacketSocket::open(namespace, interface, Hearing::Deaf)?;
        socket.set(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, 8 << 20)?;
        Ok(Self {
            socket,
            packets_per_second: None,
            preface: Vec::new(),
        })
    }

    /// Has the kernel put a frame's Ethernet header alone in the linear part of its socket buffer,
    /// as some drivers do, where the frame is longer than a page.
    pub fn scattered(mut self) -> Result<Self> {
        self.socket
            .set(libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1)?;
        let [low, high] = ETHERNET_HEADER.to_ne_bytes();
        // `struct virtio_net_hdr`: flags and aggregate's type, the length of the headers, and four
        // octets for each of aggregates and checksums.
        self.preface = vec![0, 0, low, high, 0, 0, 0, 0, 0, 0];
        Ok(self)
    }

    /// Bounds the rate.
    #[must_use]
    pub fn rate(mut self, packets_per_second: u64) -> Self {
        self.packets_per_second = Some(packets_per_second);
        self
    }

    /// Sends `total` frames: the given ones in turn, over and over.
    pub fn send(&self, frames: &[Vec<u8>], total: u64) -> Result<Sent> {
        self.send_while(frames, |sent| sent < total, total)
    }

    /// Sends the given frames in turn, over and over, until `stop` is set.
    pub fn send_until(&self, frames: &[Vec<u8>], stop: &AtomicBool) -> Result<Sent> {
        self.send_while(frames, |_| !stop.load(Ordering::Relaxed), u64::MAX)
    }

    fn send_while(
        &self,
        frames: &[Vec<u8>],
        goes_on: impl Fn(u64) -> bool,
        limit: u64,
    ) -> Result<Sent> {
        ensure!(!frames.is_empty(), "no frames to send");
        // Whole rounds, so that a batch may begin at any frame and the slots repeat.
        let slots = BATCH.next_multiple_of(frames.len()).max(frames.len());
        let prefaced = |frame: &Vec<u8>| [&self.preface[..], frame].concat();
        let mut batch = SendBatch::new(frames.iter().map(prefaced).collect(), slots);
        let start = Instant::now();
        let mut sent = 0_u64;
        let mut refused = vec![0; frames.len()];
        while goes_on(sent) {
            let first = (sent % slots as u64) as usize;
            let due = self
                .due(start, sent)
                .min(limit - sent)
                .min((slots - first) as u64);
            let count = (due as usize).min(BATCH);
            if count == 0 {
                thread::sleep(self.wait(start, sent));
                continue;
            }
            sent += self.send_some(&mut batch, first, count, &mut refused)? as u64;
        }
        Ok(Sent {
            per_frame: shares(sent, frames.len() as u64),
            refused,
            elapsed: start.elapsed(),
        })
    }

    /// Sends at least one frame; returns how many.
    fn send_some(
        &self,
        batch: &mut SendBatch,
        first: usize,
        count: usize,
        refused: &mut [u64],
    ) -> Result<usize> {
        let frames = refused.len();
        let mut refused_since = None;
        loop {
            match self.socket.send(batch, first, count) {
                Ok(sent @ 1..) => {
                    // One refusal ends a batch; the call doesn't say for what reason.
                    if sent < count {
                        refused[(first + sent) % frames] += 1;
                    }
                    return Ok(sent);
                }
                Ok(0) => bail!("sendmmsg sent nothing and did not say why"),
                Err(error) => {
                    // A full queue or ring dropped the frame: it never left, so it is sent again.
                    if ensure_passing(error)? == Errno::ENOBUFS {
                        refused[first % frames] += 1;
                    }
                    let since = *refused_since.get_or_insert_with(Instant::now);
                    ensure!(
                        since.elapsed() < REFUSED_TIMEOUT,
                        "the kernel refuses every frame"
                    );
                    thread::yield_now();
                }
            }
        }
    }

    /// How many more frames the rate allows by now.
    fn due(&self, start: Instant, sent: u64) -> u64 {
        let Some(rate) = self.packets_per_second else {
            return u64::MAX;
        };
        let allowed = start.elapsed().as_nanos() * u128::from(rate) / 1_000_000_000;
        (allowed as u64).saturating_sub(sent)
    }

    /// How long until the rate allows the next frame.
    fn wait(&self, start: Instant, sent: u64) -> Duration {
        let Some(rate) = self.packets_per_second else {
            return Duration::ZERO;
        };
        let due_at = u128::from(sent + 1) * 1_000_000_000 / u128::from(rate.max(1));
        Duration::from_nanos(due_at as u64).saturating_sub(start.elapsed())
    }
}

fn ensure_passing(error: io::Error) -> Result<Errno> {
    let errno = error.raw_os_error().map(Errno::from_raw);
    match errno {
        Some(errno @ (Errno::ENOBUFS | Errno::EAGAIN | Errno::EINTR | Errno::ENOMEM)) => Ok(errno),
        _ => Err(error).context("send frames"),
    }
}

/// Divides `sent` frames, sent in turn, among `frames`.
fn shares(sent: u64, frames: u64) -> Vec<u64> {
    let whole_rounds = sent / frames;
    (0..frames)
        .map(|index| whole_rounds + u64::from(index < sent % frames))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_sent_in_turn_are_shared_out_exactly() {
        assert_eq!(shares(7, 3), [3, 2, 2]);
        assert_eq!(shares(2, 4), [1, 1, 0, 0]);
    }
}
