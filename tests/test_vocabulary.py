"""One vocabulary: the names in docs/reference.md are those of Rust, C, Go, Python and the command, and all of them."""

import argparse
import inspect
import re
from itertools import pairwise
from pathlib import Path

import pytest

from docs.story import tomllib

ROOT = Path(__file__).parent.parent
LANGUAGES = ("Rust", "C", "Go", "Python")
REFERENCE = (ROOT / "docs/reference.md").read_text()

# Rows whose names are not one word in several spellings, and why.
OTHER_NAMES = {
    "user and password": "one call in Rust and C, two settings in Go and Python",
    "make one of another kind": "Rust takes any kind, Python has an argument",
    "which roots are trusted": "one call for each pin in C",
    "which signatures count": "one call for each rule in C",
    "keys that are elsewhere": "one call for each key in C",
    "begin an [edit](#edits)": "an object of its own in C",
    "start from a root": "each language has its own way to make an object",
}


def table(heading: str) -> list[dict[str, set[str]]]:
    """The rows below a heading: by column what stands there as code, and the other columns' text."""
    (section,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", REFERENCE, re.M | re.S)
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    names = [cell.strip() for cell in lines[0]]
    return [dict(zip(names, map(str.strip, line), strict=True)) for line in lines[2:]]


def column(heading: str, language: str, prefix: str = "") -> list[str]:
    """The names in a column. What stands there begins with `prefix`, unless it is the whole name of a C function."""
    names = [name for row in table(heading) for name in re.findall(r"`([^`]+)`", row[language])]
    return [name if name.startswith("tagtrust_") else f"{prefix}{name}" for name in names]


def once(names: list[str]) -> set[str]:
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)
    return set(names)


# What there is.


def source(*patterns: str) -> str:
    return "\n".join(path.read_text() for pattern in patterns for path in sorted(ROOT.glob(pattern)))


def rust_methods(*types: str) -> set[str]:
    """The public methods, from sources that rustfmt laid out."""
    found = set()
    for of, body in re.findall(r"^impl (\w+)(?:<'_>)? \{\n(.*?)^\}", source("core/src/**/*.rs"), re.M | re.S):
        if of in types:
            found |= {f"{of}::{name}" for name in re.findall(r"^    pub fn (\w+)", body, re.M)}
    return found


def rust_fields(of: str) -> set[str]:
    (body,) = re.findall(rf"^pub struct {of} \{{\n(.*?)^\}}", source("core/src/**/*.rs"), re.M | re.S)
    return {f"{of}::{name}" for name in re.findall(r"^    pub (\w+):", body, re.M)}


def c_functions(*prefixes: str) -> set[str]:
    declared = re.findall(r"^\w[\w *]*?\b(tagtrust_\w+)\(", (ROOT / "include/tagtrust.h").read_text(), re.M)
    return {name for name in declared if name.startswith(prefixes) and not name.endswith("_free")}


def go_source() -> str:
    return "\n".join(path.read_text() for path in sorted((ROOT / "ffi/go").glob("*.go")) if "_test" not in path.name)


def go_methods(*types: str) -> set[str]:
    found = re.findall(r"^func \(\w+ \*?(\w+)\) ([A-Z]\w*)\(", go_source(), re.M)
    return {f"{of}.{name}" for of, name in found if of in types and name != "Close"}


def go_fields(of: str) -> set[str]:
    (body,) = re.findall(rf"^type {of} struct \{{\n(.*?)^\}}", go_source(), re.M | re.S)
    lines = re.findall(r"^\t((?:[A-Z]\w*, )*[A-Z]\w*) +\S", body, re.M)
    return {f"{of}.{name}" for line in lines for name in line.split(", ")}


def python_members(tagtrust, of: str) -> set[str]:
    members = vars(getattr(tagtrust, of))
    return {f"{of}.{name}" for name in members if not name.startswith("_")}


def commands(parser: argparse.ArgumentParser, words: str = "") -> set[str]:
    below = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        return {words.strip()}
    return {leaf for name, child in below[0].items() for leaf in commands(child, f"{words} {name}")}


# Errors.


def errors_of_core() -> dict[str, int]:
    """Numbers by name, from what `code` and `name` of core's error answer."""
    arms = re.findall(r"^\s+Self::(\w+) \{ \.\. \} => (\S+),$", source("core/src/error.rs"), re.M)
    codes = {variant: int(value) for variant, value in arms if value.isdecimal()}
    names = {variant: value.strip('"') for variant, value in arms if value.startswith('"')}
    assert codes.keys() == names.keys()
    return {names[variant]: code for variant, code in codes.items()}


def test_errors_are_the_same_in_all_languages(tagtrust):
    core = errors_of_core()
    python = {cls.__name__: cls.code for cls in tagtrust.TrustError.__subclasses__()}
    assert python == core

    header = re.findall(r"^    TAGTRUST_(?!LOOKUP)(\w+) = (\d+),$", source("include/tagtrust.h"), re.M)
    c = {name: int(number) for name, number in header}
    names = dict(re.findall(r'\(Status::(\w+), c"(\w+)"\)', source("ffi/src/status.rs")))
    assert {names[name]: number for name, number in c.items()} == core | {"OK": 0, "InvalidArgument": 3}

    go = dict(re.findall(r"\bErr(\w+) +Status = C\.TAGTRUST_(\w+)", go_source()))
    assert {name: c[constant] for name, constant in go.items()} == core | {"InvalidArgument": 3}


def test_the_table_of_errors_lists_them_all():
    names = dict(re.findall(r'\(Status::(\w+), c"(\w+)"\)', source("ffi/src/status.rs")))
    rows = [(int(row["number"]), row["name"].strip("`"), row["C"].strip("`")) for row in table("Errors")]
    assert {name: number for number, name, _ in rows} == errors_of_core() | {"InvalidArgument": 3}
    assert len(rows) == len(names) - 1
    assert all(names[constant.removeprefix("TAGTRUST_")] == name for _, name, constant in rows)


# Operations, settings and answers.


def test_every_operation_is_in_the_table(tagtrust):
    from tagtrust._cli import _parser

    functions = c_functions("tagtrust_client_") | {"tagtrust_edit_new"}
    assert once(column("Operations", "Rust", "Client::")) == rust_methods("Client") - {"Client::builder"}
    assert once(column("Operations", "C", "tagtrust_client_")) == functions - {"tagtrust_client_new"}
    assert once(column("Operations", "Go", "Client.")) == go_methods("Client")
    assert once(column("Operations", "Python", "Client.")) == python_members(tagtrust, "Client")
    assert once(column("Operations", "command")) == commands(_parser())


def test_every_step_of_an_edit_is_in_the_table(tagtrust):
    assert once(column("Edits", "Rust", "Edit::")) == rust_methods("Edit")
    assert once(column("Edits", "C", "tagtrust_edit_")) == c_functions("tagtrust_edit_") - {"tagtrust_edit_new"}
    assert once(column("Edits", "Go", "Edit.")) == go_methods("Edit")
    assert once(column("Edits", "Python", "Edit.")) == python_members(tagtrust, "Edit")


def test_every_setting_is_in_the_table(tagtrust):
    heading = "Settings of a client"
    builder, functions = rust_methods("ClientBuilder"), c_functions("tagtrust_config_")
    assert once(column(heading, "Rust", "ClientBuilder::")) == builder - {"ClientBuilder::build"}
    assert once(column(heading, "C", "tagtrust_config_")) == functions - {"tagtrust_config_new"}
    assert once(column(heading, "Go", "Options.")) == go_fields("Options")
    assert once(column(heading, "Python")) == inspect.signature(tagtrust.Client).parameters.keys()


def test_everything_that_an_image_says_is_in_the_table(tagtrust):
    heading = "A verified image"
    assert once(column(heading, "Rust", "VerifiedImage::")) == rust_fields("VerifiedImage")
    assert once(column(heading, "C", "tagtrust_image_")) == c_functions("tagtrust_image_")
    assert once(column(heading, "Go", "Image.")) == go_fields("Image")
    assert once(column(heading, "Python", "Image.")) == python_members(tagtrust, "Image")


def test_everything_that_verifies_in_memory_is_in_the_table(tagtrust):
    heading = "Verification in memory"
    # In Rust a set has more to say.
    assert once(column(heading, "Rust", "TrustedSet::")) <= rust_methods("TrustedSet")
    assert once(column(heading, "C", "tagtrust_trusted_set_")) == c_functions("tagtrust_trusted_set_")
    assert once(column(heading, "Go", "TrustedSet.")) == go_methods("TrustedSet") | {"TrustedSet.NewTrustedSet"}
    members = python_members(tagtrust, "TrustedSet") | {"TrustedSet.TrustedSet"}
    assert once(column(heading, "Python", "TrustedSet.")) == members


@pytest.mark.parametrize(("heading", "of"), [("An inspection", "Inspection"), ("A publication", "Publication")])
def test_everything_that_other_answers_say_is_in_the_table(tagtrust, heading, of):
    assert once(column(heading, "Rust", f"{of}::")) == rust_fields(of) | rust_methods(of)
    assert once(column(heading, "C", f"tagtrust_{of.lower()}_")) == c_functions(f"tagtrust_{of.lower()}_")
    assert once(column(heading, "Go", f"{of}.")) == go_fields(of) | go_methods(of)
    assert once(column(heading, "Python", f"{of}.")) == python_members(tagtrust, of)


def test_every_setting_of_a_server_is_in_the_table(tagtrust):
    heading = "Settings of a trust server"
    functions = c_functions("tagtrust_server_config_") - {"tagtrust_server_config_new"}
    assert once(column(heading, "C", "tagtrust_server_config_")) == functions
    assert once(column(heading, "Go", "ServerOptions.")) == go_fields("ServerOptions")
    assert once(column(heading, "Python")) == inspect.signature(tagtrust.Server).parameters.keys()


@pytest.mark.parametrize(
    "heading",
    [
        "Operations",
        "Edits",
        "Settings of a client",
        "A verified image",
        "Verification in memory",
        "An inspection",
        "A publication",
    ],
)
def test_names_are_one_word_in_several_spellings(heading):
    for row in table(heading):
        spelled = [{word(name) for name in re.findall(r"`([^`]+)`", row[language])} for language in LANGUAGES]
        spelled = [names for names in spelled if names]
        assert len(spelled) < 2 or set.intersection(*spelled) or row[""] in OTHER_NAMES, row


def word(name: str) -> str:
    """`offline_max_age`, `set_offline_max_age_ms` and `OfflineMaxAge` are one."""
    name = re.sub(r"_(?:ms|count)$", "", name.removeprefix("to_"))
    return name.replace("_", "").lower().removeprefix("set").removesuffix("s")


# Builds.


def test_the_table_of_builds_says_what_each_has():
    features = tomllib.loads(source("core/Cargo.toml"))["features"]
    lines = re.findall(r"^\| .*\|$", source("docs/runtime.md"), re.M)[1:]
    *rows, pkcs11 = [[re.findall(r"`(\w+)`", cell) for cell in line.split("|")[2:4]] for line in lines]

    def all_of(names):
        below = {part for name in names for part in features[name] if part in features}
        return set(names) | (all_of(below) if below else set())

    builds = [all_of(names) for names, _ in rows]
    assert builds[0] == set() and all(less < more for less, more in pairwise(builds))
    assert [all_of(features["default"])] == [build for build, line in zip(builds, lines) if "(the default)" in line]
    assert pkcs11 == [["pkcs11"], []] and all_of(["pkcs11"]) == {"pkcs11", "signing"}
    assert builds[-1] | {"pkcs11", "default", "test-panics"} == features.keys()
    # In C a build lacks what the next one has.
    lacking = [f"TAGTRUST_NO_{names[-1].upper()}" for names, _ in rows[1:]]
    assert [macro for _, macros in rows for macro in macros] == lacking
    assert lacking == re.findall(r"^#ifndef (TAGTRUST_NO_\w+)$", source("include/tagtrust.h"), re.M)
