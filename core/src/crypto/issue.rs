//! Certificates of root keys.

use std::time::{Duration, SystemTime};

use super::key::PublicKey;
use super::signer::Signer;
use crate::error::{Error, Result};

/// A certificate for a root key as Notary makes it: self-signed, with the GUN as
/// common name. The key is of type `ecdsa-x509` or `rsa-x509`.
pub fn issue_root_certificate(
    _gun: &str,
    _signer: &dyn Signer,
    _now: SystemTime,
    _valid: Duration,
) -> Result<PublicKey> {
    Err(Error::Internal { reason: "not written yet".into() })
}
