//! HTTP/1 requests as far as what they say of the host that they are for.
//!
//! Made of a stream's first octets; read by `flowwatch::names`. RFC 9112 §2 (messages), §3 (request
//! line), §5 (fields), RFC 9110 §7.2 (`Host`).
//!
//! Octets may end anywhere: the request line must be whole, and fields are read as far as they are.

use core::fmt;

/// The longest method in octets that is taken for one; the registry's longest has 17.
pub const MAX_METHOD_LENGTH: usize = 32;

/// Why octets can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HttpError {
    /// The octets end before the request line does.
    Incomplete,
    /// A field line has no name, or `Host` is there twice.
    Malformed,
    /// The octets don't begin a request of HTTP/1.
    NotHttp,
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Incomplete => "the HTTP request ends within its request line",
            Self::Malformed => "the HTTP request contradicts itself",
            Self::NotHttp => "the octets are no request of HTTP/1",
        })
    }
}

impl core::error::Error for HttpError {}

/// A request's line, and what of its fields says for which host it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The method, such as `GET`.
    pub method: &'a [u8],
    /// The target as it was sent: a path, a URI, `host:port` of CONNECT, or `*`.
    pub target: &'a [u8],
    /// The content of `Host`, without the white space around it.
    pub host: Option<&'a [u8]>,
    /// Whether the header section is there to its end.
    pub is_whole: bool,
}

impl<'a> Request<'a> {
    /// Reads a stream's first octets.
    ///
    /// # Errors
    /// `NotHttp` as soon as it is sure; `Incomplete` before that; `Malformed` for what RFC 9112 has a
    /// server refuse: a field line without a colon or with white space before it, a second `Host`.
    pub fn parse(octets: &'a [u8]) -> Result<Self, HttpError> {
        let (line, fields) = match octets.iter().position(|octet| *octet == b'\n') {
            Some(end) => (
                octets.get(..end).unwrap_or_default(),
                octets.get(end + 1..).unwrap_or_default(),
            ),
            None if begins_request(octets) => return Err(HttpError::Incomplete),
            None => return Err(HttpError::NotHttp),
        };
        let (method, target) =
            parse_request_line(without_return(line)).ok_or(HttpError::NotHttp)?;
        let mut request = Self {
            method,
            target,
            host: None,
            is_whole: false,
        };
        request.read_fields(fields)?;
        Ok(request)
    }

    fn read_fields(&mut self, fields: &'a [u8]) -> Result<(), HttpError> {
        let mut fields = FieldLines { rest: fields };
        while let Some(line) = fields.next_line() {
            if without_return(line).is_empty() {
                self.is_whole = true;
                break;
            }
            let (name, content) = split_at(line, b':').ok_or(HttpError::Malformed)?;
            if name.is_empty() || !name.iter().all(|octet| is_token(*octet)) {
                return Err(HttpError::Malformed);
            }
            let is_host = name.eq_ignore_ascii_case(b"host");
            if is_host && self.host.replace(content.trim_ascii()).is_some() {
                return Err(HttpError::Malformed);
            }
        }
        Ok(())
    }

    /// Returns the host that the request is for, with its port if it is said: the target's where it
    /// has one, else `Host`'s (RFC 9112 §3.2.2).
    #[must_use]
    pub fn authority(&self) -> Option<&'a [u8]> {
        if self.method == b"CONNECT" {
            return Some(self.target);
        }
        absolute_authority(self.target).or(self.host)
    }
}

/// Returns the authority of a URI `scheme://authority/…`, without what stands before `@`.
fn absolute_authority(target: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = split_at(target, b':')?;
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme
            .iter()
            .all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(octet));
    let rest = rest.strip_prefix(b"//").filter(|_| is_scheme)?;
    let end = rest.iter().position(|octet| b"/?#".contains(octet));
    let authority = rest.get(..end.unwrap_or(rest.len()))?;
    let user = authority.iter().rposition(|octet| *octet == b'@');
    authority.get(user.map_or(0, |at| at + 1)..)
}

/// Lines up to their LF, with those that continue them (obs-fold, RFC 9112 §5.2).
struct FieldLines<'a> {
    rest: &'a [u8],
}

impl<'a> FieldLines<'a> {
    /// Returns the next line without its LF, or nothing when it may not be whole: the octet behind it
    /// tells whether it is continued, but for the empty one, which ends the section.
    fn next_line(&mut self) -> Option<&'a [u8]> {
        let mut from = 0;
        loop {
            let end = from
                + self
                    .rest
                    .get(from..)?
                    .iter()
                    .position(|octet| *octet == b'\n')?;
            let (line, rest) = (self.rest.get(..end)?, self.rest.get(end + 1..)?);
            let is_last = without_return(line).is_empty();
            match rest.first() {
                None if !is_last => return None,
                Some(b' ' | b'\t') if !is_last => from = end + 1,
                _ => {
                    self.rest = rest;
                    return Some(line);
                }
            }
        }
    }
}

/// Returns method and target of `method SP target SP HTTP/1.x`.
fn parse_request_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (method, rest) = split_at(line, b' ')?;
    let (target, version) = split_at(rest, b' ')?;
    let is_valid = is_method(method)
        && !target.is_empty()
        && matches!(version, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit());
    is_valid.then_some((method, target))
}

/// Returns whether a line without its end may be a request line.
fn begins_request(octets: &[u8]) -> bool {
    match split_at(octets, b' ') {
        Some((method, _)) => is_method(method),
        None => octets.is_empty() || is_method(octets),
    }
}

fn is_method(octets: &[u8]) -> bool {
    (1..=MAX_METHOD_LENGTH).contains(&octets.len()) && octets.iter().all(|octet| is_token(*octet))
}

/// Returns whether the octet may stand in a token (RFC 9110 §5.6.2).
const fn is_token(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(
            octet,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// A line may end with LF alone (RFC 9112 §2.2).
fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn split_at(octets: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = octets.iter().position(|octet| *octet == separator)?;
    Some((octets.get(..at)?, octets.get(at + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(octets: &str) -> Result<Option<&str>, HttpError> {
        let request = Request::parse(octets.as_bytes())?;
        Ok(request.host.map(|host| std::str::from_utf8(host).unwrap()))
    }

    /// Puts the field lines behind a request line, and an empty line behind them.
    fn check(fields: &str, expected: Result<Option<&str>, HttpError>) {
        let octets = std::format!("GET / HTTP/1.1\r\n{fields}\r\n");
        assert_eq!(host(&octets), expected);
    }

    #[test]
    fn the_rfcs_example_is_read() {
        // RFC 9112 §3.2.1.
        let octets = b"GET /where?q=now HTTP/1.1\r\nHost: www.example.org\r\n\r\n";
        assert_eq!(
            Request::parse(octets),
            Ok(Request {
                method: b"GET",
                target: b"/where?q=now",
                host: Some(b"www.example.org"),
                is_whole: true
            })
        );
    }

    #[test]
    fn host_stands_among_other_fields() {
        check("Host: a.test\r\n", Ok(Some("a.test")));
        check(
            "Accept: */*\r\nhOST:a.test\t \r\nX: Host: b\r\n",
            Ok(Some("a.test")),
        );
        check("X-Host: a.test\r\nHosts: a.test\r\n", Ok(None));
        check("Host:\r\n", Ok(Some("")));
        check("", Ok(None));
    }

    #[test]
    fn lines_may_end_with_lf_alone() {
        assert_eq!(
            host("GET / HTTP/1.1\nHost: a.test\nX: y\n\n"),
            Ok(Some("a.test"))
        );
    }

    #[test]
    fn folded_lines_belong_to_the_one_before() {
        check("Host:\r\n a.test\r\n", Ok(Some("a.test")));
        check("X: y\r\n\tHost: a.test\r\n", Ok(None));
        check("X: y\r\n z\r\nHost: a.test\r\n", Ok(Some("a.test")));
        check("Host: a\r\n b\r\n", Ok(Some("a\r\n b")));
    }

    #[test]
    fn what_a_server_refuses_is_malformed() {
        let malformed = Err(HttpError::Malformed);
        check("Host: a.test\r\nHost: a.test\r\n", malformed);
        check("Host : a.test\r\n", malformed);
        check("nonsense\r\n", malformed);
        check(": a.test\r\n", malformed);
        check(" Host: a.test\r\n", malformed);
    }

    #[test]
    fn fields_behind_the_end_are_not_read() {
        check("Host: a.test\r\n\r\nHost: b.test\r\n", Ok(Some("a.test")));
    }

    #[test]
    fn a_cut_request_gives_its_whole_lines() {
        let octets = "GET / HTTP/1.1\r\nHost: a.test\r\nX: y\r\n\r\n";
        for length in 0..octets.len() {
            let request = Request::parse(&octets.as_bytes()[..length]);
            let expected = match length {
                ..16 => Err(HttpError::Incomplete),
                // The octet behind a line tells whether it goes on.
                16..31 => Ok(None),
                _ => Ok(Some(&b"a.test"[..])),
            };
            assert_eq!(request.map(|request| request.host), expected, "{length}");
            assert!(request.is_err() || !request.unwrap().is_whole, "{length}");
        }
    }

    #[test]
    fn other_protocols_are_told_apart_early() {
        let others = [
            "SSH-2.0-OpenSSH_9.2\r\n",
            "PRI * HTTP/2.0\r\n\r\n",
            "GET /\r\n",
            "GET / HTTP/1.1 \r\n",
            "GET  HTTP/1.1\r\n",
            " GET / HTTP/1.1\r\n",
            "\x16\x03\x01",
            "EHLO [192.0.2.1]\r\n",
            "(",
            "ATOKENTHATISLONGERTHANANYMETHODIS",
        ];
        for octets in others {
            assert_eq!(host(octets), Err(HttpError::NotHttp), "{octets}");
        }
    }

    fn check_authority(octets: &str, expected: Option<&str>) {
        let request = Request::parse(octets.as_bytes()).unwrap();
        assert_eq!(request.authority(), expected.map(str::as_bytes), "{octets}");
    }

    #[test]
    fn a_target_with_a_host_goes_before_the_field() {
        let host = "HTTP/1.1\r\nHost: field.test\r\n\r\n";
        for (line, expected) in [
            ("GET / ", "field.test"),
            ("OPTIONS * ", "field.test"),
            ("GET http://www.example.org/pub/ ", "www.example.org"),
            ("GET http://www.example.org:8080 ", "www.example.org:8080"),
            ("GET HTTP://user:word@a.test?q ", "a.test"),
            ("GET /http://a.test/ ", "field.test"),
            ("GET urn:a.test ", "field.test"),
            ("CONNECT server.example.com:443 ", "server.example.com:443"),
        ] {
            check_authority(&std::format!("{line}{host}"), Some(expected));
        }
        check_authority("GET / HTTP/1.0\r\n\r\n", None);
    }
}
