//! Why a capture can't be read, or not to its end.

use std::io;

/// Why something is no capture that can be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The first read failed.
    #[error("read its header")]
    Read(#[source] io::Error),
    /// There is nothing in it.
    #[error("it is empty; a capture has a header even when it holds no packet")]
    Empty,
    /// It ends within its header.
    #[error("it ends within its header, after {0} octets")]
    Short(usize),
    /// It is something else that is known.
    #[error("it is {what}; {advice}")]
    Known {
        /// What it is.
        what: &'static str,
        /// What can be done.
        advice: &'static str,
    },
    /// It is nothing that is known.
    #[error("it is neither pcap nor pcapng; record with `tcpdump -w FILE`")]
    Unknown,
    /// A version of a known format that does not exist.
    #[error("it is {format} of version {major}.{minor}, which is not known; record it anew")]
    Version {
        /// pcap or pcapng.
        format: &'static str,
        /// The version's first number.
        major: u16,
        /// Its second.
        minor: u16,
    },
}

/// Why reading ended before the capture's end. Octets count from the file's start.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It was cut off: the program that wrote it was killed, or the disk was full.
    #[error("the capture is cut off in the middle of a packet, which begins at octet {at}")]
    Cut {
        /// Where the packet, or the block of another kind, begins.
        at: u64,
    },
    /// What is there contradicts the format.
    #[error("the capture is damaged at octet {at}: {what}")]
    Damaged {
        /// Where the packet or block begins.
        at: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The system refused to read on.
    #[error("read the capture on at octet {at}")]
    Read {
        /// Where.
        at: u64,
        /// Why.
        source: io::Error,
    },
}
