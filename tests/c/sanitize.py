"""The C tests with a library that AddressSanitizer, with LeakSanitizer, or ThreadSanitizer watches from inside.

    sanitize.py [address] [thread]

Compiles all dependencies anew for each, which takes minutes. rustc calls this
unstable; the runtime libraries are part of the toolchains of rustup. For
ThreadSanitizer one has to be root, to say how threads are scheduled.
"""

import os
import sys
import tempfile
from pathlib import Path

from c.calls import write_table
from c.programs import COMPILERS, HEADER, SOURCES, WARNINGS
from interop.verifiers import BUILD, ROOT
from lab import run
from lab.certificates import make_delegation_key

# What rustc and the program are told.
SANITIZERS = {
    "address": ("-Zsanitizer=address", {"ASAN_OPTIONS": "detect_stack_use_after_return=1"}),
    # The standard library comes without it: see tsan.supp.
    "thread": (
        "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer",
        {"TSAN_OPTIONS": f"suppressions={SOURCES}/tsan.supp"},
    ),
}
# On one CPU, and never interrupted by each other, threads do not meet where the
# compiled standard library spins for a lock. They still need not wait for each
# other for a race to be seen.
SCHEDULING = {"address": [], "thread": ["chrt", "--fifo", "1", "taskset", "--cpu-list", "0"]}


def main(sanitizers):
    for sanitizer in sanitizers or SANITIZERS:
        library = build_library(sanitizer)
        with tempfile.TemporaryDirectory() as directory:
            for source, *arguments in programs(Path(directory)):
                program = build_program(source, sanitizer, library, Path(directory))
                environment = os.environ | SANITIZERS[sanitizer][1]
                run(*SCHEDULING[sanitizer], program, *arguments, cwd=directory, env=environment, timeout=900)
                print(f"{sanitizer}: {source}: no report", flush=True)


def build_library(sanitizer):
    target_dir = BUILD.parent / f"sanitize-{sanitizer}"
    target = run("rustc", "--print", "host-tuple", env=os.environ).stdout.strip()
    environment = os.environ | {"RUSTC_BOOTSTRAP": "1", "RUSTFLAGS": SANITIZERS[sanitizer][0]}
    # With a target, build scripts and macros are built without the sanitizer.
    run("cargo", "build", "--locked", "--quiet", "-p", "tagtrust-ffi", "--target", target, "--target-dir", target_dir,
        cwd=ROOT, env=environment, timeout=3600)  # fmt: skip
    return target_dir / target / "debug/libtagtrust.a"


def build_program(source, sanitizer, library, directory):
    (directory / "calls.h").write_text(write_table(HEADER.read_text()))
    runtimes = Path(run("rustc", "--print", "target-libdir", env=os.environ).stdout.strip())
    (runtime,) = runtimes.glob(f"librustc-*_rt.{sanitizer[0]}san.a")
    program, futex = directory / Path(source).stem, directory / "tsan_futex.o"
    run("gcc", "-c", *WARNINGS, SOURCES / "tsan_futex.c", "-o", futex)
    run(*COMPILERS["c"], *WARNINGS, "-I", HEADER.parent, "-I", directory, SOURCES / source, "-o", program,
        *([futex] if sanitizer == "thread" else []), library,
        "-Wl,--whole-archive", runtime, "-Wl,--no-whole-archive", "-lpthread", "-ldl", "-lm", "-lrt")  # fmt: skip
    return program


def programs(directory):
    """Those that need no other program, with their arguments."""
    not_pem = directory / "not.pem"
    not_pem.write_text("not PEM\n")
    public_key, _ = make_delegation_key("ecdsa", directory, "contract")
    for name in ("server", "misuse", "callbacks", "pipes", "races"):
        (directory / f"{name}-work").mkdir()
    yield "contract.c", directory / "trust", not_pem
    yield "signing_contract.c", directory / "signing-trust", public_key
    yield "server.c", directory / "server-work"
    yield "misuse.c", directory / "misuse-work", 1 << 16
    yield "callbacks.c", directory / "callbacks-work"
    yield "pipes.c", directory / "pipes-work"
    yield "races.c", directory / "races-work", 200


if __name__ == "__main__":
    main(sys.argv[1:])
