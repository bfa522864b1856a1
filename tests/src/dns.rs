//! The name service: dnsmasq as the outside name server or as the gateway's forwarder, a name
//! server that says whatever a test wants, and a resolver that asks real questions over UDP.
//!
//! Messages (RFC 1035) are written and read by hand here, apart from flowwatch's own parser.

pub mod answer;
pub mod stream;

use std::collections::BTreeSet;
use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::link::Mac;
use crate::namespace::Namespace;
use crate::process::{Process, Stream};

/// DNS's port.
pub const PORT: u16 = 53;
/// How long a name server may take to begin.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take before the question is asked again, and how often it is asked.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: u32 = 3;
/// How often a server looks whether it shall stop.
const STOP_PERIOD: Duration = Duration::from_millis(100);

/// What a name server knows of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An A or AAAA record.
    Address(String, IpAddr),
    /// A CNAME record: the alias, and the name that it stands for, which needs a record too.
    Alias(String, String),
}

impl Record {
    fn to_option(&self) -> String {
        match self {
            Self::Address(name, address) => format!("--host-record={name},{address}"),
            Self::Alias(alias, target) => format!("--cname={alias},{target}"),
        }
    }
}

/// Addresses that a name server gives to whom asks by DHCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leases {
    /// The file in which it keeps them.
    pub file: PathBuf,
    /// The address that each device is to get.
    pub reserved: Vec<(Mac, Ipv4Addr)>,
}

impl Leases {
    fn to_options(&self) -> Vec<String> {
        let mut options = vec![
            format!("--dhcp-leasefile={}", self.file.display()),
            // It alone gives addresses here, and need not try whether one is in use.
            "--dhcp-authoritative".to_owned(),
            "--no-ping".to_owned(),
        ];
        let subnets: BTreeSet<[u8; 3]> = self
            .reserved
            .iter()
            .map(|(_, a)| {
                let [a, b, c, _] = a.octets();
                [a, b, c]
            })
            .collect();
        options.extend(
            subnets
                .iter()
                .map(|[a, b, c]| format!("--dhcp-range={a}.{b}.{c}.0,static,255.255.255.0,1h")),
        );
        let reserved = self.reserved.iter();
        options.extend(reserved.map(|(mac, address)| format!("--dhcp-host={mac},{address}")));
        options
    }
}

/// A running dnsmasq; ended when dropped.
#[derive(Debug)]
pub struct NameServer {
    process: Process,
}

impl NameServer {
    /// Starts dnsmasq at `addresses`, port 53, with `records`; what they don't answer it asks
    /// `upstream`, or denies when there is none; where there are leases, it gives addresses too.
    /// Returns once it serves.
    pub fn dnsmasq(
        namespace: &Namespace,
        addresses: &[IpAddr],
        records: &[Record],
        upstream: Option<IpAddr>,
        leases: Option<&Leases>,
    ) -> Result<Self> {
        let mut command = namespace.command("dnsmasq");
        // No file of the machine's is read or written: no configuration, hosts or process id.
        command.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--pid-file=",
        ]);
        command.args(["--no-resolv", "--no-hosts", "--no-poll", "--log-facility=-"]);
        command.args([
            "--user=root",
            "--group=root",
            "--bind-interfaces",
            "--local-ttl=300",
        ]);
        command.args(
            addresses
                .iter()
                .map(|address| format!("--listen-address={address}")),
        );
        command.args(records.iter().map(Record::to_option));
        match upstream {
            Some(server) => command.arg(format!("--server={server}")),
            // Every name is local: what is unknown doesn't exist, and nobody is asked.
            None => command.arg("--local=/#/"),
        };
        command.args(leases.map(Leases::to_options).unwrap_or_default());
        let process = Process::spawn(command)?;
        // dnsmasq says this after it has bound its sockets.
        process
            .wait_for_line(Stream::Stderr, START_TIMEOUT, |line| {
                line.contains("started, version")
            })
            .with_context(|| format!("start dnsmasq in `{}`", namespace.name()))?;
        Ok(Self { process })
    }

    /// What dnsmasq has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.output(Stream::Stderr)
    }
}

/// A name server on a thread, which answers each question with whatever octets a test wants: lies
/// about lengths, names that point in circles, nothing at all. Ended when dropped.
#[derive(Debug)]
pub struct ScriptedServer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Result<()>>>>,
}

impl ScriptedServer {
    /// Serves at `address`; `answer` gets a question's octets and returns the answer's.
    pub fn start(
        namespace: &Namespace,
        address: SocketAddr,
        mut answer: impl FnMut(&[u8]) -> Option<Vec<u8>> + Send + 'static,
    ) -> Result<Self> {
        let socket = namespace.enter(|| UdpSocket::bind(address))?;
        let socket = socket.with_context(|| format!("bind the name server to {address}"))?;
        socket.set_read_timeout(Some(STOP_PERIOD))?;
        let stop = Arc::new(AtomicBool::new(false));
        let is_stopped = Arc::clone(&stop);
        let serve = move || -> Result<()> {
            let mut buffer = [0; 4096];
            while !is_stopped.load(Ordering::Relaxed) {
                let Some((length, peer)) = received(socket.recv_from(&mut buffer))? else {
                    continue;
                };
                if let Some(octets) = answer(&buffer[..length]) {
                    socket.send_to(&octets, peer).context("answer")?;
                }
            }
            Ok(())
        };
        Ok(Self {
            stop,
            thread: Some(namespace.spawn(serve)),
        })
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// `None` when nothing came in time.
fn received<T>(result: std::io::Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(None)
        }
        Err(error) => Err(error).context("receive"),
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
}

impl Question {
    fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
        })
    }
}

/// Asks `server`, from inside the namespace, for a name's IPv4 and IPv6 addresses: two questions.
pub fn resolve(namespace: &Namespace, server: IpAddr, name: &str) -> Result<Vec<IpAddr>> {
    let mut addresses = ask(namespace, server, name, Question::A)?;
    addresses.extend(ask(namespace, server, name, Question::Aaaa)?);
    Ok(addresses)
}

/// Asks `server` one question; asks again when no answer comes. A name that doesn't exist has no
/// addresses.
pub fn ask(
    namespace: &Namespace,
    server: IpAddr,
    name: &str,
    question: Question,
) -> Result<Vec<IpAddr>> {
    let what = || {
        format!(
            "ask {server} in `{}` for {name} {question}",
            namespace.name()
        )
    };
    namespace
        .enter(|| ask_here(server, name, question))?
        .with_context(what)
}

fn ask_here(server: IpAddr, name: &str, question: Question) -> Result<Vec<IpAddr>> {
    let any: IpAddr = match server {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).context("bind")?;
    socket.connect((server, PORT)).context("connect")?;
    socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    for attempt in 1..=ATTEMPTS {
        let identifier = attempt as u16;
        socket
            .send(&question_octets(identifier, name, question)?)
            .context("send")?;
        let mut buffer = [0; 4096];
        if let Some(length) = received(socket.recv(&mut buffer))? {
            return read_answer(&buffer[..length], identifier).context("read the answer");
        }
    }
    bail!("no answer in {ATTEMPTS} times {ANSWER_TIMEOUT:?}")
}

/// Returns the octets of a question as a stub resolver sends it, recursion desired.
pub fn question_octets(identifier: u16, name: &str, question: Question) -> Result<Vec<u8>> {
    let mut octets = identifier.to_be_bytes().to_vec();
    octets.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.trim_end_matches('.').split('.') {
        ensure!(
            (1..=63).contains(&label.len()),
            "`{name}` is no domain name"
        );
        octets.push(label.len() as u8);
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets.extend(question.number().to_be_bytes());
    octets.extend([0, 1]);
    Ok(octets)
}

fn read_answer(octets: &[u8], identifier: u16) -> Result<Vec<IpAddr>> {
    const NAME_ERROR: u8 = 3;
    ensure!(
        number(octets, 0)? == identifier,
        "it answers another question"
    );
    let code = *octets.get(3).context("it is cut off")? & 0x0f;
    ensure!(
        code == 0 || code == NAME_ERROR,
        "the server failed: code {code}"
    );
    let mut at = 12;
    for _ in 0..number(octets, 4)? {
        at = after_name(octets, at)? + 4;
    }
    let mut addresses = Vec::new();
    for _ in 0..number(octets, 6)? {
        at = after_name(octets, at)?;
        let length = usize::from(number(octets, at + 8)?);
        let data = octets
            .get(at + 10..at + 10 + length)
            .context("it is cut off")?;
        match (
            number(octets, at)?,
            <[u8; 4]>::try_from(data),
            <[u8; 16]>::try_from(data),
        ) {
            (1, Ok(address), _) => addresses.push(address.into()),
            (28, _, Ok(address)) => addresses.push(address.into()),
            _ => {}
        }
        at += 10 + length;
    }
    Ok(addresses)
}

fn after_name(octets: &[u8], mut at: usize) -> Result<usize> {
    loop {
        match *octets.get(at).context("a name is cut off")? {
            0 => return Ok(at + 1),
            // A pointer ends a name (RFC 1035 §4.1.4); where it leads doesn't matter here.
            0xc0.. => return Ok(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

fn number(octets: &[u8], at: usize) -> Result<u16> {
    let octets = octets.get(at..at + 2).context("it is cut off")?;
    Ok(u16::from_be_bytes([octets[0], octets[1]]))
}
