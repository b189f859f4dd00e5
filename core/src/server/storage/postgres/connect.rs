//! The URL, as Notary's driver (lib/pq) reads it, and the pool of connections.

use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};

use crate::{Error, Result};

/// How long to wait for a free connection, or for PostgreSQL to come back.
const ACQUIRE: Duration = Duration::from_secs(5);

/// A transaction that does nothing holds locks that others wait for. So one
/// whose server hangs ends before those who wait give up.
const TIMEOUTS: [(&str, &str); 2] = [("idle_in_transaction_session_timeout", "5s"), ("lock_timeout", "10s")];

/// Weaker than lib/pq in one thing: sqlx trusts the system's certificate
/// authorities, too, where `sslrootcert` is given. `verify-full` makes up for it.
pub(super) fn options(url: &str, read_only: bool) -> Result<PgConnectOptions> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(invalid("it does not start with postgres://".to_owned()));
    }
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let query: Vec<String> = query.split('&').filter_map(parameter).collect();
    let given =
        |name: &str| query.iter().any(|pair| pair.split_once('=').is_some_and(|(key, _)| key == name));

    let url = format!("{address}?{}", query.join("&"));
    let options: PgConnectOptions = url.parse().map_err(|error: sqlx::Error| {
        // It says so once for each layer.
        invalid(error.to_string().trim_start_matches("error with configuration: ").to_owned())
    })?;
    let mode = match options.get_ssl_mode() {
        // Never over a socket, as in lib/pq.
        _ if options.get_socket().is_some() || options.get_host().starts_with('/') => PgSslMode::Disable,
        // lib/pq's default.
        _ if !given("sslmode") && std::env::var_os("PGSSLMODE").is_none() => PgSslMode::Require,
        mode => mode,
    };
    let mode = match mode {
        // As in lib/pq: whoever gives a root certificate wants it checked.
        PgSslMode::Require if given("sslrootcert") => PgSslMode::VerifyCa,
        mode => mode,
    };
    let options = options.ssl_mode(mode).options(TIMEOUTS).disable_statement_logging();
    Ok(match read_only {
        true => options.options([("default_transaction_read_only", "on")]),
        false => options,
    })
}

pub(super) async fn pool(options: PgConnectOptions, max_connections: u32) -> sqlx::Result<PgPool> {
    PgPoolOptions::new()
        .max_connections(max_connections.max(1))
        .acquire_timeout(ACQUIRE)
        // So that nobody gets one from before a restart of PostgreSQL.
        .test_before_acquire(true)
        .connect_with(options)
        .await
}

/// One parameter of the URL as sqlx wants it. What neither knows is a setting
/// of the session, as in lib/pq.
fn parameter(pair: &str) -> Option<String> {
    let (name, value) = pair.split_once('=')?;
    Some(match name {
        "sslmode" | "sslrootcert" | "sslcert" | "sslkey" | "host" | "hostaddr" | "port" | "dbname"
        | "user" | "password" | "application_name" | "options" => pair.to_owned(),
        "fallback_application_name" => format!("application_name={value}"),
        // Of lib/pq itself.
        "connect_timeout" | "binary_parameters" | "sslinline" | "sslsni" => return None,
        _ => format!("options[{name}]={value}"),
    })
}

fn invalid(reason: String) -> Error {
    Error::InvalidConfiguration { what: "URL of the PostgreSQL database".to_owned(), reason }
}

/// An error that names the database, never its password.
pub(super) fn refused(options: &PgConnectOptions, reason: impl ToString) -> Error {
    let host = options.get_socket().map_or(options.get_host().into(), |socket| socket.to_string_lossy());
    let database = options.get_database().unwrap_or(options.get_username());
    let path = format!("PostgreSQL database {database} at {host}:{}", options.get_port());
    Error::StoreError { path, reason: reason.to_string() }
}
