//! What changes something on a trust server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use super::*;

const BASE: &str = "/v2/reg.example:5000/team/app/_trust/tuf/";
const FILES: [(&str, &[u8]); 2] = [("root", b"{}"), ("targets/releases", b"{\"signed\":\r\n}")];

fn upload(peer: &Peer) -> Result<(), Failure> {
    remote(settings(&peer.url())).upload(GUN, &FILES, soon())
}

/// The three requests that change something, and reading a key.
fn all_changes(remote: &Remote) -> [Result<(), Failure>; 4] {
    [
        remote.upload(GUN, &FILES, soon()),
        remote.server_key(GUN, "timestamp", false, soon()).map(drop),
        remote.server_key(GUN, "snapshot", true, soon()).map(drop),
        remote.delete(GUN, soon()),
    ]
}

#[test]
fn an_upload_is_one_form_with_all_files() {
    let peer = Peer::with(|seen| seen.line.starts_with("POST").then(|| (200, String::new(), String::new())));
    upload(&peer).unwrap();
    assert_eq!(peer.lines(), ["GET /v2/", &format!("POST {BASE}")]);
    let seen = &peer.seen()[1];
    let boundary =
        seen.header("content-type").unwrap().strip_prefix("multipart/form-data; boundary=").unwrap();
    assert!(boundary.len() == 60 && boundary.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let mut expected = String::new();
    for (role, bytes) in FILES {
        expected += &format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{role}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n{}\r\n",
            str::from_utf8(bytes).unwrap()
        );
    }
    assert_eq!(seen.body, format!("{expected}--{boundary}--\r\n"));
    assert_eq!(seen.header("content-length").unwrap(), seen.body.len().to_string());
    for absent in ["transfer-encoding", "expect"] {
        assert_eq!(seen.header(absent), None);
    }

    let remote = remote(settings(&peer.url()));
    remote.upload(GUN, &[], soon()).unwrap();
    let body = peer.seen().pop().unwrap().body;
    assert!(body.starts_with("\r\n--") && body.ends_with("--\r\n") && body.len() == 68, "{body}");
}

#[test]
fn a_large_upload_goes_out_whole() {
    let peer = Peer::with(|seen| seen.line.starts_with("POST").then(|| (200, String::new(), String::new())));
    let large = vec![b'x'; 20 * 1024 * 1024];
    let started = Instant::now();
    remote(settings(&peer.url())).upload(GUN, &[("targets", &large)], soon()).unwrap();
    let seen = &peer.seen()[1];
    assert_eq!(seen.body.bytes().filter(|byte| *byte == b'x').count(), large.len());
    assert_eq!(seen.header("expect"), Some("100-continue"));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

/// As Go's servers: it answers before it has read the body, and closes.
#[test]
fn a_refusal_of_a_large_upload_is_not_lost_while_it_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            let mut stream = BufReader::new(stream.unwrap());
            let head: Vec<_> =
                stream.by_ref().lines().map_while(Result::ok).take_while(|l| !l.is_empty()).collect();
            let status = if head[0].starts_with("POST") { 403 } else { 200 };
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    let large = vec![b'x'; 20 * 1024 * 1024];
    let refused = remote(settings(&url)).upload(GUN, &[("targets", &large)], soon());
    assert_eq!(refused, Err(Failure::Unauthorized("server returned 403".into())));
}

#[test]
fn keys_are_read_and_rotated() {
    let key = r#"{"keytype":"ecdsa","keyval":{"public":"AA==","private":null}}"#;
    let peer = Peer::with(move |seen| seen.line.ends_with(".key").then(|| (200, String::new(), key.into())));
    let remote = remote(settings(&peer.url()));
    assert_eq!(remote.server_key(GUN, "timestamp", false, soon()).unwrap(), key.as_bytes());
    assert_eq!(remote.server_key(GUN, "snapshot", true, soon()).unwrap(), key.as_bytes());
    assert_eq!(peer.lines()[1..], [format!("GET {BASE}timestamp.key"), format!("POST {BASE}snapshot.key")]);
    let rotation = &peer.seen()[2];
    assert_eq!((rotation.header("content-length"), rotation.body.as_str()), (Some("0"), ""));
}

#[test]
fn a_repository_is_deleted() {
    let peer =
        Peer::with(|seen| seen.line.starts_with("DELETE").then(|| (200, String::new(), String::new())));
    remote(settings(&peer.url())).delete(GUN, soon()).unwrap();
    assert_eq!(peer.lines()[1..], [format!("DELETE {BASE}")]);
}

#[test]
fn every_refusal_is_told_apart() {
    let asked = |status: u16, body: &str| {
        let body = body.to_owned();
        let peer = Peer::with(move |_| Some((status, String::new(), body.clone())));
        all_changes(&remote(settings(&peer.url())))
    };
    let version = r#"{"errors":[{"code":"VERSION","message":"newer","detail":{}}]}"#;
    let refused =
        |code: &str, reason: &str| Err(Failure::Refused { code: code.into(), reason: reason.into() });
    for result in asked(400, version) {
        assert_eq!(result, refused("VERSION", "VERSION: newer"));
    }
    for result in asked(500, &version.replace("VERSION", "UPDATING")) {
        assert_eq!(result, refused("UPDATING", "UPDATING: newer"));
    }
    // As Notary: what is longer than it reads has no reason.
    for body in [&version.replace("newer", &"x".repeat(1024)), "<html>", "", &version[..30]] {
        for result in asked(400, body) {
            assert_eq!(result, refused("", "trust server rejected operation."));
        }
    }
    for result in asked(404, version) {
        assert_eq!(result, Err(Failure::NotFound));
    }
    for result in asked(403, "") {
        assert_eq!(result, Err(Failure::Unauthorized("server returned 403".into())));
    }
    for result in asked(401, "") {
        let words = "server returned 401; Docker has no credentials for reg.example:5000";
        assert_eq!(result, Err(Failure::Unauthorized(words.into())));
    }
    for (status, words) in [
        (405, ""),
        (429, ": VERSION: newer"),
        (413, ": the upload is larger than the server, or a proxy before it, accepts"),
    ] {
        for result in asked(status, if status == 429 { version } else { "" }) {
            let (reason, found) = unusable(result.map(|()| Vec::new()));
            assert_eq!((reason, found), (format!("server returned {status}{words}"), Some(status)));
        }
    }
}

#[test]
fn an_upload_that_may_have_been_stored_says_so_and_is_not_repeated() {
    const WORDS: &str = "; the upload may have been stored all the same";
    let lost: [&'static [u8]; 6] = [
        b"",
        b"HTTP/1.1 2",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n",
        b"HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 504 X\r\nContent-Length: 6\r\n\r\n<html>",
    ];
    for answer in lost {
        let peer = saying(answer);
        let Err(Failure::Unreachable { reason, sent: true, .. }) = upload(&peer) else {
            panic!("{answer:?}");
        };
        assert!(reason.ends_with(WORDS), "{reason}");
        assert_eq!(peer.lines(), ["GET /v2/", &format!("POST {BASE}")]);
    }

    let slow = Peer::new(|_, _| {
        sleep(Duration::from_secs(3));
        Ok(false)
    });
    let deadline = Instant::now() + Duration::from_secs(1);
    let remote = remote(settings(&slow.url()));
    remote.get(GUN, "root.json", 1, Instant::now() + Duration::from_millis(50)).unwrap_err();
    let Err(Failure::Unreachable { reason, sent: true, .. }) = remote.upload(GUN, &FILES, deadline) else {
        panic!("not lost");
    };
    assert_eq!(reason, format!("timed out{WORDS}"));

    broken(super::remote(settings("http://127.0.0.1:1")).upload(GUN, &FILES, soon()).map(|()| Vec::new()));
}

#[test]
fn no_change_follows_a_redirect() {
    let other = Peer::with(|_| Some((200, String::new(), "{}".into())));
    for location in [format!("{}/", other.url()), "/elsewhere".to_owned()] {
        for status in [301, 302, 303, 307, 308] {
            let location = location.clone();
            let peer = Peer::with(move |seen| match seen.line.split(' ').next() {
                Some("POST" | "DELETE") => Some((status, format!("Location: {location}\r\n"), String::new())),
                _ => None,
            });
            let remote = remote(settings(&peer.url()));
            for result in [
                remote.upload(GUN, &FILES, soon()),
                remote.server_key(GUN, "snapshot", true, soon()).map(drop),
                remote.delete(GUN, soon()),
            ] {
                let (reason, found) = unusable(result.map(|()| Vec::new()));
                assert_eq!(found, Some(status));
                assert!(reason.ends_with("followed for nothing but GET"), "{reason}");
            }
            assert_eq!(peer.lines().len(), 4);
        }
    }
    assert!(other.seen().is_empty());
}

#[test]
fn each_change_asks_for_the_permission_that_it_needs() {
    let peer = guarded(usize::MAX, 300);
    for result in all_changes(&remote(settings(&peer.url()))) {
        assert!(matches!(result, Err(Failure::Unauthorized(_))), "{result:?}");
    }
    let scopes: Vec<_> = peer
        .lines()
        .iter()
        .filter_map(|line| {
            Some(line.split_once("&scope=repository%3Areg.example%3A5000%2Fteam%2Fapp%3A")?.1.to_owned())
        })
        .collect();
    // For each but the first of a kind a token is there; one that is refused is replaced once.
    let (write, all) = ("push%2Cpull", "%2A");
    assert_eq!(scopes, [write, write, write, all, all, all]);
}

#[test]
fn an_upload_is_sent_again_after_a_refused_token_only() {
    let peer = guarded(1, 300);
    upload(&peer).unwrap();
    let uploads: Vec<_> =
        peer.seen().into_iter().filter(|seen| seen.line == format!("POST {BASE}")).collect();
    assert_eq!(uploads.len(), 2);
    assert_eq!(uploads[0].body, uploads[1].body);
    assert_eq!(uploads[1].header("authorization"), Some("Bearer token-1"));
}

#[test]
fn changes_work_with_basic_authentication() {
    let peer = basic_only();
    let settings = Settings { credentials: Some(("a".into(), "b".into())), ..settings(&peer.url()) };
    for result in all_changes(&remote(settings)) {
        result.unwrap();
    }
    assert_eq!(peer.lines().len(), 5);
}

#[test]
fn a_key_without_an_end_is_refused() {
    let peer = Peer::with(|_| Some((200, String::new(), "x".repeat(64 * 1024 + 1))));
    let remote = remote(settings(&peer.url()));
    assert!(matches!(
        remote.server_key(GUN, "timestamp", false, soon()),
        Err(Failure::Unreachable { reason, .. }) if reason == "server returned more than 65536 bytes"
    ));
}
