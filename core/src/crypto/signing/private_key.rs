//! Private keys in memory.

use std::fmt;

use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::elliptic_curve::Generate;
use p256::pkcs8::EncodePublicKey;
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::oid::db::rfc5912::{SECP_256_R_1, SECP_384_R_1, SECP_521_R_1};
use zeroize::Zeroizing;

use super::key_file::KeyFileFault;
use super::random::no_randomness;
use super::signer::Signer;
use crate::crypto::digest::sha256;
use crate::crypto::key::{KeyId, KeyType, PublicKey};
use crate::error::{Error, Result};

/// A private key in memory. It is wiped when it is dropped.
pub struct PrivateKey {
    secret: Secret,
    public: PublicKey,
}

/// The key itself. All these types wipe themselves.
pub(super) enum Secret {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(p521::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
    /// PKCS#1. ring does not wipe its keys, so it gets this one only for the
    /// moment of signing.
    #[cfg(feature = "ring")]
    Rsa(Zeroizing<Vec<u8>>),
}

impl PrivateKey {
    /// A new key on P-256, which is what Notary makes.
    pub fn generate_p256() -> Result<Self> {
        let key = p256::SecretKey::try_generate().map_err(no_randomness)?;
        Self::new(Secret::P256(key.into())).map_err(internal)
    }

    /// A new Ed25519 key. It cannot be a root key: those need a certificate.
    pub fn generate_ed25519() -> Result<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(no_randomness)?;
        Self::new(Secret::Ed25519(ed25519_dalek::SigningKey::from_bytes(&seed))).map_err(internal)
    }

    /// The ID under which the key is stored.
    pub fn id(&self) -> &KeyId {
        self.public.id()
    }

    /// Reads SEC1, of this curve or the one that it names itself.
    pub(crate) fn from_sec1(der: &[u8], curve: Option<ObjectIdentifier>) -> Result<Self, KeyFileFault> {
        let malformed = |_| KeyFileFault::Malformed("not a key of its curve in SEC1".into());
        let key = sec1::EcPrivateKey::from_der(der).map_err(malformed)?;
        let named = key.parameters.and_then(sec1::EcParameters::named_curve);
        Self::new(match curve.or(named) {
            Some(SECP_256_R_1) => Secret::P256(p256::SecretKey::try_from(key).map_err(malformed)?.into()),
            Some(SECP_384_R_1) => Secret::P384(p384::SecretKey::try_from(key).map_err(malformed)?.into()),
            Some(SECP_521_R_1) => Secret::P521(p521::SecretKey::try_from(key).map_err(malformed)?.into()),
            Some(curve) => {
                let reason = format!("the curve {curve}; P-256, P-384 and P-521 can be used");
                return Err(KeyFileFault::Unsupported(reason));
            }
            None => return Err(KeyFileFault::Malformed("an elliptic curve key without its curve".into())),
        })
    }

    /// Reads Notary's form of Ed25519: public key, seed, public key.
    pub(crate) fn from_ed25519(bytes: &[u8]) -> Result<Self, KeyFileFault> {
        let malformed = || KeyFileFault::Malformed("not an Ed25519 key as Notary writes it".into());
        let (public, rest) = bytes.split_first_chunk().ok_or_else(malformed)?;
        let (seed, again) = rest.split_first_chunk().ok_or_else(malformed)?;
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        // Stricter: Notary would sign with a public key that is another's.
        if key.verifying_key().as_bytes() != public || again != public {
            return Err(malformed());
        }
        Self::new(Secret::Ed25519(key))
    }

    /// What [`from_ed25519`](Self::from_ed25519) reads, of a key that is one.
    #[cfg(feature = "server")]
    pub(crate) fn to_ed25519(&self) -> Option<Zeroizing<Vec<u8>>> {
        match &self.secret {
            Secret::Ed25519(key) => Some(ed25519_form(key)),
            _ => None,
        }
    }

    /// Reads PKCS#1.
    #[cfg(feature = "ring")]
    pub(super) fn from_pkcs1(der: &[u8]) -> Result<Self, KeyFileFault> {
        Self::new(Secret::Rsa(Zeroizing::new(der.to_vec())))
    }

    /// RSA is ring's.
    #[cfg(not(feature = "ring"))]
    pub(super) fn from_pkcs1(_: &[u8]) -> Result<Self, KeyFileFault> {
        Err(KeyFileFault::Unsupported("RSA needs the feature `ring`".into()))
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }

    fn new(secret: Secret) -> Result<Self, KeyFileFault> {
        let unencodable = |_| KeyFileFault::Malformed("a key without public key".into());
        let ecdsa = |der: Vec<u8>| PublicKey::new(KeyType::Ecdsa, der);
        let public = match &secret {
            Secret::P256(key) => {
                ecdsa(key.verifying_key().to_public_key_der().map_err(unencodable)?.into_vec())
            }
            Secret::P384(key) => {
                ecdsa(key.verifying_key().to_public_key_der().map_err(unencodable)?.into_vec())
            }
            Secret::P521(key) => {
                ecdsa(key.verifying_key().to_public_key_der().map_err(unencodable)?.into_vec())
            }
            Secret::Ed25519(key) => PublicKey::new(KeyType::Ed25519, key.verifying_key().as_bytes().to_vec()),
            #[cfg(feature = "ring")]
            Secret::Rsa(pkcs1) => rsa::public_key(pkcs1)?,
        };
        Ok(Self { secret, public })
    }
}

impl Signer for PrivateKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        // SHA-256 on every curve, which is not what larger curves sign by default.
        let digest = sha256(message);
        Ok(match &self.secret {
            Secret::P256(key) => {
                let signature: p256::ecdsa::Signature =
                    key.sign_prehash(digest.as_ref()).map_err(internal)?;
                signature.to_bytes().to_vec()
            }
            Secret::P384(key) => {
                let signature: p384::ecdsa::Signature =
                    key.sign_prehash(digest.as_ref()).map_err(internal)?;
                signature.to_bytes().to_vec()
            }
            Secret::P521(key) => {
                let signature: p521::ecdsa::Signature =
                    key.sign_prehash(digest.as_ref()).map_err(internal)?;
                signature.to_bytes().to_vec()
            }
            Secret::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            #[cfg(feature = "ring")]
            Secret::Rsa(pkcs1) => rsa::sign(pkcs1, message)?,
        })
    }
}

/// Only the ID: a key must not end up in a log.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.id())
    }
}

/// Notary's form of Ed25519: public key, seed, public key.
pub(super) fn ed25519_form(key: &ed25519_dalek::SigningKey) -> Zeroizing<Vec<u8>> {
    let public = key.verifying_key();
    let mut bytes = Zeroizing::new(Vec::with_capacity(96));
    for part in [public.as_bytes(), key.as_bytes(), public.as_bytes()] {
        bytes.extend_from_slice(part);
    }
    bytes
}

fn internal(error: impl fmt::Display) -> Error {
    Error::Internal { reason: format!("private key: {error}") }
}

#[cfg(feature = "ring")]
mod rsa {
    use ring::rand::SystemRandom;
    use ring::rsa::KeyPair;
    use ring::signature::{KeyPair as _, RSA_PSS_SHA256};
    use x509_cert::der::asn1::{AnyRef, BitStringRef, UintRef};
    use x509_cert::der::oid::db::rfc5912::RSA_ENCRYPTION;
    use x509_cert::der::{Decode, Encode};
    use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfo};

    use super::{KeyFileFault, KeyType, PublicKey, Result, internal};
    use crate::crypto::signature::MIN_RSA_BITS;
    use crate::crypto::subject_key::SubjectKey;

    /// The public key, as Go encodes it, if this is a key that signs.
    pub(super) fn public_key(pkcs1: &[u8]) -> Result<PublicKey, KeyFileFault> {
        let malformed = |_| KeyFileFault::Malformed("not an RSA key in PKCS#1".into());
        let unusable =
            |reason: &str| KeyFileFault::Unsupported(format!("an RSA key that cannot sign: {reason}"));
        Vec::<UintRef<'_>>::from_der(pkcs1).map_err(malformed)?;
        let pair = KeyPair::from_der(pkcs1).map_err(|fault| unusable(&fault.to_string()))?;
        let algorithm = AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) };
        let subject_public_key = BitStringRef::from_bytes(pair.public_key().as_ref()).map_err(malformed)?;
        let spki = SubjectPublicKeyInfo { algorithm, subject_public_key }.to_der().map_err(malformed)?;
        // ring takes 2041 bits for 2048.
        match SubjectKey::from_der(&spki).and_then(|key| key.rsa_bits()) {
            Some(bits) if bits >= MIN_RSA_BITS => Ok(PublicKey::new(KeyType::Rsa, spki)),
            _ => Err(unusable("it has less than 2048 bits")),
        }
    }

    /// PSS with MGF1, both with SHA-256, and a salt of 32 bytes.
    pub(super) fn sign(pkcs1: &[u8], message: &[u8]) -> Result<Vec<u8>> {
        let pair = KeyPair::from_der(pkcs1).map_err(internal)?;
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message, &mut signature).map_err(internal)?;
        Ok(signature)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::key_file::tests::{ed25519, named};
    use super::*;

    /// One key of every kind.
    pub(in crate::crypto) fn keys_of_every_kind() -> Vec<(&'static str, PrivateKey)> {
        let of_openssl = |name: &'static str| {
            let (file, _) = named(&format!("{name} pkcs8"));
            (name, file.decrypt(None).unwrap())
        };
        let mut keys =
            vec![of_openssl("p256"), of_openssl("p384"), of_openssl("p521"), ("ed25519", ed25519())];
        if cfg!(feature = "ring") {
            keys.push(of_openssl("rsa"));
        }
        keys
    }

    #[test]
    fn generated_keys_differ_and_have_the_id_of_their_public_key() {
        for generate in [PrivateKey::generate_p256, PrivateKey::generate_ed25519] {
            let (one, other) = (generate().unwrap(), generate().unwrap());
            assert_ne!(one.id(), other.id());
            assert_eq!(Some(one.id().clone()), one.public_key().canonical_id());
        }
        let key = |generate: fn() -> Result<PrivateKey>| generate().unwrap().public_key().key_type().clone();
        assert_eq!(key(PrivateKey::generate_p256), KeyType::Ecdsa);
        assert_eq!(key(PrivateKey::generate_ed25519), KeyType::Ed25519);
    }

    #[test]
    fn the_id_of_a_known_key_is_notarys() {
        let mut scalar = [0; 32];
        scalar[31] = 1;
        let sec1 = p256::SecretKey::from_slice(&scalar).unwrap().to_sec1_der().unwrap();
        let key = PrivateKey::from_sec1(&sec1, None).unwrap();
        assert_eq!(key.id().as_str(), "2a4a3169341f90dec00876954704aaaf9377744a576e20b3e17d3950976a448d");
    }
}
