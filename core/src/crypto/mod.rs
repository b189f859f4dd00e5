//! Keys and their IDs, signatures, root certificates, and the files of keys.
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
#[cfg(feature = "signing")]
mod signing;
mod subject_key;

pub use bundle::{CertificateBundle, MAX_BUNDLE_BYTES, MAX_BUNDLE_CERTIFICATES, TrustAnchors};
pub use certificate::CertificateFault;
pub(crate) use digest::{sha256, sha512};
pub use key::{KeyId, KeyType, PublicKey};
#[doc(hidden)]
pub use signature::Backend;
#[cfg(feature = "server")]
pub(crate) use signing::issue_server_certificate;
#[cfg(feature = "pkcs11")]
pub use signing::pkcs11;
#[cfg(feature = "signing")]
pub use signing::{
    KeyFile, KeyFileFault, PrivateKey, Signer, issue_root_certificate, public_key_to_pem,
    public_keys_from_pem, sign_checked,
};
