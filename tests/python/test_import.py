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


def test_an_import_takes_a_few_milliseconds(tagtrust):
    code = "import time; begun = time.perf_counter(); import tagtrust; print(time.perf_counter() - begun)"
    # The best of several: how long it takes, not how busy the machine is.
    assert min(float(python(code)) for _ in range(5)) < 0.05
