//! The names that an earlier run recorded: read while the counting has begun, and handed to `names` as
//! their devices are known.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::spawn_blocking;

use crate::history::{History, HistoryError, RecorderOptions, RememberedNames};
use crate::model::TaggedDevices;
use crate::names::NameTable;

/// For how long the end of a short run waits for the names.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is read, and what was read of devices that were not seen yet.
#[derive(Default)]
pub(super) struct Remembering {
    reading: Option<Receiver<Result<RememberedNames, HistoryError>>>,
    names: RememberedNames,
}

impl Remembering {
    /// Begins to read the history that is recorded in, if any, on a thread of its own.
    pub(super) fn start(recording: Option<&RecorderOptions>) -> Self {
        let Some(RecorderOptions { history, .. }) = recording else {
            return Self::default();
        };
        let (history, (sender, receiver)) = (history.clone(), channel());
        spawn_blocking(move || {
            let names = History::open(&history).and_then(|it| it.remembered(Timestamp::now()));
            // Nobody waits any more where the run is over.
            let _ = sender.send(names);
        });
        Self {
            reading: Some(receiver),
            names: RememberedNames::new(),
        }
    }

    /// Hands over what was read of devices that are known by now; a device's number is its position.
    pub(super) fn hand_over(&mut self, devices: &TaggedDevices, names: &mut NameTable) {
        self.take_up(Duration::ZERO);
        if self.names.is_empty() {
            return;
        }
        for (number, device) in (0..).zip(devices.devices()) {
            if let Some(known) = device.mac.and_then(|mac| self.names.remove(&mac)) {
                names.remember(number, known);
            }
        }
    }

    /// Likewise, when the run ends: it waits for what is still read.
    pub(super) fn hand_over_rest(&mut self, devices: &TaggedDevices, names: &mut NameTable) {
        self.take_up(PATIENCE);
        self.hand_over(devices, names);
    }

    fn take_up(&mut self, patience: Duration) {
        let Some(reading) = &self.reading else {
            return;
        };
        let Ok(read) = reading.recv_timeout(patience) else {
            return;
        };
        self.reading = None;
        match read {
            Ok(names) => self.names = names,
            Err(error) => log::warn!(
                "{error}; remotes whose names were told before flowwatch began go without"
            ),
        }
    }
}
