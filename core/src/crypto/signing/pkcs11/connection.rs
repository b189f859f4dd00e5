//! The session with a token.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as ModuleError, RvError};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use super::MAX_LABEL;
use crate::error::{Error, excerpt};

/// Where the PIN comes from.
pub(super) type PinSource = Box<dyn Fn() -> Option<Zeroizing<String>> + Send + Sync>;

/// A token, and the session with it.
pub(super) struct Connection {
    module: PathBuf,
    /// Label or serial number.
    token: String,
    pin: PinSource,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    session: Option<Session>,
    /// The PIN that the token refused last.
    refused: Option<Zeroizing<String>>,
}

/// Why something did not work.
pub(super) enum Failure {
    /// Ready for the caller.
    Pin(Error),
    Module(ModuleError),
    /// A key that is not there or not as it must be, or the token.
    Unusable(String),
}

impl Connection {
    pub(super) fn new(module: &Path, token: &str, pin: PinSource) -> Self {
        Self { module: module.to_owned(), token: token.to_owned(), pin, state: Mutex::default() }
    }

    /// Works in the session. If that fails the session may be to blame: tokens
    /// are taken out, modules finalized, users logged out, and every module says
    /// it in another way. So it is tried once more in a new one.
    pub(super) fn run<T>(&self, work: impl Fn(&Session) -> Result<T, Failure>) -> Result<T, Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Closed before another one is opened: that one may get the same handle.
        if let Some(session) = state.session.take()
            && is_logged_in(&session)
            && let Ok(done) = work(&session)
        {
            state.session = Some(session);
            return Ok(done);
        }
        let session = self.log_in(&mut state.refused)?;
        let done = work(&session);
        state.session = Some(session);
        done
    }

    /// Another session with the same token, to write.
    pub(super) fn read_write(&self, session: &Session) -> Result<Session, Failure> {
        Ok(initialized(&self.module)?.open_rw_session(session.get_session_info()?.slot_id())?)
    }

    fn log_in(&self, refused: &mut Option<Zeroizing<String>>) -> Result<Session, Failure> {
        let module = initialized(&self.module)?;
        let (slot, info) = self.find(&module)?;
        let session = module.open_ro_session(slot)?;
        // One login holds for all sessions of a process.
        if !info.login_required() || is_logged_in(&session) {
            return Ok(session);
        }
        let pin = match info.protected_authentication_path() {
            true => None,
            false => Some((self.pin)().ok_or_else(|| self.wrong_pin("there is none"))?),
        };
        if pin.is_some() && pin == *refused {
            return Err(self.wrong_pin("it was refused before, and is not tried again"));
        }
        let secret = pin.as_ref().map(|pin| AuthPin::from(pin.as_str()));
        match session.login(UserType::User, secret.as_ref()) {
            Ok(()) | Err(ModuleError::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(ModuleError::Pkcs11(RvError::PinLocked, _)) => {
                Err(self.wrong_pin("it is locked, after too many wrong ones"))
            }
            Err(ModuleError::Pkcs11(
                RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange,
                _,
            )) => {
                *refused = pin;
                Err(self.wrong_pin("the token refused it"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The token is looked for at every login: it may be in another slot now.
    fn find(&self, module: &Pkcs11) -> Result<(Slot, TokenInfo), Failure> {
        // A slot without answer is none that could be meant.
        let slots = module.get_slots_with_token()?.into_iter();
        let mut tokens: Vec<_> =
            slots.filter_map(|slot| Some((slot, module.get_token_info(slot).ok()?))).collect();
        tokens.retain(|(_, info)| info.token_initialized());
        let describe = |(_, info): &(Slot, TokenInfo)| {
            let [label, serial] = [info.label(), info.serial_number()].map(|text| excerpt(text, MAX_LABEL));
            format!("{label:?} (serial number {serial})")
        };
        let present: Vec<String> = tokens.iter().map(describe).collect();
        tokens.retain(|(_, info)| [info.label(), info.serial_number()].contains(&self.token.as_str()));
        match (tokens.pop(), tokens.is_empty()) {
            (Some(found), true) => Ok(found),
            (Some(_), false) => Err(Failure::Unusable(format!(
                "several tokens have this label; give the serial number: {}",
                present.join(", ")
            ))),
            (None, _) if present.is_empty() => Err(Failure::Unusable("there is no token at all".into())),
            (None, _) => Err(Failure::Unusable(format!("it is not there; there are {}", present.join(", ")))),
        }
    }

    fn wrong_pin(&self, reason: &str) -> Failure {
        Failure::Pin(Error::WrongPassphrase {
            key_id: excerpt(&self.token, MAX_LABEL),
            role: "PKCS#11 token".into(),
            reason: format!("PIN: {reason}"),
        })
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PKCS#11 token {:?} of {}", excerpt(&self.token, MAX_LABEL), self.module.display())
    }
}

impl Failure {
    /// `failed` makes the error of a reason.
    pub(super) fn into_error(self, failed: impl FnOnce(String) -> Error) -> Error {
        match self {
            Self::Pin(error) => error,
            // What cryptoki itself prints is a paragraph of the specification.
            Self::Module(ModuleError::Pkcs11(answer, function)) => {
                failed(format!("C_{function:?} answered {answer:?}"))
            }
            Self::Module(error) => failed(error.to_string()),
            Self::Unusable(reason) => failed(reason),
        }
    }
}

impl From<ModuleError> for Failure {
    fn from(error: ModuleError) -> Self {
        Self::Module(error)
    }
}

/// Whoever is not sees no private keys, without any error.
fn is_logged_in(session: &Session) -> bool {
    let state = session.get_session_info().map(|info| info.session_state());
    matches!(state, Ok(SessionState::RoUser | SessionState::RwUser))
}

/// The module, loaded and initialized. It is never unloaded or finalized: others
/// in the process may be using it, and many modules do not survive it.
fn initialized(path: &Path) -> Result<Pkcs11, Failure> {
    static LOADED: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());
    // Held while initializing: modules need not allow that in two threads at once.
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let module = match loaded.get(path) {
        Some(module) => module.clone(),
        None => Pkcs11::new(path)?,
    };
    loaded.insert(path.to_owned(), module.clone());
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(ModuleError::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(module),
        Err(error) => Err(error.into()),
    }
}
