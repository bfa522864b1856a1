//! The names of an earlier run: which of those in the file come back, and what is recorded of them.

use super::*;
use crate::{
    model::MacAddress,
    names::{NameSource, RememberedName},
};

const NOW: &str = "2026-03-12T12:00:00Z";
const REMOTE: &str = "192.0.2.1";

/// A name in the file: its source, its text, and when it was told last.
type Told<'a> = (&'a str, &'a str, &'a str);

/// Writes a destination of the camera's, port 443 of `remote`, that was met at this time, and its names.
fn met(bench: &Bench, number: u64, remote: &str, time: &str, names: &[Told<'_>]) {
    bench.write(&alone(number, at(time), remote, 5), None);
    let connection = Connection::open(bench.path()).unwrap();
    for (source, name, told) in names {
        connection
            .execute("INSERT OR IGNORE INTO name (text) VALUES (?)", [name])
            .unwrap();
        let told = at(told).as_microsecond();
        let sql =
            "INSERT INTO naming (destination, name, source, first_told, last_told, ttl, asked)
                   VALUES ((SELECT max(id) FROM destination),
                           (SELECT id FROM name WHERE text = ?), ?, ?, ?, ?, 1)";
        let ttl = (*source != "sni").then_some(60);
        let row = rusqlite::params![name, source, told - 1_000_000, told, ttl];
        connection.execute(sql, row).unwrap();
    }
}

fn remembered(bench: &Bench, now: &str) -> Vec<RememberedName> {
    let mut names = bench.history().remembered(at(now)).unwrap();
    let camera: MacAddress = "2c:aa:8e:00:00:01".parse().unwrap();
    let found = names.remove(&camera).unwrap_or_default();
    assert!(names.is_empty());
    found
}

fn texts(names: &[RememberedName]) -> Vec<String> {
    names.iter().map(|it| it.binding.name.to_string()).collect()
}

#[test]
fn a_name_comes_back_with_its_age_and_with_what_it_is_the_name_of() {
    let bench = Bench::new();
    let names = [
        ("dns", "told.test", "2026-03-12T08:00:00Z"),
        ("sni", "said.test", "2026-03-12T07:00:00Z"),
    ];
    met(&bench, 1, REMOTE, "2026-03-12T09:00:00Z", &names);
    let [said, told] = &remembered(&bench, NOW)[..] else {
        panic!("two names")
    };
    assert_eq!((&*said.binding.name, said.asked), ("said.test", Some(true)));
    let service = said.binding.service.map(|it| (it.protocol, it.port));
    assert_eq!(service, Some((6, 443)), "said on a connection");
    assert_eq!(
        (&*told.binding.name, told.binding.service),
        ("told.test", None)
    );
    assert_eq!(told.binding.source, NameSource::History);
    assert_eq!(told.remote, REMOTE.parse::<IpAddr>().unwrap());
    let times = (told.binding.first_told, told.binding.last_told);
    let expected = (at("2026-03-12T07:59:59Z"), at("2026-03-12T08:00:00Z"));
    assert_eq!(times, expected);
}

#[test]
fn what_was_not_met_for_a_week_is_not_remembered_and_what_was_is_however_old_its_name() {
    let bench = Bench::new();
    let long_ago = [("dns", "old.test", "2026-01-01T00:00:00Z")];
    met(&bench, 1, "192.0.2.7", "2026-03-05T11:58:00Z", &long_ago);
    met(&bench, 2, REMOTE, "2026-03-05T12:30:00Z", &long_ago);
    let names = remembered(&bench, NOW);
    assert_eq!(names.len(), 1);
    assert_eq!(names[0].remote, REMOTE.parse::<IpAddr>().unwrap());
    assert_eq!(remembered(&bench, "2026-03-20T00:00:00Z"), []);
    // Before the clock is set, it is 1970: what is in the file was lately.
    assert_eq!(remembered(&bench, "1970-01-01T00:01:00Z").len(), 2);
}

#[test]
fn of_several_names_the_newest_comes_first_and_those_of_before_the_week_give_way() {
    let bench = Bench::new();
    let names = [
        ("dns", "week.test", "2026-03-06T00:00:00Z"),
        ("dns", "today.test", "2026-03-12T00:00:00Z"),
        ("dns", "month.test", "2026-02-12T00:00:00Z"),
        ("mdns", "camera.local", "2026-03-12T00:00:00Z"),
    ];
    met(&bench, 1, REMOTE, "2026-03-12T09:00:00Z", &names);
    let names = remembered(&bench, NOW);
    assert_eq!(texts(&names), ["today.test", "week.test"]);
}

#[test]
fn a_device_with_more_names_than_there_is_room_for_has_those_of_what_it_met_last() {
    let bench = Bench::new();
    met(&bench, 1, REMOTE, "2026-03-12T09:00:00Z", &[]);
    let connection = Connection::open(bench.path()).unwrap();
    connection
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 5001)
             INSERT INTO destination SELECT i, device, i, 6, 443, NULL, first_seen, last_seen
             FROM n, destination WHERE id = 1;
             INSERT INTO name (id, text) SELECT id, 'n' || id || '.test' FROM destination;
             INSERT INTO naming (destination, name, source, first_told, last_told, ttl)
             SELECT id, id, 'dns', first_seen, first_seen, 60 FROM destination;
             INSERT INTO minute (key, up_packets, up_octets, down_packets, down_octets)
             SELECT (SELECT max(key) >> 30 FROM minute) << 30 | id, 1, 1, 1, 1
             FROM destination WHERE id > 1;",
        )
        .unwrap();
    let names = remembered(&bench, NOW);
    assert_eq!(names.len(), 4096);
    let oldest = names.iter().map(|it| it.remote).min().unwrap();
    assert_eq!(oldest, IpAddr::from([0, 0, 3, 138]), "number 906");
}

/// Records a flow of the camera's that goes by this name of an earlier run.
fn record(bench: &mut Bench, number: u64, remote_port: u16) {
    let binding = remembered(bench, NOW).remove(0).binding;
    let name = RememberedName {
        remote: REMOTE.parse().unwrap(),
        binding,
        asked: Some(true),
    };
    bench.names = NameTable::default();
    bench.names.remember(0, [name]);
    let mut epoch = alone(number, at("2026-03-12T11:00:00Z"), REMOTE, 5);
    epoch.flows[0].remote_port = remote_port;
    bench.write(&epoch, None);
}

#[test]
fn a_remembered_name_is_recorded_only_where_the_destination_has_it_from_nobody_else() {
    let mut bench = Bench::new();
    let names = [("dns", "told.test", "2026-03-12T08:00:00Z")];
    met(&bench, 1, REMOTE, "2026-03-12T09:00:00Z", &names);
    record(&mut bench, 2, 443);
    record(&mut bench, 3, 8443);
    let connection = Connection::open(bench.path()).unwrap();
    let mut statement = connection
        .prepare(
            "SELECT port, source FROM naming JOIN destination ON id = destination ORDER BY port",
        )
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let rows: Vec<(u16, String)> = rows.unwrap().map(Result::unwrap).collect();
    let expected = [(443, "dns".to_owned()), (8443, "history".to_owned())];
    assert_eq!(rows, expected);
    let flows = bench.history().snapshot(always()).unwrap().flows;
    let told = flows.iter().map(|it| {
        let last_told = it.naming.candidates[0].binding.last_told;
        (it.remote_port, it.naming.source(), last_told)
    });
    let last_told = at("2026-03-12T08:00:00Z");
    let expected = [
        (443, Some(NameSource::Dns), last_told),
        (8443, Some(NameSource::History), last_told),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}
