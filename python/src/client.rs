//! `tagtrust.Client`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList, PyString};
use tagtrust::signing::Proposal;
use tagtrust::{ChangeSummary, Edit as CoreEdit, Error, KeyKind, KeySelection};

use crate::answers::{Image, Inspection};
use crate::arguments::{Ending, Item, Keys, invalid, key_ids, public_keys, rotation, target};
use crate::call::{Call, detached};
use crate::clock::{Clock, duration};
use crate::edit::{self, Edit};
use crate::errors::{exception, raised};
use crate::logging::log_to_python;
use crate::passphrase::{ask, secret};
use crate::publications::{Change, Delegation, Expiry, GeneratedKey, Key, Publication};
use crate::settings::{Pinning, Policy, mapping};
use crate::signer::CallbackSigner;
use crate::values::all;

/// Verifies image tags in this process, and signs them.
///
/// Share one client between threads, and keep it: it holds connections open and
/// remembers what it has verified. A process made by `os.fork` needs its own. The
/// defaults are those of Docker.
///
/// >>> client = tagtrust.Client(require_fresh=True)
/// >>> client.verify("registry.example/team/app:1.2").pinned_reference
/// 'registry.example/team/app@sha256:...'
///
/// No call holds the interpreter while it works or waits: other threads go on, and in
/// `asyncio` it is `await asyncio.to_thread(client.verify, reference)`.
///
/// trust_dir: directory with the cached metadata, private keys and staged changes;
///     default `trust` in Docker's directory.
/// server: URL of the trust server; default `$DOCKER_CONTENT_TRUST_SERVER`, else
///     Docker's choice for the registry.
/// ca_file: PEM file with the only CAs that may vouch for the server; default those
///     of the system and of Docker's `tls` directory.
/// client_cert, client_key: PEM files that the client shows to the server.
/// username, password: default those in Docker's `config.json` and its helpers.
/// pinning: which roots may be trusted; default trust on first use, as Docker.
/// policy: which signatures count; default Docker's rule.
/// timeout: seconds for the requests of one verification or inspection of one repository;
///     when publishing, each exchange with the server has it anew (several tries, at most
///     64, if others publish). Waiting for another process's lock on the trust directory,
///     and for callbacks, is not counted.
/// offline_max_age: seconds during which an answer of the server is taken for the
///     current one without asking again. Comes before `require_fresh`; its answers count as fresh.
/// require_fresh: refuse to answer from the cache if the server cannot be asked.
/// parallelism: how many repositories `verify_many` asks for at a time, at least one.
/// docker_config: Docker's directory; default `$DOCKER_CONFIG`, else `~/.docker`.
/// clock: called without arguments for the time, as seconds since 1970 or an aware
///     `datetime`; default the system's clock.
/// passphrase: called as `passphrase(key_id, role, create, attempt)` for the passphrase
///     of a private key. `create` is true for a new one, and `attempt` counts from 0
///     while answers are too short or wrong. `None` means that there is none. Default:
///     `$DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE` for the role `root`,
///     `$DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE` for all others.
/// signers: a `CallbackSigner` for each key that signs elsewhere, such as in an HSM.
/// expiry: how long new files last, a `timedelta` by role: `root`, `targets`, `snapshot`,
///     a delegation, or `delegations` for all others of these. Default: 3650 days for
///     the root, 1095 for others, as in Notary.
/// local_snapshot: make the snapshot keys of new repositories here, as `notary` does,
///     and not on the server, as Docker does.
/// danger_plain_http: allow `http://` to other machines. Whoever is on the way reads
///     the credentials and can hold back new trust data.
///
/// Callbacks may be called from several threads, without any lock of Python held, and
/// must neither use the client nor wait for a thread that does. What they raise ends
/// the operation and reaches whoever called that.
///
/// Raises `InvalidConfiguration` for a setting that cannot be used.
#[pyclass(frozen, module = "tagtrust")]
pub(crate) struct Client {
    core: tagtrust::Client,
    // The core has these too. Here they are for Python's garbage collector.
    clock: Option<Clock>,
    passphrase: Option<Arc<Py<PyAny>>>,
    signers: Vec<Py<CallbackSigner>>,
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (
        *, trust_dir=None, server=None, ca_file=None, client_cert=None, client_key=None, username=None,
        password=None, pinning=None, policy=None, timeout=60.0, offline_max_age=0.0, require_fresh=false,
        parallelism=8, docker_config=None, clock=None, passphrase=None, signers=Vec::new(), expiry=None,
        local_snapshot=false, danger_plain_http=false,
    ), text_signature = "(*, trust_dir=None, server=None, ca_file=None, client_cert=None, client_key=None, \
        username=None, password=None, pinning=None, policy=None, timeout=60.0, offline_max_age=0.0, \
        require_fresh=False, parallelism=8, docker_config=None, clock=None, passphrase=None, signers=(), \
        expiry=None, local_snapshot=False, danger_plain_http=False)")]
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
        passphrase: Option<Py<PyAny>>,
        signers: Vec<Py<CallbackSigner>>,
        expiry: Option<&Bound<'_, PyAny>>,
        local_snapshot: bool,
        danger_plain_http: bool,
    ) -> PyResult<Self> {
        log_to_python(py)?;
        let clock = clock.map(Clock::new);
        if passphrase.as_ref().is_some_and(|passphrase| !passphrase.bind(py).is_callable()) {
            return Err(PyTypeError::new_err("passphrase must be callable"));
        }
        let passphrase = passphrase.map(Arc::new);
        let expiry = expiry.map(mapping::<Duration>).transpose()?.unwrap_or_default();
        let builder = || {
            let mut builder = tagtrust::Client::builder()
                .timeout(duration("timeout", timeout)?)
                .offline_max_age(duration("offline_max_age", offline_max_age)?)
                .require_fresh(require_fresh)
                .parallelism(parallelism)
                .local_snapshot(local_snapshot)
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
            if let Some(passphrase) = passphrase.clone() {
                builder = builder.passphrase(move |request| ask(&passphrase, request));
            }
            builder = signers.iter().fold(builder, |builder, signer| builder.signer(signer.get().core()));
            builder = expiry.into_iter().fold(builder, |builder, (role, time)| builder.expiry(role, time));
            builder.build()
        };
        let core = detached(py, builder)?;
        Ok(Self { core, clock, passphrase, signers })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.clock.as_ref().map(Clock::callback))?;
        visit.call(self.passphrase.as_deref())?;
        self.signers.iter().try_for_each(|signer| visit.call(signer))
    }

    /// The digest that the publisher signed for `registry/repository:tag`.
    ///
    /// The reference is read as Docker reads it: `alpine` is
    /// `docker.io/library/alpine:latest`. With a digest as well both must match;
    /// with a digest alone some signed tag that counts must have it.
    ///
    /// >>> client.verify("registry.example/team/app:1.2")
    /// Image(digest='sha256:2222...', size=1570, tag='1.2', ...)
    ///
    /// Raises a `TrustError` if the image is not to be used, whatever the reason.
    fn verify(&self, py: Python<'_>, reference: &str) -> PyResult<Image> {
        let verified = self.detached(py, |core| core.verify(reference))?;
        verified.map(Image::from).map_err(|error| raised(py, &error))
    }

    /// `verify` for many references: each repository is fetched once, several at a time.
    ///
    /// Returns one result for each reference, in their order: an `Image`, or
    /// the `TrustError` that `verify` would have raised. Check which it is.
    ///
    /// >>> references = ["registry.example/team/app:1.2", "registry.example/team/app:unsigned"]
    /// >>> for result in client.verify_many(references):
    /// ...     if isinstance(result, tagtrust.Image):
    /// ...         print(result.pinned_reference)
    /// ...     else:
    /// ...         print(result.message)
    /// registry.example/team/app@sha256:...
    /// no valid trust data for unsigned in registry.example/team/app: ...
    fn verify_many<'py>(&self, py: Python<'py>, references: Vec<String>) -> PyResult<Bound<'py, PyList>> {
        let results = self.detached(py, |core| core.verify_many(&references))?;
        if let Some(failure) = self.clock.as_ref().and_then(Clock::stray_failure) {
            return Err(failure);
        }
        let values: Vec<Bound<'py, PyAny>> = results
            .into_iter()
            .map(|result| match result {
                Ok(image) => Ok(Bound::new(py, Image::from(image))?.into_any()),
                Err(error) => exception(py, &error),
            })
            .collect::<PyResult<_>>()?;
        PyList::new(py, values)
    }

    /// What `docker trust inspect` shows of `registry/repository`, or of one tag in it.
    ///
    /// A tag that is not signed is no error here. Raises a `TrustError` as `verify` does.
    ///
    /// >>> print(client.inspect("registry.example/team/app").to_tree(100))
    /// registry.example/team/app
    /// ...
    fn inspect(&self, py: Python<'_>, reference: &str) -> PyResult<Inspection> {
        let inspected = self.detached(py, |core| core.inspect(reference))?;
        inspected.map(Inspection::from).map_err(|error| raised(py, &error))
    }

    /// Signs `registry/repository:tag`, as `docker trust sign` does: in every first-level
    /// delegation that admits the tag and that there is a key for, or in `targets` if the
    /// repository has no delegation. A repository that does not exist is made.
    ///
    /// digest, size: of the manifest or index, `sha256:` and 64 hex digits, and bytes.
    ///     Without them the registry is asked. With a digest in the reference it must be that.
    /// custom: more to sign with it, a value for JSON or, as a `str`, JSON itself.
    /// roles: sign in these roles and no others.
    /// dry_run: return what would change; needs no key, and changes nothing but the cache:
    ///     what the server shows is remembered, as by `verify`.
    /// stage: write the change to Notary's changelist, for `publish` or `notary publish`.
    ///
    /// >>> client.sign("registry.example/team/app:1.3", "sha256:" + "3" * 64, 1570).published
    /// True
    ///
    /// Raises a `TrustError` if it was not signed, such as `KeyNotFound`. After an error
    /// nothing is published, except perhaps after `Unreachable`: its message says if the
    /// upload may have been stored. Whatever others publish at the same time is kept;
    /// `Conflict` means that it was the same tag, that others came first 64 times, or that
    /// the registry has another digest than the reference.
    #[pyo3(signature = (
        reference, digest=None, size=None, *, custom=None, roles=None, dry_run=false, stage=false
    ))]
    #[allow(clippy::too_many_arguments)]
    fn sign(
        &self,
        py: Python<'_>,
        reference: &str,
        digest: Option<String>,
        size: Option<u64>,
        custom: Option<&Bound<'_, PyAny>>,
        roles: Option<Vec<String>>,
        dry_run: bool,
        stage: bool,
    ) -> PyResult<Publication> {
        let target = target(py, digest, size, custom)?;
        self.end(py, dry_run, stage, |core| core.edit_to_sign(reference, target, roles))
    }

    /// `sign` for many references: one refresh and one upload for each repository,
    /// several repositories at a time.
    ///
    /// references: each a reference, or a tuple of reference, digest and size.
    ///
    /// Returns one result for each repository, in the order of their first references:
    /// a `Publication`, or the `TrustError` that `sign` would have raised. Check which it
    /// is. Raises `InvalidReference` before anything is signed; what a callback raises ends
    /// it, and repositories that were published before stay published.
    #[pyo3(signature = (references, *, dry_run=false, stage=false))]
    fn sign_many<'py>(
        &self,
        py: Python<'py>,
        references: Vec<Item>,
        dry_run: bool,
        stage: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let ending = Ending::new(py, dry_run, stage)?;
        let references: Vec<_> = references.into_iter().map(Item::into_core).collect();
        let ended = self.called(py, |core, call| {
            let edits = core.edits_for(&references)?;
            Ok(core.end_many(&edits, |edit| call.run(|| ending.apply(edit))))
        })?;
        let results = ended.map_err(|error| raised(py, &error))?;
        let values = results.into_iter().map(|result| match result {
            Ok(publication) => Ok(Bound::new(py, Publication::from(publication))?.into_any()),
            Err(error) => exception(py, &error),
        });
        PyList::new(py, values.collect::<PyResult<Vec<_>>>()?)
    }

    /// Removes the signatures of `registry/repository:tag`, or without a tag of all tags:
    /// from every first-level delegation and from `targets`, where there is a key for it.
    /// If the tag stays signed elsewhere, the publication has a warning.
    ///
    /// roles: remove them from these roles and no others.
    ///
    /// Raises `TagNotSigned` if there is none (any more, after an `Unreachable`); otherwise
    /// as `sign`.
    #[pyo3(signature = (reference, *, roles=None, dry_run=false, stage=false))]
    fn revoke(
        &self,
        py: Python<'_>,
        reference: &str,
        roles: Option<Vec<String>>,
        dry_run: bool,
        stage: bool,
    ) -> PyResult<Publication> {
        self.end(py, dry_run, stage, |core| core.edit_to_revoke(reference, roles))
    }

    /// Begins changes of a repository that are published together.
    ///
    /// >>> client.edit("registry.example/team/app").revoke("1.1").publish().published
    /// True
    fn edit(slf: Bound<'_, Self>, repository: String) -> PyResult<Edit> {
        slf.get().try_detached(slf.py(), |core| core.edit(&repository).map(drop))?;
        Ok(Edit::new(slf.unbind(), repository))
    }

    /// Makes a repository: the root key is made, or the one on disk used again, and the
    /// first root and targets are published.
    ///
    /// root_key: canonical ID of the root key.
    /// targets_key: canonical ID of the key for `targets`; default a new one.
    /// local_snapshot: make the snapshot key here, as `notary init` does.
    /// publish: if false, only write the files to the trust directory, as `notary init`
    ///     does. Publishing the first change uploads them.
    ///
    /// Raises `InvalidInput` if it exists already, as it may after an `Unreachable`.
    #[pyo3(signature = (
        repository, *, root_key=None, targets_key=None, local_snapshot=false, publish=true, dry_run=false
    ))]
    #[allow(clippy::too_many_arguments)]
    fn init(
        &self,
        py: Python<'_>,
        repository: &str,
        root_key: Option<&str>,
        targets_key: Option<&str>,
        local_snapshot: bool,
        publish: bool,
        dry_run: bool,
    ) -> PyResult<Publication> {
        let mut init = edit::init(root_key, targets_key, local_snapshot);
        init.unpublished = !publish;
        let made = self.try_detached(py, |core| match dry_run {
            true => core.edit(repository)?.init(init).dry_run(),
            false => core.init(repository, &init),
        });
        made.map(Publication::from)
    }

    /// Removes a repository's cached metadata and staged changes, and with `remote`
    /// first all that the server has of it. Keys stay.
    #[pyo3(signature = (repository, *, remote=false))]
    fn delete(&self, py: Python<'_>, repository: &str, remote: bool) -> PyResult<()> {
        self.try_detached(py, |core| core.delete(repository, remote))
    }

    /// Adds a signer, as `docker trust signer add` does: its keys may sign for
    /// `targets/<name>` and `targets/releases`. A repository that does not exist is made.
    ///
    /// keys: public keys, each a PEM file or, as bytes, its content.
    #[pyo3(signature = (name, keys, repository, *, dry_run=false, stage=false))]
    fn add_signer(
        &self,
        py: Python<'_>,
        name: &str,
        keys: Vec<Keys>,
        repository: &str,
        dry_run: bool,
        stage: bool,
    ) -> PyResult<Publication> {
        self.end(py, dry_run, stage, |core| {
            Ok(core.edit(repository)?.add_signer(name, public_keys(core, &keys)?))
        })
    }

    /// Removes a signer, as `docker trust signer remove` does.
    ///
    /// force: also if then nobody's signature is left on the tags of `targets/releases`
    ///     and there is no key to sign them anew: no tag counts until somebody signs.
    #[pyo3(signature = (name, repository, *, force=false, dry_run=false, stage=false))]
    fn remove_signer(
        &self,
        py: Python<'_>,
        name: &str,
        repository: &str,
        force: bool,
        dry_run: bool,
        stage: bool,
    ) -> PyResult<Publication> {
        self.end(py, dry_run, stage, |core| Ok(core.edit(repository)?.remove_signer(name, force)))
    }

    /// Declares a delegation, such as `targets/qa`; one that exists gets more keys and paths.
    ///
    /// keys: public keys, each a PEM file or, as bytes, its content.
    /// paths: prefixes of the tags that it may sign; the empty one admits all.
    #[pyo3(
        signature = (repository, role, keys=Vec::new(), paths=Vec::new(), *, dry_run=false, stage=false),
        text_signature = "($self, repository, role, keys=(), paths=(), *, dry_run=False, stage=False)",
    )]
    #[allow(clippy::too_many_arguments)]
    fn add_delegation(
        &self,
        py: Python<'_>,
        repository: &str,
        role: &str,
        keys: Vec<Keys>,
        paths: Vec<String>,
        dry_run: bool,
        stage: bool,
    ) -> PyResult<Publication> {
        self.end(py, dry_run, stage, |core| {
            Ok(core.edit(repository)?.add_delegation(role, public_keys(core, &keys)?, paths))
        })
    }

    /// Takes keys (canonical IDs) and paths from a delegation. With neither of them the
    /// delegation ends, and all below it.
    #[pyo3(signature = (repository, role, *, key_ids=None, paths=None, dry_run=false, stage=false))]
    #[allow(clippy::too_many_arguments)]
    fn remove_delegation(
        &self,
        py: Python<'_>,
        repository: &str,
        role: &str,
        key_ids: Option<Vec<String>>,
        paths: Option<Vec<String>>,
        dry_run: bool,
        stage: bool,
    ) -> PyResult<Publication> {
        self.end(py, dry_run, stage, |core| {
            let edit = core.edit(repository)?;
            Ok(edit::remove_delegation(edit, role, key_ids.as_deref(), paths.as_deref()))
        })
    }

    /// Takes keys (canonical IDs) from all delegations.
    #[pyo3(signature = (repository, key_ids, *, dry_run=false, stage=false))]
    fn purge_keys(
        &self,
        py: Python<'_>,
        repository: &str,
        key_ids: Vec<String>,
        dry_run: bool,
        stage: bool,
    ) -> PyResult<Publication> {
        let key_ids = self::key_ids(&key_ids);
        self.end(py, dry_run, stage, |core| Ok(core.edit(repository)?.purge_keys(key_ids)))
    }

    /// All delegations of a repository, a `Delegation` for each.
    fn delegations(&self, py: Python<'_>, repository: &str) -> PyResult<Vec<Delegation>> {
        let found = self.try_detached(py, |core| core.delegations(repository))?;
        Ok(all(found))
    }

    /// Gives `root`, `targets`, `snapshot` or `timestamp` another key: a new one on this
    /// machine, unless one of the options says otherwise.
    ///
    /// server_managed: a new one on the server, for `snapshot`; the only way for `timestamp`.
    /// keys: canonical IDs of keys that are at hand.
    #[pyo3(signature = (repository, role, *, server_managed=false, keys=None, dry_run=false))]
    fn rotate_key(
        &self,
        py: Python<'_>,
        repository: &str,
        role: &str,
        server_managed: bool,
        keys: Option<Vec<String>>,
        dry_run: bool,
    ) -> PyResult<Publication> {
        let rotation = rotation(py, server_managed, keys.as_deref())?;
        self.end(py, dry_run, false, |core| Ok(core.edit(repository)?.rotate_key(role, rotation)))
    }

    /// Sets how many keys of a role must sign.
    #[pyo3(signature = (repository, role, threshold, *, dry_run=false))]
    fn set_threshold(
        &self,
        py: Python<'_>,
        repository: &str,
        role: &str,
        threshold: u32,
        dry_run: bool,
    ) -> PyResult<Publication> {
        self.end(py, dry_run, false, |core| Ok(core.edit(repository)?.set_threshold(role, threshold)))
    }

    /// Signs the files of `targets` or of delegations anew as they are.
    #[pyo3(signature = (repository, roles, *, dry_run=false, stage=false))]
    fn witness(
        &self,
        py: Python<'_>,
        repository: &str,
        roles: Vec<String>,
        dry_run: bool,
        stage: bool,
    ) -> PyResult<Publication> {
        self.end(py, dry_run, stage, |core| {
            Ok(roles.into_iter().fold(core.edit(repository)?, CoreEdit::witness))
        })
    }

    /// Publishes what is staged, by this package or by `notary`, and a repository that
    /// was made and not published.
    #[pyo3(signature = (repository, *, dry_run=false))]
    fn publish(&self, py: Python<'_>, repository: &str, dry_run: bool) -> PyResult<Publication> {
        self.end(py, dry_run, false, |core| Ok(core.edit(repository)?.staged()))
    }

    /// The staged changes of a repository, a `Change` for each, in the order in which they apply.
    fn staged(&self, py: Python<'_>, repository: &str) -> PyResult<Vec<Change>> {
        let staged = self.try_detached(py, |core| core.staged(repository))?;
        Ok(staged.iter().map(|change| ChangeSummary::from(change).into()).collect())
    }

    /// Removes staged changes: all, or those with these numbers, from 0, in the order of `staged`.
    ///
    /// Raises `InvalidInput` for a number that there is not; then all stay.
    #[pyo3(signature = (repository, numbers=None))]
    fn unstage(&self, py: Python<'_>, repository: &str, numbers: Option<Vec<usize>>) -> PyResult<()> {
        self.try_detached(py, |core| core.unstage(repository, numbers.as_deref()))
    }

    /// The files of a repository that expire within this time, an `Expiry` for each, the
    /// first one first. Expired ones are among them.
    fn expiring(&self, py: Python<'_>, repository: &str, within: Duration) -> PyResult<Vec<Expiry>> {
        let found = self.try_detached(py, |core| core.expiring(repository, within))?;
        Ok(all(found))
    }

    /// Signs anew what expires within this time and whose keys are at hand.
    #[pyo3(signature = (repository, within, *, dry_run=false))]
    fn renew(
        &self,
        py: Python<'_>,
        repository: &str,
        within: Duration,
        dry_run: bool,
    ) -> PyResult<Publication> {
        self.end(py, dry_run, false, |core| Ok(core.edit(repository)?.renew(within)))
    }

    /// Signs anew what has expired, or expires within this time, so that a repository can
    /// be used again that nobody can verify any more.
    ///
    /// What is signed is what the server has now, checked in everything but its age: look
    /// at it with `dry_run` first.
    #[pyo3(signature = (repository, *, within=None, dry_run=false))]
    fn recover(
        &self,
        py: Python<'_>,
        repository: &str,
        within: Option<Duration>,
        dry_run: bool,
    ) -> PyResult<Publication> {
        let within = within.unwrap_or_default();
        self.try_detached(py, |core| core.recover(repository, within, dry_run)).map(Publication::from)
    }

    /// Signs a tag with the keys at hand, for others to add their signatures: a small file
    /// for `cosign` and `publish_proposals`. See `Edit.sign_partial` for other changes.
    #[pyo3(signature = (reference, digest=None, size=None, *, custom=None, roles=None))]
    #[allow(clippy::too_many_arguments)]
    fn sign_partial(
        &self,
        py: Python<'_>,
        reference: &str,
        digest: Option<String>,
        size: Option<u64>,
        custom: Option<&Bound<'_, PyAny>>,
        roles: Option<Vec<String>>,
    ) -> PyResult<Vec<u8>> {
        let target = target(py, digest, size, custom)?;
        let part = |core: &tagtrust::Client| core.edit_to_sign(reference, target, roles)?.sign_partial();
        Ok(self.try_detached(py, part)?.to_json())
    }

    /// Adds the signatures of the keys at hand to a part that somebody else has made. Look
    /// at `Proposal(part)` first.
    ///
    /// Raises `Conflict` if something else is published by now, and `KeyNotFound` if no key
    /// at hand can sign it.
    fn cosign(&self, py: Python<'_>, part: &[u8]) -> PyResult<Vec<u8>> {
        Ok(self.try_detached(py, |core| core.cosign(Proposal::from_json(part)?))?.to_json())
    }

    /// Puts the signatures of copies of one part together, adds those of the keys at hand,
    /// and publishes it.
    ///
    /// Raises `KeyNotFound` if there are too few, and `Conflict` if something else is
    /// published by now.
    fn publish_proposals(&self, py: Python<'_>, parts: Vec<PyBackedBytes>) -> PyResult<Publication> {
        let published = self.try_detached(py, |core| {
            let parts = parts.iter().map(|part| Proposal::from_json(part));
            core.publish_proposals(parts.collect::<tagtrust::Result<Vec<_>>>()?)
        });
        published.map(Publication::from)
    }

    /// All private keys, a `Key` for each: root keys first, then by repository, role and ID.
    fn keys(&self, py: Python<'_>) -> PyResult<Vec<Key>> {
        Ok(all(self.try_detached(py, tagtrust::Client::keys)?))
    }

    /// Makes a signer's key, as `docker trust key generate` does: the private half goes to
    /// the trust directory, the public one to `<name>.pub` in `directory`.
    ///
    /// type: `"ecdsa"`, the only kind that Docker knows how to make, or `"ed25519"`, which
    ///     every Notary client verifies and signs with.
    ///
    /// Raises `InvalidInput` for the name, the directory, the type, or a file that exists.
    #[pyo3(
        signature = (name, directory=PathBuf::from("."), *, r#type="ecdsa"),
        text_signature = "($self, name, directory='.', *, type='ecdsa')",
    )]
    fn generate_key(
        &self,
        py: Python<'_>,
        name: &str,
        directory: PathBuf,
        r#type: &str,
    ) -> PyResult<GeneratedKey> {
        let kind = match r#type {
            "ecdsa" => Ok(KeyKind::P256),
            "ed25519" => Ok(KeyKind::Ed25519),
            other => {
                let reason = r#"it must be "ecdsa" or "ed25519""#.into();
                Err(Error::InvalidInput { what: format!("type {other:?}"), reason })
            }
        };
        self.try_detached(py, |core| core.generate_key_of(kind?, name, directory)).map(GeneratedKey::from)
    }

    /// Loads the private keys in a PEM file into the trust directory, as `docker trust key
    /// load` does, and returns a `Key` for each.
    ///
    /// name: the role of keys whose file says none.
    ///
    /// Raises `InvalidInput` for a file that others can read or that holds no private key,
    /// and `WrongPassphrase`. Nothing is stored then.
    #[pyo3(signature = (file, name="signer"))]
    fn load_key(&self, py: Python<'_>, file: PathBuf, name: &str) -> PyResult<Vec<Key>> {
        let loaded = self.try_detached(py, |core| core.load_key(file, name))?;
        Ok(all(loaded))
    }

    /// Imports private keys in PEM, such as those of `export_keys` and `notary key export`,
    /// and returns a `Key` for each.
    ///
    /// role, gun: for keys whose headers say none.
    #[pyo3(signature = (pem, *, role=None, gun=None))]
    fn import_keys(
        &self,
        py: Python<'_>,
        pem: &[u8],
        role: Option<&str>,
        gun: Option<&str>,
    ) -> PyResult<Vec<Key>> {
        let imported = self.try_detached(py, |core| core.import_keys(pem, role, gun))?;
        Ok(all(imported))
    }

    /// Private keys in PEM, as `notary key export` writes them: all, or those with these
    /// canonical IDs, or those for one repository. Each is encrypted as it is on disk.
    ///
    /// Raises `KeyNotFound` if there is no such key.
    #[pyo3(signature = (*, ids=None, gun=None))]
    fn export_keys<'py>(
        &self,
        py: Python<'py>,
        ids: Option<Vec<String>>,
        gun: Option<String>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let selection = match (ids, gun) {
            (None, None) => KeySelection::All,
            (Some(ids), None) => KeySelection::Ids(ids),
            (None, Some(gun)) => KeySelection::Gun(gun),
            (Some(_), Some(_)) => return Err(invalid(py, "ids and gun", "exclude each other")),
        };
        let pem = self.try_detached(py, |core| core.export_keys(&selection))?;
        Ok(PyBytes::new(py, pem.as_bytes()))
    }

    /// Encrypts a private key with another passphrase: `new`, or what the client's
    /// `passphrase` answers.
    ///
    /// Raises `KeyNotFound`, or `WrongPassphrase` for either of them; the key then keeps
    /// the one it has.
    #[pyo3(signature = (key_id, new=None))]
    fn change_passphrase(
        &self,
        py: Python<'_>,
        key_id: &str,
        new: Option<&Bound<'_, PyString>>,
    ) -> PyResult<()> {
        let new = new.map(secret).transpose()?;
        self.try_detached(py, |core| core.change_passphrase(key_id, new.as_ref().map(|new| new.as_str())))
    }

    /// Removes a private key. Without a copy it is gone for good.
    fn remove_key(&self, py: Python<'_>, key_id: &str) -> PyResult<()> {
        self.try_detached(py, |core| core.remove_key(key_id))
    }
}

impl Client {
    /// Works without holding the interpreter.
    pub(crate) fn detached<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&tagtrust::Client) -> T + Send,
    ) -> PyResult<T> {
        self.called(py, |core, _| work(core))
    }

    /// As `detached`, for work that begins threads of its own: each runs in the call.
    fn called<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&tagtrust::Client, &Arc<Call>) -> T + Send,
    ) -> PyResult<T> {
        Call::of(py, &raw const self.core as usize, |call| Ok(work(&self.core, call)))
    }

    /// As `detached`, for what ends in an error of the core.
    fn try_detached<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&tagtrust::Client) -> tagtrust::Result<T> + Send,
    ) -> PyResult<T> {
        self.detached(py, work)?.map_err(|error| raised(py, &error))
    }

    fn end(
        &self,
        py: Python<'_>,
        dry_run: bool,
        stage: bool,
        edit: impl FnOnce(&tagtrust::Client) -> tagtrust::Result<CoreEdit<'_>> + Send,
    ) -> PyResult<Publication> {
        let ending = Ending::new(py, dry_run, stage)?;
        self.try_detached(py, |core| ending.apply(edit(core)?)).map(Publication::from)
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
