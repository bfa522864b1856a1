//! Restarts with something different than before: other devices, programs of another version,
//! interfaces that went and came back, a configuration that changes while it counts.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aya::maps::{Array, Map, MapData};
use flowwatch_tests::flowwatch::{Attach, Flowwatch};
use flowwatch_tests::lab::Device;
use flowwatch_tests::link::{self, End};
use flowwatch_tests::process::Stream;
use flowwatch_tests::volley::Fired;
use nix::sys::signal::Signal;

use crate::kills::Moments;
use crate::record::Record;
use crate::scene::{PATIENCE, Scene, kill, stop, stop_whole, turn};

const BOTH: [Attach; 2] = [Attach::Xdp, Attach::Tc];
/// What a restart says that finds maps which it can't go on with.
const DRAINED: &str = "with other devices or tables, into the history";
/// What one says that goes on.
const TAKEN_OVER: &str = "took over the counting of an earlier flowwatch";
/// Octets of a chunk of a generation's descriptor.
const CHUNK: usize = 4096;
/// Times that the configuration changes.
const ROUNDS: u64 = 6;

fn two(scene: &Scene) -> Result<[&Device; 2]> {
    let devices = <[_; 2]>::try_from(scene.devices());
    devices.ok().context("two devices were asked for")
}

fn ensure_told(flowwatch: &Flowwatch, what: &str, is_told: bool) -> Result<()> {
    let told = flowwatch.process().output(Stream::Stderr);
    ensure!(told.contains(what) == is_told, "`{what}`: {told}");
    Ok(())
}

/// Ends the counting, and holds the history against what was sent.
fn ensure_recorded(scene: &Scene, fired: &[Fired]) -> Result<()> {
    scene.detach()?;
    Record::read(&scene.history())?.ensure_equal(&Record::of_sent(fired))
}

fn check_devices(attach: Attach) -> Result<()> {
    let scene = Scene::new()?;
    let gateway = &scene.lab.gateway;
    let [camera, plug] = two(&scene)?;
    let mut fired = Vec::new();
    let first = scene.run_of(attach, &[camera])?.start(gateway)?;
    fired.push(scene.fire_of(&[camera])?);
    kill(&first)?;
    fired.push(scene.fire_of(&[camera])?);
    // Other numbers, and one more.
    let second = scene.run_of(attach, &[plug, camera])?.start(gateway)?;
    ensure_told(&second, DRAINED, true)?;
    fired.push(scene.fire()?);
    kill(&second)?;
    fired.push(scene.fire()?);
    let third = scene.run_of(attach, &[plug])?.start(gateway)?;
    ensure_told(&third, DRAINED, true)?;
    fired.push(scene.fire_of(&[plug])?);
    // Nobody's any more.
    scene.fire_of(&[camera])?;
    stop(&third)?;
    ensure_recorded(&scene, &fired)
}

#[test]
fn other_devices_after_a_restart_get_other_maps_and_what_the_old_ones_had_is_recorded() -> Result<()>
{
    let Some(_turn) = turn()? else { return Ok(()) };
    BOTH.into_iter().try_for_each(check_devices)
}

/// Devices that a prefix tags: one appears while flowwatch counts, one while nothing runs.
fn check_prefix(attach: Attach) -> Result<()> {
    let scene = Scene::new()?;
    let gateway = &scene.lab.gateway;
    let [camera, plug] = two(&scene)?;
    let run = scene.run_of_nobody(attach)?;
    let run = run.options(&["--device", "lab=2c:aa:8e:*"]);
    let mut fired = Vec::new();
    let first = run.start(gateway)?;
    fired.push(scene.fire_of(&[plug])?);
    kill(&first)?;
    fired.push(scene.fire()?);
    let (more, second) = scene.under_load(|| run.start(gateway))?;
    ensure_told(&second, TAKEN_OVER, true)?;
    fired.extend(more);
    kill(&second)?;
    fired.push(scene.fire_of(&[camera])?);
    stop_whole(&run.start(gateway)?)?;
    scene.detach()?;
    let called = |name: &str| {
        let device = if name == camera.name { camera } else { plug };
        let mac = device.mac.to_string();
        format!("lab-{}", &mac["2c:aa:8e:".len()..])
    };
    Record::read(&scene.history())?.ensure_equal(&Record::of_sent(&fired).called(called))
}

#[test]
fn devices_that_a_prefix_tags_are_counted_on_and_told_apart_after_a_restart() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    BOTH.into_iter().try_for_each(check_prefix)
}

/// Has the pinned maps be those of programs of another version, by what their descriptor says.
fn change_version(pins: &Path) -> Result<()> {
    let generations = pins.join("v1/generations");
    let generation = fs::read_dir(&generations)?.next();
    let folder = generation.context("no generation is pinned")??.path();
    let map = MapData::from_pin(folder.join("DESCRIPTOR"))?;
    let mut map: Array<_, [u8; CHUNK]> = Map::from_map_data(map)?.try_into()?;
    let chunk = map.get(&0, 0)?;
    let text = chunk.split(|octet| *octet == 0).next().unwrap_or_default();
    let mut descriptor: serde_json::Value = serde_json::from_slice(text)?;
    descriptor["object"] = 1.into();
    let changed = serde_json::to_vec(&descriptor)?;
    let mut chunk = [0; CHUNK];
    let room = chunk.get_mut(..changed.len());
    room.context("more than a chunk")?.copy_from_slice(&changed);
    Ok(map.set(0, chunk, 0)?)
}

#[test]
fn maps_of_another_version_are_drained_and_replaced() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    for attach in BOTH {
        let scene = Scene::new()?;
        let run = scene.run(attach)?;
        let first = run.start(&scene.lab.gateway)?;
        let mut fired = vec![scene.fire()?];
        kill(&first)?;
        fired.push(scene.fire()?);
        change_version(Path::new(&scene.pins.path()))?;
        let (under_load, second) = scene.under_load(|| run.start(&scene.lab.gateway))?;
        fired.extend(under_load);
        ensure_told(&second, DRAINED, true)?;
        ensure_told(&second, TAKEN_OVER, false)?;
        kill(&second)?;
        let third = run.start(&scene.lab.gateway)?;
        ensure_told(&third, TAKEN_OVER, true)?;
        ensure_told(&third, DRAINED, false)?;
        stop(&third)?;
        ensure_recorded(&scene, &fired)?;
    }
    Ok(())
}

/// Makes a device's link once more.
fn make_anew(scene: &Scene, device: &Device) -> Result<()> {
    let gateway = &scene.lab.gateway;
    gateway.ip(&format!("link delete {}", device.port))?;
    let port = End {
        namespace: gateway,
        name: &device.port,
        mac: device.gateway_mac,
    };
    let own = End {
        namespace: &device.namespace,
        name: "eth0",
        mac: device.mac,
    };
    link::veth(&port, &own, 1500)
}

#[test]
fn an_interface_that_was_made_anew_while_nothing_ran_is_counted_on_again() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    for attach in BOTH {
        let scene = Scene::new()?;
        let run = scene.run(attach)?;
        let first = run.start(&scene.lab.gateway)?;
        let mut fired = vec![scene.fire()?];
        kill(&first)?;
        fired.push(scene.fire()?);
        make_anew(&scene, two(&scene)?[0])?;
        let second = run.start(&scene.lab.gateway)?;
        ensure_told(&second, TAKEN_OVER, true)?;
        fired.push(scene.fire()?);
        stop(&second)?;
        scene.detach()?;
        let recorded = Record::read(&scene.history())?;
        recorded.ensure_flows_equal(&Record::of_sent(&fired))?;
    }
    Ok(())
}

/// Writes a configuration: the scene's devices and ports, behind a guest that nobody has ever seen.
fn configure(scene: &Scene, path: &Path, has_guest: bool) -> Result<()> {
    let devices = scene.devices();
    let ports: Vec<_> = devices.iter().map(|device| &device.port).collect();
    let mut text = format!("interfaces = {ports:?}\n");
    if has_guest {
        text += "[[device]]\nname = 'guest'\nmac = '02:00:00:00:00:77'\n";
    }
    for Device { name, mac, .. } in devices {
        write!(text, "[[device]]\nname = '{name}'\nmac = '{mac}'\n")?;
    }
    Ok(fs::write(path, text)?)
}

/// Changes the configuration again and again, and kills at some of the changes.
fn check_reload(attach: Attach) -> Result<()> {
    let scene = Scene::new()?;
    let path = scene.folder.path().join("flowwatch.toml");
    configure(&scene, &path, false)?;
    let run = scene.run_by(&path, attach)?;
    let mut moments = Moments::new()?;
    let mut flowwatch = run.start(&scene.lab.gateway)?;
    let (fired, ()) = scene.under_load(|| {
        for round in 0..ROUNDS {
            configure(&scene, &path, round % 2 == 0)?;
            flowwatch.process().signal(Signal::SIGHUP)?;
            if moments.next() % 2 == 0 {
                let is_it = |line: &str| line.contains("took up the configuration");
                let process = flowwatch.process();
                process.wait_for_line(Stream::Stderr, PATIENCE, is_it)?;
            } else {
                thread::sleep(Duration::from_micros(moments.next() % 400_000));
            }
            kill(&flowwatch)?;
            flowwatch = run.start(&scene.lab.gateway)?;
        }
        Ok(())
    })?;
    stop(&flowwatch)?;
    ensure_recorded(&scene, &fired)
}

#[test]
fn a_configuration_that_is_taken_up_amid_kills_costs_no_octet() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    BOTH.into_iter().try_for_each(check_reload)
}
