"""Repositories to read, and the four ways in which users call the library."""

import functools

import pytest

from interop.verifiers import VERIFIERS
from lab.need import need
from lab.repositories import RECIPES, build


@pytest.fixture(params=VERIFIERS)
def verifier(request):
    return ready(request.param)


@pytest.fixture
def verifiers():
    """All of them, for tests whose repository takes long to make."""
    return [ready(name) for name in VERIFIERS]


def ready(name):
    verifier = VERIFIERS[name]()
    need(verifier.is_built, f"{name} ({verifier.where})")
    return verifier


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


@pytest.fixture(params=RECIPES)
def repository(request, published):
    return published(request.param)
