//! Texts that are handed out whole.

use std::ffi::c_char;
use std::ptr;

use serde::Serialize;
use tagtrust_core::Zeroizing;

use crate::boundary::{free, read};
use crate::error::{Error, Result};

/// A text: JSON, or private keys in PEM. Freed with `tagtrust_text_free`, which
/// wipes it; several threads may read it at once.
// Ends with a NUL, and has no other: JSON escapes them, and PEM has none.
pub struct OwnedText(Zeroizing<Vec<u8>>);

impl OwnedText {
    pub(crate) fn new(text: &[u8]) -> Self {
        // At once: a text that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() + 1));
        bytes.extend_from_slice(text);
        bytes.push(0);
        Self(bytes)
    }

    pub(crate) fn json(value: &impl Serialize) -> Result<Self> {
        let json = serde_json::to_vec_pretty(value).map_err(|error| Error::internal(&error.to_string()))?;
        Ok(Self::new(&json))
    }
}

/// The text, with a NUL after it.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_text_data(text: *const OwnedText) -> *const c_char {
    read(text, ptr::null(), |text| text.0.as_ptr().cast())
}

/// Its length in bytes, without the NUL.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_text_length(text: *const OwnedText) -> usize {
    read(text, 0, |text| text.0.len() - 1)
}

/// Wipes and frees a text.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_text_free(text: *mut OwnedText) {
    free(text);
}
