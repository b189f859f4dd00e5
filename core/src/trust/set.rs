//! The files of one repository that verified together.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::check::Check;
use super::{MAX_DELEGATIONS, MAX_TIMESTAMP_BYTES, TrustedRoot};
use crate::error::{Error, Fault, Result};
use crate::metadata::{
    DelegatedRole, Envelope, FileMeta, RoleKeys, Snapshot, Targets, Timestamp, format_time, role,
};

/// What is trusted of one repository. Files are added in the order that
/// [`TrustedSet::next_role`] says, timestamp, snapshot, targets, delegations,
/// each checked against those before it: checksum, type and form, signatures,
/// version, expiry.
#[derive(Debug, Clone)]
pub struct TrustedSet {
    root: Arc<TrustedRoot>,
    timestamp: Option<(Timestamp, Bytes)>,
    snapshot: Option<(Snapshot, Bytes)>,
    pub(super) targets: BTreeMap<String, Delegation>,
    /// Delegations that are declared but do not count, and why.
    excluded: BTreeMap<String, Error>,
    /// What those of them say whose form was right.
    unusable: BTreeMap<String, Arc<Targets>>,
    /// The root that a correctly signed snapshot names, if it is not the loaded one.
    expected_root: Option<FileMeta>,
    /// Roles still to load, the next one last.
    pending: Vec<String>,
    seen: usize,
}

/// A loaded targets or delegation file and the target names it may sign.
#[derive(Debug, Clone)]
pub(super) struct Delegation {
    pub(super) targets: Arc<Targets>,
    pub(super) paths: Vec<String>,
}

impl TrustedSet {
    /// Starts from a root.
    pub fn new(root: Arc<TrustedRoot>) -> Self {
        Self {
            root,
            timestamp: None,
            snapshot: None,
            targets: BTreeMap::new(),
            excluded: BTreeMap::new(),
            unusable: BTreeMap::new(),
            expected_root: None,
            pending: vec![role::TARGETS.to_owned()],
            seen: 1,
        }
    }

    /// The root that everything else rests on.
    pub fn root(&self) -> &Arc<TrustedRoot> {
        &self.root
    }

    /// The repository's globally unique name.
    pub fn gun(&self) -> &str {
        self.root.gun()
    }

    /// Adds the timestamp. `floor` is the version already seen, if any.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if there is one; what is wrong with the file. The
    /// set stays as it was.
    pub fn add_timestamp(
        &mut self,
        file: impl Into<Bytes>,
        floor: Option<i64>,
        now: SystemTime,
    ) -> Result<()> {
        self.check_turn(role::TIMESTAMP)?;
        let file = file.into();
        let check = Check { gun: self.gun(), role: role::TIMESTAMP, now };
        check.size(&file, MAX_TIMESTAMP_BYTES)?;
        let envelope = check.read(file, "Timestamp")?;
        check.signatures(&envelope, self.base_role(role::TIMESTAMP)?)?;
        let timestamp = check.form(Timestamp::read(&envelope))?;
        check.not_older(&timestamp.common, floor)?;
        check.not_expired(&timestamp.common)?;
        self.timestamp = Some((timestamp, envelope.file().clone()));
        Ok(())
    }

    /// Adds the snapshot.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] unless it comes next; what is wrong with the file,
    /// or with the root if the snapshot names another one. Nothing but
    /// [`TrustedSet::expected_root`] changes.
    pub fn add_snapshot(
        &mut self,
        file: impl Into<Bytes>,
        floor: Option<i64>,
        now: SystemTime,
    ) -> Result<()> {
        self.check_turn(role::SNAPSHOT)?;
        let file = file.into();
        let check = Check { gun: self.gun(), role: role::SNAPSHOT, now };
        check.sum(self.snapshot_source(), &file)?;
        let envelope = check.read(file, "Snapshot")?;
        check.signatures(&envelope, self.base_role(role::SNAPSHOT)?)?;
        let snapshot = check.form(Snapshot::read(&envelope))?;
        check.not_older(&snapshot.common, floor)?;
        check.not_expired(&snapshot.common)?;
        // The loaded root must be the one that the snapshot names.
        let root_check = Check { role: role::ROOT, ..check };
        let root_meta = snapshot.files.get(role::ROOT);
        if let Err(error) = root_check.sum(root_meta, self.root.file()) {
            self.expected_root = root_meta.cloned();
            return Err(error);
        }
        self.snapshot = Some((snapshot, envelope.file().clone()));
        Ok(())
    }

    /// The role whose file comes next: timestamp, snapshot, targets, then
    /// delegations in preorder. `None` if all are there.
    pub fn next_role(&self) -> Option<&str> {
        if self.timestamp.is_none() {
            return Some(role::TIMESTAMP);
        }
        if self.snapshot.is_none() {
            return Some(role::SNAPSHOT);
        }
        self.pending.last().map(String::as_str)
    }

    /// A file that came out of turn would not be checked against those below it.
    fn check_turn(&self, name: &str) -> Result<()> {
        let next = self.next_role();
        if next == Some(name) {
            return Ok(());
        }
        let what = format!("trust data of {}", self.gun());
        let reason = format!("{name} cannot be added now; next comes {}", next.unwrap_or("nothing"));
        Err(Error::InvalidInput { what, reason })
    }

    /// What the timestamp says about the snapshot.
    pub fn snapshot_source(&self) -> Option<&FileMeta> {
        self.timestamp.as_ref().map(|(timestamp, _)| &timestamp.snapshot)
    }

    /// The root that a correctly signed snapshot wants instead of the loaded one.
    pub fn expected_root(&self) -> Option<&FileMeta> {
        self.expected_root.as_ref()
    }

    /// What the snapshot says about another file.
    pub fn source(&self, role: &str) -> Option<&FileMeta> {
        self.snapshot.as_ref()?.0.files.get(role)
    }

    /// Passes over the next role: whoever does so has found that it does not count.
    #[cfg(any(feature = "http", test))]
    pub(crate) fn skip_role(&mut self) {
        self.pending.pop();
    }

    /// Passes over delegations that the snapshot does not list: as in Notary
    /// they were never published. Whoever knows versions seen before looks at
    /// each of them instead, for one that was withdrawn.
    pub fn skip_unlisted(&mut self) {
        let is_unlisted = |set: &Self, name: &String| name != role::TARGETS && set.source(name).is_none();
        while self.snapshot.is_some() && self.pending.last().is_some_and(|name| is_unlisted(self, name)) {
            self.pending.pop();
        }
    }

    /// Adds the file of the next role. A delegation that is expired or short of
    /// signatures is set aside with its children, as in Notary; the repository
    /// stays usable.
    ///
    /// # Errors
    /// What is wrong with the file, or [`Error::InvalidInput`] if no file comes
    /// next; the set stays as it was.
    pub fn add_role(&mut self, file: impl Into<Bytes>, floor: Option<i64>, now: SystemTime) -> Result<()> {
        let name = match self.next_role() {
            Some(role::TIMESTAMP) => return self.add_timestamp(file, floor, now),
            Some(role::SNAPSHOT) => return self.add_snapshot(file, floor, now),
            Some(name) => name.to_owned(),
            None => return self.check_turn("another file"),
        };
        let (targets, result) = self.check_role(&name, file.into(), floor, now)?;
        match result {
            Ok(()) => self.admit(name, targets),
            Err(error) if name != role::TARGETS && may_be_set_aside(&error) => {
                log::warn!("{error}; the delegation does not count");
                self.pending.pop();
                self.unusable.insert(name.clone(), Arc::new(targets));
                self.excluded.insert(name, error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Adds the files of the roles that come next for as long as `file` has them,
    /// without those that [`TrustedSet::skip_unlisted`] passes over. Versions that
    /// were seen before are not known here: for these there is
    /// [`TrustedSet::add_role`].
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (root, now, pins) = (Vec::new(), std::time::SystemTime::now(), tagtrust::Pinning::none());
    /// # let mut set = tagtrust::TrustedSet::open("registry.example/team/app", &[], root, &pins, now)?;
    /// set.add_all(|role| std::fs::read(format!("{role}.json")).ok(), now)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What is wrong with a file. Those before it stay, and its role comes next.
    pub fn add_all<F: Into<Bytes>>(
        &mut self,
        mut file: impl FnMut(&str) -> Option<F>,
        now: SystemTime,
    ) -> Result<()> {
        self.skip_unlisted();
        while let Some(file) = self.next_role().and_then(&mut file) {
            self.add_role(file, None, now)?;
            self.skip_unlisted();
        }
        Ok(())
    }

    /// The content of a file of the right form, and whether it counts.
    fn check_role(
        &self,
        name: &str,
        file: Bytes,
        floor: Option<i64>,
        now: SystemTime,
    ) -> Result<(Targets, Result<()>)> {
        let check = Check { gun: self.gun(), role: name, now };
        check.sum(self.source(name), &file)?;
        let envelope = check.read(file, "Targets")?;
        // A delegation that is short of signatures is set aside, but one that is
        // malformed or older is fatal: so for delegations these come first.
        let (keys, is_delegation) = (self.keys_of(name)?, name != role::TARGETS);
        if !is_delegation {
            check.signatures(&envelope, keys)?;
        }
        let targets = check.form(Targets::read(name, envelope))?;
        check.not_older(&targets.common, floor)?;
        let signed = if is_delegation { check.signatures(targets.envelope(), keys) } else { Ok(()) };
        let counts = signed.and_then(|()| check.not_expired(&targets.common));
        Ok((targets, counts))
    }

    fn admit(&mut self, name: String, targets: Targets) -> Result<()> {
        let malformed = |what| {
            let fault = Fault::Malformed(what);
            Error::Tampered { gun: self.gun().into(), role: name.clone(), fault }
        };
        // First: it bounds the comparisons below.
        let seen = self.seen.saturating_add(targets.delegations.len());
        if seen > MAX_DELEGATIONS {
            return Err(malformed(format!("the repository has more than {MAX_DELEGATIONS} delegations")));
        }
        for child in &targets.delegations {
            if self.is_known(&child.name)
                || targets.delegations.iter().filter(|d| d.name == child.name).count() > 1
            {
                return Err(malformed(format!("{} is declared twice", child.name)));
            }
        }
        let paths = match self.declaration(&name) {
            // A child's path counts only where its parent's paths admit it.
            Some((parent, declared)) => {
                let within =
                    |path: &&String| parent.paths.iter().any(|outer| path.starts_with(outer.as_str()));
                declared.paths.iter().filter(within).cloned().collect()
            }
            None => vec![String::new()],
        };
        self.seen = seen;
        self.pending.pop();
        self.pending.extend(targets.delegations.iter().rev().map(|child| child.name.clone()));
        self.targets.insert(name, Delegation { targets: Arc::new(targets), paths });
        Ok(())
    }

    fn is_known(&self, name: &str) -> bool {
        self.targets.contains_key(name)
            || self.excluded.contains_key(name)
            || self.pending.iter().any(|p| p == name)
    }

    fn base_role(&self, name: &str) -> Result<&RoleKeys> {
        self.root
            .root()
            .role(name)
            .ok_or_else(|| Error::Internal { reason: format!("{name} is no base role") })
    }

    fn keys_of(&self, name: &str) -> Result<&RoleKeys> {
        match self.declaration(name) {
            Some((_, declared)) => Ok(&declared.keys),
            None => self.base_role(name),
        }
    }

    /// Where a delegation is declared: its parent, and what that says.
    fn declaration(&self, name: &str) -> Option<(&Delegation, &DelegatedRole)> {
        let parent = self.targets.get(role::parent(name)?)?;
        let declared = parent.targets.delegations.iter().find(|declared| declared.name == name)?;
        Some((parent, declared))
    }

    /// The file of a role as it was fetched, if the role is loaded.
    pub fn file(&self, name: &str) -> Option<&Bytes> {
        match name {
            role::ROOT => Some(self.root.file()),
            role::TIMESTAMP => self.timestamp.as_ref().map(|(_, file)| file),
            role::SNAPSHOT => self.snapshot.as_ref().map(|(_, file)| file),
            _ => self.targets.get(name).map(|delegation| delegation.targets.file()),
        }
    }

    /// The names of the loaded targets and delegation roles, in ascending order.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.targets.keys().map(String::as_str)
    }

    /// The content of a targets or delegation file, if the role is loaded.
    pub fn targets(&self, name: &str) -> Option<&Targets> {
        self.targets.get(name).map(|delegation| delegation.targets.as_ref())
    }

    /// As [`TrustedSet::targets`], to be kept.
    pub(crate) fn shared_targets(&self, name: &str) -> Option<Arc<Targets>> {
        self.targets.get(name).map(|delegation| Arc::clone(&delegation.targets))
    }

    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref().map(|(snapshot, _)| snapshot)
    }

    #[cfg(feature = "server")]
    pub(crate) fn timestamp(&self) -> Option<&Timestamp> {
        self.timestamp.as_ref().map(|(timestamp, _)| timestamp)
    }

    /// The content of delegations that do not count: only to be signed anew.
    pub(crate) fn unusable(&self) -> impl Iterator<Item = (&str, Arc<Targets>)> {
        self.unusable.iter().map(|(name, targets)| (name.as_str(), Arc::clone(targets)))
    }

    /// Why a declared delegation does not count.
    pub fn excluded(&self, name: &str) -> Option<&Error> {
        self.excluded.get(name)
    }

    /// The delegations that do not count, and why.
    pub fn all_excluded(&self) -> impl Iterator<Item = (&str, &Error)> {
        self.excluded.iter().map(|(name, error)| (name.as_str(), error))
    }

    /// The version of the timestamp; 0 before there is one.
    pub fn timestamp_version(&self) -> i64 {
        self.timestamp.as_ref().map_or(0, |(timestamp, _)| timestamp.common.version)
    }

    /// The moment from which nothing here may be used unchecked: the first
    /// expiry of any file, root certificate or CA that was pinned for it.
    pub fn valid_until(&self) -> SystemTime {
        let timestamp = self.timestamp.iter().map(|(timestamp, _)| timestamp.common.expires);
        let snapshot = self.snapshot.iter().map(|(snapshot, _)| snapshot.common.expires);
        let targets = self.targets.values().map(|delegation| delegation.targets.common.expires);
        timestamp.chain(snapshot).chain(targets).fold(self.root.valid_until(), SystemTime::min)
    }

    /// [`TrustedSet::valid_until`].
    ///
    /// # Errors
    /// [`Error::Expired`] if that is past, with the role that expired.
    pub(super) fn check_expiry(&self, now: SystemTime) -> Result<SystemTime> {
        let until = self.valid_until();
        if now <= until {
            return Ok(until);
        }
        let timestamp = self.timestamp.iter().map(|(timestamp, _)| (role::TIMESTAMP, &timestamp.common));
        let snapshot = self.snapshot.iter().map(|(snapshot, _)| (role::SNAPSHOT, &snapshot.common));
        let targets = self.targets.iter().map(|(name, role)| (name.as_str(), &role.targets.common));
        for (role, common) in timestamp.chain(snapshot).chain(targets) {
            Check { gun: self.gun(), role, now }.not_expired(common)?;
        }
        // The root, or a certificate.
        let expired = format_time(until);
        Err(Error::Expired { gun: self.gun().into(), role: role::ROOT.into(), expired })
    }

    /// True if all roles are loaded.
    pub fn is_complete(&self) -> bool {
        self.next_role().is_none()
    }

    /// Size in memory, nearly: that of all files.
    pub fn bytes(&self) -> usize {
        let base = [role::ROOT, role::TIMESTAMP, role::SNAPSHOT].into_iter();
        let files = base.chain(self.roles()).filter_map(|name| self.file(name));
        files.chain(self.unusable.values().map(|targets| targets.file())).map(Bytes::len).sum()
    }
}

/// Notary goes on without a delegation that fails in one of these two ways.
fn may_be_set_aside(error: &Error) -> bool {
    matches!(error, Error::Expired { .. } | Error::Tampered { fault: Fault::Threshold { .. }, .. })
}

/// Versions below which nothing is accepted: those of the cached files that the
/// known root's keys (or those of their cached parents) signed. Expiry does not
/// matter for them.
pub struct Floors<'a> {
    known: &'a TrustedRoot,
    cached: &'a dyn Fn(&str) -> Option<Bytes>,
    targets: RefCell<BTreeMap<String, Option<Arc<Targets>>>>,
}

impl<'a> Floors<'a> {
    /// `cached` gives the cached file of a role.
    pub fn new(known: &'a TrustedRoot, cached: &'a dyn Fn(&str) -> Option<Bytes>) -> Self {
        Self { known, cached, targets: RefCell::default() }
    }

    /// The lowest acceptable version of a role's file; `None` if any will do.
    pub fn of(&self, name: &str) -> Option<i64> {
        let version = match name {
            role::TIMESTAMP => Timestamp::read(&self.signed(name, "Timestamp")?).ok()?.common.version,
            role::SNAPSHOT => Snapshot::read(&self.signed(name, "Snapshot")?).ok()?.common.version,
            _ => self.targets(name)?.common.version,
        };
        Some(version)
    }

    fn base_role(&self, name: &str) -> Option<&RoleKeys> {
        self.known.root().role(name)
    }

    /// The file of a base role, if its keys signed it.
    pub(crate) fn signed(&self, name: &str, kind: &str) -> Option<Envelope> {
        self.signed_by(name, kind, self.base_role(name)?)
    }

    fn signed_by(&self, name: &str, kind: &str, keys: &RoleKeys) -> Option<Envelope> {
        let check = Check { gun: self.known.gun(), role: name, now: SystemTime::UNIX_EPOCH };
        let envelope = check.read((self.cached)(name)?, kind).ok()?;
        check.signatures(&envelope, keys).ok()?;
        Some(envelope)
    }

    /// The file of `targets` or a delegation, if its keys signed it and those above it.
    pub(crate) fn targets(&self, name: &str) -> Option<Arc<Targets>> {
        if let Some(known) = self.targets.borrow().get(name) {
            return known.clone();
        }
        let targets = self.read_targets(name).map(Arc::new);
        self.targets.borrow_mut().insert(name.to_owned(), targets.clone());
        targets
    }

    fn read_targets(&self, name: &str) -> Option<Targets> {
        let envelope = match role::parent(name) {
            None => self.signed(name, "Targets")?,
            Some(parent) => {
                let parent = self.targets(parent)?;
                let declared = parent.delegations.iter().find(|declared| declared.name == name)?;
                self.signed_by(name, "Targets", &declared.keys)?
            }
        };
        Targets::read(name, envelope).ok()
    }
}
