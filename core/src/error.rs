//! One error type: every variant is one thing that a caller would do
//! differently, and carries its evidence.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;

/// What every fallible function here returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a tag is not trusted, or why that could not be decided.
///
/// [`Error::code`] gives the stable number that C, Go and Python share;
/// [`Error::is_refusal`] tells "the answer is no" from "there is no answer".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Error {
    /// The image reference cannot be read.
    #[error("invalid image reference {reference:?}: {reason}")]
    InvalidReference {
        /// The reference as given.
        reference: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting of the client cannot be used.
    #[error("invalid configuration: {what}: {reason}")]
    InvalidConfiguration {
        /// The setting, and its value where that is no secret.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A name, key, file or value that was given cannot be used.
    #[error("invalid {what}: {reason}")]
    InvalidInput {
        /// What it is, and its value where that is no secret.
        what: String,
        /// What is wrong with it, and what would do.
        reason: String,
    },
    /// The trust server has nothing for this repository.
    #[error("{server} does not have trust data for {gun}")]
    NoTrustData {
        /// The repository's globally unique name (GUN).
        gun: String,
        /// The trust server's URL.
        server: String,
    },
    /// The repository is signed, this tag (or digest) in it is not.
    #[error("no valid trust data for {name} in {gun}: {reason}")]
    TagNotSigned {
        /// The repository's globally unique name (GUN).
        gun: String,
        /// The tag or digest that was looked for.
        name: String,
        /// Where it was looked for, and what was found instead.
        reason: String,
    },
    /// The reference has a tag and a digest, and the publisher signed another digest.
    #[error("{gun}:{tag} is signed with digest {signed}, not {requested}")]
    DigestMismatch {
        /// The repository's globally unique name (GUN).
        gun: String,
        /// The tag.
        tag: String,
        /// The digest in the reference, `sha256:…`.
        requested: String,
        /// The digest that is signed, `sha256:…`.
        signed: String,
    },
    /// Trust data that is past its expiry.
    #[error("{role} of {gun} expired at {expired}")]
    Expired {
        /// The repository's globally unique name (GUN).
        gun: String,
        /// The role whose metadata expired.
        role: String,
        /// When, as RFC 3339 in UTC.
        expired: String,
    },
    /// The server offers older trust data than this client has already seen.
    #[error("{role} of {gun} was rolled back: version {found} is lower than current version {known}")]
    RolledBack {
        /// The repository's globally unique name (GUN).
        gun: String,
        /// The role whose metadata is older.
        role: String,
        /// The version already seen.
        known: i64,
        /// The version offered.
        found: i64,
    },
    /// Trust data that is not what its signers published.
    #[error("{role} of {gun} cannot be trusted: {fault}")]
    Tampered {
        /// The repository's globally unique name (GUN).
        gun: String,
        /// The role whose metadata is at fault.
        role: String,
        /// What is wrong.
        fault: Fault,
    },
    /// A root that does not match the pins, or that does not follow from the known root.
    #[error("the root of {gun} is not trusted: {fault}")]
    RootNotTrusted {
        /// The repository's globally unique name (GUN).
        gun: String,
        /// What is wrong.
        fault: RootFault,
    },
    /// Correctly signed, but not by the signers that the policy wants.
    #[error("{gun}:{tag} does not satisfy the policy: {reason}")]
    PolicyViolation {
        /// The repository's globally unique name (GUN).
        gun: String,
        /// The tag.
        tag: String,
        /// Which rule, and which signers were found.
        reason: String,
    },
    /// The trust server (or its token server) gave no usable answer.
    #[error("cannot reach trust server {url}: {reason}")]
    Unreachable {
        /// The URL that was asked.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The trust server wants other credentials.
    #[error("not authorized by trust server {url}: {reason}")]
    Unauthorized {
        /// The URL that was asked.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The trust directory, or the storage of a server, cannot be read or written,
    /// or holds damaged files.
    #[error("cannot use {path}: {reason}")]
    StoreError {
        /// The file or directory.
        path: String,
        /// What happened, and what to do.
        reason: String,
    },
    /// No private key at hand may sign for a role.
    #[error("no signing key for {role}: {reason}")]
    KeyNotFound {
        /// The role that has to be signed, or what the key was wanted for.
        role: String,
        /// Canonical IDs of the keys of which one would do.
        key_ids: Vec<String>,
        /// Where they were looked for, and what to do.
        reason: String,
    },
    /// A private key could not be decrypted, or a new one has no acceptable passphrase.
    #[error("passphrase of {role} key {key_id}: {reason}")]
    WrongPassphrase {
        /// The canonical ID of the key.
        key_id: String,
        /// What the key is for: `root`, `targets`, or the name of a signer.
        role: String,
        /// What happened.
        reason: String,
    },
    /// What was to be published contradicts what others have published meanwhile.
    #[error("{gun} was changed by somebody else: {reason}")]
    Conflict {
        /// The repository's globally unique name (GUN).
        gun: String,
        /// Which change contradicts which, and what to do.
        reason: String,
    },
    /// The trust server refused an upload or another request to change something.
    #[error("trust server {url} rejected the operation: {reason}")]
    ServerRejected {
        /// The URL that was asked.
        url: String,
        /// The server's code and message.
        reason: String,
    },
    /// A defect in this library. Nothing was trusted.
    #[error("internal error: {reason}")]
    Internal {
        /// What happened.
        reason: String,
    },
}

/// What is wrong with one metadata file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// Not JSON, not the expected shape, or more than one reading is possible.
    #[error("malformed: {0}")]
    Malformed(String),
    /// `_type` names another kind of file.
    #[error("has type {found:?}, not {expected:?}")]
    WrongType {
        /// The type that this role must have.
        expected: String,
        /// The type in the file.
        found: String,
    },
    /// The bytes are not those that the signed referring file names.
    #[error("{algorithm} checksum is {found}, not {expected}")]
    Checksum {
        /// `sha256` or `sha512`.
        algorithm: &'static str,
        /// Hex, from the referring file.
        expected: String,
        /// Hex, of the bytes at hand.
        found: String,
    },
    /// A signed file lists it, and the server does not have it.
    #[error("is listed in the signed metadata, but the server does not have it")]
    Missing,
    /// Larger than its limit.
    #[error("is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// No signature at all.
    #[error("has no signatures")]
    NoSignatures,
    /// Too few distinct keys of the role signed validly.
    #[error("valid signatures did not meet the threshold: {valid} of {needed}, keys of the role: {}", key_ids.join(", "))]
    Threshold {
        /// Signatures needed.
        needed: u32,
        /// Distinct keys of the role with a valid signature.
        valid: u32,
        /// The key IDs that may sign for the role.
        key_ids: Vec<String>,
    },
    /// A key stands under an ID that is not its own.
    #[error("key ID {listed} is not valid for key content, which has {computed}")]
    KeyId {
        /// The ID under which the key stands.
        listed: String,
        /// The ID of the key's content.
        computed: String,
    },
}

/// What is wrong with a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RootFault {
    /// No certificate of the root role is usable for this repository.
    #[error("unable to retrieve valid leaf certificates: {0}")]
    NoValidCertificate(String),
    /// The pins of the caller admit none of the root's certificates.
    #[error("unable to match any certificates to the trust pinning: {0}")]
    PinMismatch(String),
    /// Not signed by enough keys of the root that was trusted before.
    #[error("could not rotate trust to a new trusted root: version {to} does not carry {needed} signatures of the keys of version {from}: {}", key_ids.join(", "))]
    BrokenRotation {
        /// Version of the root that is trusted.
        from: i64,
        /// Version of the root that is not.
        to: i64,
        /// Signatures needed.
        needed: u32,
        /// Root key IDs of the trusted version.
        key_ids: Vec<String>,
    },
    /// Not signed by enough of its own root keys.
    #[error("failed to validate integrity of roots: {valid} of {needed} signatures, usable keys: {}", key_ids.join(", "))]
    BrokenIntegrity {
        /// Signatures needed.
        needed: u32,
        /// Distinct usable keys with a valid signature.
        valid: u32,
        /// Root key IDs with a usable certificate.
        key_ids: Vec<String>,
    },
    /// The chain of root versions has a hole or is too long.
    #[error("the chain of root versions is broken: {0}")]
    BrokenChain(String),
}

impl Error {
    /// Runs `body`, and makes a panic in it [`Error::Internal`]: for bindings, whose
    /// callers cannot unwind.
    ///
    /// Clients, servers and trusted sets can be used after a panic. Whatever else `body`
    /// changes must not mind to be left half changed.
    ///
    /// # Errors
    /// [`Error::Internal`] with the message of the panic.
    pub fn catch_panic<T>(body: impl FnOnce() -> T) -> Result<T> {
        catch_unwind(AssertUnwindSafe(body)).map_err(|panic| {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            Self::Internal { reason: text.unwrap_or("a panic without a message").into() }
        })
    }

    /// The stable number of this class of error: what `tagtrust_status` has in C.
    ///
    /// Numbers are never reused. 1 to 9 are the caller's input, 10 to 29
    /// refusals, 30 to 39 what could not be decided, 40 to 49 what could not be
    /// published, 99 a defect of ours.
    pub fn code(&self) -> u32 {
        match self {
            Self::InvalidReference { .. } => 1,
            Self::InvalidConfiguration { .. } => 2,
            Self::InvalidInput { .. } => 4,
            Self::NoTrustData { .. } => 10,
            Self::TagNotSigned { .. } => 11,
            Self::DigestMismatch { .. } => 12,
            Self::Expired { .. } => 13,
            Self::RolledBack { .. } => 14,
            Self::Tampered { .. } => 15,
            Self::RootNotTrusted { .. } => 16,
            Self::PolicyViolation { .. } => 17,
            Self::Unreachable { .. } => 30,
            Self::Unauthorized { .. } => 31,
            Self::StoreError { .. } => 32,
            Self::KeyNotFound { .. } => 40,
            Self::WrongPassphrase { .. } => 41,
            Self::Conflict { .. } => 42,
            Self::ServerRejected { .. } => 43,
            Self::Internal { .. } => 99,
        }
    }

    /// The name of this class of error, as Python's exception has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InvalidReference { .. } => "InvalidReference",
            Self::InvalidConfiguration { .. } => "InvalidConfiguration",
            Self::InvalidInput { .. } => "InvalidInput",
            Self::NoTrustData { .. } => "NoTrustData",
            Self::TagNotSigned { .. } => "TagNotSigned",
            Self::DigestMismatch { .. } => "DigestMismatch",
            Self::Expired { .. } => "Expired",
            Self::RolledBack { .. } => "RolledBack",
            Self::Tampered { .. } => "Tampered",
            Self::RootNotTrusted { .. } => "RootNotTrusted",
            Self::PolicyViolation { .. } => "PolicyViolation",
            Self::Unreachable { .. } => "Unreachable",
            Self::Unauthorized { .. } => "Unauthorized",
            Self::StoreError { .. } => "StoreError",
            Self::KeyNotFound { .. } => "KeyNotFound",
            Self::WrongPassphrase { .. } => "WrongPassphrase",
            Self::Conflict { .. } => "Conflict",
            Self::ServerRejected { .. } => "ServerRejected",
            Self::Internal { .. } => "InternalError",
        }
    }

    /// The evidence as a JSON object with the names of the fields here. A fault
    /// is `{"kind": "threshold", "detail": {"needed": 2, …}}`.
    pub fn evidence(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".into())
    }

    /// True if the answer is "not trusted"; false if there is no answer
    /// (unreachable, unauthorized, unusable input, store or defect).
    pub fn is_refusal(&self) -> bool {
        (10..30).contains(&self.code())
    }
}

/// A text from outside as evidence: at most `most` characters, control
/// characters escaped, so that no file can fill or forge a log.
pub(crate) fn excerpt(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (index, character) in text.chars().enumerate() {
        if index == most {
            out.push('…');
            break;
        }
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_json_with_the_names_of_the_fields() {
        let rolled_back = Error::RolledBack { gun: "r/a".into(), role: "root".into(), known: 3, found: 2 };
        assert_eq!(rolled_back.evidence(), r#"{"gun":"r/a","role":"root","known":3,"found":2}"#);
        let fault = Fault::Threshold { needed: 2, valid: 1, key_ids: vec!["ab".into()] };
        let tampered = Error::Tampered { gun: "r/a".into(), role: "targets".into(), fault };
        assert_eq!(
            tampered.evidence(),
            r#"{"gun":"r/a","role":"targets","fault":{"kind":"threshold","detail":{"needed":2,"valid":1,"key_ids":["ab"]}}}"#
        );
        let tampered = Error::Tampered { gun: "r/a".into(), role: "root".into(), fault: Fault::Missing };
        assert_eq!(tampered.evidence(), r#"{"gun":"r/a","role":"root","fault":{"kind":"missing"}}"#);
    }

    #[test]
    fn evidence_is_cut_and_its_control_characters_are_escaped() {
        assert_eq!(excerpt("targets/é", 9), "targets/é");
        assert_eq!(excerpt("targets/é", 8), "targets/…");
        assert_eq!(excerpt("a\n\u{1b}[2J", 20), "a\\n\\u{1b}[2J");
    }
}
