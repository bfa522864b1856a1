//! What is recorded beside the counts: where destinations were before, and what was turned away.

use super::*;

const REMOTE: &str = "50.7.98.242";

/// A database that places the remote in a city.
fn placed_in(bench: &Bench, city: &str) -> Databases {
    let path = bench.folder.path().join(format!("{city}.mmdb"));
    let mut database = maxminddb_writer::Database::default();
    database.metadata.binary_format_major_version = 2;
    database.metadata.ip_version = maxminddb_writer::metadata::IpVersion::V4;
    database.metadata.database_type = "test".to_owned();
    let record = serde_json::json!({"city": {"names": {"en": city}}});
    let record = database.insert_value(record).unwrap();
    let network: maxminddb_writer::paths::IpAddrWithMask = "50.7.98.0/24".parse().unwrap();
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

/// As many samples as that were dropped since counting began, and twice as many frames turned away.
fn lost(bench: &Bench, samples_dropped: u64) -> Known<'_> {
    Known {
        losses: Losses {
            samples_dropped,
            prefix_frames: 2 * samples_dropped,
            ..Losses::default()
        },
        ..bench.known()
    }
}

#[test]
fn what_was_turned_away_is_told_once_and_of_the_hour_in_which_it_was() {
    let bench = Bench::new();
    let mut recorder = bench.recorder();
    recorder.take(&epoch(7, 1, 100)).unwrap();
    recorder.record(&lost(&bench, 5)).unwrap();
    recorder.take(&epoch(7, 2, 100)).unwrap();
    recorder.finish(&lost(&bench, 12)).unwrap();
    let connection = Connection::open(bench.path()).unwrap();
    let mut statement = connection
        .prepare("SELECT kind, sum(amount) FROM loss GROUP BY kind")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let sums: BTreeMap<String, i64> = rows.unwrap().map(Result::unwrap).collect();
    let expected = [("prefix_frames", 24), ("samples_dropped", 12)];
    assert_eq!(
        sums,
        expected.map(|(kind, sum)| (kind.to_owned(), sum)).into()
    );
    // They are of the hour in which they were recorded, which is now; the counts are of another one.
    let noon = Step::Hour.bucket_of(at(NOON));
    connection.execute("DELETE FROM loss", []).unwrap();
    for (kind, sum) in expected {
        let row = rusqlite::params![noon, kind, sum];
        connection
            .execute("INSERT INTO loss VALUES (?, ?, ?)", row)
            .unwrap();
    }
    let check = |since: &str, until: &str, expected: (u64, u64)| {
        let snapshot = bench.history().snapshot(span(since, until)).unwrap();
        let losses = snapshot.meta.losses;
        assert_eq!((losses.samples_dropped, losses.prefix_frames), expected);
    };
    check("2026-03-02T12:00:00Z", "2026-03-02T13:00:00Z", (12, 24));
    check("2026-03-02T11:00:00Z", "2026-03-02T12:00:00Z", (0, 0));
}
