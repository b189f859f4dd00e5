//! Docker Content Trust as a library: which digest did a publisher sign for
//! `registry/repository:tag`?
//!
//! ```no_run
//! # #[cfg(feature = "http")] {
//! let client = tagtrust::Client::builder().build()?;
//! let image = client.verify("registry.example/team/app:1.2")?;
//! println!("{}", image.pinned_reference); // registry.example/team/app@sha256:…
//! # }
//! # Ok::<(), tagtrust::Error>(())
//! ```
//!
//! # What is guaranteed
//!
//! A [`VerifiedImage`] comes only from metadata that meets the rules of Notary
//! v1 from the root down to the tag: signatures by enough keys of each role,
//! checksums, versions not below those seen before, nothing expired, and the
//! caller's [`Pinning`] and [`Policy`]. Everything else is an [`Error`] that
//! says what is wrong and where. Where this library is stricter than Notary,
//! a comment at the check says `Stricter:`; `docs/differences.md` in the
//! repository lists what that means for users.
//!
//! # What is not
//!
//! Trust on first use, Docker's default, trusts whatever root the server shows
//! first. Whoever may write to the trust directory decides what was seen
//! before. A server can withhold news until the timestamp expires. Tags that a
//! compromised signer signs are signed.
//!
//! # The map
//!
//! [`metadata`] says what files mean, [`crypto`] checks signatures and
//! certificates, [`trust`] decides without any I/O. Around them, private and
//! only with the feature `http`: `store`, the trust directory; `remote`, the
//! requests; `client`, the operations that people call on [`Client`].
#![forbid(unsafe_code)]
#![cfg_attr(
    not(feature = "signing"),
    allow(dead_code, reason = "a few functions of shared modules have only publishers for callers")
)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unreachable
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

#[cfg(feature = "http")]
mod client;
pub mod crypto;
mod error;
pub mod metadata;
mod reference;
#[cfg(feature = "http")]
mod remote;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "signing")]
pub mod signing;
#[cfg(feature = "http")]
mod store;
pub mod trust;

#[cfg(all(feature = "http", feature = "signing"))]
pub use client::{
    ChangeSummary, Delegation, Edit, GeneratedKey, Init, KeyInfo, KeyKind, KeySelection, PassphraseRequest,
    PassphraseSource, Publication, RoleExpiry, Rotation, Target,
};
#[cfg(feature = "http")]
pub use client::{
    Client, ClientBuilder, InspectedKey, InspectedRole, Inspection, SignedTag, Signer, SignerKey,
    inspections_to_json,
};
#[cfg(feature = "pkcs11")]
pub use crypto::pkcs11;
pub use error::{Error, Fault, Result, RootFault};
pub use reference::Reference;
pub use trust::{Lookup, Pinning, Policy, Rule, TrustedSet, VerifiedImage};
#[cfg(feature = "signing")]
pub use zeroize::Zeroizing;

/// The Rust block of the README compiles.
#[cfg(all(doctest, feature = "http"))]
#[doc = include_str!("../../README.md")]
struct ReadmeIsCompiled;
