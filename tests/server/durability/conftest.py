"""Servers to kill, and moments to do it."""

import os
import random
import shutil
from pathlib import Path

import pytest

from lab import TagtrustServer
from lab.need import need
from server.durability.hard import HardPostgres


@pytest.fixture
def rng():
    seed = int(os.environ.get("TAGTRUST_STRESS_SEED", random.randrange(2**32)))
    print(f"TAGTRUST_STRESS_SEED={seed}")
    return random.Random(seed)


@pytest.fixture(scope="session", autouse=True)
def programs():
    need(Path(TagtrustServer.program).exists(), "tagtrust-server")
    need(bool(shutil.which("notary")), "notary")


@pytest.fixture
def database(fresh_directory):
    """`database("sqlite")`: a section `storage`. Its PostgreSQL is nobody else's: it is killed, too."""

    class Database:
        postgres = None

        def __call__(self, storage):
            if storage == "sqlite":
                return {"backend": "sqlite", "db_url": str(fresh_directory() / "tagtrust.db")}
            need(HardPostgres.is_here(), "PostgreSQL")
            self.postgres = HardPostgres()
            self.postgres.start()
            return {"backend": "postgres", "db_url": self.postgres.database()}

    database = Database()
    yield database
    if database.postgres:
        database.postgres.__exit__()
