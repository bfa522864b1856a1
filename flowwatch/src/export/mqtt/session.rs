//! A session with a broker: from connecting to what goes wrong.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, LastWill, MqttOptions, Packet, QoS};
use tokio::time::timeout;

use super::broker::Broker;
use super::topics::{Message, Topics};
use crate::export::{DeliveryError, Figures};

/// How long the broker may take to let one in, or to take what is published.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is asked whether it is still there; after half as long again, it takes flowwatch for
/// gone.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Messages on their way to the client.
const UNDER_WAY: usize = 64;
/// Octets of a packet that comes in: acknowledgements have a few.
const MOST_SAID: usize = 4096;
/// Octets of a message: topics and names have a bound.
const MOST_SENT: usize = 64 << 10;

/// A session.
pub(super) struct Session {
    client: AsyncClient,
    events: EventLoop,
    /// What the broker has of this session: a topic's last message. Another one may have none of it.
    told: HashMap<String, String>,
}

impl Session {
    /// Connects, and says that flowwatch counts; the broker says otherwise when the session is lost.
    pub(super) async fn begin(broker: &Broker, topics: &Topics) -> Result<Self, DeliveryError> {
        let mut options = MqttOptions::new(identifier(), &broker.host, broker.port);
        options.set_keep_alive(KEEP_ALIVE);
        options.set_max_packet_size(MOST_SAID, MOST_SENT);
        let will = LastWill::new(topics.status(), "offline", QoS::AtLeastOnce, true);
        options.set_last_will(will);
        if let Some((user, password)) = &broker.credentials {
            options.set_credentials(user, password);
        }
        let (client, events) = AsyncClient::new(options, UNDER_WAY);
        let mut session = Self {
            client,
            events,
            told: HashMap::new(),
        };
        let connecting = session.events.poll();
        let connected = timeout(PATIENCE, connecting).await;
        let _ = connected.map_err(|_| DeliveryError::Slow)?.map_err(lost)?;
        let online = vec![(topics.status(), "online".to_owned())];
        session.send(online).await?;
        Ok(session)
    }

    /// Listens to the broker for as long as it is there; returns why it is not.
    pub(super) async fn listen(&mut self) -> DeliveryError {
        loop {
            if let Err(error) = self.events.poll().await {
                return lost(error);
            }
        }
    }

    /// Publishes the messages that say something new, until the broker has them.
    pub(super) async fn publish(
        &mut self,
        mut messages: Vec<Message>,
        figures: &Figures,
    ) -> Result<(), DeliveryError> {
        messages.retain(|(topic, text)| self.told.get(topic) != Some(text));
        if messages.is_empty() {
            return Ok(());
        }
        figures.wait(messages.len() as u64);
        self.send(messages.clone()).await?;
        let octets = messages.iter().map(|(_, text)| text.len() as u64).sum();
        figures.delivered(messages.len() as u64, octets);
        figures.wait(0);
        self.told.extend(messages);
        Ok(())
    }

    /// Says that flowwatch counts no more, and leaves.
    pub(super) async fn close(mut self, topics: &Topics) {
        let offline = vec![(topics.status(), "offline".to_owned())];
        if self.send(offline).await.is_ok() && self.client.disconnect().await.is_ok() {
            // Until the broker has closed the connection, which is an error here.
            let _ = timeout(PATIENCE, self.listen()).await;
        }
    }

    /// Sends messages until all are acknowledged.
    async fn send(&mut self, messages: Vec<Message>) -> Result<(), DeliveryError> {
        let Self { client, events, .. } = self;
        let mut missing = messages.len();
        let sending = async {
            for (topic, text) in messages {
                let sent = client.publish(topic, QoS::AtLeastOnce, true, text).await;
                sent.map_err(|error| DeliveryError::Refused(error.to_string()))?;
            }
            std::future::pending::<Result<(), DeliveryError>>().await
        };
        let acknowledged = async {
            while missing > 0 {
                if let Event::Incoming(Packet::PubAck(_)) = events.poll().await.map_err(lost)? {
                    missing -= 1;
                }
            }
            Ok(())
        };
        let both = async {
            tokio::select! {
                refused = sending => refused,
                outcome = acknowledged => outcome,
            }
        };
        timeout(PATIENCE, both)
            .await
            .unwrap_or(Err(DeliveryError::Slow))
    }
}

/// Returns why a session is no more, as a delivery's error.
fn lost(error: ConnectionError) -> DeliveryError {
    match error {
        ConnectionError::Io(source) => DeliveryError::of("talk to the broker")(source),
        other => DeliveryError::Refused(format!("talk to the broker: {other}")),
    }
}

/// Returns what the broker calls the session: nobody else's, and no longer than every broker takes.
fn identifier() -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("flowwatch-{:012x}", random & 0xffff_ffff_ffff)
}
