//! What was gathered and could not be: the outcome of each look, as a fact or as its absence.

use std::error::Error;
use std::io;

use crate::diagnosis::{HostFacts, Unknown};
use crate::kernel::flowtables::{self, Flowtable};
use crate::kernel::interface::{Interface, InterfaceError};
use crate::kernel::places::io_error_in;
use crate::kernel::support::{NotPermitted, causes, io_error_of, is_not_permitted};

/// The looks so far.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    unknown: Vec<Unknown>,
}

impl Gathering {
    /// Returns what a look for a check found; nothing where it could not be told, which is kept.
    pub(super) fn known<T, E: Error + 'static>(
        &mut self,
        check: &'static str,
        subject: Option<&str>,
        outcome: Result<T, E>,
    ) -> Option<T> {
        match outcome {
            Ok(fact) => Some(fact),
            Err(error) => {
                let reason = (!is_for_want_of_privileges(&error)).then(|| causes(&error));
                self.untold(check, subject, reason);
                None
            }
        }
    }

    /// Keeps that something could not be told; without a reason, for want of privileges.
    pub(super) fn untold(
        &mut self,
        check: &'static str,
        subject: Option<&str>,
        reason: Option<String>,
    ) {
        self.unknown.push(Unknown {
            check,
            subject: subject.map(str::to_owned),
            reason,
        });
    }

    /// Returns whether programs can be attached to listen; keeps that they can't for want of
    /// privileges.
    pub(super) fn may_listen(&mut self, host: &HostFacts, chosen: &[Interface]) -> bool {
        if !host.missing_capabilities.is_empty() {
            self.untold("device.seen", None, None);
            return false;
        }
        !chosen.is_empty() && matches!(host.programs, Some(Ok(_)))
    }

    /// Returns nftables' flowtables; none on a kernel that has none of it.
    pub(super) async fn flowtables(&mut self) -> Vec<Flowtable> {
        let listed = match flowtables::list().await {
            Err(error) if has_no_nftables(&error) => Ok(Vec::new()),
            listed => listed,
        };
        let listed = self.known("flowtable.offload", None, listed);
        listed.unwrap_or_default()
    }

    /// Returns what could not be told.
    pub(super) fn into_unknown(self) -> Vec<Unknown> {
        self.unknown
    }
}

fn is_for_want_of_privileges(error: &(dyn Error + 'static)) -> bool {
    let of_interface = error.downcast_ref::<InterfaceError>().and_then(io_error_in);
    error.is::<NotPermitted>()
        || io_error_of(error).is_some_and(is_not_permitted)
        || of_interface.is_some_and(|error| is_not_permitted(&error))
}

/// The socket's answers, and nfnetlink's, where nobody serves nftables.
fn has_no_nftables(error: &io::Error) -> bool {
    let codes = [libc::EPROTONOSUPPORT, libc::EOPNOTSUPP, libc::EINVAL];
    error
        .raw_os_error()
        .is_some_and(|code| codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileges_are_told_from_other_reasons() {
        let mut gathering = Gathering::default();
        let mut look = |code| {
            let outcome: Result<(), _> = Err(io::Error::from_raw_os_error(code));
            assert_eq!(gathering.known("kernel.tcx", Some("lan0"), outcome), None);
        };
        look(libc::EPERM);
        look(libc::EIO);
        let unknown = gathering.into_unknown();
        assert_eq!(unknown[0].reason, None);
        let reason = unknown[1].reason.as_deref().unwrap();
        assert!(reason.contains("os error 5"), "{reason}");
        assert_eq!(unknown[1].subject.as_deref(), Some("lan0"));
    }
}
