//! What a client has verified, by repository, as long as memory allows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Instant, SystemTime};

use super::Trusted;
use crate::error::Result;
use crate::trust::TrustedSet;

/// Most bytes of metadata that a client keeps in memory between calls.
const MAX_BYTES: usize = 256 << 20;
/// Most repositories that a client keeps in memory between calls.
const MAX_REPOSITORIES: usize = 4096;

#[derive(Default)]
pub(super) struct Memory {
    slots: RwLock<HashMap<String, Arc<Slot>>>,
}

/// The place of one repository.
#[derive(Default)]
pub(super) struct Slot {
    /// Held by the thread that asks the server.
    pub(super) update: Mutex<()>,
    /// Held by the thread that publishes.
    pub(super) publishing: Mutex<()>,
    known: Mutex<Option<Known>>,
    /// The last outcome that the server did not confirm, and when it was asked.
    unconfirmed: Mutex<Option<(Instant, Result<Trusted>)>>,
}

/// A verified repository, and when the server was asked for what confirmed it last.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) set: Arc<TrustedSet>,
    pub(super) asked: Instant,
    pub(super) valid_until: SystemTime,
}

impl Memory {
    pub(super) fn slot(&self, gun: &str) -> Arc<Slot> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(gun) {
            return Arc::clone(slot);
        }
        drop(slots);
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(gun.to_owned()).or_default())
    }

    /// Keeps a set that the server has just confirmed.
    pub(super) fn remember(&self, slot: &Slot, set: &Arc<TrustedSet>, asked: Instant) {
        let known = Known { set: Arc::clone(set), asked, valid_until: set.valid_until() };
        *slot.unconfirmed() = None;
        let previous = slot.known().replace(known);
        if previous.is_none_or(|previous| !Arc::ptr_eq(&previous.set, set)) {
            self.make_room();
        }
    }

    /// Forgets a repository of which nothing was learned: names are free to make up.
    pub(super) fn forget_if_empty(&self, gun: &str, slot: &Slot) {
        if slot.current().is_none() {
            self.slots.write().unwrap_or_else(PoisonError::into_inner).remove(gun);
        }
    }

    /// Forgets a repository.
    pub(super) fn forget(&self, gun: &str) {
        self.slots.write().unwrap_or_else(PoisonError::into_inner).remove(gun);
    }

    /// Forgets the repositories that were not confirmed for longest.
    fn make_room(&self) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let mut kept: Vec<(Instant, usize, &String)> = slots
            .iter()
            .filter_map(|(gun, slot)| slot.current().map(|known| (known.asked, known.set.bytes(), gun)))
            .collect();
        kept.sort_unstable_by_key(|(asked, ..)| std::cmp::Reverse(*asked));
        let mut bytes = 0_usize;
        let forgotten: Vec<String> = kept
            .into_iter()
            .enumerate()
            .filter_map(|(index, (_, size, gun))| {
                bytes = bytes.saturating_add(size);
                let too_much = index > 0 && (bytes > MAX_BYTES || index >= MAX_REPOSITORIES);
                too_much.then(|| gun.clone())
            })
            .collect();
        for gun in forgotten {
            slots.remove(&gun);
        }
    }
}

impl Slot {
    pub(super) fn current(&self) -> Option<Known> {
        self.known().clone()
    }

    /// Keeps an outcome that the server did not confirm, for those who wait for it.
    pub(super) fn leave(&self, asked: Instant, outcome: Result<Trusted>) {
        *self.unconfirmed() = Some((asked, outcome));
    }

    /// Such an outcome, if the server was asked not before `started`.
    pub(super) fn left_since(&self, started: Instant) -> Option<Result<Trusted>> {
        self.unconfirmed().as_ref().filter(|(asked, _)| *asked >= started).map(|(_, outcome)| outcome.clone())
    }

    fn unconfirmed(&self) -> MutexGuard<'_, Option<(Instant, Result<Trusted>)>> {
        self.unconfirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
