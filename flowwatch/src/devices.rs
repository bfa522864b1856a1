//! `flowwatch devices`: who is on the LAN, by listening for a while or from a capture.
//!
//! Effects come together here; what they feed, `census`, is pure. Nothing imports this module but
//! `main` and tests.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use aya::maps::{MapData, RingBuf};
use flowwatch_common::census::{SightingCounter, SightingKey};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::capture::{Capture, LinkType};
use crate::census::{Census, CensusMeta, LanDevices, Sightings, read_leases};
use crate::console::{self, tell};
use crate::exit::{ExitStatus, Failure};
use crate::kernel::census::{self, LoadedCensus};
use crate::kernel::interface::{self, Interface};
use crate::kernel::{clock::TickClock, neighbours};
use crate::oui::VendorRegistry;
use crate::plan::{CensusSource, DevicesPlan};
use crate::stop::Stop;

/// Where DHCP servers keep their leases: dnsmasq (Debian's, and two older places), OpenWrt's dnsmasq
/// and odhcpd.
const LEASE_FILES: [&str; 6] = [
    "/var/lib/misc/dnsmasq.leases",
    "/var/lib/dnsmasq/dnsmasq.leases",
    "/var/db/dnsmasq.leases",
    "/tmp/dhcp.leases",
    "/tmp/hosts/odhcpd",
    "/var/lib/odhcpd/dhcp.leases",
];
/// The octets that are read of a file of leases.
const MAX_LEASE_OCTETS: u64 = 4 << 20;
/// Frames that are read before something else gets its turn.
const FRAMES_A_TURN: usize = 64;
/// Time between two changes of the status line.
const STATUS_PERIOD: Duration = Duration::from_secs(1);

/// Lists the devices as planned.
///
/// # Errors
/// What kept the census from starting. A capture that can't be read to its end is an error beside
/// what was seen until then.
pub fn list(plan: &DevicesPlan) -> anyhow::Result<(LanDevices, anyhow::Result<()>)> {
    let leases = read_lease_files(&plan.leases)?;
    let (vendors, errors) = VendorRegistry::open();
    for error in errors {
        log::warn!("{error}");
    }
    let (mut census, mut meta, outcome) = match &plan.source {
        CensusSource::Interfaces(names, duration) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.context("start the event loop")?;
            let (census, meta) = runtime.block_on(listen(names, *duration))?;
            (census, meta, Ok(()))
        }
        CensusSource::Capture(path) => read_capture(path)?,
    };
    for text in leases {
        for lease in read_leases(&text) {
            census.lease(lease);
        }
    }
    meta.vendors = described(&vendors);
    let mut list = census.list(&vendors, &plan.tags);
    meta.devices_without_room = list.meta.devices_without_room;
    list.meta = meta;
    Ok((list, outcome))
}

fn described(vendors: &VendorRegistry) -> String {
    let date = vendors.date().strftime("%Y-%m-%d");
    format!("{}, of {date}", vendors.source())
}

/// Reads the files of leases that are there, and those that the user named.
fn read_lease_files(named: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let mut texts = Vec::new();
    for path in LEASE_FILES {
        // One that isn't there, or that can't be read, is no wish of the user's.
        texts.extend(read_text(path.as_ref()).ok());
    }
    for path in named {
        let text =
            read_text(path).with_context(|| format!("read the leases in `{}`", path.display()));
        texts.push(text.map_err(|error| Failure::new(ExitStatus::Usage, error))?);
    }
    Ok(texts)
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut octets = Vec::new();
    let file = File::open(path)?;
    file.take(MAX_LEASE_OCTETS).read_to_end(&mut octets)?;
    Ok(String::from_utf8_lossy(&octets).into_owned())
}

/// Listens at the interfaces, until a signal or the end of the time.
async fn listen(names: &[String], duration: Duration) -> anyhow::Result<(Census, CensusMeta)> {
    let mut stop = Stop::listen()?;
    let interfaces = interface::resolve(names, &interface::list().await?)?;
    let LoadedCensus {
        mut programs,
        frames,
        sightings,
    } = census::load()?;
    let attached = census::attach(&mut programs.ebpf, &interfaces)?;
    let mut ring = census::watch(frames).context("watch the ring of frames")?;
    let shown = names.join(", ");
    tell(&format!(
        "listening on {shown} for {} s; Ctrl-C lists who is there at once",
        duration.as_secs_f64()
    ));
    stop.after(Some(duration));
    let end = Instant::now() + duration;
    let mut census = Census::default();
    let mut ticks = tokio::time::interval(STATUS_PERIOD);
    loop {
        tokio::select! {
            () = stop.requested() => break,
            _ = ticks.tick() => {
                let left = end.saturating_duration_since(Instant::now()).as_secs_f64().ceil();
                console::show_status(&format!("listening, {left} s left"));
            }
            ready = ring.readable_mut() => {
                let mut ready = ready.context("wait for frames")?;
                if take_frames(ready.get_inner_mut(), FRAMES_A_TURN, &mut census) {
                    ready.clear_ready();
                } else {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    console::show_status("");
    drop(attached.detach());
    take_frames(&mut ring.into_inner(), usize::MAX, &mut census);
    take_sightings(&mut census, &sightings.read()?, &programs.clock()?);
    know_neighbours(&mut census, &interfaces).await;
    let without_room = sightings.without_room();
    let meta = CensusMeta {
        sources: names.to_vec(),
        sightings_without_room: without_room.sightings_without_room,
        frames_without_room: without_room.frames_without_room,
        ..CensusMeta::default()
    };
    Ok((census, meta))
}

/// Takes in the names in the ring's frames; returns whether none is left.
fn take_frames(ring: &mut RingBuf<MapData>, most: usize, census: &mut Census) -> bool {
    census::take(ring, most, &mut |octets, length| {
        census.read_names(octets, length);
    })
}

fn take_sightings(census: &mut Census, seen: &[(SightingKey, SightingCounter)], clock: &TickClock) {
    for (key, counter) in seen {
        census.sighted(&Sightings {
            key: *key,
            frames: counter.frames,
            first_seen: clock.time_of(counter.first_tick),
            last_seen: clock.time_of(counter.last_tick),
        });
    }
}

/// Adds whom the host knows at the interfaces, and at the bridges that they are ports of.
async fn know_neighbours(census: &mut Census, interfaces: &[Interface]) {
    let indexes: Vec<_> = interfaces
        .iter()
        .flat_map(|interface| [Some(interface.index), interface.master])
        .flatten()
        .collect();
    match neighbours::list(&indexes).await {
        Ok(neighbours) => {
            for neighbour in neighbours {
                census.know(neighbour.mac, neighbour.address);
            }
        }
        Err(error) => log::warn!("{error}: who is silent may be missing"),
    }
}

/// Reads a capture: every sender in it.
fn read_capture(path: &Path) -> anyhow::Result<(Census, CensusMeta, anyhow::Result<()>)> {
    let name = path.display().to_string();
    let opening = || format!("read the capture `{name}`");
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).with_context(opening).map_err(usage)?)
    };
    let mut capture = Capture::open(source).with_context(opening).map_err(usage)?;
    let mut census = Census::default();
    let mut meta = CensusMeta {
        sources: vec![name.clone()],
        ..CensusMeta::default()
    };
    let outcome = loop {
        match capture.next_frame() {
            Ok(Some(frame)) if frame.link_type == LinkType::ETHERNET => {
                let at = frame.at.unwrap_or(Timestamp::UNIX_EPOCH);
                census.observe(frame.octets, frame.length, at);
            }
            Ok(Some(_)) => meta.frames_without_mac += 1,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error).with_context(opening),
        }
    };
    Ok((census, meta, outcome))
}

fn usage(error: anyhow::Error) -> Failure {
    Failure::new(ExitStatus::Usage, error)
}
