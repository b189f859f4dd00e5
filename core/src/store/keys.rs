//! The private keys.
//!
//! ```text
//! <trust dir>/private/<key ID>.key                            as Docker has it
//!                    /root_keys/<key ID>[_<role>].key         before Notary 0.5:
//!                    /tuf_keys/[<GUN>/]<key ID>[_<role>].key  read where they are
//!                    /.tagtrust/lock, turn                    locks
//!                              /new                           a file being written
//! ```
//!
//! A key is written aside and renamed: whoever is killed leaves the old file, the
//! new one or none. Notary reads every `*.key` below `private`, so the file
//! being written has no such name.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::cache;
use super::disk::{self, failed};
use super::lock::{Kind, Lock};
use crate::crypto::{KeyFile, KeyId};
use crate::error::excerpt;
use crate::metadata::role;
use crate::{Error, Result};

/// Largest key file. One key has a few kilobytes, whatever its kind.
const MAX_KEY_FILE: u64 = 1 << 20;
/// Longest label that is shown.
const MAX_LABEL: usize = 255;
/// Where root keys were before Notary 0.5, and all others.
const LEGACY_ROOT: &str = "root_keys";
const LEGACY_OTHERS: &str = "tuf_keys";

/// The private keys under one trust directory.
#[derive(Clone, Debug)]
pub(crate) struct KeyStore {
    private: PathBuf,
}

/// A key as it stands on disk. That it is the key its name says is known only
/// when it is decrypted.
#[derive(Debug)]
pub(crate) struct StoredKey {
    /// Canonical.
    pub(crate) id: KeyId,
    pub(crate) path: PathBuf,
    file: KeyFile,
    /// More blocks in the same file. Only the first is used, as in Notary.
    others: Vec<KeyFile>,
}

impl StoredKey {
    /// The block with the key.
    pub(crate) fn file(&self) -> &KeyFile {
        &self.file
    }

    /// All blocks of the file, with the role and GUN that its place says.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &KeyFile> {
        std::iter::once(&self.file).chain(&self.others)
    }

    /// What the key is for, or empty: a free label.
    pub(crate) fn role(&self) -> String {
        excerpt(self.file.role().unwrap_or_default(), MAX_LABEL)
    }

    /// The repository that the key is for.
    pub(crate) fn gun(&self) -> Option<String> {
        self.file.gun().filter(|gun| !gun.is_empty()).map(|gun| excerpt(gun, MAX_LABEL))
    }
}

impl KeyStore {
    /// Touches no file yet.
    pub(crate) fn new(trust_dir: &Path) -> Self {
        Self { private: trust_dir.join("private") }
    }

    /// Where the keys are.
    pub(crate) fn directory(&self) -> &Path {
        &self.private
    }

    /// All keys, by ID. A file that cannot be read is none.
    pub(crate) fn list(&self) -> Result<Vec<StoredKey>> {
        let mut places = self.current_places()?;
        places.extend(self.legacy_places()?);
        // Stable: of two files with one key that in the current place counts.
        places.sort_by(|a, b| a.id.cmp(&b.id));
        places.dedup_by(|later, first| later.id == first.id);
        let read = |place: Place| {
            let skip = |error| log::warn!("left out of the list of keys: {error}");
            place.read().map_err(skip).ok().flatten()
        };
        Ok(places.into_iter().filter_map(read).collect())
    }

    /// The key with this ID.
    pub(crate) fn find(&self, id: &KeyId) -> Result<Option<StoredKey>> {
        let Some(current) = self.current_place(id) else { return Ok(None) };
        if let Some(key) = current.read()? {
            return Ok(Some(key));
        }
        match self.legacy_places()?.into_iter().find(|place| place.id == *id) {
            Some(place) => place.read(),
            None => Ok(None),
        }
    }

    /// Stores the blocks of a key where Docker looks for it, in place of what
    /// was there.
    pub(crate) fn store(&self, id: &KeyId, blocks: &[KeyFile]) -> Result<PathBuf> {
        let place = self.current_place(id).ok_or_else(|| Error::Internal {
            reason: format!("{:?} is no key ID, and names no file", id.as_str()),
        })?;
        self.write(&place.path, blocks)?;
        Ok(place.path)
    }

    /// Stores the same key otherwise encrypted, where it is. What else is in the
    /// file stays.
    pub(crate) fn replace(&self, key: StoredKey, block: KeyFile) -> Result<()> {
        let blocks: Vec<KeyFile> = std::iter::once(block).chain(key.others).collect();
        self.write(&key.path, &blocks)
    }

    /// Removes a key from wherever it is. False if it is nowhere.
    pub(crate) fn remove(&self, id: &KeyId) -> Result<bool> {
        let Some(current) = self.current_place(id) else { return Ok(false) };
        let mut places = self.legacy_places()?;
        places.retain(|place| place.id == *id);
        if fs::symlink_metadata(&current.path).is_ok() {
            places.push(current);
        }
        if places.is_empty() {
            return Ok(false);
        }
        let _lock = self.lock()?;
        for place in &places {
            disk::remove_file(&place.path)?;
            disk::sync_parent(&place.path)?;
        }
        Ok(true)
    }

    fn write(&self, path: &Path, blocks: &[KeyFile]) -> Result<()> {
        let mut pem = Zeroizing::new(Vec::new());
        for block in blocks.iter().map(KeyFile::to_pem) {
            let mut longer = Zeroizing::new(Vec::with_capacity(pem.len() + block.len()));
            longer.extend_from_slice(&pem);
            longer.extend_from_slice(block.as_bytes());
            pem = longer;
        }
        disk::create_dir_synced(&self.private)?;
        let _lock = self.lock()?;
        // What somebody left who was killed.
        let new = self.own().join("new");
        disk::remove_file(&new)?;
        if let Err(error) = disk::write_new(&new, &pem).and_then(|()| disk::rename(&new, path)) {
            let _ = disk::remove_file(&new);
            return Err(error);
        }
        disk::sync_parent(path)
    }

    fn own(&self) -> PathBuf {
        self.private.join(".tagtrust")
    }

    fn lock(&self) -> Result<Lock> {
        Lock::acquire(&self.own(), Kind::Exclusive)
    }

    fn current_place(&self, id: &KeyId) -> Option<Place> {
        let path = self.private.join(format!("{}.key", id.as_str()));
        is_key_id(id.as_str()).then(|| Place { id: id.clone(), path, role: None, gun: None })
    }

    fn current_places(&self) -> Result<Vec<Place>> {
        let found = files_in(&self.private)?;
        let place = |path: PathBuf| {
            let id = path.file_name()?.to_str()?.strip_suffix(".key").map(KeyId::from_listed);
            let place = id.and_then(|id| self.current_place(&id));
            if place.is_none() {
                log::debug!("{}: its name is no key ID", path.display());
            }
            place
        };
        Ok(found.files.into_iter().filter_map(place).collect())
    }

    fn legacy_places(&self) -> Result<Vec<Place>> {
        let mut places = Vec::new();
        for top in [LEGACY_ROOT, LEGACY_OTHERS] {
            let top = self.private.join(top);
            let mut todo = vec![top.clone()];
            while let Some(directory) = todo.pop() {
                let found = files_in(&directory)?;
                places.extend(found.files.into_iter().filter_map(|path| Place::legacy(&top, path)));
                todo.extend(found.directories);
            }
        }
        places.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(places)
    }
}

/// A file whose name says that it holds a key.
#[derive(Debug)]
struct Place {
    id: KeyId,
    path: PathBuf,
    /// What the name says about the key, rather than its headers.
    role: Option<String>,
    gun: Option<String>,
}

impl Place {
    /// `[<GUN>/]<key ID>[_<role>].key` below `top`.
    fn legacy(top: &Path, path: PathBuf) -> Option<Self> {
        let below = path.strip_prefix(top).ok()?;
        let stem = below.file_name()?.to_str()?.strip_suffix(".key")?;
        let (id, role) = stem.split_once('_').map_or((stem, None), |(id, role)| (id, Some(role)));
        let role = role.or(top.ends_with(LEGACY_ROOT).then_some(role::ROOT));
        let gun = below.parent()?.to_str()?;
        is_key_id(id).then(|| Self {
            id: KeyId::from_listed(id),
            role: role.map(str::to_owned),
            gun: (!gun.is_empty()).then(|| gun.to_owned()),
            path: path.clone(),
        })
    }

    /// `None` if the file is not there.
    fn read(self) -> Result<Option<StoredKey>> {
        let Some(pem) = read(&self.path)? else { return Ok(None) };
        let named = |block: KeyFile| {
            let role = self.role.as_deref().or(block.role()).map(str::to_owned);
            let gun = self.gun.as_deref().or(block.gun()).map(str::to_owned);
            block.with_headers(role.as_deref(), gun.as_deref(), None)
        };
        let blocks = KeyFile::parse_all(&pem).map_err(|error| damaged(&self.path, &error.to_string()))?;
        let mut blocks = blocks.into_iter().map(named);
        match blocks.next() {
            Some(file) => {
                Ok(Some(StoredKey { id: self.id, path: self.path.clone(), file, others: blocks.collect() }))
            }
            None => Err(damaged(&self.path, "it holds no private key in PEM")),
        }
    }
}

/// The error for a file that is not the key its name says.
pub(crate) fn damaged(path: &Path, fault: &str) -> Error {
    let advice = "put a copy of the key in its place, or move the file away";
    Error::StoreError { path: path.display().to_string(), reason: format!("{fault}; {advice}") }
}

/// Whether a text is what the ID of a key looks like.
pub(crate) fn is_key_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[derive(Default)]
struct Found {
    files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
}

/// What is in a directory, if it is there. Links to directories are not followed.
fn files_in(directory: &Path) -> Result<Found> {
    let unreadable = |error| failed(directory, "cannot be read", &error);
    let mut found = Found::default();
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
        result => result.map_err(unreadable)?,
    };
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        if entry.file_type().map_err(unreadable)?.is_dir() {
            found.directories.push(entry.path());
        } else {
            found.files.push(entry.path());
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let Some(file) = cache::open(path)? else { return Ok(None) };
    let unreadable = |error| failed(path, "cannot be read", &error);
    let length = file.metadata().map_err(unreadable)?.len();
    if length > MAX_KEY_FILE {
        return Err(damaged(path, &format!("it is larger than {MAX_KEY_FILE} bytes")));
    }
    // All at once: a buffer that grows leaves copies of the key behind.
    let mut bytes = Zeroizing::new(vec![0; usize::try_from(length).unwrap_or_default()]);
    (&file).read_exact(&mut bytes).map_err(unreadable)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::thread;

    use tempfile::TempDir;

    use super::super::tests::{killed_after, store_error, tree};
    use super::*;
    use crate::crypto::PrivateKey;

    const OTHER: &str = "b9fe8d4b54e73abb584e2015aaa447047e53282f491dcc70c40d2474d3096a21";

    fn trust_dir() -> (TempDir, KeyStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = KeyStore::new(&dir.path().join("trust"));
        (dir, store)
    }

    fn key() -> PrivateKey {
        PrivateKey::generate_p256().unwrap()
    }

    fn file(key: &PrivateKey, role: &str) -> KeyFile {
        KeyFile::encrypt(key, "password", role, None).unwrap()
    }

    /// The role of what is stored under an ID, once it proved to be that key.
    fn role_of(store: &KeyStore, id: &KeyId) -> Option<String> {
        let found = store.find(id).unwrap()?;
        assert_eq!(found.file().decrypt(Some("password")).unwrap().id(), id);
        Some(found.role())
    }

    fn listed(store: &KeyStore) -> Vec<(String, String, Option<String>)> {
        let keys = store.list().unwrap();
        keys.iter().map(|key| (key.id.as_str().to_owned(), key.role(), key.gun())).collect()
    }

    /// Puts a file at a place below `private`.
    fn put(store: &KeyStore, place: &str, content: &[u8]) -> PathBuf {
        let path = store.directory().join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    #[test]
    fn keys_lie_where_docker_has_them_and_are_private() {
        let (dir, store) = trust_dir();
        let key = key();
        let path = store.store(key.id(), &[file(&key, "alice")]).unwrap();
        let name = format!("trust/private/{}.key", key.id());
        assert_eq!(path, dir.path().join(&name));
        let expected = [
            ("trust", 0o040_700),
            ("trust/private", 0o040_700),
            ("trust/private/.tagtrust", 0o040_700),
            ("trust/private/.tagtrust/lock", 0o100_600),
            ("trust/private/.tagtrust/turn", 0o100_600),
            (&name, 0o100_600),
        ];
        let expected = expected.into_iter().map(|(name, mode)| (name.to_owned(), mode)).collect();
        assert_eq!(tree(dir.path()), expected);
        assert_eq!(listed(&store), [(key.id().as_str().into(), "alice".into(), None)]);
        assert_eq!(role_of(&store, key.id()), Some("alice".into()));
    }

    #[test]
    fn reading_creates_nothing() {
        let (dir, store) = trust_dir();
        assert_eq!(listed(&store), []);
        assert!(store.find(&KeyId::from_listed(OTHER)).unwrap().is_none());
        assert!(!store.remove(&KeyId::from_listed(OTHER)).unwrap());
        assert!(tree(dir.path()).is_empty());
    }

    #[test]
    fn names_that_are_no_key_ids_are_neither_read_nor_written() {
        let (dir, store) = trust_dir();
        let key = key();
        let pem = file(&key, "alice").to_pem();
        let long = "a".repeat(300);
        for name in ["../x", "x", "", "a\0b", &long, &OTHER.to_uppercase(), &format!("../private/{OTHER}")] {
            let id = KeyId::from_listed(name);
            assert!(matches!(store.store(&id, &[file(&key, "a")]), Err(Error::Internal { .. })), "{name:?}");
            assert!(store.find(&id).unwrap().is_none());
            assert!(!store.remove(&id).unwrap());
        }
        assert!(tree(dir.path()).is_empty());

        for name in ["x.key", "new", &format!("{OTHER}.pem"), &format!("sub/{OTHER}.key"), "tuf_keys/x_y.key"]
        {
            put(&store, name, pem.as_bytes());
        }
        assert_eq!(listed(&store), []);
    }

    #[test]
    fn keys_in_the_layout_before_notary_0_5_are_listed_and_stay_where_they_are() {
        let (_dir, store) = trust_dir();
        let keys = [key(), key(), key(), key()];
        let id = |at: usize| keys[at].id().as_str().to_owned();
        put(&store, &format!("root_keys/{}.key", id(0)), file(&keys[0], "").to_pem().as_bytes());
        put(&store, &format!("root_keys/{}_root.key", id(1)), file(&keys[1], "").to_pem().as_bytes());
        let place = format!("tuf_keys/reg.io:5000/team/app/{}_targets.key", id(2));
        let path = put(&store, &place, file(&keys[2], "").to_pem().as_bytes());
        let place = format!("tuf_keys/{}.key", id(3));
        put(&store, &place, file(&keys[3], "targets/releases").to_pem().as_bytes());

        let gun = Some("reg.io:5000/team/app".to_owned());
        let mut expected = [
            (id(0), "root".to_owned(), None),
            (id(1), "root".to_owned(), None),
            (id(2), "targets".to_owned(), gun.clone()),
            (id(3), "targets/releases".to_owned(), None),
        ];
        expected.sort();
        let before = tree(store.directory());
        assert_eq!(listed(&store), expected);
        let found = store.find(keys[2].id()).unwrap().unwrap();
        assert_eq!((found.path.clone(), found.gun()), (path.clone(), gun));
        assert_eq!(tree(store.directory()), before);

        // Otherwise Notary's migration would bring the old file back.
        let block = KeyFile::encrypt(&keys[2], "password", "targets", found.file().gun()).unwrap();
        store.replace(found, block.clone()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), *block.to_pem());
        assert_eq!(listed(&store), expected);

        // A copy in the current place counts, and both are removed.
        store.store(keys[2].id(), &[file(&keys[2], "other")]).unwrap();
        assert_eq!(role_of(&store, keys[2].id()), Some("other".into()));
        assert_eq!(listed(&store).len(), 4);
        assert!(store.remove(keys[2].id()).unwrap());
        assert!(store.find(keys[2].id()).unwrap().is_none());
        assert_eq!(listed(&store).len(), 3);
    }

    #[test]
    fn a_death_at_any_moment_leaves_the_old_key_the_new_one_or_none() {
        let key = key();
        let [old_file, new_file, next_file] = ["old", "new", "next"].map(|role| file(&key, role));
        for had_one in [false, true] {
            let mut outcomes = Vec::new();
            for changes in 0.. {
                let (_dir, store) = trust_dir();
                if had_one {
                    store.store(key.id(), std::slice::from_ref(&old_file)).unwrap();
                }
                let write = || drop(store.store(key.id(), std::slice::from_ref(&new_file)));
                let unharmed = killed_after(changes, write);
                let found = role_of(&store, key.id());
                assert!(found == had_one.then(|| "old".into()) || found == Some("new".into()), "{found:?}");
                assert_eq!(store.list().unwrap().len(), usize::from(found.is_some()));

                // The next write, of any key, cleans up.
                store.store(key.id(), std::slice::from_ref(&next_file)).unwrap();
                assert_eq!(role_of(&store, key.id()), Some("next".into()));
                let left: Vec<_> = tree(&store.own()).into_keys().collect();
                assert_eq!(left, ["lock", "turn"]);
                outcomes.push(found == Some("new".into()));
                if unharmed {
                    break;
                }
            }
            let turning = outcomes.iter().position(|is_new| *is_new).unwrap();
            assert!(outcomes[turning..].iter().all(|is_new| *is_new), "{outcomes:?}");
            assert!(turning > 8 && outcomes.len() > turning + 1, "{outcomes:?}");
        }
    }

    #[test]
    fn a_death_while_removing_leaves_the_key_or_none() {
        let key = key();
        let file = file(&key, "alice");
        let mut kept = 0;
        for changes in 0.. {
            let (_dir, store) = trust_dir();
            store.store(key.id(), std::slice::from_ref(&file)).unwrap();
            let unharmed = killed_after(changes, || drop(store.remove(key.id())));
            kept += usize::from(role_of(&store, key.id()).is_some());
            if unharmed {
                break;
            }
            store.remove(key.id()).unwrap();
            assert_eq!(listed(&store), []);
        }
        assert!(kept > 2, "{kept}");
    }

    #[test]
    fn a_change_that_is_refused_is_explained_and_changes_nothing() {
        let (_dir, store) = trust_dir();
        let key = key();
        store.store(key.id(), &[file(&key, "old")]).unwrap();
        let mut refused = Vec::new();
        assert!(!killed_after(0, || refused.push(store.store(key.id(), &[file(&key, "new")]).map(drop))));
        assert!(!killed_after(0, || refused.push(store.remove(key.id()).map(drop))));
        for result in refused {
            assert!(store_error(result).1.ends_with("choose a trust directory that can be written"));
        }
        assert_eq!(role_of(&store, key.id()), Some("old".into()));
    }

    #[test]
    fn a_symbolic_link_in_the_place_of_a_key_is_replaced_and_not_followed() {
        let (dir, store) = trust_dir();
        let key = key();
        let path = store.store(key.id(), &[file(&key, "old")]).unwrap();
        let elsewhere = dir.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        let before = fs::read(&elsewhere).unwrap();
        assert_eq!(role_of(&store, key.id()), Some("old".into()));

        store.store(key.id(), &[file(&key, "new")]).unwrap();
        assert_eq!(role_of(&store, key.id()), Some("new".into()));
        assert!(fs::symlink_metadata(&path).unwrap().is_file());

        fs::remove_file(&path).unwrap();
        symlink(&elsewhere, &path).unwrap();
        assert!(store.remove(key.id()).unwrap());
        assert_eq!(fs::read(&elsewhere).unwrap(), before);
    }

    #[test]
    fn files_that_are_no_keys_are_named_and_do_not_hide_others() {
        let (_dir, store) = trust_dir();
        let good = key();
        store.store(good.id(), &[file(&good, "alice")]).unwrap();
        let id = KeyId::from_listed(OTHER);
        let name = format!("{OTHER}.key");
        let half = file(&good, "alice").to_pem()[..100].to_owned();
        for content in ["", "no PEM", &half, &"x".repeat(2 << 20)] {
            let path = put(&store, &name, content.as_bytes());
            assert_eq!(store_error(store.find(&id)).0, path.display().to_string());
            assert_eq!(listed(&store).len(), 1);
        }
        let path = store.directory().join(&name);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(store_error(store.find(&id)).1, "it is no regular file; move it away");
        assert_eq!(listed(&store).len(), 1);
    }

    #[test]
    fn threads_create_list_and_remove_keys_at_once() {
        let (_dir, store) = trust_dir();
        let keys: Vec<_> = (0..8).map(|_| key()).collect();
        thread::scope(|scope| {
            for key in &keys {
                let store = &store;
                scope.spawn(move || {
                    for round in 0..20 {
                        store.store(key.id(), &[file(key, "alice")]).unwrap();
                        assert!(store.list().unwrap().iter().any(|found| found.id == *key.id()));
                        assert_eq!(role_of(store, key.id()), Some("alice".into()));
                        assert!(round == 19 || store.remove(key.id()).unwrap());
                    }
                });
            }
        });
        assert_eq!(listed(&store).len(), keys.len());
    }
}
