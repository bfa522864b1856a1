//! A daemon's counting, seen by a user who is not root: to the octet, over its end, and beside those who
//! don't listen.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::flowwatch::{Attach, Document, Flowwatch, Run};
use flowwatch_tests::generator::Generator;
use flowwatch_tests::lab::{Lab, Resolver};
use flowwatch_tests::packet::Packet;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Group};
use tempfile::TempDir;

use super::shown::{Shown, is_granted_live, on_terminal};

/// A group that every Linux has, whatever it is called; nobody of the test is in it otherwise.
const GROUP: u32 = 1;
/// The user who watches.
const NOBODY: &str = "65534";
/// Packets that the camera sends and receives, of 128 octets each: 20 of IP, 8 of UDP, 100 of payload.
const SENT: u64 = 1_021;
const SENT_OCTETS: &str = "130,688 octets";
const RECEIVED: u64 = 3;
const RECEIVED_OCTETS: &str = "384 octets";
const WHOLE: &str = "every frame is accounted for: 1,024 = 1,024 in flows";

/// A lab, and where its daemon listens.
struct Bench {
    lab: Lab,
    folder: TempDir,
}

impl Bench {
    fn new() -> Result<Self> {
        let lab = Lab::builder().resolver(Resolver::Nobody).build()?;
        lab.gateway.silence()?;
        lab.camera().namespace.silence()?;
        let folder = tempfile::tempdir()?;
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        Ok(Self { lab, folder })
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("live.sock")
    }

    fn daemon(&self, attach: Attach) -> Result<Flowwatch> {
        let group = Group::from_gid(Gid::from_raw(GROUP))?.context("find the group")?;
        let socket = self.socket();
        let device = self.lab.camera();
        let run = Run::new()?.interface(&device.port).attach(attach);
        let run = run.device("camera", device.mac);
        let run = run.options(&["--socket", &socket.to_string_lossy()]);
        let run = run.options(&["--socket-group", &group.name, "--interval", "50ms"]);
        let run = run.options(&["--no-builtin-geo", "--format", "json"]);
        run.start(&self.lab.gateway)
    }

    /// Starts the view of a user who is in these groups.
    fn top(&self, groups: &str) -> Result<Shown> {
        let socket = self.socket();
        let run = Run::new()?
            .command_word("top")
            .options(&["--interval", "50ms"]);
        let run = run.options(&["--socket", &socket.to_string_lossy()]);
        let starter = [
            "setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--groups", groups,
        ];
        let starter = [&starter[..], &["--inh-caps=-all", "--bounding-set=-all"]].concat();
        Shown::start(on_terminal(run, &starter).command(&self.lab.gateway))
    }

    fn member(&self) -> Result<Shown> {
        self.top(&GROUP.to_string())
    }

    /// Sends what the camera sends and receives.
    fn send(&self) -> Result<()> {
        let device = self.lab.camera();
        let remote = [9, 9, 9, 9].into();
        let up = Packet::ethernet(device.mac, device.gateway_mac).ipv4(device.ipv4, remote);
        let up = up.udp(4_000, 10_001).payload(100).build();
        Generator::new(&device.namespace, "eth0")?.send(&[up], SENT)?;
        let down = Packet::ethernet(device.gateway_mac, device.mac).ipv4(remote, device.ipv4);
        let down = down.udp(10_001, 4_000).payload(100).build();
        Generator::new(&self.lab.gateway, &device.port)?.send(&[down], RECEIVED)?;
        Ok(())
    }
}

fn memory_of(daemon: &Flowwatch) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.process().pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.context("find VmRSS")?.trim().trim_end_matches(" kB");
    Ok(kibibytes.parse::<u64>()? << 10)
}

#[test]
fn a_user_of_the_group_sees_to_the_octet_what_was_sent() -> Result<()> {
    if !is_granted_live()? {
        return Ok(());
    }
    for attach in [Attach::Xdp, Attach::Tc] {
        let bench = Bench::new()?;
        let daemon = bench.daemon(attach)?;
        let mut top = bench.member()?;
        top.wait_for_text("daemon at ")?;
        bench.send()?;
        top.wait_for_text(WHOLE)?;
        top.wait_for_text("(no name) 9.9.9.9")?;
        top.press("\r")?;
        top.wait_for_text(SENT_OCTETS)?;
        top.wait_for_text(RECEIVED_OCTETS)?;
        top.press("q")?;
        ensure!(top.end()? == Some(0), "{}", top.text());
        top.ensure_restored()?;
        daemon.document()?.ensure_whole()?;
    }
    Ok(())
}

#[test]
fn who_is_not_in_the_group_is_told_the_way_in() -> Result<()> {
    if !is_granted_live()? {
        return Ok(());
    }
    let bench = Bench::new()?;
    let _daemon = bench.daemon(Attach::Tc)?;
    let mut top = bench.top(NOBODY)?;
    let (status, errors) = top.end_with_errors()?;
    let group = Group::from_gid(Gid::from_raw(GROUP))?.context("find the group")?;
    let advice = format!("sudo usermod -aG {} ", group.name);
    ensure!(
        status == Some(3) && errors.contains(&advice),
        "{status:?}: {errors}"
    );
    ensure!(errors.lines().count() == 1, "{errors}");
    top.ensure_restored()
}

#[test]
fn where_nobody_counts_a_user_is_told_what_to_do() -> Result<()> {
    if !is_granted_live()? {
        return Ok(());
    }
    let bench = Bench::new()?;
    let mut top = bench.member()?;
    let (status, errors) = top.end_with_errors()?;
    let advice = "start one with `sudo flowwatch run`, or use `sudo flowwatch top`";
    ensure!(
        status == Some(3) && errors.contains(advice),
        "{status:?}: {errors}"
    );
    ensure!(errors.lines().count() == 1, "{errors}");
    Ok(())
}

#[test]
fn another_version_is_named() -> Result<()> {
    if !is_granted_live()? {
        return Ok(());
    }
    let bench = Bench::new()?;
    let listener = UnixListener::bind(bench.socket())?;
    fs::set_permissions(bench.socket(), Permissions::from_mode(0o666))?;
    let other = thread::spawn(move || -> Result<UnixStream> {
        let (mut stream, _) = listener.accept()?;
        stream.write_all(b"fwlive\x09\x00")?;
        Ok(stream)
    });
    let mut top = bench.member()?;
    let (status, errors) = top.end_with_errors()?;
    ensure!(
        status == Some(1) && errors.contains("it speaks version 9"),
        "{status:?}: {errors}"
    );
    drop(other.join());
    Ok(())
}

#[test]
fn a_daemon_that_is_killed_is_missed_and_joined_again() -> Result<()> {
    if !is_granted_live()? {
        return Ok(());
    }
    let bench = Bench::new()?;
    let first = bench.daemon(Attach::Tc)?;
    let mut top = bench.member()?;
    bench.send()?;
    bench.send()?;
    top.wait_for_text("every frame is accounted for: 2,048 = 2,048 in flows")?;
    top.press("\r")?;
    top.wait_for_text("261,376 octets")?;
    first.process().signal(Signal::SIGKILL)?;
    top.wait_for_text("DAEMON GONE, waiting for it")?;
    // What was told last stays in sight.
    top.wait_for_text("261,376 octets")?;
    drop(first);
    let second = bench.daemon(Attach::Tc)?;
    top.wait_for("the new daemon", |screen| {
        !screen.contents().contains("DAEMON GONE")
    })?;
    bench.send()?;
    top.wait_for_text(WHOLE)?;
    top.press("\r")?;
    top.wait_for_text(SENT_OCTETS)?;
    second.document()?.ensure_whole()
}

/// A view that says hello, wants to be told at every drain, and takes nothing.
fn stuck(bench: &Bench) -> Result<UnixStream> {
    let mut stream = UnixStream::connect(bench.socket())?;
    stream.write_all(b"fwlive\x01\x00\0\0\0\0")?;
    Ok(stream)
}

#[test]
fn views_that_take_nothing_hold_up_nobody_and_cost_a_bound() -> Result<()> {
    /// So many that a socket's own room for them is used up at once.
    const FLOWS: u32 = 20_000;
    const ROUNDS: u64 = 20;
    /// Octets that views which take nothing may add, once each holds what is under way to it.
    const BOUND: u64 = 4 << 20;
    if !is_granted_live()? {
        return Ok(());
    }
    let bench = Bench::new()?;
    let daemon = bench.daemon(Attach::Tc)?;
    let stuck: Vec<_> = (0..8).map(|_| stuck(&bench)).collect::<Result<_>>()?;
    let device = bench.lab.camera();
    let frame = |number: u32| {
        let remote = std::net::Ipv4Addr::from(0x3400_0000 + number);
        let packet = Packet::ethernet(device.mac, device.gateway_mac);
        packet
            .ipv4(device.ipv4, remote)
            .udp(1, 2)
            .payload(0)
            .build()
    };
    let frames: Vec<_> = (0..FLOWS).map(frame).collect();
    let generator = Generator::new(&device.namespace, "eth0")?.rate(100_000);
    let round = || generator.send(&frames, u64::from(FLOWS)).map(drop);
    round()?;
    round()?;
    let mut top = bench.member()?;
    top.wait_for_text("every frame is accounted for: 40,000 = 40,000 in flows")?;
    let before = memory_of(&daemon)?;
    (2..ROUNDS).try_for_each(|_| round())?;
    top.wait_for_text("every frame is accounted for: 400,000 = 400,000 in flows")?;
    let grown = memory_of(&daemon)?.saturating_sub(before);
    ensure!(grown < BOUND, "{grown} octets more");
    drop(stuck);
    let document: Document = daemon.document()?;
    document.ensure_whole()?;
    let counted = document.device("camera")?.up.packets;
    ensure!(counted == u64::from(FLOWS) * ROUNDS, "{counted}");
    ensure!(document.meta.epochs > 20, "{}", document.meta.epochs);
    Ok(())
}

#[test]
fn a_view_that_was_stopped_catches_up() -> Result<()> {
    if !is_granted_live()? {
        return Ok(());
    }
    let bench = Bench::new()?;
    let daemon = bench.daemon(Attach::Tc)?;
    let mut top = bench.member()?;
    top.wait_for_text("daemon at ")?;
    top.signal(Signal::SIGSTOP)?;
    top.wait_for_state("T")?;
    for _ in 0..8 {
        bench.send()?;
        // So that the daemon has each in a drain of its own.
        thread::sleep(Duration::from_millis(60));
    }
    top.signal(Signal::SIGCONT)?;
    top.wait_for_text("every frame is accounted for: 8,192 = 8,192 in flows")?;
    daemon.document()?.ensure_whole()
}
