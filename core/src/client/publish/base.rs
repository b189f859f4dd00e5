//! What an operation begins with.

use super::{Mode, Publisher};
use crate::client::edit::invalid;
use crate::client::init::Init;
use crate::client::steps::Step;
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
                if !steps.iter().any(Step::creates) {
                    return Err(error);
                }
                let draft = self.create(init.unwrap_or(&Init::default()))?;
                Ok(Base { draft, stamp: None })
            }
            Err(error) => Err(error),
        }
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
