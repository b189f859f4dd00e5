//! The server's own keys: who signs snapshots and timestamps.

use std::sync::Arc;

use async_trait::async_trait;

use super::config::{KeysConfig, StorageConfig};
use super::storage::{KeyRecord, Storage, StorageError};
use crate::crypto::PublicKey;
use crate::metadata::{RoleKeys, Signature};

mod cache;
mod jwe;
mod local;
mod passphrase_file;
mod passphrases;
#[cfg(feature = "pkcs11")]
mod pkcs11;
mod remote;

pub(crate) use local::LocalKeys;
#[cfg(feature = "pkcs11")]
pub(crate) use pkcs11::TokenKeys;
pub(crate) use remote::RemoteSigner;

/// Why a key service gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeysError {
    /// It cannot be reached, or a passphrase is missing or wrong.
    #[error("signing service: {0}")]
    Unavailable(String),
}

/// What signs for the server. A key is made for one role of one repository and
/// signs for nothing else.
#[async_trait]
pub(crate) trait Keys: Send + Sync {
    /// The key that a role of a repository may name next: one that has not been
    /// used yet, made if there is none. The same until it is used.
    async fn pending(&self, gun: &str, role: &str) -> Result<PublicKey, KeysError>;

    /// The first of the listed keys whose private part is here.
    async fn held(&self, gun: &str, role: &str, keys: &RoleKeys) -> Result<Option<PublicKey>, KeysError>;

    /// One signature over the message by each of the listed keys that is here,
    /// each checked. None: no such key.
    async fn sign(
        &self,
        gun: &str,
        role: &str,
        keys: &RoleKeys,
        message: &[u8],
    ) -> Result<Vec<Signature>, KeysError>;

    /// Whether signing would work now.
    async fn check(&self) -> Result<(), KeysError>;

    /// Name of its health check, if it has one.
    fn health_name(&self) -> Option<&'static str>;
}

/// The keys that a server was told to use, over its storage.
///
/// # Errors
/// [`crate::Error::InvalidConfiguration`] says what is missing or wrong;
/// [`crate::Error::StoreError`] is about the file of a passphrase.
pub(crate) async fn open(
    config: &KeysConfig,
    storage: &Arc<dyn Storage>,
    storage_config: &StorageConfig,
) -> crate::Result<Arc<dyn Keys>> {
    Ok(match config {
        KeysConfig::Local(passphrases) => {
            Arc::new(LocalKeys::open(storage, storage_config, passphrases).await?)
        }
        KeysConfig::Remote(signer) => Arc::new(RemoteSigner::open(signer, storage)?),
        #[cfg(feature = "pkcs11")]
        KeysConfig::Pkcs11 { module, token, pin } => {
            Arc::new(TokenKeys::open(storage, module, token, pin).await?)
        }
    })
}

/// Before the `CKA_ID` of a key that is not in the storage but in a token.
const IN_TOKEN: &str = "pkcs11:";

/// Instead of a key that Notary's signer has.
const WITH_SIGNER: &str = "notary-signer";

fn is_elsewhere(record: &KeyRecord) -> bool {
    record.secret.starts_with(IN_TOKEN) || record.secret == WITH_SIGNER
}

impl From<StorageError> for KeysError {
    fn from(error: StorageError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// At the start of a server.
impl From<KeysError> for crate::Error {
    fn from(KeysError::Unavailable(reason): KeysError) -> Self {
        Self::InvalidConfiguration { what: "keys of the server".into(), reason }
    }
}
