//! Live: what generators sent while a run recorded is what every form of the report says of it, remote
//! by remote, device by device, and whatever flows are put together by.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use flowwatch::grouping::GROUPINGS;
use flowwatch_tests::flowwatch::{Attach, Document, Run};
use flowwatch_tests::lab::{Addressing, Device, DeviceSpec, Lab, Resolver};
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::specimen::{Ends, Specimen, Way};
use flowwatch_tests::volley::{self, Fired, Stream};

use crate::reading::{self, Sums, ensure_sum};
use crate::{forms, tables, told};

const DEVICES: [&str; 2] = ["camera", "plug"];
/// Remotes of each device and family, few enough to be told one by one.
const REMOTES: u16 = 12;
const PACKETS: u64 = 6_000;

fn specimens(device: &Device, way: Way) -> Vec<Specimen> {
    let mut specimens = Vec::new();
    for number in 0..REMOTES {
        let remotes: [IpAddr; 2] = [
            Ipv4Addr::new(52, 79, 197, number as u8).into(),
            Ipv6Addr::new(0x2600, 0x1f14, 0, 0xab, 0, 0, 7, number).into(),
        ];
        for remote in remotes {
            let ends = Ends::of(device, remote, way);
            let packet = ends.udp(ends.ip(ends.link()), 1_000);
            let packet = packet.payload(usize::from(number) * 20).pad_to(60);
            specimens.push(Specimen::in_flow(&packet, remote, "udp", 1_000));
        }
    }
    specimens
}

/// Records what generators send, and returns what that was.
fn recorded(folder: &Path) -> Result<Fired> {
    let lab = Lab::builder().resolver(Resolver::Nobody);
    let lab = DEVICES.iter().fold(lab, |lab, name| {
        lab.device(DeviceSpec::new(name, Addressing::Bare))
    });
    let lab = lab.build()?;
    lab.gateway.silence()?;
    let path = |name: &str| folder.join(name).display().to_string();
    let (history, journal) = (path("history.db"), path("journal"));
    let mut run = Run::new()?.attach(Attach::Tc);
    for device in &lab.devices {
        device.namespace.silence()?;
        run = run.interface(&device.port).device(&device.name, device.mac);
    }
    let run = run.options(&["--history", &history, "--journal", &journal]);
    let flowwatch = run.start(&lab.gateway)?;
    let of = |device| {
        Way::BOTH.map(|way| Stream {
            device,
            way,
            specimens: specimens(device, way),
            packets: PACKETS,
        })
    };
    let streams: Vec<_> = lab.devices.iter().flat_map(of).collect();
    let fired = volley::fire(&lab, &streams)?;
    flowwatch.stop()?;
    Ok(fired)
}

fn sent(fired: &Fired) -> Sums {
    let mut sums = Sums::new();
    for (key, traffic) in fired.ledger.flows() {
        let key = (key.device.clone(), key.remote.to_string());
        let sum = sums.entry(key).or_default();
        *sum = (sum.0 + traffic.up.octets, sum.1 + traffic.down.octets);
    }
    sums
}

fn total(sums: &Sums) -> (u64, u64) {
    sums.values()
        .fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1))
}

#[test]
fn every_form_tells_what_was_sent_to_the_octet() -> Result<()> {
    if !granted(&[Need::Root, Need::Flowwatch])? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let fired = recorded(folder.path())?;
    let sent = sent(&fired);
    let history = folder.path().join("history.db").display().to_string();
    for form in forms() {
        let tables = tables(&history, form, &[])?;
        ensure!(reading::sums(&tables) == sent, "{form}: {tables:?}");
        // What stands above the devices: the table of them all.
        let overview = tables
            .iter()
            .find(|it| it.head.contains(&"mac address".to_owned()));
        if let Some(overview) = overview {
            ensure!(overview.sum() == total(&sent), "{form}: {overview:?}");
        }
        for grouping in GROUPINGS {
            let tables = crate::tables(&history, form, &["--by", grouping.name])?;
            ensure_sum(&tables, grouping.name, total(&sent)).context(form)?;
        }
    }
    fired
        .ledger
        .check(&Document::parse(&told(&history, &["--format", "json"])?)?)?;
    check_one_device(&history, &sent)
}

/// What a report on one device says is what it said of it among all.
fn check_one_device(history: &str, sent: &Sums) -> Result<()> {
    let mut of_plug = sent.clone();
    of_plug.retain(|(device, _), _| device == "plug");
    ensure!(!of_plug.is_empty(), "the plug sent nothing");
    for form in forms() {
        let tables = tables(history, form, &["--device", "plug"])?;
        ensure!(reading::sums(&tables) == of_plug, "{form}: {tables:?}");
        let by_country = crate::tables(history, form, &["--device", "plug", "--by", "country"])?;
        ensure_sum(&by_country, "country", total(&of_plug)).context(form)?;
    }
    Ok(())
}
