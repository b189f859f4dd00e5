//! Settings of a server.

use std::mem::MaybeUninit;
use std::path::Path;
use std::time::Duration;

use tagtrust_core::Zeroizing;
use tagtrust_core::server::{AccessLog, AuthConfig, KeysConfig, NotaryConfig, Tls};

use crate::boundary::{Text, attempt, create, free, given, make};
use crate::error::{Error, Result};
use crate::settings::Settings;
use crate::status::Status;

/// Settings of a server; what is not set is as the functions say. Freed with
/// `tagtrust_server_config_free`.
///
/// A setting that is refused is remembered, and `tagtrust_server_start` then
/// fails with its error: it is enough to look at its status.
#[derive(Default)]
pub struct ServerConfig(Settings<Values>);

#[derive(Clone, Default)]
struct Values {
    server: tagtrust_core::server::ServerConfig,
    listen: Option<String>,
    storage: Option<Zeroizing<String>>,
}

impl ServerConfig {
    pub(crate) fn core(&self) -> Result<tagtrust_core::server::ServerConfig> {
        let Values { mut server, listen, storage } = self.0.get()?;
        if let Some(address) = listen {
            server.listen = tagtrust_core::server::ServerConfig::address(&address)?;
        }
        if let Some(storage) = storage {
            server.storage = storage.parse()?;
        }
        Ok(server)
    }
}

/// Runs the body of a setter.
fn set(config: *mut ServerConfig, setter: &str, change: impl FnOnce(&mut Values) -> Result<()>) -> Status {
    attempt(None, || given(config, "config")?.0.change(setter, change))
}

/// A configuration of a server in memory, on a free port of 127.0.0.1, over
/// plain HTTP, which everybody may use.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_config_new() -> *mut ServerConfig {
    make(ServerConfig::default)
}

/// Reads a configuration file of notary-server, with its environment variables
/// `NOTARY_SERVER_...`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_config_from_file(
    path: Text<'_>,
    config: Option<&mut MaybeUninit<*mut ServerConfig>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(config, error, || {
        let path = Path::new(path.read("path")?);
        let server = NotaryConfig::read(path)?.server;
        Ok(ServerConfig(Values { server, ..Values::default() }.into()))
    })
}

/// Frees a configuration of a server.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_config_free(config: *mut ServerConfig) {
    free(config);
}

/// Where to listen, such as "127.0.0.1:4443", or ":4443" for all addresses of the
/// machine. Port 0 takes a free one. Default: "127.0.0.1:0".
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_config_set_listen(config: *mut ServerConfig, address: Text<'_>) -> Status {
    set(config, "tagtrust_server_config_set_listen", |config| {
        config.listen = Some(address.read("address")?.to_owned());
        Ok(())
    })
}

/// Where repositories and keys are kept: "memory", "sqlite:FILE", which is made if
/// it is not there, or "postgres://USER:PASSWORD@HOST/DATABASE", which any number
/// of servers share. Default: "memory".
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_config_set_storage(config: *mut ServerConfig, storage: Text<'_>) -> Status {
    set(config, "tagtrust_server_config_set_storage", |config| {
        config.storage = Some(Zeroizing::new(storage.read("storage")?.to_owned()));
        Ok(())
    })
}

/// TLS with a certificate that the server makes for itself, new with each start:
/// `tagtrust_server_certificate_pem` has it. Default: plain HTTP.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_config_set_tls_self_signed(config: *mut ServerConfig) -> Status {
    set(config, "tagtrust_server_config_set_tls_self_signed", |config| {
        config.server.tls = Tls::SelfSigned;
        Ok(())
    })
}

/// TLS with PEM files, read again by `tagtrust_server_reload`. `client_ca` may be
/// NULL; else clients need a certificate under one of those in there.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_config_set_tls(
    config: *mut ServerConfig,
    certificate: Text<'_>,
    key: Text<'_>,
    client_ca: Text<'_>,
) -> Status {
    set(config, "tagtrust_server_config_set_tls", |config| {
        config.server.tls = Tls::Files {
            certificate: certificate.read("certificate")?.into(),
            key: key.read("key")?.into(),
            client_ca: client_ca.read_optional("client_ca")?.map(Into::into),
        };
        Ok(())
    })
}

/// Adds a passphrase that protects the server's own keys where they are kept.
/// The first one is for new keys; others are for those that are under them. Each
/// has a name, such as "default". Default: the server makes one, in memory, or for
/// SQLite in "FILE.passphrase". PostgreSQL needs one.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_config_add_passphrase(
    config: *mut ServerConfig,
    name: Text<'_>,
    passphrase: Text<'_>,
) -> Status {
    set(config, "tagtrust_server_config_add_passphrase", |config| {
        let name = name.read("name")?.to_lowercase();
        let passphrase = Zeroizing::new(passphrase.read("passphrase")?.to_owned());
        let KeysConfig::Local(passphrases) = &mut config.server.keys else {
            return Err(Error::argument("the configuration has a signing service"));
        };
        if passphrases.by_alias.is_empty() {
            passphrases.default_alias.clone_from(&name);
        }
        passphrases.by_alias.push((name, passphrase));
        Ok(())
    })
}

/// Docker's token scheme: the URL of the token server, the name of this service,
/// who issues the tokens, and a PEM file with the certificates under which they
/// are signed. Default: everybody may do everything.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_config_set_token_auth(
    config: *mut ServerConfig,
    realm: Text<'_>,
    service: Text<'_>,
    issuer: Text<'_>,
    root_certificates: Text<'_>,
) -> Status {
    set(config, "tagtrust_server_config_set_token_auth", |config| {
        config.server.auth = AuthConfig::Token {
            realm: realm.read("realm")?.to_owned(),
            service: service.read("service")?.to_owned(),
            issuer: issuer.read("issuer")?.to_owned(),
            root_certificates: root_certificates.read("root_certificates")?.into(),
        };
        Ok(())
    })
}

/// Users and their passwords, as `htpasswd -B` writes them; all of them may do
/// everything. With `anonymous_pull` anyone may read.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_config_set_password_file(
    config: *mut ServerConfig,
    path: Text<'_>,
    anonymous_pull: bool,
) -> Status {
    set(config, "tagtrust_server_config_set_password_file", |config| {
        let path = path.read("path")?.into();
        config.server.auth = AuthConfig::Htpasswd { realm: "tagtrust".into(), path, anonymous_pull };
        Ok(())
    })
}

/// Adds a prefix of the repositories that are served, which ends in "/". Default: all.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_config_add_gun_prefix(
    config: *mut ServerConfig,
    prefix: Text<'_>,
) -> Status {
    set(config, "tagtrust_server_config_add_gun_prefix", |config| {
        config.server.gun_prefixes.push(prefix.read("prefix")?.to_owned());
        Ok(())
    })
}

/// Stores nothing, only serves. Default: false.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_config_set_read_only(config: *mut ServerConfig, read_only: bool) -> Status {
    set(config, "tagtrust_server_config_set_read_only", |config| {
        config.server.read_only = read_only;
        Ok(())
    })
}

/// How many versions of each role to keep besides those in use. Default: all.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_config_set_keep_versions(
    config: *mut ServerConfig,
    count: usize,
) -> Status {
    set(config, "tagtrust_server_config_set_keep_versions", |config| {
        config.server.keep_versions = Some(count);
        Ok(())
    })
}

/// How long snapshots and timestamps that the server signs are valid, in seconds.
/// Default: 1095 and 14 days, as in Notary.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_config_set_lifetimes(
    config: *mut ServerConfig,
    snapshot: u64,
    timestamp: u64,
) -> Status {
    set(config, "tagtrust_server_config_set_lifetimes", |config| {
        config.server.snapshot_lifetime = Duration::from_secs(snapshot);
        config.server.timestamp_lifetime = Duration::from_secs(timestamp);
        Ok(())
    })
}

/// Whether the page "/ui/" is there. Default: true.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_config_set_ui(config: *mut ServerConfig, ui: bool) -> Status {
    set(config, "tagtrust_server_config_set_ui", |config| {
        config.server.ui = ui;
        Ok(())
    })
}

/// A file to which a line of JSON is appended for each request. Default: none.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_config_set_access_log(config: *mut ServerConfig, path: Text<'_>) -> Status {
    set(config, "tagtrust_server_config_set_access_log", |config| {
        config.server.access_log = AccessLog::File(path.read("path")?.into());
        Ok(())
    })
}
