//! Answers written by hand, honest or lying, for a `ScriptedServer` to give (RFC 1035 §4), and the
//! questions whose names no resolver would send.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::namespace::Namespace;

/// Octets of a message's header.
pub const HEADER: usize = 12;
/// A pointer to the question's name.
pub const QUESTION_NAME: [u8; 2] = [0xc0, HEADER as u8];
/// The type of an alias.
pub const CNAME: u16 = 5;
/// The extension mechanism's record (RFC 6891): 1232 octets of room, no options.
pub const OPT: [u8; 11] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0];

const TTL: u32 = 300;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Writes a name of these labels, of whatever octets, without compression.
#[must_use]
pub fn name(labels: &[&[u8]]) -> Vec<u8> {
    let encoded = labels
        .iter()
        .flat_map(|label| [&[label.len() as u8], *label].concat());
    encoded.chain([0]).collect()
}

/// Writes a record of class IN.
#[must_use]
pub fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let mut octets = owner.to_vec();
    octets.extend(kind.to_be_bytes());
    octets.extend([0, 1]);
    octets.extend(TTL.to_be_bytes());
    octets.extend((data.len() as u16).to_be_bytes());
    octets.extend(data);
    octets
}

/// Writes an A or AAAA record.
#[must_use]
pub fn address(owner: &[u8], address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => record(owner, 1, &address.octets()),
        IpAddr::V6(address) => record(owner, 28, &address.octets()),
    }
}

/// Writes a question for the IPv4 addresses of a name, as `name` writes it.
#[must_use]
pub fn question(name: &[u8]) -> Vec<u8> {
    [&[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], name, &[0, 1, 0, 1]].concat()
}

/// Writes a response to a question with these answers.
#[must_use]
pub fn response(question: &[u8], answers: &[Vec<u8>]) -> Vec<u8> {
    let mut octets = question.to_vec();
    octets[2..4].copy_from_slice(&[0x81, 0x80]);
    octets[6..8].copy_from_slice(&(answers.len() as u16).to_be_bytes());
    octets.extend(answers.concat());
    octets
}

/// Adds the extension mechanism's record to a response.
#[must_use]
pub fn extended(mut response: Vec<u8>) -> Vec<u8> {
    response[11] += 1;
    response.extend(OPT);
    response
}

/// Asks from inside a namespace and returns what comes back, whatever it says.
pub fn ask_octets(namespace: &Namespace, server: IpAddr, question: &[u8]) -> Result<Vec<u8>> {
    let asked = namespace.enter(|| -> Result<Vec<u8>> {
        let socket = UdpSocket::bind("0.0.0.0:0").context("bind")?;
        socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        socket.connect(SocketAddr::new(server, super::PORT))?;
        socket.send(question).context("send")?;
        let mut buffer = vec![0; 1 << 16];
        let length = socket.recv(&mut buffer).context("wait for the answer")?;
        buffer.truncate(length);
        Ok(buffer)
    });
    asked?.with_context(|| format!("ask {server} in `{}`", namespace.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_has_the_octets_that_rfc_1035_says() {
        let question = question(&name(&[b"a", b"bc"]));
        let answer = address(&QUESTION_NAME, IpAddr::from([192, 0, 2, 1]));
        let expected = b"\x00\x07\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\
            \x01a\x02bc\x00\x00\x01\x00\x01\
            \xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\xc0\x00\x02\x01";
        assert_eq!(response(&question, &[answer]), expected);
    }
}
