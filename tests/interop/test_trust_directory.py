"""One trust directory, used by us and by the real programs in turn."""

import pytest

from lab import DockerTrust, Notary, NotaryServer, repositories
from lab.repositories import rotate


@pytest.fixture
def mortal(fresh_directory):
    """A server that the test may stop."""
    with NotaryServer(fresh_directory()) as server:
        yield server


@pytest.fixture
def signed(mortal, engine, fresh_directory):
    return repositories.docker_signed(mortal, fresh_directory(), engine)


def files(directory):
    """The metadata cache; locks beside it are nobody else's business."""
    return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("metadata/**/*.json")}


def verify(tagtrust, server, trust_dir, reference):
    return tagtrust.Client(trust_dir=trust_dir, server=server.url, ca_file=server.ca_file).verify(reference)


def test_we_cache_the_same_files_as_notary(tagtrust, mortal, signed, fresh_directory):
    ours, theirs = fresh_directory(), fresh_directory()
    verify(tagtrust, mortal, ours, f"{signed.gun}:v1")
    Notary(mortal, theirs).lookup(signed.gun, "v1")
    assert files(ours) == files(theirs)
    for path in ours.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, f"{path} is open to others"


def test_notary_reads_what_we_cached(tagtrust, mortal, signed, fresh_directory):
    trust_dir = fresh_directory()
    verify(tagtrust, mortal, trust_dir, f"{signed.gun}:v1")
    mortal.stop()
    assert Notary(mortal, trust_dir).lookup(signed.gun, "v1") == signed.tags["v1"]


def test_docker_reads_what_we_cached(tagtrust, mortal, signed, fresh_directory):
    docker = DockerTrust(mortal, fresh_directory())
    online = DockerTrust(mortal, fresh_directory()).inspect(signed.gun)
    verify(tagtrust, mortal, docker.trust_dir, f"{signed.gun}:v1")
    mortal.stop()
    assert docker.inspect(signed.gun) == online


@pytest.mark.parametrize("program", ["notary", "docker"])
def test_we_read_what_they_cached(program, tagtrust, mortal, signed, fresh_directory):
    if program == "notary":
        trust_dir = fresh_directory()
        Notary(mortal, trust_dir).lookup(signed.gun, "v1")
    else:
        docker = DockerTrust(mortal, fresh_directory())
        docker.inspect(signed.gun)
        trust_dir = docker.trust_dir
    before = files(trust_dir)
    mortal.stop()
    image = verify(tagtrust, mortal, trust_dir, f"{signed.gun}:v1")
    assert (image.digest, image.size) == signed.tags["v1"]
    assert not image.fresh
    assert files(trust_dir) == before


def test_without_server_and_cache_nothing_is_decided(tagtrust, mortal, signed, fresh_directory):
    trust_dir = fresh_directory()
    mortal.stop()
    with pytest.raises(tagtrust.Unreachable):
        verify(tagtrust, mortal, trust_dir, f"{signed.gun}:v1")
    assert files(trust_dir) == {}


def test_all_three_take_turns_while_the_publisher_goes_on(tagtrust, mortal, signed, engine, fresh_directory):
    docker = DockerTrust(mortal, fresh_directory())
    notary = Notary(mortal, docker.trust_dir)
    for rotation in ("targets", "root", "every-role"):
        rotate(signed, rotation)
        verify(tagtrust, mortal, docker.trust_dir, f"{signed.gun}:v1")
        assert notary.lookup(signed.gun, "v1") == signed.tags["v1"]
        rotate(signed, rotation)
        docker.inspect(signed.gun)
        image = verify(tagtrust, mortal, docker.trust_dir, f"{signed.gun}:v1")
        assert (image.digest, image.size) == signed.tags["v1"]


def test_a_server_that_lost_everything_is_no_answer_from_the_cache(tagtrust, mortal, signed, fresh_directory):
    # As in Notary a 404 is not "offline": the server is there and says that it has nothing.
    trust_dir = fresh_directory()
    verify(tagtrust, mortal, trust_dir, f"{signed.gun}:v1")
    before = files(trust_dir)
    mortal.stop()
    mortal.start()
    with pytest.raises(tagtrust.TrustError):
        verify(tagtrust, mortal, trust_dir, f"{signed.gun}:v1")
    assert files(trust_dir) == before
