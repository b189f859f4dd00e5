"""A rotation removes the old key, unless somebody may still need it."""

import pytest

from lab.repositories import make_image, new_gun


def ids(client):
    return {key.id for key in client.keys()}


@pytest.fixture
def one(publisher):
    one = publisher()
    one.client.init(one.gun)
    return one


def test_every_key_that_rotations_replace_goes(one):
    before = {key.id for key in one.client.keys() if key.role == "targets"}
    one.client.rotate_key(one.gun, "snapshot")
    one.client.rotate_key(one.gun, "snapshot")
    one.client.rotate_key(one.gun, "targets")
    left = [key for key in one.client.keys() if key.role != "root"]
    assert sorted(key.role for key in left) == ["snapshot", "targets"]
    assert not before & ids(one.client)


def test_a_signers_key_that_was_lent_to_targets_stays(one, fresh_directory):
    generated = one.client.generate_key("alice", fresh_directory())
    other = new_gun("other")
    one.client.init(other)
    one.client.add_signer("alice", [generated.public_key_file], other)
    one.client.rotate_key(one.gun, "targets", keys=[generated.id])
    one.client.rotate_key(one.gun, "targets")
    assert generated.id in ids(one.client)
    one.client.sign(f"{other}:v1", *make_image("v1"))
