"""A server that is killed at any moment has every upload that it acknowledged, and no half of one."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab import Notary
from server.durability.hard import HardServer
from server.durability.publishers import Ledger, Publisher, audit

# Together 200.
KILLS = {"sqlite": 140, "postgres": 60}
PUBLISHERS, SHARED_BY = 6, 3
# The real `notary` is asked for this long; it lists some twenty repositories a second.
SECONDS_OF_NOTARY = 30


@pytest.mark.parametrize("storage", KILLS)
def test_after_200_kills_every_acknowledged_upload_is_there_and_none_half(
    storage, database, tagtrust, fresh_directory, rng
):
    with HardServer(fresh_directory(), storage=database(storage)) as server:
        ledger = Ledger()
        kills = publish_and_kill(server, database.postgres, ledger, KILLS[storage], rng)
        print(dict(kills), dict(ledger.answers), f"{ledger.acknowledged} uploads to {len(ledger.uploads)} repositories")
        assert ledger.acknowledged > KILLS[storage] / 2
        if storage == "sqlite":
            # Whoever was answered at all was told something definite.
            assert ledger.answers.keys() <= {"acknowledged", "VERSION", "INVALID_UPDATE", "cut off"}
        tags = audit(server, ledger)
        everybody_verifies(server, tags, tagtrust, fresh_directory)
    server.assert_no_panic()


def publish_and_kill(server, postgres, ledger, times, rng) -> Counter:
    """How often what was killed."""
    kills, stop = Counter(), threading.Event()
    publishers = crew(server, ledger, rng)
    for publisher in publishers:
        publisher.start(stop)
    try:
        for _ in range(times):
            time.sleep(rng.uniform(0, 0.3) if server.waits else rng.uniform(0, 0.1))
            kill(server, postgres, rng, kills)
        server.waits = True
        server.kill()
        server.start()
        time.sleep(1)  # of uploads that nothing disturbs
    finally:
        stop.set()
        for publisher in publishers:
            publisher.join()
    return kills


def crew(server, ledger, rng) -> list[Publisher]:
    """Some with repositories of their own, some who race for one."""
    shared = "registry.example/lab/shared"
    first = Publisher(server, ledger, "first", rng, shared)
    assert first.publish()
    first.site.wire.close()
    # Seeds for each, or the order in which the threads come would matter.
    return [
        Publisher(server, ledger, f"publisher-{number}", type(rng)(rng.getrandbits(64)), gun)
        for number, gun in enumerate([shared] * SHARED_BY + [None] * (PUBLISHERS - SHARED_BY))
    ]


def kill(server, postgres, rng, kills):
    """And start again what is dead, with or without waiting until it answers."""
    what = rng.choice(["server"] * 4 + ["postgres", "backend"] if postgres else ["server"])
    kills[what] += 1
    if what == "postgres":
        postgres.kill_all()
        time.sleep(rng.uniform(0, 0.1))
        postgres.start()
    elif what == "backend":
        postgres.kill_one(rng)
    if what == "server" or rng.random() < 0.3 or not server.is_running:
        kills["server before it answered"] += not server.waits
        server.kill()
        server.waits = rng.random() < 0.8
        server.start()


def everybody_verifies(server, tags, tagtrust, fresh_directory):
    """Our client all of them; the real `notary` as many as it can in its time, each tag's digest."""
    assert tags
    client = tagtrust.Client(server=server.url, ca_file=server.ca_file, trust_dir=fresh_directory())
    for gun, digests in tags.items():
        found = {row.tag: f"sha256:{row.digest}" for row in client.inspect(gun).signed_tags}
        assert found == digests, gun

    notary, deadline = Notary(server, fresh_directory()), time.monotonic() + SECONDS_OF_NOTARY

    def ask(gun):
        if time.monotonic() > deadline:
            return 0
        listed = {tag: digest for tag, (digest, *_) in notary.list(gun).items()}
        assert listed == tags[gun], gun
        return 1

    with ThreadPoolExecutor(2) as pool:
        asked = sum(pool.map(ask, tags))
    print(f"{asked} of {len(tags)} repositories verified with the real notary, all with our client")
    assert asked > 0
