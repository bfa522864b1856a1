//! What the live view costs: processor time of a daemon's telling, and of the view that is told, with
//! 50,000 flows at one refresh a second. `cargo xtask bench live` runs it, in the lab's namespaces.
//!
//! The telling is what a daemon takes more with a view than without: rounds of both take turns under the
//! same traffic, of which a generator changes a share of the flows each second.

#![expect(clippy::print_stdout, reason = "its figures are for who runs it")]

mod traffic;
mod watcher;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::flowwatch::{Attach, Flowwatch, Run};
use flowwatch_tests::lab::{Lab, Resolver};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::traffic::Traffic;
use crate::watcher::Watcher;

const FLOWS: u32 = 50_000;
/// Shares of the flows that change each second, in percent: a home's evening, a busy office, all.
const SHARES: [u32; 3] = [5, 20, 100];
const ROUNDS: usize = 5;
/// How long a round is.
const ROUND: Duration = Duration::from_secs(8);
/// What passes before a round: a view is told everything at first.
const SETTLING: Duration = Duration::from_secs(3);

fn main() -> Result<()> {
    let lab = Lab::builder().resolver(Resolver::Nobody).build()?;
    lab.gateway.silence()?;
    lab.camera().namespace.silence()?;
    let folder = tempfile::tempdir()?;
    let bench = Bench { lab, folder };
    let daemon = bench.daemon()?;
    let traffic = Traffic::new(&bench.lab, FLOWS);
    traffic.send_everything()?;
    println!(
        "{FLOWS} flows with names and places; one refresh a second, on 200x50 characters; processor \
         time in % of a core, {ROUNDS} rounds of {} s",
        ROUND.as_secs()
    );
    println!("flows that change   daemon without   with a view   telling   view   together");
    for share in SHARES {
        let load = traffic.change(FLOWS * share / 100)?;
        let costs = bench.measure(&daemon)?;
        let sent = load.end()?;
        let kept = sent.packets_per_second() * 100.0 / f64::from(FLOWS * share / 100);
        ensure!(kept > 97.0, "the generator kept {kept:.0} % of its rate");
        costs.print(share);
    }
    daemon.document()?.ensure_whole()
}

struct Bench {
    lab: Lab,
    folder: TempDir,
}

/// Processor time in a second, of the rounds of each kind.
#[derive(Default)]
struct Costs {
    without: Vec<f64>,
    with: Vec<f64>,
    view: Vec<f64>,
}

impl Bench {
    fn socket(&self) -> PathBuf {
        self.folder.path().join("live.sock")
    }

    fn daemon(&self) -> Result<Flowwatch> {
        let device = self.lab.camera();
        let run = Run::new()?.interface(&device.port).attach(Attach::Tc);
        let tagged = traffic::devices();
        let run = tagged.fold(run, |run, (name, mac)| run.device(&name, mac));
        let run = run.options(&["--socket", &self.socket().to_string_lossy()]);
        run.options(&["--format", "json"]).start(&self.lab.gateway)
    }

    fn measure(&self, daemon: &Flowwatch) -> Result<Costs> {
        let mut costs = Costs::default();
        let daemon = daemon.process().pid();
        for _ in 0..ROUNDS {
            thread::sleep(SETTLING);
            costs.without.push(processor_share(&[daemon])?[0]);
            let view = Watcher::start(&self.lab.gateway, &self.socket())?;
            thread::sleep(SETTLING);
            let shares = processor_share(&[daemon, view.pid()])?;
            costs.with.push(shares[0]);
            costs.view.push(shares[1]);
            view.end()?;
        }
        Ok(costs)
    }
}

impl Costs {
    fn print(&self, share: u32) {
        let [without, with, view] = [&self.without, &self.with, &self.view].map(|it| median(it));
        let telling = with - without;
        println!(
            "{:>11} ({share:>3} %) {without:>14.2} {with:>15.2} {telling:>10.2} {view:>6.2} {:>9.2}",
            FLOWS * share / 100,
            telling + view
        );
    }
}

fn median(shares: &[f64]) -> f64 {
    let mut sorted = shares.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Returns how much of a core, in percent, each process takes in a round.
fn processor_share(processes: &[Pid]) -> Result<Vec<f64>> {
    let times = |processes: &[Pid]| -> Result<Vec<Duration>> {
        processes.iter().map(|pid| processor_time(*pid)).collect()
    };
    let (before, start) = (times(processes)?, Instant::now());
    thread::sleep(ROUND);
    let (after, passed) = (times(processes)?, start.elapsed());
    let shares = before.iter().zip(after);
    Ok(shares
        .map(|(before, after)| {
            100.0 * after.saturating_sub(*before).as_secs_f64() / passed.as_secs_f64()
        })
        .collect())
}

/// Returns the processor time of a process, with all that its threads took.
fn processor_time(process: Pid) -> Result<Duration> {
    let clock = ClockId::pid_cpu_clock_id(process).context("find the process's clock")?;
    Ok(clock_gettime(clock)?.into())
}
