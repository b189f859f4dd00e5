"""Verification of files that somebody else fetched."""

import copy
import json
import logging
import pickle
import time

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from attacks import tuf

GUN = "registry.example/team/app"
DIGESTS = {"1.0": f"sha256:{'1' * 64}", "2.0": f"sha256:{'2' * 64}"}


class Repository:
    """Signed by alice, on an embedded server; its files as they were at two moments."""

    def __init__(self, tagtrust, directory):
        with tagtrust.Server() as server:
            client = tagtrust.Client(
                server=server.url, trust_dir=directory / "trust", passphrase=lambda *_: "correct horse"
            )
            client.add_signer("alice", [client.generate_key("alice", directory).public_key_file], GUN)
            client.sign(f"{GUN}:1.0", DIGESTS["1.0"], 1570)
            self.first = self.files(directory)
            client.rotate_key(GUN, "targets")
            client.add_delegation(GUN, "targets/unpublished", [directory / "alice.pub"])
            client.sign(f"{GUN}:2.0", DIGESTS["2.0"], 1570)
            self.image = client.verify(f"{GUN}:2.0")
            self.last = self.files(directory)

    def files(self, directory):
        cached = directory / "trust/tuf" / GUN / "metadata"
        return {str(path.relative_to(cached))[:-5]: path.read_bytes() for path in cached.rglob("*.json")}


@pytest.fixture(scope="module")
def repository(tagtrust, tmp_path_factory):
    return Repository(tagtrust, tmp_path_factory.mktemp("set"))


@pytest.fixture
def load(tagtrust):
    """`load(files, **settings)`: a set with all of the files."""

    def load(files, **settings):
        trusted = tagtrust.TrustedSet(GUN, files["root"], **settings)
        trusted.add_timestamp(files["timestamp"])
        trusted.add_snapshot(files["snapshot"])
        while trusted.next_role is not None:
            trusted.add_role(files[trusted.next_role])
        return trusted

    return load


def test_files_that_belong_together_are_verified(load, tagtrust, repository):
    trusted = load(repository.last)
    image = trusted.verify("2.0")
    assert not image.fresh and repository.image.fresh
    for word in ("digest", "size", "tag", "signers", "role", "expires", "pinned_reference"):
        assert getattr(image, word) == getattr(repository.image, word)
    assert trusted.verify(f"{GUN}:1.0").digest == DIGESTS["1.0"]
    assert trusted.verify(f"{GUN}@{DIGESTS['1.0']}").tags == ("1.0",)
    with pytest.raises(tagtrust.TagNotSigned):
        trusted.verify("3.0")
    with pytest.raises(tagtrust.InvalidReference):
        trusted.verify("registry.example/team/other:1.0")
    assert repr(trusted) == f"TrustedSet(repository='{GUN}', next_role=None)"


def test_nothing_is_verified_before_all_files_are_there(tagtrust, repository):
    files = repository.last
    trusted = tagtrust.TrustedSet(GUN, files["root"])
    steps = [(trusted.add_timestamp, "timestamp"), (trusted.add_snapshot, "snapshot"), (trusted.add_role, "targets")]
    for add, role in steps:
        assert trusted.next_role == role
        with pytest.raises(tagtrust.InvalidInput):
            trusted.verify("2.0")
        add(files[role])
    assert trusted.next_role.startswith("targets/")


def test_what_does_not_belong_there_is_refused_and_changes_nothing(tagtrust, repository):
    files = repository.last
    trusted = tagtrust.TrustedSet(GUN, files["root"])
    with pytest.raises(tagtrust.TrustError):
        trusted.add_snapshot(files["snapshot"])
    with pytest.raises(tagtrust.Tampered):
        trusted.add_timestamp(repository.last["snapshot"])
    trusted.add_timestamp(files["timestamp"])
    for wrong in (repository.first["snapshot"], files["snapshot"] + b" ", b"", b"{}"):
        with pytest.raises(tagtrust.Tampered):
            trusted.add_snapshot(wrong)
        assert trusted.next_role == "snapshot"
    trusted.add_snapshot(files["snapshot"])
    with pytest.raises(tagtrust.Tampered):
        trusted.add_role(repository.first["targets"])
    assert trusted.next_role == "targets"


def test_a_root_must_follow_from_the_known_one_and_match_the_pins(load, tagtrust, repository):
    first, last = repository.first["root"], repository.last["root"]
    assert load(repository.last, known_root=first).verify("2.0").digest == DIGESTS["2.0"]
    with pytest.raises(tagtrust.RolledBack):
        tagtrust.TrustedSet(GUN, first, known_root=last)
    with pytest.raises(tagtrust.InvalidInput):
        tagtrust.TrustedSet(GUN, last, known_root=b"{}")
    with pytest.raises(tagtrust.RootNotTrusted):
        tagtrust.TrustedSet("registry.example/team/other", last)
    (root_key,) = json.loads(last)["signed"]["roles"]["root"]["keyids"]
    assert load(repository.last, pinning=tagtrust.Pinning({GUN: [root_key]})).verify("2.0")
    for pinning in (tagtrust.Pinning(), tagtrust.Pinning({GUN: ["0" * 64]})):
        with pytest.raises(tagtrust.RootNotTrusted):
            tagtrust.TrustedSet(GUN, last, pinning=pinning)


def test_policies_hold(load, tagtrust, repository):
    alice, bob = (tagtrust.Policy(rules=[tagtrust.Rule("*", all_of=[name])]) for name in ("alice", "bob"))
    assert load(repository.last, policy=alice).verify("2.0").signers == ("alice",)
    with pytest.raises(tagtrust.PolicyViolation):
        load(repository.last, policy=bob).verify("2.0")
    with pytest.raises(tagtrust.InvalidConfiguration):
        tagtrust.TrustedSet(GUN, repository.last["root"], policy=tagtrust.Policy("any"))


def test_the_clock_decides_what_has_expired(load, tagtrust, repository):
    now = [time.time()]
    trusted = load(repository.last, clock=lambda: now[0])
    assert trusted.verify("2.0")
    now[0] += 15 * 86_400
    with pytest.raises(tagtrust.Expired):
        trusted.verify("2.0")
    with pytest.raises(tagtrust.Expired):
        load(repository.last, clock=lambda: now[0])

    def broken():
        raise KeyError("no time")

    with pytest.raises(KeyError):
        tagtrust.TrustedSet(GUN, repository.last["root"], clock=broken)
    with pytest.raises(TypeError):
        tagtrust.TrustedSet(GUN, repository.last["root"], clock=lambda: None)


def test_an_answer_holds_no_longer_than_the_pinned_ca(load, tagtrust, tmp_path):
    ends, ca = tuf.NOW + tuf.DAY, ("authority", "Test Authority", "P-256")
    root = tuf.certificate("root", GUN, issuer=ca, purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    published = tuf.Repository(GUN, root_keys=[tuf.certificate_key("root", tuf.pem(root))])
    published["targets"].signed["targets"]["1"] = tuf.target(b"manifest")
    files = {name[:-5]: data for name, data in published.files().items()}
    (tmp_path / "ca.pem").write_bytes(tuf.pem(tuf.certificate(*ca, ca=True, ends=ends)))
    now = [ends.timestamp()]
    trusted = load(files, pinning=tagtrust.Pinning(ca={GUN: tmp_path / "ca.pem"}), clock=lambda: now[0])
    assert trusted.verify("1").expires == ends
    now[0] += 1
    with pytest.raises(tagtrust.Expired, match="root"):
        trusted.verify("1")


def test_a_log_handler_can_look_at_the_set_that_speaks_and_not_use_it(tagtrust, repository):
    now = [time.time()]
    trusted = tagtrust.TrustedSet(GUN, repository.last["root"], clock=lambda: now[0])
    seen = []

    class Handler(logging.Handler):
        def emit(self, record):
            seen.append((trusted.next_role, repr(trusted)))
            for use in (lambda: trusted.verify("2.0"), lambda: trusted.add_role(b"")):
                with pytest.raises(RuntimeError, match="what calls it"):
                    use()

    handler = Handler()
    logging.getLogger("tagtrust").addHandler(handler)
    try:
        while trusted.next_role is not None:
            # Only that delegation has expired, and this is said while it is added.
            now[0] = time.time() + (20 * 365 * 86400 if trusted.next_role == "targets/alice" else 0)
            trusted.add_role(repository.last[trusted.next_role])
    finally:
        logging.getLogger("tagtrust").removeHandler(handler)
    assert seen == [("targets/alice", f"TrustedSet(repository='{GUN}', next_role='targets/alice')")]


def test_a_set_is_neither_pickled_nor_copied(load, repository):
    trusted = load(repository.last)
    for make in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="cannot pickle 'tagtrust.TrustedSet' object"):
            make(trusted)
