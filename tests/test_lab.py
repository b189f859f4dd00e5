"""The lab holds what it promises: the recipes say what the real programs answer."""

import json

import pytest

from lab import CommandFailed, DockerTrust, Notary, NotaryServer, Proxy, repositories
from lab.repositories import RELEASES, TAG_IN_BOTH


def assert_real_programs_agree(repository, notary, docker):
    listed = notary.list(repository.gun, [RELEASES, "targets"])
    for tag, (digest, size) in repository.tags.items():
        assert listed[tag][:2] == (digest, size)
        if tag != TAG_IN_BOTH:
            assert notary.lookup(repository.gun, tag) == (digest, size)
    (inspected,) = json.loads(docker.inspect(repository.gun))
    rows = {(row["SignedTag"], f"sha256:{row['Digest']}") for row in inspected["SignedTags"]}
    assert rows >= {(tag, digest) for tag, (digest, _) in repository.tags.items()}
    # It also lists what `targets/releases` may not sign: without a tag it does not look at paths.
    assert {tag for tag, _ in rows} - repository.tags.keys() <= repository.uncounted.keys()


@pytest.mark.parametrize("recipe", [repositories.notary_plain, repositories.notary_restricted])
def test_notary_recipes(recipe, server, notary, docker, fresh_directory):
    assert_real_programs_agree(recipe(server, fresh_directory()), notary, docker)


@pytest.mark.parametrize("key", ["ecdsa", "ecdsa-x509", "rsa", "rsa-x509"])
def test_delegations_of_every_kind_of_key(key, server, notary, docker, fresh_directory):
    repository = repositories.notary_delegated(server, fresh_directory(), key=key)
    assert_real_programs_agree(repository, notary, docker)
    declared = json.loads(server.metadata(repository.gun, "targets"))["signed"]["delegations"]["keys"]
    assert {public["keytype"] for public in declared.values()} == {key}
    for tag, image in repository.uncounted.items():
        assert notary.lookup(repository.gun, tag) == image


@pytest.mark.parametrize(
    "recipe",
    [repositories.docker_pushed, repositories.docker_signed, repositories.docker_revoked, repositories.docker_empty],
)
def test_docker_recipes(recipe, server, engine, notary, docker, fresh_directory):
    assert_real_programs_agree(recipe(server, fresh_directory(), engine), notary, docker)


@pytest.mark.parametrize("rotation", repositories.ROTATIONS)
def test_readers_follow_every_rotation(rotation, server, engine, notary, docker, fresh_directory):
    for repository in (
        repositories.notary_delegated(server, fresh_directory()),
        repositories.docker_signed(server, fresh_directory(), engine),
    ):
        assert_real_programs_agree(repository, notary, docker)
        repositories.rotate(repository, rotation)
        assert_real_programs_agree(repository, notary, docker)


def test_many_tags_are_published_at_once(server, notary, fresh_directory):
    repository = repositories.notary_many_tags(server, fresh_directory(), 1000)
    listed = notary.list(repository.gun)
    assert {tag: image[:2] for tag, image in listed.items()} == repository.tags


def test_first_sign_makes_the_registry_user_a_signer(server, engine, docker, fresh_directory):
    publisher = DockerTrust(server, fresh_directory(), engine)
    publisher.generate_key("bob", fresh_directory())
    publisher.login("registry.example:5000", "bob")
    gun = repositories.new_gun("first")
    publisher.sign(f"{gun}:v1", *repositories.make_image("first"))
    (inspected,) = json.loads(docker.inspect(gun))
    assert [signer["Name"] for signer in inspected["Signers"]] == ["bob"]


def test_docker_pulls_by_the_signed_digest(server, engine, docker, fresh_directory):
    repository = repositories.docker_signed(server, fresh_directory(), engine)
    docker.engine = engine
    docker.run("pull", f"{repository.gun}:v1")
    digest, _ = repository.tags["v1"]
    assert f"POST /images/{repository.gun}@{digest}/tag" in engine.calls
    with pytest.raises(CommandFailed, match="No valid trust data for nope"):
        docker.run("pull", f"{repository.gun}:nope")


def test_real_programs_read_their_cache_when_the_server_is_gone(engine, fresh_directory):
    with NotaryServer(fresh_directory()) as server:
        repository = repositories.notary_plain(server, fresh_directory())
        notary, docker = Notary(server, fresh_directory()), DockerTrust(server, fresh_directory())
        online = notary.lookup(repository.gun, "v1"), docker.inspect(repository.gun)
        server.stop()
        assert (notary.lookup(repository.gun, "v1"), docker.inspect(repository.gun)) == online


def test_a_changed_byte_on_the_way_is_refused_by_the_real_programs(server, docker, fresh_directory):
    repository = repositories.notary_plain(server, fresh_directory())

    def change(path, body):
        return body.replace(b'"v10"', b'"v11"') if "/targets." in path else body

    with Proxy(server, change) as proxy:
        for reader in (Notary(proxy, fresh_directory()), DockerTrust(proxy, fresh_directory())):
            with pytest.raises(CommandFailed):
                reader.lookup(repository.gun, "v1") if isinstance(reader, Notary) else reader.inspect(repository.gun)
        assert any("/targets." in path for path in proxy.requests)
        proxy.change = lambda path, body: body
        assert Notary(proxy, fresh_directory()).lookup(repository.gun, "v1") == repository.tags["v1"]


def test_no_program_accepts_a_server_of_another_ca(server, engine, fresh_directory):
    repository = repositories.notary_plain(server, fresh_directory())
    stranger = NotaryServer(fresh_directory())
    with pytest.raises(CommandFailed):
        Notary(server, fresh_directory(), ca_file=stranger.ca_file).lookup(repository.gun, "v1")
    with pytest.raises(CommandFailed, match="cannot access"):
        DockerTrust(server, fresh_directory(), ca_file=stranger.ca_file).inspect(repository.gun)
