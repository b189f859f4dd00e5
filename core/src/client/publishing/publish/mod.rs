//! Publishing: refresh, change, sign, upload; and once more on top of what
//! others published meanwhile.

mod base;
mod keys;
mod later;
mod registry;
mod versions;

use std::cell::{OnceCell, RefCell};
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::client::Client;
pub(super) use base::Base;
use base::Stamp;

use super::keyring::Keyring;
use super::publication::{ChangeSummary, Publication};
use super::steps::{Resolver, Step, canonical_ids};
use crate::crypto::{KeyId, PublicKey, Signer};
use crate::error::{Error, Result};
use crate::metadata::{Signature, role};
use crate::reference::Reference;
use crate::remote::{Failure, Remote};
use crate::signing::{Change, Draft, SignedFile, Unsigned, sign};

/// How often an upload is made anew because others were faster.
const MAX_ATTEMPTS: u32 = 64;
/// How often in a row the server may call that a conflict although nothing moved.
const MAX_UNMOVED: u32 = 8;
/// Longest wait before the next attempt. It is random, so that those who
/// collided do not collide again.
const MAX_PAUSE: Duration = Duration::from_millis(400);
/// A root that expires within half a year is signed anew with any other change, as in Notary.
const RENEW_ROOT: Duration = Duration::from_secs(182 * 86_400);

/// One operation on one repository.
pub(in crate::client) struct Publisher<'a> {
    pub(in crate::client) client: &'a Client,
    pub(in crate::client) reference: &'a Reference,
    pub(in crate::client) remote: Arc<Remote>,
    keyring: Keyring<'a>,
    now: SystemTime,
    mode: Mode,
    staged: OnceCell<Vec<(OsString, Change)>>,
    /// The keys of rotations, the same for every attempt.
    rotations: RefCell<BTreeMap<String, Vec<PublicKey>>>,
    /// Keys that rotations replace.
    retired: RefCell<Vec<KeyId>>,
}

/// What may be done, and on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::client) enum Mode {
    /// On what the server has now.
    Publish,
    /// Nothing may be made, neither here nor on the server.
    DryRun,
    /// Nothing is uploaded, so the cache will do if the server is out of reach.
    Stage,
    /// On what the server has now, expired or not.
    Recover,
    /// Both.
    RecoverDryRun,
}

/// How an attempt ended.
enum Attempt {
    Done(Publication),
    Refused(Refusal),
}

/// What the server did not take.
struct Refusal {
    /// Whether somebody else was faster.
    conflict: bool,
    error: Error,
}

impl<'a> Publisher<'a> {
    pub(in crate::client) fn new(client: &'a Client, reference: &'a Reference, mode: Mode) -> Result<Self> {
        Ok(Self {
            client,
            reference,
            remote: client.remotes.server_for(reference.registry())?,
            keyring: client.keyring(),
            now: (client.clock)(),
            mode,
            staged: OnceCell::new(),
            rotations: RefCell::default(),
            retired: RefCell::default(),
        })
    }

    pub(in crate::client) fn keyring(&self) -> &Keyring<'a> {
        &self.keyring
    }

    pub(in crate::client) fn now(&self) -> SystemTime {
        self.now
    }

    pub(in crate::client) fn dry_run(&self) -> bool {
        matches!(self.mode, Mode::DryRun | Mode::RecoverDryRun)
    }

    pub(in crate::client) fn gun(&self) -> &str {
        self.reference.gun()
    }

    pub(in crate::client) fn deadline(&self) -> Instant {
        Instant::now() + self.client.timeout
    }

    pub(in crate::client) fn publish(&self, steps: &[Step]) -> Result<Publication> {
        let steps = &self.looked_up(steps)?;
        let slot = self.client.memory.slot(self.gun());
        // Threads of one client take turns; only others can come between.
        let _turn = slot.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut first: Option<Draft> = None;
        let mut refused: Option<(Stamp, Refusal)> = None;
        // How often in a row nothing had moved.
        let mut unmoved = 0;
        for attempt in 1..=MAX_ATTEMPTS {
            let base = self.base(steps)?;
            if let Some((stamp, refusal)) = refused.take() {
                unmoved = if stamp == base.stamp { unmoved + 1 } else { 0 };
                // Nobody has published since: it is what we sent that the server does not take.
                if unmoved > 0 && (!refusal.conflict || unmoved > MAX_UNMOVED) {
                    return Err(refusal.error);
                }
            }
            match self.attempt(&base, first.as_ref(), steps, attempt)? {
                Attempt::Done(publication) => return Ok(publication),
                Attempt::Refused(refusal) => {
                    log::debug!("attempt {attempt}: {}", refusal.error);
                    refused = Some((base.stamp, refusal));
                }
            }
            first.get_or_insert(base.draft);
            thread::sleep(pause(attempt));
        }
        let last = refused.map_or_else(String::new, |(_, refusal)| format!(" ({})", refusal.error));
        let reason = format!("{MAX_ATTEMPTS} attempts met other publishers each time{last}; run it again");
        Err(Error::Conflict { gun: self.gun().to_owned(), reason })
    }

    fn attempt(&self, base: &Base, first: Option<&Draft>, steps: &[Step], attempt: u32) -> Result<Attempt> {
        let mut draft = base.draft.clone();
        let mut resolver = Resolver { publisher: self, warnings: BTreeSet::new(), bump: false };
        for step in steps {
            resolver.apply(step, &mut draft)?;
        }
        if let Some(first) = first {
            self.check_contradictions(first, &base.draft, &draft)?;
        }
        let mut publication = Publication {
            repository: self.gun().to_owned(),
            changes: draft.changes().iter().map(|change| self.summary(change)).collect(),
            files: Vec::new(),
            warnings: Vec::new(),
            published: false,
            attempts: attempt,
        };
        let is_idle = draft.dirty().next().is_none() && !draft.is_initial() && !resolver.bump;
        if !is_idle {
            for orphan in draft.orphaned() {
                resolver.warnings.insert(format!(
                    "{orphan} is no longer signed by enough of its keys; it does not count until it is signed anew"
                ));
            }
            warn_of_unsigned(&draft, &mut resolver.warnings);
            self.renew_root(&mut draft, &mut resolver.warnings);
            // A role's first file that somebody published meanwhile must not be
            // taken for that of an earlier role of this name.
            if self.continue_versions(&mut draft)? && self.published()?.stamp != base.stamp {
                let error = self.rejected("somebody else published at the same time".into());
                return Ok(Attempt::Refused(Refusal { conflict: true, error }));
            }
        }
        if self.dry_run() {
            if !is_idle {
                publication.files = self.plan(&draft, &mut resolver.warnings)?;
            }
            publication.warnings = resolver.warnings.into_iter().collect();
            return Ok(Attempt::Done(publication));
        }
        if !is_idle {
            publication.files = self.sign(&draft)?;
            let files: Vec<(&str, &[u8])> =
                publication.files.iter().map(|file| (file.role.as_str(), file.file.as_ref())).collect();
            if let Err(failure) = self.remote.upload(self.gun(), &files, self.deadline()) {
                return self.refused(failure);
            }
            publication.published = true;
        }
        self.finish(steps, &draft, &mut resolver.warnings);
        publication.warnings = resolver.warnings.into_iter().collect();
        Ok(Attempt::Done(publication))
    }

    fn refused(&self, failure: Failure) -> Result<Attempt> {
        match failure {
            Failure::Refused { code, reason } => {
                let (conflict, error) = (is_conflict(&code), self.rejected(reason));
                Ok(Attempt::Refused(Refusal { conflict, error }))
            }
            failure => Err(self.failed(failure)),
        }
    }

    /// What others changed since the first attempt must not be what we change.
    fn check_contradictions(&self, first: &Draft, base: &Draft, draft: &Draft) -> Result<()> {
        for change in draft.changes() {
            let moved = match change {
                Change::SetTarget { role, name, .. } | Change::RemoveTarget { role, name } => {
                    let listed = |draft: &Draft| draft.file(role).and_then(|file| file.get(name));
                    (listed(first) != listed(base)).then(|| format!("{name} in {role} was signed or removed"))
                }
                Change::SetRootRole { role, .. } => {
                    let keys = |draft: &Draft| draft.keys_of(role).map(|keys| keys.key_ids()).ok();
                    (keys(first) != keys(base)).then(|| format!("{role} got other keys"))
                }
                _ => None,
            };
            if let Some(moved) = moved {
                let reason = format!("{moved} meanwhile; look at it, and run it again");
                return Err(Error::Conflict { gun: self.gun().to_owned(), reason });
            }
        }
        Ok(())
    }

    /// What happens after a successful upload. Nothing here can undo it.
    fn finish(&self, steps: &[Step], draft: &Draft, warnings: &mut BTreeSet<String>) {
        if steps.iter().any(|step| matches!(step, Step::Staged))
            && let Err(error) = self.forget_staged()
        {
            warnings.insert(format!("the changes are published, but they stay staged: {error}"));
        }
        for id in self.retired.take() {
            if let Err(error) = self.remove_retired(&id, draft) {
                warnings.insert(format!("the rotated key {id} could not be removed: {error}"));
            }
        }
    }

    /// Removes a key that was made for this repository and signs nothing in it any
    /// more. Stricter: Notary also removes those that others may need.
    fn remove_retired(&self, id: &KeyId, draft: &Draft) -> Result<()> {
        let is_ours =
            self.client.publishing.keys.find(id)?.is_some_and(|key| key.gun().as_deref() == Some(self.gun()));
        if is_ours && !draft.uses(id) {
            self.client.publishing.keys.remove(id)?;
        }
        Ok(())
    }

    fn forget_staged(&self) -> Result<()> {
        let staged = self.staged.get().map_or(&[][..], Vec::as_slice);
        self.client.store.changelist(self.gun())?.remove(staged.iter().map(|(name, _)| name))
    }

    /// A root that expires soon is signed anew, if that can be done.
    fn renew_root(&self, draft: &mut Draft, warnings: &mut BTreeSet<String>) {
        let soon = self.now.checked_add(RENEW_ROOT).unwrap_or(self.now);
        if draft.is_initial()
            || draft.dirty().any(|role| role == role::ROOT)
            || draft.expires(role::ROOT).is_none_or(|expires| expires >= soon)
        {
            return;
        }
        let Ok(keys) = draft.keys_of(role::ROOT) else { return };
        let usable = canonical_ids(&keys)
            .into_iter()
            .filter(|id| self.keyring.has(id) && (self.dry_run() || self.keyring.signer(id).is_ok()));
        if usable.count() as u64 >= u64::from(keys.threshold) {
            draft.touch(role::ROOT);
        } else {
            warnings.insert("the root expires within half a year, and its keys are not here".into());
        }
    }

    pub(in crate::client) fn sign(&self, draft: &Draft) -> Result<Vec<SignedFile>> {
        self.sign_with(draft, &self.client.publishing.lifetimes.at(self.now), &|_| Vec::new())
    }

    /// All files to upload, with the signatures that others made. The snapshot is
    /// among them if we hold its key, otherwise the server makes it.
    fn sign_with(
        &self,
        draft: &Draft,
        expiry: &dyn Fn(&str) -> SystemTime,
        others: &dyn Fn(&str) -> Vec<Signature>,
    ) -> Result<Vec<SignedFile>> {
        let signer_of = |id: &KeyId, _: &str| self.signer(id);
        let sign_one = |unsigned: &Unsigned| sign(unsigned, &signer_of, &others(&unsigned.role));
        let mut files = draft.unsigned(expiry)?.iter().map(sign_one).collect::<Result<Vec<_>>>()?;
        if self.signs_snapshot(draft)? {
            let snapshot = draft.unsigned_snapshot(&files, expiry(role::SNAPSHOT))?;
            files.push(sign_one(&snapshot)?);
        }
        Ok(files)
    }

    pub(in crate::client) fn signs_snapshot(&self, draft: &Draft) -> Result<bool> {
        Ok(canonical_ids(&draft.keys_of(role::SNAPSHOT)?).iter().any(|id| self.keyring.has(id)))
    }

    fn signer(&self, id: &KeyId) -> Result<Option<Arc<dyn Signer>>> {
        if self.keyring.has(id) { self.keyring.signer(id).map(Some) } else { Ok(None) }
    }

    fn summary(&self, change: &Change) -> ChangeSummary {
        let mut summary = ChangeSummary::from(change);
        if let Change::SetRootRole { role, .. } = change
            && self.dry_run()
        {
            summary.description = format!("give {role} a new key");
        }
        summary
    }

    fn rejected(&self, reason: String) -> Error {
        Error::ServerRejected { url: self.remote.url().to_owned(), reason }
    }

    pub(in crate::client) fn failed(&self, failure: Failure) -> Error {
        let url = self.remote.url().to_owned();
        match failure {
            Failure::NotFound => Error::NoTrustData { gun: self.gun().to_owned(), server: url },
            Failure::Refused { reason, .. } => self.rejected(reason),
            Failure::TooLarge => Error::Unreachable { url, reason: "the answer is too large".into() },
            Failure::Unauthorized(reason) => Error::Unauthorized { url, reason },
            Failure::Unreachable { reason, .. } => Error::Unreachable { url, reason },
        }
    }
}

/// What a publisher must know of files that none of the right people signed.
fn warn_of_unsigned(draft: &Draft, warnings: &mut BTreeSet<String>) {
    for role in draft.adopted() {
        warnings.insert(format!(
            "{role} was not signed by enough of its keys, and is signed now as the server has it; look at what it lists"
        ));
    }
    for role in draft.restarted() {
        warnings.insert(format!(
            "{role} was not signed by enough of its keys and begins anew; what it listed before is no longer signed"
        ));
    }
}

/// Whether somebody else was faster. Servers over PostgreSQL say either.
fn is_conflict(code: &str) -> bool {
    matches!(code, "VERSION" | "UPDATING")
}

/// A random wait that grows with the attempts.
fn pause(attempt: u32) -> Duration {
    let most = MAX_PAUSE.min(Duration::from_millis(25).saturating_mul(attempt));
    let random = RandomState::new().hash_one(attempt) % 1000;
    most.mul_f64(random as f64 / 1000.0)
}
