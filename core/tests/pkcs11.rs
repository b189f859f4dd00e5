//! Keys on tokens of SoftHSM, which signs in software by the same interface.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock, RwLockReadGuard};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use tagtrust::crypto::{KeyType, Signer, sign_checked};
use tagtrust::pkcs11::{Token, TokenKey};
use tagtrust::{Error, Result, Zeroizing};

const PIN: &str = "7391-geheim";
const WRONG_PIN: &str = "1937-falsch";
/// Of every test its own, and `twin` twice.
const TOKENS: [&str; 9] = ["kinds", "unusable", "pin", "twin", "twin", "gone", "threads", "lost", "made"];

/// DER of object identifiers.
const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const P384: &[u8] = b"\x06\x05\x2b\x81\x04\x00\x22";
const P521: &[u8] = b"\x06\x05\x2b\x81\x04\x00\x23";
const SECP256K1: &[u8] = b"\x06\x05\x2b\x81\x04\x00\x0a";
const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";

#[test]
fn every_kind_of_key_signs() {
    let lab = Lab::enter();
    let session = lab.session("kinds");
    let kinds = ["p256", "p384", "p521", "rsa", "ed25519"];
    for (number, name) in kinds.iter().enumerate() {
        make_key(&session, name, &[number as u8 + 1]);
    }
    let keys = lab.open("kinds").keys().unwrap();
    let listed: Vec<_> = keys.iter().map(|key| key.label()).collect();
    assert_eq!(listed, ["ed25519", "p256", "p384", "p521", "rsa"]);
    for key in keys {
        let expected = match key.label() {
            "p256" => (KeyType::Ecdsa, "ecdsa", 64),
            "p384" => (KeyType::Ecdsa, "ecdsa", 96),
            "p521" => (KeyType::Ecdsa, "ecdsa", 132),
            "ed25519" => (KeyType::Ed25519, "eddsa", 64),
            _ => (KeyType::Rsa, "rsapss", 256),
        };
        for message in [&b"message"[..], b"", &[0x5a; 1 << 20]] {
            if *key.public_key().key_type() == KeyType::Rsa && !cfg!(feature = "ring") {
                assert!(matches!(sign_checked(key.as_ref(), message), Err(Error::InvalidInput { .. })));
                continue;
            }
            let (method, signature) = sign_checked(key.as_ref(), message).unwrap();
            let found = (key.public_key().key_type().clone(), method, signature.len());
            assert_eq!(found, expected, "{}", key.label());
            assert!(!key.public_key().verify(method, b"another message", &signature));
        }
    }
}

#[test]
fn a_key_is_made_on_the_token_and_found_again() {
    let lab = Lab::enter();
    let token = lab.open("made");
    assert!(token.keys().unwrap().is_empty());
    let [one, other] = ["release", "release"].map(|label| token.generate_p256(label).unwrap());
    assert_ne!(one.id(), other.id());
    let mut made = [one.id().as_str(), other.id().as_str()];
    made.sort_unstable();
    let again = lab.open("made").keys().unwrap();
    let mut found: Vec<_> = again.iter().map(|key| key.id().as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, made);
    for key in again.iter().chain([&one, &other]) {
        assert_eq!(key.label(), "release");
        sign_checked(key.as_ref(), b"message").unwrap();
    }
    // It stays there.
    let session = lab.session("made");
    let private = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap();
    assert_eq!(private.len(), 2);
    for object in private {
        use cryptoki::object::AttributeType as Type;
        let guarded = [Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::Private(true)];
        let found =
            session.get_attributes(object, &[Type::Sensitive, Type::Extractable, Type::Private]).unwrap();
        assert_eq!(found, guarded);
        assert_eq!(session.get_attributes(object, &[Type::Value]).unwrap(), []);
    }
}

#[test]
fn keys_that_cannot_be_used_are_left_out_with_a_warning() {
    let lab = Lab::enter();
    let session = lab.session("unusable");
    for (name, id) in
        [("good", 1), ("secp256k1", 2), ("rsa1024", 3), ("same-1", 4), ("same-2", 4), ("halved", 5)]
    {
        make_key(&session, name, &[id]);
    }
    let public = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Id(vec![5])];
    for object in session.find_objects(&public).unwrap() {
        session.destroy_object(object).unwrap();
    }
    let keys = lab.open("unusable").keys().unwrap();
    assert_eq!(keys.iter().map(|key| key.label()).collect::<Vec<_>>(), ["good"]);
    for reason in [
        "\"secp256k1\" cannot be used: it is not on P-256, P-384 or P-521",
        "\"rsa1024\" cannot be used: it is not RSA with at least 2048 bits",
        "\"same-1\" cannot be used: several private keys have its CKA_ID",
        "\"same-2\" cannot be used: several private keys have its CKA_ID",
        "\"halved\" cannot be used: its public key is not on the token",
    ] {
        let log = LOG.0.lock().unwrap();
        assert!(log.iter().any(|line| line.contains(reason)), "{reason}: {log:#?}");
    }
}

#[test]
fn a_wrong_pin_is_refused_once_and_never_shown() {
    let lab = Lab::enter();
    let mut shown = Vec::new();
    let mut refused = |pin: Option<&'static str>| {
        let token = Token::open(module(), "pin", move || pin.map(secret));
        let Err(error @ Error::WrongPassphrase { .. }) = token else { panic!("{token:?}") };
        shown.push(format!("{error:?}"));
        error.to_string()
    };
    assert_eq!(refused(Some(WRONG_PIN)), "passphrase of PKCS#11 token key pin: PIN: the token refused it");
    assert_eq!(refused(None), "passphrase of PKCS#11 token key pin: PIN: there is none");

    // Logged out by somebody else, with a source that forgot the PIN.
    let (answer, asked) = (Arc::new(Mutex::new(PIN)), Arc::new(AtomicUsize::new(0)));
    let (source, count) = (answer.clone(), asked.clone());
    let token = Token::open(module(), "pin", move || {
        count.fetch_add(1, Ordering::Relaxed);
        Some(secret(*source.lock().unwrap()))
    })
    .unwrap();
    let key = token.generate_p256("release").unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    lab.log_out("pin");
    *answer.lock().unwrap() = WRONG_PIN;
    let reason = |result: Result<Vec<u8>>| match result {
        Err(Error::WrongPassphrase { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(key.sign(b"message")), "PIN: the token refused it");
    // Three wrong ones in a row would lock many a card.
    for _ in 0..5 {
        let reason = reason(key.sign(b"message"));
        assert_eq!(reason, "PIN: it was refused before, and is not tried again");
    }
    *answer.lock().unwrap() = PIN;
    sign_checked(key.as_ref(), b"message").unwrap();

    shown.push(format!("{token:?} {token} {key:?}"));
    shown.extend(LOG.0.lock().unwrap().iter().cloned());
    assert!(shown.iter().all(|text| !text.contains(PIN) && !text.contains(WRONG_PIN)), "{shown:#?}");
}

#[test]
fn a_token_or_module_that_is_not_there_is_named() {
    let lab = Lab::enter();
    let refused = |module: &Path, token: &str| {
        let asked = || -> Option<Zeroizing<String>> { panic!("asked for the PIN of no token") };
        match Token::open(module, token, asked) {
            Err(Error::InvalidConfiguration { what, reason }) => {
                assert_eq!(what, format!("PKCS#11 token {token:?} of {}", module.display()));
                reason
            }
            other => panic!("{other:?}"),
        }
    };
    let reason = refused(module(), "kind");
    assert!(reason.starts_with("it is not there; there are "), "{reason}");
    assert!(reason.contains("\"kinds\" (serial number "), "{reason}");
    let reason = refused(module(), "twin");
    assert!(reason.starts_with("several tokens have this label; give the serial number: "), "{reason}");
    let missing = Path::new("/nonexistent/module.so");
    assert!(refused(missing, "kinds").contains("/nonexistent/module.so"));
    // A file, but no module.
    refused(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")), "kinds");
    refused(Path::new("libm.so.6"), "kinds");

    let twins: Vec<_> = lab.tokens().into_iter().filter(|(_, info)| info.label() == "twin").collect();
    let ids = twins.iter().map(|(_, info)| {
        let token = Token::open(module(), info.serial_number(), || Some(secret(PIN))).unwrap();
        token.generate_p256("twin").unwrap();
        let keys = token.keys().unwrap();
        assert_eq!(keys.len(), 1);
        keys[0].id().clone()
    });
    let ids: Vec<_> = ids.collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_key_that_was_removed_is_not_found_and_no_other_signs_for_it() {
    let lab = Lab::enter();
    let token = lab.open("gone");
    let [gone, replaced, kept] =
        ["gone", "replaced", "kept"].map(|label| token.generate_p256(label).unwrap());
    let session = lab.session("gone");
    let destroy = |label: &str| {
        let mut id = None;
        for object in session.find_objects(&[Attribute::Label(label.into())]).unwrap() {
            let attributes = session.get_attributes(object, &[cryptoki::object::AttributeType::Id]).unwrap();
            let [Attribute::Id(found)] = attributes.as_slice() else { panic!("{attributes:?}") };
            id = Some(found.clone());
            session.destroy_object(object).unwrap();
        }
        id.unwrap()
    };
    destroy("gone");
    let id = destroy("replaced");
    make_key(&session, "p256", &id);

    match sign_checked(gone.as_ref(), b"message") {
        Err(Error::KeyNotFound { key_ids, reason, .. }) => {
            assert_eq!(key_ids, [gone.id().as_str()]);
            assert!(reason.ends_with("its private key is not on the token"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    match sign_checked(replaced.as_ref(), b"message") {
        Err(Error::InvalidInput { reason, .. }) => {
            assert_eq!(reason, "its signature does not verify with its public key");
        }
        other => panic!("{other:?}"),
    }
    sign_checked(kept.as_ref(), b"message").unwrap();
    let found = token.keys().unwrap();
    assert_eq!(found.iter().map(|key| key.label()).collect::<Vec<_>>(), ["kept", "p256"]);
}

#[test]
fn eight_threads_sign_at_once_after_one_login() {
    let lab = Lab::enter();
    let (token, asked) = lab.open_and_count("threads");
    let keys: Vec<_> = ["a", "b"].iter().map(|label| token.generate_p256(label).unwrap()).collect();
    let sign = |key: &Arc<TokenKey>, thread: usize| {
        for round in 0..25_usize {
            sign_checked(key.as_ref(), &[thread.to_be_bytes(), round.to_be_bytes()].concat()).unwrap();
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let key = &keys[thread % 2];
            scope.spawn(move || sign(key, thread));
        }
    });
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // And with a session of their own each.
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let lab = &lab;
            scope.spawn(move || sign(&lab.open("threads").keys().unwrap()[thread % 2], thread));
        }
    });
}

#[test]
fn a_token_that_was_taken_out_signs_again_once_it_is_back() {
    let lab = Lab::enter();
    let (token, asked) = lab.open_and_count("lost");
    let key = token.generate_p256("release").unwrap();

    lab.log_out("lost");
    sign_checked(key.as_ref(), b"message").unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    lab.log_out("lost");
    assert_eq!(token.keys().unwrap().len(), 1);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    drop(lab);

    // For this all others wait: it takes every token out.
    let alone = LAB.write().unwrap();
    let [tokens, away] = ["tokens", "away"].map(|name| directory().join(name));
    fs::rename(&tokens, &away).unwrap();
    fs::create_dir(&tokens).unwrap();
    library().finalize().unwrap();
    match key.sign(b"message") {
        Err(Error::KeyNotFound { key_ids, reason, .. }) => {
            assert_eq!(key_ids, [key.id().as_str()]);
            assert!(reason.ends_with("there is no token at all"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(asked.load(Ordering::Relaxed), 3);

    fs::remove_dir_all(&tokens).unwrap();
    fs::rename(&away, &tokens).unwrap();
    library().finalize().unwrap();
    sign_checked(key.as_ref(), b"message").unwrap();
    assert_eq!(token.keys().unwrap().len(), 1);
    assert_eq!(asked.load(Ordering::Relaxed), 4);
    drop(alone);
}

/// Held by every test while it uses the module.
static LAB: RwLock<()> = RwLock::new(());

struct Lab(#[expect(dead_code, reason = "held")] RwLockReadGuard<'static, ()>);

impl Lab {
    fn enter() -> Self {
        let guard = LAB.read().unwrap();
        module();
        Self(guard)
    }

    fn open(&self, label: &str) -> Token {
        Token::open(module(), label, || Some(secret(PIN))).unwrap()
    }

    /// And how often the PIN is asked for.
    fn open_and_count(&self, label: &str) -> (Token, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let token = Token::open(module(), label, move || {
            count.fetch_add(1, Ordering::Relaxed);
            Some(secret(PIN))
        });
        (token.unwrap(), asked)
    }

    fn tokens(&self) -> Vec<(Slot, TokenInfo)> {
        let library = library();
        let slots = library.get_slots_with_initialized_token().unwrap().into_iter();
        slots.map(|slot| (slot, library.get_token_info(slot).unwrap())).collect()
    }

    /// Somebody else in this process, logged in.
    fn session(&self, label: &str) -> Session {
        let slot = self.tokens().into_iter().find(|(_, info)| info.label() == label).unwrap().0;
        let session = library().open_rw_session(slot).unwrap();
        // Or the token's tests have logged in already.
        let _ = session.login(UserType::User, Some(&AuthPin::from(PIN)));
        session
    }

    fn log_out(&self, label: &str) {
        self.session(label).logout().unwrap();
    }
}

fn secret(pin: &str) -> Zeroizing<String> {
    Zeroizing::new(pin.to_owned())
}

fn make_key(session: &Session, label: &str, id: &[u8]) {
    let bits = if label == "rsa1024" { 1024 } else { 2048 };
    let rsa = [Attribute::ModulusBits(bits.into()), Attribute::PublicExponent(vec![1, 0, 1])];
    let on = |curve: &[u8]| vec![Attribute::EcParams(curve.to_vec())];
    let (mechanism, parameters) = match label {
        "rsa" | "rsa1024" => (Mechanism::RsaPkcsKeyPairGen, rsa.to_vec()),
        "ed25519" => (Mechanism::EccEdwardsKeyPairGen, on(ED25519)),
        "p384" => (Mechanism::EccKeyPairGen, on(P384)),
        "p521" => (Mechanism::EccKeyPairGen, on(P521)),
        "secp256k1" => (Mechanism::EccKeyPairGen, on(SECP256K1)),
        _ => (Mechanism::EccKeyPairGen, on(P256)),
    };
    let named = [Attribute::Token(true), Attribute::Id(id.to_vec()), Attribute::Label(label.into())];
    let public = [&named[..], &parameters, &[Attribute::Verify(true)]].concat();
    let private = [&named[..], &[Attribute::Sign(true)]].concat();
    session.generate_key_pair(&mechanism, &public, &private).unwrap();
}

/// SoftHSM with the tokens.
fn module() -> &'static Path {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| {
        log::set_logger(&LOG).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        let tokens = directory().join("tokens");
        fs::create_dir(&tokens).unwrap();
        let configuration = directory().join("softhsm2.conf");
        fs::write(&configuration, format!("directories.tokendir = {}\n", tokens.display())).unwrap();
        // SAFETY: every test begins here, so nobody reads the environment but
        // through std, which locks it.
        unsafe { std::env::set_var("SOFTHSM2_CONF", configuration) };
        TOKENS.into_iter().for_each(make_token);
        softhsm()
    })
}

fn softhsm() -> PathBuf {
    let known = ["/usr/lib/softhsm", "/usr/local/lib/softhsm", "/usr/lib64/pkcs11", "/usr/lib/pkcs11"];
    let files = known.map(|folder| Path::new(folder).join("libsofthsm2.so"));
    files.into_iter().find(|file| file.exists()).expect("softhsm2 is missing; tests/setup.sh installs it")
}

/// The module without tagtrust, initialized.
fn library() -> Pkcs11 {
    let library = Pkcs11::new(softhsm()).unwrap();
    // Or it is initialized already.
    let _ = library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    library
}

fn make_token(label: &str) {
    let library = library();
    let is_free = |slot: &Slot| !library.get_token_info(*slot).unwrap().token_initialized();
    let slot = library.get_slots_with_token().unwrap().into_iter().find(is_free).unwrap();
    let officer = AuthPin::from("0000-officer");
    library.init_token(slot, &officer, label).unwrap();
    let session = library.open_rw_session(slot).unwrap();
    session.login(UserType::So, Some(&officer)).unwrap();
    session.init_pin(&AuthPin::from(PIN)).unwrap();
    session.logout().unwrap();
}

/// Of this run, below the target directory.
fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        tempfile::Builder::new().prefix("pkcs11-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap().keep()
    })
}

/// Everything that is logged.
struct Log(Mutex<Vec<String>>);

static LOG: Log = Log(Mutex::new(Vec::new()));

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}
