//! Docker Content Trust as a library.
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice, clippy::unreachable)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice))]

pub mod crypto;
mod error;
pub mod metadata;
mod reference;
#[cfg(feature = "http")]
mod remote;
mod store;

pub use error::{Error, Fault, Result, RootFault};
pub use reference::Reference;
