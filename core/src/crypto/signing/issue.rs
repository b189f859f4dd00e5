//! Certificates that are made here: of root keys, and of our own TLS server.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_cert::Version;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::{Any, BitString, ContextSpecific, PrintableString, SetOfVec, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;
use x509_cert::der::oid::db::rfc5280::ID_KP_CODE_SIGNING;
use x509_cert::der::oid::db::rfc5912::{ECDSA_WITH_SHA_256, ID_RSASSA_PSS};
use x509_cert::der::pem::{self, LineEnding};
use x509_cert::der::{self, DateTime, Decode, Encode, TagMode, TagNumber};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName};
use x509_cert::name::RdnSequence;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::time::{Time, Validity};

use super::random::random;
use super::signer::{Signer, der_from_fixed, sign_checked};
use crate::crypto::bundle::CertificateBundle;
use crate::crypto::key::{KeyType, PublicKey};
use crate::error::{Error, Result, excerpt};

#[cfg(feature = "server")]
mod server;

#[cfg(feature = "server")]
pub(crate) use server::issue_server_certificate;

/// A certificate for a root key as Notary makes it: self-signed, with the GUN as
/// common name. The key is of type `ecdsa-x509` or `rsa-x509`.
///
/// [`Error::InvalidInput`] if the signer's key cannot be a root key or the GUN
/// no common name.
pub fn issue_root_certificate(
    gun: &str,
    signer: &dyn Signer,
    now: SystemTime,
    valid: Duration,
) -> Result<PublicKey> {
    let invalid = |reason: &str| Error::InvalidInput {
        what: format!("root certificate of {}", excerpt(gun, 255)),
        reason: reason.into(),
    };
    // A trailing `*` would make it a certificate for other repositories too.
    if gun.is_empty() || gun.ends_with('*') {
        return Err(invalid("it needs the name of one repository"));
    }
    let key_type = match signer.public_key().key_type() {
        KeyType::Ecdsa => KeyType::EcdsaX509,
        KeyType::Rsa => KeyType::RsaX509,
        _ => return Err(invalid("Notary knows certificates of ECDSA and RSA keys only")),
    };
    let validity =
        validity(now, valid).ok_or_else(|| invalid("it would be valid before 1970 or after 9999"))?;

    let pem = self_signed(gun, signer, validity, vec![ID_KP_CODE_SIGNING], None)?;
    let key = PublicKey::new(key_type, pem.into_bytes());
    // By the rules that every client applies when it reads this root.
    let bundle = CertificateBundle::of_root_key(&key).map_err(|fault| invalid(&fault.to_string()))?;
    bundle.check(Some(now)).map_err(|fault| invalid(&fault.to_string()))?;
    Ok(key)
}

fn validity(now: SystemTime, valid: Duration) -> Option<Validity> {
    let now = now.duration_since(UNIX_EPOCH).ok()?;
    let time = |since_epoch| DateTime::from_unix_duration(since_epoch).ok().map(Time::from);
    Some(Validity::new(time(now)?, time(now.checked_add(valid)?)?))
}

/// PEM of the certificate.
fn self_signed(
    name: &str,
    signer: &dyn Signer,
    validity: Validity,
    purpose: Vec<ObjectIdentifier>,
    names: Option<SubjectAltName>,
) -> Result<String> {
    let internal = |error: der::Error| Error::Internal { reason: format!("certificate: {error}") };
    let key = signer.public_key();
    let algorithm = signature_algorithm(key.key_type()).map_err(internal)?;
    let content = content(name, key, validity, &algorithm, random()?, purpose, names).map_err(internal)?;
    let (_, signature) = sign_checked(signer, &content)?;
    let signature = match key.subject_key() {
        Some(key) if key.rsa_bits().is_none() => der_from_fixed(&key, &signature)
            .map_err(|error| Error::Internal { reason: format!("certificate: {error}") })?,
        _ => signature,
    };
    let assemble = || {
        let signature = Any::encode_from(&BitString::from_bytes(&signature)?)?;
        let certificate = vec![Any::from_der(&content)?, Any::encode_from(&algorithm)?, signature];
        Ok(pem::encode_string("CERTIFICATE", LineEnding::LF, &certificate.to_der()?)?)
    };
    assemble().map_err(internal)
}

/// What is signed: TBSCertificate with Notary's fields, in Go's order.
fn content(
    name: &str,
    key: &PublicKey,
    validity: Validity,
    algorithm: &AlgorithmIdentifierOwned,
    serial: [u8; 16],
    purpose: Vec<ObjectIdentifier>,
    names: Option<SubjectAltName>,
) -> der::Result<Vec<u8>> {
    let name = Any::encode_from(&common_name(name)?)?;
    let usage = KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment;
    let mut extensions = vec![
        extension(&KeyUsage(usage), true)?,
        extension(&ExtendedKeyUsage(purpose), false)?,
        extension(&BasicConstraints { ca: false, path_len_constraint: None }, true)?,
    ];
    if let Some(names) = names {
        extensions.push(extension(&names, false)?);
    }
    vec![
        Any::encode_from(&explicit(0, Version::V3))?,
        Any::encode_from(&SerialNumber::<x509_cert::certificate::Rfc5280>::new(&serial)?)?,
        Any::encode_from(algorithm)?,
        name.clone(),
        Any::encode_from(&validity)?,
        name,
        Any::from_der(key.public_bytes())?,
        Any::encode_from(&explicit(3, extensions))?,
    ]
    .to_der()
}

/// As Go encodes text: a PrintableString if it is one.
fn common_name(gun: &str) -> der::Result<RdnSequence> {
    let value = match PrintableString::new(gun) {
        Ok(text) => Any::encode_from(&text)?,
        Err(_) => Any::encode_from(&Utf8StringRef::new(gun)?)?,
    };
    let attribute = AttributeTypeAndValue { oid: COMMON_NAME, value };
    let mut name = RdnSequence::default();
    name.push(SetOfVec::try_from([attribute])?.into());
    Ok(name)
}

/// ECDSA with SHA-256 on every curve, and RSA-PSS, because that is what signers
/// of metadata can do.
fn signature_algorithm(key_type: &KeyType) -> der::Result<AlgorithmIdentifierOwned> {
    Ok(match key_type {
        KeyType::Rsa => {
            AlgorithmIdentifierOwned { oid: ID_RSASSA_PSS, parameters: Some(Any::from_der(&PSS_SHA_256)?) }
        }
        _ => AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA_256, parameters: None },
    })
}

/// RSASSA-PSS-params: SHA-256, MGF1 with SHA-256, a salt of 32 bytes.
const PSS_SHA_256: [u8; 54] = *b"\x30\x34\
    \xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\
    \xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\
    \x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\
    \xa2\x03\x02\x01\x20";

fn explicit<T>(number: u32, value: T) -> ContextSpecific<T> {
    ContextSpecific { tag_number: TagNumber(number), tag_mode: TagMode::Explicit, value }
}

fn extension<T: Encode + der::oid::AssociatedOid>(value: &T, critical: bool) -> der::Result<Extension> {
    let extn_value = der::asn1::OctetString::new(value.to_der()?)?;
    Ok(Extension { extn_id: T::OID, critical, extn_value })
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64, Encoding};
    use x509_cert::Certificate;

    use super::super::private_key::PrivateKey;
    use super::super::private_key::tests::keys_of_every_kind;
    use super::super::signer::tests::Remote;
    use super::*;
    use crate::crypto::bundle::tests::{DAY, NOW};

    const GUN: &str = "registry.example:5000/team/app";

    fn now() -> SystemTime {
        UNIX_EPOCH + NOW
    }

    fn issue(gun: &str, signer: &dyn Signer) -> Result<PublicKey> {
        issue_root_certificate(gun, signer, now(), 3650 * DAY)
    }

    fn der(key: &PublicKey) -> Vec<u8> {
        pem::decode_vec(key.public_bytes()).unwrap().1
    }

    /// A root certificate that the real notary made, and its repository.
    fn of_notary() -> (String, PublicKey) {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/repositories/notary-plain.json");
        let repository: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let root: serde_json::Value =
            serde_json::from_str(repository["files"]["root.json"].as_str().unwrap()).unwrap();
        let keys = root["signed"]["keys"].as_object().unwrap();
        let key = keys.values().find(|key| key["keytype"] == "ecdsa-x509").unwrap();
        let pem = Base64::decode_vec(key["keyval"]["public"].as_str().unwrap()).unwrap();
        (repository["gun"].as_str().unwrap().to_owned(), PublicKey::new(KeyType::EcdsaX509, pem))
    }

    #[test]
    fn the_content_is_notarys_byte_for_byte() {
        let (gun, notarys) = of_notary();
        let certificate = Certificate::from_der(&der(&notarys)).unwrap();
        let fields = certificate.tbs_certificate();
        let serial = fields.serial_number().as_bytes();
        let mut padded = [0; 16];
        padded[16 - serial.len()..].copy_from_slice(serial);
        let key = PublicKey::new(KeyType::Ecdsa, fields.subject_public_key_info().to_der().unwrap());
        let algorithm = signature_algorithm(&KeyType::Ecdsa).unwrap();
        let ours =
            content(&gun, &key, *fields.validity(), &algorithm, padded, vec![ID_KP_CODE_SIGNING], None)
                .unwrap();
        assert_eq!(ours, fields.to_der().unwrap());
        assert_eq!(certificate.signature_algorithm(), &algorithm);
    }

    #[test]
    fn a_certificate_is_good_for_its_repository_and_time() {
        for (name, signer) in keys_of_every_kind().into_iter().filter(|(name, _)| *name != "ed25519") {
            let key = issue(GUN, &signer).unwrap();
            let bundle = CertificateBundle::of_root_key(&key).unwrap();
            assert_eq!(bundle.common_name(), GUN, "{name}");
            assert!(bundle.matches_gun(GUN) && !bundle.matches_gun("registry.example:5000/team/app2"));
            assert_eq!(bundle.check(Some(now())), Ok(()));
            assert_eq!(bundle.expires(), now() + 3650 * DAY);
            assert!(bundle.check(Some(now() + 3651 * DAY)).is_err());
            assert_eq!(key.canonical_id().as_ref(), Some(signer.public_key().id()), "{name}");
            // It verifies what the bare key signs.
            let (method, signature) = sign_checked(&signer, b"message").unwrap();
            assert!(key.verify(method, b"message", &signature), "{name}");
        }
    }

    #[test]
    fn a_certificate_is_signed_with_its_own_key() {
        for (name, signer) in keys_of_every_kind().into_iter().filter(|(name, _)| *name != "ed25519") {
            let certificate = Certificate::from_der(&der(&issue(GUN, &signer).unwrap())).unwrap();
            let content = certificate.tbs_certificate().to_der().unwrap();
            let signature = certificate.signature().raw_bytes().to_vec();
            let answer = |message: &[u8]| {
                assert_eq!(message, content);
                Ok(signature.clone())
            };
            let issued = Remote { public: signer.public_key().clone(), answer };
            assert!(sign_checked(&issued, &content).is_ok(), "{name}");
        }
    }

    #[test]
    fn two_certificates_of_a_key_differ() {
        let signer = PrivateKey::generate_p256().unwrap();
        let (one, other) = (issue(GUN, &signer).unwrap(), issue(GUN, &signer).unwrap());
        assert_ne!(one.id(), other.id());
        assert_eq!(one.canonical_id(), other.canonical_id());
    }

    #[test]
    fn any_name_of_a_repository_can_be_a_common_name() {
        let signer = PrivateKey::generate_p256().unwrap();
        let long = format!("registry.example/{}", "a".repeat(230));
        for gun in ["a", "docker.io/library/my_app", "r/a+b,c=d", "r/ä", &long] {
            let key = issue(gun, &signer).unwrap();
            assert!(CertificateBundle::of_root_key(&key).unwrap().matches_gun(gun), "{gun}");
        }
    }

    #[test]
    fn a_certificate_that_others_would_refuse_is_not_issued() {
        let signer = PrivateKey::generate_p256().unwrap();
        for gun in ["", "*", "registry.example/team/*"] {
            assert!(matches!(issue(gun, &signer), Err(Error::InvalidInput { .. })), "{gun}");
        }
        let ed25519 = PrivateKey::generate_ed25519().unwrap();
        assert!(matches!(issue(GUN, &ed25519), Err(Error::InvalidInput { .. })));
        for (now, valid) in
            [(UNIX_EPOCH - DAY, DAY), (now(), Duration::from_secs(u64::MAX)), (now(), 365 * 9000 * DAY)]
        {
            let result = issue_root_certificate(GUN, &signer, now, valid);
            assert!(matches!(result, Err(Error::InvalidInput { .. })), "{valid:?}");
        }
    }
}
