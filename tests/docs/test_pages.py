"""What the README and the documentation say is run as it stands there."""

import json
import os
import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest

from docs.story import ROOT, Story, blocks, tomllib
from interop.verifiers import BUILD
from lab import Notary, NotaryServer, Postgres, repositories
from lab.need import need
from lab.notary import PASSPHRASE
from lab.postgres import NOTARY_TABLES, SIGNER_TABLES
from lab.process import free_port, toolchain

APP, SIGNED = "registry.example/team/app", "registry.example/team/signed"
PASSPHRASES = {f"DOCKER_CONTENT_TRUST_{kind}_PASSPHRASE": PASSPHRASE for kind in ("ROOT", "REPOSITORY")}

# Sections that are no part of a page's story, because they build releases or are the tests, and what runs them.
ELSEWHERE = {
    ("README.md", "Two commands"): ".ci/run",
    ("README.md", "Install the C library"): "tests/install/test_install.py",
}

# The other pages' blocks, by how they begin, and the tests that use them.
OTHER_PAGES = {
    "ffi/containerd/README.md": {
        "# The root key of these": "test_the_configuration_of_the_readme_can_be_used",
        "mkdir -p /opt/containerd": "test_containerd_pulls_what_was_signed",
        "version = 3": "test_the_settings_of_the_readme_are_containerds_own",
        "ctr images pull": "test_containerd_pulls_what_was_signed",
        "image verifier bindir blocked": "test_containerd_pulls_nothing_else",
    },
    "python/examples/admission/README.md": {
        "Error from server (Forbidden)": "test_one_unsigned_image_refuses_the_object_with_its_name",
        "python3 admission.py": "test_every_image_of_every_kind_is_pinned_and_nothing_else_changes",
    },
    "python/README.md": {
        ">>> ": "test_examples_in_the_readme",
        "tagtrust verify": "test_the_readme",
    },
}

# What `make install` and `go get` would have done.
GO_MOD = f"""\
module page

go 1.19

require github.com/tagtrust/tagtrust/ffi/go v0.0.0

replace github.com/tagtrust/tagtrust/ffi/go => {ROOT / "ffi/go"}
"""
PKG_CONFIG = f"""\
Name: tagtrust
Description: tagtrust as it was built here
Version: 0
Libs: -L{BUILD} -ltagtrust
Cflags: -I{ROOT / "include"}
"""


@pytest.fixture
def reader(tmp_path):
    """Tells pages to somebody who has the programs of `make build`, an empty Docker directory and passphrases."""
    for program in ("bash", "curl", "cc", "rustc"):
        need(bool(shutil.which(program)), program)
    need((BUILD / "tagtrust-server").exists(), "tagtrust-server")
    (tmp_path / "docker").mkdir()
    env = {
        "DOCKER_CONFIG": tmp_path / "docker",
        "PATH": f"{BUILD}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": BUILD,
        **PASSPHRASES,
        **toolchain(),
    }
    directory = tmp_path / "here"
    directory.mkdir()

    def tell(page, more_env=None, replace=None):
        without = tuple(section for of, section in ELSEWHERE if of == page)
        return Story(directory, env | (more_env or {}), replace).tell(page, without)

    tell.directory, tell.docker, tell.path = directory, tmp_path / "docker", env["PATH"]
    return tell


@pytest.fixture
def trusting(reader, tmp_path):
    """The settings of a reader with a notary-server of his own, whose certificate he trusts as Docker does."""
    need(bool(shutil.which("notary-server")), "notary-server")
    with NotaryServer(tmp_path / "server") as server:
        tls = reader.docker / "tls" / server.address
        tls.mkdir(parents=True)
        (tls / "ca.crt").write_bytes(Path(server.ca_file).read_bytes())
        yield server, {"DOCKER_CONTENT_TRUST_SERVER": server.url}


@pytest.fixture
def signed(trusting, tmp_path):
    """An image that the real notary signed, as `registry.example/team/app:1.2`."""
    server, _ = trusting
    digest, size = repositories.make_image("documentation")
    publisher = Notary(server, tmp_path / "publisher")
    publisher.init(APP)
    publisher.addhash(APP, "1.2", size, digest.removeprefix("sha256:"))
    publisher.publish(APP)
    return f"{APP}@{digest}"


def test_the_readme(reader, trusting, signed, tmp_path):
    server, env = trusting
    printed = list(reader("README.md", env).values())
    assert sum(text.startswith(f"{signed}\n") or text.startswith(f"{signed} ") for text in printed) == 4
    notary = Notary(server, tmp_path / "reader")
    assert set(notary.list(SIGNED, ["targets/releases"])) == {"1.4", "1.5"}
    assert {"trust.db", "trust.pem"} <= {path.name for path in reader.directory.iterdir()}


def test_the_page_on_publishing(reader, trusting, tmp_path):
    server, env = trusting
    printed = reader("docs/publishing.md", env)
    assert printed[f"tagtrust status {APP}"].count("1.4") == 2
    notary = Notary(server, tmp_path / "reader")
    assert set(notary.list(APP, ["targets/releases"])) == {"1.4"}
    assert set(notary.list(APP, ["targets/team"])) == {"1.5"}


@pytest.fixture(scope="module")
def databases():
    """Those of the page on servers, by their names there."""
    need(Postgres.is_here(), "PostgreSQL")
    with Postgres() as postgres:
        yield {
            "postgres://tagtrust:secret@db.example/tagtrust": postgres.database(),
            "postgres://server@db.example/notaryserver": postgres.database(NOTARY_TABLES),
            "postgres://signer@db.example/notarysigner": postgres.database(SIGNER_TABLES),
        }


def test_the_page_on_servers(reader, databases):
    ports = {f"127.0.0.1:{port}": f"127.0.0.1:{free_port()}" for port in (4443, 4444)}
    printed = reader("docs/server.md", replace=databases | ports)
    assert any(f"{APP}@sha256:4355" in text for text in printed.values())
    assert (reader.directory / "copy.db").stat().st_size and (reader.directory / "access.log").stat().st_size


def test_the_first_page(reader, trusting, signed):
    reader("docs/index.md", trusting[1])


def test_the_page_for_operators(reader, trusting, signed):
    # In place of an engine.
    programs = reader.directory / "programs"
    programs.mkdir()
    (programs / "docker").write_text('#!/bin/sh\necho "docker $*"\n')
    (programs / "docker").chmod(0o755)
    printed = reader("docs/operator.md", trusting[1] | {"PATH": f"{programs}:{reader.path}"})
    assert printed[f"./pull-signed {APP}:1.2"] == f"docker pull {signed}\ndocker tag {signed} {APP}:1.2\n"
    (found,) = json.loads(printed[f"tagtrust verify --json {APP}:1.2"])
    assert found["pinned_reference"] == signed


def test_the_page_for_runtimes(reader, trusting, signed, tmp_path):
    need(bool(shutil.which("go") and shutil.which("pkg-config")), "go and pkg-config")
    (reader.directory / "go.mod").write_text(GO_MOD)
    (tmp_path / "tagtrust.pc").write_text(PKG_CONFIG)
    reader("docs/runtime.md", trusting[1] | {"PKG_CONFIG_PATH": tmp_path, "GOFLAGS": "-mod=mod", "GOPROXY": "off"})
    wanted = tomllib.loads((reader.directory / "Cargo.toml").read_text())["dependencies"]["tagtrust"]["features"]
    assert set(wanted) <= tomllib.loads((ROOT / "core/Cargo.toml").read_text())["features"].keys()


def test_the_page_for_tools(reader, trusting, signed):
    reader("docs/tooling.md", trusting[1])


def test_every_other_block_of_the_site_has_a_test():
    site = runpy.run_path(str(ROOT / "docs/conf.py"))["include_patterns"]
    sources = {path: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    told = {page for source in sources.values() for page in re.findall(r'(?:reader|tell)\("([^"]+)"', source)}
    assert told | OTHER_PAGES.keys() <= set(site)
    for page in set(site) - told:
        tests = OTHER_PAGES.get(page, {})
        for block in blocks(page, (ROOT / page).read_text()):
            names = [name for start, name in tests.items() if block.text.startswith(start)]
            assert names, f"nothing runs {block}"
            assert any(f"def {name}(" in source for source in sources.values() for name in names), names


def test_what_is_no_part_of_a_story_is_run_elsewhere():
    for (page, section), where in ELSEWHERE.items():
        assert f"## {section}\n" in (ROOT / page).read_text()
        assert (section if where.endswith(".py") else "make test") in (ROOT / where).read_text()


def test_every_test_that_a_page_names_exists():
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = {page: re.findall(r"`(test_\w+)`", page.read_text()) for page in (ROOT / "docs").glob("*.md")}
    assert sum(map(len, named.values())) > 50
    for page, names in named.items():
        missing = [name for name in names if f"def {name}(" not in sources]
        assert not missing, page


def test_every_row_on_compatibility_names_a_test():
    page = (ROOT / "docs/compatibility.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| what ")]
    assert len(rows) > 20
    assert not [row for row in rows if "`test_" not in row.rsplit("|", 2)[1]]
