//! A server that runs: its threads, its port, its start and its end.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use tokio::runtime::{Builder, Handle, Id, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;

use super::config::{ServerConfig, Tls};
use super::http::{App, Connections, Identity};
use super::keys;
use super::service::{Service, Settings};
use super::storage;
use crate::{Error, Result};

/// How long requests may go on after the server was told to stop.
const STOP_TIME: Duration = Duration::from_secs(8);
/// How long storage may go on after that.
const LAST_WRITES: Duration = Duration::from_secs(1);
/// Longer ones would overflow an expiry.
const LONGEST_LIFETIME: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// Connections that may wait to be accepted; the system may allow fewer.
const BACKLOG: u32 = 4096;

/// A trust server, running in threads of its own until it is dropped.
///
/// Any number of them may run in one process. All methods may be called from
/// any thread, within an asynchronous runtime or without one.
pub struct Server {
    url: String,
    address: SocketAddr,
    certificate: Option<String>,
    tls: Tls,
    connections: Arc<Connections>,
    stop: watch::Sender<bool>,
    runtime: Id,
    thread: Option<JoinHandle<()>>,
}

/// What a server has once it listens.
struct Started {
    address: SocketAddr,
    certificate: Option<String>,
    connections: Arc<Connections>,
    runtime: Id,
}

impl Server {
    /// Starts a server. It answers requests when this returns.
    ///
    /// # Errors
    /// [`Error::InvalidConfiguration`] if a setting cannot be used, among them
    /// an address that is taken; [`Error::StoreError`] if the storage cannot be.
    pub fn start(config: ServerConfig) -> Result<Self> {
        check(&config)?;
        let tls = config.tls.clone();
        let (stop, stopped) = watch::channel(false);
        let (report, started) = mpsc::channel();
        // Its own thread, because a runtime must neither be waited for nor
        // dropped within another one.
        let thread = thread::Builder::new()
            .name("tagtrust-server".into())
            .spawn(move || run(&config, stopped, &report))
            .map_err(internal)?;
        let started: Started = started.recv().map_err(internal)??;
        let scheme = if matches!(tls, Tls::Off) { "http" } else { "https" };
        let host = match started.address.ip() {
            ip if ip.is_unspecified() => format!("localhost:{}", started.address.port()),
            _ => started.address.to_string(),
        };
        Ok(Self {
            url: format!("{scheme}://{host}"),
            address: started.address,
            certificate: started.certificate,
            tls,
            connections: started.connections,
            stop,
            runtime: started.runtime,
            thread: Some(thread),
        })
    }

    /// `https://127.0.0.1:4443`, what clients are given.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens, with the port that was found.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of [`Tls::SelfSigned`], which clients need as their CA.
    pub fn certificate_pem(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// Reads the files of [`Tls::Files`] and of authentication again, and opens
    /// the file of the access log anew. Open connections stay as they are.
    ///
    /// # Errors
    /// [`Error::InvalidConfiguration`] if one of them cannot be used; what was
    /// read before then stays.
    pub fn reload(&self) -> Result<()> {
        let identity = match &self.tls {
            Tls::Off | Tls::SelfSigned => None,
            Tls::Files { .. } => Identity::new(&self.tls, self.address.ip())?,
        };
        self.connections.app.reload()?;
        if let Some(identity) = identity {
            self.connections.set_tls(identity.config);
        }
        Ok(())
    }

    /// Stops: no new connections, requests under way are finished within eight
    /// seconds. Returns when all is over, or at once in a thread of its own, as
    /// in a logger. Dropping does the same.
    pub fn stop(self) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        // Its own threads cannot wait for their end.
        let is_inside = Handle::try_current().is_ok_and(|current| current.id() == self.runtime);
        if let Some(thread) = self.thread.take()
            && !is_inside
            && thread.join().is_err()
        {
            log::error!("the server at {} did not end well", self.url);
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("url", &self.url).finish_non_exhaustive()
    }
}

fn run(config: &ServerConfig, stop: watch::Receiver<bool>, report: &mpsc::Sender<Result<Started>>) {
    let runtime = match Builder::new_multi_thread().thread_name("tagtrust-server").enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(report.send(Err(internal(error)))),
    };
    runtime.block_on(async {
        let (started, listener) = match start(config).await {
            Ok(started) => started,
            Err(error) => return drop(report.send(Err(error))),
        };
        let mut stopped = stop.clone();
        let serving = tokio::spawn(Arc::clone(&started.connections).serve(listener, stop));
        drop(report.send(Ok(started)));
        // Its end is that of the server, too.
        let _ = stopped.wait_for(|stop| *stop).await;
        if timeout(STOP_TIME, serving).await.is_err() {
            log::warn!("stopped with requests under way");
        }
    });
    end(runtime);
}

/// Everything that is left is cut off where it waits, except for what storage
/// is doing at this moment.
fn end(runtime: Runtime) {
    runtime.shutdown_timeout(LAST_WRITES);
}

async fn start(config: &ServerConfig) -> Result<(Started, tokio::net::TcpListener)> {
    let storage = storage::open(&config.storage, config.read_only).await?;
    let keys = keys::open(&config.keys, &storage, &config.storage).await?;
    let settings = Settings {
        snapshot_lifetime: config.snapshot_lifetime,
        timestamp_lifetime: config.timestamp_lifetime,
        read_only: config.read_only,
        keep_versions: config.keep_versions,
        clock: Arc::new(SystemTime::now),
    };
    let app = App::new(config, Arc::new(Service::new(storage, keys, settings)))?;
    // Last, so that nobody is kept waiting if something else cannot be used.
    let listener = listen(config.listen)?;
    let address = listener.local_addr().map_err(internal)?;
    let identity = Identity::new(&config.tls, address.ip())?;
    let (tls, certificate) = match identity {
        Some(identity) => (Some(identity.config), identity.own_certificate),
        None => (None, None),
    };
    let connections = Arc::new(Connections::new(Arc::new(app), tls, &config.limits));
    Ok((Started { address, certificate, connections, runtime: Handle::current().id() }, listener))
}

fn listen(address: SocketAddr) -> Result<tokio::net::TcpListener> {
    let socket = || -> std::io::Result<_> {
        let socket = match address {
            SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
            SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
        };
        // A server that starts again takes over from connections that are only lingering.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    socket().map_err(|error| invalid(format!("listen address {address}"), &error.to_string()))
}

fn check(config: &ServerConfig) -> Result<()> {
    for prefix in &config.gun_prefixes {
        let is_clean = prefix.split('/').rev().skip(1).all(|segment| !matches!(segment, "" | "." | ".."));
        if !prefix.ends_with('/') || !is_clean {
            return Err(invalid(
                format!("GUN prefix {prefix:?}"),
                "it must be a clean, relative path that ends in a slash",
            ));
        }
    }
    let limits = &config.limits;
    for (what, is_zero) in [
        ("the most connections", limits.max_connections == 0),
        ("the most uploads at once", limits.max_uploads == 0),
        ("the largest body of an upload", limits.max_body == 0),
        ("the time for the head of a request", limits.header_timeout.is_zero()),
        ("the time for a request", limits.request_timeout.is_zero()),
        ("the number of versions to keep", config.keep_versions == Some(0)),
        ("the lifetime of snapshots", config.snapshot_lifetime.is_zero()),
        ("the lifetime of timestamps", config.timestamp_lifetime.is_zero()),
    ] {
        if is_zero {
            return Err(invalid(what.to_owned(), "it must be more than 0"));
        }
    }
    if config.snapshot_lifetime.max(config.timestamp_lifetime) > LONGEST_LIFETIME {
        return Err(invalid("a lifetime".to_owned(), "it must be at most 100 years"));
    }
    Ok(())
}

fn invalid(what: String, reason: &str) -> Error {
    Error::InvalidConfiguration { what, reason: reason.to_owned() }
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::Internal { reason: format!("server: {error}") }
}
