"""The image verifier, compiled as the Makefile does, and signed repositories for it."""

import shutil
from pathlib import Path

import pytest

from interop.verifiers import BUILD, ROOT
from lab import repositories, run
from lab.need import need
from runtimes.verifier import SOURCE, Verifier


@pytest.fixture(scope="session")
def program(tmp_path_factory) -> Path:
    """As the Makefile builds it, over the library of the tests."""
    need((BUILD / "libtagtrust.so").exists(), "the C library")
    need(bool(shutil.which("cc")), "cc")
    program = tmp_path_factory.mktemp("verifier") / "tagtrust-containerd"
    options = ["-std=c99", "-pedantic", "-g", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "include"]
    run("cc", *options, SOURCE, "-o", program, "-L", BUILD, "-ltagtrust", f"-Wl,-rpath,{BUILD}")
    return program


@pytest.fixture
def verifier(program, server, tmp_path) -> Verifier:
    """Trusts the lab's server, and the first root that it sees."""
    lines = {
        "server": server.url,
        "ca_file": server.ca_file,
        "trust_dir": tmp_path / "trust",
        "docker_config": tmp_path / "docker",
        "trust_on_first_use": "yes",
    }
    verifier = Verifier(program, tmp_path / "containerd.conf", lines)
    verifier.configure()
    return verifier


@pytest.fixture(scope="session")
def signed(server, engine, tmp_path_factory):
    """Signed by alice and bob, with Docker."""
    return repositories.docker_signed(server, tmp_path_factory.mktemp("signed"), engine, "runtime")
