//! Who we are for a registry: what the caller gave, else what Docker's
//! config.json or one of its helpers has.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use docker_credential::{CredentialRetrievalError, DockerCredential};

use super::sigpipe;

/// How a helper of Docker says that it has none.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// Without `Debug`, so that they cannot be printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    Password { user: String, password: String },
    IdentityToken(String),
}

/// The credentials, or why there are none.
type Outcome = Result<Credentials, String>;

/// Looks credentials up when a server asks for them, not before: a server that
/// asks for none works without Docker's helpers.
pub(super) enum Source {
    Given(Credentials),
    Docker(Arc<Lookup>),
}

pub(super) struct Lookup {
    config_dir: Option<PathBuf>,
    key: String,
    state: Mutex<State>,
    settled: Condvar,
}

enum State {
    NotAsked,
    Asked,
    Settled(Outcome),
}

impl Source {
    pub(super) fn docker(config_dir: Option<PathBuf>, key: &str) -> Self {
        Self::Docker(Arc::new(Lookup {
            config_dir,
            key: key.to_owned(),
            state: Mutex::new(State::NotAsked),
            settled: Condvar::new(),
        }))
    }

    pub(super) fn get(&self, deadline: Instant) -> Outcome {
        match self {
            Self::Given(credentials) => Ok(credentials.clone()),
            Self::Docker(lookup) => lookup.get(deadline),
        }
    }

    /// A server refused them: the next request looks again, since helpers give
    /// out credentials that expire.
    pub(super) fn forget(&self) {
        if let Self::Docker(lookup) = self {
            let mut state = lookup.state();
            if matches!(*state, State::Settled(_)) {
                *state = State::NotAsked;
            }
        }
    }
}

impl Lookup {
    /// Asks in a thread of its own: a helper may wait for somebody to unlock a
    /// key ring, and the deadline holds all the same.
    fn get(self: &Arc<Self>, deadline: Instant) -> Outcome {
        let mut state = self.state();
        if matches!(*state, State::NotAsked) {
            *state = State::Asked;
            let lookup = Arc::clone(self);
            let asking = sigpipe::blocked(|| {
                thread::Builder::new().name("tagtrust-credentials".into()).spawn(move || {
                    let outcome = look_up(lookup.config_dir.as_deref(), &lookup.key);
                    *lookup.state() = State::Settled(outcome);
                    lookup.settled.notify_all();
                })
            });
            if let Err(error) = asking {
                *state = State::NotAsked;
                return Err(format!("Docker's credentials cannot be read: {error}"));
            }
        }
        loop {
            if let State::Settled(outcome) = &*state {
                return outcome.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err("Docker's credential helper did not answer in time".to_owned());
            }
            (state, _) = self.settled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn look_up(config_dir: Option<&Path>, key: &str) -> Outcome {
    let none = || format!("Docker has no credentials for {key}");
    let Some(file) = config_dir.map(|dir| dir.join("config.json")) else {
        return Err(none());
    };
    let shown = file.display();
    let config = match File::open(&file) {
        Ok(config) => config,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(none()),
        Err(error) => return Err(format!("{shown}: {error}")),
    };
    // What a helper printed is not repeated: it may be a secret.
    match docker_credential::get_credential_from_reader(BufReader::new(config), key) {
        Ok(DockerCredential::UsernamePassword(user, password))
            if !user.is_empty() && !password.is_empty() =>
        {
            Ok(Credentials::Password { user, password })
        }
        Ok(DockerCredential::IdentityToken(token)) if !token.is_empty() => {
            Ok(Credentials::IdentityToken(token))
        }
        Ok(_) | Err(CredentialRetrievalError::NoCredentialConfigured) => Err(none()),
        Err(CredentialRetrievalError::HelperFailure { stdout, stderr, .. })
            if stdout.contains(NOT_FOUND) || stderr.contains(NOT_FOUND) =>
        {
            Err(none())
        }
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
            Err(format!("Docker's credential helper {helper} failed for {key}"))
        }
        Err(CredentialRetrievalError::HelperCommunicationError) => {
            Err(format!("the credential helper for {key} in {shown} cannot be run"))
        }
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    const KEY: &str = "reg.example:5000";

    fn password(user: &str, password: &str) -> Outcome {
        Ok(Credentials::Password { user: user.into(), password: password.into() })
    }

    fn said(outcome: Outcome) -> String {
        match outcome {
            Ok(_) => panic!("there are credentials"),
            Err(reason) => reason,
        }
    }

    fn with_config(content: &str, key: &str) -> Outcome {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("config.json"), content).unwrap();
        look_up(Some(home.path()), key)
    }

    #[test]
    fn config_json_gives_passwords_and_identity_tokens() {
        // alice:wonder:land
        let auth = r#"{"auths":{"reg.example:5000":{"auth":"YWxpY2U6d29uZGVyOmxhbmQ="}}}"#;
        assert!(with_config(auth, KEY) == password("alice", "wonder:land"));
        let hub = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YWxpY2U6d29uZGVyOmxhbmQ="}}}"#;
        assert!(with_config(hub, "https://index.docker.io/v1/") == password("alice", "wonder:land"));
        let token = r#"{"auths":{"reg.example:5000":{"auth":"YTpi","identitytoken":"tok"}}}"#;
        assert!(with_config(token, KEY) == Ok(Credentials::IdentityToken("tok".into())));
    }

    #[test]
    fn having_none_is_told_apart_from_not_knowing() {
        let none = format!("Docker has no credentials for {KEY}");
        assert_eq!(said(look_up(None, KEY)), none);
        assert_eq!(said(look_up(Some(Path::new("/nonexistent")), KEY)), none);
        assert_eq!(said(with_config("{}", KEY)), none);
        assert_eq!(said(with_config(r#"{"auths":{"other.example":{"auth":"YTpi"}}}"#, KEY)), none);
        assert!(said(with_config("{", KEY)).ends_with("config.json: Unable to read config"));
        assert!(said(with_config(r#"{"auths":{"reg.example:5000":{"auth":"!"}}}"#, KEY)).contains("decode"));
        let missing = with_config(r#"{"credHelpers":{"reg.example:5000":"tagtrust-no-such-helper"}}"#, KEY);
        assert!(said(missing).contains("cannot be run"));
    }

    #[test]
    fn a_lookup_ends_at_the_deadline_and_can_be_repeated() {
        let home = tempfile::tempdir().unwrap();
        let source = Source::docker(Some(home.path().to_owned()), KEY);
        assert!(said(source.get(Instant::now())).contains("did not answer in time"));

        let later = || Instant::now() + Duration::from_secs(10);
        assert!(said(source.get(later())).contains("no credentials"));
        fs::write(home.path().join("config.json"), r#"{"auths":{"reg.example:5000":{"auth":"YTpi"}}}"#)
            .unwrap();
        assert!(said(source.get(later())).contains("no credentials"), "remembered");
        source.forget();
        assert!(source.get(later()) == password("a", "b"));
    }
}
