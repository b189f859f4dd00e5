"""The named faults: each makes one thing wrong with a well-signed repository.

A fault changes `scene.repo`, the second publication of a repository whose first
publication (`scene.good`) fills the cache where a test wants a filled one.
"""

import importlib
from dataclasses import dataclass

from attacks import tuf

GUN = "registry.example/team/app"
TAG = "1.2"
# What the tag stands for in the first publication and in the second one.
FIRST, SECOND = b"first manifest", b"second manifest"
RELEASES = "targets/releases"
NESTED = "targets/releases/nightly"
SIGNER = "targets/alice"
ROLES = ("root", "timestamp", "snapshot", "targets", RELEASES, NESTED)
# For faults of the text, which one reader reads for all: root, a file that must
# be there, and a delegation.
TEXT_ROLES = ("root", "timestamp", RELEASES)
EMPTY, FILLED = CACHES = ("empty", "filled")

# What tagtrust has to say: a class of its errors, or that the tag is trusted.
TRUSTED = "trusted"
EXPIRED = "Expired"
NO_TRUST_DATA = "NoTrustData"
NOT_SIGNED = "TagNotSigned"
ROLLED_BACK = "RolledBack"
ROOT_NOT_TRUSTED = "RootNotTrusted"
TAMPERED = "Tampered"
UNAUTHORIZED = "Unauthorized"
UNREACHABLE = "Unreachable"


def published(gun=GUN, prefix=""):
    """A repository as Docker makes them with one signer, at version 5, root at 2."""
    repository = tuf.Repository(gun, version=5, prefix=prefix)
    repository["root"].signed["version"] = 1
    repository.next_root()
    alice = tuf.key(prefix + "alice")
    for role in (RELEASES, SIGNER):
        repository.delegate(role, [alice], version=5)
        tag(repository, role, TAG, FIRST)
    repository.delegate(NESTED, [tuf.key(prefix + "nightly")], version=5)
    tag(repository, NESTED, "nightly", b"first nightly manifest")
    return repository


def tag(repository, role, name, content):
    repository[role].signed["targets"][name] = tuf.target(content)


def cache_of(files):
    """The files as a client keeps them: by role, without hashes in the names."""
    return {name: data for name, data in files.items() if name.count(".") == 1}


def names_of(files, role):
    """The wire names of a role's file; of several root versions, the newest."""
    data = files[f"{role}.json"]
    return [n for n in files if n.startswith(f"{role}.") or (role == "root" and files[n] == data)]


class Scene:
    """What a fault works on, and how the clients are to be called."""

    def __init__(self, fault):
        self.good = published()
        if fault.before:
            fault.before(self.good)
        self.cached = cache_of(self.good.files())
        self.ping = b"{}"
        self.repo = self.good.next()
        for role in (RELEASES, SIGNER):
            tag(self.repo, role, TAG, SECOND)
        fault.make(self)


@dataclass(frozen=True)
class Fault:
    name: str
    make: object
    expect: dict  # cache -> what tagtrust says
    differs: dict  # cache -> why Notary's verdict is another one
    roles: tuple  # roles whose served bytes must not reach the cache
    before: object  # changes the first publication
    pinning: dict  # as in the configuration of `notary`
    tag: str


FAULTS = {}


def fault(name, expect, *, filled=None, differs=None, cache=CACHES, roles=ROLES, before=None, pinning=None, tag=TAG):
    """Registers a function that makes the fault; `filled` where the answer differs then.

    `differs` is the reason why Notary's verdict is another one, always or {cache: reason}.
    """
    expected = {EMPTY: expect, FILLED: filled or expect}
    roles = (roles,) if isinstance(roles, str) else roles
    if not isinstance(differs, dict):
        differs = dict.fromkeys(cache, differs) if differs else {}

    def register(make):
        assert name not in FAULTS, name
        expect = {state: expected[state] for state in cache}
        FAULTS[name] = Fault(name, make, expect, differs, roles, before, pinning, tag)
        return make

    return register


def own(role):
    return (role,)


def declaring(role):
    return (role, tuf.parent_of(role) or "root")


def referring(role):
    return ("timestamp",) if role == "snapshot" else ("snapshot",)


def each_role(name, expect=TAMPERED, *, roles=ROLES, at_fault=own, filled={}, differs=None, **options):
    """Registers a function of scene and role as one fault for every role.

    Answers of single roles are given as root=, releases=, nightly=, and those
    with a filled cache as {role: answer}; `differs` may be {role: reason}.
    `at_fault` gives the roles whose files are bad.
    """
    single = {role: options.pop(role.rpartition("/")[2], expect) for role in ROLES}

    def register(make):
        for role in roles:

            def make_for(scene, role=role):
                if role == "root":
                    scene.repo.next_root()
                make(scene, scene.repo[role])

            reason = differs.get(role) if isinstance(differs, dict) else differs
            given = {"filled": filled.get(role), "roles": at_fault(role), "differs": reason, **options}
            fault(f"{role}: {name}", single[role], **given)(make_for)
        return make

    return register


def replaced(old, new):
    """A hook on bytes that replaces the first occurrence, which must be there."""

    def hook(data):
        assert old in data, (old, data[:300])
        return data.replace(old, new, 1)

    return hook


for module in (
    "signatures",
    "keys",
    "payload",
    "references",
    "files",
    "json_text",
    "root",
    "rotation",
    "replay",
    "delegations",
    "transport",
    "controls",
    "limits",
):
    importlib.import_module(f"attacks.faults.{module}")
