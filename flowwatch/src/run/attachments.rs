//! Which interfaces were counted on, and from when to when: what the document says of them.

use jiff::{SignedDuration, Timestamp};

use crate::kernel::attach::Attachment;
use crate::store::AttachedInterface;

/// Interfaces that are remembered; above it, those that went longest ago are forgotten. A host of
/// containers makes new names without end.
const MOST: usize = 256;

/// Every interface that is or was counted on, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct AttachmentRecord {
    entries: Vec<AttachedInterface>,
}

impl AttachmentRecord {
    /// Notes that programs were attached; returns whether the interface was counted on before.
    pub(crate) fn attached(&mut self, attachment: &Attachment, at: Timestamp) -> bool {
        let known = self.position(&attachment.interface);
        let former = known.map(|position| self.entries.remove(position));
        let entry = AttachedInterface {
            interface: attachment.interface.clone(),
            ingress: attachment.ingress.name(),
            egress: "tc",
            reason: attachment.reason.clone(),
            attached_at: former.as_ref().map_or(Some(at), |it| it.attached_at),
            gone_at: None,
        };
        let position = known.unwrap_or(self.entries.len());
        self.entries.insert(position, entry);
        self.forget_oldest();
        former.is_some()
    }

    /// Notes that an interface is not counted on any more.
    pub(crate) fn gone(&mut self, interface: &str, at: Timestamp) {
        if let Some(position) = self.position(interface) {
            self.entries[position].gone_at = Some(at);
        }
    }

    /// Notes that an interface has another name.
    pub(crate) fn renamed(&mut self, from: &str, to: &str) {
        if let Some(position) = self.position(from) {
            self.entries.retain(|it| it.interface != to);
            let position = self.position(from).unwrap_or(position);
            to.clone_into(&mut self.entries[position].interface);
        }
    }

    /// Moves every time, as the clock was set.
    pub(crate) fn shift(&mut self, by: SignedDuration) {
        for entry in &mut self.entries {
            for time in [&mut entry.attached_at, &mut entry.gone_at] {
                *time = time.map(|at| at.checked_add(by).unwrap_or(at));
            }
        }
    }

    /// Returns the interfaces.
    pub(crate) fn entries(&self) -> &[AttachedInterface] {
        &self.entries
    }

    fn position(&self, interface: &str) -> Option<usize> {
        self.entries.iter().position(|it| it.interface == interface)
    }

    fn forget_oldest(&mut self) {
        if self.entries.len() <= MOST {
            return;
        }
        let gone = self.entries.iter().enumerate();
        let oldest = gone
            .filter_map(|(position, it)| Some((it.gone_at?, position)))
            .min();
        if let Some((_, position)) = oldest {
            self.entries.remove(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::attach::IngressHook;

    fn attachment(interface: &str) -> Attachment {
        Attachment {
            ifindex: 2,
            interface: interface.to_owned(),
            ingress: IngressHook::Tc,
            reason: "asked for".to_owned(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_interface_that_comes_back_is_one_and_there_since_it_first_came() {
        let mut record = AttachmentRecord::default();
        assert!(!record.attached(&attachment("lan0"), at(1)));
        assert!(!record.attached(&attachment("lan1"), at(1)));
        record.gone("lan0", at(5));
        assert_eq!(record.entries()[0].gone_at, Some(at(5)));
        assert!(record.attached(&attachment("lan0"), at(9)));
        let entry = &record.entries()[0];
        assert_eq!(
            (entry.interface.as_str(), entry.attached_at, entry.gone_at),
            ("lan0", Some(at(1)), None)
        );
        assert_eq!(record.entries().len(), 2);
    }

    #[test]
    fn a_renamed_interface_takes_the_place_of_one_that_had_the_name() {
        let mut record = AttachmentRecord::default();
        record.attached(&attachment("lan0"), at(1));
        record.gone("lan0", at(2));
        record.attached(&attachment("lan1"), at(3));
        record.renamed("lan1", "lan0");
        assert_eq!(record.entries().len(), 1);
        assert_eq!(record.entries()[0].interface, "lan0");
        assert_eq!(record.entries()[0].gone_at, None);
    }

    #[test]
    fn names_without_end_take_no_memory_without_end_and_what_is_there_stays() {
        let mut record = AttachmentRecord::default();
        record.attached(&attachment("lan0"), at(0));
        for number in 0..1000 {
            let name = format!("veth{number}");
            record.attached(&attachment(&name), at(number));
            record.gone(&name, at(number + 1));
        }
        assert_eq!(record.entries().len(), MOST);
        assert_eq!(record.entries()[0].interface, "lan0");
        assert_eq!(record.entries()[1].interface, "veth745");
    }
}
