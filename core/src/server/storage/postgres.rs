//! In PostgreSQL, for any number of servers at once.
//!
//! Advisory locks keep writers apart; both are taken at the start of a
//! transaction and held until its end, the general one first:
//! - [`WRITING`], shared by all writers. A reader of the change feed takes it
//!   alone for its one statement: so nobody is between taking the ID of a change
//!   and committing it, and no change with a lower ID appears later. Writers
//!   of different repositories do not wait for each other.
//! - one of the repository: its writers come one after the other.

use std::path::Path;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{AssertSqlSafe, PgConnection, Row as _, Transaction};

use super::{
    Base, Change, ChangeKind, Commit, ImportBatch, Imported, Keeper, KeyRecord, Result, Storage,
    StorageError, StoredFile, TIMESTAMP, Window, from_nanos, limit, to_nanos,
};
use crate::crypto::sha256;

mod connect;
mod schema;
#[cfg(test)]
mod tests;

/// Our advisory locks that are not of one repository have this class ("tagt").
const LOCK_CLASS: i32 = 0x7461_6774;
const MIGRATING: i32 = 1;
const WRITING: i32 = 2;

type Tx = Transaction<'static, sqlx::Postgres>;

pub(crate) struct Postgres {
    pool: PgPool,
    read_only: bool,
    /// For readers of the change feed.
    feed: tokio::sync::Mutex<()>,
}

impl Postgres {
    /// Connects, and brings the schema up to date if it may write. Refuses a
    /// Notary server's database of which nothing was taken over yet.
    pub(crate) async fn open(url: &str, max_connections: u32, read_only: bool) -> crate::Result<Self> {
        Self::connect(url, max_connections, read_only, false).await
    }

    /// For taking over what is in the same database.
    pub(crate) async fn open_beside_notary(url: &str, max_connections: u32) -> crate::Result<Self> {
        Self::connect(url, max_connections, false, true).await
    }

    async fn connect(
        url: &str,
        max_connections: u32,
        read_only: bool,
        beside_notary: bool,
    ) -> crate::Result<Self> {
        let options = connect::options(url, read_only)?;
        let pool = connect::pool(options.clone(), max_connections).await;
        let pool = pool.map_err(|error| connect::refused(&options, error))?;
        schema::prepare(&pool, &options, read_only, beside_notary).await?;
        Ok(Self { pool, read_only, feed: tokio::sync::Mutex::default() })
    }

    /// A transaction in which each statement sees what was committed before it.
    async fn begin(&self) -> Result<Tx> {
        Ok(self.pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?)
    }

    /// A transaction that is the only one to write this repository.
    async fn begin_writing(&self, gun: &str) -> Result<Tx> {
        let mut tx = self.begin().await?;
        let [a, b, c, d, e, f, g, h, ..] = sha256(gun.as_bytes());
        let gun = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
        // Only numbers; two statements, for their order is what prevents a deadlock.
        let locks = format!(
            "SELECT pg_advisory_xact_lock_shared({LOCK_CLASS}, {WRITING}); SELECT pg_advisory_xact_lock({gun})"
        );
        sqlx::raw_sql(AssertSqlSafe(locks)).execute(&mut *tx).await?;
        Ok(tx)
    }

    /// A transaction while nobody writes.
    async fn begin_alone(&self) -> Result<Tx> {
        let mut tx = self.begin().await?;
        let lock = sqlx::query("SELECT pg_advisory_xact_lock($1, $2)").bind(LOCK_CLASS).bind(WRITING);
        lock.execute(&mut *tx).await?;
        Ok(tx)
    }
}

#[async_trait]
impl Storage for Postgres {
    async fn timestamp(&self, gun: &str) -> Result<Option<StoredFile>> {
        let newest = sqlx::query(
            "SELECT role, version, sha256, stored, bytes FROM tagtrust_file
             WHERE gun = $1 AND role = $2 ORDER BY version DESC LIMIT 1",
        );
        found_file(newest.bind(gun).bind(TIMESTAMP).fetch_optional(&self.pool).await?)
    }

    async fn by_sha256(&self, gun: &str, role: &str, sha256: &[u8; 32]) -> Result<Option<StoredFile>> {
        let file = sqlx::query(
            "SELECT role, version, sha256, stored, bytes FROM tagtrust_file
             WHERE gun = $1 AND role = $2 AND sha256 = $3 LIMIT 1",
        );
        found_file(file.bind(gun).bind(role).bind(sha256).fetch_optional(&self.pool).await?)
    }

    async fn by_version(&self, gun: &str, role: &str, version: i64) -> Result<Option<StoredFile>> {
        let file = sqlx::query(
            "SELECT role, version, sha256, stored, bytes FROM tagtrust_file
             WHERE gun = $1 AND role = $2 AND version = $3",
        );
        found_file(file.bind(gun).bind(role).bind(version).fetch_optional(&self.pool).await?)
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<()> {
        let timestamp = commit.timestamp()?;
        let roles: Vec<_> = commit.files.iter().map(|file| file.role.as_str()).collect();
        let mut tx = self.begin_writing(commit.gun).await?;
        let newest = newest(&mut tx, commit.gun, &roles).await?;
        let of_role = |role: &str| newest.iter().find(|(r, _)| r == role).map(|(_, base)| *base);
        commit.check(of_role(TIMESTAMP), |role| Ok(of_role(role).map(|newest| newest.version)))?;

        let now = to_nanos(SystemTime::now());
        let store = sqlx::query(
            "WITH files AS (
                 INSERT INTO tagtrust_file (gun, role, version, sha256, stored, bytes)
                 SELECT $1, role, version, sha256, $2, bytes
                 FROM unnest($3::text[], $4::bigint[], $5::bytea[], $6::bytea[]) AS f (role, version, sha256, bytes)
             ), keys AS (
                 UPDATE tagtrust_key SET used = $2 WHERE id = ANY ($7) AND used IS NULL
             )
             INSERT INTO tagtrust_change (created, gun, version, sha256) VALUES ($2, $1, $8, $9)",
        );
        let files = commit.files;
        let store = store
            .bind(commit.gun)
            .bind(now)
            .bind(roles)
            .bind(files.iter().map(|file| file.version).collect::<Vec<_>>())
            .bind(files.iter().map(|file| file.sha256).collect::<Vec<_>>())
            .bind(files.iter().map(|file| &*file.bytes).collect::<Vec<_>>())
            .bind(commit.used_keys)
            .bind(timestamp.version)
            .bind(timestamp.sha256);
        store.execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    async fn delete(&self, gun: &str) -> Result<bool> {
        let mut tx = self.begin_writing(gun).await?;
        let delete = sqlx::query("DELETE FROM tagtrust_file WHERE gun = $1").bind(gun);
        let existed = delete.execute(&mut *tx).await?.rows_affected() > 0;
        if existed {
            let note = sqlx::query("INSERT INTO tagtrust_change (created, gun) VALUES ($1, $2)");
            note.bind(to_nanos(SystemTime::now())).bind(gun).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(existed)
    }

    async fn changes(&self, gun: Option<&str>, window: Window, count: usize) -> Result<Vec<Change>> {
        let (after, before, backwards) = match window {
            Window::After(id) => (id, i64::MAX, false),
            Window::Before(id) => (i64::MIN, id, true),
            Window::Newest => (i64::MIN, i64::MAX, true),
        };
        let statement = match (gun, backwards) {
            (None, false) => {
                "SELECT id, created, gun, version, sha256 FROM tagtrust_change
                 WHERE id > $1 AND id < $2 AND $3::text IS NULL ORDER BY id LIMIT $4"
            }
            (None, true) => {
                "SELECT id, created, gun, version, sha256 FROM tagtrust_change
                 WHERE id > $1 AND id < $2 AND $3::text IS NULL ORDER BY id DESC LIMIT $4"
            }
            (Some(_), false) => {
                "SELECT id, created, gun, version, sha256 FROM tagtrust_change
                 WHERE id > $1 AND id < $2 AND gun = $3 ORDER BY gun, id LIMIT $4"
            }
            (Some(_), true) => {
                "SELECT id, created, gun, version, sha256 FROM tagtrust_change
                 WHERE id > $1 AND id < $2 AND gun = $3 ORDER BY gun DESC, id DESC LIMIT $4"
            }
        };
        // One at a time, so that those who read in a loop keep writers waiting no longer than one reader.
        let _turn = self.feed.lock().await;
        let mut tx = self.begin_alone().await?;
        let rows = sqlx::query(statement).bind(after).bind(before).bind(gun).bind(limit(count));
        let rows = rows.fetch_all(&mut *tx).await?;
        tx.commit().await?;
        let mut changes = rows.iter().map(change).collect::<Result<Vec<_>>>()?;
        if backwards {
            changes.reverse();
        }
        Ok(changes)
    }

    async fn repositories(&self, after: &str, count: usize) -> Result<Vec<String>> {
        // From name to name through the index, however many files each has.
        let guns = sqlx::query_scalar(
            "WITH RECURSIVE repository(gun) AS (
                 SELECT min(gun) FROM tagtrust_file WHERE gun > $1
                 UNION ALL
                 SELECT (SELECT min(gun) FROM tagtrust_file WHERE gun > repository.gun)
                 FROM repository WHERE gun IS NOT NULL
             )
             SELECT gun FROM repository WHERE gun IS NOT NULL LIMIT $2",
        );
        Ok(guns.bind(after).bind(limit(count)).fetch_all(&self.pool).await?)
    }

    async fn prune(&self, gun: &str, base: Base, keep: usize, live: &[(String, [u8; 32])]) -> Result<u64> {
        let mut tx = self.begin_writing(gun).await?;
        if newest(&mut tx, gun, &[TIMESTAMP]).await?.first().map(|(_, newest)| *newest) != Some(base) {
            return Ok(0);
        }
        let files = sqlx::query_as(
            "SELECT role, version, sha256 FROM tagtrust_file WHERE gun = $1 ORDER BY role DESC, version DESC",
        );
        let files: Vec<(String, i64, [u8; 32])> = files.bind(gun).fetch_all(&mut *tx).await?;
        let mut keeper = Keeper::new(keep, live);
        let (roles, versions): (Vec<_>, Vec<_>) = files
            .into_iter()
            .filter(|(role, _, sha256)| !keeper.keeps(role, sha256))
            .map(|(role, version, _)| (role, version))
            .unzip();
        let remove = sqlx::query(
            "DELETE FROM tagtrust_file f USING unnest($2::text[], $3::bigint[]) AS old (role, version)
             WHERE f.gun = $1 AND f.role = old.role AND f.version = old.version",
        );
        let gone = remove.bind(gun).bind(roles).bind(versions).execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        Ok(gone)
    }

    async fn add_key(&self, key: &KeyRecord) -> Result<KeyRecord> {
        let mut tx = self.begin_writing(&key.gun).await?;
        if let Some(kept) = unused_key(&mut tx, &key.gun, &key.role, &key.algorithm).await? {
            return Ok(kept);
        }
        if insert_keys(&mut tx, std::slice::from_ref(key)).await? == 0 {
            return Err(StorageError::Conflict);
        }
        tx.commit().await?;
        Ok(key.clone())
    }

    async fn unused_key(&self, gun: &str, role: &str, algorithm: &str) -> Result<Option<KeyRecord>> {
        unused_key(&mut *self.pool.acquire().await?, gun, role, algorithm).await
    }

    async fn key(&self, id: &str) -> Result<Option<KeyRecord>> {
        let key = sqlx::query(
            "SELECT id, gun, role, algorithm, public, secret, alias, used FROM tagtrust_key WHERE id = $1",
        );
        key.bind(id).fetch_optional(&self.pool).await?.as_ref().map(key_record).transpose()
    }

    async fn keys_not_under(&self, alias: &str, after: &str, count: usize) -> Result<Vec<KeyRecord>> {
        let keys = sqlx::query(
            "SELECT id, gun, role, algorithm, public, secret, alias, used FROM tagtrust_key
             WHERE id > $1 AND alias <> $2 ORDER BY id LIMIT $3",
        );
        let keys = keys.bind(after).bind(alias).bind(limit(count)).fetch_all(&self.pool).await?;
        keys.iter().map(key_record).collect()
    }

    async fn rewrap_key(&self, id: &str, old: &str, secret: &str, alias: &str) -> Result<bool> {
        let rewrap =
            sqlx::query("UPDATE tagtrust_key SET secret = $3, alias = $4 WHERE id = $1 AND secret = $2");
        let rewrapped = rewrap.bind(id).bind(old).bind(secret).bind(alias).execute(&self.pool).await?;
        Ok(rewrapped.rows_affected() > 0)
    }

    async fn passphrase_parameters(&self, alias: &str, proposed: &str) -> Result<String> {
        let known =
            || sqlx::query_scalar("SELECT parameters FROM tagtrust_passphrase WHERE alias = $1").bind(alias);
        if let Some(known) = known().fetch_optional(&self.pool).await? {
            return Ok(known);
        }
        let insert = sqlx::query(
            "INSERT INTO tagtrust_passphrase (alias, parameters) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        );
        insert.bind(alias).bind(proposed).execute(&self.pool).await?;
        Ok(known().fetch_one(&self.pool).await?)
    }

    async fn import(&self, batch: &ImportBatch) -> Result<Imported> {
        let mut tx = self.begin_alone().await?;
        if let Some(gun) = &batch.forget {
            sqlx::query("DELETE FROM tagtrust_file WHERE gun = $1").bind(gun).execute(&mut *tx).await?;
        }
        let imported = Imported {
            files: import_files(&mut tx, &batch.files).await?,
            changes: import_changes(&mut tx, &batch.changes).await?,
            keys: insert_keys(&mut tx, &batch.keys).await?,
        };
        tx.commit().await?;
        Ok(imported)
    }

    async fn backup(&self, _to: &Path) -> Result<()> {
        Err(StorageError::Unavailable("use PostgreSQL's own means, such as pg_dump, for a backup".to_owned()))
    }

    async fn check(&self) -> Result<()> {
        sqlx::query("SELECT 1 FROM tagtrust_file LIMIT 1").fetch_optional(&self.pool).await?;
        // On where the database is a standby.
        let read_only: bool = sqlx::query_scalar("SELECT current_setting('transaction_read_only')::boolean")
            .fetch_one(&self.pool)
            .await?;
        if read_only && !self.read_only {
            return Err(StorageError::Unavailable("the database can only be read".to_owned()));
        }
        Ok(())
    }
}

/// The newest version of each of these roles that has one.
async fn newest(tx: &mut PgConnection, gun: &str, roles: &[&str]) -> Result<Vec<(String, Base)>> {
    let newest = sqlx::query_as(
        "SELECT wanted.role, f.version, f.sha256 FROM unnest($2::text[]) AS wanted (role)
         CROSS JOIN LATERAL (
             SELECT version, sha256 FROM tagtrust_file
             WHERE gun = $1 AND role = wanted.role ORDER BY version DESC LIMIT 1
         ) f",
    );
    let newest: Vec<(String, i64, [u8; 32])> = newest.bind(gun).bind(roles).fetch_all(tx).await?;
    Ok(newest.into_iter().map(|(role, version, sha256)| (role, Base { version, sha256 })).collect())
}

async fn import_files(tx: &mut PgConnection, files: &[(String, StoredFile)]) -> Result<u64> {
    let insert = sqlx::query(
        "INSERT INTO tagtrust_file (gun, role, version, sha256, stored, bytes)
         SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[], $5::bigint[], $6::bytea[])
         ON CONFLICT (gun, role, version) DO NOTHING",
    );
    let insert = insert
        .bind(files.iter().map(|(gun, _)| gun.as_str()).collect::<Vec<_>>())
        .bind(files.iter().map(|(_, file)| file.role.as_str()).collect::<Vec<_>>())
        .bind(files.iter().map(|(_, file)| file.version).collect::<Vec<_>>())
        .bind(files.iter().map(|(_, file)| file.sha256).collect::<Vec<_>>())
        .bind(files.iter().map(|(_, file)| to_nanos(file.stored)).collect::<Vec<_>>())
        .bind(files.iter().map(|(_, file)| &*file.bytes).collect::<Vec<_>>());
    Ok(insert.execute(tx).await?.rows_affected())
}

/// Each under its own ID, unless that is taken: then as a new entry.
async fn import_changes(tx: &mut PgConnection, changes: &[Change]) -> Result<u64> {
    if changes.is_empty() {
        return Ok(0);
    }
    let insert = sqlx::query_scalar(
        "INSERT INTO tagtrust_change (id, created, gun, version, sha256)
         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bytea[])
         ON CONFLICT (id) DO NOTHING RETURNING id",
    );
    let (versions, hashes): (Vec<_>, Vec<_>) = changes.iter().map(|change| change.kind.columns()).unzip();
    let insert = insert
        .bind(changes.iter().map(|change| change.id).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| to_nanos(change.created)).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.gun.as_str()).collect::<Vec<_>>())
        .bind(versions)
        .bind(hashes);
    let kept: Vec<i64> = insert.fetch_all(&mut *tx).await?;
    let kept: std::collections::HashSet<i64> = kept.into_iter().collect();
    let above = sqlx::query(
        "SELECT setval('tagtrust_change_id', greatest(last_value, (SELECT max(id) FROM tagtrust_change)))
         FROM tagtrust_change_id",
    );
    above.execute(&mut *tx).await?;

    let mut imported = kept.len() as u64;
    for change in changes.iter().filter(|change| !kept.contains(&change.id)) {
        let (version, sha256) = change.kind.columns();
        let insert = sqlx::query(
            "INSERT INTO tagtrust_change (created, gun, version, sha256) SELECT $1, $2, $3, $4
             WHERE NOT EXISTS (
                 SELECT 1 FROM tagtrust_change WHERE gun = $2 AND created = $1
                 AND version IS NOT DISTINCT FROM $3 AND sha256 IS NOT DISTINCT FROM $4
             )",
        );
        let insert = insert.bind(to_nanos(change.created)).bind(&change.gun).bind(version).bind(sha256);
        imported += insert.execute(&mut *tx).await?.rows_affected();
    }
    Ok(imported)
}

async fn unused_key(
    connection: &mut PgConnection,
    gun: &str,
    role: &str,
    algorithm: &str,
) -> Result<Option<KeyRecord>> {
    let oldest = sqlx::query(
        "SELECT id, gun, role, algorithm, public, secret, alias, used FROM tagtrust_key
         WHERE gun = $1 AND role = $2 AND algorithm = $3 AND used IS NULL ORDER BY number LIMIT 1",
    );
    let oldest = oldest.bind(gun).bind(role).bind(algorithm).fetch_optional(connection).await?;
    oldest.as_ref().map(key_record).transpose()
}

/// Those whose IDs are not there already; gives how many.
async fn insert_keys(tx: &mut PgConnection, keys: &[KeyRecord]) -> Result<u64> {
    let insert = sqlx::query(
        "INSERT INTO tagtrust_key (id, gun, role, algorithm, public, secret, alias, used)
         SELECT * FROM unnest(
             $1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::text[], $8::bigint[]
         )
         ON CONFLICT (id) DO NOTHING",
    );
    let texts = |field: fn(&KeyRecord) -> &str| keys.iter().map(field).collect::<Vec<_>>();
    let insert = insert
        .bind(texts(|key| &key.id))
        .bind(texts(|key| &key.gun))
        .bind(texts(|key| &key.role))
        .bind(texts(|key| &key.algorithm))
        .bind(keys.iter().map(|key| key.public.as_slice()).collect::<Vec<_>>())
        .bind(texts(|key| &key.secret))
        .bind(texts(|key| &key.alias))
        .bind(keys.iter().map(|key| key.used.map(to_nanos)).collect::<Vec<_>>());
    Ok(insert.execute(tx).await?.rows_affected())
}

fn found_file(row: Option<PgRow>) -> Result<Option<StoredFile>> {
    let Some(row) = row else { return Ok(None) };
    Ok(Some(StoredFile {
        role: row.try_get("role")?,
        version: row.try_get("version")?,
        sha256: row.try_get("sha256")?,
        stored: from_nanos(row.try_get("stored")?),
        bytes: Bytes::from(row.try_get::<Vec<u8>, _>("bytes")?),
    }))
}

fn change(row: &PgRow) -> Result<Change> {
    Ok(Change {
        id: row.try_get("id")?,
        created: from_nanos(row.try_get("created")?),
        gun: row.try_get("gun")?,
        kind: ChangeKind::from_columns(row.try_get("version")?, row.try_get("sha256")?),
    })
}

fn key_record(row: &PgRow) -> Result<KeyRecord> {
    Ok(KeyRecord {
        id: row.try_get("id")?,
        gun: row.try_get("gun")?,
        role: row.try_get("role")?,
        algorithm: row.try_get("algorithm")?,
        public: row.try_get("public")?,
        secret: row.try_get("secret")?,
        alias: row.try_get("alias")?,
        used: row.try_get::<Option<i64>, _>("used")?.map(from_nanos),
    })
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code());
        match code.as_deref() {
            // unique_violation, serialization_failure, deadlock_detected: another writer came first.
            Some("23505" | "40001" | "40P01") => Self::Conflict,
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
