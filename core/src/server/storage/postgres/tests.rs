use sqlx::postgres::PgSslMode;

use super::super::NewFile;
use super::super::test_database::{PASSWORD, instance, new_database, psql};
use super::*;

fn name(url: &str) -> &str {
    url.strip_prefix("postgres:///").unwrap().split('?').next().unwrap()
}

fn error(result: crate::Result<Postgres>) -> String {
    result.err().unwrap().to_string()
}

async fn commit(storage: &Postgres, gun: &str, version: i64) -> Result<()> {
    let base = storage.timestamp(gun).await?.map(|t| Base { version: t.version, sha256: t.sha256 });
    let files = [NewFile::new("timestamp", version, format!("{gun} {version}"))];
    storage.commit(Commit { gun, base, files: &files, used_keys: &[] }).await
}

#[test]
fn urls_mean_what_they_meant_to_notary() {
    let read = |url: &str| connect::options(url, false).unwrap();
    let options = read(
        "postgres://server:p%40ss@db.example:5433/notaryserver?sslmode=verify-ca&sslrootcert=/ca&sslcert=/c&sslkey=/k",
    );
    assert_eq!((options.get_host(), options.get_port()), ("db.example", 5433));
    assert_eq!((options.get_username(), options.get_database()), ("server", Some("notaryserver")));
    for (url, mode) in [
        ("postgres://a@b/c", PgSslMode::Require),
        ("postgresql://a@b/c?sslmode=disable", PgSslMode::Disable),
        ("postgres://a@b/c?sslmode=verify-full", PgSslMode::VerifyFull),
        ("postgres://a@b/c?sslmode=verify-ca", PgSslMode::VerifyCa),
        ("postgres://a@b/c?sslmode=require", PgSslMode::Require),
        ("postgres://a@b/c?sslmode=require&sslrootcert=/ca", PgSslMode::VerifyCa),
        ("postgres://a@b/c?sslrootcert=/ca", PgSslMode::VerifyCa),
        ("postgres:///c?host=/run/postgresql", PgSslMode::Disable),
        ("postgres://%2Frun%2Fpostgresql/c", PgSslMode::Disable),
    ] {
        let found = read(url).get_ssl_mode();
        assert_eq!(format!("{found:?}"), format!("{mode:?}"), "{url}");
    }
    let session = read("postgres://a@b/c?connect_timeout=3&search_path=notary&application_name=x");
    assert!(session.get_options().unwrap().contains("-c search_path=notary"));
    assert!(!session.get_options().unwrap().contains("connect_timeout"));
    assert_eq!(session.get_application_name(), Some("x"));
    for url in ["mysql://a@b/c", "host=b dbname=c", "postgres://a@b:port/c", "postgres://a@b/c?sslmode=maybe"]
    {
        assert!(
            matches!(connect::options(url, false), Err(crate::Error::InvalidConfiguration { .. })),
            "{url}"
        );
    }
}

#[tokio::test]
async fn tls_is_checked_as_the_url_says() {
    let Some(url) = new_database() else { return };
    let instance = instance().unwrap();
    let (ca, port) = (instance.directory.join("ca.crt").display().to_string(), instance.port);
    let tcp = |password: &str, settings: &str| {
        format!("postgres://postgres:{password}@127.0.0.1:{port}/{}?{settings}", name(&url))
    };
    for settings in ["", "sslmode=require", "sslmode=disable", &format!("sslmode=verify-ca&sslrootcert={ca}")]
    {
        Postgres::open(&tcp(PASSWORD, settings), 1, false).await.unwrap();
    }
    let unknown = "sslmode=verify-ca";
    let misnamed = format!("sslmode=verify-full&sslrootcert={ca}");
    for settings in [unknown, &misnamed] {
        let refused = error(Postgres::open(&tcp(PASSWORD, settings), 1, false).await);
        assert!(refused.contains("certificate"), "{refused}");
        assert!(!refused.contains(PASSWORD), "{refused}");
    }
    for (url, says) in [
        (tcp("Geheim123", "sslmode=require"), "password authentication failed"),
        (tcp("Geheim123", "sslmode=never"), "ssl_mode"),
        (format!("postgres://postgres:Geheim123@127.0.0.1:{port}/nosuch?sslmode=disable"), "nosuch"),
        (format!("postgres://postgres:Geheim123@127.0.0.1:port/{}", name(&url)), "port"),
        ("postgres://postgres:Geheim123@127.0.0.1:1/x?sslmode=disable".to_owned(), "127.0.0.1:1"),
    ] {
        let refused = error(Postgres::open(&url, 1, false).await);
        assert!(refused.contains(says), "{refused}");
        assert!(!refused.contains("Geheim123"), "{refused}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    if instance().is_none() {
        return;
    }
    psql("postgres", "CREATE DATABASE clients");
    let instance = instance().unwrap();
    let file = |name| instance.directory.join(name).display().to_string();
    let url = format!(
        "postgres://postgres@127.0.0.1:{}/clients?sslmode=verify-ca&sslrootcert={}",
        instance.port,
        file("ca.crt")
    );
    assert!(error(Postgres::open(&url, 1, false).await).contains("certificate"));
    let url = format!("{url}&sslcert={}&sslkey={}", file("client.crt"), file("client.key"));
    Postgres::open(&url, 1, false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_make_the_tables_at_once() {
    let Some(url) = new_database() else { return };
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let url = url.clone();
        tasks.spawn(async move { drop(Postgres::open(&url, 1, false).await.unwrap()) });
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn tables_of_a_newer_version_are_refused() {
    let Some(url) = new_database() else { return };
    Postgres::open(&url, 1, false).await.unwrap();
    psql(name(&url), "UPDATE tagtrust_schema SET version = 99");
    for read_only in [false, true] {
        let refused = error(Postgres::open(&url, 1, read_only).await);
        assert!(refused.contains("newer version of tagtrust"), "{refused}");
    }
}

#[tokio::test]
async fn read_only_makes_and_changes_nothing() {
    let Some(url) = new_database() else { return };
    let refused = error(Postgres::open(&url, 1, true).await);
    assert!(refused.contains("older"), "{refused}");
    psql(name(&url), "DO $$ BEGIN ASSERT to_regclass('tagtrust_schema') IS NULL; END $$");

    let writing = Postgres::open(&url, 1, false).await.unwrap();
    commit(&writing, "g", 1).await.unwrap();
    let reading = Postgres::open(&url, 1, true).await.unwrap();
    assert!(matches!(commit(&reading, "g", 2).await, Err(StorageError::Unavailable(_))));
    assert_eq!(reading.check().await, Ok(()));
    assert_eq!(reading.changes(None, Window::Newest, 9).await.unwrap().len(), 1);
    assert_eq!(reading.timestamp("g").await.unwrap().unwrap().version, 1);
}

#[tokio::test]
async fn what_notary_left_is_taken_over_first() {
    let Some(url) = new_database() else { return };
    psql(name(&url), "CREATE TABLE tuf_files (id serial PRIMARY KEY, gun varchar(255) NOT NULL)");
    Postgres::open(&url, 1, false).await.unwrap();
    psql(name(&url), "INSERT INTO tuf_files (gun) VALUES ('g')");
    for read_only in [false, true] {
        let refused = error(Postgres::open(&url, 1, read_only).await);
        assert!(refused.contains("tagtrust-server takeover"), "{refused}");
    }
    let taking = Postgres::open_beside_notary(&url, 1).await.unwrap();
    commit(&taking, "g", 1).await.unwrap();
    Postgres::open(&url, 1, false).await.unwrap();

    let Some(untouched) = new_database() else { return };
    psql(name(&untouched), "CREATE TABLE tuf_files AS SELECT 1 AS id");
    assert!(error(Postgres::open(&untouched, 1, false).await).contains("tagtrust-server takeover"));
    psql(name(&untouched), "DO $$ BEGIN ASSERT to_regclass('tagtrust_file') IS NULL; END $$");
}

#[tokio::test]
async fn broken_connections_heal_by_themselves() {
    let Some(url) = new_database() else { return };
    let storage = Postgres::open(&url, 4, false).await.unwrap();
    for version in 1..4 {
        commit(&storage, "g", version).await.unwrap();
        let all = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
            name(&url)
        );
        psql("postgres", &all);
        assert_eq!(storage.timestamp("g").await.unwrap().unwrap().version, version);
    }
}

#[tokio::test]
async fn who_waits_too_long_for_a_lock_gets_an_error_and_stores_nothing() {
    let Some(url) = new_database() else { return };
    let waiting = Postgres::open(&url, 1, false).await.unwrap();
    let timeout: String = sqlx::query_scalar("SHOW lock_timeout").fetch_one(&waiting.pool).await.unwrap();
    assert_eq!(timeout, "10s");
    sqlx::query("SET lock_timeout = '200ms'").execute(&waiting.pool).await.unwrap();

    let other = Postgres::open(&url, 1, false).await.unwrap();
    let tx = other.begin_writing("g").await.unwrap();
    assert!(matches!(commit(&waiting, "g", 1).await, Err(StorageError::Unavailable(_))));
    tx.rollback().await.unwrap();
    assert_eq!(waiting.timestamp("g").await, Ok(None));
    assert_eq!(waiting.changes(None, Window::Newest, 9).await.unwrap(), []);
    commit(&waiting, "g", 1).await.unwrap();
}

#[tokio::test]
async fn a_server_that_hangs_in_a_transaction_does_not_stop_the_others() {
    let Some(url) = new_database() else { return };
    let [hanging, other] =
        [Postgres::open(&url, 2, false).await.unwrap(), Postgres::open(&url, 2, false).await.unwrap()];
    commit(&other, "g", 1).await.unwrap();
    let tx = hanging.begin_writing("g").await.unwrap();
    commit(&other, "h", 1).await.unwrap();
    // Both wait until the first is thrown out.
    let (changed, changes) = tokio::join!(commit(&other, "g", 2), other.changes(None, Window::Newest, 9));
    assert_eq!(changed, Ok(()));
    assert!(changes.unwrap().len() >= 2);
    assert!(tx.commit().await.is_err());
}
