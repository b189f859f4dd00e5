use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64ct::{Base64, Encoding};
use bytes::Bytes;

use super::*;
use crate::Error;
use crate::crypto::{KeyId, PrivateKey, PublicKey, Signer, issue_root_certificate, sha256, sign_checked};
use crate::metadata::{Signature, TargetMeta, format_time, hex, role, write_file};
use crate::trust::{Expiry, Pinning, Policy, TrustedRoot, TrustedSet};

const GUN: &str = "registry.example/team/app";
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Keys of people, a server that holds the timestamp key, and what it stores.
struct World {
    keys: Vec<Arc<PrivateKey>>,
    timestamp: Arc<PrivateKey>,
    published: BTreeMap<String, Bytes>,
    draft: Draft,
    now: SystemTime,
}

impl World {
    fn new() -> Self {
        let key = || Arc::new(PrivateKey::generate_p256().unwrap());
        let (root, targets, snapshot, timestamp) = (key(), key(), key(), key());
        let now = SystemTime::now();
        let certificate = issue_root_certificate(GUN, root.as_ref(), now, 10 * YEAR).unwrap();
        let draft = Draft::new(
            GUN,
            &[certificate],
            targets.public_key(),
            snapshot.public_key(),
            timestamp.public_key(),
        );
        let mut world =
            Self { keys: vec![root, targets, snapshot], timestamp, published: BTreeMap::new(), draft, now };
        world.publish().unwrap();
        world
    }

    fn add_key(&mut self) -> PublicKey {
        let key = Arc::new(PrivateKey::generate_p256().unwrap());
        self.keys.push(Arc::clone(&key));
        key.public_key().clone()
    }

    fn signer(&self) -> impl Fn(&KeyId, &str) -> crate::Result<Option<Arc<dyn Signer>>> + '_ {
        |id, _| {
            let found = self.keys.iter().find(|key| key.id() == id);
            Ok(found.map(|key| Arc::clone(key) as Arc<dyn Signer>))
        }
    }

    fn sign(&self, others: &[Signature]) -> crate::Result<Vec<SignedFile>> {
        let lifetimes = Lifetimes::default();
        let expiry = lifetimes.at(self.now);
        let unsigned = self.draft.unsigned(&expiry)?;
        let mut files =
            unsigned.iter().map(|u| sign(u, &self.signer(), others)).collect::<crate::Result<Vec<_>>>()?;
        let snapshot = self.draft.unsigned_snapshot(&files, expiry(role::SNAPSHOT))?;
        files.push(sign(&snapshot, &self.signer(), &[])?);
        Ok(files)
    }

    /// Stores what the draft leads to, and begins the next one with what a
    /// verifier then trusts.
    fn publish(&mut self) -> crate::Result<()> {
        let files = self.sign(&[])?;
        self.store(files);
        Ok(())
    }

    fn store(&mut self, files: Vec<SignedFile>) {
        for file in files {
            self.published.insert(file.role, file.file);
        }
        self.draft = Draft::of(&self.trusted().unwrap()).unwrap();
    }

    fn trusted(&self) -> crate::Result<TrustedSet> {
        let file = |name: &str| self.published[name].clone();
        let pins = Pinning::trust_on_first_use();
        let root = TrustedRoot::accept(GUN, file(role::ROOT), None, Some(&pins), Expiry::Enforced, self.now)?;
        let mut set = TrustedSet::new(Arc::new(root));
        set.add_timestamp(self.timestamp_file(), None, self.now)?;
        set.add_snapshot(file(role::SNAPSHOT), None, self.now)?;
        while let Some(name) = set.next_role().map(str::to_owned) {
            match self.published.get(&name).filter(|_| set.source(&name).is_some()) {
                Some(file) => set.add_role(file.clone(), None, self.now)?,
                None => set.skip_role(),
            }
        }
        Ok(set)
    }

    fn timestamp_file(&self) -> Vec<u8> {
        let snapshot = &self.published[role::SNAPSHOT];
        let hash = Base64::encode_string(sha256(snapshot).as_ref());
        let signed = format!(
            r#"{{"_type":"Timestamp","expires":"{}","meta":{{"snapshot":{{"hashes":{{"sha256":"{hash}"}},"length":{}}}}},"version":1}}"#,
            format_time(self.now + YEAR),
            snapshot.len()
        );
        let (method, bytes) = sign_checked(self.timestamp.as_ref(), signed.as_bytes()).unwrap();
        let key_id = self.timestamp.id().clone();
        write_file(signed.as_bytes(), &[Signature { key_id, method: method.into(), bytes }])
    }

    fn apply(&mut self, change: Change) -> &mut Self {
        self.draft.apply(&change).unwrap();
        self
    }

    fn digest_of(&self, tag: &str) -> crate::Result<String> {
        Ok(hex(&self.trusted()?.resolve(tag, &Policy::docker())?.sha256))
    }

    fn version(&self, role: &str) -> i64 {
        self.draft.published(role).unwrap().version
    }
}

fn set(role: &str, name: &str, seed: u8) -> Change {
    Change::SetTarget { role: role.into(), name: name.into(), meta: TargetMeta::new([seed; 32], 5) }
}

fn delegate(role: &str, keys: Vec<PublicKey>, threshold: u32) -> Change {
    Change::AddDelegation { role: role.into(), keys, paths: vec![String::new()], threshold }
}

#[test]
fn what_a_draft_leads_to_is_trusted() {
    let mut world = World::new();
    assert_eq!((world.version("root"), world.version("targets")), (1, 2));
    world.apply(set("targets", "v1", 1)).publish().unwrap();
    assert_eq!(world.digest_of("v1").unwrap(), "01".repeat(32));
    assert_eq!((world.version("root"), world.version("targets"), world.version("snapshot")), (1, 3, 2));

    let key = world.add_key();
    world.apply(delegate("targets/releases", vec![key], 1)).apply(set("targets/releases", "v1", 2));
    world.publish().unwrap();
    assert_eq!(world.digest_of("v1").unwrap(), "02".repeat(32));
    assert_eq!(world.version("targets/releases"), 1);
    world.apply(Change::RemoveDelegation { role: "targets/releases".into() }).publish().unwrap();
    assert_eq!(world.digest_of("v1").unwrap(), "01".repeat(32));
}

#[test]
fn what_changes_nothing_needs_no_signature() {
    let mut world = World::new();
    world.apply(set("targets", "v1", 1)).publish().unwrap();
    world.apply(set("targets", "v1", 1));
    world.apply(Change::RemoveTarget { role: "targets".into(), name: "absent".into() });
    assert_eq!(world.draft.dirty().count(), 0);
    assert_eq!(world.draft.changes(), []);
}

#[test]
fn every_base_role_can_be_rotated_and_the_old_key_is_worth_nothing() {
    let mut world = World::new();
    world.apply(set("targets", "v1", 1)).publish().unwrap();
    for role in ["targets", "snapshot", "root"] {
        let before = world.version("root");
        let old = world.draft.keys_of(role).unwrap();
        let mut key = world.add_key();
        if role == "root" {
            let signer = world.keys.last().unwrap();
            key = issue_root_certificate(GUN, signer.as_ref(), world.now, YEAR).unwrap();
        }
        world.apply(Change::SetRootRole { role: role.into(), keys: vec![key.clone()] });
        world.publish().unwrap();
        assert_eq!(world.version("root"), before + 1);
        let new = world.draft.keys_of(role).unwrap();
        assert_eq!(new.key_ids(), [key.id().to_string()]);
        assert_ne!(new.key_ids(), old.key_ids());
        assert_eq!(world.digest_of("v1").unwrap(), "01".repeat(32));
    }
}

#[test]
fn a_rotated_root_is_signed_by_old_and_new_keys() {
    let mut world = World::new();
    let old = world.keys.remove(0);
    world.add_key();
    let signer = Arc::clone(world.keys.last().unwrap());
    let key = issue_root_certificate(GUN, signer.as_ref(), world.now, YEAR).unwrap();
    world.apply(Change::SetRootRole { role: "root".into(), keys: vec![key] });
    let Err(Error::KeyNotFound { role, key_ids, .. }) = world.sign(&[]) else {
        panic!("the old key is needed")
    };
    assert_eq!((role.as_str(), key_ids), ("root", vec![old.id().to_string()]));
    world.keys.push(old);
    world.publish().unwrap();
}

#[test]
fn paths_bind_delegations_and_those_below_them() {
    let mut world = World::new();
    let key = world.add_key();
    let delegate = |role: &str, path: &str| Change::AddDelegation {
        role: role.into(),
        keys: vec![key.clone()],
        paths: vec![path.into()],
        threshold: 1,
    };
    world.apply(delegate("targets/a", "v1")).apply(delegate("targets/a/b", "v1.2"));
    for refused in [
        set("targets/a", "v2", 1),
        set("targets/a/b", "v1.3", 1),
        set("targets/c", "v1", 1),
        delegate("targets/a/c", "v2"),
        delegate("targets/x/y", ""),
        Change::Witness { role: "targets/a/b".into() },
        Change::RemoveDelegation { role: "targets/c".into() },
        Change::SetThreshold { role: "targets/a".into(), threshold: 2 },
        Change::SetRootRole { role: "targets/a".into(), keys: vec![key.clone()] },
        set("snapshot", "v1", 1),
        set("root", "v1", 1),
    ] {
        let before = world.draft.changes().len();
        let result = world.draft.apply(&refused);
        assert!(matches!(result, Err(Error::InvalidInput { .. })), "{refused}");
        assert_eq!(world.draft.changes().len(), before);
    }
    world.apply(set("targets/a", "v1.1", 1)).apply(set("targets/a/b", "v1.2.3", 1)).publish().unwrap();
    assert_eq!(world.draft.all_delegations().len(), 2);
}

#[test]
fn a_purged_key_is_gone_everywhere_and_orphans_are_told() {
    let mut world = World::new();
    let (one, two) = (world.add_key(), world.add_key());
    world.apply(delegate("targets/a", vec![one.clone()], 1));
    world.apply(delegate("targets/a/b", vec![one.clone(), two], 1));
    world.apply(set("targets/a", "v1", 1)).apply(set("targets/a/b", "v2", 1)).publish().unwrap();
    assert_eq!(world.draft.orphaned(), [""; 0]);
    world.apply(Change::UpdateDelegation {
        role: "targets/*".into(),
        add_keys: vec![],
        remove_keys: vec![one.id().clone()],
        add_paths: vec![],
        remove_paths: vec![],
        clear_paths: false,
    });
    assert!(!world.draft.uses(one.id()));
    // targets/a has to be signed for its own child, which nobody can do any more.
    let Err(Error::KeyNotFound { role, key_ids, .. }) = world.sign(&[]) else { panic!() };
    assert_eq!((role.as_str(), key_ids.len()), ("targets/a", 0));
}

#[test]
fn an_unusable_delegation_can_be_witnessed() {
    let mut world = World::new();
    let (one, two) = (world.add_key(), world.add_key());
    world
        .apply(delegate("targets/a", vec![one.clone()], 1))
        .apply(set("targets/a", "v1", 1))
        .publish()
        .unwrap();
    let replace = Change::UpdateDelegation {
        role: "targets/a".into(),
        add_keys: vec![two],
        remove_keys: vec![one.id().clone()],
        add_paths: vec![],
        remove_paths: vec![],
        clear_paths: false,
    };
    world.apply(replace);
    assert_eq!(world.draft.orphaned(), ["targets/a"]);
    world.publish().unwrap();
    assert!(world.trusted().unwrap().excluded("targets/a").is_some());
    assert_eq!(world.draft.unusable().collect::<Vec<_>>(), ["targets/a"]);
    world.apply(Change::Witness { role: "targets/a".into() }).publish().unwrap();
    assert!(world.trusted().unwrap().excluded("targets/a").is_none());
    assert!(world.trusted().unwrap().targets("targets/a").unwrap().get("v1").is_some());
    assert_eq!(world.version("targets/a"), 2);
}

/// Takes a delegation's key and gives it another one, so that nobody signed its file.
fn replace_key(world: &mut World, role: &str, old: &PublicKey) {
    let new = world.add_key();
    world.apply(Change::UpdateDelegation {
        role: role.into(),
        add_keys: vec![new],
        remove_keys: vec![old.id().clone()],
        add_paths: vec![],
        remove_paths: vec![],
        clear_paths: false,
    });
    world.publish().unwrap();
    assert!(world.trusted().unwrap().excluded(role).is_some());
}

#[test]
fn a_tag_is_not_signed_on_top_of_what_none_of_the_keys_signed() {
    let mut world = World::new();
    let key = world.add_key();
    world.apply(delegate("targets/a", vec![key.clone()], 1)).apply(set("targets/a", "evil", 1));
    world.publish().unwrap();
    replace_key(&mut world, "targets/a", &key);
    assert_eq!(world.draft.adopted().count(), 0);
    // Nor is it kept in memory unseen.
    let trusted = world.trusted().unwrap();
    let others = ["root", "snapshot", "targets"].map(|role| world.published[role].len());
    let timestamp = trusted.file(role::TIMESTAMP).unwrap().len();
    let whole = others.iter().sum::<usize>() + timestamp + world.published["targets/a"].len();
    assert_eq!(trusted.bytes(), whole);

    // Whoever has the snapshot key, so the server, can put such a file there.
    world.apply(set("targets/a", "v1", 2));
    assert_eq!(world.draft.restarted().collect::<Vec<_>>(), ["targets/a"]);
    world.publish().unwrap();
    let names = world.draft.file("targets/a").unwrap().names();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["v1"]);
    assert_eq!(world.version("targets/a"), 2);
}

#[test]
fn whoever_witnesses_what_none_of_the_keys_signed_is_told() {
    let mut world = World::new();
    let key = world.add_key();
    world.apply(delegate("targets/a", vec![key.clone()], 1)).apply(set("targets/a", "v1", 1));
    world.publish().unwrap();
    world.apply(Change::Witness { role: "targets/a".into() });
    assert_eq!(world.draft.adopted().count(), 0);
    world.publish().unwrap();
    replace_key(&mut world, "targets/a", &key);
    world.apply(Change::Witness { role: "targets/a".into() });
    assert_eq!(world.draft.adopted().collect::<Vec<_>>(), ["targets/a"]);
}

#[test]
fn what_an_unusable_delegation_declares_stays_in_the_snapshot() {
    let mut world = World::new();
    let (one, two) = (world.add_key(), world.add_key());
    world.apply(delegate("targets/a", vec![one.clone()], 1)).apply(delegate("targets/a/b", vec![two], 1));
    world.apply(set("targets/a/b", "v1", 1)).publish().unwrap();
    replace_key(&mut world, "targets/a", &one);
    world.apply(set("targets", "v2", 2)).publish().unwrap();
    world.apply(Change::Witness { role: "targets/a".into() }).publish().unwrap();
    assert!(world.trusted().unwrap().targets("targets/a/b").unwrap().get("v1").is_some());
}

#[test]
fn a_tag_is_revoked_in_an_expired_delegation_too() {
    let mut world = World::new();
    let key = world.add_key();
    world.apply(delegate("targets/a", vec![key], 1)).publish().unwrap();
    world.apply(set("targets/a", "v1", 1)).apply(set("targets/a", "v2", 2));
    let brief = world.draft.unsigned(&|_| world.now + Duration::from_secs(1)).unwrap();
    let file = sign(&brief[0], &world.signer(), &[]).unwrap();
    let snapshot = world.draft.unsigned_snapshot(std::slice::from_ref(&file), world.now + YEAR).unwrap();
    let snapshot = sign(&snapshot, &world.signer(), &[]).unwrap();
    world.now += Duration::from_secs(2);
    world.store(vec![file, snapshot]);
    assert!(world.trusted().unwrap().excluded("targets/a").is_some());
    world.apply(Change::RemoveTarget { role: "targets/a".into(), name: "absent".into() });
    assert_eq!(world.draft.dirty().count(), 0);
    world.apply(Change::RemoveTarget { role: "targets/a".into(), name: "v1".into() }).publish().unwrap();
    assert_eq!(world.draft.file("targets/a").unwrap().names().into_iter().collect::<Vec<_>>(), ["v2"]);
}

#[test]
fn a_delegation_that_ends_and_begins_at_once_goes_on_with_its_versions() {
    let mut world = World::new();
    let key = world.add_key();
    world.apply(delegate("targets/a", vec![key.clone()], 1)).apply(set("targets/a", "v1", 1));
    world.publish().unwrap();
    world.apply(Change::RemoveDelegation { role: "targets/a".into() });
    world.apply(delegate("targets/a", vec![key], 1)).apply(set("targets/a", "v2", 1)).publish().unwrap();
    assert_eq!(world.version("targets/a"), 2);
}

#[test]
fn a_proposal_to_end_or_witness_a_delegation_is_for_what_is_published() {
    let mut world = World::new();
    let key = world.add_key();
    world.apply(delegate("targets/a", vec![key.clone()], 1)).apply(set("targets/a", "v1", 1));
    world.publish().unwrap();
    let published = world.draft.clone();
    let propose = |world: &World| {
        Proposal::new(&world.draft, &Lifetimes::default().at(world.now), &world.signer()).unwrap()
    };
    world.apply(Change::RemoveDelegation { role: "targets/a".into() });
    propose(&world).apply_to(published.clone()).unwrap();
    world.draft = published;
    replace_key(&mut world, "targets/a", &key);
    let published = world.draft.clone();
    world.apply(Change::Witness { role: "targets/a".into() });
    propose(&world).apply_to(published).unwrap();
}

#[test]
fn a_forged_signature_in_one_proposal_does_not_displace_that_of_another() {
    let mut world = World::new();
    world.apply(set("targets", "v1", 1));
    let whole = Proposal::new(&world.draft, &Lifetimes::default().at(world.now), &world.signer()).unwrap();
    let signature = whole.signatures("targets")[0].clone();
    let text = String::from_utf8(whole.to_json()).unwrap();
    let forged = Base64::encode_string(&[0; 64]);
    let forged = text.replace(&Base64::encode_string(&signature.bytes), &forged);
    assert_ne!(forged, text);
    let merged = Proposal::from_json(forged.as_bytes()).unwrap().merge([whole]).unwrap();
    assert!(merged.signatures("targets").contains(&signature));
    let unsigned = world.draft.unsigned(&|role| merged.expiry(role).unwrap()).unwrap();
    sign(&unsigned[0], &|_, _| Ok(None), merged.signatures("targets")).unwrap();
}

#[test]
fn a_root_can_be_signed_anew_and_that_cannot_be_staged() {
    let mut world = World::new();
    let witness = Change::Witness { role: "root".into() };
    assert!(matches!(witness.to_file(), Err(Error::InvalidInput { .. })));
    assert!(Change::from_file(&witness.to_json()).is_err());
    world.apply(witness).publish().unwrap();
    assert_eq!((world.version("root"), world.version("targets")), (2, 2));
    for role in ["snapshot", "timestamp"] {
        let refused = world.draft.apply(&Change::Witness { role: role.into() });
        assert!(matches!(refused, Err(Error::InvalidInput { .. })));
    }
}

#[test]
fn a_proposal_signs_nothing_that_its_changes_do_not_say() {
    let mut world = World::new();
    world.apply(set("targets", "v1", 1));
    let unsaid = world.draft.clone();
    let mut sneaky = world.draft.clone();
    sneaky.touch("root");
    let lifetimes = Lifetimes::default();
    let proposal = Proposal::new(&sneaky, &lifetimes.at(world.now), &world.signer()).unwrap();
    assert!(proposal.signers().contains_key("root"));
    let base = Draft::of(&world.trusted().unwrap()).unwrap();
    assert!(matches!(proposal.apply_to(base.clone()), Err(Error::Conflict { .. })));
    let honest = Proposal::new(&unsaid, &lifetimes.at(world.now), &world.signer()).unwrap();
    assert!(honest.apply_to(base).is_ok());
}

#[test]
fn two_of_three_sign_apart_and_one_publishes() {
    let mut world = World::new();
    let keys: Vec<PublicKey> = (0..3).map(|_| world.add_key()).collect();
    world.apply(delegate("targets/a", keys.clone(), 2)).publish().unwrap();
    let people = world.keys.split_off(3);
    world.apply(set("targets/a", "v1", 1));
    assert!(matches!(world.sign(&[]), Err(Error::KeyNotFound { .. })));

    let lifetimes = Lifetimes::default();
    let expiry = lifetimes.at(world.now);
    let only = |key: &Arc<PrivateKey>| {
        let key = Arc::clone(key);
        move |id: &KeyId, _: &str| Ok((key.id() == id).then(|| Arc::clone(&key) as Arc<dyn Signer>))
    };
    let first = Proposal::new(&world.draft, &expiry, &only(&people[0])).unwrap();
    assert_eq!(Proposal::from_json(&first.to_json()).unwrap(), first);
    // Another one looks at it on another day, and signs the same bytes.
    let base = Draft::of(&world.trusted().unwrap()).unwrap();
    let draft = first.apply_to(base.clone()).unwrap();
    assert!(matches!(first.clone().sign(&draft, &only(&people[0])), Err(Error::KeyNotFound { .. })));
    let second = first.clone().sign(&draft, &only(&people[1])).unwrap();
    assert_eq!(second.signers()["targets/a"].len(), 2);

    let merged = first.clone().merge([second]).unwrap();
    let fixed = |name: &str| merged.expiry(name).unwrap();
    let unsigned = draft.unsigned(&fixed).unwrap();
    let file = sign(&unsigned[0], &world.signer(), merged.signatures("targets/a")).unwrap();
    assert_eq!(file.key_ids.len(), 2);
    let forged: Vec<Signature> = merged
        .signatures("targets/a")
        .iter()
        .map(|signature| Signature { bytes: vec![0; 64], ..signature.clone() })
        .collect();
    assert!(matches!(sign(&unsigned[0], &world.signer(), &forged), Err(Error::KeyNotFound { .. })));

    // What is published by then is something else.
    world.draft = base;
    world.keys.extend(people);
    world.apply(set("targets/a", "v2", 2)).publish().unwrap();
    let moved = Draft::of(&world.trusted().unwrap()).unwrap();
    assert!(matches!(first.apply_to(moved), Err(Error::Conflict { .. })));
}

#[test]
fn proposals_that_differ_are_not_put_together_and_damaged_ones_are_told() {
    let mut world = World::new();
    let propose = |world: &World| {
        Proposal::new(&world.draft, &Lifetimes::default().at(world.now), &world.signer()).unwrap()
    };
    world.apply(set("targets", "v1", 1));
    let one = propose(&world);
    world.apply(set("targets", "v1", 2));
    let two = propose(&world);
    assert!(matches!(one.clone().merge([two]), Err(Error::InvalidInput { .. })));
    let file = one.to_json();
    for end in 0..file.len() {
        assert!(Proposal::from_json(&file[..end]).is_err(), "{end}");
    }
    let other = String::from_utf8(file).unwrap().replace("proposal 1", "proposal 2");
    assert!(Proposal::from_json(other.as_bytes()).is_err());
}

#[test]
fn lifetimes_are_notarys_unless_set() {
    let mut lifetimes = Lifetimes::default();
    let days = |lifetimes: &Lifetimes, role: &str| lifetimes.of(role).as_secs() / 86_400;
    assert_eq!(
        (days(&lifetimes, "root"), days(&lifetimes, "targets"), days(&lifetimes, "targets/a")),
        (3650, 1095, 1095)
    );
    lifetimes.set("delegations", Duration::from_secs(7 * 86_400));
    lifetimes.set("targets/b", Duration::from_secs(86_400));
    assert_eq!(
        (days(&lifetimes, "targets"), days(&lifetimes, "targets/a"), days(&lifetimes, "targets/b")),
        (1095, 7, 1)
    );
    assert!(lifetimes.check().is_ok());
    lifetimes.set("timestamp", YEAR);
    assert!(matches!(lifetimes.check(), Err(Error::InvalidConfiguration { .. })));
}
