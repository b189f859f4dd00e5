//! A registry: which image a tag stands for.
//!
//! The manifest is always fetched, and its digest and size come from its bytes.
//! A registry would name both without it (HEAD), but a signature over that
//! would be over content that nobody has seen. Which manifest a tag means is
//! the registry's word: a digest in the reference is the way not to rely on it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use ureq::http::HeaderMap;
use ureq::http::header::CONTENT_TYPE;

use super::docker::{HostCertificates, host_certificates};
use super::endpoint::{Endpoint, parsed};
use super::http::{Answer, Request};
use super::{Failure, Remotes, remembered, url};
use crate::crypto::sha256;
use crate::error::excerpt;
use crate::metadata::hex;
use crate::{Error, Result};

/// The largest manifest that registries take. Stops one that sends without end.
const MAX_MANIFEST: u64 = 4 * 1024 * 1024;
/// What an image can be: of one platform or of several, Docker's or OCI's.
/// Manifests of the first schema are not: their digest is not that of their bytes.
const MANIFESTS: &str = "application/vnd.docker.distribution.manifest.v2+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json, \
                         application/vnd.oci.image.manifest.v1+json, \
                         application/vnd.oci.image.index.v1+json";
/// As much of a header as an error repeats.
const MAX_EVIDENCE: usize = 100;

/// Where the engine keeps certificates of registries.
const ENGINE_CERTIFICATES: &str = "/etc/docker/certs.d";

impl Remotes {
    /// The registry itself.
    ///
    /// # Errors
    /// As for [`Self::server_for`].
    pub(crate) fn registry_for(&self, registry: &str) -> Result<Arc<Registry>> {
        remembered(&self.registries, registry, || {
            let host = registry_host(registry);
            let https = url::Server::parse(&format!("https://{host}"), false).map_err(|_| {
                Error::InvalidConfiguration {
                    what: "registry".to_owned(),
                    reason: "its name makes no valid URL".to_owned(),
                }
            })?;
            // As Docker: a registry on this machine need not speak TLS.
            let plain = url::Server::parse(&format!("http://{host}"), self.danger_plain_http).ok();

            let mut kept = self.client_certificates(&https)?;
            kept.extend(engine_certificates(https.authority())?);
            let tls = self.tls(&kept)?;
            // What was given for a trust server elsewhere is not for every registry.
            let is_given = self.server.as_ref().is_none_or(|server| server.host() == https.host());
            let endpoint = |server| Endpoint::new(server, tls.clone(), self.auth(registry, is_given));
            Ok(Registry::new(endpoint(https), plain.map(endpoint)))
        })
    }
}

/// The host of a registry.
fn registry_host(registry: &str) -> &str {
    match registry {
        "docker.io" => "registry-1.docker.io",
        other => other,
    }
}

impl HostCertificates {
    fn extend(&mut self, other: Self) {
        self.authorities.extend(other.authorities);
        self.pairs.extend(other.pairs);
    }
}

/// What the engine has for a registry, as far as we may look: it runs as root.
fn engine_certificates(authority: &str) -> Result<HostCertificates> {
    let dir = Path::new(ENGINE_CERTIFICATES).join(authority);
    match fs::read_dir(&dir) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            log::warn!("{}: {error}; the engine's certificates are not used", dir.display());
            Ok(HostCertificates::default())
        }
        _ => host_certificates(&dir),
    }
}

/// What there is to sign of an image, computed from its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// `sha256:` and 64 hexadecimal digits.
    pub(crate) digest: String,
    /// In bytes, of the manifest itself.
    pub(crate) size: u64,
    pub(crate) media_type: String,
}

/// One registry. Threads share it.
pub(crate) struct Registry {
    https: Endpoint,
    /// Where plain HTTP is allowed too.
    http: Option<Endpoint>,
    /// Which of the two it is, once one has answered.
    is_plain: OnceLock<bool>,
}

impl Registry {
    pub(super) fn new(https: Endpoint, http: Option<Endpoint>) -> Self {
        Self { https, http, is_plain: OnceLock::new() }
    }

    /// The registry's URL.
    pub(crate) fn url(&self) -> &str {
        self.known().unwrap_or(&self.https).server().as_str()
    }

    /// The manifest of a tag or digest in a repository of the registry
    /// (`library/alpine`).
    pub(crate) fn manifest(
        &self,
        repository: &str,
        reference: &str,
        deadline: Instant,
    ) -> Result<Manifest, Failure> {
        let endpoint = self.endpoint(deadline)?;
        let url = parsed(&endpoint.server().manifest(repository, reference))?;
        let request = Request { accept: Some(MANIFESTS), ..Request::get(&url, MAX_MANIFEST, deadline) };
        let answer = endpoint.authorized(request, &format!("repository:{repository}:pull"))?;
        if answer.status != 200 {
            return Err(endpoint.failure(&answer, deadline));
        }
        let requested = reference.contains(':').then_some(reference);
        Manifest::read(&answer, requested).map_err(|reason| Failure::unusable(reason, Some(200)))
    }

    /// As Docker: plain HTTP where there is no TLS, if it is allowed at all.
    fn endpoint(&self, deadline: Instant) -> Result<&Endpoint, Failure> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let Some(http) = &self.http else { return Ok(&self.https) };
        let is_plain = match self.https.ping(deadline) {
            // A server with TLS would answer something else to plain HTTP.
            Err(failure @ Failure::Unreachable { answered: false, .. }) => match http.ping(deadline) {
                Ok(200 | 401) => true,
                _ => return Err(failure),
            },
            _ => false,
        };
        self.is_plain.set(is_plain).ok();
        Ok(if is_plain { http } else { &self.https })
    }

    fn known(&self) -> Option<&Endpoint> {
        if *self.is_plain.get()? { self.http.as_ref() } else { Some(&self.https) }
    }
}

impl Manifest {
    fn read(answer: &Answer, requested: Option<&str>) -> Result<Self, String> {
        let said = text(&answer.headers, CONTENT_TYPE.as_str()).unwrap_or_default();
        let media_type = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if media_type.starts_with("application/vnd.docker.distribution.manifest.v1+") {
            return Err("the image has a manifest of schema 1, which is obsolete: push it again".to_owned());
        }
        if !MANIFESTS.split(", ").any(|known| known == media_type) {
            return Err(format!("no image manifest, but {:?}", excerpt(&said, MAX_EVIDENCE)));
        }
        let digest = format!("sha256:{}", hex(sha256(&answer.body).as_ref()));
        let claimed = text(&answer.headers, "docker-content-digest");
        for (expected, who) in [(requested, "was asked for"), (claimed.as_deref(), "the registry says")] {
            if let Some(expected) = expected.filter(|expected| *expected != digest) {
                let expected = excerpt(expected, MAX_EVIDENCE);
                return Err(format!("the manifest's digest is {digest}, not {expected} as {who}"));
            }
        }
        Ok(Self { digest, size: answer.body.len() as u64, media_type })
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_hub_has_its_own_host() {
        assert_eq!(registry_host("docker.io"), "registry-1.docker.io");
        assert_eq!(registry_host("reg.example:5000"), "reg.example:5000");
    }
}
