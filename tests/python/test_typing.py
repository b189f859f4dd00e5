"""The type hints: the stubs are those of the module, and users' code checks under them."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.need import need

USAGE = Path(__file__).parent / "usage.py"
PACKAGE = Path(__file__).parents[2] / "python/tagtrust"


@pytest.fixture(autouse=True)
def mypy(tagtrust, tmp_path, monkeypatch):
    need(importlib.util.find_spec("mypy") is not None, "mypy")
    monkeypatch.chdir(tmp_path)  # where it keeps its cache
    monkeypatch.setenv("MYPY_CACHE_DIR", os.devnull)


def run(*words):
    return subprocess.run([sys.executable, "-m", *map(str, words)], capture_output=True, text=True)


def test_stubs_agree_with_the_module():
    done = run("mypy.stubtest", "tagtrust")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("code", [PACKAGE, USAGE], ids=["the package", "its users"])
def test_code_is_strictly_typed(code):
    done = run("mypy", "--strict", code)
    assert done.returncode == 0, done.stdout


def test_wrong_use_is_found(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import tagtrust\n"
        "tagtrust.Client(timeout='1')\n"
        "tagtrust.Client().verify_many(['a'])[0].digest\n"
        "tagtrust.Client().verify('a').digest = 'b'\n"
        "tagtrust.Image()\n"
    )
    found = run("mypy", "--strict", wrong).stdout
    for line in range(2, 5):
        assert f"wrong.py:{line}: error" in found
