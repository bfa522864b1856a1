//! Aggregates: what the kernel carries in one piece counts as the packets that it is on the wire,
//! whether it was segmented before the hook, after it, or not at all.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::flowwatch::{Attach, FlowKey, Run};
use flowwatch_tests::lab::{Addressing, DeviceSpec, INTERNET_IPV6, Lab, Resolver};
use flowwatch_tests::link::Offloads;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::specimen::Way;
use flowwatch_tests::traffic::{self, Bursts, Exchange, Segments, Server};
use flowwatch_tests::witness::{Heard, Traffic, UpDown, Witness};

const PORT: u16 = 5001;
const REMOTES: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::new(52, 79, 197, 188)),
    IpAddr::V6(INTERNET_IPV6),
];
const HOOKS: [Attach; 2] = [Attach::Xdp, Attach::Tc];
/// Large enough for the sender's window to open and for aggregates to grow to their limit.
const EXCHANGE: Exchange = Exchange {
    up: 60_000_000,
    down: 50_000_011,
};
/// Connections until one is without a retransmission.
const ATTEMPTS: usize = 4;
/// A TCP header with timestamps, as Linux sends it, and what a SYN has beyond that: the largest
/// segment and the window's scale.
const TCP_HEADER: u64 = 32;
const SYN_OPTIONS: u64 = 8;
const BURSTS: Bursts = Bursts {
    count: 200,
    datagrams: 40,
    length: 1200,
    rest: 77,
};

/// Waits for this test's turn: each wants the whole machine. None when it lacks something.
fn turn() -> Result<Option<MutexGuard<'static, ()>>> {
    static MACHINE: Mutex<()> = Mutex::new(());
    let needs = ["ip", "ethtool", "nft", "dnsmasq"].map(Need::Program);
    if !granted(&[Need::Root, Need::Flowwatch])? || !granted(&needs)? {
        return Ok(None);
    }
    Ok(Some(MACHINE.lock().unwrap_or_else(PoisonError::into_inner)))
}

fn ip_header(remote: IpAddr) -> u64 {
    if remote.is_ipv4() { 20 } else { 40 }
}

/// What flowwatch and the witness each say of one remote while `exchange` goes on.
fn observe<T>(
    lab: &Lab,
    attach: Attach,
    (remote, protocol): (IpAddr, &str),
    exchange: impl FnOnce() -> Result<T>,
) -> Result<(UpDown, Heard, T)> {
    let device = lab.camera();
    let flowwatch = Run::new()?
        .interface(&device.port)
        .device(&device.name, device.mac)
        .attach(attach)
        .options(&["--format", "json", "--interval", "20ms"])
        .start(&lab.gateway)?;
    let witness = Witness::start(&lab.gateway, &device.port, device.mac)?;
    let exchanged = exchange()?;
    let heard = witness.finish()?;
    let document = flowwatch.document()?;
    ensure!(heard.drops == 0, "the witness missed {}", heard.drops);
    document.ensure_whole()?;
    ensure!(document.unaccounted.is_empty(), "{document:?}");
    let key = FlowKey {
        device: device.name.clone(),
        remote,
        protocol: protocol.to_owned(),
        port: PORT,
    };
    let counted = document.traffic().remove(&key);
    let counted = counted.with_context(|| format!("find {key:?} in {document:?}"))?;
    ensure!(document.flows.len() == 1, "more than one flow");
    ensure!(
        counted == heard.remotes[&remote],
        "counted {counted:?}, heard {heard:?}"
    );
    Ok((counted, heard, exchanged))
}

/// Fails unless the witness heard aggregates exactly where the test wants them: without, it would
/// prove nothing. XDP on a veth has the device's kernel segment what it sends; GRO, which comes
/// between XDP and the witness, then puts it together again.
fn ensure_aggregates(heard: &Heard, attach: Attach, offloads: Offloads) -> Result<()> {
    let is_on = offloads != Offloads::Off;
    let passed = heard.aggregates.map(|count| count > 0);
    let is_up = is_on && (attach == Attach::Tc || offloads == Offloads::OnWithGro);
    ensure!(
        passed == [is_up, is_on],
        "{attach}, {offloads:?}: {:?} aggregates up and down",
        heard.aggregates
    );
    Ok(())
}

/// A lab whose TCP headers are all of one size, and which sends nothing twice for want of patience.
fn lab(offloads: Offloads) -> Result<Lab> {
    let lab = Lab::builder()
        .device(DeviceSpec::new("camera", Addressing::Dual))
        .offloads(offloads)
        .resolver(Resolver::Nobody)
        .build()?;
    for namespace in [&lab.camera().namespace, &lab.internet] {
        // Selective acknowledgments are options that come and go.
        namespace.set("ipv4/tcp_sack", "0")?;
        // Probes for a lost tail go out while a busy machine has yet to answer.
        namespace.set("ipv4/tcp_early_retrans", "0")?;
    }
    Ok(lab)
}

/// What the witness heard must be counted each time. What TCP itself says can be held against it
/// only when the server sent no segment twice, which the client can't tell; a machine with other
/// work now and then makes it do so.
fn check_tcp(attach: Attach, offloads: Offloads, remote: IpAddr) -> Result<()> {
    let mut outcome = Ok(());
    for _ in 0..ATTEMPTS {
        let lab = lab(offloads)?;
        traffic::stay_in_order()?;
        let _server = Server::tcp(&lab.internet, PORT)?;
        let device = &lab.camera().namespace;
        let start = Instant::now();
        let exchange = || traffic::tcp(device, SocketAddr::new(remote, PORT), EXCHANGE);
        let (counted, heard, segments) = observe(&lab, attach, (remote, "tcp"), exchange)?;
        eprintln!(
            "{attach}, {offloads:?}, {remote}: {counted:?} in {:.2?}, {:?} aggregates",
            start.elapsed(),
            heard.aggregates
        );
        ensure_aggregates(&heard, attach, offloads)?;
        outcome = check_segments(&counted, &segments, ip_header(remote));
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Holds the counts against what TCP itself counted, and against the sizes that its headers have.
fn check_segments(counted: &UpDown, segments: &Segments, ip_header: u64) -> Result<()> {
    let headers = |segments: u32| u64::from(segments) * (ip_header + TCP_HEADER) + SYN_OPTIONS;
    let expected = UpDown {
        up: Traffic {
            packets: segments.sent.into(),
            octets: segments.payload_sent + headers(segments.sent),
        },
        down: Traffic {
            packets: segments.received.into(),
            octets: EXCHANGE.down + headers(segments.received),
        },
    };
    ensure!(
        *counted == expected,
        "counted {counted:?}, TCP says {expected:?}"
    );
    Ok(())
}

fn check_udp(attach: Attach, offloads: Offloads, remote: IpAddr) -> Result<()> {
    let lab = lab(offloads)?;
    let _server = Server::udp(&lab.internet, &[remote], PORT)?;
    let device = &lab.camera().namespace;
    let exchange = || traffic::udp_bursts(device, SocketAddr::new(remote, PORT), BURSTS);
    let (counted, heard, ()) = observe(&lab, attach, (remote, "udp"), exchange)?;
    let headers = ip_header(remote) + 8;
    let packets = BURSTS.count * (BURSTS.datagrams + 1);
    let payload = BURSTS.datagrams * u64::from(BURSTS.length) + u64::from(BURSTS.rest);
    let expected = UpDown {
        up: Traffic {
            packets,
            octets: BURSTS.count * payload + packets * headers,
        },
        down: Traffic {
            packets,
            octets: packets * headers,
        },
    };
    ensure!(counted == expected, "{counted:?}, not {expected:?}");
    let is_up = heard.aggregates[Way::Up as usize] > 0;
    ensure!(is_up == (attach == Attach::Tc), "{heard:?}");
    Ok(())
}

#[test]
fn tcp_in_bulk_counts_as_the_segments_of_its_peer() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    for attach in HOOKS {
        for offloads in [Offloads::On, Offloads::OnWithGro, Offloads::Off] {
            for remote in REMOTES {
                check_tcp(attach, offloads, remote)
                    .with_context(|| format!("{attach}, {offloads:?}, {remote}"))?;
            }
        }
    }
    Ok(())
}

#[test]
fn udp_that_is_segmented_late_counts_as_its_datagrams() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    for attach in HOOKS {
        for offloads in [Offloads::On, Offloads::OnWithGro] {
            for remote in REMOTES {
                check_udp(attach, offloads, remote)
                    .with_context(|| format!("{attach}, {offloads:?}, {remote}"))?;
            }
        }
    }
    Ok(())
}
