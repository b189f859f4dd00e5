//! The trust service: what the rules need is read, what they say is done.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::keys::{Keys, KeysError};
use super::make::{self, Unsigned};
use super::refusal::{Invalid, Refusal};
use super::rules::{self, Accepted, Stored};
use super::storage::{Base, Change, Commit, KeyRecord, NewFile, Storage, StorageError, StoredFile, Window};
use super::upload::{MAX_VERSION, MOST_SNAPSHOT, Upload};
use crate::crypto::PublicKey;
use crate::error::{Error, Fault};
use crate::metadata::json::Malformed;
use crate::metadata::{Envelope, FileMeta, RoleKeys, Snapshot, Timestamp, role};
use crate::trust::{Expiry, TrustedRoot, TrustedSet};

type Result<T> = std::result::Result<T, Refusal>;

/// How often a change is judged anew because another one came first.
const MOST_ATTEMPTS: usize = 16;
/// From this size on an upload is judged on a thread of its own.
const LARGE_UPLOAD: usize = 256 * 1024;
/// How many times that is judged at once. What is read of hostile files takes
/// twenty times their size in memory.
const MOST_JUDGED: u32 = 512;
/// Most timestamps whose expiry is remembered.
const MOST_REMEMBERED: usize = 65_536;
/// How many repositories may take turns at once.
const TURNS: usize = 64;
/// Longest name of a repository in bytes: what Notary's databases have room for.
const MOST_GUN: usize = 255;
/// Most roles of one snapshot that are looked up for an upload.
const MOST_LISTED: usize = crate::trust::MAX_DELEGATIONS + 2;

/// One trust service over one storage.
pub(crate) struct Service {
    storage: Arc<dyn Storage>,
    keys: Arc<dyn Keys>,
    settings: Settings,
    /// Until when a timestamp, by its SHA-256, and its snapshot are valid. That
    /// never changes, so nothing here can be out of date.
    valid_until: Mutex<HashMap<[u8; 32], SystemTime>>,
    /// Changes of one repository that got in each other's way take turns.
    turns: [tokio::sync::Mutex<()>; TURNS],
    /// What is large is judged in parts of this.
    pub(super) judging: Semaphore,
}

/// What the service is told.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) snapshot_lifetime: Duration,
    pub(crate) timestamp_lifetime: Duration,
    pub(crate) read_only: bool,
    pub(crate) keep_versions: Option<usize>,
    /// What time it is; tests move it.
    pub(crate) clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

/// The newest timestamp and the snapshot that it names.
struct Head {
    timestamp: StoredFile,
    /// Of the timestamp.
    expires: SystemTime,
    snapshot: Snapshot,
    snapshot_file: StoredFile,
}

impl Head {
    fn base(&self) -> Base {
        Base { version: self.timestamp.version, sha256: self.timestamp.sha256 }
    }

    fn valid_until(&self) -> SystemTime {
        self.expires.min(self.snapshot.common.expires)
    }
}

impl Service {
    pub(crate) fn new(storage: Arc<dyn Storage>, keys: Arc<dyn Keys>, settings: Settings) -> Self {
        let turns = std::array::from_fn(|_| tokio::sync::Mutex::new(()));
        let judging = Semaphore::new(MOST_JUDGED as usize);
        Self { storage, keys, settings, valid_until: Mutex::default(), turns, judging }
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.settings.clock)()
    }

    /// Takes an upload: parts in their order, name of the file and content. All
    /// of it is stored, with a new timestamp, or nothing.
    pub(crate) async fn upload(&self, gun: &str, parts: Vec<(String, Bytes)>) -> Result<()> {
        self.writable()?;
        check_name(gun)?;
        let size: usize = parts.iter().map(|(_, bytes)| bytes.len()).sum();
        let upload = Arc::new(beside(size, move || Upload::read(parts)).await??);
        if upload.iter().any(|(_, version, _)| version > MAX_VERSION) {
            return Err(Refusal::Version);
        }
        let mut turn = None;
        for attempt in 0..MOST_ATTEMPTS {
            if attempt == 1 {
                turn = self.turn(gun).await;
            }
            let now = self.now();
            let current = self.head_and_root(gun).await?;
            let head = current.as_ref().map(|(head, _)| head);
            let completed = match self.judge(gun, current.as_ref(), &upload, now).await {
                Ok(accepted) => self.complete(gun, head, &upload, &Arc::new(accepted), now).await,
                Err(refusal) => Err(refusal),
            };
            let (files, used_keys) = match (completed, head) {
                (Ok(completed), _) => completed,
                // What was refused against something that is gone is judged anew.
                (Err(_), Some(head)) if !self.is_unchanged(gun, head).await? => continue,
                (Err(refusal), _) => return Err(refusal),
            };
            let base = head.map(Head::base);
            let commit = Commit { gun, base, files: &files, used_keys: &used_keys };
            match self.storage.commit(commit).await {
                Ok(()) => {
                    drop(turn);
                    self.prune(gun).await;
                    return Ok(());
                }
                Err(StorageError::Conflict) => {}
                Err(StorageError::NotNewer { .. }) => return Err(Refusal::Version),
                Err(StorageError::Unavailable(reason)) => return Err(Refusal::Updating(reason)),
            }
        }
        Err(Refusal::Version)
    }

    async fn judge(
        &self,
        gun: &str,
        current: Option<&(Head, Bytes)>,
        upload: &Arc<Upload>,
        now: SystemTime,
    ) -> Result<Accepted> {
        let stored = self.stored(gun, current, upload).await?;
        let (gun, upload) = (gun.to_owned(), Arc::clone(upload));
        let size = upload.size().saturating_add(stored.size());
        // Each has its part, and the largest have all of it.
        let part = u32::try_from(size.div_ceil(LARGE_UPLOAD)).unwrap_or(u32::MAX).min(MOST_JUDGED);
        let _judging = match size < LARGE_UPLOAD {
            true => None,
            false => Some(self.judging.acquire_many(part).await.map_err(|error| unknown(error.to_string()))?),
        };
        let judged = beside(size, move || rules::judge(&gun, &upload, &stored, now)).await?;
        judged.map_err(Refusal::InvalidUpdate)
    }

    /// The files to be stored: those of the upload, a snapshot where there is
    /// none among them, and the timestamp.
    async fn complete(
        &self,
        gun: &str,
        head: Option<&Head>,
        upload: &Arc<Upload>,
        accepted: &Arc<Accepted>,
        now: SystemTime,
    ) -> Result<(Vec<NewFile>, Vec<String>)> {
        // Large files are hashed where they keep nobody waiting.
        let size = accepted.files().map(|(_, file)| file.len()).sum();
        let mut files: Vec<NewFile> = {
            let upload = Arc::clone(upload);
            let new =
                |(name, version, bytes): (&str, i64, &Bytes)| NewFile::new(name, version, bytes.clone());
            beside(size, move || upload.iter().map(new).collect()).await?
        };
        let mut used_keys = Vec::new();
        let snapshot = match &accepted.snapshot {
            Some((snapshot, file)) => {
                self.check_listed(gun, snapshot, &files).await?;
                file.clone()
            }
            None => {
                if head.is_none() && !accepted.targets.contains_key(role::TARGETS) {
                    return Err(invalid(Invalid::Validation("targets must be loaded first".into())));
                }
                let previous = head.map(|head| head.snapshot.clone());
                let expires = now + self.settings.snapshot_lifetime;
                let changed = Arc::clone(accepted);
                let unsigned =
                    beside(size, move || make::snapshot(previous.as_ref(), changed.files(), expires)).await?;
                if unsigned.signed.len() > MOST_SNAPSHOT {
                    return Err(Refusal::TooLarge);
                }
                let signed = self
                    .sign(
                        gun,
                        unsigned,
                        accepted.keys(role::SNAPSHOT),
                        accepted.previous_keys(role::SNAPSHOT),
                        &mut used_keys,
                    )
                    .await?;
                let file = signed.ok_or_else(|| {
                    invalid(Invalid::BadHierarchy {
                        missing: role::SNAPSHOT,
                        message: "no snapshot was included in update and server does not hold current \
                            snapshot key for repository"
                            .into(),
                    })
                })?;
                files.push(file.clone());
                file.bytes
            }
        };
        let previous = head.map_or(0, |head| head.timestamp.version);
        let unsigned = make::timestamp(previous, &snapshot, now + self.settings.timestamp_lifetime);
        let signed = self
            .sign(
                gun,
                unsigned,
                accepted.keys(role::TIMESTAMP),
                accepted.previous_keys(role::TIMESTAMP),
                &mut used_keys,
            )
            .await?;
        files.push(signed.ok_or_else(|| {
            // With two spaces, as Notary has it.
            invalid(Invalid::BadRoot("no  timestamp keys exist on the server".into()))
        })?);
        Ok((files, used_keys))
    }

    /// Stricter: everything that an uploaded snapshot lists must be in the
    /// upload or stored. Notary would store references to nothing.
    async fn check_listed(&self, gun: &str, snapshot: &Snapshot, uploaded: &[NewFile]) -> Result<()> {
        let bad = |message: String| invalid(Invalid::BadSnapshot(message));
        if snapshot.files.len() > MOST_LISTED {
            return Err(bad(format!("the snapshot lists more than {MOST_LISTED} files")));
        }
        for (name, meta) in &snapshot.files {
            let Some(sha256) = &meta.sha256 else {
                return Err(bad(format!("the snapshot has no sha256 for {name}")));
            };
            let is_uploaded = uploaded.iter().any(|file| file.role == *name && file.sha256 == *sha256);
            if !is_uploaded && self.by_hash(gun, name, sha256).await?.is_none() {
                return Err(bad(format!(
                    "the snapshot lists a file of {name} that the server does not have"
                )));
            }
        }
        Ok(())
    }

    /// The signed file; `None` if too few of the keys are here. `previous` are
    /// those that the stored root names.
    async fn sign(
        &self,
        gun: &str,
        unsigned: Unsigned,
        keys: &RoleKeys,
        previous: &RoleKeys,
        used_keys: &mut Vec<String>,
    ) -> Result<Option<NewFile>> {
        let keys = self.made_for(gun, unsigned.role, keys, previous).await?;
        let signatures =
            self.keys.sign(gun, unsigned.role, &keys, &unsigned.signed).await.map_err(no_keys)?;
        if (signatures.len() as u64) < u64::from(keys.threshold) {
            return Ok(None);
        }
        used_keys.extend(signatures.iter().map(|signature| signature.key_id.as_str().to_owned()));
        Ok(Some(unsigned.with(&signatures)))
    }

    /// Stricter: a key gets into a repository's root only if it was made for this
    /// role of it. Otherwise somebody could have another repository's key sign
    /// that one's old files anew, as files of his own.
    async fn made_for(
        &self,
        gun: &str,
        name: &str,
        keys: &RoleKeys,
        previous: &RoleKeys,
    ) -> Result<RoleKeys> {
        let mut admitted = RoleKeys { keys: Vec::new(), threshold: keys.threshold };
        for (listed, key) in &keys.keys {
            let is_known = previous.keys.iter().any(|(_, known)| known.id() == key.id());
            let is_ours = |record: KeyRecord| record.gun == gun && record.role == name;
            if is_known || self.storage.key(key.id().as_str()).await.map_err(no_storage)?.is_some_and(is_ours)
            {
                admitted.keys.push((listed.clone(), Arc::clone(key)));
            }
        }
        Ok(admitted)
    }

    /// The file that counts now, as the timestamp names it. An expired timestamp
    /// or snapshot is made anew.
    pub(crate) async fn current(&self, gun: &str, name: &str) -> Result<StoredFile> {
        let not_found = Refusal::NotFound { detail: true };
        if name == role::TIMESTAMP {
            return self.current_timestamp(gun).await;
        }
        for _ in 0..MOST_ATTEMPTS {
            let timestamp = match name {
                role::SNAPSHOT => self.current_timestamp(gun).await?,
                _ => self.newest(gun).await?.ok_or(not_found.clone())?,
            };
            let Some(head) = self.head_of(gun, timestamp).await? else { continue };
            if name == role::SNAPSHOT {
                return Ok(head.snapshot_file);
            }
            let Some(sha256) = head.snapshot.files.get(name).and_then(|meta| meta.sha256) else {
                return Err(not_found);
            };
            if let Some(file) = self.by_hash(gun, name, &sha256).await? {
                return Ok(file);
            }
            // Missing, or deleted a moment ago.
            let newest = self.newest(gun).await?;
            if newest.is_none_or(|newest| newest.sha256 == head.timestamp.sha256) {
                return Err(not_found);
            }
        }
        Err(not_found)
    }

    async fn current_timestamp(&self, gun: &str) -> Result<StoredFile> {
        let mut turn = None;
        for _ in 0..MOST_ATTEMPTS {
            let newest = self.newest(gun).await?.ok_or(Refusal::NotFound { detail: true })?;
            let now = self.now();
            if self.settings.read_only || self.remembered(&newest.sha256).is_some_and(|until| until >= now) {
                return Ok(newest);
            }
            let Some(head) = self.head_of(gun, newest).await? else { continue };
            if head.valid_until() >= now {
                self.remember(head.timestamp.sha256, head.valid_until());
                return Ok(head.timestamp);
            }
            if turn.is_none() {
                // Of many readers who find it expired, one makes a new one.
                turn = self.turn(gun).await;
            } else if let Some(renewed) = self.renew(gun, &head, now).await? {
                return Ok(renewed);
            }
        }
        Err(unknown(format!("the timestamp of {gun} changes faster than it can be read")))
    }

    /// Makes the timestamp anew, and the snapshot if it expired; `None` if the
    /// repository changed meanwhile.
    async fn renew(&self, gun: &str, head: &Head, now: SystemTime) -> Result<Option<StoredFile>> {
        let Some(root) = self.root_of(gun, head).await? else { return Ok(None) };
        let root = TrustedRoot::accept(gun, root, None, None, Expiry::Enforced, now)
            .map_err(|error| cannot_renew(gun, &error))?;
        let keys_of = |name: &str| {
            root.root().role(name).ok_or_else(|| unknown(format!("the root of {gun} has no role {name}")))
        };
        // Nothing that is not right is signed anew.
        rules::check_stored_snapshot(&root, &head.snapshot_file.bytes, now)
            .map_err(|error| cannot_renew(gun, &error))?;
        let (mut files, mut used_keys) = (Vec::new(), Vec::new());
        let snapshot = if head.snapshot.common.expires < now {
            let expires = now + self.settings.snapshot_lifetime;
            let unsigned = make::snapshot(Some(&head.snapshot), std::iter::empty(), expires);
            let keys = keys_of(role::SNAPSHOT)?;
            let signed = self.sign(gun, unsigned, keys, keys, &mut used_keys).await?;
            let signed = signed.ok_or_else(|| {
                unknown(format!("the snapshot of {gun} expired, and its publisher has the key"))
            })?;
            files.push(signed.clone());
            signed.bytes
        } else {
            head.snapshot_file.bytes.clone()
        };
        let expires = now + self.settings.timestamp_lifetime;
        let unsigned = make::timestamp(head.timestamp.version, &snapshot, expires);
        let keys = keys_of(role::TIMESTAMP)?;
        let signed = self.sign(gun, unsigned, keys, keys, &mut used_keys).await?;
        let timestamp = signed
            .ok_or_else(|| unknown(format!("the timestamp of {gun} expired, and its key is not here")))?;
        files.push(timestamp);
        let commit = Commit { gun, base: Some(head.base()), files: &files, used_keys: &used_keys };
        match self.storage.commit(commit).await {
            // Read again, with the moment at which it was stored.
            Ok(()) => self.newest(gun).await,
            Err(StorageError::Conflict | StorageError::NotNewer { .. }) => Ok(None),
            Err(StorageError::Unavailable(reason)) => Err(unknown(reason)),
        }
    }

    pub(crate) async fn by_sha256(&self, gun: &str, name: &str, sha256: &[u8; 32]) -> Result<StoredFile> {
        self.by_hash(gun, name, sha256).await?.ok_or(Refusal::NotFound { detail: true })
    }

    pub(crate) async fn by_version(&self, gun: &str, name: &str, version: i64) -> Result<StoredFile> {
        let not_found = Refusal::NotFound { detail: true };
        check_name(gun).map_err(|_| not_found.clone())?;
        self.storage.by_version(gun, name, version).await.map_err(no_storage)?.ok_or(not_found)
    }

    /// The key that signs for a role of the server's now, or would for a new repository.
    pub(crate) async fn public_key(&self, gun: &str, name: &str) -> Result<PublicKey> {
        if let Some((_, root)) = self.head_and_root(gun).await? {
            let envelope = Envelope::read(root).map_err(|what| damaged(gun, role::ROOT, &what))?;
            let root =
                crate::metadata::Root::read(&envelope).map_err(|what| damaged(gun, role::ROOT, &what))?;
            if let Some(keys) = root.role(name)
                && let Some(key) = self.keys.held(gun, name, keys).await.map_err(no_keys)?
            {
                return Ok(key);
            }
        }
        self.rotate_key(gun, name).await
    }

    /// The key that a role of the server's may be rotated to.
    pub(crate) async fn rotate_key(&self, gun: &str, name: &str) -> Result<PublicKey> {
        self.writable()?;
        check_name(gun)?;
        self.keys.pending(gun, name).await.map_err(no_keys)
    }

    /// Removes a repository. It is no error if there is none.
    pub(crate) async fn delete(&self, gun: &str) -> Result<()> {
        self.writable()?;
        check_name(gun)?;
        self.storage.delete(gun).await.map(drop).map_err(no_storage)
    }

    pub(crate) async fn changes(
        &self,
        gun: Option<&str>,
        window: Window,
        count: usize,
    ) -> Result<Vec<Change>> {
        if gun.is_some_and(|gun| check_name(gun).is_err()) {
            return Ok(Vec::new());
        }
        self.storage.changes(gun, window, count).await.map_err(no_storage)
    }

    pub(crate) async fn repositories(&self, after: &str, count: usize) -> Result<Vec<String>> {
        self.storage.repositories(after, count).await.map_err(no_storage)
    }

    /// What does not work: name of the check, and why.
    pub(crate) async fn check(&self) -> Vec<(&'static str, String)> {
        let mut failing = Vec::new();
        if let Err(error) = self.storage.check().await {
            failing.push(("DB operational", error.to_string()));
        }
        if let Some(name) = self.keys.health_name()
            && let Err(error) = self.keys.check().await
        {
            failing.push((name, error.to_string()));
        }
        failing
    }

    /// A repository as a client would verify it now.
    ///
    /// # Errors
    /// What a client would say; [`Error::NoTrustData`] if there is nothing.
    pub(crate) async fn trusted(&self, gun: &str) -> crate::Result<TrustedSet> {
        self.trusted_at(gun, self.now()).await
    }

    /// As [`Self::trusted`], at another time.
    pub(crate) async fn trusted_at(&self, gun: &str, now: SystemTime) -> crate::Result<TrustedSet> {
        let failed = |refusal: Refusal| Error::Internal { reason: refusal.to_string() };
        let nothing = || Error::NoTrustData { gun: gun.into(), server: "this server".into() };
        let (head, root) = self.head_and_root(gun).await.map_err(failed)?.ok_or_else(nothing)?;
        let root = TrustedRoot::accept(gun, root, None, None, Expiry::Enforced, now)?;
        let mut set = TrustedSet::new(Arc::new(root));
        set.add_timestamp(head.timestamp.bytes.clone(), None, now)?;
        set.add_snapshot(head.snapshot_file.bytes.clone(), None, now)?;
        while let Some(name) = set.next_role().map(str::to_owned) {
            let Some(sha256) = set.source(&name).and_then(|meta| meta.sha256) else {
                set.skip_role();
                continue;
            };
            let file = self.by_hash(gun, &name, &sha256).await.map_err(failed)?;
            let missing = || Error::Tampered { gun: gun.into(), role: name.clone(), fault: Fault::Missing };
            set.add_role(file.ok_or_else(missing)?.bytes, None, now)?;
        }
        Ok(set)
    }

    /// Waits until no other change of this repository has the turn.
    async fn turn(&self, gun: &str) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let mut hasher = DefaultHasher::new();
        gun.hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % TURNS as u64).unwrap_or_default();
        Some(self.turns.get(index)?.lock().await)
    }

    fn writable(&self) -> Result<()> {
        if self.settings.read_only { Err(Refusal::ReadOnly) } else { Ok(()) }
    }

    /// Whatever goes wrong here, the upload was stored: it is only logged.
    async fn prune(&self, gun: &str) {
        if let Some(keep) = self.settings.keep_versions
            && let Err(refusal) = self.prune_to(gun, keep).await
        {
            log::warn!("old versions of {gun} were not removed: {refusal}");
        }
    }

    /// Removes all but the newest `keep` versions of each role and those that the
    /// newest timestamp leads to. Gives how many files went.
    pub(crate) async fn prune_to(&self, gun: &str, keep: usize) -> Result<u64> {
        self.writable()?;
        let Some(head) = self.head(gun).await? else { return Ok(0) };
        let listed = head.snapshot.files.iter().filter_map(|(name, meta)| Some((name.clone(), meta.sha256?)));
        let own = [
            (role::TIMESTAMP.to_owned(), head.timestamp.sha256),
            (role::SNAPSHOT.to_owned(), head.snapshot_file.sha256),
        ];
        let live: Vec<_> = own.into_iter().chain(listed).collect();
        self.storage.prune(gun, head.base(), keep, &live).await.map_err(no_storage)
    }

    async fn newest(&self, gun: &str) -> Result<Option<StoredFile>> {
        if check_name(gun).is_err() {
            return Ok(None);
        }
        self.storage.timestamp(gun).await.map_err(no_storage)
    }

    async fn by_hash(&self, gun: &str, name: &str, sha256: &[u8; 32]) -> Result<Option<StoredFile>> {
        if check_name(gun).is_err() {
            return Ok(None);
        }
        self.storage.by_sha256(gun, name, sha256).await.map_err(no_storage)
    }

    /// The newest timestamp and its snapshot; `None` if the repository has no files.
    async fn head(&self, gun: &str) -> Result<Option<Head>> {
        for _ in 0..MOST_ATTEMPTS {
            let Some(timestamp) = self.newest(gun).await? else { return Ok(None) };
            if let Some(head) = self.head_of(gun, timestamp).await? {
                return Ok(Some(head));
            }
        }
        Err(unknown(format!("{gun} changes faster than it can be read")))
    }

    /// The snapshot of a timestamp; `None` if the repository changed meanwhile.
    async fn head_of(&self, gun: &str, timestamp: StoredFile) -> Result<Option<Head>> {
        let content = Envelope::read(timestamp.bytes.clone())
            .and_then(|envelope| Timestamp::read(&envelope))
            .map_err(|what| damaged(gun, role::TIMESTAMP, &what))?;
        let FileMeta { sha256: Some(sha256), .. } = content.snapshot else {
            return Err(unknown(format!("the timestamp of {gun} has no sha256")));
        };
        let Some(snapshot_file) = self.by_hash(gun, role::SNAPSHOT, &sha256).await? else {
            let newest = self.newest(gun).await?;
            return match newest {
                Some(newest) if newest.sha256 == timestamp.sha256 => {
                    // As Notary: what it leads to is not there.
                    log::error!("the snapshot of {gun} is missing in the storage");
                    Err(Refusal::NotFound { detail: true })
                }
                _ => Ok(None),
            };
        };
        let snapshot = Envelope::read(snapshot_file.bytes.clone())
            .and_then(|envelope| Snapshot::read(&envelope))
            .map_err(|what| damaged(gun, role::SNAPSHOT, &what))?;
        Ok(Some(Head { timestamp, expires: content.common.expires, snapshot, snapshot_file }))
    }

    /// As [`Self::head`], with the root that counts now.
    async fn head_and_root(&self, gun: &str) -> Result<Option<(Head, Bytes)>> {
        for _ in 0..MOST_ATTEMPTS {
            let Some(head) = self.head(gun).await? else { return Ok(None) };
            if let Some(root) = self.root_of(gun, &head).await? {
                return Ok(Some((head, root)));
            }
        }
        Err(unknown(format!("{gun} changes faster than it can be read")))
    }

    /// The root that a snapshot names; `None` if the repository changed meanwhile.
    async fn root_of(&self, gun: &str, head: &Head) -> Result<Option<Bytes>> {
        if let Some(sha256) = head.snapshot.files.get(role::ROOT).and_then(|meta| meta.sha256)
            && let Some(root) = self.by_hash(gun, role::ROOT, &sha256).await?
        {
            return Ok(Some(root.bytes));
        }
        match self.is_unchanged(gun, head).await? {
            true => Err(unknown(format!("the root of {gun} is missing in the storage"))),
            false => Ok(None),
        }
    }

    /// What an upload is judged against.
    async fn stored(&self, gun: &str, current: Option<&(Head, Bytes)>, upload: &Upload) -> Result<Stored> {
        let Some((head, root)) = current else { return Ok(Stored::default()) };
        let mut ancestors = BTreeMap::new();
        for name in upload.missing_ancestors() {
            if let Some(sha256) = head.snapshot.files.get(name).and_then(|meta| meta.sha256)
                && let Some(file) = self.by_hash(gun, name, &sha256).await?
            {
                ancestors.insert(name.to_owned(), file.bytes);
            }
        }
        let (root, snapshot) = (root.clone(), head.snapshot_file.bytes.clone());
        Ok(Stored { root: Some(root), snapshot: Some(snapshot), ancestors })
    }

    /// Whether a repository still is as it was read, so that what is missing is really missing.
    async fn is_unchanged(&self, gun: &str, head: &Head) -> Result<bool> {
        Ok(self.newest(gun).await?.is_some_and(|newest| newest.sha256 == head.timestamp.sha256))
    }

    fn remembered(&self, sha256: &[u8; 32]) -> Option<SystemTime> {
        self.valid_until.lock().unwrap_or_else(PoisonError::into_inner).get(sha256).copied()
    }

    fn remember(&self, sha256: [u8; 32], until: SystemTime) {
        let mut remembered = self.valid_until.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MOST_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(sha256, until);
    }
}

/// Work without I/O, on a thread of its own if there is much to look at.
async fn beside<T: Send + 'static>(size: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    if size < LARGE_UPLOAD {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| unknown(error.to_string()))
}

/// Stricter: names that not every storage can hold, or that would lie in a log.
fn check_name(gun: &str) -> Result<()> {
    if gun.len() <= MOST_GUN && !gun.chars().any(char::is_control) {
        return Ok(());
    }
    let detail = format!("a repository's name has at most {MOST_GUN} bytes and no control characters");
    Err(Refusal::InvalidParameters(Value::from(detail)))
}

fn invalid(invalid: Invalid) -> Refusal {
    Refusal::InvalidUpdate(invalid)
}

fn unknown(reason: String) -> Refusal {
    Refusal::Unknown { reason, detail: json!({}) }
}

fn no_storage(error: StorageError) -> Refusal {
    unknown(error.to_string())
}

fn no_keys(error: KeysError) -> Refusal {
    unknown(error.to_string())
}

fn damaged(gun: &str, name: &str, what: &Malformed) -> Refusal {
    unknown(format!("the {name} of {gun} as it is stored cannot be read: {what}"))
}

/// Why an expired timestamp stays as it is; clients learn which role expired.
fn cannot_renew(gun: &str, error: &Error) -> Refusal {
    let detail = match error {
        Error::Expired { role, expired, .. } => json!({"Role": role, "Expired": rules::go_date(expired)}),
        _ => Value::Object(serde_json::Map::new()),
    };
    Refusal::Unknown { reason: format!("the timestamp of {gun} cannot be renewed: {error}"), detail }
}
