"""The C interface called as it must not be: every function of the header, a table of which calls.py makes."""

import re
import shutil
import signal

import pytest

from c.calls import declarations, write_table
from c.programs import HEADER, SOURCES, VALGRIND, build
from interop.verifiers import ROOT
from lab import run
from lab.need import need

MEBIBYTE = 1 << 20
# Leaks, and wrong uses of what the library allocated: the library itself is the usual one.
WITH_ADDRESS_SANITIZER = ["-fsanitize=address"]


@pytest.fixture
def program(compile, tmp_path):
    """Call it with the name of a source that uses functions.h."""

    def program(name, options=()):
        (tmp_path / "calls.h").write_text(write_table(HEADER.read_text()))
        return compile(SOURCES / name, options=["-I", tmp_path, "-I", SOURCES, *options])

    return program


@pytest.fixture
def work_dir(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


in_c = pytest.mark.parametrize("compile", ["c"], indirect=True)
in_cpp = pytest.mark.parametrize("compile", ["c++"], indirect=True)


@in_c
def test_every_function_answers_every_misuse_with_an_error(program, work_dir):
    run(program("misuse.c"), work_dir, 64 * MEBIBYTE)


@in_c
def test_no_misuse_leaks_or_reads_what_it_must_not(program, work_dir):
    need(bool(shutil.which("valgrind")), "valgrind")
    run(*VALGRIND, program("misuse.c"), work_dir, MEBIBYTE // 16)


def test_callbacks_may_call_back_free_block_and_give_any_time(program, work_dir):
    run(program("callbacks.c", WITH_ADDRESS_SANITIZER), work_dir)


def test_threads_may_free_what_others_use(program, work_dir):
    run(program("races.c", WITH_ADDRESS_SANITIZER), work_dir, 200)


@in_c
@pytest.mark.parametrize("name", ["pipes.c", "broken_off.c"], ids=["of-a-server", "of-a-client"])
def test_whoever_breaks_off_a_connection_does_not_end_the_process(program, work_dir, name):
    run(program(name), work_dir)


@in_c
def test_what_threads_free_at_once_is_freed_once(program, work_dir):
    need(bool(shutil.which("valgrind")), "valgrind")
    run(*VALGRIND, program("races.c"), work_dir, 20)


@in_cpp
def test_no_exception_passes_through_the_library(program, work_dir):
    exception = program("exception.cpp")
    thrown = run(exception, work_dir, "throw", check=False)
    assert thrown.returncode == -signal.SIGABRT and "foreign exception" in thrown.stderr


@in_cpp
def test_a_callback_may_end_the_process(program, work_dir):
    assert run(program("exception.cpp"), work_dir, "exit", check=False).returncode == 7


@pytest.mark.parametrize("watched_by", [WITH_ADDRESS_SANITIZER, VALGRIND], ids=["address-sanitizer", "valgrind"])
def test_a_handle_that_was_lost_is_found(watched_by, tmp_path):
    """The library's table of handles does not hide leaks from those who look for them."""
    source = tmp_path / "lost.c"
    # Several: the last one may be left in a register.
    make_nine = "for (int i = 0; i < 9; i++) if (!tagtrust_config_new()) return 1;"
    source.write_text(f"#include <tagtrust.h>\nint main(void) {{ {make_nine} return 0; }}\n")
    if watched_by is VALGRIND:
        need(bool(shutil.which("valgrind")), "valgrind")
        done = run(*VALGRIND, build(source, tmp_path / "lost"), check=False)
        assert done.returncode == 99 and "tagtrust_config_new" in done.stderr
    else:
        done = run(build(source, tmp_path / "lost", options=watched_by), check=False)
        assert done.returncode != 0 and "detected memory leaks" in done.stderr


def functions_of(source):
    """Name and body of each function outside of others and of types."""
    pattern = r"^(?:pub(?:\(crate\))? )?(?:unsafe )?(extern \"C\" )?fn (\w+)[^;]*?\{\n(.*?)^\}"
    return re.findall(pattern, source, re.DOTALL | re.MULTILINE)


def ends_panics(body, guards):
    """Whether all it does is done by a guard: closures are only written down."""
    statements = [line[4:] for line in body.splitlines() if re.match(r"    [^ }\])/]", line)]
    declaration = r"let \w+ = \|.*|#\[.*|struct .*|unsafe \{ .*"
    call = rf"(?:let \w+ = |unsafe \{{ )?({'|'.join(guards)})\((?:[\w:, ]|\"\w+\"|ptr::null\(\))*(?:[|)].*)?"
    return any(re.fullmatch(call, line) for line in statements) and all(
        re.fullmatch(f"{declaration}|{call}", line) for line in statements
    )


def test_no_function_does_anything_where_a_panic_would_leave_it():
    sources = [path.read_text().partition("#[cfg(test)]\nmod tests")[0] for path in (ROOT / "ffi/src").glob("*.rs")]
    functions = [function for source in sources for function in functions_of(source)]
    exported = {name: body for is_exported, name, body in functions if is_exported}
    guards = {"attempt", "create", "create_all", "free", "guard", "make", "read", "read_text"}
    # What only calls these is one too, and what only calls that.
    for _ in range(2):
        guards |= {name for is_exported, name, body in functions if not is_exported and ends_panics(body, guards)}
    # A constant, and what only calls other functions of the header.
    unguarded = {"tagtrust_version", "tagtrust_error_name"}
    assert {name for name, body in exported.items() if not ends_panics(body, guards)} == unguarded
    assert exported.keys() == {name for _, name, _ in declarations(HEADER.read_text())}


def test_a_function_without_a_guard_would_be_found():
    body = "    create(client, error, || {\n        Ok(Client)\n    })\n"
    assert ends_panics(body, {"create"}) and not ends_panics(body, {"attempt"})
    for unguarded in ("    let a = b.c();\n", "    log(client);\n", "    create(client, error, make(), || 1)\n"):
        assert not ends_panics(unguarded + body, {"create"})
