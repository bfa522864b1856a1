//! Network namespaces without a name: each lives as long as something holds its descriptor.
//!
//! A named namespace (`ip netns add`) survives the process that made it; these vanish with it,
//! however it ends. Used by everything else in the lab.

#![expect(
    unsafe_code,
    reason = "`pre_exec` is unsafe: its closures run between fork and exec"
)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::panic::resume_unwind;
use std::process::Command;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow, ensure};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

use crate::process;

/// What a fresh namespace is set to before it has links: exact counts want no packets of the
/// kernel's own (duplicate address detection, router solicitations), and the lab's routes are
/// asymmetric enough for the reverse path filter to drop what is meant to arrive.
const SETTINGS: [(&str, &str); 11] = [
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv4/conf/all/send_redirects", "0"),
    ("ipv4/conf/default/send_redirects", "0"),
    ("ipv6/conf/default/disable_ipv6", "1"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/dad_transmits", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/autoconf", "0"),
    ("ipv6/conf/default/router_solicitations", "0"),
    // 1: no link-local address unless one is asked for.
    ("ipv6/conf/default/addr_gen_mode", "1"),
];

/// A network namespace. Clones share it; it vanishes with the last clone, process and socket.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: String,
    descriptor: Arc<OwnedFd>,
}

impl Namespace {
    /// Makes a namespace with nothing but `lo`, which is up. The name is for messages only.
    pub fn new(name: &str) -> Result<Self> {
        let made = thread::spawn(|| -> Result<OwnedFd> {
            unshare(CloneFlags::CLONE_NEWNET).context("unshare the network namespace")?;
            let descriptor =
                File::open("/proc/thread-self/ns/net").context("open the namespace")?;
            for (key, value) in SETTINGS {
                write_setting(key, value)?;
            }
            Ok(descriptor.into())
        });
        let descriptor = made
            .join()
            .map_err(|_| anyhow!("the thread that makes `{name}` died"))?;
        let namespace = Self {
            name: name.to_owned(),
            descriptor: Arc::new(descriptor.with_context(|| format!("make namespace `{name}`"))?),
        };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// The name that messages use.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace's inode number, as `lsns` and `/proc/PID/ns/net` show it.
    pub fn inode(&self) -> Result<u64> {
        let file = File::from(self.descriptor.try_clone()?);
        Ok(file.metadata().context("stat the namespace")?.ino())
    }

    /// A path that names the namespace to a program which this process starts (`ip … netns PATH`).
    #[must_use]
    pub fn path(&self) -> String {
        format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            self.descriptor.as_raw_fd()
        )
    }

    /// Runs `work` on a fresh thread inside the namespace. A socket that it makes stays inside.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        thread::scope(|scope| {
            let entered = scope.spawn(|| setns(self, CloneFlags::CLONE_NEWNET).map(|()| work()));
            let done = entered.join().unwrap_or_else(|panic| resume_unwind(panic));
            done.with_context(|| format!("enter namespace `{}`", self.name))
        })
    }

    /// Starts `work` on a thread of its own inside the namespace.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<Result<T>> {
        let namespace = self.clone();
        thread::spawn(move || {
            setns(&namespace, CloneFlags::CLONE_NEWNET)
                .with_context(|| format!("enter namespace `{}`", namespace.name))?;
            Ok(work())
        })
    }

    /// Sets a sysctl below `net/`, such as `ipv4/ip_forward`.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        self.enter(|| write_setting(key, value))?
    }

    /// A command that will run inside: with this namespace's network, its own `/sys` (so that
    /// `/sys/class/net` and `/sys/fs/bpf` are this namespace's), and no life beyond this process.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let descriptor = Arc::clone(&self.descriptor);
        let inside = move || enter_with_own_sysfs(descriptor.as_fd());
        // SAFETY: the closure makes system calls only: it neither allocates nor takes a lock, and
        // the paths are short enough for nix to keep them on the stack.
        unsafe { command.pre_exec(inside) };
        process::die_with_parent(&mut command);
        command
    }

    /// Runs a program inside to its end and returns what it printed; fails when it fails.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(program);
        command.args(arguments);
        let what = || format!("run `{program} {}` in `{}`", arguments.join(" "), self.name);
        process::output_of(command, "").with_context(what)
    }

    /// Runs the lines of an `ip` batch inside, stopping at the first that fails.
    pub fn ip(&self, batch: &str) -> Result<()> {
        self.feed("ip", &["-batch", "-"], batch)
    }

    /// Drops every packet that arrives, after XDP, tc and packet sockets have seen it: the kernel
    /// then answers nothing (no ICMP errors, no resets) to what a generator sends here.
    pub fn silence(&self) -> Result<()> {
        let rules = "table inet silence {\n chain everything {\n  \
            type filter hook prerouting priority -400; policy drop;\n  \
            iif lo accept;\n }\n}\n";
        self.feed("nft", &["-f", "-"], rules)
    }

    /// Keeps the kernel from sending multicast listener reports and solicitations of its own.
    pub fn quiet_ipv6(&self) -> Result<()> {
        let rules = "table ip6 quiet {\n chain everything {\n  \
            type filter hook output priority 0; policy accept;\n  \
            icmpv6 type { mld-listener-report, mld-listener-done, mld2-listener-report, \
            nd-router-solicit } drop;\n }\n}\n";
        self.feed("nft", &["-f", "-"], rules)
    }

    fn feed(&self, program: &str, arguments: &[&str], input: &str) -> Result<()> {
        let mut command = self.command(program);
        command.args(arguments);
        process::output_of(command, input)
            .with_context(|| format!("give {program} in `{}`:\n{input}", self.name))?;
        Ok(())
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn write_setting(key: &str, value: &str) -> Result<()> {
    ensure!(!key.contains(".."), "`{key}` is no key below net/");
    // /proc/sys/net shows the namespace of the thread that opens it.
    std::fs::write(format!("/proc/sys/net/{key}"), value)
        .with_context(|| format!("set net/{key} to {value}"))
}

fn enter_with_own_sysfs(namespace: BorrowedFd<'_>) -> io::Result<()> {
    const NONE: Option<&str> = None;
    setns(namespace, CloneFlags::CLONE_NEWNET)?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    // Private first: otherwise the mounts below would show on the whole machine.
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), NONE)?;
    mount(
        Some("bpf"),
        "/sys/fs/bpf",
        Some("bpf"),
        MsFlags::empty(),
        NONE,
    )?;
    Ok(())
}
