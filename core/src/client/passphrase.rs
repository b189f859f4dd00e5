//! Passphrases of private keys: who is asked, how often, and what is good enough.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::crypto::{KeyFile, KeyFileFault, PrivateKey};
use crate::error::{Error, Result};
use crate::metadata::role;

/// How often is asked for the passphrase of a new key, as in Notary.
const MAX_NEW: u32 = 12;
/// How often is asked for that of a key which is there, as in Notary.
const MAX_TRIES: u32 = 4;
/// Notary's least number of bytes.
const MIN_BYTES: usize = 8;

const TOO_SHORT: &str =
    "Passphrase is too short. Please use a password manager to generate and store a good random passphrase.";

/// Which passphrase is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PassphraseRequest<'a> {
    /// Canonical ID of the key; the file's name while the key in it is not known.
    pub key_id: &'a str,
    /// What the key is for: `root`, `targets`, or the name of a signer. A free label.
    pub role: &'a str,
    /// True for a new passphrase, which is best asked for twice.
    pub create: bool,
    /// 0, and one more each time the answer was too short or wrong.
    pub attempt: u32,
}

/// Where passphrases come from. `None` means that there is none.
pub type PassphraseSource = Arc<dyn Fn(&PassphraseRequest<'_>) -> Option<Zeroizing<String>> + Send + Sync>;

/// Docker's environment variables.
pub(super) fn from_environment() -> PassphraseSource {
    Arc::new(|request| {
        let value = std::env::var(variable(request.role)).ok().map(Zeroizing::new);
        value.filter(|value| !value.is_empty())
    })
}

/// A passphrase for a new key, or a new one for a key.
pub(super) fn choose(source: &PassphraseSource, key_id: &str, role: &str) -> Result<Zeroizing<String>> {
    let mut fault = "no passphrase was given";
    for answer in answers(source, key_id, role, true, MAX_NEW) {
        // Stricter: Docker takes what its variables hold, however short.
        if answer.len() >= MIN_BYTES {
            return Ok(answer);
        }
        fault = TOO_SHORT;
    }
    Err(refused(key_id, role, &format!("maximum number of passphrase attempts exceeded: {fault}")))
}

/// What is wrong with a passphrase that the caller chose.
pub(super) fn check(passphrase: &str, key_id: &str, role: &str) -> Result<()> {
    if passphrase.len() >= MIN_BYTES {
        return Ok(());
    }
    Err(Error::WrongPassphrase { key_id: key_id.into(), role: role.into(), reason: TOO_SHORT.into() })
}

/// Decrypts a key. `damaged` makes the error for a file that no passphrase opens.
pub(super) fn decrypt(
    source: &PassphraseSource,
    file: &KeyFile,
    key_id: &str,
    role: &str,
    damaged: impl Fn(&str) -> Error,
) -> Result<PrivateKey> {
    if !file.is_encrypted() {
        return file.decrypt(None).map_err(|fault| damaged(&fault.to_string()));
    }
    let mut fault = "no passphrase was given";
    for answer in answers(source, key_id, role, false, MAX_TRIES) {
        match file.decrypt(Some(&answer)) {
            Err(KeyFileFault::WrongPassphrase) => fault = "the passphrase does not decrypt the key",
            result => return result.map_err(|fault| damaged(&fault.to_string())),
        }
    }
    Err(refused(key_id, role, &format!("password invalid, operation has failed. In detail: {fault}")))
}

/// The answers of a source, until there is none or the same one again, as from
/// the environment.
fn answers<'a>(
    source: &'a PassphraseSource,
    key_id: &'a str,
    role: &'a str,
    create: bool,
    tries: u32,
) -> impl Iterator<Item = Zeroizing<String>> + 'a {
    let mut last = None;
    (0..tries).map_while(move |attempt| {
        let answer = source(&PassphraseRequest { key_id, role, create, attempt });
        let repeated = answer == last;
        last.clone_from(&answer);
        answer.filter(|_| !repeated)
    })
}

fn refused(key_id: &str, role: &str, fault: &str) -> Error {
    let advice = format!("set {}, or give the client a passphrase callback", variable(role));
    Error::WrongPassphrase {
        key_id: key_id.into(),
        role: role.into(),
        reason: format!("{}; {advice}", fault.trim_end_matches('.')),
    }
}

/// Docker has one variable for root keys and one for all others.
fn variable(role: &str) -> &'static str {
    match role {
        role::ROOT => "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE",
        _ => "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE",
    }
}
