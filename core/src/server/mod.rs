//! The trust server: valid, signed, self-consistent metadata in, snapshots and
//! timestamps out.
//!
//! `rules` and `make` decide and build without any I/O, over the same trusted
//! set that clients use. `service` reads what they need from a `storage` and
//! signs with `keys`; `http` is around that.

mod auth;
mod config;
mod http;
mod keys;
pub mod maintenance;
mod make;
mod notary_config;
mod refusal;
mod rules;
mod running;
mod service;
mod storage;
pub mod takeover;
#[cfg(test)]
mod tests;
mod upload;

pub use config::{
    AccessLog, AuthConfig, KeysConfig, Limits, Passphrases, RemoteSignerConfig, ServerConfig, StorageConfig,
    Tls,
};
pub use notary_config::NotaryConfig;
pub use running::Server;
