//! What callers say about signing, read from Python's values.

use std::path::PathBuf;
use std::time::SystemTime;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyDict, PyString};
use tagtrust::crypto::{KeyId, PublicKey, public_keys_from_pem};
use tagtrust::{Error, Result, Rotation, Target};

use crate::errors::raised;

/// Public keys: a PEM file, or its content.
#[derive(FromPyObject)]
pub(crate) enum Keys {
    Pem(PyBackedBytes),
    File(PathBuf),
}

/// A reference to sign; without digest and size the registry is asked for them.
#[derive(FromPyObject)]
pub(crate) enum Item {
    Image(String, String, u64),
    Reference(String),
}

/// How changes end.
#[derive(Clone, Copy)]
pub(crate) enum Ending {
    Publish,
    DryRun,
    Stage,
}

impl Ending {
    pub(crate) fn new(py: Python<'_>, dry_run: bool, stage: bool) -> PyResult<Self> {
        match (dry_run, stage) {
            (false, false) => Ok(Self::Publish),
            (true, false) => Ok(Self::DryRun),
            (false, true) => Ok(Self::Stage),
            (true, true) => Err(invalid(py, "dry_run and stage", "exclude each other")),
        }
    }

    pub(crate) fn apply(self, edit: tagtrust::Edit<'_>) -> Result<tagtrust::Publication> {
        match self {
            Self::Publish => edit.publish(),
            Self::DryRun => edit.dry_run(),
            Self::Stage => edit.stage(),
        }
    }
}

impl Item {
    pub(crate) fn into_core(self) -> (String, Option<Target>) {
        match self {
            Self::Image(reference, digest, size) => (reference, Some(Target::new(digest, size))),
            Self::Reference(reference) => (reference, None),
        }
    }
}

/// All public keys of these files and texts.
pub(crate) fn public_keys(client: &tagtrust::Client, keys: &[Keys]) -> Result<Vec<PublicKey>> {
    let read = keys.iter().map(|keys| match keys {
        Keys::Pem(pem) => public_keys_from_pem(pem, SystemTime::now()),
        Keys::File(path) => client.read_public_keys(path),
    });
    Ok(read.collect::<Result<Vec<_>>>()?.concat())
}

pub(crate) fn key_ids(ids: &[String]) -> Vec<KeyId> {
    ids.iter().map(|id| KeyId::from_listed(id)).collect()
}

/// What is signed for a tag.
pub(crate) fn target(
    py: Python<'_>,
    digest: Option<String>,
    size: Option<u64>,
    custom: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<Target>> {
    match (digest, size) {
        (Some(digest), Some(size)) => {
            let custom = custom.map(json).transpose()?;
            Ok(Some(Target { custom, ..Target::new(digest, size) }))
        }
        (None, None) if custom.is_none() => Ok(None),
        (None, None) => Err(invalid(py, "custom", "needs digest and size with it")),
        _ => Err(invalid(py, "digest and size", "must be given together")),
    }
}

pub(crate) fn rotation(py: Python<'_>, server_managed: bool, keys: Option<&[String]>) -> PyResult<Rotation> {
    match (server_managed, keys) {
        (false, None) => Ok(Rotation::Generate),
        (true, None) => Ok(Rotation::ServerManaged),
        (false, Some(ids)) => Ok(Rotation::Keys(key_ids(ids))),
        (true, Some(_)) => Err(invalid(py, "server_managed and keys", "exclude each other")),
    }
}

pub(crate) fn invalid(py: Python<'_>, what: &str, reason: &str) -> PyErr {
    raised(py, &Error::InvalidInput { what: what.into(), reason: reason.into() })
}

/// A text is JSON already.
fn json(value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = value.cast::<PyString>() {
        return text.extract();
    }
    let py = value.py();
    let options = PyDict::new(py);
    options.set_item("ensure_ascii", false)?;
    options.set_item("allow_nan", false)?;
    py.import("json")?.call_method("dumps", (value,), Some(&options))?.extract()
}
