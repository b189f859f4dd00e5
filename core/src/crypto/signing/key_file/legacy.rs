//! Encryption of PEM by RFC 1423, as Notary wrote it before 0.6 and OpenSSL
//! before 1.0. Read, never written.

use base16ct::mixed;
use md5::{Digest, Md5};
use zeroize::Zeroizing;

use super::KeyFileFault;
use super::cipher::Cipher;

/// The header with the cipher and its initialisation vector.
pub(super) const DEK_INFO: &str = "DEK-Info";

pub(super) fn decrypt(
    ciphertext: &[u8],
    dek_info: &str,
    passphrase: &str,
) -> Result<Zeroizing<Vec<u8>>, KeyFileFault> {
    let malformed = || KeyFileFault::Malformed("the header DEK-Info".into());
    let (name, iv) = dek_info.split_once(',').ok_or_else(malformed)?;
    let cipher = match name {
        "AES-128-CBC" => Cipher::Aes128,
        "AES-192-CBC" => Cipher::Aes192,
        "AES-256-CBC" => Cipher::Aes256,
        "DES-EDE3-CBC" => Cipher::TripleDes,
        other => return Err(KeyFileFault::Unsupported(format!("encryption with {other:?}"))),
    };
    let iv = mixed::decode_vec(iv).map_err(|_| malformed())?;
    let salt = iv.first_chunk().ok_or_else(malformed)?;
    if iv.len() != cipher.block_size() {
        return Err(malformed());
    }
    let key = derive(passphrase, salt, cipher.key_size());
    cipher.decrypt(&key, &iv, ciphertext).ok_or(KeyFileFault::WrongPassphrase)
}

/// OpenSSL's `EVP_BytesToKey` with MD5 and one iteration.
fn derive(passphrase: &str, salt: &[u8; 8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(length + 16));
    while key.len() < length {
        let previous = key.last_chunk::<16>().map_or(&[][..], |block| block);
        let digest = Md5::new().chain_update(previous).chain_update(passphrase).chain_update(salt);
        let block = Zeroizing::new(<[u8; 16]>::from(digest.finalize()));
        key.extend_from_slice(&*block);
    }
    key.truncate(length);
    key
}
