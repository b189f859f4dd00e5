"""The real notary-server, over TLS on a free loopback port, with its data in memory."""

import json
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from .certificates import make_server_certificate
from .process import clean_environment


class NotaryServer:
    """`with NotaryServer(directory) as server: server.url`

    A restart keeps address and certificate and loses every repository: both
    the metadata and the server's keys live in its memory.
    """

    def __init__(self, directory: Path):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.certificate = make_server_certificate(self.directory)
        self.ca_file = self.certificate.ca_file
        self.port = free_port()
        self._process = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"https://{self.address}"

    def start(self):
        config = self.directory / "server.json"
        config.write_text(json.dumps(self._config()))
        log = open(self.directory / "server.log", "ab")
        with log:
            self._process = subprocess.Popen(
                ["notary-server", f"-config={config}"], stdout=log, stderr=log, env=clean_environment()
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    def stop(self):
        if self._process:
            self._process.terminate()
            self._process.wait(timeout=10)
            self._process = None

    def get(self, path: str) -> bytes:
        """The body of a GET, for looking at what the server holds."""
        with opener(self.ca_file).open(f"{self.url}{path}", timeout=5) as answer:
            return answer.read()

    def send(self, method, path, data: bytes, headers) -> bytes:
        """The answer to a request that changes something."""
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        with opener(self.ca_file).open(request, timeout=60) as answer:
            return answer.read()

    def metadata(self, gun: str, role: str) -> bytes:
        return self.get(f"/v2/{gun}/_trust/tuf/{role}.json")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def _config(self):
        return {
            "server": {
                "http_addr": self.address,
                "tls_cert_file": str(self.certificate.cert_file),
                "tls_key_file": str(self.certificate.key_file),
            },
            "trust_service": {"type": "local", "key_algorithm": "ecdsa"},
            "storage": {"backend": "memory"},
            "logging": {"level": "error"},
        }

    def _wait_until_it_answers(self, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                self.get("/v2/")
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.02)
        raise RuntimeError(f"notary-server does not answer: {(self.directory / 'server.log').read_text()}")


def opener(ca_file=None) -> urllib.request.OpenerDirector:
    """Opens URLs of servers whose certificates that CA signed, without the user's proxy."""
    handlers = [urllib.request.ProxyHandler({})]
    if ca_file:
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca_file)))
    return urllib.request.build_opener(*handlers)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
