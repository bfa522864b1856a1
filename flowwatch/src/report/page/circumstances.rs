//! How it was counted: interfaces, losses, databases, and what the map is from.

use super::markup::Markup;
use crate::{
    format::{DB_IP, database_with_attribution, interface, losses, told_of_capture},
    store::Snapshot,
};

/// Writes it.
pub(super) fn write(snapshot: &Snapshot, page: &mut Markup) {
    let meta = &snapshot.meta;
    page.leaf("h2", &[], "How it was counted");
    page.element("ul", &[], |page| {
        let lines = meta.interfaces.iter().map(interface);
        for line in lines.chain(told_of_capture(snapshot)).chain(losses(meta)) {
            page.leaf("li", &[], &line);
        }
        for database in &meta.databases {
            let line = database_with_attribution(database);
            page.element("li", &[], |page| linked(&line, page));
        }
        let own = [
            "Octets are those of IP packets, header and payload, as on the wire; times are UTC.",
            "Countries are those of addresses, by the databases' opinion. The map: Natural Earth, in \
             the public domain; borders are drawn as they are de facto.",
        ];
        for line in own {
            page.leaf("li", &[], line);
        }
        let version = format!("flowwatch {}", meta.version);
        page.leaf("li", &[], &version);
    });
}

/// Writes a line in which the one address that a licence wants to be a link is one.
fn linked(line: &str, page: &mut Markup) {
    let Some((before, behind)) = line.split_once(DB_IP) else {
        page.text(line);
        return;
    };
    page.text(before);
    page.leaf(
        "a",
        &[("href", DB_IP), ("rel", "noopener noreferrer")],
        DB_IP,
    );
    page.text(behind);
}
