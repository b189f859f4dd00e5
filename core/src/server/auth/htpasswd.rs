//! A file of users and bcrypt hashes, one `name:hash` a line.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, SystemTime};

use base64ct::{Base64, Encoding};
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{Access, Refusal, Wanted, credentials, quoted};
use crate::error::Error;

/// How long a password that was right is known to be.
const REMEMBERED: Duration = Duration::from_secs(5 * 60);

/// How long a password waits to be checked before the server counts as busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// Costlier hashes take longer than anyone waits, and a processor meanwhile.
const MAX_COST: u32 = 16;

/// Costs an unknown user of an empty file what a known one costs in others.
const NOBODY: &str = "$2y$10$......................UnJTZ1dTiB1yX0rOd7cwLOSqVw6WGUi";

/// Every user of the file may do everything.
pub(crate) struct Passwords {
    challenge: String,
    path: PathBuf,
    anonymous_pull: bool,
    file: Mutex<File>,
    /// Of those whose password was right: when, and what it was, under `key`.
    remembered: Mutex<HashMap<String, (SystemTime, hmac::Tag)>>,
    /// Random, and of this process only.
    key: hmac::Key,
    /// Half of the processors at most work on passwords, so that nobody's
    /// guesses keep the server from all else.
    workers: Arc<Semaphore>,
    patience: Duration,
}

/// What was read of the file, and which file it was.
struct File {
    users: Arc<Users>,
    identity: Option<Identity>,
}

/// Changes when a file is written or replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Passwords {
    pub(super) fn new(realm: &str, path: &Path, anonymous_pull: bool) -> crate::Result<Self> {
        let identity = Identity::of(path);
        let users = Arc::new(Users::read(path)?);
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| Error::Internal { reason: "the system has no random numbers".into() })?;
        Ok(Self {
            challenge: format!("Basic realm={}", quoted(realm)),
            path: path.into(),
            anonymous_pull,
            file: Mutex::new(File { users, identity }),
            remembered: Mutex::default(),
            key,
            workers: Arc::new(Semaphore::new(available_parallelism().map_or(1, |all| all.get().div_ceil(2)))),
            patience: PATIENCE,
        })
    }

    pub(super) fn reload(&self) -> crate::Result<()> {
        self.read_again(&mut lock(&self.file), Identity::of(&self.path))
    }

    pub(super) async fn check(
        &self,
        header: Option<&str>,
        wanted: &Wanted<'_>,
        now: SystemTime,
    ) -> Result<Option<String>, Refusal> {
        if header.is_none() && self.anonymous_pull && wanted.access == Access::Pull {
            return Ok(None);
        }
        let refusal = || wanted.refusal(self.challenge.clone());
        let (user, password) = login(header).ok_or_else(refusal)?;
        if self.is_right(&user, password, now).await? { Ok(Some(user)) } else { Err(refusal()) }
    }

    async fn is_right(
        &self,
        user: &str,
        password: Zeroizing<Vec<u8>>,
        now: SystemTime,
    ) -> Result<bool, Refusal> {
        let users = self.users();
        let known = users.by_name.get(user);
        let claim = |hash: &str| Zeroizing::new([user.as_bytes(), b":", hash.as_bytes(), &password].concat());
        if known.is_some_and(|hash| self.remembers(user, &claim(hash), now)) {
            return Ok(true);
        }
        let worker = tokio::time::timeout(self.patience, self.workers.clone().acquire_owned()).await;
        let Ok(Ok(worker)) = worker else {
            return Err(Refusal::Busy);
        };
        // Requests that came together waited for the first of them.
        if known.is_some_and(|hash| self.remembers(user, &claim(hash), now)) {
            return Ok(true);
        }
        let claim = known.map(|hash| claim(hash));
        let hash = known.unwrap_or(&users.costliest).clone();
        let checked = tokio::task::spawn_blocking(move || {
            // Here to the end, even if the client is gone before.
            let _worker = worker;
            bcrypt::verify(password.as_slice(), &hash).unwrap_or(false)
        });
        // An unknown user's password takes as long, and is wrong whatever it is.
        let right = checked.await.unwrap_or(false);
        let Some(claim) = claim.filter(|_| right) else {
            return Ok(false);
        };
        lock(&self.remembered).insert(user.into(), (now, hmac::sign(&self.key, &claim)));
        Ok(true)
    }

    /// Whether this name had this password, by this hash, a short while ago.
    fn remembers(&self, user: &str, claim: &[u8], now: SystemTime) -> bool {
        lock(&self.remembered).get(user).is_some_and(|(then, tag)| {
            now.duration_since(*then).is_ok_and(|age| age < REMEMBERED)
                && hmac::verify(&self.key, claim, tag.as_ref()).is_ok()
        })
    }

    /// The users of the file as it is now; those of before while it cannot be read.
    fn users(&self) -> Arc<Users> {
        let mut file = lock(&self.file);
        let identity = Identity::of(&self.path);
        if identity != file.identity
            && let Err(error) = self.read_again(&mut file, identity)
        {
            log::error!("the users stay as they were: {error}");
        }
        file.users.clone()
    }

    /// `identity` was taken before, so that a change meanwhile shows the next time.
    fn read_again(&self, file: &mut File, identity: Option<Identity>) -> crate::Result<()> {
        file.identity = identity;
        file.users = Arc::new(Users::read(&self.path)?);
        lock(&self.remembered).clear();
        Ok(())
    }
}

impl Identity {
    fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        Some(Self {
            inode: file.ino(),
            size: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }
}

/// Users and their hashes.
struct Users {
    by_name: HashMap<String, String>,
    /// The hash that unknown users are checked against.
    costliest: String,
}

impl Users {
    fn read(path: &Path) -> crate::Result<Self> {
        let unusable = |reason| Error::InvalidConfiguration {
            what: format!("password file {}", path.display()),
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|e| unusable(e.to_string()))?;
        Self::parse(&text).map_err(unusable)
    }

    /// Empty lines and those that begin with `#` are passed over. The reason
    /// says which line is wrong, and nothing of what is in it.
    fn parse(text: &str) -> Result<Self, String> {
        let mut by_name = HashMap::new();
        let mut costliest = (0, NOBODY);
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |what: &str| format!("line {number}: {what}");
            let (name, hash) = line.split_once(':').ok_or_else(|| wrong("not NAME:HASH"))?;
            let cost =
                bcrypt_cost(hash).ok_or_else(|| wrong("not a bcrypt hash; `htpasswd -B` makes them"))?;
            if name.is_empty() {
                return Err(wrong("no name"));
            }
            if cost > MAX_COST {
                return Err(wrong(&format!("cost {cost} is more than {MAX_COST}")));
            }
            if by_name.insert(name.to_owned(), hash.to_owned()).is_some() {
                return Err(wrong("a user twice"));
            }
            costliest = costliest.max((cost, hash));
        }
        Ok(Self { by_name, costliest: costliest.1.to_owned() })
    }
}

fn bcrypt_cost(hash: &str) -> Option<u32> {
    ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| hash.starts_with(prefix)).then_some(())?;
    Some(hash.parse::<bcrypt::HashParts>().ok()?.get_cost())
}

/// User and password of a header.
fn login(header: Option<&str>) -> Option<(String, Zeroizing<Vec<u8>>)> {
    let login = Zeroizing::new(Base64::decode_vec(credentials(header, "basic")?).ok()?);
    let colon = login.iter().position(|byte| *byte == b':')?;
    let (user, password) = (login.get(..colon)?, login.get(colon + 1..)?);
    Some((String::from_utf8(user.to_vec()).ok()?, Zeroizing::new(password.to_vec())))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::auth::{AuthConfig, Authenticator};

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn hash(password: &str) -> String {
        bcrypt::hash(password, 4).unwrap()
    }

    fn basic(user: &str, password: &str) -> String {
        format!("basic {}", Base64::encode_string(format!("{user}:{password}").as_bytes()))
    }

    struct Site {
        _folder: tempfile::TempDir,
        path: PathBuf,
        auth: Authenticator,
    }

    impl Site {
        fn new(text: &str, anonymous_pull: bool) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("users");
            std::fs::write(&path, text).unwrap();
            let config = AuthConfig::Htpasswd { realm: "a \"b\"".into(), path: path.clone(), anonymous_pull };
            Self { _folder: folder, path, auth: Authenticator::new(&config).unwrap() }
        }

        async fn check(&self, header: Option<&str>, access: Access) -> Result<Option<String>, Refusal> {
            self.auth.check(header, Some("team/app"), access, NOW).await
        }

        async fn login(&self, user: &str, password: &str) -> Result<Option<String>, Refusal> {
            self.check(Some(&basic(user, password)), Access::Admin).await
        }

        fn passwords(&self) -> &Passwords {
            match &self.auth {
                Authenticator::Htpasswd(passwords) => passwords,
                _ => panic!("another kind"),
            }
        }
    }

    #[tokio::test]
    async fn a_user_with_the_right_password_may_do_everything() {
        let site = Site::new(&format!("# staff\n\nann:{}\r\nbob:{}\n", hash("a:b"), hash("")), false);
        for access in [Access::Ping, Access::Catalog, Access::Pull, Access::Push, Access::Admin] {
            for _ in 0..2 {
                let answer = site.check(Some(&basic("ann", "a:b")), access).await;
                assert_eq!(answer, Ok(Some("ann".into())));
            }
        }
        assert_eq!(site.login("bob", "").await, Ok(Some("bob".into())));
    }

    #[tokio::test]
    async fn any_other_header_gets_the_challenge() {
        let site = Site::new(&format!("ann:{}", hash("secret")), false);
        // A password that was right makes no other right.
        site.login("ann", "secret").await.unwrap();
        let encoded = Base64::encode_string(b"ann:secret");
        let headers = [
            basic("ann", "Secret"),
            basic("ann", ""),
            basic("ann", "secret\0"),
            basic("Ann", "secret"),
            basic("", "secret"),
            basic("nobody", "secret"),
            basic("ann\0", "secret"),
            format!("Bearer {encoded}"),
            format!("Basic  {encoded}"),
            format!("Basic {encoded} x"),
            format!("Basic{encoded}"),
            "Basic".into(),
            "Basic !".into(),
            format!("Basic {}", Base64::encode_string(b"ann")),
            format!("Basic {}", Base64::encode_string(b"\xff:secret")),
            String::new(),
        ];
        for header in headers.iter().map(|h| Some(h.as_str())).chain([None]) {
            let Err(Refusal::Unauthorized { challenge, detail }) = site.check(header, Access::Pull).await
            else {
                panic!("{header:?} was accepted");
            };
            assert_eq!(challenge, r#"Basic realm="a \"b\"""#);
            assert_eq!(detail[0]["Action"], "pull");
        }
    }

    #[tokio::test]
    async fn anonymous_pull_is_for_pulls_without_a_header_alone() {
        let site = Site::new(&format!("ann:{}", hash("secret")), true);
        assert_eq!(site.check(None, Access::Pull).await, Ok(None));
        for access in [Access::Ping, Access::Catalog, Access::Push, Access::Admin] {
            assert!(site.check(None, access).await.is_err(), "{access:?}");
        }
        assert!(site.check(Some(&basic("ann", "wrong")), Access::Pull).await.is_err());
    }

    #[tokio::test]
    async fn a_changed_file_counts_from_then_on() {
        let site = Site::new(&format!("ann:{}\nbob:{}", hash("one"), hash("two")), false);
        site.login("ann", "one").await.unwrap();
        site.login("bob", "two").await.unwrap();
        std::fs::write(&site.path, format!("ann:{}", hash("three"))).unwrap();
        assert!(site.login("ann", "one").await.is_err());
        assert!(site.login("bob", "two").await.is_err());
        site.login("ann", "three").await.unwrap();

        // One that is wrong changes nothing, and says so when it is asked to be read.
        std::fs::write(&site.path, "ann:plain").unwrap();
        site.login("ann", "three").await.unwrap();
        assert!(site.auth.reload().unwrap_err().to_string().contains("line 1"));
        std::fs::remove_file(&site.path).unwrap();
        site.login("ann", "three").await.unwrap();
        std::fs::write(&site.path, "").unwrap();
        assert!(site.login("ann", "three").await.is_err());
    }

    #[tokio::test]
    async fn a_right_password_is_remembered_for_a_while() {
        let site = Site::new(&format!("ann:{}", hash("secret")), false);
        let passwords = site.passwords();
        let at = |seconds| NOW + Duration::from_secs(seconds);
        let is_known = |password: &str, seconds| {
            let hash = passwords.users().by_name["ann"].clone();
            passwords.remembers("ann", format!("ann:{hash}{password}").as_bytes(), at(seconds))
        };
        assert!(!is_known("secret", 0));
        site.login("ann", "wrong").await.unwrap_err();
        assert!(!is_known("wrong", 0));
        site.login("ann", "secret").await.unwrap();
        assert!(is_known("secret", 0) && is_known("secret", 299));
        assert!(!is_known("secret", 300) && !is_known("wrong", 0));
        // Unknown names take no memory.
        site.login("nobody", "secret").await.unwrap_err();
        assert_eq!(lock(&passwords.remembered).len(), 1);
    }

    #[tokio::test]
    async fn guesses_queue_and_those_who_are_known_do_not() {
        let mut site = Site::new(&format!("ann:{}", hash("secret")), false);
        if let Authenticator::Htpasswd(passwords) = &mut site.auth {
            passwords.patience = Duration::from_millis(20);
        }
        site.login("ann", "secret").await.unwrap();
        let passwords = site.passwords();
        let all = u32::try_from(passwords.workers.available_permits()).unwrap();
        let _busy = passwords.workers.acquire_many(all).await.unwrap();
        assert_eq!(site.login("ann", "guess").await, Err(Refusal::Busy));
        assert_eq!(site.login("nobody", "guess").await, Err(Refusal::Busy));
        site.login("ann", "secret").await.unwrap();
    }

    #[test]
    fn lines_that_are_not_of_bcrypt_are_named_by_number_alone() {
        let good = hash("x");
        let users = |text: &str| Users::parse(text).map(|users| users.by_name.len());
        assert_eq!(users(""), Ok(0));
        assert_eq!(users(&format!("a:{}\nb:{good}", good.replace("$2b$", "$2a$"))), Ok(2));
        assert_eq!(users(&format!("a:{}", good.replace("$2b$", "$2y$"))), Ok(1));
        for wrong in [
            "c:plain-secret",
            "c:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
            "c:$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00",
            "c:$5$rounds=5000$usesomesillystri$KqJWpanXZHKq2BOB43TSaYhEWsQ1Lr5QNyPCDH/Tp.6",
            "c",
            "",
            &format!("c:{}", good.replace("$2b$", "$2x$")),
            &format!("c:{}", good.replace("$04$", "$17$")),
            &format!("c:{good}:more"),
            &format!("c:{good} "),
            &format!("c: {good}"),
            &format!(":{good}"),
            &format!("a:{good}"),
        ] {
            let line = if wrong.is_empty() { ":" } else { wrong };
            let reason = users(&format!("a:{good}\n# more\n{line}\n")).unwrap_err();
            assert!(reason.starts_with("line 3: ") && !reason.contains("secret"), "{wrong}: {reason}");
        }
    }

    #[test]
    fn nobody_costs_what_the_costliest_user_does() {
        assert_eq!(bcrypt_cost(NOBODY), Some(10));
        let costly = bcrypt::hash("x", 5).unwrap();
        let users = Users::parse(&format!("a:{}\nb:{costly}\nc:{}", hash("x"), hash("x"))).unwrap();
        assert_eq!(users.costliest, costly);
    }
}
