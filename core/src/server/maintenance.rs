//! Work on a server's storage: from its command line, while it stands still or
//! runs.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::keys::{Keys, KeysError, LocalKeys};
use super::service::{Service, Settings};
use super::storage::{self, Storage, StorageError};
use super::{KeysConfig, ServerConfig};
use crate::error::{Error, Result};
use crate::trust::TrustedSet;

/// Repositories that are listed at once.
const PAGE: usize = 1000;

/// Makes the tables of the storage, or brings those of an earlier version up to date.
///
/// # Errors
/// The storage is not there, or holds something else.
pub fn set_up(config: &ServerConfig) -> Result<()> {
    run(async { storage::open(&config.storage, false).await?.check().await.map_err(no_storage) })
}

/// Writes a copy of an SQLite storage to a new file, consistent while the
/// server goes on. The keys in it are encrypted; without their passphrase the
/// copy can be read but signs nothing.
///
/// # Errors
/// The copy could not be written, or the storage has means of its own.
pub fn backup(config: &ServerConfig, to: impl AsRef<Path>) -> Result<()> {
    run(async {
        let storage = storage::open(&config.storage, true).await?;
        storage.backup(to.as_ref()).await.map_err(no_storage)
    })
}

/// Removes the versions that the newest timestamp does not lead to, but of each
/// role the newest `keep`, and all of the root. Gives how many files went.
///
/// # Errors
/// The storage fails. A repository that is damaged stays as it is and is named
/// in the log.
pub fn prune(config: &ServerConfig, keep: usize) -> Result<u64> {
    if keep == 0 {
        let reason = "at least one version has to stay".into();
        return Err(Error::InvalidInput { what: "number of versions".into(), reason });
    }
    run(async {
        let parts = Parts::open(config).await?;
        let service = parts.service(SystemTime::now());
        let mut pruned = 0;
        for gun in parts.repositories().await? {
            match service.prune_to(&gun, keep).await {
                Ok(count) => pruned += count,
                Err(refusal) => log::error!("{gun} stays as it is: {refusal}"),
            }
        }
        Ok(pruned)
    })
}

/// Encrypts all keys with the passphrase of this alias, and gives how many
/// were not. Servers may go on meanwhile if they have both passphrases.
///
/// # Errors
/// A passphrase is missing or wrong, or the keys are not in the storage.
pub fn rotate_passphrase(config: &ServerConfig, to_alias: &str) -> Result<u64> {
    let KeysConfig::Local(passphrases) = &config.keys else {
        let reason = "the keys are not in the storage".into();
        return Err(Error::InvalidConfiguration { what: "passphrase of the server's keys".into(), reason });
    };
    run(async {
        let storage = storage::open(&config.storage, false).await?;
        let keys = LocalKeys::open(&storage, &config.storage, passphrases).await?;
        keys.rotate_passphrase(&to_alias.to_lowercase()).await.map_err(no_keys)
    })
}

/// What [`check`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// How many repositories there are.
    pub repositories: u64,
    /// Repositories that clients would refuse now, and why. Those whose
    /// timestamp or snapshot expired are not among them if this server can renew it.
    pub problems: Vec<(String, Error)>,
}

/// Verifies every repository as a client does.
///
/// # Errors
/// The storage fails.
pub fn check(config: &ServerConfig) -> Result<CheckReport> {
    run(async {
        let parts = Parts::open(config).await?;
        let mut report = CheckReport::default();
        for gun in parts.repositories().await? {
            report.repositories += 1;
            if let Err(error) = parts.verify(&gun).await {
                report.problems.push((gun, error));
            }
        }
        Ok(report)
    })
}

/// Where a server keeps what it has, without the server.
pub(super) struct Parts {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) keys: Arc<dyn Keys>,
    settings: Settings,
}

impl Parts {
    async fn open(config: &ServerConfig) -> Result<Self> {
        let storage = storage::open(&config.storage, false).await?;
        let keys = super::keys::open(&config.keys, &storage, &config.storage).await?;
        Ok(Self::new(config, storage, keys))
    }

    pub(super) fn new(config: &ServerConfig, storage: Arc<dyn Storage>, keys: Arc<dyn Keys>) -> Self {
        let settings = Settings {
            snapshot_lifetime: config.snapshot_lifetime,
            timestamp_lifetime: config.timestamp_lifetime,
            read_only: false,
            keep_versions: None,
            clock: Arc::new(SystemTime::now),
        };
        Self { storage, keys, settings }
    }

    /// A service for which time stands still.
    pub(super) fn service(&self, now: SystemTime) -> Service {
        let settings = Settings { clock: Arc::new(move || now), ..self.settings.clone() };
        Service::new(self.storage.clone(), self.keys.clone(), settings)
    }

    async fn repositories(&self) -> Result<Vec<String>> {
        let mut all: Vec<String> = Vec::new();
        loop {
            let after = all.last().map_or("", String::as_str);
            let page = self.storage.repositories(after, PAGE).await.map_err(no_storage)?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// A repository as clients see it now. Where its timestamp expired, which
    /// the next client makes the server renew: as clients saw it when it was stored.
    pub(super) async fn verify(&self, gun: &str) -> Result<TrustedSet> {
        let now = SystemTime::now();
        let set = self.service(now).trusted(gun).await;
        match set {
            Err(Error::Expired { ref role, .. }) if role == "timestamp" || role == "snapshot" => {
                let timestamp = self.storage.timestamp(gun).await.map_err(no_storage)?;
                self.service(timestamp.map_or(now, |file| file.stored)).trusted(gun).await
            }
            set => set,
        }
    }
}

/// In a runtime of its own.
pub(super) fn run<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.map_err(|error| Error::Internal { reason: format!("no runtime: {error}") })?.block_on(work)
}

pub(super) fn no_storage(error: StorageError) -> Error {
    Error::StoreError { path: "storage of the server".into(), reason: error.to_string() }
}

pub(super) fn no_keys(error: KeysError) -> Error {
    Error::StoreError { path: "keys of the server".into(), reason: error.to_string() }
}
