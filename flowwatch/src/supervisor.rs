//! What a service manager is told: `sd_notify(3)`'s protocol.
//!
//! Each message is a datagram of `NAME=value` lines to the socket that `NOTIFY_SOCKET` names, with a
//! path, or `@` and an abstract name. Without that variable nobody is told. `run` says what is.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

use crate::text::printable;

/// Who started this program and watches over it, where there is one.
#[derive(Debug, Default)]
pub struct Supervisor {
    socket: Option<UnixDatagram>,
    /// Whether signs of life are expected.
    has_watchdog: bool,
}

impl Supervisor {
    /// Returns the one that the environment names. One that can't be reached is warned of, and no
    /// reason not to count.
    #[must_use]
    pub fn of_environment() -> Self {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        match connect(&name) {
            Ok(socket) => Self {
                socket: Some(socket),
                has_watchdog: is_watched(),
            },
            Err(error) => {
                let name = name.to_string_lossy();
                log::warn!("reach the service manager at `{name}`: {error}");
                Self::default()
            }
        }
    }

    /// Returns one at a socket's path, who expects signs of life.
    #[cfg(test)]
    pub(crate) fn at(path: &std::path::Path) -> Self {
        Self {
            socket: connect(path.as_os_str()).ok(),
            has_watchdog: true,
        }
    }

    /// Returns whether there is one.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// Tells that the start, or a reload, is over, and in one line how things are.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\n{}", status_line(status)));
    }

    /// Tells in one line how things are.
    pub fn status(&self, status: &str) {
        self.tell(&status_line(status));
    }

    /// Tells that a reload begins, which ends with [`Self::ready`].
    pub fn reloading(&self) {
        // So that a late answer to an earlier request is not taken for that to a later one.
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// Tells that the end begins.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Gives a sign of life, where one is expected.
    pub fn alive(&self) {
        if self.has_watchdog {
            self.tell("WATCHDOG=1");
        }
    }

    fn tell(&self, message: &str) {
        let Some(socket) = &self.socket else { return };
        // A manager that doesn't listen is not waited for.
        if let Err(error) = socket.send(message.as_bytes()) {
            log::debug!("tell the service manager {message:?}: {error}");
        }
    }
}

fn status_line(status: &str) -> String {
    format!("STATUS={}", printable(status))
}

fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

/// Returns whether signs of life are expected of this process.
fn is_watched() -> bool {
    let own = std::process::id().to_string();
    let is_own = env::var("WATCHDOG_PID").is_ok_and(|process| process == own);
    let is_anyones = env::var_os("WATCHDOG_PID").is_none();
    env::var_os("WATCHDOG_USEC").is_some() && (is_own || is_anyones)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manager, and what was told to it.
    fn told(to: &UnixDatagram, tell: impl FnOnce()) -> String {
        tell();
        let mut buffer = [0; 512];
        to.set_nonblocking(true).unwrap();
        let length = to.recv(&mut buffer).unwrap_or(0);
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn supervisor(name: &OsStr, has_watchdog: bool) -> Supervisor {
        Supervisor {
            socket: Some(connect(name).unwrap()),
            has_watchdog,
        }
    }

    #[test]
    fn a_manager_is_told_at_a_path_and_at_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let told_there = told(&manager, || {
            supervisor(path.as_os_str(), false).ready("counts");
        });
        assert_eq!(told_there, "READY=1\nSTATUS=counts");
        let name = format!("flowwatch-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let at = format!("@{name}");
        let told_there = told(&manager, || supervisor(OsStr::new(&at), false).stopping());
        assert_eq!(told_there, "STOPPING=1");
    }

    #[test]
    fn signs_of_life_are_given_where_they_are_expected_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let alive = |has_watchdog| {
            told(&manager, || {
                supervisor(path.as_os_str(), has_watchdog).alive();
            })
        };
        assert_eq!(alive(true), "WATCHDOG=1");
        assert_eq!(alive(false), "");
    }

    #[test]
    fn a_reload_bears_the_time_at_which_it_begins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let told = told(&manager, || supervisor(path.as_os_str(), false).reloading());
        let microseconds = told.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        let told: f64 = microseconds.parse().unwrap();
        // The time since the boot, less what the host was asleep.
        let up = std::fs::read_to_string("/proc/uptime").unwrap();
        let up: f64 = up.split(' ').next().unwrap().parse().unwrap();
        assert!(told / 1e6 <= up + 1.0, "{told} {up}");
        assert!(told > 0.0);
    }

    #[test]
    fn a_name_adds_no_line() {
        assert_eq!(status_line("a\nREADY=1"), "STATUS=a\\x0aREADY=1");
    }

    #[test]
    fn nobody_is_told_where_nobody_listens_and_nothing_breaks() {
        Supervisor::default().ready("counts");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let supervisor = supervisor(path.as_os_str(), true);
        // A full queue is not waited for.
        (0..10_000).for_each(|_| supervisor.alive());
        drop(manager);
        supervisor.alive();
        assert!(connect(OsStr::new("")).is_err() || !Supervisor::default().is_there());
    }
}
