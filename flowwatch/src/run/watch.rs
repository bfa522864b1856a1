//! The self-test's schedule: wait for each hook to run, and say which ones don't.

use std::time::Duration;

use aya::maps::MapError;
use flowwatch_common::abi::Direction;
use tokio::time::Instant;

use crate::kernel::attach::Attachment;
use crate::kernel::interface::{self, Interface};
use crate::kernel::self_test::{Hook, SelfTest};

/// How long hooks have to show that they run.
const PATIENCE: Duration = Duration::from_secs(10);
/// Packets of the interface's own counters that a hook may have missed while it was attached.
const TOLERANCE: u64 = 16;

/// A self-test, under way or at rest.
pub(crate) struct HookWatch {
    test: SelfTest,
    /// When the one under way ends; nothing at rest.
    deadline: Option<Instant>,
    /// The interfaces' counters of a moment when all programs were attached.
    before: Vec<Interface>,
    /// The same at the last look: what an interface had counted by then has passed its hooks since.
    last: Vec<Interface>,
    /// The hooks that were complained of.
    told: Vec<Hook>,
}

impl HookWatch {
    /// Begins to watch.
    pub(crate) fn new(test: SelfTest) -> Self {
        Self {
            test,
            deadline: Some(Instant::now() + PATIENCE),
            before: Vec::new(),
            last: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Compares with these counters of the interfaces, of a moment when all programs were attached.
    pub(crate) fn compare_with(&mut self, before: Vec<Interface>) {
        self.last.clone_from(&before);
        self.before = before;
    }

    /// Watches once more, as programs were attached to other interfaces: `now` are the counters of a
    /// moment before that.
    ///
    /// # Errors
    /// The map's error.
    pub(crate) fn resume(
        &mut self,
        attachments: &[Attachment],
        added: &[u32],
        now: &[Interface],
    ) -> Result<(), MapError> {
        let is_added = |interface: &&Interface| added.contains(&interface.index);
        let newcomers: Vec<_> = now.iter().filter(is_added).cloned().collect();
        let is_new = |name: &str| newcomers.iter().any(|it| it.name == name);
        self.told.retain(|hook| !is_new(&hook.interface));
        for counters in [&mut self.before, &mut self.last] {
            counters.retain(|it| !is_new(&it.name));
            counters.extend(newcomers.iter().cloned());
        }
        self.deadline = Some(Instant::now() + PATIENCE);
        self.test.resume(attachments)
    }

    /// Ends the test when every hook ran or the time is up. Returns what to tell the user.
    ///
    /// # Errors
    /// The map's error.
    pub(crate) async fn check(
        &mut self,
        attachments: &[Attachment],
    ) -> Result<Vec<String>, MapError> {
        let complaints = self.complaints(attachments)?;
        if self.deadline.is_some() {
            self.look().await;
        }
        Ok(complaints)
    }

    /// Remembers the interfaces' counters.
    pub(crate) async fn look(&mut self) {
        // A list that can't be had is no reason to forget the last one.
        if let Ok(interfaces) = interface::list().await {
            self.last = interfaces;
        }
    }

    /// Returns what is wrong with hooks that have not run, though packets had passed them at the
    /// last look, and that were not complained of yet.
    ///
    /// # Errors
    /// The map's error.
    pub(crate) fn complaints(
        &mut self,
        attachments: &[Attachment],
    ) -> Result<Vec<String>, MapError> {
        let Some(deadline) = self.deadline else {
            return Ok(Vec::new());
        };
        let silent = self.test.silent(attachments)?;
        if silent.is_empty() || Instant::now() >= deadline {
            self.test.stop()?;
            self.deadline = None;
        }
        let mut complaints = Vec::new();
        for hook in silent {
            if self.told.contains(&hook) {
                continue;
            }
            if let Some(complaint) = complaint(&hook, &self.before, &self.last) {
                complaints.push(complaint);
                self.told.push(hook);
            }
        }
        Ok(complaints)
    }
}

/// Returns what is wrong with a hook that did not run, unless nothing passed it.
fn complaint(hook: &Hook, before: &[Interface], now: &[Interface]) -> Option<String> {
    let count = |interfaces: &[Interface]| {
        let interface = interfaces
            .iter()
            .find(|other| other.name == hook.interface)?;
        Some(match hook.direction {
            Direction::Up => interface.received_packets,
            Direction::Down => interface.sent_packets,
        })
    };
    let passed = count(now)?.saturating_sub(count(before)?);
    let side = match hook.direction {
        Direction::Up => "ingress",
        Direction::Down => "egress",
    };
    (passed > TOLERANCE).then(|| {
        format!(
            "the {side} program on `{}` does not run: {passed} packets passed the interface and \
             none the program; another program may end the chain before it",
            hook.interface
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lan0(received_packets: u64) -> Vec<Interface> {
        vec![Interface {
            name: "lan0".into(),
            received_packets,
            ..Interface::default()
        }]
    }

    fn hook() -> Hook {
        Hook {
            interface: "lan0".into(),
            direction: Direction::Up,
        }
    }

    #[test]
    fn a_hook_that_packets_passed_by_is_reported() {
        let text = complaint(&hook(), &lan0(100), &lan0(200)).unwrap();
        assert!(text.contains("ingress program on `lan0`") && text.contains("100 packets"));
    }

    #[test]
    fn a_quiet_interface_is_not_reported() {
        assert_eq!(complaint(&hook(), &lan0(100), &lan0(103)), None);
        assert_eq!(complaint(&hook(), &lan0(100), &[]), None, "it is gone");
    }
}
