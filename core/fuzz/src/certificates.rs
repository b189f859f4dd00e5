use std::time::{Duration, SystemTime};

use base64ct::{Base64, Encoding};
use tagtrust::crypto::{CertificateBundle, KeyType, PublicKey, TrustAnchors};

/// 2030, when the seeds are valid.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000)
}

/// A CA whose key was thrown away, and the only certificates of use below it.
const AUTHORITY: &[u8] = include_bytes!("../../../tests/vectors/certificates/root-ca.pem");
const ISSUED: [&[u8]; 3] = [
    include_bytes!("../../../tests/vectors/certificates/chain.pem"),
    include_bytes!("../../../tests/vectors/certificates/chain-direct.pem"),
    include_bytes!("../../../tests/vectors/certificates/chain-server-auth.pem"),
];

/// Certificates that pass hold together, and none chains to a CA that did not
/// issue it. The input is PEM, or DER of certificates one after the other.
pub fn certificate(input: &[u8]) -> bool {
    let pem = if input.starts_with(b"-----BEGIN ") { input.to_vec() } else { wrap(input) };
    let authority = TrustAnchors::parse(AUTHORITY, now()).expect("the CA is valid");
    let own = TrustAnchors::parse(&pem, now());
    let mut accepted = false;
    for key_type in [KeyType::EcdsaX509, KeyType::RsaX509, KeyType::Ecdsa] {
        let key = PublicKey::new(key_type, pem.clone());
        let Ok(bundle) = CertificateBundle::of_root_key(&key) else { continue };
        assert!(!accepted, "two types of key for one certificate");
        assert!(key.canonical_id().is_some());
        let name = bundle.common_name();
        assert!(bundle.matches_gun(name) || name.ends_with('*'));

        accepted = bundle.check(Some(now())).is_ok();
        if accepted {
            assert_eq!(bundle.check(None), Ok(()));
            assert!(bundle.expires() >= now());
        }
        let chain = bundle.chains_to(&authority, now());
        let is_issued = || ISSUED.iter().any(|issued| first(issued) == first(&pem));
        assert!(chain.is_err() || (accepted && is_issued()), "a forged chain");
        if let Ok(own) = &own {
            assert!(bundle.chains_to(own, now()).is_err() || accepted);
        }
    }
    accepted
}

/// The first block of PEM.
fn first(pem: &[u8]) -> Option<&[u8]> {
    const END: &[u8] = b"-----END";
    let end = pem.windows(END.len()).position(|part| part == END)?;
    pem.get(..end)
}

/// PEM as Notary writes it.
fn wrap(der: &[u8]) -> Vec<u8> {
    let mut pem = String::new();
    let mut rest = der;
    while !rest.is_empty() {
        let (certificate, others) = rest.split_at(length_of_first(rest).min(rest.len()));
        rest = others;
        pem += "-----BEGIN CERTIFICATE-----\n";
        let text = Base64::encode_string(certificate);
        for line in text.as_bytes().chunks(64) {
            pem.extend(line.iter().map(|byte| char::from(*byte)));
            pem.push('\n');
        }
        pem += "-----END CERTIFICATE-----\n";
    }
    pem.into_bytes()
}

/// The length of the DER value that comes first; of everything, if it is in no usual form.
fn length_of_first(der: &[u8]) -> usize {
    match der {
        [0x30, 0x82, high, low, ..] => 4 + usize::from(u16::from_be_bytes([*high, *low])),
        [0x30, 0x81, length, ..] => 3 + usize::from(*length),
        _ => der.len(),
    }
}
