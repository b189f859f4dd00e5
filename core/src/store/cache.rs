//! The metadata cache.
//!
//! ```text
//! <trust dir>/tuf/<GUN>/metadata/root.json, targets/releases.json, …   as Docker has it
//! <trust dir>/tuf/<GUN>/.tagtrust/lock, turn    locks
//!                                .../staging/   a set of new files being written
//!                                .../commit/    a complete set being moved to its place
//! ```
//!
//! Renaming `staging` to `commit` is the one moment from which the new files
//! count. Whoever finds a `commit` of somebody who died finishes it first. No
//! component of a GUN begins with a dot, so `.tagtrust` is no repository.
//!
//! Directories may be symbolic links. A link in the place of a file is followed
//! when reading, and replaced, not followed, when writing.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use memmap2::MmapMut;

use super::disk::{self, failed, in_the_way};
use super::lock::{Kind, Lock};
use crate::{Error, Result};

/// The size of a huge page, and from which on a file is read into some.
const HUGE_PAGE: usize = 2 << 20;

/// The metadata of all repositories under one trust directory.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    tuf: PathBuf,
}

/// What became of files handed to [`Store::commit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Committed {
    /// They are the cache now.
    Stored,
    /// The cache stays as somebody else left it.
    Kept,
}

impl Store {
    /// Touches no file yet.
    pub(crate) fn new(trust_dir: PathBuf) -> Self {
        Self { tuf: trust_dir.join("tuf") }
    }

    /// One repository's files as they are now. Nobody else who uses this
    /// library changes them while the view is alive, so drop it soon, and
    /// before a commit in the same thread.
    pub(crate) fn view(&self, gun: &str) -> Result<View> {
        let repository = self.repository(gun)?;
        if !repository.exists()? {
            return Ok(View { exists: false, unfinished: false, repository, _lock: None });
        }
        let mut view = View::take(&repository);
        if view.unfinished {
            // Given up first: two that keep theirs would wait for each other.
            drop(view);
            if let Err(error) = repository.recover() {
                log::debug!("reading through an unfinished commit: {error}");
            }
            view = View::take(&repository);
        }
        Ok(view)
    }

    /// Replaces files, given as role and bytes, in one step: whatever happens
    /// meanwhile, the cache holds all of them or none. `keep` sees what is
    /// there when nobody else can change it any more; true leaves it so.
    pub(crate) fn commit(
        &self,
        gun: &str,
        files: &[(&str, &[u8])],
        keep: &dyn Fn(&View) -> bool,
    ) -> Result<Committed> {
        let repository = self.repository(gun)?;
        let files =
            files.iter().map(|&(role, bytes)| Ok((file_of(role)?, bytes))).collect::<Result<Vec<_>>>()?;

        let lock = Lock::acquire(&repository.private, Kind::Exclusive)?;
        repository.roll_forward()?;
        let view = View { exists: true, unfinished: false, repository, _lock: Some(lock) };
        if keep(&view) {
            return Ok(Committed::Kept);
        }
        view.repository.publish(&files)?;
        view.repository.roll_forward()?;
        Ok(Committed::Stored)
    }

    /// Removes what is cached and staged of a repository. Repositories whose
    /// names begin with its name and a slash are below it, and stay.
    pub(crate) fn remove(&self, gun: &str) -> Result<()> {
        let directory = self.directory(gun)?;
        let repository = self.repository(gun)?;
        if !repository.exists()? && !directory.join("changelist").is_dir() {
            return Ok(());
        }
        let lock = Lock::acquire(&repository.private, Kind::Exclusive)?;
        // First what counts: a death in between leaves nothing that looks whole.
        for part in [&repository.commit(), &repository.metadata, &directory.join("changelist")] {
            disk::remove_dir(part)?;
        }
        disk::remove_dir(&repository.private)?;
        drop(lock);
        // Empty unless there are others below it.
        let _ = fs::remove_dir(&directory);
        Ok(())
    }

    /// Where all of one repository's files are.
    pub(super) fn directory(&self, gun: &str) -> Result<PathBuf> {
        Ok(self.tuf.join(checked(gun)?))
    }

    fn repository(&self, gun: &str) -> Result<Repository> {
        let directory = self.directory(gun)?;
        Ok(Repository { metadata: directory.join("metadata"), private: directory.join(".tagtrust") })
    }
}

/// A consistent look at one repository's files.
#[derive(Debug)]
pub(crate) struct View {
    repository: Repository,
    /// False if nothing was cached when the view was taken: then it stays empty.
    exists: bool,
    /// True if a commit could not be finished: its files come first.
    unfinished: bool,
    /// None where no lock can be had, as in a read-only directory.
    _lock: Option<Lock>,
}

impl View {
    fn take(repository: &Repository) -> Self {
        let lock = Lock::acquire(&repository.private, Kind::Shared)
            .inspect_err(|error| log::debug!("reading without a lock: {error}"))
            .ok();
        Self {
            exists: true,
            unfinished: repository.commit().exists(),
            repository: repository.clone(),
            _lock: lock,
        }
    }

    /// The file of a role. One larger than `limit` bytes counts as absent, as in
    /// Notary: whatever it is, it is not what was stored.
    pub(crate) fn read(&self, role: &str, limit: u64) -> Result<Option<Bytes>> {
        let file = file_of(role)?;
        if !self.exists {
            return Ok(None);
        }
        if self.unfinished {
            let path = self.repository.commit().join(&file);
            if let Some(found) = open(&path)? {
                return read(found, &path, limit);
            }
        }
        let path = self.repository.metadata.join(&file);
        open(&path)?.map_or(Ok(None), |found| read(found, &path, limit))
    }

    /// Where Docker keeps the file of a role.
    pub(crate) fn path(&self, role: &str) -> PathBuf {
        self.repository.metadata.join(format!("{role}.json"))
    }
}

/// Where one repository's files are.
#[derive(Clone, Debug)]
struct Repository {
    metadata: PathBuf,
    private: PathBuf,
}

impl Repository {
    fn staging(&self) -> PathBuf {
        self.private.join("staging")
    }

    fn commit(&self) -> PathBuf {
        self.private.join("commit")
    }

    /// Whether anything is cached. If not, reading must not create directories.
    fn exists(&self) -> Result<bool> {
        for directory in [&self.private, &self.metadata] {
            match directory.try_exists() {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => return Err(failed(directory, "cannot be read", &error)),
            }
        }
        Ok(false)
    }

    /// Commits a set of files: from the rename on, they count.
    fn publish(&self, files: &[(PathBuf, &[u8])]) -> Result<()> {
        let staged = self.stage(files);
        if let Err(error) = staged.and_then(|()| disk::rename(&self.staging(), &self.commit())) {
            // A full disk need not hold them until the next commit.
            let _ = disk::remove_dir(&self.staging());
            return Err(error);
        }
        disk::sync_dir(&self.private)
    }

    /// Writes a set of files aside, complete and durable.
    fn stage(&self, files: &[(PathBuf, &[u8])]) -> Result<()> {
        let staging = self.staging();
        let mut directories = BTreeSet::from([staging.clone()]);
        disk::create_dir(&staging)?;
        for (file, bytes) in files {
            // What would stop the commit half-way must stop it here.
            let place = self.metadata.join(file);
            place.parent().map_or(Ok(()), disk::create_dir)?;
            if place.is_dir() {
                return Err(in_the_way(&place));
            }
            let staged = staging.join(file);
            for directory in staged.ancestors().skip(1).take_while(|d| *d != staging) {
                directories.insert(directory.to_owned());
            }
            staged.parent().map_or(Ok(()), disk::create_dir)?;
            disk::write_new(&staged, bytes)?;
        }
        directories.iter().try_for_each(|d| disk::sync_dir(d))
    }

    fn recover(&self) -> Result<()> {
        let _lock = Lock::acquire(&self.private, Kind::Exclusive)?;
        self.roll_forward()
    }

    /// Finishes a commit and clears away what was never committed. Only for
    /// whoever holds the exclusive lock: the writer is dead, or oneself.
    fn roll_forward(&self) -> Result<()> {
        disk::remove_dir(&self.staging())?;
        let commit = self.commit();
        if commit.exists() {
            move_into(&commit, &self.metadata)?;
            disk::remove_dir(&commit)?;
        }
        Ok(())
    }
}

/// Moves files to the same places under another directory. May be repeated
/// until it succeeds.
fn move_into(from: &Path, to: &Path) -> Result<()> {
    disk::create_dir(to)?;
    let unreadable = |error| failed(from, "cannot be read", &error);
    let entries: Vec<_> = fs::read_dir(from).and_then(Iterator::collect).map_err(unreadable)?;
    for entry in entries {
        let place = to.join(entry.file_name());
        if entry.file_type().map_err(unreadable)?.is_dir() {
            move_into(&entry.path(), &place)?;
        } else {
            disk::rename(&entry.path(), &place)?;
        }
    }
    disk::sync_dir(to)
}

/// Opens a regular file, if it is there.
pub(super) fn open(path: &Path) -> Result<Option<File>> {
    match fs::metadata(path) {
        // Opening a named pipe would wait for its writer.
        Ok(metadata) if !metadata.is_file() => return Err(in_the_way(path)),
        _ => {}
    }
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, "cannot be read", &error)),
    }
}

fn read(file: File, path: &Path, limit: u64) -> Result<Option<Bytes>> {
    let unreadable = |error| failed(path, "cannot be read", &error);
    let length = file.metadata().map_err(unreadable)?.len();
    if length > limit {
        return Ok(None);
    }
    let size = usize::try_from(length).unwrap_or_default();
    let bytes = if size < HUGE_PAGE { read_small(file, size, limit) } else { read_large(file, size) };
    bytes.map(Some).map_err(unreadable)
}

fn read_small(file: File, size: usize, limit: u64) -> io::Result<Bytes> {
    let mut bytes = Vec::with_capacity(size);
    // No more than that, even if it grows meanwhile.
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

/// Reads into huge pages, where the system has them. A page fault for every
/// four kilobytes takes longer than all the rest of reading.
fn read_large(mut file: File, size: usize) -> io::Result<Bytes> {
    let mut memory = MmapMut::map_anon(size.next_multiple_of(HUGE_PAGE))?;
    #[cfg(target_os = "linux")]
    let _ = memory.advise(memmap2::Advice::HugePage);
    let mut filled = 0;
    // It may have been cut short meanwhile.
    loop {
        match file.read(memory.get_mut(filled..size).unwrap_or_default()) {
            Ok(0) => return Ok(Bytes::from_owner(memory).slice(..filled)),
            Ok(more) => filled += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn file_of(role: &str) -> Result<PathBuf> {
    Ok(PathBuf::from(format!("{}.json", checked(role)?)))
}

/// GUNs and roles were checked where they came from; here nothing may leave
/// the repository's directory even if they were not.
fn checked(name: &str) -> Result<&str> {
    if is_plain(name) {
        Ok(name)
    } else {
        Err(Error::Internal { reason: format!("{name:?} names no repository or role, and so no file") })
    }
}

/// Whether a name, components between slashes, stays below the directory that
/// it is joined to, and away from our own files.
pub(crate) fn is_plain(name: &str) -> bool {
    name.split('/').all(|component| {
        !component.is_empty()
            && !component.starts_with('.')
            && !component.contains(|c: char| c.is_control() || c == '\\')
    })
}
