"""Running other programs, with an environment that the caller's cannot leak into."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
from pathlib import Path


class CommandFailed(Exception):
    """A program ended with a status other than 0; everything it said is in here."""

    def __init__(self, done: subprocess.CompletedProcess):
        self.returncode, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr
        super().__init__(f"{' '.join(map(str, done.args))}: exit {done.returncode}\n{done.stdout}{done.stderr}")


def run(*argv, env=None, cwd=None, input="", check=True, timeout=300, user=None) -> subprocess.CompletedProcess:
    """Run a program to its end, with nothing but PATH and `env` in its environment."""
    done = subprocess.run(
        [str(arg) for arg in argv],
        env=clean_environment(env),
        cwd=cwd,
        input=input,
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        user=user,
    )
    if check and done.returncode != 0:
        raise CommandFailed(done)
    return done


class Daemon:
    """A server on a free loopback port, with its files in a directory of its own; stopped by its process id.

    Subclasses say what is run, `command()`, and how to ask whether it answers, `ping()`.
    """

    # Who runs it; None: who runs the tests.
    user = None

    def __init__(self, directory: Path):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._process = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def has_died(self) -> bool:
        """Started, and ended without being told to."""
        return self._process is not None and not self.is_running

    def environment(self) -> dict[str, str]:
        """What it needs besides PATH."""
        return {}

    def start(self):
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, env=clean_environment(self.environment()), user=self.user
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    def stop(self, with_signal=signal.SIGTERM):
        if self._process:
            self._process.send_signal(with_signal)
            self._process.wait(timeout=10)
            self._process = None

    def kill(self):
        """As a crash would end it."""
        self.stop(signal.SIGKILL)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def _wait_until_it_answers(self, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                self.ping()
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.02)
        raise RuntimeError(f"{type(self).__name__} does not answer: {self.log.read_text()}")


def toolchain() -> dict[str, str]:
    """What else of the environment compilers need: where their settings and caches are."""
    names = [name for name in os.environ if name in ("HOME", "GOCACHE") or name.startswith(("CARGO", "RUST"))]
    return {name: os.environ[name] for name in names}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def clean_environment(env=None) -> dict[str, str]:
    # Neither a proxy nor the user's own Docker settings may reach a test.
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8", "TZ": "UTC"} | {
        name: str(value) for name, value in (env or {}).items()
    }
