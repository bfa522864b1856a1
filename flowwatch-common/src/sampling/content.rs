//! What a stream's first octets decide: how much of it is wanted.

use crate::bytes::PacketBytes;
use crate::sample_rules::{Content, Contents};
use crate::wire::beginning::{Beginning, Likeness, client_hello_length};

/// The octets of a stream that are sampled at most when it begins with a `ClientHello`: those of a
/// TLS record (RFC 8446 §5.1).
pub const HELLO_MAX: u32 = 16_384;
/// The same when it begins with an HTTP request, whose head may be followed by anything.
pub const REQUEST_MAX: u32 = 4_096;

/// How a stream's first octets fit what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// They are it, and so many octets of the stream are wanted.
    Wanted(u32),
    /// They are nothing of it.
    Other,
    /// There are too few to tell.
    Unclear,
}

/// Returns what a stream is whose first octets are the `length` at `offset`.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub(super) fn fit<B: PacketBytes + ?Sized>(
    bytes: &B,
    offset: usize,
    length: u32,
    asked: Contents,
) -> Fit {
    let beginning = Beginning::read(bytes, offset, length);
    let mut fit = Fit::Other;
    if asked.has(Content::ClientHello) {
        match beginning.client_hello() {
            Likeness::Alike => {
                let hello = client_hello_length(bytes, offset, length);
                return Fit::Wanted(hello.unwrap_or(HELLO_MAX).min(HELLO_MAX));
            }
            Likeness::Unclear => fit = Fit::Unclear,
            Likeness::Other => {}
        }
    }
    if asked.has(Content::HttpRequest) {
        match beginning.http_request() {
            Likeness::Alike => return Fit::Wanted(REQUEST_MAX),
            Likeness::Unclear => fit = Fit::Unclear,
            Likeness::Other => {}
        }
    }
    fit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Direction;
    use crate::sample_rules::contents_asked;
    use crate::wire::ip_protocol::TCP;

    fn fit(octets: &[u8]) -> Fit {
        let asked = contents_asked(Direction::Up, TCP, 443);
        let behind_headers = [b"GET GET ", octets].concat();
        super::fit(&behind_headers[..], 8, octets.len() as u32, asked)
    }

    #[test]
    fn a_hello_is_wanted_to_its_end() {
        // A record of 0x01fc octets with a ClientHello of 0x0001f8, as OpenSSL sends it.
        let hello = [0x16, 3, 1, 1, 0xfc, 1, 0, 1, 0xf8, 3, 3];
        assert_eq!(fit(&hello), Fit::Wanted(5 + 4 + 0x1f8));
        // Certificates may be behind it in the record.
        let more = [0x16, 3, 3, 0x3f, 0xff, 1, 0, 1, 0xf8, 3, 3];
        assert_eq!(fit(&more), Fit::Wanted(5 + 4 + 0x1f8));
        // Its length is not at hand.
        assert_eq!(fit(&hello[..8]), Fit::Wanted(HELLO_MAX));
        assert_eq!(fit(&hello[..6]), Fit::Wanted(HELLO_MAX));
    }

    #[test]
    fn a_hello_in_several_records_is_wanted_up_to_the_limit() {
        let first = [0x16, 3, 1, 0, 50, 1, 0, 1, 0xf8, 3, 3];
        assert_eq!(fit(&first), Fit::Wanted(HELLO_MAX));
        // A message of 55 octets, in a record of as many, and of one less.
        let fitting = [0x16, 3, 1, 0, 55, 1, 0, 0, 51, 3, 3];
        assert_eq!(fit(&fitting), Fit::Wanted(60));
        let longer = [0x16, 3, 1, 0, 54, 1, 0, 0, 51, 3, 3];
        assert_eq!(fit(&longer), Fit::Wanted(HELLO_MAX));
        let endless = [0x16, 3, 1, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 3, 3];
        assert_eq!(fit(&endless), Fit::Wanted(HELLO_MAX));
        let longest = [0x16, 3, 1, 0xff, 0xff, 1, 0, 0xff, 0xfb, 3, 3];
        assert_eq!(fit(&longest), Fit::Wanted(HELLO_MAX));
    }

    #[test]
    fn tls_that_is_no_hello_is_not_wanted() {
        let server_hello = [0x16, 3, 3, 0, 0x7a, 2, 0, 0, 0x76, 3, 3];
        let application_data = [0x17, 3, 3, 0, 0x7a, 1, 0, 0, 0x76, 3, 3];
        let other_protocol = [0x16, 4, 3, 0, 0x7a, 1, 0, 0, 0x76, 3, 3];
        for octets in [server_hello, application_data, other_protocol] {
            assert_eq!(fit(&octets), Fit::Other, "{octets:02x?}");
        }
    }

    #[test]
    fn a_request_begins_with_a_method_and_a_space() {
        for method in [
            "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
        ] {
            let request = std::format!("{method} / HTTP/1.1\r\n");
            assert_eq!(fit(request.as_bytes()), Fit::Wanted(REQUEST_MAX));
            let other = request.replace(' ', "-");
            assert_eq!(fit(other.as_bytes()), Fit::Other, "{other}");
        }
        assert_eq!(fit(b"get / HTTP/1.1\r\n"), Fit::Other);
        assert_eq!(fit(b"HTTP/1.1 200 OK\r\n"), Fit::Other);
    }

    #[test]
    fn too_few_octets_are_unclear_as_long_as_they_fit() {
        assert_eq!(fit(&[0x16]), Fit::Unclear);
        assert_eq!(fit(&[0x16, 3, 1, 2, 0]), Fit::Unclear);
        assert_eq!(fit(&[0x16, 3, 1, 2, 0, 2]), Fit::Other);
        assert_eq!(fit(b"OPTIONS"), Fit::Unclear);
        assert_eq!(fit(b"P"), Fit::Unclear);
        assert_eq!(fit(b"PE"), Fit::Other);
        assert_eq!(fit(b"GET "), Fit::Wanted(REQUEST_MAX));
    }
}
