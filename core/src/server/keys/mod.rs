//! The server's own keys: who signs snapshots and timestamps.

use async_trait::async_trait;

use crate::crypto::PublicKey;
use crate::metadata::{RoleKeys, Signature};

mod jwe;
mod local;
mod remote;

pub(crate) use local::LocalKeys;
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
