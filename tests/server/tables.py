"""What servers store, changed below them: how else would a timestamp be old?"""

import hashlib
import json
from dataclasses import dataclass
from typing import Callable

from attacks import tuf


@dataclass(frozen=True)
class Table:
    """Where files are. `read` gives bytes as hexadecimal text; `bytes` and `sha256` write them."""

    name: str
    column: str
    read: str
    bytes: str
    sha256: str


NOTARY = Table("tuf_files", "data", "encode(data, 'hex')", "decode('{}', 'hex')", "'{}'")
POSTGRES = Table("tagtrust_file", "bytes", "encode(bytes, 'hex')", "decode('{}', 'hex')", "decode('{}', 'hex')")
SQLITE = Table("file", "bytes", "hex(bytes)", "x'{}'", "x'{}'")


@dataclass(frozen=True)
class Files:
    """The newest files of a server, in the table of its database."""

    table: Table
    sql: Callable[[str], list]

    def read(self, gun, role) -> dict:
        where = f"gun = '{gun}' AND role = '{role}' ORDER BY version DESC LIMIT 1"
        ((data,),) = self.sql(f"SELECT {self.table.read} FROM {self.table.name} WHERE {where}")
        return json.loads(bytes.fromhex(data))

    def write(self, gun, role, file) -> bytes:
        """In place of the one with that version."""
        data = json.dumps(file, separators=(",", ":")).encode()
        table, version = self.table, file["signed"]["version"]
        column, digest = table.bytes.format(data.hex()), table.sha256.format(hashlib.sha256(data).hexdigest())
        self.sql(
            f"UPDATE {table.name} SET {table.column} = {column}, sha256 = {digest}"
            f" WHERE gun = '{gun}' AND role = '{role}' AND version = {version}"
        )
        return data

    def expire(self, gun, *roles):
        """The timestamp, the snapshot or both were valid until yesterday. Their signatures are wrong then."""
        snapshot, timestamp = (self.read(gun, role) for role in ("snapshot", "timestamp"))
        for role, file in (("snapshot", snapshot), ("timestamp", timestamp)):
            if role in roles:
                file["signed"]["expires"] = tuf.rfc3339(tuf.NOW - tuf.DAY)
        if "snapshot" in roles:
            timestamp["signed"]["meta"]["snapshot"] = tuf.target(self.write(gun, "snapshot", snapshot))
        self.write(gun, "timestamp", timestamp)
