//! Prometheus: metrics for whoever scrapes them over HTTP, as text (0.0.4) and OpenMetrics (1.0.0).
//!
//! Nothing happens between two scrapes. Each takes up what is new in the ledger, so that its cost
//! follows the changes, and all that a page says of devices and destinations is of one moment.

mod accept;
mod destinations;
mod device_metrics;
mod metric;
mod page;
mod process;
mod scrape;
mod server;
mod state_metrics;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use self::destinations::Limits;
use self::metric::Metric;
use super::{ExportError, Given, SettingEntry, Sink, SinkEntry, Target, TargetError, Wiring, Work};

/// The sink.
pub(super) const ENTRY: SinkEntry = SinkEntry {
    name: "prometheus",
    value_name: "ADDR:PORT",
    help: "Serve metrics for Prometheus over HTTP, at /metrics; a port alone is one of this host's own \
           (127.0.0.1)",
    example: "127.0.0.1:9617",
    settings: &[DESTINATIONS, EXPIRY],
    parse,
};

const DESTINATIONS: SettingEntry = SettingEntry {
    name: "prometheus-destinations",
    value_name: "NUMBER",
    help: "How many destinations of one device have series of their own, 0 to 10000; the others \
           are one, `other` [default: 100]",
    example: "500",
    check: |text| destinations_of(text).map(drop),
};

const EXPIRY: SettingEntry = SettingEntry {
    name: "prometheus-expiry",
    value_name: "DURATION",
    help: "After how long without traffic a destination's series end, at least 1m [default: 1h]",
    example: "24h",
    check: |text| expiry_of(text).map(drop),
};

/// Destinations of one device that have series of their own, unless the user says otherwise.
const DEFAULT_DESTINATIONS: usize = 100;
/// Time without traffic after which series end, unless the user says otherwise: those of a device that
/// is heard of once an hour stay.
const DEFAULT_EXPIRY: Duration = Duration::from_hours(1);

fn destinations_of(text: &str) -> Result<usize, TargetError> {
    let number = text
        .parse()
        .ok()
        .filter(|number| *number <= Limits::MOST_IN_ALL);
    number.ok_or_else(|| TargetError::new(text, "is no number of destinations from 0 to 10000"))
}

fn expiry_of(text: &str) -> Result<Duration, TargetError> {
    let length = text.parse::<jiff::SignedDuration>().ok();
    let length = length.and_then(|length| Duration::try_from(length).ok());
    let length = length.filter(|length| *length >= Duration::from_mins(1));
    length.ok_or_else(|| {
        TargetError::new(
            text,
            "is no length of time of a minute or more, such as 1h or 24h",
        )
    })
}

fn parse(given: &Given<'_>) -> Result<Arc<dyn Target>, TargetError> {
    let setting = |entry: &SettingEntry| given.settings.get(entry.name);
    let limits = Limits {
        per_device: setting(&DESTINATIONS)
            .map_or(Ok(DEFAULT_DESTINATIONS), |it| destinations_of(it))?,
        expiry: setting(&EXPIRY).map_or(Ok(DEFAULT_EXPIRY), |it| expiry_of(it))?,
    };
    Ok(Arc::new(Scraped {
        address: address_of(given.target)?,
        text: given.target.to_owned(),
        limits,
    }))
}

/// Returns the address that a text says: `ADDR:PORT`, `localhost:PORT`, or a port of this host's own.
fn address_of(text: &str) -> Result<SocketAddr, TargetError> {
    const OWN: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let own_port = text.strip_prefix("localhost:").unwrap_or(text);
    let own = own_port.parse().map(|port: u16| SocketAddr::new(OWN, port));
    let address = own.ok().or_else(|| text.parse().ok());
    address.filter(|address| address.port() != 0).ok_or_else(|| {
        TargetError::new(
            text,
            "is no address to serve metrics at; write ADDR:PORT, such as 127.0.0.1:9617 or [::]:9617",
        )
    })
}

/// Where metrics are to be served.
#[derive(Debug)]
struct Scraped {
    address: SocketAddr,
    text: String,
    limits: Limits,
}

impl Target for Scraped {
    fn open(&self) -> Result<Box<dyn Sink>, ExportError> {
        let listen = || {
            let listener = TcpListener::bind(self.address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let listener = listen().map_err(|source| ExportError::Open {
            target: self.text.clone(),
            attempt: "listen there",
            source,
        })?;
        Ok(Box::new(Endpoint {
            listener,
            limits: self.limits,
        }))
    }
}

/// An endpoint that is listened at.
struct Endpoint {
    listener: TcpListener,
    limits: Limits,
}

impl Sink for Endpoint {
    fn work(self: Box<Self>, wiring: Wiring) -> Work {
        Box::pin(server::serve(self.listener, self.limits, wiring))
    }
}

/// Returns every metric that there is, in the order of a page.
fn metrics() -> impl Iterator<Item = &'static Metric> {
    [
        device_metrics::METRICS,
        state_metrics::METRICS,
        process::METRICS,
    ]
    .into_iter()
    .flatten()
}
