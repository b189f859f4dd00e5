//! Targets and delegations: which digests a role signed, and whom it trusts further.

use std::cmp::Ordering;

use bytes::Bytes;

use super::envelope::Entry;
use super::json::{self, Malformed, Value};
use super::plain::PlainTarget;
use super::root::{read_key_ids, read_keys};
use super::{Common, Envelope, RoleKeys, role};

/// Most paths that one delegation may have: each is compared with each of its parent's.
const MAX_PATHS: usize = 1024;

/// The content of a targets or delegation file. Targets stay bytes until asked for.
#[derive(Debug, Clone)]
pub struct Targets {
    /// Version and expiry.
    pub common: Common,
    /// In the order of the file.
    pub delegations: Vec<DelegatedRole>,
    envelope: Envelope,
}

/// A delegation as its parent declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelegatedRole {
    /// Full name, such as `targets/releases`.
    pub name: String,
    /// Who may sign for it.
    pub keys: RoleKeys,
    /// Prefixes of the target names that it may sign; the empty one admits all.
    pub paths: Vec<String>,
}

/// What a role signed for one target name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Size in bytes of the manifest.
    pub length: u64,
    /// The manifest's SHA-256 as listed: 32 bytes in anything usable.
    pub sha256: Option<Vec<u8>>,
}

impl Targets {
    /// Reads the content of the file of `name`.
    ///
    /// # Errors
    /// [`Malformed`] if it is not of this form, if a delegation is not a direct
    /// child of `name`, has a threshold below 1, or names a key that is not there.
    pub fn read(name: &str, envelope: Envelope) -> Result<Self, Malformed> {
        envelope.check_members(&["_type", "version", "expires", "targets", "delegations"])?;
        let common = envelope.common()?;
        if envelope.targets().is_empty() {
            envelope.member("targets")?.map("targets")?;
        }
        for entry in envelope.unusual_targets() {
            Target::read(envelope.value_of(entry))?;
        }
        let delegations = read_delegations(name, &envelope.member("delegations")?)?;
        Ok(Self { common, delegations, envelope })
    }

    /// The file around it.
    pub(crate) fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The bytes of the file.
    pub fn file(&self) -> &Bytes {
        self.envelope.file()
    }

    /// What the file lists under `name`.
    pub fn get(&self, name: &str) -> Option<Target> {
        Target::read(self.raw_value(self.find(name).ok()?)?).ok()
    }

    /// Where a name stands among the targets, or where it would.
    pub(super) fn find(&self, name: &str) -> Result<usize, usize> {
        self.envelope.targets().binary_search_by(|entry| self.compare_name(entry, name))
    }

    /// The canonical text of a target.
    pub(super) fn raw_value(&self, index: usize) -> Option<&[u8]> {
        Some(self.envelope.value_of(self.envelope.targets().get(index)?))
    }

    fn compare_name(&self, entry: &Entry, name: &str) -> Ordering {
        let listed = self.envelope.name_of(entry);
        if listed.contains(&b'\\') {
            json::unescape(listed).as_ref().cmp(name.as_bytes())
        } else {
            listed.cmp(name.as_bytes())
        }
    }

    /// All targets, in ascending order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (String, Target)> + '_ {
        self.envelope.targets().iter().filter_map(|entry| {
            let name = json::text(self.envelope.name_of(entry)).ok()?.into_owned();
            Some((name, Target::read(self.envelope.value_of(entry)).ok()?))
        })
    }

    /// How many targets the file lists.
    pub fn len(&self) -> usize {
        self.envelope.targets().len()
    }

    /// True if the file lists no target.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Target {
    fn read(canonical: &[u8]) -> Result<Self, Malformed> {
        if let Some(plain) = PlainTarget::at_start_of(canonical)
            && plain.size == canonical.len()
        {
            return Ok(Self { length: plain.length, sha256: plain.sha256() });
        }
        let value = Value::read(canonical)?;
        let members = value.members("target", &["custom", "hashes", "length"])?;
        let length = members.get("length").int("length")?;
        let mut sha256 = None;
        for (algorithm, value) in members.get("hashes").map("hashes")? {
            let hash = value.bytes("hash")?;
            if algorithm == "sha256" {
                sha256 = Some(hash);
            }
        }
        // Stricter: Go reads a negative size.
        let length =
            u64::try_from(length).map_err(|_| Malformed::new(format!("length {length} is negative")))?;
        Ok(Self { length, sha256 })
    }
}

impl DelegatedRole {
    /// True if the role's paths admit a target name: one of them is its prefix.
    pub fn admits(&self, target: &str) -> bool {
        self.paths.iter().any(|path| target.starts_with(path.as_str()))
    }
}

fn read_delegations(parent: &str, value: &Value<'_>) -> Result<Vec<DelegatedRole>, Malformed> {
    let members = value.members("delegations", &["keys", "roles"])?;
    let keys = read_keys(members.get("keys"))?;
    let mut delegations = Vec::new();
    for value in members.get("roles").list("roles")? {
        let members = value.members("delegation", &["keyids", "name", "paths", "threshold"])?;
        let name = members.get("name").text("name")?;
        if !role::is_delegation(name) || role::parent(name) != Some(parent) {
            return Err(Malformed::new(format!("{name:?} is no delegation of {parent:?}")));
        }
        let key_ids = read_key_ids(members.get("keyids"))?;
        let threshold = members.get("threshold").int("threshold")?;
        let paths = members.get("paths").list("paths")?;
        if paths.len() > MAX_PATHS {
            return Err(Malformed::new(format!("{name:?} has more than {MAX_PATHS} paths")));
        }
        delegations.push(DelegatedRole {
            name: name.to_owned(),
            keys: RoleKeys::new(name, &key_ids, threshold, &keys)?,
            paths: paths
                .iter()
                .map(|path| Ok(path.text("path")?.to_owned()))
                .collect::<Result<_, Malformed>>()?,
        });
    }
    Ok(delegations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_delegation_end_at_the_limit() {
        let read = |count| {
            let paths = vec!["\"\""; count].join(",");
            let role = format!(r#"{{"keyids":[],"name":"targets/a","paths":[{paths}],"threshold":1}}"#);
            let delegations = format!(r#"{{"keys":{{}},"roles":[{role}]}}"#);
            read_delegations(role::TARGETS, &Value::read(delegations.as_bytes()).unwrap())
        };
        assert_eq!(read(MAX_PATHS).unwrap().len(), 1);
        assert!(read(MAX_PATHS + 1).is_err());
    }

    const USUAL: &str =
        r#"{"hashes":{"sha256":"WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM="},"length":1570}"#;

    fn read(targets: &str) -> Result<Targets, Malformed> {
        let signed = format!(
            r#"{{"_type":"Targets","delegations":{{}},"expires":"2099-01-01T00:00:00Z","targets":{targets},"version":1}}"#
        );
        let file = format!(r#"{{"signed":{signed},"signatures":[]}}"#);
        Targets::read(role::TARGETS, Envelope::read(file.into_bytes())?)
    }

    #[test]
    fn targets_of_every_shape_are_found() {
        let with_custom = USUAL.replace("{\"hashes", "{\"custom\":{\"a\":[1]},\"hashes");
        let spaced = USUAL.replace(',', " , ");
        for (usual, other) in
            [(USUAL, USUAL), (USUAL, &with_custom), (USUAL, &spaced), (&spaced, &with_custom)]
        {
            for targets in [
                format!(r#"{{"a":{usual},"b\"":{other},"c":{usual}}}"#),
                format!(r#"{{"c":{usual},"a":{usual}, "\u0062\"":{other}}}"#),
            ] {
                let targets = read(&targets).unwrap();
                assert_eq!(targets.len(), 3);
                for name in ["a", "b\"", "c"] {
                    let found = targets.get(name).unwrap();
                    assert_eq!(
                        (found.length, found.sha256.map(|hash| hash.len())),
                        (1570, Some(32)),
                        "{name}"
                    );
                }
                assert_eq!(targets.get("b"), None);
                assert_eq!(targets.get("d"), None);
                assert_eq!(targets.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b\"", "c"]);
            }
        }
    }

    #[test]
    fn one_malformed_target_among_others_is_refused() {
        for bad in ["1", "\"\"", "[]", r#"{"length":-1}"#, r#"{"hashes":{"sha256":"WJG1"},"length":"1"}"#] {
            for targets in [
                format!(r#"{{"a":{USUAL},"b":{bad},"c":{USUAL}}}"#),
                format!(r#"{{"c":{USUAL}, "b":{bad},"a":{USUAL}}}"#),
            ] {
                assert!(read(&targets).is_err(), "{targets}");
            }
        }
    }
}
