//! Where lines go: standard output, a file, or whoever listens at a TCP or Unix socket.

mod file;
mod rotation;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

pub(super) use self::file::{LineFile, Rotation};
use self::rotation::rotation_of;
pub(super) use self::rotation::{check_files, check_size};
use super::stream::{Address, PeerStream};
use super::{
    Batch, Deliver, DeliveryError, ExportError, Given, Row, Sink, Target, TargetError, Wiring,
    Work, deliver_deltas,
};

/// How a row becomes a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoding {
    /// Returns what comes before the first line of a file or a connection.
    pub(super) head: fn() -> Vec<u8>,
    /// Appends a row's line.
    pub(super) line: fn(&Row, &Batch, &mut Vec<u8>) -> io::Result<()>,
}

/// Where lines are to go, and how they are written.
#[derive(Clone, Debug)]
pub(super) struct LineTarget {
    text: String,
    place: Place,
    rotation: Rotation,
    encoding: Encoding,
}

#[derive(Clone, Debug)]
enum Place {
    Stdout,
    File(PathBuf),
    Stream(Address),
}

impl LineTarget {
    /// Reads a place: `-`, `tcp://HOST:PORT`, `unix:PATH`, or a file's path.
    pub(super) fn parse(
        given: &Given<'_>,
        encoding: Encoding,
        [rotate, files]: [&str; 2],
    ) -> Result<Arc<dyn Target>, TargetError> {
        let text = given.target;
        let place = if text == "-" {
            Place::Stdout
        } else if let Some(address) = Address::parse(given)? {
            Place::Stream(address)
        } else if text.is_empty() || text.contains("://") {
            return Err(TargetError::new(
                text,
                "is no place for lines; write a file's path, -, tcp://HOST:PORT or unix:PATH",
            ));
        } else {
            Place::File(given.folder.join(text))
        };
        let setting = |name| given.settings.get(name).map(String::as_str);
        Ok(Arc::new(Self {
            text: text.to_owned(),
            place,
            rotation: rotation_of(setting(rotate), setting(files))?,
            encoding,
        }))
    }
}

impl Target for LineTarget {
    fn open(&self) -> Result<Box<dyn Sink>, ExportError> {
        let outlet = match &self.place {
            Place::Stdout => Outlet::Stdout { is_begun: false },
            Place::File(path) => {
                Outlet::File(LineFile::open(path, self.rotation).map_err(|source| {
                    ExportError::Open {
                        target: self.text.clone(),
                        attempt: "open the file",
                        source,
                    }
                })?)
            }
            Place::Stream(address) => Outlet::Stream(PeerStream::new(address.clone())),
        };
        Ok(Box::new(LineSink {
            outlet,
            encoding: self.encoding,
        }))
    }

    fn takes_stdout(&self) -> bool {
        matches!(self.place, Place::Stdout)
    }
}

/// Writes lines.
struct LineSink {
    outlet: Outlet,
    encoding: Encoding,
}

enum Outlet {
    Stdout { is_begun: bool },
    File(LineFile),
    Stream(PeerStream),
}

impl Sink for LineSink {
    fn work(self: Box<Self>, wiring: Wiring) -> Work {
        Box::pin(deliver_deltas(wiring, *self))
    }
}

impl Deliver for LineSink {
    async fn deliver(&mut self, batch: &Batch) -> Result<u64, DeliveryError> {
        let mut lines = Vec::new();
        for row in &batch.rows {
            (self.encoding.line)(row, batch, &mut lines)
                .map_err(DeliveryError::of("write a line"))?;
        }
        let head = (self.encoding.head)();
        match &mut self.outlet {
            Outlet::Stdout { is_begun } => {
                if !*is_begun {
                    lines.splice(..0, head);
                }
                write_stdout(&lines).map_err(DeliveryError::of("write to standard output"))?;
                *is_begun = true;
            }
            Outlet::File(file) => file
                .append(&head, &lines)
                .map_err(DeliveryError::of("write to the file"))?,
            Outlet::Stream(stream) => {
                if stream.ready().await? {
                    lines.splice(..0, head);
                }
                stream.send(&lines).await?;
            }
        }
        Ok(lines.len() as u64)
    }

    async fn close(&mut self) {
        if let Outlet::Stream(stream) = &mut self.outlet {
            stream.close().await;
        }
    }
}

/// Writes to standard output. A reader that takes nothing blocks the sink's own thread alone.
fn write_stdout(lines: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(lines)?;
    out.flush()
}
