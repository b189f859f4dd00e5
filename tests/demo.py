"""The main job, once: which digest did the publisher sign? Asked from Python and C.
And the other way round: signed from Python, and the real `notary` is asked.

The first repository is signed with the real `notary`, and both are served by
tagtrust's own server, in this process. Ends with status 1 if an answer is not what
it has to be.
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import tagtrust

from interop.verifiers import c_example, environment, options
from lab import Notary, Proxy, repositories, run
from lab.server import TrustServer

LIE = b"0" * 43 + b"="


class EmbeddedServer(TrustServer):
    """Ours, in this process."""

    def start(self):
        files = (self.certificate.cert_file, self.certificate.key_file)
        self.embedded = tagtrust.Server(listen=self.address, tls=files).start()

    def stop(self):
        self.embedded.stop()


def main():
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tagtrust-demo-")))
        server = stack.enter_context(EmbeddedServer(directory / "server"))
        repository = repositories.notary_plain(server, directory / "publisher", "demo")
        image, (digest, _) = repository.gun, repository.tags["v1"]
        print(f"tagtrust's server answers at {server.url}; `notary` signed {image}:v1\n  as {digest}\n")

        ask("A signed tag", f"{image}:v1", server, directory, expected=f"{image}@{digest}")
        ask("A tag that nobody signed", f"{image}:v3", server, directory, expected=None)

        tampered = stack.enter_context(Proxy(server, put_another_digest))
        ask("The same signed tag, from a server that puts another digest", f"{image}:v1", tampered, directory)

        sign_and_ask_notary(server, directory)


def sign_and_ask_notary(server, directory):
    """Sign two tags with a signer's key, revoke one, and ask the real client each time."""
    client = tagtrust.Client(
        server=server.url,
        ca_file=server.ca_file,
        trust_dir=directory / "signer",
        passphrase=lambda key_id, role, create, attempt: "a passphrase of the demo",
    )
    image = repositories.new_gun("signed")
    key = client.generate_key("alice", directory)
    client.add_signer("alice", [key.public_key_file], image)
    digest, size = repositories.make_image("signed")
    print(f"Python made {image} with the signer alice")
    client.sign_many([(f"{image}:{tag}", digest, size) for tag in ("v1", "v2")])
    show_what_notary_finds("signed v1 and v2", server, directory, image, {"v1": digest, "v2": digest})
    client.revoke(f"{image}:v1")
    show_what_notary_finds("revoked v1", server, directory, image, {"v2": digest})


def show_what_notary_finds(done, server, directory, image, expected):
    reader = Notary(server, Path(tempfile.mkdtemp(dir=directory)))
    found = {tag: digest for tag, (digest, _, _) in reader.list(image, ["targets/releases"]).items()}
    print(f"  {done:18} notary finds: {', '.join(f'{tag} {digest[:19]}…' for tag, digest in found.items())}")
    if found != expected:
        sys.exit(f"  wrong: {expected} was expected")


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
