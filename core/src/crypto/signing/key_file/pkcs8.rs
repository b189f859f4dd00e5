//! PKCS#8 with Notary's deviations, and its encryption by PBES2.

use pbkdf2::pbkdf2_hmac;
use pkcs5::pbes2::{EncryptionScheme, Kdf, PBES2_OID, Parameters, Pbkdf2Params, Pbkdf2Prf, Salt};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use x509_cert::der::asn1::{Any, AnyRef, OctetString, OctetStringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::oid::db::rfc5912::{
    ID_EC_PUBLIC_KEY, RSA_ENCRYPTION, SECP_256_R_1, SECP_384_R_1, SECP_521_R_1,
};
use x509_cert::der::oid::db::rfc8410::ID_ED_25519;
use x509_cert::der::{self, Decode, Encode, EncodeValue, ErrorKind, FixedTag, Length, Reader, Tag, Writer};
use x509_cert::spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use super::KeyFileFault;
use super::cipher::{self, Cipher};
use crate::crypto::signing::private_key::{PrivateKey, Secret, ed25519_form};

/// What Notary calls Ed25519. It is not the identifier of RFC 8410.
const NOTARY_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11591.15.1");

/// What Notary writes.
const ITERATIONS: u32 = 2048;

/// Most iterations that a file may ask for. Stops a file that keeps the
/// processor busy for hours.
const MAX_ITERATIONS: u32 = 10_000_000;

/// Reads PrivateKeyInfo as Go does: whatever its version, and nothing after the key.
pub(super) fn read(der: &[u8]) -> Result<PrivateKey, KeyFileFault> {
    let info = AnyRef::from_der(der).and_then(|info| {
        info.sequence(|fields| {
            u8::decode(fields)?;
            let algorithm = AlgorithmIdentifierRef::decode(fields)?;
            let key = <&OctetStringRef>::decode(fields)?.as_bytes();
            fields.drain(fields.remaining_len())?;
            Ok::<_, der::Error>((algorithm, key))
        })
    });
    let (algorithm, key) = info.map_err(|_| malformed("PKCS#8"))?;
    match algorithm.oid {
        ID_EC_PUBLIC_KEY => PrivateKey::from_sec1(key, algorithm.parameters_oid().ok()),
        RSA_ENCRYPTION => PrivateKey::from_pkcs1(key),
        NOTARY_ED25519 => PrivateKey::from_ed25519(key),
        ID_ED_25519 => Err(unsupported("Ed25519 in the form of RFC 8410, which Notary does not read either")),
        other => Err(unsupported(&format!("a key of kind {other}"))),
    }
}

/// PrivateKeyInfo as Notary writes it.
pub(super) fn write(key: &PrivateKey) -> der::Result<Zeroizing<Vec<u8>>> {
    let ec = |curve, sec1: Zeroizing<Vec<u8>>| {
        // Version 1, yet without the public key that it has in the standard.
        let algorithm =
            AlgorithmIdentifierRef { oid: ID_EC_PUBLIC_KEY, parameters: Some(AnyRef::from(curve)) };
        PrivateKeyInfo { version: 1, algorithm, key: OctetStringRef::new(&sec1)? }.to_der()
    };
    // RSA without the NULL that it has in the standard.
    let other = |oid, bytes: &[u8]| {
        let algorithm = AlgorithmIdentifierRef { oid, parameters: None };
        PrivateKeyInfo { version: 0, algorithm, key: OctetStringRef::new(bytes)? }.to_der()
    };
    let der = match key.secret() {
        Secret::P256(key) => ec(&SECP_256_R_1, p256::SecretKey::from(key).to_sec1_der()?),
        Secret::P384(key) => ec(&SECP_384_R_1, p384::SecretKey::from(key).to_sec1_der()?),
        Secret::P521(key) => ec(&SECP_521_R_1, p521::SecretKey::from(key).to_sec1_der()?),
        Secret::Ed25519(key) => other(NOTARY_ED25519, &ed25519_form(key)),
        #[cfg(feature = "ring")]
        Secret::Rsa(pkcs1) => other(RSA_ENCRYPTION, pkcs1),
    };
    der.map(Zeroizing::new)
}

/// Reads EncryptedPrivateKeyInfo and decrypts it.
pub(super) fn decrypt(der: &[u8], passphrase: &str) -> Result<Zeroizing<Vec<u8>>, KeyFileFault> {
    let info = AnyRef::from_der(der).and_then(|info| {
        info.sequence(|fields| {
            let scheme = AlgorithmIdentifierRef::decode(fields)?;
            Ok::<_, der::Error>((scheme, <&OctetStringRef>::decode(fields)?.as_bytes()))
        })
    });
    let (scheme, ciphertext) = info.map_err(|_| malformed("encrypted PKCS#8"))?;
    let parameters = match scheme.parameters {
        Some(parameters) if scheme.oid == PBES2_OID => Parameters::try_from(parameters),
        _ => return Err(unsupported(&format!("encryption with {}", scheme.oid))),
    };
    let parameters = parameters.map_err(|error| match error.kind() {
        ErrorKind::OidUnknown { oid } => unsupported(&format!("encryption with {oid}")),
        _ => malformed("PBES2"),
    })?;
    let (cipher, iv) = match &parameters.encryption {
        EncryptionScheme::Aes128Cbc { iv } => (Cipher::Aes128, iv),
        EncryptionScheme::Aes192Cbc { iv } => (Cipher::Aes192, iv),
        EncryptionScheme::Aes256Cbc { iv } => (Cipher::Aes256, iv),
        other => return Err(unsupported(&format!("encryption with {}", other.oid()))),
    };
    let key = derive(&parameters.kdf, passphrase, cipher.key_size())?;
    cipher.decrypt(&key, iv, ciphertext).ok_or(KeyFileFault::WrongPassphrase)
}

/// EncryptedPrivateKeyInfo as Notary writes it: PBKDF2 with HMAC-SHA-1, which
/// goes without saying, and AES-256.
pub(super) fn encrypt(plain: &[u8], passphrase: &str, salt: [u8; 8], iv: [u8; 16]) -> der::Result<Vec<u8>> {
    let kdf = Pbkdf2Params {
        salt: Salt::new(salt)?,
        iteration_count: ITERATIONS,
        key_length: None,
        prf: Pbkdf2Prf::HmacWithSha1,
    };
    let mut key = Zeroizing::new([0; 32]);
    pbkdf2_hmac::<Sha1>(passphrase.as_bytes(), &salt, ITERATIONS, &mut *key);
    let encryption = EncryptionScheme::Aes256Cbc { iv };
    let scheme = pkcs5::EncryptionScheme::from(Parameters { kdf: kdf.into(), encryption });
    let ciphertext = OctetString::new(cipher::encrypt(&key, &iv, plain))?;
    vec![Any::encode_from(&scheme)?, Any::encode_from(&ciphertext)?].to_der()
}

/// PBKDF2. Notary takes every PRF for HMAC-SHA-1; here it is the one that the file
/// names, so that keys of OpenSSL, which names HMAC-SHA-256, are read.
fn derive(kdf: &Kdf, passphrase: &str, length: usize) -> Result<Zeroizing<Vec<u8>>, KeyFileFault> {
    let Kdf::Pbkdf2(parameters) = kdf else {
        return Err(unsupported(&format!("key derivation with {}", kdf.oid())));
    };
    let (salt, iterations) = (parameters.salt.as_bytes(), parameters.iteration_count);
    if iterations == 0 || parameters.key_length.is_some_and(|stated| usize::from(stated) != length) {
        return Err(malformed("PBKDF2"));
    }
    if iterations > MAX_ITERATIONS {
        return Err(unsupported(&format!("{iterations} iterations, more than {MAX_ITERATIONS}")));
    }
    let derive = match parameters.prf {
        Pbkdf2Prf::HmacWithSha1 => pbkdf2_hmac::<Sha1>,
        Pbkdf2Prf::HmacWithSha224 => pbkdf2_hmac::<Sha224>,
        Pbkdf2Prf::HmacWithSha256 => pbkdf2_hmac::<Sha256>,
        Pbkdf2Prf::HmacWithSha384 => pbkdf2_hmac::<Sha384>,
        Pbkdf2Prf::HmacWithSha512 => pbkdf2_hmac::<Sha512>,
        other => return Err(unsupported(&format!("key derivation with {}", other.oid()))),
    };
    let mut key = Zeroizing::new(vec![0; length]);
    derive(passphrase.as_bytes(), salt, iterations, &mut key);
    Ok(key)
}

/// The standard's structure without what may follow the key.
struct PrivateKeyInfo<'a> {
    version: u8,
    algorithm: AlgorithmIdentifierRef<'a>,
    key: &'a OctetStringRef,
}

impl FixedTag for PrivateKeyInfo<'_> {
    const TAG: Tag = Tag::Sequence;
}

impl EncodeValue for PrivateKeyInfo<'_> {
    fn value_len(&self) -> der::Result<Length> {
        self.version.encoded_len()? + self.algorithm.encoded_len()? + self.key.encoded_len()?
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        self.version.encode(writer)?;
        self.algorithm.encode(writer)?;
        self.key.encode(writer)
    }
}

fn unsupported(what: &str) -> KeyFileFault {
    KeyFileFault::Unsupported(what.into())
}

fn malformed(what: &str) -> KeyFileFault {
    KeyFileFault::Malformed(format!("not {what}"))
}
