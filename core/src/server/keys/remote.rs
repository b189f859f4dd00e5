//! Keys with Notary's signer, over gRPC with TLS.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use hyper::http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use zeroize::Zeroizing;

use super::cache::Cache;
use super::{Keys, KeysError};
use crate::crypto::{KeyId, KeyType, PublicKey, Signer, sign_checked};
use crate::error::excerpt;
use crate::metadata::{RoleKeys, Signature};
use crate::remote::tls;
use crate::server::config::RemoteSignerConfig;
use crate::server::storage::{ImportBatch, KeyRecord, Storage, StorageError};
use crate::{Error, Result};

/// How long one answer may take, with connecting.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long TCP may take to connect, and then TLS.
const CONNECT: Duration = Duration::from_secs(3);
/// After so long without an answer to a request the connection must show that
/// it is alive. Idle ones are left alone: Go's servers hang up on clients that
/// ask often.
const SILENCE: Duration = Duration::from_secs(3);

const HEALTH: [&str; 2] = ["grpc.health.v1.Health.KeyManagement", "grpc.health.v1.Health.Signer"];

/// A connection to Notary's signer, made anew when it is lost.
pub(crate) struct RemoteSigner {
    channel: Channel,
    key_type: KeyType,
    /// Here stands which repository a key was made for, which the signer does not tell.
    storage: Arc<dyn Storage>,
    /// What role the signer made a key for.
    roles: Cache<String>,
}

impl RemoteSigner {
    /// Reads the files and connects with the first request.
    ///
    /// # Errors
    /// [`Error::InvalidConfiguration`] names the file or setting that cannot be used.
    pub(crate) fn open(config: &RemoteSignerConfig, storage: &Arc<dyn Storage>) -> Result<Self> {
        let invalid = |what: &str, reason: String| Error::InvalidConfiguration { what: what.into(), reason };
        let key_type = match KeyType::from(config.key_algorithm.as_str()) {
            key_type @ (KeyType::Ecdsa | KeyType::Ed25519) => key_type,
            _ => {
                let reason = format!("{:?} is not ecdsa or ed25519", config.key_algorithm);
                return Err(invalid("key algorithm of the signer", reason));
            }
        };
        let mut tls = ClientTlsConfig::new().domain_name(&config.hostname).timeout(CONNECT);
        tls = match &config.ca {
            Some(ca) => {
                // tonic leaves out what it cannot read.
                tls::authorities(ca)?;
                tls.ca_certificate(Certificate::from_pem(read(ca)?))
            }
            None => tls.with_native_roots(),
        };
        if let Some((certificate, key)) = &config.client {
            tls::client_certificate(certificate, key)?;
            tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        let host = match config.hostname.contains(':') {
            true => format!("[{}]", config.hostname),
            false => config.hostname.clone(),
        };
        let url = format!("https://{host}:{}", config.port);
        let endpoint = Endpoint::from_shared(url.clone()).and_then(|endpoint| endpoint.tls_config(tls));
        let channel = endpoint
            .map_err(|error| invalid(&format!("signer {url}"), causes(&error)))?
            .connect_timeout(CONNECT)
            .timeout(DEADLINE)
            .http2_keep_alive_interval(SILENCE)
            .keep_alive_timeout(SILENCE)
            .connect_lazy();
        Ok(Self { channel, key_type, storage: storage.clone(), roles: Cache::default() })
    }

    /// What role the signer made this key for, if it has it.
    async fn role_of(&self, key: &PublicKey) -> Result<Option<String>, KeysError> {
        let id = key.id().as_str();
        if let Some(role) = self.roles.get(id) {
            return Ok(Some(role));
        }
        let info = self.call("/proto.KeyManagement/GetKeyInfo", proto::KeyId { id: id.into() });
        let Some(info) = found(info.await)? else { return Ok(None) };
        let proto::GetKeyInfoResponse { key_info, public_key, role } = info;
        if read_key(key_info, public_key)? != *key {
            return Err(KeysError::Unavailable(format!("the signer has another key with the ID {id}")));
        }
        self.roles.put(id, role.clone());
        Ok(Some(role))
    }

    /// Notes what the signer made a key for.
    async fn note(&self, gun: &str, role: &str, key: &PublicKey) -> Result<(), KeysError> {
        let id = key.id().as_str();
        if self.storage.key(id).await?.is_some() {
            return Ok(());
        }
        let record = KeyRecord {
            id: id.into(),
            gun: gun.into(),
            role: role.into(),
            algorithm: key.key_type().as_str().into(),
            public: key.public_bytes().to_vec(),
            secret: super::WITH_SIGNER.into(),
            alias: String::new(),
            // The signer knows whether it was; nobody here is to offer it.
            used: Some(SystemTime::now()),
        };
        match self.storage.add_key(&record).await {
            Ok(kept) if kept.id == record.id => Ok(()),
            // A key that was made here, before there was a signer, is still unused.
            Ok(_) => {
                let batch = ImportBatch { keys: vec![record], ..ImportBatch::default() };
                Ok(self.storage.import(&batch).await.map(drop)?)
            }
            // Another server noted it.
            Err(StorageError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the signer has this key, for this role.
    async fn has(&self, role: &str, key: &PublicKey) -> Result<bool, KeysError> {
        // Stricter: Notary signs with any key that the root lists.
        Ok(self.role_of(key).await?.is_some_and(|made_for| made_for == role || made_for.is_empty()))
    }

    async fn call<Q, A>(&self, path: &'static str, question: Q) -> Result<A, Status>
    where
        Q: prost::Message + Clone + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let ask = async || {
            let mut client = Grpc::new(self.channel.clone());
            client.ready().await.map_err(|error| Status::unavailable(causes(&error)))?;
            let path = PathAndQuery::from_static(path);
            client.unary(Request::new(question.clone()), path, ProstCodec::default()).await
        };
        let answer = async {
            match ask().await {
                // Not an answer of the signer: the connection broke, as when the
                // signer was started anew. Whatever was asked may be asked again.
                Err(status) if std::error::Error::source(&status).is_some() => ask().await,
                answer => answer,
            }
        };
        // The channel's own deadline does not cover waiting for a connection.
        let answer = tokio::time::timeout(DEADLINE, answer).await;
        answer.map_err(|_| Status::deadline_exceeded("no answer in time"))?.map(|answer| answer.into_inner())
    }
}

#[async_trait]
impl Keys for RemoteSigner {
    /// The signer gives the same key until it has signed with it.
    async fn pending(&self, gun: &str, role: &str) -> Result<PublicKey, KeysError> {
        let question = proto::CreateKeyRequest {
            algorithm: self.key_type.as_str().into(),
            gun: gun.into(),
            role: role.into(),
        };
        let answer = self.call("/proto.KeyManagement/CreateKey", question).await;
        let proto::PublicKey { key_info, public_key } = answer.map_err(|status| unavailable(&status))?;
        let key = read_key(key_info, public_key)?;
        if *key.key_type() != self.key_type {
            let reason = format!("the signer made a key of type {:?}", key.key_type().as_str());
            return Err(KeysError::Unavailable(reason));
        }
        self.note(gun, role, &key).await?;
        Ok(key)
    }

    async fn held(&self, _gun: &str, role: &str, keys: &RoleKeys) -> Result<Option<PublicKey>, KeysError> {
        for (_, key) in &keys.keys {
            if self.has(role, key).await? {
                return Ok(Some(PublicKey::clone(key)));
            }
        }
        Ok(None)
    }

    async fn sign(
        &self,
        _gun: &str,
        role: &str,
        keys: &RoleKeys,
        message: &[u8],
    ) -> Result<Vec<Signature>, KeysError> {
        let mut signatures = Vec::new();
        for (listed, key) in &keys.keys {
            if !self.has(role, key).await? {
                continue;
            }
            let key_id = proto::KeyId { id: key.id().as_str().into() };
            let question = proto::SignatureRequest { key_id: Some(key_id), content: message.to_vec() };
            let answer = self.call::<_, proto::Signature>("/proto.Signer/Sign", question).await;
            let Some(answer) = found(answer)? else { continue };
            let answered = Answered { key, signature: answer.content };
            let (method, bytes) = sign_checked(&answered, message)
                .map_err(|error| KeysError::Unavailable(error.to_string()))?;
            signatures.push(Signature { key_id: listed.clone(), method: method.into(), bytes });
        }
        Ok(signatures)
    }

    async fn check(&self) -> Result<(), KeysError> {
        for service in HEALTH {
            let question = proto::HealthCheckRequest { service: service.into() };
            let answer = self.call::<_, proto::HealthCheckResponse>("/grpc.health.v1.Health/Check", question);
            if answer.await.map_err(|status| unavailable(&status))?.status != proto::SERVING {
                return Err(KeysError::Unavailable(format!("{service} is not serving")));
            }
        }
        Ok(())
    }

    fn health_name(&self) -> Option<&'static str> {
        Some("Trust operational")
    }
}

/// What the signer answered, to be checked as any other signature.
struct Answered<'a> {
    key: &'a PublicKey,
    signature: Vec<u8>,
}

impl Signer for Answered<'_> {
    fn public_key(&self) -> &PublicKey {
        self.key
    }

    fn sign(&self, _: &[u8]) -> Result<Vec<u8>> {
        Ok(self.signature.clone())
    }
}

/// The key in an answer, which must have the ID that the signer gives.
fn read_key(info: Option<proto::KeyInfo>, public: Vec<u8>) -> Result<PublicKey, KeysError> {
    let (id, algorithm) =
        info.and_then(|info| Some((info.key_id?.id, info.algorithm?.algorithm))).unwrap_or_default();
    let key = PublicKey::new(KeyType::from(algorithm.as_str()), public);
    if *key.id() == KeyId::from_listed(&id) {
        return Ok(key);
    }
    let reason = format!("the signer gives the key {} as {:?}", key.id(), excerpt(&id, 64));
    Err(KeysError::Unavailable(reason))
}

/// The signer's one way to say that it has no such key, or cannot read it.
fn found<A>(answer: Result<A, Status>) -> Result<Option<A>, KeysError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(unavailable(&status)),
    }
}

fn unavailable(status: &Status) -> KeysError {
    let message = match std::error::Error::source(status) {
        Some(source) => causes(source),
        None => status.message().to_owned(),
    };
    KeysError::Unavailable(format!("{:?}: {}", status.code(), excerpt(&message, 500)))
}

/// An error with what is behind it: tonic's own say only `transport error`.
fn causes(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>> {
    fs::read(file).map(Zeroizing::new).map_err(|error| Error::InvalidConfiguration {
        what: file.display().to_string(),
        reason: error.to_string(),
    })
}

/// The messages of `signer.proto` and of gRPC's health checks.
mod proto {
    use prost::Message;

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct CreateKeyRequest {
        #[prost(string, tag = "1")]
        pub(super) algorithm: String,
        #[prost(string, tag = "2")]
        pub(super) gun: String,
        #[prost(string, tag = "3")]
        pub(super) role: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct KeyId {
        #[prost(string, tag = "1")]
        pub(super) id: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Algorithm {
        #[prost(string, tag = "1")]
        pub(super) algorithm: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct KeyInfo {
        #[prost(message, optional, tag = "1")]
        pub(super) key_id: Option<KeyId>,
        #[prost(message, optional, tag = "2")]
        pub(super) algorithm: Option<Algorithm>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct PublicKey {
        #[prost(message, optional, tag = "1")]
        pub(super) key_info: Option<KeyInfo>,
        #[prost(bytes = "vec", tag = "2")]
        pub(super) public_key: Vec<u8>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct GetKeyInfoResponse {
        #[prost(message, optional, tag = "1")]
        pub(super) key_info: Option<KeyInfo>,
        #[prost(bytes = "vec", tag = "2")]
        pub(super) public_key: Vec<u8>,
        #[prost(string, tag = "3")]
        pub(super) role: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct SignatureRequest {
        #[prost(message, optional, tag = "1")]
        pub(super) key_id: Option<KeyId>,
        #[prost(bytes = "vec", tag = "2")]
        pub(super) content: Vec<u8>,
    }

    /// Its key and algorithm are not read: the signature is checked.
    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Signature {
        #[prost(bytes = "vec", tag = "3")]
        pub(super) content: Vec<u8>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct HealthCheckRequest {
        #[prost(string, tag = "1")]
        pub(super) service: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct HealthCheckResponse {
        #[prost(int32, tag = "1")]
        pub(super) status: i32,
    }

    pub(super) const SERVING: i32 = 1;
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    use super::*;
    use crate::server::storage::Memory;

    fn memory() -> Arc<dyn Storage> {
        Arc::new(Memory::default())
    }
    use crate::crypto::PrivateKey;
    use crate::remote::testing::testdata;

    const GUN: &str = "reg.example/app";

    /// Debian's notary-signer, with keys in memory.
    struct NotarySigner {
        address: SocketAddr,
        directory: tempfile::TempDir,
        process: Child,
    }

    impl NotarySigner {
        async fn start(ip: Ipv4Addr) -> Self {
            let address = TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap();
            let directory = tempfile::tempdir().unwrap();
            let server = serde_json::json!({
                "grpc_addr": address.to_string(),
                "tls_cert_file": testdata("server.pem"),
                "tls_key_file": testdata("server.key"),
                "client_ca_file": testdata("ca.pem"),
            });
            let config = serde_json::json!({"server": server, "storage": {"backend": "memory"}});
            std::fs::write(directory.path().join("signer.json"), config.to_string()).unwrap();
            let process = Self::spawn(&directory);
            let signer = Self { address, directory, process };
            signer.wait().await;
            signer
        }

        fn spawn(directory: &tempfile::TempDir) -> Child {
            let config = directory.path().join("signer.json");
            Command::new("notary-signer")
                .arg(format!("-config={}", config.display()))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("notary-signer is missing; tests/setup.sh installs it")
        }

        async fn wait(&self) {
            let start = Instant::now();
            while tokio::net::TcpStream::connect(self.address).await.is_err() {
                assert!(start.elapsed() < Duration::from_secs(30), "notary-signer does not start");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }

        async fn restart(&mut self) {
            self.stop();
            self.process = Self::spawn(&self.directory);
            self.wait().await;
        }

        fn stop(&mut self) {
            self.process.kill().unwrap();
            self.process.wait().unwrap();
        }

        fn config(&self, key_algorithm: &str) -> RemoteSignerConfig {
            config(self.address, key_algorithm)
        }
    }

    impl Drop for NotarySigner {
        fn drop(&mut self) {
            self.stop();
        }
    }

    fn config(address: SocketAddr, key_algorithm: &str) -> RemoteSignerConfig {
        RemoteSignerConfig {
            hostname: address.ip().to_string(),
            port: address.port(),
            key_algorithm: key_algorithm.into(),
            ca: Some(testdata("ca.pem")),
            client: Some((testdata("client.pem"), testdata("client.key"))),
        }
    }

    fn listed<'a>(keys: impl IntoIterator<Item = &'a PublicKey>) -> RoleKeys {
        let keys = keys.into_iter().map(|key| (key.id().clone(), Arc::new(key.clone())));
        RoleKeys { keys: keys.collect(), threshold: 1 }
    }

    fn reason<T: std::fmt::Debug>(result: Result<T, KeysError>) -> String {
        let Err(KeysError::Unavailable(reason)) = result else { panic!("{result:?}") };
        reason
    }

    #[tokio::test]
    async fn notarys_signer_makes_keys_and_signs() {
        let signer = NotarySigner::start(Ipv4Addr::LOCALHOST).await;
        for (algorithm, method) in [("ecdsa", "ecdsa"), ("ed25519", "eddsa")] {
            let keys = RemoteSigner::open(&signer.config(algorithm), &memory()).unwrap();
            keys.check().await.unwrap();
            let public = keys.pending(GUN, "timestamp").await.unwrap();
            assert_eq!(public.key_type().as_str(), algorithm);

            // The second one has no cache.
            let stranger = PrivateKey::generate_ed25519().unwrap();
            for keys in [&keys, &RemoteSigner::open(&signer.config(algorithm), &memory()).unwrap()] {
                let role_keys = listed([stranger.public_key(), &public]);
                let held = keys.held(GUN, "timestamp", &role_keys).await.unwrap();
                assert_eq!(held.as_ref(), Some(&public));
                let message = vec![b'm'; 100_000];
                let signatures = keys.sign(GUN, "timestamp", &role_keys, &message).await.unwrap();
                let [signature] = &signatures[..] else { panic!("{signatures:?}") };
                assert_eq!((&signature.key_id, &*signature.method), (public.id(), method));
                assert!(public.verify(method, &message, &signature.bytes));
                // A key that the signer does not have, and one that is for another role.
                for (role, key) in [("timestamp", stranger.public_key()), ("snapshot", &public)] {
                    assert_eq!(keys.held(GUN, role, &listed([key])).await.unwrap(), None);
                    assert_eq!(keys.sign(GUN, role, &listed([key]), b"message").await.unwrap(), []);
                }
            }
        }
    }

    #[tokio::test]
    async fn a_signer_that_is_away_is_unavailable_until_it_is_back() {
        let mut signer = NotarySigner::start(Ipv4Addr::LOCALHOST).await;
        let keys = RemoteSigner::open(&signer.config("ecdsa"), &memory()).unwrap();
        let public = keys.pending(GUN, "timestamp").await.unwrap();
        signer.stop();
        for _ in 0..3 {
            let start = Instant::now();
            let sign = keys.sign(GUN, "timestamp", &listed([&public]), b"message").await;
            // Not taken for a signer that does not have the key.
            reason(sign);
            reason(keys.check().await);
            assert!(start.elapsed() < CONNECT);
        }
        signer.process = NotarySigner::spawn(&signer.directory);
        signer.wait().await;
        keys.check().await.unwrap();
        // Its keys were in memory.
        assert_eq!(keys.held(GUN, "timestamp", &listed([&public])).await.unwrap(), None);
        for _ in 0..3 {
            signer.restart().await;
            keys.pending(GUN, "timestamp").await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_signer_that_falls_silent_is_given_up() {
        let signer = NotarySigner::start(Ipv4Addr::LOCALHOST).await;
        let proxy = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let keys = RemoteSigner::open(&config(proxy.local_addr().unwrap(), "ecdsa"), &memory()).unwrap();
        let (silence, heard) = tokio::sync::watch::channel(false);
        let target = signer.address;
        let forward = tokio::spawn(async move {
            while let Ok((mut near, _)) = proxy.accept().await {
                let mut heard = heard.clone();
                tokio::spawn(async move {
                    let mut far = tokio::net::TcpStream::connect(target).await.unwrap();
                    // Silent: both connections stay open, and nothing goes through.
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = async { drop(heard.wait_for(|silent| *silent).await) } => {}
                    }
                    std::future::pending::<()>().await;
                });
            }
        });
        keys.check().await.unwrap();
        silence.send(true).unwrap();
        let start = Instant::now();
        reason(keys.pending(GUN, "timestamp").await);
        assert!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
        silence.send(false).unwrap();
        // Over a new connection.
        keys.check().await.unwrap();
        forward.abort();
    }

    #[tokio::test]
    async fn tls_is_verified_on_both_sides() {
        let signer = NotarySigner::start(Ipv4Addr::LOCALHOST).await;
        let good = signer.config("ecdsa");
        let failed = async |config: &RemoteSignerConfig| {
            reason(RemoteSigner::open(config, &memory()).unwrap().pending(GUN, "timestamp").await)
        };
        // The signer's refusal does not always arrive before the end of the connection.
        failed(&RemoteSignerConfig { client: None, ..good.clone() }).await;
        let unknown = failed(&RemoteSignerConfig { ca: None, ..good.clone() }).await;
        assert!(unknown.contains("UnknownIssuer"), "{unknown}");

        // Its certificate is not for this address.
        let elsewhere = NotarySigner::start(Ipv4Addr::new(127, 0, 0, 2)).await;
        assert_eq!(elsewhere.address.ip(), IpAddr::from([127, 0, 0, 2]));
        let other = failed(&elsewhere.config("ecdsa")).await;
        assert!(other.contains("not valid for name"), "{other}");

        RemoteSigner::open(&good, &memory()).unwrap().pending(GUN, "timestamp").await.unwrap();
    }

    #[tokio::test]
    async fn settings_that_cannot_be_used_are_named() {
        let good = config(SocketAddr::from(([127, 0, 0, 1], 1)), "ecdsa");
        let refused = |config: RemoteSignerConfig| match RemoteSigner::open(&config, &memory()) {
            Err(Error::InvalidConfiguration { what, .. }) => what,
            _ => panic!("taken: {config:?}"),
        };
        let rsa = RemoteSignerConfig { key_algorithm: "rsa".into(), ..good.clone() };
        assert_eq!(refused(rsa), "key algorithm of the signer");
        let [ca, key] = [testdata("ca.pem"), testdata("server.key")];
        let missing = RemoteSignerConfig { ca: Some("/nonexistent/ca.pem".into()), ..good.clone() };
        assert_eq!(refused(missing), "/nonexistent/ca.pem");
        let no_certificate = RemoteSignerConfig { ca: Some(key.clone()), ..good.clone() };
        assert_eq!(refused(no_certificate), key.display().to_string());
        let other_key =
            RemoteSignerConfig { client: Some((testdata("client.pem"), key.clone())), ..good.clone() };
        assert_eq!(refused(other_key), key.display().to_string());
        let no_key =
            RemoteSignerConfig { client: Some((testdata("client.pem"), ca.clone())), ..good.clone() };
        assert_eq!(refused(no_key), ca.display().to_string());
        let no_name = RemoteSignerConfig { hostname: "sig ner".into(), ..good };
        assert!(refused(no_name).starts_with("signer https://sig ner:1"));
    }

    #[test]
    fn a_key_must_have_the_id_that_the_signer_gives() {
        let key = PrivateKey::generate_ed25519().unwrap();
        let info = |id: &str, algorithm: &str| {
            let algorithm = Some(proto::Algorithm { algorithm: algorithm.into() });
            Some(proto::KeyInfo { key_id: Some(proto::KeyId { id: id.into() }), algorithm })
        };
        let public = key.public_key().public_bytes().to_vec();
        let read = |info, public: &[u8]| read_key(info, public.to_vec());
        assert_eq!(read(info(key.id().as_str(), "ed25519"), &public).as_ref(), Ok(key.public_key()));
        for wrong in
            [None, info("", "ed25519"), info(key.id().as_str(), "ecdsa"), info(&"0".repeat(64), "ed25519")]
        {
            reason(read(wrong, &public));
        }
        reason(read(info(key.id().as_str(), "ed25519"), &public[1..]));
    }
}
