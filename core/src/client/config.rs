//! The settings of a client, and their defaults: Docker's.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Client;
use crate::error::{Error, Result};
use crate::remote::{Remotes, Settings};
use crate::store::Store;
use crate::trust::{Pinning, Policy};

/// How long the answer about one repository may take in all.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longer ones could overflow a deadline.
const MAX_TIMEOUT: Duration = Duration::from_secs(100 * 365 * 86_400);
/// How many repositories are asked for at a time.
const PARALLELISM: usize = 8;

pub(super) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Settings of a [`Client`] in the making.
#[derive(Clone, Default)]
#[must_use]
pub struct ClientBuilder {
    trust_dir: Option<PathBuf>,
    remote: Settings,
    pinning: Option<Pinning>,
    policy: Policy,
    clock: Option<Clock>,
    timeout: Option<Duration>,
    offline_max_age: Duration,
    require_fresh: bool,
    parallelism: Option<usize>,
    #[cfg(feature = "signing")]
    pub(super) publishing: super::publishing::Settings,
}

impl ClientBuilder {
    /// Directory with the cached metadata. Default: `trust` in Docker's directory.
    pub fn trust_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.trust_dir = Some(path.into());
        self
    }

    /// Docker's directory, with `config.json`, `tls/` and `trust/`. Default:
    /// `$DOCKER_CONFIG`, else `~/.docker`.
    pub fn docker_config(mut self, path: impl Into<PathBuf>) -> Self {
        self.remote.docker_config = Some(path.into());
        self
    }

    /// URL of the trust server. Default: `$DOCKER_CONTENT_TRUST_SERVER`, else
    /// `https://notary.docker.io` for Docker Hub and the registry itself for others.
    pub fn server(mut self, url: impl Into<String>) -> Self {
        self.remote.server = Some(url.into());
        self
    }

    /// PEM file with the only CAs that may vouch for the server. Default: the
    /// system's and those in Docker's `tls/` directory.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.remote.ca_file = Some(path.into());
        self
    }

    /// PEM files with the certificate and key that the client shows to the server.
    pub fn client_cert(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.remote.client_cert = Some((certificate.into(), key.into()));
        self
    }

    /// User and password. Default: Docker's `config.json` and its helpers.
    pub fn credentials(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.remote.credentials = Some((username.into(), password.into()));
        self
    }

    /// Which roots may be trusted. Default: [`Pinning::trust_on_first_use`], as Docker.
    pub fn pinning(mut self, pinning: Pinning) -> Self {
        self.pinning = Some(pinning);
        self
    }

    /// Which signatures count. Default: [`Policy::docker`].
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// What the time is. Default: the system's clock.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(now));
        self
    }

    /// How long the answer about one repository may take in all, from the first
    /// request to the last. Default: 60 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long an answer of the server is taken for the current one, so that
    /// no request is made. Default: zero, ask every time.
    pub fn offline_max_age(mut self, age: Duration) -> Self {
        self.offline_max_age = age;
        self
    }

    /// Refuse to answer if the server cannot be asked. Default: the cached
    /// timestamp serves until it expires, and [`crate::VerifiedImage::fresh`] is false.
    pub fn require_fresh(mut self, required: bool) -> Self {
        self.require_fresh = required;
        self
    }

    /// How many repositories [`Client::verify_many`] asks for at a time, at least
    /// one. Default: 8.
    pub fn parallelism(mut self, threads: usize) -> Self {
        self.parallelism = Some(threads);
        self
    }

    /// Allows `http://` to other machines. Whoever is on the way reads the
    /// credentials and can hold back new trust data.
    pub fn danger_plain_http(mut self, allowed: bool) -> Self {
        self.remote.danger_plain_http = allowed;
        self
    }

    /// Makes the client. Nothing is fetched yet.
    ///
    /// # Errors
    /// [`Error::InvalidConfiguration`] names the setting that cannot be used.
    pub fn build(self) -> Result<Client> {
        let pinning = self.pinning.unwrap_or_else(Pinning::trust_on_first_use);
        pinning.check()?;
        self.policy.check()?;
        let trust_dir =
            match self.trust_dir {
                Some(path) => path,
                None => crate::remote::docker_trust_dir(self.remote.docker_config.as_deref()).ok_or_else(
                    || Error::InvalidConfiguration {
                        what: "trust directory".into(),
                        reason: "there is no home directory; set trust_dir or DOCKER_CONFIG".into(),
                    },
                )?,
            };
        Ok(Client {
            #[cfg(feature = "signing")]
            publishing: self.publishing.build(&trust_dir)?,
            store: Store::new(trust_dir),
            remotes: Remotes::new(self.remote)?,
            pinning,
            policy: self.policy,
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemTime::now)),
            timeout: self.timeout.unwrap_or(TIMEOUT).min(MAX_TIMEOUT),
            offline_max_age: self.offline_max_age,
            require_fresh: self.require_fresh,
            parallelism: self.parallelism.unwrap_or(PARALLELISM).max(1),
            memory: super::memory::Memory::default(),
        })
    }
}
