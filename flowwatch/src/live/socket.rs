//! The socket's place in the file system: who may connect, and what was left behind.
//!
//! Names of destinations are a household's own: without a group that was made for it, only root may
//! connect.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown,
};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};
use tokio::net::{UnixListener, UnixSocket};

/// Where `run` listens and `top` asks, unless the user says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/flowwatch/live.sock";
/// The group whose members may connect, where there is one of that name.
const DEFAULT_GROUP: &str = "flowwatch";

/// Connections that wait to be accepted.
const BACKLOG: u32 = 16;

/// Where to listen, and for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// The socket; without it, [`DEFAULT_SOCKET`].
    pub path: Option<PathBuf>,
    /// The group whose members may connect; without it, `flowwatch`, where there is one.
    pub group: Option<String>,
}

impl SocketOptions {
    /// Returns these options over others: what is said here wins.
    #[must_use]
    pub fn over(self, base: Self) -> Self {
        Self {
            path: self.path.or(base.path),
            group: self.group.or(base.group),
        }
    }

    /// Returns whether the user asked for it: then, that it can't be is an error.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.path.is_some() || self.group.is_some()
    }

    /// Returns the number of the group whose members may connect, where there is one.
    #[must_use]
    pub fn group_id(&self) -> Option<u32> {
        group_of(self.group.as_deref()).ok().flatten()
    }

    /// Returns the folder that is the program's own, where the socket is in it.
    #[must_use]
    pub fn runtime_folder(&self) -> Option<&Path> {
        let is_default = self.path() == Path::new(DEFAULT_SOCKET);
        self.path().parent().filter(|_| is_default)
    }

    /// Returns the socket's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(DEFAULT_SOCKET))
    }
}

/// Why there is no socket to listen on.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody listens there.
    #[error(
        "listen at `{}`: another flowwatch does; stop it, or name another place with --socket",
        .0.display()
    )]
    Taken(PathBuf),
    /// Something else is there.
    #[error("listen at `{}`: it exists and is no socket; name another place with --socket", .0.display())]
    NoSocket(PathBuf),
    /// No such group.
    #[error(
        "let the group `{0}` connect: there is no such group; make it with groupadd --system {0}"
    )]
    NoGroup(String),
    /// The system refused.
    #[error("listen at `{}`", .path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A socket that is listened on; gone from the file system when dropped.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) listener: UnixListener,
    path: PathBuf,
}

impl Listening {
    /// Begins to listen.
    pub(super) fn begin(options: &SocketOptions) -> Result<Self, SocketError> {
        let path = options.path();
        let refused = |source| SocketError::Refused {
            path: path.to_owned(),
            source,
        };
        let group = group_of(options.group.as_deref())?;
        make_folder(path).map_err(refused)?;
        clear(path)?;
        let listener = listen(path, group).map_err(refused)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
        })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn group_of(asked: Option<&str>) -> Result<Option<u32>, SocketError> {
    let name = asked.unwrap_or(DEFAULT_GROUP);
    let group = Group::from_name(name).ok().flatten();
    match (group, asked) {
        (Some(group), _) => Ok(Some(group.gid.as_raw())),
        (None, Some(name)) => Err(SocketError::NoGroup(name.to_owned())),
        (None, None) => Ok(None),
    }
}

/// Makes the default socket's folder; the user's own exists, or is a mistake.
fn make_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if path == Path::new(DEFAULT_SOCKET) && !folder.exists() => {
            fs::DirBuilder::new().mode(0o755).create(folder)
        }
        _ => Ok(()),
    }
}

/// Removes what a flowwatch that was killed left behind.
fn clear(path: &Path) -> Result<(), SocketError> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        return Err(SocketError::NoSocket(path.to_owned()));
    }
    // To a socket of another type, this never waits for one who doesn't accept; it is told apart from
    // nobody (Linux, `unix_find_other`).
    let asked = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    match asked {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            let _ = fs::remove_file(path);
            Ok(())
        }
        _ => Err(SocketError::Taken(path.to_owned())),
    }
}

fn listen(path: &Path, group: Option<u32>) -> io::Result<UnixListener> {
    let socket = UnixSocket::new_stream()?;
    // Linux makes the file with the socket's own mode, so that there is no moment at which others may
    // connect.
    let descriptor = File::from(socket.as_fd().try_clone_to_owned()?);
    descriptor.set_permissions(Permissions::from_mode(0o600))?;
    socket.bind(path)?;
    if let Some(group) = group {
        chown(path, None, Some(group))?;
        fs::set_permissions(path, Permissions::from_mode(0o660))?;
    }
    socket.listen(BACKLOG)
}

/// Returns what one whom a socket doesn't let in can do about it.
pub(super) fn way_in(path: &Path) -> String {
    let found = fs::metadata(path).ok();
    let group = found
        .filter(|found| found.gid() != 0 && found.mode() & 0o060 == 0o060)
        .and_then(|found| Group::from_gid(Gid::from_raw(found.gid())).ok()?);
    let Some(Group { name: group, .. }) = group else {
        return format!(
            "it lets root alone in; use sudo, or make a group for it (groupadd --system \
             {DEFAULT_GROUP}) and start `flowwatch run` again"
        );
    };
    let user = User::from_uid(Uid::effective()).ok().flatten();
    let user = user.map_or_else(|| "USER".to_owned(), |user| user.name);
    format!(
        "it lets the group `{group}` in: `sudo usermod -aG {group} {user}`, then log in again; or use \
         sudo"
    )
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn options(path: &Path) -> SocketOptions {
        SocketOptions {
            path: Some(path.to_owned()),
            group: None,
        }
    }

    #[tokio::test]
    async fn one_who_accepts_nobody_keeps_nobody_waiting() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("live.sock");
        let _first = Listening::begin(&options(&path)).unwrap();
        let connect = || {
            let socket = UnixSocket::new_stream().unwrap();
            Box::pin(socket.connect(&path))
        };
        let mut waiting = Vec::new();
        while let Ok(stream) = connect().await {
            waiting.push(stream);
        }
        assert!(waiting.len() > BACKLOG as usize, "no room is left");
        let second = Listening::begin(&options(&path));
        assert!(matches!(second, Err(SocketError::Taken(_))), "{second:?}");
    }

    #[tokio::test]
    async fn one_listens_a_second_is_told_and_what_was_left_is_replaced() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("live.sock");
        let first = Listening::begin(&options(&path)).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o007, 0, "{mode:o}");
        let second = Listening::begin(&options(&path));
        assert!(matches!(second, Err(SocketError::Taken(_))), "{second:?}");
        assert!(path.exists());
        drop(first);
        assert!(!path.exists());
        // One that is killed leaves its file.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        assert!(Listening::begin(&options(&path)).is_ok());
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("notes.txt");
        fs::write(&path, "mine").unwrap();
        let refused = Listening::begin(&options(&path));
        assert!(matches!(refused, Err(SocketError::NoSocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[tokio::test]
    async fn the_way_in_is_through_the_sockets_group() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("live.sock");
        let _listening = Listening::begin(&options(&path)).unwrap();
        assert!(way_in(&path).contains("groupadd --system flowwatch"));
        if !Uid::effective().is_root() {
            return;
        }
        // Every Linux has the group of the number 1, whatever it is called.
        let Some(group) = Group::from_gid(Gid::from_raw(1)).unwrap() else {
            return;
        };
        chown(&path, None, Some(1)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o660)).unwrap();
        let advice = way_in(&path);
        assert!(
            advice.contains(&format!("usermod -aG {} root`", group.name)),
            "{advice}"
        );
    }

    #[tokio::test]
    async fn a_group_that_is_not_is_named() {
        let folder = TempDir::new().unwrap();
        let wanted = SocketOptions {
            group: Some("no-such-group".to_owned()),
            ..options(&folder.path().join("live.sock"))
        };
        let error = Listening::begin(&wanted).unwrap_err().to_string();
        assert!(error.contains("`no-such-group`"), "{error}");
    }
}
