"""Publishers: we and the real programs, on trust directories of their own or shared."""

import base64
import contextlib
import hashlib
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import urllib.error
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from lab import DockerTrust, Notary, Registry
from lab.certificates import make_delegation_key
from lab.need import need
from lab.notary import PASSPHRASE, shorten_gun
from lab.process import clean_environment
from lab.repositories import RELEASES, new_gun
from stress.conftest import slow_files  # noqa: F401  a fixture for these tests, too


@dataclass
class Publisher:
    """One trust directory, and everybody who can use it."""

    gun: str
    trust_dir: Path
    client: object  # tagtrust.Client
    notary: Notary
    docker: DockerTrust

    def reference(self, tag) -> str:
        return f"{self.gun}:{tag}"


@pytest.fixture
def connect(tagtrust, server, fresh_directory):
    """`connect(trust_dir, **settings)`: a client that knows the passphrase."""

    def connect(trust_dir=None, **settings):
        settings = {"passphrase": lambda *_: PASSPHRASE, **settings}
        trust_dir = trust_dir or fresh_directory() / "trust"
        return tagtrust.Client(trust_dir=trust_dir, server=server.url, ca_file=server.ca_file, **settings)

    return connect


@pytest.fixture
def publisher(connect, server, engine, fresh_directory):
    """`publisher()`: with an empty trust directory; `publisher(other)`: with a copy of the other's keys."""

    def publisher(other=None, name="publish", **settings):
        config_dir = fresh_directory()
        docker = DockerTrust(server, config_dir, engine)
        if other:
            shutil.copytree(other.trust_dir / "private", docker.trust_dir / "private")
        gun = other.gun if other else new_gun(name)
        return Publisher(
            gun, docker.trust_dir, connect(docker.trust_dir, **settings), Notary(server, docker.trust_dir), docker
        )

    return publisher


@pytest.fixture
def stranger(server, fresh_directory):
    """`stranger()`: the real `notary` of somebody who never saw the repository. It verifies everything it lists."""
    return lambda: Notary(server, fresh_directory())


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    """Without TLS, as on a developer's machine."""
    yield from _registry(tmp_path_factory, None)


@pytest.fixture(scope="session")
def tls_registry(server, tmp_path_factory):
    """With TLS, under the trust server's CA, and a password."""
    yield from _registry(tmp_path_factory, server.certificate)


def _registry(tmp_path_factory, certificate):
    for program in ("docker-registry", "skopeo"):
        need(bool(shutil.which(program)), program)
    with Registry(tmp_path_factory.mktemp("registry"), certificate) as registry:
        yield registry


@pytest.fixture
def rng():
    """Random, and the same again with TAGTRUST_STRESS_SEED."""
    seed = int(os.environ.get("TAGTRUST_STRESS_SEED", random.randrange(2**32)))
    print(f"TAGTRUST_STRESS_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def every_log(caplog):
    caplog.set_level(logging.DEBUG, "tagtrust")
    return caplog


@dataclass(frozen=True)
class DelegationKey:
    """Its PEM files and its canonical ID."""

    public: Path
    private: Path
    id: str


def delegation_key(kind, directory, name) -> DelegationKey:
    """`kind` as for `make_delegation_key`."""
    public, private = make_delegation_key(kind, directory, name)
    return DelegationKey(public, private, canonical_id(private))


def canonical_id(private: Path, password=None) -> str:
    """The ID that Notary gives to a private key in PEM; the file's name in a trust directory."""
    key = load_pem_private_key(private.read_bytes(), password)
    public = base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    keytype = "rsa" if isinstance(key, rsa.RSAPrivateKey) else "ecdsa"
    canonical = f'{{"keytype":"{keytype}","keyval":{{"private":null,"public":"{public}"}}}}'
    return hashlib.sha256(canonical.encode()).hexdigest()


# What programs and files say


def tree(directory) -> dict[str, tuple[int, bytes]]:
    """What anybody could read in a trust directory: {file: (mode, content)}. Locks are nobody's business."""
    return {
        str(path.relative_to(directory)): (path.stat().st_mode & 0o777, path.read_bytes())
        for path in sorted(Path(directory).rglob("*"))
        if path.is_file() and ".tagtrust" not in path.parts
    }


def versions(server, gun) -> dict[str, int]:
    """Of every role that the server's snapshot lists."""
    files = {role: signed(server, gun, role) for role in ("root", "snapshot", "timestamp")}
    for role in files["snapshot"]["meta"].keys() - files.keys():
        files[role] = signed(server, gun, role)
    return {role: file["version"] for role, file in files.items()}


@contextlib.contextmanager
def unchanged(publisher):
    """Neither the trust directory nor the server moves meanwhile."""

    def state():
        with contextlib.suppress(urllib.error.HTTPError):
            return tree(publisher.trust_dir), versions(publisher.notary.server, publisher.gun)
        return tree(publisher.trust_dir)

    # So that there is nothing new to store in the cache.
    publisher.notary.run("list", publisher.gun, check=False)
    before = state()
    yield
    assert state() == before


def signed(server, gun, role) -> dict:
    return json.loads(server.metadata(gun, role))["signed"]


def key_ids(server, gun, role) -> list[str]:
    return signed(server, gun, "root")["roles"][role]["keyids"]


def our_delegations(client, gun) -> dict[str, tuple[list[str], list[str], int]]:
    """As `Notary.delegations`."""
    return {
        delegation.name: (sorted(delegation.paths), sorted(delegation.key_ids), delegation.threshold)
        for delegation in client.delegations(gun)
    }


def our_keys(client) -> list[tuple[str, str, str]]:
    """As `Notary.keys`."""
    return sorted((key.role, shorten_gun(key.gun or ""), key.id) for key in client.keys())


def our_tags(client, gun) -> dict[str, tuple[str, int]]:
    """What we verify: {tag: (digest, size)}. A tag that is listed may count nowhere, as for `docker pull`."""
    tags = sorted({row.tag for row in client.inspect(gun).signed_tags})
    verified = zip(tags, client.verify_many([f"{gun}:{tag}" for tag in tags]))
    return {tag: (it.digest, it.size) for tag, it in verified if not isinstance(it, Exception)}


def their_tags(notary, gun) -> dict[str, tuple[str, int]]:
    """What counts by Docker's rule, as the real `notary` lists it."""
    counted = [RELEASES, "targets"]
    return {tag: (digest, size) for tag, (digest, size, role) in notary.list(gun, counted).items() if role in counted}


def assert_all_agree(publisher, reader):
    """`list`, `lookup`, `delegation list` and `key list` say what we say.

    `reader`: a `notary` with a trust directory of its own, which verifies all that was published.
    """
    client, gun = publisher.client, publisher.gun
    tags = our_tags(client, gun)
    assert their_tags(publisher.notary, gun) == their_tags(reader, gun) == tags
    assert reader.delegations(gun) == our_delegations(client, gun)
    in_targets = reader.list(gun)
    for tag in sorted(in_targets.keys() & tags.keys())[:1]:
        assert reader.lookup(gun, tag)[0] == in_targets[tag][0]
    assert sorted(publisher.notary.keys()) == our_keys(client)


def assert_docker_agrees(publisher):
    client, gun = publisher.client, publisher.gun
    # Docker prints the two digests of one tag in a random order.
    assert sorted(publisher.docker.pretty(gun).split("\n")) == sorted(client.inspect(gun).to_pretty().split("\n"))


class Worker:
    """`worker.py` at work on a publisher's trust directory."""

    def __init__(self, publisher, *words, environment=None, trust_dir=None):
        server = publisher.notary.server
        script = Path(__file__).with_name("worker.py")
        argv = [sys.executable, script, server.url, server.ca_file, trust_dir or publisher.trust_dir, *words]
        self.process = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(environment),
        )

    def go(self):
        """Once it is ready; it comes to its work at once."""
        assert self.process.stdout.readline() == "ready\n", self.process.stderr.read()
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def answer(self) -> dict:
        out, err = self.process.communicate(timeout=300)
        assert self.process.returncode == 0, err
        return json.loads(out)

    def kill(self) -> bool:
        """Whether it was at work still."""
        self.process.kill()
        self.process.communicate()
        return self.process.returncode == -signal.SIGKILL


@pytest.fixture
def worker():
    """`worker(publisher, operation, *arguments)`; none outlives its test."""
    workers = []

    def worker(*args, **kwargs):
        workers.append(Worker(*args, **kwargs))
        return workers[-1]

    yield worker
    for one in workers:
        one.kill()
