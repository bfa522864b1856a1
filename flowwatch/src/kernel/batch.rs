//! Batch operations on per-CPU hash maps by the bpf system call, which aya does not have.
//!
//! Reads and empties a table that nobody writes, by one call for thousands of entries instead of
//! three for each. Layouts are those of `union bpf_attr` (include/uapi/linux/bpf.h); the commands came with Linux
//! 5.6 and are probed, not guessed: a kernel without them is read key by key.
#![expect(unsafe_code, reason = "the bpf system call takes addresses")]

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

use aya::maps::{MapData, MapType};

/// `BPF_MAP_LOOKUP_ELEM`.
pub(super) const LOOKUP: libc::c_int = 1;
/// `BPF_MAP_DELETE_ELEM`.
const DELETE: libc::c_int = 3;
/// `BPF_MAP_GET_NEXT_KEY`.
pub(super) const NEXT_KEY: libc::c_int = 4;
/// `BPF_MAP_LOOKUP_BATCH`.
const LOOKUP_BATCH: libc::c_int = 24;
/// `BPF_MAP_LOOKUP_AND_DELETE_BATCH`.
const LOOKUP_AND_DELETE_BATCH: libc::c_int = 25;
/// Entries a call, until a bucket that holds more makes the buffers grow.
const BATCH_ENTRIES: usize = 4096;
/// Room for a position between two batches: a hash map's is a 32-bit bucket number; the kernel's
/// contract asks for room for a key when that is larger.
const POSITION_OCTETS: usize = 64;

/// The anonymous struct of `bpf_attr` for batches.
#[repr(C)]
struct BatchAttributes {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// The anonymous struct of `bpf_attr` for single elements.
#[repr(C)]
struct ElementAttributes {
    map_fd: u32,
    reserved: u32,
    key: u64,
    value_or_next_key: u64,
    flags: u64,
}

/// How a table is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// In batches.
    Batch,
    /// Key by key, on kernels without batches.
    KeyByKey,
}

/// Whether entries stay in the table that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entries {
    Stay,
    Go,
}

/// Reads and empties tables, with buffers that are kept from one to the next.
#[derive(Debug)]
pub struct TableReader {
    access: Access,
    cpus: usize,
    /// Octets of a key; of the table that was read last, as all that follow.
    key_octets: usize,
    /// Octets of a value as the kernel copies it: one for each possible CPU, each a multiple of 8.
    value_octets: usize,
    keys: Vec<u8>,
    values: Vec<u8>,
    capacity: usize,
}

impl TableReader {
    /// Returns a reader that begins with `access`, and changes to key by key when the kernel
    /// turns out to have no batches.
    ///
    /// # Errors
    /// When the number of possible CPUs can't be read.
    pub fn new(access: Access) -> io::Result<Self> {
        let cpus = aya::util::nr_cpus()
            .map_err(|(file, error)| io::Error::new(error.kind(), format!("{file}: {error}")))?;
        Ok(Self {
            access,
            cpus,
            key_octets: 0,
            value_octets: 0,
            keys: Vec::new(),
            values: Vec::new(),
            capacity: BATCH_ENTRIES,
        })
    }

    /// Returns how tables are read.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// Takes every entry out of a table that nobody writes to, and hands each key and value (one
    /// for each possible CPU) to `visit`. Returns the number of entries.
    ///
    /// # Errors
    /// The system call's error; entries handed over before it are no longer in the table.
    /// `InvalidInput` for a map that is no per-CPU hash table.
    pub fn empty(
        &mut self,
        table: &MapData,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> io::Result<u64> {
        self.walk(table, Entries::Go, visit)
    }

    /// Likewise, but leaves the entries in the table.
    ///
    /// # Errors
    /// As [`Self::empty`].
    pub fn read(
        &mut self,
        table: &MapData,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> io::Result<u64> {
        self.walk(table, Entries::Stay, visit)
    }

    fn walk(
        &mut self,
        table: &MapData,
        entries: Entries,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> io::Result<u64> {
        self.fit(table)?;
        let map = table.fd().as_fd();
        if self.access == Access::Batch {
            match self.walk_by_batch(map, entries, visit) {
                Err(error) if is_unknown_command(&error) => self.access = Access::KeyByKey,
                outcome => return outcome,
            }
        }
        self.walk_by_key(map, entries, visit)
    }

    /// Makes the buffers fit the table: by what the kernel says of it, as it writes there.
    fn fit(&mut self, table: &MapData) -> io::Result<()> {
        let info = table.info().map_err(io::Error::other)?;
        let is_per_cpu_hash = info.map_type().is_ok_and(|it| it == MapType::PerCpuHash);
        let key_octets = info.key_size() as usize;
        if !is_per_cpu_hash || key_octets > POSITION_OCTETS {
            let what = "the map is no per-CPU hash table with a key of at most 64 octets";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let value_octets = (info.value_size() as usize).next_multiple_of(8) * self.cpus;
        if (key_octets, value_octets) != (self.key_octets, self.value_octets) {
            (self.key_octets, self.value_octets) = (key_octets, value_octets);
            self.resize(self.capacity);
        }
        Ok(())
    }

    fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.keys.resize(capacity * self.key_octets, 0);
        self.values.resize(capacity * self.value_octets, 0);
    }

    fn walk_by_batch(
        &mut self,
        map: BorrowedFd<'_>,
        entries: Entries,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> io::Result<u64> {
        let mut position = [0; POSITION_OCTETS];
        let mut is_first = true;
        let mut total = 0;
        loop {
            let (count, outcome) = self.next_batch(map, entries, &mut position, is_first);
            self.visit_batch(count, visit);
            total += count as u64;
            match outcome {
                Ok(()) => is_first = false,
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(total),
                // One bucket holds more than the buffers: nothing was taken, try with more room.
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                    self.resize(self.capacity * 2);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Fills the buffers. Returns how many entries they hold, and whether there may be more.
    fn next_batch(
        &mut self,
        map: BorrowedFd<'_>,
        entries: Entries,
        position: &mut [u8; POSITION_OCTETS],
        is_first: bool,
    ) -> (usize, io::Result<()>) {
        let at = address_of(position);
        let mut attributes = BatchAttributes {
            in_batch: if is_first { 0 } else { at },
            out_batch: at,
            keys: address_of(&mut self.keys),
            values: address_of(&mut self.values),
            count: self.capacity as u32,
            map_fd: map.as_raw_fd().cast_unsigned(),
            elem_flags: 0,
            flags: 0,
        };
        let command = match entries {
            Entries::Stay => LOOKUP_BATCH,
            Entries::Go => LOOKUP_AND_DELETE_BATCH,
        };
        // SAFETY: the buffers were made to fit, and have room for `capacity` entries of the map, and
        // the position's for more than the kernel asks.
        let outcome = unsafe { bpf(command, &mut attributes) }.map(drop);
        let has_entries = match &outcome {
            Ok(()) => true,
            Err(error) => error.raw_os_error() == Some(libc::ENOENT),
        };
        (
            if has_entries {
                attributes.count as usize
            } else {
                0
            },
            outcome,
        )
    }

    fn visit_batch(&self, count: usize, visit: &mut dyn FnMut(&[u8], &[u8])) {
        let keys = self.keys.chunks_exact(self.key_octets);
        let values = self.values.chunks_exact(self.value_octets);
        for (key, value) in keys.zip(values).take(count) {
            visit(key, value);
        }
    }

    fn walk_by_key(
        &mut self,
        map: BorrowedFd<'_>,
        entries: Entries,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> io::Result<u64> {
        let mut key = vec![0; self.key_octets];
        let mut last = Vec::new();
        let mut value = vec![0; self.value_octets];
        let mut total = 0;
        // SAFETY: key and value were made to fit the map's.
        let call = |command, key: &mut [u8], value: &mut [u8]| unsafe {
            element(command, map, key, value)
        };
        loop {
            match call(NEXT_KEY, &mut last, &mut key) {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(total),
                Err(error) => return Err(error),
            }
            call(LOOKUP, &mut key, &mut value)?;
            match entries {
                // The next is the one behind it.
                Entries::Stay => last.clone_from(&key),
                // The next is the first.
                Entries::Go => call(DELETE, &mut key, &mut [])?,
            }
            visit(&key, &value);
            total += 1;
        }
    }
}

/// Runs a command on one element. `value` is the next key's place for `NEXT_KEY`.
///
/// # Safety
/// Key and value are empty where the command has none, else as long as the map's.
pub(super) unsafe fn element(
    command: libc::c_int,
    map: BorrowedFd<'_>,
    key: &mut [u8],
    value: &mut [u8],
) -> io::Result<()> {
    let mut attributes = ElementAttributes {
        map_fd: map.as_raw_fd().cast_unsigned(),
        reserved: 0,
        key: address_of(key),
        value_or_next_key: address_of(value),
        flags: 0,
    };
    // SAFETY: the buffers are borrowed for the length of the call; the caller vouches for their
    // lengths.
    unsafe { bpf(command, &mut attributes) }.map(drop)
}

/// Returns a buffer's address as the kernel wants it: 0 for none.
fn address_of(buffer: &mut [u8]) -> u64 {
    if buffer.is_empty() {
        0
    } else {
        buffer.as_mut_ptr() as u64
    }
}

/// Returns whether the kernel doesn't know the command, or not for this kind of map.
fn is_unknown_command(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOTSUP))
}

/// Makes the system call. Returns what it returns: of some commands, a descriptor.
///
/// # Safety
/// `attributes` is the command's part of `union bpf_attr`, and each address in it is 0 or that of a
/// live buffer with room for what the command reads and writes there.
pub(super) unsafe fn bpf<T>(command: libc::c_int, attributes: &mut T) -> io::Result<libc::c_int> {
    // SAFETY: the kernel reads and writes `size_of::<T>()` octets at the pointer, which are the
    // value's; the caller vouches for the rest.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<T>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result as libc::c_int)
    }
}
