//! What is fetched from a trust server.
//!
//! Nothing in here decides about trust. It keeps every exchange within its
//! time, its size and its server, and tells what came back: the bytes of a
//! file, whole, or one of the [`Failure`]s.
//!
//! No secret gets into our log records or errors. At level trace ureq's own
//! records (target `ureq_proto`) hold whole messages, `Authorization` included.

mod auth;
mod connect;
mod credentials;
mod docker;
mod http;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tls;
mod url;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::http::Method;
use ureq::tls::{Certificate, ClientCert};

use crate::Result;
use auth::Auth;
use credentials::{Credentials, Source};
pub(crate) use docker::docker_trust_dir;
use http::{Answer, Request, Transport};

/// Most registries that are remembered at a time: their names are free to make up.
const MAX_REGISTRIES: usize = 256;

/// How long the first question to a server may take, as in Notary.
const PING: Duration = Duration::from_secs(5);

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

/// Why a file was not fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// 404: the server does not have the file.
    NotFound,
    /// 400: the server does not accept the question.
    Rejected,
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
    },
}

impl Failure {
    fn broken(reason: impl Into<String>) -> Self {
        Self::Unreachable { reason: reason.into(), answered: false, status: None }
    }

    fn unusable(reason: impl Into<String>, status: Option<u16>) -> Self {
        Self::Unreachable { reason: reason.into(), answered: true, status }
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
    by_registry: Mutex<HashMap<String, Arc<Remote>>>,
}

impl Remotes {
    /// Checks everything that can be checked without a registry.
    ///
    /// # Errors
    /// [`crate::Error::InvalidConfiguration`] names the setting or the file.
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
            by_registry: Mutex::default(),
        })
    }

    /// The trust server of a registry (`docker.io`, `reg.example:5000`).
    ///
    /// # Errors
    /// [`crate::Error::InvalidConfiguration`] if the registry gives no URL, or if
    /// Docker's certificates for the server cannot be used.
    pub(crate) fn server_for(&self, registry: &str) -> Result<Arc<Remote>> {
        let mut by_registry = self.by_registry.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(remote) = by_registry.get(registry) {
            return Ok(Arc::clone(remote));
        }
        let remote = Arc::new(self.connect(registry)?);
        if by_registry.len() >= MAX_REGISTRIES {
            by_registry.clear();
        }
        by_registry.insert(registry.to_owned(), Arc::clone(&remote));
        Ok(remote)
    }

    fn connect(&self, registry: &str) -> Result<Remote> {
        let server = match &self.server {
            Some(server) => server.clone(),
            None => url::Server::parse(&docker::trust_server(registry), self.danger_plain_http)?,
        };
        let source = match &self.credentials {
            Some((user, password)) => {
                Source::Given(Credentials::Password { user: user.clone(), password: password.clone() })
            }
            None => Source::docker(self.config_dir.clone(), docker::credentials_key(registry)),
        };
        Ok(Remote {
            http: Transport::new(self.tls_for(&server)?),
            server,
            auth: Auth::new(source, self.danger_plain_http),
            pinged: AtomicBool::new(false),
        })
    }

    /// The caller's files stand in place of what Docker keeps for the host.
    fn tls_for(&self, server: &url::Server) -> Result<ureq::tls::TlsConfig> {
        let kept = match &self.config_dir {
            Some(dir) => docker::host_certificates(dir, server.authority())?,
            None => docker::HostCertificates::default(),
        };
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

/// One trust server, as the user of one registry. Threads share it.
pub(crate) struct Remote {
    server: url::Server,
    http: Transport,
    auth: Auth,
    pinged: AtomicBool,
}

impl Remote {
    /// The server's URL.
    pub(crate) fn url(&self) -> &str {
        self.server.as_str()
    }

    /// Fetches a metadata file of a repository (`root.json`,
    /// `targets/releases.<sha256>.json`) of at most `limit` bytes.
    pub(crate) fn get(
        &self,
        gun: &str,
        file: &str,
        limit: u64,
        deadline: Instant,
    ) -> Result<Vec<u8>, Failure> {
        let url = self
            .server
            .metadata(gun, file)
            .parse()
            .map_err(|_| Failure::broken("the repository's name makes no valid URL"))?;
        let request =
            Request { method: Method::GET, url: &url, authorization: None, body: None, limit, deadline };
        let answer = self.authorized(request, &format!("repository:{gun}:pull"))?;
        match answer.status {
            200 => Ok(answer.body),
            400 => Err(Failure::Rejected),
            404 => Err(Failure::NotFound),
            401 => Err(self.auth.refusal("server returned 401", deadline)),
            403 => Err(Failure::Unauthorized("server returned 403".to_owned())),
            status => Err(Failure::unusable(format!("server returned {status}"), Some(status))),
        }
    }

    /// Sends a request with whatever authorization the server asks for.
    fn authorized(&self, mut request: Request<'_>, scope: &str) -> Result<Answer, Failure> {
        self.ping(request.deadline);
        request.authorization = self.auth.header(&self.http, scope, request.deadline)?;
        let answer = self.http.send(&request)?;
        if answer.status != 401 {
            return Ok(answer);
        }
        // A token may have been revoked, or the ping learned nothing: once more.
        self.auth.challenged(&answer.headers)?;
        self.auth.forget(scope);
        let renewed = self.auth.header(&self.http, scope, request.deadline)?;
        if renewed.is_none() || renewed == request.authorization {
            return Ok(answer);
        }
        request.authorization = renewed;
        self.http.send(&request)
    }

    /// Asks once what authorization the server wants. Threads that come
    /// meanwhile do not wait: a 401 tells them as well. No answer means nothing
    /// yet, the next request will say so.
    fn ping(&self, deadline: Instant) {
        if self.pinged.swap(true, Ordering::Relaxed) {
            return;
        }
        let Ok(url) = self.server.ping().parse() else {
            return;
        };
        let request = Request {
            method: Method::GET,
            url: &url,
            authorization: None,
            body: None,
            limit: http::MAX_ERROR_BODY,
            deadline: deadline.min(Instant::now() + PING),
        };
        if let Ok(answer) = self.http.send(&request)
            && answer.status == 401
            && let Err(failure) = self.auth.challenged(&answer.headers)
        {
            log::debug!("the server's challenge is of no use: {failure:?}");
        }
    }
}
