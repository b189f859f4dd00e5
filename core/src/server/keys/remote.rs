//! Keys with Notary's signer, over gRPC with TLS.

use std::fs;
use std::path::Path;
use std::time::Duration;

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
use crate::{Error, Result};

/// How long one answer may take, with connecting.
const DEADLINE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// After so long without an answer to a request the connection must show that
/// it is alive. Idle ones are left alone: Go's servers hang up on clients that
/// ask often.
const SILENCE: Duration = Duration::from_secs(3);

const HEALTH: [&str; 2] = ["grpc.health.v1.Health.KeyManagement", "grpc.health.v1.Health.Signer"];

/// A connection to Notary's signer, made anew when it is lost.
pub(crate) struct RemoteSigner {
    channel: Channel,
    key_type: KeyType,
    /// What role the signer made a key for.
    roles: Cache<String>,
}

impl RemoteSigner {
    /// Reads the files and connects with the first request.
    ///
    /// # Errors
    /// [`Error::InvalidConfiguration`] names the file or setting that cannot be used.
    pub(crate) fn open(config: &RemoteSignerConfig) -> Result<Self> {
        let invalid = |what: &str, reason: String| Error::InvalidConfiguration { what: what.into(), reason };
        let key_type = match KeyType::from(config.key_algorithm.as_str()) {
            key_type @ (KeyType::Ecdsa | KeyType::Ed25519) => key_type,
            _ => {
                let reason = format!("{:?} is not ecdsa or ed25519", config.key_algorithm);
                return Err(invalid("key algorithm of the signer", reason));
            }
        };
        let mut tls = ClientTlsConfig::new().domain_name(&config.hostname);
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
        Ok(Self { channel, key_type, roles: Cache::default() })
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

    /// Whether the signer has this key, for this role.
    async fn has(&self, role: &str, key: &PublicKey) -> Result<bool, KeysError> {
        // Stricter: Notary signs with any key that the root lists.
        Ok(self.role_of(key).await?.is_some_and(|made_for| made_for == role || made_for.is_empty()))
    }

    async fn call<Q, A>(&self, path: &'static str, question: Q) -> Result<A, Status>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let mut client = Grpc::new(self.channel.clone());
        let answer = async {
            client.ready().await.map_err(|error| Status::unavailable(causes(&error)))?;
            let path = PathAndQuery::from_static(path);
            client.unary(Request::new(question), path, ProstCodec::default()).await
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
