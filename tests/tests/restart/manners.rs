//! What is said and left: by a second flowwatch, by one that doesn't persist, by `detach`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use flowwatch_tests::flowwatch::{Attach, Ended, Run};
use nix::sys::signal::Signal;

use crate::record::Record;
use crate::scene::{Scene, await_counting, kill, stop, turn};

fn ensure_ended(ended: &Ended, status: i32, told: &str) -> Result<()> {
    ensure!(
        ended.status == Some(status) && ended.errors.contains(told),
        "`{told}` and {status}: {ended:?}"
    );
    Ok(())
}

/// A run that goes with its process, beside one that persists.
fn passing_run(scene: &Scene) -> Result<Run> {
    let (device, runs) = (scene.lab.camera(), scene.folder.path().join("run"));
    let run = Run::new()?
        .attach(Attach::Tc)
        .interface(&device.port)
        .device(&device.name, device.mac);
    Ok(run.options(&[
        "--no-builtin-geo",
        "--run-directory",
        &runs.display().to_string(),
        "--pin-directory",
        &scene.pins.path(),
    ]))
}

/// What a passing run says of what counts beside it.
fn told_beside(scene: &Scene) -> Result<String> {
    let gateway = &scene.lab.gateway;
    let passing = passing_run(scene)?.start(gateway)?.interrupt()?;
    ensure!(passing.status == Some(0), "{passing:?}");
    Ok(passing.errors)
}

/// Filters and links that programs are attached by at the scene's ports, as iproute2 shows them.
fn attached(scene: &Scene) -> Result<String> {
    let gateway = &scene.lab.gateway;
    let mut shown = String::new();
    for device in scene.devices() {
        for side in ["ingress", "egress"] {
            shown += &gateway.run("tc", &["filter", "show", "dev", &device.port, side])?;
        }
        let link = gateway.run("ip", &["-details", "link", "show", "dev", &device.port])?;
        shown.extend(link.lines().filter(|line| line.contains("prog/xdp")));
    }
    Ok(shown)
}

#[test]
fn a_second_one_is_told_who_runs_and_detach_ends_that_when_it_is_asked_to() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    let scene = Scene::new()?;
    let gateway = &scene.lab.gateway;
    let run = scene.run(Attach::Tc)?;
    let first = run.start(gateway)?;
    let pid = first.process().pid();
    let told = format!("a flowwatch that persists runs already, as process {pid} ");
    ensure_ended(&run.to_end(gateway)?, 1, &told)?;
    ensure_ended(&scene.places("detach")?.to_end(gateway)?, 1, &told)?;
    // Nor with a run directory of its own.
    let other = scene.places_in("detach", "other")?.to_end(gateway)?;
    ensure_ended(&other, 1, "another flowwatch does; end that one first")?;
    let beside = told_beside(&scene)?;
    ensure!(
        beside.contains(&format!("persists runs as process {pid} ")),
        "{beside}"
    );
    let fired = [scene.fire()?];
    let detach = scene.places("detach")?.options(&["--stop"]);
    ensure_ended(&detach.to_end(gateway)?, 0, "detached ingress of `lan0`")?;
    ensure_ended(&first.wait()?, 0, "the kernel counts on")?;
    ensure!(!Path::new(&scene.pins.path()).exists(), "pins are left");
    Record::read(&scene.history())?.ensure_equal(&Record::of_sent(&fired))?;
    ensure_ended(&detach.to_end(gateway)?, 0, "nothing to detach: nothing")
}

fn check_leftovers(attach: Attach, tc: &str) -> Result<()> {
    let scene = Scene::new()?;
    let gateway = &scene.lab.gateway;
    let run = scene.run(attach)?.options(&["--tc-hook", tc]);
    kill(&run.start(gateway)?)?;
    // The lock's file is there, with the number of one that is gone.
    let lock = scene.folder.path().join("run/flowwatch.lock");
    ensure!(!fs::read_to_string(lock)?.is_empty(), "the lock is empty");
    // They are of the gateway's namespace.
    let elsewhere = scene.places("detach")?;
    let elsewhere = elsewhere.to_end(&scene.lab.camera().namespace)?;
    ensure_ended(&elsewhere, 1, "they are of another network namespace")?;
    let beside = told_beside(&scene)?;
    ensure!(
        beside.contains("an earlier `flowwatch run --persist` left counts on"),
        "{beside}"
    );
    let again = run.spawn(gateway)?;
    await_counting(&again)?;
    again.signal(Signal::SIGTERM)?;
    ensure_ended(&Ended::of(&again)?, 0, "took over the counting")?;
    let before = attached(&scene)?;
    ensure!(
        tc == "tcx" && attach == Attach::Tc || !before.is_empty(),
        "nothing is attached"
    );
    let detached = scene.detach()?;
    ensure_ended(&detached, 0, "detached egress of `lan1`")?;
    let after = attached(&scene)?;
    ensure!(after.is_empty(), "{after}");
    ensure!(
        !told_beside(&scene)?.contains("persist"),
        "it is still told of"
    );
    Ok(())
}

#[test]
fn what_a_killed_one_left_is_told_taken_over_and_removed() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    check_leftovers(Attach::Xdp, "tcx")?;
    check_leftovers(Attach::Tc, "tcx")?;
    check_leftovers(Attach::Tc, "clsact")
}

#[test]
fn without_a_history_detach_says_what_it_loses() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    let scene = Scene::new()?;
    let gateway = &scene.lab.gateway;
    let first = scene.run(Attach::Xdp)?.start(gateway)?;
    stop(&first)?;
    let fired = [scene.fire()?];
    let sent = Record::of_sent(&fired).total();
    let runs = scene.folder.path().join("run").display().to_string();
    let pins = scene.pins.path();
    let places = ["--run-directory", &runs, "--pin-directory", &pins];
    let detach = Run::new()?.command_word("detach").options(&places);
    let told = format!(
        "{} octets in {} packets of 400 flows",
        sent.octets, sent.packets
    );
    let ended = detach.to_end(gateway)?;
    ensure_ended(&ended, 0, &told)?;
    ensure_ended(
        &ended,
        0,
        "lost what was counted last, as no --history was given",
    )
}

#[test]
fn what_is_not_understood_is_told_and_left_until_it_is_detached() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    let scene = Scene::new()?;
    let gateway = &scene.lab.gateway;
    let run = scene.run(Attach::Tc)?;
    kill(&run.start(gateway)?)?;
    let pins = PathBuf::from(scene.pins.path());
    let newer = pins.join("v2");
    fs::create_dir(&newer)?;
    ensure_ended(&run.to_end(gateway)?, 1, "`v2` is of another version")?;
    fs::remove_dir(&newer)?;
    let strange = pins.join("v1/generations/strange");
    fs::create_dir(&strange)?;
    ensure_ended(&run.to_end(gateway)?, 1, "strange`: it can't be read")?;
    ensure!(strange.exists(), "it is gone");
    fs::create_dir(&newer)?;
    let detached = scene.detach()?;
    ensure_ended(&detached, 0, "detached ingress of `lan0`")?;
    ensure_ended(&detached, 0, "what was counted last is lost: take over")?;
    ensure_ended(&detached, 0, "with 1 set of maps")?;
    ensure!(!pins.exists(), "pins are left");
    Ok(())
}

#[test]
fn without_a_history_nothing_persists() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    let scene = Scene::new()?;
    let run = passing_run(&scene)?.options(&["--persist"]);
    ensure_ended(
        &run.to_end(&scene.lab.gateway)?,
        2,
        "--persist needs a history; name its file with --history",
    )
}
