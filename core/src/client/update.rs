//! The update pass: root, timestamp, snapshot, targets and delegations, from
//! the cache where it has the right bytes, else from the server; with a second
//! try after a root refresh.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;

use super::cache::{Cache, Stored};
use super::pass::Pass;
use crate::error::{Error, Fault, Result, RootFault};
use crate::metadata::{FileMeta, role};
use crate::remote::{Failure, Remote};
use crate::store::{Committed, Store, View};
use crate::trust::{
    Expiry, Floors, MAX_ROOT_BYTES, MAX_ROOT_ROTATIONS, MAX_TIMESTAMP_BYTES, Pinning, TrustedRoot, TrustedSet,
};

/// One update of one repository.
pub(super) struct Update<'a> {
    pub(super) gun: &'a str,
    pub(super) store: &'a Store,
    pub(super) remote: &'a Remote,
    pub(super) pins: &'a Pinning,
    pub(super) now: SystemTime,
    pub(super) deadline: Instant,
    pub(super) require_fresh: bool,
    /// What is expired is ignored only by those who sign it anew; it is not cached.
    pub(super) expiry: Expiry,
}

/// What an update leads to.
pub(super) struct Updated {
    pub(super) set: Arc<TrustedSet>,
    /// False if the server could not be asked.
    pub(super) fresh: bool,
}

impl Update<'_> {
    /// `remembered` is what this process has verified before.
    pub(super) fn run(&self, remembered: Option<&Arc<TrustedSet>>) -> Result<Updated> {
        loop {
            let cache = Cache::read(self, remembered)?;
            match self.update(&cache) {
                // Files that are read later may be of the newer set, and then
                // they fit neither the older ones nor as their floors.
                Err(error) if cache.is_outdated() && Instant::now() < self.deadline => {
                    log::debug!("{error}; but somebody has stored newer files meanwhile: once more");
                }
                result => return result,
            }
        }
    }

    fn update(&self, cache: &Cache<'_>) -> Result<Updated> {
        let mut asked = None;
        if let Some(set) = cache.remembered.clone().filter(|set| self.now <= set.valid_until()) {
            match self.timestamp() {
                // The bytes are those that were verified: nothing to do again.
                Ok(file) if set.file(role::TIMESTAMP) == Some(&file) => {
                    return Ok(Updated { set, fresh: true });
                }
                Err(failure) if self.may_serve_cache(&failure) => {
                    log::warn!(
                        "{}; using the timestamp of an earlier request",
                        self.error(role::TIMESTAMP, 0, failure)
                    );
                    return Ok(Updated { set, fresh: false });
                }
                answer => asked = Some(answer),
            }
        }
        let (known, root) = self.starting_root(cache)?;
        let cached = |name: &str| cache.file(name);
        let floors = known.as_deref().map(|known| Floors::new(known, &cached));
        let mut pass = Pass::new(self, cache, floors.as_ref());

        let (timestamp, unreachable) = match asked.unwrap_or_else(|| self.timestamp()) {
            Ok(file) => (file, None),
            Err(failure) => match cache.file(role::TIMESTAMP) {
                Some(file) if self.may_serve_cache(&failure) => {
                    let error = self.error(role::TIMESTAMP, MAX_TIMESTAMP_BYTES, failure);
                    log::warn!("{error}; using the cached timestamp");
                    (file, Some(error))
                }
                _ => return Err(self.error(role::TIMESTAMP, MAX_TIMESTAMP_BYTES, failure)),
            },
        };
        let mut set = TrustedSet::new(Arc::clone(&root));
        let Err(first) = pass.run(&mut set, timestamp.clone()) else {
            return self.finish(set, &pass.downloaded, cache, unreachable.is_none());
        };
        if let Some(Error::Unreachable { url, reason }) = unreachable {
            // Without the server there is no newer root, and no other answer.
            let reason = format!("{reason}; and the cache cannot serve: {first}");
            return Err(Error::Unreachable { url, reason });
        }
        if !first.is_refusal() {
            return Err(first);
        }
        // Keys may have changed since: once more with the newest root.
        log::debug!("{first}; refreshing the root");
        let newest = match self.newest_root(Some(&root), set.expected_root()) {
            Ok(newest) => newest,
            // That no other root could be had is not what is wrong, unless the
            // snapshot asks for one.
            Err(second) if second.is_refusal() || set.expected_root().is_some() => return Err(second),
            Err(_) => return Err(first),
        };
        // From here on the old keys are worth nothing, whatever becomes of the
        // rest. Stricter: Notary would store a first root too, though nothing
        // under it verified.
        if known.is_some() {
            self.store_root(&newest, cache);
        }
        let mut set = TrustedSet::new(Arc::new(newest));
        pass.run(&mut set, timestamp)?;
        self.finish(set, &pass.downloaded, cache, true)
    }

    /// Stores what was downloaded. A cache that cannot be written is no reason
    /// to refuse what verified, as in Notary. Stricter: of a repository that is
    /// seen first it is. Nothing would remember its root, and whoever answers
    /// next could be the first again.
    fn finish(
        &self,
        set: TrustedSet,
        downloaded: &BTreeSet<String>,
        cache: &Cache<'_>,
        fresh: bool,
    ) -> Result<Updated> {
        let is_stored = |name: &str| match name {
            role::ROOT => cache.stored.root.as_deref() == Some(set.root().file()),
            _ => !cache.is_ahead() && !downloaded.contains(name),
        };
        let names = [role::ROOT, role::TIMESTAMP, role::SNAPSHOT].into_iter().chain(set.roles());
        let files: Vec<(&str, &[u8])> = names
            .filter(|name| !is_stored(name))
            .filter_map(|name| Some((name, set.file(name)?.as_ref())))
            .collect();
        if !files.is_empty() {
            let stored = self.commit(&files, cache, set.root(), &|stored| stored.has_newer_timestamp(&set));
            if cache.file(role::ROOT).is_none() {
                self.check_first(stored, &set, cache)?;
            } else {
                not_cached(stored);
            }
        }
        Ok(Updated { set: Arc::new(set), fresh })
    }

    /// What is seen first must be remembered. Of two that see a repository first at
    /// one moment, who stores its root first is right.
    fn check_first(&self, committed: Result<Committed>, set: &TrustedSet, cache: &Cache<'_>) -> Result<()> {
        match committed {
            Ok(Committed::Stored) => Ok(()),
            Ok(Committed::Kept) if self.expiry == Expiry::Ignored => Ok(()),
            Ok(Committed::Kept) if Stored::read(&self.store.view(self.gun)?)?.leads_to(set.root()) => Ok(()),
            Ok(Committed::Kept) => Err(Error::StoreError {
                path: cache.root_path.display().to_string(),
                reason: "somebody else has stored another root meanwhile; try again".into(),
            }),
            Err(Error::StoreError { path, reason }) => Err(Error::StoreError {
                path,
                reason: format!(
                    "{reason}; the root that is trusted first must be remembered: \
                     name a trust directory that can be written"
                ),
            }),
            Err(error) => Err(error),
        }
    }

    fn store_root(&self, root: &TrustedRoot, cache: &Cache<'_>) {
        not_cached(self.commit(&[(role::ROOT, root.file())], cache, root, &|_| false));
    }

    /// Stores files unless another process has stored newer ones by now.
    fn commit(
        &self,
        files: &[(&str, &[u8])],
        cache: &Cache<'_>,
        root: &TrustedRoot,
        is_newer: &dyn Fn(&Stored) -> bool,
    ) -> Result<Committed> {
        if self.expiry == Expiry::Ignored {
            return Ok(Committed::Kept);
        }
        let keep = |view: &View| {
            Stored::read(view).map_or(true, |stored| {
                // From the root that was there before, the way to this one is proved.
                let leads_here = stored.root == cache.stored.root || stored.leads_to(root);
                !leads_here || is_newer(&stored)
            })
        };
        self.store.commit(self.gun, files, &keep)
    }

    /// The root to start from, and the root that this machine has seen before.
    fn starting_root(&self, cache: &Cache<'_>) -> Result<(Option<Arc<TrustedRoot>>, Arc<TrustedRoot>)> {
        let Some(file) = cache.file(role::ROOT) else {
            return Ok((None, Arc::new(self.newest_root(None, None)?)));
        };
        let accept = |pins, expiry| TrustedRoot::accept(self.gun, file.clone(), None, pins, expiry, self.now);
        let refusal = match accept(Some(self.pins), self.expiry) {
            Ok(root) => {
                let root = Arc::new(root);
                return Ok((Some(Arc::clone(&root)), root));
            }
            Err(error) => error,
        };
        let known = accept(None, Expiry::Ignored).map_err(|error| Error::StoreError {
            path: cache.root_path.display().to_string(),
            reason: format!("the cached root is damaged ({error}); remove it only if the next root may be trusted on first use"),
        })?;
        // Notary would try the newest root against the cached one only. The
        // chain of versions proves as much as if it had been followed in time.
        log::debug!("the cached root cannot be used: {refusal}");
        let newest = self.newest_root(Some(&known), None)?;
        self.store_root(&newest, cache);
        Ok((Some(Arc::new(known)), Arc::new(newest)))
    }

    /// The newest root of the server; `known` must lead to it, version by version if need be.
    pub(super) fn newest_root(
        &self,
        known: Option<&TrustedRoot>,
        expected: Option<&FileMeta>,
    ) -> Result<TrustedRoot> {
        let listed = expected.and_then(|expected| Some((expected.sha256_hex()?, expected.length)));
        let file = match listed {
            Some((hash, length)) => {
                self.listed(role::ROOT, &format!("root.{hash}.json"), length.min(MAX_ROOT_BYTES))?
            }
            None => self
                .get("root.json", MAX_ROOT_BYTES)
                .map_err(|failure| self.error(role::ROOT, MAX_ROOT_BYTES, failure))?,
        };
        if let Some(expected) = expected {
            expected.check(&file).map_err(|fault| self.tampered(role::ROOT, fault))?;
        }
        let accept = |known| {
            TrustedRoot::accept(self.gun, file.clone(), known, Some(self.pins), self.expiry, self.now)
        };
        let Some(known) = known else { return accept(None) };
        match accept(Some(known)) {
            Err(Error::RootNotTrusted { fault: RootFault::BrokenRotation { from, to, .. }, .. })
                if to > from.saturating_add(1) =>
            {
                let last = self.walk(known.clone(), to)?;
                accept(Some(&last))
            }
            result => result,
        }
    }

    /// Follows the root versions from a known one up to, not including, `end`.
    fn walk(&self, known: TrustedRoot, end: i64) -> Result<TrustedRoot> {
        let broken = |reason: String| Error::RootNotTrusted {
            gun: self.gun.into(),
            fault: RootFault::BrokenChain(reason),
        };
        let first = known.version().saturating_add(1);
        if end.saturating_sub(first) > MAX_ROOT_ROTATIONS {
            return Err(broken(format!("more than {MAX_ROOT_ROTATIONS} versions from {first} to {end}")));
        }
        let mut current = known;
        for version in first..end {
            let file =
                self.get(&format!("{version}.root.json"), MAX_ROOT_BYTES).map_err(
                    |failure| match failure {
                        Failure::NotFound => broken(format!("the server does not have version {version}")),
                        failure => self.error(role::ROOT, MAX_ROOT_BYTES, failure),
                    },
                )?;
            current = current.next(file, self.now)?;
        }
        Ok(current)
    }

    /// The moment at which files must not have expired.
    pub(super) fn moment(&self) -> SystemTime {
        match self.expiry {
            Expiry::Enforced => self.now,
            Expiry::Ignored => SystemTime::UNIX_EPOCH,
        }
    }

    fn timestamp(&self) -> Result<Bytes, Failure> {
        self.get("timestamp.json", MAX_TIMESTAMP_BYTES)
    }

    /// A file that signed metadata lists, so the server must have it.
    pub(super) fn listed(&self, name: &str, file: &str, limit: u64) -> Result<Bytes> {
        self.get(file, limit).map_err(|failure| match failure {
            Failure::NotFound => self.tampered(name, Fault::Missing),
            failure => self.error(name, limit, failure),
        })
    }

    fn get(&self, file: &str, limit: u64) -> Result<Bytes, Failure> {
        Ok(self.remote.get(self.gun, file, limit, self.deadline)?.into())
    }

    /// Stricter: Notary would serve its cache after 401, 403 and 404 too.
    fn may_serve_cache(&self, failure: &Failure) -> bool {
        let out_of_reach = match failure {
            Failure::Unreachable { status: Some(status), .. } => *status == 429 || *status >= 500,
            Failure::Unreachable { answered, .. } => !answered,
            _ => false,
        };
        out_of_reach && !self.require_fresh
    }

    fn error(&self, name: &str, limit: u64, failure: Failure) -> Error {
        let url = self.remote.url().to_owned();
        match failure {
            Failure::NotFound => Error::NoTrustData { gun: self.gun.into(), server: url },
            Failure::TooLarge => self.tampered(name, Fault::TooLarge { limit }),
            Failure::Unauthorized(reason) => Error::Unauthorized { url, reason },
            Failure::Refused { reason, .. } | Failure::Unreachable { reason, .. } => {
                Error::Unreachable { url, reason }
            }
        }
    }

    pub(super) fn tampered(&self, name: &str, fault: Fault) -> Error {
        Error::Tampered { gun: self.gun.into(), role: name.into(), fault }
    }
}

fn not_cached(committed: Result<Committed>) {
    if let Err(error) = committed {
        log::warn!("{error}; what was verified is not cached");
    }
}
