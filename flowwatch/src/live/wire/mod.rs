//! Updates as octets: what `run` tells `top` through its socket.
//!
//! Each side begins with [`HELLO`]'s octets; then the server sends frames: a length of four octets,
//! the lowest first, and a part of an update in postcard's encoding, the circumstances last. What
//! comes is taken for hostile: every length is bounded, and a wrong value ends the reading.

mod bounded;
mod circumstances;
mod flow;

use serde::{Deserialize, Serialize};

use self::bounded::at_most;
use self::circumstances::Circumstances;
use self::flow::{WireCounts, WireFlow};
use super::{FlowNumber, MOST_CHANGED, MOST_TOLD, Update};

/// What each side says first: that it speaks this, and which version (the last two octets, the lower
/// first). Versions that differ don't understand each other.
pub const HELLO: [u8; 8] = [b'f', b'w', b'l', b'i', b'v', b'e', 1, 0];

/// Octets of a frame, at most.
pub const MAX_FRAME: usize = 16 << 20;
/// Octets of an update's frames, at most.
pub const MAX_UPDATE: usize = 128 << 20;
/// Flows of one part, at most; of fewer, where their names are long.
const FLOWS_A_PART: usize = 512;
/// Counts, and forgotten flows, of one part.
const COUNTS_A_PART: usize = 1 << 14;
/// Flows that one update forgets, at most: a full window's.
const MOST_FORGOTTEN: usize = 1 << 21;

/// Why octets are no update.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Something else speaks there.
    #[error("it does not speak flowwatch's live protocol")]
    NotHello,
    /// Another version.
    #[error(
        "it speaks version {0} of the live protocol, and this program version {ours}; start both \
         from the same flowwatch", ours = version_of(HELLO)
    )]
    Version(u16),
    /// A frame larger than any.
    #[error("a frame of {0} octets is larger than the most, {MAX_FRAME}")]
    TooLong(usize),
    /// More than an update holds.
    #[error("an update tells more than one can")]
    TooMuch,
    /// Not the encoding.
    #[error("a frame is malformed")]
    Malformed,
    /// A value that can't be.
    #[error("a frame holds what can't be {0}")]
    Value(&'static str),
}

/// A part of an update.
#[derive(Serialize, Deserialize)]
enum Part {
    Forgotten(#[serde(deserialize_with = "at_most::<_, _, COUNTS_A_PART>")] Vec<FlowNumber>),
    Told(#[serde(deserialize_with = "at_most::<_, _, FLOWS_A_PART>")] Vec<WireFlow>),
    Counted(#[serde(deserialize_with = "at_most::<_, _, COUNTS_A_PART>")] Vec<WireCounts>),
    /// The last.
    Circumstances(Box<Circumstances>),
}

/// Checks the other side's first octets.
///
/// # Errors
/// `NotHello` and `Version`.
pub fn check_hello(hello: [u8; 8]) -> Result<(), WireError> {
    match hello {
        HELLO => Ok(()),
        _ if hello[..6] == HELLO[..6] => Err(WireError::Version(version_of(hello))),
        _ => Err(WireError::NotHello),
    }
}

const fn version_of([.., low, high]: [u8; 8]) -> u16 {
    u16::from_le_bytes([low, high])
}

/// Returns an update as frames.
///
/// # Errors
/// `TooLong`: of circumstances with more text than a frame holds.
pub fn frames_of(update: &Update) -> Result<Vec<u8>, WireError> {
    let mut frames = Vec::new();
    for numbers in update.forgotten.chunks(COUNTS_A_PART) {
        append(&mut frames, &Part::Forgotten(numbers.to_vec()))?;
    }
    for flows in update.told.chunks(FLOWS_A_PART) {
        append_flows(&mut frames, flows)?;
    }
    for counts in update.changed.chunks(COUNTS_A_PART) {
        let counts = counts.iter().map(WireCounts::from);
        append(&mut frames, &Part::Counted(counts.collect()))?;
    }
    let mut circumstances = Circumstances::of(update);
    if append_last(&mut frames, circumstances.clone()).is_err() {
        // What strangers can make long is worth less than the counts.
        circumstances.leave_out_resolving();
        append_last(&mut frames, circumstances)?;
    }
    Ok(frames)
}

/// Appends flows: as many frames as their names need.
fn append_flows(
    frames: &mut Vec<u8>,
    flows: &[(FlowNumber, crate::model::FlowRecord)],
) -> Result<(), WireError> {
    let wire = flows.iter();
    let wire = wire.map(|(number, flow)| WireFlow::of(*number, flow));
    match append(frames, &Part::Told(wire.collect())) {
        Err(WireError::TooLong(_)) if flows.len() > 1 => {
            let (first, rest) = flows.split_at(flows.len() / 2);
            append_flows(frames, first)?;
            append_flows(frames, rest)
        }
        appended => appended,
    }
}

fn append_last(frames: &mut Vec<u8>, circumstances: Circumstances) -> Result<(), WireError> {
    append(frames, &Part::Circumstances(Box::new(circumstances)))
}

/// Appends a frame, or nothing where it would be too long.
fn append(frames: &mut Vec<u8>, part: &Part) -> Result<(), WireError> {
    let start = frames.len();
    let mut whole = std::mem::take(frames);
    whole.extend([0; 4]);
    *frames = postcard::to_extend(part, whole).map_err(|_| WireError::Malformed)?;
    let length = frames.len() - start - 4;
    if length > MAX_FRAME {
        frames.truncate(start);
        return Err(WireError::TooLong(length));
    }
    frames[start..start + 4].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(())
}

/// Returns the length of the frame that these octets announce.
///
/// # Errors
/// `TooLong`.
pub fn frame_length(octets: [u8; 4]) -> Result<usize, WireError> {
    let length = u32::from_le_bytes(octets) as usize;
    if length > MAX_FRAME {
        return Err(WireError::TooLong(length));
    }
    Ok(length)
}

/// The parts of an update that have come.
#[derive(Debug, Default)]
pub struct Assembly {
    told: Vec<(FlowNumber, crate::model::FlowRecord)>,
    changed: Vec<super::Changed>,
    forgotten: Vec<FlowNumber>,
    /// Octets of their frames.
    octets: usize,
}

impl Assembly {
    /// Takes in a frame's octets; returns the update that is whole with it.
    ///
    /// # Errors
    /// `TooMuch`, `Malformed` and `Value`; nothing can be read behind one.
    pub fn take_in(&mut self, frame: &[u8]) -> Result<Option<Update>, WireError> {
        self.octets += frame.len();
        if self.octets > MAX_UPDATE {
            return Err(WireError::TooMuch);
        }
        let (part, rest) = postcard::take_from_bytes(frame).map_err(|_| WireError::Malformed)?;
        if !rest.is_empty() {
            return Err(WireError::Malformed);
        }
        match part {
            Part::Forgotten(numbers) => {
                has_room(&self.forgotten, numbers.len(), MOST_FORGOTTEN)?;
                self.forgotten.extend(numbers);
            }
            Part::Told(flows) => {
                has_room(&self.told, flows.len(), MOST_TOLD)?;
                for flow in flows {
                    self.told.push(flow.read()?);
                }
            }
            Part::Counted(counts) => {
                has_room(&self.changed, counts.len(), MOST_CHANGED)?;
                for counts in counts {
                    self.changed.push(counts.read()?);
                }
            }
            Part::Circumstances(circumstances) => {
                let Self {
                    told,
                    changed,
                    forgotten,
                    octets: _,
                } = std::mem::take(self);
                return Ok(Some(Update {
                    told,
                    changed,
                    forgotten,
                    ..circumstances.read()?
                }));
            }
        }
        Ok(None)
    }
}

fn has_room<T>(held: &[T], more: usize, most: usize) -> Result<(), WireError> {
    if held.len() + more > most {
        return Err(WireError::TooMuch);
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns the bodies of whole frames.
    pub(in crate::live) fn bodies(mut frames: &[u8]) -> Vec<&[u8]> {
        let mut bodies = Vec::new();
        while let Some((length, rest)) = frames.split_first_chunk() {
            let (body, rest) = rest.split_at(frame_length(*length).unwrap());
            bodies.push(body);
            frames = rest;
        }
        bodies
    }

    #[test]
    fn a_peer_of_another_version_and_one_that_is_none_are_told_apart() {
        assert_eq!(check_hello(HELLO), Ok(()));
        assert_eq!(
            check_hello(*b"fwlive\x02\x01"),
            Err(WireError::Version(258))
        );
        assert_eq!(check_hello(*b"GET / HT"), Err(WireError::NotHello));
        let text = WireError::Version(2).to_string();
        assert!(
            text.contains("version 2") && text.contains("version 1"),
            "{text}"
        );
    }

    #[test]
    fn a_frame_longer_than_the_most_is_refused_before_it_is_read() {
        let length = (MAX_FRAME as u32 + 1).to_le_bytes();
        assert_eq!(frame_length(length), Err(WireError::TooLong(MAX_FRAME + 1)));
        assert_eq!(
            frame_length((MAX_FRAME as u32).to_le_bytes()),
            Ok(MAX_FRAME)
        );
    }

    #[test]
    fn an_update_that_never_ends_is_refused() {
        let numbers = Part::Forgotten(vec![1; COUNTS_A_PART]);
        let frame = postcard::to_allocvec(&numbers).unwrap();
        let mut assembly = Assembly::default();
        for _ in 0..MOST_FORGOTTEN / COUNTS_A_PART {
            assert!(assembly.take_in(&frame).is_ok_and(|it| it.is_none()));
        }
        assert_eq!(assembly.take_in(&frame).err(), Some(WireError::TooMuch));
    }

    #[test]
    fn a_list_longer_than_a_part_holds_is_refused() {
        let numbers = Part::Forgotten(vec![1; COUNTS_A_PART + 1]);
        let frame = postcard::to_allocvec(&numbers).unwrap();
        assert_eq!(
            Assembly::default().take_in(&frame).err(),
            Some(WireError::Malformed)
        );
    }

    #[test]
    fn octets_without_end_are_refused() {
        let empty = Part::Told(Vec::new());
        let mut assembly = Assembly {
            octets: MAX_UPDATE - 2,
            ..Assembly::default()
        };
        let frame = postcard::to_allocvec(&empty).unwrap();
        assert_eq!(frame.len(), 2);
        assert!(assembly.take_in(&frame).is_ok_and(|it| it.is_none()));
        assert_eq!(assembly.take_in(&frame).err(), Some(WireError::TooMuch));
    }
}
