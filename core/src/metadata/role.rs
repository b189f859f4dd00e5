//! Role names: the four base roles and delegations.

/// The role that lists the keys of all base roles.
pub const ROOT: &str = "root";
/// The role that says that the snapshot is recent.
pub const TIMESTAMP: &str = "timestamp";
/// The role that lists the current file of every other role.
pub const SNAPSHOT: &str = "snapshot";
/// The repository owner's role, at the top of all delegations.
pub const TARGETS: &str = "targets";
/// The delegation in which `docker trust` publishes tags.
pub const RELEASES: &str = "targets/releases";

/// Longest name of a role in bytes.
const MAX_LENGTH: usize = 255;

/// True for a well-formed delegation name: `targets/` and then non-empty
/// segments of `[-a-z0-9_]`, at most 255 bytes in all.
pub fn is_delegation(name: &str) -> bool {
    name.len() <= MAX_LENGTH
        && name.strip_prefix("targets/").is_some_and(|rest| {
            rest.split('/').all(|segment| {
                !segment.is_empty()
                    && segment.bytes().all(|b| matches!(b, b'-' | b'_' | b'a'..=b'z' | b'0'..=b'9'))
            })
        })
}

/// The role in whose file a delegation is declared; `None` for base roles.
pub fn parent(name: &str) -> Option<&str> {
    name.rsplit_once('/').map(|(parent, _)| parent)
}

/// Whether a delegation stands anywhere below a role.
pub fn is_below(name: &str, role: &str) -> bool {
    name.strip_prefix(role).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delegation_names_follow_notarys_rule() {
        for good in ["targets/releases", "targets/a/b", "targets/-_0"] {
            assert!(is_delegation(good), "{good}");
        }
        let long = format!("targets/{}", "a".repeat(248));
        for bad in
            ["targets", "targets/", "targets//a", "targets/a/", "targets/A", "targets/a.b", "root", "", &long]
        {
            assert!(!is_delegation(bad), "{bad}");
        }
        assert!(is_delegation(&long[..255]));
    }

    #[test]
    fn the_parent_is_the_name_without_its_last_segment() {
        assert_eq!(parent("targets/a/b"), Some("targets/a"));
        assert_eq!(parent("targets/a"), Some(TARGETS));
        assert_eq!(parent(TARGETS), None);
    }

    #[test]
    fn below_a_role_is_what_has_more_segments() {
        assert!(is_below("targets/a", TARGETS) && is_below("targets/a/b/c", "targets/a"));
        assert!(!is_below("targets/a", "targets/a") && !is_below("targets/ab", "targets/a"));
    }
}
