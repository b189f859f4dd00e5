//! Publishing in one call.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::time::Duration;

use serde::Serialize;
use tagtrust_core::crypto::KeyId;
use tagtrust_core::signing::Proposal;
use tagtrust_core::{ChangeSummary, Init, Target};

use crate::boundary::{NumberArray, Text, TextArray, attempt, create, create_all};
use crate::client::{Client, given};
use crate::edit::{init, rotation, target};
use crate::error::{Error, Result};
use crate::publication::Publication;
use crate::status::Status;
use crate::text::OwnedText;

/// Makes a repository: a root key is made or reused, the timestamp key is the
/// server's, and the first root and targets are published.
///
/// `root_key` and `targets_key` are IDs of keys at hand. NULL: as Docker, the
/// root key on disk with the lowest ID, else a new one; and a new targets key.
/// With `local_snapshot` the snapshot key is made here, otherwise the server has
/// it. With `unpublished` the files are only written to the trust directory, and
/// publishing the first change uploads them.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_init(
    client: *const Client,
    repository: Text<'_>,
    root_key: Text<'_>,
    targets_key: Text<'_>,
    local_snapshot: bool,
    unpublished: bool,
    publication: Option<&mut MaybeUninit<*mut Publication>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(publication, error, || {
        let init = Init { unpublished, ..init(root_key, targets_key, local_snapshot)? };
        Publication::new(given(client)?.init(repository.read("repository")?, &init)?)
    })
}

/// Removes a repository's cached metadata and staged changes, and with `remote`
/// first everything that the server has of it. Keys stay.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_delete(
    client: *const Client,
    repository: Text<'_>,
    remote: bool,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    attempt(error, || Ok(given(client)?.delete(repository.read("repository")?, remote)?))
}

/// Signs `registry/repository:tag` as Docker does, and makes the repository if
/// it does not exist.
///
/// `digest` and `size` are those of the manifest or index; if `digest` is NULL,
/// the registry is asked. With a digest in the reference it must be that. More
/// can be signed with `tagtrust_edit_sign`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_sign(
    client: *const Client,
    reference: Text<'_>,
    digest: Text<'_>,
    size: u64,
    publication: Option<&mut MaybeUninit<*mut Publication>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(publication, error, || {
        let target = target(digest.read_optional("digest")?, size, None)?;
        Publication::new(given(client)?.sign(reference.read("reference")?, target)?)
    })
}

/// Signs `count` tags: one refresh and one upload for each repository.
///
/// `digests`, or some of them, may be NULL: these the registry is asked for.
/// `publications` and `errors` (which may be NULL) are arrays of `count`
/// pointers. For each repository, in the order of their first tags, one of the
/// two is set at the same place; all other places are NULL. If nothing could be
/// begun, as for a reference that cannot be read, all errors are set.
/// `TAGTRUST_OK` only if all are signed, else the status of the first error.
#[expect(clippy::missing_safety_doc, reason = "what callers must keep to stands in the header")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tagtrust_client_sign_many(
    client: *const Client,
    references: TextArray<'_>,
    digests: TextArray<'_>,
    sizes: NumberArray<'_>,
    count: usize,
    publications: *mut *mut Publication,
    errors: *mut *mut Error,
) -> Status {
    let sign = || {
        let references = references.read_all(count, "references")?;
        let digests = digests.read_optional(count, "digests")?;
        // Sizes do not matter where there is no digest.
        let sizes = match digests.iter().any(Option::is_some) {
            true => sizes.read(count, "sizes")?,
            false => &vec![0; count],
        };
        let targets = digests.into_iter().zip(sizes).map(|(digest, size)| target(digest, *size, None));
        let tags: Vec<(String, Option<Target>)> = references
            .into_iter()
            .zip(targets)
            .map(|(reference, target)| Ok((reference, target?)))
            .collect::<Result<_>>()?;
        let published = given(client)?.sign_many(&tags)?;
        Ok(published.into_iter().map(|publication| Publication::new(publication?)).collect())
    };
    // SAFETY: by the header's contract each array is NULL or has `count` places.
    unsafe { create_all(count, publications, errors, sign) }
}

/// Removes the signatures of a tag, or of all tags if the reference has none:
/// see `tagtrust_edit_revoke`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_revoke(
    client: *const Client,
    reference: Text<'_>,
    publication: Option<&mut MaybeUninit<*mut Publication>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(publication, error, || Publication::new(given(client)?.revoke(reference.read("reference")?)?))
}

/// Adds a signer, and makes the repository if it does not exist: see
/// `tagtrust_edit_add_signer`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_add_signer(
    client: *const Client,
    name: Text<'_>,
    public_keys: Text<'_>,
    repository: Text<'_>,
    publication: Option<&mut MaybeUninit<*mut Publication>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(publication, error, || {
        let client = given(client)?;
        let keys = client.public_keys(public_keys.read("public_keys")?.as_bytes())?;
        Publication::new(client.add_signer(name.read("name")?, keys, repository.read("repository")?)?)
    })
}

/// Removes a signer: see `tagtrust_edit_remove_signer`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_remove_signer(
    client: *const Client,
    name: Text<'_>,
    repository: Text<'_>,
    force: bool,
    publication: Option<&mut MaybeUninit<*mut Publication>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(publication, error, || {
        let (name, repository) = (name.read("name")?, repository.read("repository")?);
        Publication::new(given(client)?.remove_signer(name, repository, force)?)
    })
}

/// Gives a role other keys: see `tagtrust_edit_rotate_key`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_rotate_key(
    client: *const Client,
    repository: Text<'_>,
    role: Text<'_>,
    server_managed: bool,
    key_ids: TextArray<'_>,
    count: usize,
    publication: Option<&mut MaybeUninit<*mut Publication>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(publication, error, || {
        let (repository, role) = (repository.read("repository")?, role.read("role")?);
        let rotation = rotation(server_managed, key_ids, count)?;
        Publication::new(given(client)?.rotate_key(repository, role, rotation)?)
    })
}

/// Publishes what is staged, and a repository that was made and not published.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_publish(
    client: *const Client,
    repository: Text<'_>,
    publication: Option<&mut MaybeUninit<*mut Publication>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(publication, error, || Publication::new(given(client)?.publish(repository.read("repository")?)?))
}

/// The staged changes, in the order in which they apply. JSON: an array of
/// objects with `action`, `type`, `role`, `path` and `description`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_staged(
    client: *const Client,
    repository: Text<'_>,
    json: Option<&mut MaybeUninit<*mut OwnedText>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(json, error, || {
        let staged = given(client)?.staged(repository.read("repository")?)?;
        OwnedText::json(&staged.iter().map(ChangeSummary::from).collect::<Vec<_>>())
    })
}

/// Removes `count` staged changes by their numbers, from 0, in the order of
/// `tagtrust_client_staged`. After an error all stay.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_unstage(
    client: *const Client,
    repository: Text<'_>,
    numbers: NumberArray<'_>,
    count: usize,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    attempt(error, || {
        let numbers = numbers.read(count, "numbers")?.iter();
        let numbers: Vec<usize> =
            numbers.map(|number| usize::try_from(*number).unwrap_or(usize::MAX)).collect();
        Ok(given(client)?.unstage(repository.read("repository")?, Some(&numbers))?)
    })
}

/// Removes all staged changes.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_unstage_all(
    client: *const Client,
    repository: Text<'_>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    attempt(error, || Ok(given(client)?.unstage(repository.read("repository")?, None)?))
}

/// All delegations. JSON: an array of objects with `name`, `paths`, `key_ids`
/// and `threshold`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_delegations(
    client: *const Client,
    repository: Text<'_>,
    json: Option<&mut MaybeUninit<*mut OwnedText>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(json, error, || OwnedText::json(&given(client)?.delegations(repository.read("repository")?)?))
}

/// The files that expire within this time or have expired, the first one first.
/// JSON: an array of objects with `role`, `version`, `expires` (RFC 3339 in UTC)
/// and `can_sign`, whether a key for it is at hand.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_expiring(
    client: *const Client,
    repository: Text<'_>,
    within_seconds: u64,
    json: Option<&mut MaybeUninit<*mut OwnedText>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(json, error, || {
        let within = Duration::from_secs(within_seconds);
        OwnedText::json(&given(client)?.expiring(repository.read("repository")?, within)?)
    })
}

/// Signs anew what expires within this time and whose keys are at hand. For what
/// has expired already there is `tagtrust_client_recover`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_renew(
    client: *const Client,
    repository: Text<'_>,
    within_seconds: u64,
    publication: Option<&mut MaybeUninit<*mut Publication>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(publication, error, || {
        let within = Duration::from_secs(within_seconds);
        Publication::new(given(client)?.renew(repository.read("repository")?, within)?)
    })
}

/// Signs anew whatever has expired or expires within this time, so that a
/// repository can be used again that nobody can verify any more. What is signed
/// is what the server has now, checked in everything but its age: look at what
/// it would be with `dry_run` first.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_recover(
    client: *const Client,
    repository: Text<'_>,
    within_seconds: u64,
    dry_run: bool,
    publication: Option<&mut MaybeUninit<*mut Publication>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(publication, error, || {
        let within = Duration::from_secs(within_seconds);
        Publication::new(given(client)?.recover(repository.read("repository")?, within, dry_run)?)
    })
}

/// What a proposal is about: look at it before you sign. JSON: an object with
/// `repository`, `changes` (as of `tagtrust_client_staged`) and `signers`, for
/// each role the IDs of the keys that have signed.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_proposal_summary(
    proposal: Text<'_>,
    json: Option<&mut MaybeUninit<*mut OwnedText>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    #[derive(Serialize)]
    struct Summary<'a> {
        repository: &'a str,
        changes: Vec<ChangeSummary>,
        signers: BTreeMap<&'a str, Vec<&'a str>>,
    }
    create(json, error, || {
        let proposal = read_proposal(proposal.read("proposal")?)?;
        let signers = proposal.signers().into_iter();
        OwnedText::json(&Summary {
            repository: proposal.gun(),
            changes: proposal.changes().iter().map(ChangeSummary::from).collect(),
            signers: signers
                .map(|(role, ids)| (role, ids.into_iter().map(KeyId::as_str).collect()))
                .collect(),
        })
    })
}

/// Adds our signatures to a proposal of `tagtrust_edit_sign_partial` or of this
/// function.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_cosign(
    client: *const Client,
    proposal: Text<'_>,
    signed_proposal: Option<&mut MaybeUninit<*mut OwnedText>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(signed_proposal, error, || {
        let (client, proposal) = (given(client)?, read_proposal(proposal.read("proposal")?)?);
        Ok(OwnedText::new(&client.cosign(proposal)?.to_json()))
    })
}

/// Puts the signatures of `count` copies of one proposal together, adds ours,
/// and publishes it.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_publish_proposals(
    client: *const Client,
    proposals: TextArray<'_>,
    count: usize,
    publication: Option<&mut MaybeUninit<*mut Publication>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(publication, error, || {
        let (client, proposals) = (given(client)?, proposals.read(count, "proposals")?);
        let proposals: Vec<Proposal> =
            proposals.into_iter().map(|proposal| read_proposal(proposal?)).collect::<Result<_>>()?;
        Publication::new(client.publish_proposals(proposals)?)
    })
}

fn read_proposal(proposal: &str) -> Result<Proposal> {
    Ok(Proposal::from_json(proposal.as_bytes())?)
}
