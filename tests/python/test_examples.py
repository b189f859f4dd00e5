"""The examples in the documentation are run, with their own repository."""

import doctest
from pathlib import Path

import pytest

from lab import DockerTrust
from lab.repositories import make_image

README = Path(__file__).parents[2] / "python/README.md"
RUNNER = {"optionflags": doctest.ELLIPSIS, "verbose": False}


@pytest.fixture
def example(server, engine, tmp_path, monkeypatch):
    """registry.example/team/app:1.2, signed by alice and bob; Docker's settings lead to its server."""
    docker = DockerTrust(server, tmp_path / "publisher", engine)
    gun = "registry.example/team/app"
    for name in ("alice", "bob"):
        docker.add_signer(name, gun, docker.generate_key(name, tmp_path))
    docker.sign(f"{gun}:1.2", *make_image("example"))
    monkeypatch.setenv("DOCKER_CONFIG", str(DockerTrust(server, tmp_path / "docker").config_dir))
    monkeypatch.setenv("DOCKER_CONTENT_TRUST_SERVER", server.url)


def test_documentation(tagtrust, example):
    module = doctest.testmod(tagtrust, **RUNNER)
    readme = doctest.testfile(str(README), module_relative=False, **RUNNER)
    assert module.attempted and readme.attempted
    assert module.failed == readme.failed == 0
