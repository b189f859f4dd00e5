//! The trust server: valid, signed, self-consistent metadata in, snapshots and
//! timestamps out.
//!
//! `rules` and `make` decide and build without any I/O, over the same trusted
//! set that clients use. `service` reads what they need from a `storage` and
//! signs with `keys`; `http` is around that.

mod config;
mod keys;
mod refusal;
mod upload;
mod rules;
mod make;
mod service;
mod storage;

pub use config::{
    AccessLog, AuthConfig, KeysConfig, Limits, Passphrases, RemoteSignerConfig, ServerConfig, StorageConfig,
    Tls,
};
