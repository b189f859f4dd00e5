//! What went wrong, and why.

use std::ffi::{CString, c_char};

use crate::boundary::{free, read, read_text, text};
use crate::status::{Status, tagtrust_status_name};

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed. Freed with `tagtrust_error_free`; several threads may
/// read it at once.
#[derive(Debug, Clone)]
pub struct Error {
    status: Status,
    is_refusal: bool,
    message: CString,
}

impl Error {
    /// An argument that the contract does not allow.
    pub(crate) fn argument(reason: &str) -> Self {
        let message = text(&format!("invalid argument: {reason}"));
        Self { status: Status::INVALID_ARGUMENT, is_refusal: false, message }
    }

    /// A defect of ours.
    pub(crate) fn internal(reason: &str) -> Self {
        tagtrust_core::Error::Internal { reason: reason.into() }.into()
    }

    pub(crate) fn status(&self) -> Status {
        self.status
    }

    /// The same error for who meets it elsewhere, with the function that it comes from.
    pub(crate) fn in_function(&self, name: &str) -> Self {
        Self { message: text(&format!("{name}: {}", self.message.to_string_lossy())), ..self.clone() }
    }

    #[cfg(test)]
    pub(crate) fn message(&self) -> &std::ffi::CStr {
        &self.message
    }
}

impl From<tagtrust_core::Error> for Error {
    fn from(error: tagtrust_core::Error) -> Self {
        Self { status: Status::of(&error), is_refusal: error.is_refusal(), message: text(&error.to_string()) }
    }
}

/// The class of the error; `TAGTRUST_INVALID_ARGUMENT` where there is none.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_error_status(error: *const Error) -> Status {
    read(error, Status::INVALID_ARGUMENT, |error| error.status)
}

/// The name of the class, such as "TagNotSigned". Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_error_name(error: *const Error) -> *const c_char {
    tagtrust_status_name(tagtrust_error_status(error) as _)
}

/// What happened and where: role, key IDs, what was expected and found. One
/// line of English for people, not for programs.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_error_message(error: *const Error) -> *const c_char {
    read_text(error, |error| Some(&error.message))
}

/// True if the answer is "not trusted"; false if there is no answer.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_error_is_refusal(error: *const Error) -> bool {
    read(error, false, |error| error.is_refusal)
}

/// Frees an error.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_error_free(error: *mut Error) {
    free(error);
}
