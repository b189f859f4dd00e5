"""What every Python test can ask for. A missing program skips a test; in CI it fails."""

import functools
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import DockerTrust, Engine, Notary, NotaryServer
from lab.need import need
from lab.repositories import build


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One notary-server for everything that does not stop it; each test has its own repositories."""
    need(bool(shutil.which("notary-server")), "notary-server")
    with NotaryServer(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def engine():
    """One engine for everyone who signs with Docker."""
    has_trust = shutil.which("docker") and subprocess.run(["docker", "trust", "inspect", "--help"], capture_output=True)
    need(bool(has_trust) and has_trust.returncode == 0, "a docker CLI with `docker trust`")
    with Engine() as engine:
        yield engine


@pytest.fixture
def notary(server, tmp_path) -> Notary:
    """A reader with an empty trust directory."""
    return Notary(server, tmp_path / "notary")


@pytest.fixture
def docker(server, engine, tmp_path) -> DockerTrust:
    """A reader with an empty trust directory and no engine."""
    return DockerTrust(server, tmp_path / "docker")


@pytest.fixture(scope="session")
def fresh_directory(tmp_path_factory):
    """Call it for one more directory."""
    return lambda: Path(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="session")
def tagtrust():
    """The Python package."""
    try:
        import tagtrust
    except ImportError:
        tagtrust = None
    need(tagtrust is not None, "the Python package `tagtrust`")
    return tagtrust


@pytest.fixture
def client(tagtrust, server, tmp_path):
    return tagtrust.Client(trust_dir=tmp_path / "trust", server=server.url, ca_file=server.ca_file)


@pytest.fixture(scope="session")
def published(server, engine, fresh_directory):
    """`published("docker-signed")`: a repository made once and only read by the tests."""

    @functools.cache
    def make(recipe):
        return build(recipe, server, engine, fresh_directory())

    return make
