//! A copy while everything goes on.

use std::ffi::c_int;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::super::{Result, StorageError};
use super::file;

/// Copies to a file that must not be there yet; it appears under its name when
/// all of it is on the disk.
pub(super) fn write(from: &Path, to: &Path) -> Result<()> {
    let failed = |error: io::Error| StorageError::Unavailable(format!("{}: {error}", to.display()));
    let to = std::path::absolute(to).map_err(failed)?;
    if to.try_exists().map_err(failed)? {
        return Err(failed(ErrorKind::AlreadyExists.into()));
    }
    let partial = partial_name(&to);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial).map_err(failed)?;
    let written = copy(from, &partial).and_then(|()| put_in_place(&partial, &to).map_err(failed));
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written
}

fn partial_name(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(format!(".{}.partial", uuid::Uuid::new_v4().simple()));
    name.into()
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let from = file::connect_reader(from)?;
    let mut to = Connection::open(to)?;
    // Nobody reads it before it is complete and synced.
    to.pragma_update(None, "journal_mode", "off")?;
    to.pragma_update(None, "synchronous", "off")?;
    // All pages in one step: from one snapshot, so that writers do not start it over.
    Ok(Backup::new(&from, &mut to)?.run_to_completion(c_int::MAX, Duration::from_millis(100), None)?)
}

fn put_in_place(partial: &Path, to: &Path) -> io::Result<()> {
    File::open(partial)?.sync_all()?;
    // A link never replaces a file that came meanwhile; some file systems have none.
    match fs::hard_link(partial, to) {
        Ok(()) => fs::remove_file(partial)?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
        Err(_) => fs::rename(partial, to)?,
    }
    file::sync_parent(to)
}
