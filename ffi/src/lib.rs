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
#![cfg_attr(
    not(feature = "signing"),
    allow(dead_code, reason = "some kinds of arguments occur only in functions for publishers")
)]

pub mod boundary;
pub mod callback;
#[cfg(feature = "http")]
pub mod client;
#[cfg(feature = "http")]
pub mod client_config;
pub mod config;
#[cfg(feature = "signing")]
pub mod edit;
pub mod error;
mod handle;
pub mod image;
#[cfg(feature = "http")]
pub mod inspection;
#[cfg(feature = "signing")]
pub mod key_callback;
#[cfg(feature = "signing")]
pub mod keys;
pub mod logging;
#[cfg(feature = "signing")]
pub mod publication;
#[cfg(feature = "signing")]
pub mod publish;
#[cfg(feature = "signing")]
pub mod publishing_config;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod server_config;
mod settings;
#[cfg(feature = "server")]
mod signal;
pub mod status;
#[cfg(all(test, feature = "test-panics"))]
mod test_panics;
#[cfg(feature = "signing")]
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
