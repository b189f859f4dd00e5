//! Snapshots and timestamps in the making, without I/O: what is to be signed,
//! and the file once it is.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;

use super::storage::NewFile;
use crate::metadata::{FileMeta, Signature, Snapshot, role, write_file, write_snapshot, write_timestamp};

/// A file without signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unsigned {
    pub(super) role: &'static str,
    pub(super) version: i64,
    /// What is to be signed, in canonical form.
    pub(super) signed: Vec<u8>,
}

impl Unsigned {
    /// The file.
    pub(super) fn with(self, signatures: &[Signature]) -> NewFile {
        NewFile::new(self.role, self.version, write_file(&self.signed, signatures))
    }
}

/// The snapshot after `previous` (if there was one) in which these files have
/// changed. What else it listed stays, delegations that nobody declares any
/// more too, as in Notary.
pub(super) fn snapshot<'f>(
    previous: Option<&Snapshot>,
    changed: impl Iterator<Item = (&'f str, &'f Bytes)>,
    expires: SystemTime,
) -> Unsigned {
    let mut files = previous.map_or_else(BTreeMap::new, |previous| previous.files.clone());
    // Of the bytes as they are stored: a client will hash those.
    files.extend(changed.map(|(name, file)| (name.to_owned(), FileMeta::of(file))));
    let version = previous.map_or(0, |previous| previous.common.version).saturating_add(1);
    Unsigned { role: role::SNAPSHOT, version, signed: write_snapshot(&files, version, expires) }
}

/// The timestamp after version `previous` (0: the first) for this snapshot.
pub(super) fn timestamp(previous: i64, snapshot: &[u8], expires: SystemTime) -> Unsigned {
    let version = previous.saturating_add(1);
    let signed = write_timestamp(&FileMeta::of(snapshot), version, expires);
    Unsigned { role: role::TIMESTAMP, version, signed }
}
