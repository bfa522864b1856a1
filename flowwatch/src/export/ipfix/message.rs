//! Messages (RFC 7011 §3): records into sets, sets into messages of a bounded size.

use jiff::Timestamp;

use super::flow::{self, Flow};
use super::statistics::{self, Statistics};
use super::template::Template;
use crate::export::{Batch, Row};

/// Octets of a message's header.
const HEADER: usize = 16;
/// Octets of a set's header.
const SET_HEADER: usize = 4;
/// The set of templates.
const TEMPLATES: u16 = 2;
/// The set of options templates.
const OPTIONS_TEMPLATES: u16 = 3;

/// Where a stream of messages is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    domain: u32,
    /// Data records in all messages before, modulo 2^32.
    sequence: u32,
}

impl Stream {
    /// Returns the beginning of one.
    pub(super) const fn new(domain: u32) -> Self {
        Self {
            domain,
            sequence: 0,
        }
    }
}

/// Messages, as they are made.
#[derive(Debug)]
pub(super) struct Messages {
    stream: Stream,
    /// Octets of a message.
    most: usize,
    exported_at: u32,
    ended: Vec<Vec<u8>>,
    current: Vec<u8>,
    /// Data records in the current message.
    records: u32,
    /// Records of flows in all messages.
    flows: u64,
    /// The current message's last set, and where it begins.
    set: Option<(u16, usize)>,
    /// A record, until it is known which message it is in.
    record: Vec<u8>,
}

impl Messages {
    /// Begins messages of so many octets at most.
    pub(super) fn new(stream: Stream, most: usize, exported_at: Timestamp) -> Self {
        Self {
            stream,
            most,
            exported_at: u32::try_from(exported_at.as_second()).unwrap_or(u32::MAX),
            ended: Vec::new(),
            current: vec![0; HEADER],
            records: 0,
            flows: 0,
            set: None,
            record: Vec::new(),
        }
    }

    /// Adds the templates of flows.
    pub(super) fn describe_flows(&mut self) {
        for template in flow::TEMPLATES {
            self.add_template(TEMPLATES, template);
        }
    }

    /// Adds the templates of what the exporter says of itself.
    pub(super) fn describe_statistics(&mut self) {
        for template in statistics::TEMPLATES {
            self.add_template(OPTIONS_TEMPLATES, template);
        }
    }

    /// Adds what the exporter says of itself, about a domain.
    pub(super) fn add_statistics(&mut self, domain: u32, statistics: &Statistics) {
        let value = (domain, *statistics);
        for template in statistics::TEMPLATES {
            self.add_data(template, &value);
        }
    }

    /// Adds what was counted of a flow, or of a device in no flow.
    pub(super) fn add_row(&mut self, row: &Row, batch: &Batch) {
        for flow in Flow::of(row, batch) {
            self.add_data(flow.template(), &flow);
            self.flows += 1;
        }
    }

    /// Returns the messages, where the stream is behind them, and how many records of flows they have.
    pub(super) fn end(mut self) -> (Vec<Vec<u8>>, Stream, u64) {
        if self.current.len() > HEADER {
            self.end_message();
        }
        (self.ended, self.stream, self.flows)
    }

    fn add_template<T>(&mut self, set: u16, template: &Template<T>) {
        self.record.clear();
        template.describe(&mut self.record);
        self.add_record(set);
    }

    fn add_data<T>(&mut self, template: &Template<T>, value: &T) {
        self.record.clear();
        template.encode(value, &mut self.record);
        self.add_record(template.id);
        self.records += 1;
    }

    fn add_record(&mut self, set: u16) {
        let is_open = |current: &Self| current.set.is_some_and(|(open, _)| open == set);
        let head = if is_open(self) { 0 } else { SET_HEADER };
        if self.current.len() + head + self.record.len() > self.most {
            self.end_message();
        }
        if !is_open(self) {
            self.end_set();
            self.set = Some((set, self.current.len()));
            self.current.extend(set.to_be_bytes());
            self.current.extend([0, 0]);
        }
        self.current.append(&mut self.record);
    }

    fn end_set(&mut self) {
        if let Some((_, start)) = self.set.take() {
            let length = (self.current.len() - start) as u16;
            self.current[start + 2..start + 4].copy_from_slice(&length.to_be_bytes());
        }
    }

    fn end_message(&mut self) {
        self.end_set();
        let mut message = std::mem::replace(&mut self.current, vec![0; HEADER]);
        let length = message.len() as u16;
        message[..2].copy_from_slice(&10_u16.to_be_bytes());
        message[2..4].copy_from_slice(&length.to_be_bytes());
        message[4..8].copy_from_slice(&self.exported_at.to_be_bytes());
        message[8..12].copy_from_slice(&self.stream.sequence.to_be_bytes());
        message[12..HEADER].copy_from_slice(&self.stream.domain.to_be_bytes());
        self.ended.push(message);
        self.stream.sequence = self.stream.sequence.wrapping_add(self.records);
        self.records = 0;
    }
}
