"""Delegations: names, paths, trees, and which of them Docker's pull rule counts."""

import copy

from attacks import tuf
from attacks.faults import (
    EMPTY,
    EXPIRED,
    FILLED,
    NESTED,
    NOT_SIGNED,
    RELEASES,
    ROLLED_BACK,
    SIGNER,
    TAG,
    TAMPERED,
    TRUSTED,
    fault,
    tag,
)
from attacks.faults.reasons import NEGATIVE, RELEASES_UNUSABLE


def delegation(name, expect, *, roles="targets", tag=TAG, **options):
    return fault(f"delegations: {name}", expect, roles=roles, tag=tag, **options)


def declared(scene, name=RELEASES):
    return scene.repo.declaration(name)


def declarations(scene, parent="targets"):
    return scene.repo[parent].signed["delegations"]["roles"]


# Paths


def each_paths(name, expect, *paths):
    @delegation(f"paths {name}", expect, roles=())
    def _(scene):
        declared(scene)["paths"] = list(paths)


each_paths("with another prefix", NOT_SIGNED, "2.")
each_paths("with the exact tag", TRUSTED, TAG)
each_paths("with a prefix of the tag", TRUSTED, "9", "1.")
each_paths("with a longer tag", NOT_SIGNED, TAG + "0")
each_paths("with a glob", NOT_SIGNED, "1.*", "*")
each_paths("with a slash", NOT_SIGNED, "/")
each_paths("empty", NOT_SIGNED)


@delegation("paths absent", NOT_SIGNED, roles=())
def _(scene):
    del declared(scene)["paths"]


@delegation("paths null", NOT_SIGNED, roles=())
def _(scene):
    declared(scene)["paths"] = None


@delegation("paths a string", TAMPERED)
def _(scene):
    declared(scene)["paths"] = ""


@delegation("paths with null in them", TRUSTED, roles=())
def _(scene):
    """Go reads it as the empty text, which is the prefix of everything."""
    declared(scene)["paths"] = [None]


@delegation("path_hash_prefixes instead of paths", NOT_SIGNED, roles=())
def _(scene):
    del declared(scene)["paths"]
    declared(scene)["path_hash_prefixes"] = [""]


def nested_tag(scene, parent_paths, paths):
    declared(scene)["paths"] = parent_paths
    declared(scene, NESTED)["paths"] = paths


@delegation("the tag outside of the paths, and in targets", TRUSTED, roles=())
def _(scene):
    declared(scene)["paths"] = ["2."]
    tag(scene.repo, "targets", TAG, b"the owner's manifest")


@delegation("child's paths outside its parent's", TRUSTED, roles=())
def _(scene):
    nested_tag(scene, ["1."], ["2."])


@delegation("child's paths wider than its parent's", TRUSTED, roles=())
def _(scene):
    nested_tag(scene, ["1."], [""])


@delegation("terminating", TRUSTED, roles=())
def _(scene):
    declared(scene, SIGNER)["terminating"] = True


# Names


def each_name(name, role_name, expect=TAMPERED):
    @delegation(f"a role named {name}", expect, cache=(EMPTY,))
    def _(scene):
        declarations(scene).append({**copy.deepcopy(declared(scene)), "name": role_name})


each_name("nothing", "")
each_name("targets", "targets")
each_name("root", "root")
each_name("without targets/", "releases")
each_name("in upper case", "targets/Releases")
each_name("with a dot", "targets/v1.2")
each_name("with a dot segment", "targets/./releases")
each_name("with a path to elsewhere", "targets/../root")
each_name("with a path out of the cache", "targets/../../../../../../../../tmp/tagtrust-attack")
each_name("with an empty segment", "targets//releases")
each_name("with a slash at its end", "targets/releases/")
each_name("with a space", "targets/new releases")
each_name("with a NUL", "targets/releases\0")
each_name("in Cyrillic", "targets/rele\u0430ses")
each_name("with 256 bytes", "targets/" + "a" * 248)
each_name("for a grandchild", "targets/releases/other")
each_name("with 255 bytes, without a file", "targets/" + "a" * 247, TRUSTED)
each_name("without a file", "targets/bob", TRUSTED)
each_name("with a backslash", "targets\\releases")


@delegation("a role name null", TAMPERED)
def _(scene):
    declarations(scene).append({**copy.deepcopy(declared(scene)), "name": None})


@delegation("a role's child in another role's file", TAMPERED, roles=RELEASES)
def _(scene):
    declared(scene, NESTED)["name"] = "targets/alice/nightly"


@delegation("a role declared in its own file", TAMPERED, roles=RELEASES)
def _(scene):
    declared(scene, NESTED)["name"] = RELEASES


@delegation("a role twice", TAMPERED, roles=RELEASES)
def _(scene):
    declarations(scene).append(copy.deepcopy(declared(scene)))


@delegation("a role twice, first with another key", TAMPERED, roles=RELEASES)
def _(scene):
    mallory = tuf.key("mallory")
    scene.repo.listed_keys(RELEASES)[mallory.id] = mallory.entry
    declarations(scene).insert(0, {**copy.deepcopy(declared(scene)), "keyids": [mallory.id]})


@delegation("a role twice, last with another key", TAMPERED, roles=RELEASES)
def _(scene):
    mallory = tuf.key("mallory")
    scene.repo.listed_keys(RELEASES)[mallory.id] = mallory.entry
    declarations(scene).append({**copy.deepcopy(declared(scene)), "keyids": [mallory.id]})


@delegation("null among the roles", TAMPERED)
def _(scene):
    declarations(scene).append(None)


@delegation("roles an object", TAMPERED)
def _(scene):
    delegations = scene.repo["targets"].signed["delegations"]
    delegations["roles"] = {r["name"]: r for r in delegations["roles"]}


# Snapshot and delegations


@delegation("a role in snapshot that nobody declares", TRUSTED, roles=())
def _(scene):
    scene.repo.undeclared["targets/ghost"] = tuf.target(b"ghost")


@delegation("a declared role in snapshot without a file", TAMPERED, roles=())
def _(scene):
    declarations(scene).append({**copy.deepcopy(declared(scene)), "name": "targets/bob"})
    scene.repo.undeclared["targets/bob"] = tuf.target(b"ghost")


@delegation("a release in a role that snapshot does not list", NOT_SIGNED, filled=ROLLED_BACK, roles=RELEASES)
def _(scene):
    scene.repo[RELEASES].on_entry.append(lambda entry: None)


@delegation(
    "releases not in snapshot, the tag in targets too",
    TRUSTED,
    filled=ROLLED_BACK,
    roles=(),
    differs={
        FILLED: "A role that was seen and is still declared must stay in the snapshot. Notary takes it for one "
        "that was never published, and falls back to `targets`."
    },
)
def _(scene):
    scene.repo[RELEASES].on_entry.append(lambda entry: None)
    tag(scene.repo, "targets", TAG, b"the owner's manifest")


def fallback(name, expect, differs=None):
    """Registers a fault of releases where the tag stands in targets too."""

    def register(change):
        @delegation(f"{name}, the tag in targets too", expect, roles=RELEASES, differs=differs)
        def _(scene):
            tag(scene.repo, "targets", TAG, b"the owner's manifest")
            change(scene.repo[RELEASES])

    return register


@fallback("releases expired", EXPIRED, RELEASES_UNUSABLE)
def _(role):
    role.signed["expires"] = tuf.rfc3339(tuf.NOW - tuf.DAY)


@fallback("releases signed by a stranger", TAMPERED, RELEASES_UNUSABLE)
def _(role):
    role.signers = [tuf.key("mallory")]


@fallback("releases without signatures", TAMPERED)
def _(role):
    role.on_signatures.append(lambda *_: [])


@fallback("releases empty", TRUSTED)
def _(role):
    role.signed["targets"].clear()


@fallback("releases with targets null", TRUSTED)
def _(role):
    role.signed["targets"] = None


@fallback("releases with other content", TRUSTED)
def _(role):
    pass


@delegation("releases expired, the tag in its child too", EXPIRED, roles=RELEASES)
def _(scene):
    tag(scene.repo, NESTED, TAG, b"a nightly manifest")
    scene.repo[RELEASES].signed["expires"] = tuf.rfc3339(tuf.NOW - tuf.DAY)


@delegation("a signer's role expired", TRUSTED, roles=SIGNER)
def _(scene):
    scene.repo[SIGNER].signed["expires"] = tuf.rfc3339(tuf.NOW - tuf.DAY)


@delegation("a signer's role signed by a stranger", TRUSTED, roles=SIGNER)
def _(scene):
    scene.repo[SIGNER].signers = [tuf.key("mallory")]


@delegation("a signer's role not JSON", TAMPERED, roles=SIGNER)
def _(scene):
    scene.repo[SIGNER].on_bytes.append(lambda data: b"no JSON")


# Which role counts


@delegation("the tag nowhere", NOT_SIGNED, roles=(), tag="9.9")
def _(scene):
    pass


@delegation("the tag with another case", NOT_SIGNED, roles=(), tag="NIGHTLY")
def _(scene):
    tag(scene.repo, RELEASES, "nightly", b"lower case")


@delegation("the tag only in a signer's role", NOT_SIGNED, roles=(), tag="alice-only")
def _(scene):
    tag(scene.repo, SIGNER, "alice-only", b"alice's manifest")


@delegation("the tag only in a child of releases", NOT_SIGNED, roles=(), tag="nightly")
def _(scene):
    pass


@delegation("the tag in targets and a signer's role", TRUSTED, roles=(), tag="both")
def _(scene):
    tag(scene.repo, SIGNER, "both", b"alice's manifest")
    tag(scene.repo, "targets", "both", b"the owner's manifest")


@delegation("the tag in a child of releases and in targets", NOT_SIGNED, roles=(), tag="nightly")
def _(scene):
    """The child is asked before targets, and its answer does not count."""
    tag(scene.repo, "targets", "nightly", b"the owner's manifest")


@delegation("the tag in releases and its child", TRUSTED, roles=(), tag="nightly")
def _(scene):
    tag(scene.repo, RELEASES, "nightly", b"the release manager's manifest")


@delegation("only targets, no delegations", TRUSTED, roles=())
def _(scene):
    scene.repo["targets"].signed["delegations"] = {"keys": {}, "roles": []}
    for role in (NESTED, RELEASES, SIGNER):
        del scene.repo.roles[role]
    tag(scene.repo, "targets", TAG, b"the owner's manifest")


# The tag's entry


def each_tag(name, expect, differs=None, **member):
    """Registers a change of the tag's entry; a file in which a tag just has no digest is a good one."""

    @delegation(f"tag {name}", expect, roles=() if expect == NOT_SIGNED else RELEASES, cache=(EMPTY,), differs=differs)
    def _(scene):
        scene.repo[RELEASES].signed["targets"][TAG].update(member)


digest = tuf.target(b"second manifest")["hashes"]

each_tag("with only sha512", NOT_SIGNED, hashes={"sha512": digest["sha512"]})
each_tag("with only sha256", TRUSTED, hashes={"sha256": digest["sha256"]})
each_tag("with sha256 too short", NOT_SIGNED, hashes={"sha256": tuf.b64(b"\7" * 31)})
each_tag("with sha256 too long", NOT_SIGNED, hashes={"sha256": tuf.b64(b"\7" * 33)})
each_tag("with sha256 empty", NOT_SIGNED, hashes={"sha256": ""})
each_tag("with sha256 null", NOT_SIGNED, hashes={"sha256": None})
each_tag("with sha512 too short", TRUSTED, hashes={**digest, "sha512": tuf.b64(b"\7" * 63)})
each_tag("with hashes empty", NOT_SIGNED, hashes={})
each_tag("with hashes null", NOT_SIGNED, hashes=None)
each_tag("with sha256 in upper case", NOT_SIGNED, hashes={"SHA256": digest["sha256"]})
each_tag("with sha256 not base64", TAMPERED, hashes={"sha256": "!" * 44})
each_tag("with sha256 in hex", NOT_SIGNED, hashes={"sha256": "07" * 32})
each_tag("with an unknown hash too", TRUSTED, hashes={**digest, "md5": "AAAA"})
each_tag("with length negative", TAMPERED, NEGATIVE, length=-1)
each_tag("with length 0", TRUSTED, length=0)
each_tag("with length null", TRUSTED, length=None)
each_tag("with length a string", TAMPERED, length="15")
each_tag("with length 2^53", TRUSTED, length=2**53)
each_tag("with length 2^63", TAMPERED, length=2**63)
each_tag("with custom data", TRUSTED, custom={"b": ["<&>", None, True], "a": {}})
each_tag("with custom data null", TRUSTED, custom=None)
each_tag("with custom data a number", TRUSTED, custom=12)
each_tag("with custom data a fraction", TAMPERED, custom=1.5)
each_tag("with an unknown member", TRUSTED, url="https://elsewhere.example/")


@delegation("tag null", NOT_SIGNED, roles=())
def _(scene):
    scene.repo[RELEASES].signed["targets"][TAG] = None


@delegation("tag a string", TAMPERED, roles=RELEASES)
def _(scene):
    scene.repo[RELEASES].signed["targets"][TAG] = "sha256:00"


@delegation("another tag's entry is broken", TAMPERED, roles=RELEASES)
def _(scene):
    scene.repo[RELEASES].signed["targets"]["0.9"] = {"hashes": 1}


@delegation("targets a list", TAMPERED, roles=RELEASES)
def _(scene):
    scene.repo[RELEASES].signed["targets"] = []
