//! Settings of a client.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tagtrust_core::{ClientBuilder, Pinning, Policy, Rule};

use crate::boundary::{Output, Text, TextArray, attempt, free, given, lock, make};
use crate::callback::{Clock, ClockCallback, PassphraseCallback, Passphrases, SignCallback, Signer};
use crate::error::{Error, Result};
use crate::status::Status;

/// Settings of a client; what is not set is as Docker has it. Freed with
/// `tagtrust_config_free`.
#[derive(Default)]
pub struct Config(Mutex<Settings>);

#[derive(Clone, Default)]
struct Settings {
    builder: ClientBuilder,
    policy: Policy,
    pinned_certificates: BTreeMap<String, Vec<String>>,
    pinned_authorities: BTreeMap<String, Vec<u8>>,
    trust_on_first_use: Option<bool>,
    clock: Option<Arc<Clock>>,
}

/// What decides whether files are trusted.
pub(crate) struct Terms {
    pub(crate) pinning: Pinning,
    pub(crate) policy: Policy,
    pub(crate) clock: Option<Arc<Clock>>,
}

/// Where a tag is looked for.
/// cbindgen:rename-all=prefix:TAGTRUST_LOOKUP_
#[derive(Clone, Copy)]
#[repr(C)]
pub enum Lookup {
    /// As `docker pull`: `targets/releases`, then `targets`, and no other delegation.
    DOCKER = 0,
    /// As `notary lookup`: `targets`, then all delegations.
    NOTARY = 1,
}

impl Config {
    pub(crate) fn client(&self) -> Result<tagtrust_core::Client> {
        let Terms { pinning, policy, clock } = self.terms()?;
        let mut builder = lock(&self.0).builder.clone().pinning(pinning).policy(policy);
        if let Some(clock) = clock {
            builder = builder.clock(move || clock.time());
        }
        Ok(builder.build()?)
    }

    pub(crate) fn terms(&self) -> Result<Terms> {
        let settings = lock(&self.0);
        settings.policy.check()?;
        let (policy, clock) = (settings.policy.clone(), settings.clock.clone());
        Ok(Terms { pinning: settings.pinning()?, policy, clock })
    }
}

impl Settings {
    fn pinning(&self) -> Result<Pinning> {
        let has_pins = !self.pinned_certificates.is_empty() || !self.pinned_authorities.is_empty();
        let mut pinning = if self.trust_on_first_use.unwrap_or(!has_pins) {
            Pinning::trust_on_first_use()
        } else {
            Pinning::none()
        };
        for (name, key_ids) in &self.pinned_certificates {
            pinning = pinning.certificates(name, key_ids);
        }
        for (prefix, pem) in &self.pinned_authorities {
            pinning = pinning.authority(prefix, pem.as_slice())?;
        }
        Ok(pinning)
    }
}

/// Runs the body of a setter.
fn set(
    config: *mut Config,
    error: Output<'_, Error>,
    change: impl FnOnce(&mut Settings) -> Result<()>,
) -> Status {
    attempt(error, || change(&mut lock(&given(config, "config")?.0)))
}

/// Runs the body of a setter for something that core's builder has.
fn build(config: *mut Config, change: impl FnOnce(ClientBuilder) -> Result<ClientBuilder>) -> Status {
    set(config, None, |config| {
        config.builder = change(config.builder.clone())?;
        Ok(())
    })
}

/// A configuration with Docker's defaults.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_new() -> *mut Config {
    make(Config::default)
}

/// Frees a configuration.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_free(config: *mut Config) {
    free(config);
}

/// Directory with the cached metadata and the private keys. Default: `trust` in
/// Docker's directory.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_trust_dir(config: *mut Config, path: Text<'_>) -> Status {
    build(config, |builder| Ok(builder.trust_dir(path.read("path")?)))
}

/// Docker's directory, with `config.json`, `tls/` and `trust/`. Default:
/// `$DOCKER_CONFIG`, else `~/.docker`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_docker_config(config: *mut Config, path: Text<'_>) -> Status {
    build(config, |builder| Ok(builder.docker_config(path.read("path")?)))
}

/// URL of the trust server. Default: `$DOCKER_CONTENT_TRUST_SERVER`, else
/// `https://notary.docker.io` for Docker Hub and the registry itself for others.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_server(config: *mut Config, url: Text<'_>) -> Status {
    build(config, |builder| Ok(builder.server(url.read("url")?)))
}

/// PEM file with the only CAs that may vouch for the server. Default: the
/// system's and those in Docker's `tls/` directory.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_ca_file(config: *mut Config, path: Text<'_>) -> Status {
    build(config, |builder| Ok(builder.ca_file(path.read("path")?)))
}

/// PEM files with the certificate and key that the client shows to the server.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_client_cert(
    config: *mut Config,
    certificate: Text<'_>,
    key: Text<'_>,
) -> Status {
    build(config, |builder| Ok(builder.client_cert(certificate.read("certificate")?, key.read("key")?)))
}

/// User and password. Default: Docker's `config.json` and its helpers.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_credentials(
    config: *mut Config,
    username: Text<'_>,
    password: Text<'_>,
) -> Status {
    build(config, |builder| Ok(builder.credentials(username.read("username")?, password.read("password")?)))
}

/// How long the answer about one repository may take in all, from the first
/// request to the last. Default: 60 seconds.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_timeout_ms(config: *mut Config, milliseconds: u64) -> Status {
    build(config, |builder| Ok(builder.timeout(Duration::from_millis(milliseconds))))
}

/// How long an answer of the server is taken for the current one, so that no
/// request is made. Default: zero, ask every time.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_offline_max_age_ms(config: *mut Config, milliseconds: u64) -> Status {
    build(config, |builder| Ok(builder.offline_max_age(Duration::from_millis(milliseconds))))
}

/// Refuse to answer if the server cannot be asked. Default: the cached
/// timestamp serves until it expires, and `tagtrust_image_fresh` is false.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_require_fresh(config: *mut Config, required: bool) -> Status {
    build(config, |builder| Ok(builder.require_fresh(required)))
}

/// How many repositories `tagtrust_client_verify_many` asks for at a time, at
/// least one. Default: 8.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_parallelism(config: *mut Config, threads: usize) -> Status {
    build(config, |builder| Ok(builder.parallelism(threads)))
}

/// Allows `http://` to other machines. Whoever is on the way reads the
/// credentials and can hold back new trust data.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_danger_plain_http(config: *mut Config, allowed: bool) -> Status {
    build(config, |builder| Ok(builder.danger_plain_http(allowed)))
}

/// Where the time comes from. Default: the system's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_clock(
    config: *mut Config,
    now: ClockCallback,
    data: *mut c_void,
) -> Status {
    set(config, None, |config| {
        config.clock = Some(Arc::new(Clock::new(now, data)?));
        Ok(())
    })
}

/// Where the passphrases of private keys come from. Default:
/// `$DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE` for root keys,
/// `$DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE` for all others.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_passphrase(
    config: *mut Config,
    passphrase: PassphraseCallback,
    data: *mut c_void,
) -> Status {
    build(config, |builder| {
        let passphrases = Passphrases::new(passphrase, data)?;
        Ok(builder.passphrase(move |request| {
            passphrases.answer(request.key_id, request.role, request.create, request.attempt)
        }))
    })
}

/// Adds a private key that is elsewhere, such as in an HSM, and signs through a
/// callback. It comes before a key with the same ID on disk.
///
/// `public_key` is the text of a PEM file with one `PUBLIC KEY`, ECDSA or RSA.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_add_signer(
    config: *mut Config,
    public_key: Text<'_>,
    sign: SignCallback,
    data: *mut c_void,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    set(config, error, |config| {
        let signer = Signer::new(public_key.read("public_key")?, sign, data)?;
        config.builder = config.builder.clone().signer(Arc::new(signer));
        Ok(())
    })
}

/// How long new files of a role last, in seconds: of "root", "targets",
/// "snapshot", one delegation, or with "delegations" all others of these.
/// Default: 3650 days for the root, 1095 for others, as in Notary.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_expiry(config: *mut Config, role: Text<'_>, seconds: u64) -> Status {
    build(config, |builder| Ok(builder.expiry(role.read("role")?, Duration::from_secs(seconds))))
}

/// Makes the snapshot keys of new repositories here, as `notary` does. Default:
/// the server has them, as in Docker.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_local_snapshot(config: *mut Config, local: bool) -> Status {
    build(config, |builder| Ok(builder.local_snapshot(local)))
}

/// Pins a root key ID (64 hex digits) for a repository such as
/// "registry.example/team/app", or for all whose name starts with what stands
/// before a final `*`. Called again for the same name it adds one more.
///
/// The first pin of any kind ends trust on first use, unless
/// `tagtrust_config_set_trust_on_first_use` allows it for all other repositories.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_pin_certificate(
    config: *mut Config,
    name: Text<'_>,
    key_id: Text<'_>,
) -> Status {
    set(config, None, |config| {
        let (name, key_id) = (name.read("name")?.to_owned(), key_id.read("key_id")?.to_owned());
        config.pinned_certificates.entry(name).or_default().push(key_id);
        Ok(())
    })
}

/// Pins the CA certificates in a PEM file for repositories whose name starts
/// with `prefix`: root certificates must chain to one of them. The file is read
/// now; it replaces an earlier one for the same prefix.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_pin_ca(
    config: *mut Config,
    prefix: Text<'_>,
    pem_file: Text<'_>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    set(config, error, |config| {
        let (prefix, path) = (prefix.read("prefix")?, pem_file.read("pem_file")?);
        let pem = std::fs::read(path).map_err(|error| tagtrust_core::Error::InvalidConfiguration {
            what: format!("CA certificates pinned for {prefix:?}"),
            reason: format!("{path}: {error}"),
        })?;
        Pinning::none().authority(prefix, pem.as_slice())?;
        config.pinned_authorities.insert(prefix.to_owned(), pem);
        Ok(())
    })
}

/// Whether the first root that is seen of a repository without a pin is
/// trusted, and from then on its successors. Whoever answers first can choose
/// the keys. Default: as Docker, true as long as nothing is pinned.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_trust_on_first_use(config: *mut Config, allowed: bool) -> Status {
    set(config, None, |config| {
        config.trust_on_first_use = Some(allowed);
        Ok(())
    })
}

/// Where a tag is looked for: a `tagtrust_lookup`. Default: `TAGTRUST_LOOKUP_DOCKER`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_lookup(config: *mut Config, lookup: c_int) -> Status {
    set(config, None, |config| {
        config.policy.lookup = match lookup {
            _ if lookup == Lookup::DOCKER as c_int => tagtrust_core::Lookup::Docker,
            _ if lookup == Lookup::NOTARY as c_int => tagtrust_core::Lookup::Notary,
            _ => return Err(Error::argument("no such lookup")),
        };
        Ok(())
    })
}

/// Requires the signature of a signer, such as "alice" for the delegation
/// `targets/alice`, for a repository or for all whose name starts with what
/// stands before a final `*`. Every requirement that matches must hold.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_require_signer(
    config: *mut Config,
    repository: Text<'_>,
    signer: Text<'_>,
) -> Status {
    set(config, None, |config| {
        let (repository, all_of) =
            (repository.read("repository")?.into(), vec![signer.read("signer")?.into()]);
        config.policy.rules.push(Rule { repository, all_of, ..Rule::default() });
        Ok(())
    })
}

/// Requires the signatures of at least `threshold` of `count` signers, from 1
/// up to all of them; otherwise as `tagtrust_config_require_signer`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_require_threshold(
    config: *mut Config,
    repository: Text<'_>,
    signers: TextArray<'_>,
    count: usize,
    threshold: usize,
) -> Status {
    set(config, None, |config| {
        let repository = repository.read("repository")?.into();
        let any_of = signers.read_all(count, "signers")?;
        if !(1..=count).contains(&threshold) {
            return Err(Error::argument("threshold is not between 1 and count"));
        }
        config.policy.rules.push(Rule { repository, any_of, threshold, ..Rule::default() });
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pin_ends_trust_on_first_use_unless_it_was_asked_for() {
        let mut config = Settings::default();
        assert_eq!(config.pinning().ok(), Some(Pinning::trust_on_first_use()));
        config.pinned_certificates.insert("r/a".into(), vec!["id".into()]);
        assert_eq!(config.pinning().ok(), Some(Pinning::none().certificates("r/a", ["id"])));
        config.trust_on_first_use = Some(true);
        assert_eq!(config.pinning().ok(), Some(Pinning::trust_on_first_use().certificates("r/a", ["id"])));
        let refusing = Settings { trust_on_first_use: Some(false), ..Settings::default() };
        assert_eq!(refusing.pinning().ok(), Some(Pinning::none()));
    }
}
