//! A daemon that is followed: what it tells, and where it goes, the wait until it is back.

use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, sleep};

use super::{Client, ClientError, Told, Update};

/// Time between two tries to connect again.
const RETRY: Duration = Duration::from_secs(1);
/// Time without an update after which that is told.
const SILENCE: Duration = Duration::from_secs(10);

/// Where a daemon is asked, and how often it is to tell.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its socket.
    pub path: &'a Path,
    /// Time between two updates.
    pub interval: Duration,
}

/// Tells what a daemon tells; connects again when it went, as often as it takes. Ends when nobody
/// listens any more.
pub async fn follow(mut client: Client, asked: Asked<'_>, tell: mpsc::Sender<Told>) {
    loop {
        let Some(error) = pass_on(&mut client, &tell).await else {
            return;
        };
        match error {
            ClientError::Ended(_) => log::info!("{error}"),
            _ => log::warn!("{:#}", anyhow::Error::from(error)),
        }
        let gone = Told::Waiting("DAEMON GONE, waiting for it".to_owned());
        if tell.send(gone).await.is_err() {
            return;
        }
        tokio::select! {
            again = reconnect(asked) => client = again,
            () = tell.closed() => return,
        }
        if tell.send(Told::Anew).await.is_err() {
            return;
        }
    }
}

/// Tells what comes until it ends; returns why it did, or nothing when nobody listens any more.
async fn pass_on(client: &mut Client, tell: &mpsc::Sender<Told>) -> Option<ClientError> {
    loop {
        let update = tokio::select! {
            next = next(client, tell, SILENCE) => match next {
                Ok(update) => update,
                Err(error) => return Some(error),
            },
            () = tell.closed() => return None,
        };
        let told = Told::Update(Box::new(update));
        tell.send(told).await.ok()?;
    }
}

/// Waits for the next update, and tells after a while that there is none: one that hangs says nothing.
async fn next(
    client: &mut Client,
    tell: &mpsc::Sender<Told>,
    silence: Duration,
) -> Result<Update, ClientError> {
    let since = Instant::now();
    let mut looks = interval_at(since + silence, RETRY);
    let next = client.next();
    tokio::pin!(next);
    loop {
        tokio::select! {
            update = &mut next => return update,
            now = looks.tick() => {
                let seconds = now.duration_since(since).as_secs();
                // A screen that can't be drawn on now is told later.
                let _ = tell.try_send(Told::Waiting(format!("NO NEWS for {seconds} s")));
            }
        }
    }
}

/// Connects again; what is in the way, and isn't that nobody is there, is said once.
async fn reconnect(asked: Asked<'_>) -> Client {
    let mut said = String::new();
    loop {
        sleep(RETRY).await;
        match Client::connect(asked.path, asked.interval).await {
            Ok(client) => return client,
            Err(ClientError::NobodyThere(_)) => {}
            Err(error) => {
                let text = format!("{:#}", anyhow::Error::from(error));
                if text != said {
                    log::warn!("{text}");
                    said = text;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::num::NonZeroUsize;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use jiff::Timestamp;
    use tempfile::TempDir;
    use tokio::time::timeout;

    use super::super::wire::HELLO;
    use super::super::{Audience, Followed, Server, SocketOptions};
    use super::*;
    use crate::geo::Databases;
    use crate::names::NameTable;
    use crate::store::{FlowTable, Meta};

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Follows whoever listens at `path`.
    fn followed(client: Client, path: PathBuf) -> mpsc::Receiver<Told> {
        let (tell, told) = mpsc::channel(1);
        tokio::spawn(async move {
            let asked = Asked {
                path: &path,
                interval: Duration::ZERO,
            };
            follow(client, asked, tell).await;
        });
        told
    }

    async fn hear(told: &mut mpsc::Receiver<Told>) -> Told {
        timeout(PATIENCE, told.recv()).await.unwrap().unwrap()
    }

    /// A daemon that has told of so many epochs.
    async fn daemon(path: &Path, epochs: u64) -> Audience {
        let options = SocketOptions {
            path: Some(path.to_owned()),
            group: None,
        };
        let mut server = Server::begin(&options).unwrap();
        let mut audience = Audience::default();
        audience.join(server.next().await);
        let followed = Followed {
            devices: &[],
            flows: &mut FlowTable::new(1, NonZeroUsize::MIN),
            names: &mut NameTable::default(),
            databases: &Databases::open(&[], false).unwrap(),
        };
        let times = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        audience.tell(followed, || Meta::new(times, epochs, Vec::new(), 0));
        audience
    }

    fn epochs(told: &Told) -> Option<u64> {
        match told {
            Told::Update(update) => Some(update.meta.epochs),
            _ => None,
        }
    }

    #[tokio::test]
    async fn a_daemon_that_went_is_missed_and_joined_again_when_it_is_back() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("live.sock");
        let connecting = async {
            loop {
                if let Ok(client) = Client::connect(&path, Duration::ZERO).await {
                    return client;
                }
                tokio::task::yield_now().await;
            }
        };
        let (first, client) = tokio::join!(daemon(&path, 7), connecting);
        let mut told = followed(client, path.clone());
        assert_eq!(epochs(&hear(&mut told).await), Some(7));
        drop(first);
        assert!(matches!(hear(&mut told).await, Told::Waiting(why) if why.contains("GONE")));
        let second = timeout(PATIENCE, daemon(&path, 1)).await.unwrap();
        assert!(matches!(hear(&mut told).await, Told::Anew));
        assert_eq!(epochs(&hear(&mut told).await), Some(1));
        drop(second);
    }

    #[tokio::test]
    async fn one_that_says_nothing_is_told_of() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("live.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let dumb = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(&HELLO).unwrap();
            stream
        });
        let mut client = Client::connect(&path, Duration::ZERO).await.unwrap();
        let stream = dumb.join().unwrap();
        let (tell, mut told) = mpsc::channel(1);
        let silence = Duration::from_millis(5);
        tokio::select! {
            update = next(&mut client, &tell, silence) => panic!("{update:?}"),
            heard = hear(&mut told) => {
                assert!(matches!(heard, Told::Waiting(why) if why.starts_with("NO NEWS for ")));
            }
        }
        drop(stream);
    }
}
