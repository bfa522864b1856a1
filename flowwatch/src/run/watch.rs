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

/// A self-test under way, or none.
pub(crate) struct HookWatch {
    under_way: Option<(SelfTest, Instant)>,
    before: Vec<Interface>,
}

impl HookWatch {
    /// Begins to watch.
    pub(crate) fn new(test: SelfTest) -> Self {
        Self {
            under_way: Some((test, Instant::now() + PATIENCE)),
            before: Vec::new(),
        }
    }

    /// Compares with these counters of the interfaces, of a moment when all programs were attached.
    pub(crate) fn compare_with(&mut self, before: Vec<Interface>) {
        self.before = before;
    }

    /// Ends the test when every hook ran or the time is up. Returns what to tell the user.
    ///
    /// # Errors
    /// The map's error.
    pub(crate) async fn check(
        &mut self,
        attachments: &[Attachment],
    ) -> Result<Vec<String>, MapError> {
        let Some((test, deadline)) = &mut self.under_way else {
            return Ok(Vec::new());
        };
        let silent = test.silent(attachments)?;
        if !silent.is_empty() && Instant::now() < *deadline {
            return Ok(Vec::new());
        }
        test.stop()?;
        self.under_way = None;
        if silent.is_empty() {
            return Ok(Vec::new());
        }
        // Without counters to compare with there is nothing to say.
        let now = interface::list().await.unwrap_or_default();
        Ok(silent
            .iter()
            .filter_map(|hook| complaint(hook, &self.before, &now))
            .collect())
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
