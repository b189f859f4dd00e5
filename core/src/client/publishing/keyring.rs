//! The keys that can sign during one operation.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::keys::{KeyInfo, KeyKind, gun_header};
use super::passphrase::{self, PassphraseSource};
use crate::client::Client;
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
            store: &self.publishing.keys,
            signers: &self.publishing.signers,
            passphrases: &self.publishing.passphrases,
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
        self.create_of(KeyKind::P256, role, gun)
    }

    pub(super) fn create_of(&self, kind: KeyKind, role: &str, gun: Option<&str>) -> Result<Arc<PrivateKey>> {
        let key = Arc::new(match kind {
            KeyKind::P256 => PrivateKey::generate_p256()?,
            KeyKind::Ed25519 => PrivateKey::generate_ed25519()?,
        });
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use zeroize::Zeroizing;

    use super::*;
    use crate::Client;
    use crate::crypto::sign_checked;

    /// A client whose passphrase is always `password`, and how often it was asked.
    fn client(dir: &Path, signers: &[Arc<dyn Signer>]) -> (Client, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let builder = Client::builder().trust_dir(dir).docker_config(dir).passphrase(move |request| {
            assert_eq!(request.attempt, 0);
            count.fetch_add(1, Ordering::Relaxed);
            Some(Zeroizing::new("password".into()))
        });
        let builder = signers.iter().fold(builder, |builder, signer| builder.signer(signer.clone()));
        (builder.build().unwrap(), asked)
    }

    #[test]
    fn a_key_is_decrypted_once_in_an_operation_and_again_in_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let (client, asked) = client(dir.path(), &[]);
        let id = client.keyring().create("alice", Some("reg.io/app")).unwrap().id().clone();
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        for operation in 1..3 {
            let keyring = client.keyring();
            assert!(keyring.has(&id));
            let keys = keyring.ids().unwrap();
            assert_eq!((keys[0].id.as_str(), keys[0].role.as_str()), (id.as_str(), "alice"));
            assert_eq!(keys[0].gun, None);
            assert_eq!(asked.load(Ordering::Relaxed), operation);
            for _ in 0..3 {
                let signer = keyring.signer(&id).unwrap();
                let (method, signature) = sign_checked(signer.as_ref(), b"message").unwrap();
                assert!(signer.public_key().verify(method, b"message", &signature));
            }
            assert_eq!(asked.load(Ordering::Relaxed), operation + 1);
        }
    }

    #[test]
    fn a_new_key_signs_without_asking_again() {
        let dir = tempfile::tempdir().unwrap();
        let (client, asked) = client(dir.path(), &[]);
        let keyring = client.keyring();
        let key = keyring.create("targets", Some("reg.io/app")).unwrap();
        assert_eq!(keyring.ids().unwrap()[0].gun.as_deref(), Some("reg.io/app"));
        keyring.signer(key.id()).unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn threads_that_need_the_same_key_ask_once() {
        let dir = tempfile::tempdir().unwrap();
        let (client, asked) = client(dir.path(), &[]);
        let id = client.keyring().create("alice", None).unwrap().id().clone();
        let keyring = client.keyring();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| keyring.signer(&id).unwrap());
            }
        });
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_signer_of_the_caller_comes_before_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let key = client(dir.path(), &[]).0.keyring().create("alice", None).unwrap();
        let elsewhere: Arc<dyn Signer> = Arc::new(PrivateKey::generate_ed25519().unwrap());
        let (client, asked) = client(dir.path(), &[key.clone(), elsewhere.clone()]);
        let keyring = client.keyring();
        for signer in [key.public_key(), elsewhere.public_key()] {
            assert!(keyring.has(signer.id()));
            assert_eq!(keyring.signer(signer.id()).unwrap().public_key(), signer);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 0);
        let found = keyring.ids().unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!((found[1].location.as_str(), found[1].role.as_str()), ("signer", ""));
        assert_eq!(found[1].id, elsewhere.public_key().id().as_str());
    }

    #[test]
    fn the_root_key_is_that_with_the_lowest_id() {
        let dir = tempfile::tempdir().unwrap();
        let (client, _) = client(dir.path(), &[]);
        let keyring = client.keyring();
        assert_eq!(keyring.root_key().unwrap(), None);
        keyring.create("alice", None).unwrap();
        assert_eq!(keyring.root_key().unwrap(), None);
        let roots: Vec<_> = (0..4).map(|_| keyring.create("root", None).unwrap().id().clone()).collect();
        assert_eq!(keyring.root_key().unwrap(), roots.into_iter().min());
    }

    #[test]
    fn a_key_that_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (client, asked) = client(dir.path(), &[]);
        let id = PrivateKey::generate_p256().unwrap().id().clone();
        assert!(!client.keyring().has(&id));
        match client.keyring().signer(&id).err().unwrap() {
            Error::KeyNotFound { key_ids, .. } => assert_eq!(key_ids, [id.as_str()]),
            other => panic!("{other:?}"),
        }
        assert_eq!(asked.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_file_with_another_key_than_its_name_says_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (client, _) = client(dir.path(), &[]);
        let [one, other] = ["one", "other"].map(|role| client.keyring().create(role, None).unwrap());
        let path = |key: &PrivateKey| dir.path().join(format!("private/{}.key", key.id()));
        std::fs::copy(path(&other), path(&one)).unwrap();
        match client.keyring().signer(one.id()).err().unwrap() {
            Error::StoreError { path: named, reason } => {
                assert_eq!(named, path(&one).display().to_string());
                assert!(reason.contains(other.id().as_str()), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        assert!(client.keyring().signer(other.id()).is_ok());
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_an_error_and_no_missing_key() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("private"), "").unwrap();
        let (client, _) = client(dir.path(), &[]);
        let keyring = client.keyring();
        let id = PrivateKey::generate_p256().unwrap().id().clone();
        assert!(keyring.has(&id));
        for error in [
            keyring.signer(&id).err(),
            keyring.ids().err(),
            keyring.root_key().err(),
            keyring.create("alice", None).err(),
        ] {
            assert!(matches!(error, Some(Error::StoreError { .. })), "{error:?}");
        }
    }
}
