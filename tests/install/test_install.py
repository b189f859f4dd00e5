"""`make install`: what it puts where, and that programs find it. The README's commands install what `make build` made;
what has nothing to do with Rust is tried with a small library in its place."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from docs.story import blocks, commands
from interop.verifiers import BUILD, ROOT
from lab import run
from lab.need import need
from lab.process import toolchain

README = (ROOT / "README.md").read_text()
VERSION = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
# Before 1.0 each minor version has its own.
ABI_VERSION = re.match(r"0\.\d+|[1-9]\d*", VERSION)[0]
TAG = "registry.example/team/app:1.2"
DIGEST = "sha256:" + "0123456789abcdef" * 4
PINNED = f"registry.example/team/app@{DIGEST}"
# What the reader of the README has in common with who runs the tests.
CARGO = toolchain()
CARGO.setdefault("CARGO_HOME", str(Path.home() / ".cargo"))
CARGO.setdefault("RUSTUP_HOME", str(Path.home() / ".rustup"))


def section(heading: str) -> str:
    return re.search(rf"^## {heading}\n(.*?)(?=^## )", README, re.MULTILINE | re.DOTALL)[1]


@pytest.fixture(scope="module", autouse=True)
def _programs():
    for program in ("cc", "cmake", "make", "pkg-config", "groff", "nm", "readelf"):
        need(bool(shutil.which(program)), program)
    need((BUILD / "libtagtrust.so").exists() and (BUILD / "tagtrust-server").exists(), "the C library")


# As the README says.


@dataclass
class Reader:
    """Somebody who did what the README says, beside a running trust server."""

    home: Path
    env: dict
    printed: str = ""


@pytest.fixture(scope="module")
def reader(tagtrust, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    work = home / "work"
    work.mkdir()
    (work / "tagtrust").symlink_to(ROOT)
    (program,) = (block for block in blocks("README.md", section("Verify a tag")) if block.language == "c")
    (work / "app.c").write_text(program.text)
    script = ""
    for block in blocks("README.md", section("Install the C library")):
        if block.file:
            (work / block.file).write_text(block.text)
        else:
            script += "".join(f"{command}\n" for command, _ in commands(block))
    with tagtrust.Server() as server:
        options = server.client_options() | {"passphrase": lambda *_: "correct horse"}
        tagtrust.Client(trust_dir=home / "publisher", **options).sign(TAG, DIGEST, 1570)
        env = {"HOME": home, "DOCKER_CONFIG": home / "docker", "DOCKER_CONTENT_TRUST_SERVER": server.url}
        # The profile that is compiled already.
        with_cargo = CARGO | env | {"PROFILE": "dev"}
        done = run(*without_privileges(), "bash", "-ec", script, env=with_cargo, cwd=work, timeout=900)
        yield Reader(home, env, done.stdout)


def without_privileges():
    """Root as nobody special: its own files, and nothing that needs a capability."""
    return ["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []


@pytest.fixture(scope="module")
def prefix(reader):
    return reader.home / ".local"


def test_programs_of_the_readme_verify_with_pkg_config_statically_and_with_cmake(reader):
    assert reader.printed.splitlines().count(PINNED) == 3
    soname = f"libtagtrust.so.{ABI_VERSION}"
    loaded = [soname in needs(reader.home / "work" / program) for program in ("app", "app-static", "build/app")]
    assert loaded == [True, False, True]


def needs(program) -> list[str]:
    return re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", program).stdout)


def test_the_shared_library_has_its_names(prefix):
    library, soname = prefix / "lib" / f"libtagtrust.so.{VERSION}", f"libtagtrust.so.{ABI_VERSION}"
    assert re.findall(r"\(SONAME\).*\[(.*)\]", run("readelf", "-d", library).stdout) == [soname]
    for link in (soname, "libtagtrust.so"):
        assert (prefix / "lib" / link).readlink() == Path(library.name)
    assert run("pkg-config", "--modversion", prefix / "lib/pkgconfig/tagtrust.pc").stdout == f"{VERSION}\n"
    assert f'#define TAGTRUST_VERSION "{VERSION}"\n' in (prefix / "include/tagtrust.h").read_text()


def test_both_libraries_show_the_functions_of_the_header_and_nothing_else(prefix):
    header = (prefix / "include/tagtrust.h").read_text()
    declared = set(re.findall(r"^[a-z].*?\b(tagtrust_\w+)\(", header, re.MULTILINE))
    for options in (["-D", f"libtagtrust.so.{VERSION}"], ["--extern-only", "libtagtrust.a"]):
        *options, library = options
        listed = run("nm", *options, "--defined-only", "--format=posix", prefix / "lib" / library).stdout
        assert {line.split()[0] for line in listed.splitlines() if " " in line} == declared


def test_a_program_may_bring_its_own_sqlite_and_rust_beside_the_static_library(prefix, tmp_path):
    (tmp_path / "other.rs").write_text(
        '#[unsafe(no_mangle)]\nextern "C" fn caught() -> bool { std::panic::catch_unwind(|| panic!()).is_err() }\n'
    )
    run("rustc", "--edition=2024", "--crate-type=staticlib", "other.rs", env=CARGO, cwd=tmp_path)
    (tmp_path / "app.c").write_text(
        "#include <stdbool.h>\n#include <tagtrust.h>\nbool caught(void);\n"
        "int sqlite3_open(void) { return 0; }\n"
        "int main(void) { return !(caught() && tagtrust_client_verify(NULL, NULL, NULL, NULL)) || sqlite3_open(); }\n"
    )
    flags = run("pkg-config", "--static", "--cflags", "--libs", prefix / "lib/pkgconfig/tagtrust.pc").stdout
    flags = flags.replace("-ltagtrust", "-l:libtagtrust.a").split()
    run("cc", "app.c", "libother.a", *flags, "-o", "app", cwd=tmp_path)
    run("./app", cwd=tmp_path)


# The manual.


@pytest.mark.parametrize("page", ["man1/tagtrust-server.1", "man3/tagtrust.3"])
def test_a_manual_page_renders_without_a_warning(prefix, page):
    rendered = run("groff", "-man", "-ww", "-Tutf8", prefix / "share/man" / page)
    assert rendered.stderr == "" and f"tagtrust {VERSION}" in rendered.stdout and "@" not in rendered.stdout


def test_the_manual_of_the_server_has_the_options_that_it_has(prefix, tmp_path):
    manual = (prefix / "share/man/man1/tagtrust-server.1").read_text()
    program = prefix / "bin/tagtrust-server"
    usage = run(program, "-help").stdout
    options = r"(?<![\w-])-[a-z][a-z-]*"
    assert set(re.findall(options, manual.replace("\\-", "-"))) == set(re.findall(options, usage))
    commands_of = re.search(r"^\.SH COMMANDS\n(.*?)^\.SH", manual, re.MULTILINE | re.DOTALL)[1]
    words = re.findall(r'^\.TP\n\.B[IR]? "?([a-z]+)', commands_of, re.MULTILINE)
    assert words == re.findall(r"^  ([a-z]+)", usage, re.MULTILINE)
    (tmp_path / "server.json").write_text(example(manual))
    assert run(program, "check", "-config=server.json", cwd=tmp_path).stdout == "0 repositories, 0 with problems\n"
    assert run(program, "-nonsense", check=False).returncode == 2
    assert run(program, "check", "-config=nothing.json", check=False).returncode == 1


def test_the_manual_of_the_library_speaks_of_what_there_is(reader, prefix, tmp_path):
    manual = (prefix / "share/man/man3/tagtrust.3").read_text()
    declared = set(re.findall(r"\b(?:tagtrust|TAGTRUST)_\w+", (prefix / "include/tagtrust.h").read_text()))
    assert set(re.findall(r"\b(?:tagtrust|TAGTRUST)_\w+", manual)) <= declared
    (tmp_path / "app.c").write_text(example(manual))
    flags = run("pkg-config", "--cflags", "--libs", prefix / "lib/pkgconfig/tagtrust.pc").stdout.split()
    run("cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "app.c", *flags, "-o", "app", cwd=tmp_path)
    env = reader.env | {"LD_LIBRARY_PATH": prefix / "lib"}
    assert run("./app", TAG, env=env, cwd=tmp_path).stdout == f"{PINNED}\n"
    assert run("./app", f"{TAG}.3", env=env, cwd=tmp_path, check=False).returncode == 1


def example(manual: str) -> str:
    return re.search(r"^\.EX\n(.*?)^\.EE", manual, re.MULTILINE | re.DOTALL)[1]


# Wherever it is put.


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory):
    """As cargo would leave them, but quick to handle."""
    directory = tmp_path_factory.mktemp("artefacts")
    (directory / "tagtrust.c").write_text('const char *tagtrust_version(void) { return "a small one"; }\n')
    run("cc", "-fPIC", "-c", "tagtrust.c", cwd=directory)
    run("cc", "-shared", f"-Wl,-soname,libtagtrust.so.{ABI_VERSION}", "tagtrust.o", "-o", "libtagtrust.so",
        cwd=directory)  # fmt: skip
    run("ar", "rcs", "libtagtrust.a", "tagtrust.o", cwd=directory)
    for program in ("tagtrust-server", "tagtrust-containerd"):
        (directory / program).write_text("a program\n")
    return directory


@pytest.fixture
def make(artefacts):
    """`make install` and `make uninstall`, without what they build."""

    def make(target, **variables):
        variables = {"ARTEFACTS": artefacts, **variables}
        settings = [f"{name}={value}" for name, value in variables.items()]
        recipe = run("make", "--no-print-directory", "--dry-run", target, *settings, env=CARGO, cwd=ROOT).stdout
        run("bash", "-ec", recipe.splitlines()[-1], env=CARGO, cwd=ROOT)

    return make


CMAKE = """\
cmake_minimum_required(VERSION 3.14)
project(app C)
find_package(tagtrust REQUIRED)
add_executable(shared app.c)
target_link_libraries(shared PRIVATE tagtrust::tagtrust)
add_executable(static app.c)
target_link_libraries(static PRIVATE tagtrust::tagtrust-static)
"""
SOURCE = """\
#include <stdio.h>
#include <tagtrust.h>
int main(void) { return puts(tagtrust_version()) < 0; }
"""


def build_with_pkg_config(directory, env, *options):
    (directory / "app.c").write_text(SOURCE)
    asked = ["pkg-config", *options, "--cflags", "--libs", "tagtrust"]
    shared, static = (run(*asked, *more, env=env).stdout.strip() for more in ([], ["--static"]))
    # By a shell, because a name may have a space, which pkg-config quotes.
    run("sh", "-ec", f"cc app.c -o shared {shared}", cwd=directory)
    run("sh", "-ec", f"cc app.c -o static {static.replace('-ltagtrust', '-l:libtagtrust.a')}", cwd=directory)


def build_with_cmake(directory, prefix, source=SOURCE):
    (directory / "app.c").write_text(source)
    (directory / "CMakeLists.txt").write_text(CMAKE)
    run("cmake", "-S", ".", "-B", "build", f"-DCMAKE_PREFIX_PATH={prefix}", cwd=directory)
    run("cmake", "--build", "build", cwd=directory)


@pytest.mark.parametrize("libdir", ["lib", "lib/MULTIARCH"])
def test_programs_are_built_against_what_is_staged_below_destdir(make, tmp_path, libdir):
    prefix, libdir = "/opt/some where", libdir.replace("MULTIARCH", run("cc", "-print-multiarch").stdout.strip())
    make("install", DESTDIR=tmp_path / "staged", PREFIX=prefix, LIBDIR=f"{prefix}/{libdir}")
    staged = Path(f"{tmp_path}/staged{prefix}")
    for file in staged.rglob("*"):
        assert not file.is_file() or str(tmp_path).encode() not in file.read_bytes(), file
    env = {"PKG_CONFIG_SYSROOT_DIR": tmp_path / "staged", "PKG_CONFIG_PATH": staged / libdir / "pkgconfig"}
    build_with_pkg_config(tmp_path, env)
    check_programs(tmp_path, staged / libdir)
    build_with_cmake(tmp_path, staged)
    check_programs(tmp_path / "build", staged / libdir)


def test_programs_are_built_against_a_tree_that_was_moved(make, tmp_path):
    make("install", PREFIX=tmp_path / "here")
    moved = (tmp_path / "here").rename(tmp_path / "over there")
    build_with_pkg_config(tmp_path, {"PKG_CONFIG_PATH": moved / "lib/pkgconfig"}, "--define-prefix")
    check_programs(tmp_path, moved / "lib")
    build_with_cmake(tmp_path, moved)
    check_programs(tmp_path / "build", moved / "lib")


def check_programs(directory, libdir):
    soname = f"libtagtrust.so.{ABI_VERSION}"
    assert soname in needs(directory / "shared") and soname not in needs(directory / "static")
    for program in ("shared", "static"):
        assert run(directory / program, env={"LD_LIBRARY_PATH": libdir}).stdout == "a small one\n"


@pytest.mark.parametrize(
    "version, taken, refused",
    [
        ("0.3.1", ["0.3", "0.3.0", "0.3.1 EXACT", "0.3...<0.4", "0.1...0.3.1"],
         ["0", "0.2", "0.3.2", "0.3.0 EXACT", "0.4", "1", "0.1...<0.3.1", "0.4...1"]),
        ("2.4.0", ["2", "2.3", "2.4", "1...2.9"], ["1", "1.9", "2.5", "3", "1...2.3", "3...4"]),
    ],
)  # fmt: skip
def test_cmake_takes_the_versions_with_that_abi(make, tmp_path, version, taken, refused):
    make("install", PREFIX=tmp_path, VERSION=version)
    lines = ["cmake_minimum_required(VERSION 3.19)", "project(app NONE)"]
    for wanted in taken + refused:
        lines += [f"find_package(tagtrust {wanted} QUIET)", f'message("{wanted}: ${{tagtrust_FOUND}}")']
        lines += ["unset(tagtrust_FOUND)", "unset(tagtrust_DIR CACHE)"]
    (tmp_path / "CMakeLists.txt").write_text("\n".join(lines) + "\n")
    said = run("cmake", "-S", ".", "-B", "build", f"-DCMAKE_PREFIX_PATH={tmp_path}", cwd=tmp_path).stderr
    assert said.splitlines() == [f"{wanted}: 1" for wanted in taken] + [f"{wanted}: 0" for wanted in refused]


@pytest.mark.parametrize(
    "features, define, programs",
    [
        ("default", "", {"tagtrust-server", "tagtrust-containerd"}),
        ("server", "", {"tagtrust-server", "tagtrust-containerd"}),
        ("signing", "TAGTRUST_NO_SERVER", {"tagtrust-containerd"}),
        ("http", "TAGTRUST_NO_SIGNING", {"tagtrust-containerd"}),
        ("", "TAGTRUST_NO_HTTP", set()),
    ],
)
def test_what_the_library_lacks_is_not_declared(make, tmp_path, features, define, programs):
    make("install", PREFIX=tmp_path, FFI_FEATURES=features)
    defined = re.findall(r"-D(\S+)", run("pkg-config", "--cflags", tmp_path / "lib/pkgconfig/tagtrust.pc").stdout)
    assert defined == ([define] if define else [])
    parts = ["TAGTRUST_NO_HTTP", "TAGTRUST_NO_SIGNING", "TAGTRUST_NO_SERVER"]
    wrong = " || ".join(f"{'!' * (part == define)}defined({part})" for part in parts)
    build_with_cmake(tmp_path, tmp_path, f"#if {wrong}\n#error {features}\n#endif\n{SOURCE}")
    assert {path.name for path in (tmp_path / "bin").glob("*")} == programs
    assert (tmp_path / "share/man/man1").exists() == ("tagtrust-server" in programs)


def test_uninstall_removes_what_install_put_there_and_nothing_else(make, tmp_path):
    for directory in ("bin", "include", "lib/pkgconfig", "lib/cmake", "share/man/man1", "share/man/man3"):
        (tmp_path / "usr" / directory).mkdir(parents=True)
    for other in ("bin/tagtrust", "include/tagtrust.hpp", "lib/libtagtrust.so.0.0", "lib/pkgconfig/zlib.pc"):
        (tmp_path / "usr" / other).write_text("somebody else's\n")
    before = tree(tmp_path / "usr")
    make("install", DESTDIR=tmp_path, PREFIX="/usr")
    installed = tree(tmp_path / "usr")
    assert before.items() <= installed.items()
    assert installed.keys() - before.keys() == {
        "bin/tagtrust-containerd",
        "bin/tagtrust-server",
        "include/tagtrust.h",
        "lib/cmake/tagtrust",
        "lib/cmake/tagtrust/tagtrust-config-version.cmake",
        "lib/cmake/tagtrust/tagtrust-config.cmake",
        "lib/libtagtrust.a",
        "lib/libtagtrust.so",
        f"lib/libtagtrust.so.{ABI_VERSION}",
        f"lib/libtagtrust.so.{VERSION}",
        "lib/pkgconfig/tagtrust.pc",
        "share/man/man1/tagtrust-server.1",
        "share/man/man3/tagtrust.3",
    }
    # The second time there is nothing to do.
    for _ in range(2):
        make("uninstall", DESTDIR=tmp_path, PREFIX="/usr")
        assert tree(tmp_path / "usr") == before


def tree(directory):
    """What is in it, and in that."""
    return {
        str(path.relative_to(directory)): path.readlink() if path.is_symlink() else path.is_dir() or path.read_bytes()
        for path in directory.rglob("*")
    }
