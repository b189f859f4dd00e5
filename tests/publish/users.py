"""Users of the command `tagtrust`, and two in the same state: one with our command, one with `docker trust`."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from interop.verifiers import COMMAND, environment
from lab import DockerTrust, Notary, run
from lab.notary import PASSPHRASE
from lab.repositories import make_image, new_gun
from python.terminal import Terminal

PASSPHRASES = {f"DOCKER_CONTENT_TRUST_{role}_PASSPHRASE": PASSPHRASE for role in ("ROOT", "REPOSITORY")}
OFFLINE = {"key", "status", "reset"}
NOUNS = {"key", "signer", "delegation"}


@dataclass
class Us:
    """One user of the command, who can also be asked with `docker trust` and `notary`."""

    gun: str
    directory: Path
    docker: DockerTrust
    notary: Notary

    @classmethod
    def new(cls, server, engine, directory: Path) -> Us:
        """With an empty trust directory, and a repository that does not exist."""
        docker = DockerTrust(server, directory / "docker", engine)
        return cls(new_gun("command"), directory, docker, Notary(server, docker.trust_dir))

    @property
    def trust_dir(self):
        return self.docker.trust_dir

    def argv(self, *words, to=None):
        settings = ["--trust-dir", self.trust_dir]
        if words[0] not in OFFLINE:
            server = to or self.docker.server
            settings += ["--server", server.url, "--ca-file", server.ca_file]
        nouns = 2 if words[0] in NOUNS else 1
        return [COMMAND, *words[:nouns], *settings, *words[nouns:]]

    def run(self, *words, status=0, input="", to=None, **variables):
        # A session of its own has no terminal, wherever the tests run.
        argv = ["setsid", "--wait", *self.argv(*words, to=to)]
        done = run(*argv, env=environment() | PASSPHRASES | variables, check=False, input=input)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        for secret in (PASSPHRASE, *variables.values()):
            assert not secret or secret not in done.stdout + done.stderr
        return done

    def json(self, *words, **kwargs):
        return json.loads(self.run(*words, "--json", **kwargs).stdout)

    def terminal(self, *words):
        return Terminal(*self.argv(*words), env=environment())

    def sign(self, tag, *options, seed=None):
        digest, size = make_image(seed or tag)
        return self.run("sign", f"{self.gun}:{tag}", "--digest", digest, "--size", size, *options)

    def tags(self):
        """What a stranger verifies: {tag: (digest, size)}"""
        server = self.docker.server
        reader = Notary(server, self.directory / f"reader-{len(list(self.directory.glob('reader-*')))}")
        return {tag: found[:2] for tag, found in reader.list(self.gun, ["targets/releases", "targets"]).items()}

    def tags_in(self, role) -> set[str]:
        """What the server's file of a role lists."""
        return set(json.loads(self.docker.server.metadata(self.gun, role))["signed"]["targets"])

    def keys(self) -> dict[str, str]:
        """The private keys that are here: {role: ID}"""
        return {role: key_id for role, _, key_id in self.notary.keys()}

    def bring_key(self, role, owner: Us):
        """A private key of somebody else's, and no other."""
        key = f"private/{owner.keys()[role]}.key"
        (self.trust_dir / key).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy(owner.trust_dir / key, self.trust_dir / key)

    def add_signer(self, name="alice"):
        self.run("key", "generate", name, "--dir", self.directory)
        self.run("signer", "add", "--key", self.directory / f"{name}.pub", name, self.gun)

    def plain(self, said: str) -> str:
        """Without what differs from one user to the next."""
        for text, word in ((self.gun, "REPO"), (str(self.directory), "DIR"), (self.docker.server.address, "SERVER")):
            said = said.replace(text, word)
        return re.sub("(?<=ID )[0-9a-f]{7}", "ID", said)


class Both:
    """Two users in the same state: what one does with our command, the other does with Docker's."""

    def __init__(self, new_user: Callable[[], Us]):
        self._new_user = new_user
        self.us, self.them = new_user(), new_user()

    def __iter__(self):
        return iter((self.us, self.them))

    def __call__(self, *words, stderr=True, status=0, input=""):
        """Words may be functions of the user. Both must say the same, as far as that is Docker's to say."""
        ours = self.us.run(*self._words(self.us, words), status=status, input=input)
        theirs = self.them.docker.trust(*self._words(self.them, words), check=False, input=input)
        # Docker knows no more than 1.
        assert theirs.returncode == (1 if ours.returncode else 0)
        assert self.us.plain(ours.stdout) == self.them.plain(theirs.stdout)
        if stderr:
            assert self.us.plain(ours.stderr) == self.them.plain(theirs.stderr)
        return ours

    def others(self) -> Both:
        """Two on other machines, without any key, for the same repositories."""
        others = Both(self._new_user)
        for other, user in zip(others, self):
            other.gun = user.gun
        return others

    @staticmethod
    def _words(user, words):
        return [word(user) if callable(word) else word for word in words]


# Words for `Both`


def repository(user):
    return user.gun


def reference(tag):
    return lambda user: f"{user.gun}:{tag}"


def file(name):
    return lambda user: user.directory / name
