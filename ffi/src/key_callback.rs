//! Functions of the caller's that know passphrases and private keys.

use std::ffi::{CString, c_char, c_void};
use std::time::SystemTime;

use tagtrust_core::Zeroizing;
use tagtrust_core::crypto::{self, PublicKey, public_keys_from_pem};

use crate::boundary::call_out;
use crate::callback::Data;
use crate::error::{Error, Result};

/// Longest passphrase in bytes.
const PASSPHRASE_CAPACITY: usize = 1024;
/// Longest signature in bytes: RSA with 16384 bits.
const SIGNATURE_CAPACITY: usize = 2048;

/// Writes the passphrase of a private key to `buffer`, in UTF-8, and returns its
/// length in bytes without a NUL. A negative number, or one above `capacity`,
/// means that there is none. The library wipes the buffer.
///
/// `key_id` is the key's ID, or for a file whose key is not known yet its name.
/// With `create` it is the passphrase of a new key, at least 8 bytes. `attempt`
/// counts from 0, and goes up when the last answer was too short or wrong; the
/// same wrong answer twice ends it.
pub type PassphraseCallback = Option<
    extern "C-unwind" fn(
        data: *mut c_void,
        key_id: *const c_char,
        role: *const c_char,
        create: bool,
        attempt: u32,
        buffer: *mut c_char,
        capacity: usize,
    ) -> isize,
>;

/// Writes the signature over `length` bytes of `message` to `signature`, and
/// returns its length. A negative number, or one above `capacity`, means that it
/// could not be made.
///
/// For an ECDSA key SHA-256 and r||s or DER, for an RSA key PSS with SHA-256 and
/// a salt of 32 bytes. The library checks it with the public key.
pub type SignCallback = Option<
    extern "C-unwind" fn(
        data: *mut c_void,
        message: *const u8,
        length: usize,
        signature: *mut u8,
        capacity: usize,
    ) -> isize,
>;

/// The caller's passphrases.
pub(crate) struct Passphrases {
    ask: extern "C-unwind" fn(
        *mut c_void,
        *const c_char,
        *const c_char,
        bool,
        u32,
        *mut c_char,
        usize,
    ) -> isize,
    data: Data,
}

impl Passphrases {
    pub(crate) fn new(ask: PassphraseCallback, data: *mut c_void) -> Result<Self> {
        Ok(Self { ask: ask.ok_or_else(|| Error::argument("passphrase is NULL"))?, data: Data(data) })
    }

    pub(crate) fn answer(
        &self,
        key_id: &str,
        role: &str,
        create: bool,
        attempt: u32,
    ) -> Option<Zeroizing<String>> {
        let (key_id, role) = (CString::new(key_id).ok()?, CString::new(role).ok()?);
        let mut buffer = Zeroizing::new([0; PASSPHRASE_CAPACITY]);
        let length = call_out(|| {
            let place = buffer.as_mut_ptr().cast();
            (self.ask)(self.data.0, key_id.as_ptr(), role.as_ptr(), create, attempt, place, buffer.len())
        });
        let answer = buffer.get(..usize::try_from(length).ok()?)?;
        Some(Zeroizing::new(str::from_utf8(answer).ok()?.to_owned()))
    }
}

/// A private key of the caller's.
pub(crate) struct Signer {
    public_key: PublicKey,
    sign: extern "C-unwind" fn(*mut c_void, *const u8, usize, *mut u8, usize) -> isize,
    data: Data,
}

impl Signer {
    pub(crate) fn new(public_key: &str, sign: SignCallback, data: *mut c_void) -> Result<Self> {
        let sign = sign.ok_or_else(|| Error::argument("sign is NULL"))?;
        let keys: Result<[PublicKey; 1], _> =
            public_keys_from_pem(public_key.as_bytes(), SystemTime::now())?.try_into();
        let [public_key] = keys.map_err(|_| tagtrust_core::Error::InvalidInput {
            what: "public key".into(),
            reason: "there are several, and a signer has one".into(),
        })?;
        Ok(Self { public_key, sign, data: Data(data) })
    }
}

impl crypto::Signer for Signer {
    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn sign(&self, message: &[u8]) -> tagtrust_core::Result<Vec<u8>> {
        let mut signature = vec![0; SIGNATURE_CAPACITY];
        let answer = call_out(|| {
            (self.sign)(self.data.0, message.as_ptr(), message.len(), signature.as_mut_ptr(), signature.len())
        });
        match usize::try_from(answer) {
            Ok(length) if length <= signature.len() => {
                signature.truncate(length);
                Ok(signature)
            }
            _ => Err(tagtrust_core::Error::KeyNotFound {
                role: "signing".into(),
                key_ids: vec![self.public_key.id().as_str().into()],
                reason: format!(
                    "the signer of key {} failed: its callback answered {answer}",
                    self.public_key.id()
                ),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;
    use crate::boundary::{attempt, not_in_callback};
    use crate::callback::Clock;
    use crate::status::Status;

    /// Writes the bytes and returns the length that `data` points to.
    extern "C-unwind" fn answer(
        data: *mut c_void,
        key_id: *const c_char,
        role: *const c_char,
        create: bool,
        attempt: u32,
        buffer: *mut c_char,
        capacity: usize,
    ) -> isize {
        // SAFETY: the tests below hand in such a pair, and the library strings.
        let ((bytes, length), key_id, role) =
            unsafe { (&*data.cast::<(&[u8], isize)>(), CStr::from_ptr(key_id), CStr::from_ptr(role)) };
        assert_eq!((key_id, role, create, attempt), (c"1234", c"root", true, 2));
        assert!(bytes.len() <= capacity);
        // SAFETY: the buffer has this capacity.
        unsafe { buffer.copy_from_nonoverlapping(bytes.as_ptr().cast(), bytes.len()) };
        *length
    }

    fn ask(bytes: &[u8], length: isize, role: &str) -> Option<String> {
        let mut data = (bytes, length);
        let passphrases = Passphrases::new(Some(answer), (&raw mut data).cast()).unwrap();
        passphrases.answer("1234", role, true, 2).map(|answer| answer.to_string())
    }

    #[test]
    fn a_passphrase_is_as_long_as_the_callback_says() {
        assert_eq!(ask("pässword".as_bytes(), 9, "root").as_deref(), Some("pässword"));
        assert_eq!(ask(b"password", 4, "root").as_deref(), Some("pass"));
        assert_eq!(ask(b"", 0, "root").as_deref(), Some(""));
        let longest = [b'x'; PASSPHRASE_CAPACITY];
        assert_eq!(
            ask(&longest, longest.len() as isize, "root").map(|answer| answer.len()),
            Some(longest.len())
        );
    }

    #[test]
    fn a_length_that_cannot_be_and_what_is_not_utf8_are_no_passphrase() {
        for length in [-1, isize::MIN, PASSPHRASE_CAPACITY as isize + 1, isize::MAX] {
            assert_eq!(ask(b"password", length, "root"), None);
        }
        assert_eq!(ask(b"\xc3\x28", 2, "root"), None);
        assert_eq!(ask(b"password", 8, "ro\0ot"), None);
    }

    extern "C-unwind" fn sign(
        data: *mut c_void,
        message: *const u8,
        length: usize,
        signature: *mut u8,
        capacity: usize,
    ) -> isize {
        // SAFETY: the library hands in that many bytes, and the test a number.
        let (answer, message) =
            unsafe { (*data.cast::<isize>(), std::slice::from_raw_parts(message, length)) };
        assert!(message.len() <= capacity);
        // SAFETY: the place has this capacity.
        unsafe { signature.copy_from_nonoverlapping(message.as_ptr(), length) };
        answer
    }

    #[test]
    fn a_signature_is_as_long_as_the_callback_says_or_an_error() {
        let key = crypto::PrivateKey::generate_p256().unwrap();
        let pem = crypto::public_key_to_pem(crypto::Signer::public_key(&key), "alice");
        let signed = |mut answer: isize| {
            let signer = Signer::new(&pem, Some(sign), (&raw mut answer).cast()).unwrap();
            crypto::Signer::sign(&signer, b"message").map_err(|error| error.to_string())
        };
        assert_eq!(signed(4), Ok(b"mess".to_vec()));
        assert_eq!(signed(0), Ok(Vec::new()));
        for answer in [-1, isize::MIN, SIGNATURE_CAPACITY as isize + 1, isize::MAX] {
            let message = signed(answer).unwrap_err();
            assert!(
                message.contains(key.id().as_str()) && message.contains(&answer.to_string()),
                "{message}"
            );
        }
        assert!(Signer::new(&pem.repeat(2), Some(sign), std::ptr::null_mut()).is_err());
        assert!(Signer::new("", Some(sign), std::ptr::null_mut()).is_err());
    }

    extern "C-unwind" fn no_time(_: *mut c_void) -> i64 {
        panic!("no time")
    }

    extern "C-unwind" fn no_answer(
        _: *mut c_void,
        _: *const c_char,
        _: *const c_char,
        _: bool,
        _: u32,
        _: *mut c_char,
        _: usize,
    ) -> isize {
        panic!("no answer")
    }

    extern "C-unwind" fn no_signature(_: *mut c_void, _: *const u8, _: usize, _: *mut u8, _: usize) -> isize {
        panic!("no signature")
    }

    #[test]
    fn a_panic_in_a_callback_goes_as_far_as_one_in_the_library() {
        let panics = |body: &dyn Fn()| {
            let run = || {
                body();
                Ok(())
            };
            assert_eq!(attempt(None, run), Status::INTERNAL);
            assert!(not_in_callback().is_ok());
        };
        let key = crypto::PrivateKey::generate_p256().unwrap();
        let pem = crypto::public_key_to_pem(crypto::Signer::public_key(&key), "alice");
        let data = std::ptr::null_mut();
        panics(&|| _ = Clock::new(Some(no_time), data).unwrap().time());
        panics(&|| _ = Passphrases::new(Some(no_answer), data).unwrap().answer("1234", "root", true, 0));
        panics(&|| {
            let signer = Signer::new(&pem, Some(no_signature), data).unwrap();
            _ = crypto::Signer::sign(&signer, b"message");
        });
    }
}
