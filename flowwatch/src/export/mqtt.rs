//! MQTT 3.1.1: one retained topic for each device, for home automation; Home Assistant finds them by
//! itself.
//!
//! What a topic holds are totals, so that nothing is lost while the broker is away: the next message has
//! everything. A message goes out when it says something else than the one before.

mod broker;
mod session;
#[cfg(test)]
mod tests;
mod topics;

use std::sync::Arc;

use tokio::time::Instant;

use self::broker::Broker;
use self::session::Session;
use self::topics::Topics;
use super::deliver::{FIRST_WAIT, LONGEST_WAIT, next_turn, tell};
use super::{
    Complaint, DeliveryError, ExportError, Given, SettingEntry, Sink, SinkEntry, Target,
    TargetError, Wiring, Work,
};

/// The sink.
pub(super) const ENTRY: SinkEntry = SinkEntry {
    name: "mqtt",
    value_name: "BROKER",
    help: "Publish each device's totals to an MQTT broker, retained, and tell Home Assistant of them: \
           mqtt://[USER:PASSWORD@]HOST[:PORT], at port 1883 where none is given",
    example: "mqtt://homeassistant.lan",
    settings: &[TOPIC, DISCOVERY],
    parse,
};

const TOPIC: SettingEntry = SettingEntry {
    name: "mqtt-topic",
    value_name: "TOPIC",
    help: "What topics begin with; several flowwatch at one broker need several [default: flowwatch]",
    example: "flowwatch/office",
    check: |text| topic_of(text).map(drop),
};

const DISCOVERY: SettingEntry = SettingEntry {
    name: "mqtt-discovery",
    value_name: "TOPIC",
    help: "What the topics begin with at which Home Assistant looks for devices, or none \
           [default: homeassistant]",
    example: "none",
    check: |text| topic_of(text).map(drop),
};

/// Octets of a topic's beginning.
const MOST_TOPIC: usize = 200;

fn topic_of(text: &str) -> Result<String, TargetError> {
    let is_topic = !text.is_empty()
        && text.len() <= MOST_TOPIC
        && !text.starts_with(['/', '$'])
        && !text.ends_with('/')
        && !text.contains(['+', '#'])
        && !text.contains(char::is_control);
    if is_topic {
        Ok(text.to_owned())
    } else {
        Err(TargetError::new(
            text,
            "is no beginning of topics; write words with slashes between them, such as \
             flowwatch/office, without + and #",
        ))
    }
}

fn parse(given: &Given<'_>) -> Result<Arc<dyn Target>, TargetError> {
    let setting = |entry: &SettingEntry, default: &str| {
        let text = given.settings.get(entry.name);
        topic_of(text.map_or(default, String::as_str))
    };
    let discovery = setting(&DISCOVERY, "homeassistant")?;
    Ok(Arc::new(Published {
        broker: Broker::parse(given.target)?,
        topics: Topics {
            root: setting(&TOPIC, "flowwatch")?,
            discovery: (discovery != "none").then_some(discovery),
        },
    }))
}

/// What is to be published, and where.
#[derive(Clone, Debug)]
struct Published {
    broker: Broker,
    topics: Topics,
}

impl Target for Published {
    fn open(&self) -> Result<Box<dyn Sink>, ExportError> {
        Ok(Box::new(self.clone()))
    }
}

impl Sink for Published {
    fn work(self: Box<Self>, wiring: Wiring) -> Work {
        Box::pin(publish(*self, wiring))
    }
}

/// Publishes what has changed once an interval, until the counting has ended and all is published.
async fn publish(published: Published, mut wiring: Wiring) {
    let mut session = None;
    let mut complaint = Complaint::default();
    let mut due = Instant::now();
    let mut wait = FIRST_WAIT;
    let mut has_ended = false;
    loop {
        let lost = idle(&mut session, &mut wiring, due, &mut has_ended).await;
        let outcome = match lost {
            Ok(()) => deliver(&published, &mut session, &wiring).await,
            Err(error) => Err(error),
        };
        let now = Instant::now();
        tell(&wiring, &outcome, &mut complaint, now);
        if outcome.is_err() {
            session = None;
            due = now + wait;
            wait = (wait * 2).min(LONGEST_WAIT);
            continue;
        }
        if has_ended {
            if let Some(session) = session {
                session.close(&published.topics).await;
            }
            return;
        }
        wait = FIRST_WAIT;
        due = next_turn(due, now, wiring.interval);
    }
}

/// Waits until it is time, or the counting has ended, and keeps the session alive meanwhile; an error
/// where that is lost.
async fn idle(
    session: &mut Option<Session>,
    wiring: &mut Wiring,
    due: Instant,
    has_ended: &mut bool,
) -> Result<(), DeliveryError> {
    let waiting = async {
        if *has_ended {
            tokio::time::sleep_until(due).await;
        } else {
            *has_ended = !wiring.until(due).await;
        }
    };
    let Some(session) = session else {
        waiting.await;
        return Ok(());
    };
    tokio::select! {
        () = waiting => Ok(()),
        error = session.listen() => Err(error),
    }
}

async fn deliver(
    published: &Published,
    session: &mut Option<Session>,
    wiring: &Wiring,
) -> Result<(), DeliveryError> {
    let session = match session {
        Some(session) => session,
        None => session.insert(Session::begin(&published.broker, &published.topics).await?),
    };
    let messages = published.topics.messages(&wiring.ledger());
    session.publish(messages, &wiring.figures).await
}
