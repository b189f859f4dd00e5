//! Keys on a token: a smart card, an HSM, or what else has a PKCS#11 module.
//!
//! ```no_run
//! # #[cfg(feature = "http")] {
//! use tagtrust::pkcs11::Token;
//! use tagtrust::{Client, Init, Zeroizing};
//!
//! let pin = || std::env::var("TOKEN_PIN").ok().map(Zeroizing::new);
//! let token = Token::open("/usr/lib/softhsm/libsofthsm2.so", "release", pin)?;
//! let root = token.generate_p256("root of team/app")?;
//! let targets = token.generate_p256("targets of team/app")?;
//!
//! let (root_key, targets_key) = (Some(root.id().clone()), Some(targets.id().clone()));
//! let client = Client::builder().signer(root).signer(targets).build()?;
//! let init = Init { root_key, targets_key, ..Init::default() };
//! client.init("registry.example/team/app", &init)?;
//! # }
//! # Ok::<(), tagtrust::Error>(())
//! ```
//!
//! Every later client gets its signers from [`Token::keys`]. A key can be used
//! if it is on P-256, P-384 or P-521, RSA with at least 2048 bits, or Ed25519,
//! if its public key is on the token too, under the same `CKA_ID`, and if no
//! other key has that. Keys that want the PIN for every single signature
//! (`CKA_ALWAYS_AUTHENTICATE`) cannot be used.
//!
//! A token or key may be shared by threads; its signatures are made one after
//! the other. Once a session is lost, because the token was taken out, say, the
//! next signature logs in again.

mod connection;
mod public_key;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType as Kind, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use x509_cert::der::Encode;
use x509_cert::der::oid::db::rfc5912::SECP_256_R_1;
use zeroize::Zeroizing;

use self::connection::{Connection, Failure};
use super::random::random;
use super::signer::Signer;
use crate::crypto::digest::sha256;
use crate::crypto::key::{KeyId, PublicKey};
use crate::error::{Error, Result, excerpt};

/// What is listed.
const KINDS: [Kind; 3] = [Kind::EC, Kind::RSA, Kind::EC_EDWARDS];
/// Longest label that an error or a log shows.
const MAX_LABEL: usize = 255;

/// A token that we are logged in to, as long as it or one of its keys is in use.
pub struct Token(Arc<Connection>);

/// A private key on a token.
pub struct TokenKey {
    token: Arc<Connection>,
    kind: Kind,
    /// `CKA_ID`. Handles do not outlive a session.
    object_id: Vec<u8>,
    label: String,
    public: PublicKey,
}

impl Token {
    /// Loads a module, and logs in to the token that has this label or serial
    /// number. The module is code that runs in this process.
    ///
    /// `pin` is asked at every login, and not if the token has a keypad of its
    /// own or this process is logged in already. `None` means that there is no
    /// PIN. It may be called from any thread and must not use the token. An
    /// answer that the token refused is not tried again: a few wrong ones lock it.
    ///
    /// # Errors
    /// [`Error::InvalidConfiguration`] names what is wrong with the module or the
    /// token; [`Error::WrongPassphrase`] is about the PIN.
    pub fn open(
        module: impl AsRef<Path>,
        token: &str,
        pin: impl Fn() -> Option<Zeroizing<String>> + Send + Sync + 'static,
    ) -> Result<Self> {
        let token = Self(Arc::new(Connection::new(module.as_ref(), token, Box::new(pin))));
        token.run(|_| Ok(()))?;
        Ok(token)
    }

    /// The private keys that can be used, by label. Others are left out, with a
    /// warning in the log.
    ///
    /// # Errors
    /// [`Error::InvalidConfiguration`] if the token does not answer;
    /// [`Error::WrongPassphrase`] if it wants the PIN again.
    pub fn keys(&self) -> Result<Vec<Arc<TokenKey>>> {
        let mut keys = self.run(|session| {
            let mut keys = Vec::new();
            for kind in KINDS {
                for object in session.find_objects(&private_keys(kind))? {
                    let (object_id, label) = name(session, object)?;
                    match self.key(session, kind, object_id, label.clone()) {
                        Err(Failure::Unusable(reason)) => {
                            let label = excerpt(&label, MAX_LABEL);
                            log::warn!("{self}: the key {label:?} cannot be used: {reason}");
                        }
                        key => keys.push(Arc::new(key?)),
                    }
                }
            }
            Ok(keys)
        })?;
        keys.sort_by(|a, b| (&a.label, &a.object_id).cmp(&(&b.label, &b.object_id)));
        Ok(keys)
    }

    /// A new key on P-256, which never leaves the token. Labels need not differ.
    ///
    /// # Errors
    /// [`Error::InvalidConfiguration`] if the token does not do that;
    /// [`Error::WrongPassphrase`] if it wants the PIN again.
    pub fn generate_p256(&self, label: &str) -> Result<Arc<TokenKey>> {
        let curve =
            SECP_256_R_1.to_der().map_err(|error| Error::Internal { reason: format!("P-256: {error}") })?;
        let object_id = random::<16>()?.to_vec();
        let named = [
            Attribute::Token(true),
            Attribute::Id(object_id.clone()),
            Attribute::Label(label.as_bytes().to_vec()),
        ];
        let public = [Attribute::Private(false), Attribute::Verify(true), Attribute::EcParams(curve)];
        let private = [
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ];
        let [public, private] = [[&named[..], &public].concat(), [&named[..], &private].concat()];
        self.run(|session| {
            let session = self.0.read_write(session)?;
            session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private)?;
            Ok(())
        })?;
        // Apart, so that what fails here does not make another key.
        self.run(|session| self.key(session, Kind::EC, object_id.clone(), label.to_owned())).map(Arc::new)
    }

    /// Whether the token answers, and we are logged in.
    #[cfg(feature = "server")]
    pub(crate) fn check(&self) -> Result<()> {
        self.run(|_| Ok(()))
    }

    /// The key on an elliptic curve that has this `CKA_ID`.
    #[cfg(feature = "server")]
    pub(crate) fn on_curve(&self, object_id: &[u8]) -> Result<Arc<TokenKey>> {
        self.run(|session| {
            let private = only(session, ObjectClass::PRIVATE_KEY, Kind::EC, object_id)?;
            let (object_id, label) = name(session, private)?;
            self.key(session, Kind::EC, object_id, label)
        })
        .map(Arc::new)
    }

    /// The key with this `CKA_ID`.
    fn key(
        &self,
        session: &Session,
        kind: Kind,
        object_id: Vec<u8>,
        label: String,
    ) -> Result<TokenKey, Failure> {
        let private = only(session, ObjectClass::PRIVATE_KEY, kind, &object_id)?;
        let asks = session.get_attributes(private, &[AttributeType::AlwaysAuthenticate])?;
        if asks.contains(&Attribute::AlwaysAuthenticate(true)) {
            return Err(Failure::Unusable("it wants the PIN for every signature".into()));
        }
        let public = only(session, ObjectClass::PUBLIC_KEY, kind, &object_id)?;
        let attributes = session.get_attributes(public, &public_key::ATTRIBUTES)?;
        let public =
            public_key::read(kind, &attributes).map_err(|reason| Failure::Unusable(reason.into()))?;
        Ok(TokenKey { token: self.0.clone(), kind, object_id, label, public })
    }

    fn run<T>(&self, work: impl Fn(&Session) -> Result<T, Failure>) -> Result<T> {
        let failed = |reason| Error::InvalidConfiguration { what: self.to_string(), reason };
        self.0.run(work).map_err(|failure| failure.into_error(failed))
    }
}

impl TokenKey {
    /// The ID of its public key.
    pub fn id(&self) -> &KeyId {
        self.public.id()
    }

    /// Its `CKA_ID`.
    #[cfg(feature = "server")]
    pub(crate) fn object_id(&self) -> &[u8] {
        &self.object_id
    }

    /// Its label on the token.
    pub fn label(&self) -> &str {
        &self.label
    }
}

impl Signer for TokenKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let signature = self.token.run(|session| {
            let key = only(session, ObjectClass::PRIVATE_KEY, self.kind, &self.object_id)?;
            Ok(match self.kind {
                // SHA-256 on every curve.
                Kind::EC => session.sign(&Mechanism::Ecdsa, key, sha256(message).as_ref())?,
                Kind::RSA => session.sign(&Mechanism::Sha256RsaPkcsPss(pss()), key, message)?,
                _ => session.sign(&Mechanism::Eddsa(ed25519()), key, message)?,
            })
        });
        let failed = |reason| Error::KeyNotFound {
            role: "signing".into(),
            key_ids: vec![self.id().as_str().into()],
            reason: format!("{}: {reason}", self.token),
        };
        signature.map_err(|failure| failure.into_error(failed))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.0)
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKey({}, {})", self.id(), self.token)
    }
}

fn private_keys(kind: Kind) -> [Attribute; 4] {
    let class = Attribute::Class(ObjectClass::PRIVATE_KEY);
    [class, Attribute::KeyType(kind), Attribute::Token(true), Attribute::Sign(true)]
}

/// `CKA_ID` and label.
fn name(session: &Session, object: ObjectHandle) -> Result<(Vec<u8>, String), Failure> {
    let (mut object_id, mut label) = Default::default();
    for attribute in session.get_attributes(object, &[AttributeType::Id, AttributeType::Label])? {
        match attribute {
            Attribute::Id(id) => object_id = id,
            Attribute::Label(text) => label = String::from_utf8_lossy(&text).into_owned(),
            _ => {}
        }
    }
    Ok((object_id, label))
}

/// The one half of a key with this `CKA_ID`: of two it would be chance which one
/// signs, and for which public key.
fn only(session: &Session, class: ObjectClass, kind: Kind, id: &[u8]) -> Result<ObjectHandle, Failure> {
    let template = [
        Attribute::Class(class),
        Attribute::KeyType(kind),
        Attribute::Token(true),
        Attribute::Id(id.to_vec()),
    ];
    let half = if class == ObjectClass::PRIVATE_KEY { "private" } else { "public" };
    match session.find_objects(&template)?.as_slice() {
        [object] => Ok(*object),
        [] => Err(Failure::Unusable(format!("its {half} key is not on the token"))),
        _ => Err(Failure::Unusable(format!("several {half} keys have its CKA_ID"))),
    }
}

/// MGF1 and digest with SHA-256, a salt of 32 bytes.
fn pss() -> PkcsPssParams {
    PkcsPssParams { hash_alg: MechanismType::SHA256, mgf: PkcsMgfType::MGF1_SHA256, s_len: 32.into() }
}

fn ed25519() -> EddsaParams<'static> {
    EddsaParams::new(EddsaSignatureScheme::Ed25519)
}
