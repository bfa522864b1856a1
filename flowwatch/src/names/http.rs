//! Names from the HTTP/1 requests that devices send in the clear.
//!
//! Read from a TCP stream's start by `flowwatch_common::wire::http`; called by the reader of TCP. Of a
//! connection the first request counts.

use flowwatch_common::wire::http::{HttpError, Request};

use super::finding::{Finding, SentName};
use super::{NameSource, host_name};

/// The octets of a request that are looked at. Clients send `Host` first (RFC 9110 §7.2 asks for it),
/// and what comes later, cookies above all, may be longer than what is sampled.
const MAX_LENGTH: usize = 2048;

/// Reads a TCP stream from its start.
pub(super) fn read_request(octets: &[u8]) -> Finding {
    // The same octets however they were cut into segments.
    let seen = octets.get(..MAX_LENGTH).unwrap_or(octets);
    match Request::parse(seen) {
        Ok(request) if request.is_whole || seen.len() == MAX_LENGTH => {
            name_of(&request).map_or(Finding::Nameless, Finding::Named)
        }
        Ok(request) => Finding::Incomplete {
            needed: seen.len() + 1,
            name: name_of(&request),
        },
        Err(HttpError::Incomplete) if seen.len() < MAX_LENGTH => Finding::Incomplete {
            needed: seen.len() + 1,
            name: None,
        },
        Err(HttpError::Incomplete) => Finding::Nameless,
        Err(HttpError::Malformed) => Finding::Malformed,
        Err(HttpError::NotHttp) => Finding::Foreign,
    }
}

fn name_of(request: &Request<'_>) -> Option<SentName> {
    Some(SentName {
        text: host_name::text_of(without_port(request.authority()?))?,
        source: NameSource::Http,
    })
}

/// Returns `host` of `host:port`; an IPv6 address stands in brackets (RFC 3986 §3.2.2).
fn without_port(authority: &[u8]) -> &[u8] {
    let colon = authority.iter().rposition(|octet| *octet == b':');
    let split = colon.and_then(|at| Some((authority.get(..at)?, authority.get(at + 1..)?)));
    match split {
        Some((host, port)) if port.iter().all(u8::is_ascii_digit) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Finding {
        Finding::Named(SentName {
            text: text.into(),
            source: NameSource::Http,
        })
    }

    fn check(octets: &str, expected: &Finding) {
        assert_eq!(read_request(octets.as_bytes()), *expected, "{octets}");
    }

    fn check_host(host: &str, expected: &Finding) {
        check(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), expected);
    }

    #[test]
    fn host_without_its_port_is_the_name() {
        check_host("Scalews.Withings.NET", &named("scalews.withings.net"));
        check_host("a.test.:8080", &named("a.test"));
        check_host("a.test:", &named("a.test"));
        check_host("a.test:x", &named("a.test:x"));
        check_host("\x1b[2J \t x", &named(r"\027[2j\032\009\032x"));
    }

    #[test]
    fn addresses_and_nothing_are_no_names() {
        for host in [
            "",
            "192.168.1.1",
            "192.168.1.1:80",
            "[2001:db8::1]",
            "[::1]:80",
            ":80",
        ] {
            check_host(host, &Finding::Nameless);
        }
        check("GET / HTTP/1.0\r\n\r\n", &Finding::Nameless);
        check("GET /index.html\r\n", &Finding::Foreign);
    }

    #[test]
    fn target_of_a_proxys_request_is_the_name() {
        let field = "HTTP/1.1\r\nHost: proxy.test\r\n\r\n";
        check(
            &format!("GET http://a.test:8080/x {field}"),
            &named("a.test"),
        );
        check(&format!("CONNECT a.test:443 {field}"), &named("a.test"));
        check(
            &format!("CONNECT 192.0.2.1:443 {field}"),
            &Finding::Nameless,
        );
    }

    #[test]
    fn a_second_host_is_malformed() {
        check_host("a.test\r\nHost: b.test", &Finding::Malformed);
        check_host("a.test\r\n folded", &named(r"a.test\013\010\032folded"));
    }

    #[test]
    fn name_is_told_at_the_sections_end_or_when_enough_was_seen() {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a.test\r\nCookie: {}",
            "x".repeat(4000)
        );
        for end in 0..MAX_LENGTH {
            let finding = read_request(&request.as_bytes()[..end]);
            let Finding::Incomplete { needed, name } = finding else {
                panic!("{end} octets: {finding:?}")
            };
            assert_eq!((needed, name.is_some()), (end + 1, end > 30));
        }
        for end in [MAX_LENGTH, MAX_LENGTH + 1, request.len()] {
            assert_eq!(read_request(&request.as_bytes()[..end]), named("a.test"));
        }
    }

    #[test]
    fn an_endless_request_line_is_nameless() {
        let line = format!("GET /{}", "x".repeat(MAX_LENGTH));
        check(&line, &Finding::Nameless);
    }
}
