//! What is exported while the configuration changes: a device goes on under another name, another is
//! counted no more, and what each sent by then is there.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use flowwatch_tests::flowwatch::{Attach, Run};
use flowwatch_tests::lab::{Device, Lab};
use flowwatch_tests::process::Stream;
use flowwatch_tests::specimen::Way;
use flowwatch_tests::volley::Fired;
use flowwatch_tests::witness::UpDown;
use nix::sys::signal::Signal;

use super::lines::Summed;
use super::{PATIENCE, end, fire, is_possible, lab};

/// Writes a configuration that counts these devices under these names, and exports to a file beside it.
fn configure(path: &Path, lab: &Lab, devices: &[(&str, &Device)]) -> Result<()> {
    let ports: Vec<_> = lab.devices.iter().map(|device| &*device.port).collect();
    let mut text = format!(
        "interfaces = {ports:?}\ninterval = '20ms'\n[export]\ninterval = '1s'\n\
         jsonl = 'flows.jsonl'\n"
    );
    for (name, device) in devices {
        write!(
            text,
            "[[device]]\nname = '{name}'\nmac = '{}'\n",
            device.mac
        )?;
    }
    Ok(fs::write(path, text)?)
}

fn sent(fired: &Fired, device: &Device) -> UpDown {
    let of = |way| fired.ledger.sum(&device.name, way).traffic;
    UpDown {
        up: of(Way::Up),
        down: of(Way::Down),
    }
}

#[test]
fn what_is_exported_sums_up_over_a_reload_that_renames_and_removes_devices() -> Result<()> {
    if !is_possible(&[])? {
        return Ok(());
    }
    let (lab, folder) = (lab()?, tempfile::tempdir()?);
    let path = folder.path().join("flowwatch.toml");
    let [camera, plug] = &lab.devices[..] else {
        anyhow::bail!("two devices")
    };
    configure(&path, &lab, &[("camera", camera), ("plug", plug)])?;
    let options = ["--config", &*path.to_string_lossy()];
    let flowwatch = Run::new()?.attach(Attach::Tc).options(&options);
    let flowwatch = flowwatch.start(&lab.gateway)?;
    let first = fire(&lab)?;
    configure(&path, &lab, &[("eye", camera)])?;
    let process = flowwatch.process();
    process.signal(Signal::SIGHUP)?;
    let is_told = |line: &str| line.contains("took up the configuration");
    process.wait_for_line(Stream::Stderr, PATIENCE, is_told)?;
    let second = fire(&lab)?;
    end(&flowwatch)?;
    let summed = Summed::json(&fs::read_to_string(folder.path().join("flows.jsonl"))?)?;
    let mut of_camera = summed.device("camera");
    of_camera += summed.device("eye");
    let mut expected = sent(&first, camera);
    expected += sent(&second, camera);
    ensure!(of_camera == expected, "{of_camera:?}, sent {expected:?}");
    ensure!(
        summed.device("eye") != UpDown::default(),
        "it is called `eye`"
    );
    let (of_plug, expected) = (summed.device("plug"), sent(&first, plug));
    ensure!(of_plug == expected, "{of_plug:?}, sent {expected:?}");
    Ok(())
}
