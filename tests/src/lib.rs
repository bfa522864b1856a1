//! The lab: network namespaces with devices, a gateway and an "internet", a packet builder and
//! traffic whose counts are known, so that what flowwatch counts can be held against something.
//!
//! It is the independent witness: it uses neither `flowwatch` nor `flowwatch-common`, and reads and
//! writes packets with its own code. Nothing here touches the machine's own network: every socket
//! and every program lives in a namespace that a test made, and none of them has a way out.

#![allow(
    clippy::missing_errors_doc,
    reason = "an error of the lab ends the test that met it; its text says what failed"
)]

pub mod privilege;

pub mod namespace;
pub mod process;

pub mod link;
pub mod pin_folder;

mod checksum;
mod encode;
pub mod headers;
pub mod packet;

mod listener;
mod packet_socket;

pub mod capture;
pub mod capture_file;
pub mod generator;
pub mod witness;

pub mod traffic;

pub mod dns;
pub mod http;
pub mod pseudo_terminal;
pub mod quic;
pub mod tls;

pub mod camera;
pub mod lab;
pub mod machine;

pub mod dhcp;

pub mod flowwatch;

pub mod clock;

pub mod ledger;
pub mod plain;
pub mod specimen;
pub mod stream;
pub mod volley;
