//! The answer for one reference.

use std::ffi::{CString, c_char};

use tagtrust_core::{Fault, VerifiedImage};

use crate::boundary::{free, read, read_text, seconds};
use crate::error::Result;

/// An image that its publisher signed. Freed with `tagtrust_image_free`;
/// several threads may read it at once.
pub struct Image {
    repository: CString,
    tag: CString,
    tags: Vec<CString>,
    digest: CString,
    size: u64,
    role: CString,
    signers: Vec<CString>,
    expires: i64,
    fresh: bool,
    pinned_reference: CString,
}

impl Image {
    pub(crate) fn new(image: VerifiedImage) -> Result<Self> {
        // Stricter: names in the metadata may hold a NUL, and C would see another name.
        let text = |text: &String| {
            CString::new(text.as_str()).map_err(|_| tagtrust_core::Error::Tampered {
                gun: image.repository.clone(),
                role: image.role.clone(),
                fault: Fault::Malformed(format!("the name {text:?} holds a NUL character")),
            })
        };
        let texts = |names: &[String]| names.iter().map(text).collect::<Result<_, _>>();
        Ok(Self {
            repository: text(&image.repository)?,
            tag: text(&image.tag)?,
            tags: texts(&image.tags)?,
            digest: text(&image.digest)?,
            size: image.size,
            role: text(&image.role)?,
            signers: texts(&image.signers)?,
            expires: seconds(image.expires),
            fresh: image.fresh,
            pinned_reference: text(&image.pinned_reference)?,
        })
    }
}

/// Registry and repository, such as "docker.io/library/alpine".
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_image_repository(image: *const Image) -> *const c_char {
    read_text(image, |image| Some(&image.repository))
}

/// The tag. For a reference by digest alone the first that has it.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_image_tag(image: *const Image) -> *const c_char {
    read_text(image, |image| Some(&image.tag))
}

/// How many tags there are: one, or for a reference by digest alone all that
/// count and have it.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_image_tag_count(image: *const Image) -> usize {
    read(image, 0, |image| image.tags.len())
}

/// One of these tags, in ascending order; NULL from `tagtrust_image_tag_count` on.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_image_tag_at(image: *const Image, index: usize) -> *const c_char {
    read_text(image, |image| image.tags.get(index))
}

/// Digest of the manifest or index: "sha256:" and 64 hex digits.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_image_digest(image: *const Image) -> *const c_char {
    read_text(image, |image| Some(&image.digest))
}

/// Size of the manifest or index in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_image_size(image: *const Image) -> u64 {
    read(image, 0, |image| image.size)
}

/// `repository@digest`: what a runtime then pulls.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_image_pinned_reference(image: *const Image) -> *const c_char {
    read_text(image, |image| Some(&image.pinned_reference))
}

/// The role that publishes the tag, such as "targets/releases" or "targets".
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_image_role(image: *const Image) -> *const c_char {
    read_text(image, |image| Some(&image.role))
}

/// How many signers signed this digest for this tag; zero if only the
/// repository's owner did.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_image_signer_count(image: *const Image) -> usize {
    read(image, 0, |image| image.signers.len())
}

/// The name of a signer, in ascending order; NULL from
/// `tagtrust_image_signer_count` on.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_image_signer(image: *const Image, index: usize) -> *const c_char {
    read_text(image, |image| image.signers.get(index))
}

/// Until when this answer holds, in seconds since 1970 in UTC.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_image_expires(image: *const Image) -> i64 {
    read(image, 0, |image| image.expires)
}

/// False if the server could not be asked and the cached timestamp served.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_image_fresh(image: *const Image) -> bool {
    read(image, false, |image| image.fresh)
}

/// Frees an image.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_image_free(image: *mut Image) {
    free(image);
}
