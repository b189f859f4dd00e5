"""A trust server over TLS on loopback that serves whatever it is told to.

Every published site has its own URL (a path prefix), so tests never share state.
A file is bytes, or a function that writes its own answer with the handler.
"""

import gzip
import http.server
import itertools
import ssl
import threading
import time

from lab.certificates import make_server_certificate


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def do_GET(self):
        self.server.requests.append(self.path)
        _, site, *path = self.path.split("/")
        answer = self.server.sites.get(site, {}).get("/".join(path))
        try:
            if callable(answer):
                answer(self)
            elif answer is None:
                self.answer(404, b'{"errors":[{"code":"METADATA_NOT_FOUND"}]}')
            else:
                self.answer(200, answer)
        except OSError:
            self.close_connection = True

    def answer(self, status, body, **headers):
        self.head(status, **{"Content-Length": len(body), **headers})
        self.wfile.write(body)

    def head(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, directory):
        certificate = make_server_certificate(directory)
        self.ca_file = certificate.ca_file
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate.cert_file, certificate.key_file)
        self.sites = {}
        self.requests = []
        self.numbers = itertools.count()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def finish_request(self, request, address):
        """Does the TLS handshake in the connection's own thread."""
        try:
            with self.tls.wrap_socket(request, server_side=True) as connection:
                super().finish_request(connection, address)
        except OSError:
            pass

    def publish(self, gun, files, ping=b"{}"):
        """Serves the files for the GUN; gives the site's URL."""
        site = f"s{next(self.numbers)}"
        paths = {f"v2/{gun}/_trust/tuf/{name}": data for name, data in files.items()}
        self.sites[site] = {"v2/": ping, **paths}
        return f"https://127.0.0.1:{self.server_port}/{site}"

    def close(self):
        self.shutdown()
        self.server_close()


# Answers of a hostile or broken server


def status(code, body=b""):
    return lambda handler: handler.answer(code, body)


def hang_up(handler):
    """Closes the connection without an answer."""
    handler.close_connection = True


def cut(data, length, declared=None):
    """Declares the whole body (or `declared` bytes) and hangs up after `length` bytes."""

    def answer(handler):
        handler.head(200, Content_Length=len(data) if declared is None else declared)
        handler.wfile.write(data[:length])
        handler.close_connection = True

    return answer


def unsized(data):
    """Sends a body whose end is the end of the connection."""

    def answer(handler):
        handler.head(200, Connection="close")
        handler.wfile.write(data)
        handler.close_connection = True

    return answer


def chunked(data, size=1000):
    def answer(handler):
        handler.head(200, Transfer_Encoding="chunked")
        for start in range(0, len(data), size):
            chunk = data[start : start + size]
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        handler.wfile.write(b"0\r\n\r\n")

    return answer


BLOCK = b" " * 65536


def endless(status=200, **headers):
    """Sends white space for as long as it is taken."""

    def answer(handler):
        handler.head(status, Connection="close", **headers)
        while True:
            handler.wfile.write(BLOCK)

    return answer


def endless_chunks(handler):
    handler.head(200, Transfer_Encoding="chunked")
    while True:
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK))


def endless_head(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X-More: and more\r\n" * 1000)


def slow_head(handler):
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":
        handler.wfile.write(bytes([byte]))
        time.sleep(1)


def endless_continue(handler):
    while True:
        handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def late(data, seconds):
    def answer(handler):
        time.sleep(seconds)
        handler.answer(200, data)

    return answer


def drip(data, pause):
    """Sends the right length, one byte at a time."""

    def answer(handler):
        handler.head(200, Content_Length=len(data))
        for byte in data:
            handler.wfile.write(bytes([byte]))
            time.sleep(pause)

    return answer


def silence(seconds):
    """Accepts the request and says nothing."""

    def answer(handler):
        time.sleep(seconds)
        handler.close_connection = True

    return answer


def redirect(location, code=302):
    return lambda handler: handler.answer(code, b"", Location=location)


def redirect_loop(handler):
    handler.answer(302, b"", Location=handler.path)


def bomb(coding):
    """A gibibyte of white space in a mebibyte, said to be packed in this way."""
    packed = gzip.compress(b" " * (16 << 20)) * 64
    return lambda handler: handler.answer(200, packed, Content_Encoding=coding)
