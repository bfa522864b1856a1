//! The live view on a terminal: what it shows, what keys do, and that it leaves the terminal as it was,
//! whatever ends it.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use flowwatch_tests::capture_file::{ETHERNET, FileFormat, Recorded};
use flowwatch_tests::flowwatch::{PROGRAM, Run};
use flowwatch_tests::link::Mac;
use flowwatch_tests::packet::Packet;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::pseudo_terminal::{open, resize};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::Pid;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);
const CAMERA: Mac = Mac([0x2c, 0xaa, 0x8e, 0, 0, 1]);
const GATEWAY: Mac = Mac([2, 0, 0, 0, 0, 1]);
/// Packets that the camera sends: of 100 octets of payload, 8 of UDP's header and 20 of IP's.
const SENT: u64 = 1_021;
const SENT_OCTETS: &str = "130,688 octets";
const RECEIVED: u64 = 3;
const RECEIVED_OCTETS: &str = "384 octets";

/// flowwatch on a terminal of its own, killed when dropped.
struct Top {
    child: Child,
    told: Receiver<Vec<u8>>,
    /// What the terminal shows.
    screen: vt100::Parser,
    keys: File,
    /// The end that the program has.
    terminal: File,
    before: Termios,
    folder: TempDir,
}

impl Top {
    /// Has a capture played at once on a terminal of 24 rows and 80 columns.
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let capture = folder.path().join("camera.pcap");
        fs::write(&capture, FileFormat::Pcap.write(ETHERNET, &frames()))?;
        let (master, terminal) = open(24, 80)?;
        let before = tcgetattr(&terminal)?;
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(std::env::var(PROGRAM)?);
        command.args(["top", "--replay"]).arg(capture);
        command.args(["--speed", "max", "--interval", "50ms", "--no-builtin-geo"]);
        command.args(["--device", &format!("camera={CAMERA}")]);
        command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
        command.env_remove("LC_ALL").env_remove("NO_COLOR");
        command.current_dir(folder.path());
        command.stdin(terminal.try_clone()?);
        command.stdout(terminal.try_clone()?).stderr(Stdio::piped());
        let child = command.spawn().context("start flowwatch on a terminal")?;
        let mut reader = master.try_clone()?;
        let (tell, told) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if tell.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            told,
            screen: vt100::Parser::new(24, 80, 0),
            keys: master,
            terminal,
            before,
            folder: folder,
        })
    }

    fn press(&mut self, keys: &str) -> Result<()> {
        Ok(self.keys.write_all(keys.as_bytes())?)
    }

    fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Reads until the terminal shows what is wanted.
    fn wait_for(&mut self, what: &str, holds: impl Fn(&vt100::Screen) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self.screen.screen()) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.told.recv_timeout(left) {
                Ok(octets) => self.screen.process(&octets),
                Err(RecvTimeoutError::Timeout) => bail!("{what} is missing:\n{}", self.text()),
                Err(RecvTimeoutError::Disconnected) => bail!("the terminal is gone: {what}"),
            }
        }
        Ok(())
    }

    fn wait_for_text(&mut self, part: &str) -> Result<()> {
        self.wait_for(part, |screen| screen.contents().contains(part))
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = Pid::from_raw(self.child.id().cast_signed());
        Ok(kill(id, signal)?)
    }

    /// Waits until the terminal is what it was before.
    fn ensure_restored(&mut self) -> Result<()> {
        self.wait_for("the terminal's own screen", |screen| {
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && !screen.bracketed_paste()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
        })?;
        let deadline = Instant::now() + PATIENCE;
        while tcgetattr(&self.terminal)? != self.before {
            ensure!(Instant::now() < deadline, "the terminal is still raw");
            thread::yield_now();
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Option<i32>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            ensure!(Instant::now() < deadline, "flowwatch still runs");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until the process is in a state, as `/proc` names it.
    fn wait_for_state(&self, state: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
            let (_, rest) = stat.rsplit_once(") ").context("read the process's state")?;
            if rest.starts_with(state) {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "the state is not {state}: {stat}"
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn frames() -> Vec<Recorded> {
    let (camera, remote) = ([192, 168, 8, 214].into(), [50, 7, 98, 242].into());
    let up = Packet::ethernet(CAMERA, GATEWAY).ipv4(camera, remote);
    let up = up.udp(4_000, 10_001).payload(100).build();
    let down = Packet::ethernet(GATEWAY, CAMERA).ipv4(remote, camera);
    let down = down.udp(10_001, 4_000).payload(100).build();
    let start = 1_559_347_200_000_000;
    let frame = |at: u64| {
        let octets = if at < SENT { &up } else { &down };
        Recorded::whole(start + at * 1_000, octets.clone())
    };
    (0..SENT + RECEIVED).map(frame).collect()
}

fn is_granted() -> Result<bool> {
    granted(&[Need::Flowwatch, Need::Program("setsid")])
}

#[test]
fn a_capture_that_is_played_shows_its_octets_and_the_terminal_is_given_back() -> Result<()> {
    if !is_granted()? {
        return Ok(());
    }
    let mut top = Top::start()?;
    top.wait_for_text("END OF CAPTURE")?;
    top.wait_for_text("every frame is accounted for: 1,024 = 1,024 in flows")?;
    top.wait_for_text("(no name) 50.7.98.242")?;
    top.press("\r")?;
    top.wait_for_text(SENT_OCTETS)?;
    top.wait_for_text(RECEIVED_OCTETS)?;
    top.press("q")?;
    ensure!(top.end()? == Some(0), "{}", top.text());
    top.ensure_restored()
}

#[test]
fn a_filter_is_typed_and_what_it_lets_through_is_written() -> Result<()> {
    if !is_granted()? {
        return Ok(());
    }
    let mut top = Top::start()?;
    top.wait_for_text("END OF CAPTURE")?;
    top.press("/port:1")?;
    top.wait_for_text("No destination that the filter lets through")?;
    top.press("0001\r")?;
    top.wait_for_text("1 by filter: port:10001")?;
    top.press("e")?;
    top.wait_for_text("Written to flowwatch-20190601T000001Z.csv: 1")?;
    let files = fs::read_dir(top.folder.path())?;
    let names: Vec<_> = files.map(|it| Ok(it?.path())).collect::<Result<_>>()?;
    let written = names
        .iter()
        .find(|it| it.extension().is_some_and(|it| it == "csv"));
    let text = fs::read_to_string(written.context("find the file")?)?;
    ensure!(text.contains(",1021,130688,3,384,"), "{text}");
    Ok(())
}

#[test]
fn signals_end_it_with_the_terminal_given_back() -> Result<()> {
    if !is_granted()? {
        return Ok(());
    }
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut top = Top::start()?;
        top.wait_for_text("Destinations")?;
        top.signal(signal)?;
        ensure!(top.end()? == Some(0), "{signal}");
        top.ensure_restored()?;
    }
    Ok(())
}

#[test]
fn it_is_stopped_and_comes_back() -> Result<()> {
    if !is_granted()? {
        return Ok(());
    }
    let mut top = Top::start()?;
    top.wait_for_text("END OF CAPTURE")?;
    top.press("\u{1a}")?;
    top.ensure_restored()?;
    top.wait_for_state("T")?;
    top.signal(Signal::SIGCONT)?;
    top.wait_for("the view's screen", vt100::Screen::alternate_screen)?;
    top.wait_for_text("END OF CAPTURE")?;
    top.press("\u{3}")?;
    ensure!(top.end()? == Some(0), "{}", top.text());
    top.ensure_restored()
}

#[test]
fn another_size_is_drawn_at_once() -> Result<()> {
    if !is_granted()? {
        return Ok(());
    }
    let mut top = Top::start()?;
    top.wait_for_text("END OF CAPTURE")?;
    top.screen.screen_mut().set_size(20, 60);
    resize(&top.terminal, 20, 60)?;
    top.wait_for_text("This window has 60x20 characters")?;
    top.screen.screen_mut().set_size(40, 160);
    resize(&top.terminal, 40, 160)?;
    top.wait_for_text("130,688")
}

#[test]
fn what_is_no_terminal_or_no_capture_is_told_in_a_sentence() -> Result<()> {
    if !is_granted()? {
        return Ok(());
    }
    let run = Run::new()?.command_word("top").options(&["--replay", "x"]);
    let ended = run.end_with(Vec::new())?;
    ensure!(
        ended.status == Some(2) && ended.output.is_empty(),
        "{ended:?}"
    );
    ensure!(
        ended.errors.contains("standard output is not a terminal"),
        "{ended:?}"
    );
    Ok(())
}
