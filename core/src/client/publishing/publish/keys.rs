//! The keys that an operation gives to roles.

use std::sync::Arc;
use std::time::Duration;

use super::Publisher;
use crate::client::publishing::edit::{Rotation, invalid};
use crate::crypto::{KeyId, PrivateKey, PublicKey, Signer};
use crate::error::{Error, Result};
use crate::metadata::json::{self, Value};
use crate::metadata::{read_key, role};

/// How long a root certificate is valid, as in Notary.
const CERTIFICATE: Duration = Duration::from_secs(3650 * 86_400);

impl Publisher<'_> {
    /// The keys that a role gets in this operation.
    pub(in crate::client) fn rotated(&self, name: &str, rotation: &Rotation) -> Result<Vec<PublicKey>> {
        if let Some(keys) = self.rotations.borrow().get(name) {
            return Ok(keys.clone());
        }
        let keys = self.make_rotated(name, rotation)?;
        self.rotations.borrow_mut().insert(name.to_owned(), keys.clone());
        Ok(keys)
    }

    fn make_rotated(&self, name: &str, rotation: &Rotation) -> Result<Vec<PublicKey>> {
        let refused = |reason: &str| Err(invalid(format!("rotation of {name}"), reason));
        match (name, rotation) {
            (role::TIMESTAMP, Rotation::Generate | Rotation::Keys(_)) => {
                return refused("the server manages the timestamp key; rotate it there (server-managed)");
            }
            (role::ROOT | role::TARGETS, Rotation::ServerManaged) => {
                return refused("the server cannot manage this key");
            }
            (role::ROOT | role::TARGETS | role::SNAPSHOT | role::TIMESTAMP, _) => {}
            _ => {
                return refused(
                    "only root, targets, snapshot and timestamp are rotated; change a delegation's keys instead",
                );
            }
        }
        let gun = (name != role::ROOT).then_some(self.gun());
        let signers: Vec<Arc<dyn Signer>> = match rotation {
            Rotation::ServerManaged if self.dry_run() => vec![Arc::new(PrivateKey::generate_p256()?)],
            Rotation::ServerManaged => return Ok(vec![self.server_key(name, true)?]),
            Rotation::Generate if self.dry_run() => vec![Arc::new(PrivateKey::generate_p256()?)],
            Rotation::Generate => vec![self.keyring.create(name, gun)?],
            Rotation::Keys(ids) => ids.iter().map(|id| self.keyring.signer(id)).collect::<Result<_>>()?,
        };
        signers.iter().map(|signer| self.public_key_for(name, signer.as_ref())).collect()
    }

    /// The key as metadata lists it: for the root in a certificate.
    pub(in crate::client) fn public_key_for(&self, name: &str, signer: &dyn Signer) -> Result<PublicKey> {
        if name != role::ROOT {
            return Ok(signer.public_key().clone());
        }
        let valid = CERTIFICATE.max(self.client.publishing.lifetimes.of(role::ROOT));
        crate::crypto::issue_root_certificate(self.gun(), signer, self.now, valid)
    }

    /// A root key with a new certificate, the same for every attempt.
    pub(in crate::client) fn certified_again(&self, id: &KeyId) -> Result<PublicKey> {
        let name = format!("{}:{id}", role::ROOT);
        if let Some([key]) = self.rotations.borrow().get(&name).map(Vec::as_slice) {
            return Ok(key.clone());
        }
        let key = match self.dry_run() {
            true => self.public_key_for(role::ROOT, &PrivateKey::generate_p256()?)?,
            false => self.public_key_for(role::ROOT, self.keyring().signer(id)?.as_ref())?,
        };
        self.rotations.borrow_mut().insert(name, vec![key.clone()]);
        Ok(key)
    }

    /// The public key with which the server signs a role.
    pub(in crate::client) fn server_key(&self, name: &str, rotate: bool) -> Result<PublicKey> {
        let answer = self.remote.server_key(self.gun(), name, rotate, self.deadline());
        let answer = answer.map_err(|failure| self.failed(failure))?;
        let read = || read_key(&Value::read(&json::canonical_form(&answer)?)?);
        read().map_err(|malformed| Error::Unreachable {
            url: self.remote.url().to_owned(),
            reason: format!("the server's {name} key cannot be read: {malformed}"),
        })
    }

    /// Has the keys that a rotation replaces removed once it is published,
    /// unless something still needs them.
    pub(in crate::client) fn retire(&self, ids: Vec<KeyId>) {
        self.retired.borrow_mut().extend(ids);
    }
}
