"""What calls.c and core/benches/calls.rs do, called from Python; and how threads scale.

`calls.py threads METADATA REPOSITORY TAG COUNT` prints how many verifications in
memory a second one thread does, and eight.
"""

import statistics
import sys
import threading
import time
from pathlib import Path

import tagtrust

ROLES = ("root", "timestamp", "snapshot", "targets")


def main():
    what, *words, count = sys.argv[1:]
    count = int(count)
    if what == "server":
        print(statistics.median(server_start() for _ in range(count)) * 1e3)
    elif what == "client":
        server, ca_file, trust_dir, reference = words
        client = tagtrust.Client(server=server, ca_file=ca_file, trust_dir=trust_dir, offline_max_age=3600)
        print(nanoseconds(lambda: client.verify(reference).digest, count))
    else:
        metadata, repository, tag = words
        files = [Path(metadata, f"{role}.json").read_bytes() for role in ROLES]
        if what == "memory":
            print(nanoseconds(lambda: in_memory(files, repository, tag), count))
        else:
            print(*(throughput(files, repository, tag, threads, count) for threads in (1, 8)))


def in_memory(files, repository, tag):
    root, timestamp, snapshot, targets = files
    trusted = tagtrust.TrustedSet(repository, root)
    trusted.add_timestamp(timestamp)
    trusted.add_snapshot(snapshot)
    trusted.add_role(targets)
    return trusted.verify(tag).digest


def at_once(root, files, repository, tag):
    """The same with fewer calls, each of which other threads may have to wait for."""
    trusted = tagtrust.TrustedSet(repository, root)
    trusted.add_all(files)
    return trusted.verify(tag).digest


def server_start() -> float:
    """How many seconds it takes."""
    start = time.perf_counter()
    with tagtrust.Server():
        return time.perf_counter() - start


def nanoseconds(call, count) -> float:
    """CPU time of one call; the first is not counted."""
    assert call().startswith("sha256:")
    start = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - start) * 1e9 / count


def throughput(files, repository, tag, threads, count) -> float:
    """Verifications a second of them all."""
    root, *others = files
    by_role = dict(zip(ROLES[1:], others, strict=True))

    def work():
        barrier.wait()
        for _ in range(count // threads):
            at_once(root, by_role, repository, tag)

    barrier = threading.Barrier(threads + 1)
    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    barrier.wait()
    start = time.perf_counter()
    for worker in workers:
        worker.join()
    return count / (time.perf_counter() - start)


main()
