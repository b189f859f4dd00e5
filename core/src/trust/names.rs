//! Names of repositories in pins and rules. One that can fit no repository
//! would silently ask for nothing, so it is refused.

use crate::reference::Reference;

/// Whether two full names mean one repository: in a host's name case means
/// nothing, and no other part of a repository's name has upper case.
pub(super) fn is_same(gun: &str, name: &str) -> bool {
    gun.eq_ignore_ascii_case(name)
}

/// Whether a repository's full name starts so.
pub(super) fn starts_with(gun: &str, prefix: &str) -> bool {
    gun.get(..prefix.len()).is_some_and(|start| is_same(start, prefix))
}

/// A repository's full name, or with a final `*` the start of one.
pub(super) fn check_pattern(pattern: &str) -> Result<(), String> {
    if let Some(prefix) = pattern.strip_suffix('*') {
        return check_prefix(prefix);
    }
    let name = Reference::parse_repository(pattern).map_err(|error| error.to_string())?;
    if name.gun() == pattern {
        Ok(())
    } else {
        Err(format!("write the repository's full name, {}", name.gun()))
    }
}

/// The start of a repository's full name.
pub(super) fn check_prefix(prefix: &str) -> Result<(), String> {
    let (registry, path) = prefix.split_once('/').unwrap_or((prefix, ""));
    let of_a_registry = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
    let of_a_path = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'/');
    if !registry.bytes().all(of_a_registry) || !path.bytes().all(of_a_path) {
        return Err("no repository's name starts like this".into());
    }
    if !prefix.contains('/') {
        return Ok(());
    }
    match Reference::parse_repository(&format!("{registry}/name")) {
        Ok(name) if name.registry() == registry => Ok(()),
        _ => Err(format!("{registry:?} is no registry; names on Docker Hub start with docker.io/")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_can_fit_a_repository_pass() {
        for pattern in
            ["docker.io/library/alpine", "localhost/app", "r.example:5000/team/app", "*", "docker*"]
        {
            assert_eq!(check_pattern(pattern), Ok(()), "{pattern}");
        }
        for prefix in ["", "docker", "docker.io/", "docker.io/library/al", "localhost:5000/a_b"] {
            assert_eq!(check_prefix(prefix), Ok(()), "{prefix}");
        }
    }

    #[test]
    fn the_case_of_a_host_means_nothing() {
        for gun in ["r.example/team/app", "R.Example/team/app"] {
            for prefix in ["", "r.ex", "R.EX", "r.example/", "R.example/team/app"] {
                assert!(starts_with(gun, prefix), "{gun} {prefix}");
            }
            assert!(is_same(gun, "r.EXAMPLE/team/app") && !is_same(gun, "r.example/team/ap"));
            for prefix in ["r.example/team/app1", "r.example/other", "é"] {
                assert!(!starts_with(gun, prefix), "{gun} {prefix}");
            }
        }
    }

    #[test]
    fn names_that_fit_no_repository_are_refused() {
        for pattern in ["", "alpine", "library/alpine", "docker.io/alpine", "index.docker.io/library/alpine"]
        {
            assert!(check_pattern(pattern).is_err(), "{pattern}");
        }
        for pattern in
            ["r.example/app:1", "r.example/app@sha256:00", "r.example/", "team/*", "r.example/App*"]
        {
            assert!(check_pattern(pattern).is_err(), "{pattern}");
        }
        for prefix in
            ["docker.io/library/*", "library/", "index.docker.io/library/", "/", "*", "r_e", " r.example"]
        {
            assert!(check_prefix(prefix).is_err(), "{prefix}");
        }
    }
}
