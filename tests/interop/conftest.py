"""Repositories to read, and the four ways in which users call the library."""

import pytest

from interop.verifiers import VERIFIERS
from lab.need import need
from lab.repositories import RECIPES


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


@pytest.fixture(params=RECIPES)
def repository(request, published):
    return published(request.param)
