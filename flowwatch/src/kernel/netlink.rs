//! Questions to the kernel over the netlink protocols that rtnetlink's crates have no types for:
//! generic netlink (ethtool, netdev) and nfnetlink.
//!
//! An answer is the payload of a message, whose attributes its reader takes apart. Answers are
//! bounded in number and in time.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use futures_util::StreamExt as _;
use rtnetlink::packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, NetlinkSerializable, NlasIterator,
};
use rtnetlink::proto;
use rtnetlink::sys::SocketAddr;
use rtnetlink::sys::protocols::NETLINK_GENERIC;

/// Answers to one question that are kept.
const MOST_ANSWERS: usize = 4096;
/// How long the kernel has for its answers.
const PATIENCE: Duration = Duration::from_secs(5);

/// Octets of a generic netlink header: command, version, two reserved
/// (include/uapi/linux/genetlink.h).
const GENERIC_HEADER: usize = 4;
/// Octets of an attribute's header: length, kind.
const ATTRIBUTE_HEADER: usize = 4;
/// The family that knows the others' numbers, its question, and two of its attributes.
const CONTROL: u16 = 0x10;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

/// A message less its netlink header.
#[derive(Debug)]
pub(super) struct Message {
    /// The netlink message's type.
    pub(super) kind: u16,
    /// The payload.
    pub(super) octets: Vec<u8>,
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.octets.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        // As long as `buffer_len` says.
        for (place, octet) in buffer.iter_mut().zip(&self.octets) {
            *place = *octet;
        }
    }
}

impl NetlinkDeserializable for Message {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Infallible> {
        Ok(Self {
            kind: header.message_type,
            octets: payload.to_vec(),
        })
    }
}

/// Asks, and returns the payload of each answer: of one, or, of a dump, of all.
///
/// # Errors
/// The socket's error, and the kernel's answer where it is one.
pub(super) async fn ask(
    protocol: isize,
    question: Message,
    is_dump: bool,
) -> io::Result<Vec<Vec<u8>>> {
    let (connection, handle, _) = proto::new_connection::<Message>(protocol)?;
    let connection = tokio::spawn(connection);
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | if is_dump { NLM_F_DUMP } else { 0 };
    let message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(question));
    let answers = handle.request(message, SocketAddr::new(0, 0));
    let answers = answers.map_err(io::Error::other)?;
    let outcome = tokio::time::timeout(PATIENCE, collected(answers)).await;
    connection.abort();
    outcome.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn collected(
    mut answers: impl futures_util::Stream<Item = NetlinkMessage<Message>> + Unpin,
) -> io::Result<Vec<Vec<u8>>> {
    let mut payloads = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer.payload {
            NetlinkPayload::InnerMessage(message) if payloads.len() < MOST_ANSWERS => {
                payloads.push(message.octets);
            }
            NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
            _ => {}
        }
    }
    Ok(payloads)
}

/// Asks a family of generic netlink one question, and returns the answer's attributes.
///
/// # Errors
/// As [`ask`]; `NotFound` where the kernel has no such family.
pub(super) async fn ask_family(
    family: &str,
    command: u8,
    attributes: &[u8],
) -> io::Result<Vec<u8>> {
    let kind = family_number(family).await?;
    generic(kind, command, attributes).await
}

async fn family_number(family: &str) -> io::Result<u16> {
    let name = [family.as_bytes(), &[0]].concat();
    let answer = generic(CONTROL, GET_FAMILY, &attribute(FAMILY_NAME, &name)).await?;
    let number = attributes(&answer).find_map(|(kind, value)| {
        let number = u16::from_ne_bytes(value.try_into().ok()?);
        (kind == FAMILY_ID).then_some(number)
    });
    number.ok_or_else(|| io::ErrorKind::NotFound.into())
}

async fn generic(kind: u16, command: u8, attributes: &[u8]) -> io::Result<Vec<u8>> {
    let octets = [&[command, 1, 0, 0], attributes].concat();
    let answers = ask(NETLINK_GENERIC, Message { kind, octets }, false).await?;
    let answer = answers.into_iter().next().unwrap_or_default();
    Ok(answer.get(GENERIC_HEADER..).unwrap_or_default().to_vec())
}

/// Returns an attribute with its header, padded to four octets (`struct nlattr`).
pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = (ATTRIBUTE_HEADER + value.len()) as u16;
    let mut octets = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    octets.extend(value);
    octets.resize(octets.len().next_multiple_of(4), 0);
    octets
}

/// Returns the attributes in some octets, by their kinds less flags, up to the first that is cut.
pub(super) fn attributes(octets: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let attributes = NlasIterator::new(octets).map_while(Result::ok);
    attributes.filter_map(|attribute| {
        let (kind, length) = (attribute.kind(), usize::from(attribute.length()));
        Some((kind, attribute.into_inner().get(ATTRIBUTE_HEADER..length)?))
    })
}

/// Returns the first attribute of a kind.
pub(super) fn find(octets: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(octets).find_map(|(other, value)| (other == kind).then_some(value))
}

/// Returns an attribute's text, which a zero ends.
pub(super) fn text_of(value: &[u8]) -> String {
    let end = value.iter().position(|octet| *octet == 0);
    String::from_utf8_lossy(&value[..end.unwrap_or(value.len())]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_up_to_the_one_that_is_cut() {
        let mut octets = [attribute(1, b"lan0\0"), attribute(0x8002, &[7, 0, 0, 0])].concat();
        assert_eq!(octets.len(), 12 + 8);
        octets.extend([200, 0, 3, 0]);
        let read: Vec<_> = attributes(&octets).collect();
        assert_eq!(read, [(1, &b"lan0\0"[..]), (2, &[7, 0, 0, 0])]);
        assert_eq!(find(&octets, 2), Some(&[7, 0, 0, 0][..]));
        assert_eq!(find(&octets, 3), None);
        assert_eq!(text_of(b"lan0\0rest"), "lan0");
        assert_eq!(text_of(b"lan0"), "lan0");
    }

    #[tokio::test]
    async fn a_family_that_the_kernel_does_not_have_is_not_found() {
        let error = ask_family("no such family", 1, &[]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
