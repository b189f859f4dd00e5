//! The answer for one reference.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::check::Check;
use super::{Expiry, Found, MAX_ROOT_BYTES, MAX_ROOT_ROTATIONS, Pinning, Policy, TrustedRoot, TrustedSet};
use crate::error::{Error, Result, RootFault};
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
    /// Starts from the file of a root.
    ///
    /// `known_roots` begins with the root that the caller trusted before. If its
    /// keys did not sign `root` too, all versions between the two follow, oldest
    /// first: each must be signed by its own keys and those of the one before,
    /// and all but `root` may have expired. Without any the pins alone decide.
    ///
    /// The caller hands over the other files with [`TrustedSet::add_role`] as
    /// [`TrustedSet::next_role`] names them, or with [`TrustedSet::add_all`].
    /// Versions that were seen before are not known here: give them to
    /// `add_role`, or a server can go back to them.
    ///
    /// # Errors
    /// [`Error::InvalidReference`], [`Error::InvalidConfiguration`] and
    /// [`Error::InvalidInput`] for the repository's name, the pins and the first
    /// known root; [`Error::RootNotTrusted`] with the place of another one that
    /// does not follow; as [`TrustedRoot::accept`] for the root.
    pub fn open(
        repository: &str,
        known_roots: &[Bytes],
        root: impl Into<Bytes>,
        pins: &Pinning,
        now: SystemTime,
    ) -> Result<Self> {
        let name = Reference::parse_name(repository)?;
        let gun = name.gun();
        #[cfg(feature = "test-panics")]
        super::test_panic(gun);
        pins.check()?;
        let known = last_of(gun, known_roots, now)?;
        let root = root.into();
        Check { gun, role: role::ROOT, now }.size(&root, MAX_ROOT_BYTES)?;
        let root = TrustedRoot::accept(gun, root, known.as_ref(), Some(pins), Expiry::Enforced, now)?;
        // Whoever goes from version to version leaves none out.
        if let Some(last) = known.filter(|_| known_roots.len() > 1) {
            root.check_next_to(&last)?;
        }
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

/// The last of the known roots, each of which leads to the next.
fn last_of(gun: &str, known_roots: &[Bytes], now: SystemTime) -> Result<Option<TrustedRoot>> {
    let Some((first, between)) = known_roots.split_first() else { return Ok(None) };
    let broken = |reason| Error::RootNotTrusted { gun: gun.into(), fault: RootFault::BrokenChain(reason) };
    if i64::try_from(between.len()).unwrap_or(i64::MAX) > MAX_ROOT_ROTATIONS {
        return Err(broken(format!("more than {MAX_ROOT_ROTATIONS} versions after the known root")));
    }
    // The first one is the caller's own.
    let mut last = TrustedRoot::accept(gun, first.clone(), None, None, Expiry::Ignored, now)
        .map_err(|error| Error::InvalidInput { what: "known_roots[0]".into(), reason: error.to_string() })?;
    for (index, file) in (1..).zip(between) {
        let size = Check { gun, role: role::ROOT, now }.size(file, MAX_ROOT_BYTES);
        last = size.and_then(|()| last.next(file.clone(), now)).map_err(|error| {
            let reason = match error {
                Error::RootNotTrusted { fault: RootFault::BrokenChain(reason), .. } => reason,
                Error::RootNotTrusted { fault, .. } => fault.to_string(),
                other => other.to_string(),
            };
            broken(format!("known_roots[{index}]: {reason}"))
        })?;
    }
    Ok(Some(last))
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

#[cfg(all(test, feature = "signing"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::crypto::{PrivateKey, PublicKey, Signer, issue_root_certificate, sign_checked};
    use crate::metadata::{RootDraft, Signature, write_file};

    const GUN: &str = "registry.example/team/app";
    const YEAR: Duration = Duration::from_secs(365 * 86_400);

    /// A root key, with a certificate for ten years from `issued` on.
    struct Key {
        private: PrivateKey,
        certificate: PublicKey,
    }

    impl Key {
        fn new(gun: &str, issued: SystemTime) -> Self {
            let private = PrivateKey::generate_p256().unwrap();
            let certificate = issue_root_certificate(gun, &private, issued, 10 * YEAR).unwrap();
            Self { private, certificate }
        }
    }

    /// The file of a root that names `keys[0]` and is signed by all keys.
    fn root(version: i64, expires: SystemTime, keys: &[&Key]) -> Bytes {
        let mut draft = RootDraft::new();
        draft.set_role(role::ROOT, &[keys[0].certificate.clone()], 1);
        for role in [role::TARGETS, role::SNAPSHOT, role::TIMESTAMP] {
            draft.set_role(role, &[keys[0].private.public_key().clone()], 1);
        }
        let signed = draft.write(version, expires);
        let sign = |key: &&Key| {
            let (method, bytes) = sign_checked(&key.private, &signed).unwrap();
            Signature { key_id: key.certificate.id().clone(), method: method.into(), bytes }
        };
        write_file(&signed, &keys.iter().map(sign).collect::<Vec<_>>()).into()
    }

    /// Versions 1 to 4, each with a key of its own: those before the last have expired.
    struct Chain {
        now: SystemTime,
        keys: [Key; 4],
        roots: [Bytes; 4],
    }

    impl Chain {
        fn new() -> Self {
            let now = SystemTime::now();
            let (past, future) = (now - YEAR, now + YEAR);
            // The second one's certificate has expired, too.
            let keys = [now, now - 11 * YEAR, now, now].map(|issued| Key::new(GUN, issued));
            let [one, two, three, four] = &keys;
            let roots = [
                root(1, past, &[one]),
                root(2, past, &[two, one]),
                root(3, past, &[three, two]),
                root(4, future, &[four, three]),
            ];
            Self { now, keys, roots }
        }

        fn open(&self, known_roots: &[Bytes], root: &Bytes) -> Result<TrustedSet> {
            TrustedSet::open(GUN, known_roots, root.clone(), &Pinning::trust_on_first_use(), self.now)
        }

        /// What is wrong with the chain of versions.
        fn refusal(&self, known_roots: &[Bytes], root: &Bytes) -> String {
            match self.open(known_roots, root) {
                Err(Error::RootNotTrusted { fault: RootFault::BrokenChain(reason), .. }) => reason,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_root_is_reached_through_versions_that_have_expired() {
        let chain = Chain::new();
        let [one, two, three, four] = chain.roots.clone();
        for known in [&[one.clone(), two.clone(), three.clone()][..], &[two, three.clone()], &[three], &[]] {
            let set = chain.open(known, &four).unwrap();
            assert_eq!((set.root().version(), set.next_role()), (4, Some(role::TIMESTAMP)));
        }
        // Without those between nobody can tell.
        let alone = chain.open(&[one], &four);
        let fault = RootFault::BrokenRotation {
            from: 1,
            to: 4,
            needed: 1,
            key_ids: vec![chain.keys[0].certificate.id().to_string()],
        };
        assert_eq!(alone.unwrap_err(), Error::RootNotTrusted { gun: GUN.into(), fault });
    }

    #[test]
    fn a_known_root_alone_need_not_be_the_version_before() {
        let chain = Chain::new();
        let [one, .., four] = &chain.keys;
        let newest = root(4, chain.now + YEAR, &[four, one]);
        assert_eq!(chain.open(&chain.roots[..1], &newest).unwrap().root().version(), 4);
        // Nor is one that is handed in twice a version of its own.
        assert!(chain.open(&chain.roots[3..], &chain.roots[3]).is_ok());
        let repeated = chain.refusal(&chain.roots, &chain.roots[3]);
        assert_eq!(repeated, "version 4 stands in place of version 5");
    }

    #[test]
    fn a_gap_another_order_and_a_repetition_are_refused() {
        let chain = Chain::new();
        let [one, two, three, four] = &chain.roots;
        let refusal = |known: &[&Bytes], root| {
            let known: Vec<Bytes> = known.iter().map(|&file| file.clone()).collect();
            chain.refusal(&known, root)
        };
        let starts = |reason: String, with: &str| assert!(reason.starts_with(with), "{reason}");
        starts(refusal(&[one, three], four), "known_roots[1]: could not rotate trust");
        starts(refusal(&[one, three, two], four), "known_roots[1]: could not rotate trust");
        starts(refusal(&[two, one, three], four), "known_roots[1]: could not rotate trust");
        let repeated = "known_roots[2]: version 2 stands in place of version 3";
        assert_eq!(refusal(&[one, two, two, three], four), repeated);

        // Even where one key signed all of them.
        let key = &chain.keys[0];
        let [one, two, three, four, five] = [1, 2, 3, 4, 5].map(|n| root(n, chain.now + YEAR, &[key]));
        assert!(chain.open(&[one.clone(), two.clone(), three.clone()], &four).is_ok());
        let skipped = "known_roots[1]: version 3 stands in place of version 2";
        assert_eq!(refusal(&[&one, &three], &four), skipped);
        assert_eq!(refusal(&[&one, &two], &four), "version 4 stands in place of version 3");
        assert_eq!(refusal(&[&one, &two, &three], &five), "version 5 stands in place of version 4");
        starts(
            refusal(&[&two, &one], &three),
            "known_roots[1]: root of registry.example/team/app was rolled",
        );
        assert!(matches!(chain.open(&[one, two, three.clone()], &three), Err(Error::RootNotTrusted { .. })));
    }

    #[test]
    fn a_version_that_its_predecessor_or_itself_did_not_sign_leads_nowhere() {
        let chain = Chain::new();
        let [one, two, _, last] = &chain.keys;
        let [first, second, third, newest] = chain.roots.clone();
        let past = chain.now - YEAR;
        let stranger = Key::new(GUN, chain.now);
        let foreign = Key::new("registry.example/team/other", chain.now);
        let cases = [
            (root(2, past, &[two]), "could not rotate trust"),
            (root(2, past, &[two, last]), "could not rotate trust"),
            (root(2, past, &[&stranger, two]), "could not rotate trust"),
            (root(2, past, &[&foreign, one]), "unable to retrieve valid leaf certificates"),
            (
                Bytes::from_static(b"<html></html>"),
                "root of registry.example/team/app cannot be trusted: mal",
            ),
            (Bytes::new(), "root of registry.example/team/app cannot be trusted: mal"),
            (vec![b' '; MAX_ROOT_BYTES as usize + 1].into(), "root of registry.example/team/app cannot be"),
            (first.clone(), "version 1 stands in place of version 2"),
        ];
        for (wrong, reason) in cases {
            let refusal = chain.refusal(&[first.clone(), wrong, third.clone()], &newest);
            assert!(refusal.starts_with(&format!("known_roots[1]: {reason}")), "{refusal}");
        }
        // Signed by the one before, and not by itself.
        let mut text = String::from_utf8(second.to_vec()).unwrap();
        let own = two.certificate.id().to_string();
        let at = text.rfind(&own).unwrap();
        text.replace_range(at..at + own.len(), stranger.certificate.id().as_ref());
        let refusal = chain.refusal(&[first.clone(), text.into(), third], &newest);
        assert!(refusal.starts_with("known_roots[1]: failed to validate integrity"), "{refusal}");
        // The new root itself: as after one known root.
        let broken = chain.open(&[first, second], &newest);
        let Err(Error::RootNotTrusted { fault: RootFault::BrokenRotation { from, to, .. }, .. }) = broken
        else {
            panic!("{broken:?}");
        };
        assert_eq!((from, to), (2, 4));
    }

    #[test]
    fn the_last_one_must_be_current_and_match_the_pins() {
        let chain = Chain::new();
        let (known, newest) = (&chain.roots[..3], &chain.roots[3]);
        let [.., three, four] = &chain.keys;
        let expired = chain.open(known, &root(4, chain.now - YEAR, &[four, three]));
        assert!(matches!(expired, Err(Error::Expired { .. })), "{expired:?}");
        let old = Key::new(GUN, chain.now - 11 * YEAR);
        let certificate = chain.open(known, &root(4, chain.now + YEAR, &[&old, three]));
        assert!(matches!(certificate, Err(Error::RootNotTrusted { .. })), "{certificate:?}");
        // What was trusted before does not stand in for a pin.
        let pinned = |id: String| {
            let pins = Pinning::none().certificates(GUN, [id]);
            TrustedSet::open(GUN, known, newest.clone(), &pins, chain.now)
        };
        assert!(pinned(four.certificate.id().to_string()).is_ok());
        let mismatch = pinned(three.certificate.id().to_string());
        assert!(
            matches!(&mismatch, Err(Error::RootNotTrusted { fault: RootFault::PinMismatch(_), .. })),
            "{mismatch:?}"
        );
    }

    #[test]
    fn the_first_known_root_is_the_callers_own() {
        let chain = Chain::new();
        let foreign = Key::new("registry.example/team/other", chain.now);
        let elsewhere = root(1, chain.now + YEAR, &[&foreign]);
        for wrong in [elsewhere, Bytes::new(), Bytes::from_static(b"{}")] {
            match chain.open(&[wrong, chain.roots[1].clone()], &chain.roots[2]) {
                Err(Error::InvalidInput { what, .. }) => assert_eq!(what, "known_roots[0]"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_chain_without_an_end_is_not_begun() {
        let chain = Chain::new();
        let known = |between: i64| {
            let between = (0..between).map(|_| Bytes::new());
            [chain.roots[0].clone()].into_iter().chain(between).collect::<Vec<_>>()
        };
        let longest = chain.refusal(&known(MAX_ROOT_ROTATIONS), &chain.roots[3]);
        assert!(longest.starts_with("known_roots[1]: "), "{longest}");
        let longer = chain.refusal(&known(MAX_ROOT_ROTATIONS + 1), &chain.roots[3]);
        assert_eq!(longer, "more than 1024 versions after the known root");
    }
}
