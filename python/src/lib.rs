//! The private extension module `tagtrust._tagtrust`: the core's client, its
//! answers and its server as Python classes. Exceptions and settings are written in Python.
//!
//! Whatever may read a file, ask a server or compute runs detached from the
//! interpreter, so other Python threads go on meanwhile.

mod answers;
mod arguments;
mod call;
mod client;
mod clock;
mod edit;
mod errors;
mod passphrase;
mod publications;
mod server;
mod settings;
mod signer;

use log::LevelFilter;
use pyo3::prelude::*;
use pyo3_log::{Caching, Logger};

#[pymodule]
mod _tagtrust {
    #[pymodule_export]
    use super::answers::{Image, Inspection, SignedTag, Signer, inspections_to_json};
    #[pymodule_export]
    use super::client::Client;
    #[pymodule_export]
    use super::edit::Edit;
    #[pymodule_export]
    use super::publications::{
        Change, Delegation, Expiry, GeneratedKey, Key, Proposal, Publication, SignedFile,
    };
    #[pymodule_export]
    use super::server::Server;
    #[pymodule_export]
    use super::signer::CallbackSigner;

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    fn init(module: &super::Bound<'_, super::PyModule>) -> super::PyResult<()> {
        super::log_to_python(module.py())
    }
}

/// Sends our own log lines to Python's logger `tagtrust`. Those of other
/// libraries stay out: what they write into theirs is not ours to judge.
fn log_to_python(py: Python<'_>) -> PyResult<()> {
    let logger = Logger::new(py, Caching::Loggers)?
        .filter(LevelFilter::Off)
        .filter_target("tagtrust".to_owned(), LevelFilter::Debug);
    // Only fails if the module is initialised twice; the first logger stays.
    let _ = logger.install();
    Ok(())
}
