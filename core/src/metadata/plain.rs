//! The shape that nearly all targets have, recognised without a tree:
//! `{"hashes":{"sha256":"…"},"length":n}`, or the same with a `sha512`.

use base64ct::{Base64, Encoding};

/// A target of the usual shape: canonical, and sound in every part.
pub(super) struct PlainTarget<'a> {
    sha256: &'a [u8; 44],
    pub(super) length: u64,
    /// How much of the text it takes.
    pub(super) size: usize,
}

impl<'a> PlainTarget<'a> {
    /// The target at the start of a text; `None` if it has another shape.
    pub(super) fn at_start_of(text: &'a [u8]) -> Option<Self> {
        let rest = text.strip_prefix(b"{\"hashes\":{\"sha256\":\"")?;
        let (sha256, mut rest) = padded_base64(rest)?;
        if let Some(more) = rest.strip_prefix(b",\"sha512\":\"") {
            (_, rest) = padded_base64::<88>(more)?;
        }
        let rest = rest.strip_prefix(b"},\"length\":")?;
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (number, rest) = rest.split_at_checked(digits)?;
        let first_is_zero = number.first() == Some(&b'0');
        // Fifteen digits are below 2^53.
        if digits == 0 || digits > 15 || (first_is_zero && digits > 1) {
            return None;
        }
        let length = number.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0'));
        let rest = rest.strip_prefix(b"}")?;
        Some(Self { sha256, length, size: text.len() - rest.len() })
    }

    pub(super) fn sha256(&self) -> Option<Vec<u8>> {
        let mut hash = [0; 32];
        Base64::decode(self.sha256, &mut hash).ok().map(<[u8]>::to_vec)
    }
}

/// `N` characters of base64 at the start of a text and what follows the quote
/// behind them. `N` is 44 (one `=` at the end) or 88 (two).
fn padded_base64<const N: usize>(text: &[u8]) -> Option<(&[u8; N], &[u8])> {
    let (encoded, rest) = text.split_first_chunk::<N>()?;
    let padding = if N == 44 { 1 } else { 2 };
    let (digits, tail) = encoded.split_at_checked(N - padding)?;
    // Not stopped at the first foreign byte: the compiler takes sixteen at a time.
    let known = digits.iter().fold(true, |known, &digit| known & is_base64(digit));
    let padded = tail.iter().all(|&byte| byte == b'=');
    if !known || !padded || !ends_clean(*digits.last()?, padding) {
        return None;
    }
    Some((encoded, rest.strip_prefix(b"\"")?))
}

/// The last digit carries bits that nobody reads, two for each `=`: they must be zero.
fn ends_clean(last: u8, padding: usize) -> bool {
    match last {
        b'A' | b'Q' | b'g' | b'w' => true,
        b'E' | b'I' | b'M' | b'U' | b'Y' | b'c' | b'k' | b'o' | b's' | b'0' | b'4' | b'8' => padding == 1,
        _ => false,
    }
}

fn is_base64(digit: u8) -> bool {
    let letter = (digit | 0x20).wrapping_sub(b'a') < 26;
    let number = digit.wrapping_sub(b'0') < 10;
    letter | number | (digit == b'+') | (digit == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=";

    fn usual() -> String {
        format!(r#"{{"hashes":{{"sha256":"{HASH}"}},"length":1570}}"#)
    }

    fn with_sha512() -> String {
        format!(r#"{{"hashes":{{"sha256":"{HASH}","sha512":"{}A=="}},"length":0}}"#, "A".repeat(85))
    }

    #[test]
    fn the_usual_shape_is_read() {
        for (text, length) in [(usual(), 1570), (with_sha512(), 0)] {
            let followed = format!("{text},");
            let plain = PlainTarget::at_start_of(followed.as_bytes()).unwrap();
            assert_eq!((plain.length, plain.size), (length, text.len()));
            assert_eq!(plain.sha256(), Base64::decode_vec(HASH).ok());
        }
        let largest = usual().replace("1570", "999999999999999");
        assert_eq!(PlainTarget::at_start_of(largest.as_bytes()).unwrap().length, 999_999_999_999_999);
    }

    #[test]
    fn no_other_shape_is_taken_for_it() {
        let (usual, both) = (usual(), with_sha512());
        for odd in [
            usual.replace("1570", "01"),
            usual.replace("1570", "-1"),
            usual.replace("1570", "1.5"),
            usual.replace("1570", ""),
            usual.replace("1570", "9999999999999999"),
            usual.replace("gM=", "gN="),
            usual.replace("gM=", "gMM"),
            usual.replace("vgM=", "vg=="),
            usual.replace("WJG1", "WJ-1"),
            usual.replace("WJG1", "WJ@1"),
            usual.replace("WJG1", "WJ=1"),
            usual.replace("WJG1", "WJé"),
            usual.replace("sha256", "sha255"),
            usual.replace(",\"length", ", \"length"),
            both.replace("A==", "B=="),
            both.replace("A==", "E=="),
            both.replace("A==", "==="),
        ] {
            assert!(PlainTarget::at_start_of(odd.as_bytes()).is_none(), "{odd}");
        }
        for end in 0..both.len() {
            assert!(PlainTarget::at_start_of(&both.as_bytes()[..end]).is_none(), "{end}");
        }
    }

    #[test]
    fn every_byte_that_is_no_digit_is_told_apart() {
        for byte in 0..=255 {
            let listed = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".contains(&byte);
            assert_eq!(is_base64(byte), listed, "{byte}");
        }
    }

    #[test]
    fn a_last_digit_is_clean_if_its_unread_bits_are_zero() {
        for last in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
            let one = [b"AAAAAA", &[*last][..], b"="].concat();
            let two = [b"AAAAA", &[*last][..], b"=="].concat();
            for (padding, text) in [(1, one), (2, two)] {
                let text = String::from_utf8(text).unwrap();
                assert_eq!(ends_clean(*last, padding), Base64::decode_vec(&text).is_ok(), "{text}");
            }
        }
    }
}
