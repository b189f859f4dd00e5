//! What a registry says about an image.

use super::*;
use crate::crypto::sha256;
use crate::metadata::hex;
use crate::remote::registry::Manifest;

const BODY: &str = r#"{"schemaVersion":2}"#;
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn digest() -> String {
    format!("sha256:{}", hex(sha256(BODY.as_bytes()).as_ref()))
}

/// A registry with one image, at the path that is asked for.
fn serving(content_type: &str, headers: &str) -> Peer {
    let headers = format!("Content-Type: {content_type}\r\n{headers}");
    Peer::with(move |seen| match seen.line.as_str() {
        "GET /v2/" => Some((200, String::new(), "{}".into())),
        line if line.starts_with("GET /v2/team/app/manifests/") => Some((200, headers.clone(), BODY.into())),
        _ => None,
    })
}

fn at(peer: &Peer, settings: Settings) -> Arc<Registry> {
    let registry = format!("127.0.0.1:{}", peer.port());
    Remotes::new(settings).unwrap().registry_for(&registry).unwrap()
}

fn manifest_of(peer: &Peer, reference: &str) -> Result<Manifest, Failure> {
    at(peer, settings("https://notary.example")).manifest("team/app", reference, soon())
}

fn refused(result: Result<Manifest, Failure>) -> String {
    unusable(result.map(|_| Vec::new())).0
}

#[test]
fn digest_and_size_are_those_of_the_manifests_bytes() {
    for kind in [
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        OCI_INDEX,
    ] {
        let expected = Manifest { digest: digest(), size: BODY.len() as u64, media_type: kind.to_owned() };
        let peer = serving(&format!("{kind}; charset=utf-8"), "");
        assert_eq!(manifest_of(&peer, "1.0").unwrap(), expected);
        let peer = serving(kind, &format!("Docker-Content-Digest: {}\r\n", digest()));
        assert_eq!(manifest_of(&peer, "1.0").unwrap(), expected);
        assert_eq!(manifest_of(&peer, &digest()).unwrap(), expected);
        let seen = &peer.seen()[1];
        assert_eq!(seen.line, "GET /v2/team/app/manifests/1.0");
        assert!(seen.header("accept").unwrap().split(", ").any(|accepted| accepted == kind));
    }
}

#[test]
fn a_manifest_with_another_digest_is_refused() {
    let other = format!("sha256:{}", "0".repeat(64));
    let is = digest();
    assert_eq!(
        refused(manifest_of(&serving(OCI_INDEX, ""), &other)),
        format!("the manifest's digest is {is}, not {other} as was asked for")
    );
    for claimed in [other.as_str(), "sha256:", "sha512:00", "", &digest().to_uppercase()] {
        let peer = serving(OCI_INDEX, &format!("Docker-Content-Digest: {claimed}\r\n"));
        let words = format!("the manifest's digest is {is}, not {claimed} as the registry says");
        assert_eq!(refused(manifest_of(&peer, "1.0")), words);
        assert_eq!(refused(manifest_of(&peer, &is)), words);
    }
}

#[test]
fn what_is_no_image_is_refused() {
    for old in ["prettyjws", "json"] {
        let peer = serving(&format!("application/vnd.docker.distribution.manifest.v1+{old}"), "");
        assert!(refused(manifest_of(&peer, "1.0")).contains("schema 1"));
    }
    for other in ["text/html", "application/json", "application/vnd.oci.image.config.v1+json", ""] {
        assert_eq!(
            refused(manifest_of(&serving(other, ""), "1.0")),
            format!("no image manifest, but {other:?}")
        );
    }
}

#[test]
fn a_registrys_refusals_are_told_apart() {
    let asked = |status: u16, body: &str| {
        let body = body.to_owned();
        let peer = Peer::with(move |seen| {
            let is_ping = seen.line == "GET /v2/";
            Some(if is_ping {
                (200, String::new(), "{}".into())
            } else {
                (status, String::new(), body.clone())
            })
        });
        manifest_of(&peer, "1.0")
    };
    let limit = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"pull rate limit"}]}"#;
    assert_eq!(asked(404, limit), Err(Failure::NotFound));
    assert_eq!(asked(403, ""), Err(Failure::Unauthorized("server returned 403".into())));
    assert!(
        matches!(asked(401, ""), Err(Failure::Unauthorized(words)) if words.contains("no credentials for 127.0.0.1:"))
    );
    assert_eq!(refused(asked(429, limit)), "server returned 429: TOOMANYREQUESTS: pull rate limit");
    for status in [204, 206, 400, 500] {
        let body = if status == 204 { "" } else { "<html>" };
        assert_eq!(refused(asked(status, body)), format!("server returned {status}"));
    }
    assert_eq!(asked(200, &"x".repeat(4 * 1024 * 1024 + 1)), Err(Failure::TooLarge));
}

#[test]
fn a_manifest_that_breaks_off_or_is_elsewhere_is_refused() {
    let cut =
        saying(format!("HTTP/1.1 200 OK\r\nContent-Type: {OCI_INDEX}\r\nContent-Length: 500\r\n\r\n{BODY}"));
    broken(manifest_of(&cut, "1.0").map(|_| Vec::new()));

    let other = serving(OCI_INDEX, "");
    let location = format!("Location: {}/v2/team/app/manifests/1.0\r\n", other.url());
    let peer = Peer::with(move |seen| match seen.line.as_str() {
        "GET /v2/" => Some((200, String::new(), "{}".into())),
        _ => Some((307, location.clone(), String::new())),
    });
    assert!(refused(manifest_of(&peer, "1.0")).ends_with("redirects elsewhere"));
    assert!(other.seen().is_empty());
}

#[test]
fn a_registry_is_asked_with_a_token_to_pull() {
    let peer = guarded(0, 300);
    // The answer of that peer is no manifest, but it is an answer.
    assert_eq!(refused(manifest_of(&peer, "1.0")), "no image manifest, but \"\"");
    assert_eq!(
        peer.lines()[1..],
        [
            "GET /token?service=notary%20svc&scope=repository%3Ateam%2Fapp%3Apull",
            "GET /v2/team/app/manifests/1.0"
        ]
    );
}

#[test]
fn the_password_for_a_trust_server_elsewhere_is_not_for_every_registry() {
    let sent = |trust_server: &str| {
        let peer = basic_only();
        let given = Some(("a".into(), "b".into()));
        let result = at(&peer, Settings { credentials: given, ..settings(trust_server) }).manifest(
            "team/app",
            "1.0",
            soon(),
        );
        assert!(result.is_err());
        peer.seen().iter().any(|seen| seen.header("authorization").is_some())
    };
    assert!(!sent("https://notary.example"));
    assert!(sent("https://127.0.0.1:4443"), "of the same host");

    let home = tempfile::tempdir().unwrap();
    let peer = basic_only();
    fs::write(
        home.path().join("config.json"),
        format!(r#"{{"auths":{{"127.0.0.1:{}":{{"auth":"YTpi"}}}}}}"#, peer.port()),
    )
    .unwrap();
    let dockers = Settings { docker_config: Some(home.path().into()), ..settings("https://notary.example") };
    assert_eq!(
        refused(at(&peer, dockers).manifest("team/app", "1.0", soon())),
        "no image manifest, but \"\""
    );
}

#[test]
fn tls_is_used_where_there_is_tls_and_its_faults_are_not_hidden() {
    let peer = tls_peer(&[&rustls::version::TLS13], false);
    let given = Settings { ca_file: Some(testdata("ca.pem")), ..settings("https://notary.example") };
    let registry = at(&peer, given);
    assert_eq!(refused(registry.manifest("team/app", "1.0", soon())), "no image manifest, but \"\"");
    assert_eq!(registry.url(), peer.url().replace("http:", "https:"));

    let untrusted = at(&peer, settings("https://notary.example"));
    let reason = broken(untrusted.manifest("team/app", "1.0", soon()).map(|_| Vec::new()));
    assert!(reason.contains("UnknownIssuer"), "{reason}");

    // A server with TLS that answers plain HTTP with an error.
    let strict = Peer::with(|_| Some((400, String::new(), "this is an HTTPS server".into())));
    broken(manifest_of(&strict, "1.0").map(|_| Vec::new()));
    assert_eq!(strict.lines(), ["GET /v2/"]);
}

#[test]
fn which_registry_it_is_comes_from_its_name() {
    let remotes = Remotes::new(settings("https://notary.example")).unwrap();
    let url = |registry| remotes.registry_for(registry).unwrap().url().to_owned();
    assert_eq!(url("docker.io"), "https://registry-1.docker.io");
    assert_eq!(url("reg.example:5000"), "https://reg.example:5000");
    let again = remotes.registry_for("docker.io").unwrap();
    assert!(Arc::ptr_eq(&again, &remotes.registry_for("docker.io").unwrap()));
    let error = remotes.registry_for("user:hunter2@reg.example").err().unwrap();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}
