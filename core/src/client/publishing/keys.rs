//! The private keys of this user: list, generate, load, import, export, change
//! the passphrase, remove.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::Zeroizing;

use super::keyring::open_stored;
use super::passphrase;
use crate::client::Client;
use crate::crypto::{KeyFile, KeyId, PublicKey, Signer, public_key_to_pem, public_keys_from_pem};
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
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

/// What kind of key is generated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// ECDSA on P-256: the only kind that `notary` and `docker trust` make.
    #[default]
    P256,
    /// Ed25519: every Notary client verifies and signs with such a key, but
    /// `docker trust signer add` does not read its public file. Not for roots.
    Ed25519,
}

/// A new signer's key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
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
        self.generate_key_of(KeyKind::P256, name, directory)
    }

    /// As [`Client::generate_key`], with a key of this kind.
    ///
    /// # Errors
    /// As [`Client::generate_key`].
    pub fn generate_key_of(
        &self,
        kind: KeyKind,
        name: &str,
        directory: impl AsRef<Path>,
    ) -> Result<GeneratedKey> {
        check_name("key name", name)?;
        let directory = directory.as_ref();
        if !directory.is_dir() {
            let reason = format!("public key path does not exist: \"{}\"", directory.display());
            return Err(invalid("directory", reason));
        }
        let public_key_file = directory.join(format!("{name}.pub"));
        if fs::symlink_metadata(&public_key_file).is_ok() {
            let reason = format!("public key file already exists: \"{}\"", public_key_file.display());
            return Err(invalid("public key file", reason));
        }
        let key = self.keyring().create_of(kind, name, None)?;
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
    /// all others get a passphrase. Keys with the same ID are replaced, once they
    /// proved to be the same key.
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

    /// The public keys in PEM, for [`Client::add_signer`] and delegations: see
    /// [`public_keys_from_pem`].
    ///
    /// # Errors
    /// [`Error::InvalidInput`] with Docker's words.
    pub fn public_keys(&self, pem: &[u8]) -> Result<Vec<PublicKey>> {
        public_keys_from_pem(pem, (self.clock)())
    }

    /// The public keys in a PEM file: see [`Client::public_keys`].
    ///
    /// # Errors
    /// [`Error::InvalidInput`] with Docker's words.
    pub fn read_public_keys(&self, file: impl AsRef<Path>) -> Result<Vec<PublicKey>> {
        let file = file.as_ref();
        let shown = file.display();
        let pem = read_file(file).map_err(|fault| {
            invalid("public key", format!("unable to read public key from file: open {shown}: {fault}"))
        })?;
        self.public_keys(&pem).map_err(|error| match error {
            Error::InvalidInput { reason, .. } => {
                invalid("public key", format!("could not parse public key from file: {shown}: {reason}"))
            }
            error => error,
        })
    }

    /// Private keys in PEM, byte for byte what `notary key export` writes.
    /// Each stays encrypted as it is on disk.
    ///
    /// # Errors
    /// [`Error::KeyNotFound`] if there is no such key.
    pub fn export_keys(&self, selection: &KeySelection) -> Result<Zeroizing<String>> {
        let mut keys = self.publishing.keys.list()?;
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
        let key = open_stored(&stored, &self.publishing.passphrases)?;
        let chosen;
        let new = match new {
            Some(new) => new,
            None => {
                chosen = passphrase::choose(&self.publishing.passphrases, key_id, &role)?;
                chosen.as_str()
            }
        };
        let block = KeyFile::encrypt(&key, new, &role, stored.file().gun())?;
        self.publishing.keys.replace(stored, block)
    }

    /// Removes a private key. Without a copy it is gone for good.
    ///
    /// # Errors
    /// [`Error::KeyNotFound`], [`Error::StoreError`].
    pub fn remove_key(&self, key_id: &str) -> Result<()> {
        if self.publishing.keys.remove(&KeyId::from_listed(key_id))? {
            Ok(())
        } else {
            Err(self.not_found(&[key_id], "has this ID"))
        }
    }

    fn stored(&self, key_id: &str) -> Result<StoredKey> {
        let found = self.publishing.keys.find(&KeyId::from_listed(key_id))?;
        found.ok_or_else(|| self.not_found(&[key_id], "has this ID"))
    }

    fn not_found(&self, key_ids: &[&str], wanted: &str) -> Error {
        Error::KeyNotFound {
            role: "this operation".into(),
            key_ids: key_ids.iter().map(|id| excerpt(id, MAX_LABEL)).collect(),
            reason: format!("no key in {} {wanted}", self.publishing.keys.directory().display()),
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
            self.publishing.keys.store(id, blocks)?;
        }
        files.iter().map(|(id, _)| Ok(KeyInfo::of_stored(&self.stored(id.as_str())?))).collect()
    }

    /// Stricter: Notary lets an encrypted key, whatever it is, take the place of
    /// the one that its header names, which then is lost.
    fn check_replaces_itself(
        &self,
        id: &KeyId,
        block: &KeyFile,
        role: &str,
        rejected: &dyn Fn(&str) -> Error,
    ) -> Result<()> {
        let Some(there) = self.publishing.keys.find(id)? else { return Ok(()) };
        if there.blocks().any(|known| *known.to_pem() == *block.to_pem()) {
            return Ok(());
        }
        let key = passphrase::decrypt(&self.publishing.passphrases, block, id.as_str(), role, rejected)?;
        if key.id() == id { Ok(()) } else { Err(rejected(&misnamed(key.id()))) }
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
            Some(id) if block.is_encrypted() => {
                let block = block.with_headers(Some(&role), gun, None);
                self.check_replaces_itself(&id, &block, &role, rejected)?;
                return Ok((id, block));
            }
            known => known,
        };
        let key = passphrase::decrypt(&self.publishing.passphrases, &block, unnamed, &role, rejected)?;
        let id = key.id();
        // Stricter: Notary stores a key under whatever ID its header says.
        if known.is_some_and(|known| known != *id) {
            return Err(rejected(&misnamed(id)));
        }
        let passphrase = passphrase::choose(&self.publishing.passphrases, id.as_str(), &role)?;
        Ok((id.clone(), KeyFile::encrypt(&key, &passphrase, &role, gun)?))
    }
}

fn misnamed(id: &KeyId) -> String {
    format!("its path header names another key than itself, {id}")
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
                "{what} \"{}\" must start with lowercase alphanumeric characters and can include \"-\" or \"_\" after the first character",
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

/// The content of a file, if it is not too large for one with keys.
fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut content));
    match read {
        Ok(size) if size as u64 > MAX_FILE => Err(format!("it is larger than {MAX_FILE} bytes")),
        Ok(_) => Ok(content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("no such file or directory".into()),
        Err(error) => Err(error.to_string()),
    }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;
    use crate::crypto::PrivateKey;

    const PASSPHRASE: &str = "passphrase";
    const GUN: &str = "reg.io:5000/team/app";

    fn client() -> (TempDir, Client) {
        let dir = tempfile::tempdir().unwrap();
        let client = client_in(dir.path(), PASSPHRASE);
        (dir, client)
    }

    fn client_in(dir: &Path, passphrase: &'static str) -> Client {
        let answer = move |_: &super::super::PassphraseRequest<'_>| Some(Zeroizing::new(passphrase.into()));
        Client::builder().trust_dir(dir.join("trust")).docker_config(dir).passphrase(answer).build().unwrap()
    }

    /// Every file in the private directory with its content, without the locks.
    fn private(dir: &TempDir) -> BTreeMap<String, String> {
        let Ok(entries) = fs::read_dir(dir.path().join("trust/private")) else { return BTreeMap::new() };
        let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        paths.map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
    }

    fn key() -> PrivateKey {
        PrivateKey::generate_p256().unwrap()
    }

    fn block(key: &PrivateKey, passphrase: &str, headers: [Option<&str>; 3]) -> String {
        let [role, gun, path] = headers;
        let file = KeyFile::encrypt(key, passphrase, "", None).unwrap();
        file.with_headers(role, gun, path).to_pem().to_string()
    }

    fn write(dir: &TempDir, name: &str, content: &str, mode: u32) -> PathBuf {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn refused<T: std::fmt::Debug>(result: Result<T>) -> String {
        match result {
            Err(Error::InvalidInput { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    }

    fn not_found<T: std::fmt::Debug>(result: Result<T>) {
        assert!(matches!(result, Err(Error::KeyNotFound { .. })), "{result:?}");
    }

    fn wrong<T: std::fmt::Debug>(result: Result<T>) -> String {
        match result {
            Err(Error::WrongPassphrase { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    }

    /// Whether the key is stored, under this passphrase.
    fn opens(client: &Client, id: &str, passphrase: &str) -> bool {
        let stored = client.publishing.keys.find(&KeyId::from_listed(id)).unwrap().unwrap();
        stored.file().decrypt(Some(passphrase)).is_ok_and(|key| key.id().as_str() == id)
    }

    #[test]
    fn public_keys_are_read_from_files_and_refused_in_dockers_words() {
        let (dir, client) = client();
        let keys = [key().public_key().clone(), key().public_key().clone()];
        let text: String = keys.iter().map(|key| public_key_to_pem(key, "alice")).collect();
        assert_eq!(client.read_public_keys(write(&dir, "two.pub", &text, 0o644)).unwrap(), keys);

        let absent = refused(client.read_public_keys(dir.path().join("absent.pub")));
        assert!(absent.starts_with("unable to read public key from file: open /"), "{absent}");
        assert!(absent.ends_with("absent.pub: no such file or directory"), "{absent}");
        let empty = refused(client.read_public_keys(write(&dir, "empty.pub", "", 0o644)));
        assert!(empty.starts_with("could not parse public key from file: /"), "{empty}");
        assert!(empty.ends_with("empty.pub: no valid public key found"), "{empty}");
        let endless = refused(client.read_public_keys("/dev/zero"));
        assert!(endless.contains("larger than"), "{endless}");
    }

    #[test]
    fn a_generated_key_is_stored_and_its_public_half_written() {
        let (dir, client) = client();
        let made = client.generate_key("alice", dir.path()).unwrap();
        assert_eq!(made.public_key_file, dir.path().join("alice.pub"));
        assert_eq!(fs::metadata(&made.public_key_file).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read(&made.public_key_file).unwrap();
        assert!(text.starts_with(b"-----BEGIN PUBLIC KEY-----\nrole: alice\n\n"));
        let public = crate::crypto::public_keys_from_pem(&text, std::time::SystemTime::now()).unwrap();
        assert_eq!(public[0].id().as_str(), made.id);

        let location = dir.path().join(format!("trust/private/{}.key", made.id)).display().to_string();
        let stored = KeyInfo { id: made.id.clone(), role: "alice".into(), gun: None, location };
        assert_eq!(client.keys().unwrap(), [stored]);
        assert!(opens(&client, &made.id, PASSPHRASE));
    }

    #[test]
    fn what_cannot_be_generated_is_refused_before_anything_is_written() {
        let (dir, client) = client();
        let long = "a".repeat(248);
        for name in ["", "Alice", "-a", "_a", "a/b", "../a", "a.b", "a b", "a\0", "a\n", "é", &long] {
            let reason = refused(client.generate_key(name, dir.path()));
            assert!(
                reason.ends_with(
                    "must start with lowercase alphanumeric characters and can include \"-\" or \"_\" after the first character"
                ),
                "{reason}"
            );
        }
        let absent = dir.path().join("absent");
        let reason = refused(client.generate_key("alice", &absent));
        assert_eq!(reason, format!("public key path does not exist: {absent:?}"));
        for dangling in [false, true] {
            let path = dir.path().join("alice.pub");
            if dangling {
                fs::remove_file(&path).unwrap();
                symlink(dir.path().join("elsewhere"), &path).unwrap();
            } else {
                fs::write(&path, "").unwrap();
            }
            let reason = refused(client.generate_key("alice", dir.path()));
            assert_eq!(reason, format!("public key file already exists: {path:?}"));
        }
        assert!(private(&dir).is_empty());

        let none = client_in(dir.path(), "short");
        let reason = wrong(none.generate_key("bob", dir.path()));
        assert!(reason.contains("Passphrase is too short. Please use a password manager"), "{reason}");
        assert!(private(&dir).is_empty() && !dir.path().join("bob.pub").exists());
    }

    #[test]
    fn a_public_file_that_cannot_be_written_is_no_lost_key() {
        let (dir, client) = client();
        let place = dir.path().join("directory");
        fs::create_dir(&place).unwrap();
        // The name is taken while the passphrase is asked for.
        let taken = place.join("alice.pub");
        let answer = move |_: &super::super::PassphraseRequest<'_>| {
            fs::write(&taken, "theirs").unwrap();
            Some(Zeroizing::new(PASSPHRASE.to_owned()))
        };
        let late = Client::builder().trust_dir(dir.path().join("trust")).docker_config(dir.path());
        let reason = refused(late.passphrase(answer).build().unwrap().generate_key("alice", &place));
        let stored = client.keys().unwrap().remove(0);
        assert!(reason.contains(&format!("the private key {} is stored", stored.id)), "{reason}");
        assert_eq!(fs::read_to_string(place.join("alice.pub")).unwrap(), "theirs");
        client.remove_key(&stored.id).unwrap();
        assert!(private(&dir).is_empty());
    }

    #[test]
    fn a_file_that_others_can_read_is_not_loaded() {
        let (dir, client) = client();
        let text = block(&key(), "", [None; 3]);
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o777] {
            let file = write(&dir, "k.pem", &text, mode);
            let shown = file.display();
            assert_eq!(
                refused(client.load_key(&file, "alice")),
                format!(
                    "refusing to load key from {shown}: private key file {shown} must not be readable or writable by others"
                )
            );
        }
        let absent = dir.path().join("absent");
        let shown = absent.display();
        assert_eq!(
            refused(client.load_key(&absent, "alice")),
            format!("refusing to load key from {shown}: stat {shown}: no such file or directory")
        );
        assert!(refused(client.load_key("/dev/null", "alice")).starts_with("refusing to load key from"));
        assert!(private(&dir).is_empty());
    }

    #[test]
    fn the_name_of_a_loaded_key_is_its_role_unless_its_file_has_one() {
        let (dir, client) = client();
        for (role, name, expected) in [
            (None, "alice", "alice"),
            (None, "root", "root"),
            (None, "", "delegation"),
            (Some("bob"), "alice", "bob"),
            (Some("root"), "targets", "root"),
        ] {
            let key = key();
            let file = write(&dir, "k.pem", &block(&key, "", [role, Some(GUN), None]), 0o600);
            let loaded = client.load_key(&file, name).unwrap();
            let found = (loaded[0].id.as_str(), loaded[0].role.as_str(), loaded[0].gun.as_deref());
            assert_eq!(found, (key.id().as_str(), expected, None));
            assert!(opens(&client, key.id().as_str(), PASSPHRASE));
        }
    }

    #[test]
    fn what_cannot_be_loaded_is_refused_in_dockers_words() {
        let (dir, client) = client();
        let plain = block(&key(), "", [None; 3]);
        let file = write(&dir, "k.pem", &plain, 0o600);
        let shown = file.display();
        for name in ["targets", "snapshot", "timestamp"] {
            let reason = refused(client.load_key(&file, name));
            let words =
                format!("error importing key from {shown}: failed to import all keys: invalid key pem block");
            assert!(reason.starts_with(&words), "{reason}");
        }
        assert!(refused(client.load_key(&file, "Alice")).contains("must start with lowercase"));
        assert!(refused(client.load_key(&file, "../alice")).contains("must start with lowercase"));
        for content in ["", "no key", "-----BEGIN PUBLIC KEY-----\nMA==\n-----END PUBLIC KEY-----\n"] {
            let file = write(&dir, "k.pem", content, 0o600);
            assert_eq!(
                refused(client.load_key(&file, "alice")),
                format!(
                    "error importing key from {shown}: provided file {shown} is not a supported private key - to add a signer's public key use docker trust signer add"
                )
            );
        }
        let half = plain.replace("-----END PRIVATE KEY-----", "");
        assert!(
            refused(client.load_key(write(&dir, "k.pem", &half, 0o600), "a")).contains("error importing")
        );
        assert!(private(&dir).is_empty());
    }

    #[test]
    fn an_encrypted_file_is_decrypted_and_stored_under_its_own_id() {
        let (dir, client) = client();
        let key = key();
        let file = write(&dir, "k.pem", &block(&key, PASSPHRASE, [None; 3]), 0o600);
        let loaded = client.load_key(&file, "alice").unwrap();
        assert_eq!((loaded[0].id.as_str(), loaded[0].role.as_str()), (key.id().as_str(), "alice"));
        assert!(opens(&client, key.id().as_str(), PASSPHRASE));

        let other = write(&dir, "other.pem", &block(&super::tests::key(), "unknown!", [None; 3]), 0o600);
        let before = private(&dir);
        let error = client.load_key(&other, "alice").unwrap_err();
        assert!(error.to_string().contains(&other.display().to_string()), "{error}");
        assert!(wrong::<()>(Err(error)).contains("password invalid, operation has failed."));
        assert_eq!(private(&dir), before);
    }

    #[test]
    fn a_bundle_is_imported_as_it_was_exported() {
        let (dir, client) = client();
        let keyring = client.keyring();
        for (role, gun) in
            [("root", None), ("targets", Some(GUN)), ("snapshot", Some("other")), ("alice", None)]
        {
            keyring.create(role, gun).unwrap();
        }
        let files = private(&dir);
        let bundle = client.export_keys(&KeySelection::All).unwrap();
        let by_id: String = files
            .iter()
            .map(|(name, text)| {
                let id = name.strip_suffix(".key").unwrap();
                text.replacen("role: ", &format!("path: {id}\nrole: "), 1)
            })
            .collect();
        assert_eq!(*bundle, by_id);

        let (new_dir, new) = super::tests::client();
        let imported = new.import_keys(bundle.as_bytes(), Some("ignored"), Some("ignored")).unwrap();
        assert_eq!(imported.len(), 4);
        assert_eq!(private(&new_dir), files);
        assert_eq!(*new.export_keys(&KeySelection::All).unwrap(), *bundle);

        let roles: Vec<_> = new.keys().unwrap().into_iter().map(|key| key.role).collect();
        assert_eq!(roles, ["root", "alice", "snapshot", "targets"]);
    }

    #[test]
    fn keys_are_selected_by_id_or_repository() {
        let (_dir, client) = client();
        let keyring = client.keyring();
        let [targets, other] = [GUN, "other"].map(|gun| keyring.create("targets", Some(gun)).unwrap());
        let export = |selection| client.export_keys(&selection);
        let ids = |keys: &[&PrivateKey]| {
            KeySelection::Ids(keys.iter().map(|key| key.id().as_str().to_owned()).collect())
        };
        let one = export(ids(&[&targets])).unwrap();
        assert_eq!(*one, *export(KeySelection::Gun(GUN.into())).unwrap());
        assert!(one.contains(targets.id().as_str()) && !one.contains(other.id().as_str()));
        assert_eq!(*export(ids(&[&other, &targets, &other])).unwrap(), *export(KeySelection::All).unwrap());
        not_found(export(ids(&[&targets, &key()])));
        not_found(export(KeySelection::Gun("reg.io:5000/team".into())));
        assert_eq!(*super::tests::client().1.export_keys(&KeySelection::All).unwrap(), "");
    }

    #[test]
    fn headers_of_imported_keys_follow_notarys_rules() {
        let legacy_gun = "docker.com/notary";
        for (headers, flags, expected) in [
            ([None, None, None], (None, None), ("delegation", None)),
            ([None, None, None], (Some("alice"), Some(GUN)), ("alice", None)),
            ([None, None, None], (Some("targets"), Some(GUN)), ("targets", Some(GUN))),
            ([Some("bob"), None, None], (Some("alice"), None), ("bob", None)),
            ([Some("snapshot"), Some(GUN), None], (Some("alice"), Some("x")), ("snapshot", Some(GUN))),
            ([Some("root"), Some(GUN), None], (None, Some("x")), ("root", None)),
            (
                [Some("targets"), Some(GUN), Some("tuf_keys/docker.com/notary/ID")],
                (None, None),
                ("targets", Some(legacy_gun)),
            ),
            ([Some("targets"), Some(GUN), Some("tuf_keys/ID")], (None, None), ("targets", Some(GUN))),
            ([Some("root"), None, Some("root_keys/ID")], (None, None), ("root", None)),
            ([Some("alice"), None, Some("../../ID")], (None, None), ("alice", None)),
        ] {
            for passphrase in ["", PASSPHRASE] {
                let (_dir, client) = client();
                let key = key();
                let path = headers[2].map(|path| path.replace("ID", key.id().as_str()));
                if path.is_none() && !passphrase.is_empty() {
                    continue;
                }
                let text = block(&key, passphrase, [headers[0], headers[1], path.as_deref()]);
                let imported = client.import_keys(text.as_bytes(), flags.0, flags.1).unwrap();
                assert_eq!((imported[0].role.as_str(), imported[0].gun.as_deref()), expected, "{headers:?}");
                assert_eq!(client.keys().unwrap(), imported);
                assert!(opens(&client, key.id().as_str(), PASSPHRASE));
            }
        }
    }

    #[test]
    fn one_key_that_cannot_be_imported_stops_all_before_anything_is_stored() {
        let (dir, client) = client();
        let (good, bad) = (key(), key());
        let id = bad.id().as_str();
        let good_id = good.id().as_str();
        let long = "a".repeat(256);
        for (passphrase, headers) in [
            (PASSPHRASE, [Some("alice"), None, None]),
            ("", [Some("targets"), None, None]),
            (PASSPHRASE, [Some("timestamp"), None, Some(id)]),
            ("", [Some("alice"), None, Some(good_id)]),
            (PASSPHRASE, [Some("alice"), None, Some("x")]),
            (PASSPHRASE, [Some("alice"), None, Some("..")]),
            (PASSPHRASE, [Some("alice"), None, Some("a\\b")]),
            (PASSPHRASE, [Some("alice"), None, Some(&id[1..])]),
            (PASSPHRASE, [Some("targets"), None, Some(&format!("tuf_keys/../../{id}"))]),
            (PASSPHRASE, [Some("targets"), Some("../x"), Some(id)]),
            (PASSPHRASE, [Some("../x"), None, Some(id)]),
            (PASSPHRASE, [Some(&long), None, Some(id)]),
            (PASSPHRASE, [Some("targets"), Some(&long), Some(id)]),
        ] {
            let text = block(&good, "", [Some("alice"), None, None]) + &block(&bad, passphrase, headers);
            let reason = refused(client.import_keys(text.as_bytes(), None, None));
            assert!(reason.starts_with("failed to import all keys: invalid key pem block"), "{reason}");
            assert!(private(&dir).is_empty(), "{headers:?}");
        }
        let text = block(&good, "", [None; 3]);
        for label in ["a\nb", "../x", " x", "a\0b", &long] {
            refused(client.import_keys(text.as_bytes(), Some(label), None));
            refused(client.import_keys(text.as_bytes(), Some("targets"), Some(label)));
        }
        refused(client.import_keys(b"", None, None));
        refused(client.import_keys(b"no key", None, None));
        wrong(client_in(dir.path(), "short").import_keys(text.as_bytes(), None, None));
        assert!(private(&dir).is_empty());
    }

    #[test]
    fn a_key_is_replaced_only_by_itself() {
        let (dir, client) = client();
        let (one, other) = (key(), key());
        let id = one.id().as_str();
        let of = |key: &PrivateKey, passphrase| block(key, passphrase, [Some("a"), None, Some(id)]);
        client.import_keys(of(&one, PASSPHRASE).as_bytes(), None, None).unwrap();
        let before = private(&dir);
        let refused = client.import_keys(of(&other, PASSPHRASE).as_bytes(), None, None).unwrap_err();
        assert!(matches!(refused, Error::InvalidInput { .. }), "{refused}");
        let refused = client.import_keys(of(&one, "another one").as_bytes(), None, None).unwrap_err();
        assert!(matches!(refused, Error::WrongPassphrase { .. }), "{refused}");
        assert_eq!(private(&dir), before);
        client.import_keys(of(&one, PASSPHRASE).as_bytes(), None, None).unwrap();
        assert_ne!(private(&dir), before);
    }

    #[test]
    fn consecutive_blocks_of_one_key_are_one_file_and_later_ones_replace_it() {
        let (dir, client) = client();
        let (one, other) = (key(), key());
        let id = one.id().as_str();
        let of = |role, key: &PrivateKey| block(key, PASSPHRASE, [Some(role), None, Some(key.id().as_str())]);
        let (first, second, between, last) = (of("a", &one), of("b", &one), of("o", &other), of("c", &one));
        let stored = |text: &str| text.replace(&format!("path: {id}\n"), "");

        client.import_keys((first.clone() + &second).as_bytes(), None, None).unwrap();
        let file = format!("{id}.key");
        assert_eq!(private(&dir)[&file], stored(&(first.clone() + &second)));
        let exported = client.export_keys(&KeySelection::Ids(vec![id.into()])).unwrap();
        assert_eq!(*exported, first.clone() + &second);

        client.import_keys((first + &between + &last).as_bytes(), None, None).unwrap();
        assert_eq!(private(&dir)[&file], stored(&last));
    }

    #[test]
    fn a_changed_passphrase_keeps_the_key_and_what_it_is_for() {
        let (dir, client) = client();
        let key = client.keyring().create("targets", Some(GUN)).unwrap();
        let id = key.id().as_str();
        client.change_passphrase(id, Some("another passphrase")).unwrap();
        assert!(opens(&client, id, "another passphrase") && !opens(&client, id, PASSPHRASE));
        let found = client.keys().unwrap().remove(0);
        assert_eq!((found.role.as_str(), found.gun.as_deref()), ("targets", Some(GUN)));

        let before = private(&dir);
        let reason = wrong(client.change_passphrase(id, None));
        assert!(reason.contains("password invalid, operation has failed."), "{reason}");
        assert!(wrong(client.change_passphrase(id, Some("short"))).contains("too short"));
        not_found(client.change_passphrase(super::tests::key().id().as_str(), Some("long enough")));
        not_found(client.change_passphrase("../x", Some("long enough")));
        assert_eq!(private(&dir), before);
    }

    #[test]
    fn a_removed_key_is_gone_and_an_absent_one_is_not_removed() {
        let (dir, client) = client();
        let [one, other] = ["one", "other"].map(|role| client.keyring().create(role, None).unwrap());
        client.remove_key(one.id().as_str()).unwrap();
        let before = private(&dir);
        assert_eq!(before.len(), 1);
        for id in [one.id().as_str(), &other.id().as_str()[..7], "", "../x", "*", "a\0b"] {
            not_found(client.remove_key(id));
        }
        assert_eq!(private(&dir), before);
    }
}
