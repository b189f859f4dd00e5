//! The settings that `tagtrust/_settings.py` defines, read by their attributes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyMapping;
use tagtrust::{Error, Lookup, Result};

#[derive(FromPyObject)]
pub(crate) struct Pinning {
    #[pyo3(from_py_with = mapping)]
    certificates: BTreeMap<String, Vec<String>>,
    #[pyo3(from_py_with = mapping)]
    ca: BTreeMap<String, PathBuf>,
    trust_on_first_use: bool,
}

impl Pinning {
    pub(crate) fn into_core(self) -> Result<tagtrust::Pinning> {
        let start = match self.trust_on_first_use {
            true => tagtrust::Pinning::trust_on_first_use(),
            false => tagtrust::Pinning::none(),
        };
        let pinning = self
            .certificates
            .into_iter()
            .fold(start, |pinning, (name, key_ids)| pinning.certificates(name, key_ids));
        self.ca.into_iter().try_fold(pinning, |pinning, (prefix, path)| {
            let pem = std::fs::read(&path).map_err(|error| Error::InvalidConfiguration {
                what: format!("CA certificates pinned for {prefix:?}"),
                reason: format!("{}: {error}", path.display()),
            })?;
            pinning.authority(prefix, pem)
        })
    }
}

#[derive(FromPyObject)]
pub(crate) struct Policy {
    lookup: String,
    rules: Vec<Rule>,
}

#[derive(FromPyObject)]
struct Rule {
    repository: String,
    all_of: Vec<String>,
    any_of: Vec<String>,
    threshold: usize,
}

impl Policy {
    pub(crate) fn into_core(self) -> Result<tagtrust::Policy> {
        let lookup = match self.lookup.as_str() {
            "docker" => Lookup::Docker,
            "notary" => Lookup::Notary,
            other => {
                let reason = r#"must be "docker" or "notary""#.into();
                return Err(Error::InvalidConfiguration { what: format!("lookup {other:?}"), reason });
            }
        };
        let rules = self.rules.into_iter().map(Rule::into_core).collect();
        Ok(tagtrust::Policy { lookup, rules })
    }
}

impl Rule {
    fn into_core(self) -> tagtrust::Rule {
        let Self { repository, all_of, any_of, threshold } = self;
        // In Python the threshold is 1 unless given; in Rust it is nothing without `any_of`.
        let threshold = if any_of.is_empty() && threshold == 1 { 0 } else { threshold };
        tagtrust::Rule { repository, all_of, any_of, threshold }
    }
}

/// Any mapping, not only a `dict`.
pub(crate) fn mapping<V>(value: &Bound<'_, PyAny>) -> PyResult<BTreeMap<String, V>>
where
    V: for<'a, 'py> FromPyObject<'a, 'py, Error: Into<PyErr>>,
{
    let items = value.cast::<PyMapping>()?.items()?;
    items.iter().map(|item| item.extract::<(String, V)>()).collect()
}
