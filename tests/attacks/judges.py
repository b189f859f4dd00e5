"""The two judges: the real `notary` client and tagtrust, asked for the same tag."""

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from attacks.faults import GUN, RELEASES
from lab.process import clean_environment

try:
    import tagtrust
except ImportError:  # the tests say so
    tagtrust = None

TIMEOUT = 20  # seconds, for one verification of either judge


@dataclass(frozen=True)
class Verdict:
    digest: str | None  # `sha256:…` if the tag is trusted
    error: str | None  # the class of tagtrust's error, or notary's words
    message: str
    cache: dict  # the metadata directory afterwards, by file name

    @property
    def trusted(self):
        return self.digest is not None


class TrustDirectory:
    """A trust directory with the given metadata in it, gone at the end."""

    def __init__(self, cached):
        self.path = Path(tempfile.mkdtemp(prefix="attacks-"))
        self.metadata = self.path / "tuf" / GUN / "metadata"
        for name, data in cached.items():
            file = self.metadata / name
            file.parent.mkdir(0o700, parents=True, exist_ok=True)
            file.write_bytes(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)

    def read(self):
        files = (file for file in self.metadata.rglob("*") if file.is_file())
        return {str(file.relative_to(self.metadata)): file.read_bytes() for file in files}


def ask_notary(url, ca_file, cached, tag, pinning=None):
    """What Docker makes of it: `targets/releases` first, then `targets`, nothing else."""
    with TrustDirectory(cached) as directory:
        config = directory.path / "config.json"
        config.write_text(json.dumps({"trust_pinning": with_files(pinning, directory.path)} if pinning else {}))
        command = ["notary", "-c", config, "-s", url, "--tlscacert", ca_file, "-d", directory.path]
        command += ["list", GUN, "-r", RELEASES, "-r", "targets"]
        run = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=TIMEOUT)
        digest, said = None, (run.stdout + run.stderr).strip()
        if run.returncode == 0:
            digest, said = signed_digest(run.stdout, tag)
        elif "fatal: " in said:
            said = said.split("fatal: ", 1)[1].splitlines()[0]
        return Verdict(digest, None if digest else said, said, directory.read())


def signed_digest(table, tag):
    """The digest that counts in the table of `notary list`, or why there is none."""
    row = re.search(rf"^{re.escape(tag)} +([0-9a-f]*) +(-?\d+) +(\S+)$", table, re.MULTILINE)
    if not row:
        return None, "the tag is not in the list"
    digest, _, role = row.groups()
    if role not in (RELEASES, "targets"):
        return None, f"the tag is in {role}, which does not count"
    if len(digest) != 64:
        return None, f"the tag has no usable sha256: {digest!r}"
    return f"sha256:{digest}", table


def ask_tagtrust(url, ca_file, cached, tag, pinning=None):
    with TrustDirectory(cached) as directory:
        client = tagtrust.Client(
            trust_dir=directory.path,
            docker_config=directory.path / "docker",
            server=url,
            ca_file=ca_file,
            pinning=pinning and pins(with_files(pinning, directory.path)),
            timeout=TIMEOUT,
        )
        try:
            digest = client.verify(f"{GUN}:{tag}").digest
            return Verdict(digest, None, digest, directory.read())
        except tagtrust.TrustError as error:
            return Verdict(None, type(error).__name__, str(error), directory.read())


def pins(pinning):
    """The configuration of `notary` in tagtrust's words."""
    return tagtrust.Pinning(
        certificates=pinning.get("certs", {}),
        ca=pinning.get("ca", {}),
        trust_on_first_use=not pinning.get("disable_tofu", False),
    )


def with_files(pinning, directory):
    """The pins, with their CA certificates in files as both programs want them."""
    paths = {}
    for number, (prefix, pem) in enumerate(pinning.get("ca", {}).items()):
        paths[prefix] = str(directory / f"ca{number}.pem")
        Path(paths[prefix]).write_bytes(pem)
    return {**pinning, "ca": paths}
