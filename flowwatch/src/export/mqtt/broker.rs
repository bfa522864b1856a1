//! Where a broker is, and who one is there.

use crate::export::TargetError;
use crate::export::stream::is_host_and_port;

/// The port of brokers, as IANA registers it.
const PORT: u16 = 1883;

/// A broker.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Broker {
    /// A name or an address, of IPv6 without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// User and password.
    pub(super) credentials: Option<(String, String)>,
}

impl std::fmt::Debug for Broker {
    /// Leaves the password out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let user = self.credentials.as_ref().map(|(user, _)| user);
        write!(f, "{user:?} at {}:{}", self.host, self.port)
    }
}

impl Broker {
    /// Reads `mqtt://[USER[:PASSWORD]@]HOST[:PORT]`.
    pub(super) fn parse(text: &str) -> Result<Self, TargetError> {
        let read = || {
            let rest = text.strip_prefix("mqtt://")?;
            let rest = rest.strip_suffix('/').unwrap_or(rest);
            // A password may hold an @.
            let (credentials, address) = match rest.rsplit_once('@') {
                Some((credentials, address)) => (Some(credentials), address),
                None => (None, rest),
            };
            let candidates = [address.to_owned(), format!("{address}:{PORT}")];
            let address = candidates.into_iter().find(|it| is_host_and_port(it))?;
            let (host, port) = address.rsplit_once(':')?;
            let credentials = credentials.map(|text| {
                let (user, password) = text.split_once(':').unwrap_or((text, ""));
                (user.to_owned(), password.to_owned())
            });
            Some(Self {
                host: host.trim_matches(['[', ']']).to_owned(),
                port: port.parse().ok()?,
                credentials,
            })
        };
        read().ok_or_else(|| {
            // What is wrong may hold a password.
            let shown = text.rsplit_once('@').map_or(text, |(_, address)| address);
            TargetError::new(
                shown,
                "is no broker; write mqtt://HOST:PORT or mqtt://USER:PASSWORD@HOST:PORT, such as \
                 mqtt://homeassistant.lan",
            )
        })
    }
}
