//! notary-server's configuration file, as it is: the same keys, the same
//! overrides from the environment, the same words where it does not start.
//! What Notary has not is under `tagtrust`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use log::LevelFilter;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{
    AccessLog, AuthConfig, KeysConfig, Limits, Passphrases, RemoteSignerConfig, ServerConfig, StorageConfig,
    Tls,
};
use crate::error::{Error, Result};

/// Notary's limit of `caching.max_age`: one year.
const MAX_MAX_AGE: u64 = 31_536_000;
/// Deepest nesting of a configuration file. Stops one that would fill the stack.
const MAX_DEPTH: usize = 8;
/// Before the names of the environment variables that override keys.
const ENVIRONMENT: &str = "NOTARY_SERVER_";

/// What is in notary-server's configuration file.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NotaryConfig {
    /// For [`super::Server::start`].
    pub server: ServerConfig,
    /// `logging.level`; errors only where the file does not say.
    pub log_level: LevelFilter,
}

impl NotaryConfig {
    /// Reads a JSON file and what this process's environment says otherwise:
    /// `NOTARY_SERVER_STORAGE_DB_URL` for the key `db_url` of `storage`. Keys
    /// that are not known are named in the log.
    ///
    /// # Errors
    /// [`Error::InvalidConfiguration`], with the file, line and key.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self::parse(path, &text, environment)
    }

    fn parse(path: &Path, text: &str, environment: BTreeMap<String, String>) -> Result<Self> {
        let file = File::read(path, text, environment)?;
        let log_level = file.log_level()?;
        let gun_prefixes = file.gun_prefixes()?;
        file.pass_over("reporting", "is not used here");
        let keys = file.keys()?;
        let storage = file.storage()?;
        let defaults = ServerConfig::default();
        let current_max_age = file.max_age("current_metadata", defaults.current_max_age)?;
        let consistent_max_age = file.max_age("consistent_metadata", defaults.consistent_max_age)?;
        let server = ServerConfig {
            listen: file.listen()?,
            tls: file.tls()?,
            storage,
            keys,
            auth: file.auth()?,
            gun_prefixes,
            current_max_age,
            consistent_max_age,
            snapshot_lifetime: file.days("tagtrust.snapshot_days", defaults.snapshot_lifetime)?,
            timestamp_lifetime: file.days("tagtrust.timestamp_days", defaults.timestamp_lifetime)?,
            read_only: file.value("tagtrust.read_only")?.unwrap_or(defaults.read_only),
            keep_versions: file.keep_versions()?,
            limits: file.limits()?,
            ui: file.value("tagtrust.ui")?.unwrap_or(defaults.ui),
            access_log: file.access_log()?,
        };
        file.warn_of_unknown_keys();
        Ok(Self { server, log_level })
    }
}

/// A database of Notary. Holds a secret.
pub(super) enum NotaryDatabase {
    /// A URL.
    Postgres(Zeroizing<String>),
    /// What Go's driver takes, or a URL.
    MySql(Zeroizing<String>),
}

impl NotaryDatabase {
    /// Reads a configuration file of notary-server or notary-signer, or what
    /// would stand there as `db_url`.
    pub(super) fn read(source: &str) -> Result<Self> {
        if Path::new(source).is_file() {
            return Self::of_file(Path::new(source));
        }
        if source.starts_with("mysql:") || source.starts_with("mariadb:") || source.contains(")/") {
            return Ok(Self::MySql(Zeroizing::new(source.to_owned())));
        }
        let reason = "is neither a file nor a database: give Notary's configuration file, or its db_url";
        postgres_url(source).map(Self::Postgres).ok_or_else(|| Error::InvalidConfiguration {
            what: "source of the takeover".into(),
            reason: reason.into(),
        })
    }

    /// Without the environment: that speaks of the new server.
    fn of_file(path: &Path) -> Result<Self> {
        const KEY: &str = "storage.backend";
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
        let file = File::read(path, &text, BTreeMap::new())?;
        match file.text(KEY)?.as_deref() {
            Some("postgres") => file.database_url("postgres").map(Self::Postgres),
            Some("mysql") => file.database_url("mysql").map(Self::MySql),
            _ => Err(file.fault(KEY, "only postgres and mysql can be taken over")),
        }
    }
}

/// The keys of a file, and the environment before them.
struct File<'a> {
    path: &'a Path,
    /// By path in lower case with dots.
    keys: BTreeMap<String, Key>,
    environment: BTreeMap<String, String>,
    /// Keys that were asked for.
    known: RefCell<BTreeSet<String>>,
}

struct Key {
    value: Value,
    line: usize,
}

// The sections, in the order in which notary-server checks them.
impl File<'_> {
    fn log_level(&self) -> Result<LevelFilter> {
        const KEY: &str = "logging.level";
        let Some(level) = self.text(KEY)? else {
            return Ok(LevelFilter::Error);
        };
        match level.to_ascii_lowercase().as_str() {
            // Of these two there are no lines here.
            "panic" | "fatal" => Ok(LevelFilter::Off),
            "error" => Ok(LevelFilter::Error),
            "warn" | "warning" => Ok(LevelFilter::Warn),
            "info" => Ok(LevelFilter::Info),
            "debug" => Ok(LevelFilter::Debug),
            "trace" => Ok(LevelFilter::Trace),
            _ => Err(self.fault(KEY, format!("not a valid logrus Level: {level:?}"))),
        }
    }

    fn gun_prefixes(&self) -> Result<Vec<String>> {
        const KEY: &str = "repositories.gun_prefixes";
        let prefixes = self.list(KEY)?;
        for prefix in &prefixes {
            // Clean, relative, and ending in a slash.
            let clean = |path: &str| {
                path.trim() == path
                    && path.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
                    && !path.starts_with("..")
            };
            if !prefix.strip_suffix('/').is_some_and(clean) {
                return Err(self.fault(KEY, format!("invalid GUN prefix {prefix}")));
            }
        }
        Ok(prefixes)
    }

    fn keys(&self) -> Result<KeysConfig> {
        const KEY: &str = "trust_service.type";
        match self.text(KEY)?.as_deref() {
            Some("local") => {
                self.pass_over("trust_service", "is not used by the local signing service");
                let mut passphrases = Passphrases::from_environment();
                if let Some(alias) = self.text("tagtrust.passphrase_alias")? {
                    passphrases.default_alias = alias.to_lowercase();
                }
                Ok(KeysConfig::Local(passphrases))
            }
            Some("remote") => self.remote_signer().map(KeysConfig::Remote),
            #[cfg(feature = "pkcs11")]
            Some("pkcs11") => Ok(KeysConfig::Pkcs11 {
                module: self
                    .path("trust_service.module")?
                    .ok_or_else(|| self.missing("trust_service.module"))?,
                token: self.required("trust_service.token")?,
                pin: self.required("trust_service.pin")?.into(),
            }),
            _ => Err(self.fault(KEY, "must specify either a \"local\" or \"remote\" type for trust_service")),
        }
    }

    fn remote_signer(&self) -> Result<RemoteSignerConfig> {
        const ALGORITHM: &str = "trust_service.key_algorithm";
        let key_algorithm = self.text(ALGORITHM)?.unwrap_or_default();
        // Stricter: notary-server takes "rsa" too, and then no key can be made.
        if !matches!(key_algorithm.as_str(), "ecdsa" | "ed25519") {
            return Err(self.fault(ALGORITHM, format!("invalid key algorithm configured: {key_algorithm}")));
        }
        let client =
            (self.path("trust_service.tls_client_cert")?, self.path("trust_service.tls_client_key")?);
        let client = match client {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                let reason = "either pass both client key and cert, or neither";
                return Err(self.fault("trust_service.tls_client_cert", reason));
            }
        };
        Ok(RemoteSignerConfig {
            hostname: self.required("trust_service.hostname")?,
            port: self.value("trust_service.port")?.ok_or_else(|| self.missing("trust_service.port"))?,
            key_algorithm,
            ca: self.path("trust_service.tls_ca_file")?,
            client,
        })
    }

    fn storage(&self) -> Result<StorageConfig> {
        const KEY: &str = "storage.backend";
        const URL: &str = "storage.db_url";
        let backend = self.text(KEY)?.unwrap_or_default();
        match backend.as_str() {
            "memory" => {
                self.pass_over("storage", "is not used by the memory backend");
                Ok(StorageConfig::Memory)
            }
            "sqlite" | "sqlite3" => {
                let path = self.path(URL)?.ok_or_else(|| self.no_database_source(&backend))?;
                Ok(StorageConfig::Sqlite { path })
            }
            "postgres" => {
                let mut storage = self.database_url(&backend)?.parse()?;
                if let StorageConfig::Postgres { max_connections, .. } = &mut storage
                    && let Some(most) = self.value("tagtrust.database_connections")?
                {
                    *max_connections = most;
                }
                Ok(storage)
            }
            "mysql" | "rethinkdb" => {
                let how = match backend.as_str() {
                    "mysql" => "take it over with `tagtrust-server takeover`",
                    _ => "move it to PostgreSQL or MySQL with Notary's means and take that over",
                };
                let reason = format!(
                    "{backend} is not a storage of tagtrust-server; use sqlite or postgres, and {how}"
                );
                Err(self.fault(KEY, reason))
            }
            _ => Err(self.fault(KEY, format!("{backend} is not a supported storage backend"))),
        }
    }

    /// `storage.db_url`, one of PostgreSQL always as a URL.
    fn database_url(&self, backend: &str) -> Result<Zeroizing<String>> {
        const URL: &str = "storage.db_url";
        let source = self.text(URL)?.ok_or_else(|| self.no_database_source(backend))?;
        let source = Zeroizing::new(source);
        if backend != "postgres" {
            return Ok(source);
        }
        let reason = || self.fault(URL, "failed to parse the database source for postgres");
        postgres_url(&source).ok_or_else(reason)
    }

    fn no_database_source(&self, backend: &str) -> Error {
        self.fault("storage.db_url", format!("must provide a non-empty database source for {backend}"))
    }

    fn max_age(&self, of: &str, default: Duration) -> Result<Duration> {
        let key = format!("caching.max_age.{of}");
        let Some(text) = self.text(&key)? else {
            return Ok(default);
        };
        match text.parse() {
            Ok(seconds) if seconds <= MAX_MAX_AGE => Ok(Duration::from_secs(seconds)),
            _ => {
                let reason = format!("must specify a cache-control max-age between 0 and {MAX_MAX_AGE}");
                Err(self.fault(&key, reason))
            }
        }
    }

    fn listen(&self) -> Result<std::net::SocketAddr> {
        const KEY: &str = "server.http_addr";
        let address =
            self.text(KEY)?.ok_or_else(|| self.fault(KEY, "http listen address required for server"))?;
        ServerConfig::address(&address).map_err(|error| match error {
            Error::InvalidConfiguration { what, reason } => self.fault(KEY, format!("{what}: {reason}")),
            other => other,
        })
    }

    fn tls(&self) -> Result<Tls> {
        const OWN: &str = "tagtrust.tls";
        let certificate = self.path("server.tls_cert_file")?;
        let key = self.path("server.tls_key_file")?;
        let client_ca = self.path("server.client_ca_file")?;
        let self_signed = match self.text(OWN)?.as_deref() {
            None => false,
            Some("self-signed") => true,
            Some(_) => return Err(self.fault(OWN, "can only be \"self-signed\"")),
        };
        match (certificate, key, client_ca) {
            (None, None, None) if self_signed => Ok(Tls::SelfSigned),
            (None, None, None) => Ok(Tls::Off),
            (Some(_), ..) if self_signed => {
                Err(self.fault(OWN, "there is a certificate in server.tls_cert_file"))
            }
            (Some(certificate), Some(key), client_ca) => Ok(Tls::Files { certificate, key, client_ca }),
            _ => Err(self.fault(
                "server.tls_cert_file",
                "either include both a cert and key file, or no TLS information at all to disable TLS",
            )),
        }
    }

    fn auth(&self) -> Result<AuthConfig> {
        const KEY: &str = "auth.type";
        let option = |name: &str| {
            let key = format!("auth.options.{name}");
            let reason = || self.fault(&key, format!("token auth requires a valid option string: {name:?}"));
            self.text(&key)?.ok_or_else(reason)
        };
        match self.text(KEY)?.as_deref() {
            None => Ok(AuthConfig::Off),
            Some("token") => Ok(AuthConfig::Token {
                realm: option("realm")?,
                issuer: option("issuer")?,
                service: option("service")?,
                // As in notary-server, not relative to the file.
                root_certificates: option("rootcertbundle")?.into(),
            }),
            Some("htpasswd") => Ok(AuthConfig::Htpasswd {
                realm: self.required("auth.options.realm")?,
                path: self.path("auth.options.path")?.ok_or_else(|| self.missing("auth.options.path"))?,
                anonymous_pull: self.value("auth.options.anonymous_pull")?.unwrap_or(false),
            }),
            // Stricter: notary-server would serve everyone.
            Some(other) => Err(self.fault(KEY, format!("{other:?} is neither \"token\" nor \"htpasswd\""))),
        }
    }

    fn keep_versions(&self) -> Result<Option<usize>> {
        const KEY: &str = "tagtrust.keep_versions";
        match self.value(KEY)? {
            Some(0) => Err(self.fault(KEY, "must be at least 1")),
            keep => Ok(keep),
        }
    }

    fn limits(&self) -> Result<Limits> {
        let defaults = Limits::default();
        let seconds = |key| Ok::<_, Error>(self.value(key)?.map(Duration::from_secs));
        Ok(Limits {
            max_body: self.value("tagtrust.limits.max_body")?.unwrap_or(defaults.max_body),
            max_connections: self
                .value("tagtrust.limits.max_connections")?
                .unwrap_or(defaults.max_connections),
            max_uploads: self.value("tagtrust.limits.max_uploads")?.unwrap_or(defaults.max_uploads),
            header_timeout: seconds("tagtrust.limits.header_timeout")?.unwrap_or(defaults.header_timeout),
            request_timeout: seconds("tagtrust.limits.request_timeout")?.unwrap_or(defaults.request_timeout),
        })
    }

    fn access_log(&self) -> Result<AccessLog> {
        const KEY: &str = "tagtrust.access_log";
        Ok(match self.text(KEY)?.as_deref() {
            None | Some("off") => AccessLog::Off,
            Some("log") => AccessLog::Log,
            Some(_) => self.path(KEY)?.map_or(AccessLog::Off, AccessLog::File),
        })
    }

    fn days(&self, key: &str, default: Duration) -> Result<Duration> {
        const DAY: u64 = 24 * 60 * 60;
        match self.value::<u32>(key)? {
            Some(0) => Err(self.fault(key, "must be at least 1")),
            days => Ok(days.map_or(default, |days| Duration::from_secs(u64::from(days) * DAY))),
        }
    }
}

// How a key is read.
impl<'a> File<'a> {
    fn read(path: &'a Path, text: &str, environment: BTreeMap<String, String>) -> Result<Self> {
        let mut keys = BTreeMap::new();
        let top = serde_json::from_str::<&RawValue>(text);
        top.and_then(|top| flatten(text, "", top, MAX_DEPTH, &mut keys)).map_err(|error| {
            let what = format!("{}:{}:{}", path.display(), error.line(), error.column());
            Error::InvalidConfiguration { what, reason: format!("could not read config: {error}") }
        })?;
        Ok(Self { path, keys, environment, known: RefCell::default() })
    }

    /// A scalar as text; `None` if it is absent or empty, which is the same to Notary.
    fn text(&self, key: &str) -> Result<Option<String>> {
        self.known.borrow_mut().insert(key.to_owned());
        let text = match (self.overridden(key), self.keys.get(key).map(|key| &key.value)) {
            (Some(text), _) => text.to_owned(),
            (_, None | Some(Value::Null)) => return Ok(None),
            (_, Some(Value::String(text))) => text.clone(),
            (_, Some(scalar @ (Value::Number(_) | Value::Bool(_)))) => scalar.to_string(),
            _ => return Err(self.fault(key, "must be a single value")),
        };
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// What the environment says instead; an empty variable says nothing.
    fn overridden(&self, key: &str) -> Option<&str> {
        self.environment.get(&variable(key)).map(String::as_str).filter(|text| !text.is_empty())
    }

    fn required(&self, key: &str) -> Result<String> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    fn value<T: FromStr<Err: std::fmt::Display>>(&self, key: &str) -> Result<Option<T>> {
        let parse = |text: String| {
            text.parse().map_err(|error: T::Err| self.fault(key, format!("{text:?}: {error}")))
        };
        self.text(key)?.map(parse).transpose()
    }

    /// Relative to the directory of the file.
    fn path(&self, key: &str) -> Result<Option<PathBuf>> {
        let directory = self.path.parent().unwrap_or(Path::new(""));
        Ok(self.text(key)?.map(|path| directory.join(path)))
    }

    /// A list, or a text with words.
    fn list(&self, key: &str) -> Result<Vec<String>> {
        if let (None, Some(Value::Array(items))) =
            (self.overridden(key), self.keys.get(key).map(|key| &key.value))
        {
            self.known.borrow_mut().insert(key.to_owned());
            let item = |item: &Value| item.as_str().map(str::to_owned);
            let reason = || self.fault(key, "must be a list of texts");
            return items.iter().map(item).collect::<Option<_>>().ok_or_else(reason);
        }
        Ok(self.text(key)?.unwrap_or_default().split_whitespace().map(str::to_owned).collect())
    }

    fn missing(&self, key: &str) -> Error {
        self.fault(key, "is missing")
    }

    /// The value is not repeated unless the reason has it: it may be a secret.
    fn fault(&self, key: &str, reason: impl Into<String>) -> Error {
        let what = match self.keys.get(key) {
            _ if self.overridden(key).is_some() => {
                format!("{key}, from the environment variable {}", variable(key))
            }
            Some(Key { line, .. }) => format!("{}:{line}: {key}", self.path.display()),
            None => format!("{}: {key}", self.path.display()),
        };
        Error::InvalidConfiguration { what, reason: reason.into() }
    }

    /// Marks what is below a key as known, though nobody asks for it.
    fn pass_over(&self, section: &str, why: &str) {
        let below = format!("{section}.");
        for key in self.keys.keys().filter(|key| key.starts_with(&below)) {
            if self.known.borrow_mut().insert(key.clone()) {
                log::info!("{key} {why}");
            }
        }
    }

    fn warn_of_unknown_keys(&self) {
        for (name, key) in &self.keys {
            if !self.known.borrow().contains(name) {
                log::warn!("{}:{}: {name} is not known, and ignored", self.path.display(), key.line);
            }
        }
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    let reason = format!("could not read config: {error}");
    Error::InvalidConfiguration { what: path.display().to_string(), reason }
}

fn variable(key: &str) -> String {
    format!("{ENVIRONMENT}{}", key.to_uppercase().replace('.', "_"))
}

/// Puts every value that is no object under its path in lower case: Notary does
/// not distinguish case either.
fn flatten(
    whole: &str,
    path: &str,
    raw: &RawValue,
    depth: usize,
    keys: &mut BTreeMap<String, Key>,
) -> serde_json::Result<()> {
    if raw.get().starts_with('{') && depth > 0 {
        for (name, raw) in serde_json::from_str::<BTreeMap<String, &RawValue>>(raw.get())? {
            let name = name.to_lowercase();
            let path = if path.is_empty() { name } else { format!("{path}.{name}") };
            flatten(whole, &path, raw, depth - 1, keys)?;
        }
        return Ok(());
    }
    // The raw value is a part of the whole text.
    let offset = (raw.get().as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    let line = whole.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
    let key = Key { value: serde_json::from_str(raw.get())?, line };
    keys.insert(path.to_owned(), key);
    Ok(())
}

/// What Notary's driver takes, as a URL with what it takes for granted: TLS, if
/// over the network. `None` if it is neither a URL nor `key=value` pairs.
fn postgres_url(source: &str) -> Option<Zeroizing<String>> {
    let is_url = source.starts_with("postgres://") || source.starts_with("postgresql://");
    let mut url = Zeroizing::new(String::new());
    if is_url {
        url.push_str(source);
    } else {
        let pairs = key_values(source)?;
        url.push_str("postgres://");
        // All as parameters, so that a host may be the directory of a socket.
        for (number, (key, value)) in pairs.iter().enumerate() {
            url.push(if number == 0 { '?' } else { '&' });
            url.push_str(key);
            url.push('=');
            url.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
    }
    let socket = url.contains("host=/") || url.contains("host=%2F") || url.contains("@%2F");
    if !url.contains("sslmode=") && !socket {
        let separator = if url.contains('?') { '&' } else { '?' };
        url.push(separator);
        url.push_str("sslmode=require");
    }
    Some(url)
}

/// `host=db user=x password='it\'s'`
fn key_values(source: &str) -> Option<Vec<(String, Zeroizing<String>)>> {
    let mut pairs = Vec::new();
    let mut rest = source.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let mut value = Zeroizing::new(String::new());
        let mut characters = after.trim_start().chars();
        let quoted = characters.as_str().starts_with('\'');
        if quoted {
            characters.next();
        }
        loop {
            match characters.next() {
                Some('\\') => value.push(characters.next()?),
                Some('\'') if quoted => break,
                Some(character) if !quoted && character.is_whitespace() => break,
                None if quoted => return None,
                None => break,
                Some(character) => value.push(character),
            }
        }
        pairs.push((key.trim().to_owned(), value));
        rest = characters.as_str().trim_start();
    }
    (!pairs.is_empty()).then_some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notary's documented example, with PostgreSQL.
    const DOCUMENTED: &str = r#"{
  "server": {
    "http_addr": "127.0.0.1:4443",
    "tls_key_file": "./fixtures/notary-server.key",
    "tls_cert_file": "./fixtures/notary-server.crt"
  },
  "trust_service": {
    "type": "remote",
    "hostname": "notarysigner",
    "port": "7899",
    "key_algorithm": "ecdsa",
    "tls_ca_file": "./fixtures/root-ca.crt",
    "tls_client_cert": "./fixtures/notary-server.crt",
    "tls_client_key": "./fixtures/notary-server.key"
  },
  "storage": {
    "backend": "postgres",
    "db_url": "postgres://server@db:5432/notaryserver?sslmode=disable"
  },
  "auth": {
    "type": "token",
    "options": {
      "realm": "https://auth.docker.io/token",
      "service": "notary-server",
      "issuer": "auth.docker.io",
      "rootcertbundle": "/path/to/auth.docker.io/cert"
    }
  },
  "logging": {"level": "debug"},
  "reporting": {"bugsnag": {"api_key": "c9d60ae4c7e70c4b6c4ebd3e8056d2b8", "release_stage": "production"}},
  "caching": {"max_age": {"current_metadata": 60, "consistent_metadata": 31536000}},
  "repositories": {"gun_prefixes": ["docker.io/", "my-own-registry.com/a/"]}
}"#;
    const SMALL: &str = r#"{
  "server": {"http_addr": "127.0.0.1:0"},
  "trust_service": {"type": "local"},
  "storage": {"backend": "memory"}
}"#;

    fn parse(text: &str, environment: &[(&str, &str)]) -> Result<NotaryConfig> {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        NotaryConfig::parse(
            Path::new("/etc/notary/server.json"),
            text,
            environment.iter().map(pair).collect(),
        )
    }

    /// `SMALL` with a value in another place.
    fn with(pointer: &str, value: Value) -> String {
        let mut config: Value = serde_json::from_str(SMALL).unwrap();
        let mut place = &mut config;
        for name in pointer.split('.') {
            let map = place.as_object_mut().unwrap();
            place = map.entry(name).or_insert_with(|| Value::Object(Default::default()));
        }
        *place = value;
        config.to_string()
    }

    fn fault(text: &str) -> (String, String) {
        match parse(text, &[]) {
            Err(Error::InvalidConfiguration { what, reason }) => (what, reason),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn the_documented_example_is_read_as_it_is() {
        let NotaryConfig { server, log_level } = parse(DOCUMENTED, &[]).unwrap();
        assert_eq!(log_level, LevelFilter::Debug);
        assert_eq!(server.listen.to_string(), "127.0.0.1:4443");
        let Tls::Files { certificate, key, client_ca: None } = server.tls else { panic!() };
        assert_eq!(certificate, Path::new("/etc/notary/./fixtures/notary-server.crt"));
        assert_eq!(key, Path::new("/etc/notary/./fixtures/notary-server.key"));
        let KeysConfig::Remote(signer) = server.keys else { panic!() };
        assert_eq!((signer.hostname.as_str(), signer.port), ("notarysigner", 7899));
        assert_eq!(signer.key_algorithm, "ecdsa");
        assert!(signer.ca.is_some() && signer.client.is_some());
        let StorageConfig::Postgres { url, .. } = server.storage else { panic!() };
        assert_eq!(url.as_str(), "postgres://server@db:5432/notaryserver?sslmode=disable");
        assert_eq!(
            server.auth,
            AuthConfig::Token {
                realm: "https://auth.docker.io/token".into(),
                service: "notary-server".into(),
                issuer: "auth.docker.io".into(),
                root_certificates: "/path/to/auth.docker.io/cert".into(),
            }
        );
        assert_eq!(server.current_max_age, Duration::from_secs(60));
        assert_eq!(server.consistent_max_age, Duration::from_secs(31_536_000));
        assert_eq!(server.gun_prefixes, ["docker.io/", "my-own-registry.com/a/"]);
        assert!(!server.read_only && server.keep_versions.is_none());
    }

    #[test]
    fn the_environment_comes_before_the_file_and_case_does_not_matter() {
        let text = SMALL.replace("http_addr", "HTTP_Addr").replace("backend", "Backend");
        let environment = [
            ("NOTARY_SERVER_SERVER_HTTP_ADDR", "127.0.0.1:7"),
            ("NOTARY_SERVER_REPOSITORIES_GUN_PREFIXES", "a/ b/c/"),
            ("NOTARY_SERVER_LOGGING_LEVEL", "INFO"),
            ("NOTARY_SERVER_STORAGE_BACKEND", ""),
            ("NOTARY_SERVER_TAGTRUST_READ_ONLY", "true"),
        ];
        let config = parse(&text, &environment).unwrap();
        assert_eq!(config.server.listen.port(), 7);
        assert_eq!(config.server.gun_prefixes, ["a/", "b/c/"]);
        assert_eq!(config.log_level, LevelFilter::Info);
        assert_eq!(config.server.storage, StorageConfig::Memory);
        assert!(config.server.read_only);
    }

    #[test]
    fn what_notary_server_does_not_start_with_is_refused_in_its_words() {
        for (pointer, value, said) in [
            ("server.http_addr", "", "http listen address required for server"),
            ("server.tls_cert_file", "a.crt", "either include both a cert and key file"),
            ("server.tls_key_file", "a.key", "either include both a cert and key file"),
            ("server.client_ca_file", "ca.crt", "either include both a cert and key file"),
            (
                "trust_service.type",
                "",
                "must specify either a \"local\" or \"remote\" type for trust_service",
            ),
            ("trust_service.type", "remote", "invalid key algorithm configured: "),
            ("storage.backend", "", " is not a supported storage backend"),
            ("storage.backend", "redis", "redis is not a supported storage backend"),
            ("storage.backend", "postgres", "must provide a non-empty database source for postgres"),
            ("storage.backend", "sqlite", "must provide a non-empty database source for sqlite"),
            ("storage.backend", "mysql", "tagtrust-server takeover"),
            ("storage.backend", "rethinkdb", "not a storage of tagtrust-server"),
            ("auth.type", "token", "token auth requires a valid option string: \"realm\""),
            ("auth.type", "htpasswd", "is missing"),
            ("auth.type", "none", "neither \"token\" nor \"htpasswd\""),
            (
                "caching.max_age.current_metadata",
                "31536001",
                "a cache-control max-age between 0 and 31536000",
            ),
            ("caching.max_age.consistent_metadata", "-1", "a cache-control max-age between 0 and 31536000"),
            ("caching.max_age.current_metadata", "5m", "a cache-control max-age between 0 and 31536000"),
            ("logging.level", "loud", "not a valid logrus Level: \"loud\""),
            ("tagtrust.tls", "yes", "self-signed"),
            ("tagtrust.keep_versions", "0", "at least 1"),
            ("tagtrust.read_only", "maybe", "maybe"),
        ] {
            let (what, reason) = fault(&with(pointer, value.into()));
            assert!(reason.contains(said), "{pointer} {value}: {reason}");
            assert!(what.starts_with("/etc/notary/server.json:"), "{what}");
        }
        for prefix in ["docker.io", "/docker.io/", "../a/", "a//", "a/./", " a/", "/", ""] {
            let (_, reason) = fault(&with("repositories.gun_prefixes", [prefix].as_slice().into()));
            assert_eq!(reason, format!("invalid GUN prefix {prefix}"));
        }
    }

    #[test]
    fn a_fault_names_file_line_and_key_or_the_variable_and_no_secret() {
        let text = SMALL.replace("\"memory\"", "\"mysql\", \"db_url\": \"a:secret@/b\"");
        let (what, reason) = fault(&text);
        assert_eq!(what, "/etc/notary/server.json:4: storage.backend");
        assert!(!reason.contains("secret"));
        let error = parse(SMALL, &[("NOTARY_SERVER_STORAGE_BACKEND", "redis")]).unwrap_err();
        assert!(error.to_string().contains("NOTARY_SERVER_STORAGE_BACKEND"), "{error}");
        let environment =
            [("NOTARY_SERVER_STORAGE_BACKEND", "postgres"), ("NOTARY_SERVER_STORAGE_DB_URL", "secret")];
        assert!(!parse(SMALL, &environment).unwrap_err().to_string().contains("secret"));
        let (what, reason) = fault("{\n  \"server\": {,}\n}");
        assert!(what.starts_with("/etc/notary/server.json:2:"), "{what} {reason}");
        for broken in ["", "[]x", "{\"a\": {\"b\": 1}", "{\"server\": {\"http_addr\": [1]}}"] {
            fault(broken);
        }
    }

    #[test]
    fn deep_nesting_is_no_reason_to_fall_over() {
        let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
        fault(&deep);
    }

    #[test]
    fn what_notary_has_not_is_under_tagtrust() {
        let text = r#"{
          "server": {"http_addr": "127.0.0.1:0"},
          "trust_service": {"type": "local"},
          "storage": {"backend": "sqlite3", "db_url": "trust.db"},
          "auth": {"type": "htpasswd", "options": {"realm": "here", "path": "users", "anonymous_pull": true}},
          "tagtrust": {"tls": "self-signed", "keep_versions": 3, "ui": false, "access_log": "access.log",
            "passphrase_alias": "Second", "snapshot_days": 90, "timestamp_days": 1,
            "limits": {"max_body": 1000, "max_connections": 10, "max_uploads": 2, "header_timeout": 5, "request_timeout": 6}}
        }"#;
        let config = parse(text, &[]).unwrap().server;
        assert!(matches!(config.tls, Tls::SelfSigned));
        assert_eq!(config.storage, StorageConfig::Sqlite { path: "/etc/notary/trust.db".into() });
        assert_eq!(
            config.auth,
            AuthConfig::Htpasswd {
                realm: "here".into(),
                path: "/etc/notary/users".into(),
                anonymous_pull: true
            }
        );
        assert_eq!(config.keep_versions, Some(3));
        assert!(!config.ui);
        assert_eq!(config.access_log, AccessLog::File("/etc/notary/access.log".into()));
        let KeysConfig::Local(passphrases) = config.keys else { panic!() };
        assert_eq!(passphrases.default_alias, "second");
        assert_eq!(config.timestamp_lifetime, Duration::from_secs(86_400));
        assert_eq!(config.limits.max_body, 1000);
        assert_eq!(config.limits.request_timeout, Duration::from_secs(6));
    }

    #[test]
    fn a_database_of_postgresql_is_named_as_notarys_driver_takes_it() {
        for (source, url) in [
            ("postgres://u:p@h/d", "postgres://u:p@h/d?sslmode=require"),
            ("postgresql://h/d?connect_timeout=3", "postgresql://h/d?connect_timeout=3&sslmode=require"),
            ("postgres://h/d?sslmode=verify-full", "postgres://h/d?sslmode=verify-full"),
            ("postgres:///d?host=/run/pg", "postgres:///d?host=/run/pg"),
            (
                r"host=h  user = u password='a b\'c' dbname=d",
                "postgres://?host=h&user=u&password=a%20b%27c&dbname=d&sslmode=require",
            ),
            ("host=/run/pg dbname=d", "postgres://?host=%2Frun%2Fpg&dbname=d"),
        ] {
            assert_eq!(postgres_url(source).unwrap().as_str(), url, "{source}");
        }
        for wrong in ["", "h/d", "password='open", "mysql://h/d"] {
            assert_eq!(postgres_url(wrong), None, "{wrong}");
        }
    }
}
