//! DNS messages: header, question, resource records and the names in them.
//!
//! Made of a datagram's payload; read by `flowwatch::names`. RFC 1035 §4 (messages), RFC 2181 §8
//! (ttl), RFC 3596 (AAAA), RFC 6762 §10.2 (classes in multicast DNS), RFC 6891 (EDNS).
//!
//! Whatever the octets say, reading them ends: a record takes at least eleven octets of the message,
//! and a name's every part lies before the part that points to it. Nothing here judges content.

mod name;
mod reader;
mod record;
mod svcb;

use core::fmt;

pub(in crate::wire) use name::write_label;
pub use name::{Labels, MAX_LABEL_LENGTH, MAX_NAME_LENGTH, MAX_POINTERS, Name};
use reader::Reader;
pub use record::{Edns, Record, RecordData, Records, Section};
pub use svcb::{
    AlpnIdentifiers, Parameter, Parameters, ServiceBinding, TYPE_HTTPS, TYPE_SVCB,
    key as service_key,
};

/// The header's length in octets (RFC 1035 §4.1.1).
pub const HEADER_LENGTH: usize = 12;
/// Class IN (RFC 1035 §3.2.4).
pub const CLASS_IN: u16 = 1;
/// Type A (RFC 1035 §3.2.2).
pub const TYPE_A: u16 = 1;
/// Type CNAME (RFC 1035 §3.2.2).
pub const TYPE_CNAME: u16 = 5;
/// Type AAAA (RFC 3596 §2.1).
pub const TYPE_AAAA: u16 = 28;
/// Type OPT (RFC 6891 §6.1.1).
pub const TYPE_OPT: u16 = 41;
/// Opcode of a standard query (RFC 1035 §4.1.1).
pub const OPCODE_QUERY: u8 = 0;
/// Response code of an answer without error (RFC 1035 §4.1.1).
pub const RCODE_NO_ERROR: u16 = 0;
/// Response code of a name that does not exist (RFC 1035 §4.1.1).
pub const RCODE_NAME_ERROR: u16 = 3;

const FLAG_RESPONSE: u16 = 0x8000;
const FLAG_TRUNCATION: u16 = 0x0200;

/// Why a message, or what follows in it, can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DnsError {
    /// The octets end before what they announce.
    Truncated,
    /// The message has no question.
    NoQuestion,
    /// A label is neither octets nor a pointer: its two upper bits are 01 or 10.
    LabelType,
    /// A pointer goes anywhere but to a name before the part of the name that it stands in.
    Pointer,
    /// A name is longer than `MAX_NAME_LENGTH`.
    NameTooLong,
    /// A record's rdata is not as long as its type has it.
    RdataLength,
    /// A service binding's parameters are in no order, or one's value is not as its key has it.
    ServiceParameter,
}

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the DNS message ends before what it announces",
            Self::NoQuestion => "the DNS message has no question",
            Self::LabelType => "a label in the DNS message is of a type that doesn't exist",
            Self::Pointer => {
                "a compression pointer in the DNS message doesn't point back to a name"
            }
            Self::NameTooLong => "a name in the DNS message is longer than 255 octets",
            Self::RdataLength => {
                "a record in the DNS message has rdata of another length than its type"
            }
            Self::ServiceParameter => {
                "a service binding in the DNS message has parameters that contradict its format"
            }
        })
    }
}

impl core::error::Error for DnsError {}

/// The message's fixed first part (RFC 1035 §4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The identifier that a response shares with its query.
    pub id: u16,
    /// QR, opcode, AA, TC, RD, RA, Z, AD, CD and RCODE, from the highest bit down.
    pub flags: u16,
    /// Entries that the question section is said to have.
    pub question_count: u16,
    /// Records that the answer section is said to have.
    pub answer_count: u16,
    /// Records that the authority section is said to have.
    pub authority_count: u16,
    /// Records that the additional section is said to have.
    pub additional_count: u16,
}

impl Header {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, DnsError> {
        Ok(Self {
            id: reader.take_u16()?,
            flags: reader.take_u16()?,
            question_count: reader.take_u16()?,
            answer_count: reader.take_u16()?,
            authority_count: reader.take_u16()?,
            additional_count: reader.take_u16()?,
        })
    }

    /// Returns whether the message is a response.
    #[must_use]
    pub const fn is_response(self) -> bool {
        self.flags & FLAG_RESPONSE != 0
    }

    /// Returns whether the sender left out what the datagram had no room for (TC).
    #[must_use]
    pub const fn is_truncated(self) -> bool {
        self.flags & FLAG_TRUNCATION != 0
    }

    /// Returns the kind of query, 0 to 15.
    #[must_use]
    pub const fn opcode(self) -> u8 {
        (self.flags >> 11) as u8 & 0x0f
    }

    /// Returns the header's part of the response code, 0 to 15; see [`Message::rcode`].
    #[must_use]
    pub const fn rcode(self) -> u8 {
        self.flags as u8 & 0x0f
    }
}

/// A view over a message's octets, whose header is whole.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    header: Header,
    body: Reader<'a>,
}

impl<'a> Message<'a> {
    /// Reads the header; the rest is read when asked for.
    ///
    /// # Errors
    /// `Truncated` when there are fewer than `HEADER_LENGTH` octets.
    pub fn parse(octets: &'a [u8]) -> Result<Self, DnsError> {
        let mut body = Reader::new(octets);
        let header = Header::parse(&mut body)?;
        Ok(Self { header, body })
    }

    /// Returns the header.
    #[must_use]
    pub const fn header(&self) -> Header {
        self.header
    }

    /// Reads the first entry of the question section (RFC 1035 §4.1.2).
    ///
    /// # Errors
    /// `NoQuestion` when there is none; otherwise as names are refused.
    pub fn question(&self) -> Result<Question<'a>, DnsError> {
        if self.header.question_count == 0 {
            return Err(DnsError::NoQuestion);
        }
        let mut reader = self.body;
        Ok(Question {
            name: reader.take_name()?,
            qtype: reader.take_u16()?,
            qclass: reader.take_u16()?,
        })
    }

    /// Returns the answer section's records, as many as are whole.
    ///
    /// # Errors
    /// When the question section, which lies before them, can't be read.
    pub fn answers(&self) -> Result<Records<'a>, DnsError> {
        Ok(Records {
            remaining: [self.header.answer_count, 0, 0],
            ..self.records()?
        })
    }

    /// Returns the records of all three sections, as many as are whole.
    ///
    /// # Errors
    /// When the question section, which lies before them, can't be read.
    pub fn records(&self) -> Result<Records<'a>, DnsError> {
        let mut reader = self.body;
        // However large the count, each round takes five octets or ends.
        for _ in 0..self.header.question_count {
            reader.skip_name()?;
            reader.take_array::<4>()?;
        }
        let Header {
            answer_count,
            authority_count,
            additional_count,
            ..
        } = self.header;
        Ok(Records {
            reader,
            remaining: [answer_count, authority_count, additional_count],
        })
    }

    /// Returns what the OPT record says, if there is one that can be reached.
    #[must_use]
    pub fn edns(&self) -> Option<Edns> {
        self.records()
            .ok()?
            .filter_map(Result::ok)
            .find_map(|record| match record.data {
                RecordData::Opt(edns) if record.section == Section::Additional => Some(edns),
                _ => None,
            })
    }

    /// Returns the whole response code: the header's, extended by EDNS (RFC 6891 §6.1.3).
    #[must_use]
    pub fn rcode(&self) -> u16 {
        let upper = self.edns().map_or(0, |edns| edns.extended_rcode);
        u16::from(upper) << 4 | u16::from(self.header.rcode())
    }
}

/// What was asked (RFC 1035 §4.1.2).
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The name asked for.
    pub name: Name<'a>,
    /// The type asked for, which includes those that no record has, such as ANY.
    pub qtype: u16,
    /// The class asked for.
    pub qclass: u16,
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    const RESPONSE: u16 = 0x8180;
    /// `gm.iotcplatform.com`, asked for in class IN; its name lies at 12, `com` at 28.
    const QUESTION: &[u8] = b"\x02gm\x0ciotcplatform\x03com\x00\x00\x01\x00\x01";
    /// 52.79.197.188 for five minutes.
    const A: &[u8] = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\x34\x4f\xc5\xbc";
    const AAAA: &[u8] = b"\xc0\x0c\x00\x1c\x00\x01\x00\x00\x00\x3c\x00\x10\
        \x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01";
    /// An alias of `cdn.com`, compressed.
    const CNAME: &[u8] = b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x06\x03cdn\xc0\x1c";
    const TXT: &[u8] = b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x03\x02hi";
    /// EDNS version 0, 1232 octets, extended response code 1, with an option of no content.
    const OPT: &[u8] = b"\x00\x00\x29\x04\xd0\x01\x00\x80\x00\x00\x04\x00\x0a\x00\x00";

    fn message(flags: u16, counts: [u16; 4], parts: &[&[u8]]) -> Vec<u8> {
        let mut octets = 0xbeef_u16.to_be_bytes().to_vec();
        octets.extend(flags.to_be_bytes());
        octets.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
        octets.extend(parts.concat());
        octets
    }

    /// Writes each record of the answer section as text, and the error that ended them.
    fn answers(octets: &[u8]) -> Vec<std::string::String> {
        let records = Message::parse(octets).unwrap().answers().unwrap();
        records
            .map(|record| match record {
                Ok(Record {
                    owner, ttl, data, ..
                }) => match data {
                    RecordData::A(address) => std::format!("{owner} {ttl} {address}"),
                    RecordData::Aaaa(address) => std::format!("{owner} {ttl} {address}"),
                    RecordData::Cname(name) => std::format!("{owner} {ttl} {name}"),
                    RecordData::Service(binding) => std::format!("{owner} {ttl} {binding:?}"),
                    RecordData::Opt(edns) => std::format!("{owner} {edns:?}"),
                    RecordData::Other(rdata) => std::format!("{owner} {ttl} {rdata:?}"),
                },
                Err(error) => std::format!("{error:?}"),
            })
            .collect()
    }

    fn check(counts: [u16; 4], parts: &[&[u8]], expected: &[&str]) {
        assert_eq!(answers(&message(RESPONSE, counts, parts)), expected);
    }

    #[test]
    fn header_fields_are_read() {
        let octets = message(0xaf35, [1, 2, 3, 4], &[]);
        let header = Message::parse(&octets).unwrap().header();
        assert_eq!(
            header,
            Header {
                id: 0xbeef,
                flags: 0xaf35,
                question_count: 1,
                answer_count: 2,
                authority_count: 3,
                additional_count: 4,
            }
        );
        // 1 0101 1 1 1 0 0 1 1 0101: QR, opcode, AA, TC, RD, RA, Z, AD, CD, RCODE.
        assert!(header.is_response() && header.is_truncated());
        assert_eq!((header.opcode(), header.rcode()), (5, 5));
        let query = Message::parse(&message(0x0100, [1, 0, 0, 0], &[]))
            .unwrap()
            .header();
        assert!(!query.is_response() && !query.is_truncated());
    }

    #[test]
    fn header_needs_twelve_octets() {
        let octets = message(RESPONSE, [0; 4], &[]);
        assert!(Message::parse(&octets).is_ok());
        assert_eq!(
            Message::parse(&octets[..11]).unwrap_err(),
            DnsError::Truncated
        );
        assert_eq!(Message::parse(&[]).unwrap_err(), DnsError::Truncated);
    }

    #[test]
    fn question_is_read() {
        let octets = message(RESPONSE, [1, 0, 0, 0], &[QUESTION]);
        let question = Message::parse(&octets).unwrap().question().unwrap();
        assert_eq!(std::format!("{}", question.name), "gm.iotcplatform.com");
        assert_eq!((question.qtype, question.qclass), (TYPE_A, CLASS_IN));
    }

    #[test]
    fn message_without_question_has_none() {
        let octets = message(RESPONSE, [0; 4], &[QUESTION]);
        let question = Message::parse(&octets).unwrap().question();
        assert_eq!(question.unwrap_err(), DnsError::NoQuestion);
    }

    #[test]
    fn known_types_are_read_and_others_skipped() {
        check(
            [1, 4, 0, 0],
            &[QUESTION, A, TXT, AAAA, CNAME],
            &[
                "gm.iotcplatform.com 300 52.79.197.188",
                "gm.iotcplatform.com 60 [2, 104, 105]",
                "gm.iotcplatform.com 60 2001:db8::1",
                "gm.iotcplatform.com 60 cdn.com",
            ],
        );
    }

    #[test]
    fn sections_follow_one_another() {
        let octets = message(
            RESPONSE,
            [2, 1, 2, 1],
            &[QUESTION, QUESTION, A, A, TXT, OPT],
        );
        let sections: Vec<_> = Message::parse(&octets)
            .unwrap()
            .records()
            .unwrap()
            .map(|r| r.unwrap().section)
            .collect();
        assert_eq!(
            sections,
            [
                Section::Answer,
                Section::Authority,
                Section::Authority,
                Section::Additional
            ]
        );
        assert_eq!(answers(&octets).len(), 1);
    }

    #[test]
    fn edns_extends_the_response_code() {
        let octets = message(RESPONSE, [1, 1, 0, 1], &[QUESTION, A, OPT]);
        let message_view = Message::parse(&octets).unwrap();
        let edns = Edns {
            udp_payload_size: 1232,
            extended_rcode: 1,
            version: 0,
        };
        assert_eq!(message_view.edns(), Some(edns));
        assert_eq!(message_view.rcode(), 16);
        let octets = message(0x8183, [1, 1, 0, 0], &[QUESTION, A]);
        let message_view = Message::parse(&octets).unwrap();
        assert_eq!((message_view.edns(), message_view.rcode()), (None, 3));
    }

    #[test]
    fn opt_counts_in_the_additional_section_alone() {
        let octets = message(RESPONSE, [1, 1, 0, 0], &[QUESTION, OPT]);
        assert_eq!(Message::parse(&octets).unwrap().rcode(), RCODE_NO_ERROR);
    }

    #[test]
    fn address_of_another_class_is_no_address() {
        let mut chaos = A.to_vec();
        chaos[5] = 3;
        check(
            [1, 1, 0, 0],
            &[QUESTION, &chaos],
            &["gm.iotcplatform.com 300 [52, 79, 197, 188]"],
        );
    }

    #[test]
    fn ttl_with_its_upper_bit_set_is_zero() {
        let mut negative = A.to_vec();
        negative[6..10].copy_from_slice(&[0x80, 0, 0, 1]);
        check(
            [1, 1, 0, 0],
            &[QUESTION, &negative],
            &["gm.iotcplatform.com 0 52.79.197.188"],
        );
    }

    fn with_rdata_length(record: &[u8], length: u8) -> Vec<u8> {
        let mut record = record.to_vec();
        record[11] = length;
        record
    }

    #[test]
    fn rdata_of_another_length_than_its_type_is_refused() {
        for (record, length) in [
            (A, 3),
            (A, 5),
            (A, 0),
            (AAAA, 15),
            (AAAA, 17),
            (CNAME, 5),
            (CNAME, 7),
        ] {
            let lie = with_rdata_length(record, length);
            let first = "gm.iotcplatform.com 300 52.79.197.188";
            check(
                [1, 3, 0, 0],
                &[QUESTION, A, &lie, A],
                &[first, "RdataLength"],
            );
        }
    }

    #[test]
    fn rdata_longer_than_the_message_is_truncated() {
        let lie = [&A[..10], &[0xff, 0xff], &A[12..]].concat();
        check([1, 1, 0, 0], &[QUESTION, &lie], &["Truncated"]);
    }

    #[test]
    fn cut_message_yields_the_records_that_are_whole() {
        let whole = message(RESPONSE, [1, 2, 0, 0], &[QUESTION, A, A]);
        let first = "gm.iotcplatform.com 300 52.79.197.188";
        for length in whole.len() - A.len()..whole.len() {
            assert_eq!(answers(&whole[..length]), [first, "Truncated"]);
        }
        assert_eq!(answers(&whole), [first, first]);
    }

    #[test]
    fn counts_that_lie_end_with_the_octets() {
        let first = "gm.iotcplatform.com 300 52.79.197.188";
        check(
            [1, 0xffff, 0xffff, 0xffff],
            &[QUESTION, A],
            &[first, "Truncated"],
        );
        let octets = message(RESPONSE, [0xffff, 1, 0, 0], &[QUESTION, A]);
        let records = Message::parse(&octets).unwrap().records();
        assert_eq!(records.err(), Some(DnsError::Truncated));
    }

    #[test]
    fn records_behind_a_question_that_is_none_are_out_of_reach() {
        let octets = message(
            RESPONSE,
            [2, 1, 0, 0],
            &[QUESTION, b"\x40\x00\x00\x01\x00\x01", A],
        );
        let records = Message::parse(&octets).unwrap().records();
        assert_eq!(records.err(), Some(DnsError::LabelType));
    }

    #[test]
    fn records_end_with_the_first_error() {
        let pointer_to_itself = [&b"\xc0\x25"[..], &A[2..]].concat();
        check(
            [1, 3, 0, 0],
            &[QUESTION, &pointer_to_itself, A],
            &["Pointer"],
        );
    }

    /// Reads everything there is, as a fuzz target does; returns how many records there were.
    fn exercise(octets: &[u8]) -> usize {
        let Ok(message) = Message::parse(octets) else {
            return 0;
        };
        let question = message
            .question()
            .map(|question| std::format!("{}", question.name).len());
        assert!(question.is_err() || message.rcode() <= 0xfff);
        let records = message.records().into_iter().flatten();
        records
            .map(|record| {
                if let Ok(Record {
                    owner,
                    data: RecordData::Cname(target),
                    ..
                }) = record
                {
                    let texts = [std::format!("{owner}"), std::format!("{target}")];
                    assert_eq!(owner == target, texts[0].eq_ignore_ascii_case(&texts[1]));
                }
            })
            .count()
    }

    #[test]
    fn hundred_thousand_mutations_are_survived() {
        let parts: [&[u8]; 6] = [QUESTION, CNAME, A, AAAA, TXT, OPT];
        let fixture = message(RESPONSE, [1, 4, 0, 1], &parts);
        assert_eq!(exercise(&fixture), 5);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 16) as usize % below
        };
        let mut fewer = 0;
        for _ in 0..100_000 {
            let mut octets = fixture.clone();
            for _ in 0..=next(4) {
                let at = next(octets.len());
                octets[at] = [next(256) as u8, 0xc0, 0xff, 0x0c][next(4)];
            }
            octets.truncate(fixture.len() - next(4) * next(20));
            let records = exercise(&octets);
            assert!(records <= octets.len() / 11 + 1);
            fewer += u32::from(records < 5);
        }
        // Enough mutations broke the message, and enough left it readable to its end.
        assert!((20_000..95_000).contains(&fewer), "{fewer}");
    }
}
