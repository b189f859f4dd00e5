//! New repositories, and the end of old ones.

use std::sync::Arc;

use super::edit::invalid;
use super::publication::Publication;
use super::publish::{Mode, Publisher};
use crate::client::Client;
use crate::client::cache::Stored;
use crate::crypto::{KeyId, PublicKey, Signer};
use crate::error::{Error, Result};
use crate::metadata::{Envelope, Targets, role};
use crate::reference::Reference;
use crate::signing::Draft;
use crate::trust::{Expiry, MAX_FILE_BYTES, TrustedRoot};

/// How a repository is made.
#[derive(Debug, Clone, Default)]
pub struct Init {
    /// Canonical ID of the root key. Default: as Docker, the local root key
    /// with the lowest ID, else a new one.
    pub root_key: Option<KeyId>,
    /// Canonical ID of the key for `targets`. Default: a new one.
    pub targets_key: Option<KeyId>,
    /// The snapshot key is made here, as `notary init` does. Default: the
    /// server has it, as in Docker.
    pub local_snapshot: bool,
    /// The files are only written to the trust directory, as `notary init`
    /// does; publishing the first change uploads them.
    pub unpublished: bool,
}

impl Client {
    /// Makes a repository: a root key is made or reused, the timestamp key is
    /// the server's, and the first root and targets are published.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it exists already, here or on the server.
    /// After any other error it can simply be run again.
    pub fn init(&self, repository: &str, init: &Init) -> Result<Publication> {
        let reference = Reference::parse_name(repository)?;
        if !init.unpublished {
            return self.edit(repository)?.init(init.clone()).publish();
        }
        Publisher::new(self, &reference, Mode::Publish)?.init_here(init)
    }

    /// Removes a repository's cached metadata and staged changes, and with
    /// `remote` first everything that the server has of it. Keys stay.
    ///
    /// # Errors
    /// [`Error::InvalidReference`], those of the server, [`Error::StoreError`].
    pub fn delete(&self, repository: &str, remote: bool) -> Result<()> {
        let reference = Reference::parse_name(repository)?;
        if remote {
            let publisher = Publisher::new(self, &reference, Mode::Publish)?;
            let deleted = publisher.remote.delete(reference.gun(), publisher.deadline());
            deleted.map_err(|failure| publisher.failed(failure))?;
        }
        self.memory.forget(reference.gun());
        self.store.remove(reference.gun())
    }
}

impl Publisher<'_> {
    fn init_here(&self, init: &Init) -> Result<Publication> {
        match self.published() {
            Err(Error::NoTrustData { .. }) => {}
            Ok(_) => return Err(invalid(self.gun(), "it is initialised already")),
            Err(error) => return Err(error),
        }
        if self.unpublished()?.is_some() {
            return Err(invalid(self.gun(), "it is initialised already, and waits to be published"));
        }
        let draft = self.create(init)?.unpublished_first();
        let files = self.sign(&draft)?;
        let bytes: Vec<(&str, &[u8])> =
            files.iter().map(|file| (file.role.as_str(), file.file.as_ref())).collect();
        self.client.store.commit(self.gun(), &bytes, &|_| false)?;
        Ok(Publication {
            repository: self.gun().to_owned(),
            changes: Vec::new(),
            files,
            warnings: Vec::new(),
            published: false,
            attempts: 1,
        })
    }

    /// A new repository. The server's keys come first: if it cannot be reached,
    /// nothing was made here.
    pub(super) fn create(&self, init: &Init) -> Result<Draft> {
        if self.dry_run() {
            return self.imagined();
        }
        let timestamp = self.server_key(role::TIMESTAMP, false)?;
        let snapshot = match init.local_snapshot || self.client.publishing.snapshot_local {
            true => None,
            false => Some(self.server_key(role::SNAPSHOT, false)?),
        };
        let root = match init.root_key.clone().map_or_else(|| self.keyring().root_key(), |id| Ok(Some(id)))? {
            Some(id) => self.keyring().signer(&id)?,
            None => self.keyring().create(role::ROOT, None)?,
        };
        let targets = match &init.targets_key {
            Some(id) => self.keyring().signer(id)?,
            None => self.own_key(role::TARGETS)?,
        };
        let snapshot = match snapshot {
            Some(key) => key,
            None => self.own_key(role::SNAPSHOT)?.public_key().clone(),
        };
        let root = self.public_key_for(role::ROOT, root.as_ref())?;
        Ok(Draft::new(self.gun(), &[root], targets.public_key(), &snapshot, &timestamp))
    }

    /// The key of an earlier attempt to make this repository, else a new one.
    fn own_key(&self, name: &str) -> Result<Arc<dyn Signer>> {
        let gun = Some(self.gun());
        let earlier =
            self.keyring().ids()?.into_iter().find(|key| key.role == name && key.gun.as_deref() == gun);
        match earlier {
            Some(key) => self.keyring().signer(&KeyId::from_listed(&key.id)),
            None => Ok(self.keyring().create(name, gun)?),
        }
    }

    /// A repository with keys that exist nowhere, to say what would be done.
    pub(super) fn imagined(&self) -> Result<Draft> {
        let key = crate::crypto::PrivateKey::generate_p256()?;
        let root: PublicKey = self.public_key_for(role::ROOT, &key)?;
        let key = key.public_key();
        Ok(Draft::new(self.gun(), &[root], key, key, key))
    }

    /// A repository that was made here, by us or by `notary init`, and never
    /// published.
    ///
    /// # Errors
    /// [`Error::NoTrustData`] if it was published before: whoever takes the
    /// server's files away must not make us begin anew.
    pub(super) fn unpublished(&self) -> Result<Option<Draft>> {
        let was_published = || Error::NoTrustData {
            gun: self.gun().to_owned(),
            server: format!("{} (it was published before; delete it here to begin anew)", self.remote.url()),
        };
        // Where the cache cannot be written, this process remembers.
        if self.client.memory.slot(self.gun()).current().is_some() {
            return Err(was_published());
        }
        let view = self.client.store.view(self.gun())?;
        let stored = Stored::read(&view)?;
        let Some(file) = stored.root.clone() else { return Ok(None) };
        let damaged = |path: std::path::PathBuf, error: &dyn std::fmt::Display| Error::StoreError {
            path: path.display().to_string(),
            reason: format!("it is damaged ({error}); remove the repository's directory to begin anew"),
        };
        let pins = Some(&self.client.pinning);
        let root = TrustedRoot::accept(self.gun(), file, None, pins, Expiry::Enforced, self.now())?;
        if stored.has_timestamp() || root.version() != 1 {
            return Err(was_published());
        }
        let targets = match view.read(role::TARGETS, MAX_FILE_BYTES)? {
            None => None,
            Some(file) => {
                let read = Envelope::read(file).and_then(|envelope| Targets::read(role::TARGETS, envelope));
                let targets = read.map_err(|error| damaged(view.path(role::TARGETS), &error))?;
                let keys = root.root().role(role::TARGETS);
                let signed = keys.is_some_and(|keys| {
                    crate::trust::signatures::verify(targets.envelope(), &keys.keys, keys.threshold).is_ok()
                });
                if !signed {
                    return Err(damaged(view.path(role::TARGETS), &"it is not signed by the targets key"));
                }
                Some(Arc::new(targets))
            }
        };
        Draft::unpublished(&root, targets).map(Some)
    }
}
