//! Log lines go to Python's logger `tagtrust`.

use log::{LevelFilter, Log, Metadata, Record};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3_log::{Caching, Logger};

use crate::call::Call;

/// From now on sends our own log lines to Python. Those of other libraries stay
/// out: what they write into theirs is not ours to judge.
///
/// Called by whatever is made first: it imports `logging`, for which nobody who
/// imports this package should have to wait.
pub(crate) fn log_to_python(py: Python<'_>) -> PyResult<()> {
    static DONE: PyOnceLock<()> = PyOnceLock::new();
    DONE.get_or_try_init(py, || {
        let logger = Logger::new(py, Caching::Loggers)?
            .filter(LevelFilter::Off)
            .filter_target("tagtrust".to_owned(), LevelFilter::Debug);
        // Only fails if there is a logger already; the first one stays.
        if log::set_boxed_logger(Box::new(ToPython(logger))).is_ok() {
            log::set_max_level(LevelFilter::Debug);
        }
        Ok(())
    })
    .copied()
}

struct ToPython(Logger);

impl Log for ToPython {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    /// What a handler raises ends the call that logs; where there is none, Python shows it.
    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // None if the interpreter has ended, and with it all who listen.
        let _ = Python::try_attach(|py| {
            self.0.log(record);
            let Some(raised) = PyErr::take(py) else { return };
            match Call::current() {
                Some(call) => call.failure().keep(raised),
                None => raised.write_unraisable(py, None),
            }
        });
    }

    fn flush(&self) {}
}
