//! Functions of the caller's that the library calls.
//!
//! They must not unwind. "C-unwind" makes it defined what happens if one does: an
//! exception ends the process in [`crate::boundary::guard`].

use std::ffi::c_void;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::boundary::call_out;
use crate::error::{Error, Result};

/// Gives the time in seconds since 1970 in UTC.
pub type ClockCallback = Option<extern "C-unwind" fn(data: *mut c_void) -> i64>;

/// A pointer of the caller's, only handed back to the callback it came with.
pub(crate) struct Data(pub(crate) *mut c_void);

// SAFETY: it is never read here, and by the header's contract callbacks may be
// called with it from any thread, from several at once.
unsafe impl Send for Data {}
// SAFETY: as above.
unsafe impl Sync for Data {}

/// The caller's clock.
pub(crate) struct Clock {
    now: extern "C-unwind" fn(*mut c_void) -> i64,
    data: Data,
}

impl Clock {
    pub(crate) fn new(now: ClockCallback, data: *mut c_void) -> Result<Self> {
        Ok(Self { now: now.ok_or_else(|| Error::argument("now is NULL"))?, data: Data(data) })
    }

    pub(crate) fn time(&self) -> SystemTime {
        let seconds = call_out(|| (self.now)(self.data.0));
        let distance = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "C-unwind" fn from_data(data: *mut c_void) -> i64 {
        // SAFETY: the test below hands in an i64.
        unsafe { *data.cast::<i64>() }
    }

    #[test]
    fn every_number_of_seconds_is_a_time() {
        for seconds in [0, 1, -1, i64::MAX, i64::MIN] {
            let mut data = seconds;
            let time = Clock::new(Some(from_data), (&raw mut data).cast()).unwrap().time();
            let distance = time.duration_since(UNIX_EPOCH).unwrap_or_else(|error| error.duration());
            assert_eq!((distance.as_secs(), time < UNIX_EPOCH), (seconds.unsigned_abs(), seconds < 0));
        }
    }
}
