//! JSON as bytes: one strict pass that says whether a text is canonical, the
//! canonical form of a text that is not, and a small tree for small parts.
//!
//! Canonical JSON is what signatures and key IDs cover: no whitespace, object
//! keys in ascending order of their UTF-8 bytes, and in strings only `"` and
//! `\` escaped. Every other character stands as it is, control characters
//! included, so a canonical text need not be valid JSON.
//!
//! Stricter than Notary: duplicate keys, invalid UTF-8, lone surrogates,
//! numbers that are not integers within ±2^53 and nesting beyond
//! [`MAX_DEPTH`] are refused. Go's decoder would pick one reading of them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;

use crate::error::excerpt;

/// Deepest nesting that is read. Stops stack exhaustion by hostile JSON.
pub const MAX_DEPTH: u32 = 64;

/// Most values in one small part that is read as a tree. Each takes many times
/// the memory of its two bytes in the text.
const MAX_VALUES: u32 = 1 << 18;

/// Largest integer that Go reads without loss: it goes through a double.
pub(crate) const MAX_INTEGER: u64 = 1 << 53;

/// Most characters of a complaint, which may quote the text.
const MAX_EVIDENCE: usize = 300;

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Malformed {
    what: String,
}

impl Malformed {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: excerpt(&what.into(), MAX_EVIDENCE) }
    }

    fn at(offset: usize, what: &str) -> Self {
        Self::new(format!("{what} at byte {offset}"))
    }
}

type Result<T, E = Malformed> = std::result::Result<T, E>;

/// The canonical form of one JSON text; borrowed if the text already has it.
///
/// # Errors
/// [`Malformed`] if the text is not JSON or is ambiguous (see the module).
pub fn canonical_form(json: &[u8]) -> Result<Cow<'_, [u8]>> {
    let mut scanner = Scanner::wire(json)?;
    scanner.value()?;
    scanner.end()?;
    if scanner.canonical {
        return Ok(Cow::Borrowed(json));
    }
    rewrite(json).map(Cow::Owned)
}

/// The canonical form of a text that a [`Scanner`] found to be JSON.
pub(crate) fn rewrite(json: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(json.len());
    let mut scanner = Scanner::wire(json)?;
    rewrite_value(&mut scanner, &mut out)?;
    scanner.end()?;
    Ok(out)
}

fn rewrite_value(scanner: &mut Scanner<'_>, out: &mut Vec<u8>) -> Result<()> {
    match scanner.peek()? {
        b'{' => {
            let mut members: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
            scanner.object(|scanner, key| {
                let mut value = Vec::new();
                rewrite_value(scanner, &mut value)?;
                members.push((unescape(scanner.slice(&key)).into_owned(), value));
                Ok(())
            })?;
            members.sort_by(|a, b| a.0.cmp(&b.0));
            out.push(b'{');
            let mut previous: Option<&[u8]> = None;
            for (key, value) in &members {
                if previous == Some(key) {
                    return Err(Malformed::new(format!("duplicate key {:?}", String::from_utf8_lossy(key))));
                }
                if previous.is_some() {
                    out.push(b',');
                }
                write_string(key, out);
                out.push(b':');
                out.extend_from_slice(value);
                previous = Some(key);
            }
            out.push(b'}');
        }
        b'[' => {
            out.push(b'[');
            let mut first = true;
            scanner.array(|scanner| {
                if !std::mem::take(&mut first) {
                    out.push(b',');
                }
                rewrite_value(scanner, out)
            })?;
            out.push(b']');
        }
        b'"' => {
            let span = scanner.string()?;
            write_string(&unescape(scanner.slice(&span)), out);
        }
        _ => {
            let span = scanner.value()?;
            out.extend_from_slice(scanner.slice(&span));
        }
    }
    Ok(())
}

/// Writes a string as canonical JSON has it.
pub(crate) fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        if byte == b'"' || byte == b'\\' {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// One pass over a text. `canonical` turns false at the first byte that
/// canonical JSON would not have there.
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    depth: u32,
    /// How many values became part of a tree.
    values: u32,
    /// The text is already canonical JSON: control characters may stand in strings.
    raw: bool,
    /// Where the last escape ended.
    escaped_until: usize,
    pub(crate) canonical: bool,
}

impl<'a> Scanner<'a> {
    /// Over a text from outside.
    pub(crate) fn wire(text: &'a [u8]) -> Result<Self> {
        if let Err(error) = std::str::from_utf8(text) {
            return Err(Malformed::at(error.valid_up_to(), "invalid UTF-8"));
        }
        Ok(Self { text, at: 0, depth: 0, values: 0, raw: false, escaped_until: 0, canonical: true })
    }

    /// Over a text that [`rewrite`] made.
    pub(crate) fn canonical(text: &'a [u8]) -> Self {
        Self { text, at: 0, depth: 0, values: 0, raw: true, escaped_until: 0, canonical: true }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn slice(&self, span: &Range<usize>) -> &'a [u8] {
        self.text.get(span.clone()).unwrap_or_default()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    #[cold]
    fn fail<T>(&self, what: &str) -> Result<T> {
        Err(Malformed::at(self.at, what))
    }

    fn byte(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.canonical = false;
            self.at += 1;
        }
    }

    /// The next byte that is not whitespace, without taking it.
    pub(crate) fn peek(&mut self) -> Result<u8> {
        self.skip_whitespace();
        match self.byte() {
            Some(byte) => Ok(byte),
            None => self.fail("unexpected end"),
        }
    }

    fn expect(&mut self, wanted: u8) -> Result<()> {
        if self.peek()? != wanted {
            return self.expected(wanted);
        }
        self.at += 1;
        Ok(())
    }

    #[cold]
    fn expected<T>(&self, wanted: u8) -> Result<T> {
        self.fail(&format!("expected {:?}", char::from(wanted)))
    }

    /// Nothing but whitespace may follow.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.skip_whitespace();
        if self.at == self.text.len() { Ok(()) } else { self.fail("trailing data") }
    }

    /// Any value; answers where it stands.
    pub(crate) fn value(&mut self) -> Result<Range<usize>> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'{' => self.object(|scanner, _| scanner.value().map(drop))?,
            b'[' => self.array(|scanner| scanner.value().map(drop))?,
            b'"' => self.string().map(|_| ())?,
            b'-' | b'0'..=b'9' => self.integer().map(|_| ())?,
            b't' => self.literal(b"true")?,
            b'f' => self.literal(b"false")?,
            b'n' => self.literal(b"null")?,
            _ => return self.fail("expected a value"),
        }
        Ok(start..self.at)
    }

    /// An object; `member` gets each key (without quotes, still escaped) and must take the value.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Range<usize>) -> Result<()>,
    ) -> Result<()> {
        self.expect(b'{')?;
        self.enter()?;
        if self.peek()? == b'}' {
            self.at += 1;
        } else {
            let mut previous: Option<Key<'a>> = None;
            loop {
                let span = self.string()?;
                let key = Key { content: self.slice(&span), escaped: self.escaped_until > span.start };
                match previous.as_ref().map_or(Ordering::Less, |previous| previous.compare(&key)) {
                    Ordering::Less => {}
                    Ordering::Equal => return self.fail("duplicate key before here,"),
                    Ordering::Greater => self.canonical = false,
                }
                previous = Some(key);
                self.expect(b':')?;
                self.peek()?;
                member(self, span)?;
                match self.peek()? {
                    b',' => self.at += 1,
                    b'}' => break self.at += 1,
                    _ => return self.fail("expected ',' or '}'"),
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// An array; `item` must take each value.
    pub(crate) fn array(&mut self, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.expect(b'[')?;
        self.enter()?;
        if self.peek()? == b']' {
            self.at += 1;
        } else {
            loop {
                item(self)?;
                match self.peek()? {
                    b',' => self.at += 1,
                    b']' => break self.at += 1,
                    _ => return self.fail("expected ',' or ']'"),
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { self.fail("nested too deeply") } else { Ok(()) }
    }

    fn literal(&mut self, word: &[u8]) -> Result<()> {
        if !self.rest().starts_with(word) {
            return self.fail("expected a value");
        }
        self.at += word.len();
        Ok(())
    }

    pub(crate) fn integer(&mut self) -> Result<i64> {
        let start = self.at;
        let negative = self.byte() == Some(b'-');
        if negative {
            self.at += 1;
        }
        let digits = self.at;
        let mut magnitude: u64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.byte() {
            magnitude = magnitude.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        let length = self.at - digits;
        if length == 0 || (length > 1 && self.text.get(digits) == Some(&b'0')) {
            return self.fail("invalid number");
        }
        // Stricter: Go reads 1.0 and 1e3 as integers here and -0 as 0, and
        // loses digits beyond 2^53. Two readings are one too many.
        if matches!(self.byte(), Some(b'.' | b'e' | b'E')) || (negative && magnitude == 0) {
            return self.fail("number is not a plain integer");
        }
        if magnitude > MAX_INTEGER {
            self.at = start;
            return self.fail("integer beyond 2^53");
        }
        let value = i64::try_from(magnitude).unwrap_or(i64::MAX);
        Ok(if negative { -value } else { value })
    }

    /// A string; answers where its content stands, without quotes and still escaped.
    pub(crate) fn string(&mut self) -> Result<Range<usize>> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            self.skip_plain();
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(start..self.at - 1);
                }
                Some(b'\\') => self.escape()?,
                Some(0..=0x1f) if !self.raw => return self.fail("control character in a string"),
                Some(_) => self.at += 1,
                None => return self.fail("unexpected end in a string"),
            }
        }
    }

    /// Eight bytes at a time over what needs no look.
    fn skip_plain(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x8080_8080_8080_8080;
        let zero_byte = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
        while let Some(chunk) = self.rest().first_chunk::<8>() {
            let word = u64::from_le_bytes(*chunk);
            let quote = zero_byte(word ^ (ONES * b'"' as u64));
            let backslash = zero_byte(word ^ (ONES * b'\\' as u64));
            // Below 0x20: no bit of 0xe0 is set.
            let control = zero_byte(word & (ONES * 0xe0));
            let special = quote | backslash | control;
            if special != 0 {
                self.at += (special.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
    }

    fn escape(&mut self) -> Result<()> {
        self.at += 1;
        match self.byte() {
            Some(b'"' | b'\\') => self.at += 1,
            Some(_) if self.raw => return self.fail("invalid escape"),
            Some(b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.canonical = false;
                self.at += 1;
            }
            Some(b'u') => {
                self.canonical = false;
                self.at += 1;
                let unit = self.hex4()?;
                match unit {
                    0xd800..=0xdbff => {
                        if !self.rest().starts_with(b"\\u") {
                            return self.fail("lone surrogate");
                        }
                        self.at += 2;
                        if !(0xdc00..=0xdfff).contains(&self.hex4()?) {
                            return self.fail("lone surrogate");
                        }
                    }
                    0xdc00..=0xdfff => return self.fail("lone surrogate"),
                    _ => {}
                }
            }
            _ => return self.fail("invalid escape"),
        }
        self.escaped_until = self.at;
        Ok(())
    }

    fn hex4(&mut self) -> Result<u32> {
        match self.rest().first_chunk::<4>().and_then(parse_hex4) {
            Some(unit) => {
                self.at += 4;
                Ok(unit)
            }
            None => self.fail("invalid \\u escape"),
        }
    }

    /// Takes `length` bytes that the caller has looked at.
    pub(crate) fn advance(&mut self, length: usize) {
        self.at += length;
    }

    /// What lies ahead.
    pub(crate) fn ahead(&self) -> &'a [u8] {
        self.rest()
    }
}

fn parse_hex4(digits: &[u8; 4]) -> Option<u32> {
    digits.iter().try_fold(0, |unit, &digit| Some(unit * 16 + char::from(digit).to_digit(16)?))
}

/// The bytes of a string whose content a [`Scanner`] has checked.
pub(crate) fn unescape(content: &[u8]) -> Cow<'_, [u8]> {
    if !content.contains(&b'\\') {
        return Cow::Borrowed(content);
    }
    let mut out = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&kind, tail)) = rest.split_first() else { break };
        rest = tail;
        let simple = match kind {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let mut code = take_hex4(&mut rest);
                if (0xd800..0xdc00).contains(&code) {
                    rest = rest.strip_prefix(b"\\u").unwrap_or(rest);
                    let low = take_hex4(&mut rest);
                    code = 0x1_0000 + ((code - 0xd800) << 10) + (low & 0x3ff);
                }
                let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            other => other,
        };
        out.push(simple);
    }
    Cow::Owned(out)
}

fn take_hex4(rest: &mut &[u8]) -> u32 {
    let Some((digits, tail)) = rest.split_first_chunk::<4>() else { return 0 };
    *rest = tail;
    parse_hex4(digits).unwrap_or(0)
}

/// The key of a member, as it stands in the text.
struct Key<'a> {
    content: &'a [u8],
    escaped: bool,
}

impl Key<'_> {
    /// Order by the bytes that the keys mean.
    fn compare(&self, other: &Key<'_>) -> Ordering {
        if self.escaped || other.escaped {
            unescape(self.content).cmp(&unescape(other.content))
        } else {
            self.content.cmp(other.content)
        }
    }
}

/// A small part of a canonical text as a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Null,
    Bool,
    Int(i64),
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
    Map(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// Reads a canonical text.
    pub(crate) fn read(canonical: &'a [u8]) -> Result<Self> {
        let mut scanner = Scanner::canonical(canonical);
        let value = Self::take(&mut scanner)?;
        scanner.end()?;
        Ok(value)
    }

    /// Reads a canonical text that is an array (or `null`) of at most `most` items,
    /// and stops at the first item too many.
    pub(crate) fn read_list(canonical: &'a [u8], most: usize) -> Result<Vec<Self>> {
        let mut items = Vec::new();
        let mut scanner = Scanner::canonical(canonical);
        if scanner.peek()? == b'n' {
            scanner.value()?;
        } else {
            scanner.array(|scanner| {
                if items.len() == most {
                    return Err(Malformed::new(format!("there are more than {most} signatures")));
                }
                items.push(Self::take(scanner)?);
                Ok(())
            })?;
        }
        Ok(items)
    }

    fn take(scanner: &mut Scanner<'a>) -> Result<Self> {
        scanner.values += 1;
        if scanner.values > MAX_VALUES {
            return scanner.fail("too many values");
        }
        Ok(match scanner.peek()? {
            b'{' => {
                let mut members = Vec::new();
                scanner.object(|scanner, key| {
                    let key = text(scanner.slice(&key))?;
                    members.push((key, Self::take(scanner)?));
                    Ok(())
                })?;
                Self::Map(members)
            }
            b'[' => {
                let mut items = Vec::new();
                scanner.array(|scanner| {
                    items.push(Self::take(scanner)?);
                    Ok(())
                })?;
                Self::List(items)
            }
            b'"' => {
                let span = scanner.string()?;
                Self::Text(text(scanner.slice(&span))?)
            }
            b'-' | b'0'..=b'9' => Self::Int(scanner.integer()?),
            b'n' => {
                scanner.value()?;
                Self::Null
            }
            _ => {
                scanner.value()?;
                Self::Bool
            }
        })
    }

    /// An object with fixed member names; `null` is one without members.
    pub(crate) fn members(&self, what: &str, known: &[&str]) -> Result<Members<'_, 'a>> {
        let map = self.map(what)?;
        for (name, _) in map {
            check_member_name(name, known)?;
        }
        Ok(Members(map))
    }

    /// An object with free keys; `null` is an empty one.
    pub(crate) fn map(&self, what: &str) -> Result<&[(Cow<'a, str>, Value<'a>)]> {
        match self {
            Self::Map(map) => Ok(map),
            Self::Null => Ok(&[]),
            _ => Err(Malformed::new(format!("{what} is not an object"))),
        }
    }

    /// An array; `null` is an empty one.
    pub(crate) fn list(&self, what: &str) -> Result<&[Value<'a>]> {
        match self {
            Self::List(list) => Ok(list),
            Self::Null => Ok(&[]),
            _ => Err(Malformed::new(format!("{what} is not an array"))),
        }
    }

    /// A string; `null` is an empty one.
    pub(crate) fn text(&self, what: &str) -> Result<&str> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Null => Ok(""),
            _ => Err(Malformed::new(format!("{what} is not a string"))),
        }
    }

    /// An integer; `null` is 0.
    pub(crate) fn int(&self, what: &str) -> Result<i64> {
        match self {
            Self::Int(int) => Ok(*int),
            Self::Null => Ok(0),
            _ => Err(Malformed::new(format!("{what} is not an integer"))),
        }
    }

    /// Bytes as padded standard base64; `null` is none.
    ///
    /// Stricter: Go ignores line breaks inside and stray bits at the end.
    pub(crate) fn bytes(&self, what: &str) -> Result<Vec<u8>> {
        use base64ct::{Base64, Encoding};
        Base64::decode_vec(self.text(what)?)
            .map_err(|_| Malformed::new(format!("{what} is not standard base64 with padding")))
    }
}

/// The members of an object whose names were checked. An absent one reads as `null`.
pub(crate) struct Members<'v, 'a>(&'v [(Cow<'a, str>, Value<'a>)]);

impl<'v, 'a> Members<'v, 'a> {
    pub(crate) fn get(&self, name: &str) -> &'v Value<'a> {
        self.0.iter().find(|(key, _)| key == name).map_or(&Value::Null, |(_, value)| value)
    }
}

/// Stricter: Go matches member names without regard to case, so `Targets` would
/// be read as, or merged with, `targets`. A name that differs from a known one
/// only by case is refused.
pub(crate) fn check_member_name(name: &str, known: &[&str]) -> Result<()> {
    for known in known {
        if name != *known && fold(name).eq(fold(known)) {
            return Err(Malformed::new(format!("member {name:?} could be read as {known:?}")));
        }
    }
    Ok(())
}

/// Go's folding of member names: ASCII case, the long s and the Kelvin sign.
fn fold(name: &str) -> impl Iterator<Item = char> + '_ {
    name.chars().map(|character| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    })
}

/// Where the values of an object's members stand in a canonical text.
pub(crate) fn raw_members(canonical: &[u8]) -> Result<BTreeMap<String, Range<usize>>> {
    let mut members = BTreeMap::new();
    let mut scanner = Scanner::canonical(canonical);
    scanner.object(|scanner, key| {
        let name = text(scanner.slice(&key))?.into_owned();
        members.insert(name, scanner.value()?);
        Ok(())
    })?;
    Ok(members)
}

pub(crate) fn text(content: &[u8]) -> Result<Cow<'_, str>> {
    let invalid = |_| Malformed::new("invalid UTF-8");
    Ok(match unescape(content) {
        Cow::Borrowed(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).map_err(invalid)?),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).map_err(|e| invalid(e.utf8_error()))?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(json: &str) -> Result<String> {
        canonical_form(json.as_bytes()).map(|text| String::from_utf8(text.into_owned()).unwrap())
    }

    #[test]
    fn a_canonical_text_is_not_copied() {
        for json in ["{}", "[]", "null", r#"{"":1,"B":true,"a":"<\"\\>","aa":[],"é":-7}"#] {
            assert!(matches!(canonical_form(json.as_bytes()).unwrap(), Cow::Borrowed(_)), "{json}");
        }
    }

    #[test]
    fn other_spellings_are_brought_into_canonical_form() {
        for (json, expected) in [
            (" { } ", "{}"),
            (r#"{"b":1, "a":2}"#, r#"{"a":2,"b":1}"#),
            ("[1,\n2]", "[1,2]"),
            (r#""\u003c\/\u00e9\ud83d\ude00""#, "\"</é😀\""),
            (r#""\n\t\u0000\b\f\r""#, "\"\n\t\0\u{8}\u{c}\r\""),
            (r#""\u0022\u005c""#, r#""\"\\""#),
            (r#"{"\u0061":{"z":1,"b":[{"y":1,"x":2}]}}"#, r#"{"a":{"b":[{"x":2,"y":1}],"z":1}}"#),
        ] {
            assert_eq!(canonical(json).unwrap(), expected, "{json}");
        }
    }

    #[test]
    fn keys_are_ordered_by_their_utf8_bytes() {
        let json = "{\"\u{1f600}\":1,\"\u{ffff}\":1,\"é\":1,\"b\":1,\"aa\":1,\"a\":1,\"B\":1,\"\":1}";
        let expected = "{\"\":1,\"B\":1,\"a\":1,\"aa\":1,\"b\":1,\"é\":1,\"\u{ffff}\":1,\"\u{1f600}\":1}";
        assert_eq!(canonical(json).unwrap(), expected);
        // Escaped, `"` (0x22) would come after `A` (0x41) as a backslash (0x5c).
        assert_eq!(canonical(r#"{"A":1,"\"":2}"#).unwrap(), r#"{"\"":2,"A":1}"#);
        assert!(matches!(canonical_form(br#"{"\"":2,"A":1}"#).unwrap(), Cow::Borrowed(_)));
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        for json in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"b":1,"a":1,"b":1}"#,
            r#"{"x":{"b":1,"a":1,"b":1}}"#,
            "1.0",
            "1e3",
            "-0",
            "9007199254740993",
            "99999999999999999999999",
            r#""\ud800""#,
            r#""\udc00\ud800""#,
            r#""\ud800\u0041""#,
        ] {
            assert!(canonical(json).is_err(), "{json}");
        }
        assert!(canonical_form(b"\"\xff\"").is_err());
        assert_eq!(canonical("-9007199254740992").unwrap(), "-9007199254740992");
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for json in [
            "",
            " ",
            "{",
            "}",
            "[1,]",
            "[,1]",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            "{a:1}",
            "nul",
            "truefalse",
            "01",
            "-",
            "+1",
            ".5",
            "\"",
            "\"\\\"",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "1 2",
            "{}x",
            "\u{feff}{}",
            "'a'",
        ] {
            assert!(canonical(json).is_err(), "{json}");
        }
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(canonical(&nested(MAX_DEPTH as usize)).is_ok());
        assert!(canonical(&nested(MAX_DEPTH as usize + 1)).is_err());
        assert!(canonical(&"[".repeat(100_000)).is_err());
        assert!(canonical(&"{\"a\":".repeat(100_000)).is_err());
    }

    #[test]
    fn a_tree_has_a_limit() {
        let list = |count: u32| format!("[{}]", vec!["1"; count as usize].join(","));
        assert!(Value::read(list(MAX_VALUES - 1).as_bytes()).is_ok());
        assert!(Value::read(list(MAX_VALUES).as_bytes()).is_err());
        assert!(Value::read_list(format!("[{}]", list(MAX_VALUES)).as_bytes(), 1).is_err());
    }

    #[test]
    fn member_names_that_go_would_fold_are_refused() {
        for name in ["Signed", "SIGNED", "\u{17f}igned"] {
            assert!(check_member_name(name, &["signed"]).is_err(), "{name}");
        }
        assert!(check_member_name("\u{212a}eys", &["keys"]).is_err());
        for name in ["signed", "assigned", "x"] {
            assert!(check_member_name(name, &["signed"]).is_ok(), "{name}");
        }
    }

    #[test]
    fn the_scanner_skips_eight_bytes_at_a_time_without_missing_any() {
        for position in 0..24 {
            for byte in 0..=255u8 {
                let mut text = vec![b'x'; 24];
                text[position] = byte;
                let mut json = vec![b'"'];
                json.extend_from_slice(&text);
                json.push(b'"');
                let expected = !matches!(byte, 0..=0x1f | b'"' | b'\\' | 0x80..);
                assert_eq!(canonical_form(&json).is_ok(), expected, "byte {byte:#x} at {position}");
            }
        }
    }
}
