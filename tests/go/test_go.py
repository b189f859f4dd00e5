"""The Go package over an installed library: its own tests, with real servers, and its README as it stands there."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from docs.story import Story
from interop.verifiers import BUILD, ROOT
from lab import Notary, TagtrustServer, repositories, run
from lab.need import need
from lab.process import toolchain

PACKAGE = ROOT / "ffi/go"
# With the build tags for libraries that can do less, and what the header is then told.
SMALLER = {"tagtrust_noserver": "TAGTRUST_NO_SERVER", "tagtrust_nosigning": "TAGTRUST_NO_SIGNING"}
APP = "registry.example/team/app"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Of somebody who has installed the library below ~/.local: what `make build` made, as `make install` does it."""
    for program in ("go", "gcc", "pkg-config", "make"):
        need(bool(shutil.which(program)), program)
    need((BUILD / "libtagtrust.so").exists() and (BUILD / "libtagtrust.a").exists(), "the C library")
    home = tmp_path_factory.mktemp("home")
    settings = [f"PREFIX={home}/.local", f"ARTEFACTS={BUILD}"]
    recipe = run("make", "--no-print-directory", "--dry-run", "install", *settings, cwd=ROOT).stdout
    # Its last line; the others build.
    run("bash", "-ec", recipe.splitlines()[-1], cwd=ROOT, env=toolchain())
    return home


@pytest.fixture(scope="module")
def env(home):
    return {
        "HOME": home,
        "GOCACHE": os.environ.get("GOCACHE", Path.home() / ".cache/go-build"),
        "GOPROXY": "off",
        "PKG_CONFIG_PATH": home / ".local/lib/pkgconfig",
        "LD_LIBRARY_PATH": home / ".local/lib",
    }


@pytest.fixture(scope="module")
def go(env, tmp_path_factory):
    """In a copy: Go's build cache goes by where a package is, and does not see that another library is there."""
    sources = tmp_path_factory.mktemp("sources")
    for part in ("ffi/go", "tests/vectors/repositories"):
        shutil.copytree(ROOT / part, sources / part)
    return lambda *arguments, **more: run("go", *arguments, env=env | more, cwd=sources / "ffi/go", timeout=600).stdout


def test_it_is_formatted_and_vet_finds_nothing(go):
    assert run("gofmt", "-l", PACKAGE).stdout == ""
    go("vet", "./...")


@pytest.fixture
def our_server(fresh_directory):
    with TagtrustServer(fresh_directory()) as server:
        yield server


def test_its_tests_pass_under_the_race_detector_and_notary_reads_what_it_signs(
    go, server, our_server, engine, fresh_directory, tmp_path
):
    servers, to_read = [], []
    for each in (server, our_server):
        made = [
            repositories.docker_signed(each, fresh_directory(), engine),
            repositories.notary_delegated(each, fresh_directory()),
        ]
        gun, (digest, size) = repositories.new_gun("by-go"), repositories.make_image("by-go")
        to_read.append((each, gun, digest, size))
        servers.append(
            {
                "url": each.url,
                "ca_file": str(each.ca_file),
                "signed": {repository.gun: images(repository.tags) for repository in made},
                "uncounted": {repository.gun: list(repository.uncounted) for repository in made},
                "to_sign": images({f"{gun}:v1": (digest, size)}),
            }
        )
    (tmp_path / "lab.json").write_text(json.dumps(servers))
    said = go("test", "-race", "-count=1", "-v", ".", TAGTRUST_GO_LAB=tmp_path / "lab.json")
    assert "--- PASS: TestRepositoriesOfTheRealPrograms" in said and "--- SKIP" not in said
    for number, (each, gun, digest, size) in enumerate(to_read):
        assert Notary(each, tmp_path / f"notary-{number}").lookup(gun, "v1") == (digest, size)


def images(tags):
    return {tag: {"digest": digest, "size": size} for tag, (digest, size) in tags.items()}


def test_the_readme(env, server, tmp_path):
    directory = tmp_path / "work"
    # As it comes with `go get`: nothing around it.
    shutil.copytree(PACKAGE, directory / "tagtrust/ffi/go")
    publisher = Notary(server, tmp_path / "publisher")
    publisher.init(APP)
    digest, size = repositories.make_image("go")
    publisher.addhash(APP, "1.2", size, digest.removeprefix("sha256:"))
    publisher.publish(APP)
    docker = tmp_path / "docker"
    authorities = docker / "tls" / server.address
    authorities.mkdir(parents=True)
    shutil.copy(server.ca_file, authorities / "ca.crt")
    # What the README sets itself.
    without = {name: value for name, value in env.items() if name not in ("PKG_CONFIG_PATH", "LD_LIBRARY_PATH")}
    settings = {"DOCKER_CONFIG": docker, "DOCKER_CONTENT_TRUST_SERVER": server.url}
    printed = Story(directory, without | settings).tell("ffi/go/README.md")
    assert list(printed.values()).count(f"{APP}@{digest}\n") == 2
    needed = {name: run("readelf", "-d", directory / name).stdout for name in ("app", "app-static")}
    assert "libtagtrust" in needed["app"] and "libtagtrust" not in needed["app-static"]


@pytest.mark.parametrize("tag", SMALLER)
def test_for_a_library_that_can_do_less_it_wants_nothing_that_is_not_there(go, home, tag, tmp_path):
    (tmp_path / "main.go").write_text(
        'package main\n\nimport "github.com/tagtrust/tagtrust/ffi/go"\n\n'
        "func main() { client, _ := tagtrust.NewClient(tagtrust.Options{}); client.Close() }\n"
    )
    go("build", "-tags", tag, "-o", tmp_path / "app", tmp_path / "main.go")
    header = run("gcc", "-E", f"-D{SMALLER[tag]}", home / ".local/include/tagtrust.h").stdout
    wanted = re.findall(r"\bU (tagtrust_\w+)", run("nm", "-D", tmp_path / "app").stdout)
    assert wanted and set(wanted) <= set(re.findall(r"\b(tagtrust_\w+)\(", header))
