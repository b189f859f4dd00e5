//! Which versions of a file the server has.

use bytes::Bytes;

use super::Publisher;
use crate::error::Result;
use crate::remote::Failure;
use crate::signing::{Draft, MAX_UNVOUCHED_VERSION};
use crate::trust::MAX_FILE_BYTES;

impl Publisher<'_> {
    /// A new file of a role that existed before goes on where that ended: the
    /// server, and whoever has its old files, take no lower version. True if
    /// the server has versions that the draft does not know.
    pub(super) fn continue_versions(&self, draft: &mut Draft) -> Result<bool> {
        if draft.is_initial() {
            return Ok(false);
        }
        let new: Vec<String> =
            draft.dirty().filter(|name| draft.published(name).is_none()).map(str::to_owned).collect();
        let mut unknown = false;
        for name in new {
            let known = draft.base_versions().get(&name).copied().unwrap_or(0);
            if let Some((version, _)) = self.newest_after(&name, known)? {
                draft.continue_after(&name, version);
                unknown = true;
            }
        }
        Ok(unknown)
    }

    /// The newest file of a role that the server has by its version, if one is
    /// newer than this. Versions have no gaps, unless a publisher made them.
    pub(in crate::client) fn newest_after(&self, name: &str, known: i64) -> Result<Option<(i64, Bytes)>> {
        let (mut newest, mut lowest, mut step) = (None, known, 1);
        // In longer and longer steps, until one leads too far.
        let mut highest = loop {
            let version = lowest.saturating_add(step);
            match self.file_of_version(name, version)? {
                Some(file) if version < MAX_UNVOUCHED_VERSION => newest = Some((version, file)),
                _ => break version,
            }
            (lowest, step) = (version, step.saturating_mul(2));
        };
        while highest.saturating_sub(lowest) > 1 {
            let version = lowest.midpoint(highest);
            match self.file_of_version(name, version)? {
                Some(file) => (newest, lowest) = (Some((version, file)), version),
                None => highest = version,
            }
        }
        Ok(newest)
    }

    fn file_of_version(&self, name: &str, version: i64) -> Result<Option<Bytes>> {
        let file = format!("{version}.{name}.json");
        match self.remote.get(self.gun(), &file, MAX_FILE_BYTES, self.deadline()) {
            Ok(file) => Ok(Some(file.into())),
            Err(Failure::NotFound | Failure::Refused { .. }) => Ok(None),
            Err(failure) => Err(self.failed(failure)),
        }
    }
}
