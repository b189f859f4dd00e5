"""Answers, settings and exceptions as values: equality, hash, repr, copies and pickles."""

import copy
import datetime
import pickle

import pytest

DIGEST = f"sha256:{'1' * 64}"
GUN = "registry.example/team/app"


@pytest.fixture(scope="module")
def answers(tagtrust, tmp_path_factory):
    """One of each class of answers, by its name, of an embedded server."""
    directory = tmp_path_factory.mktemp("answers")
    with tagtrust.Server() as server:
        client = tagtrust.Client(
            server=server.url, trust_dir=directory / "trust", passphrase=lambda *_: "correct horse"
        )
        alice = client.generate_key("alice", directory)
        client.add_signer("alice", [alice.public_key_file], GUN)
        publication = client.sign(f"{GUN}:1.2", DIGEST, 1570)
        inspection = client.inspect(GUN)
        proposal = tagtrust.Proposal(client.sign_partial(f"{GUN}:1.3", DIGEST, 1570))
        found = [
            *(alice, publication, publication.changes[0], publication.files[0], inspection, proposal),
            *(inspection.signed_tags[0], inspection.signers[0], inspection.roles[2], inspection.roles[2].keys[0]),
            *(client.verify(f"{GUN}:1.2"), client.keys()[0], client.delegations(GUN)[0]),
            client.expiring(GUN, datetime.timedelta(days=2000))[0],
        ]
    return {type(answer).__name__: answer for answer in found}


@pytest.fixture
def settings(tagtrust):
    rule = tagtrust.Rule("registry.example/*", all_of=["alice"], any_of=["bob", "carol"])
    return [
        tagtrust.Pinning({GUN: ["0" * 64]}, ca={"registry.example/": "ca.pem"}, trust_on_first_use=True),
        rule,
        tagtrust.Policy("notary", [rule]),
        tagtrust.TokenAuth("https://auth.example", "notary", "auth.example", "ca.pem"),
        tagtrust.PasswordFile("users", anonymous_pull=True),
    ]


def copies(value):
    pickles = [pickle.loads(pickle.dumps(value, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)]
    return [*pickles, copy.copy(value), copy.deepcopy(value)]


def test_answers_survive_copying_and_pickling(answers):
    assert len(answers) == 14
    for name, answer in answers.items():
        for twin in copies(answer):
            assert (type(twin), twin, hash(twin), repr(twin)) == (type(answer), answer, hash(answer), repr(answer))
            for word in ("to_json", "to_pretty", "to_svg", "to_tree"):
                if hasattr(answer, word):
                    assert getattr(twin, word)() == getattr(answer, word)(), name


def test_answers_say_what_they_hold(answers):
    for name, answer in answers.items():
        assert repr(answer).startswith(f"{name}(") and "_" != repr(answer)[len(name) + 1]
        assert answer != name and answer is not None
        public = [word for word in dir(answer) if not word.startswith("_") and not callable(getattr(answer, word))]
        assert all(f"{word}=" in repr(answer) for word in public), name
        for word in public:
            with pytest.raises(AttributeError):
                setattr(answer, word, None)


def test_a_damaged_pickle_makes_no_answer(answers):
    image = answers["Image"]
    make, (cls, attributes) = image.__reduce__()
    assert make(cls, attributes) == image
    for damaged in (attributes[:-1], (), (1, *attributes[1:]), attributes[:1] + ("many", *attributes[2:])):
        with pytest.raises((TypeError, ValueError)):
            make(cls, damaged)


def test_settings_are_values(tagtrust, settings):
    for value in settings:
        for twin in copies(value):
            assert (type(twin), twin, hash(twin)) == (type(value), value, hash(value))
        assert eval(repr(value), vars(tagtrust)) == value
        with pytest.raises(AttributeError):
            setattr(value, value.__slots__[0], None)
        with pytest.raises(AttributeError):
            delattr(value, value.__slots__[0])
        with pytest.raises(AttributeError):
            value.anything = 1
    assert len(set(settings)) == len(settings)
    assert tagtrust.Rule("*") != tagtrust.Rule("*", threshold=2) != "*"


def test_settings_do_not_change_with_what_they_were_made_of(tagtrust):
    ids, certificates, signers = ["0" * 64], {}, ["alice"]
    certificates["*"] = ids
    pinning, rule = tagtrust.Pinning(certificates), tagtrust.Rule("*", all_of=signers)
    ids.append("1" * 64), certificates.clear(), signers.clear()
    assert dict(pinning.certificates) == {"*": ("0" * 64,)} and rule.all_of == ("alice",)
    for change in ("clear", "popitem", "update"):
        with pytest.raises(TypeError):
            getattr(pinning.certificates, change)()
    with pytest.raises(TypeError):
        pinning.certificates["*"] = ()


def test_what_is_connected_to_something_is_not_pickled(tagtrust, answers, tmp_path):
    client, server = tagtrust.Client(trust_dir=tmp_path), tagtrust.Server()
    key = tagtrust.CallbackSigner(answers["GeneratedKey"].public_key_file.read_bytes(), bytes)
    for thing in (client, server, client.edit(GUN), key):
        for make in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match=f"cannot pickle 'tagtrust.{type(thing).__name__}' object"):
                make(thing)
