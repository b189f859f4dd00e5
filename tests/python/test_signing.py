"""Signing: what callers say, what they are answered, and what their callbacks do."""

import gc
import json
import threading
import weakref
from datetime import datetime, timedelta, timezone

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lab.notary import PASSPHRASE
from lab.repositories import RELEASES, make_image, new_gun

ROOT = "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE"
REPOSITORY = "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in (ROOT, REPOSITORY):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def publish(connect):
    """As `connect`, with the passphrase."""
    return lambda **settings: connect(**{"passphrase": lambda *_: PASSPHRASE, **settings})


@pytest.fixture
def reader(connect, fresh_directory):
    """Somebody who sees only what is published."""
    return connect(trust_dir=fresh_directory())


@pytest.fixture
def gun():
    return new_gun("python")


def private_keys(tmp_path):
    return sorted(path.name for path in (tmp_path / "trust/private").glob("*.key"))


def custom_of(server, gun, tag):
    return json.loads(server.metadata(gun, "targets"))["signed"]["targets"][tag].get("custom")


class Elsewhere:
    """A key that is not on disk. `sign` can be replaced."""

    def __init__(self, tagtrust, key=None):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.sign = lambda message: self.key.sign(message, ec.ECDSA(SHA256()))
        self.pem = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.signer = tagtrust.CallbackSigner(self.pem, lambda message: self.sign(message))


class TestRound:
    def test_what_is_signed_is_verified_until_it_is_revoked(self, publish, reader, tagtrust, gun, tmp_path):
        client, image = publish(), make_image("v1")
        alice = client.generate_key("alice", tmp_path)
        added = client.add_signer("alice", [alice.public_key_file], gun)
        assert added.published and {file.role for file in added.files} == {"root", "targets"}

        signed = client.sign(f"{gun}:v1", *image)
        assert (signed.repository, signed.published, signed.attempts, signed.warnings) == (gun, True, 1, ())
        assert {(change.action, change.type, change.role, change.path) for change in signed.changes} == {
            ("create", "target", role, "v1") for role in ("targets/alice", RELEASES)
        }
        verified = reader.verify(f"{gun}:v1")
        assert (verified.digest, verified.size, verified.signers) == (*image, ("alice",))
        (row,) = reader.inspect(gun).signed_tags
        assert (row.tag, row.signers) == ("v1", ("alice",))

        assert client.revoke(f"{gun}:v1").published
        with pytest.raises(tagtrust.TagNotSigned):
            reader.verify(f"{gun}:v1")
        with pytest.raises(tagtrust.TagNotSigned):
            client.revoke(f"{gun}:v1")

    def test_many_changes_are_one_upload(self, publish, reader, proxy, gun):
        client = publish(to=proxy)
        images = {f"v{number}": make_image(str(number)) for number in range(20)}
        edit = client.edit(gun)
        for tag, image in images.items():
            assert edit.sign(tag, *image) is edit
        assert repr(edit) == f"Edit(repository='{gun}', changes=20)"
        planned = edit.dry_run()
        assert not planned.published and not proxy.sent
        assert len(edit.publish().changes) == len(planned.changes) == 20
        assert [method for method, path, _ in proxy.sent if path.endswith("/tuf/")] == ["POST"]
        verified = reader.verify_many([f"{gun}:{tag}" for tag in images])
        assert [(image.digest, image.size) for image in verified] == list(images.values())

    def test_a_new_repository_s_first_edit_can_revoke_what_it_signs(self, publish, reader, gun):
        edit = publish().edit(gun).sign("v1", *make_image("v1")).sign("v2", *make_image("v2"))
        edit.revoke().sign("v3", *make_image("v3")).publish()
        assert [row.tag for row in reader.inspect(gun).signed_tags] == ["v3"]

    def test_an_edit_keeps_its_client(self, publish, reader, gun):
        edit = publish().edit(gun)
        assert edit.sign("v1", *make_image("v1")).publish().published
        assert reader.verify(f"{gun}:v1").fresh

    def test_sign_many_answers_for_each_repository(self, publish, reader, tagtrust, signed):
        first, second = new_gun("first"), new_gun("second")
        references = [(f"{first}:v1", *make_image("1")), (f"{signed.gun}:v1", *make_image("not ours"))]
        references += [(f"{second}:v1", *make_image("2")), (f"{first}:v2", *make_image("3"))]
        one, refused, two = publish(parallelism=3).sign_many(references)
        assert [(it.repository, len(it.changes)) for it in (one, two)] == [(first, 2), (second, 1)]
        assert isinstance(refused, tagtrust.KeyNotFound)
        for reference, digest, size in (references[0], *references[2:]):
            assert reader.verify(reference).digest == digest
        assert reader.verify(f"{signed.gun}:v1").digest == signed.tags["v1"][0]

    def test_a_dry_run_makes_nothing(self, connect, reader, tagtrust, gun, tmp_path):
        def never(*_):
            raise AssertionError("asked for a passphrase")

        client, image = connect(passphrase=never), make_image("v1")
        planned = [client.sign(f"{gun}:v1", *image, dry_run=True), client.init(gun, dry_run=True)]
        planned += client.sign_many([(f"{gun}:v1", *image)], dry_run=True)
        assert not any(it.published for it in planned) and all(it.files for it in planned)
        assert private_keys(tmp_path) == []
        with pytest.raises(tagtrust.NoTrustData):
            reader.inspect(gun)

    def test_staged_changes_wait_for_publish(self, publish, reader, tagtrust, gun):
        client = publish()
        client.init(gun)
        for tag in ("v1", "v2", "v3"):
            assert not client.sign(f"{gun}:{tag}", *make_image(tag), stage=True).published
        assert [(change.action, change.role, change.path) for change in client.staged(gun)] == [
            ("create", "targets", tag) for tag in ("v1", "v2", "v3")
        ]
        with pytest.raises(tagtrust.InvalidInput):
            client.unstage(gun, [0, 3])
        client.unstage(gun, [1])
        assert not client.publish(gun, dry_run=True).published
        assert client.publish(gun).published
        assert client.staged(gun) == []
        assert {row.tag for row in reader.inspect(gun).signed_tags} == {"v1", "v3"}

    def test_two_people_sign_what_needs_two(self, publish, connect, reader, tagtrust, gun, fresh_directory):
        one, two = Elsewhere(tagtrust), Elsewhere(tagtrust)
        owner = publish(signers=[one.signer])
        owner.init(gun)
        role = "targets/qa"
        owner.add_delegation(gun, role, [one.pem, two.pem], [""])
        owner.set_threshold(gun, role, 2)
        assert [it.threshold for it in owner.delegations(gun) if it.name == role] == [2]
        with pytest.raises(tagtrust.KeyNotFound):
            owner.sign(f"{gun}:v1", *make_image("v1"), roles=[role])

        part = owner.sign_partial(f"{gun}:v1", *make_image("v1"), roles=[role])
        proposal = tagtrust.Proposal(part)
        assert proposal.repository == gun and proposal.signed_by == {role: (one.signer.id,)}
        assert [(change.role, change.path) for change in proposal.changes] == [(role, "v1")]
        other = connect(trust_dir=fresh_directory(), signers=[two.signer])
        whole = other.cosign(part)
        assert sorted(tagtrust.Proposal(whole).signed_by[role]) == sorted([one.signer.id, two.signer.id])
        with pytest.raises(tagtrust.KeyNotFound):
            reader.publish_proposals([part])
        assert owner.publish_proposals([part, whole]).published
        stranger = connect(trust_dir=fresh_directory(), policy=tagtrust.Policy(lookup="notary"))
        assert stranger.verify(f"{gun}:v1").role == role

    def test_expiry_is_set_listed_and_renewed(self, publish, reader, gun):
        client = publish(expiry={"targets": timedelta(days=5)})
        (first,) = [file for file in client.init(gun).files if file.role == "targets"]
        now = datetime.now(timezone.utc)
        assert client.expiring(gun, timedelta(days=4)) == []
        (soon,) = client.expiring(gun, timedelta(days=6))
        assert (soon.role, soon.version, soon.expires, soon.can_sign) == ("targets", first.version, first.expires, True)
        assert timedelta(days=4) < soon.expires - now < timedelta(days=6)
        (soon,) = reader.expiring(gun, timedelta(days=6))
        assert not soon.can_sign
        renewed = publish(expiry={"targets": timedelta(days=100)}).renew(gun, timedelta(days=6))
        assert [(file.role, file.version) for file in renewed.files] == [("targets", first.version + 1)]
        assert not client.recover(gun).changes


class TestAnswers:
    def test_a_publication_can_be_read_by_people_and_programs(self, publish, gun):
        publication = publish().init(gun)
        said = json.loads(publication.to_json())
        assert (said["repository"], said["published"]) == (gun, True)
        assert [(file["role"], file["version"]) for file in said["files"]] == [
            (file.role, file.version) for file in publication.files
        ]
        root = publication.files[0]
        assert root.expires.isoformat().startswith(said["files"][0]["expires"].rstrip("Z"))
        assert repr(root) == f"SignedFile(role='root', version=1, expires={root.expires!r}, key_ids={root.key_ids!r})"
        assert repr(publication).startswith(f"Publication(repository='{gun}', changes=(), files=({root!r}, ")

    def test_equal_answers_are_equal(self, publish, gun, tmp_path):
        client = publish()
        client.init(gun)
        one, same, other = (client.sign(f"{gun}:{tag}", *make_image(tag), dry_run=True) for tag in ("a", "a", "b"))
        assert one.changes == same.changes != other.changes
        assert len({*one.changes, *same.changes, *other.changes}) == 2
        assert str(one.changes[0]) == one.changes[0].description
        assert client.keys() == client.keys() and len({*client.keys(), *client.keys()}) == 2
        assert client.delegations(gun) == []
        generated = client.generate_key("alice", tmp_path)
        assert repr(generated) == f"GeneratedKey(id='{generated.id}', public_key_file={generated.public_key_file!r})"
        client.add_signer("alice", [generated.public_key_file], gun)
        assert client.delegations(gun) == client.delegations(gun)
        assert {it.name: (it.paths, it.key_ids, it.threshold) for it in client.delegations(gun)} == {
            name: (("",), (generated.id,), 1) for name in ("targets/alice", RELEASES)
        }

    def test_keys_say_what_they_are_for_and_no_secret(self, publish, tagtrust, gun, tmp_path):
        elsewhere = Elsewhere(tagtrust)
        client = publish(signers=[elsewhere.signer])
        client.init(gun)
        keys = {key.role: key for key in client.keys()}
        assert keys.keys() == {"root", "targets", ""}
        assert (keys["root"].gun, keys["targets"].gun) == (None, gun)
        assert keys[""] == next(key for key in client.keys() if key.location == "signer")
        assert keys[""].id == elsewhere.signer.id
        assert private_keys(tmp_path) == sorted(f"{keys[role].id}.key" for role in ("root", "targets"))
        assert f"{keys['root'].id}.key" in keys["root"].location
        for value in (client, elsewhere.signer, client.edit(gun), *client.keys()):
            assert PASSPHRASE not in repr(value)

    def test_nobody_can_make_or_change_an_answer(self, publish, tagtrust, gun):
        made = [tagtrust.Publication, tagtrust.Change, tagtrust.SignedFile, tagtrust.Key, tagtrust.GeneratedKey]
        for cls in (*made, tagtrust.Delegation, tagtrust.Expiry, tagtrust.Edit):
            with pytest.raises(TypeError):
                cls()
            with pytest.raises(TypeError):
                type("Forged", (cls,), {})
        with pytest.raises(AttributeError):
            publish().init(gun).published = False

    def test_keys_move_between_trust_directories(self, publish, tagtrust, gun, tmp_path, fresh_directory):
        old, new = publish(), publish(trust_dir=fresh_directory())
        old.init(gun)
        pem = old.export_keys()
        assert isinstance(pem, bytes) and PASSPHRASE.encode() not in pem
        moved = new.import_keys(pem)
        assert {key.id for key in moved} == {key.id for key in old.keys()} == {key.id for key in new.keys()}
        (root,) = [key for key in moved if key.role == "root"]
        assert new.export_keys(ids=[root.id]) in pem and new.export_keys(gun=gun) in pem
        new.change_passphrase(root.id, new="another-passphrase")
        with pytest.raises(tagtrust.WrongPassphrase):
            new.change_passphrase(root.id)
        new.remove_key(root.id)
        with pytest.raises(tagtrust.KeyNotFound) as caught:
            new.export_keys(ids=[root.id])
        assert caught.value.key_ids == [root.id]


class TestArguments:
    @pytest.mark.parametrize(
        "call",
        [
            lambda client: client.sign("reg.example/app:1", "sha256:" + "0" * 64),
            lambda client: client.sign("reg.example/app:1", size=1),
            lambda client: client.sign("reg.example/app:1", "sha256:0", 1),
            lambda client: client.sign("reg.example/app:1", custom={}),
            lambda client: client.sign("reg.example/app:1", *make_image("1"), custom="{"),
            lambda client: client.sign("reg.example/app:1", *make_image("1"), custom={"a": 0.5}),
            lambda client: client.sign("reg.example/app:1", *make_image("1"), dry_run=True, stage=True),
            lambda client: client.sign_many(["reg.example/app:1"], dry_run=True, stage=True),
            lambda client: client.rotate_key("reg.example/app", "snapshot", server_managed=True, keys=["0" * 64]),
            lambda client: client.export_keys(ids=[], gun="reg.example/app"),
            lambda client: client.add_signer("alice", ["absent.pub"], "reg.example/app"),
            lambda client: client.add_signer("alice", [b"no key"], "reg.example/app"),
            lambda client: client.generate_key("../alice"),
            lambda client: client.import_keys(b"no key"),
            lambda client: client.cosign(b"{}"),
            lambda client: client.publish_proposals([]),
        ],
    )
    def test_what_cannot_be_used_is_refused(self, publish, tagtrust, proxy, call):
        with pytest.raises(tagtrust.InvalidInput) as caught:
            call(publish(to=proxy))
        assert caught.value.what and caught.value.reason
        assert not proxy.sent

    @pytest.mark.parametrize(
        "call",
        [
            lambda client: client.sign("reg.example/app:1", *make_image("1"), {"custom": 1}),
            lambda client: client.sign("reg.example/app:1", *make_image("1"), custom=object()),
            lambda client: client.sign("reg.example/app:1", *make_image("1"), roles="targets"),
            lambda client: client.sign_many("reg.example/app:1"),
            lambda client: client.sign_many([("reg.example/app:1",)]),
            lambda client: client.add_signer("alice", "alice.pub", "reg.example/app"),
            lambda client: client.add_signer("alice", b"-----BEGIN", "reg.example/app"),
            lambda client: client.add_delegation("reg.example/app", "targets/a", [], "v"),
            lambda client: client.purge_keys("reg.example/app", "0" * 64),
            lambda client: client.witness("reg.example/app", "targets"),
            lambda client: client.expiring("reg.example/app", 86400),
            lambda client: client.delete("reg.example/app", True),
            lambda client: client.import_keys("-----BEGIN"),
            lambda client: client.publish_proposals(b"{}"),
        ],
    )
    def test_what_has_the_wrong_type_is_refused(self, publish, proxy, call):
        with pytest.raises(TypeError):
            call(publish(to=proxy))
        assert not proxy.requests and not proxy.sent

    def test_settings_of_the_wrong_kind_are_refused(self, tagtrust, connect):
        for setting in ({"passphrase": "secret"}, {"signers": [b"key"]}, {"expiry": {"targets": 5}}):
            with pytest.raises(TypeError) as caught:
                connect(**setting)
            assert "secret" not in str(caught.value)
        with pytest.raises(ValueError):
            connect(expiry={"targets": timedelta(days=-1)})
        with pytest.raises(tagtrust.InvalidConfiguration):
            connect(expiry={"timestamp": timedelta(days=1)})

    def test_a_reference_with_a_digest_is_signed_only_as_that(self, publish, reader, tagtrust, gun):
        client, (digest, size) = publish(), make_image("v1")
        other, _ = make_image("other")
        for roles in (None, ["targets"]):
            with pytest.raises(tagtrust.Conflict):
                client.sign(f"{gun}:v1@{other}", digest, size, roles=roles)
            assert client.sign(f"{gun}:v1@{digest}", digest, size, roles=roles, dry_run=True).changes
        with pytest.raises(tagtrust.InvalidReference):
            client.sign(f"{gun}@{digest}", digest, size)
        with pytest.raises(tagtrust.InvalidReference):
            client.revoke(f"{gun}@{digest}")
        with pytest.raises(tagtrust.NoTrustData):
            reader.inspect(gun)

    def test_a_tag_is_no_repository(self, publish, reader, tagtrust, gun):
        client, image = publish(), make_image("v1")
        client.sign(f"{gun}:v1", *image)
        for name in (f"{gun}:v1", f"{gun}@{image[0]}"):
            for call in (client.edit, client.init, client.publish, client.staged, client.unstage, client.delegations):
                with pytest.raises(tagtrust.InvalidReference):
                    call(name)
            with pytest.raises(tagtrust.InvalidReference):
                client.delete(name, remote=True)
        assert reader.verify(f"{gun}:v1").digest == image[0]

    def test_custom_data_is_a_value_or_json(self, publish, server, gun):
        client, image = publish(), make_image("v1")
        for tag, custom, stored in (
            ("a", {"text": "é\u2028<&>", "list": [1, None, True]}, {"text": "é\u2028<&>", "list": [1, None, True]}),
            ("b", '{"b": 1, "a": "x"}', {"a": "x", "b": 1}),
            ("c", ["only", "a", "list"], ["only", "a", "list"]),
            ("d", None, None),
        ):
            client.sign(f"{gun}:{tag}", *image, custom=custom)
            assert custom_of(server, gun, tag) == stored

    def test_keys_and_paths_go_and_the_delegation_stays(self, publish, tagtrust, gun):
        client, one, two = publish(), Elsewhere(tagtrust), Elsewhere(tagtrust)
        client.init(gun)
        client.add_delegation(gun, "targets/qa", [one.pem + two.pem], ["v", "w"])
        client.remove_delegation(gun, "targets/qa", key_ids=[one.signer.id], paths=["v"])
        (left,) = client.delegations(gun)
        assert (left.paths, left.key_ids) == (("w",), (two.signer.id,))
        # An empty list is nothing to take away, not the whole delegation.
        client.remove_delegation(gun, "targets/qa", key_ids=[])
        assert client.delegations(gun) == [left]
        client.remove_delegation(gun, "targets/qa")
        assert client.delegations(gun) == []


class TestPassphrases:
    def test_questions_say_which_key_and_why(self, connect, gun):
        asked = []

        def passphrase(*question):
            asked.append(question)
            return PASSPHRASE if question[3] else "short"

        client = connect(passphrase=passphrase)
        client.init(gun)
        ids = {key.role: key.id for key in client.keys()}
        assert set(asked) == {(ids[role], role, True, attempt) for role in ("root", "targets") for attempt in (0, 1)}
        asked.clear()
        client.sign(f"{gun}:v1", *make_image("v1"))
        assert asked == [(ids["targets"], "targets", False, 0), (ids["targets"], "targets", False, 1)]

    def test_without_a_callback_docker_variables_answer(self, connect, tagtrust, gun, monkeypatch):
        client = connect()
        with pytest.raises(tagtrust.WrongPassphrase) as caught:
            client.init(gun)
        assert ROOT in caught.value.reason
        monkeypatch.setenv(ROOT, PASSPHRASE)
        monkeypatch.setenv(REPOSITORY, PASSPHRASE)
        assert client.init(gun).published

    @pytest.mark.parametrize("failure", [KeyboardInterrupt, LookupError("vault"), SystemExit(3)], ids=repr)
    def test_what_it_raises_reaches_the_caller_and_nothing_is_published(
        self, connect, publish, reader, tagtrust, gun, failure, tmp_path
    ):
        asked = []

        def passphrase(*question):
            asked.append(question)
            raise failure

        client = connect(passphrase=passphrase)
        expected = failure if isinstance(failure, type) else type(failure)
        calls = [
            lambda: client.init(gun),
            lambda: client.sign_many([(f"{gun}:v1", *make_image("v1"))]),
            lambda: client.edit(gun).sign("v1", *make_image("v1")).publish(),
            lambda: client.generate_key("alice", tmp_path),
        ]
        for call in calls:
            asked.clear()
            with pytest.raises(expected) as caught:
                call()
            assert len(asked) == 1
            assert isinstance(failure, type) or caught.value is failure
        assert private_keys(tmp_path) == []
        with pytest.raises(tagtrust.NoTrustData):
            reader.inspect(gun)
        assert publish().init(gun).published

    @pytest.mark.parametrize(
        ("answer", "raised"), [(5, TypeError), (b"test-passphrase", TypeError), ("secret\udc80", ValueError)], ids=repr
    )
    def test_an_answer_that_makes_no_sense_is_not_told(self, connect, gun, answer, raised):
        with pytest.raises(raised) as caught:
            connect(passphrase=lambda *_: answer).init(gun)
        error = caught.value
        while error:
            assert not isinstance(error, UnicodeError)
            assert "secret" not in f"{error!r} {error.args}" and "test-passphrase" not in repr(error)
            error = error.__context__

    def test_no_answer_and_wrong_answers_are_no_passphrase(self, connect, publish, tagtrust, gun):
        publish().init(gun)
        wrong = iter("wrong-%d" % number for number in range(100))
        for passphrase in (lambda *_: None, lambda *_: "always the same", lambda *_: next(wrong)):
            with pytest.raises(tagtrust.WrongPassphrase) as caught:
                connect(passphrase=passphrase).sign(f"{gun}:v1", *make_image("v1"))
            assert "always the same" not in str(caught.value) and "wrong-" not in str(caught.value)

    def test_other_threads_go_on_while_it_waits(self, connect, publish, signed, gun):
        publish().init(gun)
        asked, release = threading.Event(), threading.Event()

        def passphrase(*_):
            asked.set()
            assert release.wait(20)
            return PASSPHRASE

        client, published = connect(passphrase=passphrase), []
        thread = threading.Thread(target=lambda: published.append(client.sign(f"{gun}:v1", *make_image("v1"))))
        thread.start()
        try:
            assert asked.wait(20)
            assert client.verify(f"{signed.gun}:v1").fresh
            assert not client.inspect(gun).signed_tags
            assert client.keys() and client.staged(gun) == []
        finally:
            release.set()
            thread.join()
        assert published[0].published

    def test_it_cannot_use_the_client_that_waits_for_it(self, connect, publish, reader, signed, gun):
        publish().init(gun)
        said = []

        def passphrase(*_):
            assert reader.verify(f"{signed.gun}:v1").fresh
            for call in (client.keys, edit.publish, lambda: client.verify(f"{signed.gun}:v1")):
                with pytest.raises(RuntimeError, match="callback"):
                    call()
                said.append(call)
            return PASSPHRASE

        client = connect(passphrase=passphrase)
        edit = client.edit(gun)
        assert client.sign(f"{gun}:v1", *make_image("v1")).published
        assert len(said) == 3
        assert client.sign(f"{gun}:v2", *make_image("v2")).published

    def test_each_call_gets_its_own_exception(self, connect, publish, gun):
        guns = [new_gun(f"mine{number}") for number in range(6)]
        for name in guns:
            publish().init(name)
        owner = {key.id: key.gun for key in publish().keys()}
        together = threading.Barrier(len(guns))

        def passphrase(key_id, *_):
            together.wait(20)
            if guns.index(owner[key_id]) % 2:
                raise LookupError(owner[key_id])
            return PASSPHRASE

        client, results = connect(passphrase=passphrase), {}

        def sign(name):
            try:
                results[name] = client.sign(f"{name}:v1", *make_image("v1")).published
            except LookupError as error:
                results[name] = error.args[0]

        threads = [threading.Thread(target=sign, args=(name,)) for name in guns]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == {name: name if number % 2 else True for number, name in enumerate(guns)}


class TestSigners:
    def test_a_key_elsewhere_signs_for_every_role(self, connect, reader, tagtrust, gun, tmp_path):
        keys = [ec.generate_private_key(curve()) for curve in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)]
        root, targets, alice = (Elsewhere(tagtrust, key) for key in keys)
        client = connect(signers=[root.signer, targets.signer, alice.signer])
        client.init(gun, root_key=root.signer.id, targets_key=targets.signer.id)
        client.add_signer("alice", [alice.pem], gun)
        client.sign(f"{gun}:v1", *make_image("v1"))
        assert reader.verify(f"{gun}:v1").signers == ("alice",)
        assert private_keys(tmp_path) == []

    def test_a_key_can_be_rotated_to_one_elsewhere(self, publish, reader, tagtrust, gun):
        elsewhere = Elsewhere(tagtrust)
        client = publish(signers=[elsewhere.signer])
        client.init(gun)
        client.rotate_key(gun, "targets", keys=[elsewhere.signer.id])
        used = []
        sign, elsewhere.sign = elsewhere.sign, lambda message: used.append(message) or sign(message)
        client.sign(f"{gun}:v1", *make_image("v1"))
        assert reader.verify(f"{gun}:v1").fresh
        (message,) = used
        assert isinstance(message, bytes) and json.loads(message)["_type"] == "Targets"

    @pytest.mark.parametrize(
        ("answer", "raised"),
        [("text", TypeError), (None, TypeError), (bytearray(64), TypeError), (b"", "InvalidInput"), (bytes(64), "InvalidInput")],
        ids=repr,
    )
    def test_what_is_no_signature_is_not_published(self, connect, publish, reader, tagtrust, gun, answer, raised):
        elsewhere = Elsewhere(tagtrust)
        client = publish(signers=[elsewhere.signer])
        client.init(gun, targets_key=elsewhere.signer.id)
        elsewhere.sign = lambda message: answer
        with pytest.raises(getattr(tagtrust, raised) if isinstance(raised, str) else raised):
            client.sign(f"{gun}:v1", *make_image("v1"))
        assert not reader.inspect(gun).signed_tags

    def test_what_it_raises_reaches_the_caller(self, publish, reader, tagtrust, gun):
        elsewhere = Elsewhere(tagtrust)
        client = publish(signers=[elsewhere.signer])
        client.init(gun, targets_key=elsewhere.signer.id)

        def unplugged(message):
            raise OSError("the HSM is gone")

        sign, elsewhere.sign = elsewhere.sign, unplugged
        for call in (
            lambda: client.sign(f"{gun}:v1", *make_image("v1")),
            lambda: client.sign_many([(f"{gun}:v1", *make_image("v1"))]),
            lambda: client.sign_partial(f"{gun}:v1", *make_image("v1")),
        ):
            with pytest.raises(OSError, match="the HSM is gone"):
                call()
        assert not reader.inspect(gun).signed_tags
        elsewhere.sign = sign
        assert client.sign(f"{gun}:v1", *make_image("v1")).published

    def test_keys_that_cannot_sign_here_are_refused(self, tagtrust, server):
        def pem(key):
            return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

        p256 = pem(ec.generate_private_key(ec.SECP256R1()))
        tagtrust.CallbackSigner(pem(rsa.generate_private_key(65537, 2048)), lambda message: b"")
        for unusable in (
            b"",
            b"no key",
            p256 * 2,
            pem(ed25519.Ed25519PrivateKey.generate()),
            pem(rsa.generate_private_key(65537, 1024)),
            server.certificate.cert_file.read_bytes(),
        ):
            with pytest.raises(tagtrust.InvalidInput):
                tagtrust.CallbackSigner(unusable, lambda message: b"")
        for arguments in ((p256.decode(), len), (p256, None), (p256,)):
            with pytest.raises(TypeError):
                tagtrust.CallbackSigner(*arguments)


def test_a_client_and_what_it_calls_back_can_be_forgotten(tagtrust, connect, gun):
    class Holder:
        def __init__(self):
            self.signer = tagtrust.CallbackSigner(Elsewhere(tagtrust).pem, self.sign)
            self.client = connect(passphrase=self.passphrase, clock=self.clock, signers=[self.signer])
            self.edit = self.client.edit(gun)

        def sign(self, message): ...
        def passphrase(self, *question): ...
        def clock(self): ...

    holder = weakref.ref(Holder())
    gc.collect()
    assert holder() is None


def test_threads_of_one_client_publish_one_repository(publish, reader, gun):
    client, count = publish(), 8
    client.init(gun)
    results = {}

    def sign(number):
        results[number] = client.sign(f"{gun}:v{number}", *make_image(str(number)))

    threads = [threading.Thread(target=sign, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    versions = sorted(file.version for it in results.values() for file in it.files)
    assert versions == list(range(versions[0], versions[0] + count))
    verified = reader.verify_many([f"{gun}:v{number}" for number in range(count)])
    assert [(image.digest, image.size) for image in verified] == [make_image(str(number)) for number in range(count)]
