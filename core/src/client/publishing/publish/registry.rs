//! What the registry has under a tag that is to be signed.

use std::time::Instant;

use super::Publisher;
use crate::client::Client;
use crate::client::publishing::edit::{Target, invalid};
use crate::client::publishing::steps::Step;
use crate::error::{Error, Result};
use crate::reference::Reference;
use crate::remote::Failure;

impl Publisher<'_> {
    /// Asks the registry what tags are where the caller did not say, for several
    /// at a time.
    pub(super) fn looked_up(&self, steps: &[Step]) -> Result<Vec<Step>> {
        let lookup = Lookup { client: self.client, reference: self.reference };
        self.client.in_parallel(steps, |step| lookup.look_up(step)).into_iter().collect()
    }
}

/// What threads share that ask about one repository.
struct Lookup<'a> {
    client: &'a Client,
    reference: &'a Reference,
}

impl Lookup<'_> {
    fn look_up(&self, step: &Step) -> Result<Step> {
        let Step::Sign { tag, target, pinned, roles } = step else { return Ok(step.clone()) };
        let found = match target {
            Some(target) => target.clone(),
            None => self.ask_registry(tag)?,
        };
        if let Some(pinned) = pinned
            && *pinned != found.digest
        {
            let reason = format!("{tag} is {} now, not {pinned}; nothing was signed", found.digest);
            return Err(Error::Conflict { gun: self.reference.gun().to_owned(), reason });
        }
        Ok(Step::Sign { tag: tag.clone(), target: Some(found), pinned: None, roles: roles.clone() })
    }

    fn ask_registry(&self, tag: &str) -> Result<Target> {
        let registry = self.client.remotes.registry_for(self.reference.registry())?;
        let gun = self.reference.gun();
        let path = gun.strip_prefix(self.reference.registry()).unwrap_or_default();
        let deadline = Instant::now() + self.client.timeout;
        let manifest = registry.manifest(path.trim_start_matches('/'), tag, deadline);
        let manifest = manifest.map_err(|failure| {
            let url = registry.url().to_owned();
            match failure {
                Failure::NotFound => invalid(
                    format!("tag {tag:?}"),
                    format!("the registry {url} does not have {gun}:{tag}; push it first"),
                ),
                Failure::TooLarge => {
                    invalid(format!("tag {tag:?}"), "its manifest is larger than registries allow")
                }
                Failure::Refused { reason, .. } => Error::ServerRejected { url, reason },
                Failure::Unauthorized(reason) => Error::Unauthorized { url, reason },
                // It answered, and with no image that could be signed.
                Failure::Unreachable { reason, status: Some(200), .. } => {
                    invalid(format!("tag {tag:?}"), reason)
                }
                Failure::Unreachable { reason, .. } => Error::Unreachable { url, reason },
            }
        })?;
        Ok(Target::new(manifest.digest, manifest.size))
    }
}
