//! Coming from Notary: its databases are read, never changed, and everything
//! in them is put into the storage of this server, with the same bytes, times
//! and IDs, so that clients notice nothing.
//!
//! It can be stopped and run again at any time: what is there already stays,
//! what came since comes along. Nothing that Notary says about a file is
//! believed. Hashes are computed anew, and at the end every repository is
//! verified as a client would.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

mod source;

use self::source::{ChangeRow, FileRow, KeyRow, Source};
use super::keys::LocalKeys;
use super::maintenance::{Parts, no_storage, run};
use super::notary_config::NotaryDatabase;
use super::storage::{
    self, Change, ChangeKind, ImportBatch, Imported, KeyRecord, Memory, Storage, StoredFile, Window,
};
use super::{KeysConfig, Passphrases, ServerConfig, StorageConfig};
use crate::crypto::sha256;
use crate::error::{Error, Result};
use crate::metadata::role;
use crate::trust::TrustedSet;

/// Files that are read at once. Each may have up to 100 MiB, most have a few KiB.
const FILES: i64 = 32;
/// Changes and keys that are read at once.
const ROWS: i64 = 1000;

/// What is taken over.
pub struct Takeover {
    from: NotaryDatabase,
    signer: Option<NotaryDatabase>,
    dry_run: bool,
}

/// What happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TakeoverReport {
    /// Nothing was stored.
    pub dry_run: bool,
    /// Repositories that Notary has.
    pub repositories: u64,
    /// How many of them have no problem.
    pub verified: u64,
    /// How many have the key of their snapshot with the publisher.
    pub client_snapshots: u64,
    /// Files that Notary has, and how many of them are new here.
    pub files: (u64, u64),
    /// The same of changes.
    pub changes: (u64, u64),
    /// The same of keys.
    pub keys: (u64, u64),
    /// Repositories that clients of Notary would refuse too, because something expired.
    pub expired: Vec<(String, Error)>,
    /// Everything else that is wrong: where, and what.
    pub problems: Vec<(String, String)>,
}

impl Takeover {
    /// From the database of a Notary server. Its configuration file, or the
    /// `db_url` in it: PostgreSQL, or MySQL in builds with the feature `mysql`.
    ///
    /// # Errors
    /// [`Error::InvalidConfiguration`] if it is neither.
    pub fn from(source: &str) -> Result<Self> {
        Ok(Self { from: NotaryDatabase::read(source)?, signer: None, dry_run: false })
    }

    /// And the keys in the database of its signer. The passphrases they are
    /// encrypted with must be among those of the new server.
    ///
    /// # Errors
    /// As [`Takeover::from`].
    pub fn with_signer(self, source: &str) -> Result<Self> {
        Ok(Self { signer: Some(NotaryDatabase::read(source)?), ..self })
    }

    /// Whether only to look what would come of it.
    #[must_use]
    pub fn dry_run(self, dry_run: bool) -> Self {
        Self { dry_run, ..self }
    }

    /// Takes over into the storage of this server, which must not be running
    /// unless it is read-only.
    ///
    /// # Errors
    /// A database cannot be read or written, or the storage was in use already.
    /// What is wrong with single repositories is in the report.
    pub fn run(&self, config: &ServerConfig) -> Result<TakeoverReport> {
        match (&config.keys, &self.signer) {
            (KeysConfig::Local(_), None) => Err(invalid(
                "without the keys in the signer's database this server could not go on: give that too, \
                 or keep the signer (trust_service.type \"remote\")",
            )),
            (KeysConfig::Remote(_), Some(_)) => {
                Err(invalid("the keys stay with the signer, which this server is told to use"))
            }
            (KeysConfig::Local(_), _) | (KeysConfig::Remote(_), None) => run(self.work(config)),
            #[cfg(feature = "pkcs11")]
            (KeysConfig::Pkcs11 { .. }, _) => Err(invalid("the keys cannot be moved into a token")),
        }
    }

    async fn work(&self, config: &ServerConfig) -> Result<TakeoverReport> {
        // The signer's after the server's: then it has all keys that are needed.
        let mut source = Source::open(&self.from).await?;
        let mut signer = match &self.signer {
            Some(signer) => Some(Source::open(signer).await?),
            None => None,
        };
        let problems = match (&mut signer, &config.keys) {
            (Some(signer), KeysConfig::Local(passphrases)) => try_keys(signer, passphrases).await?,
            _ => Vec::new(),
        };
        let mut work = Work::open(config, self.dry_run).await?;
        work.report.problems = problems;
        work.refuse_if_used(&mut source).await?;
        if let Some(signer) = &mut signer {
            work.keys(signer).await?;
        }
        for gun in work.deleted_since(&mut source).await? {
            work.forget(&gun).await?;
        }
        let repositories = source.repositories().await?;
        for gun in &repositories {
            work.repository(&mut source, gun).await?;
            if work.report.repositories % 1000 == 0 {
                log::info!("{} of {} repositories", work.report.repositories, repositories.len());
            }
        }
        work.changes(&mut source).await?;
        Ok(work.report)
    }
}

/// Which of the signer's keys the passphrases do not decrypt. If that is none
/// at all, the passphrases are wrong, and nothing must be encrypted with them.
async fn try_keys(signer: &mut Source, passphrases: &Passphrases) -> Result<Vec<(String, String)>> {
    let nowhere: Arc<dyn Storage> = Arc::new(Memory::default());
    let keys = LocalKeys::open(&nowhere, &StorageConfig::Memory, passphrases).await?;
    let (mut tried, mut problems) = (0, Vec::new());
    let mut after = 0;
    loop {
        let rows = signer.keys(after, ROWS).await?;
        let Some(last) = rows.last() else { break };
        after = last.id;
        for row in rows {
            tried += 1;
            let place = format!("key {} ({} of {})", row.key_id, row.role, row.gun);
            match key_record(row) {
                None => problems.push((place, "is damaged in Notary's database; left out".into())),
                Some(key) => {
                    let result = keys.try_key(&key).await;
                    problems.extend(result.err().map(|error| (place, error.to_string())));
                }
            }
        }
    }
    match problems.first() {
        Some((place, first)) if problems.len() == tried => {
            Err(invalid(&format!("none of the signer's keys can be decrypted: {place}: {first}")))
        }
        _ => Ok(problems),
    }
}

struct Work {
    parts: Parts,
    report: TakeoverReport,
}

impl Work {
    async fn open(config: &ServerConfig, dry_run: bool) -> Result<Self> {
        let (storage, storage_config): (Arc<dyn Storage>, _) = match dry_run {
            true => (Arc::new(Memory::default()), &StorageConfig::Memory),
            false => (storage::open_for_takeover(&config.storage).await?, &config.storage),
        };
        let keys = super::keys::open(&config.keys, &storage, storage_config).await?;
        let report = TakeoverReport { dry_run, ..TakeoverReport::default() };
        Ok(Self { parts: Parts::new(config, storage, keys), report })
    }

    fn storage(&self) -> &dyn Storage {
        &*self.parts.storage
    }

    fn problem(&mut self, place: impl Into<String>, what: impl fmt::Display) {
        self.report.problems.push((place.into(), what.to_string()));
    }

    async fn import(&self, batch: ImportBatch) -> Result<Imported> {
        self.storage().import(&batch).await.map_err(no_storage)
    }

    /// A storage with changes that Notary does not know was a server's already:
    /// versions and IDs would collide.
    async fn refuse_if_used(&self, source: &mut Source) -> Result<()> {
        let mut after = 0;
        loop {
            let window = Window::After(after);
            let ours = self.storage().changes(None, window, ROWS as usize).await.map_err(no_storage)?;
            let (Some(first), Some(last)) = (ours.first(), ours.last()) else { return Ok(()) };
            let theirs = source.changes(first.id - 1, ROWS).await?;
            // What is beyond these comes with the next.
            after = theirs.last().map_or(first.id, |row| row.id).min(last.id);
            let theirs: BTreeSet<_> = theirs.iter().filter_map(change).map(|change| key(&change)).collect();
            let mut judged = ours.iter().take_while(|change| change.id <= after);
            if let Some(own) = judged.find(|change| !theirs.contains(&key(change))) {
                return Err(invalid(&format!(
                    "the storage has changes of its own already: number {} of {} is not Notary's",
                    own.id, own.gun
                )));
            }
        }
    }

    async fn keys(&mut self, source: &mut Source) -> Result<()> {
        let mut after = 0;
        loop {
            let rows = source.keys(after, ROWS).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.id;
            self.report.keys.0 += rows.len() as u64;
            let keys = rows.into_iter().filter_map(key_record).collect();
            self.report.keys.1 += self.import(ImportBatch { keys, ..ImportBatch::default() }).await?.keys;
        }
    }

    /// Repositories that were deleted in Notary since the last run. They may be
    /// there again, with other content.
    async fn deleted_since(&self, source: &mut Source) -> Result<BTreeSet<String>> {
        let newest = self.storage().changes(None, Window::Newest, 1).await.map_err(no_storage)?;
        let mut after = newest.last().map_or(0, |change| change.id);
        let mut deleted = BTreeSet::new();
        loop {
            let rows = source.changes(after, ROWS).await?;
            let Some(last) = rows.last() else { return Ok(deleted) };
            after = last.id;
            deleted.extend(rows.into_iter().filter(|row| row.category == DELETION).map(|row| row.gun));
        }
    }

    async fn forget(&self, gun: &str) -> Result<()> {
        let batch = ImportBatch { forget: Some(gun.to_owned()), ..ImportBatch::default() };
        self.import(batch).await.map(drop)
    }

    async fn repository(&mut self, source: &mut Source, gun: &str) -> Result<()> {
        let before = self.report.problems.len();
        self.report.repositories += 1;
        let mut after = 0;
        loop {
            let rows = source.files(gun, after, FILES).await?;
            let Some(last) = rows.last() else { break };
            after = last.id;
            let mut batch = ImportBatch::default();
            for row in rows.into_iter().filter(|row| row.gun == gun) {
                self.report.files.0 += 1;
                let (role, version) = (row.role.clone(), row.version);
                match stored_file(row) {
                    Some(file) => batch.files.push((gun.to_owned(), file)),
                    None => self.problem(
                        gun,
                        format!("version {version} of {role} is damaged in Notary's database; left out"),
                    ),
                }
            }
            let files = batch.files.clone();
            self.report.files.1 += self.import(batch).await?.files;
            for (_, file) in files {
                self.compare(gun, &file).await?;
            }
        }
        self.verify(gun).await?;
        if self.report.dry_run {
            self.forget(gun).await?;
        }
        self.report.verified += u64::from(self.report.problems.len() == before);
        Ok(())
    }

    /// What is here now are the same bytes, by version and by hash.
    async fn compare(&mut self, gun: &str, file: &StoredFile) -> Result<()> {
        let storage = self.storage();
        let by_version = storage.by_version(gun, &file.role, file.version).await.map_err(no_storage)?;
        let by_hash = storage.by_sha256(gun, &file.role, &file.sha256).await.map_err(no_storage)?;
        if [by_version, by_hash].iter().flatten().filter(|found| found.bytes == file.bytes).count() != 2 {
            let StoredFile { role, version, .. } = file;
            self.problem(gun, format!("version {version} of {role} is another one here than in Notary"));
        }
        Ok(())
    }

    /// As a client; and that this server can go on from here.
    async fn verify(&mut self, gun: &str) -> Result<()> {
        let mut trusted = self.parts.service(SystemTime::now()).trusted(gun).await;
        if let Err(Error::Expired { role, .. }) = &trusted {
            // The timestamp is Notary's to renew until it is this server's.
            if role != role::TIMESTAMP {
                self.report.expired.extend(trusted.err().map(|error| (gun.to_owned(), error)));
            }
            let timestamp = self.storage().timestamp(gun).await.map_err(no_storage)?;
            let then = timestamp.map_or(SystemTime::UNIX_EPOCH, |file| file.stored);
            trusted = self.parts.service(then).trusted(gun).await;
        }
        match trusted {
            Ok(set) => self.check_keys(gun, &set).await,
            // Expired even when it was stored: noted above.
            Err(Error::Expired { .. }) => {}
            Err(error) => self.problem(gun, error),
        }
        Ok(())
    }

    async fn check_keys(&mut self, gun: &str, set: &TrustedSet) {
        for name in [role::TIMESTAMP, role::SNAPSHOT] {
            let Some(keys) = set.root().root().role(name) else { continue };
            match self.parts.keys.held(gun, name, keys).await {
                Ok(Some(_)) => {}
                Ok(None) if name == role::SNAPSHOT => self.report.client_snapshots += 1,
                Ok(None) => self.problem(gun, "the key of its timestamp is not here"),
                Err(error) => self.problem(gun, format!("the key of its {name}: {error}")),
            }
        }
    }

    async fn changes(&mut self, source: &mut Source) -> Result<()> {
        let mut after = 0;
        loop {
            let rows = source.changes(after, ROWS).await?;
            let (from, Some(last)) = (after, rows.last()) else { return Ok(()) };
            after = last.id;
            self.report.changes.0 += rows.len() as u64;
            let mut batch = ImportBatch::default();
            for row in rows {
                match change(&row) {
                    Some(change) => batch.changes.push(change),
                    None => {
                        let what = format!("change {} is damaged in Notary's database; left out", row.id);
                        self.problem(row.gun, what);
                    }
                }
            }
            let theirs = batch.changes.clone();
            self.report.changes.1 += self.import(batch).await?.changes;
            if self.report.dry_run {
                continue;
            }
            let count = theirs.len();
            let ours = self.storage().changes(None, Window::After(from), count).await.map_err(no_storage)?;
            if ours != theirs {
                self.problem("change feed", format!("differs from Notary's after number {from}"));
            }
        }
    }
}

/// `category` in `changefeed`.
const DELETION: &str = "deletion";

/// What identifies a change, besides its time, which databases round.
fn key(change: &Change) -> (i64, String, Option<(i64, [u8; 32])>) {
    let update = match change.kind {
        ChangeKind::Update { version, sha256 } => Some((version, sha256)),
        ChangeKind::Deletion => None,
    };
    (change.id, change.gun.clone(), update)
}

fn change(row: &ChangeRow) -> Option<Change> {
    let kind = match row.category.as_str() {
        DELETION => ChangeKind::Deletion,
        "update" => ChangeKind::Update { version: row.version, sha256: digest(row.sha256.as_deref()?)? },
        _ => return None,
    };
    Some(Change { id: row.id, created: row.created, gun: row.gun.clone(), kind })
}

/// `None` if the bytes are not those that were stored once.
fn stored_file(row: FileRow) -> Option<StoredFile> {
    let sha256 = sha256(&row.data);
    // The first databases had no hashes.
    if row.sha256.as_ref().is_some_and(|text| digest(text) != Some(sha256)) {
        return None;
    }
    let FileRow { role, version, created: stored, data, .. } = row;
    Some(StoredFile { role, version, sha256, stored, bytes: Bytes::from(data) })
}

fn key_record(row: KeyRow) -> Option<KeyRecord> {
    Some(KeyRecord {
        id: row.key_id,
        gun: row.gun,
        role: row.role,
        algorithm: row.algorithm,
        public: row.public,
        secret: String::from_utf8(row.private).ok()?,
        alias: row.passphrase_alias,
        used: row.used,
    })
}

/// Hex; databases pad it with spaces.
fn digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let decoded = base16ct::lower::decode(text.trim_end(), &mut digest).ok()?;
    (decoded.len() == 32).then_some(digest)
}

fn invalid(reason: &str) -> Error {
    Error::InvalidConfiguration { what: "takeover".into(), reason: reason.into() }
}

impl TakeoverReport {
    /// True if nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

/// For people: a table, then what expired, then what is wrong.
impl fmt::Display for TakeoverReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.dry_run {
            writeln!(f, "dry run: nothing was stored")?;
        }
        for (what, (all, new)) in [("files", self.files), ("changes", self.changes), ("keys", self.keys)] {
            writeln!(f, "{what:<13}{all:>9}, new here {new}")?;
        }
        let (repositories, verified) = (self.repositories, self.verified);
        writeln!(f, "repositories {repositories:>9}, without problems {verified}")?;
        if self.client_snapshots > 0 {
            writeln!(f, "snapshot keys with the publisher: {}", self.client_snapshots)?;
        }
        for (gun, error) in &self.expired {
            writeln!(f, "expired: {gun}: {error}")?;
        }
        for (place, what) in &self.problems {
            writeln!(f, "PROBLEM: {place}: {what}")?;
        }
        Ok(())
    }
}
