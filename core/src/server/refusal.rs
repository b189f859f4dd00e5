//! What the server answers where it does not do what was asked: Notary's error
//! codes, each with its status and message.

use serde_json::{Value, json};

/// A request that was refused.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Refusal {
    /// 400 `NO_FILENAME`: a part of an upload names no role.
    NoFilename,
    /// 400 `INVALID_ROLE`, with the role.
    InvalidRole(String),
    /// 400 `MALFORMED_JSON`.
    MalformedJson,
    /// 400 `MALFORMED_UPLOAD`: no multipart body, or a broken one.
    MalformedUpload,
    /// 500 `UPDATING`. The reason is for the log, not for the client.
    Updating(String),
    /// 400 `VERSION`.
    Version,
    /// 404 `METADATA_NOT_FOUND`. Handlers add an empty detail, the catch-all does not.
    NotFound {
        /// Whether the body has a detail.
        detail: bool,
    },
    /// 400 `INVALID_UPDATE`: the rules of an upload do not hold.
    InvalidUpdate(Invalid),
    /// 400 `INVALID_GUN`, with the prefixes that are served.
    InvalidGun(Vec<String>),
    /// 400 `INVALID_PARAMETERS`.
    InvalidParameters(Value),
    /// 401 `UNAUTHORIZED`; the challenge is the value of `WWW-Authenticate`.
    Unauthorized {
        /// The value of the header.
        challenge: String,
        /// The accesses that are needed.
        detail: Value,
    },
    /// 403 `FORBIDDEN`: a page in a browser asks for a change.
    Forbidden,
    /// 503 `READ_ONLY`: this server stores nothing now.
    ReadOnly,
    /// 413 `MALFORMED_UPLOAD`: larger than this server takes.
    TooLarge,
    /// 503 `BUSY`: the server has too much to do; try again.
    Busy,
    /// 500 `UNKNOWN`. The reason is for the log, the detail for the client.
    Unknown {
        /// For the log.
        reason: String,
        /// For the client.
        detail: Value,
    },
}

/// Which rule of an upload does not hold, as Notary's clients read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// `ErrValidation`.
    Validation(String),
    /// `ErrBadHierarchy`: the snapshot is missing and the server has no key to make one.
    BadHierarchy {
        /// The role that is missing.
        missing: &'static str,
        /// What to say.
        message: String,
    },
    /// `ErrBadRoot`.
    BadRoot(String),
    /// `ErrBadTargets`.
    BadTargets(String),
    /// `ErrBadSnapshot`.
    BadSnapshot(String),
}

impl Refusal {
    /// HTTP status, code, message, and the detail where there is one.
    pub(crate) fn answer(&self) -> (u16, &'static str, &'static str, Option<Value>) {
        match self {
            Self::NoFilename => (400, "NO_FILENAME", "No file/role name provided.", None),
            Self::InvalidRole(role) => (
                400,
                "INVALID_ROLE",
                "The role you are attempting to operate on is invalid.",
                Some(Value::from(role.as_str())),
            ),
            Self::MalformedJson => {
                (400, "MALFORMED_JSON", "JSON sent by the client could not be parsed by the server", None)
            }
            Self::MalformedUpload => {
                (400, "MALFORMED_UPLOAD", "The body of your request is malformed.", None)
            }
            Self::Updating(_) => {
                (500, "UPDATING", "An error has occurred while updating the TUF repository.", None)
            }
            Self::Version => {
                (400, "VERSION", "A newer version of metadata is already available.", Some(json!({})))
            }
            Self::NotFound { detail } => (
                404,
                "METADATA_NOT_FOUND",
                "You have requested metadata that does not exist.",
                detail.then(|| json!({})),
            ),
            Self::InvalidUpdate(invalid) => {
                (400, "INVALID_UPDATE", "Update sent by the client is invalid.", Some(invalid.detail()))
            }
            Self::InvalidGun(prefixes) => (
                400,
                "INVALID_GUN",
                "The server does not support actions on images of this name.",
                Some(Value::from(format!("Require GUNs with prefix: [{}]", prefixes.join(" ")))),
            ),
            Self::InvalidParameters(detail) => {
                (400, "INVALID_PARAMETERS", "The parameters provided are not valid.", Some(detail.clone()))
            }
            Self::Unauthorized { detail, .. } => {
                (401, "UNAUTHORIZED", "authentication required", Some(detail.clone()))
            }
            Self::Forbidden => (403, "FORBIDDEN", "No page in a browser changes anything here.", None),
            Self::ReadOnly => (503, "READ_ONLY", "This server is read-only for now; try again later.", None),
            Self::TooLarge => {
                (413, "MALFORMED_UPLOAD", "The body of your request is larger than this server takes.", None)
            }
            Self::Busy => (503, "BUSY", "The server has too much to do; try again later.", None),
            Self::Unknown { detail, .. } => (500, "UNKNOWN", "unknown error", Some(detail.clone())),
        }
    }
}

impl Invalid {
    fn detail(&self) -> Value {
        let (name, message) = match self {
            Self::Validation(message) => ("ErrValidation", message),
            Self::BadHierarchy { missing, message } => {
                return json!({"Name": "ErrBadHierarchy", "Error": {"Missing": missing, "Msg": message}});
            }
            Self::BadRoot(message) => ("ErrBadRoot", message),
            Self::BadTargets(message) => ("ErrBadTargets", message),
            Self::BadSnapshot(message) => ("ErrBadSnapshot", message),
        };
        json!({"Name": name, "Error": {"Msg": message}})
    }
}

/// For the log.
impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (status, code, message, detail) = self.answer();
        write!(f, "{status} {code}: {message}")?;
        match (self, detail) {
            (Self::Updating(reason) | Self::Unknown { reason, .. }, _) => write!(f, " ({reason})"),
            (_, Some(detail)) if detail != json!({}) => write!(f, " {detail}"),
            _ => Ok(()),
        }
    }
}
