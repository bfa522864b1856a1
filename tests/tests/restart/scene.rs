//! What the tests of restarts stand on: a lab under load, and a flowwatch that persists in folders of
//! the test's own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use flowwatch_tests::flowwatch::{Attach, Document, Ended, Flowwatch, Run};
use flowwatch_tests::lab::{Addressing, Device, DeviceSpec, Lab, LabBuilder, Resolver};
use flowwatch_tests::pin_folder::PinFolder;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::process::{Process, Stream as Output};
use flowwatch_tests::specimen::{Ends, Specimen, Way};
use flowwatch_tests::volley::{self, Fired, Stream};
use nix::sys::signal::Signal;
use tempfile::TempDir;

/// The devices.
const DEVICES: [&str; 2] = ["camera", "plug"];
/// Remotes of each device.
const REMOTES: u16 = 200;
/// Packets of each generator, in one volley.
const PACKETS: u64 = 20_000;
/// What a run that persists is told beside what it is to count.
const OPTIONS: [&str; 8] = [
    "--persist",
    "--no-builtin-geo",
    "--interval",
    "20ms",
    "--record-interval",
    "200ms",
    "--format",
    "json",
];
/// How long a flowwatch may take to start or to end.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Waits for this test's turn; none when the machine lacks something.
pub(crate) fn turn() -> Result<Option<MutexGuard<'static, ()>>> {
    static MACHINE: Mutex<()> = Mutex::new(());
    if !granted(&[Need::Root, Need::Flowwatch])? {
        return Ok(None);
    }
    // A test that failed leaves nothing behind that the next one would meet.
    Ok(Some(MACHINE.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// A lab, and the folders of a flowwatch that counts there.
pub(crate) struct Scene {
    pub(crate) lab: Lab,
    pub(crate) folder: TempDir,
    pub(crate) pins: PinFolder,
}

impl Scene {
    pub(crate) fn new() -> Result<Self> {
        let add =
            |lab: LabBuilder, name: &&str| lab.device(DeviceSpec::new(name, Addressing::Bare));
        let lab = Lab::builder().resolver(Resolver::Nobody);
        let lab = DEVICES.iter().fold(lab, add).build()?;
        lab.gateway.silence()?;
        for device in &lab.devices {
            device.namespace.silence()?;
        }
        Self::of(lab)
    }

    /// A lab of a test's own, and folders.
    pub(crate) fn of(lab: Lab) -> Result<Self> {
        Ok(Self {
            lab,
            folder: tempfile::tempdir()?,
            pins: PinFolder::new()?,
        })
    }

    pub(crate) fn history(&self) -> PathBuf {
        self.folder.path().join("history.db")
    }

    pub(crate) fn devices(&self) -> Vec<&Device> {
        self.lab.devices.iter().collect()
    }

    /// A command line with the folders, and the history.
    pub(crate) fn places(&self, word: &str) -> Result<Run> {
        self.places_in(word, "run")
    }

    /// Likewise, with a run directory of this name.
    pub(crate) fn places_in(&self, word: &str, run_directory: &str) -> Result<Run> {
        let (history, runs) = (self.history(), self.folder.path().join(run_directory));
        Ok(Run::new()?.command_word(word).options(&[
            "--history",
            &history.display().to_string(),
            "--run-directory",
            &runs.display().to_string(),
            "--pin-directory",
            &self.pins.path(),
        ]))
    }

    /// A run that persists, of all devices.
    pub(crate) fn run(&self, attach: Attach) -> Result<Run> {
        self.run_of(attach, &self.devices())
    }

    /// A run that persists, of some devices, at every port.
    pub(crate) fn run_of(&self, attach: Attach, devices: &[&Device]) -> Result<Run> {
        let run = self.run_of_nobody(attach)?;
        let add = |run: Run, device: &&Device| run.device(&device.name, device.mac);
        Ok(devices.iter().fold(run, add))
    }

    /// A run that persists, at every port, whose devices are yet to be said.
    pub(crate) fn run_of_nobody(&self, attach: Attach) -> Result<Run> {
        let run = self.places("run")?.attach(attach).options(&OPTIONS);
        let add = |run: Run, device: &Device| run.interface(&device.port);
        Ok(self.lab.devices.iter().fold(run, add))
    }

    /// A run that persists, of what a configuration file says.
    pub(crate) fn run_by(&self, configuration: &Path, attach: Attach) -> Result<Run> {
        let configuration = configuration.to_string_lossy();
        let run = self.places("run")?.attach(attach).options(&OPTIONS);
        Ok(run.options(&["--config", &configuration]))
    }

    /// Ends the counting; what was counted last is recorded.
    pub(crate) fn detach(&self) -> Result<Ended> {
        let ended = self.places("detach")?.to_end(&self.lab.gateway)?;
        ensure!(ended.status == Some(0), "detach ended: {ended:?}");
        Ok(ended)
    }

    /// Does something while volleys are sent; returns those.
    pub(crate) fn under_load<T>(
        &self,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<(Vec<Fired>, T)> {
        let must_stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let generators = scope.spawn(|| self.fire_until(&must_stop));
            let outcome = work();
            must_stop.store(true, Ordering::Relaxed);
            let fired = generators.join();
            let fired = fired.map_err(|_| anyhow!("the generators died"))?;
            // Why they stopped is less than why the work did.
            let done = outcome?;
            Ok((fired?, done))
        })
    }

    /// Sends volleys until told to stop, at least one.
    fn fire_until(&self, must_stop: &AtomicBool) -> Result<Vec<Fired>> {
        let mut fired = Vec::new();
        while fired.is_empty() || !must_stop.load(Ordering::Relaxed) {
            fired.push(self.fire()?);
        }
        Ok(fired)
    }

    /// Sends a volley of all devices.
    pub(crate) fn fire(&self) -> Result<Fired> {
        self.fire_of(&self.devices())
    }

    /// Sends a volley of some devices.
    pub(crate) fn fire_of(&self, devices: &[&Device]) -> Result<Fired> {
        let of = |device| {
            Way::BOTH.map(|way| Stream {
                device,
                way,
                specimens: specimens(device, way),
                packets: PACKETS,
            })
        };
        let streams: Vec<_> = devices.iter().copied().flat_map(of).collect();
        volley::fire(&self.lab, &streams)
    }
}

/// One flow a remote, and a frame that is in none.
fn specimens(device: &Device, way: Way) -> Vec<Specimen> {
    let specimen = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let ends = Ends::of(device, [45, 7, high, low].into(), way);
        let packet = ends.udp(ends.ip(ends.link()), 1000 + number);
        let packet = packet.payload(usize::from(number)).pad_to(60);
        Specimen::in_flow(&packet, ends.remote, "udp", 1000 + number)
    };
    (0..REMOTES).map(specimen).collect()
}

/// Waits until a flowwatch counts.
pub(crate) fn await_counting(process: &Process) -> Result<()> {
    let line = process.wait_for_line(Output::Stderr, PATIENCE, |line| {
        line.contains("counting on `")
    });
    line.map(drop)
}

/// Ends a flowwatch as nobody should.
pub(crate) fn kill(flowwatch: &Flowwatch) -> Result<()> {
    flowwatch.process().signal(Signal::SIGKILL)?;
    let ended = flowwatch.wait()?;
    ensure!(ended.status.is_none(), "it ended by itself: {ended:?}");
    Ok(())
}

/// Ends a flowwatch as the service's manager does.
pub(crate) fn stop(flowwatch: &Flowwatch) -> Result<Ended> {
    flowwatch.process().signal(Signal::SIGTERM)?;
    let ended = flowwatch.wait()?;
    ensure!(ended.status == Some(0), "run ended: {ended:?}");
    Ok(ended)
}

/// Likewise; what it printed must add up.
pub(crate) fn stop_whole(flowwatch: &Flowwatch) -> Result<Document> {
    let document = Document::parse(&stop(flowwatch)?.output)?;
    document.ensure_conserved()?;
    Ok(document)
}
