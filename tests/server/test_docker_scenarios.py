"""The scenarios of `docker trust`, by number: the real one and our command, on either server.

Where Docker has a defect, the test says what it does, and that we do what was meant.
"""

import contextlib
import json
import stat
import subprocess
import urllib.error

import pytest

from lab import DockerTrust
from lab.certificates import make_delegation_key
from lab.notary import PASSPHRASE
from lab.repositories import RELEASES, make_image
from publish.conftest import canonical_id, signed, unchanged, versions
from publish.users import file, repository
from server.conftest import ONE_OF_EACH, site_id

pytestmark = pytest.mark.parametrize("site", ONE_OF_EACH, indirect=True, ids=site_id)

GENERATE = ("key", "generate", "--dir", file("."))


def test_43_a_signers_key_is_made_once(both):
    both(*GENERATE, "alice")
    for user in both:
        public = user.directory / "alice.pub"
        assert stat.S_IMODE(public.stat().st_mode) == 0o600
        assert public.read_text().startswith("-----BEGIN PUBLIC KEY-----\nrole: alice\n\n")
        (private,) = user.trust_dir.glob("private/*.key")
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
        assert private.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----\nrole: alice\n\n")
        assert user.keys() == {"alice": private.stem}
    before = [(user.directory / "alice.pub").read_bytes() for user in both]
    with nothing_moves(both):
        refused = both(*GENERATE, "alice", status=2)
    assert "public key file already exists" in refused.stderr
    assert [(user.directory / "alice.pub").read_bytes() for user in both] == before


def test_44_the_name_of_a_signer_begins_in_lower_case(both):
    refused = both(*GENERATE, "Al", status=2)
    assert refused.stderr.startswith('key name "Al" must start with lowercase alphanumeric characters')
    for user in both:
        assert user.keys() == {} and not list(user.directory.glob("*.pub"))


def test_45_a_key_is_loaded_from_a_file_that_nobody_else_can_read(both):
    for user in both:
        make_key_files(user.directory)
    with nothing_moves(both):
        refused = both("key", "load", file("open.key"), "--name", "bob", status=2)
    assert "open.key must not be readable or writable by others" in refused.stderr
    both("key", "load", file("own.key"), "--name", "bob")
    for user in both:
        assert user.keys() == {"bob": canonical_id(user.directory / "own.key")}
    # Docker says that it imported this one, too, and did not.
    both("key", "load", file("encrypted.key"), "--name", "carol")
    assert "carol" not in both.them.keys()
    encrypted = both.us.directory / "encrypted.key"
    assert both.us.keys()["carol"] == canonical_id(encrypted, PASSPHRASE.encode())


def test_46_the_first_signer_makes_the_repository(both):
    both(*GENERATE, "alice")
    added = both("signer", "add", "--key", file("alice.pub"), "alice", repository)
    gun = both.us.gun
    assert f'Initializing signed repository for {gun}...\nSuccessfully initialized "{gun}"\n' in added.stdout
    for user in both:
        assert published(user)["targets"] == 2
        everything = ([""], [user.keys()["alice"]], 1)
        assert user.notary.delegations(user.gun) == {"targets/alice": everything, RELEASES: everything}


def test_47_a_signer_is_not_called_releases_and_has_a_key(both):
    have_signers(both, "alice")
    with nothing_moves(both):
        refused = both("signer", "add", "--key", file("alice.pub"), "releases", repository, status=2)
        assert refused.stderr == "releases is a reserved keyword, use a different signer name\n"
        refused = both("signer", "add", "bob", repository, status=2)
        assert refused.stderr == "path to a public key must be provided using the `--key` flag\n"


def test_48_a_repository_of_somebody_else_does_not_keep_a_signer_from_the_next(both):
    have_signers(both, "alice")
    others = both.others()
    others(*GENERATE, "bob")

    def words(user):
        return "signer", "add", "--key", user.directory / "bob.pub", "bob", user.gun, f"{user.gun}-good"

    with nothing_moves(both):
        ours = others.us.run(*words(others.us), status=3)
        theirs = others.them.docker.trust(*words(others.them), check=False)
    assert theirs.returncode == 1
    for user, said in zip(others, (ours, theirs)):
        assert f"Successfully added signer: bob to {user.gun}-good\n" in said.stdout
        assert said.stdout.count("Successfully added") == 1
        assert said.stderr.endswith(f"failed to add signer to: {user.gun}\n")
        assert set(user.notary.delegations(f"{user.gun}-good")) == {"targets/bob", RELEASES}


def test_49_a_released_tag_is_signed_again_without_the_image(both):
    have_signers(both, "alice", tags=["v1"])
    ours = both.us.sign("v1")
    theirs = without_engine(both.them).trust("sign", f"{both.them.gun}:v1")
    assert both.us.plain(ours.stdout) == both.them.plain(theirs.stdout)
    digest = make_image("v1")[0].removeprefix("sha256:")
    assert f"Existing signatures for tag v1 digest {digest} from:\nalice\n" in ours.stdout
    assert f"Successfully signed {both.us.gun}:v1\n" in ours.stdout
    for user in both:
        assert user.tags() == {"v1": make_image("v1")}


def test_50_of_an_image_that_is_nowhere_nothing_is_published(both):
    with nothing_moves(both):
        # Docker asks the engine, we ask the registry.
        refused = without_engine(both.them).trust("sign", f"{both.them.gun}:v1", check=False)
        assert refused.returncode == 1 and "Cannot connect to the Docker daemon" in refused.stderr
        refused = both.us.run("sign", f"{both.us.gun}:v1", status=3)
        assert f"failed to sign {both.us.gun}:v1: " in refused.stderr and "registry.example" in refused.stderr
    for user in both:
        assert published(user) is None


def test_51_the_first_signature_makes_the_repository(both, engine):
    us, them = both
    them.docker.login("registry.example:5000", "bob")
    engine.images[f"{them.gun}:v1"] = make_image("v1")
    said = them.docker.trust("sign", f"{them.gun}:v1").stdout
    assert "Created signer: bob\n" in said and f"Finished initializing signed repository for {them.gun}:v1\n" in said
    roles = {"root": 1, "targets": 2, "targets/bob": 1, RELEASES: 1}
    assert published(them).items() >= roles.items()
    for role in ("targets/bob", RELEASES):
        assert them.tags_in(role) == {"v1"}
    # We make no signer of a registry's user: as with `docker push`, the owner signs.
    said = us.sign("v1").stdout
    assert f"Finished initializing signed repository for {us.gun}\n" in said
    assert published(us) == {"root": 1, "targets": 2, "snapshot": 1, "timestamp": 1}
    for user in both:
        assert user.tags() == {"v1": make_image("v1")}


def test_52_an_unchanged_tag_makes_no_new_versions(both):
    have_signers(both, "alice", tags=["v1"])
    ours, theirs = (published(user) for user in both)
    both.us.sign("v1")
    without_engine(both.them).trust("sign", f"{both.them.gun}:v1")
    # Docker makes an empty upload, for which the server signs anew. We make none.
    assert published(both.us) == ours
    assert published(both.them) == theirs | {role: theirs[role] + 1 for role in ("snapshot", "timestamp")}


def test_53_a_signer_changes_his_own_roles_only(both):
    have_signers(both, "alice", "bob", tags=["v1"])
    bobs = both.others()
    for bob, admin in zip(bobs, both):
        bob.bring_key("bob", admin)
    before = [published(user) for user in both]
    bobs.us.sign("v3")
    bobs.them.docker.engine.images[f"{both.them.gun}:v3"] = make_image("v3")
    bobs.them.docker.trust("sign", "--local", f"{both.them.gun}:v3")
    for user, old in zip(both, before):
        changed = {role for role, version in published(user).items() if version != old[role]}
        assert changed == {"targets/bob", RELEASES, "snapshot", "timestamp"}
        rows = {row["SignedTag"]: row["Signers"] for row in inspect(user)["SignedTags"]}
        assert rows == {"v1": ["alice", "bob"], "v3": ["bob"]}


def test_54_who_has_no_signers_key_signs_nothing(both):
    have_signers(both, "alice", tags=["v1"])
    strangers, (digest, size) = both.others(), make_image("v1")
    with nothing_moves(both), nothing_moves(strangers):
        refused = strangers.us.run("sign", f"{both.us.gun}:v1", "--digest", digest, "--size", size, status=3)
        theirs = without_engine(strangers.them).trust("sign", f"{both.them.gun}:v1", check=False)
    assert theirs.returncode == 1
    for said in (refused.stderr, theirs.stderr):
        assert "no valid signing keys for delegation roles" in said


def test_55_tags_and_signers_have_an_order(both):
    have_signers(both, "alice", "bob", tags=["v10", "v2", "v1"])
    inspected = agreed_inspection(both.them)
    assert [row["SignedTag"] for row in inspected["SignedTags"]] == ["v1", "v2", "v10"]
    assert [signer["Name"] for signer in inspected["Signers"]] == ["bob", "alice"]
    assert [row["Signers"] for row in inspected["SignedTags"]] == [["alice", "bob"]] * 3
    assert [role["Name"] for role in inspected["AdministrativeKeys"]] == ["Root", "Repository"]


def test_56_what_no_signer_signed_is_the_admins(both):
    both.us.sign("v1")
    both.them.docker.push(f"{both.them.gun}:v1", *make_image("v1"))
    for user in both:
        assert [row["Signers"] for row in agreed_inspection(user)["SignedTags"]] == [["Repo Admin"]]
        pretty = user.docker.pretty(user.gun)
        assert "(Repo Admin)" in pretty and user.run("inspect", "--pretty", user.gun).stdout == pretty


def test_57_an_absent_repository_does_not_hide_the_next(both):
    us, them = both
    them.docker.push(f"{them.gun}:v1", *make_image("v1"))
    found = []
    for inspected in (
        us.run("inspect", us.gun, them.gun, status=1),
        us.docker.trust("inspect", us.gun, them.gun, check=False),
    ):
        assert inspected.returncode == 1
        assert f"no signatures or cannot access {us.gun}\n" in inspected.stderr
        found.append(json.loads(inspected.stdout))
    assert found[0] == found[1] and [it["Name"] for it in found[0]] == [them.gun]
    for pretty in (
        us.run("inspect", "--pretty", us.gun, them.gun, status=1),
        us.docker.trust("inspect", "--pretty", us.gun, them.gun, check=False),
    ):
        assert (pretty.returncode, pretty.stdout) == (1, "")


def test_58_a_signers_certificate_is_shown_as_its_key(both):
    for user in both:
        make_delegation_key("ecdsa-x509", user.directory, "carol")
    both("signer", "add", "--key", file("carol.pem"), "carol", repository)
    for user in both:
        (signer,) = agreed_inspection(user)["Signers"]
        key = canonical_id(user.directory / "carol.key")
        assert signer == {"Name": "carol", "Keys": [{"ID": key}]}
        ((key_id, certificate),) = signed(user.docker.server, user.gun, "targets")["delegations"]["keys"].items()
        assert certificate["keytype"] == "ecdsa-x509" and key_id != key


def test_59_only_y_revokes(both):
    have_signers(both, "alice", tags=["v1", "v2"])
    with nothing_moves(both):
        asked = both("revoke", repository, input="yes\n")
    assert asked.stdout.endswith("[y/N] ")
    both("revoke", "-y", repository)
    for user in both:
        assert user.tags() == {}
        pulled = user.docker.run("pull", f"{user.gun}:v1", check=False)
        assert pulled.returncode == 1 and "No valid trust data for v1" in pulled.stderr
        (refused,) = user.json("verify", f"{user.gun}:v1", status=1)
        assert refused["error"] == "TagNotSigned"


def test_60_the_last_signer_goes_after_a_question(both):
    have_signers(both, "alice", tags=["v1"])
    with nothing_moves(both):
        asked = both.us.run("signer", "remove", "alice", both.us.gun, input="n\n")
        both.them.docker.trust("signer", "remove", "alice", both.them.gun, input="n\n")
    # Docker no longer says the last line.
    assert asked.stdout.endswith("[y/N] \nAborting action.\n")
    removed = both("signer", "remove", "alice", repository, input="y\n", stderr=False)
    assert "Removing this signer will make" in removed.stdout and "Successfully removed alice" in removed.stdout
    assert "targets/releases is no longer signed by enough of its keys" in removed.stderr
    for user in both:
        assert user.notary.delegations(user.gun) == {RELEASES: ([""], [], 1)}
        assert user.docker.run("pull", f"{user.gun}:v1", check=False).returncode == 1
        assert not user.json("verify", f"{user.gun}:v1", status=1)[0]["trusted"]


def test_60_any_other_signer_goes_without_one(both):
    have_signers(both, "alice", "bob", tags=["v1"])
    removed = both.us.run("signer", "remove", "--force", "bob", both.us.gun)
    said = 'Removing signer "bob" from {0}...\nSuccessfully removed bob from {0}\n\n'.format(both.us.gun)
    assert (removed.stdout, removed.stderr) == (said, "")
    alice = ([""], [both.us.keys()["alice"]], 1)
    assert both.us.notary.delegations(both.us.gun) == {"targets/alice": alice, RELEASES: alice}
    assert both.us.tags() == {"v1": make_image("v1")}
    # Docker says the first line, and does nothing.
    with nothing_moves(both):
        removed = both.them.docker.trust("signer", "remove", "--force", "bob", both.them.gun)
    assert removed.stdout == f'Removing signer "bob" from {both.them.gun}...\n'
    assert "targets/bob" in both.them.notary.delegations(both.them.gun)


# What a scenario begins with


def have_signers(both, *names, tags=()):
    """Made by Docker for either, each tag signed by all."""
    for user in both:
        for name in names:
            user.docker.add_signer(name, user.gun, user.docker.generate_key(name, user.directory))
        for tag in tags:
            user.docker.sign(f"{user.gun}:{tag}", *make_image(tag))


def make_key_files(directory):
    """One that others can read, one that they cannot, and one with a passphrase."""
    for name in ("open", "own", "encrypted"):
        _, path = make_delegation_key("ecdsa", directory, name)
    (directory / "open.key").chmod(0o644)
    openssl = ["openssl", "ec", "-aes256", "-in", path, "-out", path, "-passout", f"pass:{PASSPHRASE}"]
    subprocess.run(openssl, capture_output=True, check=True)


def without_engine(user) -> DockerTrust:
    return DockerTrust(user.docker.server, user.docker.config_dir)


# What comes of it


@contextlib.contextmanager
def nothing_moves(both):
    """Neither what the two have on disk nor what the server has."""
    with unchanged(both.us), unchanged(both.them):
        yield


def published(user) -> dict[str, int] | None:
    """The versions on the server; None if it does not know the repository."""
    with contextlib.suppress(urllib.error.HTTPError):
        return versions(user.docker.server, user.gun)
    return None


def inspect(user) -> dict:
    (inspected,) = json.loads(user.docker.inspect(user.gun))
    return inspected


def agreed_inspection(user) -> dict:
    """Of which both of us say the same, byte for byte."""
    assert user.run("inspect", user.gun).stdout == user.docker.inspect(user.gun)
    return inspect(user)
