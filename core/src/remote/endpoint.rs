//! One server, as the user of one registry: it is asked what authorization it
//! wants, and then with that.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ureq::http::Uri;
use ureq::tls::TlsConfig;

use super::Failure;
use super::auth::Auth;
use super::http::{Answer, MAX_ERROR_BODY, Request, Transport};
use super::refusal::Refusal;
use super::url;

/// How long the first question to a server may take, as in Notary.
const PING: Duration = Duration::from_secs(5);

pub(super) struct Endpoint {
    server: url::Server,
    http: Transport,
    auth: Auth,
    pinged: AtomicBool,
}

impl Endpoint {
    pub(super) fn new(server: url::Server, tls: TlsConfig, auth: Auth) -> Self {
        Self { server, http: Transport::new(tls), auth, pinged: AtomicBool::new(false) }
    }

    pub(super) fn server(&self) -> &url::Server {
        &self.server
    }

    /// Sends a request with whatever authorization the server asks for.
    pub(super) fn authorized(&self, mut request: Request<'_>, scope: &str) -> Result<Answer, Failure> {
        // Threads that come meanwhile do not wait: a 401 tells them as well. No
        // answer means nothing yet, the next request will say so.
        if !self.pinged.swap(true, Ordering::Relaxed) {
            self.ping(request.deadline).ok();
        }
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

    /// Asks what authorization the server wants, and returns its status. Once is enough.
    pub(super) fn ping(&self, deadline: Instant) -> Result<u16, Failure> {
        self.pinged.store(true, Ordering::Relaxed);
        let url = parsed(&self.server.ping())?;
        let deadline = deadline.min(Instant::now() + PING);
        let answer = self.http.send(&Request::get(&url, MAX_ERROR_BODY, deadline))?;
        if answer.status == 401
            && let Err(failure) = self.auth.challenged(&answer.headers)
        {
            log::debug!("the server's challenge is of no use: {failure:?}");
        }
        Ok(answer.status)
    }

    /// What an answer other than 200 means.
    pub(super) fn failure(&self, answer: &Answer, deadline: Instant) -> Failure {
        let status = answer.status;
        match status {
            404 => Failure::NotFound,
            401 => self.auth.refusal("server returned 401", deadline),
            _ => {
                let said = match Refusal::read(&answer.body) {
                    Some(refusal) => format!("server returned {status}: {}", refusal.reason),
                    None => format!("server returned {status}"),
                };
                if status == 403 {
                    Failure::Unauthorized(said)
                } else {
                    Failure::unusable(said, Some(status))
                }
            }
        }
    }
}

pub(super) fn parsed(url: &str) -> Result<Uri, Failure> {
    url.parse().map_err(|_| Failure::broken("the repository's name makes no valid URL"))
}
