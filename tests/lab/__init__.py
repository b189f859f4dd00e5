"""A test lab around the real programs: notary-server, notary, docker trust and docker-registry.

Everything here runs on loopback, as this user, in temporary directories, and
is stopped by its process id.
"""

from .docker import DockerTrust
from .engine import Engine
from .notary import Notary
from .process import CommandFailed, run
from .proxy import Proxy
from .registry import Registry
from .server import NotaryServer

__all__ = ["CommandFailed", "DockerTrust", "Engine", "Notary", "NotaryServer", "Proxy", "Registry", "run"]
