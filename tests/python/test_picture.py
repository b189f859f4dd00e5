"""The chain of trust that an inspection has, as a tree and as a picture."""

import datetime
import shutil
import sys
import time
import xml.etree.ElementTree as ElementTree
from urllib.parse import quote

import pytest
from python.terminal import Terminal

from lab import run
from lab.chromium import Chromium
from lab.need import need

GUN = "registry.example/team/app"
DIGEST = f"sha256:{'1' * 64}"
COMMAND = [sys.executable, "-m", "tagtrust"]


class World:
    """alice has two keys, one of them elsewhere; bob's file is old; qa has signed nothing."""

    def __init__(self, tagtrust, directory, server):
        self.options = {"server": server.url, "docker_config": directory / "docker"}
        day = datetime.timedelta(days=1)
        client = tagtrust.Client(**self.options, passphrase=lambda *_: "correct horse", expiry={"targets/bob": day})
        keys = {name: client.generate_key(name, directory) for name in ("alice", "spare", "bob")}
        self.keys = {name: key.id for name, key in keys.items()}
        files = {name: key.public_key_file for name, key in keys.items()}
        client.remove_key(self.keys["spare"])
        edit = client.edit(GUN).init().add_signer("alice", [files["alice"], files["spare"]])
        edit.add_signer("bob", [files["bob"]]).publish()
        client.add_delegation(GUN, "targets/qa", [files["bob"]], ["qa-", "rc-"])
        client.add_delegation(GUN, "targets/alice/below", [files["bob"]], [""])
        client.edit(GUN).sign("1.0", DIGEST, 1570).sign("2.0", DIGEST, 1570).publish()
        self.client, self.now = client, client.inspect(GUN)
        self.later = tagtrust.Client(**self.options, clock=lambda: time.time() + 2 * 86_400).inspect(GUN)


@pytest.fixture(scope="module")
def world(tagtrust, tmp_path_factory):
    directory = tmp_path_factory.mktemp("picture")
    with tagtrust.Server() as server:
        yield World(tagtrust, directory, server)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    need(shutil.which("chromium") is not None, "chromium")
    with Chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


def test_an_inspection_has_every_role_with_its_keys(world):
    roles = {role.name: role for role in world.now.roles}
    assert list(roles) == [
        *("root", "targets", "targets/alice", "targets/alice/below", "targets/releases", "targets/bob"),
        *("targets/qa", "snapshot", "timestamp"),
    ]
    alice, releases, qa = roles["targets/alice"], roles["targets/releases"], roles["targets/qa"]
    assert {key.id: key.signed for key in alice.keys} == {world.keys["alice"]: True, world.keys["spare"]: False}
    assert (alice.threshold, alice.tags, alice.paths, alice.excluded) == (1, 2, ("",), None)
    assert {key.id for key in releases.keys} == set(world.keys.values())
    assert (qa.version, qa.expires, qa.tags, qa.paths) == (None, None, 0, ("qa-", "rc-"))
    assert [key.signed for key in qa.keys] == [False]
    for name in ("root", "targets", "snapshot", "timestamp"):
        assert [key.signed for key in roles[name].keys] == [True] and roles[name].excluded is None
    expiring = world.client.expiring(GUN, datetime.timedelta(days=2000))
    assert {expiry.role: roles[expiry.role].expires for expiry in expiring} == {
        expiry.role: expiry.expires for expiry in expiring
    }


def test_a_delegation_that_does_not_count_says_why(world):
    roles = {role.name: role for role in world.later.roles}
    assert "expire" in roles["targets/bob"].excluded and roles["targets/bob"].version
    assert [name for name, role in roles.items() if role.excluded] == ["targets/bob"]
    assert "does not count: " in world.later.to_tree() and "does not count" in world.later.to_svg()
    assert "does not count" not in world.now.to_tree() + world.now.to_svg()


def test_the_command_draws_the_tree(world):
    options = ["--server", world.options["server"], "--docker-config", world.options["docker_config"]]
    done = run(*COMMAND, "inspect", "--tree", *options, GUN, f"{GUN}:1.0")
    whole = world.client.inspect(f"{GUN}:1.0").to_tree()
    assert done.stdout == f"{world.now.to_tree()}\n{whole}"
    with Terminal(*COMMAND, "inspect", "--tree", *options, GUN, env={"COLUMNS": "85"}) as terminal:
        status, shown = terminal.finish()
    assert (status, shown) == (0, world.now.to_tree(85))
    assert max(map(len, shown.splitlines())) <= 85 < max(map(len, world.now.to_tree().splitlines()))
    both = run(*COMMAND, "inspect", "--tree", "--pretty", *options, GUN, check=False)
    assert both.returncode == 2


def test_a_picture_is_well_formed_and_needs_nothing_else(world):
    for inspection in (world.now, world.later):
        svg = inspection.to_svg()
        assert svg == inspection._repr_svg_()
        names = {element.tag.partition("}")[2] for element in ElementTree.fromstring(svg).iter()}
        assert names <= {"svg", "title", "style", "g", "rect", "text", "path", "circle"}
        assert not any(word in svg for word in ("href", "url(", "@import", "http-equiv", "onload"))


def test_no_card_lies_on_another(world):
    svg = "{http://www.w3.org/2000/svg}"
    cards = []
    for group in ElementTree.fromstring(world.now.to_svg()).iter(f"{svg}g"):
        x, y = map(int, group.get("transform")[len("translate(") : -1].split())
        card = group.find(f"{svg}rect")
        cards.append((x, y, x + int(card.get("width")), y + int(card.get("height"))))
    assert len(cards) == len(world.now.roles) == 9
    for number, one in enumerate(cards):
        for other in cards[:number]:
            beside = one[2] <= other[0] or other[2] <= one[0]
            assert beside or one[3] < other[1] or other[3] < one[1]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_picture_can_be_read(browser, world, dark):
    browser.look(1000, 1000, dark)
    for inspection in (world.now, world.later):
        browser.open("data:text/html," + quote(f"<!DOCTYPE html><body>{inspection.to_svg()}"))
        assert not browser.problems and len(browser.requests) == 1
        texts = browser.evaluate("""[...document.querySelectorAll('svg text')].map(text => {
            const behind = text.parentNode.querySelector('rect'), outer = behind.getBoundingClientRect()
            const inner = text.getBoundingClientRect()
            return {
                text: text.textContent,
                fits: inner.left >= outer.left && inner.right <= outer.right
                    && inner.top >= outer.top && inner.bottom <= outer.bottom,
                fill: getComputedStyle(text).fill, behind: getComputedStyle(behind).fill,
            }
        })""")
        assert len(texts) > 40
        for text in texts:
            assert text["fits"], text
            assert contrast(text["fill"], text["behind"]) >= 4.5, text


def test_a_notebook_may_show_a_picture_as_an_image(browser, world):
    browser.look(1000, 1000)
    source = "data:image/svg+xml," + quote(world.now.to_svg())
    browser.open("data:text/html," + quote(f'<!DOCTYPE html><img src="{source}">'))
    assert browser.evaluate("document.images[0].naturalWidth") > 800


def contrast(*colours):
    """By WCAG 2: from 1 to 21."""

    def luminance(colour):
        parts = [int(part) / 255 for part in colour.strip("rgb()").split(", ")]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted(map(luminance, colours))
    return (high + 0.05) / (low + 0.05)
