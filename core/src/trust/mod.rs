//! The decision, without I/O: bytes, a moment and pins in; typed, trusted
//! values or an error with evidence out. Every attack can be replayed against
//! this module from memory.
//!
//! A [`TrustedRoot`] is accepted first, by itself or as the successor of one
//! that was trusted before. A [`TrustedSet`] then takes timestamp, snapshot,
//! targets and delegations in that order, and answers which digest counts for
//! a tag. Only checked files ever get into either. [`TrustedSet::open`] and
//! [`TrustedSet::verify`] are the whole of it for whoever has the files.

pub(crate) mod check;
mod image;
mod names;
mod pinning;
mod policy;
mod resolve;
mod root;
mod set;
pub(crate) mod signatures;

pub use image::VerifiedImage;
#[cfg(all(feature = "http", feature = "signing"))]
pub(crate) use image::sha256_of;
pub use pinning::Pinning;
pub use policy::{Lookup, Policy, Rule};
pub use resolve::Found;
pub use root::{Expiry, TrustedRoot};
pub use set::{Floors, TrustedSet};

/// Panics where a test asks for it.
#[cfg(feature = "test-panics")]
pub(crate) fn test_panic(gun: &str) {
    assert!(!gun.ends_with("/tagtrust-test-panic"), "a test asked for this panic");
}

/// Most bytes of a timestamp, as in Notary.
pub const MAX_TIMESTAMP_BYTES: u64 = 1 << 20;
/// Most bytes of a root. Stricter than Notary's 100 MiB: a root is read before
/// any signature on it can be checked.
pub const MAX_ROOT_BYTES: u64 = 8 << 20;
/// Most bytes of any other file, whatever the referring file says; as in Notary.
pub const MAX_FILE_BYTES: u64 = 100 << 20;
/// Most bytes of all files of one repository. Stops a signer from filling memory.
pub const MAX_REPOSITORY_BYTES: u64 = 512 << 20;
/// Most root versions that are walked from the known root to the newest.
/// Stops endless chains.
pub const MAX_ROOT_ROTATIONS: i64 = 1024;
/// Most delegations that one repository may have. Stops endless trees.
pub const MAX_DELEGATIONS: usize = 1024;
/// Most tags that are looked at for one digest. Stops a signer from making
/// every answer expensive.
pub const MAX_TAGS_OF_A_DIGEST: usize = 4096;
