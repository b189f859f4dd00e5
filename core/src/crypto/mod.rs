//! Keys and their IDs, signatures, root certificates, and the files of keys.
//!
//! Everything here reads untrusted bytes. The yardstick is Notary, that is Go's
//! `crypto` packages: nothing that they refuse is accepted. What is refused
//! beyond them stands at its check, marked `Stricter`.

mod bundle;
mod certificate;
mod chain;
mod digest;
mod issue;
mod key;
mod key_file;
mod pem_block;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
mod private_key;
mod public_pem;
mod random;
mod signature;
mod signer;
mod subject_key;

pub use bundle::{CertificateBundle, MAX_BUNDLE_BYTES, MAX_BUNDLE_CERTIFICATES, TrustAnchors};
pub use certificate::CertificateFault;
pub(crate) use digest::{sha256, sha512};
pub use issue::issue_root_certificate;
#[cfg(feature = "server")]
pub(crate) use issue::issue_server_certificate;
pub use key::{KeyId, KeyType, PublicKey};
pub use key_file::{KeyFile, KeyFileFault};
pub use private_key::PrivateKey;
pub use public_pem::{public_key_to_pem, public_keys_from_pem};
#[doc(hidden)]
pub use signature::Backend;
pub use signer::{Signer, sign_checked};
