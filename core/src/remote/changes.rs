//! Changes into a trust server.

use std::time::Instant;

use ureq::http::Method;

use super::endpoint::parsed;
use super::http::{MAX_ERROR_BODY, Request};
use super::multipart::Form;
use super::refusal::Refusal;
use super::{Failure, Remote};

/// Longest public key. Stops a server that sends without end.
const MAX_KEY: u64 = 64 * 1024;

impl Remote {
    /// Uploads files under their roles: all of them are taken, or none. Sent
    /// once: if the answer is lost, the failure says that they may be stored.
    pub(crate) fn upload(
        &self,
        gun: &str,
        files: &[(&str, &[u8])],
        deadline: Instant,
    ) -> Result<(), Failure> {
        let url = parsed(&self.0.server().metadata(gun, ""))?;
        let form = Form::new(files)?;
        let request = Request {
            method: Method::POST,
            body: Some((&form.content_type, &form.body)),
            ..Request::get(&url, MAX_ERROR_BODY, deadline)
        };
        match self.change(request, gun, "push,pull") {
            Err(Failure::Unreachable { reason, answered, status, sent: true }) => {
                let reason = format!("{reason}; the upload may have been stored all the same");
                Err(Failure::Unreachable { reason, answered, status, sent: true })
            }
            result => result.map(drop),
        }
    }

    /// The public key, as the server writes it, with which it signs `timestamp`
    /// or `snapshot` for the repository; a new one if it is to be rotated.
    pub(crate) fn server_key(
        &self,
        gun: &str,
        role: &str,
        rotate: bool,
        deadline: Instant,
    ) -> Result<Vec<u8>, Failure> {
        let url = parsed(&self.0.server().metadata(gun, &format!("{role}.key")))?;
        let get = Request::get(&url, MAX_KEY, deadline);
        if rotate {
            let nothing = ("application/octet-stream", &b""[..]);
            self.change(Request { method: Method::POST, body: Some(nothing), ..get }, gun, "*")
        } else {
            self.change(get, gun, "push,pull")
        }
    }

    /// Deletes everything that the server has of a repository.
    pub(crate) fn delete(&self, gun: &str, deadline: Instant) -> Result<(), Failure> {
        let url = parsed(&self.0.server().metadata(gun, ""))?;
        let request = Request { method: Method::DELETE, ..Request::get(&url, MAX_ERROR_BODY, deadline) };
        self.change(request, gun, "*").map(drop)
    }

    fn change(&self, request: Request<'_>, gun: &str, actions: &str) -> Result<Vec<u8>, Failure> {
        let Request { limit, deadline, .. } = request;
        let answer = match self.0.authorized(request, &format!("repository:{gun}:{actions}")) {
            Ok(answer) => answer,
            Err(Failure::TooLarge) => {
                let reason = format!("server returned more than {limit} bytes");
                return Err(Failure::Unreachable { reason, answered: true, status: Some(200), sent: true });
            }
            Err(failure) => return Err(failure),
        };
        match answer.status {
            200 => return Ok(answer.body),
            // `UPDATING` comes with 500, but it is an answer.
            500.. => {
                if let Some(Refusal { code, reason }) = Refusal::read(&answer.body) {
                    return Err(Failure::Refused { code, reason });
                }
            }
            _ => {}
        }
        let mut failure = self.failure(&answer, deadline);
        if let Failure::Unreachable { reason, sent, .. } = &mut failure {
            match answer.status {
                // A gateway may have lost the server's answer.
                200..300 | 500.. => *sent = true,
                300..400 => reason.push_str(", which is followed for nothing but GET"),
                413 => {
                    reason.push_str(": the upload is larger than the server, or a proxy before it, accepts")
                }
                _ => {}
            }
        }
        Err(failure)
    }
}
