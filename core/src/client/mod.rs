//! The operations people call: verify a tag, many tags, look at a repository,
//! keep keys.

mod cache;
mod config;
mod inspect;
mod memory;
mod pass;
#[cfg(feature = "signing")]
mod publishing;
mod update;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

pub use config::ClientBuilder;
#[cfg(feature = "server")]
pub(crate) use inspect::signed_tags;
pub use inspect::{
    InspectedKey, InspectedRole, Inspection, SignedTag, Signer, SignerKey, inspections_to_json,
};
#[cfg(feature = "signing")]
pub use publishing::{
    ChangeSummary, Delegation, Edit, GeneratedKey, Init, KeyInfo, KeyKind, KeySelection, PassphraseRequest,
    PassphraseSource, Publication, RoleExpiry, Rotation, Target,
};

use crate::error::Result;
use crate::reference::Reference;
use crate::remote::Remotes;
use crate::store::Store;
use crate::trust::{Expiry, Pinning, Policy, TrustedSet, VerifiedImage};
use memory::{Memory, Slot};
use update::Updated;

/// Verifies image tags in the caller's process.
///
/// Cheap to share between threads, and meant to be: it keeps connections and
/// what it has verified. Cached metadata stands in Docker's trust directory,
/// together with Docker's own.
pub struct Client {
    store: Store,
    #[cfg(feature = "signing")]
    publishing: publishing::Publishing,
    remotes: Remotes,
    pinning: Pinning,
    policy: Policy,
    clock: config::Clock,
    timeout: Duration,
    offline_max_age: Duration,
    require_fresh: bool,
    parallelism: usize,
    memory: Memory,
}

/// What is trusted of a repository at one moment.
#[derive(Clone)]
pub(crate) struct Trusted {
    set: Arc<TrustedSet>,
    /// [`TrustedSet::valid_until`].
    expires: SystemTime,
    /// False if the server could not be asked.
    fresh: bool,
}

impl Client {
    /// Settings to change before a client is made; all have Docker's defaults.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// The digest that the publisher signed for a reference.
    ///
    /// `registry/repository:tag` as Docker reads it, so `alpine` is
    /// `docker.io/library/alpine:latest`. With a digest as well, both must
    /// match; with a digest alone, some tag that counts must have it.
    ///
    /// # Errors
    /// Whatever the error, do not use the image. [`Error::is_refusal`](crate::Error::is_refusal)
    /// tells a "no" from "could not be decided".
    pub fn verify(&self, reference: &str) -> Result<VerifiedImage> {
        let started = Instant::now();
        let (reference, slot) = self.parsed(reference)?;
        self.verify_since(&reference, &slot, started)
    }

    /// [`Client::verify`] for many references, several at a time, each
    /// repository asked for once. The results stand in the order of the references.
    pub fn verify_many<R: AsRef<str> + Sync>(&self, references: &[R]) -> Vec<Result<VerifiedImage>> {
        let started = Instant::now();
        let parsed: Vec<_> = references.iter().map(|reference| self.parsed(reference.as_ref())).collect();
        self.in_parallel(&parsed, |parsed| {
            let (reference, slot) = parsed.as_ref().map_err(Clone::clone)?;
            self.verify_since(reference, slot, started)
        })
    }

    /// What `docker trust inspect` shows of a repository (`registry/repository`)
    /// or of one tag in it.
    ///
    /// # Errors
    /// As [`Client::verify`]; a tag that is not signed is no error here.
    pub fn inspect(&self, reference: &str) -> Result<Inspection> {
        let parsed = Reference::parse_repository(reference)?;
        let trusted = self.trusted(&parsed, &self.memory.slot(parsed.gun()), Instant::now())?;
        Ok(Inspection::of(reference, &parsed, &trusted.set))
    }

    fn parsed(&self, reference: &str) -> Result<(Reference, Arc<Slot>)> {
        let reference = Reference::parse(reference)?;
        let slot = self.memory.slot(reference.gun());
        Ok((reference, slot))
    }

    fn verify_since(&self, reference: &Reference, slot: &Slot, started: Instant) -> Result<VerifiedImage> {
        let Trusted { set, expires, fresh } = self.trusted(reference, slot, started)?;
        VerifiedImage::decide(reference, &set, &self.policy, expires, fresh)
    }

    fn in_parallel<I: Sync, T: Send>(&self, items: &[I], work: impl Fn(&I) -> T + Sync) -> Vec<T> {
        let next = AtomicUsize::new(0);
        let worker = || {
            let mut done = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(index) else { return done };
                done.push((index, work(item)));
            }
        };
        let helpers = self.parallelism.min(items.len()).saturating_sub(1);
        let mut results = std::thread::scope(|scope| {
            // If the system has no more threads, fewer do the work.
            let spawn = |_| std::thread::Builder::new().spawn_scoped(scope, worker).ok();
            let threads: Vec<_> = (0..helpers).map_while(spawn).collect();
            let mut results = worker();
            for thread in threads {
                match thread.join() {
                    Ok(done) => results.extend(done),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            results
        });
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// The trusted metadata of a reference's repository, confirmed by the server
    /// not before `started` unless the offline age allows it.
    fn trusted(&self, reference: &Reference, slot: &Slot, started: Instant) -> Result<Trusted> {
        let deadline = Instant::now() + self.timeout;
        let recent = |oldest: Instant| remembered(slot, oldest, (self.clock)());
        if let Some(trusted) = started.checked_sub(self.offline_max_age).and_then(recent) {
            return Ok(trusted);
        }
        // One thread asks the server; those that began to wait before it did so
        // take its answer.
        let _turn = slot.update.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trusted) = recent(started) {
            return Ok(trusted);
        }
        let holds =
            |left: &Result<Trusted>| left.as_ref().map_or(true, |trusted| (self.clock)() <= trusted.expires);
        if let Some(outcome) = slot.left_since(started).filter(holds) {
            return outcome;
        }
        let asked = Instant::now();
        // Not before the wait: what expired meanwhile is expired.
        let now = (self.clock)();
        let known = slot.current().map(|known| known.set);
        let updated = self.update(reference, now, deadline, self.require_fresh, Expiry::Enforced, known);
        let outcome =
            updated.map(|Updated { set, fresh }| Trusted { expires: set.valid_until(), set, fresh });
        match &outcome {
            Ok(Trusted { set, fresh: true, .. }) => self.memory.remember(slot, set, asked),
            _ => {
                slot.leave(asked, outcome.clone());
                self.memory.forget_if_empty(reference.gun(), slot);
            }
        }
        outcome
    }

    fn update(
        &self,
        reference: &Reference,
        now: SystemTime,
        deadline: Instant,
        require_fresh: bool,
        expiry: Expiry,
        known: Option<Arc<TrustedSet>>,
    ) -> Result<Updated> {
        #[cfg(feature = "test-panics")]
        crate::trust::test_panic(reference.gun());
        let remote = self.remotes.server_for(reference.registry())?;
        let update = update::Update {
            gun: reference.gun(),
            store: &self.store,
            remote: &remote,
            pins: &self.pinning,
            now,
            deadline,
            require_fresh,
            expiry,
        };
        update.run(known.as_ref())
    }
}

fn remembered(slot: &Slot, oldest: Instant, now: SystemTime) -> Option<Trusted> {
    let known = slot.current()?;
    let usable = known.asked >= oldest && now <= known.valid_until;
    usable.then_some(Trusted { set: known.set, expires: known.valid_until, fresh: true })
}
