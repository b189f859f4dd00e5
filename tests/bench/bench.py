"""What verifying and publishing cost, beside the real programs and in-process, and what they may cost.

Prints a table; a missed goal is marked and no failure. What verifying costs is
measured as CPU time and memory, so that a busy machine disturbs it little;
publishing as wall time, in turns with the real programs.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab import Notary, NotaryServer, run
from lab.notary import ENVIRONMENT
import publishing
from table import Row, print_table, say
from uploads import publish_tags

ROOT = Path(__file__).parents[2]
EXAMPLE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/examples/verify"
SMALL, MIDDLE, LARGE = 10, 10_000, 100_000
# The smaller the cost, the more runs.
RUNS = {SMALL: 61, MIDDLE: 21, LARGE: 9}
GOALS = {SMALL: 4, MIDDLE: 20, LARGE: 60}
MEMORY_GOAL = 6


@dataclass
class Cost:
    """Of one process from start to end."""

    cpu: float  # seconds, user and system
    memory: int  # KiB at most


def main():
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tagtrust-bench-")))
        lab = Lab(directory, stack.enter_context(NotaryServer(directory / "server")))
        say(f"publishing repositories with {SMALL}, {MIDDLE:,} and {LARGE:,} tags")
        guns = {count: lab.publish(count) for count in GOALS}
        rows = [row for count in GOALS for row in lab.compare(count)]
        rows += lab.in_process(guns)
        rows += publishing.rows(directory, lab.server, Row, say)
    print_table(rows)


class Lab:
    """A server, a user of `notary` and a user of the example, and where they keep what."""

    def __init__(self, directory: Path, server: NotaryServer):
        self.directory, self.server = directory, server
        self.notary = Notary(server, directory / "notary")
        self.trust_dir = directory / "tagtrust"
        self.commands = {}
        self.launcher = directory / "measure"
        run("cc", "-Wall", "-Wextra", "-Werror", Path(__file__).with_name("measure.c"), "-o", self.launcher)

    def publish(self, count) -> str:
        gun, tags = publish_tags(self.server, count)
        tag = f"v{count // 2}"
        digest, size = tags[tag]
        settings = ["--server", self.server.url, "--ca-file", self.server.ca_file, "--trust-dir", self.trust_dir]
        self.commands[count] = (
            (self.notary.command("lookup", gun, tag), f"{tag} {digest} {size}\n"),
            ([EXAMPLE, f"{gun}:{tag}", *settings], f"{gun}@{digest}\n"),
        )
        return gun

    def compare(self, count) -> list["Row"]:
        """Runs the two programs in turns, with a warm cache."""
        say(f"{count:,} tags: {RUNS[count]} runs each of `notary lookup` and the example")
        theirs, ours = self.commands[count]
        costs = [(self.measure(*theirs), self.measure(*ours)) for _ in range(RUNS[count] + 1)]
        # The first run of each filled its cache.
        theirs, ours = (median(column) for column in zip(*costs[1:], strict=True))
        cpu = f"notary {theirs.cpu * 1e3:.1f} ms, tagtrust {ours.cpu * 1e3:.1f} ms"
        memory = f"notary {theirs.memory / 1024:.1f} MiB, tagtrust {ours.memory / 1024:.1f} MiB"
        rows = [Row(f"{count:,} tags: CPU time, notary ÷ tagtrust", theirs.cpu / ours.cpu, ">=", GOALS[count], cpu)]
        if count == LARGE:
            ratio = theirs.memory / ours.memory
            rows.append(Row(f"{count:,} tags: peak memory, notary ÷ tagtrust", ratio, ">=", MEMORY_GOAL, memory))
        return rows

    def measure(self, argv, expected) -> Cost:
        """Run a program that must print `expected`."""
        report = self.directory / "report"
        answer = run(self.launcher, report, *argv, env=ENVIRONMENT).stdout
        assert answer == expected, f"{argv}: {answer!r}"
        microseconds, kibibytes = map(int, report.read_text().split())
        return Cost(microseconds / 1e6, kibibytes)

    def in_process(self, guns) -> list["Row"]:
        """Runs core/benches/verification.rs and reads what criterion found."""
        say("in-process, by criterion")
        results = self.directory / "criterion"
        environment = os.environ | {
            "CRITERION_HOME": str(results),
            "TAGTRUST_BENCH_SERVER": self.server.url,
            "TAGTRUST_BENCH_CA_FILE": str(self.server.ca_file),
            "TAGTRUST_BENCH_TRUST_DIR": str(self.trust_dir),
            "TAGTRUST_BENCH_SMALL": guns[SMALL],
            "TAGTRUST_BENCH_LARGE": guns[LARGE],
        }
        subprocess.run(
            ["cargo", "bench", "--locked", "--quiet", "-p", "tagtrust", "--bench", "verification"],
            cwd=ROOT, env=environment, stdout=sys.stderr, check=True,
        )  # fmt: skip

        def seconds(name) -> float:
            estimates = json.loads((results / name / "new/estimates.json").read_text())
            return estimates["median"]["point_estimate"] / 1e9

        request, besides = seconds("client/request"), seconds("client/besides-the-request")
        offline = seconds("client/no-request")
        trusted_set, floor = seconds("large/trusted-set"), seconds("large/floor")
        return [
            Row("in-process, fresh timestamp: CPU besides the request, µs", besides * 1e6, "<", 150,
                f"the request {request * 1e6:.0f} µs"),
            Row("in-process, no request: verifications a second", 1 / offline, ">=", 500_000,
                f"{offline * 1e9:.0f} ns each"),
            Row(f"trusted set over {LARGE:,} tags ÷ hashes and signature check", trusted_set / floor, "<", 2,
                f"{trusted_set * 1e3:.1f} ms ÷ {floor * 1e3:.1f} ms"),
        ]  # fmt: skip


def median(costs) -> Cost:
    return Cost(statistics.median(cost.cpu for cost in costs), statistics.median(cost.memory for cost in costs))


main()
