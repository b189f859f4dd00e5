//! Docker's token scheme: a token server says in a signed token who may do what.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use p521::ecdsa::signature::Verifier;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use x509_cert::der::asn1::UintRef;
use x509_cert::der::oid::db::rfc5912::{
    ID_EC_PUBLIC_KEY, RSA_ENCRYPTION, SECP_256_R_1, SECP_384_R_1, SECP_521_R_1,
};
use x509_cert::der::{Decode, Encode};
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::{Refusal, Wanted, credentials, quoted};
use crate::crypto::{TrustAnchors, sha256};
use crate::error::Error;
use crate::metadata::json::canonical_form;

/// How far clocks may be apart, in seconds.
const LEEWAY: i64 = 60;

/// Longest token that is read.
const MAX_TOKEN: usize = 64 * 1024;

/// Checks tokens of one token server for one service.
pub(crate) struct Tokens {
    realm: String,
    service: String,
    issuer: String,
    root_certificates: PathBuf,
    trusted: RwLock<Arc<Trusted>>,
}

impl Tokens {
    pub(super) fn new(
        realm: &str,
        service: &str,
        issuer: &str,
        root_certificates: &Path,
    ) -> crate::Result<Self> {
        Ok(Self {
            realm: realm.into(),
            service: service.into(),
            issuer: issuer.into(),
            root_certificates: root_certificates.into(),
            trusted: RwLock::new(Arc::new(Trusted::read(root_certificates)?)),
        })
    }

    pub(super) fn reload(&self) -> crate::Result<()> {
        let trusted = Arc::new(Trusted::read(&self.root_certificates)?);
        *self.trusted.write().unwrap_or_else(PoisonError::into_inner) = trusted;
        Ok(())
    }

    pub(super) fn check(
        &self,
        header: Option<&str>,
        wanted: &Wanted<'_>,
        now: SystemTime,
    ) -> Result<Option<String>, Refusal> {
        // Nothing is wrong with a request that has no token yet.
        let token =
            credentials(header, "bearer").ok_or_else(|| wanted.refusal(self.challenge(wanted, "")))?;
        let claims = self.verify(token, now).map_err(|reason| {
            log::info!("a token was refused: {reason}");
            wanted.refusal(self.challenge(wanted, r#",error="invalid_token""#))
        })?;
        if !claims.allow(wanted) {
            return Err(wanted.refusal(self.challenge(wanted, r#",error="insufficient_scope""#)));
        }
        Ok(claims.sub.filter(|subject| !subject.is_empty()))
    }

    fn challenge(&self, wanted: &Wanted<'_>, error: &str) -> String {
        let [realm, service, scope] = [&self.realm, &self.service, &wanted.scope()].map(|part| quoted(part));
        format!("Bearer realm={realm},service={service},scope={scope}{error}")
    }

    /// What a token claims, if it is for us, now, and from the token server.
    fn verify(&self, token: &str, now: SystemTime) -> Result<Claims, &'static str> {
        let token = Token::read(token)?;
        token.claims.check(&self.issuer, &self.service, now)?;
        let trusted = self.trusted.read().unwrap_or_else(PoisonError::into_inner).clone();
        let key = trusted.signing_key(&token.header, now)?;
        if !key.verify(&token.header.alg, token.signed.as_bytes(), &token.signature) {
            return Err("its signature is not by its key with its algorithm");
        }
        Ok(token.claims)
    }
}

/// A token whose signature is not checked yet: a JWS in its compact form.
struct Token<'a> {
    header: Header,
    claims: Claims,
    /// What the signature is over.
    signed: &'a str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Certificates in base64, that of the signing key first.
    x5c: Option<Vec<String>>,
    jwk: Option<Jwk>,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: Option<String>,
    /// One service; a list is not read, as with Notary.
    aud: String,
    exp: i64,
    nbf: Option<i64>,
    access: Option<Vec<Grant>>,
}

#[derive(Deserialize)]
struct Grant {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    actions: Option<Vec<String>>,
}

impl<'a> Token<'a> {
    fn read(token: &'a str) -> Result<Self, &'static str> {
        if token.len() > MAX_TOKEN {
            return Err("it is too long");
        }
        let (signed, signature) = token.rsplit_once('.').ok_or("it is not in three parts")?;
        let (header, claims) = signed.split_once('.').ok_or("it is not in three parts")?;
        let header: Header = part(header)?;
        // RFC 7515: what is critical and not known makes the token invalid.
        // Stricter: Notary does not look.
        if header.crit.is_some() {
            return Err("something in its header is critical");
        }
        let signature = base64url(signature).ok_or("its signature is not base64")?;
        Ok(Self { header, claims: part(claims)?, signed, signature })
    }
}

/// One part of a token.
// Stricter: Notary takes duplicate members, and names in any case.
fn part<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, &'static str> {
    let json = base64url(part).ok_or("a part is not base64")?;
    let json = canonical_form(&json).map_err(|_| "a part is not unambiguous JSON")?;
    serde_json::from_slice(&json).map_err(|_| "a member is missing or of another type")
}

fn base64url(text: &str) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(text).ok()
}

impl Claims {
    fn check(&self, issuer: &str, service: &str, now: SystemTime) -> Result<(), &'static str> {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let now = i64::try_from(now).map_err(|_| "the clock is wrong")?;
        if self.iss != issuer {
            Err("it is from another issuer")
        } else if self.aud != service {
            Err("it is for another service")
        } else if self.exp.saturating_add(LEEWAY) <= now {
            Err("it has expired")
        } else if self.nbf.is_some_and(|start| now < start.saturating_sub(LEEWAY)) {
            Err("it is not valid yet")
        } else {
            Ok(())
        }
    }

    /// `*` in a token is every action. All that is granted for a name adds up.
    fn allow(&self, wanted: &Wanted<'_>) -> bool {
        let granted = |action: &str| {
            self.access
                .iter()
                .flatten()
                .filter(|grant| grant.kind == wanted.kind && grant.name == wanted.name)
                .flat_map(|grant| grant.actions.iter().flatten())
                .any(|granted| granted == action || granted == "*")
        };
        wanted.actions.iter().all(|action| granted(action))
    }
}

/// The certificates of the token server, and the keys in them.
struct Trusted {
    anchors: TrustAnchors,
    /// With the ID that libtrust gives them.
    // As with Notary, whoever puts a certificate into the file trusts its key:
    // that it has expired matters for chains alone.
    keys: Vec<(String, Key)>,
}

impl Trusted {
    fn read(path: &Path) -> crate::Result<Self> {
        let unusable = |reason: String| Error::InvalidConfiguration {
            what: format!("certificates of the token server, {}", path.display()),
            reason,
        };
        let pem = std::fs::read(path).map_err(|e| unusable(e.to_string()))?;
        let anchors = TrustAnchors::of_token_server(&pem).map_err(|e| unusable(e.to_string()))?;
        let keys: Vec<_> = anchors
            .public_keys()
            .filter_map(|spki| Some((libtrust_id(&spki), Key::from_spki(&spki)?)))
            .collect();
        if keys.is_empty() {
            return Err(unusable("no ECDSA or RSA key in them".into()));
        }
        Ok(Self { anchors, keys })
    }

    /// The key that a token says it is signed with, if that is the token server's.
    fn signing_key(&self, header: &Header, now: SystemTime) -> Result<Key, &'static str> {
        let known = |is_it: &dyn Fn(&(String, Key)) -> bool| {
            let found = self.keys.iter().find(|entry| is_it(entry));
            found.map(|(_, key)| key.clone()).ok_or("its key is unknown")
        };
        match (&header.x5c, &header.jwk, &header.kid) {
            (Some(chain), _, _) if !chain.is_empty() => self.key_of_chain(chain, now),
            (_, Some(jwk), _) => {
                let key = jwk.key().ok_or("its jwk cannot be read")?;
                match &jwk.x5c {
                    Some(chain) if self.key_of_chain(chain, now)? == key => Ok(key),
                    Some(_) => Err("its jwk is not the key of its certificates"),
                    None => known(&|(_, known)| *known == key),
                }
            }
            (_, _, Some(id)) => known(&|(known, _)| known == id),
            _ => Err("it does not name its key"),
        }
    }

    fn key_of_chain(&self, chain: &[String], now: SystemTime) -> Result<Key, &'static str> {
        let certificates: Result<Vec<_>, _> = chain.iter().map(|text| Base64::decode_vec(text)).collect();
        let certificates = certificates.map_err(|_| "its certificates are not base64")?;
        let spki = self.anchors.key_of_chain(certificates, now).map_err(|fault| {
            log::info!("the certificates of a token: {fault}");
            "its certificates are not the token server's"
        })?;
        Key::from_spki(&spki).ok_or("the key of its certificates cannot be used")
    }
}

/// A public key of a kind that tokens are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    kind: Kind,
    /// An uncompressed point, or an `RSAPublicKey` in DER.
    public: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    P256,
    P384,
    P521,
    Rsa,
}

impl Key {
    fn from_spki(spki: &[u8]) -> Option<Self> {
        let spki = SubjectPublicKeyInfoRef::from_der(spki).ok()?;
        let kind = match spki.algorithm.oid {
            RSA_ENCRYPTION => Kind::Rsa,
            ID_EC_PUBLIC_KEY => match spki.algorithm.parameters_oid().ok()? {
                SECP_256_R_1 => Kind::P256,
                SECP_384_R_1 => Kind::P384,
                SECP_521_R_1 => Kind::P521,
                _ => return None,
            },
            _ => return None,
        };
        Some(Self { kind, public: spki.subject_public_key.as_bytes()?.to_vec() })
    }

    /// Each algorithm takes its own kind of key, and no other: `none` and what
    /// is signed with a shared secret take none at all.
    fn verify(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &dyn VerificationAlgorithm = match (algorithm, self.kind) {
            ("ES256", Kind::P256) => &ECDSA_P256_SHA256_FIXED,
            ("ES384", Kind::P384) => &ECDSA_P384_SHA384_FIXED,
            ("ES512", Kind::P521) => return self.verify_p521(message, signature).is_some(),
            ("RS256", Kind::Rsa) => &RSA_PKCS1_2048_8192_SHA256,
            ("RS384", Kind::Rsa) => &RSA_PKCS1_2048_8192_SHA384,
            ("RS512", Kind::Rsa) => &RSA_PKCS1_2048_8192_SHA512,
            _ => return false,
        };
        UnparsedPublicKey::new(algorithm, &self.public).verify(message, signature).is_ok()
    }

    /// ring does not know the curve.
    fn verify_p521(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(&self.public).ok()?;
        key.verify(message, &p521::ecdsa::Signature::from_slice(signature).ok()?).ok()
    }
}

/// A public key as JSON.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x5c: Option<Vec<String>>,
}

impl Jwk {
    fn key(&self) -> Option<Key> {
        let number = |text: &Option<String>| base64url(text.as_deref()?);
        match self.kty.as_str() {
            "EC" => {
                let (kind, size) = match self.crv.as_deref()? {
                    "P-256" => (Kind::P256, 32),
                    "P-384" => (Kind::P384, 48),
                    "P-521" => (Kind::P521, 66),
                    _ => return None,
                };
                let [x, y] = [number(&self.x)?, number(&self.y)?];
                (x.len() == size && y.len() == size)
                    .then(|| Key { kind, public: [&[4][..], &x, &y].concat() })
            }
            "RSA" => {
                let [n, e] = [number(&self.n)?, number(&self.e)?];
                let numbers = vec![UintRef::new(&n).ok()?, UintRef::new(&e).ok()?];
                Some(Key { kind: Kind::Rsa, public: numbers.to_der().ok()? })
            }
            _ => None,
        }
    }
}

/// The ID by which Docker's libtrust knows a key: the first 30 bytes of the
/// SHA-256 over its SubjectPublicKeyInfo, in base32, in groups of four.
fn libtrust_id(spki: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut id = String::new();
    // Five bytes are eight digits, so that 30 bytes need no padding.
    for five in sha256(spki).as_ref().chunks_exact(5) {
        let bits = five.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        for digit in (0..8).rev() {
            if id.len() % 5 == 4 {
                id.push(':');
            }
            let digit = (bits >> (5 * digit)) as usize % ALPHABET.len();
            id.extend(ALPHABET.get(digit).map(|byte| char::from(*byte)));
        }
    }
    id
}

#[cfg(test)]
mod tests;
