"""Recipes: repositories signed by the real programs, in the shapes that occur.

Each returns a `Repository` that says what a verifier must answer. The digests
are of no real image: nothing here looks inside one.
"""

import contextlib
import datetime
import functools
import hashlib
import itertools
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from .certificates import make_delegation_key
from .docker import DockerTrust
from .notary import Notary

RELEASES = "targets/releases"
# Signed with one digest in `targets` and another in `targets/releases`: the latter counts.
# `notary lookup` prints the former, because it asks no role first.
TAG_IN_BOTH = "both"

_numbers = itertools.count(1)


@dataclass
class Repository:
    """`tags`: what Docker's rule answers, {tag: (digest, size)}; `admin` holds the root and targets keys."""

    gun: str
    admin: Notary
    tags: dict[str, tuple[str, int]] = field(default_factory=dict)
    # Signed, but by roles that Docker's rule does not ask.
    uncounted: dict[str, tuple[str, int]] = field(default_factory=dict)

    def expect(self, tag, role="targets") -> tuple[str, int]:
        self.tags[tag] = image = make_image(f"{self.gun}:{tag}:{role}")
        return image

    def add(self, tag, role="targets"):
        """Stage a tag for the admin's next publish."""
        digest, size = self.expect(tag, role)
        self.admin.addhash(self.gun, tag, size, digest.removeprefix("sha256:"), [role])


def make_image(seed: str) -> tuple[str, int]:
    """A digest and a size that any seed gives again."""
    digest = hashlib.sha256(seed.encode()).digest()
    return f"sha256:{digest.hex()}", 500 + digest[0]


def let_expire(publish, refusals):
    """Have `publish(expiry)` publish what expires soon, and wait until it has.

    On a machine that is busy it may expire on its way, one of `refusals`: then once more, for longer.
    """
    *tries, longest = (datetime.timedelta(seconds=seconds) for seconds in (1, 3, 9, 27))
    for expiry in tries:
        with contextlib.suppress(*refusals):
            publish(expiry)
            break
    else:
        publish(expiry := longest)
    time.sleep(expiry.total_seconds() + 0.5)


def new_gun(name) -> str:
    # A host that does not resolve: Docker skips TLS verification for a registry on loopback.
    # Of one length and no prefix of another: the server's memory storage deletes by prefix.
    return f"registry.example:5000/lab/{name}-{next(_numbers):04}"


# By `notary`


def notary_plain(server, directory: Path, name="plain") -> Repository:
    """Tags in `targets`, no delegations."""
    repository = Repository(new_gun(name), Notary(server, directory))
    repository.admin.init(repository.gun)
    for tag in ("v1", "v2", "v10"):
        repository.add(tag)
    repository.admin.publish(repository.gun)
    return repository


def notary_delegated(server, directory: Path, name="delegated", key="ecdsa") -> Repository:
    """Tags in `targets`, in `targets/releases`, in both, and in delegations that do not count."""
    repository = notary_plain(server, directory, name)
    admin, gun = repository.admin, repository.gun
    public, private = make_delegation_key(key, directory, "release-team")
    admin.import_key(private, RELEASES)
    for role in (RELEASES, "targets/qa", "targets/qa/nightly"):
        admin.delegation_add(gun, role, public)
    repository.add(TAG_IN_BOTH, "targets")
    for tag in ("v3", TAG_IN_BOTH):
        repository.add(tag, RELEASES)
    for tag, role in (("qa", "targets/qa"), ("nightly", "targets/qa/nightly")):
        digest, size = repository.uncounted[tag] = make_image(f"{gun}:{tag}")
        admin.addhash(gun, tag, size, digest.removeprefix("sha256:"), [role])
    admin.publish(gun)
    return repository


def notary_restricted(server, directory: Path) -> Repository:
    """`targets/releases` may sign `rel-…` only; what else it signed does not count."""
    repository = notary_plain(server, directory, "restricted")
    admin, gun = repository.admin, repository.gun
    public, private = make_delegation_key("ecdsa", directory, "release-team")
    admin.import_key(private, RELEASES)
    admin.delegation_add(gun, RELEASES, public, paths=["rel-", "old"])
    repository.add("rel-1", RELEASES)
    digest, size = repository.uncounted["old-1"] = make_image(f"{gun}:old-1")
    admin.addhash(gun, "old-1", size, digest.removeprefix("sha256:"), [RELEASES])
    admin.publish(gun)
    # The real client refuses to sign outside the paths, so they are narrowed afterwards.
    admin.run("delegation", "remove", gun, RELEASES, "--paths", "old", "--yes")
    admin.publish(gun)
    return repository


def notary_many_tags(server, directory: Path, count: int) -> Repository:
    """`count` tags in `targets`."""
    repository = Repository(new_gun("many"), Notary(server, directory))
    repository.admin.init(repository.gun)
    images = {f"v{number}": repository.expect(f"v{number}") for number in range(count)}
    repository.admin.stage(
        repository.gun, {tag: (size, digest.removeprefix("sha256:")) for tag, (digest, size) in images.items()}
    )
    repository.admin.publish(repository.gun)
    return repository


# By `docker trust`


def docker_pushed(server, directory: Path, engine, name="pushed") -> Repository:
    """Pushed with content trust on: no signers, tags in `targets`, snapshot key on the server."""
    repository, docker = _docker_repository(server, directory, engine, name)
    for tag in ("v1", "v2", "v10"):
        reference = f"{repository.gun}:{tag}"
        engine.images[reference] = repository.expect(tag)
        docker.run("push", reference)
    return repository


def docker_signed(server, directory: Path, engine, name="signed") -> Repository:
    """Signers alice (two keys) and bob; tags by both, by alice alone, and an older one by the admin alone."""
    repository, docker = _docker_repository(server, directory, engine, name)
    gun = repository.gun
    admin_only = f"{gun}:admin-only"
    engine.images[admin_only] = repository.expect("admin-only")
    docker.run("push", admin_only)

    keys = directory / "keys"
    (keys / "second").mkdir(parents=True)
    alice = [docker.generate_key("alice", keys), docker.generate_key("alice", keys / "second")]
    docker.add_signer("alice", gun, *alice)
    docker.sign(f"{gun}:by-alice", *repository.expect("by-alice", RELEASES))
    docker.add_signer("bob", gun, docker.generate_key("bob", keys))
    for tag in ("v1", "v2", "v10"):
        docker.sign(f"{gun}:{tag}", *repository.expect(tag, RELEASES))
    return repository


def docker_revoked(server, directory: Path, engine) -> Repository:
    """As `docker_signed`, with v1 revoked, and bob left without keys."""
    repository = docker_signed(server, directory, engine, "revoked")
    docker = DockerTrust(server, directory, engine)
    docker.revoke(f"{repository.gun}:v1")
    del repository.tags["v1"]
    # `docker trust signer remove` would do nothing: since version 26 it removes nobody
    # whose removal needs no confirmation. Purging leaves the role behind, with `"keyids":null`.
    signers = json.loads(docker.inspect(repository.gun))[0]["Signers"]
    (bob,) = (key["ID"] for signer in signers if signer["Name"] == "bob" for key in signer["Keys"])
    repository.admin.run("delegation", "purge", repository.gun, "--key", bob, "--publish")
    return repository


def docker_empty(server, directory: Path, engine) -> Repository:
    """A signer and no tag: `targets/releases` is declared, its file does not exist."""
    repository, docker = _docker_repository(server, directory, engine, "empty")
    docker.add_signer("carol", repository.gun, docker.generate_key("carol", directory))
    return repository


def _docker_repository(server, directory, engine, name):
    docker = DockerTrust(server, directory, engine)
    # The same keys, seen by `notary`: for what `docker trust` cannot do, such as rotation.
    return Repository(new_gun(name), Notary(server, docker.trust_dir)), docker


RECIPES = {
    "notary-plain": notary_plain,
    "notary-delegated": notary_delegated,
    "notary-delegated-x509": functools.partial(notary_delegated, key="ecdsa-x509"),
    "notary-delegated-rsa": functools.partial(notary_delegated, key="rsa"),
    "notary-delegated-rsa-x509": functools.partial(notary_delegated, key="rsa-x509"),
    "notary-restricted": notary_restricted,
    "docker-pushed": docker_pushed,
    "docker-signed": docker_signed,
    "docker-revoked": docker_revoked,
    "docker-empty": docker_empty,
}


def build(recipe: str, server, engine, directory: Path) -> Repository:
    """A new repository by the name of its recipe."""
    by_docker = [engine] if recipe.startswith("docker") else []
    return RECIPES[recipe](server, directory, *by_docker)


# What can happen to either

ROTATIONS = {
    "root": [("root", False)],
    "root-twice": [("root", False), ("root", False)],
    "targets": [("targets", False)],
    "snapshot": [("snapshot", False)],
    "snapshot-to-server": [("snapshot", True)],
    "timestamp": [("timestamp", True)],
    "every-role": [("targets", False), ("root", False), ("snapshot", True), ("timestamp", True), ("root", False)],
}


def rotate(repository: Repository, rotation: str):
    for role, server_managed in ROTATIONS[rotation]:
        repository.admin.key_rotate(repository.gun, role, server_managed)
