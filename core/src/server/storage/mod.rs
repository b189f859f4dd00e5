//! Where repositories are kept. Nothing here knows what a file says.
//!
//! Every change of a repository makes a new timestamp. So a change is judged
//! against one timestamp, its [`Base`], and [`Storage::commit`] stores it only
//! if that is still the newest: whatever else happened meanwhile, nothing is
//! stored that was judged against something older.

use std::path::Path;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;

use crate::crypto::sha256;

mod memory;
mod postgres;
mod sqlite;

pub(crate) use memory::Memory;
pub(crate) use postgres::Postgres;
pub(crate) use sqlite::Sqlite;

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

/// Why something could not be kept or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StorageError {
    /// The newest timestamp is not the base any more: read and judge again.
    #[error("the repository changed meanwhile")]
    Conflict,
    /// This role has this version or a newer one already.
    #[error("version {version} of {role} is not newer than what is stored")]
    NotNewer {
        role: String,
        version: i64,
    },
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

#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// (role and SHA-256); removes the rest. Nothing if the newest timestamp is not the base.
    /// Gives how many files went.
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

    /// Name for people: `memory`, `sqlite`, `postgres`.
    fn kind(&self) -> &'static str;
}

/// Part of another server's data.
#[derive(Debug, Clone, Default)]
pub(crate) struct ImportBatch {
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
