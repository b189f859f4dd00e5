//! What the tree and the picture of a chain of trust say in the same words.

use std::time::SystemTime;

use super::{InspectedRole, Inspection};
use crate::metadata::format_time;

/// Digits that are shown of a key ID, as in Docker.
const DIGITS: usize = 12;

impl Inspection {
    /// The role that expires first of those that count.
    pub(super) fn first_to_expire(&self) -> Option<&InspectedRole> {
        let counting = self.roles.iter().filter(|role| role.excluded.is_none() && role.expires.is_some());
        counting.min_by_key(|role| role.expires)
    }
}

/// A name from elsewhere, with escapes for what would steer a terminal or turn
/// the direction of a text.
pub(super) fn shown(text: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\'' | '\\' => c.to_string(),
        _ => c.escape_debug().to_string(),
    };
    text.chars().map(escape).collect()
}

/// The first digits of each key's ID; in parentheses if it has not signed.
pub(super) fn key_ids(role: &InspectedRole) -> Vec<String> {
    let key_id = |key: &super::InspectedKey| match key.signed {
        true => short(&key.id),
        false => format!("({})", short(&key.id)),
    };
    role.keys.iter().map(key_id).collect()
}

pub(super) fn short(key_id: &str) -> String {
    shown(&key_id.chars().take(DIGITS).collect::<String>())
}

/// How many tags a role lists, if it is one that lists tags.
pub(super) fn tags(role: &InspectedRole) -> String {
    if role.paths.is_empty() || role.version.is_none() { String::new() } else { role.tags.to_string() }
}

/// The day in UTC, `2036-11-19`.
pub(super) fn day(moment: SystemTime) -> String {
    format_time(moment).chars().take(10).collect()
}
