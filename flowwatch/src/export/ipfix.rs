//! IPFIX (RFC 7011): what is counted, as flow records for a collector, over UDP or TCP.
//!
//! A row becomes one record for each direction in which something was counted. Before them, each delivery has what the exporter itself did
//! and lost, as options data (RFC 7011 §4.1 and §4.2), in messages of no domain: some collectors miss
//! records where a domain's have both.

mod datagrams;
mod element;
mod flow;
mod message;
mod statistics;
mod template;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;

use self::datagrams::Datagrams;
use self::message::{Messages, Stream};
use self::statistics::Statistics;
use super::stream::{Address, PeerStream, is_host_and_port};
use super::{
    Batch, Deliver, DeliveryError, ExportError, Given, SettingEntry, Sink, SinkEntry, Target,
    TargetError, Wiring, Work, deliver_deltas,
};

/// The sink.
pub(super) const ENTRY: SinkEntry = SinkEntry {
    name: "ipfix",
    value_name: "COLLECTOR",
    help: "Send what is counted as IPFIX to a collector: udp://HOST[:PORT] or tcp://HOST[:PORT], at \
           port 4739 where none is given",
    example: "udp://192.0.2.7:4739",
    settings: &[DOMAIN],
    parse,
};

const DOMAIN: SettingEntry = SettingEntry {
    name: "ipfix-domain",
    value_name: "NUMBER",
    help: "The observation domain, by which a collector can tell several flowwatch behind one address \
           apart, 0 to 4294967295 [default: 1]",
    example: "42",
    check: |text| domain_of(text).map(drop),
};

/// The port of collectors (RFC 7011 §10.3.4).
const PORT: u16 = 4739;
/// The domain of messages that are of none (RFC 7011 §3.1).
const NO_DOMAIN: u32 = 0;
/// Octets of a message over TCP.
const STREAM_MESSAGE: usize = 16 << 10;

fn domain_of(text: &str) -> Result<u32, TargetError> {
    let why = "is no observation domain from 0 to 4294967295";
    text.parse().map_err(|_| TargetError::new(text, why))
}

fn parse(given: &Given<'_>) -> Result<Arc<dyn Target>, TargetError> {
    let text = given.target;
    let (is_stream, address) = match (text.strip_prefix("udp://"), text.strip_prefix("tcp://")) {
        (Some(address), _) => (false, Some(address)),
        (_, address) => (true, address),
    };
    let address = address.and_then(|address| {
        let candidates = [address.to_owned(), format!("{address}:{PORT}")];
        candidates.into_iter().find(|it| is_host_and_port(it))
    });
    let Some(address) = address else {
        return Err(TargetError::new(
            text,
            "is no collector; write udp://HOST:PORT or tcp://HOST:PORT, such as udp://192.0.2.7:4739",
        ));
    };
    let domain = given.settings.get(DOMAIN.name);
    Ok(Arc::new(Collector {
        address,
        is_stream,
        domain: domain.map_or(Ok(1), |text| domain_of(text))?,
    }))
}

/// Where a collector is.
#[derive(Clone, Debug)]
struct Collector {
    /// Host and port.
    address: String,
    /// Whether it is spoken to over TCP.
    is_stream: bool,
    domain: u32,
}

impl Target for Collector {
    fn open(&self) -> Result<Box<dyn Sink>, ExportError> {
        Ok(Box::new(self.clone()))
    }
}

impl Sink for Collector {
    fn work(self: Box<Self>, wiring: Wiring) -> Work {
        let transport = if self.is_stream {
            Transport::Stream(PeerStream::new(Address::Tcp(self.address)))
        } else {
            Transport::Datagrams(Datagrams::new(self.address))
        };
        let exporter = Exporter {
            transport,
            domain: self.domain,
            flows: Stream::new(self.domain),
            options: Stream::new(NO_DOMAIN),
            statistics: Statistics::default(),
            wiring: wiring.clone(),
        };
        Box::pin(deliver_deltas(wiring, exporter))
    }
}

enum Transport {
    Datagrams(Datagrams),
    Stream(PeerStream),
}

/// Sends messages.
struct Exporter {
    transport: Transport,
    domain: u32,
    /// The messages of flows.
    flows: Stream,
    /// The messages of statistics.
    options: Stream,
    statistics: Statistics,
    wiring: Wiring,
}

impl Deliver for Exporter {
    async fn deliver(&mut self, batch: &Batch) -> Result<u64, DeliveryError> {
        let (most, is_new) = match &mut self.transport {
            Transport::Datagrams(datagrams) => (datagrams.ready().await?, true),
            Transport::Stream(stream) => (STREAM_MESSAGE, stream.ready().await?),
        };
        if is_new && matches!(self.transport, Transport::Stream(_)) {
            // A connection is a session of its own, in which all is counted anew (RFC 7011 §3.1).
            self.flows = Stream::new(self.domain);
            self.options = Stream::new(NO_DOMAIN);
        }
        self.statistics.ignored = statistics::ignored(self.wiring.ledger().latest());
        let now = Timestamp::now();
        let mut own = Messages::new(self.options, most, now);
        let mut counted = Messages::new(self.flows, most, now);
        if is_new {
            own.describe_statistics();
            counted.describe_flows();
        }
        own.add_statistics(self.domain, &self.statistics);
        for row in &batch.rows {
            counted.add_row(row, batch);
        }
        let (mut messages, options, _) = own.end();
        let (of_flows, stream, flows) = counted.end();
        messages.extend(of_flows);
        match &mut self.transport {
            Transport::Datagrams(datagrams) => datagrams.send(&messages).await?,
            Transport::Stream(stream) => stream.send(&messages.concat()).await?,
        }
        let octets = messages.iter().map(|it| it.len() as u64).sum();
        self.statistics.messages += messages.len() as u64;
        self.statistics.octets += octets;
        self.statistics.flows += flows;
        (self.flows, self.options) = (stream, options);
        Ok(octets)
    }

    async fn close(&mut self) {
        if let Transport::Stream(stream) = &mut self.transport {
            stream.close().await;
        }
    }
}
