//! A repository in the making: what is published, and what is to change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::sign::{SignedFile, Unsigned};
use super::{Change, MAX_UNVOUCHED_VERSION};
use crate::crypto::{KeyId, PublicKey};
use crate::error::{Error, Result, excerpt};
use crate::metadata::json::Malformed;
use crate::metadata::{
    Common, DelegatedRole, FileMeta, RoleKeys, RootDraft, Snapshot, Targets, TargetsDraft, role,
    write_snapshot,
};
use crate::trust::{TrustedRoot, TrustedSet, signatures};

/// Days that files last, as in Notary.
const ROOT_DAYS: u64 = 3650;
const OTHER_DAYS: u64 = 1095;
/// Longer ones would leave the years that can be written.
const MAX_LIFETIME: Duration = Duration::from_secs(1000 * 365 * 86_400);

/// How long new files last, by role.
#[derive(Debug, Clone, Default)]
pub struct Lifetimes(BTreeMap<String, Duration>);

impl Lifetimes {
    /// Sets it for `root`, `targets`, `snapshot` or one delegation, or under the
    /// name `delegations` for all of those that are not set themselves.
    pub fn set(&mut self, role: impl Into<String>, lifetime: Duration) {
        self.0.insert(role.into(), lifetime.min(MAX_LIFETIME));
    }

    /// How long a new file of a role lasts: what was set, else 3650 days for
    /// the root and 1095 for others.
    pub fn of(&self, name: &str) -> Duration {
        let days = if name == role::ROOT { ROOT_DAYS } else { OTHER_DAYS };
        let set =
            self.0.get(name).or_else(|| self.0.get("delegations").filter(|_| role::is_delegation(name)));
        set.copied().unwrap_or(Duration::from_secs(days * 86_400))
    }

    /// Refuses names of roles whose files are not signed here.
    ///
    /// # Errors
    /// [`Error::InvalidConfiguration`].
    pub fn check(&self) -> Result<()> {
        let known = [role::ROOT, role::TARGETS, role::SNAPSHOT, "delegations"];
        match self.0.keys().find(|name| !known.contains(&name.as_str()) && !role::is_delegation(name)) {
            None => Ok(()),
            Some(name) => Err(Error::InvalidConfiguration {
                what: format!("expiry of {:?}", excerpt(name, 64)),
                reason: "it can be set for root, targets, snapshot, delegations, or one delegation".into(),
            }),
        }
    }

    /// When files signed at a moment expire, in whole seconds.
    pub fn at(&self, now: SystemTime) -> impl Fn(&str) -> SystemTime + '_ {
        move |name| {
            let end = now.checked_add(self.of(name)).unwrap_or(now);
            let seconds = end.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            UNIX_EPOCH + Duration::from_secs(seconds)
        }
    }
}

/// A repository's files, published or not, and the changes to them.
#[derive(Debug, Clone)]
pub struct Draft {
    gun: String,
    root: RootDraft,
    root_base: Option<TrustedRoot>,
    targets: BTreeMap<String, TargetsDraft>,
    /// Delegations that count for nothing as they are, but can be witnessed.
    unusable: BTreeMap<String, TargetsDraft>,
    /// Those of them that too few of their keys signed: anybody may have written them.
    unsigned: BTreeSet<String>,
    snapshot: Option<Snapshot>,
    /// The versions of the published files, whatever becomes of them here.
    base: BTreeMap<String, i64>,
    /// The versions before this, where they are not those of the files.
    versions: BTreeMap<String, i64>,
    /// Roles to sign.
    dirty: BTreeSet<String>,
    /// Nothing of the repository is on the server.
    initial: bool,
    changes: Vec<Change>,
}

impl Draft {
    /// A repository that does not exist yet. The root keys are certificates.
    pub fn new(
        gun: impl Into<String>,
        root: &[PublicKey],
        targets: &PublicKey,
        snapshot: &PublicKey,
        timestamp: &PublicKey,
    ) -> Self {
        let mut draft = RootDraft::new();
        draft.set_role(role::ROOT, root, 1);
        for (name, key) in
            [(role::TARGETS, targets), (role::SNAPSHOT, snapshot), (role::TIMESTAMP, timestamp)]
        {
            draft.set_role(name, std::slice::from_ref(key), 1);
        }
        Self {
            gun: gun.into(),
            root: draft,
            root_base: None,
            targets: BTreeMap::from([(role::TARGETS.to_owned(), TargetsDraft::new())]),
            unusable: BTreeMap::new(),
            unsigned: BTreeSet::new(),
            snapshot: None,
            base: BTreeMap::new(),
            versions: BTreeMap::new(),
            dirty: [role::ROOT, role::TARGETS].map(str::to_owned).into(),
            initial: true,
            changes: Vec::new(),
        }
    }

    /// What is trusted of a repository.
    ///
    /// # Errors
    /// [`Error::Internal`] if the set is not complete.
    pub fn of(set: &TrustedSet) -> Result<Self> {
        let roles = set.roles().filter_map(|name| Some((name.to_owned(), set.shared_targets(name)?)));
        let mut draft = Self::of_files(set.root(), roles, set.snapshot().cloned())?;
        let unusable = set.unusable().map(|(name, targets)| (name.to_owned(), TargetsDraft::of(targets)));
        draft.unusable = unusable.collect();
        draft.base.extend(draft.unusable.iter().map(|(name, file)| (name.clone(), file.base_version())));
        let is_expired = |name: &&String| matches!(set.excluded(name), Some(Error::Expired { .. }));
        draft.unsigned = draft.unusable.keys().filter(|name| !is_expired(name)).cloned().collect();
        if !set.is_complete() {
            return Err(Error::Internal { reason: format!("the files of {} are not all there", draft.gun) });
        }
        Ok(draft)
    }

    /// Files of a repository that verified by their keys, expired or not.
    pub(crate) fn of_files(
        root: &TrustedRoot,
        targets: impl Iterator<Item = (String, Arc<Targets>)>,
        snapshot: Option<Snapshot>,
    ) -> Result<Self> {
        let gun = root.gun().to_owned();
        let internal = |malformed: Malformed| Error::Internal { reason: malformed.to_string() };
        let targets: BTreeMap<String, TargetsDraft> =
            targets.map(|(name, targets)| (name, TargetsDraft::of(targets))).collect();
        let versions = targets.iter().map(|(name, targets)| (name.clone(), targets.base_version()));
        Ok(Self {
            root: RootDraft::read(root.envelope()).map_err(internal)?,
            root_base: Some(root.clone()),
            base: versions.chain([(role::ROOT.to_owned(), root.version())]).collect(),
            targets,
            unusable: BTreeMap::new(),
            unsigned: BTreeSet::new(),
            snapshot,
            versions: BTreeMap::new(),
            dirty: BTreeSet::new(),
            initial: false,
            changes: Vec::new(),
            gun,
        })
    }

    /// A repository that was made, but of which nothing is published: its first
    /// root is uploaded as it is, everything else is signed anew.
    #[cfg(feature = "http")]
    pub(crate) fn unpublished(root: &TrustedRoot, targets: Option<Arc<Targets>>) -> Result<Self> {
        let has_targets = targets.is_some();
        let targets = targets.map(|targets| (role::TARGETS.to_owned(), targets));
        let mut draft = Self::of_files(root, targets.into_iter(), None)?;
        if !has_targets {
            draft.targets.insert(role::TARGETS.into(), TargetsDraft::new());
        }
        draft.initial = true;
        draft.dirty.insert(role::TARGETS.into());
        Ok(draft)
    }

    /// The repository's globally unique name.
    pub fn gun(&self) -> &str {
        &self.gun
    }

    /// True if nothing of the repository is on the server.
    pub fn is_initial(&self) -> bool {
        self.initial
    }

    /// The changes that had an effect, in order.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The roles that have to be signed, but for the snapshot.
    pub fn dirty(&self) -> impl Iterator<Item = &str> {
        self.dirty.iter().map(String::as_str)
    }

    /// The root keys and thresholds of a base role, or what its parent says of a delegation.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if there is no such role.
    pub fn keys_of(&self, name: &str) -> Result<RoleKeys> {
        if role::parent(name).is_none() {
            return self.root.role(name).map_err(|malformed| unknown_role(name, &malformed.to_string()));
        }
        self.declared(name)
            .map(|declared| declared.keys.clone())
            .ok_or_else(|| unknown_role(name, "the repository does not have it"))
    }

    /// Whether the repository is made by this: its root was never a file.
    #[cfg(feature = "http")]
    pub(crate) fn is_new(&self) -> bool {
        self.root_base.is_none()
    }

    /// The delegations that a role declares.
    pub fn delegations(&self, parent: &str) -> &[DelegatedRole] {
        self.targets.get(parent).map_or(&[], |targets| &targets.delegations)
    }

    /// All delegations, breadth first from `targets` down, as Notary lists them.
    pub fn all_delegations(&self) -> Vec<&DelegatedRole> {
        let mut found: Vec<&DelegatedRole> = self.delegations(role::TARGETS).iter().collect();
        let mut next = 0;
        while let Some(name) = found.get(next).map(|declared| declared.name.as_str()) {
            found.extend(self.delegations(name));
            next += 1;
        }
        found
    }

    /// The file of `targets` or of a delegation, with the changes so far. That of
    /// an expired delegation too, as what it lists counts again once it is signed.
    pub fn file(&self, name: &str) -> Option<&TargetsDraft> {
        let expired = || self.unusable.get(name).filter(|_| !self.unsigned.contains(name));
        self.targets.get(name).or_else(expired)
    }

    /// The names of `targets` and the delegations that have a file.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.targets.keys().map(String::as_str)
    }

    /// Whether any role may be signed by a key, by its canonical ID.
    pub fn uses(&self, canonical: &KeyId) -> bool {
        let base = [role::ROOT, role::TARGETS, role::SNAPSHOT, role::TIMESTAMP].into_iter();
        let base = base.filter_map(|name| self.root.role(name).ok());
        let delegated = self.all_delegations().into_iter().map(|declared| declared.keys.clone());
        base.chain(delegated)
            .flat_map(|keys| keys.keys)
            .any(|(_, key)| key.canonical_id().as_ref() == Some(canonical))
    }

    /// As a repository that is to be published later: its targets begin with
    /// version 1, which never leaves this machine.
    #[cfg(feature = "http")]
    pub(crate) fn unpublished_first(mut self) -> Self {
        self.initial = false;
        self
    }

    /// The prefixes of names that a role may sign.
    pub fn paths_of(&self, name: &str) -> Vec<String> {
        let Some(parent) = role::parent(name) else { return vec![String::new()] };
        let outer = self.paths_of(parent);
        let own = self.declared(name).map_or(&[][..], |declared| &declared.paths);
        // A child's path counts only where its parent's paths admit it.
        own.iter().filter(|path| is_admitted(&outer, path)).cloned().collect()
    }

    /// The moment at which the published file of a role expires.
    pub fn expires(&self, name: &str) -> Option<SystemTime> {
        Some(self.published(name)?.expires)
    }

    /// When the first certificate of the published root expires. A new one makes
    /// a new root key, although the private key may be the same.
    pub fn certificates_expire(&self) -> Option<SystemTime> {
        self.root_base.as_ref().map(TrustedRoot::certificates_expire)
    }

    /// Version and expiry of the published file of a role.
    pub fn published(&self, name: &str) -> Option<&Common> {
        match name {
            role::ROOT => self.root_base.as_ref().map(|root| &root.root().common),
            role::SNAPSHOT => self.snapshot.as_ref().map(|snapshot| &snapshot.common),
            _ => {
                let file = self.targets.get(name).or_else(|| self.unusable.get(name))?;
                file.base().map(|base| &base.common)
            }
        }
    }

    /// Delegations that count for nothing as they are published.
    pub fn unusable(&self) -> impl Iterator<Item = &str> {
        self.unusable.keys().map(String::as_str)
    }

    /// Whether too few of its keys signed what is published of a delegation.
    pub fn lacks_signatures(&self, name: &str) -> bool {
        self.unsigned.contains(name)
    }

    /// Delegations that get signed as they were published, although too few of
    /// their keys signed that: nobody but the server says that it is theirs.
    pub fn adopted(&self) -> impl Iterator<Item = &str> {
        let has_base = |name: &&String| self.targets.get(*name).is_some_and(|file| file.base().is_some());
        self.unsigned.iter().filter(has_base).map(String::as_str)
    }

    /// Delegations that begin anew without what was published of them, because
    /// too few of their keys signed that.
    pub fn restarted(&self) -> impl Iterator<Item = &str> {
        let has_no_base = |name: &&String| self.targets.get(*name).is_some_and(|file| file.base().is_none());
        self.unsigned.iter().filter(has_no_base).map(String::as_str)
    }

    /// Has a base role signed anew although nothing in it changes.
    pub fn touch(&mut self, name: &str) {
        self.dirty.insert(name.to_owned());
    }

    /// Begins the versions of a role after this one: the server has had files
    /// of a role of this name before.
    pub fn continue_after(&mut self, name: &str, version: i64) {
        let known = self.versions.entry(name.to_owned()).or_default();
        *known = version.max(*known);
    }

    /// Makes a change.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it cannot be made; the draft stays as it was.
    pub fn apply(&mut self, change: &Change) -> Result<()> {
        change.check()?;
        let changed = match change {
            Change::SetTarget { role, name, meta } => {
                self.check_admitted(role, name)?;
                self.open(role)?.set(name, Some(meta.clone()))
            }
            Change::RemoveTarget { role, name } => {
                self.keys_of(role)?;
                self.file(role).is_some_and(|file| file.get(name).is_some())
                    && self.open(role)?.set(name, None)
            }
            Change::AddDelegation { role, keys, paths, threshold } => {
                self.add_delegation(role, keys, paths, *threshold)?
            }
            Change::UpdateDelegation { role, remove_keys, .. } if role.ends_with("/*") => {
                self.purge(role.trim_end_matches('*'), remove_keys)
            }
            Change::UpdateDelegation {
                role,
                add_keys,
                remove_keys,
                add_paths,
                remove_paths,
                clear_paths,
            } => {
                self.check_paths(role, add_paths)?;
                self.change_delegation(role, |declared| {
                    let mut changed = remove_from(declared, remove_keys);
                    let paths = declared.paths.clone();
                    declared.paths.retain(|path| !clear_paths && !remove_paths.contains(path));
                    changed |= paths != declared.paths;
                    changed | add_to(declared, add_keys, add_paths)
                })?
            }
            Change::RemoveDelegation { role } => self.remove_delegation(role)?,
            Change::Witness { role } => self.witness(role)?,
            Change::SetRootRole { role, keys } => self.set_root_role(role, keys)?,
            Change::SetThreshold { role, threshold } => self.set_threshold(role, *threshold)?,
        };
        if changed {
            self.dirty.extend(dirtied(change).into_iter().map(str::to_owned));
            self.changes.push(change.clone());
        }
        Ok(())
    }

    /// Delegations whose published file would no longer be signed by enough of
    /// their keys, and that are not signed anew.
    pub fn orphaned(&self) -> Vec<String> {
        let is_orphaned = |name: &&String| {
            let Some(base) = self.targets.get(*name).and_then(TargetsDraft::base) else { return false };
            let Ok(keys) = self.keys_of(name) else { return false };
            signatures::verify(base.envelope(), &keys.keys, keys.threshold).is_err()
        };
        let names = self.targets.keys().filter(|name| !self.dirty.contains(*name));
        names.filter(|name| name.as_str() != role::TARGETS).filter(is_orphaned).cloned().collect()
    }

    /// The versions of the published files, by role.
    pub(crate) fn base_versions(&self) -> &BTreeMap<String, i64> {
        &self.base
    }

    /// What has to be signed, the root first, without the snapshot. `expiry`
    /// says when the new file of a role expires; see [`Lifetimes::at`].
    pub fn unsigned(&self, expiry: &dyn Fn(&str) -> SystemTime) -> Result<Vec<Unsigned>> {
        let mut all = Vec::new();
        if self.dirty.contains(role::ROOT) {
            all.push(self.unsigned_root(expiry(role::ROOT))?);
        } else if let Some(root) = self.root_base.as_ref().filter(|_| self.initial) {
            all.push(Unsigned {
                role: role::ROOT.into(),
                version: root.version(),
                expires: root.root().expires(),
                signed: root.envelope().signed().to_vec(),
                keys: Vec::new(),
                ready: Some(root.file().clone()),
            });
        }
        for (name, targets) in self.targets.iter().filter(|(name, _)| self.dirty.contains(*name)) {
            let version = self.next_version(name);
            let expires = expiry(name);
            all.push(Unsigned {
                role: name.clone(),
                version,
                expires,
                signed: targets.write(version, expires),
                keys: vec![self.keys_of(name)?],
                ready: None,
            });
        }
        Ok(all)
    }

    fn unsigned_root(&self, expires: SystemTime) -> Result<Unsigned> {
        let mut keys = vec![self.keys_of(role::ROOT)?];
        // A new root is signed by its own keys and by those of the root before.
        if let Some(previous) = self.root_base.as_ref().and_then(|base| base.root().role(role::ROOT)) {
            keys.push(previous.clone());
        }
        let version = self.next_version(role::ROOT);
        let signed = self.root.write(version, expires);
        Ok(Unsigned { role: role::ROOT.into(), version, expires, signed, keys, ready: None })
    }

    /// The snapshot that goes with signed files.
    pub fn unsigned_snapshot(&self, files: &[SignedFile], expires: SystemTime) -> Result<Unsigned> {
        let mut listed = self.snapshot.as_ref().map_or_else(BTreeMap::new, |snapshot| snapshot.files.clone());
        // What nobody declares any more goes, as in Notary.
        let declared: BTreeSet<&str> = self.all_delegations().iter().map(|role| role.name.as_str()).collect();
        // What those without a file here declare is not known, and counts again with them.
        let may_be_declared = |name: &str| {
            declared.iter().any(|parent| !self.targets.contains_key(*parent) && role::is_below(name, parent))
        };
        listed.retain(|name, _| {
            !role::is_delegation(name) || declared.contains(name.as_str()) || may_be_declared(name)
        });
        let published = self.root_base.iter().map(|root| (role::ROOT, root.file()));
        let published = published.chain(
            self.targets.iter().filter_map(|(name, targets)| Some((name.as_str(), targets.base()?.file()))),
        );
        for (name, file) in published {
            listed.entry(name.to_owned()).or_insert_with(|| FileMeta::of(file));
        }
        for file in files {
            listed.insert(file.role.clone(), FileMeta::of(&file.file));
        }
        let version = self.next_version(role::SNAPSHOT);
        Ok(Unsigned {
            role: role::SNAPSHOT.into(),
            version,
            expires,
            signed: write_snapshot(&listed, version, expires),
            keys: vec![self.keys_of(role::SNAPSHOT)?],
            ready: None,
        })
    }

    fn next_version(&self, name: &str) -> i64 {
        let published = self.published(name).map_or(0, |common| common.version);
        let known = self.versions.get(name).max(self.base.get(name)).copied().unwrap_or(0);
        // As in Notary the first targets file of a new repository is version 2.
        let first = i64::from(self.initial && name == role::TARGETS);
        published.max(known).max(first).saturating_add(1)
    }

    fn declared(&self, name: &str) -> Option<&DelegatedRole> {
        self.delegations(role::parent(name)?).iter().find(|declared| declared.name == name)
    }

    /// The file of a role that exists, a new one where it has none.
    fn open(&mut self, name: &str) -> Result<&mut TargetsDraft> {
        self.keys_of(name)?;
        if name != role::TARGETS && !role::is_delegation(name) {
            return Err(unknown_role(name, "it does not list targets"));
        }
        self.check_unvouched(name)?;
        if let Some(base) = self.unusable.remove(name) {
            // What it listed must not get our signature unseen.
            let file = if self.unsigned.contains(name) { TargetsDraft::new() } else { base };
            self.targets.insert(name.to_owned(), file);
        }
        Ok(self.targets.entry(name.to_owned()).or_default())
    }

    fn check_admitted(&self, name: &str, target: &str) -> Result<()> {
        self.keys_of(name)?;
        let paths = self.paths_of(name);
        if is_admitted(&paths, target) {
            return Ok(());
        }
        let reason = format!("{name} may only sign names that begin with one of {paths:?}");
        Err(invalid(format!("tag {:?}", excerpt(target, 64)), reason))
    }

    fn check_paths(&self, name: &str, paths: &[String]) -> Result<()> {
        let outer = role::parent(name).map(|parent| self.paths_of(parent)).unwrap_or_default();
        match paths.iter().find(|path| !is_admitted(&outer, path)) {
            None => Ok(()),
            Some(path) => {
                let reason = format!("its parent may only sign names that begin with one of {outer:?}");
                Err(invalid(format!("path {path:?} of {name}"), reason))
            }
        }
    }

    fn add_delegation(
        &mut self,
        name: &str,
        keys: &[PublicKey],
        paths: &[String],
        threshold: u32,
    ) -> Result<bool> {
        self.check_paths(name, paths)?;
        let is_new = self.declared(name).is_none();
        if is_new {
            if threshold == 0 {
                return Err(unknown_role(name, "the repository does not have it"));
            }
            let parent = role::parent(name).unwrap_or_default();
            let declared = DelegatedRole {
                name: name.to_owned(),
                keys: RoleKeys { keys: Vec::new(), threshold },
                paths: Vec::new(),
            };
            self.open(parent)?.delegations.push(declared);
        }
        let changed = self.change_delegation(name, |declared| add_to(declared, keys, paths))?;
        Ok(is_new || changed)
    }

    /// Changes what a parent says of a delegation.
    fn change_delegation(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut DelegatedRole) -> bool,
    ) -> Result<bool> {
        let parent = role::parent(name).unwrap_or_default();
        self.keys_of(name)?;
        let declared = self.open(parent)?.delegations.iter_mut().find(|declared| declared.name == name);
        Ok(declared.is_some_and(change))
    }

    /// Takes keys out of all delegations below a prefix.
    fn purge(&mut self, prefix: &str, ids: &[KeyId]) -> bool {
        let mut changed = BTreeSet::new();
        for (parent, targets) in &mut self.targets {
            for declared in targets.delegations.iter_mut().filter(|role| role.name.starts_with(prefix)) {
                if remove_from(declared, ids) {
                    changed.insert(parent.clone());
                }
            }
        }
        let any = !changed.is_empty();
        self.dirty.extend(changed);
        any
    }

    fn remove_delegation(&mut self, name: &str) -> Result<bool> {
        self.keys_of(name)?;
        let parent = role::parent(name).unwrap_or_default();
        self.open(parent)?.delegations.retain(|declared| declared.name != name);
        let stays = |other: &String| other != name && !role::is_below(other, name);
        self.targets.retain(|other, _| stays(other));
        self.unusable.retain(|other, _| stays(other));
        self.dirty.retain(stays);
        Ok(true)
    }

    fn set_root_role(&mut self, name: &str, keys: &[PublicKey]) -> Result<bool> {
        let old = self.base_role(name)?;
        check_threshold(name, old.threshold, keys.len())?;
        self.root.set_role(name, keys, old.threshold);
        // Old root keys stay: their certificates say who signed earlier roots.
        if name != role::ROOT {
            let ids: Vec<KeyId> = old.keys.into_iter().map(|(id, _)| id).collect();
            self.root.drop_unused(&ids);
        }
        Ok(true)
    }

    fn set_threshold(&mut self, name: &str, threshold: u32) -> Result<bool> {
        let keys = self.keys_of(name)?;
        check_threshold(name, threshold, keys.keys.len())?;
        if role::parent(name).is_some() {
            return self.change_delegation(name, |declared| {
                std::mem::replace(&mut declared.keys.threshold, threshold) != threshold
            });
        }
        self.root.set_threshold(name, threshold);
        Ok(keys.threshold != threshold)
    }

    fn base_role(&self, name: &str) -> Result<RoleKeys> {
        match role::parent(name) {
            None => self.keys_of(name),
            Some(_) => Err(unknown_role(name, "it is no base role")),
        }
    }

    /// A version that nobody vouches for must not use up those of the role.
    fn check_unvouched(&self, name: &str) -> Result<()> {
        let version = self.base.get(name).copied().unwrap_or(0);
        if !self.unsigned.contains(name) || version <= MAX_UNVOUCHED_VERSION {
            return Ok(());
        }
        let reason = format!(
            "the server has a file of version {version} for it that too few of its keys signed; have it removed there"
        );
        Err(unknown_role(name, &reason))
    }

    fn witness(&mut self, name: &str) -> Result<bool> {
        self.keys_of(name)?;
        self.check_unvouched(name)?;
        if name == role::ROOT && self.root_base.is_some() {
            return Ok(true);
        }
        if !self.targets.contains_key(name) && !self.unusable.contains_key(name) {
            return Err(unknown_role(name, "it has no file to sign anew"));
        }
        if let Some(base) = self.unusable.remove(name) {
            self.targets.insert(name.to_owned(), base);
        }
        Ok(true)
    }
}

/// The roles whose files a change changes. A purge says so itself.
fn dirtied(change: &Change) -> Vec<&str> {
    let name = change.role();
    match (change, role::parent(name)) {
        (Change::UpdateDelegation { .. }, _) if name.ends_with("/*") => Vec::new(),
        (Change::SetTarget { .. } | Change::RemoveTarget { .. } | Change::Witness { .. }, _) => vec![name],
        (_, Some(parent)) => vec![parent],
        // Whoever signed targets before may not be able to any more.
        (_, None) if name == role::TARGETS => vec![role::ROOT, role::TARGETS],
        (_, None) => vec![role::ROOT],
    }
}

fn check_threshold(name: &str, threshold: u32, keys: usize) -> Result<()> {
    if threshold as usize <= keys {
        return Ok(());
    }
    let reason = format!("it has only {keys} keys; add others first");
    Err(invalid(format!("threshold {threshold} of {name}"), reason))
}

fn is_admitted(paths: &[String], name: &str) -> bool {
    paths.iter().any(|path| name.starts_with(path.as_str()))
}

/// Adds what is not there yet; true if anything was.
fn add_to(declared: &mut DelegatedRole, keys: &[PublicKey], paths: &[String]) -> bool {
    let mut changed = false;
    for key in keys {
        if !declared.keys.keys.iter().any(|(id, _)| id == key.id()) {
            declared.keys.keys.push((key.id().clone(), Arc::new(key.clone())));
            changed = true;
        }
    }
    for path in paths {
        if !declared.paths.contains(path) {
            declared.paths.push(path.clone());
            changed = true;
        }
    }
    changed
}

/// Removes keys by their canonical IDs; true if any was there.
fn remove_from(declared: &mut DelegatedRole, ids: &[KeyId]) -> bool {
    let before = declared.keys.keys.len();
    declared.keys.keys.retain(|(id, key)| {
        let canonical = key.canonical_id();
        !ids.iter().any(|removed| removed == id || Some(removed) == canonical.as_ref())
    });
    declared.keys.keys.len() != before
}

fn invalid(what: String, reason: String) -> Error {
    Error::InvalidInput { what, reason }
}

fn unknown_role(name: &str, reason: &str) -> Error {
    invalid(format!("role {:?}", excerpt(name, 64)), reason.to_owned())
}
