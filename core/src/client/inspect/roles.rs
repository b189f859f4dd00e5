//! The chain of trust, role by role.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use crate::metadata::{Common, Envelope, RoleKeys, Targets, Timestamp, role};
use crate::trust::TrustedSet;

/// A role in the chain of trust: who may sign for it, and what is signed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct InspectedRole {
    /// `root`, `targets`, a delegation, `snapshot` or `timestamp`.
    pub name: String,
    /// The keys that may sign for it, in the order of the metadata.
    pub keys: Vec<InspectedKey>,
    /// How many of them must.
    pub threshold: u32,
    /// Version of its file; `None` if nothing is published for it.
    pub version: Option<i64>,
    /// Until when its file counts. A root's certificates may end before the file does.
    pub expires: Option<SystemTime>,
    /// How many tags its file lists.
    pub tags: usize,
    /// Prefixes of the tags that it may sign; the empty one admits all. None for
    /// roles that sign no tags.
    pub paths: Vec<String>,
    /// Why a delegation does not count, if it does not.
    pub excluded: Option<String>,
}

/// A key that may sign for a role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct InspectedKey {
    /// 64 hex digits. For delegations the ID of the plain public key, which is
    /// also the name of the private key's file.
    pub id: String,
    /// Whether the role's file has a valid signature of it.
    pub signed: bool,
}

impl InspectedRole {
    /// How far below the root it stands.
    pub(super) fn depth(&self) -> usize {
        match self.name.as_str() {
            role::ROOT => 0,
            name => name.split('/').count(),
        }
    }

    fn of(name: &str, keys: &RoleKeys, published: Option<(&Envelope, &Common)>) -> Self {
        let envelope = published.map(|(envelope, _)| envelope);
        let is_delegation = role::parent(name).is_some();
        let key = |(listed, key): &(_, Arc<crate::crypto::PublicKey>)| {
            let canonical = key.canonical_id().filter(|_| is_delegation);
            let signatures = envelope.map(|envelope| envelope.signatures.as_slice()).unwrap_or_default();
            let by_it = signatures.iter().filter(|signature| signature.key_id == *listed);
            let signed = envelope.map(Envelope::signed).unwrap_or_default();
            InspectedKey {
                id: canonical.unwrap_or_else(|| listed.clone()).to_string(),
                signed: key.id() == listed
                    && by_it.into_iter().any(|by| key.verify(&by.method, signed, &by.bytes)),
            }
        };
        Self {
            name: name.to_owned(),
            keys: keys.keys.iter().map(key).collect(),
            threshold: keys.threshold,
            version: published.map(|(_, common)| common.version),
            expires: published.map(|(_, common)| common.expires),
            ..Self::default()
        }
    }
}

/// All roles, each before those below it: the root, `targets` with its
/// delegations, the snapshot and the timestamp.
pub(super) fn of(set: &TrustedSet) -> Vec<InspectedRole> {
    let root = set.root();
    let mut roles = vec![InspectedRole {
        expires: Some(root.valid_until()),
        ..base(set, role::ROOT, |_| Some(root.root().common.clone()))
    }];
    signing(set, &mut roles);
    roles.push(base(set, role::SNAPSHOT, |_| set.snapshot().map(|snapshot| snapshot.common.clone())));
    roles.push(base(set, role::TIMESTAMP, |envelope| Some(Timestamp::read(envelope).ok()?.common)));
    roles
}

fn base(set: &TrustedSet, name: &str, common: impl FnOnce(&Envelope) -> Option<Common>) -> InspectedRole {
    let envelope = set.file(name).and_then(|file| Envelope::read(file.clone()).ok());
    let published = envelope.as_ref().and_then(|envelope| Some((envelope, common(envelope)?)));
    match set.root().root().role(name) {
        Some(keys) => {
            let published = published.as_ref().map(|(envelope, common)| (*envelope, common));
            InspectedRole::of(name, keys, published)
        }
        None => InspectedRole { name: name.to_owned(), ..InspectedRole::default() },
    }
}

/// `targets` and all below it that is declared.
fn signing(set: &TrustedSet, roles: &mut Vec<InspectedRole>) {
    let unusable: BTreeMap<&str, Arc<Targets>> = set.unusable().collect();
    let everything = [String::new()];
    let mut pending = Vec::new();
    if let Some(keys) = set.root().root().role(role::TARGETS) {
        pending.push((role::TARGETS, keys, everything.as_slice()));
    }
    while let Some((name, keys, paths)) = pending.pop() {
        let counting = set.targets(name);
        let file = counting.or_else(|| unusable.get(name).map(Arc::as_ref));
        roles.push(InspectedRole {
            tags: file.map_or(0, Targets::len),
            paths: paths.to_vec(),
            excluded: set.excluded(name).map(ToString::to_string),
            ..InspectedRole::of(name, keys, file.map(|file| (file.envelope(), &file.common)))
        });
        // What a role that does not count declares does not count either.
        let children = counting.map(|file| file.delegations.as_slice()).unwrap_or_default();
        pending.extend(
            children.iter().rev().map(|child| (child.name.as_str(), &child.keys, child.paths.as_slice())),
        );
    }
}
