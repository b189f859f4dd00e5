//! The moments in metadata: RFC 3339 with seconds and up to nine fractional digits.

use std::time::SystemTime;

use ::time::format_description::well_known::Rfc3339;
use ::time::{OffsetDateTime, UtcOffset};

/// `None` if the text is not a moment as Notary writes it.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    // Stricter: the library would take a lower-case `t` and `z` and a 60th second.
    let bytes = text.as_bytes();
    if bytes.get(10) != Some(&b'T') || text.ends_with('z') || bytes.get(17) == Some(&b'6') {
        return None;
    }
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    // Stricter: in UTC, too, it is in a year that can be written.
    let utc = moment.checked_to_offset(UtcOffset::UTC).filter(|utc| (0..=9999).contains(&utc.year()));
    utc.map(SystemTime::from)
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
            ("9999-12-31T23:59:59+23:59", "9999-12-31T00:00:59Z"),
        ] {
            assert_eq!(format(parse(text).unwrap()), utc);
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
            "9999-12-31T23:59:59-23:59",
            "0000-01-01T00:00:00+23:59",
            "4070908800",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
