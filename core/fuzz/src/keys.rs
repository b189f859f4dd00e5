use tagtrust::crypto::{Backend, KeyType, PublicKey};

const TYPES: [&str; 6] = ["ecdsa", "ecdsa-x509", "rsa", "rsa-x509", "ed25519", "other"];
const METHODS: [&str; 6] = ["ecdsa", "eddsa", "rsapss", "rsapkcs1v15", "pycrypto-pkcs#1 pss", "other"];

/// Nobody ever signed this.
const MESSAGE: &[u8] = b"tagtrust fuzz";

/// Any bytes are a key, and no bytes are a signature. The input is an index of
/// `TYPES`, the length of the key in two bytes, the key, and the signature.
pub fn key(input: &[u8]) -> bool {
    let Some(([key_type, high, low], rest)) = input.split_first_chunk() else { return false };
    let Some(key_type) = TYPES.get(usize::from(*key_type)) else { return false };
    let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
    let (public, signature) = rest.split_at(length);

    let key = PublicKey::new(KeyType::from(*key_type), public.to_vec());
    assert_eq!(key.key_type().as_str(), *key_type);
    assert_eq!(key.public_bytes(), public);
    assert_eq!(key.id(), PublicKey::new(KeyType::from(*key_type), public.to_vec()).id());
    for id in [Some(key.id().clone()), key.canonical_id()].into_iter().flatten() {
        assert!(id.as_str().len() == 64 && id.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    for method in METHODS {
        let valid = key.verify(method, MESSAGE, signature);
        assert!(!valid || (*key_type == "ed25519" && is_weak(public)), "a forged signature: {method}");
        if method == "ecdsa" {
            assert_eq!(valid, key.verify_with(Backend::RustCrypto, method, MESSAGE, signature));
        }
    }
    key.canonical_id().is_some()
}

/// Points of small order, which Go admits: anybody can sign with such a key.
fn is_weak(public: &[u8]) -> bool {
    public
        .try_into()
        .ok()
        .and_then(|public| ed25519_dalek::VerifyingKey::from_bytes(public).ok())
        .is_some_and(|key| key.is_weak())
}
