//! The self-test: does every program that was attached really run?
//!
//! For a while after attaching, a hook that runs leaves a note. A hook without a note on an
//! interface whose own counters moved doesn't run, whatever the kernel answered when it was
//! attached.

use aya::maps::{Array, HashMap, MapData, MapError};
use flowwatch_common::abi::{Direction, hook_key};

use super::attach::Attachment;

/// A hook of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The interface.
    pub interface: String,
    /// `Up` for ingress, `Down` for egress.
    pub direction: Direction,
}

/// A self-test under way.
pub struct SelfTest {
    hooks_seen: HashMap<MapData, u64, u32>,
    switch: Array<MapData, u32>,
}

impl SelfTest {
    /// Has the hooks leave notes from now on.
    ///
    /// # Errors
    /// The map's error.
    pub fn start(
        hooks_seen: HashMap<MapData, u64, u32>,
        mut switch: Array<MapData, u32>,
    ) -> Result<Self, MapError> {
        switch.set(0, 1, 0)?;
        Ok(Self { hooks_seen, switch })
    }

    /// Has the hooks leave notes once more, and forgets those of interfaces that are not counted on
    /// any more.
    ///
    /// # Errors
    /// The map's error.
    pub fn resume(&mut self, attachments: &[Attachment]) -> Result<(), MapError> {
        let is_of = |key: u64, it: &Attachment| {
            [Direction::Up, Direction::Down]
                .iter()
                .any(|&side| hook_key(it.ifindex, side) == key)
        };
        let keys: Vec<u64> = self.hooks_seen.keys().collect::<Result<_, _>>()?;
        for key in keys {
            if !attachments.iter().any(|it| is_of(key, it)) {
                self.hooks_seen.remove(&key)?;
            }
        }
        self.switch.set(0, 1, 0)
    }

    /// Returns the hooks that have not run yet.
    ///
    /// # Errors
    /// The map's error.
    pub fn silent(&self, attachments: &[Attachment]) -> Result<Vec<Hook>, MapError> {
        let mut silent = Vec::new();
        for attachment in attachments {
            for direction in [Direction::Up, Direction::Down] {
                match self
                    .hooks_seen
                    .get(&hook_key(attachment.ifindex, direction), 0)
                {
                    Ok(_) => {}
                    Err(MapError::KeyNotFound) => {
                        let interface = attachment.interface.clone();
                        silent.push(Hook {
                            interface,
                            direction,
                        });
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(silent)
    }

    /// Ends the notes, which cost a look-up on every packet.
    ///
    /// # Errors
    /// The map's error.
    pub fn stop(&mut self) -> Result<(), MapError> {
        self.switch.set(0, 0, 0)
    }
}
