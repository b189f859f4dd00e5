//! Public keys as tokens have them.

use cryptoki::object::{Attribute, AttributeType, KeyType as Kind};
use x509_cert::der::asn1::{AnyRef, BitStringRef, OctetStringRef, UintRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::oid::db::rfc5912::{ID_EC_PUBLIC_KEY, RSA_ENCRYPTION};
use x509_cert::der::{self, Decode, Encode};
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfo};

use crate::crypto::key::{KeyType, PublicKey};
use crate::crypto::signature::MIN_RSA_BITS;
use crate::crypto::subject_key::SubjectKey;

/// What [`read`] needs; each kind of key has two of them.
pub(super) const ATTRIBUTES: [AttributeType; 4] =
    [AttributeType::EcParams, AttributeType::EcPoint, AttributeType::Modulus, AttributeType::PublicExponent];

/// The key, encoded as Go does it, or why it cannot be used.
pub(super) fn read(kind: Kind, attributes: &[Attribute]) -> Result<PublicKey, &'static str> {
    match (kind, attributes) {
        (Kind::EC, [Attribute::EcParams(curve), Attribute::EcPoint(point)]) => {
            ecdsa(curve, point).ok_or("it is not on P-256, P-384 or P-521")
        }
        (Kind::RSA, [Attribute::Modulus(modulus), Attribute::PublicExponent(exponent)]) => {
            rsa(modulus, exponent).ok_or("it is not RSA with at least 2048 bits")
        }
        (Kind::EC_EDWARDS, [Attribute::EcParams(_), Attribute::EcPoint(point)]) => {
            ed25519(point).ok_or("it is not Ed25519")
        }
        _ => Err("its public key is incomplete"),
    }
}

fn ecdsa(curve: &[u8], point: &[u8]) -> Option<PublicKey> {
    let curve = AnyRef::from_der(curve).ok()?;
    let spki = bare_or_wrapped(point).find_map(|point| {
        let spki = encode(ID_EC_PUBLIC_KEY, curve, point).ok()?;
        SubjectKey::from_der(&spki)?.is_on_curve().then_some(spki)
    })?;
    Some(PublicKey::new(KeyType::Ecdsa, spki))
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<PublicKey> {
    let numbers = [UintRef::new(modulus).ok()?, UintRef::new(exponent).ok()?].to_der().ok()?;
    let spki = encode(RSA_ENCRYPTION, AnyRef::NULL, &numbers).ok()?;
    (SubjectKey::from_der(&spki)?.rsa_bits()? >= MIN_RSA_BITS).then(|| PublicKey::new(KeyType::Rsa, spki))
}

fn ed25519(point: &[u8]) -> Option<PublicKey> {
    let key = bare_or_wrapped(point).find(|key| key.len() == 32)?;
    Some(PublicKey::new(KeyType::Ed25519, key.to_vec()))
}

/// The standard wants points in an OCTET STRING; not all tokens do it.
fn bare_or_wrapped(point: &[u8]) -> impl Iterator<Item = &[u8]> {
    let wrapped = <&OctetStringRef>::from_der(point).ok().map(OctetStringRef::as_bytes);
    [Some(point), wrapped].into_iter().flatten()
}

fn encode(algorithm: ObjectIdentifier, parameters: AnyRef<'_>, key: &[u8]) -> der::Result<Vec<u8>> {
    let algorithm = AlgorithmIdentifierRef { oid: algorithm, parameters: Some(parameters) };
    SubjectPublicKeyInfo { algorithm, subject_public_key: BitStringRef::from_bytes(key)? }.to_der()
}

#[cfg(test)]
mod tests {
    use x509_cert::der::asn1::OctetString;
    use x509_cert::spki::SubjectPublicKeyInfoRef;

    use super::super::super::private_key::tests::keys_of_every_kind;
    use super::super::super::signer::Signer;
    use super::*;

    fn wrapped(point: &[u8]) -> Vec<u8> {
        OctetString::new(point).unwrap().to_der().unwrap()
    }

    fn elliptic(curve: &[u8], point: &[u8]) -> [Attribute; 2] {
        [Attribute::EcParams(curve.to_vec()), Attribute::EcPoint(point.to_vec())]
    }

    /// The same key as tokens give it, in each form.
    fn as_on_token(key: &PublicKey) -> (Kind, Vec<[Attribute; 2]>) {
        let public = key.public_bytes();
        if *key.key_type() == KeyType::Ed25519 {
            let curve = ObjectIdentifier::new_unwrap("1.3.101.112").to_der().unwrap();
            return (Kind::EC_EDWARDS, vec![elliptic(&curve, public), elliptic(&curve, &wrapped(public))]);
        }
        let spki = SubjectPublicKeyInfoRef::from_der(public).unwrap();
        let bits = spki.subject_public_key.raw_bytes();
        if *key.key_type() == KeyType::Rsa {
            let numbers = Vec::<UintRef<'_>>::from_der(bits).unwrap();
            let [modulus, exponent] = [numbers[0], numbers[1]].map(|number| number.as_bytes().to_vec());
            return (Kind::RSA, vec![[Attribute::Modulus(modulus), Attribute::PublicExponent(exponent)]]);
        }
        let curve = spki.algorithm.parameters.unwrap().to_der().unwrap();
        (Kind::EC, vec![elliptic(&curve, bits), elliptic(&curve, &wrapped(bits))])
    }

    #[test]
    fn a_key_has_the_id_that_it_has_in_a_file() {
        for (name, key) in keys_of_every_kind() {
            let (kind, forms) = as_on_token(key.public_key());
            for attributes in forms {
                assert_eq!(read(kind, &attributes).as_ref(), Ok(key.public_key()), "{name}");
            }
        }
    }

    #[test]
    fn what_is_no_usable_key_is_refused() {
        let keys = keys_of_every_kind();
        let (_, forms) = as_on_token(keys[0].1.public_key());
        let [Attribute::EcParams(p256), Attribute::EcPoint(point)] = &forms[0] else { panic!() };
        let of = |kind: Kind, attributes: &[Attribute]| read(kind, attributes).unwrap_err();

        let compressed = [&[2 + (point[64] & 1)], &point[1..33]].concat();
        let mut off_curve = point.clone();
        off_curve[64] ^= 1;
        let twice = wrapped(&wrapped(point));
        for point in [&compressed[..], &wrapped(&compressed), &off_curve, &point[..64], &twice, b""] {
            let reason = of(Kind::EC, &elliptic(p256, point));
            assert_eq!(reason, "it is not on P-256, P-384 or P-521", "{point:x?}");
        }
        let secp256k1 = ObjectIdentifier::new_unwrap("1.3.132.0.10").to_der().unwrap();
        for curve in [&secp256k1[..], b"", b"\x05\x00"] {
            assert_eq!(of(Kind::EC, &elliptic(curve, point)), "it is not on P-256, P-384 or P-521");
        }
        for length in [31, 33, 57] {
            assert_eq!(of(Kind::EC_EDWARDS, &elliptic(p256, &vec![7; length])), "it is not Ed25519");
        }
        for modulus in [[0x7f; 256], [0; 256]] {
            let numbers = [Attribute::Modulus(modulus.to_vec()), Attribute::PublicExponent(vec![1, 0, 1])];
            assert_eq!(of(Kind::RSA, &numbers), "it is not RSA with at least 2048 bits");
        }
        // Of another kind than it says, or without one half.
        for attributes in [&forms[0][..], &forms[0][..1], &[]] {
            assert_eq!(of(Kind::RSA, attributes), "its public key is incomplete");
        }
    }
}
