"""Signed repositories, and a server on the way that a test can slow down."""

import pytest

from lab import Proxy


@pytest.fixture
def signed(published):
    """Signers alice and bob, tags in `targets/releases`; `by-alice` without bob."""
    return published("docker-signed")


@pytest.fixture
def proxy(server):
    with Proxy(server) as proxy:
        yield proxy


@pytest.fixture
def connect(tagtrust, server, tmp_path):
    """`connect(...)`: a client with settings of its own and an empty trust directory."""

    def connect(to=server, **settings):
        settings = {"trust_dir": tmp_path / "trust", "ca_file": server.ca_file, **settings}
        return tagtrust.Client(server=to.url, **settings)

    return connect
