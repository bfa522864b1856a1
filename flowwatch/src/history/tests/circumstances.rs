//! What is recorded beside the counts: where destinations were before, and what was turned away.

use super::*;

const REMOTE: &str = "192.0.2.1";

/// A database that places the remote in a city.
fn placed_in(bench: &Bench, city: &str) -> Databases {
    let path = bench.folder.path().join(format!("{city}.mmdb"));
    let mut database = maxminddb_writer::Database::default();
    database.metadata.binary_format_major_version = 2;
    database.metadata.ip_version = maxminddb_writer::metadata::IpVersion::V4;
    database.metadata.database_type = "test".to_owned();
    let record = serde_json::json!({"city": {"names": {"en": city}}});
    let record = database.insert_value(record).unwrap();
    let network: maxminddb_writer::paths::IpAddrWithMask = "192.0.2.0/24".parse().unwrap();
    database.insert_node(network, record);
    fs::write(&path, database.write_to(Vec::new()).unwrap()).unwrap();
    Databases::open(&[path], false).unwrap()
}

#[test]
fn a_destination_is_where_it_was_held_to_be_at_the_spans_end() {
    let mut bench = Bench::new();
    let days = ["2026-03-02", "2026-03-03", "2026-03-04"];
    for (number, (day, city)) in (1..).zip(days.into_iter().zip(["Incheon", "Seoul", "Busan"])) {
        bench.databases = placed_in(&bench, city);
        let ended_at = at(&format!("{day}T12:00:00Z"));
        bench.write(&alone(number, ended_at, REMOTE, 5), None);
    }
    let check = |until: &str, expected: &str| {
        let span = span("2026-03-01T00:00:00Z", until);
        let flows = bench.history().snapshot(span).unwrap().flows;
        let [flow] = &flows[..] else {
            panic!("one destination")
        };
        assert_eq!(flow.place.city.as_deref(), Some(expected), "until {until}");
    };
    check("2026-03-02T13:00:00Z", "Incheon");
    check("2026-03-03T13:00:00Z", "Seoul");
    check("2026-03-04T13:00:00Z", "Busan");
    check("2026-04-04T00:00:00Z", "Busan");
}

#[test]
fn what_was_turned_away_is_told_of_the_hours_in_which_it_was() {
    let bench = Bench::new();
    let mut recorder = bench.recorder();
    let mut lost = |serial: u64, samples_dropped: u64| {
        recorder.take(&epoch(7, serial, 100)).unwrap();
        let losses = Losses {
            samples_dropped,
            prefix_frames: 2 * samples_dropped,
            ..Losses::default()
        };
        let known = Known {
            losses,
            ..bench.known()
        };
        recorder.record(&known).unwrap();
        while !recorder.is_due() {
            recorder.take(&epoch(7, serial + 100, 0)).unwrap();
            std::thread::yield_now();
        }
    };
    lost(1, 5);
    lost(201, 12);
    let known = Known {
        losses: Losses {
            samples_dropped: 12,
            prefix_frames: 24,
            ..Losses::default()
        },
        ..bench.known()
    };
    recorder.finish(&known).unwrap();
    // They are of the hour in which they were recorded, which is now.
    let connection = Connection::open(bench.path()).unwrap();
    let mut statement = connection
        .prepare("SELECT kind, sum(amount), max(bucket) FROM loss GROUP BY kind ORDER BY kind")
        .unwrap();
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap();
    let rows: Vec<(String, i64, i64)> = rows.map(Result::unwrap).collect();
    let hour = rows[0].2;
    let expected = [
        ("prefix_frames".to_owned(), 24, hour),
        ("samples_dropped".to_owned(), 12, hour),
    ];
    assert_eq!(rows, expected);
    connection
        .execute(
            "UPDATE loss SET bucket = ?",
            [Step::Hour.bucket_of(at(NOON))],
        )
        .unwrap();
    let losses = |since: &str, until: &str| {
        let snapshot = bench.history().snapshot(span(since, until)).unwrap();
        let losses = snapshot.meta.losses;
        (losses.samples_dropped, losses.prefix_frames)
    };
    assert_eq!(
        losses("2026-03-02T12:00:00Z", "2026-03-02T13:00:00Z"),
        (12, 24)
    );
    assert_eq!(
        losses("2026-03-02T10:00:00Z", "2026-03-02T12:00:00Z"),
        (0, 0)
    );
}
