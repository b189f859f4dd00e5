//! What the files say: the envelope around every metadata file, and the four
//! kinds of content. Reading a file here decides nothing about trust, and writing
//! one signs nothing.

#[cfg(feature = "signing")]
mod draft;
mod envelope;
pub mod json;
mod plain;
pub mod role;
mod root;
mod snapshot;
mod targets;
mod time;

#[cfg(feature = "signing")]
pub(crate) use draft::{Object, write_key, write_signature, write_snapshot};
#[cfg(feature = "signing")]
pub use draft::{RootDraft, TargetMeta, TargetsDraft, write_file};
#[cfg(feature = "server")]
pub(crate) use draft::{escape_into, write_timestamp};
pub use envelope::{Envelope, Signature};
#[cfg(feature = "signing")]
pub(crate) use root::read_key;
pub use root::{MAX_ROLE_KEYS, RoleKeys, Root};
pub(crate) use snapshot::hex;
pub use snapshot::{FileMeta, Snapshot, Timestamp};
pub use targets::{DelegatedRole, Target, Targets};
pub(crate) use time::format as format_time;
#[cfg(feature = "signing")]
pub(crate) use time::parse as parse_time;

/// Most signatures that one file may carry. Stops files that cost a signature
/// check for every hundred bytes.
pub const MAX_SIGNATURES: usize = 1024;

/// What every `signed` object has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Common {
    /// Starts at 1 and grows with every change.
    pub version: i64,
    /// After this moment the file counts for nothing.
    pub expires: std::time::SystemTime,
}
