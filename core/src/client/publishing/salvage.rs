//! A repository that has expired so far that its server gives no timestamp any
//! more: its files by their plain names, for whoever can sign them anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::publish::{Base, Publisher};
use crate::client::update::Update;
use crate::error::{Error, Fault, Result};
use crate::metadata::{Envelope, Snapshot, Targets, role};
use crate::remote::Failure;
use crate::signing::Draft;
use crate::trust::{Expiry, Floors, MAX_DELEGATIONS, MAX_FILE_BYTES, MAX_ROOT_BYTES, TrustedRoot};

impl Publisher<'_> {
    /// What the server has, signed by the right keys and not older than what
    /// was seen before. That it is the newest nobody vouches for: the owner,
    /// who signs it anew, has to look at it. `first` is why there is no other way.
    pub(super) fn salvage(&self, first: Error) -> Result<Base> {
        // A server that answers, but with what is older or forged, is no reason
        // to be content with less.
        if !matches!(first, Error::Unreachable { .. }) {
            return Err(first);
        }
        log::warn!("{first}; taking the files of {} without a timestamp", self.gun());
        let update = Update {
            gun: self.gun(),
            store: &self.client.store,
            remote: &self.remote,
            pins: &self.client.pinning,
            now: self.now(),
            deadline: self.deadline(),
            require_fresh: true,
            expiry: Expiry::Ignored,
        };
        // A view of its own for each file: others wait for whoever holds one, and
        // requests come in between.
        let read = |name: &str, limit| self.client.store.view(self.gun())?.read(name, limit);
        let cached = |name: &str| read(name, MAX_FILE_BYTES).ok().flatten();
        let known = read(role::ROOT, MAX_ROOT_BYTES)?;
        let known = known
            .map(|file| TrustedRoot::accept(self.gun(), file, None, None, Expiry::Ignored, self.now()))
            .transpose()?;
        let root = update.newest_root(known.as_ref(), None)?;
        let floors = known.as_ref().map(|known| Floors::new(known, &cached));
        let check = |name: &str, version: i64| match floors.as_ref().and_then(|floors| floors.of(name)) {
            Some(known) if version < known => {
                let gun = self.gun().to_owned();
                Err(Error::RolledBack { gun, role: name.to_owned(), known, found: version })
            }
            _ => Ok(()),
        };

        let fetched = |name: &str| self.fetch_current(name);
        let files = Floors::new(&root, &fetched);
        let mut targets: BTreeMap<String, Arc<Targets>> = BTreeMap::new();
        let mut pending = vec![role::TARGETS.to_owned()];
        while let Some(name) = pending.pop() {
            let Some(file) = files.targets(&name) else {
                // A delegation may have no file; without targets there is nothing to sign.
                if name == role::TARGETS {
                    return Err(first);
                }
                // As in an update: what was seen before must not be gone.
                if fetched(&name).is_none() {
                    check(&name, 0)?;
                }
                continue;
            };
            check(&name, file.common.version)?;
            pending.extend(file.delegations.iter().map(|declared| declared.name.clone()));
            let names: BTreeSet<&str> = file.delegations.iter().map(|child| child.name.as_str()).collect();
            if names.len() < file.delegations.len() {
                return Err(update.tampered(&name, Fault::Malformed("it declares a role twice".into())));
            }
            targets.insert(name, file);
            if targets.len() + pending.len() > MAX_DELEGATIONS {
                return Err(first);
            }
        }
        let mut snapshot = self.newest_snapshot(&root, floors.as_ref())?;
        if let Some(snapshot) = &mut snapshot {
            check(role::SNAPSHOT, snapshot.common.version)?;
            // It may be older than the files, which then are listed as they are now.
            snapshot.files.retain(|name, _| name != role::ROOT && !targets.contains_key(name));
        }
        let draft = Draft::of_files(&root, targets.into_iter(), snapshot)?;
        Ok(Base { stamp: Some((root.version(), 0)), draft })
    }

    /// The newest snapshot. A server whose snapshot has expired gives it by its
    /// version only.
    fn newest_snapshot(&self, root: &TrustedRoot, floors: Option<&Floors<'_>>) -> Result<Option<Snapshot>> {
        let read = |file: Envelope| Snapshot::read(&file).ok();
        let cached = floors.and_then(|floors| floors.signed(role::SNAPSHOT, "Snapshot")).and_then(read);
        let known = cached.as_ref().map_or(0, |snapshot| snapshot.common.version);
        let Some((_, file)) = self.newest_after(role::SNAPSHOT, known)? else { return Ok(cached) };
        let newest = |_: &str| Some(file.clone());
        Ok(Floors::new(root, &newest).signed(role::SNAPSHOT, "Snapshot").and_then(read).or(cached))
    }

    fn fetch_current(&self, name: &str) -> Option<Bytes> {
        let file = format!("{name}.json");
        match self.remote.get(self.gun(), &file, MAX_FILE_BYTES, self.deadline()) {
            Ok(file) => Some(file.into()),
            Err(Failure::NotFound) => None,
            Err(failure) => {
                log::warn!("{file}: {failure:?}");
                None
            }
        }
    }
}
