"""Trust servers under test, and repositories on their way to them."""

from __future__ import annotations

import base64
import copy
from dataclasses import dataclass, field

from attacks import tuf
from lab.repositories import new_gun
from server.tables import Files
from server.wire import Answer, Wire, multipart

BASE_ROLES = tuf.BASE_ROLES


@dataclass
class Site:
    """A server, and what about it makes a difference.

    `reference`: it is notary-server. `storage`: memory, sqlite or postgres. `remote`: keys are with
    notary-signer. `files`: those in its database, if it has one.
    """

    server: object
    reference: bool
    storage: str = "memory"
    remote: bool = False
    files: Files | None = None
    wire: Wire = field(init=False)

    def __post_init__(self):
        self.wire = Wire(self.server)

    @property
    def in_memory_reference(self) -> bool:
        return self.reference and self.storage == "memory"

    def get(self, gun, name, **headers) -> Answer:
        """`name`: of a file, `root.json`."""
        return self.wire.get(f"/v2/{gun}/_trust/tuf/{name}", **headers)

    def upload(self, gun, parts, **headers) -> Answer:
        body, more = multipart(parts)
        return self.wire.request("POST", f"/v2/{gun}/_trust/tuf/", body, more | headers)

    def delete(self, gun) -> Answer:
        return self.wire.request("DELETE", f"/v2/{gun}/_trust/tuf/")

    def key(self, gun, role, method="GET") -> tuf.Key:
        """The public key that the server has for the role; POST: the next one."""
        answer = self.wire.request(method, f"/v2/{gun}/_trust/tuf/{role}.key")
        assert answer.status == 200, answer
        method = "eddsa" if answer.json["keytype"] == "ed25519" else "ecdsa"
        return tuf.Key(answer.json["keytype"], base64.b64decode(answer.json["keyval"]["public"]), None, method)

    def changes(self, gun, query="records=1000") -> list[dict]:
        answer = self.wire.get(f"/v2/{gun}/_trust/changefeed?{query}")
        assert answer.status == 200, answer
        records = answer.json["records"] or []
        assert answer.json["count"] == len(records)
        return records

    def state(self, gun, roles=(), versions=3) -> dict:
        """All that can be asked about a repository: current files, files by version, its changes."""
        names = [f"{role}.json" for role in (*BASE_ROLES, *roles)]
        names += [f"{version}.{role}.json" for role in (*BASE_ROLES, *roles) for version in range(1, versions + 1)]
        state = {name: (answer.status, answer.body) for name in names for answer in [self.get(gun, name)]}
        return state | {"changes": self.changes(gun)}

    def draft(self, gun=None, **settings) -> Draft:
        return Draft(self, gun, **settings)

    def repository(self, gun=None, **settings) -> Draft:
        """One that is published: root 1 and targets 1."""
        draft = self.draft(gun, **settings)
        answer = draft.upload()
        assert answer.status == 200, answer
        return draft


class Draft(tuf.Repository):
    """A repository for a server that has the keys of the roles `held`.

    What is changed here gets to the server with `upload(role, …)`.
    """

    def __init__(self, site, gun=None, held=("timestamp", "snapshot"), **settings):
        super().__init__(gun or new_gun("server"), **settings)
        self.site = site
        for role in held:
            self.set_keys(role, [site.key(self.gun, role)])
            self[role].signers = []

    def __deepcopy__(self, memo):
        copied = copy.copy(self)
        copied.roles, copied.history = copy.deepcopy(self.roles, memo), dict(self.history)
        return copied

    @property
    def client_snapshot(self) -> bool:
        return bool(self["snapshot"].signers)

    def delegations(self) -> list[str]:
        return [name for name in self.roles if name not in BASE_ROLES]

    def parts(self, *roles) -> list[tuple[str, bytes]]:
        """Role and file; without names of every role that the client signs."""
        roles = roles or [
            name for name in self.roles if name != "timestamp" and (name != "snapshot" or self.client_snapshot)
        ]
        files = {name: self[name].sealed() for name in self.roles if name not in ("snapshot", "timestamp")}
        if "snapshot" in roles:
            self["snapshot"].signed["meta"] = {name: self[name].entry(data) for name, data in files.items()}
            files["snapshot"] = self["snapshot"].sealed()
        return [(name, files[name]) for name in roles]

    def upload(self, *roles) -> Answer:
        return self.site.upload(self.gun, self.parts(*roles))

    def bump(self, *roles) -> Draft:
        """These versions are one higher."""
        for role in roles:
            self[role].signed["version"] += 1
        return self

    def state(self, *more_roles) -> dict:
        return self.site.state(self.gun, [*self.delegations(), *more_roles])
