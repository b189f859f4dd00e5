"""Requests that are none: an answer or a closed connection, bounded memory, and everybody else is served."""

import random
import re
import resource
import selectors
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from attacks import tuf
from lab.server import TagtrustServer
from server.durability.hard import HardServer
from server.durability.raw import Target
from server.site import Draft, Site
from server.wire import BOUNDARY, Wire, multipart

MIB = 1024 * 1024
MAX_BODY, MAX_UPLOADS = 2 * MIB, 4
HEADER_TIMEOUT, REQUEST_TIMEOUT = 2, 3
LIMITS = {
    "max_body": MAX_BODY,
    "max_uploads": MAX_UPLOADS,
    "header_timeout": HEADER_TIMEOUT,
    "request_timeout": REQUEST_TIMEOUT,
}
# A debug build with its tables; what matters is that it does not grow with what is sent.
MAX_MEMORY = 400 * MIB
CONNECTIONS = 10_000
FUZZED = 3000
HANDSHAKES = 500


class PlainServer(HardServer):
    @property
    def url(self):
        return f"http://{self.address}"

    def _config(self):
        return super()._config() | {"server": {"http_addr": self.address}}


class PlainWire(Wire):
    def request(self, method, path, body=None, headers=None):
        return self._exchange(self._plain_connection(), method, path, body, headers)


@dataclass
class Victim:
    server: TagtrustServer
    target: Target
    site: Site
    # A repository that nothing here may change.
    draft: Draft

    @property
    def path(self) -> str:
        return f"/v2/{self.draft.gun}/_trust/tuf/"


KINDS = ["plain sqlite", "TLS memory", "plain postgres"]
