"""Coming from the real notary-server and notary-signer: afterwards nobody can tell the difference."""

import hashlib
import json
import shutil
import urllib.error
from dataclasses import dataclass

import pytest

from lab import DockerTrust, Notary, NotaryServer, NotarySigner, TagtrustServer, run
from lab.mariadb import MariaDB
from lab.need import need
from lab.postgres import NOTARY_TABLES, SIGNER_TABLES
from lab.repositories import docker_signed, make_image, notary_delegated, notary_plain, rotate
from lab.signer import ALIAS, PASSWORD

PASSPHRASES = {f"NOTARY_SIGNER_{ALIAS.upper()}": PASSWORD, "NOTARY_SIGNER_DEFAULT_ALIAS": ALIAS}
ROLES = ["root", "targets", "snapshot", "timestamp", "targets/releases", "targets/alice", "targets/qa"]


class Ours(TagtrustServer):
    """Our server where another one was: the same address, the same certificate."""

    def __init__(self, directory, old=None, **settings):
        super().__init__(directory, **settings)
        if old:
            self.port, self.certificate, self.ca_file = old.port, old.certificate, old.ca_file

    def environment(self):
        return PASSPHRASES

    def do(self, *arguments, env=PASSPHRASES, check=True):
        """A command of the program, with the server's configuration file."""
        program, config = self.command()
        return run(program, *arguments, config, env=env, check=check)


@dataclass
class Notarys:
    """Notary's server and signer over one database server."""

    database: object
    server: NotaryServer
    signer: NotarySigner

    def sources(self) -> list[str]:
        """Options of the takeover: their configuration files."""
        self.server.command()
        return [f"-from={self.server.directory}/server.json", f"-signer={self.signer.directory}/signer.json"]

    def rows(self, table, url=None):
        return self.database.query(url or self.server.settings["storage"]["db_url"], f"SELECT * FROM {table}")


@pytest.fixture(scope="module")
def mariadb():
    need(MariaDB.is_here(), "MariaDB")
    with MariaDB() as mariadb:
        yield mariadb


@pytest.fixture
def notarys(request, fresh_directory):
    """`notarys("postgres")`: both programs, running."""
    need(bool(shutil.which("notary-server") and shutil.which("notary-signer")), "notary-server with notary-signer")
    running = []

    def start(backend) -> Notarys:
        if backend == "postgres":
            database = request.getfixturevalue("postgres")
            # As Notary's migrations make them: times without a zone.
            tables = [sql.replace("timestamptz", "timestamp") for sql in (NOTARY_TABLES, SIGNER_TABLES)]
        else:
            database = request.getfixturevalue("mariadb")
            tables = [database.notary_tables, database.signer_tables]
        url, signer_url = map(database.database, tables)
        signer = NotarySigner(fresh_directory(), signer_url, backend)
        signer.start()
        running.append(signer)
        storage = {"backend": backend, "db_url": url}
        server = NotaryServer(fresh_directory(), storage=storage, trust_service=signer.trust_service)
        server.start()
        running.append(server)
        return Notarys(database, server, signer)

    yield start
    for program in reversed(running):
        program.stop()


@pytest.mark.parametrize("backend, storage", [("postgres", "sqlite"), ("postgres", "in place"), ("mysql", "postgres")])
def test_clients_notice_nothing(notarys, backend, storage, engine, fresh_directory, request):
    notary = notarys(backend)
    old = notary.server
    plain = notary_plain(old, fresh_directory())
    delegated = notary_delegated(old, fresh_directory())
    rotate(delegated, "every-role")
    signed = docker_signed(old, fresh_directory(), engine)
    gone = notary_plain(old, fresh_directory(), "gone")
    delete(old, gone.gun)
    again = notary_plain(old, fresh_directory(), "again")

    ours = Ours(fresh_directory(), old, storage=target(storage, old, request, fresh_directory))
    if storage == "in place":
        refused = ours.do(check=False)
        assert refused.returncode == 1 and "takeover" in refused.stderr, refused
    before = notary.rows("tuf_files"), notary.rows("changefeed"), notary.rows("private_keys", notary.signer.db_url)
    # While Notary runs; twice, and of the second time nothing is new.
    report = ours.do("takeover", *notary.sources()).stdout
    assert "repositories         4, without problems 4" in report
    assert numbers(report, "files")[1] == numbers(report, "files")[0] == len(before[0])
    assert "expired" not in report and "PROBLEM" not in report
    report = ours.do("takeover", *notary.sources()).stdout
    assert [numbers(report, what)[1] for what in ("files", "changes", "keys")] == [0, 0, 0]
    assert before == (
        notary.rows("tuf_files"),
        notary.rows("changefeed"),
        notary.rows("private_keys", notary.signer.db_url),
    )

    # What comes since: a tag, a repository, one that is deleted, one that is deleted and made anew.
    plain.add("since")
    plain.admin.publish(plain.gun)
    late = notary_plain(old, fresh_directory(), "late")
    rotate(late, "snapshot-to-server")
    delete(old, again.gun)
    fresh = Notary(old, fresh_directory())
    fresh.init(again.gun)
    fresh.addhash(again.gun, "other", *sized("other"))
    fresh.publish(again.gun)
    old_files, old_feed = everything(old)
    assert {gun for gun, _, _ in old_files} == {r.gun for r in (plain, delegated, signed, late, again)}
    inspected = DockerTrust(old, fresh_directory()).inspect(signed.gun)
    old.stop()
    notary.signer.stop()
    assert "PROBLEM" not in ours.do("takeover", *notary.sources()).stdout

    with ours:
        assert everything(ours) == (old_files, old_feed)
        checked = ours.do("check")
        assert checked.stdout == "5 repositories, 0 with problems\n"
        assert DockerTrust(ours, fresh_directory()).inspect(signed.gun) == inspected
        for repository in (plain, delegated, signed, late):
            assert Notary(ours, fresh_directory()).list(repository.gun).keys() >= repository.tags.keys()
        # Whoever published goes on, with the state from before.
        for repository in (plain, delegated, late):
            repository.add("after")
            repository.admin.publish(repository.gun)
            repository.admin.key_rotate(repository.gun, "snapshot", True)
            repository.admin.key_rotate(repository.gun, "timestamp", True)
            repository.add("after-rotation")
            repository.admin.publish(repository.gun)
            tags = Notary(ours, fresh_directory()).list(repository.gun)
            assert {"v1", "after", "after-rotation"} <= tags.keys()
        docker = DockerTrust(ours, signed.admin.trust_dir.parent, engine)
        docker.sign(f"{signed.gun}:after", *make_image("after"))
        assert "after" in Notary(ours, fresh_directory()).list(signed.gun, ["targets/releases"])
        feed = changes(ours)
        assert feed[: len(old_feed)] == old_feed and len(feed) > len(old_feed)
        ids = [int(change["ID"]) for change in feed]
        assert ids == sorted(set(ids))
        # Now it is in use: nothing of Notary's may get in between.
        files = everything(ours)
        refused = ours.do("takeover", *notary.sources(), check=False)
        assert refused.returncode == 1 and "changes of its own" in refused.stderr, refused
        assert everything(ours) == files


def test_the_keys_may_stay_with_the_real_signer(notarys, fresh_directory):
    notary = notarys("postgres")
    plain = notary_plain(notary.server, fresh_directory())
    rotate(plain, "snapshot-to-server")
    ours = Ours(
        fresh_directory(),
        notary.server,
        storage={"backend": "sqlite", "db_url": str(fresh_directory() / "trust.db")},
        trust_service=notary.signer.trust_service,
    )
    server_file, signer_file = notary.sources()
    notary.server.stop()
    refused = ours.do("takeover", server_file, signer_file, check=False)
    assert refused.returncode == 1 and "signer" in refused.stderr
    assert "without problems 1" in ours.do("takeover", server_file).stdout
    with ours:
        plain.add("after")
        plain.admin.publish(plain.gun)
        assert "after" in Notary(ours, fresh_directory()).list(plain.gun)


def test_what_is_damaged_is_named_and_left_out(notarys, fresh_directory):
    notary = notarys("postgres")
    url = notary.server.settings["storage"]["db_url"]
    fine, old_version, live = (notary_plain(notary.server, fresh_directory(), name) for name in ("fine", "old", "live"))
    old_version.add("more")
    old_version.admin.publish(old_version.gun)
    for repository, which in ((old_version, "min"), (live, "max")):
        of = f"gun = '{repository.gun}' AND role = 'targets'"
        damage = f"UPDATE tuf_files SET data = data || 'x' WHERE {of} AND version ="
        notary.database.query(url, f"{damage} (SELECT {which}(version) FROM tuf_files WHERE {of})")

    ours = Ours(fresh_directory(), storage={"backend": "sqlite", "db_url": str(fresh_directory() / "trust.db")})
    done = ours.do("takeover", *notary.sources(), check=False)
    assert done.returncode == 1
    assert "repositories         3, without problems 1" in done.stdout
    problems = [line for line in done.stdout.splitlines() if line.startswith("PROBLEM: ")]
    assert sum(old_version.gun in line for line in problems) == 1
    assert sum(live.gun in line for line in problems) == 2, problems
    assert not any(fine.gun in line for line in problems)
    checked = ours.do("check", check=False)
    assert checked.returncode == 1 and "3 repositories, 1 with problems" in checked.stdout
    with ours:
        assert set(Notary(ours, fresh_directory()).list(fine.gun)) == {"v1", "v2", "v10"}
        assert set(Notary(ours, fresh_directory()).list(old_version.gun)) == {"v1", "v2", "v10", "more"}


def test_wrong_passphrases_change_nothing_and_a_dry_run_stores_nothing(notarys, fresh_directory):
    notary = notarys("postgres")
    plain = notary_plain(notary.server, fresh_directory())
    rotate(plain, "snapshot-to-server")
    database = fresh_directory() / "trust.db"
    ours = Ours(fresh_directory(), storage={"backend": "sqlite", "db_url": str(database)})
    wrong = PASSPHRASES | {f"NOTARY_SIGNER_{ALIAS.upper()}": "another password"}
    refused = ours.do("takeover", *notary.sources(), env=wrong, check=False)
    assert refused.returncode == 1 and "none of the signer's keys can be decrypted" in refused.stderr, refused
    assert "another password" not in refused.stderr
    without_signer = ours.do("takeover", notary.sources()[0], check=False)
    assert without_signer.returncode == 1 and "signer" in without_signer.stderr
    assert not database.exists()

    dry = ours.do("takeover", "-dry-run", *notary.sources())
    assert "dry run: nothing was stored" in dry.stdout and "without problems 1" in dry.stdout
    assert not database.exists()

    # One key of two under a passphrase that is not there.
    query = "UPDATE private_keys SET passphrase_alias = 'lost' WHERE role = 'timestamp'"
    notary.database.query(notary.signer.db_url, query)
    done = ours.do("takeover", *notary.sources(), check=False)
    assert done.returncode == 1
    assert "lost" in done.stdout and plain.gun in done.stdout
    # The passphrase is found, and all is well.
    found = PASSPHRASES | {"NOTARY_SIGNER_LOST": PASSWORD}
    assert "without problems 1" in ours.do("takeover", *notary.sources(), env=found).stdout


def test_the_passphrase_of_keys_that_were_taken_over_can_be_changed(notarys, fresh_directory):
    notary = notarys("postgres")
    plain = notary_plain(notary.server, fresh_directory())
    storage = {"backend": "sqlite", "db_url": str(fresh_directory() / "trust.db")}
    ours = Ours(fresh_directory(), notary.server, storage=storage)
    ours.do("takeover", *notary.sources())
    both = PASSPHRASES | {"TAGTRUST_SERVER_PASSPHRASE_NEW": "something else"}
    done = ours.do("passphrase", "new", env=both)
    assert done.stdout.endswith('keys encrypted with the passphrase "new"\n') and not done.stdout.startswith("0 ")
    notary.server.stop()

    class Moved(Ours):
        def environment(self):
            return {"TAGTRUST_SERVER_PASSPHRASE_NEW": "something else", "TAGTRUST_SERVER_DEFAULT_ALIAS": "new"}

    with Moved(fresh_directory(), notary.server, storage=storage) as moved:
        plain.add("after")
        plain.admin.publish(plain.gun)
        assert "after" in Notary(moved, fresh_directory()).list(plain.gun)


def target(storage, old, request, fresh_directory) -> dict:
    if storage == "sqlite":
        return {"backend": "sqlite", "db_url": str(fresh_directory() / "trust.db")}
    if storage == "in place":
        return old.settings["storage"]
    return {"backend": "postgres", "db_url": request.getfixturevalue("postgres").database()}


def delete(server, gun):
    server.send("DELETE", f"/v2/{gun}/_trust/tuf/", None, {})


def sized(name):
    digest, size = make_image(name)
    return size, digest.removeprefix("sha256:")


def numbers(report, what) -> list[int]:
    """All, and how many were new."""
    (line,) = (line for line in report.splitlines() if line.startswith(f"{what} "))
    return [int(word.rstrip(",")) for word in line.split() if word.rstrip(",").isdigit()]


def everything(server):
    """All files that can be asked for, by name and by hash, and the feed."""
    feed = changes(server)
    files = {}
    for gun in sorted({change["GUN"] for change in feed}):
        for role in ROLES:
            body = ask(server, gun, f"{role}.json")
            if body is None:
                continue
            for version in range(1, json.loads(body)["signed"]["version"] + 1):
                old = ask(server, gun, f"{version}.{role}.json")
                files[gun, role, version] = old
                if old is not None:
                    sha256 = hashlib.sha256(old).hexdigest()
                    files[gun, role, sha256] = ask(server, gun, f"{role}.{sha256}.json")
            files[gun, role, "current"] = body
    return files, feed


def ask(server, gun, name):
    try:
        return server.get(f"/v2/{gun}/_trust/tuf/{name}")
    except urllib.error.HTTPError as error:
        # notary-server says 500 of a role that the snapshot does not list.
        assert error.code in (404, 500), error
        return None


def changes(server) -> list[dict]:
    """PostgreSQL pads the empty hash of a deletion with spaces."""
    records = json.loads(server.get("/v2/_trust/changefeed?records=1000"))["records"]
    return [record | {"SHA256": record["SHA256"].strip()} for record in records]
