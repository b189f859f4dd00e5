//! The client, and what it is asked about images.

use std::mem::MaybeUninit;
use std::sync::Arc;

use crate::boundary::{self, Text, TextArray, create, create_all, free, not_in_callback};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::inspection::Inspection;
use crate::status::Status;

/// Verifies images, and publishes them. It keeps connections and what it has
/// verified, so make one and use it from all threads, at once if you like. Freed
/// with `tagtrust_client_free`.
// Shared with the edits, which need no client to stay.
pub struct Client(Arc<tagtrust_core::Client>);

/// The client for a call that uses it.
pub(crate) fn given(client: *const Client) -> Result<Arc<tagtrust_core::Client>> {
    not_in_callback()?;
    Ok(boundary::given(client, "client")?.0.clone())
}

/// Makes a client. The configuration stays the caller's, and later changes to
/// it do not matter to the client. Nothing is fetched yet.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_new(
    config: *const Config,
    client: Option<&mut MaybeUninit<*mut Client>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(client, error, || Ok(Client(Arc::new(boundary::given(config, "config")?.client()?))))
}

/// Frees a client. What it gave stays, and so do its edits.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_free(client: *mut Client) {
    free(client);
}

/// The digest that the publisher signed for a reference.
///
/// `registry/repository:tag` as Docker reads it, so "alpine" is
/// `docker.io/library/alpine:latest`. With a digest as well, both must match;
/// with a digest alone, some tag that counts must have it.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_verify(
    client: *const Client,
    reference: Text<'_>,
    image: Option<&mut MaybeUninit<*mut Image>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(image, error, || Image::new(given(client)?.verify(reference.read("reference")?)?))
}

/// As `tagtrust_client_verify` for `count` references, several at a time, each
/// repository fetched once.
///
/// `images` and `errors` (which may be NULL) are arrays of `count` pointers:
/// after the call `images[i]` is the image of `references[i]` and `errors[i]`
/// NULL, or the other way round. `TAGTRUST_OK` only if all are trusted, else
/// the status of the first that is not.
#[expect(clippy::missing_safety_doc, reason = "what callers must keep to stands in the header")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tagtrust_client_verify_many(
    client: *const Client,
    references: TextArray<'_>,
    count: usize,
    images: *mut *mut Image,
    errors: *mut *mut Error,
) -> Status {
    let verify = || verify_many(&*given(client)?, references.read(count, "references")?);
    // SAFETY: by the header's contract each array is NULL or has `count` places.
    unsafe { create_all(count, images, errors, verify) }
}

/// One result for each reference, in their order.
fn verify_many(client: &tagtrust_core::Client, references: Vec<Result<&str>>) -> Result<Vec<Result<Image>>> {
    let readable: Vec<&str> =
        references.iter().filter_map(|reference| reference.as_ref().ok().copied()).collect();
    let mut verified = client.verify_many(&readable).into_iter();
    let results = references.into_iter().map(|reference| {
        reference?;
        let result = verified.next().ok_or_else(|| Error::internal("a reference without a result"))?;
        Image::new(result?)
    });
    Ok(results.collect())
}

/// What `docker trust inspect` shows of a repository (`registry/repository`) or
/// of one tag in it. A tag that is not signed is no error here.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_inspect(
    client: *const Client,
    reference: Text<'_>,
    inspection: Option<&mut MaybeUninit<*mut Inspection>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(inspection, error, || Inspection::new(given(client)?.inspect(reference.read("reference")?)?))
}
