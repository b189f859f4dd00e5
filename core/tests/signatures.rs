//! Our own signature vectors: which keys, methods and encodings are valid.

use base64ct::{Base64, Encoding};
use serde::Deserialize;
use tagtrust::crypto::{Backend, KeyType, PublicKey};

#[derive(Deserialize)]
struct Vector {
    name: String,
    valid: bool,
    keytype: String,
    public: String,
    method: String,
    message: String,
    sig: String,
}

fn run(backend: Backend) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/signatures/vectors.json");
    let vectors: Vec<Vector> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(vectors.len(), 76);
    for vector in vectors {
        let key = PublicKey::new(
            KeyType::from(vector.keytype.as_str()),
            Base64::decode_vec(&vector.public).unwrap(),
        );
        let signature = Base64::decode_vec(&vector.sig).unwrap();
        let verdict = key.verify_with(backend, &vector.method, vector.message.as_bytes(), &signature);
        // Pure Rust has no RSA: never valid.
        let known = backend != Backend::RustCrypto || !vector.keytype.starts_with("rsa");
        assert_eq!(verdict, vector.valid && known, "{}", vector.name);
    }
}

#[test]
fn vectors_in_pure_rust() {
    run(Backend::RustCrypto);
}

#[test]
#[cfg(feature = "ring")]
fn vectors_in_ring() {
    run(Backend::Ring);
}
