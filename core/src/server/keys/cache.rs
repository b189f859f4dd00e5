//! What was asked for lately.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, PoisonError};

/// Of each generation.
const MOST: usize = 2048;

/// By key ID. Holds at most two generations; what was not asked for during a
/// whole one goes.
pub(super) struct Cache<T>(Mutex<Generations<T>>);

struct Generations<T> {
    young: HashMap<String, T>,
    old: HashMap<String, T>,
}

impl<T: Clone> Cache<T> {
    pub(super) fn get(&self, id: &str) -> Option<T> {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = generations.young.get(id) {
            return Some(found.clone());
        }
        let (id, found) = generations.old.remove_entry(id)?;
        generations.put(id, found.clone());
        Some(found)
    }

    pub(super) fn put(&self, id: &str, value: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(id.to_owned(), value);
    }
}

impl<T> Generations<T> {
    fn put(&mut self, id: String, value: T) {
        if self.young.len() >= MOST {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(id, value);
    }
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(Mutex::new(Generations { young: HashMap::new(), old: HashMap::new() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_bounded() {
        let cache = Cache::default();
        cache.put("kept", 0);
        for number in 1..=10 * MOST {
            cache.put(&number.to_string(), number);
            assert_eq!(cache.get("kept"), Some(0), "{number}");
        }
        assert_eq!(cache.get("1"), None);
        let generations = cache.0.lock().unwrap();
        assert!(generations.young.len() <= MOST && generations.old.len() <= MOST);
    }
}
