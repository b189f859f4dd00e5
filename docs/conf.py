"""How `make docs` makes a site of the Markdown pages, here and beside what they describe.

The source directory is the repository, so that a link leads to the same file in the repository and on the site.
"""

from pygments.lexers import IniLexer, RustLexer

project = "tagtrust"
copyright = "the authors of tagtrust, Apache-2.0"
root_doc = "docs/index"

# The pages and their order. On the first page nothing says so, because it is read without Sphinx too.
PAGES = {
    "Guides": {
        "README": "Install, and first steps",
        "docs/operator": "",
        "docs/runtime": "",
        "docs/tooling": "",
        "docs/publishing": "",
        "docs/server": "",
    },
    "Parts": {
        "ffi/containerd/README": "For containerd",
        "python/examples/admission/README": "For Kubernetes",
        "ffi/go/README": "The Go package",
        "python/README": "The Python package",
    },
    "Reference": {
        "docs/threat-model": "",
        "docs/compatibility": "",
        "docs/differences": "",
        "docs/reference": "Names",
        "SECURITY": "",
        "CONTRIBUTING": "",
    },
}
include_patterns = [f"{page}.md" for page in [root_doc, *(page for part in PAGES.values() for page in part)]]
exclude_patterns = [".*", "target", "core", "tests"]

extensions = ["myst_parser"]
# The anchors of headings are those of GitHub. A link that leads nowhere is a warning, and a warning fails the build.
myst_heading_anchors = 4

html_theme = "furo"
html_title = "tagtrust"
html_copy_source = False
html_show_sphinx = False
html_css_files = ["tables.css"]
# `index.html`, which leads to the first page, and the style sheet.
html_extra_path = ["site"]


def setup(app):
    app.connect("source-read", add_contents)
    app.add_lexer("rust,no_run", RustLexer)
    app.add_lexer("conf", IniLexer)


def add_contents(app, page, source):
    """The navigation, below the first page."""
    if page == root_doc:
        for caption, pages in PAGES.items():
            names = "\n".join(f"{title} </{name}>" if title else f"/{name}" for name, title in pages.items())
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{names}\n```\n"
