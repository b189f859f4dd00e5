//! One change of a repository, as Notary's changelist has it.

use std::fmt;

use crate::crypto::{KeyId, PublicKey};
use crate::error::{Error, Result, excerpt};
use crate::metadata::json::{self, Malformed, Value};
use crate::metadata::{Object, TargetMeta, hex, read_key, role, write_key};

/// Longest name of a target in bytes. Stops names that fill every listing.
const MAX_TARGET_NAME: usize = 4096;

/// One change. What can be staged is written and read as Notary does it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A role lists a target, in place of what it listed under that name.
    SetTarget {
        /// `targets` or a delegation.
        role: String,
        /// The tag, or any other name without control characters.
        name: String,
        /// What is signed for it.
        meta: TargetMeta,
    },
    /// A role no longer lists a target.
    RemoveTarget {
        /// `targets` or a delegation.
        role: String,
        /// The name.
        name: String,
    },
    /// A delegation is declared by its parent; one that exists gets more keys and paths.
    AddDelegation {
        /// Full name, `targets/releases`.
        role: String,
        /// Who may sign for it.
        keys: Vec<PublicKey>,
        /// Prefixes of the names that it may sign; the empty one admits all.
        paths: Vec<String>,
        /// How many must sign, if the role is new; 0: the role must exist.
        threshold: u32,
    },
    /// Keys and paths of a delegation change.
    UpdateDelegation {
        /// Full name; ending in `/*`, all delegations below, for removing keys only.
        role: String,
        /// Keys that may sign from now on.
        add_keys: Vec<PublicKey>,
        /// Canonical IDs of keys that may not sign any more.
        remove_keys: Vec<KeyId>,
        /// Paths to add.
        add_paths: Vec<String>,
        /// Paths to remove.
        remove_paths: Vec<String>,
        /// Removes all paths.
        clear_paths: bool,
    },
    /// A delegation and all below it end.
    RemoveDelegation {
        /// Full name.
        role: String,
    },
    /// A file is signed anew as it is.
    Witness {
        /// `root`, `targets` or a delegation.
        role: String,
    },
    /// A base role gets these keys in place of its old ones.
    SetRootRole {
        /// `root`, `targets`, `snapshot` or `timestamp`.
        role: String,
        /// Who may sign for it from now on.
        keys: Vec<PublicKey>,
    },
    /// How many keys of a role must sign. Not in Notary's changelist.
    SetThreshold {
        /// A base role or a delegation.
        role: String,
        /// At least 1.
        threshold: u32,
    },
}

impl Change {
    /// The role whose content, keys or threshold change.
    pub fn role(&self) -> &str {
        match self {
            Self::SetTarget { role, .. }
            | Self::RemoveTarget { role, .. }
            | Self::AddDelegation { role, .. }
            | Self::UpdateDelegation { role, .. }
            | Self::RemoveDelegation { role }
            | Self::Witness { role }
            | Self::SetRootRole { role, .. }
            | Self::SetThreshold { role, .. } => role,
        }
    }

    /// Notary's `action`, `type` and `path`.
    pub fn labels(&self) -> (&'static str, &'static str, &str) {
        match self {
            Self::SetTarget { name, .. } => ("create", "target", name),
            Self::RemoveTarget { name, .. } => ("delete", "target", name),
            Self::AddDelegation { .. } => ("create", "delegation", ""),
            Self::UpdateDelegation { .. } => ("update", "delegation", ""),
            Self::RemoveDelegation { .. } => ("delete", "delegation", ""),
            Self::Witness { .. } => ("update", "witness", ""),
            Self::SetRootRole { role, .. } => ("create", "role", role),
            Self::SetThreshold { .. } => ("update", "threshold", ""),
        }
    }

    /// The file of the changelist.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for what Notary's changelist cannot hold.
    pub fn to_file(&self) -> Result<Vec<u8>> {
        match self.is_never_staged() {
            None => Ok(self.to_json()),
            Some(kind) => {
                let reason = "it cannot be staged; publish it at once".into();
                Err(Error::InvalidInput { what: format!("change of type {kind:?}"), reason })
            }
        }
    }

    /// As [`Change::to_file`], for proposals, which can hold all changes.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let (action, kind, path) = self.labels();
        let scope = if let Self::SetRootRole { .. } = self { role::ROOT } else { self.role() };
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        object.text("action", action);
        object.text("role", scope);
        object.text("type", kind);
        object.text("path", path);
        match self.data() {
            Some(data) => object.bytes("data", &data),
            None => object.raw("data", b"null"),
        }
        object.end();
        out
    }

    fn data(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match self {
            Self::SetTarget { meta, .. } => meta.write(&mut out),
            Self::RemoveTarget { .. } | Self::RemoveDelegation { .. } | Self::Witness { .. } => return None,
            Self::AddDelegation { keys, paths, threshold, .. } => {
                let mut object = Object::new(&mut out);
                object.number("threshold", i64::from(*threshold));
                object.list("add_keys", keys, write_key);
                object.list("add_paths", paths, write_text);
                object.end();
            }
            Self::UpdateDelegation {
                add_keys, remove_keys, add_paths, remove_paths, clear_paths, ..
            } => {
                let mut object = Object::new(&mut out);
                object.number("threshold", 0);
                object.list("add_keys", add_keys, write_key);
                object.list("remove_keys", remove_keys, |id, out| write_text(id.as_str(), out));
                object.list("add_paths", add_paths, write_text);
                object.list("remove_paths", remove_paths, write_text);
                object.raw("clear_paths", if *clear_paths { b"true" } else { b"false" });
                object.end();
            }
            Self::SetRootRole { role, keys } => {
                let mut object = Object::new(&mut out);
                object.list("keys", keys, write_key);
                object.text("role", role);
                object.end();
            }
            Self::SetThreshold { threshold, .. } => {
                let mut object = Object::new(&mut out);
                object.number("threshold", i64::from(*threshold));
                object.end();
            }
        }
        Some(out)
    }

    /// Reads a file of the changelist.
    ///
    /// # Errors
    /// [`Malformed`] if it is none.
    pub fn from_file(file: &[u8]) -> Result<Self, Malformed> {
        let change = Self::from_json(file)?;
        match change.is_never_staged() {
            None => Ok(change),
            Some(kind) => Err(Malformed::new(format!("{kind:?} is no type of change that is staged"))),
        }
    }

    /// The type of a change that no file of a changelist holds. Stricter: Notary
    /// would give a base role the keys that somebody put there.
    fn is_never_staged(&self) -> Option<&'static str> {
        let (_, kind, _) = self.labels();
        let is_root = matches!(self, Self::Witness { role } if role == role::ROOT);
        (is_root || matches!(self, Self::SetRootRole { .. } | Self::SetThreshold { .. })).then_some(kind)
    }

    pub(super) fn from_json(file: &[u8]) -> Result<Self, Malformed> {
        let canonical = json::canonical_form(file)?;
        let value = Value::read(&canonical)?;
        let members = value.members("change", &["action", "role", "type", "path", "data"])?;
        let text = |name| members.get(name).text(name).map(str::to_owned);
        let (action, kind, scope, path) = (text("action")?, text("type")?, text("role")?, text("path")?);
        let data = members.get("data").bytes("data")?;
        Ok(match (kind.as_str(), action.as_str()) {
            ("target", "create") => {
                Self::SetTarget { role: scope, name: path, meta: TargetMeta::read(&data)? }
            }
            ("target", "delete") => Self::RemoveTarget { role: scope, name: path },
            ("delegation", "create") => {
                let data = DelegationData::read(&data)?;
                let threshold = data.threshold;
                Self::AddDelegation { role: scope, keys: data.add_keys, paths: data.add_paths, threshold }
            }
            ("delegation", "update") => {
                let data = DelegationData::read(&data)?;
                Self::UpdateDelegation {
                    role: scope,
                    add_keys: data.add_keys,
                    remove_keys: data.remove_keys,
                    add_paths: data.add_paths,
                    remove_paths: data.remove_paths,
                    clear_paths: data.clear_paths,
                }
            }
            ("delegation", "delete") => Self::RemoveDelegation { role: scope },
            ("witness", "update") => Self::Witness { role: scope },
            ("role", "create") => {
                let canonical = json::canonical_form(&data)?;
                let value = Value::read(&canonical)?;
                let members = value.members("role", &["keys", "role"])?;
                let role = members.get("role").text("role")?.to_owned();
                Self::SetRootRole { role, keys: read_keys(members.get("keys"))? }
            }
            ("threshold", "update") => {
                Self::SetThreshold { role: scope, threshold: DelegationData::read(&data)?.threshold }
            }
            _ => {
                let (kind, action) = (excerpt(&kind, 32), excerpt(&action, 32));
                return Err(Malformed::new(format!(
                    "no change has the type {kind:?} and the action {action:?}"
                )));
            }
        })
    }

    /// Refuses what no publisher's file may hold, wherever the change came from.
    pub(super) fn check(&self) -> Result<()> {
        let invalid = |what: String, reason: &str| Err(Error::InvalidInput { what, reason: reason.into() });
        match self {
            Self::SetTarget { name, meta, .. } => {
                check_name("tag", name)?;
                check_meta(name, meta)
            }
            Self::AddDelegation { role, paths, .. } => {
                check_role(role)?;
                paths.iter().try_for_each(|path| check_text("path", path))
            }
            Self::UpdateDelegation { role, add_paths, add_keys, clear_paths, remove_paths, .. } => {
                let Some(parent) = role.strip_suffix("/*") else {
                    check_role(role)?;
                    return add_paths.iter().try_for_each(|path| check_text("path", path));
                };
                if parent != role::TARGETS {
                    check_role(parent)?;
                }
                if !add_paths.is_empty() || !add_keys.is_empty() || !remove_paths.is_empty() || *clear_paths {
                    return invalid(
                        format!("role {role:?}"),
                        "with a * keys can be removed and nothing else",
                    );
                }
                Ok(())
            }
            Self::RemoveDelegation { role } => check_role(role),
            Self::SetThreshold { role, threshold: 0 } => {
                invalid(format!("threshold 0 of {role}"), "at least one key must sign")
            }
            Self::SetRootRole { role, keys } if keys.is_empty() => {
                invalid(format!("keys of {role}"), "there is none")
            }
            _ => Ok(()),
        }
    }
}

/// A delegation's name as Notary wants it.
fn check_role(name: &str) -> Result<()> {
    if role::is_delegation(name) {
        return Ok(());
    }
    let reason = "a delegation is named targets/… with a-z, 0-9, - and _ between slashes, at most 255 bytes";
    Err(Error::InvalidInput { what: format!("role {:?}", excerpt(name, 64)), reason: reason.into() })
}

/// Go cannot embed control characters in a file.
fn check_text(what: &str, text: &str) -> Result<()> {
    if let Some(found) = text.chars().find(|c| *c < ' ') {
        let reason = format!("it contains the control character {}", found.escape_default());
        return Err(Error::InvalidInput { what: format!("{what} {:?}", excerpt(text, 64)), reason });
    }
    Ok(())
}

fn check_name(what: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_TARGET_NAME {
        let reason = format!("it must have from 1 to {MAX_TARGET_NAME} bytes");
        return Err(Error::InvalidInput { what: format!("{what} {:?}", excerpt(name, 64)), reason });
    }
    check_text(what, name)
}

fn check_meta(name: &str, meta: &TargetMeta) -> Result<()> {
    let invalid = |reason: &str| Error::InvalidInput {
        what: format!("target {:?}", excerpt(name, 64)),
        reason: reason.into(),
    };
    if meta.sha256.is_none() && meta.sha512.is_none() {
        return Err(invalid("it has no sha256"));
    }
    if meta.length > json::MAX_INTEGER {
        return Err(invalid("its size is above 2^53"));
    }
    if meta.custom.iter().flatten().any(|byte| *byte < b' ') {
        return Err(invalid("its custom data contain a control character"));
    }
    Ok(())
}

#[derive(Default)]
struct DelegationData {
    threshold: u32,
    add_keys: Vec<PublicKey>,
    remove_keys: Vec<KeyId>,
    add_paths: Vec<String>,
    remove_paths: Vec<String>,
    clear_paths: bool,
}

impl DelegationData {
    fn read(data: &[u8]) -> Result<Self, Malformed> {
        if data.is_empty() {
            return Ok(Self::default());
        }
        let canonical = json::canonical_form(data)?;
        let value = Value::read(&canonical)?;
        let known = ["threshold", "add_keys", "remove_keys", "add_paths", "remove_paths", "clear_paths"];
        let members = value.members("delegation", &known)?;
        let texts = |name| -> Result<Vec<String>, Malformed> {
            members.get(name).list(name)?.iter().map(|text| Ok(text.text(name)?.to_owned())).collect()
        };
        let threshold = members.get("threshold").int("threshold")?;
        let threshold = u32::try_from(threshold)
            .map_err(|_| Malformed::new(format!("threshold {threshold} is no count of keys")))?;
        Ok(Self {
            threshold,
            add_keys: read_keys(members.get("add_keys"))?,
            remove_keys: texts("remove_keys")?.iter().map(|id| KeyId::from_listed(id)).collect(),
            add_paths: texts("add_paths")?,
            remove_paths: texts("remove_paths")?,
            clear_paths: json::raw_members(&canonical)?
                .get("clear_paths")
                .is_some_and(|span| canonical.get(span.clone()) == Some(b"true")),
        })
    }
}

fn read_keys(value: &Value<'_>) -> Result<Vec<PublicKey>, Malformed> {
    value.list("keys")?.iter().map(read_key).collect()
}

fn write_text(text: &(impl AsRef<str> + ?Sized), out: &mut Vec<u8>) {
    json::write_string(text.as_ref().as_bytes(), out);
}

/// In words.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = excerpt(self.role(), 256);
        let ids = |keys: &[PublicKey]| {
            let ids =
                keys.iter().map(|key| key.canonical_id().unwrap_or_else(|| key.id().clone()).to_string());
            ids.collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::SetTarget { name, meta, .. } => {
                let sha256 = meta.sha256.map(|hash| format!("sha256:{}", hex(&hash)));
                let sha512 = || meta.sha512.map(|hash| format!("sha512:{}", hex(&hash)));
                let (name, digest) = (excerpt(name, 256), sha256.or_else(sha512).unwrap_or_default());
                let custom = if meta.custom.is_some() { " and custom data" } else { "" };
                write!(f, "sign {name} as {digest}, {} bytes{custom}, in {role}", meta.length)
            }
            Self::RemoveTarget { name, .. } => write!(f, "remove {} from {role}", excerpt(name, 256)),
            Self::AddDelegation { keys, paths, threshold, .. } => {
                write!(f, "delegate {paths:?} to {role} with keys {}", ids(keys))?;
                if *threshold > 1 { write!(f, ", {threshold} of which must sign") } else { Ok(()) }
            }
            Self::UpdateDelegation {
                add_keys, remove_keys, add_paths, remove_paths, clear_paths, ..
            } => {
                let mut parts = Vec::new();
                if !add_keys.is_empty() {
                    parts.push(format!("add keys {}", ids(add_keys)));
                }
                if !remove_keys.is_empty() {
                    let ids: Vec<String> = remove_keys.iter().map(|id| excerpt(id.as_str(), 64)).collect();
                    parts.push(format!("remove keys {}", ids.join(", ")));
                }
                if *clear_paths {
                    parts.push("remove all paths".into());
                }
                if !remove_paths.is_empty() {
                    parts.push(format!("remove paths {remove_paths:?}"));
                }
                if !add_paths.is_empty() {
                    parts.push(format!("add paths {add_paths:?}"));
                }
                write!(f, "{} of {role}", parts.join(", "))
            }
            Self::RemoveDelegation { .. } => write!(f, "end delegation {role}"),
            Self::Witness { .. } => write!(f, "sign {role} anew"),
            Self::SetRootRole { keys, .. } => write!(f, "give {role} the keys {}", ids(keys)),
            Self::SetThreshold { threshold, .. } => {
                write!(f, "require {threshold} signatures for {role}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64, Encoding};

    use super::*;
    use crate::crypto::KeyType;

    fn key() -> PublicKey {
        PublicKey::new(KeyType::Ed25519, vec![7; 32])
    }

    fn all() -> Vec<Change> {
        let role = || "targets/a".to_owned();
        let mut meta = TargetMeta::new([1; 32], 5);
        meta.custom = Some(br#"{"a":[1,"<\"\\"]}"#.to_vec());
        vec![
            Change::SetTarget { role: role(), name: "a<b>&\"\\\u{2028}".into(), meta },
            Change::RemoveTarget { role: role(), name: "v1".into() },
            Change::AddDelegation {
                role: role(),
                keys: vec![key()],
                paths: vec![String::new()],
                threshold: 1,
            },
            Change::UpdateDelegation {
                role: "targets/*".into(),
                add_keys: vec![],
                remove_keys: vec![key().id().clone()],
                add_paths: vec![],
                remove_paths: vec![],
                clear_paths: false,
            },
            Change::UpdateDelegation {
                role: role(),
                add_keys: vec![key()],
                remove_keys: vec![],
                add_paths: vec!["x".into()],
                remove_paths: vec!["y".into()],
                clear_paths: true,
            },
            Change::RemoveDelegation { role: role() },
            Change::Witness { role: role() },
        ]
    }

    #[test]
    fn what_is_written_is_read_again() {
        for change in all() {
            change.check().unwrap();
            assert_eq!(Change::from_file(&change.to_file().unwrap()).unwrap(), change);
        }
    }

    #[test]
    fn base_roles_are_not_changed_by_what_somebody_staged() {
        for change in [
            Change::SetThreshold { role: "targets".into(), threshold: 2 },
            Change::SetRootRole { role: "targets".into(), keys: vec![key()] },
        ] {
            assert!(change.to_file().is_err());
            assert!(Change::from_file(&change.to_json()).is_err());
            assert_eq!(Change::from_json(&change.to_json()).unwrap(), change);
        }
    }

    #[test]
    fn words_show_all_that_is_signed_and_cannot_change_a_terminal() {
        let mut meta = TargetMeta::new([1; 32], 5);
        (meta.sha256, meta.sha512, meta.custom) = (None, Some([2; 64]), Some(b"{}".to_vec()));
        let change = Change::SetTarget { role: "\u{1b}[2J".into(), name: "v1\n".into(), meta };
        let expected =
            format!("sign v1\\n as sha512:{}, 5 bytes and custom data, in \\u{{1b}}[2J", "02".repeat(64));
        assert_eq!(change.to_string(), expected);
    }

    #[test]
    fn notarys_own_files_are_read() {
        // `notary addhash` and `notary delegation add` of version 0.7.
        let data = Base64::encode_string(br#"{"length":6,"hashes":{"sha256":"WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM="},"custom":{"b":1,"a":"\u003c"}}"#);
        let file =
            format!(r#"{{"action":"create","role":"targets","type":"target","path":"v1","data":"{data}"}}"#);
        let Change::SetTarget { meta, .. } = Change::from_file(file.as_bytes()).unwrap() else { panic!() };
        assert_eq!(meta.custom.as_deref(), Some(&br#"{"a":"<","b":1}"#[..]));
        let data = Base64::encode_string(br#"{"threshold":1,"add_keys":null,"add_paths":[""]}"#);
        let file = format!(
            r#"{{"action":"create","role":"targets/x","type":"delegation","path":"","data":"{data}"}}"#
        );
        let expected = Change::AddDelegation {
            role: "targets/x".into(),
            keys: vec![],
            paths: vec![String::new()],
            threshold: 1,
        };
        assert_eq!(Change::from_file(file.as_bytes()), Ok(expected));
    }

    #[test]
    fn what_the_protocol_cannot_carry_is_refused() {
        let meta = || TargetMeta::new([1; 32], 5);
        let set = |name: &str, meta| Change::SetTarget { role: "targets".into(), name: name.into(), meta };
        let mut large = meta();
        large.length = (1 << 53) + 1;
        let mut without = meta();
        without.sha256 = None;
        for change in [
            set("", meta()),
            set("a\nb", meta()),
            set(&"a".repeat(MAX_TARGET_NAME + 1), meta()),
            set("a", large),
            set("a", without),
            Change::RemoveDelegation { role: "targets/../root".into() },
            Change::RemoveDelegation { role: "targets".into() },
            Change::AddDelegation { role: "targets/A".into(), keys: vec![], paths: vec![], threshold: 1 },
            Change::AddDelegation {
                role: "targets/a".into(),
                keys: vec![],
                paths: vec!["\t".into()],
                threshold: 1,
            },
            Change::SetThreshold { role: "root".into(), threshold: 0 },
            Change::SetRootRole { role: "root".into(), keys: vec![] },
        ] {
            assert!(matches!(change.check(), Err(Error::InvalidInput { .. })), "{change}");
        }
    }

    #[test]
    fn damaged_files_are_told() {
        for file in ["", "{", "[]", "{}", r#"{"action":"create","type":"target","data":"e30"}"#] {
            assert!(Change::from_file(file.as_bytes()).is_err(), "{file}");
        }
    }
}
