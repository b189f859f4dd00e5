//! What is fetched from a trust server and sent to it, and what is asked of a
//! registry.
//!
//! Nothing in here decides about trust. It keeps every exchange within its
//! time, its size and its server, and tells what came back: the bytes of a
//! file, whole, or one of the [`Failure`]s.
//!
//! No secret gets into our log records or errors. At level trace ureq's own
//! records (target `ureq_proto`) hold whole messages, `Authorization` included.

mod auth;
#[cfg(feature = "signing")]
mod changes;
mod connect;
mod credentials;
mod docker;
mod endpoint;
mod http;
#[cfg(feature = "signing")]
mod multipart;
mod refusal;
#[cfg(feature = "signing")]
mod registry;
mod sigpipe;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
mod trust_server;
mod url;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ureq::tls::{Certificate, ClientCert, TlsConfig};

use crate::Result;
use auth::Auth;
use credentials::{Credentials, Source};
pub(crate) use docker::docker_trust_dir;
use endpoint::Endpoint;
#[cfg(feature = "signing")]
pub(crate) use registry::Registry;
pub(crate) use trust_server::Remote;

/// Most registries that are remembered at a time: their names are free to make up.
const MAX_REGISTRIES: usize = 256;

/// What the caller chose; everything else is as Docker has it.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    /// The trust server's URL; else `$DOCKER_CONTENT_TRUST_SERVER`, else
    /// Docker's rule for the registry.
    pub(crate) server: Option<String>,
    /// A PEM file: only these authorities count.
    pub(crate) ca_file: Option<PathBuf>,
    /// PEM files with a certificate and its key.
    pub(crate) client_cert: Option<(PathBuf, PathBuf)>,
    /// User and password; else Docker's config.json and its helpers.
    pub(crate) credentials: Option<(String, String)>,
    /// Docker's directory; else `$DOCKER_CONFIG`, else `~/.docker`.
    pub(crate) docker_config: Option<PathBuf>,
    /// Plain `http://` to other machines: whoever is on the way reads the
    /// credentials and can withhold new trust data.
    pub(crate) danger_plain_http: bool,
}

/// Why a file was not fetched, or a change not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// 404: the server does not have the file.
    NotFound,
    /// The trust server does not accept what it was sent: 400, or for a change
    /// any status with an error that the server names.
    Refused {
        /// The server's name for it, such as `VERSION`; empty if it gives none.
        code: String,
        /// The server's code and words, or Notary's words if it gives none.
        reason: String,
    },
    /// The file is larger than the caller allows.
    TooLarge,
    /// 401 or 403, or the token server refused; why.
    Unauthorized(String),
    /// No usable answer.
    Unreachable {
        /// What happened.
        reason: String,
        /// False if there was no connection, no TLS, no time, or a body that
        /// broke off; true if the server said something of no use.
        answered: bool,
        /// The status, if there was one.
        status: Option<u16>,
        /// All of an upload went out, so that the server may have stored it
        /// though no answer says so; `reason` says this too.
        sent: bool,
    },
}

impl Failure {
    fn broken(reason: impl Into<String>) -> Self {
        Self::Unreachable { reason: reason.into(), answered: false, status: None, sent: false }
    }

    fn unusable(reason: impl Into<String>, status: Option<u16>) -> Self {
        Self::Unreachable { reason: reason.into(), answered: true, status, sent: false }
    }
}

/// The trust servers of all registries. Threads share it.
pub(crate) struct Remotes {
    server: Option<url::Server>,
    config_dir: Option<PathBuf>,
    authorities: Option<Vec<Certificate<'static>>>,
    client_cert: Option<ClientCert>,
    credentials: Option<(String, String)>,
    danger_plain_http: bool,
    system_roots: tls::SystemRoots,
    trust_servers: Remembered<Remote>,
    #[cfg(feature = "signing")]
    registries: Remembered<Registry>,
}

/// By the registry's name.
type Remembered<T> = Mutex<HashMap<String, Arc<T>>>;

impl Remotes {
    /// Checks everything that can be checked without a registry.
    ///
    /// # Errors
    /// [`Error::InvalidConfiguration`] names the setting or the file.
    pub(crate) fn new(settings: Settings) -> Result<Self> {
        let server = settings.server.or_else(docker::chosen_trust_server);
        Ok(Self {
            server: server.map(|text| url::Server::parse(&text, settings.danger_plain_http)).transpose()?,
            config_dir: docker::config_dir(settings.docker_config.as_deref()),
            authorities: settings.ca_file.map(|file| tls::authorities(&file)).transpose()?,
            client_cert: settings
                .client_cert
                .map(|(certificate, key)| tls::client_certificate(&certificate, &key))
                .transpose()?,
            credentials: settings.credentials,
            danger_plain_http: settings.danger_plain_http,
            system_roots: tls::SystemRoots::default(),
            trust_servers: Remembered::default(),
            #[cfg(feature = "signing")]
            registries: Remembered::default(),
        })
    }

    /// The trust server of a registry (`docker.io`, `reg.example:5000`).
    ///
    /// # Errors
    /// [`Error::InvalidConfiguration`] if the registry gives no URL, or if
    /// Docker's certificates for the server cannot be used.
    pub(crate) fn server_for(&self, registry: &str) -> Result<Arc<Remote>> {
        remembered(&self.trust_servers, registry, || {
            let server = match &self.server {
                Some(server) => server.clone(),
                None => url::Server::parse(&docker::trust_server(registry), self.danger_plain_http)?,
            };
            let tls = self.tls(&self.client_certificates(&server)?)?;
            Ok(Remote::new(Endpoint::new(server, tls, self.auth(registry, true))))
        })
    }

    /// Who we are: what the caller gave, where that is meant, else what Docker has.
    fn auth(&self, registry: &str, is_given: bool) -> Auth {
        let source = match &self.credentials {
            Some((user, password)) if is_given => {
                Source::Given(Credentials::Password { user: user.clone(), password: password.clone() })
            }
            _ => Source::docker(self.config_dir.clone(), docker::credentials_key(registry)),
        };
        Auth::new(source, self.danger_plain_http)
    }

    /// What Docker's command line keeps for a server.
    fn client_certificates(&self, server: &url::Server) -> Result<docker::HostCertificates> {
        match &self.config_dir {
            Some(dir) => docker::host_certificates(&dir.join("tls").join(server.authority())),
            None => Ok(docker::HostCertificates::default()),
        }
    }

    /// The caller's files stand in place of what Docker keeps for the host.
    fn tls(&self, kept: &docker::HostCertificates) -> Result<TlsConfig> {
        let authorities = match &self.authorities {
            Some(exclusive) => exclusive.clone(),
            None => {
                let mut authorities = self.system_roots.get().to_vec();
                for file in &kept.authorities {
                    authorities.extend(tls::authorities(file)?);
                }
                authorities
            }
        };
        let client = match (&self.client_cert, kept.pairs.as_slice()) {
            (Some(client), _) => Some(client.clone()),
            (None, []) => None,
            (None, [(certificate, key), others @ ..]) => {
                if !others.is_empty() {
                    log::warn!("of several client certificates, {} is used", certificate.display());
                }
                Some(tls::client_certificate(certificate, key)?)
            }
        };
        Ok(tls::config(authorities, client))
    }
}

fn remembered<T>(known: &Remembered<T>, registry: &str, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known.get(registry) {
        return Ok(Arc::clone(found));
    }
    let made = Arc::new(make()?);
    if known.len() >= MAX_REGISTRIES {
        known.clear();
    }
    known.insert(registry.to_owned(), Arc::clone(&made));
    Ok(made)
}
