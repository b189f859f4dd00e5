//! How a trust server, or a registry, says what it does not accept:
//! `{"errors":[{"code":…,"message":…,"detail":…}]}`.

use serde::Deserialize;
use serde_json::Value;

use crate::error::excerpt;

/// As much as is repeated of what a server says. Only the beginning of its
/// answer was read, so that this bounds what is made of it.
const MAX_CODE: usize = 40;
const MAX_WORDS: usize = 1000;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Such as `VERSION`; may be empty.
    pub(super) code: String,
    /// Code, message and detail in words.
    pub(super) reason: String,
}

#[derive(Deserialize)]
struct Envelope {
    /// As in Notary: several errors are none that could be shown.
    errors: [Entry; 1],
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    detail: Value,
}

/// The detail of an upload that does not validate.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Invalid {
    name: String,
    error: Message,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    msg: String,
}

impl Refusal {
    /// None if the body is something else, or cut off.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let Envelope { errors: [Entry { code, message, detail }] } = serde_json::from_slice(body).ok()?;
        let words = [code.as_str(), &message].map(str::trim);
        let mut reason = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(": ");
        if let Some(detail) = in_words(detail) {
            reason = format!("{reason} {detail}");
        }
        let reason = reason.trim();
        (!reason.is_empty())
            .then(|| Self { code: excerpt(&code, MAX_CODE), reason: excerpt(reason, MAX_WORDS) })
    }
}

fn in_words(detail: Value) -> Option<String> {
    if let Value::String(text) = detail {
        return (!text.is_empty()).then(|| format!("({text})"));
    }
    let Invalid { name, error: Message { msg } } = serde_json::from_value(detail).ok()?;
    // Notary's words.
    let what = match name.as_str() {
        "ErrValidation" => "An error occurred during validation",
        "ErrBadHierarchy" => "Metadata hierarchy is incomplete",
        "ErrBadRoot" => "The root metadata is invalid",
        "ErrBadTargets" => "The targets metadata is invalid",
        "ErrBadSnapshot" => "The snapshot metadata is invalid",
        _ => return None,
    };
    Some(format!("{what}: {msg}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<(String, String)> {
        Refusal::read(body.as_bytes()).map(|refusal| (refusal.code, refusal.reason))
    }

    fn entry(entry: &str) -> (String, String) {
        read(&format!("{{\"errors\":[{entry}]}}\n")).unwrap()
    }

    #[test]
    fn code_message_and_detail_are_put_into_words() {
        let version =
            r#"{"code":"VERSION","message":"A newer version of metadata is already available.","detail":{}}"#;
        assert_eq!(
            entry(version),
            ("VERSION".into(), "VERSION: A newer version of metadata is already available.".into())
        );
        assert_eq!(
            entry(r#"{"code":"INVALID_ROLE","message":"Invalid.","detail":"targets/X"}"#).1,
            "INVALID_ROLE: Invalid. (targets/X)"
        );
        assert_eq!(entry(r#"{"code":"UPDATING"}"#), ("UPDATING".into(), "UPDATING".into()));
        assert_eq!(entry(r#"{"message":"no"}"#), (String::new(), "no".into()));
    }

    #[test]
    fn an_invalid_upload_is_explained_in_notarys_words() {
        for (name, words) in [
            ("ErrValidation", "An error occurred during validation: "),
            ("ErrBadHierarchy", "Metadata hierarchy is incomplete: "),
            ("ErrBadRoot", "The root metadata is invalid: "),
            ("ErrBadTargets", "The targets metadata is invalid: "),
            ("ErrBadSnapshot", "The snapshot metadata is invalid: "),
        ] {
            let invalid = format!(
                r#"{{"code":"INVALID_UPDATE","message":"Invalid.","detail":{{"Name":"{name}","Error":{{"Missing":"snapshot","Msg":"why"}}}}}}"#
            );
            assert_eq!(entry(&invalid).1, format!("INVALID_UPDATE: Invalid. {words}why"));
        }
        for detail in [r#"{"Name":"ErrOther","Error":{"Msg":"why"}}"#, r#"{"Name":"ErrBadRoot"}"#, "7", "[]"]
        {
            assert_eq!(entry(&format!(r#"{{"code":"C","message":"m","detail":{detail}}}"#)).1, "C: m");
        }
    }

    #[test]
    fn whatever_else_a_server_sends_says_nothing() {
        let whole = r#"{"errors":[{"code":"VERSION","message":"m"}]}"#;
        assert!(read(whole).is_some());
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), None, "cut at {end}");
        }
        for strange in [
            "<html>",
            "[]",
            r#"{"errors":[]}"#,
            r#"{"errors":[{}]}"#,
            r#"{"errors":[{"code":"A"},{"code":"B"}]}"#,
            r#"{"errors":[{"code":7}]}"#,
            r#"{"errors":"VERSION"}"#,
            r#"{"Errors":[{"code":"A"}]}"#,
        ] {
            assert_eq!(read(strange), None, "{strange}");
        }
    }

    #[test]
    fn a_servers_words_cannot_forge_or_fill_a_log() {
        let (code, reason) = entry(&format!(r#"{{"code":"A\nB{}","message":"\u001b[2J"}}"#, "x".repeat(50)));
        assert!(code.starts_with("A\\nBx") && code.ends_with('…') && code.len() < 60, "{code}");
        assert!(reason.contains("\\u{1b}[2J"), "{reason}");
        let (_, long) = entry(&format!(r#"{{"message":"{}"}}"#, "x".repeat(5000)));
        assert_eq!(long.chars().count(), MAX_WORDS + 1);
    }
}
