//! A generation's descriptor: what whoever comes later must know of its maps to drain them.
//!
//! JSON in a pinned array of chunks, so that a flowwatch of another version, or none at all
//! (`bpftool map dump`), can read it.

use std::path::Path;

use aya::maps::{Array, MapData, MapError};
use serde::{Deserialize, Serialize};

use super::drain;
use super::layout::Layout;
use super::load;
use super::pins;

/// The descriptor's pin.
pub(super) const DESCRIPTOR: &str = "DESCRIPTOR";
/// Octets of a chunk.
const CHUNK: usize = 4096;
/// Chunks that are read: far more than the most devices have names for.
const MOST_CHUNKS: u32 = 4096;
/// The form that this version writes.
const FORM: u32 = 1;

/// A set of kernel maps, described.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    form: u32,
    /// The generation's random number.
    pub generation: u64,
    /// The checksum of the programs that the maps were made for: others may want maps of other kinds
    /// beside those that are described here.
    object: u32,
    /// The network namespace that the interfaces' numbers are of, by its inode number.
    pub namespace: u64,
    /// The history that the counts are for, by its own number.
    pub history: u64,
    /// What is counted.
    pub tags: Tags,
    /// How the counts lie.
    pub layout: Layout,
}

/// What is counted: the devices by their numbers, and how many flows there is room for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tags {
    /// The tagged devices' names and addresses; a device's number is its position.
    pub devices: Vec<(String, [u8; 6])>,
    /// Names, first octets and bits of prefixes, by which devices appear.
    pub prefixes: Vec<(String, [u8; 6], u32)>,
    /// Entries of a flow table.
    pub flow_table_size: u32,
}

/// A descriptor is not understood.
#[derive(Debug, thiserror::Error)]
pub enum DescriptorError {
    /// It can't be opened or read.
    #[error("it can't be read: {0}")]
    Read(MapError),
    /// Not the text of a descriptor.
    #[error("its descriptor is of another form: {0}")]
    Text(serde_json::Error),
    /// A form of another version.
    #[error("its descriptor is of form {0}, and this flowwatch knows form {FORM}")]
    Form(u32),
    /// A field that lies nowhere, or a reason that has no meaning here.
    #[error("its counts lie in a way that this flowwatch doesn't know")]
    Layout,
    /// The maps are not as it says.
    #[error("its maps are not as its descriptor says")]
    Maps,
}

/// The part of every form that tells which it is.
#[derive(Deserialize)]
struct Form {
    form: u32,
}

impl Descriptor {
    /// Describes a generation of this version, and of this network namespace.
    #[must_use]
    pub fn new(generation: u64, history: u64, tags: Tags) -> Self {
        Self {
            form: FORM,
            generation,
            object: load::checksum(),
            namespace: pins::namespace(),
            history,
            tags,
            layout: Layout::current(),
        }
    }

    /// Writes the descriptor to a map that it pins in a folder.
    ///
    /// # Errors
    /// The map's error.
    pub fn pin(&self, folder: &Path) -> Result<(), MapError> {
        let text = serde_json::to_vec(self).map_err(std::io::Error::other)?;
        let chunks = text.chunks(CHUNK);
        let mut map: Array<MapData, [u8; CHUNK]> = Array::create(chunks.len() as u32, 0)?;
        for (index, octets) in (0..).zip(chunks) {
            // What is behind the text are zeros.
            let mut chunk = [0; CHUNK];
            chunk[..octets.len()].copy_from_slice(octets);
            map.set(index, chunk, 0)?;
        }
        map.pin(folder.join(DESCRIPTOR))
            .map_err(|error| MapError::PinError {
                name: Some(DESCRIPTOR.into()),
                error,
            })
    }

    /// Reads the descriptor that is pinned in a folder.
    ///
    /// # Errors
    /// [`DescriptorError`].
    pub fn open(folder: &Path) -> Result<Self, DescriptorError> {
        let map = drain::open(folder, DESCRIPTOR).map_err(|error| {
            DescriptorError::Read(MapError::IoError(std::io::Error::other(error)))
        })?;
        let map: Array<MapData, [u8; CHUNK]> = map;
        let mut text = Vec::new();
        for index in 0..map.len().min(MOST_CHUNKS) {
            text.extend(map.get(&index, 0).map_err(DescriptorError::Read)?);
        }
        Self::parse(trimmed(&text))
    }

    fn parse(text: &[u8]) -> Result<Self, DescriptorError> {
        let form: Form = serde_json::from_slice(text).map_err(DescriptorError::Text)?;
        if form.form != FORM {
            return Err(DescriptorError::Form(form.form));
        }
        let descriptor: Self = serde_json::from_slice(text).map_err(DescriptorError::Text)?;
        if !descriptor.layout.is_sound() {
            return Err(DescriptorError::Layout);
        }
        Ok(descriptor)
    }

    /// Returns whether maps that this describes can go on to count what is asked for.
    #[must_use]
    pub fn fits(&self, history: u64, tags: &Tags) -> bool {
        self.history == history
            && self.tags == *tags
            && self.object == load::checksum()
            && self.layout == Layout::current()
    }
}

/// Returns the text without the zeros behind it.
fn trimmed(text: &[u8]) -> &[u8] {
    let last = text.iter().rposition(|octet| *octet != 0);
    &text[..last.map_or(0, |last| last + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor() -> Descriptor {
        let tags = Tags {
            devices: vec![("camera".to_owned(), [0x2c, 0xaa, 0x8e, 0, 0, 1])],
            prefixes: vec![("plug".to_owned(), [0x50, 0xc7, 0xbf, 0, 0, 0], 24)],
            flow_table_size: 65536,
        };
        Descriptor::new(7, 8, tags)
    }

    fn check(change: impl Fn(&mut serde_json::Value), expected: &str) {
        let mut value = serde_json::to_value(descriptor()).unwrap();
        change(&mut value);
        let text = serde_json::to_vec(&value).unwrap();
        let error = Descriptor::parse(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_descriptor_survives_its_text_with_zeros_behind_it() {
        let mut text = serde_json::to_vec(&descriptor()).unwrap();
        text.resize(CHUNK, 0);
        assert_eq!(Descriptor::parse(trimmed(&text)).unwrap(), descriptor());
    }

    #[test]
    fn what_is_not_understood_is_told() {
        check(
            |it| it["form"] = 2.into(),
            "of form 2, and this flowwatch knows form 1",
        );
        check(|it| it["tags"] = 1.into(), "of another form");
        check(
            |it| it["layout"]["flows"]["device"]["at"] = 21.into(),
            "doesn't know",
        );
        let error = Descriptor::parse(b"").unwrap_err().to_string();
        assert!(error.contains("of another form"), "{error}");
    }

    #[test]
    fn maps_fit_the_same_devices_and_sizes_alone() {
        let descriptor = descriptor();
        assert!(descriptor.fits(8, &descriptor.tags));
        assert!(!descriptor.fits(9, &descriptor.tags), "of another history");
        let mut renamed = descriptor.tags.clone();
        renamed.devices[0].0 = "door".to_owned();
        assert!(!descriptor.fits(8, &renamed));
        let mut larger = descriptor.tags.clone();
        larger.flow_table_size += 1;
        assert!(!descriptor.fits(8, &larger));
        let mut newer = descriptor.clone();
        newer.object ^= 1;
        assert!(!newer.fits(8, &descriptor.tags));
        let mut other = descriptor.clone();
        other.layout.totals.value_octets += 8;
        assert!(!other.fits(8, &descriptor.tags));
    }
}
