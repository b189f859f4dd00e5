"""Publishers that meet: a conflict of versions is ours to solve, not the user's."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab import CommandFailed
from lab.repositories import RELEASES, make_image
from publish.conftest import their_tags, versions
from publish.sides import PythonUser

TAGS_EACH = 3


@pytest.fixture(params=["targets", "delegations"])
def shared_repository(request, publisher, fresh_directory):
    """Tags go to `targets`, or to `targets/alice` and `targets/releases`."""
    one = publisher(name="crowd")
    one.client.init(one.gun)
    if request.param == "delegations":
        one.client.add_signer("alice", [PythonUser(one).generate_key("alice", fresh_directory())], one.gun)
    return one


@pytest.fixture(params=["own-directories", "one-directory"])
def publishers(request, publisher, shared_repository):
    """`publishers(count)`: all with the same keys."""

    def publishers(count):
        if request.param == "own-directories":
            return [publisher(shared_repository) for _ in range(count)]
        return [shared_repository] * count

    return publishers


def tags_of(number):
    return [f"v{number}-{again}" for again in range(TAGS_EACH)]


def assert_nothing_lost(one, publications, stranger, also=()):
    """Each publication has a version of its own of every file, rising in its publisher's order, the last one counts."""
    every = Counter((role, version) for own in publications for files in own for role, version in files)
    assert [again for again, count in every.items() if count > 1] == []
    for own in publications:
        for role in {role for role, _ in every}:
            of_role = [version for files in own for name, version in files if name == role]
            assert of_role == sorted(of_role)
    highest = versions(one.notary.server, one.gun)
    assert all(highest[role] >= version for role, version in every)
    tags = {tag for number in range(len(publications)) for tag in tags_of(number)} | set(also)
    assert their_tags(stranger(), one.gun) == dict.fromkeys(tags, make_image("crowd"))


@pytest.mark.parametrize("count", [2, 16])
def test_processes_that_publish_at_once_all_succeed(count, shared_repository, publishers, worker, stranger):
    workers = [
        worker(one, "sign_many", one.gun, *make_image("crowd"), *tags_of(number))
        for number, one in enumerate(publishers(count))
    ]
    for one in workers:
        one.go()
    answers = [one.answer() for one in workers]
    assert [answer for answer in answers if "error" in answer] == []
    assert_nothing_lost(shared_repository, [answer["done"] for answer in answers], stranger)


@pytest.mark.parametrize("share", ["own-clients", "one-client"])
@pytest.mark.parametrize("count", [2, 16])
def test_threads_that_publish_at_once_all_succeed(count, share, shared_repository, publishers, connect, stranger):
    def publish(number, one):
        client = shared_repository.client if share == "one-client" else connect(one.trust_dir)
        done = [client.sign(one.reference(tag), *make_image("crowd")) for tag in tags_of(number)]
        return [[(file.role, file.version) for file in publication.files] for publication in done]

    with ThreadPoolExecutor(count) as pool:
        publications = list(pool.map(publish, range(count), publishers(count)))
    assert_nothing_lost(shared_repository, publications, stranger)


def test_with_the_real_notary_among_them_ours_succeed(shared_repository, publisher, publishers, worker, stranger):
    """Its own may fail with its conflict; what it staged stays and can be published later."""
    others = [publisher(shared_repository) for _ in range(4)]
    for number, other in enumerate(others):
        digest, size = make_image("crowd")
        roles = [role for role in ("targets/alice", RELEASES) if role in other.notary.delegations(other.gun)]
        other.notary.addhash(other.gun, f"theirs-{number}", size, digest[7:], roles)
    workers = [
        worker(one, "sign_many", one.gun, *make_image("crowd"), *tags_of(number))
        for number, one in enumerate(publishers(4))
    ]
    with ThreadPoolExecutor(len(others)) as pool:
        for one in workers:
            one.go()
        theirs = list(pool.map(until_published, others))
    answers = [one.answer() for one in workers]
    assert [answer for answer in answers if "error" in answer] == []
    print(f"attempts of the real notary: {theirs}")
    also = [f"theirs-{number}" for number in range(len(others))]
    assert_nothing_lost(shared_repository, [answer["done"] for answer in answers], stranger, also)


def until_published(other) -> int:
    for attempt in range(1, 100):
        try:
            other.notary.publish(other.gun)
            return attempt
        except CommandFailed as failed:
            assert "rejected operation" in str(failed) or "checksum" in str(failed).lower(), failed
    raise AssertionError("never published")


def test_different_changes_at_once_are_all_made(shared_repository, connect, stranger, fresh_directory):
    """Not only tags: signers, rotations and revocations on top of each other."""
    one = shared_repository
    one.client.sign_many([(one.reference(f"old-{number}"), *make_image("old")) for number in range(4)])
    keys = {name: PythonUser(one).generate_key(name, fresh_directory()) for name in ("bob", "carol")}
    before = versions(one.notary.server, one.gun)
    work = [
        lambda client: client.sign(one.reference("new"), *make_image("new"), roles=["targets"]),
        lambda client: client.revoke(one.reference("old-0")),
        lambda client: client.add_delegation(one.gun, "targets/qa", keys=[keys["bob"]], paths=["qa-"]),
        lambda client: client.add_delegation(one.gun, "targets/dev", keys=[keys["carol"]], paths=[""]),
        lambda client: client.rotate_key(one.gun, "targets"),
        lambda client: client.rotate_key(one.gun, "root"),
    ]
    clients = [connect(one.trust_dir) for _ in work]
    with ThreadPoolExecutor(len(work)) as pool:
        list(pool.map(lambda pair: pair[0](pair[1]), zip(work, clients)))
    reader = stranger()
    assert {"targets/qa", "targets/dev"} <= reader.delegations(one.gun).keys()
    assert versions(one.notary.server, one.gun)["root"] == before["root"] + 2
    assert their_tags(reader, one.gun).keys() == {"new", "old-1", "old-2", "old-3"}


def test_only_a_true_contradiction_is_a_conflict(publisher, tagtrust, server, fresh_directory):
    """Staged on what another publisher has taken away meanwhile."""
    one = publisher()
    one.client.init(one.gun)
    other = publisher(one)
    key = PythonUser(one).generate_key("alice", fresh_directory())
    one.client.add_delegation(one.gun, "targets/qa", keys=[key], paths=[""])
    one.client.remove_delegation(one.gun, "targets/qa", paths=[""], stage=True)
    other.client.remove_delegation(one.gun, "targets/qa")
    before = one.notary.status(one.gun), versions(server, one.gun)
    with pytest.raises(tagtrust.TrustError) as caught:
        one.client.publish(one.gun)
    assert isinstance(caught.value, (tagtrust.Conflict, tagtrust.InvalidInput))
    assert (one.notary.status(one.gun), versions(server, one.gun)) == before
