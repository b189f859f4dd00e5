"""The digest from Rust, C and Python is the one that the real `notary` prints."""

import pytest

from interop.verifiers import Refused, digest_of
from lab import Notary, repositories
from lab.repositories import RELEASES, TAG_IN_BOTH, build


def assert_same_answers(verifier, repository, server, trust_dir, notary):
    """Every tag that counts has `notary`'s digest, and no other tag has any."""
    listed = notary.list(repository.gun, [RELEASES, "targets"])
    for tag, (digest, _) in repository.tags.items():
        pinned = verifier.verify(f"{repository.gun}:{tag}", server, trust_dir)
        assert pinned == f"{repository.gun}@{digest}"
        assert digest_of(pinned) == listed[tag][0]
        if tag != TAG_IN_BOTH:
            assert digest_of(pinned) == notary.lookup(repository.gun, tag)[0]
    for tag in ("absent", *repository.uncounted):
        with pytest.raises(Refused):
            verifier.verify(f"{repository.gun}:{tag}", server, trust_dir)


def test_every_kind_of_repository(verifier, repository, server, notary, tmp_path):
    assert_same_answers(verifier, repository, server, tmp_path / "trust", notary)


@pytest.mark.parametrize("recipe", ["notary-delegated", "docker-signed"])
@pytest.mark.parametrize("rotation", repositories.ROTATIONS)
def test_after_every_rotation(recipe, rotation, verifiers, server, engine, fresh_directory):
    repository = build(recipe, server, engine, fresh_directory())
    notary = Notary(server, fresh_directory())
    filled = {verifier: fresh_directory() for verifier in verifiers}
    for verifier, trust_dir in filled.items():
        verifier.verify(f"{repository.gun}:v2", server, trust_dir)

    repositories.rotate(repository, rotation)

    for verifier, trust_dir in filled.items():
        assert_same_answers(verifier, repository, server, trust_dir, notary)
        assert_same_answers(verifier, repository, server, fresh_directory(), notary)


def test_a_new_signature_replaces_the_old_one(verifier, server, notary, fresh_directory, tmp_path):
    repository = repositories.notary_plain(server, fresh_directory())
    reference = f"{repository.gun}:v1"
    before = verifier.verify(reference, server, tmp_path / "trust")
    digest, size = repository.tags["v1"] = repositories.make_image("another image")
    repository.admin.addhash(repository.gun, "v1", size, digest.removeprefix("sha256:"))
    repository.admin.publish(repository.gun)
    assert verifier.verify(reference, server, tmp_path / "trust") != before
    assert_same_answers(verifier, repository, server, tmp_path / "trust", notary)


def test_a_revoked_tag_is_refused_from_then_on(verifier, server, fresh_directory, tmp_path):
    repository = repositories.notary_plain(server, fresh_directory())
    reference = f"{repository.gun}:v1"
    verifier.verify(reference, server, tmp_path / "trust")
    repository.admin.run("remove", repository.gun, "v1", "--publish")
    with pytest.raises(Refused, match="v1"):
        verifier.verify(reference, server, tmp_path / "trust")
