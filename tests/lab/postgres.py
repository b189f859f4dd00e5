"""Debian's PostgreSQL on a free loopback port, with its data in a directory of its own."""

import glob
import itertools
import os
import shutil
import signal
import socket
import tempfile
from pathlib import Path

from .process import Daemon, run

# What notary-server and notary-signer expect to find; neither makes its tables.
NOTARY_TABLES = """
CREATE TABLE tuf_files (
    id serial PRIMARY KEY,
    created_at timestamptz, updated_at timestamptz, deleted_at timestamptz,
    gun varchar(255) NOT NULL, role varchar(255) NOT NULL, version integer NOT NULL,
    data bytea NOT NULL, sha256 char(64),
    UNIQUE (gun, role, version)
);
CREATE INDEX tuf_files_sha256_idx ON tuf_files (sha256);
CREATE TABLE change_category (category varchar(20) PRIMARY KEY);
INSERT INTO change_category VALUES ('update'), ('deletion');
CREATE TABLE changefeed (
    id serial PRIMARY KEY,
    created_at timestamptz DEFAULT CURRENT_TIMESTAMP,
    gun varchar(255) NOT NULL, version integer NOT NULL, sha256 char(64),
    category varchar(20) NOT NULL DEFAULT 'update' REFERENCES change_category
);
CREATE INDEX changefeed_gun_idx ON changefeed (gun);
"""
SIGNER_TABLES = """
CREATE TABLE private_keys (
    id serial PRIMARY KEY,
    created_at timestamptz, updated_at timestamptz, deleted_at timestamptz,
    key_id varchar(255) NOT NULL UNIQUE,
    encryption_alg varchar(255) NOT NULL, keywrap_alg varchar(255) NOT NULL,
    algorithm varchar(50) NOT NULL, passphrase_alias varchar(50) NOT NULL,
    public bytea NOT NULL, private bytea NOT NULL,
    gun varchar(255) NOT NULL, role varchar(255) NOT NULL, last_used timestamptz,
    UNIQUE (key_id, algorithm)
);
"""


class Postgres(Daemon):
    """`with Postgres() as postgres: postgres.database()`

    `fsync` may stay off even where it is killed: what it wrote is with the
    kernel then. Nothing here cuts the power.
    """

    def __init__(self, fsync="off"):
        # Not below pytest's directories, which nobody else can enter: as root it must not run.
        super().__init__(Path(tempfile.mkdtemp(prefix="postgres-", dir=_roomy_memory())))
        self.data = self.directory / "data"
        self.fsync = fsync
        self._numbers = itertools.count(1)
        if os.geteuid() == 0:
            self.user = "nobody"
            shutil.chown(self.directory, self.user)

    @staticmethod
    def is_here() -> bool:
        return _program("initdb") is not None and _program("psql") is not None

    def command(self):
        if not self.data.exists():
            run(_program("initdb"), "--auth=trust", "--username=lab", "--encoding=UTF8", "--no-locale", "--no-sync",
                "-D", self.data, user=self.user)  # fmt: skip
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": self.fsync,
            "max_connections": "200",
        }
        return [_program("postgres"), "-D", self.data, *(f"--{name}={value}" for name, value in settings.items())]

    def ping(self):
        # It listens before it lets anybody in.
        socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        if run(*self._psql("postgres"), "-c", "SELECT 1", check=False).returncode:
            raise ConnectionError("not ready")

    def stop(self, with_signal=signal.SIGINT):
        """Without waiting for its clients."""
        super().stop(with_signal)

    def kill(self):
        """As a crash of the database would end it: it kills its children itself, without writing anything."""
        self.stop(signal.SIGQUIT)

    def __exit__(self, *_):
        super().__exit__()
        shutil.rmtree(self.directory)

    def database(self, tables="") -> str:
        """The URL of a new database with these tables."""
        name = f"lab{next(self._numbers)}"
        self.query("postgres", f"CREATE DATABASE {name}")
        self.query(name, tables)
        return f"postgres://lab@{self.address}/{name}?sslmode=disable"

    def query(self, database, sql) -> list[list[str]]:
        """The rows, as text. `database`: a name or the URL of one."""
        name = database.rpartition("/")[2].partition("?")[0]
        rows = run(*self._psql(name), "--csv", "--tuples-only", input=sql).stdout.splitlines()
        return [row.split(",") for row in rows]

    def _psql(self, database):
        connection = ["--host=127.0.0.1", f"--port={self.port}", "--username=lab", f"--dbname={database}"]
        return [_program("psql"), "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", *connection]


def _roomy_memory() -> str | None:
    """Where a thousand small files cost nothing; None: wherever temporary files go."""
    memory = "/dev/shm"
    return memory if os.path.isdir(memory) and shutil.disk_usage(memory).free > 2 << 30 else None


def _program(name) -> str | None:
    """Debian keeps them out of PATH, by version; `make setup` unpacks its package here."""
    unpacked = Path(__file__).parents[2] / ".venv/postgresql"
    found = [*sorted(glob.glob(f"{unpacked}/usr/lib/postgresql/*/bin/{name}")),
             *sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))]  # fmt: skip
    return found[-1] if found else shutil.which(name)
