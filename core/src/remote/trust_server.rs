//! A trust server: metadata files out of it.

use std::time::Instant;

use super::Failure;
use super::endpoint::{Endpoint, parsed};
use super::http::{Answer, Request};
use super::refusal::Refusal;

/// Notary's words for a refusal without a reason that could be read.
const REJECTED: &str = "trust server rejected operation.";

/// One trust server, as the user of one registry. Threads share it.
pub(crate) struct Remote(pub(super) Endpoint);

impl Remote {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self(endpoint)
    }

    /// The server's URL.
    pub(crate) fn url(&self) -> &str {
        self.0.server().as_str()
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
        let url = parsed(&self.0.server().metadata(gun, file))?;
        let request = Request::get(&url, limit, deadline);
        let answer = self.0.authorized(request, &format!("repository:{gun}:pull"))?;
        if answer.status == 200 { Ok(answer.body) } else { Err(self.failure(&answer, deadline)) }
    }

    pub(super) fn failure(&self, answer: &Answer, deadline: Instant) -> Failure {
        if answer.status != 400 {
            return self.0.failure(answer, deadline);
        }
        match Refusal::read(&answer.body) {
            Some(Refusal { code, reason }) => Failure::Refused { code, reason },
            None => Failure::Refused { code: String::new(), reason: REJECTED.to_owned() },
        }
    }
}
