"""Rotations: new keys of root and the other roles, and the chain of root versions."""

from attacks import tuf
from attacks.faults import (
    EXPIRED,
    FILLED,
    GUN,
    ROLLED_BACK,
    ROOT_NOT_TRUSTED,
    TAMPERED,
    TRUSTED,
    fault,
    names_of,
    published,
)
from attacks.faults.reasons import EXPIRED_LINK, OLD_CERTIFICATE, OLD_ROOT
from attacks.tuf import DAY, NOW, certificate, certificate_key, pem, root_key

ONE, TWO, THREE = (root_key(f"{number} root", GUN) for number in ("next", "second", "third"))


def rotation(name, expect, *, roles="root", **options):
    return fault(f"rotation: {name}", expect, roles=roles, **options)


def expired(repository):
    repository["root"].signed["expires"] = tuf.rfc3339(NOW - DAY)


def renew(repository):
    repository["root"].signed["expires"] = tuf.rfc3339(NOW + 1000 * DAY)


def two_root_keys(repository):
    repository.rotate_root([root_key("root", GUN), ONE], threshold=2)


# One step


@rotation("root key, signed by old and new", TRUSTED)
def _(scene):
    scene.repo.rotate_root([ONE])


@rotation("root key, not signed by the old one", TRUSTED, filled=ROOT_NOT_TRUSTED)
def _(scene):
    scene.repo.rotate_root([ONE], keep_old=False)


@rotation("root key, not signed by the new one", ROOT_NOT_TRUSTED)
def _(scene):
    scene.repo.rotate_root([ONE])
    scene.repo["root"].signers.pop(0)


@rotation("root key, the old one's signature is bad", TRUSTED, filled=ROOT_NOT_TRUSTED)
def _(scene):
    scene.repo.rotate_root([ONE], keep_old=False)
    old = root_key("root", GUN)
    scene.repo["root"].on_signatures.append(lambda s, p: s + [old.sign(p + b" ")])


@rotation("new certificate of the same root key", TRUSTED)
def _(scene):
    renewed = certificate_key("root", pem(certificate("root", GUN, ends=NOW + 500 * DAY)))
    scene.repo.rotate_root([renewed])


@rotation("new certificate of the same root key, under the new key ID only", TRUSTED, filled=ROOT_NOT_TRUSTED)
def _(scene):
    renewed = certificate_key("root", pem(certificate("root", GUN, ends=NOW + 500 * DAY)))
    scene.repo.rotate_root([renewed], keep_old=False)


@rotation("a second root key, threshold 2", TRUSTED)
def _(scene):
    two_root_keys(scene.repo)


@rotation("threshold 2 before, one of the old keys signs", TRUSTED, filled=ROOT_NOT_TRUSTED, before=two_root_keys)
def _(scene):
    scene.repo.rotate_root([TWO], keep_old=False)
    scene.repo["root"].signers.append(ONE)


@rotation("threshold 2 before, both old keys sign", TRUSTED, before=two_root_keys)
def _(scene):
    scene.repo.rotate_root([TWO])


@rotation("threshold lowered to 1, one old key signs", TRUSTED, filled=ROOT_NOT_TRUSTED, before=two_root_keys)
def _(scene):
    scene.repo.next_root()
    scene.repo.set_keys("root", [ONE])


@rotation("versions skipped, same key", TRUSTED)
def _(scene):
    scene.repo.next_root()
    scene.repo["root"].signed["version"] += 10


@rotation("versions skipped, new key", TRUSTED)
def _(scene):
    scene.repo.rotate_root([ONE])
    scene.repo["root"].signed["version"] += 10


@rotation("root of the same version, other content", TRUSTED)
def _(scene):
    scene.repo.next_root()
    scene.repo["root"].signed["version"] -= 1
    scene.repo["root"].signed["comment"] = "other"


@rotation("root of the same version, other root key", TRUSTED)
def _(scene):
    scene.repo.rotate_root([ONE])
    scene.repo["root"].signed["version"] -= 1


# Several steps


@rotation("two steps", TRUSTED)
def _(scene):
    scene.repo.rotate_root([ONE])
    scene.repo.rotate_root([TWO])


@rotation("three steps", TRUSTED)
def _(scene):
    for key in ONE, TWO, THREE:
        scene.repo.rotate_root([key])


@rotation("ten steps", TRUSTED)
def _(scene):
    for number in range(10):
        scene.repo.rotate_root([root_key(f"root {number}", GUN)])


def each_chain(name, expect=ROOT_NOT_TRUSTED):
    """Registers a change of the wire files of a three-step rotation from version 2 to 5."""

    def register(change):
        @rotation(f"three steps, {name}", TRUSTED, filled=expect)
        def _(scene):
            for key in ONE, TWO, THREE:
                scene.repo.rotate_root([key])
            scene.repo.on_wire.append(change)

    return register


@each_chain("the first one missing")
def _(files):
    del files["3.root.json"]


@each_chain("the second one missing")
def _(files):
    del files["4.root.json"]


@each_chain("the second one is the first")
def _(files):
    files["4.root.json"] = files["3.root.json"]


@each_chain("the first one is the last")
def _(files):
    files["3.root.json"] = files["5.root.json"]


@each_chain("the two in between exchanged")
def _(files):
    files["3.root.json"], files["4.root.json"] = files["4.root.json"], files["3.root.json"]


@each_chain("the second one an HTML page", TAMPERED)
def _(files):
    files["4.root.json"] = b"<html></html>"


@each_chain("the second one changed")
def _(files):
    files["4.root.json"] = files["4.root.json"].replace(b'"expires"', b'"expired"', 1)


@each_chain("the second one of another repository")
def _(files):
    other = published(prefix="mallory ")
    other.rotate_root([root_key("mallory 1", GUN)])
    other.rotate_root([root_key("mallory 2", GUN)])
    files["4.root.json"] = other.files()["4.root.json"]


@each_chain("the history before the cached root forged", TRUSTED)
def _(files):
    files["1.root.json"] = b"{}"


@rotation("two steps, the first one not signed by the old key", TRUSTED, filled=ROOT_NOT_TRUSTED)
def _(scene):
    scene.repo.rotate_root([ONE], keep_old=False)
    scene.repo.rotate_root([TWO])


@rotation("two steps, the second one not signed by the first", TRUSTED, filled=ROOT_NOT_TRUSTED)
def _(scene):
    scene.repo.rotate_root([ONE])
    scene.repo.rotate_root([TWO], keep_old=False)


@rotation("two steps, the first one not signed by itself", TRUSTED, filled=ROOT_NOT_TRUSTED)
def _(scene):
    scene.repo.rotate_root([ONE])
    scene.repo["root"].signers.remove(ONE)
    scene.repo.rotate_root([TWO])
    scene.repo["root"].signers.append(ONE)


@rotation("two steps, the first one expired since", TRUSTED)
def _(scene):
    scene.repo.rotate_root([ONE])
    expired(scene.repo)
    scene.repo.rotate_root([TWO])
    renew(scene.repo)


@rotation("two steps, the first one's certificate expired since", TRUSTED, differs={FILLED: EXPIRED_LINK})
def _(scene):
    old = certificate("next root", GUN, ends=NOW - DAY)
    scene.repo.rotate_root([certificate_key("next root", pem(old))])
    scene.repo.rotate_root([TWO])


@rotation("two steps, the last one expired", EXPIRED)
def _(scene):
    scene.repo.rotate_root([ONE])
    scene.repo.rotate_root([TWO])
    expired(scene.repo)


@rotation("two steps, the last one of the first one's version", TRUSTED, filled=ROOT_NOT_TRUSTED)
def _(scene):
    scene.repo.rotate_root([ONE])
    scene.repo.rotate_root([TWO])
    scene.repo["root"].signed["version"] -= 1


@rotation("two steps, the last one's version is huge", TRUSTED, filled=ROOT_NOT_TRUSTED)
def _(scene):
    """The walk would never end."""
    scene.repo.rotate_root([ONE])
    scene.repo.rotate_root([TWO])
    scene.repo["root"].signed["version"] = 2**50


# From a root that expired in the cache


@rotation("cached root expired, renewed with the same key", TRUSTED, before=expired)
def _(scene):
    scene.repo.next_root()
    renew(scene.repo)


@rotation("cached root expired, not renewed", EXPIRED, before=expired)
def _(scene):
    pass


@rotation("cached root expired, one step", TRUSTED, before=expired)
def _(scene):
    scene.repo.rotate_root([ONE])
    renew(scene.repo)


@rotation("cached root expired, two steps", TRUSTED, differs={FILLED: OLD_ROOT}, before=expired)
def _(scene):
    scene.repo.rotate_root([ONE])
    scene.repo.rotate_root([TWO])
    renew(scene.repo)


@rotation("cached root expired, two steps, the first one missing", TRUSTED, filled=ROOT_NOT_TRUSTED, before=expired)
def _(scene):
    scene.repo.rotate_root([ONE])
    scene.repo.rotate_root([TWO])
    renew(scene.repo)
    scene.repo.on_wire.append(lambda files: files.pop("3.root.json"))


@rotation("cached root expired, a stranger's root", TRUSTED, filled=ROOT_NOT_TRUSTED, before=expired)
def _(scene):
    scene.repo.rotate_root([root_key("mallory", GUN)], keep_old=False)
    renew(scene.repo)


@rotation("cached root expired, rolled back to one that has not", TRUSTED, filled=ROLLED_BACK, before=expired)
def _(scene):
    renew(scene.repo)
    scene.repo["root"].signed["version"] -= 1


@rotation(
    "cached root's certificate expired, one step",
    TRUSTED,
    cache=(FILLED,),
    differs=OLD_CERTIFICATE,
    before=lambda good: stale(good),
)
def _(scene):
    scene.repo.rotate_root([ONE])


def stale(repository):
    """A root whose certificate expired, and whose own expiry is far."""
    old = certificate_key("root", pem(certificate("root", GUN, ends=NOW - DAY)))
    repository["root"].signed["keys"].pop(root_key("root", GUN).id)
    repository.set_keys("root", [old])


# Keys of the other roles


def each_role_key(name, expect, filled=None):
    """Registers a rotation of the key of every base role but root."""

    def register(make):
        for role in tuf.BASE_ROLES[1:]:

            @rotation(f"{role} key{name}", expect, filled=filled, roles=role)
            def _(scene, role=role):
                make(scene.repo, role)

    return register


@each_role_key("", TRUSTED)
def _(repository, role):
    repository.next_root()
    repository.set_keys(role, [tuf.key("next " + role)])


@each_role_key(", the old one still signs", TAMPERED)
def _(repository, role):
    old = repository[role].signers
    repository.next_root()
    repository.set_keys(role, [tuf.key("next " + role)])
    repository[role].signers = old


@each_role_key(", already used in the root before", TAMPERED)
def _(repository, role):
    """The root that allows the key is on its server, but not in the snapshot or served."""
    repository[role].signers = [tuf.key("next " + role)]


@rotation("targets key, the old file kept", TAMPERED, roles="targets")
def _(scene):
    """Its key was revoked in the new root: the file is no longer signed."""
    scene.repo.next_root()
    scene.repo.set_keys("targets", [tuf.key("next targets")])
    scene.repo["targets"].signed = scene.good["targets"].signed
    scene.repo["targets"].signers = scene.good["targets"].signers


@rotation("snapshot key, the old root still served", TAMPERED, roles="snapshot")
def _(scene):
    old = scene.good.files()["root.json"]
    scene.repo.next_root()
    scene.repo.set_keys("snapshot", [tuf.key("next snapshot")])

    def hook(files):
        for name in names_of(files, "root"):
            files[name] = old

    scene.repo.on_wire.append(hook)
