//! What an interface's driver can do of XDP, by its own word.
//!
//! From the netdev family of generic netlink (Linux 6.3;
//! Documentation/netlink/specs/netdev.yaml), so that nothing has to be attached to find out.

use std::io;

use super::netlink::{ask_family, attribute, find};

/// `NETDEV_CMD_DEV_GET`, and attributes of its question and its answer
/// (include/uapi/linux/netdev.h).
const DEVICE_GET: u8 = 1;
const INTERFACE_INDEX: u16 = 1;
const XDP_FEATURES: u16 = 3;

/// `NETDEV_XDP_ACT_*` of the same file.
const BASIC: u64 = 1;
const HARDWARE_OFFLOAD: u64 = 16;
const RECEIVES_FRAGMENTS: u64 = 32;

/// What a driver can do of XDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XdpModes {
    /// It runs programs itself, on frames of one buffer.
    pub native: bool,
    /// Likewise on frames of several, as those of a large MTU are.
    pub native_fragments: bool,
    /// The card runs programs.
    pub hardware: bool,
}

/// Asks what an interface's driver can do of XDP.
///
/// # Errors
/// The socket's, and the kernel's; `NotFound` where it has no such family.
pub async fn of(index: u32) -> io::Result<XdpModes> {
    let question = attribute(INTERFACE_INDEX, &index.to_ne_bytes());
    let answer = ask_family("netdev", DEVICE_GET, &question).await?;
    modes_of(&answer).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn modes_of(answer: &[u8]) -> Option<XdpModes> {
    let value = find(answer, XDP_FEATURES)?;
    let features = u64::from_ne_bytes(value.try_into().ok()?);
    let has = |bit| features & bit != 0;
    Some(XdpModes {
        native: has(BASIC),
        native_fragments: has(BASIC | RECEIVES_FRAGMENTS) && has(RECEIVES_FRAGMENTS),
        hardware: has(HARDWARE_OFFLOAD),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drivers_word_is_read() {
        let check = |features: u64, native, native_fragments, hardware| {
            let answer = [
                attribute(1, &[2, 0, 0, 0]),
                attribute(XDP_FEATURES, &features.to_ne_bytes()),
            ];
            let expected = XdpModes {
                native,
                native_fragments,
                hardware,
            };
            assert_eq!(modes_of(&answer.concat()), Some(expected));
        };
        check(0, false, false, false);
        // veth's word on Linux 6.18, and virtio_net's without large frames.
        check(0x63, true, true, false);
        check(0x3, true, false, false);
        check(0x11, true, false, true);
        assert_eq!(modes_of(&[]), None);
    }
}
