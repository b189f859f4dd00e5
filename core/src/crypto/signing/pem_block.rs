//! PEM blocks with headers, whose content may be secret: no copy of it is left.
//!
//! The libraries read and write PEM without headers; here they say whose key it is.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

/// Characters of base64 in a line.
const LINE: usize = 64;

/// One PEM block.
#[derive(Clone)]
pub(super) struct Block {
    pub(super) label: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) content: Zeroizing<Vec<u8>>,
}

impl Block {
    /// The blocks of a text with a label that is wanted. Others, and text around
    /// blocks, are passed over.
    pub(super) fn parse_all(text: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Vec<Self>, String> {
        let mut blocks = Vec::new();
        let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        while let Some(line) = lines.next() {
            let Some(label) = label_of(line).filter(|label| wanted(label)) else { continue };
            let end = format!("-----END {label}-----");
            let mut inner = Vec::new();
            loop {
                match lines.next() {
                    Some(line) if line == end.as_bytes() => break,
                    Some(line) if !line.starts_with(b"-----") => inner.push(line),
                    _ => return Err(format!("the PEM block {label:?} has no end")),
                }
            }
            let damaged = || format!("the PEM block {label:?} is damaged");
            blocks.push(Self::read(label, &inner).ok_or_else(damaged)?);
        }
        Ok(blocks)
    }

    /// Headers, a blank line if there are some, and base64, in which there is no colon.
    fn read(label: &str, lines: &[&[u8]]) -> Option<Self> {
        let is_header = |line: &&&[u8]| line.contains(&b':');
        let mut headers = BTreeMap::new();
        for line in lines.iter().take_while(is_header) {
            let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
            headers.insert(name.trim().to_owned(), value.trim().to_owned());
        }
        // Of its final size at once: a buffer that grows leaves copies behind.
        let mut base64 = Zeroizing::new(Vec::with_capacity(lines.iter().map(|line| line.len()).sum()));
        for line in lines.iter().skip_while(is_header) {
            base64.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace()));
        }
        let mut content = Zeroizing::new(vec![0; base64.len()]);
        let length = Base64::decode(&base64[..], &mut content).ok()?.len();
        content.truncate(length);
        Some(Self { label: label.to_owned(), headers, content })
    }

    /// The block as Go writes it: headers by name, but `Proc-Type` first.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        let header = |name: &str, value: &str| format!("{name}: {value}\n");
        let first = self.headers.get(PROC_TYPE).map(|value| header(PROC_TYPE, value));
        let others = self.headers.iter().filter(|(name, _)| *name != PROC_TYPE);
        let mut headers: String = first.into_iter().chain(others.map(|(n, v)| header(n, v))).collect();
        if !headers.is_empty() {
            headers.push('\n');
        }
        let (begin, end) =
            (format!("-----BEGIN {}-----\n", self.label), format!("-----END {}-----\n", self.label));
        let base64 = Zeroizing::new(Base64::encode_string(&self.content));
        let length = begin.len() + headers.len() + base64.len() + base64.len() / LINE + 1 + end.len();

        let mut text = Zeroizing::new(String::with_capacity(length));
        text.push_str(&begin);
        text.push_str(&headers);
        for (index, character) in base64.chars().enumerate() {
            text.push(character);
            if index % LINE == LINE - 1 {
                text.push('\n');
            }
        }
        if base64.len() % LINE != 0 {
            text.push('\n');
        }
        text.push_str(&end);
        text
    }

    /// Sets a header, or removes it.
    pub(super) fn set_header(&mut self, name: &str, value: Option<&str>) {
        match value {
            // A line break would begin another header.
            Some(value) => self.headers.insert(name.to_owned(), value.replace(char::is_control, " ")),
            None => self.headers.remove(name),
        };
    }
}

/// Of encryption by RFC 1423; by RFC 1421 it comes first.
const PROC_TYPE: &str = "Proc-Type";

/// The label of the line that begins a block.
fn label_of(line: &[u8]) -> Option<&str> {
    std::str::from_utf8(line).ok()?.strip_prefix("-----BEGIN ")?.strip_suffix("-----")
}
