"""What a client has seen counts, whether it is on disk, in memory, or was stored by somebody else."""

import copy
import shutil

import pytest

from attacks import tuf
from attacks.faults import GUN, RELEASES, SECOND, SIGNER, TAG, cache_of, published, tag
from attacks.judges import tagtrust

REFERENCE = f"{GUN}:{TAG}"


class Place:
    """A trust directory and a URL of which the files can be exchanged."""

    def __init__(self, server, directory):
        self.server, self.directory = server, directory
        self.url = server.publish(GUN, {})
        self.site = server.sites[self.url.rpartition("/")[2]]

    @property
    def metadata(self):
        return self.directory / "tuf" / GUN / "metadata"

    def serve(self, files):
        self.site.update({f"v2/{GUN}/_trust/tuf/{name}": data for name, data in files.items()})

    def client(self):
        return tagtrust.Client(
            trust_dir=self.directory,
            docker_config=self.directory / "docker",
            server=self.url,
            ca_file=self.server.ca_file,
        )

    def stored(self):
        return {str(f.relative_to(self.metadata)): f.read_bytes() for f in self.metadata.rglob("*.json")}


@pytest.fixture
def place(clients, hostile_server, tmp_path):
    return Place(hostile_server, tmp_path)


def newer(repository):
    copied = repository.next()
    for role in (RELEASES, SIGNER):
        tag(copied, role, TAG, SECOND)
    return copied


def test_what_another_process_has_stored_ends_what_is_in_memory(place):
    old, new = published(), newer(published())
    place.serve(old.files())
    daemon = place.client()
    first = daemon.verify(REFERENCE)

    place.serve(new.files())
    second = place.client().verify(REFERENCE)
    assert second.digest != first.digest
    stored = place.stored()

    place.serve(old.files())
    with pytest.raises(tagtrust.RolledBack):
        daemon.verify(REFERENCE)
    assert place.stored() == stored


def test_what_another_process_has_stored_serves_offline(place):
    old, new = published(), newer(published())
    place.serve(old.files())
    daemon = place.client()
    daemon.verify(REFERENCE)
    place.serve(new.files())
    second = place.client().verify(REFERENCE)

    place.site[f"v2/{GUN}/_trust/tuf/timestamp.json"] = lambda handler: handler.answer(503, b"")
    image = daemon.verify(REFERENCE)
    assert (image.digest, image.fresh) == (second.digest, False)


def test_what_is_no_longer_stored_is_remembered(place):
    old, new = published(), newer(published())
    place.serve(new.files())
    client = place.client()
    client.verify(REFERENCE)
    shutil.rmtree(place.metadata)

    place.serve(old.files())
    with pytest.raises(tagtrust.RolledBack):
        client.verify(REFERENCE)

    # A whole repository of somebody else: the root is not trusted on first use again.
    place.serve(newer(newer(published(prefix="other "))).files())
    with pytest.raises(tagtrust.TrustError):
        client.verify(REFERENCE)
    assert place.stored().items() <= cache_of(new.files()).items()

    # With the next success the cache is whole again.
    newest = newer(newer(published())).files()
    place.serve(newest)
    client.verify(REFERENCE)
    assert place.stored() == cache_of(newest)


def test_a_slow_process_does_not_bring_back_a_root(place):
    """Between the start of an update and its end another process has stored two newer roots."""
    old = published()
    place.serve(old.files())
    place.client().verify(REFERENCE)

    rotated = newer(old)
    rotated.rotate_root([tuf.root_key("second root", GUN)])
    halfway = rotated.files()
    newest = copy.deepcopy(rotated)
    newest.rotate_root([tuf.root_key("third root", GUN)])
    newest.rotate_root([tuf.root_key("fourth root", GUN)])
    newest.set_keys("timestamp", [tuf.key("new timestamp")])
    for role in ("snapshot", "timestamp"):
        newest[role].signed["version"] += 1

    def overtaken(handler):
        """Somebody else finishes first, with the newest files."""
        place.serve(newest.files())
        place.client().verify(REFERENCE)
        handler.answer(200, halfway[f"{RELEASES}.json"])

    place.serve(halfway)
    (name,) = [n for n in halfway if n.startswith(f"{RELEASES}.") and n != f"{RELEASES}.json"]
    place.site[f"v2/{GUN}/_trust/tuf/{name}"] = overtaken
    place.client().verify(REFERENCE)
    assert place.stored() == cache_of(newest.files())


def test_a_role_does_not_vanish_from_the_snapshot(place):
    place.serve(published().files())
    client = place.client()
    client.verify(REFERENCE)
    stored = place.stored()

    without = newer(published())
    without[RELEASES].on_entry.append(lambda entry: None)
    tag(without, "targets", TAG, b"an old manifest")
    place.serve(without.files())
    for reader in (client, place.client()):
        with pytest.raises(tagtrust.RolledBack):
            reader.verify(REFERENCE)
        assert place.stored() == stored


def test_of_two_that_see_a_repository_first_the_one_who_stores_its_root_is_right(place, hostile_server):
    """Trust on first use is trust in one root, also if two processes see two of them at one moment."""
    place.serve(published().files())
    other = Place(hostile_server, place.directory)
    files = published(prefix="other-").files()
    overtaken = []

    def answer_late(handler):
        if not overtaken:
            overtaken.append(place.client().verify(REFERENCE))
        handler.answer(200, files["snapshot.json"])

    other.serve({name: answer_late if name.startswith("snapshot.") else data for name, data in files.items()})
    with pytest.raises(tagtrust.RootNotTrusted):
        other.client().verify(REFERENCE)
    assert overtaken
    assert place.stored()["root.json"] == published().files()["root.json"]
