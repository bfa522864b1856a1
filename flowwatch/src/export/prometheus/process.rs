//! Metrics of the process, under the names that every exporter has them.
//!
//! Read from /proc as a page is made. What can't be read is left out.

use std::fs;

use super::metric::Kind::{Counter, Gauge};
use super::metric::Metric;
use super::page::Samples;

/// The metrics.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "process_cpu_seconds",
        kind: Counter,
        unit: "seconds",
        help: "Processor time of the process, in user space and in the kernel.",
        labels: &[],
        samples: |_, samples| {
            let stat = Stat::read();
            add(samples, stat.and_then(|stat| seconds(stat.processor()?)));
        },
    },
    Metric {
        name: "process_resident_memory_bytes",
        kind: Gauge,
        unit: "bytes",
        help: "Memory of the process that is in RAM.",
        labels: &[],
        samples: |_, samples| {
            add(
                samples,
                Stat::read().and_then(|stat| stat.resident_octets()),
            );
        },
    },
    Metric {
        name: "process_virtual_memory_bytes",
        kind: Gauge,
        unit: "bytes",
        help: "Address space of the process.",
        labels: &[],
        samples: |_, samples| add(samples, Stat::read().and_then(|stat| stat.field(23))),
    },
    Metric {
        name: "process_threads",
        kind: Gauge,
        unit: "",
        help: "Threads of the process.",
        labels: &[],
        samples: |_, samples| add(samples, Stat::read().and_then(|stat| stat.field(20))),
    },
    Metric {
        name: "process_open_fds",
        kind: Gauge,
        unit: "",
        help: "Open file descriptors of the process.",
        labels: &[],
        samples: |_, samples| {
            let descriptors = fs::read_dir("/proc/self/fd").ok();
            add(samples, descriptors.map(Iterator::count));
        },
    },
    Metric {
        name: "process_max_fds",
        kind: Gauge,
        unit: "",
        help: "File descriptors that the process may open.",
        labels: &[],
        samples: |_, samples| {
            let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
            add(samples, most_descriptors(&limits));
        },
    },
    Metric {
        name: "process_start_time_seconds",
        kind: Gauge,
        unit: "seconds",
        help: "When the process began, since the Unix epoch.",
        labels: &[],
        samples: |_, samples| add(samples, started_at()),
    },
];

fn add(samples: &mut Samples<'_>, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        samples.add(&[], value);
    }
}

/// `/proc/self/stat` (proc(5)).
struct Stat(Vec<String>);

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// Splits its fields; the program's name, which may hold anything, ends with the last parenthesis.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        Some(Self(rest.split_whitespace().map(str::to_owned).collect()))
    }

    /// Returns a field by its number in proc(5), from 3 on.
    fn field(&self, number: usize) -> Option<u64> {
        self.0.get(number.checked_sub(3)?)?.parse().ok()
    }

    fn processor(&self) -> Option<u64> {
        Some(self.field(14)? + self.field(15)?)
    }

    fn resident_octets(&self) -> Option<u64> {
        let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
        self.field(24)?.checked_mul(u64::try_from(page).ok()?)
    }
}

/// Returns ticks as seconds.
fn seconds(ticks: u64) -> Option<String> {
    let rate = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??;
    let rate = u64::try_from(rate).ok().filter(|rate| *rate > 0)?;
    Some(in_seconds(ticks, rate))
}

/// Returns so many parts of a second as a number with two decimals.
fn in_seconds(ticks: u64, rate: u64) -> String {
    let hundredths = u128::from(ticks) * 100 / u128::from(rate);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn started_at() -> Option<String> {
    let stat = Stat::read()?;
    let uptime = seconds(stat.field(22)?)?;
    let text = fs::read_to_string("/proc/stat").ok()?;
    let booted = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    let booted: u64 = booted.trim().parse().ok()?;
    let (seconds, hundredths) = uptime.split_once('.')?;
    let seconds: u64 = seconds.parse().ok()?;
    Some(format!("{}.{hundredths}", booted + seconds))
}

fn most_descriptors(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_a_name_that_looks_like_fields() {
        let text = "77 (a) S 1 2) S 1 77 77 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 4 0 1234 99 88 1";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(stat.processor(), Some(300));
        assert_eq!((stat.field(20), stat.field(22)), (Some(4), Some(1234)));
        assert_eq!((stat.field(23), stat.field(24)), (Some(99), Some(88)));
        assert!(Stat::parse("").is_none());
    }

    #[test]
    fn ticks_become_seconds() {
        assert_eq!(in_seconds(300, 100), "3.00");
        assert_eq!(in_seconds(7, 250), "0.02");
    }

    #[test]
    fn the_limit_of_descriptors_is_the_soft_one() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\n\
                      Max open files            1024                 524288               files\n";
        assert_eq!(most_descriptors(limits), Some(1024));
    }

    #[test]
    fn this_process_has_all_of_it() {
        let stat = Stat::read().unwrap();
        assert!(stat.resident_octets().unwrap() > 1 << 20);
        let started_at: f64 = started_at().unwrap().parse().unwrap();
        let now = jiff::Timestamp::now().as_duration().as_secs_f64();
        assert!((now - 3_600.0..now + 2.0).contains(&started_at));
    }
}
