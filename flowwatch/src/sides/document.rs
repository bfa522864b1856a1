//! A document of `--format json` as a side: its devices, and its flows as far as they are compared.
//!
//! It may have been changed by anybody since: what can't be read is an error, and its size is bounded.

use std::{fs::File, io, net::IpAddr, path::Path, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::SideError;
use crate::{
    diff::{Destination, NameClaim, Octets, Side},
    geo::Scope,
    model::MacAddress,
};

/// The most octets of a document: some million flows.
const MOST: u64 = 1 << 30;

#[derive(Deserialize)]
struct Document {
    meta: Meta,
    devices: Vec<Device>,
    flows: Vec<Flow>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(deserialize_with = "parsed")]
    started_at: Timestamp,
    #[serde(deserialize_with = "parsed")]
    ended_at: Timestamp,
}

#[derive(Deserialize)]
struct Device {
    device: String,
    #[serde(deserialize_with = "mac")]
    device_mac: Option<MacAddress>,
}

#[derive(Deserialize)]
struct Flow {
    #[serde(flatten)]
    device: Device,
    remote_address: IpAddr,
    country: Option<String>,
    country_name: Option<String>,
    organization: Option<String>,
    up_octets: u64,
    down_octets: u64,
    names: Vec<Claim>,
}

#[derive(Deserialize)]
struct Claim {
    name: String,
    #[serde(deserialize_with = "parsed")]
    first_told: Timestamp,
    #[serde(deserialize_with = "parsed")]
    last_told: Timestamp,
}

/// Reads a document.
///
/// # Errors
/// `Open`, `TooLarge` and `Document`.
pub(super) fn read(label: &str, path: &Path) -> Result<Side, SideError> {
    let name = || path.display().to_string();
    let open = |source| SideError::Open {
        path: name(),
        source,
    };
    let file = File::open(path).map_err(open)?;
    if file.metadata().map_err(open)?.len() > MOST {
        return Err(SideError::TooLarge {
            path: name(),
            most: MOST,
        });
    }
    let octets = io::read_to_string(file).map_err(open)?;
    let document = serde_json::from_str(&octets).map_err(|cause| SideError::Document {
        path: name(),
        cause,
    })?;
    Ok(side(label, document))
}

fn side(label: &str, document: Document) -> Side {
    let mut side = Side {
        label: label.to_owned(),
        source: "document",
        started_at: document.meta.started_at,
        ended_at: document.meta.ended_at,
        devices: Vec::new(),
    };
    for Device { device, device_mac } in &document.devices {
        side.device(device, *device_mac);
    }
    for flow in document.flows {
        let claims = flow.names.into_iter().map(|claim| NameClaim {
            name: claim.name.into(),
            first_told: claim.first_told,
            last_told: claim.last_told,
        });
        let destination = Destination {
            address: flow.remote_address,
            scope: Scope::of(flow.remote_address),
            names: side.names_in_time(&claims.collect::<Vec<_>>()),
            organization: flow.organization.map(Into::into),
            country: flow.country.map(Into::into),
            country_name: flow.country_name.map(Into::into),
            octets: Octets {
                up: flow.up_octets,
                down: flow.down_octets,
            },
        };
        let Device { device, device_mac } = &flow.device;
        side.device(device, *device_mac)
            .destinations
            .push(destination);
    }
    side
}

fn parsed<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err: std::fmt::Display>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}

fn mac<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<MacAddress>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(D::Error::custom))
        .transpose()
}
