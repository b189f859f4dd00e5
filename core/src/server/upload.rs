//! What a client sends: files under the names of their roles.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::refusal::Refusal;
use crate::metadata::{parse_time, role};
use crate::trust::MAX_ROOT_BYTES;

/// Largest version that databases of Notary's have room for.
pub(super) const MAX_VERSION: i64 = i32::MAX as i64;

/// Most files in one upload: clients do not read more delegations.
const MOST_FILES: usize = crate::trust::MAX_DELEGATIONS + 3;

/// Most bytes of a snapshot: it is read for nearly every request. A thousand
/// files with long names and many signatures are less.
pub(super) const MOST_SNAPSHOT: usize = 2 << 20;

/// The files of one upload, by role.
#[derive(Debug, Clone, Default)]
pub(super) struct Upload {
    files: BTreeMap<String, (i64, Bytes)>,
}

/// What every file must be readable as, before anything about it is checked.
#[derive(Deserialize)]
struct Outline {
    signed: Option<SignedOutline>,
    #[serde(rename = "signatures")]
    _signatures: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct SignedOutline {
    version: Option<i64>,
    expires: Option<String>,
}

impl Upload {
    /// Takes the parts in their order: name of the file, and content. Of several
    /// under one name the last counts, as in Notary.
    pub(super) fn read(parts: Vec<(String, Bytes)>) -> Result<Self, Refusal> {
        let mut files = BTreeMap::new();
        for (file_name, bytes) in parts {
            let name = file_name.strip_suffix(".json").unwrap_or(&file_name);
            if name.is_empty() {
                return Err(Refusal::NoFilename);
            }
            let is_base = [role::ROOT, role::TARGETS, role::SNAPSHOT, role::TIMESTAMP].contains(&name);
            if !is_base && !role::is_delegation(name) {
                return Err(Refusal::InvalidRole(name.to_owned()));
            }
            // Stricter: what clients do not read is not taken.
            let most = match name {
                role::ROOT => usize::try_from(MAX_ROOT_BYTES).unwrap_or(usize::MAX),
                role::SNAPSHOT => MOST_SNAPSHOT,
                _ => usize::MAX,
            };
            if bytes.len() > most {
                return Err(Refusal::TooLarge);
            }
            let version = outline(&bytes).ok_or(Refusal::MalformedJson)?;
            files.insert(name.to_owned(), (version, bytes));
            if files.len() > MOST_FILES {
                return Err(Refusal::TooLarge);
            }
        }
        // The server makes the timestamp itself, whatever is sent.
        files.remove(role::TIMESTAMP);
        Ok(Self { files })
    }

    /// The version that a file says it has, and its bytes.
    pub(super) fn get(&self, name: &str) -> Option<(i64, &Bytes)> {
        self.files.get(name).map(|(version, bytes)| (*version, bytes))
    }

    /// Roles and files, in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, i64, &Bytes)> {
        self.files.iter().map(|(name, (version, bytes))| (name.as_str(), *version, bytes))
    }

    /// `targets` and delegations, those with fewer segments first.
    pub(super) fn targets(&self) -> Vec<(&str, &Bytes)> {
        let mut all: Vec<_> = self
            .iter()
            .filter(|(name, ..)| *name == role::TARGETS || role::is_delegation(name))
            .map(|(name, _, bytes)| (name, bytes))
            .collect();
        all.sort_by_key(|(name, _)| name.bytes().filter(|byte| *byte == b'/').count());
        all
    }

    /// Roles above the uploaded delegations that were not uploaded themselves.
    pub(super) fn missing_ancestors(&self) -> BTreeSet<&str> {
        self.files
            .keys()
            .filter(|name| role::is_delegation(name))
            .flat_map(|name| std::iter::successors(role::parent(name), |name| role::parent(name)))
            .filter(|ancestor| !self.files.contains_key(*ancestor))
            .collect()
    }

    /// Size of all files in bytes.
    pub(super) fn size(&self) -> usize {
        self.files.values().map(|(_, bytes)| bytes.len()).sum()
    }
}

/// The version, 0 if the file has none; `None` if the file cannot be read.
fn outline(file: &[u8]) -> Option<i64> {
    let outline: Outline = serde_json::from_slice(file).ok()?;
    let Some(signed) = outline.signed else { return Some(0) };
    if let Some(expires) = signed.expires {
        parse_time(&expires)?;
    }
    Some(signed.version.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parts: &[(&str, &str)]) -> Result<Upload, Refusal> {
        Upload::read(
            parts.iter().map(|(name, body)| ((*name).to_owned(), Bytes::from((*body).to_owned()))).collect(),
        )
    }

    #[test]
    fn the_first_bad_part_decides() {
        let fine = ("targets.json", r#"{"signed":{"version":3,"expires":"2099-01-01T00:00:00Z"}}"#);
        assert_eq!(read(&[fine, ("", "{"), ("foo", "{")]).unwrap_err(), Refusal::NoFilename);
        assert_eq!(read(&[(".json", "{}")]).unwrap_err(), Refusal::NoFilename);
        for name in ["foo", "targets/A", "targets/a/", "targets//a", "Root", "root.json.json"] {
            assert_eq!(
                read(&[fine, (name, "{"), ("", "")]).unwrap_err(),
                Refusal::InvalidRole(name.strip_suffix(".json").unwrap_or(name).into())
            );
        }
        for body in [
            "{",
            "",
            "7",
            r#"{"signed":{"version":"3"}}"#,
            r#"{"signed":{"version":1.5}}"#,
            r#"{"signed":{"expires":"tomorrow"}}"#,
            r#"{"signed":7}"#,
            r#"{"signatures":{}}"#,
            "{} {}",
        ] {
            assert_eq!(read(&[fine, ("root", body)]).unwrap_err(), Refusal::MalformedJson, "{body}");
        }
        assert_eq!(read(&[fine]).unwrap().get("targets").unwrap().0, 3);
    }

    #[test]
    fn roots_and_snapshots_are_not_larger_than_they_need_to_be() {
        for (name, most) in [("root", 8 << 20), ("snapshot", 2 << 20)] {
            let file = |size: usize| format!("{{\"signed\":{{}}}}{}", " ".repeat(size - 13));
            assert!(read(&[(name, &file(most))]).is_ok(), "{name}");
            assert_eq!(read(&[(name, &file(most + 1))]).unwrap_err(), Refusal::TooLarge, "{name}");
            assert!(read(&[("targets", &file(most + 1))]).is_ok());
        }
    }

    #[test]
    fn the_last_of_a_role_counts_and_no_timestamp() {
        let one = r#"{"signed":{"version":1}}"#;
        let two = r#"{"signed":{"version":2}}"#;
        let upload = read(&[("targets", one), ("targets.json", two), ("timestamp", "{}")]).unwrap();
        let roles: Vec<_> = upload.iter().map(|(name, version, _)| (name, version)).collect();
        assert_eq!(roles, [("targets", 2)]);
    }

    #[test]
    fn shallow_roles_come_first_and_missing_ones_are_named() {
        let upload = read(&[("targets/a/b/c", "{}"), ("targets/z", "{}"), ("targets/a", "{}")]).unwrap();
        let order: Vec<_> = upload.targets().into_iter().map(|(name, _)| name).collect();
        assert_eq!(order, ["targets/a", "targets/z", "targets/a/b/c"]);
        let missing: Vec<_> = upload.missing_ancestors().into_iter().collect();
        assert_eq!(missing, ["targets", "targets/a/b"]);
    }
}
