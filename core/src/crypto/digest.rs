//! SHA-256 and SHA-512, by the library that TLS brings where there is TLS: a
//! third less work where the processor has no instructions for SHA-256, and
//! SHA-512 a little faster everywhere.

#[cfg(feature = "ring")]
use ring::digest::{SHA256, SHA512, digest};
#[cfg(not(feature = "ring"))]
use sha2::{Digest, Sha256, Sha512};

pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    #[cfg(feature = "ring")]
    return copied(digest(&SHA256, data).as_ref());
    #[cfg(not(feature = "ring"))]
    Sha256::digest(data).into()
}

pub(crate) fn sha512(data: &[u8]) -> [u8; 64] {
    #[cfg(feature = "ring")]
    return copied(digest(&SHA512, data).as_ref());
    #[cfg(not(feature = "ring"))]
    Sha512::digest(data).into()
}

#[cfg(feature = "ring")]
fn copied<const N: usize>(digest: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(digest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::hex;

    #[test]
    fn digests_are_those_of_the_standard() {
        // FIPS 180-2, appendices B.1 and C.1.
        assert_eq!(
            hex(sha256(b"abc").as_ref()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            hex(sha512(b"abc").as_ref()),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
    }
}
