"""Debian's MariaDB on a free loopback port, with its data in a directory of its own."""

import itertools
import os
import shutil
import socket
import tempfile
from pathlib import Path

from .process import Daemon, run

# As Notary's migrations leave them; neither program makes its tables.
NOTARY_TABLES = """
CREATE TABLE tuf_files (
    id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    created_at timestamp NULL, updated_at timestamp NULL, deleted_at timestamp NULL,
    gun varchar(255) NOT NULL, role varchar(255) NOT NULL, version int NOT NULL,
    data longblob NOT NULL, sha256 char(64),
    UNIQUE (gun, role, version), INDEX (sha256)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;
CREATE TABLE change_category (category varchar(20) NOT NULL PRIMARY KEY) ENGINE=InnoDB DEFAULT CHARSET=utf8;
INSERT INTO change_category VALUES ('update'), ('deletion');
CREATE TABLE changefeed (
    id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    created_at timestamp DEFAULT CURRENT_TIMESTAMP,
    gun varchar(255) NOT NULL, version int NOT NULL, sha256 char(64),
    category varchar(20) NOT NULL DEFAULT 'update',
    FOREIGN KEY (category) REFERENCES change_category (category), INDEX (gun)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;
"""
SIGNER_TABLES = """
CREATE TABLE private_keys (
    id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    created_at timestamp NULL, updated_at timestamp NULL, deleted_at timestamp NULL,
    key_id varchar(255) NOT NULL UNIQUE,
    encryption_alg varchar(255) NOT NULL, keywrap_alg varchar(255) NOT NULL,
    algorithm varchar(50) NOT NULL, passphrase_alias varchar(50) NOT NULL,
    public blob NOT NULL, private blob NOT NULL,
    gun varchar(255) NOT NULL, role varchar(255) NOT NULL, last_used datetime NULL,
    UNIQUE (key_id, algorithm)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;
"""


class MariaDB(Daemon):
    """`with MariaDB() as mariadb: mariadb.database()`"""

    backend = "mysql"
    notary_tables, signer_tables = NOTARY_TABLES, SIGNER_TABLES

    def __init__(self):
        # Not below pytest's directories, which nobody else can enter: as root it must not run.
        super().__init__(Path(tempfile.mkdtemp(prefix="mariadb-")))
        self.data = self.directory / "data"
        self._numbers = itertools.count(1)
        if os.geteuid() == 0:
            self.user = "nobody"
            shutil.chown(self.directory, self.user)

    @staticmethod
    def is_here() -> bool:
        return bool(shutil.which("mariadb-install-db") and shutil.which("mariadb") and _server())

    def command(self):
        if not self.data.exists():
            run("mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal",
                "--skip-test-db", f"--datadir={self.data}", user=self.user)  # fmt: skip
        settings = {
            "datadir": self.data,
            "bind-address": "127.0.0.1",
            "port": self.port,
            "socket": self.directory / "socket",
            "pid-file": self.directory / "pid",
            "innodb-flush-log-at-trx-commit": 0,
        }
        return [_server(), "--no-defaults", *(f"--{name}={value}" for name, value in settings.items())]

    def ping(self):
        socket.create_connection(("127.0.0.1", self.port), timeout=5).close()

    def __exit__(self, *_):
        super().__exit__()
        shutil.rmtree(self.directory)

    def database(self, tables="") -> str:
        """What Notary takes as `db_url`, of a new database with these tables."""
        name = f"lab{next(self._numbers)}"
        self.query("mysql", f"CREATE DATABASE {name}")
        self.query(name, tables)
        return f"root@tcp({self.address})/{name}?parseTime=True"

    def query(self, database, sql) -> list[list[str]]:
        """The rows, as text. `database`: a name or the `db_url` of one."""
        name = database.rpartition("/")[2].partition("?")[0]
        options = ["--no-defaults", "--batch", "--binary-as-hex", "--skip-column-names", "--protocol=tcp", "--host=127.0.0.1"]
        rows = run("mariadb", *options, f"--port={self.port}", "--user=root", name, input=sql).stdout.splitlines()
        return [row.split("\t") for row in rows]


def _server():
    """Debian keeps it among the programs of the administrator."""
    return shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
