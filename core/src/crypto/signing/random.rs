//! Randomness of the operating system.

use crate::error::{Error, Result};

/// Random bytes that are no secret: salts, serial numbers.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(no_randomness)?;
    Ok(bytes)
}

pub(super) fn no_randomness(error: impl std::fmt::Display) -> Error {
    Error::Internal { reason: format!("the operating system gives no randomness: {error}") }
}
