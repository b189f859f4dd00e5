//! Making trust data, without I/O: changes go in, files to upload come out.
//!
//! A [`Draft`] begins with what is trusted of a repository, or with nothing.
//! [`Change`]s, the entries of Notary's changelist, are applied to it one after
//! the other. What then has to be signed is one [`Unsigned`] for each role, and
//! signatures by enough of the role's keys make it a [`SignedFile`]. A
//! [`Proposal`] carries signatures between people of whom nobody has all keys.

/// Highest version that is believed of a file that nobody vouches for. Stops
/// servers and proposals from using up the versions of a role.
pub(crate) const MAX_UNVOUCHED_VERSION: i64 = 1 << 20;

mod change;
mod draft;
mod proposal;
mod sign;
#[cfg(test)]
mod tests;

pub use change::Change;
pub use draft::{Draft, Lifetimes};
pub use proposal::Proposal;
#[cfg(feature = "http")]
pub(crate) use sign::as_rfc3339;
pub use sign::{SignedFile, SignerSource, Unsigned, sign};
