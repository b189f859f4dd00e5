//! `tagtrust.TrustedSet`.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::SystemTime;

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes, PyMapping, PyMemoryView, PyString};

use crate::answers::Image;
use crate::call::{Call, detached};
use crate::clock::Clock;
use crate::logging::log_to_python;
use crate::settings::{Pinning, Policy};

/// The trust data of one repository, from files that the caller hands over: verification
/// without a trust directory and without a request.
///
/// >>> import urllib.request
/// >>> def fetch(role):
/// ...     with urllib.request.urlopen(f"{server}/v2/{repository}/_trust/tuf/{role}.json") as answer:
/// ...         return answer.read()
/// >>> repository = "registry.example/team/app"
/// >>> trusted = tagtrust.TrustedSet(repository, fetch("root"))
/// >>> trusted.add_timestamp(fetch("timestamp"))
/// >>> trusted.add_snapshot(fetch("snapshot"))
/// >>> while trusted.next_role is not None:
/// ...     trusted.add_role(fetch(trusted.next_role))
/// >>> trusted.verify("1.2").pinned_reference
/// 'registry.example/team/app@sha256:...'
///
/// What was seen before is the caller's to know. Of that, only `known_roots` count here:
/// an older timestamp that has not expired is accepted, and with it everything that was
/// current then. A `Client` remembers, and refuses it.
///
/// repository: `registry/repository`.
/// root: the file of the root.
/// known_roots: the file of the root that was trusted before. If its keys did not sign
///     `root` too (`RootNotTrusted`), all versions between the two follow, oldest first:
///     each must be signed by its own keys and those of the one before, and all but
///     `root` may have expired. Without any the pins alone decide.
/// pinning: which roots may be trusted; default trust on first use.
/// policy: which signatures count; default Docker's rule.
/// clock: called without arguments for the time, as seconds since 1970 or an aware
///     `datetime`; default the system's clock.
///
/// Raises a `TrustError` if the root is not trusted.
#[pyclass(frozen, module = "tagtrust")]
pub(crate) struct TrustedSet {
    policy: tagtrust::Policy,
    clock: Option<Clock>,
    /// Not waited for by anybody who holds the interpreter.
    core: RwLock<tagtrust::TrustedSet>,
    gun: String,
    /// What comes next. Apart from the rest, because what is logged while a file
    /// is added can lead here.
    next: Mutex<Option<String>>,
}

#[pymethods]
impl TrustedSet {
    #[new]
    #[pyo3(
        signature = (repository, root, *, known_roots=Vec::new(), pinning=None, policy=None, clock=None),
        text_signature = "(repository, root, *, known_roots=(), pinning=None, policy=None, clock=None)"
    )]
    fn new(
        py: Python<'_>,
        repository: &str,
        root: PyBackedBytes,
        #[pyo3(from_py_with = files)] known_roots: Vec<PyBackedBytes>,
        pinning: Option<Pinning>,
        policy: Option<Policy>,
        clock: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        log_to_python(py)?;
        let clock = clock.map(Clock::new);
        let now = now(py, clock.as_ref())?;
        let open = || {
            let policy = policy.map_or_else(|| Ok(tagtrust::Policy::docker()), Policy::into_core)?;
            policy.check()?;
            let pinning =
                pinning.map_or_else(|| Ok(tagtrust::Pinning::trust_on_first_use()), Pinning::into_core)?;
            let known: Vec<_> = known_roots.iter().map(|file| file.to_vec().into()).collect();
            let mut core = tagtrust::TrustedSet::open(repository, &known, root.to_vec(), &pinning, now)?;
            core.skip_unlisted();
            Ok((policy, core))
        };
        let (policy, core) = detached(py, open)?;
        let (gun, next) = (core.gun().to_owned(), core.next_role().map(str::to_owned));
        Ok(Self { policy, clock, core: RwLock::new(core), gun, next: Mutex::new(next) })
    }

    /// Adds the timestamp, which comes first.
    ///
    /// >>> trusted.next_role
    /// 'timestamp'
    /// >>> trusted.add_timestamp(files["timestamp"])
    ///
    /// Raises a `TrustError` if it is refused; the set stays as it was.
    fn add_timestamp(&self, py: Python<'_>, file: PyBackedBytes) -> PyResult<()> {
        self.add(py, |core, now| core.add_timestamp(file.to_vec(), None, now))
    }

    /// Adds the snapshot, which comes second.
    ///
    /// >>> trusted.add_timestamp(files["timestamp"])
    /// >>> trusted.add_snapshot(files["snapshot"])
    ///
    /// Raises a `TrustError` if it is refused; the set stays as it was. If it names
    /// another root, begin anew with that.
    fn add_snapshot(&self, py: Python<'_>, file: PyBackedBytes) -> PyResult<()> {
        self.add(py, |core, now| core.add_snapshot(file.to_vec(), None, now))
    }

    /// The role whose file comes next: `timestamp`, `snapshot`, `targets`, then delegations
    /// such as `targets/releases`. `None` if all files are there.
    #[getter]
    fn next_role(&self) -> Option<String> {
        self.next().clone()
    }

    /// Adds the file of the role that `next_role` names. A delegation that has expired or is
    /// short of signatures is no error: it does not count.
    ///
    /// >>> trusted.add_timestamp(files["timestamp"])
    /// >>> trusted.add_snapshot(files["snapshot"])
    /// >>> trusted.next_role
    /// 'targets'
    /// >>> trusted.add_role(files["targets"])
    /// >>> trusted.next_role
    /// 'targets/alice'
    ///
    /// Raises a `TrustError` if it is refused; the set stays as it was.
    fn add_role(&self, py: Python<'_>, file: PyBackedBytes) -> PyResult<()> {
        self.add(py, |core, now| core.add_role(file.to_vec(), None, now))
    }

    /// Adds the files of the roles that `next_role` names, one after the other, for as long
    /// as they are there. Files that it does not name are passed over.
    ///
    /// >>> roles = ("timestamp", "snapshot", "targets", "targets/alice")
    /// >>> trusted.add_all({role: files[role] for role in roles})
    /// >>> trusted.next_role
    /// 'targets/releases'
    ///
    /// files: each file by its role, such as `targets/alice`.
    ///
    /// Other threads run meanwhile, and the clock is asked once.
    ///
    /// Raises a `TrustError` if one is refused: those before it stay, and it comes next.
    fn add_all(&self, py: Python<'_>, files: &Bound<'_, PyMapping>) -> PyResult<()> {
        let files: HashMap<String, PyBackedBytes> =
            files.items()?.iter().map(|item| item.extract()).collect::<PyResult<_>>()?;
        self.add(py, |core, now| core.add_all(|role| files.get(role).map(|file| file.to_vec()), now))
    }

    /// The digest that the publisher signed for a tag, or for a whole reference to an image
    /// in this repository. What has none of `/`, `:` and `@` is a tag.
    ///
    /// >>> trusted.verify("1.2")
    /// Traceback (most recent call last):
    /// tagtrust.InvalidInput: ...timestamp is missing...
    ///
    /// Raises a `TrustError` if the image is not to be used, also if files are missing or
    /// one has expired since it was added. The image is not `fresh`: nobody was asked.
    fn verify(&self, py: Python<'_>, tag: &str) -> PyResult<Image> {
        let now = now(py, self.clock.as_ref())?;
        let verified = self.detached(py, || {
            let core = self.core.read().unwrap_or_else(PoisonError::into_inner);
            core.verify(tag, &self.policy, now)
        });
        verified.map(Image::from)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.clock.as_ref().map(Clock::callback))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let repository = PyString::new(py, &self.gun).repr()?;
        let next = self.next_role().into_pyobject(py)?.repr()?;
        Ok(format!("TrustedSet(repository={repository}, next_role={next})"))
    }
}

impl TrustedSet {
    fn add(
        &self,
        py: Python<'_>,
        add: impl FnOnce(&mut tagtrust::TrustedSet, SystemTime) -> tagtrust::Result<()> + Send,
    ) -> PyResult<()> {
        let now = now(py, self.clock.as_ref())?;
        self.detached(py, || {
            let mut core = self.core.write().unwrap_or_else(PoisonError::into_inner);
            let added = add(&mut core, now);
            core.skip_unlisted();
            *self.next() = core.next_role().map(str::to_owned);
            added
        })
    }

    /// Lets others use the interpreter meanwhile, but not this set from a log handler:
    /// it would wait for itself.
    fn detached<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce() -> tagtrust::Result<T> + Send,
    ) -> PyResult<T> {
        Call::of(py, &raw const self.core as usize, |_| work())
    }

    fn next(&self) -> MutexGuard<'_, Option<String>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file by itself is a sequence too, of numbers: an empty one would stand for no
/// known root at all.
fn files(given: &Bound<'_, PyAny>) -> PyResult<Vec<PyBackedBytes>> {
    let is_file = given.is_instance_of::<PyBytes>()
        || given.is_instance_of::<PyByteArray>()
        || given.is_instance_of::<PyMemoryView>();
    if is_file {
        return Err(PyTypeError::new_err("a sequence of files is wanted, not one file"));
    }
    given.extract()
}

fn now(py: Python<'_>, clock: Option<&Clock>) -> PyResult<SystemTime> {
    clock.map_or_else(|| Ok(SystemTime::now()), |clock| clock.ask(py))
}
