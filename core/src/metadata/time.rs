//! The moments in metadata: RFC 3339 with seconds and up to nine fractional digits.

use std::time::SystemTime;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;

/// `None` if the text is not a moment as Notary writes it.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    // Stricter: the library would take a lower-case `t` and `z` and a 60th second.
    let bytes = text.as_bytes();
    if bytes.get(10) != Some(&b'T') || text.ends_with('z') || bytes.get(17) == Some(&b'6') {
        return None;
    }
    OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from)
}

/// RFC 3339 in UTC.
pub(crate) fn format(moment: SystemTime) -> String {
    OffsetDateTime::from(moment).format(&Rfc3339).unwrap_or_else(|_| format!("{moment:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_notary_writes_them() {
        for (text, utc) in [
            ("2036-11-18T22:13:09.735502029-05:00", "2036-11-19T03:13:09.735502029Z"),
            ("2099-01-01T00:00:00Z", "2099-01-01T00:00:00Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(format(parse(text).unwrap()), utc);
        }
    }

    #[test]
    fn what_can_be_read_can_be_written() {
        for text in [
            "9999-12-31T23:59:59-23:59",
            "9999-12-31T23:59:59Z",
            "0000-01-01T00:00:00+23:59",
            "0000-01-01T00:00:00Z",
        ] {
            let again = parse(text).map(|moment| (moment, parse(&format(moment))));
            assert!(again.is_none_or(|(moment, again)| again == Some(moment)), "{text} {again:?}");
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "",
            "2099-01-01",
            "2099-01-01T00:00:00",
            "2099-01-01T00:00:00z",
            "2099-01-01t00:00:00Z",
            "2099-01-01 00:00:00Z",
            "2099-02-30T00:00:00Z",
            "2099-01-01T00:00:60Z",
            "2099-01-01T24:00:00Z",
            "2099-01-01T00:00:00Zx",
            "4070908800",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
