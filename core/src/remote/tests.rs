//! Against peers on loopback, most of them hostile.

mod publish;
mod registry;

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::testing::{Peer, testdata};
use super::*;
use crate::Error;

const GUN: &str = "reg.example:5000/team/app";
const ROOT: &str = "GET /v2/reg.example:5000/team/app/_trust/tuf/root.json";

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn settings(server: &str) -> Settings {
    Settings {
        server: Some(server.to_owned()),
        docker_config: Some("/nonexistent".into()),
        ..Settings::default()
    }
}

fn remote(settings: Settings) -> Arc<Remote> {
    Remotes::new(settings).unwrap().server_for("reg.example:5000").unwrap()
}

fn get(peer: &Peer) -> Result<Vec<u8>, Failure> {
    remote(settings(&peer.url())).get(GUN, "root.json", 100, soon())
}

/// A peer that answers the ping, and everything else with these bytes and the
/// end of the connection.
fn saying(bytes: impl Into<Vec<u8>>) -> Peer {
    let bytes = bytes.into();
    Peer::new(move |seen, stream| {
        if seen.line == "GET /v2/" {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")?;
            return Ok(true);
        }
        stream.write_all(&bytes)?;
        Ok(false)
    })
}

fn broken(result: Result<Vec<u8>, Failure>) -> String {
    match result {
        Err(Failure::Unreachable { reason, answered: false, status: None, sent: false }) => reason,
        other => panic!("{other:?}"),
    }
}

fn unusable(result: Result<Vec<u8>, Failure>) -> (String, Option<u16>) {
    match result {
        Err(Failure::Unreachable { reason, answered: true, status, sent: false }) => (reason, status),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_is_fetched_over_a_kept_connection_after_one_ping() {
    let peer = Peer::with(|seen| (seen.line == ROOT).then(|| (200, String::new(), "signed".into())));
    let remotes = Remotes::new(settings(&format!("{}/", peer.url()))).unwrap();
    let remote = remotes.server_for("reg.example:5000").unwrap();
    assert_eq!(remote.url(), peer.url());
    assert!(Arc::ptr_eq(&remote, &remotes.server_for("reg.example:5000").unwrap()));

    assert_eq!(remote.get(GUN, "root.json", 6, soon()).unwrap(), b"signed");
    assert_eq!(remote.get(GUN, "snapshot.json", 6, soon()), Err(Failure::NotFound));
    assert_eq!(remote.get(GUN, "root.json", 6, soon()).unwrap(), b"signed");
    assert_eq!(peer.lines(), ["GET /v2/", ROOT, &ROOT.replace("root", "snapshot"), ROOT]);
    for seen in peer.seen() {
        assert_eq!(seen.connection, 0);
        assert_eq!(seen.header("user-agent"), Some(concat!("tagtrust/", env!("CARGO_PKG_VERSION"))));
        assert_eq!(seen.header("accept-encoding"), Some("identity"));
        assert_eq!(seen.header("authorization"), None);
    }
}

#[test]
fn threads_share_one_remote() {
    let peer = Peer::with(|seen| (seen.line == ROOT).then(|| (200, String::new(), "signed".into())));
    let remote = remote(settings(&peer.url()));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(remote.get(GUN, "root.json", 6, soon()).unwrap(), b"signed"));
        }
    });
    let lines = peer.lines();
    assert_eq!(lines.len(), 9);
    assert_eq!(lines.iter().filter(|line| *line == "GET /v2/").count(), 1);
}

#[test]
fn a_chunked_file_is_fetched_whole() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nsig\r\n3\r\nned\r\n";
    assert_eq!(get(&saying(format!("{chunked}0\r\n\r\n"))).unwrap(), b"signed");
    broken(get(&saying(chunked)));
}

#[test]
fn a_body_over_the_limit_is_refused_by_its_announcement_or_at_the_limit() {
    let announced = saying(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", u64::MAX));
    assert_eq!(get(&announced), Err(Failure::TooLarge));

    let endless = Peer::new(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        loop {
            stream.write_all(b"4\r\nmore\r\n")?;
        }
    });
    assert_eq!(get(&endless), Err(Failure::TooLarge));

    let close_delimited = saying(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(101)));
    assert_eq!(get(&close_delimited), Err(Failure::TooLarge));
    let fits = saying(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(100)));
    assert_eq!(get(&fits).unwrap().len(), 100);
}

#[test]
fn a_body_that_breaks_off_is_never_taken_for_whole() {
    let reason = broken(get(&saying("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"signed\":")));
    assert!(reason.contains("disconnected"), "{reason}");
}

#[test]
fn the_deadline_holds_against_a_slow_sender() {
    let remote_of = |peer: &Peer| remote(settings(&peer.url()));
    let in_the_body = Peer::new(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n")?;
        for _ in 0..90 {
            stream.write_all(b"x")?;
            sleep(Duration::from_millis(100));
        }
        Ok(true)
    });
    let in_the_header = Peer::new(|_, stream| {
        for byte in "HTTP/1.1 200 OK\r\nX: ".bytes().chain(std::iter::repeat_n(b'x', 90)) {
            stream.write_all(&[byte])?;
            sleep(Duration::from_millis(100));
        }
        Ok(true)
    });
    let silent = Peer::new(|_, _| {
        sleep(Duration::from_secs(5));
        Ok(false)
    });
    for peer in [in_the_body, in_the_header, silent] {
        let started = Instant::now();
        let result = remote_of(&peer).get(GUN, "root.json", 100, started + Duration::from_millis(400));
        assert_eq!(broken(result), "timed out");
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
}

#[test]
fn an_endless_header_is_cut_off() {
    let peer = Peer::new(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            stream.write_all(b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n")?;
        }
    });
    let (reason, _) = unusable(get(&peer));
    assert!(reason.contains("header"), "{reason}");
}

#[test]
fn an_encoded_body_is_refused() {
    let peer = saying("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x1f");
    assert_eq!(unusable(get(&peer)).1, Some(200));
    let identity = saying("HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\nContent-Length: 2\r\n\r\n{}");
    assert_eq!(get(&identity).unwrap(), b"{}");
}

#[test]
fn redirects_are_followed_on_the_same_server_only() {
    let other = Peer::with(|_| Some((200, String::new(), "evil".into())));
    let elsewhere = format!("Location: {}/\r\n", other.url());
    let peer = Peer::with(move |seen| match seen.line.as_str() {
        ROOT => Some((301, "Location: /clean\r\n".into(), "moved".into())),
        "GET /clean" => Some((200, String::new(), "signed".into())),
        line if line.ends_with("circle.json") => {
            Some((302, format!("Location: {}\r\n", &line[4..]), String::new()))
        }
        line if line.ends_with("nowhere.json") => Some((302, String::new(), String::new())),
        line if line.ends_with("evil.json") => Some((307, elsewhere.clone(), String::new())),
        _ => None,
    });
    let remote = remote(settings(&peer.url()));
    assert_eq!(remote.get(GUN, "root.json", 100, soon()).unwrap(), b"signed");

    let before = peer.seen().len();
    assert_eq!(unusable(remote.get(GUN, "circle.json", 100, soon())).0, "more than 3 redirects");
    assert_eq!(peer.seen().len() - before, 4);

    let url = format!("{}/v2/{GUN}/_trust/tuf", peer.url());
    for (file, status) in [("nowhere.json", 302), ("evil.json", 307)] {
        let (reason, found) = unusable(remote.get(GUN, file, 100, soon()));
        assert_eq!((reason, found), (format!("{url}/{file} redirects elsewhere"), Some(status)));
    }
    assert!(other.seen().is_empty());
}

#[test]
fn every_status_is_told_apart() {
    let asked = |status: u16| {
        // These two have no body.
        let length = if status == 204 || status == 304 { 0 } else { 3000 };
        get(&Peer::with(move |_| Some((status, String::new(), "x".repeat(length)))))
    };
    assert_eq!(
        asked(400),
        Err(Failure::Refused { code: String::new(), reason: "trust server rejected operation.".into() })
    );
    assert_eq!(asked(404), Err(Failure::NotFound));
    assert_eq!(asked(403), Err(Failure::Unauthorized("server returned 403".into())));
    assert_eq!(
        asked(401),
        Err(Failure::Unauthorized(
            "server returned 401; Docker has no credentials for reg.example:5000".into()
        ))
    );
    for status in [204, 206, 304, 405, 429, 500, 503] {
        assert_eq!(unusable(asked(status)), (format!("server returned {status}"), Some(status)));
    }
}

#[test]
fn a_servers_words_are_repeated_where_it_answers_an_error() {
    let saying = |status: u16| {
        let error = r#"{"errors":[{"code":"CODE","message":"words\u0007"}]}"#;
        get(&Peer::with(move |_| Some((status, String::new(), error.into()))))
    };
    assert_eq!(
        saying(400),
        Err(Failure::Refused { code: "CODE".into(), reason: "CODE: words\\u{7}".into() })
    );
    assert_eq!(saying(403), Err(Failure::Unauthorized("server returned 403: CODE: words\\u{7}".into())));
    // As before: a cache may serve meanwhile.
    assert_eq!(unusable(saying(500)), ("server returned 500: CODE: words\\u{7}".into(), Some(500)));
}

#[test]
fn no_server_and_no_http_are_unreachable() {
    let nobody = "http://127.0.0.1:1";
    let reason = broken(remote(settings(nobody)).get(GUN, "root.json", 100, soon()));
    assert!(reason.contains("refused"), "{reason}");

    broken(get(&Peer::new(|_, _| Ok(false))));
    unusable(get(&saying("SSH-2.0-OpenSSH_9.2\r\n\r\n")));
    let past = remote(settings(nobody)).get(GUN, "root.json", 100, Instant::now());
    assert_eq!(broken(past), "timed out");
}

/// A trust server with a token server beside it, under `/token`. Tokens are
/// `token-0`, `token-1`, …; the server takes the one that `valid` names.
fn guarded(valid: usize, lifetime: u64) -> Peer {
    let port = Arc::new(AtomicUsize::new(0));
    let issued = AtomicUsize::new(0);
    let known_port = Arc::clone(&port);
    let peer = Peer::with(move |seen| {
        if seen.line.contains("/token?") || seen.line == "POST /token" {
            let number = issued.fetch_add(1, Ordering::SeqCst);
            return Some((
                200,
                String::new(),
                format!(r#"{{"token":"token-{number}","expires_in":{lifetime}}}"#),
            ));
        }
        if seen.header("authorization") == Some(&format!("Bearer token-{valid}")) {
            return Some((200, String::new(), "signed".into()));
        }
        let port = known_port.load(Ordering::SeqCst);
        let challenge = format!(
            "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:{port}/token\",service=\"notary svc\",scope=\"repository:evil:push\"\r\n"
        );
        Some((401, challenge, r#"{"errors":[]}"#.into()))
    });
    port.store(peer.port().into(), Ordering::SeqCst);
    peer
}

const ANONYMOUS_TOKEN: &str =
    "GET /token?service=notary%20svc&scope=repository%3Areg.example%3A5000%2Fteam%2Fapp%3Apull";

#[test]
fn a_token_is_asked_for_once_per_repository_with_our_own_scope() {
    let peer = guarded(0, 300);
    let remote = remote(settings(&peer.url()));
    for _ in 0..2 {
        assert_eq!(remote.get(GUN, "root.json", 100, soon()).unwrap(), b"signed");
    }
    assert_eq!(peer.lines(), ["GET /v2/", ANONYMOUS_TOKEN, ROOT, ROOT]);
    assert_eq!(peer.seen()[1].header("authorization"), None);

    // Another repository, another token, which this server does not take.
    let failure = remote.get("other", "root.json", 100, soon()).unwrap_err();
    assert!(matches!(failure, Failure::Unauthorized(_)));
    assert!(peer.lines()[4].ends_with("scope=repository%3Aother%3Apull"));
}

#[test]
fn a_token_that_is_refused_is_replaced_once() {
    let peer = guarded(1, 300);
    assert_eq!(get(&peer).unwrap(), b"signed");
    assert_eq!(peer.lines(), ["GET /v2/", ANONYMOUS_TOKEN, ROOT, ANONYMOUS_TOKEN, ROOT]);

    let never = guarded(usize::MAX, 300);
    assert!(
        matches!(get(&never), Err(Failure::Unauthorized(reason)) if reason.starts_with("server returned 401"))
    );
    assert_eq!(never.lines(), peer.lines());
}

#[test]
fn a_password_goes_to_the_token_server_and_only_there() {
    let peer = guarded(0, 300);
    let settings =
        Settings { credentials: Some(("al ice".into(), "hunter2".into())), ..settings(&peer.url()) };
    assert_eq!(remote(settings).get(GUN, "root.json", 100, soon()).unwrap(), b"signed");
    let seen = peer.seen();
    assert_eq!(seen[1].line, format!("{ANONYMOUS_TOKEN}&account=al%20ice"));
    // al ice:hunter2
    assert_eq!(seen[1].header("authorization"), Some("Basic YWwgaWNlOmh1bnRlcjI="));
    assert_eq!(seen[0].header("authorization"), None);
    assert_eq!(seen[2].header("authorization"), Some("Bearer token-0"));
}

#[test]
fn an_identity_token_is_posted() {
    let home = tempfile::tempdir().unwrap();
    fs::write(
        home.path().join("config.json"),
        r#"{"auths":{"reg.example:5000":{"auth":"YTpi","identitytoken":"id&token"}}}"#,
    )
    .unwrap();
    let peer = guarded(0, 300);
    let settings = Settings { docker_config: Some(home.path().into()), ..settings(&peer.url()) };
    assert_eq!(remote(settings).get(GUN, "root.json", 100, soon()).unwrap(), b"signed");
    let asked = &peer.seen()[1];
    assert_eq!(asked.line, "POST /token");
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(
        asked.body,
        "service=notary%20svc&scope=repository%3Areg.example%3A5000%2Fteam%2Fapp%3Apull\
         &grant_type=refresh_token&client_id=docker&refresh_token=id%26token"
    );
}

fn basic_only() -> Peer {
    Peer::with(|seen| match seen.header("authorization") {
        Some("Basic YTpi") => Some((200, String::new(), "signed".into())),
        _ => Some((401, "WWW-Authenticate: Basic realm=\"r\"\r\n".into(), String::new())),
    })
}

#[test]
fn basic_authentication_uses_the_credentials() {
    let with = |password: &str, peer: &Peer| Settings {
        credentials: Some(("a".into(), password.into())),
        ..settings(&peer.url())
    };
    let peer = basic_only();
    assert_eq!(remote(with("b", &peer)).get(GUN, "root.json", 100, soon()).unwrap(), b"signed");
    assert_eq!(peer.lines(), ["GET /v2/", ROOT]);

    // The same wrong password is not tried twice: some servers lock users out.
    let peer = basic_only();
    let refused = remote(with("hunter2", &peer)).get(GUN, "root.json", 100, soon());
    assert_eq!(refused, Err(Failure::Unauthorized("server returned 401".into())));
    assert_eq!(peer.lines(), ["GET /v2/", ROOT]);
}

#[test]
fn a_missing_helper_matters_only_where_credentials_are_asked_for() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("config.json"), r#"{"credsStore":"tagtrust-no-such-helper"}"#).unwrap();
    let with = |peer: &Peer| Settings { docker_config: Some(home.path().into()), ..settings(&peer.url()) };

    let open = Peer::with(|_| Some((200, String::new(), "signed".into())));
    assert_eq!(remote(with(&open)).get(GUN, "root.json", 100, soon()).unwrap(), b"signed");
    let anonymous = guarded(0, 300);
    assert_eq!(remote(with(&anonymous)).get(GUN, "root.json", 100, soon()).unwrap(), b"signed");

    let Err(Failure::Unauthorized(reason)) = remote(with(&basic_only())).get(GUN, "root.json", 100, soon())
    else {
        panic!("not refused");
    };
    assert!(reason.contains("the credential helper for reg.example:5000 in"), "{reason}");
}

#[test]
fn a_failing_token_server_is_told_apart_from_a_refusing_one() {
    let with_token_server = |status: u16, body: &str| {
        let token_server = Peer::with({
            let body = body.to_owned();
            move |_| Some((status, "Location: http://127.0.0.1:1/\r\n".into(), body.clone()))
        });
        let realm = format!("{}/token?hunter2=1", token_server.url());
        let peer = Peer::with(move |_| {
            Some((401, format!("WWW-Authenticate: Bearer realm=\"{realm}\"\r\n"), String::new()))
        });
        let settings =
            Settings { credentials: Some(("u".into(), "hunter2".into())), ..settings(&peer.url()) };
        let result = remote(settings).get(GUN, "root.json", 100, soon());
        assert!(!format!("{result:?}").contains("hunter2"), "{result:?}");
        assert!(token_server.lines()[0].starts_with("GET /token?hunter2=1&service="));
        let name = format!("token server {}/token", token_server.url());
        (result, name)
    };
    let (result, name) = with_token_server(403, "");
    assert_eq!(result, Err(Failure::Unauthorized(format!("{name} returned 403"))));
    let (result, name) = with_token_server(503, "");
    assert_eq!(unusable(result), (format!("{name} returned 503"), Some(503)));
    for body in ["<html>", "{}", &"x".repeat(1024 * 1024 + 1)] {
        let (result, name) = with_token_server(200, body);
        assert_eq!(unusable(result).0, format!("{name} sent no usable token"));
    }
    let (result, _) = with_token_server(302, "");
    assert!(unusable(result).0.ends_with("redirects elsewhere"));
}

#[test]
fn credentials_are_not_sent_to_a_token_server_in_clear_text() {
    let peer = Peer::with(|_| {
        Some((401, "WWW-Authenticate: Bearer realm=\"http://auth.example/token\"\r\n".into(), String::new()))
    });
    let settings = Settings { credentials: Some(("u".into(), "hunter2".into())), ..settings(&peer.url()) };
    let refused = remote(settings).get(GUN, "root.json", 100, soon());
    assert_eq!(refused, Err(Failure::Unauthorized("the URL of the token server is not https".into())));
}

/// A peer behind TLS with the certificate in `testdata`.
fn tls_peer(versions: &[&'static rustls::SupportedProtocolVersion], ask_for_client: bool) -> Peer {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(testdata("ca.pem")).unwrap()).unwrap();
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions).unwrap();
    let builder = if ask_for_client {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let config = Arc::new(
        builder
            .with_single_cert(
                vec![CertificateDer::from_pem_file(testdata("server.pem")).unwrap()],
                PrivateKeyDer::from_pem_file(testdata("server.key")).unwrap(),
            )
            .unwrap(),
    );
    Peer::over(
        move |tcp| Box::new(StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), tcp)),
        |_, stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsigned")?;
            Ok(true)
        },
    )
}

fn over_tls(peer: &Peer, settings: Settings) -> Result<Vec<u8>, Failure> {
    let server = Some(peer.url().replace("http:", "https:"));
    remote(Settings { server, ..settings }).get(GUN, "root.json", 100, soon())
}

#[test]
fn tls_is_verified_with_the_given_authorities_only() {
    for versions in [[&rustls::version::TLS12], [&rustls::version::TLS13]] {
        let peer = tls_peer(&versions, false);
        let given = Settings { ca_file: Some(testdata("ca.pem")), ..settings("") };
        assert_eq!(over_tls(&peer, given.clone()).unwrap(), b"signed");
        let connections: Vec<_> = peer.seen().iter().map(|seen| seen.connection).collect();
        assert_eq!(connections, [0, 0], "kept alive");

        let reason = broken(over_tls(&peer, settings("")));
        assert!(reason.contains("UnknownIssuer; give the server's CA as ca_file"), "{reason}");
        let other = Settings { ca_file: Some(testdata("client.pem")), ..settings("") };
        let reason = broken(over_tls(&peer, other));
        assert!(reason.contains("invalid peer certificate"), "{reason}");
    }
}

#[test]
fn dockers_directory_gives_authorities_and_a_client_certificate() {
    let peer = tls_peer(&[&rustls::version::TLS13], true);
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join(format!("tls/127.0.0.1:{}", peer.port()));
    fs::create_dir_all(&dir).unwrap();
    let with = || Settings { docker_config: Some(home.path().into()), ..settings("") };

    fs::copy(testdata("ca.pem"), dir.join("ca.crt")).unwrap();
    broken(over_tls(&peer, with()));
    let given = Some((testdata("client.pem"), testdata("client.key")));
    assert_eq!(over_tls(&peer, Settings { client_cert: given, ..with() }).unwrap(), b"signed");

    fs::copy(testdata("client.pem"), dir.join("me.cert")).unwrap();
    fs::copy(testdata("client.key"), dir.join("me.key")).unwrap();
    assert_eq!(over_tls(&peer, with()).unwrap(), b"signed");

    fs::remove_file(dir.join("me.key")).unwrap();
    let server = Some(format!("https://127.0.0.1:{}", peer.port()));
    let error = Remotes::new(Settings { server, ..with() }).unwrap().server_for("r").err().unwrap();
    assert!(error.to_string().contains("missing key me.key"), "{error}");
}

#[test]
fn what_cannot_work_is_said_at_once() {
    let refused = |settings| match Remotes::new(settings).err() {
        Some(Error::InvalidConfiguration { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(settings("http://notary.example")), "trust server");
    let missing = PathBuf::from("/nonexistent/ca.pem");
    assert_eq!(
        refused(Settings { ca_file: Some(missing.clone()), ..settings("https://a") }),
        "/nonexistent/ca.pem"
    );
    let pair = Some((testdata("client.pem"), missing));
    assert_eq!(refused(Settings { client_cert: pair, ..settings("https://a") }), "/nonexistent/ca.pem");

    let chosen_by_registry = Settings { server: None, ..settings("") };
    let remotes = Remotes::new(chosen_by_registry).unwrap();
    assert_eq!(remotes.server_for("docker.io").unwrap().url(), "https://notary.docker.io");
    assert_eq!(remotes.server_for("reg.example:5000").unwrap().url(), "https://reg.example:5000");
    assert!(remotes.server_for("user:hunter2@reg.example").is_err());
}

/// Runs one of the tests below in a process with another environment.
fn in_environment(test: &str, variables: &[(&str, &str)]) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", &format!("remote::tests::{test}")])
        .env_remove("ALL_PROXY")
        .env_remove("all_proxy")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn docker_config_and_the_trust_server_come_from_the_environment() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("config.json"), r#"{"auths":{"reg.example:5000":{"auth":"YTpi"}}}"#).unwrap();
    let peer = basic_only();
    in_environment(
        "fetches_with_default_settings",
        &[("DOCKER_CONTENT_TRUST_SERVER", &peer.url()), ("DOCKER_CONFIG", home.path().to_str().unwrap())],
    );
    assert_eq!(peer.lines(), ["GET /v2/", ROOT]);
}

#[cfg(unix)]
#[test]
fn a_helper_of_docker_is_asked_for_the_registry() {
    use std::os::unix::fs::PermissionsExt;

    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("config.json"), r#"{"credHelpers":{"reg.example:5000":"test"}}"#).unwrap();
    let helper = home.path().join("docker-credential-test");
    fs::write(
        &helper,
        "#!/bin/sh\nread registry\n[ \"$1 $registry\" = 'get reg.example:5000' ] || exit 1\n\
         echo '{\"Username\":\"a\",\"Secret\":\"b\"}'\n",
    )
    .unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", home.path().display(), std::env::var("PATH").unwrap());
    let peer = basic_only();
    in_environment(
        "fetches_with_default_settings",
        &[
            ("DOCKER_CONTENT_TRUST_SERVER", &peer.url()),
            ("DOCKER_CONFIG", home.path().to_str().unwrap()),
            ("PATH", &path),
        ],
    );
    assert_eq!(peer.lines(), ["GET /v2/", ROOT]);
}

#[test]
fn loopback_is_not_asked_through_a_proxy_and_others_are() {
    let peer = basic_only();
    let proxy = Peer::with(|_| None);
    in_environment(
        "asks_the_proxy_for_other_hosts",
        &[
            ("DOCKER_CONTENT_TRUST_SERVER", &peer.url()),
            ("HTTPS_PROXY", &proxy.url()),
            ("NO_PROXY", "not.example"),
        ],
    );
    assert_eq!(peer.lines(), ["GET /v2/", ROOT]);
    let asked = proxy.lines();
    assert!(!asked.is_empty() && asked.iter().all(|line| line == "CONNECT reg.example:443"), "{asked:?}");
}

#[test]
fn only_a_registry_on_this_machine_is_asked_without_tls() {
    let proxy = Peer::with(|_| None);
    let url = proxy.url();
    in_environment("asks_a_registry_elsewhere", &[("ALL_PROXY", &url), ("NO_PROXY", "not.example")]);
    let asked = proxy.lines();
    assert!(!asked.is_empty() && asked.iter().all(|line| line == "CONNECT reg.example:443"), "{asked:?}");
}

#[test]
#[ignore = "runs in a process of its own, with another environment"]
fn asks_a_registry_elsewhere() {
    let registry = Remotes::new(settings("http://127.0.0.1:1")).unwrap().registry_for("reg.example").unwrap();
    assert!(matches!(registry.manifest("a", "1", soon()), Err(Failure::Unreachable { .. })));
}

#[test]
#[ignore = "runs in a process of its own, with another environment"]
fn fetches_with_default_settings() {
    let remote = remote(Settings::default());
    assert_eq!(remote.get(GUN, "root.json", 100, soon()).unwrap(), b"signed");
}

#[test]
#[ignore = "runs in a process of its own, with another environment"]
fn asks_the_proxy_for_other_hosts() {
    let on_loopback = Settings { credentials: Some(("a".into(), "b".into())), ..Settings::default() };
    assert_eq!(remote(on_loopback).get(GUN, "root.json", 100, soon()).unwrap(), b"signed");
    let reason = broken(remote(settings("https://reg.example")).get(GUN, "root.json", 100, soon()));
    assert!(reason.contains("proxy"), "{reason}");
}
