//! `{"signed": …, "signatures": […]}`: the bytes that were signed, and by whom.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use bytes::Bytes;

use super::json::{self, Malformed, Scanner, Value};
use super::plain::PlainTarget;
use super::{Common, MAX_SIGNATURES, time};
use crate::crypto::KeyId;

/// One signature over the canonical form of `signed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The key that signed, by the ID under which its role lists it.
    pub key_id: KeyId,
    /// In lower case: Notary reads `ECDSA` as `ecdsa`.
    pub method: String,
    /// The signature itself.
    pub bytes: Vec<u8>,
}

impl Signature {
    pub(crate) fn read(value: &Value<'_>) -> Result<Self, Malformed> {
        let members = value.members("signature", &["keyid", "method", "sig"])?;
        Ok(Self {
            key_id: KeyId::from_listed(members.get("keyid").text("keyid")?),
            method: members.get("method").text("method")?.to_lowercase(),
            bytes: members.get("sig").bytes("sig")?,
        })
    }
}

/// One metadata file: its bytes, where its parts stand, and its signatures.
#[derive(Debug, Clone)]
pub struct Envelope {
    file: Bytes,
    signed: Signed,
    /// In the order of the file.
    pub signatures: Vec<Signature>,
}

/// The canonical form of `signed` and where its members stand in it.
#[derive(Debug, Clone)]
struct Signed {
    /// `None` if the file has it in canonical form already, at `span`.
    rewritten: Option<Vec<u8>>,
    span: Range<usize>,
    layout: Layout,
}

/// Where things stand in a canonical text.
#[derive(Debug, Clone, Default)]
struct Layout {
    members: Vec<(Range<usize>, Range<usize>)>,
    targets: Vec<Entry>,
    /// Those of the targets that do not have the shape that nearly all have,
    /// and so are not known to be well-formed.
    unusual: Vec<Entry>,
}

/// Where one target stands, as `"name":value`. There may be millions of them.
/// In the order of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// Start and end of the name, without quotes.
    name: (u32, u32),
    /// End of the value.
    end: u32,
}

impl Envelope {
    /// Reads a file in one pass.
    ///
    /// # Errors
    /// [`Malformed`] if the file is not JSON, is ambiguous, or is no envelope.
    pub fn read(file: impl Into<Bytes>) -> Result<Self, Malformed> {
        let file = file.into();
        let mut signed: Option<Signed> = None;
        let mut signatures = Vec::new();
        let mut names: BTreeSet<Cow<'_, str>> = BTreeSet::new();
        let mut scanner = Scanner::wire(&file)?;
        scanner.object(|scanner, key| {
            let name = json::text(scanner.slice(&key))?;
            json::check_member_name(&name, &["signed", "signatures"])?;
            if !names.insert(name.clone()) {
                return Err(Malformed::new(format!("duplicate key {name:?}")));
            }
            if name == "signed" {
                signed = Some(Signed::scan(scanner)?);
            } else {
                let span = scanner.value()?;
                // Whatever stands here, its duplicate keys are found.
                let value = json::canonical_form(scanner.slice(&span))?;
                if name == "signatures" {
                    signatures = read_signatures(&value)?;
                }
            }
            Ok(())
        })?;
        scanner.end()?;
        let signed = signed.ok_or_else(|| Malformed::new("there is no \"signed\" member"))?;
        Ok(Self { file, signed, signatures })
    }

    /// The bytes that were read.
    pub fn file(&self) -> &Bytes {
        &self.file
    }

    /// The bytes that are signed: the canonical form of `signed`.
    pub fn signed(&self) -> &[u8] {
        match &self.signed.rewritten {
            Some(rewritten) => rewritten,
            None => self.file.get(self.signed.span.clone()).unwrap_or_default(),
        }
    }

    /// The entries of `targets`, in ascending order of their names.
    pub(super) fn targets(&self) -> &[Entry] {
        &self.signed.layout.targets
    }

    /// Those of the targets that nobody has looked into yet.
    pub(super) fn unusual_targets(&self) -> &[Entry] {
        &self.signed.layout.unusual
    }

    /// The first target from this one on that does not have the usual shape.
    pub(super) fn next_unusual(&self, from: &Entry) -> Option<&Entry> {
        let unusual = &self.signed.layout.unusual;
        unusual.get(unusual.partition_point(|entry| entry < from))
    }

    /// The text of targets that stand one after the other, with their names.
    pub(super) fn run(&self, entries: &[Entry]) -> &[u8] {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return &[] };
        let quote = (first.name.0 as usize).saturating_sub(1);
        self.text().get(quote..last.end as usize).unwrap_or_default()
    }

    /// The name of a target, without quotes and still escaped.
    pub(super) fn name_of(&self, entry: &Entry) -> &[u8] {
        let (start, end) = entry.name;
        self.text().get(start as usize..end as usize).unwrap_or_default()
    }

    /// The value of a target.
    pub(super) fn value_of(&self, entry: &Entry) -> &[u8] {
        let start = entry.name.1 as usize + "\":".len();
        self.text().get(start..entry.end as usize).unwrap_or_default()
    }

    /// The text in which the layout's offsets count.
    fn text(&self) -> &[u8] {
        self.signed.rewritten.as_deref().unwrap_or(&self.file)
    }

    /// One member of `signed`; `null` if it is absent.
    pub(super) fn member(&self, name: &str) -> Result<Value<'_>, Malformed> {
        self.raw_member(name)?.map_or(Ok(Value::Null), Value::read)
    }

    fn raw_member(&self, name: &str) -> Result<Option<&[u8]>, Malformed> {
        let text = self.text();
        for (key, value) in &self.signed.layout.members {
            if json::text(text.get(key.clone()).unwrap_or_default())? == name {
                return Ok(text.get(value.clone()));
            }
        }
        Ok(None)
    }

    /// Refuses member names of `signed` that Go would read as one of `known`.
    pub(super) fn check_members(&self, known: &[&str]) -> Result<(), Malformed> {
        for (key, _) in &self.signed.layout.members {
            let name = json::text(self.text().get(key.clone()).unwrap_or_default())?;
            json::check_member_name(&name, known)?;
        }
        Ok(())
    }

    /// Whether a member of `signed` is `true`.
    pub(super) fn is_true(&self, name: &str) -> Result<bool, Malformed> {
        Ok(self.raw_member(name)? == Some(b"true"))
    }

    /// `_type` as it stands in the file.
    ///
    /// # Errors
    /// [`Malformed`] if it is not a string.
    pub fn kind(&self) -> Result<String, Malformed> {
        Ok(self.member("_type")?.text("_type")?.to_owned())
    }

    /// The members that every kind of file has.
    pub(super) fn common(&self) -> Result<Common, Malformed> {
        let version = self.member("version")?.int("version")?;
        if version < 1 {
            return Err(Malformed::new(format!("version {version} is not positive")));
        }
        let expires = self.member("expires")?;
        let expires = match &expires {
            // An absent moment reads as the year 1: expired.
            Value::Null => std::time::SystemTime::UNIX_EPOCH,
            Value::Text(text) => time::parse(text)
                .ok_or_else(|| Malformed::new(format!("expires {text:?} is not an RFC 3339 moment")))?,
            _ => return Err(Malformed::new("expires is not a string")),
        };
        Ok(Common { version, expires })
    }
}

impl Signed {
    /// Takes the value of `signed`, noting on the way where everything stands.
    fn scan(scanner: &mut Scanner<'_>) -> Result<Self, Malformed> {
        scanner.peek()?;
        let start = scanner.position();
        let outside = std::mem::replace(&mut scanner.canonical, true);
        let layout = Layout::scan(scanner)?;
        let span = start..scanner.position();
        let canonical = std::mem::replace(&mut scanner.canonical, outside);
        if canonical {
            return Ok(Self { rewritten: None, span, layout });
        }
        let rewritten = json::rewrite(scanner.slice(&span))?;
        let layout = Layout::scan(&mut Scanner::canonical(&rewritten))?;
        Ok(Self { rewritten: Some(rewritten), span, layout })
    }
}

impl Layout {
    fn scan(scanner: &mut Scanner<'_>) -> Result<Self, Malformed> {
        let mut layout = Self::default();
        let Self { members, targets, unusual } = &mut layout;
        scanner.object(|scanner, key| {
            let start = scanner.position();
            if scanner.slice(&key) == b"targets" && scanner.peek()? == b'{' {
                scanner.object(|scanner, name| {
                    let is_usual = scan_target(scanner)?;
                    let entry = Entry::new(&name, scanner.position())?;
                    targets.push(entry);
                    if !is_usual {
                        unusual.push(entry);
                    }
                    Ok(())
                })?;
            } else {
                scanner.value()?;
            }
            members.push((key, start..scanner.position()));
            Ok(())
        })?;
        Ok(layout)
    }
}

/// Takes a target; true if it has the usual shape.
fn scan_target(scanner: &mut Scanner<'_>) -> Result<bool, Malformed> {
    let Some(target) = PlainTarget::at_start_of(scanner.ahead()) else {
        scanner.value()?;
        return Ok(false);
    };
    scanner.advance(target.size);
    Ok(true)
}

impl Entry {
    fn new(name: &Range<usize>, end: usize) -> Result<Self, Malformed> {
        let offset =
            |at: usize| u32::try_from(at).map_err(|_| Malformed::new("the file is larger than 4 GiB"));
        Ok(Self { name: (offset(name.start)?, offset(name.end)?), end: offset(end)? })
    }
}

fn read_signatures(canonical: &[u8]) -> Result<Vec<Signature>, Malformed> {
    let list = Value::read_list(canonical, MAX_SIGNATURES)?;
    list.iter().map(Signature::read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str) -> Result<Envelope, Malformed> {
        Envelope::read(file.as_bytes().to_vec())
    }

    #[test]
    fn what_is_signed_is_the_canonical_form() {
        let canonical = r#"{"_type":"Targets","version":1}"#;
        for file in [
            r#"{"signed":{"_type":"Targets","version":1},"signatures":[]}"#,
            "{\"signatures\":null,\n \"signed\":{\"version\":1, \"_type\":\"Targets\"}}\n",
            r#"{"signed":{"version":1,"_type":"\u0054argets"}}"#,
        ] {
            let envelope = read(file).unwrap();
            assert_eq!(envelope.signed(), canonical.as_bytes(), "{file}");
            assert_eq!(envelope.kind().unwrap(), "Targets");
            assert_eq!(envelope.file(), file.as_bytes());
        }
    }

    #[test]
    fn ambiguous_envelopes_are_refused() {
        for file in [
            r#"{"signed":{},"signed":{}}"#,
            r#"{"signed":{},"Signed":{}}"#,
            r#"{"signed":{},"signatures":[],"signatures":[]}"#,
            r#"{"signed":{},"SIGNATURES":[]}"#,
            r#"{"signed":{},"other":{"b":1,"a":1,"b":2}}"#,
            r#"{"signed":{"a":1,"a":1}}"#,
            r#"{"signed":{"b":1,"a":1,"b":1}}"#,
            r#"{"signed":{},"signatures":[{"keyid":"a","KeyID":"b"}]}"#,
            r#"{"signed":{}} {}"#,
            r#"{"signatures":[]}"#,
            r#"{"signed":[]}"#,
            r#"{"signed":null}"#,
        ] {
            assert!(read(file).is_err(), "{file}");
        }
    }

    #[test]
    fn the_time_grows_with_the_size_whatever_the_members_are() {
        // Compared one by one they would take minutes.
        let members: String = (0..200_000).map(|number| format!("\"{number}\":0,")).collect();
        let started = std::time::Instant::now();
        assert!(read(&format!(r#"{{{members}"signed":{{}}}}"#)).is_ok());
        assert!(started.elapsed().as_secs() < 20);
    }

    #[test]
    fn methods_are_read_in_lower_case() {
        let envelope =
            read(r#"{"signed":{},"signatures":[{"keyid":"a","method":"ECDSA","sig":"AAA="}]}"#).unwrap();
        assert_eq!(envelope.signatures[0].method, "ecdsa");
        assert_eq!(envelope.signatures[0].bytes, [0, 0]);
    }

    #[test]
    fn signatures_end_at_the_limit() {
        let file = |count| {
            format!(r#"{{"signed":{{}},"signatures":[{}]}}"#, vec![r#"{"keyid":"a"}"#; count].join(","))
        };
        assert_eq!(read(&file(MAX_SIGNATURES)).unwrap().signatures.len(), MAX_SIGNATURES);
        assert!(read(&file(MAX_SIGNATURES + 1)).is_err());
    }
}
