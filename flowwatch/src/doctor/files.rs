//! Facts of files: databases of places, and the history.

use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};

use crate::diagnosis::{DatabaseFacts, HistoryFacts, HistoryState};
use crate::geo::{DatabaseDescription, Databases, GeoError};
use crate::history::{History, HistoryError};
use crate::kernel::support::causes;
use crate::plan::DoctorPlan;

/// Looks at each database by itself: one that is broken is no reason not to look at the others.
pub(super) fn databases(plan: &DoctorPlan) -> Vec<DatabaseFacts> {
    let mut facts: Vec<_> = plan.geo.iter().map(|path| file(path)).collect();
    if plan.uses_builtin_geo {
        match Databases::open(&[], true) {
            Ok(databases) => facts.extend(described(&databases)),
            Err(error) => facts.push(DatabaseFacts {
                name: "built-in".to_owned(),
                is_builtin: true,
                opened: Some(Err(causes(&error))),
            }),
        }
    }
    facts
}

fn file(path: &Path) -> DatabaseFacts {
    let opened: Result<_, GeoError> = Databases::open(&[path.to_owned()], false);
    match opened.map(|databases| described(&databases).pop()) {
        Ok(Some(facts)) => facts,
        Ok(None) => DatabaseFacts::default(),
        Err(error) => DatabaseFacts {
            name: path.display().to_string(),
            is_builtin: false,
            opened: Some(Err(causes(&error))),
        },
    }
}

/// Returns the facts of databases that are open.
pub(super) fn described(databases: &Databases) -> Vec<DatabaseFacts> {
    let facts = |it: DatabaseDescription| DatabaseFacts {
        is_builtin: it.is_builtin(),
        opened: Some(Ok((it.database_type, it.built))),
        name: it.name,
    };
    databases.descriptions().into_iter().map(facts).collect()
}

/// Looks at the history, which is only read.
pub(super) fn history(path: &Path) -> HistoryFacts {
    let state = if path.exists() {
        existing(path)
    } else {
        missing(path)
    };
    let place = if path.exists() {
        path.to_owned()
    } else {
        folder_of(path)
    };
    HistoryFacts {
        path: path.to_owned(),
        state,
        free_octets: free_octets(&place),
    }
}

fn existing(path: &Path) -> HistoryState {
    match History::open(path).and_then(|history| history.span()) {
        Err(HistoryError::File { .. }) if access(path, AccessFlags::R_OK).is_err() => {
            HistoryState::NotWritable
        }
        Err(error) => HistoryState::Unusable(causes(&error)),
        // SQLite makes a log beside it.
        Ok(_) if !is_writable(path) || !is_writable(&folder_of(path)) => HistoryState::NotWritable,
        Ok(span) => HistoryState::Held(span),
    }
}

fn missing(path: &Path) -> HistoryState {
    let folder = folder_of(path);
    if !folder.is_dir() {
        HistoryState::NoFolder
    } else if is_writable(&folder) {
        HistoryState::CanBeMade
    } else {
        HistoryState::NotWritable
    }
}

fn folder_of(path: &Path) -> PathBuf {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

fn is_writable(path: &Path) -> bool {
    access(path, AccessFlags::W_OK).is_ok()
}

fn free_octets(place: &Path) -> Option<u64> {
    let told = statvfs(place).ok()?;
    Some(told.blocks_available().saturating_mul(told.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_that_is_not_there_can_be_made_where_its_folder_is() {
        let folder = tempfile::tempdir().unwrap();
        let check = |name: &str, state| {
            assert_eq!(history(&folder.path().join(name)).state, state, "{name}");
        };
        check("h.db", HistoryState::CanBeMade);
        check("no/h.db", HistoryState::NoFolder);
        assert_eq!(folder_of(Path::new("h.db")), Path::new("."));
        assert!(history(&folder.path().join("h.db")).free_octets.is_some());
    }

    #[test]
    fn a_file_that_is_no_history_is_told_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h.db");
        std::fs::write(&path, "Dear diary").unwrap();
        let HistoryState::Unusable(reason) = history(&path).state else {
            panic!("it passed for a history")
        };
        assert!(reason.contains("h.db"), "{reason}");
        assert_eq!(std::fs::read(&path).unwrap(), b"Dear diary");
    }

    #[test]
    fn each_database_is_looked_at_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broken.mmdb");
        std::fs::write(&path, "no database").unwrap();
        let plan = DoctorPlan {
            geo: vec![path.clone(), folder.path().join("gone.mmdb")],
            uses_builtin_geo: cfg!(feature = "builtin-geo"),
            ..DoctorPlan::new(crate::plan::Settings::default(), None).unwrap()
        };
        let facts = databases(&plan);
        assert_eq!(facts[0].name, path.display().to_string());
        let is_broken = |facts: &DatabaseFacts| matches!(facts.opened, Some(Err(_)));
        assert!(facts[..2].iter().all(is_broken), "{facts:?}");
        let builtin = facts.get(2);
        assert_eq!(builtin.is_some(), cfg!(feature = "builtin-geo"));
        assert!(builtin.is_none_or(|it| it.is_builtin && !is_broken(it)));
    }
}
