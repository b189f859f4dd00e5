"""The main job, once: which digest did the publisher sign? Asked from Python and C.

The repository is signed with the real `notary` and served by the real
notary-server. Ends with status 1 if an answer is not what it has to be.
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import tagtrust

from interop.verifiers import c_example, environment, options
from lab import NotaryServer, Proxy, repositories, run

LIE = b"0" * 43 + b"="


def main():
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tagtrust-demo-")))
        server = stack.enter_context(NotaryServer(directory / "server"))
        repository = repositories.notary_plain(server, directory / "publisher", "demo")
        image, (digest, _) = repository.gun, repository.tags["v1"]
        print(f"notary-server answers at {server.url}; `notary` signed {image}:v1\n  as {digest}\n")

        ask("A signed tag", f"{image}:v1", server, directory, expected=f"{image}@{digest}")
        ask("A tag that nobody signed", f"{image}:v3", server, directory, expected=None)

        tampered = stack.enter_context(Proxy(server, put_another_digest))
        ask("The same signed tag, from a server that puts another digest", f"{image}:v1", tampered, directory)


def put_another_digest(path, body):
    """Replace the SHA-256 of every tag in the signed list of tags."""
    if "/targets." not in path:
        return body
    start = body.index(b'"sha256":"') + len(b'"sha256":"')
    return body[:start] + LIE + body[start + len(LIE) :]


def ask(title, reference, server, directory, expected=None):
    print(f"{title}: {reference}")
    answers = {
        # An empty trust directory each time, as on a machine that sees the image first.
        "Python": from_python(reference, server, Path(tempfile.mkdtemp(dir=directory))),
        "C": from_c(reference, server, Path(tempfile.mkdtemp(dir=directory))),
    }
    for language, (pinned, reason) in answers.items():
        print(f"  {language:8}" + (f"accepted  {pinned}" if pinned else f"refused   {reason}"))
        if pinned != expected:
            sys.exit(f"  wrong: {expected or 'a refusal'} was expected")
    print()


def from_python(reference, server, trust_dir):
    client = tagtrust.Client(server=server.url, ca_file=server.ca_file, trust_dir=trust_dir)
    try:
        return client.verify(reference).pinned_reference, None
    except tagtrust.TrustError as error:
        return None, f"{type(error).__name__}: {error}"


def from_c(reference, server, trust_dir):
    done = run(c_example(), *options(server, trust_dir), reference, env=environment(), check=False)
    return done.stdout.strip() or None, done.stderr.strip()


main()
