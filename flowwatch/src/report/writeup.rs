//! The write-up: what each device sends where, as somebody would write it down for others.
//!
//! Markdown (`CommonMark`, with GFM's tables). Texts are escaped so that none becomes markup, a link or
//! another cell.

use std::io::{self, Write};

use super::{
    MAX_DESTINATIONS, MAX_DEVICES_TOLD, Report,
    destinations::{Destination, Destinations, Kind, MAX_SERVICES, MAX_TOLD, Remote, Sums, few},
    octets_of,
};
use crate::{
    format::{
        DB_IP, conservation, count, database_with_attribution, escaped_markdown as escaped,
        grouped, heading, interface, is_unseen, losses, nothing_seen, percent, resolving_of, span,
        told_of_capture, totals, traffic,
    },
    model::FlowRecord,
    store::DeviceSummary,
};

/// Writes it.
pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let meta = &report.snapshot.meta;
    writeln!(out, "# Where the devices send their data\n")?;
    let counted = match &meta.capture {
        Some(capture) => format!("Counted in the capture {}", capture.file),
        None => "Counted".to_owned(),
    };
    let version = escaped(&meta.version);
    writeln!(
        out,
        "{} from {} by flowwatch {version}.",
        escaped(&counted),
        span(meta)
    )?;
    write_overview(report, out)?;
    let devices = report.devices();
    let (told, untold) = devices.split_at(devices.len().min(MAX_DEVICES_TOLD));
    let flows = report.snapshot.flows_by_device();
    for device in told {
        let flows = flows.get(&*device.device).map_or(&[][..], Vec::as_slice);
        write_device(report, device, flows, out)?;
    }
    if !untold.is_empty() {
        let others = count(untold.len() as u64, "other device");
        writeln!(out, "\nOf {others}, the table at the top has the sums.")?;
    }
    write_circumstances(report, out)
}

fn write_overview(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "\n| device | MAC address | flows | up octets | down octets | share of all |\n\
         | --- | --- | ---: | ---: | ---: | ---: |"
    )?;
    let whole = report.octets();
    for device in report.devices() {
        let mac = device.device_mac.map(|mac| mac.to_string());
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            escaped(&device.device),
            mac.unwrap_or_default(),
            grouped(device.flows),
            grouped(device.up.octets),
            grouped(device.down.octets),
            percent(octets_of(device), whole)
        )?;
    }
    Ok(())
}

fn write_device(
    report: &Report<'_>,
    device: &DeviceSummary,
    flows: &[&FlowRecord],
    out: &mut dyn Write,
) -> io::Result<()> {
    let heading = heading(device, |name, mac| format!("{name} ({mac})"));
    writeln!(out, "\n## {}\n", escaped(&heading))?;
    if is_unseen(device) {
        return writeln!(out, "{}", nothing_seen(&report.snapshot.meta));
    }
    let destinations = Destinations::of(flows, MAX_DESTINATIONS);
    writeln!(out, "{}", introduction(device, &destinations))?;
    write_named(device, &destinations, out)?;
    write_nameless(device, &destinations, out)?;
    if let Some((rest, sums)) = &destinations.rest {
        let rest = count(*rest as u64, "smaller destination");
        writeln!(out, "\nAnd {rest}: {}.", both_ways(sums))?;
    }
    writeln!(out)?;
    for line in totals(device).into_iter().skip(1) {
        writeln!(out, "- {}", escaped(&line))?;
    }
    let conservation = conservation(report.snapshot, device);
    let resolving = resolving_of(report.snapshot, device);
    for line in [Some(conservation), resolving].into_iter().flatten() {
        writeln!(out, "- {}", escaped(&line))?;
    }
    Ok(())
}

/// Returns what a device sent and received, when, and how much of it went to who has no name.
fn introduction(device: &DeviceSummary, destinations: &Destinations<'_>) -> String {
    let mut text = format!(
        "Sent {} and received {}, to and from {}",
        traffic(device.up.octets, device.up.packets),
        traffic(device.down.octets, device.down.packets),
        count(destinations.count as u64, "destination")
    );
    if let Some((first, last)) = destinations.sums.seen {
        text = format!("{text}, from {} to {} UTC", time(first), time(last));
    }
    let nameless = destinations.nameless.octets();
    if nameless > 0 {
        let share = percent(nameless, octets_of(device));
        text = format!("{text}. {share} of the octets are of destinations without a name");
    }
    text + ". Shares below are of this device's octets."
}

fn write_named(
    device: &DeviceSummary,
    destinations: &Destinations<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    if destinations.of_kind(Kind::Named).next().is_none() {
        return Ok(());
    }
    writeln!(
        out,
        "\n| name | known by | addresses | place and organization | ports | up octets | down octets | share | first seen | last seen |\n\
         | --- | --- | --- | --- | --- | ---: | ---: | ---: | --- | --- |"
    )?;
    for destination in destinations.of_kind(Kind::Named) {
        let others = destination.other_names.iter().map(|name| escaped(name));
        let others = few(others, MAX_TOLD).join(", ");
        let others = if others.is_empty() {
            others
        } else {
            format!(" (or {others})")
        };
        let addresses = destination.remotes.iter().map(|it| it.address.to_string());
        write!(
            out,
            "| {}{others} | {} | {} ",
            escaped(&destination.name),
            destination.source.unwrap_or_default(),
            few(addresses, MAX_TOLD).join(", "),
        )?;
        write_figures(device, destination, out)?;
    }
    Ok(())
}

fn write_nameless(
    device: &DeviceSummary,
    destinations: &Destinations<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let kinds = [
        (
            Kind::Nameless,
            "Without a name: nothing that the device asked or said leads there",
        ),
        (Kind::Local, "On the local network, or to groups"),
    ];
    for (kind, title) in kinds {
        if destinations.of_kind(kind).next().is_none() {
            continue;
        }
        writeln!(
            out,
            "\n{title}.\n\n| address | place and organization | ports | up octets | down octets | share | first seen | last seen |\n\
             | --- | --- | --- | ---: | ---: | ---: | --- | --- |"
        )?;
        for destination in destinations.of_kind(kind) {
            write!(out, "| {} ", destination.name)?;
            write_figures(device, destination, out)?;
        }
    }
    Ok(())
}

fn write_figures(
    device: &DeviceSummary,
    destination: &Destination<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let sums = &destination.sums;
    let (first, last) = sums
        .seen
        .map_or_else(Default::default, |(first, last)| (time(first), time(last)));
    writeln!(
        out,
        "| {} | {} | {} | {} | {} | {first} | {last} |",
        destination.of_each(whereabouts).join("; "),
        few(destination.services.iter().cloned(), MAX_SERVICES).join(", "),
        grouped(sums.up.octets),
        grouped(sums.down.octets),
        percent(sums.octets(), octets_of(device)),
    )
}

/// Returns where an address is and whose, as `Los Angeles, United States (FDCservers.net)`.
fn whereabouts(remote: &Remote<'_>) -> String {
    let (location, organization) = (escaped(&remote.location()), escaped(remote.organization()));
    match (location.is_empty(), organization.is_empty()) {
        (_, true) => location,
        (true, false) => organization,
        (false, false) => format!("{location} ({organization})"),
    }
}

fn both_ways(sums: &Sums) -> String {
    format!(
        "up {}, down {}",
        traffic(sums.up.octets, sums.up.packets),
        traffic(sums.down.octets, sums.down.packets)
    )
}

fn time(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn write_circumstances(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let meta = &report.snapshot.meta;
    writeln!(out, "\n## How it was counted\n")?;
    let lines = meta.interfaces.iter().map(interface);
    let lines = lines
        .chain(told_of_capture(report.snapshot))
        .chain(losses(meta));
    let octets =
        "Octets are those of IP packets, header and payload, as on the wire; times are UTC.";
    for line in lines.chain([octets.to_owned()]) {
        writeln!(out, "- {}", escaped(&line))?;
    }
    for database in &meta.databases {
        let line = escaped(&database_with_attribution(database));
        // DB-IP's licence wants its link to be one.
        writeln!(out, "- {}", line.replace(&escaped(DB_IP), DB_IP))?;
    }
    Ok(())
}
