//! Whether the interfaces that are counted on are still there: with an interface go the programs
//! that were attached to it, and without a word.

use crate::kernel::attach::Attachment;
use crate::kernel::interface::{self, Interface};

/// No interface is left to count on.
#[derive(Debug, thiserror::Error)]
#[error(
    "count on {0}: gone, and no other interface is left; start flowwatch again when it is back"
)]
pub(crate) struct NothingLeft(String);

/// The interfaces that were there at the last look.
pub(crate) struct Presence {
    present: Vec<(u32, String)>,
}

impl Presence {
    /// Begins with every interface there.
    pub(crate) fn of(attachments: &[Attachment]) -> Self {
        let present = attachments
            .iter()
            .map(|attachment| (attachment.ifindex, attachment.interface.clone()))
            .collect();
        Self { present }
    }

    /// Looks, and returns what to tell the user.
    ///
    /// # Errors
    /// `NothingLeft`.
    pub(crate) async fn check(&mut self) -> Result<Vec<String>, NothingLeft> {
        // A list that can't be had says nothing about any interface.
        match interface::list().await {
            Ok(existing) => self.compare(&existing),
            Err(_) => Ok(Vec::new()),
        }
    }

    fn compare(&mut self, existing: &[Interface]) -> Result<Vec<String>, NothingLeft> {
        let is_there =
            |(index, _): &(u32, String)| existing.iter().any(|other| other.index == *index);
        let (present, gone): (Vec<_>, Vec<_>) = self.present.drain(..).partition(is_there);
        self.present = present;
        let gone: Vec<_> = gone.iter().map(|(_, name)| format!("`{name}`")).collect();
        if self.present.is_empty() {
            return Err(NothingLeft(gone.join(", ")));
        }
        let told = |name| {
            format!(
                "the interface {name} is gone, and nothing more is counted there; start flowwatch \
                 again when it is back"
            )
        };
        Ok(gone.into_iter().map(told).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn existing(indexes: &[u32]) -> Vec<Interface> {
        let interface = |&index| Interface {
            index,
            ..Interface::default()
        };
        indexes.iter().map(interface).collect()
    }

    #[test]
    fn an_interface_that_goes_is_told_once_and_the_last_one_ends_the_counting() {
        let mut presence = Presence {
            present: vec![(2, "lan0".to_owned()), (3, "lan1".to_owned())],
        };
        assert!(presence.compare(&existing(&[1, 2, 3])).unwrap().is_empty());
        let told = presence.compare(&existing(&[1, 3])).unwrap();
        assert!(told[0].contains("`lan0` is gone"), "{told:?}");
        assert!(presence.compare(&existing(&[1, 3])).unwrap().is_empty());
        let error = presence.compare(&existing(&[1])).unwrap_err().to_string();
        assert!(error.starts_with("count on `lan1`: gone"), "{error}");
    }
}
