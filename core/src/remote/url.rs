//! URLs: which ones may be asked, and how a GUN becomes a path.

use std::net::{Ipv4Addr, Ipv6Addr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::http::{Uri, uri::Scheme};

use crate::{Error, Result};

/// What RFC 3986 wants encoded in a path; `/` and `:` of a GUN stay.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/');

/// What is encoded in a query or a form.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The URL of a trust server, without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    text: String,
    authority: String,
    host: String,
}

impl Server {
    pub(super) fn parse(text: &str, danger_plain_http: bool) -> Result<Self> {
        let invalid = |what: String, reason: String| Error::InvalidConfiguration { what, reason };
        let uri = match checked(text, danger_plain_http) {
            Ok(uri) if uri.query().is_none() && !text.contains('#') => uri,
            // What may hold a password is not repeated.
            Err(Unusable::UserInfo) => {
                return Err(invalid("trust server".into(), Unusable::UserInfo.reason().into()));
            }
            _ => {
                return Err(invalid(
                    "trust server".into(),
                    format!("valid https URL required for trust server, got {text}"),
                ));
            }
        };
        Ok(Self {
            text: text.trim_end_matches('/').to_owned(),
            authority: uri.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default(),
            host: uri.host().unwrap_or_default().to_ascii_lowercase(),
        })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// `host[:port]`: the name of the server's folder under Docker's `tls`.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn ping(&self) -> String {
        format!("{}/v2/", self.text)
    }

    pub(super) fn metadata(&self, gun: &str, file: &str) -> String {
        format!(
            "{}/v2/{}/_trust/tuf/{}",
            self.text,
            utf8_percent_encode(gun, IN_PATH),
            utf8_percent_encode(file, IN_PATH)
        )
    }

    /// `reference` is a tag or a digest.
    pub(super) fn manifest(&self, path: &str, reference: &str) -> String {
        format!(
            "{}/v2/{}/manifests/{}",
            self.text,
            utf8_percent_encode(path, IN_PATH),
            utf8_percent_encode(reference, IN_PATH)
        )
    }
}

/// Why a URL is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    Malformed,
    UserInfo,
    PlainHttp,
}

impl Unusable {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "is not a valid https URL",
            Self::UserInfo => "must not contain a user name or a password",
            Self::PlainHttp => "is not https",
        }
    }
}

/// A URL that credentials may be sent to: `https`, or `http` that does not
/// leave this machine.
pub(super) fn checked(text: &str, danger_plain_http: bool) -> Result<Uri, Unusable> {
    if text.split_once("://").is_some_and(|(_, rest)| {
        rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
    }) {
        return Err(Unusable::UserInfo);
    }
    let uri: Uri = text.parse().map_err(|_| Unusable::Malformed)?;
    let authority = uri.authority().ok_or(Unusable::Malformed)?;
    // A port that is no number is kept in the authority, and would be ignored.
    if authority.host().is_empty()
        || (authority.port_u16().is_none() && authority.host() != authority.as_str())
    {
        return Err(Unusable::Malformed);
    }
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if danger_plain_http || is_loopback(&uri) => Ok(uri),
        Some("http") => Err(Unusable::PlainHttp),
        _ => Err(Unusable::Malformed),
    }
}

/// 127.0.0.0/8, ::1 and `localhost`.
pub(super) fn is_loopback(uri: &Uri) -> bool {
    let Some(host) = uri.host() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || bare.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

/// Where a redirect leads, if that is the same server: scheme, host and port.
///
/// Stricter: Notary follows a redirect anywhere.
pub(super) fn redirected(from: &Uri, location: &str) -> Option<Uri> {
    let to: Uri = if location.starts_with('/') && !location.starts_with("//") {
        let authority = from.authority()?;
        format!("{}://{authority}{location}", from.scheme_str()?).parse().ok()?
    } else {
        location.parse().ok()?
    };
    let userinfo = to.authority()?.as_str().contains('@');
    (!userinfo && origin(from)? == origin(&to)?).then_some(to)
}

fn origin(uri: &Uri) -> Option<(&Scheme, String, u16)> {
    let scheme = uri.scheme()?;
    let default = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    Some((scheme, uri.host()?.to_ascii_lowercase(), uri.port_u16().unwrap_or(default)))
}

/// `a=b&c=d`, for a query or a form.
pub(super) fn form(pairs: &[(&str, &str)]) -> String {
    let encoded: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, IN_QUERY)))
        .collect();
    encoded.join("&")
}

/// A URL as it may be shown: without its query, which may hold secrets.
pub(super) fn shown(uri: &Uri) -> String {
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme), Some(authority)) => format!("{scheme}://{authority}{}", uri.path()),
        _ => uri.path().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_https_or_on_this_machine() {
        for good in [
            "https://notary.example",
            "https://notary.example:4443/",
            "https://notary.example/sub/path/",
            "http://127.0.0.1:4443",
            "http://127.8.9.1",
            "http://localhost:1",
            "http://[::1]:4443",
        ] {
            assert!(Server::parse(good, false).is_ok(), "{good}");
        }
        for bad in [
            "",
            "notary.example",
            "localhost:4443",
            "http://notary.example",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "http://[::2]",
            "ftp://127.0.0.1",
            "https://",
            "https://notary.example:99999",
            "https://notary.example:port",
            "https://notary.example/?q=1",
            "https://notary.example/#f",
            "https://notary example",
        ] {
            let error = Server::parse(bad, false).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "invalid configuration: trust server: valid https URL required for trust server, got {bad}"
                )
            );
        }
        assert!(Server::parse("http://notary.example", true).is_ok());
    }

    #[test]
    fn a_password_in_a_server_url_is_refused_and_not_repeated() {
        for bad in ["https://user:hunter2@notary.example", "http://hunter2@127.0.0.1", "https://a@hunter2@x"]
        {
            let text = Server::parse(bad, true).unwrap_err().to_string();
            assert!(text.contains("user name or a password") && !text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_gun_is_encoded_only_where_necessary() {
        let server = Server::parse("https://notary.example/sub//", false).unwrap();
        assert_eq!(server.authority(), "notary.example");
        assert_eq!(server.ping(), "https://notary.example/sub/v2/");
        assert_eq!(
            server.metadata("reg.example:5000/team/app", "targets/releases.json"),
            "https://notary.example/sub/v2/reg.example:5000/team/app/_trust/tuf/targets/releases.json"
        );
        assert_eq!(
            server.metadata("a b?c#d%2f", "ü.json"),
            "https://notary.example/sub/v2/a%20b%3Fc%23d%252f/_trust/tuf/%C3%BC.json"
        );
    }

    #[test]
    fn a_redirect_stays_on_the_same_server() {
        let from: Uri = "https://notary.example/v2//a".parse().unwrap();
        for (location, to) in [
            ("/v2/a", "https://notary.example/v2/a"),
            ("https://notary.example/v2/a?x", "https://notary.example/v2/a?x"),
            ("https://NOTARY.example:443/v2/a", "https://NOTARY.example:443/v2/a"),
        ] {
            assert_eq!(redirected(&from, location).unwrap().to_string(), to);
        }
        for elsewhere in [
            "http://notary.example/v2/a",
            "https://notary.example:444/v2/a",
            "https://evil.example/v2/a",
            "//evil.example/v2/a",
            "https://user@notary.example/v2/a",
            "a",
            "../a",
            "",
        ] {
            assert_eq!(redirected(&from, elsewhere), None, "{elsewhere}");
        }
    }
}
