//! Which signature counts: Docker's rule, and what a caller wants beyond it.

use std::collections::BTreeSet;

use super::names;
use crate::error::{Error, Result};

/// Where a tag is looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lookup {
    /// As `docker pull`: `targets/releases` first, then `targets`, and no other
    /// delegation counts.
    #[default]
    Docker,
    /// As `notary lookup`: `targets` first, then all delegations, breadth first.
    Notary,
}

/// What must hold for a tag besides the signatures of the role that publishes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Where a tag is looked for.
    pub lookup: Lookup,
    /// All rules that match a repository must hold.
    pub rules: Vec<Rule>,
}

/// Signers that must have signed the same digest for a tag.
///
/// A signer `alice` is the delegation `targets/alice`, as `docker trust` makes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// A repository's full name (`docker.io/library/alpine`), or with a final
    /// `*` the start of one.
    pub repository: String,
    /// Every one of these must have signed.
    pub all_of: Vec<String>,
    /// At least `threshold` of these must have signed.
    pub any_of: Vec<String>,
    /// How many of `any_of`.
    pub threshold: usize,
}

impl Policy {
    /// Docker's rule and nothing more.
    pub fn docker() -> Self {
        Self::default()
    }

    /// `notary lookup`'s rule and nothing more.
    pub fn notary() -> Self {
        Self { lookup: Lookup::Notary, rules: Vec::new() }
    }

    /// Adds a rule.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Refuses rules that can fit no repository, that ask for nothing, or that
    /// nobody can meet. [`crate::Client`] does so when it is made.
    ///
    /// # Errors
    /// [`Error::InvalidConfiguration`].
    pub fn check(&self) -> Result<()> {
        self.rules.iter().try_for_each(|rule| {
            rule.check().map_err(|reason| {
                let what = format!("policy rule for {:?}", rule.repository);
                Error::InvalidConfiguration { what, reason }
            })
        })
    }

    /// The first thing that is missing, if any.
    pub(super) fn violation(&self, gun: &str, signers: &[String]) -> Option<String> {
        self.rules.iter().filter(|rule| rule.matches(gun)).find_map(|rule| rule.violation(signers))
    }
}

impl Rule {
    fn check(&self) -> Result<(), String> {
        names::check_pattern(&self.repository)?;
        let candidates = self.candidates().len();
        match self.threshold {
            0 if candidates > 0 => Err("any_of without a threshold asks for nothing".into()),
            0 if self.all_of.is_empty() => Err("it asks for no signer".into()),
            threshold if threshold > candidates => {
                Err(format!("{threshold} of {candidates} signers cannot sign"))
            }
            _ => Ok(()),
        }
    }

    /// A name given twice still counts once.
    fn candidates(&self) -> BTreeSet<&String> {
        self.any_of.iter().collect()
    }

    fn matches(&self, gun: &str) -> bool {
        match self.repository.strip_suffix('*') {
            Some(prefix) => names::starts_with(gun, prefix),
            None => names::is_same(gun, &self.repository),
        }
    }

    fn violation(&self, signers: &[String]) -> Option<String> {
        let found = || if signers.is_empty() { "no signer".to_owned() } else { signers.join(", ") };
        if let Some(missing) = self.all_of.iter().find(|name| !signers.contains(name)) {
            return Some(format!("{:?} wants a signature of {missing}, found {}", self.repository, found()));
        }
        let signed = self.candidates().into_iter().filter(|name| signers.contains(name)).count();
        if signed < self.threshold {
            let wanted = self.any_of.join(", ");
            return Some(format!(
                "{:?} wants {} of {wanted}, found {}",
                self.repository,
                self.threshold,
                found()
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signers(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn every_named_signer_and_enough_of_the_others_must_have_signed() {
        let policy = Policy::docker().rule(Rule {
            repository: "docker.io/team/*".into(),
            all_of: signers(&["ci"]),
            any_of: signers(&["alice", "alice", "bob"]),
            threshold: 2,
        });
        assert_eq!(policy.violation("docker.io/team/app", &signers(&["alice", "bob", "ci"])), None);
        assert!(policy.violation("docker.io/team/app", &signers(&["alice", "ci"])).is_some());
        assert!(policy.violation("docker.io/team/app", &signers(&["alice", "bob"])).is_some());
        assert_eq!(policy.violation("docker.io/other/app", &[]), None);
    }

    #[test]
    fn a_rule_without_star_is_for_one_repository() {
        let policy = Policy::docker().rule(Rule {
            repository: "r/a".into(),
            all_of: signers(&["x"]),
            ..Rule::default()
        });
        assert!(policy.violation("r/a", &[]).is_some());
        assert_eq!(policy.violation("r/ab", &[]), None);
    }

    #[test]
    fn a_rule_holds_however_the_host_is_written() {
        for repository in ["r.example/team/app", "R.example/team/*"] {
            let all_of = signers(&["ci"]);
            let policy =
                Policy::docker().rule(Rule { repository: repository.into(), all_of, ..Rule::default() });
            assert!(policy.violation("r.EXAMPLE/team/app", &[]).is_some(), "{repository}");
            assert_eq!(policy.violation("r.example:443/team/app", &[]), None, "another name");
        }
    }

    #[test]
    fn rules_that_cannot_do_what_was_meant_are_refused() {
        let rule = |repository: &str, all_of: &[&str], any_of: &[&str], threshold| {
            let (all_of, any_of) = (signers(all_of), signers(any_of));
            Policy::docker().rule(Rule { repository: repository.into(), all_of, any_of, threshold }).check()
        };
        assert_eq!(rule("docker.io/team/*", &["ci"], &["alice", "bob"], 2), Ok(()));
        assert_eq!(rule("docker.io/team/app", &["ci"], &[], 0), Ok(()));
        assert!(rule("team/app", &["ci"], &[], 0).is_err(), "fits no repository");
        assert!(rule("*", &[], &[], 0).is_err(), "asks for nothing");
        assert!(rule("*", &["ci"], &["alice"], 0).is_err(), "any_of counts for nothing");
        assert!(rule("*", &[], &["alice", "alice"], 2).is_err(), "one person cannot be two");
    }
}
