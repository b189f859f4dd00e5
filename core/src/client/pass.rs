//! One pass over a repository's files, each from the cache where it has the
//! right bytes, else from the server.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::cache::Cache;
use super::update::Update;
use crate::error::{Error, Fault, Result};
use crate::metadata::{FileMeta, role};
use crate::trust::{Floors, MAX_FILE_BYTES, MAX_REPOSITORY_BYTES, TrustedSet};

/// One pass from the timestamp down to the last delegation.
pub(super) struct Pass<'a> {
    update: &'a Update<'a>,
    cache: &'a Cache<'a>,
    floors: Option<&'a Floors<'a>>,
    /// Roles whose files are not those of the cache.
    pub(super) downloaded: BTreeSet<String>,
    /// Bytes of all files so far.
    bytes: u64,
}

impl<'a> Pass<'a> {
    pub(super) fn new(update: &'a Update<'a>, cache: &'a Cache<'a>, floors: Option<&'a Floors<'a>>) -> Self {
        Self { update, cache, floors, downloaded: BTreeSet::new(), bytes: 0 }
    }

    pub(super) fn run(&mut self, set: &mut TrustedSet, timestamp: Bytes) -> Result<()> {
        self.downloaded.clear();
        self.bytes = 0;
        let is_new = self.cache.file(role::TIMESTAMP).as_ref() != Some(&timestamp);
        let floor = if is_new { self.floor(role::TIMESTAMP) } else { None };
        set.add_timestamp(timestamp, floor, self.update.moment())?;
        if is_new {
            self.downloaded.insert(role::TIMESTAMP.to_owned());
        }
        self.add(set, role::SNAPSHOT, set.snapshot_source().cloned())?;
        while let Some(name) = set.next_role().map(str::to_owned) {
            match set.source(&name).cloned() {
                None if name != role::TARGETS => {
                    // Stricter: for Notary it was never published, and a tag in
                    // it that was revoked may still stand in `targets`.
                    if let Some(known) = self.floor(&name) {
                        let gun = self.update.gun.into();
                        return Err(Error::RolledBack { gun, role: name, known, found: 0 });
                    }
                    set.skip_role();
                }
                source => self.add(set, &name, source)?,
            }
        }
        Ok(())
    }

    /// Adds a file that `source` describes: the cached one if it is that, else the server's.
    fn add(&mut self, set: &mut TrustedSet, name: &str, source: Option<FileMeta>) -> Result<()> {
        let source = source.ok_or_else(|| self.update.tampered(name, Fault::Missing))?;
        let now = self.update.moment();
        let apply = |set: &mut TrustedSet, file, floor| match name {
            role::SNAPSHOT => set.add_snapshot(file, floor, now),
            _ => set.add_role(file, floor, now),
        };
        self.count(name, source.length.min(MAX_FILE_BYTES))?;
        if let Some(cached) = self.cache.file(name) {
            match apply(set, cached, None) {
                Err(Error::Tampered {
                    role, fault: Fault::Checksum { .. } | Fault::TooLarge { .. }, ..
                }) if role == name => {}
                result => return result,
            }
        }
        let path = match source.sha256_hex() {
            Some(hash) => format!("{name}.{hash}.json"),
            None => format!("{name}.json"),
        };
        let file = self.update.listed(name, &path, source.length.min(MAX_FILE_BYTES))?;
        apply(set, file, self.floor(name))?;
        self.downloaded.insert(name.to_owned());
        Ok(())
    }

    fn count(&mut self, name: &str, bytes: u64) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_REPOSITORY_BYTES {
            return Err(self.update.tampered(name, Fault::TooLarge { limit: MAX_REPOSITORY_BYTES }));
        }
        Ok(())
    }

    fn floor(&self, name: &str) -> Option<i64> {
        self.floors?.of(name)
    }
}
