"""A test lab around the real programs: notary-server, notary and docker trust.

Everything here runs on loopback, as this user, in temporary directories, and
is stopped by its process id.
"""

from .docker import DockerTrust
from .engine import Engine
from .notary import Notary
from .process import CommandFailed, run
from .proxy import Proxy
from .server import NotaryServer

__all__ = ["CommandFailed", "DockerTrust", "Engine", "Notary", "NotaryServer", "Proxy", "run"]
