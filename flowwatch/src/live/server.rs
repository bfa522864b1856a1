//! The server: lets views in at the socket, and writes them what they are told.
//!
//! Each connection has a task, so that one that doesn't read holds up nothing; one that takes nothing
//! for a while is let go.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use super::audience::MOST_UNDER_WAY;
use super::socket::Listening;
use super::wire::{HELLO, check_hello};
use super::{Sink, SocketError, SocketOptions, View};

/// Connections at a time.
const MOST_VIEWS: usize = 16;
/// How long a connection may take to say what it is.
const HELLO_PATIENCE: Duration = Duration::from_secs(5);
/// How long one may take no octet of what it is told.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);
/// Octets of what is written at once.
const WRITE_OCTETS: usize = 64 << 10;

/// The server.
#[derive(Debug)]
pub struct Server {
    listening: Listening,
    permits: Arc<Semaphore>,
    views: mpsc::Receiver<View>,
    /// Handed to the connections.
    arrivals: mpsc::Sender<View>,
}

impl Server {
    /// Begins to listen.
    ///
    /// # Errors
    /// All of [`SocketError`].
    pub fn begin(options: &SocketOptions) -> Result<Self, SocketError> {
        let (arrivals, views) = mpsc::channel(MOST_VIEWS);
        Ok(Self {
            listening: Listening::begin(options)?,
            permits: Arc::new(Semaphore::new(MOST_VIEWS)),
            views,
            arrivals,
        })
    }

    /// Waits for the next view. May be dropped and called again.
    pub async fn next(&mut self) -> View {
        loop {
            tokio::select! {
                Some(view) = self.views.recv() => return view,
                accepted = self.listening.listener.accept() => match accepted {
                    Ok((stream, _)) => self.let_in(stream),
                    // Without descriptors, trying again at once would take all of the processor.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
            }
        }
    }

    /// Serves a connection, unless there are too many.
    fn let_in(&self, stream: UnixStream) {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            let arrivals = self.arrivals.clone();
            tokio::spawn(async move {
                if let Err(error) = serve(stream, arrivals, permit).await {
                    log::debug!("serve a view: {error}");
                }
            });
        }
    }
}

/// Serves one connection until it ends.
async fn serve(
    mut stream: UnixStream,
    arrivals: mpsc::Sender<View>,
    _permit: OwnedSemaphorePermit,
) -> io::Result<()> {
    let interval = timeout(HELLO_PATIENCE, greet(&mut stream)).await??;
    let (sender, mut frames) = mpsc::channel(MOST_UNDER_WAY);
    let view = View::new(Sink::Frames(sender), interval);
    arrivals.send(view).await.map_err(io::Error::other)?;
    let (mut reader, mut writer) = stream.split();
    let mut nothing = [0];
    loop {
        tokio::select! {
            told = frames.recv() => match told {
                Some(frames) => write(&mut writer, &frames).await?,
                None => return Ok(()),
            },
            // A view has nothing more to say.
            _ = reader.read(&mut nothing) => return Ok(()),
        }
    }
}

/// Exchanges hellos; returns the interval that the view asks for, as milliseconds behind its own.
async fn greet(stream: &mut UnixStream) -> io::Result<Duration> {
    stream.write_all(&HELLO).await?;
    let mut hello = [0; 8];
    stream.read_exact(&mut hello).await?;
    check_hello(hello).map_err(io::Error::other)?;
    let milliseconds = stream.read_u32_le().await?;
    Ok(Duration::from_millis(milliseconds.into()))
}

async fn write(writer: &mut (impl tokio::io::AsyncWrite + Unpin), frames: &[u8]) -> io::Result<()> {
    for octets in frames.chunks(WRITE_OCTETS) {
        timeout(WRITE_PATIENCE, writer.write_all(octets)).await??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::path::PathBuf;

    use jiff::Timestamp;
    use tempfile::TempDir;

    use super::*;
    use crate::geo::Databases;
    use crate::live::{Audience, Client, ClientError, Followed, wire::WireError};
    use crate::names::NameTable;
    use crate::store::{FlowTable, Meta};

    fn server(folder: &TempDir) -> (Server, PathBuf) {
        let path = folder.path().join("live.sock");
        let options = SocketOptions {
            path: Some(path.clone()),
            group: None,
        };
        (Server::begin(&options).unwrap(), path)
    }

    /// Tells an audience of a window without flows.
    fn tell(audience: &mut Audience, epochs: u64) {
        let followed = Followed {
            devices: &[],
            flows: &mut FlowTable::new(1, NonZeroUsize::MIN),
            names: &mut NameTable::default(),
            databases: &Databases::open(&[], false).unwrap(),
        };
        let times = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        audience.tell(followed, || Meta::new(times, epochs, Vec::new(), 0));
    }

    #[tokio::test]
    async fn a_view_connects_is_told_and_hears_of_the_end() {
        let folder = TempDir::new().unwrap();
        let (mut server, path) = server(&folder);
        let connected = tokio::spawn(async move { Client::connect(&path, Duration::ZERO).await });
        let mut audience = Audience::default();
        audience.join(server.next().await);
        let mut client = connected.await.unwrap().unwrap();
        tell(&mut audience, 7);
        let update = timeout(HELLO_PATIENCE, client.next()).await.unwrap();
        assert_eq!(update.unwrap().meta.epochs, 7);
        drop(audience);
        let ended = timeout(HELLO_PATIENCE, client.next()).await.unwrap();
        assert!(matches!(ended, Err(ClientError::Ended(_))), "{ended:?}");
    }

    #[tokio::test]
    async fn what_does_not_speak_the_protocol_is_not_let_in() {
        let folder = TempDir::new().unwrap();
        let (mut server, path) = server(&folder);
        let mut stranger = UnixStream::connect(&path).await.unwrap();
        stranger.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let mut octets = Vec::new();
        tokio::select! {
            view = server.next() => panic!("{view:?}"),
            _ = stranger.read_to_end(&mut octets) => {}
        }
        assert_eq!(octets, HELLO);
    }

    #[tokio::test]
    async fn a_server_of_another_version_is_told_from_none() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("live.sock");
        let nobody = Client::connect(&path, Duration::ZERO).await;
        assert!(matches!(nobody, Err(ClientError::NobodyThere(_))));
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"fwlive\x09\x00").await.unwrap();
            let _ = stream.read(&mut [0; 99]).await;
        });
        let other = Client::connect(&path, Duration::ZERO).await.unwrap_err();
        let ClientError::Wire { error, .. } = other else {
            panic!("{other:?}")
        };
        assert_eq!(error, WireError::Version(9));
    }
}
