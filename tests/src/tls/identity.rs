//! The lab's one certificate: its servers show it under every name, and its clients take no other.

use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, PeerIncompatible, ServerConfig, SignatureScheme,
};

/// The certificate and its key, PKCS #8.
struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

/// The one of this process.
fn identity() -> Result<&'static Identity> {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    if let Some(identity) = IDENTITY.get() {
        return Ok(identity);
    }
    // Its signatures are of one length always, so that two runs' octets are equal.
    let key = KeyPair::generate_for(&PKCS_ED25519).context("make a key pair")?;
    let parameters = CertificateParams::new(["lab.test".to_owned()])?;
    let certificate = parameters.self_signed(&key).context("make a certificate")?;
    Ok(IDENTITY.get_or_init(|| Identity {
        certificate: certificate.der().clone(),
        key: key.serialize_der(),
    }))
}

/// What the lab's servers are set to, over TCP and QUIC.
pub(crate) fn server_config() -> Result<Arc<ServerConfig>> {
    let identity = identity()?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.clone()));
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut config = builder
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate.clone()], key)?;
    // Tickets would follow the handshake, and their octets be lost to a client that closes first.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Takes the lab's certificate, whatever the server's name.
pub(crate) fn verifier() -> Result<Arc<dyn ServerCertVerifier>> {
    Ok(Arc::new(Pinned {
        certificate: &identity()?.certificate,
        algorithms: provider().signature_verification_algorithms,
    }))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

#[derive(Debug)]
struct Pinned {
    certificate: &'static CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if certificate == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::UnknownIssuer.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
