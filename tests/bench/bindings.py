"""What a call costs from C, Python and Go over the same call from Rust, and what the bindings weigh.

Needs what `make bench` builds: the library installed below PREFIX, the wheel's files
in PYTHON, and the small library that only verifies. All are run in turns.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from lab import NotaryServer, run
from lab.process import clean_environment
from table import Row, print_table, say
from uploads import publish_tags

HERE = Path(__file__).parent
ROUNDS = 9
MEMORY_CALLS, CLIENT_CALLS, THREAD_CALLS = 2_000, 200_000, 8_000


def main():
    parser = argparse.ArgumentParser()
    for name in ("prefix", "python", "verify-only"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    built = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tagtrust-bench-") as directory:
        directory = Path(directory)
        with NotaryServer(directory / "server") as server:
            rows = [*calls(built, directory, server), *go(built), *sizes(built)]
    print_table(rows)


def calls(built, directory, server):
    gun, _ = publish_tags(server, 10)
    library = ["-L", built.prefix / "lib", "-ltagtrust", f"-Wl,-rpath,{built.prefix / 'lib'}"]
    c = directory / "calls"
    run("cc", "-O2", "-Wall", "-Wextra", "-Werror", "-I", built.prefix / "include", HERE / "calls.c", "-o", c, *library)
    python = [sys.executable, HERE / "calls.py"]
    commands = {"Rust": [rust_program()], "C": [c], "Python": python}
    environment = {"PYTHONPATH": built.python}

    trust_dir = directory / "trust"
    metadata = [trust_dir / f"tuf/{gun}/metadata", gun, "v5"]
    client = [server.url, server.ca_file, trust_dir, f"{gun}:v5"]
    # Fills the trust directory, too.
    answers = {}
    for what, words, count in (("client", client, CLIENT_CALLS), ("memory", metadata, MEMORY_CALLS)):
        say(f"{what}: {ROUNDS} rounds of {count:,} calls each from {', '.join(commands)}")
        rounds = [
            {name: float(run(*commands[name], what, *words, count, env=environment).stdout) for name in order}
            for order in orders(commands)
        ]
        answers[what] = {name: statistics.median(figures[name] for figures in rounds) for name in commands}
        for name, figure in answers[what].items():
            say(f"    {name:8} {figure:10,.0f} ns")
    memory, client = answers["memory"], answers["client"]

    say(f"eight threads and one: {2 * ROUNDS} rounds of {THREAD_CALLS:,} verifications each from Rust and Python")
    rounds = [
        {name: throughput(commands[name], metadata, environment) for name in ("Rust", "Python")}
        for _ in range(2 * ROUNDS)
    ]
    scale = {name: statistics.median(figures[name] for figures in rounds) for name in ("Rust", "Python")}
    say("instructions of a verification in memory, by valgrind")
    instructions = {name: count_instructions(commands[name], metadata, environment) for name in ("C", "Python")}
    say("import tagtrust")
    imports = [import_time(environment) for _ in range(3 * ROUNDS)]
    return [
        Row("verification in memory: C ÷ Rust", memory["C"] / memory["Rust"], "<", 1.05,
            f"{memory['C'] / 1e3:.1f} ÷ {memory['Rust'] / 1e3:.1f} µs", digits=3),
        Row("a client's answer without a request: C − Rust, ns", client["C"] - client["Rust"], "", 0,
            f"{client['C']:.0f} − {client['Rust']:.0f} ns"),
        Row("a client's answer without a request: Python − Rust, µs", (client["Python"] - client["Rust"]) / 1e3,
            "<", 2, f"{client['Python']:.0f} − {client['Rust']:.0f} ns", digits=2),
        Row("verification in memory: Python − Rust, µs", (memory["Python"] - memory["Rust"]) / 1e3, "", 0,
            f"five calls: {memory['Python'] / 1e3:.1f} − {memory['Rust'] / 1e3:.1f} µs", digits=2),
        Row("verification in memory: Python − C, instructions", instructions["Python"] - instructions["C"], "", 0,
            f"{instructions['Python']:,.0f} − {instructions['C']:,.0f}"),
        Row("eight Python threads ÷ one, verification in memory", scale["Python"], ">=", 1.8,
            f"{os.cpu_count()} cores; Rust {scale['Rust']:.2f}", digits=2),
        Row("tagtrust.Server() is ready, ms", server_start(python, environment), "", 0, "in memory, on plain HTTP"),
        Row("import tagtrust, ms", statistics.median(imports), "<", 15, "without the interpreter's own start"),
    ]  # fmt: skip


def orders(commands):
    """The order of each round: who comes first is at an advantage on machines that slow down under load."""
    names = list(commands)
    return [names[turn % len(names) :] + names[: turn % len(names)] for turn in range(ROUNDS)]


def rust_program() -> str:
    """What cargo makes of core/benches/calls.rs."""
    argv = ["cargo", "bench", "--locked", "-p", "tagtrust", "--bench", "calls", "--no-run", "--message-format=json"]
    said = subprocess.run(argv, stdout=subprocess.PIPE, check=True, text=True).stdout
    made = [json.loads(line) for line in said.splitlines()]
    return next(item["executable"] for item in made if item.get("target", {}).get("name") == "calls")


def throughput(argv, metadata, environment) -> float:
    """Of eight threads, as a multiple of that of one."""
    one, eight = map(float, run(*argv, "threads", *metadata, THREAD_CALLS, env=environment).stdout.split())
    return eight / one


def count_instructions(argv, metadata, environment) -> float:
    """Of one verification in memory: those of a longer run less those of a shorter one."""

    def count(calls):
        valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        said = run(*valgrind, *argv, "memory", *metadata, calls, env=environment).stderr
        return int(re.search(r"Collected : (\d+)", said)[1])

    few, many = 20, 120
    return (count(many) - count(few)) / (many - few)


def server_start(python, environment) -> float:
    """In milliseconds, the median of many in one process."""
    return float(run(*python, "server", 20 * ROUNDS, env=environment).stdout)


def import_time(environment) -> float:
    """In milliseconds, as the interpreter counts it."""
    said = run(sys.executable, "-X", "importtime", "-c", "import tagtrust", env=environment).stderr
    return int(re.search(r"\|\s+(\d+) \| tagtrust\n", said)[1]) / 1e3


def go(built):
    """Both by Go's own benchmark: a call through the package, and a loop of it in C."""
    say("Go")
    environment = clean_environment(
        {
            "PKG_CONFIG_PATH": built.prefix / "lib/pkgconfig",
            "LD_LIBRARY_PATH": built.prefix / "lib",
            "HOME": os.environ["HOME"],
            "GOFLAGS": "-mod=mod",
            "GOPROXY": "off",
        }
    )
    argv = ["go", "test", "-run=^$", "-bench=Overhead", f"-count={ROUNDS}", "."]
    done = subprocess.run(
        argv, cwd=HERE.parents[1] / "ffi/go", env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    found = re.findall(r"^BenchmarkOverhead/(\w+)\S*\s+\d+\s+([\d.]+) ns/op", done.stdout, re.M)
    cost = {name: statistics.median(float(ns) for other, ns in found if other == name) for name, _ in found}

    def row(what, name, c, *goal):
        return Row(f"{what}: Go − C, ns", cost[name] - cost[c], *goal, f"{cost[name]:.0f} − {cost[c]:.0f} ns")

    return [
        row("a call", "VersionGo", "VersionC", "<", 200),
        row("a client's answer without a request, all of the image", "Go", "C", "", 0),
        row("the same with a context that can end", "GoWithCancel", "C", "", 0),
    ]


def sizes(built):
    size = built.verify_only.stat().st_size
    return [Row("verify-only shared library, stripped, MB", size / 1e6, "<", 1.5, f"{size:,} bytes", digits=2)]


main()
