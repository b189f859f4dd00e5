//! In one SQLite file.
//!
//! Reads go straight to a few connections of their own: they never wait for a
//! write. Writes go to one thread, which commits together what is waiting.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use self::writer::Writer;
use super::{
    Base, Change, ChangeKind, Commit, ImportBatch, Imported, Keeper, KeyRecord, Result, Storage,
    StorageError, StoredFile, TIMESTAMP, Window, from_nanos, limit, to_nanos,
};

mod backup;
mod file;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) struct Sqlite {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    /// `None`: opened to read only.
    writer: Option<Writer>,
}

impl Sqlite {
    /// Opens a file; if it may write, makes it and brings its schema up to date.
    pub(crate) fn open(path: &Path, read_only: bool) -> crate::Result<Self> {
        // Absolute: to SQLite, `:memory:` and the empty name are no files.
        let path = std::path::absolute(path).map_err(|error| file::refused(path, &error))?;
        let writer = match read_only {
            true => None,
            false => {
                Some(Writer::start(file::writable(&path)?).map_err(|error| file::refused(&path, &error))?)
            }
        };
        let reader = file::reader(&path)?;
        Ok(Self { path, readers: Mutex::new(vec![reader]), writer })
    }

    /// Reads in one statement, which sees everything that was acknowledged.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let idle = self.readers().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => file::connect_reader(&self.path)?,
        };
        // One that failed is closed. No more read at once than there are threads.
        let found = work(&connection)?;
        self.readers().push(connection);
        Ok(found)
    }

    fn readers(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match &self.writer {
            Some(writer) => writer.run(work).await,
            None => Err(StorageError::Unavailable("the database was opened to read only".to_owned())),
        }
    }
}

impl Drop for Sqlite {
    /// The writer closes its connection last and tidies up the file.
    fn drop(&mut self) {
        self.readers().clear();
    }
}

#[async_trait]
impl Storage for Sqlite {
    async fn timestamp(&self, gun: &str) -> Result<Option<StoredFile>> {
        self.read(|connection| {
            let mut newest = connection.prepare_cached(
                "SELECT role, version, sha256, stored, bytes FROM file
                 WHERE gun = ?1 AND role = ?2 ORDER BY version DESC LIMIT 1",
            )?;
            newest.query_row(params![gun, TIMESTAMP], stored_file).optional()
        })
    }

    async fn by_sha256(&self, gun: &str, role: &str, sha256: &[u8; 32]) -> Result<Option<StoredFile>> {
        self.read(|connection| {
            let mut file = connection.prepare_cached(
                "SELECT role, version, sha256, stored, bytes FROM file
                 WHERE gun = ?1 AND sha256 = ?2 AND role = ?3 LIMIT 1",
            )?;
            file.query_row(params![gun, sha256, role], stored_file).optional()
        })
    }

    async fn by_version(&self, gun: &str, role: &str, version: i64) -> Result<Option<StoredFile>> {
        self.read(|connection| {
            let mut file = connection.prepare_cached(
                "SELECT role, version, sha256, stored, bytes FROM file
                 WHERE gun = ?1 AND role = ?2 AND version = ?3",
            )?;
            file.query_row(params![gun, role, version], stored_file).optional()
        })
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<()> {
        let (gun, base) = (commit.gun.to_owned(), commit.base);
        let (files, used_keys) = (commit.files.to_vec(), commit.used_keys.to_vec());
        self.write(move |connection| {
            let commit = Commit { gun: &gun, base, files: &files, used_keys: &used_keys };
            let timestamp = commit.timestamp()?;
            commit.check(newest_timestamp(connection, &gun)?, |role| {
                let mut highest = connection
                    .prepare_cached("SELECT max(version) FROM file WHERE gun = ?1 AND role = ?2")?;
                Ok(highest.query_row(params![gun, role], |row| row.get(0))?)
            })?;

            let now = SystemTime::now();
            let mut insert = connection.prepare_cached(INSERT_FILE)?;
            for file in &files {
                insert.execute(params![
                    gun,
                    file.role,
                    file.version,
                    file.sha256,
                    to_nanos(now),
                    &*file.bytes
                ])?;
            }
            let mut used =
                connection.prepare_cached("UPDATE key SET used = ?2 WHERE id = ?1 AND used IS NULL")?;
            for id in &used_keys {
                used.execute(params![id, to_nanos(now)])?;
            }
            let kind = ChangeKind::Update { version: timestamp.version, sha256: timestamp.sha256 };
            note(connection, &gun, now, kind)
        })
        .await
    }

    async fn delete(&self, gun: &str) -> Result<bool> {
        let gun = gun.to_owned();
        self.write(move |connection| {
            let gone = connection.prepare_cached("DELETE FROM file WHERE gun = ?1")?.execute([&gun])?;
            if gone > 0 {
                note(connection, &gun, SystemTime::now(), ChangeKind::Deletion)?;
            }
            Ok(gone > 0)
        })
        .await
    }

    async fn changes(&self, gun: Option<&str>, window: Window, count: usize) -> Result<Vec<Change>> {
        let (after, before, backwards) = match window {
            Window::After(id) => (id, i64::MAX, false),
            Window::Before(id) => (i64::MIN, id, true),
            Window::Newest => (i64::MIN, i64::MAX, true),
        };
        let statement = match (gun, backwards) {
            (None, false) => {
                "SELECT id, created, gun, version, sha256 FROM change
                 WHERE id > ?1 AND id < ?2 AND ?3 IS NULL ORDER BY id LIMIT ?4"
            }
            (None, true) => {
                "SELECT id, created, gun, version, sha256 FROM change
                 WHERE id > ?1 AND id < ?2 AND ?3 IS NULL ORDER BY id DESC LIMIT ?4"
            }
            (Some(_), false) => {
                "SELECT id, created, gun, version, sha256 FROM change
                 WHERE id > ?1 AND id < ?2 AND gun = ?3 ORDER BY id LIMIT ?4"
            }
            (Some(_), true) => {
                "SELECT id, created, gun, version, sha256 FROM change
                 WHERE id > ?1 AND id < ?2 AND gun = ?3 ORDER BY id DESC LIMIT ?4"
            }
        };
        let mut changes: Vec<Change> = self.read(|connection| {
            let mut changes = connection.prepare_cached(statement)?;
            changes.query_map(params![after, before, gun, limit(count)], change)?.collect()
        })?;
        if backwards {
            changes.reverse();
        }
        Ok(changes)
    }

    async fn repositories(&self, after: &str, count: usize) -> Result<Vec<String>> {
        self.read(|connection| {
            // From name to name through the index, however many files each has.
            let mut guns = connection.prepare_cached(
                "WITH RECURSIVE repository(gun) AS (
                     SELECT min(gun) FROM file WHERE gun > ?1
                     UNION ALL
                     SELECT (SELECT min(gun) FROM file WHERE gun > repository.gun)
                     FROM repository WHERE gun IS NOT NULL
                 )
                 SELECT gun FROM repository WHERE gun IS NOT NULL LIMIT ?2",
            )?;
            guns.query_map(params![after, limit(count)], |row| row.get(0))?.collect()
        })
    }

    async fn prune(&self, gun: &str, base: Base, keep: usize, live: &[(String, [u8; 32])]) -> Result<u64> {
        let (gun, live) = (gun.to_owned(), live.to_vec());
        self.write(move |connection| {
            if newest_timestamp(connection, &gun)? != Some(base) {
                return Ok(0);
            }
            let mut files = connection.prepare_cached(
                "SELECT rowid, role, sha256 FROM file WHERE gun = ?1 ORDER BY role DESC, version DESC",
            )?;
            let files = files.query_map([&gun], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let files: Vec<(i64, String, [u8; 32])> = files.collect::<rusqlite::Result<_>>()?;

            let mut keeper = Keeper::new(keep, &live);
            let mut remove = connection.prepare_cached("DELETE FROM file WHERE rowid = ?1")?;
            let mut gone = 0;
            for (row, _, _) in files.iter().filter(|(_, role, sha256)| !keeper.keeps(role, sha256)) {
                gone += remove.execute([row])? as u64;
            }
            Ok(gone)
        })
        .await
    }

    async fn add_key(&self, key: &KeyRecord) -> Result<KeyRecord> {
        let key = key.clone();
        self.write(move |connection| {
            if let Some(kept) = unused_key(connection, &key.gun, &key.role, &key.algorithm)? {
                return Ok(kept);
            }
            match insert_key(connection, &key)? {
                true => Ok(key),
                false => Err(StorageError::Conflict),
            }
        })
        .await
    }

    async fn unused_key(&self, gun: &str, role: &str, algorithm: &str) -> Result<Option<KeyRecord>> {
        self.read(|connection| unused_key(connection, gun, role, algorithm))
    }

    async fn key(&self, id: &str) -> Result<Option<KeyRecord>> {
        self.read(|connection| {
            let mut key = connection.prepare_cached(
                "SELECT id, gun, role, algorithm, public, secret, alias, used FROM key WHERE id = ?1",
            )?;
            key.query_row([id], key_record).optional()
        })
    }

    async fn keys_not_under(&self, alias: &str, after: &str, count: usize) -> Result<Vec<KeyRecord>> {
        self.read(|connection| {
            let mut keys = connection.prepare_cached(
                "SELECT id, gun, role, algorithm, public, secret, alias, used FROM key
                 WHERE id > ?1 AND alias <> ?2 ORDER BY id LIMIT ?3",
            )?;
            keys.query_map(params![after, alias, limit(count)], key_record)?.collect()
        })
    }

    async fn rewrap_key(&self, id: &str, old: &str, secret: &str, alias: &str) -> Result<bool> {
        let [id, old, secret, alias] = [id, old, secret, alias].map(str::to_owned);
        self.write(move |connection| {
            let mut rewrap = connection
                .prepare_cached("UPDATE key SET secret = ?3, alias = ?4 WHERE id = ?1 AND secret = ?2")?;
            Ok(rewrap.execute([id, old, secret, alias])? > 0)
        })
        .await
    }

    async fn passphrase_parameters(&self, alias: &str, proposed: &str) -> Result<String> {
        let known = self.read(|connection| passphrase_parameters(connection, alias))?;
        if let Some(known) = known {
            return Ok(known);
        }
        let [alias, proposed] = [alias, proposed].map(str::to_owned);
        self.write(move |connection| {
            let mut insert = connection
                .prepare_cached("INSERT OR IGNORE INTO passphrase (alias, parameters) VALUES (?1, ?2)")?;
            insert.execute([&alias, &proposed])?;
            Ok(passphrase_parameters(connection, &alias)?.unwrap_or(proposed))
        })
        .await
    }

    async fn import(&self, batch: &ImportBatch) -> Result<Imported> {
        let batch = batch.clone();
        self.write(move |connection| {
            let mut imported = Imported::default();
            if let Some(gun) = &batch.forget {
                connection.prepare_cached("DELETE FROM file WHERE gun = ?1")?.execute([gun])?;
            }
            let mut insert = connection.prepare_cached(INSERT_FILE)?;
            for (gun, file) in &batch.files {
                let stored = to_nanos(file.stored);
                imported.files += insert.execute(params![
                    gun,
                    file.role,
                    file.version,
                    file.sha256,
                    stored,
                    &*file.bytes
                ])? as u64;
            }
            for change in &batch.changes {
                imported.changes += u64::from(import_change(connection, change)?);
            }
            for key in &batch.keys {
                imported.keys += u64::from(insert_key(connection, key)?);
            }
            Ok(imported)
        })
        .await
    }

    async fn backup(&self, to: &Path) -> Result<()> {
        let (from, to) = (self.path.clone(), to.to_owned());
        let copied = tokio::task::spawn_blocking(move || backup::write(&from, &to)).await;
        copied.unwrap_or_else(|error| Err(StorageError::Unavailable(error.to_string())))
    }

    async fn check(&self) -> Result<()> {
        self.read(|connection| {
            connection.query_row("SELECT 1 FROM file LIMIT 1", [], |_| Ok(())).optional()
        })?;
        if self.writer.is_some() {
            // Writes what is there already.
            self.write(|connection| Ok(file::mark(connection)?)).await?;
        }
        Ok(())
    }
}

/// Nothing if this version of the role is there already.
const INSERT_FILE: &str = "INSERT INTO file (gun, role, version, sha256, stored, bytes)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (gun, role, version) DO NOTHING";

fn newest_timestamp(connection: &Connection, gun: &str) -> Result<Option<Base>> {
    let mut newest = connection.prepare_cached(
        "SELECT version, sha256 FROM file WHERE gun = ?1 AND role = ?2 ORDER BY version DESC LIMIT 1",
    )?;
    let base = newest.query_row(params![gun, TIMESTAMP], |row| {
        Ok(Base { version: row.get("version")?, sha256: row.get("sha256")? })
    });
    Ok(base.optional()?)
}

/// A new entry of the feed.
fn note(connection: &Connection, gun: &str, created: SystemTime, kind: ChangeKind) -> Result<()> {
    insert_change(connection, None, gun, created, kind).map(drop)
}

fn insert_change(
    connection: &Connection,
    id: Option<i64>,
    gun: &str,
    created: SystemTime,
    kind: ChangeKind,
) -> Result<bool> {
    let (version, sha256) = kind.columns();
    let mut insert = connection.prepare_cached(
        "INSERT INTO change (id, created, gun, version, sha256) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO NOTHING",
    )?;
    Ok(insert.execute(params![id, to_nanos(created), gun, version, sha256])? > 0)
}

/// Under its own ID, unless that is taken: then as a new entry.
fn import_change(connection: &Connection, change: &Change) -> Result<bool> {
    if insert_change(connection, Some(change.id), &change.gun, change.created, change.kind)? {
        return Ok(true);
    }
    let (version, sha256) = change.kind.columns();
    let mut same = connection.prepare_cached(
        "SELECT 1 FROM change WHERE gun = ?1 AND created = ?2 AND version IS ?3 AND sha256 IS ?4",
    )?;
    if same.exists(params![change.gun, to_nanos(change.created), version, sha256])? {
        return Ok(false);
    }
    insert_change(connection, None, &change.gun, change.created, change.kind)
}

fn unused_key(
    connection: &Connection,
    gun: &str,
    role: &str,
    algorithm: &str,
) -> rusqlite::Result<Option<KeyRecord>> {
    let mut oldest = connection.prepare_cached(
        "SELECT id, gun, role, algorithm, public, secret, alias, used FROM key
         WHERE gun = ?1 AND role = ?2 AND algorithm = ?3 AND used IS NULL ORDER BY number LIMIT 1",
    )?;
    oldest.query_row([gun, role, algorithm], key_record).optional()
}

/// Not if its ID is there already.
fn insert_key(connection: &Connection, key: &KeyRecord) -> Result<bool> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO key (id, gun, role, algorithm, public, secret, alias, used)
         VALUES (:id, :gun, :role, :algorithm, :public, :secret, :alias, :used) ON CONFLICT (id) DO NOTHING",
    )?;
    let inserted = insert.execute(named_params! {
        ":id": key.id,
        ":gun": key.gun,
        ":role": key.role,
        ":algorithm": key.algorithm,
        ":public": key.public,
        ":secret": key.secret,
        ":alias": key.alias,
        ":used": key.used.map(to_nanos),
    })?;
    Ok(inserted > 0)
}

fn passphrase_parameters(connection: &Connection, alias: &str) -> rusqlite::Result<Option<String>> {
    let mut known = connection.prepare_cached("SELECT parameters FROM passphrase WHERE alias = ?1")?;
    known.query_row([alias], |row| row.get(0)).optional()
}

fn stored_file(row: &Row<'_>) -> rusqlite::Result<StoredFile> {
    Ok(StoredFile {
        role: row.get("role")?,
        version: row.get("version")?,
        sha256: row.get("sha256")?,
        stored: from_nanos(row.get("stored")?),
        bytes: Bytes::copy_from_slice(row.get_ref("bytes")?.as_blob()?),
    })
}

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    Ok(Change {
        id: row.get("id")?,
        created: from_nanos(row.get("created")?),
        gun: row.get("gun")?,
        kind: ChangeKind::from_columns(row.get("version")?, row.get("sha256")?),
    })
}

fn key_record(row: &Row<'_>) -> rusqlite::Result<KeyRecord> {
    Ok(KeyRecord {
        id: row.get("id")?,
        gun: row.get("gun")?,
        role: row.get("role")?,
        algorithm: row.get("algorithm")?,
        public: row.get("public")?,
        secret: row.get("secret")?,
        alias: row.get("alias")?,
        used: row.get::<_, Option<i64>>("used")?.map(from_nanos),
    })
}

impl From<rusqlite::Error> for StorageError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}
