//! The root: which keys may sign for the base roles.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::json::{Malformed, Value};
use super::{Common, Envelope, role};
use crate::crypto::{KeyId, KeyType, PublicKey};

/// Most keys that one role may have. Each root key costs a look at its
/// certificates before any signature is checked.
pub const MAX_ROLE_KEYS: usize = 256;

/// Keys by the ID under which a file lists them. Whether the ID is the key's
/// own is checked where a signature by it counts.
pub(crate) type Keys = BTreeMap<KeyId, Arc<PublicKey>>;

/// Who may sign for a role, and how many of them must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleKeys {
    /// The listed IDs with their keys, each ID once.
    pub keys: Vec<(KeyId, Arc<PublicKey>)>,
    /// At least 1.
    pub threshold: u32,
}

/// The content of a root file.
#[derive(Debug, Clone)]
pub struct Root {
    /// Version and expiry.
    pub common: Common,
    base: [RoleKeys; 4],
}

const BASE_ROLES: [&str; 4] = [role::ROOT, role::TARGETS, role::SNAPSHOT, role::TIMESTAMP];

impl Root {
    /// Reads the content of a root file.
    ///
    /// # Errors
    /// [`Malformed`] if a base role is absent, has a threshold below 1 or names
    /// a key that is not there. Other roles are ignored, as in Notary.
    pub fn read(envelope: &Envelope) -> Result<Self, Malformed> {
        envelope.check_members(&["_type", "version", "expires", "keys", "roles", "consistent_snapshot"])?;
        let common = envelope.common()?;
        // Read for its type only: names with a hash are asked for wherever one is known.
        if !matches!(envelope.member("consistent_snapshot")?, Value::Bool | Value::Null) {
            return Err(Malformed::new("consistent_snapshot is not a boolean"));
        }
        let keys = read_keys(&envelope.member("keys")?)?;
        let roles = envelope.member("roles")?;
        let mut read = BTreeMap::new();
        for (name, value) in roles.map("roles")? {
            let members = value.members("role", &["keyids", "threshold"])?;
            // Other roles are not validated, only read.
            let key_ids = read_key_ids(members.get("keyids"))?;
            read.insert(name.as_ref(), (key_ids, members.get("threshold").int("threshold")?));
        }
        let base_role = |name: &str| {
            let (key_ids, threshold) =
                read.get(name).ok_or_else(|| Malformed::new(format!("there is no role {name:?}")))?;
            RoleKeys::new(name, key_ids, *threshold, &keys)
        };
        let [root, targets, snapshot, timestamp] = BASE_ROLES;
        let base = [base_role(root)?, base_role(targets)?, base_role(snapshot)?, base_role(timestamp)?];
        Ok(Self { common, base })
    }

    /// The keys of a base role; `None` for any other name.
    pub fn role(&self, name: &str) -> Option<&RoleKeys> {
        let index = BASE_ROLES.iter().position(|base| *base == name)?;
        self.base.get(index)
    }

    /// Moment after which this root counts for nothing.
    pub fn expires(&self) -> SystemTime {
        self.common.expires
    }
}

impl RoleKeys {
    pub(super) fn new(name: &str, key_ids: &[KeyId], threshold: i64, keys: &Keys) -> Result<Self, Malformed> {
        let threshold = u32::try_from(threshold)
            .ok()
            .filter(|threshold| *threshold > 0)
            .ok_or_else(|| Malformed::new(format!("role {name:?} has threshold {threshold}")))?;
        if key_ids.len() > MAX_ROLE_KEYS {
            return Err(Malformed::new(format!("role {name:?} has more than {MAX_ROLE_KEYS} keys")));
        }
        let mut listed: Vec<(KeyId, Arc<PublicKey>)> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for id in key_ids {
            let key = keys.get(id).ok_or_else(|| {
                Malformed::new(format!("role {name:?} names key {id}, which is not listed"))
            })?;
            if seen.insert(id) {
                listed.push((id.clone(), Arc::clone(key)));
            }
        }
        Ok(Self { keys: listed, threshold })
    }

    /// The listed IDs, for evidence.
    pub fn key_ids(&self) -> Vec<String> {
        self.keys.iter().map(|(id, _)| id.to_string()).collect()
    }
}

/// A map from key ID to key.
pub(super) fn read_keys(value: &Value<'_>) -> Result<Keys, Malformed> {
    let mut keys = Keys::new();
    for (id, value) in value.map("keys")? {
        keys.insert(KeyId::from_listed(id), Arc::new(read_key(value)?));
    }
    Ok(keys)
}

/// A key as files, servers and changes have it.
pub(crate) fn read_key(value: &Value<'_>) -> Result<PublicKey, Malformed> {
    let members = value.members("key", &["keytype", "keyval"])?;
    let keyval = members.get("keyval").members("keyval", &["public", "private"])?;
    keyval.get("private").bytes("private")?;
    let key_type = KeyType::from(members.get("keytype").text("keytype")?);
    Ok(PublicKey::new(key_type, keyval.get("public").bytes("public")?))
}

pub(super) fn read_key_ids(value: &Value<'_>) -> Result<Vec<KeyId>, Malformed> {
    value.list("keyids")?.iter().map(|id| Ok(KeyId::from_listed(id.text("keyid")?))).collect()
}
