//! Leases: what the host's own DHCP server knows of devices, from its files.
//!
//! dnsmasq writes `expiry MAC address name client-id` a line (`*` for none); odhcpd writes lines
//! that begin with `#`: interface, hardware address or DUID, IAID (`ipv4` for IPv4), name (`-` for
//! none), and more. Lines that are neither are left out: files are written while they are read.

use super::{Hostname, HostnameSource};

/// The most leases that are taken from a file.
const MAX_LEASES: usize = 16_384;

/// A device that a lease names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The device's MAC address.
    pub mac: [u8; 6],
    /// What it is called; nothing where it did not say.
    pub hostname: Option<Hostname>,
}

/// Returns the leases in a file's text, of either server.
#[must_use]
pub fn read(text: &str) -> Vec<Lease> {
    let leases = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        match words.next()? {
            "#" => odhcpd(words),
            expiry if expiry.bytes().all(|digit| digit.is_ascii_digit()) => dnsmasq(words),
            _ => None,
        }
    });
    leases.take(MAX_LEASES).collect()
}

fn dnsmasq<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Lease> {
    // Of networks that aren't Ethernet, the type comes first: `06-…`. IPv6 has the IAID here.
    let mac = octets_of(words.next()?.split(':'))?;
    let _address = words.next()?;
    let hostname = name_of(words.next()?, "*");
    Some(Lease { mac, hostname })
}

fn odhcpd<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Lease> {
    let _interface = words.next()?;
    let identifier = words.next()?;
    let is_ipv4 = words.next()? == "ipv4";
    let hostname = name_of(words.next()?, "-");
    // Of a DUID with a link-layer address (RFC 8415 §11.2 and §11.4), that is the last part.
    let hexadecimal = match (is_ipv4, identifier.len()) {
        (true, 12) => identifier,
        (false, 28) => identifier.strip_prefix("00010001")?.get(8..)?,
        (false, 20) => identifier.strip_prefix("00030001")?,
        _ => return None,
    };
    let pairs = hexadecimal.as_bytes().chunks(2);
    let mac = octets_of(pairs.map(|pair| str::from_utf8(pair).unwrap_or_default()))?;
    Some(Lease { mac, hostname })
}

fn name_of(word: &str, none: &str) -> Option<Hostname> {
    let is_name = word != none;
    is_name
        .then(|| Hostname::of_octets(word.as_bytes(), HostnameSource::Lease))
        .flatten()
}

/// Returns six octets written as pairs of hexadecimal digits.
fn octets_of<'a>(pairs: impl Iterator<Item = &'a str>) -> Option<[u8; 6]> {
    let mut octets = Vec::with_capacity(6);
    for pair in pairs.take(7) {
        let is_pair = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        octets.push(is_pair.then(|| u8::from_str_radix(pair, 16).ok())??);
    }
    octets.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[([u8; 6], Option<&str>)]) {
        let leases = read(text);
        let read: Vec<_> = leases
            .iter()
            .map(|lease| (lease.mac, lease.hostname.as_ref().map(|name| &*name.text)))
            .collect();
        assert_eq!(read, expected);
    }

    const CAMERA: [u8; 6] = [0x2c, 0xaa, 0x8e, 1, 2, 3];
    const PLUG: [u8; 6] = [0x50, 0xc7, 0xbf, 0x0a, 0x0b, 0x0c];

    #[test]
    fn leases_of_dnsmasq_are_read_and_those_of_ipv6_left_out() {
        check(
            "1700000000 2c:aa:8e:01:02:03 192.168.8.214 WyzeCam 01:2c:aa:8e:01:02:03\n\
             0 50:c7:bf:0a:0b:0c 192.168.8.7 * *\n\
             duid 00:01:00:01:1c:38:25:e8:2c:aa:8e:01:02:03\n\
             1700000000 123456 fd00::214 WyzeCam 00:01:00:01:1c:38:25:e8\n",
            &[(CAMERA, Some("WyzeCam")), (PLUG, None)],
        );
    }

    #[test]
    fn leases_of_odhcpd_are_read_of_both_versions() {
        check(
            "# br-lan 2caa8e010203 ipv4 WyzeCam 1700000000 c0a808d6 32 192.168.8.214/32\n\
             192.168.8.214\tWyzeCam.lan WyzeCam\n\
             # br-lan 000100011c3825e850c7bf0a0b0c 2f4 plug 1700000000 7 128 fd00::7/128\n\
             # br-lan 0003000150c7bf0a0b0c 2f4 - 1700000000 7 128 fd00::7/128\n\
             # br-lan 00020000ab11deadbeef 1 other 1700000000 8 128 fd00::8/128\n",
            &[
                (CAMERA, Some("WyzeCam")),
                (PLUG, Some("plug")),
                (PLUG, None),
            ],
        );
    }

    #[test]
    fn lines_that_are_no_leases_are_left_out() {
        check(
            "\n#\n# br-lan\n1700000000\n1700000000 2c:aa:8e:01:02\n\
             1700000000 2c:aa:8e:01:02:03:04 1.2.3.4 x *\n1700000000 +c:aa:8e:01:02:03 1.2.3.4 x *\n\
             x 2c:aa:8e:01:02:03 1.2.3.4 y *\n# br-lan 2caa8e01020é ipv4 x 1\n\
             # br-lan 2caa8eé10203 ipv4 x 1\n1700000000 2c:aa:8e:01:02:03 1.2.3.4\n\
             # br-lan 00010001é 7 x 1\n# br-lan 00030001é2345678aé 7 x 1\n",
            &[],
        );
    }
}
