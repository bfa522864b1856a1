//! How the parser sees a packet: "N octets at this offset, or nothing".
//!
//! Implemented here for memory; in `flowwatch-ebpf` for the contexts of XDP and tc.

/// A packet's octets, from the Ethernet header on.
pub trait PacketBytes {
    /// Returns the `N` octets from `offset` on, or nothing where the packet ends before them.
    fn octets<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;
}

impl PacketBytes for [u8] {
    fn octets<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..offset.checked_add(N)?)?.try_into().ok()
    }
}
