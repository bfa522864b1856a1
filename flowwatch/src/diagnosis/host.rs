//! Judgements of the host: kernel, privileges, BPF's settings, clock.

#![expect(
    clippy::unnecessary_wraps,
    reason = "judgements have one type, also those that always have something to say"
)]

use std::collections::BTreeSet;

use super::facts::Facts;
use super::finding::Verdict;
use crate::history::EARLIEST_PLAUSIBLE;

/// The oldest kernel that flowwatch is for.
const OLDEST_KERNEL: (u32, u32) = (5, 10);
/// Memory that the maps of the default sizes take, and some more.
const LOCKED_OCTETS: u64 = 512 << 20;

pub(super) fn privileges(facts: &Facts) -> Option<Verdict> {
    let missing = &facts.host.missing_capabilities;
    let untold: BTreeSet<_> = facts
        .unknown
        .iter()
        .filter(|unknown| unknown.reason.is_none())
        .map(|unknown| unknown.check)
        .collect();
    let untold: Vec<_> = untold.into_iter().collect();
    let not_looked_at = match untold[..] {
        [] => String::new(),
        _ => format!(
            "; not looked at for want of privileges: {}",
            untold.join(", ")
        ),
    };
    Some(match (&missing[..], &untold[..]) {
        ([], []) => Verdict::ok("this user may load and attach programs"),
        ([], _) => Verdict::info(format!(
            "this user may load and attach programs{not_looked_at}"
        ))
        .advised("run doctor as root to have these told, too"),
        _ => Verdict::error(
            format!(
                "this user may not count: {} missing{not_looked_at}",
                missing.join(", ")
            ),
            "run flowwatch as root, or give it CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON",
        ),
    })
}

pub(super) fn version(facts: &Facts) -> Option<Verdict> {
    let kernel = facts.host.kernel.as_ref()?;
    let text = &kernel.text;
    Some(if kernel.version < OLDEST_KERNEL {
        Verdict::warning(
            format!("Linux {text} is older than 5.10, and flowwatch is not tested there"),
            "see whether kernel.programs is ok; else run a newer kernel",
        )
    } else {
        Verdict::ok(format!("Linux {text}"))
    })
}

pub(super) fn maps(facts: &Facts) -> Option<Verdict> {
    let missing = facts.host.missing_maps.as_ref()?;
    let named = |of: &dyn Fn(&crate::kernel::probe::MissingMap) -> String| {
        missing.iter().map(of).collect::<Vec<_>>().join(", ")
    };
    Some(if missing.is_empty() {
        Verdict::ok("the kernel has all kinds of map that flowwatch uses")
    } else {
        Verdict::error(
            format!(
                "the kernel lacks {}",
                named(&|map| format!("{} (Linux {})", map.name, map.since_kernel))
            ),
            "run a newer kernel, with CONFIG_BPF_SYSCALL",
        )
    })
}

pub(super) fn programs(facts: &Facts) -> Option<Verdict> {
    let probes = match facts.host.programs.as_ref()? {
        Ok(probes) => probes,
        Err(reason) => {
            return Some(Verdict::error(
                format!("the programs can't be tried: {reason}"),
                "see what the sentence names; flowwatch doctor -vv shows more",
            ));
        }
    };
    let refused: Vec<_> = probes.iter().filter(|it| it.refusal.is_some()).collect();
    let names: Vec<_> = refused.iter().map(|probe| probe.name).collect();
    let names = names.join(", ");
    let reason = refused.iter().find_map(|probe| probe.refusal.as_deref());
    let reason = reason.map(shortened).unwrap_or_default();
    Some(if refused.is_empty() {
        Verdict::ok(format!("the kernel takes all {} programs", probes.len()))
    } else if refused.iter().all(|probe| probe.is_dispensable()) {
        Verdict::info(format!(
            "the kernel does not take {names} ({reason}); tc counts where they would"
        ))
    } else {
        Verdict::error(
            format!("the kernel does not take {names}: {reason}"),
            "run a newer kernel, or one with CONFIG_BPF_SYSCALL, CONFIG_NET_CLS_BPF and \
             CONFIG_NET_SCH_INGRESS",
        )
    })
}

/// The verifier's words can go on for pages.
fn shortened(reason: &str) -> String {
    const MOST: usize = 160;
    let words = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(MOST) {
        Some((end, _)) => format!("{} …", &words[..end]),
        None => words,
    }
}

pub(super) fn tcx(facts: &Facts) -> Option<Verdict> {
    Some(if facts.host.has_tcx? {
        Verdict::ok("the kernel has tcx")
    } else {
        Verdict::info("the kernel has no tcx (Linux 6.6); filters of clsact take its place")
    })
}

pub(super) fn jit(facts: &Facts) -> Option<Verdict> {
    Some(match facts.host.jit? {
        0 => Verdict::warning(
            "BPF programs are interpreted, which costs several times as much a packet",
            "sysctl net.core.bpf_jit_enable=1",
        ),
        2 => Verdict::warning(
            "BPF programs are compiled, and written to the kernel's log as they are",
            "sysctl net.core.bpf_jit_enable=1",
        ),
        _ => Verdict::ok("BPF programs are compiled"),
    })
}

pub(super) fn memory_lock(facts: &Facts) -> Option<Verdict> {
    let lock = facts.host.memory_lock?;
    let may_raise = facts.host.missing_capabilities.is_empty();
    Some(match lock.limit {
        _ if !lock.is_charged => Verdict::ok("the kernel charges maps to no limit of this process"),
        Some(limit) if limit < LOCKED_OCTETS && !may_raise => Verdict::warning(
            format!(
                "maps count as locked memory, of which this user may have {} KiB",
                limit >> 10
            ),
            "ulimit -l unlimited, or LimitMEMLOCK=infinity in the service's unit",
        ),
        _ => Verdict::ok("maps count as locked memory, of which there may be enough"),
    })
}

pub(super) fn file_system(facts: &Facts) -> Option<Verdict> {
    Some(if facts.host.has_bpf_file_system? {
        Verdict::ok("/sys/fs/bpf is a BPF file system")
    } else {
        Verdict::info(
            "/sys/fs/bpf is no BPF file system, in which counters could outlive flowwatch",
        )
        .advised("mount -t bpf bpf /sys/fs/bpf")
    })
}

pub(super) fn clock(facts: &Facts) -> Option<Verdict> {
    let shown = facts.now.strftime("%Y-%m-%d %H:%M:%S UTC");
    if facts.now < EARLIEST_PLAUSIBLE {
        return Some(Verdict::error(
            format!("the clock says {shown}: no history is recorded as long as it is wrong"),
            "set it, best by NTP; times of what is counted until then move with it",
        ));
    }
    Some(match facts.host.is_clock_synchronized {
        Some(false) => Verdict::info(format!(
            "the clock says {shown}, and by the kernel's word nothing keeps it right"
        ))
        .advised("let NTP keep it, so that times hold as evidence"),
        _ => Verdict::ok(format!("the clock says {shown}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::facts::{KernelRelease, MemoryLock, Unknown};
    use crate::diagnosis::finding::Severity::{Error, Info, Ok as Well, Warning};
    use crate::diagnosis::fixtures::{check, facts};
    use crate::kernel::probe::{MissingMap, ProgramProbe};

    #[test]
    fn privileges_that_are_missing_are_one_error_that_names_what_was_not_looked_at() {
        let mut facts = facts();
        check(privileges(&facts), Well, "may load");
        let unknown = |check, reason: Option<&str>| Unknown {
            check,
            subject: None,
            reason: reason.map(str::to_owned),
        };
        facts.unknown = vec![
            unknown("kernel.maps", None),
            unknown("kernel.maps", None),
            unknown("kernel.tcx", Some("because")),
        ];
        check(
            privileges(&facts),
            Info,
            "not looked at for want of privileges: kernel.maps",
        );
        facts.host.missing_capabilities = vec!["CAP_BPF", "CAP_PERFMON"];
        let told = "may not count: CAP_BPF, CAP_PERFMON missing; not looked at";
        check(privileges(&facts), Error, told);
    }

    #[test]
    fn a_kernel_before_5_10_is_warned_of() {
        let mut facts = facts();
        let mut at = |text: &str, numbers, severity| {
            facts.host.kernel = Some(KernelRelease {
                text: text.to_owned(),
                version: numbers,
            });
            check(version(&facts), severity, text);
        };
        at("5.9.16", (5, 9), Warning);
        at("4.19.0-26-amd64", (4, 19), Warning);
        at("5.10.0", (5, 10), Well);
        at("6.1.0-13-amd64", (6, 1), Well);
    }

    #[test]
    fn a_kind_of_map_that_is_missing_is_named_with_its_release() {
        let mut facts = facts();
        facts.host.missing_maps = Some(Vec::new());
        check(maps(&facts), Well, "all kinds");
        facts.host.missing_maps = Some(vec![MissingMap {
            name: "ringbuf",
            since_kernel: "5.8",
        }]);
        check(maps(&facts), Error, "ringbuf (Linux 5.8)");
    }

    #[test]
    fn a_program_that_is_refused_is_an_error_unless_tc_takes_its_place() {
        let mut facts = facts();
        let probe = |name, refusal: Option<&str>| ProgramProbe {
            name,
            refusal: refusal.map(str::to_owned),
        };
        let (well, large) = (probe("flowwatch_ingress", None), "flowwatch_xdp_frags");
        facts.host.programs = Some(Ok(vec![well.clone(), probe(large, None)]));
        check(programs(&facts), Well, "all 2 programs");
        facts.host.programs = Some(Ok(vec![well, probe(large, Some("unknown flag"))]));
        check(programs(&facts), Info, "flowwatch_xdp_frags (unknown flag)");
        let refused = probe("flowwatch_ingress", Some("unknown\nfunc 118"));
        facts.host.programs = Some(Ok(vec![refused]));
        check(programs(&facts), Error, "unknown func 118");
        facts.host.programs = Some(Err("no BTF".to_owned()));
        check(programs(&facts), Error, "can't be tried: no BTF");
    }

    #[test]
    fn what_the_verifier_says_is_cut() {
        assert_eq!(shortened(&"é ".repeat(999)).chars().count(), 162);
    }

    #[test]
    fn settings_of_bpf_that_cost_or_hinder_are_warned_of() {
        let mut facts = facts();
        for (setting, severity) in [(0, Warning), (1, Well), (2, Warning)] {
            facts.host.jit = Some(setting);
            check(jit(&facts), severity, "BPF programs are");
        }
        for (has, severity) in [(true, Well), (false, Info)] {
            facts.host.has_bpf_file_system = Some(has);
            check(file_system(&facts), severity, "/sys/fs/bpf");
        }
        for (has, severity) in [(true, Well), (false, Info)] {
            facts.host.has_tcx = Some(has);
            check(tcx(&facts), severity, "tcx");
        }
    }

    #[test]
    fn locked_memory_matters_on_old_kernels_to_users_who_may_not_raise_the_limit() {
        let mut facts = facts();
        let mut with = |is_charged, limit, missing: &[&'static str], severity| {
            facts.host.memory_lock = Some(MemoryLock { is_charged, limit });
            facts.host.missing_capabilities = missing.to_vec();
            check(memory_lock(&facts), severity, "maps");
        };
        with(false, Some(8 << 20), &["CAP_BPF"], Well);
        with(true, Some(64 << 10), &[], Well);
        with(true, Some(64 << 10), &["CAP_BPF"], Warning);
        with(true, None, &["CAP_BPF"], Well);
    }

    #[test]
    fn a_clock_that_began_in_1970_is_an_error_and_one_that_nobody_keeps_is_told() {
        let mut facts = facts();
        facts.host.is_clock_synchronized = Some(false);
        check(clock(&facts), Info, "nothing keeps it right");
        facts.host.is_clock_synchronized = Some(true);
        check(clock(&facts), Well, "2026-11-25");
        facts.now = "1970-01-01T00:07:00Z".parse().unwrap();
        check(clock(&facts), Error, "1970-01-01");
    }
}
