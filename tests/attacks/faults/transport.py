"""The server and the way to it: status codes, broken bodies, redirects.

What the transport does wrong is never called tampering, and tampering never a
transport fault: `Unreachable` means that asking again later may help.
"""

from attacks import server
from attacks.faults import (
    FILLED,
    NO_TRUST_DATA,
    RELEASES,
    TAMPERED,
    TRUSTED,
    UNAUTHORIZED,
    UNREACHABLE,
    fault,
    names_of,
)
from attacks.faults.reasons import BROKEN_OFF, ODD_STATUS, PING, REDIRECT, SERVER_SAID_NO

ROLES = ("root", "timestamp", "snapshot", RELEASES)


def each_answer(name, role, expect, **options):
    """Registers an answer, made from the right bytes, for every name of the role's file."""

    def register(make):
        @fault(f"{role}: answered {name}", expect, roles=role, **options)
        def _(scene):
            if role == "root":
                scene.repo.next_root()

            def hook(files):
                answer = make(files[f"{role}.json"])
                for wire_name in names_of(files, role):
                    files[wire_name] = answer

            scene.repo.on_wire.append(hook)

    return register


def each_role_answer(name, expect, **timestamp):
    """Registers it for some roles; the options are for the timestamp, which the cache may stand in for."""

    def register(make):
        for role in ROLES:
            each_answer(name, role, expect, **(timestamp if role == "timestamp" else {}))(make)

    return register


def each_status(code, expect, **timestamp):
    each_role_answer(f"with status {code}", expect, **timestamp)(lambda data: server.status(code))


each_status(400, UNREACHABLE)
each_status(401, UNAUTHORIZED, differs={FILLED: SERVER_SAID_NO})
each_status(403, UNAUTHORIZED, differs={FILLED: SERVER_SAID_NO})
each_status(204, UNREACHABLE, differs={FILLED: ODD_STATUS})
each_status(304, UNREACHABLE, differs={FILLED: ODD_STATUS})
each_status(410, UNREACHABLE, differs={FILLED: ODD_STATUS})
each_status(429, UNREACHABLE, filled=TRUSTED)
each_status(500, UNREACHABLE, filled=TRUSTED)
each_status(503, UNREACHABLE, filled=TRUSTED)

each_role_answer("with no data", UNREACHABLE, filled=TRUSTED)(lambda data: server.hang_up)
each_role_answer("with half of the body", UNREACHABLE, filled=TRUSTED, differs={FILLED: BROKEN_OFF})(
    lambda data: server.cut(data, len(data) // 2)
)
each_role_answer("with the headers only", UNREACHABLE, filled=TRUSTED, differs={FILLED: BROKEN_OFF})(
    lambda data: server.cut(data, 0)
)
each_role_answer("in chunks", TRUSTED)(server.chunked)
each_role_answer("without a length", TRUSTED)(server.unsized)
each_role_answer("without a length, and half of it", TAMPERED)(lambda data: server.unsized(data[: len(data) // 2]))
each_role_answer("with a length of 8 GiB", TAMPERED)(lambda data: server.cut(data, len(data), 1 << 33))

# What a signed file lists and the server lacks is no gap in the network.
each_answer("with status 404", "root", NO_TRUST_DATA, filled=TAMPERED)(lambda data: server.status(404))
each_answer("with status 404", "timestamp", NO_TRUST_DATA, differs={FILLED: SERVER_SAID_NO})(
    lambda data: server.status(404)
)
each_answer("with status 404", "snapshot", TAMPERED)(lambda data: server.status(404))
each_answer("with status 404", RELEASES, TAMPERED)(lambda data: server.status(404))


def each_ping(name, answer, differs=None):
    @fault(f"ping: answered {name}", TRUSTED, roles=(), differs=differs)
    def _(scene):
        scene.ping = answer


each_ping("with nothing", b"")
each_ping("with an HTML page", b"<html>Sign in</html>")
each_ping("with status 404", server.status(404), PING)
each_ping("with status 500", server.status(500), PING)
each_ping("with no data", server.hang_up, PING)


def each_server(name, expect, **options):
    """Registers an answer to every request for trust data."""

    def register(answer):
        @fault(f"server: {name}", expect, roles=(), **options)
        def _(scene):
            scene.repo.on_wire.append(lambda files: files.update(dict.fromkeys(files, answer)))

    return register


each_server("has nothing for the repository", NO_TRUST_DATA, differs={FILLED: SERVER_SAID_NO})(None)
each_server("answers everything with 500", UNREACHABLE, filled=TRUSTED)(server.status(500))
each_server("answers everything with 401", UNAUTHORIZED, differs={FILLED: SERVER_SAID_NO})(server.status(401))
each_server("hangs up always", UNREACHABLE, filled=TRUSTED)(server.hang_up)
each_server("redirects to where nobody listens", UNREACHABLE, differs={FILLED: REDIRECT})(
    server.redirect("https://127.0.0.1:1/")
)
each_server("redirects in a circle", UNREACHABLE, differs={FILLED: REDIRECT})(server.redirect_loop)
