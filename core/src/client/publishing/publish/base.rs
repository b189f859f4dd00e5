//! What an operation begins with.

use std::collections::BTreeSet;

use super::{Mode, Publisher};
use crate::client::publishing::edit::invalid;
use crate::client::publishing::init::Init;
use crate::client::publishing::steps::{Resolver, Step};
use crate::error::{Error, Result};
use crate::signing::Draft;
use crate::trust::Expiry;

/// What is published, and how to tell whether it moved.
pub(in crate::client) struct Base {
    pub(in crate::client) draft: Draft,
    /// Versions of root and timestamp; `None` if nothing is published.
    pub(in crate::client) stamp: Stamp,
}

/// Versions of root and timestamp.
pub(in crate::client) type Stamp = Option<(i64, i64)>;

impl Publisher<'_> {
    /// What is published, or else a new repository where the steps make one.
    pub(in crate::client) fn base(&self, steps: &[Step]) -> Result<Base> {
        let init = steps.iter().find_map(|step| match step {
            Step::Init(init) => Some(init),
            _ => None,
        });
        match self.published() {
            Ok(_) if init.is_some() => Err(invalid(self.gun(), "it is initialised already")),
            Ok(base) => Ok(base),
            Err(error @ Error::NoTrustData { .. }) => {
                if let Some(draft) = self.unpublished()? {
                    return Ok(Base { draft, stamp: None });
                }
                if !steps.iter().any(Step::creates) && !self.has_staged(steps)? {
                    return Err(error);
                }
                self.rehearse(steps)?;
                // What is only staged needs no keys yet.
                let draft = match self.mode {
                    Mode::Stage => self.imagined()?,
                    _ => self.create(init.unwrap_or(&Init::default()))?,
                };
                Ok(Base { draft, stamp: None })
            }
            Err(error) => Err(error),
        }
    }

    /// Whether staged changes are to be published: as in Notary they make the
    /// repository too.
    fn has_staged(&self, steps: &[Step]) -> Result<bool> {
        let publishes = steps.iter().any(|step| matches!(step, Step::Staged));
        Ok(publishes && !self.staged()?.is_empty())
    }

    /// Makes the changes of a new repository on one with keys that exist
    /// nowhere: what cannot be done is refused before any key is made.
    fn rehearse(&self, steps: &[Step]) -> Result<()> {
        let mut draft = self.imagined()?;
        let mut resolver = Resolver { publisher: self, warnings: BTreeSet::new(), bump: false };
        let makes_keys = |step: &&Step| matches!(step, Step::Rotate { .. });
        steps.iter().filter(|step| !makes_keys(step)).try_for_each(|step| resolver.apply(step, &mut draft))
    }

    /// What is published.
    pub(in crate::client) fn published(&self) -> Result<Base> {
        let expiry = match self.mode {
            Mode::Recover | Mode::RecoverDryRun => Expiry::Ignored,
            _ => Expiry::Enforced,
        };
        let updated = self.client.current(self.reference, self.mode != Mode::Stage, expiry);
        let set = match updated {
            Err(error) if expiry == Expiry::Ignored && !matches!(error, Error::NoTrustData { .. }) => {
                return self.salvage(error);
            }
            result => result?,
        };
        let stamp = Some((set.root().version(), set.timestamp_version()));
        Ok(Base { stamp, draft: Draft::of(&set)? })
    }
}
