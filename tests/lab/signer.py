"""The real notary-signer, which keeps a trust server's keys, over gRPC with mutual TLS."""

import json
import socket
from pathlib import Path

from .certificates import make_client_certificate, make_server_certificate
from .process import Daemon

ALIAS, PASSWORD = "lab", "the lab's password"


class NotarySigner(Daemon):
    """`with NotarySigner(directory, db_url) as signer: NotaryServer(…, trust_service=signer.trust_service)`

    The database at `db_url` has the signer's tables.
    """

    def __init__(self, directory: Path, db_url: str, backend="postgres"):
        super().__init__(directory)
        self.db_url, self.backend = db_url, backend
        self.certificate = make_server_certificate(self.directory)
        self.client = make_client_certificate(self.directory / "client")

    @property
    def trust_service(self) -> dict:
        """The section of a trust server's configuration."""
        return {
            "type": "remote",
            "hostname": "127.0.0.1",
            "port": str(self.port),
            "key_algorithm": "ecdsa",
            "tls_ca_file": str(self.certificate.ca_file),
            "tls_client_cert": str(self.client.cert_file),
            "tls_client_key": str(self.client.key_file),
        }

    def command(self):
        config = self.directory / "signer.json"
        config.write_text(json.dumps(self._config()))
        return ["notary-signer", f"-config={config}"]

    def environment(self):
        return {f"NOTARY_SIGNER_{ALIAS.upper()}": PASSWORD}

    def ping(self):
        socket.create_connection(("127.0.0.1", self.port), timeout=5).close()

    def _config(self):
        return {
            "server": {
                "grpc_addr": self.address,
                "tls_cert_file": str(self.certificate.cert_file),
                "tls_key_file": str(self.certificate.key_file),
                "client_ca_file": str(self.client.ca_file),
            },
            "storage": {"backend": self.backend, "db_url": self.db_url, "default_alias": ALIAS},
            "logging": {"level": "error"},
        }
