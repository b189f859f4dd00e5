//! Files of public keys, as signers hand them to the owner of a repository.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use x509_cert::der::pem::{self, LineEnding};
use zeroize::Zeroizing;

use super::certificate::Certificate;
use super::key::{KeyType, PublicKey};
use super::pem_block::Block;
use super::signature::MIN_RSA_BITS;
use super::subject_key::SubjectKey;
use crate::error::{Error, Result};

const CERTIFICATE: &str = "CERTIFICATE";
const PUBLIC_KEY: &str = "PUBLIC KEY";

/// The public keys of a PEM text: ECDSA or RSA keys, or a certificate of one that
/// is valid at `now`. A certificate may be of a CA, and have any name.
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

/// What `docker trust key generate` writes for the signer to hand on: an ECDSA or
/// RSA key, and the name of the signer.
pub fn public_key_to_pem(key: &PublicKey, role: &str) -> String {
    let content = Zeroizing::new(key.public_bytes().to_vec());
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
        None => Err(invalid("unknown public key format; ECDSA on P-256, P-384 or P-521 and RSA are known")),
    }
}

fn invalid(reason: &str) -> Error {
    Error::InvalidInput { what: "public key".into(), reason: reason.into() }
}
