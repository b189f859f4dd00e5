//! Whether a certificate chains to a pinned CA. webpki builds the chains; the
//! rules of Go that it does not have are added here.

use std::time::Duration;

use pki_types::{SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath, anchor_from_trusted_cert,
};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::oid::db::rfc5280::{ANY_EXTENDED_KEY_USAGE, ID_KP_SERVER_AUTH};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use super::bundle::{CertificateBundle, TrustAnchors};
use super::certificate::{Certificate, CertificateFault};

type Algorithms = [&'static dyn SignatureVerificationAlgorithm];

/// The signatures on certificates that are understood.
#[cfg(feature = "ring")]
pub(super) const ALGORITHMS: &Algorithms = webpki::ALL_VERIFICATION_ALGS;
/// The signatures on certificates that are understood.
#[cfg(not(feature = "ring"))]
pub(super) const ALGORITHMS: &Algorithms = pure_rust::ALGORITHMS;

/// What all certificates of a chain must be fit for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    ServerAuthentication,
    /// Whatever they say about themselves.
    #[cfg(feature = "server")]
    Any,
}

impl ExtendedKeyUsageValidator for Purpose {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        match self {
            Self::ServerAuthentication => webpki::KeyUsage::server_auth().validate(purposes),
            #[cfg(feature = "server")]
            Self::Any => Ok(()),
        }
    }
}

impl Purpose {
    fn allows_anchor(self, anchor: &Certificate) -> bool {
        match self {
            Self::ServerAuthentication => may_authenticate_servers(anchor),
            #[cfg(feature = "server")]
            Self::Any => true,
        }
    }
}

/// Looks for a chain from the bundle's leaf, through some of its CAs, to one of
/// `anchors`, all valid at `now` and fit for the purpose. The answer is the last
/// moment of that anchor's validity.
pub(super) fn verify(
    algorithms: &Algorithms,
    purpose: Purpose,
    bundle: &CertificateBundle,
    anchors: &TrustAnchors,
    now: Duration,
) -> Result<Duration, CertificateFault> {
    let no_chain = |fault: webpki::Error| CertificateFault::NoChain(fault.to_string());
    if !is_understood(&bundle.leaf) {
        return Err(no_chain(webpki::Error::UnsupportedCriticalExtension));
    }
    let leaf = EndEntityCert::try_from(&bundle.leaf.der).map_err(no_chain)?;
    let authorities: Vec<_> =
        bundle.authorities.iter().filter(|ca| may_issue(ca)).map(|ca| ca.der.clone()).collect();
    // webpki takes an anchor's word for everything; Go checks it like the rest.
    let (certificates, anchors): (Vec<_>, Vec<_>) = anchors
        .0
        .iter()
        .filter(|anchor| may_issue(anchor) && purpose.allows_anchor(anchor) && is_valid(anchor, now))
        .filter_map(|anchor| Some((anchor, anchor_from_trusted_cert(&anchor.der).ok()?)))
        .unzip();
    let end_of = |path: &VerifiedPath<'_>| {
        let is_end = |(_, anchor): &(_, &TrustAnchor<'_>)| std::ptr::eq(*anchor, path.anchor());
        let (certificate, _) = certificates.iter().zip(&anchors).find(is_end)?;
        Some(*certificate)
    };
    let within_path_length = |path: &VerifiedPath<'_>| {
        let between = path.intermediate_certificates().count();
        match end_of(path).map(path_length) {
            Some(longest) if longest.is_none_or(|longest| between <= usize::from(longest)) => Ok(()),
            _ => Err(webpki::Error::PathLenConstraintViolated),
        }
    };
    let path = leaf
        .verify_for_usage(
            algorithms,
            &anchors,
            &authorities,
            UnixTime::since_unix_epoch(now),
            purpose,
            None,
            Some(&within_path_length),
        )
        .map_err(no_chain)?;
    Ok(end_of(&path).map_or(now, Certificate::not_after))
}

/// Valid by Notary's check, and already begun: chains have no leeway.
pub(super) fn is_valid(certificate: &Certificate, now: Duration) -> bool {
    certificate.check(Some(now)).is_ok() && certificate.not_before() <= now
}

/// How many CA certificates may stand between this one and a leaf.
fn path_length(certificate: &Certificate) -> Option<u8> {
    certificate.basic_constraints.as_ref()?.path_len_constraint
}

/// A CA, and one whose key usage, if given, has certificates in it.
// Stricter: Go lets version 1 certificates in the CA file issue others, and
// takes a certificate that stands there itself.
fn may_issue(certificate: &Certificate) -> bool {
    let signs_certificates = certificate.key_usage.as_ref().is_none_or(KeyUsage::key_cert_sign);
    certificate.is_ca() && signs_certificates && is_understood(certificate)
}

fn may_authenticate_servers(certificate: &Certificate) -> bool {
    certificate
        .extended_key_usage
        .as_ref()
        .is_none_or(|usage| usage.0.contains(&ID_KP_SERVER_AUTH) || usage.0.contains(&ANY_EXTENDED_KEY_USAGE))
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
    use pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
    use sha2::{Digest, Sha256, Sha384};

    pub(super) const ALGORITHMS: &super::Algorithms = &[
        &Ecdsa { key: alg_id::ECDSA_P256, signature: alg_id::ECDSA_SHA256, verify: p256::<Sha256> },
        &Ecdsa { key: alg_id::ECDSA_P256, signature: alg_id::ECDSA_SHA384, verify: p256::<Sha384> },
        &Ecdsa { key: alg_id::ECDSA_P384, signature: alg_id::ECDSA_SHA256, verify: p384::<Sha256> },
        &Ecdsa { key: alg_id::ECDSA_P384, signature: alg_id::ECDSA_SHA384, verify: p384::<Sha384> },
    ];

    /// Of key, message and signature.
    type Verify = fn(&[u8], &[u8], &[u8]) -> Option<()>;

    #[derive(Debug)]
    struct Ecdsa {
        key: AlgorithmIdentifier,
        signature: AlgorithmIdentifier,
        verify: Verify,
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

#[cfg(test)]
mod tests {
    use super::super::bundle::tests::{DAY, NOW, anchors, bundle};
    use super::*;

    const SERVERS: Purpose = Purpose::ServerAuthentication;

    /// With both sets of algorithms, which must agree.
    fn chains(file: &str, ca_file: &str, now: Duration) -> Result<(), CertificateFault> {
        let (bundle, anchors) = (bundle(file), anchors(ca_file));
        let verdict = verify(ALGORITHMS, SERVERS, &bundle, &anchors, now);
        let pure = verify(pure_rust::ALGORITHMS, SERVERS, &bundle, &anchors, now);
        assert_eq!(verdict.is_ok(), pure.is_ok(), "{file} {ca_file}");
        verdict.map(|end| assert_eq!(end, anchors.0[0].not_after()))
    }

    fn assert_refused(file: &str, ca_file: &str, now: Duration) {
        let fault = chains(file, ca_file, now).unwrap_err();
        assert!(matches!(fault, CertificateFault::NoChain(_)), "{file} {ca_file}: {fault}");
    }

    #[test]
    fn a_leaf_chains_directly_or_through_its_bundle() {
        assert_eq!(chains("chain", "root-ca", NOW), Ok(()));
        assert_eq!(chains("chain-direct", "root-ca", NOW), Ok(()));
        assert_eq!(chains("chain-server-auth", "root-ca", NOW), Ok(()));
        // The intermediate CA itself may be the anchor.
        assert_eq!(chains("chain", "chain-ca-only", NOW), Ok(()));
    }

    #[test]
    fn a_leaf_of_nobody_pinned_is_refused() {
        assert_refused("notary", "root-ca", NOW);
        assert_refused("chain", "rsa-ca", NOW);
        assert_refused("chain-without-intermediate", "root-ca", NOW);
        assert_refused("chain-forged", "root-ca", NOW);
        assert_refused("chain-forged", "chain-ca-only", NOW);
        assert_refused("issued-by-leaf", "root-ca", NOW);
        assert_refused("issued-by-leaf", "chain-direct", NOW);
    }

    #[test]
    fn a_leaf_for_code_signing_alone_is_refused() {
        assert_refused("chain-code-signing", "root-ca", NOW);
        // So is what Notary makes, even where it is pinned itself.
        assert_refused("notary", "notary", NOW);
    }

    #[test]
    fn unknown_critical_extensions_are_refused() {
        assert_refused("chain-critical", "root-ca", NOW);
        assert_refused("chain", "anchor-critical", NOW);
    }

    #[test]
    fn a_ca_that_may_not_sign_certificates_is_refused() {
        assert_refused("chain-no-cert-sign", "root-ca", NOW);
        assert_refused("chain", "anchor-no-cert-sign", NOW);
        assert_refused("chain", "anchor-no-ca", NOW);
    }

    #[test]
    fn the_limits_of_an_anchor_hold() {
        assert_refused("chain", "anchor-code-signing", NOW);
        assert_refused("chain", "anchor-pathlen-0", NOW);
        assert_eq!(chains("chain-direct", "anchor-pathlen-0", NOW), Ok(()));
        assert_eq!(chains("chain", "anchor-pathlen-1", NOW), Ok(()));
    }

    #[test]
    fn of_two_anchors_one_that_fits_is_enough() {
        let mut both = anchors("anchor-pathlen-0");
        both.0.extend(anchors("anchor-pathlen-1").0);
        let end = both.0[1].not_after();
        assert_eq!(verify(ALGORITHMS, SERVERS, &bundle("chain"), &both, NOW), Ok(end));
        both.0.reverse();
        assert_eq!(verify(ALGORITHMS, SERVERS, &bundle("chain"), &both, NOW), Ok(end));
        both.0.remove(0);
        assert!(verify(ALGORITHMS, SERVERS, &bundle("chain"), &both, NOW).is_err());
    }

    #[test]
    fn all_of_a_chain_is_valid_at_the_time_without_leeway() {
        // All were made within minutes, in November 2026.
        let made = Duration::from_secs(1_795_305_600);
        assert_eq!(chains("chain", "anchor-short", made + 300 * DAY), Ok(()));
        assert_refused("chain", "anchor-short", NOW);
        assert_refused("chain", "root-ca", made - 20 * DAY);
        assert_refused("chain", "root-ca", made + 40_000 * DAY);
    }

    #[test]
    fn rsa_needs_ring() {
        let (bundle, anchors) = (bundle("chain-rsa"), anchors("rsa-ca"));
        let verdict = verify(ALGORITHMS, SERVERS, &bundle, &anchors, NOW);
        assert_eq!(verdict.is_ok(), cfg!(feature = "ring"));
        assert!(verify(pure_rust::ALGORITHMS, SERVERS, &bundle, &anchors, NOW).is_err());
    }

    #[test]
    fn the_most_telling_fault_is_reported() {
        let CertificateFault::NoChain(reason) = chains("chain-code-signing", "root-ca", NOW).unwrap_err()
        else {
            panic!("another fault");
        };
        assert!(reason.contains("RequiredEkuNotFound"), "{reason}");
    }
}
