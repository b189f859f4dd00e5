"""What we upload is what everybody else would write: a server's snapshot, and other publishers, hash it again."""

import base64
import json

import pytest

from lab import CommandFailed
from lab.repositories import RELEASES, make_image
from publish.conftest import unchanged
from publish.sides import PythonUser

# A reference cannot have most of these; `notary` stages them, and we publish.
AWKWARD = {
    "quote": '"', "backslash": "\\", "html": "<b>&amp;</b>", "separators": "a\u2028b\u2029c", "non-bmp": "😀𝄞",
    "delete": "\x7f", "space": " a  b ", "accents": "é e\u0301 ß", "private-use": "\ue000\uffff", "slashes": "/a//b/",
    "escapes": "\\n\\u0041\\\\", "dots": "../../a", "percent": "%00%2f", "sorted": "B", "long": "x" * 4096,
    "dash": "-rf", "json": '{"a":[1,2]}', "c1": "\x80\x9f", "bom": "\ufeff",
}  # fmt: skip

CUSTOM = [
    '{"b":1,"a":2}',
    '{ "a" : [ 1 , 2 , { } , [ ] ] , "é" : null }',
    '{"html":"<b>&</b>","sep":"\\u2028\\u2029","esc":"\\"\\\\\\/","nonbmp":"\\ud83d\\ude00","del":"\\u007f"}',
    '{"B":1,"aa":2,"":3,"a":4,"\\uffff":5,"\\ud83d\\ude00":6}',
    '"text"', "[]", "true", "0", "-5", "9007199254740992", "-9007199254740992", "[" * 50 + "]" * 50,
]  # fmt: skip


@pytest.fixture(params=["targets", "signer"])
def with_server_snapshot(request, publisher, fresh_directory):
    """The server hashes what we upload, in its own way of writing it. Tags go to `targets`, or to delegations."""
    one = publisher()
    one.client.init(one.gun)
    if request.param == "signer":
        one.client.add_signer("alice", [PythonUser(one).generate_key("alice", fresh_directory())], one.gun)
        return one, ["targets/alice", RELEASES]
    return one, ["targets"]


def test_awkward_names_staged_by_notary_and_published_by_us(with_server_snapshot, stranger):
    one, roles = with_server_snapshot
    for role in roles:
        for name, tag in AWKWARD.items():
            stage(one, tag, role, make_image(name))
    one.client.publish(one.gun)
    assert_everybody_reads(one, roles, stranger, AWKWARD.values())
    # And again on top of them, by both.
    one.client.sign(one.reference("v1"), *make_image("v1"))
    assert_everybody_reads(one, roles, stranger, [*AWKWARD.values(), "v1"])
    # Longer than what we stage or sign ourselves: it is no obstacle.
    stage(one, "y" * 5000, roles[0], make_image("y"))
    one.notary.publish(one.gun)
    one.client.sign(one.reference("v2"), *make_image("v2"))
    assert_everybody_reads(one, roles[:1], stranger, [*AWKWARD.values(), "v1", "v2", "y" * 5000])


def test_custom_data_of_every_form(with_server_snapshot, stranger):
    """Notary writes it as it stands and then cannot verify what it wrote; we bring it to the form that is signed."""
    one, roles = with_server_snapshot
    for number, custom in enumerate(CUSTOM):
        one.client.sign(one.reference(f"v{number}"), *make_image(custom), custom=custom)
    tags = {f"v{number}" for number in range(len(CUSTOM))}
    assert_everybody_reads(one, roles, stranger, tags)
    for role in roles:
        targets = json.loads(one.notary.server.metadata(one.gun, role))["signed"]["targets"]
        assert {tag: targets[tag]["custom"] for tag in tags} == {
            f"v{number}": json.loads(custom) for number, custom in enumerate(CUSTOM)
        }


def test_custom_data_staged_by_notary_is_published_in_a_form_that_verifies(with_server_snapshot, stranger):
    one, roles = with_server_snapshot
    for number, custom in enumerate(CUSTOM):
        stage(one, f"v{number}", roles[0], make_image(custom), custom=json.loads(custom))
    one.client.publish(one.gun)
    assert_everybody_reads(one, roles[:1], stranger, [f"v{number}" for number in range(len(CUSTOM))])


UNVERIFIABLE = [
    "1.5", '{"a":[0.1]}', "9007199254740993", "-9007199254740993", "1e400", "NaN", "{", "", "nul", "1 2",
    '{"a":1,"a":2}', '"\\ud800"', '{"a":"\n"}', '{"a":"\\n"}', '{"\\u0000":1}',
]  # fmt: skip


@pytest.mark.parametrize("custom", UNVERIFIABLE)
def test_custom_data_that_nobody_could_verify_is_refused(custom, with_server_snapshot, tagtrust):
    one, _ = with_server_snapshot
    one.client.sign(one.reference("v1"), *make_image("v1"))
    for stage in (False, True):
        with unchanged(one), pytest.raises(tagtrust.TrustError):
            one.client.sign(one.reference("v2"), *make_image("v2"), custom=custom, stage=stage)


@pytest.mark.parametrize("tag", ["a\nb", "a\tb", "\x00", "\x1f", "\r"])
def test_a_staged_name_with_a_control_character_stays_staged(tag, with_server_snapshot, tagtrust):
    """It can be signed and not be written: Notary fails when it publishes, too."""
    one, roles = with_server_snapshot
    stage_by_hand(one, tag, roles[0])
    with unchanged(one), pytest.raises(CommandFailed):
        one.notary.publish(one.gun)
    with unchanged(one), pytest.raises(tagtrust.TrustError):
        one.client.publish(one.gun)


@pytest.mark.parametrize("form", ["ours", "notarys"])
def test_files_are_in_the_one_form(form, with_server_snapshot):
    """The members, their order, no spaces, no newline, the shortest fraction in dates."""
    one, roles = with_server_snapshot
    one.client.sign(one.reference("v1"), *make_image("v1"))
    if form == "notarys":
        stage(one, "v2", roles[0], make_image("v2"))
        one.notary.publish(one.gun)
    for role in ["root", "targets", *roles]:
        data = one.notary.server.metadata(one.gun, role)
        assert data == written_by_go(json.loads(data))


def written_by_go(envelope) -> bytes:
    """Another implementation of the one form."""
    assert list(envelope) == ["signed", "signatures"]
    assert all(list(signature) == ["keyid", "method", "sig"] for signature in envelope["signatures"])
    signed = envelope["signed"]
    fraction = signed["expires"].partition(".")[2].rstrip("Z")
    assert not fraction.endswith("0") and signed["expires"].endswith("Z")
    text = json.dumps(envelope | {"signed": in_order(signed)}, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()


def in_order(value):
    if isinstance(value, dict):
        return {key: in_order(value[key]) for key in sorted(value, key=str.encode)}
    return [in_order(item) for item in value] if isinstance(value, list) else value


def stage(one, tag, role, image, custom=None):
    """As `notary addhash` does, for names that cannot stand on a command line."""
    digest, size = image
    meta = {"length": size, "hashes": {"sha256": base64.b64encode(bytes.fromhex(digest[7:])).decode()}}
    if custom is not None:
        meta["custom"] = custom
    stage_by_hand(one, tag, role, meta)


def stage_by_hand(one, tag, role, meta=None):
    meta = meta or {"length": 5, "hashes": {"sha256": base64.b64encode(b"x" * 32).decode()}}
    stage_by_hand.count = getattr(stage_by_hand, "count", 0) + 1
    change = {
        "action": "create",
        "role": role,
        "type": "target",
        "path": tag,
        "data": base64.b64encode(json.dumps(meta).encode()).decode(),
    }
    directory = one.trust_dir / "tuf" / one.gun / "changelist"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = directory / f"{stage_by_hand.count:020}_00000000-0000-4000-8000-000000000000.change"
    file.touch(mode=0o600)
    file.write_text(json.dumps(change))


def assert_everybody_reads(one, roles, stranger, tags):
    """A fresh `notary` verified every file, and lists these tags; so does a fresh one of ours."""
    reader = stranger()
    for role in roles:
        said = reader.run("list", one.gun, "-r", role).stdout
        for tag in tags:
            assert tag in said
    ours = json.loads(one.client.inspect(one.gun).to_json())
    if roles != ["targets/alice"]:
        assert {row["SignedTag"] for row in ours["SignedTags"]} == set(tags)
