//! Signing with one key, wherever it is.

use p256::ecdsa::Error as NotDer;

use super::key::{KeyType, PublicKey};
use super::subject_key::SubjectKey;
use crate::error::{Error, Result};

/// Something that signs with one key: a key on disk, in an HSM, behind a callback.
pub trait Signer: Send + Sync {
    /// The bare public key: of type `ecdsa`, `rsa` or `ed25519`, never a certificate.
    fn public_key(&self) -> &PublicKey;

    /// The signature over `message` itself: SHA-256 and ECDSA as r‖s or in DER,
    /// Ed25519, or RSA-PSS with SHA-256 and a salt of 32 bytes.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>>;
}

/// Signs, brings ECDSA to r‖s, and checks the result with the public key.
///
/// Returns the method as metadata names it, and the signature. A signer whose
/// signature is not its key's is [`Error::InvalidInput`]: nothing is published
/// that others would refuse.
pub fn sign_checked(signer: &dyn Signer, message: &[u8]) -> Result<(&'static str, Vec<u8>)> {
    let key = signer.public_key();
    let unusable = |reason: &str| Error::InvalidInput {
        what: format!("signer of key {}", key.id()),
        reason: reason.to_owned(),
    };
    let method = match key.key_type() {
        KeyType::Ecdsa => "ecdsa",
        KeyType::Ed25519 => "eddsa",
        KeyType::Rsa if cfg!(feature = "ring") => "rsapss",
        KeyType::Rsa => return Err(unusable("RSA needs the feature `ring`")),
        other => {
            return Err(unusable(&format!("its key has the type {other:?}, not ecdsa, rsa or ed25519")));
        }
    };
    let signature = signer.sign(message)?;
    // DER can be as long as r‖s, so the length does not tell them apart.
    let from_der = key.subject_key().and_then(|key| fixed_from_der(&key, &signature).ok());
    [Some(signature), from_der]
        .into_iter()
        .flatten()
        .find(|signature| key.verify(method, message, signature))
        .map(|signature| (method, signature))
        .ok_or_else(|| unusable("its signature does not verify with its public key"))
}

/// r‖s of an ECDSA signature in DER.
fn fixed_from_der(key: &SubjectKey, der: &[u8]) -> Result<Vec<u8>, NotDer> {
    Ok(match key {
        SubjectKey::P256(_) => p256::ecdsa::Signature::from_der(der)?.to_bytes().to_vec(),
        SubjectKey::P384(_) => p384::ecdsa::Signature::from_der(der)?.to_bytes().to_vec(),
        SubjectKey::P521(_) => p521::ecdsa::Signature::from_der(der)?.to_bytes().to_vec(),
        SubjectKey::Rsa { .. } => return Err(NotDer::new()),
    })
}

/// DER of an ECDSA signature r‖s, as certificates have it.
pub(super) fn der_from_fixed(key: &SubjectKey, fixed: &[u8]) -> Result<Vec<u8>, NotDer> {
    Ok(match key {
        SubjectKey::P256(_) => p256::ecdsa::Signature::from_slice(fixed)?.to_der().as_bytes().to_vec(),
        SubjectKey::P384(_) => p384::ecdsa::Signature::from_slice(fixed)?.to_der().as_bytes().to_vec(),
        SubjectKey::P521(_) => p521::ecdsa::Signature::from_slice(fixed)?.to_der().as_bytes().to_vec(),
        SubjectKey::Rsa { .. } => return Err(NotDer::new()),
    })
}
