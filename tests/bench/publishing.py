"""What publishing costs, beside `notary publish` and `docker trust sign`, wall time.

Whoever publishes also waits for notary-server, which reads, checks and stores
the same upload in either case, and for staged changes for the file system, which
has each change in a file of its own that is read and removed. How long the
server takes is measured by uploads of the same size that were signed beforehand;
the goals are for the whole time, and the rows in between show what is left
without the server's share.
"""

import os
import statistics
import time
from pathlib import Path

from lab import DockerTrust, Notary, run
from lab.notary import PASSPHRASE
from lab.repositories import make_image, new_gun
from uploads import publish_tags

ROOT = Path(__file__).parents[2]
EXAMPLE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/examples/publish"
PASSPHRASES = {f"DOCKER_CONTENT_TRUST_{kind}_PASSPHRASE": PASSPHRASE for kind in ("ROOT", "REPOSITORY")}
STAGED_GOALS = {10_000: 8, 100_000: 20}
ONE_MORE_GOAL = 20
SIGN_GOAL = 3
ROUNDS = {10_000: 5, 100_000: 2}


def rows(directory: Path, server, row, say):
    """All rows of the table; `row` makes one."""
    bench = Bench(directory, server)
    for count, goal in STAGED_GOALS.items():
        say(f"publishing {count:,} staged tags, {ROUNDS[count]} times each")
        floor = statistics.median(bench.upload_alone(count) for _ in range(ROUNDS[count]))
        pairs = [bench.staged(count) for _ in range(ROUNDS[count])]
        theirs, ours = (statistics.median(times) for times in zip(*pairs, strict=True))
        yield from compared(row, f"{count:,} staged tags published", theirs, ours, floor, goal)
    count = max(STAGED_GOALS)
    say(f"one more tag into {count:,}")
    theirs, ours, floor = bench.one_more(count)
    yield from compared(row, f"one more tag into {count:,}", theirs, ours, floor, ONE_MORE_GOAL)
    say("signing a known tag again")
    theirs, ours = bench.sign_again()
    detail = f"docker trust sign {theirs * 1e3:.0f} ms, tagtrust {ours * 1e3:.0f} ms"
    yield row("a known tag signed again: wall, docker trust ÷ tagtrust", theirs / ours, ">=", SIGN_GOAL, detail)


def compared(row, what, theirs, ours, floor, goal):
    detail = f"notary {theirs:.2f} s, tagtrust {ours:.2f} s, the server's share {floor:.2f} s"
    yield row(f"{what}: wall, notary ÷ tagtrust", theirs / ours, ">=", goal, detail)
    # The two are measured one after the other: below this it is noise.
    own = max(ours - floor, 0.05)
    yield row("  the same without the server's share", (theirs - floor) / own, ">=", goal, f"{own:.2f} s")


class Bench:
    def __init__(self, directory: Path, server):
        self.directory, self.server = directory, server
        self.number = 0

    def user(self) -> Notary:
        self.number += 1
        return Notary(self.server, self.directory / f"publisher-{self.number}")

    def ours(self, notary: Notary, gun, *tag) -> float:
        argv = [EXAMPLE, gun, "--server", self.server.url, "--ca-file", self.server.ca_file]
        words = [word for word in (*argv, "--trust-dir", notary.trust_dir, *tag)]
        return timed(lambda: run(*words, env=PASSPHRASES))

    def upload_alone(self, count) -> float:
        """The upload of a repository with so many tags, signed beforehand."""
        times = []
        publish_tags(self.server, count, on_upload=times.append)
        return times[0]

    def staged(self, count) -> tuple[float, float]:
        """(notary's time, ours) to publish so many staged tags into an empty repository."""
        result = []
        for publish in (lambda notary, gun: timed(lambda: notary.publish(gun)), self.ours):
            notary, gun = self.user(), new_gun("staged")
            notary.init(gun)
            notary.publish(gun)
            notary.stage(gun, images(gun, count))
            result.append(publish(notary, gun))
            assert len(notary.list(gun)) == count
            notary.run("delete", gun, "--remote")
        return tuple(result)

    def one_more(self, count) -> tuple[float, float, float]:
        """(notary's time, ours, the server's share) to publish one more tag into so many, with a warm cache."""
        notary, gun = self.user(), new_gun("many")
        notary.init(gun)
        notary.stage(gun, images(gun, count))
        notary.publish(gun)
        notary.list(gun)
        theirs, ours = [], []
        for number in range(ROUNDS[count]):
            digest, size = make_image(f"{gun}:theirs-{number}")
            notary.addhash(gun, f"theirs-{number}", size, digest.removeprefix("sha256:"))
            theirs.append(timed(lambda: notary.publish(gun)))
            notary.list(gun)
            ours.append(self.ours(notary, gun, "--tag", f"ours-{number}", *make_image(f"{gun}:ours-{number}")))
            assert len(notary.list(gun)) == count + 2 * (number + 1)
        floor = statistics.median(self.upload_alone(count) for _ in range(ROUNDS[count]))
        return statistics.median(theirs), statistics.median(ours), floor

    def sign_again(self) -> tuple[float, float]:
        """(Docker's time, ours) to sign a tag that is signed already."""
        docker = DockerTrust(self.server, self.directory / "docker")
        gun = new_gun("again")
        docker.add_signer("alice", gun, docker.generate_key("alice", self.directory))
        notary = Notary(self.server, docker.trust_dir)
        digest, size = make_image(gun)
        self.ours(notary, gun, "--tag", "v1", digest, size)
        theirs = statistics.median(timed(lambda: docker.trust("sign", f"{gun}:v1")) for _ in range(11))
        ours = statistics.median(self.ours(notary, gun, "--tag", "v1", digest, size) for _ in range(11))
        return theirs, ours


def images(gun, count):
    made = {f"v{number}": make_image(f"{gun}:v{number}") for number in range(count)}
    return {tag: (size, digest.removeprefix("sha256:")) for tag, (digest, size) in made.items()}


def timed(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
