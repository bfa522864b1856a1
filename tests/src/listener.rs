//! Something that hears every frame of an interface, on a thread of its own: beside and before the
//! kernel's stack, and with nothing left unheard at its end.
//!
//! Frames from `packet_socket`; used by `witness`, which counts them, and `capture`, which keeps them.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::namespace::Namespace;
use crate::packet_socket::{Hearing, PacketSocket, ReceiveBatch};

/// `struct virtio_net_hdr`, which precedes each frame.
pub(crate) const VIRTIO_LENGTH: usize = 10;
/// What the kernel may queue for a listener.
const BUFFER: i32 = 256 << 20;

/// What a listener does with frames.
pub(crate) trait Listen: Send + 'static {
    /// Takes a frame: its virtio-net header and its beginning.
    fn take(&mut self, octets: &[u8]);
}

/// A listener that listens.
#[derive(Debug)]
pub(crate) struct Listener<L> {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<Result<(L, u64)>>>,
}

impl<L: Listen> Listener<L> {
    /// Begins to listen at `interface`; hears everything from its return on, of each frame so many
    /// octets.
    pub(crate) fn start(
        namespace: &Namespace,
        interface: &str,
        frame_length: usize,
        mut listen: L,
    ) -> Result<Self> {
        let hearing = Hearing::Everything { buffer: BUFFER };
        let socket = PacketSocket::open(namespace, interface, hearing)?;
        let stop = Arc::new(EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC)?);
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut batch = ReceiveBatch::new(256, VIRTIO_LENGTH + frame_length);
            let drops = hear(&socket, &stopped, &mut batch, &mut listen)?;
            Ok((listen, drops))
        });
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }

    /// Ends the listening, once all that had passed the interface before the call was taken. Returns
    /// how many frames the kernel had no room to queue.
    pub(crate) fn finish(mut self) -> Result<(L, u64)> {
        self.stop.write(1).context("stop the listener")?;
        let thread = self.thread.take();
        let thread = thread.context("the listener was finished before")?;
        thread.join().map_err(|_| anyhow!("the listener died"))?
    }
}

impl<L> Drop for Listener<L> {
    fn drop(&mut self) {
        self.stop.write(1).ok();
    }
}

fn hear(
    socket: &PacketSocket,
    stop: &EventFd,
    batch: &mut ReceiveBatch,
    listen: &mut impl Listen,
) -> Result<u64> {
    loop {
        let mut ready = [
            PollFd::new(socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut ready, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other.context("wait for frames")?,
        };
        // Looked at before the queue is emptied: what came before the stop is in the queue.
        let is_stopped = ready[1].any().unwrap_or(false);
        take_all(socket, batch, listen)?;
        if is_stopped {
            return socket.drops().context("read the listener's drops");
        }
    }
}

fn take_all(
    socket: &PacketSocket,
    batch: &mut ReceiveBatch,
    listen: &mut impl Listen,
) -> Result<()> {
    loop {
        let received = match socket.receive(batch) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other.context("receive frames")?,
        };
        for slot in 0..received {
            listen.take(batch.octets(slot));
        }
    }
}
