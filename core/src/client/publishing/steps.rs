//! What a publisher wants, turned into changes of the roles concerned.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

use super::edit::{Rotation, Target, invalid};
use super::init::Init;
use super::publish::Publisher;
use super::upkeep::{expires_within, renewable_roles};
use crate::crypto::{KeyId, PublicKey};
use crate::error::{Error, Result, excerpt};
use crate::metadata::{RoleKeys, TargetMeta, json, role};
use crate::signing::{Change, Draft};

/// One thing that a publisher wants. What it means depends on the repository.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Init(Init),
    Sign {
        tag: String,
        target: Option<Target>,
        /// The digest that the registry must have for the tag.
        pinned: Option<String>,
        roles: Option<Vec<String>>,
    },
    Revoke {
        tag: Option<String>,
        roles: Option<Vec<String>>,
    },
    AddSigner {
        name: String,
        keys: Vec<PublicKey>,
    },
    RemoveSigner {
        name: String,
        force: bool,
    },
    Rotate {
        role: String,
        rotation: Rotation,
    },
    Renew {
        within: Duration,
    },
    Change(Change),
    Staged,
}

impl Step {
    /// Whether it makes a repository that does not exist, as Docker does.
    pub(super) fn creates(&self) -> bool {
        matches!(self, Self::Init(_) | Self::Sign { .. } | Self::AddSigner { .. })
    }
}

impl Target {
    pub(super) fn meta(&self, tag: &str) -> Result<TargetMeta> {
        let wrong = |reason: String| invalid(format!("target {tag:?}"), reason);
        let sha256 = crate::trust::sha256_of(&self.digest)
            .map_err(|_| wrong(format!("digest {:?} is not sha256: and 64 hex digits", self.digest)))?;
        let mut meta = TargetMeta::new(sha256, self.size);
        if let Some(custom) = &self.custom {
            let canonical = json::canonical_form(custom.as_bytes())
                .map_err(|malformed| wrong(format!("its custom data: {malformed}")))?;
            meta.custom = Some(canonical.into_owned()).filter(|custom| custom != b"null");
        }
        Ok(meta)
    }
}

/// Makes the changes that steps mean for a draft.
pub(super) struct Resolver<'a> {
    pub(super) publisher: &'a Publisher<'a>,
    pub(super) warnings: BTreeSet<String>,
    /// Something has to be uploaded even if no file of ours changes.
    pub(super) bump: bool,
}

impl Resolver<'_> {
    pub(super) fn apply(&mut self, step: &Step, draft: &mut Draft) -> Result<()> {
        match step {
            Step::Init(_) => Ok(()),
            Step::Sign { tag, target, roles, .. } => {
                let target = target.as_ref().ok_or_else(|| Error::Internal {
                    reason: "a tag without the registry's answer".into(),
                })?;
                self.sign(draft, tag, &target.meta(tag)?, roles.as_deref())
            }
            Step::Revoke { tag, roles } => self.revoke(draft, tag.as_deref(), roles.as_deref()),
            Step::AddSigner { name, keys } => add_signer(draft, name, keys),
            Step::RemoveSigner { name, force } => self.remove_signer(draft, name, *force),
            Step::Rotate { role, rotation } => self.rotate(draft, role, rotation),
            Step::Renew { within } => self.renew(draft, *within),
            Step::Change(change) => self.change(draft, change),
            Step::Staged => {
                let staged = self.publisher.staged()?;
                // As in Notary: an upload whose answer was lost is published again.
                let is_done = |draft: &Draft, change: &Change| {
                    let ends = |(_, other): &(OsString, Change)| matches!(other, Change::RemoveDelegation { role } if role == change.role());
                    only_takes(change) && staged.iter().any(ends) && draft.keys_of(change.role()).is_err()
                };
                for (_, change) in staged {
                    if !is_done(draft, change) {
                        self.change(draft, change)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn change(&mut self, draft: &mut Draft, change: &Change) -> Result<()> {
        match change {
            Change::UpdateDelegation { role, remove_keys, .. } if role.ends_with("/*") => {
                self.purge(draft, change, role.trim_end_matches('*'), remove_keys)
            }
            change => draft.apply(change),
        }
    }

    /// As in Notary keys are taken at least from those whose parents can be signed.
    fn purge(&mut self, draft: &mut Draft, change: &Change, prefix: &str, ids: &[KeyId]) -> Result<()> {
        let has_one = |keys: &RoleKeys| {
            keys.keys
                .iter()
                .any(|(id, key)| ids.contains(id) || key.canonical_id().is_some_and(|id| ids.contains(&id)))
        };
        let all = draft.all_delegations().into_iter().filter(|declared| declared.name.starts_with(prefix));
        let concerned: Vec<String> =
            all.filter(|declared| has_one(&declared.keys)).map(|declared| declared.name.clone()).collect();
        let can_sign =
            |name: &&String| role::parent(name).is_some_and(|parent| self.holds_any(draft, parent));
        let (ours, others): (Vec<_>, Vec<_>) = concerned.iter().partition(can_sign);
        for name in draft.unusable() {
            self.warnings.insert(format!("{name} does not count now; what it declares keeps the keys"));
        }
        if ours.is_empty() || others.is_empty() {
            return draft.apply(change);
        }
        for name in others {
            let parent = role::parent(name).unwrap_or_default();
            self.warnings
                .insert(format!("{name} keeps the key: {parent} declares it, and its key is not here"));
        }
        for role in ours.into_iter().cloned() {
            draft.apply(&Change::UpdateDelegation {
                role,
                add_keys: Vec::new(),
                remove_keys: ids.to_vec(),
                add_paths: Vec::new(),
                remove_paths: Vec::new(),
                clear_paths: false,
            })?;
        }
        Ok(())
    }

    fn sign(&self, draft: &mut Draft, tag: &str, meta: &TargetMeta, roles: Option<&[String]>) -> Result<()> {
        let roles = match roles {
            Some(roles) => roles.to_vec(),
            None => self.signable(draft, tag)?,
        };
        for role in roles {
            draft.apply(&Change::SetTarget { role, name: tag.to_owned(), meta: meta.clone() })?;
        }
        Ok(())
    }

    /// Docker's rule for the roles that sign a tag.
    fn signable(&self, draft: &Draft, tag: &str) -> Result<Vec<String>> {
        let delegations = draft.delegations(role::TARGETS);
        if delegations.is_empty() {
            return Ok(vec![role::TARGETS.to_owned()]);
        }
        let admitting: Vec<_> = delegations.iter().filter(|declared| declared.admits(tag)).collect();
        let signable: Vec<String> = admitting
            .iter()
            .filter(|declared| self.holds_any(draft, &declared.name))
            .map(|declared| declared.name.clone())
            .collect();
        if admitting.is_empty() {
            let reason = "no delegation may sign it, and where there are delegations targets does not";
            return Err(invalid(format!("tag {tag:?}"), reason));
        }
        if signable.is_empty() {
            let names: Vec<&str> = admitting.iter().map(|declared| declared.name.as_str()).collect();
            let ids = admitting.iter().flat_map(|declared| &declared.keys.keys);
            return Err(Error::KeyNotFound {
                role: names.join(", "),
                key_ids: ids.filter_map(|(_, key)| Some(key.canonical_id()?.to_string())).collect(),
                reason:
                    "no valid signing keys for delegation roles; load a signer's key, or have a signer added"
                        .into(),
            });
        }
        Ok(signable)
    }

    fn holds_any(&self, draft: &Draft, role: &str) -> bool {
        // Who makes a repository has its keys, or will: they may be imagined for now.
        if draft.is_new() && role::parent(role).is_none() {
            return true;
        }
        let keys = draft.keys_of(role).map(|keys| keys.keys).unwrap_or_default();
        keys.iter().any(|(_, key)| key.canonical_id().is_some_and(|id| self.publisher.keyring().has(&id)))
    }

    fn revoke(&mut self, draft: &mut Draft, tag: Option<&str>, roles: Option<&[String]>) -> Result<()> {
        let first_level = draft.delegations(role::TARGETS).iter().map(|declared| declared.name.clone());
        let candidates: Vec<String> = match roles {
            Some(roles) => roles.to_vec(),
            None => first_level.chain([role::TARGETS.to_owned()]).collect(),
        };
        let mut found = Vec::new();
        for role in candidates {
            let Some(file) = draft.file(&role) else { continue };
            let names: Vec<String> = match tag {
                Some(tag) => file.get(tag).map(|_| tag.to_owned()).into_iter().collect(),
                None => file.names().into_iter().collect(),
            };
            if !names.is_empty() {
                found.push((role, names));
            }
        }
        if found.is_empty() {
            let name = tag.unwrap_or("any tag").to_owned();
            let reason = "no signed tags to remove".into();
            return Err(Error::TagNotSigned { gun: draft.gun().to_owned(), name, reason });
        }
        let (ours, others): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|(role, _)| roles.is_some() || self.holds_any(draft, role));
        if ours.is_empty() {
            let names: Vec<&str> = others.iter().map(|(role, _)| role.as_str()).collect();
            return Err(Error::KeyNotFound {
                role: names.join(", "),
                key_ids: Vec::new(),
                reason: "no valid signing keys for the roles that sign it".into(),
            });
        }
        for (role, names) in ours {
            for name in names {
                draft.apply(&Change::RemoveTarget { role: role.clone(), name })?;
            }
        }
        for (role, names) in others {
            let names = names.join(", ");
            // A signer's own delegation publishes nothing; these two do.
            if [role::TARGETS, role::RELEASES].contains(&role.as_str()) {
                self.warnings
                    .insert(format!("{names} can still be pulled: {role} signs it, and its key is not here"));
            } else {
                self.warnings.insert(format!("{role} still lists {names}: its key is not here"));
            }
        }
        Ok(())
    }

    fn remove_signer(&mut self, draft: &mut Draft, name: &str, force: bool) -> Result<()> {
        let role = format!("{}/{name}", role::TARGETS);
        if role == role::RELEASES {
            return Err(invalid(
                format!("signer {name:?}"),
                "releases is a reserved keyword and cannot be removed",
            ));
        }
        let Ok(keys) = draft.keys_of(&role) else {
            return Err(invalid(
                format!("signer {name:?}"),
                format!("no signer {} for repository {}", excerpt(name, 255), draft.gun()),
            ));
        };
        draft.apply(&Change::RemoveDelegation { role })?;
        if draft.keys_of(role::RELEASES).is_err() {
            return Ok(());
        }
        draft.apply(&Change::UpdateDelegation {
            role: role::RELEASES.to_owned(),
            add_keys: Vec::new(),
            remove_keys: keys.keys.iter().map(|(id, _)| id.clone()).collect(),
            add_paths: Vec::new(),
            remove_paths: Vec::new(),
            clear_paths: false,
        })?;
        if !draft.orphaned().iter().any(|orphan| orphan == role::RELEASES) {
            return Ok(());
        }
        if self.holds_any(draft, role::RELEASES) {
            return draft.apply(&Change::Witness { role: role::RELEASES.to_owned() });
        }
        if force {
            return Ok(());
        }
        let reason = format!(
            "the signer {name:?} signed the last released version of {0}; removing this signer will make {0} unpullable \
             until another one signs, and needs to be forced",
            draft.gun()
        );
        Err(invalid(format!("signer {name:?}"), reason))
    }

    fn rotate(&self, draft: &mut Draft, role: &str, rotation: &Rotation) -> Result<()> {
        let old = canonical_ids(&draft.keys_of(role)?);
        let keys = self.publisher.rotated(role, rotation)?;
        draft.apply(&Change::SetRootRole { role: role.to_owned(), keys })?;
        // As in Notary the old key goes. Old root keys stay: they may have to
        // sign once more.
        if [role::TARGETS, role::SNAPSHOT].contains(&role) {
            self.publisher.retire(old);
        }
        Ok(())
    }

    /// New certificates for the root keys at hand.
    fn renew_certificates(&mut self, draft: &mut Draft) -> Result<()> {
        let mut keys = Vec::new();
        for (_, key) in draft.keys_of(role::ROOT)?.keys {
            let at_hand = key.canonical_id().filter(|id| self.publisher.keyring().has(id));
            keys.push(match at_hand {
                Some(id) => self.publisher.certified_again(&id)?,
                None => key.as_ref().clone(),
            });
        }
        if self.holds_any(draft, role::ROOT) {
            return draft.apply(&Change::SetRootRole { role: role::ROOT.to_owned(), keys });
        }
        self.warnings.insert("a root certificate expires, and no root key is here".into());
        Ok(())
    }

    /// Without root and targets nobody can use the repository, whatever else is signed.
    fn check_not_needed(&self, draft: &Draft, role: &str) -> Result<()> {
        if role::parent(role).is_some() {
            return Ok(());
        }
        let ids = canonical_ids(&draft.keys_of(role)?);
        Err(Error::KeyNotFound {
            role: role.to_owned(),
            key_ids: ids.iter().map(ToString::to_string).collect(),
            reason: "it has expired, and nobody can use the repository before one of its keys signs it"
                .into(),
        })
    }

    fn renew(&mut self, draft: &mut Draft, within: Duration) -> Result<()> {
        let now = self.publisher.now();
        if draft.certificates_expire().is_some_and(|expires| expires_within(expires, now, within)) {
            self.renew_certificates(draft)?;
        }
        for name in renewable_roles(draft) {
            let Some(expires) = draft.expires(&name).filter(|expires| expires_within(*expires, now, within))
            else {
                continue;
            };
            match name.as_str() {
                // It is made anew with any upload: by us, or by the server if that has its key.
                role::SNAPSHOT => self.bump = true,
                role if !self.holds_any(draft, role) => {
                    if expires_within(expires, now, Duration::ZERO) && !self.publisher.dry_run() {
                        self.check_not_needed(draft, role)?;
                    }
                    self.warnings.insert(format!("{role} expires, and its key is not here"));
                }
                // Renewing must not sign what anybody may have written.
                role if draft.lacks_signatures(role) => {
                    self.warnings.insert(format!(
                        "{role} expires, and too few of its keys signed it; witness it if what it lists is right"
                    ));
                }
                role => draft.apply(&Change::Witness { role: role.to_owned() })?,
            }
        }
        Ok(())
    }
}

/// Whether a change of a delegation gives it nothing.
fn only_takes(change: &Change) -> bool {
    match change {
        Change::RemoveDelegation { .. } => true,
        Change::UpdateDelegation { add_keys, add_paths, .. } => add_keys.is_empty() && add_paths.is_empty(),
        _ => false,
    }
}

fn add_signer(draft: &mut Draft, name: &str, keys: &[PublicKey]) -> Result<()> {
    super::keys::check_name("signer name", name)?;
    let role = format!("{}/{name}", role::TARGETS);
    if role == role::RELEASES {
        let reason = "releases is a reserved keyword, use a different signer name";
        return Err(invalid(format!("signer {name:?}"), reason));
    }
    if keys.is_empty() {
        return Err(invalid(
            format!("signer {name:?}"),
            "path to a public key must be provided using the `--key` flag",
        ));
    }
    for role in [role, role::RELEASES.to_owned()] {
        let (keys, paths) = (keys.to_vec(), vec![String::new()]);
        draft.apply(&Change::AddDelegation { role, keys, paths, threshold: 1 })?;
    }
    Ok(())
}

/// Canonical IDs of keys.
pub(super) fn canonical_ids(keys: &crate::metadata::RoleKeys) -> Vec<KeyId> {
    keys.keys.iter().filter_map(|(_, key)| key.canonical_id()).collect()
}
