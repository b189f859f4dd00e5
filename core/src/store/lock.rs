//! Locks between all threads and processes that use this library.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::disk::{self, failed};
use crate::{Error, Result};

/// How long a lock is waited for. Whoever has it changes files and waits for
/// nothing, so it takes longer only if that process was stopped.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is tried.
const PAUSE: Duration = Duration::from_millis(1);

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
        let until = Instant::now() + PATIENCE;
        loop {
            disk::create_dir(directory)?;
            // Everybody queues for `turn`, and a writer keeps it while it waits:
            // otherwise readers that overlap could keep writers out forever.
            let turn = Self::on(&directory.join("turn"), Kind::Exclusive, until)?;
            let lock = Self::on(&path, kind, until)?;
            drop(turn);
            // The repository may have been removed meanwhile (`notary delete`).
            if lock.exists() {
                return Ok(lock);
            }
        }
    }

    fn on(path: &Path, kind: Kind, until: Instant) -> Result<Self> {
        let file = disk::open_lock(path)?;
        loop {
            let tried = match kind {
                Kind::Shared => file.try_lock_shared(),
                Kind::Exclusive => file.try_lock(),
            };
            match tried {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    let reason = "another process does not let go of this lock; is it stopped?".into();
                    return Err(Error::StoreError { path: path.display().to_string(), reason });
                }
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => return Err(failed(path, "cannot be locked", &error)),
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_not_waited_for_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let held = Lock::acquire(dir.path(), Kind::Shared).unwrap();
        let lock = |kind, patience| Lock::on(&dir.path().join("lock"), kind, Instant::now() + patience);
        assert!(lock(Kind::Shared, Duration::ZERO).is_ok());
        let Err(Error::StoreError { path, reason }) = lock(Kind::Exclusive, Duration::from_millis(20)) else {
            panic!("another outcome");
        };
        assert!(path.ends_with("/lock") && reason.contains("another process"), "{path}: {reason}");
        drop(held);
        assert!(lock(Kind::Exclusive, Duration::ZERO).is_ok());
    }

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
