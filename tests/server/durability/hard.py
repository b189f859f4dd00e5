"""Servers that are killed, on addresses that nobody else takes meanwhile."""

import os
import random
import signal
import socket
from pathlib import Path

from lab import Postgres, TagtrustServer

PASSPHRASE = {"TAGTRUST_SERVER_PASSPHRASE_LAB": "a passphrase of the lab", "TAGTRUST_SERVER_DEFAULT_ALIAS": "lab"}


def lasting_port() -> int:
    """Below those that the system gives to clients: one that asks a server in vain would take its port."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class HardServer(TagtrustServer):
    """Ours. `waits`: whether `start()` is over only when it answers."""

    waits = True

    def __init__(self, directory: Path, **settings):
        super().__init__(directory, **settings)
        self.port = lasting_port()

    def environment(self):
        # With SQLite it makes a passphrase of its own.
        return PASSPHRASE if self.settings["storage"]["backend"] == "postgres" else {}

    def memory(self) -> int:
        """The most bytes that it ever had in memory."""
        (line,) = [
            line for line in Path(f"/proc/{self.pid}/status").read_text().splitlines() if line.startswith("VmHWM")
        ]
        return int(line.split()[1]) * 1024

    def _wait_until_it_answers(self, seconds=20):
        if self.waits:
            super()._wait_until_it_answers(seconds)

    def assert_no_panic(self):
        log = self.log.read_text(errors="replace")
        assert "panicked" not in log, log


class HardPostgres(Postgres):
    """It loses no connection slots to servers that are no more: each of theirs ends with its socket."""

    def __init__(self):
        super().__init__()
        self.port = lasting_port()

    def kill_all(self):
        """kill -9 of every process of it, at once."""
        postmaster = self.pid
        self._process.send_signal(signal.SIGSTOP)  # or it would begin to recover
        for child in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split():
            _kill(int(child))
        self._process.kill()
        self._process.wait(timeout=10)
        self._process = None

    def kill_one(self, rng: random.Random):
        """kill -9 of one process that serves a client: the others start anew by themselves."""
        self._wait_until_it_answers()  # it may still be recovering from the last time
        backends = [int(pid) for (pid,) in self.query("postgres", _BACKENDS)]
        if backends:
            _kill(rng.choice(backends))


_BACKENDS = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
