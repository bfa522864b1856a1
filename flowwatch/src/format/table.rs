//! The `table` format: what people read.
//!
//! One section a device: its flows, most octets first, then totals and the account of every frame;
//! below them losses and databases. Laid out for the surface: one line a flow where that fits,
//! else two.

mod columns;
pub(super) mod lines;
mod stacked;
mod wide;

use std::io::{self, Write};

use self::lines::{Style, wrapped};
use super::{
    Format, Surface, capture,
    number::grouped,
    resolving,
    statement::{self, count},
};
use crate::{
    model::FlowRecord,
    observation::Traffic,
    store::{DeviceSummary, Snapshot},
};

/// Flows of a device that are shown one by one; the rest is summed in a line. Nobody reads more on
/// a screen, and the other formats have them all.
const MAX_FLOWS_SHOWN: usize = 1_000;

/// Paragraphs are no wider than this, however wide the surface.
pub(super) const MAX_PARAGRAPH: usize = 120;

pub(super) const INDENT: &str = "  ";

/// The format, for a surface.
#[derive(Debug)]
pub(super) struct Table {
    /// What the text is shown on.
    pub(super) surface: Surface,
}

impl Format for Table {
    fn write(&self, snapshot: &Snapshot, out: &mut dyn Write) -> io::Result<()> {
        let meta = &snapshot.meta;
        self.paragraph(out, ("", Style::Plain), &statement::title(meta))?;
        for interface in &meta.interfaces {
            self.paragraph(
                out,
                (INDENT, Style::Plain),
                &statement::interface(interface),
            )?;
        }
        let told = capture::told(snapshot);
        for line in told
            .into_iter()
            .chain(statement::clock_step(meta))
            .chain(statement::warnings(meta))
        {
            self.paragraph(out, (INDENT, Style::Warning), &line)?;
        }
        let flows = snapshot.flows_by_device();
        for device in &snapshot.devices {
            writeln!(out)?;
            let flows = flows.get(&*device.device).map_or(&[][..], Vec::as_slice);
            self.device(snapshot, (device, flows), out)?;
        }
        let losses = statement::losses(meta);
        if !(losses.is_empty() && meta.databases.is_empty()) {
            writeln!(out)?;
        }
        for line in losses {
            self.paragraph(out, ("", Style::Warning), &line)?;
        }
        for database in &meta.databases {
            let line = statement::database_with_attribution(database);
            self.paragraph(out, ("", Style::Plain), &line)?;
        }
        Ok(())
    }
}

impl Table {
    fn device(
        &self,
        snapshot: &Snapshot,
        (device, flows): (&DeviceSummary, &[&FlowRecord]),
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let heading = statement::heading(device, |name, mac| format!("{name}  {mac}"));
        self.paragraph(out, ("", Style::Heading), &heading)?;
        if statement::is_unseen(device) {
            return self.paragraph(
                out,
                (INDENT, Style::Warning),
                statement::nothing_seen(&snapshot.meta),
            );
        }
        let (shown, rest) = flows.split_at(flows.len().min(MAX_FLOWS_SHOWN));
        if shown.is_empty() {
            writeln!(out, "{INDENT}no flows")?;
        } else {
            self.flows(shown, device, out)?;
        }
        if !rest.is_empty() {
            self.paragraph(out, (INDENT, Style::Plain), &not_shown(rest))?;
        }
        for line in statement::totals(device) {
            self.paragraph(out, (INDENT, Style::Plain), &line)?;
        }
        let style = |is_warning| {
            if is_warning {
                Style::Warning
            } else {
                Style::Plain
            }
        };
        self.paragraph(
            out,
            (INDENT, style(!device.conserved)),
            &statement::conservation(snapshot, device),
        )?;
        let Some(line) = resolving::of(snapshot, device) else {
            return Ok(());
        };
        let goes_round = resolving::goes_round(snapshot, device).is_some();
        self.paragraph(out, (INDENT, style(goes_round)), &line)
    }

    fn flows(
        &self,
        flows: &[&FlowRecord],
        device: &DeviceSummary,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let columns = self
            .surface
            .columns
            .map(|columns| columns.saturating_sub(INDENT.len()));
        match wide::Wide::fit(flows, device, columns) {
            Some(wide) => wide.write(self.surface.styling, out),
            None => stacked::write(flows, device, self.surface, out),
        }
    }

    fn paragraph(
        &self,
        out: &mut dyn Write,
        (indent, style): (&str, Style),
        text: &str,
    ) -> io::Result<()> {
        let columns = self
            .surface
            .columns
            .unwrap_or(MAX_PARAGRAPH)
            .min(MAX_PARAGRAPH);
        for line in wrapped(text, columns.saturating_sub(indent.len())) {
            writeln!(out, "{indent}{}", style.paint(&line, self.surface.styling))?;
        }
        Ok(())
    }
}

fn not_shown(rest: &[&FlowRecord]) -> String {
    let sum = |direction: fn(&FlowRecord) -> Traffic| {
        grouped(rest.iter().map(|record| direction(record).octets).sum())
    };
    format!(
        "… and {} with fewer octets: up {}, down {} octets together; the other formats list them \
         all.",
        count(rest.len() as u64, "flow"),
        sum(|record| record.up),
        sum(|record| record.down)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        format::{Styling, sample},
        store::DirectionSummary,
    };

    fn written(snapshot: &Snapshot, columns: Option<usize>) -> String {
        let surface = Surface {
            columns,
            styling: Styling::Plain,
        };
        let mut out = Vec::new();
        Table { surface }.write(snapshot, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_line_a_flow_is_as_written_by_hand() {
        let expected = include_str!("golden/table-wide.txt");
        assert_eq!(written(&sample::snapshot(), Some(150)), expected);
    }

    #[test]
    fn two_lines_a_flow_are_as_written_by_hand() {
        let expected = include_str!("golden/table-80.txt");
        assert_eq!(written(&sample::snapshot(), Some(80)), expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for columns in 60..220 {
            let text = written(&sample::snapshot(), Some(columns));
            let widest = text.lines().map(lines::width).max().unwrap();
            assert!(widest <= columns, "{widest} > {columns}:\n{text}");
        }
    }

    #[test]
    fn addresses_and_exact_octets_are_whole_at_every_width() {
        let snapshot = sample::snapshot();
        for columns in [
            None,
            Some(20),
            Some(60),
            Some(80),
            Some(100),
            Some(120),
            Some(200),
        ] {
            let text = written(&snapshot, columns);
            for record in &snapshot.flows {
                assert!(text.contains(&record.remote_address.to_string()), "{text}");
                assert!(text.contains(&grouped(record.up.octets)), "{text}");
            }
        }
    }

    #[test]
    fn packets_up_and_down_come_together() {
        let snapshot = sample::snapshot();
        let shown = |columns| {
            let text = written(&snapshot, Some(columns));
            ["UP PACKETS", "DOWN PACKETS"].map(|title| text.contains(title))
        };
        assert!((100..260).all(|columns| shown(columns)[0] == shown(columns)[1]));
        assert_eq!((shown(150), shown(260)), ([false; 2], [true; 2]));
    }

    #[test]
    fn a_device_that_was_not_seen_says_what_to_check() {
        let mut snapshot = sample::snapshot();
        snapshot.flows.clear();
        snapshot.devices[0].flows = 0;
        snapshot.devices[0].up = DirectionSummary::default();
        snapshot.devices[0].down = DirectionSummary::default();
        let text = written(&snapshot, Some(120));
        assert!(
            text.contains("\n  No frame of this device was seen: check"),
            "{text}"
        );
        assert!(!text.contains("Up 0 octets"), "{text}");
    }

    #[test]
    fn flows_beyond_the_limit_are_summed() {
        let mut snapshot = sample::snapshot();
        snapshot.flows = vec![snapshot.flows[0].clone(); MAX_FLOWS_SHOWN + 2];
        let text = written(&snapshot, None);
        assert!(
            text.contains("… and 2 flows with fewer octets: up 2,469,134, down 91,200 octets"),
            "{text}"
        );
    }

    #[test]
    fn colours_are_only_where_they_may_be() {
        let surface = Surface {
            columns: Some(80),
            styling: Styling::Coloured,
        };
        let mut out = Vec::new();
        Table { surface }
            .write(&sample::snapshot(), &mut out)
            .unwrap();
        assert!(String::from_utf8(out).unwrap().contains("\u{1b}[1m"));
        assert!(!written(&sample::snapshot(), Some(80)).contains('\u{1b}'));
    }
}
