//! How the program ends: exit status and error text, decided in one place.
//!
//! From an error's chain of causes to a number and one printed sentence. A pipe that its reader has
//! closed is no error.

use std::{error::Error, io, process::ExitCode};

use crate::{
    cli::CliError,
    config::ConfigError,
    export::ExportError,
    geo::GeoError,
    history::HistoryError,
    kernel::interface::InterfaceError,
    kernel::support::{NotPermitted, NotSupported},
    live::ClientError,
    output::OutputError,
    plan::PlanError,
    privileges::{PrivilegeError, UserError},
};

/// What the exit status tells a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// All was done.
    Done = 0,
    /// Something failed while it was done.
    Failed = 1,
    /// The command line, a file that it names or the configuration is wrong.
    Usage = 2,
    /// Privileges are missing.
    NotPermitted = 3,
    /// The kernel lacks something, which is named.
    KernelLacks = 4,
    /// Two things that were compared differ.
    Differs = 5,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// An error whose status its maker knows better than its type tells.
#[derive(Debug)]
pub struct Failure {
    status: ExitStatus,
    cause: anyhow::Error,
}

impl Failure {
    /// Returns the error with a status.
    pub fn new(status: ExitStatus, cause: impl Into<anyhow::Error>) -> Self {
        Self {
            status,
            cause: cause.into(),
        }
    }

    /// Returns the error of a history that was to be read: another one should have been named,
    /// unless it is privileges that lack.
    #[must_use]
    pub fn unreadable(error: HistoryError) -> Self {
        let status = match error {
            HistoryError::NotPermitted(_) => ExitStatus::NotPermitted,
            _ => ExitStatus::Usage,
        };
        Self::new(status, error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.cause.fmt(f)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}

/// Returns the status that an error ends the program with: that of the first cause that has one.
#[must_use]
pub fn status_of(error: &anyhow::Error) -> ExitStatus {
    error
        .chain()
        .find_map(known_status)
        .unwrap_or(ExitStatus::Failed)
}

fn known_status(cause: &(dyn Error + 'static)) -> Option<ExitStatus> {
    if let Some(failure) = cause.downcast_ref::<Failure>() {
        return Some(failure.status);
    }
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return (error.kind() == io::ErrorKind::BrokenPipe).then_some(ExitStatus::Done);
    }
    if let Some(error) = cause.downcast_ref::<OutputError>() {
        return match error {
            _ if error.is_usage() => Some(ExitStatus::Usage),
            // Its cause decides: a reader that has seen enough is no failure.
            OutputError::Stdout(_) => None,
            _ => Some(ExitStatus::Failed),
        };
    }
    if let Some(error) = cause.downcast_ref::<InterfaceError>() {
        // Listing them may fail for reasons that aren't the user's; its cause decides.
        return (!error.is_of_host()).then_some(ExitStatus::Usage);
    }
    if let Some(error) = cause.downcast_ref::<HistoryError>() {
        return is_wrong_file(error).then_some(ExitStatus::Usage);
    }
    if let Some(ClientError::NotPermitted { .. }) = cause.downcast_ref() {
        return Some(ExitStatus::NotPermitted);
    }
    if let Some(error) = cause.downcast_ref::<ExportError>() {
        return (!matches!(error, ExportError::Thread(_))).then_some(ExitStatus::Usage);
    }
    if let Some(PrivilegeError::User(error)) = cause.downcast_ref() {
        return Some(match error {
            UserError::Unknown(_) => ExitStatus::Usage,
            UserError::Refused { .. } => ExitStatus::NotPermitted,
            UserError::Folder { .. } => ExitStatus::Failed,
        });
    }
    let is_usage = cause.is::<PlanError>() || cause.is::<ConfigError>() || cause.is::<GeoError>();
    let status = match cause.downcast_ref::<CliError>() {
        Some(CliError::Help(_)) => ExitStatus::Done,
        Some(CliError::Usage(_)) => ExitStatus::Usage,
        None if is_usage => ExitStatus::Usage,
        None if cause.is::<NotPermitted>() => ExitStatus::NotPermitted,
        None if cause.is::<NotSupported>() => ExitStatus::KernelLacks,
        None => return None,
    };
    Some(status)
}

/// Returns whether another file should have been named, or this one read by another flowwatch.
const fn is_wrong_file(error: &HistoryError) -> bool {
    matches!(
        error,
        HistoryError::Missing(_)
            | HistoryError::Folder(_)
            | HistoryError::Foreign(_)
            | HistoryError::Newer { .. }
            | HistoryError::Older { .. }
    )
}

/// Characters that a cause may have: the verifier's can go on for pages, which `-vv` shows.
const MAX_CAUSE: usize = 300;

/// Returns an error's causes as one sentence: `attempt: cause: its cause`.
#[must_use]
pub fn sentence_of(error: &anyhow::Error) -> String {
    let mut sentence = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((end, _)) = text.char_indices().nth(MAX_CAUSE) {
            text.truncate(end);
            text += " …";
        }
        // Some types put their source's words into their own.
        if !text.is_empty() && !sentence.contains(&text) {
            let separator = if sentence.is_empty() { "" } else { ": " };
            sentence += separator;
            sentence += &text;
        }
    }
    sentence
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    fn check(error: impl Into<anyhow::Error>, status: ExitStatus) {
        let error = error.into();
        assert_eq!(status_of(&error), status, "{error:?}");
        let wrapped = Err::<(), _>(error).context("run").unwrap_err();
        assert_eq!(status_of(&wrapped), status, "{wrapped:?}");
    }

    #[test]
    fn each_kind_of_error_has_its_status() {
        check(anyhow::anyhow!("anything"), ExitStatus::Failed);
        check(HistoryError::Missing("h.db".into()), ExitStatus::Usage);
        check(HistoryError::Taken("h.db".into()), ExitStatus::Failed);
        check(PlanError::NoDevice, ExitStatus::Usage);
        let bridge = "br0".to_owned();
        check(InterfaceError::NoPorts(bridge), ExitStatus::Usage);
        let refused = io::Error::other("refused");
        check(InterfaceError::Open(refused), ExitStatus::Failed);
        check(CliError::Usage("x".to_owned()), ExitStatus::Usage);
        check(CliError::Help("x".to_owned()), ExitStatus::Done);
        check(
            NotPermitted {
                attempt: "load".to_owned(),
            },
            ExitStatus::NotPermitted,
        );
        check(
            ClientError::NotPermitted {
                path: "x".into(),
                advice: "use sudo".to_owned(),
            },
            ExitStatus::NotPermitted,
        );
        let lacking = NotSupported {
            feature: "tcx",
            since_kernel: "6.6",
            advice: "use clsact",
        };
        check(lacking, ExitStatus::KernelLacks);
        check(io::Error::from(io::ErrorKind::BrokenPipe), ExitStatus::Done);
        check(
            io::Error::from(io::ErrorKind::StorageFull),
            ExitStatus::Failed,
        );
        check(
            Failure::new(ExitStatus::Differs, PlanError::NoDevice),
            ExitStatus::Differs,
        );
    }

    #[test]
    fn a_reader_that_left_is_no_failure_but_a_diverted_document_is() {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        check(OutputError::Stdout(closed()), ExitStatus::Done);
        check(
            OutputError::Diverted {
                path: "x".into(),
                source: closed(),
            },
            ExitStatus::Failed,
        );
        check(OutputError::IsFolder("x".into()), ExitStatus::Usage);
    }

    #[test]
    fn statuses_are_the_documented_numbers() {
        let numbers = [
            ExitStatus::Done,
            ExitStatus::Failed,
            ExitStatus::Usage,
            ExitStatus::NotPermitted,
            ExitStatus::KernelLacks,
            ExitStatus::Differs,
        ];
        assert_eq!(numbers.map(|status| status as u8), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_chain_is_one_sentence_that_repeats_nothing() {
        let error = anyhow::anyhow!("no such device")
            .context("open `x`:\nno such device")
            .context("count on `x`");
        assert_eq!(
            sentence_of(&error),
            "count on `x`: open `x`: no such device"
        );
    }

    #[test]
    fn a_cause_that_goes_on_for_pages_is_cut() {
        let error = anyhow::anyhow!("é".repeat(9999)).context("load");
        assert_eq!(sentence_of(&error), format!("load: {} …", "é".repeat(300)));
    }

    #[test]
    fn a_failure_tells_its_causes_once() {
        let cause = anyhow::anyhow!("inner").context("outer");
        let error = anyhow::Error::from(Failure::new(ExitStatus::Usage, cause));
        assert_eq!(sentence_of(&error), "outer: inner");
    }
}
