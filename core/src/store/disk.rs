//! The few ways in which files are changed: for this user only from the first
//! moment, and with errors that say what to do.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::{Error, Result};

/// Creates a directory and those above it, where they are missing.
pub(super) fn create_dir(path: &Path) -> Result<()> {
    change(path, "cannot be created", || DirBuilder::new().recursive(true).mode(0o700).create(path))
}

/// [`create_dir`], and waits until the disk has the names of what was missing.
pub(super) fn create_dir_synced(path: &Path) -> Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|d| *d != Path::new("") && !d.exists()).collect();
    create_dir(path)?;
    missing.into_iter().try_for_each(sync_parent)
}

/// Removes a directory and all in it; that there is none is fine.
pub(super) fn remove_dir(path: &Path) -> Result<()> {
    change(path, "cannot be removed", || match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    })
}

/// Removes a file; that there is none is fine.
pub(super) fn remove_file(path: &Path) -> Result<()> {
    change(path, "cannot be removed", || match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    })
}

/// Writes a file that is not there yet, and waits until the disk has it.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let failure = "cannot be written";
    let mut file =
        change(path, failure, || OpenOptions::new().write(true).create_new(true).mode(0o600).open(path))?;
    change(path, failure, || file.write_all(bytes))?;
    change(path, failure, || file.sync_all())
}

/// Moves a file or directory in one step, over a file of the new name.
pub(super) fn rename(from: &Path, to: &Path) -> Result<()> {
    change(to, "cannot be replaced", || fs::rename(from, to))
}

/// Waits until the disk has the names in a directory.
pub(super) fn sync_dir(path: &Path) -> Result<()> {
    change(path, "cannot be written", || File::open(path)?.sync_all())
}

/// Waits until the disk has the name of a file or directory, or that it is gone.
pub(super) fn sync_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) if parent == Path::new("") => sync_dir(Path::new(".")),
        Some(parent) => sync_dir(parent),
        None => Ok(()),
    }
}

/// Opens a file that exists only to be locked; to read it if that is all one may.
pub(super) fn open_lock(path: &Path) -> Result<File> {
    change(path, "cannot be opened", || {
        let all =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        all.or_else(|error| File::open(path).map_err(|_| error))
    })
}

/// An error of the trust directory: what happened, and what to do.
pub(super) fn failed(path: &Path, what: &str, error: &io::Error) -> Error {
    let advice = match error.kind() {
        ErrorKind::PermissionDenied => "; give this user access to it, or choose another trust directory",
        ErrorKind::ReadOnlyFilesystem => "; choose a trust directory that can be written",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; free some space",
        ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::AlreadyExists => {
            "; move away what stands in the way"
        }
        _ => "",
    };
    Error::StoreError { path: path.display().to_string(), reason: format!("{what}: {error}{advice}") }
}

/// The error for what stands where a file should be.
pub(super) fn in_the_way(path: &Path) -> Error {
    Error::StoreError {
        path: path.display().to_string(),
        reason: "it is no regular file; move it away".into(),
    }
}

/// Every change goes through here, so that the tests can stop at each.
fn change<T>(path: &Path, failure: &str, work: impl FnOnce() -> io::Result<T>) -> Result<T> {
    #[cfg(test)]
    let work = || super::tests::fault().and_then(|()| work());
    work().map_err(|error| failed(path, failure, &error))
}
