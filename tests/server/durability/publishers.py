"""Publishers that never rest, and what must be on the server after all that happened to it."""

import hashlib
import http.client
import json
import random
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass

from attacks import tuf
from server.durability.reader import Reader
from server.site import Draft, Site
from server.wire import Wire

RELEASES = "targets/releases"
SIGNED_BY_CLIENTS = ("root", "targets", RELEASES)
# What becomes of a request while something is being killed.
CUT_OFF = (OSError, http.client.HTTPException)


class Unavailable(ConnectionError):
    """The server answers that it cannot."""


class HonestWire(Wire):
    def request(self, *args, **more):
        answer = super().request(*args, **more)
        if answer.status >= 500:
            raise Unavailable(f"{answer.status} {answer.code}")
        return answer


@dataclass(eq=False)
class Upload:
    """What was sent. `acknowledged` is only true after the answer 200 has come."""

    files: dict[tuple[str, int], bytes]  # by role and version
    acknowledged: bool = False


class Ledger:
    """Every upload of every repository, whatever became of it; and how often which answer came."""

    def __init__(self):
        self.uploads = defaultdict(list)
        self.answers = Counter()
        self._lock = threading.Lock()

    def attempt(self, gun, parts) -> Upload:
        upload = Upload({(role, version_of(data)): data for role, data in parts})
        with self._lock:
            self.uploads[gun].append(upload)
        return upload

    def count(self, answer):
        with self._lock:
            self.answers[answer] += 1

    @property
    def acknowledged(self) -> int:
        return sum(upload.acknowledged for uploads in self.uploads.values() for upload in uploads)


class Publisher:
    """One thread that uploads whole repositories and new versions, one after the other.

    Files are never the same twice, so each stored one is of one upload. `shared`: the repository
    that it publishes, and others at the same time; otherwise it makes its own, a new one now and then.
    """

    def __init__(self, server, ledger, name, rng: random.Random, shared=None, repositories=30):
        self.site = Site(server, reference=False)
        self.site.wire = HonestWire(server)
        self.ledger, self.name, self.rng = ledger, name, rng
        self.shared, self.repositories = shared, repositories
        self.guns = self.number = 0
        self.draft = self.stored = None
        self.thread = self.error = None

    def start(self, stop: threading.Event, pause=0.0):
        self.thread = threading.Thread(target=self._run, args=(stop, pause), name=self.name)
        self.thread.start()

    def join(self):
        self.thread.join()
        self.site.wire.close()
        if self.error:
            raise self.error

    def _run(self, stop, pause):
        try:
            while not stop.is_set():
                try:
                    self.publish()
                    if pause:
                        time.sleep(pause)
                except CUT_OFF as error:
                    self.ledger.count(str(error) if isinstance(error, Unavailable) else "cut off")
                    time.sleep(0.03)
        except BaseException as error:
            self.error = error

    def publish(self) -> bool:
        """One upload, and whether it was acknowledged."""
        if self.draft is None:
            self.draft = self.begin()
        # What is stored is asked for once, and again whenever something went wrong.
        if self.stored is None:
            self.stored = self.ask()
        roles = self.choose()
        for role in roles:
            self.draft[role].signed["version"] = self.stored[role] + 1
            self.number += 1
            self.change(role)
        upload = self.ledger.attempt(self.draft.gun, parts := self.draft.parts(*roles))
        before, self.stored = self.stored, None
        answer = self.site.upload(self.draft.gun, parts)
        self.ledger.count("acknowledged" if answer.status == 200 else answer.code)
        if answer.status == 200:
            upload.acknowledged = True
            self.stored = before | {role: version for role, version in upload.files}
            if not self.shared and self.guns < self.repositories and self.rng.random() < 0.3:
                self.draft = None
        return upload.acknowledged

    def begin(self) -> Draft:
        gun = self.shared or f"registry.example/lab/{self.name}-{self.guns:03}"
        draft = Draft(self.site, gun)
        draft.delegate(RELEASES, [tuf.key("releases")])
        self.guns += 1
        self.stored = None
        return draft

    def ask(self) -> dict[str, int]:
        """The versions that are stored, 0 if none."""
        answers = {role: self.site.get(self.draft.gun, f"{role}.json") for role in SIGNED_BY_CLIENTS}
        assert {answer.status for answer in answers.values()} <= {200, 404}, answers
        return {role: version_of(answer.body) if answer.status == 200 else 0 for role, answer in answers.items()}

    def choose(self) -> tuple[str, ...]:
        """Roles to upload now."""
        if not self.stored["root"]:
            return self.rng.choice([SIGNED_BY_CLIENTS, ("root", "targets")])
        return self.rng.choice([("targets",), ("targets",), (RELEASES,), ("targets", RELEASES), SIGNED_BY_CLIENTS])

    def change(self, role):
        if role != "root":
            signed = self.draft[role].signed
            # The length tells readers of which version a tag is.
            tag = tuf.target(f"{self.name} {self.number}".encode()) | {"length": signed["version"]}
            signed["targets"] = {role.rpartition("/")[2]: tag}


def audit(server, ledger, renewals=False) -> dict[str, dict[str, str]]:
    """Asserts that every acknowledged upload is there, and none half; the tags of each repository
    that is there, with their digests. `renewals`: timestamps may have been made between uploads."""
    tags = {}
    with Reader(server) as reader:
        for gun, uploads in ledger.uploads.items():
            if found := audit_repository(reader, gun, uploads, renewals):
                tags[gun] = found
    return tags


def audit_repository(reader, gun, uploads, renewals):
    sent = {name for upload in uploads for name in upload.files}
    newest = reader.get(gun, ["timestamp.json"])[0]
    last = 0 if newest is None else version_of(newest)
    made = [("timestamp", version) for version in range(1, last + 2)]
    made += [("snapshot", version) for version in range(1, len(uploads) + 2)]
    names = [*sent, *made]
    files = dict(zip(names, reader.get(gun, [f"{version}.{role}.json" for role, version in names])))
    stored = {name: data for name, data in files.items() if data is not None}

    whole = [upload for upload in uploads if all(stored.get(name) == data for name, data in upload.files.items())]
    for upload in uploads:
        assert not upload.acknowledged or upload in whole, f"{gun}: acknowledged and lost: {list(upload.files)}"
    of_whole = {name for upload in whole for name in upload.files}
    half = (stored.keys() & sent) - of_whole
    assert not half, f"{gun}: these are of no upload that is there as a whole: {half}"
    if newest is None:
        assert not stored, f"{gun}: files without a timestamp: {list(stored)}"
        return None

    snapshots = versions_without_gaps(gun, stored, "snapshot")
    timestamps = versions_without_gaps(gun, stored, "timestamp")
    assert timestamps[-1] == newest
    # Each upload made one snapshot, which leads to all its files and to nothing else that is new.
    assert len(snapshots) == len(whole), (gun, len(snapshots), len(whole))
    by_hash = {(role, sha256(data)): (role, version) for (role, version), data in stored.items()}
    before = {}
    for snapshot in snapshots:
        now = {role: by_hash[role, digest][1] for role, digest in referred(snapshot).items()}
        assert all(now[role] >= version for role, version in before.items()), (gun, before, now)
        new = {name for name in now.items() if before.get(name[0]) != name[1]}
        assert any(new == upload.files.keys() for upload in whole), (gun, new)
        before = now
    # And one timestamp, which leads to the snapshot.
    led_to = [by_hash["snapshot", referred(timestamp)["snapshot"]][1] for timestamp in timestamps]
    assert sorted(set(led_to)) == list(range(1, len(snapshots) + 1)) and led_to == sorted(led_to), (gun, led_to)
    assert renewals or led_to == list(range(1, len(snapshots) + 1)), (gun, led_to)

    changes = reader.changes(gun)
    assert changes == [(number, sha256(data)) for number, data in enumerate(timestamps, 1)], gun
    for role, data in zip(before, reader.get(gun, [f"{role}.json" for role in before])):
        assert data == stored[role, before[role]], f"{gun}: {role}.json is not what the timestamp leads to"
    return {
        tag: tuf.digest_of(target)
        for role in before
        if role != "root"
        for tag, target in json.loads(stored[role, before[role]])["signed"]["targets"].items()
    }


def versions_without_gaps(gun, stored, role) -> list[bytes]:
    versions = sorted(version for name, version in stored if name == role)
    assert versions == list(range(1, len(versions) + 1)), (gun, role, versions)
    return [stored[role, version] for version in versions]


def referred(data) -> dict[str, str]:
    """The SHA-256 of each file that a snapshot or timestamp lists."""
    meta = json.loads(data)["signed"]["meta"]
    return {role: tuf.hexadecimal(entry["hashes"]["sha256"]) for role, entry in meta.items()}


def version_of(data) -> int:
    return json.loads(data)["signed"]["version"]


def sha256(data) -> str:
    return hashlib.sha256(data).hexdigest()
