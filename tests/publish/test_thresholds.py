"""m of n: signatures made apart, put together by whoever publishes, verified by the real programs."""

import json

import pytest

from lab import CommandFailed
from lab.repositories import RELEASES, make_image
from publish.conftest import delegation_key, signed, unchanged, versions

IMAGE = make_image("v1")


@pytest.fixture
def parties(publisher, fresh_directory):
    """An administrator, and three people with a key each; two of them must sign."""
    admin = publisher(name="threshold")
    admin.client.init(admin.gun)
    keys = [delegation_key("ecdsa", fresh_directory(), name) for name in ("alice", "bob", "carol")]
    admin.client.add_delegation(admin.gun, RELEASES, keys=[key.public for key in keys], paths=[""])
    admin.client.set_threshold(admin.gun, RELEASES, 2)
    people = []
    for key in keys:
        person = publisher()
        person.gun = admin.gun
        person.client.import_keys(key.private.read_bytes(), role="delegation")
        people.append(person)
    return admin, people, keys


def test_the_threshold_is_what_the_real_program_lists(parties):
    admin, _, keys = parties
    assert admin.notary.delegations(admin.gun)[RELEASES] == ([""], sorted(key.id for key in keys), 2)


def test_one_alone_cannot_publish(parties, tagtrust):
    admin, (alice, *_), _ = parties
    with unchanged(alice), pytest.raises(tagtrust.KeyNotFound) as caught:
        alice.client.sign(admin.reference("v1"), *IMAGE)
    assert caught.value.role == RELEASES
    digest, size = IMAGE
    alice.notary.addhash(admin.gun, "v1", size, digest[7:], [RELEASES])
    with unchanged(alice), pytest.raises(CommandFailed):
        alice.notary.publish(admin.gun)


@pytest.mark.parametrize("how", ["one after the other", "apart"])
def test_two_together_can(how, parties, stranger, publisher):
    admin, (alice, bob, _), keys = parties
    part = alice.client.sign_partial(admin.reference("v1"), *IMAGE)
    assert isinstance(part, bytes)
    parts = [bob.client.cosign(part)]
    if how == "apart":
        parts.append(part)
    nobody = publisher()
    nobody.client.publish_proposals(parts)
    assert stranger().list(admin.gun, [RELEASES])["v1"] == (*IMAGE, RELEASES)
    assert nobody.docker.pull(admin.reference("v1")).endswith(IMAGE[0])
    # And on top of it.
    part = bob.client.sign_partial(admin.reference("v2"), *IMAGE)
    nobody.client.publish_proposals([parties[1][2].client.cosign(part)])
    assert stranger().list(admin.gun, [RELEASES]).keys() == {"v1", "v2"}


def test_too_few_parts_are_not_published(parties, tagtrust):
    admin, (alice, *_), _ = parties
    part = alice.client.sign_partial(admin.reference("v1"), *IMAGE)
    for parts in ([part], [part, part], []):
        with unchanged(alice), pytest.raises(tagtrust.TrustError):
            alice.client.publish_proposals(parts)
    # Whoever signed already does not count twice.
    with pytest.raises(tagtrust.KeyNotFound):
        alice.client.cosign(part)


def test_parts_of_different_contents_do_not_add_up(parties, tagtrust):
    admin, (alice, bob, _), _ = parties
    first = alice.client.sign_partial(admin.reference("v1"), *IMAGE)
    second = bob.client.sign_partial(admin.reference("v1"), *make_image("another"))
    with unchanged(alice), pytest.raises(tagtrust.TrustError):
        alice.client.publish_proposals([first, second])


def test_a_part_made_before_somebody_else_published_is_refused(parties, tagtrust, stranger):
    admin, (alice, bob, carol), _ = parties
    old = bob.client.cosign(alice.client.sign_partial(admin.reference("v1"), *IMAGE))
    new = carol.client.cosign(bob.client.sign_partial(admin.reference("v2"), *IMAGE))
    alice.client.publish_proposals([new])
    with unchanged(alice), pytest.raises(tagtrust.TrustError):
        alice.client.publish_proposals([old])
    assert stranger().list(admin.gun, [RELEASES]).keys() == {"v2"}


@pytest.mark.parametrize("at", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_changed_part_is_refused(at, parties, publisher, tagtrust, server):
    admin, (alice, bob, _), _ = parties
    part = bob.client.cosign(alice.client.sign_partial(admin.reference("v1"), *IMAGE))
    # Who has a key would sign anew what they find.
    nobody, before = publisher(), versions(server, admin.gun)
    for bit in (1, 2, 4):
        changed = bytearray(part)
        changed[int(len(part) * at)] ^= bit
        with pytest.raises(tagtrust.TrustError):
            nobody.client.publish_proposals([bytes(changed)])
    assert versions(server, admin.gun) == before
    nobody.client.publish_proposals([part])


def test_what_is_no_part_is_refused(parties, tagtrust):
    admin, (alice, bob, _), _ = parties
    part = bob.client.cosign(alice.client.sign_partial(admin.reference("v1"), *IMAGE))
    for garbage in (b"", b"{}", b"null", b"\xff" * 100, b"[" * 100000, part[:-20], part + part):
        for use in (alice.client.cosign, lambda part: alice.client.publish_proposals([part])):
            with unchanged(alice), pytest.raises(tagtrust.TrustError):
                use(garbage)


def test_who_has_no_key_of_the_role_cannot_cosign(parties, tagtrust, publisher, fresh_directory):
    admin, (alice, *_), _ = parties
    part = alice.client.sign_partial(admin.reference("v1"), *IMAGE)
    outsider = publisher()
    outsider.client.generate_key("mallory", fresh_directory())
    with pytest.raises(tagtrust.KeyNotFound):
        outsider.client.cosign(part)


def test_two_keys_in_one_hand_publish_at_once(parties, stranger, server):
    admin, (alice, *_), (_, bob, _) = parties
    alice.client.import_keys(bob.private.read_bytes(), role="delegation")
    alice.client.sign(admin.reference("v1"), *IMAGE)
    assert len({it["keyid"] for it in signatures(server, admin.gun, RELEASES)}) == 2
    assert stranger().list(admin.gun, [RELEASES]).keys() == {"v1"}
    digest, size = IMAGE
    alice.notary.addhash(admin.gun, "v2", size, digest[7:], [RELEASES])
    alice.notary.publish(admin.gun)
    assert stranger().list(admin.gun, [RELEASES]).keys() == {"v1", "v2"}


def signatures(server, gun, role):
    return json.loads(server.metadata(gun, role))["signatures"]


def test_a_threshold_goes_down_again(parties, stranger):
    admin, (alice, *_), _ = parties
    admin.client.set_threshold(admin.gun, RELEASES, 1)
    alice.client.sign(admin.reference("v1"), *IMAGE)
    assert stranger().list(admin.gun, [RELEASES]).keys() == {"v1"}


@pytest.mark.parametrize("role", ["targets", "root", "snapshot"])
def test_base_roles_with_two_keys(role, publisher, server, stranger, fresh_directory):
    one = publisher()
    one.client.init(one.gun, local_snapshot=True)
    ids = []
    for name in ("first", "second"):
        key = delegation_key("ecdsa", fresh_directory(), name)
        gun = None if role == "root" else one.gun
        one.client.import_keys(key.private.read_bytes(), role=role, gun=gun)
        ids.append(key.id)
    one.client.rotate_key(one.gun, role, keys=ids)
    one.client.set_threshold(one.gun, role, 2)
    assert signed(server, one.gun, "root")["roles"][role]["threshold"] == 2
    one.client.sign(one.reference("v1"), *IMAGE)
    assert stranger().lookup(one.gun, "v1") == IMAGE
    digest, size = IMAGE
    one.notary.addhash(one.gun, "v2", size, digest[7:])
    one.notary.publish(one.gun)
    assert stranger().lookup(one.gun, "v2") == IMAGE
