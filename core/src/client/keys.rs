//! The private keys of this user: list, generate, load, import, export, change
//! the passphrase, remove.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::Zeroizing;

use super::Client;
use super::keyring::open_stored;
use super::passphrase;
use crate::crypto::{KeyFile, KeyId, Signer, public_key_to_pem};
use crate::error::{Error, Result, excerpt};
use crate::metadata::role;
use crate::store::{StoredKey, is_key_id, is_plain};

/// The role of imported keys that have none, as in Notary.
const DEFAULT_ROLE: &str = "delegation";
/// Longest GUN or role of a key, as of roles in metadata.
const MAX_LABEL: usize = 255;
/// Largest file that is loaded. Bundles of thousands of keys are smaller.
const MAX_FILE: u64 = 10 << 20;

/// A private key that can sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeyInfo {
    /// Canonical ID: 64 hexadecimal digits.
    pub id: String,
    /// What the key is for: `root`, `targets`, or the name of a signer. Only a
    /// label, and empty for keys that have none.
    pub role: String,
    /// The repository that the key is for, if only for one.
    pub gun: Option<String>,
    /// Its file; `signer` for what [`ClientBuilder::signer`](super::ClientBuilder::signer) got.
    pub location: String,
}

/// A new signer's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GeneratedKey {
    /// Canonical ID of the private key, which is in the trust directory.
    pub id: String,
    /// The file to hand to the repository's owner.
    pub public_key_file: PathBuf,
}

/// Which keys are exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySelection {
    /// All that are on disk.
    All,
    /// Those for one repository.
    Gun(String),
    /// Those with these canonical IDs.
    Ids(Vec<String>),
}

impl KeyInfo {
    pub(super) fn of_signer(id: &KeyId) -> Self {
        Self { id: id.as_str().into(), role: String::new(), gun: None, location: "signer".into() }
    }

    pub(super) fn of_stored(key: &StoredKey) -> Self {
        Self {
            id: key.id.as_str().into(),
            role: key.role(),
            gun: key.gun(),
            location: key.path.display().to_string(),
        }
    }
}

impl Client {
    /// All private keys, as `notary key list` has them: root keys first, then by
    /// repository, role and ID.
    ///
    /// # Errors
    /// [`Error::StoreError`] if the trust directory cannot be read.
    pub fn keys(&self) -> Result<Vec<KeyInfo>> {
        let mut keys = self.keyring().ids()?;
        let order =
            |key: &KeyInfo| (key.role != role::ROOT, key.gun.clone(), key.role.clone(), key.id.clone());
        keys.sort_by_cached_key(order);
        Ok(keys)
    }

    /// Makes a signer's key as `docker trust key generate` does: the private
    /// half goes to the trust directory, the public one to `<name>.pub` in
    /// `directory`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for the name, the directory, or a public file that
    /// exists, and then nothing is stored; [`Error::WrongPassphrase`] without an
    /// acceptable passphrase.
    pub fn generate_key(&self, name: &str, directory: impl AsRef<Path>) -> Result<GeneratedKey> {
        check_name("key name", name)?;
        let directory = directory.as_ref();
        if !directory.is_dir() {
            let reason = format!("public key path does not exist: \"{}\"", directory.display());
            return Err(invalid("directory", reason));
        }
        let public_key_file = directory.join(format!("{name}.pub"));
        if fs::symlink_metadata(&public_key_file).is_ok() {
            let reason = format!("public key file already exists: \"{}\"", public_key_file.display());
            return Err(invalid("directory", reason));
        }
        let key = self.keyring().create(name, None)?;
        write_public(&public_key_file, &public_key_to_pem(key.public_key(), name)).map_err(|error| {
            let reason = format!(
                "cannot be written: {error}; the private key {} is stored, remove it and generate another one",
                key.id()
            );
            invalid(&format!("public key file {}", public_key_file.display()), reason)
        })?;
        Ok(GeneratedKey { id: key.id().as_str().into(), public_key_file })
    }

    /// Loads the private keys in a file into the trust directory, as `docker
    /// trust key load` does. `name` becomes the role of keys whose file has
    /// none. Keys that are encrypted are decrypted, and get a new passphrase,
    /// unless a `path` header says which key it is: these stay as they are.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a file that others can read or that holds no
    /// private key, and for the name; [`Error::WrongPassphrase`]. Nothing is
    /// stored then.
    pub fn load_key(&self, file: impl AsRef<Path>, name: &str) -> Result<Vec<KeyInfo>> {
        let file = file.as_ref();
        if !name.is_empty() {
            check_name("key name", name)?;
        }
        let shown = file.display();
        let pem = read_private(file)
            .map_err(|fault| invalid("key file", format!("refusing to load key from {shown}: {fault}")))?;
        let failed =
            |fault: String| invalid("key file", format!("error importing key from {shown}: {fault}"));
        let blocks = KeyFile::parse_all(&pem).map_err(|error| failed(error.to_string()))?;
        if blocks.is_empty() {
            return Err(failed(format!(
                "provided file {shown} is not a supported private key - to add a signer's public key use docker trust signer add"
            )));
        }
        let labels = Labels { role: Some(name), gun: None };
        self.take_in(blocks, &labels, Some(&shown.to_string()), &failed)
    }

    /// Imports private keys in PEM, such as [`Client::export_keys`] and `notary
    /// key export` write. `role` and `gun` are for keys whose headers do not say.
    /// Keys that are encrypted stay so, and need a `path` header with their ID;
    /// all others get a passphrase. Keys with the same ID are replaced.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if one of the keys cannot be imported;
    /// [`Error::WrongPassphrase`]. Nothing is stored then.
    pub fn import_keys(&self, pem: &[u8], role: Option<&str>, gun: Option<&str>) -> Result<Vec<KeyInfo>> {
        let failed = |fault: String| invalid("keys", fault);
        let blocks = KeyFile::parse_all(pem).map_err(|error| failed(error.to_string()))?;
        if blocks.is_empty() {
            return Err(failed("there is no private key in PEM".into()));
        }
        self.take_in(blocks, &Labels { role, gun }, None, &failed)
    }

    /// Private keys in PEM, byte for byte what `notary key export` writes.
    /// Each stays encrypted as it is on disk.
    ///
    /// # Errors
    /// [`Error::KeyNotFound`] if there is no such key.
    pub fn export_keys(&self, selection: &KeySelection) -> Result<Zeroizing<String>> {
        let mut keys = self.keys.list()?;
        match selection {
            KeySelection::All => {}
            KeySelection::Gun(gun) => {
                keys.retain(|key| key.file().gun() == Some(gun));
                if keys.is_empty() {
                    return Err(self.not_found(&[], &format!("is for {}", excerpt(gun, MAX_LABEL))));
                }
            }
            KeySelection::Ids(ids) => {
                let is_missing = |id: &&String| !keys.iter().any(|key| key.id.as_str() == *id);
                let missing: Vec<_> = ids.iter().filter(is_missing).map(String::as_str).collect();
                if !missing.is_empty() {
                    return Err(self.not_found(&missing, "has this ID"));
                }
                keys.retain(|key| ids.iter().any(|id| key.id.as_str() == id));
            }
        }
        let blocks = keys.iter().flat_map(|key| key.blocks().map(|block| exported(key, block)));
        let blocks: Vec<_> = blocks.collect();
        // All at once: a text that grows leaves copies of the keys behind.
        let mut pem = Zeroizing::new(String::with_capacity(blocks.iter().map(|block| block.len()).sum()));
        blocks.iter().for_each(|block| pem.push_str(block));
        Ok(pem)
    }

    /// Encrypts a key with another passphrase: `new`, or what the passphrase
    /// source answers.
    ///
    /// # Errors
    /// [`Error::KeyNotFound`], or [`Error::WrongPassphrase`] for either of them;
    /// the key then keeps the one it has.
    pub fn change_passphrase(&self, key_id: &str, new: Option<&str>) -> Result<()> {
        let stored = self.stored(key_id)?;
        let role = stored.role();
        new.map_or(Ok(()), |new| passphrase::check(new, key_id, &role))?;
        let key = open_stored(&stored, &self.passphrases)?;
        let chosen;
        let new = match new {
            Some(new) => new,
            None => {
                chosen = passphrase::choose(&self.passphrases, key_id, &role)?;
                chosen.as_str()
            }
        };
        let block = KeyFile::encrypt(&key, new, &role, stored.file().gun())?;
        self.keys.replace(&stored, block)
    }

    /// Removes a private key. Without a copy it is gone for good.
    ///
    /// # Errors
    /// [`Error::KeyNotFound`], [`Error::StoreError`].
    pub fn remove_key(&self, key_id: &str) -> Result<()> {
        if self.keys.remove(&KeyId::from_listed(key_id))? {
            Ok(())
        } else {
            Err(self.not_found(&[key_id], "has this ID"))
        }
    }

    fn stored(&self, key_id: &str) -> Result<StoredKey> {
        let found = self.keys.find(&KeyId::from_listed(key_id))?;
        found.ok_or_else(|| self.not_found(&[key_id], "has this ID"))
    }

    fn not_found(&self, key_ids: &[&str], wanted: &str) -> Error {
        Error::KeyNotFound {
            role: "this operation".into(),
            key_ids: key_ids.iter().map(|id| excerpt(id, MAX_LABEL)).collect(),
            reason: format!("no key in {} {wanted}", self.keys.directory().display()),
        }
    }

    /// Stores the keys of a file, once all of them can be stored.
    ///
    /// `unnamed` is the name of a file whose encrypted keys are decrypted to
    /// learn their IDs.
    fn take_in(
        &self,
        blocks: Vec<KeyFile>,
        labels: &Labels<'_>,
        unnamed: Option<&str>,
        failed: &dyn Fn(String) -> Error,
    ) -> Result<Vec<KeyInfo>> {
        let rejected =
            |fault: &str| failed(format!("failed to import all keys: invalid key pem block: {fault}"));
        let plan = |block| {
            let incoming = Incoming::plan(block, labels)?;
            if unnamed.is_none() && incoming.named.is_none() && incoming.block.is_encrypted() {
                return Err("it is encrypted, and no path header has its key ID; load it instead".into());
            }
            Ok(incoming)
        };
        let planned: Vec<_> = blocks
            .into_iter()
            .map(|block| plan(block).map_err(|fault: String| rejected(&fault)))
            .collect::<Result<_>>()?;

        let mut files: Vec<(KeyId, Vec<KeyFile>)> = Vec::new();
        for incoming in planned {
            let (id, block) = self.ready(incoming, unnamed.unwrap_or_default(), &rejected)?;
            match files.last_mut() {
                // Notary's rule: consecutive blocks of one key are one file.
                Some((last, blocks)) if *last == id => blocks.push(block),
                _ => files.push((id, vec![block])),
            }
        }
        for (id, blocks) in &files {
            self.keys.store(id, blocks)?;
        }
        files.iter().map(|(id, _)| Ok(KeyInfo::of_stored(&self.stored(id.as_str())?))).collect()
    }

    /// The block as it will be stored, and the ID of its key.
    fn ready(
        &self,
        incoming: Incoming,
        unnamed: &str,
        rejected: &dyn Fn(&str) -> Error,
    ) -> Result<(KeyId, KeyFile)> {
        let Incoming { named, role, gun, block } = incoming;
        let gun = gun.as_deref();
        let known = match named {
            Some(id) if block.is_encrypted() => return Ok((id, block.with_headers(Some(&role), gun, None))),
            known => known,
        };
        let key = passphrase::decrypt(&self.passphrases, &block, unnamed, &role, rejected)?;
        let id = key.id();
        // Stricter: Notary stores a key under whatever ID its header says.
        if known.is_some_and(|known| known != *id) {
            return Err(rejected(&format!("its path header names another key than itself, {id}")));
        }
        let passphrase = passphrase::choose(&self.passphrases, id.as_str(), &role)?;
        Ok((id.clone(), KeyFile::encrypt(&key, &passphrase, &role, gun)?))
    }
}

/// The GUN that goes into the file of a key for this role.
pub(super) fn gun_header<'a>(role: &str, gun: Option<&'a str>) -> Option<&'a str> {
    gun.filter(|_| is_of_one_gun(role))
}

/// Whether keys for this role belong to one repository, in Notary's view.
fn is_of_one_gun(role: &str) -> bool {
    matches!(role, role::TARGETS | role::SNAPSHOT | role::TIMESTAMP)
}

/// What is said of keys whose headers do not say it.
struct Labels<'a> {
    role: Option<&'a str>,
    gun: Option<&'a str>,
}

/// A key on its way into the store.
struct Incoming {
    /// The ID in the path header.
    named: Option<KeyId>,
    role: String,
    gun: Option<String>,
    block: KeyFile,
}

impl Incoming {
    /// Notary's rules for the headers of keys that are imported.
    fn plan(block: KeyFile, labels: &Labels<'_>) -> Result<Self, String> {
        let given = |text: Option<&'_ str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        // Of a path with directories the last part counts; below `tuf_keys` the
        // others are the GUN.
        let path = given(block.path()).unwrap_or_default();
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let gun_of_path = directory.strip_prefix("tuf_keys/").map(|gun| gun.trim_matches('/'));

        let role = given(block.role()).or(given(labels.role)).unwrap_or_else(|| DEFAULT_ROLE.into());
        let gun = given(gun_of_path).or(given(block.gun())).or(given(labels.gun));
        check_label("role", &role)?;
        gun.as_deref().map_or(Ok(()), |gun| check_label("GUN", gun))?;
        if is_of_one_gun(&role) && gun.is_none() {
            return Err(format!("it is a {role} key, and nothing says for which repository (gun)"));
        }
        // Stricter: Notary makes a file of any name.
        if !name.is_empty() && !is_key_id(name) {
            return Err(format!("its path header {:?} does not end in a key ID", excerpt(&path, MAX_LABEL)));
        }
        Ok(Self {
            named: (!name.is_empty()).then(|| KeyId::from_listed(name)),
            gun: gun_header(&role, gun.as_deref()).map(str::to_owned),
            role,
            block,
        })
    }
}

/// A stored block with Notary's header for export.
fn exported(key: &StoredKey, block: &KeyFile) -> Zeroizing<String> {
    block.clone().with_headers(block.role(), block.gun(), Some(key.id.as_str())).to_pem()
}

/// Stricter than Notary, which takes any text: what is written to a header must
/// come out of it the same, and be fit to stand in a path.
fn check_label(what: &str, label: &str) -> Result<(), String> {
    if label.len() <= MAX_LABEL && label.trim() == label && is_plain(label) {
        return Ok(());
    }
    Err(format!("{:?} cannot be a {what}", excerpt(label, MAX_LABEL)))
}

/// Docker's rule for names of signers, and that it must fit into a role's name.
pub(super) fn check_name(what: &str, name: &str) -> Result<()> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !starts_well || name.contains('/') || !role::is_delegation(&format!("{}/{name}", role::TARGETS)) {
        return Err(invalid(
            what,
            format!(
                "{what} {:?} must start with lowercase alphanumeric characters and can include \"-\" or \"_\" after the first character",
                excerpt(name, MAX_LABEL)
            ),
        ));
    }
    Ok(())
}

/// The content of a file with private keys, if only its owner can read it.
fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let shown = path.display();
    let absent = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => format!("stat {shown}: no such file or directory"),
        _ => format!("stat {shown}: {error}"),
    };
    let metadata = fs::metadata(path).map_err(absent)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(format!("private key file {shown} must not be readable or writable by others"));
    }
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return Err(format!("{shown} is no regular file of at most {MAX_FILE} bytes"));
    }
    let mut content = Zeroizing::new(vec![0; usize::try_from(metadata.len()).unwrap_or_default()]);
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut content));
    read.map_err(|error| format!("read {shown}: {error}"))?;
    Ok(content)
}

/// Writes a public key for this user's eyes until it is handed on, as Docker
/// does. What cannot be written whole is removed.
fn write_public(path: &Path, pem: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(pem.as_bytes()).and_then(|()| file.sync_all());
    written.inspect_err(|_| drop(fs::remove_file(path)))
}

fn invalid(what: &str, reason: String) -> Error {
    Error::InvalidInput { what: what.into(), reason }
}
