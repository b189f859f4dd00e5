"""Rollback, freeze, mix-and-match: files that were, or are elsewhere, well signed."""

from attacks import tuf
from attacks.faults import (
    EXPIRED,
    FILLED,
    GUN,
    NESTED,
    RELEASES,
    ROLES,
    ROLLED_BACK,
    ROOT_NOT_TRUSTED,
    SIGNER,
    TAG,
    TAMPERED,
    TRUSTED,
    fault,
    names_of,
    published,
    tag,
)

# Rollback

for role in (*ROLES, SIGNER):

    @fault(f"rollback: {role}", TRUSTED, filled=ROLLED_BACK, roles=role)
    def _(scene, role=role):
        """Everything above it is new, and vouches for an old version."""
        scene.repo[role].signed["version"] = scene.good[role].signed["version"] - 1
        scene.repo[role].signed["comment"] = "an older version"

    @fault(f"same version, other content: {role}", TRUSTED, roles=role)
    def _(scene, role=role):
        scene.repo[role].signed["version"] = scene.good[role].signed["version"]
        scene.repo[role].signed["comment"] = "other content"


@fault("rollback: everything but root", TRUSTED, filled=ROLLED_BACK)
def _(scene):
    for role in scene.repo.roles.values():
        if role.name != "root":
            role.signed["version"] -= 3


@fault("rollback: everything to version 1", TRUSTED, filled=ROLLED_BACK)
def _(scene):
    for role in scene.repo.roles.values():
        role.signed["version"] = 1


@fault(
    "rollback: timestamp, and the newer files behind it missing",
    TAMPERED,
    filled=ROLLED_BACK,
    roles=("timestamp", "snapshot"),
)
def _(scene):
    scene.repo["timestamp"].signed["version"] -= 3
    scene.repo.on_wire.append(lambda files: [files.pop(n) for n in names_of(files, "snapshot")])


@fault("rollback: releases removed from snapshot and targets", "TagNotSigned", roles=())
def _(scene):
    """The owner of targets may do so; the tag is no longer signed."""
    targets = scene.repo["targets"].signed["delegations"]
    targets["roles"] = [r for r in targets["roles"] if r["name"] != RELEASES]
    del scene.repo.roles[NESTED], scene.repo.roles[RELEASES]


# Freeze


@fault("freeze: nothing new", TRUSTED, roles=())
def _(scene):
    scene.repo = scene.good


@fault(
    "freeze: nothing new, and the timestamp expired",
    EXPIRED,
    roles="timestamp",
    before=lambda good: expire(good, "timestamp"),
)
def _(scene):
    scene.repo = scene.good


def expire(repository, role):
    repository[role].signed["expires"] = tuf.rfc3339(tuf.NOW - tuf.DAY)


@fault("freeze: an older timestamp that expired", EXPIRED, filled=ROLLED_BACK, roles="timestamp")
def _(scene):
    scene.repo["timestamp"].signed["version"] -= 3
    expire(scene.repo, "timestamp")


@fault(
    "freeze: cached files expired, the server has newer ones",
    TRUSTED,
    roles=(),
    before=lambda good: [expire(good, r) for r in ROLES[1:]],
)
def _(scene):
    for role in ROLES[1:]:
        scene.repo[role].signed["expires"] = tuf.rfc3339(tuf.NOW + tuf.DAY)


# Mix and match, on the wire


def each_swap(name, role, other, **options):
    """Registers `role` served with the bytes that `other` gives."""

    @fault(f"mix: {name}", TAMPERED, roles=role, **options)
    def _(scene):
        stand_in = other(scene)

        def hook(files):
            for wire_name in names_of(files, role):
                files[wire_name] = stand_in

        scene.repo.on_wire.append(hook)


def foreign(gun=GUN):
    """Another repository, of another publisher."""
    return published(gun, prefix="mallory ")


for role in ("snapshot", "targets", RELEASES, NESTED):
    each_swap(f"old {role} under a new name", role, lambda scene, role=role: scene.good.files()[f"{role}.json"])
for role in ("timestamp", "snapshot", "targets", RELEASES):
    each_swap(f"{role} of another repository", role, lambda scene, role=role: foreign().files()[f"{role}.json"])
each_swap("targets served as snapshot", "snapshot", lambda scene: scene.repo.files()["targets.json"])
each_swap("snapshot served as timestamp", "timestamp", lambda scene: scene.repo.files()["snapshot.json"])
each_swap("root served as targets", "targets", lambda scene: scene.repo.files()["root.json"])
each_swap("releases served as targets", "targets", lambda scene: scene.repo.files()["targets/releases.json"])
each_swap("a signer's file served as releases", RELEASES, lambda scene: scene.repo.files()["targets/alice.json"])


@fault("mix: timestamp of before with the snapshot of now", TAMPERED, filled=TRUSTED, roles="snapshot")
def _(scene):
    """A client that has the old snapshot needs no other."""
    old, new = scene.good.files(), scene.repo.files()

    def hook(files):
        files["timestamp.json"] = old["timestamp.json"]
        files[tuf.hashed_name(old, "snapshot")] = new["snapshot.json"]

    scene.repo.on_wire.append(hook)


# Mix and match, vouched for by the files above


@fault("mix: a signer's file in the place of releases, in snapshot too", TRUSTED, roles=())
def _(scene):
    """Both have the same key, and no file says which delegation it is."""
    scene.repo[RELEASES].on_bytes.append(lambda _: scene.repo[SIGNER].sealed())


@fault("mix: nested delegation's file in the place of releases, in snapshot too", TAMPERED, roles=RELEASES)
def _(scene):
    scene.repo[RELEASES].on_bytes.append(lambda _: scene.repo[NESTED].sealed())


@fault("mix: targets of another repository, in snapshot too", TAMPERED, roles="targets")
def _(scene):
    scene.repo["targets"].on_bytes.append(lambda _: foreign()["targets"].sealed())


@fault("mix: snapshot of another repository, in timestamp too", TAMPERED, roles="snapshot")
def _(scene):
    stand_in = foreign().files()["snapshot.json"]
    scene.repo["snapshot"].on_bytes.append(lambda _: stand_in)


@fault("mix: snapshot names a root that was never published", TAMPERED, filled=TAMPERED, roles=("snapshot", "root"))
def _(scene):
    scene.repo["root"].on_entry.append(lambda entry: {**entry, "hashes": {"sha256": tuf.b64(b"\5" * 32)}})
    scene.repo.on_wire.append(lambda files: files.pop(f"root.{'05' * 32}.json"))


@fault("mix: snapshot names the root of before", ROLLED_BACK, filled=TRUSTED, roles="snapshot")
def _(scene):
    """Made by someone who had not seen the new root: who has that cannot go back."""
    old = scene.good.files()["root.json"]
    scene.repo.next_root()
    scene.repo["root"].on_entry.append(lambda entry: tuf.target(old))
    scene.repo.on_wire.append(lambda files: files.update({tuf.hashed_name(files, "root"): old}))


# Another repository altogether


def each_replacement(name, expect, make, **options):
    """Registers another repository that is served under this name."""

    @fault(f"replaced: {name}", expect, **options)
    def _(scene):
        scene.repo = make(scene)


def newer(repository):
    for role in repository.roles.values():
        role.signed["version"] += 10
    return repository


def evil():
    repository = newer(foreign())
    for role in (RELEASES, SIGNER):
        tag(repository, role, TAG, b"evil manifest")
    return repository


each_replacement(
    "a stranger's repository, with certificates in this name", TRUSTED, lambda scene: evil(), filled=ROOT_NOT_TRUSTED
)
each_replacement(
    "a stranger's repository of another name", ROOT_NOT_TRUSTED, lambda scene: newer(foreign("registry.example/other"))
)
each_replacement(
    "a stranger's repository, and pins",
    ROOT_NOT_TRUSTED,
    lambda scene: evil(),
    pinning={"certs": {GUN: [tuf.root_key("root", GUN).id]}},
)
each_replacement(
    "a repository of the same publisher with another name",
    ROOT_NOT_TRUSTED,
    lambda scene: newer(published("registry.example/team/other")),
)


@fault("replaced: root by a stranger's, the rest kept", TAMPERED, roles=ROLES[1:], cache=("empty",))
def _(scene):
    stand_in = foreign().files()["root.json"]

    def hook(files):
        for name in names_of(files, "root"):
            files[name] = stand_in

    scene.repo.on_wire.append(hook)


@fault("replaced: all but root by a stranger's", TAMPERED, roles=ROLES[1:])
def _(scene):
    others = evil().files()

    def hook(files):
        roots = {name: data for name, data in files.items() if "root" in name}
        files.clear()
        files.update(others)
        files.update(roots)

    scene.repo.on_wire.append(hook)


# Damage in the cache


def each_damage(name, role, change, expect=TRUSTED):
    @fault(f"cache: {role} {name}", expect, cache=(FILLED,), roles=())
    def _(scene):
        scene.cached[f"{role}.json"] = change(scene.cached[f"{role}.json"])


for role in ROLES:
    expect = "StoreError" if role == "root" else TRUSTED
    each_damage("not JSON", role, lambda data: b"\0" * 100, expect)
    each_damage("empty", role, lambda data: b"", expect)
    each_damage("cut short", role, lambda data: data[: len(data) // 2], expect)
    each_damage("changed", role, lambda data: data.replace(b'"version":', b'"version":9', 1), expect)

for role in ROLES:

    @fault(f"cache: {role} missing", TRUSTED, cache=(FILLED,), roles=())
    def _(scene, role=role):
        del scene.cached[f"{role}.json"]
