//! The view's side of the socket: from octets to updates.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::wire::{Assembly, HELLO, WireError, check_hello, frame_length};
use super::{Update, socket};

/// How long the other side may take to say what it is.
const HELLO_PATIENCE: Duration = Duration::from_secs(5);
/// Octets that are read at once.
const READ_OCTETS: usize = 64 << 10;

/// Why there are no updates to be had.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "ask flowwatch at `{}`: none runs there; start `flowwatch run`, or name its socket with --socket",
        .0.display()
    )]
    NobodyThere(PathBuf),
    /// The user may not connect.
    #[error("ask flowwatch at `{}`: not permitted; {advice}", .path.display())]
    NotPermitted {
        /// The socket.
        path: PathBuf,
        /// What the user can do.
        advice: String,
    },
    /// It doesn't make sense.
    #[error("ask flowwatch at `{}`: {error}", .path.display())]
    Wire {
        /// The socket.
        path: PathBuf,
        /// What it says.
        error: WireError,
    },
    /// The connection ended.
    #[error("ask flowwatch at `{}`: it ended, or serves as many views as it can", .0.display())]
    Ended(PathBuf),
    /// The system refused.
    #[error("ask flowwatch at `{}`", .path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A connection to a flowwatch that counts.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    stream: BufReader<UnixStream>,
    assembly: Assembly,
    /// The octets of the frame under way.
    frame: Vec<u8>,
}

impl Client {
    /// Connects, and asks to be told once an interval.
    ///
    /// # Errors
    /// All of [`ClientError`].
    pub async fn connect(path: &Path, interval: Duration) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path).await;
        let mut stream = stream.map_err(|source| of_connect(path, source))?;
        let greeting = timeout(HELLO_PATIENCE, greet(&mut stream, interval)).await;
        let greeting = greeting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let hello = greeting.map_err(|source| of_read(path, source))?;
        check_hello(hello).map_err(|error| of_wire(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            stream: BufReader::with_capacity(READ_OCTETS, stream),
            assembly: Assembly::default(),
            frame: Vec::new(),
        })
    }

    /// Waits for the next update.
    ///
    /// # Errors
    /// `Ended`, `Wire` and `Refused`; nothing comes behind one.
    pub async fn next(&mut self) -> Result<Update, ClientError> {
        loop {
            let read = self.read_frame().await;
            read.map_err(|source| of_read(&self.path, source))?;
            let update = self.assembly.take_in(&self.frame);
            if let Some(update) = update.map_err(|error| of_wire(&self.path, error))? {
                return Ok(update);
            }
        }
    }

    async fn read_frame(&mut self) -> io::Result<()> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).await?;
        let length = frame_length(length).map_err(io::Error::other)?;
        self.frame.resize(length, 0);
        self.stream.read_exact(&mut self.frame).await?;
        Ok(())
    }
}

async fn greet(stream: &mut UnixStream, interval: Duration) -> io::Result<[u8; 8]> {
    let mut hello = HELLO.to_vec();
    let milliseconds = u32::try_from(interval.as_millis()).unwrap_or(u32::MAX);
    hello.extend(milliseconds.to_le_bytes());
    stream.write_all(&hello).await?;
    let mut theirs = [0; 8];
    stream.read_exact(&mut theirs).await?;
    Ok(theirs)
}

fn of_connect(path: &Path, source: io::Error) -> ClientError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            ClientError::NobodyThere(path)
        }
        io::ErrorKind::PermissionDenied => ClientError::NotPermitted {
            advice: socket::way_in(&path),
            path,
        },
        _ => ClientError::Refused { path, source },
    }
}

fn of_read(path: &Path, source: io::Error) -> ClientError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => ClientError::Ended(path),
        _ => ClientError::Refused { path, source },
    }
}

fn of_wire(path: &Path, error: WireError) -> ClientError {
    ClientError::Wire {
        path: path.to_owned(),
        error,
    }
}
