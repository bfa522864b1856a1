//! Packet sockets (`AF_PACKET`, see packet(7)): the raw ends that the generator sends through and
//! the witness listens at; and what a connection says of itself. All of the lab's unsafe socket
//! calls are here.

#![expect(
    unsafe_code,
    reason = "nix lacks packet sockets' bind, statistics and allocation-free sendmmsg/recvmmsg"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use anyhow::{Context, Result};
use nix::net::if_::if_nametoindex;

use crate::namespace::Namespace;

/// A raw packet socket, bound to one interface of a namespace.
#[derive(Debug)]
pub(crate) struct PacketSocket(OwnedFd);

/// Whether a packet socket hears what its interface carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hearing {
    /// It only sends.
    Deaf,
    /// It hears frames of every protocol in both directions, each after a virtio-net header, with
    /// room in its queue for so many octets.
    Everything {
        /// Octets of the kernel's receive buffer.
        buffer: i32,
    },
}

impl PacketSocket {
    pub(crate) fn open(namespace: &Namespace, interface: &str, hearing: Hearing) -> Result<Self> {
        namespace
            .enter(|| Self::open_here(interface, hearing))?
            .with_context(|| {
                format!(
                    "open a packet socket on `{interface}` in `{}`",
                    namespace.name()
                )
            })
    }

    fn open_here(interface: &str, hearing: Hearing) -> Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: no pointers. Protocol 0: it hears nothing until it is bound.
        let descriptor = checked(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
        // SAFETY: the descriptor is fresh and nobody else's.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(descriptor) });
        let protocol = match hearing {
            Hearing::Deaf => 0,
            Hearing::Everything { buffer } => {
                socket.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, buffer)?;
                socket.set(libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1)?;
                libc::ETH_P_ALL as u16
            }
        };
        socket.bind(if_nametoindex(interface)?, protocol)?;
        Ok(socket)
    }

    fn bind(&self, index: u32, protocol: u16) -> Result<()> {
        // SAFETY: all-zero octets are a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol.to_be();
        address.sll_ifindex = index.cast_signed();
        let length = size_of_val(&address) as u32;
        // SAFETY: the address is a live sockaddr_ll of that length.
        let bound =
            unsafe { libc::bind(self.0.as_raw_fd(), ptr::from_ref(&address).cast(), length) };
        checked(bound).context("bind it")?;
        Ok(())
    }

    /// Sets an option whose value is an integer.
    pub(crate) fn set(&self, level: i32, option: i32, value: i32) -> io::Result<()> {
        let length = size_of_val(&value) as u32;
        let value = ptr::from_ref(&value).cast();
        // SAFETY: the value is a live integer of that length.
        checked(unsafe { libc::setsockopt(self.0.as_raw_fd(), level, option, value, length) })?;
        Ok(())
    }

    /// Returns how many frames found no room in the receive buffer since the last call.
    pub(crate) fn drops(&self) -> io::Result<u64> {
        let mut statistics = libc::tpacket_stats {
            tp_packets: 0,
            tp_drops: 0,
        };
        let mut length = size_of_val(&statistics) as u32;
        let (level, option) = (libc::SOL_PACKET, libc::PACKET_STATISTICS);
        let into = ptr::from_mut(&mut statistics).cast();
        // SAFETY: the kernel writes at most `length` octets, the structure's size.
        checked(unsafe {
            libc::getsockopt(self.0.as_raw_fd(), level, option, into, &raw mut length)
        })?;
        Ok(statistics.tp_drops.into())
    }

    /// Sends the frames of `batch` from `first` on, at most `count`; returns how many the kernel
    /// took. The frame after those was refused, for the reason that the next call gives.
    pub(crate) fn send(
        &self,
        batch: &mut SendBatch,
        first: usize,
        count: usize,
    ) -> io::Result<usize> {
        let headers = &mut batch.headers[first..][..count];
        // SAFETY: each header points to one iovec, which points to octets; `SendBatch` owns both.
        let sent = checked(unsafe {
            libc::sendmmsg(self.0.as_raw_fd(), headers.as_mut_ptr(), count as u32, 0)
        })?;
        Ok(sent.unsigned_abs() as usize)
    }

    /// Receives what waits, without blocking; returns how many of the batch's slots were filled.
    pub(crate) fn receive(&self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        let (headers, count) = (batch.headers.as_mut_ptr(), batch.headers.len() as u32);
        // MSG_TRUNC: report a frame's own length, not only what fits the slot.
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        // SAFETY: each header points to one iovec, which points to a slot; `ReceiveBatch` owns both.
        let received = checked(unsafe {
            libc::recvmmsg(self.0.as_raw_fd(), headers, count, flags, ptr::null_mut())
        })?;
        Ok(received.unsigned_abs() as usize)
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Frames laid out for `sendmmsg`, once.
pub(crate) struct SendBatch {
    headers: Vec<libc::mmsghdr>,
    _vectors: Vec<libc::iovec>,
    _frames: Vec<Vec<u8>>,
}

// SAFETY: its pointers lead into vectors that it owns and never changes.
unsafe impl Send for SendBatch {}

impl SendBatch {
    /// Lays out `frames`, over and over, in `slots` slots.
    pub(crate) fn new(frames: Vec<Vec<u8>>, slots: usize) -> Self {
        let vector = |frame: &Vec<u8>| libc::iovec {
            iov_base: frame.as_ptr().cast_mut().cast(),
            iov_len: frame.len(),
        };
        let mut vectors: Vec<_> = frames.iter().cycle().take(slots).map(vector).collect();
        let headers = headers_of(&mut vectors);
        Self {
            headers,
            _vectors: vectors,
            _frames: frames,
        }
    }
}

/// Slots for `recvmmsg`.
pub(crate) struct ReceiveBatch {
    headers: Vec<libc::mmsghdr>,
    _vectors: Vec<libc::iovec>,
    slots: Vec<Vec<u8>>,
}

// SAFETY: its pointers lead into vectors that it owns.
unsafe impl Send for ReceiveBatch {}

impl ReceiveBatch {
    /// Makes `count` slots of `length` octets; what is longer is cut off.
    pub(crate) fn new(count: usize, length: usize) -> Self {
        let mut slots = vec![vec![0; length]; count];
        let vector = |slot: &mut Vec<u8>| libc::iovec {
            iov_base: slot.as_mut_ptr().cast(),
            iov_len: slot.len(),
        };
        let mut vectors: Vec<_> = slots.iter_mut().map(vector).collect();
        let headers = headers_of(&mut vectors);
        Self {
            headers,
            _vectors: vectors,
            slots,
        }
    }

    /// The octets in one slot, as many as fitted.
    pub(crate) fn octets(&self, slot: usize) -> &[u8] {
        let received = self.headers[slot].msg_len as usize;
        let slot = &self.slots[slot];
        &slot[..received.min(slot.len())]
    }
}

fn headers_of(vectors: &mut [libc::iovec]) -> Vec<libc::mmsghdr> {
    let header = |vector: &mut libc::iovec| {
        // SAFETY: all-zero octets are a valid mmsghdr: no name, no control data.
        let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
        header
    };
    vectors.iter_mut().map(header).collect()
}

/// Returns the octets of a connection's `struct tcp_info`, as many as the kernel knows.
pub(crate) fn tcp_info(connection: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut octets = vec![0_u8; 512];
    let mut length = octets.len() as u32;
    let (level, option) = (libc::IPPROTO_TCP, libc::TCP_INFO);
    let into = octets.as_mut_ptr().cast();
    // SAFETY: the kernel writes at most `length` octets, the vector's length.
    checked(unsafe {
        libc::getsockopt(connection.as_raw_fd(), level, option, into, &raw mut length)
    })?;
    octets.truncate(length as usize);
    Ok(octets)
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
