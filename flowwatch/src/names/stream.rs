//! A stream's first octets, put together from pieces that come in any order.
//!
//! Fed with TCP segments and QUIC's CRYPTO frames by the readers beside this file, which read what is
//! there from the start without a hole. Where pieces overlap, the octets that came first stay, as in
//! most stacks. Both should say the same (RFC 9293 §3.10); of a sender that says two things, nobody
//! but the receiver knows which it took.

use std::ops::Range;

/// The octets of a stream that are held: as many as are sampled at most.
pub(super) const MAX_LENGTH: usize = 16 * 1024;

/// The separate runs of octets that a stream may be held in; a sender that needs more doesn't mean to
/// be understood. Chromium cuts a `ClientHello` into a few dozen at most.
const MAX_RUNS: usize = 64;

/// That a stream is in more pieces than are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooScattered;

/// The octets that are there.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// From the stream's start to the last octet there is; zeros in the holes.
    octets: Vec<u8>,
    /// Where there are octets: in order, and with holes between.
    runs: Vec<Range<usize>>,
}

impl Stream {
    /// Takes in a piece that begins `offset` octets behind the stream's start, as far as it lies
    /// within [`MAX_LENGTH`].
    pub(super) fn insert(&mut self, offset: u64, piece: &[u8]) -> Result<(), TooScattered> {
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(MAX_LENGTH);
        let piece = piece.get(..MAX_LENGTH - start).unwrap_or(piece);
        if piece.is_empty() {
            return Ok(());
        }
        let end = start + piece.len();
        // The runs that the piece overlaps or touches become one with it.
        let first = self.runs.partition_point(|run| run.end < start);
        let last = self.runs.partition_point(|run| run.start <= end);
        if first == last && self.runs.len() == MAX_RUNS {
            return Err(TooScattered);
        }
        self.octets.resize(self.octets.len().max(end), 0);
        let touched = self.runs.get(first..last).unwrap_or_default();
        for hole in holes(start..end, touched) {
            let source = piece.get(hole.start - start..hole.end - start);
            if let (Some(target), Some(source)) = (self.octets.get_mut(hole), source) {
                target.copy_from_slice(source);
            }
        }
        let joined = touched.iter().fold(start..end, |joined, run| {
            joined.start.min(run.start)..joined.end.max(run.end)
        });
        self.runs.splice(first..last, [joined]);
        Ok(())
    }

    /// Returns the octets from the stream's start to the first hole.
    pub(super) fn start(&self) -> &[u8] {
        let run = self.runs.first().filter(|run| run.start == 0);
        run.and_then(|run| self.octets.get(run.clone()))
            .unwrap_or_default()
    }

    /// Returns the octets of memory that it takes beside itself.
    pub(super) fn memory(&self) -> usize {
        self.octets.capacity() + self.runs.capacity() * size_of::<Range<usize>>()
    }
}

/// Returns the parts of `whole` that are in none of the runs, which are in order.
fn holes(whole: Range<usize>, runs: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut holes = Vec::with_capacity(runs.len() + 1);
    let mut at = whole.start;
    for run in runs {
        if at < run.start {
            holes.push(at..run.start.min(whole.end));
        }
        at = at.max(run.end);
    }
    if at < whole.end {
        holes.push(at..whole.end);
    }
    holes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts pieces together; returns the octets from the start.
    fn start_of(pieces: &[(u64, &str)]) -> String {
        let mut stream = Stream::default();
        for (offset, piece) in pieces {
            stream.insert(*offset, piece.as_bytes()).unwrap();
        }
        String::from_utf8(stream.start().to_vec()).unwrap()
    }

    fn check(pieces: &[(u64, &str)], expected: &str) {
        assert_eq!(start_of(pieces), expected);
    }

    #[test]
    fn pieces_come_in_any_order() {
        check(&[(0, "ab"), (2, "cd"), (4, "ef")], "abcdef");
        check(&[(4, "ef"), (2, "cd"), (0, "ab")], "abcdef");
        check(&[(2, "cd"), (0, "ab"), (4, "ef")], "abcdef");
    }

    #[test]
    fn a_hole_ends_the_start() {
        check(&[], "");
        check(&[(1, "b")], "");
        check(&[(0, "ab"), (3, "d")], "ab");
        check(&[(0, ""), (0, "ab"), (3, "d"), (2, "c")], "abcd");
    }

    #[test]
    fn where_pieces_overlap_the_first_stays() {
        check(&[(0, "abc"), (0, "xyz")], "abc");
        check(&[(0, "abc"), (1, "xyz")], "abcz");
        check(&[(2, "cd"), (0, "xxxxxx")], "xxcdxx");
        check(&[(1, "b"), (3, "d"), (5, "f"), (0, "xxxxxxx")], "xbxdxfx");
        check(&[(1, "bcd"), (0, "xx")], "xbcd");
        check(&[(1, "b"), (3, "d"), (2, "xx")], "");
    }

    #[test]
    fn every_way_to_cut_and_shuffle_gives_the_same() {
        let text = "the same octets";
        let mut state = 7_u32;
        let mut next = move |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % below
        };
        for _ in 0..2000 {
            let mut pieces: Vec<_> = (0..text.len())
                .map(|at| (at as u64, &text[at..at + 1 + next(text.len() - at)]))
                .collect();
            for last in (1..pieces.len()).rev() {
                pieces.swap(last, next(last + 1));
            }
            check(&pieces, text);
        }
    }

    #[test]
    fn octets_beyond_the_longest_are_not_held() {
        let mut stream = Stream::default();
        stream.insert(0, &vec![b'x'; MAX_LENGTH - 1]).unwrap();
        stream.insert(MAX_LENGTH as u64 - 1, b"yz").unwrap();
        stream.insert(MAX_LENGTH as u64, b"z").unwrap();
        stream.insert(u64::MAX, b"z").unwrap();
        assert_eq!(stream.start().len(), MAX_LENGTH);
        assert_eq!(stream.start().last(), Some(&b'y'));
        assert!(stream.memory() < 3 * MAX_LENGTH);
    }

    #[test]
    fn a_stream_in_too_many_runs_is_refused() {
        let mut stream = Stream::default();
        for run in 0..MAX_RUNS as u64 {
            stream.insert(2 * run, b"x").unwrap();
        }
        assert_eq!(stream.insert(200, b"x"), Err(TooScattered));
        // What joins runs, or adds to one, makes no more of them.
        stream.insert(1, b"xxx").unwrap();
        assert_eq!(stream.start().len(), 5);
        stream.insert(200, b"x").unwrap();
    }
}
