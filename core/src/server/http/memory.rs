//! Memory for the bodies of uploads.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::server::refusal::Refusal;

/// What one permit stands for, in bytes.
const UNIT: usize = 1024;

/// All that there is for the bodies that are worked on.
pub(super) struct Memory {
    permits: Arc<Semaphore>,
    patience: Duration,
}

impl Memory {
    pub(super) fn new(bytes: u64, patience: Duration) -> Self {
        let units = usize::try_from(bytes).unwrap_or(usize::MAX).div_ceil(UNIT).min(Semaphore::MAX_PERMITS);
        Self { permits: Arc::new(Semaphore::new(units)), patience }
    }

    pub(super) fn room(&self) -> Room<'_> {
        Room { memory: self, taken: Vec::new(), units: 0 }
    }
}

/// What one body has of it. It takes more as it comes, so that who announces
/// much and sends nothing keeps nobody else out.
pub(super) struct Room<'m> {
    memory: &'m Memory,
    taken: Vec<OwnedSemaphorePermit>,
    units: usize,
}

impl Room<'_> {
    /// Makes room for this much in all. Nobody waits for ever.
    pub(super) async fn grow_to(&mut self, bytes: usize) -> Result<(), Refusal> {
        let missing = bytes.div_ceil(UNIT).saturating_sub(self.units);
        if missing == 0 {
            return Ok(());
        }
        let permits = Arc::clone(&self.memory.permits);
        let more = permits.acquire_many_owned(u32::try_from(missing).map_err(|_| Refusal::TooLarge)?);
        let more =
            timeout(self.memory.patience, more).await.ok().and_then(Result::ok).ok_or(Refusal::Busy)?;
        self.taken.push(more);
        self.units += missing;
        Ok(())
    }
}
