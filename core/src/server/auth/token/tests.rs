use pki_types::PrivatePkcs8KeyDer;
use pki_types::pem::PemObject;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};
use std::time::Duration;

use super::*;
use crate::server::auth::{Access, AuthConfig, Authenticator};

const GUN: &str = "registry.example/team/app";

/// The start of 2030.
const NOW: i64 = 1_893_456_000;

fn testdata(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/server/auth/testdata").join(name)
}

fn certificate(name: &str) -> Vec<u8> {
    let pem = std::fs::read(testdata(&format!("{name}.pem"))).unwrap();
    pki_types::CertificateDer::from_pem_slice(&pem).unwrap().to_vec()
}

fn x5c(names: &[&str]) -> Value {
    names.iter().map(|name| Base64::encode_string(&certificate(name))).collect()
}

/// The bare public key of a certificate: a point or an `RSAPublicKey`.
fn public(name: &str) -> Vec<u8> {
    let der = certificate(name);
    let certificate = x509_cert::Certificate::from_der(&der).unwrap();
    let spki = certificate.tbs_certificate().subject_public_key_info();
    spki.subject_public_key.raw_bytes().to_vec()
}

fn kid(name: &str) -> String {
    let der = certificate(name);
    let certificate = x509_cert::Certificate::from_der(&der).unwrap();
    libtrust_id(&certificate.tbs_certificate().subject_public_key_info().to_der().unwrap())
}

fn jwk(name: &str) -> Value {
    let public = public(name);
    if name == "rsa" {
        let numbers = Vec::<UintRef<'_>>::from_der(&public).unwrap();
        return json!({"kty": "RSA", "n": encode(numbers[0].as_bytes()), "e": encode(numbers[1].as_bytes())});
    }
    let (x, y) = public[1..].split_at(public.len() / 2);
    let curve = match x.len() {
        32 => "P-256",
        48 => "P-384",
        _ => "P-521",
    };
    json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlUnpadded::encode_string(bytes.as_ref())
}

fn claims() -> Value {
    json!({
        "iss": "issuer", "sub": "ann", "aud": "notary", "exp": NOW + 300, "nbf": NOW, "iat": NOW, "jti": "1",
        "access": [{"type": "repository", "name": GUN, "actions": ["push", "pull"]}],
    })
}

/// `claims()` with one member changed.
fn claiming(member: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[member] = value.into();
    claims
}

/// A token in its three parts, signed with a key of `testdata` as `method` says,
/// which need not be what the header says.
fn signed(header: &str, claims: &str, key: &str, method: &str) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let bytes = message.as_bytes();
    let random = SystemRandom::new();
    let pkcs8 = || {
        let pem = std::fs::read(testdata(&format!("{key}.key"))).unwrap();
        PrivatePkcs8KeyDer::from_pem_slice(&pem).unwrap()
    };
    let ecdsa = |algorithm| {
        let pkcs8 = pkcs8();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.secret_pkcs8_der(), &random).unwrap();
        key.sign(&random, bytes).unwrap().as_ref().to_vec()
    };
    let rsa = |padding: &'static dyn RsaEncoding| {
        let key = RsaKeyPair::from_pkcs8(pkcs8().secret_pkcs8_der()).unwrap();
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(padding, &random, bytes, &mut signature).unwrap();
        signature
    };
    let signature = match method {
        "ES256" => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
        "ES256 in ASN.1" => ecdsa(&ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING),
        "ES384" => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
        "ES512" => {
            use p521::ecdsa::signature::Signer;
            use p521::pkcs8::DecodePrivateKey;
            let key = p521::ecdsa::SigningKey::from_pkcs8_der(pkcs8().secret_pkcs8_der()).unwrap();
            let signature: p521::ecdsa::Signature = key.sign(bytes);
            signature.to_bytes().to_vec()
        }
        "RS256" => rsa(&RSA_PKCS1_SHA256),
        "RS384" => rsa(&RSA_PKCS1_SHA384),
        "RS512" => rsa(&RSA_PKCS1_SHA512),
        "PS256" => rsa(&RSA_PSS_SHA256),
        // The public key as the secret, as it would be used by a checker that is told so.
        "HS256" => {
            let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &public(key));
            ring::hmac::sign(&secret, bytes).as_ref().to_vec()
        }
        "none" => Vec::new(),
        _ => panic!("{method}"),
    };
    format!("{message}.{}", encode(signature))
}

fn token(header: &Value, claims: &Value, key: &str, method: &str) -> String {
    signed(&header.to_string(), &claims.to_string(), key, method)
}

/// A token with these claims that is right in all else.
fn ours(claims: &Value) -> String {
    token(&json!({"typ": "JWT", "alg": "ES256", "kid": kid("self")}), claims, "self", "ES256")
}

fn checker() -> Tokens {
    Tokens::new("https://auth.example/token", "notary", "issuer", &testdata("bundle.pem")).unwrap()
}

/// The error in the challenge, `none` where there is none in it, or who asks.
fn verdict(header: Option<&str>, gun: Option<&str>, access: Access) -> Result<Option<String>, String> {
    let now = UNIX_EPOCH + Duration::from_secs(NOW as u64);
    let wanted = Wanted::new(access, gun);
    checker().check(header, &wanted, now).map_err(|refusal| {
        let Refusal::Unauthorized { challenge, .. } = refusal else {
            panic!("{refusal:?}");
        };
        let start = format!(
            r#"Bearer realm="https://auth.example/token",service="notary",scope="{}""#,
            wanted.scope()
        );
        match challenge.strip_prefix(&start).unwrap() {
            "" => "none".into(),
            r#",error="invalid_token""# => "invalid_token".into(),
            r#",error="insufficient_scope""# => "insufficient_scope".into(),
            other => panic!("{other}"),
        }
    })
}

fn verdict_on(token: &str) -> Result<Option<String>, String> {
    verdict(Some(&format!("Bearer {token}")), Some(GUN), Access::Push)
}

fn accepted() -> Result<Option<String>, String> {
    Ok(Some("ann".into()))
}

fn invalid() -> Result<Option<String>, String> {
    Err("invalid_token".into())
}

#[test]
fn only_a_bearer_token_is_judged() {
    let good = ours(&claims());
    for (header, expected) in [
        (None, "none"),
        (Some(String::new()), "none"),
        (Some("Basic YTpi".into()), "none"),
        (Some("Bearer".into()), "none"),
        (Some(format!("Bearer  {good}")), "none"),
        (Some(format!("Bearer {good} x")), "none"),
        (Some(format!("Bearer{good}")), "none"),
        (Some("Bearer ".into()), "invalid_token"),
        (Some("Bearer garbage".into()), "invalid_token"),
        (Some("Bearer ..".into()), "invalid_token"),
        (Some(format!("Bearer {good}.")), "invalid_token"),
        (Some(format!("Bearer .{good}")), "invalid_token"),
    ] {
        assert_eq!(verdict(header.as_deref(), Some(GUN), Access::Push), Err(expected.into()), "{header:?}");
    }
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert_eq!(verdict(Some(&format!("{scheme} {good}")), Some(GUN), Access::Push), accepted());
    }
}

#[test]
fn issuer_service_and_time_must_fit() {
    for (member, value, expected) in [
        ("iss", json!("issuer"), accepted()),
        ("iss", json!("Issuer"), invalid()),
        ("iss", json!(""), invalid()),
        ("iss", json!(null), invalid()),
        ("iss", json!(["issuer"]), invalid()),
        ("aud", json!("other"), invalid()),
        ("aud", json!("notary "), invalid()),
        ("aud", json!(["notary"]), invalid()),
        ("aud", json!(null), invalid()),
        ("exp", json!(NOW - 30), accepted()),
        ("exp", json!(NOW - 59), accepted()),
        ("exp", json!(NOW - 60), invalid()),
        ("exp", json!(NOW - 90), invalid()),
        ("exp", json!(null), invalid()),
        ("exp", json!((NOW + 300).to_string()), invalid()),
        ("exp", json!(1.9e9), invalid()),
        ("exp", json!(-1), invalid()),
        ("exp", json!(i64::MAX), invalid()),
        ("nbf", json!(NOW + 60), accepted()),
        ("nbf", json!(NOW + 61), invalid()),
        ("nbf", json!(null), accepted()),
        ("nbf", json!("x"), invalid()),
        ("sub", json!(""), Ok(None)),
        ("sub", json!(null), Ok(None)),
        ("access", json!({}), invalid()),
    ] {
        assert_eq!(verdict_on(&ours(&claiming(member, value.clone()))), expected, "{member} {value}");
    }
    for member in ["iss", "aud", "exp"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(member);
        assert_eq!(verdict_on(&ours(&claims)), invalid(), "{member}");
    }
}

#[test]
fn only_what_is_granted_is_allowed() {
    let repository =
        |name: &str, actions: &[&str]| json!({"type": "repository", "name": name, "actions": actions});
    let catalog = |kind: &str, actions: &[&str]| json!({"type": kind, "name": "catalog", "actions": actions});
    let all = [Access::Ping, Access::Catalog, Access::Pull, Access::Push, Access::Admin];
    for (grants, allowed) in [
        (json!([]), &[][..]),
        (json!(null), &[]),
        (json!([repository(GUN, &[])]), &[]),
        (json!([{"type": "repository", "name": GUN}]), &[]),
        (json!([repository(GUN, &["pull"])]), &[Access::Pull]),
        (json!([repository(GUN, &["push"])]), &[]),
        (json!([repository(GUN, &["pull", "push"])]), &[Access::Pull, Access::Push]),
        (json!([repository(GUN, &["push"]), repository(GUN, &["pull"])]), &[Access::Pull, Access::Push]),
        (json!([repository(GUN, &["*"])]), &[Access::Pull, Access::Push, Access::Admin]),
        (json!([repository(GUN, &["Pull", " pull", "pull,push", "**"])]), &[]),
        (json!([repository("registry.example/team/ap", &["*"])]), &[]),
        (json!([repository("registry.example/team/app/x", &["*"])]), &[]),
        (json!([repository("registry.example/team/*", &["*"])]), &[]),
        (json!([repository("team/app", &["*"])]), &[]),
        (json!([repository("*", &["*"])]), &[]),
        (json!([repository("catalog", &["*"])]), &[]),
        (json!([catalog("registry", &["*"])]), &[Access::Ping, Access::Catalog]),
        (json!([catalog("registry", &["pull", "push"])]), &[]),
        (json!([catalog("repository", &["*"])]), &[]),
        (json!([{"type": "registry", "name": GUN, "actions": ["*"]}]), &[]),
        (json!([{"type": "repository(plugin)", "name": GUN, "actions": ["*"]}]), &[]),
    ] {
        let header = format!("Bearer {}", ours(&claiming("access", grants.clone())));
        for access in all {
            let expected =
                if allowed.contains(&access) { accepted() } else { Err("insufficient_scope".into()) };
            assert_eq!(verdict(Some(&header), Some(GUN), access), expected, "{access:?} {grants}");
        }
    }
}

#[test]
fn a_refusal_lists_what_is_needed() {
    let refused = checker().check(None, &Wanted::new(Access::Push, Some(GUN)), SystemTime::now());
    let Err(Refusal::Unauthorized { detail, .. }) = refused else {
        panic!("{refused:?}");
    };
    let needed = |action: &str| json!({"Type": "repository", "Class": "", "Name": GUN, "Action": action});
    assert_eq!(detail, json!([needed("push"), needed("pull")]));
}

#[test]
fn each_way_to_name_a_key_of_the_token_server_works() {
    for (header, key) in [
        (json!({"alg": "ES256", "kid": kid("self")}), "self"),
        (json!({"alg": "ES384", "kid": kid("p384")}), "p384"),
        (json!({"alg": "ES512", "kid": kid("p521")}), "p521"),
        (json!({"alg": "RS256", "kid": kid("rsa")}), "rsa"),
        (json!({"alg": "RS384", "kid": kid("rsa")}), "rsa"),
        (json!({"alg": "RS512", "kid": kid("rsa")}), "rsa"),
        (json!({"alg": "ES256", "jwk": jwk("self")}), "self"),
        (json!({"alg": "ES512", "jwk": jwk("p521")}), "p521"),
        (json!({"alg": "RS256", "jwk": jwk("rsa")}), "rsa"),
        (json!({"alg": "ES256", "x5c": x5c(&["self"])}), "self"),
        (json!({"alg": "RS256", "x5c": x5c(&["rsa"])}), "rsa"),
        (json!({"alg": "ES256", "x5c": x5c(&["leaf", "between"])}), "leaf"),
        (json!({"alg": "ES256", "x5c": x5c(&["leaf", "between", "ca"])}), "leaf"),
        (json!({"alg": "ES256", "x5c": [], "jwk": null, "kid": kid("self")}), "self"),
    ] {
        let method = header["alg"].as_str().unwrap();
        assert_eq!(verdict_on(&token(&header, &claims(), key, method)), accepted(), "{header}");
    }
    let mut with_chain = jwk("leaf");
    with_chain["x5c"] = x5c(&["leaf", "between"]);
    let header = json!({"alg": "ES256", "jwk": with_chain});
    assert_eq!(verdict_on(&token(&header, &claims(), "leaf", "ES256")), accepted());
}

#[test]
fn a_key_of_anyone_else_is_refused() {
    let mut foreign_chain = jwk("stranger");
    foreign_chain["x5c"] = x5c(&["leaf", "between"]);
    let mut own_chain = jwk("stranger");
    own_chain["x5c"] = x5c(&["stranger", "other"]);
    let mut short = jwk("self");
    short["x"] = json!("AAAA");
    let mut other_curve = jwk("self");
    other_curve["crv"] = json!("P-384");
    for (header, key) in [
        (json!({"alg": "ES256"}), "self"),
        (json!({"alg": "ES256", "kid": kid("stranger")}), "stranger"),
        (json!({"alg": "ES256", "kid": kid("self")}), "stranger"),
        (json!({"alg": "ES256", "kid": ""}), "self"),
        (json!({"alg": "ES256", "kid": kid("self").to_lowercase()}), "self"),
        (json!({"alg": "ES256", "jwk": jwk("stranger")}), "stranger"),
        (json!({"alg": "ES256", "jwk": jwk("self")}), "stranger"),
        // What is named first counts, whatever the rest says.
        (json!({"alg": "ES256", "jwk": jwk("stranger"), "kid": kid("self")}), "stranger"),
        (json!({"alg": "ES256", "jwk": jwk("stranger"), "kid": kid("self")}), "self"),
        (json!({"alg": "ES256", "x5c": x5c(&["stranger", "other"]), "kid": kid("self")}), "stranger"),
        (json!({"alg": "ES256", "jwk": foreign_chain}), "stranger"),
        (json!({"alg": "ES256", "jwk": own_chain}), "stranger"),
        (json!({"alg": "ES256", "jwk": short}), "self"),
        (json!({"alg": "ES256", "jwk": other_curve}), "self"),
        (json!({"alg": "ES256", "jwk": {"kty": "oct", "k": "AAAA"}}), "self"),
        (json!({"alg": "ES256", "x5c": x5c(&["stranger"])}), "stranger"),
        (json!({"alg": "ES256", "x5c": x5c(&["stranger", "other"])}), "stranger"),
        (json!({"alg": "ES256", "x5c": x5c(&["stranger", "ca"])}), "stranger"),
        (json!({"alg": "ES256", "x5c": x5c(&["self", "stranger"])}), "stranger"),
        (json!({"alg": "ES256", "x5c": x5c(&["leaf"])}), "leaf"),
        (json!({"alg": "ES256", "x5c": x5c(&["between", "leaf"])}), "leaf"),
        (json!({"alg": "ES256", "x5c": x5c(&["leaf", "between"])}), "stranger"),
        // Its certificate has expired.
        (json!({"alg": "ES256", "x5c": x5c(&["late"])}), "late"),
        (json!({"alg": "ES256", "x5c": ["!"]}), "self"),
        (json!({"alg": "ES256", "x5c": ["AAAA"]}), "self"),
        (json!({"alg": "ES256", "x5c": x5c(&["leaf", "between", "ca", "ca", "ca", "ca", "ca"])}), "leaf"),
    ] {
        assert_eq!(verdict_on(&token(&header, &claims(), key, "ES256")), invalid(), "{header}");
    }
}

#[test]
fn the_algorithm_is_that_of_the_key() {
    let kid_of = |key: &str| kid(key);
    for (algorithm, key, method) in [
        ("none", "self", "none"),
        ("None", "self", "none"),
        ("", "self", "none"),
        ("ES256", "self", "none"),
        ("HS256", "self", "HS256"),
        ("HS256", "rsa", "HS256"),
        ("ES256", "self", "HS256"),
        ("RS256", "self", "ES256"),
        ("ES384", "self", "ES256"),
        ("es256", "self", "ES256"),
        ("ES256", "self", "ES256 in ASN.1"),
        ("ES256", "p384", "ES384"),
        ("ES384", "p521", "ES512"),
        ("ES256", "rsa", "RS256"),
        ("RS256", "rsa", "RS384"),
        ("RS512", "rsa", "RS256"),
        ("PS256", "rsa", "PS256"),
        ("RS256", "rsa", "PS256"),
    ] {
        let header = json!({"alg": algorithm, "kid": kid_of(key)});
        assert_eq!(verdict_on(&token(&header, &claims(), key, method)), invalid(), "{header} {method}");
    }
}

#[test]
fn no_byte_of_a_token_can_change() {
    let good = ours(&claims());
    assert_eq!(verdict_on(&good), accepted());
    for at in (0..good.len()).step_by(7) {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert_eq!(verdict_on(&String::from_utf8(bytes).unwrap()), invalid(), "{at}");
    }
    for end in [1, 2, 40] {
        assert_eq!(verdict_on(&good[..good.len() - end]), invalid());
    }
    for more in ["=", "A", "AAAA", "\n"] {
        assert_eq!(verdict_on(&format!("{good}{more}")), invalid(), "{more:?}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let header = json!({"alg": "ES256", "kid": kid("self")}).to_string();
    let claims = claims().to_string();
    let sign = |header: &str, claims: &str| verdict_on(&signed(header, claims, "self", "ES256"));
    assert_eq!(sign(&header, &claims), accepted());

    let with = |text: &str, member: &str| text.replacen('{', &format!("{{{member},"), 1);
    assert_eq!(sign(&with(&header, r#""cty":"x""#), &with(&claims, r#""x":{"y":1}"#)), accepted());
    for member in [r#""iss":"issuer""#, r#""sub":"bob""#, r#""x":1,"x":2"#, r#""x":{"y":1,"y":1}"#] {
        assert_eq!(sign(&header, &with(&claims, member)), invalid(), "{member}");
    }
    for member in [r#""alg":"ES256""#, r#""x":1,"x":1"#, r#""crit":["x"]"#, r#""crit":[]"#] {
        assert_eq!(sign(&with(&header, member), &claims), invalid(), "{member}");
    }
    for wrong in [format!("{claims}{claims}"), format!("{claims}x"), format!("[{claims}]"), "null".into()] {
        assert_eq!(sign(&header, &wrong), invalid(), "{wrong}");
    }
    let long = with(&claims, &format!(r#""x":"{}""#, "a".repeat(MAX_TOKEN)));
    assert_eq!(sign(&header, &long), invalid());
}

#[test]
fn a_file_without_a_key_to_check_with_is_no_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("certificates.pem");
    let config = AuthConfig::Token {
        realm: "r".into(),
        service: "s".into(),
        issuer: "i".into(),
        root_certificates: path.clone(),
    };
    assert!(Authenticator::new(&config).is_err());
    for wrong in [&b""[..], b"text", &std::fs::read(testdata("self.key")).unwrap()] {
        std::fs::write(&path, wrong).unwrap();
        assert!(matches!(Authenticator::new(&config), Err(Error::InvalidConfiguration { .. })));
    }
}

#[test]
fn a_reload_takes_the_new_certificates_or_keeps_the_old() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("certificates.pem");
    std::fs::copy(testdata("self.pem"), &path).unwrap();
    let tokens = Tokens::new("r", "notary", "issuer", &path).unwrap();
    let by_self = format!("Bearer {}", ours(&claims()));
    let header = json!({"alg": "RS256", "kid": kid("rsa")});
    let by_rsa = format!("Bearer {}", token(&header, &claims(), "rsa", "RS256"));
    let accepts = |header: &str| {
        let now = UNIX_EPOCH + Duration::from_secs(NOW as u64);
        tokens.check(Some(header), &Wanted::new(Access::Pull, Some(GUN)), now).is_ok()
    };
    assert!(accepts(&by_self) && !accepts(&by_rsa));
    std::fs::write(&path, "nothing").unwrap();
    assert!(tokens.reload().is_err());
    assert!(accepts(&by_self) && !accepts(&by_rsa));
    std::fs::copy(testdata("rsa.pem"), &path).unwrap();
    tokens.reload().unwrap();
    assert!(!accepts(&by_self) && accepts(&by_rsa));
}

/// Computed with OpenSSL and base32.
#[test]
fn key_ids_are_those_of_libtrust() {
    assert_eq!(kid("self"), "N3ZS:2MJL:LVYO:OBDJ:JQHX:RGO5:YWUF:UDA2:DDWM:QCAR:CS2G:5SMI");
    assert_eq!(kid("rsa"), "G4YS:5U5L:2IIN:AVTC:5EMZ:KBUE:FI4A:S7WI:ARFF:U35F:QVYL:7OYZ");
}
