//! Which request is for what. Names of repositories contain slashes and may look
//! like anything, so no router with patterns for single segments can tell.

use std::borrow::Cow;

use hyper::{Method, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::metadata::role;
use crate::server::auth::Access;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'p> {
    Ping,
    Health,
    Metrics,
    /// The changes of all repositories.
    Feed,
    Repository {
        gun: &'p str,
        wanted: Wanted<'p>,
    },
    /// `/ui`, which lacks its slash.
    ToPages,
    /// The page with all repositories.
    Pages,
    /// The page of one.
    Page {
        gun: &'p str,
    },
    /// Nothing that this server has.
    Nothing,
    MethodNotAllowed,
}

/// What is wanted of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted<'p> {
    Upload,
    Delete,
    Current {
        role: &'p str,
    },
    /// `None`: a checksum that no file has here.
    BySha256 {
        role: &'p str,
        sha256: Option<[u8; 32]>,
    },
    /// `None`: a number that no version can be.
    ByVersion {
        role: &'p str,
        version: Option<i64>,
    },
    Key {
        role: &'p str,
    },
    RotateKey {
        role: &'p str,
    },
    Feed,
}

impl Wanted<'_> {
    pub(super) fn access(self) -> Access {
        match self {
            Self::Upload | Self::Key { .. } => Access::Push,
            Self::Delete | Self::RotateKey { .. } => Access::Admin,
            Self::Current { .. } | Self::BySha256 { .. } | Self::ByVersion { .. } | Self::Feed => {
                Access::Pull
            }
        }
    }
}

/// The path of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Path<'u> {
    /// Without escapes.
    Clean(Cow<'u, str>),
    /// Look there instead.
    Moved(String),
    /// Escapes that are none.
    Malformed,
    /// Escaped bytes that are not text. Nothing here has such a name.
    NotText,
}

/// What Go leaves as it is in a path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');

impl<'u> Path<'u> {
    /// As notary-server reads it: escapes are resolved first, so an escaped
    /// slash is a slash, and what is not clean then is asked for again.
    pub(super) fn of(uri: &'u Uri) -> Self {
        let raw = uri.path();
        if !escapes_are_whole(raw) {
            return Self::Malformed;
        }
        let Ok(path) = percent_decode_str(raw).decode_utf8() else {
            return Self::NotText;
        };
        if is_clean(&path) {
            return Self::Clean(path);
        }
        let mut location = utf8_percent_encode(&cleaned(&path), ESCAPED).to_string();
        if let Some(query) = uri.query() {
            location.push('?');
            location.push_str(query);
        }
        Self::Moved(location)
    }
}

fn escapes_are_whole(raw: &str) -> bool {
    raw.split('%')
        .skip(1)
        .all(|rest| matches!(rest.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}

fn is_clean(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    // Only the last segment may be empty.
    let segments = rest.strip_suffix('/').unwrap_or(rest);
    rest.is_empty() || segments.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

fn cleaned(path: &str) -> String {
    let mut kept = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let end = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

impl<'p> Route<'p> {
    /// Of a clean path.
    pub(super) fn of(method: &Method, path: &'p str) -> Self {
        if ![Method::GET, Method::POST, Method::PUT, Method::HEAD, Method::DELETE].contains(method) {
            return Self::MethodNotAllowed;
        }
        let is_get = method == Method::GET;
        match path {
            "/v2/" if is_get => Self::Ping,
            "/_notary_server/health" if is_get => Self::Health,
            "/metrics" if is_get => Self::Metrics,
            "/v2/_trust/changefeed" if is_get => Self::Feed,
            "/ui" if is_get => Self::ToPages,
            "/ui/" if is_get => Self::Pages,
            _ => match path.strip_prefix("/ui/") {
                Some(gun) if is_get && is_gun(gun) => Self::Page { gun },
                _ => Self::of_repository(method, path).unwrap_or(Self::Nothing),
            },
        }
    }

    /// The name of the repository is the longest that leaves something to want.
    fn of_repository(method: &Method, path: &'p str) -> Option<Self> {
        const MARK: &str = "/_trust/";
        let rest = path.strip_prefix("/v2/")?;
        rest.rmatch_indices(MARK).find_map(|(at, _)| {
            let (gun, tail) = rest.split_at_checked(at)?;
            let wanted = Wanted::of(method, tail.strip_prefix(MARK)?)?;
            is_gun(gun).then_some(Self::Repository { gun, wanted })
        })
    }
}

fn is_gun(gun: &str) -> bool {
    // Stricter: Notary takes control characters, which no client sends.
    !gun.is_empty() && !gun.contains(|character: char| character == '*' || character.is_control())
}

impl<'p> Wanted<'p> {
    fn of(method: &Method, tail: &'p str) -> Option<Self> {
        if tail == "changefeed" {
            return (method == Method::GET).then_some(Self::Feed);
        }
        let name = tail.strip_prefix("tuf/")?;
        if name.is_empty() {
            return match *method {
                Method::POST => Some(Self::Upload),
                Method::DELETE => Some(Self::Delete),
                _ => None,
            };
        }
        if let Some(role) = name.strip_suffix(".key") {
            return match *method {
                _ if ![role::SNAPSHOT, role::TIMESTAMP].contains(&role) => None,
                Method::GET => Some(Self::Key { role }),
                Method::POST => Some(Self::RotateKey { role }),
                _ => None,
            };
        }
        let name = name.strip_suffix(".json")?;
        if method != Method::GET {
            return None;
        }
        Self::by_checksum(name).or_else(|| Self::by_version(name)).or_else(|| {
            let role = name;
            is_role(role).then_some(Self::Current { role })
        })
    }

    fn by_checksum(name: &'p str) -> Option<Self> {
        let (role, hex) = name.rsplit_once('.')?;
        // Of the lengths that Notary's route admits only SHA-256, in lower case, is ever found.
        let admitted = [64, 96, 128].contains(&hex.len()) && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut sha256 = [0; 32];
        let sha256 =
            base16ct::lower::decode(hex, &mut sha256).is_ok_and(|found| found.len() == 32).then_some(sha256);
        (admitted && is_role(role)).then_some(Self::BySha256 { role, sha256 })
    }

    fn by_version(name: &'p str) -> Option<Self> {
        let (version, role) = name.split_once('.')?;
        let is_number = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && is_role(role)).then(|| Self::ByVersion { role, version: version.parse().ok() })
    }
}

/// What the route takes for a role: less strict than what can be uploaded.
fn is_role(name: &str) -> bool {
    let segments = name.strip_prefix(role::TARGETS).and_then(|rest| match rest {
        "" => Some(""),
        _ => rest.strip_prefix('/').filter(|rest| !rest.is_empty() && !rest.ends_with('/')),
    });
    [role::ROOT, role::SNAPSHOT, role::TIMESTAMP].contains(&name)
        || segments.is_some_and(|segments| !segments.contains([' ', '\t', '\n', '\x0c', '\r']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn get(path: &str) -> Route<'_> {
        Route::of(&Method::GET, path)
    }

    fn wanted<'p>(gun: &'p str, wanted: Wanted<'p>) -> Route<'p> {
        Route::Repository { gun, wanted }
    }

    fn path(raw: &str) -> Result<String, String> {
        match Path::of(&raw.parse().unwrap()) {
            Path::Clean(path) => Ok(path.into_owned()),
            Path::Moved(location) => Err(location),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn paths_are_read_as_notary_server_does() {
        // Each as the real server answered it.
        for clean in ["/", "/v2", "/v2/", "/v2/a/_trust/tuf/", "/v2/a..b/.c/d./e"] {
            assert_eq!(path(clean).as_deref(), Ok(clean));
        }
        assert_eq!(path("/v2/a%2Fb%3a1/%74uf").as_deref(), Ok("/v2/a/b:1/tuf"));
        for (unclean, location) in [
            ("//", "/"),
            ("/..", "/"),
            ("/v2//a/_trust/tuf/root.json?x=1", "/v2/a/_trust/tuf/root.json?x=1"),
            ("/v2/a/../b", "/v2/b"),
            ("/v2/a/./b/", "/v2/a/b/"),
            ("/v2/a/%2e%2e/b!c*d", "/v2/b%21c%2Ad"),
            ("/v2/a%2F%2Fb", "/v2/a/b"),
            ("/v2/a%20b//c%3Fd", "/v2/a%20b/c%3Fd"),
            ("/v2/a~$&+,;=:@'()!b//c", "/v2/a~$&+,;=:@%27%28%29%21b/c"),
            ("/v2//x%5Cy%0D%0Az%C3%A9", "/v2/x%5Cy%0D%0Az%C3%A9"),
            ("/a/../../..//b", "/b"),
        ] {
            assert_eq!(path(unclean), Err(location.to_owned()), "{unclean}");
        }
        for malformed in ["/v2/a%zz/", "/v2/%", "/v2/%2", "/v2/%é"] {
            assert_eq!(Path::of(&malformed.parse().unwrap()), Path::Malformed, "{malformed}");
        }
        assert_eq!(Path::of(&"/v2/a%ff/".parse().unwrap()), Path::NotText);
    }

    #[test]
    fn names_of_repositories_have_any_number_of_slashes_and_colons() {
        for gun in
            ["a", "a/b", "reg.example:5000/team/a:b/c", "_trust", "a/_trust/tuf", "a/_trust/changefeed", "é"]
        {
            let path = format!("/v2/{gun}/_trust/tuf/root.json");
            assert_eq!(get(&path), wanted(gun, Wanted::Current { role: "root" }));
            let path = format!("/v2/{gun}/_trust/tuf/");
            assert_eq!(Route::of(&Method::POST, &path), wanted(gun, Wanted::Upload));
            assert_eq!(Route::of(&Method::DELETE, &path), wanted(gun, Wanted::Delete));
            let path = format!("/v2/{gun}/_trust/changefeed");
            assert_eq!(get(&path), wanted(gun, Wanted::Feed));
        }
        for gun in ["", "a*b", "*", "a\0b", "a\nb"] {
            assert_eq!(get(&format!("/v2/{gun}/_trust/tuf/root.json")), Route::Nothing, "{gun:?}");
        }
    }

    #[test]
    fn files_are_wanted_as_they_are_now_by_checksum_or_by_version() {
        let of = |name: &str| match get(&format!("/v2/a/_trust/tuf/{name}")) {
            Route::Repository { gun: "a", wanted } => Some(format!("{wanted:?}")),
            Route::Nothing => None,
            other => panic!("{other:?}"),
        };
        for role in
            ["root", "snapshot", "timestamp", "targets", "targets/a", "targets/A/b.c", "targets/_trust/tuf/x"]
        {
            assert_eq!(of(&format!("{role}.json")), Some(format!("{:?}", Wanted::Current { role })));
            assert_eq!(
                of(&format!("007.{role}.json")),
                Some(format!("{:?}", Wanted::ByVersion { role, version: Some(7) }))
            );
            let sha256 =
                Some(std::array::from_fn(|at| [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef][at % 8]));
            assert_eq!(
                of(&format!("{role}.{HEX}.json")),
                Some(format!("{:?}", Wanted::BySha256 { role, sha256 }))
            );
            for never in [HEX.to_uppercase(), HEX.repeat(2), "a".repeat(96)] {
                let sha256 = None;
                assert_eq!(
                    of(&format!("{role}.{never}.json")),
                    Some(format!("{:?}", Wanted::BySha256 { role, sha256 }))
                );
            }
        }
        let huge = Wanted::ByVersion { role: "root", version: None };
        assert_eq!(of("99999999999999999999.root.json"), Some(format!("{huge:?}")));
        for nothing in [
            "foo.json",
            "targetsx.json",
            "targets/.json",
            "targets/a/.json",
            "targets/a b.json",
            "-1.root.json",
            ".root.json",
            "root.abc.json",
            "root",
            "root.json/",
            "json",
            "Root.json",
            "1.1.root.json",
        ] {
            assert_eq!(of(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn keys_are_those_that_the_server_holds() {
        for role in ["snapshot", "timestamp"] {
            let path = format!("/v2/a/_trust/tuf/{role}.key");
            assert_eq!(get(&path), wanted("a", Wanted::Key { role }));
            assert_eq!(Route::of(&Method::POST, &path), wanted("a", Wanted::RotateKey { role }));
            assert_eq!(Route::of(&Method::DELETE, &path), Route::Nothing);
        }
        for role in ["root", "targets", "targets/a", "Snapshot"] {
            assert_eq!(get(&format!("/v2/a/_trust/tuf/{role}.key")), Route::Nothing);
        }
    }

    #[test]
    fn each_route_has_its_method() {
        for path in
            ["/v2/", "/metrics", "/_notary_server/health", "/v2/_trust/changefeed", "/ui", "/ui/", "/ui/a"]
        {
            assert_ne!(get(path), Route::Nothing, "{path}");
            for method in [Method::HEAD, Method::POST, Method::PUT, Method::DELETE] {
                assert_eq!(Route::of(&method, path), Route::Nothing, "{method} {path}");
            }
        }
        for path in ["/v2/a/_trust/tuf/root.json", "/v2/a/_trust/tuf/", "/", "/v2", "/x"] {
            for method in [Method::HEAD, Method::PUT] {
                assert_eq!(Route::of(&method, path), Route::Nothing, "{method} {path}");
            }
            for method in [Method::OPTIONS, Method::PATCH, Method::TRACE, Method::CONNECT] {
                assert_eq!(Route::of(&method, path), Route::MethodNotAllowed, "{method} {path}");
            }
        }
        assert_eq!(get("/v2/a/_trust/tuf/"), Route::Nothing);
        assert_eq!(get("/v2/_trust/tuf/root.json"), Route::Nothing);
        assert_eq!(get("/ui/a/b:1"), Route::Page { gun: "a/b:1" });
    }
}
