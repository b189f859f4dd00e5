//! Wycheproof's vectors through every library that verifies.

use serde::Deserialize;
use tagtrust::crypto::{Backend, KeyType, PublicKey};

#[derive(Deserialize)]
struct Vectors {
    keytype: String,
    method: String,
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    key: String,
    tests: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: u32,
    comment: String,
    msg: String,
    sig: String,
    result: String,
}

/// Runs one file and checks that it has as many vectors as expected.
fn run(backend: Backend, file: &str, count: usize) {
    let path = format!("{}/../tests/vectors/wycheproof/{file}", env!("CARGO_MANIFEST_DIR"));
    let vectors: Vectors = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut seen = 0;
    for group in &vectors.groups {
        let key = PublicKey::new(KeyType::from(vectors.keytype.as_str()), unhex(&group.key));
        for vector in &group.tests {
            let verdict = key.verify_with(backend, &vectors.method, &unhex(&vector.msg), &unhex(&vector.sig));
            let expected = match vector.result.as_str() {
                "valid" => true,
                "invalid" => false,
                // A PKCS#1 v1.5 digest without its NULL: Go refuses it.
                "acceptable" if vector.comment == "Missing NULL in the ASN encoding" => false,
                other => panic!("unexplained verdict {other}"),
            };
            assert_eq!(verdict, expected, "{file} {}: {}", vector.id, vector.comment);
            seen += 1;
        }
    }
    assert_eq!(seen, count, "{file}");
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn p256_in_pure_rust() {
    run(Backend::RustCrypto, "ecdsa_secp256r1_sha256.json", 262);
}

#[test]
#[cfg(feature = "ring")]
fn p256_in_ring() {
    run(Backend::Ring, "ecdsa_secp256r1_sha256.json", 262);
}

#[test]
fn p384() {
    run(Backend::default(), "ecdsa_secp384r1_sha256.json", 238);
}

#[test]
fn ed25519() {
    run(Backend::default(), "ed25519.json", 151);
}

#[test]
#[cfg(feature = "ring")]
fn rsa_pss() {
    run(Backend::Ring, "rsa_pss_2048_sha256.json", 108);
    run(Backend::Ring, "rsa_pss_3072_sha256.json", 108);
    run(Backend::Ring, "rsa_pss_4096_sha256.json", 108);
}

#[test]
#[cfg(feature = "ring")]
fn rsa_pkcs1() {
    run(Backend::Ring, "rsa_signature_2048_sha256.json", 259);
    run(Backend::Ring, "rsa_signature_3072_sha256.json", 259);
    run(Backend::Ring, "rsa_signature_4096_sha256.json", 258);
}
