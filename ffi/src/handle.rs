//! All objects that C holds.
//!
//! What C gets is not the object's address but that of a byte made for it, and
//! a table says which object it stands for. So what C hands in is only looked up,
//! never read: a freed handle, or anything else that is none, is known as such,
//! and an object that another thread frees stays until the call is over.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

/// Many threads at once: each looks in another part of the table, mostly.
const PARTS: usize = 64;
/// So many freed handles of a part wait until their addresses may be given again:
/// the allocator alone would give a freed image's to the next one.
const WAITING: usize = 64;

/// What can have a handle: any thread may use and free it, at any time.
pub(crate) trait Object: Any + Send + Sync {}

impl<T: Any + Send + Sync> Object for T {}

// A part and its lock have a cache line of their own.
#[repr(align(128))]
struct Part {
    objects: BTreeMap<Key, Arc<dyn Any + Send + Sync>>,
    freed: VecDeque<Box<u8>>,
}

/// The complement of an address: a leak checker takes every word that looks like
/// an address for a pointer, and would not see that C has lost this one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key(usize);

static TABLE: [RwLock<Part>; PARTS] =
    [const { RwLock::new(Part { objects: BTreeMap::new(), freed: VecDeque::new() }) }; PARTS];

fn place<T>(handle: *const T) -> (&'static RwLock<Part>, Key) {
    let address = handle.addr();
    // Allocations begin at multiples of 16.
    (&TABLE[address / 16 % PARTS], Key(!address))
}

/// A handle for an object, until [`remove`].
pub(crate) fn insert<T: Object>(object: T) -> *mut T {
    let object = Arc::new(object);
    let handle = Box::into_raw(Box::new(0_u8)).cast();
    let (part, key) = place(handle);
    part.write().unwrap_or_else(PoisonError::into_inner).objects.insert(key, object);
    handle
}

/// The object of a handle, if there is one of this type.
pub(crate) fn find<T: Object>(handle: *const T) -> Option<Arc<T>> {
    let (part, key) = place(handle);
    let object = part.read().unwrap_or_else(PoisonError::into_inner).objects.get(&key)?.clone();
    object.downcast().ok()
}

/// Takes an object out of the table, if there is one of this type. It ends when
/// the last call that uses it does.
pub(crate) fn remove<T: Object>(handle: *mut T) -> Option<Arc<T>> {
    let (part, key) = place(handle);
    let mut part = part.write().unwrap_or_else(PoisonError::into_inner);
    if !part.objects.get(&key)?.is::<T>() {
        return None;
    }
    let object = part.objects.remove(&key)?;
    // SAFETY: the address was in the table, so `insert` made this byte, and
    // nobody has freed it since.
    part.freed.push_back(unsafe { Box::from_raw(handle.cast()) });
    if part.freed.len() > WAITING {
        part.freed.pop_front();
    }
    object.downcast().ok()
}

#[cfg(test)]
mod tests {
    use std::ptr;
    use std::thread;

    use super::*;

    #[test]
    fn a_handle_finds_its_object_until_it_is_removed() {
        let handle = insert(7_u32);
        assert_eq!(find(handle).as_deref(), Some(&7));
        assert_eq!(remove(handle).as_deref(), Some(&7));
        assert_eq!((find(handle), remove(handle)), (None, None));
    }

    #[test]
    fn what_is_no_handle_of_this_type_finds_and_removes_nothing() {
        let handle = insert(7_u32);
        let on_the_stack = 1_u32;
        let wrong = [
            ptr::null(),
            ptr::without_provenance(1),
            ptr::without_provenance(usize::MAX),
            &raw const on_the_stack,
            handle.wrapping_byte_add(1),
            handle.wrapping_byte_sub(16),
        ];
        for wrong in wrong {
            assert_eq!((find(wrong), remove(wrong.cast_mut())), (None, None));
        }
        assert_eq!((find(handle.cast::<i32>()), remove(handle.cast::<i32>())), (None, None));
        assert_eq!(remove(handle).as_deref(), Some(&7));
    }

    #[test]
    fn an_address_is_not_given_again_at_once() {
        let freed: Vec<*mut u32> = (0..WAITING as u32)
            .map(|number| {
                let handle = insert(number);
                remove(handle);
                handle
            })
            .collect();
        let next = insert(0_u32);
        assert!(!freed.contains(&next) && freed.iter().all(|freed| find(*freed).is_none()));
        remove(next);
    }

    #[test]
    fn an_object_that_is_in_use_outlives_its_handle() {
        let handle = insert(String::from("in use"));
        let in_use = find(handle).unwrap();
        drop(remove(handle));
        assert_eq!((in_use.as_str(), Arc::strong_count(&in_use)), ("in use", 1));
    }

    #[test]
    fn of_many_threads_one_removes() {
        let handle = insert(0_u8).expose_provenance();
        let removed = thread::scope(|scope| {
            let threads = [(); 8]
                .map(|()| scope.spawn(|| remove(ptr::with_exposed_provenance_mut::<u8>(handle)).is_some()));
            threads.map(|thread| thread.join().unwrap())
        });
        assert_eq!(removed.iter().filter(|removed| **removed).count(), 1);
    }
}
