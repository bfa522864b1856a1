//! The simulated camera: what a real one was caught asking for and talking to in 2019, under its old
//! and its fixed firmware, as data; and the doing of it in a lab.
//!
//! Names are asked for by real questions; then the addresses of the answers are talked to. Payloads
//! are the same every time, so that two runs differ in nothing but the firmware.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, ensure};

use crate::dns::{self, Question, Record};
use crate::namespace::Namespace;
use crate::tls::{self, Client};
use crate::traffic::{self, Exchange, Server};

/// How an exchange travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// A connection.
    Tcp,
    /// The same in TLS, under the name that was asked for.
    Tls,
    /// A datagram each way.
    Udp,
}

/// One address that the camera talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The remote address.
    pub address: Ipv4Addr,
    /// TCP or UDP.
    pub transport: Transport,
    /// The remote port.
    pub port: u16,
    /// Payload octets of one exchange.
    pub exchange: Exchange,
    /// How many exchanges.
    pub times: u32,
}

/// A name that the camera asks for, and the addresses that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The name asked for.
    pub name: &'static str,
    /// The name that it is an alias of, whose addresses these are.
    pub alias_of: Option<&'static str>,
    /// What is talked to once the answer is there.
    pub contacts: Vec<Contact>,
}

/// A camera with a firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Camera {
    /// The firmware's name.
    pub firmware: &'static str,
    /// The names that it asks for, in order.
    pub lookups: Vec<Lookup>,
    /// The addresses that it talks to without ever asking for a name.
    pub unnamed: Vec<Contact>,
}

/// Rendezvous by UDP, as the platform behind these names does it.
const fn rendezvous(address: [u8; 4], times: u32) -> Contact {
    let [a, b, c, d] = address;
    Contact {
        address: Ipv4Addr::new(a, b, c, d),
        transport: Transport::Udp,
        port: 10240,
        exchange: Exchange { up: 88, down: 56 },
        times,
    }
}

const fn web(address: [u8; 4], up: u64, down: u64) -> Contact {
    let [a, b, c, d] = address;
    Contact {
        address: Ipv4Addr::new(a, b, c, d),
        transport: Transport::Tcp,
        port: 443,
        exchange: Exchange { up, down },
        times: 1,
    }
}

/// A time server whose address is in the firmware: a remote that no name was ever asked for.
const TIME_SERVER: Contact = Contact {
    address: Ipv4Addr::new(129, 6, 15, 28),
    transport: Transport::Udp,
    port: 123,
    exchange: Exchange { up: 48, down: 48 },
    times: 2,
};

impl Camera {
    /// The firmware that the owner found in 2019.
    #[must_use]
    pub fn old_firmware() -> Self {
        let global = vec![
            rendezvous([52, 79, 197, 188], 7),
            rendezvous([50, 7, 98, 242], 5),
            rendezvous([198, 16, 70, 58], 3),
        ];
        let lookups = vec![
            Lookup {
                name: "gm.iotcplatform.com",
                alias_of: None,
                contacts: global,
            },
            Lookup {
                name: "cm.iotcplatform.com",
                alias_of: None,
                contacts: vec![rendezvous([120, 24, 59, 150], 11)],
            },
        ];
        Self {
            firmware: "old",
            lookups,
            unnamed: vec![TIME_SERVER],
        }
    }

    /// The vendor's fix. One address of the old one is still there, under a new name.
    #[must_use]
    pub fn fixed_firmware() -> Self {
        // A broker for many customers, which tells them by the name that TLS begins with.
        let broker = Contact {
            transport: Transport::Tls,
            port: 8883,
            ..web([35, 160, 15, 131], 2_400, 900)
        };
        let lookup = |name, alias_of, contacts| Lookup {
            name,
            alias_of,
            contacts,
        };
        let lookups = vec![
            lookup(
                "us-master.iotcplatform.com",
                None,
                vec![
                    rendezvous([50, 19, 254, 134], 6),
                    rendezvous([50, 7, 98, 242], 4),
                ],
            ),
            lookup(
                "api.wyzecam.com",
                None,
                vec![
                    web([34, 208, 107, 136], 1_800, 5_200),
                    web([35, 161, 164, 220], 2_100, 4_100),
                    web([35, 167, 190, 246], 900, 12_345),
                ],
            ),
            lookup(
                "wyze-iot.s3-us-west-2.amazonaws.com",
                Some("s3-us-west-2-r-w.amazonaws.com"),
                vec![web([52, 218, 160, 49], 150_000, 700)],
            ),
            lookup(
                "a24rq1e5m4mtei-ats.iot.us-west-2.amazonaws.com",
                Some("dualstack.iotmoonraker-u-elb.us-west-2.elb.amazonaws.com"),
                vec![broker],
            ),
        ];
        Self {
            firmware: "fixed",
            lookups,
            unnamed: vec![TIME_SERVER],
        }
    }

    /// Every contact, beside the name that was asked for, if one was.
    pub fn contacts(&self) -> impl Iterator<Item = (Option<&'static str>, &Contact)> {
        let named = self.lookups.iter().flat_map(|lookup| {
            lookup
                .contacts
                .iter()
                .map(move |contact| (Some(lookup.name), contact))
        });
        named.chain(self.unnamed.iter().map(|contact| (None, contact)))
    }

    /// What the outside name server has to know.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.lookups.iter().flat_map(Lookup::records).collect()
    }

    /// Does everything once, from inside a device's namespace: asks `resolver` for each name and
    /// talks to each address of the answer, then to the unnamed ones.
    pub fn act(&self, device: &Namespace, resolver: IpAddr) -> Result<()> {
        for lookup in &self.lookups {
            let answered = dns::ask(device, resolver, lookup.name, Question::A)?;
            for contact in &lookup.contacts {
                let is_known = answered.contains(&contact.address.into());
                ensure!(
                    is_known,
                    "{} has no address {}",
                    lookup.name,
                    contact.address
                );
                contact
                    .talk(device, Some(lookup.name))
                    .with_context(|| format!("talk to {}", lookup.name))?;
            }
        }
        self.unnamed
            .iter()
            .try_for_each(|contact| contact.talk(device, None))
    }
}

impl Lookup {
    fn records(&self) -> Vec<Record> {
        let holder = self.alias_of.unwrap_or(self.name).to_owned();
        let alias = self
            .alias_of
            .map(|target| Record::Alias(self.name.to_owned(), target.to_owned()));
        let address = |contact: &Contact| Record::Address(holder.clone(), contact.address.into());
        self.contacts.iter().map(address).chain(alias).collect()
    }
}

impl Contact {
    /// Exchanges what there is to exchange, as often as said, with the server of that name.
    pub fn talk(&self, device: &Namespace, name: Option<&str>) -> Result<()> {
        let server = SocketAddr::new(self.address.into(), self.port);
        let client = name.map_or_else(Client::nameless, Client::of);
        for _ in 0..self.times {
            match self.transport {
                Transport::Tcp => drop(traffic::tcp(device, server, self.exchange)?),
                Transport::Tls => client.exchange(device, server, self.exchange)?,
                Transport::Udp => traffic::udp(device, server, self.exchange)?,
            }
        }
        Ok(())
    }
}

/// Every address that a camera of either firmware talks to.
#[must_use]
pub fn addresses() -> BTreeSet<Ipv4Addr> {
    let cameras = [Camera::old_firmware(), Camera::fixed_firmware()];
    cameras
        .iter()
        .flat_map(Camera::contacts)
        .map(|(_, contact)| contact.address)
        .collect()
}

/// Starts the servers that a camera of either firmware talks to; `internet` has their addresses.
pub fn serve(internet: &Namespace) -> Result<Vec<Server>> {
    let cameras = [Camera::old_firmware(), Camera::fixed_firmware()];
    let contacts = || {
        cameras
            .iter()
            .flat_map(Camera::contacts)
            .map(|(_, contact)| contact)
    };
    let services: BTreeSet<_> = contacts().map(|c| (c.transport, c.port)).collect();
    let start = |(transport, port): (Transport, u16)| match transport {
        Transport::Tcp => Server::tcp(internet, port),
        Transport::Tls => tls::serve(internet, port),
        Transport::Udp => {
            let of_port = contacts().filter(|c| (c.transport, c.port) == (transport, port));
            let addresses: BTreeSet<IpAddr> = of_port.map(|c| c.address.into()).collect();
            Server::udp(internet, &addresses.into_iter().collect::<Vec<_>>(), port)
        }
    };
    services.into_iter().map(start).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_survives_the_fix_under_a_new_name() {
        let (old, fixed) = (Camera::old_firmware(), Camera::fixed_firmware());
        let in_both: Vec<_> = old
            .contacts()
            .filter(|(_, contact)| fixed.contacts().any(|(_, c)| c.address == contact.address))
            .map(|(name, contact)| (name, contact.address.to_string()))
            .collect();
        let expected = [
            (Some("gm.iotcplatform.com"), "50.7.98.242"),
            (None, "129.6.15.28"),
        ];
        assert_eq!(
            in_both,
            expected.map(|(name, address)| (name, address.to_owned()))
        );
    }
}
