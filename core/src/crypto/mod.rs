//! Public keys and their IDs, signatures, and root certificates.
//!
//! Everything here reads untrusted bytes. The yardstick is Notary, that is Go's
//! `crypto` packages: nothing that they refuse is accepted. What is refused
//! beyond them stands at its check, marked `Stricter`.

mod bundle;
mod certificate;
mod chain;
mod digest;
mod key;
mod signature;
mod subject_key;

pub use bundle::{CertificateBundle, MAX_BUNDLE_BYTES, MAX_BUNDLE_CERTIFICATES, TrustAnchors};
pub use certificate::CertificateFault;
pub(crate) use digest::{sha256, sha512};
pub use key::{KeyId, KeyType, PublicKey};
#[doc(hidden)]
pub use signature::Backend;
