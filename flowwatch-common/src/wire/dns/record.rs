//! Resource records (RFC 1035 §4.1.3) and what they hold.
//!
//! Made of a message's sections by `Message`; read by `flowwatch::names`.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::reader::Reader;
use super::{
    CLASS_IN, DnsError, Name, ServiceBinding, TYPE_A, TYPE_AAAA, TYPE_CNAME, TYPE_HTTPS, TYPE_OPT,
    TYPE_SVCB,
};

/// In multicast DNS, the upper bit of a record's class says that older records are to be forgotten.
const CACHE_FLUSH: u16 = 0x8000;

/// Where in the message a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Records that answer the question.
    Answer,
    /// Records that point to an authoritative name server.
    Authority,
    /// Records that relate to the query, and EDNS's OPT.
    Additional,
}

impl Section {
    /// The sections in the message's order.
    pub const ALL: [Self; 3] = [Self::Answer, Self::Authority, Self::Additional];
}

/// A resource record (RFC 1035 §4.1.3).
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its section.
    pub section: Section,
    /// The name that it belongs to.
    pub owner: Name<'a>,
    /// Its type.
    pub rtype: u16,
    /// Its class.
    pub class: u16,
    /// For how many seconds it may be kept; 0 when the sender's upper bit is set (RFC 2181 §8).
    pub ttl: u32,
    /// Its content.
    pub data: RecordData<'a>,
}

/// A record's content, by its type.
#[derive(Clone, Copy, Debug)]
pub enum RecordData<'a> {
    /// An IPv4 address (class IN).
    A(Ipv4Addr),
    /// An IPv6 address (class IN).
    Aaaa(Ipv6Addr),
    /// The name that the owner is an alias of.
    Cname(Name<'a>),
    /// What offers a service, and where (types SVCB and HTTPS, class IN).
    Service(ServiceBinding<'a>),
    /// EDNS's own fields.
    Opt(Edns),
    /// The rdata of any other record.
    Other(&'a [u8]),
}

impl Record<'_> {
    /// Returns the address in a record of multicast DNS, where the class's upper bit is a flag of its
    /// own (RFC 6762 §10.2); of type A or AAAA alone.
    #[must_use]
    pub fn multicast_address(&self) -> Option<IpAddr> {
        let RecordData::Other(rdata) = self.data else {
            return self.address();
        };
        if self.class != CLASS_IN | CACHE_FLUSH {
            return None;
        }
        match self.rtype {
            TYPE_A => <[u8; 4]>::try_from(rdata).ok().map(IpAddr::from),
            TYPE_AAAA => <[u8; 16]>::try_from(rdata).ok().map(IpAddr::from),
            _ => None,
        }
    }

    const fn address(&self) -> Option<IpAddr> {
        match self.data {
            RecordData::A(address) => Some(IpAddr::V4(address)),
            RecordData::Aaaa(address) => Some(IpAddr::V6(address)),
            _ => None,
        }
    }
}

impl<'a> RecordData<'a> {
    fn parse(mut rdata: Reader<'a>, rtype: u16, class: u16, ttl: u32) -> Result<Self, DnsError> {
        let data = match (rtype, class) {
            (TYPE_A, CLASS_IN) => Self::A(rdata.take_array::<4>()?.into()),
            (TYPE_AAAA, CLASS_IN) => Self::Aaaa(rdata.take_array::<16>()?.into()),
            (TYPE_CNAME, _) => Self::Cname(rdata.take_name()?),
            (TYPE_SVCB | TYPE_HTTPS, CLASS_IN) => {
                return ServiceBinding::parse(&mut rdata).map(Self::Service);
            }
            (TYPE_OPT, _) => return Ok(Self::Opt(Edns::from_class_and_ttl(class, ttl))),
            _ => return Ok(Self::Other(rdata.rest())),
        };
        if rdata.rest().is_empty() {
            Ok(data)
        } else {
            Err(DnsError::RdataLength)
        }
    }
}

/// The fields of an OPT record that lie in its class and ttl (RFC 6891 §6.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The largest UDP payload in octets that the sender can take.
    pub udp_payload_size: u16,
    /// The upper eight bits of the response code.
    pub extended_rcode: u8,
    /// EDNS's version.
    pub version: u8,
}

impl Edns {
    const fn from_class_and_ttl(class: u16, ttl: u32) -> Self {
        let [extended_rcode, version, _, _] = ttl.to_be_bytes();
        Self {
            udp_payload_size: class,
            extended_rcode,
            version,
        }
    }
}

/// The records that are whole, in the message's order; an error is the last item.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    pub(super) reader: Reader<'a>,
    /// Records still to come by the header's counts, in the order of `Section::ALL`.
    pub(super) remaining: [u16; 3],
}

impl<'a> Records<'a> {
    fn parse_record(&mut self, section: Section) -> Result<Record<'a>, DnsError> {
        let owner = self.reader.take_name()?;
        let rtype = self.reader.take_u16()?;
        let class = self.reader.take_u16()?;
        let ttl = u32::from_be_bytes(self.reader.take_array()?);
        let rdata = self.reader.take_rdata()?;
        // Octets that are missing here are not missing from the message: rdlength leaves them out.
        let data = RecordData::parse(rdata, rtype, class, ttl).map_err(|error| match error {
            DnsError::Truncated => DnsError::RdataLength,
            other => other,
        })?;
        let ttl = if ttl > i32::MAX.unsigned_abs() {
            0
        } else {
            ttl
        };
        Ok(Record {
            section,
            owner,
            rtype,
            class,
            ttl,
            data,
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, DnsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (section, left) = Section::ALL
            .into_iter()
            .zip(&mut self.remaining)
            .find(|(_, left)| **left > 0)?;
        *left -= 1;
        let record = self.parse_record(section);
        if record.is_err() {
            self.remaining = [0; 3];
        }
        Some(record)
    }
}
