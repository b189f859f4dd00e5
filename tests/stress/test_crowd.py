"""200 processes and threads at once on one trust directory, which the real programs use too."""

import bisect
import itertools
import json
import logging
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from interop.verifiers import BUILD, c_example, digest_of, environment, options
from lab import DockerTrust, Notary, NotaryServer, repositories, run
from lab.need import need
from lab.process import clean_environment
from lab.repositories import RELEASES, TAG_IN_BOTH

# Together 200.
RUST_PROCESSES, C_PROCESSES = 80, 40
PYTHON_PROCESSES, THREADS_IN_EACH = 4, 20
PUBLICATIONS = 20
TIMEOUT = 300
WORKER = Path(__file__).with_name("worker.py")


@dataclass
class Answer:
    """`digest` is None for "not signed"; every other refusal is an error."""

    who: str
    reference: str
    digest: str | None
    error: str | None
    began: float
    ended: float


class MovingTag:
    """A tag that the real `notary` signs again and again, and when it did."""

    def __init__(self, repository, role):
        self.repository, self.role = repository, role
        self.reference = f"{repository.gun}:moving"
        self.digests, self.began, self.ended = [], [], []

    def publish(self):
        gun, admin = self.repository.gun, self.repository.admin
        digest, size = self.repository.tags["moving"] = repositories.make_image(f"{gun}:moving:{len(self.digests)}")
        self.digests.append(digest)
        self.began.append(time.monotonic())
        admin.addhash(gun, "moving", size, digest.removeprefix("sha256:"), [self.role])
        admin.publish(gun)
        self.ended.append(time.monotonic())

    def check(self, answers):
        """Each digest was signed while it was asked for, and none is older than what anybody got before that."""
        for answer in answers:
            oldest = max(0, bisect.bisect_right(self.ended, answer.began) - 1)
            newest = bisect.bisect_left(self.began, answer.ended)
            assert answer.digest in self.digests[oldest:newest], answer
        answers = sorted(answers, key=lambda answer: answer.ended)
        ends = [answer.ended for answer in answers]
        newest_seen = list(itertools.accumulate((self.digests.index(answer.digest) for answer in answers), max))
        for answer in answers:
            before = bisect.bisect_left(ends, answer.began)
            assert before == 0 or self.digests.index(answer.digest) >= newest_seen[before - 1], answer


class Scene:
    """Repositories by both real programs, one of which moves, and the one trust directory of all readers."""

    def __init__(self, server, engine, fresh_directory):
        self.server, self.directory = server, fresh_directory()
        self.docker = DockerTrust(server, self.directory)
        self.notary = Notary(server, self.docker.trust_dir)
        self.trust_dir = self.docker.trust_dir
        self.fixed = [
            repositories.build(recipe, server, engine, fresh_directory())
            for recipe in ("notary-delegated", "docker-pushed", "docker-signed")
        ]
        self.moving = MovingTag(repositories.docker_signed(server, fresh_directory(), engine, "moving"), RELEASES)
        self.moving.publish()
        self.unsigned = [f"{self.fixed[0].gun}:{tag}" for tag in ("absent", *self.fixed[0].uncounted)]
        self.expected = {reference: None for reference in self.unsigned} | {
            f"{repository.gun}:{tag}": digest
            for repository in (*self.fixed, self.moving.repository)
            for tag, (digest, _) in repository.tags.items()
            if tag != "moving"
        }

    @property
    def repositories(self):
        return [*self.fixed, self.moving.repository]

    def references(self):
        """One after the other, every third the moving one."""
        others = itertools.cycle(self.expected)
        for other in others:
            yield from (other, next(others), self.moving.reference)


@pytest.fixture
def scene(engine, fresh_directory):
    need((BUILD / "examples/verify").exists(), "the Rust example")
    need(c_example().exists(), "the C example")
    with NotaryServer(fresh_directory()) as server:
        yield Scene(server, engine, fresh_directory)


def test_200_at_once_get_the_right_answers_while_the_publisher_goes_on(scene, tagtrust, caplog):
    caplog.set_level(logging.ERROR, "tagtrust")
    answers = crowd(scene)
    assert [answer for answer in answers if answer.error] == []
    assert len(answers) >= RUST_PROCESSES + C_PROCESSES + PYTHON_PROCESSES * THREADS_IN_EACH
    for answer in answers:
        if answer.reference != scene.moving.reference:
            assert answer.digest == scene.expected[answer.reference], answer
    moving = [answer for answer in answers if answer.reference == scene.moving.reference]
    scene.moving.check(moving)
    print(f"{len(answers)} answers, {len(moving)} of them about the moving tag")
    the_directory_is_whole(scene, tagtrust)


def crowd(scene) -> list[Answer]:
    """Everybody's answers: they start at one moment, and the threads go on until the publisher is done."""
    references = scene.references()
    programs = [BUILD / "examples/verify"] * RUST_PROCESSES + [c_example()] * C_PROCESSES
    gate, opener = os.pipe()
    waiting = [wait_and_verify(gate, program, next(references), scene) for program in programs]
    workers = [start_worker(scene, references) for _ in range(PYTHON_PROCESSES)]
    done = threading.Event()
    with ThreadPoolExecutor(len(waiting) + len(workers) + 1) as pool:
        began = time.monotonic()
        os.close(gate)
        os.close(opener)
        for worker in workers:
            worker.stdin.write("go\n")
            worker.stdin.flush()
        processes = [pool.submit(answer_of, began, *process) for process in waiting]
        real = pool.submit(real_programs, scene, done)
        try:
            publish(scene.moving)
        finally:
            done.set()
            threads = [pool.submit(answers_of, worker) for worker in workers]
        answers = [process.result() for process in processes] + real.result()
        return answers + [answer for worker in threads for answer in worker.result()]


def publish(moving):
    for number in range(PUBLICATIONS):
        moving.publish()
        if number == PUBLICATIONS // 2:
            # Once: a reader who is slow and meets two new roots is refused, as by Notary.
            repositories.rotate(moving.repository, "snapshot-to-server")


def wait_and_verify(gate, program, reference, scene):
    """A program that starts when the gate's other end is closed."""
    argv = ["sh", "-c", 'read -r _; exec "$@"', "sh", program]
    argv += [*options(scene.server, scene.trust_dir), reference]
    process = subprocess.Popen(
        [str(word) for word in argv],
        stdin=gate, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment(environment()),
    )  # fmt: skip
    return program, reference, process


def answer_of(began, program, reference, process) -> Answer:
    out, err = process.communicate(timeout=TIMEOUT)
    ended = time.monotonic()
    digest = digest_of(out.strip()) if process.returncode == 0 else None
    is_answer = process.returncode == 0 or (process.returncode == 1 and "no valid trust data for" in err and out == "")
    return Answer(program.name, reference, digest, None if is_answer else f"{process.returncode} {err}", began, ended)


def start_worker(scene, references):
    own = itertools.islice(references, THREADS_IN_EACH)
    argv = [sys.executable, WORKER, scene.server.url, scene.server.ca_file, scene.trust_dir, THREADS_IN_EACH, *own]
    worker = subprocess.Popen(
        [str(word) for word in argv],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment(),
    )  # fmt: skip
    assert worker.stdout.readline() == "ready\n"
    return worker


def answers_of(worker) -> list[Answer]:
    # It ends when its input does.
    out, err = worker.communicate(timeout=TIMEOUT)
    assert worker.returncode == 0, err
    rows = json.loads(out)
    for row in rows:
        if row["error"] and row["error"].startswith("TagNotSigned"):
            row["error"] = None
    return [Answer("thread", **row) for row in rows]


def real_programs(scene, done) -> list[Answer]:
    """`notary` and `docker trust`, in turn, as long as it goes on."""
    answers = []
    for repository in itertools.cycle(scene.repositories):
        for read in (listed_by_notary, inspected_by_docker):
            began = time.monotonic()
            tags = read(scene, repository.gun)
            ended = time.monotonic()
            answers += [
                Answer(read.__name__, f"{repository.gun}:{tag}", digest, None, began, ended)
                for tag, digest in tags.items()
            ]
        if done.is_set():
            return answers


def listed_by_notary(scene, gun):
    counted = [RELEASES, "targets"]
    return {tag: digest for tag, (digest, _, role) in scene.notary.list(gun, counted).items() if role in counted}


def inspected_by_docker(scene, gun):
    (inspection,) = json.loads(scene.docker.inspect(gun))
    # It shows a tag that is in both under the digest in `targets`, which does not count.
    rows = [row for row in inspection["SignedTags"] if row["SignedTag"] != TAG_IN_BOTH]
    return {row["SignedTag"]: f"sha256:{row['Digest']}" for row in rows}


def the_directory_is_whole(scene, tagtrust):
    """Every file is the server's, nothing else is left, and without the server it serves all programs."""
    # The real programs write without locks, so the last word on the moving repository is still to come.
    example = BUILD / "examples/verify"
    run(example, *options(scene.server, scene.trust_dir), scene.moving.reference, env=environment())
    for repository in scene.repositories:
        directory = scene.trust_dir / "tuf" / repository.gun
        metadata = {path.relative_to(directory / "metadata"): path for path in directory.rglob("metadata/**/*.json")}
        assert len(metadata) >= 4
        for name, path in metadata.items():
            assert path.read_bytes() == scene.server.metadata(repository.gun, name.with_suffix("")), path
        assert sorted(os.listdir(directory / ".tagtrust")) == ["lock", "turn"]

    scene.server.stop()
    client = tagtrust.Client(server=scene.server.url, ca_file=scene.server.ca_file, trust_dir=scene.trust_dir)
    for repository in scene.repositories:
        signed = {tag: digest for tag, (digest, _) in repository.tags.items()}
        for tag, digest in signed.items():
            image = client.verify(f"{repository.gun}:{tag}")
            assert (image.digest, image.fresh) == (digest, False)
        assert listed_by_notary(scene, repository.gun) == signed
        signed.pop(TAG_IN_BOTH, None)
        assert inspected_by_docker(scene, repository.gun) == signed
