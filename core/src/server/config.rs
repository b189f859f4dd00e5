//! What a server is told: one struct, whether it comes from code, from Python
//! or from Notary's configuration file.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// Settings of a [`super::Server`]. The default is a server in memory on a
/// free loopback port, over plain HTTP and without authentication.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Plain HTTP or TLS.
    pub tls: Tls,
    /// Where repositories are kept.
    pub storage: StorageConfig,
    /// Who signs snapshots and timestamps.
    pub keys: KeysConfig,
    /// Who may do what.
    pub auth: AuthConfig,
    /// Prefixes of the repositories that are served, each ending in `/`; empty: all.
    pub gun_prefixes: Vec<String>,
    /// `max-age` of current metadata.
    pub current_max_age: Duration,
    /// `max-age` of metadata by hash or version.
    pub consistent_max_age: Duration,
    /// How long a snapshot that the server makes is valid.
    pub snapshot_lifetime: Duration,
    /// How long a timestamp is valid.
    pub timestamp_lifetime: Duration,
    /// Store nothing: uploads, deletions and new keys are refused, expired
    /// timestamps are served as they are.
    pub read_only: bool,
    /// How many versions of each role to keep besides those that the live
    /// timestamp refers to; `None` keeps all.
    pub keep_versions: Option<usize>,
    /// What one client or all together may ask for.
    pub limits: Limits,
    /// Whether `/ui/` is served.
    pub ui: bool,
    /// Where the access log goes: one JSON object a line.
    pub access_log: AccessLog,
}

/// How the server speaks.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Tls {
    /// Plain HTTP.
    Off,
    /// A certificate of its own for `localhost` and the listening address, new
    /// with each start. [`super::Server::certificate_pem`] has it.
    SelfSigned,
    /// PEM files, read again on [`super::Server::reload`].
    Files {
        /// The certificate, then those above it.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
        /// If given, clients need a certificate under one of these.
        client_ca: Option<PathBuf>,
    },
}

/// Where repositories and the server's keys are kept.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageConfig {
    /// In memory; gone with the server.
    Memory,
    /// One SQLite file, made if it is not there.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// A PostgreSQL database, shared by any number of servers.
    Postgres {
        /// `postgres://user:password@host:5432/database?sslmode=…`. A secret.
        url: Zeroizing<String>,
        /// Most connections of this server.
        max_connections: u32,
    },
}

/// Where the server's snapshot and timestamp keys are.
#[derive(Clone)]
#[non_exhaustive]
pub enum KeysConfig {
    /// In the storage, encrypted with a passphrase.
    Local(Passphrases),
    /// With Notary's signer, over gRPC with TLS.
    Remote(RemoteSignerConfig),
    /// In a token: see the feature `pkcs11`.
    #[cfg(feature = "pkcs11")]
    Pkcs11 {
        /// The module's shared library.
        module: PathBuf,
        /// Label of the token.
        token: String,
        /// Its PIN.
        pin: Zeroizing<String>,
    },
}

/// Passphrases by alias; each key is encrypted with one of them.
#[derive(Clone, Default)]
pub struct Passphrases {
    /// The one for new keys; empty: a passphrase of its own is made, for memory
    /// in memory, for SQLite in a file `<database>.passphrase` with mode 0600.
    /// PostgreSQL needs one.
    pub default_alias: String,
    /// Alias in lower case, and passphrase.
    pub by_alias: Vec<(String, Zeroizing<String>)>,
}

/// Notary's remote signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteSignerConfig {
    /// Host name.
    pub hostname: String,
    /// Port.
    pub port: u16,
    /// `ecdsa` or `ed25519`.
    pub key_algorithm: String,
    /// CA of the signer's certificate, PEM; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// Client certificate and its key, PEM.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthConfig {
    /// Everyone may do everything.
    Off,
    /// Docker's token scheme.
    Token {
        /// The token server's URL.
        realm: String,
        /// Name of this service.
        service: String,
        /// Who issues the tokens.
        issuer: String,
        /// PEM file of the certificates under which tokens are signed.
        root_certificates: PathBuf,
    },
    /// A file of users and bcrypt hashes, as `htpasswd -B` makes it. Read again
    /// when it changes.
    Htpasswd {
        /// What the challenge says.
        realm: String,
        /// The file.
        path: PathBuf,
        /// Whether anyone may read without a password.
        anonymous_pull: bool,
    },
}

/// What one client or all together may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Most bytes of an upload.
    pub max_body: u64,
    /// Most connections at once; more wait to be accepted.
    pub max_connections: usize,
    /// Most uploads that are worked on at once; more are refused as busy after waiting.
    pub max_uploads: usize,
    /// How long the head of a request may take, and an idle connection stay open.
    pub header_timeout: Duration,
    /// How long one request may take in all, its body included.
    pub request_timeout: Duration,
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// To the caller's logger, target `tagtrust::access`, level info.
    Log,
    /// Appended to a file, which is opened anew on [`super::Server::reload`].
    File(PathBuf),
}

/// Without the URL of a database: it may have a password.
impl fmt::Debug for StorageConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("Memory"),
            Self::Sqlite { path } => f.debug_struct("Sqlite").field("path", path).finish(),
            Self::Postgres { max_connections, .. } => {
                f.debug_struct("Postgres").field("max_connections", max_connections).finish_non_exhaustive()
            }
        }
    }
}

/// Without the PIN.
impl fmt::Debug for KeysConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(passphrases) => f.debug_tuple("Local").field(passphrases).finish(),
            Self::Remote(signer) => f.debug_tuple("Remote").field(signer).finish(),
            #[cfg(feature = "pkcs11")]
            Self::Pkcs11 { module, token, .. } => {
                f.debug_struct("Pkcs11").field("module", module).field("token", token).finish_non_exhaustive()
            }
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: Tls::Off,
            storage: StorageConfig::Memory,
            keys: KeysConfig::Local(Passphrases::default()),
            auth: AuthConfig::Off,
            gun_prefixes: Vec::new(),
            current_max_age: Duration::from_secs(300),
            consistent_max_age: 30 * DAY,
            snapshot_lifetime: 3 * 365 * DAY,
            timestamp_lifetime: 14 * DAY,
            read_only: false,
            keep_versions: None,
            limits: Limits::default(),
            ui: true,
            access_log: AccessLog::Off,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body: crate::trust::MAX_FILE_BYTES,
            max_connections: 16_384,
            max_uploads: 16,
            header_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(300),
        }
    }
}

impl ServerConfig {
    /// Reads an address to listen at: `127.0.0.1:4443`, `localhost:0`, or as
    /// Notary has it `:4443`, which is every address of the machine.
    pub fn address(text: &str) -> Result<SocketAddr> {
        let invalid =
            |reason: String| Error::InvalidConfiguration { what: format!("address {text:?}"), reason };
        if let Some(port) = text.strip_prefix(':') {
            let port = port.parse().map_err(|_| invalid("the port is not a number up to 65535".into()))?;
            // Takes IPv4 too, where there is IPv6 at all.
            let has_ipv6 = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok();
            return Ok(match has_ipv6 {
                true => SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
                false => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
            });
        }
        let mut found = text.to_socket_addrs().map_err(|error| invalid(error.to_string()))?;
        found.next().ok_or_else(|| invalid("has no address".into()))
    }
}

/// `memory`, `sqlite:FILE`, or the URL of a PostgreSQL database, `postgres://…`.
impl FromStr for StorageConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // Connections of one server; PostgreSQL allows 100 in all unless told otherwise.
        const MAX_CONNECTIONS: u32 = 16;
        // The text itself may hold a password.
        let invalid =
            |reason: &str| Err(Error::InvalidConfiguration { what: "storage".into(), reason: reason.into() });
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("sqlite", path)) if path.is_empty() || path.starts_with("//") => {
                invalid("give a file, as in sqlite:trust.db or sqlite:/var/lib/tagtrust/trust.db")
            }
            Some(("sqlite", path)) => Ok(Self::Sqlite { path: path.into() }),
            Some(("postgres" | "postgresql", _)) => {
                Ok(Self::Postgres { url: Zeroizing::new(text.to_owned()), max_connections: MAX_CONNECTIONS })
            }
            _ => invalid("must be memory, sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_notary_has_it_too() {
        assert_eq!(
            ServerConfig::address("127.0.0.1:4443").unwrap(),
            SocketAddr::from(([127, 0, 0, 1], 4443))
        );
        assert!(ServerConfig::address("localhost:0").unwrap().ip().is_loopback());
        let everywhere = ServerConfig::address(":4443").unwrap();
        assert!(everywhere.ip().is_unspecified() && everywhere.port() == 4443);
        for wrong in ["", "4443", "127.0.0.1", ":", ":x", ":65536", "127.0.0.1:65536"] {
            assert!(
                matches!(ServerConfig::address(wrong), Err(Error::InvalidConfiguration { .. })),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn a_storage_has_one_spelling_and_its_secret_stands_in_no_error() {
        let read = |text: &str| text.parse::<StorageConfig>();
        assert_eq!(read("memory"), Ok(StorageConfig::Memory));
        assert_eq!(read("sqlite:/a b.db"), Ok(StorageConfig::Sqlite { path: "/a b.db".into() }));
        assert!(matches!(read("postgres://a:b@c/d"), Ok(StorageConfig::Postgres { .. })));
        for wrong in ["", "Memory", "memory:", "sqlite:", "sqlite:///a", "mysql://a:secret@b/c", "/a"] {
            let error = read(wrong).unwrap_err();
            assert!(
                matches!(error, Error::InvalidConfiguration { .. }) && !error.to_string().contains("secret")
            );
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let url = "postgres://u:geheim@h/d".to_owned().into();
        let storage = StorageConfig::Postgres { url, max_connections: 3 };
        let by_alias = vec![("a".to_owned(), "geheim".to_owned().into())];
        let keys = KeysConfig::Local(Passphrases { default_alias: "a".into(), by_alias });
        let shown = format!("{:?}", ServerConfig { storage, keys, ..ServerConfig::default() });
        assert!(shown.contains("max_connections: 3") && !shown.contains("geheim"), "{shown}");
    }
}
