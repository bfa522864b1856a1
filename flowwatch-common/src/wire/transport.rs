//! What the transport protocols have in common: where their ports are, and how long the headers of
//! those are that the kernel aggregates.

use crate::abi::Reason;
use crate::bytes::PacketBytes;
use crate::wire::ip_protocol::{TCP, UDP};

/// Octets of the UDP header.
pub const UDP_HEADER_LENGTH: u32 = 8;
/// Octets of the two ports, which come first in every one of these protocols.
pub const PORTS_LENGTH: u32 = 4;

/// The two ports of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
}

/// Parses the ports at `offset`.
///
/// # Errors
/// `Truncated` when they are cut short.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub fn parse_ports<B: PacketBytes + ?Sized>(bytes: &B, offset: usize) -> Result<Ports, Reason> {
    let [s0, s1, d0, d1] = bytes.octets::<4>(offset).ok_or(Reason::Truncated)?;
    Ok(Ports {
        source: u16::from_be_bytes([s0, s1]),
        destination: u16::from_be_bytes([d0, d1]),
    })
}

/// Returns the transport header's octets of an aggregate: TCP's data offset (RFC 9293 §3.1), UDP's
/// eight, nothing for what the kernel doesn't aggregate.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub fn header_length<B: PacketBytes + ?Sized>(bytes: &B, protocol: u8, offset: usize) -> u32 {
    match protocol {
        TCP => match bytes.octets::<1>(offset + 12) {
            Some([data_offset]) => u32::from(data_offset >> 4) * 4,
            None => 0,
        },
        UDP => UDP_HEADER_LENGTH,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_come_first() {
        // A DNS answer's: from port 53 to 49152.
        let ports = parse_ports(&[0, 53, 0xc0, 0, 0, 40][..], 0).unwrap();
        assert_eq!((ports.source, ports.destination), (53, 49_152));
        assert_eq!(parse_ports(&[0, 53, 0xc0][..], 0), Err(Reason::Truncated));
    }

    #[test]
    fn an_aggregates_header_is_as_long_as_it_says() {
        let mut tcp = [0; 20];
        tcp[12] = 8 << 4;
        assert_eq!(header_length(&tcp[..], TCP, 0), 32);
        assert_eq!(header_length(&tcp[..12], TCP, 0), 0);
        assert_eq!(header_length(&tcp[..], UDP, 0), 8);
        assert_eq!(header_length(&tcp[..], 50, 0), 0);
    }
}
