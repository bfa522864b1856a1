//! What a refresh of the live view costs with 50,000 flows of which all change: taking in the update,
//! putting the lines in order, drawing; processor time.
//!
//! Run it with `cargo run --release -p flowwatch --example top_cost`.

#![expect(clippy::print_stdout, reason = "its figures are for who runs it")]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use flowwatch::geo::{Place, Scope};
use flowwatch::live::{Changed, FlowNumber, Update};
use flowwatch::model::{Device, FlowRecord};
use flowwatch::names::{Binding, Candidate, NameSource, Naming};
use flowwatch::observation::Traffic;
use flowwatch::store::{DeviceSummary, DirectionSummary, Meta};
use flowwatch::top::Screen;
use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

const FLOWS: u32 = 50_000;
const DEVICES: u32 = 50;
const ROUNDS: usize = 20;
const SIZE: (u16, u16) = (200, 50);

/// What a user looks at, and the keys that lead there.
const VIEWS: &[(&str, &str)] = &[
    ("flows by rate", ""),
    ("flows by name", "S"),
    ("a text filter", "/amazon\n"),
    ("filters by fields", "/country:us !org:amazon\n"),
    ("groups by name", "g"),
    ("groups by country", "ggg"),
    ("the last line", "G"),
];

fn main() -> Result<()> {
    println!(
        "{FLOWS} flows, all of which change; {}x{} characters; a refresh each second",
        SIZE.0, SIZE.1
    );
    let devices: Vec<Device> = (0..DEVICES)
        .map(|id| format!("device{id}=2c:aa:8e:00:00:{id:02x}").parse())
        .collect::<Result<_, _>>()?;
    for (name, keys) in VIEWS {
        let mut times = refreshes(&devices, keys)?;
        times.sort_unstable();
        let median = times[ROUNDS / 2];
        println!(
            "{name:<18} median {:>5.1} ms, most {:>5.1} ms: {:.1} % of a core",
            median.as_secs_f64() * 1e3,
            times[ROUNDS - 1].as_secs_f64() * 1e3,
            median.as_secs_f64() * 100.0
        );
    }
    Ok(())
}

/// Returns the processor time of each refresh of a view.
fn refreshes(devices: &[Device], keys: &str) -> Result<Vec<Duration>> {
    let mut terminal = Terminal::new(TestBackend::new(SIZE.0, SIZE.1))?;
    let mut screen = Screen::plain("here");
    screen.take_in(everything(devices));
    terminal.draw(|frame| screen.draw(frame))?;
    for letter in keys.chars() {
        let code = match letter {
            '\n' => KeyCode::Enter,
            letter => KeyCode::Char(letter),
        };
        screen.press(KeyEvent::from(code));
        terminal.draw(|frame| screen.draw(frame))?;
    }
    let mut times = Vec::with_capacity(ROUNDS);
    for second in 1..=ROUNDS {
        let update = changes(devices, second as u64);
        let start = processor_time()?;
        screen.take_in(update);
        terminal.draw(|frame| screen.draw(frame))?;
        times.push(processor_time()?.saturating_sub(start));
    }
    Ok(times)
}

fn processor_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

fn everything(devices: &[Device]) -> Update {
    let told = (0..FLOWS).map(|number| (number, record(devices, number)));
    Update {
        told: told.collect(),
        ..update(devices, 0)
    }
}

fn changes(devices: &[Device], second: u64) -> Update {
    let at = at(second);
    let changed = (0..FLOWS).map(|flow| Changed {
        flow,
        up: traffic(flow, second),
        down: traffic(flow.rotate_left(7), second),
        last_seen: at,
    });
    Update {
        changed: changed.collect(),
        ..update(devices, second)
    }
}

fn at(second: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second.cast_signed())
}

/// Returns what a flow has counted: rates differ and change their order.
fn traffic(flow: u32, second: u64) -> Traffic {
    let rate = u64::from(flow.wrapping_mul(2_654_435_761) >> 12);
    let packets = 1 + second;
    let octets = rate * (1 + second) + (rate * second) % 977;
    Traffic { packets, octets }
}

fn record(devices: &[Device], number: FlowNumber) -> FlowRecord {
    let companies = [
        "Amazon.com, Inc.",
        "Google LLC",
        "FDCservers.net",
        "Cloudflare",
    ];
    let countries = [("US", "United States"), ("CN", "China"), ("DE", "Germany")];
    let (code, country) = countries[number as usize % countries.len()];
    let name = format!("host-{}.region-{}.cloud.example", number / 3, number % 11);
    let binding = Binding {
        name: name.into(),
        chain: Arc::default(),
        source: NameSource::Dns,
        service: None,
        first_told: at(0),
        last_told: at(0),
        ttl: 60,
    };
    let candidate = Candidate {
        binding: Arc::new(binding),
        asked: Some(true),
        offer: None,
    };
    FlowRecord {
        device: devices[number as usize % devices.len()].clone(),
        naming: Naming {
            candidates: vec![candidate],
        },
        remote_address: Ipv4Addr::from(0x0500_0000 + number).into(),
        scope: Scope::Internet,
        protocol: 6,
        remote_port: 443,
        place: Place {
            country: Some(code.into()),
            country_name: Some(country.into()),
            city: None,
            asn: Some(number % 999),
            organization: Some(companies[number as usize % companies.len()].into()),
        },
        up: traffic(number, 0),
        down: traffic(number.rotate_left(7), 0),
        first_seen: at(0),
        last_seen: at(0),
    }
}

fn update(devices: &[Device], second: u64) -> Update {
    let sums = DirectionSummary {
        octets: 1_000_000 * second,
        ..DirectionSummary::default()
    };
    let summary = |device: &Device| DeviceSummary {
        device: device.name.to_string(),
        device_mac: device.mac,
        flows: 1,
        conserved: true,
        up: sums,
        down: sums,
    };
    Update {
        at: at(second),
        meta: Meta::new((at(0), at(second)), second, Vec::new(), 0),
        devices: devices.iter().map(summary).collect(),
        told: Vec::new(),
        changed: Vec::new(),
        forgotten: Vec::new(),
        unaccounted: Vec::new(),
        resolving: Vec::new(),
    }
}
