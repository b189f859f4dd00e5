//! Signing with one key, wherever it is.

use super::key::PublicKey;
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
/// Returns the method as metadata names it, and the signature.
pub fn sign_checked(_signer: &dyn Signer, _message: &[u8]) -> Result<(&'static str, Vec<u8>)> {
    Err(Error::Internal { reason: "not written yet".into() })
}
