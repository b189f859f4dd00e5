//! The service over memory, with the client's own signing as publisher and the
//! client's own verification as judge.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::json;

use super::config::{KeysConfig, Passphrases, StorageConfig};
use super::refusal::{Invalid, Refusal};
use super::service::{Service, Settings};
use super::storage::{Change, ChangeKind, ImportBatch, Memory, Storage, Window};
use crate::crypto::{KeyId, PrivateKey, PublicKey, Signer, issue_root_certificate, sign_checked};
use crate::metadata::{
    DelegatedRole, RoleKeys, RootDraft, Signature, TargetMeta, TargetsDraft, role, write_file,
};
use crate::trust::Policy;

const GUN: &str = "registry.example/team/app";
const DAY: Duration = Duration::from_secs(86_400);
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// A server whose clock the test moves.
struct World {
    service: Arc<Service>,
    storage: Arc<dyn Storage>,
    ahead: Arc<AtomicU64>,
}

impl World {
    async fn new() -> Self {
        let storage: Arc<dyn Storage> = Arc::new(Memory::default());
        let keys =
            super::keys::open(&KeysConfig::Local(Passphrases::default()), &storage, &StorageConfig::Memory)
                .await
                .unwrap();
        let ahead = Arc::new(AtomicU64::new(0));
        let clock = {
            let ahead = Arc::clone(&ahead);
            Arc::new(move || SystemTime::now() + Duration::from_secs(ahead.load(Ordering::SeqCst)))
        };
        let settings = Settings {
            snapshot_lifetime: 3 * YEAR,
            timestamp_lifetime: 14 * DAY,
            read_only: false,
            keep_versions: None,
            clock,
        };
        Self { service: Arc::new(Service::new(storage.clone(), keys, settings)), storage, ahead }
    }

    fn pass(&self, time: Duration) {
        self.ahead.fetch_add(time.as_secs(), Ordering::SeqCst);
    }

    async fn publisher(&self, gun: &str) -> Publisher {
        let timestamp = self.service.public_key(gun, role::TIMESTAMP).await.unwrap();
        let snapshot = self.service.public_key(gun, role::SNAPSHOT).await.unwrap();
        let key = || PrivateKey::generate_p256().unwrap();
        let now = SystemTime::now();
        Publisher {
            gun: gun.into(),
            root: key(),
            targets: key(),
            snapshot,
            timestamp,
            now,
            lifetime: 10 * YEAR,
        }
    }

    async fn upload(&self, files: &[(&str, Bytes)]) -> Result<(), Refusal> {
        self.upload_to(GUN, files).await
    }

    async fn upload_to(&self, gun: &str, files: &[(&str, Bytes)]) -> Result<(), Refusal> {
        let parts = files.iter().map(|(name, file)| ((*name).to_owned(), file.clone())).collect();
        self.service.upload(gun, parts).await
    }

    /// A repository with one tag.
    async fn published() -> (Self, Publisher) {
        let world = Self::new().await;
        let publisher = world.publisher(GUN).await;
        let files = [(role::ROOT, publisher.root(1)), (role::TARGETS, publisher.targets(2, &["v1"]))];
        world.upload(&files).await.unwrap();
        (world, publisher)
    }

    /// Everything that a client could see.
    async fn state(&self) -> BTreeMap<String, Bytes> {
        let mut state = BTreeMap::new();
        for name in [role::ROOT, role::TARGETS, role::SNAPSHOT, role::TIMESTAMP, "targets/a", "targets/a/b"] {
            for version in 1..9 {
                if let Ok(file) = self.service.by_version(GUN, name, version).await {
                    state.insert(format!("{version}.{name}"), file.bytes);
                }
            }
            if let Ok(file) = self.service.current(GUN, name).await {
                state.insert(name.to_owned(), file.bytes);
            }
        }
        let changes = self.service.changes(None, Window::After(0), 100).await.unwrap();
        state.insert("changes".into(), format!("{changes:?}").into());
        state
    }

    async fn version(&self, name: &str) -> i64 {
        self.service.current(GUN, name).await.unwrap().version
    }

    async fn has_tag(&self, tag: &str) -> bool {
        self.service.trusted(GUN).await.unwrap().resolve(tag, &Policy::docker()).is_ok()
    }
}

/// Someone with root and targets key.
struct Publisher {
    gun: String,
    root: PrivateKey,
    targets: PrivateKey,
    snapshot: PublicKey,
    timestamp: PublicKey,
    now: SystemTime,
    lifetime: Duration,
}

impl Publisher {
    fn certificate(&self, gun: &str) -> PublicKey {
        issue_root_certificate(gun, &self.root, self.now, self.lifetime).unwrap()
    }

    fn root(&self, version: i64) -> Bytes {
        let certificate = self.certificate(&self.gun);
        signed(
            &self.root_draft(&certificate).write(version, self.now + self.lifetime),
            &[(&self.root, certificate.id())],
        )
    }

    fn root_draft(&self, certificate: &PublicKey) -> RootDraft {
        let mut draft = RootDraft::new();
        draft.set_role(role::ROOT, std::slice::from_ref(certificate), 1);
        draft.set_role(role::TARGETS, &[self.targets.public_key().clone()], 1);
        draft.set_role(role::SNAPSHOT, std::slice::from_ref(&self.snapshot), 1);
        draft.set_role(role::TIMESTAMP, std::slice::from_ref(&self.timestamp), 1);
        draft
    }

    fn targets(&self, version: i64, tags: &[&str]) -> Bytes {
        self.role(&self.targets, tags, &[], version)
    }

    /// A targets or delegation file by this key, with these tags and direct children.
    fn role(&self, key: &PrivateKey, tags: &[&str], children: &[(&str, &PrivateKey)], version: i64) -> Bytes {
        let mut draft = TargetsDraft::new();
        for tag in tags {
            draft.set(tag, Some(TargetMeta::new([7; 32], 5)));
        }
        for (name, key) in children {
            let keys = vec![(key.id().clone(), Arc::new(key.public_key().clone()))];
            let (name, keys) = ((*name).to_owned(), RoleKeys { keys, threshold: 1 });
            draft.delegations.push(DelegatedRole { name, keys, paths: vec![String::new()] });
        }
        signed(&draft.write(version, self.now + self.lifetime), &[(key, key.id())])
    }
}

fn signed(content: &[u8], signers: &[(&PrivateKey, &KeyId)]) -> Bytes {
    let signatures: Vec<_> = signers
        .iter()
        .map(|(key, listed)| {
            let (method, bytes) = sign_checked(*key, content).unwrap();
            Signature { key_id: (*listed).clone(), method: method.into(), bytes }
        })
        .collect();
    write_file(content, &signatures).into()
}

/// A refusal of the rules: Notary's name of it, and what it says.
fn rule(result: Result<(), Refusal>) -> (&'static str, String) {
    match result.unwrap_err() {
        Refusal::InvalidUpdate(Invalid::Validation(message)) => ("ErrValidation", message),
        Refusal::InvalidUpdate(Invalid::BadHierarchy { message, .. }) => ("ErrBadHierarchy", message),
        Refusal::InvalidUpdate(Invalid::BadRoot(message)) => ("ErrBadRoot", message),
        Refusal::InvalidUpdate(Invalid::BadTargets(message)) => ("ErrBadTargets", message),
        Refusal::InvalidUpdate(Invalid::BadSnapshot(message)) => ("ErrBadSnapshot", message),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn what_is_uploaded_is_what_a_client_trusts() {
    let (world, publisher) = World::published().await;
    assert!(world.has_tag("v1").await && !world.has_tag("v2").await);
    for (name, version) in [("root", 1), ("targets", 2), ("snapshot", 1), ("timestamp", 1)] {
        assert_eq!(world.version(name).await, version, "{name}");
    }
    world.upload(&[("targets.json", publisher.targets(9, &["v2"]))]).await.unwrap();
    assert!(world.has_tag("v2").await && !world.has_tag("v1").await);
    assert_eq!((world.version("targets").await, world.version("snapshot").await), (9, 2));
    // Nothing at all renews what the server signs.
    world.upload(&[]).await.unwrap();
    assert_eq!((world.version("snapshot").await, world.version("timestamp").await), (3, 3));
    assert!(world.has_tag("v2").await);
}

#[tokio::test]
async fn each_rule_of_a_first_upload_holds() {
    let world = World::new().await;
    let mut publisher = world.publisher(GUN).await;
    let targets = (role::TARGETS, publisher.targets(2, &["v1"]));
    let other_timestamp = PrivateKey::generate_ed25519().unwrap();
    let with = |change: &dyn Fn(&mut RootDraft, &PublicKey)| {
        let certificate = publisher.certificate(GUN);
        let mut draft = publisher.root_draft(&certificate);
        change(&mut draft, &certificate);
        let content = draft.write(1, publisher.now + YEAR);
        (role::ROOT, signed(&content, &[(&publisher.root, certificate.id())]))
    };
    let anothers = publisher.certificate("registry.example/team/other");
    let cases = [
        (vec![], "ErrValidation", "no pre-existing root and no root provided in update."),
        (vec![targets.clone()], "ErrValidation", "no pre-existing root"),
        (vec![(role::ROOT, publisher.root(1))], "ErrValidation", "targets must be loaded first"),
        (
            vec![(role::ROOT, publisher.root(3)), targets.clone()],
            "ErrBadRoot",
            "Root modifications must increment the version. Current 1, new 3",
        ),
        (
            vec![with(&|draft, _| draft.set_role(role::ROOT, &[publisher.root.public_key().clone()], 1))],
            "ErrBadRoot",
            "unable to retrieve valid leaf certificates",
        ),
        (
            vec![with(&|draft, _| draft.set_role(role::ROOT, std::slice::from_ref(&anothers), 1))],
            "ErrBadRoot",
            "unable to retrieve valid leaf certificates",
        ),
        (
            vec![with(&|draft, certificate| {
                draft.set_role(role::ROOT, std::slice::from_ref(certificate), 2)
            })],
            "ErrBadRoot",
            "failed to validate integrity of roots",
        ),
        (
            vec![
                with(&|draft, _| {
                    draft.set_role(role::TIMESTAMP, &[other_timestamp.public_key().clone()], 1);
                }),
                targets.clone(),
            ],
            "ErrBadRoot",
            "no  timestamp keys exist on the server",
        ),
        (
            vec![
                with(&|draft, _| {
                    draft.set_role(role::SNAPSHOT, &[publisher.targets.public_key().clone()], 1);
                }),
                targets.clone(),
            ],
            "ErrBadHierarchy",
            "no snapshot was included",
        ),
        (
            // A timestamp key makes no snapshots.
            vec![
                with(&|draft, _| {
                    draft.set_role(role::SNAPSHOT, std::slice::from_ref(&publisher.timestamp), 1);
                }),
                targets.clone(),
            ],
            "ErrBadHierarchy",
            "no snapshot was included",
        ),
    ];
    for (files, name, message) in cases {
        let (found, said) = rule(world.upload(&files).await);
        assert!(found == name && said.contains(message), "{name} {message}: {found} {said}");
        assert_eq!(world.state().await.len(), 1, "{message}");
    }
    publisher.lifetime = Duration::from_secs(1);
    let files = [(role::ROOT, publisher.root(1)), targets.clone()];
    world.pass(DAY);
    let (name, said) = rule(world.upload(&files).await);
    assert!(name == "ErrBadRoot" && said.contains("certificates"), "{said}");
}

#[tokio::test]
async fn keys_sign_only_for_the_repository_that_they_were_made_for() {
    let (world, publisher) = World::published().await;
    let mut thief = world.publisher("registry.example/thief").await;
    thief.timestamp = publisher.timestamp.clone();
    let files = [(role::ROOT, thief.root(1)), (role::TARGETS, thief.targets(1, &[]))];
    let (name, _) = rule(world.upload_to("registry.example/thief", &files).await);
    assert_eq!(name, "ErrBadRoot");
}

#[tokio::test]
async fn each_rule_of_a_later_upload_holds_and_nothing_of_a_bad_one_is_stored() {
    let (world, publisher) = World::published().await;
    let (stranger, alice) = (PrivateKey::generate_p256().unwrap(), PrivateKey::generate_p256().unwrap());
    let with_alice = |version| publisher.role(&publisher.targets, &["v1"], &[("targets/a", &alice)], version);
    world.upload(&[(role::TARGETS, with_alice(3))]).await.unwrap();
    let before = world.state().await;

    let expired = {
        let content = TargetsDraft::new().write(4, publisher.now - DAY);
        signed(&content, &[(&publisher.targets, publisher.targets.id())])
    };
    let unsigned: Bytes = write_file(&TargetsDraft::new().write(4, publisher.now + DAY), &[]).into();
    let lower_case = {
        let content = TargetsDraft::new().write(4, publisher.now + DAY);
        let content = String::from_utf8(content).unwrap().replace("\"Targets\"", "\"targets\"");
        signed(content.as_bytes(), &[(&publisher.targets, publisher.targets.id())])
    };
    let fine = ("targets/a", publisher.role(&alice, &["v1"], &[], 1));
    let cases = [
        (vec![(role::TARGETS, publisher.role(&stranger, &[], &[], 4))], "did not meet threshold for targets"),
        (vec![(role::TARGETS, unsigned)], "tuf: data has no signatures"),
        (vec![(role::TARGETS, expired)], "targets expired at "),
        (vec![(role::TARGETS, lower_case)], "expected type Targets, not targets"),
        (vec![(role::TARGETS, Bytes::from("{}"))], "targets type metadata invalid"),
        (vec![("targets/a", publisher.role(&stranger, &[], &[], 1))], "threshold for targets/a"),
        (
            vec![fine.clone(), ("targets/b", publisher.role(&alice, &[], &[], 1))],
            "tuf: invalid role targets/b. delegation does not exist",
        ),
        (
            vec![fine.clone(), ("targets/a/b", publisher.role(&alice, &[], &[], 1))],
            "tuf: invalid role targets/a/b. delegation does not exist",
        ),
        (
            vec![("targets/x/y", publisher.role(&alice, &[], &[], 1))],
            "tuf: invalid role targets/x/y. delegation does not exist",
        ),
        (
            // The new targets file does not declare it any more.
            vec![(role::TARGETS, publisher.targets(4, &[])), fine.clone()],
            "tuf: invalid role targets/a. delegation does not exist",
        ),
    ];
    for (files, message) in cases {
        let (name, said) = rule(world.upload(&files).await);
        assert!(name == "ErrBadTargets" && said.contains(message), "{message}: {name} {said}");
        assert_eq!(world.state().await, before, "{message}");
    }
    // Not newer than what is stored.
    for files in [
        vec![(role::TARGETS, with_alice(3))],
        vec![fine.clone(), (role::TARGETS, with_alice(2))],
        vec![(role::TARGETS, publisher.targets(i64::from(i32::MAX) + 1, &[]))],
        vec![(role::ROOT, before[role::ROOT].clone())],
    ] {
        assert_eq!(world.upload(&files).await.unwrap_err(), Refusal::Version);
        assert_eq!(world.state().await, before);
    }
    world.upload(&[fine]).await.unwrap();
    assert_eq!(world.version("targets/a").await, 1);
}

#[tokio::test]
async fn a_new_root_needs_the_old_ones_signature_too() {
    let (world, publisher) = World::published().await;
    let before = world.state().await;
    let old = publisher.service_root(&world).await;
    let next = world.publisher(GUN).await;
    let certificate = next.certificate(GUN);
    let mut draft = next.root_draft(&certificate);
    draft.set_role(role::TARGETS, &[publisher.targets.public_key().clone()], 1);
    let content = draft.write(2, next.now + YEAR);
    let by = |signers: &[(&PrivateKey, &KeyId)]| [(role::ROOT, signed(&content, signers))];
    let (by_new, by_old) = ((&next.root, certificate.id()), (&publisher.root, &old));
    let (name, said) = rule(world.upload(&by(&[by_new])).await);
    assert!(name == "ErrBadRoot" && said.contains("current trusted certificates"), "{said}");
    let (name, said) = rule(world.upload(&by(&[by_old])).await);
    assert!(name == "ErrBadRoot" && said.contains("integrity of roots"), "{said}");
    assert_eq!(world.state().await, before);
    world.upload(&by(&[by_new, by_old])).await.unwrap();
    assert_eq!(world.version("root").await, 2);
    assert!(world.has_tag("v1").await);
}

impl Publisher {
    /// ID under which the stored root lists the root key.
    async fn service_root(&self, world: &World) -> KeyId {
        let set = world.service.trusted(&self.gun).await.unwrap();
        set.root().root().role(role::ROOT).unwrap().keys[0].0.clone()
    }
}

#[tokio::test]
async fn an_uploaded_snapshot_must_list_what_is_there() {
    let world = World::new().await;
    let mut publisher = world.publisher(GUN).await;
    let snapshot_key = PrivateKey::generate_p256().unwrap();
    publisher.snapshot = snapshot_key.public_key().clone();
    let (root, targets) = (publisher.root(1), publisher.targets(1, &["v1"]));
    let snapshot = |version, files: &[(&str, &Bytes)]| {
        let unsigned = super::make::snapshot(None, files.iter().copied(), publisher.now + YEAR);
        let content = String::from_utf8(unsigned.signed).unwrap();
        let content = content.replace("\"version\":1}", &format!("\"version\":{version}}}"));
        (role::SNAPSHOT, signed(content.as_bytes(), &[(&snapshot_key, snapshot_key.id())]))
    };
    let files = |snapshot| [(role::ROOT, root.clone()), (role::TARGETS, targets.clone()), snapshot];
    let elsewhere = Bytes::from("elsewhere");
    for (listed, message) in [
        (vec![("root", &root), ("targets", &elsewhere)], "sha256 checksum for targets did not match"),
        (vec![("root", &elsewhere), ("targets", &targets)], "sha256 checksum for root did not match"),
        (vec![("root", &root)], "snapshot type metadata invalid"),
        (
            vec![("root", &root), ("targets", &targets), ("targets/a", &elsewhere)],
            "a file of targets/a that the server does not have",
        ),
    ] {
        let (name, said) = rule(world.upload(&files(snapshot(1, &listed))).await);
        assert!(name == "ErrBadSnapshot" && said.contains(message), "{message}: {name} {said}");
        assert_eq!(world.state().await.len(), 1);
    }
    world.upload(&files(snapshot(1, &[("root", &root), ("targets", &targets)]))).await.unwrap();
    assert!(world.has_tag("v1").await);
    // The stored root counts, where none is uploaded.
    let next = publisher.targets(2, &["v2"]);
    let (name, _) = rule(world.upload(&[(role::TARGETS, next.clone())]).await);
    assert_eq!(name, "ErrBadHierarchy");
    let wrong = snapshot(2, &[("root", &elsewhere), ("targets", &next)]);
    assert_eq!(rule(world.upload(&[(role::TARGETS, next.clone()), wrong]).await).0, "ErrBadSnapshot");
    let right = snapshot(2, &[("root", &root), ("targets", &next)]);
    world.upload(&[(role::TARGETS, next), right]).await.unwrap();
    assert!(world.has_tag("v2").await);
}

#[tokio::test]
async fn what_expired_is_made_anew_once() {
    let (world, _) = World::published().await;
    let first = world.service.current(GUN, role::TIMESTAMP).await.unwrap();
    world.pass(13 * DAY);
    assert_eq!(world.service.current(GUN, role::TIMESTAMP).await.unwrap(), first);
    world.pass(2 * DAY);
    let readers: Vec<_> = (0..20)
        .map(|_| {
            let service = Arc::clone(&world.service);
            tokio::spawn(async move { service.current(GUN, role::TIMESTAMP).await.unwrap() })
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap().version, 2);
    }
    assert_eq!((world.version("timestamp").await, world.version("snapshot").await), (2, 1));
    assert!(world.has_tag("v1").await);
    let changes = world.service.changes(Some(GUN), Window::After(0), 10).await.unwrap();
    let version = |change: &Change| match change.kind {
        ChangeKind::Update { version, .. } => version,
        ChangeKind::Deletion => 0,
    };
    assert_eq!(changes.iter().map(version).collect::<Vec<_>>(), [1, 2]);

    world.pass(3 * YEAR);
    assert_eq!((world.version("snapshot").await, world.version("timestamp").await), (2, 3));
    assert!(world.has_tag("v1").await);

    // Past the root's expiry nothing is renewed, and the rest stays readable.
    world.pass(8 * YEAR);
    let refusal = world.service.current(GUN, role::TIMESTAMP).await.unwrap_err();
    let Refusal::Unknown { detail, .. } = refusal else { panic!("{refusal}") };
    assert!(detail == json!({}) || detail["Role"] == "root", "{detail}");
    assert_eq!(world.version("targets").await, 2);
}

/// Who writes to the storage does not get a list of files signed.
#[tokio::test]
async fn a_stored_snapshot_that_nobody_signed_is_not_made_anew() {
    let (world, publisher) = World::published().await;
    let mut files = Vec::new();
    for name in [role::ROOT, role::TARGETS, role::SNAPSHOT, role::TIMESTAMP] {
        let mut file = world.service.current(GUN, name).await.unwrap();
        if name == role::SNAPSHOT {
            let text = String::from_utf8(file.bytes.to_vec()).unwrap();
            file.bytes = text.replace("\"length\":", "\"length\":1").into();
        }
        files.push((GUN.to_owned(), file));
    }
    let forged = ImportBatch { forget: Some(GUN.into()), files, ..ImportBatch::default() };
    world.storage.import(&forged).await.unwrap();

    let targets = publisher.targets(3, &["v2"]);
    let (name, said) = rule(world.upload(&[(role::TARGETS, targets)]).await);
    assert!(name == "ErrBadSnapshot" && said.contains("did not meet threshold"), "{said}");
    for time in [15 * DAY, 3 * YEAR] {
        world.pass(time);
        assert!(matches!(world.service.current(GUN, role::TIMESTAMP).await, Err(Refusal::Unknown { .. })));
    }
    assert_eq!(world.storage.timestamp(GUN).await.unwrap().unwrap().version, 1);
}

#[tokio::test]
async fn of_uploads_at_once_one_of_each_version_wins() {
    let (world, publisher) = World::published().await;
    let publisher = Arc::new(publisher);
    let uploads: Vec<_> = (0..8)
        .map(|number| {
            let (service, publisher) = (Arc::clone(&world.service), Arc::clone(&publisher));
            tokio::spawn(async move {
                let file = publisher.targets(3, &[&format!("tag-{number}")]);
                service.upload(GUN, vec![("targets".into(), file)]).await
            })
        })
        .collect();
    let mut won = 0;
    for upload in uploads {
        match upload.await.unwrap() {
            Ok(()) => won += 1,
            Err(refusal) => assert_eq!(refusal, Refusal::Version),
        }
    }
    assert_eq!(won, 1);
    assert_eq!((world.version("targets").await, world.version("timestamp").await), (3, 2));
    world.service.trusted(GUN).await.unwrap();
}

/// Also where only what is stored is large.
#[tokio::test]
async fn large_files_are_judged_in_turns_and_small_ones_meanwhile() {
    let (world, publisher) = World::published().await;
    let alice = PrivateKey::generate_p256().unwrap();
    let tags: Vec<_> = (0..2000).map(|number| format!("{number:0100}")).collect();
    let tags: Vec<_> = tags.iter().map(String::as_str).collect();
    let large = publisher.role(&publisher.targets, &tags, &[("targets/a", &alice)], 3);
    let all = world.service.judging.acquire_many(512).await.unwrap();
    let waits = async |files: &[(&str, Bytes)]| {
        tokio::time::timeout(Duration::from_millis(100), world.upload(files)).await.is_err()
    };
    assert!(waits(&[(role::TARGETS, large.clone())]).await);
    assert!(!waits(&[(role::TARGETS, publisher.targets(2, &[]))]).await);
    drop(all);
    world.upload(&[(role::TARGETS, large)]).await.unwrap();

    let _all = world.service.judging.acquire_many(512).await.unwrap();
    assert!(waits(&[("targets/a", publisher.role(&alice, &["v2"], &[], 1))]).await);
}

#[tokio::test]
async fn uploads_of_different_roles_do_not_get_in_each_others_way() {
    let (world, publisher) = World::published().await;
    let keys: Vec<_> = (0..8).map(|_| PrivateKey::generate_p256().unwrap()).collect();
    let names: Vec<_> = (0..8).map(|number| format!("targets/s{number}")).collect();
    let children: Vec<_> = names.iter().map(String::as_str).zip(&keys).collect();
    world.upload(&[(role::TARGETS, publisher.role(&publisher.targets, &[], &children, 3))]).await.unwrap();
    let files: Vec<_> = keys.iter().map(|key| publisher.role(key, &["v1"], &[], 1)).collect();
    let uploads: Vec<_> = names
        .iter()
        .cloned()
        .zip(files)
        .map(|part| {
            let service = Arc::clone(&world.service);
            tokio::spawn(async move { service.upload(GUN, vec![part]).await })
        })
        .collect();
    for upload in uploads {
        upload.await.unwrap().unwrap();
    }
    let set = world.service.trusted(GUN).await.unwrap();
    assert_eq!(set.roles().count(), 9);
}

#[tokio::test]
async fn a_deleted_repository_can_be_made_anew_by_others() {
    let (world, _) = World::published().await;
    world.service.delete(GUN).await.unwrap();
    world.service.delete(GUN).await.unwrap();
    for name in [role::ROOT, role::TARGETS, role::TIMESTAMP] {
        let refusal = world.service.current(GUN, name).await.unwrap_err();
        assert_eq!(refusal, Refusal::NotFound { detail: true });
        assert!(world.service.by_version(GUN, name, 1).await.is_err());
    }
    let publisher = world.publisher(GUN).await;
    world
        .upload(&[(role::ROOT, publisher.root(1)), (role::TARGETS, publisher.targets(1, &["new"]))])
        .await
        .unwrap();
    assert!(world.has_tag("new").await);
    let changes = world.service.changes(Some(GUN), Window::After(0), 10).await.unwrap();
    let deletions = changes.iter().filter(|change| change.kind == ChangeKind::Deletion).count();
    assert_eq!((changes.len(), deletions), (3, 1));
}

#[tokio::test]
async fn a_key_stays_the_same_until_it_signs() {
    let world = World::new().await;
    let key = async || world.service.public_key(GUN, role::SNAPSHOT).await.unwrap();
    let rotated = async || world.service.rotate_key(GUN, role::SNAPSHOT).await.unwrap();
    let first = key().await;
    assert_eq!((key().await, rotated().await), (first.clone(), first.clone()));
    assert_ne!(world.service.public_key(GUN, role::TIMESTAMP).await.unwrap(), first);

    let publisher = world.publisher(GUN).await;
    let files = [(role::ROOT, publisher.root(1)), (role::TARGETS, publisher.targets(1, &[]))];
    world.upload(&files).await.unwrap();
    let pending = rotated().await;
    assert_ne!(pending, first);
    assert_eq!((key().await, rotated().await), (first, pending));
}

#[tokio::test]
async fn old_versions_go_and_what_the_timestamp_leads_to_stays() {
    let (world, publisher) = World::published().await;
    for version in 3..8 {
        world.upload(&[(role::TARGETS, publisher.targets(version, &["v1"]))]).await.unwrap();
    }
    assert!(world.service.prune_to(GUN, 2).await.unwrap() > 0);
    for (version, there) in [(2, false), (5, false), (6, true), (7, true)] {
        let file = world.service.by_version(GUN, role::TARGETS, version).await;
        assert_eq!(file.is_ok(), there, "{version}");
    }
    assert_eq!(world.version("root").await, 1);
    assert!(world.has_tag("v1").await);
    // The only version of the root is live, however few are kept.
    world.service.prune_to(GUN, 0).await.unwrap();
    assert!(world.has_tag("v1").await);
}
