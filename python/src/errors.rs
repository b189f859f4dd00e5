//! Errors become the exceptions of `tagtrust/_errors.py`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use tagtrust::Error;

/// The exception, to be raised.
pub(crate) fn raised(py: Python<'_>, error: &Error) -> PyErr {
    exception(py, error).map_or_else(|failure| failure, PyErr::from_value)
}

/// The exception, as a value.
pub(crate) fn exception<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    static FROM_CORE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let from_core = FROM_CORE.import(py, "tagtrust._errors", "from_core")?;
    from_core.call1((error.name(), error.to_string(), error.evidence()))
}
