"""Three servers over one PostgreSQL, which die in turn: nobody who publishes or reads is told anything false."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from lab.process import clean_environment
from server.durability.balancer import Balancer
from server.durability.hard import PASSPHRASE, HardServer
from server.durability.publishers import Ledger, Publisher, audit, sha256
from server.durability.reader import Reader

SECONDS = float(os.environ.get("TAGTRUST_TEST_SECONDS", 30))
SERVERS, PUBLISHERS, SHARED_BY = 3, 16, 6
# In each of two processes; together 64.
READER_PROCESSES, CLIENTS, RAW = 2, 26, 6
# So that timestamps are made anew all the time, by whichever server is asked first.
TIMESTAMP_SECONDS = 3
# Repositories that nobody publishes meanwhile: only their timestamps change.
QUIET = 8
TIMEOUT = 300


def test_while_servers_die_in_turn_nobody_is_told_anything_false(database, tagtrust, fresh_directory, rng):
    url = database("postgres")["db_url"]
    servers = [ClusterServer(fresh_directory(), url) for _ in range(SERVERS)]
    for server in servers[1:]:
        server.certificate, server.ca_file = servers[0].certificate, servers[0].ca_file
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.enter_context(server)
        balancer = stack.enter_context(Balancer(fresh_directory(), servers))
        run(servers, balancer, database.postgres, fresh_directory, rng)
    for server in servers:
        server.assert_no_panic()


def run(servers, balancer, postgres, fresh_directory, rng):
    ledger = Ledger()
    shared, quiet = "registry.example/lab/shared", [f"registry.example/lab/quiet-{number}" for number in range(QUIET)]
    own = PUBLISHERS - SHARED_BY
    publishers = [
        Publisher(balancer, ledger, f"publisher-{number}", type(rng)(rng.getrandbits(64)), gun, repositories=1)
        for number, gun in enumerate([shared] * SHARED_BY + [None] * own)
    ]
    for publisher in publishers:
        assert publisher.publish()
    for gun in quiet:
        publisher = Publisher(balancer, ledger, "quiet", rng, gun)
        assert publisher.publish()
        publisher.site.wire.close()

    stop = threading.Event()
    readers = [start_readers(balancer, fresh_directory(), list(ledger.uploads)) for _ in range(READER_PROCESSES)]
    try:
        for process in readers:
            process.stdin.write("go\n")
            process.stdin.flush()
        for publisher in publishers:
            publisher.start(stop, pause=0.05)
        kills = kill_for_a_while(servers, postgres, rng)
    finally:
        stop.set()
        for publisher in publishers:
            publisher.join()
        seen = [json.loads(answer_of(process)) for process in readers]

    tally = sum((Counter(one["tally"]) for one in seen), Counter())
    print(f"{SECONDS:.0f} s, {kills} kills, uploads {dict(ledger.answers)}, readers {dict(tally)}")
    assert [fault for one in seen for fault in one["faults"]] == []
    assert tally["verified"] > 0 and tally["walked"] > 0 and ledger.acknowledged > len(publishers)
    tags = audit(balancer, ledger, renewals=True)
    assert tags.keys() == ledger.uploads.keys()
    compare_timestamps(balancer, seen, ledger)
    with Reader(balancer) as reader:
        renewals = sum(len(reader.changes(gun)) - 1 for gun in quiet)
    print(f"{renewals} new timestamps of {QUIET} repositories that nobody published meanwhile")
    assert renewals > 0


class ClusterServer(HardServer):
    """Embedded in a process of its own."""

    def __init__(self, directory, url):
        super().__init__(directory, storage={"backend": "postgres", "db_url": url})

    def command(self):
        cert, passphrase = self.certificate, next(iter(PASSPHRASE.values()))
        words = [self.settings["storage"]["db_url"], self.address, cert.cert_file, cert.key_file, passphrase]
        return [sys.executable, Path(__file__).with_name("embedded.py"), *map(str, words), str(TIMESTAMP_SECONDS)]


def kill_for_a_while(servers, postgres, rng) -> int:
    """One server at a time; PostgreSQL once, in the middle."""
    kills, end = 0, time.monotonic() + SECONDS
    restart = end - SECONDS / 2
    while time.monotonic() < end:
        time.sleep(rng.uniform(0.5, 2))
        victim = rng.choice(servers)
        victim.kill()
        kills += 1
        time.sleep(rng.uniform(0, 1))
        victim.start()
        if restart and time.monotonic() > restart:
            restart = None
            postgres.stop()
            time.sleep(0.5)
            postgres.start()
    assert restart is None
    return kills


def start_readers(balancer, directory, guns):
    argv = [sys.executable, Path(__file__).with_name("readers.py"), balancer.url, balancer.port, balancer.ca_file]
    environment = clean_environment({"PYTHONPATH": Path(__file__).parents[2]})
    process = subprocess.Popen(
        [str(word) for word in [*argv, directory, CLIENTS, RAW, *guns]],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    return process


def answer_of(process) -> str:
    # It ends when its input does.
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, err
    return out


def compare_timestamps(server, seen, ledger):
    """What each process saw is what is stored."""
    with Reader(server) as reader:
        for gun in ledger.uploads:
            versions = sorted({version for one in seen for version in one["timestamps"][gun]}, key=int)
            stored = reader.get(gun, [f"{version}.timestamp.json" for version in versions])
            for version, data in zip(versions, stored):
                digests = {one["timestamps"][gun].get(version, sha256(data)) for one in seen}
                assert digests == {sha256(data)}, (gun, version)
