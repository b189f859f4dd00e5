//! The private extension module `tagtrust._tagtrust`: the core's client, its
//! answers and its server as Python classes. Exceptions and settings are written in Python.
//!
//! Whatever may read a file, ask a server or compute runs detached from the
//! interpreter, so other Python threads go on meanwhile. Nothing counts on the
//! interpreter's lock: a free-threaded Python may load the module, too.

mod answers;
mod arguments;
mod call;
mod client;
mod clock;
mod edit;
mod errors;
mod logging;
mod passphrase;
mod publications;
mod server;
mod settings;
mod signer;
mod trusted_set;
mod values;

use pyo3::prelude::*;

#[pymodule]
mod _tagtrust {
    #[pymodule_export]
    use super::answers::{
        Image, InspectedKey, InspectedRole, Inspection, SignedTag, Signer, inspections_to_json,
    };
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
    use super::trusted_set::TrustedSet;

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
