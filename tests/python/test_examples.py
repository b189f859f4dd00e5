"""The examples in the documentation are run, each with a repository and a server of its own."""

import doctest
import inspect
import shutil
import urllib.request
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "python/README.md"
REPOSITORY = "registry.example/team/app"
FLAGS = doctest.ELLIPSIS


class Files:
    """What the server has of the repository, by role."""

    def __init__(self, server: str):
        self.server = server

    def __getitem__(self, role: str) -> bytes:
        with urllib.request.urlopen(f"{self.server}/v2/{REPOSITORY}/_trust/tuf/{role}.json") as answer:
            return answer.read()


@pytest.fixture(scope="module")
def prepared(tagtrust, tmp_path_factory):
    """A server's database and Docker's directory: tag 1.2 is signed by alice and bob, 1.1 by alice."""
    directory = tmp_path_factory.mktemp("prepared")
    (directory / "keys").mkdir()
    with tagtrust.Server(storage=f"sqlite:{directory / 'server.db'}") as server:
        client = tagtrust.Client(
            server=server.url, docker_config=directory / "docker", passphrase=lambda *_: "correct horse"
        )
        edit = client.edit(REPOSITORY).init()
        for name in ("alice", "bob"):
            edit.add_signer(name, [client.generate_key(name, directory / "keys").public_key_file])
        edit.publish()
        client.edit(REPOSITORY).sign("1.2", f"sha256:{'2' * 64}", 1570).publish()
        only = ("targets/alice", "targets/releases")
        client.sign(f"{REPOSITORY}:1.1", f"sha256:{'1' * 64}", 1570, roles=only)
    return directory


@pytest.fixture
def run(tagtrust, prepared, tmp_path, monkeypatch):
    """`run(name, text)`: how many of the examples in this text fail, and how many there are."""
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    for kind in ("ROOT", "REPOSITORY"):
        monkeypatch.setenv(f"DOCKER_CONTENT_TRUST_{kind}_PASSPHRASE", "correct horse")

    def run(name, text):
        test = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
        if not test.examples:
            return doctest.TestResults(0, 0)
        home = tmp_path / name
        shutil.copytree(prepared, home)
        with tagtrust.Server(storage=f"sqlite:{home / 'server.db'}") as server:
            monkeypatch.setenv("DOCKER_CONFIG", str(home / "docker"))
            monkeypatch.setenv("DOCKER_CONTENT_TRUST_SERVER", server.url)
            files = Files(server.url)
            test.globs.update(
                tagtrust=tagtrust,
                client=tagtrust.Client(),
                server=server.url,
                directory=home / "keys",
                files=files,
                trusted=tagtrust.TrustedSet(REPOSITORY, files["root"]),
            )
            return runner.run(test)

    return run


def documented(tagtrust):
    """Everything public and its members, by name."""
    yield "tagtrust", tagtrust
    for name in tagtrust.__all__:
        thing = getattr(tagtrust, name)
        if isinstance(thing, type):
            yield name, thing
            for word, member in vars(thing).items():
                if not word.startswith("_") and (callable(member) or isinstance(member, staticmethod)):
                    yield f"{name}.{word}", getattr(thing, word)


def test_examples_in_docstrings(tagtrust, run):
    results = {name: run(name, inspect.getdoc(thing) or "") for name, thing in documented(tagtrust)}
    assert not {name for name, result in results.items() if result.failed}
    without = {name for name, result in results.items() if not result.attempted and "." not in name}
    assert not without, "a class without an example"


def test_everything_public_says_what_it_is(tagtrust):
    for name in tagtrust.__all__:
        thing = getattr(tagtrust, name)
        if isinstance(thing, type):
            members = {word: member for word, member in vars(thing).items() if not word.startswith("_")}
            members = {word: m for word, m in members.items() if callable(m) or inspect.isdatadescriptor(m)}
            if name in ("Pinning", "Rule", "Policy", "TokenAuth", "PasswordFile"):
                # What their attributes are stands with the arguments.
                assert all(f"{word}: " in inspect.getdoc(thing) for word in members)
            else:
                assert all(inspect.getdoc(member) for member in members.values()), name
            assert thing.__doc__, name


def test_examples_in_the_readme(run):
    result = run("README", README.read_text())
    assert result.attempted and not result.failed
