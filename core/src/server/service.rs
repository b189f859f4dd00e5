//! The trust service: what the rules need is read, what they say is done.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::keys::Keys;
use super::refusal::Refusal;
use super::storage::{Change, Storage, StoredFile, Window};
use crate::crypto::PublicKey;

type Result<T> = std::result::Result<T, Refusal>;

/// One trust service over one storage.
pub(crate) struct Service {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) keys: Arc<dyn Keys>,
    pub(super) settings: Settings,
}

/// What the service is told.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) snapshot_lifetime: Duration,
    pub(crate) timestamp_lifetime: Duration,
    pub(crate) read_only: bool,
    pub(crate) keep_versions: Option<usize>,
    /// What time it is; tests move it.
    pub(crate) clock: fn() -> SystemTime,
}
