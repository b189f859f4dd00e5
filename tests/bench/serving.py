"""What serving costs beside the real notary-server: requests and uploads a second, memory, and growth.

Both over TLS, on the same machine, in turns; the load is made by wrk, which
takes its share of the processors too.
"""

import concurrent.futures
import contextlib
import http.client
import json
import os
import re
import ssl
import statistics
import tempfile
import time
from pathlib import Path

from attacks import tuf
from lab import NotaryServer, run
from lab.postgres import NOTARY_TABLES, Postgres
from lab.server import TagtrustServer
from table import Row, say

ROOT = Path(__file__).parents[2]
BINARY = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/tagtrust-server"
REPOSITORIES = 10_000
SECONDS = int(os.environ.get("BENCH_SECONDS", "5"))
ROUNDS = 3
CONNECTIONS = 32
CLIENTS = 8
UPLOADS = 4_000
GOALS = {"memory": (5, 2), "sqlite": (3, 1.5)}
UPLOAD_GOAL = 3
MEMORY_GOAL = 2
GROWTH = (100, 1_000, 10_000, 100_000)

# Every thread goes through all the paths, from a place of its own.
GET = """
local paths, at = {}, 0
for line in io.lines("%s") do paths[#paths + 1] = line end
function setup(thread) counter = (counter or 0) + 1; thread:set("start", counter * 7919) end
function init() at = start %% #paths end
function request() at = at %% #paths + 1; return wrk.format("GET", paths[at]) end
"""


def rows(directory, report):
    with contextlib.ExitStack() as stack:
        servers = {
            "notary": NotaryServer(directory / "notary"),
            "memory": ours(directory / "memory", backend="memory"),
            "sqlite": ours(directory / "sqlite", backend="sqlite", db_url=str(directory / "trust.db")),
        }
        for name, server in servers.items():
            stack.enter_context(server)
            say(f"{name}: publishing {REPOSITORIES:,} repositories")
            publish(server, range(REPOSITORIES))
        memory(servers, report)
        gets({name: Load(server) for name, server in servers.items()}, report)
    uploads(directory, report)
    growth(directory, report)


def ours(directory, **storage) -> TagtrustServer:
    server = TagtrustServer(directory, storage=storage)
    server.program = str(BINARY)
    return server


class Connection:
    """One that is kept open."""

    def __init__(self, port, ca_file):
        context = ssl.create_default_context(cafile=ca_file)
        self.connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)

    def ask(self, method, path, body=None, headers=None) -> bytes:
        self.connection.request(method, path, body, headers or {})
        answer = self.connection.getresponse()
        data = answer.read()
        assert answer.status == 200, (path, answer.status, data)
        return data


def gun(number) -> str:
    return f"bench.example/team/app{number}"


def prepare(connection, gun) -> bytes:
    """A repository of one tag, signed for the keys that the server made for it."""
    repository = tuf.Repository(gun)
    repository["targets"].signed["targets"] = {"v1": {"hashes": {"sha256": "A" * 43 + "="}, "length": 1570}}
    for role in ("timestamp", "snapshot"):
        key = json.loads(connection.ask("GET", f"/v2/{gun}/_trust/tuf/{role}.key"))
        public = tuf.base64.b64decode(key["keyval"]["public"])
        repository.set_keys(role, [tuf.Key(key["keytype"], public, private=None, method=None)])
        repository[role].signers = []
    parts = [
        f'--bench\r\nContent-Disposition: form-data; name="files"; filename="{role}"\r\n\r\n'.encode()
        + repository[role].sealed()
        for role in ("root", "targets")
    ]
    return b"\r\n".join([*parts, b"--bench--\r\n"])


def post(connection, gun, body):
    connection.ask("POST", f"/v2/{gun}/_trust/tuf/", body, {"Content-Type": "multipart/form-data; boundary=bench"})


# Work for processes of their own: one at a time would measure Python.


def prepare_some(port, ca_file, numbers) -> list[tuple[str, bytes]]:
    connection = Connection(port, ca_file)
    return [(gun(number), prepare(connection, gun(number))) for number in numbers]


def post_some(port, ca_file, uploads):
    connection = Connection(port, ca_file)
    for name, body in uploads:
        post(connection, name, body)


def publish_some(port, ca_file, numbers):
    connection = Connection(port, ca_file)
    for number in numbers:
        post(connection, gun(number), prepare(connection, gun(number)))


def publish(server, numbers):
    spread(publish_some, server, list(numbers), clients=makers_of_keys(server))


def makers_of_keys(server) -> int:
    # With keys in memory notary-server dies of several at once: "concurrent map writes".
    return 1 if isinstance(server, NotaryServer) else CLIENTS


def spread(work, server, items, clients=CLIENTS) -> list:
    """Calls `work` with a part of the items in each of the clients, and gives what they return."""
    parts = [items[client::clients] for client in range(clients)]
    with concurrent.futures.ProcessPoolExecutor(clients) as pool:
        return list(pool.map(work, [server.port] * clients, [server.ca_file] * clients, parts))


class Load:
    """A server with repositories, and the paths of their files."""

    def __init__(self, server):
        self.server = server
        self.scripts = {}
        connection = Connection(server.port, server.ca_file)
        paths = {"timestamp": [], "targets": []}
        for number in range(0, REPOSITORIES, REPOSITORIES // 1000):
            base = f"/v2/{gun(number)}/_trust/tuf"
            snapshot = json.loads(connection.ask("GET", f"{base}/snapshot.json"))
            sha256 = tuf.base64.b64decode(snapshot["signed"]["meta"]["targets"]["hashes"]["sha256"]).hex()
            paths["timestamp"].append(f"{base}/timestamp.json")
            paths["targets"].append(f"{base}/targets.{sha256}.json")
        self.scripts = {kind: script(server, kind, lines) for kind, lines in paths.items()}

    def rate(self, kind) -> float:
        return wrk(self.server, self.scripts[kind])


def script(server, name, paths) -> Path:
    listing = server.directory / f"{name}.paths"
    listing.write_text("\n".join(paths))
    file = server.directory / f"{name}.lua"
    file.write_text(GET % listing)
    return file


def wrk(server, script, seconds=SECONDS, connections=CONNECTIONS) -> float:
    """Answers with status 200 a second."""
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script, f"{server.url}/"]
    said = run(*argv).stdout
    assert "Non-2xx" not in said, said
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])


def resident(server) -> float:
    """MiB."""
    status = Path(f"/proc/{server._process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def memory(servers, report):
    mebibytes = {name: resident(server) for name, server in servers.items()}
    for name in ("memory", "sqlite"):
        report(
            Row(f"memory after {REPOSITORIES:,} repositories, notary ÷ ours in {name}", mebibytes["notary"] / mebibytes[name],
                ">=", MEMORY_GOAL, f"")
        )  # fmt: skip


def gets(loads, report):
    for index, kind in enumerate(("timestamp", "targets")):
        say(f"GET of {kind}, {ROUNDS} rounds of {SECONDS} s each")
        rates = {name: [] for name in loads}
        for _ in range(ROUNDS):
            for name, load in loads.items():
                rates[name].append(load.rate(kind))
        median = {name: statistics.median(figures) for name, figures in rates.items()}
        what = "timestamp.json" if kind == "timestamp" else "targets.<sha256>.json"
        for name, goals in GOALS.items():
            report(
                Row(f"GET {what}, requests a second, {name} ÷ notary in memory", median[name] / median["notary"],
                    ">=", goals[index], f"tagtrust {median[name]:,.0f}, notary {median['notary']:,.0f}")
            )  # fmt: skip


def uploads(directory, report):
    """New repositories, each once; what is prepared does not count."""
    rates = {}
    with Postgres(fsync="on") as postgres:
        theirs = NotaryServer(directory / "notary-uploads")
        theirs.settings = {"storage": {"backend": "postgres", "db_url": postgres.database(NOTARY_TABLES)}}
        sqlite = ours(directory / "sqlite-uploads", backend="sqlite", db_url=str(directory / "uploads.db"))
        for name, server in (("notary", theirs), ("tagtrust", sqlite)):
            with server:
                say(f"{name}: {UPLOADS:,} uploads by {CLIENTS} clients")
                parts = spread(prepare_some, server, list(range(UPLOADS)), makers_of_keys(server))
                prepared = [upload for part in parts for upload in part]
                started = time.perf_counter()
                spread(post_some, server, prepared)
                rates[name] = UPLOADS / (time.perf_counter() - started)
    report(
        Row("uploads a second, SQLite ÷ notary with PostgreSQL, both durable", rates["tagtrust"] / rates["notary"],
            ">=", UPLOAD_GOAL, f"tagtrust {rates['tagtrust']:,.0f}, notary {rates['notary']:,.0f}")
    )  # fmt: skip


def growth(directory, report):
    """The same request as repositories grow."""
    file = directory / "growth.db"
    figures, published = [], 0
    with ours(directory / "growth", backend="sqlite", db_url=str(file)) as server:
        for count in GROWTH:
            say(f"growth: up to {count:,} repositories")
            publish(server, range(published, count))
            published = count
            paths = [f"/v2/{gun(n)}/_trust/tuf/timestamp.json" for n in range(0, count, max(1, count // 1000))]
            figures.append((count, wrk(server, script(server, f"growth-{count}", paths)), resident(server)))
        size = sum(path.stat().st_size for path in file.parent.glob(f"{file.name}*"))
    detail = "; ".join(f"{count:,}: {rate:,.0f}/s, {memory:.0f} MiB" for count, rate, memory in figures)
    (few, first, _), (many, last, _) = figures[0], figures[-1]
    report(Row(f"timestamp.json, requests a second at {few} ÷ at {many:,} repositories", first / last, "<", 1.25, detail))
    report(f"SQLite with {many:,} repositories: {size / 2**20:,.0f} MiB, {size / many:,.0f} bytes each")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="tagtrust-bench-") as directory:
        rows(Path(directory), print)
