//! Verification in memory, of files that the caller fetched.

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use tagtrust_core::Policy;

use crate::boundary::{
    ByteArray, ByteArrays, LengthArray, Output, Text, attempt, create, free, given, lock, not_in_callback,
    read, text,
};
use crate::callback::Clock;
use crate::config::Config;
use crate::error::Error;
use crate::image::Image;
use crate::status::Status;

/// The trust data of one repository, from files that the caller hands over:
/// verification without a trust directory and without a request. Freed with
/// `tagtrust_trusted_set_free`.
///
/// What was seen before is the caller's to know: of that, only known roots count
/// here. An older timestamp that has not expired is accepted, and with it
/// everything that was current then.
pub struct TrustedSet {
    policy: Policy,
    clock: Option<Arc<Clock>>,
    core: RwLock<tagtrust_core::TrustedSet>,
    /// The roles that came next so far, the current one last: each name was
    /// handed out for as long as the object lives. Apart from the rest, because
    /// what is logged while a file is added can lead here.
    next: Mutex<Vec<Option<CString>>>,
}

impl TrustedSet {
    fn read(&self) -> RwLockReadGuard<'_, tagtrust_core::TrustedSet> {
        self.core.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, tagtrust_core::TrustedSet> {
        self.core.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn proceed(&self, core: &mut tagtrust_core::TrustedSet) {
        core.skip_unlisted();
        lock(&self.next).push(core.next_role().map(text));
    }

    fn now(&self) -> SystemTime {
        time(self.clock.as_deref())
    }
}

fn time(clock: Option<&Clock>) -> SystemTime {
    clock.map_or_else(SystemTime::now, Clock::time)
}

/// Starts from the file of a root.
///
/// Of the configuration, which may be NULL, the pins, the policy and the clock
/// count. `known_roots` begins with the root that was trusted before. If its keys
/// did not sign `root` too (TAGTRUST_ROOT_NOT_TRUSTED), all versions between the
/// two follow, oldest first: each must be signed by its own keys and those of the
/// one before, and all but `root` may have expired. None may be NULL. With a count
/// of zero, where both arrays may be NULL, the pins alone decide.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_trusted_set_new(
    config: *const Config,
    repository: Text<'_>,
    known_roots: ByteArrays<'_>,
    known_root_lengths: LengthArray<'_>,
    known_root_count: usize,
    root: ByteArray<'_>,
    root_length: usize,
    set: Option<&mut MaybeUninit<*mut TrustedSet>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(set, error, || {
        not_in_callback()?;
        let terms =
            if config.is_null() { Config::default().terms()? } else { given(config, "config")?.terms()? };
        let repository = repository.read("repository")?;
        let lengths = known_root_lengths.read(known_root_count, "known_root_lengths")?;
        let known_roots = known_roots.read(lengths, "known_roots")?;
        let known_roots: Vec<_> = known_roots.into_iter().map(|file| file.to_vec().into()).collect();
        let root = root.read(root_length, "root")?;
        let core = tagtrust_core::TrustedSet::open(
            repository,
            &known_roots,
            root.to_vec(),
            &terms.pinning,
            time(terms.clock.as_deref()),
        )?;
        let next = vec![core.next_role().map(text)];
        let (core, next) = (RwLock::new(core), Mutex::new(next));
        Ok(TrustedSet { policy: terms.policy, clock: terms.clock, core, next })
    })
}

type Add = fn(&mut tagtrust_core::TrustedSet, Vec<u8>, SystemTime) -> tagtrust_core::Result<()>;

fn add(
    set: *mut TrustedSet,
    file: ByteArray<'_>,
    length: usize,
    error: Output<'_, Error>,
    add: Add,
) -> Status {
    attempt(error, || {
        not_in_callback()?;
        let set = given(set, "set")?;
        let file = file.read(length, "file")?.to_vec();
        let now = set.now();
        let mut core = set.write();
        add(&mut core, file, now)?;
        set.proceed(&mut core);
        Ok(())
    })
}

/// Adds the timestamp, which comes first. If it is refused the set stays as it was.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_trusted_set_add_timestamp(
    set: *mut TrustedSet,
    file: ByteArray<'_>,
    length: usize,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    add(set, file, length, error, |set, file, now| set.add_timestamp(file, None, now))
}

/// Adds the snapshot, which comes second, as `tagtrust_trusted_set_add_timestamp`.
/// A snapshot that names another root is refused: start anew with that root.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_trusted_set_add_snapshot(
    set: *mut TrustedSet,
    file: ByteArray<'_>,
    length: usize,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    add(set, file, length, error, |set, file, now| set.add_snapshot(file, None, now))
}

/// The role whose file comes next: "timestamp", "snapshot", "targets", then
/// delegations such as "targets/releases". NULL if the files are all there.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_trusted_set_next_role(set: *const TrustedSet) -> *const c_char {
    read(set, ptr::null(), |set| {
        let next = lock(&set.next);
        next.last().and_then(Option::as_ref).map_or(ptr::null(), |name| name.as_ptr())
    })
}

/// Adds the file of the role that `tagtrust_trusted_set_next_role` names. If it
/// is refused the set stays as it was. A delegation that expired or is short of
/// signatures is no error: it does not count.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_trusted_set_add_role(
    set: *mut TrustedSet,
    file: ByteArray<'_>,
    length: usize,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    add(set, file, length, error, |set, file, now| set.add_role(file, None, now))
}

/// The digest that the publisher signed for a tag, or for a whole reference to
/// an image in this repository, as `tagtrust_client_verify` reads it. What has
/// none of "/", ":" and "@" is a tag.
///
/// All files must be there, and none may have expired since it was added. The
/// image is not fresh: nobody was asked.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_trusted_set_verify(
    set: *const TrustedSet,
    reference_or_tag: Text<'_>,
    image: Option<&mut MaybeUninit<*mut Image>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(image, error, || {
        not_in_callback()?;
        let set = given(set, "set")?;
        let reference = reference_or_tag.read("reference_or_tag")?;
        let now = set.now();
        Image::new(set.read().verify(reference, &set.policy, now)?)
    })
}

/// Frees a trusted set. Its images stay.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_trusted_set_free(set: *mut TrustedSet) {
    free(set);
}
