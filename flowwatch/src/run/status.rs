//! The one-line status on a terminal, while flowwatch counts.

use jiff::{SignedDuration, Timestamp};

use crate::console;
use crate::observation::{DeviceId, Traffic};
use crate::store::{BothWays, FlowTable};

/// The line, and what it compares with to show rates.
pub(crate) struct StatusLine {
    is_shown: bool,
    started_at: Timestamp,
    last: Option<(Timestamp, BothWays)>,
}

/// What the line says beside what the window knows.
pub(crate) struct StatusFigures {
    /// The time of the reading.
    pub(crate) at: Timestamp,
    /// Devices watched.
    pub(crate) devices: usize,
    /// Samples that found no room.
    pub(crate) samples_dropped: u64,
}

impl StatusLine {
    /// Returns a line that shows itself when standard error is a terminal.
    pub(crate) fn new(started_at: Timestamp) -> Self {
        Self {
            is_shown: console::has_status_line(),
            started_at,
            last: None,
        }
    }

    /// Has the line shown no more: something else has the terminal.
    pub(crate) fn hide(&mut self) {
        self.is_shown = false;
    }

    /// Moves every time, as the clock was set.
    pub(crate) fn shift(&mut self, by: SignedDuration) {
        let shifted = |at: Timestamp| at.checked_add(by).unwrap_or(at);
        self.started_at = shifted(self.started_at);
        self.last = self.last.map(|(at, traffic)| (shifted(at), traffic));
    }

    /// Shows what has been counted.
    pub(crate) fn show(&mut self, table: &FlowTable, figures: &StatusFigures) {
        if self.is_shown {
            console::show_parts(&self.parts(table, figures));
        }
    }

    /// Returns what there is to say, in one line.
    pub(crate) fn text(&mut self, table: &FlowTable, figures: &StatusFigures) -> String {
        self.parts(table, figures).join(" · ")
    }

    /// Returns what there is to say, the most important first.
    fn parts(&mut self, table: &FlowTable, figures: &StatusFigures) -> [String; 6] {
        let traffic = table.traffic();
        let (since, before) = self.last.unwrap_or((self.started_at, BothWays::default()));
        let seconds = figures.at.duration_since(since).as_secs_f64().max(0.001);
        self.last = Some((figures.at, traffic));
        let (unaccounted, lost) = gaps(table, figures);
        [
            elapsed(figures.at, self.started_at),
            format!("up {}", rate(traffic.up, before.up, seconds)),
            format!("down {}", rate(traffic.down, before.down, seconds)),
            format!("unaccounted {unaccounted}"),
            format!("lost {lost}"),
            format!("flows {}", table.len()),
        ]
    }
}

/// Returns the frames in no flow, and what found no room.
fn gaps(table: &FlowTable, figures: &StatusFigures) -> (u64, u64) {
    let mut unaccounted = 0;
    let mut lost = figures.samples_dropped;
    for device in 0..figures.devices as DeviceId {
        let window = table.device(device);
        for totals in [&window.totals.up, &window.totals.down] {
            unaccounted += totals
                .unaccounted
                .iter()
                .map(|frames| frames.frames)
                .sum::<u64>();
            lost += totals.overflow.packets;
        }
        lost += window.overflow.up.packets + window.overflow.down.packets;
    }
    (unaccounted, lost)
}

/// Returns the time since the start as a clock shows it: hours, minutes, seconds.
fn elapsed(at: Timestamp, started_at: Timestamp) -> String {
    let seconds = u64::try_from(at.duration_since(started_at).as_secs()).unwrap_or(0);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hours}:{minutes:02}:{seconds:02}")
}

/// Returns a rate in bits a second, as links are measured.
#[expect(clippy::cast_precision_loss, reason = "a rate for the eye")]
fn rate(now: Traffic, before: Traffic, seconds: f64) -> String {
    let bits = now.octets.saturating_sub(before.octets) as f64 * 8.0 / seconds;
    let (scaled, unit) = match bits {
        ..1e3 => (bits, "bit/s"),
        ..1e6 => (bits / 1e3, "kbit/s"),
        ..1e9 => (bits / 1e6, "Mbit/s"),
        _ => (bits / 1e9, "Gbit/s"),
    };
    format!("{scaled:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_in_bits_with_decimal_prefixes() {
        let traffic = |octets| Traffic { packets: 0, octets };
        assert_eq!(rate(traffic(125), traffic(0), 1.0), "1.0 kbit/s");
        assert_eq!(rate(traffic(250_000_100), traffic(100), 2.0), "1.0 Gbit/s");
        assert_eq!(
            rate(traffic(0), traffic(9), 1.0),
            "0.0 bit/s",
            "never negative"
        );
    }

    #[test]
    fn elapsed_time_reads_as_on_a_clock() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(elapsed(at(59), at(0)), "0:00:59");
        assert_eq!(elapsed(at(61), at(0)), "0:01:01");
        assert_eq!(elapsed(at(90_061), at(0)), "25:01:01");
        assert_eq!(
            elapsed(at(0), at(9)),
            "0:00:00",
            "a clock that was set back"
        );
    }
}
