//! What came of publishing.

use serde::Serialize;

use crate::signing::{Change, SignedFile};

/// What was published, or what would be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Publication {
    /// Registry and repository: Notary's globally unique name (GUN).
    pub repository: String,
    /// What changes, in order. Empty if everything was as it should be already.
    pub changes: Vec<ChangeSummary>,
    /// The files that were signed, or that would be.
    pub files: Vec<SignedFile>,
    /// What a publisher should know besides.
    pub warnings: Vec<String>,
    /// True if something was uploaded.
    pub published: bool,
    /// How often it was tried: more than once if others published at the same time.
    pub attempts: u32,
}

/// One change in Notary's terms and in words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct ChangeSummary {
    /// `create`, `update` or `delete`.
    pub action: &'static str,
    /// `target`, `delegation`, `witness`, `role` or `threshold`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The role that changes.
    pub role: String,
    /// The tag, where it is about one.
    pub path: String,
    /// In words.
    pub description: String,
}

impl From<&Change> for ChangeSummary {
    fn from(change: &Change) -> Self {
        let (action, kind, path) = change.labels();
        Self {
            action,
            kind,
            role: change.role().to_owned(),
            path: path.to_owned(),
            description: change.to_string(),
        }
    }
}

impl Publication {
    /// As JSON, with the names of the fields here.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}
