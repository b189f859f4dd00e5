"""The image verifier for containerd, called as containerd calls it."""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from interop.verifiers import ROOT

SOURCE = ROOT / "ffi/containerd/tagtrust-containerd.c"


@dataclass
class Verifier:
    """The program with a configuration file of its own; called as containerd calls it."""

    program: Path
    config: Path
    lines: dict = field(default_factory=dict)
    watched_by: tuple = ()

    def configure(self, *more: str, **lines):
        """Write the file. Of one setting None leaves the line out; `more` are lines as they stand."""
        lines = [f"{name} {value}" for name, value in (self.lines | lines).items() if value is not None]
        self.config.write_text("\n".join([*lines, *more, ""]))
        self.config.chmod(0o644)

    def start(self, name, digest, stdin=subprocess.PIPE, **variables) -> subprocess.Popen:
        flags = ["-name", name, "-digest", digest, "-stdin-media-type", "application/vnd.oci.descriptor.v1+json"]
        return self.start_with(*flags, stdin=stdin, **variables)

    def start_with(self, *flags, stdin=subprocess.PIPE, **variables) -> subprocess.Popen:
        # What containerd's unit has, and the path that containerd adds.
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "LD_LIBRARY_PATH": "/opt/containerd/lib:",
            "TAGTRUST_CONTAINERD_CONFIG": str(self.config),
        } | variables
        return subprocess.Popen(
            [*self.watched_by, self.program, *flags],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=environment,
            start_new_session=True,
        )

    def ask(self, name, digest, **variables) -> tuple[int, str]:
        """Exit status and reason."""
        size = 528
        descriptor = f'{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{digest}","size":{size}}}\n'
        return answer(self.start(name, digest, **variables), descriptor.encode())


def answer(process, descriptor=b"") -> tuple[int, str]:
    """Exit status and reason: one short line, and not a word on standard error."""
    out, err = process.communicate(descriptor, timeout=60)
    assert err == b""
    reason = out.decode("ascii")
    assert 0 < len(reason) <= 1024 and reason.isascii() and reason.index("\n") == len(reason) - 1
    assert reason.strip("\n").isprintable()
    return process.returncode, reason.strip()
