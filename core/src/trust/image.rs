//! The answer for one reference.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::check::Check;
use super::{Expiry, Found, MAX_ROOT_BYTES, Pinning, Policy, TrustedRoot, TrustedSet};
use crate::error::{Error, Result};
use crate::metadata::{hex, role};
use crate::reference::Reference;

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
    /// False if the server could not be asked and the cached timestamp served,
    /// and of [`TrustedSet::verify`], which asks nobody.
    pub fresh: bool,
    /// `repository@digest`: what a runtime then pulls.
    pub pinned_reference: String,
}

/// Verification in memory, of files that the caller fetched.
impl TrustedSet {
    /// Starts from the file of a root. `known_root` is the one that the caller
    /// trusted before: its keys must have signed this one too. Without it the
    /// pins alone decide.
    ///
    /// The caller hands over the other files with [`TrustedSet::add_role`] as
    /// [`TrustedSet::next_role`] names them. Versions that were seen before are
    /// not known here: give them to `add_role`, or a server can go back to them.
    ///
    /// # Errors
    /// [`Error::InvalidReference`], [`Error::InvalidConfiguration`] and
    /// [`Error::InvalidInput`] for the repository's name, the pins and the known
    /// root; as [`TrustedRoot::accept`] for the root.
    pub fn open(
        repository: &str,
        known_root: Option<Bytes>,
        root: impl Into<Bytes>,
        pins: &Pinning,
        now: SystemTime,
    ) -> Result<Self> {
        let name = Reference::parse_name(repository)?;
        let gun = name.gun();
        #[cfg(feature = "test-panics")]
        super::test_panic(gun);
        pins.check()?;
        let known = known_root.map(|file| known(gun, file, now)).transpose()?;
        let root = root.into();
        Check { gun, role: role::ROOT, now }.size(&root, MAX_ROOT_BYTES)?;
        let root = TrustedRoot::accept(gun, root, known.as_ref(), Some(pins), Expiry::Enforced, now)?;
        Ok(Self::new(Arc::new(root)))
    }

    /// The digest that the publisher signed for an image of this repository:
    /// as [`crate::Client::verify`], but from the files that are here.
    ///
    /// `image` is a tag or a whole reference. What has none of `/`, `:` and `@`
    /// is a tag.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if files are missing; [`Error::Expired`] if one
    /// has expired since it was added, and then all of them have to be added
    /// anew; else as [`crate::Client::verify`].
    pub fn verify(&self, image: &str, policy: &Policy, now: SystemTime) -> Result<VerifiedImage> {
        policy.check()?;
        let reference = self.reference(image)?;
        if let Some(missing) = self.next_role() {
            let (what, reason) = (format!("trust data of {}", self.gun()), format!("{missing} is missing"));
            return Err(Error::InvalidInput { what, reason });
        }
        let expires = self.check_expiry(now)?;
        VerifiedImage::decide(&reference, self, policy, expires, false)
    }

    fn reference(&self, image: &str) -> Result<Reference> {
        let reference = match image.contains(['/', ':', '@']) {
            true => Reference::parse(image)?,
            false => Reference::parse(&format!("{}:{image}", self.gun()))?,
        };
        if reference.gun() != self.gun() {
            let reason = format!("the trust data is that of {}", self.gun());
            return Err(Error::InvalidReference { reference: image.into(), reason });
        }
        Ok(reference)
    }
}

/// It is the caller's own, and need not be valid any more.
fn known(gun: &str, file: Bytes, now: SystemTime) -> Result<TrustedRoot> {
    TrustedRoot::accept(gun, file, None, None, Expiry::Ignored, now)
        .map_err(|error| Error::InvalidInput { what: "known root".into(), reason: error.to_string() })
}

impl VerifiedImage {
    pub(crate) fn decide(
        reference: &Reference,
        set: &TrustedSet,
        policy: &Policy,
        expires: SystemTime,
        fresh: bool,
    ) -> Result<Self> {
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
        let pinned_reference = format!("{repository}@{digest}");
        Ok(Self { repository, tag, tags, digest, size, role, signers, expires, fresh, pinned_reference })
    }
}

/// The bytes of a digest, `sha256:` and 64 hex digits.
pub(crate) fn sha256_of(digest: &str) -> Result<[u8; 32]> {
    let invalid =
        || Error::InvalidReference { reference: digest.into(), reason: "not a sha256 digest".into() };
    let digits = digest.strip_prefix("sha256:").ok_or_else(invalid)?;
    let mut bytes = [0; 32];
    match base16ct::lower::decode(digits, &mut bytes) {
        Ok(decoded) if decoded.len() == 32 => Ok(bytes),
        _ => Err(invalid()),
    }
}
