"""Many GETs at once, on one connection."""

import http.client
import json
import socket
import ssl

# Requests that are sent before their answers are read.
AT_ONCE = 50


class Reader:
    """`with Reader(server) as reader: reader.get(gun, ["1.root.json", …])`"""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        context = ssl.create_default_context(cafile=self.server.ca_file)
        plain = socket.create_connection(("127.0.0.1", self.server.port), timeout=60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(plain, server_hostname="127.0.0.1")
        self._stream = self._socket.makefile("rb")
        return self

    def __exit__(self, *_):
        self._stream.close()
        self._socket.close()

    def get(self, gun, names) -> list[bytes | None]:
        """The files of that name; None where there is none."""
        files = []
        for begin in range(0, len(names), AT_ONCE):
            paths = [f"/v2/{gun}/_trust/tuf/{name}" for name in names[begin : begin + AT_ONCE]]
            for path, (status, body) in zip(paths, self._pipelined(paths)):
                assert status in (200, 404), (path, status, body)
                files.append(body if status == 200 else None)
        return files

    def changes(self, gun) -> list[tuple[int, str]]:
        """Version and SHA-256 of every timestamp of the feed."""
        ((status, body),) = self._pipelined([f"/v2/{gun}/_trust/changefeed?records=1000000"])
        assert status == 200, body
        return [(record["Version"], record["SHA256"]) for record in json.loads(body)["records"]]

    def _pipelined(self, paths) -> list[tuple[int, bytes]]:
        self._socket.sendall(b"".join(f"GET {path} HTTP/1.1\r\nHost: lab\r\n\r\n".encode() for path in paths))
        return [self._answer() for _ in paths]

    def _answer(self):
        answer = http.client.HTTPResponse(Stays(self._stream))
        answer.begin()
        return answer.status, answer.read()


class Stays:
    """A stream in which one answer follows the other, as `http.client` wants it: it would close its own."""

    def __init__(self, stream):
        self._stream = stream
        self.read, self.readline, self.readinto = stream.read, stream.readline, stream.readinto
        self.read1, self.peek = stream.read1, getattr(stream, "peek", None)

    def makefile(self, _):
        return self

    def close(self):
        pass

    def flush(self):
        pass
