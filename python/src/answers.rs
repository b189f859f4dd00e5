//! What a client answers. None of these classes can be made from Python, so
//! whoever holds one got it from a verification.

use std::time::SystemTime;

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{PyClass, PyClassInitializer};

/// An image that its publisher signed.
#[pyclass(frozen, eq, hash, module = "tagtrust")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Image(pub(crate) tagtrust::VerifiedImage);

#[pymethods]
impl Image {
    /// Digest of the manifest or index, `sha256:` and 64 hex digits.
    #[getter]
    fn digest(&self) -> &str {
        &self.0.digest
    }

    /// Size of the manifest or index in bytes.
    #[getter]
    fn size(&self) -> u64 {
        self.0.size
    }

    /// The tag. For a reference by digest alone the first of `tags`.
    #[getter]
    fn tag(&self) -> &str {
        &self.0.tag
    }

    /// The tag; for a reference by digest alone all tags that count and have it, ascending.
    #[getter]
    fn tags<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.tags)
    }

    /// Registry and repository, `docker.io/library/alpine`.
    #[getter]
    fn repository(&self) -> &str {
        &self.0.repository
    }

    /// The role that publishes the tag, `targets/releases` or `targets`.
    #[getter]
    fn role(&self) -> &str {
        &self.0.role
    }

    /// Names of those who signed this digest for this tag, ascending; empty if only
    /// the repository's owner did.
    #[getter]
    fn signers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.signers)
    }

    /// Until when this answer holds: the first expiry in the chain, in UTC.
    #[getter]
    fn expires(&self) -> SystemTime {
        self.0.expires
    }

    /// False if the server could not be asked and the cached timestamp served.
    #[getter]
    fn fresh(&self) -> bool {
        self.0.fresh
    }

    /// `repository@digest`: what a runtime then pulls.
    #[getter]
    fn pinned_reference(&self) -> &str {
        &self.0.pinned_reference
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(
            slf,
            "Image",
            &["pinned_reference", "tag", "tags", "size", "role", "signers", "expires", "fresh"],
        )
    }
}

/// The signed tags, signers and keys of one repository.
#[pyclass(frozen, eq, hash, module = "tagtrust")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Inspection(pub(crate) tagtrust::Inspection);

#[pymethods]
impl Inspection {
    /// The reference as it was given.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// A `SignedTag` for each tag and digest, `v2` before `v10`.
    #[getter]
    fn signed_tags<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        tuple(py, self.0.signed_tags.iter().cloned().map(SignedTag))
    }

    /// A `Signer` for each delegation but `targets/releases`, in descending order of the names.
    #[getter]
    fn signers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        tuple(py, self.0.signers.iter().cloned().map(Signer))
    }

    /// A `Signer` named `Root` and one named `Repository`.
    #[getter]
    fn administrative_keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        tuple(py, self.0.administrative_keys.iter().cloned().map(Signer))
    }

    /// The object that `docker trust inspect` prints in its array, indented by four spaces.
    fn to_json(&self) -> String {
        self.0.to_json()
    }

    /// What `docker trust inspect --pretty` prints, with its blank lines.
    fn to_pretty(&self) -> String {
        self.0.to_pretty()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf, "Inspection", &["name", "signed_tags", "signers", "administrative_keys"])
    }
}

/// A tag and who signed it.
#[pyclass(frozen, eq, hash, module = "tagtrust")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct SignedTag(tagtrust::SignedTag);

#[pymethods]
impl SignedTag {
    /// The tag.
    #[getter]
    fn tag(&self) -> &str {
        &self.0.tag
    }

    /// Hex digits of the SHA-256, without `sha256:`, as Docker shows it.
    #[getter]
    fn digest(&self) -> &str {
        &self.0.digest
    }

    /// Names of the signers, or `Repo Admin` alone.
    #[getter]
    fn signers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.signers)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf, "SignedTag", &["tag", "digest", "signers"])
    }
}

/// A signer and the IDs of its keys.
#[pyclass(frozen, eq, hash, module = "tagtrust")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Signer(tagtrust::Signer);

#[pymethods]
impl Signer {
    /// Such as `alice`, or `Root`.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// Key IDs of 64 hex digits, in the order of the metadata.
    #[getter]
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.keys.iter().map(|key| &key.id))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf, "Signer", &["name", "keys"])
    }
}

/// The array that `docker trust inspect` prints for several images, without a final line break.
#[pyfunction]
pub(crate) fn inspections_to_json(inspections: Vec<PyRef<'_, Inspection>>) -> String {
    let inspections: Vec<tagtrust::Inspection> =
        inspections.iter().map(|inspection| inspection.0.clone()).collect();
    tagtrust::inspections_to_json(&inspections)
}

pub(crate) fn tuple<'py, T>(py: Python<'py>, values: impl Iterator<Item = T>) -> PyResult<Bound<'py, PyTuple>>
where
    T: PyClass + Into<PyClassInitializer<T>>,
{
    let objects = values.map(|value| Bound::new(py, value)).collect::<PyResult<Vec<_>>>()?;
    PyTuple::new(py, objects)
}

/// `Class(attribute=value, …)`.
pub(crate) fn repr(object: &Bound<'_, PyAny>, class: &str, attributes: &[&str]) -> PyResult<String> {
    let values = attributes.iter().map(|name| Ok(format!("{name}={}", object.getattr(*name)?.repr()?)));
    Ok(format!("{class}({})", values.collect::<PyResult<Vec<_>>>()?.join(", ")))
}
