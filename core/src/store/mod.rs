//! What is kept on disk, in Docker's own layout and place: the metadata
//! cache, private keys and staged changes.
//!
//! Docker and `notary` use the same files without locks, and replace a file by
//! deleting it first. So whoever reads must bear with a file that is missing,
//! cut short or newer than its neighbours: what is read here is untrusted until
//! the trusted set has checked it. Among users of this library, what one of
//! them stored is seen as a whole or not at all, whoever is killed meanwhile.

mod cache;
#[cfg(feature = "signing")]
mod changes;
mod disk;
#[cfg(feature = "signing")]
mod keys;
mod lock;
#[cfg(test)]
mod tests;

#[cfg(feature = "http")]
pub(crate) use cache::Committed;
#[cfg(feature = "signing")]
pub(crate) use cache::is_plain;
pub(crate) use cache::{Store, View};
#[cfg(feature = "signing")]
pub(crate) use keys::{KeyStore, StoredKey, damaged, is_key_id};
