//! Maps whose types are not known when this is compiled: those that another version pinned.
//!
//! Octets in, octets out, as long as the kernel says that keys and values of the map are.
#![expect(unsafe_code, reason = "the bpf system call takes addresses")]

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use aya::maps::{MapData, MapError, MapType};

use super::batch::{LOOKUP, NEXT_KEY, element};

/// A map, and how long its keys and values are.
#[derive(Debug)]
pub(super) struct RawMap {
    map: MapData,
    key_octets: usize,
    /// Octets of one value.
    value_octets: usize,
    /// Octets that the kernel copies: of a per-CPU map, a value for each possible CPU.
    copied_octets: usize,
}

impl RawMap {
    /// Opens a pinned map.
    pub(super) fn open(path: &Path) -> Result<Self, MapError> {
        let map = MapData::from_pin(path)?;
        let info = map.info()?;
        let value_octets = info.value_size() as usize;
        let copied_octets = match info.map_type()? {
            MapType::PerCpuHash | MapType::PerCpuArray | MapType::LruPerCpuHash => {
                let cpus = aya::util::nr_cpus().map_err(|(_, error)| MapError::IoError(error))?;
                value_octets.next_multiple_of(8) * cpus
            }
            _ => value_octets,
        };
        Ok(Self {
            key_octets: info.key_size() as usize,
            value_octets,
            copied_octets,
            map,
        })
    }

    /// Returns how many octets a key and a value have.
    pub(super) fn octets(&self) -> (usize, usize) {
        (self.key_octets, self.value_octets)
    }

    /// Returns an element of an array, of a per-CPU array one value for each possible CPU; nothing
    /// where there is none. Of an array of maps, the number of the map.
    pub(super) fn element(&self, index: u32) -> io::Result<Option<Vec<u8>>> {
        self.value(&mut index.to_ne_bytes())
    }

    /// Hands each key and value of a hash table to `visit`, at most `most`.
    pub(super) fn walk(&self, most: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> io::Result<()> {
        let mut key = vec![0; self.key_octets];
        let mut last = Vec::new();
        for _ in 0..most {
            // SAFETY: both are empty or as long as the map's keys.
            let next = unsafe { element(NEXT_KEY, self.map.fd().as_fd(), &mut last, &mut key) };
            match next {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(()),
                Err(error) => return Err(error),
            }
            if let Some(value) = self.value(&mut key)? {
                visit(&key, &value);
            }
            last.clone_from(&key);
        }
        Ok(())
    }

    fn value(&self, key: &mut [u8]) -> io::Result<Option<Vec<u8>>> {
        if key.len() != self.key_octets {
            let what = "the map's keys are of another length";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let mut value = vec![0; self.copied_octets];
        // SAFETY: the key is as long as the map's, and the value has room for what is copied.
        match unsafe { element(LOOKUP, self.map.fd().as_fd(), key, &mut value) } {
            Ok(()) => Ok(Some(value)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
