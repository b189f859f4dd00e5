//! What `docker trust inspect` shows, in its own two forms.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use crate::metadata::{hex, role};
use crate::reference::Reference;
use crate::trust::TrustedSet;

/// What `docker trust` calls a signature by the repository's owner alone.
const REPO_ADMIN: &str = "Repo Admin";
/// Shortest column of a table.
const COLUMN: usize = 10;

/// The signed tags, signers and keys of one repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Inspection {
    /// The reference as it was given.
    pub name: String,
    /// One for each tag and digest, `v2` before `v10`.
    pub signed_tags: Vec<SignedTag>,
    /// In descending order of their names.
    pub signers: Vec<Signer>,
    /// `Root` and `Repository` with their keys.
    pub administrative_keys: Vec<Signer>,
}

/// A tag and who signed it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct SignedTag {
    /// The tag.
    #[serde(rename = "SignedTag")]
    pub tag: String,
    /// Hex digits of the SHA-256, without `sha256:`.
    pub digest: String,
    /// Names of the signers, or `Repo Admin` alone.
    pub signers: Vec<String>,
}

/// A signer and the IDs of its keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Signer {
    /// Such as `alice`, or `Root`.
    pub name: String,
    /// In the order of the metadata.
    pub keys: Vec<SignerKey>,
}

/// A key ID.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct SignerKey {
    /// 64 hex digits. For signers the ID of the plain public key, which is also
    /// the name of the private key's file.
    #[serde(rename = "ID")]
    pub id: String,
}

impl Inspection {
    pub(super) fn of(name: &str, reference: &Reference, set: &TrustedSet) -> Self {
        Self {
            name: name.to_owned(),
            signed_tags: signed_tags(set, reference.tag()),
            signers: signers(set),
            administrative_keys: [("Root", role::ROOT), ("Repository", role::TARGETS)]
                .map(|(name, role)| {
                    let ids = set.root().root().role(role).map(|keys| keys.key_ids()).unwrap_or_default();
                    Signer { name: name.into(), keys: ids.into_iter().map(|id| SignerKey { id }).collect() }
                })
                .into(),
        }
    }

    /// The object that `docker trust inspect` prints, indented by four spaces.
    pub fn to_json(&self) -> String {
        to_json(self)
    }

    /// What `docker trust inspect --pretty` prints, with its blank lines.
    pub fn to_pretty(&self) -> String {
        let mut out = String::new();
        if self.signed_tags.is_empty() {
            out += &format!("\nNo signatures for {}\n\n", self.name);
        } else {
            out += &format!("\nSignatures for {}\n\n", self.name);
            let rows = self.signed_tags.iter().map(|tag| {
                let admin_only = tag.signers == [REPO_ADMIN];
                let signers = if admin_only { format!("({REPO_ADMIN})") } else { tag.signers.join(", ") };
                [tag.tag.clone(), tag.digest.clone(), signers]
            });
            out += &table(["SIGNED TAG", "DIGEST", "SIGNERS"], rows.collect());
        }
        if !self.signers.is_empty() {
            out += &format!("\nList of signers and their keys for {}\n\n", self.name);
            let mut signers: Vec<&Signer> = self.signers.iter().collect();
            signers.sort_by(|a, b| natural(&a.name, &b.name));
            let rows = signers.into_iter().map(|signer| {
                let mut ids: Vec<String> = signer.keys.iter().map(|key| key.id.chars().take(12).collect()).collect();
                ids.sort();
                [signer.name.clone(), ids.join(", ")]
            });
            out += &table(["SIGNER", "KEYS"], rows.collect());
        }
        out += &format!("\nAdministrative keys for {}\n\n", self.name);
        for signer in self.administrative_keys.iter().rev() {
            let ids: Vec<&str> = signer.keys.iter().map(|key| key.id.as_str()).collect();
            out += &format!("  {} Key:\t{}\n", signer.name, ids.join(", "));
        }
        out
    }
}

/// The array that `docker trust inspect` prints for several images, without a
/// final line break.
pub fn inspections_to_json(inspections: &[Inspection]) -> String {
    to_json(inspections)
}

fn to_json<T: Serialize + ?Sized>(value: &T) -> String {
    let mut out = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut out, PrettyFormatter::with_indent(b"    "));
    if let Err(error) = value.serialize(&mut serializer) {
        log::error!("an inspection cannot be written as JSON: {error}");
    }
    // These occur in strings only, where Go writes them as escapes.
    let escapes = [("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u{2028}", "\\u2028"), ("\u{2029}", "\\u2029")];
    escapes.iter().fold(String::from_utf8_lossy(&out).into_owned(), |json, (character, escape)| json.replace(character, escape))
}

/// Tags that `targets/releases` or `targets` carries, with the other roles that
/// list the same digest.
fn signed_tags(set: &TrustedSet, only: Option<&str>) -> Vec<SignedTag> {
    let mut found: BTreeMap<(String, String), ()> = BTreeMap::new();
    for name in [role::RELEASES, role::TARGETS] {
        let Some(targets) = set.targets(name) else { continue };
        for (tag, target) in targets.iter() {
            let admitted = set.walk(Some(&tag), None).any(|admitted| admitted == name);
            if let Some(sha256) = target.sha256
                && admitted
                && only.is_none_or(|only| only == tag)
            {
                found.insert((tag, hex(&sha256)), ());
            }
        }
    }
    let mut tags: Vec<SignedTag> = found
        .into_keys()
        .map(|(tag, digest)| {
            let mut signers = signers_of(set, &tag, &digest);
            if signers.is_empty() {
                signers.push(REPO_ADMIN.into());
            }
            SignedTag { tag, digest, signers }
        })
        .collect();
    tags.sort_by(|a, b| natural(&a.tag, &b.tag));
    tags
}

fn signers_of(set: &TrustedSet, tag: &str, digest: &str) -> Vec<String> {
    let lists = |name: &&str| {
        let target = set.targets(name).and_then(|targets| targets.get(tag));
        target.and_then(|target| target.sha256).is_some_and(|sha256| hex(&sha256) == digest)
    };
    let mut signers: Vec<String> = set
        .walk(Some(tag), None)
        .filter(|name| *name != role::RELEASES)
        .filter(lists)
        .filter_map(|name| name.strip_prefix("targets/").map(str::to_owned))
        .collect();
    signers.sort();
    signers
}

fn signers(set: &TrustedSet) -> Vec<Signer> {
    let declared = set.walk(None, None).filter_map(|name| set.targets(name)).flat_map(|targets| &targets.delegations);
    let mut signers: Vec<Signer> = declared
        .filter(|declared| declared.name != role::RELEASES)
        .map(|declared| Signer {
            name: declared.name.strip_prefix("targets/").unwrap_or(&declared.name).to_owned(),
            keys: declared
                .keys
                .keys
                .iter()
                .map(|(listed, key)| SignerKey { id: key.canonical_id().unwrap_or_else(|| listed.clone()).to_string() })
                .collect(),
        })
        .collect();
    signers.sort_by(|a, b| b.name.cmp(&a.name));
    signers
}

/// Each column as wide as its longest cell and three spaces, the last unpadded.
fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> String {
    let header = header.map(str::to_owned);
    let lines: Vec<&[String; N]> = std::iter::once(&header).chain(&rows).collect();
    let width = |column: usize| {
        let longest = lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max();
        longest.map_or(COLUMN, |longest| COLUMN.max(longest.saturating_add(3)))
    };
    let mut out = String::new();
    for line in &lines {
        for (column, cell) in line.iter().enumerate() {
            let is_last = column + 1 == N;
            let width = if is_last { 0 } else { width(column) };
            out += &format!("{cell:width$}");
        }
        out.push('\n');
    }
    out
}

/// Order in which people count: digits are compared as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    loop {
        let (a_chunk, b_chunk) = (take_chunk(&mut a_rest), take_chunk(&mut b_rest));
        if a_chunk.is_empty() || b_chunk.is_empty() {
            return a_chunk.len().cmp(&b_chunk.len()).then_with(|| a.cmp(b));
        }
        let is_number = |chunk: &str| chunk.starts_with(|c: char| c.is_ascii_digit());
        let order = if is_number(a_chunk) && is_number(b_chunk) {
            let (a_digits, b_digits) = (a_chunk.trim_start_matches('0'), b_chunk.trim_start_matches('0'));
            a_digits.len().cmp(&b_digits.len()).then_with(|| a_digits.cmp(b_digits))
        } else {
            a_chunk.cmp(b_chunk)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Cuts a run of digits, or of anything else, off the front.
fn take_chunk<'a>(rest: &mut &'a str) -> &'a str {
    let digit_first = rest.starts_with(|c: char| c.is_ascii_digit());
    let end = rest.find(|c: char| c.is_ascii_digit() != digit_first).unwrap_or(rest.len());
    let (chunk, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
    *rest = tail;
    chunk
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_ordered_as_people_count() {
        let mut tags = ["v10", "v2", "1.10", "latest", "v02", "1.9", "v2-rc1", ""];
        tags.sort_by(|a, b| natural(a, b));
        assert_eq!(tags, ["", "1.9", "1.10", "latest", "v02", "v2", "v2-rc1", "v10"]);
    }
}
