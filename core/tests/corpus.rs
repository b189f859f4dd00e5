//! Repositories that the real programs signed, replayed against the trusted set
//! from memory: as they are, at other times, and with every kind of damage.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use tagtrust::trust::{Expiry, TrustedRoot};
use tagtrust::{Error, Pinning, Policy, Rule, TrustedSet};

#[derive(Clone, Deserialize)]
struct Repository {
    gun: String,
    now: u64,
    tags: BTreeMap<String, Image>,
    files: BTreeMap<String, String>,
}

#[derive(Clone, Deserialize)]
struct Image {
    digest: String,
    size: u64,
}

type Files = BTreeMap<String, Vec<u8>>;
/// Every tag with its digest and size, or why the repository is refused.
type Verdict = Result<BTreeMap<String, (String, u64)>, Error>;

fn corpus() -> Vec<(String, Repository)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/repositories");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path.display().to_string(), serde_json::from_str(&text).unwrap()));
        }
    }
    assert!(found.len() >= 5, "the corpus is not there");
    found
}

impl Repository {
    fn files(&self) -> Files {
        self.files.iter().map(|(name, text)| (name.clone(), text.clone().into_bytes())).collect()
    }

    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.now)
    }

    fn verdict(&self, files: &Files, now: SystemTime) -> Verdict {
        self.verdict_with(files, now, &Pinning::trust_on_first_use(), None)
    }

    /// One pass without a cache, as the client makes it.
    fn verdict_with(&self, files: &Files, now: SystemTime, pins: &Pinning, floor: Option<i64>) -> Verdict {
        let file = |name: &str| {
            let missing = || Error::NoTrustData { gun: self.gun.clone(), server: name.to_owned() };
            files.get(name).cloned().ok_or_else(missing)
        };
        let root =
            TrustedRoot::accept(&self.gun, file("root.json")?, None, Some(pins), Expiry::Enforced, now)?;
        let mut set = TrustedSet::new(Arc::new(root));
        set.add_timestamp(file("timestamp.json")?, floor, now)?;
        let hash = set.snapshot_source().unwrap().sha256_hex().unwrap();
        set.add_snapshot(file(&format!("snapshot.{hash}.json"))?, None, now)?;
        while let Some(role) = set.next_role().map(str::to_owned) {
            match set.source(&role).map(|source| source.sha256_hex().unwrap()) {
                Some(hash) => set.add_role(file(&format!("{role}.{hash}.json"))?, None, now)?,
                None => set.skip_unlisted(),
            }
        }
        let mut answers = BTreeMap::new();
        for tag in self.tags.keys() {
            let found = set.resolve(tag, &Policy::docker())?;
            let digest = found.sha256.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            answers.insert(tag.clone(), (format!("sha256:{digest}"), found.size));
        }
        Ok(answers)
    }

    fn expected(&self) -> BTreeMap<String, (String, u64)> {
        self.tags.iter().map(|(tag, image)| (tag.clone(), (image.digest.clone(), image.size))).collect()
    }
}

#[test]
fn what_the_real_programs_signed_is_accepted() {
    for (name, repository) in corpus() {
        assert_eq!(
            repository.verdict(&repository.files(), repository.now()),
            Ok(repository.expected()),
            "{name}"
        );
    }
}

#[test]
fn nothing_is_accepted_after_it_expired() {
    let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
    for (name, repository) in corpus() {
        for (later, role) in [(days(15), "timestamp"), (days(11 * 365), "root")] {
            match repository.verdict(&repository.files(), repository.now() + later) {
                Err(Error::Expired { role: expired, .. }) => assert_eq!(expired, role, "{name}"),
                // The root's certificate expires no later than the root.
                Err(Error::RootNotTrusted { .. }) => assert_eq!(role, "root", "{name}"),
                other => panic!("{name}, {role}: {other:?}"),
            }
        }
    }
}

#[test]
fn an_older_timestamp_than_the_one_seen_is_a_rollback() {
    for (name, repository) in corpus() {
        let pins = Pinning::trust_on_first_use();
        let verdict = repository.verdict_with(&repository.files(), repository.now(), &pins, Some(1_000_000));
        assert!(matches!(verdict, Err(Error::RolledBack { known: 1_000_000, .. })), "{name}: {verdict:?}");
    }
}

#[test]
fn a_root_without_a_pin_is_not_trusted() {
    for (name, repository) in corpus() {
        let verdict = repository.verdict_with(&repository.files(), repository.now(), &Pinning::none(), None);
        assert!(matches!(verdict, Err(Error::RootNotTrusted { .. })), "{name}: {verdict:?}");
    }
}

#[test]
fn files_of_another_repository_are_refused() {
    let corpus = corpus();
    for (name, repository) in &corpus {
        for (other_name, other) in corpus.iter().filter(|(other, _)| other != name) {
            let verdict = repository.verdict(&other.files(), repository.now());
            assert!(
                matches!(verdict, Err(Error::RootNotTrusted { .. })),
                "{other_name} as {name}: {verdict:?}"
            );
            for file in repository.files.keys().filter(|file| other.files.contains_key(*file)) {
                let mut mixed = repository.files();
                mixed.insert(file.clone(), other.files[file].clone().into_bytes());
                // Old root versions are not looked at in a first pass.
                if !file.ends_with(".root.json") {
                    assert!(
                        repository.verdict(&mixed, repository.now()).is_err(),
                        "{file} of {other_name} in {name}"
                    );
                }
            }
        }
    }
}

/// Every file with one byte changed, dropped or doubled at every place: the
/// repository is refused, or the answer is the same.
#[test]
fn no_damage_to_any_byte_changes_an_answer() {
    for (name, repository) in corpus() {
        let good = repository.files();
        let expected = repository.expected();
        let mut refused = 0;
        for (file, bytes) in good.iter().filter(|(file, _)| !file.ends_with(".root.json")) {
            // A prime step hits other places in each file; all of them takes minutes.
            for at in (0..bytes.len()).step_by(if file == "root.json" { 7 } else { 13 }) {
                for damage in 0..3 {
                    let mut damaged = bytes.clone();
                    match damage {
                        0 => damaged[at] ^= 1,
                        1 => drop(damaged.remove(at)),
                        _ => damaged.insert(at, bytes[at]),
                    }
                    let mut files = good.clone();
                    files.insert(file.clone(), damaged);
                    match repository.verdict(&files, repository.now()) {
                        Ok(answer) => assert_eq!(answer, expected, "{name}: {file} at {at}"),
                        Err(_) => refused += 1,
                    }
                }
            }
        }
        assert!(refused > 500, "{name}: only {refused} damages were refused");
    }
}

#[test]
fn a_rotated_root_follows_from_its_predecessor_and_from_no_other() {
    let (_, repository) =
        corpus().into_iter().find(|(name, _)| name.ends_with("notary-rotated.json")).unwrap();
    let files = repository.files();
    let newest = files.keys().filter(|name| name.ends_with(".root.json")).count();
    let accept = |version: usize, previous: Option<&TrustedRoot>| {
        let file = files[&format!("{version}.root.json")].clone();
        let pins = Pinning::trust_on_first_use();
        TrustedRoot::accept(&repository.gun, file, previous, Some(&pins), Expiry::Enforced, repository.now())
    };
    let mut current = accept(1, None).unwrap();
    for version in 2..=newest {
        current = accept(version, Some(&current)).unwrap();
        assert_eq!(current.version(), version as i64);
    }
    assert_eq!(*current.file(), files["root.json"]);
    assert!(matches!(
        accept(1, Some(&current)),
        Err(Error::RolledBack { .. } | Error::RootNotTrusted { .. })
    ));
    // Pinned to the root key of the first version, the newest one is refused.
    let first_key = accept(1, None).unwrap().root().role("root").unwrap().key_ids();
    let pins = Pinning::none().certificates(repository.gun.as_str(), first_key);
    let verdict = repository.verdict_with(&files, repository.now(), &pins, None);
    assert!(matches!(verdict, Err(Error::RootNotTrusted { .. })), "{verdict:?}");
}

#[test]
fn a_set_that_is_not_complete_answers_nothing() {
    for (name, repository) in corpus() {
        let (files, now) = (repository.files(), repository.now());
        let pins = Pinning::trust_on_first_use();
        let root = TrustedRoot::accept(
            &repository.gun,
            files["root.json"].clone(),
            None,
            Some(&pins),
            Expiry::Enforced,
            now,
        );
        let mut set = TrustedSet::new(Arc::new(root.unwrap()));
        set.add_timestamp(files["timestamp.json"].clone(), None, now).unwrap();
        let hash = set.snapshot_source().unwrap().sha256_hex().unwrap();
        set.add_snapshot(files[&format!("snapshot.{hash}.json")].clone(), None, now).unwrap();
        while let Some(role) = set.next_role().map(str::to_owned) {
            for tag in repository.tags.keys() {
                let answer = set.resolve(tag, &Policy::docker());
                assert!(
                    matches!(answer, Err(Error::Internal { .. })),
                    "{name}: {tag} before {role}: {answer:?}"
                );
            }
            match set.source(&role).map(|source| source.sha256_hex().unwrap()) {
                Some(hash) => set.add_role(files[&format!("{role}.{hash}.json")].clone(), None, now).unwrap(),
                None => set.skip_unlisted(),
            }
        }
        assert!(set.is_complete());
    }
}

/// As a caller does who has the files and nothing else.
fn open(repository: &Repository, now: SystemTime) -> Result<TrustedSet, Error> {
    let (files, pins) = (repository.files(), Pinning::trust_on_first_use());
    let mut set = TrustedSet::open(&repository.gun, &[], files["root.json"].clone(), &pins, now)?;
    while let Some(role) = set.next_role().map(str::to_owned) {
        let hash = match role.as_str() {
            "timestamp" => None,
            "snapshot" => set.snapshot_source().and_then(|source| source.sha256_hex()),
            role => set.source(role).and_then(|source| source.sha256_hex()),
        };
        let name = hash.map_or_else(|| format!("{role}.json"), |hash| format!("{role}.{hash}.json"));
        set.add_role(files[&name].clone(), None, now)?;
        set.skip_unlisted();
    }
    Ok(set)
}

/// The files by the names of their roles.
fn by_role(repository: &Repository) -> Files {
    let set = open(repository, repository.now()).unwrap();
    let roles = ["timestamp", "snapshot"].into_iter().chain(set.roles());
    roles.map(|role| (role.to_owned(), set.file(role).unwrap().to_vec())).collect()
}

#[test]
fn all_files_can_be_added_at_once() {
    for (name, repository) in corpus() {
        let (files, roles, now) = (repository.files(), by_role(&repository), repository.now());
        let pins = Pinning::trust_on_first_use();
        let begin =
            || TrustedSet::open(&repository.gun, &[], files["root.json"].clone(), &pins, now).unwrap();
        let mut set = begin();
        set.add_all(|role| roles.get(role).cloned(), now).unwrap();
        for (tag, signed) in &repository.tags {
            assert_eq!(set.verify(tag, &Policy::docker(), now).unwrap().digest, signed.digest, "{name}");
        }
        // There is nothing more to add.
        set.add_all(|role| -> Option<Vec<u8>> { panic!("{name}: {role}") }, now).unwrap();

        for role in roles.keys() {
            // What comes after a file that is missing waits for it.
            let mut set = begin();
            let others = |asked: &str| roles.get(asked).filter(|_| asked != role).cloned();
            set.add_all(others, now).unwrap();
            assert_eq!(set.next_role(), Some(role.as_str()), "{name}");
            // What was accepted stays; what is refused does not, nor is anything after it asked for.
            let refused = set.add_all(|asked| (asked == role).then(|| b"{}".to_vec()), now);
            assert!(matches!(refused, Err(Error::Tampered { .. })), "{name}: {role}: {refused:?}");
            assert_eq!(set.next_role(), Some(role.as_str()), "{name}");
            set.add_all(|role| roles.get(role).cloned(), now).unwrap();
            assert!(set.is_complete(), "{name}");
        }
    }
}

#[test]
fn an_opened_set_says_of_tags_and_references_what_was_signed() {
    let policy = Policy::docker();
    for (name, repository) in corpus() {
        let (gun, now) = (&repository.gun, repository.now());
        let set = open(&repository, now).unwrap();
        for (tag, signed) in &repository.tags {
            let image = set.verify(tag, &policy, now).unwrap();
            assert_eq!((&image.digest, image.size, &image.tag), (&signed.digest, signed.size, tag), "{name}");
            assert_eq!((&image.repository, image.fresh, image.expires), (gun, false, set.valid_until()));
            assert_eq!(image.pinned_reference, format!("{gun}@{}", signed.digest));
            assert_eq!(set.verify(&format!("{gun}:{tag}@{}", signed.digest), &policy, now), Ok(image));
            let by_digest = set.verify(&format!("{gun}@{}", signed.digest), &policy, now).unwrap();
            assert!(by_digest.tags.contains(tag), "{name}: {by_digest:?}");
            let other = set.verify(&format!("{gun}:{tag}@sha256:{}", "0".repeat(64)), &policy, now);
            assert!(matches!(other, Err(Error::DigestMismatch { .. })), "{name}: {other:?}");
        }
        let unsigned = set.verify("not-signed", &policy, now);
        assert!(matches!(unsigned, Err(Error::TagNotSigned { .. })), "{name}: {unsigned:?}");
        for elsewhere in ["registry.example/other/name:1", "alpine@sha256", "", "a b", "x:1"] {
            let answer = set.verify(elsewhere, &policy, now);
            assert!(matches!(answer, Err(Error::InvalidReference { .. })), "{name}: {answer:?}");
        }
        let asks_for_nothing = Policy::docker().rule(Rule { repository: gun.clone(), ..Rule::default() });
        let answer = set.verify("latest", &asks_for_nothing, now);
        assert!(matches!(answer, Err(Error::InvalidConfiguration { .. })), "{name}: {answer:?}");
    }
}

#[test]
fn an_opened_set_answers_nothing_once_a_file_of_it_expired() {
    for (name, repository) in corpus() {
        let set = open(&repository, repository.now()).unwrap();
        let tag = repository.tags.keys().next().unwrap();
        let at = |now| set.verify(tag, &Policy::docker(), now);
        assert!(at(set.valid_until()).is_ok(), "{name}");
        match at(set.valid_until() + Duration::from_secs(1)) {
            Err(Error::Expired { role, .. }) => assert_eq!(role, "timestamp", "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn a_file_out_of_turn_is_refused_and_an_incomplete_set_answers_nothing() {
    let is_misuse = |result: Result<(), Error>| matches!(result, Err(Error::InvalidInput { .. }));
    for (name, repository) in corpus() {
        let (files, now) = (repository.files(), repository.now());
        let pins = Pinning::trust_on_first_use();
        let mut set = TrustedSet::open(&repository.gun, &[], files["root.json"].clone(), &pins, now).unwrap();
        let timestamp = &files["timestamp.json"];
        let tag = repository.tags.keys().next().unwrap();
        let answer = |set: &TrustedSet| set.verify(tag, &Policy::docker(), now).map(drop);
        assert!(
            is_misuse(set.add_snapshot(timestamp.clone(), None, now)) && is_misuse(answer(&set)),
            "{name}"
        );
        set.add_timestamp(timestamp.clone(), None, now).unwrap();
        // A second timestamp could name another snapshot than the one below it.
        assert!(is_misuse(set.add_timestamp(timestamp.clone(), None, now)), "{name}");
        assert!(is_misuse(answer(&set)), "{name}");
        assert_eq!(set.next_role(), Some("snapshot"), "{name}");
        let mut complete = open(&repository, now).unwrap();
        assert!(is_misuse(complete.add_role(timestamp.clone(), None, now)), "{name}");
        assert!(answer(&complete).is_ok(), "{name}");
    }
}

#[test]
fn a_known_root_decides_which_root_may_follow() {
    let (_, repository) =
        corpus().into_iter().find(|(name, _)| name.ends_with("notary-rotated.json")).unwrap();
    let (files, pins) = (repository.files(), Pinning::trust_on_first_use());
    let open = |known: &[u8], root: &str| {
        let known = [known.to_vec().into()];
        TrustedSet::open(&repository.gun, &known, files[root].clone(), &pins, repository.now())
    };
    assert!(open(&files["1.root.json"], "2.root.json").is_ok());
    assert!(open(&files["root.json"], "root.json").is_ok());
    assert!(matches!(
        open(&files["2.root.json"], "1.root.json"),
        Err(Error::RolledBack { .. } | Error::RootNotTrusted { .. })
    ));
    assert!(matches!(open(b"{}", "root.json"), Err(Error::InvalidInput { .. })));
}
