"""Key files: those of `docker trust` and `notary` used by us, and ours by them."""

import base64
import json
import re
import stat
import subprocess
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from lab import CommandFailed
from lab.certificates import make_delegation_key
from lab.notary import PASSPHRASE
from lab.repositories import RELEASES, make_image
from publish.conftest import canonical_id, key_ids, our_keys, tree, unchanged
from publish.sides import PythonUser

OTHER = "another passphrase"


def private(publisher):
    return publisher.trust_dir / "private"


def openssl(*words, input=None):
    return subprocess.run(["openssl", *map(str, words)], input=input, capture_output=True, check=True).stdout


# Made by one, used by the other


def test_all_keys_of_docker_sign_for_us(publisher, stranger, fresh_directory):
    theirs = publisher()
    theirs.docker.add_signer("alice", theirs.gun, theirs.docker.generate_key("alice", fresh_directory()))
    theirs.client.sign(theirs.reference("v1"), *make_image("v1"))
    theirs.client.rotate_key(theirs.gun, "targets")
    theirs.client.add_signer("bob", [theirs.docker.generate_key("bob", fresh_directory())], theirs.gun)
    theirs.client.sign(theirs.reference("v2"), *make_image("v2"))
    assert set(stranger().list(theirs.gun, [RELEASES])) == {"v1", "v2"}


def test_all_our_keys_sign_for_docker_and_notary(publisher, stranger, fresh_directory):
    ours = publisher()
    ours.client.init(ours.gun, local_snapshot=True)
    ours.client.add_signer("alice", [PythonUser(ours).generate_key("alice", fresh_directory())], ours.gun)
    ours.docker.sign(ours.reference("v1"), *make_image("v1"))
    for role in ("root", "targets", "snapshot"):
        ours.notary.key_rotate(ours.gun, role)
    ours.docker.add_signer("bob", ours.gun, PythonUser(ours).generate_key("bob", fresh_directory()))
    ours.docker.sign(ours.reference("v2"), *make_image("v2"))
    assert set(stranger().list(ours.gun, [RELEASES])) == {"v1", "v2"}


def test_ed25519_keys_sign_for_us_and_for_notary(publisher, stranger, fresh_directory):
    ours = publisher()
    generated = ours.client.generate_key("edward", fresh_directory(), type="ed25519")
    assert generated.id in ours.notary.run("key", "list").stdout
    ours.client.add_signer("edward", [generated.public_key_file], ours.gun)
    ours.client.sign(ours.reference("v1"), *make_image("v1"))
    digest, size = make_image("v2")
    ours.notary.addhash(ours.gun, "v2", size, digest.removeprefix("sha256:"), [RELEASES])
    ours.notary.publish(ours.gun)
    assert set(stranger().list(ours.gun, [RELEASES])) == {"v1", "v2"}


def test_our_files_are_of_the_same_form_as_theirs(publisher, fresh_directory):
    ours, theirs = publisher(), publisher()
    ours.client.init(ours.gun, local_snapshot=True)
    PythonUser(ours).generate_key("alice", fresh_directory())
    theirs.notary.init(theirs.gun)
    theirs.docker.generate_key("alice", fresh_directory())
    assert {form(file, ours.gun) for file in private(ours).glob("*.key")} == {
        form(file, theirs.gun) for file in private(theirs).glob("*.key")
    }
    for one in (ours, theirs):
        for path in one.trust_dir.rglob("*"):
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def form(file, gun):
    """All but the encrypted bytes and the name: their lengths, headers and lines."""
    text = file.read_text()
    head, _, body = text.partition("\n\n")
    lines = body.splitlines()
    data = base64.b64decode("".join(lines[:-1]))
    parameters = openssl("asn1parse", "-inform", "DER", input=data).decode()
    shape = re.sub(r"\[HEX DUMP\]:\S+", "", parameters)
    assert re.fullmatch(r"[0-9a-f]{64}\.key", file.name)
    return head.replace(gun, "GUN"), tuple(map(len, lines)), text.endswith("-----\n"), shape


def test_public_key_files_are_of_the_same_form(publisher, fresh_directory):
    one = publisher()
    ours, theirs = (user.generate_key("alice", fresh_directory()) for user in (PythonUser(one), one.docker))
    assert stat.S_IMODE(ours.stat().st_mode) == stat.S_IMODE(theirs.stat().st_mode)
    of_ours, of_theirs = ours.read_text().splitlines(), theirs.read_text().splitlines()
    assert [len(line) for line in of_ours] == [len(line) for line in of_theirs]
    assert of_ours[:3] == of_theirs[:3] and of_ours[-1] == of_theirs[-1]


def test_the_id_of_a_new_key_is_what_notary_calls_it(publisher, fresh_directory):
    one = publisher()
    generated = one.client.generate_key("alice", fresh_directory())
    assert one.notary.keys() == [("alice", "", generated.id)] == our_keys(one.client)
    assert (private(one) / f"{generated.id}.key").exists()


@pytest.mark.parametrize("name", ["Alice", "", "-a", "_a", "a b", "a/b", "../a", "a.b", "é", "a\n", "a" * 300])
def test_a_key_name_that_docker_refuses_makes_no_key(name, publisher, tagtrust, fresh_directory):
    one, directory = publisher(), fresh_directory()
    with pytest.raises(CommandFailed) as theirs:
        publisher().docker.generate_key(name, directory)
    with pytest.raises(tagtrust.TrustError) as ours:
        one.client.generate_key(name, directory)
    if name.isprintable() and "must start" in theirs.value.stderr:
        assert theirs.value.stderr.strip() in str(ours.value)
    assert list(directory.iterdir()) == []
    assert our_keys(one.client) == []


def test_a_public_key_file_is_not_overwritten(publisher, tagtrust, fresh_directory):
    one, directory = publisher(), fresh_directory()
    file = one.docker.generate_key("alice", directory)
    before = file.read_bytes(), tree(one.trust_dir)
    with pytest.raises(tagtrust.TrustError, match="public key file already exists"):
        one.client.generate_key("alice", directory)
    with pytest.raises(tagtrust.TrustError, match="public key path does not exist"):
        one.client.generate_key("bob", directory / "absent")
    assert (file.read_bytes(), tree(one.trust_dir)) == before


# Loaded, imported, exported

FORMATS = {
    "sec1": ("ec", "TraditionalOpenSSL", None),
    "pkcs8": ("ec", "PKCS8", None),
    "p384": ("ec384", "PKCS8", None),
    "pkcs1": ("rsa", "TraditionalOpenSSL", None),
    "rsa-pkcs8": ("rsa", "PKCS8", None),
}


def make_pem(name, directory):
    kind, form, _ = FORMATS[name]
    _, source = make_delegation_key(kind.removesuffix("384").replace("ec", "ecdsa"), directory, name)
    if kind == "ec384":
        key = ec.generate_private_key(ec.SECP384R1())
        source.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    elif form == "TraditionalOpenSSL":
        source.write_bytes(openssl("pkey", "-in", source, "-traditional"))
    return source


@pytest.mark.parametrize("name", FORMATS)
def test_openssls_keys_are_loaded_as_docker_loads_them(name, publisher, fresh_directory):
    ours, theirs = publisher(), publisher()
    file = make_pem(name, fresh_directory())
    ours.client.load_key(file, name="alice")
    theirs.docker.trust("key", "load", file, "--name", "alice")
    assert our_keys(ours.client) == our_keys(theirs.client) == [("alice", "", canonical_id(file))]
    # And the other opens what was stored.
    for one in (ours, theirs):
        one.notary.run("key", "export", "-o", one.trust_dir / "exported.pem")
        change_passphrase_with_us_and_back(one.client)


def change_passphrase_with_us_and_back(client):
    (key,) = client.keys()
    client.change_passphrase(key.id, new=OTHER)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_a_key_file_that_others_can_read_is_refused_in_dockers_words(mode, publisher, tagtrust, fresh_directory):
    one = publisher()
    file = make_pem("pkcs8", fresh_directory())
    file.chmod(mode)
    with pytest.raises(CommandFailed) as theirs:
        one.docker.trust("key", "load", file)
    with pytest.raises(tagtrust.TrustError) as ours:
        one.client.load_key(file)
    assert theirs.value.stderr.strip() in str(ours.value)
    assert our_keys(one.client) == []


@pytest.mark.parametrize("encrypted_by", ["docker", "openssl-traditional"])
def test_an_encrypted_key_is_really_imported(encrypted_by, publisher, fresh_directory):
    """`docker trust key load` says that it did, and does not."""
    one, directory = publisher(), fresh_directory()
    if encrypted_by == "docker":
        other = publisher()
        key_id = other.client.generate_key("alice", directory).id
        file = private(other) / f"{key_id}.key"
    else:
        plain = make_pem("sec1", directory)
        file, key_id = directory / "encrypted.key", canonical_id(plain)
        openssl("ec", "-aes256", "-in", plain, "-out", file, "-passout", f"pass:{PASSPHRASE}")
        file.chmod(0o600)
    one.client.load_key(file, name="alice")
    assert our_keys(one.client) == [("alice", "", key_id)]
    one.client.change_passphrase(key_id, new=OTHER)


@pytest.mark.parametrize("direction", ["we-export", "notary-exports"])
def test_a_bundle_of_keys_moves_between_machines(direction, publisher, stranger, fresh_directory):
    old, new = publisher(), publisher()
    old.client.init(old.gun, local_snapshot=True)
    old.client.add_signer("alice", [PythonUser(old).generate_key("alice", fresh_directory())], old.gun)
    bundle = fresh_directory() / "bundle.pem"
    if direction == "we-export":
        bundle.write_bytes(old.client.export_keys())
        new.notary.run("key", "import", bundle)
    else:
        old.notary.run("key", "export", "-o", bundle)
        new.client.import_keys(bundle.read_bytes())
    assert our_keys(new.client) == sorted(new.notary.keys()) == our_keys(old.client)
    assert tree(private(new)) == tree(private(old))
    new.gun = old.gun
    new.client.sign(new.reference("v1"), *make_image("v1"))
    new.notary.key_rotate(new.gun, "targets")
    assert stranger().list(old.gun, [RELEASES]).keys() == {"v1"}


def test_our_export_is_notarys_byte_for_byte(publisher, fresh_directory):
    one = publisher()
    one.notary.init(one.gun)
    one.docker.generate_key("alice", fresh_directory())
    everything, of_gun, single = (fresh_directory() / name for name in ("all.pem", "gun.pem", "one.pem"))
    key_id = one.client.keys()[0].id
    one.notary.run("key", "export", "-o", everything)
    one.notary.run("key", "export", "--gun", one.gun, "-o", of_gun)
    one.notary.run("key", "export", "--key", key_id, "-o", single)
    assert blocks(one.client.export_keys()) == blocks(everything.read_bytes())
    assert blocks(one.client.export_keys(gun=one.gun)) == blocks(of_gun.read_bytes())
    assert one.client.export_keys(ids=[key_id]) == single.read_bytes()


def blocks(bundle: bytes):
    """Notary exports in the order of a directory."""
    return sorted(re.findall(rb"-----BEGIN.*?-----END[^\n]*\n", bundle, re.DOTALL))


def test_import_follows_notarys_rules(publisher, tagtrust, fresh_directory):
    directory = fresh_directory()
    plain = make_pem("sec1", directory).read_bytes()
    for role, gun in ((None, None), ("targets", "registry.example/a"), ("targets/releases", None), ("root", None)):
        ours, theirs = publisher(), publisher()
        flags = [*(["-r", role] if role else []), *(["-g", gun] if gun else [])]
        (directory / "plain.pem").write_bytes(plain)
        theirs.notary.run("key", "import", directory / "plain.pem", *flags)
        ours.client.import_keys(plain, role=role, gun=gun)
        assert our_keys(ours.client) == sorted(theirs.notary.keys()) == sorted(ours.notary.keys())
    ours = publisher()
    for nothing in (plain.replace(b"PRIVATE", b"PUBLIC"), b"", b"garbage"):
        with pytest.raises(tagtrust.TrustError):
            ours.client.import_keys(nothing)
    with pytest.raises(tagtrust.TrustError):
        ours.client.import_keys(plain, role="targets")
    assert our_keys(ours.client) == [] and not list(ours.trust_dir.rglob("*.key"))


@pytest.mark.parametrize("path", ["../../escaped", "/tmp/escaped", "a/../../b", "..", "."])
def test_the_path_in_an_imported_file_leads_nowhere_else(path, publisher, tagtrust, fresh_directory):
    source, one = publisher(), publisher()
    PythonUser(source).generate_key("alice", fresh_directory())
    bundle = re.sub(rb"path: .*", f"path: {path}".encode(), source.client.export_keys())
    outside = tree(one.trust_dir.parent)
    try:
        one.client.import_keys(bundle)
    except tagtrust.TrustError:
        assert tree(one.trust_dir.parent) == outside
    new = tree(one.trust_dir.parent).keys() - outside.keys()
    assert all(re.fullmatch(r"trust/private/[^/]+\.key", name) for name in new)


def test_removed_is_removed_for_both(publisher, tagtrust, fresh_directory):
    one = publisher()
    first, second = (one.client.generate_key(name, fresh_directory()).id for name in ("alice", "bob"))
    one.client.remove_key(first)
    assert one.notary.keys() == [("bob", "", second)]
    one.notary.run("key", "remove", second, input="yes\n")
    assert our_keys(one.client) == []
    for absent in (first, "ab" * 32, "../tuf", "", "zz"):
        with pytest.raises(tagtrust.TrustError):
            one.client.remove_key(absent)


# Layouts and formats of before


def test_keys_in_the_layouts_of_before_sign_without_being_moved(publisher, server, stranger, fresh_directory):
    """`private/root_keys` and `private/tuf_keys`, role in the name, encrypted as OpenSSL did."""
    old, directory = publisher(), fresh_directory()
    files = {role: legacy_key(directory / f"{role}.pem") for role in ("root", "targets")}
    lay(old, f"root_keys/{canonical_id(directory / 'root.pem.plain')}_root.key", files["root"])
    old.client.init(old.gun)
    assert [role for role, *_ in our_keys(old.client)].count("root") == 1, "the old root key is used again"
    old.client.import_keys((directory / "targets.pem.plain").read_bytes(), role="targets", gun=old.gun)
    old.client.rotate_key(old.gun, "targets", keys=[canonical_id(directory / "targets.pem.plain")])
    assert key_ids(server, old.gun, "targets") == [canonical_id(directory / "targets.pem.plain")]

    new = publisher()
    new.gun = old.gun
    lay(new, f"root_keys/{canonical_id(directory / 'root.pem.plain')}_root.key", files["root"])
    lay(new, f"tuf_keys/{new.gun}/{canonical_id(directory / 'targets.pem.plain')}_targets.key", files["targets"])
    before = tree(private(new))
    new.client.sign(new.reference("v1"), *make_image("v1"))
    new.client.rotate_key(new.gun, "snapshot")
    assert before.items() <= tree(private(new)).items()
    assert stranger().lookup(new.gun, "v1") == make_image("v1")
    # The real program moves them, and we still find them.
    listed = new.notary.keys()
    assert sorted(listed) == our_keys(new.client) and not (private(new) / "root_keys").exists()
    new.client.sign(new.reference("v2"), *make_image("v2"))
    assert stranger().lookup(new.gun, "v2") == make_image("v2")


def legacy_key(path) -> bytes:
    plain = openssl("ecparam", "-genkey", "-noout", "-name", "prime256v1")
    path.with_name(f"{path.name}.plain").write_bytes(plain)
    openssl("ec", "-aes256", "-out", path, "-passout", f"pass:{PASSPHRASE}", input=plain)
    return path.read_bytes()


def lay(publisher, name, data):
    file = private(publisher) / name
    for directory in reversed([file.parent, *file.parent.relative_to(publisher.trust_dir).parents]):
        (publisher.trust_dir / directory).mkdir(mode=0o700, exist_ok=True, parents=True)
    file.write_bytes(data)
    file.chmod(0o600)


def test_a_file_that_is_no_key_hides_no_other(publisher, fresh_directory):
    one = publisher()
    key_id = one.client.generate_key("alice", fresh_directory()).id
    (private(one) / f"{'ab' * 32}.key").write_text("garbage")
    (private(one) / "README").write_text("not a key")
    assert ("alice", "", key_id) in our_keys(one.client)
    assert ("alice", "", key_id) in one.notary.keys()


# Passphrases


class Asked:
    """A callback that gives one answer after the other, and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers, self.questions = list(answers), []

    def __call__(self, key_id, role, create, attempt):
        self.questions.append((role, create, attempt))
        return self.answers[min(len(self.questions), len(self.answers)) - 1]


def test_a_wrong_passphrase_is_asked_again(publisher, connect):
    one = publisher()
    one.client.init(one.gun)
    asked = Asked("wrong one", "also wrong", PASSPHRASE)
    connect(one.trust_dir, passphrase=asked).sign(one.reference("v1"), *make_image("v1"))
    assert [(create, attempt) for _, create, attempt in asked.questions[:3]] == [(False, 0), (False, 1), (False, 2)]
    assert {role for role, *_ in asked.questions} == {"targets"}


def test_a_wrong_passphrase_is_not_asked_for_ever(publisher, connect, tagtrust, server):
    one = publisher()
    one.client.sign(one.reference("v1"), *make_image("v1"))
    for asked, most in ((Asked("same"), 2), (Asked(*map(str, range(100))), 4), (Asked(None), 1)):
        with unchanged(one), pytest.raises(tagtrust.WrongPassphrase) as caught:
            connect(one.trust_dir, passphrase=asked).sign(one.reference("v2"), *make_image("v2"))
        assert 1 <= len(asked.questions) <= most
        assert (caught.value.role, caught.value.key_id) == ("targets", key_ids(server, one.gun, "targets")[0])


def test_too_short_for_a_new_key_is_asked_again(publisher, connect, tagtrust, fresh_directory):
    one, directory = publisher(), fresh_directory()
    asked = Asked("", "short", "1234567", PASSPHRASE)
    connect(one.trust_dir, passphrase=asked).generate_key("alice", directory)
    assert [(create, attempt) for _, create, attempt in asked.questions] == [(True, n) for n in range(4)]
    asked = Asked("short")
    dockers_words = "[Pp]assphrase is too short|maximum number of passphrase attempts"
    with pytest.raises(tagtrust.WrongPassphrase, match=dockers_words):
        connect(one.trust_dir, passphrase=asked).generate_key("bob", directory)
    assert len(asked.questions) <= 12
    assert [role for role, *_ in our_keys(one.client)] == ["alice"]
    assert {file.name for file in directory.iterdir()} == {"alice.pub"}


def test_what_the_callback_raises_comes_out(publisher, connect, fresh_directory):
    class Gone(Exception):
        pass

    def nobody(*_):
        raise Gone

    one = publisher()
    with pytest.raises(Gone):
        connect(one.trust_dir, passphrase=nobody).generate_key("alice", fresh_directory())
    assert our_keys(one.client) == []


def test_without_callback_dockers_variables_count(publisher, connect, tagtrust, monkeypatch):
    one = publisher()
    silent = connect(one.trust_dir, passphrase=None)
    for name in ("ROOT", "REPOSITORY"):
        monkeypatch.delenv(f"DOCKER_CONTENT_TRUST_{name}_PASSPHRASE", raising=False)
    with pytest.raises(tagtrust.WrongPassphrase, match="DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE"):
        silent.init(one.gun)
    assert our_keys(one.client) == []
    monkeypatch.setenv("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", "of the root key")
    monkeypatch.setenv("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", "of all other keys")
    silent.init(one.gun)
    roles = {}

    def passphrase(key_id, role, create, attempt):
        roles[role] = {"root": "of the root key"}.get(role, "of all other keys")
        return roles[role]

    connect(one.trust_dir, passphrase=passphrase).rotate_key(one.gun, "targets")
    assert roles.keys() >= {"root", "targets"}


def test_a_changed_passphrase_holds_for_all(publisher, connect, tagtrust, stranger):
    one = publisher()
    one.client.sign(one.reference("v1"), *make_image("v1"))
    (targets,) = [key.id for key in one.client.keys() if key.role == "targets"]
    before = tree(private(one))
    with pytest.raises(tagtrust.WrongPassphrase):
        connect(one.trust_dir, passphrase=lambda *_: "not it at all").change_passphrase(targets, new=OTHER)
    with pytest.raises(tagtrust.WrongPassphrase):
        one.client.change_passphrase(targets, new="short")
    assert tree(private(one)) == before
    one.client.change_passphrase(targets, new=OTHER)
    with pytest.raises(tagtrust.WrongPassphrase):
        one.client.sign(one.reference("v2"), *make_image("v2"))
    one.notary.addhash(one.gun, "v2", 5, "ab" * 32)
    with pytest.raises(CommandFailed):
        one.notary.publish(one.gun)
    connect(one.trust_dir, passphrase=lambda *_: OTHER).sign(one.reference("v3"), *make_image("v3"))
    assert stranger().lookup(one.gun, "v3") == make_image("v3")


def test_nothing_secret_is_said(publisher, connect, tagtrust, every_log, capfd, fresh_directory):
    one, directory = publisher(), fresh_directory()
    file = make_pem("pkcs8", directory)
    scalar = openssl("pkey", "-in", file, "-outform", "DER")[-100:]
    words = []
    one.client.load_key(file, name="alice")
    one.client.sign(one.reference("v1"), *make_image("v1"))
    wrong = connect(one.trust_dir, passphrase=lambda *_: "a wrong passphrase")
    for fails in (
        lambda: wrong.sign(one.reference("v2"), *make_image("v2")),
        lambda: wrong.change_passphrase(wrong.keys()[0].id, new="yet another passphrase"),
        lambda: wrong.load_key(directory / "absent"),
        lambda: one.client.import_keys(file.read_bytes() * 2 + b"garbage", role="targets"),
        lambda: one.client.import_keys(file.read_bytes()[:-40], role="targets"),
    ):
        with pytest.raises(tagtrust.TrustError) as caught:
            fails()
        words += [str(caught.value), repr(caught.value), json.dumps(caught.value.evidence)]
    words += [repr(one.client), *map(repr, one.client.keys()), every_log.text, *capfd.readouterr()]
    assert every_log.records, "or this looked at nothing"
    said = "\n".join(words)
    secrets = [PASSPHRASE, "a wrong passphrase", "yet another passphrase"]
    # The key in any of its spellings: every piece of 12 characters of its base64, its bytes in hex.
    lines = [line for line in file.read_text().splitlines() if not line.startswith("-")]
    secrets += [line[at : at + 12] for line in lines for at in range(0, len(line) - 12, 4)]
    secrets += [scalar[at : at + 8].hex() for at in range(0, len(scalar) - 8)]
    assert [secret for secret in secrets if secret.lower() in said.lower()] == []


# Signers elsewhere


@pytest.fixture
def elsewhere(tagtrust):
    """`elsewhere(kind)`: a signer whose key no file holds, as an HSM's; `signed` counts what it signed."""

    def elsewhere(kind):
        key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
        signed = []

        def sign(message):
            signed.append(message)
            if kind == "rsa":
                return key.sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
            der = key.sign(message, ec.ECDSA(hashes.SHA256()))
            r, s = decode_dss_signature(der)
            return der if kind == "ecdsa-der" else r.to_bytes(32, "big") + s.to_bytes(32, "big")

        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return SimpleNamespace(signer=tagtrust.CallbackSigner(public, sign), public=public, signed=signed)

    return elsewhere


@pytest.mark.parametrize("kind", ["ecdsa", "ecdsa-der", "rsa"])
def test_a_signer_elsewhere_signs_for_every_role(
    kind, publisher, connect, elsewhere, server, stranger, fresh_directory
):
    signers = {role: elsewhere(kind) for role in ("root", "targets", "snapshot", RELEASES)}
    one, ids = publisher(), {role: it.signer.id for role, it in signers.items()}

    def nobody(*_):
        raise AssertionError("there is no key on disk")

    client = connect(one.trust_dir, signers=[it.signer for it in signers.values()], passphrase=nobody)
    client.init(one.gun, root_key=ids["root"], targets_key=ids["targets"])
    client.rotate_key(one.gun, "snapshot", keys=[ids["snapshot"]])
    file = fresh_directory() / "releases.pub"
    file.write_bytes(signers[RELEASES].public)
    client.add_delegation(one.gun, RELEASES, keys=[file], paths=[""])
    client.sign(one.reference("v1"), *make_image("v1"))
    assert stranger().list(one.gun, [RELEASES])["v1"] == (*make_image("v1"), RELEASES)
    assert key_ids(server, one.gun, "targets") == [ids["targets"]]
    assert all(it.signed for it in signers.values())
    assert list(one.trust_dir.rglob("*.key")) == []
    # The root moves from one to another.
    other = elsewhere(kind)
    both = connect(one.trust_dir, signers=[other.signer, *(it.signer for it in signers.values())])
    both.rotate_key(one.gun, "root", keys=[other.signer.id])
    assert stranger().list(one.gun, [RELEASES]).keys() == {"v1"}


@pytest.mark.parametrize("answer", [b"", b"x" * 64, b"\0" * 64, b"x" * 10000], ids=["nothing", "wrong", "zero", "long"])
def test_a_signature_that_does_not_verify_is_not_uploaded(answer, publisher, connect, tagtrust, fresh_directory):
    one = publisher()
    one.client.init(one.gun)
    public, _ = make_delegation_key("ecdsa", fresh_directory(), "broken")
    broken = tagtrust.CallbackSigner(public.read_bytes(), lambda _: answer)
    one.client.add_delegation(one.gun, RELEASES, keys=[public], paths=[""])
    with unchanged(one), pytest.raises(tagtrust.TrustError):
        connect(one.trust_dir, signers=[broken]).sign(one.reference("v1"), *make_image("v1"))


def test_what_a_signer_raises_comes_out(publisher, connect, tagtrust, fresh_directory):
    class Unplugged(Exception):
        pass

    def sign(message):
        raise Unplugged

    one = publisher()
    one.client.init(one.gun)
    public, _ = make_delegation_key("ecdsa", fresh_directory(), "unplugged")
    one.client.add_delegation(one.gun, RELEASES, keys=[public], paths=[""])
    client = connect(one.trust_dir, signers=[tagtrust.CallbackSigner(public.read_bytes(), sign)])
    with unchanged(one), pytest.raises(Unplugged):
        client.sign(one.reference("v1"), *make_image("v1"))
