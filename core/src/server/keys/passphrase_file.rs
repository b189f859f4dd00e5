//! The passphrase that is made for a SQLite database: a file beside it,
//! `<database>.passphrase`, for this user only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::jwe;
use crate::metadata::hex;
use crate::{Error, Result};

/// 256 random bits as text.
pub(super) fn generate() -> Result<Zeroizing<String>> {
    let bytes: Zeroizing<[u8; 32]> =
        jwe::random().map_err(|fault| Error::Internal { reason: fault.to_string() })?.into();
    Ok(Zeroizing::new(hex(&*bytes)))
}

/// The passphrase of a database. Where there is none yet, it is made if
/// `make`, and is on the disk before this returns: a key that is encrypted with
/// it would be lost without it.
pub(super) fn read(database: &Path, make: bool) -> Result<Option<Zeroizing<String>>> {
    let mut path = database.as_os_str().to_owned();
    path.push(".passphrase");
    let path = PathBuf::from(path);
    let failed = |reason: String| Error::StoreError { path: path.display().to_string(), reason };
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound && make => {
            write(&path).map_err(|error| failed(format!("cannot be written: {error}")))?;
            // It may be that of another process, which was faster.
            fs::read_to_string(&path)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text,
    };
    let text = text.map(Zeroizing::new).map_err(|error| failed(format!("cannot be read: {error}")))?;
    let passphrase = text.trim_end();
    if passphrase.len() != 64 || !passphrase.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(failed("it is not the file that was made here: restore it".into()));
    }
    Ok(Some(Zeroizing::new(passphrase.to_owned())))
}

/// Under its name it is complete from the first moment; one that is there is
/// left alone.
fn write(path: &Path) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", hex(&jwe::random::<8>().map_err(io::Error::other)?)));
    let draft = PathBuf::from(draft);
    let text = generate().map_err(io::Error::other)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let linked = writeln!(file, "{}", *text)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&draft, path))
        .or_else(|error| if error.kind() == ErrorKind::AlreadyExists { Ok(()) } else { Err(error) });
    fs::remove_file(&draft)?;
    linked?;
    let directory = path.parent().filter(|parent| *parent != Path::new(""));
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_once_for_this_user_only() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("trust.db");
        assert_eq!(read(&database, false).unwrap(), None);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);

        let made = read(&database, true).unwrap().unwrap();
        assert_eq!(made.len(), 64);
        let path = dir.path().join("trust.db.passphrase");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for make in [true, false] {
            assert_eq!(read(&database, make).unwrap().as_ref(), Some(&made));
        }
        let names: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["trust.db.passphrase"]);
        assert_ne!(*read(&dir.path().join("other.db"), true).unwrap().unwrap(), *made);
    }

    #[test]
    fn of_many_who_make_it_all_get_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("trust.db");
        for _ in 0..20 {
            let made: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> =
                    (0..8).map(|_| scope.spawn(|| read(&database, true).unwrap())).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(made.iter().all(|one| *one == made[0]));
            assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
            fs::remove_file(dir.path().join("trust.db.passphrase")).unwrap();
        }
    }

    #[test]
    fn a_file_that_is_another_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trust.db.passphrase");
        for content in ["", "geheim\n", &"g".repeat(64), &"a".repeat(63)] {
            fs::write(&path, content).unwrap();
            let Err(Error::StoreError { path: named, reason }) = read(&dir.path().join("trust.db"), true)
            else {
                panic!("{content:?}");
            };
            assert_eq!(named, path.display().to_string());
            assert!(content.is_empty() || !reason.contains(content), "{reason}");
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        let nowhere = read(Path::new("/nonexistent/trust.db"), true);
        assert!(matches!(nowhere, Err(Error::StoreError { .. })));
    }
}
