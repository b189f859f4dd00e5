//! The C interface of tagtrust: `include/tagtrust.h` is made from this package.
//!
//! Nothing but translation. Arguments are read and results handed out in
//! [`boundary`], which holds nearly all of the unsafe code; `handle` knows the
//! objects that C holds; the other modules
//! are one for each object of the header, and for the client one for each of
//! its uses: [`client`] verifies, [`publish`] publishes, [`keys`] keeps keys. What
//! callers must keep to stands in the header's first comment (`cbindgen.toml`), and every `SAFETY` comment
//! refers to it.
#![deny(clippy::undocumented_unsafe_blocks)]

pub mod boundary;
pub mod callback;
pub mod client;
pub mod config;
pub mod edit;
pub mod error;
mod handle;
pub mod image;
pub mod inspection;
pub mod keys;
pub mod logging;
pub mod publication;
pub mod publish;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod server_config;
pub mod status;
pub mod text;
pub mod trusted_set;

use std::ffi::{CStr, c_char};

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("the package's version holds a NUL"),
};

/// The version of the library that is loaded, such as "0.1.0"; never freed.
///
/// `TAGTRUST_VERSION` is the version of the header.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_version() -> *const c_char {
    VERSION.as_ptr()
}
