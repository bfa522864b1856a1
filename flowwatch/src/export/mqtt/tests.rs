//! What is published, and brokers that are none.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::broker::Broker;
use super::session::Session;
use super::topics::Topics;
use super::{ENTRY, topic_of};
use crate::export::tests::World;
use crate::export::{Given, Ledger};

fn topics(discovery: Option<&str>) -> Topics {
    Topics {
        root: "flowwatch/lab".to_owned(),
        discovery: discovery.map(str::to_owned),
    }
}

/// A world in which something was counted.
fn counted() -> (World, Ledger) {
    let (mut world, mut ledger) = (World::new(3), Ledger::default());
    for _ in 0..200 {
        world.step(&mut ledger);
    }
    world.catch_up(&mut ledger);
    (world, ledger)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn each_device_has_a_topic_with_its_totals() {
    let (world, ledger) = counted();
    assert!(topics(None).messages(&Ledger::default()).is_empty());
    let messages: BTreeMap<_, _> = topics(None).messages(&ledger).into_iter().collect();
    assert_eq!(messages.len(), world.counted.len());
    for (mac, counted) in &world.counted {
        let digits = mac.to_string().replace(':', "");
        let state = json(&messages[&format!("flowwatch/lab/device/{digits}")]);
        assert_eq!(state["device_mac"], mac.to_string());
        assert_eq!(state["up_octets"], counted.up.octets);
        assert_eq!(state["up_packets"], counted.up.packets);
        assert_eq!(state["down_octets"], counted.down.octets);
        assert_eq!(state["down_packets"], counted.down.packets);
    }
}

#[test]
fn home_assistant_finds_each_value_of_a_device_under_an_identifier_of_its_own() {
    let (world, ledger) = counted();
    let messages = topics(Some("homeassistant")).messages(&ledger);
    let messages: BTreeMap<_, _> = messages.into_iter().collect();
    let configs = messages.iter();
    let configs = configs.filter(|(topic, _)| topic.starts_with("homeassistant/sensor/"));
    let configs: Vec<_> = configs.map(|(topic, text)| (topic, json(text))).collect();
    assert_eq!(configs.len(), 3 * world.counted.len());
    let mut identifiers = std::collections::BTreeSet::new();
    for (topic, config) in configs {
        assert!(topic.ends_with("/config"));
        // Node and object of a discovery topic may hold no others.
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "_-/".contains(it);
        assert!(topic.chars().all(is_plain), "{topic}");
        let state = json(&messages[config["state_topic"].as_str().unwrap()]);
        let template = config["value_template"].as_str().unwrap();
        let field = template.trim_matches(['{', '}', ' ']);
        let field = field.strip_prefix("value_json.").unwrap();
        assert!(state[field].is_u64(), "{field}");
        assert_eq!(config["device"]["connections"][0][1], state["device_mac"]);
        assert_eq!(config["availability_topic"], "flowwatch/lab/status");
        assert!(identifiers.insert(config["unique_id"].to_string()));
        let is_octets = field.ends_with("_octets");
        assert_eq!(config["unit_of_measurement"] == "B", is_octets);
    }
}

#[test]
fn a_broker_is_a_host_and_maybe_a_user() {
    let check = |text: &str, expected: Option<&str>| {
        let broker = Broker::parse(text).ok().map(|broker| {
            let (user, password) = broker.credentials.unwrap_or_default();
            format!("{} {} {user} {password}", broker.host, broker.port)
        });
        assert_eq!(broker.as_deref(), expected, "{text}");
    };
    check("mqtt://a", Some("a 1883  "));
    check("mqtt://a:1884/", Some("a 1884  "));
    check("mqtt://[::1]:1884", Some("::1 1884  "));
    check("mqtt://me@a", Some("a 1883 me "));
    check("mqtt://me:p@:s@a", Some("a 1883 me p@:s"));
    for text in ["a:1883", "mqtt://", "mqtts://a", "mqtt://a:0", "mqtt://a/b"] {
        check(text, None);
    }
    let error = Broker::parse("mqtt://me:secret@a:0").unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    let broker = Broker::parse("mqtt://me:secret@a").unwrap();
    assert!(!format!("{broker:?}").contains("secret"));
}

#[test]
fn a_topic_is_words_with_slashes_between_them() {
    for text in ["flowwatch", "home/office 2/flowwatch", "büro"] {
        assert_eq!(topic_of(text).ok().as_deref(), Some(text));
    }
    for text in ["", "/a", "a/", "a/+/b", "#", "$SYS", "a\nb"] {
        assert!(topic_of(text).is_err(), "{text}");
    }
    let settings = [("mqtt-discovery", "none".to_owned())].into();
    let given = Given {
        target: "mqtt://a",
        folder: Path::new(""),
        settings: &settings,
    };
    let target = format!("{:?}", (ENTRY.parse)(&given).unwrap());
    assert!(target.contains("discovery: None"), "{target}");
}

/// Returns why no session comes about with a broker that says this.
async fn refusal(said: &[u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let broker = Broker::parse(&format!("mqtt://{address}")).unwrap();
    let topics = topics(None);
    let answering = async {
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut asked = [0; 512];
        let length = peer.read(&mut asked).await.unwrap();
        assert_eq!(asked[0], 0x10, "CONNECT, of {length} octets");
        peer.write_all(said).await.unwrap();
        // It is closed, and nothing more is said.
    };
    let (session, ()) = tokio::join!(Session::begin(&broker, &topics), answering);
    match session {
        Ok(_) => panic!("{said:?} is no broker's"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_peer_that_talks_nonsense_or_refuses_is_an_error() {
    refusal(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    refusal(b"").await;
    refusal(&[0x20, 0xff, 0xff, 0xff, 0xff, 0xff]).await;
    refusal(&vec![0x30; 100_000]).await;
    // CONNACK: bad user name or password (MQTT 3.1.1 §3.2.2.3).
    let error = refusal(&[0x20, 2, 0, 4]).await;
    assert!(error.contains("BadUserNamePassword"), "{error}");
    // One that lets flowwatch in, and says nothing more.
    refusal(&[0x20, 2, 0, 0]).await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let broker = Broker::parse(&format!("mqtt://{address}")).unwrap();
    let topics = topics(None);
    let begun = tokio::time::Instant::now();
    let session = Session::begin(&broker, &topics).await;
    assert!(session.is_err() && begun.elapsed() <= Duration::from_secs(31));
}
