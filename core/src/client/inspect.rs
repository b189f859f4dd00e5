//! What `docker trust inspect` shows, in its own two forms, and the chain of
//! trust as a tree and as a picture.

mod picture;
mod roles;
mod shown;
#[cfg(test)]
mod tests;
mod tree;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

pub use roles::{InspectedKey, InspectedRole};

use crate::metadata::{hex, role};
use crate::reference::Reference;
use crate::trust::TrustedSet;

/// What `docker trust` calls a signature by the repository's owner alone.
const REPO_ADMIN: &str = "Repo Admin";
/// Shortest column of a table.
const COLUMN: usize = 10;

/// The signed tags, signers and keys of one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
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
    /// The chain of trust, each role before those below it: the root, `targets`
    /// with its delegations, the snapshot and the timestamp.
    #[serde(skip)] // Docker's object has no such member
    pub roles: Vec<InspectedRole>,
}

/// A tag and who signed it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct SignedTag {
    /// The tag.
    #[serde(rename = "SignedTag")]
    pub tag: String,
    /// Hex digits of the SHA-256, without `sha256:`.
    pub digest: String,
    /// Names of the signers in the order of the metadata, or `Repo Admin` alone.
    pub signers: Vec<String>,
}

/// A signer and the IDs of its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Signer {
    /// Such as `alice`, or `Root`.
    pub name: String,
    /// In the order of the metadata.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<SignerKey>,
}

/// A key ID.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct SignerKey {
    /// 64 hex digits. For signers the ID of the plain public key, which is also
    /// the name of the private key's file.
    #[serde(rename = "ID")]
    pub id: String,
}

impl Inspection {
    pub(super) fn of(name: &str, reference: &Reference, set: &TrustedSet) -> Self {
        // As in Docker, beside a digest the tag is not looked at.
        let only = reference.tag().filter(|_| reference.digest().is_none());
        Self {
            name: name.to_owned(),
            signed_tags: signed_tags(set, only),
            signers: signers(set),
            administrative_keys: [("Root", role::ROOT), ("Repository", role::TARGETS)]
                .map(|(name, role)| {
                    let ids = set.root().root().role(role).map(|keys| keys.key_ids()).unwrap_or_default();
                    Signer { name: name.into(), keys: ids.into_iter().map(|id| SignerKey { id }).collect() }
                })
                .into(),
            roles: roles::of(set),
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
                let mut signers = tag.signers.clone();
                signers.sort();
                let signers = if admin_only { format!("({REPO_ADMIN})") } else { signers.join(", ") };
                [tag.tag.clone(), tag.digest.clone(), signers]
            });
            out += &table(["SIGNED TAG", "DIGEST", "SIGNERS"], rows.collect());
        }
        if !self.signers.is_empty() {
            out += &format!("\nList of signers and their keys for {}\n\n", self.name);
            let mut signers: Vec<&Signer> = self.signers.iter().collect();
            signers.sort_by(|a, b| natural(&a.name, &b.name));
            let rows = signers.into_iter().map(|signer| {
                let mut ids: Vec<String> =
                    signer.keys.iter().map(|key| key.id.chars().take(12).collect()).collect();
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
    let escapes = [
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u{2028}", "\\u2028"),
        ("\u{2029}", "\\u2029"),
    ];
    escapes.iter().fold(String::from_utf8_lossy(&out).into_owned(), |json, (character, escape)| {
        json.replace(character, escape)
    })
}

/// All signed tags, or the only one that is wanted.
///
/// One row for each tag and digest that `targets/releases` or `targets` lists,
/// with the other roles that list the same.
///
/// As in Docker, paths of delegations count only if one tag is asked for.
pub(crate) fn signed_tags(set: &TrustedSet, only: Option<&str>) -> Vec<SignedTag> {
    let roles: Vec<&str> = set.walk(only, None).collect();
    let (releasing, signing): (Vec<&str>, Vec<&str>) =
        roles.into_iter().partition(|name| [role::RELEASES, role::TARGETS].contains(name));

    let mut rows: BTreeMap<(String, Option<Vec<u8>>), Vec<String>> = BTreeMap::new();
    for name in releasing {
        rows.extend(listed(set, name, only).map(|row| (row, Vec::new())));
    }
    for name in signing {
        for row in listed(set, name, only) {
            if let Some(signers) = rows.get_mut(&row) {
                signers.push(signer_name(name).to_owned());
            }
        }
    }
    let mut tags: Vec<SignedTag> = rows
        .into_iter()
        .map(|((tag, sha256), mut signers)| {
            if signers.is_empty() {
                signers.push(REPO_ADMIN.into());
            }
            // A target may have other hashes only.
            SignedTag { tag, digest: sha256.map(|sha256| hex(&sha256)).unwrap_or_default(), signers }
        })
        .collect();
    tags.sort_by(|a, b| natural(&a.tag, &b.tag));
    tags
}

/// The tags of a role, or the only one that is wanted, with their SHA-256.
fn listed<'a>(
    set: &'a TrustedSet,
    name: &str,
    only: Option<&'a str>,
) -> impl Iterator<Item = (String, Option<Vec<u8>>)> + 'a {
    let targets = set.targets(name);
    let found = only.and_then(|tag| Some((tag.to_owned(), targets?.get(tag)?)));
    let all = targets.filter(|_| only.is_none()).into_iter().flat_map(|targets| targets.iter());
    found.into_iter().chain(all).map(|(tag, target)| (tag, target.sha256))
}

fn signer_name(role: &str) -> &str {
    role.strip_prefix("targets/").unwrap_or(role)
}

fn signers(set: &TrustedSet) -> Vec<Signer> {
    let declared =
        set.walk(None, None).filter_map(|name| set.targets(name)).flat_map(|targets| &targets.delegations);
    let mut signers: Vec<Signer> = declared
        .filter(|declared| declared.name != role::RELEASES)
        .map(|declared| Signer {
            name: signer_name(&declared.name).to_owned(),
            keys: declared
                .keys
                .keys
                .iter()
                .map(|(listed, key)| SignerKey {
                    id: key.canonical_id().unwrap_or_else(|| listed.clone()).to_string(),
                })
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

/// Order in which people count: runs of digits are compared as numbers, and
/// come before other characters.
fn natural(mut a: &str, mut b: &str) -> Ordering {
    loop {
        let (x, y) = (take_chunk(&mut a), take_chunk(&mut b));
        if x.is_empty() || y.is_empty() {
            return x.len().cmp(&y.len());
        }
        let order = match (is_number(x), is_number(y)) {
            (true, true) => {
                let (digits, others) = (x.trim_start_matches('0'), y.trim_start_matches('0'));
                let by_value = digits.len().cmp(&others.len()).then_with(|| digits.cmp(others));
                by_value.then(x.len().cmp(&y.len()))
            }
            (x_is_number, y_is_number) => y_is_number.cmp(&x_is_number).then_with(|| x.cmp(y)),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn is_number(chunk: &str) -> bool {
    chunk.starts_with(|c: char| c.is_ascii_digit())
}

/// Cuts a run of digits, or of anything else, off the front.
fn take_chunk<'a>(rest: &mut &'a str) -> &'a str {
    let end = rest.find(|c: char| c.is_ascii_digit() != is_number(rest)).unwrap_or(rest.len());
    let (chunk, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
    *rest = tail;
    chunk
}
