//! Whether the interfaces that are counted on are still there, and still all: with an interface go
//! the programs that were attached to it, and a bridge may get ports; both without a word.

use std::collections::BTreeSet;

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
    /// What the user named, among it bridges, which stand for their ports.
    wanted: Vec<String>,
    /// The numbers of interfaces that are counted on, or that the user was told of.
    known: BTreeSet<u32>,
}

impl Presence {
    /// Begins with every interface there.
    pub(crate) fn of(attachments: &[Attachment], wanted: &[String]) -> Self {
        let present: Vec<_> = attachments
            .iter()
            .map(|attachment| (attachment.ifindex, attachment.interface.clone()))
            .collect();
        Self {
            known: present.iter().map(|(index, _)| *index).collect(),
            present,
            wanted: wanted.to_vec(),
        }
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
        Ok(gone
            .into_iter()
            .map(told)
            .chain(self.newcomers(existing))
            .collect())
    }

    /// Returns what to tell of interfaces that came after the programs were attached.
    fn newcomers(&mut self, existing: &[Interface]) -> Vec<String> {
        // While one of the names stands for nothing, its absence has been told.
        let resolved = interface::resolve(&self.wanted, existing).unwrap_or_default();
        let newcomers = resolved
            .into_iter()
            .filter(|interface| self.known.insert(interface.index));
        newcomers
            .map(|interface| {
                let name = interface.name;
                format!(
                    "the interface `{name}` is new, and nothing is counted there; start flowwatch \
                     again to count there, too"
                )
            })
            .collect()
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
            wanted: vec!["lan0".to_owned(), "lan1".to_owned()],
            known: [2, 3].into(),
        };
        assert!(presence.compare(&existing(&[1, 2, 3])).unwrap().is_empty());
        let told = presence.compare(&existing(&[1, 3])).unwrap();
        assert!(told[0].contains("`lan0` is gone"), "{told:?}");
        assert!(presence.compare(&existing(&[1, 3])).unwrap().is_empty());
        let error = presence.compare(&existing(&[1])).unwrap_err().to_string();
        assert!(error.starts_with("count on `lan1`: gone"), "{error}");
    }
    #[test]
    fn a_port_that_joins_a_bridge_is_told_once() {
        let port = |index: u32| Interface {
            index,
            name: format!("lan{index}"),
            is_ethernet: true,
            master: Some(1),
            ..Interface::default()
        };
        let bridge = Interface {
            index: 1,
            name: "br0".to_owned(),
            kind: "bridge".to_owned(),
            is_ethernet: true,
            ..Interface::default()
        };
        let mut presence = Presence {
            present: vec![(2, "lan2".to_owned())],
            wanted: vec!["br0".to_owned()],
            known: [2].into(),
        };
        let before = [bridge.clone(), port(2)];
        assert!(presence.compare(&before).unwrap().is_empty());
        let after = [bridge, port(2), port(3)];
        let told = presence.compare(&after).unwrap();
        assert!(
            told.len() == 1 && told[0].contains("`lan3` is new"),
            "{told:?}"
        );
        assert!(presence.compare(&after).unwrap().is_empty());
    }
}
