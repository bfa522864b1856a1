//! VLAN tags (IEEE 802.1Q clause 9.3): tag protocol identifiers, and the way past the tags.

use crate::abi::Reason;
use crate::bytes::PacketBytes;

/// Octets of a tag.
pub const TAG_LENGTH: usize = 4;
/// The most tags that a frame may carry, the one that the card took off included.
pub const MAX_VLAN_TAGS: u8 = 2;

/// Returns whether an EtherType announces a tag: customer (0x8100), service (0x88a8), or the older
/// service tag 0x9100 that switches still send.
#[inline]
#[must_use]
pub const fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, 0x8100 | 0x88a8 | 0x9100)
}

/// Where the tags end, and what follows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// The EtherType behind the last tag.
    pub ethertype: u16,
    /// The offset of what it announces.
    pub offset: usize,
}

/// Walks over the tags. `ethertype` announces what lies at `offset`; `tags_taken` tags were taken
/// off the frame before.
///
/// # Errors
/// `TooManyTags` beyond [`MAX_VLAN_TAGS`], `Truncated` when a tag is cut short.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub fn skip_tags<B: PacketBytes + ?Sized>(
    bytes: &B,
    ethertype: u16,
    offset: usize,
    tags_taken: u8,
) -> Result<Tagged, Reason> {
    let mut at = Tagged { ethertype, offset };
    for tag in 0..=MAX_VLAN_TAGS {
        if !is_tag(at.ethertype) {
            break;
        }
        if tag + tags_taken >= MAX_VLAN_TAGS {
            return Err(Reason::TooManyTags);
        }
        let [_, _, t0, t1] = bytes
            .octets::<TAG_LENGTH>(at.offset)
            .ok_or(Reason::Truncated)?;
        at = Tagged {
            ethertype: u16::from_be_bytes([t0, t1]),
            offset: at.offset + TAG_LENGTH,
        };
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tag control and EtherType of a service tag's and a customer tag's inside, then IPv4.
    const TAGS: [u8; 12] = [0, 100, 0x81, 0, 0x20, 5, 0x81, 0, 0, 7, 0x08, 0];

    fn check(ethertype: u16, octets: &[u8], tags_taken: u8) -> Result<(u16, usize), Reason> {
        let tagged = skip_tags(octets, ethertype, 0, tags_taken)?;
        Ok((tagged.ethertype, tagged.offset))
    }

    #[test]
    fn tags_are_skipped_up_to_the_limit_with_the_one_that_the_card_took() {
        assert_eq!(check(0x0800, &TAGS, 0), Ok((0x0800, 0)), "no tag");
        assert_eq!(check(0x8100, &TAGS[8..], 0), Ok((0x0800, 4)), "one");
        assert_eq!(check(0x88a8, &TAGS[4..], 0), Ok((0x0800, 8)), "two");
        assert_eq!(check(0x9100, &TAGS, 0), Err(Reason::TooManyTags), "three");
        assert_eq!(check(0x8100, &TAGS[8..], 1), Ok((0x0800, 4)));
        assert_eq!(check(0x8100, &TAGS[4..], 1), Err(Reason::TooManyTags));
    }

    #[test]
    fn a_tag_cut_short_is_truncated() {
        assert_eq!(check(0x8100, &TAGS[..3], 0), Err(Reason::Truncated));
    }
}
