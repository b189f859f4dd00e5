//! Calls of the core, and the Python code that is called back during them.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::errors::raised;

thread_local! {
    /// The calls that this thread works for. Of several the last one goes on,
    /// and each of the others waits for one of its callbacks.
    static CALLS: RefCell<Vec<Arc<Call>>> = const { RefCell::new(Vec::new()) };
}

/// One call of a client or trusted set, in as many threads as work for it.
pub(crate) struct Call {
    /// Tells them apart.
    client: usize,
    failure: Failure,
}

/// The first exception that callbacks have raised.
#[derive(Default)]
pub(crate) struct Failure(Mutex<Option<PyErr>>);

impl Call {
    /// A client may be held by locks while it calls back, so whoever is called
    /// must not use it: it would wait for itself.
    fn begin(client: usize) -> PyResult<Arc<Self>> {
        if CALLS.with_borrow(|calls| calls.iter().any(|call| call.client == client)) {
            return Err(PyRuntimeError::new_err("a callback must not use what calls it"));
        }
        Ok(Arc::new(Self { client, failure: Failure::default() }))
    }

    /// One call from its beginning to its end, without holding the interpreter. What
    /// callbacks raise meanwhile comes before any result.
    pub(crate) fn of<T: Send>(
        py: Python<'_>,
        client: usize,
        work: impl FnOnce(&Arc<Self>) -> tagtrust::Result<T> + Send,
    ) -> PyResult<T> {
        let call = Self::begin(client)?;
        let result = detached(py, || call.run(|| work(&call)));
        call.failure.take().map_or(result, Err)
    }

    /// The call that this thread works for.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CALLS.with_borrow(|calls| calls.last().cloned())
    }

    /// Works for this call in this thread.
    pub(crate) fn run<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        struct End;
        impl Drop for End {
            fn drop(&mut self) {
                let _ = CALLS.with_borrow_mut(Vec::pop);
            }
        }
        CALLS.with_borrow_mut(|calls| calls.push(Arc::clone(self)));
        let _end = End;
        work()
    }

    pub(crate) fn failure(&self) -> &Failure {
        &self.failure
    }
}

impl Failure {
    pub(crate) fn keep(&self, failure: PyErr) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            *first = Some(failure);
        }
    }

    pub(crate) fn take(&self) -> Option<PyErr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_some(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// Works without holding the interpreter. A panic ends here.
pub(crate) fn detached<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> tagtrust::Result<T> + Send,
) -> PyResult<T> {
    py.detach(|| tagtrust::Error::catch_panic(work).flatten()).map_err(|error| raised(py, &error))
}

/// Calls back for the call that this thread works for. What that raises is kept
/// for the call, and Python is asked nothing more during it.
pub(crate) fn call_back<T>(work: impl FnOnce(Python<'_>) -> PyResult<T>) -> Option<T> {
    let call = Call::current()?;
    if call.failure.is_some() {
        return None;
    }
    attached(work).map_err(|failure| call.failure.keep(failure)).ok()
}

/// Holds the interpreter while it works.
pub(crate) fn attached<T>(work: impl FnOnce(Python<'_>) -> PyResult<T>) -> PyResult<T> {
    let ended = || Err(PyRuntimeError::new_err("the interpreter has ended"));
    Python::try_attach(work).unwrap_or_else(ended)
}
