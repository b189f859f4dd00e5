//! Settings of a client that publishes.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::Duration;

use crate::boundary::Text;
use crate::client_config::build;
use crate::config::{Config, set};
use crate::error::Error;
use crate::key_callback::{PassphraseCallback, Passphrases, SignCallback, Signer};
use crate::status::Status;

/// Where the passphrases of private keys come from. Default:
/// `$DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE` for root keys,
/// `$DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE` for all others.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_passphrase(
    config: *mut Config,
    passphrase: PassphraseCallback,
    data: *mut c_void,
) -> Status {
    build(config, "tagtrust_config_set_passphrase", |builder| {
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
    set(config, "tagtrust_config_add_signer", error, |config| {
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
    build(config, "tagtrust_config_set_expiry", |builder| {
        Ok(builder.expiry(role.read("role")?, Duration::from_secs(seconds)))
    })
}

/// Makes the snapshot keys of new repositories here, as `notary` does. Default:
/// the server has them, as in Docker.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_config_set_local_snapshot(config: *mut Config, local: bool) -> Status {
    build(config, "tagtrust_config_set_local_snapshot", |builder| Ok(builder.local_snapshot(local)))
}
