"""The real `notary` client."""

from __future__ import annotations  # one method is called `list`

import base64
import json
import re
import time
import uuid
from pathlib import Path

from .process import run

# One for all keys, and Docker's too: the two programs share trust directories here.
PASSPHRASE = "test-passphrase"
ENVIRONMENT = {f"NOTARY_{role}_PASSPHRASE": PASSPHRASE for role in ("ROOT", "TARGETS", "SNAPSHOT", "DELEGATION")}


class Notary:
    """One user of `notary`: a trust directory, and the server it talks to."""

    def __init__(self, server, trust_dir: Path, ca_file: Path | None = None):
        self.server = server
        self.trust_dir = Path(trust_dir)
        self.ca_file = ca_file or server.ca_file

    def command(self, *args) -> list:
        return ["notary", "-s", self.server.url, "--tlscacert", self.ca_file, "-d", self.trust_dir, *args]

    def run(self, *args, check=True, input=""):
        return run(*self.command(*args), env=ENVIRONMENT, check=check, input=input)

    def init(self, gun):
        self.run("init", gun)

    def addhash(self, gun, tag, size, sha256, roles=(), custom: Path | None = None):
        """Stage a target. `sha256` in hex; without roles it goes to `targets`. `custom`: a file with JSON."""
        options = [*_roles(roles), *(["--custom", custom] if custom else [])]
        self.run("addhash", gun, tag, size, "--sha256", sha256, *options)

    def stage(self, gun, targets: dict[str, tuple[int, str]], role="targets"):
        """Stage many targets at once, {tag: (size, sha256 in hex)}, by writing the changelist itself."""
        changelist = self.trust_dir / "tuf" / gun / "changelist"
        changelist.mkdir(mode=0o700, parents=True, exist_ok=True)
        now = time.time_ns()
        for number, (tag, (size, sha256)) in enumerate(targets.items()):
            meta = {"length": size, "hashes": {"sha256": _base64(bytes.fromhex(sha256))}}
            change = {
                "action": "create",
                "role": role,
                "type": "target",
                "path": tag,
                "data": _base64(json.dumps(meta).encode()),
            }
            # Applied in the order of the file names.
            name = f"{now + number:020}_{uuid.uuid4()}.change"
            (changelist / name).write_text(json.dumps(change))

    def remove(self, gun, tag, roles=()):
        """Stage the removal of a target."""
        self.run("remove", gun, tag, *_roles(roles))

    def publish(self, gun):
        self.run("publish", gun)

    def status(self, gun) -> list[tuple[str, str, str, str]]:
        """The staged changes: (action, scope, type, path)."""
        return [tuple(row[1:]) for row in _table(self.run("status", gun).stdout)]

    def reset(self, gun, *numbers):
        """Forget these staged changes, or all."""
        self.run("reset", gun, *(["-n", ",".join(map(str, numbers))] if numbers else ["--all"]))

    def lookup(self, gun, tag) -> tuple[str, int]:
        """(digest, size) of a tag, from `targets` before any delegation."""
        name, digest, size = self.run("lookup", gun, tag).stdout.split()
        assert name == tag
        return digest, int(size)

    def list(self, gun, roles=()) -> dict[str, tuple[str, int, str]]:
        """{tag: (digest, size, role)}; the first of the roles that has a tag wins."""
        rows = self.run("list", gun, *_roles(roles)).stdout.splitlines()
        cells = [row.split() for row in rows if row]
        if not cells or cells[0][0] != "NAME":
            return {}
        return {tag: (f"sha256:{digest}", int(size), role) for tag, digest, size, role in cells[2:]}

    def delegation_add(self, gun, role, *public_keys, paths=None):
        """Stage a delegation; without `paths` it may sign every tag."""
        allowed = ["--all-paths"] if paths is None else ["--paths", ",".join(paths)]
        self.run("delegation", "add", gun, role, *public_keys, *allowed)

    def delegation_remove(self, gun, role, *key_ids, paths=()):
        """Stage the removal of keys or paths from a delegation; of the delegation where none are given."""
        self.run("delegation", "remove", gun, role, *key_ids, *(["--paths", ",".join(paths)] if paths else []), "--yes")

    def delegation_purge(self, gun, *key_ids):
        """Stage the removal of keys from every delegation."""
        self.run("delegation", "purge", gun, "--key", ",".join(key_ids))

    def delegations(self, gun) -> dict[str, tuple[list[str], list[str], int]]:
        """{role: (sorted paths, sorted key IDs, threshold)}"""
        found = {}
        for role, path, key_id, threshold in _table(self.run("delegation", "list", gun).stdout):
            if role:
                paths, key_ids, _ = found[role] = ([], [], int(threshold))
            if path:
                paths.append("" if path == '"" <all paths>' else path)
            if key_id:
                key_ids.append(key_id)
        return {role: (sorted(paths), sorted(ids), threshold) for role, (paths, ids, threshold) in found.items()}

    def witness(self, gun, *roles):
        """Stage that roles are signed again."""
        self.run("witness", gun, *roles)

    def keys(self) -> list[tuple[str, str, str]]:
        """(role, GUN, key ID), the GUN shortened to `shorten_gun(gun)`."""
        return [(role, gun, key_id) for role, gun, key_id, _ in _table(self.run("key", "list").stdout)]

    def import_key(self, private_key: Path, role):
        """Take an unencrypted private key in PEM into the trust directory."""
        # An encrypted one would need a `path` header, which `notary key generate -o` does not write.
        self.run("key", "import", private_key, "-r", role)

    def key_rotate(self, gun, role, server_managed=False):
        """Rotate the key of a role; published at once."""
        # Rotating the root asks for confirmation.
        self.run("key", "rotate", gun, role, *(["-r"] if server_managed else []), input="yes\n")


def shorten_gun(gun) -> str:
    """As `notary key list` prints it."""
    return gun if len(gun) <= 25 else f"...{gun[-22:]}"


def _table(text) -> list[list[str]]:
    """The rows below a line of dashes, which stand where each column begins."""
    lines = text.splitlines()
    begins = next((number for number, line in enumerate(lines) if line.startswith("-")), len(lines))
    rows = [line for line in lines[begins + 1 :] if line.strip()]
    if not rows:
        return []
    starts = [match.start() for match in re.finditer("-+", lines[begins])]
    return [[row[start:end].strip() for start, end in zip(starts, [*starts[1:], None])] for row in rows]


def _roles(roles):
    return ["-r", ",".join(roles)] if roles else []


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
