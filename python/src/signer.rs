//! Keys that sign elsewhere.

use std::sync::Arc;
use std::time::SystemTime;

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use tagtrust::crypto::{KeyType, PublicKey, Signer, public_keys_from_pem};
use tagtrust::{Error, Result};

use crate::call::call_back;
use crate::errors::raised;

/// A key that is not on disk, such as one in an HSM or a KMS: for `Client(signers=[...])`.
///
/// public_key: the public key in PEM (`PUBLIC KEY`), ECDSA on P-256, P-384 or P-521, or RSA.
/// sign: called with the message for the signature over it, as bytes: ECDSA with
///     SHA-256, in DER or as r and s, or RSA-PSS with SHA-256 and a salt of 32 bytes.
///     It may be called from several threads, and must not use the client. What it
///     raises ends the operation and reaches whoever called that.
///
/// >>> def sign(message):
/// ...     raise ConnectionError("the HSM does not answer")
/// >>> signer = tagtrust.CallbackSigner((directory / "alice.pub").read_bytes(), sign)
/// >>> elsewhere = tagtrust.Client(trust_dir=directory, signers=[signer])
/// >>> [key.location for key in elsewhere.keys()]
/// ['signer']
/// >>> elsewhere.sign("registry.example/team/app:1.3", "sha256:" + "3" * 64, 1570)
/// Traceback (most recent call last):
/// ConnectionError: the HSM does not answer
///
/// A signature that is not this key's is refused before anything is published.
/// Raises `InvalidInput` for a public key that cannot be used.
#[pyclass(frozen, module = "tagtrust")]
pub(crate) struct CallbackSigner(Arc<Callback>);

struct Callback {
    key: PublicKey,
    sign: Py<PyAny>,
}

#[pymethods]
impl CallbackSigner {
    #[new]
    fn new(py: Python<'_>, public_key: PyBackedBytes, sign: Py<PyAny>) -> PyResult<Self> {
        if !sign.bind(py).is_callable() {
            return Err(PyTypeError::new_err("sign must be callable"));
        }
        let key = only_key(&public_key).map_err(|error| raised(py, &error))?;
        Ok(Self(Arc::new(Callback { key, sign })))
    }

    /// Canonical ID of the key, 64 hex digits.
    #[getter]
    fn id(&self) -> &str {
        self.0.key.id().as_str()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        visit.call(&self.0.sign)
    }

    fn __repr__(&self) -> String {
        format!("CallbackSigner(id='{}')", self.id())
    }
}

impl CallbackSigner {
    pub(crate) fn core(&self) -> Arc<dyn Signer> {
        self.0.clone()
    }
}

impl Signer for Callback {
    fn public_key(&self) -> &PublicKey {
        &self.key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let signature = |py: Python<'_>| {
            let answer = self.sign.bind(py).call1((PyBytes::new(py, message),))?;
            match answer.cast::<PyBytes>() {
                Ok(signature) => Ok(signature.as_bytes().to_vec()),
                Err(_) => {
                    let found = answer.get_type().name()?;
                    Err(PyTypeError::new_err(format!("sign must return bytes, not {found}")))
                }
            }
        };
        call_back(signature).ok_or_else(|| Error::KeyNotFound {
            role: "signing".into(),
            key_ids: vec![self.key.id().as_str().into()],
            reason: "its signer failed".into(),
        })
    }
}

fn only_key(pem: &[u8]) -> Result<PublicKey> {
    let invalid =
        |reason: &str| Error::InvalidInput { what: "public key of a signer".into(), reason: reason.into() };
    let keys: [PublicKey; 1] = public_keys_from_pem(pem, SystemTime::now())?
        .try_into()
        .map_err(|_| invalid("there must be exactly one"))?;
    let [key] = keys;
    match key.key_type() {
        KeyType::Ecdsa | KeyType::Rsa => Ok(key),
        _ => Err(invalid("give the bare key, not a certificate")),
    }
}
