//! Socket buffers whose headers aren't in their linear part, and tags that the kernel took off: what
//! no test run can make, so that golden frames pass a real interface here.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use flowwatch_common::abi::{Direction, Reason};
use flowwatch_tests::generator::Generator;
use flowwatch_tests::link::{self, End, Mac};
use flowwatch_tests::namespace::Namespace;
use flowwatch_tests::packet::Packet;
use flowwatch_tests::privilege::{Need, granted};

use crate::golden::{self, CAMERA_V4, Extra, Fixture, GATEWAY, Outcome, REMOTE_V4};
use crate::hook::{EGRESS, INGRESS};
use crate::programs::{Choice, Programs, device_mac};
use crate::tally::Tally;

/// What each frame is padded to: the kernel scatters none that fits a page. Padding is a trailer,
/// of which no flow has an octet.
const PADDED: usize = 4200;
/// Room for the longest golden frame.
const MTU: u16 = 9000;
/// How long frames may take to pass.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The golden frames that stay what they are when they are padded.
fn fixtures() -> Vec<Fixture> {
    let mut fixtures = golden::all();
    fixtures.retain(|fixture| {
        fixture.extra == Extra::default()
            && fixture.frame.len() >= 14
            && fixture.expected != Outcome::Unaccounted(Reason::Truncated)
    });
    for fixture in &mut fixtures {
        let length = fixture.frame.len().max(PADDED);
        fixture.frame.resize(length, 0);
    }
    fixtures
}

/// The gateway's LAN interface, and the other end.
struct Link {
    gateway: Namespace,
    device: Namespace,
}

/// Its name at both ends.
const INTERFACE: &str = "lan0";

impl Link {
    fn new() -> Result<Self> {
        let link = Self {
            gateway: Namespace::new("gateway")?,
            device: Namespace::new("device")?,
        };
        let end = |namespace, mac| End {
            namespace,
            name: INTERFACE,
            mac,
        };
        let strange = Mac([2, 0, 0, 0, 3, 0]);
        link::veth(
            &end(&link.gateway, GATEWAY),
            &end(&link.device, strange),
            MTU,
        )?;
        link.gateway.silence()?;
        link.device.silence()?;
        Ok(link)
    }

    /// Sends every fixture's frame once, scattered, up or down.
    fn send(&self, fixtures: &[Fixture], direction: Direction) -> Result<()> {
        let frames: Vec<Vec<u8>> = (0..)
            .zip(fixtures)
            .map(|(device, fixture)| fixture.frame_of(device_mac(device), direction))
            .collect();
        self.send_frames(&frames, direction)
    }

    /// Sends every frame once, scattered, up or down.
    fn send_frames(&self, frames: &[Vec<u8>], direction: Direction) -> Result<()> {
        let from = match direction {
            Direction::Up => &self.device,
            Direction::Down => &self.gateway,
        };
        let generator = Generator::new(from, INTERFACE)?.scattered()?;
        let sent = generator.send(frames, frames.len() as u64)?;
        ensure!(sent.total() == frames.len() as u64);
        Ok(())
    }
}

/// What each device must have: its frame, sent up and sent down.
fn expected(fixture: &Fixture) -> Tally {
    let mut tally = Tally::default();
    for direction in [Direction::Up, Direction::Down] {
        if let Some(outcome) = fixture.expected_in(direction) {
            tally.add(direction, fixture.frame.len() as u64, outcome);
        }
    }
    tally
}

/// Waits until as many frames were seen as there must be.
fn await_frames(programs: &Programs, devices: u16, frames: u64) -> Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let totals = (0..devices).map(|device| programs.totals(device));
        let seen: u64 = totals
            .map(|totals| totals.up.seen.frames + totals.down.seen.frames)
            .sum();
        if seen >= frames {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{seen} of {frames} frames came");
        std::thread::yield_now();
    }
}

#[test]
fn headers_beyond_the_linear_part_and_tags_taken_off_count_alike() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let fixtures = fixtures();
    let devices = u16::try_from(fixtures.len())?;
    let mut programs = Programs::load(Choice {
        hooks: &[&INGRESS, &EGRESS],
        ..Choice::of_devices(devices)
    });
    let link = Link::new()?;
    let attached = link.gateway.enter(|| programs.attach_tc(INTERFACE))?;
    link.send(&fixtures, Direction::Up)?;
    link.send(&fixtures, Direction::Down)?;
    let expected: Vec<Tally> = fixtures.iter().map(expected).collect();
    let frames = expected.iter().map(|tally| tally.totals);
    let frames = frames
        .map(|totals| totals.up.seen.frames + totals.down.seen.frames)
        .sum();
    await_frames(&programs, devices, frames).context("await the frames")?;
    drop(attached);
    let flows = programs.drain();
    for ((device, fixture), expected) in (0..).zip(&fixtures).zip(&expected) {
        let counted = Tally::of_kernel(&programs, &flows, device);
        assert_eq!(counted, *expected, "{}", fixture.name);
    }
    println!("{} frames, scattered, up and down", fixtures.len());
    Ok(())
}

/// Octets of no pattern, such as a copy could make by itself.
fn octets(first: &[u8], length: usize) -> Vec<u8> {
    let rest = (first.len()..length).map(|at| (at * 7 + at / 256) as u8);
    first.iter().copied().chain(rest).collect()
}

#[test]
fn payloads_beyond_the_linear_part_are_sampled() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let mut programs = Programs::load(Choice {
        hooks: &[&INGRESS, &EGRESS],
        ..Choice::of_devices(1)
    });
    let camera = Mac(device_mac(0));
    // A record of 3,000 octets with a hello of 2,996; a QUIC Initial; an answer.
    let hello = octets(&[0x16, 3, 1, 0x0b, 0xb8, 1, 0, 0x0b, 0xb4], 3005);
    let initial = octets(&[0xc0, 0, 0, 0, 1], 1200);
    let answer = octets(&[], 500);
    let up = || Packet::ethernet(camera, GATEWAY).ipv4(CAMERA_V4, REMOTE_V4);
    let down = Packet::ethernet(GATEWAY, camera).ipv4(REMOTE_V4, CAMERA_V4);
    let sent_up = [
        up().tcp(40000, 443).payload_octets(hello.clone()),
        up().udp(40000, 443).payload_octets(initial.clone()),
    ];
    let sent_down = [down.udp(53, 40000).payload_octets(answer.clone())];
    let link = Link::new()?;
    let attached = link.gateway.enter(|| programs.attach_tc(INTERFACE))?;
    for (packets, direction) in [
        (&sent_up[..], Direction::Up),
        (&sent_down[..], Direction::Down),
    ] {
        let padded = packets.iter().map(|packet| packet.clone().pad_to(PADDED));
        let frames: Vec<Vec<u8>> = padded.map(|packet| packet.build()).collect();
        link.send_frames(&frames, direction)?;
    }
    await_frames(&programs, 1, 3).context("await the frames")?;
    drop(attached);
    let samples = programs.samples();
    let payloads: Vec<&[u8]> = samples.iter().map(|sample| &*sample.payload).collect();
    let expected = [&hello[..2000], &hello[2000..], &initial, &answer];
    assert_eq!(payloads, expected);
    Ok(())
}
