//! The server's side of TLS. Nothing below TLS 1.2 is spoken.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pki_types::pem::PemObject;
use pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;

use crate::crypto::issue_server_certificate;
use crate::remote::tls::certificates;
use crate::server::config::Tls;
use crate::{Error, Result};

/// How long the server's own certificate is valid. It is made anew at each start.
const OWN_CERTIFICATE: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// What is needed to shake hands.
pub(crate) struct Identity {
    pub(crate) config: Arc<rustls::ServerConfig>,
    /// PEM of the certificate that was made here, if it was.
    pub(crate) own_certificate: Option<String>,
}

impl Identity {
    /// `None` for plain HTTP. `address` is where the server listens.
    pub(crate) fn new(tls: &Tls, address: IpAddr) -> Result<Option<Self>> {
        match tls {
            Tls::Off => Ok(None),
            Tls::SelfSigned => Self::own(address).map(Some),
            Tls::Files { certificate, key, client_ca } => {
                let chain = certificates(certificate)?;
                let private = private_key(key)?;
                let config = config(chain, private, client_ca.as_deref()).map_err(|fault| match fault {
                    Fault::Key(reason) => {
                        unusable(key, &format!("does not fit {}: {reason}", certificate.display()))
                    }
                    Fault::Other(error) => error,
                })?;
                Ok(Some(Self { config: Arc::new(config), own_certificate: None }))
            }
        }
    }

    fn own(address: IpAddr) -> Result<Self> {
        let internal = |reason: String| Error::Internal { reason: format!("own certificate: {reason}") };
        let (pem, key) = issue_server_certificate(address, SystemTime::now(), OWN_CERTIFICATE)?;
        let certificate =
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| internal(error.to_string()))?;
        let key = PrivatePkcs8KeyDer::from(key.to_vec());
        let config = config(vec![certificate], key.into(), None).map_err(|fault| match fault {
            Fault::Key(reason) => internal(reason),
            Fault::Other(error) => error,
        })?;
        Ok(Self { config: Arc::new(config), own_certificate: Some(pem) })
    }
}

enum Fault {
    Key(String),
    Other(Error),
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    client_ca: Option<&Path>,
) -> Result<rustls::ServerConfig, Fault> {
    let broken =
        |error: &dyn std::fmt::Display| Fault::Other(Error::Internal { reason: format!("TLS: {error}") });
    let provider = Arc::new(ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| broken(&error))?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let refused = |error: &dyn std::fmt::Display| {
                Fault::Other(unusable(file, &format!("not usable as an authority: {error}")))
            };
            let mut authorities = RootCertStore::empty();
            for authority in certificates(file).map_err(Fault::Other)? {
                authorities.add(authority).map_err(|error| refused(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(|error| refused(&error))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| Fault::Key(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Sessions are resumed without memory here. Its keys are this configuration's
    // own, so after a reload nobody gets in by an old session.
    config.ticketer = ring::Ticketer::new().map_err(|error| broken(&error))?;
    config.send_tls13_tickets = 1;
    Ok(config)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    let pem =
        fs::read(file).map(zeroize::Zeroizing::new).map_err(|error| unusable(file, &error.to_string()))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| unusable(file, "contains no unencrypted PEM private key"))
}

fn unusable(file: &Path, reason: &str) -> Error {
    Error::InvalidConfiguration { what: file.display().to_string(), reason: reason.to_owned() }
}
