"""Histories to serve, and a server for them."""

import shutil
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from attacks.server import Server
from interop.verifiers import BUILD
from lab import repositories
from lab.need import need
from lab.repositories import RELEASES
from stress.history import make_history


@pytest.fixture(scope="session")
def rust_example():
    program = BUILD / "examples/verify"
    need(program.exists(), "the Rust example")
    return program


@pytest.fixture(scope="session")
def replay(tmp_path_factory):
    """The server of the histories."""
    server = Server(tmp_path_factory.mktemp("replay"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def histories(server, engine, fresh_directory):
    """One by each of the real programs."""
    by_docker = repositories.docker_signed(server, fresh_directory(), engine, "kills")
    by_notary = repositories.notary_plain(server, fresh_directory(), "kills")
    return [make_history(by_docker, ["targets", RELEASES]), make_history(by_notary, ["targets"])]


@pytest.fixture(scope="session")
def unreachable(replay):
    """A server that is not there; nobody else can take its port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield SimpleNamespace(url=f"https://127.0.0.1:{taken.getsockname()[1]}", ca_file=replay.ca_file)


@pytest.fixture(scope="session")
def slow_files(tmp_path_factory):
    need(bool(shutil.which("cc")), "cc")
    library = tmp_path_factory.mktemp("slow") / "slow_files.so"
    source = Path(__file__).with_name("slow_files.c")
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", source, "-o", library], check=True)
    return library
