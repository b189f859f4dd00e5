//! One HTTP exchange: bounded in time, in bytes and in where it may lead.

use std::io::Read;
use std::time::{Duration, Instant};

use log::debug;
use ureq::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, LOCATION,
};
use ureq::http::{self, HeaderMap, Method, Uri};
use ureq::tls::TlsConfig;
use ureq::{Agent, AsSendBody, Body, Proxy, SendBody};

use super::connect::{NamesOnly, SharedTls};
use super::{Failure, auth, url};

/// Of the whole time, what finding and reaching the server may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The reference server redirects unclean paths, once. Stops redirects in a circle.
const MAX_REDIRECTS: usize = 3;
/// What is read of an answer that is no success: Notary reads as much. Stops
/// error pages without an end.
pub(super) const MAX_ERROR_BODY: u64 = 1024;
/// Longest header of an answer. Stops headers without an end.
const MAX_HEADER: usize = 16 * 1024;
/// A whole TLS record, and so a whole header.
const INPUT_BUFFER: usize = 18 * 1024;
/// The longest line of a request's header.
const OUTPUT_BUFFER: usize = auth::MAX_TOKEN + 1024;
/// What is reserved before the bytes have come. Stops a server that only
/// announces much.
const MAX_RESERVED: u64 = 1024 * 1024;
/// From how many bytes on a server is asked before they are sent. Go's servers
/// read no more than this of what they refuse, and their answer would be lost.
const ASK_BEFORE_SENDING: usize = 256 * 1024;
/// Connections kept for threads that verify at the same time.
const MAX_IDLE: usize = 16;

pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) url: &'a Uri,
    pub(super) authorization: Option<String>,
    /// Which types of content are wanted; any if none is given.
    pub(super) accept: Option<&'static str>,
    /// Content type and bytes.
    pub(super) body: Option<(&'a str, &'a [u8])>,
    /// Most bytes of a success.
    pub(super) limit: u64,
    /// When the exchange must be over.
    pub(super) deadline: Instant,
}

impl<'a> Request<'a> {
    pub(super) fn get(url: &'a Uri, limit: u64, deadline: Instant) -> Self {
        Self { method: Method::GET, url, authorization: None, accept: None, body: None, limit, deadline }
    }
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// The whole body of a 200; of anything else no more than its beginning.
    pub(super) body: Vec<u8>,
}

/// Connections to a trust server and its token server, shared by threads.
pub(super) struct Transport(Agent);

impl Transport {
    pub(super) fn new(tls: TlsConfig) -> Self {
        // ureq bounds the number of fields in a header: 128.
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .tls_config(tls)
            .proxy(Proxy::try_from_env())
            .user_agent(concat!("tagtrust/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .max_response_header_size(MAX_HEADER)
            .input_buffer_size(INPUT_BUFFER)
            .output_buffer_size(OUTPUT_BUFFER)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .max_idle_connections(MAX_IDLE)
            .max_idle_connections_per_host(MAX_IDLE)
            .build();
        Self(Agent::with_parts(config, SharedTls::default(), NamesOnly::default()))
    }

    /// Sends the request, and again where the same server redirects it to.
    pub(super) fn send(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let mut url = request.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.exchange(request, &url)?;
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) || request.method != Method::GET {
                return Ok(answer);
            }
            let location =
                answer.headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
            url = url::redirected(&url, location).ok_or_else(|| {
                Failure::unusable(format!("{} redirects elsewhere", url::shown(&url)), Some(answer.status))
            })?;
        }
        Err(Failure::unusable(format!("more than {MAX_REDIRECTS} redirects"), None))
    }

    fn exchange(&self, request: &Request<'_>, url: &Uri) -> Result<Answer, Failure> {
        let started = Instant::now();
        let mut unsent = request.body.map(|(_, bytes)| bytes);
        let mut result = match &mut unsent {
            None => self.run(request, url, ()),
            Some(bytes) => self.run(request, url, SendBody::from_reader(bytes)),
        };
        if let Err(Failure::Unreachable { sent, .. }) = &mut result {
            *sent = unsent.is_some_and(<[u8]>::is_empty);
        }
        let (method, url, ms) = (&request.method, url::shown(url), started.elapsed().as_millis());
        match &result {
            Ok(answer) => debug!("{method} {url}: {}, {} bytes, {ms} ms", answer.status, answer.body.len()),
            Err(failure) => debug!("{method} {url}: {failure:?}, {ms} ms"),
        }
        result
    }

    fn run(&self, request: &Request<'_>, url: &Uri, body: impl AsSendBody) -> Result<Answer, Failure> {
        let left = request.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::broken("timed out"));
        }
        let mut http = http::Request::builder().method(&request.method).uri(url);
        if let Some(authorization) = &request.authorization {
            http = http.header(AUTHORIZATION, authorization);
        }
        if let Some(accept) = request.accept {
            http = http.header(ACCEPT, accept);
        }
        if let Some((content_type, bytes)) = request.body {
            http = http.header(CONTENT_TYPE, content_type).header(CONTENT_LENGTH, bytes.len());
            if bytes.len() > ASK_BEFORE_SENDING {
                http = http.header(EXPECT, "100-continue");
            }
        }
        let http = http.body(body).map_err(|error| Failure::broken(error.to_string()))?;
        let mut configured = self.0.configure_request(http).timeout_global(Some(left));
        if url::is_loopback(url) {
            // As in Go: what is on this machine is not asked through a proxy.
            configured = configured.proxy(None);
        }
        let response = self.0.run(configured.build()).map_err(Failure::from)?;
        let (head, body) = response.into_parts();
        let status = head.status.as_u16();
        let body = match status {
            200 => whole(body, &head.headers, request.limit)?,
            _ => beginning(body),
        };
        Ok(Answer { status, headers: head.headers, body })
    }
}

/// All of a body, or an error: never a part of it.
fn whole(body: Body, headers: &HeaderMap, limit: u64) -> Result<Vec<u8>, Failure> {
    if headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Failure::unusable("the body is encoded, which was not asked for", Some(200)));
    }
    let announced = body.content_length().unwrap_or_default();
    if announced > limit {
        return Err(Failure::TooLarge);
    }
    let mut bytes = Vec::with_capacity(announced.min(MAX_RESERVED) as usize);
    body.into_reader()
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::from(ureq::Error::from(error)))?;
    if bytes.len() as u64 > limit {
        return Err(Failure::TooLarge);
    }
    Ok(bytes)
}

/// The beginning of a body that nobody depends on. A short one is read to its
/// end, which keeps the connection.
fn beginning(body: Body) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Err(error) = body.into_reader().take(MAX_ERROR_BODY).read_to_end(&mut bytes) {
        debug!("the body of an error is cut: {error}");
    }
    bytes
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        use ureq::{Error, Timeout};
        match error {
            Error::Timeout(Timeout::Resolve | Timeout::Connect) => Self::broken("timed out while connecting"),
            Error::Timeout(_) => Self::broken("timed out"),
            Error::Io(error) => Self::broken(match advice(&error) {
                Some(advice) => format!("{error}; {advice}"),
                None => error.to_string(),
            }),
            Error::Protocol(_) | Error::LargeResponseHeader(..) => Self::unusable(error.to_string(), None),
            other => Self::broken(other.to_string()),
        }
    }
}

/// What to do about the two mistakes that are made most with certificates.
fn advice(error: &std::io::Error) -> Option<&'static str> {
    use rustls::{CertificateError, Error};
    let Error::InvalidCertificate(fault) = error.get_ref()?.downcast_ref()? else { return None };
    match fault {
        CertificateError::UnknownIssuer => {
            Some("give the server's CA as ca_file, or put it below tls/ in Docker's directory")
        }
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            Some("the server's certificate is a CA itself: give it one that a CA has issued")
        }
        _ => None,
    }
}
