"""`tagtrust inspect` prints, byte for byte, what `docker trust inspect` prints."""

import json

import pytest

from interop.verifiers import COMMAND, environment, options
from lab import DockerTrust, repositories, run
from lab.need import need

UNKNOWN = "registry.example:5000/lab/unknown"


@pytest.fixture
def inspect(server, tmp_path):
    need(COMMAND.exists(), "the command `tagtrust`")

    def inspect(*words):
        settings = options(server, tmp_path / "trust")
        return run(COMMAND, "inspect", *settings, *words, env=environment(), check=False)

    return inspect


def assert_same_output(inspect, docker, *words):
    ours, theirs = inspect(*words), docker.trust("inspect", *words, check=False)
    assert ours.stdout == theirs.stdout
    assert ours.returncode == theirs.returncode
    assert complaints(ours) == complaints(theirs)


def complaints(done):
    """What is said of images that fail. Its capitals changed between Docker 20 and 28; logs are anybody's own."""
    return [line.lower() for line in done.stderr.splitlines() if line.lower().startswith("no signatures")]


@pytest.mark.parametrize("form", [[], ["--pretty"]], ids=["json", "pretty"])
class TestBothForms:
    @pytest.mark.parametrize(
        "recipe",
        [
            "notary-plain",
            "notary-restricted",
            "docker-pushed",
            "docker-signed",
            "docker-revoked",
            "docker-empty",
        ],
    )
    def test_whole_repository_and_single_tags(self, form, recipe, published, inspect, docker):
        repository = published(recipe)
        assert_same_output(inspect, docker, *form, repository.gun)
        for tag in ("absent", *repository.tags, *repository.uncounted):
            assert_same_output(inspect, docker, *form, f"{repository.gun}:{tag}")

    def test_a_tag_with_two_digests_has_two_rows(self, form, published, inspect, docker):
        # Docker prints the two in a random order, so lines are compared as a set.
        gun = published("notary-delegated").gun
        ours, theirs = inspect(*form, gun), docker.trust("inspect", *form, gun)
        assert sorted(ours.stdout.splitlines()) == sorted(theirs.stdout.splitlines())

    def test_a_digest_does_not_narrow_the_repository(self, form, published, inspect, docker):
        gun = published("docker-signed").gun
        digest = "sha256:" + "0" * 64
        assert_same_output(inspect, docker, *form, f"{gun}@{digest}")
        assert_same_output(inspect, docker, *form, f"{gun}:v1@{digest}")

    def test_order_of_tags_and_signers(self, form, server, engine, inspect, docker, fresh_directory):
        gun, publisher = repositories.new_gun("order"), DockerTrust(server, fresh_directory(), engine)
        for signer in ("zoe", "al-10", "bob", "al-9"):
            publisher.add_signer(signer, gun, publisher.generate_key(signer, fresh_directory()))
        for tag in ("v2", "v02", "v10", "v", "va", "v1-rc", "V3_x", "1.10", "1.9"):
            publisher.sign(f"{gun}:{tag}", *repositories.make_image("any"))
        assert_same_output(inspect, docker, *form, gun)
        assert_same_output(inspect, docker, *form, f"{gun}:v10")

    def test_a_tag_without_sha256_has_no_digest(self, form, server, inspect, docker, fresh_directory):
        repository = repositories.notary_plain(server, fresh_directory())
        repository.admin.run("addhash", repository.gun, "v3", 5, "--sha512", "ab" * 64, "--publish")
        repository.admin.run("addhash", repository.gun, "a<b>&c", 5, "--sha256", "ab" * 32, "--publish")
        assert_same_output(inspect, docker, *form, repository.gun)
        assert_same_output(inspect, docker, *form, f"{repository.gun}:v3")

    def test_several_images(self, form, published, inspect, docker):
        guns = [published(recipe).gun for recipe in ("docker-signed", "notary-plain", "docker-empty")]
        assert_same_output(inspect, docker, *form, *guns)

    def test_one_of_several_fails(self, form, published, inspect, docker):
        first, last = published("docker-signed").gun, published("notary-plain").gun
        assert_same_output(inspect, docker, *form, UNKNOWN)
        assert_same_output(inspect, docker, *form, first, UNKNOWN, last)
        assert_same_output(inspect, docker, *form, UNKNOWN, first)
        assert_same_output(inspect, docker, *form, UNKNOWN, f"{UNKNOWN}:v1")


def test_python_gives_the_same_texts(client, repository, docker):
    inspected = client.inspect(repository.gun)
    (theirs,) = json.loads(docker.inspect(repository.gun))
    ours = json.loads(inspected.to_json())
    if not repository.uncounted:  # two rows of one tag come in random order
        assert ours == theirs
        assert inspected.to_pretty() == docker.pretty(repository.gun)
    assert ours.keys() == theirs.keys()
