//! Whom TLS trusts, and what it shows of us. Verification is never off, and
//! nothing below TLS 1.2 is spoken.

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use crate::{Error, Result};

/// The certificates of the system, read when the first server is asked for.
#[derive(Default)]
pub(super) struct SystemRoots(OnceLock<Vec<Certificate<'static>>>);

impl SystemRoots {
    pub(super) fn get(&self) -> &[Certificate<'static>] {
        self.0.get_or_init(|| {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                log::warn!("certificates of the system: {error}");
            }
            found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
        })
    }
}

/// The authorities in a PEM file; each must be usable.
pub(crate) fn authorities(file: &Path) -> Result<Vec<Certificate<'static>>> {
    let ders = certificates(file)?;
    for der in &ders {
        RootCertStore::empty()
            .add(der.clone())
            .map_err(|error| unusable(file, &format!("not usable as an authority: {error}")))?;
    }
    Ok(ders.iter().map(|der| Certificate::from_der(der).to_owned()).collect())
}

/// A certificate with its chain, and its key.
pub(crate) fn client_certificate(certificate: &Path, key: &Path) -> Result<ClientCert> {
    let chain = certificates(certificate)?;
    let pem = fs::read(key).map_err(|error| unusable(key, &error.to_string()))?;
    let private = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| unusable(key, "contains no unencrypted PEM private key"))?;

    // ureq does not expect this to fail, so it is tried here first.
    let provider =
        CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()));
    CertifiedKey::from_der(chain.clone(), private, &provider)
        .map_err(|error| unusable(key, &format!("does not fit {}: {error}", certificate.display())))?;

    let chain: Vec<_> = chain.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    let private = PrivateKey::from_pem(&pem).map_err(|error| unusable(key, &error.to_string()))?;
    Ok(ClientCert::new_with_certs(&chain, private))
}

pub(super) fn config(authorities: Vec<Certificate<'static>>, client: Option<ClientCert>) -> TlsConfig {
    TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(authorities)))
        .client_cert(client)
        // Ours, whatever the process may have set for others.
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}

pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let pem = fs::read(file).map_err(|error| unusable(file, &error.to_string()))?;
    let ders = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(file, &format!("not PEM: {error}")))?;
    if ders.is_empty() {
        return Err(unusable(file, "contains no PEM certificate"));
    }
    Ok(ders)
}

fn unusable(file: &Path, reason: &str) -> Error {
    Error::InvalidConfiguration { what: file.display().to_string(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::testing::testdata;

    #[test]
    fn files_that_are_no_certificates_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let refused = |content: Option<&str>| {
            if let Some(content) = content {
                fs::write(&file, content).unwrap();
            }
            let Error::InvalidConfiguration { what, reason } = authorities(&file).unwrap_err() else {
                panic!("another error");
            };
            assert_eq!(what, file.display().to_string());
            reason
        };
        assert!(refused(None).contains("No such file"));
        assert_eq!(refused(Some("")), "contains no PEM certificate");
        assert!(refused(Some("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")).contains("PEM"));
        assert!(
            refused(Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
                .contains("not usable as an authority")
        );
        assert_eq!(authorities(&testdata("ca.pem")).unwrap().len(), 1);
    }

    #[test]
    fn a_client_key_must_fit_its_certificate() {
        assert!(client_certificate(&testdata("client.pem"), &testdata("client.key")).is_ok());
        for (certificate, key) in
            [("client.pem", "server.key"), ("client.pem", "ca.pem"), ("client.key", "client.key")]
        {
            assert!(
                matches!(
                    client_certificate(&testdata(certificate), &testdata(key)),
                    Err(Error::InvalidConfiguration { .. })
                ),
                "{certificate} {key}"
            );
        }
    }
}
