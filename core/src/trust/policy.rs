//! Which signature counts: Docker's rule, and what a caller wants beyond it.

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

    /// The first thing that is missing, if any.
    pub(super) fn violation(&self, gun: &str, signers: &[String]) -> Option<String> {
        self.rules.iter().filter(|rule| rule.matches(gun)).find_map(|rule| rule.violation(signers))
    }
}

impl Rule {
    fn matches(&self, gun: &str) -> bool {
        match self.repository.strip_suffix('*') {
            Some(prefix) => gun.starts_with(prefix),
            None => gun == self.repository,
        }
    }

    fn violation(&self, signers: &[String]) -> Option<String> {
        let found = || if signers.is_empty() { "no signer".to_owned() } else { signers.join(", ") };
        if let Some(missing) = self.all_of.iter().find(|name| !signers.contains(name)) {
            return Some(format!("{:?} wants a signature of {missing}, found {}", self.repository, found()));
        }
        // A name given twice still counts once.
        let wanted: std::collections::BTreeSet<&String> = self.any_of.iter().collect();
        let signed = wanted.iter().filter(|name| signers.contains(name)).count();
        if signed < self.threshold {
            let wanted = self.any_of.join(", ");
            return Some(format!("{:?} wants {} of {wanted}, found {}", self.repository, self.threshold, found()));
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
        let policy = Policy::docker().rule(Rule { repository: "r/a".into(), all_of: signers(&["x"]), ..Rule::default() });
        assert!(policy.violation("r/a", &[]).is_some());
        assert_eq!(policy.violation("r/ab", &[]), None);
    }
}
