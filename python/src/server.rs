//! `tagtrust.Server`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyMapping, PyString, PyTuple};
use tagtrust::server::{
    self as core, AccessLog, AuthConfig, KeysConfig, NotaryConfig, Passphrases, ServerConfig, Tls,
};
use tagtrust::{Error, Result};

use crate::call::detached;
use crate::clock::duration;
use crate::errors::raised;
use crate::logging::log_to_python;
use crate::passphrase::secret;

/// A trust server in this process: what `notary-server` is, and drop-in for it.
///
/// >>> import tempfile, tagtrust
/// >>> with tagtrust.Server() as server, tempfile.TemporaryDirectory() as trust_dir:
/// ...     settings = server.client_options()
/// ...     client = tagtrust.Client(**settings, trust_dir=trust_dir, passphrase=lambda *_: "correct horse")
/// ...     publication = client.sign("registry.example/team/tool:1.0", "sha256:" + "0" * 64, 1570)
/// ...     client.verify("registry.example/team/tool:1.0").pinned_reference
/// 'registry.example/team/tool@sha256:000...'
///
/// It runs in threads of its own from `start` (or the `with`) to `stop`, and is stopped
/// too when it is collected or the process ends. Any number can run at once. A process
/// made by `os.fork` has none of its parent's servers.
///
/// storage: `"memory"`, gone when it stops; `"sqlite:FILE"`, made if it is not there; or
///     `"postgres://USER:PASSWORD@HOST/DATABASE"`, which any number of servers share.
/// listen: `HOST:PORT`; with port 0 a free one is taken, and `url` has it.
/// tls: `None` for plain HTTP, which clients take on loopback only; `"self-signed"` for a
///     certificate of its own, new with each start; or the PEM files `(certificate, key)`
///     or `(certificate, key, client_ca)`. With `client_ca` clients need a certificate.
/// auth: `None`, everyone may do everything; a `TokenAuth`, or a `PasswordFile`.
/// gun_prefixes: prefixes of the repositories that are served, each ending in `/`;
///     default all.
/// read_only: store nothing, only serve.
/// keep_versions: how many versions of each role to keep besides those in use; default all.
/// passphrase: protects the server's own keys at rest. Several while it is replaced: a
///     mapping from a name for each, of which the first protects new keys; a single one has
///     the name `default`. Default: the server makes one, in memory, or for SQLite in
///     `FILE.passphrase`. PostgreSQL needs one.
/// snapshot_lifetime, timestamp_lifetime: how long what the server signs is valid, a
///     `timedelta` or seconds; default 1095 and 14 days, as in Notary.
/// ui: whether the page `/ui/` is there.
/// access_log: a file to append to, or `True` for the logger `tagtrust.access`.
///
/// Raises `InvalidConfiguration` for a setting that cannot be used; so does `start`.
#[pyclass(frozen, weakref, module = "tagtrust")]
pub(crate) struct Server {
    config: ServerConfig,
    slot: Arc<Slot>,
    /// Whether Python stops it at the end.
    watched: OnceLock<()>,
}

/// Where a server is while it runs.
#[derive(Default)]
struct Slot(Mutex<Option<Running>>);

/// Stops when it is dropped.
struct Running {
    core: Option<core::Server>,
    process: u32,
}

/// Seconds, or a `timedelta`.
#[derive(FromPyObject)]
enum Lifetime {
    Delta(Duration),
    Seconds(f64),
}

#[derive(FromPyObject)]
enum TlsSetting {
    Word(String),
    Files(PathBuf, PathBuf),
    WithClients(PathBuf, PathBuf, Option<PathBuf>),
}

#[derive(FromPyObject)]
enum Auth {
    Token { realm: String, service: String, issuer: String, root_certificates: PathBuf },
    Passwords { path: PathBuf, realm: String, anonymous_pull: bool },
}

#[derive(FromPyObject)]
enum AccessLogSetting {
    Logger(bool),
    File(PathBuf),
}

#[pymethods]
impl Server {
    #[new]
    #[pyo3(signature = (
        *, storage="memory", listen="127.0.0.1:0", tls=None, auth=None, gun_prefixes=Vec::new(), read_only=false,
        keep_versions=None, passphrase=None, snapshot_lifetime=None, timestamp_lifetime=None, ui=true,
        access_log=None,
    ), text_signature = "(*, storage='memory', listen='127.0.0.1:0', tls=None, auth=None, gun_prefixes=(), \
        read_only=False, keep_versions=None, passphrase=None, snapshot_lifetime=None, timestamp_lifetime=None, \
        ui=True, access_log=None)")]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        storage: &str,
        listen: &str,
        tls: Option<TlsSetting>,
        auth: Option<Auth>,
        gun_prefixes: Vec<String>,
        read_only: bool,
        keep_versions: Option<usize>,
        passphrase: Option<&Bound<'_, PyAny>>,
        snapshot_lifetime: Option<Lifetime>,
        timestamp_lifetime: Option<Lifetime>,
        ui: bool,
        access_log: Option<AccessLogSetting>,
    ) -> PyResult<Self> {
        log_to_python(py)?;
        let passphrases = passphrase.map(|value| passphrases(py, value)).transpose()?;
        let configure = || {
            let mut config = ServerConfig::default();
            config.storage = storage.parse()?;
            config.listen = ServerConfig::address(listen)?;
            config.tls = tls.map_or(Ok(Tls::Off), TlsSetting::into_core)?;
            config.auth = auth.map_or(AuthConfig::Off, Auth::into_core);
            config.gun_prefixes = gun_prefixes;
            config.read_only = read_only;
            config.keep_versions = keep_versions;
            if let Some(passphrases) = passphrases {
                config.keys = KeysConfig::Local(passphrases);
            }
            if let Some(lifetime) = snapshot_lifetime {
                config.snapshot_lifetime = lifetime.into_core("snapshot_lifetime")?;
            }
            if let Some(lifetime) = timestamp_lifetime {
                config.timestamp_lifetime = lifetime.into_core("timestamp_lifetime")?;
            }
            config.ui = ui;
            config.access_log = access_log.map_or(AccessLog::Off, AccessLogSetting::into_core);
            Ok(config)
        };
        detached(py, configure).map(Self::of)
    }

    /// A server as a configuration file of `notary-server` says, with its environment
    /// variables (`NOTARY_SERVER_…`).
    ///
    /// Raises `InvalidConfiguration`.
    #[staticmethod]
    fn from_config(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        log_to_python(py)?;
        let read = || Ok(NotaryConfig::read(&path)?.server);
        detached(py, read).map(Self::of)
    }

    /// Starts it, and returns it once it answers. It can be started again after `stop`.
    ///
    /// Raises `InvalidConfiguration`, such as for an address that is taken, or `StoreError`.
    fn start(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        let (py, server) = (slf.py(), slf.get());
        let started = detached(py, || server.slot.start(&server.config))?;
        if !started {
            return Err(PyRuntimeError::new_err("the server is running already"));
        }
        if server.watched.set(()).is_ok() {
            stop_in_the_end(&slf)?;
        }
        Ok(slf)
    }

    /// Lets requests that have begun end, for a few seconds at most, and stops. Does
    /// nothing if it is not running.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        detached(py, || {
            self.slot.stop();
            Ok(())
        })
    }

    /// Reads TLS files and users again, and opens the access log anew, as the server does
    /// for SIGHUP.
    ///
    /// Raises `InvalidConfiguration` if a file cannot be used; what was read before still holds.
    fn reload(&self, py: Python<'_>) -> PyResult<()> {
        self.running(py, core::Server::reload)?.map_err(|error| raised(py, &error))
    }

    /// Where it answers, such as `http://127.0.0.1:34567`.
    #[getter]
    fn url(&self, py: Python<'_>) -> PyResult<String> {
        self.running(py, |server| server.url().to_owned())
    }

    /// Where it listens, such as `127.0.0.1:34567`.
    #[getter]
    fn address(&self, py: Python<'_>) -> PyResult<String> {
        self.running(py, |server| server.address().to_string())
    }

    /// The certificate that it made for itself (`tls="self-signed"`), PEM; else `None`.
    #[getter]
    fn certificate(&self, py: Python<'_>) -> PyResult<Option<String>> {
        self.running(py, |server| server.certificate_pem().map(str::to_owned))
    }

    /// What a `Client` needs to use it: `Client(**server.client_options())`.
    ///
    /// ca_file: where to write the certificate that it made for itself, if it made one.
    #[pyo3(signature = (ca_file=None))]
    fn client_options<'py>(&self, py: Python<'py>, ca_file: Option<PathBuf>) -> PyResult<Bound<'py, PyDict>> {
        let options = PyDict::new(py);
        options.set_item("server", self.url(py)?)?;
        if let Some(certificate) = self.certificate(py)? {
            let path = ca_file.ok_or_else(|| {
                PyTypeError::new_err(
                    "its clients need its certificate: say where to, client_options(ca_file)",
                )
            })?;
            // Python's own way, so that the error says which file it is.
            let path = path.into_pyobject(py)?;
            path.call_method1("write_text", (certificate,))?;
            options.set_item("ca_file", path)?;
        }
        Ok(options)
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        Self::start(slf)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.stop(py)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        self.url(py).map_or_else(|_| "Server(not running)".into(), |url| format!("Server(url='{url}')"))
    }
}

impl Server {
    fn of(config: ServerConfig) -> Self {
        Self { config, slot: Arc::default(), watched: OnceLock::new() }
    }

    /// Asks the running server.
    fn running<T: Send>(&self, py: Python<'_>, ask: impl FnOnce(&core::Server) -> T + Send) -> PyResult<T> {
        let answer = || {
            let slot = self.slot.lock();
            slot.as_ref()
                .filter(|running| running.is_ours())
                .and_then(|running| running.core.as_ref())
                .map(ask)
        };
        detached(py, || Ok(answer()))?.ok_or_else(|| PyRuntimeError::new_err("the server is not running"))
    }
}

impl Slot {
    /// False if it is running already.
    fn start(&self, config: &ServerConfig) -> Result<bool> {
        let mut slot = self.lock();
        if slot.as_ref().is_some_and(Running::is_ours) {
            return Ok(false);
        }
        let core = Some(core::Server::start(config.clone())?);
        *slot = Some(Running { core, process: std::process::id() });
        Ok(true)
    }

    fn stop(&self) {
        // What it logs in the end can lead here again, so nobody holds the lock then.
        let running = self.lock().take();
        drop(running);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_ours() {
            // After a fork its threads are not here, and would be waited for in vain.
            std::mem::forget(self.core.take());
        }
    }
}

/// Stops it when nobody has it any more, and before the interpreter ends: then it
/// could neither log nor be waited for.
fn stop_in_the_end(server: &Bound<'_, Server>) -> PyResult<()> {
    let (py, slot, process) = (server.py(), Arc::clone(&server.get().slot), std::process::id());
    let stop = move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
        detached(arguments.py(), || {
            // In a child, somebody else may have had the lock when it was made.
            if process == std::process::id() {
                slot.stop();
            }
            Ok(())
        })
    };
    let stop = PyCFunction::new_closure(py, None, None, stop)?;
    py.import("weakref")?.call_method1("finalize", (server, stop))?;
    Ok(())
}

/// One, or several by name, of which the first is for new keys.
fn passphrases(py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Passphrases> {
    let mut by_alias = Vec::new();
    if let Ok(only) = value.cast::<PyString>() {
        by_alias.push(("default".to_owned(), secret(only)?));
    } else {
        for item in value.cast::<PyMapping>()?.items()? {
            let (name, passphrase): (String, Bound<'_, PyString>) = item.extract()?;
            by_alias.push((name.to_lowercase(), secret(&passphrase)?));
        }
    }
    let Some((default_alias, _)) = by_alias.first() else {
        return Err(raised(py, &invalid("passphrase", "there must be at least one")));
    };
    Ok(Passphrases { default_alias: default_alias.clone(), by_alias })
}

impl TlsSetting {
    fn into_core(self) -> Result<Tls> {
        match self {
            Self::Files(certificate, key) => Ok(Tls::Files { certificate, key, client_ca: None }),
            Self::WithClients(certificate, key, client_ca) => Ok(Tls::Files { certificate, key, client_ca }),
            Self::Word(word) if word == "self-signed" => Ok(Tls::SelfSigned),
            Self::Word(word) => Err(invalid(
                &format!("tls={word:?}"),
                r#"must be None, "self-signed", (certificate, key) or (certificate, key, client_ca)"#,
            )),
        }
    }
}

impl Auth {
    fn into_core(self) -> AuthConfig {
        match self {
            Self::Token { realm, service, issuer, root_certificates } => {
                AuthConfig::Token { realm, service, issuer, root_certificates }
            }
            Self::Passwords { path, realm, anonymous_pull } => {
                AuthConfig::Htpasswd { realm, path, anonymous_pull }
            }
        }
    }
}

impl AccessLogSetting {
    fn into_core(self) -> AccessLog {
        match self {
            Self::Logger(true) => AccessLog::Log,
            Self::Logger(false) => AccessLog::Off,
            Self::File(path) => AccessLog::File(path),
        }
    }
}

impl Lifetime {
    fn into_core(self, what: &str) -> Result<Duration> {
        match self {
            Self::Delta(lifetime) => Ok(lifetime),
            Self::Seconds(seconds) => duration(what, seconds),
        }
    }
}

fn invalid(what: &str, reason: &str) -> Error {
    Error::InvalidConfiguration { what: what.into(), reason: reason.into() }
}
