//! Changes of one repository, collected and then published together.

use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tagtrust_core::crypto::KeyId;
use tagtrust_core::{Init, Rotation, Target};

use crate::boundary::{Output, Text, TextArray, attempt, create, free, given, guard, lock, not_in_callback};
use crate::client::{self, Client};
use crate::error::{Error, Result};
use crate::handle::Object;
use crate::publication::Publication;
use crate::status::Status;
use crate::text::OwnedText;

/// Changes of one repository in the making: one refresh and one upload for all
/// of them, however many. Freed with `tagtrust_edit_free`.
///
/// Functions that add a step do nothing else. A step that is refused, as by
/// `TAGTRUST_INVALID_ARGUMENT`, is remembered, and all functions that end the
/// edit then fail with its error: it is enough to look at their status. The edit
/// stays as it is when it is ended, so what `tagtrust_edit_dry_run` shows can
/// then be published.
// The steps are played to an edit of core when it is ended, because that
// borrows its client.
pub struct Edit {
    client: Arc<tagtrust_core::Client>,
    repository: String,
    steps: Mutex<Steps>,
}

#[derive(Default)]
struct Steps {
    added: Vec<Box<Step>>,
    refused: Option<Error>,
}

type CoreEdit<'a> = tagtrust_core::Edit<'a>;
type Step = dyn for<'a> Fn(CoreEdit<'a>) -> CoreEdit<'a> + Send;

impl Edit {
    fn new(client: &Arc<tagtrust_core::Client>, repository: &str) -> Result<Self> {
        drop(client.edit(repository)?);
        Ok(Self { client: client.clone(), repository: repository.into(), steps: Mutex::default() })
    }

    fn played(&self) -> Result<CoreEdit<'_>> {
        let steps = lock(&self.steps);
        if let Some(error) = &steps.refused {
            return Err(error.clone());
        }
        Ok(steps.added.iter().fold(self.client.edit(&self.repository)?, |edit, step| step(edit)))
    }
}

/// Adds a step, or remembers why it was refused.
fn add(edit: *mut Edit, step: impl FnOnce(&tagtrust_core::Client) -> Result<Box<Step>>) -> Status {
    attempt(None, || {
        // Or it may be the one that is being ended.
        not_in_callback()?;
        let edit = given(edit, "edit")?;
        let step = guard(|| step(&edit.client)).flatten();
        let mut steps = lock(&edit.steps);
        match step {
            Ok(step) => steps.added.push(step),
            Err(error) => return Err(steps.refused.get_or_insert(error).clone()),
        }
        Ok(())
    })
}

fn step(step: impl for<'a> Fn(CoreEdit<'a>) -> CoreEdit<'a> + Send + 'static) -> Result<Box<Step>> {
    Ok(Box::new(step))
}

/// Runs the body of a function that ends an edit.
fn end<T: Object>(
    edit: *const Edit,
    output: Output<'_, T>,
    error: Output<'_, Error>,
    finish: impl FnOnce(CoreEdit<'_>) -> Result<T>,
) -> Status {
    create(output, error, || {
        not_in_callback()?;
        finish(given(edit, "edit")?.played()?)
    })
}

/// What is signed for a tag, if the caller says it.
pub(crate) fn target(digest: Option<&str>, size: u64, custom: Option<&str>) -> Result<Option<Target>> {
    match digest {
        Some(digest) => Ok(Some(Target { custom: custom.map(str::to_owned), ..Target::new(digest, size) })),
        None if custom.is_some() => Err(Error::argument("custom needs a digest")),
        None => Ok(None),
    }
}

pub(crate) fn init(root_key: Text<'_>, targets_key: Text<'_>, local_snapshot: bool) -> Result<Init> {
    let root_key = root_key.read_optional("root_key")?.map(KeyId::from_listed);
    let targets_key = targets_key.read_optional("targets_key")?.map(KeyId::from_listed);
    Ok(Init { root_key, targets_key, local_snapshot, unpublished: false })
}

pub(crate) fn rotation(server_managed: bool, key_ids: TextArray<'_>, count: usize) -> Result<Rotation> {
    match (server_managed, read_key_ids(key_ids, count)?) {
        (true, ids) if ids.is_empty() => Ok(Rotation::ServerManaged),
        (true, _) => Err(Error::argument("a key that the server manages has no key_ids")),
        (false, ids) if ids.is_empty() => Ok(Rotation::Generate),
        (false, ids) => Ok(Rotation::Keys(ids)),
    }
}

fn read_key_ids(key_ids: TextArray<'_>, count: usize) -> Result<Vec<KeyId>> {
    Ok(key_ids.read_all(count, "key_ids")?.iter().map(|id| KeyId::from_listed(id)).collect())
}

/// Begins changes of a repository (`registry/repository`).
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_new(
    client: *const Client,
    repository: Text<'_>,
    edit: Option<&mut MaybeUninit<*mut Edit>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(edit, error, || Edit::new(&client::given(client)?, repository.read("repository")?))
}

/// Frees an edit. What was not published or staged is forgotten.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_free(edit: *mut Edit) {
    free(edit);
}

/// Makes the repository: see `tagtrust_client_init`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_init(
    edit: *mut Edit,
    root_key: Text<'_>,
    targets_key: Text<'_>,
    local_snapshot: bool,
) -> Status {
    add(edit, |_| {
        let init = init(root_key, targets_key, local_snapshot)?;
        step(move |edit| edit.init(init.clone()))
    })
}

/// Signs a tag.
///
/// `digest` and `size` are those of the manifest or index; if `digest` is NULL,
/// the registry is asked. `custom` is JSON to sign with it, or NULL. Without
/// roles (`count` zero) it is signed as Docker does: in every first-level
/// delegation that admits it and that we hold a key for, or in `targets` if
/// there is no delegation.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_sign(
    edit: *mut Edit,
    tag: Text<'_>,
    digest: Text<'_>,
    size: u64,
    custom: Text<'_>,
    roles: TextArray<'_>,
    count: usize,
) -> Status {
    add(edit, |_| {
        let tag = tag.read("tag")?.to_owned();
        let target = target(digest.read_optional("digest")?, size, custom.read_optional("custom")?)?;
        let roles = roles.read_all(count, "roles")?;
        step(move |edit| match roles.as_slice() {
            [] => edit.sign(&tag, target.clone()),
            roles => edit.sign_in(&tag, target.clone(), roles),
        })
    })
}

/// Removes the signatures of a tag from `count` roles, or without roles from
/// every first-level delegation and from `targets`, where we hold a key.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_revoke(
    edit: *mut Edit,
    tag: Text<'_>,
    roles: TextArray<'_>,
    count: usize,
) -> Status {
    add(edit, |_| {
        let tag = tag.read("tag")?.to_owned();
        revoke(Some(tag), roles.read_all(count, "roles")?)
    })
}

/// As `tagtrust_edit_revoke` for all tags.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_revoke_all(edit: *mut Edit, roles: TextArray<'_>, count: usize) -> Status {
    add(edit, |_| revoke(None, roles.read_all(count, "roles")?))
}

fn revoke(tag: Option<String>, roles: Vec<String>) -> Result<Box<Step>> {
    step(move |edit| match roles.as_slice() {
        [] => edit.revoke(tag.as_deref()),
        roles => edit.revoke_in(tag.as_deref(), roles),
    })
}

/// Adds a signer as Docker does: its keys may sign for `targets/<name>` and
/// `targets/releases`, all tags. `public_keys` is the text of its PEM files.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_add_signer(edit: *mut Edit, name: Text<'_>, public_keys: Text<'_>) -> Status {
    add(edit, |client| {
        let name = name.read("name")?.to_owned();
        let keys = client.public_keys(public_keys.read("public_keys")?.as_bytes())?;
        step(move |edit| edit.add_signer(&name, keys.clone()))
    })
}

/// Removes a signer as Docker does. If nobody else's signature is left on the
/// tags of `targets/releases`, they are signed anew with a key at hand; without
/// one it needs `force`, and no tag counts until somebody signs.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_remove_signer(edit: *mut Edit, name: Text<'_>, force: bool) -> Status {
    add(edit, |_| {
        let name = name.read("name")?.to_owned();
        step(move |edit| edit.remove_signer(&name, force))
    })
}

/// Declares a delegation, such as "targets/team/qa", with the keys of a PEM text
/// and `count` paths: prefixes of the tags that it may sign, "" for all. One
/// that exists gets them added; `public_keys` may then be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_add_delegation(
    edit: *mut Edit,
    role: Text<'_>,
    public_keys: Text<'_>,
    paths: TextArray<'_>,
    count: usize,
) -> Status {
    add(edit, |client| {
        let role = role.read("role")?.to_owned();
        let keys = match public_keys.read_optional("public_keys")? {
            Some(pem) => client.public_keys(pem.as_bytes())?,
            None => Vec::new(),
        };
        let paths = paths.read_all(count, "paths")?;
        step(move |edit| edit.add_delegation(&role, keys.clone(), &paths))
    })
}

/// Ends a delegation and all below it.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_remove_delegation(edit: *mut Edit, role: Text<'_>) -> Status {
    add(edit, |_| {
        let role = role.read("role")?.to_owned();
        step(move |edit| edit.remove_delegation(&role))
    })
}

/// Takes keys and paths from a delegation.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_remove_from_delegation(
    edit: *mut Edit,
    role: Text<'_>,
    key_ids: TextArray<'_>,
    key_id_count: usize,
    paths: TextArray<'_>,
    path_count: usize,
) -> Status {
    add(edit, |_| {
        let role = role.read("role")?.to_owned();
        let key_ids = read_key_ids(key_ids, key_id_count)?;
        let paths = paths.read_all(path_count, "paths")?;
        step(move |edit| edit.remove_from_delegation(&role, key_ids.clone(), &paths))
    })
}

/// Takes keys from all delegations.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_purge_keys(edit: *mut Edit, key_ids: TextArray<'_>, count: usize) -> Status {
    add(edit, |_| {
        let key_ids = read_key_ids(key_ids, count)?;
        step(move |edit| edit.purge_keys(key_ids.clone()))
    })
}

/// Gives "root", "targets", "snapshot" or "timestamp" other keys: with
/// `server_managed` a new one on the server, else `count` that are at hand, or
/// without any a new one on this machine.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_rotate_key(
    edit: *mut Edit,
    role: Text<'_>,
    server_managed: bool,
    key_ids: TextArray<'_>,
    count: usize,
) -> Status {
    add(edit, |_| {
        let role = role.read("role")?.to_owned();
        let rotation = rotation(server_managed, key_ids, count)?;
        step(move |edit| edit.rotate_key(&role, rotation.clone()))
    })
}

/// Sets how many keys of a role must sign.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_set_threshold(edit: *mut Edit, role: Text<'_>, threshold: u32) -> Status {
    add(edit, |_| {
        let role = role.read("role")?.to_owned();
        step(move |edit| edit.set_threshold(&role, threshold))
    })
}

/// Signs the file of `targets` or of a delegation anew as it is.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_witness(edit: *mut Edit, role: Text<'_>) -> Status {
    add(edit, |_| {
        let role = role.read("role")?.to_owned();
        step(move |edit| edit.witness(&role))
    })
}

/// Signs anew whatever expires within this time and whose keys are at hand.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_renew(edit: *mut Edit, within_seconds: u64) -> Status {
    add(edit, |_| step(move |edit| edit.renew(Duration::from_secs(within_seconds))))
}

/// Adds the changes that were staged before, here or by `notary`. Publishing
/// ends them.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_staged(edit: *mut Edit) -> Status {
    add(edit, |_| step(|edit| edit.staged()))
}

/// Signs what changes and uploads it. If others publish at the same time, the
/// changes are made anew on top of theirs. After an error nothing is published,
/// except perhaps after `TAGTRUST_UNREACHABLE`: its message says if the upload may
/// have been stored. It can be tried again.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_publish(
    edit: *const Edit,
    publication: Option<&mut MaybeUninit<*mut Publication>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    end(edit, publication, error, |edit| Publication::new(edit.publish()?))
}

/// What would change. Needs no private key, makes none and publishes nothing. What
/// it fetches is cached, with trust on first use, as by `tagtrust_client_verify`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_dry_run(
    edit: *const Edit,
    publication: Option<&mut MaybeUninit<*mut Publication>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    end(edit, publication, error, |edit| Publication::new(edit.dry_run()?))
}

/// Stages the changes in Notary's changelist instead of publishing them:
/// `tagtrust_client_publish` or `notary publish` does that later. Rotations and
/// thresholds cannot be staged, nor can what makes a repository.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_stage(
    edit: *const Edit,
    publication: Option<&mut MaybeUninit<*mut Publication>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    end(edit, publication, error, |edit| Publication::new(edit.stage()?))
}

/// Signs what changes with the keys at hand, for others to add theirs with
/// `tagtrust_client_cosign`. The proposal is a small JSON file without secrets.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_edit_sign_partial(
    edit: *const Edit,
    proposal: Option<&mut MaybeUninit<*mut OwnedText>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    end(edit, proposal, error, |edit| Ok(OwnedText::new(&edit.sign_partial()?.to_json())))
}
