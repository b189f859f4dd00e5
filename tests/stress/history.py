"""What a trust server held at one moment after the other, recorded from the real one."""

import base64
import json
import random
import time
from dataclasses import dataclass, field

from lab import repositories

MOMENTS = 10
# The moments at which keys were new as well.
ROTATIONS = {3: "snapshot-to-server", 6: "every-role"}


@dataclass
class Moment:
    tags: dict[str, str]
    timestamp: bytes
    root: bytes
    has_new_root: bool


@dataclass
class History:
    """`files`: those whose names say what is in them, of all moments."""

    gun: str
    moments: list[Moment] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def newest(self, tags) -> int:
        """The moment at which exactly these tags were signed."""
        (found,) = [number for number, moment in enumerate(self.moments) if moment.tags == tags]
        return found

    def has_new_root(self, after, until) -> bool:
        return any(moment.has_new_root for moment in self.moments[after + 1 : until + 1])


def make_history(repository, roles) -> History:
    """Signs the tags `moving-in-<role>` anew for each moment, all in one publication."""
    history = History(repository.gun)
    for number in range(MOMENTS):
        if rotation := ROTATIONS.get(number):
            repositories.rotate(repository, rotation)
        for role in roles:
            tag = f"moving-in-{role.replace('/', '-')}"
            digest, size = repository.tags[tag] = repositories.make_image(f"{repository.gun}:{tag}:{number}")
            repository.admin.addhash(repository.gun, tag, size, digest.removeprefix("sha256:"), [role])
        repository.admin.publish(repository.gun)
        record(history, repository)
    return history


def record(history, repository):
    def fetch(name):
        return repository.admin.server.get(f"/v2/{history.gun}/_trust/tuf/{name}")

    def fetch_listed(metadata):
        for role, meta in json.loads(metadata)["signed"]["meta"].items():
            name = f"{role}.{base64.b64decode(meta['hashes']['sha256']).hex()}.json"
            history.files[name] = fetch(name)
            if role == "snapshot":
                fetch_listed(history.files[name])

    timestamp, root = fetch("timestamp.json"), fetch("root.json")
    fetch_listed(timestamp)
    for version in range(1, json.loads(root)["signed"]["version"] + 1):
        history.files[f"{version}.root.json"] = fetch(f"{version}.root.json")
    tags = {tag: digest for tag, (digest, _) in repository.tags.items()}
    has_new_root = bool(history.moments) and history.moments[-1].root != root
    history.moments.append(Moment(tags, timestamp, root, has_new_root))


class Site:
    """A server of one history, at the moment `now`. `on_request(name)` runs while an answer is on its way."""

    def __init__(self, server, history, on_request=lambda name: None):
        self.history, self.on_request, self.now = history, on_request, 0
        answers = {name: self._answer(name, lambda data=data: data) for name, data in history.files.items()}
        for name in ("timestamp", "root"):
            answers[f"{name}.json"] = self._answer(f"{name}.json", lambda name=name: getattr(self.moment, name))
        self.url = server.publish(history.gun, answers)
        self.ca_file = server.ca_file

    @property
    def moment(self) -> Moment:
        return self.history.moments[self.now]

    def _answer(self, name, data):
        def answer(handler):
            body = data()
            self.on_request(name)
            handler.answer(200, body)

        return answer


def a_little_late(name):
    time.sleep(random.uniform(0, 0.003))
