"""A server between client and notary-server that may change what it passes on."""

import ssl
import threading
import urllib.error
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .server import NotaryServer


class Proxy:
    """`with Proxy(server, change) as proxy: proxy.url`

    `change(path, body)` gives the body to send, or None for a 404. It is asked
    for each GET. `requests` records the paths. The certificate is the server's own.
    `refuse(method, path)` gives the status with which a POST or DELETE ends before
    the server sees it, or None; `sent` records what went to the server. `lose(method,
    path)` tells whether the answer to one gets lost.
    """

    def __init__(self, server: NotaryServer, change=lambda path, body: body, refuse=lambda method, path: None):
        self.server = server
        self.change = change
        self.refuse = refuse
        self.lose = lambda method, path: False
        self.sent: list[tuple[str, str, bytes]] = []
        self.ca_file = server.ca_file
        self.requests: list[str] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(server.certificate.cert_file, server.certificate.key_file)
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._http.server_port}"

    @property
    def url(self) -> str:
        return f"https://{self.address}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()


def _handler_for(proxy: Proxy):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            proxy.requests.append(self.path)
            try:
                status, body = 200, proxy.server.get(self.path)
            except urllib.error.HTTPError as error:
                status, body = error.code, error.read()
            if status == 200:
                body = proxy.change(self.path, body)
            if body is None:
                status, body = 404, b'{"errors":[{"code":"METADATA_NOT_FOUND","message":"","detail":{}}]}\n'
            self._answer(status, body)

        def do_POST(self):
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if (status := proxy.refuse(self.command, self.path)) is not None:
                self._answer(status, b"")
                return
            proxy.sent.append((self.command, self.path, data))
            headers = {"Content-Type": self.headers.get("Content-Type", "")}
            try:
                status, body = 200, proxy.server.send(self.command, self.path, data, headers)
            except urllib.error.HTTPError as error:
                status, body = error.code, error.read()
            if proxy.lose(self.command, self.path):
                self.close_connection = True
            else:
                self._answer(status, body)

        do_DELETE = do_POST

        def _answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler
