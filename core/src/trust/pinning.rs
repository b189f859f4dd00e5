//! Which root a caller is willing to start from.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::names;
use crate::crypto::{CertificateBundle, CertificateFault, TrustAnchors};
use crate::error::{Error, Result};

/// What a root must match besides its own signatures.
///
/// For a repository the first applicable rule decides, and there is no second
/// chance after a mismatch: (1) its certificates by exact name, (2) the longest
/// name ending in `*` whose rest is a prefix of it, (3) the longest CA prefix,
/// (4) trust on first use, if that was allowed. Names and prefixes are plain
/// strings, as in Notary.
///
/// Stricter than Notary: what the caller gives holds over a cached root too, and
/// however the registry's host is written, `R.example` or `r.example`; and a
/// repository without a rule is refused even if a root of it is cached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pinning {
    certificates: BTreeMap<String, Vec<String>>,
    authorities: BTreeMap<String, Vec<u8>>,
    trust_on_first_use: bool,
}

impl Pinning {
    /// No repository is trusted until a rule is added.
    pub fn none() -> Self {
        Self::default()
    }

    /// The first root that is seen is trusted, and from then on its successors:
    /// what Docker does. Whoever answers first can choose the keys.
    pub fn trust_on_first_use() -> Self {
        Self { trust_on_first_use: true, ..Self::default() }
    }

    /// Admits only these root key IDs for a repository, or for all whose name
    /// starts with what stands before a final `*`. An empty list admits none.
    #[must_use]
    pub fn certificates(
        mut self,
        name: impl Into<String>,
        key_ids: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.certificates.insert(name.into(), key_ids.into_iter().map(Into::into).collect());
        self
    }

    /// Admits only root certificates that chain to one of these CA certificates
    /// (PEM), for repositories whose name starts with `prefix`.
    ///
    /// The chain is checked for server authentication, as Go does by default:
    /// certificates with another extended key usage only do not pass, among
    /// them those that Notary itself makes.
    ///
    /// # Errors
    /// [`Error::InvalidConfiguration`] if there is no certificate in `pem`.
    pub fn authority(mut self, prefix: impl Into<String>, pem: impl Into<Vec<u8>>) -> Result<Self> {
        let (prefix, pem) = (prefix.into(), pem.into());
        match TrustAnchors::parse(&pem, SystemTime::UNIX_EPOCH) {
            // Whether they are valid is asked when they are used.
            Ok(_) | Err(CertificateFault::NoAnchors) => {}
            Err(fault) => {
                let what = format!("CA certificates pinned for {prefix:?}");
                return Err(Error::InvalidConfiguration { what, reason: fault.to_string() });
            }
        }
        self.authorities.insert(prefix, pem);
        Ok(self)
    }

    /// Refuses names that can fit no repository, as their pins would be passed
    /// over, and what can be no key ID. [`crate::Client`] does so when it is made.
    ///
    /// # Errors
    /// [`Error::InvalidConfiguration`].
    pub fn check(&self) -> Result<()> {
        let invalid = |name: &String, reason| Error::InvalidConfiguration {
            what: format!("pins for {name:?}"),
            reason,
        };
        for (name, key_ids) in &self.certificates {
            names::check_pattern(name).map_err(|reason| invalid(name, reason))?;
            if let Some(other) = key_ids.iter().find(|id| !is_key_id(id)) {
                let reason = format!("{other:?} is no key ID; it has 64 digits from 0 to 9 and a to f");
                return Err(invalid(name, reason));
            }
        }
        for prefix in self.authorities.keys() {
            names::check_prefix(prefix).map_err(|reason| invalid(prefix, reason))?;
        }
        Ok(())
    }

    /// Why a root certificate is not admitted for a repository. If it is: when the
    /// pinned CA above it expires, if that is why.
    pub(super) fn admit(
        &self,
        gun: &str,
        key_id: &str,
        bundle: &CertificateBundle,
        now: SystemTime,
    ) -> Result<Option<SystemTime>, String> {
        if let Some(key_ids) = self.exact(gun).or_else(|| self.wildcard(gun)) {
            if key_ids.iter().any(|pinned| pinned == key_id) {
                return Ok(None);
            }
            return Err(format!("key {key_id} is not among the pinned {}", key_ids.join(", ")));
        }
        let longest = self
            .authorities
            .iter()
            .filter_map(|(prefix, pem)| Some((fit(gun, prefix)?, prefix, pem)))
            .max_by_key(|(fit, ..)| *fit);
        if let Some((_, prefix, pem)) = longest {
            let chain = TrustAnchors::parse(pem, now).and_then(|anchors| bundle.chains_to(&anchors, now));
            return chain
                .map(Some)
                .map_err(|fault| format!("key {key_id} under the CA pinned for {prefix:?}: {fault}"));
        }
        if self.trust_on_first_use {
            return Ok(None);
        }
        Err("no pin applies to the repository, and trust on first use is not allowed".into())
    }

    fn exact(&self, gun: &str) -> Option<&Vec<String>> {
        let same = || self.certificates.iter().find(|(name, _)| names::is_same(gun, name));
        self.certificates.get(gun).or_else(|| same().map(|(_, key_ids)| key_ids))
    }

    fn wildcard(&self, gun: &str) -> Option<&Vec<String>> {
        self.certificates
            .iter()
            .filter_map(|(name, key_ids)| Some((fit(gun, name.strip_suffix('*')?)?, key_ids)))
            .max_by_key(|(fit, _)| *fit)
            .map(|(_, key_ids)| key_ids)
    }
}

/// How well the start of a name fits, if it does: the longest fits best, and of
/// two spellings of one host the repository's own.
fn fit(gun: &str, prefix: &str) -> Option<(usize, bool)> {
    names::starts_with(gun, prefix).then(|| (prefix.len(), gun.starts_with(prefix)))
}

fn is_key_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_hold_however_the_host_is_written() {
        let pins = Pinning::none()
            .certificates("r.example/app", ["exact"])
            .certificates("r.example/*", ["all"])
            .certificates("S.example/*", ["spelt so"])
            .certificates("s.example/*", ["and so"]);
        for (gun, key_id) in [
            ("R.Example/app", "exact"),
            ("R.Example/app2", "all"),
            ("S.example/app", "spelt so"),
            ("s.example/app", "and so"),
        ] {
            let found = pins.exact(gun).or_else(|| pins.wildcard(gun));
            assert_eq!(found, Some(&vec![key_id.to_owned()]), "{gun}");
        }
        assert_eq!(pins.wildcard("q.example/app"), None);
    }

    #[test]
    fn only_what_can_be_a_key_id_can_be_pinned() {
        let check = |id: String| Pinning::none().certificates("r.example/app", [id]).check();
        assert_eq!(check("0a".repeat(32)), Ok(()));
        for wrong in [String::new(), "0a".repeat(31), "0a".repeat(33), "0A".repeat(32), "é".repeat(32)] {
            assert!(matches!(check(wrong), Err(Error::InvalidConfiguration { .. })));
        }
    }
}
