//! Passphrases, each under its alias, and the keys that are derived from them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroU32;

use base64ct::{Base64UrlUnpadded, Encoding};
use ring::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::jwe::{self, JweFault, Kek, Purpose, Sealed};
use super::{KeysError, passphrase_file};
use crate::server::config::{Passphrases, StorageConfig};
use crate::server::storage::Storage;
use crate::{Error, Result};

const OURS: &str = "TAGTRUST_SERVER_PASSPHRASE_";
const OUR_DEFAULT: &str = "TAGTRUST_SERVER_DEFAULT_ALIAS";
const NOTARYS: &str = "NOTARY_SIGNER_";
/// The first that is there counts.
const DEFAULTS: [&str; 3] =
    [OUR_DEFAULT, "NOTARY_SIGNER_STORAGE_DEFAULT_ALIAS", "NOTARY_SIGNER_DEFAULT_ALIAS"];

/// Alias of the passphrase that was not configured but made.
const GENERATED: &str = "generated";

/// What OWASP recommends for PBKDF2 with HMAC-SHA-256.
const ITERATIONS: u32 = match cfg!(test) {
    false => 600_000,
    // They derive a hundred keys.
    true => 6_000,
};
/// Most that is read. Stops a row that keeps the processor busy for hours.
const MAX_ITERATIONS: u32 = 10_000_000;

impl Passphrases {
    /// What the environment has: `TAGTRUST_SERVER_PASSPHRASE_<ALIAS>` and
    /// `TAGTRUST_SERVER_DEFAULT_ALIAS`, otherwise what Notary's signer reads:
    /// `NOTARY_SIGNER_<ALIAS>`, and `NOTARY_SIGNER_STORAGE_DEFAULT_ALIAS` or
    /// `NOTARY_SIGNER_DEFAULT_ALIAS`. What is not UTF-8 is left out, with a
    /// warning in the log.
    pub fn from_environment() -> Self {
        Self::from_variables(std::env::vars_os())
    }

    fn from_variables(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut found = BTreeMap::new();
        for (name, value) in variables {
            let Ok(name) = name.into_string() else { continue };
            if !(name.starts_with(NOTARYS) || name.starts_with(OURS) || name == OUR_DEFAULT) {
                continue;
            }
            match value.into_string() {
                // As Notary: an empty one is none.
                Ok(value) if value.is_empty() => {}
                Ok(value) => {
                    found.insert(name, Zeroizing::new(value));
                }
                Err(_) => log::warn!("{name} is not UTF-8 and does not count"),
            }
        }
        let default_alias = DEFAULTS.iter().find_map(|name| found.get(*name));
        let default_alias = default_alias.map(|alias| normal(alias)).unwrap_or_default();
        found.retain(|name, _| !DEFAULTS.contains(&name.as_str()));
        // Ours last, so that they replace Notary's. Other settings of Notary's
        // signer are taken along; no key names them.
        let mut by_alias = BTreeMap::new();
        for prefix in [NOTARYS, OURS] {
            let named = found.iter().filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, value)));
            by_alias.extend(named.map(|(alias, value)| (normal(alias), value.clone())));
        }
        Self { default_alias, by_alias: by_alias.into_iter().collect() }
    }
}

/// Only the aliases: a passphrase must not end up in a log.
impl fmt::Debug for Passphrases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let aliases: Vec<_> = self.by_alias.iter().map(|(alias, _)| alias).collect();
        f.debug_struct("Passphrases")
            .field("default_alias", &self.default_alias)
            .field("by_alias", &aliases)
            .finish_non_exhaustive()
    }
}

/// Aliases as names of variables give them: `Key.1` is `NOTARY_SIGNER_KEY_1`.
pub(super) fn normal(alias: &str) -> String {
    alias.to_lowercase().replace('.', "_")
}

/// The passphrases of a server.
pub(super) struct Vault {
    default_alias: String,
    by_alias: BTreeMap<String, Entry>,
}

struct Entry {
    passphrase: Zeroizing<String>,
    /// How much work it is to try one, where that is not laid down yet.
    iterations: u32,
    /// `None`: the passphrase is not the one that the stored keys are encrypted
    /// with. It is not tried again: that takes long.
    kek: OnceCell<Option<Kek>>,
}

impl Entry {
    fn new(passphrase: Zeroizing<String>, iterations: u32) -> Self {
        Self { passphrase, iterations, kek: OnceCell::new() }
    }

    /// 256 random bits: nobody can try them all, so there is no need to make it slow.
    fn generated(passphrase: Zeroizing<String>) -> Self {
        Self::new(passphrase, 1)
    }
}

impl Vault {
    /// Those that are configured, and the one that was or is made for this storage.
    pub(super) fn open(configured: &Passphrases, storage: &StorageConfig) -> Result<Self> {
        let mut by_alias = BTreeMap::new();
        for (alias, passphrase) in &configured.by_alias {
            if passphrase.is_empty() {
                return Err(unusable(format!("the one of the alias {alias:?} is empty")));
            }
            by_alias.insert(normal(alias), Entry::new(passphrase.clone(), ITERATIONS));
        }
        if by_alias.contains_key(GENERATED) {
            return Err(unusable(format!("the alias {GENERATED:?} is for the one that is made here")));
        }
        let mut default_alias = normal(&configured.default_alias);
        let make = default_alias.is_empty();
        let generated = match storage {
            StorageConfig::Memory if make => Some(passphrase_file::generate()?),
            StorageConfig::Memory => None,
            // Also where it is not for new keys: some are still encrypted with it.
            StorageConfig::Sqlite { path } => passphrase_file::read(path, make)?,
            StorageConfig::Postgres { .. } if make => {
                let reason = format!(
                    "in PostgreSQL they are encrypted with a passphrase of yours: give it in the settings; \
                     with a configuration file set {OURS}<ALIAS> to it, and {OUR_DEFAULT} to its alias"
                );
                return Err(unusable(reason));
            }
            StorageConfig::Postgres { .. } => None,
        };
        by_alias.extend(generated.map(|passphrase| (GENERATED.to_owned(), Entry::generated(passphrase))));
        if make {
            GENERATED.clone_into(&mut default_alias);
        }
        if !by_alias.contains_key(&default_alias) {
            return Err(unusable(missing(&default_alias)));
        }
        Ok(Self { default_alias, by_alias })
    }

    /// The one for new keys.
    pub(super) fn default_alias(&self) -> &str {
        &self.default_alias
    }

    pub(super) fn passphrase(&self, alias: &str) -> Result<&Zeroizing<String>, KeysError> {
        self.entry(alias).map(|entry| &entry.passphrase)
    }

    /// The key that belongs to a passphrase, derived when it is first needed.
    pub(super) async fn kek(&self, alias: &str, storage: &dyn Storage) -> Result<&Kek, KeysError> {
        let entry = self.entry(alias)?;
        let alias = normal(alias);
        let kek = entry.kek.get_or_try_init(|| derive(&alias, entry, storage)).await?;
        kek.as_ref().ok_or_else(|| {
            let reason = match alias.as_str() {
                GENERATED => "the file beside the database is not its own: restore it",
                _ => "it is not the one that the stored keys are encrypted with",
            };
            KeysError::Unavailable(format!("the passphrase {alias:?}: {reason}"))
        })
    }

    fn entry(&self, alias: &str) -> Result<&Entry, KeysError> {
        self.by_alias.get(&normal(alias)).ok_or_else(|| KeysError::Unavailable(missing(alias)))
    }
}

/// How a key is derived.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    kdf: Kdf,
    iterations: u32,
    /// base64url.
    salt: String,
}

#[derive(Serialize, Deserialize)]
enum Kdf {
    #[serde(rename = "PBKDF2-HMAC-SHA256")]
    Pbkdf2HmacSha256,
}

/// Two things are stored for each passphrase: the parameters, and something
/// encrypted with the key, which only the same passphrase decrypts. `None` if it does not.
async fn derive(alias: &str, entry: &Entry, storage: &dyn Storage) -> Result<Option<Kek>, KeysError> {
    let failed = |reason: &str| KeysError::Unavailable(format!("the passphrase {alias:?}: {reason}"));
    let sealing = |fault: JweFault| failed(&fault.to_string());

    let salt: [u8; 16] = jwe::random().map_err(sealing)?;
    let salt = Base64UrlUnpadded::encode_string(&salt);
    let proposed = Parameters { kdf: Kdf::Pbkdf2HmacSha256, iterations: entry.iterations, salt };
    let proposed = serde_json::to_string(&proposed).map_err(|error| failed(&error.to_string()))?;
    let parameters = storage.passphrase_parameters(alias, &proposed).await?;
    let kek = stretch(&entry.passphrase, &parameters, entry.iterations)
        .await
        .ok_or_else(|| failed("what is stored about it was damaged"))?;

    let purpose = Purpose { key_id: alias, gun: "", role: "" };
    let proposed = jwe::seal(&kek, purpose, b"").map_err(sealing)?;
    let check = storage.passphrase_parameters(&format!("check of {alias}"), &proposed).await?;
    let opened = Sealed::read(&check).and_then(|check| check.open(&kek, purpose));
    Ok(opened.is_ok().then_some(kek))
}

/// Fewer iterations than ours are refused: who writes to the storage must not
/// make a passphrase easier to guess.
async fn stretch(passphrase: &Zeroizing<String>, parameters: &str, at_least: u32) -> Option<Kek> {
    let Parameters { kdf: Kdf::Pbkdf2HmacSha256, iterations, salt } =
        serde_json::from_str(parameters).ok()?;
    let salt: [u8; 16] = Base64UrlUnpadded::decode_vec(&salt).ok()?.try_into().ok()?;
    if !(at_least..=MAX_ITERATIONS).contains(&iterations) {
        return None;
    }
    let iterations = NonZeroU32::new(iterations)?;
    let passphrase = passphrase.clone();
    let derive = move || {
        let mut key = Zeroizing::new([0; 32]);
        pbkdf2::derive(PBKDF2_HMAC_SHA256, iterations, &salt, passphrase.as_bytes(), &mut *key);
        Kek(key)
    };
    tokio::task::spawn_blocking(derive).await.ok()
}

fn missing(alias: &str) -> String {
    let alias = normal(alias);
    if alias == GENERATED {
        return "the file with the passphrase that was made for this database is not there".into();
    }
    let variable = format!("{OURS}{}", alias.to_uppercase());
    format!(
        "there is none with the alias {alias:?}: give it in the settings; with a configuration file set \
         {variable} to it"
    )
}

fn unusable(reason: String) -> Error {
    Error::InvalidConfiguration { what: "passphrase of the server's keys".into(), reason }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;
    use std::path::Path;

    use super::*;
    use crate::server::storage::Memory;

    fn from(variables: &[(&str, &str)]) -> Passphrases {
        Passphrases::from_variables(variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    fn postgres() -> StorageConfig {
        StorageConfig::Postgres { url: String::new().into(), max_connections: 1 }
    }

    fn configured(default_alias: &str, by_alias: &[(&str, &str)]) -> Passphrases {
        let owned = |(alias, passphrase): &(&str, &str)| (alias.to_string(), passphrase.to_string().into());
        Passphrases { default_alias: default_alias.into(), by_alias: by_alias.iter().map(owned).collect() }
    }

    /// Why it cannot be used.
    fn refused(passphrases: &Passphrases, storage: &StorageConfig) -> String {
        match Vault::open(passphrases, storage).map(|vault| vault.default_alias) {
            Err(Error::InvalidConfiguration { what, reason }) => {
                assert_eq!(what, "passphrase of the server's keys");
                reason
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_environment_has_ours_before_notarys() {
        let read = from(&[
            ("NOTARY_SIGNER_DEFAULT_ALIAS", "Old.1"),
            ("NOTARY_SIGNER_OLD_1", "a"),
            ("NOTARY_SIGNER_KEY_2", "b"),
            ("NOTARY_SIGNER_EMPTY", ""),
            ("TAGTRUST_SERVER_PASSPHRASE_KEY_2", "ours"),
            ("TAGTRUST_SERVER_URL", "c"),
            ("NOTARY_SERVER_KEY_3", "d"),
        ]);
        assert_eq!(read.default_alias, "old_1");
        let by_alias: Vec<_> =
            read.by_alias.iter().map(|(alias, value)| (&**alias, value.as_str())).collect();
        assert_eq!(by_alias, [("key_2", "ours"), ("old_1", "a")]);

        let newer = ("NOTARY_SIGNER_STORAGE_DEFAULT_ALIAS", "newer");
        let ours = ("TAGTRUST_SERVER_DEFAULT_ALIAS", "ours");
        let old = ("NOTARY_SIGNER_DEFAULT_ALIAS", "old");
        assert_eq!(from(&[old, newer]).default_alias, "newer");
        assert_eq!(from(&[old, newer, ours]).default_alias, "ours");
        assert!(from(&[old, newer, ours]).by_alias.is_empty());
        assert_eq!(from(&[]).default_alias, "");

        let unreadable = [("NOTARY_SIGNER_KEY".into(), OsString::from_vec(vec![0xff]))];
        assert!(Passphrases::from_variables(unreadable.into_iter()).by_alias.is_empty());
    }

    #[test]
    fn for_a_missing_passphrase_it_is_said_how_to_give_it() {
        let reason = refused(&Passphrases::default(), &postgres());
        assert!(reason.contains("TAGTRUST_SERVER_PASSPHRASE_<ALIAS>"), "{reason}");
        assert!(reason.contains("TAGTRUST_SERVER_DEFAULT_ALIAS"), "{reason}");
        assert!(reason.contains("give it in the settings; with a configuration file"), "{reason}");
        // One that is not for new keys does not do.
        let others = configured("", &[("key_1", "geheim")]);
        assert_eq!(refused(&others, &postgres()), reason);
        for storage in [postgres(), StorageConfig::Memory] {
            let reason = refused(&configured("key_2", &[("key_1", "geheim")]), &storage);
            assert!(reason.contains("TAGTRUST_SERVER_PASSPHRASE_KEY_2"), "{reason}");
            assert!(reason.contains("give it in the settings; with a configuration file"), "{reason}");
            assert!(refused(&configured("a", &[("a", "")]), &storage).contains("is empty"));
            assert!(refused(&configured("", &[("generated", "a")]), &storage).contains("made here"));
        }
    }

    #[test]
    fn no_passphrase_is_shown() {
        let shown = format!("{:?}", configured("key_1", &[("key_1", "geheim")]));
        assert!(shown.contains("key_1") && !shown.contains("geheim"), "{shown}");
    }

    #[tokio::test]
    async fn the_same_passphrase_gives_the_same_key_and_another_is_refused() {
        let storage = Memory::default();
        let kek = async |passphrase: &str| {
            let vault = Vault::open(&configured("key_1", &[("Key.1", passphrase)]), &postgres()).unwrap();
            vault.kek("KEY_1", &storage).await.map(|kek| kek.0.clone())
        };
        let first = kek("geheim").await.unwrap();
        assert_eq!(kek("geheim").await.unwrap(), first);
        let Err(KeysError::Unavailable(reason)) = kek("geheimer").await else { panic!() };
        assert_eq!(
            reason,
            "the passphrase \"key_1\": it is not the one that the stored keys are encrypted with"
        );
        let parameters = storage.passphrase_parameters("key_1", "").await.unwrap();
        let expected = format!(r#"{{"kdf":"PBKDF2-HMAC-SHA256","iterations":{ITERATIONS},"salt":""#);
        assert!(parameters.starts_with(&expected), "{parameters}");
    }

    #[tokio::test]
    async fn parameters_that_weaken_or_hang_are_refused() {
        let salt = "AAAAAAAAAAAAAAAAAAAAAA";
        for (kdf, iterations, salt) in [
            ("PBKDF2-HMAC-SHA256", ITERATIONS - 1, salt),
            ("PBKDF2-HMAC-SHA256", MAX_ITERATIONS + 1, salt),
            ("PBKDF2-HMAC-SHA256", ITERATIONS, "AAAA"),
            ("PBKDF2-HMAC-SHA1", ITERATIONS, salt),
        ] {
            let storage = Memory::default();
            let stored = format!(r#"{{"kdf":"{kdf}","iterations":{iterations},"salt":"{salt}"}}"#);
            storage.passphrase_parameters("a", &stored).await.unwrap();
            let vault = Vault::open(&configured("a", &[("a", "geheim")]), &postgres()).unwrap();
            let Err(KeysError::Unavailable(reason)) = vault.kek("a", &storage).await.map(|_| ()) else {
                panic!("{stored}");
            };
            assert!(reason.ends_with("was damaged"), "{reason}");
        }
    }

    #[tokio::test]
    async fn a_database_without_its_passphrase_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let config = |path: &Path| StorageConfig::Sqlite { path: path.to_owned() };
        let path = dir.path().join("trust.db");
        let storage = Memory::default();
        let open = || Vault::open(&Passphrases::default(), &config(&path)).unwrap();
        let first = open().kek(GENERATED, &storage).await.unwrap().0.clone();
        assert_eq!(open().kek(GENERATED, &storage).await.unwrap().0, first);

        // Also under another default, for the keys that are still encrypted with it.
        let other = Vault::open(&configured("a", &[("a", "geheim")]), &config(&path)).unwrap();
        assert_eq!(other.default_alias(), "a");
        assert_eq!(other.kek(GENERATED, &storage).await.unwrap().0, first);

        std::fs::remove_file(dir.path().join("trust.db.passphrase")).unwrap();
        let Err(KeysError::Unavailable(reason)) = open().kek(GENERATED, &storage).await.map(|_| ()) else {
            panic!();
        };
        assert!(reason.contains("restore it"), "{reason}");
    }
}
