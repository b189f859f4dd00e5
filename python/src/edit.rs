//! `tagtrust.Edit`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyString;
use tagtrust::Init;

use crate::arguments::{Keys, key_ids, public_keys, rotation, target};
use crate::client::Client;
use crate::errors::raised;
use crate::publications::Publication;

type Step = Box<dyn for<'a> Fn(tagtrust::Edit<'a>) -> tagtrust::Edit<'a> + Send + Sync>;

/// Changes of one repository in the making: one refresh and one upload for all of
/// them, however many. `Client.edit` makes it.
///
/// Each method but the last four adds a change and returns the same object, and
/// nothing happens before one of `publish`, `dry_run`, `stage` and `sign_partial`.
/// These can be called one after the other, such as a dry run first.
///
/// >>> edit = client.edit("registry.example/team/app").sign("1.3", "sha256:" + "3" * 64, 1570).revoke("1.1")
/// >>> edit
/// Edit(repository='registry.example/team/app', changes=2)
/// >>> [file.role for file in edit.dry_run().files]
/// ['targets/alice', 'targets/bob', 'targets/releases']
/// >>> edit.publish().published
/// True
#[pyclass(frozen, module = "tagtrust")]
pub(crate) struct Edit {
    client: Py<Client>,
    repository: String,
    /// Never held while anybody waits for Python or the server.
    steps: Mutex<Vec<Step>>,
}

#[pymethods]
impl Edit {
    /// Signs a tag, as `Client.sign` does.
    #[pyo3(signature = (tag, digest=None, size=None, *, custom=None, roles=None))]
    fn sign<'py>(
        slf: Bound<'py, Self>,
        tag: String,
        digest: Option<String>,
        size: Option<u64>,
        custom: Option<&Bound<'py, PyAny>>,
        roles: Option<Vec<String>>,
    ) -> PyResult<Bound<'py, Self>> {
        let target = target(slf.py(), digest, size, custom)?;
        Ok(Self::add(slf, move |edit| match &roles {
            Some(roles) => edit.sign_in(tag.as_str(), target.clone(), roles),
            None => edit.sign(tag.as_str(), target.clone()),
        }))
    }

    /// Removes the signatures of a tag, or without one of all tags, as `Client.revoke` does.
    #[pyo3(signature = (tag=None, *, roles=None))]
    fn revoke(slf: Bound<'_, Self>, tag: Option<String>, roles: Option<Vec<String>>) -> Bound<'_, Self> {
        Self::add(slf, move |edit| match &roles {
            Some(roles) => edit.revoke_in(tag.as_deref(), roles),
            None => edit.revoke(tag.as_deref()),
        })
    }

    /// Makes the repository, as `Client.init` does.
    #[pyo3(signature = (*, root_key=None, targets_key=None, local_snapshot=false))]
    fn init(
        slf: Bound<'_, Self>,
        root_key: Option<String>,
        targets_key: Option<String>,
        local_snapshot: bool,
    ) -> Bound<'_, Self> {
        let init = init(root_key.as_deref(), targets_key.as_deref(), local_snapshot);
        Self::add(slf, move |edit| edit.init(init.clone()))
    }

    /// Adds a signer, as `Client.add_signer` does.
    fn add_signer<'py>(slf: Bound<'py, Self>, name: String, keys: Vec<Keys>) -> PyResult<Bound<'py, Self>> {
        let keys = Self::read(&slf, keys)?;
        Ok(Self::add(slf, move |edit| edit.add_signer(name.as_str(), keys.clone())))
    }

    /// Removes a signer, as `Client.remove_signer` does.
    #[pyo3(signature = (name, *, force=false))]
    fn remove_signer(slf: Bound<'_, Self>, name: String, force: bool) -> Bound<'_, Self> {
        Self::add(slf, move |edit| edit.remove_signer(name.as_str(), force))
    }

    /// Declares a delegation, as `Client.add_delegation` does.
    #[pyo3(signature = (role, keys=Vec::new(), paths=Vec::new()), text_signature = "($self, role, keys=(), paths=())")]
    fn add_delegation<'py>(
        slf: Bound<'py, Self>,
        role: String,
        keys: Vec<Keys>,
        paths: Vec<String>,
    ) -> PyResult<Bound<'py, Self>> {
        let keys = Self::read(&slf, keys)?;
        Ok(Self::add(slf, move |edit| edit.add_delegation(role.as_str(), keys.clone(), &paths)))
    }

    /// Takes keys and paths from a delegation, or ends it, as `Client.remove_delegation` does.
    #[pyo3(signature = (role, *, key_ids=None, paths=None))]
    fn remove_delegation(
        slf: Bound<'_, Self>,
        role: String,
        key_ids: Option<Vec<String>>,
        paths: Option<Vec<String>>,
    ) -> Bound<'_, Self> {
        Self::add(slf, move |edit| remove_delegation(edit, &role, key_ids.as_deref(), paths.as_deref()))
    }

    /// Takes keys (canonical IDs) from all delegations.
    fn purge_keys(slf: Bound<'_, Self>, key_ids: Vec<String>) -> Bound<'_, Self> {
        let key_ids = self::key_ids(&key_ids);
        Self::add(slf, move |edit| edit.purge_keys(key_ids.clone()))
    }

    /// Gives a base role other keys, as `Client.rotate_key` does.
    #[pyo3(signature = (role, *, server_managed=false, keys=None))]
    fn rotate_key(
        slf: Bound<'_, Self>,
        role: String,
        server_managed: bool,
        keys: Option<Vec<String>>,
    ) -> PyResult<Bound<'_, Self>> {
        let rotation = rotation(slf.py(), server_managed, keys.as_deref())?;
        Ok(Self::add(slf, move |edit| edit.rotate_key(role.as_str(), rotation.clone())))
    }

    /// Sets how many keys of a role must sign.
    fn set_threshold(slf: Bound<'_, Self>, role: String, threshold: u32) -> Bound<'_, Self> {
        Self::add(slf, move |edit| edit.set_threshold(role.as_str(), threshold))
    }

    /// Signs the file of `targets` or of a delegation anew as it is.
    fn witness(slf: Bound<'_, Self>, role: String) -> Bound<'_, Self> {
        Self::add(slf, move |edit| edit.witness(role.as_str()))
    }

    /// Signs anew whatever expires within this time and whose keys are at hand.
    fn renew(slf: Bound<'_, Self>, within: Duration) -> Bound<'_, Self> {
        Self::add(slf, move |edit| edit.renew(within))
    }

    /// The changes that were staged before. Publishing ends them.
    fn staged(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        Self::add(slf, |edit| edit.staged())
    }

    /// Signs what changes and uploads it. If others publish at the same time, the
    /// changes are made anew on top of theirs.
    ///
    /// Raises a `TrustError`, after which staged changes stay. Nothing is published then,
    /// except perhaps after `Unreachable`: its message says if the upload may have been
    /// stored. `Conflict` means that somebody else changed the very same thing (a tag, or
    /// the keys of a role), that others came first 64 times, or that the registry has
    /// another digest than the reference.
    fn publish(&self, py: Python<'_>) -> PyResult<Publication> {
        self.end(py, |edit| edit.publish()).map(Publication::from)
    }

    /// What would change. Needs no private key, makes none, and writes nothing but the
    /// cache: what the server shows is remembered, as by `Client.verify`.
    fn dry_run(&self, py: Python<'_>) -> PyResult<Publication> {
        self.end(py, |edit| edit.dry_run()).map(Publication::from)
    }

    /// Stages the changes in Notary's changelist: `Client.publish` or `notary
    /// publish` publishes them later. `init`, rotations and thresholds cannot be
    /// staged.
    fn stage(&self, py: Python<'_>) -> PyResult<Publication> {
        self.end(py, |edit| edit.stage()).map(Publication::from)
    }

    /// Signs what changes with the keys at hand, for others to add their signatures:
    /// a small file for `Client.cosign` and `Client.publish_proposals`.
    fn sign_partial(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        self.end(py, |edit| edit.sign_partial().map(|proposal| proposal.to_json()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.client)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let repository = PyString::new(py, &self.repository).repr()?;
        let changes = self.steps.lock().unwrap_or_else(PoisonError::into_inner).len();
        Ok(format!("Edit(repository={repository}, changes={changes})"))
    }
}

impl Edit {
    pub(crate) fn new(client: Py<Client>, repository: String) -> Self {
        Self { client, repository, steps: Mutex::default() }
    }

    fn add<'py>(
        slf: Bound<'py, Self>,
        step: impl for<'a> Fn(tagtrust::Edit<'a>) -> tagtrust::Edit<'a> + Send + Sync + 'static,
    ) -> Bound<'py, Self> {
        slf.get().steps.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(step));
        slf
    }

    fn read(slf: &Bound<'_, Self>, keys: Vec<Keys>) -> PyResult<Vec<tagtrust::crypto::PublicKey>> {
        let py = slf.py();
        let read = slf.get().client.get().detached(py, |core| public_keys(core, &keys))?;
        read.map_err(|error| raised(py, &error))
    }

    fn end<T: Send>(
        &self,
        py: Python<'_>,
        end: impl FnOnce(tagtrust::Edit<'_>) -> tagtrust::Result<T> + Send,
    ) -> PyResult<T> {
        let ended = self.client.get().detached(py, |core| {
            let edit = core.edit(&self.repository)?;
            let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
            let edit = steps.iter().fold(edit, |edit, step| step(edit));
            drop(steps);
            end(edit)
        })?;
        ended.map_err(|error| raised(py, &error))
    }
}

pub(crate) fn init(root_key: Option<&str>, targets_key: Option<&str>, local_snapshot: bool) -> Init {
    let id = tagtrust::crypto::KeyId::from_listed;
    Init { root_key: root_key.map(id), targets_key: targets_key.map(id), local_snapshot, unpublished: false }
}

pub(crate) fn remove_delegation<'a>(
    edit: tagtrust::Edit<'a>,
    role: &str,
    key_ids: Option<&[String]>,
    paths: Option<&[String]>,
) -> tagtrust::Edit<'a> {
    match (key_ids, paths) {
        (None, None) => edit.remove_delegation(role),
        (ids, paths) => {
            let ids = self::key_ids(ids.unwrap_or_default());
            edit.remove_from_delegation(role, ids, paths.unwrap_or_default())
        }
    }
}
