//! How a packet becomes a frame, or several: octets, lengths and fragments.

use super::Packet;
use crate::encode::Around;
use crate::headers::{Ipv4, Layer};

/// Octets and lengths.
impl Packet {
    /// The frame's octets, from the Ethernet header on, without the frame check sequence.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut octets = self.octets_from(0);
        octets.resize(octets.len().max(self.pad_to), 0);
        for (offset, patch) in &self.patches {
            for (octet, new) in octets.iter_mut().skip(*offset).zip(patch) {
                *octet = *new;
            }
        }
        octets.truncate(self.truncate_to);
        octets
    }

    /// The frame's length: Ethernet header, tags and padding in, frame check sequence out.
    #[must_use]
    pub fn l2_octets(&self) -> u64 {
        self.build().len() as u64
    }

    /// Octets of the outermost IP header and its payload as built, whatever the length fields say
    /// and wherever the frame was cut; 0 without an IP header.
    #[must_use]
    pub fn ip_octets(&self) -> u64 {
        let ip = self
            .layers
            .iter()
            .position(|layer| layer.0.addresses().is_some());
        ip.map_or(0, |at| self.octets_from(at).len() as u64)
    }

    /// Splits the packet's outermost IP payload into fragments of `size` octets, a multiple of 8.
    /// A packet without an IP header, or shorter than `size`, comes back as it is.
    #[must_use]
    pub fn fragments(&self, size: u16, identification: u16) -> Vec<Self> {
        let Some(at) = self.first_fragmentable() else {
            return vec![self.clone()];
        };
        let body = self.octets_from(at);
        if body.len() <= usize::from(size) {
            return vec![self.clone()];
        }
        let number = self
            .layers
            .get(at)
            .map_or(0, |layer| u16::from(layer.0.protocol()));
        let count = body.len().div_ceil(usize::from(size));
        let pieces = body.chunks(usize::from(size)).enumerate();
        pieces
            .map(|(index, piece)| {
                let mut packet = self.clone();
                packet.layers.truncate(at);
                let offset = index as u16 * size;
                packet = packet.into_fragment(offset, index + 1 < count, identification);
                packet.number(number).payload_octets(piece.to_vec())
            })
            .collect()
    }

    fn into_fragment(self, offset: u16, more_fragments: bool, identification: u16) -> Self {
        let is_ipv6 = self
            .layers
            .iter()
            .any(|layer| matches!(layer.0, Layer::Ipv6(_)));
        if is_ipv6 {
            return self.fragment(offset, more_fragments, identification.into());
        }
        self.with(|ip: &mut Ipv4| {
            (ip.offset, ip.more_fragments) = (offset, more_fragments);
            ip.identification = identification;
        })
    }

    /// Where the fragmentable part begins: after IPv4's header, or after IPv6's and its extension
    /// headers.
    fn first_fragmentable(&self) -> Option<usize> {
        let ip = self
            .layers
            .iter()
            .position(|layer| layer.0.addresses().is_some())?;
        let extensions = self.layers[ip + 1..].iter();
        Some(
            ip + 1
                + extensions
                    .take_while(|layer| matches!(layer.0, Layer::Extension(_)))
                    .count(),
        )
    }

    /// The octets from one layer on, built from the innermost outwards.
    fn octets_from(&self, first: usize) -> Vec<u8> {
        let mut octets = self.payload.clone();
        for (at, layer) in self.layers.iter().enumerate().skip(first).rev() {
            let before = self.layers[..at].iter().rev();
            let around = Around {
                next: self.layers.get(at + 1).map(|layer| &layer.0),
                body: &octets,
                addresses: before
                    .map(|layer| layer.0.addresses())
                    .find_map(|found| found),
            };
            let mut header = layer.0.encode(&around);
            header.append(&mut octets);
            octets = header;
        }
        octets
    }
}
