//! From epochs to the file and back: the recorder, the roll-up and the reader together.

mod care;
mod circumstances;
mod remembered;

use std::{collections::BTreeMap, fs, net::IpAddr, path::Path, time::Duration};

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use super::{
    batch::Batch,
    catalogue::Catalogue,
    file,
    pending::Pending,
    recording,
    samples::{NOON, at, camera, epoch, flow, totals},
    *,
};
use crate::{
    geo::Databases,
    names::NameTable,
    observation::{EpochFlow, Traffic},
    store::Losses,
};

/// What an independent count says: octets up by device name and remote.
type Sums = BTreeMap<(String, IpAddr), u64>;

/// A history in a folder of its own, and what is known.
struct Bench {
    folder: tempfile::TempDir,
    names: NameTable,
    databases: Databases,
    devices: [crate::model::Device; 1],
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            names: NameTable::default(),
            databases: Databases::open(&[], false).unwrap(),
            devices: [camera()],
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("history.db")
    }

    fn options(&self) -> RecorderOptions {
        RecorderOptions {
            history: self.path(),
            journal: self.folder.path().join("journal"),
            interval: Duration::ZERO,
            retention: Retention::default(),
        }
    }

    fn known(&self) -> Known<'_> {
        Known {
            devices: &self.devices,
            names: &self.names,
            databases: &self.databases,
            interfaces: &[],
            losses: Losses::default(),
        }
    }

    fn recorder(&self) -> Recorder {
        Recorder::open(&self.options()).unwrap()
    }

    fn finish(&self, recorder: Recorder) -> Result<(), HistoryError> {
        recorder.finish(&self.known())
    }

    /// Writes an epoch at the moment at which it ended.
    fn write(&self, epoch: &Epoch, retention: Option<&Retention>) {
        self.write_to(&mut Archive::open(&self.path()).unwrap(), epoch, retention);
    }

    fn write_to(&self, archive: &mut Archive, epoch: &Epoch, retention: Option<&Retention>) {
        archive.add(epoch);
        let known = self.known();
        archive.write(&known, epoch.ended_at, retention).unwrap();
    }

    fn history(&self) -> History {
        History::open(&self.path()).unwrap()
    }

    fn sums(&self, span: Span) -> Sums {
        let snapshot = self.history().snapshot(span).unwrap();
        let flows = snapshot.flows.iter();
        flows
            .map(|flow| {
                let key = (flow.device.name.to_string(), flow.remote_address);
                assert_eq!(flow.down.octets, 10 * flow.up.octets);
                (key, flow.up.octets)
            })
            .collect()
    }
}

fn always() -> Span {
    Span {
        since: Timestamp::UNIX_EPOCH,
        until: at("2100-01-01T00:00:00Z"),
    }
}

fn span(since: &str, until: &str) -> Span {
    Span {
        since: at(since),
        until: at(until),
    }
}

/// An epoch of one flow, alone in its generation.
fn alone(number: u64, ended_at: Timestamp, remote: &str, octets: u64) -> Epoch {
    Epoch {
        ended_at,
        flows: vec![EpochFlow {
            first_seen: ended_at,
            last_seen: ended_at,
            ..flow(remote, octets)
        }],
        ..epoch(number, 1, octets)
    }
}

#[test]
fn what_has_no_date_stays_in_the_journal_until_it_gets_one() {
    let bench = Bench::new();
    let began_at = Timestamp::now();
    let mut recorder = bench.recorder();
    for (serial, ended_at) in [(1, "1970-01-01T00:00:20Z"), (2, "1970-01-01T00:01:00Z")] {
        let epoch = alone(7, at(ended_at), "192.0.2.1", 100);
        recorder.take(&Epoch { serial, ..epoch }).unwrap();
    }
    assert!(!recorder.is_due(), "in the wrong century");
    bench.finish(recorder).unwrap();
    assert_eq!(bench.history().span().unwrap(), None);
    // Another process, when the clock was set.
    let recorder = bench.recorder();
    assert!(recorder.is_due());
    bench.finish(recorder).unwrap();
    let snapshot = bench.history().snapshot(always()).unwrap();
    let [flow] = &snapshot.flows[..] else {
        panic!("{:?}", snapshot.flows)
    };
    assert_eq!(flow.up.octets, 200);
    assert!((began_at..=Timestamp::now()).contains(&flow.last_seen));
    let apart = flow.last_seen.duration_since(flow.first_seen);
    assert_eq!(apart, SignedDuration::from_secs(40));
}

#[test]
fn what_was_recorded_is_read_back_to_the_octet() {
    let bench = Bench::new();
    let mut recorder = bench.recorder();
    recorder.take(&epoch(7, 1, 100)).unwrap();
    recorder.take(&epoch(7, 2, 100)).unwrap();
    bench.finish(recorder).unwrap();

    let snapshot = bench.history().snapshot(always()).unwrap();
    assert_eq!(snapshot.flows.len(), 2);
    for flow in &snapshot.flows {
        let up = Traffic {
            packets: 2,
            octets: 200,
        };
        assert_eq!(flow.up, up);
        assert_eq!(flow.first_seen, at("2026-03-02T12:00:01.5Z"));
        assert_eq!(flow.last_seen, at("2026-03-02T12:00:09.25Z"));
    }
    let device = &snapshot.devices[0];
    assert!(device.conserved, "{device:?}");
    assert_eq!(
        (device.flows, device.up.octets, device.down.octets),
        (2, 400, 4_000)
    );
    assert_eq!((device.up.frames_seen, device.up.frames_in_flows), (6, 4));
    let row = &snapshot.unaccounted[0];
    assert_eq!((row.reason, row.frames, row.l2_octets), ("not_ip", 2, 200));
    let held = bench.history().span().unwrap().unwrap();
    assert_eq!(held, span("2026-03-02T12:00:00Z", "2026-03-02T12:01:00Z"));
}

#[test]
fn an_epoch_that_is_handed_over_twice_is_counted_once() {
    let bench = Bench::new();
    let mut recorder = bench.recorder();
    recorder.take(&epoch(7, 1, 100)).unwrap();
    recorder.take(&epoch(7, 1, 100)).unwrap();
    recorder.record(&bench.known()).unwrap();
    recorder.take(&epoch(7, 1, 100)).unwrap();
    bench.finish(recorder).unwrap();
    let mut recorder = bench.recorder();
    assert_eq!(recorder.last_taken(GenerationId(7)), Some(1));
    recorder.take(&epoch(7, 1, 100)).unwrap();
    recorder.take(&epoch(7, 2, 100)).unwrap();
    bench.finish(recorder).unwrap();
    let sums = bench.sums(always());
    assert_eq!(sums.values().sum::<u64>(), 400);
    let device = bench
        .history()
        .snapshot(always())
        .unwrap()
        .devices
        .remove(0);
    assert_eq!(device.up.frames_seen, 6);
}

/// Both files as they are when the process dies between the commit and the journal's cut.
#[test]
fn a_crash_between_commit_and_cut_counts_nothing_twice() {
    let bench = Bench::new();
    let mut recorder = bench.recorder();
    recorder.take(&epoch(7, 1, 100)).unwrap();
    let journal = bench.options().journal;
    let segment = fs::read_dir(&journal)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_none())
        .unwrap();
    let octets = fs::read(&segment).unwrap();
    bench.finish(recorder).unwrap();
    assert!(!segment.exists());
    fs::write(&segment, octets).unwrap();

    let mut recorder = bench.recorder();
    recorder.take(&epoch(7, 2, 100)).unwrap();
    bench.finish(recorder).unwrap();
    assert_eq!(bench.sums(always()).values().sum::<u64>(), 400);
}

#[test]
fn a_process_that_dies_before_it_records_loses_nothing_that_was_taken() {
    let bench = Bench::new();
    let mut recorder = bench.recorder();
    recorder.take(&epoch(7, 1, 100)).unwrap();
    recorder.take(&epoch(8, 1, 5)).unwrap();
    // Its thread gets no order to write, as that of a process that was killed.
    drop(recorder);
    bench.finish(bench.recorder()).unwrap();
    assert_eq!(bench.sums(always()).values().sum::<u64>(), 210);
}

#[test]
fn each_generation_has_its_own_mark() {
    let bench = Bench::new();
    let mut recorder = bench.recorder();
    recorder.take(&epoch(7, 5, 100)).unwrap();
    recorder.take(&epoch(8, 1, 100)).unwrap();
    bench.finish(recorder).unwrap();
    let recorder = bench.recorder();
    let marks = [7, 8, 9].map(|number| recorder.last_taken(GenerationId(number)));
    assert_eq!(marks, [Some(5), Some(1), None]);
}

#[test]
fn octets_that_the_kernel_counted_and_nobody_drained_are_told_when_a_generation_is_over() {
    let check = |is_last: bool, expected: i64| {
        let bench = Bench::new();
        let mut recorder = bench.recorder();
        let mut short = epoch(7, 1, 100);
        short.flows.pop();
        short.is_last = is_last;
        recorder.take(&short).unwrap();
        bench.finish(recorder).unwrap();
        let device = bench
            .history()
            .snapshot(always())
            .unwrap()
            .devices
            .remove(0);
        assert_eq!(device.up.difference.octets, expected);
        assert_eq!(device.conserved, expected == 0);
    };
    check(true, 100);
    // While it goes on, they may be in the table of the epoch under way.
    check(false, 0);
}

/// Three days of flows at odd moments, and their sums by another way.
fn three_days(bench: &Bench) -> (Vec<(Timestamp, IpAddr, u64)>, Span) {
    let start = at("2026-03-02T00:00:00Z");
    let mut told = Vec::new();
    let mut archive = Archive::open(&bench.path()).unwrap();
    let mut state = 7_u64;
    for number in 1..=400_u64 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let ended_at = start + SignedDuration::from_secs((number * 641).cast_signed());
        let remote = format!("192.0.2.{}", (state >> 33) % 9);
        let octets = (state >> 40) % 5_000;
        bench.write_to(
            &mut archive,
            &alone(number, ended_at, &remote, octets),
            None,
        );
        told.push((ended_at, remote.parse().unwrap(), octets));
    }
    (told, span("2026-03-02T00:00:00Z", "2026-03-05T00:00:00Z"))
}

fn expected(told: &[(Timestamp, IpAddr, u64)], span: Span) -> Sums {
    let mut sums = Sums::new();
    for (time, remote, octets) in told {
        if (span.since..span.until).contains(time) {
            *sums.entry(("camera".to_owned(), *remote)).or_default() += octets;
        }
    }
    sums
}

#[test]
fn sums_over_any_span_equal_an_independent_sum() {
    let bench = Bench::new();
    let (told, all) = three_days(&bench);
    for span in [
        all,
        span("2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"),
        span("2026-03-02T07:13:00Z", "2026-03-04T01:59:00Z"),
        span("2026-03-03T01:00:00Z", "2026-03-03T02:00:00Z"),
        span("2026-03-04T20:00:00Z", "2026-03-05T00:00:00Z"),
    ] {
        assert_eq!(bench.sums(span), expected(&told, span), "{span:?}");
        let snapshot = bench.history().snapshot(span).unwrap();
        let flows: u64 = snapshot.flows.iter().map(|flow| flow.up.octets).sum();
        let devices: u64 = snapshot.devices.iter().map(|device| device.up.octets).sum();
        assert_eq!(flows, devices);
        for step in Step::ALL {
            let series = bench.history().series(span, step).unwrap();
            let octets: u64 = series.iter().map(|bucket| bucket.up.octets).sum();
            let is_whole = span.since.as_second() % step.seconds() == 0;
            assert!(octets == flows || !is_whole, "{step:?} {span:?}");
        }
    }
    let connection = Connection::open(bench.path()).unwrap();
    for (table, least) in [("hour", 60), ("day", 18)] {
        let rows: i64 = connection
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .unwrap();
        assert!(rows >= least, "{table}: {rows}");
    }
}

#[test]
fn what_is_retired_from_a_step_stays_in_the_longer_ones() {
    let bench = Bench::new();
    let (told, all) = three_days(&bench);
    let now = at("2026-03-05T00:00:00Z");
    let retention = Retention {
        minutes: Duration::from_hours(24),
        hours: Duration::from_hours(47),
        days: Duration::from_hours(9_000),
    };
    let last = alone(999, now, "198.51.100.1", 0);
    bench.write(&last, Some(&retention));
    let connection = Connection::open(bench.path()).unwrap();
    let first = |table: &str| -> i64 {
        let sql = format!("SELECT min(starts_at) FROM {table}");
        connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert!(first("minute") >= at("2026-03-04T00:00:00Z").as_second());
    assert!(first("hour") >= at("2026-03-03T00:00:00Z").as_second());
    assert_eq!(bench.sums(all), expected(&told, all));
    let day = span("2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z");
    // Of that day nothing shorter is kept, and the answer says so.
    let part = span("2026-03-02T05:00:00Z", "2026-03-02T06:00:00Z");
    assert_eq!(bench.sums(part), expected(&told, day));
    let meta = bench.history().snapshot(part).unwrap().meta;
    assert_eq!((meta.started_at, meta.ended_at), (day.since, day.until));
    let retention = Retention {
        days: Duration::from_hours(24),
        ..retention
    };
    bench.write(&alone(1_000, now, "198.51.100.1", 0), Some(&retention));
    assert_eq!(bench.sums(day), Sums::new());
}

#[test]
fn what_comes_late_by_a_clock_set_back_is_in_every_step() {
    let bench = Bench::new();
    let (mut told, all) = three_days(&bench);
    let mut late = |number, time: &str, octets| {
        let remote = "192.0.2.1";
        bench.write(&alone(number, at(time), remote, octets), None);
        told.push((at(time), remote.parse().unwrap(), octets));
    };
    // Into an hour and a day that are summed, into a day alone, and into no time at all.
    late(1_001, "2026-03-02T05:30:00Z", 11);
    late(1_002, "2026-03-01T05:30:00Z", 13);
    late(1_003, "1970-01-01T00:00:07Z", 17);
    late(1_004, "2071-01-01T00:00:07Z", 19);
    late(1_005, "2026-03-04T23:59:59Z", 23);
    assert_eq!(bench.sums(all), expected(&told, all));
    assert_eq!(bench.sums(always()), expected(&told, always()));
    let hour = span("2026-03-02T05:00:00Z", "2026-03-02T06:00:00Z");
    assert_eq!(bench.sums(hour), expected(&told, hour));
}

/// Returns why a recorder can't begin with the file that `make` makes.
fn refusal(make: impl Fn(&Path)) -> String {
    let bench = Bench::new();
    make(&bench.path());
    Recorder::open(&bench.options()).unwrap_err().to_string()
}

#[test]
fn a_file_that_can_t_be_a_history_is_refused_in_a_sentence() {
    let check = |make: &dyn Fn(&Path), expected: &str| {
        let text = refusal(make);
        assert!(text.contains(expected), "`{text}` lacks `{expected}`");
    };
    check(
        &|path| fs::create_dir(path).unwrap(),
        "it is a folder; name a file in it",
    );
    check(
        &|path| fs::write(path, [b'x'; 9_999]).unwrap(),
        "it is not an SQLite file; name another file",
    );
    let foreign = |path: &Path| {
        let connection = Connection::open(path).unwrap();
        connection.execute_batch("CREATE TABLE mine (x)").unwrap();
    };
    check(&foreign, "it is not one of flowwatch's");
    let newer = |path: &Path| {
        let connection = file::open_to_write(path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
    };
    check(&newer, "its tables are of version 99");
    let locked = |path: &Path| {
        file::open_to_write(path).unwrap();
        let connection = Connection::open(path).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        std::mem::forget(connection);
    };
    check(&locked, "another program keeps it locked");
}

#[test]
fn reading_what_is_no_history_is_refused_in_a_sentence() {
    let bench = Bench::new();
    let error = History::open(&bench.path()).unwrap_err().to_string();
    assert!(error.contains("there is no such file"), "{error}");
    fs::write(bench.path(), "").unwrap();
    let error = History::open(&bench.path()).unwrap_err().to_string();
    assert!(error.contains("it is not one of flowwatch's"), "{error}");
}

#[test]
fn a_full_disk_delays_what_is_counted_and_loses_nothing() {
    let bench = Bench::new();
    let mut connection = file::open_to_write(&bench.path()).unwrap();
    let pages: i64 = connection
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    connection
        .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
        .unwrap();
    let mut pending = Pending::default();
    let flows: Vec<_> = (0..2_000)
        .map(|number| flow(&format!("10.0.{}.{}", number / 256, number % 256), 1))
        .collect();
    pending.fold(&Epoch {
        flows,
        totals: vec![(0, camera(), totals(1, 1))],
        ..epoch(7, 1, 1)
    });
    let batch = Batch::of(&mut pending, &bench.known(), at(NOON));
    let mut catalogue = Catalogue::default();
    let error = recording::write(&mut connection, &mut catalogue, &batch, None).unwrap_err();
    let error = file::failed("write", &bench.path())(error).to_string();
    assert!(
        error.ends_with("the disk is full; free space there"),
        "{error}"
    );
    assert_eq!(bench.sums(always()), Sums::new());
    // There is room again: the same batch, by a catalogue that was emptied, as the writer does it.
    connection
        .pragma_update_and_check(None, "max_page_count", 1_000_000, |_| Ok(()))
        .unwrap();
    recording::write(&mut connection, &mut Catalogue::default(), &batch, None).unwrap();
    recording::write(&mut connection, &mut Catalogue::default(), &batch, None).unwrap();
    assert_eq!(bench.sums(always()).values().sum::<u64>(), 2_000);
}

#[test]
fn a_reader_sees_whole_transactions_while_the_file_is_written() {
    let bench = Bench::new();
    bench.write(&alone(1, at(NOON), "192.0.2.1", 5), None);
    let history = bench.history();
    let mut connection = file::open_to_write(&bench.path()).unwrap();
    let transaction = connection.transaction().unwrap();
    transaction
        .execute("UPDATE minute SET up_octets = 99", [])
        .unwrap();
    let flows = history.snapshot(always()).unwrap().flows;
    assert_eq!(flows[0].up.octets, 5);
    transaction.commit().unwrap();
    assert_eq!(history.snapshot(always()).unwrap().flows[0].up.octets, 99);
}
