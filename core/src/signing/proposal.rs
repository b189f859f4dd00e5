//! Changes that several people have to sign, each on their own machine.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::sign::{SignerSource, Unsigned, sign_partly};
use super::{Change, Draft, MAX_UNVOUCHED_VERSION};
use crate::crypto::{KeyId, sha256};
use crate::error::{Error, Result, excerpt};
use crate::metadata::json::{self, Malformed, Value};
use crate::metadata::{MAX_SIGNATURES, Object, Signature, parse_time, write_signature};

/// What a file must say to be a proposal.
const TYPE: &str = "tagtrust proposal 1";
/// Largest file that is read as a proposal.
const MAX_BYTES: usize = 64 << 20;

/// Changes of a repository, and signatures over the files that they lead to.
///
/// It holds no file: whoever signs or publishes makes them anew from what is
/// published and the changes, and must come to the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    gun: String,
    changes: Vec<Change>,
    /// Versions of the published files that the changes were made for.
    base: BTreeMap<String, i64>,
    files: BTreeMap<String, Part>,
}

/// What is signed for one role, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    version: i64,
    expires: SystemTime,
    /// Of the canonical content.
    sha256: Vec<u8>,
    signatures: Vec<Signature>,
}

impl Proposal {
    /// Signs what a draft leads to with the keys at hand.
    ///
    /// # Errors
    /// [`Error::KeyNotFound`] if there is not a single key for it.
    pub fn new(
        draft: &Draft,
        expiry: &dyn Fn(&str) -> SystemTime,
        signer_of: &SignerSource<'_>,
    ) -> Result<Self> {
        let mut proposal = Self {
            gun: draft.gun().to_owned(),
            changes: draft.changes().to_vec(),
            base: draft.base_versions().clone(),
            files: BTreeMap::new(),
        };
        for unsigned in draft.unsigned(expiry)? {
            let part = Part {
                version: unsigned.version,
                expires: unsigned.expires,
                sha256: sha256(&unsigned.signed).as_ref().to_vec(),
                signatures: Vec::new(),
            };
            proposal.files.insert(unsigned.role, part);
        }
        if proposal.files.is_empty() {
            let reason = "it is published as it would be after the change".into();
            return Err(Error::InvalidInput { what: "proposal".into(), reason });
        }
        proposal.sign(draft, signer_of)
    }

    /// Adds the signatures of the keys at hand, over the files that `draft`
    /// leads to. It must come from [`Proposal::apply_to`].
    ///
    /// # Errors
    /// [`Error::KeyNotFound`] if there is no key for it.
    pub fn sign(mut self, draft: &Draft, signer_of: &SignerSource<'_>) -> Result<Self> {
        let mut missing = Vec::new();
        let mut any = false;
        for unsigned in self.unsigned(draft)? {
            let Some(part) = self.files.get_mut(&unsigned.role) else { continue };
            let before = part.signatures.len();
            part.signatures = sign_partly(&unsigned, signer_of, &part.signatures)?;
            any |= part.signatures.len() > before;
            missing.extend(unsigned.canonical_ids());
        }
        if any {
            return Ok(self);
        }
        let key_ids: Vec<String> = missing.iter().map(ToString::to_string).collect();
        let reason =
            format!("none of these keys is here, or they have signed already: {}", key_ids.join(", "));
        let role = self.files.keys().cloned().collect::<Vec<_>>().join(", ");
        Err(Error::KeyNotFound { role, key_ids, reason })
    }

    /// Adds the signatures of other copies of the same proposal.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if one is another proposal.
    pub fn merge(mut self, others: impl IntoIterator<Item = Self>) -> Result<Self> {
        for other in others {
            let content = |proposal: &Self| {
                let files = proposal.files.iter().map(|(role, part)| (role.clone(), part.sha256.clone()));
                (proposal.gun.clone(), proposal.changes.clone(), files.collect::<Vec<_>>())
            };
            if content(&self) != content(&other) {
                let reason = "they are signatures over different changes, so they cannot be put together";
                return Err(Error::InvalidInput { what: "proposals".into(), reason: reason.into() });
            }
            for (role, part) in other.files {
                let Some(own) = self.files.get_mut(&role) else { continue };
                for signature in part.signatures {
                    // Not by key ID: one that is forged must not stand for the true one.
                    if !own.signatures.contains(&signature) {
                        own.signatures.push(signature);
                    }
                }
            }
        }
        Ok(self)
    }

    /// Makes the changes on what is published now.
    ///
    /// # Errors
    /// [`Error::Conflict`] if that is not what the proposal was made for.
    pub fn apply_to(&self, mut draft: Draft) -> Result<Draft> {
        let conflict = |reason| Error::Conflict { gun: self.gun.clone(), reason };
        if draft.gun() != self.gun {
            let what = format!("proposal for {}", self.gun);
            return Err(Error::InvalidInput { what, reason: format!("it is not for {}", draft.gun()) });
        }
        if *draft.base_versions() != self.base {
            let published = draft.base_versions();
            let moved = self.base.iter().find(|(role, version)| published.get(*role) != Some(*version));
            let (role, version) = moved.map_or(("its roles", 0), |(role, version)| (role, *version));
            let now = published.get(role).copied().unwrap_or_default();
            return Err(conflict(format!(
                "the proposal was made for version {version} of {role}, and published is {now}; make it anew"
            )));
        }
        for change in &self.changes {
            draft.apply(change)?;
        }
        for (role, part) in &self.files {
            // Of a role that existed before there may be old files on the server.
            if draft.published(role).is_none() && part.version <= MAX_UNVOUCHED_VERSION {
                draft.continue_after(role, part.version.saturating_sub(1));
            }
        }
        self.unsigned(&draft)?;
        Ok(draft)
    }

    /// When the proposed file of a role expires.
    pub fn expiry(&self, role: &str) -> Option<SystemTime> {
        self.files.get(role).map(|part| part.expires)
    }

    /// The signatures over the file of a role.
    pub fn signatures(&self, role: &str) -> &[Signature] {
        self.files.get(role).map_or(&[], |part| &part.signatures)
    }

    /// The repository's globally unique name.
    pub fn gun(&self) -> &str {
        &self.gun
    }

    /// What is proposed: look at it before you sign.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The roles that are to be signed, and who has signed so far.
    pub fn signers(&self) -> BTreeMap<&str, Vec<&KeyId>> {
        self.files
            .iter()
            .map(|(role, part)| (role.as_str(), part.signatures.iter().map(|s| &s.key_id).collect()))
            .collect()
    }

    /// The files to sign, which must be those of the proposal byte for byte.
    fn unsigned(&self, draft: &Draft) -> Result<Vec<Unsigned>> {
        let expiry = |name: &str| self.expiry(name).unwrap_or(SystemTime::UNIX_EPOCH);
        let unsigned = draft.unsigned(&expiry)?;
        let same = unsigned.len() == self.files.len()
            && unsigned.iter().all(|unsigned| {
                self.files.get(&unsigned.role).is_some_and(|part| {
                    part.version == unsigned.version && part.sha256 == sha256(&unsigned.signed).as_ref()
                })
            });
        if same {
            return Ok(unsigned);
        }
        let reason = "what is published is not what the proposal was made for; make it anew".into();
        Err(Error::Conflict { gun: self.gun.clone(), reason })
    }

    /// A small file to hand on. It holds no secret.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        let mut base = Object::new(object.member("base"));
        for (role, version) in &self.base {
            base.number(role, *version);
        }
        base.end();
        object.list("changes", &self.changes, |change, out| out.extend_from_slice(&change.to_json()));
        let mut files = Object::new(object.member("files"));
        for (role, part) in &self.files {
            let mut file = Object::new(files.member(role));
            file.moment("expires", part.expires);
            file.bytes("sha256", &part.sha256);
            file.list("signatures", &part.signatures, write_signature);
            file.number("version", part.version);
            file.end();
        }
        files.end();
        object.text("gun", &self.gun);
        object.text("type", TYPE);
        object.end();
        out
    }

    /// Reads what [`Proposal::to_json`] wrote.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it is no proposal.
    pub fn from_json(file: &[u8]) -> Result<Self> {
        let invalid = |reason: String| Error::InvalidInput { what: "proposal".into(), reason };
        if file.len() > MAX_BYTES {
            return Err(invalid(format!("it is larger than {MAX_BYTES} bytes")));
        }
        Self::read(file).map_err(|malformed| invalid(malformed.to_string()))
    }

    fn read(file: &[u8]) -> Result<Self, Malformed> {
        let canonical = json::canonical_form(file)?;
        let members = json::raw_members(&canonical)?;
        let raw = |name: &str| {
            let found = members.get(name).and_then(|span| canonical.get(span.clone()));
            found.ok_or_else(|| Malformed::new(format!("there is no {name:?}")))
        };
        let kind = Value::read(raw("type")?)?;
        if kind.text("type")? != TYPE {
            return Err(Malformed::new(format!(
                "its type is {:?}, not {TYPE:?}",
                excerpt(kind.text("type")?, 64)
            )));
        }
        let gun = Value::read(raw("gun")?)?.text("gun")?.to_owned();
        let mut base = BTreeMap::new();
        for (role, version) in Value::read(raw("base")?)?.map("base")? {
            base.insert(role.clone().into_owned(), version.int("version")?);
        }
        let mut changes = Vec::new();
        let mut scanner = json::Scanner::canonical(raw("changes")?);
        scanner.array(|scanner| {
            let span = scanner.value()?;
            changes.push(Change::from_json(scanner.slice(&span))?);
            Ok(())
        })?;
        let mut files = BTreeMap::new();
        for (role, part) in Value::read(raw("files")?)?.map("files")? {
            files.insert(role.clone().into_owned(), Part::read(part)?);
        }
        Ok(Self { gun, changes, base, files })
    }
}

impl Part {
    fn read(value: &Value<'_>) -> Result<Self, Malformed> {
        let members = value.members("file", &["expires", "sha256", "signatures", "version"])?;
        let expires = members.get("expires").text("expires")?;
        let signatures = members.get("signatures").list("signatures")?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(Malformed::new(format!("there are more than {MAX_SIGNATURES} signatures")));
        }
        Ok(Self {
            version: members.get("version").int("version")?,
            expires: parse_time(expires)
                .ok_or_else(|| Malformed::new(format!("expires {expires:?} is not an RFC 3339 moment")))?,
            sha256: members.get("sha256").bytes("sha256")?,
            signatures: signatures.iter().map(Signature::read).collect::<Result<_, Malformed>>()?,
        })
    }
}
