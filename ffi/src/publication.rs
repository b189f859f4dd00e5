//! What came of publishing.

use std::ffi::{CString, c_char};

use crate::boundary::{free, read, read_text, seconds, text};
use crate::error::Result;

/// What was published, or staged, or what would be. Freed with
/// `tagtrust_publication_free`; several threads may read it at once.
pub struct Publication {
    repository: CString,
    is_published: bool,
    attempts: u32,
    changes: Vec<CString>,
    files: Vec<File>,
    warnings: Vec<CString>,
    json: CString,
}

struct File {
    role: CString,
    version: i64,
    expires: i64,
}

impl Publication {
    pub(crate) fn new(publication: tagtrust_core::Publication) -> Result<Self> {
        let file = |file: &tagtrust_core::signing::SignedFile| File {
            role: text(&file.role),
            version: file.version,
            expires: seconds(file.expires),
        };
        Ok(Self {
            json: text(&publication.to_json()),
            repository: text(&publication.repository),
            is_published: publication.published,
            attempts: publication.attempts,
            changes: publication.changes.iter().map(|change| text(&change.description)).collect(),
            files: publication.files.iter().map(file).collect(),
            warnings: publication.warnings.iter().map(|warning| text(warning)).collect(),
        })
    }
}

/// Registry and repository, such as "docker.io/library/alpine".
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_publication_repository(publication: *const Publication) -> *const c_char {
    read_text(publication, |publication| Some(&publication.repository))
}

/// True if something was uploaded: not by a dry run, not by staging, and not if
/// everything was as it should be already.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_publication_published(publication: *const Publication) -> bool {
    read(publication, false, |publication| publication.is_published)
}

/// How often it was tried: more than once if others published at the same time.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_publication_attempts(publication: *const Publication) -> u32 {
    read(publication, 0, |publication| publication.attempts)
}

/// How many changes there are; zero if everything was as it should be already.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_publication_change_count(publication: *const Publication) -> usize {
    read(publication, 0, |publication| publication.changes.len())
}

/// A change in words, for people. NULL from `tagtrust_publication_change_count` on.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_publication_change(
    publication: *const Publication,
    index: usize,
) -> *const c_char {
    read_text(publication, |publication| publication.changes.get(index))
}

/// How many files were signed, or would be.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_publication_file_count(publication: *const Publication) -> usize {
    read(publication, 0, |publication| publication.files.len())
}

/// The role of a file, such as "targets/releases". NULL from
/// `tagtrust_publication_file_count` on.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_publication_file_role(
    publication: *const Publication,
    index: usize,
) -> *const c_char {
    read_text(publication, |publication| Some(&publication.files.get(index)?.role))
}

/// The version of a file; 0 from `tagtrust_publication_file_count` on.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_publication_file_version(publication: *const Publication, index: usize) -> i64 {
    read(publication, 0, |publication| publication.files.get(index).map_or(0, |file| file.version))
}

/// When a file expires, in seconds since 1970 in UTC; 0 from
/// `tagtrust_publication_file_count` on.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_publication_file_expires(publication: *const Publication, index: usize) -> i64 {
    read(publication, 0, |publication| publication.files.get(index).map_or(0, |file| file.expires))
}

/// How many warnings there are.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_publication_warning_count(publication: *const Publication) -> usize {
    read(publication, 0, |publication| publication.warnings.len())
}

/// What a publisher should know besides, for people. NULL from
/// `tagtrust_publication_warning_count` on.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_publication_warning(
    publication: *const Publication,
    index: usize,
) -> *const c_char {
    read_text(publication, |publication| publication.warnings.get(index))
}

/// All of it as a JSON object, with the IDs of the keys that signed each file,
/// and with the action, type, role and path of each change.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_publication_json(publication: *const Publication) -> *const c_char {
    read_text(publication, |publication| Some(&publication.json))
}

/// Frees a publication.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_publication_free(publication: *mut Publication) {
    free(publication);
}
