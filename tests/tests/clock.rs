//! A clock that is set while flowwatch counts, live: every time in the document and in the history is
//! by the new one, and nothing is in the wrong century.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::clock::Clock;
use flowwatch_tests::flowwatch::{Attach, Document, Flowwatch, Run};
use flowwatch_tests::lab::{Lab, Resolver};
use flowwatch_tests::plain;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::process::Stream;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);
const PACKETS: u64 = 2_000;
/// Several record intervals.
const A_WHILE: Duration = Duration::from_millis(700);
/// What a second's rounding and a tick may make of a time.
const SLACK: SignedDuration = SignedDuration::from_secs(2);
const HOUR: i64 = 3_600;

struct Bench {
    lab: Lab,
    clock: Clock,
    folder: TempDir,
    began_at: Timestamp,
}

impl Bench {
    fn new() -> Result<Option<Self>> {
        if !granted(&[Need::Root, Need::Flowwatch, Need::Program("cc")])? {
            return Ok(None);
        }
        let lab = Lab::builder().resolver(Resolver::Nobody).build()?;
        lab.gateway.silence()?;
        let (clock, folder) = (Clock::new()?, tempfile::tempdir()?);
        let began_at = Timestamp::now();
        Ok(Some(Self {
            lab,
            clock,
            folder,
            began_at,
        }))
    }

    fn history(&self) -> std::path::PathBuf {
        self.folder.path().join("history.db")
    }

    /// Starts a flowwatch that reads the clock.
    fn start(&self) -> Result<Flowwatch> {
        let journal = self.folder.path().join("journal");
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let (history, journal) = (path(&self.history()), path(&journal));
        let camera = self.lab.camera();
        let run = Run::new()?.attach(Attach::Tc).interface(&camera.port);
        let run = run
            .device(&camera.name, camera.mac)
            .options(&["--history", &history, "--journal", &journal])
            .options(&["--record-interval", "100ms", "--interval", "20ms"])
            .options(&["--format", "json", "--no-builtin-geo"]);
        self.clock.shown_to(run).start(&self.lab.gateway)
    }

    fn send(&self) -> Result<()> {
        let camera = self.lab.camera();
        plain::deliver(&self.lab, camera, &camera.port, PACKETS)
    }

    /// Sets the clock right, and waits until flowwatch has said so.
    fn set_right(&self, flowwatch: &Flowwatch, told: &str) -> Result<()> {
        self.clock.set_off_by(0)?;
        let is_it = |line: &str| line.contains(told);
        let process = flowwatch.process();
        process
            .wait_for_line(Stream::Stderr, PATIENCE, is_it)
            .map(drop)
    }

    /// Returns what a query answers in one number.
    fn asked(&self, query: &str) -> Result<i64> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = Connection::open_with_flags(self.history(), flags)?;
        let answer: Option<i64> = connection.query_row(query, [], |row| row.get(0))?;
        answer.with_context(|| format!("`{query}` is NULL"))
    }

    /// Fails unless a time is within the test's own.
    fn ensure_now(&self, what: &str, at: Timestamp) -> Result<()> {
        let now = self.began_at - SLACK..Timestamp::now() + SLACK;
        ensure!(now.contains(&at), "{what}: {at}, not in {now:?}");
        Ok(())
    }

    /// Fails unless every time in the document is within the test's, in order, and all packets are in
    /// it and in the history.
    fn check(&self, document: &Document, step: i64) -> Result<()> {
        document.ensure_whole()?;
        let meta = &document.meta;
        let flow = document.flows.values().next().context("find the flow")?;
        let times = [
            ("started_at", &meta.started_at),
            ("first_seen", &flow.first_seen),
            ("last_seen", &flow.last_seen),
            ("ended_at", &meta.ended_at),
        ];
        let mut before = self.began_at - SLACK;
        for (what, text) in times {
            let at: Timestamp = text.parse().with_context(|| text.clone())?;
            self.ensure_now(what, at)?;
            // A tick is up to ten milliseconds long.
            ensure!(
                before <= at + SignedDuration::from_millis(10),
                "{what}: {at}"
            );
            before = at;
        }
        let told = meta.clock_step_seconds.context("find the step")?;
        ensure!((told - step).abs() <= 1, "{told} s, not {step} s");
        ensure!(flow.up_packets == 2 * PACKETS, "{flow:?}");
        let recorded = self.asked("SELECT sum(up_packets) FROM minute")?;
        ensure!(
            recorded == i64::try_from(2 * PACKETS)?,
            "{recorded} recorded"
        );
        Ok(())
    }
}

/// As on a gateway without a battery for its clock. Nothing is recorded before it is right.
#[test]
fn a_gateway_that_begins_in_1970_has_its_counts_in_the_right_year() -> Result<()> {
    let Some(bench) = Bench::new()? else {
        return Ok(());
    };
    let off_by = bench.clock.set(60)?;
    let flowwatch = bench.start()?;
    bench.send()?;
    thread::sleep(A_WHILE);
    let rows = bench.asked("SELECT count(*) FROM minute")?;
    ensure!(rows == 0, "{rows} rows of 1970");
    bench.set_right(&flowwatch, "the clock was set forward by")?;
    bench.send()?;
    bench.check(&flowwatch.document()?, -off_by)?;
    let of =
        |what: &str| -> Result<Timestamp> { Ok(Timestamp::from_microsecond(bench.asked(what)?)?) };
    for query in [
        "SELECT min(first_seen) FROM destination",
        "SELECT max(last_seen) FROM destination",
        "SELECT min(since) FROM generation",
        "SELECT max(until) FROM generation",
        "SELECT min(since) FROM attachment",
        "SELECT max(until) FROM attachment",
    ] {
        bench.ensure_now(query, of(query)?)?;
    }
    let minute = SignedDuration::from_mins(1);
    for query in [
        "SELECT min(starts_at) FROM minute",
        "SELECT max(starts_at) FROM minute",
        "SELECT min(bucket) * 60 FROM device_minute",
    ] {
        let starts_at = Timestamp::from_second(bench.asked(query)?)?;
        let is_now = starts_at + minute > bench.began_at && starts_at <= Timestamp::now();
        ensure!(is_now, "{query}: {starts_at}");
    }
    Ok(())
}

#[test]
fn a_clock_that_is_set_back_takes_the_times_with_it_and_loses_no_count() -> Result<()> {
    let Some(bench) = Bench::new()? else {
        return Ok(());
    };
    bench.clock.set_off_by(HOUR)?;
    let flowwatch = bench.start()?;
    bench.send()?;
    bench.set_right(&flowwatch, "the clock was set back by 3600 s")?;
    bench.send()?;
    bench.check(&flowwatch.document()?, -HOUR)
}
