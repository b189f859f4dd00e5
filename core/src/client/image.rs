//! The answer for one reference.

use std::time::SystemTime;

use super::Trusted;
use crate::error::{Error, Result};
use crate::metadata::hex;
use crate::reference::Reference;
use crate::trust::{Found, Policy};

/// An image that its publisher signed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct VerifiedImage {
    /// Registry and repository, `docker.io/library/alpine`: Notary's globally unique name (GUN).
    pub repository: String,
    /// The tag. For a reference by digest alone the first of [`VerifiedImage::tags`].
    pub tag: String,
    /// The tag; for a reference by digest alone all tags that count and have it, ascending.
    pub tags: Vec<String>,
    /// Digest of the manifest or index, `sha256:` and 64 hex digits.
    pub digest: String,
    /// Size of the manifest or index in bytes.
    pub size: u64,
    /// The role that publishes the tag, `targets/releases` or `targets`.
    pub role: String,
    /// Signers of this digest for this tag, ascending; empty if only the
    /// repository's owner signed.
    pub signers: Vec<String>,
    /// The moment until which this answer holds: the first expiry in the chain.
    pub expires: SystemTime,
    /// False if the server could not be asked and the cached timestamp served.
    pub fresh: bool,
    /// `repository@digest`: what a runtime then pulls.
    pub pinned_reference: String,
}

impl VerifiedImage {
    pub(super) fn decide(reference: &Reference, trusted: &Trusted, policy: &Policy) -> Result<Self> {
        let set = &trusted.set;
        let requested = reference.digest();
        let (tags, found) = match (reference.tag(), requested) {
            (Some(tag), _) => (vec![tag.to_owned()], set.resolve(tag, policy)?),
            (None, Some(digest)) => set.resolve_digest(&sha256_of(digest)?, policy)?,
            (None, None) => {
                return Err(Error::Internal { reason: "a reference without tag and digest".into() });
            }
        };
        let Found { sha256, size, role, signers } = found;
        let tag = tags.first().cloned().unwrap_or_default();
        let digest = format!("sha256:{}", hex(&sha256));
        let repository = reference.gun().to_owned();
        if let Some(requested) = requested
            && requested != digest
        {
            let requested = requested.to_owned();
            return Err(Error::DigestMismatch { gun: repository, tag, requested, signed: digest });
        }
        Ok(Self {
            pinned_reference: format!("{repository}@{digest}"),
            repository,
            tag,
            tags,
            digest,
            size,
            role,
            signers,
            expires: trusted.expires,
            fresh: trusted.fresh,
        })
    }
}

pub(super) fn sha256_of(digest: &str) -> Result<[u8; 32]> {
    let invalid =
        || Error::InvalidReference { reference: digest.into(), reason: "not a sha256 digest".into() };
    let digits = digest.strip_prefix("sha256:").ok_or_else(invalid)?;
    let mut bytes = [0; 32];
    match base16ct::lower::decode(digits, &mut bytes) {
        Ok(decoded) if decoded.len() == 32 => Ok(bytes),
        _ => Err(invalid()),
    }
}
