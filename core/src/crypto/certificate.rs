//! One X.509 certificate, read as strictly as Go reads it.

use std::collections::BTreeSet;
use std::time::Duration;

use pki_types::CertificateDer;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::BitStringRef;
use x509_cert::der::oid::db::{rfc4519, rfc5912};
use x509_cert::der::oid::{AssociatedOid, ObjectIdentifier};
use x509_cert::der::referenced::OwnedToRef;
use x509_cert::der::{Decode, Encode, Tag, Tagged};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::CrlDistributionPoints;
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CertificatePolicies,
    ExtendedKeyUsage, KeyUsage, NameConstraints, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::{TbsCertificate, Version};

use super::bundle::{MAX_BUNDLE_BYTES, MAX_BUNDLE_CERTIFICATES};
use super::signature::MIN_RSA_BITS;
use super::subject_key::SubjectKey;

/// A certificate may be made on a machine whose clock is up to a day ahead.
const CLOCK_LEEWAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is wrong with a certificate, or with the bundle it comes in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// Not PEM blocks of certificates in Notary's own form, and nothing else.
    #[error("not PEM of certificates in normal form: {0}")]
    NotPem(String),
    /// More text than a bundle may have.
    #[error("{bytes} bytes of certificates are more than {MAX_BUNDLE_BYTES}")]
    TooLarge {
        /// The size in bytes.
        bytes: usize,
    },
    /// More certificates than a bundle may have.
    #[error("{count} certificates are more than {MAX_BUNDLE_CERTIFICATES}")]
    TooMany {
        /// The number of certificates.
        count: usize,
    },
    /// Not an X.509 certificate.
    #[error("certificate {index} is malformed: {reason}")]
    Malformed {
        /// Which of the certificates, from 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Not exactly one certificate is without CA rights, or it is not the first.
    #[error("{leaves} certificates are not of a CA, or the first one is; only the first must not be")]
    LeafNotAlone {
        /// How many certificates are not of a CA.
        leaves: usize,
    },
    /// The key type in the metadata is not that of the certificate's key.
    #[error("the certificate's key does not have the type {listed:?}")]
    WrongKeyType {
        /// The type that the metadata gives.
        listed: String,
    },
    /// The certificate was never valid.
    #[error("the certificate of {name:?} is valid from {not_before} only until {not_after}")]
    ValidityWindow {
        /// The common name.
        name: String,
        /// Start of the validity, as RFC 3339 in UTC.
        not_before: String,
        /// End of the validity, as RFC 3339 in UTC.
        not_after: String,
    },
    /// Signed with a broken hash.
    #[error("the certificate of {name:?} is signed with the broken algorithm {algorithm}")]
    WeakSignature {
        /// The common name.
        name: String,
        /// The object identifier of the algorithm.
        algorithm: String,
    },
    /// An RSA key that is too short.
    #[error("the certificate of {name:?} has an RSA key of {bits} bits, less than 2048")]
    WeakKey {
        /// The common name.
        name: String,
        /// The size of the key.
        bits: usize,
    },
    /// The validity begins later.
    #[error("the certificate of {name:?} is not valid before {not_before}")]
    NotYetValid {
        /// The common name.
        name: String,
        /// Start of the validity, as RFC 3339 in UTC.
        not_before: String,
    },
    /// The validity is over.
    #[error("the certificate of {name:?} expired at {not_after}")]
    Expired {
        /// The common name.
        name: String,
        /// End of the validity, as RFC 3339 in UTC.
        not_after: String,
    },
    /// A file of CA certificates without a single valid one.
    #[error("no valid CA certificate")]
    NoAnchors,
    /// The certificate does not chain to any of the CAs.
    #[error("no valid chain to a pinned CA: {0}")]
    NoChain(String),
}

/// One certificate, with what was read of it.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    pub(super) der: CertificateDer<'static>,
    pub(super) common_name: String,
    /// `None` if it is neither ECDSA nor RSA.
    pub(super) key: Option<SubjectKey>,
    pub(super) basic_constraints: Option<BasicConstraints>,
    pub(super) key_usage: Option<KeyUsage>,
    pub(super) extended_key_usage: Option<ExtendedKeyUsage>,
    fields: TbsCertificate,
}

impl Certificate {
    /// Reads DER. `index` is for the error.
    pub(super) fn parse(index: usize, der: Vec<u8>) -> Result<Self, CertificateFault> {
        Self::read(der).map_err(|reason| CertificateFault::Malformed { index, reason })
    }

    /// The library reads the structure; the rest is what Go refuses beyond it.
    fn read(der: Vec<u8>) -> Result<Self, String> {
        let certificate = x509_cert::Certificate::from_der(&der).map_err(|e| e.to_string())?;
        let fields = certificate.tbs_certificate().clone();
        if fields.signature() != certificate.signature_algorithm() {
            return Err("two different signature algorithms".into());
        }
        if certificate.signature().has_unused_bits() {
            return Err("the signature does not end on a byte".into());
        }
        if fields.subject().iter().chain(fields.issuer().iter()).any(|a| text(a).is_none()) {
            return Err("a part of a name is not text".into());
        }
        check_extensions(&fields)?;
        Ok(Self {
            der: der.into(),
            common_name: common_name(&fields)?,
            key: key(&fields)?,
            basic_constraints: extension(&fields)?,
            key_usage: extension(&fields)?,
            extended_key_usage: extension(&fields)?,
            fields,
        })
    }

    pub(super) fn is_ca(&self) -> bool {
        self.basic_constraints.as_ref().is_some_and(|constraints| constraints.ca)
    }

    pub(super) fn extensions(&self) -> &[Extension] {
        self.fields.extensions().map_or(&[], Vec::as_slice)
    }

    /// The SubjectPublicKeyInfo in DER.
    pub(super) fn spki_der(&self) -> Option<Vec<u8>> {
        self.fields.subject_public_key_info().to_der().ok()
    }

    /// The first moment of the validity, since 1970.
    pub(super) fn not_before(&self) -> Duration {
        self.fields.validity().not_before.to_unix_duration()
    }

    /// The last moment of the validity, since 1970.
    pub(super) fn not_after(&self) -> Duration {
        self.fields.validity().not_after.to_unix_duration()
    }

    /// Notary's check of a certificate by itself.
    pub(super) fn check(&self, now: Option<Duration>) -> Result<(), CertificateFault> {
        let name = || self.common_name.clone();
        let validity = self.fields.validity();
        let not_before = self.not_before();
        let not_after = self.not_after();
        if not_before > not_after {
            return Err(CertificateFault::ValidityWindow {
                name: name(),
                not_before: validity.not_before.to_string(),
                not_after: validity.not_after.to_string(),
            });
        }
        let algorithm = self.fields.signature().oid;
        if BROKEN_ALGORITHMS.contains(&algorithm) {
            return Err(CertificateFault::WeakSignature { name: name(), algorithm: algorithm.to_string() });
        }
        if let Some(bits) = self.key.as_ref().and_then(SubjectKey::rsa_bits)
            && bits < MIN_RSA_BITS
        {
            return Err(CertificateFault::WeakKey { name: name(), bits });
        }
        let Some(now) = now else {
            return Ok(());
        };
        if now.saturating_add(CLOCK_LEEWAY) < not_before {
            return Err(CertificateFault::NotYetValid {
                name: name(),
                not_before: validity.not_before.to_string(),
            });
        }
        if now > not_after {
            return Err(CertificateFault::Expired {
                name: name(),
                not_after: validity.not_after.to_string(),
            });
        }
        Ok(())
    }
}

/// Signatures with SHA-1.
// Stricter: with MD2 and MD5 too.
const BROKEN_ALGORITHMS: [ObjectIdentifier; 6] = [
    rfc5912::SHA_1_WITH_RSA_ENCRYPTION,
    rfc5912::DSA_WITH_SHA_1,
    ObjectIdentifier::new_unwrap("1.2.840.10045.4.1"), // ECDSA with SHA-1
    ObjectIdentifier::new_unwrap("1.3.14.3.2.29"),     // RSA with SHA-1, as OIW has it
    rfc5912::MD_5_WITH_RSA_ENCRYPTION,
    rfc5912::MD_2_WITH_RSA_ENCRYPTION,
];

/// A key of a known algorithm must be sound; others are for nobody to use.
fn key(fields: &TbsCertificate) -> Result<Option<SubjectKey>, String> {
    let spki = fields.subject_public_key_info().owned_to_ref();
    let known = [rfc5912::ID_EC_PUBLIC_KEY, rfc5912::RSA_ENCRYPTION].contains(&spki.algorithm.oid);
    match SubjectKey::from_spki(&spki) {
        Some(key) if key.is_on_curve() => Ok(Some(key)),
        None if !known => Ok(None),
        _ => Err("the public key cannot be used".into()),
    }
}

/// Go knows no extensions before version 3, none twice, and reads all that it knows.
/// It also reads URIs and addresses in names; they play no part here.
fn check_extensions(fields: &TbsCertificate) -> Result<(), String> {
    let Some(extensions) = fields.extensions() else {
        return Ok(());
    };
    if fields.version() != Version::V3 {
        return Err("extensions in a certificate that is not version 3".into());
    }
    let mut seen = BTreeSet::new();
    if !extensions.iter().all(|e| seen.insert(e.extn_id)) {
        return Err("an extension stands there twice".into());
    }
    let key_usage = extensions.iter().find(|e| e.extn_id == KeyUsage::OID);
    if key_usage.is_some_and(|e| !is_padded_with_zeros(e.extn_value.as_bytes())) {
        return Err("the key usage has set bits after its end".into());
    }
    extension::<AuthorityInfoAccessSyntax>(fields)?;
    extension::<AuthorityKeyIdentifier>(fields)?;
    extension::<CertificatePolicies>(fields)?;
    extension::<CrlDistributionPoints>(fields)?;
    extension::<NameConstraints>(fields)?;
    extension::<SubjectAltName>(fields)?;
    extension::<SubjectKeyIdentifier>(fields)?;
    Ok(())
}

fn is_padded_with_zeros(bit_string: &[u8]) -> bool {
    BitStringRef::from_der(bit_string).is_ok_and(|bits| {
        let last = bits.raw_bytes().last();
        last.is_none_or(|byte| byte.trailing_zeros() >= u32::from(bits.unused_bits()))
    })
}

fn extension<T>(fields: &TbsCertificate) -> Result<Option<T>, String>
where
    T: for<'a> Decode<'a, Error = x509_cert::der::Error> + AssociatedOid,
{
    let found = fields.get_extension::<T>().map_err(|e| e.to_string())?;
    Ok(found.map(|(_, value)| value))
}

/// The common name of the subject, empty if there is none.
// Stricter: Go takes the last of several.
fn common_name(fields: &TbsCertificate) -> Result<String, String> {
    let mut names = fields.subject().iter().filter(|attribute| attribute.oid == rfc4519::COMMON_NAME);
    match (names.next(), names.next()) {
        (None, _) => Ok(String::new()),
        (Some(name), None) => text(name).ok_or_else(|| "the common name is not text".into()),
        _ => Err("two common names".into()),
    }
}

/// The value, if it is of a string type and has only that type's characters.
// Stricter: no BMPString.
fn text(attribute: &AttributeTypeAndValue) -> Option<String> {
    let bytes = attribute.value.value();
    let is_allowed = match attribute.value.tag() {
        Tag::Utf8String => true,
        Tag::Ia5String => bytes.is_ascii(),
        Tag::NumericString => bytes.iter().all(|byte| byte.is_ascii_digit() || *byte == b' '),
        // `*` and `&` do not belong there; Go takes them.
        Tag::PrintableString => {
            bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(byte))
        }
        // Of old CAs, in no known character set.
        Tag::TeletexString => return Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => false,
    };
    is_allowed.then(|| String::from_utf8(bytes.to_vec()).ok())?
}

#[cfg(test)]
mod tests {
    use super::super::bundle::tests::bundle;
    use super::*;

    /// What is wrong with `notary.pem` after `from` was replaced by `to` at its last place.
    fn fault_with(from: &[u8], to: &[u8]) -> String {
        let mut der = bundle("notary").leaf.der.to_vec();
        assert!(Certificate::parse(0, der.clone()).is_ok());
        let at = der.windows(from.len()).rposition(|window| window == from).unwrap();
        der[at..at + to.len()].copy_from_slice(to);
        match Certificate::parse(7, der).unwrap_err() {
            CertificateFault::Malformed { index: 7, reason } => reason,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_go_cannot_read_is_malformed() {
        for (from, to, expected) in [
            // The version, from 3 to 2.
            (&b"\xa0\x03\x02\x01\x02"[..], &b"\xa0\x03\x02\x01\x01"[..], "not version 3"),
            // The outer algorithm, from ECDSA with SHA-256 to one with SHA-384.
            (b"\x2a\x86\x48\xce\x3d\x04\x03\x02", b"\x2a\x86\x48\xce\x3d\x04\x03\x03", "two different"),
            // The common name: not UTF-8, and a time.
            (b"registry.example", b"\xff", "name is not text"),
            (b"\x0c\x19registry", b"\x18", "name is not text"),
            // The point: off the curve, and compressed.
            (b"\x03\x42\x00\x04", b"\x03\x42\x00\x04\0\0\0\0", "public key"),
            (b"\x03\x42\x00\x04", b"\x03\x42\x00\x02", "public key"),
            // The curve: secp256r1 to one that is not known.
            (b"\x2a\x86\x48\xce\x3d\x03\x01\x07", b"\x2a\x86\x48\xce\x3d\x03\x01\x06", "public key"),
            // The extended key usage becomes a second key usage.
            (b"\x06\x03\x55\x1d\x25", b"\x06\x03\x55\x1d\x0f", "twice"),
            // The key usage: a bit beyond its five unused ones, and no bit string.
            (b"\x03\x02\x05\xa0", b"\x03\x02\x05\xa1", "key usage"),
            (b"\x03\x02\x05\xa0", b"\x04\x02\x05\xa0", "key usage"),
            // The extended key usage and the basic constraints: no sequences.
            (b"\x30\x0a\x06\x08", b"\x31\x0a\x06\x08", "tag"),
            (b"\x04\x02\x30\x00", b"\x04\x02\x05\x00", "tag"),
            // The subject key identifier: no octet string.
            (b"\x06\x03\x55\x1d\x0e\x04\x16\x04", b"\x06\x03\x55\x1d\x0e\x04\x16\x05", "tag"),
        ] {
            let reason = fault_with(from, to);
            assert!(reason.contains(expected), "{from:02x?}: {reason}");
        }
    }

    #[test]
    fn a_signature_that_does_not_end_on_a_byte_is_malformed() {
        let mut der = bundle("notary").leaf.der.to_vec();
        let signature = der
            .windows(3)
            .rposition(|window| {
                window == b"\x00\x30\x45" || window == b"\x00\x30\x44" || window == b"\x00\x30\x46"
            })
            .unwrap();
        der[signature] = 1;
        let fault = Certificate::parse(0, der).unwrap_err();
        assert!(fault.to_string().contains("does not end on a byte"), "{fault}");
    }
}
