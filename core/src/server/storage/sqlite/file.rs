//! The file: whose it is, its schema, and how connections to it are set up.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::{Error, Result};

/// "tagt".
const APPLICATION_ID: i32 = 0x7461_6774;

/// What brings the schema from each version to the next. Never change one that
/// was released, add to them.
///
/// Times are nanoseconds since 1970. A GUN and what sorts after it are compared
/// bytewise, SQLite's default.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE file (
        gun TEXT NOT NULL,
        role TEXT NOT NULL,
        version INTEGER NOT NULL,
        sha256 BLOB NOT NULL,
        stored INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        UNIQUE (gun, role, version)
    ) STRICT;
    CREATE INDEX file_by_sha256 ON file (gun, sha256);

    -- Without version and SHA-256: a deletion.
    CREATE TABLE change (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        created INTEGER NOT NULL,
        gun TEXT NOT NULL,
        version INTEGER,
        sha256 BLOB
    ) STRICT;
    CREATE INDEX change_by_gun ON change (gun, id);

    CREATE TABLE key (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        gun TEXT NOT NULL,
        role TEXT NOT NULL,
        algorithm TEXT NOT NULL,
        public BLOB NOT NULL,
        secret TEXT NOT NULL,
        alias TEXT NOT NULL,
        used INTEGER
    ) STRICT;
    CREATE INDEX key_unused ON key (gun, role, algorithm, number) WHERE used IS NULL;

    CREATE TABLE passphrase (
        alias TEXT PRIMARY KEY,
        parameters TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
"];

const NEWEST: usize = MIGRATIONS.len();

/// How long to wait for another process that writes.
const BUSY: Duration = Duration::from_secs(10);

/// The write-ahead log is cut back to this when it was larger.
const LOG_BYTES: i64 = 64 << 20;

/// Opens the file to write, made if it is not there, with the newest schema.
pub(super) fn writable(path: &Path) -> Result<Connection> {
    create(path).map_err(|error| refused(path, &error))?;
    let open = || {
        let connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        prepare(&connection)?;
        Ok(connection)
    };
    let connection = open().map_err(|error: rusqlite::Error| refused(path, &error))?;
    // Before anything is changed in what may not be ours.
    schema_version(&connection, path)?;
    let set_up = || {
        use_write_ahead_log(&connection)?;
        // What is acknowledged is on the disk: the log is synced with each commit.
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
        connection.execute_batch("BEGIN IMMEDIATE")
    };
    set_up().map_err(|error| refused(path, &error))?;
    let version = schema_version(&connection, path)?;
    let migrate = || {
        for migration in MIGRATIONS.iter().skip(version) {
            connection.execute_batch(migration)?;
        }
        mark(&connection)?;
        connection.pragma_update(None, "user_version", i64::try_from(NEWEST).unwrap_or(i64::MAX))?;
        connection.execute_batch("COMMIT")
    };
    migrate().map_err(|error: rusqlite::Error| refused(path, &error))?;
    Ok(connection)
}

/// Opens the file to read, if it has the newest schema.
pub(super) fn reader(path: &Path) -> Result<Connection> {
    let connection = connect_reader(path).map_err(|error| refused(path, &error))?;
    if schema_version(&connection, path)? < NEWEST {
        return Err(refused(
            path,
            &"its schema is older than this program's; start a server that may write once",
        ));
    }
    Ok(connection)
}

/// [`reader`], of a file that was found to be right.
pub(super) fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    prepare(&connection)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(32);
    // Otherwise a statement is planned anew with each set of parameters.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// SQLite does not wait for others here, as it does elsewhere.
fn use_write_ahead_log(connection: &Connection) -> rusqlite::Result<()> {
    let end = Instant::now() + BUSY;
    loop {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < end =>
            {
                thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

/// Marks the file as ours, again if it is.
pub(super) fn mark(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)
}

/// How many migrations the file has seen; an error if it is not ours.
fn schema_version(connection: &Connection, path: &Path) -> Result<usize> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let read = || {
        // Of one moment: another process may be making the schema.
        connection.execute_batch("SAVEPOINT look")?;
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let found = (pragma("application_id")?, pragma("user_version")?, tables);
        connection.execute_batch("RELEASE look")?;
        Ok(found)
    };
    match read().map_err(|error: rusqlite::Error| refused(path, &error))? {
        (APPLICATION_ID, version, _) => match usize::try_from(version) {
            Ok(version) if version <= NEWEST => Ok(version),
            _ => Err(refused(
                path,
                &format_args!(
                    "a newer version of tagtrust wrote it (schema {version}, this knows up to {NEWEST})"
                ),
            )),
        },
        (0, 0, 0) => Ok(0),
        _ => Err(refused(path, &"it belongs to another application")),
    }
}

/// Makes an empty file that only this user may read: keys will be in it,
/// though encrypted. SQLite's own files beside it get the same mode.
fn create(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => sync_parent(path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Waits until the disk has the name of a file.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

pub(super) fn refused(path: &Path, reason: &dyn Display) -> Error {
    Error::StoreError { path: path.display().to_string(), reason: reason.to_string() }
}
