"""The C interface: compiled as its users do, as C and as C++, and watched by valgrind."""

import re
import shutil
import subprocess

import pytest

from interop.verifiers import BUILD, ROOT, options
from lab import NotaryServer, repositories, run
from lab.need import need

SOURCES = ROOT / "tests/c"
EXAMPLE = ROOT / "ffi/examples/verify.c"
COMPILERS = {
    "c": ["gcc", "-std=c99", "-pedantic"],
    "c++": ["g++", "-x", "c++", "-std=c++11"],
}
# What the pkg-config file of `make install` says.
STATIC = ["-x", "none", BUILD / "libtagtrust.a", "-lpthread", "-ldl", "-lm"]
SHARED = ["-L", BUILD, "-ltagtrust", f"-Wl,-rpath,{BUILD}", "-lpthread"]
VALGRIND = [
    "valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full",
    "--errors-for-leak-kinds=definite,indirect,possible", f"--suppressions={SOURCES}/valgrind.supp",
]  # fmt: skip


@pytest.fixture(params=COMPILERS)
def compile(request, tmp_path):
    """Call it with a source and a way to link, and it gives the program."""
    need((BUILD / "libtagtrust.so").exists() and (BUILD / "libtagtrust.a").exists(), "the C library")
    compiler = COMPILERS[request.param]
    need(bool(shutil.which(compiler[0])), compiler[0])

    def compile(source, link=SHARED):
        program = tmp_path / source.stem
        warnings = ["-g", "-Wall", "-Wextra", "-Werror"]
        run(*compiler, *warnings, "-I", ROOT / "include", source, "-o", program, *link)
        return program

    return compile


@pytest.fixture(scope="module")
def signed(server, engine, fresh_directory):
    return repositories.docker_signed(server, fresh_directory(), engine)


def contract_arguments(tmp_path):
    not_pem = tmp_path / "not.pem"
    not_pem.write_text("not PEM\n")
    return [tmp_path / "trust", not_pem]


def live_arguments(server, repository, tmp_path):
    digest, size = repository.tags["v1"]
    return [server.url, server.ca_file, tmp_path / "trust", repository.gun, "v1", digest, size]


@pytest.mark.parametrize("link", [SHARED, STATIC], ids=["shared", "static"])
def test_the_contract_holds(compile, link, tmp_path):
    run(compile(SOURCES / "contract.c", link), *contract_arguments(tmp_path))


@pytest.mark.parametrize("link", [SHARED, STATIC], ids=["shared", "static"])
def test_answers_of_a_server_reach_c(compile, link, server, signed, tmp_path):
    run(compile(SOURCES / "live.c", link), *live_arguments(server, signed, tmp_path))


@pytest.mark.parametrize("compile", ["c"], indirect=True)
def test_no_leak_and_no_stray_access(compile, server, signed, tmp_path):
    need(bool(shutil.which("valgrind")), "valgrind")
    run(*VALGRIND, compile(SOURCES / "contract.c"), *contract_arguments(tmp_path))
    run(*VALGRIND, compile(SOURCES / "live.c"), *live_arguments(server, signed, tmp_path))


@pytest.mark.parametrize("compile", ["c"], indirect=True)
def test_the_example_neither_leaks_nor_strays(compile, server, signed, tmp_path):
    need(bool(shutil.which("valgrind")), "valgrind")
    settings = options(server, tmp_path / "trust")
    program = compile(EXAMPLE)
    trusted = run(*VALGRIND, program, *settings, f"{signed.gun}:v1")
    assert (trusted.stdout, trusted.stderr) == (f"{signed.gun}@{signed.tags['v1'][0]}\n", "")
    refused = run(*VALGRIND, program, *settings, f"{signed.gun}:nope", check=False)
    assert refused.returncode == 1


def test_the_example_says_yes_no_and_do_not_know(compile, server, signed, fresh_directory, tmp_path):
    program = compile(EXAMPLE)

    def example(*arguments):
        done = run(program, *arguments, check=False)
        return done.returncode, done.stdout, done.stderr

    settings = options(server, tmp_path / "trust")
    digest, _ = signed.tags["v1"]
    assert example(*settings, f"{signed.gun}:v1") == (0, f"{signed.gun}@{digest}\n", "")
    status, out, message = example(*settings, f"{signed.gun}:nope")
    assert (status, out) == (1, "") and message.startswith("TagNotSigned: ")

    stranger = NotaryServer(fresh_directory())
    for wrong in (
        options(stranger, tmp_path / "empty"),
        options(server, tmp_path / "empty", ca_file=stranger.ca_file),
    ):
        status, out, message = example(*wrong, f"{signed.gun}:v1")
        assert (status, out) == (3, "") and message.startswith("Unreachable: ")

    for misuse in ([], settings, ["--server"], ["--nonsense", "x", signed.gun], [*settings, "r/UPPER"]):
        status, out, message = example(*misuse)
        assert (status, out) == (2, "") and message


def test_only_the_functions_of_the_header_are_exported():
    need((BUILD / "libtagtrust.so").exists(), "the C library")
    need(bool(shutil.which("nm")), "nm")
    names = subprocess.run(
        ["nm", "-D", "--defined-only", "--format=just-symbols", BUILD / "libtagtrust.so"],
        check=True, capture_output=True, encoding="utf-8",
    ).stdout.split()  # fmt: skip
    header = (ROOT / "include/tagtrust.h").read_text()
    declared = re.findall(r"^[a-z].*?\b(tagtrust_\w+)\(", header, re.MULTILINE)
    assert sorted(names) == sorted(declared)
