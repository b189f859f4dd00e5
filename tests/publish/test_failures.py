"""Servers that refuse and disks that are full: nothing is lost, and it can simply be run again."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lab import Notary, Proxy
from lab.need import need
from lab.repositories import RELEASES, make_image
from publish.conftest import key_ids, tree, unchanged, versions
from publish.sides import PythonUser

NOBODY = 65534


@pytest.fixture
def proxy(server):
    with Proxy(server) as proxy:
        yield proxy


@pytest.fixture
def through(tagtrust, proxy):
    """`through(publisher)`: a client that goes through the proxy."""

    def through(one):
        return tagtrust.Client(
            trust_dir=one.trust_dir, server=proxy.url, ca_file=proxy.ca_file, passphrase=lambda *_: "test-passphrase"
        )

    return through


def is_upload(method, path) -> bool:
    return method == "POST" and path.endswith("/_trust/tuf/")


# Requests


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500, 503])
@pytest.mark.parametrize("repository", ["new", "known"])
def test_a_refused_upload_leaves_what_was_staged(status, repository, publisher, through, proxy, tagtrust, stranger):
    one = publisher()
    one.client.init(one.gun, publish=repository == "known")
    client = through(one)
    client.sign(one.reference("v1"), *make_image("v1"), roles=["targets"], stage=True)
    before = tree(one.trust_dir)
    proxy.refuse = lambda method, path: status if is_upload(method, path) else None
    with pytest.raises(tagtrust.TrustError) as caught:
        client.publish(one.gun)
    assert proxy.address in str(caught.value)
    assert len(one.notary.status(one.gun)) == 1
    assert before.items() <= tree(one.trust_dir).items()
    proxy.refuse = lambda method, path: None
    client.publish(one.gun)
    assert one.notary.status(one.gun) == []
    assert stranger().lookup(one.gun, "v1") == make_image("v1")


MAYBE_STORED = "the upload may have been stored all the same"


def test_an_upload_whose_answer_is_lost_says_that_it_may_be_stored(publisher, through, proxy, tagtrust, connect):
    one = publisher()
    one.client.init(one.gun)
    client, other = through(one), connect()
    proxy.lose = is_upload
    with pytest.raises(tagtrust.Unreachable, match=MAYBE_STORED):
        client.sign(one.reference("v1"), *make_image("v1"))
    assert other.verify(one.reference("v1")).digest == make_image("v1")[0]
    proxy.lose = lambda method, path: False
    assert client.sign(one.reference("v1"), *make_image("v1")).changes == ()
    assert client.sign(one.reference("v2"), *make_image("v2")).published
    assert {tag: other.verify(one.reference(tag)).digest for tag in ("v1", "v2")} == {
        tag: make_image(tag)[0] for tag in ("v1", "v2")
    }
    # What is there or gone already is an error, as it is for whoever asks for it first.
    proxy.lose = is_upload
    with pytest.raises(tagtrust.Unreachable, match=MAYBE_STORED):
        client.revoke(one.reference("v1"))
    proxy.lose = lambda method, path: False
    with pytest.raises(tagtrust.TagNotSigned):
        client.revoke(one.reference("v1"))


def test_a_repository_whose_making_got_no_answer_exists(publisher, through, proxy, tagtrust, stranger):
    one = publisher()
    client = through(one)
    proxy.lose = is_upload
    with pytest.raises(tagtrust.Unreachable, match=MAYBE_STORED):
        client.init(one.gun)
    proxy.lose = lambda method, path: False
    with pytest.raises(tagtrust.InvalidInput, match="initialised already"):
        client.init(one.gun)
    client.sign(one.reference("v1"), *make_image("v1"))
    assert stranger().lookup(one.gun, "v1") == make_image("v1")


def test_a_replaced_key_stays_until_the_server_has_confirmed_the_new_one(publisher, through, proxy, tagtrust):
    one = publisher()
    one.client.init(one.gun)
    client, private = through(one), one.trust_dir / "private"
    (first,) = (key.id for key in client.keys() if key.role == "targets")
    proxy.lose = is_upload
    with pytest.raises(tagtrust.Unreachable, match=MAYBE_STORED):
        client.rotate_key(one.gun, "targets")
    (second,) = key_ids(one.notary.server, one.gun, "targets")
    proxy.lose = lambda method, path: False
    client.rotate_key(one.gun, "targets")
    (third,) = key_ids(one.notary.server, one.gun, "targets")
    here = {key.id for key in client.keys() if key.role == "targets"}
    assert here == {first, third} and len({first, second, third}) == 3
    assert len(list(private.glob("*.key"))) == 3


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_the_server_shows_is_remembered_though_nothing_is_published(dry_run, publisher, tagtrust):
    one, other = publisher(), publisher()
    one.client.init(one.gun)
    metadata = other.trust_dir / "tuf" / one.gun / "metadata"
    assert not metadata.exists()
    with contextlib.nullcontext() if dry_run else pytest.raises(tagtrust.KeyNotFound):
        other.client.sign(one.reference("v1"), *make_image("v1"), dry_run=dry_run)
    assert (metadata / "root.json").read_bytes() == one.notary.server.metadata(one.gun, "root")


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "snapshot-to-server", "timestamp"])
def test_a_rotation_that_fails_can_be_run_again(role, publisher, through, proxy, tagtrust, server, stranger):
    """Also between a new key on the server and the upload."""
    one = publisher()
    one.client.init(one.gun, local_snapshot=True)
    one.client.sign(one.reference("v1"), *make_image("v1"))
    client, name = through(one), role.removesuffix("-to-server")
    managed = role in ("timestamp", "snapshot-to-server")
    keys, before = set(tree(one.trust_dir / "private")), versions(server, one.gun)
    old = key_ids(server, one.gun, name)
    for fails in (is_upload, lambda method, path: method == "POST" and path.endswith(".key")):
        if fails is not is_upload and not managed:
            continue
        proxy.refuse = lambda method, path, fails=fails: 500 if fails(method, path) else None
        with pytest.raises(tagtrust.TrustError):
            client.rotate_key(one.gun, name, server_managed=managed)
        assert versions(server, one.gun) == before
        assert keys <= set(tree(one.trust_dir / "private"))
    one.client.sign(one.reference("v2"), *make_image("v2"))
    proxy.refuse = lambda method, path: None
    client.rotate_key(one.gun, name, server_managed=managed)
    assert key_ids(server, one.gun, name) != old
    assert stranger().list(one.gun).keys() == {"v1", "v2"}
    one.notary.addhash(one.gun, "v3", 5, "ab" * 32)
    one.notary.publish(one.gun)


def test_one_refresh_and_one_upload_however_many_tags(publisher, through, proxy, stranger):
    one = publisher()
    one.client.init(one.gun)
    client, tags = through(one), [f"v{number}" for number in range(300)]
    client.sign(one.reference("first"), *make_image("first"))
    proxy.requests.clear(), proxy.sent.clear()
    client.sign_many([(one.reference(tag), *make_image(tag)) for tag in tags])
    assert [method for method, *_ in proxy.sent] == ["POST"]
    asked = [re.sub(r"\.[0-9a-f]{64}", "", path.rpartition("/")[2]) for path in proxy.requests if "_trust" in path]
    assert max(map(asked.count, asked)) == 1, asked
    assert {tag: image[:2] for tag, image in stranger().list(one.gun).items()} == {
        tag: make_image(tag) for tag in ["first", *tags]
    }


def test_sign_many_in_several_repositories_has_a_result_for_each(publisher, tagtrust, stranger):
    mine, theirs, new = publisher(), publisher(), publisher()
    theirs.client.init(theirs.gun)
    references = [mine.reference("v1"), theirs.reference("v1"), mine.reference("v2"), new.reference("v1")]
    first, second, third = mine.client.sign_many([(reference, *make_image("it")) for reference in references])
    assert isinstance(second, tagtrust.KeyNotFound)
    assert (first.repository, third.repository) == (mine.gun, new.gun)
    assert stranger().list(mine.gun).keys() == {"v1", "v2"}
    assert stranger().list(theirs.gun).keys() == set()
    assert stranger().list(new.gun).keys() == {"v1"}


def test_sign_many_signs_nothing_if_one_reference_cannot_be_read(publisher, tagtrust):
    one = publisher()
    one.client.init(one.gun)
    with unchanged(one), pytest.raises(tagtrust.InvalidReference):
        one.client.sign_many([(it, *make_image("it")) for it in (one.reference("v1"), "registry.example/UPPER:v1")])


# Disks


@pytest.fixture
def at_work(publisher, fresh_directory):
    """A repository with a signer, and the operations that write."""
    one = publisher()
    one.client.init(one.gun, local_snapshot=True)
    one.client.add_signer("alice", [PythonUser(one).generate_key("alice", fresh_directory())], one.gun)
    one.client.sign(one.reference("v1"), *make_image("v1"))
    return one


def writing(one, directory):
    return {
        "generate": ["generate", "bob", directory],
        "rotate": ["rotate", one.gun, "targets"],
        "rotate-root": ["rotate", one.gun, "root"],
        "init": ["init", f"{one.gun}-new"],
        "stage": ["stage", one.gun, "v2", *make_image("v2")],
        "sign": ["sign", one.gun, "v2", *make_image("v2")],
    }


def assert_all_is_well(one, before, stranger):
    """Nobody's key or staged change is gone or cut off, and publishing goes on."""
    after = tree(one.trust_dir)
    lasting = {name: file for name, file in before.items() if "/metadata/" not in name}
    assert lasting.items() <= after.items()
    assert len(one.notary.keys()) == len(list((one.trust_dir / "private").glob("*.key")))
    one.client.sign(one.reference("v9"), *make_image("v9"))
    digest, size = make_image("v10")
    one.notary.addhash(one.gun, "v10", size, digest[7:], [RELEASES])
    one.notary.publish(one.gun)
    assert {"v1", "v9", "v10"} <= stranger().list(one.gun, [RELEASES]).keys()


@pytest.mark.parametrize("limit", [0, 1, 100, 200, 400])
@pytest.mark.parametrize("operation", ["generate", "rotate", "rotate-root", "init", "stage"])
def test_a_file_that_does_not_fit(limit, operation, at_work, worker, stranger, fresh_directory):
    before, was = tree(at_work.trust_dir), versions(at_work.notary.server, at_work.gun)
    words = writing(at_work, fresh_directory())[operation]
    small = worker(at_work, *words, environment={"FILE_SIZE_LIMIT": limit})
    small.go()
    answer = small.answer()
    if operation != "stage" or limit < 200:
        assert answer.get("error") == "StoreError", answer
        assert versions(at_work.notary.server, at_work.gun) == was
    assert_all_is_well(at_work, before, stranger)


@pytest.mark.parametrize("operation", ["generate", "rotate", "rotate-root", "init", "stage", "sign"])
@pytest.mark.parametrize("mode", [0o500, 0o000], ids=["read-only", "unreadable"])
def test_a_directory_that_may_not_be_written(mode, operation, at_work, worker, stranger, open_to_nobody):
    directory = open_to_nobody(at_work)
    before, was = tree(at_work.trust_dir), versions(at_work.notary.server, at_work.gun)
    inner = [path for path in [*directory.rglob("*"), directory] if path.is_dir()]
    for path in inner:
        path.chmod(mode)
    one = worker(at_work, *writing(at_work, directory.parent)[operation], environment=as_nobody(), trust_dir=directory)
    one.go()
    answer = one.answer()
    for path in reversed(inner):
        path.chmod(0o700)
    # A tag can be published without a cache; a key or a staged change cannot be kept.
    if operation != "sign" or mode == 0o000:
        assert answer.get("error") in ("StoreError", "InvalidInput", "KeyNotFound"), answer
        assert versions(at_work.notary.server, at_work.gun) == was
    assert tree(directory).keys() == before.keys()
    assert_all_is_well(at_work, before, stranger)


def as_nobody():
    """Root may write everything."""
    return {"BECOME": NOBODY} if os.geteuid() == 0 else {}


@pytest.fixture
def open_to_nobody():
    """`open_to_nobody(publisher)`: its trust directory, where that user finds it."""
    directories = []

    def open_to_nobody(one):
        # Not below pytest's directories, which are root's alone.
        place = Path(tempfile.mkdtemp(prefix="trust-"))
        directories.append(place)
        shutil.copytree(one.trust_dir, place / "trust")
        if os.geteuid() == 0:
            for path in [place, *place.rglob("*")]:
                os.chown(path, NOBODY, NOBODY)
        return place / "trust"

    yield open_to_nobody
    for place in directories:
        shutil.rmtree(place)


@pytest.mark.parametrize("operation", ["generate", "rotate", "rotate-root", "init", "stage", "sign"])
def test_a_full_disk(operation, at_work, stranger, tmp_path):
    """A small tmpfs, seen by the publisher alone, filled to the last page."""
    unshare = ["unshare", "--map-root-user", "--mount"]
    usable = subprocess.run([*unshare, "mount", "-t", "tmpfs", "tmpfs", tmp_path], capture_output=True)
    need(usable.returncode == 0, "the right to mount a tmpfs in a namespace")
    server = at_work.notary.server
    was = versions(server, at_work.gun)
    script = Path(__file__).with_name("full_disk.sh")
    disk = tmp_path / "mounted"
    disk.mkdir()
    words = [str(word) for word in writing(at_work, disk / "trust")[operation]]
    done = subprocess.run(
        [*unshare, "bash", script, at_work.trust_dir, disk, tmp_path / "after",
         sys.executable, Path(__file__).with_name("worker.py"), server.url, server.ca_file, disk / "trust", *words],
        input="\n", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if operation != "sign":
        assert '"error": "StoreError"' in done.stdout, done.stdout
        assert versions(server, at_work.gun) == was
    before = tree(at_work.trust_dir)
    after = tree(tmp_path / "after")
    assert after.items() >= {name: file for name, file in before.items() if name.startswith("private/")}.items()
    # The copy of the full disk still serves.
    assert Notary(server, tmp_path / "after").lookup(at_work.gun, "v1") == make_image("v1")
    assert_all_is_well(at_work, before, stranger)
