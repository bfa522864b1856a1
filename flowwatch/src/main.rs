//! The `flowwatch` command: from arguments to one mode, one sentence for an error, one exit status.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use flowwatch::cli::{
    self, Cli, CliError, Command, DetachArgs, DevicesArgs, DiffArgs, DoctorArgs, ReplayArgs,
    ReportArgs, RunArgs, TopArgs,
};
use flowwatch::config::ConfigError;
use flowwatch::exit::{ExitStatus, sentence_of, status_of};
use flowwatch::format::{FormatEntry, Surface};
use flowwatch::grouping::Groups;
use flowwatch::kernel::{load, pins};
use flowwatch::output::{Output, OutputError};
use flowwatch::plan::{ReportForm, RunPlan, Settings};
use flowwatch::privileges::PrivilegeError;
use flowwatch::report::{Report, step_for};
use flowwatch::store::Snapshot;
use flowwatch::{
    config, console, detach, devices, doctor, privileges, recall, replay, run, sides, top, watching,
};
use jiff::Timestamp;

fn main() -> ExitCode {
    let outcome = cli::parse(std::env::args_os())
        .map_err(Into::into)
        .and_then(dispatch);
    let Err(error) = outcome else {
        return ExitStatus::Done.into();
    };
    let status = match error.downcast_ref::<CliError>() {
        Some(CliError::Help(help)) => show_help(help),
        _ => status_of(&error),
    };
    if status != ExitStatus::Done {
        log::debug!("{error:?}");
        console::tell(&sentence_of(&error));
    }
    status.into()
}

fn dispatch(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Run(args) => count(&args),
        Command::Replay(args) => replay_capture(&args),
        Command::Report(args) => report(&args),
        Command::Devices(args) => list_devices(&args),
        Command::Diff(args) => compare(&args),
        Command::Top(args) => show_live(&args),
        Command::Doctor(args) => diagnose(&args),
        Command::Detach(args) => detach_all(&args),
    }
}

/// `flowwatch run`: counts, then writes what was counted.
fn count(args: &RunArgs) -> anyhow::Result<()> {
    start_log(args.log_level());
    let file = settings_of(args.config.as_deref())?;
    let plan = RunPlan::try_from(args.settings().over(file))?;
    let output = Output::open(plan.output.as_deref())?;
    if plan.persist.is_wanted {
        // Mounting takes more than counting does.
        pins::prepare(&plan.persist.pins)?;
    }
    limit_privileges(&plan, args.config.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.context("start the event loop")?;
    let (snapshot, outcome) = runtime.block_on(run::run(&plan, reread(args), None))?;
    deliver(&snapshot, outcome, plan.format, &output)
}

/// Gives up what counting does not need; the event loop, which starts other threads, comes after.
fn limit_privileges(plan: &RunPlan, config: Option<&Path>) -> Result<(), PrivilegeError> {
    load::raise_memory_lock_limit();
    match privileges::limit(plan, config) {
        Ok(kept) => log::info!("{kept}"),
        Err(error) if plan.user.is_some() => return Err(error),
        Err(error) => log::warn!("{error}"),
    }
    Ok(())
}

/// `flowwatch replay`: counts a capture, then writes what was counted.
fn replay_capture(args: &ReplayArgs) -> anyhow::Result<()> {
    start_log(args.log_level());
    let file = settings_of(args.config.as_deref())?;
    let plan = args.plan(file)?;
    let output = Output::open(plan.output.as_deref())?;
    let (snapshot, outcome) = replay::replay(&plan)?;
    deliver(&snapshot, outcome, plan.format, &output)
}

/// `flowwatch report`: reads a history or a capture, then writes what is in it.
fn report(args: &ReportArgs) -> anyhow::Result<()> {
    start_log(args.log_level());
    let file = settings_of(args.config.as_deref())?;
    let plan = args.plan(file, Timestamp::now())?;
    let output = Output::open(plan.output.as_deref())?;
    let step = |span| matches!(plan.form, ReportForm::Page).then(|| step_for(span));
    let (recalled, outcome) = recall::recall(&plan, step)?;
    let report = Report {
        snapshot: &recalled.snapshot,
        span: recalled.span,
        series: &recalled.series,
        by: plan.by,
    };
    let surface = surface_of(&output);
    let groups = plan.by.map(|by| Groups::of(report.snapshot, by));
    let render = |out: &mut dyn io::Write| match (plan.form, &groups) {
        (ReportForm::Page, _) => report.write_page(out),
        (ReportForm::Listed(format), Some(groups)) => (format.write_groups)(groups, surface, out),
        (ReportForm::Listed(format), None) if format.name == "markdown" => report.write_up(out),
        (ReportForm::Listed(format), None) => (format.open)(surface).write(report.snapshot, out),
    };
    if let ReportForm::Listed(format) = plan.form {
        tell_findings(report.snapshot, format);
    }
    finish(outcome, output.write(&render, &mut io::stdout().lock()))
}

/// `flowwatch devices`: takes a census, then writes the list.
fn list_devices(args: &DevicesArgs) -> anyhow::Result<()> {
    start_log(args.log_level());
    let plan = args.plan(settings_of(args.config.as_deref())?)?;
    let output = Output::open(plan.output.as_deref())?;
    let (list, outcome) = devices::list(&plan)?;
    let surface = surface_of(&output);
    let render = |out: &mut dyn io::Write| (plan.format.write_devices)(&list, surface, out);
    finish(outcome, output.write(&render, &mut io::stdout().lock()))
}

/// `flowwatch doctor`: looks, then writes what was found.
fn diagnose(args: &DoctorArgs) -> anyhow::Result<()> {
    start_log(args.log_level());
    let plan = args.plan(settings_of(args.config.as_deref())?)?;
    let output = Output::open(plan.output.as_deref())?;
    let diagnosis = doctor::diagnose(&plan)?;
    let surface = surface_of(&output);
    let render = |out: &mut dyn io::Write| (plan.format.write_diagnosis)(&diagnosis, surface, out);
    finish(Ok(()), output.write(&render, &mut io::stdout().lock()))?;
    doctor::verdict(&plan, &diagnosis)
}

/// `flowwatch diff`: compares two sides, then writes what is gone, new and kept.
fn compare(args: &DiffArgs) -> anyhow::Result<()> {
    start_log(args.log_level());
    let plan = args.plan(settings_of(args.config.as_deref())?);
    let output = Output::open(plan.output.as_deref())?;
    let (comparison, outcome) = sides::compare_sides(&plan, Timestamp::now())?;
    for finding in sides::findings(&comparison) {
        console::tell(&finding);
    }
    let surface = surface_of(&output);
    let render =
        |out: &mut dyn io::Write| (plan.format.write_comparison)(&comparison, surface, out);
    finish(outcome, output.write(&render, &mut io::stdout().lock()))?;
    sides::verdict(&plan, &comparison)
}

/// `flowwatch top`: shows what a daemon counts, what it counts itself, or a capture.
fn show_live(args: &TopArgs) -> anyhow::Result<()> {
    top::ensure_terminal()?;
    start_log(args.log_level());
    let plan = args.plan(settings_of(args.config.as_deref())?)?;
    watching::show(&plan)
}

/// Returns what makes the plan anew, where there is a file to read again.
fn reread(args: &RunArgs) -> Option<run::Reread> {
    let args = args.clone();
    let path = args.config.clone()?;
    Some(Arc::new(move || {
        // A pipe was read to its end, and would be waited for.
        if std::fs::metadata(&path).is_ok_and(|it| !it.is_file()) {
            anyhow::bail!("read `{}` again: it is not a file", path.display());
        }
        Ok(RunPlan::try_from(
            args.settings().over(config::read(&path)?),
        )?)
    }))
}

/// `flowwatch detach`: ends the counting that `run --persist` left.
fn detach_all(args: &DetachArgs) -> anyhow::Result<()> {
    start_log(args.log_level());
    detach::detach(&args.plan(settings_of(args.config.as_deref())?))
}

/// Reads a configuration file, where there is one.
fn settings_of(file: Option<&Path>) -> Result<Settings, ConfigError> {
    let settings = file.map(config::read).transpose()?;
    Ok(settings.unwrap_or_default())
}

/// Writes what was counted, also when the counting ended early.
fn deliver(
    snapshot: &Snapshot,
    outcome: anyhow::Result<()>,
    format: &FormatEntry,
    output: &Output,
) -> anyhow::Result<()> {
    let document = (format.open)(surface_of(output));
    tell_findings(snapshot, format);
    let written = output.write(
        &|out| document.write(snapshot, out),
        &mut io::stdout().lock(),
    );
    finish(outcome, written)
}

/// Tells what a document that holds rows alone does not.
fn tell_findings(snapshot: &Snapshot, format: &FormatEntry) {
    if !format.tells_findings {
        for finding in flowwatch::format::findings(snapshot) {
            console::tell(&finding);
        }
    }
}

/// Returns what the document is shown on.
fn surface_of(output: &Output) -> Surface {
    match output {
        Output::Stdout => Surface::of_stdout(),
        _ => Surface::PLAIN,
    }
}

/// Returns the error that ends the program, if there is one, and tells a second.
fn finish(outcome: anyhow::Result<()>, written: Result<(), OutputError>) -> anyhow::Result<()> {
    match (outcome, written.map_err(anyhow::Error::from)) {
        (Err(outcome), Err(written)) => {
            // One error ends the program; that the document is elsewhere must be known all the same.
            console::tell(&sentence_of(&written));
            Err(outcome)
        }
        (outcome, written) => outcome.and(written),
    }
}

/// Sends the log to standard error, one printable line a message.
fn start_log(level: log::LevelFilter) {
    let format = |_: &mut env_logger::fmt::Formatter, record: &log::Record<'_>| {
        console::tell_logged(record.level(), &record.args().to_string());
        Ok(())
    };
    env_logger::Builder::new()
        .filter_module("flowwatch", level)
        .format(format)
        .init();
}

fn show_help(help: &str) -> ExitStatus {
    match write!(io::stdout(), "{help}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitStatus::Failed,
        _ => ExitStatus::Done,
    }
}
