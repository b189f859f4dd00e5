"""Repositories with many tags on the real notary-server.

`notary publish` takes minutes for 100,000 tags. The files here are of the same
form, signed by the attacks' publisher; the server checks them as any upload.
"""

import base64
import json
import ssl
import time
import urllib.request
import uuid

from attacks import tuf
from lab.repositories import make_image, new_gun


def publish_tags(server, count: int, on_upload=lambda seconds: None) -> tuple[str, dict[str, tuple[str, int]]]:
    """The GUN of a new repository, and {tag: (digest, size)}. `on_upload` learns how long the upload alone took."""
    gun = new_gun("tags")
    tags = {f"v{number}": make_image(f"{gun}:v{number}") for number in range(count)}
    repository = tuf.Repository(gun)
    # What `notary addhash --sha256` and `docker trust sign` write: no sha512.
    repository["targets"].signed["targets"] = {tag: target(*image) for tag, image in tags.items()}
    repository.set_keys("timestamp", [servers_key(server, gun, "timestamp")])
    repository["timestamp"].signers = []
    files = repository.files()
    parts = {role: files[f"{role}.json"] for role in ("root", "targets", "snapshot")}
    started = time.perf_counter()
    upload(server, gun, parts)
    on_upload(time.perf_counter() - started)
    return gun, tags


def target(digest: str, size: int) -> dict:
    sha256 = bytes.fromhex(digest.removeprefix("sha256:"))
    return {"hashes": {"sha256": base64.b64encode(sha256).decode()}, "length": size}


def servers_key(server, gun, role) -> tuf.Key:
    """The key that the server made for a role."""
    key = json.loads(server.get(f"/v2/{gun}/_trust/tuf/{role}.key"))
    return tuf.Key(key["keytype"], base64.b64decode(key["keyval"]["public"]), private=None, method=None)


def upload(server, gun, files: dict[str, bytes]):
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{role}"\r\n\r\n'.encode() + data
        for role, data in files.items()
    ]
    request = urllib.request.Request(
        f"{server.url}/v2/{gun}/_trust/tuf/",
        data=b"\r\n".join([*parts, f"--{boundary}--\r\n".encode()]),
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    direct = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=server.ca_file)),
    )
    direct.open(request, timeout=300).close()
