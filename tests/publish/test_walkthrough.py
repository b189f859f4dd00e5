"""A first-time user of Docker Content Trust, with the real `docker` on the other side of each step."""

import json

import pytest

from interop.verifiers import COMMAND
from lab.need import need
from lab.repositories import make_image
from publish.sides import CommandUser, PythonUser


@pytest.fixture(params=[PythonUser, CommandUser], ids=["python", "command"])
def us_and_them(request, publisher):
    """Two users of one trust directory, and its repository."""
    if request.param is CommandUser:
        need(COMMAND.exists(), "the command `tagtrust`")
    one = publisher(name="walk")
    return request.param(one), one.docker, one


@pytest.mark.parametrize("sides_changed", [False, True], ids=["docker-first", "we-first"])
def test_the_walkthrough(sides_changed, us_and_them, fresh_directory):
    us, docker, publisher = us_and_them
    first, second = (us, docker) if sides_changed else (docker, us)
    gun, reference = publisher.gun, publisher.reference

    def rows() -> dict[str, tuple[str, list[str]]]:
        """{tag: (digest, signers)}, on which all of us agree byte for byte."""
        assert us.pretty(gun) == docker.pretty(gun)
        (ours,), (theirs,) = json.loads(as_list(us.inspect(gun))), json.loads(docker.inspect(gun))
        assert ours == theirs
        return {row["SignedTag"]: (f"sha256:{row['Digest']}", row["Signers"]) for row in theirs["SignedTags"]}

    # Key and signer: the repository is new, so adding one initialises it.
    key = first.generate_key("alice", fresh_directory())
    second.add_signer("alice", gun, key)
    assert rows() == {}

    # One signs, the other signs the same tag again: for Docker a tag that is known needs no engine.
    v1, v2, v3 = (make_image(tag) for tag in ("v1", "v2", "v3"))
    second.sign(reference("v1"), *v1)
    assert rows() == {"v1": (v1[0], ["alice"])}
    first.sign(reference("v1"), *v1)
    assert rows() == {"v1": (v1[0], ["alice"])}
    second.sign(reference("v2"), *v2)
    first.sign(reference("v3"), *v3)
    assert rows() == {tag: (digest, ["alice"]) for tag, (digest, _) in (("v1", v1), ("v2", v2), ("v3", v3))}

    # A second signer, whose key the other made.
    first.add_signer("bob", gun, second.generate_key("bob", fresh_directory()))
    second.sign(reference("v1"), *v1)
    assert rows()["v1"] == (v1[0], ["alice", "bob"])
    first.sign(reference("v2"), *v2)
    assert rows()["v2"] == (v2[0], ["alice", "bob"])

    # What a consumer sees.
    assert docker.pull(reference("v1")) == f"{reference('v1')}@{v1[0]}"
    assert publisher.client.verify(reference("v2")).digest == v2[0]

    second.revoke(reference("v1"))
    assert rows().keys() == {"v2", "v3"}
    first.revoke(reference("v2"))
    assert rows().keys() == {"v3"}


@pytest.mark.parametrize("sides_changed", [False, True], ids=["docker-first", "we-first"])
def test_pushed_with_content_trust_and_signed_without_signers(sides_changed, us_and_them):
    us, docker, publisher = us_and_them
    steps = [docker.push, us.sign] if sides_changed else [us.sign, docker.push]
    for number, sign in enumerate(steps * 2):
        sign(publisher.reference(f"v{number}"), *make_image(f"v{number}"))
        assert us.pretty(publisher.gun) == docker.pretty(publisher.gun)
        assert docker.pull(publisher.reference(f"v{number}")).endswith(make_image(f"v{number}")[0])
    assert docker.pretty(publisher.gun).count("(Repo Admin)") == 4


def test_signers_with_machines_of_their_own(us_and_them, publisher, fresh_directory):
    """The administrator has no signer's key, the signers none of the administrator's."""
    _, _, admin = us_and_them
    alice, bob = publisher(name="alice"), publisher(name="bob")
    by_docker = alice.docker.generate_key("alice", fresh_directory())
    by_us = PythonUser(bob).generate_key("bob", fresh_directory())
    us = us_and_them[0]
    us.add_signer("alice", admin.gun, by_docker)
    admin.docker.add_signer("bob", admin.gun, by_us)
    image = make_image("v1")
    alice.docker.sign(admin.reference("v1"), *image)
    bob.client.sign(admin.reference("v1"), *image)
    (inspected,) = json.loads(admin.docker.inspect(admin.gun))
    assert inspected["SignedTags"] == [{"SignedTag": "v1", "Digest": image[0][7:], "Signers": ["alice", "bob"]}]


def as_list(inspection: str) -> str:
    """Python gives one object, the commands give a list."""
    return inspection if inspection.startswith("[") else f"[{inspection}]"
