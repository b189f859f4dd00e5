//! What `docker trust inspect` shows, and the chain of trust.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::{Mutex, OnceLock};

use tagtrust_core::Fault;

use crate::boundary::{free, lock, read, read_text, text};
use crate::error::Result;

/// The signed tags, signers and keys of a repository. Freed with
/// `tagtrust_inspection_free`; several threads may read it at once.
pub struct Inspection {
    core: tagtrust_core::Inspection,
    json: CString,
    pretty: CString,
    /// By width: each was handed out for as long as the object lives.
    trees: Mutex<BTreeMap<usize, CString>>,
    svg: OnceLock<CString>,
}

impl Inspection {
    pub(crate) fn new(core: tagtrust_core::Inspection) -> Result<Self> {
        // Only names in the metadata can hold a NUL, as in `Image::new`.
        let text = |text: String| {
            CString::new(text).map_err(|_| tagtrust_core::Error::Tampered {
                gun: core.name.clone(),
                role: "targets".into(),
                fault: Fault::Malformed("a name holds a NUL character".into()),
            })
        };
        let (json, pretty) = (text(core.to_json())?, text(core.to_pretty())?);
        Ok(Self { core, json, pretty, trees: Mutex::default(), svg: OnceLock::new() })
    }

    fn tree(&self, width: usize) -> *const c_char {
        let width = if width == 0 { usize::MAX } else { width };
        lock(&self.trees).entry(width).or_insert_with(|| text(&self.core.to_tree(width))).as_ptr()
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

/// The chain of trust as a tree: each role below the one that says which keys
/// may sign for it. Keys that may sign and have not stand in parentheses.
///
/// Keys that would go beyond `width` characters stand on lines of their own; 0
/// sets no limit.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_inspection_tree(inspection: *const Inspection, width: usize) -> *const c_char {
    read(inspection, ptr::null(), |inspection| inspection.tree(width))
}

/// The chain of trust as a picture: a self-contained SVG file with a card for
/// each role, readable on light and on dark pages. Nothing in it runs or is
/// loaded from elsewhere.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_inspection_svg(inspection: *const Inspection) -> *const c_char {
    read_text(inspection, |inspection| Some(inspection.svg.get_or_init(|| text(&inspection.core.to_svg()))))
}

/// Frees an inspection.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_inspection_free(inspection: *mut Inspection) {
    free(inspection);
}
