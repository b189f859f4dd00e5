"""Expiry: set for each role, seen in time, renewed with one call, and recovered from."""

import datetime

import pytest

from lab import CommandFailed
from lab.repositories import RELEASES, let_expire, make_image
from publish.conftest import signed
from publish.sides import PythonUser

DAY = datetime.timedelta(days=1)


def lasts(server, gun, role) -> datetime.timedelta:
    text = signed(server, gun, role)["expires"]
    expires = datetime.datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    return expires - datetime.datetime.now(datetime.timezone.utc)


def is_about(found, expected) -> bool:
    return abs(found - expected) < datetime.timedelta(minutes=10)


@pytest.fixture
def one(publisher, fresh_directory):
    """Snapshot key at hand, a signer, a tag."""
    one = publisher()
    one.client.init(one.gun, local_snapshot=True)
    one.client.add_signer("alice", [PythonUser(one).generate_key("alice", fresh_directory())], one.gun)
    one.client.sign(one.reference("v1"), *make_image("v1"))
    return one


def test_notarys_expiry_by_default(one, server):
    days = {"root": 3650, "targets": 1095, "snapshot": 1095, RELEASES: 1095, "targets/alice": 1095}
    for role, expected in days.items():
        assert is_about(lasts(server, one.gun, role), expected * DAY), role


def test_expiry_is_set_for_each_role(one, connect, server, stranger):
    days = {"targets": 30, "snapshot": 10, RELEASES: 20}
    client = connect(one.trust_dir, expiry={role: number * DAY for role, number in days.items()})
    client.sign(one.reference("v2"), *make_image("v2"))
    client.witness(one.gun, ["targets"])
    for role, expected in days.items():
        assert is_about(lasts(server, one.gun, role), expected * DAY), role
    assert is_about(lasts(server, one.gun, "targets/alice"), 1095 * DAY)
    assert stranger().list(one.gun, [RELEASES]).keys() == {"v1", "v2"}


def test_what_expires_soon_is_listed(one, connect, server):
    """But the timestamp: the server renews it."""
    assert one.client.expiring(one.gun, within=1000 * DAY) == []
    within = {it.role for it in one.client.expiring(one.gun, within=1100 * DAY)}
    assert within == {"snapshot", "targets", RELEASES, "targets/alice"}
    connect(one.trust_dir, expiry={"targets/alice": 5 * DAY}).sign(one.reference("v2"), *make_image("v2"))
    (soon,) = one.client.expiring(one.gun, within=6 * DAY)
    assert (soon.role, soon.can_sign) == ("targets/alice", True)
    assert soon.version == signed(server, one.gun, "targets/alice")["version"]
    assert is_about(soon.expires - datetime.datetime.now(datetime.timezone.utc), 5 * DAY)


def test_whose_key_is_elsewhere_is_said(one, publisher, connect):
    connect(one.trust_dir, expiry={"targets/alice": 5 * DAY}).sign(one.reference("v2"), *make_image("v2"))
    reader = publisher()
    (soon,) = reader.client.expiring(one.gun, within=6 * DAY)
    assert (soon.role, soon.can_sign) == ("targets/alice", False)


def test_renewing_signs_what_expires_and_nothing_else(one, connect, server, stranger):
    short = connect(one.trust_dir, expiry={role: 5 * DAY for role in ("targets/alice", RELEASES, "snapshot")})
    short.sign(one.reference("v2"), *make_image("v2"))
    before = {role: signed(server, one.gun, role)["version"] for role in ("root", "targets", "targets/alice", RELEASES)}
    publication = one.client.renew(one.gun, within=6 * DAY)
    assert {file.role for file in publication.files} == {"targets/alice", RELEASES, "snapshot"}
    after = {role: signed(server, one.gun, role)["version"] for role in before}
    assert after == before | {role: before[role] + 1 for role in ("targets/alice", RELEASES)}
    assert is_about(lasts(server, one.gun, RELEASES), 1095 * DAY)
    assert one.client.expiring(one.gun, within=6 * DAY) == []
    assert stranger().list(one.gun, [RELEASES]).keys() == {"v1", "v2"}
    # Once more: nothing to do.
    assert not one.client.renew(one.gun, within=6 * DAY).files


EXPIRED = {
    "targets": ["targets"],
    "snapshot": ["snapshot"],
    "delegations": ["targets/alice", RELEASES],
    "root": ["root"],
    "all": ["root", "targets", "snapshot", "targets/alice", RELEASES],
}


@pytest.mark.parametrize("which", EXPIRED)
def test_an_expired_repository_is_recovered_with_one_call(which, one, connect, tagtrust, stranger):
    roles = EXPIRED[which]

    def publish(expiry):
        one.client.recover(one.gun)  # from a try before
        brief = connect(one.trust_dir, expiry=dict.fromkeys(roles, expiry))
        brief.sign(one.reference("v2"), *make_image("v2"))
        if "root" in roles:
            brief.rotate_key(one.gun, "root")
        if "targets" in roles:
            brief.witness(one.gun, ["targets"])

    let_expire(publish, [tagtrust.ServerRejected, tagtrust.Expired])
    if which != "delegations":
        with pytest.raises(CommandFailed):
            stranger().list(one.gun)
        with pytest.raises(CommandFailed):
            one.notary.addhash(one.gun, "stuck", 5, "ab" * 32, [RELEASES])
            one.notary.publish(one.gun)
        one.notary.reset(one.gun)
        with pytest.raises(tagtrust.TrustError):
            connect().verify(one.reference("v1"))

    publication = one.client.recover(one.gun)
    assert {file.role for file in publication.files} >= set(roles)
    assert stranger().list(one.gun, [RELEASES]).keys() == {"v1", "v2"}
    one.client.sign(one.reference("v3"), *make_image("v3"))
    one.notary.addhash(one.gun, "v4", 5, "ab" * 32, [RELEASES])
    one.notary.publish(one.gun)
    assert stranger().list(one.gun, [RELEASES]).keys() == {"v1", "v2", "v3", "v4"}


def test_without_the_keys_nothing_is_recovered(one, connect, tagtrust, server):
    let_expire(
        lambda expiry: connect(one.trust_dir, expiry={"targets": expiry}).witness(one.gun, ["targets"]),
        [tagtrust.ServerRejected],
    )
    before = signed(server, one.gun, "targets")
    with pytest.raises(tagtrust.TrustError):
        connect().recover(one.gun)
    assert signed(server, one.gun, "targets") == before


def test_what_has_not_expired_needs_no_recovery(one, server):
    before = signed(server, one.gun, "snapshot")
    assert not one.client.recover(one.gun).files
    assert signed(server, one.gun, "snapshot") == before
