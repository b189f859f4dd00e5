use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use base64ct::{Base64, Encoding};
use tagtrust::Pinning;
use tagtrust::crypto::CertificateBundle;
use tagtrust::metadata::json::canonical_form;
use tagtrust::metadata::{Envelope, FileMeta, Root, Snapshot, Targets, Timestamp, role};
use tagtrust::trust::{Expiry, TrustedRoot};

use super::plain_json::{self, Tree};

/// 2028, when the seeds are valid.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_830_297_600)
}

/// Their keys are gone: no other root can be accepted.
const SIGNED_ROOTS: [&[u8]; 3] = [
    include_bytes!("../seeds/root/valid-notary.json"),
    include_bytes!("../seeds/root/valid-notary-rotated.json"),
    include_bytes!("../seeds/root/valid-docker.json"),
];

/// What is signed is the canonical form of `signed`, and the file stays as it was.
pub fn envelope(file: &[u8]) -> bool {
    let Some((envelope, tree)) = read(file) else { return false };
    assert_eq!(envelope.file(), file);
    let signed = tree.get("signed").expect("it is there");
    assert_eq!(envelope.signed(), signed.canonical());
    assert_eq!(envelope.kind().ok().as_deref(), signed.get("_type").map_or(Some(""), Tree::text));

    let signatures = tree.get("signatures").map_or(&[][..], Tree::items);
    assert_eq!(envelope.signatures.len(), signatures.len());
    for (found, listed) in envelope.signatures.iter().zip(signatures) {
        assert_eq!(found.key_id.as_str(), text(listed.get("keyid")));
        assert_eq!(found.method, text(listed.get("method")).to_lowercase());
        assert_eq!(Base64::encode_string(&found.bytes), text(listed.get("sig")));
    }
    true
}

/// A root says what the plain tree says, and is accepted only if it is one of
/// those that were signed, under every pin that admits it and under no other.
pub fn root(file: &[u8]) -> bool {
    let Some((envelope, tree)) = read(file) else { return false };
    let Ok(root) = Root::read(&envelope) else { return false };
    let roles = tree.get("signed").and_then(|signed| signed.get("roles"));
    for name in [role::ROOT, role::TARGETS, role::SNAPSHOT, role::TIMESTAMP] {
        let found = root.role(name).expect("every base role is there");
        let listed = roles.and_then(|roles| roles.get(name)).expect("it was listed");
        assert_eq!(Some(i64::from(found.threshold)), listed.get("threshold").and_then(Tree::int));
        assert!(found.threshold > 0);
        let key_ids: BTreeSet<&str> = found.keys.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(key_ids.len(), found.keys.len());
        let key_ids_listed = listed.get("keyids").map_or(&[][..], Tree::items);
        assert_eq!(key_ids, key_ids_listed.iter().map(|id| text(Some(id))).collect());
    }
    accept(file, &envelope, &root)
}

fn accept(file: &[u8], envelope: &Envelope, root: &Root) -> bool {
    let keys = || root.role(role::ROOT).into_iter().flat_map(|role| &role.keys);
    // Every repository for which it could be accepted.
    let guns: BTreeSet<String> = keys()
        .filter_map(|(_, key)| Some(CertificateBundle::of_root_key(key).ok()?.common_name().to_owned()))
        .collect();
    let key_ids: Vec<String> = keys().map(|(id, _)| id.to_string()).collect();
    let mut accepted = false;
    for gun in &guns {
        let accept = |previous: Option<&TrustedRoot>, pins: Option<&Pinning>, expiry: Expiry| {
            TrustedRoot::accept(gun, file.to_vec(), previous, pins, expiry, now())
        };
        let Ok(first) = accept(None, None, Expiry::Ignored) else {
            assert!(accept(None, Some(&Pinning::trust_on_first_use()), Expiry::Enforced).is_err());
            continue;
        };
        accepted = true;
        let is_genuine = |genuine: &&[u8]| signed(genuine) == envelope.signed();
        assert!(SIGNED_ROOTS.iter().any(is_genuine), "a forged root");
        assert_eq!(first.file(), file);

        let pinned = |key_ids: &[String]| Pinning::trust_on_first_use().certificates(gun, key_ids);
        for (pins, admitted) in [
            (Pinning::none(), false),
            (Pinning::trust_on_first_use(), true),
            (pinned(&["0".repeat(64)]), false),
            (pinned(&key_ids), true),
        ] {
            assert_eq!(accept(None, Some(&pins), Expiry::Ignored).is_ok(), admitted);
            assert_eq!(accept(Some(&first), Some(&pins), Expiry::Ignored).is_ok(), admitted);
        }
        assert!(
            TrustedRoot::accept("another/repository", file.to_vec(), None, None, Expiry::Ignored, now())
                .is_err()
        );
    }
    accepted
}

fn signed(file: &[u8]) -> Vec<u8> {
    Envelope::read(file.to_vec()).expect("a real root").signed().to_vec()
}

/// The index over the bytes has what the plain tree has: every name once, in
/// ascending order, with its length and its hash.
pub fn targets(file: &[u8]) -> bool {
    let Some((envelope, tree)) = read(file) else { return false };
    let _ = Targets::read(role::RELEASES, envelope.clone());
    let Ok(targets) = Targets::read(role::TARGETS, envelope) else { return false };
    assert_eq!(targets.file(), file);

    let listed = tree.get("signed").and_then(|signed| signed.get("targets"));
    let listed: BTreeMap<&str, &Tree> = listed.into_iter().flat_map(Tree::members).collect();
    let mut found = targets.iter();
    for (name, value) in &listed {
        let (found_name, target) = found.next().expect("every target is found");
        assert_eq!(found_name, *name);
        assert_eq!(
            target.length,
            value.get("length").map_or(Some(0), |n| n.int()?.try_into().ok()).expect("it was read")
        );
        let sha256 = target.sha256.as_ref().map(|hash| Base64::encode_string(hash));
        let hashes = || value.get("hashes").into_iter().flat_map(Tree::members);
        let listed_sha256 = hashes().find_map(|(algorithm, hash)| (algorithm == "sha256").then_some(hash));
        assert_eq!(sha256.as_deref(), listed_sha256.map(|hash| text(Some(hash))));
        assert!(hashes().all(|(_, hash)| Base64::decode_vec(text(Some(hash))).is_ok()));
        assert_eq!(targets.get(name), Some(target));
        let next = format!("{name}\0");
        assert_eq!(targets.get(&next).is_some(), listed.contains_key(next.as_str()));
    }
    assert_eq!(found.next(), None);
    assert_eq!(targets.len(), targets.iter().count());

    for delegation in &targets.delegations {
        assert!(role::is_delegation(&delegation.name));
        assert_eq!(role::parent(&delegation.name), Some(role::TARGETS));
        assert!(delegation.keys.threshold > 0);
        assert!(delegation.paths.iter().all(|path| delegation.admits(&format!("{path}1"))));
    }
    true
}

/// Snapshot and timestamp have the checksums that the plain tree has, and no
/// file has the checksum that it lists itself.
pub fn snapshot(file: &[u8]) -> bool {
    let Some((envelope, tree)) = read(file) else { return false };
    let meta = tree.get("signed").and_then(|signed| signed.get("meta"));
    let listed = |name: &str| meta.and_then(|meta| meta.get(name));
    let check = |name: &str, found: &FileMeta| {
        let entry = listed(name);
        let length = entry.and_then(|entry| entry.get("length")).map_or(Some(0), Tree::int);
        assert_eq!(Some(found.length), length.and_then(|length| length.try_into().ok()));
        let hash = |algorithm| text(entry.and_then(|entry| entry.get("hashes")?.get(algorithm)));
        assert_eq!(found.sha256.map(|hash| Base64::encode_string(&hash)).unwrap_or_default(), hash("sha256"));
        assert_eq!(found.sha512.map(|hash| Base64::encode_string(&hash)).unwrap_or_default(), hash("sha512"));
        assert!(found.sha256_hex().is_none_or(|hex| hex.len() == 64));
        assert!(found.check(file).is_err());
    };
    let snapshot = Snapshot::read(&envelope);
    if let Ok(snapshot) = &snapshot {
        assert_eq!(snapshot.files.len(), meta.map_or(0, |meta| meta.members().count()));
        for name in [role::ROOT, role::TARGETS] {
            assert!(snapshot.files.get(name).is_some_and(|meta| meta.sha256.is_some()));
        }
        snapshot.files.iter().for_each(|(name, found)| check(name, found));
    }
    let timestamp = Timestamp::read(&envelope);
    if let Ok(timestamp) = &timestamp {
        assert!(timestamp.snapshot.sha256.is_some());
        check(role::SNAPSHOT, &timestamp.snapshot);
    }
    snapshot.is_ok() || timestamp.is_ok()
}

/// The envelope, and the same file as a plain tree.
fn read(file: &[u8]) -> Option<(Envelope, Tree)> {
    let envelope = Envelope::read(file.to_vec()).ok()?;
    assert!(canonical_form(file).is_ok(), "an envelope is JSON");
    Some((envelope, plain_json::read(file).expect("an envelope is JSON")))
}

/// Absent text reads as empty.
fn text(tree: Option<&Tree>) -> &str {
    tree.and_then(Tree::text).unwrap_or_default()
}
