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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const ROLE: &str = "alice";
    const VARIABLE: &str = "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE";

    /// Key ID, role, create and attempt of each question.
    type Asked = Mutex<Vec<(String, String, bool, u32)>>;

    /// A source that gives these answers, and what it was asked.
    fn source(answers: &[&str]) -> (PassphraseSource, Arc<Asked>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answers: Vec<_> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let log = asked.clone();
        let source = move |request: &PassphraseRequest<'_>| {
            let PassphraseRequest { key_id, role, create, attempt } = *request;
            log.lock().unwrap().push((key_id.to_owned(), role.to_owned(), create, attempt));
            answers.get(attempt as usize).cloned().map(Zeroizing::new)
        };
        (Arc::new(source), asked)
    }

    fn attempts(asked: &Asked, create: bool) -> Vec<u32> {
        let check = |(id, role, created, attempt): &(String, String, bool, u32)| {
            assert_eq!((id.as_str(), role.as_str(), *created), ("id", ROLE, create));
            *attempt
        };
        asked.lock().unwrap().iter().map(check).collect()
    }

    fn reason(error: &Error) -> &str {
        match error {
            Error::WrongPassphrase { key_id, role, reason } => {
                assert_eq!((key_id.as_str(), role.as_str()), ("id", ROLE));
                reason
            }
            other => panic!("{other:?}"),
        }
    }

    fn key_file() -> KeyFile {
        KeyFile::encrypt(&PrivateKey::generate_p256().unwrap(), "password", ROLE, None).unwrap()
    }

    fn no_damage(fault: &str) -> Error {
        panic!("{fault}")
    }

    #[test]
    fn a_new_passphrase_that_is_too_short_is_asked_for_again() {
        let (source, asked) = source(&["short", "1234567", "12345678"]);
        assert_eq!(*choose(&source, "id", ROLE).unwrap(), "12345678");
        assert_eq!(attempts(&asked, true), [0, 1, 2]);
    }

    #[test]
    fn too_many_short_passphrases_are_refused_in_dockers_words() {
        let short: Vec<_> = (0..20).map(|n| format!("short{n}")).collect();
        let (source, asked) = source(&short.iter().map(String::as_str).collect::<Vec<_>>());
        let error = choose(&source, "id", ROLE).unwrap_err();
        let reason = reason(&error);
        assert!(reason.contains("maximum number of passphrase attempts exceeded"), "{reason}");
        assert!(reason.contains(TOO_SHORT.trim_end_matches('.')), "{reason}");
        assert!(reason.contains(VARIABLE) && reason.contains("callback"), "{reason}");
        assert!(!reason.contains("short1"), "{reason}");
        assert_eq!(attempts(&asked, true).len(), 12);
    }

    #[test]
    fn an_answer_that_does_not_change_is_not_asked_for_forever() {
        let (same, asked) = source(&["short"; 20]);
        choose(&same, "id", ROLE).unwrap_err();
        assert_eq!(attempts(&asked, true), [0, 1]);
        let (same, asked) = source(&["wrong password"; 20]);
        decrypt(&same, &key_file(), "id", ROLE, no_damage).unwrap_err();
        assert_eq!(attempts(&asked, false), [0, 1]);
    }

    #[test]
    fn who_has_no_passphrase_is_told_which_variable_would_do() {
        let (none, _) = source(&[]);
        let error = choose(&none, "id", ROLE).unwrap_err();
        assert!(reason(&error).contains("maximum number of passphrase attempts exceeded"), "{error}");
        assert!(reason(&error).contains(VARIABLE), "{error}");
        let error = decrypt(&none, &key_file(), "id", ROLE, no_damage).unwrap_err();
        assert!(reason(&error).contains("password invalid, operation has failed."), "{error}");
        assert!(reason(&error).contains(VARIABLE), "{error}");
        let error = choose(&none, "id", role::ROOT).unwrap_err();
        assert!(error.to_string().contains("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE"), "{error}");
    }

    #[test]
    fn a_wrong_passphrase_is_asked_for_again_and_four_are_enough() {
        let file = key_file();
        let (third, asked) = source(&["a", "b", "password"]);
        decrypt(&third, &file, "id", ROLE, no_damage).unwrap();
        assert_eq!(attempts(&asked, false), [0, 1, 2]);
        let (fifth, asked) = source(&["a", "b", "c", "d", "password"]);
        let error = decrypt(&fifth, &file, "id", ROLE, no_damage).unwrap_err();
        assert!(reason(&error).contains("password invalid, operation has failed."), "{error}");
        assert_eq!(attempts(&asked, false).len(), 4);
    }

    #[test]
    fn nobody_is_asked_for_the_passphrase_of_a_key_in_the_clear() {
        let file = KeyFile::encrypt(&PrivateKey::generate_p256().unwrap(), "", ROLE, None).unwrap();
        let (none, asked) = source(&["password"]);
        decrypt(&none, &file, "id", ROLE, no_damage).unwrap();
        assert_eq!(attempts(&asked, false), [0; 0]);
    }
}
