"""Publishers that are killed at random moments lose no key, and the repository can always be published."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from lab.repositories import make_image
from publish.conftest import key_ids

KILLS = 200
AT_A_TIME = 4
ROTATIONS = ["rotate-targets", "rotate-snapshot", "rotate-root", "snapshot-to-server"]
OPERATIONS = ["sign", "generate", *ROTATIONS, "init", "passwd"]


def test_after_200_kills_no_key_is_lost_and_all_can_be_published(
    publisher, worker, stranger, slow_files, rng, fresh_directory
):
    tally = Counter()
    # Seeds for each, or the order in which the threads come would matter.
    seeds = iter([rng.getrandbits(64) for _ in range(KILLS)])

    def lives():
        while tally["killed"] < KILLS:
            life = Life(publisher, worker, slow_files, type(rng)(next(seeds)), fresh_directory(), tally)
            for _ in range(10):
                life.one_kill()
            life.check(stranger())

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for done in [pool.submit(lives) for _ in range(AT_A_TIME)]:
            done.result()
    print(dict(tally))
    # Or the kills came at no interesting moments.
    assert min(tally[f"killed {operation}"] for operation in OPERATIONS) > 0
    assert tally["came to their end"] < KILLS


class Life:
    """Of one repository and its trust directory."""

    def __init__(self, publisher, worker, slow_files, rng, directory, tally):
        self.one = publisher(name="kills")
        self.worker, self.rng, self.directory, self.tally = worker, rng, directory, tally
        self.slow = {"LD_PRELOAD": slow_files}
        self.one.client.init(self.one.gun, local_snapshot=True)
        self.typical = {}
        self.number = 0

    def one_kill(self):
        operation = self.rng.choice(OPERATIONS)
        if operation not in self.typical:
            self.typical[operation] = self.measure(operation)
        before = self.keys()
        victim = self.start(operation)
        time.sleep(self.rng.uniform(0, self.typical[operation]))
        if victim.kill():
            self.tally["killed"] += 1
            self.tally[f"killed {operation}"] += 1
        else:
            self.tally["came to their end"] += 1
        self.check_keys(before)
        if self.number % 3 == 0:
            self.publish()

    def measure(self, operation) -> float:
        """Seconds that it takes now, beside all else."""
        one = self.start(operation)
        began = time.monotonic()
        answer = one.answer()
        assert "done" in answer, answer
        return time.monotonic() - began

    def start(self, operation):
        self.number += 1
        gun = self.one.gun
        words = {
            "sign": ["sign", gun, f"killed-{self.number}", *make_image("killed")],
            "generate": ["generate", f"key-{self.number}", self.directory],
            "rotate-targets": ["rotate", gun, "targets"],
            "rotate-snapshot": ["rotate", gun, "snapshot"],
            "rotate-root": ["rotate", gun, "root"],
            "snapshot-to-server": ["rotate", gun, "snapshot", "server"],
            "init": ["init", f"{gun}-{self.number}"],
            "passwd": ["change_passphrase", key_ids(self.one.notary.server, gun, "targets")[0]],
        }
        started = self.worker(self.one, *words[operation], environment=self.slow)
        started.go()
        return started

    def keys(self):
        return {file.name for file in (self.one.trust_dir / "private").glob("*.key")}

    def check_keys(self, before):
        """What a role needs is there, whole, and readable by the real program too."""
        after = self.keys()
        (targets,) = key_ids(self.one.notary.server, self.one.gun, "targets")
        assert f"{targets}.key" in after, "the published root's key is lost"
        # A rotation may remove the key of before, and nothing else does.
        gone = before - after
        assert len(gone) <= 1, gone
        listed = {key_id for *_, key_id in self.one.notary.keys()}
        assert {f"{key_id}.key" for key_id in listed} == after, "a file that is no whole key"

    def publish(self):
        """By us and by the real program."""
        tag = f"alive-{self.number}"
        self.one.client.sign(self.one.reference(tag), *make_image(tag))
        digest, size = make_image(f"{tag}-theirs")
        self.one.notary.addhash(self.one.gun, f"{tag}-theirs", size, digest[7:])
        self.one.notary.publish(self.one.gun)

    def check(self, reader):
        self.number += 1
        self.publish()
        listed = reader.list(self.one.gun)
        for tag in (f"alive-{self.number}", f"alive-{self.number}-theirs"):
            assert listed[tag][:2] == make_image(tag)
        self.one.client.rotate_key(self.one.gun, "root")
        assert self.one.notary.lookup(self.one.gun, tag) == make_image(tag)
        # Every key that is there can be used.
        for key in self.one.client.keys():
            self.one.client.change_passphrase(key.id, new="test-passphrase")
