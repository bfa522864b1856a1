//! The Equal Earth projection: areas keep their proportions, so that shades can be compared.
//!
//! B. Šavrič, T. Patterson, B. Jenny: "The Equal Earth map projection", International Journal of
//! Geographical Information Science 33(3), 2019, equations 5 to 8.

use crate::topology::Degrees;

/// The map's width in units; a unit is half a pixel on a common screen.
pub(crate) const WIDTH: i32 = 2_000;
/// The latitude of the upper border, north of all land.
const NORTH: f64 = 84.0;
/// The latitude of the lower border, south of all land but the Antarctic.
const SOUTH: f64 = -57.0;

const A: [f64; 4] = [1.340_264, -0.081_106, 0.000_893, 0.003_796];

/// Returns where a point is on the sphere's map, in radii.
fn equal_earth((longitude, latitude): Degrees) -> (f64, f64) {
    let root = 3.0_f64.sqrt();
    let theta = (root / 2.0 * latitude.to_radians().sin()).asin();
    let [a1, a2, a3, a4] = A;
    let square = theta * theta;
    let sixth = square.powi(3);
    let slope = 9.0 * a4 * sixth * square + 7.0 * a3 * sixth + 3.0 * a2 * square + a1;
    let x = 2.0 * root * longitude.to_radians() * theta.cos() / (3.0 * slope);
    let y = theta * (a4 * sixth * square + a3 * sixth + a2 * square + a1);
    (x, y)
}

fn scale() -> f64 {
    let (east, _) = equal_earth((180.0, 0.0));
    f64::from(WIDTH) / (2.0 * east)
}

/// Returns the map's height in units.
pub(crate) fn height() -> i32 {
    projected((0.0, SOUTH)).1
}

/// Returns where a point is on the map, in units from its upper left corner.
pub(crate) fn projected(point: Degrees) -> (i32, i32) {
    let (x, y) = equal_earth(point);
    let (_, north) = equal_earth((0.0, NORTH));
    let across = (x * scale()).round() as i32 + WIDTH / 2;
    let down = ((north - y) * scale()).round() as i32;
    (across, down)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corners_of_the_sphere_are_where_the_paper_has_them() {
        let check = |point, (x, y): (f64, f64)| {
            let (across, up) = equal_earth(point);
            assert!((across - x).abs() < 1e-4 && (up - y).abs() < 1e-4);
        };
        // The equator is 2.05458 times as long as the map is high (section 3 of the paper).
        check((180.0, 0.0), (2.706_63, 0.0));
        check((0.0, 90.0), (0.0, 1.317_36));
        let (length, height) = (2.0 * 2.706_63, 2.0 * 1.317_36);
        assert!((length / height - 2.054_58_f64).abs() < 1e-4);
    }

    #[test]
    fn the_map_is_as_wide_as_it_says() {
        assert_eq!(projected((-180.0, 0.0)).0, 0);
        assert_eq!(projected((180.0, 0.0)).0, WIDTH);
        assert_eq!(projected((0.0, NORTH)).1, 0);
    }
}
