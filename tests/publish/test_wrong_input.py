"""What cannot be published is refused clearly, and nothing has changed: no file, no key, no version."""

import datetime
import os

import pytest

from lab.repositories import RELEASES, make_image
from publish.conftest import delegation_key, tree, unchanged, versions

DIGEST, SIZE = make_image("v1")
HEX = DIGEST.removeprefix("sha256:")


@pytest.fixture
def one(publisher):
    """A repository with one tag."""
    one = publisher()
    one.client.init(one.gun, local_snapshot=True)
    one.client.sign(one.reference("v1"), DIGEST, SIZE)
    return one


@pytest.fixture
def refused(one, tagtrust):
    """`refused(call)`: it raises, and nothing has changed. Gives the error."""

    def refused(call, *also):
        beside = tree(one.trust_dir.parent).keys()
        with unchanged(one), pytest.raises((tagtrust.TrustError, *also)) as caught:
            call()
        assert tree(one.trust_dir.parent).keys() == beside
        assert str(caught.value) and "\n" not in str(caught.value) and "\x1b" not in str(caught.value)
        return caught.value

    return refused


NAMES = {
    "empty": "", "over-long": "a" * 300, "newline": "v1\n", "tab": "v\t1", "escape": "v\x1b[31m", "nul": "v\x00",
    "parent": "../v1", "slash": "a/b", "space": "a b", "leading-dot": ".v1", "leading-dash": "-v1", "colon": "a:b",
    "at": "a@b", "non-ascii": "é", "percent": "%2e%2e",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stage", [False, True], ids=["publish", "stage"])
def test_tags(name, stage, one, refused):
    if name != "empty" or stage:  # `repository:` is what `docker` refuses, too
        refused(lambda: one.client.sign(f"{one.gun}:{NAMES[name]}", DIGEST, SIZE, stage=stage))
    refused(lambda: one.client.revoke(f"{one.gun}:{NAMES[name]}", stage=stage))


GUNS = [
    "", "/", "..", "../..", "registry.example/..", "registry.example/../../etc", "registry.example/a/./b",
    "registry.example//a", "registry.example/a/", "/registry.example/a", "registry.example/UPPER",
    "registry.example/a b", "registry.example/a\n", "registry.example/a\x00", "registry.example/" + "a" * 300,
    "registry.example/a%2f..", "registry.example/é",
]  # fmt: skip


@pytest.mark.parametrize("gun", GUNS)
def test_guns(gun, one, refused, fresh_directory):
    client, key = one.client, delegation_key("ecdsa", fresh_directory(), "key")
    for call in (
        lambda: client.sign(f"{gun}:v1", DIGEST, SIZE),
        lambda: client.sign(f"{gun}:v1", DIGEST, SIZE, stage=True),
        lambda: client.revoke(f"{gun}:v1"),
        lambda: client.init(gun),
        lambda: client.delete(gun),
        lambda: client.delete(gun, remote=True),
        lambda: client.publish(gun),
        lambda: client.staged(gun),
        lambda: client.unstage(gun),
        lambda: client.add_signer("alice", [key.public], gun),
        lambda: client.add_delegation(gun, RELEASES, keys=[key.public], paths=[""]),
        lambda: client.rotate_key(gun, "targets"),
    ):
        refused(call)


ROLES = [
    "", "targets", "root", "snapshot", "timestamp", "targets/", "targets//a", "targets/A", "targets/a b",
    "targets/a.b", "targets/../root", "targets/..", "../targets/a", "targets/a/", "releases", "targets/é",
    "targets/a\n", "targets/a\x00", "targets/" + "a" * 250, "root/a",
]  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("stage", [False, True], ids=["publish", "stage"])
def test_delegations(role, stage, one, refused, fresh_directory):
    client, key = one.client, delegation_key("ecdsa", fresh_directory(), "key")
    refused(lambda: client.add_delegation(one.gun, role, keys=[key.public], paths=[""], stage=stage))
    refused(lambda: client.remove_delegation(one.gun, role, stage=stage))
    if role != "targets":
        refused(lambda: client.sign(one.reference("v2"), DIGEST, SIZE, roles=[role], stage=stage))


def test_paths_outside_the_parents(one, refused, fresh_directory):
    key = delegation_key("ecdsa", fresh_directory(), "key")
    one.client.import_keys(key.private.read_bytes(), role="delegation")
    one.client.add_delegation(one.gun, "targets/qa", keys=[key.public], paths=["qa-"])
    refused(lambda: one.client.add_delegation(one.gun, "targets/qa/x", keys=[key.public], paths=["other"]))
    refused(lambda: one.client.sign(one.reference("v2"), DIGEST, SIZE, roles=["targets/qa"]))
    refused(lambda: one.client.add_delegation(one.gun, "targets/absent/x", keys=[key.public], paths=[""]))


@pytest.mark.parametrize("role", ["", "targets/qa", "targets/a", "Root", "../root", "timestamp", "root\n", "mirror"])
def test_rotation(role, one, refused):
    refused(lambda: one.client.rotate_key(one.gun, role))


@pytest.mark.parametrize("role", ["root", "targets"])
def test_what_only_we_can_hold(role, one, refused):
    refused(lambda: one.client.rotate_key(one.gun, role, server_managed=True))


def test_rotation_to_keys_that_are_not_there(one, refused):
    for keys in ([], ["ab" * 32], ["../../x"], [""], ["zz" * 32]):
        refused(lambda: one.client.rotate_key(one.gun, "targets", keys=keys))


DIGESTS = [
    "", "sha256:", HEX, f"sha256:{HEX[:-2]}", f"sha256:{HEX}00", f"sha256:{HEX.upper()}", f"sha512:{HEX}",
    f"md5:{HEX[:32]}", f"sha256:{HEX[:-1]}g", f"sha256:{HEX}\n", f"SHA256:{HEX}",
]  # fmt: skip


@pytest.mark.parametrize("digest", DIGESTS)
def test_digests(digest, one, refused):
    refused(lambda: one.client.sign(one.reference("v2"), digest, SIZE))
    refused(lambda: one.client.sign(one.reference("v2"), digest, SIZE, stage=True))


@pytest.mark.parametrize("size", [-1, 2**53 + 1, 2**63, 2**64, 1.5, "5"])
def test_sizes(size, one, refused):
    wrong_type = (OverflowError, TypeError, ValueError)
    refused(lambda: one.client.sign(one.reference("v2"), DIGEST, size), *wrong_type)
    refused(lambda: one.client.sign(one.reference("v2"), DIGEST, size, stage=True), *wrong_type)


@pytest.mark.parametrize("name", ["", "Alice", "a b", "../a", "a/b", "releases", "a\n", "a.b", "é", "a" * 300])
def test_signers(name, one, refused, fresh_directory):
    key = delegation_key("ecdsa", fresh_directory(), "key")
    refused(lambda: one.client.add_signer(name, [key.public], one.gun))
    refused(lambda: one.client.remove_signer(name, one.gun))


def test_signer_files(one, refused, fresh_directory):
    directory = fresh_directory()
    key = delegation_key("ecdsa", directory, "key")
    nothing, garbage, binary = directory / "empty", directory / "garbage", directory / "binary"
    nothing.touch()
    garbage.write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    binary.write_bytes(os.urandom(1000))
    for files in (
        [],
        [nothing],
        [garbage],
        [binary],
        [directory],
        [directory / "absent"],
        [key.private],
        [key.public, garbage],
    ):
        refused(lambda: one.client.add_signer("alice", files, one.gun))
    refused(lambda: one.client.load_key(key.public))
    refused(lambda: one.client.load_key(directory))


def test_unknown_signers_tags_and_repositories(one, publisher, refused):
    refused(lambda: one.client.remove_signer("nobody", one.gun))
    refused(lambda: one.client.revoke(one.reference("absent")))
    unknown = publisher().gun
    for call in (
        lambda: one.client.revoke(f"{unknown}:v1"),
        lambda: one.client.rotate_key(unknown, "targets"),
        lambda: one.client.remove_signer("alice", unknown),
        lambda: one.client.expiring(unknown, within=datetime.timedelta(days=1)),
    ):
        refused(call)


@pytest.mark.parametrize("threshold", [0, -1, 2, 2**31, 2**64])
def test_thresholds(threshold, one, refused):
    # There is one key.
    refused(lambda: one.client.set_threshold(one.gun, "targets", threshold), OverflowError, ValueError)


def test_staged_numbers(one, refused):
    one.client.sign(one.reference("v2"), DIGEST, SIZE, stage=True)
    for numbers in ([1], [0, 1], [-1], [2**40]):
        refused(lambda: one.client.unstage(one.gun, numbers), OverflowError, ValueError)
    assert len(one.client.staged(one.gun)) == 1


def test_a_dry_run_changes_nothing_and_needs_no_key(one, connect, server, fresh_directory):
    def nobody(*_):
        raise AssertionError("asked for a passphrase")

    client, key = connect(one.trust_dir, passphrase=nobody), delegation_key("ecdsa", fresh_directory(), "key")
    before = tree(one.trust_dir / "private"), versions(server, one.gun)
    for publication in (
        client.sign(one.reference("v2"), DIGEST, SIZE, dry_run=True),
        client.revoke(one.reference("v1"), dry_run=True),
        client.add_signer("alice", [key.public], one.gun, dry_run=True),
    ):
        assert publication.changes and not publication.published
        assert publication.to_json()
    assert (tree(one.trust_dir / "private"), versions(server, one.gun)) == before
