//! Private keys in memory.

use std::fmt;

use super::key::{KeyId, PublicKey};
use super::signer::Signer;
use crate::error::{Error, Result};

/// A private key in memory. It is wiped when it is dropped.
pub struct PrivateKey {
    public: PublicKey,
}

impl PrivateKey {
    /// A new key on P-256, which is what Notary makes.
    pub fn generate_p256() -> Result<Self> {
        Err(Error::Internal { reason: "not written yet".into() })
    }

    /// A new Ed25519 key. It cannot be a root key: those need a certificate.
    pub fn generate_ed25519() -> Result<Self> {
        Err(Error::Internal { reason: "not written yet".into() })
    }

    /// The ID under which the key is stored.
    pub fn id(&self) -> &KeyId {
        self.public.id()
    }
}

impl Signer for PrivateKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, _message: &[u8]) -> Result<Vec<u8>> {
        Err(Error::Internal { reason: "not written yet".into() })
    }
}

/// Only the ID: a key must not end up in a log.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.id())
    }
}
