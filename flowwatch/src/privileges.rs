//! What the process may do while it counts; the rest it gives up for good, before it begins.
//!
//! Linux keeps capabilities by thread, and a thread hands them on to those that it starts
//! (capabilities(7)): so they are given up while there is no other thread. What is kept is what
//! counting needs again and again: the clock is read by a program, interfaces come back, and SIGHUP
//! has programs loaded anew. The Linux capabilities that files need stay only where a file that is to
//! be read or written later asks for them. One more stays until all is prepared: to see whose programs
//! are at an interface takes `CAP_SYS_ADMIN`.

mod files;
mod user;

use std::fmt;
use std::path::Path;

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities, set_no_new_privs,
};

use self::files::LaterFiles;
pub use self::user::UserError;
use crate::plan::RunPlan;

/// What counting needs: to load programs and maps, to read addresses in them, and to attach them.
const COUNTING: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::PERFMON);

/// What preparing takes besides: to look at others' programs.
const PREPARING: CapabilitySet = CapabilitySet::SYS_ADMIN;

/// What a file in another user's folder needs that is replaced.
const REPLACING: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER);

/// Why privileges were not given up.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// The user to become.
    #[error(transparent)]
    User(#[from] UserError),
    /// The system refused.
    #[error(
        "give up privileges: {0}; the service manager that starts flowwatch may hold them back"
    )]
    Refused(#[from] Errno),
}

/// What is left, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    capabilities: CapabilitySet,
    /// How many were given up.
    given_up: u32,
    user: Option<String>,
    /// Files for which more is kept than counting takes.
    because: Vec<String>,
}

/// Gives up what counting by this plan does not need, of this thread and of those that it starts: call
/// it while there is no other, and [`end_preparation`] before there is one. `config` is the file that SIGHUP has read again. Becomes the plan's user,
/// where it names one. Who has no privileges gives none up.
///
/// # Errors
/// [`PrivilegeError`]; then some may have been given up.
pub fn limit(plan: &RunPlan, config: Option<&Path>) -> Result<Kept, PrivilegeError> {
    let before = capabilities(None)?.permitted;
    let mut kept = needed(before);
    user::join(plan, before)?;
    set_keep_capabilities(true)?;
    user::become_user(plan.user.as_deref())?;
    // Asked with what will be left: only so do files say what they need.
    set_sets(kept, before)?;
    let files = LaterFiles::of(plan, config);
    let (foreign, hidden) = (files.foreign(), files.hidden());
    if plan.user.is_none() {
        let more = when(!foreign.is_empty(), REPLACING)
            | when(!hidden.is_empty(), CapabilitySet::DAC_READ_SEARCH);
        kept |= more & before;
    }
    set_sets(kept.union(CapabilitySet::SETPCAP) & before, before)?;
    if before.contains(CapabilitySet::SETPCAP) {
        limit_bounding_set(kept)?;
    }
    let preparing = kept.union(PREPARING) & before;
    set_sets(preparing, preparing)?;
    set_no_new_privs(true)?;
    Ok(Kept {
        capabilities: kept,
        given_up: before.difference(kept).bits().count_ones(),
        user: plan.user.clone(),
        because: foreign.into_iter().chain(hidden).collect(),
    })
}

/// Gives up what only the preparation took, of this thread and of those that it starts.
///
/// # Errors
/// When the system refuses.
pub fn end_preparation() -> Result<(), PrivilegeError> {
    let permitted = capabilities(None)?.permitted;
    let kept = permitted.difference(PREPARING.difference(needed(permitted)));
    Ok(set_sets(kept, kept)?)
}

/// Returns what to keep for counting, of what there is. Where the newer ones are missing, the one that
/// includes them has to stay.
fn needed(permitted: CapabilitySet) -> CapabilitySet {
    let newer = CapabilitySet::BPF | CapabilitySet::PERFMON;
    let older = when(!permitted.contains(newer), CapabilitySet::SYS_ADMIN);
    (COUNTING | older) & permitted
}

fn when(is_needed: bool, capabilities: CapabilitySet) -> CapabilitySet {
    if is_needed {
        capabilities
    } else {
        CapabilitySet::empty()
    }
}

/// Sets what this thread may use, and what it may take up again. Nothing is handed on to another
/// program.
fn set_sets(effective: CapabilitySet, permitted: CapabilitySet) -> Result<(), Errno> {
    let sets = CapabilitySets {
        effective,
        permitted,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets)
}

/// Takes away what no program that is started from here could get again.
fn limit_bounding_set(kept: CapabilitySet) -> Result<(), Errno> {
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(one) {
            Ok(true) if !kept.contains(one) => remove_capability_from_bounding_set(one)?,
            Ok(_) => {}
            // Behind the last that this kernel knows.
            Err(_) => break,
        }
    }
    Ok(())
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.capabilities.iter_names();
        let names: Vec<_> = names.map(|(name, _)| format!("CAP_{name}")).collect();
        let names = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        write!(
            f,
            "privileges: {} given up for good, kept {names}",
            self.given_up
        )?;
        if !self.because.is_empty() {
            write!(f, ", also for {}", self.because.join(", "))?;
        }
        match &self.user {
            Some(user) => write!(f, "; runs as the user `{user}`"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_keeps_three_and_on_an_older_footing_the_one_that_includes_them() {
        let all = CapabilitySet::from_bits_retain(0x1ff_ffff_ffff);
        assert_eq!(needed(all), COUNTING);
        // By their numbers in include/uapi/linux/capability.h.
        assert_eq!(COUNTING.bits(), 1 << 12 | 1 << 38 | 1 << 39);
        let older = CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN | CapabilitySet::CHOWN;
        assert_eq!(
            needed(older),
            CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN
        );
        assert!(needed(CapabilitySet::empty()).is_empty());
    }

    #[test]
    fn what_is_left_is_told_in_one_line() {
        let kept = Kept {
            capabilities: COUNTING,
            given_up: 38,
            user: None,
            because: Vec::new(),
        };
        assert_eq!(
            kept.to_string(),
            "privileges: 38 given up for good, kept CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF"
        );
        let more = Kept {
            capabilities: CapabilitySet::CHOWN,
            given_up: 40,
            user: Some("flowwatch".to_owned()),
            because: vec!["`/home/a`".to_owned()],
        };
        assert_eq!(
            more.to_string(),
            "privileges: 40 given up for good, kept CAP_CHOWN, also for `/home/a`; runs as the user \
             `flowwatch`"
        );
    }
}
