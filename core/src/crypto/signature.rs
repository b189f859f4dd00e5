//! The five signature methods.

use ed25519_dalek::Verifier;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use sha2::{Digest, Sha256};
use x509_cert::der::pem::{self, LineEnding};

use super::key::{KeyType, PublicKey};
use super::subject_key::SubjectKey;

/// The library that verifies P-256 and RSA.
///
/// P-384 and P-521 are always RustCrypto's, and Ed25519 ed25519-dalek's, which
/// is the faster one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// ring, which TLS brings: P-256 about four times as fast, and RSA.
    #[cfg(feature = "ring")]
    #[default]
    Ring,
    /// Pure Rust: P-256. It has no RSA, so no RSA signature is valid.
    #[cfg_attr(not(feature = "ring"), default)]
    RustCrypto,
}

/// Which padding an RSA signature has. Both with SHA-256.
#[derive(Clone, Copy)]
enum Padding {
    /// MGF1 with SHA-256, a salt of exactly 32 bytes.
    Pss,
    Pkcs1,
}

/// RSA keys below this size are refused.
pub(super) const MIN_RSA_BITS: usize = 2048;

/// Each method takes its own types of key, and no other.
pub(super) fn verify(
    backend: Backend,
    key: &PublicKey,
    method: &str,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let valid = match (method, key.key_type()) {
        ("ecdsa", KeyType::Ecdsa | KeyType::EcdsaX509) => {
            key.subject_key().and_then(|key| ecdsa(backend, &key, message, signature))
        }
        ("eddsa", KeyType::Ed25519) => eddsa(key.public_bytes(), message, signature),
        ("rsapss", KeyType::Rsa | KeyType::RsaX509) => {
            key.subject_key().and_then(|key| rsa(backend, &key, Padding::Pss, message, signature))
        }
        ("rsapkcs1v15", KeyType::Rsa | KeyType::RsaX509) => {
            key.subject_key().and_then(|key| rsa(backend, &key, Padding::Pkcs1, message, signature))
        }
        ("pycrypto-pkcs#1 pss", KeyType::Rsa) => {
            pem_key(key.public_bytes()).and_then(|key| rsa(backend, &key, Padding::Pss, message, signature))
        }
        _ => None,
    };
    valid.is_some()
}

/// r‖s, each of the size of the curve. The digest is SHA-256 on every curve.
fn ecdsa(backend: Backend, key: &SubjectKey, message: &[u8], signature: &[u8]) -> Option<()> {
    match (key, backend) {
        #[cfg(feature = "ring")]
        (SubjectKey::P256(point), Backend::Ring) => {
            let algorithm = &ring::signature::ECDSA_P256_SHA256_FIXED;
            ring::signature::UnparsedPublicKey::new(algorithm, point).verify(message, signature).ok()
        }
        (SubjectKey::P256(point), Backend::RustCrypto) => {
            let signature = p256::ecdsa::Signature::from_slice(signature).ok()?;
            p256::ecdsa::VerifyingKey::from_sec1_bytes(point)
                .and_then(|key| key.verify_prehash(&Sha256::digest(message), &signature))
                .ok()
        }
        (SubjectKey::P384(point), _) => {
            let signature = p384::ecdsa::Signature::from_slice(signature).ok()?;
            p384::ecdsa::VerifyingKey::from_sec1_bytes(point)
                .and_then(|key| key.verify_prehash(&Sha256::digest(message), &signature))
                .ok()
        }
        (SubjectKey::P521(point), _) => {
            let signature = p521::ecdsa::Signature::from_slice(signature).ok()?;
            p521::ecdsa::VerifyingKey::from_sec1_bytes(point)
                .and_then(|key| key.verify_prehash(&Sha256::digest(message), &signature))
                .ok()
        }
        (SubjectKey::Rsa { .. }, _) => None,
    }
}

/// As Go: without cofactor, s below the group order, R compared as bytes, any
/// point as key. That is `verify`; `verify_strict` refuses some keys beyond Go.
fn eddsa(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(key.try_into().ok()?).ok()?;
    let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
    key.verify(message, &signature).ok()
}

/// The modulus has at least 2048 bits, and with it the signature, which is as
/// long as the modulus, at least 256 bytes.
// Stricter: no modulus above 8192 bits.
#[cfg(feature = "ring")]
fn rsa(backend: Backend, key: &SubjectKey, padding: Padding, message: &[u8], signature: &[u8]) -> Option<()> {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents};
    let (SubjectKey::Rsa { modulus, exponent }, Backend::Ring) = (key, backend) else {
        return None;
    };
    // ring rounds the size up to whole bytes, so it would take 2041 bits.
    if key.rsa_bits()? < MIN_RSA_BITS {
        return None;
    }
    let algorithm = match padding {
        Padding::Pss => &RSA_PSS_2048_8192_SHA256,
        Padding::Pkcs1 => &RSA_PKCS1_2048_8192_SHA256,
    };
    let key = RsaPublicKeyComponents { n: modulus, e: exponent };
    key.verify(algorithm, message, signature).ok()
}

#[cfg(not(feature = "ring"))]
fn rsa(_: Backend, _: &SubjectKey, _: Padding, _: &[u8], _: &[u8]) -> Option<()> {
    None
}

/// The key in a PEM block, as PyCrypto writes it.
// Stricter: nothing before or after the block, lines of 64 characters.
fn pem_key(text: &[u8]) -> Option<SubjectKey> {
    let (label, der) = pem::decode_vec(text).ok()?;
    let normal = pem::encode_string("PUBLIC KEY", LineEnding::LF, &der).ok()?;
    let same = label == "PUBLIC KEY" && normal.trim_end().as_bytes() == text.trim_ascii_end();
    same.then(|| SubjectKey::from_der(&der)).flatten()
}
