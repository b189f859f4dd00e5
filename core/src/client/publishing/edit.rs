//! Changes of one repository, collected and then published together.

use std::time::Duration;

use super::publication::Publication;
use super::publish::{Mode, Publisher};
use super::steps::Step;
use crate::client::Client;
use crate::crypto::{KeyId, PublicKey};
use crate::error::{Error, Result};
use crate::metadata::role;
use crate::reference::Reference;
use crate::signing::{Change, Proposal};

/// What is signed for a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Digest of the manifest or index, `sha256:` and 64 hex digits.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// More to sign with it, as JSON; tools of the publisher's own may read it.
    pub custom: Option<String>,
}

impl Target {
    /// A digest and a size, and nothing more.
    pub fn new(digest: impl Into<String>, size: u64) -> Self {
        Self { digest: digest.into(), size, custom: None }
    }
}

/// Which key a role gets when it is rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// A new one on this machine.
    Generate,
    /// A new one on the server: for `snapshot` and `timestamp`.
    ServerManaged,
    /// These, which are at hand: on disk or the caller's signers.
    Keys(Vec<KeyId>),
}

/// Changes of one repository in the making: one refresh and one upload for all
/// of them, however many. Nothing happens before one of the methods that end it.
///
/// ```no_run
/// # let client = tagtrust::Client::builder().build()?;
/// # let (digest, size) = ("sha256:…", 1570);
/// client
///     .edit("registry.example/team/app")?
///     .sign("1.2", Some(tagtrust::Target::new(digest, size)))
///     .revoke(Some("1.1"))
///     .publish()?;
/// # Ok::<(), tagtrust::Error>(())
/// ```
#[must_use = "nothing happens until it is published"]
#[derive(Clone)]
pub struct Edit<'a> {
    client: &'a Client,
    reference: Reference,
    steps: Vec<Step>,
}

impl Client {
    /// Begins changes of a repository (`registry/repository`).
    ///
    /// # Errors
    /// [`Error::InvalidReference`].
    pub fn edit(&self, repository: &str) -> Result<Edit<'_>> {
        Ok(Edit { client: self, reference: Reference::parse_name(repository)?, steps: Vec::new() })
    }
}

impl Edit<'_> {
    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    fn change(self, change: Change) -> Self {
        self.step(Step::Change(change))
    }

    /// Signs a tag as Docker does: in every first-level delegation that admits
    /// it and that we hold a key for, or in `targets` if there is no delegation.
    /// Without a target the registry is asked what the tag is.
    pub fn sign(self, tag: impl Into<String>, target: Option<Target>) -> Self {
        self.step(Step::Sign { tag: tag.into(), target, pinned: None, roles: None })
    }

    /// Signs a tag in these roles and no others.
    pub fn sign_in(
        self,
        tag: impl Into<String>,
        target: Option<Target>,
        roles: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let roles = Some(roles.into_iter().map(Into::into).collect());
        self.step(Step::Sign { tag: tag.into(), target, pinned: None, roles })
    }

    /// Signs the tag of a reference, if that has a digest only with this.
    pub(super) fn push_signature(
        &mut self,
        reference: &Reference,
        target: Option<Target>,
        roles: Option<Vec<String>>,
    ) {
        let tag = reference.tag().unwrap_or_default().to_owned();
        let pinned = reference.digest().map(str::to_owned);
        self.steps.push(Step::Sign { tag, target, pinned, roles });
    }

    /// Removes the signatures of a tag, or of all tags, from every first-level
    /// delegation and from `targets`, where we hold a key. Where the tag stays
    /// signed because we hold none, the publication has a warning.
    pub fn revoke(self, tag: Option<&str>) -> Self {
        self.step(Step::Revoke { tag: tag.map(str::to_owned), roles: None })
    }

    /// Removes the signatures of a tag, or of all tags, from these roles.
    pub fn revoke_in(self, tag: Option<&str>, roles: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let roles = Some(roles.into_iter().map(Into::into).collect());
        self.step(Step::Revoke { tag: tag.map(str::to_owned), roles })
    }

    /// Adds a signer as Docker does: its keys may sign for `targets/<name>` and
    /// `targets/releases`, all tags.
    pub fn add_signer(self, name: impl Into<String>, keys: Vec<PublicKey>) -> Self {
        self.step(Step::AddSigner { name: name.into(), keys })
    }

    /// Removes a signer as Docker does. If nobody else's signature is left on
    /// the tags of `targets/releases`, they are signed anew with a key at hand;
    /// without one it needs `force`, and no tag counts until somebody signs.
    pub fn remove_signer(self, name: impl Into<String>, force: bool) -> Self {
        self.step(Step::RemoveSigner { name: name.into(), force })
    }

    /// Declares a delegation (`targets/a/b`) with these keys and paths, the
    /// prefixes of the tags that it may sign. One that exists gets them added.
    pub fn add_delegation(
        self,
        role: impl Into<String>,
        keys: Vec<PublicKey>,
        paths: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let paths = paths.into_iter().map(Into::into).collect();
        self.change(Change::AddDelegation { role: role.into(), keys, paths, threshold: 1 })
    }

    /// Ends a delegation and all below it.
    pub fn remove_delegation(self, role: impl Into<String>) -> Self {
        self.change(Change::RemoveDelegation { role: role.into() })
    }

    /// Takes keys (canonical IDs) and paths from a delegation.
    pub fn remove_from_delegation(
        self,
        role: impl Into<String>,
        key_ids: Vec<KeyId>,
        paths: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.change(Change::UpdateDelegation {
            role: role.into(),
            add_keys: Vec::new(),
            remove_keys: key_ids,
            add_paths: Vec::new(),
            remove_paths: paths.into_iter().map(Into::into).collect(),
            clear_paths: false,
        })
    }

    /// Takes keys (canonical IDs) from all delegations.
    pub fn purge_keys(self, key_ids: Vec<KeyId>) -> Self {
        self.remove_from_delegation(format!("{}/*", role::TARGETS), key_ids, [""; 0])
    }

    /// Gives a base role other keys. Needs the root key, and for `root` both
    /// the old and the new one.
    pub fn rotate_key(self, role: impl Into<String>, rotation: Rotation) -> Self {
        self.step(Step::Rotate { role: role.into(), rotation })
    }

    /// Sets how many keys of a role must sign.
    pub fn set_threshold(self, role: impl Into<String>, threshold: u32) -> Self {
        self.change(Change::SetThreshold { role: role.into(), threshold })
    }

    /// Signs the file of `root`, of `targets` or of a delegation anew as it is.
    pub fn witness(self, role: impl Into<String>) -> Self {
        self.change(Change::Witness { role: role.into() })
    }

    /// Signs anew whatever expires within this time and whose keys are at hand.
    pub fn renew(self, within: Duration) -> Self {
        self.step(Step::Renew { within })
    }

    /// Any change, in Notary's own terms.
    pub fn apply(self, change: Change) -> Self {
        self.change(change)
    }

    /// The changes that were staged before, by us or by `notary`. Publishing
    /// ends them.
    pub fn staged(self) -> Self {
        self.step(Step::Staged)
    }

    /// Makes the repository: see [`Client::init`].
    pub fn init(self, init: super::Init) -> Self {
        self.step(Step::Init(init))
    }

    /// Signs what changes and uploads it. If others publish at the same time,
    /// the changes are made anew on top of theirs.
    ///
    /// # Errors
    /// Then nothing was published, staged changes stay, and it can be run again.
    /// [`Error::Conflict`] only if somebody else changed the very same thing.
    pub fn publish(self) -> Result<Publication> {
        Publisher::new(self.client, &self.reference, Mode::Publish)?.publish(&self.steps)
    }

    /// What would change. Needs no private key, makes none and writes nothing.
    ///
    /// # Errors
    /// As [`Edit::publish`], as far as it can be told.
    pub fn dry_run(self) -> Result<Publication> {
        Publisher::new(self.client, &self.reference, Mode::DryRun)?.publish(&self.steps)
    }

    /// Stages the changes in Notary's changelist instead of publishing them:
    /// [`Client::publish`] or `notary publish` does that later.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for what cannot be staged: [`Edit::init`],
    /// rotations and thresholds.
    pub fn stage(self) -> Result<Publication> {
        Publisher::new(self.client, &self.reference, Mode::Stage)?.stage(&self.steps)
    }

    /// Signs what changes with the keys at hand, for others to add theirs:
    /// see [`Client::cosign`] and [`Client::publish_proposals`].
    ///
    /// # Errors
    /// [`Error::KeyNotFound`] if there is no key for it.
    pub fn sign_partial(self) -> Result<Proposal> {
        Publisher::new(self.client, &self.reference, Mode::Publish)?.propose(&self.steps)
    }
}

pub(super) fn invalid(what: impl Into<String>, reason: impl Into<String>) -> Error {
    Error::InvalidInput { what: what.into(), reason: reason.into() }
}
