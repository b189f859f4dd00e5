//! Signing with one key, wherever it is.

use p256::ecdsa::Error as NotDer;

use crate::crypto::key::{KeyType, PublicKey};
use crate::crypto::subject_key::SubjectKey;
use crate::error::{Error, Result};

/// Something that signs with one key: a key on disk, in an HSM, behind a callback.
pub trait Signer: Send + Sync {
    /// The bare public key: of type `ecdsa`, `rsa` or `ed25519`, never a certificate.
    fn public_key(&self) -> &PublicKey;

    /// The signature over `message` itself: SHA-256 and ECDSA as r‖s or in DER,
    /// Ed25519, or RSA-PSS with SHA-256 and a salt of 32 bytes.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>>;
}

/// Signs, brings ECDSA to r‖s, and checks the result with the public key.
///
/// Returns the method as metadata names it, and the signature. A signer whose
/// signature is not its key's is [`Error::InvalidInput`]: nothing is published
/// that others would refuse.
pub fn sign_checked(signer: &dyn Signer, message: &[u8]) -> Result<(&'static str, Vec<u8>)> {
    let key = signer.public_key();
    let unusable = |reason: &str| Error::InvalidInput {
        what: format!("signer of key {}", key.id()),
        reason: reason.to_owned(),
    };
    let method = match key.key_type() {
        KeyType::Ecdsa => "ecdsa",
        KeyType::Ed25519 => "eddsa",
        KeyType::Rsa if cfg!(feature = "ring") => "rsapss",
        KeyType::Rsa => return Err(unusable("RSA needs the feature `ring`")),
        other => {
            return Err(unusable(&format!("its key has the type {other:?}, not ecdsa, rsa or ed25519")));
        }
    };
    let signature = signer.sign(message)?;
    // DER can be as long as r‖s, so the length does not tell them apart.
    let from_der = key.subject_key().and_then(|key| fixed_from_der(&key, &signature).ok());
    [Some(signature), from_der]
        .into_iter()
        .flatten()
        .find(|signature| key.verify(method, message, signature))
        .map(|signature| (method, signature))
        .ok_or_else(|| unusable("its signature does not verify with its public key"))
}

/// r‖s of an ECDSA signature in DER.
fn fixed_from_der(key: &SubjectKey, der: &[u8]) -> Result<Vec<u8>, NotDer> {
    Ok(match key {
        SubjectKey::P256(_) => p256::ecdsa::Signature::from_der(der)?.to_bytes().to_vec(),
        SubjectKey::P384(_) => p384::ecdsa::Signature::from_der(der)?.to_bytes().to_vec(),
        SubjectKey::P521(_) => p521::ecdsa::Signature::from_der(der)?.to_bytes().to_vec(),
        SubjectKey::Rsa { .. } => return Err(NotDer::new()),
    })
}

/// DER of an ECDSA signature r‖s, as certificates have it.
pub(super) fn der_from_fixed(key: &SubjectKey, fixed: &[u8]) -> Result<Vec<u8>, NotDer> {
    Ok(match key {
        SubjectKey::P256(_) => p256::ecdsa::Signature::from_slice(fixed)?.to_der().as_bytes().to_vec(),
        SubjectKey::P384(_) => p384::ecdsa::Signature::from_slice(fixed)?.to_der().as_bytes().to_vec(),
        SubjectKey::P521(_) => p521::ecdsa::Signature::from_slice(fixed)?.to_der().as_bytes().to_vec(),
        SubjectKey::Rsa { .. } => return Err(NotDer::new()),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use base64ct::{Base64, Encoding};

    use super::super::private_key::PrivateKey;
    use super::super::private_key::tests::keys_of_every_kind;
    use super::*;

    /// A key elsewhere: says it has this public key, and answers this.
    pub(in crate::crypto) struct Remote<F> {
        pub(in crate::crypto) public: PublicKey,
        pub(in crate::crypto) answer: F,
    }

    impl<F: Fn(&[u8]) -> Result<Vec<u8>> + Send + Sync> Signer for Remote<F> {
        fn public_key(&self) -> &PublicKey {
            &self.public
        }

        fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
            (self.answer)(message)
        }
    }

    fn refusal(signer: &dyn Signer) -> String {
        match sign_checked(signer, b"message").unwrap_err() {
            Error::InvalidInput { reason, .. } => reason,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn ed25519_signs_as_notary_does() {
        let message = "{\"_type\":\"Targets\",\"delegations\":{\"keys\":{},\"roles\":[]},\
            \"expires\":\"2099-01-01T00:00:00Z\",\"targets\":{\"a<b>&é\\\"\\\\\":{\"hashes\":\
            {\"sha256\":\"WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=\"},\"length\":6}},\"version\":1}";
        let key = super::super::key_file::tests::ed25519();
        let (method, signature) = sign_checked(&key, message.as_bytes()).unwrap();
        assert_eq!(method, "eddsa");
        assert_eq!(
            Base64::encode_string(&signature),
            "KI+jEBavRmRcJty9Mc4/ijpfo8Zj0u2izUU8B8Pseky52ICOBld/RB7aPctoXqNRTqkh3D8o7Sow/NstJnZ/AA=="
        );
    }

    #[test]
    fn every_kind_of_key_signs_by_its_method() {
        for (name, key) in keys_of_every_kind() {
            let (method, signature) = sign_checked(&key, b"message").unwrap();
            let expected = match name {
                "p256" => ("ecdsa", 64),
                "p384" => ("ecdsa", 96),
                "p521" => ("ecdsa", 132),
                "ed25519" => ("eddsa", 64),
                _ => ("rsapss", 256),
            };
            assert_eq!((method, signature.len()), expected, "{name}");
            assert!(key.public_key().verify(method, b"message", &signature), "{name}");
            assert!(!key.public_key().verify(method, b"Message", &signature), "{name}");
        }
    }

    #[test]
    fn ecdsa_signatures_in_der_become_fixed() {
        for (name, key) in keys_of_every_kind().into_iter().filter(|(name, _)| name.starts_with('p')) {
            let subject = key.public_key().subject_key().unwrap();
            let public = key.public_key().clone();
            // Lengths in DER vary.
            for message in 0..20_u8 {
                let answer = |message: &[u8]| Ok(der_from_fixed(&subject, &key.sign(message)?).unwrap());
                let (method, signature) =
                    sign_checked(&Remote { public: public.clone(), answer }, &[message]).unwrap();
                assert_eq!((method, &signature), ("ecdsa", &key.sign(&[message]).unwrap()), "{name}");
            }
        }
    }

    #[test]
    fn a_signature_that_is_not_of_the_key_and_the_message_is_refused() {
        for (name, key) in keys_of_every_kind() {
            let public = key.public_key().clone();
            let other = PrivateKey::generate_p256().unwrap();
            let signed = key.sign(b"message").unwrap();
            let cut = signed[1..].to_vec();
            type Answer<'a> = Box<dyn Fn(&[u8]) -> Result<Vec<u8>> + Send + Sync + 'a>;
            let answers: [Answer<'_>; 4] = [
                Box::new(|_| key.sign(b"another message")),
                Box::new(|message| other.sign(message)),
                Box::new(|_| Ok(Vec::new())),
                Box::new(|_| Ok(cut.clone())),
            ];
            for answer in answers {
                let reason = refusal(&Remote { public: public.clone(), answer });
                assert_eq!(reason, "its signature does not verify with its public key", "{name}");
            }
        }
    }

    #[test]
    fn a_signer_must_give_its_bare_key() {
        let key = PrivateKey::generate_p256().unwrap();
        for key_type in [KeyType::EcdsaX509, KeyType::RsaX509, KeyType::Other("gpg".into())] {
            let public = PublicKey::new(key_type, key.public_key().public_bytes().to_vec());
            let reason = refusal(&Remote { public, answer: |message: &[u8]| key.sign(message) });
            assert!(reason.contains("not ecdsa, rsa or ed25519"), "{reason}");
        }
    }

    #[test]
    fn the_error_of_a_signer_is_passed_on() {
        let public = PrivateKey::generate_p256().unwrap().public_key().clone();
        let error = Error::InvalidInput { what: "HSM".into(), reason: "no card".into() };
        let answer = |_: &[u8]| Err(error.clone());
        assert_eq!(sign_checked(&Remote { public, answer }, b"message"), Err(error.clone()));
    }
}
