"""Importing the package is quick, and brings nothing that it does not need."""

import subprocess
import sys

# Each of these takes longer to import than all of the package.
SLOW = ("argparse", "asyncio", "dataclasses", "datetime", "inspect", "json", "logging", "re", "typing")


def python(code):
    return subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout


def test_an_import_waits_for_nothing_slow(tagtrust):
    code = "import sys; before = set(sys.modules); import tagtrust; print(*(set(sys.modules) - before))"
    assert not set(python(code).split()) & set(SLOW)
