//! In memory, gone with the process: for tests and for trying things out.
//!
//! What is common is kept once, vectors are flat: with tens of thousands of
//! repositories most of the memory is their files.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Base, Change, ChangeKind, Commit, ImportBatch, Imported, Keeper, KeyRecord, Result, Storage,
    StorageError, StoredFile, TIMESTAMP, Window,
};

/// Everything under one lock, which nobody holds for longer than microseconds.
#[derive(Default)]
pub(crate) struct Memory {
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    repositories: BTreeMap<Arc<str>, Repository>,
    /// By ascending ID.
    changes: Vec<Entry>,
    last_change: i64,
    /// By ID.
    keys: BTreeMap<Arc<str>, Key>,
    passphrases: HashMap<String, String>,
    /// Names of roles, algorithms and aliases, each once.
    words: HashSet<Arc<str>>,
}

/// Without files: deleted, or only its keys were asked for.
#[derive(Default)]
struct Repository {
    /// By role, then version.
    files: Vec<File>,
    /// IDs of its changes, ascending.
    changes: Vec<i64>,
    /// IDs of its keys that have not been used, oldest first.
    unused: Vec<Arc<str>>,
}

struct File {
    role: Arc<str>,
    version: i64,
    sha256: [u8; 32],
    stored: SystemTime,
    bytes: Bytes,
}

struct Entry {
    id: i64,
    created: SystemTime,
    gun: Arc<str>,
    kind: ChangeKind,
}

struct Key {
    gun: Arc<str>,
    role: Arc<str>,
    algorithm: Arc<str>,
    public: Box<[u8]>,
    secret: Box<str>,
    alias: Arc<str>,
    used: Option<SystemTime>,
}

#[async_trait]
impl Storage for Memory {
    async fn timestamp(&self, gun: &str) -> Result<Option<StoredFile>> {
        Ok(self.read().of_role(gun, TIMESTAMP).last().map(File::stored))
    }

    async fn by_sha256(&self, gun: &str, role: &str, sha256: &[u8; 32]) -> Result<Option<StoredFile>> {
        let state = self.read();
        Ok(state.of_role(gun, role).iter().rev().find(|file| file.sha256 == *sha256).map(File::stored))
    }

    async fn by_version(&self, gun: &str, role: &str, version: i64) -> Result<Option<StoredFile>> {
        let state = self.read();
        let files = state.of_role(gun, role);
        let found = files.binary_search_by_key(&version, |file| file.version).ok();
        Ok(found.and_then(|i| files.get(i)).map(File::stored))
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<()> {
        let timestamp = commit.timestamp()?;
        let mut state = self.write();
        commit.check(state.base(commit.gun), |role| {
            Ok(state.of_role(commit.gun, role).last().map(|file| file.version))
        })?;

        let now = SystemTime::now();
        let gun = state.gun(commit.gun);
        for file in commit.files {
            let role = state.word(&file.role);
            // A copy of its own: what came with an upload is part of the whole upload.
            let bytes = Bytes::copy_from_slice(&file.bytes);
            let file = File { role, version: file.version, sha256: file.sha256, stored: now, bytes };
            state.repository(&gun).insert(file);
        }
        for id in commit.used_keys {
            state.use_key(id, now);
        }
        let kind = ChangeKind::Update { version: timestamp.version, sha256: timestamp.sha256 };
        state.note(gun, now, kind);
        Ok(())
    }

    async fn delete(&self, gun: &str) -> Result<bool> {
        let mut state = self.write();
        let Some(repository) = state.repositories.get_mut(gun) else { return Ok(false) };
        let files = std::mem::take(&mut repository.files);
        if !files.is_empty() {
            let gun = state.gun(gun);
            state.note(gun, SystemTime::now(), ChangeKind::Deletion);
        }
        Ok(!files.is_empty())
    }

    async fn changes(&self, gun: Option<&str>, wanted: Window, count: usize) -> Result<Vec<Change>> {
        let state = self.read();
        Ok(match gun {
            None => {
                window(&state.changes, |entry| entry.id, wanted, count).iter().map(Entry::change).collect()
            }
            Some(gun) => {
                let ids = state.repositories.get(gun).map_or(&[][..], |repository| &repository.changes);
                let ids = window(ids, |id| *id, wanted, count);
                ids.iter().filter_map(|id| state.entry(*id)).map(Entry::change).collect()
            }
        })
    }

    async fn repositories(&self, after: &str, count: usize) -> Result<Vec<String>> {
        let state = self.read();
        let further = state.repositories.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
        let alive = further.filter(|(_, repository)| !repository.files.is_empty());
        Ok(alive.take(count).map(|(gun, _)| gun.to_string()).collect())
    }

    async fn prune(&self, gun: &str, base: Base, keep: usize, live: &[(String, [u8; 32])]) -> Result<u64> {
        let mut state = self.write();
        if state.base(gun) != Some(base) {
            return Ok(0);
        }
        let Some(repository) = state.repositories.get_mut(gun) else { return Ok(0) };
        let before = repository.files.len();
        let mut keeper = Keeper::new(keep, live);
        repository.files.reverse();
        repository.files.retain(|file| keeper.keeps(&file.role, &file.sha256));
        repository.files.reverse();
        repository.files.shrink_to_fit();
        Ok((before - repository.files.len()) as u64)
    }

    async fn add_key(&self, key: &KeyRecord) -> Result<KeyRecord> {
        let mut state = self.write();
        if let Some(kept) = state.unused_key(&key.gun, &key.role, &key.algorithm) {
            return Ok(kept);
        }
        if !state.insert_key(key) {
            return Err(StorageError::Conflict);
        }
        Ok(key.clone())
    }

    async fn unused_key(&self, gun: &str, role: &str, algorithm: &str) -> Result<Option<KeyRecord>> {
        Ok(self.read().unused_key(gun, role, algorithm))
    }

    async fn key(&self, id: &str) -> Result<Option<KeyRecord>> {
        Ok(self.read().keys.get(id).map(|key| key.record(id)))
    }

    async fn keys_not_under(&self, alias: &str, after: &str, count: usize) -> Result<Vec<KeyRecord>> {
        let state = self.read();
        let further = state.keys.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
        let others = further.filter(|(_, key)| &*key.alias != alias);
        Ok(others.take(count).map(|(id, key)| key.record(id)).collect())
    }

    async fn rewrap_key(&self, id: &str, old: &str, secret: &str, alias: &str) -> Result<bool> {
        let mut state = self.write();
        let alias = state.word(alias);
        match state.keys.get_mut(id) {
            Some(key) if &*key.secret == old => {
                key.secret = secret.into();
                key.alias = alias;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn passphrase_parameters(&self, alias: &str, proposed: &str) -> Result<String> {
        let mut state = self.write();
        Ok(state.passphrases.entry(alias.to_owned()).or_insert_with(|| proposed.to_owned()).clone())
    }

    async fn import(&self, batch: &ImportBatch) -> Result<Imported> {
        let mut state = self.write();
        let mut imported = Imported::default();
        if let Some(gun) = &batch.forget {
            let gun = state.gun(gun);
            state.repository(&gun).files.clear();
        }
        for (gun, file) in &batch.files {
            let gun = state.gun(gun);
            let role = state.word(&file.role);
            let bytes = Bytes::copy_from_slice(&file.bytes);
            let file = File { role, version: file.version, sha256: file.sha256, stored: file.stored, bytes };
            imported.files += u64::from(state.repository(&gun).insert(file));
        }
        for change in &batch.changes {
            imported.changes += u64::from(state.import_change(change));
        }
        for key in &batch.keys {
            imported.keys += u64::from(state.insert_key(key));
        }
        Ok(imported)
    }

    async fn backup(&self, _to: &Path) -> Result<()> {
        Err(StorageError::Unavailable("a storage in memory has no backup".to_owned()))
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }
}

impl Memory {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn of_role(&self, gun: &str, role: &str) -> &[File] {
        self.repositories.get(gun).map_or(&[], |repository| repository.of_role(role))
    }

    fn base(&self, gun: &str) -> Option<Base> {
        let newest = self.of_role(gun, TIMESTAMP).last();
        newest.map(|file| Base { version: file.version, sha256: file.sha256 })
    }

    /// The shared form of a repository's name.
    fn gun(&self, gun: &str) -> Arc<str> {
        self.repositories.get_key_value(gun).map_or_else(|| Arc::from(gun), |(gun, _)| Arc::clone(gun))
    }

    fn repository(&mut self, gun: &Arc<str>) -> &mut Repository {
        self.repositories.entry(Arc::clone(gun)).or_default()
    }

    fn word(&mut self, word: &str) -> Arc<str> {
        if let Some(known) = self.words.get(word) {
            return Arc::clone(known);
        }
        let word: Arc<str> = Arc::from(word);
        self.words.insert(Arc::clone(&word));
        word
    }

    fn entry(&self, id: i64) -> Option<&Entry> {
        let found = self.changes.binary_search_by_key(&id, |entry| entry.id).ok()?;
        self.changes.get(found)
    }

    /// A new entry of the feed.
    fn note(&mut self, gun: Arc<str>, created: SystemTime, kind: ChangeKind) {
        let id = self.last_change.saturating_add(1);
        self.insert_entry(Entry { id, created, gun, kind });
    }

    fn insert_entry(&mut self, entry: Entry) {
        self.last_change = self.last_change.max(entry.id);
        let ids = &mut self.repository(&entry.gun).changes;
        ids.insert(ids.partition_point(|id| *id < entry.id), entry.id);
        self.changes.insert(self.changes.partition_point(|other| other.id < entry.id), entry);
    }

    /// Under its own ID, unless that is taken: then as a new entry.
    fn import_change(&mut self, change: &Change) -> bool {
        let gun = self.gun(&change.gun);
        let created = change.created;
        if self.entry(change.id).is_none() {
            self.insert_entry(Entry { id: change.id, created, gun, kind: change.kind });
            return true;
        }
        let ids = self.repositories.get(&gun).map_or(&[][..], |repository| &repository.changes);
        let mut entries = ids.iter().filter_map(|id| self.entry(*id));
        if entries.any(|entry| entry.created == created && entry.kind == change.kind) {
            return false;
        }
        self.note(gun, created, change.kind);
        true
    }

    fn unused_key(&self, gun: &str, role: &str, algorithm: &str) -> Option<KeyRecord> {
        let ids = &self.repositories.get(gun)?.unused;
        let mut keys = ids.iter().filter_map(|id| Some((id, self.keys.get(id)?)));
        let found = keys.find(|(_, key)| &*key.role == role && &*key.algorithm == algorithm);
        found.map(|(id, key)| key.record(id))
    }

    /// Not if its ID is there already.
    fn insert_key(&mut self, key: &KeyRecord) -> bool {
        if self.keys.contains_key(key.id.as_str()) {
            return false;
        }
        let id: Arc<str> = Arc::from(key.id.as_str());
        let gun = self.gun(&key.gun);
        let repository = self.repository(&gun);
        if key.used.is_none() {
            repository.unused.push(Arc::clone(&id));
        }
        let kept = Key {
            gun,
            role: self.word(&key.role),
            algorithm: self.word(&key.algorithm),
            public: key.public.as_slice().into(),
            secret: key.secret.as_str().into(),
            alias: self.word(&key.alias),
            used: key.used,
        };
        self.keys.insert(id, kept);
        true
    }

    fn use_key(&mut self, id: &str, now: SystemTime) {
        let Some(key) = self.keys.get_mut(id) else { return };
        key.used = key.used.or(Some(now));
        if let Some(repository) = self.repositories.get_mut(&key.gun) {
            repository.unused.retain(|unused| &**unused != id);
        }
    }
}

impl Repository {
    fn of_role(&self, role: &str) -> &[File] {
        let start = self.files.partition_point(|file| &*file.role < role);
        let end = self.files.partition_point(|file| &*file.role <= role);
        self.files.get(start..end).unwrap_or_default()
    }

    /// Not if this version of the role is there already.
    fn insert(&mut self, file: File) -> bool {
        let place = self.files.binary_search_by(|other| {
            other.role.cmp(&file.role).then_with(|| other.version.cmp(&file.version))
        });
        match place {
            Ok(_) => false,
            Err(place) => {
                self.files.insert(place, file);
                true
            }
        }
    }
}

impl File {
    fn stored(&self) -> StoredFile {
        StoredFile {
            role: self.role.to_string(),
            version: self.version,
            sha256: self.sha256,
            stored: self.stored,
            bytes: self.bytes.clone(),
        }
    }
}

impl Entry {
    fn change(&self) -> Change {
        Change { id: self.id, created: self.created, gun: self.gun.to_string(), kind: self.kind }
    }
}

impl Key {
    fn record(&self, id: &str) -> KeyRecord {
        KeyRecord {
            id: id.to_owned(),
            gun: self.gun.to_string(),
            role: self.role.to_string(),
            algorithm: self.algorithm.to_string(),
            public: self.public.to_vec(),
            secret: self.secret.to_string(),
            alias: self.alias.to_string(),
            used: self.used,
        }
    }
}

/// The part of a list in ascending order of IDs that is asked for.
fn window<T>(all: &[T], id: impl Fn(&T) -> i64, window: Window, count: usize) -> &[T] {
    let (start, end) = match window {
        Window::After(after) => {
            let start = all.partition_point(|item| id(item) <= after);
            (start, start.saturating_add(count).min(all.len()))
        }
        Window::Before(before) => {
            let end = all.partition_point(|item| id(item) < before);
            (end.saturating_sub(count), end)
        }
        Window::Newest => (all.len().saturating_sub(count), all.len()),
    };
    all.get(start..end).unwrap_or_default()
}
