"""Forty-two small stories, each against every server. Where notary-server has a defect that ours
must not have, both are asserted: should the defect go, the test says so.

"A repository" has root and targets, and the server's keys for snapshot and timestamp.
"""

import base64
import hashlib
import http.client
import json
import re
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from attacks import tuf
from lab.repositories import new_gun
from server.conftest import SITES, site_id
from server.site import BASE_ROLES
from server.wire import BOUNDARY, Wire, multipart

DAY = tuf.DAY
CURRENT = "public, max-age=300, s-maxage=300, must-revalidate"
CONSISTENT = "public, max-age=2592000, s-maxage=2592000"


def sha256(data) -> str:
    return hashlib.sha256(data).hexdigest()


def signed(answer) -> dict:
    assert answer.status == 200, answer
    return answer.json["signed"]


def versions(site, gun) -> tuple[int, int]:
    """Of snapshot and timestamp."""
    return tuple(signed(site.get(gun, f"{role}.json"))["version"] for role in ("snapshot", "timestamp"))


def assert_invalid(answer, name, message=None):
    assert answer.invalid[0] == name, answer
    if message is not None:
        assert message in answer.invalid[1], answer


def assert_code(answer, status, code, **detail):
    assert (answer.status, answer.code) == (status, code), answer
    if "detail" in detail:
        assert answer.error.get("detail") == detail["detail"], answer


def test_01_ping(site):
    answer = site.wire.get("/v2/")
    assert (answer.status, answer.body) == (200, b"{}")


def test_02_head_and_options(site):
    draft = site.repository()
    path = f"/v2/{draft.gun}/_trust/tuf/root.json"
    assert site.wire.request("HEAD", path).status == 404
    options = site.wire.request("OPTIONS", path)
    assert (options.status, options.body) == (405, b"")


def test_03_an_unknown_repository(site):
    assert_code(site.get(new_gun("none"), "root.json"), 404, "METADATA_NOT_FOUND", detail={})


def test_04_the_current_root_is_what_was_uploaded(site):
    draft = site.repository()
    answer = site.get(draft.gun, "root.json")
    assert answer.body == draft["root"].sealed()
    assert answer.headers["cache-control"] == CURRENT


def test_05_by_version(site):
    draft = site.repository()
    answer = site.get(draft.gun, "1.root.json")
    assert answer.body == draft["root"].sealed()
    assert answer.headers["cache-control"] == CONSISTENT
    zero = site.get(draft.gun, "0.root.json")
    if site.reference and site.storage == "postgres":
        assert zero.body == answer.body  # no condition is no condition
    else:
        assert_code(zero, 404, "METADATA_NOT_FOUND", detail={})


def test_06_by_hash(site):
    draft = site.repository()
    data = draft["targets"].sealed()
    assert site.get(draft.gun, f"targets.{sha256(data)}.json").body == data
    for digest in (sha256(data).upper(), hashlib.sha512(data).hexdigest()):
        assert_code(site.get(draft.gun, f"targets.{digest}.json"), 404, "METADATA_NOT_FOUND")


def test_07_no_caching(start):
    site = start(caching={"max_age": {"current_metadata": "0", "consistent_metadata": "0"}})
    draft = site.repository()
    for name in ("root.json", "1.root.json"):
        headers = site.get(draft.gun, name).headers
        assert (headers["cache-control"], headers["pragma"]) == ("max-age=0, no-cache, no-store", "no-cache")


def test_08_prefixes(start):
    site = start(repositories={"gun_prefixes": ["docker.io/", "registry.example:5000/"]})
    draft = site.repository()
    assert site.get(draft.gun, "root.json").status == 200
    elsewhere = "elsewhere.example/app"
    answer = site.upload(elsewhere, draft.parts())
    assert_code(answer, 400, "INVALID_GUN", detail="Require GUNs with prefix: [docker.io/ registry.example:5000/]")
    for method, name in [("GET", "root.json"), ("DELETE", ""), ("GET", "timestamp.key"), ("POST", "timestamp.key")]:
        answer = site.wire.request(method, f"/v2/{elsewhere}/_trust/tuf/{name}")
        assert_code(answer, 404, "METADATA_NOT_FOUND", detail=None)


# 9 to 11 are in test_auth.py.


def test_12_no_multipart_and_half_of_one(site):
    draft = site.draft()
    path = f"/v2/{draft.gun}/_trust/tuf/"
    assert_code(site.wire.request("POST", path, b"{}", {"Content-Type": "application/json"}), 400, "MALFORMED_UPLOAD")
    body, headers = multipart(draft.parts())
    first_part = body.index(b"\r\n--" + BOUNDARY.encode())
    for length in (0, 10, first_part // 2, first_part, first_part + 20, len(body) - 20):
        wire = Wire(site.server)
        if site.reference and length != first_part // 2:
            with pytest.raises((OSError, http.client.HTTPException)):
                wire.request("POST", path, body[:length], headers)  # the handler panics
        else:
            answer = wire.request("POST", path, body[:length], headers)
            # Within a part notary-server takes what it has for all of it.
            assert_code(answer, 400, "MALFORMED_JSON" if site.reference else "MALFORMED_UPLOAD")
    assert site.get(draft.gun, "root.json").status == 404


@pytest.mark.parametrize("role", ["foo", "targets/A", "targets/a/", "Targets", "targets/../root", "targets/ä"])
def test_13_parts_of_no_role(site, role):
    draft = site.draft()
    assert_code(site.upload(draft.gun, [(role, b"{}")]), 400, "INVALID_ROLE", detail=role)


def test_13_parts_without_a_name(site):
    draft = site.draft()
    for name in (None, ""):
        assert_code(site.upload(draft.gun, [(name, b"{}")]), 400, "NO_FILENAME", detail=None)


def test_14_parts_that_are_no_metadata(site):
    draft = site.draft()
    body = draft["root"].sealed()
    for broken in (b"{", body.replace(b'"version":1', b'"version":"1"'), body.replace(b'"expires":"', b'"expires":"x')):
        assert_code(site.upload(draft.gun, [("root", broken)]), 400, "MALFORMED_JSON", detail=None)


def test_15_nothing_for_a_new_repository(site):
    gun = new_gun("empty")
    assert_invalid(site.upload(gun, []), "ErrValidation", "no pre-existing root and no root provided in update.")
    assert site.get(gun, "timestamp.json").status == 404


def test_16_root_only(site):
    draft = site.draft()
    assert_invalid(draft.upload("root"), "ErrValidation", "targets must be loaded first")
    assert site.get(draft.gun, "root.json").status == 404


def test_17_the_first_upload(site):
    draft = site.draft().bump("targets")
    answer = draft.upload()
    assert (answer.status, answer.body) == (200, b"")
    assert versions(site, draft.gun) == (1, 1)
    assert site.get(draft.gun, "1.targets.json").status == 404
    assert site.get(draft.gun, "2.targets.json").status == 200


def test_18_the_first_root_may_be_the_second(site):
    assert site.draft().bump("root").upload().status == 200
    third = site.draft().bump("root").bump("root")
    assert_invalid(third.upload(), "ErrBadRoot", "Root modifications must increment the version. Current 1, new 3")
    assert site.get(third.gun, "root.json").status == 404


def test_19_the_same_root_again(site):
    draft = site.repository()
    before = draft.state()
    assert_code(draft.upload("root"), 400, "VERSION", detail={})
    assert draft.state() == before


def test_20_a_rotated_root_needs_old_and_new_signatures(site):
    draft = site.repository()
    (old,) = draft["root"].signers
    new = tuf.root_key("new", draft.gun)
    draft.rotate_root([new])
    before = draft.state()
    draft["root"].signers = [new]
    rotate = "could not rotate trust to a new trusted root: failed to validate data with current trusted certificates"
    assert_invalid(draft.upload("root"), "ErrBadRoot", rotate)
    draft["root"].signers = [old]
    integrity = "could not validate the path to a trusted root: failed to validate integrity of roots"
    assert_invalid(draft.upload("root"), "ErrBadRoot", integrity)
    assert draft.state() == before
    draft["root"].signers = [old, new]
    assert draft.upload("root").status == 200


def test_21_root_certificates(site):
    gun = new_gun("certificates")
    expired = tuf.certificate("root", gun, ends=tuf.NOW - DAY)
    for key in (
        tuf.root_key("root", gun + "-another"),
        tuf.key("bare"),
        tuf.certificate_key("root", tuf.pem(expired)),
    ):
        assert_invalid(site.draft(gun, root_keys=[key]).upload(), "ErrBadRoot")
    assert site.get(gun, "root.json").status == 404
    wildcard = tuf.root_key("root", gun.rpartition("/")[0] + "/*")
    assert site.draft(gun, root_keys=[wildcard]).upload().status == 200


def test_22_a_timestamp_key_that_the_server_has_not(site):
    draft = site.repository()
    draft.next_root()
    draft.set_keys("timestamp", [tuf.key("mine")])
    before = draft.state()
    if site.reference and site.remote:
        assert_invalid(draft.upload("root"), "ErrValidation", "not found")
    else:
        assert_invalid(draft.upload("root"), "ErrBadRoot", "no  timestamp keys exist on the server")
    assert draft.state() == before


def test_23_a_snapshot_key_that_the_server_has_not(site):
    draft = site.repository()
    draft.next_root()
    draft.set_keys("snapshot", [tuf.key("mine")])
    before = draft.state()
    answer = draft.upload("root")
    if site.reference and site.remote:
        assert_invalid(answer, "ErrValidation", "not found")
    else:
        message = "no snapshot was included in update and server does not hold current snapshot key for repository"
        assert_invalid(answer, "ErrBadHierarchy", message)
        assert answer.error["detail"]["Error"]["Missing"] == "snapshot"
    assert draft.state() == before


def test_24_a_snapshot_of_other_targets(site):
    draft = site.repository(held=["timestamp"])
    stale = dict(draft.parts("snapshot"))["snapshot"]
    draft.bump("targets", "snapshot")
    before = draft.state()
    wrong = json.loads(stale)["signed"] | {"version": 2}
    wrong = tuf.Role("snapshot", wrong, draft["snapshot"].signers).sealed()
    answer = site.upload(draft.gun, [*draft.parts("targets"), ("snapshot", wrong)])
    assert_invalid(answer, "ErrBadSnapshot")
    assert draft.state() == before
    assert draft.upload("targets", "snapshot").status == 200


def test_25_targets_that_do_not_verify(site):
    draft = site.repository()
    (good,) = draft["targets"].signers
    before = draft.state()
    draft.bump("targets")
    for signers, change in [
        ([tuf.key("wrong")], {}),
        ([], {}),
        ([good], {"expires": tuf.rfc3339(tuf.NOW - DAY)}),
        ([good], {"_type": "targets"}),
    ]:
        signed_ = draft["targets"].signed | change
        data = tuf.Role("targets", signed_, signers).sealed()
        assert_invalid(site.upload(draft.gun, [("targets", data)]), "ErrBadTargets")
    assert draft.state() == before


def test_26_versions_may_jump_but_not_back(site):
    draft = site.draft().bump("targets")
    assert draft.upload().status == 200
    draft["targets"].signed["version"] = 9
    assert draft.upload("targets").status == 200
    before = draft.state()
    draft["targets"].signed["version"] = 8
    assert_code(draft.upload("targets"), 400, "VERSION", detail={})
    assert draft.state() == before


def test_27_one_bad_delegation_spoils_all(site):
    draft = site.repository()
    draft.delegate("targets/good", [tuf.key("good")])
    draft.bump("targets")
    before = draft.state("targets/bad")
    undeclared = tuf.Role("targets/bad", draft["targets/good"].signed, [tuf.key("good")]).sealed()
    answer = site.upload(draft.gun, [*draft.parts(), ("targets/bad", undeclared)][1:])
    assert_invalid(answer, "ErrBadTargets", "tuf: invalid role targets/bad. delegation does not exist")
    assert draft.state("targets/bad") == before


def test_28_a_good_delegation_with_stale_targets(site):
    draft = with_delegation(site)
    before = draft.state()
    draft.bump("targets/team")
    assert_code(draft.upload("targets", "targets/team"), 400, "VERSION", detail={})
    assert draft.state() == before
    assert draft.upload("targets/team").status == 200


def test_29_any_order_of_parts(site):
    draft = site.draft()
    draft.delegate("targets/a", [tuf.key("a")])
    draft.delegate("targets/a/b", [tuf.key("b")])
    draft.delegate("targets/a/b/c", [tuf.key("c")])
    assert site.upload(draft.gun, draft.parts()[::-1]).status == 200
    assert all(site.get(draft.gun, f"{role}.json").status == 200 for role in draft.delegations())


def test_30_the_last_of_two_parts_counts(site):
    draft = site.repository().bump("targets")
    first = draft.parts("targets")
    draft["targets"].signed["targets"]["v1"] = tuf.target(b"v1")
    second = draft.parts("targets")
    assert first != second
    assert site.upload(draft.gun, first + second).status == 200
    assert site.get(draft.gun, "targets.json").body == second[0][1]


def test_31_nobody_uploads_a_timestamp(site):
    draft = site.repository().bump("targets")
    assert site.upload(draft.gun, [*draft.parts("targets"), ("timestamp", b"{}")]).status == 200
    timestamp = signed(site.get(draft.gun, "timestamp.json"))
    assert (timestamp["_type"], timestamp["version"]) == ("Timestamp", 2)


UNCONFORMING = {
    "pretty": lambda data: json.dumps(json.loads(data), indent=1).encode(),
    "signatures first": lambda data: b'{"signatures":%b,"signed":%b}' % halves(data)[::-1],
    "line feed": lambda data: data + b"\n",
    "upper-case method": lambda data: data.replace(b'"method":"ecdsa"', b'"method":"ECDSA"'),
}


def halves(data):
    """The texts of `signed` and of `signatures`."""
    signed, _, signatures = data.removeprefix(b'{"signed":').rpartition(b',"signatures":')
    return signed, signatures.removesuffix(b"}")


@pytest.mark.parametrize("change", UNCONFORMING)
def test_32_the_hash_is_of_the_bytes_that_are_stored(site, change):
    draft = with_own_tag(site.repository())
    data = UNCONFORMING[change](draft["targets"].sealed())
    before = draft.state()
    answer = site.upload(draft.gun, [("targets", data)])
    if answer.status != 200:
        assert not site.reference
        assert draft.state() == before
        return
    listed = signed(site.get(draft.gun, "snapshot.json"))["meta"]["targets"]["hashes"]["sha256"]
    current = site.get(draft.gun, "targets.json")
    if site.reference:
        assert listed != tuf.target(data)["hashes"]["sha256"]
        assert current.status == (404 if site.storage == "postgres" else 200)
    else:
        assert listed == tuf.target(data)["hashes"]["sha256"]
        assert current.body == data
        assert site.get(draft.gun, f"targets.{sha256(data)}.json").body == data


def test_34_a_delegation_of_expired_targets(site):
    draft = site.draft()
    draft.delegate("targets/team", [tuf.key("team")])
    draft["targets"].signed["expires"] = soon()
    assert draft.upload().status == 200
    wait_until(draft["targets"].signed["expires"])
    draft.bump("targets/team")
    assert draft.upload("targets/team").status == 200
    draft.bump("targets")
    assert_invalid(draft.upload("targets"), "ErrBadTargets")


def soon(seconds=5) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def wait_until(moment):
    time.sleep(
        max(0, tuf.datetime.datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() - time.time()) + 0.1
    )


# What is in memory only cannot be made older.
with_files = pytest.mark.parametrize(
    "site", [name for name in SITES if "memory" not in name], indirect=True, ids=site_id
)


@with_files
def test_35_an_expired_timestamp(site):
    draft = site.repository()
    before = draft.state()
    site.files.expire(draft.gun, "timestamp")
    answer = site.get(draft.gun, "timestamp.json")
    assert signed(answer)["version"] == 2
    expires = tuf.datetime.datetime.fromisoformat(signed(answer)["expires"][:19] + "+00:00")
    assert abs(expires.timestamp() - time.time() - 14 * 86400) < 60
    assert_signed(answer, draft, "timestamp")
    again = draft.state()
    assert again["timestamp.json"][1] == answer.body
    assert again["snapshot.json"] == before["snapshot.json"]
    assert [(change["Version"], change["SHA256"]) for change in again["changes"][1:]] == [(2, sha256(answer.body))]
    assert again["changes"][:1] == before["changes"]


def assert_signed(answer, draft, role):
    """By the server's key that root names."""
    (key_id,) = draft.declaration(role)["keyids"]
    key = draft.listed_keys(role)[key_id]
    (signature,) = answer.json["signatures"]
    assert signature["keyid"] == key_id
    public, data = base64.b64decode(key["keyval"]["public"]), base64.b64decode(signature["sig"])
    message = tuf.canonical(signed(answer))
    if key["keytype"] == "ed25519":
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(data, message)
    else:
        halves = int.from_bytes(data[:32], "big"), int.from_bytes(data[32:], "big")
        der = tuf.utils.encode_dss_signature(*halves)
        tuf.serialization.load_der_public_key(public).verify(der, message, ec.ECDSA(hashes.SHA256()))


@with_files
def test_36_an_expired_snapshot_of_the_server(site):
    draft = site.repository()
    site.files.expire(draft.gun, "snapshot")
    timestamp = site.get(draft.gun, "timestamp.json")
    if not site.reference:
        # What was changed in the database is not signed anew: its signature is not the server's.
        # That one that is gets renewed is tested in core, where the clock can be moved.
        assert_code(timestamp, 500, "UNKNOWN")
        assert_code(site.get(draft.gun, "snapshot.json"), 500, "UNKNOWN")
        assert len(site.changes(draft.gun)) == 1
        return
    assert versions(site, draft.gun) == (2, 2)
    snapshot = site.get(draft.gun, "snapshot.json")
    assert_signed(timestamp, draft, "timestamp")
    assert_signed(snapshot, draft, "snapshot")
    assert signed(timestamp)["meta"]["snapshot"] == tuf.target(snapshot.body)
    assert signed(snapshot)["meta"].keys() == {"root", "targets"}
    assert abs(int(signed(snapshot)["expires"][:4]) - int(time.strftime("%Y"))) == 3
    assert site.get(draft.gun, "timestamp.json").body == timestamp.body
    assert len(site.changes(draft.gun)) == 2


@with_files
def test_36_nothing_is_renewed_under_an_expired_root(site):
    draft = site.draft()
    draft["root"].signed["expires"] = soon()
    assert draft.upload().status == 200
    wait_until(draft["root"].signed["expires"])
    assert site.get(draft.gun, "timestamp.json").status == 200
    site.files.expire(draft.gun, "timestamp")
    answer = site.get(draft.gun, "timestamp.json")
    assert_code(answer, 500, "UNKNOWN")
    assert answer.error["detail"]["Role"] == "root"
    assert re.fullmatch(r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d UTC \d{4}", answer.error["detail"]["Expired"])
    assert site.get(draft.gun, "root.json").status == 200
    assert len(site.changes(draft.gun)) == 1


def test_36_an_expired_snapshot_of_the_client(site):
    draft = site.draft(held=["timestamp"])
    draft["snapshot"].signed["expires"] = soon()
    assert draft.upload().status == 200
    assert site.get(draft.gun, "timestamp.json").status == 200
    wait_until(draft["snapshot"].signed["expires"])
    for role in ("timestamp", "snapshot"):
        assert_code(site.get(draft.gun, f"{role}.json"), 500, "UNKNOWN")
    for name in ("root.json", "targets.json", "1.snapshot.json", "1.timestamp.json"):
        assert site.get(draft.gun, name).status == 200


def test_37_keys_before_and_after_the_first_publication(site):
    gun = new_gun("keys")
    first, second = site.key(gun, "snapshot"), site.key(gun, "snapshot")
    if site.reference and not site.remote:
        assert first != second
    else:
        assert first == second
    draft = site.repository(gun)
    (used,) = draft.declaration("snapshot")["keyids"]
    assert site.key(gun, "snapshot").id == used
    next_one = site.key(gun, "snapshot", "POST")
    assert next_one.id != used
    assert site.key(gun, "snapshot").id == used


def test_38_deleting_one_repository_leaves_the_next(site):
    gun = new_gun("deleted")
    draft, neighbour = with_own_tag(site.repository(gun)), site.repository(gun + "q")
    assert draft.upload("targets").status == 200
    before = neighbour.state()
    data = draft["targets"].sealed()
    assert site.get(gun, f"targets.{sha256(data)}.json").status == 200
    answer = site.delete(gun)
    assert (answer.status, answer.body) == (200, b"")
    assert all(site.get(gun, f"{role}.json").status == 404 for role in BASE_ROLES)
    assert all(site.get(gun, f"1.{role}.json").status == 404 for role in BASE_ROLES)
    by_hash = site.get(gun, f"targets.{sha256(data)}.json").status
    if site.reference:
        assert by_hash == (200 if site.storage == "postgres" else 404)  # a cache keyed by hash alone
    else:
        assert by_hash == 404
    if site.in_memory_reference:
        assert site.get(neighbour.gun, "root.json").status == 404  # it deletes by prefix
    else:
        assert neighbour.state() == before


def test_39_a_deleted_repository_begins_again(site):
    draft = site.repository()
    assert site.delete(draft.gun).status == 200
    again = site.repository(draft.gun, prefix="again ")
    assert site.get(draft.gun, "root.json").body == again["root"].sealed()
    assert [change["Category"] for change in site.changes(draft.gun)] == ["update", "deletion", "update"]


def test_40_a_hash_belongs_to_its_repository(site):
    draft, other = with_own_tag(site.repository()), site.repository()
    assert draft.upload("targets").status == 200
    name = f"targets.{sha256(draft['targets'].sealed())}.json"
    assert site.get(draft.gun, name).status == 200
    elsewhere = site.get(other.gun, name).status
    if site.reference and site.storage == "postgres":
        assert elsewhere == 200  # its cache is keyed by hash alone
    else:
        assert elsewhere == 404


def with_own_tag(draft):
    """With targets that no other repository has: nothing else in them names it."""
    draft.bump("targets")["targets"].signed["targets"][draft.gun] = tuf.target(b"its own")
    return draft


def test_41_windows_of_the_change_feed(site):
    draft = site.repository()
    for _ in range(3):
        assert draft.bump("targets").upload("targets").status == 200
    newest = site.changes(draft.gun, "change_id=-1&records=2")
    assert [change["Version"] for change in newest] == [3, 4]
    assert_code(site.wire.get(f"/v2/{draft.gun}/_trust/changefeed"), 400, "INVALID_PARAMETERS")


def with_delegation(site):
    """A repository with the delegation `targets/team`, both published."""
    draft = site.draft()
    draft.delegate("targets/team", [tuf.key("team")])
    answer = draft.upload()
    assert answer.status == 200, answer
    return draft
