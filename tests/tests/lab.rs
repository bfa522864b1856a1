//! The lab itself: its namespaces are apart and vanish, its counts agree with the kernel's and
//! among themselves, and its names resolve.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use flowwatch_tests::camera::Camera;
use flowwatch_tests::dns::{self, Question, Record, ScriptedServer};
use flowwatch_tests::generator::Generator;
use flowwatch_tests::lab::{
    Addressing, Device, DeviceSpec, INTERNET_IPV6, Lab, Neighbours, OUTSIDE_NAME_SERVER, Resolver,
};
use flowwatch_tests::link::{self, End, Mac, Offloads};
use flowwatch_tests::namespace::Namespace;
use flowwatch_tests::packet::Packet;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::process::{self, Process, Stream};
use flowwatch_tests::traffic::{self, Exchange, Server};
use flowwatch_tests::witness::{Traffic, Witness};
use nix::sys::signal::Signal;

const TIMEOUT: Duration = Duration::from_secs(10);
const LEFT: Mac = Mac([2, 0, 0, 0, 9, 1]);
const RIGHT: Mac = Mac([2, 0, 0, 0, 9, 2]);
/// Set in the process that is a lab only to be killed.
const VICTIM: &str = "FLOWWATCH_LAB_VICTIM";

fn root() -> Result<bool> {
    granted(&[Need::Root])
}

fn pair() -> Result<(Namespace, Namespace)> {
    let (left, right) = (Namespace::new("left")?, Namespace::new("right")?);
    let end = |namespace, mac| End {
        namespace,
        name: "port0",
        mac,
    };
    link::veth(&end(&left, LEFT), &end(&right, RIGHT), 1500)?;
    Ok((left, right))
}

#[test]
fn namespaces_are_apart_from_the_machine_and_from_each_other() -> Result<()> {
    if !root()? {
        return Ok(());
    }
    let (left, right) = pair()?;
    let machine = std::fs::read_dir("/sys/class/net")?.count();
    let inodes = BTreeSet::from([left.inode()?, right.inode()?]);
    assert_eq!(inodes.len(), 2);
    for namespace in [&left, &right] {
        let links = namespace.run("ls", &["/sys/class/net"])?;
        assert_eq!(
            links.split_whitespace().collect::<Vec<_>>(),
            ["lo", "port0"]
        );
        let routes = namespace.run("ip", &["route", "show"])?;
        assert_eq!(routes, "", "no route, so no way out");
    }
    assert_eq!(std::fs::read_dir("/sys/class/net")?.count(), machine);
    Ok(())
}

#[test]
fn a_dropped_namespace_takes_its_links_along() -> Result<()> {
    if !root()? {
        return Ok(());
    }
    let (left, right) = pair()?;
    let mut monitor = left.command("ip");
    monitor.args(["-timestamp", "monitor", "link"]);
    let monitor = Process::spawn(monitor)?;
    // The monitor listens once it reports a change that was made for it to see; until then the
    // change is repeated.
    let deadline = Instant::now() + TIMEOUT;
    for alias in 0.. {
        left.ip(&format!("link set port0 alias try{alias}"))?;
        let brief = Duration::from_millis(50);
        if monitor
            .wait_for_line(Stream::Stdout, brief, |line| line.contains("port0"))
            .is_ok()
        {
            break;
        }
        ensure!(Instant::now() < deadline, "the monitor reports nothing");
    }
    drop(right);
    monitor.wait_for_line(Stream::Stdout, TIMEOUT, |line| line.contains("Deleted"))?;
    Ok(())
}

#[test]
#[ignore = "a lab to be killed by the next test, not a test"]
fn victim() -> Result<()> {
    if std::env::var_os(VICTIM).is_none() {
        return Ok(());
    }
    let lab = Lab::builder().build()?;
    let mut namespaces = vec![&lab.gateway, &lab.internet];
    namespaces.extend(lab.devices.iter().map(|device| &device.namespace));
    for namespace in namespaces {
        println!("\nnamespace {}", namespace.inode()?);
    }
    println!("\nready");
    loop {
        std::thread::park();
    }
}

#[test]
fn a_killed_lab_leaves_nothing() -> Result<()> {
    if !root()? {
        return Ok(());
    }
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--ignored", "--exact", "victim", "--nocapture"])
        .env(VICTIM, "1");
    process::die_with_parent(&mut command);
    let victim = Process::spawn(command)?;
    victim.wait_for_line(Stream::Stdout, TIMEOUT, |line| line == "ready")?;
    let output = victim.output(Stream::Stdout);
    let inodes: BTreeSet<&str> = output
        .lines()
        .filter_map(|line| line.strip_prefix("namespace "))
        .collect();
    assert_eq!(inodes.len(), 3);
    assert_eq!(
        holders(&inodes)?.len(),
        3,
        "the victim and two name servers"
    );
    victim.signal(Signal::SIGKILL)?;
    victim.wait(TIMEOUT)?;
    // The children are not this process's to wait for; the kernel kills them at their parent's end.
    let deadline = Instant::now() + TIMEOUT;
    while !holders(&inodes)?.is_empty() {
        ensure!(Instant::now() < deadline, "held by {:?}", holders(&inodes)?);
        std::thread::yield_now();
    }
    Ok(())
}

/// Returns the processes that are in one of the namespaces or hold it open.
fn holders(inodes: &BTreeSet<&str>) -> Result<BTreeSet<u32>> {
    let is_held = |link: std::path::PathBuf| {
        let target = std::fs::read_link(link).unwrap_or_default();
        let target = target.to_string_lossy();
        let inode = target
            .strip_prefix("net:[")
            .and_then(|rest| rest.strip_suffix(']'));
        inode.is_some_and(|inode| inodes.contains(inode))
    };
    let mut holders = BTreeSet::new();
    for process in std::fs::read_dir("/proc")?.flatten() {
        let Ok(pid) = process.file_name().to_string_lossy().parse() else {
            continue;
        };
        let opened = std::fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten();
        if is_held(process.path().join("ns/net")) || opened.map(|file| file.path()).any(is_held) {
            holders.insert(pid);
        }
    }
    Ok(holders)
}

fn mixed_frames(source: Mac, destination: Mac) -> Vec<Packet> {
    let (a, b) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    let frame = || Packet::ethernet(source, destination);
    vec![
        frame().ipv4(a, b).udp(1000, 2000).payload(18),
        frame().ipv4(a, b).tcp(1000, 2000).payload(700),
        frame().vlan(5).ipv4(a, b).udp(1000, 2000).payload(1000),
        frame()
            .ipv6(a.to_ipv6_mapped(), b.to_ipv6_mapped())
            .hop_by_hop(0)
            .udp(1, 2)
            .payload(9),
        frame().ipv4(a, b).icmp(8, 0).payload(1472),
    ]
}

#[test]
fn link_counters_equal_the_generators_counts() -> Result<()> {
    const FRAMES: u64 = 100_003;
    if !root()? {
        return Ok(());
    }
    let (left, right) = pair()?;
    left.silence()?;
    right.silence()?;
    let send = |namespace: &Namespace, packets: &[Packet]| -> Result<(u64, u64)> {
        let frames: Vec<_> = packets.iter().map(Packet::build).collect();
        let sent = Generator::new(namespace, "port0")?.send(&frames, FRAMES)?;
        eprintln!(
            "{:.0} packets/s from {}",
            sent.packets_per_second(),
            namespace.name()
        );
        let octets = sent
            .per_frame
            .iter()
            .zip(packets)
            .map(|(count, p)| count * p.l2_octets());
        Ok((sent.total(), octets.sum()))
    };
    // Both ways at once: two generators, two threads.
    let (up, down) = std::thread::scope(|scope| {
        let up = scope.spawn(|| send(&left, &mixed_frames(LEFT, RIGHT)));
        let down = scope.spawn(|| send(&right, &mixed_frames(RIGHT, LEFT)));
        (up.join(), down.join())
    });
    let (up, down) = (up.expect("the sender up")?, down.expect("the sender down")?);
    assert_eq!((up.0, down.0), (FRAMES, FRAMES));
    for (namespace, sent, received) in [(&left, up, down), (&right, down, up)] {
        let counters = link::statistics(namespace, "port0")?;
        assert_eq!((counters.tx_packets, counters.tx_octets), sent);
        assert_eq!((counters.rx_packets, counters.rx_octets), received);
        assert_eq!((counters.rx_dropped, counters.tx_dropped), (0, 0));
    }
    Ok(())
}

#[test]
fn the_witness_counts_what_the_generator_sent() -> Result<()> {
    if !root()? {
        return Ok(());
    }
    let (left, right) = pair()?;
    left.silence()?;
    right.silence()?;
    let witness = Witness::start(&right, "port0", LEFT)?;
    let packets = mixed_frames(LEFT, RIGHT);
    let frames: Vec<_> = packets.iter().map(Packet::build).collect();
    let sent = Generator::new(&left, "port0")?
        .rate(50_000)
        .send(&frames, 20_001)?;
    let arp = Packet::ethernet(RIGHT, LEFT)
        .number(0x0806)
        .payload(28)
        .build();
    Generator::new(&right, "port0")?.send(&[arp], 3)?;
    let heard = witness.finish()?;
    assert_eq!((heard.drops, heard.other_frames), (0, 3));
    let octets = sent
        .per_frame
        .iter()
        .zip(&packets)
        .map(|(count, p)| count * p.ip_octets())
        .sum();
    assert_eq!(
        heard.total().up,
        Traffic {
            packets: 20_001,
            octets
        }
    );
    assert_eq!(heard.total().down, Traffic::default());
    assert_eq!(heard.remotes.len(), 2, "one IPv4 remote, one IPv6 remote");
    Ok(())
}

#[test]
fn the_rate_is_kept() -> Result<()> {
    if !root()? {
        return Ok(());
    }
    let (left, right) = pair()?;
    right.silence()?;
    let frame = mixed_frames(LEFT, RIGHT)[0].build();
    let sent = Generator::new(&left, "port0")?
        .rate(10_000)
        .send(&[frame], 2_000)?;
    ensure!(
        sent.elapsed >= Duration::from_millis(199),
        "took only {:?}",
        sent.elapsed
    );
    Ok(())
}

fn programs() -> Result<bool> {
    let programs = ["ip", "ethtool", "nft", "bridge", "dnsmasq"].map(Need::Program);
    Ok(root()? && granted(&programs)?)
}

#[test]
fn names_resolve_through_the_gateway_and_from_afar() -> Result<()> {
    if !programs()? {
        return Ok(());
    }
    for resolver in [Resolver::Gateway, Resolver::Remote] {
        let address: IpAddr = "2600:1f14::77".parse()?;
        let record = Record::Address("six.example".to_owned(), address);
        let lab = Lab::builder()
            .resolver(resolver)
            .records(vec![record])
            .build()?;
        let device = &lab.camera().namespace;
        let server = lab.resolver_of(lab.camera());
        // This name is an alias: the answer has a CNAME record before the address.
        let bucket = dns::resolve(device, server, "wyze-iot.s3-us-west-2.amazonaws.com")?;
        assert_eq!(bucket, [IpAddr::from([52, 218, 160, 49])]);
        let several = dns::ask(device, server, "gm.iotcplatform.com", Question::A)?;
        assert_eq!(several.len(), 3);
        assert_eq!(dns::resolve(device, server, "six.example")?, [address]);
        assert!(dns::resolve(device, server, "nobody.example")?.is_empty());
    }
    Ok(())
}

#[test]
fn a_scripted_server_says_what_it_is_told() -> Result<()> {
    if !programs()? {
        return Ok(());
    }
    let lab = Lab::builder().resolver(Resolver::Nobody).build()?;
    let address = SocketAddr::new(OUTSIDE_NAME_SERVER.into(), dns::PORT);
    let liar = ScriptedServer::start(&lab.internet, address, |question| {
        let mut answer = question.to_vec();
        answer[2] |= 0x80;
        // It claims an answer that isn't there.
        answer[7] = 1;
        Some(answer)
    })?;
    let asked = dns::ask(
        &lab.camera().namespace,
        address.ip(),
        "liar.example",
        Question::A,
    );
    drop(liar);
    let error = format!(
        "{:#}",
        asked.err().context("a lie was taken for an answer")?
    );
    ensure!(error.ends_with("a name is cut off"), "{error}");
    Ok(())
}

/// Lets the camera act and returns what was heard of it at the gateway.
fn act(lab: &Lab, camera: &Camera) -> Result<flowwatch_tests::witness::Heard> {
    let device = lab.camera();
    let witness = Witness::start(&lab.gateway, &device.port, device.mac)?;
    camera.act(&device.namespace, lab.resolver_of(device))?;
    let heard = witness.finish()?;
    assert_eq!((heard.drops, heard.other_frames), (0, 0));
    Ok(heard)
}

#[test]
fn the_camera_talks_to_what_it_is_known_to_talk_to() -> Result<()> {
    if !programs()? {
        return Ok(());
    }
    let lab = Lab::builder().build()?;
    for camera in [Camera::old_firmware(), Camera::fixed_firmware()] {
        let heard = act(&lab, &camera)?;
        let mut expected: BTreeSet<IpAddr> = camera
            .contacts()
            .map(|(_, contact)| contact.address.into())
            .collect();
        expected.insert(lab.resolver_of(lab.camera()));
        assert_eq!(
            heard.remotes.keys().copied().collect::<BTreeSet<_>>(),
            expected
        );
        for (_, contact) in camera
            .contacts()
            .filter(|(_, contact)| contact.port == 10240)
        {
            let times = u64::from(contact.times);
            let way = |payload| Traffic {
                packets: times,
                octets: times * (28 + payload),
            };
            let both = heard.remotes[&contact.address.into()];
            assert_eq!(both.up, way(contact.exchange.up));
            assert_eq!(both.down, way(contact.exchange.down));
        }
    }
    Ok(())
}

#[test]
fn aggregates_are_heard_as_the_segments_that_tcp_counted() -> Result<()> {
    if !programs()? {
        return Ok(());
    }
    for offloads in [Offloads::On, Offloads::OnWithGro, Offloads::Off] {
        let lab = Lab::builder()
            .offloads(offloads)
            .resolver(Resolver::Nobody)
            .build()?;
        let _server = Server::tcp(&lab.internet, 5001)?;
        let device = lab.camera();
        let witness = Witness::start(&lab.gateway, &device.port, device.mac)?;
        let exchange = Exchange {
            up: 8_000_000,
            down: 5_000_000,
        };
        let remote = SocketAddr::from(([52, 79, 197, 188], 5001));
        let segments = traffic::tcp(&device.namespace, remote, exchange)?;
        let heard = witness.finish()?;
        let both = heard.remotes[&remote.ip()];
        assert_eq!(heard.drops, 0);
        let packets = (both.up.packets, both.down.packets);
        assert_eq!(
            packets,
            (segments.sent.into(), segments.received.into()),
            "{offloads:?}"
        );
        ensure!(both.up.octets > exchange.up && both.down.octets > exchange.down);
    }
    Ok(())
}

#[test]
fn bridged_dual_stack_devices_reach_the_internet() -> Result<()> {
    if !programs()? {
        return Ok(());
    }
    let lab = Lab::builder()
        .bridge()
        .device(DeviceSpec::new("camera", Addressing::Ipv4))
        .device(DeviceSpec::new("speaker", Addressing::Dual))
        .device(DeviceSpec::new("sink", Addressing::Bare))
        .build()?;
    let remotes = [IpAddr::from([52, 79, 197, 188]), INTERNET_IPV6.into()];
    let _server = Server::udp(&lab.internet, &remotes, 4000)?;
    let heard = |device: &Device| Witness::start(&lab.gateway, &device.port, device.mac);
    let witnesses: Vec<_> = lab.devices.iter().map(heard).collect::<Result<_>>()?;
    let exchange = Exchange { up: 100, down: 200 };
    for remote in remotes {
        traffic::udp(
            &lab.devices[1].namespace,
            SocketAddr::new(remote, 4000),
            exchange,
        )?;
    }
    let heard: Vec<_> = witnesses
        .into_iter()
        .map(Witness::finish)
        .collect::<Result<_>>()?;
    let total = heard[1].total();
    assert_eq!(
        total.up,
        Traffic {
            packets: 2,
            octets: 200 + 28 + 48
        }
    );
    assert_eq!(
        total.down,
        Traffic {
            packets: 2,
            octets: 400 + 28 + 48
        }
    );
    assert_eq!(
        (heard[0].remotes.len(), heard[2].remotes.len()),
        (0, 0),
        "nothing is flooded"
    );
    Ok(())
}

#[test]
fn a_prefix_is_answered_for_by_one_server() -> Result<()> {
    if !programs()? {
        return Ok(());
    }
    let device = DeviceSpec::new("camera", Addressing::Dual);
    let lab = Lab::builder()
        .device(device)
        .resolver(Resolver::Nobody)
        .build()?;
    let camera = &lab.camera().namespace;
    link::own_prefix(&lab.internet, "45.0.0.0/8")?;
    link::own_prefix(&lab.internet, "2400::/16")?;
    let _tcp = Server::tcp(&lab.internet, 5001)?;
    let _udp = Server::udp(&lab.internet, &["45.1.2.3".parse()?], 5001)?;
    let exchange = Exchange { up: 16, down: 0 };
    for remote in ["45.1.2.3:5001", "45.200.0.255:5001", "[2400:1::2]:5001"] {
        traffic::tcp(camera, remote.parse()?, exchange)?;
    }
    traffic::udp(camera, "45.1.2.3:5001".parse()?, exchange)
}

#[test]
fn neighbours_are_asked_for_when_they_shall_be() -> Result<()> {
    if !programs()? {
        return Ok(());
    }
    let asking = Lab::builder().neighbours(Neighbours::Asked).build()?;
    let device = asking.camera();
    let witness = Witness::start(&asking.gateway, &device.port, device.mac)?;
    Camera::old_firmware().act(&device.namespace, asking.resolver_of(device))?;
    let heard = witness.finish()?;
    ensure!(heard.other_frames > 0, "nobody asked for a MAC address");
    Ok(())
}

#[test]
fn a_device_behind_a_tag_reaches_the_internet() -> Result<()> {
    if !programs()? || !granted(&[Need::LinkType("vlan")])? {
        return Ok(());
    }
    let device = DeviceSpec::new("camera", Addressing::Ipv4).vlan(5);
    let lab = Lab::builder().device(device).build()?;
    act(&lab, &Camera::old_firmware())?;
    Ok(())
}
