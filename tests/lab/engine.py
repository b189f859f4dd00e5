"""The few calls of Docker's engine that `docker trust sign`, `docker pull` and `docker push` make.

It holds no images: `images` says which digest and size a push of a reference
reports, and `calls` records what was asked.
"""

import json
import re
import shutil
import tempfile
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingUnixStreamServer
from urllib.parse import parse_qs, unquote, urlsplit


class Engine:
    """`with Engine() as engine: engine.images["registry.example/app:1"] = ("sha256:…", 1570)`"""

    def __init__(self):
        self.images: dict[str, tuple[str, int]] = {}
        self.calls: list[str] = []
        # Not below pytest's directories: the path of a socket has 107 bytes at most.
        self._directory = tempfile.mkdtemp(prefix="engine-")
        self._server = ThreadingUnixStreamServer(f"{self._directory}/docker.sock", _handler_for(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"unix://{self._server.server_address}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        shutil.rmtree(self._directory)


def _handler_for(engine: Engine):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self._answer(200)

        def do_GET(self):
            path = self._path()
            if path == "/_ping":
                self._answer(200, "OK")
            elif image := re.fullmatch("/images/(.+)/json", path):
                self._image(image[1])
            else:
                self._answer(404, {"message": "page not found"})

        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self._path()
            query = parse_qs(urlsplit(self.path).query)
            if push := re.fullmatch("/images/(.+)/push", path):
                self._push(push[1], query["tag"][0])
            elif path == "/images/create":
                self._answer(200, {"status": f"Pulled {query['fromImage'][0]}@{query['tag'][0]}"})
            elif re.fullmatch("/images/.+/tag", path):
                self._answer(201)
            else:
                self._answer(404, {"message": "page not found"})

        def _image(self, reference):
            if reference in engine.images:
                self._answer(200, {"Id": engine.images[reference][0], "RepoTags": [reference]})
            else:
                self._answer(404, {"message": f"No such image: {reference}"})

        def _push(self, repository, tag):
            if (image := engine.images.get(f"{repository}:{tag}")) is None:
                self._answer(404, {"message": f"No such image: {repository}:{tag}"})
                return
            digest, size = image
            # The aux record is where the client learns what it is about to sign.
            progress = [
                {"status": f"The push refers to repository [{repository}]"},
                {"status": f"{tag}: digest: {digest} size: {size}"},
                {"aux": {"Tag": tag, "Digest": digest, "Size": size}},
            ]
            self._answer(200, "".join(json.dumps(line) + "\r\n" for line in progress))

        def _path(self):
            """The path without its API version, on the record."""
            path = unquote(re.sub(r"^/v[0-9.]+", "", urlsplit(self.path).path))
            if path != "/_ping":
                engine.calls.append(f"{self.command} {path}")
            return path

        def _answer(self, status, body=""):
            data = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            self.send_header("Api-Version", "1.41")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def address_string(self):
            return "client"  # a unix socket has no peer address

        def log_message(self, *_):
            pass

    return Handler
