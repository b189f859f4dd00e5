//! `tagtrust.Client`.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyList;
use tagtrust::Error;

use crate::answers::{Image, Inspection};
use crate::clock::{Clock, duration};
use crate::errors::{exception, raised};
use crate::settings::{Pinning, Policy};

/// Verifies image tags in this process.
///
/// Share one client between threads, and keep it: it holds connections open and
/// remembers what it has verified. A process made by `os.fork` needs its own. The
/// defaults are those of Docker.
///
/// trust_dir: directory with the cached metadata; default `trust` in Docker's directory.
/// server: URL of the trust server; default `$DOCKER_CONTENT_TRUST_SERVER`, else
///     Docker's choice for the registry.
/// ca_file: PEM file with the only CAs that may vouch for the server; default those
///     of the system and of Docker's `tls` directory.
/// client_cert, client_key: PEM files that the client shows to the server.
/// username, password: default those in Docker's `config.json` and its helpers.
/// pinning: which roots may be trusted; default trust on first use, as Docker.
/// policy: which signatures count; default Docker's rule.
/// timeout: seconds that the answer about one repository may take in all.
/// offline_max_age: seconds during which an answer of the server is taken for the
///     current one without asking again.
/// require_fresh: refuse to answer from the cache if the server cannot be asked.
/// parallelism: how many repositories `verify_many` asks for at a time, at least one.
/// docker_config: Docker's directory; default `$DOCKER_CONFIG`, else `~/.docker`.
/// clock: called without arguments for the time, as seconds since 1970 or an aware
///     `datetime`; default the system's clock.
/// danger_plain_http: allow `http://` to other machines. Whoever is on the way reads
///     the credentials and can hold back new trust data.
///
/// Raises `InvalidConfiguration` for a setting that cannot be used.
#[pyclass(frozen, module = "tagtrust")]
pub(crate) struct Client {
    core: tagtrust::Client,
    clock: Option<Clock>,
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (
        *, trust_dir=None, server=None, ca_file=None, client_cert=None, client_key=None, username=None,
        password=None, pinning=None, policy=None, timeout=60.0, offline_max_age=0.0, require_fresh=false,
        parallelism=8, docker_config=None, clock=None, danger_plain_http=false,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        trust_dir: Option<PathBuf>,
        server: Option<String>,
        ca_file: Option<PathBuf>,
        client_cert: Option<PathBuf>,
        client_key: Option<PathBuf>,
        username: Option<String>,
        password: Option<String>,
        pinning: Option<Pinning>,
        policy: Option<Policy>,
        timeout: f64,
        offline_max_age: f64,
        require_fresh: bool,
        parallelism: usize,
        docker_config: Option<PathBuf>,
        clock: Option<Py<PyAny>>,
        danger_plain_http: bool,
    ) -> PyResult<Self> {
        let clock = clock.map(Clock::new);
        let builder = || {
            let mut builder = tagtrust::Client::builder()
                .timeout(duration("timeout", timeout)?)
                .offline_max_age(duration("offline_max_age", offline_max_age)?)
                .require_fresh(require_fresh)
                .parallelism(parallelism)
                .danger_plain_http(danger_plain_http);
            if let Some(path) = trust_dir {
                builder = builder.trust_dir(path);
            }
            if let Some(path) = docker_config {
                builder = builder.docker_config(path);
            }
            if let Some(url) = server {
                builder = builder.server(url);
            }
            if let Some(path) = ca_file {
                builder = builder.ca_file(path);
            }
            if let Some((certificate, key)) = both("client_cert", client_cert, "client_key", client_key)? {
                builder = builder.client_cert(certificate, key);
            }
            if let Some((username, password)) = both("username", username, "password", password)? {
                builder = builder.credentials(username, password);
            }
            if let Some(pinning) = pinning {
                builder = builder.pinning(pinning.into_core()?);
            }
            if let Some(policy) = policy {
                builder = builder.policy(policy.into_core()?);
            }
            if let Some(clock) = clock.clone() {
                builder = builder.clock(move || clock.now());
            }
            builder.build()
        };
        let core = py.detach(builder).map_err(|error| raised(py, &error))?;
        Ok(Self { core, clock })
    }

    /// The digest that the publisher signed for `registry/repository:tag`.
    ///
    /// The reference is read as Docker reads it: `alpine` is
    /// `docker.io/library/alpine:latest`. With a digest as well both must match;
    /// with a digest alone some signed tag that counts must have it.
    ///
    /// Raises a `TrustError` if the image is not to be used, whatever the reason.
    fn verify(&self, py: Python<'_>, reference: &str) -> PyResult<Image> {
        let verified = self.detached(py, |core| core.verify(reference))?;
        verified.map(Image).map_err(|error| raised(py, &error))
    }

    /// `verify` for many references: each repository is fetched once, several at a time.
    ///
    /// Returns one result for each reference, in their order: an `Image`, or
    /// the `TrustError` that `verify` would have raised. Check which it is.
    fn verify_many<'py>(&self, py: Python<'py>, references: Vec<String>) -> PyResult<Bound<'py, PyList>> {
        let results = self.detached(py, |core| core.verify_many(&references))?;
        let values: Vec<Bound<'py, PyAny>> = results
            .into_iter()
            .map(|result| match result {
                Ok(image) => Ok(Bound::new(py, Image(image))?.into_any()),
                Err(error) => exception(py, &error),
            })
            .collect::<PyResult<_>>()?;
        PyList::new(py, values)
    }

    /// What `docker trust inspect` shows of `registry/repository`, or of one tag in it.
    ///
    /// A tag that is not signed is no error here. Raises a `TrustError` as `verify` does.
    fn inspect(&self, py: Python<'_>, reference: &str) -> PyResult<Inspection> {
        let inspected = self.detached(py, |core| core.inspect(reference))?;
        inspected.map(Inspection).map_err(|error| raised(py, &error))
    }
}

impl Client {
    /// Works without holding the interpreter; what the caller's clock raised
    /// meanwhile comes before any result.
    fn detached<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&tagtrust::Client) -> T + Send,
    ) -> PyResult<T> {
        let result = py.detach(|| work(&self.core));
        match self.clock.as_ref().and_then(Clock::failure) {
            Some(failure) => Err(failure),
            None => Ok(result),
        }
    }
}

/// Two settings of which neither means anything without the other.
fn both<T>(
    what: &str,
    value: Option<T>,
    other: &str,
    other_value: Option<T>,
) -> tagtrust::Result<Option<(T, T)>> {
    let missing = match (value, other_value) {
        (Some(value), Some(other_value)) => return Ok(Some((value, other_value))),
        (None, None) => return Ok(None),
        (Some(_), None) => other,
        (None, Some(_)) => what,
    };
    let reason = format!("{what} and {other} must be given together");
    Err(Error::InvalidConfiguration { what: missing.into(), reason })
}
