//! Publishing: refresh, change, sign, upload; and once more on top of what
//! others published meanwhile.

use std::cell::{OnceCell, RefCell};
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::Client;
use super::edit::{Rotation, Target, invalid};
use super::init::Init;
use super::keyring::Keyring;
use super::publication::{ChangeSummary, Publication};
use super::steps::{Resolver, Step, canonical_ids};
use crate::crypto::{KeyId, PrivateKey, PublicKey, Signer};
use crate::error::{Error, Result};
use crate::metadata::json::{self, Value};
use crate::metadata::{read_key, role};
use crate::reference::Reference;
use crate::remote::{Failure, Remote};
use crate::signing::{Change, Draft, Proposal, SignedFile, Unsigned, sign};
use crate::trust::Expiry;

/// How often an upload is made anew because others were faster.
const MAX_ATTEMPTS: u32 = 64;
/// Longest wait before the next attempt. It is random, so that those who
/// collided do not collide again.
const MAX_PAUSE: Duration = Duration::from_millis(400);
/// A root that expires within half a year is signed anew with any other change, as in Notary.
const RENEW_ROOT: Duration = Duration::from_secs(182 * 86_400);
/// Most versions of one role that are looked for on the server.
const MAX_VERSION_PROBES: u32 = 64;

/// One operation on one repository.
pub(super) struct Publisher<'a> {
    pub(super) client: &'a Client,
    pub(super) reference: &'a Reference,
    pub(super) remote: Arc<Remote>,
    keyring: Keyring<'a>,
    now: SystemTime,
    mode: Mode,
    staged: OnceCell<Vec<(OsString, Change)>>,
    /// The keys of rotations, the same for every attempt.
    rotations: RefCell<BTreeMap<String, Vec<PublicKey>>>,
    /// Keys that nothing refers to after a rotation.
    retired: RefCell<Vec<KeyId>>,
}

/// What may be done, and on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
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

/// What is published, and how to tell whether it moved.
pub(super) struct Base {
    pub(super) draft: Draft,
    /// Versions of root and timestamp; `None` if nothing is published.
    pub(super) stamp: Option<(i64, i64)>,
}

/// How an attempt ended.
enum Attempt {
    Done(Publication),
    /// The server refused; whether that was for a conflict, and what it said.
    Refused {
        conflict: bool,
        error: Error,
    },
}

impl<'a> Publisher<'a> {
    pub(super) fn new(client: &'a Client, reference: &'a Reference, mode: Mode) -> Result<Self> {
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

    pub(super) fn keyring(&self) -> &Keyring<'a> {
        &self.keyring
    }

    pub(super) fn now(&self) -> SystemTime {
        self.now
    }

    pub(super) fn dry_run(&self) -> bool {
        matches!(self.mode, Mode::DryRun | Mode::RecoverDryRun)
    }

    pub(super) fn gun(&self) -> &str {
        self.reference.gun()
    }

    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.client.timeout
    }

    pub(super) fn publish(&self, steps: &[Step]) -> Result<Publication> {
        let steps = &self.looked_up(steps)?;
        let slot = self.client.memory.slot(self.gun());
        // Threads of one client take turns; only others can come between.
        let _turn = slot.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen: BTreeMap<(String, String), Option<Vec<u8>>> = BTreeMap::new();
        let mut refused: Option<(Option<(i64, i64)>, bool, Error)> = None;
        for attempt in 1..=MAX_ATTEMPTS {
            let base = self.base(steps)?;
            if let Some((stamp, conflict, error)) = refused.take()
                && stamp == base.stamp
                && !conflict
            {
                // Nobody has published since: it is what we sent that the server does not take.
                return Err(error);
            }
            let stamp = base.stamp;
            match self.attempt(base, steps, attempt, &mut seen)? {
                Attempt::Done(publication) => return Ok(publication),
                Attempt::Refused { conflict, error } => {
                    log::debug!("attempt {attempt}: {error}");
                    refused = Some((stamp, conflict, error));
                }
            }
            thread::sleep(pause(attempt));
        }
        let last = refused.map_or_else(String::new, |(_, _, error)| format!(" ({error})"));
        let reason = format!("{MAX_ATTEMPTS} attempts met other publishers each time{last}; run it again");
        Err(Error::Conflict { gun: self.gun().to_owned(), reason })
    }

    fn attempt(
        &self,
        base: Base,
        steps: &[Step],
        attempt: u32,
        seen: &mut BTreeMap<(String, String), Option<Vec<u8>>>,
    ) -> Result<Attempt> {
        let mut draft = base.draft.clone();
        let mut resolver = Resolver { publisher: self, warnings: BTreeSet::new(), bump: false };
        for step in steps {
            resolver.apply(step, &mut draft)?;
        }
        self.check_contradictions(&base.draft, &draft, seen)?;
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
            self.renew_root(&mut draft, &mut resolver.warnings);
            self.continue_versions(&mut draft)?;
        }
        if self.dry_run() {
            if !is_idle {
                publication.files = self.plan(&draft, &mut resolver.warnings)?;
            }
            publication.warnings = resolver.warnings.into_iter().collect();
            return Ok(Attempt::Done(publication));
        }
        if !is_idle {
            publication.files = self.sign(&draft, &|_| Vec::new())?;
            let files: Vec<(&str, &[u8])> =
                publication.files.iter().map(|file| (file.role.as_str(), file.file.as_ref())).collect();
            if let Err(failure) = self.remote.upload(self.gun(), &files, self.deadline()) {
                return self.refused(failure);
            }
            publication.published = true;
        }
        self.finish(steps, &mut resolver.warnings);
        publication.warnings = resolver.warnings.into_iter().collect();
        Ok(Attempt::Done(publication))
    }

    fn refused(&self, failure: Failure) -> Result<Attempt> {
        match failure {
            Failure::Refused { code, reason } => {
                let conflict = is_conflict(&code);
                Ok(Attempt::Refused { conflict, error: self.rejected(reason) })
            }
            failure => Err(self.failed(failure)),
        }
    }

    /// What others changed since the first attempt must not be what we change.
    fn check_contradictions(
        &self,
        base: &Draft,
        draft: &Draft,
        seen: &mut BTreeMap<(String, String), Option<Vec<u8>>>,
    ) -> Result<()> {
        for change in draft.changes() {
            let (role, name) = match change {
                Change::SetTarget { role, name, .. } | Change::RemoveTarget { role, name } => (role, name),
                _ => continue,
            };
            let now = base.file(role).and_then(|file| file.get(name));
            let before = seen.entry((role.clone(), name.clone())).or_insert_with(|| now.clone());
            if *before != now {
                let reason =
                    format!("{name} in {role} was signed or removed meanwhile; look at it, and run it again");
                return Err(Error::Conflict { gun: self.gun().to_owned(), reason });
            }
        }
        Ok(())
    }

    /// What happens after a successful upload. Nothing here can undo it.
    fn finish(&self, steps: &[Step], warnings: &mut BTreeSet<String>) {
        if steps.iter().any(|step| matches!(step, Step::Staged))
            && let Err(error) = self.forget_staged()
        {
            warnings.insert(format!("the changes are published, but they stay staged: {error}"));
        }
        for id in self.retired.take() {
            if let Err(error) = self.client.keys.remove(&id) {
                warnings.insert(format!("the rotated key {id} could not be removed: {error}"));
            }
        }
    }

    fn forget_staged(&self) -> Result<()> {
        let staged = self.staged.get().map_or(&[][..], Vec::as_slice);
        self.client.store.changelist(self.gun())?.remove(staged.iter().map(|(name, _)| name))
    }

    /// Stages what steps mean now.
    pub(super) fn stage(&self, steps: &[Step]) -> Result<Publication> {
        let steps = &self.looked_up(steps)?;
        let mut draft = self.base(steps)?.draft;
        let mut resolver = Resolver { publisher: self, warnings: BTreeSet::new(), bump: false };
        for step in steps {
            if let Step::Rotate { role, .. } = step {
                return Err(invalid(
                    format!("rotation of {role}"),
                    "it cannot be staged; publish it at once",
                ));
            }
            resolver.apply(step, &mut draft)?;
        }
        let files = draft.changes().iter().map(Change::to_file).collect::<Result<Vec<_>>>()?;
        if !files.is_empty() {
            self.client.store.changelist(self.gun())?.append(&files, self.now)?;
        }
        Ok(Publication {
            repository: self.gun().to_owned(),
            changes: draft.changes().iter().map(ChangeSummary::from).collect(),
            files: Vec::new(),
            warnings: resolver.warnings.into_iter().collect(),
            published: false,
            attempts: 1,
        })
    }

    /// The staged changes and the names of their files.
    pub(super) fn staged(&self) -> Result<&[(OsString, Change)]> {
        if let Some(staged) = self.staged.get() {
            return Ok(staged);
        }
        let staged = self.client.read_staged(self.gun())?;
        Ok(self.staged.get_or_init(|| staged))
    }

    /// Signs what steps mean with the keys at hand.
    pub(super) fn propose(&self, steps: &[Step]) -> Result<Proposal> {
        let steps = &self.looked_up(steps)?;
        let mut draft = self.base(steps)?.draft;
        if draft.is_initial() {
            return Err(invalid(self.gun(), "nothing of it is published yet; initialise it first"));
        }
        let mut resolver = Resolver { publisher: self, warnings: BTreeSet::new(), bump: false };
        for step in steps {
            resolver.apply(step, &mut draft)?;
        }
        Proposal::new(&draft, &self.client.lifetimes.at(self.now), &|id, _| self.signer(id))
    }

    /// Adds our signatures to a proposal for what is published.
    pub(super) fn cosign(&self, proposal: Proposal) -> Result<Proposal> {
        let draft = proposal.apply_to(self.base(&[])?.draft)?;
        proposal.sign(&draft, &|id, _| self.signer(id))
    }

    /// Publishes a proposal with the signatures it has and those of our keys.
    pub(super) fn publish_proposal(&self, proposal: &Proposal) -> Result<Publication> {
        let mut draft = proposal.apply_to(self.base(&[])?.draft)?;
        let mut warnings = BTreeSet::new();
        self.continue_versions(&mut draft)?;
        let files = self.sign_with(
            &draft,
            &|role| proposal.expiry(role).unwrap_or_else(|| self.client.lifetimes.at(self.now)(role)),
            &|role| proposal.signatures(role).to_vec(),
        )?;
        let parts: Vec<(&str, &[u8])> =
            files.iter().map(|file| (file.role.as_str(), file.file.as_ref())).collect();
        match self.remote.upload(self.gun(), &parts, self.deadline()) {
            Ok(()) => {}
            Err(Failure::Refused { code, reason }) if is_conflict(&code) => {
                let reason =
                    format!("somebody else published at the same time ({reason}); make the proposal anew");
                return Err(Error::Conflict { gun: self.gun().to_owned(), reason });
            }
            Err(failure) => return Err(self.failed(failure)),
        }
        self.finish(&[], &mut warnings);
        Ok(Publication {
            repository: self.gun().to_owned(),
            changes: draft.changes().iter().map(ChangeSummary::from).collect(),
            files,
            warnings: warnings.into_iter().collect(),
            published: true,
            attempts: 1,
        })
    }

    /// Asks the registry what tags are where the caller did not say.
    fn looked_up(&self, steps: &[Step]) -> Result<Vec<Step>> {
        steps.iter().map(|step| self.look_up(step)).collect()
    }

    fn look_up(&self, step: &Step) -> Result<Step> {
        let Step::Sign { tag, target, pinned, roles } = step else { return Ok(step.clone()) };
        let found = match target {
            Some(target) => target.clone(),
            None => self.ask_registry(tag)?,
        };
        if let Some(pinned) = pinned
            && *pinned != found.digest
        {
            let reason = format!("{tag} is {} now, not {pinned}; nothing was signed", found.digest);
            return Err(Error::Conflict { gun: self.gun().to_owned(), reason });
        }
        Ok(Step::Sign { tag: tag.clone(), target: Some(found), pinned: None, roles: roles.clone() })
    }

    fn ask_registry(&self, tag: &str) -> Result<Target> {
        let registry = self.client.remotes.registry_for(self.reference.registry())?;
        let path = self.gun().strip_prefix(self.reference.registry()).unwrap_or_default();
        let manifest = registry.manifest(path.trim_start_matches('/'), tag, self.deadline());
        let manifest = manifest.map_err(|failure| {
            let url = registry.url().to_owned();
            match failure {
                Failure::NotFound => invalid(
                    format!("tag {tag:?}"),
                    format!("the registry {url} does not have {}:{tag}; push it first", self.gun()),
                ),
                Failure::TooLarge => {
                    invalid(format!("tag {tag:?}"), "its manifest is larger than registries allow")
                }
                Failure::Refused { reason, .. } => Error::ServerRejected { url, reason },
                Failure::Unauthorized(reason) => Error::Unauthorized { url, reason },
                // It answered, and with no image that could be signed.
                Failure::Unreachable { reason, status: Some(200), .. } => {
                    invalid(format!("tag {tag:?}"), reason)
                }
                Failure::Unreachable { reason, .. } => Error::Unreachable { url, reason },
            }
        })?;
        Ok(Target::new(manifest.digest, manifest.size))
    }

    /// What is published, or else a new repository where the steps make one.
    pub(super) fn base(&self, steps: &[Step]) -> Result<Base> {
        let init = steps.iter().find_map(|step| match step {
            Step::Init(init) => Some(init),
            _ => None,
        });
        match self.published() {
            Ok(_) if init.is_some() => Err(invalid(self.gun(), "it is initialised already")),
            Ok(base) => Ok(base),
            Err(error @ Error::NoTrustData { .. }) => {
                if let Some(draft) = self.unpublished()? {
                    return Ok(Base { draft, stamp: None });
                }
                if !steps.iter().any(Step::creates) {
                    return Err(error);
                }
                let draft = self.create(init.unwrap_or(&Init::default()))?;
                Ok(Base { draft, stamp: None })
            }
            Err(error) => Err(error),
        }
    }

    /// What is published.
    pub(super) fn published(&self) -> Result<Base> {
        let expiry = match self.mode {
            Mode::Recover | Mode::RecoverDryRun => Expiry::Ignored,
            _ => Expiry::Enforced,
        };
        let updated = self.client.current(self.reference, self.mode != Mode::Stage, expiry);
        let set = match updated {
            Err(error) if expiry == Expiry::Ignored && !matches!(error, Error::NoTrustData { .. }) => {
                return self.salvage(error);
            }
            result => result?,
        };
        let stamp = Some((set.root().version(), set.timestamp_version()));
        Ok(Base { stamp, draft: Draft::of(&set)? })
    }

    /// The keys that a role gets in this operation.
    pub(super) fn rotated(&self, name: &str, rotation: &Rotation) -> Result<Vec<PublicKey>> {
        if let Some(keys) = self.rotations.borrow().get(name) {
            return Ok(keys.clone());
        }
        let keys = self.make_rotated(name, rotation)?;
        self.rotations.borrow_mut().insert(name.to_owned(), keys.clone());
        Ok(keys)
    }

    fn make_rotated(&self, name: &str, rotation: &Rotation) -> Result<Vec<PublicKey>> {
        let refused = |reason: &str| Err(invalid(format!("rotation of {name}"), reason));
        match (name, rotation) {
            (role::TIMESTAMP, Rotation::Generate | Rotation::Keys(_)) => {
                return refused("the server manages the timestamp key; rotate it there (server-managed)");
            }
            (role::ROOT | role::TARGETS, Rotation::ServerManaged) => {
                return refused("the server cannot manage this key");
            }
            (role::ROOT | role::TARGETS | role::SNAPSHOT | role::TIMESTAMP, _) => {}
            _ => {
                return refused(
                    "only root, targets, snapshot and timestamp are rotated; change a delegation's keys instead",
                );
            }
        }
        let gun = (name != role::ROOT).then_some(self.gun());
        let signers: Vec<Arc<dyn Signer>> = match rotation {
            Rotation::ServerManaged if self.dry_run() => vec![Arc::new(PrivateKey::generate_p256()?)],
            Rotation::ServerManaged => return Ok(vec![self.server_key(name, true)?]),
            Rotation::Generate if self.dry_run() => vec![Arc::new(PrivateKey::generate_p256()?)],
            Rotation::Generate => vec![self.keyring.create(name, gun)?],
            Rotation::Keys(ids) => ids.iter().map(|id| self.keyring.signer(id)).collect::<Result<_>>()?,
        };
        signers.iter().map(|signer| self.public_key_for(name, signer.as_ref())).collect()
    }

    /// The key as metadata lists it: for the root in a certificate.
    pub(super) fn public_key_for(&self, name: &str, signer: &dyn Signer) -> Result<PublicKey> {
        if name != role::ROOT {
            return Ok(signer.public_key().clone());
        }
        let valid = Duration::from_secs(3650 * 86_400).max(self.client.lifetimes.of(role::ROOT));
        crate::crypto::issue_root_certificate(self.gun(), signer, self.now, valid)
    }

    /// The public key with which the server signs a role.
    pub(super) fn server_key(&self, name: &str, rotate: bool) -> Result<PublicKey> {
        let answer = self.remote.server_key(self.gun(), name, rotate, self.deadline());
        let answer = answer.map_err(|failure| self.failed(failure))?;
        let read = || read_key(&Value::read(&json::canonical_form(&answer)?)?);
        read().map_err(|malformed| Error::Unreachable {
            url: self.remote.url().to_owned(),
            reason: format!("the server's {name} key cannot be read: {malformed}"),
        })
    }

    /// A root that expires soon is signed anew, if that can be done.
    fn renew_root(&self, draft: &mut Draft, warnings: &mut BTreeSet<String>) {
        let soon = self.now.checked_add(RENEW_ROOT).unwrap_or(self.now);
        if draft.is_initial()
            || draft.dirty().any(|role| role == role::ROOT)
            || !draft.expires(role::ROOT).is_some_and(|expires| expires < soon)
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

    /// A new file of a role that existed before goes on where that ended: the
    /// server, and whoever has its old files, take no lower version.
    fn continue_versions(&self, draft: &mut Draft) -> Result<()> {
        if draft.is_initial() {
            return Ok(());
        }
        let new: Vec<String> =
            draft.dirty().filter(|name| draft.published(name).is_none()).map(str::to_owned).collect();
        for name in new {
            let mut last = 0;
            for version in 1..=i64::from(MAX_VERSION_PROBES) {
                let file = format!("{version}.{name}.json");
                match self.remote.get(self.gun(), &file, crate::trust::MAX_FILE_BYTES, self.deadline()) {
                    Ok(_) | Err(Failure::TooLarge) => last = version,
                    Err(Failure::NotFound | Failure::Refused { .. }) => break,
                    Err(failure) => return Err(self.failed(failure)),
                }
            }
            draft.continue_after(&name, last);
        }
        Ok(())
    }

    pub(super) fn sign(
        &self,
        draft: &Draft,
        others: &dyn Fn(&str) -> Vec<crate::metadata::Signature>,
    ) -> Result<Vec<SignedFile>> {
        self.sign_with(draft, &self.client.lifetimes.at(self.now), others)
    }

    /// All files to upload. The snapshot is among them if we hold its key,
    /// otherwise the server makes it.
    fn sign_with(
        &self,
        draft: &Draft,
        expiry: &dyn Fn(&str) -> SystemTime,
        others: &dyn Fn(&str) -> Vec<crate::metadata::Signature>,
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

    pub(super) fn signs_snapshot(&self, draft: &Draft) -> Result<bool> {
        Ok(canonical_ids(&draft.keys_of(role::SNAPSHOT)?).iter().any(|id| self.keyring.has(id)))
    }

    fn signer(&self, id: &KeyId) -> Result<Option<Arc<dyn Signer>>> {
        if self.keyring.has(id) { self.keyring.signer(id).map(Some) } else { Ok(None) }
    }

    /// The files that would be signed, and who could sign them.
    fn plan(&self, draft: &Draft, warnings: &mut BTreeSet<String>) -> Result<Vec<SignedFile>> {
        let expiry = self.client.lifetimes.at(self.now);
        let mut planned = Vec::new();
        for unsigned in draft.unsigned(&expiry)? {
            let made = self.rotations.borrow();
            let is_ours = |id: &KeyId| {
                self.keyring.has(id)
                    || made.values().flatten().any(|key| key.canonical_id().as_ref() == Some(id))
            };
            let mut key_ids = Vec::new();
            for keys in &unsigned.keys {
                let ours: Vec<KeyId> = canonical_ids(keys).into_iter().filter(|id| is_ours(id)).collect();
                if (ours.len() as u64) < u64::from(keys.threshold) && !draft.is_initial() {
                    warnings.insert(format!(
                        "{} needs {} signatures, and {} of its keys are here",
                        unsigned.role,
                        keys.threshold,
                        ours.len()
                    ));
                }
                key_ids.extend(ours.iter().map(ToString::to_string));
            }
            key_ids.sort();
            key_ids.dedup();
            planned.push(SignedFile::planned(&unsigned, key_ids));
        }
        if self.signs_snapshot(draft)? {
            let snapshot = draft.unsigned_snapshot(&[], expiry(role::SNAPSHOT))?;
            let ids = canonical_ids(&draft.keys_of(role::SNAPSHOT)?);
            planned.push(SignedFile::planned(&snapshot, ids.iter().map(ToString::to_string).collect()));
        }
        Ok(planned)
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

    /// Has the keys that a rotation replaces removed once it is published.
    pub(super) fn retire(&self, ids: Vec<KeyId>) {
        *self.retired.borrow_mut() = ids;
    }

    fn rejected(&self, reason: String) -> Error {
        Error::ServerRejected { url: self.remote.url().to_owned(), reason }
    }

    pub(super) fn failed(&self, failure: Failure) -> Error {
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
