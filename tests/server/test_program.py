"""The program tagtrust-server: its options, signals, commands, and what it says where it does not start."""

import json
import resource
import signal
import socket
import sqlite3
import tempfile
import time
from pathlib import Path

import pytest

from lab import Notary, NotaryServer, TagtrustServer, run
from lab.need import need
from lab.repositories import notary_plain
from server.conftest import is_here


@pytest.fixture
def ours(fresh_directory):
    need(Path(TagtrustServer.program).exists(), "tagtrust-server")
    storage = {"backend": "sqlite", "db_url": "trust.db"}
    return TagtrustServer(fresh_directory(), storage=storage, logging={"level": "info"})


def do(ours, *arguments, check=True, env=None):
    program, config = ours.command()
    return run(program, *arguments, config, check=check, env=env)


def test_what_is_wrong_with_the_configuration_is_one_line_with_file_line_and_key(ours):
    ours.settings["repositories"] = {"gun_prefixes": ["docker.io"]}
    failed = do(ours, check=False)
    assert failed.returncode == 1 and failed.stdout == ""
    (line,) = failed.stderr.splitlines()
    said = json.loads(line)
    assert said["level"] == "fatal"
    assert f"{ours.directory}/server.json:1: repositories.gun_prefixes: invalid GUN prefix docker.io" in said["msg"]
    (line,) = do(ours, "-logf=logfmt", check=False).stderr.splitlines()
    assert " level=fatal msg=" in line
    missing = run(ours.program, "-config=/nonexistent.json", check=False)
    assert missing.returncode == 1 and "/nonexistent.json" in missing.stderr
    assert run(ours.program, "-conf=x", check=False).returncode == 2
    assert run(ours.program, "-version").stdout.startswith("tagtrust-server 0.")


def test_an_unknown_key_is_named_and_the_server_starts(ours):
    ours.settings["storage"]["dburl"] = "typo"
    with ours:
        (line,) = [line for line in ours.log.read_text().splitlines() if "storage.dburl" in line]
        assert json.loads(line)["level"] == "warning"


def test_wrong_options_have_a_status_of_their_own(ours):
    for wrong in (["-keep=0"], []):
        failed = do(ours, "prune", *wrong, check=False)
        assert failed.returncode == 2 and "keep" in failed.stderr
    assert not (ours.directory / "trust.db").exists()
    # As notary-server has it, no configuration file is not one of them.
    need(is_here("notary-server"), "notary-server")
    for program in (NotaryServer.program, ours.program):
        assert run(program, cwd=ours.directory, check=False).returncode == 1


def test_a_database_over_the_network_is_encrypted_or_not_used(ours, postgres, tagtrust):
    url = postgres.database()
    plain, mode = url.split("?")
    assert mode == "sslmode=disable"

    def tables():
        return postgres.query(url, "SELECT tablename FROM pg_tables WHERE tablename LIKE 'tagtrust%'")

    ours.settings["storage"] = {"backend": "postgres", "db_url": plain}
    failed = do(ours, "-bootstrap", check=False)
    assert failed.returncode == 1 and "TLS" in failed.stderr
    with pytest.raises(tagtrust.StoreError, match="TLS"):
        tagtrust.Server(storage=plain, passphrase="correct horse").start()
    assert tables() == []

    ours.settings["storage"]["db_url"] = url
    do(ours, "-bootstrap")
    assert tables() != []


def test_systemd_is_told_when_it_is_ready_reloads_and_stops(ours):
    # Paths of sockets are short.
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"{directory}/notify")
        systemd.settimeout(10)
        ours.variables = {"NOTIFY_SOCKET": f"{directory}/notify"}
        with ours:
            assert told(systemd) == ["READY=1"]
            ours._process.send_signal(signal.SIGHUP)
            reloading, since = told(systemd)
            assert reloading == "RELOADING=1" and since.startswith("MONOTONIC_USEC=")
            assert told(systemd) == ["READY=1"]
        assert told(systemd) == ["STOPPING=1"]


def test_signals_stop_reload_and_change_the_log_level(ours):
    ours.settings["tagtrust"] = {"access_log": str(ours.directory / "access.log")}
    with ours:
        assert f"tagtrust-server: listening on https://{ours.address}\n" in ours.log.read_text()
        status = Path(f"/proc/{ours.pid}")
        limits = (status / "limits").read_text()
        assert limits.split("Max core file size")[1].split()[:2] == ["0", "0"]
        hard = str(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        assert limits.split("Max open files")[1].split()[:2] == [hard, hard]

        access = ours.directory / "access.log"
        ours.get("/v2/")
        access.rename(ours.directory / "access.1")
        ours._process.send_signal(signal.SIGHUP)
        wait_for(ours, "anew")
        ours.get("/v2/")
        wait_until(lambda: access.exists() and '"/v2/"' in access.read_text())

        ours._process.send_signal(signal.SIGUSR1)
        wait_for(ours, "log level DEBUG")
        ours._process.send_signal(signal.SIGUSR2)
        wait_for(ours, "log level INFO")
        process = ours._process
        ours.stop()
        assert process.returncode == 0
        assert '"Stopping"' in ours.log.read_text()


def test_commands_work_on_the_storage_of_a_running_server(ours, fresh_directory):
    ours.settings["tagtrust"] = {"passphrase_alias": "first"}
    passphrases = {"TAGTRUST_SERVER_PASSPHRASE_FIRST": "one", "TAGTRUST_SERVER_PASSPHRASE_SECOND": "two"}
    ours.environment = lambda: passphrases
    with ours:
        repository = notary_plain(ours, fresh_directory())
        for tag in ("a", "b", "c"):
            repository.add(tag)
            repository.admin.publish(repository.gun)
        repository.admin.key_rotate(repository.gun, "snapshot", True)
        assert do(ours, "check", env=passphrases).stdout == "1 repositories, 0 with problems\n"

        copy = fresh_directory() / "copy.db"
        do(ours, "backup", copy, env=passphrases)
        assert files(copy) == files(ours.directory / "trust.db")
        again = do(ours, "backup", copy, check=False, env=passphrases)
        assert again.returncode == 1 and files(copy) == files(ours.directory / "trust.db")

        before = files(ours.directory / "trust.db")
        gone = do(ours, "prune", "-keep=1", env=passphrases).stdout
        after = files(ours.directory / "trust.db")
        assert gone == f"{len(before) - len(after)} files removed\n" and len(after) < len(before)
        assert [row for row in after if row[0] == "root"] == [row for row in before if row[0] == "root"]
        assert set(Notary(ours, fresh_directory()).list(repository.gun)) == {"v1", "v2", "v10", "a", "b", "c"}

        rewrapped = do(ours, "passphrase", "second", env=passphrases)
        assert "keys encrypted" in rewrapped.stdout and not rewrapped.stdout.startswith("0 ")
        missing = do(ours, "passphrase", "third", env=passphrases, check=False)
        assert missing.returncode == 1 and "third" in missing.stderr
        repository.add("d")
        repository.admin.publish(repository.gun)
    # The first passphrase is needed no more, and the copy still has it.
    ours.settings["tagtrust"] = {"passphrase_alias": "second"}
    passphrases.pop("TAGTRUST_SERVER_PASSPHRASE_FIRST")
    with ours:
        repository.add("e")
        repository.admin.publish(repository.gun)


def told(systemd) -> list[str]:
    return systemd.recv(1000).decode().splitlines()


def files(database) -> list[tuple]:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return sorted(connection.execute("SELECT role, version, gun, sha256 FROM file"))


def wait_for(ours, text):
    wait_until(lambda: text in ours.log.read_text())


def wait_until(happened, seconds=10):
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)
