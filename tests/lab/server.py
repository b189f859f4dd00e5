"""Trust servers over TLS on a free loopback port: the real notary-server, and ours."""

import json
import os
import ssl
import urllib.request
from pathlib import Path

from .certificates import make_server_certificate
from .process import Daemon

ROOT = Path(__file__).resolve().parents[2]


class TrustServer(Daemon):
    """`with NotaryServer(directory) as server: server.url`

    `settings` replace sections of the configuration file, which both programs
    read; of the section `server` they replace keys. `client`: the certificate
    to show to a server that asks for one. In memory, the default, a restart keeps address and certificate and
    loses every repository: both the metadata and the server's keys live there.
    """

    program: str

    def __init__(self, directory: Path, client=None, **settings):
        super().__init__(directory)
        self.certificate = make_server_certificate(self.directory)
        self.ca_file = self.certificate.ca_file
        self.client = client
        self.settings = settings
        self.variables: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"https://{self.address}"

    def command(self):
        config = self.directory / "server.json"
        config.write_text(json.dumps(self._config()))
        return [self.program, f"-config={config}"]

    def environment(self):
        return self.variables

    def ping(self):
        self.get("/_notary_server/health")

    def get(self, path: str) -> bytes:
        """The body of a GET, for looking at what the server holds."""
        with opener(self.ca_file, self.client).open(f"{self.url}{path}", timeout=5) as answer:
            return answer.read()

    def send(self, method, path, data: bytes, headers) -> bytes:
        """The answer to a request that changes something."""
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        with opener(self.ca_file, self.client).open(request, timeout=60) as answer:
            return answer.read()

    def metadata(self, gun: str, role: str) -> bytes:
        return self.get(f"/v2/{gun}/_trust/tuf/{role}.json")

    def _config(self):
        server = {
            "http_addr": self.address,
            "tls_cert_file": str(self.certificate.cert_file),
            "tls_key_file": str(self.certificate.key_file),
        }
        defaults = {
            "trust_service": {"type": "local", "key_algorithm": "ecdsa"},
            "storage": {"backend": "memory"},
            "logging": {"level": "error"},
        }
        return defaults | self.settings | {"server": server | self.settings.get("server", {})}


class NotaryServer(TrustServer):
    """Notary's own."""

    program = "notary-server"


class TagtrustServer(TrustServer):
    """Ours, as `make build` leaves it."""

    program = str(Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug/tagtrust-server")


def opener(ca_file=None, client=None) -> urllib.request.OpenerDirector:
    """Opens URLs of servers whose certificates that CA signed, without the user's proxy."""
    handlers = [urllib.request.ProxyHandler({})]
    if ca_file:
        handlers.append(urllib.request.HTTPSHandler(context=tls_context(ca_file, client)))
    return urllib.request.build_opener(*handlers)


def tls_context(ca_file, client=None) -> ssl.SSLContext:
    """For servers that the CA certified; `client`: a certificate of one's own."""
    context = ssl.create_default_context(cafile=ca_file)
    if client:
        context.load_cert_chain(client.cert_file, client.key_file)
    return context
