//! Image references, read as Docker reads them (`github.com/distribution/reference`):
//!
//! ```text
//! reference = [registry "/"] path [":" tag] ["@" digest]
//! ```
//!
//! Two names for one repository would be two chances to be deceived, so every
//! reference is held in its normalised form only.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// The registry of names that give none.
const DOCKER_HUB: &str = "docker.io";
/// Docker Hub's name in old configurations; the same registry.
const LEGACY_DOCKER_HUB: &str = "index.docker.io";
/// The namespace of Docker Hub's official images.
const OFFICIAL: &str = "library/";
/// The tag that Docker means when no tag and no digest is given.
const DEFAULT_TAG: &str = "latest";

/// Docker's limit for the path of a repository, `library/` included.
const MAX_PATH: usize = 255;
/// Stricter: Docker has no limit. The host names a directory, and no DNS name is longer.
const MAX_REGISTRY: usize = 255;
/// Docker's limit for a tag.
const MAX_TAG: usize = 128;
/// Hexadecimal digits of a SHA-256.
const SHA256_HEX: usize = 64;
/// Nothing longer can be valid: refused before it is read.
const MAX_REFERENCE: usize = MAX_REGISTRY + 1 + MAX_PATH + 1 + MAX_TAG + 1 + "sha256:".len() + SHA256_HEX;
/// As much of a refused reference as an error repeats.
const MAX_EVIDENCE: usize = 200;

/// An image reference in Docker's normalised form.
///
/// ```
/// # use tagtrust::Reference;
/// let reference: Reference = "alpine".parse()?;
/// assert_eq!(reference.to_string(), "docker.io/library/alpine:latest");
/// assert_eq!(reference.registry(), "docker.io");
/// assert_eq!(reference.gun(), "docker.io/library/alpine");
/// assert_eq!(reference.tag(), Some("latest"));
/// assert_eq!(reference.digest(), None);
/// # Ok::<(), tagtrust::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// `registry/path[:tag][@digest]`; the other fields are where its parts end.
    text: String,
    registry_end: usize,
    gun_end: usize,
    tag_end: usize,
}

impl Reference {
    /// Reads a reference to an image. Without tag and digest the tag is `latest`.
    pub fn parse(reference: &str) -> Result<Self> {
        normalise(reference, Some(DEFAULT_TAG)).map_err(|reason| invalid(reference, reason))
    }

    /// Reads a reference to an image or to a whole repository: a tag that is
    /// not given stays absent.
    pub fn parse_repository(reference: &str) -> Result<Self> {
        normalise(reference, None).map_err(|reason| invalid(reference, reason))
    }

    /// Reads the name of a whole repository. What happens to all of it must not
    /// be meant for one image, so there may be no tag and no digest.
    pub fn parse_name(name: &str) -> Result<Self> {
        let parsed = Self::parse_repository(name)?;
        if parsed.tag().is_some() || parsed.digest().is_some() {
            return Err(invalid(name, "it is about a whole repository, and there is a tag or digest".into()));
        }
        Ok(parsed)
    }

    /// The registry: host, and port where one was given.
    pub fn registry(&self) -> &str {
        self.part(0, self.registry_end)
    }

    /// The name under which Notary knows the repository: registry and path.
    pub fn gun(&self) -> &str {
        self.part(0, self.gun_end)
    }

    /// The tag. With a digest there may be none.
    pub fn tag(&self) -> Option<&str> {
        (self.tag_end > self.gun_end).then(|| self.part(self.gun_end + 1, self.tag_end))
    }

    /// The digest: `sha256:` and 64 lower-case hexadecimal digits.
    pub fn digest(&self) -> Option<&str> {
        (self.text.len() > self.tag_end).then(|| self.part(self.tag_end + 1, self.text.len()))
    }

    fn part(&self, from: usize, to: usize) -> &str {
        self.text.get(from..to).unwrap_or_default()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(reference: &str) -> Result<Self> {
        Self::parse(reference)
    }
}

fn invalid(reference: &str, reason: String) -> Error {
    let mut evidence: String = reference.chars().take(MAX_EVIDENCE).collect();
    if evidence.len() < reference.len() {
        evidence.push('…');
    }
    Error::InvalidReference { reference: evidence, reason }
}

/// The result of a check: an error says what is wrong, where, and what to do.
type Checked<T = ()> = Result<T, String>;

fn normalise(reference: &str, default_tag: Option<&str>) -> Checked<Reference> {
    if reference.is_empty() {
        return Err("it is empty; give one such as alpine:3.20".into());
    }
    if reference.len() > MAX_REFERENCE {
        return Err(format!(
            "it has {} bytes; no valid reference has more than {MAX_REFERENCE}",
            reference.len()
        ));
    }
    // Docker's rule: it could be meant as the ID of an image.
    if reference.len() == SHA256_HEX && reference.bytes().all(is_lower_hex) {
        return Err("cannot specify 64-byte hexadecimal strings; write NAME@sha256:… for a digest".into());
    }

    let (registry, remainder) = split_registry(reference);
    let (named, digest) = split(remainder, b'@');
    let (path, tag) = split(named, b':');

    let at = reference.len() - remainder.len();
    if let Some(registry) = registry {
        check_registry(registry, remainder)?;
    }
    check_path(path, at)?;
    if let Some(tag) = tag {
        check_tag(tag, at + path.len() + 1)?;
    }
    if let Some(digest) = digest {
        check_digest(digest, at + named.len() + 1)?;
    }

    let registry = match registry {
        None | Some(LEGACY_DOCKER_HUB) => DOCKER_HUB,
        Some(registry) => registry,
    };
    // Docker Hub's repositories with one component are the official images.
    let namespace = match registry {
        DOCKER_HUB if !path.contains('/') => OFFICIAL,
        _ => "",
    };
    let path_len = namespace.len() + path.len();
    if path_len > MAX_PATH {
        return Err(format!(
            "the repository's path has {path_len} characters with its namespace; at most {MAX_PATH} are allowed"
        ));
    }
    // A digest alone already names one image.
    let tag = tag.or(default_tag.filter(|_| digest.is_none()));

    let added = DOCKER_HUB.len() + OFFICIAL.len() + DEFAULT_TAG.len() + "/:".len();
    let mut text = String::with_capacity(reference.len() + added);
    text.push_str(registry);
    let registry_end = text.len();
    text.push('/');
    text.push_str(namespace);
    text.push_str(path);
    let gun_end = text.len();
    if let Some(tag) = tag {
        text.push(':');
        text.push_str(tag);
    }
    let tag_end = text.len();
    if let Some(digest) = digest {
        text.push('@');
        text.push_str(digest);
    }
    Ok(Reference { text, registry_end, gun_end, tag_end })
}

/// Docker's rule: what stands before the first `/` is a registry if it has a
/// `.`, a `:` or an upper-case letter, or is `localhost`.
fn split_registry(reference: &str) -> (Option<&str>, &str) {
    let is_registry =
        |first: &str| first == "localhost" || first.bytes().any(|b| matches!(b, b'.' | b':' | b'A'..=b'Z'));
    match split(reference, b'/') {
        (first, Some(remainder)) if is_registry(first) => (Some(first), remainder),
        _ => (None, reference),
    }
}

/// What stands before and after the first `separator`. Over bytes, because
/// `str::split_once` took a third of the whole time.
fn split(text: &str, separator: u8) -> (&str, Option<&str>) {
    match text.bytes().position(|b| b == separator) {
        Some(i) => (text.get(..i).unwrap_or_default(), text.get(i + 1..)),
        None => (text, None),
    }
}

/// A host, and optionally a port.
fn check_registry(registry: &str, remainder: &str) -> Checked {
    if matches!(registry, "http:" | "https:") && remainder.starts_with('/') {
        return Err(format!("leave out the scheme {registry}//"));
    }
    if registry.len() > MAX_REGISTRY {
        return Err(format!(
            "the registry's name has {} bytes; at most {MAX_REGISTRY} are allowed",
            registry.len()
        ));
    }
    let host_end = match registry.find(']') {
        Some(bracket) => bracket + 1,
        None => registry.find(':').unwrap_or(registry.len()),
    };
    let (host, port) = registry.split_at_checked(host_end).unwrap_or_default();
    if !is_host(host) {
        return Err(format!(
            "{host:?} at byte 0 is no host; give a DNS name or IPv4 address, or an IPv6 address in brackets without a zone"
        ));
    }
    let is_number = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_number) {
        return Err(format!(
            "{port:?} at byte {host_end} is no port; write ':' and digits, and an IPv6 address in brackets"
        ));
    }
    Ok(())
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
    }
    // Stricter: Docker takes a host with a dot and an underscore for part of a
    // path on no registry at all, and then cannot reach it.
    host.as_bytes().split(|b| *b == b'.').all(|label| {
        label.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
            && label.first().is_some_and(|b| *b != b'-')
            && label.last().is_some_and(|b| *b != b'-')
    })
}

/// Components between single slashes, each of `a-z0-9`, with `.`, `_`, `__` or
/// any number of `-` between them. `at` is where the path stands.
fn check_path(path: &str, at: usize) -> Checked {
    let mut previous = b'/';
    let mut run = 1;
    for (i, byte) in path.bytes().enumerate() {
        run = if byte == previous { run + 1 } else { 1 };
        let after_word = previous.is_ascii_alphanumeric();
        let fits = match byte {
            b'a'..=b'z' | b'0'..=b'9' => true,
            b'.' | b'/' => after_word,
            b'_' => after_word || previous == byte && run == 2,
            b'-' => after_word || previous == byte,
            _ => false,
        };
        if !fits {
            return Err(misfit(path, i, at, "repository"));
        }
        previous = byte;
    }
    match previous {
        b'/' if path.is_empty() => Err(format!("the repository at byte {at} is empty; give its name")),
        b'/' | b'.' | b'_' | b'-' => Err(misfit(path, path.len() - 1, at, "repository")),
        _ => Ok(()),
    }
}

/// `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`
fn check_tag(tag: &str, at: usize) -> Checked {
    if tag.is_empty() {
        return Err(format!("the tag at byte {at} is empty; give one or leave out the ':'"));
    }
    if tag.len() > MAX_TAG {
        return Err(format!("the tag has {} bytes; at most {MAX_TAG} are allowed", tag.len()));
    }
    let fits =
        |(i, b): (usize, u8)| b.is_ascii_alphanumeric() || b == b'_' || (i > 0 && matches!(b, b'.' | b'-'));
    match tag.bytes().enumerate().position(|x| !fits(x)) {
        Some(i) => Err(misfit(tag, i, at, "tag")),
        None => Ok(()),
    }
}

/// Stricter: Docker also knows sha384 and sha512, but nothing signed has them.
fn check_digest(digest: &str, at: usize) -> Checked {
    let well_formed = digest
        .strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == SHA256_HEX && hex.bytes().all(is_lower_hex));
    if !well_formed {
        return Err(format!(
            "the digest at byte {at} cannot be used; it must be sha256: and {SHA256_HEX} lower-case hexadecimal digits"
        ));
    }
    Ok(())
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Says why the character at `i` of `part` cannot stand there.
fn misfit(part: &str, i: usize, at: usize, what: &str) -> String {
    let found = part.get(i..).and_then(|rest| rest.chars().next()).unwrap_or_default();
    let advice = match (what, found) {
        ("tag", '.' | '-') => "a tag begins with a letter, a digit or '_'",
        ("tag", _) => "a tag has letters, digits, '_', '.' and '-' only",
        (_, 'A'..='Z') => "it must be lower case",
        (_, '/') => "each component of it needs a name",
        (_, '.' | '_' | '-') => "'.', '_', '__' and '-' only stand between letters and digits",
        _ => "it has a-z, 0-9, '.', '_', '-' and '/' only",
    };
    format!("{found:?} at byte {} cannot stand in the {what}: {advice}", at + i)
}

#[cfg(test)]
mod tests;
