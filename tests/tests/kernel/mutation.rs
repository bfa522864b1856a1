//! Random mutations of frames: what damaged cards, hostile devices and other people's parsers make.
//!
//! Reproducible: the same seed gives the same frames.

use crate::golden::{Extra, Fixture, Outcome};
use crate::hook::{ONE_BUFFER, SHORTEST};

/// Octets that mean something in some header: versions, protocol numbers, lengths, extremes.
const OCTETS: [u8; 32] = [
    0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x08, 0x0f, 0x11, 0x21, 0x29, 0x2b, 0x2c, 0x32, 0x33, 0x3a,
    0x3b, 0x3c, 0x40, 0x44, 0x45, 0x46, 0x4f, 0x57, 0x60, 0x6f, 0x7f, 0x80, 0x84, 0x87, 0x88, 0xff,
];
/// Words that mean something: EtherTypes, PPP's protocols, lengths, fragment offsets, extremes.
const WORDS: [u16; 24] = [
    0x0000, 0x0001, 0x0007, 0x0008, 0x0013, 0x0014, 0x0017, 0x0018, 0x0021, 0x0028, 0x0057, 0x05dc,
    0x0800, 0x1fff, 0x2000, 0x8100, 0x8864, 0x86dd, 0x88a8, 0x9100, 0x7fff, 0x8000, 0xfff8, 0xffff,
];
/// Segment sizes: none, extremes, and what Ethernet's packets have.
const SEGMENT_SIZES: [u32; 8] = [0, 0, 0, 1, 8, 1428, 1448, 65535];
/// Where mutations mostly fall: behind the MAC addresses, where the headers are.
const HEADERS: std::ops::Range<usize> = 12..110;

/// A frame that was changed.
#[derive(Clone, Debug)]
pub(crate) struct Mutant {
    /// The golden frame that it was.
    pub(crate) of: String,
    /// Its octets.
    pub(crate) frame: Vec<u8>,
    /// What the hook knows of it.
    pub(crate) extra: Extra,
}

/// Makes them.
pub(crate) struct Mutator<'a> {
    fixtures: &'a [Fixture],
    flows: Vec<&'a Fixture>,
    random: Random,
}

impl<'a> Mutator<'a> {
    pub(crate) fn new(fixtures: &'a [Fixture], seed: u64) -> Self {
        let is_flow = |it: &&Fixture| matches!(it.expected, Outcome::Flow(_));
        Self {
            fixtures,
            flows: fixtures.iter().filter(is_flow).collect(),
            random: Random(seed),
        }
    }

    /// Returns a golden frame with one to three changes.
    pub(crate) fn mutant(&mut self) -> Mutant {
        let fixture = self.fixture();
        let mut frame = fixture.frame.clone();
        for _ in 0..=self.random.below(3) {
            self.change(&mut frame);
        }
        frame.truncate(ONE_BUFFER);
        if frame.len() < SHORTEST {
            frame.resize(SHORTEST, 0);
        }
        Mutant {
            of: fixture.name.clone(),
            frame,
            extra: self.extra_of(fixture),
        }
    }

    /// Three times in four one that is in a flow: of a broken frame, few changes make a whole one.
    fn fixture(&mut self) -> &'a Fixture {
        match self.random.below(4) {
            0 => &self.fixtures[self.random.below(self.fixtures.len())],
            _ => self.flows[self.random.below(self.flows.len())],
        }
    }

    fn extra_of(&mut self, fixture: &Fixture) -> Extra {
        let segment_size = match self.random.below(4) {
            0 => SEGMENT_SIZES[self.random.below(SEGMENT_SIZES.len())],
            _ => fixture.extra.segment_size,
        };
        Extra {
            segment_size,
            segments: 2,
            tags_taken: 0,
        }
    }

    fn change(&mut self, frame: &mut Vec<u8>) {
        let at = self.offset(frame);
        match self.random.below(16) {
            0..=3 => self.overwrite(frame, at, |octet, random| octet ^ 1 << random.below(8)),
            4..=6 => self.overwrite(frame, at, |_, random| OCTETS[random.below(OCTETS.len())]),
            7 | 8 => self.overwrite(frame, at, |_, random| random.next() as u8),
            9 | 10 => {
                let word = WORDS[self.random.below(WORDS.len())];
                write_word(frame, at, word);
            }
            11 => self.lie_about_length(frame, at),
            12 => frame.truncate(at),
            13 => self.insert(frame, at),
            14 => drop(frame.drain(at..(at + self.random.below(9)).min(frame.len()))),
            _ => self.splice(frame, at),
        }
    }

    /// Returns an offset in the frame, mostly one of its headers'.
    fn offset(&mut self, frame: &[u8]) -> usize {
        let end = match self.random.below(8) {
            0 => frame.len(),
            _ => frame.len().min(HEADERS.end),
        };
        let start = match self.random.below(64) {
            0 => 0,
            _ => HEADERS.start.min(end),
        };
        start + self.random.below((end - start).max(1))
    }

    fn overwrite(&mut self, frame: &mut [u8], at: usize, new: impl FnOnce(u8, &mut Random) -> u8) {
        if let Some(octet) = frame.get_mut(at) {
            *octet = new(*octet, &mut self.random);
        }
    }

    /// Writes what is left of the frame, give or take a few octets, as a length field has it.
    fn lie_about_length(&mut self, frame: &mut [u8], at: usize) {
        let left = frame.len() - at.min(frame.len());
        let length = (left + self.random.below(65)).saturating_sub(32);
        write_word(frame, at, length as u16);
    }

    /// Repeats what is there, as chains of headers do, or puts something else in.
    fn insert(&mut self, frame: &mut Vec<u8>, at: usize) {
        let length = [1, 2, 4, 8, 8, 8, 16, 24][self.random.below(8)];
        let octets: Vec<u8> = match self.random.below(2) {
            0 => frame.iter().skip(at).take(length).copied().collect(),
            _ => (0..length).map(|_| self.random.next() as u8).collect(),
        };
        let at = at.min(frame.len());
        frame.splice(at..at, octets);
    }

    /// Goes on as another golden frame, from the same offset or another.
    fn splice(&mut self, frame: &mut Vec<u8>, at: usize) {
        let other = &self.fixture().frame;
        let from = match self.random.below(2) {
            0 => at,
            _ => self.offset(other),
        };
        frame.truncate(at);
        frame.extend(other.iter().skip(from));
    }
}

fn write_word(frame: &mut [u8], at: usize, word: u16) {
    for (octet, new) in frame.iter_mut().skip(at).zip(word.to_be_bytes()) {
        *octet = new;
    }
}

/// A reproducible sequence (splitmix64, Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Returns a number below `bound`, which isn't 0. The bias for small bounds is immaterial here.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
