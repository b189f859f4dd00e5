"""The page to look at, in headless Chromium."""

import os
import re
import time
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from attacks import tuf
from lab import TagtrustServer
from lab.chromium import PROGRAM, Chromium
from lab.need import need
from server.site import Site

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOT = ROOT / "docs/ui.png"

APP = "registry.example/team/app"
MARK = "window.hacked = 1; alert(1)"
HOSTILE = [
    f"registry.example/<script>{MARK}</script>",
    f'registry.example/"><img src=x onerror="{MARK}">',
    f"registry.example/'onmouseover='{MARK}'",
    "registry.example/%3Cscript%3E%252e%00",
    "registry.example/a?b#c&amp;d;e",
    "registry.example/ünï/応用/🦀 with spaces",
    "registry.example/\u202egnp.exe\u200b",
    "registry.example/" + "long/" * 40 + "x",
]
# All elements that a page is made of.
ELEMENTS = set(
    "html head meta title link style body header main h1 h2 p strong form label input button ul li a table thead tbody"
    " tr th td code span time br".split()
)
# Of "secret".
USER, PASSWORD = "ann", "secret"
HASH = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"


class UiSite(Site):
    """Names are escaped on their way to the server."""

    def key(self, gun, role, method="GET"):
        return super().key(quote(gun), role, method)

    def upload(self, gun, parts, **headers):
        return super().upload(quote(gun), parts, **headers)

    def url(self, gun="") -> str:
        return f"{self.server.url}/ui/{quote(gun)}"

    def publish(self, gun, tags=(), **settings):
        draft = self.draft(gun, root_keys=[tuf.root_key("ui-root", "*")], **settings)
        for tag in tags:
            draft["targets"].signed["targets"][tag] = tuf.target(tag.encode())
        return uploaded(draft)


def uploaded(draft, *roles):
    answer = draft.upload(*roles)
    assert answer.status == 200, answer
    return draft


def with_signers(draft):
    """Two signers, one of whom has to sign anew soon, and releases."""
    tags = {tag: tuf.target(tag.encode()) for tag in ("1.0.0", "1.1.0", "1.2.0", "latest")}
    keys = [tuf.key("alice"), tuf.key("bob", "ed25519")]
    draft.delegate("targets/releases", keys).signed["targets"] = tags
    draft.delegate("targets/alice", keys[:1]).signed["targets"] = tags
    bob = draft.delegate("targets/bob", keys[1:], paths=["1.", "latest"])
    bob.signed["targets"] = {tag: tags[tag] for tag in ("1.2.0", "latest")}
    bob.signed["expires"] = tuf.rfc3339(tuf.NOW + timedelta(days=9))
    draft.delegate("targets/qa", [tuf.key("carol"), tuf.key("dave")], paths=["rc-"], threshold=2)
    del draft["targets"].signed["targets"]["1.2.0"]
    return draft.bump("targets")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with TagtrustServer(tmp_path_factory.mktemp("ui")) as server:
        site = UiSite(server, reference=False)
        draft = with_signers(site.publish(APP, ["0.9.0", "1.2.0"]))
        uploaded(draft, "targets", "targets/releases", "targets/alice", "targets/bob")
        for gun in HOSTILE:
            site.publish(gun, HOSTILE)
        for name in ("worker", "proxy", "db"):
            site.publish(f"registry.example/team/{name}", ["1.0"])
        yield site


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    need(bool(PROGRAM), "chromium")
    with Chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def start(fresh_directory):
    """`start(section={…})`: a server of ours with other settings."""
    started = []

    def start(**settings) -> UiSite:
        started.append(TagtrustServer(fresh_directory(), **settings))
        started[-1].start()
        return UiSite(started[-1], reference=False)

    yield start
    for server in started:
        server.stop()


def assert_harmless(browser, site):
    """Nothing ran, nothing was loaded, and the page is made of what it should be."""
    assert browser.problems == []
    assert {url for url in browser.requests if not url.startswith((site.server.url + "/ui/", "data:"))} == set()
    assert browser.evaluate("window.hacked") is None
    elements = browser.evaluate("[...new Set([...document.querySelectorAll('*')].map(e => e.localName))]")
    assert set(elements) <= ELEMENTS
    names = browser.evaluate("[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames())")
    assert not [name for name in names if name.startswith("on") or name == "style"]


def rows(browser) -> list[list[str]]:
    return browser.evaluate(
        "[...document.querySelectorAll('tbody tr')].map(row => [...row.cells].map(cell => cell.innerText))"
    )


def test_a_repository_shows_its_tags_signers_keys_and_expiries(browser, site):
    assert browser.open(site.url()) == 200
    assert browser.click(APP) == 200
    assert_harmless(browser, site)
    assert browser.evaluate("document.querySelector('h1').innerText") == APP
    assert browser.evaluate("document.title") == f"{APP} · tagtrust"

    table = {row[0].split("\n")[0]: row[1:] for row in rows(browser)}
    digest = tuf.digest_of(tuf.target(b"1.2.0"))
    assert table["1.2.0"] == [digest, "alice, bob"]
    assert table["1.0.0"][1] == "alice"
    assert table["0.9.0"][1] == "Repo Admin"
    assert set(table) == {
        *("0.9.0", "1.0.0", "1.1.0", "1.2.0", "latest"),
        *("root", "targets", "snapshot", "timestamp"),
        *("targets/releases", "targets/alice", "targets/bob", "targets/qa"),
    }
    version, expires, keys = table["targets"]
    assert version == "2" and "in 2 years" in expires
    assert tuf.key("targets").id in keys and "1 of 1 key must sign" in keys
    assert "certificates" in table["root"][1] and "ecdsa-x509" in table["root"][2]
    assert "in 8 days" in table["targets/bob"][1] and tuf.key("bob", "ed25519").id in table["targets/bob"][2]
    assert "renews" in table["timestamp"][1]
    version, expires, keys = table["targets/qa"]
    assert version == "–" and "nothing signed yet" in expires and "2 of 2 keys" in keys
    # The first to expire is named above too; the timestamp, in 13 days, is nobody's work.
    assert "targets/bob" in browser.evaluate("document.querySelector('p.fine').innerText")
    assert browser.evaluate("[...document.querySelectorAll('.soon')].map(e => e.innerText)") == ["in 8 days"] * 2
    assert "for tags that begin with 1., latest" in browser.text

    assert browser.click("tagtrust") == 200
    assert browser.evaluate("document.querySelector('h1').innerText") == "Repositories"


def test_hostile_names_are_text(browser, site):
    assert browser.open(site.url()) == 200
    assert_harmless(browser, site)
    links = browser.evaluate("[...document.querySelectorAll('.names a')].map(e => e.href)")
    assert len(links) == len(HOSTILE) + 4
    for gun in HOSTILE:
        assert browser.open(site.url(gun)) == 200, gun
        assert_harmless(browser, site)
        tags = [row[0] for row in rows(browser)[: len(HOSTILE)]]
        hidden = {"\u202e": r"\u{202e}", "\u200b": r"\u{200b}"}
        shown = {re.sub("[\u202e\u200b]", lambda match: hidden[match[0]], name) for name in HOSTILE}
        assert set(tags) == shown
    # Each link leads to a page of its own.
    seen = set()
    for link in links:
        assert browser.open(link) == 200, link
        seen.add(browser.evaluate("document.querySelector('h1').innerText"))
    assert len(seen) == len(links)


def test_many_repositories_and_tags_come_in_pages(browser, start):
    site = start()
    guns = [f"registry.example/r{number:03}" for number in range(201)]
    for gun in guns[:-1]:
        site.publish(gun)
    site.publish(guns[-1], [f"v{number}" for number in range(250)])

    assert browser.open(site.url()) == 200
    seen, names = [], "[...document.querySelectorAll('.names a')].map(e => e.innerText)"
    for _ in range(2):
        seen += browser.evaluate(names)
        assert browser.click("Next 100") == 200
    seen += browser.evaluate(names)
    assert seen == guns
    assert "Next" not in browser.text
    assert browser.click("First") == 200
    browser.evaluate("document.querySelector('input').value = 'registry.example/r19'")
    assert browser.click("Show") == 200
    assert browser.evaluate(names) == guns[190:]
    assert browser.click(guns[-1]) == 200

    seen = [row[0] for row in rows(browser) if "sha256:" in row[1]]
    for page in ("Page 2 of 3", "Page 3 of 3"):
        assert browser.click("Next") == 200
        assert page in browser.text
        seen += [row[0] for row in rows(browser) if "sha256:" in row[1]]
    assert seen == [f"v{number}" for number in range(250)]
    assert browser.click("Previous") == 200
    for number in ("0", "99", "-1", "x", "18446744073709551616"):
        assert browser.open(f"{site.url(guns[-1])}?page={number}") == 200


def test_what_has_expired_is_shown_as_such(browser, start):
    site = start()
    draft = site.draft("registry.example/old", root_keys=[tuf.root_key("ui-root", "*")])
    draft["targets"].signed["targets"]["v1"] = tuf.target(b"v1")
    ends = time.time() + 10
    draft["targets"].signed["expires"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends))
    uploaded(draft)
    assert browser.open(site.url(draft.gun)) == 200
    assert "Everything verifies" in browser.text
    time.sleep(max(0, ends - time.time()) + 1)
    assert browser.open(site.url(draft.gun)) == 200
    assert_harmless(browser, site)
    assert "Clients refuse this repository" in browser.text and "Everything verifies" not in browser.text
    table = {row[0]: row[1:] for row in rows(browser)}
    assert table["v1"][0] == tuf.digest_of(tuf.target(b"v1"))
    assert "expired 0 minutes ago" in table["targets"][1]


def test_what_is_not_there_has_a_page_that_says_so(browser, site):
    for gun in ("registry.example/none", f"<script>{MARK}</script>"):
        assert browser.open(site.url(gun)) == 404
        assert "no repository of this name" in browser.text
        assert browser.evaluate("window.hacked") is None


def test_users_of_the_file_log_in_with_their_browser(tmp_path_factory, start):
    need(bool(PROGRAM), "chromium")
    users = tmp_path_factory.mktemp("users") / "users"
    users.write_text(f"{USER}:{HASH}\n")
    site = start(auth={"type": "htpasswd", "options": {"realm": "lab", "path": str(users)}})
    # A browser that has not seen a password yet.
    with Chromium(tmp_path_factory.mktemp("chromium")) as browser:
        assert browser.open(site.url()) == 401
        assert "Log in with your name and password" in browser.text
        browser.login = (USER, PASSWORD)
        assert browser.open(site.url()) == 200
        assert_harmless(browser, site)
        assert "No repository" in browser.text


def test_where_tokens_count_the_page_says_that_browsers_have_none(browser, start):
    options = {
        "realm": "https://auth.example/token",
        "service": "notary",
        "issuer": "auth.example",
        "rootcertbundle": str(ROOT / "core/src/server/auth/testdata/bundle.pem"),
    }
    site = start(auth={"type": "token", "options": options})
    for page in (site.url(), site.url(APP)):
        assert browser.open(page) == 401
        assert "a browser cannot get one" in browser.text


def test_no_page_may_run_or_load_anything(site):
    for path in ("/ui/", f"/ui/{APP}", "/ui/none"):
        headers = site.wire.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"


def test_nothing_is_wider_than_a_telephone(browser, site):
    for gun in ("", APP, *HOSTILE):
        browser.look(360, 640)
        assert browser.open(site.url(gun)) == 200
        assert browser.evaluate("document.documentElement.scrollWidth") <= 360, gun
    browser.look(1100, 900)


def test_both_colour_schemes_can_be_read(browser, site):
    """Every text against its ground, as WCAG counts contrast."""
    for dark in (False, True):
        browser.look(1100, 900, dark)
        assert browser.open(site.url(APP)) == 200
        pairs = browser.evaluate(
            """[...document.querySelectorAll('main *, header *')].filter(e => e.innerText?.trim()).map(e => {
                let ground = e;
                while (ground && getComputedStyle(ground).backgroundColor == 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
                return [getComputedStyle(e).color, getComputedStyle(ground ?? document.body).backgroundColor] })"""
        )
        assert len(pairs) > 50
        for pair in {tuple(pair) for pair in pairs}:
            light, shade = sorted((luminance(colour) for colour in pair), reverse=True)
            assert (light + 0.05) / (shade + 0.05) >= 4.5, (dark, pair)
    browser.look(1100, 900)


def luminance(colour: str) -> float:
    def linear(part):
        part = int(part) / 255
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    red, green, blue = map(linear, re.findall(r"\d+", colour)[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_screenshot_can_be_taken(browser, site):
    """Of the documentation; `make screenshot` keeps it."""
    browser.look(1100, 960)
    assert browser.open(site.url(APP)) == 200
    picture = browser.screenshot()
    assert picture.startswith(b"\x89PNG") and len(picture) < 200_000
    assert SCREENSHOT.is_file()
    if os.environ.get("TAGTRUST_WRITE_SCREENSHOT"):
        SCREENSHOT.write_bytes(picture)
