"""The scenarios of pulls and pushes with content trust, by number: the real `docker`, and we, on either server.

We pull and push nothing. What Docker lets its engine pull we have to verify, and nothing else; what it signs
after a push we sign, too.
"""

import contextlib
import shutil

import pytest

from interop.verifiers import COMMAND, environment
from lab import DockerTrust, Proxy, Registry, run
from lab.certificates import make_server_certificate
from lab.need import need
from lab.repositories import RELEASES, make_image
from publish.conftest import tree, versions
from publish.users import Us
from server.conftest import ONE_OF_EACH, site_id

pytestmark = pytest.mark.parametrize("site", ONE_OF_EACH, indirect=True, ids=site_id)

A, B = make_image("A"), make_image("B")


@pytest.fixture
def publisher(both, site, engine, fresh_directory):
    """Whose repository both read: one with our command, one with Docker's."""
    publisher = Us.new(site.server, engine, fresh_directory())
    both.us.gun = both.them.gun = publisher.gun
    return publisher


def test_61_of_an_absent_repository_nothing_is_pulled(both, publisher, engine):
    with no_pull(engine):
        pulled = pull(both.them, "v1")
    assert pulled.returncode == 1
    assert f"remote trust data does not exist for {publisher.gun}" in pulled.stderr
    assert refusal(both.us, "v1") == "NoTrustData"


def test_62_of_two_digests_the_released_one_is_pulled(both, publisher):
    sign_differently(publisher.docker, publisher.gun)
    assert pulled(both.them, "v1") == verified(both.us, "v1") == B[0]


def test_63_what_only_one_signer_lists_is_not_pulled(both, publisher, engine):
    publisher.docker.add_signer("bob", publisher.gun, publisher.docker.generate_key("bob", publisher.directory))
    publisher.sign("v1", "--role", "targets/bob")
    assert publisher.tags_in("targets/bob") == {"v1"}
    with no_pull(engine):
        said = pull(both.them, "v1")
    assert said.returncode == 1 and "No trust data for v1" in said.stderr
    assert refusal(both.us, "v1") == "TagNotSigned"


def test_64_a_digest_is_pulled_without_a_question_and_verified_with_one(both, publisher, site, engine):
    publisher.docker.push(f"{publisher.gun}:v1", *A)
    with Proxy(site.server) as proxy:
        assert pull(both.them, A[0], to=proxy).returncode == 0
        assert pull(both.them, B[0], to=proxy).returncode == 0
        assert proxy.requests == []
    assert engine.calls[-1] == "POST /images/create"
    # Some tag that counts has to have it.
    (found,) = both.us.json("verify", f"{publisher.gun}@{A[0]}")
    assert (found["tags"], found["digest"]) == (["v1"], A[0])
    assert refusal(both.us, B[0]) == "TagNotSigned"


def test_65_the_first_push_makes_the_repository(both, site, engine):
    us, them = both
    engine.images[f"{them.gun}:v1"] = A
    with Proxy(site.server, refuse=lambda method, path: 503) as proxy:
        pushed = push(them, "v1", to=proxy)
        sign(us, "v1", A, status=3, to=proxy)
    # The image stays pushed.
    assert f"POST /images/{them.gun}/push" in engine.calls
    assert pushed.returncode == 1 and f"failed to sign {them.gun}:v1" in pushed.stderr
    for user in both:
        assert site.get(user.gun, "root.json").status == 404
    assert push(them, "v1").returncode == 0
    sign(us, "v1", A)
    for user in both:
        assert versions(site.server, user.gun) == {"root": 1, "targets": 2, "snapshot": 1, "timestamp": 1}
        assert user.tags_in("targets") == {"v1"} and user.tags() == {"v1": A}


def test_66_without_the_server_the_cache_serves_readers_only(both, site, engine):
    us, them = both
    sign(us, "v1", A)
    them.docker.push(f"{them.gun}:v1", *A)
    assert pulled(them, "v1") == verified(us, "v1") == A[0]
    engine.images[f"{them.gun}:v2"] = B
    with Proxy(site.server) as gone:
        pass
    with nothing_moves(both):
        said = pull(them, "v1", to=gone)
        assert said.returncode == 0 and A[0] in said.stdout
        assert "using cached timestamp - this might not be the latest version available remotely" in said.stderr
        said = us.run("verify", f"{us.gun}:v1", "--json", to=gone)
        assert '"fresh": false' in said.stdout and said.stderr.startswith("warning: ")
        sign(us, "v2", B, status=3, to=gone)
    # Docker keeps what it could not publish, for the next time.
    assert push(them, "v2", to=gone).returncode == 1
    assert them.notary.status(them.gun) == [("create", "targets", "target", "v2")]
    assert us.tags() == them.tags() == {"v1": A}
    strangers = both.others()
    with nothing_moves(strangers), no_pull(engine):
        said = pull(strangers.them, "v1", to=gone)
        assert said.returncode == 1 and "error contacting notary server" in said.stderr
        assert refusal(strangers.us, "v1", status=3, to=gone) == "Unreachable"


def test_67_another_root_is_not_followed(both, publisher, site, engine, fresh_directory):
    publisher.docker.push(f"{publisher.gun}:v1", *A)
    assert pulled(both.them, "v1") == verified(both.us, "v1") == A[0]
    assert site.delete(publisher.gun).status == 200
    other = Us.new(site.server, engine, fresh_directory())
    other.docker.push(f"{publisher.gun}:v1", *B)
    with nothing_moves(both), no_pull(engine):
        said = pull(both.them, "v1")
        assert said.returncode == 1 and "could not rotate trust to a new trusted root" in said.stderr
        assert refusal(both.us, "v1") == "RootNotTrusted"


def test_68_older_versions_are_not_followed(both, publisher, site, engine):
    older = {}
    with Proxy(site.server, lambda path, body: older.get(path, body)) as restored:
        publisher.docker.push(f"{publisher.gun}:v1", *A)
        timestamp = site.server.metadata(publisher.gun, "timestamp")
        publisher.docker.push(f"{publisher.gun}:v1", *B)
        assert pulled(both.them, "v1") == verified(both.us, "v1") == B[0]
        older[f"/v2/{publisher.gun}/_trust/tuf/timestamp.json"] = timestamp
        with nothing_moves(both), no_pull(engine):
            said = pull(both.them, "v1", to=restored)
            assert said.returncode == 1 and "trust data version is lower than expected" in said.stderr
            assert refusal(both.us, "v1", to=restored) == "RolledBack"


def test_69_who_does_not_switch_it_off_verifies_over_https(both, publisher, site, engine):
    publisher.docker.push(f"{publisher.gun}:v1", *A)
    unsigned, plain = f"{publisher.gun}:v2", "http://notary.example"
    what = f"valid https URL required for trust server, got {plain}"

    def pull_with(**variables):
        return run("docker", "pull", unsigned, env=both.them.docker.environment | variables, check=False)

    with no_pull(engine):
        said = pull_with(DOCKER_CONTENT_TRUST="yes")
        assert said.returncode == 1 and "No valid trust data for v2" in said.stderr
        said = pull_with(DOCKER_CONTENT_TRUST="1", DOCKER_CONTENT_TRUST_SERVER=plain)
        assert said.returncode == 1 and what in said.stderr
    said = pull_with(DOCKER_CONTENT_TRUST="0")
    assert said.returncode == 0 and engine.calls[-1] == "POST /images/create"

    # Whoever asks us wants to know. The server is Docker's to say.
    def verify_with(**variables):
        words = ["--trust-dir", both.us.trust_dir, "--ca-file", site.server.ca_file, unsigned]
        variables = {"DOCKER_CONTENT_TRUST_SERVER": site.server.url} | variables
        said = run(COMMAND, "verify", *words, env=environment() | variables, check=False)
        assert said.stdout == ""
        return said.returncode, said.stderr

    for value in ("yes", "0"):
        status, said = verify_with(DOCKER_CONTENT_TRUST=value)
        assert status == 1 and "no valid trust data for v2" in said
    status, said = verify_with(DOCKER_CONTENT_TRUST_SERVER=plain)
    assert status == 2 and what in said


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "registry.example:5000"])
def test_70_a_certificate_of_a_stranger(host, both, publisher, site, engine, fresh_directory):
    for user in (publisher, *both):
        user.gun = user.gun.replace("registry.example:5000", host)
    publisher.docker.push(f"{publisher.gun}:v1", *A)
    ca_file = make_server_certificate(fresh_directory()).ca_file
    reader = DockerTrust(site.server, both.them.docker.config_dir, engine, ca_file)
    with no_pull(engine) if host.startswith("registry") else contextlib.nullcontext():
        said = reader.run("pull", f"{publisher.gun}:v1", check=False)
    # Docker believes whoever serves the images from this machine.
    if host.startswith("registry"):
        assert said.returncode == 1 and "certificate signed by unknown authority" in said.stderr
    else:
        assert said.returncode == 0 and A[0] in said.stdout
    # We do not.
    with nothing_moves(both):
        words = ["--server", site.server.url, "--ca-file", ca_file, "--trust-dir", both.us.trust_dir]
        said = run(COMMAND, "verify", *words, f"{publisher.gun}:v1", env=environment(), check=False)
    assert (said.returncode, said.stdout) == (3, "") and "certificate" in said.stderr


def test_71_signing_again_keeps_the_released_digest(both, fresh_directory):
    us, them = both
    sign_differently(them.docker, them.gun)
    them.docker.trust("sign", f"{them.gun}:v1")
    # Docker has gone back to the other digest without a word.
    assert them.tags() == {"v1": A}
    for program in ("docker-registry", "skopeo"):
        need(bool(shutil.which(program)), program)
    with Registry(fresh_directory()) as registry:
        us.gun = f"{registry.address}/lab/app"
        pushed = registry.push(f"{us.gun}:v1")
        released = pushed.digest, pushed.size
        sign_differently(us.docker, us.gun, released)
        said = us.run("sign", f"{us.gun}:v1")
    digest = pushed.digest.removeprefix("sha256:")
    assert f"Existing signatures for tag v1 digest {digest} from:\nalice\n" in said.stdout
    assert us.tags() == {"v1": released}


def test_72_what_is_still_signed_in_targets_is_not_gone(both):
    us, them = both
    for user in both:
        sign_differently(user.docker, user.gun)
    said = them.docker.trust("revoke", "--yes", f"{them.gun}:v1")
    # Docker looks at no `targets` where there are signers.
    assert said.stdout == f"Successfully deleted signature for {them.gun}:v1\n" and said.stderr == ""
    assert them.tags() == {"v1": A}

    alice = both.others().us
    alice.bring_key("alice", us)
    said = alice.run("revoke", "--yes", f"{us.gun}:v1")
    assert "v1 can still be pulled: targets signs it, and its key is not here" in said.stderr
    assert us.tags() == {"v1": A} and us.tags_in(RELEASES) == set()
    assert us.run("revoke", "--yes", f"{us.gun}:v1").stderr == ""
    assert us.tags() == {} and refusal(us, "v1") == "TagNotSigned"


# What a scenario begins with


def sign_differently(docker, gun, released=B):
    """v1 is A in `targets`, and something else in `targets/releases`."""
    docker.push(f"{gun}:v1", *A)
    docker.add_signer("alice", gun, docker.generate_key("alice", docker.config_dir))
    docker.engine.images[f"{gun}:v1"] = released
    docker.trust("sign", "--local", f"{gun}:v1")


# What they do, and what comes of it


def docker_of(user, to=None) -> DockerTrust:
    return DockerTrust(to, user.docker.config_dir, user.docker.engine) if to else user.docker


def name(user, what) -> str:
    """`what`: a tag or a digest."""
    return f"{user.gun}{'@' if ':' in what else ':'}{what}"


def pull(user, what, to=None):
    return docker_of(user, to).run("pull", name(user, what), check=False)


def push(user, tag, to=None):
    return docker_of(user, to).run("push", name(user, tag), check=False)


def sign(user, tag, image, **kwargs):
    user.run("sign", name(user, tag), "--digest", image[0], "--size", image[1], **kwargs)


def pulled(user, tag) -> str:
    """The digest that Docker's engine was told to pull."""
    return user.docker.pull(name(user, tag)).partition("@")[2]


def verified(user, tag) -> str:
    """The digest that we trust."""
    (found,) = user.json("verify", name(user, tag))
    return found["digest"]


def refusal(user, what, status=1, **kwargs) -> str:
    """The class of our error."""
    (found,) = user.json("verify", name(user, what), status=status, **kwargs)
    assert not found["trusted"]
    return found["error"]


@contextlib.contextmanager
def no_pull(engine):
    before = len(engine.calls)
    yield
    assert [call for call in engine.calls[before:] if call.startswith("POST")] == []


@contextlib.contextmanager
def nothing_moves(both):
    """Neither in their trust directories nor on the server."""

    def state():
        server = both.us.docker.server
        return [(tree(user.trust_dir), server.metadata(user.gun, "timestamp")) for user in both]

    before = state()
    yield
    assert state() == before
