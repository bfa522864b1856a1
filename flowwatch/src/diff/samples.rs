//! The camera before and after its vendor's fix, as the write-up of 2019 has it, with octets chosen so
//! that every sum can be told apart.

use std::net::IpAddr;

use jiff::Timestamp;

use super::{Destination, Octets, Side};
use crate::geo::Scope;

/// Name, address, country, organization, octets up and down.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    u64,
    u64,
);

const ALIBABA: &str = "Hangzhou Alibaba Advertising Co.,Ltd.";

const OLD: &[Row] = &[
    (
        "gm.iotcplatform.com",
        "52.79.197.188",
        "KR",
        "Amazon.com",
        700,
        70,
    ),
    (
        "gm.iotcplatform.com",
        "50.7.98.242",
        "US",
        "FDCservers.net",
        500,
        50,
    ),
    (
        "gm.iotcplatform.com",
        "198.16.70.58",
        "NL",
        "FDCservers.net",
        300,
        30,
    ),
    (
        "cm.iotcplatform.com",
        "120.24.59.150",
        "CN",
        ALIBABA,
        11_000,
        1_100,
    ),
    ("", "129.6.15.28", "US", "NIST", 96, 96),
    ("", "192.168.8.1", "", "", 60, 90),
];

const FIXED: &[Row] = &[
    (
        "us-master.iotcplatform.com",
        "50.19.254.134",
        "US",
        "Amazon.com",
        600,
        60,
    ),
    (
        "us-master.iotcplatform.com",
        "50.7.98.242",
        "US",
        "FDCservers.net",
        400,
        40,
    ),
    (
        "api.wyzecam.com",
        "34.208.107.136",
        "US",
        "Amazon.com",
        1_800,
        5_200,
    ),
    (
        "api.wyzecam.com",
        "35.161.164.220",
        "US",
        "Amazon.com",
        2_100,
        4_100,
    ),
    (
        "api.wyzecam.com",
        "35.167.190.246",
        "US",
        "Amazon.com",
        900,
        12_345,
    ),
    (
        "wyze-iot.s3-us-west-2.amazonaws.com",
        "52.218.160.49",
        "US",
        "Amazon.com",
        150_000,
        700,
    ),
    (
        "a24rq1e5m4mtei-ats.iot.us-west-2.amazonaws.com",
        "35.160.15.131",
        "US",
        "Amazon.com",
        2_400,
        900,
    ),
    ("", "129.6.15.28", "US", "NIST", 97, 98),
    ("", "192.168.8.1", "", "", 61, 91),
];

fn country_name(code: &str) -> &'static str {
    match code {
        "KR" => "South Korea",
        "NL" => "Netherlands",
        "CN" => "China",
        _ => "United States",
    }
}

/// Returns a flow.
pub(crate) fn destination(
    (name, address, country, organization, up, down): (&str, &str, &str, &str, u64, u64),
) -> Destination {
    let address: IpAddr = address.parse().unwrap();
    let known = |text: &str| (!text.is_empty()).then(|| text.into());
    Destination {
        address,
        scope: Scope::of(address),
        names: known(name).into_iter().collect(),
        organization: known(organization),
        country: known(country),
        country_name: known(country).map(|_| country_name(country).into()),
        octets: Octets { up, down },
    }
}

/// Returns a side without a device, of one hour.
pub(crate) fn side(label: &str) -> Side {
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    Side {
        label: label.to_owned(),
        source: "capture",
        started_at: time("2026-01-02T03:00:00Z"),
        ended_at: time("2026-01-02T04:00:00Z"),
        devices: Vec::new(),
    }
}

fn camera(label: &str, rows: &[Row]) -> Side {
    let mut side = side(label);
    let camera = side.device("camera", "2c:aa:8e:00:00:01".parse().ok());
    camera.destinations = rows.iter().copied().map(destination).collect();
    side
}

/// The firmware that the owner found.
pub(crate) fn old() -> Side {
    camera("old.pcap", OLD)
}

/// The vendor's fix.
pub(crate) fn fixed() -> Side {
    camera("fixed.pcap", FIXED)
}
