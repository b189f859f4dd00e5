//! Accepting a root: by its own signatures, its certificates and the pins, and
//! as the successor of the root that was trusted before.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::pinning::Pinning;
use super::signatures;
use crate::crypto::{CertificateBundle, KeyId, PublicKey};
use crate::error::{Error, Fault, Result, RootFault, excerpt};
use crate::metadata::{Envelope, Root, format_time, role};

/// Most characters of what is said about the certificates of one root.
const MAX_EVIDENCE: usize = 1000;

/// Whether a root must still be valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// It must be, and so must its certificates.
    Enforced,
    /// It need not: it only leads to a newer one.
    Ignored,
}

/// A root that was accepted for one repository.
#[derive(Debug, Clone)]
pub struct TrustedRoot {
    gun: String,
    envelope: Envelope,
    root: Root,
    /// Root keys with a usable certificate.
    leaves: Vec<(KeyId, Arc<PublicKey>)>,
    /// When the first of the usable certificates expires.
    certificates_expire: SystemTime,
    /// When the first of the pinned CAs above them does, if there are any.
    authorities_expire: Option<SystemTime>,
}

impl TrustedRoot {
    /// Accepts a root file for a repository.
    ///
    /// `previous` is the root that was trusted before, whose keys must have
    /// signed this one too. `pins` is `None` for a root that only leads to a
    /// newer one.
    ///
    /// # Errors
    /// [`Error::Tampered`], [`Error::RootNotTrusted`], [`Error::RolledBack`] or
    /// [`Error::Expired`], whichever applies first in this order.
    pub fn accept(
        gun: &str,
        file: impl Into<Bytes>,
        previous: Option<&Self>,
        pins: Option<&Pinning>,
        expiry: Expiry,
        now: SystemTime,
    ) -> Result<Self> {
        let tampered = |fault| Error::Tampered { gun: gun.into(), role: role::ROOT.into(), fault };
        let not_trusted = |fault| Error::RootNotTrusted { gun: gun.into(), fault };
        let malformed = |m: crate::metadata::json::Malformed| tampered(Fault::Malformed(m.to_string()));

        let envelope = Envelope::read(file).map_err(malformed)?;
        super::check::kind(&envelope, "Root").map_err(tampered)?;
        let root = Root::read(&envelope).map_err(malformed)?;

        // Only keys with a usable certificate of this repository can sign.
        let check_at = (expiry == Expiry::Enforced).then_some(now);
        let (mut bundles, refused) = usable_certificates(gun, &root, check_at);
        if bundles.is_empty() {
            return Err(not_trusted(RootFault::NoValidCertificate(excerpt(
                &refused.join("; "),
                MAX_EVIDENCE,
            ))));
        }
        if let Some(previous) = previous {
            previous.check_successor(&envelope, &root).map_err(not_trusted)?;
        }
        let mut authorities_expire: Option<SystemTime> = None;
        if let Some(pins) = pins {
            let mut refused = Vec::new();
            bundles.retain(|(id, _, bundle)| match pins.admit(gun, id.as_str(), bundle, now) {
                Ok(until) => {
                    authorities_expire = authorities_expire.into_iter().chain(until).min();
                    true
                }
                Err(reason) => {
                    refused.push(reason);
                    false
                }
            });
            if bundles.is_empty() {
                return Err(not_trusted(RootFault::PinMismatch(excerpt(&refused.join("; "), MAX_EVIDENCE))));
            }
        }
        let certificates_expire = bundles.iter().map(|(_, _, bundle)| bundle.expires()).min().unwrap_or(now);
        let leaves: Vec<_> = bundles.into_iter().map(|(id, key, _)| (id, key)).collect();
        check_integrity(&envelope, &root, &leaves).map_err(|fault| match fault {
            IntegrityFault::Root(fault) => not_trusted(fault),
            IntegrityFault::File(fault) => tampered(fault),
        })?;

        if let Some(previous) = previous
            && root.common.version < previous.version()
        {
            let (known, found) = (previous.version(), root.common.version);
            return Err(Error::RolledBack { gun: gun.into(), role: role::ROOT.into(), known, found });
        }
        let accepted =
            Self { gun: gun.into(), envelope, root, leaves, certificates_expire, authorities_expire };
        if expiry == Expiry::Enforced {
            accepted.check_expiry(now)?;
        }
        Ok(accepted)
    }

    /// Accepts the file of the version after this one. It may have expired: it
    /// only leads to a newer one.
    pub(crate) fn next(&self, file: impl Into<Bytes>, now: SystemTime) -> Result<Self> {
        let next = Self::accept(&self.gun, file, Some(self), None, Expiry::Ignored, now)?;
        next.check_next_to(self)?;
        Ok(next)
    }

    /// Stricter: Notary takes any version from the wanted one on.
    pub(super) fn check_next_to(&self, previous: &Self) -> Result<()> {
        let (wanted, found) = (previous.version().saturating_add(1), self.version());
        if found == wanted {
            return Ok(());
        }
        let fault = RootFault::BrokenChain(format!("version {found} stands in place of version {wanted}"));
        Err(Error::RootNotTrusted { gun: self.gun.clone(), fault })
    }

    /// The repository's globally unique name.
    pub fn gun(&self) -> &str {
        &self.gun
    }

    /// The file around it.
    pub(crate) fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The bytes of the file.
    pub fn file(&self) -> &Bytes {
        self.envelope.file()
    }

    /// The version of the file.
    pub fn version(&self) -> i64 {
        self.root.common.version
    }

    /// The content of the file.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The moment from which this root has to be accepted anew, or not at all:
    /// its own expiry, or that of one of its certificates or of a pinned CA above them.
    pub fn valid_until(&self) -> SystemTime {
        let until = self.root.expires().min(self.certificates_expire);
        self.authorities_expire.map_or(until, |authorities| authorities.min(until))
    }

    /// When the first of its root keys' certificates expires.
    pub fn certificates_expire(&self) -> SystemTime {
        self.certificates_expire
    }

    pub(super) fn check_expiry(&self, now: SystemTime) -> Result<()> {
        if self.root.expires() < now {
            return Err(Error::Expired {
                gun: self.gun.clone(),
                role: role::ROOT.into(),
                expired: format_time(self.root.expires()),
            });
        }
        Ok(())
    }

    /// The new root must carry this root's threshold of signatures by this root's keys.
    fn check_successor(&self, envelope: &Envelope, new: &Root) -> Result<(), RootFault> {
        let threshold = self.threshold();
        signatures::verify(envelope, &self.leaves, threshold).map_err(|_| RootFault::BrokenRotation {
            from: self.version(),
            to: new.common.version,
            needed: threshold,
            key_ids: self.leaves.iter().map(|(id, _)| id.to_string()).collect(),
        })
    }

    fn threshold(&self) -> u32 {
        self.root.role(role::ROOT).map_or(u32::MAX, |keys| keys.threshold)
    }
}

enum IntegrityFault {
    Root(RootFault),
    File(Fault),
}

/// The root's own threshold must be met by its usable keys.
fn check_integrity(
    envelope: &Envelope,
    root: &Root,
    leaves: &[(KeyId, Arc<PublicKey>)],
) -> Result<(), IntegrityFault> {
    let threshold = root.role(role::ROOT).map_or(u32::MAX, |keys| keys.threshold);
    signatures::verify(envelope, leaves, threshold).map_err(|fault| match fault {
        Fault::Threshold { needed, valid, key_ids } => {
            IntegrityFault::Root(RootFault::BrokenIntegrity { needed, valid, key_ids })
        }
        fault => IntegrityFault::File(fault),
    })
}

type UsableCertificate = (KeyId, Arc<PublicKey>, CertificateBundle);

/// The root keys with a usable certificate, and for each other one why not.
fn usable_certificates(
    gun: &str,
    root: &Root,
    now: Option<SystemTime>,
) -> (Vec<UsableCertificate>, Vec<String>) {
    let mut usable = Vec::new();
    let mut refused = Vec::new();
    for (id, key) in root.role(role::ROOT).map_or(&[][..], |keys| &keys.keys) {
        match usable_certificate(gun, id, key, now) {
            Ok(bundle) => usable.push((id.clone(), Arc::clone(key), bundle)),
            Err(reason) => refused.push(format!("key {id}: {reason}")),
        }
    }
    (usable, refused)
}

fn usable_certificate(
    gun: &str,
    id: &KeyId,
    key: &PublicKey,
    now: Option<SystemTime>,
) -> Result<CertificateBundle, String> {
    if key.id() != id {
        return Err(format!("its content has the ID {}", key.id()));
    }
    let bundle = CertificateBundle::of_root_key(key).map_err(|fault| fault.to_string())?;
    if !bundle.matches_gun(gun) {
        return Err(format!("its common name {:?} does not match", bundle.common_name()));
    }
    bundle.check(now).map_err(|fault| fault.to_string())?;
    Ok(bundle)
}
