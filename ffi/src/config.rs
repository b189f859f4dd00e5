//! Settings of clients and trusted sets: what is trusted. `client_config` and
//! `publishing_config` have those that only some builds know.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::Arc;

use tagtrust_core::{Pinning, Policy, Rule};

use crate::boundary::{Output, Text, TextArray, attempt, free, given, make};
use crate::callback::{Clock, ClockCallback};
use crate::error::{Error, Result};
use crate::settings::Settings;
use crate::status::Status;

/// Settings of a client; what is not set is as Docker has it. Freed with
/// `tagtrust_config_free`.
///
/// A setting that is refused, as by `TAGTRUST_INVALID_ARGUMENT`, is remembered,
/// and `tagtrust_client_new` and `tagtrust_trusted_set_new` then fail with its
/// error: it is enough to look at their status.
#[derive(Default)]
pub struct Config(pub(crate) Settings<Values>);

#[derive(Clone, Default)]
pub(crate) struct Values {
    #[cfg(feature = "http")]
    pub(crate) builder: tagtrust_core::ClientBuilder,
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
    pub(crate) fn terms(&self) -> Result<Terms> {
        self.0.get()?.terms()
    }
}

impl Values {
    pub(crate) fn terms(self) -> Result<Terms> {
        self.policy.check()?;
        Ok(Terms { pinning: self.pinning()?, policy: self.policy, clock: self.clock })
    }

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
pub(crate) fn set(
    config: *mut Config,
    setter: &str,
    error: Output<'_, Error>,
    change: impl FnOnce(&mut Values) -> Result<()>,
) -> Status {
    attempt(error, || given(config, "config")?.0.change(setter, change))
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

/// Where the time comes from. Default: the system's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_clock(
    config: *mut Config,
    now: ClockCallback,
    data: *mut c_void,
) -> Status {
    set(config, "tagtrust_config_set_clock", None, |config| {
        config.clock = Some(Arc::new(Clock::new(now, data)?));
        Ok(())
    })
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
    set(config, "tagtrust_config_pin_certificate", None, |config| {
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
    set(config, "tagtrust_config_pin_ca", error, |config| {
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
    set(config, "tagtrust_config_set_trust_on_first_use", None, |config| {
        config.trust_on_first_use = Some(allowed);
        Ok(())
    })
}

/// Where a tag is looked for: a `tagtrust_lookup`. Default: `TAGTRUST_LOOKUP_DOCKER`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_lookup(config: *mut Config, lookup: c_int) -> Status {
    set(config, "tagtrust_config_set_lookup", None, |config| {
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
    set(config, "tagtrust_config_require_signer", None, |config| {
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
    set(config, "tagtrust_config_require_threshold", None, |config| {
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
        let mut config = Values::default();
        assert_eq!(config.pinning().ok(), Some(Pinning::trust_on_first_use()));
        config.pinned_certificates.insert("r/a".into(), vec!["id".into()]);
        assert_eq!(config.pinning().ok(), Some(Pinning::none().certificates("r/a", ["id"])));
        config.trust_on_first_use = Some(true);
        assert_eq!(config.pinning().ok(), Some(Pinning::trust_on_first_use().certificates("r/a", ["id"])));
        let refusing = Values { trust_on_first_use: Some(false), ..Values::default() };
        assert_eq!(refusing.pinning().ok(), Some(Pinning::none()));
    }
}
