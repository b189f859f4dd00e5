"""One question, asked from Rust, C, Python and the command line."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from lab import CommandFailed, run

ROOT = Path(__file__).parents[2]
BUILD = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
COMMAND = ROOT / ".venv/bin/tagtrust"


class Refused(Exception):
    """Not trusted, or not decided."""


class Program:
    """A program that takes a reference and options, and prints the pinned reference."""

    def __init__(self, where: Path, *words):
        self.where = where
        self.words = words
        self.is_built = where.exists()

    def verify(self, reference, server, trust_dir, ca_file=None) -> str:
        settings = options(server, trust_dir, ca_file)
        try:
            return run(self.where, *self.words, *settings, reference, env=environment()).stdout.strip()
        except CommandFailed as failed:
            assert failed.stdout == "", "a refusal must print nothing that could be taken for an answer"
            raise Refused(failed.stderr) from failed


class Module:
    """The Python package, in this process."""

    where = "the Python package `tagtrust`"

    def __init__(self):
        try:
            import tagtrust
        except ImportError:
            tagtrust = None
        self.module = tagtrust
        self.is_built = tagtrust is not None

    def verify(self, reference, server, trust_dir, ca_file=None) -> str:
        try:
            client = self.module.Client(trust_dir=trust_dir, server=server.url, ca_file=ca_file or server.ca_file)
            return client.verify(reference).pinned_reference
        except self.module.TrustError as error:
            raise Refused(str(error)) from error


def options(server, trust_dir, ca_file=None):
    return ["--server", server.url, "--ca-file", ca_file or server.ca_file, "--trust-dir", trust_dir]


def environment():
    # The user's own Docker settings must not matter: these programs get an empty home.
    return {"LD_LIBRARY_PATH": BUILD}


@cache
def c_example() -> Path:
    """The C example, compiled as its readers would."""
    source, program = ROOT / "ffi/examples/verify.c", BUILD / "examples/verify-c"
    if source.exists() and (BUILD / "libtagtrust.so").exists() and shutil.which("cc"):
        strict = ["-Wall", "-Wextra", "-Werror"]
        library = ["-I", ROOT / "include", "-L", BUILD, "-ltagtrust"]
        subprocess.run(["cc", *strict, source, "-o", program, *library], check=True)
    return program


VERIFIERS = {
    "rust": lambda: Program(BUILD / "examples/verify"),
    "c": lambda: Program(c_example()),
    "python": Module,
    "command": lambda: Program(COMMAND, "verify"),
}


def digest_of(pinned_reference) -> str:
    return re.fullmatch(r".+@(sha256:[0-9a-f]{64})", pinned_reference)[1]
