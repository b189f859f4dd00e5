//! How a registry's servers want to know who asks: bearer tokens from a token
//! server, or basic authentication.
//!
//! Nothing in here is logged or put into an error besides the token server's
//! URL without its query.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use serde::Deserialize;
use ureq::http::header::WWW_AUTHENTICATE;
use ureq::http::{HeaderMap, Method, Uri};

use super::Failure;
use super::credentials::{Credentials, Source};
use super::http::{Request, Transport};
use super::url;

/// Longest answer of a token server, and longest token in it. Stops a token
/// server that sends without end, and headers that no server takes.
const MAX_TOKEN_ANSWER: u64 = 1024 * 1024;
pub(super) const MAX_TOKEN: usize = 64 * 1024;
/// Longest challenge that is read.
const MAX_CHALLENGE: usize = 8 * 1024;

/// Docker's rule: a token counts as valid for a minute at least.
const MIN_LIFETIME: u64 = 60;
/// A token is asked for again after an hour at the latest.
const MAX_LIFETIME: u64 = 3600;
/// How long before its end a token is replaced.
const MARGIN: Duration = Duration::from_secs(5);

/// The client that token servers know from Docker.
const CLIENT_ID: &str = "docker";

pub(super) struct Auth {
    source: Source,
    danger_plain_http: bool,
    challenge: Mutex<Option<Challenge>>,
    /// By scope, and so by GUN.
    tokens: Mutex<HashMap<String, Token>>,
}

/// What a server asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: Uri, service: String },
}

struct Token {
    value: String,
    until: Instant,
}

impl Auth {
    pub(super) fn new(source: Source, danger_plain_http: bool) -> Self {
        Self { source, danger_plain_http, challenge: Mutex::default(), tokens: Mutex::default() }
    }

    /// Remembers what a 401 asks for.
    pub(super) fn challenged(&self, headers: &HeaderMap) -> Result<(), Failure> {
        if let Some(challenge) = Challenge::read(headers, self.danger_plain_http)? {
            *lock(&self.challenge) = Some(challenge);
        }
        Ok(())
    }

    /// The value of the `Authorization` header, if one is asked for and can be had.
    pub(super) fn header(
        &self,
        http: &Transport,
        scope: &str,
        deadline: Instant,
    ) -> Result<Option<String>, Failure> {
        let challenge = lock(&self.challenge).clone();
        match challenge {
            None => Ok(None),
            Some(Challenge::Basic) => Ok(match self.source.get(deadline) {
                Ok(Credentials::Password { user, password }) => Some(basic(&user, &password)),
                Ok(Credentials::IdentityToken(_)) | Err(_) => None,
            }),
            Some(Challenge::Bearer { realm, service }) => {
                let known = lock(&self.tokens)
                    .get(scope)
                    .filter(|token| token.until > Instant::now())
                    .map(|token| token.value.clone());
                let token = match known {
                    Some(token) => token,
                    None => self.token(http, &realm, &service, scope, deadline)?,
                };
                Ok(Some(format!("Bearer {token}")))
            }
        }
    }

    /// Forgets what a server refused, so that it is asked for again.
    pub(super) fn forget(&self, scope: &str) {
        lock(&self.tokens).remove(scope);
        self.source.forget();
    }

    /// A refusal in words, with the reason if we had to ask as nobody.
    pub(super) fn refusal(&self, refusal: &str, deadline: Instant) -> Failure {
        Failure::Unauthorized(match self.source.get(deadline) {
            Ok(_) => refusal.to_owned(),
            Err(why) => format!("{refusal}; {why}"),
        })
    }

    /// Asks the token server. The scope is always our own, whatever the challenge says.
    fn token(
        &self,
        http: &Transport,
        realm: &Uri,
        service: &str,
        scope: &str,
        deadline: Instant,
    ) -> Result<String, Failure> {
        let server = format!("token server {}", url::shown(realm));
        let credentials = self.source.get(deadline);
        let mut pairs = vec![("service", service), ("scope", scope)];
        let mut authorization = None;
        match &credentials {
            Ok(Credentials::IdentityToken(token)) => {
                pairs.extend([
                    ("grant_type", "refresh_token"),
                    ("client_id", CLIENT_ID),
                    ("refresh_token", token),
                ]);
            }
            Ok(Credentials::Password { user, password }) => {
                pairs.push(("account", user));
                authorization = Some(basic(user, password));
            }
            Err(_) => {}
        }
        let form = url::form(&pairs);
        let asked = if let Ok(Credentials::IdentityToken(_)) = &credentials {
            http.send(&Request {
                method: Method::POST,
                body: Some(("application/x-www-form-urlencoded", form.as_bytes())),
                ..Request::get(realm, MAX_TOKEN_ANSWER, deadline)
            })
        } else {
            let joint = if realm.query().is_some() { '&' } else { '?' };
            let url = format!("{realm}{joint}{form}")
                .parse()
                .map_err(|_| Failure::unusable(format!("{server} has an unusable URL"), None))?;
            http.send(&Request { authorization, ..Request::get(&url, MAX_TOKEN_ANSWER, deadline) })
        };
        let answer = asked.map_err(|failure| match failure {
            Failure::Unreachable { reason, answered, status, .. } => {
                Failure::Unreachable { reason: format!("{server}: {reason}"), answered, status, sent: false }
            }
            _ => Failure::unusable(format!("{server} sent no usable token"), None),
        })?;
        match answer.status {
            200 => {
                let token = Token::read(&answer.body)
                    .ok_or_else(|| Failure::unusable(format!("{server} sent no usable token"), Some(200)))?;
                let value = token.value.clone();
                let mut tokens = lock(&self.tokens);
                tokens.retain(|_, token| token.until > Instant::now());
                tokens.insert(scope.to_owned(), token);
                Ok(value)
            }
            status if (400..500).contains(&status) && status != 429 => {
                let refusal = self.refusal(&format!("{server} returned {status}"), deadline);
                self.source.forget();
                Err(refusal)
            }
            status => Err(Failure::unusable(format!("{server} returned {status}"), Some(status))),
        }
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", Base64::encode_string(format!("{user}:{password}").as_bytes()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Token {
    fn read(answer: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            token: String,
            #[serde(default)]
            access_token: String,
            #[serde(default)]
            expires_in: u64,
        }
        let Answer { token, access_token, expires_in } = serde_json::from_slice(answer).ok()?;
        let value = if token.is_empty() { access_token } else { token };
        // It goes into a header.
        if value.is_empty() || value.len() > MAX_TOKEN || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let lifetime = Duration::from_secs(expires_in.clamp(MIN_LIFETIME, MAX_LIFETIME));
        Some(Self { value, until: Instant::now() + lifetime - MARGIN })
    }
}

impl Challenge {
    /// The challenge that we can answer best: a bearer token before basic.
    fn read(headers: &HeaderMap, danger_plain_http: bool) -> Result<Option<Self>, Failure> {
        let mut basic = None;
        for header in headers.get_all(WWW_AUTHENTICATE) {
            let text = header.to_str().ok().filter(|text| text.len() <= MAX_CHALLENGE).unwrap_or_default();
            for (scheme, parameters) in challenges(text) {
                let parameter =
                    |name| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str());
                if scheme == "basic" {
                    basic = Some(Self::Basic);
                } else if scheme == "bearer" {
                    let realm = parameter("realm").unwrap_or_default();
                    // Credentials are never sent where others can read them.
                    let realm = url::checked(realm, danger_plain_http).map_err(|why| {
                        Failure::Unauthorized(format!("the URL of the token server {}", why.reason()))
                    })?;
                    let service = parameter("service").unwrap_or_default().to_owned();
                    return Ok(Some(Self::Bearer { realm, service }));
                }
            }
        }
        Ok(basic)
    }
}

type Parameters = Vec<(String, String)>;

/// The challenges of one `WWW-Authenticate` header (RFC 9110, 11.6.1), schemes
/// and names in lower case. Reads as far as it can be understood.
fn challenges(text: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut rest = text;
    loop {
        // `=` may end the token68 of a scheme that we do not speak.
        rest = rest.trim_start_matches([' ', '\t', ',', '=']);
        let (word, after) = split(rest, |c| !is_token(c));
        if word.is_empty() {
            return found;
        }
        let word = word.to_ascii_lowercase();
        match (found.last_mut(), after.trim_start().strip_prefix('=')) {
            (Some((_, parameters)), Some(value)) => {
                let Some((value, after)) = parameter_value(value.trim_start()) else {
                    return found;
                };
                parameters.push((word, value));
                rest = after;
            }
            (None, Some(_)) => return found,
            (_, None) => {
                found.push((word, Vec::new()));
                rest = after;
            }
        }
    }
}

/// A token or a quoted string, and what follows it.
fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, after) = split(text, |c| !is_token(c));
        return Some((value.to_owned(), after));
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(chars.next()?),
            other => value.push(other),
        }
    }
}

fn split(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use ureq::http::HeaderValue;

    use super::*;

    fn read(lines: &[&str]) -> Result<Option<Challenge>, Failure> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(line).unwrap());
        }
        Challenge::read(&headers, false)
    }

    fn bearer(realm: &str, service: &str) -> Result<Option<Challenge>, Failure> {
        Ok(Some(Challenge::Bearer { realm: realm.parse().unwrap(), service: service.into() }))
    }

    #[test]
    fn challenges_are_read_as_servers_write_them() {
        let realm = "https://auth.example/token";
        let notary =
            format!(r#"Bearer realm="{realm}",service="notary-svc",scope="repository:a/b:push,pull""#);
        assert_eq!(read(&[&notary]), bearer(realm, "notary-svc"));
        assert_eq!(read(&[&format!(r#"bearer Realm = "{realm}" , service=s"#)]), bearer(realm, "s"));
        assert_eq!(
            read(&[&format!(r#"Bearer service="a\"b, c",realm="{realm}""#)]),
            bearer(realm, "a\"b, c")
        );
        assert_eq!(read(&["Basic realm=\"x\"", &notary]), bearer(realm, "notary-svc"), "two headers");
        assert_eq!(
            read(&[&format!("Negotiate abc==, Basic realm=\"x\", {notary}")]),
            bearer(realm, "notary-svc")
        );
        assert_eq!(read(&["Basic realm=\"x\""]), Ok(Some(Challenge::Basic)));
        assert_eq!(read(&["BASIC"]), Ok(Some(Challenge::Basic)));
        assert_eq!(read(&[]), Ok(None));
        for nothing in ["", ",,,", "Digest realm=\"x\"", "realm=\"x\"", "=", "\"", "\\"] {
            assert_eq!(read(&[nothing]), Ok(None), "{nothing}");
        }
        let long = format!("Bearer realm=\"{realm}\", pad=\"{}\"", "x".repeat(MAX_CHALLENGE));
        assert_eq!(read(&[&long]), Ok(None));
    }

    #[test]
    fn a_token_server_that_others_could_overhear_is_refused() {
        for (realm, why) in [
            ("http://auth.example/token", "is not https"),
            ("https://u:hunter2@auth.example/", "must not contain a user name or a password"),
            ("/token", "is not a valid https URL"),
            ("", "is not a valid https URL"),
            ("ftp://auth.example", "is not a valid https URL"),
        ] {
            assert_eq!(
                read(&[&format!("Bearer realm=\"{realm}\"")]),
                Err(Failure::Unauthorized(format!("the URL of the token server {why}")))
            );
        }
        assert_eq!(read(&["Bearer realm=\"https://a"]), read(&["Bearer"]), "cut in a string");
        assert_eq!(read(&["Bearer realm=\"http://127.0.0.1:1/t\""]), bearer("http://127.0.0.1:1/t", ""));
    }

    #[test]
    fn a_token_lives_for_a_minute_at_least_and_an_hour_at_most() {
        let lifetime = |answer: &str| Token::read(answer.as_bytes()).unwrap().until - Instant::now();
        let about = |answer, seconds| {
            let lifetime = lifetime(answer).as_secs_f64();
            assert!((seconds - 2.0..=seconds).contains(&lifetime), "{answer}: {lifetime}");
        };
        about(r#"{"token":"t"}"#, 55.0);
        about(r#"{"token":"t","expires_in":1}"#, 55.0);
        about(r#"{"token":"t","expires_in":300}"#, 295.0);
        about(r#"{"token":"t","expires_in":18446744073709551615}"#, 3595.0);
    }

    #[test]
    fn only_a_token_that_fits_into_a_header_is_taken() {
        let value = |answer: &str| Token::read(answer.as_bytes()).map(|token| token.value);
        assert_eq!(value(r#"{"access_token":"b"}"#).unwrap(), "b");
        assert_eq!(value(r#"{"token":"a","access_token":"b","issued_at":"now"}"#).unwrap(), "a");
        let long = format!(r#"{{"token":"{}"}}"#, "x".repeat(MAX_TOKEN + 1));
        for bad in ["", "[]", "{}", r#"{"token":1}"#, r#"{"token":"a\r\nX: y"}"#, r#"{"token":"ü"}"#, &long]
        {
            assert_eq!(value(bad), None, "{bad}");
        }
    }
}
