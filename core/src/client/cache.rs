//! What was seen of a repository before: on disk, or by this process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::update::Update;
use crate::error::Result;
use crate::metadata::role;
use crate::store::View;
use crate::trust::{
    Expiry, Floors, MAX_FILE_BYTES, MAX_ROOT_BYTES, MAX_TIMESTAMP_BYTES, TrustedRoot, TrustedSet,
};

/// The two files on disk that tell how new all of them are.
pub(super) struct Stored {
    pub(super) root: Option<Bytes>,
    timestamp: Option<Bytes>,
}

impl Stored {
    pub(super) fn read(view: &View) -> Result<Self> {
        Ok(Self {
            root: view.read(role::ROOT, MAX_ROOT_BYTES)?,
            timestamp: view.read(role::TIMESTAMP, MAX_TIMESTAMP_BYTES)?,
        })
    }

    pub(super) fn has_timestamp(&self) -> bool {
        self.timestamp.is_some()
    }

    /// True if the root is absent, this one, or one whose keys signed this one.
    pub(super) fn leads_to(&self, root: &TrustedRoot) -> bool {
        fn accept(gun: &str, file: &[u8], previous: Option<&TrustedRoot>) -> Result<TrustedRoot> {
            let now = SystemTime::UNIX_EPOCH;
            TrustedRoot::accept(gun, file.to_vec(), previous, None, Expiry::Ignored, now)
        }
        self.root.as_deref().filter(|file| *file != root.file()).is_none_or(|file| {
            accept(root.gun(), file, None)
                .is_ok_and(|stored| accept(root.gun(), root.file(), Some(&stored)).is_ok())
        })
    }

    /// True if the keys of the set's root signed a newer timestamp than the set's.
    pub(super) fn has_newer_timestamp(&self, set: &TrustedSet) -> bool {
        let cached = |_: &str| self.timestamp.clone();
        self.timestamp.as_ref() != set.file(role::TIMESTAMP)
            && Floors::new(set.root(), &cached).of(role::TIMESTAMP) > Some(set.timestamp_version())
    }
}

/// The repository's files as they were last seen: on disk, unless this process
/// has seen newer ones and could not store them.
pub(super) struct Cache<'a> {
    update: &'a Update<'a>,
    pub(super) root_path: PathBuf,
    pub(super) stored: Stored,
    snapshot: Option<Bytes>,
    /// What this process has verified before, if nothing newer is stored. All
    /// files are then taken from it.
    pub(super) remembered: Option<Arc<TrustedSet>>,
}

impl<'a> Cache<'a> {
    pub(super) fn read(update: &'a Update<'a>, remembered: Option<&Arc<TrustedSet>>) -> Result<Self> {
        let view = update.store.view(update.gun)?;
        let stored = Stored::read(&view)?;
        let is_newest =
            |set: &&Arc<TrustedSet>| stored.leads_to(set.root()) && !stored.has_newer_timestamp(set);
        let remembered = remembered.filter(is_newest).cloned();
        let snapshot = match &remembered {
            Some(_) => None,
            None => view.read(role::SNAPSHOT, MAX_FILE_BYTES)?,
        };
        Ok(Self { update, root_path: view.path(role::ROOT), stored, snapshot, remembered })
    }

    /// True if what was seen last is not stored.
    pub(super) fn is_ahead(&self) -> bool {
        self.remembered.as_ref().is_some_and(|set| {
            self.stored.root.as_deref() != Some(set.root().file())
                || self.stored.timestamp.as_ref() != set.file(role::TIMESTAMP)
        })
    }

    /// True if somebody has stored another set since this was read. What an
    /// update of ours stores before it has verified a whole set is a root alone.
    pub(super) fn is_outdated(&self) -> bool {
        let view = self.update.store.view(self.update.gun);
        view.and_then(|view| Stored::read(&view)).is_ok_and(|now| now.timestamp != self.stored.timestamp)
    }

    /// Targets and delegations are read when they are needed. What is no longer
    /// of one piece with the rest is told by its checksum.
    pub(super) fn file(&self, name: &str) -> Option<Bytes> {
        if let Some(set) = &self.remembered {
            return set.file(name).cloned();
        }
        match name {
            role::ROOT => self.stored.root.clone(),
            role::TIMESTAMP => self.stored.timestamp.clone(),
            role::SNAPSHOT => self.snapshot.clone(),
            _ => {
                let file =
                    self.update.store.view(self.update.gun).and_then(|view| view.read(name, MAX_FILE_BYTES));
                file.unwrap_or_else(|error| {
                    log::warn!("{error}; fetching the file instead");
                    None
                })
            }
        }
    }
}
