//! Files in the making: the content of a root or targets file, to be changed
//! and then written in canonical form.

mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

#[cfg(feature = "server")]
pub(crate) use write::escape_into;
pub use write::write_file;
pub(crate) use write::{Object, write_key, write_signature};

use super::json::{self, Malformed, Value};
use super::root::{Keys, read_key_ids, read_keys};
use super::{DelegatedRole, Envelope, FileMeta, RoleKeys, Targets};
use crate::crypto::{KeyId, PublicKey};

/// A root to be changed. Roles and keys that we do not use stay in it.
#[derive(Debug, Clone)]
pub struct RootDraft {
    keys: Keys,
    roles: BTreeMap<String, (Vec<KeyId>, i64)>,
    consistent_snapshot: bool,
}

impl RootDraft {
    /// A root without roles.
    pub fn new() -> Self {
        Self { keys: Keys::new(), roles: BTreeMap::new(), consistent_snapshot: false }
    }

    /// The content of a root file.
    ///
    /// # Errors
    /// [`Malformed`] if it is not of this form.
    pub fn read(envelope: &Envelope) -> Result<Self, Malformed> {
        let mut roles = BTreeMap::new();
        for (name, value) in envelope.member("roles")?.map("roles")? {
            let members = value.members("role", &["keyids", "threshold"])?;
            let threshold = members.get("threshold").int("threshold")?;
            roles.insert(name.clone().into_owned(), (read_key_ids(members.get("keyids"))?, threshold));
        }
        Ok(Self {
            keys: read_keys(&envelope.member("keys")?)?,
            roles,
            consistent_snapshot: envelope.is_true("consistent_snapshot")?,
        })
    }

    /// Gives a role these keys and no others. Keys that no role uses any more
    /// stay listed, as in Notary: old roots' certificates do so forever.
    pub fn set_role(&mut self, name: &str, keys: &[PublicKey], threshold: u32) {
        let ids = keys.iter().map(|key| key.id().clone()).collect();
        self.roles.insert(name.to_owned(), (ids, i64::from(threshold)));
        self.keys.extend(keys.iter().map(|key| (key.id().clone(), Arc::new(key.clone()))));
    }

    /// Removes keys of a role that is no longer signed by them, unless another
    /// role still names them.
    pub fn drop_unused(&mut self, ids: &[KeyId]) {
        let used: BTreeSet<&KeyId> = self.roles.values().flat_map(|(ids, _)| ids).collect();
        self.keys.retain(|id, _| used.contains(id) || !ids.contains(id));
    }

    /// Sets how many keys of a role must sign.
    pub fn set_threshold(&mut self, name: &str, threshold: u32) {
        if let Some((_, old)) = self.roles.get_mut(name) {
            *old = i64::from(threshold);
        }
    }

    /// Who signs for a role.
    ///
    /// # Errors
    /// [`Malformed`] if the role is absent or names a key that is not listed.
    pub fn role(&self, name: &str) -> Result<RoleKeys, Malformed> {
        let (ids, threshold) =
            self.roles.get(name).ok_or_else(|| Malformed::new(format!("there is no role {name:?}")))?;
        RoleKeys::new(name, ids, *threshold, &self.keys)
    }

    /// The canonical form of the `signed` part.
    pub fn write(&self, version: i64, expires: SystemTime) -> Vec<u8> {
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        object.text("_type", "Root");
        object.raw("consistent_snapshot", if self.consistent_snapshot { b"true" } else { b"false" });
        object.moment("expires", expires);
        write::write_keys(self.keys.iter().map(|(id, key)| (id, key.as_ref())), object.member("keys"));
        let mut roles = Object::new(object.member("roles"));
        for (name, (ids, threshold)) in &self.roles {
            let mut role = Object::new(roles.member(name));
            write::write_key_ids(&mut role, ids.iter());
            role.number("threshold", *threshold);
            role.end();
        }
        roles.end();
        object.number("version", version);
        object.end();
        out
    }
}

impl Default for RootDraft {
    fn default() -> Self {
        Self::new()
    }
}

/// What a publisher signs for a target name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetMeta {
    /// Size in bytes.
    pub length: u64,
    /// What it is verified by.
    pub sha256: Option<[u8; 32]>,
    /// Notary lists it for files; Docker does not for images.
    pub sha512: Option<[u8; 64]>,
    /// Hashes by other algorithms, which nobody checks.
    pub other_hashes: BTreeMap<String, Vec<u8>>,
    /// More about it, in canonical JSON.
    pub custom: Option<Vec<u8>>,
}

impl TargetMeta {
    /// The usual one: size and SHA-256 of a manifest.
    pub fn new(sha256: [u8; 32], length: u64) -> Self {
        Self { length, sha256: Some(sha256), sha512: None, other_hashes: BTreeMap::new(), custom: None }
    }

    /// Reads what Notary writes for a target.
    pub(crate) fn read(json: &[u8]) -> Result<Self, Malformed> {
        let canonical = json::canonical_form(json)?;
        let value = Value::read(&canonical)?;
        let members = value.members("target", &["custom", "hashes", "length"])?;
        let length = members.get("length").int("length")?;
        let length =
            u64::try_from(length).map_err(|_| Malformed::new(format!("length {length} is negative")))?;
        let (mut sha256, mut sha512, mut other_hashes) = (None, None, BTreeMap::new());
        for (algorithm, value) in members.get("hashes").map("hashes")? {
            let hash = value.bytes("hash")?;
            let wrong_size = |_| Malformed::new(format!("its {algorithm} has the wrong size"));
            match algorithm.as_ref() {
                "sha256" => sha256 = Some(hash.try_into().map_err(wrong_size)?),
                "sha512" => sha512 = Some(hash.try_into().map_err(wrong_size)?),
                other => drop(other_hashes.insert(other.to_owned(), hash)),
            }
        }
        let custom =
            json::raw_members(&canonical)?.get("custom").and_then(|span| canonical.get(span.clone()));
        let custom = custom.filter(|raw| *raw != b"null").map(<[u8]>::to_vec);
        Ok(Self { length, sha256, sha512, other_hashes, custom })
    }

    /// All hashes, in ascending order of their names.
    fn hashes(&self) -> Vec<(&str, &[u8])> {
        let known = [("sha256", self.sha256.as_ref().map(<[u8; 32]>::as_slice))];
        let known = known.into_iter().chain([("sha512", self.sha512.as_ref().map(<[u8; 64]>::as_slice))]);
        let others = self.other_hashes.iter().map(|(name, hash)| (name.as_str(), hash.as_slice()));
        let mut all: Vec<_> = known.filter_map(|(name, hash)| Some((name, hash?))).chain(others).collect();
        all.sort_unstable();
        all
    }

    /// The canonical form, which is the plain form too where `custom` allows.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        if let Some(custom) = &self.custom {
            object.raw("custom", custom);
        }
        let mut hashes = Object::new(object.member("hashes"));
        for (algorithm, hash) in self.hashes() {
            hashes.bytes(algorithm, hash);
        }
        hashes.end();
        object.number("length", i64::try_from(self.length).unwrap_or(i64::MAX));
        object.end();
    }
}

/// A targets or delegation file to be changed. Its targets stay bytes.
#[derive(Debug, Clone, Default)]
pub struct TargetsDraft {
    base: Option<Arc<Targets>>,
    /// `None`: removed.
    changes: BTreeMap<String, Option<TargetMeta>>,
    /// The delegations that it declares, in order.
    pub delegations: Vec<DelegatedRole>,
}

impl TargetsDraft {
    /// A file for a role that has none yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The content of a file.
    pub fn of(base: Arc<Targets>) -> Self {
        let delegations = base.delegations.clone();
        Self { base: Some(base), changes: BTreeMap::new(), delegations }
    }

    /// The version of the file that this began with; 0 if there was none.
    pub fn base_version(&self) -> i64 {
        self.base.as_ref().map_or(0, |base| base.common.version)
    }

    /// The file that this began with.
    pub fn base(&self) -> Option<&Arc<Targets>> {
        self.base.as_ref()
    }

    /// The canonical form of what is listed under a name.
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        if let Some(change) = self.changes.get(name) {
            return change.as_ref().map(|meta| {
                let mut out = Vec::new();
                meta.write(&mut out);
                out
            });
        }
        let base = self.base.as_ref()?;
        let index = base.find(name).ok()?;
        Some(known_members(base.raw_value(index)?))
    }

    /// The names that are listed, in ascending order.
    pub fn names(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> =
            self.base.iter().flat_map(|base| base.iter().map(|(name, _)| name)).collect();
        for (name, change) in &self.changes {
            match change {
                Some(_) => names.insert(name.clone()),
                None => names.remove(name),
            };
        }
        names
    }

    /// Lists a target, or removes it. False if nothing changes by it.
    pub fn set(&mut self, name: &str, meta: Option<TargetMeta>) -> bool {
        let mut new = None;
        if let Some(meta) = &meta {
            let mut out = Vec::new();
            meta.write(&mut out);
            new = Some(out);
        }
        if self.get(name) == new {
            return false;
        }
        self.changes.insert(name.to_owned(), meta);
        true
    }

    /// The canonical form of the `signed` part.
    pub fn write(&self, version: i64, expires: SystemTime) -> Vec<u8> {
        let base_size = self.base.as_ref().map_or(0, |base| base.file().len());
        let mut out = Vec::with_capacity(base_size + 200 * self.changes.len() + 1024);
        let mut object = Object::new(&mut out);
        object.text("_type", "Targets");
        let mut delegations = Object::new(object.member("delegations"));
        let keys: BTreeMap<&KeyId, &PublicKey> = self
            .delegations
            .iter()
            .flat_map(|role| &role.keys.keys)
            .map(|(id, key)| (id, key.as_ref()))
            .collect();
        write::write_keys(keys.into_iter(), delegations.member("keys"));
        delegations.list("roles", &self.delegations, write::write_delegation);
        delegations.end();
        object.moment("expires", expires);
        self.write_targets(object.member("targets"));
        object.number("version", version);
        object.end();
        out
    }

    /// Copies what stays in long runs; only what changes is looked at.
    fn write_targets(&self, out: &mut Vec<u8>) {
        let base = self.base.as_deref();
        let mut object = Object::new(out);
        let mut done = 0;
        for (name, change) in &self.changes {
            let found = base.map_or(Err(0), |base| base.find(name));
            let (Ok(index) | Err(index)) = found;
            if let Some(base) = base {
                base.copy(done..index, &mut object);
            }
            if let Some(meta) = change {
                meta.write(object.member(name));
            }
            done = index + usize::from(found.is_ok());
        }
        if let Some(base) = base {
            base.copy(done..base.len(), &mut object);
        }
        object.end();
    }
}

impl Targets {
    /// Copies targets as they stand into another file, without members that
    /// Notary does not know.
    fn copy(&self, range: Range<usize>, into: &mut Object<'_>) {
        let mut rest = self.envelope().targets().get(range).unwrap_or_default();
        while let Some(first) = rest.first() {
            let unusual = self.envelope().next_unusual(first);
            let at = unusual.map_or(rest.len(), |unusual| rest.partition_point(|entry| entry < unusual));
            let (run, others) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            into.members(self.envelope().run(run));
            rest = others;
            if let Some((other, others)) = rest.split_first() {
                let name = self.envelope().name_of(other);
                into.members(
                    &[b"\"", name, b"\":", &known_members(self.envelope().value_of(other))].concat(),
                );
                rest = others;
            }
        }
    }
}

/// A target as Notary writes it after reading it: without what it does not know.
fn known_members(canonical: &[u8]) -> Vec<u8> {
    let members = json::raw_members(canonical).unwrap_or_default();
    let raw = |name| members.get(name).and_then(|span: &Range<usize>| canonical.get(span.clone()));
    let mut out = Vec::with_capacity(canonical.len());
    let mut object = Object::new(&mut out);
    if let Some(custom) = raw("custom").filter(|custom| *custom != b"null") {
        object.raw("custom", custom);
    }
    object.raw("hashes", raw("hashes").unwrap_or(b"null"));
    object.raw("length", raw("length").filter(|length| *length != b"null").unwrap_or(b"0"));
    object.end();
    out
}

/// The canonical form of a snapshot's `signed` part.
pub(crate) fn write_snapshot(
    files: &BTreeMap<String, FileMeta>,
    version: i64,
    expires: SystemTime,
) -> Vec<u8> {
    write_meta("Snapshot", files.iter().map(|(name, meta)| (name.as_str(), meta)), version, expires)
}

/// The canonical form of a timestamp's `signed` part.
#[cfg(feature = "server")]
pub(crate) fn write_timestamp(snapshot: &FileMeta, version: i64, expires: SystemTime) -> Vec<u8> {
    write_meta("Timestamp", [(super::role::SNAPSHOT, snapshot)].into_iter(), version, expires)
}

/// `files` in ascending order of their names.
fn write_meta<'f>(
    kind: &str,
    files: impl Iterator<Item = (&'f str, &'f FileMeta)>,
    version: i64,
    expires: SystemTime,
) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = Object::new(&mut out);
    object.text("_type", kind);
    object.moment("expires", expires);
    let mut meta = Object::new(object.member("meta"));
    for (name, file) in files {
        write::write_file_meta(file, meta.member(name));
    }
    meta.end();
    object.number("version", version);
    object.end();
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::role;

    const SHA256: &str = "WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=";

    fn read(targets: &str) -> Arc<Targets> {
        let file = format!(
            r#"{{"signed":{{"_type":"Targets","delegations":{{"keys":{{}},"roles":[]}},"expires":"2099-01-01T00:00:00Z","targets":{targets},"version":7}},"signatures":[]}}"#
        );
        Arc::new(Targets::read(role::TARGETS, Envelope::read(file.into_bytes()).unwrap()).unwrap())
    }

    fn signed(draft: &TargetsDraft) -> String {
        let expires = super::super::time::parse("2099-01-01T00:00:00Z").unwrap();
        String::from_utf8(draft.write(8, expires)).unwrap()
    }

    fn targets_of(signed: &str) -> &str {
        signed.split_once("\"targets\":").unwrap().1.strip_suffix(",\"version\":8}").unwrap()
    }

    fn meta(length: u64) -> TargetMeta {
        TargetMeta::new(TargetMeta::read(USUAL.as_bytes()).unwrap().sha256.unwrap(), length)
    }

    const USUAL: &str = r#"{"hashes":{"sha256":"WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM="},"length":1}"#;

    #[test]
    fn targets_are_merged_in_canonical_order_wherever_the_changes_stand() {
        let usual = |length| format!(r#"{{"hashes":{{"sha256":"{SHA256}"}},"length":{length}}}"#);
        let odd = format!(r#"{{"custom":{{"a":[1,"<"]}},"hashes":{{"sha256":"{SHA256}"}},"length":3}}"#);
        let base = read(&format!(
            r#"{{"b":{},"d":{},"f":{},"h":{},"\u0022":{}}}"#,
            usual(1),
            odd,
            usual(2),
            odd.replace("\"custom\":", "\"x\":0,\"custom\":"),
            usual(4)
        ));
        let names = ["\"", "a", "b", "c", "d", "e", "f", "g", "h", "i"];
        // Every set of changes: each name is left alone, set or removed.
        for case in 0..3_u32.pow(names.len() as u32) {
            if case % 7 != 0 {
                continue;
            }
            let mut draft = TargetsDraft::of(Arc::clone(&base));
            let mut expected: BTreeMap<&str, String> = BTreeMap::from([
                ("\"", usual(4)),
                ("b", usual(1)),
                ("d", odd.clone()),
                ("f", usual(2)),
                ("h", odd.clone()),
            ]);
            for (index, name) in names.iter().enumerate() {
                match case / 3_u32.pow(index as u32) % 3 {
                    1 => {
                        draft.set(name, Some(meta(9)));
                        expected.insert(name, usual(9));
                    }
                    2 => {
                        draft.set(name, None);
                        expected.remove(name);
                    }
                    _ => {}
                }
            }
            let members: Vec<String> = expected
                .iter()
                .map(|(name, value)| {
                    format!("{}:{value}", if *name == "\"" { r#""\"""#.into() } else { format!("{name:?}") })
                })
                .collect();
            let text = signed(&draft);
            assert_eq!(targets_of(&text), format!("{{{}}}", members.join(",")), "{case}");
            assert_eq!(draft.names(), expected.keys().map(|name| (*name).to_owned()).collect());
        }
    }

    #[test]
    fn what_changes_nothing_is_told() {
        let mut draft = TargetsDraft::of(read(&format!(r#"{{"a":{USUAL}}}"#)));
        assert!(!draft.set("a", Some(meta(1))));
        assert!(!draft.set("b", None));
        assert!(draft.set("a", Some(meta(2))));
        assert!(draft.set("a", Some(meta(1))));
        assert!(draft.set("a", None));
        assert!(!draft.set("a", None));
        assert_eq!(targets_of(&signed(&draft)), "{}");
    }

    #[test]
    fn a_root_keeps_what_it_does_not_use() {
        let key = r#"{"keytype":"gpg","keyval":{"private":null,"public":"AAE="}}"#;
        let role = r#"{"keyids":["k"],"threshold":1}"#;
        let text = format!(
            r#"{{"_type":"Root","consistent_snapshot":true,"expires":"2099-01-01T00:00:00Z","keys":{{"k":{key},"l":{key}}},"roles":{{"root":{role},"root.1":{{"keyids":[],"threshold":0}},"snapshot":{role},"targets":{role},"timestamp":{role}}},"version":8}}"#
        );
        let envelope =
            Envelope::read(format!(r#"{{"signed":{text},"signatures":[]}}"#).into_bytes()).unwrap();
        let mut draft = RootDraft::read(&envelope).unwrap();
        let expires = super::super::time::parse("2099-01-01T00:00:00Z").unwrap();
        assert_eq!(String::from_utf8(draft.write(8, expires)).unwrap(), text);

        draft.set_threshold(role::TARGETS, 2);
        assert_eq!(draft.role(role::TARGETS).unwrap().threshold, 2);
        draft.drop_unused(&[KeyId::from_listed("k"), KeyId::from_listed("l")]);
        assert_eq!(draft.keys.len(), 1);
    }
}
