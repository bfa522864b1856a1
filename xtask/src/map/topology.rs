//! `TopoJSON`, as far as the map's input uses it: quantised arcs that polygons share.
//!
//! From <https://github.com/topojson/topojson-specification> (version 1.0).

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// A point: degrees of longitude and latitude.
pub(crate) type Degrees = (f64, f64);

/// A country and the rings that bound it, holes among them.
pub(crate) struct Country {
    /// Its name.
    pub(crate) name: String,
    /// Its number of ISO 3166-1, where it has one.
    pub(crate) number: Option<u32>,
    /// Its rings; each ends where it begins.
    pub(crate) rings: Vec<Vec<Degrees>>,
}

/// A file.
#[derive(Deserialize)]
pub(crate) struct Topology {
    transform: Transform,
    objects: Objects,
    arcs: Vec<Vec<(f64, f64)>>,
}

#[derive(Deserialize)]
struct Transform {
    scale: (f64, f64),
    translate: (f64, f64),
}

#[derive(Deserialize)]
struct Objects {
    countries: Collection,
}

#[derive(Deserialize)]
struct Collection {
    geometries: Vec<Geometry>,
}

#[derive(Deserialize)]
struct Geometry {
    id: Option<String>,
    properties: Properties,
    #[serde(flatten)]
    shape: Shape,
}

#[derive(Deserialize)]
struct Properties {
    name: String,
}

/// Rings as numbers of arcs; a negative number is an arc the other way round.
#[derive(Deserialize)]
#[serde(tag = "type", content = "arcs")]
enum Shape {
    Polygon(Vec<Vec<i64>>),
    MultiPolygon(Vec<Vec<Vec<i64>>>),
}

impl Topology {
    /// Reads a file's text.
    ///
    /// # Errors
    /// When it is no such file.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        Ok(serde_json::from_str(text)?)
    }

    /// Returns the countries.
    ///
    /// # Errors
    /// When one uses an arc that is not there.
    pub(crate) fn countries(&self) -> Result<Vec<Country>> {
        let arcs: Vec<_> = self.arcs.iter().map(|arc| self.decoded(arc)).collect();
        let countries = self.objects.countries.geometries.iter();
        countries
            .map(|geometry| {
                let rings: Vec<_> = match &geometry.shape {
                    Shape::Polygon(rings) => rings.iter().collect(),
                    Shape::MultiPolygon(polygons) => polygons.iter().flatten().collect(),
                };
                let rings = rings.into_iter().map(|ring| joined(ring, &arcs));
                Ok(Country {
                    name: geometry.properties.name.clone(),
                    number: geometry.id.as_ref().and_then(|id| id.parse().ok()),
                    rings: rings.collect::<Result<_>>()?,
                })
            })
            .collect()
    }

    /// Each position is the difference to the one before, in steps of the quantisation.
    fn decoded(&self, arc: &[(f64, f64)]) -> Vec<Degrees> {
        let Transform { scale, translate } = &self.transform;
        let (mut x, mut y) = (0.0, 0.0);
        let positions = arc.iter().map(|&(dx, dy)| {
            x += dx;
            y += dy;
            (x * scale.0 + translate.0, y * scale.1 + translate.1)
        });
        positions.collect()
    }
}

/// Joins a ring's arcs, each of which begins where the one before it ends.
fn joined(ring: &[i64], arcs: &[Vec<Degrees>]) -> Result<Vec<Degrees>> {
    let mut positions: Vec<Degrees> = Vec::new();
    for &number in ring {
        let index = if number < 0 { !number } else { number };
        let arc = usize::try_from(index)
            .ok()
            .and_then(|index| arcs.get(index));
        let mut arc = arc.context("a ring of arcs that are not there")?.clone();
        if number < 0 {
            arc.reverse();
        }
        positions.pop();
        positions.extend(arc);
    }
    Ok(positions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arcs_are_differences_and_may_be_used_backwards() {
        let text = r#"{"type":"Topology","transform":{"scale":[2,1],"translate":[-10,5]},
            "objects":{"countries":{"geometries":[
                {"type":"Polygon","arcs":[[0,-2]],"id":"756","properties":{"name":"X"}}]}},
            "arcs":[[[0,0],[1,0],[0,1]],[[0,0],[0,3],[1,-2]]]}"#;
        let countries = Topology::parse(text).unwrap().countries().unwrap();
        assert_eq!(countries[0].number, Some(756));
        // Arc 1 backwards goes from (1, 1) by (0, 3) to (0, 0), in steps of two degrees by one.
        let expected = [
            (-10.0, 5.0),
            (-8.0, 5.0),
            (-8.0, 6.0),
            (-10.0, 8.0),
            (-10.0, 5.0),
        ];
        assert_eq!(countries[0].rings, [expected.to_vec()]);
    }

    #[test]
    fn a_missing_arc_is_an_error() {
        assert!(joined(&[3], &[]).is_err());
    }
}
