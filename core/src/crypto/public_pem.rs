//! Files of public keys, as signers hand them to the owner of a repository.

use std::time::SystemTime;

use super::key::PublicKey;
use crate::error::{Error, Result};

/// The public keys of a PEM text: bare keys, or certificates that are valid at `now`.
pub fn public_keys_from_pem(_pem: &[u8], _now: SystemTime) -> Result<Vec<PublicKey>> {
    Err(Error::Internal { reason: "not written yet".into() })
}

/// What `docker trust key generate` writes for the signer: a bare key and its name.
pub fn public_key_to_pem(_key: &PublicKey, _role: &str) -> String {
    String::new()
}
