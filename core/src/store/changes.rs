//! Changes that are staged until they are published: Notary's changelist.
//!
//! ```text
//! <trust dir>/tuf/<GUN>/changelist/<20-digit nanoseconds>_<UUID>.change
//!                      /.tagtrust/changes/   files being written
//! ```
//!
//! Notary reads every file in `changelist`, whatever its name, in the order of
//! the names. So files are written elsewhere and come to their place complete.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::cache::Store;
use super::disk::{self, failed};
use super::lock::{Kind, Lock};
use crate::{Error, Result};

/// Largest change. Those of real life have a few kilobytes.
const MAX_CHANGE: u64 = 10 << 20;
/// What is read at once: most changes are smaller.
const TYPICAL_CHANGE: usize = 512;
/// Digits of the time in a file name.
const DIGITS: usize = 20;

/// The staged changes of one repository.
#[derive(Clone, Debug)]
pub(crate) struct Changelist {
    directory: PathBuf,
    private: PathBuf,
}

impl Store {
    /// The staged changes of a repository. Touches no file yet.
    pub(crate) fn changelist(&self, gun: &str) -> Result<Changelist> {
        let directory = self.directory(gun)?;
        Ok(Changelist { directory: directory.join("changelist"), private: directory.join(".tagtrust") })
    }
}

impl Changelist {
    /// Where a change is.
    pub(crate) fn path(&self, name: &OsStr) -> PathBuf {
        self.directory.join(name)
    }

    /// A change, if it is still there: somebody else may have published it.
    pub(crate) fn read(&self, name: &OsStr) -> Result<Option<Vec<u8>>> {
        read(&self.path(name))
    }

    /// Stages changes after all that are there.
    pub(crate) fn append(&self, changes: &[Vec<u8>], now: SystemTime) -> Result<()> {
        disk::create_dir_synced(&self.directory)?;
        let _lock = Lock::acquire(&self.private, Kind::Exclusive)?;
        let staging = self.private.join("changes");
        disk::remove_dir(&staging)?;
        let appended = self.append_by(&staging, changes, now);
        let removed = disk::remove_dir(&staging);
        appended.and(removed)
    }

    fn append_by(&self, staging: &Path, changes: &[Vec<u8>], now: SystemTime) -> Result<()> {
        disk::create_dir(staging)?;
        let first = self.next_time(now)?;
        let name = |time: u128| format!("{time:0DIGITS$}_{}.change", Uuid::new_v4());
        let names: Vec<_> = (first..).take(changes.len()).map(name).collect();
        for (name, content) in names.iter().zip(changes) {
            disk::write_new(&staging.join(name), content)?;
        }
        for name in &names {
            disk::rename(&staging.join(name), &self.directory.join(name))?;
        }
        disk::sync_dir(&self.directory)
    }

    /// Removes changes, by the names of their files. Others stay, also those
    /// that came meanwhile.
    pub(crate) fn remove<'a>(&self, names: impl IntoIterator<Item = &'a OsString>) -> Result<()> {
        if self.names()?.is_empty() {
            return Ok(());
        }
        let _lock = Lock::acquire(&self.private, Kind::Exclusive)?;
        for name in names {
            if Path::new(name).file_name() != Some(name) {
                return Err(Error::Internal { reason: format!("{name:?} names no file of a changelist") });
            }
            disk::remove_file(&self.path(name))?;
        }
        disk::sync_dir(&self.directory)
    }

    /// Now in nanoseconds, or later: after every change that is there, even if
    /// the clock went back.
    fn next_time(&self, now: SystemTime) -> Result<u128> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let Some((name, last)) = self.names()?.into_iter().rev().find_map(|name| {
            let time = time_of(name.to_str()?)?;
            Some((name, time))
        }) else {
            return Ok(now);
        };
        let next = now.max(last + 1);
        if next.to_string().len() > DIGITS {
            let path = self.path(&name);
            let reason = "nothing can be staged after its time; publish or remove it first";
            return Err(Error::StoreError { path: path.display().to_string(), reason: reason.into() });
        }
        Ok(next)
    }

    /// The names of all changes, in the order in which they apply. Directories
    /// are none.
    pub(crate) fn names(&self) -> Result<Vec<OsString>> {
        let unreadable = |error| failed(&self.directory, "cannot be read", &error);
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            result => result.map_err(unreadable)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(unreadable)?;
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_dir() {
                continue;
            }
            // Opening a named pipe would wait for its writer. There may be many
            // changes, so files are not asked for more than the directory says.
            if !kind.is_file() && !fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file()) {
                return Err(disk::in_the_way(&entry.path()));
            }
            names.push(entry.file_name());
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// The time in a file's name.
fn time_of(name: &str) -> Option<u128> {
    let (time, _) = name.split_once('_')?;
    let is_time = time.len() == DIGITS && time.bytes().all(|b| b.is_ascii_digit());
    is_time.then(|| time.parse().ok())?
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, "cannot be read", &error)),
    };
    let mut content = Vec::with_capacity(TYPICAL_CHANGE);
    let read = file.take(MAX_CHANGE + 1).read_to_end(&mut content);
    read.map_err(|error| failed(path, "cannot be read", &error))?;
    if content.len() as u64 > MAX_CHANGE {
        let reason = format!("it is larger than {MAX_CHANGE} bytes, and no staged change; move it away");
        return Err(Error::StoreError { path: path.display().to_string(), reason });
    }
    Ok(Some(content))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::thread;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::super::tests::{killed_after, store_error, tree};
    use super::*;

    const GUN: &str = "reg.io:5000/team/app";

    fn changelist() -> (TempDir, Changelist) {
        let dir = tempfile::tempdir().unwrap();
        let changes = Store::new(dir.path().join("trust")).changelist(GUN).unwrap();
        (dir, changes)
    }

    fn at(nanoseconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(nanoseconds)
    }

    fn append(list: &Changelist, contents: &[&str], time: u64) {
        let contents: Vec<_> = contents.iter().map(|content| content.as_bytes().to_vec()).collect();
        list.append(&contents, at(time)).unwrap();
    }

    fn contents(list: &Changelist) -> Vec<String> {
        let text = |name: OsString| String::from_utf8(list.read(&name).unwrap().unwrap()).unwrap();
        list.names().unwrap().into_iter().map(text).collect()
    }

    #[test]
    fn changes_lie_where_notary_has_them_and_are_private() {
        let (dir, list) = changelist();
        append(&list, &["a"], 1_600_000_000_000_000_001);
        let name = list.names().unwrap().remove(0).into_string().unwrap();
        let uuid = name.strip_prefix("01600000000000000001_").unwrap().strip_suffix(".change").unwrap();
        assert_eq!(Uuid::parse_str(uuid).unwrap().get_version_num(), 4);
        assert_eq!(uuid.len(), 36);
        let place = format!("trust/tuf/{GUN}/changelist");
        let tree = tree(dir.path());
        assert_eq!(tree[&place], 0o040_700);
        assert_eq!(tree[&format!("{place}/{name}")], 0o100_600);
        let left: Vec<_> = tree.keys().filter(|path| path.contains(".tagtrust/")).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn reading_creates_nothing() {
        let (dir, list) = changelist();
        assert_eq!(contents(&list), [""; 0]);
        list.remove(&[OsString::from("x")]).unwrap();
        assert!(tree(dir.path()).is_empty());
    }

    #[test]
    fn changes_keep_the_order_in_which_they_came_also_if_the_clock_goes_back() {
        let (_dir, list) = changelist();
        append(&list, &["1", "2", "3"], 5_000);
        append(&list, &["4", "5"], 5_001);
        append(&list, &["6"], 10);
        append(&list, &[], 10);
        list.append(&[b"7".to_vec()], UNIX_EPOCH - Duration::from_secs(1)).unwrap();
        append(&list, &["8"], 1 << 60);
        assert_eq!(contents(&list), ["1", "2", "3", "4", "5", "6", "7", "8"]);
    }

    #[test]
    fn files_are_read_whatever_their_names_and_directories_are_not() {
        let (_dir, list) = changelist();
        append(&list, &["ours"], 5);
        fs::write(list.directory.join("00000000000000000001_x.change"), "first").unwrap();
        fs::write(list.directory.join("zz"), "last").unwrap();
        fs::create_dir(list.directory.join("a.change")).unwrap();
        assert_eq!(contents(&list), ["first", "ours", "last"]);
        // A name without a time says nothing about the time.
        append(&list, &["next"], 1);
        assert_eq!(contents(&list), ["first", "ours", "next", "last"]);
    }

    #[test]
    fn only_the_given_changes_are_removed() {
        let (_dir, list) = changelist();
        append(&list, &["1", "2", "3"], 1);
        let names = list.names().unwrap();
        append(&list, &["4"], 9);
        list.remove([&names[0], &names[2], &OsString::from("gone.change")]).unwrap();
        assert_eq!(contents(&list), ["2", "4"]);
        for name in ["", "..", "../x", "a/b", "/etc/x"] {
            let refused = list.remove(&[OsString::from(name)]);
            assert!(matches!(refused, Err(Error::Internal { .. })), "{name:?}");
        }
        assert_eq!(contents(&list), ["2", "4"]);
    }

    #[test]
    fn where_no_later_time_has_twenty_digits_nothing_is_staged() {
        let (_dir, list) = changelist();
        append(&list, &[], 1);
        let last = list.directory.join("99999999999999999999_x.change");
        fs::write(&last, "last").unwrap();
        let (path, _) = store_error(list.append(&[b"after".to_vec()], at(1)));
        assert_eq!(path, last.display().to_string());
        assert_eq!(contents(&list), ["last"]);
    }

    #[test]
    fn a_death_at_any_moment_leaves_whole_changes_in_their_order() {
        let mut counts = BTreeSet::new();
        for changes in 0.. {
            let (_dir, list) = changelist();
            append(&list, &["0"], 1);
            let new = [b"1".to_vec(), b"2".to_vec()];
            let unharmed = killed_after(changes, || drop(list.append(&new, at(2))));
            let found = contents(&list);
            assert!(["0", "1", "2"].starts_with(&found.iter().map(String::as_str).collect::<Vec<_>>()));
            counts.insert(found.len());

            append(&list, &["next"], 3);
            assert_eq!(contents(&list)[found.len()..], ["next"]);
            assert_eq!(tree(&list.private).into_keys().collect::<Vec<_>>(), ["lock", "turn"]);
            if unharmed {
                break;
            }
        }
        assert_eq!(counts, BTreeSet::from([1, 2, 3]));
    }

    #[test]
    fn what_cannot_be_a_change_is_named() {
        let (_dir, list) = changelist();
        append(&list, &["1"], 1);
        let large = list.directory.join("large");
        fs::write(&large, vec![b' '; (MAX_CHANGE + 1) as usize]).unwrap();
        assert_eq!(store_error(list.read("large".as_ref())).0, large.display().to_string());
        fs::write(&large, vec![b' '; MAX_CHANGE as usize]).unwrap();
        assert!(list.read("large".as_ref()).unwrap().is_some());

        fs::remove_file(&large).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&large).status().unwrap().success());
        assert_eq!(store_error(list.names()).0, large.display().to_string());
        assert!(Store::new("x".into()).changelist("../x").is_err());
    }

    #[test]
    fn threads_that_append_at_once_lose_nothing() {
        let (_dir, list) = changelist();
        thread::scope(|scope| {
            for thread in 0..8 {
                let list = &list;
                scope.spawn(move || {
                    for round in 0..10 {
                        append(list, &[&format!("{thread} {round}")], 1);
                    }
                });
            }
        });
        let found = contents(&list);
        assert_eq!(found.len(), 80);
        for thread in 0..8 {
            let own: Vec<_> = found.iter().filter(|text| text.starts_with(&format!("{thread} "))).collect();
            assert!(own.is_sorted(), "{own:?}");
        }
    }
}
