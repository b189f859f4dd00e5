//! The rules of an upload, without I/O: bytes and a moment in; what may be
//! stored, or which rule does not hold, out. In Notary's order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::refusal::Invalid;
use super::upload::Upload;
use crate::error::{Error, Fault, RootFault};
use crate::metadata::{RoleKeys, Snapshot, Targets, role};
use crate::trust::check::Check;
use crate::trust::{Expiry, TrustedRoot};

/// Of a role that a root does not have.
const NOBODY: &RoleKeys = &RoleKeys { keys: Vec::new(), threshold: u32::MAX };

/// What is stored of a repository, as far as an upload needs it.
#[derive(Debug, Clone, Default)]
pub(super) struct Stored {
    pub(super) root: Option<Bytes>,
    pub(super) snapshot: Option<Bytes>,
    /// The roles above uploaded delegations, as far as they are there.
    pub(super) ancestors: BTreeMap<String, Bytes>,
}

impl Stored {
    /// Size of all files in bytes.
    pub(super) fn size(&self) -> usize {
        self.root.iter().chain(&self.snapshot).chain(self.ancestors.values()).map(Bytes::len).sum()
    }
}

/// An upload whose files are all right.
#[derive(Debug, Clone)]
pub(super) struct Accepted {
    /// The uploaded root, otherwise the stored one.
    pub(super) root: Arc<TrustedRoot>,
    /// The stored root.
    previous: Option<TrustedRoot>,
    /// `targets` and delegations, uploaded and above those.
    pub(super) targets: BTreeMap<String, Arc<Targets>>,
    /// The uploaded snapshot.
    pub(super) snapshot: Option<(Snapshot, Bytes)>,
}

impl Accepted {
    /// The files that a snapshot must list now, by role.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        let targets = self.targets.iter().map(|(name, targets)| (name.as_str(), targets.file()));
        std::iter::once((role::ROOT, self.root.file())).chain(targets)
    }

    /// The keys of a base role.
    pub(super) fn keys(&self, name: &str) -> &RoleKeys {
        self.root.root().role(name).unwrap_or(NOBODY)
    }

    /// The keys that the stored root gives a base role.
    pub(super) fn previous_keys(&self, name: &str) -> &RoleKeys {
        self.previous.as_ref().and_then(|root| root.root().role(name)).unwrap_or(NOBODY)
    }
}

/// Judges an upload.
pub(super) fn judge(
    gun: &str,
    upload: &Upload,
    stored: &Stored,
    now: SystemTime,
) -> Result<Accepted, Invalid> {
    let stored_root = stored.root.as_ref().map(|root| accept_stored(gun, root, now)).transpose()?;
    // Stricter: what the stored snapshot lists is signed anew only if it was signed before.
    if upload.get(role::SNAPSHOT).is_none()
        && let (Some(root), Some(snapshot)) = (&stored_root, &stored.snapshot)
    {
        check_stored_snapshot(root, snapshot, now).map_err(|error| Invalid::BadSnapshot(words(&error)))?;
    }
    let previous = stored_root.clone();
    let root = Arc::new(judge_root(gun, upload, stored_root, now)?);
    let mut accepted = Accepted { root, previous, targets: BTreeMap::new(), snapshot: None };
    judge_targets(&mut accepted, upload, stored, now)?;
    if let Some((_, file)) = upload.get(role::SNAPSHOT) {
        let snapshot = judge_snapshot(&accepted, file, now).map_err(Invalid::BadSnapshot)?;
        accepted.snapshot = Some((snapshot, file.clone()));
    }
    Ok(accepted)
}

/// The stored root may have expired, and its certificates too: otherwise nobody
/// could ever replace it.
fn accept_stored(gun: &str, file: &Bytes, now: SystemTime) -> Result<TrustedRoot, Invalid> {
    TrustedRoot::accept(gun, file.clone(), None, None, Expiry::Ignored, now)
        .map_err(|error| Invalid::BadRoot(words(&error)))
}

/// The stored snapshot is signed by those whom the stored root names for it.
pub(super) fn check_stored_snapshot(root: &TrustedRoot, file: &Bytes, now: SystemTime) -> crate::Result<()> {
    let check = Check { gun: root.gun(), role: role::SNAPSHOT, now };
    let envelope = check.read(file.clone(), "Snapshot")?;
    check.signatures(&envelope, root.root().role(role::SNAPSHOT).unwrap_or(NOBODY))
}

/// The root that counts from now on.
fn judge_root(
    gun: &str,
    upload: &Upload,
    stored: Option<TrustedRoot>,
    now: SystemTime,
) -> Result<TrustedRoot, Invalid> {
    let Some((version, file)) = upload.get(role::ROOT) else {
        return stored.ok_or_else(|| {
            Invalid::Validation("no pre-existing root and no root provided in update.".into())
        });
    };
    // Without a stored root the current version counts as 1: a first root may be 1 or 2.
    let current = stored.as_ref().map_or(1, TrustedRoot::version);
    if version != current && version != current.saturating_add(1) {
        return Err(Invalid::BadRoot(format!(
            "Root modifications must increment the version. Current {current}, new {version}"
        )));
    }
    TrustedRoot::accept(gun, file.clone(), stored.as_ref(), None, Expiry::Enforced, now)
        .map_err(|error| Invalid::BadRoot(words(&error)))
}

/// Targets and delegations, those with fewer segments first, each against its
/// parent; a parent that was not uploaded is the stored one.
fn judge_targets(
    accepted: &mut Accepted,
    upload: &Upload,
    stored: &Stored,
    now: SystemTime,
) -> Result<(), Invalid> {
    for (name, file) in upload.targets() {
        for ancestor in stored_ancestors(name, stored) {
            if !accepted.targets.contains_key(ancestor)
                && let Some(file) = stored.ancestors.get(ancestor)
            {
                // Those may have expired.
                let targets = judge_role(accepted, ancestor, file, Expiry::Ignored, now)
                    .map_err(Invalid::BadTargets)?;
                accepted.targets.insert(ancestor.to_owned(), Arc::new(targets));
            }
        }
        let targets = judge_role(accepted, name, file, Expiry::Enforced, now).map_err(Invalid::BadTargets)?;
        accepted.targets.insert(name.to_owned(), Arc::new(targets));
    }
    Ok(())
}

/// The roles above this one that are stored and count, topmost first.
fn stored_ancestors<'a>(name: &'a str, stored: &Stored) -> Vec<&'a str> {
    let mut ancestors: Vec<&str> = std::iter::successors(role::parent(name), |name| role::parent(name))
        .filter(|ancestor| stored.ancestors.contains_key(*ancestor))
        .collect();
    ancestors.reverse();
    ancestors
}

/// One targets or delegation file.
fn judge_role(
    accepted: &Accepted,
    name: &str,
    file: &Bytes,
    expiry: Expiry,
    now: SystemTime,
) -> Result<Targets, String> {
    let check = Check { gun: accepted.root.gun(), role: name, now };
    let keys = keys_of(accepted, name)?;
    let judge = || {
        let envelope = check.read(file.clone(), "Targets")?;
        check.signatures(&envelope, keys)?;
        let targets = check.form(Targets::read(name, envelope))?;
        if expiry == Expiry::Enforced {
            check.not_expired(&targets.common)?;
        }
        Ok(targets)
    };
    judge().map_err(|error: Error| words(&error))
}

/// Who may sign for a role: its parent says, and that must be loaded.
fn keys_of<'a>(accepted: &'a Accepted, name: &str) -> Result<&'a RoleKeys, String> {
    let Some(parent) = role::parent(name) else { return Ok(accepted.keys(name)) };
    accepted
        .targets
        .get(parent)
        .and_then(|parent| parent.delegations.iter().find(|declared| declared.name == name))
        .map(|declared| &declared.keys)
        .ok_or_else(|| format!("tuf: invalid role {name}. delegation does not exist"))
}

/// The uploaded snapshot, against everything that is loaded.
fn judge_snapshot(accepted: &Accepted, file: &Bytes, now: SystemTime) -> Result<Snapshot, String> {
    let check = Check { gun: accepted.root.gun(), role: role::SNAPSHOT, now };
    let judge = || {
        let envelope = check.read(file.clone(), "Snapshot")?;
        check.signatures(&envelope, accepted.keys(role::SNAPSHOT))?;
        let snapshot = check.form(Snapshot::read(&envelope))?;
        check.not_expired(&snapshot.common)?;
        for (name, file) in accepted.files() {
            let check = Check { role: name, ..check };
            let listed = snapshot.files.get(name).ok_or_else(|| {
                check.tampered(Fault::Malformed("the snapshot does not list it".to_owned()))
            })?;
            listed.check(file).map_err(|fault| check.tampered(fault))?;
        }
        Ok(snapshot)
    };
    judge().map_err(|error: Error| words(&error))
}

/// An error as Notary's server words it, as far as it has words for it.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::RootNotTrusted { fault, .. } => match fault {
            RootFault::NoValidCertificate(_) => {
                "could not validate the path to a trusted root: unable to retrieve valid leaf certificates"
                    .into()
            }
            RootFault::BrokenRotation { .. } => "could not rotate trust to a new trusted root: failed to \
                validate data with current trusted certificates"
                .into(),
            RootFault::BrokenIntegrity { .. } => {
                "could not validate the path to a trusted root: failed to validate integrity of roots".into()
            }
            RootFault::PinMismatch(_) => {
                "could not validate the path to a trusted root: unable to match any \
                certificates to trust_pinning config"
                    .into()
            }
            other => other.to_string(),
        },
        Error::Tampered { role, fault, .. } => match fault {
            Fault::NoSignatures if role == role::ROOT => {
                "could not validate the path to a trusted root: failed to validate integrity of roots".into()
            }
            Fault::NoSignatures => "tuf: data has no signatures".into(),
            Fault::Threshold { .. } => format!("valid signatures did not meet threshold for {role}"),
            Fault::KeyId { .. } => "key ID is not valid for key content".into(),
            Fault::WrongType { expected, found } => {
                format!("{role} type metadata invalid: expected type {expected}, not {found}")
            }
            Fault::Malformed(what) => format!("{role} type metadata invalid: {what}"),
            Fault::Checksum { algorithm, expected, .. } => {
                format!("{algorithm} checksum for {role} did not match: expected {expected}")
            }
            other => format!("{role}: {other}"),
        },
        Error::Expired { role, expired, .. } => format!("{role} expired at {}", go_date(expired)),
        Error::RolledBack { known, found, .. } => {
            format!("version {found} is lower than current version {known}")
        }
        other => other.to_string(),
    }
}

/// A moment as Go's `Mon Jan 2 15:04:05 MST 2006` has it.
pub(super) fn go_date(rfc3339: &str) -> String {
    let Some(moment) = crate::metadata::parse_time(rfc3339) else { return rfc3339.to_owned() };
    let moment = time::OffsetDateTime::from(moment);
    let short = |name: String| name.chars().take(3).collect::<String>();
    format!(
        "{} {} {} {:02}:{:02}:{:02} UTC {}",
        short(moment.weekday().to_string()),
        short(moment.month().to_string()),
        moment.day(),
        moment.hour(),
        moment.minute(),
        moment.second(),
        moment.year()
    )
}
