use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::cache::Committed;
use super::lock::{Kind, Lock};
use super::{Store, View};
use crate::Error;

const GUN: &str = "reg.io:5000/team/app";
const ROLES: [&str; 5] = ["root", "targets", "targets/releases", "snapshot", "timestamp"];
const LIMIT: u64 = 1 << 20;

thread_local! {
    /// How many more changes to files this thread makes before it "dies".
    static LIFE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// What every change to a file asks first.
pub(super) fn fault() -> io::Result<()> {
    match LIFE.get() {
        Some(0) => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
        Some(left) => {
            LIFE.set(Some(left - 1));
            Ok(())
        }
        None => Ok(()),
    }
}

/// Runs as a process would that is killed after `changes` changes: nothing is
/// cleaned up, but its locks are gone. True if it came to its end before.
pub(super) fn killed_after(changes: usize, work: impl FnOnce()) -> bool {
    LIFE.set(Some(changes));
    work();
    LIFE.replace(None) != Some(0)
}

fn trust_dir() -> (TempDir, Store) {
    trust_dir_in(std::env::temp_dir())
}

fn trust_dir_in(place: PathBuf) -> (TempDir, Store) {
    let dir = tempfile::tempdir_in(place).unwrap();
    let store = Store::new(dir.path().join("trust"));
    (dir, store)
}

fn repository(dir: &TempDir) -> PathBuf {
    dir.path().join("trust/tuf").join(GUN)
}

/// Files that say to which set they belong; the length differs from set to set.
fn content(set: u64, role: &str) -> Vec<u8> {
    let filler = "x".repeat((set % 7) as usize * 1000);
    format!("{set} {role} {filler}").into_bytes()
}

fn commit(store: &Store, set: u64, keep: impl Fn(&View) -> bool) -> crate::Result<Committed> {
    let files = ROLES.map(|role| (role, content(set, role)));
    let files: Vec<_> = files.iter().map(|(role, bytes)| (*role, bytes.as_slice())).collect();
    store.commit(GUN, &files, &keep)
}

fn store_set(store: &Store, set: u64) {
    assert_eq!(commit(store, set, |_| false).unwrap(), Committed::Stored);
}

/// The set that a view shows; it must be one and whole.
fn set_in(view: &View) -> Option<u64> {
    let set_of = |role: &str| {
        let bytes = view.read(role, LIMIT).unwrap()?;
        let set = str::from_utf8(&bytes).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert_eq!(bytes, content(set, role));
        Some(set)
    };
    let sets = ROLES.map(set_of);
    assert_eq!(sets, [sets[0]; ROLES.len()], "a mixture");
    sets[0]
}

fn seen(store: &Store) -> Option<u64> {
    set_in(&store.view(GUN).unwrap())
}

/// Every path below, with its type and mode.
pub(super) fn tree(dir: &Path) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            found.insert(name, metadata.permissions().mode());
            if metadata.is_dir() {
                todo.push(path);
            }
        }
    }
    found
}

pub(super) fn store_error<T: std::fmt::Debug>(result: crate::Result<T>) -> (String, String) {
    match result {
        Err(Error::StoreError { path, reason }) => (path, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_lie_where_docker_has_them_and_are_private() {
    let (dir, store) = trust_dir();
    store_set(&store, 1);
    const DIR: u32 = 0o040_700;
    const FILE: u32 = 0o100_600;
    let repository = "trust/tuf/reg.io:5000/team/app";
    let mut expected = BTreeMap::from([
        ("trust".to_owned(), DIR),
        ("trust/tuf".to_owned(), DIR),
        ("trust/tuf/reg.io:5000".to_owned(), DIR),
        ("trust/tuf/reg.io:5000/team".to_owned(), DIR),
        (repository.to_owned(), DIR),
    ]);
    for (name, mode) in [
        ("metadata", DIR),
        ("metadata/root.json", FILE),
        ("metadata/targets.json", FILE),
        ("metadata/targets", DIR),
        ("metadata/targets/releases.json", FILE),
        ("metadata/snapshot.json", FILE),
        ("metadata/timestamp.json", FILE),
        (".tagtrust", DIR),
        (".tagtrust/lock", FILE),
        (".tagtrust/turn", FILE),
    ] {
        expected.insert(format!("{repository}/{name}"), mode);
    }
    assert_eq!(tree(dir.path()), expected);

    let view = store.view(GUN).unwrap();
    for role in ROLES {
        let path = view.path(role);
        assert_eq!(path, dir.path().join(format!("{repository}/metadata/{role}.json")));
        assert_eq!(fs::read(path).unwrap(), content(1, role));
    }
}

#[test]
fn reading_creates_nothing_for_a_repository_without_cache() {
    let (dir, store) = trust_dir();
    assert_eq!(seen(&store), None);
    assert_eq!(tree(dir.path()), BTreeMap::new());

    // Nor where the directory is there because of another repository.
    let below = format!("{GUN}/sub");
    store.commit(&below, &[("root", b"r")], &|_| false).unwrap();
    let before = tree(dir.path());
    assert_eq!(seen(&store), None);
    assert_eq!(tree(dir.path()), before);
}

#[test]
fn a_view_taken_before_the_first_commit_stays_empty() {
    let (_dir, store) = trust_dir();
    let view = store.view(GUN).unwrap();
    store_set(&store, 1);
    assert_eq!(set_in(&view), None);
    assert_eq!(seen(&store), Some(1));
}

#[test]
fn files_that_docker_wrote_are_read() {
    let (dir, store) = trust_dir();
    for role in ROLES {
        let path = repository(&dir).join(format!("metadata/{role}.json"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content(9, role)).unwrap();
    }
    assert_eq!(seen(&store), Some(9));
    store_set(&store, 10);
    assert_eq!(seen(&store), Some(10));
}

#[test]
fn a_commit_leaves_other_files_alone() {
    let (dir, store) = trust_dir();
    store_set(&store, 1);
    let change = repository(&dir).join("changelist/1.change");
    fs::create_dir(change.parent().unwrap()).unwrap();
    fs::write(&change, "staged").unwrap();

    store.commit(GUN, &[("timestamp", b"new")], &|_| false).unwrap();
    let view = store.view(GUN).unwrap();
    assert_eq!(view.read("timestamp", LIMIT).unwrap().unwrap(), "new");
    assert_eq!(view.read("targets/releases", LIMIT).unwrap().unwrap(), content(1, "targets/releases"));
    assert_eq!(view.read("targets/other", LIMIT).unwrap(), None);
    assert_eq!(fs::read(change).unwrap(), b"staged");
}

#[test]
fn a_removed_repository_leaves_nothing_and_its_neighbours_stay() {
    let (dir, store) = trust_dir();
    let below = format!("{GUN}/sub");
    fs::create_dir_all(dir.path().join("trust/tuf")).unwrap();
    for with_neighbour in [false, true] {
        if with_neighbour {
            store.commit(&below, &[("root", b"r")], &|_| false).unwrap();
        }
        let neighbour = tree(&dir.path().join("trust/tuf"));
        store_set(&store, 1);
        store.changelist(GUN).unwrap().append(&[b"staged".to_vec()], std::time::SystemTime::now()).unwrap();
        store.remove(GUN).unwrap();
        assert_eq!(seen(&store), None);
        if with_neighbour {
            assert_eq!(tree(&dir.path().join("trust/tuf")), neighbour);
        } else {
            assert!(!repository(&dir).exists());
        }
        let before = tree(dir.path());
        store.remove(GUN).unwrap();
        assert_eq!(tree(dir.path()), before);
    }
    store_set(&store, 2);
    assert_eq!(seen(&store), Some(2));
}

#[test]
fn a_file_larger_than_its_limit_counts_as_absent() {
    let (_dir, store) = trust_dir();
    store.commit(GUN, &[("root", b"12345"), ("targets", b"")], &|_| false).unwrap();
    let view = store.view(GUN).unwrap();
    assert_eq!(view.read("root", 5).unwrap().unwrap(), "12345");
    assert_eq!(view.read("root", 4).unwrap(), None);
    assert_eq!(view.read("root", u64::MAX).unwrap().unwrap(), "12345");
    assert_eq!(view.read("targets", 0).unwrap().unwrap(), "");
}

#[test]
fn files_of_every_size_are_read_whole() {
    let (_dir, store) = trust_dir();
    for size in [0, 1, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, 5_000_001] {
        let content: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        store.commit(GUN, &[("targets", &content)], &|_| false).unwrap();
        let view = store.view(GUN).unwrap();
        assert!(view.read("targets", size).unwrap().unwrap() == content, "{size}");
        assert_eq!(view.read("targets", size.wrapping_sub(1)).unwrap().is_none(), size > 0, "{size}");
    }
}

#[test]
fn keep_sees_what_is_there_and_leaves_it() {
    let (dir, store) = trust_dir();
    store_set(&store, 5);
    let before = tree(dir.path());
    let kept = commit(&store, 4, |view| set_in(view) >= Some(4)).unwrap();
    assert_eq!(kept, Committed::Kept);
    assert_eq!(seen(&store), Some(5));
    assert_eq!(tree(dir.path()), before);
    let stored = commit(&store, 6, |view| set_in(view) >= Some(6)).unwrap();
    assert_eq!(stored, Committed::Stored);
    assert_eq!(seen(&store), Some(6));
}

/// A writer dies after each of its changes in turn, and so does the first
/// reader who finds what it left.
#[test]
fn a_death_at_any_moment_leaves_the_old_set_or_the_new() {
    // Thousands of commits: in memory where there is such a place.
    let memory = PathBuf::from("/dev/shm");
    let place = Some(memory).filter(|m| m.is_dir()).unwrap_or_else(std::env::temp_dir);
    for old in [None, Some(1)] {
        let mut outcomes = Vec::new();
        for changes in 0.. {
            for reader_changes in 0.. {
                let (dir, store) = trust_dir_in(place.clone());
                old.inspect(|&set| store_set(&store, set));
                let unharmed = killed_after(changes, || drop(commit(&store, 2, |_| false)));
                let read_through = killed_after(reader_changes, || drop(store.view(GUN).map(|v| set_in(&v))));

                let found = seen(&store);
                assert!(found == old || found == Some(2), "{changes} {reader_changes}: {found:?}");
                assert!(!unharmed || found == Some(2));
                assert_eq!(seen(&store), found);
                store_set(&store, 3);
                assert_eq!(seen(&store), Some(3));
                let left: Vec<_> = tree(&repository(&dir).join(".tagtrust")).into_keys().collect();
                assert_eq!(left, ["lock", "turn"], "{changes} {reader_changes}");

                if read_through {
                    outcomes.push((found, unharmed));
                    break;
                }
            }
            if outcomes.last().is_some_and(|&(_, unharmed)| unharmed) {
                break;
            }
        }
        // From one moment on it is the new set, for good.
        let turning = outcomes.iter().position(|&(found, _)| found == Some(2)).unwrap();
        assert!(outcomes[turning..].iter().all(|&(found, _)| found == Some(2)));
        assert!(turning > 15 && outcomes.len() - turning > 7, "{turning} of {}", outcomes.len());
    }
}

#[test]
fn a_refused_change_leaves_the_set_as_it_was_and_is_explained() {
    let (_dir, store) = trust_dir();
    store_set(&store, 1);
    let mut error = None;
    assert!(!killed_after(0, || error = Some(commit(&store, 2, |_| false))));
    let (_, reason) = store_error(error.unwrap());
    assert!(reason.ends_with("choose a trust directory that can be written"), "{reason}");
    assert_eq!(seen(&store), Some(1));
}

/// Stops a commit of set 2 when some of its files are in place and some not.
fn leave_unfinished(dir: &TempDir, store: &Store) {
    store_set(store, 1);
    let place = repository(dir).join("metadata/timestamp.json");
    for changes in 0.. {
        killed_after(changes, || drop(commit(store, 2, |_| false)));
        let left = repository(dir).join(".tagtrust/commit");
        let moved = ROLES.iter().filter(|role| !left.join(format!("{role}.json")).exists()).count();
        if left.exists() && moved == 2 {
            break;
        }
        assert!(changes < 100 && place.exists());
        store_set(store, 1);
    }
}

#[test]
fn where_nothing_can_be_changed_an_unfinished_commit_is_read_through() {
    let (dir, store) = trust_dir();
    leave_unfinished(&dir, &store);
    let before = tree(dir.path());
    assert!(!killed_after(0, || assert_eq!(seen(&store), Some(2))));
    assert_eq!(tree(dir.path()), before);

    assert_eq!(seen(&store), Some(2));
    assert!(!repository(&dir).join(".tagtrust/commit").exists());
}

/// As root the modes do not bind; then only the test above shows it.
#[test]
fn a_read_only_directory_is_read() {
    let (dir, store) = trust_dir();
    leave_unfinished(&dir, &store);
    let set_modes = |directory: u32, file: u32| {
        let root = repository(&dir);
        for (path, mode) in tree(&root) {
            let mode = if mode & 0o040_000 != 0 { directory } else { file };
            let _ = fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode));
        }
    };
    set_modes(0o500, 0o400);
    let found = seen(&store);
    let may_write = fs::write(repository(&dir).join("metadata/probe"), "").is_ok();
    let committed = commit(&store, 3, |_| false);
    set_modes(0o700, 0o600);
    assert_eq!(found, Some(2));
    if !may_write {
        let (_, reason) = store_error(committed);
        assert!(reason.contains("give this user access"), "{reason}");
    }
}

#[test]
fn a_symbolic_link_in_the_place_of_a_file_is_replaced_and_not_followed() {
    let (dir, store) = trust_dir();
    store_set(&store, 1);
    let elsewhere = dir.path().join("elsewhere");
    fs::write(&elsewhere, content(1, "root")).unwrap();
    let place = repository(&dir).join("metadata/root.json");
    fs::remove_file(&place).unwrap();
    symlink(&elsewhere, &place).unwrap();

    assert_eq!(seen(&store), Some(1));
    store_set(&store, 2);
    assert_eq!(fs::read(&elsewhere).unwrap(), content(1, "root"));
    assert!(fs::symlink_metadata(place).unwrap().is_file());
}

#[test]
fn what_is_no_file_is_refused_before_anything_changes() {
    let (dir, store) = trust_dir();
    store_set(&store, 1);
    let place = repository(&dir).join("metadata/timestamp.json");
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    let before = tree(dir.path());
    let read = store.view(GUN).and_then(|view| view.read("timestamp", LIMIT));
    let committed = commit(&store, 2, |_| false);
    for result in [read.map(drop), committed.map(drop)] {
        let (path, reason) = store_error(result);
        assert_eq!(path, place.display().to_string());
        assert_eq!(reason, "it is no regular file; move it away");
    }
    assert_eq!(tree(dir.path()), before);
    assert_eq!(fs::read(place.with_file_name("root.json")).unwrap(), content(1, "root"));

    fs::remove_dir(&place).unwrap();
    let made = Command::new("mkfifo").arg(&place).status().unwrap();
    assert!(made.success());
    store_error(store.view(GUN).unwrap().read("timestamp", LIMIT));
}

#[test]
fn a_file_in_the_place_of_a_directory_is_named() {
    let (dir, store) = trust_dir();
    fs::write(dir.path().join("trust"), "").unwrap();
    for result in [store.view(GUN).map(|_| ()), commit(&store, 1, |_| false).map(|_| ())] {
        let (path, reason) = store_error(result);
        assert!(path.starts_with(&repository(&dir).display().to_string()), "{path}");
        assert!(reason.contains("Not a directory") || reason.contains("move away"), "{reason}");
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let (dir, store) = trust_dir();
    store_set(&store, 1);
    let view = store.view(GUN).unwrap();
    for name in [
        "",
        "/",
        ".",
        "..",
        "../x",
        "a/../b",
        "a//b",
        "/etc/x",
        "a/",
        "a/./b",
        ".tagtrust",
        "a/.b",
        "a\0b",
        "a\\b",
        "a\nb",
    ] {
        let refused = |error: Error| assert!(matches!(error, Error::Internal { .. }), "{name:?}: {error}");
        refused(store.view(name).unwrap_err());
        refused(store.commit(name, &[], &|_| false).unwrap_err());
        refused(view.read(name, LIMIT).unwrap_err());
        refused(store.commit(GUN, &[("root", b""), (name, b"")], &|_| false).unwrap_err());
    }
    drop(view);
    assert_eq!(seen(&store), Some(1));
    assert_eq!(fs::read_dir(dir.path().join("trust/tuf")).unwrap().count(), 1);
}

#[test]
fn a_repository_removed_while_its_lock_is_awaited_is_made_anew() {
    let (dir, store) = trust_dir();
    store_set(&store, 1);
    let private = repository(&dir).join(".tagtrust");
    let held = Lock::acquire(&private, Kind::Exclusive).unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let others_wait = |_: &View| {
                let lock = fs::File::open(private.join("lock"));
                assert!(lock.unwrap().try_lock().is_err(), "others meet another lock");
                false
            };
            commit(&store, 2, others_wait).unwrap()
        });
        thread::sleep(Duration::from_millis(50));
        assert!(!writer.is_finished());
        fs::remove_dir_all(repository(&dir)).unwrap();
        drop(held);
        assert_eq!(writer.join().unwrap(), Committed::Stored);
    });
    assert_eq!(seen(&store), Some(2));
}

#[test]
fn readers_that_overlap_do_not_keep_a_writer_out() {
    let (_dir, store) = trust_dir();
    store_set(&store, 1);
    let done = AtomicBool::new(false);
    let slowest = thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let view = store.view(GUN).unwrap();
                    thread::sleep(Duration::from_millis(5));
                    drop(view);
                }
            });
        }
        thread::sleep(Duration::from_millis(50));
        let waits = (2..7).map(|set| {
            let start = Instant::now();
            store_set(&store, set);
            start.elapsed()
        });
        let slowest = waits.max().unwrap();
        done.store(true, Ordering::Relaxed);
        slowest
    });
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
}

#[test]
fn threads_never_see_a_mixture_nor_an_older_set() {
    let (_dir, store) = trust_dir();
    let next = AtomicU64::new(1);
    let end = Instant::now() + Duration::from_secs(1);
    thread::scope(|scope| {
        for thread in 0..16 {
            let (store, next) = (&store, &next);
            scope.spawn(move || {
                let mut last = None;
                while Instant::now() < end {
                    if thread % 4 == 0 {
                        let set = next.fetch_add(1, Ordering::Relaxed);
                        commit(store, set, |view| set_in(view) > Some(set)).unwrap();
                    }
                    let found = seen(store);
                    assert!(found >= last, "{found:?} after {last:?}");
                    last = found;
                }
                assert!(last.is_some());
            });
        }
    });
}

const CHILD: &str = "TAGTRUST_TEST_TRUST_DIR";

/// Not a test of its own: what the processes of the next test do until they
/// are killed.
#[test]
fn child_that_commits_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let store = Store::new(PathBuf::from(dir));
    loop {
        let next = seen(&store).unwrap_or(0) + 1;
        commit(&store, next, |view| set_in(view) >= Some(next)).unwrap();
    }
}

#[test]
fn killed_processes_leave_one_set_that_others_can_use() {
    let (dir, store) = trust_dir();
    let mut last = None;
    for round in 0..20 {
        let mut children: Vec<_> = (0..3)
            .map(|_| {
                Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "store::tests::child_that_commits_until_it_is_killed"])
                    .env(CHILD, dir.path().join("trust"))
                    .stdout(Stdio::null())
                    .spawn()
                    .unwrap()
            })
            .collect();
        thread::sleep(Duration::from_millis(25 + round * 7 % 30));
        for child in &mut children {
            assert_eq!(child.try_wait().unwrap(), None, "a child ended on its own");
            child.kill().unwrap();
            child.wait().unwrap();
            let found = seen(&store);
            assert!(found >= last, "{found:?} after {last:?}");
            last = found;
        }
    }
    assert!(last > Some(20), "{last:?}");
}
