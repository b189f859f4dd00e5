"""The same operations by us and by the real programs, with the same names."""

import re
from pathlib import Path

from interop.verifiers import COMMAND, environment, options
from lab import run
from lab.notary import PASSPHRASE


class NotarySide:
    """`notary`. All but `rotate` and `publish` stage."""

    def __init__(self, publisher, directory):
        self.notary, self.gun, self.directory = publisher.notary, publisher.gun, directory

    def init(self):
        self.notary.init(self.gun)

    def add(self, tag, image, role, custom=None):
        digest, size = image
        if custom:
            file = self.directory / "custom.json"
            file.write_text(custom)
        self.notary.addhash(self.gun, tag, size, digest.removeprefix("sha256:"), [role], file if custom else None)

    def remove(self, tag, role):
        self.notary.remove(self.gun, tag, [role])

    def add_delegation(self, role, keys=(), paths=()):
        files = [key.public for key in keys]
        allowed = ["--all-paths"] if paths == [""] else ["--paths", ",".join(paths)] if paths else []
        self.notary.run("delegation", "add", self.gun, role, *files, *allowed)

    def remove_delegation(self, role, keys=(), paths=()):
        self.notary.delegation_remove(self.gun, role, *(key.id for key in keys), paths=paths)

    def purge(self, *keys):
        self.notary.delegation_purge(self.gun, *(key.id for key in keys))

    def witness(self, *roles):
        self.notary.witness(self.gun, *roles)

    def rotate(self, role, server_managed=False):
        self.notary.key_rotate(self.gun, role, server_managed)

    def reset(self, *numbers):
        self.notary.reset(self.gun, *numbers)

    def publish(self):
        self.notary.publish(self.gun)

    def delete(self, remote):
        self.notary.run("delete", self.gun, *(["--remote"] if remote else []))


class OurSide:
    """We, with Notary's defaults where Docker's differ."""

    def __init__(self, publisher, directory):
        self.client, self.gun = publisher.client, publisher.gun

    def init(self):
        self.client.init(self.gun, local_snapshot=True, publish=False)

    def add(self, tag, image, role, custom=None):
        self.client.sign(f"{self.gun}:{tag}", *image, roles=[role], custom=custom, stage=True)

    def remove(self, tag, role):
        self.client.revoke(f"{self.gun}:{tag}", roles=[role], stage=True)

    def add_delegation(self, role, keys=(), paths=()):
        files = [key.public for key in keys]
        self.client.add_delegation(self.gun, role, keys=files, paths=list(paths), stage=True)

    def remove_delegation(self, role, keys=(), paths=()):
        key_ids = [key.id for key in keys] or None
        self.client.remove_delegation(self.gun, role, key_ids=key_ids, paths=list(paths) or None, stage=True)

    def purge(self, *keys):
        self.client.purge_keys(self.gun, [key.id for key in keys], stage=True)

    def witness(self, *roles):
        self.client.witness(self.gun, list(roles), stage=True)

    def rotate(self, role, server_managed=False):
        self.client.rotate_key(self.gun, role, server_managed=server_managed)

    def reset(self, *numbers):
        self.client.unstage(self.gun, list(numbers) or None)

    def publish(self):
        self.client.publish(self.gun)

    def delete(self, remote):
        self.client.delete(self.gun, remote=remote)


class PythonUser:
    """We in the words of `docker trust`, with the methods of `DockerTrust`."""

    def __init__(self, publisher):
        self.client = publisher.client

    def generate_key(self, name, directory) -> Path:
        return Path(self.client.generate_key(name, directory).public_key_file)

    def add_signer(self, name, repository, *public_keys):
        self.client.add_signer(name, list(public_keys), repository)

    def sign(self, reference, digest, size):
        self.client.sign(reference, digest, size)

    def revoke(self, reference):
        self.client.revoke(reference)

    def inspect(self, reference) -> str:
        return self.client.inspect(reference).to_json()

    def pretty(self, reference) -> str:
        return self.client.inspect(reference).to_pretty()


class CommandUser:
    """The command `tagtrust`, with the methods of `DockerTrust`."""

    def __init__(self, publisher):
        self.server, self.trust_dir = publisher.notary.server, publisher.trust_dir

    def run(self, *words, check=True, input="", **variables):
        passphrases = {
            "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE": PASSPHRASE,
            "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": PASSPHRASE,
        }
        return run(COMMAND, *words, env=environment() | passphrases | variables, check=check, input=input)

    def online(self, *words, **kwargs):
        """Of a command of one word, or of two where the first is a noun."""
        nouns = 2 if words[0] in ("signer", "key") else 1
        return self.run(*words[:nouns], *options(self.server, self.trust_dir), *words[nouns:], **kwargs)

    def offline(self, *words, **kwargs):
        return self.run(*words[:2], "--trust-dir", self.trust_dir, *words[2:], **kwargs)

    def generate_key(self, name, directory) -> Path:
        said = self.offline("key", "generate", name, "--dir", directory).stdout
        return Path(re.search(r"Corresponding public key available: (.+)", said)[1])

    def add_signer(self, name, repository, *public_keys):
        keys = [word for key in public_keys for word in ("--key", key)]
        self.online("signer", "add", *keys, name, repository)

    def sign(self, reference, digest, size):
        self.online("sign", reference, "--digest", digest, "--size", size)

    def revoke(self, reference):
        self.online("revoke", "--yes", reference)

    def inspect(self, reference) -> str:
        return self.online("inspect", reference).stdout

    def pretty(self, reference) -> str:
        return self.online("inspect", "--pretty", reference).stdout
