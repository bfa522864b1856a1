//! Encrypted Client Hello (RFC 9849): a configuration as a server would publish it in DNS, and the
//! appearance of one.

use anyhow::{Context, Result};
use rustls::client::{EchConfig, EchGreaseConfig, EchMode};
use rustls::crypto::aws_lc_rs::hpke::{ALL_SUPPORTED_SUITES, DH_KEM_X25519_HKDF_SHA256_AES_128};
use rustls::crypto::hpke::Hpke;
use rustls::pki_types::EchConfigListBytes;

/// The version of a configuration (RFC 9849 §4).
const VERSION: u16 = 0xfe0d;
/// DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM (RFC 9180 §7).
const KEM: u16 = 0x20;
const SUITE: [u16; 2] = [1, 1];

/// Offers random octets.
pub(super) fn grease() -> Result<EchMode> {
    let suite = DH_KEM_X25519_HKDF_SHA256_AES_128;
    let (public, _) = suite.generate_key_pair().context("make a key pair")?;
    Ok(EchGreaseConfig::new(suite, public).into())
}

/// Encrypts to a key that nobody has, under a public name.
pub(super) fn under(public_name: &str) -> Result<EchMode> {
    let suite = DH_KEM_X25519_HKDF_SHA256_AES_128;
    let (public, _) = suite.generate_key_pair().context("make a key pair")?;
    let list = EchConfigListBytes::from(config_list(public_name, &public.0));
    let config = EchConfig::new(list, ALL_SUPPORTED_SUITES);
    Ok(config.context("read the configuration")?.into())
}

/// An `ECHConfigList` of one configuration.
fn config_list(public_name: &str, key: &[u8]) -> Vec<u8> {
    let with_length =
        |octets: Vec<u8>| [&(octets.len() as u16).to_be_bytes()[..], &octets].concat();
    // Identifier 7; a maximum name length of 0; no extensions.
    let mut contents = vec![7];
    contents.extend(KEM.to_be_bytes());
    contents.extend(with_length(key.to_vec()));
    contents.extend(with_length(SUITE.map(u16::to_be_bytes).concat()));
    contents.extend([0, public_name.len() as u8]);
    contents.extend(public_name.as_bytes());
    contents.extend([0, 0]);
    let config = [&VERSION.to_be_bytes()[..], &with_length(contents)].concat();
    with_length(config)
}
