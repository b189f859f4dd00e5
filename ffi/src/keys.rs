//! The private keys of this user.

use std::mem::MaybeUninit;

use tagtrust_core::{KeyKind, KeySelection};

use crate::boundary::{Text, TextArray, attempt, create};
use crate::client::{Client, given};
use crate::error::{Error, Result};
use crate::status::Status;
use crate::text::OwnedText;

/// All private keys: root keys first, then by repository, role and ID. JSON: an
/// array of objects with `id`, `role`, `gun` (the repository, or null) and
/// `location`, which is the file, or "signer" for one of
/// `tagtrust_config_add_signer`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_keys(
    client: *const Client,
    json: Option<&mut MaybeUninit<*mut OwnedText>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(json, error, || OwnedText::json(&given(client)?.keys()?))
}

/// Makes a signer's key as `docker trust key generate` does: the private half
/// goes to the trust directory, the public one to `<name>.pub` in `directory`.
/// JSON: an object with `id` and `public_key_file`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_generate_key(
    client: *const Client,
    name: Text<'_>,
    directory: Text<'_>,
    json: Option<&mut MaybeUninit<*mut OwnedText>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(json, error, || {
        OwnedText::json(&given(client)?.generate_key(name.read("name")?, directory.read("directory")?)?)
    })
}

/// As `tagtrust_client_generate_key`, with an Ed25519 key: every Notary client
/// verifies and signs with such a key, but `docker trust signer add` does not
/// read its public file.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_generate_ed25519_key(
    client: *const Client,
    name: Text<'_>,
    directory: Text<'_>,
    json: Option<&mut MaybeUninit<*mut OwnedText>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(json, error, || {
        let (name, directory) = (name.read("name")?, directory.read("directory")?);
        OwnedText::json(&given(client)?.generate_key_of(KeyKind::Ed25519, name, directory)?)
    })
}

/// Loads the private keys in a file into the trust directory, as `docker trust
/// key load` does. `name`, which may be NULL, becomes the role of keys whose file
/// has none. JSON: the loaded keys, as of `tagtrust_client_keys`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_load_key(
    client: *const Client,
    file: Text<'_>,
    name: Text<'_>,
    json: Option<&mut MaybeUninit<*mut OwnedText>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(json, error, || {
        let name = name.read_optional("name")?.unwrap_or_default();
        OwnedText::json(&given(client)?.load_key(file.read("file")?, name)?)
    })
}

/// Imports private keys from the text of a PEM file, such as
/// `tagtrust_client_export_keys` and `notary key export` write. `role` and `gun`,
/// which may be NULL, are for keys whose headers do not say. JSON: the imported
/// keys, as of `tagtrust_client_keys`.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_import_keys(
    client: *const Client,
    pem: Text<'_>,
    role: Text<'_>,
    gun: Text<'_>,
    json: Option<&mut MaybeUninit<*mut OwnedText>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(json, error, || {
        let (role, gun) = (role.read_optional("role")?, gun.read_optional("gun")?);
        OwnedText::json(&given(client)?.import_keys(pem.read("pem")?.as_bytes(), role, gun)?)
    })
}

/// The private keys with `count` IDs, or those for one repository (`gun`), or
/// with neither of them all: PEM, byte for byte what `notary key export` writes.
/// Each stays encrypted as it is on disk.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_export_keys(
    client: *const Client,
    gun: Text<'_>,
    key_ids: TextArray<'_>,
    count: usize,
    pem: Option<&mut MaybeUninit<*mut OwnedText>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(pem, error, || {
        let selection = select(gun.read_optional("gun")?, key_ids.read_all(count, "key_ids")?)?;
        Ok(OwnedText::new(given(client)?.export_keys(&selection)?.as_bytes()))
    })
}

fn select(gun: Option<&str>, key_ids: Vec<String>) -> Result<KeySelection> {
    match gun {
        Some(_) if !key_ids.is_empty() => Err(Error::argument("there are both gun and key_ids")),
        Some(gun) => Ok(KeySelection::Gun(gun.to_owned())),
        None if key_ids.is_empty() => Ok(KeySelection::All),
        None => Ok(KeySelection::Ids(key_ids)),
    }
}

/// Encrypts a key with another passphrase; if it is NULL, the client's callback
/// or environment variable is asked for the new one too.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_change_passphrase(
    client: *const Client,
    key_id: Text<'_>,
    passphrase: Text<'_>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    attempt(error, || {
        let passphrase = passphrase.read_optional("passphrase")?;
        Ok(given(client)?.change_passphrase(key_id.read("key_id")?, passphrase)?)
    })
}

/// Removes a private key. Without a copy it is gone for good.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_client_remove_key(
    client: *const Client,
    key_id: Text<'_>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    attempt(error, || Ok(given(client)?.remove_key(key_id.read("key_id")?)?))
}
