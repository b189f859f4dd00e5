//! What every storage must do, run over all of them. Each test has two handles
//! on the same data, as two servers would.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;

use super::*;

struct Storages {
    a: Arc<dyn Storage>,
    b: Arc<dyn Storage>,
    /// Holds what is on disk.
    _directory: Option<tempfile::TempDir>,
}

macro_rules! every_storage {
    ($($name:ident,)*) => {
        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&super::memory()).await;
            })*
        }
        mod in_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&super::sqlite().await).await;
            })*
        }
        mod in_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                if let Some(storages) = super::postgres().await {
                    super::$name(&storages).await;
                }
            })*
        }
    };
}

every_storage! {
    what_is_committed_is_found,
    bytes_and_times_are_kept_exactly,
    the_newest_timestamp_has_the_highest_version,
    versions_may_skip_and_come_several_at_once,
    a_change_judged_against_another_timestamp_conflicts,
    what_is_not_newer_is_refused_and_nothing_stored,
    a_conflict_is_found_before_an_old_version,
    of_changes_on_one_base_exactly_one_wins,
    of_first_uploads_exactly_one_wins,
    only_the_named_repository_is_deleted,
    a_deleted_repository_can_begin_again,
    a_deletion_and_a_change_do_not_mix,
    the_feed_has_windows,
    the_feed_of_one_repository_has_windows,
    who_follows_the_feed_misses_nothing,
    repositories_are_listed_bytewise,
    pruning_keeps_the_newest_and_the_live,
    pruning_against_another_timestamp_does_nothing,
    an_unused_key_is_the_same_for_everyone,
    racing_for_a_key_gives_everyone_the_same,
    a_key_is_used_with_the_commit_that_says_so,
    keys_survive_the_repository,
    keys_of_other_aliases_come_in_pages,
    a_key_is_rewrapped_only_from_what_it_was,
    racing_for_parameters_gives_everyone_the_same,
    an_import_can_be_run_again,
    changes_after_an_import_have_higher_ids,
    imported_changes_give_way_to_what_is_there,
    an_import_leaves_alone_what_is_there,
    an_import_forgets_what_the_other_server_deleted,
    a_healthy_storage_says_so,
}

fn memory() -> Storages {
    let storage: Arc<dyn Storage> = Arc::new(Memory::default());
    Storages { a: Arc::clone(&storage), b: storage, _directory: None }
}

async fn sqlite() -> Storages {
    let directory = tempfile::tempdir().unwrap();
    let config = StorageConfig::Sqlite { path: directory.path().join("server.db") };
    let [a, b] = [open(&config, false).await.unwrap(), open(&config, false).await.unwrap()];
    Storages { a, b, _directory: Some(directory) }
}

async fn postgres() -> Option<Storages> {
    let url = test_database::new_database()?.into();
    let config = StorageConfig::Postgres { url, max_connections: 4 };
    let [a, b] = [open(&config, false).await.unwrap(), open(&config, false).await.unwrap()];
    Some(Storages { a, b, _directory: None })
}

const GUN: &str = "reg.example/team/app";

fn file(role: &str, version: i64) -> NewFile {
    NewFile::new(role, version, format!("{role} {version}\n"))
}

fn base(timestamp: &NewFile) -> Base {
    Base { version: timestamp.version, sha256: timestamp.sha256 }
}

async fn commit(storage: &dyn Storage, gun: &str, base: Option<Base>, files: &[NewFile]) -> Result<()> {
    storage.commit(Commit { gun, base, files, used_keys: &[] }).await
}

/// Stores this version of all four roles over the one before it.
async fn publish(storage: &dyn Storage, gun: &str, version: i64) -> Base {
    let before = (version > 1).then(|| base(&file("timestamp", version - 1)));
    let files = ["root", "targets", "snapshot", "timestamp"].map(|role| file(role, version));
    commit(storage, gun, before, &files).await.unwrap();
    base(&files[3])
}

async fn all_changes(storage: &dyn Storage) -> Vec<Change> {
    storage.changes(None, Window::After(0), usize::MAX).await.unwrap()
}

fn key(id: &str, gun: &str, role: &str) -> KeyRecord {
    KeyRecord {
        id: id.to_owned(),
        gun: gun.to_owned(),
        role: role.to_owned(),
        algorithm: "ed25519".to_owned(),
        public: vec![0, 1, 255],
        secret: format!("secret of {id}"),
        alias: "alias_1".to_owned(),
        used: None,
    }
}

async fn what_is_committed_is_found(Storages { a, b, .. }: &Storages) {
    assert_eq!(a.timestamp(GUN).await, Ok(None));
    assert_eq!(all_changes(&**a).await, []);
    let files = ["root", "targets", "targets/a/b", "snapshot", "timestamp"].map(|role| file(role, 1));
    commit(&**a, GUN, None, &files).await.unwrap();

    let timestamp = b.timestamp(GUN).await.unwrap().unwrap();
    assert_eq!((timestamp.version, &timestamp.bytes[..]), (1, &b"timestamp 1\n"[..]));
    for file in &files {
        let by_version = b.by_version(GUN, &file.role, 1).await.unwrap().unwrap();
        let by_hash = b.by_sha256(GUN, &file.role, &file.sha256).await.unwrap().unwrap();
        assert_eq!(by_version, by_hash);
        assert_eq!((&by_version.role, &by_version.bytes), (&file.role, &file.bytes));
        assert_eq!(by_version.sha256, file.sha256);
        assert!(by_version.stored.elapsed().unwrap() < Duration::from_secs(60));
    }
    let root = &files[0].sha256;
    assert_eq!(b.by_sha256(GUN, "targets", root).await, Ok(None), "under another role");
    assert_eq!(b.by_sha256("reg.example/other", "root", root).await, Ok(None), "in another repository");
    for version in [i64::MIN, -1, 0, 2, i64::MAX] {
        assert_eq!(b.by_version(GUN, "root", version).await, Ok(None));
    }
    let changes = all_changes(&**b).await;
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].gun.as_str(), changes[0].id > 0), (GUN, true));
    assert_eq!(changes[0].kind, ChangeKind::Update { version: 1, sha256: files[4].sha256 });
}

async fn bytes_and_times_are_kept_exactly(Storages { a, b, .. }: &Storages) {
    let every_byte: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let files = [NewFile::new("timestamp", i64::MAX, every_byte), NewFile::new("root", 1, "")];
    let before = SystemTime::now();
    commit(&**a, GUN, None, &files).await.unwrap();
    let stored = b.timestamp(GUN).await.unwrap().unwrap();
    assert_eq!((stored.version, &stored.bytes), (i64::MAX, &files[0].bytes));
    assert!(before <= stored.stored && stored.stored <= SystemTime::now());
    assert_eq!(b.by_version(GUN, "root", 1).await.unwrap().unwrap().bytes, "");
}

async fn the_newest_timestamp_has_the_highest_version(Storages { a, b, .. }: &Storages) {
    for version in 1..=11 {
        publish(&**a, GUN, version).await;
        assert_eq!(b.timestamp(GUN).await.unwrap().unwrap().version, version);
    }
}

async fn versions_may_skip_and_come_several_at_once(Storages { a, b, .. }: &Storages) {
    let base = publish(&**a, GUN, 1).await;
    let files = [file("root", 9), file("root", 7), file("timestamp", 40)];
    commit(&**b, GUN, Some(base), &files).await.unwrap();
    assert!(a.by_version(GUN, "root", 7).await.unwrap().is_some());
    assert!(a.by_version(GUN, "root", 9).await.unwrap().is_some());
    assert_eq!(a.timestamp(GUN).await.unwrap().unwrap().version, 40);
}

/// All that can be seen of a repository.
async fn seen(storage: &dyn Storage, gun: &str) -> (Vec<StoredFile>, Vec<Change>) {
    let mut files = Vec::new();
    for role in ["root", "targets", "snapshot", "timestamp", "targets/new"] {
        for version in 0..5 {
            files.extend(storage.by_version(gun, role, version).await.unwrap());
        }
    }
    (files, all_changes(storage).await)
}

async fn a_change_judged_against_another_timestamp_conflicts(Storages { a, b, .. }: &Storages) {
    let first = publish(&**a, GUN, 1).await;
    let second = publish(&**b, GUN, 2).await;
    a.add_key(&key("k", GUN, "timestamp")).await.unwrap();
    let before = seen(&**a, GUN).await;
    let other = Base { sha256: [7; 32], ..second };
    for base in [None, Some(first), Some(other), Some(Base { version: 3, ..second })] {
        let files = [file("targets", 3), file("timestamp", 3)];
        let used_keys = &["k".to_owned()];
        let change = Commit { gun: GUN, base, files: &files, used_keys };
        assert_eq!(b.commit(change).await, Err(StorageError::Conflict));
    }
    let nothing = commit(&**b, "reg.example/none", Some(first), &[file("timestamp", 2)]).await;
    assert_eq!(nothing, Err(StorageError::Conflict));
    assert_eq!(seen(&**a, GUN).await, before);
    assert_eq!(a.key("k").await.unwrap().unwrap().used, None);
    assert_eq!(a.repositories("", 9).await.unwrap(), [GUN]);
}

async fn what_is_not_newer_is_refused_and_nothing_stored(Storages { a, b, .. }: &Storages) {
    publish(&**a, GUN, 1).await;
    publish(&**a, GUN, 2).await;
    let newest = publish(&**a, GUN, 3).await;
    let before = seen(&**a, GUN).await;
    let refused = |role: &str, version| Err(StorageError::NotNewer { role: role.to_owned(), version });
    for (role, version) in [("targets", 3), ("targets", 2), ("root", -1), ("snapshot", i64::MIN)] {
        let files = [file("targets/new", 1), file(role, version), file("timestamp", 4)];
        assert_eq!(commit(&**b, GUN, Some(newest), &files).await, refused(role, version));
    }
    let twice = [file("timestamp", 4), file("targets/new", 1), NewFile::new("targets/new", 1, "else")];
    assert_eq!(commit(&**b, GUN, Some(newest), &twice).await, refused("targets/new", 1));
    let stale = [file("targets/new", 1), NewFile::new("timestamp", 3, "else")];
    assert_eq!(commit(&**b, GUN, Some(newest), &stale).await, refused("timestamp", 3));
    assert_eq!(seen(&**a, GUN).await, before);
}

async fn a_conflict_is_found_before_an_old_version(Storages { a, b, .. }: &Storages) {
    publish(&**a, GUN, 1).await;
    let files = [file("root", 1), file("timestamp", 1)];
    assert_eq!(commit(&**b, GUN, None, &files).await, Err(StorageError::Conflict));
}

/// So many changes at once, each with a timestamp of its own. Exactly one wins.
async fn race(Storages { a, b, .. }: &Storages, base: Option<Base>, version: i64, racers: usize) {
    let mut tasks = JoinSet::new();
    for i in 0..racers {
        let storage = Arc::clone(if i % 2 == 0 { a } else { b });
        tasks.spawn(async move {
            let files =
                [file("targets", version), NewFile::new("timestamp", version, format!("by {i} {version}"))];
            (commit(&*storage, GUN, base, &files).await, files)
        });
    }
    let (winners, losers): (Vec<_>, Vec<_>) =
        tasks.join_all().await.into_iter().partition(|(result, _)| result.is_ok());
    assert_eq!(winners.len(), 1);
    assert!(losers.iter().all(|(result, _)| *result == Err(StorageError::Conflict)), "{losers:?}");
    assert_eq!(a.timestamp(GUN).await.unwrap().unwrap().bytes, winners[0].1[1].bytes);
    let update = ChangeKind::Update { version, sha256: winners[0].1[1].sha256 };
    let entries = all_changes(&**b).await;
    assert_eq!(entries.iter().map(|entry| entry.kind).collect::<Vec<_>>().last(), Some(&update));
    assert_eq!(entries.len(), usize::try_from(version).unwrap());
}

async fn of_changes_on_one_base_exactly_one_wins(storages: &Storages) {
    publish(&*storages.a, GUN, 1).await;
    for version in 2..8 {
        let newest = storages.a.timestamp(GUN).await.unwrap().unwrap();
        let base = Base { version: newest.version, sha256: newest.sha256 };
        race(storages, Some(base), version, 8).await;
    }
}

async fn of_first_uploads_exactly_one_wins(storages: &Storages) {
    race(storages, None, 1, 32).await;
}

async fn only_the_named_repository_is_deleted(Storages { a, b, .. }: &Storages) {
    let guns = ["a/p", "a/pq", "a/p/q", "A/p", "a/%", "a/_", "a/ü", "a/u\u{308}", "a/p ", "a"];
    for gun in guns {
        publish(&**a, gun, 1).await;
    }
    assert_eq!(b.delete("a/none").await, Ok(false));
    assert_eq!(b.delete("a/").await, Ok(false));
    for (i, gun) in guns.iter().enumerate() {
        assert_eq!(b.delete(gun).await, Ok(true), "{gun}");
        assert_eq!(a.delete(gun).await, Ok(false), "{gun}");
        assert_eq!(a.timestamp(gun).await, Ok(None), "{gun}");
        assert_eq!(a.by_version(gun, "root", 1).await, Ok(None), "{gun}");
        for left in &guns[i + 1..] {
            assert!(a.timestamp(left).await.unwrap().is_some(), "{left} after {gun}");
        }
    }
    let changes = all_changes(&**a).await;
    let deleted: Vec<_> =
        changes.iter().filter(|c| c.kind == ChangeKind::Deletion).map(|c| c.gun.as_str()).collect();
    assert_eq!(deleted, guns);
    assert_eq!(changes.len(), 2 * guns.len());
}

async fn a_deleted_repository_can_begin_again(Storages { a, b, .. }: &Storages) {
    publish(&**a, GUN, 1).await;
    publish(&**a, GUN, 2).await;
    b.delete(GUN).await.unwrap();
    assert_eq!(a.repositories("", 9).await.unwrap(), [""; 0]);
    publish(&**a, GUN, 1).await;
    let kinds: Vec<_> = all_changes(&**b).await.into_iter().map(|change| (change.id, change.kind)).collect();
    let update = |version| ChangeKind::Update { version, sha256: file("timestamp", version).sha256 };
    assert_eq!(
        kinds.iter().map(|(_, kind)| *kind).collect::<Vec<_>>(),
        [update(1), update(2), ChangeKind::Deletion, update(1)]
    );
    assert!(kinds.is_sorted_by(|(x, _), (y, _)| x < y));
}

async fn a_deletion_and_a_change_do_not_mix(Storages { a, b, .. }: &Storages) {
    for _ in 0..20 {
        let base = publish(&**a, GUN, 1).await;
        let storage = Arc::clone(b);
        let change = tokio::spawn(async move {
            commit(&*storage, GUN, Some(base), &[file("targets", 2), file("timestamp", 2)]).await
        });
        assert_eq!(a.delete(GUN).await, Ok(true));
        let changed = change.await.unwrap();
        assert!(matches!(changed, Ok(()) | Err(StorageError::Conflict)), "{changed:?}");
        assert_eq!(seen(&**a, GUN).await.0, []);
        let last = b.changes(Some(GUN), Window::Newest, 2).await.unwrap();
        assert_eq!(last[1].kind, ChangeKind::Deletion);
        assert_eq!(
            changed.is_ok(),
            last[0].kind == ChangeKind::Update { version: 2, sha256: file("timestamp", 2).sha256 }
        );
    }
}

async fn the_feed_has_windows(Storages { a, b, .. }: &Storages) {
    for version in 1..=6 {
        publish(&**a, GUN, version).await;
    }
    let all = all_changes(&**b).await;
    assert_eq!(all.len(), 6);
    let id = |i: usize| all[i].id;
    for (window, count, expected) in [
        (Window::After(0), 2, 0..2),
        (Window::After(id(1)), 2, 2..4),
        (Window::After(id(4)), 9, 5..6),
        (Window::After(id(5)), 9, 6..6),
        (Window::After(i64::MAX), 9, 6..6),
        (Window::After(-5), 1, 0..1),
        (Window::Before(id(3)), 2, 1..3),
        (Window::Before(id(1)), 9, 0..1),
        (Window::Before(id(0)), 9, 0..0),
        (Window::Before(i64::MAX), 1, 5..6),
        (Window::Newest, 2, 4..6),
        (Window::Newest, 9, 0..6),
        (Window::Newest, 0, 0..0),
        (Window::After(0), 0, 0..0),
    ] {
        let changes = b.changes(None, window, count).await.unwrap();
        assert_eq!(changes, all[expected], "{window:?} {count}");
    }
}

async fn the_feed_of_one_repository_has_windows(Storages { a, b, .. }: &Storages) {
    for version in 1..=3 {
        for gun in ["a/p", "a/pq", "A/p"] {
            publish(&**a, gun, version).await;
        }
    }
    let all: Vec<_> = all_changes(&**b).await.into_iter().filter(|change| change.gun == "a/p").collect();
    assert_eq!(all.len(), 3);
    for (window, count, expected) in [
        (Window::After(0), 9, 0..3),
        (Window::After(all[0].id), 1, 1..2),
        (Window::After(all[0].id + 1), 9, 1..3),
        (Window::Before(all[2].id), 1, 1..2),
        (Window::Before(all[2].id), 9, 0..2),
        (Window::Newest, 1, 2..3),
    ] {
        let changes = b.changes(Some("a/p"), window, count).await.unwrap();
        assert_eq!(changes, all[expected], "{window:?} {count}");
    }
    assert_eq!(b.changes(Some("a/"), Window::After(0), 9).await.unwrap(), []);
}

async fn who_follows_the_feed_misses_nothing(Storages { a, b, .. }: &Storages) {
    const WRITERS: usize = 8;
    const EACH: usize = 15;
    let mut writers = JoinSet::new();
    for i in 0..WRITERS {
        let storage = Arc::clone(if i % 2 == 0 { a } else { b });
        writers.spawn(async move {
            let gun = format!("reg.example/{i}");
            for version in 1..=EACH as i64 {
                publish(&*storage, &gun, version).await;
            }
        });
    }
    let mut followed = Vec::new();
    while followed.len() < WRITERS * EACH {
        let last = followed.last().map_or(0, |change: &Change| change.id);
        let news = b.changes(None, Window::After(last), 10).await.unwrap();
        if news.is_empty() && writers.is_empty() {
            break;
        }
        followed.extend(news);
        while writers.try_join_next().is_some() {}
    }
    writers.join_all().await;
    assert_eq!(followed, all_changes(&**a).await);
    assert_eq!(followed.len(), WRITERS * EACH);
}

async fn repositories_are_listed_bytewise(Storages { a, b, .. }: &Storages) {
    let mut guns = ["b", "a/b", "a", "a/B", "A", "a-b", "a/ü", "z", "Ä", "a/b/c", "日本", "a'b\"c%"];
    for gun in guns {
        publish(&**a, gun, 1).await;
        publish(&**a, gun, 2).await;
    }
    publish(&**a, "deleted", 1).await;
    a.delete("deleted").await.unwrap();
    a.add_key(&key("k", "only a key", "snapshot")).await.unwrap();
    guns.sort_unstable();
    assert_eq!(b.repositories("", usize::MAX).await.unwrap(), guns);
    for (i, gun) in guns.iter().enumerate() {
        let next = b.repositories(gun, 3).await.unwrap();
        assert_eq!(next, guns[i + 1..].iter().take(3).copied().collect::<Vec<_>>());
    }
    assert_eq!(b.repositories("", 0).await.unwrap(), [""; 0]);
    assert_eq!(b.repositories("a/", 1).await.unwrap(), ["a/B"]);
}

async fn pruning_keeps_the_newest_and_the_live(Storages { a, b, .. }: &Storages) {
    let other = publish(&**a, "a/pq", 1).await;
    let mut newest = other;
    for version in 1..=4 {
        newest = publish(&**a, "a/p", version).await;
    }
    let live = [
        ("snapshot".to_owned(), file("snapshot", 1).sha256),
        ("targets".to_owned(), file("snapshot", 2).sha256),
    ];
    assert_eq!(b.prune("a/p", newest, 2, &live).await, Ok(5));
    let left: Vec<_> = seen(&**a, "a/p").await.0.into_iter().map(|file| (file.role, file.version)).collect();
    let expected = [
        ("root", 1),
        ("root", 2),
        ("root", 3),
        ("root", 4),
        ("targets", 3),
        ("targets", 4),
        ("snapshot", 1),
        ("snapshot", 3),
        ("snapshot", 4),
        ("timestamp", 3),
        ("timestamp", 4),
    ];
    assert_eq!(left, expected.map(|(role, version)| (role.to_owned(), version)));
    assert_eq!(b.prune("a/p", newest, 2, &live).await, Ok(0));
    assert_eq!(seen(&**a, "a/pq").await.0.len(), 4);
    assert_eq!(all_changes(&**a).await.len(), 5);

    let all_live = ["targets", "snapshot", "timestamp"].map(|role| (role.to_owned(), file(role, 4).sha256));
    assert_eq!(b.prune("a/p", newest, 0, &all_live).await, Ok(4));
    assert_eq!(seen(&**a, "a/p").await.0.len(), 7);
    // Old versions do not come back.
    let again = [file("targets", 2), file("timestamp", 5)];
    let refused = StorageError::NotNewer { role: "targets".to_owned(), version: 2 };
    assert_eq!(commit(&**a, "a/p", Some(newest), &again).await, Err(refused));
}

async fn pruning_against_another_timestamp_does_nothing(Storages { a, b, .. }: &Storages) {
    let old = publish(&**a, GUN, 1).await;
    let newest = publish(&**a, GUN, 2).await;
    for base in [old, Base { sha256: [1; 32], ..newest }] {
        assert_eq!(b.prune(GUN, base, 1, &[]).await, Ok(0));
    }
    assert_eq!(b.prune("none", newest, 0, &[]).await, Ok(0));
    assert_eq!(seen(&**a, GUN).await.0.len(), 8);
}

async fn an_unused_key_is_the_same_for_everyone(Storages { a, b, .. }: &Storages) {
    assert_eq!(a.unused_key(GUN, "timestamp", "ed25519").await, Ok(None));
    assert_eq!(a.key("k2").await, Ok(None));
    let first = key("k2", GUN, "timestamp");
    assert_eq!(a.add_key(&first).await.unwrap(), first);
    assert_eq!(b.add_key(&key("k1", GUN, "timestamp")).await.unwrap(), first);
    assert_eq!(b.key("k1").await, Ok(None));
    assert_eq!(b.unused_key(GUN, "timestamp", "ed25519").await, Ok(Some(first.clone())));
    assert_eq!(b.key("k2").await, Ok(Some(first)));

    let others = [
        key("k3", GUN, "snapshot"),
        key("k4", "reg.example/team/app2", "timestamp"),
        KeyRecord { algorithm: "ecdsa".to_owned(), ..key("k5", GUN, "timestamp") },
    ];
    for other in others {
        assert_eq!(b.add_key(&other).await.unwrap(), other);
        assert_eq!(a.unused_key(&other.gun, &other.role, &other.algorithm).await, Ok(Some(other)));
    }
    // An ID is one key.
    let same_id = key("k2", "reg.example/else", "timestamp");
    assert_eq!(b.add_key(&same_id).await, Err(StorageError::Conflict));
    assert_eq!(a.key("k2").await.unwrap().unwrap().gun, GUN);
}

async fn racing_for_a_key_gives_everyone_the_same(Storages { a, b, .. }: &Storages) {
    let mut tasks = JoinSet::new();
    for i in 0..16 {
        let storage = Arc::clone(if i % 2 == 0 { a } else { b });
        tasks.spawn(async move { storage.add_key(&key(&format!("k{i}"), GUN, "snapshot")).await.unwrap() });
    }
    let given = tasks.join_all().await;
    assert!(given.iter().all(|key| *key == given[0]), "{given:?}");
    assert_eq!(a.keys_not_under("", "", 99).await.unwrap(), [given[0].clone()]);
}

async fn a_key_is_used_with_the_commit_that_says_so(Storages { a, b, .. }: &Storages) {
    a.add_key(&key("z", GUN, "timestamp")).await.unwrap();
    a.add_key(&key("s", GUN, "snapshot")).await.unwrap();
    let first = [file("timestamp", 1)];
    let used_keys = &["z".to_owned(), "unknown".to_owned()];
    a.commit(Commit { gun: GUN, base: None, files: &first, used_keys }).await.unwrap();
    let used = b.key("z").await.unwrap().unwrap().used.unwrap();
    assert!(used.elapsed().unwrap() < Duration::from_secs(60));
    assert_eq!(b.unused_key(GUN, "timestamp", "ed25519").await, Ok(None));
    assert_eq!(b.key("s").await.unwrap().unwrap().used, None);

    // Now there may be a next one, and the time of the first use stays.
    assert_eq!(b.add_key(&key("y", GUN, "timestamp")).await.unwrap().id, "y");
    let change = Commit { gun: GUN, base: Some(base(&first[0])), files: &[file("timestamp", 2)], used_keys };
    a.commit(change).await.unwrap();
    assert_eq!(b.key("z").await.unwrap().unwrap().used, Some(used));
    assert_eq!(a.unused_key(GUN, "timestamp", "ed25519").await.unwrap().unwrap().id, "y");
}

async fn keys_survive_the_repository(Storages { a, b, .. }: &Storages) {
    publish(&**a, GUN, 1).await;
    let kept = a.add_key(&key("k", GUN, "timestamp")).await.unwrap();
    b.delete(GUN).await.unwrap();
    assert_eq!(a.key("k").await, Ok(Some(kept.clone())));
    assert_eq!(a.unused_key(GUN, "timestamp", "ed25519").await, Ok(Some(kept)));
}

async fn keys_of_other_aliases_come_in_pages(Storages { a, b, .. }: &Storages) {
    for (i, id) in ["c", "a", "B", "d"].into_iter().enumerate() {
        let record = KeyRecord { alias: format!("alias_{}", i % 3), ..key(id, &format!("g{i}"), "snapshot") };
        a.add_key(&record).await.unwrap();
    }
    let ids = async |alias, after, count| {
        let keys = b.keys_not_under(alias, after, count).await.unwrap();
        keys.into_iter().map(|key| key.id).collect::<Vec<_>>()
    };
    assert_eq!(ids("", "", 9).await, ["B", "a", "c", "d"]);
    assert_eq!(ids("alias_0", "", 9).await, ["B", "a"]);
    assert_eq!(ids("alias_1", "", 2).await, ["B", "c"]);
    assert_eq!(ids("alias_1", "c", 2).await, ["d"]);
    assert_eq!(ids("alias_1", "d", 2).await, [""; 0]);
}

async fn a_key_is_rewrapped_only_from_what_it_was(Storages { a, b, .. }: &Storages) {
    a.add_key(&key("k", GUN, "timestamp")).await.unwrap();
    assert_eq!(b.rewrap_key("k", "else", "new", "alias_2").await, Ok(false));
    assert_eq!(b.rewrap_key("none", "secret of k", "new", "alias_2").await, Ok(false));
    assert_eq!(a.key("k").await.unwrap().unwrap(), key("k", GUN, "timestamp"));
    assert_eq!(b.rewrap_key("k", "secret of k", "new", "alias_2").await, Ok(true));
    assert_eq!(a.rewrap_key("k", "secret of k", "newer", "alias_3").await, Ok(false));
    let expected =
        KeyRecord { secret: "new".to_owned(), alias: "alias_2".to_owned(), ..key("k", GUN, "timestamp") };
    assert_eq!(a.unused_key(GUN, "timestamp", "ed25519").await, Ok(Some(expected)));
}

async fn racing_for_parameters_gives_everyone_the_same(Storages { a, b, .. }: &Storages) {
    let mut tasks = JoinSet::new();
    for i in 0..8 {
        let storage = Arc::clone(if i % 2 == 0 { a } else { b });
        tasks.spawn(
            async move { storage.passphrase_parameters("alias_1", &format!("salt {i}")).await.unwrap() },
        );
    }
    let given = tasks.join_all().await;
    assert!(given.iter().all(|salt| *salt == given[0]), "{given:?}");
    assert_eq!(a.passphrase_parameters("alias_1", "later").await.unwrap(), given[0]);
    assert_eq!(b.passphrase_parameters("alias_2", "other").await.unwrap(), "other");
}

fn at(nanos: i64) -> SystemTime {
    from_nanos(nanos)
}

fn stored(role: &str, version: i64) -> StoredFile {
    let NewFile { role, version, sha256, bytes } = file(role, version);
    StoredFile { role, version, sha256, stored: at(1_500_000_000_123_456_789), bytes }
}

fn batch() -> ImportBatch {
    let update = ChangeKind::Update { version: 2, sha256: file("timestamp", 2).sha256 };
    let change =
        |id, kind| Change { id, created: at(1_400_000_000_000_000_000 + id), gun: GUN.to_owned(), kind };
    let files =
        [("root", 1), ("timestamp", 1), ("timestamp", 2)].map(|(role, version)| stored(role, version));
    ImportBatch {
        forget: None,
        files: files.map(|file| (GUN.to_owned(), file)).to_vec(),
        changes: vec![change(5, update), change(7, ChangeKind::Deletion), change(8, update)],
        keys: vec![
            KeyRecord { used: Some(at(1_400_000_000_000_001_000)), ..key("old", GUN, "timestamp") },
            key("next", GUN, "timestamp"),
            key("after", GUN, "timestamp"),
        ],
    }
}

async fn an_import_can_be_run_again(Storages { a, b, .. }: &Storages) {
    let batch = batch();
    assert_eq!(a.import(&batch).await, Ok(Imported { files: 3, changes: 3, keys: 3 }));
    for _ in 0..2 {
        assert_eq!(b.timestamp(GUN).await.unwrap().unwrap(), batch.files[2].1);
        assert_eq!(b.by_version(GUN, "root", 1).await.unwrap().unwrap(), batch.files[0].1);
        assert_eq!(all_changes(&**b).await, batch.changes);
        assert_eq!(b.key("old").await, Ok(Some(batch.keys[0].clone())));
        assert_eq!(b.unused_key(GUN, "timestamp", "ed25519").await, Ok(Some(batch.keys[1].clone())));
        assert_eq!(b.import(&batch).await, Ok(Imported::default()));
    }
    assert_eq!(b.import(&ImportBatch::default()).await, Ok(Imported::default()));
}

async fn changes_after_an_import_have_higher_ids(Storages { a, b, .. }: &Storages) {
    a.import(&batch()).await.unwrap();
    commit(&**b, GUN, Some(base(&file("timestamp", 2))), &[file("timestamp", 3)]).await.unwrap();
    a.delete(GUN).await.unwrap();
    let ids: Vec<_> = all_changes(&**a).await.into_iter().map(|change| change.id).collect();
    assert_eq!(ids[..3], [5, 7, 8]);
    assert!(ids[3] > 8 && ids[4] > ids[3], "{ids:?}");
}

async fn imported_changes_give_way_to_what_is_there(Storages { a, b, .. }: &Storages) {
    publish(&**a, "reg.example/mine", 1).await;
    let mine = all_changes(&**a).await;
    let mut batch = batch();
    batch.changes[0].id = mine[0].id;
    batch.changes[1].id = 100;
    batch.changes[2].id = 50;
    for expected in [3, 0] {
        assert_eq!(b.import(&batch).await.unwrap().changes, expected);
    }
    let all = all_changes(&**a).await;
    assert_eq!(all.len(), 4);
    assert_eq!(all[0], mine[0]);
    for change in &batch.changes[1..] {
        assert!(all.contains(change));
    }
    let given = all.iter().find(|c| c.gun == GUN && c.id != 100 && c.id != 50).unwrap();
    assert_eq!((given.created, given.kind), (batch.changes[0].created, batch.changes[0].kind));
    assert_eq!(a.changes(Some(GUN), Window::After(0), 9).await.unwrap().len(), 3);
}

async fn an_import_leaves_alone_what_is_there(Storages { a, b, .. }: &Storages) {
    publish(&**a, GUN, 1).await;
    a.add_key(&key("next", "reg.example/mine", "snapshot")).await.unwrap();
    let before = a.by_version(GUN, "timestamp", 1).await.unwrap();
    let mut batch = batch();
    batch.files[1].1.bytes = Bytes::from_static(b"else");
    let imported = b.import(&batch).await.unwrap();
    assert_eq!((imported.files, imported.keys), (1, 2));
    assert_eq!(a.by_version(GUN, "timestamp", 1).await.unwrap(), before);
    assert_eq!(a.key("next").await.unwrap().unwrap().gun, "reg.example/mine");
    assert_eq!(a.timestamp(GUN).await.unwrap().unwrap().version, 2);
}

async fn an_import_forgets_what_the_other_server_deleted(Storages { a, b, .. }: &Storages) {
    a.import(&batch()).await.unwrap();
    publish(&**a, "reg.example/team/app2", 1).await;
    let before = all_changes(&**a).await;
    let files = vec![(GUN.to_owned(), stored("timestamp", 1))];
    let again = ImportBatch { forget: Some(GUN.to_owned()), files, ..ImportBatch::default() };
    assert_eq!(b.import(&again).await.unwrap().files, 1);
    assert_eq!(seen(&**a, GUN).await.0, [stored("timestamp", 1)]);
    assert_eq!(all_changes(&**a).await, before);
    assert_eq!(seen(&**a, "reg.example/team/app2").await.0.len(), 4);
}

async fn a_healthy_storage_says_so(Storages { a, b, .. }: &Storages) {
    assert_eq!(a.check().await, Ok(()));
    publish(&**a, GUN, 1).await;
    assert_eq!(b.check().await, Ok(()));
}

#[test]
fn times_of_three_centuries_are_kept_to_the_nanosecond() {
    for nanos in [0, 1, 1_234_567_890_123_456_789, i64::MAX, -1, i64::MIN + 1] {
        assert_eq!(to_nanos(from_nanos(nanos)), nanos);
    }
    let year_one = SystemTime::UNIX_EPOCH - Duration::from_secs(62_135_596_800);
    assert_eq!(to_nanos(year_one), i64::MIN);
    from_nanos(i64::MIN);
}
