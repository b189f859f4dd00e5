//! Publishing in one call: what `docker trust` and `notary` have a command for.

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde::Serialize;

use super::edit::{Edit, Rotation, Target, invalid};
use super::publication::Publication;
use super::publish::{Mode, Publisher};
use crate::client::Client;
use crate::crypto::PublicKey;
use crate::error::{Error, Result};
use crate::reference::Reference;
use crate::signing::{Change, Proposal};

/// A delegation as the repository declares it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Delegation {
    /// Full name, `targets/releases`.
    pub name: String,
    /// Prefixes of the tags that it may sign; the empty one admits all.
    pub paths: Vec<String>,
    /// Canonical IDs of the keys that may sign for it.
    pub key_ids: Vec<String>,
    /// How many of them must.
    pub threshold: u32,
}

impl Client {
    /// Signs `registry/repository:tag`. Without a target the registry is asked
    /// what the tag is; with a digest in the reference it must be that.
    ///
    /// As in Docker the repository is made if it does not exist, and the tag is
    /// signed in every first-level delegation that we hold a key for, or in
    /// `targets` if there is none.
    ///
    /// # Errors
    /// As [`Edit::publish`].
    pub fn sign(&self, reference: &str, target: Option<Target>) -> Result<Publication> {
        self.edit_to_sign(reference, target, None)?.publish()
    }

    /// The change that [`Client::sign`] publishes; with `roles` the tag is signed
    /// in these and no others.
    ///
    /// # Errors
    /// [`Error::InvalidReference`].
    pub fn edit_to_sign(
        &self,
        reference: &str,
        target: Option<Target>,
        roles: Option<Vec<String>>,
    ) -> Result<Edit<'_>> {
        let reference = tagged(reference)?;
        let mut edit = self.edit_of(&reference)?;
        edit.push_signature(&reference, target, roles);
        Ok(edit)
    }

    /// Signs many tags: for each repository one refresh and one upload. There
    /// is one result for each repository, in the order of their first tags.
    ///
    /// # Errors
    /// [`Error::InvalidReference`] before anything is signed.
    pub fn sign_many<R: AsRef<str>>(
        &self,
        references: &[(R, Option<Target>)],
    ) -> Result<Vec<Result<Publication>>> {
        let edits = self.edits_for(references)?;
        Ok(self.end_many(&edits, Edit::publish))
    }

    /// Ends edits of many repositories, several at a time. The results stand in
    /// the order of the edits.
    pub fn end_many<'a, T: Send>(&self, edits: &[Edit<'a>], end: impl Fn(Edit<'a>) -> T + Sync) -> Vec<T> {
        self.in_parallel(edits, |edit| end(edit.clone()))
    }

    /// The changes that [`Client::sign_many`] publishes, one for each repository.
    ///
    /// # Errors
    /// [`Error::InvalidReference`].
    pub fn edits_for<R: AsRef<str>>(&self, references: &[(R, Option<Target>)]) -> Result<Vec<Edit<'_>>> {
        let mut edits: Vec<Edit<'_>> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for (reference, target) in references {
            let reference = tagged(reference.as_ref())?;
            let place = *places.entry(reference.gun().to_owned()).or_insert(edits.len());
            if place == edits.len() {
                edits.push(self.edit_of(&reference)?);
            }
            if let Some(edit) = edits.get_mut(place) {
                edit.push_signature(&reference, target.clone(), None);
            }
        }
        Ok(edits)
    }

    /// Removes the signatures of a tag, or without a tag of all tags: see [`Edit::revoke`].
    ///
    /// # Errors
    /// [`Error::TagNotSigned`] if there is none; as [`Edit::publish`].
    pub fn revoke(&self, reference: &str) -> Result<Publication> {
        self.edit_to_revoke(reference, None)?.publish()
    }

    /// The change that [`Client::revoke`] publishes; with `roles` the signatures
    /// are removed from these and no others.
    ///
    /// # Errors
    /// [`Error::InvalidReference`].
    pub fn edit_to_revoke(&self, reference: &str, roles: Option<Vec<String>>) -> Result<Edit<'_>> {
        let reference = Reference::parse_repository(reference)?;
        if reference.digest().is_some() {
            return Err(cannot_be_a_digest(&reference));
        }
        let edit = self.edit_of(&reference)?;
        Ok(match roles {
            Some(roles) => edit.revoke_in(reference.tag(), roles),
            None => edit.revoke(reference.tag()),
        })
    }

    /// Adds a signer: see [`Edit::add_signer`]. A repository that does not exist is made.
    ///
    /// # Errors
    /// As [`Edit::publish`].
    pub fn add_signer(&self, name: &str, keys: Vec<PublicKey>, repository: &str) -> Result<Publication> {
        self.edit(repository)?.add_signer(name, keys).publish()
    }

    /// Removes a signer: see [`Edit::remove_signer`].
    ///
    /// # Errors
    /// As [`Edit::publish`].
    pub fn remove_signer(&self, name: &str, repository: &str, force: bool) -> Result<Publication> {
        self.edit(repository)?.remove_signer(name, force).publish()
    }

    /// Gives a base role other keys: see [`Edit::rotate_key`].
    ///
    /// # Errors
    /// As [`Edit::publish`].
    pub fn rotate_key(&self, repository: &str, role: &str, rotation: Rotation) -> Result<Publication> {
        self.edit(repository)?.rotate_key(role, rotation).publish()
    }

    /// Publishes what is staged, and a repository that was made and not published.
    ///
    /// # Errors
    /// As [`Edit::publish`].
    pub fn publish(&self, repository: &str) -> Result<Publication> {
        self.edit(repository)?.staged().publish()
    }

    /// The staged changes of a repository, in the order in which they apply.
    ///
    /// # Errors
    /// [`Error::StoreError`].
    pub fn staged(&self, repository: &str) -> Result<Vec<Change>> {
        let reference = Reference::parse_name(repository)?;
        Ok(self.read_staged(reference.gun())?.into_iter().map(|(_, change)| change).collect())
    }

    /// Removes staged changes: those with these numbers, from 0, in the order of
    /// [`Client::staged`], or all.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a number that there is not; then all stay.
    pub fn unstage(&self, repository: &str, numbers: Option<&[usize]>) -> Result<()> {
        let reference = Reference::parse_name(repository)?;
        let changelist = self.store.changelist(reference.gun())?;
        let names = changelist.names()?;
        let chosen = match numbers {
            None => names.iter().collect(),
            Some(numbers) => {
                let absent = |number: &usize| {
                    let reason = format!("there are {} staged changes, from 0 on", names.len());
                    invalid(format!("number {number}"), reason)
                };
                let name = |number: &usize| names.get(*number).ok_or_else(|| absent(number));
                numbers.iter().map(name).collect::<Result<Vec<_>>>()?
            }
        };
        changelist.remove(chosen)
    }

    /// All delegations of a repository, breadth first.
    ///
    /// # Errors
    /// As [`Client::verify`].
    pub fn delegations(&self, repository: &str) -> Result<Vec<Delegation>> {
        let reference = Reference::parse_name(repository)?;
        let draft = Publisher::new(self, &reference, Mode::Stage)?.base(&[])?.draft;
        let delegations = draft.all_delegations().into_iter().map(|declared| Delegation {
            name: declared.name.clone(),
            paths: declared.paths.clone(),
            key_ids: super::steps::canonical_ids(&declared.keys).iter().map(ToString::to_string).collect(),
            threshold: declared.keys.threshold,
        });
        Ok(delegations.collect())
    }

    /// Adds our signatures to what somebody proposes. Look at
    /// [`Proposal::changes`] first.
    ///
    /// # Errors
    /// [`Error::Conflict`] if something else is published by now;
    /// [`Error::KeyNotFound`] if no key of ours can sign it.
    pub fn cosign(&self, proposal: Proposal) -> Result<Proposal> {
        let reference = Reference::parse_repository(proposal.gun())?;
        Publisher::new(self, &reference, Mode::Publish)?.cosign(proposal)
    }

    /// Puts the signatures of copies of one proposal together, adds ours, and
    /// publishes it.
    ///
    /// # Errors
    /// [`Error::KeyNotFound`] if there are too few; [`Error::Conflict`] if
    /// something else is published by now.
    pub fn publish_proposals(&self, proposals: impl IntoIterator<Item = Proposal>) -> Result<Publication> {
        let mut proposals = proposals.into_iter();
        let first = proposals.next().ok_or_else(|| invalid("proposals", "there is none"))?;
        let proposal = first.merge(proposals)?;
        let reference = Reference::parse_repository(proposal.gun())?;
        Publisher::new(self, &reference, Mode::Publish)?.publish_proposal(&proposal)
    }

    pub(super) fn read_staged(&self, gun: &str) -> Result<Vec<(OsString, Change)>> {
        let changelist = self.store.changelist(gun)?;
        let names = changelist.names()?;
        // There may be many thousands, each in a file of its own.
        let read = |name: &OsString| {
            let Some(content) = changelist.read(name)? else { return Ok(None) };
            let change = Change::from_file(&content).map_err(|malformed| Error::StoreError {
                path: changelist.path(name).display().to_string(),
                reason: format!("it is no staged change ({malformed}); remove it"),
            })?;
            Ok(Some((name.clone(), change)))
        };
        self.in_parallel(&names, read).into_iter().filter_map(Result::transpose).collect()
    }

    fn edit_of(&self, reference: &Reference) -> Result<Edit<'_>> {
        self.edit(reference.gun())
    }
}

/// A reference with a tag, given or `latest`, and maybe a digest.
fn tagged(reference: &str) -> Result<Reference> {
    let parsed = Reference::parse(reference)?;
    if parsed.tag().is_none() {
        return Err(cannot_be_a_digest(&parsed));
    }
    Ok(parsed)
}

fn cannot_be_a_digest(reference: &Reference) -> Error {
    Error::InvalidReference {
        reference: format!("{}@{}", reference.gun(), reference.digest().unwrap_or_default()),
        reason: "tags are signed and revoked, and it has a digest instead".into(),
    }
}
