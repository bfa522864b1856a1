//! Facts for tests: a gateway on which all is well, with one interface.

use super::facts::{Facts, HostFacts, InterfaceFacts};
use super::finding::{Severity, Verdict};
use super::{CHECKS, Finding};
use crate::kernel::attach::IngressHook;
use crate::kernel::interface::Interface;
use crate::kernel::link_details::LinkDetails;

/// A host that counts on `lan0`, on 2026-11-25 at noon.
pub(crate) fn facts() -> Facts {
    Facts {
        now: "2026-11-25T12:00:00Z".parse().unwrap(),
        host: HostFacts {
            has_choice: true,
            ..HostFacts::default()
        },
        interfaces: vec![lan0()],
        flowtables: Vec::new(),
        devices: Vec::new(),
        databases: Vec::new(),
        listened: None,
        unknown: Vec::new(),
    }
}

/// A veth that is up.
pub(crate) fn lan0() -> InterfaceFacts {
    InterfaceFacts {
        interface: Interface {
            index: 2,
            name: "lan0".into(),
            kind: "veth".into(),
            is_ethernet: true,
            ..Interface::default()
        },
        details: LinkDetails {
            is_up: true,
            has_carrier: true,
            mtu: 1500,
            ..LinkDetails::default()
        },
        choice: Some((IngressHook::Tc, "on veth".to_owned())),
        ..InterfaceFacts::default()
    }
}

/// Compares a verdict's severity, and looks for a part of what it says. Who warns says what to do.
pub(super) fn check(verdict: Option<Verdict>, severity: Severity, part: &str) {
    let finding = verdict.map(|verdict| verdict.of(&CHECKS[0], None));
    let Some(Finding {
        severity: told,
        found,
        advice,
        ..
    }) = finding
    else {
        panic!("no verdict, but {severity:?} was expected: {part}")
    };
    assert_eq!(told, severity, "{found}");
    assert!(found.contains(part), "`{found}` lacks `{part}`");
    assert!(!found.ends_with('.') && !found.contains('\n'), "{found}");
    assert!(severity < Severity::Warning || advice.is_some(), "{found}");
}
