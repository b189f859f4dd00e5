//! Time: seconds as Python counts them, and the caller's own clock.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use tagtrust::Error;

use crate::call::{Call, Failure, attached};

/// Longest duration that a setting may have: 100 years. More would overflow a deadline.
const MAX_SECONDS: f64 = 100.0 * 365.25 * 86400.0;
/// When a clock failed, it is the end of the year 9999, so that nothing is
/// valid any more and nothing can be accepted.
const NEVER: Duration = Duration::from_secs(253_402_300_799);

/// A setting in seconds.
pub(crate) fn duration(what: &str, seconds: f64) -> tagtrust::Result<Duration> {
    if (0.0..=MAX_SECONDS).contains(&seconds) {
        return Ok(Duration::from_secs_f64(seconds));
    }
    let reason = "must be a number of seconds, not negative and less than 100 years".into();
    Err(Error::InvalidConfiguration { what: format!("{what}={seconds}"), reason })
}

/// A clock written in Python. What it raises is kept for the call that asked.
#[derive(Clone)]
pub(crate) struct Clock(Arc<Inner>);

struct Inner {
    now: Py<PyAny>,
    /// What it raised in threads of the core, of which we do not know for which call.
    stray: Failure,
}

impl Clock {
    pub(crate) fn new(now: Py<PyAny>) -> Self {
        Self(Arc::new(Inner { now, stray: Failure::default() }))
    }

    pub(crate) fn now(&self) -> SystemTime {
        attached(|py| moment(self.0.now.bind(py))).unwrap_or_else(|failure| {
            match Call::current() {
                Some(call) => call.failure().keep(failure),
                None => self.0.stray.keep(failure),
            }
            SystemTime::UNIX_EPOCH + NEVER
        })
    }

    /// The time, for whoever holds the interpreter.
    pub(crate) fn ask(&self, py: Python<'_>) -> PyResult<SystemTime> {
        moment(self.0.now.bind(py))
    }

    pub(crate) fn callback(&self) -> &Py<PyAny> {
        &self.0.now
    }

    /// What it has raised in threads of the core.
    pub(crate) fn stray_failure(&self) -> Option<PyErr> {
        self.0.stray.take()
    }
}

fn moment(clock: &Bound<'_, PyAny>) -> PyResult<SystemTime> {
    let now = clock.call0()?;
    if let Ok(seconds) = now.extract::<f64>() {
        let since_epoch =
            Duration::try_from_secs_f64(seconds).map_err(|error| PyValueError::new_err(error.to_string()))?;
        return SystemTime::UNIX_EPOCH
            .checked_add(since_epoch)
            .filter(|now| *now < SystemTime::UNIX_EPOCH + NEVER)
            .ok_or_else(|| PyValueError::new_err("the clock is past the year 9999"));
    }
    now.extract().map_err(|error: PyErr| {
        let reason = format!("clock must return seconds since 1970 or an aware datetime ({error})");
        PyTypeError::new_err(reason)
    })
}
