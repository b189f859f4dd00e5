//! A repository that has expired so far that its server gives no timestamp any
//! more: its files by their plain names, for whoever can sign them anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::publish::{Base, Publisher};
use super::update::Update;
use crate::error::{Error, Result};
use crate::metadata::{Snapshot, Targets, role};
use crate::remote::Failure;
use crate::signing::Draft;
use crate::trust::{Expiry, Floors, MAX_DELEGATIONS, MAX_FILE_BYTES, MAX_ROOT_BYTES, TrustedRoot};

impl Publisher<'_> {
    /// What the server has, signed by the right keys and not older than what
    /// was seen before. That it is the newest nobody vouches for: the owner,
    /// who signs it anew, has to look at it. `first` is why there is no other way.
    pub(super) fn salvage(&self, first: Error) -> Result<Base> {
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
        let view = self.client.store.view(self.gun())?;
        let cached = |name: &str| view.read(name, MAX_FILE_BYTES).ok().flatten();
        let known = view.read(role::ROOT, MAX_ROOT_BYTES)?;
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
                continue;
            };
            check(&name, file.common.version)?;
            pending.extend(file.delegations.iter().map(|declared| declared.name.clone()));
            targets.insert(name, file);
            if targets.len() + pending.len() > MAX_DELEGATIONS {
                return Err(first);
            }
        }
        let snapshot = files.signed(role::SNAPSHOT, "Snapshot").and_then(|file| Snapshot::read(&file).ok());
        let snapshot = snapshot.or_else(|| {
            let cached = floors.as_ref()?.signed(role::SNAPSHOT, "Snapshot")?;
            Snapshot::read(&cached).ok()
        });
        let draft = Draft::of_files(&root, targets.into_iter(), snapshot)?;
        Ok(Base { stamp: Some((root.version(), 0)), draft })
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
