//! Where a capture's octets come from: a file, or a pipe whose next octets may be long in coming.
//!
//! Ctrl-C ends the reading as the end of the file does. A file is read where it is used; a pipe by a
//! thread of its own, so that a signal is answered while nothing comes.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::Context as _;

use crate::stop::Stop;

/// Octets that are read from a pipe at a time: what a pipe holds.
const PIECE: usize = 64 << 10;
/// Pieces that wait to be counted.
const PIECES: usize = 4;

/// Why a capture can't be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    /// It is not there, or may not be read.
    #[error("open the capture `{path}`")]
    Open {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is a folder.
    #[error("open the capture `{0}`: it is a folder; name a file in it")]
    Folder(String),
    /// Standard input is where the user types.
    #[error(
        "read a capture from standard input: it is a terminal; pipe one to it: tcpdump -w - | \
         flowwatch replay -"
    )]
    Terminal,
}

/// A capture's octets.
pub(super) struct Input {
    source: Source,
    stopped: Arc<AtomicBool>,
    /// The file's octets, where they are known.
    pub(super) size: Option<u64>,
}

enum Source {
    File(File),
    Pipe {
        pieces: Receiver<Piece>,
        /// The one that is being counted.
        octets: io::Cursor<Vec<u8>>,
        is_at_end: bool,
    },
}

/// What a thread has to tell who counts.
enum Piece {
    Octets(Vec<u8>),
    Failed(io::Error),
    End,
}

impl Input {
    /// Opens the capture that `path` names; `-` is standard input.
    ///
    /// # Errors
    /// `InputError`, and that signals can't be listened to.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = if is_stdin(path) {
            stdin()?
        } else {
            named(path)?
        };
        let metadata = file.metadata().context("look at the capture")?;
        let stopped = Arc::new(AtomicBool::new(false));
        if metadata.is_file() {
            end_on_signal(&stopped, None)?;
            return Ok(Self {
                source: Source::File(file),
                stopped,
                size: Some(metadata.len()),
            });
        }
        let (sender, pieces) = sync_channel(PIECES);
        end_on_signal(&stopped, Some(sender.clone()))?;
        thread::spawn(move || pass_on(file, &sender));
        Ok(Self {
            source: Source::Pipe {
                pieces,
                octets: io::Cursor::default(),
                is_at_end: false,
            },
            stopped,
            size: None,
        })
    }

    /// Returns what says whether a signal ended the reading.
    pub(super) fn stopped(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stopped)
    }
}

/// Returns the name of a capture, for people.
pub(super) fn name_of(path: &Path) -> String {
    if is_stdin(path) {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn stdin() -> anyhow::Result<File> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(InputError::Terminal.into());
    }
    let descriptor = stdin.as_fd().try_clone_to_owned();
    Ok(descriptor.context("read standard input")?.into())
}

fn named(path: &Path) -> Result<File, InputError> {
    if path.is_dir() {
        return Err(InputError::Folder(path.display().to_string()));
    }
    File::open(path).map_err(|source| InputError::Open {
        path: path.display().to_string(),
        source,
    })
}

/// Has a signal end the reading, from now on.
fn end_on_signal(
    stopped: &Arc<AtomicBool>,
    pieces: Option<SyncSender<Piece>>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the event loop")?;
    let mut stop = {
        let _context = runtime.enter();
        Stop::listen()?
    };
    let stopped = Arc::clone(stopped);
    thread::spawn(move || {
        runtime.block_on(stop.requested());
        stopped.store(true, Ordering::Relaxed);
        if let Some(pieces) = pieces {
            // Who counts may have ended already.
            let _ = pieces.send(Piece::End);
        }
    });
    Ok(())
}

/// Reads a pipe to its end, for who counts.
fn pass_on(mut pipe: File, pieces: &SyncSender<Piece>) {
    loop {
        let mut octets = vec![0; PIECE];
        let piece = match pipe.read(&mut octets) {
            Ok(0) => Piece::End,
            Ok(count) => {
                octets.truncate(count);
                Piece::Octets(octets)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Piece::Failed(error),
        };
        let is_last = !matches!(piece, Piece::Octets(_));
        if pieces.send(piece).is_err() || is_last {
            return;
        }
    }
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.source {
            Source::File(_) if self.stopped.load(Ordering::Relaxed) => Ok(0),
            Source::File(file) => file.read(into),
            Source::Pipe {
                is_at_end: true, ..
            } => Ok(0),
            Source::Pipe {
                pieces,
                octets,
                is_at_end,
            } => {
                if octets.position() == octets.get_ref().len() as u64 {
                    // What came before a signal is counted.
                    match pieces.recv() {
                        Ok(Piece::Octets(piece)) => *octets = io::Cursor::new(piece),
                        Ok(Piece::Failed(error)) => return Err(error),
                        Ok(Piece::End) | Err(_) => *is_at_end = true,
                    }
                }
                if *is_at_end { Ok(0) } else { octets.read(into) }
            }
        }
    }
}
