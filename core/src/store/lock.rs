//! Locks between all threads and processes that use this library.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::disk::{self, failed};
use crate::Result;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// For reading, together with others.
    Shared,
    /// For changing, alone.
    Exclusive,
}

/// A lock, held until it is dropped or the process dies.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Waits for the lock of a directory, which is created if it is missing.
    pub(super) fn acquire(directory: &Path, kind: Kind) -> Result<Self> {
        let path = directory.join("lock");
        loop {
            disk::create_dir(directory)?;
            // Everybody queues for `turn`, and a writer keeps it while it waits:
            // otherwise readers that overlap could keep writers out forever.
            let turn = Self::on(&directory.join("turn"), Kind::Exclusive)?;
            let lock = Self::on(&path, kind)?;
            drop(turn);
            // The repository may have been removed meanwhile (`notary delete`).
            if lock.exists() {
                return Ok(lock);
            }
        }
    }

    fn on(path: &Path, kind: Kind) -> Result<Self> {
        let file = disk::open_lock(path)?;
        let wait = || match kind {
            Kind::Shared => file.lock_shared(),
            Kind::Exclusive => file.lock(),
        };
        uninterrupted(wait).map_err(|error| failed(path, "cannot be locked", &error))?;
        Ok(Self(file))
    }

    fn exists(&self) -> bool {
        self.0.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a process forked meanwhile has the file open too.
        let _ = self.0.unlock();
    }
}

/// Repeats what a signal interrupted.
fn uninterrupted(mut work: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        match work() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_although_another_process_inherited_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::acquire(dir.path(), Kind::Exclusive).unwrap();
        let other = File::open(dir.path().join("lock")).unwrap();
        assert!(other.try_lock().is_err());
        // What a fork does to the file.
        let _inherited = lock.0.try_clone().unwrap();
        drop(lock);
        other.try_lock().unwrap();
    }
}
