//! What `docker trust inspect` shows.

use std::ffi::{CString, c_char};

use tagtrust_core::Fault;

use crate::boundary::{free, read_text};
use crate::error::Result;

/// The signed tags, signers and keys of a repository. Freed with
/// `tagtrust_inspection_free`; several threads may read it at once.
pub struct Inspection {
    json: CString,
    pretty: CString,
}

impl Inspection {
    pub(crate) fn new(inspection: &tagtrust_core::Inspection) -> Result<Self> {
        // Only names in the metadata can hold a NUL, as in `Image::new`.
        let text = |text: String| {
            CString::new(text).map_err(|_| tagtrust_core::Error::Tampered {
                gun: inspection.name.clone(),
                role: "targets".into(),
                fault: Fault::Malformed("a name holds a NUL character".into()),
            })
        };
        Ok(Self { json: text(inspection.to_json())?, pretty: text(inspection.to_pretty())? })
    }
}

/// The object that `docker trust inspect` prints, indented by four spaces.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_inspection_json(inspection: *const Inspection) -> *const c_char {
    read_text(inspection, |inspection| Some(&inspection.json))
}

/// What `docker trust inspect --pretty` prints.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_inspection_pretty(inspection: *const Inspection) -> *const c_char {
    read_text(inspection, |inspection| Some(&inspection.pretty))
}

/// Frees an inspection.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_inspection_free(inspection: *mut Inspection) {
    free(inspection);
}
