//! Judgements of files: databases of places, and the history.

use jiff::Timestamp;

use super::facts::{DatabaseFacts, Facts, HistoryState};
use super::finding::Verdict;

/// Days after which a file of places is old: vendors bring out one each month at least.
const FILE_DAYS: i64 = 60;
/// The same of the built-in one, which comes with a release.
const BUILTIN_DAYS: i64 = 365;
/// A year of a home with a dozen devices, in octets (docs/history.md).
const ROOM: u64 = 100 << 20;
/// What is too little for the next days.
const LITTLE_ROOM: u64 = 16 << 20;

pub(super) fn database(_: &Facts, database: &DatabaseFacts) -> Option<Verdict> {
    Some(match database.opened.as_ref()? {
        Ok((kind, _)) => Verdict::ok(format!("it is a database of the type {kind}")),
        Err(reason) => Verdict::error(
            format!("it can't be used: {reason}"),
            "put a MaxMind-format database there, or leave it out",
        ),
    })
}

pub(super) fn age(facts: &Facts, database: &DatabaseFacts) -> Option<Verdict> {
    let Ok((_, built)) = database.opened.as_ref()? else {
        return None;
    };
    let Some(built) = built else {
        return Some(Verdict::info("it does not tell when it was built"));
    };
    let date = built.strftime("%Y-%m-%d");
    let days = facts.now.duration_since(*built).as_hours() / 24;
    let (most, advice) = if database.is_builtin {
        (
            BUILTIN_DAYS,
            "take a newer flowwatch, or a database of your own: --geo FILE",
        )
    } else {
        (
            FILE_DAYS,
            "fetch the vendor's newest; flowwatch takes it up while it runs",
        )
    };
    Some(if days < 0 {
        let told = format!("it is of {date}, which is to come by this host's clock");
        Verdict::warning(told, "see host.clock")
    } else if days > most {
        let told = format!("it is of {date}, {days} days ago: places may have changed since");
        Verdict::warning(told, advice)
    } else {
        Verdict::ok(format!("it is of {date}, {days} days ago"))
    })
}

pub(super) fn history(facts: &Facts) -> Option<Verdict> {
    let history = facts.host.history.as_ref()?;
    let path = history.path.display();
    Some(match &history.state {
        HistoryState::CanBeMade => {
            Verdict::info(format!("there is no history `{path}` yet; run makes it"))
        }
        HistoryState::NoFolder => Verdict::error(
            format!("the history `{path}` can't be made: there is no such folder"),
            "make the folder, or name another file with --history",
        ),
        HistoryState::NotWritable => Verdict::error(
            format!("this user may not write the history `{path}`"),
            "run as the user who may, or let this one write the file and its folder",
        ),
        HistoryState::Unusable(reason) => Verdict::error(
            format!("the history can't be used: {reason}"),
            "name another file with --history; this one stays as it is",
        ),
        HistoryState::Held(None) => Verdict::ok(format!("the history `{path}` holds nothing yet")),
        HistoryState::Held(Some(span)) => Verdict::ok(format!(
            "the history `{path}` holds {} to {}",
            shown(span.since),
            shown(span.until)
        )),
    })
}

fn shown(at: Timestamp) -> impl std::fmt::Display {
    at.strftime("%Y-%m-%d %H:%M UTC")
}

pub(super) fn space(facts: &Facts) -> Option<Verdict> {
    let free = facts.host.history.as_ref()?.free_octets?;
    let told = format!("{} MiB are free where the history is", free >> 20);
    let advice = "make room, or keep less: --keep-minutes, --keep-hours, --keep-days";
    Some(if free < LITTLE_ROOM {
        Verdict::error(told, advice)
    } else if free < ROOM {
        Verdict::warning(told, advice)
    } else {
        Verdict::ok(told)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::HistoryFacts;
    use crate::diagnosis::finding::Severity::{Error, Info, Ok as Well, Warning};
    use crate::diagnosis::fixtures::{check, facts};
    use crate::history::Span;

    fn opened(built: &str) -> DatabaseFacts {
        DatabaseFacts {
            opened: Some(Ok(("GeoLite2-City".to_owned(), built.parse().ok()))),
            ..DatabaseFacts::default()
        }
    }

    #[test]
    fn a_database_that_can_not_be_used_is_an_error() {
        let facts = facts();
        let fine = opened("2026-11-01T00:00:00Z");
        check(database(&facts, &fine), Well, "GeoLite2-City");
        let broken = DatabaseFacts {
            opened: Some(Err("it is no database".to_owned())),
            ..DatabaseFacts::default()
        };
        check(database(&facts, &broken), Error, "it is no database");
        assert_eq!(age(&facts, &broken), None);
    }

    #[test]
    fn a_file_is_old_after_two_months_and_the_built_in_database_after_a_year() {
        // The facts are of 2026-11-25, noon.
        let facts = facts();
        let with = |built: &str, is_builtin, severity, part: &str| {
            let database = DatabaseFacts {
                is_builtin,
                ..opened(built)
            };
            check(age(&facts, &database), severity, part);
        };
        with(
            "2026-11-01T00:00:00Z",
            false,
            Well,
            "2026-11-01, 24 days ago",
        );
        with("2026-09-26T00:00:00Z", false, Well, "60 days ago");
        with("2026-09-25T00:00:00Z", false, Warning, "61 days ago");
        with("2026-06-17T00:00:00Z", true, Well, "161 days ago");
        with("2025-11-01T00:00:00Z", true, Warning, "389 days ago");
        with("2027-01-01T00:00:00Z", false, Warning, "to come");
        with("", false, Info, "does not tell");
    }

    #[test]
    fn a_history_that_can_not_be_written_is_an_error_and_one_that_is_to_be_made_is_not() {
        let mut facts = facts();
        assert_eq!(history(&facts), None);
        let span = Span {
            since: "2026-11-01T00:00:00Z".parse().unwrap(),
            until: "2026-11-25T11:59:00Z".parse().unwrap(),
        };
        let mut with = |state, severity, part| {
            facts.host.history = Some(HistoryFacts {
                path: "h.db".into(),
                state,
                free_octets: None,
            });
            check(history(&facts), severity, part);
        };
        with(HistoryState::CanBeMade, Info, "no history `h.db` yet");
        with(HistoryState::NoFolder, Error, "no such folder");
        with(HistoryState::NotWritable, Error, "may not write");
        with(HistoryState::Unusable("why".to_owned()), Error, "why");
        with(HistoryState::Held(None), Well, "nothing yet");
        let told = "holds 2026-11-01 00:00 UTC to 2026-11-25 11:59 UTC";
        with(HistoryState::Held(Some(span)), Well, told);
    }

    #[test]
    fn too_little_room_for_a_history_is_told_before_it_is_full() {
        let mut facts = facts();
        for (free, severity) in [(1 << 40, Well), (64 << 20, Warning), (4 << 20, Error)] {
            facts.host.history = Some(HistoryFacts {
                path: "h.db".into(),
                state: HistoryState::CanBeMade,
                free_octets: Some(free),
            });
            check(space(&facts), severity, "MiB are free");
        }
    }
}
