//! What a client has verified, by repository, as long as memory allows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use crate::trust::TrustedSet;

/// Most bytes of metadata that a client keeps in memory between calls.
const MAX_BYTES: usize = 256 << 20;

#[derive(Default)]
pub(super) struct Memory {
    slots: RwLock<HashMap<String, Arc<Slot>>>,
}

/// The place of one repository.
#[derive(Default)]
pub(super) struct Slot {
    /// Held by the thread that asks the server.
    pub(super) update: Mutex<()>,
    known: Mutex<Option<Known>>,
}

/// A verified repository, and when the server last confirmed it.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) set: Arc<TrustedSet>,
    pub(super) server: Arc<str>,
    pub(super) fetched: Instant,
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

    /// Keeps a set that the server has just confirmed, and forgets those not
    /// confirmed for longest if there is too much.
    pub(super) fn remember(&self, slot: &Slot, set: Arc<TrustedSet>, server: &str) {
        *slot.known() = Some(Known { set, server: server.into(), fetched: Instant::now() });
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let mut kept: Vec<(Instant, usize, String)> = slots
            .iter()
            .filter_map(|(gun, slot)| slot.current().map(|known| (known.fetched, known.set.bytes(), gun.clone())))
            .collect();
        kept.sort_by_key(|(fetched, ..)| std::cmp::Reverse(*fetched));
        let mut bytes = 0;
        for (index, (_, size, gun)) in kept.iter().enumerate() {
            bytes += size;
            if index > 0 && bytes > MAX_BYTES {
                slots.remove(gun);
            }
        }
    }
}

impl Slot {
    pub(super) fn current(&self) -> Option<Known> {
        self.known().clone()
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
