//! A country's outline as an SVG path of whole numbers, and the point that stands for the country.

use std::fmt::Write as _;

use crate::cut::at_antimeridian;
use crate::projection::projected;
use crate::topology::Degrees;

/// A point on the map, in units.
type Point = (i32, i32);

/// What the map has of a country.
pub(crate) struct Outline {
    /// The middle of its largest part.
    pub(crate) middle: Point,
    /// Its outline: path data of SVG 1.1 section 8.3, relative, each ring closed.
    pub(crate) path: String,
}

impl Outline {
    /// Returns the outline of these rings.
    pub(crate) fn of(rings: &[Vec<Degrees>]) -> Self {
        let cut = rings.iter().flat_map(|ring| at_antimeridian(ring));
        let rings: Vec<_> = cut.map(|ring| on_map(&ring)).collect();
        let largest = rings.iter().max_by_key(|ring| twice_area(ring).abs());
        let middle = largest.map_or((0, 0), |ring| middle(ring));
        let drawn = rings.iter().filter(|ring| ring.len() >= 3);
        Self {
            middle,
            path: drawn.map(|ring| path(ring)).collect(),
        }
    }

    /// Returns the same without what is drawn.
    pub(crate) fn without_path(self) -> Self {
        Self {
            path: String::new(),
            ..self
        }
    }
}

/// Returns a ring's corners on the map, without what falls on the one before, or back on the first.
fn on_map(ring: &[Degrees]) -> Vec<Point> {
    let mut points: Vec<_> = ring.iter().copied().map(projected).collect();
    points.dedup();
    if points.len() > 1 && points.first() == points.last() {
        points.pop();
    }
    points
}

fn edges(ring: &[Point]) -> impl Iterator<Item = (Point, Point)> {
    ring.iter()
        .copied()
        .zip(ring.iter().copied().cycle().skip(1))
}

fn cross((x, y): Point, (next_x, next_y): Point) -> i64 {
    i64::from(x) * i64::from(next_y) - i64::from(next_x) * i64::from(y)
}

fn twice_area(ring: &[Point]) -> i64 {
    edges(ring).map(|(from, to)| cross(from, to)).sum()
}

/// Returns a polygon's centre of mass, or its first corner where it has no area.
fn middle(ring: &[Point]) -> Point {
    let area = twice_area(ring);
    if area == 0 {
        return ring.first().copied().unwrap_or_default();
    }
    let moments = edges(ring).fold((0, 0), |(x, y), (from, to)| {
        let cross = cross(from, to);
        (
            x + i64::from(from.0 + to.0) * cross,
            y + i64::from(from.1 + to.1) * cross,
        )
    });
    let of = |moment: i64| (moment / (3 * area)) as i32;
    (of(moments.0), of(moments.1))
}

fn path(ring: &[Point]) -> String {
    let mut text = String::new();
    let mut at = (0, 0);
    for (number, &(x, y)) in ring.iter().enumerate() {
        let command = match number {
            0 => "M",
            1 => "l",
            _ => " ",
        };
        let (dx, dy) = (x - at.0, y - at.1);
        // A minus sign separates as well as a space does.
        let separator = if dy < 0 { "" } else { " " };
        let command = if dx < 0 { command.trim() } else { command };
        let _ = write!(text, "{command}{dx}{separator}{dy}");
        at = (x, y);
    }
    text + "z"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_has_its_middle_and_a_path_of_differences() {
        let square = [(10, 10), (30, 10), (30, 30), (10, 30)];
        assert_eq!(middle(&square), (20, 20));
        assert_eq!(path(&square), "M10 10l20 0 0 20-20 0z");
    }

    #[test]
    fn what_has_no_area_is_at_its_first_corner() {
        assert_eq!(middle(&[(7, 8)]), (7, 8));
        assert_eq!(middle(&[]), (0, 0));
    }
}
