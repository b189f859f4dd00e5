//! Our tables, beside whatever else the database holds.

use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{AssertSqlSafe, PgConnection};

use super::connect::refused;
use super::{LOCK_CLASS, MIGRATING};
use crate::Result;

/// What brings the schema from each version to the next. Never change one that
/// was released, add to them.
///
/// Times are nanoseconds since 1970. Names are compared bytewise.
const MIGRATIONS: &[&str] = &[r#"
    CREATE TABLE tagtrust_file (
        gun text COLLATE "C" NOT NULL,
        role text COLLATE "C" NOT NULL,
        version bigint NOT NULL,
        sha256 bytea NOT NULL,
        stored bigint NOT NULL,
        bytes bytea NOT NULL,
        PRIMARY KEY (gun, role, version)
    );
    CREATE INDEX tagtrust_file_by_sha256 ON tagtrust_file (gun, sha256);

    -- Without version and SHA-256: a deletion.
    CREATE SEQUENCE tagtrust_change_id;
    CREATE TABLE tagtrust_change (
        id bigint PRIMARY KEY DEFAULT nextval('tagtrust_change_id'),
        created bigint NOT NULL,
        gun text COLLATE "C" NOT NULL,
        version bigint,
        sha256 bytea
    );
    CREATE INDEX tagtrust_change_by_gun ON tagtrust_change (gun, id);

    CREATE TABLE tagtrust_key (
        number bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
        id text COLLATE "C" NOT NULL UNIQUE,
        gun text COLLATE "C" NOT NULL,
        role text COLLATE "C" NOT NULL,
        algorithm text COLLATE "C" NOT NULL,
        public bytea NOT NULL,
        secret text COLLATE "C" NOT NULL,
        alias text COLLATE "C" NOT NULL,
        used bigint
    );
    CREATE INDEX tagtrust_key_unused ON tagtrust_key (gun, role, algorithm, number) WHERE used IS NULL;

    CREATE TABLE tagtrust_passphrase (
        alias text COLLATE "C" PRIMARY KEY,
        parameters text NOT NULL
    );
"#];

/// Brings the tables up to date, or checks that they are. One server at a time
/// does; the others wait.
pub(super) async fn prepare(
    pool: &PgPool,
    options: &PgConnectOptions,
    read_only: bool,
    beside_notary: bool,
) -> Result<()> {
    let failed = |error: sqlx::Error| refused(options, error);
    let mut tx = pool.begin().await.map_err(failed)?;
    if !read_only {
        let lock =
            format!("SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock({LOCK_CLASS}, {MIGRATING})");
        sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *tx).await.map_err(failed)?;
    }
    let version = version(&mut tx).await.map_err(failed)?;
    let Some(missing) = MIGRATIONS.get(version..) else {
        let known = MIGRATIONS.len();
        return Err(refused(
            options,
            format!(
                "a newer version of tagtrust made its tables (schema {version}, this knows up to {known})"
            ),
        ));
    };
    if !beside_notary && not_taken_over(&mut tx, version).await.map_err(failed)? {
        return Err(refused(
            options,
            "it holds a Notary server's repositories; run `tagtrust-server takeover` first to take them over",
        ));
    }
    if missing.is_empty() {
        return Ok(());
    }
    if read_only {
        return Err(refused(
            options,
            "its schema is older than this program's; start a server that may write once",
        ));
    }
    migrate(&mut tx, missing).await.map_err(failed)?;
    tx.commit().await.map_err(failed)
}

/// How many migrations the tables have seen.
async fn version(tx: &mut PgConnection) -> sqlx::Result<usize> {
    if !exists(tx, "tagtrust_schema").await? {
        return Ok(0);
    }
    let version: i64 = sqlx::query_scalar("SELECT version FROM tagtrust_schema").fetch_one(tx).await?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

async fn migrate(tx: &mut PgConnection, missing: &[&'static str]) -> sqlx::Result<()> {
    if !exists(tx, "tagtrust_schema").await? {
        let table =
            "CREATE TABLE tagtrust_schema (version bigint NOT NULL); INSERT INTO tagtrust_schema VALUES (0)";
        sqlx::raw_sql(table).execute(&mut *tx).await?;
    }
    for migration in missing {
        sqlx::raw_sql(*migration).execute(&mut *tx).await?;
    }
    let version = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    sqlx::query("UPDATE tagtrust_schema SET version = $1").bind(version).execute(tx).await?;
    Ok(())
}

/// Whether there are a Notary server's repositories and nothing of ours.
async fn not_taken_over(tx: &mut PgConnection, version: usize) -> sqlx::Result<bool> {
    if !exists(tx, "tuf_files").await?
        || !sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM tuf_files)").fetch_one(&mut *tx).await?
    {
        return Ok(false);
    }
    if version == 0 {
        return Ok(true);
    }
    // These come last: without them a takeover was interrupted.
    let ours = "SELECT EXISTS (SELECT 1 FROM tagtrust_change)";
    let ours: bool = sqlx::query_scalar(ours).fetch_one(tx).await?;
    Ok(!ours)
}

async fn exists(tx: &mut PgConnection, table: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(table).fetch_one(tx).await
}
