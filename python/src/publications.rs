//! What signing answers: what was published, keys, delegations, and what expires.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyType};
use tagtrust::ChangeSummary;
use tagtrust::crypto::KeyId;

use crate::call::detached;
use crate::values::{Field, Moment, all, repr, value};

value! {
    /// What was published, or what would be.
    ///
    /// >>> publication = client.sign("registry.example/team/app:1.3", "sha256:" + "3" * 64, 1570)
    /// >>> publication.published
    /// True
    /// >>> for change in publication.changes:
    /// ...     print(change)
    /// sign 1.3 as sha256:3333..., 1570 bytes, in targets/alice
    /// sign 1.3 as sha256:3333..., 1570 bytes, in targets/releases
    /// sign 1.3 as sha256:3333..., 1570 bytes, in targets/bob
    Publication from core: tagtrust::Publication {
        /// Registry and repository, `docker.io/library/alpine`.
        repository: String = core.repository.clone(),
        /// A `Change` for each, in order. Empty if everything was as it should be already.
        changes: Vec<Change> = all(core.changes.iter().cloned()),
        /// A `SignedFile` for each that was signed, or would be.
        files: Vec<SignedFile> = all(core.files.iter().cloned()),
        /// What a publisher should know besides, one line each.
        warnings: Vec<String> = core.warnings.clone(),
        /// True if something was uploaded: not after a dry run, after staging, or if
        /// there was nothing to change.
        published: bool = core.published,
        /// How often it was tried: more than once if others published at the same time.
        attempts: u32 = core.attempts,
        /// Kept for `to_json`.
        _json: String = core.to_json(),
    }

    /// A JSON object with these attributes.
    ///
    /// >>> import json
    /// >>> publication = client.revoke("registry.example/team/app:1.1", dry_run=True)
    /// >>> json.loads(publication.to_json())["changes"][0]["action"]
    /// 'delete'
    fn to_json(&self) -> &str {
        &self._json
    }
}

value! {
    /// One change of a repository, in Notary's terms and in words.
    ///
    /// >>> change = client.revoke("registry.example/team/app:1.1", dry_run=True).changes[0]
    /// >>> change.action, change.type, change.role, change.path
    /// ('delete', 'target', 'targets/alice', '1.1')
    /// >>> print(change)
    /// remove 1.1 from targets/alice
    Change from core: ChangeSummary {
        /// `create`, `update` or `delete`.
        action: String = core.action.to_owned(),
        /// `target`, `delegation`, `witness`, `role` or `threshold`.
        r#type: String = core.kind.to_owned(),
        /// The role that changes, such as `targets/releases`.
        role: String = core.role,
        /// The tag, where it is about one.
        path: String = core.path,
        /// In words.
        description: String = core.description,
    }

    fn __str__(&self) -> &str {
        &self.description
    }
}

value! {
    /// A metadata file that was signed, or would be.
    ///
    /// >>> for file in client.witness("registry.example/team/app", ["targets"], dry_run=True).files:
    /// ...     print(file.role, file.version, len(file.key_ids))
    /// targets 3 1
    SignedFile from core: tagtrust::signing::SignedFile {
        /// `root`, `targets`, a delegation or `snapshot`.
        role: String = core.role,
        /// Version of the file.
        version: i64 = core.version,
        /// When it expires, in UTC.
        expires: Moment = core.expires.into(),
        /// IDs, as the metadata lists them, of the keys that signed or could sign.
        key_ids: Vec<String> = core.key_ids,
    }
}

/// Changes that several people have to sign, and their signatures so far: what
/// `sign_partial` and `cosign` return.
///
/// Look at it before you sign it. Raises `InvalidInput` if `part` is something else.
///
/// >>> part = client.sign_partial("registry.example/team/app:2.0", "sha256:" + "2" * 64, 1570)
/// >>> proposal = tagtrust.Proposal(part)
/// >>> print(proposal.repository, proposal.changes[0])
/// registry.example/team/app sign 2.0 as sha256:2222..., 1570 bytes, in targets/alice
/// >>> sorted(proposal.signed_by)
/// ['targets/alice', 'targets/bob', 'targets/releases']
#[pyclass(frozen, eq, hash, module = "tagtrust")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Proposal {
    repository: String,
    changes: Vec<Change>,
    signed_by: Vec<(String, Vec<String>)>,
    part: Vec<u8>,
}

#[pymethods]
impl Proposal {
    #[new]
    fn new(py: Python<'_>, part: &[u8]) -> PyResult<Self> {
        let core = detached(py, || tagtrust::signing::Proposal::from_json(part))?;
        let ids = |ids: Vec<&KeyId>| ids.into_iter().map(|id| id.as_str().to_owned()).collect();
        Ok(Self {
            repository: core.gun().to_owned(),
            changes: all(core.changes().iter().map(ChangeSummary::from)),
            signed_by: core.signers().into_iter().map(|(role, by)| (role.to_owned(), ids(by))).collect(),
            part: core.to_json(),
        })
    }

    /// Registry and repository, `docker.io/library/alpine`.
    #[getter]
    fn repository(&self) -> &str {
        &self.repository
    }

    /// A `Change` for each, in order.
    #[getter]
    fn changes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.changes.get(py)
    }

    /// By role, the IDs of the keys that have signed. The signatures are checked
    /// when they are put together.
    #[getter]
    fn signed_by<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let signed_by = PyDict::new(py);
        for (role, key_ids) in &self.signed_by {
            signed_by.set_item(role, key_ids.get(py)?)?;
        }
        Ok(signed_by)
    }

    /// The part itself.
    ///
    /// >>> part = client.sign_partial("registry.example/team/app:2.0", "sha256:" + "2" * 64, 1570)
    /// >>> tagtrust.Proposal(part).to_json() == part
    /// True
    fn to_json<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.part)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf, "Proposal", &["repository", "changes", "signed_by"])
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyType>, (Bound<'py, PyBytes>,)) {
        (slf.get_type(), (slf.get().to_json(slf.py()),))
    }
}

value! {
    /// A private key that can sign. It holds no secret.
    ///
    /// >>> for key in client.keys():
    /// ...     print(key.role, len(key.id), key.gun)
    /// root 64 None
    /// alice 64 None
    /// bob 64 None
    /// targets 64 registry.example/team/app
    Key from core: tagtrust::KeyInfo {
        /// Canonical ID, 64 hex digits.
        id: String = core.id,
        /// What it is for: `root`, `targets`, or the name of a signer. Empty if nothing says so.
        role: String = core.role,
        /// The repository that it is for, if it is for one only.
        gun: Option<String> = core.gun,
        /// Its file; `signer` for a `CallbackSigner`.
        location: String = core.location,
    }
}

value! {
    /// A new signer's key.
    ///
    /// >>> carol = client.generate_key("carol", directory)
    /// >>> len(carol.id), carol.public_key_file.name
    /// (64, 'carol.pub')
    GeneratedKey from core: tagtrust::GeneratedKey {
        /// Canonical ID of the private key, which is in the trust directory.
        id: String = core.id,
        /// The file to hand to the repository's owner.
        public_key_file: PathBuf = core.public_key_file,
    }
}

value! {
    /// A delegation as the repository declares it.
    ///
    /// >>> for delegation in client.delegations("registry.example/team/app"):
    /// ...     print(delegation.name, delegation.paths, delegation.threshold, len(delegation.key_ids))
    /// targets/alice ('',) 1 1
    /// targets/releases ('',) 1 2
    /// targets/bob ('',) 1 1
    Delegation from core: tagtrust::Delegation {
        /// Full name, `targets/releases`.
        name: String = core.name,
        /// Prefixes of the tags that it may sign; the empty one admits all.
        paths: Vec<String> = core.paths,
        /// Canonical IDs of the keys that may sign for it.
        key_ids: Vec<String> = core.key_ids,
        /// How many of them must.
        threshold: u32 = core.threshold,
    }
}

value! {
    /// A published file and when it expires.
    ///
    /// >>> import datetime
    /// >>> found = client.expiring("registry.example/team/app", datetime.timedelta(days=2000))
    /// >>> sorted((expiry.role, expiry.version) for expiry in found if expiry.can_sign)
    /// [('targets', 2), ('targets/alice', 2), ('targets/bob', 1), ('targets/releases', 2)]
    Expiry from core: tagtrust::RoleExpiry {
        /// `root`, `targets`, a delegation or `snapshot`.
        role: String = core.role,
        /// When it expires, in UTC.
        expires: Moment = core.expires.into(),
        /// Version of the file.
        version: i64 = core.version,
        /// Whether a key for it is at hand.
        can_sign: bool = core.can_sign,
    }
}
