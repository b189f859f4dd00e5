//! Settings of a client: where its server and its files are.

use std::time::Duration;

use tagtrust_core::ClientBuilder;

use crate::boundary::Text;
use crate::config::{Config, Terms, set};
use crate::error::Result;
use crate::status::Status;

impl Config {
    pub(crate) fn client(&self) -> Result<tagtrust_core::Client> {
        let values = self.0.get()?;
        let builder = values.builder.clone();
        let Terms { pinning, policy, clock } = values.terms()?;
        let mut builder = builder.pinning(pinning).policy(policy);
        if let Some(clock) = clock {
            builder = builder.clock(move || clock.time());
        }
        Ok(builder.build()?)
    }
}

/// Runs the body of a setter for something that core's builder has.
pub(crate) fn build(
    config: *mut Config,
    setter: &str,
    change: impl FnOnce(ClientBuilder) -> Result<ClientBuilder>,
) -> Status {
    set(config, setter, None, |config| {
        config.builder = change(config.builder.clone())?;
        Ok(())
    })
}

/// Directory with the cached metadata and the private keys. Default: `trust` in
/// Docker's directory.
///
/// If it cannot be written, what is seen first could not be remembered: a repository
/// of which it holds nothing yet is a `TAGTRUST_STORE_ERROR`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_trust_dir(config: *mut Config, path: Text<'_>) -> Status {
    build(config, "tagtrust_config_set_trust_dir", |builder| Ok(builder.trust_dir(path.read("path")?)))
}

/// Docker's directory, with `config.json`, `tls/` and `trust/`. Default:
/// `$DOCKER_CONFIG`, else `~/.docker`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_docker_config(config: *mut Config, path: Text<'_>) -> Status {
    build(
        config,
        "tagtrust_config_set_docker_config",
        |builder| Ok(builder.docker_config(path.read("path")?)),
    )
}

/// URL of the trust server. Default: `$DOCKER_CONTENT_TRUST_SERVER`, else
/// `https://notary.docker.io` for Docker Hub and the registry itself for others.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_server(config: *mut Config, url: Text<'_>) -> Status {
    build(config, "tagtrust_config_set_server", |builder| Ok(builder.server(url.read("url")?)))
}

/// PEM file with the only CAs that may vouch for the server. Default: the
/// system's and those in Docker's `tls/` directory.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_ca_file(config: *mut Config, path: Text<'_>) -> Status {
    build(config, "tagtrust_config_set_ca_file", |builder| Ok(builder.ca_file(path.read("path")?)))
}

/// PEM files with the certificate and key that the client shows to the server.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_client_cert(
    config: *mut Config,
    certificate: Text<'_>,
    key: Text<'_>,
) -> Status {
    build(config, "tagtrust_config_set_client_cert", |builder| {
        Ok(builder.client_cert(certificate.read("certificate")?, key.read("key")?))
    })
}

/// User and password. Default: Docker's `config.json` and its helpers.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_credentials(
    config: *mut Config,
    username: Text<'_>,
    password: Text<'_>,
) -> Status {
    build(config, "tagtrust_config_set_credentials", |builder| {
        Ok(builder.credentials(username.read("username")?, password.read("password")?))
    })
}

/// Bounds the requests of one verification or inspection of one repository; when
/// publishing, each exchange with the server has it anew (several tries, at most 64,
/// if others publish). Waiting for another process's lock on the trust directory,
/// and for callbacks, is not counted. Default: 60 seconds.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_timeout_ms(config: *mut Config, milliseconds: u64) -> Status {
    build(config, "tagtrust_config_set_timeout_ms", |builder| {
        Ok(builder.timeout(Duration::from_millis(milliseconds)))
    })
}

/// How long an answer of the server is taken for the current one, so that no
/// request is made. Default: zero, ask every time.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_offline_max_age_ms(config: *mut Config, milliseconds: u64) -> Status {
    build(config, "tagtrust_config_set_offline_max_age_ms", |builder| {
        Ok(builder.offline_max_age(Duration::from_millis(milliseconds)))
    })
}

/// Refuse to answer if the server cannot be asked. Default: the cached
/// timestamp serves until it expires, and `tagtrust_image_fresh` is false.
/// `tagtrust_config_set_offline_max_age_ms` comes before this, and its answers
/// count as fresh.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_require_fresh(config: *mut Config, required: bool) -> Status {
    build(config, "tagtrust_config_set_require_fresh", |builder| Ok(builder.require_fresh(required)))
}

/// How many repositories `tagtrust_client_verify_many` asks for at a time, at
/// least one. Default: 8.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_parallelism(config: *mut Config, threads: usize) -> Status {
    build(config, "tagtrust_config_set_parallelism", |builder| Ok(builder.parallelism(threads)))
}

/// Allows `http://` to other machines. Whoever is on the way reads the
/// credentials and can hold back new trust data.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_danger_plain_http(config: *mut Config, allowed: bool) -> Status {
    build(config, "tagtrust_config_set_danger_plain_http", |builder| Ok(builder.danger_plain_http(allowed)))
}
