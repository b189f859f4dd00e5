//! Where C meets Rust: arguments in, results out, and no panic across.

#[cfg(panic = "abort")]
compile_error!("a panic must come back as TAGTRUST_INTERNAL, and with panic = \"abort\" it cannot");

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::handle::{self, Object};
use crate::status::Status;

/// A place of the caller's for the handle of an object that it then owns. What
/// stood there before is overwritten and not looked at: it may never have been
/// initialised.
pub(crate) type Output<'a, T> = Option<&'a mut MaybeUninit<*mut T>>;

/// Runs the body of an exported function. A panic ends here.
pub(crate) fn guard<T>(body: impl FnOnce() -> T) -> Result<T> {
    // What a body may leave half done is safe to use: settings are assigned
    // whole, and core's locks do not care who panicked.
    tagtrust_core::Error::catch_panic(body).map_err(Error::from)
}

/// Runs a body that can fail, and hands out its error.
pub(crate) fn attempt(error: Output<'_, Error>, body: impl FnOnce() -> Result<()>) -> Status {
    let failure = guard(body).flatten().err();
    let status = failure.as_ref().map_or(Status::OK, Error::status);
    if let Some(error) = error {
        error.write(failure.map_or(ptr::null_mut(), handle::insert));
    }
    status
}

/// Runs a body that makes an object, and hands out the object or the error.
pub(crate) fn create<T: Object>(
    output: Output<'_, T>,
    error: Output<'_, Error>,
    body: impl FnOnce() -> Result<T>,
) -> Status {
    let mut made = ptr::null_mut();
    let has_output = output.is_some();
    let status = attempt(error, || {
        if !has_output {
            return Err(Error::argument("the output is NULL"));
        }
        made = handle::insert(body()?);
        Ok(())
    });
    if let Some(output) = output {
        output.write(made);
    }
    status
}

/// Runs a body that makes an object or an error for each of `count` places.
/// The status is that of the first error.
///
/// # Safety
/// Each array is NULL or has `count` places, and nobody else uses it meanwhile.
pub(crate) unsafe fn create_all<T: Object>(
    count: usize,
    outputs: *mut *mut T,
    errors: *mut *mut Error,
    body: impl FnOnce() -> Result<Vec<Result<T>>>,
) -> Status {
    // SAFETY: as the caller promises.
    let (outputs, errors) = unsafe { (places(outputs, count), places(errors, count)) };
    let run = || {
        outputs.fill_with(|| MaybeUninit::new(ptr::null_mut()));
        errors.fill_with(|| MaybeUninit::new(ptr::null_mut()));
        if outputs.len() < count {
            return Err(Error::argument("the output is NULL"));
        }
        let mut status = Status::OK;
        for (index, result) in body()?.into_iter().enumerate() {
            match result {
                Ok(object) => _ = outputs[index].write(handle::insert(object)),
                Err(error) => {
                    status = if status == Status::OK { error.status() } else { status };
                    if let Some(place) = errors.get_mut(index) {
                        place.write(handle::insert(error));
                    }
                }
            }
        }
        Ok(status)
    };
    guard(run).flatten().unwrap_or_else(|error| {
        // No result for any: what went wrong holds for all of them.
        outputs.fill_with(|| MaybeUninit::new(ptr::null_mut()));
        errors.fill_with(|| MaybeUninit::new(handle::insert(error.clone())));
        error.status()
    })
}

/// # Safety
/// As for [`create_all`].
unsafe fn places<'a, T>(array: *mut *mut T, count: usize) -> &'a mut [MaybeUninit<*mut T>] {
    if array.is_null() || !may_be_array(array, count) {
        return &mut [];
    }
    // SAFETY: there are `count` places, as the caller promises, and
    // `MaybeUninit` allows for what they hold.
    unsafe { std::slice::from_raw_parts_mut(array.cast(), count) }
}

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Calls a function of the caller's. It cannot come back to where its answer is
/// waited for: see [`not_in_callback`].
pub(crate) fn call_out<T>(callback: impl FnOnce() -> T) -> T {
    struct Outer(bool);
    impl Drop for Outer {
        fn drop(&mut self) {
            IN_CALLBACK.set(self.0);
        }
    }
    let _outer = Outer(IN_CALLBACK.replace(true));
    callback()
}

/// Whatever waits for locks asks this first.
pub(crate) fn not_in_callback() -> Result<()> {
    match IN_CALLBACK.get() {
        true => Err(Error::argument("this function was called from a callback")),
        false => Ok(()),
    }
}

/// The object of a handle that C hands in. It stays as long as it is used here,
/// even if another thread frees it.
pub(crate) fn given<T: Object>(handle: *const T, name: &str) -> Result<Arc<T>> {
    handle::find(handle).ok_or_else(|| match handle.is_null() {
        true => Error::argument(&format!("{name} is NULL")),
        false => Error::argument(&format!("{name} was freed, or is not what its type says")),
    })
}

/// What an object may change. After a panic too: see [`guard`].
pub(crate) fn lock<T>(changing: &Mutex<T>) -> MutexGuard<'_, T> {
    changing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes an object that cannot fail; NULL after a panic.
pub(crate) fn make<T: Object>(body: impl FnOnce() -> T) -> *mut T {
    guard(|| handle::insert(body())).unwrap_or(ptr::null_mut())
}

/// Reads something of an object; `missing` where there is none.
pub(crate) fn read<T: Object, R: Copy>(object: *const T, missing: R, get: impl FnOnce(&T) -> R) -> R {
    guard(|| handle::find(object).map_or(missing, |object| get(&object))).unwrap_or(missing)
}

/// Reads a string that belongs to an object and lives as long; NULL where there is none.
pub(crate) fn read_text<T: Object>(
    object: *const T,
    get: impl FnOnce(&T) -> Option<&CString>,
) -> *const c_char {
    read(object, ptr::null(), |object| get(object).map_or(ptr::null(), |text| text.as_ptr()))
}

/// A string to hand out. It may quote what servers say: a NUL in there must not
/// hide the rest.
pub(crate) fn text(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}

/// A time to hand out, in seconds since 1970 in UTC.
pub(crate) fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Ends an object; what is none stays untouched.
pub(crate) fn free<T: Object>(object: *mut T) {
    // A panic in a destructor: the memory may be lost, and there is nobody to tell.
    let _ = guard(|| drop(handle::remove(object)));
}

/// A string of the caller's, `const char *`.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Text<'a> {
    pointer: *const c_char,
    of: PhantomData<&'a CStr>,
}

impl<'a> Text<'a> {
    pub(crate) fn read(self, name: &str) -> Result<&'a str> {
        if self.pointer.is_null() {
            return Err(Error::argument(&format!("{name} is NULL")));
        }
        // SAFETY: only C code makes a `Text`; by the header's contract it is NULL
        // or a NUL-terminated string that nobody changes during the call.
        let text = unsafe { CStr::from_ptr(self.pointer) };
        text.to_str().map_err(|_| Error::argument(&format!("{name} is not UTF-8")))
    }

    /// A string that may be left out, by NULL.
    pub(crate) fn read_optional(self, name: &str) -> Result<Option<&'a str>> {
        if self.pointer.is_null() { Ok(None) } else { self.read(name).map(Some) }
    }
}

/// An array of the caller's strings, `const char *const *`.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct TextArray<'a> {
    pointer: *const Text<'a>,
    of: PhantomData<&'a [Text<'a>]>,
}

impl<'a> TextArray<'a> {
    /// Each string, or what is wrong with it.
    pub(crate) fn read(self, count: usize, name: &str) -> Result<Vec<Result<&'a str>>> {
        let texts = self.texts(count, name)?.iter().enumerate();
        Ok(texts.map(|(index, text)| text.read(&format!("{name}[{index}]"))).collect())
    }

    /// Strings of which none may be wrong.
    pub(crate) fn read_all(self, count: usize, name: &str) -> Result<Vec<String>> {
        self.read(count, name)?.into_iter().map(|text| text.map(str::to_owned)).collect()
    }

    /// Strings of which each may be left out, or all of them, by NULL.
    pub(crate) fn read_optional(self, count: usize, name: &str) -> Result<Vec<Option<&'a str>>> {
        if self.pointer.is_null() {
            return Ok(vec![None; count]);
        }
        let texts = self.texts(count, name)?.iter().enumerate();
        texts.map(|(index, text)| text.read_optional(&format!("{name}[{index}]"))).collect()
    }

    fn texts(self, count: usize, name: &str) -> Result<&'a [Text<'a>]> {
        // SAFETY: only C code makes a `TextArray`; by the header's contract it is
        // NULL or holds `count` strings, and nobody changes it during the call.
        unsafe { elements(self.pointer, count, name) }
    }
}

/// An array of the caller's numbers, `const uint64_t *`.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct NumberArray<'a> {
    pointer: *const u64,
    of: PhantomData<&'a [u64]>,
}

impl<'a> NumberArray<'a> {
    pub(crate) fn read(self, count: usize, name: &str) -> Result<&'a [u64]> {
        // SAFETY: only C code makes a `NumberArray`; by the header's contract it is
        // NULL or holds `count` numbers, and nobody changes it during the call.
        unsafe { elements(self.pointer, count, name) }
    }
}

/// An array of lengths, `const size_t *`.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct LengthArray<'a> {
    pointer: *const usize,
    of: PhantomData<&'a [usize]>,
}

impl<'a> LengthArray<'a> {
    pub(crate) fn read(self, count: usize, name: &str) -> Result<&'a [usize]> {
        // SAFETY: only C code makes a `LengthArray`; by the header's contract it is
        // NULL or holds `count` lengths, and nobody changes it during the call.
        unsafe { elements(self.pointer, count, name) }
    }
}

/// Bytes of the caller's, `const uint8_t *`.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct ByteArray<'a> {
    pointer: *const u8,
    of: PhantomData<&'a [u8]>,
}

impl<'a> ByteArray<'a> {
    pub(crate) fn read(self, count: usize, name: &str) -> Result<&'a [u8]> {
        // SAFETY: only C code makes a `ByteArray`; by the header's contract it is
        // NULL or holds `count` bytes, and nobody changes it during the call.
        unsafe { elements(self.pointer, count, name) }
    }
}

/// An array of the caller's arrays of bytes, `const uint8_t *const *`.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct ByteArrays<'a> {
    pointer: *const ByteArray<'a>,
    of: PhantomData<&'a [ByteArray<'a>]>,
}

impl<'a> ByteArrays<'a> {
    /// Arrays of these lengths, of which none may be NULL.
    pub(crate) fn read(self, lengths: &[usize], name: &str) -> Result<Vec<&'a [u8]>> {
        // SAFETY: only C code makes a `ByteArrays`; by the header's contract it is
        // NULL or holds as many arrays as there are lengths, and nobody changes it
        // during the call.
        let arrays = unsafe { elements(self.pointer, lengths.len(), name) }?;
        let read = |(index, (array, &length)): (usize, (&ByteArray<'a>, &usize))| {
            let name = format!("{name}[{index}]");
            match array.pointer.is_null() {
                true => Err(Error::argument(&format!("{name} is NULL"))),
                false => array.read(length, &name),
            }
        };
        arrays.iter().zip(lengths).enumerate().map(read).collect()
    }
}

/// Whether memory could hold that, and a C compiler would put it there.
fn may_be_array<T>(pointer: *const T, count: usize) -> bool {
    pointer.is_aligned() && count <= isize::MAX.unsigned_abs() / size_of::<T>()
}

/// # Safety
/// The pointer is NULL or there are `count` elements that nobody changes.
unsafe fn elements<'a, T>(pointer: *const T, count: usize, name: &str) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(Error::argument(&format!("{name} is NULL")));
    }
    if !may_be_array(pointer, count) {
        return Err(Error::argument(&format!("{name} is no array of {count} elements")));
    }
    // SAFETY: as the caller promises.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_internal_error_and_no_object() {
        let (mut made, mut error) = (MaybeUninit::<*mut u8>::uninit(), MaybeUninit::uninit());
        let status = create(Some(&mut made), Some(&mut error), || panic!("boom {}", 1));
        assert_eq!(status, Status::INTERNAL);
        // SAFETY: `create` writes both.
        let (made, error) = unsafe { (made.assume_init(), error.assume_init()) };
        assert!(made.is_null());
        assert_eq!(handle::remove(error).unwrap().message(), c"internal error: boom 1");
        let object = make(|| 1);
        assert_eq!(read(object, 7, |_| panic!("boom")), 7);
        assert_eq!(read_text(object, |_| panic!("boom")), ptr::null());
        assert_eq!(read(object, 7, |object| *object), 1);
        free(object);
        assert_eq!(make::<u8>(|| panic!("boom")), ptr::null_mut());
    }

    #[test]
    fn a_panic_without_text_and_one_in_a_destructor_end_here_too() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("boom");
            }
        }
        assert_eq!(attempt(None, || std::panic::panic_any(1)), Status::INTERNAL);
        free(make(|| Bomb));
    }

    #[test]
    fn each_place_gets_an_object_or_an_error_and_after_a_panic_an_error() {
        let (mut objects, mut errors) = ([ptr::null_mut(); 2], [ptr::null_mut(); 2]);
        let mut run = |body: fn() -> Result<Vec<Result<u8>>>| {
            // SAFETY: both have two places.
            let status = unsafe { create_all(2, objects.as_mut_ptr(), errors.as_mut_ptr(), body) };
            let failures = errors.map(|error| handle::remove(error).map(|error| error.status()));
            (status, objects.map(|object| handle::remove(object).map(|object| *object)), failures)
        };
        let argument = Some(Status::INVALID_ARGUMENT);
        let mixed = run(|| Ok(vec![Err(Error::argument("no")), Ok(7)]));
        assert_eq!(mixed, (Status::INVALID_ARGUMENT, [None, Some(7)], [argument, None]));
        let panicked = run(|| panic!("boom"));
        assert_eq!(panicked, (Status::INTERNAL, [None, None], [Some(Status::INTERNAL); 2]));
        assert_eq!(run(|| Ok(vec![Ok(1), Ok(2)])), (Status::OK, [Some(1), Some(2)], [None, None]));
    }

    #[test]
    fn a_callback_is_known_until_the_last_of_its_thread_returns() {
        let status = || not_in_callback().map_err(|error| error.status());
        let inside = call_out(|| {
            call_out(|| ());
            assert_eq!(std::thread::scope(|scope| scope.spawn(status).join().unwrap()), Ok(()));
            status()
        });
        assert_eq!((inside, status()), (Err(Status::INVALID_ARGUMENT), Ok(())));
    }

    #[test]
    fn a_nul_hides_nothing() {
        assert_eq!(text("one\0two").to_str(), Ok("one\u{fffd}two"));
    }

    #[test]
    fn an_object_without_a_place_for_it_is_not_even_made() {
        let status = create::<u8>(None, None, || panic!("must not run"));
        assert_eq!(status, Status::INVALID_ARGUMENT);
    }

    #[test]
    fn what_is_no_object_is_an_error_and_reads_as_nothing_and_freeing_it_does_nothing() {
        let object = make(|| String::from("text"));
        let message = |handle: *const u8| given(handle, "image").unwrap_err().message().to_owned();
        assert_eq!(message(ptr::null()).as_c_str(), c"invalid argument: image is NULL");
        let unknown = c"invalid argument: image was freed, or is not what its type says";
        assert_eq!(message(object.cast()).as_c_str(), unknown);
        free(object.cast::<u8>());
        assert_eq!(read(object, 0, String::len), 4);
        free(object);
        assert_eq!(read(object, 0, String::len), 0);
        free(object);
    }

    #[test]
    fn a_callback_that_panics_is_over() {
        assert_eq!(attempt(None, || call_out(|| panic!("boom"))), Status::INTERNAL);
        assert!(not_in_callback().is_ok());
    }
}
