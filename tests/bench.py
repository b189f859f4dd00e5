"""Whole processes side by side: `notary lookup` and the Rust example, over TLS, with a warm cache.

Takes turns, so that a busy machine slows both; the median of the runs counts.
"""

import contextlib
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lab import Notary, NotaryServer, repositories, run
from lab.notary import ENVIRONMENT

ROOT = Path(__file__).parents[1]
EXAMPLE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/examples/verify"
RUNS = {10: 41, 10_000: 15, 100_000: 5}


@dataclass
class Cost:
    """Of one process from start to end."""

    cpu: float  # seconds, user and system
    memory: int  # KiB at most


def main():
    counts = [int(argument) for argument in sys.argv[1:]] or list(RUNS)
    print(f"{'tags':>7} {'notary':>22} {'tagtrust':>22} {'CPU':>7} {'memory':>7}")
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tagtrust-bench-")))
        server = stack.enter_context(NotaryServer(directory / "server"))
        for count in counts:
            theirs, ours = compare(server, directory / str(count), count, RUNS.get(count, 5))
            ratios = f"{theirs.cpu / ours.cpu:6.1f}x {theirs.memory / ours.memory:6.1f}x"
            print(f"{count:7} {show(theirs)} {show(ours)} {ratios}", flush=True)


def compare(server, directory, count, runs):
    repository = repositories.notary_many_tags(server, directory / "publisher", count)
    tag = f"v{count // 2}"
    digest, size = repository.tags[tag]
    notary = Notary(server, directory / "notary")
    theirs = notary.command("lookup", repository.gun, tag)
    settings = ["--server", server.url, "--ca-file", server.ca_file, "--trust-dir", directory / "tagtrust"]
    ours = [EXAMPLE, f"{repository.gun}:{tag}", *settings]
    costs = [
        (measure(theirs, f"{tag} {digest} {size}\n"), measure(ours, f"{repository.gun}@{digest}\n"))
        for _ in range(runs + 1)
    ]
    # The first run of each filled its cache.
    return tuple(median(column) for column in zip(*costs[1:], strict=True))


def measure(argv, expected) -> Cost:
    """Run a program that must print `expected`."""
    with tempfile.NamedTemporaryFile("r") as report:
        answer = run(launcher(), report.name, *argv, env=ENVIRONMENT).stdout
        assert answer == expected, f"{argv}: {answer!r}"
        microseconds, kibibytes = map(int, report.read().split())
    return Cost(microseconds / 1e6, kibibytes)


@cache
def launcher() -> Path:
    source, program = ROOT / "tests/lab/measure.c", EXAMPLE.with_name("measure")
    run("cc", "-Wall", "-Wextra", "-Werror", source, "-o", program)
    return program


def median(costs) -> Cost:
    return Cost(statistics.median(cost.cpu for cost in costs), statistics.median(cost.memory for cost in costs))


def show(cost) -> str:
    return f"{cost.cpu * 1000:9.1f} ms {cost.memory / 1024:5.0f} MiB"


main()
