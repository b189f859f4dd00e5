"""What users install: a source distribution that builds, and a wheel for every Python from 3.9 on."""

import functools
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from lab.need import need

ROOT = Path(__file__).parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PACKAGE = {str(path.relative_to(ROOT / "python")) for path in (ROOT / "python/tagtrust").rglob("*.py*")}
PACKAGE = {name for name in PACKAGE if "__pycache__" not in name} | {"tagtrust/py.typed"}

USE = """
import os, subprocess, sys, tempfile
import tagtrust

assert os.path.realpath(tagtrust.__file__).startswith(os.path.realpath(sys.prefix)), tagtrust.__file__
with tagtrust.Server() as server, tempfile.TemporaryDirectory() as directory:
    client = tagtrust.Client(server=server.url, trust_dir=directory, passphrase=lambda *_: "correct horse")
    client.sign("registry.example/team/app:1.0", "sha256:" + "1" * 64, 1570)
    pinned = client.verify("registry.example/team/app:1.0").pinned_reference
    command = [os.path.join(sys.prefix, "bin", "tagtrust"), "verify", "--server", server.url]
    done = subprocess.run([*command, "--trust-dir", directory, "registry.example/team/app:1.0"], capture_output=True)
assert done.returncode == 0 and done.stdout.decode().strip() == pinned, done
print(sys.version_info[:2], pinned)
"""


def pythons():
    """This one, and every other that is here and that pip still knows."""
    found = {f"3.{sys.version_info.minor}": sys.executable}
    for minor in range(10, 20):
        path = shutil.which(f"python3.{minor}")
        works = path and subprocess.run([path, "-c", "import ensurepip, ssl, venv"], capture_output=True)
        if works and works.returncode == 0:
            found.setdefault(f"3.{minor}", path)
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """As `make wheel` builds them, but with the profile of the tests: a wheel from the source distribution."""
    need(bool(shutil.which("maturin")), "maturin")
    out = tmp_path_factory.mktemp("wheel")
    # Without --locked: its lock file names what only the C library needs, too.
    words = ["--offline", "--sdist", "--out", out, "--target-dir", TARGET]
    build = ["maturin", "build", "--quiet", *words, "--compression-method", "stored"]
    subprocess.run([*build, "-m", ROOT / "python/Cargo.toml"], check=True)
    return out


def test_the_source_distribution_has_what_a_build_needs_and_no_more(built):
    (path,) = built.glob("tagtrust-*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert PACKAGE | {"PKG-INFO", "Cargo.toml", "Cargo.lock", "pyproject.toml", "LICENSE", "README.md"} <= names
    assert {"python/src/lib.rs", "core/src/lib.rs"} <= names
    assert not {name for name in names if re.search(r"(^|/)(target|tests/(lab|python)|\.venv|fuzz|__pycache__)/", name)}
    assert not {name for name in names if name.endswith((".so", ".pyc"))}


def test_the_wheel_is_for_every_python_and_typed(built):
    (path,) = built.glob("tagtrust-*.whl")
    assert "-cp39-abi3-" in path.name
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith("/METADATA"))
    assert {name for name in names if ".dist-info/" not in name} == PACKAGE | {"tagtrust/_tagtrust.abi3.so"}
    assert "Requires-Python: >=3.9\n" in metadata and "License-Expression: Apache-2.0\n" in metadata
    assert any(re.search(r"\.dist-info/licenses/LICENSE$", name) for name in names)


@pytest.mark.parametrize("version", pythons())
def test_the_wheel_works_in_a_clean_environment(built, tmp_path, version):
    (wheel,) = built.glob("tagtrust-*.whl")
    run = functools.partial(subprocess.run, check=True, capture_output=True, text=True, cwd=tmp_path)
    run([pythons()[version], "-m", "venv", "--without-pip", tmp_path / "venv"])
    python = tmp_path / "venv/bin/python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    run([*pip, "install", "--no-index", "--quiet", wheel])
    done = subprocess.run([python, "-I", "-c", USE], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"({version.replace('.', ', ')})")
