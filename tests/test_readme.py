"""What the README, docs/publishing.md and docs/server.md say is run as it stands there."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from interop.verifiers import BUILD, environment
from lab import Notary, NotaryServer, Postgres, repositories, run
from lab.notary import PASSPHRASE
from lab.need import need
from lab.postgres import NOTARY_TABLES, SIGNER_TABLES
from lab.process import clean_environment, free_port

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
REFERENCE = "registry.example/team/app:1.2"
SIGNED = "registry.example/team/signed"
WITH_COMMAND = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
PASSPHRASES = {f"DOCKER_CONTENT_TRUST_{kind}_PASSPHRASE": PASSPHRASE for kind in ("ROOT", "REPOSITORY")}


def block(language: str, section: str = "Verify a tag") -> str:
    (part,) = re.findall(rf"^## {section}\n(.*?)(?=^## )", README, re.MULTILINE | re.DOTALL)
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
    return text


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of its own: the examples of the Python package sign a repository with the same name."""
    need(bool(shutil.which("notary-server")), "notary-server")
    with NotaryServer(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def signed(server, tmp_path_factory):
    """The README's image, signed for real, and the environment of a Docker user who trusts the server."""
    directory = tmp_path_factory.mktemp("readme")
    gun, tag = REFERENCE.split(":")
    digest, size = repositories.make_image("readme")
    publisher = Notary(server, directory / "publisher")
    publisher.init(gun)
    publisher.addhash(gun, tag, size, digest.removeprefix("sha256:"))
    publisher.publish(gun)
    tls = directory / "docker" / "tls" / server.address
    tls.mkdir(parents=True)
    (tls / "ca.crt").write_bytes(Path(server.ca_file).read_bytes())
    docker = {"DOCKER_CONFIG": str(directory / "docker"), "DOCKER_CONTENT_TRUST_SERVER": server.url}
    return f"{gun}@{digest}", environment() | docker


def test_the_commands_print_the_pinned_reference_and_the_signatures(signed):
    pinned, env = signed
    done = run("sh", "-e", input=block("sh"), env=env | WITH_COMMAND)
    assert done.stdout.startswith(f"{pinned}\n")
    assert "Signatures for registry.example/team/app" in done.stdout


def test_the_python_block_prints_the_pinned_reference(signed):
    pinned, env = signed
    done = run(sys.executable, "-c", block("python"), env=env)
    assert done.stdout.startswith(pinned)


def test_the_c_block_prints_the_pinned_reference(signed, tmp_path):
    pinned, env = signed
    (tmp_path / "readme.c").write_text(block("c"))
    library = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    program = tmp_path / "readme"
    run("gcc", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "include", tmp_path / "readme.c", "-o", program,
        f"-L{library}", f"-Wl,-rpath,{library}", "-ltagtrust", env=env)  # fmt: skip
    assert run(program, env=env).stdout == f"{pinned}\n"


def test_what_the_blocks_sign_the_real_notary_finds(signed, server, tmp_path):
    _, env = signed
    run("sh", "-e", input=block("sh", "Sign a tag"), env=env | WITH_COMMAND | PASSPHRASES, cwd=tmp_path)
    run(sys.executable, "-c", block("python", "Sign a tag"), env=env | PASSPHRASES)
    reader = Notary(server, tmp_path / "reader")
    assert set(reader.list(SIGNED, ["targets/releases"])) == {"1.3", "1.4"}


def test_the_commands_of_the_page_on_publishing_work_in_their_order(server, tmp_path):
    page = (ROOT / "docs/publishing.md").read_text()
    commands = [line.removeprefix("$ ") for line in page.splitlines() if line.startswith("$ ")]
    tls = tmp_path / "docker" / "tls" / server.address
    tls.mkdir(parents=True)
    (tls / "ca.crt").write_bytes(Path(server.ca_file).read_bytes())
    # The README's image has the same name, and another owner.
    commands = [command.replace("registry.example/team/app", "registry.example/team/page") for command in commands]
    docker = {"DOCKER_CONFIG": str(tmp_path / "docker"), "DOCKER_CONTENT_TRUST_SERVER": server.url}
    env = environment() | docker | WITH_COMMAND | PASSPHRASES
    said = {command: run("sh", "-ec", command, env=env, cwd=tmp_path).stdout for command in commands}
    assert len(said) == 22
    assert said["tagtrust status registry.example/team/page"].count("1.4") == 2
    reader = Notary(server, tmp_path / "reader")
    assert set(reader.list("registry.example/team/page", ["targets/releases"])) == {"1.4"}
    assert set(reader.list("registry.example/team/page", ["targets/team"])) == {"1.5"}


def test_the_server_of_the_python_block_serves_what_it_signs(tmp_path):
    env = environment() | PASSPHRASES | {"DOCKER_CONFIG": str(tmp_path / "docker")}
    done = run(sys.executable, "-c", block("python", "Run a trust server"), env=env, cwd=tmp_path)
    assert done.stdout == f"registry.example/team/app@sha256:{'0' * 64}\n"
    assert {"trust.db", "trust.pem"} <= {path.name for path in tmp_path.iterdir()}


@pytest.fixture(scope="module")
def databases():
    """Those of the page on servers, by their names there."""
    need(Postgres.is_here(), "PostgreSQL")
    with Postgres() as postgres:
        yield {
            "postgres://tagtrust:secret@db.example/tagtrust": postgres.database(),
            "postgres://server@db.example/notaryserver": postgres.database(NOTARY_TABLES),
            "postgres://signer@db.example/notarysigner": postgres.database(SIGNER_TABLES),
        }


def test_the_commands_of_the_page_on_servers_work_in_their_order(databases, tmp_path):
    for program in ("bash", "curl"):
        need(bool(shutil.which(program)), program)
    need((BUILD / "tagtrust-server").exists(), "tagtrust-server")
    page = (ROOT / "docs/server.md").read_text()
    # Of the page only what cannot be the same here.
    for name, url in databases.items():
        page = page.replace(name, url)
    for port in ("4443", "4444"):
        page = page.replace(f"127.0.0.1:{port}", f"127.0.0.1:{free_port()}")
    (config,) = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "server.json").write_text(config)
    commands = [line.removeprefix("$ ") for line in page.splitlines() if line.startswith("$ ")]
    script = "\n".join(["set -e", *(f"echo '$' {shlex.quote(command)}\n{command}" for command in commands)])
    env = environment() | PASSPHRASES | {"DOCKER_CONFIG": str(tmp_path / "docker")}
    env["PATH"] = f"{BUILD}:{WITH_COMMAND['PATH']}"
    with open(tmp_path / "said", "w+") as said:
        # A group of its own, because a command that fails leaves servers behind.
        shell = subprocess.Popen(["bash", "-c", script], cwd=tmp_path, env=clean_environment(env), stdout=said,
                                 stderr=said, start_new_session=True)  # fmt: skip
        try:
            status = shell.wait(timeout=120)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    shown = (tmp_path / "said").read_text()
    assert status == 0, shown
    assert "registry.example/team/app@sha256:4355" in shown
    assert shown.count("$ ") >= len(commands) == 27, len(commands)
    assert (tmp_path / "copy.db").stat().st_size and (tmp_path / "access.log").stat().st_size


@pytest.mark.parametrize("page", ["README.md", "docs/publishing.md", "docs/server.md"])
def test_every_file_that_a_page_links_exists(page):
    page = ROOT / page
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / link).exists(), link
