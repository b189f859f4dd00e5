"""The real `docker trust`, of any Docker CLI before 29."""

import base64
import json
import re
import shutil
from pathlib import Path

from .notary import PASSPHRASE
from .process import run


class DockerTrust:
    """One user of Docker: a configuration directory, the trust server, and maybe an engine.

    Only signing a new tag, pull and push need an engine.
    """

    def __init__(self, server, config_dir: Path, engine=None, ca_file: Path | None = None):
        self.server = server
        self.config_dir = Path(config_dir)
        self.engine = engine
        tls = self.config_dir / "tls" / server.address
        tls.mkdir(parents=True, exist_ok=True)
        shutil.copy(ca_file or server.ca_file, tls / "ca.crt")

    @property
    def trust_dir(self) -> Path:
        return self.config_dir / "trust"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "DOCKER_CONFIG": str(self.config_dir),
            "DOCKER_CONTENT_TRUST_SERVER": self.server.url,
            "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE": PASSPHRASE,
            "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": PASSPHRASE,
            "DOCKER_HOST": self.engine.url if self.engine else "unix:///nonexistent/docker.sock",
        }

    def login(self, registry, username, password="secret"):
        """What `docker login` would write. The first `sign` of a repository names its signer after this user."""
        auth = base64.b64encode(f"{username}:{password}".encode()).decode()
        (self.config_dir / "config.json").write_text(json.dumps({"auths": {registry: {"auth": auth}}}))

    def run(self, *args, check=True, input=""):
        """Any `docker` command, with content trust switched on."""
        environment = self.environment | {"DOCKER_CONTENT_TRUST": "1"}
        return run("docker", *args, env=environment, check=check, input=input)

    def trust(self, *args, check=True, input=""):
        return self.run("trust", *args, check=check, input=input)

    def generate_key(self, name, directory) -> Path:
        """Make a signer's key pair; the private half goes to the trust directory, the public file is returned."""
        self.trust("key", "generate", name, "--dir", directory)
        return Path(directory) / f"{name}.pub"

    def add_signer(self, name, repository, *public_keys):
        """Add a signer, and initialise the repository if the server does not know it."""
        keys = [word for key in public_keys for word in ("--key", key)]
        self.trust("signer", "add", *keys, name, repository)

    def sign(self, reference, digest, size):
        """Sign a new tag: the engine says that it pushed an image with this digest and size."""
        self.engine.images[reference] = (digest, size)
        self.trust("sign", reference)

    def push(self, reference, digest, size):
        """Push and sign: the engine says that it pushed an image with this digest and size."""
        self.engine.images[reference] = (digest, size)
        self.run("push", reference)

    def pull(self, reference) -> str:
        """The reference with the digest that the engine was told to pull."""
        said = self.run("pull", reference).stdout
        return re.search(r"Pull \(1 of 1\): (\S+)", said)[1]

    def revoke(self, reference):
        self.trust("revoke", "--yes", reference)

    def inspect(self, *references) -> str:
        return self.trust("inspect", *references).stdout

    def pretty(self, *references) -> str:
        return self.trust("inspect", "--pretty", *references).stdout
