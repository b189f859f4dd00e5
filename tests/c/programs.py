"""How C programs are built with the library, and what watches them."""

import shutil

from interop.verifiers import BUILD, ROOT
from lab import run
from lab.need import need

SOURCES = ROOT / "tests/c"
HEADER = ROOT / "include/tagtrust.h"
COMPILERS = {
    "c": ["gcc", "-std=c99", "-pedantic"],
    "c++": ["g++", "-x", "c++", "-std=c++11"],
}
WARNINGS = ["-g", "-Wall", "-Wextra", "-Werror"]
# What the pkg-config file of `make install` says.
STATIC = ["-x", "none", BUILD / "libtagtrust.a", "-lpthread", "-ldl", "-lm"]
SHARED = ["-L", BUILD, "-ltagtrust", f"-Wl,-rpath,{BUILD}", "-lpthread"]
VALGRIND = [
    "valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full",
    "--errors-for-leak-kinds=definite,indirect,possible", f"--suppressions={SOURCES}/valgrind.supp",
    "--num-callers=40",  # a suppression may name a function that far up
]  # fmt: skip


def build(source, program, language="c", link=SHARED, options=()):
    """Compile a source, and give the program."""
    need((BUILD / "libtagtrust.so").exists() and (BUILD / "libtagtrust.a").exists(), "the C library")
    compiler = COMPILERS[language]
    need(bool(shutil.which(compiler[0])), compiler[0])
    run(*compiler, *WARNINGS, *options, "-I", HEADER.parent, source, "-o", program, *link)
    return program
