"""The C interface: compiled as its users do, as C and as C++, and watched by valgrind."""

import re
import shutil
import subprocess

import pytest

from c.programs import SHARED, SOURCES, STATIC, VALGRIND
from interop.verifiers import BUILD, ROOT, options
from lab import CommandFailed, Notary, NotaryServer, repositories, run
from lab.certificates import make_delegation_key
from lab.need import need
from lab.notary import PASSPHRASE

EXAMPLE = ROOT / "ffi/examples/verify.c"
SIGN_EXAMPLE = ROOT / "ffi/examples/sign.c"
SERVER_EXAMPLE = ROOT / "ffi/examples/server.c"


@pytest.fixture(scope="module")
def signed(server, engine, fresh_directory):
    return repositories.docker_signed(server, fresh_directory(), engine)


def contract_arguments(tmp_path):
    not_pem = tmp_path / "not.pem"
    not_pem.write_text("not PEM\n")
    return [tmp_path / "trust", not_pem]


def signing_contract_arguments(tmp_path):
    public, _ = make_delegation_key("ecdsa", tmp_path, "contract")
    return [tmp_path / "signing-trust", public]


def live_arguments(server, repository, tmp_path):
    digest, size = repository.tags["v1"]
    return [server.url, server.ca_file, tmp_path / "trust", repository.gun, "v1", digest, size]


@pytest.mark.parametrize("link", [SHARED, STATIC], ids=["shared", "static"])
def test_the_contract_holds(compile, link, tmp_path):
    run(compile(SOURCES / "contract.c", link), *contract_arguments(tmp_path))
    run(compile(SOURCES / "signing_contract.c", link), *signing_contract_arguments(tmp_path))


@pytest.mark.parametrize("link", [SHARED, STATIC], ids=["shared", "static"])
def test_answers_of_a_server_reach_c(compile, link, server, signed, tmp_path):
    run(compile(SOURCES / "live.c", link), *live_arguments(server, signed, tmp_path))


@pytest.mark.parametrize("compile", ["c"], indirect=True)
def test_no_leak_and_no_stray_access(compile, server, signed, tmp_path):
    need(bool(shutil.which("valgrind")), "valgrind")
    run(*VALGRIND, compile(SOURCES / "contract.c"), *contract_arguments(tmp_path))
    run(*VALGRIND, compile(SOURCES / "signing_contract.c"), *signing_contract_arguments(tmp_path))
    run(*VALGRIND, compile(SOURCES / "live.c"), *live_arguments(server, signed, tmp_path))


def publish(program, server, directory, watched_by=()):
    """Run publish.c, and give the GUN and the trust directory."""
    need(bool(shutil.which("openssl")), "openssl")
    directory.mkdir(mode=0o700)
    for name, files in {"hsm": ("hsm.pub", "hsm.key"), "plain": ("plain.pub", "plain.key")}.items():
        for made, name in zip(make_delegation_key("ecdsa", directory, name), files):
            made.rename(directory / name)
    gun, other = repositories.new_gun("by-c"), repositories.new_gun("deleted-by-c")
    trust_dir = directory / "trust"
    run(*watched_by, program, server.url, server.ca_file, trust_dir, directory, gun, other)
    return gun, trust_dir


def check_by_notary(gun, trust_dir, server, notary):
    """`notary` reads what C published, and publishes with the keys that C made."""
    one, two = (f"sha256:{digit * 64}" for digit in "12")
    expected = {tag: (one, 7, "targets") for tag in ("v1", "v4", "v6", "v8", *(f"thread{i}" for i in range(8)))}
    # `notary` also lists what delegations sign, and takes the first that it finds.
    assert notary.list(gun) == expected | {"v7": (two, 7, "targets/carol")}
    assert notary.list(gun, ["targets/releases"]) == {"v7": (two, 7, "targets/releases")}
    assert set(notary.delegations(gun)) == {"targets/carol", "targets/releases"}
    admin = Notary(server, trust_dir)
    admin.addhash(gun, "by-notary", 7, "1" * 64)
    admin.publish(gun)
    assert notary.lookup(gun, "by-notary") == (one, 7)


def test_notary_reads_what_c_publishes_and_goes_on(compile, server, notary, tmp_path):
    gun, trust_dir = publish(compile(SOURCES / "publish.c"), server, tmp_path / "work")
    check_by_notary(gun, trust_dir, server, notary)


@pytest.mark.parametrize("compile", ["c"], indirect=True)
def test_publishing_neither_leaks_nor_strays(compile, server, notary, tmp_path):
    need(bool(shutil.which("valgrind")), "valgrind")
    gun, trust_dir = publish(compile(SOURCES / "publish.c"), server, tmp_path / "work", VALGRIND)
    check_by_notary(gun, trust_dir, server, notary)


@pytest.mark.parametrize("link", [SHARED, STATIC], ids=["shared", "static"])
def test_a_server_runs_in_c(compile, link, fresh_directory):
    run(compile(SOURCES / "server.c", link), fresh_directory())


@pytest.mark.parametrize("compile", ["c"], indirect=True)
def test_a_server_neither_leaks_nor_strays(compile, fresh_directory):
    need(bool(shutil.which("valgrind")), "valgrind")
    run(*VALGRIND, compile(SOURCES / "server.c"), fresh_directory())
    done = run(*VALGRIND, compile(SERVER_EXAMPLE), fresh_directory())
    url, pinned = done.stdout.splitlines()
    assert url.startswith("http://127.0.0.1:") and pinned.startswith("registry.example/team/app@sha256:4355")
    assert run(compile(SERVER_EXAMPLE), check=False).returncode == 2


@pytest.mark.parametrize("compile", ["c"], indirect=True)
def test_the_header_has_no_server_for_a_library_without_one(compile, tmp_path):
    source = tmp_path / "without.c"
    source.write_text("#define TAGTRUST_NO_SERVER\n#include <tagtrust.h>\n"
                      "int main(void) { return tagtrust_server_url(NULL) != NULL; }\n")  # fmt: skip
    refused = pytest.raises(CommandFailed, compile, source)
    assert "tagtrust_server_url" in refused.value.stderr


@pytest.mark.parametrize("compile", ["c"], indirect=True)
def test_the_example_signs_and_asks_for_passphrases(compile, server, notary, tmp_path):
    need(bool(shutil.which("valgrind")), "valgrind")
    gun, (digest, size) = repositories.new_gun("example"), repositories.make_image("example")
    command = [*VALGRIND, compile(SIGN_EXAMPLE), *options(server, tmp_path / "trust"), f"{gun}:v1", digest, size]
    refused = run(*command, input="", check=False)
    assert (refused.returncode, refused.stdout) == (1, "") and "WrongPassphrase: " in refused.stderr
    # For the root key and for that of targets.
    signed = run(*command, input=f"short\n{PASSPHRASE}\n{PASSPHRASE}\n")
    assert "v1" in signed.stdout and "the new root key" in signed.stderr
    assert notary.lookup(gun, "v1") == (digest, size)
    assert run(*command, input="").stdout == "It was signed already.\n"
    assert run(compile(SIGN_EXAMPLE), check=False).returncode == 2


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


@pytest.mark.parametrize("compile", ["c"], indirect=True)
def test_no_passphrase_stays_in_memory(compile, tmp_path):
    run(compile(SOURCES / "secrets.c"), tmp_path)


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
