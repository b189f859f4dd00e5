"""A test lab around the real programs: notary-server, notary-signer, notary, docker trust,
docker-registry and PostgreSQL.

Everything here runs on loopback, as this user, in temporary directories, and
is stopped by its process id.
"""

from .docker import DockerTrust
from .engine import Engine
from .notary import Notary
from .postgres import Postgres
from .process import CommandFailed, run
from .proxy import Proxy
from .registry import Registry
from .server import NotaryServer, TagtrustServer
from .signer import NotarySigner

__all__ = [
    "CommandFailed",
    "DockerTrust",
    "Engine",
    "Notary",
    "NotaryServer",
    "NotarySigner",
    "Postgres",
    "Proxy",
    "Registry",
    "TagtrustServer",
    "run",
]
