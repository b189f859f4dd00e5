//! Snapshot and timestamp: which bytes the other files must have.

use std::collections::BTreeMap;

use super::json::{Malformed, Value};
use super::{Common, Envelope, role};
use crate::crypto::{sha256, sha512};
use crate::error::Fault;

/// What a referring file says about another file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMeta {
    /// Size in bytes; a cap on what is fetched, as in Notary.
    pub length: u64,
    /// SHA-256, if listed.
    pub sha256: Option<[u8; 32]>,
    /// SHA-512, if listed.
    pub sha512: Option<[u8; 64]>,
}

impl FileMeta {
    fn read(value: &Value<'_>) -> Result<Self, Malformed> {
        let members = value.members("file meta", &["custom", "hashes", "length"])?;
        let length = members.get("length").int("length")?;
        let mut meta = Self {
            length: u64::try_from(length)
                .map_err(|_| Malformed::new(format!("length {length} is negative")))?,
            sha256: None,
            sha512: None,
        };
        for (algorithm, value) in members.get("hashes").map("hashes")? {
            let hash = value.bytes("hash")?;
            let wrong_size = |_| Malformed::new(format!("a {algorithm} hash has the wrong size"));
            match algorithm.as_ref() {
                "sha256" => meta.sha256 = Some(hash.try_into().map_err(wrong_size)?),
                "sha512" => meta.sha512 = Some(hash.try_into().map_err(wrong_size)?),
                _ => {}
            }
        }
        Ok(meta)
    }

    /// What Notary lists of a file: its size and both hashes.
    pub(crate) fn of(file: &[u8]) -> Self {
        Self { length: file.len() as u64, sha256: Some(sha256(file)), sha512: Some(sha512(file)) }
    }

    /// The lower-case hex of the SHA-256, by which servers name the file.
    pub fn sha256_hex(&self) -> Option<String> {
        self.sha256.as_ref().map(|hash| hex(hash))
    }

    /// Compares the listed hashes with those of `file`.
    ///
    /// # Errors
    /// [`Fault::Checksum`] for the first hash that differs; [`Fault::Malformed`]
    /// if no known hash is listed.
    pub fn check(&self, file: &[u8]) -> Result<(), Fault> {
        fn compare(algorithm: &'static str, expected: &[u8], found: &[u8]) -> Result<(), Fault> {
            if expected == found {
                return Ok(());
            }
            Err(Fault::Checksum { algorithm, expected: hex(expected), found: hex(found) })
        }
        // Every known hash must match, and there must be one.
        if self.sha256.is_none() && self.sha512.is_none() {
            return Err(Fault::Malformed("no checksum is listed for it".into()));
        }
        if let Some(expected) = &self.sha256 {
            compare("sha256", expected, sha256(file).as_ref())?;
        }
        if let Some(expected) = &self.sha512 {
            compare("sha512", expected, sha512(file).as_ref())?;
        }
        Ok(())
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

/// The content of a snapshot file.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Version and expiry.
    pub common: Common,
    /// By role name; `root` and `targets` are there and have a SHA-256.
    pub files: BTreeMap<String, FileMeta>,
}

impl Snapshot {
    /// Reads the content of a snapshot file.
    ///
    /// # Errors
    /// [`Malformed`] if it is not of this form.
    pub fn read(envelope: &Envelope) -> Result<Self, Malformed> {
        let (common, files) = read_meta(envelope, &[role::ROOT, role::TARGETS])?;
        Ok(Self { common, files })
    }
}

/// The content of a timestamp file.
#[derive(Debug, Clone)]
pub struct Timestamp {
    /// Version and expiry.
    pub common: Common,
    /// The current snapshot; has a SHA-256.
    pub snapshot: FileMeta,
}

impl Timestamp {
    /// Reads the content of a timestamp file.
    ///
    /// # Errors
    /// [`Malformed`] if it is not of this form.
    pub fn read(envelope: &Envelope) -> Result<Self, Malformed> {
        let (common, mut files) = read_meta(envelope, &[role::SNAPSHOT])?;
        let snapshot = files.remove(role::SNAPSHOT).ok_or_else(|| Malformed::new("there is no snapshot"))?;
        Ok(Self { common, snapshot })
    }
}

fn read_meta(
    envelope: &Envelope,
    needed: &[&str],
) -> Result<(Common, BTreeMap<String, FileMeta>), Malformed> {
    envelope.check_members(&["_type", "version", "expires", "meta"])?;
    let common = envelope.common()?;
    let meta = envelope.member("meta")?;
    let mut files = BTreeMap::new();
    for (name, value) in meta.map("meta")? {
        files.insert(name.clone().into_owned(), FileMeta::read(value)?);
    }
    for name in needed {
        if files.get(*name).is_none_or(|meta| meta.sha256.is_none()) {
            return Err(Malformed::new(format!("meta has no sha256 for {name:?}")));
        }
    }
    Ok((common, files))
}
