//! Pages to look at: the repositories, and what is signed in each, by whom and
//! until when. Nothing can be changed here, and nothing runs in the browser.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use base64ct::{Base64, Encoding};
use hyper::header::HeaderValue;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::parameter;
use crate::SignedTag;
use crate::client::signed_tags;
use crate::crypto::{PublicKey, sha256};
use crate::error::Error;
use crate::metadata::{Common, DelegatedRole, RoleKeys, format_time, parse_time, role};
use crate::server::refusal::Refusal;
use crate::server::service::Service;
use crate::trust::TrustedSet;

/// Rows of one page.
const ROWS: usize = 100;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What expires within this time gets a warning.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// All that pages may do: have this style and this icon, and ask for pages.
pub(super) static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = Base64::encode_string(&sha256(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

const STYLE: &str = include_str!("ui.css");

/// A tag of a luggage, in the colour of the links.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
    %3Cpath fill='%230a6b4b' d='M1 2v6l7 7 6-6-7-7zm3 1a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3'/%3E%3C/svg%3E";

/// The repositories whose names come after the one in the query.
pub(super) async fn index(service: &Service, query: &str) -> Result<String, Refusal> {
    let after = parameter(query, "after").unwrap_or_default();
    let mut names = service.repositories(&after, ROWS + 1).await?;
    let more = names.len() > ROWS;
    names.truncate(ROWS);
    let last = names.last().filter(|_| more);
    Ok(page(
        "Repositories",
        html! {
            h1 { "Repositories" }
            form action="/ui/" {
                label { "Names after " input name="after" value=(after) autocomplete="off" spellcheck="false"; }
                " " button { "Show" }
            }
            @if names.is_empty() {
                p { "No repository" @if !after.is_empty() { " after this name" } "." }
            } @else {
                ul.names {
                    @for name in &names { li { a href=(link(name)) { (Shown(name)) } } }
                }
            }
            p.pages {
                @if !after.is_empty() { a href="/ui/" { "First" } " " }
                @if let Some(last) = last {
                    a href=(format!("/ui/?after={}", escaped(last))) rel="next" { "Next " (ROWS) }
                }
            }
        },
    ))
}

/// One repository; of its tags those on the page that the query asks for.
pub(super) async fn repository(service: &Service, gun: &str, query: &str) -> Result<String, Refusal> {
    // As for any client, so that the server makes a new timestamp if it has to.
    // If it cannot, what is wrong shows below.
    if let Err(refusal @ Refusal::NotFound { .. }) = service.current(gun, role::TIMESTAMP).await {
        return Err(refusal);
    }
    let now = service.now();
    let number = parameter(query, "page").and_then(|number| number.parse().ok()).unwrap_or(1);
    let (set, fault) = view(service, gun, now).await?;
    Ok(page(
        gun,
        html! {
            h1 { (Shown(gun)) }
            @match &fault {
                Some(fault) => p.over { strong { "Clients refuse this repository: " } (Shown(&fault.to_string())) "." },
                None => @if let Some(set) = &set {
                    p.fine {
                        @let (name, moment) = first_to_expire(set);
                        "Everything verifies. Next to be signed anew: " (Shown(name)) ", "
                        (expiry(moment, now, SOON)) "."
                    }
                },
            }
            @if let Some(set) = &set {
                @if fault.is_some() { p { "This is what was signed:" } }
                (tags(gun, &signed_tags(set, None), number))
                (roles(set, now))
            }
        },
    ))
}

/// Why there is no page.
pub(super) fn refusal(refusal: &Refusal) -> String {
    let (status, _, message, _) = refusal.answer();
    let words = match refusal {
        Refusal::Unauthorized { challenge, .. } if challenge.starts_with("Bearer") => {
            "Access to this server takes a token from its token server, and a browser cannot get one. \
             Use docker trust inspect or tagtrust inspect, which can; \
             curl can show this page if it sends a token in the header Authorization."
        }
        Refusal::Unauthorized { .. } => "Log in with your name and password for this server.",
        Refusal::NotFound { .. } => "There is nothing here: no repository of this name has trust data.",
        _ => message,
    };
    page(
        words_of(status),
        html! {
            h1 { (words_of(status)) }
            p { (words) }
        },
    )
}

fn words_of(status: u16) -> &'static str {
    match status {
        401 => "Who are you?",
        404 => "Not found",
        _ => "This does not work now",
    }
}

/// The trusted set as clients see it now. Where something has expired: why
/// clients refuse it, and the set as it was just before.
async fn view(
    service: &Service,
    gun: &str,
    now: SystemTime,
) -> Result<(Option<TrustedSet>, Option<Error>), Refusal> {
    let mut moment = now;
    let mut fault = None;
    loop {
        let error = match service.trusted_at(gun, moment).await {
            Ok(set) => return Ok((Some(set), fault)),
            Err(Error::NoTrustData { .. }) => return Err(Refusal::NotFound { detail: false }),
            Err(Error::Internal { reason }) => return Err(Refusal::Unknown { reason, detail: json!({}) }),
            Err(error) => error,
        };
        // Each of the four base roles can expire, each a while before the other.
        let expired = match &error {
            Error::Expired { expired, .. } => parse_time(expired).filter(|end| *end <= moment),
            _ => None,
        };
        let before = expired.and_then(|end| end.checked_sub(Duration::from_secs(1)));
        fault.get_or_insert(error);
        match before {
            Some(before) => moment = before,
            None => return Ok((None, fault)),
        }
    }
}

/// Of what only publishers can sign.
fn first_to_expire(set: &TrustedSet) -> (&str, SystemTime) {
    let targets = set.roles().filter_map(|name| Some((name, set.targets(name)?.common.expires)));
    let root = (role::ROOT, set.root().valid_until());
    targets.fold(root, |first, other| if other.1 < first.1 { other } else { first })
}

fn tags(gun: &str, tags: &[SignedTag], number: usize) -> Markup {
    let pages = tags.len().div_ceil(ROWS).max(1);
    let number = number.clamp(1, pages);
    let rows = tags.iter().skip((number - 1) * ROWS).take(ROWS);
    let to = |number: usize| format!("{}?page={number}", link(gun));
    html! {
        h2 { "Signed tags" @if !tags.is_empty() { " (" (tags.len()) ")" } }
        @if tags.is_empty() {
            p { "None." }
        } @else {
            table {
                thead { tr { th { "Tag" } th { "Digest" } th { "Signers" } } }
                tbody {
                    @for tag in rows {
                        tr {
                            td data-label="Tag" { (Shown(&tag.tag)) }
                            td data-label="Digest" { code { "sha256:" (tag.digest) } }
                            td data-label="Signers" { (Shown(&tag.signers.join(", "))) }
                        }
                    }
                }
            }
        }
        @if pages > 1 {
            p.pages {
                @if number > 1 { a href=(to(number - 1)) rel="prev" { "Previous" } " " }
                "Page " (number) " of " (pages)
                @if number < pages { " " a href=(to(number + 1)) rel="next" { "Next" } }
            }
        }
    }
}

fn roles(set: &TrustedSet, now: SystemTime) -> Markup {
    let root = set.root().root();
    let base = [
        (role::ROOT, Some(&root.common)),
        (role::TARGETS, set.targets(role::TARGETS).map(|targets| &targets.common)),
        (role::SNAPSHOT, set.snapshot().map(|snapshot| &snapshot.common)),
        (role::TIMESTAMP, set.timestamp().map(|timestamp| &timestamp.common)),
    ];
    let certificates = set.root().certificates_expire();
    html! {
        h2 { "Roles and keys" }
        table {
            thead { tr { th { "Role" } th { "Version" } th { "Expires" } th { "Keys" } } }
            tbody {
                @for (name, common) in base {
                    tr {
                        td data-label="Role" { (name) }
                        @let soon = if name == role::TIMESTAMP { Duration::ZERO } else { SOON };
                        (version_and_expiry(common, now, soon, html! {
                            @if name == role::ROOT { br; "certificates " (expiry(certificates, now, SOON)) }
                            @if name == role::TIMESTAMP { br; "The server renews it." }
                        }))
                        td data-label="Keys" { @if let Some(keys) = root.role(name) { (key_list(keys)) } }
                    }
                }
                @for declared in set.roles().filter_map(|name| set.targets(name)).flat_map(|targets| &targets.delegations) {
                    (delegation(set, declared, now))
                }
            }
        }
    }
}

fn delegation(set: &TrustedSet, declared: &DelegatedRole, now: SystemTime) -> Markup {
    let common = set.targets(&declared.name).map(|targets| &targets.common);
    html! {
        tr {
            td data-label="Role" {
                (Shown(&declared.name))
                br;
                span.quiet { (paths(&declared.paths)) }
            }
            (version_and_expiry(common, now, SOON, html! {
                @if let Some(error) = set.excluded(&declared.name) {
                    span.over { "does not count: " (Shown(&error.to_string())) }
                } @else if common.is_none() {
                    "nothing signed yet"
                }
            }))
            td data-label="Keys" { (key_list(&declared.keys)) }
        }
    }
}

fn paths(paths: &[String]) -> Markup {
    html! {
        @if paths.is_empty() {
            "for no tags"
        } @else if paths.iter().any(String::is_empty) {
            "for all tags"
        } @else {
            "for tags that begin with "
            @for (index, path) in paths.iter().enumerate() {
                @if index > 0 { ", " }
                code { (Shown(path)) }
            }
        }
    }
}

fn version_and_expiry(common: Option<&Common>, now: SystemTime, soon: Duration, more: Markup) -> Markup {
    html! {
        td data-label="Version" { @if let Some(common) = common { (common.version) } @else { "–" } }
        td data-label="Expires" { @if let Some(common) = common { (expiry(common.expires, now, soon)) } (more) }
    }
}

fn key_list(keys: &RoleKeys) -> Markup {
    let is_plural = keys.keys.len() != 1;
    html! {
        span.quiet { (keys.threshold) " of " (keys.keys.len()) @if is_plural { " keys" } @else { " key" } " must sign" }
        ul.keys {
            @for (id, key) in &keys.keys { li { code { (Shown(id.as_str())) } " " span.quiet { (kind(key)) } } }
        }
    }
}

fn kind(key: &PublicKey) -> Shown<'_> {
    Shown(key.key_type().as_str())
}

/// A moment, how far away it is, and whether that is too `soon`.
fn expiry(moment: SystemTime, now: SystemTime, soon: Duration) -> Markup {
    let text = format_time(moment);
    let left = moment.duration_since(now);
    let class = match left {
        Err(_) => "over",
        Ok(left) if left < soon => "soon",
        Ok(_) => "fine",
    };
    let words = match left {
        Ok(left) => format!("in {}", amount(left)),
        Err(passed) => format!("expired {} ago", amount(passed.duration())),
    };
    html! {
        time datetime=(text) title=(text) { (text.get(..10).unwrap_or(&text)) }
        " "
        span class=(class) { (words) }
    }
}

fn amount(time: Duration) -> String {
    const HOUR: u64 = 60 * 60;
    let (count, unit) = match time.as_secs() {
        seconds @ 0..HOUR => (seconds / 60, "minute"),
        seconds if time < 2 * DAY => (seconds / HOUR, "hour"),
        seconds if time < 730 * DAY => (seconds / DAY.as_secs(), "day"),
        seconds => (seconds / (365 * DAY.as_secs()), "year"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

fn page(title: &str, body: Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (Shown(title)) " · tagtrust" }
                link rel="icon" href=(ICON);
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { a href="/ui/" { "tagtrust" } }
                main { (body) }
            }
        }
    };
    page.into_string()
}

/// A text from outside: what cannot be seen, or would turn the writing around,
/// is shown as an escape.
struct Shown<'a>(&'a str);

impl maud::Render for Shown<'_> {
    fn render_to(&self, out: &mut String) {
        for character in self.0.chars() {
            match character {
                '"' | '\'' => character.render_to(out),
                _ => character.escape_debug().for_each(|character| character.render_to(out)),
            }
        }
    }
}

/// The page of a repository.
fn link(gun: &str) -> String {
    format!("/ui/{}", utf8_percent_encode(gun, PATH))
}

/// Of what may stand in a path, the characters that mean nothing there.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use maud::Render;

    use super::*;

    fn shown(text: &str) -> String {
        Shown(text).render().into_string()
    }

    #[test]
    fn a_name_is_text_whatever_is_in_it() {
        assert_eq!(shown(r#"team/ünï-応用 "a" 'b'"#), r#"team/ünï-応用 &quot;a&quot; 'b'"#);
        assert_eq!(shown("<script>&amp;"), "&lt;script&gt;&amp;amp;");
        // What turns the writing around, has no width, or is no text.
        assert_eq!(shown("a\u{202e}b\u{200b}c\0d\n"), r"a\u{202e}b\u{200b}c\0d\n");
        assert_eq!(shown(r"a\u{202e}b"), r"a\\u{202e}b");
    }

    #[test]
    fn a_link_leads_to_the_name_and_nowhere_else() {
        assert_eq!(link("reg.example:5000/team/app"), "/ui/reg.example%3A5000/team/app");
        assert_eq!(link(r#"a"><b>?c#d%2e é"#), "/ui/a%22%3E%3Cb%3E%3Fc%23d%252e%20%C3%A9");
        assert_eq!(escaped("a/b&c=+"), "a%2Fb%26c%3D%2B");
    }

    #[test]
    fn what_expires_soon_stands_out() {
        let now = parse_time("2030-01-01T00:00:00Z").unwrap();
        let words = |moment| expiry(moment, now, SOON).into_string();
        assert!(words(now + 31 * DAY).contains(r#">2030-02-01</time> <span class="fine">in 31 days<"#));
        assert!(words(now + 30 * DAY).contains(r#"class="fine">in 30 days"#));
        assert!(words(now + 29 * DAY).contains(r#"class="soon">in 29 days"#));
        assert!(words(now + Duration::from_secs(90)).contains(r#"class="soon">in 1 minute<"#));
        assert!(words(now - Duration::from_secs(7200)).contains(r#"class="over">expired 2 hours ago"#));
        assert!(words(now + 3 * 365 * DAY).contains("in 3 years"));
    }

    #[test]
    fn a_page_may_have_its_own_style_and_run_nothing() {
        let policy = POLICY.to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("script"), "{policy}");
        let page = page("x", html! {});
        assert!(page.contains(&format!("<style>{STYLE}</style>")) && !STYLE.contains('<'));
    }

    #[test]
    fn who_cannot_log_in_is_told_so() {
        let refused = |challenge: &str| {
            refusal(&Refusal::Unauthorized { challenge: challenge.into(), detail: json!([]) })
        };
        assert!(refused(r#"Bearer realm="x""#).contains("a browser cannot get one"));
        assert!(refused(r#"Basic realm="x""#).contains("Log in with your name and password"));
        // Reasons are for the log.
        let unknown = Refusal::Unknown { reason: "postgres://user:secret@host".into(), detail: json!({}) };
        assert!(!refusal(&unknown).contains("secret"));
    }
}
