"""Bytes to a server, and what it does: whatever they are, it has to answer or to hang up."""

import http.client
import io
import socket
import ssl
import time
from dataclasses import dataclass

from server.durability.reader import Stays


@dataclass(frozen=True)
class Outcome:
    """`statuses` of the answers; `ended`: the server has closed the connection, after `seconds`."""

    statuses: tuple[int, ...]
    bodies: tuple[bytes, ...]
    ended: bool
    seconds: float


class Target:
    """A server, over TLS if there is a context."""

    def __init__(self, port, context: ssl.SSLContext | None = None):
        self.port, self.context = port, context

    def connect(self, source="127.0.0.1", room=None) -> socket.socket:
        """`room`: for what was not read yet."""
        plain = socket.socket()
        plain.settimeout(20)
        if room:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        plain.bind((source, 0))
        plain.connect(("127.0.0.1", self.port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(plain, server_hostname="127.0.0.1") if self.context else plain

    def say(self, data: bytes, half_close=False) -> Outcome:
        """Sends it, and reads until the server hangs up."""
        began = time.monotonic()
        with self.connect() as connection:
            try:
                connection.sendall(data)
                if half_close:
                    # Of the connection below TLS: that could not read any more otherwise.
                    socket.socket.shutdown(connection, socket.SHUT_WR)
            except OSError:
                pass  # it may hang up before all is sent
            return outcome(connection, began)

    def say_slowly(self, data: bytes, pause, before=b"") -> Outcome:
        """Byte by byte, until the server hangs up."""
        began = time.monotonic()
        with self.connect() as connection:
            connection.sendall(before)
            for at in range(len(data)):
                try:
                    connection.sendall(data[at : at + 1])
                except OSError:
                    break
                time.sleep(pause)
            return outcome(connection, began)


def outcome(connection, began) -> Outcome:
    said, ended = everything(connection)
    return Outcome(*answers(said), ended, time.monotonic() - began)


def everything(connection) -> tuple[bytes, bool]:
    said = b""
    try:
        while more := connection.recv(65536):
            said += more
    except TimeoutError:
        return said, False
    except OSError:
        pass
    return said, True


def answers(said: bytes):
    """Statuses and bodies of all answers; raises if it is something else."""
    stream = io.BytesIO(said)
    statuses, bodies = [], []
    while stream.tell() < len(said):
        answer = http.client.HTTPResponse(Stays(stream))
        answer.begin()
        statuses.append(answer.status)
        bodies.append(answer.read())
    return tuple(statuses), tuple(bodies)
