"""Requests that are none: an answer or a closed connection, bounded memory, and everybody else is served."""

import contextlib
import copy
import http.client
import os
import random
import resource
import selectors
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from attacks import tuf
from server.durability.hard import HardServer
from server.durability.raw import Target
from server.site import Draft, Site
from server.wire import BOUNDARY, Answer, Wire, multipart

MIB = 1024 * 1024
MAX_BODY, MAX_UPLOADS = 2 * MIB, 4
HEADER_TIMEOUT, REQUEST_TIMEOUT = 2, 3
LIMITS = {
    "max_body": MAX_BODY,
    "max_uploads": MAX_UPLOADS,
    "header_timeout": HEADER_TIMEOUT,
    "request_timeout": REQUEST_TIMEOUT,
}
# A debug build with its tables; what matters is that it does not grow with what is sent.
MAX_MEMORY = 400 * MIB
CONNECTIONS = 10_000
FUZZED = 3000
HANDSHAKES = 500


class PlainServer(HardServer):
    @property
    def url(self):
        return f"http://{self.address}"

    def _config(self):
        return super()._config() | {"server": {"http_addr": self.address}}


class PlainWire(Wire):
    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


@dataclass
class Victim:
    server: HardServer
    target: Target
    site: Site
    # A repository that nothing here may change.
    draft: Draft

    @property
    def path(self) -> str:
        return f"/v2/{self.draft.gun}/_trust/tuf/"


@pytest.fixture(scope="module", params=["plain sqlite", "TLS memory", "plain postgres"])
def victim(request, tmp_path_factory):
    """For all tests: what one of them leaves behind is there for the next."""
    scheme, storage = request.param.split()
    sections = {"storage": {"backend": storage}, "tagtrust": {"limits": LIMITS}}
    if storage == "sqlite":
        sections["storage"]["db_url"] = str(tmp_path_factory.mktemp("malformed") / "tagtrust.db")
    elif storage == "postgres":
        sections["storage"]["db_url"] = request.getfixturevalue("postgres").database()
    server = (PlainServer if scheme == "plain" else HardServer)(tmp_path_factory.mktemp("victim"), **sections)
    context = None if scheme == "plain" else ssl.create_default_context(cafile=server.ca_file)
    with many_files(), server:
        site = Site(server, reference=False)
        if scheme == "plain":
            site.wire = PlainWire(server)
        yield Victim(server, Target(server.port, context), site, published(site))


@pytest.fixture(autouse=True)
def unharmed(victim, tagtrust, fresh_directory):
    """After each test: nothing is stored, little memory was used, all users are served, nothing panicked."""
    before = victim.draft.state()
    yield
    assert victim.server.is_running
    assert victim.draft.state() == before
    draft = published(victim.site)
    client = tagtrust.Client(
        server=victim.server.url, ca_file=victim.server.ca_file, trust_dir=fresh_directory(), danger_plain_http=True
    )
    assert client.verify(f"{draft.gun}:tag").size == 3
    print(f"{victim.server.memory() // MIB} MiB")
    assert victim.server.memory() < MAX_MEMORY
    victim.server.assert_no_panic()


@contextlib.contextmanager
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def published(site) -> Draft:
    draft = site.draft()
    draft["targets"].signed["targets"] = {"tag": tuf.target(b"tag")}
    answer = draft.upload()
    assert answer.status == 200, answer
    return draft


# Requests


def request(method, path, *headers, body=b"") -> bytes:
    """The connection is closed after its answer."""
    lines = [f"{method} ".encode() + as_bytes(path) + b" HTTP/1.1", b"Host: lab", b"Connection: close"]
    return b"\r\n".join([*lines, *map(as_bytes, headers), b"", body])


def as_bytes(text) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def upload(victim, body, content_type=f"multipart/form-data; boundary={BOUNDARY}") -> bytes:
    headers = [f"Content-Length: {len(body)}", *([f"Content-Type: {content_type}"] if content_type is not None else [])]
    return request("POST", victim.path, *headers, body=body)


def valid_body(victim) -> bytes:
    """What would be stored if it came as it should."""
    draft = copy.deepcopy(victim.draft).bump("targets")
    return multipart(draft.parts("targets"))[0]


def all_refused(victim, requests: dict[str, bytes], statuses=range(300, 500), **how):
    """Each is answered with one of the statuses, or the connection is closed, in its time."""

    def ask(name):
        try:
            outcome = victim.target.say(requests[name], **how)
        except http.client.HTTPException as error:
            return name, f"no HTTP: {error}"
        refused = outcome.ended and set(outcome.statuses) <= set(statuses) and outcome.seconds < 20
        return name, None if refused else f"{outcome}"[:500]

    with ThreadPoolExecutor(32) as pool:
        wrong = {name: what for name, what in pool.map(ask, requests) if what}
    assert not wrong


def test_broken_multipart_is_refused(victim):
    body = valid_body(victim)
    part = b'--%s\r\nContent-Disposition: form-data; name="files"; filename="targets"\r\n' % BOUNDARY.encode()
    end = b"\r\n--%s--\r\n" % BOUNDARY.encode()
    form = "multipart/form-data; boundary="
    bodies = {
        "of nothing": b"",
        "of zeros": bytes(5000),
        "of noise": random.Random(1).randbytes(5000),
        "with line feeds only": body.replace(b"\r\n", b"\n"),
        "with the head of a part only": part,
        "with a part without an end": part + b"\r\n{}",
        "with a line without a colon": part + b"colon\r\n\r\n{}" + end,
        "with a line of a megabyte": part + b"X: " + b"x" * MIB + b"\r\n\r\n{}" + end,
        "with a thousand lines": part + b"X: x\r\n" * 1000 + b"\r\n{}" + end,
        "with a name that ends nowhere": body.replace(b'"targets"', b'"targets'),
        "with a name of a megabyte": body.replace(b'"targets"', b'"%s"' % (b"a" * MIB)),
        "with a name with NUL": body.replace(b'"targets"', b'"targets\0"'),
        "with a name of no UTF-8": body.replace(b'"targets"', b'"targets/\xff"'),
        "with a path as name": body.replace(b'"targets"', b'"../targets"'),
        "with a hundred thousand parts": (part + b"\r\n{}\r\n") * (MAX_BODY // 200) + end[2:],
        "with another one within": b"%sContent-Type: %sx\r\n\r\n--x\r\n\r\n{}\r\n--x--%s" % (part, form.encode(), end),
        "larger than allowed": part + b"\r\n" + b" " * MAX_BODY + end,
        # From the first byte of a part's content on: without that it is no upload at all.
        **{f"cut at {at}": body[:at] for at in range(len(part), len(body) - 5, 37)},
    }
    types = {
        "no type": None,
        "an empty type": "",
        "another type": "application/json",
        "no boundary": "multipart/form-data",
        "an empty boundary": form,
        "another boundary": form + "another",
        "a boundary that ends nowhere": form + '"' + BOUNDARY,
        "a boundary of 50 kB": form + "b" * 50_000,
        "a type of no multipart": f"multipart/related; boundary={BOUNDARY}",
    }
    requests = {f"a body {name}": upload(victim, data) for name, data in bodies.items()}
    requests |= {f"with {name}": upload(victim, body, kind) for name, kind in types.items()}
    all_refused(victim, requests)


def test_wrong_lengths_and_chunks_are_refused(victim):
    body = valid_body(victim)
    kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
    post = lambda *headers, data=body: request("POST", victim.path, kind, *headers, body=data)  # noqa: E731
    length, chunked = f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"
    whole = b"%x\r\n%s\r\n" % (len(body), body)
    requests = {
        "too short": post(f"Content-Length: {len(body) - 50}"),
        "too long": post(f"Content-Length: {len(body) + 50}"),
        "two that differ": post(length, f"Content-Length: {len(body) - 1}"),
        "two in one": post(f"Content-Length: {len(body)}, {len(body) - 1}"),
        **{
            f"of {text}": post(f"Content-Length: {text}")
            for text in ["-1", "+5", "0x10", "1e3", "", "many", "9" * 30, "5 5", MAX_BODY + 1, 2**63 - 1, 2**64]
        },
        "none": post(),
        "and chunks that are none": post(length, chunked),
        "chunks in another coding": post("Transfer-Encoding: gzip, chunked", data=body),
        "chunks that are not the last coding": post("Transfer-Encoding: chunked, gzip", data=whole + b"0\r\n\r\n"),
        "an unknown coding": post("Transfer-Encoding: x", data=whole),
        **{
            f"a chunk of {size!r}": post(chunked, data=size + b"\r\n" + body)
            for size in [b"", b"-1", b"+1", b"x", b"f" * 17, b"0x10", b"7fffffffffffffff", b" ", b"\0"]
        },
        "a chunk that is longer than it says": post(chunked, data=b"5\r\n" + body),
        "a chunk that never ends": post(chunked, data=whole[:-20]),
        "no last chunk": post(chunked, data=whole),
        "a chunk with a megabyte of extension": post(chunked, data=b"1;" + b"x" * MIB + b"\r\n"),
        "trailers of a megabyte": post(chunked, data=whole + b"0\r\nX: " + b"x" * MIB + b"\r\n\r\n"),
        "trailers without end": post(chunked, data=whole + b"0\r\n" + b"X: x\r\n" * 100_000),
        "chunks beyond the limit": post(chunked, data=b"10000\r\n%s\r\n" % bytes(65536) * (MAX_BODY // 65536 + 1)),
    }
    # Bodies that do not say how long they are get as much room as the largest, or a 503.
    all_refused(victim, requests, [*range(300, 500), 503])


def test_no_name_leads_elsewhere(victim):
    gun, path = victim.draft.gun, victim.path
    guns = [
        "..", ".", "a/..", "../" + gun, f"a/../{gun}", "%2e%2e", "%2e%2e/" + gun, f"a/%2e%2e/{gun}", f"a/..%2f{gun}",
        f"/{gun}", f"{gun}/", f"{gun}/.", f"{gun}%2f", f"{gun}//", "%2f" + gun, gun.replace("/", "%5c"), "a\\b",
        f"{gun}%00", "%00", "%ff", b"\xff", "*", f"{gun}*", "%2a", "%", "%zz", "%2", "%252e%252e", "\u202e".encode(),
        "a" * 300, "a" * 60_000, "a/" * 5000, gun.upper(), f"{gun}%20", f"{gun}%0a", f"{gun}%0d%0aX:%20x", f"{gun};",
        f"{gun}#", "_trust/tuf", f"{gun}/_trust/tuf/..",
    ]  # fmt: skip
    roles = [
        "..", "../root", "%2e%2e%2froot", "targets/..", "targets/../root", "targets/%2e%2e/root", "*", "",
        "targets/%2e", "root%00", "%00", "1.root.%00", "%ff", b"\xff", "Root", "root.", ".root", "1.", "0.root",
        "-1.root", "+1.root", "1.0.root", "1e0.root", "0x1.root", "9" * 30 + ".root", f"{2**63}.root", "\u0661.root",
        *("root." + digest for digest in ("0" * 63, "g" * 64, "0" * 64, "0" * 10_000)), "timestamp.key",
        "root.json", "targets/" * 5000, "targets/" + "a" * 60_000,
    ]  # fmt: skip
    names = [b"/v2/" + as_bytes(name) + b"/_trust/tuf/root.json" for name in guns]
    names += [as_bytes(path) + as_bytes(role) + b".json" for role in roles]
    ends = ("", "tuf", "tuf/root", "tuf/root.key", "../tuf/root.json")
    names += [f"/v2/{gun}/_trust/{end}".encode() for end in ends]
    records = ["", "x", "%00", "%ff", "%", "1e3", 2**31, "1&change_id=x", f"1&change_id={2**64}"]
    names += [f"/v2/{gun}/_trust/changefeed?{query}".encode() for query in ("", "records", "&&&")]
    names += [f"/v2/{gun}/_trust/changefeed?records={record}".encode() for record in records]
    names += [b"", b"*", b"v2/", b"http://", b"/" * 60_000, b"/v2/\0", b"/v2/ /", b"?", b"/v2/?" + b"x" * 70_000]
    all_refused(victim, {f"{number}: {name[:80]!r}": request("GET", name) for number, name in enumerate(names)})
    # These change something, if at all, of a repository of another name.
    others = [name for name in guns if gun not in str(name) or ".." in str(name)]
    for method in ("DELETE", "POST"):
        changed = {repr(name): request(method, b"/v2/" + as_bytes(name) + b"/_trust/tuf/") for name in others}
        all_refused(victim, changed, range(200, 500))


def test_heads_without_measure_are_refused(victim):
    get = f"GET {victim.path}root.json"
    requests = {
        "a header of a megabyte": request("GET", victim.path + "root.json", "X: " + "x" * MIB),
        "ten thousand headers": request("GET", victim.path + "root.json", *["X: x"] * 10_000),
        "an authorization of a megabyte": request("GET", victim.path + "root.json", "Authorization: " + "x" * MIB),
        "a method of a megabyte": request("X" * MIB, "/v2/"),
        "a path of a megabyte": request("GET", "/v2/" + "x" * MIB),
        "no version": get.encode() + b"\r\n\r\n",
        "a version that is none": f"{get} HTTP/9.9\r\n\r\n".encode(),
        "HTTP/2 without asking": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100),
        "NUL": bytes(100),
        "a folded header": request("GET", victim.path + "nothing.json", "X: x\r\n y"),
        "a header without a name": request("GET", victim.path + "root.json", ": x"),
        "a header with a space in its name": request("GET", victim.path + "root.json", "X x: x"),
        "a header with NUL": request("GET", victim.path + "root.json", "X: \0"),
        "a lone carriage return": request("GET", victim.path + "root.json", "X: a\rb"),
        "a method with a space": f" {get} HTTP/1.1\r\n\r\n".encode(),
        "another method": request("BREW", victim.path + "root.json"),
        "CONNECT": request("CONNECT", "other:443"),
        "no end": get.encode() + b" HTTP/1.1\r\nX: x",
    }
    all_refused(victim, requests, [*range(300, 500), 501, 505])


def test_requests_in_a_row_are_answered_in_their_order(victim):
    names = ["root.json", "nothing.json", "targets.json", "1.root.json", "..json"] * 30
    files = {name: victim.site.get(victim.draft.gun, name) for name in set(names)}
    one = lambda name: f"GET {victim.path}{name} HTTP/1.1\r\nHost: lab\r\n\r\n".encode()  # noqa: E731
    last = request("GET", "/v2/")
    outcome = victim.target.say(b"".join(map(one, names)) + last)
    assert outcome.statuses == (*(files[name].status for name in names), 200)
    assert outcome.bodies == (*(files[name].body for name in names), b"{}")
    # What comes after something that cannot be read is not looked at.
    outcome = victim.target.say(one("root.json") + b"\0\r\n\r\n" + last)
    assert outcome.ended and outcome.statuses in ((200,), (200, 400))
    # A body is no request.
    smuggled = request("POST", victim.path, f"Content-Length: {len(last)}", body=last)
    outcome = victim.target.say(smuggled.replace(b"Connection: close\r\n", b"", 1) + last)
    assert outcome.statuses == (400, 200)


def test_slow_senders_are_cut_off(victim):
    body = valid_body(victim)
    head = upload(victim, body)[: -len(body)]
    slow = {"head": head, "line": b"G" * 100, "body": body}
    sent_before = {"body": head}

    def ask(name):
        return name, victim.target.say_slowly(slow[name], pause=0.4, before=sent_before.get(name, b""))

    with ThreadPoolExecutor(30) as pool:
        for name, outcome in pool.map(ask, [*slow] * 10):
            assert outcome.ended and set(outcome.statuses) <= {400, 408}, (name, outcome)
            # They would have taken longer than this.
            assert outcome.seconds < 30, (name, outcome)


def test_who_reads_nothing_is_cut_off(victim):
    one = f"GET {victim.path}root.json HTTP/1.1\r\nHost: lab\r\n\r\n".encode()
    # Few, with little room, so that soon nothing more can be sent to them.
    open_ones = [victim.target.connect(room=4096) for _ in range(4)]
    for connection in open_ones:
        connection.setblocking(False)
    end = time.monotonic() + 10 * REQUEST_TIMEOUT
    while open_ones and time.monotonic() < end:
        for connection in list(open_ones):
            try:
                connection.send(one * 100)
            except (BlockingIOError, ssl.SSLWantWriteError):
                continue
            except OSError:
                connection.close()
                open_ones.remove(connection)
        time.sleep(0.01)
    assert not open_ones


def test_uploads_that_stop_before_their_end_share_a_limited_memory(victim):
    kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
    head = request("POST", victim.path, kind, f"Content-Length: {MAX_BODY}")
    open_ones = [victim.target.connect() for _ in range(200)]
    data = head + bytes(MAX_BODY - 1)
    before = victim.server.memory()
    sent = [0] * len(open_ones)
    for connection in open_ones:
        connection.setblocking(False)
    end = time.monotonic() + REQUEST_TIMEOUT / 2
    while time.monotonic() < end:
        for number, connection in enumerate(open_ones):
            with contextlib.suppress(OSError):
                sent[number] += connection.send(memoryview(data)[sent[number] : sent[number] + 65536])
    # All together would be 400 MiB.
    assert victim.server.memory() - before < 100 * MIB
    for connection in open_ones:
        connection.settimeout(30)
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                pass
        connection.close()


def test_ten_thousand_connections_at_once(victim):
    """Most say nothing, some the beginning of a request. Others are served meanwhile, and all are closed in the end."""
    open_ones = []
    try:
        for number in range(CONNECTIONS):
            # More than one address, or the ports of others would be used up.
            source = f"127.0.0.{2 + number % 4}"
            shaken = number < HANDSHAKES and victim.target.context
            connection = (victim.target if shaken else Target(victim.target.port)).connect(source=source)
            open_ones.append(connection)
            if number % 2:
                connection.sendall(b"GET /v2/" if shaken or not victim.target.context else b"\x16\x03\x01")
        assert victim.site.get(victim.draft.gun, "root.json").status == 200
        assert published(victim.site)
        wait_until_closed(open_ones)
    finally:
        for connection in open_ones:
            connection.close()


def wait_until_closed(connections, seconds=60):
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ)
        deadline = time.monotonic() + seconds
        while selector.get_map() and time.monotonic() < deadline:
            for key, _ in selector.select(timeout=1):
                try:
                    # TLS has something to say after its handshake, and HTTP may answer.
                    closed = not key.fileobj.recv(65536)
                except (BlockingIOError, ssl.SSLWantReadError):
                    continue
                except OSError:
                    closed = True
                if closed:
                    selector.unregister(key.fileobj)
        assert not selector.get_map(), f"{len(selector.get_map())} connections are still open"


def test_what_is_no_tls_is_hung_up_on(victim):
    rng = random.Random(2)
    hello = client_hello()
    garbage = {
        "HTTP": request("GET", "/v2/") if victim.target.context else hello,
        "noise": rng.randbytes(5000),
        "an old hello": b"\x80\x2e\x01\x03\x01" + bytes(50),
        "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
        "a record that is too long": b"\x16\x03\x01\xff\xff" + bytes(70_000),
        "a record that is empty": b"\x16\x03\x01\x00\x00" * 1000,
        **{f"a hello cut at {at}": hello[:at] for at in range(1, len(hello), 40)},
        **{f"a hello with noise {number}": spoiled(hello, rng) for number in range(40)},
    }
    plain = Target(victim.target.port)

    def ask(name):
        with plain.connect() as connection:
            with contextlib.suppress(OSError):
                connection.sendall(garbage[name])
                connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                while connection.recv(65536):
                    pass
        return name

    with ThreadPoolExecutor(32) as pool:
        assert set(pool.map(ask, garbage)) == garbage.keys()
    if victim.target.context:
        # After a true handshake.
        for _ in range(5):
            with victim.target.connect() as connection:
                socket.socket.sendall(connection, b"\x17\x03\x03" + rng.randbytes(100))
                with contextlib.suppress(OSError):
                    while connection.recv(65536):
                        pass


def client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def spoiled(data, rng) -> bytes:
    """Some bytes of it changed, removed, doubled or put elsewhere."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        at, to = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        to = min(to, at + rng.choice([1, 2, 10, 100]))
        match rng.randrange(6):
            case 0:
                data[at:to] = rng.randbytes(to - at)
            case 1:
                del data[at:to]
            case 2:
                data[at:at] = data[at:to]
            case 3:
                data[at:at] = rng.choice(WORDS)
            case 4 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case _:
                piece = data[at:to]
                del data[at:to]
                at = rng.randrange(len(data) + 1)
                data[at:at] = piece
    return bytes(data)


WORDS = [
    b"\r\n", b"\r\n\r\n", b"\n", b"\0", b"..", b"%2e%2e", b"%00", b"\xff", b"*", b"/", b"--", b"--" + BOUNDARY.encode(),
    b'"', b";", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n",
    b"0\r\n\r\n", b"{}", b"[[[[[[", b"9" * 30, b"-1", b'"version":', b"1.", b".json", b".key", b"\xf0\x9f\x92\xa9",
]  # fmt: skip


def test_noise_gets_an_answer_or_nothing(victim):
    """Requests with faults at random; what cannot be told from good ones goes to another repository."""
    seed = int(os.environ.get("TAGTRUST_STRESS_SEED", random.randrange(2**32)))
    print(f"TAGTRUST_STRESS_SEED={seed}")
    other = published(victim.site)
    path = f"/v2/{other.gun}/_trust/tuf/"
    body = multipart(other.bump("targets").parts("root", "targets"))[0]
    kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
    good = [
        request("POST", path, kind, f"Content-Length: {len(body)}", body=body),
        request("POST", path, kind, "Transfer-Encoding: chunked", body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)),
        *(request("GET", path + name) for name in ("root.json", "1.targets.json", "timestamp.key")),
        request("GET", f"{path}targets.{'0' * 64}.json"),
        request("GET", f"/v2/{other.gun}/_trust/changefeed?records=5&change_id=1"),
        request("GET", "/v2/_trust/changefeed?records=5"),
        request("DELETE", path),
        request("GET", "/ui/"),
        request("GET", "/metrics"),
        request("GET", "/_notary_server/health"),
    ]
    over_tls = FUZZED // 10 if victim.target.context else FUZZED

    def ask(number):
        rng = random.Random(f"{seed} {number}")
        sent = spoiled(rng.choice([good[0], good[1], rng.choice(good)]), rng)
        try:
            outcome = victim.target.say(sent, half_close=True)
        except http.client.HTTPException as error:
            return sent, error
        fine = outcome.ended and all(status < 500 or status in (501, 505) for status in outcome.statuses)
        return None if fine else (sent, outcome)

    with ThreadPoolExecutor(16) as pool:
        wrong = [pair for pair in pool.map(ask, range(over_tls)) if pair]
    assert not wrong, wrong[:3]
