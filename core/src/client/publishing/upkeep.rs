//! What expires, and how it is kept from it.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::publication::Publication;
use super::publish::{Mode, Publisher};
use super::steps::{Step, canonical_ids};
use crate::client::Client;
use crate::error::Result;
use crate::metadata::role;
use crate::reference::Reference;
use crate::signing::{Draft, as_rfc3339};

/// A published file and when it expires.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct RoleExpiry {
    /// `root`, `targets`, a delegation or `snapshot`. The timestamp is renewed
    /// by the server.
    pub role: String,
    /// Version of the file.
    pub version: i64,
    /// When it expires; for the root, when it or one of its certificates does.
    #[serde(serialize_with = "as_rfc3339")]
    pub expires: SystemTime,
    /// Whether a key for it is at hand.
    pub can_sign: bool,
}

impl Client {
    /// The files of a repository that expire within this time, the first one
    /// first. Expired ones are among them.
    ///
    /// # Errors
    /// As [`Client::verify`], but that something is expired is no error.
    pub fn expiring(&self, repository: &str, within: Duration) -> Result<Vec<RoleExpiry>> {
        let reference = Reference::parse_name(repository)?;
        let publisher = Publisher::new(self, &reference, Mode::Recover)?;
        let draft = publisher.base(&[])?.draft;
        let mut found: Vec<RoleExpiry> = renewable_roles(&draft)
            .into_iter()
            .filter_map(|name| {
                let published = draft.published(&name)?;
                let keys = draft.keys_of(&name).ok()?;
                let can_sign = canonical_ids(&keys).iter().any(|id| publisher.keyring().has(id));
                let certificates = draft.certificates_expire().filter(|_| name == role::ROOT);
                let expires = certificates.map_or(published.expires, |first| first.min(published.expires));
                let version = published.version;
                Some(RoleExpiry { role: name, version, expires, can_sign })
            })
            .filter(|expiry| expires_within(expiry.expires, publisher.now(), within))
            .collect();
        found.sort_by_key(|expiry| expiry.expires);
        Ok(found)
    }

    /// Signs anew what expires within this time and whose keys are at hand.
    ///
    /// # Errors
    /// As [`super::Edit::publish`]. For what has expired already use [`Client::recover`].
    pub fn renew(&self, repository: &str, within: Duration) -> Result<Publication> {
        self.edit(repository)?.renew(within).publish()
    }

    /// Signs anew whatever has expired or expires within this time, so that a
    /// repository can be used again that nobody can verify any more. What is
    /// signed is what the server has now, checked in everything but its age:
    /// look at [`super::Edit::dry_run`]'s words for it first, with `dry_run`.
    ///
    /// # Errors
    /// As [`super::Edit::publish`].
    pub fn recover(&self, repository: &str, within: Duration, dry_run: bool) -> Result<Publication> {
        let reference = Reference::parse_name(repository)?;
        let mode = if dry_run { Mode::RecoverDryRun } else { Mode::Recover };
        Publisher::new(self, &reference, mode)?.publish(&[Step::Renew { within }])
    }
}

/// Whether something expires within this time, or has expired.
pub(super) fn expires_within(expires: SystemTime, now: SystemTime, within: Duration) -> bool {
    expires.duration_since(now).unwrap_or_default() <= within
}

/// All roles whose files a publisher can sign, the root first.
pub(super) fn renewable_roles(draft: &Draft) -> Vec<String> {
    let delegations = draft.roles().filter(|name| *name != role::TARGETS).chain(draft.unusable());
    [role::ROOT, role::TARGETS]
        .into_iter()
        .chain(delegations)
        .chain([role::SNAPSHOT])
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_expires_within_a_time_also_has_expired_or_the_time_has_no_end() {
        let (now, day) = (SystemTime::now(), Duration::from_secs(86_400));
        assert!(expires_within(now - day, now, Duration::ZERO));
        assert!(expires_within(now, now, Duration::ZERO));
        assert!(expires_within(now + day, now, day));
        assert!(!expires_within(now + 2 * day, now, day));
        assert!(expires_within(now + day, now, Duration::MAX));
    }
}
