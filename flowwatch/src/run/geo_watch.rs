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

impl GeoWatch {
    /// Looks, and returns what to warn of.
    pub(crate) async fn look(&mut self, databases: &mut Databases) -> Vec<String> {
        match self.opening.take() {
            Some(opening) if !opening.is_finished() => {
                self.opening = Some(opening);
                Vec::new()
            }
            Some(opening) => {
                let opened = opening.await.unwrap_or_default();
                let taken_up = opened.into_iter().filter_map(|it| databases.take_up(it));
                taken_up.filter_map(told).collect()
            }
            None => {
                let changed = databases.changed();
                if !changed.is_empty() {
                    let open = move || changed.into_iter().map(ChangedFile::open).collect();
                    self.opening = Some(spawn_blocking(open));
                }
                Vec::new()
            }
        }
    }
}

/// Tells of a file that was taken up, and returns what to warn of one that was not.
fn told(taken_up: Result<PathBuf, GeoError>) -> Option<String> {
    match taken_up {
        Ok(file) => {
            tell(&format!(
                "took up the new geo database `{}`",
                file.display()
            ));
            None
        }
        Err(error) => Some(format!("{error}; the old one stays in use")),
    }
}
