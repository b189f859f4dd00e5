"""Readers in a process of their own, from a line on standard input until its end.

usage: readers.py SERVER PORT CA_FILE DIRECTORY CLIENTS RAW GUN...

Each of the clients has a trust directory of its own. The raw readers look at files themselves.
Prints "ready", and at the end what they saw as JSON.
"""

import datetime
import hashlib
import json
import logging
import random
import sys
import threading
import time
from collections import Counter
from types import SimpleNamespace

import tagtrust
from server.durability.publishers import CUT_OFF, HonestWire, referred, version_of

PAUSE = 0.02


class Crowd:
    """What all readers of this process saw."""

    def __init__(self, url, port, ca_file, directory, guns):
        self.url, self.ca_file, self.directory, self.guns = url, ca_file, directory, guns
        self.server = SimpleNamespace(port=int(port), ca_file=ca_file, client=None)
        self.end, self.lock = threading.Event(), threading.Lock()
        self.tally, self.faults = Counter(), []
        # GUN -> version -> SHA-256 of each timestamp that anybody saw
        self.timestamps = {gun: {} for gun in guns}

    def client(self, number):
        """A user: the newest file that counted is never older than before, and never expired when it was sent."""
        rng, seen = random.Random(number), Counter()
        client = tagtrust.Client(
            server=self.url, ca_file=self.ca_file, trust_dir=f"{self.directory}/{number}", require_fresh=True
        )
        while not self.end.is_set():
            gun = rng.choice(self.guns)
            began = int(time.time())
            try:
                version = client.verify(f"{gun}:targets").size
            except tagtrust.Unreachable:
                self.count("unreachable")
                continue
            except tagtrust.Expired as error:
                # It may expire on the way, but not before it was asked for.
                expired = datetime.datetime.fromisoformat(error.expired.replace("Z", "+00:00")).timestamp()
                self.count("expired on the way")
                if error.role != "timestamp" or expired < began:
                    self.fault(f"{gun}: {error}, asked at {began}")
                continue
            except tagtrust.TrustError as error:
                self.fault(f"{gun}: {type(error).__name__}: {error}")
                continue
            self.count("verified")
            if version < seen[gun]:
                self.fault(f"{gun}: targets {version} after {seen[gun]}")
            seen[gun] = version
            time.sleep(PAUSE)

    def raw(self, number):
        """What the timestamp leads to is there; versions only rise; a version has one content."""
        rng, seen = random.Random(f"raw {number}"), Counter()
        wire = HonestWire(self.server)
        while not self.end.is_set():
            gun = rng.choice(self.guns)
            try:
                self.walk(wire, gun, seen)
                self.count("walked")
            except CUT_OFF:
                self.count("cut off")
            # The next one may be another server.
            wire.close()
            time.sleep(PAUSE)

    def walk(self, wire, gun, seen):
        timestamp = self.get(wire, gun, "timestamp.json")
        version, digest = version_of(timestamp), hashlib.sha256(timestamp).hexdigest()
        with self.lock:
            if self.timestamps[gun].setdefault(version, digest) != digest:
                self.faults.append(f"{gun}: two timestamps {version}")
        if version < seen[gun]:
            self.fault(f"{gun}: timestamp {version} after {seen[gun]}")
        seen[gun] = version
        snapshot = self.referred(wire, gun, timestamp, "snapshot")
        for role in referred(snapshot):
            self.referred(wire, gun, snapshot, role)

    def referred(self, wire, gun, file, role):
        digest = referred(file)[role]
        wire.close()
        data = self.get(wire, gun, f"{role}.{digest}.json")
        if hashlib.sha256(data).hexdigest() != digest:
            self.fault(f"{gun}: {role} is not {digest}")
        return data

    def get(self, wire, gun, name):
        answer = wire.get(f"/v2/{gun}/_trust/tuf/{name}")
        if answer.status != 200:
            self.fault(f"{gun}: {name}: {answer.status} {answer.body}")
            raise ConnectionError
        return answer.body

    def count(self, what):
        with self.lock:
            self.tally[what] += 1

    def fault(self, what):
        with self.lock:
            self.faults.append(what)


def main(url, port, ca_file, directory, clients, raw, *guns):
    logging.disable(logging.CRITICAL)
    crowd = Crowd(url, port, ca_file, directory, guns)
    threads = [threading.Thread(target=crowd.client, args=(number,)) for number in range(int(clients))]
    threads += [threading.Thread(target=crowd.raw, args=(number,)) for number in range(int(raw))]
    print("ready", flush=True)
    sys.stdin.readline()
    for thread in threads:
        thread.start()
    sys.stdin.read()
    crowd.end.set()
    for thread in threads:
        thread.join()
    json.dump({"tally": crowd.tally, "faults": crowd.faults, "timestamps": crowd.timestamps}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
