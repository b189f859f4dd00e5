"""Verification of files that somebody else fetched."""

import copy
import json
import logging
import pickle
import time
import types
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from attacks import tuf
from attacks.faults import FAULTS, FILLED, TAMPERED, TRUSTED, Scene, cache_of

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
    assert load(repository.last, known_roots=[first]).verify("2.0").digest == DIGESTS["2.0"]
    with pytest.raises(tagtrust.RolledBack):
        tagtrust.TrustedSet(GUN, first, known_roots=[last])
    with pytest.raises(tagtrust.InvalidInput, match=r"known_roots\[0\]"):
        tagtrust.TrustedSet(GUN, last, known_roots=[b"{}"])
    # Nor is what is empty: without a known root the pins alone would decide.
    empty = (b"", bytearray(), memoryview(b""), "", {}, iter(()))
    for no_sequence_of_files in (last, "root", None, [None], [1], 1, *empty):
        with pytest.raises(TypeError):
            tagtrust.TrustedSet(GUN, last, known_roots=no_sequence_of_files)
    with pytest.raises(tagtrust.RootNotTrusted):
        tagtrust.TrustedSet("registry.example/team/other", last)
    (root_key,) = json.loads(last)["signed"]["roles"]["root"]["keyids"]
    assert load(repository.last, pinning=tagtrust.Pinning({GUN: [root_key]})).verify("2.0")
    for pinning in (tagtrust.Pinning(), tagtrust.Pinning({GUN: ["0" * 64]})):
        with pytest.raises(tagtrust.RootNotTrusted):
            tagtrust.TrustedSet(GUN, last, pinning=pinning)


def version_of(root):
    return json.loads(root)["signed"]["version"]


def rotated(times):
    """The files of a repository whose root keys changed that often; all versions but the last one have expired."""
    published = tuf.Repository(GUN)
    published["targets"].signed["targets"]["1"] = tuf.target(b"manifest")
    for number in range(times):
        published["root"].signed["expires"] = tuf.rfc3339(tuf.NOW - tuf.DAY)
        published.rotate_root([tuf.root_key(f"root {number}", GUN)])
    published["root"].signed["expires"] = tuf.rfc3339(tuf.NOW + tuf.DAY)
    return {name[:-5]: data for name, data in published.files().items()}


def test_a_root_is_reached_through_versions_that_have_expired(load, tagtrust):
    files = rotated(3)
    versions = [files[f"{version}.root"] for version in (1, 2, 3)]
    for start in range(3):
        for known_roots in (versions[start:], tuple(versions[start:])):
            assert load(files, known_roots=known_roots).verify("1").digest == tuf.digest_of(tuf.target(b"manifest"))
    with pytest.raises(tagtrust.RootNotTrusted) as caught:
        tagtrust.TrustedSet(GUN, files["root"], known_roots=versions[:1])
    assert caught.value.fault["kind"] == "broken_rotation"
    with pytest.raises(tagtrust.Expired):
        tagtrust.TrustedSet(GUN, versions[2], known_roots=versions[:2])
    for wrong, place in (([0, 2], 1), ([0, 2, 1], 1), ([1, 0, 2], 1), ([0, 1, 1, 2], 2), ([0, 1, 2, 1], 3)):
        with pytest.raises(tagtrust.RootNotTrusted) as caught:
            tagtrust.TrustedSet(GUN, files["root"], known_roots=[versions[index] for index in wrong])
        assert caught.value.fault["kind"] == "broken_chain"
        assert caught.value.fault["detail"].startswith(f"known_roots[{place}]: ")


ROOT_FAULTS = [name for name, fault in FAULTS.items() if name.startswith("rotation: ") and fault.roles == ("root",)]


@pytest.mark.parametrize("name", [name for name in ROOT_FAULTS if FILLED in FAULTS[name].expect])
def test_a_set_goes_from_root_to_root_as_a_client_does(name, tagtrust):
    """That a client answers so is tested in tests/attacks."""
    fault = FAULTS[name]
    scene = Scene(fault)
    served, known = scene.repo.files(), scene.cached["root.json"]
    files = {file[:-5]: data for file, data in cache_of(served).items()}

    def verify(*known_roots):
        trusted = tagtrust.TrustedSet(GUN, files["root"], known_roots=known_roots)
        trusted.add_all(files)
        return trusted.verify(fault.tag)

    def answer():
        """First with the known root alone; if its keys did not sign the new one, with those between."""
        try:
            verify(known)
        except tagtrust.RootNotTrusted as error:
            if error.fault["kind"] != "broken_rotation":
                return error
        except tagtrust.TrustError as error:
            return error
        else:
            return None
        between = range(version_of(known) + 1, min(version_of(files["root"]), version_of(known) + 20))
        try:
            verify(known, *(served[name] for name in map("{}.root.json".format, between) if name in served))
        except tagtrust.TrustError as error:
            return error

    error = answer()
    said = TRUSTED if error is None else type(error).__name__
    if fault.expect[FILLED] == TAMPERED and said == "RootNotTrusted":
        # Of a version that cannot be read it is said where it stands.
        assert error.fault["kind"] == "broken_chain" and "malformed" in error.fault["detail"]
    else:
        assert said == fault.expect[FILLED], error


def test_there_are_many_ways_from_root_to_root():
    assert len(ROOT_FAULTS) >= 30


def test_all_files_are_added_at_once(load, tagtrust, repository):
    files = repository.last
    assert "targets/unpublished" not in files and "targets/alice" in files
    trusted = tagtrust.TrustedSet(GUN, files["root"])
    trusted.add_all(types.MappingProxyType(files))
    assert trusted.next_role is None
    assert trusted.verify("2.0") == load(files).verify("2.0")
    # What is not asked for does not matter, whatever it is.
    trusted.add_all({"timestamp": b"", "targets/other": b"{}"})
    trusted = tagtrust.TrustedSet(GUN, files["root"])
    trusted.add_all(files | {"targets/unpublished": b"", "targets/other": b"{}", "": b"", "mirror.json": b"x"})
    assert trusted.verify("2.0").digest == DIGESTS["2.0"]


def test_add_all_goes_as_far_as_there_are_files(tagtrust, repository):
    trusted = tagtrust.TrustedSet(GUN, repository.last["root"])
    trusted.add_all({})
    assert trusted.next_role == "timestamp"
    for role in ("timestamp", "snapshot", "targets"):
        others = {name: file for name, file in repository.last.items() if name != role}
        trusted.add_all(others)
        assert trusted.next_role == role
        with pytest.raises(tagtrust.InvalidInput):
            trusted.verify("2.0")
        trusted.add_all({role: repository.last[role]})
        assert trusted.next_role != role
    trusted.add_all(repository.last)
    assert trusted.verify("2.0")


def test_what_add_all_refuses_comes_next_and_the_rest_stays(tagtrust, repository):
    for role in ("timestamp", "snapshot", "targets", "targets/alice"):
        trusted = tagtrust.TrustedSet(GUN, repository.last["root"])
        for wrong in (b"", b"{}", repository.first["root"]):
            with pytest.raises(tagtrust.Tampered):
                trusted.add_all(repository.last | {role: wrong})
            assert trusted.next_role == role
        trusted.add_all(repository.last)
        assert trusted.verify("2.0").digest == DIGESTS["2.0"]
    for no_files in (None, [], b"", [("timestamp", b"")], {"timestamp": "text"}, {1: b""}, {None: None}):
        with pytest.raises(TypeError):
            tagtrust.TrustedSet(GUN, repository.last["root"]).add_all(no_files)


def test_add_all_asks_the_clock_once_and_keeps_log_handlers_out(tagtrust, repository):
    asked, seen = [], []

    def clock():
        asked.append(time.time())
        return asked[-1]

    published = tuf.Repository(GUN)
    published.delegate("targets/late", [tuf.key("late")])
    published["targets/late"].signed["expires"] = tuf.rfc3339(tuf.NOW - tuf.DAY)
    files = {name[:-5]: data for name, data in published.files().items()}
    trusted = tagtrust.TrustedSet(GUN, files["root"], clock=clock)

    class Handler(logging.Handler):
        def emit(self, record):
            seen.append(record.getMessage())
            with pytest.raises(RuntimeError, match="what calls it"):
                trusted.add_all(files)

    handler = Handler()
    logging.getLogger("tagtrust").addHandler(handler)
    try:
        asked.clear()
        trusted.add_all(files)
    finally:
        logging.getLogger("tagtrust").removeHandler(handler)
    # The handler's own call asks, too, before it is refused.
    assert len(asked) == 1 + len(seen)
    # A delegation that does not count ends nothing.
    assert trusted.next_role is None and "targets/late" in seen[0] and len(seen) == 1


def test_threads_add_to_sets_of_their_own_and_to_one(tagtrust, repository):
    one = tagtrust.TrustedSet(GUN, repository.last["root"])

    def work(_):
        trusted = tagtrust.TrustedSet(GUN, repository.last["root"])
        trusted.add_all(repository.last)
        one.add_all(repository.last)
        return trusted.verify("2.0").digest, one.verify("2.0").digest

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, range(64))) == {(DIGESTS["2.0"], DIGESTS["2.0"])}


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
