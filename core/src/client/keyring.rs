//! The keys that can sign during one operation.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Client;
use super::keys::{KeyInfo, gun_header};
use super::passphrase::{self, PassphraseSource};
use crate::crypto::{KeyFile, KeyId, PrivateKey, Signer};
use crate::error::{Error, Result};
use crate::metadata::role;
use crate::store::{KeyStore, StoredKey, damaged};

/// Keys that can sign: those the caller gave, and those on disk. Each of the
/// latter is decrypted once, and forgotten with the keyring.
pub(crate) struct Keyring<'a> {
    store: &'a KeyStore,
    signers: &'a [Arc<dyn Signer>],
    passphrases: &'a PassphraseSource,
    opened: Mutex<BTreeMap<KeyId, Arc<dyn Signer>>>,
}

impl Client {
    /// The keys for one operation.
    pub(crate) fn keyring(&self) -> Keyring<'_> {
        Keyring {
            store: &self.keys,
            signers: &self.signers,
            passphrases: &self.passphrases,
            opened: Mutex::default(),
        }
    }
}

impl Keyring<'_> {
    /// All keys, without decrypting any: the caller's signers first, then by ID.
    pub(crate) fn ids(&self) -> Result<Vec<KeyInfo>> {
        let given = self.signers.iter().map(|signer| KeyInfo::of_signer(signer.public_key().id()));
        let stored = self.store.list()?;
        Ok(given.chain(stored.iter().map(KeyInfo::of_stored)).collect())
    }

    /// Whether there is a key with this canonical ID. True also if that cannot
    /// be told: then [`Keyring::signer`] says why.
    pub(crate) fn has(&self, canonical: &KeyId) -> bool {
        self.given(canonical).is_some() || !matches!(self.store.find(canonical), Ok(None))
    }

    /// The key with this canonical ID, decrypted.
    pub(crate) fn signer(&self, canonical: &KeyId) -> Result<Arc<dyn Signer>> {
        if let Some(signer) = self.given(canonical) {
            return Ok(signer.clone());
        }
        // Held while a passphrase is asked for: nobody is asked twice.
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signer) = opened.get(canonical) {
            return Ok(signer.clone());
        }
        let key: Arc<dyn Signer> = Arc::new(self.open(canonical)?);
        opened.insert(canonical.clone(), key.clone());
        Ok(key)
    }

    /// A new key for a role. It is safely on disk before anything can refer to it.
    pub(crate) fn create(&self, role: &str, gun: Option<&str>) -> Result<Arc<PrivateKey>> {
        let key = Arc::new(PrivateKey::generate_p256()?);
        let passphrase = passphrase::choose(self.passphrases, key.id().as_str(), role)?;
        let file = KeyFile::encrypt(&key, &passphrase, role, gun_header(role, gun))?;
        self.store.store(key.id(), &[file])?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.insert(key.id().clone(), key.clone());
        Ok(key)
    }

    /// The root key that Docker would use: of those on disk that with the lowest ID.
    pub(crate) fn root_key(&self) -> Result<Option<KeyId>> {
        let stored = self.store.list()?;
        Ok(stored.into_iter().find(|key| key.role() == role::ROOT).map(|key| key.id))
    }

    fn given(&self, canonical: &KeyId) -> Option<&Arc<dyn Signer>> {
        self.signers.iter().find(|signer| signer.public_key().id() == canonical)
    }

    fn open(&self, canonical: &KeyId) -> Result<PrivateKey> {
        let Some(stored) = self.store.find(canonical)? else {
            return Err(Error::KeyNotFound {
                role: "signing".into(),
                key_ids: vec![canonical.as_str().into()],
                reason: format!(
                    "it is not in {}; load or import it, or give the client a signer for it",
                    self.store.directory().display()
                ),
            });
        };
        open_stored(&stored, self.passphrases)
    }
}

/// Decrypts a key on disk, and makes sure that it is the one its name says.
pub(super) fn open_stored(stored: &StoredKey, passphrases: &PassphraseSource) -> Result<PrivateKey> {
    let damaged = |fault: &str| damaged(&stored.path, fault);
    let key = passphrase::decrypt(passphrases, stored.file(), stored.id.as_str(), &stored.role(), damaged)?;
    if *key.id() != stored.id {
        return Err(damaged(&format!("its name says that it is another key: it holds {}", key.id())));
    }
    Ok(key)
}
