//! Private keys at rest: compact JWE (RFC 7516 and 7518) with AES-256-GCM.
//!
//! Ours are wrapped with a key that is derived once per passphrase, and say
//! what they are for where nobody can change it. Those of Notary's signer are
//! only read: for each of them a key is derived from the passphrase anew.

use std::num::NonZeroU32;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use aes_kw::{KwAes128, KwAes256};
use base64ct::{Base64UrlUnpadded, Encoding};
use ring::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Why there is no plaintext.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum JweFault {
    #[error("{0}")]
    Malformed(&'static str),
    /// Made for something else than what it is kept for.
    #[error("it was encrypted for another key, repository or role")]
    Misplaced,
    #[error("it does not decrypt: the passphrase is another one, or it was changed")]
    WrongKey,
    #[error("the operating system gives no randomness")]
    NoRandomness,
}

use JweFault::Malformed;

type Result<T> = std::result::Result<T, JweFault>;

/// Wraps the key of each content.
pub(super) struct Kek(pub(super) Zeroizing<[u8; 32]>);

/// What a private key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Purpose<'a> {
    pub(super) key_id: &'a str,
    pub(super) gun: &'a str,
    pub(super) role: &'a str,
}

/// The protected header: authentic with the content. Members that are not
/// listed are refused, `zip` and `crit` among them.
#[derive(Serialize, Deserialize)]
#[serde(tag = "alg", deny_unknown_fields)]
enum Header {
    #[serde(rename = "A256KW")]
    Ours { enc: ContentEncryption, kid: String, gun: String, role: String },
    #[serde(rename = "PBES2-HS256+A128KW")]
    Notarys { enc: ContentEncryption, p2c: u32, p2s: String },
}

#[derive(Serialize, Deserialize)]
enum ContentEncryption {
    A256GCM,
}

/// What Notary's signer writes is 8192. Stops a row that keeps the processor
/// busy for hours.
const MAX_ITERATIONS: u32 = 100_000;

/// Of a JWE with a private key in it.
const MAX_BYTES: usize = 16 * 1024;

/// A compact JWE, read and not decrypted yet.
pub(super) struct Sealed<'a> {
    header: Header,
    /// The header as it stands there: what the content is bound to.
    protected: &'a str,
    wrapped: Vec<u8>,
    nonce: [u8; 12],
    /// With the tag at its end.
    content: Vec<u8>,
}

/// Encrypts with a new content key.
pub(super) fn seal(kek: &Kek, purpose: Purpose<'_>, plain: &[u8]) -> Result<String> {
    let header = Header::Ours {
        enc: ContentEncryption::A256GCM,
        kid: purpose.key_id.into(),
        gun: purpose.gun.into(),
        role: purpose.role.into(),
    };
    let header = serde_json::to_vec(&header).map_err(|_| Malformed("its header has no JSON"))?;
    let protected = Base64UrlUnpadded::encode_string(&header);
    let key: Zeroizing<[u8; 32]> = random()?.into();
    let nonce: [u8; 12] = random()?;
    let mut wrapped = [0; 40];
    let aead = Aes256Gcm::new((&*key).into());
    let payload = Payload { msg: plain, aad: protected.as_bytes() };
    KwAes256::new((&*kek.0).into())
        .wrap_key(&*key, &mut wrapped)
        .map_err(|_| Malformed("its key cannot be wrapped"))?;
    let content =
        aead.encrypt(&Nonce::from(nonce), payload).map_err(|_| Malformed("it cannot be encrypted"))?;
    let (content, tag) = content.split_last_chunk::<16>().ok_or(Malformed("it has no tag"))?;
    let [wrapped, nonce, content, tag] =
        [&wrapped, &nonce[..], content, tag].map(Base64UrlUnpadded::encode_string);
    Ok([protected, wrapped, nonce, content, tag].join("."))
}

impl<'a> Sealed<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self> {
        if text.len() > MAX_BYTES {
            return Err(Malformed("it is too long for a private key"));
        }
        let parts: Vec<_> = text.split('.').collect();
        let [protected, wrapped, nonce, content, tag] = parts[..] else {
            return Err(Malformed("it is no compact JWE"));
        };
        let decode = |part| Base64UrlUnpadded::decode_vec(part).map_err(|_| Malformed("it is not base64url"));
        let header = serde_json::from_slice(&decode(protected)?).map_err(|_| {
            Malformed("its header is not that of a key encrypted by us or by Notary's signer")
        })?;
        let nonce = decode(nonce)?.try_into().map_err(|_| Malformed("its nonce has not 12 bytes"))?;
        let tag: [u8; 16] = decode(tag)?.try_into().map_err(|_| Malformed("its tag has not 16 bytes"))?;
        let content = [decode(content)?, tag.to_vec()].concat();
        Ok(Self { header, protected, wrapped: decode(wrapped)?, nonce, content })
    }

    /// Whether Notary's signer wrote it.
    pub(super) fn is_notarys(&self) -> bool {
        matches!(self.header, Header::Notarys { .. })
    }

    /// Decrypts what [`seal`] made for this purpose.
    pub(super) fn open(&self, kek: &Kek, purpose: Purpose<'_>) -> Result<Zeroizing<Vec<u8>>> {
        let Header::Ours { kid, gun, role, .. } = &self.header else {
            return Err(Malformed("Notary's signer encrypted it"));
        };
        if (Purpose { key_id: kid, gun, role }) != purpose {
            return Err(JweFault::Misplaced);
        }
        self.decrypt(|wrapped, key| KwAes256::new((&*kek.0).into()).unwrap_key(wrapped, key).is_ok())
    }

    /// Decrypts what Notary's signer made. Takes some milliseconds.
    pub(super) fn open_notarys(&self, passphrase: &str) -> Result<Zeroizing<Vec<u8>>> {
        let Header::Notarys { p2c, p2s, .. } = &self.header else {
            return Err(Malformed("Notary's signer did not encrypt it"));
        };
        // Stricter: RFC 7518 has at least 8 bytes of salt and no upper bound of iterations.
        let p2c = NonZeroU32::new(*p2c).filter(|p2c| p2c.get() <= MAX_ITERATIONS);
        let p2c = p2c.ok_or(Malformed("its p2c is zero or too high"))?;
        let p2s = Base64UrlUnpadded::decode_vec(p2s).map_err(|_| Malformed("its p2s is not base64url"))?;
        if p2s.len() < 8 {
            return Err(Malformed("its p2s has less than 8 bytes"));
        }
        let salt = [b"PBES2-HS256+A128KW\0", &p2s[..]].concat();
        let mut kek = Zeroizing::new([0; 16]);
        pbkdf2::derive(PBKDF2_HMAC_SHA256, p2c, &salt, passphrase.as_bytes(), &mut *kek);
        self.decrypt(|wrapped, key| KwAes128::new((&*kek).into()).unwrap_key(wrapped, key).is_ok())
    }

    fn decrypt(&self, unwrap: impl FnOnce(&[u8], &mut [u8]) -> bool) -> Result<Zeroizing<Vec<u8>>> {
        let mut key = Zeroizing::new([0; 32]);
        // A shorter key would leave zeros.
        if self.wrapped.len() != 40 || !unwrap(&self.wrapped, &mut *key) {
            return Err(JweFault::WrongKey);
        }
        let payload = Payload { msg: &self.content, aad: self.protected.as_bytes() };
        let plain = Aes256Gcm::new((&*key).into()).decrypt(&Nonce::from(self.nonce), payload);
        plain.map(Zeroizing::new).map_err(|_| JweFault::WrongKey)
    }
}

/// Randomness of the operating system.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| JweFault::NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const NOTARYS_PASSPHRASE: &str = "the lab's password";
    /// What Debian's notary-signer 0.7.0 wrote to PostgreSQL: ID, type, public key, JWE.
    pub(in super::super) const NOTARYS: [[&str; 4]; 2] = [
        [
            "126f4699792327d8fc114d291f8cf9d1020c5ba02dbc9f3a1e8f0e79a9811f4a",
            "ecdsa",
            "3059301306072a8648ce3d020106082a8648ce3d0301070342000443cd0fdfc33ae0f066b315afb07a2fb8eb54cbff\
             408b9e25d389eca1da112bfe3688eefed04e84bc6aefa79aeb337eed3fba74cc3ef5555e6ef1f3f8f8c09d66",
            "eyJhbGciOiJQQkVTMi1IUzI1NitBMTI4S1ciLCJlbmMiOiJBMjU2R0NNIiwicDJjIjo4MTkyLCJwMnMiOiI4cDl0cGtBZnNG\
             dGJITVduIn0.EyCF-7Wj4d6AvmO3BkJpv_O_vamuS__Ks0onD6EECgQdaAsywoG6Ng.z_Ot7Wv145B6DEKq.2jT5Icvy1oyR\
             yfg1yg0Oio06b6TNWf5nAfTzjesN40pIBCpZVLmZBCS0p9AoEvo-Tx_ROzRgc51qwotqB6pdToqSifktmLnYauE1LKxsL423\
             LVD6mlmbgnRwDzsoQZNTDieweoCSdDYDQ4-vRQs42OqVvXl6yU8qdQ.BPdK_LEaUt_qAg5cPJU3eA",
        ],
        [
            "182c6b5b37d6514b616dcc3169a9678c7482c0c89860643026b28c90d5eab575",
            "ed25519",
            "5e474a57786eb3ee342a30288d06a0396f7fa76993b2e46432191a42e4c7cf35",
            "eyJhbGciOiJQQkVTMi1IUzI1NitBMTI4S1ciLCJlbmMiOiJBMjU2R0NNIiwicDJjIjo4MTkyLCJwMnMiOiJlUGhpNWMxd0pV\
             YmNVY0VaIn0.9H4Y32IxE0y34kQYt4cPQ5u6QEOMSrUnlFLjfyhUODzBpCUC1V2JYA.-z_wLvpWQiQXwjXR.5YaDwsMwG_RC\
             a4fhpy-Ap6KvzZo8QxA7xLRbF91qr41Y-umCDd0RCKspg0YFPEDg5OyaZY9CB3Pryn8KNHexur8hbao58dG-kdo5lsRvXUBO\
             nh5ABQr81eTcN9Ls0lNZ.oc2iG3Sg_Lx4BTN3jOj5lw",
        ],
    ];

    const PURPOSE: Purpose<'_> = Purpose { key_id: "id", gun: "reg.example/app", role: "snapshot" };
    /// Made by jwcrypto for this purpose.
    const OTHERS: &str = "eyJhbGciOiAiQTI1NktXIiwgImVuYyI6ICJBMjU2R0NNIiwgImtpZCI6ICJpZCIsICJndW4iOiAicmVnLmV4YW1wbGUvYXBw\
        IiwgInJvbGUiOiAic25hcHNob3QifQ._fsB0MwnG2T3IRSTNfotciScMCa0Wlr2z0dLSgNN1W9Dxky4KofyKw.MgqVLAAIC35b\
        YlP4.HuaCTI5Rl_5h.zWGnHp7GjlIaEo4tV8a4gA";
    /// The same, compressed.
    const COMPRESSED: &str = "eyJhbGciOiAiQTI1NktXIiwgImVuYyI6ICJBMjU2R0NNIiwgImtpZCI6ICJpZCIsICJndW4iOiAicmVnLmV4YW1w\
        bGUvYXBwIiwgInJvbGUiOiAic25hcHNob3QiLCAiemlwIjogIkRFRiJ9.QK0k75wE0xD8SmNNPPJuiXFia_BDNU6M0fISl93rUY\
        usJ57D38qrKQ.tadY0WX1025NDB7A.SDZHxXLTya8jTh8.LwZ5160pSvbNLMRSBdIwiw";

    fn kek(byte: u8) -> Kek {
        Kek([byte; 32].into())
    }

    fn open(text: &str, purpose: Purpose<'_>) -> Result<Zeroizing<Vec<u8>>> {
        Sealed::read(text)?.open(&kek(7), purpose)
    }

    #[test]
    fn what_was_sealed_opens_with_the_same_key_and_for_the_same_purpose_only() {
        let sealed = seal(&kek(7), PURPOSE, b"plaintext").unwrap();
        assert_ne!(sealed, seal(&kek(7), PURPOSE, b"plaintext").unwrap());
        for text in [&sealed, OTHERS] {
            assert_eq!(*open(text, PURPOSE).unwrap(), b"plaintext");
            let wrong = Sealed::read(text).unwrap().open(&kek(8), PURPOSE);
            assert_eq!(wrong.unwrap_err(), JweFault::WrongKey);
            for purpose in [
                Purpose { key_id: "di", ..PURPOSE },
                Purpose { gun: "reg.example/ap", ..PURPOSE },
                Purpose { role: "timestamp", ..PURPOSE },
            ] {
                assert_eq!(open(text, purpose).unwrap_err(), JweFault::Misplaced);
            }
        }
    }

    #[test]
    fn what_was_changed_does_not_open() {
        let sealed = seal(&kek(7), PURPOSE, b"plaintext").unwrap();
        for index in 0..sealed.len() {
            for other in [b'A', b'Q', b'.', b'='] {
                let mut bytes = sealed.clone().into_bytes();
                if bytes[index] != other {
                    bytes[index] = other;
                    assert!(open(std::str::from_utf8(&bytes).unwrap(), PURPOSE).is_err(), "{index}");
                }
            }
        }
        // Moved to another role, header and all.
        let (header, rest) = sealed.split_once('.').unwrap();
        let header = String::from_utf8(Base64UrlUnpadded::decode_vec(header).unwrap()).unwrap();
        let moved = header.replace("snapshot", "timestamp");
        assert_ne!(moved, header);
        let moved = format!("{}.{rest}", Base64UrlUnpadded::encode_string(moved.as_bytes()));
        let timestamp = Purpose { role: "timestamp", ..PURPOSE };
        assert_eq!(open(&moved, timestamp).unwrap_err(), JweFault::WrongKey);
    }

    #[test]
    fn what_notarys_signer_wrote_opens_with_its_passphrase_only() {
        for [_, kind, public, text] in NOTARYS {
            let sealed = Sealed::read(text).unwrap();
            assert!(sealed.is_notarys());
            let plain = sealed.open_notarys(NOTARYS_PASSPHRASE).unwrap();
            let public = base16ct::lower::decode_vec(public).unwrap();
            match kind {
                "ed25519" => assert_eq!(plain[..32], public),
                // SEC1 has the point at its end, as the public key has.
                _ => assert_eq!(plain[plain.len() - 64..], public[public.len() - 64..]),
            }
            assert_eq!(sealed.open_notarys("the lab's passwore").unwrap_err(), JweFault::WrongKey);
            assert!(matches!(sealed.open(&kek(7), PURPOSE), Err(Malformed(_))));
        }
        assert!(matches!(Sealed::read(OTHERS).unwrap().open_notarys("x"), Err(Malformed(_))));
    }

    #[test]
    fn no_row_makes_the_server_count_for_long() {
        let [.., text] = NOTARYS[0];
        let (header, rest) = text.split_once('.').unwrap();
        let header = String::from_utf8(Base64UrlUnpadded::decode_vec(header).unwrap()).unwrap();
        let with = |from: &str, to: &str| {
            let changed = header.replace(from, to);
            assert_ne!(changed, header);
            let text = format!("{}.{rest}", Base64UrlUnpadded::encode_string(changed.as_bytes()));
            Sealed::read(&text)?.open_notarys(NOTARYS_PASSPHRASE)
        };
        for count in ["0", "100001", "4294967295", "4294967296", "-1", "8192.5"] {
            assert!(matches!(with("8192", count), Err(Malformed(_))), "{count}");
        }
        assert!(matches!(with("8p9tpkAfsFtbHMWn", "8p9tpkA"), Err(Malformed(_))));
        // Within the bounds, but not what it was encrypted with.
        assert_eq!(with("8192", "8193").unwrap_err(), JweFault::WrongKey);
    }

    #[test]
    fn what_is_no_encrypted_key_is_refused() {
        let twin = format!("{OTHERS}{}", "A".repeat(MAX_BYTES));
        for text in ["", "....", "a.b.c.d", COMPRESSED, &twin, &format!("{OTHERS}.")] {
            assert!(matches!(Sealed::read(text), Err(Malformed(_))), "{text}");
        }
        for header in [
            r#"{"alg":"dir","enc":"A256GCM","kid":"id","gun":"","role":""}"#,
            r#"{"alg":"none","enc":"A256GCM","kid":"id","gun":"","role":""}"#,
            r#"{"alg":"A256KW","enc":"A128GCM","kid":"id","gun":"","role":""}"#,
            r#"{"alg":"A256KW","enc":"A256GCM","kid":"id","gun":""}"#,
            r#"{"alg":"A256KW","enc":"A256GCM","kid":"id","kid":"id","gun":"","role":""}"#,
            r#"{"alg":"A256KW","enc":"A256GCM","kid":"id","gun":"","role":"","crit":["exp"]}"#,
        ] {
            let (_, rest) = OTHERS.split_once('.').unwrap();
            let text = format!("{}.{rest}", Base64UrlUnpadded::encode_string(header.as_bytes()));
            assert!(matches!(Sealed::read(&text), Err(Malformed(_))), "{header}");
        }
    }
}
