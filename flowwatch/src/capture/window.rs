//! The part of a capture that is at hand: a buffer that moves over the source.
//!
//! Read in large pieces; what was taken stays where it is until the next piece is read. The buffer
//! grows to what its user asks for, who bounds that.

use std::io::{self, ErrorKind, Read};

/// Octets that are read at a time: few enough to stay in the processor's cache until they are used.
const PIECE: usize = 256 << 10;
/// Octets that are read first: what holds few packets is done with them.
const FIRST_PIECE: usize = 4 << 10;

/// The buffer.
#[derive(Debug)]
pub(super) struct Window<R> {
    source: R,
    buffer: Vec<u8>,
    /// What is at hand: from here,
    start: usize,
    /// to here.
    end: usize,
    /// The place in the source of `start`.
    position: u64,
}

impl<R: Read> Window<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            buffer: vec![0; FIRST_PIECE],
            start: 0,
            end: 0,
            position: 0,
        }
    }

    /// Reads until `length` octets are at hand; returns false where the source ends before.
    #[inline]
    pub(super) fn fill(&mut self, length: usize) -> io::Result<bool> {
        if self.end - self.start >= length {
            return Ok(true);
        }
        self.read_more(length)
    }

    #[cold]
    fn read_more(&mut self, length: usize) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let piece = if self.position == 0 {
            FIRST_PIECE
        } else {
            PIECE
        };
        if self.buffer.len() < length.max(piece) {
            self.buffer.resize(length.max(piece), 0);
        }
        while self.end < length {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(count) => self.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Returns the octets at hand.
    #[inline]
    pub(super) fn at_hand(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Takes `length` octets, or as many as are at hand.
    #[inline]
    pub(super) fn take(&mut self, length: usize) -> &[u8] {
        let start = self.start;
        self.start = self.end.min(start + length);
        self.position += (self.start - start) as u64;
        &self.buffer[start..self.start]
    }

    /// Leaves out `length` octets, without having them at hand at once; returns false where the
    /// source ends before.
    pub(super) fn skip(&mut self, mut length: u64) -> io::Result<bool> {
        loop {
            let most = usize::try_from(length).unwrap_or(usize::MAX);
            length -= self.take(most.min(PIECE)).len() as u64;
            if length == 0 {
                return Ok(true);
            }
            if !self.fill(1)? {
                return Ok(false);
            }
        }
    }

    /// Returns the place in the source of what is at hand.
    #[inline]
    pub(super) fn position(&self) -> u64 {
        self.position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that gives one octet at a time, and is interrupted before each.
    struct Dripping<'a>(&'a [u8], bool);

    impl Read for Dripping<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            let Some((first, rest)) = self.0.split_first() else {
                return Ok(0);
            };
            into[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn octets_that_come_one_by_one_are_put_together() {
        let mut window = Window::new(Dripping(b"abcdefgh", false));
        assert!(window.fill(3).unwrap());
        assert_eq!(window.take(2), b"ab");
        assert_eq!(window.position(), 2);
        assert!(window.skip(3).unwrap());
        assert!(window.fill(3).unwrap());
        assert_eq!((window.at_hand(), window.position()), (&b"fgh"[..], 5));
        assert!(!window.fill(4).unwrap());
        assert_eq!(window.take(9), b"fgh");
        assert!(!window.skip(1).unwrap());
    }

    #[test]
    fn more_than_a_piece_can_be_at_hand_and_more_than_that_skipped() {
        let octets: Vec<u8> = (0..3 * PIECE + 7).map(|at| (at / 1000) as u8).collect();
        let mut window = Window::new(&octets[..]);
        assert!(window.fill(PIECE + 1).unwrap());
        assert_eq!(window.take(PIECE + 1), &octets[..=PIECE]);
        assert!(window.skip(2 * PIECE as u64).unwrap());
        assert!(window.fill(6).unwrap());
        assert_eq!(window.take(6), &octets[3 * PIECE + 1..]);
        assert_eq!(window.position(), octets.len() as u64);
    }
}
