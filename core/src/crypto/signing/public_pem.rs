//! Files of public keys, as signers hand them to the owner of a repository.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::VerifyingKey;
use x509_cert::der::pem::{self, LineEnding};
use zeroize::Zeroizing;

use super::pem_block::Block;
use crate::crypto::certificate::Certificate;
use crate::crypto::key::{KeyType, PublicKey};
use crate::crypto::signature::MIN_RSA_BITS;
use crate::crypto::subject_key::SubjectKey;
use crate::error::{Error, Result};

const CERTIFICATE: &str = "CERTIFICATE";
const PUBLIC_KEY: &str = "PUBLIC KEY";
/// What stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410).
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The public keys of a PEM text: ECDSA, RSA or Ed25519 keys, or a certificate of
/// one of the former two that is valid at `now`. A certificate may be of a CA, and have any name.
///
/// [`Error::InvalidInput`] with the words of `docker trust signer add` if the text
/// is something else.
pub fn public_keys_from_pem(pem: &[u8], now: SystemTime) -> Result<Vec<PublicKey>> {
    let blocks = Block::parse_all(pem, |_| true)
        .map_err(|reason| invalid(&format!("no valid public key found: {reason}")))?;
    match blocks.as_slice() {
        [] => Err(invalid("no valid public key found")),
        // What follows a certificate are those of the CAs above it. Their keys
        // are not meant to sign.
        [first, ..] if first.label == CERTIFICATE => Ok(vec![certificate(&first.content, now)?]),
        // Notary reads the first and forgets the others.
        keys => keys.iter().map(bare_key).collect(),
    }
}

/// What `docker trust key generate` writes for the signer to hand on: the key, and
/// the name of the signer. Docker itself makes ECDSA keys only, and takes no Ed25519.
pub fn public_key_to_pem(key: &PublicKey, role: &str) -> String {
    let prefix: &[u8] = if *key.key_type() == KeyType::Ed25519 { &ED25519_PREFIX } else { &[] };
    let content = Zeroizing::new([prefix, key.public_bytes()].concat());
    let mut block = Block { label: PUBLIC_KEY.into(), headers: BTreeMap::new(), content };
    block.set_header("role", Some(role));
    block.to_text().to_string()
}

fn bare_key(block: &Block) -> Result<PublicKey> {
    if block.label != PUBLIC_KEY {
        let label = &block.label;
        return Err(invalid(&format!(
            "unsupported PEM block type {label:?}, expected {CERTIFICATE} or {PUBLIC_KEY}"
        )));
    }
    // More than Notary reads here, which knows such keys in metadata all the same.
    if let Some(key) = block.content.strip_prefix(&ED25519_PREFIX) {
        let key = VerifyingKey::try_from(key).map_err(|_| invalid("it is no Ed25519 key"))?;
        return Ok(PublicKey::new(KeyType::Ed25519, key.to_bytes().to_vec()));
    }
    let key = SubjectKey::from_der(&block.content).filter(SubjectKey::is_on_curve);
    let key_type = key_type(key.as_ref())?;
    // Stricter: Notary takes smaller ones too, which then cannot sign.
    if key.and_then(|key| key.rsa_bits()).is_some_and(|bits| bits < MIN_RSA_BITS) {
        return Err(invalid(&format!("an RSA key needs {MIN_RSA_BITS} bits")));
    }
    Ok(PublicKey::new(key_type.0, block.content.to_vec()))
}

fn certificate(der: &[u8], now: SystemTime) -> Result<PublicKey> {
    let certificate = Certificate::parse(0, der.to_vec())
        .map_err(|fault| invalid(&format!("could not parse provided certificate: {fault}")))?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    certificate.check(Some(now)).map_err(|fault| invalid(&format!("invalid certificate: {fault}")))?;
    let key_type = key_type(certificate.key.as_ref())?;
    let pem = pem::encode_string(CERTIFICATE, LineEnding::LF, &certificate.der)
        .map_err(|error| invalid(&error.to_string()))?;
    Ok(PublicKey::new(key_type.1, pem.into_bytes()))
}

/// The type of the bare key, and of its certificates.
fn key_type(key: Option<&SubjectKey>) -> Result<(KeyType, KeyType)> {
    match key {
        Some(SubjectKey::Rsa { .. }) => Ok((KeyType::Rsa, KeyType::RsaX509)),
        Some(SubjectKey::P256(_) | SubjectKey::P384(_) | SubjectKey::P521(_)) => {
            Ok((KeyType::Ecdsa, KeyType::EcdsaX509))
        }
        None => Err(invalid(
            "unknown public key format; ECDSA on P-256, P-384 or P-521, RSA and Ed25519 are known",
        )),
    }
}

fn invalid(reason: &str) -> Error {
    Error::InvalidInput { what: "public key".into(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::super::private_key::PrivateKey;
    use super::super::private_key::tests::keys_of_every_kind;
    use super::super::signer::Signer;
    use super::*;
    use crate::crypto::bundle::tests::{NOW, pem};

    fn read(text: impl AsRef<[u8]>) -> Result<Vec<PublicKey>> {
        public_keys_from_pem(text.as_ref(), UNIX_EPOCH + NOW)
    }

    fn reason(text: impl AsRef<[u8]>) -> String {
        match read(text).unwrap_err() {
            Error::InvalidInput { what, reason } if what == "public key" => reason,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_public_key_is_written_as_docker_does_and_read_back() {
        // By docker trust key generate.
        let dockers = "-----BEGIN PUBLIC KEY-----\nrole: alice\n\n\
            MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEfzIJslRhpds2zMr0+Olc+ynB7W6F\n\
            csswkiZfR9E9op5RHTcTwZVuOOwklpeOiq34Q9FUrQMpTqQFhD/yWKUGeA==\n\
            -----END PUBLIC KEY-----\n";
        let [key] = read(dockers).unwrap().try_into().unwrap();
        assert_eq!(key.key_type(), &KeyType::Ecdsa);
        assert_eq!(public_key_to_pem(&key, "alice"), dockers);
    }

    #[test]
    fn keys_of_every_kind_are_written_and_read() {
        for (name, key) in keys_of_every_kind() {
            let text = public_key_to_pem(key.public_key(), name);
            assert_eq!(read(text).unwrap(), [key.public_key().clone()], "{name}");
        }
        // Ed25519 as OpenSSL writes it.
        let standard = "-----BEGIN PUBLIC KEY-----\n\
            MCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n-----END PUBLIC KEY-----\n";
        let [key] = read(standard).unwrap().try_into().unwrap();
        assert_eq!(key.id().as_str(), "b9fe8d4b54e73abb584e2015aaa447047e53282f491dcc70c40d2474d3096a21");
        // One byte less, and no point of the curve.
        let short = standard.replace("MCowBQYDK2VwAyEA", "MCkwBQYDK2VwAyAA").replace("Mbg=", "MQ==");
        let off = standard.replace(
            "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
            "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        );
        assert!(read(short).is_err());
        assert!(read(off).is_err());
    }

    #[test]
    fn every_bare_key_of_a_text_is_read() {
        let keys = [(); 2].map(|()| PrivateKey::generate_p256().unwrap().public_key().clone());
        let text =
            format!("a\n{}b\r\n{}", public_key_to_pem(&keys[0], "a"), public_key_to_pem(&keys[1], "b"));
        assert_eq!(read(text).unwrap(), keys);
    }

    #[test]
    fn of_certificates_only_the_first_is_a_key() {
        for (file, key_type) in
            [("notary", KeyType::EcdsaX509), ("p384", KeyType::EcdsaX509), ("rsa", KeyType::RsaX509)]
        {
            assert_eq!(read(pem(file)).unwrap(), [PublicKey::new(key_type, pem(file))], "{file}");
        }
        let leaf = PublicKey::new(KeyType::EcdsaX509, pem("chain-without-intermediate"));
        assert_eq!(read(pem("chain")).unwrap(), [leaf]);
        assert_eq!(read(pem("root-ca")).unwrap()[0].public_bytes(), pem("root-ca"));
    }

    #[test]
    fn a_certificate_is_written_anew_in_normal_form() {
        let normal = String::from_utf8(pem("notary")).unwrap();
        let odd = format!("# signer\r\n{}", normal.replace('\n', " \r\n"));
        assert_eq!(read(odd).unwrap()[0].public_bytes(), normal.as_bytes());
    }

    #[test]
    fn certificates_that_notary_refuses_are_refused() {
        for (file, expected) in
            [("sha1", "broken algorithm"), ("rsa-2047", "less than 2048"), ("ed25519", "unknown")]
        {
            let reason = reason(pem(file));
            assert!(reason.contains(expected), "{file}: {reason}");
        }
        for (years, expected) in [(200, "expired at"), (0, "not valid before")] {
            let now = UNIX_EPOCH + years * std::time::Duration::from_secs(365 * 86_400);
            let error = public_keys_from_pem(&pem("notary"), now).unwrap_err().to_string();
            assert!(error.contains("invalid certificate: ") && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_is_no_public_key_is_refused_in_the_words_of_docker() {
        let key = PrivateKey::generate_p256().unwrap();
        let public = public_key_to_pem(key.public_key(), "alice");
        assert_eq!(reason(""), "no valid public key found");
        assert_eq!(reason("ssh-ed25519 AAAA"), "no valid public key found");
        for label in ["EC PRIVATE KEY", "PRIVATE KEY", "RSA PUBLIC KEY"] {
            let expected =
                format!("unsupported PEM block type {label:?}, expected CERTIFICATE or PUBLIC KEY");
            assert_eq!(reason(public.replace("PUBLIC KEY", label)), expected);
        }
        assert!(reason(public.replace("PUBLIC KEY", "CERTIFICATE")).starts_with("could not parse provided"));
        assert!(reason(&public[..public.len() - 30]).starts_with("no valid public key found: "));
        assert!(reason(public.replace("MFkw", "M?kw")).starts_with("no valid public key found: "));
    }

    #[test]
    fn a_point_off_the_curve_and_a_short_rsa_key_are_refused() {
        let key = PrivateKey::generate_p256().unwrap();
        let mut der = key.public_key().public_bytes().to_vec();
        let last = der.len() - 1;
        der[last] ^= 1;
        let off = public_key_to_pem(&PublicKey::new(KeyType::Ecdsa, der), "alice");
        assert!(reason(off).starts_with("unknown public key format"));

        let short =
            Certificate::parse(0, pem::decode_vec(&super::tests::pem("rsa-2047")).unwrap().1).unwrap();
        let short = PublicKey::new(KeyType::Rsa, short.spki_der().unwrap());
        assert_eq!(reason(public_key_to_pem(&short, "alice")), "an RSA key needs 2048 bits");
    }
}
