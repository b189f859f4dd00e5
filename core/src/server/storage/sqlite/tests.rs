use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use super::super::NewFile;
use super::*;

fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.db");
    (directory, path)
}

fn reason(result: crate::Result<Sqlite>) -> String {
    match result.err().unwrap() {
        crate::Error::StoreError { path, reason } => {
            assert!(path.ends_with("server.db"), "{path}");
            reason
        }
        other => panic!("{other:?}"),
    }
}

async fn commit(storage: &Sqlite, gun: &str, version: i64, bytes: &[u8]) -> Result<()> {
    let base = storage.timestamp(gun).await?.map(|t| Base { version: t.version, sha256: t.sha256 });
    let files = [NewFile::new("timestamp", version, bytes.to_vec())];
    storage.commit(Commit { gun, base, files: &files, used_keys: &[] }).await
}

fn edit(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn everything_is_there_after_opening_again() {
    let (_directory, path) = directory();
    let storage = Sqlite::open(&path, false).unwrap();
    commit(&storage, "g", 1, b"one").await.unwrap();
    let before = (storage.timestamp("g").await, storage.changes(None, Window::Newest, 9).await);
    storage.passphrase_parameters("a", "salt").await.unwrap();
    drop(storage);
    assert!(!path.with_extension("db-wal").exists(), "the log was not tidied up");

    for read_only in [false, true] {
        let storage = Sqlite::open(&path, read_only).unwrap();
        assert_eq!((storage.timestamp("g").await, storage.changes(None, Window::Newest, 9).await), before);
        assert_eq!(storage.passphrase_parameters("a", "other").await.unwrap(), "salt");
    }
}

#[tokio::test]
async fn every_commit_waits_for_the_disk() {
    const FULL: i64 = 2;
    let (_directory, path) = directory();
    let storage = Sqlite::open(&path, false).unwrap();
    let ask = storage.write(|connection| {
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get(0));
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        Ok((mode, pragma("synchronous")?))
    });
    assert_eq!(ask.await.unwrap(), ("wal".to_owned(), FULL));
}

#[tokio::test]
async fn only_this_user_may_read_the_file() {
    let (directory, path) = directory();
    let storage = Sqlite::open(&path, false).unwrap();
    commit(&storage, "g", 1, b"one").await.unwrap();
    let files: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
}

#[test]
fn a_file_of_a_newer_version_is_refused_unchanged() {
    let (_directory, path) = directory();
    drop(Sqlite::open(&path, false).unwrap());
    edit(&path, "PRAGMA user_version = 99");
    let before = fs::read(&path).unwrap();
    for read_only in [false, true] {
        assert!(reason(Sqlite::open(&path, read_only)).contains("newer version of tagtrust"));
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_of_another_application_is_refused_unchanged() {
    for sql in [
        "CREATE TABLE t (x)",
        "PRAGMA application_id = 5; CREATE TABLE t (x)",
        "PRAGMA user_version = 1; CREATE TABLE t (x)",
    ] {
        let (_directory, path) = directory();
        edit(&path, sql);
        let before = fs::read(&path).unwrap();
        for read_only in [false, true] {
            assert!(reason(Sqlite::open(&path, read_only)).contains("another application"), "{sql}");
        }
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[test]
fn what_is_no_database_is_refused_unchanged() {
    let (_directory, path) = directory();
    fs::write(&path, [b'x'; 5000]).unwrap();
    assert!(reason(Sqlite::open(&path, false)).contains("not a database"));
    assert_eq!(fs::read(&path).unwrap(), [b'x'; 5000]);
}

#[tokio::test]
async fn read_only_makes_and_changes_nothing() {
    let (directory, path) = directory();
    assert!(reason(Sqlite::open(&path, true)).contains("unable to open"));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    fs::write(&path, "").unwrap();
    assert!(reason(Sqlite::open(&path, true)).contains("older"));
    assert_eq!(fs::read(&path).unwrap(), b"");

    let writing = Sqlite::open(&path, false).unwrap();
    commit(&writing, "g", 1, b"one").await.unwrap();
    let reading = Sqlite::open(&path, true).unwrap();
    let refused = commit(&reading, "g", 2, b"two").await.unwrap_err();
    assert!(refused.to_string().contains("read only"), "{refused}");
    assert_eq!(reading.check().await, Ok(()));
    assert_eq!(writing.timestamp("g").await.unwrap().unwrap().version, 1);
    commit(&writing, "g", 2, b"two").await.unwrap();
    assert_eq!(reading.timestamp("g").await.unwrap().unwrap().version, 2);
}

#[test]
fn many_may_make_the_file_at_once() {
    for _ in 0..20 {
        let (_directory, path) = directory();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| drop(Sqlite::open(&path, false).unwrap()));
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_job_takes_no_other_with_it() {
    let (_directory, path) = directory();
    let storage = Arc::new(Sqlite::open(&path, false).unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..60 {
        let storage = Arc::clone(&storage);
        tasks.spawn(async move {
            if i % 3 == 0 {
                let half = storage.write(move |connection| {
                    note(connection, "half", SystemTime::now(), ChangeKind::Deletion)?;
                    Err::<(), _>(StorageError::Conflict)
                });
                assert_eq!(half.await, Err(StorageError::Conflict));
            } else {
                commit(&storage, &format!("g{i}"), 1, b"one").await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(storage.repositories("", 99).await.unwrap().len(), 40);
    assert_eq!(storage.changes(Some("half"), Window::Newest, 9).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing_and_stores_no_half() {
    let (_directory, path) = directory();
    let storage = Arc::new(Sqlite::open(&path, false).unwrap());
    commit(&storage, "g", 1, b"one").await.unwrap();
    let full = |pages: i64| {
        storage.write(move |connection| {
            Ok(connection.pragma_update(None, "max_page_count", pages).or_else(|error| match error {
                // It answers with the new value.
                rusqlite::Error::ExecuteReturnedResults => Ok(()),
                error => Err(error),
            })?)
        })
    };
    full(1).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..20 {
        let storage = Arc::clone(&storage);
        tasks.spawn(async move { (i, commit(&storage, &format!("new{i}"), 1, &[b'x'; 20_000]).await) });
    }
    for (i, result) in tasks.join_all().await {
        assert!(
            matches!(&result, Err(StorageError::Unavailable(reason)) if reason.contains("full")),
            "{i} {result:?}"
        );
    }
    assert_eq!(storage.repositories("", 99).await.unwrap(), ["g"]);
    assert_eq!(storage.changes(None, Window::Newest, 99).await.unwrap().len(), 1);

    full(1_000_000).await.unwrap();
    commit(&storage, "new", 1, &[b'x'; 20_000]).await.unwrap();
    assert_eq!(storage.timestamp("g").await.unwrap().unwrap().bytes, "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_consistent_while_writing_goes_on() {
    let (directory, path) = directory();
    let storage = Arc::new(Sqlite::open(&path, false).unwrap());
    let writing = Arc::clone(&storage);
    let writer = tokio::spawn(async move {
        for version in 1..200 {
            let base =
                writing.timestamp("g").await.unwrap().map(|t| Base { version: t.version, sha256: t.sha256 });
            let files =
                ["root", "timestamp"].map(|role| NewFile::new(role, version, format!("{role} {version}")));
            writing.commit(Commit { gun: "g", base, files: &files, used_keys: &[] }).await.unwrap();
        }
    });
    while storage.timestamp("g").await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    let copies: Vec<_> = (0..5).map(|i| directory.path().join(format!("copy{i}"))).collect();
    for copy in &copies {
        storage.backup(copy).await.unwrap();
    }
    writer.await.unwrap();
    for copy in &copies {
        assert_eq!(mode(copy), 0o600);
        let copy = Sqlite::open(copy, false).unwrap();
        let newest = copy.timestamp("g").await.unwrap().unwrap().version;
        let changes = copy.changes(None, Window::After(0), 999).await.unwrap();
        assert_eq!(changes.len(), usize::try_from(newest).unwrap());
        assert!(copy.by_version("g", "root", newest).await.unwrap().is_some());
        assert_eq!(copy.by_version("g", "root", newest + 1).await, Ok(None));
        let sound: String = copy
            .read(|connection| connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
            .unwrap();
        assert_eq!(sound, "ok");
        commit(&copy, "g", newest + 1, b"and goes on").await.unwrap();
    }
}

#[tokio::test]
async fn a_backup_never_overwrites_and_leaves_no_parts() {
    let (directory, path) = directory();
    let storage = Sqlite::open(&path, false).unwrap();
    let copy = directory.path().join("copy");
    fs::write(&copy, "mine").unwrap();
    let refused = storage.backup(&copy).await.unwrap_err();
    assert!(refused.to_string().contains("exists"), "{refused}");
    assert_eq!(fs::read(&copy).unwrap(), b"mine");
    assert!(storage.backup(&directory.path().join("none/copy")).await.is_err());
    let mut files: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["copy", "server.db", "server.db-shm", "server.db-wal"]);
}

/// However many repositories there are, nothing is searched from end to end.
#[tokio::test]
async fn every_lookup_goes_through_an_index() {
    let (_directory, path) = directory();
    drop(Sqlite::open(&path, false).unwrap());
    let connection = Connection::open(&path).unwrap();
    for statement in [
        "SELECT * FROM file WHERE gun = '' AND role = '' ORDER BY version DESC LIMIT 1",
        "SELECT * FROM file WHERE gun = '' AND sha256 = x'' AND role = '' LIMIT 1",
        "SELECT * FROM file WHERE gun = '' ORDER BY role DESC, version DESC",
        "SELECT min(gun) FROM file WHERE gun > ''",
        "SELECT * FROM change WHERE id > 0 AND id < 9 AND gun = '' ORDER BY id DESC LIMIT 1",
        "SELECT * FROM change WHERE id > 0 AND id < 9 AND NULL IS NULL ORDER BY id LIMIT 1",
        "SELECT * FROM key WHERE gun = '' AND role = '' AND algorithm = '' AND used IS NULL ORDER BY number LIMIT 1",
        "SELECT * FROM key WHERE id > '' AND alias <> '' ORDER BY id LIMIT 1",
        "DELETE FROM file WHERE gun = ''",
    ] {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let steps: Vec<String> =
            plan.query_map([], |row| row.get("detail")).unwrap().collect::<rusqlite::Result<_>>().unwrap();
        assert!(steps.iter().all(|step| step.starts_with("SEARCH")), "{statement}: {steps:?}");
    }
}
