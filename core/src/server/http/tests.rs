//! A server over HTTP, and those who speak to it byte for byte.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame};
use hyper::{Method, Request};
use pki_types::pem::PemObject;
use pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::RootCertStore;

use super::App;
use crate::server::config::{AccessLog, AuthConfig, KeysConfig, Limits, Passphrases, StorageConfig, Tls};
use crate::server::service::{Service, Settings};
use crate::server::{Server, ServerConfig, keys, storage};
use crate::{Client, Error, Target, Zeroizing};

const NOTHING: &str = "{\"errors\":[{\"code\":\"METADATA_NOT_FOUND\",\"message\":\"You have requested metadata that does not exist.\"}]}\n";
const NO_FILE: &str = "{\"errors\":[{\"code\":\"METADATA_NOT_FOUND\",\"message\":\"You have requested metadata that does not exist.\",\"detail\":{}}]}\n";
const MALFORMED: &str =
    "{\"errors\":[{\"code\":\"MALFORMED_UPLOAD\",\"message\":\"The body of your request is malformed.\"}]}\n";

fn start(change: impl FnOnce(&mut ServerConfig)) -> Server {
    let mut config = ServerConfig::default();
    change(&mut config);
    Server::start(config).unwrap()
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Everything until the server closes.
fn rest(mut stream: impl Read) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    String::from_utf8(answer).unwrap()
}

fn send(server: &Server, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = connect(server);
    stream.write_all(bytes.as_ref()).unwrap();
    rest(stream)
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

fn ask_with(server: &Server, method: &str, path: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::read(&send(
        server,
        format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        ),
    ))
}

fn ask(server: &Server, method: &str, path: &str) -> Reply {
    ask_with(server, method, path, "", "")
}

const UPLOAD: &str = "/v2/a/b/_trust/tuf/";
const FORM: &str = "Content-Type: multipart/form-data; boundary=b\r\n";

fn client(server: &Server, directory: &Path) -> Client {
    let mut builder = Client::builder()
        .server(server.url())
        .trust_dir(directory.join("trust"))
        .docker_config(directory.join("docker"))
        .timeout(Duration::from_secs(20))
        .passphrase(|_| Some(Zeroizing::new("correct horse".into())));
    if let Some(pem) = server.certificate_pem() {
        let ca = directory.join("ca.pem");
        fs::write(&ca, pem).unwrap();
        builder = builder.ca_file(ca);
    }
    builder.build().unwrap()
}

const IMAGE: &str = "registry.example:5000/team/app:1.2";
const GUN: &str = "registry.example:5000/team/app";
const DIGEST: &str = "sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865";

#[test]
fn our_own_client_publishes_and_verifies_over_tls_and_without() {
    for tls in [Tls::SelfSigned, Tls::Off] {
        let directory = tempfile::tempdir().unwrap();
        let server = start(|config| config.tls = tls.clone());
        let client = client(&server, directory.path());
        client.sign(IMAGE, Some(Target::new(DIGEST, 1570))).unwrap();
        assert_eq!(client.verify(IMAGE).unwrap().digest, DIGEST);
        assert_eq!(server.certificate_pem().is_some(), matches!(tls, Tls::SelfSigned));
    }
}

#[test]
fn what_is_served_is_labelled_as_notary_server_does() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(|_| {});
    client(&server, directory.path()).sign(IMAGE, Some(Target::new(DIGEST, 1570))).unwrap();
    let base = format!("/v2/{GUN}/_trust/tuf");

    let current = ask(&server, "GET", &format!("{base}/targets.json"));
    assert_eq!(current.status, 200);
    assert_eq!(current.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(current.header("cache-control"), Some("public, max-age=300, s-maxage=300, must-revalidate"));
    assert!(current.header("last-modified").unwrap().ends_with(" gmt"));
    assert!(current.header("date").is_some());

    let snapshot = ask(&server, "GET", &format!("{base}/snapshot.json")).body;
    let snapshot: serde_json::Value = serde_json::from_str(&snapshot).unwrap();
    let sha256 = snapshot["signed"]["meta"]["targets"]["hashes"]["sha256"].as_str().unwrap();
    use base64ct::{Base64, Encoding};
    let sha256 = crate::metadata::hex(&Base64::decode_vec(sha256).unwrap());
    let version =
        serde_json::from_str::<serde_json::Value>(&current.body).unwrap()["signed"]["version"].clone();
    for name in [
        format!("targets.{sha256}.json"),
        format!("{version}.targets.json"),
        format!("0{version}.targets.json"),
    ] {
        let consistent = ask(&server, "GET", &format!("{base}/{name}"));
        assert_eq!((consistent.status, &consistent.body), (200, &current.body), "{name}");
        assert_eq!(consistent.header("cache-control"), Some("public, max-age=2592000, s-maxage=2592000"));
    }
    // Escapes are resolved before anything else.
    let escaped = base.replace(':', "%3A").replace("_trust", "%5Ftrust").replace("team/", "team%2F");
    assert_eq!(ask(&server, "GET", &format!("{escaped}/targets.json")).body, current.body);
    for name in [
        format!("targets.{}.json", sha256.to_uppercase()),
        format!("root.{sha256}.json"),
        "0.root.json".into(),
        "99999999999999999999.root.json".into(),
        "targets/x.json".into(),
    ] {
        let missing = ask(&server, "GET", &format!("{base}/{name}"));
        assert_eq!((missing.status, missing.body.as_str()), (404, NO_FILE), "{name}");
        assert_eq!(missing.header("cache-control"), None);
    }

    let feed = ask(&server, "GET", &format!("/v2/{GUN}/_trust/changefeed?records=100"));
    assert_eq!(feed.header("content-type"), Some("text/plain; charset=utf-8"));
    let feed: serde_json::Value = serde_json::from_str(&feed.body).unwrap();
    assert_eq!(feed["records"][0]["GUN"], GUN);
    assert_eq!(feed["records"][0]["Category"], "update");

    assert_eq!(ask(&server, "DELETE", &format!("{base}/")).body, "");
    assert_eq!(ask(&server, "GET", &format!("{base}/targets.json")).body, NO_FILE);
}

#[test]
fn requests_are_answered_as_notary_server_answers_them() {
    let server = start(|_| {});
    // Each was asked of the real server.
    for (method, path, status, body) in [
        ("GET", "/v2/", 200, "{}"),
        ("GET", "/v2", 404, NOTHING),
        ("HEAD", "/v2/", 404, ""),
        ("HEAD", "/v2/a/_trust/tuf/root.json", 404, ""),
        ("OPTIONS", "/v2/", 405, ""),
        ("PATCH", "/x", 405, ""),
        ("TRACE", "/v2/", 405, ""),
        ("FOO", "/v2/", 405, ""),
        ("GET", "/", 404, NOTHING),
        ("PUT", "/v2/a/_trust/tuf/", 404, NOTHING),
        ("GET", "/v2/a/_trust/tuf/", 404, NOTHING),
        ("DELETE", "/v2/a/_trust/tuf", 404, NOTHING),
        ("DELETE", "/v2/a/_trust/tuf/", 200, ""),
        ("POST", "/v2/a/_trust/tuf/", 400, MALFORMED),
        ("GET", "/v2/a/_trust/tuf/root.json", 404, NO_FILE),
        ("GET", "/v2/a/_trust/tuf/root.json?%zz", 404, NO_FILE),
        ("GET", "/v2/a/_trust/tuf/targets/A.json", 404, NO_FILE),
        ("GET", "/v2/a/_trust/tuf/targets/a/.json", 404, NOTHING),
        ("GET", "/v2/a/_trust/tuf/root.json/", 404, NOTHING),
        ("GET", "/v2/a/_trust/tuf/targets.key", 404, NOTHING),
        ("POST", "/v2/a/_trust/tuf/root.key", 404, NOTHING),
        ("GET", "/v2/a*b/_trust/tuf/root.json", 404, NOTHING),
        ("GET", "/v2/a%2Ab/_trust/tuf/root.json", 404, NOTHING),
        ("GET", "/v2/_trust/tuf/root.json", 404, NOTHING),
        ("GET", "/_notary_server/health", 200, "{}"),
        ("HEAD", "/_notary_server/health", 404, ""),
        ("POST", "/metrics", 404, NOTHING),
        ("GET", "/v2/a/_trust/changefeed/", 404, NOTHING),
        ("GET", "/v2/_trust/changefeed?records=5&change_id=-7", 200, "{\"count\":0,\"records\":[]}"),
    ] {
        let reply = ask(&server, method, path);
        assert_eq!((reply.status, reply.body.as_str()), (status, body), "{method} {path}");
        let content_type = match reply.status {
            404 | 400 => Some("application/json; charset=utf-8"),
            _ if path.ends_with("health") => Some("application/json; charset=utf-8"),
            200 if !body.is_empty() => Some("text/plain; charset=utf-8"),
            _ => None,
        };
        assert_eq!(reply.header("content-type"), content_type, "{method} {path}");
    }
    let head = ask(&server, "HEAD", "/v2/");
    assert_eq!(head.header("content-length"), Some("104"));
    let moved = ask(&server, "GET", "/v2//a/../b/%21%2e?x=1&y");
    assert_eq!((moved.status, moved.body.as_str()), (301, ""));
    assert_eq!(moved.header("location"), Some("/v2/b/%21.?x=1&y"));
    assert_eq!(ask(&server, "GET", "/v2/a%zz/_trust/tuf/root.json").status, 400);
    assert_eq!(ask(&server, "GET", "/ui").header("location"), Some("/ui/"));
}

#[test]
fn the_parameters_of_the_feed_are_checked_as_notary_server_does() {
    let server = start(|_| {});
    for (query, detail) in [
        ("", r#""invalid records parameter: strconv.ParseInt: parsing \"\": invalid syntax""#),
        ("records=x", r#""invalid records parameter: strconv.ParseInt: parsing \"x\": invalid syntax""#),
        (
            "records=99999999999",
            r#""invalid records parameter: strconv.ParseInt: parsing \"99999999999\": value out of range""#,
        ),
        ("records=1&records=2&change_id=abc", "{}"),
        ("records=%2B5&change_id=+5", "{}"),
    ] {
        let reply = ask(&server, "GET", &format!("/v2/a/_trust/changefeed?{query}"));
        let expected = format!(
            "{{\"errors\":[{{\"code\":\"INVALID_PARAMETERS\",\"message\":\"The parameters provided are not valid.\",\"detail\":{detail}}}]}}\n"
        );
        assert_eq!((reply.status, reply.body), (400, expected), "{query}");
    }
}

#[test]
fn windows_of_the_feed_are_those_of_notary_server() {
    use crate::server::storage::Window::{After, Before, Newest};
    let window = |query: &str| super::window(query).unwrap();
    assert_eq!(window("records=0"), (After(0), 100));
    assert_eq!(window("change_id=7&records=3"), (After(7), 3));
    assert_eq!(window("records=-3&change_id=7"), (Before(7), 3));
    assert_eq!(window("records=-3"), (Newest, 3));
    for records in ["2", "-2"] {
        assert_eq!(window(&format!("change_id=-1&records={records}")), (Newest, 2));
    }
    assert_eq!(window("records=-2147483648&change_id="), (Newest, 10_000));
}

#[test]
fn prefixes_come_before_passwords_and_passwords_before_everything_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("htpasswd");
    let hash = bcrypt::hash("secret", 4).unwrap();
    fs::write(&path, format!("alice:{hash}\n")).unwrap();
    let server = start(|config| {
        config.gun_prefixes = vec!["a/".into(), "b/".into()];
        config.auth =
            AuthConfig::Htpasswd { realm: "here".into(), path: path.clone(), anonymous_pull: false };
    });
    let elsewhere = ask_with(&server, "POST", "/v2/c/_trust/tuf/", FORM, "--b--");
    assert_eq!(elsewhere.status, 400);
    assert!(
        elsewhere.body.contains("\"INVALID_GUN\"")
            && elsewhere.body.contains("Require GUNs with prefix: [a/ b/]")
    );
    for (method, path) in [
        ("GET", "/v2/c/_trust/tuf/root.json"),
        ("GET", "/v2/a/_trust/tuf/root.json"),
        ("GET", "/v2/c/_trust/tuf/timestamp.key"),
        ("DELETE", "/v2/c/_trust/tuf/"),
        ("GET", "/v2/c/_trust/changefeed?records=1"),
    ] {
        let reply = ask(&server, method, path);
        assert_eq!((reply.status, reply.body.as_str()), (404, NOTHING), "{method} {path}");
    }
    for (method, path) in [
        ("GET", "/v2/"),
        ("HEAD", "/v2/"),
        ("GET", "/nothing"),
        ("GET", "/v2/_trust/changefeed"),
        ("GET", "/v2/a/x/_trust/tuf/root.json"),
        ("GET", "/v2/a/x/_trust/changefeed"),
        ("POST", "/v2/a/x/_trust/tuf/"),
        ("POST", "/v2/a/x/_trust/tuf/timestamp.key"),
        ("GET", "/ui/"),
        ("GET", "/ui/a/x"),
    ] {
        let reply = ask(&server, method, path);
        assert_eq!(reply.status, 401, "{method} {path}");
        assert!(reply.header("www-authenticate").unwrap().starts_with("basic realm="), "{method} {path}");
    }
    for path in ["/_notary_server/health", "/metrics"] {
        assert_eq!(ask(&server, "GET", path).status, 200, "{path}");
    }
    // alice:secret
    let reply = ask_with(
        &server,
        "GET",
        "/v2/a/x/_trust/tuf/root.json",
        "Authorization: Basic YWxpY2U6c2VjcmV0\r\n",
        "",
    );
    assert_eq!((reply.status, reply.body.as_str()), (404, NO_FILE));
}

#[test]
fn uploads_that_are_none_are_refused() {
    let server = start(|_| {});
    let part = "--b\r\nContent-Disposition: form-data; name=\"files\"; filename=\"root\"\r\n\r\n{}\r\n";
    for (headers, body) in [
        ("", ""),
        ("Content-Type: application/json\r\n", "{}"),
        (FORM, ""),
        (FORM, part),
        (FORM, "--b\r\nContent-Disposition: form-data"),
        ("Content-Type: multipart/form-data\r\n", "--b--"),
    ] {
        let reply = ask_with(&server, "POST", UPLOAD, headers, body);
        assert_eq!((reply.status, reply.body.as_str()), (400, MALFORMED), "{headers} {body}");
    }
    for (body, code) in [
        ("--b--\r\n".to_owned(), "INVALID_UPDATE"),
        (format!("{}--b--", part.replace("filename", "name")), "NO_FILENAME"),
        (format!("{}--b--", part.replace("root", "foo")), "INVALID_ROLE"),
        (format!("{}--b--", part.replace("{}", "{")), "MALFORMED_JSON"),
    ] {
        let reply = ask_with(&server, "POST", UPLOAD, FORM, &body);
        assert_eq!(reply.status, 400);
        assert!(reply.body.contains(&format!("\"code\":\"{code}\"")), "{body}: {}", reply.body);
    }
}

#[test]
fn no_page_in_a_browser_changes_anything() {
    let server = start(|_| {});
    let key = format!("{UPLOAD}timestamp.key");
    for (method, path) in [("POST", UPLOAD), ("DELETE", UPLOAD), ("POST", &key)] {
        for origin in ["https://evil.example", "null"] {
            let reply = ask_with(&server, method, path, &format!("{FORM}Origin: {origin}\r\n"), "--b--");
            assert_eq!(reply.status, 403, "{method} {path}");
            assert!(reply.body.contains("\"FORBIDDEN\""), "{}", reply.body);
        }
        assert_ne!(ask_with(&server, method, path, FORM, "--b--").status, 403, "{method} {path}");
    }
}

#[test]
fn large_uploads_are_refused_before_they_are_read() {
    let server = start(|config| config.limits.max_body = 1000);
    let too_large = |reply: &Reply| {
        assert_eq!(reply.status, 413);
        assert!(reply.body.contains("\"MALFORMED_UPLOAD\""), "{}", reply.body);
    };
    // Nothing of the body is sent.
    let head = format!("POST {UPLOAD} HTTP/1.1\r\nHost: x\r\n{FORM}Content-Length: 1001\r\n\r\n");
    too_large(&Reply::read(&send(&server, head)));
    // The size is known only in the end.
    let head = format!("POST {UPLOAD} HTTP/1.1\r\nHost: x\r\n{FORM}Transfer-Encoding: chunked\r\n\r\n");
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    too_large(&Reply::read(&send(&server, head.clone() + &chunk.repeat(3))));
    let fits =
        send(&server, head.replace("Host", "Connection: close\r\nHost") + &chunk.repeat(2) + "0\r\n\r\n");
    assert_eq!(Reply::read(&fits).body, MALFORMED);
}

#[test]
fn what_is_no_http_gets_an_answer_or_a_closed_connection() {
    let server = start(|_| {});
    let long = "a".repeat(200_000);
    for (bytes, statuses) in [
        ("\x16\x03\x01\r\n\r\n".to_owned(), &[400][..]),
        ("GET\r\n\r\n".into(), &[400]),
        ("GET /v2/ HTTP/9.9\r\n\r\n".into(), &[400, 505]),
        (format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"), &[414, 431]),
        (format!("GET / HTTP/1.1\r\nX: {long}\r\n\r\n"), &[431]),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200)), &[431]),
        (format!("POST {UPLOAD} HTTP/1.1\r\nContent-Length: -5\r\n\r\n"), &[400]),
        (format!("POST {UPLOAD} HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"), &[400]),
        (format!("POST {UPLOAD} HTTP/1.1\r\n{FORM}Transfer-Encoding: chunked\r\n\r\nzz\r\n"), &[400]),
        ("GET /v2/\0 HTTP/1.1\r\n\r\n".into(), &[400]),
    ] {
        let answer = send(&server, &bytes);
        if !answer.is_empty() {
            let status = Reply::read(&answer).status;
            assert!(statuses.contains(&status), "{status} for {}", bytes.get(..60).unwrap_or(&bytes));
        }
    }
    assert_eq!(ask(&server, "GET", "/v2/").status, 200);
}

#[test]
fn one_connection_carries_many_requests() {
    let server = start(|_| {});
    let requests = "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50)
        + "GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(send(&server, requests).matches("HTTP/1.1 200 OK").count(), 51);
}

#[test]
fn slow_senders_are_cut_off_and_keep_nobody_waiting() {
    let server = start(|config| {
        config.limits = Limits {
            max_body: 1 << 20,
            max_uploads: 1,
            header_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(2),
            ..Limits::default()
        }
    });
    // Small bodies that never end, a head that never ends, and nothing at all.
    let body = format!("POST {UPLOAD} HTTP/1.1\r\nHost: x\r\n{FORM}Content-Length: 100\r\n\r\n--b");
    let slow: Vec<TcpStream> = (0..60)
        .map(|index| {
            let mut stream = connect(&server);
            stream.write_all([body.as_str(), "GET /v2/ HT", ""][index % 3].as_bytes()).unwrap();
            stream
        })
        .collect();
    let start = Instant::now();
    assert!(ask_with(&server, "POST", UPLOAD, FORM, "--b--").body.contains("INVALID_UPDATE"));
    assert!(start.elapsed() < Duration::from_secs(1));
    for (index, stream) in slow.into_iter().enumerate() {
        let answer = rest(stream);
        assert!(answer.is_empty() || [400, 408].contains(&Reply::read(&answer).status), "{index}: {answer}");
    }
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn whoever_reads_too_slowly_is_cut_off() {
    let server = start(|config| config.limits.request_timeout = Duration::from_millis(500));
    let mut stream = connect(&server);
    // More answers than the buffers of both sides hold.
    let requests = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    let failed = (0..1000).find_map(|_| stream.write_all(requests.as_bytes()).err()).unwrap();
    assert!(
        [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&failed.kind()),
        "not cut off: {failed}"
    );
}

#[test]
fn large_uploads_wait_for_memory_and_are_refused_as_busy() {
    let server = start(|config| {
        config.limits = Limits {
            max_body: 1 << 20,
            max_uploads: 2,
            header_timeout: Duration::from_millis(300),
            ..Limits::default()
        }
    });
    let head = format!(
        "POST {UPLOAD} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{FORM}Content-Length: 1048576\r\n\r\n"
    );
    let mut holders: Vec<TcpStream> = (0..10).map(|_| connect(&server)).collect();
    holders.iter_mut().for_each(|holder| holder.write_all(head.as_bytes()).unwrap());
    thread::sleep(Duration::from_millis(200));
    // Who only announces much keeps nobody out.
    assert!(ask_with(&server, "POST", UPLOAD, FORM, "--b--").body.contains("INVALID_UPDATE"));

    holders.iter_mut().take(2).for_each(|holder| holder.write_all(&[b'x'; (1 << 20) - 1]).unwrap());
    thread::sleep(Duration::from_millis(200));
    let refused = ask_with(&server, "POST", UPLOAD, FORM, "--b--");
    assert_eq!(refused.status, 503);
    assert!(refused.body.contains("\"BUSY\""), "{}", refused.body);
    drop(holders);
    // Their memory is free as soon as they are gone.
    let reply = ask_with(&server, "POST", UPLOAD, FORM, &"x".repeat(1 << 20));
    assert_eq!(reply.body, MALFORMED);
}

#[test]
fn more_connections_than_are_allowed_wait_their_turn() {
    let server = start(|config| config.limits.max_connections = 2);
    let mut holders: Vec<TcpStream> = (0..2).map(|_| connect(&server)).collect();
    for holder in &mut holders {
        holder.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert!(holder.read(&mut [0; 1024]).unwrap() > 0);
    }
    let mut waiting = connect(&server);
    waiting.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    waiting.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(waiting.read(&mut [0; 1]).is_err(), "nobody is served beyond the limit");
    drop(holders.pop());
    waiting.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(Reply::read(&rest(waiting)).status, 200);
}

#[test]
fn stopping_closes_idle_connections_at_once_and_finishes_requests() {
    let server = start(|_| {});
    let mut idle = connect(&server);
    idle.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert!(idle.read(&mut [0; 1024]).unwrap() > 0);
    let mut busy = connect(&server);
    write!(busy, "POST {UPLOAD} HTTP/1.1\r\nHost: x\r\n{FORM}Content-Length: 5\r\n\r\n--").unwrap();
    thread::sleep(Duration::from_millis(200));

    let address = server.address();
    let stopping = thread::spawn(move || server.stop());
    assert_eq!(rest(idle), "");
    // The listener closes at the same time as the idle connection, by another task.
    let begin = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(5), "new connections");
    }
    assert!(!stopping.is_finished());
    busy.write_all(b"b--").unwrap();
    assert!(rest(busy).contains("INVALID_UPDATE"));
    stopping.join().unwrap();
}

#[test]
fn servers_start_fast_stand_side_by_side_and_stop_within_any_runtime() {
    let begin = Instant::now();
    let servers: Vec<Server> = (0..4).map(|_| start(|config| config.tls = Tls::SelfSigned)).collect();
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    let mut addresses: Vec<SocketAddr> = servers.iter().map(Server::address).collect();
    addresses.dedup();
    assert_eq!(addresses.len(), 4);
    assert_ne!(servers[0].certificate_pem(), servers[1].certificate_pem());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        drop(servers);
        start(|_| {}).stop();
    });
    for address in addresses {
        assert!(TcpStream::connect(address).is_err());
    }
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let named = |change: &dyn Fn(&mut ServerConfig)| {
        let mut config = ServerConfig::default();
        change(&mut config);
        let Err(Error::InvalidConfiguration { what, .. }) = Server::start(config) else { panic!("started") };
        what
    };
    let listen = taken.local_addr().unwrap();
    assert_eq!(named(&|config| config.listen = listen), format!("listen address {listen}"));
    for prefix in ["docker.io", "", "/", "/a/", "a//", "../", "a/./b/", "a/../"] {
        assert!(named(&|config| config.gun_prefixes = vec![prefix.into()]).contains(prefix), "{prefix}");
    }
    assert!(named(&|config| config.limits.max_connections = 0).contains("connections"));
    let missing = || PathBuf::from("/nowhere/server.pem");
    let files = Tls::Files { certificate: missing(), key: missing(), client_ca: None };
    assert_eq!(named(&|config| config.tls = files.clone()), "/nowhere/server.pem");
    let key =
        Tls::Files { certificate: testdata("server.pem"), key: testdata("client.key"), client_ca: None };
    assert_eq!(named(&|config| config.tls = key.clone()), testdata("client.key").display().to_string());
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/remote/testdata").join(name)
}

/// One request over TLS; whom the client trusts, and whether it shows a certificate.
fn over_tls(server: &Server, ca: &[u8], shown: bool) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = if shown {
        let chain = vec![CertificateDer::from_pem_file(testdata("client.pem")).unwrap()];
        builder
            .with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(testdata("client.key")).unwrap())
            .unwrap()
    } else {
        builder.with_no_client_auth()
    };
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, connect(server));
    stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn certificates_are_read_again_on_reload_and_bad_ones_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("server.pem"), directory.path().join("server.key"));
    fs::copy(testdata("server.pem"), &certificate).unwrap();
    fs::copy(testdata("server.key"), &key).unwrap();
    let ca = fs::read(testdata("ca.pem")).unwrap();
    let files = Tls::Files { certificate: certificate.clone(), key: key.clone(), client_ca: None };
    let server = start(|config| config.tls = files);
    assert!(over_tls(&server, &ca, false).unwrap().contains("200 OK"));

    fs::write(&certificate, "no certificate").unwrap();
    assert!(server.reload().is_err());
    assert!(over_tls(&server, &ca, false).unwrap().contains("200 OK"));

    let address = server.address().ip();
    let (new, new_key) =
        crate::crypto::issue_server_certificate(address, SystemTime::now(), Duration::from_secs(86_400))
            .unwrap();
    fs::write(&certificate, &new).unwrap();
    use x509_cert::der::pem::{LineEnding, encode_string};
    fs::write(&key, encode_string("PRIVATE KEY", LineEnding::LF, &new_key).unwrap()).unwrap();
    server.reload().unwrap();
    assert!(over_tls(&server, new.as_bytes(), false).unwrap().contains("200 OK"));
    assert!(over_tls(&server, &ca, false).is_err());
}

#[test]
fn clients_without_the_certificate_that_is_wanted_get_nothing() {
    let tls = Tls::Files {
        certificate: testdata("server.pem"),
        key: testdata("server.key"),
        client_ca: Some(testdata("ca.pem")),
    };
    let server = start(|config| config.tls = tls);
    let ca = fs::read(testdata("ca.pem")).unwrap();
    assert!(over_tls(&server, &ca, true).unwrap().contains("200 OK"));
    assert!(over_tls(&server, &ca, false).is_err());
    assert!(!send(&server, "GET /v2/ HTTP/1.1\r\n\r\n").contains("HTTP/1.1"));
    assert!(over_tls(&server, &ca, true).unwrap().contains("200 OK"));
}

#[test]
fn the_access_log_has_who_did_what_and_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let (path, users) = (directory.path().join("access.log"), directory.path().join("htpasswd"));
    fs::write(&users, format!("alice:{}\n", bcrypt::hash("secret", 4).unwrap())).unwrap();
    let server = start(|config| {
        config.access_log = AccessLog::File(path.clone());
        config.auth = AuthConfig::Htpasswd { realm: "here".into(), path: users, anonymous_pull: false };
    });
    let headers = "Authorization: Basic YWxpY2U6c2VjcmV0\r\nUser-Agent: Docker-Client/28 \"x\"\r\n";
    ask_with(&server, "GET", "/v2/a%20b/_trust/tuf/root.json?token=hidden", headers, "");
    ask(&server, "POST", UPLOAD);
    server.stop();
    let log = fs::read_to_string(path).unwrap();
    for secret in ["YWxpY2U6c2VjcmV0", "secret", "hidden", "Basic"] {
        assert!(!log.contains(secret), "{log}");
    }
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["user"], "alice");
    assert_eq!(lines[0]["client"], "127.0.0.1");
    assert_eq!(lines[0]["path"], "/v2/a%20b/_trust/tuf/root.json");
    assert_eq!(lines[0]["status"], 404);
    assert_eq!(lines[0]["bytes"], NO_FILE.len());
    assert_eq!(lines[0]["user_agent"], "Docker-Client/28 \"x\"");
    assert_eq!((&lines[1]["user"], &lines[1]["status"]), (&serde_json::Value::Null, &401.into()));
}

/// A body that comes when it is told to.
struct Later(tokio::sync::mpsc::Receiver<Bytes>);

impl Body for Later {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|data| data.map(|data| Ok(Frame::data(data))))
    }
}

async fn app(config: &ServerConfig) -> Arc<App> {
    let storage = storage::open(&StorageConfig::Memory, false).await.unwrap();
    let keys = keys::open(&KeysConfig::Local(Passphrases::default()), &storage, &StorageConfig::Memory)
        .await
        .unwrap();
    let settings = Settings {
        snapshot_lifetime: config.snapshot_lifetime,
        timestamp_lifetime: config.timestamp_lifetime,
        read_only: config.read_only,
        keep_versions: None,
        clock: Arc::new(SystemTime::now),
    };
    Arc::new(App::new(config, Arc::new(Service::new(storage, keys, settings))).unwrap())
}

#[tokio::test]
async fn what_changes_something_goes_on_when_the_client_is_gone() {
    let app = app(&ServerConfig::default()).await;
    let (body, later) = tokio::sync::mpsc::channel(1);
    let request = Request::builder().method(Method::POST).uri(UPLOAD).body(Later(later)).unwrap();
    let answer = Arc::clone(&app).answer([127, 0, 0, 1].into(), request);
    assert!(tokio::time::timeout(Duration::from_millis(50), answer).await.is_err());
    assert!(!app.metrics.to_string().contains("UpdateTUF"));
    drop(body);
    let done = async {
        while !app.metrics.to_string().contains("code=\"400\",method=\"post\",operation=\"UpdateTUF\"") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), done).await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_does_not_have_the_room_of_a_request() {
    let app = app(&ServerConfig::default()).await;
    let request = Request::builder().uri("/v2/").body(Full::new(Bytes::new())).unwrap();
    let answer = pin!(Arc::clone(&app).answer([127, 0, 0, 1].into(), request));
    assert!(size_of_val(&*answer) < 1024, "{}", size_of_val(&*answer));
    assert_eq!(answer.await.into_body().collect().await.unwrap().to_bytes(), "{}");
}

#[tokio::test]
async fn without_pages_there_are_none() {
    let app = app(&ServerConfig { ui: false, ..ServerConfig::default() }).await;
    for path in ["/ui", "/ui/", "/ui/a"] {
        let request = Request::builder().uri(path).body(Full::new(Bytes::new())).unwrap();
        let answer = Arc::clone(&app).answer([127, 0, 0, 1].into(), request).await;
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), NOTHING);
    }
}
