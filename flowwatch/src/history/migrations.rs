//! Versions of the tables, and the way from each to the next.
//!
//! A file's version is its `PRAGMA user_version`: how many of the migrations it has been through.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{HistoryError, file::failed, schema};

/// A way from one version to the next, within a transaction.
type Migration = fn(&Transaction<'_>) -> rusqlite::Result<()>;

/// The migrations; the first makes the tables of an empty file. A new version is a line at the end.
const MIGRATIONS: &[Migration] = &[|transaction| transaction.execute_batch(schema::TABLES)];

/// Brings a file's tables to the newest version, all at once or not at all.
pub(super) fn bring_up_to_date(
    connection: &mut Connection,
    path: &Path,
) -> Result<(), HistoryError> {
    migrate(connection, path, MIGRATIONS)
}

/// Checks that a file's tables are of the newest version.
pub(super) fn check_version(connection: &Connection, path: &Path) -> Result<(), HistoryError> {
    let version = version_of(connection).map_err(failed("open", path))?;
    match usize::try_from(version) {
        Ok(version) if version == MIGRATIONS.len() => Ok(()),
        Ok(0) => Err(HistoryError::Foreign(path.to_owned())),
        Ok(older) if older < MIGRATIONS.len() => Err(HistoryError::Older {
            path: path.to_owned(),
            version,
        }),
        _ => Err(newer(path, version, MIGRATIONS)),
    }
}

fn migrate(
    connection: &mut Connection,
    path: &Path,
    migrations: &[Migration],
) -> Result<(), HistoryError> {
    let failed = failed("bring up to date", path);
    // Two that start at once must not both make the tables.
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(&failed)?;
    let version = version_of(&transaction).map_err(&failed)?;
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    let Some(missing) = migrations.get(done..) else {
        return Err(newer(path, version, migrations));
    };
    for migration in missing {
        migration(&transaction).map_err(&failed)?;
    }
    if !missing.is_empty() {
        let known = version_number(migrations);
        transaction
            .pragma_update(None, "user_version", known)
            .map_err(&failed)?;
    }
    transaction.commit().map_err(&failed)
}

fn version_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn version_number(migrations: &[Migration]) -> i64 {
    i64::try_from(migrations.len()).unwrap_or(i64::MAX)
}

fn newer(path: &Path, version: i64, migrations: &[Migration]) -> HistoryError {
    HistoryError::Newer {
        path: path.to_owned(),
        version,
        known: version_number(migrations),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Versions that never were: two columns added one after the other.
    const MADE_UP: &[Migration] = &[
        |transaction| transaction.execute_batch("CREATE TABLE a (x)"),
        |transaction| transaction.execute_batch("ALTER TABLE a ADD y DEFAULT 7"),
        |transaction| transaction.execute_batch("ALTER TABLE a ADD z DEFAULT 8"),
    ];

    fn migrated(connection: &mut Connection, migrations: &[Migration]) -> Result<(), HistoryError> {
        migrate(connection, Path::new("history.db"), migrations)
    }

    #[test]
    fn rows_of_an_old_version_go_through_every_version_between() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrated(&mut connection, &MADE_UP[..1]).unwrap();
        connection.execute("INSERT INTO a VALUES (6)", []).unwrap();
        migrated(&mut connection, MADE_UP).unwrap();
        let row = connection.query_row("SELECT x, y, z FROM a", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        });
        assert_eq!(row, Ok((6, 7, 8)));
        assert_eq!(version_of(&connection), Ok(3));
        // There is nothing left to do.
        migrated(&mut connection, MADE_UP).unwrap();
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrated(&mut connection, &MADE_UP[..1]).unwrap();
        let broken: &[Migration] = &[MADE_UP[0], MADE_UP[1], |transaction| {
            transaction.execute_batch("ALTER TABLE nothing ADD z")
        }];
        let error = migrated(&mut connection, broken).unwrap_err().to_string();
        assert!(
            error.starts_with("bring up to date the history `history.db`: "),
            "{error}"
        );
        assert_eq!(version_of(&connection), Ok(1));
        assert!(connection.prepare("SELECT y FROM a").is_err());
    }

    #[test]
    fn a_file_of_a_newer_version_is_refused_in_a_sentence() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 4).unwrap();
        let error = migrated(&mut connection, MADE_UP).unwrap_err().to_string();
        assert_eq!(
            error,
            "open the history `history.db`: its tables are of version 4, and this flowwatch knows \
             those up to 3; use a newer flowwatch"
        );
    }
}
