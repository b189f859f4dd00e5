//! Files of private keys, as Notary and OpenSSL write them.

use std::fmt;

use zeroize::Zeroizing;

use super::private_key::PrivateKey;
use crate::error::{Error, Result};

/// Why the key in a file cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileFault {
    /// The key is encrypted, and not with this passphrase (or none was given).
    #[error("could not decrypt key")]
    WrongPassphrase,
    /// A kind of key or of encryption that is not read.
    #[error("{0}")]
    Unsupported(String),
    /// Not what the label of the block says.
    #[error("malformed: {0}")]
    Malformed(String),
}

/// One PEM block with a private key and its headers, as it stands on disk.
#[derive(Clone)]
pub struct KeyFile {
    role: Option<String>,
    gun: Option<String>,
    path: Option<String>,
}

impl KeyFile {
    /// Every private key in a text. Other blocks and text between them are ignored.
    pub fn parse_all(_pem: &[u8]) -> Result<Vec<Self>> {
        Err(Error::Internal { reason: "not written yet".into() })
    }

    /// The key in PKCS#8, encrypted as Notary does it; in the clear if the passphrase is empty.
    pub fn encrypt(_key: &PrivateKey, _passphrase: &str, _role: &str, _gun: Option<&str>) -> Result<Self> {
        Err(Error::Internal { reason: "not written yet".into() })
    }

    /// The role header: a free label, `root`, `targets` or the name of a signer.
    pub fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }

    /// The gun header.
    pub fn gun(&self) -> Option<&str> {
        self.gun.as_deref()
    }

    /// The path header, which only exported keys have.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// The same key under other headers.
    pub fn with_headers(self, role: Option<&str>, gun: Option<&str>, path: Option<&str>) -> Self {
        Self {
            role: role.map(str::to_owned),
            gun: gun.map(str::to_owned),
            path: path.map(str::to_owned),
        }
    }

    /// Whether a passphrase is needed.
    pub fn is_encrypted(&self) -> bool {
        true
    }

    /// The key. The passphrase of a key that is not encrypted does not matter.
    pub fn decrypt(&self, _passphrase: Option<&str>) -> Result<PrivateKey, KeyFileFault> {
        Err(KeyFileFault::Unsupported("not written yet".into()))
    }

    /// The block as Notary writes it.
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(String::new())
    }
}

/// Without the key: it may stand there in the clear.
impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile")
            .field("role", &self.role)
            .field("gun", &self.gun)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
