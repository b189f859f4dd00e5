//! Which digest counts for a tag: the walk over the delegations.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::MAX_TAGS_OF_A_DIGEST;
use super::policy::{Lookup, Policy};
use super::set::TrustedSet;
use crate::error::{Error, Result};
use crate::metadata::{Target, Targets, role};

/// The roles whose tags `docker pull` takes, the first one first.
const DOCKERS_ROLES: [&str; 2] = [role::RELEASES, role::TARGETS];

/// What counts for one tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The manifest's SHA-256.
    pub sha256: [u8; 32],
    /// The manifest's size in bytes.
    pub size: u64,
    /// The role that publishes the tag.
    pub role: String,
    /// The signers whose delegations list the same digest, in ascending order.
    pub signers: Vec<String>,
}

impl TrustedSet {
    /// The digest that counts for a tag, once all roles are loaded.
    ///
    /// # Errors
    /// [`Error::TagNotSigned`]; the reason why a delegation does not count
    /// where it could have held the tag; [`Error::PolicyViolation`].
    pub fn resolve(&self, tag: &str, policy: &Policy) -> Result<Found> {
        let (name, target) = self.lookup(tag, policy.lookup)?;
        let Some(sha256) = target.sha256.as_deref().and_then(|hash| hash.try_into().ok()) else {
            return Err(self.not_signed(tag, format!("{name} lists it without a valid sha256")));
        };
        let signers = self.signers(tag, &sha256);
        if let Some(reason) = policy.violation(self.gun(), &signers) {
            return Err(Error::PolicyViolation { gun: self.gun().into(), tag: tag.into(), reason });
        }
        Ok(Found { sha256, size: target.length, role: name.to_owned(), signers })
    }

    /// The tags that count and have this digest, in ascending order. At most
    /// [`MAX_TAGS_OF_A_DIGEST`] tags are looked at.
    ///
    /// # Errors
    /// [`Error::TagNotSigned`] if there are none; else as [`TrustedSet::resolve`].
    pub fn resolve_digest(&self, sha256: &[u8; 32], policy: &Policy) -> Result<(Vec<String>, Found)> {
        let same = |target: &Target| target.sha256.as_deref() == Some(sha256);
        // Those that publish: no other role may crowd out their tags.
        let publishing: Vec<&str> = match policy.lookup {
            Lookup::Docker => DOCKERS_ROLES.to_vec(),
            Lookup::Notary => self.walk(None, None).collect(),
        };
        let listed = publishing.into_iter().filter_map(|name| self.targets(name)).flat_map(Targets::iter);
        let tags = listed.filter(|(_, target)| same(target)).map(|(tag, _)| tag);
        let candidates: BTreeSet<String> = tags.take(MAX_TAGS_OF_A_DIGEST).collect();

        let mut found = BTreeMap::new();
        let mut refusal = None;
        for tag in candidates {
            match self.resolve(&tag, policy) {
                Ok(tagged) if tagged.sha256 == *sha256 => drop(found.insert(tag, tagged)),
                Ok(_) => {}
                Err(error) => refusal = Some(error),
            }
        }
        let tags: Vec<String> = found.keys().cloned().collect();
        match found.into_values().next() {
            Some(first) => Ok((tags, first)),
            None => Err(refusal.unwrap_or_else(|| {
                let digest = format!("sha256:{}", crate::metadata::hex(sha256));
                self.not_signed(&digest, "no signed tag has this digest".into())
            })),
        }
    }

    /// The signers whose delegations list this digest for a tag, in ascending order.
    pub fn signers(&self, tag: &str, sha256: &[u8; 32]) -> Vec<String> {
        let mut signers: Vec<String> = self
            .walk(Some(tag), None)
            .filter(|name| *name != role::RELEASES)
            .filter_map(|name| Some((name, name.strip_prefix("targets/")?)))
            .filter(|(name, _)| {
                self.listed(name, tag).is_some_and(|target| target.sha256.as_deref() == Some(sha256))
            })
            .map(|(_, signer)| signer.to_owned())
            .collect();
        signers.sort();
        signers
    }

    fn listed(&self, name: &str, tag: &str) -> Option<Target> {
        self.targets(name)?.get(tag)
    }

    fn lookup<'a>(&'a self, tag: &str, lookup: Lookup) -> Result<(&'a str, Target)> {
        if !self.is_complete() {
            // A role that is not there yet could have said otherwise.
            return Err(Error::Internal { reason: format!("the files of {} are not all there", self.gun()) });
        }
        let starts: &[&str] = match lookup {
            Lookup::Docker => &DOCKERS_ROLES,
            Lookup::Notary => &[role::TARGETS],
        };
        for start in starts {
            let hit =
                self.walk(Some(tag), Some(start)).find_map(|name| Some((name, self.listed(name, tag)?)));
            match hit {
                // The walk goes on below a role, but for Docker only the two count.
                Some((name, _)) if lookup == Lookup::Docker && !starts.contains(&name) => {
                    let reason = format!("it is only in {name}, which does not publish");
                    return Err(self.not_signed(tag, reason));
                }
                Some(hit) => return Ok(hit),
                None => {}
            }
            // Stricter: Notary would go on to `targets`, which may list an older
            // digest. Whoever holds back one file must not choose the answer.
            if let Some(error) = self.excluded(start) {
                return Err(error.clone());
            }
        }
        if lookup == Lookup::Notary
            && let Some((_, error)) = self.all_excluded().next()
        {
            return Err(error.clone());
        }
        Err(self.not_signed(tag, format!("not listed in {}", starts.join(" or "))))
    }

    fn not_signed(&self, name: &str, reason: String) -> Error {
        Error::TagNotSigned { gun: self.gun().into(), name: name.into(), reason }
    }

    /// Roles that may sign for a tag (`None`: all), breadth first from `targets`
    /// down, from `start` on (`None`: from the top).
    ///
    /// Notary's walk: a role above `start` is passed through; a role that is not
    /// loaded, or whose paths do not admit the tag, hides what is below it.
    pub fn walk<'a, 't>(
        &'a self,
        tag: Option<&'t str>,
        start: Option<&'t str>,
    ) -> impl Iterator<Item = &'a str> + use<'a, 't> {
        let mut queue = VecDeque::from([role::TARGETS]);
        std::iter::from_fn(move || {
            while let Some(name) = queue.pop_front() {
                let Some(delegation) = self.targets.get(name) else { continue };
                let children = delegation.targets.delegations.iter().map(|child| child.name.as_str());
                if start.is_some_and(|start| role::is_below(start, name)) {
                    queue.extend(children);
                    continue;
                }
                let admitted =
                    tag.is_none_or(|tag| delegation.paths.iter().any(|path| tag.starts_with(path.as_str())));
                let in_reach = start.is_none_or(|start| name == start || role::is_below(name, start));
                if admitted && in_reach {
                    queue.extend(children);
                    return Some(name);
                }
            }
            None
        })
    }
}
