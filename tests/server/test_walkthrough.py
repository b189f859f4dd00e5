"""What the real `docker` and `notary` say, and what we say as a client, at every step of a repository's life.

notary-server's answers are the measure: each script runs against it, and every other server has to
bring about the same words, the same statuses and the same versions.
"""

import json
import re
from dataclasses import dataclass, field

import pytest

from lab import DockerTrust, Notary
from lab.certificates import make_delegation_key
from lab.notary import PASSPHRASE
from lab.repositories import RELEASES, make_image
from server.conftest import OURS_WITH_SIGNER, SITES, make_site, site_id

HOST = "registry.example:5000/walk"


@pytest.fixture(scope="session")
def measure(tmp_path_factory, engine, tagtrust):
    """`measure(script)`: what it reads like with notary-server. Run once."""
    transcripts = {}

    def measure(script):
        if script not in transcripts:
            site = make_site("notary-server", ["memory"], tmp_path_factory.mktemp("measure"), None)
            with site.server:
                transcripts[script] = play(script, site, engine, tmp_path_factory.mktemp(script.__name__), tagtrust)
        return transcripts[script]

    return measure


def play(script, site, engine, directory, tagtrust) -> list[str]:
    stage = Stage(site, engine, directory, f"{HOST}/{script.__name__}", tagtrust)
    script(stage)
    return stage.transcript


@dataclass
class Stage:
    """Where a script is played, and the record of it."""

    site: object
    engine: object
    directory: object
    gun: str
    tagtrust: object
    transcript: list[str] = field(default_factory=list)

    def user(self, name) -> DockerTrust:
        return DockerTrust(self.site.server, self.directory / name, self.engine)

    def notary_user(self, name) -> Notary:
        return Notary(self.site.server, self.directory / name)

    def docker(self, user, *words, input=""):
        self._note("docker", words, user.run(*words, check=False, input=input))

    def notary(self, user, *words, input=""):
        self._note("notary", words, user.run(*words, check=False, input=input))

    def _note(self, program, words, done):
        command = " ".join(map(str, (program, *words)))
        self.note(f"$ {command}\nstatus {done.returncode}\n{done.stdout}--\n{done.stderr}")

    def note(self, text):
        """With what the server holds now."""
        self.transcript.append(f"{self._same_everywhere(text)}\n{self.versions()}\n{self.feed()}")

    def versions(self):
        answers = {role: self.site.get(self.gun, f"{role}.json") for role in ("root", "snapshot", "timestamp")}
        if answers["snapshot"].status == 200:
            for role in sorted(answers["snapshot"].json["signed"]["meta"].keys() - answers.keys()):
                answers[role] = self.site.get(self.gun, f"{role}.json")
        # Of a role that was removed the generated snapshot keeps the entry.
        return [
            (role, answer.json["signed"]["version"] if answer.status == 200 else answer.status)
            for role, answer in answers.items()
        ]

    def feed(self):
        return [(change["Category"], change["Version"]) for change in self.site.changes(self.gun)]

    def _same_everywhere(self, text):
        text = text.replace(str(self.directory), "DIR").replace(self.site.server.address, "SERVER")
        text = re.sub(r"\b[0-9a-f]{64}\b", lambda found: self._known(found[0]), text)
        text = re.sub(r"(?<=ID )[0-9a-f]{7}\b", "ID", text)
        text = re.sub(r"\b[0-9a-f]{12}\b", "ID", text)
        text = re.sub(r"\.\.\.\S+/private", "DIR", text)  # `notary key list` shortens it
        text = re.sub(r"datetime\.datetime\([^()]*\)", "TIME", text)
        return re.sub(r"\d{4}-\d\d-\d\d[T ][0-9:.]+(Z| [+-]\d{4} UTC)?", "TIME", text)

    def _known(self, digest):
        """Digests of images are the same everywhere, IDs of keys are not."""
        return digest if digest in IMAGES else "ID"


IMAGES = {make_image(tag)[0].removeprefix("sha256:") for tag in ("v1", "v2", "v3", "v4", "v5")}


def with_docker(stage):
    """From the first key to the last revocation, with a second signer and a reader."""
    gun, admin, reader = stage.gun, stage.user("admin"), stage.user("reader")
    for tag in ("v1", "v2", "v3", "v4"):
        stage.engine.images[f"{gun}:{tag}"] = make_image(tag)
    keys = stage.directory / "keys"
    keys.mkdir()
    stage.docker(reader, "trust", "inspect", gun)
    stage.docker(reader, "pull", f"{gun}:v1")
    stage.docker(admin, "trust", "key", "generate", "alice", "--dir", keys)
    stage.docker(admin, "trust", "signer", "add", "--key", keys / "alice.pub", "alice", gun)
    stage.docker(admin, "trust", "inspect", "--pretty", gun)
    stage.docker(reader, "trust", "inspect", gun)
    stage.docker(admin, "trust", "sign", f"{gun}:v1")
    stage.docker(admin, "trust", "sign", f"{gun}:v1")
    stage.docker(admin, "push", f"{gun}:v2")
    stage.docker(admin, "push", "--disable-content-trust", f"{gun}:v3")
    stage.docker(reader, "pull", f"{gun}:v3")
    stage.docker(admin, "trust", "key", "generate", "bob", "--dir", keys)
    stage.docker(admin, "trust", "signer", "add", "--key", keys / "bob.pub", "bob", gun)
    stage.docker(admin, "trust", "signer", "add", "--key", keys / "bob.pub", "bob", gun)
    stage.docker(admin, "trust", "sign", f"{gun}:v3")
    stage.docker(reader, "trust", "inspect", gun)
    stage.docker(reader, "trust", "inspect", f"{gun}:v1", f"{gun}:nope")
    for tag in ("v1", "v2", "v3", "v4"):
        stage.docker(reader, "pull", f"{gun}:{tag}")
    stage.docker(stage.user("stranger"), "trust", "sign", f"{gun}:v4")
    stage.docker(stage.user("stranger"), "trust", "revoke", "--yes", f"{gun}:v1")
    stage.docker(admin, "trust", "revoke", "--yes", f"{gun}:nope")
    stage.docker(admin, "trust", "revoke", "--yes", f"{gun}:v1")
    stage.docker(reader, "pull", f"{gun}:v1")
    stage.docker(admin, "trust", "signer", "remove", "--force", "bob", gun)
    stage.docker(admin, "trust", "signer", "remove", "nobody", gun)
    stage.docker(reader, "trust", "inspect", "--pretty", gun)
    stage.docker(admin, "trust", "revoke", gun, input="n\n")
    stage.docker(admin, "trust", "revoke", "--yes", gun)
    stage.docker(reader, "trust", "inspect", "--pretty", gun)
    stage.docker(reader, "pull", f"{gun}:v3")


def with_docker_push(stage):
    """Nothing but pushes and pulls with content trust."""
    gun, admin = stage.gun, stage.user("admin")
    for tag in ("v1", "v2"):
        stage.engine.images[f"{gun}:{tag}"] = make_image(tag)
    for tag in ("v1", "v1", "v2"):
        stage.docker(admin, "push", f"{gun}:{tag}")
    reader = stage.user("reader")
    for tag in ("v1", "v2", "v3"):
        stage.docker(reader, "pull", f"{gun}:{tag}")
    stage.docker(reader, "create", f"{gun}:v9")
    stage.docker(admin, "trust", "inspect", "--pretty", gun)


def with_notary(stage):
    """Every publishing command, every rotation, and a reader behind each."""
    gun, admin, reader = stage.gun, stage.notary_user("admin"), stage.notary_user("reader")
    public, private = make_delegation_key("ecdsa", stage.directory, "team")
    _, other = make_delegation_key("ecdsa-x509", stage.directory, "other")
    other_public = stage.directory / "other.pem"

    def read():
        stage.notary(reader, "list", gun)
        stage.notary(reader, "delegation", "list", gun)

    def add(tag, *options):
        digest, size = make_image(tag)
        stage.notary(admin, "addhash", gun, tag, str(size), "--sha256", digest.removeprefix("sha256:"), *options)

    def publish():
        stage.notary(admin, "publish", gun)
        read()

    read()
    stage.notary(admin, "init", gun)
    publish()
    add("v1")
    stage.notary(admin, "status", gun)
    publish()
    for tag in ("v1", "v2"):
        stage.notary(reader, "lookup", gun, tag)
    stage.notary(admin, "key", "import", private, "-r", "delegation")
    stage.notary(admin, "key", "import", other, "-r", "delegation")
    stage.notary(admin, "delegation", "add", gun, RELEASES, public, "--all-paths")
    stage.notary(admin, "delegation", "add", gun, "targets/qa", other_public, "--paths", "qa")
    publish()
    add("v2", "-r", RELEASES)
    add("v3", "-r", "targets/qa")
    publish()
    add("v3", "-r", RELEASES)
    stage.notary(admin, "delegation", "add", gun, "targets/qa/deep", public, "--all-paths")
    publish()
    for role, *options in [
        ("targets",), ("snapshot",), ("timestamp",), ("timestamp", "-r"), ("snapshot", "-r"), ("root",), ("root",),
        ("targets", "-r"), ("snapshot",), ("snapshot", "-r"), ("timestamp", "-r"),
    ]:  # fmt: skip
        stage.notary(admin, "key", "rotate", gun, role, *options, input="yes\n")
        read()
        add("v4")
        publish()
    stage.notary(stage.notary_user("new reader"), "list", gun)
    stage.notary(admin, "witness", gun, RELEASES, "targets")
    publish()
    stage.notary(admin, "witness", gun, "targets/nobody")
    stage.notary(admin, "reset", gun, "--all")
    stage.notary(admin, "remove", gun, "v1")
    stage.notary(admin, "delegation", "remove", gun, "targets/qa/deep", "--yes")
    publish()
    stage.notary(admin, "delegation", "add", gun, RELEASES, other_public, "--all-paths")
    publish()
    stage.notary(admin, "delegation", "remove", gun, "targets/qa", "--yes")
    publish()
    stage.notary(admin, "key", "list")
    # Somebody with a copy of the keys, who does not know what was published since.
    second = stage.notary_user("second")
    digest, size = make_image("v5")
    stage.notary(second, "addhash", gun, "v5", str(size), "--sha256", digest.removeprefix("sha256:"))
    stage.notary(second, "publish", gun)
    stage.notary(reader, "delete", gun)
    read()
    stage.notary(admin, "delete", gun, "--remote")
    read()
    stage.notary(admin, "delete", gun, "--remote")
    stage.notary(admin, "init", gun, "--publish")
    stage.notary(stage.notary_user("after"), "list", gun)


def with_our_client(stage):
    """We, as a publisher and as a reader."""
    gun, tagtrust = stage.gun, stage.tagtrust

    def client(name):
        return tagtrust.Client(
            trust_dir=stage.directory / name,
            server=stage.site.server.url,
            ca_file=stage.site.server.ca_file,
            passphrase=lambda *_: PASSPHRASE,
        )

    admin, reader = client("admin"), client("reader")

    def attempt(what, call):
        try:
            said = call()
        except tagtrust.TrustError as error:
            said = f"{type(error).__name__}: {error}"
        stage.note(f"{what}: {said}")

    def inspect():
        attempt("inspect", lambda: json.dumps(json.loads(reader.inspect(gun).to_json()), indent=1))

    inspect()
    attempt("init", lambda: admin.init(gun))
    key = admin.generate_key("alice", stage.directory)
    attempt("signer", lambda: admin.add_signer("alice", [key.public_key_file], gun))
    for tag in ("v1", "v2"):
        attempt("sign", lambda: admin.sign(f"{gun}:{tag}", *make_image(tag)))
        attempt("verify", lambda: reader.verify(f"{gun}:{tag}").digest)
    for role, server_managed in [
        ("targets", False),
        ("snapshot", False),
        ("snapshot", True),
        ("timestamp", True),
        ("root", False),
    ]:
        attempt(f"rotate {role}", lambda: admin.rotate_key(gun, role, server_managed=server_managed))
        inspect()
        attempt("sign", lambda: admin.sign(f"{gun}:v3", *make_image("v3")))
    attempt("witness", lambda: admin.witness(gun, ["targets"]))
    attempt("revoke", lambda: admin.revoke(f"{gun}:v1"))
    attempt("verify", lambda: reader.verify(f"{gun}:v1").digest)
    inspect()
    attempt("delete", lambda: admin.delete(gun, remote=True))
    inspect()


SCRIPTS = [with_docker, with_docker_push, with_notary, with_our_client]
CASES = [
    (site, script)
    for site in SITES
    for script in SCRIPTS
    # The first is the measure; the longest script reads the same from either place of keys.
    if "memory" not in site and (site != OURS_WITH_SIGNER or script is not with_notary)
]


@pytest.mark.parametrize(
    "site, script", CASES, indirect=["site"], ids=lambda value: site_id(getattr(value, "__name__", value))
)
def test_it_reads_as_with_notary_server(script, site, engine, measure, fresh_directory, tagtrust):
    expected = measure(script)
    said = play(script, site, engine, fresh_directory(), tagtrust)
    for ours, theirs in zip(said, expected):
        assert ours == theirs
    assert len(said) == len(expected)


def test_the_scripts_get_somewhere(measure):
    """None of them ends at a first error."""
    for script in SCRIPTS:
        transcript = measure(script)
        assert len(transcript) >= 8
        assert re.search(r"'timestamp', [3-9]|'timestamp', \d\d", "\n".join(transcript))
