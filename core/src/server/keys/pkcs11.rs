//! Keys in a token. The storage has where they are, and which were used.

use std::sync::Arc;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::cache::Cache;
use super::{IN_TOKEN, Keys, KeysError};
use crate::crypto::pkcs11::{Token, TokenKey};
use crate::crypto::{PublicKey, Signer, sign_checked};
use crate::error::excerpt;
use crate::metadata::{RoleKeys, Signature, hex};
use crate::server::storage::{KeyRecord, Storage};

type Result<T> = std::result::Result<T, KeysError>;

/// What every token can make.
const ALGORITHM: &str = "ecdsa";

/// Keys on P-256 in a token, each labelled with the role and repository that it
/// is for. Two servers that need a new key at the same moment make two; one of
/// them is never used and stays in the token.
pub(crate) struct TokenKeys {
    token: Arc<Token>,
    storage: Arc<dyn Storage>,
    found: Cache<Arc<TokenKey>>,
}

impl TokenKeys {
    /// Logs in to the token.
    ///
    /// # Errors
    /// Those of [`Token::open`].
    pub(crate) async fn open(
        storage: &Arc<dyn Storage>,
        module: &std::path::Path,
        token: &str,
        pin: &Zeroizing<String>,
    ) -> crate::Result<Self> {
        let (module, token, pin) = (module.to_owned(), token.to_owned(), pin.clone());
        let opened =
            tokio::task::spawn_blocking(move || Token::open(module, &token, move || Some(pin.clone())));
        let token = opened.await.map_err(|error| crate::Error::Internal { reason: error.to_string() })??;
        Ok(Self { token: Arc::new(token), storage: storage.clone(), found: Cache::default() })
    }

    /// Work with the token, which may take its time.
    async fn with_token<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Token) -> crate::Result<T> + Send + 'static,
    ) -> Result<T> {
        let token = self.token.clone();
        let done = tokio::task::spawn_blocking(move || work(&token)).await;
        let done = done.map_err(|error| KeysError::Unavailable(error.to_string()))?;
        done.map_err(|error| KeysError::Unavailable(error.to_string()))
    }

    /// The key that a record refers to. Its label and public key are checked:
    /// who can write to the storage has not thereby the choice of keys.
    async fn locate(&self, record: &KeyRecord) -> Result<Arc<TokenKey>> {
        if let Some(key) = self.found.get(&record.id) {
            return Ok(key);
        }
        let failed = |reason: &str| {
            KeysError::Unavailable(format!("key {} in the token: {reason}", excerpt(&record.id, 64)))
        };
        let object_id =
            record.secret.strip_prefix(IN_TOKEN).and_then(|id| base16ct::lower::decode_vec(id).ok());
        let object_id = object_id.ok_or_else(|| failed("the storage does not say where"))?;
        let key = self.with_token(move |token| token.on_curve(&object_id)).await?;
        if key.label() != label(&record.gun, &record.role) {
            return Err(failed("its label names another repository or role"));
        }
        if key.id().as_str() != record.id || key.public_key().public_bytes() != record.public {
            return Err(failed("it is another one"));
        }
        self.found.put(&record.id, key.clone());
        Ok(key)
    }

    async fn find(&self, gun: &str, role: &str, public: &PublicKey) -> Result<Option<Arc<TokenKey>>> {
        match self.storage.key(public.id().as_str()).await? {
            Some(record)
                if record.secret.starts_with(IN_TOKEN) && record.gun == gun && record.role == role =>
            {
                self.locate(&record).await.map(Some)
            }
            _ => Ok(None),
        }
    }
}

#[async_trait]
impl Keys for TokenKeys {
    async fn pending(&self, gun: &str, role: &str) -> Result<PublicKey> {
        let record = match self.storage.unused_key(gun, role, ALGORITHM).await? {
            Some(record) => record,
            None => {
                let label = label(gun, role);
                let key = self.with_token(move |token| token.generate_p256(&label)).await?;
                let made = KeyRecord {
                    id: key.id().as_str().into(),
                    gun: gun.into(),
                    role: role.into(),
                    algorithm: ALGORITHM.into(),
                    public: key.public_key().public_bytes().to_vec(),
                    secret: format!("{IN_TOKEN}{}", hex(key.object_id())),
                    alias: String::new(),
                    used: None,
                };
                self.storage.add_key(&made).await?
            }
        };
        Ok(self.locate(&record).await?.public_key().clone())
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
            let Some(key) = self.find(gun, role, public).await? else { continue };
            let message = message.to_vec();
            let (method, bytes) = self.with_token(move |_| sign_checked(&*key, &message)).await?;
            signatures.push(Signature { key_id: listed.clone(), method: method.into(), bytes });
        }
        Ok(signatures)
    }

    async fn check(&self) -> Result<()> {
        self.with_token(Token::check).await
    }

    fn health_name(&self) -> Option<&'static str> {
        Some("Trust operational")
    }
}

fn label(gun: &str, role: &str) -> String {
    format!("{role} of {gun}")
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::*;
    use crate::crypto::{KeyType, PrivateKey};
    use crate::server::storage::{ImportBatch, Memory};

    const GUN: &str = "reg.example/app";
    const PIN: &str = "7391-geheim";

    /// SoftHSM finds its tokens by a variable of the process, which only a
    /// process of its own can have.
    #[test]
    fn keys_are_made_in_the_token_and_sign_for_what_they_are_for() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("tokens")).unwrap();
        let configuration = dir.path().join("softhsm2.conf");
        let tokens = dir.path().join("tokens");
        std::fs::write(&configuration, format!("directories.tokendir = {}\n", tokens.display())).unwrap();
        let run = |command: &mut Command| {
            let done = command.env("SOFTHSM2_CONF", &configuration).output();
            let done = done.expect("softhsm2 is missing; tests/setup.sh installs it");
            let shown = String::from_utf8_lossy(&done.stdout).into_owned();
            assert!(done.status.success(), "{shown}{}", String::from_utf8_lossy(&done.stderr));
            shown
        };
        run(Command::new("softhsm2-util").args([
            "--init-token",
            "--free",
            "--label=server",
            &format!("--pin={PIN}"),
            "--so-pin=0000-officer",
        ]));
        let test = concat!(module_path!(), "::with_a_token").replacen("tagtrust::", "", 1);
        let shown = run(Command::new(std::env::current_exe().unwrap()).args([&test, "--exact", "--ignored"]));
        assert!(shown.contains("1 passed"), "{shown}");
    }

    fn softhsm() -> PathBuf {
        let known = ["/usr/lib/softhsm", "/usr/local/lib/softhsm", "/usr/lib64/pkcs11", "/usr/lib/pkcs11"];
        let mut files = known.map(|folder| Path::new(folder).join("libsofthsm2.so")).into_iter();
        files.find(|file| file.exists()).expect("softhsm2 is missing; tests/setup.sh installs it")
    }

    async fn open(storage: &Arc<dyn Storage>) -> TokenKeys {
        TokenKeys::open(storage, &softhsm(), "server", &PIN.to_owned().into()).await.unwrap()
    }

    fn listed<'a>(keys: impl IntoIterator<Item = &'a PublicKey>) -> RoleKeys {
        let keys = keys.into_iter().map(|key| (key.id().clone(), Arc::new(key.clone())));
        RoleKeys { keys: keys.collect(), threshold: 1 }
    }

    fn reason<T: std::fmt::Debug>(result: Result<T>) -> String {
        let Err(KeysError::Unavailable(reason)) = result else { panic!("{result:?}") };
        reason
    }

    #[tokio::test]
    #[ignore = "run by the test above"]
    async fn with_a_token() {
        let storage: Arc<dyn Storage> = Arc::new(Memory::default());
        let keys = open(&storage).await;
        keys.check().await.unwrap();
        let public = keys.pending(GUN, "snapshot").await.unwrap();
        assert_eq!(*public.key_type(), KeyType::Ecdsa);
        assert_eq!(keys.pending(GUN, "snapshot").await.unwrap(), public);
        assert_ne!(keys.pending(GUN, "timestamp").await.unwrap(), public);

        let stranger = PrivateKey::generate_p256().unwrap();
        let role_keys = listed([stranger.public_key(), &public]);
        for keys in [&keys, &open(&storage).await] {
            assert_eq!(keys.held(GUN, "snapshot", &role_keys).await.unwrap().as_ref(), Some(&public));
            let signatures = keys.sign(GUN, "snapshot", &role_keys, b"message").await.unwrap();
            let [signature] = &signatures[..] else { panic!("{signatures:?}") };
            assert_eq!(signature.key_id, *public.id());
            assert!(public.verify("ecdsa", b"message", &signature.bytes));
            for (gun, role) in [(GUN, "timestamp"), ("reg.example/ap", "snapshot")] {
                assert_eq!(keys.held(gun, role, &role_keys).await.unwrap(), None);
                assert_eq!(keys.sign(gun, role, &role_keys, b"message").await.unwrap(), []);
            }
        }

        // Who writes to the storage cannot choose what a key is for, or another key.
        let record = storage.key(public.id().as_str()).await.unwrap().unwrap();
        let other_gun = KeyRecord { gun: "reg.example/other".into(), ..record.clone() };
        let other_key = KeyRecord {
            id: stranger.id().as_str().into(),
            public: stranger.public_key().public_bytes().into(),
            ..record.clone()
        };
        let nowhere = KeyRecord { secret: "pkcs11:00".into(), ..record };
        for (changed, because) in [
            (other_gun, "its label names another repository or role"),
            (other_key, "it is another one"),
            (nowhere, "its private key is not on the token"),
        ] {
            let storage: Arc<dyn Storage> = Arc::new(Memory::default());
            let batch = ImportBatch { keys: vec![changed.clone()], ..ImportBatch::default() };
            storage.import(&batch).await.unwrap();
            let keys = open(&storage).await;
            let shown = reason(keys.pending(&changed.gun, "snapshot").await);
            assert!(shown.ends_with(because), "{shown}");
            let public = PublicKey::new(KeyType::Ecdsa, changed.public.clone());
            reason(keys.sign(&changed.gun, "snapshot", &listed([&public]), b"message").await);
        }
    }
}
