//! Where repositories are kept. Nothing here knows what a file says.
//!
//! Every change of a repository makes a new timestamp. So a change is judged
//! against one timestamp, its [`Base`], and [`Storage::commit`] stores it only
//! if that is still the newest: whatever else happened meanwhile, nothing is
//! stored that was judged against something older.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;

use super::StorageConfig;
use crate::crypto::sha256;

mod memory;
mod postgres;
mod sqlite;
#[cfg(test)]
pub(crate) mod test_database;
#[cfg(test)]
mod tests;

pub(crate) use memory::Memory;
pub(crate) use postgres::Postgres;
pub(crate) use sqlite::Sqlite;

/// Opens the storage that is configured. Read-only changes nothing, not even
/// an old schema.
pub(crate) async fn open(config: &StorageConfig, read_only: bool) -> crate::Result<Arc<dyn Storage>> {
    Ok(match config {
        StorageConfig::Memory => Arc::new(Memory::default()),
        StorageConfig::Sqlite { path } => Arc::new(Sqlite::open(path, read_only)?),
        StorageConfig::Postgres { url, max_connections } => {
            Arc::new(Postgres::open(url, *max_connections, read_only).await?)
        }
    })
}

/// [`open`], but also a database whose Notary repositories were not taken over yet.
pub(crate) async fn open_for_takeover(config: &StorageConfig) -> crate::Result<Arc<dyn Storage>> {
    match config {
        StorageConfig::Postgres { url, max_connections } => {
            Ok(Arc::new(Postgres::open_beside_notary(url, *max_connections).await?))
        }
        other => open(other, false).await,
    }
}

/// One version of the file of one role, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredFile {
    pub(crate) role: String,
    pub(crate) version: i64,
    pub(crate) sha256: [u8; 32],
    /// When it was stored.
    pub(crate) stored: SystemTime,
    pub(crate) bytes: Bytes,
}

/// A file to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewFile {
    pub(crate) role: String,
    pub(crate) version: i64,
    pub(crate) sha256: [u8; 32],
    pub(crate) bytes: Bytes,
}

impl NewFile {
    pub(crate) fn new(role: &str, version: i64, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { role: role.to_owned(), version, sha256: sha256(&bytes), bytes }
    }
}

/// The timestamp that a change was judged against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) version: i64,
    pub(crate) sha256: [u8; 32],
}

/// One change of one repository: what happens to it, all or nothing.
#[derive(Debug, Clone)]
pub(crate) struct Commit<'a> {
    pub(crate) gun: &'a str,
    /// The newest timestamp when the change was judged; `None` if there was none.
    pub(crate) base: Option<Base>,
    /// One of them is the new timestamp. In no order.
    pub(crate) files: &'a [NewFile],
    /// Keys that signed for the first time with this change.
    pub(crate) used_keys: &'a [String],
}

impl Commit<'_> {
    fn timestamp(&self) -> Result<&NewFile> {
        let timestamp = self.files.iter().find(|file| file.role == TIMESTAMP);
        timestamp.ok_or_else(|| StorageError::Unavailable("a change without a timestamp".to_owned()))
    }

    /// The checks of [`Storage::commit`], given the newest timestamp and the
    /// highest version of each role.
    fn check(
        &self,
        timestamp: Option<Base>,
        mut highest: impl FnMut(&str) -> Result<Option<i64>>,
    ) -> Result<()> {
        if timestamp != self.base {
            return Err(StorageError::Conflict);
        }
        for (i, file) in self.files.iter().enumerate() {
            let twice =
                self.files.iter().skip(i + 1).any(|f| f.role == file.role && f.version == file.version);
            if twice || highest(&file.role)?.is_some_and(|version| version >= file.version) {
                return Err(StorageError::NotNewer { role: file.role.clone(), version: file.version });
            }
        }
        Ok(())
    }
}

/// Why something could not be kept or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StorageError {
    /// The newest timestamp is not the base any more: read and judge again.
    #[error("the repository changed meanwhile")]
    Conflict,
    /// This role has this version or a newer one already.
    #[error("version {version} of {role} is not newer than what is stored")]
    NotNewer { role: String, version: i64 },
    /// No answer: out of reach, full, damaged. Nothing was stored, or it is
    /// unknown whether it was.
    #[error("storage: {0}")]
    Unavailable(String),
}

pub(crate) type Result<T, E = StorageError> = std::result::Result<T, E>;

/// An entry of the change feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Grows; never used again.
    pub(crate) id: i64,
    pub(crate) created: SystemTime,
    pub(crate) gun: String,
    pub(crate) kind: ChangeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    /// A new timestamp with this version and SHA-256.
    Update {
        version: i64,
        sha256: [u8; 32],
    },
    Deletion,
}

/// Which changes are asked for; they always come oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Window {
    /// The first after this ID; 0 is before all.
    After(i64),
    /// The last before this ID.
    Before(i64),
    /// The newest.
    Newest,
}

/// A private key of the server, encrypted. Kept also where its repository was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyRecord {
    /// Of the public key.
    pub(crate) id: String,
    pub(crate) gun: String,
    /// `snapshot` or `timestamp`.
    pub(crate) role: String,
    /// As metadata names it: `ed25519` or `ecdsa`.
    pub(crate) algorithm: String,
    pub(crate) public: Vec<u8>,
    /// Compact JWE.
    pub(crate) secret: String,
    /// Which passphrase it is encrypted with.
    pub(crate) alias: String,
    /// `None` until it has signed something that was stored.
    pub(crate) used: Option<SystemTime>,
}

/// What a storage must do. All methods may be called from many tasks at once;
/// each is one transaction.
#[async_trait]
pub(crate) trait Storage: Send + Sync {
    /// The timestamp with the highest version.
    async fn timestamp(&self, gun: &str) -> Result<Option<StoredFile>>;

    async fn by_sha256(&self, gun: &str, role: &str, sha256: &[u8; 32]) -> Result<Option<StoredFile>>;

    async fn by_version(&self, gun: &str, role: &str, version: i64) -> Result<Option<StoredFile>>;

    /// Stores a change and its entry in the feed, durably. The checks, in this
    /// order and in the transaction: the newest timestamp is the base
    /// ([`StorageError::Conflict`]); each file is newer than every stored
    /// version of its role ([`StorageError::NotNewer`]).
    async fn commit(&self, commit: Commit<'_>) -> Result<()>;

    /// Removes all files of exactly this repository and notes it in the feed if
    /// there were any. Keys stay.
    async fn delete(&self, gun: &str) -> Result<bool>;

    /// At most `count` changes, of one repository or of all.
    async fn changes(&self, gun: Option<&str>, window: Window, count: usize) -> Result<Vec<Change>>;

    /// At most `count` repositories that have files, in ascending byte order
    /// after this one (empty: from the first on).
    async fn repositories(&self, after: &str, count: usize) -> Result<Vec<String>>;

    /// Of each role, keeps the newest `keep` versions and those that are listed
    /// (role and SHA-256), of the root all; removes the rest. Nothing if the
    /// newest timestamp is not the base. Gives how many files went.
    async fn prune(&self, gun: &str, base: Base, keep: usize, live: &[(String, [u8; 32])]) -> Result<u64>;

    /// Keeps a new key, unless a key of the same repository, role and algorithm
    /// has not been used yet. Gives the one that is kept, for every server the same.
    async fn add_key(&self, key: &KeyRecord) -> Result<KeyRecord>;

    /// The oldest key of this repository, role and algorithm that has not been used.
    async fn unused_key(&self, gun: &str, role: &str, algorithm: &str) -> Result<Option<KeyRecord>>;

    async fn key(&self, id: &str) -> Result<Option<KeyRecord>>;

    /// Keys after this ID (empty: from the first on) whose alias is not `alias`, in ascending order.
    async fn keys_not_under(&self, alias: &str, after: &str, count: usize) -> Result<Vec<KeyRecord>>;

    /// Replaces the encrypted form of a key, if it still is `old`.
    async fn rewrap_key(&self, id: &str, old: &str, secret: &str, alias: &str) -> Result<bool>;

    /// Keeps what belongs to a passphrase (its salt), unless it is there
    /// already. Gives what is kept, for every server the same.
    async fn passphrase_parameters(&self, alias: &str, proposed: &str) -> Result<String>;

    /// Takes over what another server stored: files and changes with their
    /// times, keys as they are encrypted. Leaves alone what is there already,
    /// so that it can be run again. See `takeover`.
    async fn import(&self, batch: &ImportBatch) -> Result<Imported>;

    /// Writes a consistent copy while everything goes on. Only SQLite has one;
    /// databases have their own means.
    async fn backup(&self, to: &Path) -> Result<()>;

    /// Whether reading and writing would work now.
    async fn check(&self) -> Result<()>;
}

/// Part of another server's data.
#[derive(Debug, Clone, Default)]
pub(crate) struct ImportBatch {
    /// A repository whose files go first, without a word in the feed: the other
    /// server deleted it.
    pub(crate) forget: Option<String>,
    pub(crate) files: Vec<(String, StoredFile)>,
    /// With the IDs that they had; later changes get higher ones.
    pub(crate) changes: Vec<Change>,
    pub(crate) keys: Vec<KeyRecord>,
}

/// How many of each were new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Imported {
    pub(crate) files: u64,
    pub(crate) changes: u64,
    pub(crate) keys: u64,
}

const TIMESTAMP: &str = "timestamp";

/// What [`Storage::prune`] keeps. To be asked about every file of a
/// repository, role by role, the highest version first.
struct Keeper<'a> {
    keep: usize,
    live: &'a [(String, [u8; 32])],
    role: String,
    seen: usize,
}

impl<'a> Keeper<'a> {
    fn new(keep: usize, live: &'a [(String, [u8; 32])]) -> Self {
        Self { keep, live, role: String::new(), seen: 0 }
    }

    fn keeps(&mut self, role: &str, sha256: &[u8; 32]) -> bool {
        if self.role != role {
            role.clone_into(&mut self.role);
            self.seen = 0;
        }
        self.seen += 1;
        // Clients that were away for long go from their root to the newest, version by version.
        role == "root" || self.seen <= self.keep || self.live.iter().any(|(r, s)| r == role && s == sha256)
    }
}

/// Nanoseconds since 1970, as databases keep a time; from 1677 to 2262.
fn to_nanos(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}

fn from_nanos(nanos: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    let time = if nanos < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

impl ChangeKind {
    /// As databases keep it: version and SHA-256 of the timestamp, or neither.
    fn columns(&self) -> (Option<i64>, Option<[u8; 32]>) {
        match *self {
            Self::Update { version, sha256 } => (Some(version), Some(sha256)),
            Self::Deletion => (None, None),
        }
    }

    fn from_columns(version: Option<i64>, sha256: Option<[u8; 32]>) -> Self {
        match (version, sha256) {
            (Some(version), Some(sha256)) => Self::Update { version, sha256 },
            _ => Self::Deletion,
        }
    }
}

/// `LIMIT` of a statement.
fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
