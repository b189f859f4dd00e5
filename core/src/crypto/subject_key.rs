//! The ECDSA or RSA key in a SubjectPublicKeyInfo.

use x509_cert::der::Decode;
use x509_cert::der::asn1::{AnyRef, UintRef};
use x509_cert::der::oid::db::rfc5912::{
    ID_EC_PUBLIC_KEY, RSA_ENCRYPTION, SECP_256_R_1, SECP_384_R_1, SECP_521_R_1,
};
use x509_cert::spki::SubjectPublicKeyInfoRef;

/// The largest RSA exponent.
// Stricter: Go refuses larger ones only since version 1.20.
const MAX_RSA_EXPONENT: u32 = i32::MAX as u32;

/// A key whose encoding is sound. Whether a point is on its curve is checked by
/// every library that verifies with it, so not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SubjectKey {
    /// An uncompressed point.
    P256(Vec<u8>),
    /// An uncompressed point.
    P384(Vec<u8>),
    /// An uncompressed point.
    P521(Vec<u8>),
    /// Big-endian numbers without leading zeros.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
}

impl SubjectKey {
    /// Reads DER, without anything after it.
    pub(super) fn from_der(der: &[u8]) -> Option<Self> {
        Self::from_spki(&SubjectPublicKeyInfoRef::from_der(der).ok()?)
    }

    /// What Go's `x509.ParsePKIXPublicKey` reads as ECDSA or RSA.
    // Stricter: no P-224, no bit string that does not end on a byte.
    pub(super) fn from_spki(spki: &SubjectPublicKeyInfoRef<'_>) -> Option<Self> {
        let key = spki.subject_public_key.as_bytes()?;
        match spki.algorithm.oid {
            ID_EC_PUBLIC_KEY => match spki.algorithm.parameters_oid().ok()? {
                SECP_256_R_1 => uncompressed(key, 32).map(Self::P256),
                SECP_384_R_1 => uncompressed(key, 48).map(Self::P384),
                SECP_521_R_1 => uncompressed(key, 66).map(Self::P521),
                _ => None,
            },
            // Go insists on the NULL parameters.
            RSA_ENCRYPTION if spki.algorithm.parameters == Some(AnyRef::NULL) => rsa(key),
            _ => None,
        }
    }

    /// Whether the key is a point on its curve, or none that would have to be.
    pub(super) fn is_on_curve(&self) -> bool {
        match self {
            Self::P256(point) => p256::PublicKey::from_sec1_bytes(point).is_ok(),
            Self::P384(point) => p384::PublicKey::from_sec1_bytes(point).is_ok(),
            Self::P521(point) => p521::PublicKey::from_sec1_bytes(point).is_ok(),
            Self::Rsa { .. } => true,
        }
    }

    /// The size of an RSA key in bits.
    pub(super) fn rsa_bits(&self) -> Option<usize> {
        match self {
            Self::Rsa { modulus, .. } => {
                let unused = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
                Some(modulus.len() * 8 - unused)
            }
            _ => None,
        }
    }
}

/// Go reads no compressed points.
fn uncompressed(point: &[u8], coordinate: usize) -> Option<Vec<u8>> {
    (point.len() == 1 + 2 * coordinate && point.first() == Some(&4)).then(|| point.to_vec())
}

/// `RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }`
fn rsa(der: &[u8]) -> Option<SubjectKey> {
    let numbers = Vec::<UintRef<'_>>::from_der(der).ok()?;
    let [modulus, exponent] = numbers.as_slice() else {
        return None;
    };
    let [modulus, exponent] = [modulus.as_bytes(), exponent.as_bytes()];
    let value = exponent
        .iter()
        .try_fold(0u32, |value, byte| value.checked_mul(256)?.checked_add(u32::from(*byte)))?;
    (value <= MAX_RSA_EXPONENT)
        .then(|| SubjectKey::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    // The prefix of a P-256 key: algorithm, curve, bit string.
    const P256: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn an_uncompressed_point_is_read_and_any_other_form_is_not() {
        let point = format!("04{}", "11".repeat(64));
        let key = SubjectKey::from_der(&unhex(&format!("{P256}{point}")));
        assert_eq!(key, Some(SubjectKey::P256(unhex(&point))));
        // Hybrid points, and what only looks like an uncompressed one.
        for first in ["00", "02", "03", "05", "06", "07"] {
            let point = format!("{first}{}", "11".repeat(64));
            assert_eq!(SubjectKey::from_der(&unhex(&format!("{P256}{point}"))), None, "{first}");
        }
    }

    #[test]
    fn a_key_cut_short_anywhere_is_not_read() {
        let whole = unhex(&format!("{P256}04{}", "11".repeat(64)));
        for end in 0..whole.len() {
            assert_eq!(SubjectKey::from_der(&whole[..end]), None, "{end}");
        }
    }

    #[test]
    fn rsa_bits_do_not_count_leading_zeros() {
        let bits = |modulus: &[u8]| {
            let key = SubjectKey::Rsa { modulus: modulus.to_vec(), exponent: vec![3] };
            key.rsa_bits()
        };
        assert_eq!(bits(&[0x80, 0]), Some(16));
        assert_eq!(bits(&[0x7f, 0]), Some(15));
        assert_eq!(bits(&[]), Some(0));
        assert_eq!(SubjectKey::P256(vec![]).rsa_bits(), None);
    }

    #[test]
    fn an_rsa_key_is_two_positive_numbers() {
        let key = rsa(&unhex("300702020081020103"));
        assert_eq!(key, Some(SubjectKey::Rsa { modulus: vec![0x81], exponent: vec![3] }));
        for wrong in [
            "30050201ff0201 03".replace(' ', ""),           // negative modulus
            "3003020103".into(),                            // one number
            "3009020103020103020103".into(),                // three
            "3009020200810204 80000000".replace(' ', ""),   // negative exponent
            "300a02020081020500 80000000".replace(' ', ""), // exponent 2^31
        ] {
            assert_eq!(rsa(&unhex(&wrong)), None, "{wrong}");
        }
    }
}
