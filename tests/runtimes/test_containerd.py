"""The image verifier for containerd: called as containerd calls it, and by containerd itself."""

import os
import re
import shutil
import socket
import subprocess
import textwrap
import time

import pytest

from interop.verifiers import ROOT
from lab import Notary, repositories, run
from lab.need import need
from lab.registry import Registry
from runtimes.containerd import Containerd
from runtimes.containerd import program as containerd_program
from runtimes.verifier import SOURCE, answer

TRUSTED, REFUSED, MISUSED, UNDECIDED = range(4)
DEFAULT_TIMEOUT = 8  # seconds
OTHER = f"sha256:{'0' * 64}"
EXEMPT = "exempt r.example/infra/*"


def nothing_is_kept(verifier):
    """What was refused leaves no trust data that a later call could start from."""
    return not list(verifier.lines["trust_dir"].rglob("*.json"))


# The answer


def test_a_signed_image_is_accepted_with_its_signers(verifier, signed):
    digest, _ = signed.tags["v1"]
    status, reason = verifier.ask(f"{signed.gun}:v1", digest)
    assert (status, reason) == (TRUSTED, f"{signed.gun}@{digest} is signed in targets/releases by alice, bob")
    assert verifier.ask(f"{signed.gun}@{digest}", digest)[0] == TRUSTED
    assert verifier.ask(f"{signed.gun}:v1@{digest}", digest)[0] == TRUSTED


def test_go_reads_flags_with_two_dashes_too_and_in_any_order(verifier, signed):
    digest, _ = signed.tags["v1"]
    flags = ["--stdin-media-type", "x/y", "--digest", digest, "--name", f"{signed.gun}:v1"]
    assert answer(verifier.start_with(*flags), b"{}\n")[0] == TRUSTED


@pytest.mark.parametrize(
    "name, what",
    [
        ("{gun}:nope", "TagNotSigned: "),
        ("{gun}-unsigned:v1", "NoTrustData: "),
        ("{gun}@{digest}", "TagNotSigned: "),
        ("{gun}:v1", "DigestMismatch: "),
        ("{gun}:v1@{digest}", "DigestMismatch: "),
        ("{gun}:v1@{v1}", "{gun}:v1@{v1} was resolved to another digest, {digest}"),
        ("{gun}@{v1}", "{gun}@{v1} was resolved to another digest, {digest}"),
    ],
)
def test_what_nobody_signed_is_refused_with_the_reason(verifier, signed, name, what):
    words = {"gun": signed.gun, "digest": OTHER, "v1": signed.tags["v1"][0]}
    status, reason = verifier.ask(name.format(**words), OTHER)
    assert status == REFUSED and reason.startswith(what.format(**words)), reason


def test_the_digest_of_another_signed_tag_is_refused(verifier, signed):
    status, reason = verifier.ask(f"{signed.gun}:v1", signed.tags["v2"][0])
    assert status == REFUSED and reason.startswith("DigestMismatch: ")


def test_expired_trust_data_is_refused(verifier, tagtrust, server, tmp_path):
    gun, (digest, size) = repositories.new_gun("expired"), repositories.make_image("expired")

    def publish(expiry):
        client = tagtrust.Client(
            trust_dir=tmp_path / "publisher", server=server.url, ca_file=server.ca_file,
            expiry={"targets": expiry}, passphrase=lambda *_: "passphrase",
        )  # fmt: skip
        client.sign(f"{gun}:v1", digest, size)

    repositories.let_expire(publish, [tagtrust.ServerRejected])
    status, reason = verifier.ask(f"{gun}:v1", digest)
    assert status == REFUSED and reason.startswith("Expired: ")


def test_without_the_server_only_cached_trust_data_counts(verifier, signed):
    digest, _ = signed.tags["v1"]
    closed = "https://127.0.0.1:1"
    verifier.configure(server=closed)
    status, reason = verifier.ask(f"{signed.gun}:v1", digest)
    assert status == UNDECIDED and reason.startswith("Unreachable: ")
    verifier.configure()
    assert verifier.ask(f"{signed.gun}:v1", digest)[0] == TRUSTED
    verifier.configure(server=closed)
    status, reason = verifier.ask(f"{signed.gun}:v1", digest)
    assert status == TRUSTED and reason.endswith("by cached trust data: the server cannot be asked")
    assert verifier.ask(f"{signed.gun}:v1", OTHER)[0] == REFUSED
    verifier.configure(server=closed, require_fresh="yes")
    assert verifier.ask(f"{signed.gun}:v1", digest)[0] == UNDECIDED


def test_whoever_answers_first_is_not_trusted_unless_that_is_allowed(verifier, signed):
    digest, _ = signed.tags["v1"]
    for setting in (None, "no"):
        verifier.configure(trust_on_first_use=setting)
        status, reason = verifier.ask(f"{signed.gun}:v1", digest)
        assert status == REFUSED and reason.startswith("RootNotTrusted: ")
    assert nothing_is_kept(verifier)


def test_pins_and_required_signers_hold(verifier, signed, server):
    digest, _ = signed.tags["v1"]
    by_alice, _ = signed.tags["by-alice"]
    root = re.search(rb'"root":\{"keyids":\["([0-9a-f]{64})"', server.metadata(signed.gun, "root"))[1].decode()
    both = [f"require_threshold {signed.gun} 2 alice bob", "require_signer registry.example:5000/* alice"]
    verifier.configure(f"pin_certificate registry.example:5000/* {'0' * 64} {root}", *both, trust_on_first_use=None)
    assert verifier.ask(f"{signed.gun}:v1", digest)[0] == TRUSTED
    status, reason = verifier.ask(f"{signed.gun}:by-alice", by_alice)
    assert status == REFUSED and reason.startswith("PolicyViolation: ")
    verifier.configure(f"pin_certificate {signed.gun} {'0' * 64}", trust_dir=verifier.config.parent / "other")
    status, reason = verifier.ask(f"{signed.gun}:v1", digest)
    assert status == REFUSED and reason.startswith("RootNotTrusted: ")


def test_exempt_repositories_are_not_verified_and_no_others_are_exempt(verifier):
    verifier.configure("exempt registry.k8s.io/pause", "exempt registry.example/infra/*", server="https://127.0.0.1:1")
    for name in ("registry.k8s.io/pause:3.10", "registry.example/infra/a/b:1", f"registry.example/infra/a@{OTHER}"):
        status, reason = verifier.ask(name, OTHER)
        assert status == TRUSTED and " is exempt by " in reason
    assert verifier.ask(f"registry.example/infra/a@sha256:{'1' * 64}", OTHER)[0] == REFUSED
    for name in (
        "registry.k8s.io/pause2:3.10", "registry.k8s.io/pause/x:1", "xregistry.k8s.io/pause:3.10",
        "registry.k8s.io/paus:1", "registry.example/infra:1", "registry.example/infrastructure/a:1",
        "Registry.example/infra/a:1",
        "registry.example.org/infra/a:1", "registry.example:443/infra/a:1",
    ):  # fmt: skip
        assert verifier.ask(name, OTHER)[0] == UNDECIDED, name
    for name in (
        "registry.example/infra/../secret:1", "registry.example/infra/..:1", "registry.example/infra/a/:1",
        "registry.example/infra//a:1", "registry.example/infra/a%2f..%2f..:1", "registry.example/infra/a?x=y:1",
        "registry.example/infra/a#x:1", "registry.example/infra/a:1/../../../secret", "registry.example/infra/a:%2e",
        "registry.example/infra/A:1", "registry.example/infra/a:", "registry.example/infra/a@",
        "registry.example/infra/a",
        "registry.example/infra/.a:1", "registry.example/infra/a..b:1", "registry.example/infra/a\\b:1",
        f"registry.example/infra/a@{OTHER}@{OTHER}", "user@registry.example/infra/a:1", "registry.example/infra/a:1:2",
        "registry.example@evil.example/infra/a:1", "https://registry.example/infra/a:1", "/infra/a:1",
    ):  # fmt: skip
        assert verifier.ask(name, OTHER)[0] == REFUSED, name


# The call


@pytest.mark.parametrize(
    "name",
    ["", " ", "alpine", "alpine:3.20", "library/alpine:3.20", "-name", "--help", "registry.example",
     "registry.example/", "registry.example/:1", "registry.example/a:1\n", "registry.example/a:1\nok",
     "registry.example/\x1b[31m:1", "::::/a:1/b", "registry.example/\u00e9:1", b"registry.example/\xff\xfe:1",
     "registry.example/$(id):1", "registry.example/a;id:1", "registry.example/%s%n%s:1",
     "registry.example/" + "a" * 300 + ":1", "registry.example/" + "a/" * 30000 + "a:1",
     "registry.example/a:" + "1" * 129],
)  # fmt: skip
def test_hostile_names_are_refused(verifier, name):
    status, _ = verifier.ask(name, OTHER)
    assert status == REFUSED and nothing_is_kept(verifier)


@pytest.mark.parametrize(
    "digest",
    ["", "0" * 64, "sha256:", f"sha256:{'0' * 63}", f"sha256:{'0' * 65}", f"SHA256:{'0' * 64}", f"sha256:{'A' * 64}",
     f"sha512:{'0' * 128}", f"{OTHER}\n", f" {OTHER}", f"sha256:{'0' * 63}g", "sha256:../../etc/passwd"],
)  # fmt: skip
def test_other_digests_are_refused(verifier, signed, digest):
    assert verifier.ask(f"{signed.gun}:v1", digest)[0] == REFUSED


NAME, DIGEST, TYPE = ["-name", "r.example/a:1"], ["-digest", OTHER], ["-stdin-media-type", "x/y"]


@pytest.mark.parametrize(
    "flags",
    [[], ["-h"], ["--help"], ["-version"], ["-name"], NAME, NAME + DIGEST, DIGEST + TYPE, NAME + TYPE,
     NAME + DIGEST + TYPE[:1], NAME + NAME + DIGEST + TYPE, NAME + DIGEST + DIGEST + TYPE,
     NAME + DIGEST + TYPE + ["-new-flag", "x"], NAME + DIGEST + TYPE + ["x"], ["-name=r.example/a:1"] + DIGEST + TYPE,
     ["---name", "a"] + DIGEST + TYPE, ["name", "a"] + DIGEST + TYPE, NAME + DIGEST + TYPE + ["--"]],
)  # fmt: skip
def test_an_unknown_call_is_refused(verifier, flags):
    status, reason = answer(verifier.start_with(*flags), b"{}\n")
    assert status == MISUSED and reason.startswith("usage: ")


def test_the_descriptor_is_read_to_its_end_and_no_further_than_a_limit(verifier, signed):
    name, (digest, _) = f"{signed.gun}:v1", signed.tags["v1"]
    # More than a pipe holds: whoever writes it must not be stopped.
    assert answer(verifier.start(name, digest), b"x" * 1024 * 1024)[0] == TRUSTED
    status, reason = answer(verifier.start(name, digest), b"x" * 64 * 1024 * 1024)
    assert status == MISUSED and "too large" in reason
    assert answer(verifier.start(name, digest), b"")[0] == MISUSED
    assert answer(verifier.start(name, digest, stdin=subprocess.DEVNULL), None)[0] == MISUSED
    directory = os.open("/", os.O_RDONLY)
    status, reason = answer(verifier.start(name, digest, stdin=directory), None)
    os.close(directory)
    assert status == MISUSED and "cannot be read" in reason


def test_what_the_descriptor_says_changes_nothing(verifier, signed):
    name, (digest, _) = f"{signed.gun}:v1", signed.tags["v1"]
    for descriptor in (b"\0", b"not JSON", b'{"digest":"%s"}' % OTHER.encode(), b"\xff" * 9, b"[" * 100000):
        assert answer(verifier.start(name, digest), descriptor)[0] == TRUSTED
        status, reason = answer(verifier.start(name, OTHER), descriptor)
        assert status == REFUSED and reason.startswith("DigestMismatch: ")


def test_a_descriptor_without_end_is_not_waited_for(verifier):
    verifier.configure(timeout=1)
    process = verifier.start("r.example/a:1", OTHER)
    assert process.wait(DEFAULT_TIMEOUT) == UNDECIDED
    assert answer(process) == (UNDECIDED, "there is no answer in time")


@pytest.mark.parametrize("timeout", [1, 2])
def test_a_server_that_does_not_answer_is_not_waited_for(verifier, timeout):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        verifier.configure(server=f"https://127.0.0.1:{silent.getsockname()[1]}", timeout=timeout)
        begin = time.monotonic()
        status, reason = verifier.ask("r.example/a:1", OTHER)
    assert status == UNDECIDED and reason.startswith("Unreachable: ")
    assert timeout <= time.monotonic() - begin < DEFAULT_TIMEOUT


def test_a_parent_that_blocks_the_alarm_cannot_make_it_wait(verifier):
    verifier.configure(timeout=1)
    verifier.watched_by = (
        shutil.which("python3"), "-c", "import os, signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n",
    )  # fmt: skip
    assert verifier.start("r.example/a:1", OTHER).wait(timeout=10) == UNDECIDED


def test_nobody_hears_the_reason(verifier, signed):
    """Without a place for the reason the answer is never yes."""
    with open("/dev/full", "w") as full:
        flags = ["-name", f"{signed.gun}:v1", "-digest", signed.tags["v1"][0], "-stdin-media-type", "x/y"]
        environment = {"TAGTRUST_CONTAINERD_CONFIG": str(verifier.config)}
        done = subprocess.run([verifier.program, *flags], input=b"{}", stdout=full, env=environment)
    assert done.returncode == UNDECIDED


@pytest.mark.parametrize("closed, expected", [(0, MISUSED), (1, TRUSTED), (2, TRUSTED)])
def test_no_other_file_takes_the_place_of_a_closed_one(verifier, signed, closed, expected):
    """Else the reason could end in the trust directory."""
    close = f"import os, sys; os.close({closed}); os.execv(sys.argv[1], sys.argv[1:])"
    verifier.watched_by = (shutil.which("python3"), "-c", close)
    process = verifier.start(f"{signed.gun}:v1", signed.tags["v1"][0])
    out, err = process.communicate(b"{}", timeout=60)
    assert (process.returncode, bool(out), err) == (expected, closed != 1, b"")
    for file in verifier.lines["trust_dir"].rglob("*"):
        assert not file.is_file() or b"is signed in" not in file.read_bytes()


# For root too.
UNWRITABLE = ["/dev/null", "/dev/null/trust", "/sys", "/sys/none"]


@pytest.mark.parametrize("trust_dir", UNWRITABLE)
def test_without_a_usable_trust_directory_there_is_no_answer_and_no_exemption(verifier, signed, trust_dir):
    verifier.configure(EXEMPT, trust_dir=trust_dir)
    for name, digest in ((f"{signed.gun}:v1", signed.tags["v1"][0]), ("r.example/infra/a:1", OTHER)):
        status, reason = verifier.ask(name, digest)
        assert status == UNDECIDED and reason.startswith(f"the trust directory {trust_dir} cannot be used: "), reason


def test_the_trust_directory_is_made_for_this_user_only_and_tried_without_a_trace(verifier, tmp_path):
    trust_dir = tmp_path / "new" / "trust"
    verifier.configure(EXEMPT, trust_dir=trust_dir)
    assert verifier.ask("r.example/infra/a:1", OTHER)[0] == TRUSTED
    assert [path.stat().st_mode & 0o777 for path in (trust_dir.parent, trust_dir)] == [0o700, 0o700]
    assert not list(trust_dir.iterdir())


def test_whoever_answers_next_is_never_the_first_again(verifier, tagtrust, tmp_path):
    """Where a root cannot be remembered none is trusted on first use: else it would be that of each server in turn."""
    gun, (digest, size) = repositories.new_gun("first"), repositories.make_image("first")
    # The verifier can write there, and the library cannot make what it needs.
    (tmp_path / "half").mkdir()
    (tmp_path / "half/tuf").symlink_to("/sys/none")
    with tagtrust.Server() as one, tagtrust.Server() as other:
        for server in (one, other):
            keys = tmp_path / f"keys of {server is one}"
            publisher = tagtrust.Client(trust_dir=keys, server=server.url, passphrase=lambda *_: "passphrase")
            publisher.sign(f"{gun}:v1", digest, size)

        def asked(trust_dir):
            for server in (one, other):
                verifier.configure(server=server.url, ca_file=None, trust_dir=trust_dir)
                yield verifier.ask(f"{gun}:v1", digest)[0]

        assert list(asked(tmp_path / "trust")) == [TRUSTED, REFUSED]
        for trust_dir in (*UNWRITABLE, tmp_path / "half"):
            assert list(asked(trust_dir)) == [UNDECIDED, UNDECIDED], trust_dir


def test_many_at_once_share_a_trust_directory(verifier, signed):
    wanted = [(f"{signed.gun}:{tag}", signed.tags[tag][0], TRUSTED) for tag in ("v1", "v2", "by-alice")]
    wanted += [(f"{signed.gun}:v1", OTHER, REFUSED), (f"{signed.gun}:nope", OTHER, REFUSED)]
    started = [(verifier.start(name, digest), status) for name, digest, status in wanted * 5]
    assert [answer(process, b"{}\n")[0] for process, _ in started] == [status for _, status in started]


# The configuration


def test_dockers_settings_of_the_user_do_not_count(verifier, signed, tmp_path):
    """Neither root's own trust directory, nor what containerd's environment says about Docker."""
    home = tmp_path / "home"
    (home / ".docker").mkdir(parents=True)
    (home / ".docker/config.json").write_text("not JSON")
    variables = {
        "HOME": str(home),
        "DOCKER_CONFIG": str(home / ".docker"),
        "DOCKER_CONTENT_TRUST_SERVER": "https://127.0.0.1:1",
    }
    name, (digest, _) = f"{signed.gun}:v1", signed.tags["v1"]
    assert verifier.ask(name, digest, **variables)[0] == TRUSTED
    assert [path.name for path in (home / ".docker").iterdir()] == ["config.json"]
    # Without a server in the file it is the registry, whatever the environment says.
    verifier.configure(server=None, timeout=2, trust_dir=tmp_path / "other")
    status, reason = verifier.ask(name, digest, DOCKER_CONTENT_TRUST_SERVER=verifier.lines["server"])
    assert status == UNDECIDED and "registry.example:5000" in reason


@pytest.mark.parametrize(
    "variables, is_asked",
    [
        ({}, False),
        ({"HTTP_PROXY": "{proxy}"}, True),
        ({"https_proxy": "{proxy}", "HTTP_PROXY": "http://127.0.0.1:1"}, True),
        ({"ALL_PROXY": "{proxy}", "HTTPS_PROXY": "http://127.0.0.1:1"}, True),
        ({"HTTPS_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": "{proxy}"}, False),
        ({"HTTPS_PROXY": "{proxy}", "NO_PROXY": "invalid"}, True),
        ({"HTTPS_PROXY": "{proxy}", "NO_PROXY": "a.example, trust.invalid"}, True),
        ({"HTTPS_PROXY": "{proxy}", "NO_PROXY": "a.example,trust.invalid"}, False),
        ({"HTTPS_PROXY": "{proxy}", "NO_PROXY": ".invalid"}, False),
        ({"HTTPS_PROXY": "{proxy}", "NO_PROXY": "*"}, False),
    ],
)
def test_the_proxy_is_that_of_the_environment(verifier, variables, is_asked):
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        verifier.configure(server="https://trust.invalid", timeout=1)
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        status, reason = verifier.ask("r.example/a:1", OTHER, **{k: v.format(proxy=url) for k, v in variables.items()})
        proxy.settimeout(0)
        try:
            said = proxy.accept()[0].recv(100)
        except BlockingIOError:
            said = b""
    assert status == UNDECIDED and reason.startswith("Unreachable: ")
    assert said.startswith(b"CONNECT trust.invalid:443 ") == is_asked


@pytest.mark.parametrize(
    "line, problem",
    [
        ("nonsense 1", "nonsense: there is no such setting"),
        ("Server https://x", "Server: there is no such setting"),
        ("timeout = 5", "timeout: there are too few or too many words"),
        ("timeout", "timeout: there are too few or too many words"),
        ("timeout 0", "timeout: that number cannot be used"),
        ("timeout -1", "timeout: that is no number"),
        ("timeout 5s", "timeout: that is no number"),
        ("timeout 99999999999999999999", "timeout: that is no number"),
        ("timeout 5\ntimeout 5", "timeout: it stands there twice"),
        ("trust_dir relative", 'trust_dir: it is a path that starts with "/"'),
        ("trust_dir /a\ntrust_dir /b", "trust_dir: it stands there twice"),
        ("docker_config ~/.docker", 'docker_config: it is a path that starts with "/"'),
        ("ca_file /nonexistent", "InvalidConfiguration: "),
        ("server ftp://x", "InvalidConfiguration: "),
        ("server http://registry.example", "InvalidConfiguration: "),
        ("client_cert /a", "client_cert: there are too few or too many words"),
        ("client_cert /nonexistent /nonexistent", "InvalidConfiguration: "),
        ("require_fresh maybe", 'require_fresh: it is "yes" or "no"'),
        ("trust_on_first_use true", 'trust_on_first_use: it is "yes" or "no"'),
        ("danger_plain_http YES", 'danger_plain_http: it is "yes" or "no"'),
        ("pin_certificate r.example/a", "pin_certificate: there are too few or too many words"),
        ("pin_certificate r.example/a 00", "InvalidConfiguration: "),
        ("pin_ca r.example/ /nonexistent", "pin_ca: "),
        ("pin_ca r.example/ ca.pem", 'pin_ca: it is a path that starts with "/"'),
        ("require_signer r.example/a", "require_signer: there are too few or too many words"),
        ("require_threshold r.example/a 3 alice bob", ""),
        ("require_threshold r.example/a x alice", "require_threshold: that is no number"),
        ("exempt *", "exempt: it is a repository's full name"),
        ("exempt r.example*", "exempt: it is a repository's full name"),
        ("exempt r.example/a*", "exempt: it is a repository's full name"),
        ("exempt */a", "exempt: it is a repository's full name"),
        ("exempt r.example/*/a", "exempt: it is a repository's full name"),
        ("exempt r.example/**", "exempt: it is a repository's full name"),
        ("exempt alpine", "exempt: it is a repository's full name"),
        ("exempt " + "x " * 100, "exempt: there are too many words"),
    ],
)
def test_settings_that_cannot_be_used_let_nothing_through(verifier, line, problem):
    verifier.config.write_text(f"# exempt all the same\n\n{EXEMPT}\n{line}\n")
    status, reason = verifier.ask("r.example/infra/a:1", OTHER)
    assert status == MISUSED and problem in reason, reason


def test_the_line_with_the_mistake_is_named(verifier):
    verifier.config.write_text(f"# a comment\r\n\n{EXEMPT}\n  \t#{' more' * 100}\n\ttimeout \t 0 \n")
    status, reason = verifier.ask("r.example/infra/a:1", OTHER)
    assert (status, reason) == (MISUSED, f"{verifier.config}, line 5: timeout: that number cannot be used")


def part_of_readme(language):
    text = (ROOT / "ffi/containerd/README.md").read_text()
    (block,) = re.findall(rf"^   ```{language}\n(.*?)^   ```$", text, re.MULTILINE | re.DOTALL)
    return text, textwrap.dedent(block)


def test_the_configuration_of_the_readme_can_be_used(verifier):
    text, config = part_of_readme("conf")
    verifier.config.write_text(f"{config}trust_dir {verifier.lines['trust_dir']}\n")
    assert verifier.ask("registry.k8s.io/pause:3.10", OTHER)[0] == TRUSTED
    documented = set(re.findall(r"^\| `([a-z_]+) [^`]*` \|", text, re.MULTILINE))
    assert documented == set(re.findall(r'^    \{"([a-z_]+)", \d', SOURCE.read_text(), re.MULTILINE))


@pytest.mark.parametrize("text", ["\0", "#" * 70000, "server https://\udcff", "\ufefftimeout 1"])
def test_a_file_that_is_no_text_lets_nothing_through(verifier, text):
    verifier.config.write_text(f"{EXEMPT}\n{text}", errors="surrogateescape")
    assert verifier.ask("r.example/infra/a:1", OTHER)[0] == MISUSED


@pytest.mark.parametrize(
    "kind", ["missing", "directory", "pipe", "group may write", "others may write", "owner", "empty name"]
)
def test_a_file_that_cannot_be_trusted_lets_nothing_through(verifier, kind):
    config, variables = verifier.config, {}
    config.write_text(f"{EXEMPT}\n")
    if kind in ("missing", "directory", "pipe"):
        config.unlink()
    if kind == "directory":
        config.mkdir()
    elif kind == "pipe":
        os.mkfifo(config)
    elif kind == "empty name":
        variables = {"TAGTRUST_CONTAINERD_CONFIG": ""}
    elif kind == "owner":
        need(os.geteuid() == 0, "root, to give a file away")
        os.chown(config, 65534, 65534)
    elif kind != "missing":
        config.chmod(0o664 if kind == "group may write" else 0o646)
    status, reason = verifier.ask("r.example/infra/a:1", OTHER, **variables)
    assert status == MISUSED and "cannot be used: " in reason


def test_neither_leak_nor_stray_access(verifier, signed):
    need(bool(shutil.which("valgrind")), "valgrind")
    verifier.watched_by = (
        "valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full",
        "--errors-for-leak-kinds=definite,indirect,possible", f"--suppressions={ROOT}/tests/c/valgrind.supp",
    )  # fmt: skip
    lines = f"require_threshold {signed.gun} 1 alice bob", f"pin_certificate a.example/* {'0' * 64}"
    verifier.configure(EXEMPT, *lines, timeout=60)
    accepted = verifier.start(f"{signed.gun}:v1", signed.tags["v1"][0])
    refused = verifier.start(f"{signed.gun}:nope", OTHER)
    assert (answer(accepted, b"{}")[0], answer(refused, b"{}")[0]) == (TRUSTED, REFUSED)


# By containerd itself


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    need(bool(shutil.which("docker-registry") and shutil.which("skopeo")), "docker-registry and skopeo")
    with Registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture
def containerd(verifier, tmp_path):
    need(os.geteuid() == 0, "root, to run containerd")
    found = containerd_program("containerd")
    version = run(found, "--version").stdout if found else ""
    need(re.search(r" v?2\.\d", version) is not None, "containerd 2")
    verifiers = tmp_path / "bin"
    verifiers.mkdir()
    (verifiers / "tagtrust-containerd").symlink_to(verifier.program)
    with Containerd(tmp_path / "c", verifiers, {"TAGTRUST_CONTAINERD_CONFIG": verifier.config}) as containerd:
        yield containerd


@pytest.fixture(scope="module")
def images(registry, server, tmp_path_factory):
    """Signed with notary: `app:signed` and `app:index`; `app:moved` was signed and then pushed again."""
    gun = f"{registry.address}/team/app"
    signed = {
        "signed": registry.push(f"{gun}:signed", "linux/amd64"),
        "index": registry.push(f"{gun}:index", "linux/amd64", "linux/arm64"),
        "moved": registry.push(f"{gun}:moved", "linux/amd64", seed="before"),
    }
    notary = Notary(server, tmp_path_factory.mktemp("publisher"))
    notary.init(gun)
    for tag, image in signed.items():
        notary.addhash(gun, tag, image.size, image.digest.removeprefix("sha256:"))
    notary.publish(gun)
    pushed = {"moved": registry.push(f"{gun}:moved", seed="after"), "unsigned": registry.push(f"{gun}:unsigned")}
    return {tag: (f"{gun}:{tag}", image.digest) for tag, image in (signed | pushed).items()}


def test_the_settings_of_the_readme_are_containerds_own(containerd, tmp_path):
    _, config = part_of_readme("toml")
    (tmp_path / "readme.toml").write_text(config)
    dumped = run(containerd_program("containerd"), "--config", tmp_path / "readme.toml", "config", "dump").stdout
    default = run(containerd_program("containerd"), "config", "default").stdout
    section = re.compile(r"\[plugins.'io.containerd.image-verifier.v1.bindir'\]\n(.*?)\n\n", re.DOTALL)
    assert section.search(dumped)[1] == section.search(default)[1]


def blocked(containerd, reference, digest) -> str:
    """The reason; nothing of the image may be there."""
    done = containerd.pull(reference)
    assert done.returncode != 0 and "image verifier bindir blocked pull" in done.stderr, done.stderr
    assert not containerd.holds(digest) and containerd.ctr("images", "ls", "--quiet").stdout == ""
    return done.stderr


def test_containerd_pulls_what_was_signed(containerd, images):
    for tag in ("signed", "index"):
        reference, digest = images[tag]
        done = containerd.pull(reference)
        assert done.returncode == 0 and containerd.holds(digest), done.stderr
    by_digest = images["signed"][0].replace(":signed", f"@{images['signed'][1]}")
    assert containerd.pull(by_digest).returncode == 0
    kept = containerd.ctr("images", "ls", "--quiet").stdout.split()
    assert sorted(kept) == sorted([images["signed"][0], images["index"][0], by_digest])
    assert f"{images['signed'][1]} is signed in targets" in containerd.log.read_text()


def test_containerd_pulls_nothing_else(containerd, images, verifier):
    reference, digest = images["unsigned"]
    assert "tagtrust-containerd rejected image (exit code 1): TagNotSigned: " in blocked(containerd, reference, digest)
    repository = reference.removesuffix(":unsigned")
    for by_digest in (f"{repository}@{digest}", f"{repository}:signed@{digest}"):
        blocked(containerd, by_digest, digest)
    assert "DigestMismatch: " in blocked(containerd, *images["moved"])

    good = images["signed"]
    verifier.configure(server="https://127.0.0.1:1", trust_dir=verifier.config.parent / "empty")
    assert "(exit code 3): Unreachable: " in blocked(containerd, *good)
    verifier.configure("nonsense")
    assert "(exit code 2): " in blocked(containerd, *good)
    verifier.config.unlink()
    assert "(exit code 2): " in blocked(containerd, *good)


def test_containerd_pulls_what_is_exempt(containerd, images, verifier):
    reference, digest = images["unsigned"]
    verifier.configure(f"exempt {reference.removesuffix(':unsigned')}")
    assert containerd.pull(reference).returncode == 0 and containerd.holds(digest)
