"""The repositories of tests/vectors, verified from memory in Python and C: the same answers and errors.

Rust goes through them in core/tests/corpus.rs, Go in ffi/go/trustedset_test.go.
"""

import hashlib
import json
import re

import pytest

from c.programs import SOURCES, build
from interop.verifiers import ROOT
from lab import run

VECTORS = sorted((ROOT / "tests/vectors/repositories").glob("*.json"))
DAMAGES = {
    "nothing": lambda file: file,
    "a signature": lambda file: re.sub(r'("sig":")(.)', lambda m: m[1] + ("A" if m[2] != "A" else "B"), file),
    "what is signed": lambda file: file.replace('"version":', '"version":1'),
    "its end": lambda file: file.rstrip()[:-1],
    "all of it": lambda file: "",
}


class Vector:
    def __init__(self, path):
        content = json.loads(path.read_text())
        self.gun, self.now, self.tags = content["gun"], content["now"], content["tags"]
        # Names hold the checksum, except for those that are asked for first.
        self.files = {}
        for name, text in content["files"].items():
            checksum = hashlib.sha256(text.encode()).hexdigest()
            role = name.removesuffix(".json").removesuffix(f".{checksum}")
            if not role.rpartition("/")[2][0].isdigit():
                self.files[role] = text
        # All versions, oldest first.
        self.roots = [text for name, text in sorted(content["files"].items()) if re.fullmatch(r"\d\.root\.json", name)]

    @property
    def answers(self):
        return [f"{image['digest']} {image['size']}" for image in self.tags.values()]

    def in_python(self, tagtrust, files, known_roots=()):
        files = {role: text.encode() for role, text in files.items()}
        known_roots = [root.encode() for root in known_roots]
        try:
            trusted = tagtrust.TrustedSet(self.gun, files["root"], known_roots=known_roots, clock=lambda: self.now)
            trusted.add_all(files)
            images = [trusted.verify(tag) for tag in self.tags]
        except tagtrust.TrustError as error:
            return [type(error).__name__]
        return [f"{image.digest} {image.size}" for image in images]

    def in_c(self, program, files, directory, known_roots=()):
        known = {f"known.{place}": root for place, root in enumerate(known_roots)}
        for role, text in (files | known).items():
            path = directory / f"{role}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return run(program, self.gun, self.now, directory, *self.tags).stdout.splitlines()


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build(SOURCES / "vectors.c", tmp_path_factory.mktemp("c") / "vectors")


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_the_vectors_say_the_same_in_python_and_c(path, damage, tagtrust, program, tmp_path):
    vector = Vector(path)
    for role in vector.files:
        files = vector.files | {role: DAMAGES[damage](vector.files[role])}
        answers = vector.in_python(tagtrust, files)
        assert vector.in_c(program, files, tmp_path) == answers, role
        if damage == "nothing":
            assert answers == vector.answers and answers
        else:
            assert len(answers) == 1 and not answers[0].startswith("sha256:"), role


@pytest.mark.parametrize("damage", DAMAGES)
def test_root_versions_lead_to_the_same_in_python_and_c(damage, tagtrust, program, tmp_path):
    vector = Vector(ROOT / "tests/vectors/repositories/notary-rotated.json")
    assert vector.roots[-1] == vector.files["root"] and len(vector.roots) == 4
    for start in range(3):
        for place in range(start, 3):
            known = vector.roots[:-1]
            known[place] = DAMAGES[damage](known[place])
            answers = vector.in_python(tagtrust, vector.files, known[start:])
            directory = tmp_path / f"{start}{place}"
            assert vector.in_c(program, vector.files, directory, known[start:]) == answers
            if damage == "nothing":
                assert answers == vector.answers
            elif place == start:
                assert answers == ["InvalidInput"]
            else:
                assert answers == ["RootNotTrusted"]


def test_the_vectors_are_here():
    assert len(VECTORS) >= 5
