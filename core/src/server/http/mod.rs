//! The service over HTTP: Notary's routes, headers and errors.
//!
//! A request goes `connections` → [`App::answer`] → `route` → the service →
//! `answer`, and is counted and logged on its way back.

mod access_log;
mod answer;
mod connections;
mod memory;
mod metrics;
mod multipart;
mod route;
#[cfg(test)]
mod tests;
mod tls;
mod ui;

use std::net::IpAddr;
use std::num::IntErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::extract::State;
use axum::{Extension, Router};
use bytes::Bytes;
use hyper::body::Body;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, ORIGIN, USER_AGENT};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

pub(super) use self::connections::Connections;
pub(super) use self::tls::Identity;

use self::access_log::{Entry, Log};
use self::answer::{Answer, Caching};
use self::memory::Memory;
use self::metrics::{Exchange, Metrics};
use self::route::{Path, Route, Wanted};
use super::auth::{Access, Authenticator};
use super::config::{Limits, ServerConfig};
use super::refusal::Refusal;
use super::service::Service;
use super::storage::Window;
use crate::metadata::format_time;

/// How long an answer about the server's health holds. Stops those who ask in a
/// loop: nobody has to log in for that.
const HEALTH_HOLDS: Duration = Duration::from_secs(1);
/// Notary's answer to `records=0`.
const DEFAULT_CHANGES: u32 = 100;
/// Most changes of one answer. Stricter: Notary has no limit.
const MAX_CHANGES: u32 = 10_000;
/// Whose connection a request came on.
#[derive(Debug, Clone, Copy)]
struct Client(IpAddr);

/// All requests go to [`App::answer`]: names of repositories have slashes, and
/// what has no route is answered by Notary's rules, so `route` tells them apart.
fn router(app: Arc<App>) -> Router {
    async fn answer(
        State(app): State<Arc<App>>,
        Extension(Client(client)): Extension<Client>,
        request: Request<axum::body::Body>,
    ) -> Answer {
        app.answer(client, request).await
    }
    Router::new().fallback(answer).with_state(app)
}

/// One server, as its connections see it.
pub(super) struct App {
    service: Arc<Service>,
    auth: Authenticator,
    gun_prefixes: Vec<String>,
    caching: Caching,
    limits: Limits,
    ui: bool,
    log: Log,
    metrics: Metrics,
    health: Mutex<Option<(Instant, Answer)>>,
    /// For the bodies of uploads, so that large ones do not add up.
    memory: Memory,
    /// For what is done with them.
    turns: Semaphore,
}

impl App {
    pub(super) fn new(config: &ServerConfig, service: Arc<Service>) -> crate::Result<Self> {
        let limits = config.limits.clone();
        let turns = limits.max_uploads.clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self {
            service,
            auth: Authenticator::new(&config.auth)?,
            gun_prefixes: config.gun_prefixes.clone(),
            caching: Caching::new(config.current_max_age, config.consistent_max_age),
            ui: config.ui,
            log: Log::open(&config.access_log)?,
            metrics: Metrics::default(),
            health: Mutex::default(),
            memory: Memory::new(limits.max_body.saturating_mul(turns as u64), limits.header_timeout),
            turns: Semaphore::new(turns),
            limits,
        })
    }

    /// Reads users and token certificates again, and opens the access log anew.
    pub(super) fn reload(&self) -> crate::Result<()> {
        self.auth.reload()?;
        self.log.reopen()
    }

    /// Answers one request, whatever it is.
    pub(super) async fn answer<B>(self: Arc<Self>, client: IpAddr, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes> + Send + 'static,
    {
        let only_reads = request.method() == Method::GET && !request.uri().path().ends_with(".key");
        // On the heap, so that idle connections do not have the room for it.
        let answer = async move { self.recorded(client, request).await };
        if only_reads {
            return Box::pin(answer).await;
        }
        // What changes something goes on when the client goes away.
        let refused = |error| Refusal::Unknown { reason: format!("a request: {error}"), detail: json!({}) };
        tokio::spawn(answer).await.unwrap_or_else(|error| answer::refused(&refused(error)))
    }

    /// Answers, counts and logs.
    async fn recorded<B>(&self, client: IpAddr, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes>,
    {
        let start = Instant::now();
        let (head, body) = request.into_parts();
        let request_bytes = body.size_hint().lower();
        let path = Path::of(&head.uri);
        let route = match &path {
            Path::Clean(path) => Some(Route::of(&head.method, path)),
            Path::NotText => Some(Route::Nothing),
            Path::Moved(_) | Path::Malformed => None,
        };
        let mut user = None;
        let answer = match (&path, route) {
            (Path::Moved(location), _) => answer::moved(location),
            (_, None) => answer::empty(StatusCode::BAD_REQUEST),
            (_, Some(Route::MethodNotAllowed)) => answer::empty(StatusCode::METHOD_NOT_ALLOWED),
            (_, Some(route)) => self.routed(&head, body, route, &mut user).await,
        };
        let exchange = Exchange {
            status: answer.status().as_u16(),
            duration: start.elapsed(),
            request_bytes,
            response_bytes: answer.body().size_hint().lower(),
        };
        self.metrics.record(route, &exchange);
        if self.log.is_on() {
            self.log.write(&Entry {
                time: format_time(SystemTime::now()),
                client,
                user: user.as_deref(),
                method: head.method.as_str(),
                path: head.uri.path(),
                status: exchange.status,
                bytes: exchange.response_bytes,
                duration_us: u64::try_from(exchange.duration.as_micros()).unwrap_or(u64::MAX),
                user_agent: text(&head.headers, &USER_AGENT),
            });
        }
        answer
    }

    async fn routed<B>(&self, head: &Parts, body: B, route: Route<'_>, user: &mut Option<String>) -> Answer
    where
        B: Body<Data = Bytes>,
    {
        let refused = match self.allowed(head, body, route, user).await {
            Ok(answer) => return answer,
            Err(refused) => refused,
        };
        if let Refusal::Unknown { .. } | Refusal::Updating(_) = refused {
            log::error!("{} {}: {refused}", head.method, head.uri.path());
        }
        match route {
            Route::Pages | Route::Page { .. } if self.ui => {
                answer::refusal_page(&refused, ui::refusal(&refused))
            }
            _ => answer::refused(&refused),
        }
    }

    async fn allowed<B>(
        &self,
        head: &Parts,
        body: B,
        route: Route<'_>,
        user: &mut Option<String>,
    ) -> Result<Answer, Refusal>
    where
        B: Body<Data = Bytes>,
    {
        let query = head.uri.query().unwrap_or_default();
        let authorization = text(&head.headers, &AUTHORIZATION);
        let check = |gun, access| self.auth.check(authorization, gun, access, SystemTime::now());
        match route {
            Route::Health => Ok(self.health().await),
            Route::Metrics => Ok(answer::metrics(self.metrics.to_string())),
            Route::Ping => {
                *user = check(None, Access::Ping).await?;
                Ok(answer::ping())
            }
            Route::Feed => {
                *user = check(None, Access::Catalog).await?;
                self.changes(None, query).await
            }
            Route::ToPages if self.ui => Ok(answer::moved("/ui/")),
            Route::Pages if self.ui => {
                *user = check(None, Access::Catalog).await?;
                self.in_time(ui::index(&self.service, query)).await.map(answer::page)
            }
            Route::Page { gun } if self.ui => {
                self.check_prefix(gun, Refusal::NotFound { detail: false })?;
                *user = check(Some(gun), Access::Pull).await?;
                self.in_time(ui::repository(&self.service, gun, query)).await.map(answer::page)
            }
            Route::Repository { gun, wanted } => {
                // Before anybody is asked who they are, as in Notary.
                self.check_prefix(
                    gun,
                    match wanted {
                        Wanted::Upload => Refusal::InvalidGun(self.gun_prefixes.clone()),
                        _ => Refusal::NotFound { detail: false },
                    },
                )?;
                // No page that somebody looks at changes anything with their password:
                // browsers, and they alone, say where such a request comes from.
                if head.method != Method::GET && head.headers.contains_key(ORIGIN) {
                    return Err(Refusal::Forbidden);
                }
                *user = check(Some(gun), wanted.access()).await?;
                self.of_repository(head, body, gun, wanted).await
            }
            Route::ToPages | Route::Pages | Route::Page { .. } | Route::Nothing | Route::MethodNotAllowed => {
                *user = check(None, Access::Catalog).await?;
                Err(Refusal::NotFound { detail: false })
            }
        }
    }

    async fn of_repository<B>(
        &self,
        head: &Parts,
        body: B,
        gun: &str,
        wanted: Wanted<'_>,
    ) -> Result<Answer, Refusal>
    where
        B: Body<Data = Bytes>,
    {
        let nothing = Refusal::NotFound { detail: true };
        let service = &self.service;
        match wanted {
            Wanted::Current { role } => {
                let file = self.in_time(service.current(gun, role)).await?;
                Ok(answer::current(file, &self.caching))
            }
            Wanted::BySha256 { role, sha256 } => {
                let file = self.in_time(service.by_sha256(gun, role, &sha256.ok_or(nothing)?)).await?;
                Ok(answer::consistent(file, &self.caching))
            }
            Wanted::ByVersion { role, version } => {
                let file = self.in_time(service.by_version(gun, role, version.ok_or(nothing)?)).await?;
                Ok(answer::consistent(file, &self.caching))
            }
            Wanted::Feed => self.changes(Some(gun), head.uri.query().unwrap_or_default()).await,
            Wanted::Key { role } => service.public_key(gun, role).await.map(|key| answer::key(&key)),
            Wanted::RotateKey { role } => service.rotate_key(gun, role).await.map(|key| answer::key(&key)),
            Wanted::Delete => service.delete(gun).await.map(|()| answer::done()),
            Wanted::Upload => {
                self.upload(gun, text(&head.headers, &CONTENT_TYPE), body).await.map(|()| answer::done())
            }
        }
    }

    async fn upload<B>(&self, gun: &str, content_type: Option<&str>, body: B) -> Result<(), Refusal>
    where
        B: Body<Data = Bytes>,
    {
        let limits = &self.limits;
        let mut room = self.memory.room();
        let body = multipart::collect(body, limits.max_body, limits.request_timeout, &mut room).await?;
        let parts = multipart::parts(content_type, body).await?;
        let _turn = timeout(limits.header_timeout, self.turns.acquire()).await.map_err(|_| Refusal::Busy)?;
        let _working = self.metrics.uploads.enter();
        self.service.upload(gun, parts).await
    }

    /// For what only reads, and so can be left in the middle.
    async fn in_time<T>(&self, read: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
        timeout(self.limits.request_timeout, read).await.unwrap_or_else(|_| {
            Err(Refusal::Unknown { reason: "it took too long".into(), detail: json!({}) })
        })
    }

    fn check_prefix(&self, gun: &str, otherwise: Refusal) -> Result<(), Refusal> {
        let prefixes = &self.gun_prefixes;
        let is_served = prefixes.is_empty() || prefixes.iter().any(|prefix| gun.starts_with(prefix.as_str()));
        is_served.then_some(()).ok_or(otherwise)
    }

    async fn health(&self) -> Answer {
        let mut last = self.health.lock().await;
        if let Some((_, answer)) = last.as_ref().filter(|(when, _)| when.elapsed() < HEALTH_HOLDS) {
            return answer.clone();
        }
        let answer = answer::health(self.service.check().await);
        *last = Some((Instant::now(), answer.clone()));
        answer
    }

    async fn changes(&self, gun: Option<&str>, query: &str) -> Result<Answer, Refusal> {
        let (window, count) = window(query)?;
        let changes = self.in_time(self.service.changes(gun, window, count)).await?;
        Ok(answer::changes(&changes))
    }
}

/// A header that is visible ASCII.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Which changes, and how many of them, a query asks for.
fn window(query: &str) -> Result<(Window, usize), Refusal> {
    let text = parameter(query, "records").unwrap_or_default();
    let records: i32 = text.parse().map_err(|error: std::num::ParseIntError| {
        let reason = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        let text = Value::from(text.as_str());
        let detail = format!("invalid records parameter: strconv.ParseInt: parsing {text}: {reason}");
        Refusal::InvalidParameters(detail.into())
    })?;
    let id: i64 = match parameter(query, "change_id").unwrap_or_default().as_str() {
        "" => 0,
        id => id.parse().map_err(|_| Refusal::InvalidParameters(json!({})))?,
    };
    let window = match (id, records) {
        (..0, _) | (0, ..0) => Window::Newest,
        (id, ..0) => Window::Before(id),
        (id, _) => Window::After(id),
    };
    let count = match records.unsigned_abs() {
        0 => DEFAULT_CHANGES,
        count => count.min(MAX_CHANGES),
    };
    Ok((window, usize::try_from(count).unwrap_or(usize::MAX)))
}

/// The first value under a name.
fn parameter(query: &str, wanted: &str) -> Option<String> {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name) == wanted).then(|| decoded(value))
    })
}
