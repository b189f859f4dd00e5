"""A repository is deleted again and again while others publish and read it: nobody gets an error of the server."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from server.durability.hard import HardServer
from server.durability.publishers import HonestWire, Ledger, Publisher
from server.site import Site

SECONDS = 3
GUN = "registry.example/lab/deleted"


@pytest.mark.parametrize("storage", ["sqlite", "postgres"])
def test_whoever_comes_while_a_repository_is_deleted_gets_an_answer(storage, database, tagtrust, fresh_directory, rng):
    with HardServer(fresh_directory(), storage=database(storage)) as server:
        ledger, stop = Ledger(), threading.Event()
        publishers = [Publisher(server, ledger, f"p-{n}", type(rng)(rng.getrandbits(64)), GUN) for n in range(4)]
        for publisher in publishers:
            publisher.start(stop)
        with ThreadPoolExecutor(3) as pool:
            others = [pool.submit(other, server, stop) for other in (delete, read, read)]
            time.sleep(SECONDS)
            stop.set()
            deleted, *_ = [other.result() for other in others]
        for publisher in publishers:
            publisher.join()
        print(f"{deleted} deletions", dict(ledger.answers))
        assert ledger.answers["acknowledged"] > 0
        assert ledger.answers.keys() <= {"acknowledged", "VERSION", "INVALID_UPDATE"}
        client = tagtrust.Client(server=server.url, ca_file=server.ca_file, trust_dir=fresh_directory())
        delete_once(server)
        assert publishers[0].begin().upload("root", "targets").status == 200
        with pytest.raises(tagtrust.TagNotSigned):
            client.verify(f"{GUN}:targets")


def delete(server, stop) -> int:
    deleted = 0
    while not stop.is_set():
        delete_once(server)
        deleted += 1
        time.sleep(0.02)
    return deleted


def delete_once(server):
    site = Site(server, reference=False)
    site.wire = HonestWire(server)
    assert site.delete(GUN).status == 200
    site.wire.close()


def read(server, stop):
    wire = HonestWire(server)
    while not stop.is_set():
        for name in ("timestamp.json", "root.json", "targets.json", "snapshot.key", "1.root.json"):
            assert wire.get(f"/v2/{GUN}/_trust/tuf/{name}").status in (200, 404)
    wire.close()
