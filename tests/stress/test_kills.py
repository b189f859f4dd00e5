"""Verifiers that are killed at random moments leave a trust directory that everybody can use."""

import itertools
import logging
import os
import random
import signal
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from interop.verifiers import digest_of, environment, options
from lab import Notary
from lab.process import clean_environment
from stress.history import Site, a_little_late

KILLS = 300
# Trust directories that are abused at a time: most of a life is waiting.
AT_A_TIME = 4
TIMEOUT = 300


def test_after_300_kills_nothing_false_is_accepted(
    tagtrust, rust_example, slow_files, replay, histories, unreachable, fresh_directory, caplog
):
    caplog.set_level(logging.ERROR, "tagtrust")
    seed = int(os.environ.get("TAGTRUST_STRESS_SEED", random.randrange(2**32)))
    print(f"TAGTRUST_STRESS_SEED={seed}")
    tally, numbers = Counter(), itertools.count()

    def lives():
        while tally["killed"] < KILLS:
            # Of a string: a tuple's hash would be another one in each process.
            rng = random.Random(f"{seed} {next(numbers)}")
            sites = [Site(replay, history, a_little_late) for history in histories]
            Life(tagtrust, rust_example, slow_files, unreachable, fresh_directory(), sites, rng, tally).run()

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for done in [pool.submit(lives) for _ in range(AT_A_TIME)]:
            done.result()
    print(dict(tally))
    # Or the kills came at no interesting moments.
    assert tally["left staging"] > 0 and tally["left commit"] > 0


@dataclass
class Verifier:
    site: Site
    tag: str
    began_at: int
    process: subprocess.Popen


class Life:
    """Of one trust directory, while the publishers go on."""

    def __init__(self, tagtrust, program, slow_files, unreachable, trust_dir, sites, rng, tally):
        self.tagtrust, self.program, self.unreachable = tagtrust, program, unreachable
        self.slow = clean_environment(environment() | {"LD_PRELOAD": slow_files})
        self.trust_dir, self.sites, self.rng, self.tally = trust_dir, sites, rng, tally
        # The moment that the cache must have reached, for each site.
        self.reached = {site.url: None for site in sites}
        self.typical = None

    def run(self):
        self.typical = self.measure()
        last = len(self.sites[0].history.moments) - 1
        while any(site.now < last - 1 for site in self.sites):
            for site in self.sites:
                site.now = min(site.now + self.rng.choice([0, 1, 1, 2]), last - 1)
            self.burst(self.rng.choice([1, 1, 2, 4, 8]), self.rng.choice([0, 0, 1, 2]))
            for site in self.sites:
                self.check(site)
        for site in self.sites:
            site.now = last
            self.check(site)
            self.is_tidy(site)

    def measure(self) -> float:
        """Seconds that a first verification takes now, beside all else."""
        began = time.monotonic()
        aside = self.trust_dir.with_name(f"{self.trust_dir.name}-aside")
        process = self.popen(self.sites[0], "moving-in-targets", self.slow, aside)
        process.communicate(timeout=TIMEOUT)
        return time.monotonic() - began

    def burst(self, victims, others):
        """Starts them all, moves on meanwhile, and kills the victims, each at its moment."""
        verifiers = [self.start(self.rng.choice(self.sites)) for _ in range(victims + others)]
        kills = sorted(self.rng.uniform(0, self.typical) for _ in range(victims))
        began = time.monotonic()
        for number, (verifier, delay) in enumerate(zip(verifiers, kills)):
            time.sleep(max(0, began + delay - time.monotonic()))
            verifier.process.kill()
            if number == victims // 2:
                self.publish(verifier.site)
        for verifier in verifiers:
            self.check_answer(verifier)

    def publish(self, site):
        # Not with a new root: whoever has the old timestamp and the new root cannot go on.
        if site.now + 2 < len(site.history.moments) and not site.history.moments[site.now + 1].has_new_root:
            site.now += 1

    def start(self, site):
        tag = self.rng.choice(sorted(site.moment.tags))
        return Verifier(site, tag, site.now, self.popen(site, tag, self.slow))

    def popen(self, site, tag, environment, trust_dir=None):
        argv = [self.program, f"{site.history.gun}:{tag}", *options(site, trust_dir or self.trust_dir)]
        return subprocess.Popen(
            [str(word) for word in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )

    def check_answer(self, verifier):
        """Right, or none because of the kill."""
        out, err = verifier.process.communicate(timeout=TIMEOUT)
        signed = verifier.site.history.moments[verifier.began_at : verifier.site.now + 1]
        if verifier.process.returncode == -signal.SIGKILL:
            self.tally["killed"] += 1
        else:
            assert verifier.process.returncode == 0, err
            self.tally["came to their end"] += 1
        if out:
            assert digest_of(out.strip()) in [moment.tags[verifier.tag] for moment in signed], err

    def check(self, site):
        """Without the server the cache serves one whole set; with it all is new again."""
        directory = self.trust_dir / "tuf" / site.history.gun / ".tagtrust"
        for left in ("staging", "commit"):
            self.tally[f"left {left}"] += (directory / left).exists()
        self.check_offline(site)
        tag = self.rng.choice(sorted(site.moment.tags))
        process = self.popen(site, tag, clean_environment(environment()))
        out, err = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0, err
        assert digest_of(out.strip()) == site.moment.tags[tag]
        self.reached[site.url] = site.now
        assert self.check_offline(site) == site.now

    def check_offline(self, site):
        """The moment whose tags, and no others, the cache has."""
        history, reached = site.history, self.reached[site.url]
        client = self.tagtrust.Client(
            trust_dir=self.trust_dir, server=self.unreachable.url, ca_file=self.unreachable.ca_file
        )
        try:
            tags = {row.tag: f"sha256:{row.digest}" for row in client.inspect(history.gun).signed_tags}
        except self.tagtrust.Unreachable:
            # A new root counts at once, and the old files may not fit it.
            assert reached is None or history.has_new_root(reached, site.now)
            self.tally["not decided offline"] += 1
            return None
        self.tally["decided offline"] += 1
        found = history.newest(tags)
        assert (reached or 0) <= found <= site.now
        return found

    def is_tidy(self, site):
        """Nothing is left but the locks, and the real `notary` reads the directory too."""
        assert sorted(os.listdir(self.trust_dir / "tuf" / site.history.gun / ".tagtrust")) == ["lock", "turn"]
        listed = Notary(self.unreachable, self.trust_dir).list(site.history.gun)
        assert {tag: digest for tag, (digest, *_) in listed.items()} == site.moment.tags
