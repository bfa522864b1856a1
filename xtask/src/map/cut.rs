//! Rings that cross the antimeridian, cut there: the map ends on both sides of it.

use crate::topology::Degrees;

/// Half a turn: where the map ends.
const HALF: f64 = 180.0;

/// Returns a ring as rings that lie between 180° west and 180° east.
pub(crate) fn at_antimeridian(ring: &[Degrees]) -> Vec<Vec<Degrees>> {
    let ring = unwrapped(ring);
    if ring.iter().all(|(longitude, _)| longitude.abs() <= HALF) {
        return vec![ring];
    }
    let turns = [-2.0 * HALF, 0.0, 2.0 * HALF];
    let parts = turns.map(|turn| {
        let turned: Vec<_> = ring.iter().map(|(x, y)| (x + turn, *y)).collect();
        let east_of_west_end = part_beyond(&turned, -HALF, 1.0);
        part_beyond(&east_of_west_end, HALF, -1.0)
    });
    parts.into_iter().filter(|part| part.len() >= 3).collect()
}

/// Returns the ring with longitudes that go on where they would leap from one end to the other.
fn unwrapped(ring: &[Degrees]) -> Vec<Degrees> {
    let mut turn = 0.0;
    let mut last = None;
    let positions = ring.iter().map(|&(longitude, latitude)| {
        let leap = last.map_or(0.0, |last: f64| longitude - last);
        last = Some(longitude);
        if leap.abs() > HALF {
            turn -= leap.signum() * 2.0 * HALF;
        }
        (longitude + turn, latitude)
    });
    positions.collect()
}

/// Returns the part of a polygon on one side of a meridian: the east of it where `side` is 1, the
/// west where it is -1 (I. Sutherland, G. Hodgman: "Reentrant polygon clipping", 1974).
fn part_beyond(ring: &[Degrees], meridian: f64, side: f64) -> Vec<Degrees> {
    let depth = |(longitude, _): Degrees| (longitude - meridian) * side;
    let mut part = Vec::new();
    let followers = ring.iter().cycle().skip(1);
    for (&from, &to) in ring.iter().zip(followers) {
        let (before, after) = (depth(from), depth(to));
        if before >= 0.0 {
            part.push(from);
        }
        if before * after < 0.0 {
            let share = before / (before - after);
            part.push((meridian, from.1 + share * (to.1 - from.1)));
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_over_the_antimeridian_becomes_two_halves() {
        let square = [(170.0, 0.0), (-170.0, 0.0), (-170.0, 9.0), (170.0, 9.0)];
        let west = vec![(-180.0, 0.0), (-170.0, 0.0), (-170.0, 9.0), (-180.0, 9.0)];
        let east = vec![(170.0, 0.0), (180.0, 0.0), (180.0, 9.0), (170.0, 9.0)];
        assert_eq!(at_antimeridian(&square), [west, east]);
    }

    #[test]
    fn a_ring_within_the_map_stays_as_it_is() {
        let whole = vec![(1.0, 0.0), (5.0, 0.0), (5.0, 9.0)];
        assert_eq!(at_antimeridian(&whole), vec![whole]);
    }
}
