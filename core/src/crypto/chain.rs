//! Whether a certificate chains to a pinned CA. webpki builds the chains; the
//! rules of Go that it does not have are added here.

use std::time::Duration;

use pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, KeyUsage as Purpose, VerifiedPath, anchor_from_trusted_cert};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::oid::db::rfc5280::{ANY_EXTENDED_KEY_USAGE, ID_KP_SERVER_AUTH};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use super::certificate::{Certificate, CertificateFault};

type Algorithms = [&'static dyn SignatureVerificationAlgorithm];

/// The signatures on certificates that are understood.
#[cfg(feature = "ring")]
pub(super) const ALGORITHMS: &Algorithms = webpki::ALL_VERIFICATION_ALGS;
/// The signatures on certificates that are understood.
#[cfg(not(feature = "ring"))]
pub(super) const ALGORITHMS: &Algorithms = pure_rust::ALGORITHMS;

/// Looks for a chain from `leaf` through some of `authorities` to one of
/// `anchors`, all valid at `now`, and fit for server authentication.
pub(super) fn verify(
    algorithms: &Algorithms,
    leaf: &Certificate,
    authorities: &[Certificate],
    anchors: &[Certificate],
    now: Duration,
) -> Result<(), CertificateFault> {
    let no_chain = |reason: String| CertificateFault::NoChain(reason);
    if !is_understood(leaf) {
        return Err(no_chain("the certificate has an unknown critical extension".into()));
    }
    let end_entity = EndEntityCert::try_from(&leaf.der).map_err(|e| no_chain(e.to_string()))?;
    let authorities: Vec<CertificateDer<'_>> = authorities
        .iter()
        .filter(|certificate| may_issue(certificate))
        .map(|certificate| certificate.der.clone())
        .collect();

    let mut fault = webpki::Error::UnknownIssuer;
    for anchor in anchors {
        match chains_to_anchor(algorithms, &end_entity, &authorities, anchor, now) {
            Ok(()) => return Ok(()),
            // An issuer that was found and failed says more than one that was not.
            Err(webpki::Error::UnknownIssuer) => {}
            Err(telling) => fault = telling,
        }
    }
    Err(no_chain(fault.to_string()))
}

fn chains_to_anchor(
    algorithms: &Algorithms,
    leaf: &EndEntityCert<'_>,
    authorities: &[CertificateDer<'_>],
    anchor: &Certificate,
    now: Duration,
) -> Result<(), webpki::Error> {
    // webpki takes an anchor's word for everything; Go checks it like the rest.
    let is_valid = anchor.check(Some(now)).is_ok() && anchor.has_begun(now);
    if !is_valid || !may_issue(anchor) || !may_authenticate_servers(anchor) {
        return Err(webpki::Error::UnknownIssuer);
    }
    let path_length = anchor.path_length();
    let within_path_length = |path: &VerifiedPath<'_>| {
        let between = path.intermediate_certificates().count();
        match path_length {
            Some(longest) if between > usize::from(longest) => {
                Err(webpki::Error::PathLenConstraintViolated)
            }
            _ => Ok(()),
        }
    };
    leaf.verify_for_usage(
        algorithms,
        &[anchor_from_trusted_cert(&anchor.der)?],
        authorities,
        UnixTime::since_unix_epoch(now),
        Purpose::server_auth(),
        None,
        Some(&within_path_length),
    )
    .map(|_| ())
}

/// A CA, and one whose key usage, if given, has certificates in it.
// Stricter: Go lets version 1 certificates in the CA file issue others.
fn may_issue(certificate: &Certificate) -> bool {
    let signs_certificates = match certificate.extension::<KeyUsage>() {
        Ok(Some(usage)) => usage.key_cert_sign(),
        Ok(None) => true,
        Err(_) => false,
    };
    certificate.is_ca() && signs_certificates && is_understood(certificate)
}

fn may_authenticate_servers(certificate: &Certificate) -> bool {
    match certificate.extension::<ExtendedKeyUsage>() {
        Ok(Some(usage)) => {
            usage.0.contains(&ID_KP_SERVER_AUTH) || usage.0.contains(&ANY_EXTENDED_KEY_USAGE)
        }
        Ok(None) => true,
        Err(_) => false,
    }
}

/// Whether every critical extension is one that is surely read as Go reads it.
// Stricter: Go knows critical name constraints and alternative names too, with
// exceptions of its own.
fn is_understood(certificate: &Certificate) -> bool {
    let understood = [BasicConstraints::OID, KeyUsage::OID, ExtendedKeyUsage::OID];
    certificate
        .extensions()
        .iter()
        .all(|extension| !extension.critical || understood.contains(&extension.extn_id))
}

/// ECDSA for webpki where ring is not built in. RSA is then not supported.
#[cfg(any(not(feature = "ring"), test))]
mod pure_rust {
    use p256::ecdsa::signature::hazmat::PrehashVerifier;
    use sha2::{Digest, Sha256, Sha384};
    use pki_types::{
        AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
    };

    pub(super) const ALGORITHMS: &super::Algorithms = &[
        &Ecdsa { key: alg_id::ECDSA_P256, signature: alg_id::ECDSA_SHA256, verify: p256::<Sha256> },
        &Ecdsa { key: alg_id::ECDSA_P256, signature: alg_id::ECDSA_SHA384, verify: p256::<Sha384> },
        &Ecdsa { key: alg_id::ECDSA_P384, signature: alg_id::ECDSA_SHA256, verify: p384::<Sha256> },
        &Ecdsa { key: alg_id::ECDSA_P384, signature: alg_id::ECDSA_SHA384, verify: p384::<Sha384> },
    ];

    #[derive(Debug)]
    struct Ecdsa {
        key: AlgorithmIdentifier,
        signature: AlgorithmIdentifier,
        verify: fn(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()>,
    }

    impl SignatureVerificationAlgorithm for Ecdsa {
        fn verify_signature(
            &self,
            public_key: &[u8],
            message: &[u8],
            signature: &[u8],
        ) -> Result<(), InvalidSignature> {
            // Go reads no compressed points.
            if public_key.first() != Some(&4) {
                return Err(InvalidSignature);
            }
            (self.verify)(public_key, message, signature).ok_or(InvalidSignature)
        }

        fn public_key_alg_id(&self) -> AlgorithmIdentifier {
            self.key
        }

        fn signature_alg_id(&self) -> AlgorithmIdentifier {
            self.signature
        }
    }

    fn p256<D: Digest>(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
        let signature = p256::ecdsa::Signature::from_der(signature).ok()?;
        p256::ecdsa::VerifyingKey::from_sec1_bytes(key)
            .and_then(|key| key.verify_prehash(&D::digest(message), &signature))
            .ok()
    }

    fn p384<D: Digest>(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
        let signature = p384::ecdsa::Signature::from_der(signature).ok()?;
        p384::ecdsa::VerifyingKey::from_sec1_bytes(key)
            .and_then(|key| key.verify_prehash(&D::digest(message), &signature))
            .ok()
    }
}
