"""Uploads that break one rule each: the same class of error from every server, and nothing is stored."""

import copy
import json
from dataclasses import dataclass
from typing import Callable

import pytest

from attacks import tuf
from attacks.faults.root import pem_of, shortened
from lab.repositories import new_gun
from server.conftest import OURS_WITH_SIGNER, SITES, site_id
from server.site import Draft

DAY = tuf.DAY
PAST = tuf.rfc3339(tuf.NOW - DAY)
CA = ("authority", "Test Authority", "P-256")
TEAM = tuf.key("team")

# What the repository is before the lie
NEW, PUBLISHED, CLIENT_SNAPSHOT, DELEGATED = "new", "published", "client snapshot", "delegated"

LIES = {}


@dataclass(frozen=True)
class Lie:
    """`tell(draft)` gives what is sent: roles, parts, or None for all.

    `code`: of an INVALID_UPDATE its class. `message`: part of it. `remote`: what notary-server says
    instead where its keys are with notary-signer, and its metadata in SQL.
    """

    tell: Callable
    code: str
    message: str
    remote: tuple[str, str] | None


def lie(name, code, message="", before=(PUBLISHED,), remote=None):
    """Registers one, for each state that the repository may be in before."""

    def register(tell):
        for state in before:
            assert (name, state) not in LIES
            LIES[name, state] = Lie(tell, code, message, remote)
        return tell

    return register


def start(site, before) -> Draft:
    """A draft whose next upload is valid."""
    if before == NEW:
        return site.draft()
    draft = site.draft(held=["timestamp"] if before == CLIENT_SNAPSHOT else ["timestamp", "snapshot"])
    if before == DELEGATED:
        draft.delegate("targets/team", [TEAM])
    answer = draft.upload()
    assert answer.status == 200, answer
    draft.next_root()
    return draft.bump("targets", *draft.delegations(), *(["snapshot"] if draft.client_snapshot else []))


@pytest.mark.parametrize("before", [NEW, PUBLISHED, CLIENT_SNAPSHOT, DELEGATED])
def test_what_the_lies_begin_with_is_accepted(site, before):
    assert start(site, before).upload().status == 200


# Root: its version

ALL = (NEW, PUBLISHED)
ROTATE = "could not rotate trust to a new trusted root: failed to validate data with current trusted certificates"
ROOT_INVALID = "root type metadata invalid: "
LEAF = "could not validate the path to a trusted root: unable to retrieve valid leaf certificates"
INTEGRITY = "could not validate the path to a trusted root: failed to validate integrity of roots"


def root(draft, **members):
    draft["root"].signed.update(members)


@lie("root skips a version", "ErrBadRoot", "Root modifications must increment the version.", before=ALL)
def _(draft):
    draft["root"].signed["version"] += 2


@lie("root is version 0", "ErrBadRoot", "Root modifications must increment the version. Current 1, new 0", before=ALL)
def _(draft):
    root(draft, version=0)


@lie(
    "root is of a negative version",
    "ErrBadRoot",
    "Root modifications must increment the version. Current 1, new -1",
    before=ALL,
)
def _(draft):
    root(draft, version=-1)


@lie("root goes back", "ErrBadRoot", "Root modifications must increment the version. Current 2, new 1")
def _(draft):
    assert draft.upload("root").status == 200
    root(draft, version=1)


# Root: its structure


@lie("root is of type root", "ErrBadRoot", "root type metadata invalid: expected type Root, not root", before=ALL)
def _(draft):
    root(draft, _type="root")


@lie("root is of type Targets", "ErrBadRoot", "root type metadata invalid: expected type Root, not Targets", before=ALL)
def _(draft):
    root(draft, _type="Targets")


@lie("root has no type", "ErrBadRoot", "root type metadata invalid: expected type Root, not ", before=ALL)
def _(draft):
    del draft["root"].signed["_type"]


for role_ in ("root", "targets", "snapshot", "timestamp"):

    @lie(f"root names no {role_}", "ErrBadRoot", ROOT_INVALID, before=ALL)
    def _(draft, role=role_):
        del draft["root"].signed["roles"][role]

    @lie(f"root has threshold 0 for {role_}", "ErrBadRoot", ROOT_INVALID, before=ALL)
    def _(draft, role=role_):
        draft.declaration(role)["threshold"] = 0

    @lie(f"root names a key for {role_} that it does not have", "ErrBadRoot", ROOT_INVALID, before=ALL)
    def _(draft, role=role_):
        draft.declaration(role)["keyids"].append("0" * 64)


@lie("root has no keys", "ErrBadRoot", ROOT_INVALID, before=ALL)
def _(draft):
    root(draft, keys={})


@lie("root is expired", "ErrBadRoot", "root expired at", before=ALL)
def _(draft):
    root(draft, expires=PAST)


# Root: its certificates


def certificate_lie(name, make):
    @lie(f"root certificate: {name}", "ErrBadRoot", LEAF, before=ALL)
    def _(draft):
        key = make(draft.gun)
        if draft["root"].signed["version"] == 1:
            draft.set_keys("root", [key])
            return
        old = draft["root"].signers
        draft.set_keys("root", [key])
        draft["root"].signers = [*old, key]


def of(*certificates, name="next root", kind="P-256"):
    return tuf.certificate_key(name, tuf.pem(*certificates), kind)


def leaf(gun, **options):
    return tuf.certificate("next root", gun, **options)


def sha1(gun):
    """By its name: nobody here looks at the certificate's own signature."""
    der = leaf(gun).public_bytes(tuf.serialization.Encoding.DER)
    ecdsa_with = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02", b"\x06\x07\x2a\x86\x48\xce\x3d\x04\x01"
    return tuf.certificate_key("next root", pem_of(shortened(der, *ecdsa_with)))


authority = tuf.certificate(*CA, ca=True)

certificate_lie("of another repository", lambda gun: of(leaf(gun + "-other")))
certificate_lie("of the repository above", lambda gun: of(leaf(gun.rpartition("/")[0])))
certificate_lie("for all names of another host", lambda gun: of(leaf("other.example/*")))
certificate_lie("a bare key", lambda gun: tuf.key("bare"))
certificate_lie("expired", lambda gun: of(leaf(gun, ends=tuf.NOW - DAY)))
certificate_lie("valid from the day after tomorrow", lambda gun: of(leaf(gun, begins=tuf.NOW + 2 * DAY)))
certificate_lie("signed with SHA-1", sha1)
certificate_lie("RSA with 1024 bits", lambda gun: of(leaf(gun, kind="rsa-1024"), kind="rsa-1024"))
certificate_lie("two leaves", lambda gun: of(leaf(gun), tuf.certificate("other", gun)))
certificate_lie("its CA first", lambda gun: of(authority, leaf(gun, issuer=CA)))
certificate_lie("only a CA", lambda gun: of(authority, name="authority"))
certificate_lie("no PEM", lambda gun: tuf.certificate_key("next root", b"not a certificate"))


# Root: its signatures


@lie("root by new keys only", "ErrBadRoot", ROTATE)
def _(draft):
    draft.set_keys("root", [tuf.root_key("next root", draft.gun)])


@lie("root by old keys only", "ErrBadRoot", INTEGRITY)
def _(draft):
    old = draft["root"].signers
    draft.set_keys("root", [tuf.root_key("next root", draft.gun)])
    draft["root"].signers = old


@lie("root by nobody", "ErrBadRoot", before=ALL)
def _(draft):
    draft["root"].signers = []


@lie("root by a stranger", "ErrBadRoot", before=ALL)
def _(draft):
    draft["root"].signers = [tuf.root_key("a stranger", draft.gun)]


@lie("root by one where two are needed", "ErrBadRoot", INTEGRITY, before=ALL)
def _(draft):
    signers = draft["root"].signers
    draft.set_keys("root", [*signers, tuf.root_key("second", draft.gun)], threshold=2)
    draft["root"].signers = signers


@lie("root by one where the stored root needs two", "ErrBadRoot", ROTATE)
def _(draft):
    (first,), second = draft["root"].signers, tuf.root_key("second", draft.gun)
    draft.set_keys("root", [first, second], threshold=2)
    assert draft.upload("root").status == 200
    draft.next_root()
    draft.set_keys("root", [first])


@lie("root was changed after it was signed", "ErrBadRoot", before=ALL)
def _(draft):
    draft["root"].on_bytes.append(
        lambda data: data.replace(b'"consistent_snapshot":false', b'"consistent_snapshot":true')
    )


@lie("root has the signature of another root", "ErrBadRoot", before=ALL)
def _(draft):
    other = copy.deepcopy(draft["root"])
    other.signed["expires"] = tuf.rfc3339(tuf.NOW + 999 * DAY)
    signatures = json.loads(other.sealed())["signatures"]
    draft["root"].on_signatures.append(lambda *_: signatures)


# No root


@lie("no root at all", "ErrValidation", "no pre-existing root and no root provided in update.", before=[NEW])
def _(draft):
    return ["targets"]


@lie("nothing at all", "ErrValidation", "no pre-existing root and no root provided in update.", before=[NEW])
def _(draft):
    return [("timestamp", b"{}")]


# Targets


TARGETS_THRESHOLD = "valid signatures did not meet threshold for targets"


@lie("targets by a stranger", "ErrBadTargets", TARGETS_THRESHOLD, before=ALL)
def _(draft):
    draft["targets"].signers = [tuf.key("a stranger")]


@lie("targets by nobody", "ErrBadTargets", "tuf: data has no signatures", before=ALL)
def _(draft):
    draft["targets"].signers = []


@lie("targets by one where two are needed", "ErrBadTargets", TARGETS_THRESHOLD, before=ALL)
def _(draft):
    signers = draft["targets"].signers
    draft.set_keys("targets", [*signers, tuf.key("second")], threshold=2)
    draft["targets"].signers = signers


@lie("targets by one key twice where two are needed", "ErrBadTargets", TARGETS_THRESHOLD, before=ALL)
def _(draft):
    signers = draft["targets"].signers
    draft.set_keys("targets", [*signers, tuf.key("second")], threshold=2)
    draft["targets"].signers = signers * 2


@lie("targets by the old key after root named a new one", "ErrBadTargets", TARGETS_THRESHOLD, before=ALL)
def _(draft):
    old = draft["targets"].signers
    draft.set_keys("targets", [tuf.key("next targets")])
    draft["targets"].signers = old


@lie("targets were changed after they were signed", "ErrBadTargets", TARGETS_THRESHOLD, before=ALL)
def _(draft):
    draft["targets"].on_bytes.append(lambda data: data.replace(b'"expires":"2', b'"expires":"3'))


@lie("targets are expired", "ErrBadTargets", "targets expired at ", before=ALL)
def _(draft):
    draft["targets"].signed["expires"] = PAST


@lie("targets are version 0", "ErrBadTargets", "targets type metadata invalid: ", before=ALL)
def _(draft):
    draft["targets"].signed["version"] = 0


for type_ in ("targets", "Root", ""):

    @lie(
        f"targets are of type {type_ or 'none'}",
        "ErrBadTargets",
        f"targets type metadata invalid: expected type Targets, not {type_}",
        before=ALL,
    )
    def _(draft, type_=type_):
        draft["targets"].signed["_type"] = type_


def delegation(**members):
    return {"keyids": [TEAM.id], "name": "targets/team", "paths": [""], "threshold": 1} | members


for name_, members_ in {
    "a grandchild": {"name": "targets/team/deep"},
    "the child of another": {"name": "targets-team"},
    "a base role": {"name": "snapshot"},
    "itself": {"name": "targets"},
    "a name in upper case": {"name": "targets/Team"},
    "a threshold of 0": {"threshold": 0},
    "a key that is not there": {"keyids": ["0" * 64]},
}.items():

    @lie(f"targets delegate to {name_}", "ErrBadTargets", "targets type metadata invalid: ", before=ALL)
    def _(draft, members=members_):
        delegations = {"keys": {TEAM.id: TEAM.entry}, "roles": [delegation(**members)]}
        draft["targets"].signed["delegations"] = delegations


# Delegations


UNDECLARED = "tuf: invalid role targets/team. delegation does not exist"
TEAM_THRESHOLD = "valid signatures did not meet threshold for targets/team"
TEAM_INVALID = "targets/team type metadata invalid: "


@lie("a delegation that nobody declared", "ErrBadTargets", UNDECLARED, before=ALL)
def _(draft):
    role = copy.deepcopy(draft["targets"].signed)
    return [*draft.parts(), ("targets/team", tuf.Role("targets/team", role, [TEAM]).sealed())]


@lie("a delegation below one that nobody declared", "ErrBadTargets", before=[PUBLISHED], remote=("", ""))
def _(draft):
    role = copy.deepcopy(draft["targets"].signed)
    return [*draft.parts(), ("targets/team/deep", tuf.Role("targets/team/deep", role, [TEAM]).sealed())]


def team_lie(name, message=""):
    def register(change):
        @lie(f"a delegation {name}", "ErrBadTargets", message, before=[DELEGATED])
        def _(draft):
            change(draft, draft["targets/team"])
            return ["targets/team"]

        @lie(f"a delegation {name}, with what declares it", "ErrBadTargets", message, before=[NEW])
        def _(draft):
            draft.delegate("targets/team", [TEAM])
            change(draft, draft["targets/team"])

    return register


@team_lie("by a stranger", TEAM_THRESHOLD)
def _(draft, team):
    team.signers = [tuf.key("a stranger")]


@team_lie("by nobody", "tuf: data has no signatures")
def _(draft, team):
    team.signers = []


@team_lie("by the key of targets", TEAM_THRESHOLD)
def _(draft, team):
    team.signers = draft["targets"].signers


@team_lie("that was changed after it was signed", TEAM_THRESHOLD)
def _(draft, team):
    team.on_bytes.append(lambda data: data.replace(b'"expires":"2', b'"expires":"3'))


@team_lie("that is expired", "targets/team expired at ")
def _(draft, team):
    team.signed["expires"] = PAST


@team_lie("of version 0", TEAM_INVALID)
def _(draft, team):
    team.signed["version"] = 0


@team_lie("of type targets", TEAM_INVALID + "expected type Targets, not targets")
def _(draft, team):
    team.signed["_type"] = "targets"


@team_lie("of the type of a delegation", TEAM_INVALID + "expected type Targets, not Delegation")
def _(draft, team):
    team.signed["_type"] = "Delegation"


@team_lie("that delegates to its sibling", TEAM_INVALID)
def _(draft, team):
    team.signed["delegations"] = {"keys": {TEAM.id: TEAM.entry}, "roles": [delegation(name="targets/other")]}


@team_lie("that delegates with a threshold of 0", TEAM_INVALID)
def _(draft, team):
    roles = [delegation(name="targets/team/deep", threshold=0)]
    team.signed["delegations"] = {"keys": {TEAM.id: TEAM.entry}, "roles": roles}


@lie("a delegation by one where two are needed", "ErrBadTargets", TEAM_THRESHOLD, before=[NEW])
def _(draft):
    draft.delegate("targets/team", [TEAM, tuf.key("second")], threshold=2).signers = [TEAM]


@lie("a delegation by the key that targets took from it", "ErrBadTargets", TEAM_THRESHOLD, before=[DELEGATED])
def _(draft):
    draft.set_keys("targets/team", [tuf.key("next team")])
    draft["targets/team"].signers = [TEAM]


@lie("a delegation that targets drop in the same upload", "ErrBadTargets", UNDECLARED, before=[DELEGATED])
def _(draft):
    team = draft.parts("targets/team")
    draft["targets"].signed["delegations"] = {"keys": {}, "roles": []}
    return [*draft.parts("targets"), *team]


# Snapshots of the client


SNAPSHOT_THRESHOLD = "valid signatures did not meet threshold for snapshot"
SNAPSHOT_INVALID = "snapshot type metadata invalid: "


def snapshot_lie(name, message="", before=(CLIENT_SNAPSHOT,)):
    return lie(f"a snapshot {name}", "ErrBadSnapshot", message, before=before)


def snapshot_parts(draft, change):
    """Everything, with a snapshot that is changed before it is signed."""
    parts = dict(draft.parts())
    snapshot = draft["snapshot"]
    signed = copy.deepcopy(snapshot.signed)
    change(signed)
    parts["snapshot"] = tuf.Role("snapshot", signed, snapshot.signers).sealed()
    return list(parts.items())


@snapshot_lie("by a stranger", SNAPSHOT_THRESHOLD)
def _(draft):
    draft["snapshot"].signers = [tuf.key("a stranger")]


@snapshot_lie("by a stranger where the server has the key", SNAPSHOT_THRESHOLD, before=[PUBLISHED])
def _(draft):
    draft["snapshot"].signers = [tuf.key("a stranger")]
    draft.bump("snapshot")


@lie("a snapshot by nobody", "ErrBadSnapshot", "tuf: data has no signatures", before=[CLIENT_SNAPSHOT])
def _(draft):
    draft["snapshot"].signers = []
    return ["root", "targets", "snapshot"]


@snapshot_lie("that was changed after it was signed", SNAPSHOT_THRESHOLD)
def _(draft):
    draft["snapshot"].on_bytes.append(lambda data: data.replace(b'"expires":"2', b'"expires":"3'))


@snapshot_lie("that is expired", "snapshot expired at ")
def _(draft):
    draft["snapshot"].signed["expires"] = PAST


@snapshot_lie("of version 0", SNAPSHOT_INVALID)
def _(draft):
    draft["snapshot"].signed["version"] = 0


@snapshot_lie("of type snapshot", SNAPSHOT_INVALID + "expected type Snapshot, not snapshot")
def _(draft):
    draft["snapshot"].signed["_type"] = "snapshot"


for role_ in ("root", "targets"):

    @snapshot_lie(f"without {role_}", SNAPSHOT_INVALID)
    def _(draft, role=role_):
        return snapshot_parts(draft, lambda signed: signed["meta"].pop(role))

    @snapshot_lie(f"without the SHA-256 of {role_}", SNAPSHOT_INVALID)
    def _(draft, role=role_):
        return snapshot_parts(draft, lambda signed: signed["meta"][role]["hashes"].pop("sha256"))

    @snapshot_lie(f"with another SHA-256 of {role_}", f"sha256 checksum for {role_} did not match: expected 00")
    def _(draft, role=role_):
        return snapshot_parts(draft, lambda signed: signed["meta"][role]["hashes"].update(sha256=tuf.b64(bytes(32))))

    @snapshot_lie(f"with another SHA-512 of {role_}", f"sha512 checksum for {role_} did not match: expected 00")
    def _(draft, role=role_):
        return snapshot_parts(draft, lambda signed: signed["meta"][role]["hashes"].update(sha512=tuf.b64(bytes(64))))


@snapshot_lie("of the targets before", "checksum for targets did not match")
def _(draft):
    (now,) = draft.parts("snapshot")
    return [*draft.bump("targets").parts("root", "targets"), now]


@snapshot_lie("of the root before", "checksum for root did not match")
def _(draft):
    now = draft.parts("snapshot")
    draft["root"].signed["expires"] = tuf.rfc3339(tuf.NOW + 999 * DAY)
    return [*draft.parts("root", "targets"), *now]


@snapshot_lie("with another hash of a delegation", "sha256 checksum for targets/team did not match: expected 00")
def _(draft):
    draft.delegate("targets/team", [TEAM])
    return snapshot_parts(
        draft, lambda signed: signed["meta"]["targets/team"]["hashes"].update(sha256=tuf.b64(bytes(32)))
    )


# What the server has to make


NOT_FOUND = ("ErrValidation", "rpc error: code = NotFound")


@lie("no targets", "ErrValidation", "targets must be loaded first", before=[NEW])
def _(draft):
    return ["root"]


NO_SNAPSHOT = "no snapshot was included in update and server does not hold current snapshot key for repository"


@lie("no snapshot, of which the server has no key", "ErrBadHierarchy", NO_SNAPSHOT, before=ALL, remote=NOT_FOUND)
def _(draft):
    draft.set_keys("snapshot", [tuf.key("mine")])
    return ["root", "targets"]


@lie(
    "no snapshot, as the client made it before",
    "ErrBadHierarchy",
    NO_SNAPSHOT,
    before=[CLIENT_SNAPSHOT],
    remote=NOT_FOUND,
)
def _(draft):
    return ["targets"]


@lie(
    "a timestamp key that the server has not",
    "ErrBadRoot",
    "no  timestamp keys exist on the server",
    before=ALL,
    remote=NOT_FOUND,
)
def _(draft):
    draft.set_keys("timestamp", [tuf.key("mine")])
    return ["root", "targets"]


# Versions


@lie("the same targets again", "VERSION")
def _(draft):
    draft["targets"].signed["version"] = 1


@lie("other targets of the same version", "VERSION")
def _(draft):
    draft["targets"].signed.update(version=1, targets={"v1": tuf.target(b"v1")})


@lie("the same delegation again", "VERSION", before=[DELEGATED])
def _(draft):
    draft["targets/team"].signed["version"] = 1


@lie("new targets with the same delegation", "VERSION", before=[DELEGATED])
def _(draft):
    draft["targets/team"].signed["version"] = 1
    return ["targets", "targets/team"]


@lie("the version of the snapshot before", "VERSION", before=[CLIENT_SNAPSHOT])
def _(draft):
    draft["snapshot"].signed["version"] = 1


# Parts


def part_lie(name, code, file_name, change=lambda data: data):
    @lie(f"a part {name}", code, before=ALL)
    def _(draft):
        return [*draft.parts(), (file_name, change(draft["targets"].sealed()))]


part_lie("without a name", "NO_FILENAME", None)
part_lie("with an empty name", "NO_FILENAME", "")
part_lie("named .json", "NO_FILENAME", ".json")
part_lie("of no role", "INVALID_ROLE", "foo")
part_lie("of a delegation of root", "INVALID_ROLE", "root/team")
part_lie("of a delegation in upper case", "INVALID_ROLE", "targets/Team")
part_lie("of a delegation without a name", "INVALID_ROLE", "targets/")
part_lie("of a delegation with dots", "INVALID_ROLE", "targets/a.b")
part_lie("of a path", "INVALID_ROLE", "../targets")
part_lie("of a delegation of 256 bytes", "INVALID_ROLE", "targets/" + "a" * 248)
part_lie("that is cut", "MALFORMED_JSON", "targets", lambda data: data[:-1])
part_lie("that is empty", "MALFORMED_JSON", "targets", lambda data: b"")
part_lie("that is a list", "MALFORMED_JSON", "targets", lambda data: b"[]")
part_lie(
    "with a fractional version", "MALFORMED_JSON", "targets", lambda data: data.replace(b'"version":', b'"version":0.')
)
part_lie(
    "with a version as text",
    "MALFORMED_JSON",
    "targets",
    lambda data: data.replace(b'"version":1', b'"version":"1"').replace(b'"version":2', b'"version":"2"'),
)
part_lie(
    "that expires some day",
    "MALFORMED_JSON",
    "targets",
    lambda data: data.replace(b'"expires":"', b'"expires":"some day '),
)


# The rules are the same wherever the keys are; what needs a key is not.
CASES = [
    (site, name, before)
    for site in SITES
    for (name, before), lie in LIES.items()
    if site != OURS_WITH_SIGNER or lie.remote is not None
]


@pytest.mark.parametrize("site, name, before", CASES, indirect=["site"], ids=site_id)
def test_it_is_refused_and_nothing_is_stored(site, name, before):
    lie = LIES[name, before]
    draft = start(site, before)
    # Some publish something true first.
    sent = lie.tell(draft)
    parts = sent if sent and isinstance(sent[0], tuple) else draft.parts(*(sent or ()))
    roles = {role for role, _ in parts if role and role.startswith("targets/")}
    stored = site.state(draft.gun, roles)
    answer = site.upload(draft.gun, parts)
    code, message = lie.code, lie.message
    if lie.remote and site.reference and site.remote:
        code, message = lie.remote
    if code in ("VERSION", "NO_FILENAME", "INVALID_ROLE", "MALFORMED_JSON"):
        assert (answer.status, answer.code) == (400, code), answer
    else:
        assert (answer.invalid[0], message in answer.invalid[1]) == (code, True), answer
    assert site.state(draft.gun, roles) == stored


def test_what_stands_behind_a_file_is_refused(site):
    draft = site.repository().bump("targets")
    ((_, data),) = draft.parts("targets")
    before = draft.state()
    answer = site.upload(draft.gun, [("targets", data + b"{}")])
    if site.reference:
        assert answer.invalid == ("ErrBadTargets", "invalid character '{' after top-level value")
    else:
        assert (answer.status, answer.code) == (400, "MALFORMED_JSON")
    assert draft.state() == before


@pytest.mark.parametrize("role, error", [("timestamp", "ErrBadRoot"), ("snapshot", "ErrBadHierarchy")])
def test_keys_are_for_one_repository(site, role, error):
    draft, other = site.repository(), new_gun("other")
    draft.next_root()
    draft.set_keys(role, [site.key(other, role)])
    draft[role].signers = []
    before = draft.state()
    answer = draft.upload("root")
    if site.reference:
        assert answer.status == 200
    else:
        assert answer.invalid[0] == error
        assert draft.state() == before
