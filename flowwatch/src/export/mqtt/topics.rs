//! What is published: a topic for each device, one that says whether flowwatch counts, and those by
//! which Home Assistant finds the devices.

use serde_json::{Value, json};

use crate::export::{Account, Latest, Ledger};
use crate::model::MacAddress;
use crate::store::DeviceSummary;
use crate::text;

/// What topics begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topics {
    pub(super) root: String,
    /// Where Home Assistant looks.
    pub(super) discovery: Option<String>,
}

/// A message: its topic, and what it holds.
pub(super) type Message = (String, String);

/// A value that Home Assistant shows of a device.
struct Sensor {
    /// The field of the device's topic.
    field: &'static str,
    name: &'static str,
    /// Whether it counts octets.
    is_octets: bool,
}

const SENSORS: &[Sensor] = &[
    Sensor {
        field: "up_octets",
        name: "Sent",
        is_octets: true,
    },
    Sensor {
        field: "down_octets",
        name: "Received",
        is_octets: true,
    },
    Sensor {
        field: "flows",
        name: "Flows",
        is_octets: false,
    },
];

impl Topics {
    /// Returns the topic that says whether flowwatch counts: `online` or `offline`.
    pub(super) fn status(&self) -> String {
        format!("{}/status", self.root)
    }

    /// Returns everything that is to be known of the devices.
    pub(super) fn messages(&self, ledger: &Ledger) -> Vec<Message> {
        let Some(latest) = ledger.latest() else {
            return Vec::new();
        };
        let mut messages = Vec::new();
        for account in ledger.accounts() {
            let Some(mac) = account.device.mac else {
                continue;
            };
            messages.push((self.device(mac), state(account, mac, latest)));
            if let Some(discovery) = &self.discovery {
                let of = |sensor| self.discovered(discovery, account, mac, sensor);
                messages.extend(SENSORS.iter().map(of));
            }
        }
        messages
    }

    fn device(&self, mac: MacAddress) -> String {
        format!("{}/device/{}", self.root, digits(mac))
    }

    /// Returns how Home Assistant finds a sensor.
    fn discovered(
        &self,
        discovery: &str,
        account: &Account,
        mac: MacAddress,
        sensor: &Sensor,
    ) -> Message {
        // Of two flowwatch that count one device, each has its own.
        let root = self
            .root
            .replace(|it: char| !it.is_ascii_alphanumeric(), "_");
        let id = format!("{root}_{}", digits(mac));
        let field = sensor.field;
        let mut config = json!({
            "name": sensor.name,
            "unique_id": format!("{id}_{field}"),
            "state_topic": self.device(mac),
            "value_template": format!("{{{{ value_json.{field} }}}}"),
            "availability_topic": self.status(),
            "device": {
                "identifiers": [id],
                "connections": [["mac", mac.to_string()]],
                "name": text::printable(&account.device.name),
            },
            "origin": { "name": "flowwatch", "sw_version": env!("CARGO_PKG_VERSION") },
        });
        if let Value::Object(config) = &mut config {
            let own = if sensor.is_octets {
                json!({
                    "device_class": "data_size",
                    "state_class": "total_increasing",
                    "unit_of_measurement": "B",
                })
            } else {
                json!({ "state_class": "measurement" })
            };
            config.extend(own.as_object().cloned().unwrap_or_default());
        }
        let topic = format!("{discovery}/sensor/{id}/{field}/config");
        (topic, config.to_string())
    }
}

/// Returns a device's state.
fn state(account: &Account, mac: MacAddress, latest: &Latest) -> String {
    let is_it = |summary: &&DeviceSummary| summary.device_mac == Some(mac);
    let summary = latest.devices.iter().find(is_it);
    json!({
        "device": text::printable(&account.device.name),
        "device_mac": mac.to_string(),
        "up_packets": account.totals.up.packets,
        "up_octets": account.totals.up.octets,
        "down_packets": account.totals.down.packets,
        "down_octets": account.totals.down.octets,
        "flows": summary.map(|summary| summary.flows),
        "conserved": summary.map(|summary| summary.conserved),
        "counting_since": format!("{:.3}", latest.meta.started_at),
    })
    .to_string()
}

fn digits(mac: MacAddress) -> String {
    mac.to_string().replace(':', "")
}
