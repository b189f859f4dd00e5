//! Notary's databases, only read: every connection sees one moment, whatever
//! goes on meanwhile.

use std::time::{Duration, SystemTime};

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::server::notary_config::NotaryDatabase;

/// A row of `tuf_files`.
pub(super) struct FileRow {
    pub(super) id: i64,
    pub(super) gun: String,
    pub(super) role: String,
    pub(super) version: i64,
    pub(super) data: Vec<u8>,
    /// Hex, perhaps padded. Only to compare.
    pub(super) sha256: Option<String>,
    pub(super) created: SystemTime,
}

/// A row of `changefeed`.
pub(super) struct ChangeRow {
    pub(super) id: i64,
    pub(super) created: SystemTime,
    pub(super) gun: String,
    pub(super) version: i64,
    pub(super) sha256: Option<String>,
    pub(super) category: String,
}

/// A row of the signer's `private_keys`.
pub(super) struct KeyRow {
    pub(super) id: i64,
    pub(super) key_id: String,
    pub(super) algorithm: String,
    pub(super) passphrase_alias: String,
    pub(super) public: Vec<u8>,
    pub(super) private: Vec<u8>,
    pub(super) gun: String,
    pub(super) role: String,
    pub(super) used: Option<SystemTime>,
}

/// One of Notary's databases.
pub(super) enum Source {
    Postgres(Box<PgConnection>),
    MySql(Box<sqlx::mysql::MySqlConnection>),
}

/// All rows of a query that is spelled differently in the two.
macro_rules! rows {
    ($source:expr, postgres: $postgres:literal, mysql: $mysql:literal $(, $bind:expr)*) => {
        match $source {
            Source::Postgres(connection) => {
                sqlx::query_as($postgres)$(.bind($bind))*.fetch_all(&mut **connection).await
            }
            Source::MySql(connection) => {
                sqlx::query_as($mysql)$(.bind($bind))*.fetch_all(&mut **connection).await
            }
        }
        .map_err(failed)
    };
}

impl Source {
    pub(super) async fn open(database: &NotaryDatabase) -> Result<Self> {
        match database {
            NotaryDatabase::Postgres(url) => {
                let options: PgConnectOptions = url.parse().map_err(failed)?;
                let mut connection = Box::new(PgConnection::connect_with(&options).await.map_err(failed)?);
                let begin = sqlx::raw_sql("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
                begin.execute(&mut *connection).await.map_err(failed)?;
                Ok(Self::Postgres(connection))
            }
            NotaryDatabase::MySql(source) => {
                let options = mysql::options(source)?;
                let connection = sqlx::mysql::MySqlConnection::connect_with(&options).await;
                let mut connection = Box::new(connection.map_err(failed)?);
                let begin = sqlx::raw_sql(
                    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;
                     START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
                );
                begin.execute(&mut *connection).await.map_err(failed)?;
                Ok(Self::MySql(connection))
            }
        }
    }

    /// All names in `tuf_files`.
    pub(super) async fn repositories(&mut self) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = rows!(
            self,
            postgres: "SELECT DISTINCT gun::text FROM tuf_files WHERE deleted_at IS NULL ORDER BY 1",
            // MySQL takes names that differ in case only for the same.
            mysql: "SELECT MIN(gun) FROM tuf_files WHERE deleted_at IS NULL GROUP BY BINARY gun"
        )?;
        Ok(rows.into_iter().map(|(gun,)| gun).collect())
    }

    /// The next rows of a repository, and with MySQL also those of one whose
    /// name differs in case only.
    pub(super) async fn files(&mut self, gun: &str, after: i64, count: i64) -> Result<Vec<FileRow>> {
        type Row = (i64, String, String, i64, Vec<u8>, Option<String>, Option<i64>);
        let rows: Vec<Row> = rows!(
            self,
            postgres: "SELECT id::bigint, gun::text, role::text, version::bigint, data, sha256::text,
                              (extract(epoch FROM created_at) * 1000000)::bigint
                       FROM tuf_files WHERE deleted_at IS NULL AND gun = $1 AND id > $2 ORDER BY id LIMIT $3",
            mysql: "SELECT id, gun, role, version, data, sha256,
                           CAST(UNIX_TIMESTAMP(created_at) * 1000000 AS SIGNED)
                    FROM tuf_files WHERE deleted_at IS NULL AND gun = ? AND id > ? ORDER BY id LIMIT ?",
            gun, after, count
        )?;
        let row = |(id, gun, role, version, data, sha256, created): Row| {
            let created = created.map_or(SystemTime::UNIX_EPOCH, moment);
            FileRow { id, gun, role, version, data, sha256, created }
        };
        Ok(rows.into_iter().map(row).collect())
    }

    pub(super) async fn changes(&mut self, after: i64, count: i64) -> Result<Vec<ChangeRow>> {
        type Row = (i64, Option<i64>, String, i64, Option<String>, String);
        let rows: Vec<Row> = rows!(
            self,
            postgres: "SELECT id::bigint, (extract(epoch FROM created_at) * 1000000)::bigint,
                              gun::text, version::bigint, sha256::text, category::text
                       FROM changefeed WHERE id > $1 ORDER BY id LIMIT $2",
            mysql: "SELECT id, CAST(UNIX_TIMESTAMP(created_at) * 1000000 AS SIGNED),
                           gun, version, sha256, category
                    FROM changefeed WHERE id > ? ORDER BY id LIMIT ?",
            after, count
        )?;
        let row = |(id, created, gun, version, sha256, category): Row| {
            let created = created.map_or(SystemTime::UNIX_EPOCH, moment);
            ChangeRow { id, created, gun, version, sha256, category }
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Of the signer's database.
    pub(super) async fn keys(&mut self, after: i64, count: i64) -> Result<Vec<KeyRow>> {
        type Row = (i64, String, String, String, Vec<u8>, Vec<u8>, String, String, Option<i64>);
        let rows: Vec<Row> = rows!(
            self,
            postgres: "SELECT id::bigint, key_id::text, algorithm::text, passphrase_alias::text, public, private,
                              gun::text, role::text, (extract(epoch FROM last_used) * 1000000)::bigint
                       FROM private_keys WHERE deleted_at IS NULL AND id > $1 ORDER BY id LIMIT $2",
            mysql: "SELECT id, key_id, algorithm, passphrase_alias, public, private,
                           gun, role, CAST(UNIX_TIMESTAMP(last_used) * 1000000 AS SIGNED)
                    FROM private_keys WHERE deleted_at IS NULL AND id > ? ORDER BY id LIMIT ?",
            after, count
        )?;
        let row = |(id, key_id, algorithm, passphrase_alias, public, private, gun, role, used): Row| {
            let used = used.map(moment);
            KeyRow { id, key_id, algorithm, passphrase_alias, public, private, gun, role, used }
        };
        Ok(rows.into_iter().map(row).collect())
    }
}

fn moment(microseconds: i64) -> SystemTime {
    let since = Duration::from_micros(microseconds.try_into().unwrap_or_default());
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn failed(error: sqlx::Error) -> Error {
    Error::StoreError { path: "Notary's database".into(), reason: error.to_string() }
}

mod mysql {
    use percent_encoding::percent_decode_str;
    use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

    use super::*;

    /// What Go's driver takes, `user:password@tcp(host:port)/database?tls=true`, or a URL.
    pub(super) fn options(source: &Zeroizing<String>) -> Result<MySqlConnectOptions> {
        if source.starts_with("mysql://") || source.starts_with("mariadb://") {
            return source.parse().map_err(failed);
        }
        go(source).ok_or_else(|| Error::InvalidConfiguration {
            what: "Notary's database".into(),
            reason: "failed to parse the database source for mysql".into(),
        })
    }

    fn go(source: &str) -> Option<MySqlConnectOptions> {
        let (connection, database) = source.rsplit_once('/')?;
        let (database, parameters) = database.split_once('?').unwrap_or((database, ""));
        let (credentials, address) = connection.rsplit_once('@').unwrap_or(("", connection));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let mut options = MySqlConnectOptions::new().username(user).ssl_mode(tls(parameters)?);
        if !password.is_empty() {
            options = options.password(password);
        }
        if !database.is_empty() {
            options = options.database(&percent_decode_str(database).decode_utf8().ok()?);
        }
        let (network, address) = match address.split_once('(') {
            Some((network, address)) => (network, address.strip_suffix(')')?),
            None => (address, ""),
        };
        match (network, address) {
            ("" | "tcp", "") => Some(options.host("127.0.0.1")),
            ("" | "tcp" | "tcp4" | "tcp6", address) => match address.rsplit_once(':') {
                Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                    Some(options.host(host.trim_matches(['[', ']'])).port(port.parse().ok()?))
                }
                _ => Some(options.host(address.trim_matches(['[', ']']))),
            },
            ("unix", "") => Some(options.socket("/tmp/mysql.sock")),
            ("unix", path) => Some(options.socket(path)),
            _ => None,
        }
    }

    fn tls(parameters: &str) -> Option<MySqlSslMode> {
        let mode = parameters.split('&').find_map(|parameter| parameter.strip_prefix("tls="));
        match mode.unwrap_or("false").to_ascii_lowercase().as_str() {
            "false" | "0" => Some(MySqlSslMode::Disabled),
            "true" | "1" => Some(MySqlSslMode::VerifyIdentity),
            "skip-verify" => Some(MySqlSslMode::Required),
            "preferred" => Some(MySqlSslMode::Preferred),
            // The name of a configuration in somebody's Go program.
            _ => None,
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn read(source: &str) -> Option<(String, String, u16, Option<String>)> {
            let options = go(source)?;
            let database = options.get_database().map(str::to_owned);
            let host = options
                .get_socket()
                .map_or_else(|| options.get_host().to_owned(), |socket| socket.display().to_string());
            Some((options.get_username().into(), host, options.get_port(), database))
        }

        #[test]
        fn a_source_is_read_as_by_gos_driver() {
            for (source, user, host, port, database) in [
                (
                    "server@tcp(mysql:3307)/notaryserver?parseTime=True",
                    "server",
                    "mysql",
                    3307,
                    Some("notaryserver"),
                ),
                ("u:p@ss:w/rd@tcp(db)/d", "u", "db", 3306, Some("d")),
                ("u@unix(/run/my.sock)/d?charset=utf8", "u", "/run/my.sock", 3306, Some("d")),
                ("u@tcp([::1]:3308)/d", "u", "::1", 3308, Some("d")),
                ("/d", "", "127.0.0.1", 3306, Some("d")),
                ("u@/", "u", "127.0.0.1", 3306, None),
            ] {
                let expected = (user.into(), host.into(), port, database.map(str::to_owned));
                assert_eq!(read(source), Some(expected), "{source}");
            }
            for wrong in
                ["", "u:p@tcp(db:3306)", "u@tcp(db:x)/d", "u@tcp(db/d", "u@quic(db)/d", "u@tcp(db)/d?tls=own"]
            {
                assert_eq!(read(wrong), None, "{wrong}");
            }
        }

        #[test]
        fn tls_is_what_the_source_says() {
            let mode = |source| format!("{:?}", go(source).unwrap().get_ssl_mode());
            assert_eq!(mode("u@tcp(db)/d"), "Disabled");
            assert_eq!(mode("u@tcp(db)/d?parseTime=true&tls=true"), "VerifyIdentity");
            assert_eq!(mode("u@tcp(db)/d?tls=skip-verify"), "Required");
            assert_eq!(mode("u@tcp(db)/d?tls=preferred"), "Preferred");
        }
    }
}
