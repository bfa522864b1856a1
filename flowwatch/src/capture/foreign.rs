//! What people take for captures that flowwatch reads, and what to do with each.

use super::OpenError;

/// A kind of file, by its first octets.
struct Kind {
    magic: &'static [u8],
    what: &'static str,
    advice: &'static str,
}

const CONVERT: &str = "`editcap -F pcapng FILE NEW` converts it";

/// The kinds.
const KINDS: &[Kind] = &[
    Kind {
        magic: &[0x1f, 0x8b],
        what: "compressed with gzip",
        advice: "unpack it on the way: zcat FILE | flowwatch replay -",
    },
    Kind {
        magic: &[0x28, 0xb5, 0x2f, 0xfd],
        what: "compressed with zstd",
        advice: "unpack it on the way: zstdcat FILE | flowwatch replay -",
    },
    Kind {
        magic: &[0xfd, b'7', b'z', b'X', b'Z', 0],
        what: "compressed with xz",
        advice: "unpack it on the way: xzcat FILE | flowwatch replay -",
    },
    Kind {
        magic: b"BZh",
        what: "compressed with bzip2",
        advice: "unpack it on the way: bzcat FILE | flowwatch replay -",
    },
    Kind {
        magic: &[0x04, 0x22, 0x4d, 0x18],
        what: "compressed with lz4",
        advice: "unpack it on the way: lz4cat FILE | flowwatch replay -",
    },
    Kind {
        magic: b"PK\x03\x04",
        what: "a zip archive",
        advice: "unpack it on the way: unzip -p FILE | flowwatch replay -",
    },
    Kind {
        magic: &[0x34, 0xcd, 0xb2, 0xa1],
        what: "a pcap file of the \"modified\" kind, which one system wrote in the 1990s",
        advice: CONVERT,
    },
    Kind {
        magic: &[0xa1, 0xb2, 0xcd, 0x34],
        what: "a pcap file of the \"modified\" kind, which one system wrote in the 1990s",
        advice: CONVERT,
    },
    Kind {
        magic: b"snoop\0\0\0",
        what: "a capture of Solaris' snoop",
        advice: CONVERT,
    },
    Kind {
        magic: b"GMBU",
        what: "a capture of Microsoft's Network Monitor",
        advice: CONVERT,
    },
    Kind {
        magic: b"RTSS",
        what: "a capture of Microsoft's Network Monitor",
        advice: CONVERT,
    },
];

/// Returns why what begins so can't be read.
pub(super) fn refusal(start: &[u8]) -> OpenError {
    let known = KINDS.iter().find(|kind| start.starts_with(kind.magic));
    match known {
        Some(Kind { what, advice, .. }) => OpenError::Known { what, advice },
        None if start.len() < super::pcap::HEADER_LENGTH && super::pcap::is_magic(start) => {
            OpenError::Short(start.len())
        }
        None => OpenError::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use crate::capture::Capture;

    fn check(octets: &[u8], part: &str) {
        let error = Capture::open(octets).err().map(|error| error.to_string());
        let error = error.unwrap_or_default();
        assert!(error.contains(part), "{octets:?}: `{error}` lacks `{part}`");
    }

    #[test]
    fn what_is_no_capture_is_told_with_what_to_do() {
        check(b"", "it is empty");
        check(&[0x1f, 0x8b, 8, 0, 0], "zcat FILE | flowwatch replay -");
        check(&[0x28, 0xb5, 0x2f, 0xfd], "zstdcat");
        check(&[0x34, 0xcd, 0xb2, 0xa1, 2, 0, 4, 0], "editcap");
        check(&[0xa1, 0xb2, 0xcd, 0x34], "modified");
        check(
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "neither pcap nor pcapng",
        );
        check(&[0xd4], "neither pcap nor pcapng");
        check(&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4], "after 7 octets");
    }
}
