"""What every Python test can ask for. A missing program skips a test; in CI it fails."""

import functools
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest

from lab import DockerTrust, Engine, Notary, NotaryServer
from lab.need import need
from lab.repositories import build


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """notary-server has defects that end it, when it creates keys for several at once for one.

    It is started again then, and the test that it left alone is run once more. Ours gets no second chance.
    """
    try:
        return (yield)
    except Exception:
        arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
        used = [getattr(argument, "server", argument) for argument in arguments.values()]
        dead = [server for server in used if isinstance(server, NotaryServer) and server.has_died]
        if not dead:
            raise
    for server in dead:
        warnings.warn(f"notary-server died in {pyfuncitem.nodeid}: {server.log.read_text()[-2000:]}")
        server.start()
    pyfuncitem.obj(**arguments)
    return True


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
    def make(recipe, process):
        return build(recipe, server, engine, fresh_directory())

    # What a server in memory held ends with it.
    return lambda recipe: make(recipe, server.pid)
