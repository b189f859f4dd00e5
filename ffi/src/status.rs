//! The numbers of all outcomes.

use std::ffi::{CStr, c_char, c_int};
use std::ptr;

use crate::boundary::guard;

/// How a call ended.
///
/// 1 to 9 are mistakes of the caller, 10 to 29 refusals (the image is not
/// trusted), 30 to 39 mean that it could not be decided, 40 to 49 that it could
/// not be published, 99 is a defect of the library. Whatever is not
/// `TAGTRUST_OK` means: do not use the image, or: it is not published, except
/// perhaps after `TAGTRUST_UNREACHABLE`, whose message says if the upload may have
/// been stored. Numbers are never reused, and new ones may come.
/// cbindgen:rename-all=prefix:TAGTRUST_
#[expect(non_camel_case_types, reason = "the names that C has")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum Status {
    /// Done; for a verification: trusted.
    OK = 0,
    /// The image reference cannot be read.
    INVALID_REFERENCE = 1,
    /// A setting cannot be used.
    INVALID_CONFIGURATION = 2,
    /// An argument is NULL that may not be, or not UTF-8.
    INVALID_ARGUMENT = 3,
    /// A name, key, file or value that was given cannot be used.
    INVALID_INPUT = 4,
    /// The trust server has nothing for this repository.
    NO_TRUST_DATA = 10,
    /// The repository is signed, this tag (or digest) in it is not.
    TAG_NOT_SIGNED = 11,
    /// The reference has a tag and a digest, and the publisher signed another digest.
    DIGEST_MISMATCH = 12,
    /// Trust data that is past its expiry.
    EXPIRED = 13,
    /// The server offers older trust data than was seen before.
    ROLLED_BACK = 14,
    /// Trust data that is not what its signers published.
    TAMPERED = 15,
    /// A root that does not match the pins, or does not follow from the known root.
    ROOT_NOT_TRUSTED = 16,
    /// Correctly signed, but not by the signers that were required.
    POLICY_VIOLATION = 17,
    /// The trust server gave no usable answer.
    UNREACHABLE = 30,
    /// The trust server wants other credentials.
    UNAUTHORIZED = 31,
    /// The trust directory cannot be read or written, or is damaged.
    STORE_ERROR = 32,
    /// No private key at hand may sign for a role.
    KEY_NOT_FOUND = 40,
    /// A private key could not be decrypted, or a new one has no acceptable passphrase.
    WRONG_PASSPHRASE = 41,
    /// What was to be published contradicts what others have published meanwhile.
    CONFLICT = 42,
    /// The trust server refused an upload or another request to change something.
    SERVER_REJECTED = 43,
    /// A defect of the library. Nothing was trusted.
    INTERNAL = 99,
}

/// Every status and its name, which is also that of Python's exception.
const NAMES: [(Status, &CStr); 21] = [
    (Status::OK, c"OK"),
    (Status::INVALID_REFERENCE, c"InvalidReference"),
    (Status::INVALID_CONFIGURATION, c"InvalidConfiguration"),
    (Status::INVALID_ARGUMENT, c"InvalidArgument"),
    (Status::INVALID_INPUT, c"InvalidInput"),
    (Status::NO_TRUST_DATA, c"NoTrustData"),
    (Status::TAG_NOT_SIGNED, c"TagNotSigned"),
    (Status::DIGEST_MISMATCH, c"DigestMismatch"),
    (Status::EXPIRED, c"Expired"),
    (Status::ROLLED_BACK, c"RolledBack"),
    (Status::TAMPERED, c"Tampered"),
    (Status::ROOT_NOT_TRUSTED, c"RootNotTrusted"),
    (Status::POLICY_VIOLATION, c"PolicyViolation"),
    (Status::UNREACHABLE, c"Unreachable"),
    (Status::UNAUTHORIZED, c"Unauthorized"),
    (Status::STORE_ERROR, c"StoreError"),
    (Status::KEY_NOT_FOUND, c"KeyNotFound"),
    (Status::WRONG_PASSPHRASE, c"WrongPassphrase"),
    (Status::CONFLICT, c"Conflict"),
    (Status::SERVER_REJECTED, c"ServerRejected"),
    (Status::INTERNAL, c"InternalError"),
];

impl Status {
    pub(crate) fn of(error: &tagtrust_core::Error) -> Self {
        let known = NAMES.iter().find(|(status, _)| *status as u32 == error.code());
        known.map_or(Self::INTERNAL, |(status, _)| *status)
    }
}

/// The name of a status, such as "TagNotSigned"; NULL for an unknown number.
/// Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_status_name(status: c_int) -> *const c_char {
    let name = || NAMES.iter().find(|(known, _)| *known as c_int == status).map(|(_, name)| name.as_ptr());
    guard(name).ok().flatten().unwrap_or(ptr::null())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What `code` and `name` of core's error say, by variant: from the source,
    /// because nothing else lists all variants.
    fn core_list() -> BTreeMap<u32, String> {
        let source = include_str!("../../core/src/error.rs");
        let arms =
            source.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" { .. } => "));
        let (mut codes, mut names) = (BTreeMap::new(), BTreeMap::new());
        for (variant, value) in arms {
            let value = value.trim_end_matches(',');
            match value.parse::<u32>() {
                Ok(code) => drop(codes.insert(variant, code)),
                Err(_) => drop(names.insert(variant, value.trim_matches('"').to_owned())),
            }
        }
        codes.into_iter().map(|(variant, code)| (code, names.remove(variant).unwrap())).collect()
    }

    #[test]
    fn every_error_of_core_has_its_number_and_name_here_and_no_other_has() {
        let mut ours: BTreeMap<u32, String> =
            NAMES.iter().map(|(status, name)| (*status as u32, name.to_str().unwrap().to_owned())).collect();
        assert_eq!(ours.len(), NAMES.len());
        assert_eq!(ours.remove(&(Status::OK as u32)).as_deref(), Some("OK"));
        assert_eq!(ours.remove(&(Status::INVALID_ARGUMENT as u32)).as_deref(), Some("InvalidArgument"));
        assert_eq!(ours, core_list());
    }

    #[test]
    fn the_list_is_that_of_the_header() {
        let header = include_str!("../../include/tagtrust.h");
        let declared =
            header.lines().filter_map(|line| line.trim().strip_prefix("TAGTRUST_")?.split_once(" = "));
        let declared = declared.map(|(name, _)| name).filter(|name| !name.starts_with("LOOKUP_"));
        let declared: Vec<String> = declared.map(str::to_owned).collect();
        assert_eq!(declared, NAMES.map(|(status, _)| format!("{status:?}")));
    }
}
