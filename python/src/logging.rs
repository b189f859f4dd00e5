//! Log lines go to Python's logger `tagtrust`.

use log::LevelFilter;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3_log::{Caching, Logger};

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
        let _ = logger.install();
        Ok(())
    })
    .copied()
}
