//! The checks that every file but the root goes through.

use std::time::SystemTime;

use bytes::Bytes;

use super::{MAX_FILE_BYTES, signatures};
use crate::error::{Error, Fault, Result, excerpt};
use crate::metadata::json::Malformed;
use crate::metadata::{Common, Envelope, FileMeta, RoleKeys, format_time, role};

/// Checks of one file, and whom to name if one fails.
#[derive(Clone, Copy)]
pub(crate) struct Check<'a> {
    pub(crate) gun: &'a str,
    pub(crate) role: &'a str,
    pub(crate) now: SystemTime,
}

impl Check<'_> {
    pub(crate) fn tampered(&self, fault: Fault) -> Error {
        Error::Tampered { gun: self.gun.into(), role: self.role.into(), fault }
    }

    pub(crate) fn form<T>(&self, result: Result<T, Malformed>) -> Result<T> {
        result.map_err(|malformed| self.tampered(Fault::Malformed(malformed.to_string())))
    }

    /// The bytes are those that the referring file names.
    pub(crate) fn sum(&self, source: Option<&FileMeta>, file: &[u8]) -> Result<()> {
        let source =
            source.ok_or_else(|| self.tampered(Fault::Malformed("no signed file refers to it".into())))?;
        let limit = source.length.min(MAX_FILE_BYTES);
        // The length is a cap, except for the root, which was fetched before it was known.
        if self.role != role::ROOT {
            self.size(file, limit)?;
        }
        source.check(file).map_err(|fault| self.tampered(fault))
    }

    pub(crate) fn size(&self, file: &[u8], limit: u64) -> Result<()> {
        if file.len() as u64 > limit { Err(self.tampered(Fault::TooLarge { limit })) } else { Ok(()) }
    }

    pub(crate) fn read(&self, file: Bytes, kind: &str) -> Result<Envelope> {
        let envelope = self.form(Envelope::read(file))?;
        self::kind(&envelope, kind).map_err(|fault| self.tampered(fault))?;
        Ok(envelope)
    }

    pub(crate) fn signatures(&self, envelope: &Envelope, keys: &RoleKeys) -> Result<()> {
        signatures::verify(envelope, &keys.keys, keys.threshold).map_err(|fault| self.tampered(fault))
    }

    /// Not older than what was seen; the same version may come again.
    pub(crate) fn not_older(&self, common: &Common, floor: Option<i64>) -> Result<()> {
        match floor {
            Some(known) if common.version < known => Err(Error::RolledBack {
                gun: self.gun.into(),
                role: self.role.into(),
                known,
                found: common.version,
            }),
            _ => Ok(()),
        }
    }

    /// Expired is what expires strictly before now.
    pub(crate) fn not_expired(&self, common: &Common) -> Result<()> {
        if common.expires < self.now {
            let expired = format_time(common.expires);
            return Err(Error::Expired { gun: self.gun.into(), role: self.role.into(), expired });
        }
        Ok(())
    }
}

pub(super) fn kind(envelope: &Envelope, expected: &str) -> Result<(), Fault> {
    let found = envelope.kind().map_err(|malformed| Fault::Malformed(malformed.to_string()))?;
    if found == expected {
        return Ok(());
    }
    Err(Fault::WrongType { expected: expected.into(), found: excerpt(&found, 64) })
}
