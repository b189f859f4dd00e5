//! What signs: private keys, their files, keys on tokens, and what is made with
//! them. A build that only verifies has nothing of this.

mod issue;
mod key_file;
mod pem_block;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
mod private_key;
mod public_pem;
mod random;
mod signer;

pub use issue::issue_root_certificate;
#[cfg(feature = "server")]
pub(crate) use issue::issue_server_certificate;
pub use key_file::{KeyFile, KeyFileFault};
pub use private_key::PrivateKey;
pub use public_pem::{public_key_to_pem, public_keys_from_pem};
pub use signer::{Signer, sign_checked};
