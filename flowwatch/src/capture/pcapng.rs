//! The pcapng format (draft-ietf-opsawg-pcapng): blocks, each with its type and its length before
//! and behind its content.
//!
//! Sections begin with their byte order and number their interfaces anew. Packets are taken from
//! enhanced, simple and obsolete packet blocks; blocks of other kinds are skipped, whatever is in
//! them.

use std::io::Read;

use super::time::Clock;
use super::window::Window;
use super::{Frame, LinkType, MAX_PACKET, Order, ReadError, Stripped};

/// Block types (§11.1); that of a section header reads the same in both byte orders.
mod kind {
    pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
    pub(super) const INTERFACE: u32 = 1;
    pub(super) const OBSOLETE_PACKET: u32 = 2;
    pub(super) const SIMPLE_PACKET: u32 = 3;
    pub(super) const ENHANCED_PACKET: u32 = 6;
}

/// Options that matter (§3.5, §4.2, §4.3).
mod option {
    pub(super) const END: u16 = 0;
    pub(super) const PACKET_FLAGS: u16 = 2;
    pub(super) const TIME_RESOLUTION: u16 = 9;
    pub(super) const CHECK_SEQUENCE: u16 = 13;
    pub(super) const TIME_OFFSET: u16 = 14;
}

/// Octets of a block besides its content: type, length, length again.
const FRAME: u32 = 12;
/// Octets before the content.
const HEAD: usize = 8;
/// Octets of a block with a packet at most: with its options, which are few.
const MAX_BLOCK: u32 = MAX_PACKET + (1 << 20);
/// Interfaces of a section that are kept: more is no capture but an attack on this table.
const MAX_INTERFACES: usize = 1 << 16;

/// What the current section has said so far.
#[derive(Debug, Default)]
pub(super) struct Pcapng {
    order: Order,
    interfaces: Vec<Interface>,
}

/// An interface of a section.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: LinkType,
    /// Octets that were captured of a packet at most; 0 is no limit.
    snap_length: u32,
    clock: Clock,
    /// Octets of each frame's check sequence.
    check_sequence: u32,
}

/// Returns whether a pcapng begins so.
pub(super) fn is_start(start: &[u8]) -> bool {
    start.starts_with(&kind::SECTION_HEADER.to_be_bytes())
}

/// Where a packet lies in its block's content, and whose it is.
struct Located {
    offset: usize,
    captured: u32,
    length: u32,
    interface: u32,
    /// A count of the interface's units.
    time: Option<u64>,
}

impl Pcapng {
    /// Takes the next packet.
    #[inline]
    pub(super) fn next_frame<'w, R: Read>(
        &mut self,
        window: &'w mut Window<R>,
    ) -> Result<Option<Frame<'w>>, ReadError> {
        loop {
            let at = window.position();
            let Some((kind, length)) = self.next_head(window)? else {
                return Ok(None);
            };
            let is_packet = matches!(
                kind,
                kind::ENHANCED_PACKET | kind::SIMPLE_PACKET | kind::OBSOLETE_PACKET
            );
            if is_packet {
                hold(window, length)?;
                let content = content_of(self.order, window.at_hand(), length);
                let content = content.ok_or(damaged(at, LENGTHS))?;
                let located = self.locate(kind, content);
                let (located, check_sequence) = located.ok_or(damaged(at, OVERRUN))?;
                return Ok(Some(self.frame(window, &located, check_sequence, length)));
            }
            self.take_other(window, kind, length)?;
        }
    }

    /// Returns the next block's type and length, which stay at hand; nothing at the end.
    #[inline]
    fn next_head<R: Read>(
        &mut self,
        window: &mut Window<R>,
    ) -> Result<Option<(u32, u32)>, ReadError> {
        let at = window.position();
        let failed = |source| ReadError::Read { at, source };
        if !window.fill(FRAME as usize).map_err(failed)? {
            let is_end = window.at_hand().is_empty();
            return if is_end {
                Ok(None)
            } else {
                Err(ReadError::Cut { at })
            };
        }
        let start = window.at_hand();
        if is_start(start) {
            self.begin_section(start).ok_or(damaged(at, BYTE_ORDER))?;
        }
        let words = self.order.words::<2>(start).unwrap_or_default();
        let [kind, length] = words;
        if length < FRAME || !length.is_multiple_of(4) {
            return Err(damaged(at, LENGTHS));
        }
        Ok(Some((kind, length)))
    }

    /// Takes the byte order from a section header, and forgets the interfaces before it.
    fn begin_section(&mut self, start: &[u8]) -> Option<()> {
        self.order = match start.get(HEAD..)?.first_chunk::<4>()? {
            [0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
            [0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
            _ => return None,
        };
        self.interfaces.clear();
        Some(())
    }

    /// Takes a block that holds no packet.
    #[cold]
    fn take_other<R: Read>(
        &mut self,
        window: &mut Window<R>,
        kind: u32,
        length: u32,
    ) -> Result<(), ReadError> {
        let at = window.position();
        match kind {
            kind::INTERFACE => {
                hold(window, length)?;
                let content = content_of(self.order, window.at_hand(), length);
                let content = content.ok_or(damaged(at, LENGTHS))?;
                let interface = self.interface(content).ok_or(damaged(at, OVERRUN))?;
                if self.interfaces.len() < MAX_INTERFACES {
                    self.interfaces.push(interface);
                }
            }
            kind::SECTION_HEADER => {
                hold(window, length)?;
                let content = content_of(self.order, window.at_hand(), length);
                let content = content.ok_or(damaged(at, LENGTHS))?;
                let version = content.get(4..6).and_then(|octets| octets.try_into().ok());
                if version.map(|octets| self.order.u16(octets)) != Some(1) {
                    return Err(damaged(at, VERSION));
                }
            }
            _ => {}
        }
        match window.skip(length.into()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ReadError::Cut { at }),
            Err(source) => Err(ReadError::Read { at, source }),
        }
    }

    /// Reads an interface description block.
    fn interface(&self, content: &[u8]) -> Option<Interface> {
        let link_type = self.order.u16(content.get(..2)?.try_into().ok()?);
        let snap_length = self.order.u32(content.get(4..8)?.try_into().ok()?);
        let mut interface = Interface {
            link_type: LinkType(link_type.into()),
            snap_length,
            clock: Clock::MICROSECONDS,
            check_sequence: 0,
        };
        let (mut resolution, mut offset) = (6, 0);
        for (code, value) in Options::new(self.order, content.get(8..)?) {
            match (code, value) {
                (option::TIME_RESOLUTION, &[value]) => resolution = value,
                (option::TIME_OFFSET, value) => {
                    offset = self.order.i64(value.try_into().unwrap_or_default());
                }
                (option::CHECK_SEQUENCE, &[value]) => interface.check_sequence = octets_of(value),
                _ => {}
            }
        }
        interface.clock = Clock::new(resolution, offset);
        Some(interface)
    }

    /// Finds the packet in a block, and the octets of its check sequence where the block itself
    /// says them.
    #[inline]
    fn locate(&self, kind: u32, content: &[u8]) -> Option<(Located, Option<u32>)> {
        let located = match kind {
            kind::ENHANCED_PACKET => {
                let [interface, high, low, captured, length] = self.order.words(content)?;
                Located {
                    offset: 20,
                    captured,
                    length,
                    interface,
                    time: Some(u64::from(high) << 32 | u64::from(low)),
                }
            }
            kind::OBSOLETE_PACKET => {
                let [_, high, low, captured, length] = self.order.words(content)?;
                let interface = self.order.u16(*content.first_chunk()?);
                Located {
                    offset: 20,
                    captured,
                    length,
                    interface: interface.into(),
                    time: Some(u64::from(high) << 32 | u64::from(low)),
                }
            }
            _ => self.locate_simple(content)?,
        };
        let end = located.offset + (located.captured as usize).checked_next_multiple_of(4)?;
        let options = content.get(end..)?;
        let flags = if options.is_empty() || kind == kind::SIMPLE_PACKET {
            None
        } else {
            check_sequence_of(self.order, options)
        };
        Some((located, flags))
    }

    /// A simple packet block says neither how much was captured nor when.
    fn locate_simple(&self, content: &[u8]) -> Option<Located> {
        let [length] = self.order.words(content)?;
        let most = match self.interfaces.first() {
            Some(first) if first.snap_length != 0 => length.min(first.snap_length),
            _ => length,
        };
        Some(Located {
            offset: 4,
            captured: most.min((content.len() - 4) as u32),
            length,
            interface: 0,
            time: None,
        })
    }

    /// Takes the block with the packet.
    #[inline]
    fn frame<'w, R: Read>(
        &self,
        window: &'w mut Window<R>,
        located: &Located,
        check_sequence: Option<u32>,
        block: u32,
    ) -> Frame<'w> {
        let interface = self.interfaces.get(located.interface as usize);
        let interface = interface.copied().unwrap_or(Interface::UNKNOWN);
        let start = HEAD + located.offset;
        let block = window.take(block as usize);
        let octets = block.get(start..start + located.captured as usize);
        let check_sequence = check_sequence.unwrap_or(interface.check_sequence);
        let frame = Stripped::new(octets.unwrap_or_default(), located.length, check_sequence);
        Frame {
            octets: frame.octets,
            length: frame.length,
            link_type: interface.link_type,
            at: located.time.map(|count| interface.clock.time_of(count)),
        }
    }
}

impl Interface {
    /// One that the section does not describe; its packets are of no link type that is known.
    const UNKNOWN: Self = Self {
        link_type: LinkType::UNDESCRIBED,
        snap_length: 0,
        clock: Clock::MICROSECONDS,
        check_sequence: 0,
    };
}

const LENGTHS: &str = "the two lengths of a block disagree, or are no lengths";
const OVERRUN: &str = "a block is shorter than what it announces";
const BYTE_ORDER: &str = "a section says no byte order";
const VERSION: &str = "a section is of a version that is not known";

fn damaged(at: u64, what: &'static str) -> ReadError {
    ReadError::Damaged { at, what }
}

/// Gets a whole block at hand.
#[inline]
fn hold<R: Read>(window: &mut Window<R>, length: u32) -> Result<(), ReadError> {
    let at = window.position();
    if length > MAX_BLOCK {
        return Err(damaged(at, "a block claims more octets than any can have"));
    }
    match window.fill(length as usize) {
        Ok(true) => Ok(()),
        Ok(false) => Err(ReadError::Cut { at }),
        Err(source) => Err(ReadError::Read { at, source }),
    }
}

/// Returns a block's content, where its two lengths agree.
#[inline]
fn content_of(order: Order, at_hand: &[u8], length: u32) -> Option<&[u8]> {
    let (content, again) = at_hand
        .get(HEAD..length as usize)?
        .split_last_chunk::<4>()?;
    (order.u32(*again) == length).then_some(content)
}

/// Returns the octets of the frame's check sequence that a packet's flags say, where they do: bits
/// 5 to 8 (§4.3.1).
fn check_sequence_of(order: Order, options: &[u8]) -> Option<u32> {
    let mut options = Options::new(order, options);
    let (_, flags) = options.find(|(code, _)| *code == option::PACKET_FLAGS)?;
    let octets = order.u32(flags.try_into().ok()?) >> 5 & 0xf;
    (octets != 0).then_some(octets)
}

/// Returns the octets that `if_fcslen` says. The specification has it in bits, its own example and
/// much that writes it in octets; no check sequence is as long as 16 octets, and none as short as 8
/// bits.
const fn octets_of(check_sequence: u8) -> u32 {
    let octets = match check_sequence {
        0..=8 => check_sequence,
        bits => bits / 8,
    };
    octets as u32
}

/// The options of a block: code and value of each, up to the first that is cut short.
struct Options<'a> {
    order: Order,
    rest: &'a [u8],
}

impl<'a> Options<'a> {
    const fn new(order: Order, rest: &'a [u8]) -> Self {
        Self { order, rest }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.rest.split_first_chunk::<4>()?;
        let [c0, c1, l0, l1] = *head;
        let code = self.order.u16([c0, c1]);
        if code == option::END {
            return None;
        }
        let length = usize::from(self.order.u16([l0, l1]));
        let value = rest.get(..length)?;
        self.rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    }
}

#[cfg(test)]
mod tests;
