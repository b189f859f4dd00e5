"""`make docs` builds the site without a warning, and no link in it or on a page beside it leads nowhere."""

import re
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from docs.story import ROOT
from interop.verifiers import BUILD
from lab import run
from lab.process import toolchain

SITE = BUILD.parent / "docs"
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "python/**/*.md", "ffi/**/*.md", "core/*.md")
    for path in ROOT.glob(pattern)
)


class Page(HTMLParser):
    """What a page links, and the places in it that can be linked."""

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.anchors = set(), set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors.add(attributes.get("id"))
        self.links.update(attributes[name] for name in ("href", "src") if attributes.get(name))


@pytest.fixture(scope="module")
def site():
    run("make", "docs", cwd=ROOT, env=toolchain() | {"CARGO_TARGET_DIR": BUILD.parent})
    return {path: Page(path) for path in SITE.rglob("*.html")}


def test_no_link_of_the_site_leads_nowhere(site):
    assert SITE / "docs/index.html" in site
    assert len(site) > 10
    dead = []
    for path, page in site.items():
        for link in page.links:
            url = urllib.parse.urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = (path.parent / urllib.parse.unquote(url.path)).resolve() if url.path else path
            page_there = site.get(target)
            there = target.is_file() and (not url.fragment or not page_there or url.fragment in page_there.anchors)
            if not there:
                dead.append(f"{path.relative_to(SITE)}: {link}")
    assert not dead


def test_the_site_loads_nothing_from_elsewhere(site):
    """It can be read without a network, and nobody learns who reads it."""
    for path in site:
        loaded = re.findall(r'<(?:script|img|link rel="stylesheet")[^>]*?(?:src|href)="([^"]*)"', path.read_text())
        assert not [url for url in loaded if "//" in url], path


@pytest.mark.parametrize("page", PAGES)
def test_no_link_in_the_repository_leads_nowhere(page):
    page = ROOT / page
    for link in links(page.read_text()):
        url = urllib.parse.urlsplit(link)
        if url.scheme:
            continue
        target = page.parent / url.path if url.path else page
        assert target.exists(), link
        if url.fragment and target.suffix == ".md":
            assert url.fragment in anchors(target.read_text()), link


def links(markdown):
    for token in MarkdownIt().enable("table").parse(markdown):
        for child in token.children or []:
            if link := child.attrGet("href") or child.attrGet("src"):
                yield link


def anchors(markdown):
    """Those that GitHub makes of headings."""
    tokens = MarkdownIt().parse(markdown)
    headings = [after.content for token, after in zip(tokens, tokens[1:], strict=False) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
