//! Databases of places that are replaced on disk: looked for now and then, opened on a thread of their
//! own, and taken up at the next look.

use std::path::PathBuf;

use tokio::task::{JoinHandle, spawn_blocking};

use crate::console::tell;
use crate::geo::{ChangedFile, Databases, GeoError, OpenedFile};

/// What is being opened.
#[derive(Default)]
pub(crate) struct GeoWatch {
    opening: Option<JoinHandle<Vec<OpenedFile>>>,
}

/// What became of files that were replaced, in sentences.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct GeoNews {
    told: Vec<String>,
    warnings: Vec<String>,
}

impl GeoWatch {
    /// Looks, and returns what is new.
    pub(crate) async fn look(&mut self, databases: &mut Databases) -> GeoNews {
        let mut news = GeoNews::default();
        match self.opening.take() {
            Some(opening) if !opening.is_finished() => self.opening = Some(opening),
            Some(opening) => {
                let opened = opening.await.unwrap_or_default();
                let taken_up = opened.into_iter().filter_map(|it| databases.take_up(it));
                taken_up.for_each(|it| news.add(it));
            }
            None => {
                let changed = databases.changed();
                if !changed.is_empty() {
                    let open = move || changed.into_iter().map(ChangedFile::open).collect();
                    self.opening = Some(spawn_blocking(open));
                }
            }
        }
        news
    }
}

impl GeoNews {
    /// Tells what was taken up, and returns what to warn of.
    pub(crate) fn tell(self) -> Vec<String> {
        self.told.iter().for_each(|it| tell(it));
        self.warnings
    }

    fn add(&mut self, taken_up: Result<PathBuf, GeoError>) {
        match taken_up {
            Ok(file) => self
                .told
                .push(format!("took up the new geo database `{}`", file.display())),
            Err(error) => self
                .warnings
                .push(format!("{error}; the old one stays in use")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::path::Path;
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::geo::test_database::{self, IpVersion};

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(52, 79, 197, 188));

    /// Puts a database there as updaters do: under another name first.
    fn put(path: &Path, code: &str) {
        let networks = [("52.0.0.0/8", json!({ "country_code": code }))];
        let new = path.with_extension("new");
        std::fs::write(&new, test_database::octets(IpVersion::V4, &networks)).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    fn country(databases: &Databases) -> Option<String> {
        let country = databases.place_of(ADDRESS).country;
        country.map(|country| country.to_string())
    }

    /// Occupies the runtime's only thread for what takes long, until told.
    fn occupy() -> Sender<()> {
        let (free, freed) = channel();
        spawn_blocking(move || freed.recv());
        free
    }

    /// A database that takes for ever to open holds up no look, and so no drain.
    #[test]
    fn looks_do_not_wait_for_a_database_that_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mmdb");
        put(&path, "KR");
        let mut databases = Databases::open(std::slice::from_ref(&path), false).unwrap();
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().max_blocking_threads(1).build();
        runtime.unwrap().block_on(async {
            let free = occupy();
            let mut watch = GeoWatch::default();
            put(&path, "US");
            for _ in 0..9 {
                assert_eq!(watch.look(&mut databases).await, GeoNews::default());
            }
            assert!(watch.opening.is_some(), "it is not noticed");
            assert_eq!(country(&databases).as_deref(), Some("KR"));
            free.send(()).unwrap();
            let opened = async {
                loop {
                    let news = watch.look(&mut databases).await;
                    if news != GeoNews::default() {
                        break news;
                    }
                    tokio::task::yield_now().await;
                }
            };
            let opened = tokio::time::timeout(Duration::from_mins(1), opened).await;
            let news = opened.expect("it is opened once there is a thread");
            let told = format!("took up the new geo database `{}`", path.display());
            assert_eq!((&news.told[..], &news.warnings[..]), (&[told][..], &[][..]));
            assert_eq!(country(&databases).as_deref(), Some("US"));
        });
    }
}
