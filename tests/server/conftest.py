"""The servers that are compared: notary-server and ours, with each storage, one of each for all tests.

Every test has repositories of its own.
"""

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from interop.verifiers import COMMAND
from lab import NotaryServer, NotarySigner, Postgres, TagtrustServer
from lab.need import need
from lab.notary import PASSPHRASE
from lab.postgres import NOTARY_TABLES, SIGNER_TABLES
from publish.users import Both, Us
from server.site import Site
from server.tables import NOTARY, POSTGRES, SQLITE, Files

PROGRAMS = {"notary-server": NotaryServer, "tagtrust-server": TagtrustServer}
OURS_WITH_SIGNER = "tagtrust-server sqlite signer"
SITES = [
    "notary-server memory",
    "notary-server postgres signer",
    "tagtrust-server memory",
    "tagtrust-server sqlite",
    "tagtrust-server postgres",
    OURS_WITH_SIGNER,
]
# Where the client is looked at, the storage makes no difference.
ONE_OF_EACH = ["notary-server memory", "tagtrust-server sqlite"]


@pytest.fixture(scope="session")
def postgres():
    need(Postgres.is_here(), "PostgreSQL")
    with Postgres() as postgres:
        yield postgres


@pytest.fixture(scope="session")
def signer(postgres, tmp_path_factory):
    need(bool(shutil.which("notary-signer")), "notary-signer")
    with NotarySigner(tmp_path_factory.mktemp("signer"), postgres.database(SIGNER_TABLES)) as signer:
        yield signer


def site_id(name) -> str:
    return name.replace(" ", "-")


@pytest.fixture(scope="session", params=SITES, ids=site_id)
def site(request, tmp_path_factory):
    """Every test that asks for it runs against each server."""
    program, *words = request.param.split()
    site = make_site(program, words, tmp_path_factory.mktemp("site"), request.getfixturevalue)
    with site.server:
        yield site


@pytest.fixture
def both(site, engine, tagtrust, fresh_directory):
    """One with our command and one with Docker's, each with a repository on the site that does not exist yet."""
    need(COMMAND.exists(), "the command `tagtrust`")
    return Both(lambda: Us.new(site.server, engine, fresh_directory()))


@pytest.fixture(scope="session", params=PROGRAMS)
def program_for_session(request, tmp_path_factory):
    """`program_for_session(section={…})`: each program, in memory, with other settings, for many tests."""
    yield from starting(request.param, lambda: tmp_path_factory.mktemp("site"))


@pytest.fixture(params=PROGRAMS)
def start(request, fresh_directory):
    """`start(section={…})`: a server of its own for a test, in memory, with other settings."""
    yield from starting(request.param, fresh_directory)


def starting(program, new_directory):
    need(is_here(program), program)
    started = []

    def start(**settings) -> Site:
        server = PROGRAMS[program](new_directory(), **settings)
        server.start()
        started.append(server)
        return Site(server, reference=program == "notary-server")

    yield start
    for server in started:
        server.stop()


def make_site(program, words, directory, fixture) -> Site:
    """`words`: the storage, and `signer` if keys are with the real notary-signer. Not started yet."""
    need(is_here(program), program)
    reference, storage, remote = program == "notary-server", words[0], "signer" in words
    settings, files = {}, None
    if storage == "sqlite":
        database = directory / "tagtrust.db"
        settings["storage"] = {"backend": "sqlite", "db_url": str(database)}
        files = Files(SQLITE, in_sqlite(database))
    elif storage == "postgres":
        postgres = fixture("postgres")
        url = postgres.database(NOTARY_TABLES if reference else "")
        settings["storage"] = {"backend": "postgres", "db_url": url}
        files = Files(NOTARY if reference else POSTGRES, lambda statement: postgres.query(url, statement))
    if remote:
        settings["trust_service"] = fixture("signer").trust_service
    server = PROGRAMS[program](directory, **settings)
    if storage == "postgres" and not reference:
        # Its own keys are in the database, too, but not what opens them.
        server.variables = {"TAGTRUST_SERVER_DEFAULT_ALIAS": "lab", "TAGTRUST_SERVER_PASSPHRASE_LAB": PASSPHRASE}
    return Site(server, reference, storage, remote, files)


def in_sqlite(database: Path):
    def execute(statement):
        with contextlib.closing(sqlite3.connect(database, timeout=10, isolation_level=None)) as connection:
            return [list(row) for row in connection.execute(statement)]

    return execute


def is_here(program) -> bool:
    return bool(shutil.which(PROGRAMS[program].program))
