//! Public keys as the metadata lists them, and their IDs.

use std::borrow::Borrow;
use std::fmt;
use std::sync::OnceLock;

use base64ct::{Base64, Encoding};

use super::bundle;
use super::digest::sha256;
use super::signature::{self, Backend};
use super::subject_key::SubjectKey;
use crate::error::excerpt;
use crate::metadata::hex;

/// The ID of a key: 64 lower-case hexadecimal digits, where it was computed here.
///
/// An ID that metadata lists may be any text; it then matches no key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// The ID that some metadata lists, as it stands there.
    pub fn from_listed(listed: &str) -> Self {
        Self(listed.to_owned())
    }

    /// The ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256 over the canonical JSON of the key. `private` is always null,
    /// and other members do not count, whatever the file has.
    fn of(key_type: &KeyType, public: &[u8]) -> Self {
        let key_type = key_type.as_str().replace('\\', r"\\").replace('"', r#"\""#);
        let public = Base64::encode_string(public);
        let canonical =
            format!(r#"{{"keytype":"{key_type}","keyval":{{"private":null,"public":"{public}"}}}}"#);
        Self(hex(sha256(canonical.as_bytes()).as_ref()))
    }
}

/// For people: what is no ID is cut to the length of one.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&excerpt(&self.0, 64))
    }
}

impl AsRef<str> for KeyId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for KeyId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What kind of key it is, and how its public bytes are encoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyType {
    /// `ecdsa`: DER SubjectPublicKeyInfo on P-256, P-384 or P-521.
    Ecdsa,
    /// `ecdsa-x509`: PEM of certificates, that of the key first.
    EcdsaX509,
    /// `rsa`: DER SubjectPublicKeyInfo.
    Rsa,
    /// `rsa-x509`: PEM of certificates, that of the key first.
    RsaX509,
    /// `ed25519`: the 32 bytes of the key.
    Ed25519,
    /// Any other name. Such a key may be listed; no signature of it is valid.
    Other(String),
}

impl KeyType {
    /// The name in the metadata.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ecdsa => "ecdsa",
            Self::EcdsaX509 => "ecdsa-x509",
            Self::Rsa => "rsa",
            Self::RsaX509 => "rsa-x509",
            Self::Ed25519 => "ed25519",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for KeyType {
    /// Names are exact: `ECDSA` is not `ecdsa`.
    fn from(name: &str) -> Self {
        match name {
            "ecdsa" => Self::Ecdsa,
            "ecdsa-x509" => Self::EcdsaX509,
            "rsa" => Self::Rsa,
            "rsa-x509" => Self::RsaX509,
            "ed25519" => Self::Ed25519,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A public key as the metadata lists it. Its bytes are read when it is used:
/// a root may list keys that nobody can read, as long as no role needs them.
#[derive(Debug, Clone)]
pub struct PublicKey {
    key_type: KeyType,
    public: Vec<u8>,
    id: OnceLock<KeyId>,
}

impl PublicKey {
    /// A key of this type. `public` is the decoded `keyval.public`.
    pub fn new(key_type: KeyType, public: Vec<u8>) -> Self {
        Self { key_type, public, id: OnceLock::new() }
    }

    /// The type that the metadata gives.
    pub fn key_type(&self) -> &KeyType {
        &self.key_type
    }

    /// The public bytes, encoded as the key type says.
    pub fn public_bytes(&self) -> &[u8] {
        &self.public
    }

    /// The ID under which metadata must list this key: it covers the type and
    /// every public byte, so for certificates the text of all of them.
    pub fn id(&self) -> &KeyId {
        self.id.get_or_init(|| KeyId::of(&self.key_type, &self.public))
    }

    /// The ID of the bare key, under which its private half is stored: for
    /// certificates that of the first one's public key, otherwise [`id`](Self::id).
    ///
    /// `None` if the certificate cannot be read.
    pub fn canonical_id(&self) -> Option<KeyId> {
        let bare = match self.key_type {
            KeyType::EcdsaX509 => KeyType::Ecdsa,
            KeyType::RsaX509 => KeyType::Rsa,
            _ => return Some(self.id().clone()),
        };
        let spki = bundle::first_spki_der(&self.public)?;
        Some(KeyId::of(&bare, &spki))
    }

    /// Whether `signature` over `message` is this key's, by this method.
    ///
    /// `method` is lower-case. A method that is unknown or does not belong to
    /// the type of the key, and a key that cannot be read, are never valid.
    pub fn verify(&self, method: &str, message: &[u8], signature: &[u8]) -> bool {
        self.verify_with(Backend::default(), method, message, signature)
    }

    /// [`verify`](Self::verify) by one of the libraries, for tests.
    #[doc(hidden)]
    pub fn verify_with(&self, backend: Backend, method: &str, message: &[u8], signature: &[u8]) -> bool {
        signature::verify(backend, self, method, message, signature)
    }

    /// The ECDSA or RSA key in the public bytes.
    pub(super) fn subject_key(&self) -> Option<SubjectKey> {
        match self.key_type {
            KeyType::Ecdsa | KeyType::Rsa => SubjectKey::from_der(&self.public),
            KeyType::EcdsaX509 | KeyType::RsaX509 => bundle::first_key(&self.public),
            KeyType::Ed25519 | KeyType::Other(_) => None,
        }
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.key_type == other.key_type && self.public == other.public
    }
}

impl Eq for PublicKey {}

#[cfg(test)]
mod tests {
    use super::*;

    const P256: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==";
    const ED25519: &str = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";

    fn key(key_type: &str, public: &str) -> PublicKey {
        PublicKey::new(KeyType::from(key_type), Base64::decode_vec(public).unwrap())
    }

    fn certificate(key_type: &str, file: &str) -> PublicKey {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/certificates/");
        PublicKey::new(KeyType::from(key_type), std::fs::read(format!("{folder}{file}")).unwrap())
    }

    #[test]
    fn key_ids_are_those_of_notary() {
        assert_eq!(
            key("ed25519", ED25519).id().as_str(),
            "b9fe8d4b54e73abb584e2015aaa447047e53282f491dcc70c40d2474d3096a21"
        );
        assert_eq!(
            key("ecdsa", P256).id().as_str(),
            "2a4a3169341f90dec00876954704aaaf9377744a576e20b3e17d3950976a448d"
        );
    }

    #[test]
    fn key_ids_cover_type_and_every_byte() {
        let of = |key_type: &str, public: &[u8]| {
            PublicKey::new(KeyType::from(key_type), public.to_vec()).id().clone()
        };
        let ids =
            [of("ecdsa", b"a"), of("ECDSA", b"a"), of("rsa", b"a"), of("ecdsa", b"b"), of("ecdsa", b"")];
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }

    #[test]
    fn the_type_is_escaped_as_canonical_json() {
        // SHA-256 of {"keytype":"a\"b\\c<LF>d","keyval":{"private":null,"public":""}}
        assert_eq!(
            key("a\"b\\c\nd", "").id().as_str(),
            "5a9ff91bfb57f649648bc5283eeb9124bc1ffb8b8a7fc84ed1e378581dcbc675"
        );
    }

    #[test]
    fn names_of_types_are_exact() {
        for name in ["ecdsa", "ecdsa-x509", "rsa", "rsa-x509", "ed25519"] {
            assert!(!matches!(KeyType::from(name), KeyType::Other(_)), "{name}");
            assert_eq!(KeyType::from(name).as_str(), name);
            let upper = name.to_uppercase();
            assert_eq!(KeyType::from(upper.as_str()), KeyType::Other(upper));
        }
    }

    #[test]
    fn the_canonical_id_of_a_certificate_is_that_of_its_bare_key() {
        for (key_type, bare, file) in [
            ("ecdsa-x509", "ecdsa", "notary.pem"),
            ("ecdsa-x509", "ecdsa", "p384.pem"),
            ("rsa-x509", "rsa", "rsa.pem"),
        ] {
            let certificate = certificate(key_type, file);
            let spki = bundle::first_spki_der(certificate.public_bytes()).unwrap();
            assert!(SubjectKey::from_der(&spki).is_some());
            let bare = PublicKey::new(KeyType::from(bare), spki);
            assert_eq!(certificate.canonical_id().as_ref(), Some(bare.id()));
            assert_ne!(certificate.id(), bare.id());
        }
    }

    #[test]
    fn the_canonical_id_of_a_bundle_is_that_of_its_first_certificate() {
        let alone = certificate("ecdsa-x509", "chain-without-intermediate.pem");
        let bundle = certificate("ecdsa-x509", "chain.pem");
        assert_eq!(alone.canonical_id(), bundle.canonical_id());
        assert_ne!(alone.id(), bundle.id());
    }

    #[test]
    fn the_canonical_id_of_a_bare_key_is_its_id() {
        for key in [key("ed25519", ED25519), key("ecdsa", P256), key("gpg", "")] {
            assert_eq!(key.canonical_id().as_ref(), Some(key.id()));
        }
        assert_eq!(key("ecdsa-x509", P256).canonical_id(), None);
    }

    #[test]
    fn keys_are_equal_by_content_whether_or_not_their_id_was_asked_for() {
        let asked = key("ecdsa", P256);
        let _ = asked.id();
        assert_eq!(asked, key("ecdsa", P256));
        assert_ne!(asked, key("rsa", P256));
    }
}
