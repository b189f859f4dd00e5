"""What is signed comes from a real registry, where the caller does not say it."""

import base64
import json

import pytest

from lab.registry import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, PASSWORD, USERNAME
from lab.repositories import make_image
from publish.conftest import tree, unchanged, versions

BOTH = ["linux/amd64", "linux/arm64"]
KINDS = {
    "oci-image": (["linux/amd64"], "oci", OCI_MANIFEST),
    "oci-index": (BOTH, "oci", OCI_INDEX),
    "docker-image": (["linux/amd64"], "v2s2", DOCKER_MANIFEST),
    "docker-list": (BOTH, "v2s2", DOCKER_LIST),
}


@pytest.fixture
def at(publisher):
    """A publisher for a repository in a registry."""

    def at(registry, name, **settings):
        one = publisher(name=name, **settings)
        one.gun = f"{registry.address}/lab/{one.gun.rpartition('/')[2]}"
        return one

    return at


@pytest.mark.parametrize("kind", KINDS)
def test_the_digest_and_size_of_every_kind_of_manifest(kind, at, registry, stranger):
    platforms, format, media_type = KINDS[kind]
    one = at(registry, kind)
    pushed = registry.push(one.reference("v1"), *platforms, format=format)
    assert pushed.media_type == media_type
    one.client.sign(one.reference("v1"))
    assert stranger().lookup(one.gun, "v1") == (pushed.digest, pushed.size)
    assert one.docker.pull(one.reference("v1")) == f"{one.reference('v1')}@{pushed.digest}"


def test_without_a_tag_latest_is_meant(at, registry, stranger):
    one = at(registry, "latest")
    pushed = registry.push(one.reference("latest"))
    one.client.sign(one.gun)
    assert stranger().lookup(one.gun, "latest") == (pushed.digest, pushed.size)


def test_a_digest_beside_the_tag_pins_what_is_signed(at, registry, tagtrust, stranger):
    one = at(registry, "pinned")
    first = registry.push(one.reference("v1"), seed="first")
    one.client.sign(f"{one.reference('v1')}@{first.digest}")
    assert stranger().lookup(one.gun, "v1") == (first.digest, first.size)

    moved = registry.push(one.reference("v1"), seed="second")
    assert moved.digest != first.digest
    with unchanged(one), pytest.raises(tagtrust.TrustError) as caught:
        one.client.sign(f"{one.reference('v1')}@{first.digest}")
    assert first.digest in str(caught.value) and moved.digest in str(caught.value)
    with unchanged(one), pytest.raises(tagtrust.TrustError):
        one.client.sign(f"{one.reference('v1')}@{first.digest}", moved.digest, moved.size)
    one.client.sign(one.reference("v1"))
    assert stranger().lookup(one.gun, "v1") == (moved.digest, moved.size)


def test_a_digest_without_a_tag_is_nothing_to_sign(at, registry, tagtrust):
    one = at(registry, "digest")
    pushed = registry.push(one.reference("v1"))
    with pytest.raises(tagtrust.TrustError):
        one.client.sign(f"{one.gun}@{pushed.digest}")
    assert tree(one.trust_dir) == {}


def test_what_the_registry_does_not_have_is_not_signed(at, registry, tagtrust):
    one = at(registry, "absent")
    registry.push(one.reference("v1"))
    one.client.sign(one.reference("v1"))
    with unchanged(one), pytest.raises(tagtrust.TrustError, match="v2"):
        one.client.sign(one.reference("v2"))


def test_given_digest_and_size_no_registry_is_asked(publisher, stranger):
    one = publisher()  # its registry does not exist
    one.client.sign(one.reference("v1"), *make_image("v1"))
    assert stranger().lookup(one.gun, "v1") == make_image("v1")


@pytest.mark.parametrize("missing", [0, 1])
def test_digest_and_size_are_given_both_or_not_at_all(missing, publisher, tagtrust):
    one, image = publisher(), list(make_image("v1"))
    image[missing] = None
    with pytest.raises((tagtrust.TrustError, TypeError, ValueError)):
        one.client.sign(one.reference("v1"), *image)
    assert tree(one.trust_dir) == {}


def test_many_tags_of_a_registry_in_one_upload(at, registry, server, stranger):
    one = at(registry, "many")
    one.client.init(one.gun)
    pushed = {f"v{number}": registry.push(one.reference(f"v{number}")) for number in range(5)}
    before = versions(server, one.gun)["targets"]
    one.client.sign_many([one.reference(tag) for tag in pushed])
    assert versions(server, one.gun)["targets"] == before + 1
    listed = stranger().list(one.gun)
    assert {tag: image[:2] for tag, image in listed.items()} == {
        tag: (it.digest, it.size) for tag, it in pushed.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_registry_with_tls_and_a_password(kind, at, tls_registry, connect, tagtrust, stranger):
    platforms, format, _ = KINDS[kind]
    one = at(tls_registry, kind)
    pushed = tls_registry.push(one.reference("v1"), *platforms, format=format)
    with pytest.raises(tagtrust.Unauthorized):
        connect(one.trust_dir).sign(one.reference("v1"))
    with pytest.raises(tagtrust.Unauthorized):
        connect(one.trust_dir, username=USERNAME, password="wrong").sign(one.reference("v1"))
    connect(one.trust_dir, username=USERNAME, password=PASSWORD).sign(one.reference("v1"))
    assert stranger().lookup(one.gun, "v1") == (pushed.digest, pushed.size)


def test_the_password_of_docker_login(at, tls_registry, connect, fresh_directory, stranger):
    one, directory = at(tls_registry, "login"), fresh_directory()
    pushed = tls_registry.push(one.reference("v1"))
    auth = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
    (directory / "config.json").write_text(json.dumps({"auths": {tls_registry.address: {"auth": auth}}}))
    connect(one.trust_dir, docker_config=directory).sign(one.reference("v1"))
    assert stranger().lookup(one.gun, "v1") == (pushed.digest, pushed.size)
