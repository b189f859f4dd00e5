//! A panic in core, with its locks held, is an error, and the next call works.

use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;
use std::ptr;

use crate::boundary::{ByteArray, ByteArrays, LengthArray, Text, TextArray};
use crate::client::*;
use crate::client_config::*;
use crate::config::*;
use crate::error::{Error, tagtrust_error_free, tagtrust_error_message, tagtrust_error_name};
use crate::status::Status;
use crate::trusted_set::tagtrust_trusted_set_new;

const PANICS: &CStr = c"registry.example/team/tagtrust-test-panic:1";
/// Nobody listens on port 1.
const UNREACHABLE: &CStr = c"registry.example/team/app:1";

fn text(text: &CStr) -> Text<'_> {
    // SAFETY: a `Text` is a pointer to such a string.
    unsafe { std::mem::transmute::<*const c_char, Text<'_>>(text.as_ptr()) }
}

fn client() -> *mut Client {
    let directory = std::env::temp_dir().join(format!("tagtrust-test-panics-{}", std::process::id()));
    let directory = CString::new(directory.to_str().unwrap()).unwrap();
    let config = tagtrust_config_new();
    assert_eq!(tagtrust_config_set_trust_dir(config, text(&directory)), Status::OK);
    assert_eq!(tagtrust_config_set_server(config, text(c"http://127.0.0.1:1")), Status::OK);
    let mut client = MaybeUninit::uninit();
    assert_eq!(tagtrust_client_new(config, Some(&mut client), None), Status::OK);
    tagtrust_config_free(config);
    // SAFETY: the call wrote it.
    unsafe { client.assume_init() }
}

/// The status, with the error's name and message.
fn outcome(call: impl FnOnce(&mut MaybeUninit<*mut Error>) -> Status) -> (Status, String, String) {
    let mut error = MaybeUninit::uninit();
    let status = call(&mut error);
    // SAFETY: every call writes it, and its texts are strings.
    let error = unsafe { error.assume_init() };
    let read = |text: *const c_char| {
        // SAFETY: as above.
        unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned()
    };
    let (name, message) = (read(tagtrust_error_name(error)), read(tagtrust_error_message(error)));
    tagtrust_error_free(error);
    (status, name, message)
}

fn check_internal((status, name, message): (Status, String, String)) {
    assert_eq!((status, name.as_str()), (Status::INTERNAL, "InternalError"));
    assert_eq!(message, "internal error: a test asked for this panic");
}

#[test]
fn a_panic_in_a_verification_is_an_error_and_the_next_call_works() {
    let client = client();
    let verify = |reference: &CStr| {
        let mut image = MaybeUninit::uninit();
        let done =
            outcome(|error| tagtrust_client_verify(client, text(reference), Some(&mut image), Some(error)));
        // SAFETY: the call wrote it.
        assert!(unsafe { image.assume_init() }.is_null());
        done
    };
    for _ in 0..2 {
        check_internal(verify(PANICS));
        assert_eq!(verify(UNREACHABLE).0, Status::UNREACHABLE);
    }
    tagtrust_client_free(client);
}

#[test]
fn a_panic_in_one_of_many_verifications_is_an_error() {
    let client = client();
    let references = [text(UNREACHABLE), text(PANICS)];
    for _ in 0..2 {
        let (mut images, mut errors) = ([ptr::null_mut(); 2], [ptr::null_mut(); 2]);
        // SAFETY: a `TextArray` is a pointer to such texts, and there are two of everything.
        let status = unsafe {
            let references = std::mem::transmute::<*const Text<'_>, TextArray<'_>>(references.as_ptr());
            tagtrust_client_verify_many(client, references, 2, images.as_mut_ptr(), errors.as_mut_ptr())
        };
        assert_eq!((status, images), (Status::INTERNAL, [ptr::null_mut(); 2]));
        for error in errors {
            assert!(!error.is_null());
            tagtrust_error_free(error);
        }
    }
    tagtrust_client_free(client);
}

#[test]
fn a_panic_on_the_way_to_a_trusted_set_is_an_error() {
    // SAFETY: all three are pointers, or NULL.
    let (none, lengths, root) = unsafe {
        (
            std::mem::transmute::<*const ByteArray<'_>, ByteArrays<'_>>(ptr::null()),
            std::mem::transmute::<*const usize, LengthArray<'_>>(ptr::null()),
            std::mem::transmute::<*const u8, ByteArray<'_>>(ptr::null()),
        )
    };
    let mut set = MaybeUninit::uninit();
    let repository = text(c"registry.example/team/tagtrust-test-panic");
    check_internal(outcome(|error| {
        let set = Some(&mut set);
        tagtrust_trusted_set_new(ptr::null(), repository, none, lengths, 0, root, 0, set, Some(error))
    }));
    // SAFETY: the call wrote it.
    assert!(unsafe { set.assume_init() }.is_null());
}
