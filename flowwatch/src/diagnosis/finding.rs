//! Findings: what is so, how bad it is, and what to do about it.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;

use super::Check;

/// How bad a finding is; the later the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Good to know.
    Info,
    /// Something may be missed, or costs more than it need.
    Warning,
    /// flowwatch can't count, or counts something else than it says.
    Error,
}

/// Every severity, the best first.
pub const SEVERITIES: [Severity; 4] = [
    Severity::Ok,
    Severity::Info,
    Severity::Warning,
    Severity::Error,
];

impl Severity {
    /// Returns its name in every output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The host as a whole.
    Host,
    /// One interface.
    Interface,
    /// One of nftables' flowtables.
    Flowtable,
    /// One tagged device.
    Device,
    /// One database of places.
    Database,
}

impl Scope {
    /// Returns its name in every output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Interface => "interface",
            Self::Flowtable => "flowtable",
            Self::Device => "device",
            Self::Database => "database",
        }
    }
}

/// A check's judgement of one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    severity: Severity,
    found: String,
    advice: Option<String>,
}

impl Verdict {
    /// All is well.
    pub(super) fn ok(found: impl Into<String>) -> Self {
        Self::new(Severity::Ok, found, None)
    }

    /// Good to know.
    pub(super) fn info(found: impl Into<String>) -> Self {
        Self::new(Severity::Info, found, None)
    }

    /// Something may be missed, and this is what to do.
    pub(super) fn warning(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Severity::Warning, found, Some(advice.into()))
    }

    /// flowwatch can't count rightly, and this is what to do.
    pub(super) fn error(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Severity::Error, found, Some(advice.into()))
    }

    /// Adds what to do to one that has nothing.
    pub(super) fn advised(self, advice: impl Into<String>) -> Self {
        Self {
            advice: Some(advice.into()),
            ..self
        }
    }

    fn new(severity: Severity, found: impl Into<String>, advice: Option<String>) -> Self {
        Self {
            severity,
            found: found.into(),
            advice,
        }
    }

    /// Returns the finding of a check on a subject.
    pub(super) fn of(self, check: &Check, subject: Option<String>) -> Finding {
        Finding {
            check: check.id,
            scope: check.scope(),
            subject,
            severity: self.severity,
            found: self.found,
            advice: self.advice,
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check's stable name.
    pub check: &'static str,
    /// What it looks at.
    pub scope: Scope,
    /// Which interface, device or file; none of the host.
    pub subject: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// What is so: a clause without a full stop.
    pub found: String,
    /// What to do about it, likewise; none where nothing is to be done.
    pub advice: Option<String>,
}

impl Finding {
    /// Returns the finding as one sentence, for a log.
    #[must_use]
    pub fn sentence(&self) -> String {
        let subject = match (&self.subject, self.scope) {
            (None, _) => String::new(),
            (Some(subject), scope) => format!("{} `{subject}`: ", scope.name()),
        };
        let advice = self.advice.iter().map(|advice| format!("; {advice}"));
        format!("{subject}{}{}", self.found, advice.collect::<String>())
    }
}

/// A field of a finding, as formats for machines have it.
#[derive(Debug)]
pub struct FindingField {
    /// Its name.
    pub name: &'static str,
    /// What it is, for help.
    pub description: &'static str,
    /// Returns its value; nothing where there is none.
    pub value: for<'a> fn(&'a Finding) -> Option<Cow<'a, str>>,
}

/// The fields of a finding, in their order.
pub const FINDING_FIELDS: &[FindingField] = &[
    FindingField {
        name: "severity",
        description: "How bad it is: `ok`, `info`, `warning` or `error`.",
        value: |finding| Some(finding.severity.name().into()),
    },
    FindingField {
        name: "check",
        description: "The check's name, which stays the same in later versions.",
        value: |finding| Some(finding.check.into()),
    },
    FindingField {
        name: "scope",
        description: "What it looks at: `host`, `interface`, `flowtable`, `device` or `database`.",
        value: |finding| Some(finding.scope.name().into()),
    },
    FindingField {
        name: "subject",
        description: "Which of them; unknown of the host.",
        value: |finding| finding.subject.as_deref().map(Cow::from),
    },
    FindingField {
        name: "found",
        description: "What is so.",
        value: |finding| Some(finding.found.as_str().into()),
    },
    FindingField {
        name: "advice",
        description: "What to do about it, where there is something to do.",
        value: |finding| finding.advice.as_deref().map(Cow::from),
    },
];

/// Everything that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// When it was looked.
    pub at: Timestamp,
    /// For how long devices were listened to; nothing where they were not.
    pub listened: Option<Duration>,
    /// The findings, by subject, in the order of the checks.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// Returns how many findings have a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        let findings = self.findings.iter();
        findings.filter(|it| it.severity == severity).count()
    }

    /// Returns the worst severity of all findings.
    #[must_use]
    pub fn worst(&self) -> Severity {
        let findings = self.findings.iter();
        findings.map(|it| it.severity).max().unwrap_or(Severity::Ok)
    }
}
