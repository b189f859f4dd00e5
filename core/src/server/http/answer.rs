//! What requests are answered with.

use std::time::{Duration, SystemTime};

use base64ct::{Base64, Encoding};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LAST_MODIFIED, LOCATION,
    PRAGMA, REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::ui;
use crate::crypto::PublicKey;
use crate::metadata::{escape_into, format_time, hex};
use crate::server::refusal::Refusal;
use crate::server::storage::{Change, ChangeKind, StoredFile};

pub(super) type Answer = Response<Full<Bytes>>;

/// Of everything that is no error, as Notary's server labels it.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// How long caches may keep metadata.
pub(super) struct Caching {
    current: Lifetime,
    consistent: Lifetime,
}

struct Lifetime {
    cache_control: HeaderValue,
    is_zero: bool,
}

impl Caching {
    /// Of what is current now, and of what never changes because it has a hash or a version.
    pub(super) fn new(current: Duration, consistent: Duration) -> Self {
        Self {
            current: Lifetime::new(current, ", must-revalidate"),
            consistent: Lifetime::new(consistent, ""),
        }
    }
}

impl Lifetime {
    fn new(max_age: Duration, addition: &str) -> Self {
        let seconds = max_age.as_secs();
        let text = match seconds {
            0 => "max-age=0, no-cache, no-store".to_owned(),
            _ => format!("public, max-age={seconds}, s-maxage={seconds}{addition}"),
        };
        let cache_control = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("no-store"));
        Self { cache_control, is_zero: seconds == 0 }
    }
}

pub(super) fn current(file: StoredFile, caching: &Caching) -> Answer {
    metadata(file, &caching.current)
}

pub(super) fn consistent(file: StoredFile, caching: &Caching) -> Answer {
    metadata(file, &caching.consistent)
}

fn metadata(file: StoredFile, lifetime: &Lifetime) -> Answer {
    let mut answer = ok(TEXT, file.bytes);
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, lifetime.cache_control.clone());
    if lifetime.is_zero {
        headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    }
    if let Some(modified) = http_date(file.stored) {
        headers.insert(LAST_MODIFIED, modified);
    }
    answer
}

/// RFC 7231, always in GMT; `None` for a moment that has no such form.
fn http_date(moment: SystemTime) -> Option<HeaderValue> {
    const YEAR_10000: u64 = 253_402_300_800;
    let since_epoch = moment.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    if since_epoch.as_secs() >= YEAR_10000 {
        return None;
    }
    HeaderValue::try_from(httpdate::fmt_http_date(moment)).ok()
}

pub(super) fn ping() -> Answer {
    ok(TEXT, Bytes::from_static(b"{}"))
}

/// An upload or a deletion was done.
pub(super) fn done() -> Answer {
    Response::default()
}

pub(super) fn key(key: &PublicKey) -> Answer {
    let public = Base64::encode_string(key.public_bytes());
    ok(
        TEXT,
        to_json(&json!({"keytype": key.key_type().as_str(), "keyval": {"public": public, "private": null}})),
    )
}

pub(super) fn changes(changes: &[Change]) -> Answer {
    let records: Vec<Value> = changes
        .iter()
        .map(|change| {
            let (version, sha256, category) = match &change.kind {
                ChangeKind::Update { version, sha256 } => (*version, hex(sha256), "update"),
                ChangeKind::Deletion => (0, String::new(), "deletion"),
            };
            json!({
                "ID": change.id.to_string(),
                "CreatedAt": format_time(change.created),
                "GUN": change.gun,
                "Version": version,
                "SHA256": sha256,
                "Category": category,
            })
        })
        .collect();
    ok(TEXT, to_json(&json!({"count": records.len(), "records": records})))
}

/// What does not work: name of the check, and why.
pub(super) fn health(failing: Vec<(&'static str, String)>) -> Answer {
    let is_well = failing.is_empty();
    let failing: Map<_, _> =
        failing.into_iter().map(|(name, reason)| (name.to_owned(), Value::from(reason))).collect();
    let mut answer = ok(JSON, to_json(&failing.into()));
    if !is_well {
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    answer
}

pub(super) fn metrics(text: String) -> Answer {
    ok(METRICS, text)
}

/// A page runs nothing and loads nothing.
pub(super) fn page(html: String) -> Answer {
    let mut answer = ok(HTML, html);
    answer.headers_mut().extend(page_headers());
    answer
}

/// A page that says why there is none, with the status and headers of the refusal.
pub(super) fn refusal_page(refusal: &Refusal, html: String) -> Answer {
    let mut answer = refused(refusal);
    *answer.body_mut() = Full::from(html);
    answer.headers_mut().insert(CONTENT_TYPE, HTML);
    answer.headers_mut().extend(page_headers());
    answer
}

fn page_headers() -> [(HeaderName, HeaderValue); 4] {
    [
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (CONTENT_SECURITY_POLICY, ui::POLICY.clone()),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ]
}

pub(super) fn moved(location: &str) -> Answer {
    let mut answer = empty(StatusCode::MOVED_PERMANENTLY);
    if let Ok(location) = HeaderValue::from_str(location) {
        answer.headers_mut().insert(LOCATION, location);
    }
    answer
}

pub(super) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::default();
    *answer.status_mut() = status;
    answer
}

/// Notary's envelope for errors.
pub(super) fn refused(refusal: &Refusal) -> Answer {
    let (status, code, message, detail) = refusal.answer();
    let mut error = Map::from_iter([("code".into(), code.into()), ("message".into(), message.into())]);
    if let Some(detail) = detail {
        error.insert("detail".into(), detail);
    }
    let mut body = to_json(&json!({"errors": [error]}));
    body.push(b'\n');
    let mut answer = ok(JSON, body);
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Refusal::Unauthorized { challenge, .. } = refusal
        && let Ok(challenge) = HeaderValue::from_str(challenge)
    {
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    answer
}

fn ok(content_type: HeaderValue, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}

/// As Go writes it.
fn to_json(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    escape_into(value.to_string().as_bytes(), &mut out);
    out
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::crypto::KeyType;
    use crate::server::refusal::Invalid;

    async fn body(answer: Answer) -> String {
        String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    fn header<'a>(answer: &'a Answer, name: &HeaderName) -> Option<&'a str> {
        answer.headers().get(name).map(|value| value.to_str().unwrap())
    }

    fn file() -> StoredFile {
        let stored = SystemTime::UNIX_EPOCH + Duration::from_millis(784_111_777_999);
        StoredFile { role: "root".into(), version: 1, sha256: [0; 32], stored, bytes: "{}\n".into() }
    }

    #[tokio::test]
    async fn metadata_is_served_as_it_was_stored_and_labelled_for_caches() {
        let caching = Caching::new(Duration::from_secs(300), Duration::from_secs(2_592_000));
        for (answer, cache_control) in [
            (current(file(), &caching), "public, max-age=300, s-maxage=300, must-revalidate"),
            (consistent(file(), &caching), "public, max-age=2592000, s-maxage=2592000"),
        ] {
            assert_eq!(answer.status(), 200);
            assert_eq!(header(&answer, &CACHE_CONTROL), Some(cache_control));
            assert_eq!(header(&answer, &LAST_MODIFIED), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
            assert_eq!(header(&answer, &CONTENT_TYPE), Some("text/plain; charset=utf-8"));
            assert_eq!(header(&answer, &PRAGMA), None);
            assert_eq!(body(answer).await, "{}\n");
        }
        let never = Caching::new(Duration::ZERO, Duration::ZERO);
        for answer in [current(file(), &never), consistent(file(), &never)] {
            assert_eq!(header(&answer, &CACHE_CONTROL), Some("max-age=0, no-cache, no-store"));
            assert_eq!(header(&answer, &PRAGMA), Some("no-cache"));
        }
    }

    #[test]
    fn moments_that_http_cannot_write_are_left_out() {
        let epoch = SystemTime::UNIX_EPOCH;
        for moment in [epoch - Duration::from_secs(1), epoch + Duration::from_secs(253_402_300_800)] {
            assert_eq!(http_date(moment), None);
        }
        let last = epoch + Duration::from_secs(253_402_300_799);
        assert_eq!(http_date(last).unwrap(), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[tokio::test]
    async fn errors_have_notarys_form_to_the_byte() {
        let catch_all = refused(&Refusal::NotFound { detail: false });
        assert_eq!(catch_all.status(), 404);
        assert_eq!(header(&catch_all, &CONTENT_TYPE), Some("application/json; charset=utf-8"));
        assert_eq!(
            body(catch_all).await,
            "{\"errors\":[{\"code\":\"METADATA_NOT_FOUND\",\"message\":\"You have requested metadata that does not exist.\"}]}\n"
        );
        let root = refused(&Refusal::InvalidUpdate(Invalid::BadRoot("<&> \"x\"".into())));
        assert_eq!(root.status(), 400);
        assert_eq!(
            body(root).await,
            "{\"errors\":[{\"code\":\"INVALID_UPDATE\",\"message\":\"Update sent by the client is invalid.\",\"detail\":{\"Name\":\"ErrBadRoot\",\"Error\":{\"Msg\":\"\\u003c\\u0026\\u003e \\\"x\\\"\"}}}]}\n"
        );
        let who =
            refused(&Refusal::Unauthorized { challenge: "Bearer realm=\"x\"".into(), detail: json!([]) });
        assert_eq!(who.status(), 401);
        assert_eq!(header(&who, &WWW_AUTHENTICATE), Some("Bearer realm=\"x\""));
        assert_eq!(header(&who, &CACHE_CONTROL), None);
    }

    #[tokio::test]
    async fn keys_have_notarys_form() {
        let public = PublicKey::new(KeyType::Ed25519, vec![0; 3]);
        let answer = key(&public);
        assert_eq!(header(&answer, &CONTENT_TYPE), Some("text/plain; charset=utf-8"));
        assert_eq!(body(answer).await, r#"{"keytype":"ed25519","keyval":{"public":"AAAA","private":null}}"#);
    }

    #[tokio::test]
    async fn changes_have_notarys_form() {
        assert_eq!(body(changes(&[])).await, r#"{"count":0,"records":[]}"#);
        let change = |id, kind| Change { id, created: file().stored, gun: "a/b".into(), kind };
        let all = [
            change(55, ChangeKind::Update { version: 3, sha256: [0xab; 32] }),
            change(56, ChangeKind::Deletion),
        ];
        let expected = format!(
            "{{\"count\":2,\"records\":[\
             {{\"ID\":\"55\",\"CreatedAt\":\"1994-11-06T08:49:37.999Z\",\"GUN\":\"a/b\",\"Version\":3,\"SHA256\":\"{}\",\"Category\":\"update\"}},\
             {{\"ID\":\"56\",\"CreatedAt\":\"1994-11-06T08:49:37.999Z\",\"GUN\":\"a/b\",\"Version\":0,\"SHA256\":\"\",\"Category\":\"deletion\"}}]}}",
            "ab".repeat(32)
        );
        assert_eq!(body(changes(&all)).await, expected);
    }

    #[tokio::test]
    async fn health_names_what_does_not_work() {
        assert_eq!(health(vec![]).status(), 200);
        let ill = health(vec![("DB operational", "out of \"reach\"".into())]);
        assert_eq!(ill.status(), 503);
        assert_eq!(header(&ill, &CONTENT_TYPE), Some("application/json; charset=utf-8"));
        assert_eq!(body(ill).await, r#"{"DB operational":"out of \"reach\""}"#);
    }
}
