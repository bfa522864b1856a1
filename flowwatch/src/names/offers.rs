//! The resolvers that the network gave a device: option 6 of the DHCP acknowledgement that it got.
//!
//! Reads `PayloadSample`s from remote port 67 by `flowwatch_common::wire::dhcp` (RFC 2132 §3.8).

use flowwatch_common::abi::Direction;
use flowwatch_common::wire::dhcp::{self, BOOT_REPLY, DhcpError, SERVER_PORT, message_type};
use flowwatch_common::wire::ip_protocol::UDP;

use super::reading::{Fact, NameReader, Outcome, Reading};
use crate::observation::PayloadSample;

/// The reader.
#[derive(Debug)]
pub(super) struct DhcpOffers;

impl NameReader for DhcpOffers {
    fn read(&mut self, sample: &PayloadSample) -> Option<Reading> {
        let is_answer = sample.direction == Direction::Down
            && sample.protocol == UDP
            && sample.remote_port == SERVER_PORT;
        is_answer.then(|| read_answer(sample))
    }
}

fn read_answer(sample: &PayloadSample) -> Reading {
    let is_cut = (sample.payload.len() as u64) < u64::from(sample.wire_length);
    let message = match dhcp::Message::parse(&sample.payload) {
        Ok(message) => message,
        Err(DhcpError::Truncated) if is_cut => return Reading::of(Outcome::Cut),
        Err(DhcpError::Truncated) => return Reading::of(Outcome::Malformed),
        Err(DhcpError::NoCookie) => return Reading::of(Outcome::Nameless),
    };
    let is_acknowledgement =
        message.operation() == BOOT_REPLY && message.message_type() == Some(message_type::ACK);
    let servers: Vec<_> = message.dns_servers().map(Into::into).collect();
    if !is_acknowledgement || servers.is_empty() {
        return Reading::of(Outcome::Nameless);
    }
    Reading {
        facts: vec![Fact::Offer(servers)],
        ..Reading::of(Outcome::Understood)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;

    use super::*;

    /// A reply of the type with an option 6, by hand.
    fn reply(kind: u8, servers: &[[u8; 4]]) -> PayloadSample {
        let mut payload = vec![0; 236];
        payload[0] = 2;
        payload.extend([99, 130, 83, 99, 53, 1, kind, 6, 4 * servers.len() as u8]);
        payload.extend(servers.concat());
        payload.push(255);
        PayloadSample {
            device: 0,
            direction: Direction::Down,
            remote: [192, 168, 8, 1].into(),
            protocol: UDP,
            remote_port: 67,
            local_port: 68,
            at: Timestamp::UNIX_EPOCH,
            segment: None,
            wire_length: payload.len() as u32,
            payload: Bytes::from(payload),
        }
    }

    #[test]
    fn an_acknowledgement_names_the_networks_resolvers() {
        let sample = reply(5, &[[192, 168, 8, 1], [192, 168, 8, 2]]);
        let expected = vec![[192, 168, 8, 1].into(), [192, 168, 8, 2].into()];
        let reading = DhcpOffers.read(&sample).unwrap();
        assert_eq!(reading.facts, [Fact::Offer(expected)]);
        assert_eq!(reading.outcome, Outcome::Understood);
    }

    #[test]
    fn what_is_no_acknowledgement_or_names_none_gives_nothing() {
        let check = |sample: &PayloadSample, outcome| {
            assert_eq!(DhcpOffers.read(sample), Some(Reading::of(outcome)));
        };
        let server = [[192, 168, 8, 1]];
        check(&reply(2, &server), Outcome::Nameless);
        check(&reply(6, &server), Outcome::Nameless);
        check(&reply(5, &[]), Outcome::Nameless);
        let mut cut = reply(5, &server);
        cut.payload.truncate(200);
        check(&cut, Outcome::Cut);
        cut.wire_length = 200;
        check(&cut, Outcome::Malformed);
    }

    #[test]
    fn samples_of_other_kinds_are_left_to_others() {
        let sample = reply(5, &[[192, 168, 8, 1]]);
        let others = [
            PayloadSample {
                direction: Direction::Up,
                ..sample.clone()
            },
            PayloadSample {
                remote_port: 53,
                ..sample
            },
        ];
        assert!(others.iter().all(|other| DhcpOffers.read(other).is_none()));
    }
}
