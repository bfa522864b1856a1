//! Interfaces that go and come back, ports that join and leave a bridge, names that change: the
//! programs follow what the user named.
//!
//! rtnetlink says that something changed; the list that is then made says what. What the names
//! stand for is found anew as at the start, and the difference to what is attached is made up for.

use std::collections::HashMap;
use std::time::Duration;

use aya::Ebpf;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep_until};

use super::attachments::AttachmentRecord;
use super::watch::HookWatch;
use crate::console::tell;
use crate::kernel::attach::{AttachOptions, Attached, Attachment};
use crate::kernel::interface::{self, Interface};
use crate::kernel::link_events::LinkEvents;
use crate::store::AttachedInterface;

/// Time between two lists at least: interfaces that come and go in a storm cost no more than this.
const REST: Duration = Duration::from_millis(50);
/// Time after which an interface that refused the programs is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Time between two lists that nothing was the reason for.
const POLL: Duration = Duration::from_secs(10);

/// What is followed, and how it went so far.
pub(crate) struct Following {
    /// What the user named, among it bridges, which stand for their ports.
    wanted: Vec<String>,
    options: AttachOptions,
    /// Nothing where the kernel refuses to tell; then the polls have to do.
    events: Option<LinkEvents>,
    /// When the next list is made.
    due: Instant,
    last: Instant,
    record: AttachmentRecord,
    /// What is wrong, and was told.
    told: Vec<String>,
    /// Interfaces that refused the programs: why, and when they are tried again.
    refused: HashMap<u32, (String, Instant)>,
}

impl Following {
    /// Listens to changes from now on.
    pub(crate) fn start(wanted: &[String], options: AttachOptions) -> Self {
        let events = LinkEvents::subscribe();
        if let Err(error) = &events {
            log::warn!(
                "listen to changes of the interfaces: {error}; they are looked at now and then"
            );
        }
        Self {
            wanted: wanted.to_vec(),
            options,
            events: events.ok(),
            due: Instant::now() + POLL,
            last: Instant::now(),
            record: AttachmentRecord::default(),
            told: Vec::new(),
            refused: HashMap::new(),
        }
    }

    /// Returns how programs are attached.
    pub(crate) const fn options(&self) -> AttachOptions {
        self.options
    }

    /// Says that an interface is counted on, and by which hooks.
    pub(crate) fn announce(&mut self, attachment: &Attachment) {
        let again = if self.record.attached(attachment, Timestamp::now()) {
            "again "
        } else {
            ""
        };
        let Attachment {
            interface,
            ingress,
            reason,
            ..
        } = attachment;
        let ingress = ingress.name();
        tell(&format!(
            "counting {again}on `{interface}`: ingress by {ingress} ({reason}), egress by tc"
        ));
    }

    /// Has other names followed from the next look on, which is due at once.
    pub(crate) fn want(&mut self, wanted: &[String]) {
        self.wanted = wanted.to_vec();
        self.due = Instant::now();
    }

    /// Notes that an interface took the programs no more; it is tried again at once.
    pub(crate) fn lost(&mut self, attachment: &Attachment) {
        self.record.gone(&attachment.interface, Timestamp::now());
        self.due = Instant::now();
    }

    /// Moves every time, as the clock was set.
    pub(crate) fn shift(&mut self, by: SignedDuration) {
        self.record.shift(by);
    }

    /// Returns every interface that is or was counted on.
    pub(crate) fn interfaces(&self) -> &[AttachedInterface] {
        self.record.entries()
    }

    /// Waits until it is time to look. May be dropped and called again.
    pub(crate) async fn changed(&mut self) {
        loop {
            let told = async {
                match &self.events {
                    Some(events) => events.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep_until(self.due) => return,
                told = told => match told {
                    Ok(()) => self.due = self.due.min((self.last + REST).max(Instant::now())),
                    Err(error) => {
                        log::warn!("listen to changes of the interfaces: {error}; they are looked at now and then");
                        self.events = None;
                    }
                }
            }
        }
    }

    /// Looks what the names stand for now, and attaches and detaches what is different. Returns what
    /// to warn of.
    pub(crate) async fn follow(
        &mut self,
        ebpf: &mut Ebpf,
        attached: &mut Attached,
        watch: &mut HookWatch,
    ) -> Vec<String> {
        self.last = Instant::now();
        self.due = self.last + POLL;
        // A list that can't be had says nothing about any interface.
        let Ok(existing) = interface::list().await else {
            return Vec::new();
        };
        let changes = Changes::between(&attached.attachments, &self.wanted, &existing);
        let mut warnings = self.newly_told(changes.refused);
        warnings.extend(self.take_off(changes.gone, attached));
        for (index, name) in changes.renamed {
            self.rename(index, name, attached);
        }
        let added = self.add(changes.new, ebpf, attached, &mut warnings);
        if !added.is_empty() {
            let resumed = watch.resume(&attached.attachments, &added, &existing);
            warnings.extend(
                resumed
                    .err()
                    .map(|error| format!("test the new hooks: {error}")),
            );
        }
        self.retry_in_time(&existing);
        warnings
    }

    /// Keeps of what is wrong what was not told at the last look.
    fn newly_told(&mut self, complaints: Vec<String>) -> Vec<String> {
        let is_new = |it: &&String| !self.told.contains(it);
        let new = complaints.iter().filter(is_new).cloned().collect();
        self.told = complaints;
        new
    }

    fn take_off(&mut self, gone: Vec<(u32, Departure)>, attached: &mut Attached) -> Vec<String> {
        let mut warnings = Vec::new();
        for (index, departure) in gone {
            let of = attached.attachments.iter().find(|it| it.ifindex == index);
            let name = of.map(|it| it.interface.clone()).unwrap_or_default();
            attached.remove(index);
            self.record.gone(&name, Timestamp::now());
            match departure {
                Departure::Vanished => warnings.push(format!(
                    "the interface `{name}` is gone; it is counted on again when it is back"
                )),
                Departure::NoneOfThose => tell(&format!(
                    "no longer counting on `{name}`: it is none of the interfaces to count on, nor a \
                     port of one"
                )),
            }
            if attached.attachments.is_empty() {
                warnings
                    .push("no interface is left to count on; flowwatch waits for one".to_owned());
            }
        }
        warnings
    }

    fn rename(&mut self, index: u32, name: String, attached: &mut Attached) {
        let mut attachments = attached.attachments.iter_mut();
        if let Some(attachment) = attachments.find(|it| it.ifindex == index) {
            let former = std::mem::replace(&mut attachment.interface, name);
            let name = &attachment.interface;
            self.record.renamed(&former, name);
            tell(&format!(
                "the interface `{former}` is now `{name}`, and is counted on as before"
            ));
        }
    }

    /// Attaches to interfaces; returns the numbers of those that took the programs.
    fn add(
        &mut self,
        new: Vec<Interface>,
        ebpf: &mut Ebpf,
        attached: &mut Attached,
        warnings: &mut Vec<String>,
    ) -> Vec<u32> {
        let now = Instant::now();
        let mut added = Vec::new();
        for interface in new {
            let before = self.refused.get(&interface.index);
            if before.is_some_and(|(_, again)| now < *again) {
                continue;
            }
            match attached.add(ebpf, &interface, self.options) {
                Ok(attachment) => {
                    self.refused.remove(&interface.index);
                    self.announce(&attachment);
                    added.push(interface.index);
                }
                Err(error) => {
                    let why = format!("{:#}", anyhow::Error::from(error));
                    if before.is_none_or(|(told, _)| *told != why) {
                        warnings.push(format!("{why}; it is tried again"));
                    }
                    self.refused.insert(interface.index, (why, now + RETRY));
                }
            }
        }
        added
    }

    /// Has those that refused the programs tried again, as long as they are there.
    fn retry_in_time(&mut self, existing: &[Interface]) {
        self.refused
            .retain(|index, _| existing.iter().any(|it| it.index == *index));
        let next = self.refused.values().map(|(_, again)| *again).min();
        self.due = next.map_or(self.due, |next| self.due.min(next.max(self.last + REST)));
    }
}

/// Why an interface is not counted on any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Departure {
    /// It does not exist any more.
    Vanished,
    /// It exists, and is none of those that the names stand for.
    NoneOfThose,
}

/// What is different between what is attached and what the names stand for.
#[derive(Debug, Default)]
struct Changes {
    gone: Vec<(u32, Departure)>,
    renamed: Vec<(u32, String)>,
    new: Vec<Interface>,
    /// What the names stand for and can't be counted on, each with the reason.
    refused: Vec<String>,
}

impl Changes {
    fn between(attached: &[Attachment], wanted: &[String], existing: &[Interface]) -> Self {
        let (chosen, refused) = interface::resolve_present(wanted, existing);
        let mut changes = Self {
            refused: refused.iter().map(ToString::to_string).collect(),
            ..Self::default()
        };
        for attachment in attached {
            let index = attachment.ifindex;
            let exists = existing.iter().any(|it| it.index == index);
            match chosen.iter().find(|it| it.index == index) {
                Some(it) if it.name != attachment.interface => {
                    changes.renamed.push((index, it.name.clone()));
                }
                Some(_) => {}
                None if exists => changes.gone.push((index, Departure::NoneOfThose)),
                None => changes.gone.push((index, Departure::Vanished)),
            }
        }
        let is_new = |it: &Interface| attached.iter().all(|other| other.ifindex != it.index);
        changes.new = chosen.into_iter().filter(is_new).collect();
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::attach::IngressHook;

    fn port(index: u32, name: &str, master: Option<u32>) -> Interface {
        Interface {
            index,
            name: name.to_owned(),
            is_ethernet: true,
            master,
            ..Interface::default()
        }
    }

    fn bridge() -> Interface {
        Interface {
            kind: "bridge".to_owned(),
            ..port(1, "br0", None)
        }
    }

    fn attached(interfaces: &[(u32, &str)]) -> Vec<Attachment> {
        let attachment = |&(ifindex, name): &(u32, &str)| Attachment {
            ifindex,
            interface: name.to_owned(),
            ingress: IngressHook::Tc,
            reason: String::new(),
        };
        interfaces.iter().map(attachment).collect()
    }

    /// Checks what is done about `br0` and `eth1`, of which `now` exists: who goes, who has another
    /// name, who is new.
    fn check(
        before: &[(u32, &str)],
        now: &[Interface],
        gone: &[(u32, Departure)],
        renamed: &[(u32, &str)],
        new: &[u32],
    ) {
        let wanted = ["br0", "eth1"].map(str::to_owned);
        let changes = Changes::between(&attached(before), &wanted, now);
        assert_eq!(changes.gone, gone);
        let names = changes
            .renamed
            .iter()
            .map(|(index, name)| (*index, &**name));
        assert_eq!(names.collect::<Vec<_>>(), renamed);
        let indexes: Vec<u32> = changes.new.iter().map(|it| it.index).collect();
        assert_eq!(indexes, new);
        assert!(changes.refused.is_empty(), "{:?}", changes.refused);
    }

    #[test]
    fn what_is_as_it_was_stays_as_it_is() {
        let now = [bridge(), port(2, "lan1", Some(1)), port(3, "eth1", None)];
        check(&[(2, "lan1"), (3, "eth1")], &now, &[], &[], &[]);
    }

    #[test]
    fn an_interface_that_was_made_anew_is_another_of_the_same_name() {
        let now = [port(7, "eth1", None)];
        check(&[(3, "eth1")], &now, &[(3, Departure::Vanished)], &[], &[7]);
    }

    #[test]
    fn ports_come_and_go_with_their_bridge() {
        let left = (2, Departure::NoneOfThose);
        let now = [bridge(), port(2, "lan1", None), port(4, "lan2", Some(1))];
        check(&[(2, "lan1")], &now, &[left], &[], &[4]);
        check(&[(2, "lan1")], &[], &[(2, Departure::Vanished)], &[], &[]);
    }

    #[test]
    fn a_port_keeps_its_place_under_another_name_and_a_named_interface_does_not() {
        let now = [bridge(), port(2, "kitchen", Some(1))];
        check(&[(2, "lan1")], &now, &[], &[(2, "kitchen")], &[]);
        let now = [port(3, "wan", None)];
        check(
            &[(3, "eth1")],
            &now,
            &[(3, Departure::NoneOfThose)],
            &[],
            &[],
        );
    }
}
