//! From what has to be signed to files.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use serde::{Serialize, Serializer};

use crate::crypto::{self, KeyId, PublicKey, Signer};
use crate::error::{Error, Result};
use crate::metadata::json::Malformed;
use crate::metadata::{
    Envelope, RoleKeys, Root, Signature, Snapshot, Targets, format_time, role, write_file,
};

/// Finds the signer for a canonical key ID; `None` if its key is not at hand.
/// The second argument says which role it is wanted for.
pub type SignerSource<'a> = dyn Fn(&KeyId, &str) -> Result<Option<Arc<dyn Signer>>> + 'a;

/// The content of one role's next file.
#[derive(Debug, Clone)]
pub struct Unsigned {
    /// `root`, `targets`, a delegation or `snapshot`.
    pub role: String,
    /// Version of the file.
    pub version: i64,
    /// When it expires.
    pub expires: SystemTime,
    /// Canonical JSON: what signatures cover.
    pub signed: Vec<u8>,
    /// Enough keys of each of these must sign: the role's own, and for a root
    /// those of the root before it.
    pub keys: Vec<RoleKeys>,
    /// A file that is uploaded as it is: the first root of a repository that
    /// was made by another tool.
    pub(super) ready: Option<Bytes>,
}

/// A file with enough signatures.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct SignedFile {
    /// `root`, `targets`, a delegation or `snapshot`.
    pub role: String,
    /// Version of the file.
    pub version: i64,
    /// When it expires.
    #[serde(serialize_with = "as_rfc3339")]
    pub expires: SystemTime,
    /// IDs, as metadata lists them, of the keys that signed.
    pub key_ids: Vec<String>,
    /// The bytes to upload.
    #[serde(skip)]
    pub file: Bytes,
}

#[cfg(feature = "http")]
impl SignedFile {
    /// What a file would be, without its bytes.
    pub(crate) fn planned(unsigned: &Unsigned, key_ids: Vec<String>) -> Self {
        let (role, version) = (unsigned.role.clone(), unsigned.version);
        Self { role, version, expires: unsigned.expires, key_ids, file: Bytes::new() }
    }
}

pub(crate) fn as_rfc3339<S: Serializer>(
    moment: &SystemTime,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_time(*moment))
}

/// Signs with every key of the role that `signer_of` has. `others` are
/// signatures that somebody else made over the same content.
///
/// # Errors
/// [`Error::KeyNotFound`] if too few keys sign; whatever `signer_of` and the
/// signers fail with.
pub fn sign(unsigned: &Unsigned, signer_of: &SignerSource<'_>, others: &[Signature]) -> Result<SignedFile> {
    let file = match &unsigned.ready {
        Some(file) => file.clone(),
        None => {
            let signatures = sign_partly(unsigned, signer_of, others)?;
            for keys in &unsigned.keys {
                unsigned.check_threshold(keys, &signatures)?;
            }
            write_file(&unsigned.signed, &signatures).into()
        }
    };
    Ok(SignedFile {
        role: unsigned.role.clone(),
        version: unsigned.version,
        expires: unsigned.expires,
        key_ids: read_again(unsigned, file.clone())?,
        file,
    })
}

/// All signatures that can be had now, whether they are enough or not: valid
/// ones among `others`, and those of our own keys.
pub(super) fn sign_partly(
    unsigned: &Unsigned,
    signer_of: &SignerSource<'_>,
    others: &[Signature],
) -> Result<Vec<Signature>> {
    let mut signatures: Vec<Signature> = Vec::new();
    for (id, key) in unsigned.distinct_keys() {
        let is_valid = |signature: &&Signature| {
            signature.key_id == *id && key.verify(&signature.method, &unsigned.signed, &signature.bytes)
        };
        if let Some(signature) = others.iter().find(is_valid) {
            signatures.push(signature.clone());
            continue;
        }
        let Some(canonical) = key.canonical_id() else { continue };
        let Some(signer) = signer_of(&canonical, &unsigned.role)? else { continue };
        let (method, bytes) = crypto::sign_checked(signer.as_ref(), &unsigned.signed)?;
        signatures.push(Signature { key_id: id.clone(), method: method.into(), bytes });
    }
    Ok(signatures)
}

impl Unsigned {
    /// The keys that may sign, each once.
    pub(super) fn distinct_keys(&self) -> impl Iterator<Item = &(KeyId, Arc<PublicKey>)> {
        let mut seen = BTreeSet::new();
        self.keys.iter().flat_map(|keys| &keys.keys).filter(move |(id, _)| seen.insert(id))
    }

    /// Canonical IDs of the keys that may sign.
    pub(crate) fn canonical_ids(&self) -> Vec<KeyId> {
        self.distinct_keys().filter_map(|(_, key)| key.canonical_id()).collect()
    }

    fn check_threshold(&self, keys: &RoleKeys, signatures: &[Signature]) -> Result<()> {
        let signed = keys.keys.iter().filter(|(id, _)| signatures.iter().any(|s| s.key_id == *id)).count();
        if signed as u64 >= u64::from(keys.threshold) {
            return Ok(());
        }
        let ids = keys.keys.iter().filter_map(|(_, key)| key.canonical_id());
        let key_ids: Vec<String> = ids.map(|id| id.to_string()).collect();
        let reason = match (keys.threshold, key_ids.as_slice()) {
            (_, []) => "the role has no keys; add one first".to_owned(),
            (1, _) => format!("at least one of these keys must be available: {}", key_ids.join(", ")),
            (threshold, _) => {
                format!("{signed} of {threshold} needed keys are available, of {}", key_ids.join(", "))
            }
        };
        Err(Error::KeyNotFound { role: self.role.clone(), key_ids, reason })
    }
}

/// What we publish we must be able to read, within all our limits, as what was signed.
fn read_again(unsigned: &Unsigned, file: Bytes) -> Result<Vec<String>> {
    let read = || -> Result<(Vec<String>, bool), Malformed> {
        let envelope = Envelope::read(file)?;
        let ids = envelope.signatures.iter().map(|signature| signature.key_id.to_string()).collect();
        let same = envelope.signed() == unsigned.signed;
        match unsigned.role.as_str() {
            role::ROOT => drop(Root::read(&envelope)?),
            role::SNAPSHOT => drop(Snapshot::read(&envelope)?),
            name => drop(Targets::read(name, envelope)?),
        }
        Ok((ids, same))
    };
    let invalid = |malformed: Malformed| Error::InvalidInput {
        what: format!("next file of {}", unsigned.role),
        reason: malformed.to_string(),
    };
    match read().map_err(invalid)? {
        (ids, true) => Ok(ids),
        (_, false) => Err(Error::Internal { reason: format!("{} is not read as written", unsigned.role) }),
    }
}
