//! What publishers call, and what a client has for it: keys, and the settings
//! of new files.

mod edit;
mod init;
mod keyring;
mod keys;
mod operations;
mod passphrase;
mod publication;
mod publish;
mod salvage;
mod steps;
mod upkeep;

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

pub use edit::{Edit, Rotation, Target};
pub use init::Init;
pub use keys::{GeneratedKey, KeyInfo, KeyKind, KeySelection};
pub use operations::Delegation;
pub use passphrase::{PassphraseRequest, PassphraseSource};
pub use publication::{ChangeSummary, Publication};
pub use upkeep::RoleExpiry;

use super::{Client, ClientBuilder};
use crate::crypto::{KeyType, Signer};
use crate::error::{Error, Result};
use crate::reference::Reference;
use crate::signing::Lifetimes;
use crate::store::KeyStore;
use crate::trust::{Expiry, TrustedSet};

/// The part of a client that publishes.
pub(super) struct Publishing {
    pub(super) keys: KeyStore,
    pub(super) signers: Vec<Arc<dyn Signer>>,
    pub(super) passphrases: PassphraseSource,
    pub(super) lifetimes: Lifetimes,
    pub(super) snapshot_local: bool,
}

/// Settings of a [`Publishing`] in the making.
#[derive(Clone, Default)]
pub(super) struct Settings {
    passphrases: Option<PassphraseSource>,
    signers: Vec<Arc<dyn Signer>>,
    lifetimes: Lifetimes,
    snapshot_local: bool,
}

impl Settings {
    pub(super) fn build(self, trust_dir: &Path) -> Result<Publishing> {
        self.lifetimes.check()?;
        self.signers.iter().try_for_each(|signer| check_signer(signer.as_ref()))?;
        Ok(Publishing {
            keys: KeyStore::new(trust_dir),
            signers: self.signers,
            passphrases: self.passphrases.unwrap_or_else(passphrase::from_environment),
            lifetimes: self.lifetimes,
            snapshot_local: self.snapshot_local,
        })
    }
}

/// Its ID must be the canonical one, under which keys are looked for.
fn check_signer(signer: &dyn Signer) -> Result<()> {
    let key = signer.public_key();
    match key.key_type() {
        KeyType::Ecdsa | KeyType::Rsa | KeyType::Ed25519 => Ok(()),
        other => Err(Error::InvalidConfiguration {
            what: format!("signer {}", key.id()),
            reason: format!("its public key is of type {other}; give the bare key, not a certificate"),
        }),
    }
}

/// Settings for publishing.
impl ClientBuilder {
    /// Where the passphrases of private keys come from. An answer of `None` means
    /// that there is none. Default: `$DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE` for
    /// root keys, `$DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE` for all others.
    ///
    /// It may be called from several threads, and must not use the client: that
    /// could wait for itself for ever.
    pub fn passphrase(
        mut self,
        source: impl Fn(&PassphraseRequest<'_>) -> Option<Zeroizing<String>> + Send + Sync + 'static,
    ) -> Self {
        self.publishing.passphrases = Some(Arc::new(source));
        self
    }

    /// Adds a key that signs elsewhere, such as in an HSM. It comes before a key
    /// with the same ID on disk. It must not use the client.
    pub fn signer(mut self, signer: Arc<dyn Signer>) -> Self {
        self.publishing.signers.push(signer);
        self
    }

    /// How long new files of a role last: of `root`, `targets`, `snapshot`, one
    /// delegation, or under the name `delegations` all others of these. Default:
    /// 3650 days for the root, 1095 for others, as in Notary.
    pub fn expiry(mut self, role: impl Into<String>, lifetime: Duration) -> Self {
        self.publishing.lifetimes.set(role, lifetime);
        self
    }

    /// Snapshot keys of new repositories are made here, as `notary` does.
    /// Default: the server has them, as in Docker.
    pub fn local_snapshot(mut self, local: bool) -> Self {
        self.publishing.snapshot_local = local;
        self
    }
}

impl Client {
    /// What is published, for whoever publishes on top of it. What is expired
    /// can be asked for too, but is never remembered.
    pub(super) fn current(
        &self,
        reference: &Reference,
        require_fresh: bool,
        expiry: Expiry,
    ) -> Result<Arc<TrustedSet>> {
        let slot = self.memory.slot(reference.gun());
        let _turn = slot.update.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = Instant::now();
        let now = (self.clock)();
        let deadline = asked + self.timeout;
        let known = slot.current().map(|known| known.set);
        let updated = self.update(reference, now, deadline, require_fresh, expiry, known)?;
        if updated.fresh && expiry == Expiry::Enforced {
            self.memory.remember(&slot, &updated.set, asked);
        }
        Ok(updated.set)
    }
}
