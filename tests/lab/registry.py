"""A real registry on a free loopback port, and small images for it.

The images are OCI layouts made here; skopeo pushes them. Nothing in them could run.
"""

import base64
import hashlib
import io
import json
import tarfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from .process import Daemon, run
from .server import opener

USERNAME, PASSWORD = "user", "secret"
# `htpasswd -nbB user secret`: the registry takes bcrypt only.
HTPASSWD = "user:$2b$05$hQsV3G9rVsc1TLbVZ0I9cO3z6ovy04djTZgI6lU9enYvd5FcNDLiS\n"

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
MEDIA_TYPES = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST)


@dataclass(frozen=True)
class Manifest:
    """What a registry answers for a tag, and what is therefore signed."""

    digest: str
    size: int
    media_type: str


class Registry(Daemon):
    """`with Registry(directory) as registry: registry.push(f"{registry.address}/app:1", "linux/amd64")`

    With a certificate it speaks TLS and asks for `USERNAME` and `PASSWORD`; without one it is plain http.
    """

    def __init__(self, directory: Path, certificate=None):
        super().__init__(directory)
        self.certificate = certificate
        self._layouts = 0

    @property
    def url(self) -> str:
        return f"{'https' if self.certificate else 'http'}://{self.address}"

    def push(self, reference, *platforms, format="oci", seed=None) -> Manifest:
        """Push an image, or with several platforms an index of images.

        `format`: oci or v2s2, which is what Docker pushes. The same seed gives the same digest.
        """
        self._layouts += 1
        layout = self.directory / f"layout-{self._layouts}"
        make_layout(layout, platforms or ["linux/amd64"], seed or reference)
        access = ["--dest-tls-verify=false"]
        if self.certificate:
            access += ["--dest-creds", f"{USERNAME}:{PASSWORD}"]
        every = ["--all"] if len(platforms) > 1 else []
        run("skopeo", "--insecure-policy", "copy", *every, "--format", format, *access,
            f"oci:{layout}:image", f"docker://{reference}", env={"HOME": self.directory})  # fmt: skip
        repository, _, tag = reference.removeprefix(f"{self.address}/").rpartition(":")
        return self.manifest(repository, tag)

    def manifest(self, repository, tag) -> Manifest:
        """What the registry holds, hashed here."""
        with self._open(f"/v2/{repository}/manifests/{tag}", {"Accept": ", ".join(MEDIA_TYPES)}) as answer:
            body = answer.read()
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
            assert answer.headers["Docker-Content-Digest"] == digest
            return Manifest(digest, len(body), answer.headers["Content-Type"])

    def command(self):
        config = self.directory / "registry.json"
        config.write_text(json.dumps(self._config()))  # JSON is YAML
        (self.directory / "htpasswd").write_text(HTPASSWD)
        return ["docker-registry", "serve", str(config)]

    def ping(self):
        self._open("/v2/").close()

    def _config(self):
        config = {
            "version": "0.1",
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(self.directory / "data")}, "delete": {"enabled": True}},
            "http": {"addr": self.address},
        }
        if self.certificate:
            config["http"]["tls"] = {
                "certificate": str(self.certificate.cert_file),
                "key": str(self.certificate.key_file),
            }
            config["auth"] = {"htpasswd": {"realm": "lab", "path": str(self.directory / "htpasswd")}}
        return config

    def _open(self, path, headers=None):
        headers = dict(headers or {})
        if self.certificate:
            credentials = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
            headers["Authorization"] = f"Basic {credentials}"
        request = urllib.request.Request(f"{self.url}{path}", headers=headers)
        return opener(self.certificate and self.certificate.ca_file).open(request, timeout=5)


def make_layout(directory: Path, platforms, seed):
    """An OCI layout with one image for each platform; several are joined by an index."""
    blobs = directory / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(data: bytes, media_type) -> dict:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def json_blob(value, media_type) -> dict:
        return blob(json.dumps(value).encode(), media_type)

    def image(platform) -> dict:
        system, architecture = platform.split("/")
        layer = _tar({"seed": f"{seed} {platform}\n".encode()})
        config = {
            "architecture": architecture,
            "os": system,
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": json_blob(config, "application/vnd.oci.image.config.v1+json"),
            "layers": [blob(layer, "application/vnd.oci.image.layer.v1.tar")],
        }
        return json_blob(manifest, OCI_MANIFEST) | {"platform": {"os": system, "architecture": architecture}}

    images = [image(platform) for platform in platforms]
    whole = images[0]
    if len(images) > 1:
        whole = json_blob({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": images}, OCI_INDEX)
    named = whole | {"annotations": {"org.opencontainers.image.ref.name": "image"}}
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))


def _tar(files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return archive.getvalue()
