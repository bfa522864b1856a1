//! A stream to whoever listens at a TCP or Unix socket.
//!
//! Nobody says that what was sent arrived; so it counts as delivered when the peer's side has all of it:
//! its kernel (TCP), or the process itself (Unix). What a connection that failed had begun is for the
//! caller to send again, on the next one.

use std::io;
use std::os::fd::{AsRawFd as _, RawFd};
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

use super::{DeliveryError, Given, TargetError};

/// How long a connection may take to come about.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// Time between two looks at whether the peer has everything: the kernel has no event for that.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);
/// Octets that a peer may say at a time; they are not looked at.
const SAID: usize = 4096;
/// Times that so many are read, before a peer that says more is let go.
const MOST_SAID: usize = 16;

/// Where somebody listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// Host and port.
    Tcp(String),
    /// A socket's path.
    Unix(PathBuf),
}

impl Address {
    /// Reads an address; nothing for what doesn't begin like one.
    pub(super) fn parse(given: &Given<'_>) -> Result<Option<Self>, TargetError> {
        let text = given.target;
        if let Some(address) = text.strip_prefix("tcp://") {
            return if is_host_and_port(address) {
                Ok(Some(Self::Tcp(address.to_owned())))
            } else {
                Err(TargetError::new(
                    text,
                    "names no host and port; write tcp://HOST:PORT, such as tcp://127.0.0.1:5170",
                ))
            };
        }
        let Some(path) = text.strip_prefix("unix:") else {
            return Ok(None);
        };
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return Err(TargetError::new(
                text,
                "names no socket; write unix:PATH, such as unix:/run/collector.sock",
            ));
        }
        Ok(Some(Self::Unix(given.folder.join(path))))
    }
}

/// Returns whether a text is a host and a port: `HOST:PORT`, an IPv6 address in brackets.
pub(super) fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let is_word = |it: char| !it.is_whitespace() && !it.is_control() && !"/@?#".contains(it);
        let is_host = host.starts_with('[') == host.contains(':') && host.chars().all(is_word);
        !host.is_empty() && is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// A stream to one peer, over one connection after the other.
#[derive(Debug)]
pub(super) struct PeerStream {
    address: Address,
    /// None before the first delivery, and after a failure.
    connection: Option<Connection>,
}

#[derive(Debug)]
enum Connection {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl PeerStream {
    pub(super) const fn new(address: Address) -> Self {
        Self {
            address,
            connection: None,
        }
    }

    /// Connects where there is no connection that is open; returns whether this is a new one.
    pub(super) async fn ready(&mut self) -> Result<bool, DeliveryError> {
        if self.connection.as_ref().is_some_and(Connection::is_open) {
            return Ok(false);
        }
        self.connection = None;
        self.connection = Some(self.connect().await?);
        Ok(true)
    }

    /// Sends octets on the connection that is there, until the peer has them.
    pub(super) async fn send(&mut self, octets: &[u8]) -> Result<(), DeliveryError> {
        // Taken: after a part of them, there is none.
        let Some(mut connection) = self.connection.take() else {
            return Err(DeliveryError::of("send")(
                io::ErrorKind::NotConnected.into(),
            ));
        };
        connection.write(octets).await?;
        connection.drained().await?;
        self.connection = Some(connection);
        Ok(())
    }

    pub(super) async fn close(&mut self) {
        match self.connection.take() {
            Some(Connection::Tcp(mut stream)) => drop(stream.shutdown().await),
            Some(Connection::Unix(mut stream)) => drop(stream.shutdown().await),
            None => {}
        }
    }

    async fn connect(&self) -> Result<Connection, DeliveryError> {
        let connecting = async {
            match &self.address {
                Address::Tcp(address) => TcpStream::connect(address).await.map(Connection::Tcp),
                Address::Unix(path) => UnixStream::connect(path).await.map(Connection::Unix),
            }
        };
        let connected = timeout(CONNECT_PATIENCE, connecting).await;
        let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        connected.map_err(DeliveryError::of("connect"))
    }
}

impl Connection {
    async fn write(&mut self, octets: &[u8]) -> Result<(), DeliveryError> {
        let stream: &mut (dyn AsyncWrite + Unpin) = match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
        };
        let written = stream.write_all(octets).await;
        written.map_err(DeliveryError::of("send"))
    }

    /// Waits until the peer's side has all that was written.
    async fn drained(&self) -> Result<(), DeliveryError> {
        let of = DeliveryError::of;
        while queued(self.descriptor()).map_err(of("ask whether everything arrived"))? > 0 {
            if !self.is_open() {
                return Err(of("send")(io::ErrorKind::ConnectionReset.into()));
            }
            sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }

    /// Returns whether the peer has neither closed nor reset the connection.
    fn is_open(&self) -> bool {
        let mut said = [0; SAID];
        for _ in 0..MOST_SAID {
            let read = match self {
                Self::Tcp(stream) => stream.try_read(&mut said),
                Self::Unix(stream) => stream.try_read(&mut said),
            };
            match read {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
        false
    }

    fn descriptor(&self) -> RawFd {
        match self {
            Self::Tcp(stream) => stream.as_raw_fd(),
            Self::Unix(stream) => stream.as_raw_fd(),
        }
    }
}

/// Returns how much of what was written the other side does not have yet (`tcp(7)`, `unix(7)`:
/// SIOCOUTQ).
#[expect(unsafe_code, reason = "ioctl writes through a pointer")]
fn queued(descriptor: RawFd) -> io::Result<libc::c_int> {
    let mut octets: libc::c_int = 0;
    // SAFETY: SIOCOUTQ, which is TIOCOUTQ, writes one int through the pointer, which is to one.
    let status = unsafe { libc::ioctl(descriptor, libc::TIOCOUTQ, &raw mut octets) };
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use tempfile::TempDir;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, UnixListener};

    use super::*;

    fn address(text: &str) -> Result<Option<Address>, TargetError> {
        Address::parse(&Given {
            target: text,
            folder: Path::new("/etc"),
            settings: &BTreeMap::new(),
        })
    }

    #[test]
    fn an_address_has_a_host_and_a_port_or_a_path() {
        let check = |text: &str, expected: Option<Address>| {
            assert_eq!(address(text), Ok(expected), "{text}");
        };
        check("tcp://a:5170", Some(Address::Tcp("a:5170".into())));
        check("tcp://[::1]:5170", Some(Address::Tcp("[::1]:5170".into())));
        check("unix:/run/a", Some(Address::Unix("/run/a".into())));
        check("unix:///run/a", Some(Address::Unix("/run/a".into())));
        check("unix:a", Some(Address::Unix("/etc/a".into())));
        check("flows.jsonl", None);
        for text in [
            "tcp://",
            "tcp://a",
            "tcp://:1",
            "tcp://a:0",
            "tcp://::1:5",
            "tcp://a/b:5",
            "tcp://a b:5",
            "unix:",
        ] {
            let error = address(text).unwrap_err().to_string();
            assert!(
                error.contains(text) && error.contains("; write "),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn a_peer_that_closed_gets_the_next_batch_on_another_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut stream = PeerStream::new(Address::Tcp(address));
        for batch in [&b"1\n"[..], b"2\n"] {
            let accepted = async {
                let (mut peer, _) = listener.accept().await.unwrap();
                let mut lines = vec![0; batch.len()];
                peer.read_exact(&mut lines).await.unwrap();
                lines
            };
            // It is dropped, and so closed, with the end of this.
            let sending = async {
                assert!(stream.ready().await.unwrap(), "another connection");
                stream.send(batch).await.unwrap();
            };
            let ((), lines) = tokio::join!(sending, accepted);
            assert_eq!(lines, batch);
            while stream.connection.as_ref().is_some_and(Connection::is_open) {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn a_batch_that_a_peer_does_not_read_is_not_delivered() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let mut stream = PeerStream::new(Address::Unix(path));
        let (peer, ()) = tokio::join!(async { listener.accept().await.unwrap().0 }, async {
            stream.ready().await.unwrap();
            let sent = timeout(Duration::from_millis(50), stream.send(b"1\n")).await;
            assert!(sent.is_err(), "it takes until the peer reads");
        });
        assert!(stream.connection.is_none(), "half a batch is on it");
        drop(peer);
    }

    #[tokio::test]
    async fn a_peer_that_leaves_amid_a_batch_is_an_error() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let mut stream = PeerStream::new(Address::Unix(path));
        let large = vec![b'a'; 4 << 20];
        stream.ready().await.unwrap();
        let (sent, ()) = tokio::join!(stream.send(&large), async {
            let (mut peer, _) = listener.accept().await.unwrap();
            peer.read_exact(&mut [0; 9]).await.unwrap();
        });
        let error = sent.unwrap_err().to_string();
        assert!(error.starts_with("send: "), "{error}");
    }

    #[tokio::test]
    async fn what_a_peer_says_is_no_reason_to_leave_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut stream = PeerStream::new(Address::Tcp(address));
        let listening = async {
            let (mut peer, _) = listener.accept().await.unwrap();
            let mut lines = [0; 4];
            for batch in [2, 4] {
                let nonsense = b"HTTP/1.1 400 Bad Request\r\n\r\n\0\xff";
                peer.write_all(nonsense).await.unwrap();
                peer.read_exact(&mut lines[batch - 2..batch]).await.unwrap();
            }
            lines
        };
        let sending = async {
            for (batch, is_new) in [(b"1\n", true), (b"2\n", false)] {
                assert_eq!(stream.ready().await.unwrap(), is_new);
                stream.send(batch).await.unwrap();
            }
        };
        let ((), lines) = tokio::join!(sending, listening);
        assert_eq!(&lines, b"1\n2\n");
    }

    #[tokio::test]
    async fn nobody_there_is_an_error() {
        let mut stream = PeerStream::new(Address::Unix("/nowhere/socket".into()));
        let error = stream.ready().await.unwrap_err().to_string();
        assert!(error.starts_with("connect: "), "{error}");
    }
}
