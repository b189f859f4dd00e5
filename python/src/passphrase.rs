//! Passphrases that Python answers.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;
use tagtrust::{PassphraseRequest, Zeroizing};

use crate::call::call_back;

/// The answer to `ask(key_id, role, create, attempt)`.
pub(crate) fn ask(ask: &Py<PyAny>, request: &PassphraseRequest<'_>) -> Option<Zeroizing<String>> {
    let PassphraseRequest { key_id, role, create, attempt, .. } = *request;
    let answer = |py: Python<'_>| {
        let answer = ask.bind(py).call1((key_id, role, create, attempt))?;
        if answer.is_none() {
            return Ok(None);
        }
        let text = answer.cast::<PyString>().map_err(|_| {
            let found = answer.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
            PyTypeError::new_err(format!("passphrase must return str or None, not {found}"))
        })?;
        secret(text).map(Some)
    };
    call_back(answer).flatten()
}

/// A passphrase. If it cannot be read, nothing of it stands in the exception.
pub(crate) fn secret(text: &Bound<'_, PyString>) -> PyResult<Zeroizing<String>> {
    match text.to_cow() {
        Ok(text) => Ok(Zeroizing::new(text.into_owned())),
        Err(_) => Err(PyValueError::new_err("the passphrase is no valid Unicode text")),
    }
}
