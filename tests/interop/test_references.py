"""References with digests, and what each refusal is called."""

import pytest

from interop.verifiers import COMMAND, environment, options
from lab import NotaryServer, Proxy, run
from lab.need import need

OTHER_DIGEST = "sha256:" + "0" * 64


@pytest.fixture
def signed(published):
    return published("docker-signed")


def test_the_answer_says_who_signed_what(client, signed):
    image = client.verify(f"{signed.gun}:v1")
    digest, size = signed.tags["v1"]
    assert (image.digest, image.size, image.tag, image.repository) == (digest, size, "v1", signed.gun)
    assert image.role == "targets/releases"
    assert sorted(image.signers) == ["alice", "bob"]
    assert image.pinned_reference == f"{signed.gun}@{digest}"
    assert image.fresh


def test_tag_and_digest_must_match(client, tagtrust, signed):
    digest, _ = signed.tags["v1"]
    assert client.verify(f"{signed.gun}:v1@{digest}").digest == digest
    with pytest.raises(tagtrust.DigestMismatch, match=digest):
        client.verify(f"{signed.gun}:v1@{OTHER_DIGEST}")
    # Signed, but as another tag.
    with pytest.raises(tagtrust.DigestMismatch):
        client.verify(f"{signed.gun}:v2@{digest}")


def test_a_digest_alone_is_trusted_when_a_tag_that_counts_has_it(client, tagtrust, signed):
    digest, _ = signed.tags["v2"]
    image = client.verify(f"{signed.gun}@{digest}")
    assert image.digest == digest
    assert list(image.tags) == ["v2"]
    with pytest.raises(tagtrust.TagNotSigned):
        client.verify(f"{signed.gun}@{OTHER_DIGEST}")


def test_a_digest_that_only_an_uncounted_role_signed_is_refused(client, tagtrust, published):
    repository = published("notary-delegated")
    for digest, _ in repository.uncounted.values():
        with pytest.raises(tagtrust.TagNotSigned):
            client.verify(f"{repository.gun}@{digest}")


def test_each_refusal_has_its_class(client, tagtrust, server, signed, tmp_path, fresh_directory):
    with pytest.raises(tagtrust.InvalidReference):
        client.verify("registry.example/UPPER:v1")
    with pytest.raises(tagtrust.NoTrustData, match="unknown"):
        client.verify("registry.example:5000/lab/unknown:v1")
    with pytest.raises(tagtrust.TagNotSigned, match="absent"):
        client.verify(f"{signed.gun}:absent")

    stranger = NotaryServer(fresh_directory())
    distrustful = tagtrust.Client(trust_dir=tmp_path / "other", server=server.url, ca_file=stranger.ca_file)
    with pytest.raises(tagtrust.Unreachable):
        distrustful.verify(f"{signed.gun}:v1")
    nobody = tagtrust.Client(trust_dir=tmp_path / "other", server=stranger.url, ca_file=stranger.ca_file)
    with pytest.raises(tagtrust.Unreachable):
        nobody.verify(f"{signed.gun}:v1")

    def change(path, body):
        return body.replace(b'"v10"', b'"v11"') if "/targets" in path else body

    with Proxy(server, change) as proxy:
        deceived = tagtrust.Client(trust_dir=tmp_path / "other", server=proxy.url, ca_file=proxy.ca_file)
        with pytest.raises(tagtrust.Tampered):
            deceived.verify(f"{signed.gun}:v1")


def test_many_references_each_have_their_own_result(client, tagtrust, signed, published):
    plain = published("notary-plain")
    references = [f"{signed.gun}:v1", f"{plain.gun}:absent", f"{plain.gun}:v10"]
    first, second, third = client.verify_many(references)
    assert first.digest == signed.tags["v1"][0]
    assert isinstance(second, tagtrust.TagNotSigned)
    assert third.digest == plain.tags["v10"][0]


def test_exit_status_tells_refused_from_undecided(server, signed, tmp_path, fresh_directory):
    need(COMMAND.exists(), "the command `tagtrust`")

    def verify(*words, server=server):
        settings = options(server, tmp_path / "trust")
        return run(COMMAND, "verify", *settings, *words, env=environment(), check=False)

    accepted = verify(f"{signed.gun}:v1")
    assert (accepted.returncode, accepted.stdout) == (0, f"{signed.gun}@{signed.tags['v1'][0]}\n")
    refused = verify(f"{signed.gun}:absent")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert verify("registry.example/UPPER").returncode == 2
    assert verify("--no-such-option").returncode == 2
    assert verify().returncode == 2
    undecided = verify("registry.example:5000/lab/never-seen:v1", server=NotaryServer(fresh_directory()))
    assert (undecided.returncode, undecided.stdout) == (3, "")
    # Of several references the one that is not trusted decides.
    mixed = verify(f"{signed.gun}:v1", f"{signed.gun}:absent")
    assert (mixed.returncode, mixed.stdout) == (1, f"{signed.gun}@{signed.tags['v1'][0]}\n")
