//! A trust server in the caller's process.

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::sync::Mutex;

use crate::boundary::{attempt, create, free, given, lock, not_in_callback, read_text, text};
use crate::error::{Error, Result};
use crate::server_config::ServerConfig;
use crate::signal::NoBrokenPipe;
use crate::status::Status;

/// A running trust server. It works in threads of its own, and any number can run
/// at once. Freed with `tagtrust_server_free`.
pub struct Server {
    url: CString,
    certificate: Option<CString>,
    /// None once it was stopped.
    running: Mutex<Option<tagtrust_core::server::Server>>,
}

impl Server {
    fn start(config: &ServerConfig) -> Result<Self> {
        let server = tagtrust_core::server::Server::start(config.core()?)?;
        Ok(Self {
            url: text(server.url()),
            certificate: server.certificate_pem().map(text),
            running: Mutex::new(Some(server)),
        })
    }

    fn reload(&self) -> Result<()> {
        let running = lock(&self.running);
        let server = running.as_ref().ok_or_else(|| Error::argument("the server was stopped"))?;
        Ok(server.reload()?)
    }

    fn stop(&self) {
        *lock(&self.running) = None;
    }
}

/// Starts a server, which answers when this returns. The configuration stays the
/// caller's, and later changes to it do not matter to the server.
///
/// `TAGTRUST_INVALID_CONFIGURATION` also if the address is taken;
/// `TAGTRUST_STORE_ERROR` if the storage cannot be used.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_start(
    config: *const ServerConfig,
    server: Option<&mut MaybeUninit<*mut Server>>,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    create(server, error, || {
        not_in_callback()?;
        // For the threads of the server.
        let _connections = NoBrokenPipe::new();
        Server::start(&*given(config, "config")?)
    })
}

/// Where it answers, such as "http://127.0.0.1:34567": for
/// `tagtrust_config_set_server`. It stays when the server is stopped.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_url(server: *const Server) -> *const c_char {
    read_text(server, |server| Some(&server.url))
}

/// The certificate that it made for itself, PEM: written to a file, it is what
/// `tagtrust_config_set_ca_file` takes. NULL if it made none.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_certificate_pem(server: *const Server) -> *const c_char {
    read_text(server, |server| server.certificate.as_ref())
}

/// Reads TLS files and users again, and opens the access log anew. If a file
/// cannot be used, what was read before still holds.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_reload(
    server: *const Server,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    attempt(error, || {
        not_in_callback()?;
        given(server, "server")?.reload()
    })
}

/// Lets requests that have begun end, for a few seconds at most, and stops. Does
/// nothing if it was stopped already, is none, or in a callback.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_stop(server: *const Server) {
    // A panic at the end of a server: there is nobody to tell.
    attempt(None, || {
        not_in_callback()?;
        given(server, "server")?.stop();
        Ok(())
    });
}

/// Stops a server if it is running, and frees it. A callback in one of its own
/// threads does not wait for its end.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_server_free(server: *mut Server) {
    free(server);
}
