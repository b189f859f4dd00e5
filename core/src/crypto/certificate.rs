//! The certificates that bind root keys to a repository, and what they chain to.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pki_types::CertificateDer;
use pki_types::pem::{PemObject, SectionKind};
use x509_cert::der::asn1::{Ia5StringRef, PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::{AssociatedOid, ObjectIdentifier};
use x509_cert::der::oid::db::{rfc4519, rfc5912};
use x509_cert::der::pem::{self, LineEnding};
use x509_cert::der::referenced::OwnedToRef;
use x509_cert::der::{Decode, Encode, Tag, Tagged};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::{TbsCertificate, Version};

use super::chain;
use super::key::{KeyType, PublicKey};
use super::signature::MIN_RSA_BITS;
use super::subject_key::SubjectKey;

/// A key with more PEM than this is refused: a root may bring megabytes of it.
pub const MAX_BUNDLE_BYTES: usize = 64 * 1024;

/// A key with more certificates than this is refused. The longest chain that is
/// ever built has fewer.
pub const MAX_BUNDLE_CERTIFICATES: usize = 10;

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

/// The certificates of one root key: its own, then those of CAs above it.
#[derive(Debug, Clone)]
pub struct CertificateBundle {
    leaf: Certificate,
    authorities: Vec<Certificate>,
}

impl CertificateBundle {
    /// Reads the certificates of a root key.
    ///
    /// The PEM must have only CERTIFICATE blocks, in the form in which Notary
    /// writes them: Notary writes them anew and then compares key IDs. Exactly
    /// one certificate is not of a CA, and it comes first.
    pub fn of_root_key(key: &PublicKey) -> Result<Self, CertificateFault> {
        let certificates = parse_normal(key.public_bytes())?;
        let leaves = certificates.iter().filter(|c| !c.is_ca()).count();
        let mut certificates = certificates.into_iter();
        let leaf = match certificates.next() {
            Some(leaf) if leaves == 1 && !leaf.is_ca() => leaf,
            _ => return Err(CertificateFault::LeafNotAlone { leaves }),
        };
        let authorities = certificates.collect();

        // Notary writes the key anew with the type of the certificate's key,
        // so under another type its ID no longer matches.
        match (key.key_type(), &leaf.key) {
            (KeyType::RsaX509, Some(SubjectKey::Rsa { .. })) => {}
            (
                KeyType::EcdsaX509,
                Some(SubjectKey::P256(_) | SubjectKey::P384(_) | SubjectKey::P521(_)),
            ) => {}
            (listed, _) => {
                return Err(CertificateFault::WrongKeyType {
                    listed: listed.to_string(),
                });
            }
        }
        Ok(Self { leaf, authorities })
    }

    /// The common name of the key's own certificate; empty if it has none.
    pub fn common_name(&self) -> &str {
        &self.leaf.common_name
    }

    /// Whether the common name is the GUN, or ends in `*` and what stands before
    /// all trailing `*` is a prefix of it. A `*` elsewhere is just a character.
    pub fn matches_gun(&self, gun: &str) -> bool {
        let name = self.common_name();
        if name.ends_with('*') {
            gun.starts_with(name.trim_end_matches('*'))
        } else {
            name == gun
        }
    }

    /// Checks validity, signature algorithms and key sizes; at `now`, or without
    /// a look at the time.
    ///
    /// Every certificate must pass: Notary drops CA certificates that do not,
    /// and then the key ID, which covers the whole bundle, no longer matches.
    // Stricter: Notary does not look at the CA certificates of a previous root.
    pub fn check(&self, now: Option<SystemTime>) -> Result<(), CertificateFault> {
        let now = now.map(since_epoch);
        std::iter::once(&self.leaf)
            .chain(&self.authorities)
            .try_for_each(|certificate| certificate.check(now))
    }

    /// Checks the bundle at `now`, and that its first certificate chains to one
    /// of the anchors, directly or through the others, for the purpose of server
    /// authentication: that is what Notary asks for.
    pub fn chains_to(&self, anchors: &TrustAnchors, now: SystemTime) -> Result<(), CertificateFault> {
        self.check(Some(now))?;
        chain::verify(
            chain::ALGORITHMS,
            &self.leaf,
            &self.authorities,
            &anchors.0,
            since_epoch(now),
        )
    }
}

/// The certificates of a CA file: where chains may end.
#[derive(Debug, Clone)]
pub struct TrustAnchors(Vec<Certificate>);

impl TrustAnchors {
    /// Reads PEM of CA certificates, of which at least one is valid at `now`.
    /// Chains end only at those that are valid when the chain is looked for.
    ///
    /// Text around the blocks is ignored. A block that is not a certificate makes
    /// the file unusable.
    pub fn parse(pem: &[u8], now: SystemTime) -> Result<Self, CertificateFault> {
        let anchors = Self(parse(pem)?);
        let now = Some(since_epoch(now));
        if anchors.0.iter().all(|anchor| anchor.check(now).is_err()) {
            return Err(CertificateFault::NoAnchors);
        }
        Ok(anchors)
    }
}

/// The key in the first certificate of PEM in normal form.
pub(super) fn first_key(pem: &[u8]) -> Option<SubjectKey> {
    first(pem)?.key
}

/// The SubjectPublicKeyInfo, in DER, of the first certificate of PEM in normal form.
pub(super) fn first_spki_der(pem: &[u8]) -> Option<Vec<u8>> {
    let first = first(pem)?;
    first.key?;
    first.fields.subject_public_key_info().to_der().ok()
}

fn first(pem: &[u8]) -> Option<Certificate> {
    parse_normal(pem).ok()?.into_iter().next()
}

/// Reads PEM that is exactly what Notary, that is Go, writes for the certificates
/// in it. Go's reader then sees the same certificates, whatever ours is like.
// Stricter: for roles other than root Notary reads the first PEM block, whatever
// its form, and nothing after it.
fn parse_normal(pem: &[u8]) -> Result<Vec<Certificate>, CertificateFault> {
    if pem.len() > MAX_BUNDLE_BYTES {
        return Err(CertificateFault::TooLarge { bytes: pem.len() });
    }
    let certificates = parse(pem)?;
    if certificates.len() > MAX_BUNDLE_CERTIFICATES {
        return Err(CertificateFault::TooMany {
            count: certificates.len(),
        });
    }
    let mut normal = String::new();
    for certificate in &certificates {
        normal += &pem::encode_string("CERTIFICATE", LineEnding::LF, &certificate.der)
            .map_err(|e| CertificateFault::NotPem(e.to_string()))?;
    }
    if normal.as_bytes() != pem {
        return Err(CertificateFault::NotPem(
            "Notary would write the same certificates otherwise".into(),
        ));
    }
    Ok(certificates)
}

/// Reads PEM of at least one certificate and of nothing else; text around the
/// blocks is ignored.
fn parse(pem: &[u8]) -> Result<Vec<Certificate>, CertificateFault> {
    let not_pem = |reason: &str| CertificateFault::NotPem(reason.into());
    let mut certificates = Vec::new();
    for block in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        match block.map_err(|e| not_pem(&e.to_string()))? {
            (SectionKind::Certificate, der) => {
                certificates.push(Certificate::parse(certificates.len(), der)?);
            }
            _ => return Err(not_pem("a block is not a certificate")),
        }
    }
    // The reader passes over blocks whose label it does not know.
    let blocks = pem
        .split(|byte| *byte == b'\n')
        .filter(|line| line.starts_with(b"-----BEGIN "))
        .count();
    match certificates.len() {
        0 => Err(not_pem("no certificate")),
        found if found != blocks => Err(not_pem("a block is not a certificate")),
        _ => Ok(certificates),
    }
}

/// One certificate, with what was read of it.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    pub(super) der: CertificateDer<'static>,
    fields: TbsCertificate,
    common_name: String,
    basic_constraints: Option<BasicConstraints>,
    /// `None` if it is neither ECDSA nor RSA.
    key: Option<SubjectKey>,
}

impl Certificate {
    fn parse(index: usize, der: Vec<u8>) -> Result<Self, CertificateFault> {
        let malformed = |reason: &str| CertificateFault::Malformed {
            index,
            reason: reason.into(),
        };
        let certificate =
            x509_cert::Certificate::from_der(&der).map_err(|e| malformed(&e.to_string()))?;
        let fields = certificate.tbs_certificate().clone();

        // What Go refuses while it reads a certificate, and the library does not.
        if fields.signature() != certificate.signature_algorithm() {
            return Err(malformed("two different signature algorithms"));
        }
        let spki = fields.subject_public_key_info().owned_to_ref();
        let key = SubjectKey::from_spki(&spki);
        let known = [rfc5912::ID_EC_PUBLIC_KEY, rfc5912::RSA_ENCRYPTION];
        if key.is_none() && known.contains(&spki.algorithm.oid) {
            return Err(malformed("the public key cannot be read"));
        }
        let extensions = fields.extensions().map_or(&[][..], Vec::as_slice);
        let mut seen = BTreeSet::new();
        if !extensions.iter().all(|e| seen.insert(e.extn_id)) {
            return Err(malformed("an extension stands there twice"));
        }
        // Go does not see extensions before version 3.
        if !extensions.is_empty() && fields.version() != Version::V3 {
            return Err(malformed("extensions in a certificate that is not version 3"));
        }

        Ok(Self {
            common_name: common_name(&fields).ok_or_else(|| malformed("common name"))?,
            basic_constraints: extension(&fields)
                .map_err(|e| malformed(&e.to_string()))?,
            key,
            fields,
            der: der.into(),
        })
    }

    pub(super) fn is_ca(&self) -> bool {
        self.basic_constraints.as_ref().is_some_and(|c| c.ca)
    }

    /// How many CA certificates may stand between this one and a leaf.
    pub(super) fn path_length(&self) -> Option<u8> {
        self.basic_constraints.as_ref()?.path_len_constraint
    }

    pub(super) fn extensions(&self) -> &[Extension] {
        self.fields.extensions().map_or(&[], Vec::as_slice)
    }

    /// An extension of this type; an error if it cannot be read.
    pub(super) fn extension<T>(&self) -> x509_cert::der::Result<Option<T>>
    where
        T: for<'a> Decode<'a, Error = x509_cert::der::Error> + AssociatedOid,
    {
        extension(&self.fields)
    }

    /// Whether the validity has begun, without the leeway of [`check`](Self::check).
    pub(super) fn has_begun(&self, now: Duration) -> bool {
        self.fields.validity().not_before.to_unix_duration() <= now
    }

    /// Notary's check of a certificate by itself.
    pub(super) fn check(&self, now: Option<Duration>) -> Result<(), CertificateFault> {
        let name = || self.common_name.clone();
        let validity = self.fields.validity();
        let not_before = validity.not_before.to_unix_duration();
        let not_after = validity.not_after.to_unix_duration();
        if not_before > not_after {
            return Err(CertificateFault::ValidityWindow {
                name: name(),
                not_before: validity.not_before.to_string(),
                not_after: validity.not_after.to_string(),
            });
        }
        let algorithm = self.fields.signature().oid;
        if BROKEN_ALGORITHMS.contains(&algorithm) {
            return Err(CertificateFault::WeakSignature {
                name: name(),
                algorithm: algorithm.to_string(),
            });
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
    ObjectIdentifier::new_unwrap("1.3.14.3.2.29"), // RSA with SHA-1, as OIW has it
    rfc5912::MD_5_WITH_RSA_ENCRYPTION,
    rfc5912::MD_2_WITH_RSA_ENCRYPTION,
];

fn extension<T>(fields: &TbsCertificate) -> x509_cert::der::Result<Option<T>>
where
    T: for<'a> Decode<'a, Error = x509_cert::der::Error> + AssociatedOid,
{
    Ok(fields.get_extension::<T>()?.map(|(_, value)| value))
}

/// The common name of the subject, empty if there is none.
// Stricter: two of them, or an encoding other than those of today, make the
// certificate unreadable. Go takes the last.
fn common_name(fields: &TbsCertificate) -> Option<String> {
    let mut names = fields
        .subject()
        .iter()
        .filter(|attribute| attribute.oid == rfc4519::COMMON_NAME);
    let (name, None) = (names.next(), names.next()) else {
        return None;
    };
    let Some(value) = name.map(|attribute| &attribute.value) else {
        return Some(String::new());
    };
    let text = match value.tag() {
        Tag::Utf8String => value.decode_as::<Utf8StringRef<'_>>().ok()?.as_str().to_owned(),
        Tag::PrintableString => value.decode_as::<PrintableStringRef<'_>>().ok()?.as_str().to_owned(),
        Tag::Ia5String => value.decode_as::<Ia5StringRef<'_>>().ok()?.as_str().to_owned(),
        _ => return None,
    };
    Some(text)
}

/// A clock before 1970 is as good as one at 1970.
fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}
