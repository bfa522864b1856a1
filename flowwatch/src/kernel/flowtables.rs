//! nftables' flowtables: connections that go round the rest of the kernel, or round all of it.
//!
//! From nfnetlink (`include/uapi/linux/netfilter/nf_tables.h`), which asks for `CAP_NET_ADMIN`.

use std::io;

use rtnetlink::sys::protocols::NETLINK_NETFILTER;

use super::netlink::{Message, ask, attributes, find, text_of};

/// `NFNL_SUBSYS_NFTABLES` and `NFT_MSG_GETFLOWTABLE`, 10 and 23.
const GET_FLOWTABLE: u16 = 0x0a17;
/// Octets of `struct nfgenmsg`: family, version, resource.
const HEADER: usize = 4;
/// `NFTA_FLOWTABLE_*`.
const TABLE: u16 = 1;
const NAME: u16 = 2;
const HOOK: u16 = 3;
const FLAGS: u16 = 7;
/// `NFTA_FLOWTABLE_HOOK_DEVS`, and within it `NFTA_DEVICE_NAME`.
const HOOK_INTERFACES: u16 = 3;
const INTERFACE_NAME: u16 = 1;
/// `NFT_FLOWTABLE_HW_OFFLOAD`.
const HARDWARE: u32 = 1;

/// A flowtable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flowtable {
    /// The table that it is in.
    pub table: String,
    /// Its name.
    pub name: String,
    /// The interfaces whose connections it takes.
    pub interfaces: Vec<String>,
    /// Whether cards may forward them, so that no software sees them.
    pub is_hardware: bool,
}

/// Lists the flowtables of this network namespace.
///
/// # Errors
/// The socket's, and the kernel's.
pub async fn list() -> io::Result<Vec<Flowtable>> {
    let question = Message {
        kind: GET_FLOWTABLE,
        octets: vec![0; HEADER],
    };
    let answers = ask(NETLINK_NETFILTER, question, true).await?;
    let answers = answers.iter().filter_map(|answer| answer.get(HEADER..));
    Ok(answers.map(flowtable_of).collect())
}

fn flowtable_of(octets: &[u8]) -> Flowtable {
    let text = |kind| find(octets, kind).map(text_of).unwrap_or_default();
    let hook = find(octets, HOOK).unwrap_or_default();
    let names = attributes(find(hook, HOOK_INTERFACES).unwrap_or_default());
    let names = names.filter(|(kind, _)| *kind == INTERFACE_NAME);
    // nfnetlink's numbers are in network order.
    let flags = find(octets, FLAGS).and_then(|value| value.try_into().ok());
    Flowtable {
        table: text(TABLE),
        name: text(NAME),
        interfaces: names.map(|(_, name)| text_of(name)).collect(),
        is_hardware: flags.is_some_and(|flags| u32::from_be_bytes(flags) & HARDWARE != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::netlink::attribute;
    use super::*;

    #[test]
    fn a_flowtable_is_read_with_its_interfaces_and_its_flag() {
        let names = [
            attribute(INTERFACE_NAME, b"lan0\0"),
            attribute(INTERFACE_NAME, b"wan0\0"),
        ];
        let hook = [
            attribute(1, &[0, 0, 0, 0]),
            attribute(HOOK_INTERFACES | 0x8000, &names.concat()),
        ];
        let mut octets = [
            attribute(TABLE, b"fw4\0"),
            attribute(NAME, b"ft\0"),
            attribute(HOOK | 0x8000, &hook.concat()),
        ]
        .concat();
        let soft = Flowtable {
            table: "fw4".into(),
            name: "ft".into(),
            interfaces: vec!["lan0".into(), "wan0".into()],
            is_hardware: false,
        };
        assert_eq!(flowtable_of(&octets), soft);
        octets.extend(attribute(FLAGS, &[0, 0, 0, 3]));
        assert!(flowtable_of(&octets).is_hardware);
        assert_eq!(flowtable_of(&[]), Flowtable::default());
    }
}
