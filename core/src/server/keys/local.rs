//! Keys in the storage, encrypted with a passphrase.

use std::sync::Arc;

use async_trait::async_trait;

use super::cache::Cache;
use super::jwe::{self, JweFault, Purpose, Sealed};
use super::passphrases::{Vault, normal};
use super::{Keys, KeysError};
use crate::crypto::{PrivateKey, PublicKey, Signer, sign_checked};
use crate::error::excerpt;
use crate::metadata::{RoleKeys, Signature};
use crate::server::config::{Passphrases, StorageConfig};
use crate::server::storage::{KeyRecord, Storage};

type Result<T> = std::result::Result<T, KeysError>;

/// What new keys are, as with notary-server's own keys.
const ALGORITHM: &str = "ed25519";

/// Keys that are rewrapped between two looks at the storage.
const PAGE: usize = 100;

/// Keys in the storage, decrypted when they are needed.
pub(crate) struct LocalKeys {
    storage: Arc<dyn Storage>,
    vault: Vault,
    decrypted: Cache<Arc<HeldKey>>,
}

/// A private key, and what it may sign.
struct HeldKey {
    key: PrivateKey,
    gun: String,
    role: String,
}

impl HeldKey {
    /// Notary's first databases did not say what a key is for: empty.
    fn is_for(&self, gun: &str, role: &str) -> bool {
        (self.gun == gun || self.gun.is_empty()) && (self.role == role || self.role.is_empty())
    }
}

impl LocalKeys {
    /// Takes the passphrases, makes one where none is needed from outside, and
    /// checks that new keys can be encrypted with the same one as those before.
    ///
    /// # Errors
    /// [`crate::Error::InvalidConfiguration`] says which passphrase is missing or wrong.
    pub(crate) async fn open(
        storage: &Arc<dyn Storage>,
        storage_config: &StorageConfig,
        passphrases: &Passphrases,
    ) -> crate::Result<Self> {
        let vault = Vault::open(passphrases, storage_config)?;
        let keys = Self { storage: storage.clone(), vault, decrypted: Cache::default() };
        keys.check().await?;
        Ok(keys)
    }

    /// Encrypts all keys with the passphrase of this alias, and gives how many
    /// were not. Servers may go on meanwhile if they have both passphrases, and
    /// this one for new keys. Can be stopped and run again at any time.
    ///
    /// # Errors
    /// Names the first key that could not be decrypted; the others are done.
    pub(crate) async fn rotate_passphrase(&self, to_alias: &str) -> Result<u64> {
        let to_alias = &normal(to_alias);
        self.vault.kek(to_alias, &*self.storage).await?;
        let (mut done, mut failures) = (0, Vec::new());
        let mut last = String::new();
        loop {
            let page = self.storage.keys_not_under(to_alias, &last, PAGE).await?;
            let Some(record) = page.last() else { break };
            last.clone_from(&record.id);
            for record in page.iter().filter(|record| !super::is_elsewhere(record)) {
                match self.rewrap(record, to_alias).await {
                    Ok(true) => done += 1,
                    // Another process did it.
                    Ok(false) => {}
                    Err(failure) => failures.push(failure),
                }
            }
        }
        match failures.first() {
            None => Ok(done),
            Some(KeysError::Unavailable(first)) => Err(KeysError::Unavailable(format!(
                "{done} keys are encrypted with the passphrase {to_alias:?} now, {} could not be: {first}",
                failures.len()
            ))),
        }
    }

    /// Whether a key that is stored can be used.
    pub(crate) async fn try_key(&self, record: &KeyRecord) -> Result<()> {
        self.hold(record.clone()).await.map(drop)
    }

    async fn rewrap(&self, record: &KeyRecord, to_alias: &str) -> Result<bool> {
        let failed = |fault: JweFault| of_key(record, &fault.to_string());
        let plain = self.decrypt(record).await?;
        let kek = self.vault.kek(to_alias, &*self.storage).await?;
        let secret = jwe::seal(kek, purpose(record), &plain).map_err(failed)?;
        // The old form goes for good.
        let again = Sealed::read(&secret).and_then(|sealed| sealed.open(kek, purpose(record)));
        if again.map_err(failed)? != plain {
            return Err(of_key(record, "what was encrypted does not decrypt"));
        }
        Ok(self.storage.rewrap_key(&record.id, &record.secret, &secret, to_alias).await?)
    }

    /// The key that is stored, if it is for this role of this repository.
    async fn find(&self, gun: &str, role: &str, public: &PublicKey) -> Result<Option<Arc<HeldKey>>> {
        let id = public.id().as_str();
        let key = match self.decrypted.get(id) {
            Some(key) => key,
            None => match self.storage.key(id).await? {
                Some(record) if !super::is_elsewhere(&record) => self.hold(record).await?,
                _ => return Ok(None),
            },
        };
        Ok(key.is_for(gun, role).then_some(key))
    }

    /// Decrypts a key and keeps it at hand. That it has the ID and the public
    /// key of its record says that nobody put in another one.
    async fn hold(&self, record: KeyRecord) -> Result<Arc<HeldKey>> {
        let plain = self.decrypt(&record).await?;
        let key = match record.algorithm.as_str() {
            "ed25519" => PrivateKey::from_ed25519(&plain),
            "ecdsa" => PrivateKey::from_sec1(&plain, None),
            other => return Err(of_key(&record, &format!("a key of type {:?}", excerpt(other, 50)))),
        };
        let key = key.map_err(|fault| of_key(&record, &fault.to_string()))?;
        if key.id().as_str() != record.id || key.public_key().public_bytes() != record.public {
            return Err(of_key(&record, "its private key is another key's"));
        }
        let key = Arc::new(HeldKey { key, gun: record.gun, role: record.role });
        self.decrypted.put(&record.id, key.clone());
        Ok(key)
    }

    async fn decrypt(&self, record: &KeyRecord) -> Result<zeroize::Zeroizing<Vec<u8>>> {
        let failed = |fault: JweFault| of_key(record, &fault.to_string());
        let sealed = Sealed::read(&record.secret).map_err(failed)?;
        if !sealed.is_notarys() {
            let kek = self.vault.kek(&record.alias, &*self.storage).await?;
            return sealed.open(kek, purpose(record)).map_err(failed);
        }
        let (passphrase, secret) = (self.vault.passphrase(&record.alias)?.clone(), record.secret.clone());
        let opened = tokio::task::spawn_blocking(move || Sealed::read(&secret)?.open_notarys(&passphrase));
        opened.await.map_err(|error| of_key(record, &error.to_string()))?.map_err(failed)
    }

    /// A new key for this role, encrypted.
    async fn make(&self, gun: &str, role: &str) -> Result<(KeyRecord, PrivateKey)> {
        let alias = self.vault.default_alias();
        let kek = self.vault.kek(alias, &*self.storage).await?;
        let failed = |reason: String| KeysError::Unavailable(format!("new key: {reason}"));
        let key = PrivateKey::generate_ed25519().map_err(|error| failed(error.to_string()))?;
        let plain = key.to_ed25519().ok_or_else(|| failed("it is not Ed25519".into()))?;
        let mut record = KeyRecord {
            id: key.id().as_str().into(),
            gun: gun.into(),
            role: role.into(),
            algorithm: ALGORITHM.into(),
            public: key.public_key().public_bytes().to_vec(),
            secret: String::new(),
            alias: alias.into(),
            used: None,
        };
        record.secret =
            jwe::seal(kek, purpose(&record), &plain).map_err(|fault| failed(fault.to_string()))?;
        Ok((record, key))
    }
}

#[async_trait]
impl Keys for LocalKeys {
    async fn pending(&self, gun: &str, role: &str) -> Result<PublicKey> {
        if let Some(record) = self.storage.unused_key(gun, role, ALGORITHM).await? {
            // Decrypted: a key that somebody else put there could not be.
            return Ok(self.hold(record).await?.key.public_key().clone());
        }
        let (record, key) = self.make(gun, role).await?;
        let kept = self.storage.add_key(&record).await?;
        if kept.id != record.id {
            return Ok(self.hold(kept).await?.key.public_key().clone());
        }
        let public = key.public_key().clone();
        self.decrypted.put(&record.id, Arc::new(HeldKey { key, gun: record.gun, role: record.role }));
        Ok(public)
    }

    async fn held(&self, gun: &str, role: &str, keys: &RoleKeys) -> Result<Option<PublicKey>> {
        for (_, public) in &keys.keys {
            if self.find(gun, role, public).await?.is_some() {
                return Ok(Some(PublicKey::clone(public)));
            }
        }
        Ok(None)
    }

    async fn sign(&self, gun: &str, role: &str, keys: &RoleKeys, message: &[u8]) -> Result<Vec<Signature>> {
        let mut signatures = Vec::new();
        for (listed, public) in &keys.keys {
            let Some(held) = self.find(gun, role, public).await? else { continue };
            let (method, bytes) = sign_checked(&held.key, message)
                .map_err(|error| KeysError::Unavailable(error.to_string()))?;
            signatures.push(Signature { key_id: listed.clone(), method: method.into(), bytes });
        }
        Ok(signatures)
    }

    async fn check(&self) -> Result<()> {
        self.vault.kek(self.vault.default_alias(), &*self.storage).await.map(|_| ())
    }

    fn health_name(&self) -> Option<&'static str> {
        None
    }
}

fn purpose(record: &KeyRecord) -> Purpose<'_> {
    Purpose { key_id: &record.id, gun: &record.gun, role: &record.role }
}

fn of_key(record: &KeyRecord, reason: &str) -> KeysError {
    let (id, alias) = (excerpt(&record.id, 64), excerpt(&record.alias, 50));
    KeysError::Unavailable(format!("key {id}, encrypted with the passphrase {alias:?}: {reason}"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use zeroize::Zeroizing;

    use super::super::jwe::tests::{NOTARYS, NOTARYS_PASSPHRASE};
    use super::*;
    use crate::crypto::KeyType;
    use crate::server::storage::{ImportBatch, Memory};

    const GUN: &str = "reg.example/app";

    fn memory() -> Arc<dyn Storage> {
        Arc::new(Memory::default())
    }

    async fn open(storage: &Arc<dyn Storage>, default_alias: &str, aliases: &[(&str, &str)]) -> LocalKeys {
        let by_alias = aliases.iter().map(|(alias, secret)| (alias.to_string(), secret.to_string().into()));
        let passphrases = Passphrases { default_alias: default_alias.into(), by_alias: by_alias.collect() };
        LocalKeys::open(storage, &StorageConfig::Memory, &passphrases).await.unwrap()
    }

    fn listed<'a>(keys: impl IntoIterator<Item = &'a PublicKey>) -> RoleKeys {
        let keys = keys.into_iter().map(|key| (key.id().clone(), Arc::new(key.clone())));
        RoleKeys { keys: keys.collect(), threshold: 1 }
    }

    fn reason<T: std::fmt::Debug>(result: Result<T>) -> String {
        let Err(KeysError::Unavailable(reason)) = result else { panic!("{result:?}") };
        reason
    }

    async fn put(storage: &Arc<dyn Storage>, record: KeyRecord) {
        let batch = ImportBatch { keys: vec![record], ..ImportBatch::default() };
        assert_eq!(storage.import(&batch).await.unwrap().keys, 1);
    }

    /// The rows of Notary's signer, as they are taken over.
    fn notarys(gun: &str, role: &str) -> Vec<KeyRecord> {
        let record = |[id, algorithm, public, secret]: [&str; 4]| KeyRecord {
            id: id.into(),
            gun: gun.into(),
            role: role.into(),
            algorithm: algorithm.into(),
            public: base16ct::lower::decode_vec(public).unwrap(),
            secret: secret.into(),
            alias: "lab".into(),
            used: None,
        };
        NOTARYS.map(record).into()
    }

    #[tokio::test]
    async fn a_key_is_the_same_until_it_is_used_and_signs_after_a_restart() {
        let storage = memory();
        let keys = open(&storage, "a", &[("a", "geheim")]).await;
        let first = keys.pending(GUN, "snapshot").await.unwrap();
        assert_eq!(*first.key_type(), KeyType::Ed25519);
        assert_eq!(keys.pending(GUN, "snapshot").await.unwrap(), first);
        let others = [(GUN, "timestamp"), ("reg.example/ap", "snapshot")];
        for (gun, role) in others {
            assert_ne!(keys.pending(gun, role).await.unwrap(), first);
        }

        let again = open(&storage, "a", &[("a", "geheim")]).await;
        assert_eq!(again.pending(GUN, "snapshot").await.unwrap(), first);
        let stranger = PrivateKey::generate_ed25519().unwrap();
        let role_keys = listed([stranger.public_key(), &first]);
        for keys in [&keys, &again] {
            assert_eq!(keys.held(GUN, "snapshot", &role_keys).await.unwrap().as_ref(), Some(&first));
            let signatures = keys.sign(GUN, "snapshot", &role_keys, b"message").await.unwrap();
            let [signature] = &signatures[..] else { panic!("{signatures:?}") };
            assert_eq!((&signature.key_id, &*signature.method), (first.id(), "eddsa"));
            assert!(first.verify("eddsa", b"message", &signature.bytes));
            // A key is for one role of one repository.
            for (gun, role) in others {
                assert_eq!(keys.held(gun, role, &role_keys).await.unwrap(), None);
                assert_eq!(keys.sign(gun, role, &role_keys, b"message").await.unwrap(), []);
            }
        }
        assert_eq!(again.held(GUN, "snapshot", &listed([stranger.public_key()])).await.unwrap(), None);
    }

    #[tokio::test]
    async fn two_servers_that_make_a_key_at_once_agree() {
        let storage = memory();
        let mut servers = Vec::new();
        for _ in 0..4 {
            servers.push(Arc::new(open(&storage, "a", &[("a", "geheim")]).await));
        }
        for round in 0..50 {
            let gun = format!("reg.example/{round}");
            let tasks: Vec<_> = servers
                .iter()
                .map(|keys| {
                    let (keys, gun) = (keys.clone(), gun.clone());
                    tokio::spawn(async move { keys.pending(&gun, "snapshot").await.unwrap() })
                })
                .collect();
            let mut made = HashSet::new();
            for task in tasks {
                made.insert(task.await.unwrap().id().clone());
            }
            assert_eq!(made.len(), 1);
        }
    }

    #[tokio::test]
    async fn rows_that_were_exchanged_are_refused() {
        let storage = memory();
        let keys = open(&storage, "a", &[("a", "geheim")]).await;
        let public = keys.pending(GUN, "snapshot").await.unwrap();
        let record = storage.key(public.id().as_str()).await.unwrap().unwrap();
        let stranger = PrivateKey::generate_ed25519().unwrap();

        let other_key = KeyRecord {
            id: stranger.id().as_str().into(),
            public: stranger.public_key().public_bytes().into(),
            ..record.clone()
        };
        let other_gun = KeyRecord { gun: "reg.example/other".into(), ..record.clone() };
        let other_role = KeyRecord { role: "timestamp".into(), ..record.clone() };
        let other_public = KeyRecord { public: vec![7; 32], ..record.clone() };
        for changed in [other_key, other_gun, other_role, other_public] {
            // The same parameters of the passphrase, and this row.
            let damaged = memory();
            for alias in ["a", "check of a"] {
                let parameters = storage.passphrase_parameters(alias, "").await.unwrap();
                damaged.passphrase_parameters(alias, &parameters).await.unwrap();
            }
            put(&damaged, changed.clone()).await;
            let keys = open(&damaged, "a", &[("a", "geheim")]).await;
            let shown = reason(keys.pending(&changed.gun, &changed.role).await);
            assert!(
                shown.ends_with("for another key, repository or role")
                    || shown.ends_with("its private key is another key's"),
                "{shown}"
            );
            let public = PublicKey::new(KeyType::Ed25519, changed.public.clone());
            let sign = keys.sign(&changed.gun, &changed.role, &listed([&public]), b"message").await;
            assert!(!matches!(&sign, Ok(signatures) if !signatures.is_empty()), "{sign:?}");
        }
    }

    #[tokio::test]
    async fn keys_of_notarys_signer_sign_for_what_they_are() {
        for (gun, role) in [(GUN, "timestamp"), ("", "")] {
            let storage = memory();
            let records = notarys(gun, role);
            for record in &records {
                put(&storage, record.clone()).await;
            }
            let keys = open(&storage, "new", &[("new", "geheim"), ("lab", NOTARYS_PASSPHRASE)]).await;
            let public: Vec<_> = records
                .iter()
                .map(|record| PublicKey::new(KeyType::from(&*record.algorithm), record.public.clone()))
                .collect();
            let signatures = keys.sign(GUN, "timestamp", &listed(&public), b"message").await.unwrap();
            assert_eq!(signatures.len(), 2);
            for (signature, public) in signatures.iter().zip(&public) {
                assert_eq!(signature.key_id, *public.id());
                assert!(public.verify(&signature.method, b"message", &signature.bytes));
            }
            let elsewhere = keys.sign(GUN, "snapshot", &listed(&public), b"message").await.unwrap();
            assert_eq!(elsewhere.len(), if role.is_empty() { 2 } else { 0 });

            // Without their passphrase: named by alias, and not taken for absent.
            let without = open(&storage, "new", &[("new", "geheim")]).await;
            let missing = reason(without.held(GUN, "timestamp", &listed(&public)).await);
            assert!(missing.contains("TAGTRUST_SERVER_PASSPHRASE_LAB"), "{missing}");
            let wrong = open(&storage, "new", &[("new", "geheim"), ("lab", "geheimer")]).await;
            let wrong = reason(wrong.sign(GUN, "timestamp", &listed(&public), b"message").await);
            assert!(wrong.contains("\"lab\": it does not decrypt") && !wrong.contains("geheimer"), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_passphrase_is_rotated_while_servers_go_on() {
        let storage = memory();
        let old = open(&storage, "old", &[("old", "geheim")]).await;
        let mut public = Vec::new();
        for number in 0..2 * PAGE + 10 {
            public.push(old.pending(&format!("reg.example/{number}"), "snapshot").await.unwrap());
        }
        for record in notarys(GUN, "timestamp") {
            public.push(PublicKey::new(KeyType::from(&*record.algorithm), record.public.clone()));
            put(&storage, record).await;
        }
        let all = [("old", "geheim"), ("new", "neu"), ("lab", NOTARYS_PASSPHRASE)];
        // Two at once do each key once.
        let [one, other] = [open(&storage, "new", &all).await, open(&storage, "old", &all).await];
        let (one, other) = tokio::join!(one.rotate_passphrase("New"), other.rotate_passphrase("new"));
        assert_eq!(one.unwrap() + other.unwrap(), public.len() as u64);
        assert_eq!(storage.keys_not_under("new", "", 1).await.unwrap(), []);

        let new = open(&storage, "new", &[("new", "neu")]).await;
        assert_eq!(new.rotate_passphrase("new").await.unwrap(), 0);
        for (number, key) in public.iter().enumerate() {
            let (gun, role) = match number {
                number if number < 2 * PAGE + 10 => (format!("reg.example/{number}"), "snapshot"),
                _ => (GUN.to_owned(), "timestamp"),
            };
            let signatures = new.sign(&gun, role, &listed([key]), b"message").await.unwrap();
            assert_eq!(signatures.len(), 1, "{number}");
        }
        // With the old one there is no way in, and nothing is lost by trying.
        let forgotten = open(&storage, "old", &[("old", "geheim"), ("new", "x")]).await;
        assert!(reason(forgotten.rotate_passphrase("old").await).contains("not the one"));
        assert_eq!(new.rotate_passphrase("new").await.unwrap(), 0);
    }

    #[tokio::test]
    async fn rotation_does_what_it_can_and_names_what_it_cannot() {
        let storage = memory();
        for record in notarys(GUN, "timestamp") {
            put(&storage, record).await;
        }
        let mut damaged = notarys(GUN, "snapshot").remove(0);
        damaged.id = "0".repeat(64);
        damaged.alias = "lost".into();
        put(&storage, damaged.clone()).await;
        let keys = open(&storage, "new", &[("new", "neu"), ("lab", NOTARYS_PASSPHRASE)]).await;
        for done in [2, 0] {
            let reason = reason(keys.rotate_passphrase("new").await);
            assert!(reason.starts_with(&format!("{done} keys are encrypted")), "{reason}");
            assert!(reason.contains("TAGTRUST_SERVER_PASSPHRASE_LOST"), "{reason}");
        }
        assert_eq!(storage.keys_not_under("new", "", 9).await.unwrap(), [damaged]);
    }

    #[tokio::test]
    async fn a_server_in_memory_starts_at_once() {
        let start = std::time::Instant::now();
        let keys = open(&memory(), "", &[]).await;
        keys.pending(GUN, "snapshot").await.unwrap();
        assert!(start.elapsed() < std::time::Duration::from_millis(100), "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn the_passphrase_must_be_that_of_the_keys() {
        let storage = memory();
        open(&storage, "a", &[("a", "geheim")]).await;
        let by_alias = vec![("a".into(), Zeroizing::new("geheimer".into()))];
        let other = Passphrases { default_alias: "a".into(), by_alias };
        let Err(crate::Error::InvalidConfiguration { what, reason }) =
            LocalKeys::open(&storage, &StorageConfig::Memory, &other).await.map(|_| ())
        else {
            panic!()
        };
        assert_eq!(what, "keys of the server");
        assert!(reason.contains("\"a\"") && !reason.contains("geheim"), "{reason}");
    }
}
