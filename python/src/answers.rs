//! What a client answers. None of these classes can be made from Python, so
//! whoever holds one got it from a verification, or from a pickle of one.

use pyo3::prelude::*;

use crate::values::{Moment, all, value};

value! {
    /// An image that its publisher signed.
    ///
    /// >>> image = client.verify("registry.example/team/app:1.2")
    /// >>> image.pinned_reference
    /// 'registry.example/team/app@sha256:...'
    /// >>> image.tag, image.role, image.signers, image.fresh
    /// ('1.2', 'targets/releases', ('alice', 'bob'), True)
    Image from core: tagtrust::VerifiedImage {
        /// Digest of the manifest or index, `sha256:` and 64 hex digits.
        digest: String = core.digest,
        /// Size of the manifest or index in bytes.
        size: u64 = core.size,
        /// The tag. For a reference by digest alone the first of `tags`.
        tag: String = core.tag,
        /// The tag; for a reference by digest alone all tags that count and have it, ascending.
        tags: Vec<String> = core.tags,
        /// Registry and repository, `docker.io/library/alpine`.
        repository: String = core.repository,
        /// The role that publishes the tag, `targets/releases` or `targets`.
        role: String = core.role,
        /// Names of those who signed this digest for this tag, ascending; empty if only
        /// the repository's owner did.
        signers: Vec<String> = core.signers,
        /// Until when this answer holds: the first expiry in the chain, in UTC.
        expires: Moment = core.expires.into(),
        /// False if the server could not be asked and the cached timestamp served.
        fresh: bool = core.fresh,
        /// `repository@digest`: what a runtime then pulls.
        pinned_reference: String = core.pinned_reference,
    }
}

value! {
    /// The signed tags, signers and keys of one repository, and its chain of trust.
    ///
    /// A notebook shows it as a picture.
    ///
    /// >>> inspection = client.inspect("registry.example/team/app")
    /// >>> [tag.tag for tag in inspection.signed_tags]
    /// ['1.1', '1.2']
    /// >>> [role.name for role in inspection.roles]
    /// ['root', 'targets', 'targets/alice', 'targets/releases', 'targets/bob', 'snapshot', 'timestamp']
    Inspection from core: tagtrust::Inspection {
        /// The reference as it was given.
        name: String = core.name,
        /// A `SignedTag` for each tag and digest, `v2` before `v10`.
        signed_tags: Vec<SignedTag> = all(core.signed_tags),
        /// A `Signer` for each delegation but `targets/releases`, in descending order of the names.
        signers: Vec<Signer> = all(core.signers),
        /// A `Signer` named `Root` and one named `Repository`.
        administrative_keys: Vec<Signer> = all(core.administrative_keys),
        /// The chain of trust, an `InspectedRole` for each role before those below it: the
        /// root, `targets` with its delegations, the snapshot and the timestamp.
        roles: Vec<InspectedRole> = all(core.roles),
    }

    /// The object that `docker trust inspect` prints in its array, indented by four spaces.
    ///
    /// >>> print(client.inspect("registry.example/team/app:1.2").to_json())
    /// {
    ///     "Name": "registry.example/team/app:1.2",
    ///     "SignedTags": [
    /// ...
    fn to_json(&self) -> String {
        self.core().to_json()
    }

    /// What `docker trust inspect --pretty` prints, with its blank lines.
    ///
    /// >>> print(client.inspect("registry.example/team/app:1.2").to_pretty())
    /// <BLANKLINE>
    /// Signatures for registry.example/team/app:1.2
    /// <BLANKLINE>
    /// SIGNED TAG   DIGEST ... SIGNERS
    /// 1.2          2222... alice, bob
    /// ...
    fn to_pretty(&self) -> String {
        self.core().to_pretty()
    }

    /// The chain of trust as a tree, each role below the one that says which keys may
    /// sign for it. Keys that may sign and have not stand in parentheses.
    ///
    /// width: keys that would go beyond it stand on lines of their own.
    ///
    /// >>> print(client.inspect("registry.example/team/app").to_tree())
    /// registry.example/team/app
    /// <BLANKLINE>
    /// ROLE                    VERSION  EXPIRES     TAGS  NEEDED  KEYS
    /// root                    1        ...  1 of 1  ...
    /// ├─ targets              2        ...  0     1 of 1  ...
    /// │  ├─ targets/alice     2        ...  2     1 of 1  ...
    /// │  ├─ targets/releases  2        ...  2     1 of 2  ...
    /// │  └─ targets/bob       1        ...  1     1 of 1  ...
    /// ├─ snapshot             3        ...  1 of 1  ...
    /// └─ timestamp            3        ...  1 of 1  ...
    /// <BLANKLINE>
    /// First to expire: timestamp, ...
    /// <BLANKLINE>
    #[pyo3(signature = (width=None))]
    fn to_tree(&self, width: Option<usize>) -> String {
        self.core().to_tree(width.unwrap_or(usize::MAX))
    }

    /// The chain of trust as a picture: a self-contained SVG file.
    ///
    /// >>> client.inspect("registry.example/team/app").to_svg()
    /// '<svg xmlns="http://www.w3.org/2000/svg" ...
    fn to_svg(&self) -> String {
        self.core().to_svg()
    }

    fn _repr_svg_(&self) -> String {
        self.to_svg()
    }
}

value! {
    /// A tag and who signed it.
    ///
    /// >>> tag = client.inspect("registry.example/team/app:1.1").signed_tags[0]
    /// >>> tag.tag, tag.digest, tag.signers
    /// ('1.1', '1111...', ('alice',))
    SignedTag from core: tagtrust::SignedTag {
        /// The tag.
        tag: String = core.tag,
        /// Hex digits of the SHA-256, without `sha256:`, as Docker shows it.
        digest: String = core.digest,
        /// Names of the signers, or `Repo Admin` alone.
        signers: Vec<String> = core.signers,
    }
}

value! {
    /// A signer and the IDs of its keys.
    ///
    /// >>> for signer in client.inspect("registry.example/team/app").signers:
    /// ...     print(signer.name, len(signer.keys))
    /// bob 1
    /// alice 1
    Signer from core: tagtrust::Signer {
        /// Such as `alice`, or `Root`.
        name: String = core.name,
        /// Key IDs of 64 hex digits, in the order of the metadata.
        keys: Vec<String> = core.keys.into_iter().map(|key| key.id).collect(),
    }
}

value! {
    /// A role in the chain of trust: who may sign for it, and what is signed.
    ///
    /// >>> root, targets, *_ = client.inspect("registry.example/team/app").roles
    /// >>> root.name, root.version, root.threshold, len(root.keys)
    /// ('root', 1, 1, 1)
    /// >>> targets.expires < root.expires
    /// True
    InspectedRole from core: tagtrust::InspectedRole {
        /// `root`, `targets`, a delegation, `snapshot` or `timestamp`.
        name: String = core.name,
        /// The keys that may sign for it, an `InspectedKey` for each.
        keys: Vec<InspectedKey> = all(core.keys),
        /// How many of them must.
        threshold: u32 = core.threshold,
        /// Version of its file; `None` if nothing is published for it.
        version: Option<i64> = core.version,
        /// Until when its file counts, in UTC. A root's certificates may end before the file does.
        expires: Option<Moment> = core.expires.map(Moment::from),
        /// How many tags its file lists.
        tags: usize = core.tags,
        /// Prefixes of the tags that it may sign; the empty one admits all. None for roles
        /// that sign no tags.
        paths: Vec<String> = core.paths,
        /// Why a delegation does not count, if it does not.
        excluded: Option<String> = core.excluded,
    }
}

value! {
    /// A key that may sign for a role.
    ///
    /// >>> releases = client.inspect("registry.example/team/app").roles[3]
    /// >>> releases.name, [key.signed for key in releases.keys]
    /// ('targets/releases', [True, True])
    InspectedKey from core: tagtrust::InspectedKey {
        /// 64 hex digits. For delegations the ID of the plain public key, which is also the
        /// name of the private key's file.
        id: String = core.id,
        /// Whether the role's file has a valid signature of it.
        signed: bool = core.signed,
    }
}

impl Inspection {
    fn core(&self) -> tagtrust::Inspection {
        let mut core = tagtrust::Inspection::default();
        core.name.clone_from(&self.name);
        core.signed_tags = self.signed_tags.iter().map(SignedTag::core).collect();
        core.signers = self.signers.iter().map(Signer::core).collect();
        core.administrative_keys = self.administrative_keys.iter().map(Signer::core).collect();
        core.roles = self.roles.iter().map(InspectedRole::core).collect();
        core
    }
}

impl SignedTag {
    fn core(&self) -> tagtrust::SignedTag {
        let mut core = tagtrust::SignedTag::default();
        (core.tag, core.digest, core.signers) = (self.tag.clone(), self.digest.clone(), self.signers.clone());
        core
    }
}

impl Signer {
    fn core(&self) -> tagtrust::Signer {
        let key = |id: &String| {
            let mut core = tagtrust::SignerKey::default();
            core.id.clone_from(id);
            core
        };
        let mut core = tagtrust::Signer::default();
        (core.name, core.keys) = (self.name.clone(), self.keys.iter().map(key).collect());
        core
    }
}

impl InspectedRole {
    fn core(&self) -> tagtrust::InspectedRole {
        let key = |key: &InspectedKey| {
            let mut core = tagtrust::InspectedKey::default();
            (core.id, core.signed) = (key.id.clone(), key.signed);
            core
        };
        let mut core = tagtrust::InspectedRole::default();
        (core.name, core.threshold, core.version) = (self.name.clone(), self.threshold, self.version);
        core.keys = self.keys.iter().map(key).collect();
        core.expires = self.expires.map(Into::into);
        (core.tags, core.paths, core.excluded) = (self.tags, self.paths.clone(), self.excluded.clone());
        core
    }
}

/// The array that `docker trust inspect` prints for several images, without a final line break.
#[pyfunction]
pub(crate) fn inspections_to_json(inspections: Vec<PyRef<'_, Inspection>>) -> String {
    let inspections: Vec<tagtrust::Inspection> =
        inspections.iter().map(|inspection| inspection.core()).collect();
    tagtrust::inspections_to_json(&inspections)
}
