//! Connections: who gets one, how it is spoken on, and when it ends.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::{App, Client};
use crate::server::config::Limits;

/// Largest head of a request, and most that a connection reads ahead. Docker's
/// tokens with certificates in them are a few KiB.
const READ_BUFFER: usize = 64 * 1024;
/// Most headers of a request.
const MAX_HEADERS: usize = 100;
/// How long to wait after a connection could not be accepted, for others to be closed.
const BACK_OFF: Duration = Duration::from_millis(100);

/// What the connections of one server share.
pub(crate) struct Connections {
    pub(crate) app: Arc<App>,
    router: Router,
    /// For the handshakes from now on; `None` is plain HTTP.
    tls: RwLock<Option<Arc<rustls::ServerConfig>>>,
    max: usize,
    /// How long a handshake, the head of a request, and the pause before it may take.
    patience: Duration,
    /// How long an answer may take to be read.
    answer_time: Duration,
}

impl Connections {
    pub(crate) fn new(app: Arc<App>, tls: Option<Arc<rustls::ServerConfig>>, limits: &Limits) -> Self {
        Self {
            router: super::router(Arc::clone(&app)),
            app,
            tls: RwLock::new(tls),
            max: limits.max_connections.min(Semaphore::MAX_PERMITS),
            patience: limits.header_timeout,
            answer_time: limits.request_timeout,
        }
    }

    pub(crate) fn set_tls(&self, tls: Arc<rustls::ServerConfig>) {
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = Some(tls);
    }

    fn tls(&self) -> Option<Arc<rustls::ServerConfig>> {
        self.tls.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Accepts connections until `stop` changes; then waits until all that were
    /// open are closed, which they are as soon as they have been answered.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        let slots = Arc::new(Semaphore::new(self.max));
        loop {
            let accepted = async {
                // Whoever comes when all slots are taken waits to be accepted.
                let slot = Arc::clone(&slots).acquire_owned().await;
                (slot, listener.accept().await)
            };
            let (slot, accepted) = tokio::select! {
                biased;
                _ = stop.changed() => break,
                accepted = accepted => accepted,
            };
            match accepted {
                Ok((socket, client)) => {
                    let (this, stop) = (Arc::clone(&self), stop.clone());
                    tokio::spawn(async move {
                        this.connection(socket, client, stop).await;
                        drop(slot);
                    });
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    log::error!("no connection can be accepted: {error}");
                    sleep(BACK_OFF).await;
                }
            }
        }
        drop(listener);
        let all = u32::try_from(self.max).unwrap_or(u32::MAX);
        let _all_closed = slots.acquire_many(all).await;
    }

    async fn connection(&self, socket: TcpStream, client: SocketAddr, mut stop: watch::Receiver<bool>) {
        let _open = self.app.metrics.connections.enter();
        // Answers are written whole; nothing is won by waiting for more.
        if let Err(error) = socket.set_nodelay(true) {
            log::debug!("{client}: {error}");
        }
        let Some(tls) = self.tls() else {
            return self.converse(socket, client, stop).await;
        };
        let handshake = timeout(self.patience, TlsAcceptor::from(tls).accept(socket));
        let shaken = tokio::select! {
            shaken = handshake => shaken,
            _ = stop.changed() => return,
        };
        match shaken {
            Ok(Ok(stream)) => self.converse(stream, client, stop).await,
            Ok(Err(error)) => {
                self.app.metrics.failed_handshakes.add(1);
                log::debug!("{client}: no TLS handshake: {error}");
            }
            Err(_) => {
                self.app.metrics.failed_handshakes.add(1);
                log::debug!("{client}: the TLS handshake took too long");
            }
        }
    }

    async fn converse<S>(&self, stream: S, client: SocketAddr, mut stop: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = Impatient { stream, time: self.answer_time, until: None };
        let router = TowerToHyperService::new(self.router.clone());
        let answer = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(Client(client.ip()));
            router.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.patience)
            .max_buf_size(READ_BUFFER)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), answer);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = stop.changed() => {
                // At once if it is idle, otherwise after the answer.
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            log::debug!("{client}: {error}");
        }
    }
}

/// Errors of a connection that is gone already; accepting can go on at once.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// A stream that fails if what is written stays unread for too long. Stops
/// clients that ask for large files and read them slowly or never.
struct Impatient<S> {
    stream: S,
    time: Duration,
    /// From the first write that had to wait until everything is written.
    until: Option<Pin<Box<Sleep>>>,
}

impl<S: Unpin> Impatient<S> {
    fn waiting<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let time = self.time;
        let until = self.until.get_or_insert_with(|| Box::pin(sleep(time)));
        ready!(until.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Pending => self.waiting(context),
            written => written,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(context, bytes) {
            Poll::Pending => self.waiting(context),
            written => written,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Pending => self.waiting(context),
            flushed => {
                self.until = None;
                flushed
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_shutdown(context) {
            Poll::Pending => self.waiting(context),
            closed => closed,
        }
    }
}
