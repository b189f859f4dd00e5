//! Who may do what: everyone, the holders of Docker's tokens, or the users of a
//! file.

use std::time::SystemTime;

use serde_json::{Value, json};

use self::htpasswd::Passwords;
use self::token::Tokens;
use super::config::AuthConfig;
use super::refusal::Refusal;

mod htpasswd;
mod token;

/// What a request wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Ask whether this is a server, and how to log in.
    Ping,
    /// See all repositories.
    Catalog,
    /// Read one repository.
    Pull,
    /// Write to one repository.
    Push,
    /// Delete one repository, or rotate its keys.
    Admin,
}

/// Tells who asks, and whether they may.
pub(crate) enum Authenticator {
    /// Everyone may do everything.
    Off,
    Token(Tokens),
    Htpasswd(Box<Passwords>),
}

impl Authenticator {
    /// Reads the files that the configuration names.
    pub(crate) fn new(config: &AuthConfig) -> crate::Result<Self> {
        Ok(match config {
            AuthConfig::Off => Self::Off,
            AuthConfig::Token { realm, service, issuer, root_certificates } => {
                Self::Token(Tokens::new(realm, service, issuer, root_certificates)?)
            }
            AuthConfig::Htpasswd { realm, path, anonymous_pull } => {
                Self::Htpasswd(Box::new(Passwords::new(realm, path, *anonymous_pull)?))
            }
        })
    }

    /// Reads the files again. If that fails, what was read before stays.
    pub(crate) fn reload(&self) -> crate::Result<()> {
        match self {
            Self::Off => Ok(()),
            Self::Token(tokens) => tokens.reload(),
            Self::Htpasswd(passwords) => passwords.reload(),
        }
    }

    /// Whether the request with this `Authorization` header may do that. The
    /// answer is who asks, for the access log.
    ///
    /// `gun` is the repository, for the accesses that are about one.
    pub(crate) async fn check(
        &self,
        header: Option<&str>,
        gun: Option<&str>,
        access: Access,
        now: SystemTime,
    ) -> Result<Option<String>, Refusal> {
        let wanted = Wanted::new(access, gun);
        match self {
            Self::Off => Ok(None),
            Self::Token(tokens) => tokens.check(header, &wanted, now),
            Self::Htpasswd(passwords) => passwords.check(header, &wanted, now).await,
        }
    }
}

/// An access in the words of Docker's tokens.
struct Wanted<'a> {
    access: Access,
    kind: &'static str,
    name: &'a str,
    actions: &'static [&'static str],
}

impl<'a> Wanted<'a> {
    /// Without a repository, whatever is wanted takes the right to see them all.
    fn new(access: Access, gun: Option<&'a str>) -> Self {
        let actions: &[_] = match access {
            Access::Pull => &["pull"],
            Access::Push => &["push", "pull"],
            Access::Ping | Access::Catalog | Access::Admin => &["*"],
        };
        match (access, gun) {
            (Access::Pull | Access::Push | Access::Admin, Some(name)) => {
                Self { access, kind: "repository", name, actions }
            }
            _ => Self { access, kind: "registry", name: "catalog", actions: &["*"] },
        }
    }

    fn scope(&self) -> String {
        format!("{}:{}:{}", self.kind, self.name, self.actions.join(","))
    }

    fn refusal(&self, challenge: String) -> Refusal {
        let detail: Vec<Value> = self
            .actions
            .iter()
            .map(|action| json!({"Type": self.kind, "Class": "", "Name": self.name, "Action": action}))
            .collect();
        Refusal::Unauthorized { challenge, detail: detail.into() }
    }
}

/// The credentials of an `Authorization` header, if it has that scheme.
fn credentials<'a>(header: Option<&'a str>, scheme: &str) -> Option<&'a str> {
    let (found, credentials) = header?.split_once(' ')?;
    (found.eq_ignore_ascii_case(scheme) && !credentials.contains(' ')).then_some(credentials)
}

/// A quoted string of a header. What is not printable ASCII is written as an
/// escape that nobody reads back, so that it cannot end the header.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            ' '..='~' => out.push(character),
            _ => out.extend(character.escape_unicode()),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_its_quotes_or_the_header() {
        assert_eq!(quoted("team/app"), r#""team/app""#);
        assert_eq!(quoted("a\",error=\"x\\"), r#""a\",error=\"x\\""#);
        assert_eq!(quoted("a\r\nb\u{fc}\0"), r#""a\u{d}\u{a}b\u{fc}\u{0}""#);
    }

    #[test]
    fn what_is_about_a_repository_takes_the_catalog_where_none_is_named() {
        for access in [Access::Pull, Access::Push, Access::Admin, Access::Ping, Access::Catalog] {
            assert_eq!(Wanted::new(access, None).scope(), "registry:catalog:*");
        }
        assert_eq!(Wanted::new(Access::Push, Some("a/b")).scope(), "repository:a/b:push,pull");
        assert_eq!(Wanted::new(Access::Admin, Some("a/b")).scope(), "repository:a/b:*");
    }

    #[tokio::test]
    async fn without_authentication_everyone_may_do_everything() {
        let nobody = Authenticator::new(&AuthConfig::Off).unwrap();
        for header in [None, Some("Basic !"), Some("Bearer x")] {
            let answer = nobody.check(header, Some("a"), Access::Admin, SystemTime::now()).await;
            assert_eq!(answer, Ok(None));
        }
    }
}
