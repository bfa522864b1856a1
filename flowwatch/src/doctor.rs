//! `flowwatch doctor`: whether this host can count, and what would hide traffic from it.
//!
//! Effects come together here: the facts are gathered from kernel, files and, for a while, from the
//! devices' own traffic. What they feed, `diagnosis`, is pure. `run` asks for the warnings that
//! concern what it is about to count on.

mod devices;
mod files;
mod gathering;
mod host;
mod interfaces;
mod listening;

use anyhow::Context as _;
use jiff::Timestamp;

use self::gathering::Gathering;
use self::listening::Listening;
use crate::diagnosis::{CHECKS, Diagnosis, Facts, Finding, HostFacts, Severity, examine};
use crate::exit::{ExitStatus, Failure};
use crate::geo::Databases;
use crate::kernel::interface::{self, Interface};
use crate::plan::DoctorPlan;
use crate::stop::Stop;
use crate::store::Warning;

/// Looks as planned.
///
/// # Errors
/// What kept it from looking at all. What it can't tell is a finding.
pub fn diagnose(plan: &DoctorPlan) -> anyhow::Result<Diagnosis> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.context("start the event loop")?;
    let facts = runtime.block_on(gather(plan))?;
    Ok(Diagnosis {
        at: facts.now,
        listened: facts.listened,
        findings: examine(&facts),
    })
}

/// Returns an error where something was found that the exit status is to tell of.
///
/// # Errors
/// [`ExitStatus::Failed`]: what was found would keep flowwatch from counting rightly, or, where the
/// user is strict, is to be warned of.
pub fn verdict(plan: &DoctorPlan, diagnosis: &Diagnosis) -> anyhow::Result<()> {
    let told = match (diagnosis.worst(), plan.is_strict) {
        (Severity::Error, _) => "something keeps flowwatch from counting rightly",
        (Severity::Warning, true) => "something is to be warned of",
        _ => return Ok(()),
    };
    let error = anyhow::Error::msg(format!("{told}: see the findings"));
    Err(Failure::new(ExitStatus::Failed, error).into())
}

/// Returns what to warn of before counting on the interfaces that the user named, by the checks that
/// are meant for that.
pub async fn warnings(
    names: &[String],
    chosen: &[Interface],
    databases: &Databases,
) -> Vec<Warning> {
    let mut gathering = Gathering::default();
    // What can't be told is no reason to be heard before each run.
    let existing = interface::list().await.unwrap_or_default();
    let facts = Facts {
        now: Timestamp::now(),
        host: HostFacts {
            jit: host::jit(),
            accelerators: host::modules(),
            has_choice: true,
            ..HostFacts::default()
        },
        interfaces: gathering
            .interfaces_in_short(names, chosen, &existing)
            .await,
        flowtables: gathering.flowtables().await,
        devices: Vec::new(),
        databases: files::described(databases),
        listened: None,
        unknown: Vec::new(),
    };
    let is_told = |id| {
        CHECKS
            .iter()
            .any(|check| check.id == id && check.is_told_by_run)
    };
    let findings = examine(&facts).into_iter();
    let told = findings.filter(|it| it.severity >= Severity::Warning && is_told(it.check));
    let warning = |finding: Finding| Warning {
        text: finding.sentence(),
        check: finding.check.to_owned(),
        subject: finding.subject,
    };
    told.map(warning).collect()
}

async fn gather(plan: &DoctorPlan) -> anyhow::Result<Facts> {
    let stop = Stop::listen()?;
    let mut gathering = Gathering::default();
    let existing = interface::list().await?;
    let (chosen, refused) = interfaces::chosen(&plan.interfaces, &existing);
    let mut host = gathering.host(plan);
    host.refused_interfaces = refused;
    let mut interfaces = gathering.interfaces(plan, &chosen, &existing).await;
    let listening = match plan.listen {
        Some(duration) if gathering.may_listen(&host, &chosen) => {
            Some(Listening::listen(plan, &chosen, duration, stop).await?)
        }
        _ => None,
    };
    for facts in &mut interfaces {
        let heard = listening.as_ref().map(|it| it.at(&facts.interface));
        facts.heard = heard.flatten();
    }
    let devices = gathering
        .devices(plan, (&chosen, &existing), listening.as_ref())
        .await;
    Ok(Facts {
        now: Timestamp::now(),
        host,
        interfaces,
        flowtables: gathering.flowtables().await,
        devices,
        databases: files::databases(plan),
        listened: listening.map(|it| it.duration),
        unknown: gathering.into_unknown(),
    })
}

#[cfg(test)]
mod tests {
    use super::Severity::{Error, Info, Warning};
    use super::*;
    use crate::diagnosis::{Finding, Scope};
    use crate::exit::status_of;
    use crate::plan::{DoctorPlan, Settings};

    fn diagnosis(severities: &[Severity]) -> Diagnosis {
        let findings = severities.iter().map(|&severity| Finding {
            check: "kernel.version",
            scope: Scope::Host,
            subject: None,
            severity,
            found: String::new(),
            advice: None,
        });
        Diagnosis {
            at: Timestamp::UNIX_EPOCH,
            listened: None,
            findings: findings.collect(),
        }
    }

    #[test]
    fn errors_fail_and_warnings_do_where_the_user_is_strict() {
        let check = |severities: &[Severity], is_strict, fails: bool| {
            let plan = DoctorPlan {
                is_strict,
                ..DoctorPlan::new(Settings::default(), None).unwrap()
            };
            let outcome = verdict(&plan, &diagnosis(severities));
            let status = outcome.map_err(|error| status_of(&error));
            let expected = if fails {
                Err(ExitStatus::Failed)
            } else {
                Ok(())
            };
            assert_eq!(status, expected, "{severities:?}, {is_strict}");
        };
        for is_strict in [false, true] {
            check(&[], is_strict, false);
            check(&[Severity::Ok, Info], is_strict, false);
            check(&[Info, Warning], is_strict, is_strict);
            check(&[Warning, Error, Info], is_strict, true);
        }
    }
}
