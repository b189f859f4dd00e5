//! What signing answers: what was published, keys, delegations, and what expires.

use std::path::Path;
use std::time::SystemTime;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tagtrust::ChangeSummary;

use crate::answers::{repr, tuple};
use crate::errors::raised;

/// What was published, or what would be.
#[pyclass(frozen, eq, hash, module = "tagtrust")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Publication(pub(crate) tagtrust::Publication);

#[pymethods]
impl Publication {
    /// Registry and repository, `docker.io/library/alpine`.
    #[getter]
    fn repository(&self) -> &str {
        &self.0.repository
    }

    /// A `Change` for each, in order. Empty if everything was as it should be already.
    #[getter]
    fn changes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        tuple(py, self.0.changes.iter().cloned().map(Change))
    }

    /// A `SignedFile` for each that was signed, or would be.
    #[getter]
    fn files<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        tuple(py, self.0.files.iter().cloned().map(SignedFile))
    }

    /// What a publisher should know besides, one line each.
    #[getter]
    fn warnings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.warnings)
    }

    /// True if something was uploaded: not after a dry run, after staging, or if
    /// there was nothing to change.
    #[getter]
    fn published(&self) -> bool {
        self.0.published
    }

    /// How often it was tried: more than once if others published at the same time.
    #[getter]
    fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// A JSON object with these attributes.
    fn to_json(&self) -> String {
        self.0.to_json()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf, "Publication", &["repository", "changes", "files", "warnings", "published", "attempts"])
    }
}

/// One change of a repository, in Notary's terms and in words.
#[pyclass(frozen, eq, hash, module = "tagtrust")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Change(pub(crate) ChangeSummary);

#[pymethods]
impl Change {
    /// `create`, `update` or `delete`.
    #[getter]
    fn action(&self) -> &str {
        self.0.action
    }

    /// `target`, `delegation`, `witness`, `role` or `threshold`.
    #[getter]
    fn r#type(&self) -> &str {
        self.0.kind
    }

    /// The role that changes, such as `targets/releases`.
    #[getter]
    fn role(&self) -> &str {
        &self.0.role
    }

    /// The tag, where it is about one.
    #[getter]
    fn path(&self) -> &str {
        &self.0.path
    }

    /// In words.
    #[getter]
    fn description(&self) -> &str {
        &self.0.description
    }

    fn __str__(&self) -> &str {
        &self.0.description
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf, "Change", &["action", "type", "role", "path", "description"])
    }
}

/// A metadata file that was signed, or would be.
#[pyclass(frozen, eq, hash, module = "tagtrust")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct SignedFile(tagtrust::signing::SignedFile);

#[pymethods]
impl SignedFile {
    /// `root`, `targets`, a delegation or `snapshot`.
    #[getter]
    fn role(&self) -> &str {
        &self.0.role
    }

    /// Version of the file.
    #[getter]
    fn version(&self) -> i64 {
        self.0.version
    }

    /// When it expires, in UTC.
    #[getter]
    fn expires(&self) -> SystemTime {
        self.0.expires
    }

    /// IDs, as the metadata lists them, of the keys that signed or could sign.
    #[getter]
    fn key_ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.key_ids)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf, "SignedFile", &["role", "version", "expires", "key_ids"])
    }
}

/// Changes that several people have to sign, and their signatures so far: what
/// `sign_partial` and `cosign` return.
///
/// Look at it before you sign it. Raises `InvalidInput` if `part` is something else.
#[pyclass(frozen, module = "tagtrust")]
pub(crate) struct Proposal(tagtrust::signing::Proposal);

#[pymethods]
impl Proposal {
    #[new]
    fn new(py: Python<'_>, part: &[u8]) -> PyResult<Self> {
        let read = py.detach(|| tagtrust::signing::Proposal::from_json(part));
        read.map(Self).map_err(|error| raised(py, &error))
    }

    /// Registry and repository, `docker.io/library/alpine`.
    #[getter]
    fn repository(&self) -> &str {
        self.0.gun()
    }

    /// A `Change` for each, in order.
    #[getter]
    fn changes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        tuple(py, self.0.changes().iter().map(|change| Change(change.into())))
    }

    /// By role, the IDs of the keys that have signed. The signatures are checked
    /// when they are put together.
    #[getter]
    fn signed_by<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let signed_by = PyDict::new(py);
        for (role, key_ids) in self.0.signers() {
            signed_by.set_item(role, PyTuple::new(py, key_ids.into_iter().map(|id| id.as_str()))?)?;
        }
        Ok(signed_by)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf, "Proposal", &["repository", "changes", "signed_by"])
    }
}

/// A private key that can sign. It holds no secret.
#[pyclass(frozen, eq, hash, module = "tagtrust")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Key(pub(crate) tagtrust::KeyInfo);

#[pymethods]
impl Key {
    /// Canonical ID, 64 hex digits.
    #[getter]
    fn id(&self) -> &str {
        &self.0.id
    }

    /// What it is for: `root`, `targets`, or the name of a signer. Empty if nothing says so.
    #[getter]
    fn role(&self) -> &str {
        &self.0.role
    }

    /// The repository that it is for, if it is for one only.
    #[getter]
    fn gun(&self) -> Option<&str> {
        self.0.gun.as_deref()
    }

    /// Its file; `signer` for a `CallbackSigner`.
    #[getter]
    fn location(&self) -> &str {
        &self.0.location
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf, "Key", &["id", "role", "gun", "location"])
    }
}

/// A new signer's key.
#[pyclass(frozen, eq, hash, module = "tagtrust")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct GeneratedKey(pub(crate) tagtrust::GeneratedKey);

#[pymethods]
impl GeneratedKey {
    /// Canonical ID of the private key, which is in the trust directory.
    #[getter]
    fn id(&self) -> &str {
        &self.0.id
    }

    /// The file to hand to the repository's owner.
    #[getter]
    fn public_key_file(&self) -> &Path {
        &self.0.public_key_file
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf, "GeneratedKey", &["id", "public_key_file"])
    }
}

/// A delegation as the repository declares it.
#[pyclass(frozen, eq, hash, module = "tagtrust")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Delegation(pub(crate) tagtrust::Delegation);

#[pymethods]
impl Delegation {
    /// Full name, `targets/releases`.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// Prefixes of the tags that it may sign; the empty one admits all.
    #[getter]
    fn paths<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.paths)
    }

    /// Canonical IDs of the keys that may sign for it.
    #[getter]
    fn key_ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.key_ids)
    }

    /// How many of them must.
    #[getter]
    fn threshold(&self) -> u32 {
        self.0.threshold
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf, "Delegation", &["name", "paths", "key_ids", "threshold"])
    }
}

/// A published file and when it expires.
#[pyclass(frozen, eq, hash, module = "tagtrust")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Expiry(pub(crate) tagtrust::RoleExpiry);

#[pymethods]
impl Expiry {
    /// `root`, `targets`, a delegation or `snapshot`.
    #[getter]
    fn role(&self) -> &str {
        &self.0.role
    }

    /// When it expires, in UTC.
    #[getter]
    fn expires(&self) -> SystemTime {
        self.0.expires
    }

    /// Version of the file.
    #[getter]
    fn version(&self) -> i64 {
        self.0.version
    }

    /// Whether a key for it is at hand.
    #[getter]
    fn can_sign(&self) -> bool {
        self.0.can_sign
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf, "Expiry", &["role", "expires", "version", "can_sign"])
    }
}
