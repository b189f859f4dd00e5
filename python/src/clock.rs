//! Time: seconds as Python counts them, and the caller's own clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use tagtrust::Error;

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
    failure: Mutex<Option<PyErr>>,
}

impl Clock {
    pub(crate) fn new(now: Py<PyAny>) -> Self {
        Self(Arc::new(Inner { now, failure: Mutex::new(None) }))
    }

    pub(crate) fn now(&self) -> SystemTime {
        let now = Python::try_attach(|py| moment(self.0.now.bind(py)));
        let failure = match now {
            Some(Ok(now)) => return now,
            Some(Err(failure)) => failure,
            None => PyRuntimeError::new_err("the interpreter has ended"),
        };
        *self.0.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        SystemTime::UNIX_EPOCH + NEVER
    }

    /// What the clock has raised since the last call.
    pub(crate) fn failure(&self) -> Option<PyErr> {
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
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
