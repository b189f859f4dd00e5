//! Files of private keys, as Notary and OpenSSL write them.
//!
//! Notary's rules for both directions; keys of OpenSSL are read where Notary
//! reads them, and where only the encryption is newer.

mod cipher;
mod legacy;
mod pkcs8;

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use super::pem_block::Block;
use super::private_key::PrivateKey;
use super::random::random;
use crate::error::{Error, Result};

/// Why the key in a file cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileFault {
    /// The key is encrypted, and not with this passphrase (or none was given).
    #[error("could not decrypt key")]
    WrongPassphrase,
    /// A kind of key or of encryption that cannot be used.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// Not what the label of the block says.
    #[error("malformed: {0}")]
    Malformed(String),
}

/// One PEM block with a private key and its headers, as it stands on disk.
#[derive(Clone)]
pub struct KeyFile(Block);

impl KeyFile {
    /// Every private key in a text. Other blocks and text between them are ignored.
    pub fn parse_all(pem: &[u8]) -> Result<Vec<Self>> {
        let blocks = Block::parse_all(pem, |label| label.ends_with("PRIVATE KEY"));
        let blocks =
            blocks.map_err(|reason| Error::InvalidInput { what: "private key file".into(), reason })?;
        Ok(blocks.into_iter().map(Self).collect())
    }

    /// The key in PKCS#8, encrypted as Notary does it; in the clear if the passphrase is empty.
    pub fn encrypt(key: &PrivateKey, passphrase: &str, role: &str, gun: Option<&str>) -> Result<Self> {
        Self::encrypt_with(key, passphrase, random()?, random()?)
            .map(|file| file.with_headers(Some(role), gun, None))
            .map_err(|fault| Error::Internal { reason: format!("private key {}: {fault}", key.id()) })
    }

    fn encrypt_with(
        key: &PrivateKey,
        passphrase: &str,
        salt: [u8; 8],
        iv: [u8; 16],
    ) -> Result<Self, x509_cert::der::Error> {
        let plain = pkcs8::write(key)?;
        let (label, content) = if passphrase.is_empty() {
            (PLAIN, plain)
        } else {
            (ENCRYPTED, Zeroizing::new(pkcs8::encrypt(&plain, passphrase, salt, iv)?))
        };
        Ok(Self(Block { label: label.into(), headers: BTreeMap::new(), content }))
    }

    /// The role header: a free label, such as `root`, `targets` or the name of a signer.
    pub fn role(&self) -> Option<&str> {
        self.header("role")
    }

    /// The gun header: the repository that the key is for, if it is for one only.
    pub fn gun(&self) -> Option<&str> {
        self.header("gun")
    }

    /// The path header, which only exported keys have.
    pub fn path(&self) -> Option<&str> {
        self.header("path")
    }

    /// The same key under other headers.
    pub fn with_headers(mut self, role: Option<&str>, gun: Option<&str>, path: Option<&str>) -> Self {
        self.0.set_header("role", role);
        self.0.set_header("gun", gun);
        self.0.set_header("path", path);
        self
    }

    /// Whether a passphrase is needed.
    pub fn is_encrypted(&self) -> bool {
        self.0.label == ENCRYPTED || self.header(legacy::DEK_INFO).is_some()
    }

    /// The key. The passphrase of a key that is not encrypted does not matter.
    pub fn decrypt(&self, passphrase: Option<&str>) -> Result<PrivateKey, KeyFileFault> {
        let read = match self.0.label.as_str() {
            PLAIN | ENCRYPTED => pkcs8::read,
            "EC PRIVATE KEY" => |der: &[u8]| PrivateKey::from_sec1(der, None),
            "RSA PRIVATE KEY" => PrivateKey::from_pkcs1,
            "ED25519 PRIVATE KEY" => PrivateKey::from_ed25519,
            other => return Err(KeyFileFault::Unsupported(format!("a PEM block {other:?}"))),
        };
        let content = &self.0.content;
        if !self.is_encrypted() {
            return read(content);
        }
        let passphrase = passphrase.ok_or(KeyFileFault::WrongPassphrase)?;
        let plain = match self.header(legacy::DEK_INFO) {
            Some(info) => legacy::decrypt(content, info, passphrase),
            None => pkcs8::decrypt(content, passphrase),
        }?;
        // What a wrong passphrase decrypts has a padding once in 256 times.
        read(&plain).map_err(|fault| match fault {
            KeyFileFault::Malformed(_) => KeyFileFault::WrongPassphrase,
            fault => fault,
        })
    }

    /// The block as Notary writes it.
    pub fn to_pem(&self) -> Zeroizing<String> {
        self.0.to_text()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.get(name).map(String::as_str)
    }
}

const PLAIN: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// Without the key: it may stand there in the clear.
impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile")
            .field("label", &self.0.label)
            .field("headers", &self.0.headers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests;
