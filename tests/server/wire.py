"""HTTP as it is on the wire: nothing is cleaned, followed or retried."""

import http.client
import json
import socket
import ssl
from dataclasses import dataclass

from lab.server import tls_context

BOUNDARY = "a-boundary-that-no-metadata-contains"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self) -> dict:
        """Of an error's envelope, after looking at the envelope."""
        assert self.headers["content-type"] == "application/json; charset=utf-8", self
        assert self.body.endswith(b"}\n"), self
        assert self.json.keys() == {"errors"} and len(self.json["errors"]) == 1, self
        return self.json["errors"][0]

    @property
    def code(self) -> str | None:
        return None if self.status == 200 else self.error["code"]

    @property
    def invalid(self) -> tuple[str, str]:
        """The class and message of an INVALID_UPDATE; ("", "") if it has no detail."""
        assert (self.status, self.code) == (400, "INVALID_UPDATE"), self
        detail = self.error.get("detail") or {"Name": "", "Error": {"Msg": ""}}
        return detail["Name"], detail["Error"]["Msg"]


class Wire:
    """One connection to a server, opened again when the server has closed it."""

    def __init__(self, server):
        self.server = server
        self._connection = None

    def request(self, method, path, body=None, headers=None) -> Answer:
        for _ in ("kept open", "new"):
            if new := self._connection is None:
                self._connection = http.client.HTTPSConnection(
                    "127.0.0.1", self.server.port, context=self._tls(), timeout=30
                )
            try:
                self._connection.request(method, path, body, headers or {})
                with self._connection.getresponse() as answer:
                    names = {name.lower(): value for name, value in answer.getheaders()}
                    return Answer(answer.status, names, answer.read())
            except (http.client.HTTPException, OSError):
                self.close()
                if new:
                    raise
        raise AssertionError("unreachable")

    def get(self, path, **headers) -> Answer:
        return self.request("GET", path, headers=headers)

    def close(self):
        if self._connection:
            self._connection.close()
            self._connection = None

    def raw(self, data: bytes) -> bytes:
        """Everything that the server says to these bytes until it closes; b"" if it just hangs up."""
        said = b""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=30) as plain:
            with self._tls().wrap_socket(plain, server_hostname="127.0.0.1") as connection:
                connection.sendall(data)
                try:
                    while more := connection.recv(65536):
                        said += more
                except ConnectionError:
                    pass
        return said

    def _tls(self) -> ssl.SSLContext:
        return tls_context(self.server.ca_file, self.server.client)


def multipart(parts) -> tuple[bytes, dict[str, str]]:
    """The body and headers of an upload: (file name, content) of each part; None is no file name."""
    body = b""
    for name, content in parts:
        file_name = "" if name is None else f'; filename="{name}"'
        body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"{file_name}\r\n'.encode()
        body += b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n"
    body += f"--{BOUNDARY}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
