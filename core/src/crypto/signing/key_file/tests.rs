use pkcs5::pbes2::{EncryptionScheme, Parameters};
use serde::Deserialize;
use x509_cert::der::Decode;
use x509_cert::der::asn1::{AnyRef, OctetStringRef};
use x509_cert::spki::AlgorithmIdentifierRef;

use super::*;
use crate::crypto::{Signer, sign_checked};

/// A file of `tests/vectors/keys/keys.json`.
#[derive(Deserialize)]
pub(in crate::crypto) struct Vector {
    name: String,
    writer: String,
    pem: String,
    role: Option<String>,
    passphrase: Option<String>,
    id: Option<String>,
    fault: Option<String>,
}

fn vectors() -> Vec<Vector> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/keys/keys.json");
    let mut vectors: Vec<Vector> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert!(vectors.len() > 40);
    for vector in &mut vectors {
        if cfg!(not(feature = "ring")) && vector.name.contains("rsa") {
            vector.id = None;
            vector.fault = Some("unsupported".into());
        }
    }
    vectors
}

pub(in crate::crypto) fn named(name: &str) -> (KeyFile, Vector) {
    let vector = vectors().into_iter().find(|vector| vector.name == name).unwrap();
    (only_key(&vector.pem), vector)
}

fn only_key(pem: &str) -> KeyFile {
    let files = KeyFile::parse_all(pem.as_bytes()).unwrap();
    let [file] = files.try_into().unwrap();
    file
}

pub(in crate::crypto) fn ed25519() -> PrivateKey {
    let seed: Vec<u8> = (0..32).collect();
    let public = ed25519_dalek::SigningKey::from_bytes(seed.as_slice().try_into().unwrap()).verifying_key();
    PrivateKey::from_ed25519(&[public.as_bytes(), seed.as_slice(), public.as_bytes()].concat()).unwrap()
}

/// The salt and initialisation vector in a file that Notary wrote.
fn salt_and_iv(file: &KeyFile) -> ([u8; 8], [u8; 16]) {
    let info = AnyRef::from_der(&file.0.content).unwrap();
    let scheme = info.sequence(|fields| {
        let scheme = AlgorithmIdentifierRef::decode(fields)?;
        <&OctetStringRef>::decode(fields)?;
        Ok::<_, x509_cert::der::Error>(scheme)
    });
    let parameters = Parameters::try_from(scheme.unwrap().parameters.unwrap()).unwrap();
    let EncryptionScheme::Aes256Cbc { iv } = parameters.encryption else { panic!() };
    (parameters.kdf.pbkdf2().unwrap().salt.as_bytes().try_into().unwrap(), iv)
}

const ED25519_FILE: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
role: alice

MIHOMEkGCSqGSIb3DQEFDTA8MBsGCSqGSIb3DQEFDDAOBAgBAgMEBQYHCAICCAAw
HQYJYIZIAWUDBAEqBBAAAQIDBAUGBwgJCgsMDQ4PBIGA//MnwcEqJs8gEqWCkd5X
ZQMK5fqaUbvSi+BOraKvqONBJgP+DtlsfF8ah+iCVYdY+0GtaJ76+vlB5edRImy3
BmysRptJ/H2cu63TJpguFpE7EiEl415wuCcjYRO2JammMUc1vTY5H6jWXiUy4pzN
9tp24f1+Ltu3JUz8VyvUWkM=
-----END ENCRYPTED PRIVATE KEY-----
";

#[test]
fn every_kind_of_key_and_encryption_is_read_or_refused_as_it_should_be() {
    for vector in vectors() {
        let file = only_key(&vector.pem);
        let name = &vector.name;
        assert_eq!(file.is_encrypted(), vector.passphrase.is_some(), "{name}");
        assert_eq!(file.role(), vector.role.as_deref(), "{name}");
        match (file.decrypt(vector.passphrase.as_deref()), vector.fault.as_deref()) {
            (Ok(key), None) => {
                assert_eq!(Some(key.id().as_str()), vector.id.as_deref(), "{name}");
                let (method, signature) = sign_checked(&key, b"message").unwrap();
                assert!(key.public_key().verify(method, b"message", &signature), "{name}");
            }
            (Err(KeyFileFault::Unsupported(_)), Some("unsupported")) => {}
            (Err(KeyFileFault::Malformed(_)), Some("malformed")) => {}
            (result, expected) => panic!("{name}: {result:?}, not {expected:?}"),
        }
    }
}

#[test]
fn what_notary_wrote_is_written_again_byte_for_byte() {
    let mut kinds = 0;
    for vector in vectors().iter().filter(|vector| vector.writer == "notary" && vector.fault.is_none()) {
        let file = only_key(&vector.pem);
        assert_eq!(*file.to_pem(), vector.pem, "{}", vector.name);

        let (salt, iv) = salt_and_iv(&file);
        let passphrase = vector.passphrase.as_deref().unwrap();
        let key = file.decrypt(Some(passphrase)).unwrap();
        let again = KeyFile::encrypt_with(&key, passphrase, salt, iv).unwrap();
        let again = again.with_headers(vector.role.as_deref(), None, None);
        assert_eq!(*again.to_pem(), vector.pem, "{}", vector.name);
        kinds += 1;
    }
    assert_eq!(kinds, if cfg!(feature = "ring") { 5 } else { 4 });
}

#[test]
fn an_ed25519_key_is_read_and_written_as_notary_does() {
    let key = only_key(ED25519_FILE).decrypt(Some("passphrase")).unwrap();
    assert_eq!(key.id().as_str(), "b9fe8d4b54e73abb584e2015aaa447047e53282f491dcc70c40d2474d3096a21");
    let (salt, iv) = ([1, 2, 3, 4, 5, 6, 7, 8], std::array::from_fn(|at| at as u8));
    let file = KeyFile::encrypt_with(&ed25519(), "passphrase", salt, iv).unwrap();
    assert_eq!(*file.with_headers(Some("alice"), None, None).to_pem(), ED25519_FILE);
}

#[test]
fn a_new_key_is_read_back_and_no_two_files_of_it_are_alike() {
    let key = PrivateKey::generate_p256().unwrap();
    let write = || KeyFile::encrypt(&key, "passphrase", "targets", Some("r.example/app")).unwrap().to_pem();
    let (one, other) = (write(), write());
    assert_ne!(one, other);
    let file = only_key(&one);
    assert_eq!((file.role(), file.gun(), file.path()), (Some("targets"), Some("r.example/app"), None));
    assert_eq!(file.decrypt(Some("passphrase")).unwrap().id(), key.id());
}

#[test]
fn headers_are_sorted_and_without_any_there_is_no_blank_line() {
    let file = KeyFile::encrypt(&ed25519(), "", "root", None).unwrap();
    let body = "MHICAQAwDQYJKwYBBAHaRw8BBGA";
    let lines = |file: &KeyFile| {
        let text = file.to_pem().replace(body, "…");
        text.lines().take_while(|line| !line.starts_with('…')).map(str::to_owned).collect::<Vec<_>>()
    };
    let none = file.clone().with_headers(None, None, None);
    let begin = "-----BEGIN PRIVATE KEY-----";
    assert_eq!(none.to_pem().lines().next(), Some(begin));
    assert!(!none.to_pem().contains("\n\n"));
    let all = file.with_headers(Some("r"), Some("g"), Some("p"));
    assert_eq!(lines(&all)[..5], [begin, "gun: g", "path: p", "role: r", ""]);
    let again = only_key(&all.to_pem());
    assert_eq!((again.role(), again.gun(), again.path()), (Some("r"), Some("g"), Some("p")));
}

#[test]
fn a_line_break_in_a_header_does_not_begin_another() {
    let file = KeyFile::encrypt(&ed25519(), "passphrase", "a\ngun: other", None).unwrap();
    let file = only_key(&file.to_pem());
    assert_eq!((file.role(), file.gun()), (Some("a gun: other"), None));
}

#[test]
fn other_headers_and_legacy_encryption_stay_when_a_file_is_written_again() {
    let (file, legacy) = named("p256 sec1, aes-256 by rfc 1423");
    let text = file.with_headers(Some("root"), None, None).to_pem();
    let headers: Vec<_> =
        text.lines().skip(1).map_while(|line| line.split_once(':')).map(|(n, _)| n).collect();
    // RFC 1421 wants Proc-Type first, whatever the alphabet says.
    assert_eq!(headers, ["Proc-Type", "DEK-Info", "role"]);
    let key = only_key(&text).decrypt(legacy.passphrase.as_deref()).unwrap();
    assert_eq!(Some(key.id().as_str()), legacy.id.as_deref());
}

#[test]
fn all_private_keys_of_a_text_are_found_and_nothing_else() {
    let one = KeyFile::encrypt(&ed25519(), "passphrase", "one", None).unwrap().to_pem();
    let two = KeyFile::encrypt(&ed25519(), "", "two", None).unwrap().to_pem();
    let text = format!(
        "text\n{}-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n\nmore: text\n{}",
        *one,
        two.replace('\n', "\r\n")
    );
    let roles: Vec<_> =
        KeyFile::parse_all(text.as_bytes()).unwrap().iter().map(|f| f.role().unwrap().to_owned()).collect();
    assert_eq!(roles, ["one", "two"]);
    assert!(KeyFile::parse_all(b"").unwrap().is_empty());
    assert!(KeyFile::parse_all(b"\xff\xfe").unwrap().is_empty());
}

#[test]
fn a_wrong_passphrase_is_always_told_as_such() {
    for vector in vectors().iter().filter(|vector| vector.passphrase.is_some() && vector.id.is_some()) {
        let file = only_key(&vector.pem);
        for wrong in [None, Some(""), Some("Correct horse"), Some("correct horse ")] {
            let fault = file.decrypt(wrong).unwrap_err();
            assert_eq!(fault, KeyFileFault::WrongPassphrase, "{} {wrong:?}", vector.name);
        }
    }
}

#[test]
fn a_wrong_passphrase_that_happens_to_give_a_padding_is_told_as_such() {
    let file = named("sec1, aes128 by rfc 1423").0;
    // One in 256 gives a padding.
    for wrong in 0..2000 {
        let fault = file.decrypt(Some(&wrong.to_string())).unwrap_err();
        assert_eq!(fault, KeyFileFault::WrongPassphrase);
    }
}

#[test]
fn the_passphrase_of_a_key_in_the_clear_does_not_matter() {
    let file = KeyFile::encrypt(&ed25519(), "", "alice", None).unwrap();
    assert!(!file.is_encrypted());
    for passphrase in [None, Some(""), Some("any")] {
        assert_eq!(file.decrypt(passphrase).unwrap().id(), ed25519().id());
    }
}

#[test]
fn no_file_cut_short_is_a_key() {
    for pem in [ED25519_FILE, &KeyFile::encrypt(&ed25519(), "", "alice", None).unwrap().to_pem()] {
        let begin = pem.find('\n').unwrap();
        for end in 0..pem.len() - 1 {
            match KeyFile::parse_all(&pem.as_bytes()[..end]) {
                Ok(files) => assert!(files.is_empty() && end < begin, "{end}"),
                Err(Error::InvalidInput { .. }) => assert!(end >= begin, "{end}"),
                Err(other) => panic!("{end}: {other}"),
            }
        }
        assert_eq!(KeyFile::parse_all(pem.trim_end().as_bytes()).unwrap().len(), 1);
    }
}

/// Flips every bit of every key in the clear, and reads the result.
#[test]
fn no_damaged_key_panics_or_passes_for_another() {
    let p256 = PrivateKey::generate_p256().unwrap();
    for key in [p256, ed25519()] {
        let file = KeyFile::encrypt(&key, "", "alice", None).unwrap();
        for at in 0..file.0.content.len() {
            for bit in 0..8 {
                let mut damaged = file.clone();
                damaged.0.content[at] ^= 1 << bit;
                match damaged.decrypt(None) {
                    // The version, for instance, does not matter.
                    Ok(read) => assert_eq!(read.id(), key.id(), "{at} {bit}"),
                    Err(fault) => assert_ne!(fault, KeyFileFault::WrongPassphrase, "{at} {bit}"),
                }
            }
        }
    }
}

/// Flips bits in the parameters of the encryption and in what is encrypted.
#[test]
fn no_damaged_encryption_panics_or_passes_for_another_key() {
    let file = only_key(ED25519_FILE);
    let id = file.decrypt(Some("passphrase")).unwrap().id().clone();
    for at in 0..file.0.content.len() {
        for bit in [0, 7] {
            let mut damaged = file.clone();
            damaged.0.content[at] ^= 1 << bit;
            if let Ok(read) = damaged.decrypt(Some("passphrase")) {
                assert_eq!(read.id(), &id, "{at} {bit}");
            }
        }
    }
    for end in 0..file.0.content.len() {
        let mut cut = file.clone();
        cut.0.content.truncate(end);
        assert!(matches!(cut.decrypt(Some("passphrase")), Err(KeyFileFault::Malformed(_))), "{end}");
    }
}

#[test]
fn a_file_cannot_ask_for_endless_work() {
    let fault = named("pkcs8, too many iterations").0.decrypt(Some("any")).unwrap_err();
    assert_eq!(fault.to_string(), "not supported: 10000001 iterations, more than 10000000");
}

#[test]
fn the_public_key_in_a_file_must_be_that_of_the_private_key() {
    let other = PrivateKey::generate_ed25519().unwrap();
    let seed: Vec<u8> = (0..32).collect();
    let (own, others) =
        (ed25519().public_key().public_bytes().to_vec(), other.public_key().public_bytes().to_vec());
    for (first, last) in [(&own, &others), (&others, &own), (&others, &others)] {
        let bytes = [first.as_slice(), &seed, last].concat();
        assert!(matches!(PrivateKey::from_ed25519(&bytes), Err(KeyFileFault::Malformed(_))));
    }
    let one = p256::SecretKey::from_slice(&[1; 32]).unwrap();
    let two = p256::SecretKey::from_slice(&[2; 32]).unwrap();
    let mut sec1 = one.to_sec1_der().unwrap().to_vec();
    let point = two.to_sec1_der().unwrap();
    let at = sec1.len() - 65;
    sec1[at..].copy_from_slice(&point[at..]);
    assert!(matches!(PrivateKey::from_sec1(&sec1, None), Err(KeyFileFault::Malformed(_))));
}

#[test]
fn nothing_secret_is_shown() {
    let key = PrivateKey::generate_p256().unwrap();
    assert_eq!(format!("{key:?}"), format!("PrivateKey({})", key.id()));
    let file = KeyFile::encrypt(&key, "", "alice", None).unwrap();
    let shown = format!("{file:?}");
    assert!(shown.contains("alice"));
    for line in file.to_pem().lines().filter(|line| line.len() == 64) {
        assert!(!shown.contains(line));
    }
}
