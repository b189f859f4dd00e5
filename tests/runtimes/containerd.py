"""A real containerd in directories of its own, without Kubernetes' part."""

import json
import shutil
from pathlib import Path

from lab import CommandFailed, run
from lab.process import Daemon

ROOT = Path(__file__).resolve().parents[2]
UNPACKED = ROOT / ".venv/containerd/usr/bin"


def program(name) -> str | None:
    """What tests/setup.sh unpacked, else what is installed."""
    return shutil.which(name, path=UNPACKED) or shutil.which(name)


class Containerd(Daemon):
    """`with Containerd(directory, verifiers, variables) as containerd: containerd.pull(reference)`

    `verifiers`: the directory with the image verifiers. `variables`: what their environment has besides.
    """

    def __init__(self, directory: Path, verifiers: Path, variables: dict):
        super().__init__(directory)
        self.verifiers = verifiers
        self.variables = variables

    def ctr(self, *args, check=True):
        return run(program("ctr"), "--address", self.directory / "s", *args, check=check)

    def pull(self, reference):
        """What `ctr images pull` ended with. Registries on loopback are asked in plain http."""
        return self.ctr("images", "pull", "--plain-http", reference, check=False)

    def holds(self, digest) -> bool:
        """Whether anything of an image was fetched."""
        return digest in self.ctr("content", "ls").stdout

    def command(self):
        config = self.directory / "config.toml"
        config.write_text(self._config())
        return [program("containerd"), "--config", str(config), "--log-level", "debug"]

    def environment(self):
        return self.variables

    def ping(self):
        try:
            self.ctr("version")
        except CommandFailed as failed:
            raise ConnectionError from failed

    def _config(self):
        text = {name: json.dumps(str(self.directory / name)) for name in ("root", "state", "opt", "s", "t")}
        return f"""\
version = 3
root = {text["root"]}
state = {text["state"]}
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime",
    "io.containerd.nri.v1.nri"]
[grpc]
  address = {text["s"]}
[ttrpc]
  address = {text["t"]}
[plugins."io.containerd.internal.v1.opt"]
  path = {text["opt"]}
[plugins."io.containerd.image-verifier.v1.bindir"]
  bin_dir = {json.dumps(str(self.verifiers))}
  max_verifiers = 10
  per_verifier_timeout = "10s"
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
  platform = "linux/amd64"
  snapshotter = "native"
"""
