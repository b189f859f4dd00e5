"""What is done a second time, or at the same time as by somebody else."""

import pytest

from lab.notary import PASSPHRASE
from publish.conftest import signed


@pytest.fixture
def one(publisher, fresh_directory):
    one = publisher()
    one.client.init(one.gun)
    return one


def files_of(one):
    directory = one.trust_dir / "tuf" / one.gun / "changelist"
    return {path: path.read_bytes() for path in directory.iterdir()}


def test_staged_removals_whose_upload_had_no_answer_are_published_again(one, fresh_directory, server):
    key = one.client.generate_key("alice", fresh_directory())
    one.client.add_delegation(one.gun, "targets/x", [key.public_key_file], ["", "v"])
    one.client.remove_delegation(one.gun, "targets/x", paths=["v"], stage=True)
    one.notary.delegation_purge(one.gun, key.id)
    one.notary.delegation_remove(one.gun, "targets/x")
    staged = files_of(one)
    assert len(staged) == 3
    assert one.client.publish(one.gun).published
    before = signed(server, one.gun, "targets")
    for path, content in staged.items():
        path.write_bytes(content)
    assert not one.client.publish(one.gun).published
    assert (signed(server, one.gun, "targets"), files_of(one)) == (before, {})


def test_an_absent_delegation_is_not_removed_without_a_word(one, tagtrust):
    with pytest.raises(tagtrust.InvalidInput):
        one.client.remove_delegation(one.gun, "targets/typo")


def test_a_key_is_purged_wherever_we_can_sign(publisher, one, fresh_directory, server):
    bob = publisher(name="bob")
    key = bob.client.generate_key("bob", fresh_directory())
    lost = bob.client.generate_key("lost", fresh_directory())
    one.client.add_delegation(one.gun, "targets/x", [key.public_key_file, lost.public_key_file], [""])
    bob.client.add_delegation(one.gun, "targets/x/y", [lost.public_key_file], [""])
    publication = one.client.purge_keys(one.gun, [lost.id])
    assert any("targets/x/y" in warning for warning in publication.warnings)
    left = {delegation.name: list(delegation.key_ids) for delegation in one.client.delegations(one.gun)}
    assert left == {"targets/x": [key.id], "targets/x/y": [lost.id]}


def test_of_two_who_rotate_one_role_the_second_is_told(publisher, one, connect, tagtrust):
    """Otherwise the first would have a key that signs nothing, and not know it."""
    other = publisher(one)
    rotations = []

    def passphrase(_key_id, role, create, _attempt):
        if create and not rotations:
            rotations.append(other.client.rotate_key(one.gun, role))
        return PASSPHRASE

    with pytest.raises(tagtrust.Conflict, match="targets got other keys"):
        connect(one.trust_dir, passphrase=passphrase).rotate_key(one.gun, "targets")
    assert rotations
    other.client.witness(one.gun, ["targets"])
    connect(one.trust_dir).rotate_key(one.gun, "targets")


def test_what_is_staged_for_a_new_repository_makes_it_when_it_is_published(publisher, stranger):
    ours, theirs = publisher(), publisher()
    ours.client.sign(ours.reference("v1"), "sha256:" + "ab" * 32, 5, stage=True)
    assert ours.client.keys() == []
    theirs.notary.addhash(theirs.gun, "v1", 5, "ab" * 32)
    for one in (ours, theirs):
        assert one.client.publish(one.gun).published
        assert stranger().list(one.gun).keys() == {"v1"}
        assert one.client.staged(one.gun) == []
