//! The checks, as one list: what each is called, what it looks at, and its judgement.

use super::facts::{DatabaseFacts, DeviceFacts, Facts, InterfaceFacts};
use super::finding::{Finding, Scope, Verdict};
use super::{devices, files, host, interfaces, offloads, places};
use crate::kernel::flowtables::Flowtable;

/// A check.
#[derive(Debug)]
pub struct Check {
    /// Its name, which scripts go by: it stays.
    pub id: &'static str,
    /// What it asks, for help and documentation.
    pub description: &'static str,
    /// Whether `run` tells what it warns of when it begins to count.
    pub is_told_by_run: bool,
    judge: Judge,
}

/// A judgement, by what it looks at; no verdict where there is nothing to say.
#[derive(Debug)]
enum Judge {
    Host(fn(&Facts) -> Option<Verdict>),
    Interface(fn(&Facts, &InterfaceFacts) -> Option<Verdict>),
    Flowtable(fn(&Facts, &Flowtable) -> Option<Verdict>),
    Device(fn(&Facts, &DeviceFacts) -> Option<Verdict>),
    Database(fn(&Facts, &DatabaseFacts) -> Option<Verdict>),
}

impl Check {
    /// Returns what it looks at.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        match self.judge {
            Judge::Host(_) => Scope::Host,
            Judge::Interface(_) => Scope::Interface,
            Judge::Flowtable(_) => Scope::Flowtable,
            Judge::Device(_) => Scope::Device,
            Judge::Database(_) => Scope::Database,
        }
    }

    const fn new(id: &'static str, description: &'static str, judge: Judge) -> Self {
        Self {
            id,
            description,
            is_told_by_run: false,
            judge,
        }
    }

    const fn told_by_run(self) -> Self {
        Self {
            is_told_by_run: true,
            ..self
        }
    }
}

/// The checks, in the order in which their findings are shown.
pub const CHECKS: &[Check] = &[
    Check::new(
        "host.privileges",
        "May this user count?",
        Judge::Host(host::privileges),
    ),
    Check::new(
        "kernel.version",
        "Is the kernel new enough?",
        Judge::Host(host::version),
    ),
    Check::new(
        "kernel.maps",
        "Does the kernel have the kinds of BPF map that flowwatch uses?",
        Judge::Host(host::maps),
    ),
    Check::new(
        "kernel.programs",
        "Does the kernel take flowwatch's own programs? Each is loaded, and let go.",
        Judge::Host(host::programs),
    ),
    Check::new(
        "kernel.tcx",
        "Does the kernel have tcx, or does clsact take its place?",
        Judge::Host(host::tcx),
    ),
    Check::new(
        "bpf.jit",
        "Are BPF programs compiled?",
        Judge::Host(host::jit),
    )
    .told_by_run(),
    Check::new(
        "bpf.memory_lock",
        "Is there memory enough that may be locked, where the kernel wants that for maps?",
        Judge::Host(host::memory_lock),
    ),
    Check::new(
        "bpf.file_system",
        "Is `/sys/fs/bpf` a BPF file system, in which programs and counters can outlive a process?",
        Judge::Host(host::file_system),
    ),
    Check::new(
        "host.accelerator",
        "Is a vendor's module loaded that forwards round the kernel?",
        Judge::Host(offloads::accelerator),
    )
    .told_by_run(),
    Check::new(
        "host.clock",
        "Is the clock right, and does something keep it so?",
        Judge::Host(host::clock),
    ),
    Check::new(
        "history.file",
        "Can the history be written, and what does it hold?",
        Judge::Host(files::history),
    ),
    Check::new(
        "history.space",
        "Is there room for it?",
        Judge::Host(files::space),
    ),
    Check::new(
        "host.interfaces",
        "Can the named interfaces be counted on?",
        Judge::Host(interfaces::choice),
    ),
    Check::new(
        "interface.link",
        "Is the interface up? Its driver, and its MTU.",
        Judge::Interface(interfaces::link),
    ),
    Check::new(
        "interface.bridge",
        "Is it a bridge's port, and are the bridge's other ports counted on?",
        Judge::Interface(interfaces::bridge),
    )
    .told_by_run(),
    Check::new(
        "interface.hook",
        "Which hook would take what devices send, and can it?",
        Judge::Interface(places::hook),
    ),
    Check::new(
        "interface.xdp_slot",
        "Is another program in its XDP slot, which may drop or redirect packets unseen?",
        Judge::Interface(places::xdp_slot),
    )
    .told_by_run(),
    Check::new(
        "interface.tc_programs",
        "Who else is at its tc hooks?",
        Judge::Interface(places::tc_programs),
    ),
    Check::new(
        "interface.hw_tc_offload",
        "May its card forward connections by itself, so that no software sees them?",
        Judge::Interface(offloads::hw_tc_offload),
    )
    .told_by_run(),
    Check::new(
        "interface.switch",
        "Is it a port of a hardware switch, which forwards between its ports by itself?",
        Judge::Interface(offloads::switch),
    ),
    Check::new(
        "interface.lro",
        "Does its driver join received packets and forget where they ended?",
        Judge::Interface(offloads::lro),
    )
    .told_by_run(),
    Check::new(
        "interface.aggregates",
        "Which other offloads join, cut or strip packets? They are counted rightly.",
        Judge::Interface(offloads::aggregates),
    ),
    Check::new(
        "interface.programs_run",
        "Do the programs really run on it? They are attached at tc while devices are listened to.",
        Judge::Interface(places::programs_run),
    ),
    Check::new(
        "flowtable.offload",
        "Do nftables' flowtables hand connections to hardware, or only past the bridge?",
        Judge::Flowtable(offloads::flowtable),
    )
    .told_by_run(),
    Check::new(
        "device.seen",
        "Are the device's frames seen, in both directions, and where?",
        Judge::Device(devices::seen),
    ),
    Check::new(
        "device.dns",
        "Whom does it ask for names?",
        Judge::Device(devices::dns),
    ),
    Check::new(
        "database.usable",
        "Can the database be read?",
        Judge::Database(files::database),
    ),
    Check::new("database.age", "Is it recent?", Judge::Database(files::age)).told_by_run(),
];

/// Puts the facts to every check; the findings are in order of their subjects: the host, each
/// interface, flowtable, device and database.
#[must_use]
pub fn examine(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut judge = |scope, verdict: &dyn Fn(&Judge) -> Option<Verdict>, subject: Option<&str>| {
        for check in CHECKS.iter().filter(|check| check.scope() == scope) {
            let told = verdict(&check.judge).or_else(|| untold(facts, check.id, subject));
            let subject = subject.map(str::to_owned);
            findings.extend(told.map(|verdict| verdict.of(check, subject)));
        }
    };
    let of_host = |judge: &Judge| match judge {
        Judge::Host(judge) => judge(facts),
        _ => None,
    };
    judge(Scope::Host, &of_host, None);
    for interface in &facts.interfaces {
        let verdict = |judge: &Judge| match judge {
            Judge::Interface(judge) => judge(facts, interface),
            _ => None,
        };
        judge(Scope::Interface, &verdict, Some(&interface.interface.name));
    }
    if facts.flowtables.is_empty() {
        judge(Scope::Flowtable, &|_| None, None);
    }
    for flowtable in &facts.flowtables {
        let verdict = |judge: &Judge| match judge {
            Judge::Flowtable(judge) => judge(facts, flowtable),
            _ => None,
        };
        let name = format!("{} {}", flowtable.table, flowtable.name);
        judge(Scope::Flowtable, &verdict, Some(&name));
    }
    for device in &facts.devices {
        let verdict = |judge: &Judge| match judge {
            Judge::Device(judge) => judge(facts, device),
            _ => None,
        };
        judge(Scope::Device, &verdict, Some(&device.name));
    }
    for database in &facts.databases {
        let verdict = |judge: &Judge| match judge {
            Judge::Database(judge) => judge(facts, database),
            _ => None,
        };
        judge(Scope::Database, &verdict, Some(&database.name));
    }
    findings
}

/// Returns that a check can't tell, where that has another reason than privileges: those are told
/// once, for all.
fn untold(facts: &Facts, check: &str, subject: Option<&str>) -> Option<Verdict> {
    let unknown = facts.unknown.iter();
    let mut of_check = unknown.filter(|it| it.check == check && it.subject.as_deref() == subject);
    let reason = of_check.find_map(|it| it.reason.as_deref())?;
    Some(Verdict::info(format!("can't be told: {reason}")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::diagnosis::fixtures::{facts, lan0};
    use crate::diagnosis::{DeviceFacts, Severity, Unknown};

    #[test]
    fn each_check_has_a_name_of_its_own_of_two_words() {
        let ids: BTreeSet<_> = CHECKS.iter().map(|check| check.id).collect();
        assert_eq!(ids.len(), CHECKS.len());
        let is_plain = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
        for id in ids {
            assert!(id.chars().all(is_plain), "{id}");
            assert_eq!(id.split('.').count(), 2, "{id}");
        }
    }

    #[test]
    fn the_page_on_doctor_has_every_check() {
        let page = include_str!("../../../docs/doctor.md");
        let row = |check: &Check| {
            let told = if check.is_told_by_run { "yes" } else { "" };
            let (id, scope, asks) = (check.id, check.scope().name(), check.description);
            format!("| `{id}` | {scope} | {asks} | {told} |\n")
        };
        let rows: String = CHECKS.iter().map(row).collect();
        assert!(page.contains(&rows), "docs/doctor.md lacks:\n{rows}");
    }

    #[test]
    fn findings_are_in_order_of_their_subjects() {
        let mut facts = facts();
        let mut lan1 = lan0();
        lan1.interface.name = "lan1".to_owned();
        facts.interfaces.push(lan1);
        facts.devices.push(DeviceFacts {
            name: "camera".to_owned(),
            heard: Some(Vec::new()),
            ..DeviceFacts::default()
        });
        let findings = examine(&facts);
        let mut subjects: Vec<_> = findings.iter().map(|it| it.subject.as_deref()).collect();
        subjects.dedup();
        assert_eq!(subjects, [None, Some("lan0"), Some("lan1"), Some("camera")]);
    }

    #[test]
    fn what_can_not_be_told_is_no_judgement() {
        let mut facts = facts();
        let check = "interface.hw_tc_offload";
        let mut told = |reason: Option<&str>| {
            facts.unknown = vec![Unknown {
                check,
                subject: Some("lan0".to_owned()),
                reason: reason.map(str::to_owned),
            }];
            let findings = examine(&facts).into_iter();
            let of_check = findings.filter(|finding| finding.check == check);
            of_check
                .map(|it| (it.severity, it.found))
                .collect::<Vec<_>>()
        };
        let expected = "can't be told: not found".to_owned();
        assert_eq!(told(Some("not found")), [(Severity::Info, expected)]);
        assert_eq!(told(None), [], "that privileges are missing is told once");
        facts.unknown[0] = Unknown {
            check: "flowtable.offload",
            subject: None,
            reason: Some("timed out".to_owned()),
        };
        let findings = examine(&facts);
        assert!(findings.iter().any(|it| it.check == "flowtable.offload"));
    }
}
