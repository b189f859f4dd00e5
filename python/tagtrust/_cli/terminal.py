"""Questions to the user: passphrases and confirmations, in Docker's words."""

from __future__ import annotations

import os
import re
import signal
import sys
import termios
import threading

from .output import printable, tell

ROOT_WARNING = """\
You are about to create a new root signing key passphrase. This passphrase
will be used to protect the most sensitive key in your signing system. Please
choose a long, complex passphrase and be careful to keep the password and the
key file itself secure and backed up. It is highly recommended that you use a
password manager to generate the passphrase and keep it safe. There will be no
way to recover this key. You can find the key in your config directory."""
TOO_SHORT = "Passphrase is too short. Please use a password manager to generate and store a good random passphrase."
NO_MATCH = "Passphrases do not match. Please retry."
INCORRECT = "Passphrase incorrect. Please retry."

# Notary's numbers.
MIN_BYTES = 8
MAX_NEW = 12


class Passphrases:
    """Where a client gets its passphrases: Docker's variables, else the terminal.

    What was typed is remembered for other keys of the role, as in Docker, until
    the command ends. What was not typed twice never protects a new key.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, bool], str] = {}
        self._lock = threading.Lock()
        #: Said once before the first question, and not at all if an error comes before it.
        self.heading: str | None = None
        #: Whether a new passphrase may come from Docker's variables.
        self.new_from_environment = True

    def __call__(self, key_id: str, role: str, create: bool, attempt: int) -> str | None:
        with self._lock:
            self.announce()
            answer = _from_environment(role) if self.new_from_environment or not create else None
            if answer:
                return answer
            if attempt == 0 and (role, create) in self._known:
                return self._known[role, create]
            answer = _ask_new(key_id, role, attempt) if create else _ask(key_id, role, attempt)
            if answer is not None:
                self._known[role, False] = answer
                if create:
                    self._known[role, True] = answer
            return answer

    def announce(self) -> None:
        if self.heading is not None:
            tell(self.heading)
        self.heading = None


def confirm(question: str, quiet_stdout: bool = False) -> bool:
    """Only y and Y are yes. Whoever does not answer says no."""
    stream = sys.stderr if quiet_stdout else sys.stdout
    stream.flush()
    stream.buffer.write(f"{printable(question)} [y/N] ".encode(errors="surrogateescape"))
    stream.flush()
    return sys.stdin.buffer.readline().strip() in (b"y", b"Y")


def _ask(key_id: str, role: str, attempt: int) -> str | None:
    if attempt > 0:
        _tell_terminal(INCORRECT)
    return _read_secret(f"Enter passphrase for {_key(key_id, role)}: ")


def _ask_new(key_id: str, role: str, attempt: int) -> str | None:
    if role == "root" and attempt == 0:
        _tell_terminal(ROOT_WARNING)
    for _ in range(MAX_NEW):
        answer = _read_secret(f"Enter passphrase for new {_key(key_id, role)}: ")
        if answer is None:
            return None
        if len(answer.encode()) < MIN_BYTES:
            _tell_terminal(TOO_SHORT)
        elif _read_secret(f"Repeat passphrase for new {_key(key_id, role)}: ") == answer:
            return answer
        else:
            _tell_terminal(NO_MATCH)
    return None


def _key(key_id: str, role: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", key_id):
        # A file whose key is not known before it is decrypted.
        return "encrypted key"
    shown = "repository" if role in ("targets", "snapshot") else role
    return f"{shown} key with ID {key_id[:7]}"


def _from_environment(role: str) -> str | None:
    kind = "ROOT" if role == "root" else "REPOSITORY"
    return os.environ.get(f"DOCKER_CONTENT_TRUST_{kind}_PASSPHRASE")


def _tell_terminal(text: str) -> None:
    terminal = _open_terminal()
    if terminal is not None:
        with open(terminal, "wb", buffering=0) as stream:
            stream.write(f"{text}\n".encode())


def _read_secret(prompt: str) -> str | None:
    """A line from the terminal, without echo and without a trace on stdout. None if there is no terminal."""
    sys.stdout.flush()
    terminal = _open_terminal()
    if terminal is None:
        return None
    try:
        line, interrupt = _read_unseen(terminal, printable(prompt).encode())
    finally:
        os.close(terminal)
    if line.endswith(interrupt):
        os.kill(os.getpid(), signal.SIGINT)
    try:
        # Docker trims, too. The end of input is no answer.
        return line.decode().strip() if line else None
    except UnicodeDecodeError:
        return None


def _read_unseen(terminal: int, prompt: bytes) -> tuple[bytes, bytes]:
    """The line, and what it ends with if Ctrl-C was pressed.

    `getpass` would leave the terminal mute after Ctrl-C: signals end this
    command at once, and a client may ask from any thread. So Ctrl-C ends the
    line here, and acts when the terminal is as it was.
    """
    before, quiet = termios.tcgetattr(terminal), termios.tcgetattr(terminal)
    interrupt = quiet[6][termios.VINTR]
    quiet[3] &= ~(termios.ECHO | termios.ISIG)
    quiet[6][termios.VEOL] = interrupt
    try:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, quiet)
        os.write(terminal, prompt)
        return os.read(terminal, 4096), interrupt
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)
        os.write(terminal, b"\n")


def _open_terminal() -> int | None:
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
