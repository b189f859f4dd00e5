use super::*;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Given, registry, path, tag. Each was compared with `ParseNormalizedNamed`
/// of `github.com/distribution/reference` v0.6.0.
#[rustfmt::skip]
const VALID: &[(&str, &str, &str, Option<&str>)] = &[
    ("alpine", "docker.io", "library/alpine", None),
    ("alpine:3.20", "docker.io", "library/alpine", Some("3.20")),
    ("a", "docker.io", "library/a", None),
    ("library/alpine", "docker.io", "library/alpine", None),
    ("docker.io/alpine", "docker.io", "library/alpine", None),
    ("docker.io/library/alpine", "docker.io", "library/alpine", None),
    ("index.docker.io/alpine", "docker.io", "library/alpine", None),
    ("index.docker.io/team/app:1", "docker.io", "team/app", Some("1")),
    ("docker.io/team/sub/app", "docker.io", "team/sub/app", None),
    ("team/app", "docker.io", "team/app", None),
    ("team/app:1.2", "docker.io", "team/app", Some("1.2")),
    ("registry-1.docker.io/app", "registry-1.docker.io", "app", None),
    ("Docker.io/app", "Docker.io", "app", None),
    ("docker.io:443/app", "docker.io:443", "app", None),
    ("library/library/app", "docker.io", "library/library/app", None),
    // A registry, or not.
    ("localhost", "docker.io", "library/localhost", None),
    ("localhost:5000", "docker.io", "library/localhost", Some("5000")),
    ("localhost/app", "localhost", "app", None),
    ("localhost:5000/app", "localhost:5000", "app", None),
    ("localhosts/app", "docker.io", "localhosts/app", None),
    ("test.com", "docker.io", "library/test.com", None),
    ("test.com:5000", "docker.io", "library/test.com", Some("5000")),
    ("test.com/app", "test.com", "app", None),
    ("test_com/app", "docker.io", "test_com/app", None),
    ("foo_bar.com:8080", "docker.io", "library/foo_bar.com", Some("8080")),
    ("foo/foo_bar.com:8080", "docker.io", "foo/foo_bar.com", Some("8080")),
    ("test:5000/app", "test:5000", "app", None),
    ("test:5000/app:tag", "test:5000", "app", Some("tag")),
    ("app:1/2", "app:1", "2", None),
    ("test-com:8080/app", "test-com:8080", "app", None),
    ("a--b.c/app", "a--b.c", "app", None),
    ("Foo/bar", "Foo", "bar", None),
    ("FOO/bar:Baz", "FOO", "bar", Some("Baz")),
    ("xn--n3h.com/app:xn--n3h.com", "xn--n3h.com", "app", Some("xn--n3h.com")),
    ("sub-dom1.foo.com/bar/baz/quux", "sub-dom1.foo.com", "bar/baz/quux", None),
    ("b.gcr.io/test.example.com/my-app:x", "b.gcr.io", "test.example.com/my-app", Some("x")),
    ("192.168.1.1", "docker.io", "library/192.168.1.1", None),
    ("192.168.1.1:80", "docker.io", "library/192.168.1.1", Some("80")),
    ("192.168.1.1/app", "192.168.1.1", "app", None),
    ("192.168.1.1:5000/app:5050", "192.168.1.1:5000", "app", Some("5050")),
    ("[::1]/app", "[::1]", "app", None),
    ("[::1]:5000/app", "[::1]:5000", "app", None),
    ("[2001:DB8::1]:5000/team/app:1", "[2001:DB8::1]:5000", "team/app", Some("1")),
    ("[2001:db8:1:2:3:4:5:6]/app", "[2001:db8:1:2:3:4:5:6]", "app", None),
    // Separators within a component.
    ("a-b/c_d/e__f/g.h/i---j", "docker.io", "a-b/c_d/e__f/g.h/i---j", None),
    ("reg.io/a.b_c__d-e--f", "reg.io", "a.b_c__d-e--f", None),
    ("ubuntu-12.04-base", "docker.io", "library/ubuntu-12.04-base", None),
    // Tags.
    ("app:_", "docker.io", "library/app", Some("_")),
    ("app:A.b-C_9", "docker.io", "library/app", Some("A.b-C_9")),
    ("app:1..2--", "docker.io", "library/app", Some("1..2--")),
    // 64 hexadecimal digits are only refused on their own.
    ("docker.io/1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a", "docker.io", "library/1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a", None),
    ("1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a:1", "docker.io", "library/1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a", Some("1")),
    ("1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3", "docker.io", "library/1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3", None),
];

/// Given, and a part of the reason. Docker refuses all but those marked.
#[rustfmt::skip]
const INVALID: &[(&str, &str)] = &[
    ("", "it is empty"),
    (":tag", "the repository at byte 0 is empty"),
    ("@sha256:00", "the repository at byte 0 is empty"),
    ("/", "'/' at byte 0"),
    ("/app", "'/' at byte 0"),
    ("//app", "'/' at byte 0"),
    ("app/", "'/' at byte 3"),
    ("reg.io/", "the repository at byte 7 is empty"),
    ("reg.io//app", "'/' at byte 7"),
    ("docker///docker", "'/' at byte 7"),
    ("docker.io/docker///docker", "'/' at byte 17"),
    ("team/app/:1", "'/' at byte 8"),
    ("https://github.com/docker/docker", "leave out the scheme https://"),
    ("http://reg.io/app", "leave out the scheme http://"),
    ("docker/Docker", "'D' at byte 7 cannot stand in the repository: it must be lower case"),
    ("Uppercase:tag", "'U' at byte 0"),
    ("test:5000/Uppercase/lowercase:tag", "'U' at byte 10"),
    ("docker.io/docker/Docker", "'D' at byte 17"),
    ("-docker", "'-' at byte 0"),
    ("docker-", "'-' at byte 6"),
    ("docker-/docker", "'/' at byte 7"),
    ("_docker/_docker", "'_' at byte 0"),
    ("____/____", "'_' at byte 0"),
    ("dock___er", "'_' at byte 6"),
    ("dock..er/docker", "is no host"),
    ("team/dock..er", "'.' at byte 10"),
    ("team/dock_.er", "'.' at byte 10"),
    ("team/dock-.er", "'.' at byte 10"),
    ("team/dock-_er", "'_' at byte 10"),
    ("team/dock_-er", "'-' at byte 10"),
    ("..", "'.' at byte 0"),
    ("../app", "is no host"),
    ("reg.io/../app", "'.' at byte 7"),
    ("reg.io/./app", "'.' at byte 7"),
    ("team/..", "'.' at byte 5"),
    ("aa/asdf$$^/aa", "'$' at byte 7"),
    ("a b", "' ' at byte 1"),
    (" alpine", "' ' at byte 0"),
    ("alpine\n", "'\\n' at byte 6"),
    ("alp\0ine", "'\\0' at byte 3"),
    ("alp\u{1b}[31mine", "'\\u{1b}' at byte 3"),
    ("alp\u{202e}ine", "'\\u{202e}' at byte 3"),
    ("alp\\ine", "'\\\\' at byte 3"),
    ("alpïne", "'ï' at byte 3"),
    ("аlpine", "'а' at byte 0"),
    ("team/İ", "'İ' at byte 5"),
    ("réseau.io/app", "is no host"),
    // Registries.
    ("-docker.io/docker/docker", "\"-docker.io\" at byte 0 is no host"),
    ("docker-.io/app", "is no host"),
    ("docker.io./app", "is no host"),
    (".io/app", "is no host"),
    ("reg..io/app", "is no host"),
    (":5000/app", "\"\" at byte 0 is no host"),
    ("reg.io:/app", "\":\" at byte 6 is no port"),
    ("reg.io:x/app", "\":x\" at byte 6 is no port"),
    ("reg.io:1:2/app", "\":1:2\" at byte 6 is no port"),
    ("reg.io:+1/app", "is no port"),
    ("user@reg.io/app", "is no host"),
    ("reg.io:5000\n/app", "is no port"),
    ("my_registry:5000/app", "is no host"),
    ("my_registry.io/app", "is no host"), // Stricter
    ("[::1]", "'[' at byte 0"),
    ("[::1]:5000", "'[' at byte 0"),
    ("[]:5000/app", "is no host"),
    ("[::1/app", "is no host"),
    ("::1]/app", "is no host"),
    ("[::1]x/app", "\"x\" at byte 5 is no port"),
    ("[::1]:/app", "is no port"),
    ("fc00::1:5000/app", "\"::1:5000\" at byte 4 is no port"),
    ("[fe80::1%eth0]:5000/app", "is no host"),
    ("[2001:db8:3:4::192.0.2.33]:5000/app", "is no host"),
    // Tags.
    ("app:", "the tag at byte 4 is empty"),
    ("app:-1", "'-' at byte 4 cannot stand in the tag"),
    ("app:.1", "'.' at byte 4"),
    ("app:1:2", "':' at byte 5"),
    ("app:1+2", "'+' at byte 5"),
    ("app:ä", "'ä' at byte 4"),
    ("app:1\n", "'\\n' at byte 5"),
    ("team/app:x/y", "'/' at byte 10"),
    // Digests.
    ("app@", "the digest at byte 4"),
    ("app@sha256:", "the digest at byte 4"),
    ("app@sha256:ffffffffffffffffffffffffffffffffff", "the digest at byte 4"),
    ("app:@sha256:00", "the tag at byte 4 is empty"),
    ("app:1@md5:0123456789abcdef0123456789abcdef", "the digest at byte 6 cannot be used; it must be sha256:"),
    ("app@SHA256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "the digest at byte 4"),
    ("app@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef", "the digest at byte 4"),
    ("app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0", "the digest at byte 4"),
    ("app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef:1", "the digest at byte 4"),
    // Stricter.
    ("app@sha384:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "the digest at byte 4"),
    ("1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a", "cannot specify 64-byte hexadecimal strings"),
];

#[test]
fn references_mean_what_docker_means() {
    for &(given, registry, path, tag) in VALID {
        let gun = format!("{registry}/{path}");
        for digest in [None, Some(DIGEST)] {
            let suffix = digest.map(|d| format!("@{d}")).unwrap_or_default();
            let given = format!("{given}{suffix}");

            let found = Reference::parse_repository(&given).unwrap();
            assert_eq!(found.registry(), registry, "{given}");
            assert_eq!(found.gun(), gun, "{given}");
            assert_eq!(found.tag(), tag, "{given}");
            assert_eq!(found.digest(), digest, "{given}");
            let tag_suffix = tag.map(|t| format!(":{t}")).unwrap_or_default();
            assert_eq!(found.to_string(), format!("{gun}{tag_suffix}{suffix}"));
        }
    }
}

#[test]
fn only_an_image_without_tag_and_digest_gets_the_tag_latest() {
    for &(given, _, _, tag) in VALID {
        let image = Reference::parse(given).unwrap();
        assert_eq!(image.tag(), tag.or(Some("latest")), "{given}");
        let with_digest = Reference::parse(&format!("{given}@{DIGEST}")).unwrap();
        assert_eq!(with_digest.tag(), tag, "{given}");
    }
}

#[test]
fn the_name_of_a_repository_has_neither_tag_nor_digest() {
    for &(given, _, _, tag) in VALID {
        let name = Reference::parse_name(given);
        match tag {
            None => assert_eq!(name.unwrap(), Reference::parse_repository(given).unwrap()),
            Some(_) => assert!(matches!(name, Err(Error::InvalidReference { .. })), "{given}"),
        }
        let with_digest = Reference::parse_name(&format!("{given}@{DIGEST}"));
        assert!(matches!(with_digest, Err(Error::InvalidReference { .. })), "{given}");
    }
}

#[test]
fn the_normalised_form_stands_for_itself() {
    for &(given, ..) in VALID {
        for given in [given.to_owned(), format!("{given}@{DIGEST}")] {
            let image: Reference = given.parse().unwrap();
            assert_eq!(Reference::parse(&image.to_string()).unwrap(), image);
        }
    }
}

#[test]
fn what_docker_refuses_is_refused_with_its_place() {
    for &(given, expected) in INVALID {
        for parsed in [Reference::parse(given), Reference::parse_repository(given)] {
            let Err(Error::InvalidReference { reference, reason }) = parsed else {
                panic!("{given:?}: {parsed:?}");
            };
            assert_eq!(reference, given);
            assert!(reason.contains(expected), "{given:?}: {reason}");
        }
    }
}

#[test]
fn limits_are_exact() {
    let path = |namespace: &str| format!("{}{namespace}", "a/".repeat(127));
    let host = |n: usize| format!("{}.io/app", "h".repeat(n - 3));
    for (fits, not) in [
        (format!("reg.io/{}", path("a")), format!("reg.io/{}", path("aa"))),
        (path("a"), path("aa")),
        ("a".repeat(255 - 8), "a".repeat(256 - 8)),
        (format!("app:{}", "t".repeat(128)), format!("app:{}", "t".repeat(129))),
        (host(255), host(256)),
    ] {
        assert!(Reference::parse(&fits).is_ok(), "{fits}");
        assert!(Reference::parse(&not).is_err(), "{not}");
    }
    let longest = format!("{}/{}:{}@{DIGEST}", "h.".repeat(127) + "h", path("a"), "t".repeat(128));
    assert_eq!(longest.len(), MAX_REFERENCE);
    assert_eq!(Reference::parse(&longest).unwrap().to_string(), longest);
}

#[test]
fn an_error_repeats_little_of_a_very_long_reference() {
    for unit in ["a", "a/", "é", "\u{1b}", "/"] {
        let given = unit.repeat(100_000 / unit.len());
        let Err(Error::InvalidReference { reference, reason }) = Reference::parse(&given) else {
            panic!("accepted");
        };
        assert_eq!(reference.chars().count(), MAX_EVIDENCE + 1);
        assert!(reason.contains("100000 bytes"), "{reason}");
    }
}
