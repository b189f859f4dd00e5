//! Writing files: the envelope, and the canonical JSON inside it.
//!
//! A server that makes the snapshot hashes what it writes itself after reading
//! a file. So every file here has exactly the form that Notary writes.

use std::time::SystemTime;

use base64ct::{Base64, Encoding};

use crate::crypto::{KeyId, PublicKey};
use crate::metadata::{DelegatedRole, FileMeta, Signature, format_time, json};

/// A file: what was signed, and the signatures over it, in Notary's plain form.
pub fn write_file(signed: &[u8], signatures: &[Signature]) -> Vec<u8> {
    let mut out = Vec::with_capacity(signed.len() + 64 + 256 * signatures.len());
    out.extend_from_slice(b"{\"signed\":");
    escape_into(signed, &mut out);
    out.extend_from_slice(b",\"signatures\":[");
    for (index, signature) in signatures.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_signature(signature, &mut out);
    }
    out.extend_from_slice(b"]}");
    out
}

/// One signature, in files and in proposals.
pub(crate) fn write_signature(signature: &Signature, out: &mut Vec<u8>) {
    let mut object = Object::new(out);
    object.text("keyid", signature.key_id.as_str());
    object.text("method", &signature.method);
    object.bytes("sig", &signature.bytes);
    object.end();
}

/// Copies canonical JSON as Go's encoder embeds it: `<`, `>`, `&` and the two
/// line separators U+2028 and U+2029 escaped.
pub(crate) fn escape_into(canonical: &[u8], out: &mut Vec<u8>) {
    let mut rest = canonical;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'<' | b'>' | b'&' | 0xe2)) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let (escape, length): (&[u8], usize) = match special {
            [b'<', ..] => (b"\\u003c", 1),
            [b'>', ..] => (b"\\u003e", 1),
            [b'&', ..] => (b"\\u0026", 1),
            [0xe2, 0x80, 0xa8, ..] => (b"\\u2028", 3),
            [0xe2, 0x80, 0xa9, ..] => (b"\\u2029", 3),
            _ => (b"\xe2", 1),
        };
        out.extend_from_slice(escape);
        rest = special.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// A JSON object in the making. For canonical JSON its members must come in
/// ascending order of their names.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Begins a member; its value must be written next.
    pub(crate) fn member(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        json::write_string(name.as_bytes(), self.out);
        self.out.push(b':');
        self.out
    }

    pub(crate) fn raw(&mut self, name: &str, json: &[u8]) {
        self.member(name).extend_from_slice(json);
    }

    /// Members as they stand in another object, with the commas between them.
    pub(crate) fn members(&mut self, json: &[u8]) {
        if json.is_empty() {
            return;
        }
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        self.out.extend_from_slice(json);
    }

    pub(crate) fn text(&mut self, name: &str, text: &str) {
        json::write_string(text.as_bytes(), self.member(name));
    }

    pub(crate) fn bytes(&mut self, name: &str, bytes: &[u8]) {
        self.text(name, &Base64::encode_string(bytes));
    }

    pub(crate) fn number(&mut self, name: &str, number: i64) {
        self.raw(name, number.to_string().as_bytes());
    }

    pub(crate) fn moment(&mut self, name: &str, moment: SystemTime) {
        self.text(name, &format_time(moment));
    }

    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(T, &mut Vec<u8>),
    ) {
        let out = self.member(name);
        out.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write(item, out);
        }
        out.push(b']');
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }
}

/// A key in canonical form.
pub(crate) fn write_key(key: &PublicKey, out: &mut Vec<u8>) {
    let mut object = Object::new(out);
    object.text("keytype", key.key_type().as_str());
    let mut value = Object::new(object.member("keyval"));
    value.raw("private", b"null");
    value.bytes("public", key.public_bytes());
    value.end();
    object.end();
}

/// Keys by their IDs, in canonical form.
pub(super) fn write_keys<'k>(keys: impl Iterator<Item = (&'k KeyId, &'k PublicKey)>, out: &mut Vec<u8>) {
    let mut object = Object::new(out);
    for (id, key) in keys {
        write_key(key, object.member(id.as_str()));
    }
    object.end();
}

pub(super) fn write_key_ids<'k>(object: &mut Object<'_>, ids: impl Iterator<Item = &'k KeyId>) {
    object.list("keyids", ids, |id, out| json::write_string(id.as_str().as_bytes(), out));
}

/// A delegation as its parent declares it, in canonical form.
pub(super) fn write_delegation(role: &DelegatedRole, out: &mut Vec<u8>) {
    let mut object = Object::new(out);
    write_key_ids(&mut object, role.keys.keys.iter().map(|(id, _)| id));
    object.text("name", &role.name);
    // Notary leaves out empty paths.
    if !role.paths.is_empty() {
        object.list("paths", &role.paths, |path, out| json::write_string(path.as_bytes(), out));
    }
    object.number("threshold", i64::from(role.keys.threshold));
    object.end();
}

/// What snapshot and timestamp say of a file.
pub(super) fn write_file_meta(meta: &FileMeta, out: &mut Vec<u8>) {
    let mut object = Object::new(out);
    let mut hashes = Object::new(object.member("hashes"));
    if let Some(sha256) = &meta.sha256 {
        hashes.bytes("sha256", sha256);
    }
    if let Some(sha512) = &meta.sha512 {
        hashes.bytes("sha512", sha512);
    }
    hashes.end();
    object.number("length", i64::try_from(meta.length).unwrap_or(i64::MAX));
    object.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Envelope;

    #[test]
    fn a_file_is_written_as_notary_writes_it_and_signed_as_it_stands() {
        let signed =
            "{\"_type\":\"Targets\",\"x\":\"a<b>&é\\\"\\\\\u{2028}\u{2029}\u{2027}\u{1f600}\u{7f}\"}";
        let signature =
            Signature { key_id: KeyId::from_listed("ab"), method: "ecdsa".into(), bytes: vec![0, 1] };
        let file = write_file(signed.as_bytes(), &[signature.clone(), signature]);
        let expected = "{\"signed\":{\"_type\":\"Targets\",\"x\":\"a\\u003cb\\u003e\\u0026é\\\"\\\\\\u2028\\u2029\u{2027}\u{1f600}\u{7f}\"},\"signatures\":[{\"keyid\":\"ab\",\"method\":\"ecdsa\",\"sig\":\"AAE=\"},{\"keyid\":\"ab\",\"method\":\"ecdsa\",\"sig\":\"AAE=\"}]}";
        assert_eq!(String::from_utf8(file.clone()).unwrap(), expected);
        let read = Envelope::read(file).unwrap();
        assert_eq!(read.signed(), signed.as_bytes());
        assert_eq!(read.signatures.len(), 2);
    }
}
