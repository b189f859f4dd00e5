//! Other ends of an edit than publishing it: staged for later, signed for
//! others to add their signatures, or only told.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

use super::{Publisher, is_conflict};
use crate::client::publishing::edit::invalid;
use crate::client::publishing::publication::{ChangeSummary, Publication};
use crate::client::publishing::steps::{Resolver, Step, canonical_ids};
use crate::crypto::KeyId;
use crate::error::{Error, Result};
use crate::metadata::{format_time, role};
use crate::remote::Failure;
use crate::signing::{Change, Draft, Proposal, SignedFile};

/// How much later than ours the clock of whoever proposes may be.
const CLOCK_SKEW: Duration = Duration::from_secs(86_400);

impl Publisher<'_> {
    /// Stages what steps mean now.
    pub(in crate::client) fn stage(&self, steps: &[Step]) -> Result<Publication> {
        if steps.iter().any(|step| matches!(step, Step::Init(_))) {
            // Notary's changelist has no place for it.
            let reason = "it cannot be staged; call init before, published or not, or publish all at once";
            return Err(invalid(format!("initialisation of {}", self.gun()), reason));
        }
        let steps = &self.looked_up(steps)?;
        let mut draft = self.base(steps)?.draft;
        // On top of what is staged already. What of that cannot be made now,
        // publishing will say.
        for (_, change) in self.staged()? {
            if let Err(error) = draft.apply(change) {
                log::debug!("a staged change is passed over: {error}");
            }
        }
        let staged_before = draft.changes().len();
        let mut resolver = Resolver { publisher: self, warnings: BTreeSet::new(), bump: false };
        for step in steps {
            if let Step::Rotate { role, .. } = step {
                return Err(invalid(
                    format!("rotation of {role}"),
                    "it cannot be staged; publish it at once",
                ));
            }
            resolver.apply(step, &mut draft)?;
        }
        let changes = draft.changes().get(staged_before..).unwrap_or_default();
        let files = changes.iter().map(Change::to_file).collect::<Result<Vec<_>>>()?;
        if !files.is_empty() {
            self.client.store.changelist(self.gun())?.append(&files, self.now)?;
        }
        Ok(Publication {
            repository: self.gun().to_owned(),
            changes: changes.iter().map(ChangeSummary::from).collect(),
            files: Vec::new(),
            warnings: resolver.warnings.into_iter().collect(),
            published: false,
            attempts: 1,
        })
    }

    /// The staged changes and the names of their files.
    pub(in crate::client) fn staged(&self) -> Result<&[(OsString, Change)]> {
        if let Some(staged) = self.staged.get() {
            return Ok(staged);
        }
        let staged = self.client.read_staged(self.gun())?;
        Ok(self.staged.get_or_init(|| staged))
    }

    /// Signs what steps mean with the keys at hand.
    pub(in crate::client) fn propose(&self, steps: &[Step]) -> Result<Proposal> {
        let steps = &self.looked_up(steps)?;
        let base = self.base(steps)?;
        let mut draft = base.draft;
        if draft.is_initial() {
            return Err(invalid(self.gun(), "nothing of it is published yet; initialise it first"));
        }
        let mut resolver = Resolver { publisher: self, warnings: BTreeSet::new(), bump: false };
        for step in steps {
            resolver.apply(step, &mut draft)?;
        }
        if self.continue_versions(&mut draft)? && self.published()?.stamp != base.stamp {
            let reason = "somebody else published at the same time; run it again".into();
            return Err(Error::Conflict { gun: self.gun().to_owned(), reason });
        }
        Proposal::new(&draft, &self.client.publishing.lifetimes.at(self.now), &|id, _| self.signer(id))
    }

    /// Adds our signatures to a proposal for what is published.
    pub(in crate::client) fn cosign(&self, proposal: Proposal) -> Result<Proposal> {
        self.check_expiry(&proposal)?;
        let draft = proposal.apply_to(self.base(&[])?.draft)?;
        proposal.sign(&draft, &|id, _| self.signer(id))
    }

    /// Its changes do not show how long the files of a proposal last.
    fn check_expiry(&self, proposal: &Proposal) -> Result<()> {
        let last = self.client.publishing.lifetimes.at(self.now.checked_add(CLOCK_SKEW).unwrap_or(self.now));
        for role in proposal.signers().into_keys() {
            if let Some(expires) = proposal.expiry(role).filter(|expires| *expires > last(role)) {
                let reason = format!(
                    "{role} would last until {}, longer than here; if that is right, set its expiry",
                    format_time(expires)
                );
                return Err(invalid("proposal", reason));
            }
        }
        Ok(())
    }

    /// Publishes a proposal with the signatures it has and those of our keys.
    pub(in crate::client) fn publish_proposal(&self, proposal: &Proposal) -> Result<Publication> {
        self.check_expiry(proposal)?;
        let draft = proposal.apply_to(self.base(&[])?.draft)?;
        let mut warnings = BTreeSet::new();
        super::warn_of_unsigned(&draft, &mut warnings);
        let files = self.sign_with(
            &draft,
            &|role| {
                proposal.expiry(role).unwrap_or_else(|| self.client.publishing.lifetimes.at(self.now)(role))
            },
            &|role| proposal.signatures(role).to_vec(),
        )?;
        let parts: Vec<(&str, &[u8])> =
            files.iter().map(|file| (file.role.as_str(), file.file.as_ref())).collect();
        match self.remote.upload(self.gun(), &parts, self.deadline()) {
            Ok(()) => {}
            Err(Failure::Refused { code, reason }) if is_conflict(&code) => {
                let reason =
                    format!("somebody else published at the same time ({reason}); make the proposal anew");
                return Err(Error::Conflict { gun: self.gun().to_owned(), reason });
            }
            Err(failure) => return Err(self.failed(failure)),
        }
        self.finish(&[], &draft, &mut warnings);
        Ok(Publication {
            repository: self.gun().to_owned(),
            changes: draft.changes().iter().map(ChangeSummary::from).collect(),
            files,
            warnings: warnings.into_iter().collect(),
            published: true,
            attempts: 1,
        })
    }

    /// The files that would be signed, and who could sign them.
    pub(super) fn plan(&self, draft: &Draft, warnings: &mut BTreeSet<String>) -> Result<Vec<SignedFile>> {
        let expiry = self.client.publishing.lifetimes.at(self.now);
        let mut planned = Vec::new();
        for unsigned in draft.unsigned(&expiry)? {
            let made = self.rotations.borrow();
            let is_ours = |id: &KeyId| {
                self.keyring.has(id)
                    || made.values().flatten().any(|key| key.canonical_id().as_ref() == Some(id))
            };
            let mut key_ids = Vec::new();
            for keys in &unsigned.keys {
                let ours: Vec<KeyId> = canonical_ids(keys).into_iter().filter(|id| is_ours(id)).collect();
                if (ours.len() as u64) < u64::from(keys.threshold) && !draft.is_initial() {
                    warnings.insert(format!(
                        "{} needs {} signatures, and {} of its keys are here",
                        unsigned.role,
                        keys.threshold,
                        ours.len()
                    ));
                }
                key_ids.extend(ours.iter().map(ToString::to_string));
            }
            key_ids.sort();
            key_ids.dedup();
            planned.push(SignedFile::planned(&unsigned, key_ids));
        }
        if self.signs_snapshot(draft)? {
            let snapshot = draft.unsigned_snapshot(&[], expiry(role::SNAPSHOT))?;
            let ids = canonical_ids(&draft.keys_of(role::SNAPSHOT)?);
            planned.push(SignedFile::planned(&snapshot, ids.iter().map(ToString::to_string).collect()));
        }
        Ok(planned)
    }
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::client::Client;
    use crate::client::publishing::{Init, Target};
    use crate::server::{Server, ServerConfig};

    const GUN: &str = "registry.example/team/app";

    #[test]
    fn an_initialisation_is_refused_where_it_would_be_dropped() {
        let server = Server::start(ServerConfig::default()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let client = Client::builder()
            .server(server.url())
            .trust_dir(directory.path().join("trust"))
            .docker_config(directory.path())
            .passphrase(|_| Some(Zeroizing::new("correct horse".into())))
            .build()
            .unwrap();
        let local = Init { local_snapshot: true, ..Init::default() };
        let target = || Some(Target::new(format!("sha256:{}", "ab".repeat(32)), 1570));
        let edit = || client.edit(GUN).unwrap().init(local.clone());
        for edit in [edit(), edit().sign("1.0", target())] {
            let refused = edit.stage().unwrap_err();
            assert!(matches!(refused, Error::InvalidInput { .. }), "{refused}");
            assert!(refused.to_string().contains("call init"), "{refused}");
        }
        assert!(!directory.path().join("trust/tuf").exists());
        assert_eq!(client.staged(GUN).unwrap(), []);

        // What it says to do instead.
        client.init(GUN, &Init { unpublished: true, ..local }).unwrap();
        client.edit(GUN).unwrap().sign("1.0", target()).stage().unwrap();
        assert!(client.publish(GUN).unwrap().files.iter().any(|file| file.role == role::SNAPSHOT));
    }
}
