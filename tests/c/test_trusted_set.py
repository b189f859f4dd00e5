"""Verification of files alone, in C."""

import json
import shutil

import pytest

from c.programs import SOURCES, VALGRIND, build
from interop.verifiers import ROOT
from lab import repositories, run
from lab.need import need

VECTOR = ROOT / "tests/vectors/repositories/docker-signed.json"


@pytest.fixture
def arguments(tmp_path):
    """The files of a repository under the names of their roles, and what they say."""
    repository = json.loads(VECTOR.read_text())
    tag, image = "v1", repository["tags"]["v1"]
    for name, content in repository["files"].items():
        role = name.removesuffix(".json")
        # The newest of each role, without the checksum in its name.
        parent, _, last = role.rpartition("/")
        path = tmp_path / "files" / parent / f"{last.split('.')[0]}.json"
        if not last[0].isdigit():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    return repository["gun"], tag, image["digest"], repository["now"], tmp_path / "files"


def test_the_contract_holds_without_a_leak_or_a_stray_access(arguments, tmp_path):
    program = build(SOURCES / "trusted_set.c", tmp_path / "trusted_set")
    run(program, *arguments)
    need(bool(shutil.which("valgrind")), "valgrind")
    run(*VALGRIND, program, *arguments)


def test_the_example_reads_what_notary_keeps_and_refuses_what_was_changed(server, tmp_path):
    program = build(ROOT / "ffi/examples/trusted_set.c", tmp_path / "example")
    repository = repositories.notary_delegated(server, tmp_path / "trust")
    repository.admin.list(repository.gun)
    files = tmp_path / "trust/tuf" / repository.gun / "metadata"
    for tag in ("v1", "v3"):
        done = run(program, repository.gun, tag, files)
        assert done.stdout == f"{repository.gun}@{repository.tags[tag][0]}\n"
    targets = files / "targets.json"
    targets.write_text(targets.read_text().replace("v1", "v9"))
    done = run(program, repository.gun, "v9", files, check=False)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.startswith("Tampered: targets of")
    assert run(program, repository.gun, check=False).returncode == 2
