"""Writes this folder's repositories anew, signed by the real programs.

    .venv/bin/python tests/vectors/repositories/make.py

One JSON file for each: the GUN, a moment at which everything is valid, what
Docker's rule answers for each tag, and every file as the trust server sent it.
"""

import base64
import hashlib
import json
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from lab import Engine, NotaryServer, repositories  # noqa: E402


def main():
    with tempfile.TemporaryDirectory() as directory, Engine() as engine:
        directory = Path(directory)
        with NotaryServer(directory / "server") as server:
            for recipe in ("notary-plain", "notary-delegated", "notary-delegated-rsa-x509", "docker-signed"):
                write(recipe, repositories.build(recipe, server, engine, directory / recipe), server)
            rotated = repositories.build("notary-delegated", server, engine, directory / "rotated")
            for role in ("root", "targets", "snapshot"):
                rotated.admin.key_rotate(rotated.gun, role)
            write("notary-rotated", rotated, server)


def write(name, repository, server):
    files = {}
    for role in ("root", "timestamp"):
        files[f"{role}.json"] = server.metadata(repository.gun, role).decode()
    version = json.loads(files["root.json"])["signed"]["version"]
    for number in range(1, version + 1):
        path = f"{number}.root.json"
        files[path] = fetch(server, repository.gun, path)
    pending = [("snapshot", json.loads(files["timestamp.json"]))]
    while pending:
        role, referring = pending.pop()
        meta = referring["signed"]["meta"].get(role)
        if meta is None:
            continue
        sha256 = base64.b64decode(meta["hashes"]["sha256"]).hex()
        path = f"{role}.{sha256}.json"
        files[path] = text = fetch(server, repository.gun, path)
        assert hashlib.sha256(text.encode()).hexdigest() == sha256
        if role == "snapshot":
            snapshot = json.loads(text)
            pending.append(("targets", snapshot))
        else:
            roles = json.loads(text)["signed"]["delegations"]["roles"] or []
            pending += [(child["name"], snapshot) for child in roles]
    vector = {
        "gun": repository.gun,
        "now": int(time.time()),
        "tags": {tag: {"digest": digest, "size": size} for tag, (digest, size) in repository.tags.items()},
        "files": files,
    }
    (HERE / f"{name}.json").write_text(json.dumps(vector, indent=1) + "\n")


def fetch(server, gun, path):
    return server.get(f"/v2/{gun}/_trust/tuf/{path}").decode()


main()
