//! Other programs in the places of those that count: by themselves, or with the pins of what outlives
//! the process.

use aya::Ebpf;

use super::standing::Generation;
use super::{Session, warn};
use crate::kernel::attach::{AttachError, Attachment};

impl Session {
    /// Puts other programs in the places of those that are attached. Of counting that outlives the
    /// process, their generation is whole before the first of them counts; returns the one before it.
    pub(super) fn put_in_place(
        &mut self,
        ebpf: &mut Ebpf,
        generation: Option<Generation>,
    ) -> anyhow::Result<Option<Generation>> {
        let next = match (&self.standing, generation) {
            (Some(standing), Some(begun)) => Some(standing.complete(begun)?),
            _ => None,
        };
        let replaced = self.attached.replace(ebpf);
        let (Some(standing), Some(next)) = (&mut self.standing, next) else {
            self.tell_refused(replaced?);
            return Ok(None);
        };
        match replaced {
            Ok(refused) => {
                let former = standing.succeed(next);
                self.tell_refused(refused);
                Ok(Some(former))
            }
            Err(error) => {
                standing.forget(&next);
                Err(error.into())
            }
        }
    }

    fn tell_refused(&mut self, refused: Vec<(Attachment, AttachError)>) {
        for (attachment, error) in refused {
            let error = anyhow::Error::from(error);
            warn(&[format!("{error:#}; it is tried again")]);
            self.following.lost(&attachment);
        }
    }
}
