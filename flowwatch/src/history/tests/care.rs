//! The care that the file takes: of who reads it, of power, and of those who read for long.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::*;

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn nobody_but_the_owner_writes_the_files_and_strangers_do_not_read_them() {
    let bench = Bench::new();
    let target = bench.folder.path().join("elsewhere.db");
    // Also where the file is made behind a link.
    std::os::unix::fs::symlink(&target, bench.path()).unwrap();
    let mut recorder = bench.recorder();
    recorder.take(&epoch(7, 1, 100)).unwrap();
    let beside = |suffix: &str| target.with_extension(suffix);
    for path in [beside("db"), beside("db-wal"), beside("db-shm")] {
        assert_eq!(mode_of(&path) & !0o640, 0, "{}", path.display());
    }
    for entry in fs::read_dir(bench.options().journal).unwrap() {
        let path = entry.unwrap().path();
        let is_lock = path.extension().is_some();
        assert!(is_lock || mode_of(&path) == 0o600, "{}", path.display());
    }
    bench.finish(recorder).unwrap();
    assert_eq!(bench.sums(always()).values().sum::<u64>(), 200);
}

/// The kernel's list of the locks on a file.
fn locks_on(path: &Path) -> Vec<String> {
    let file = format!(":{}", fs::metadata(path).unwrap().ino());
    let locks = fs::read_to_string("/proc/locks").unwrap();
    // `1: POSIX  ADVISORY  READ 8070 fe:00:131 1073741826 1073742335`; the number is of the line.
    let of_file = |line: &&str| line.split(' ').any(|word| word.ends_with(&file));
    let locks = locks.lines().filter(of_file);
    let locks = locks.filter_map(|line| Some(line.split_once(": ")?.1.to_owned()));
    locks.collect()
}

/// Without them, another process's last look could remove the log that is written to.
#[test]
fn a_reader_in_the_recorders_process_leaves_the_recorder_its_locks() {
    let bench = Bench::new();
    let recorder = bench.recorder();
    let held = locks_on(&bench.path());
    assert!(!held.is_empty());
    bench.history().remembered(at(NOON)).unwrap();
    assert_eq!(locks_on(&bench.path()), held);
    bench.finish(recorder).unwrap();
}

#[test]
fn a_file_that_is_there_keeps_its_mode() {
    let bench = Bench::new();
    bench.finish(bench.recorder()).unwrap();
    fs::set_permissions(bench.path(), fs::Permissions::from_mode(0o604)).unwrap();
    bench.finish(bench.recorder()).unwrap();
    assert_eq!(mode_of(&bench.path()), 0o604);
}

#[test]
fn what_is_written_is_on_the_disk_when_the_transaction_is_over() {
    let bench = Bench::new();
    let connection = file::open_to_write(&bench.path()).unwrap();
    let setting = |name: &str| -> String {
        let value = connection.query_row(
            &format!("SELECT \"{name}\" || '' FROM pragma_{name}"),
            [],
            |row| row.get(0),
        );
        value.unwrap()
    };
    // 2 is FULL: in WAL mode, a sync of the log by each transaction.
    assert_eq!(setting("synchronous"), "2");
    assert_eq!(setting("journal_mode"), "wal");
}

#[test]
fn the_log_that_grew_while_somebody_read_is_cut_when_they_are_done() {
    let bench = Bench::new();
    let mut writer = file::open_to_write(&bench.path()).unwrap();
    let reader = file::open_to_read(&bench.path()).unwrap();
    let reading = reader.unchecked_transaction().unwrap();
    let names = |count: &str| -> i64 {
        let sql = format!("SELECT {count} FROM name");
        reader.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(names("count(*)"), 0);
    let mut write = |rows: u32| {
        let transaction = writer.transaction().unwrap();
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
                   INSERT INTO name (text) SELECT hex(randomblob(400)) FROM n";
        transaction.execute(sql, [rows]).unwrap();
        transaction.commit().unwrap();
    };
    let log = bench.path().with_extension("db-wal");
    let length = || fs::metadata(&log).unwrap().len();
    while length() < 20 << 20 {
        write(2_000);
    }
    assert_eq!(names("count(*)"), 0, "a reader sees one moment");
    drop(reading);
    // The first one copies the log into the file, the second one begins it anew.
    write(1);
    write(1);
    assert!(length() <= 16 << 20, "{}", length());
    assert!(names("count(*)") > 2_000);
}

#[test]
fn what_could_not_be_written_at_the_end_is_written_by_the_next_run() {
    let bench = Bench::new();
    let mut recorder = bench.recorder();
    recorder.take(&epoch(7, 1, 100)).unwrap();
    let aside = bench.path().with_extension("aside");
    fs::rename(bench.path(), &aside).unwrap();
    fs::create_dir(bench.path()).unwrap();
    let error = bench.finish(recorder).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "it stays in the journal, and the next `flowwatch run --history` records it"
        ),
        "{error}"
    );
    fs::remove_dir(bench.path()).unwrap();
    fs::rename(&aside, bench.path()).unwrap();
    bench.finish(bench.recorder()).unwrap();
    assert_eq!(bench.sums(always()).values().sum::<u64>(), 200);
}

#[test]
fn a_file_in_a_folder_that_is_not_there_is_refused_in_a_sentence() {
    let bench = Bench::new();
    let options = RecorderOptions {
        history: bench.folder.path().join("missing/history.db"),
        ..bench.options()
    };
    let error = Recorder::open(&options).unwrap_err().to_string();
    assert!(
        error.ends_with("name a file in a folder that is there and that flowwatch may use"),
        "{error}"
    );
    assert!(!options.history.parent().unwrap().exists());
}
